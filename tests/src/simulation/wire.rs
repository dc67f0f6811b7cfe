//! One direction of a transport: octets that are on their way, in the pieces in which they will arrive, and an account of the
//! messages among them that shares no code with the counters it is compared with.

use hsms_core::wire::Header;
use std::collections::VecDeque;

/// Never.
pub(super) const NEVER: u64 = u64::MAX;

/// Kinds of messages, in the order of the fields of [`hsms_core::counters::Messages`].
pub(super) const KINDS: usize = 12;

/// Messages by kind, and their octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) messages: [u64; KINDS],
    pub(super) octets: u64,
}

impl Tally {
    /// What was counted at one end.
    pub(super) fn of(traffic: &hsms_core::counters::Traffic) -> Self {
        let mut messages = [0; KINDS];
        for (place, (_, count)) in messages.iter_mut().zip(traffic.messages.iter()) {
            *place = count;
        }
        Tally { messages, octets: traffic.octets }
    }

    pub(super) fn add(&mut self, other: &Tally) {
        self.messages.iter_mut().zip(other.messages).for_each(|(place, count)| *place += count);
        self.octets += other.octets;
    }

    /// This without what was counted before.
    pub(super) fn since(&self, before: &Tally) -> Tally {
        let mut difference = *self;
        difference.messages.iter_mut().zip(before.messages).for_each(|(place, count)| *place -= count);
        difference.octets -= before.octets;
        difference
    }
}

/// What arrives at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// So many octets.
    Octets(u32),
    /// The end of the stream.
    End,
    /// The other end knows of no such transport.
    Reset,
}

/// One direction of a transport.
#[derive(Debug, Default)]
pub(super) struct Wire {
    octets: Vec<u8>,
    start: usize,
    arrivals: VecDeque<(u64, Arrival)>,
    last: u64,
    /// Nothing arrives any more, and nobody learns of it.
    pub(super) dead: bool,
    /// Octets of all messages that were begun, and of those that were received.
    announced: u64,
    consumed: u64,
    /// Octets that a dead direction has taken.
    swallowed: usize,
    /// Where messages begin whose header has not been received, and their kind.
    messages: VecDeque<(u64, u8)>,
}

impl Wire {
    /// As new, with the storage of before.
    pub(super) fn reset(&mut self) {
        self.octets.clear();
        self.arrivals.clear();
        self.messages.clear();
        (self.start, self.last, self.dead, self.announced, self.consumed) = (0, 0, false, 0, 0);
        self.swallowed = 0;
    }

    /// A message is about to be written.
    pub(super) fn announce(&mut self, header: &Header, body_len: u32) {
        self.messages.push_back((self.announced, kind(header)));
        self.announced += 14 + u64::from(body_len);
    }

    /// Octets that are on their way or wait to be read.
    pub(super) fn in_flight(&self) -> usize {
        self.octets.len() - self.start + self.swallowed
    }

    /// Whether nothing is on its way, and what leaves will arrive.
    pub(super) fn is_still(&self) -> bool {
        !self.dead && self.in_flight() == 0 && self.arrivals.is_empty()
    }

    /// Octets leave and will arrive at `at`, or right behind what left before.
    pub(super) fn push(&mut self, at: u64, octets: &[u8]) {
        if self.dead {
            self.swallowed += octets.len();
            return;
        }
        self.octets.extend_from_slice(octets);
        self.arrive(at, Arrival::Octets(u32::try_from(octets.len()).expect("less than 4 GiB at once")));
    }

    /// Octets leave in pieces, each of which will arrive at `at` or up to `late` milliseconds later. Each split of a write is as likely
    /// as any other, and half of them are written whole.
    pub(super) fn split(&mut self, random: &mut fastrand::Rng, at: u64, late: u64, mut octets: &[u8]) {
        while !octets.is_empty() {
            let (draw, left) = (random.u64(..), octets.len());
            let len = if draw & 1 == 0 || left == 1 { left } else { 1 + (draw >> 32) as usize % (left - 1) };
            let (piece, rest) = octets.split_at(len);
            self.push(at + (draw >> 8 & 0xFFFF) % late, piece);
            octets = rest;
        }
    }

    pub(super) fn arrive(&mut self, at: u64, arrival: Arrival) {
        if !self.dead {
            self.last = self.last.max(at);
            self.arrivals.push_back((self.last, arrival));
        }
    }

    /// What has been written arrives no earlier than `at`.
    pub(super) fn hold(&mut self, at: u64) {
        self.arrivals.iter_mut().for_each(|(when, _)| *when = at.max(*when));
        self.last = self.last.max(at);
    }

    /// When something arrives next.
    pub(super) fn next(&self) -> u64 {
        self.arrivals.front().map_or(NEVER, |(at, _)| *at)
    }

    pub(super) fn pop(&mut self) -> Option<Arrival> {
        self.arrivals.pop_front().map(|(_, arrival)| arrival)
    }

    /// The first of the octets that have arrived.
    pub(super) fn front(&self, octets: usize) -> &[u8] {
        &self.octets[self.start..self.start + octets]
    }

    /// So many octets were taken by the machine.
    pub(super) fn consume(&mut self, octets: usize) {
        self.consumed += octets as u64;
        while self.messages.front().is_some_and(|(start, _)| start + 14 <= self.consumed) {
            self.messages.pop_front();
        }
        self.discard(octets);
    }

    /// So many octets came for nobody.
    pub(super) fn discard(&mut self, octets: usize) {
        self.start += octets;
        if self.start == self.octets.len() {
            self.octets.clear();
            self.start = 0;
        } else if self.start > 1 << 16 {
            self.octets.drain(..self.start);
            self.start = 0;
        }
    }

    /// Drops all that is on its way but `octets`, at the most. What left behind a break of before comes to nobody in any case.
    pub(super) fn cut(&mut self, octets: usize) {
        let before = self.arrivals.iter().map_while(|(_, arrival)| match arrival {
            Arrival::Octets(len) => Some(*len as usize),
            Arrival::End | Arrival::Reset => None,
        });
        let kept = octets.min(before.sum());
        self.octets.truncate(self.start + kept);
        let mut left = kept;
        self.arrivals.retain_mut(|(_, arrival)| match arrival {
            Arrival::Octets(len) => {
                let most = left.min(*len as usize);
                left -= most;
                *len = u32::try_from(most).expect("no more than before");
                most > 0
            }
            Arrival::End | Arrival::Reset => false,
        });
    }

    /// What was announced and never received, as the counters of both ends have to show it: a message is received with its
    /// header, and octets of a header that never came whole count nowhere.
    pub(super) fn lost(&self) -> Tally {
        let mut messages = [0; KINDS];
        for (_, kind) in &self.messages {
            messages[usize::from(*kind)] += 1;
        }
        let whole = self.messages.front().map_or(self.consumed, |(start, _)| self.consumed.min(*start));
        Tally { messages, octets: self.announced - whole }
    }
}

/// The kind of a message by the octets of its header.
fn kind(header: &Header) -> u8 {
    match (header.ptype.0, header.stype.0, header.byte3) {
        (1.., ..) => 11,
        (0, 0, 0) => 2,
        (0, 0, function) => u8::from(function % 2 == 0),
        (0, stype @ 1..=7, _) => stype + 2,
        (0, 9, _) => 10,
        _ => 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hsms_core::wire::{SessionId, StreamFunction, SystemBytes};

    fn data(function: u8) -> Header {
        Header::data(SystemBytes(1), StreamFunction::new(1, function), false, SessionId(1))
    }

    #[test]
    fn kinds_are_in_the_order_of_the_counters() {
        use hsms_core::connection::{Action, ControlFrame};
        let system = SystemBytes(1);
        let headers = [
            data(1),
            data(2),
            data(0),
            Header::select_req(system),
            Header::select_rsp(system),
            Header::deselect_req(system),
            Header::deselect_rsp(system),
            Header::linktest_req(system),
            Header::linktest_rsp(system),
            Header::reject_req(system, 0, hsms_core::wire::RejectReason(1)),
            Header::separate_req(system),
        ];
        for (index, header) in headers.iter().enumerate() {
            let mut counters = hsms_core::counters::Counters::new();
            counters.record_action(&Action::Send(ControlFrame::Control(*header)));
            let tally = Tally::of(&counters.sent);
            assert_eq!((tally.messages[index], usize::from(kind(header))), (1, index), "{header:?}");
        }
    }

    #[test]
    fn what_is_cut_off_is_lost_and_nothing_else() {
        let mut wire = Wire::default();
        wire.announce(&data(1), 6);
        wire.announce(&data(2), 0);
        wire.push(5, &[0; 20]);
        wire.push(3, &[0; 14]);
        assert_eq!(wire.next(), 5);
        wire.cut(30);
        assert_eq!(wire.pop(), Some(Arrival::Octets(20)));
        wire.consume(20);
        assert_eq!((wire.next(), wire.pop()), (5, Some(Arrival::Octets(10))));
        wire.consume(10);
        let lost = wire.lost();
        assert_eq!((lost.messages[0], lost.messages[1], lost.octets), (0, 1, 14));
    }

    #[test]
    fn nothing_from_behind_a_break_arrives_after_a_second_one() {
        let mut wire = Wire::default();
        wire.push(5, &[1; 20]);
        wire.cut(8);
        wire.arrive(5, Arrival::Reset);
        wire.push(6, &[2; 20]);
        wire.cut(28);
        assert_eq!((wire.pop(), wire.pop()), (Some(Arrival::Octets(8)), None));
        assert_eq!(wire.front(8), [1; 8]);
        wire.consume(8);
        assert_eq!(wire.in_flight(), 0);
    }
}
