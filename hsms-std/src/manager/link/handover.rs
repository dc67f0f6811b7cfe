//! A connection that goes from one link to another: a caller's, when it is known whose it is.

use super::{Link, MOST_ANSWERS_TO_CALLER, Told};
use crate::Options;
use crate::manager::machine::Machine;
use crate::manager::socket::Socket;
use crate::security::Stream;
use crate::watch::{Onlookers, Watch};
use hsms_core::config::ConnectMode;
use hsms_core::time::Instant;
use std::io;

/// A transport with what another machine has left to be written on it.
pub(in crate::manager) struct HandedOver {
    pub(in crate::manager) stream: Stream<Socket>,
    output: Vec<u8>,
    watch: Watch,
}

impl From<Stream<Socket>> for HandedOver {
    /// One that no machine has had.
    fn from(stream: Stream<Socket>) -> Self {
        HandedOver { stream, output: Vec::new(), watch: Watch::default() }
    }
}

impl Link {
    /// With a machine that is enabled from the start, for a caller.
    pub(in crate::manager) fn called(
        machine: Box<dyn Machine>,
        options: &Options,
        transport: HandedOver,
        onlookers: &Onlookers,
        now: Instant,
    ) -> Self {
        let mut link = Link::new(machine, options);
        link.most_answers = MOST_ANSWERS_TO_CALLER;
        link.wanted = true;
        link.watch.go_on(transport.watch, onlookers, ConnectMode::Passive, &transport.stream);
        link.begin(transport.stream, now, &mut Vec::new());
        link.precede(transport.output);
        link
    }

    /// Receives what the link that had the transport before has received already.
    pub(in crate::manager) fn receive_again(&mut self, now: Instant, octets: &[u8], told: &mut Vec<Told>) {
        self.watch.repeats(true, false);
        self.receive(now, octets, told);
        self.watch.repeats(false, false);
    }

    /// Takes the transport away, with what waits to be written, for another machine to go on with.
    pub(in crate::manager) fn hand_over(&mut self) -> Option<HandedOver> {
        let stream = self.stream.take()?;
        let output = std::mem::take(&mut self.output).split_off(self.start);
        Some(HandedOver { stream, output, watch: std::mem::take(&mut self.watch) })
    }

    /// Goes on with a transport on which another machine has answered what `selecting` holds with `said`, of which `output`
    /// has not been written. Where ours would have said something else the connection ends.
    pub(in crate::manager) fn take_over(
        &mut self,
        HandedOver { stream, output, watch }: HandedOver,
        onlookers: &Onlookers,
        (selecting, said): (&[u8], &[u8]),
        now: Instant,
        told: &mut Vec<Told>,
    ) {
        self.watch.go_on(watch, onlookers, ConnectMode::Passive, &stream);
        self.begin(stream, now, told);
        if !selecting.is_empty() {
            self.watch.repeats(true, true);
            self.receive(now, selecting, told);
            self.watch.repeats(false, false);
            if self.stream.is_none() || self.output != said {
                let text = "the caller was answered otherwise than its peer would answer it";
                return self.hang_up(Some(io::Error::new(io::ErrorKind::InvalidData, text)), now, told);
            }
            // Written by the other, as far as this machine is concerned.
            let _ = self.machine.written(now, u64::try_from(said.len()).unwrap_or(u64::MAX));
            self.output.clear();
        }
        self.precede(output);
    }

    /// What another machine has left to be written on this transport goes before what this one says.
    fn precede(&mut self, output: Vec<u8>) {
        self.foreign = output.len();
        let own = std::mem::replace(&mut self.output, output);
        self.output.extend_from_slice(&own);
    }
}
