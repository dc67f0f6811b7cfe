//! Octets in, messages and actions out; and short names.

use crate::support::{DEVICE, Received};
use hsms_core::connection::{Action, Class, Connection, ControlFrame};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, StreamFunction, SystemBytes};
use std::time::Duration;

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const DAY: u64 = 86_400_000;

/// A received message, put together from its pieces: what it counts as, its header, and its text.
pub(crate) type Whole = (Class, Header, Vec<u8>);

/// Hands `input` over in the order of its chunks, drained after each piece. Gives whole messages and all actions.
pub(crate) fn receive_all<'i>(
    connection: &mut Connection<4>,
    now: Instant,
    chunks: impl IntoIterator<Item = &'i [u8]>,
) -> (Vec<Whole>, Vec<Action>) {
    let (mut messages, mut actions) = (Vec::<Whole>::new(), Vec::new());
    for mut left in chunks {
        while !left.is_empty() {
            let (taken, inbound) = connection.receive(now, left).expect("connected and drained");
            assert!(taken > 0);
            left = &left[taken..];
            if let Some(inbound) = inbound {
                if inbound.first() {
                    messages.push((inbound.class, *inbound.header(), Vec::new()));
                }
                let (class, header, text) = messages.last_mut().expect("a message begins with its first piece");
                assert_eq!((*class, *header), (inbound.class, *inbound.header()));
                assert_eq!(text.len(), inbound.piece.offset as usize);
                text.extend_from_slice(inbound.body());
                assert_eq!(inbound.last(), text.len() == inbound.piece.body_len as usize);
            }
            for action in drain(connection) {
                if let Action::Send(frame) = &action {
                    connection.written(now, frame.len() as u64).expect("it was polled");
                }
                actions.push(action);
            }
        }
    }
    (messages, actions)
}

/// Polls until nothing comes.
pub(crate) fn drain(connection: &mut Connection<4>) -> Vec<Action> {
    let actions: Vec<Action> = std::iter::from_fn(|| connection.poll_action()).take(64).collect();
    assert!(actions.len() < 64, "actions without end: {actions:?}");
    actions
}

pub(crate) fn control(header: Header) -> Action {
    Action::Send(ControlFrame::Control(header))
}

pub(crate) fn data(system: u32, stream: u8, function: u8, w: bool) -> Header {
    Header::data(SystemBytes(system), StreamFunction::new(stream, function), w, DEVICE.session())
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The device's message with W and without text.
pub(crate) fn primary(system: u32, stream: u8, function: u8) -> Vec<u8> {
    data(system, stream, function, true).encode_alone().to_vec()
}

pub(crate) fn only(messages: Vec<Received>) -> Received {
    let [message] = <[Received; 1]>::try_from(messages).expect("one message");
    message
}
