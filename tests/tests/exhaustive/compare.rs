//! One message to one machine, what is seen of it, and whether that is what the table says.

use crate::states::{Prepared, millis};
use crate::table::{Expected, Frame, Message, NOTICES, expected};
use hsms_core::connection::{Action, Connection, GeneralInput, Inbound, Input, Sessions, State};
use hsms_core::time::Instant;
use hsms_tests::invariants;
use hsms_tests::machine::Machine;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Long enough for every text that comes whole.
pub const ROOM: usize = 14 + 400;

/// Hands the message to a copy of the machine; panics where what is seen differs from the table.
pub fn compare(prepared: &Prepared, message: &Message, room: &mut [u8; ROOM]) {
    let Prepared { machine, situation } = prepared;
    let mut machine = machine.clone();
    let seen = observe(&mut machine, situation.now, message.write(room), situation.writing);
    let wanted = expected(situation, message);
    if !same(&seen, &wanted) {
        different(prepared, message, &seen, &wanted);
    }
}

#[cold]
fn different(prepared: &Prepared, message: &Message, seen: &Expected, wanted: &Expected) -> ! {
    panic!("{:#?}\nreceives {message:x?}\nseen:   {seen:x?}\nwanted: {wanted:x?}", prepared.situation);
}

pub fn same(seen: &Expected, wanted: &Expected) -> bool {
    let counted = |all: &Expected| all.notices.iter().flatten().count();
    Expected { notices: wanted.notices, ..*seen } == *wanted
        && (seen.notices == wanted.notices
            || counted(seen) == counted(wanted)
                && wanted.notices.iter().flatten().all(|notice| seen.notices.contains(&Some(*notice))))
}

/// What is seen when `octets` come: all actions in their order, then the getters.
///
/// Where a text is being written it ends after that, and the frame that was held comes; none may come before.
pub fn observe<S: Sessions>(machine: &mut Connection<4, S>, now: u64, octets: &[u8], writing: bool) -> Expected {
    let now = Instant::from_millis(now);
    let (taken, inbound) = machine.receive(now, octets).expect("a connection whose actions were polled takes octets");
    let mut seen = Expected {
        class: inbound.map(|inbound| inbound.class),
        session: inbound.map_or(0, |inbound| inbound.header().session.0),
        frame: None,
        behind: None,
        notices: [None; NOTICES],
        close: None,
        opens: false,
        state: State::NotConnected,
        open: 0,
        body_left: 0,
        deadline: None,
    };
    drain(machine, &mut seen);
    if seen.close.is_none() {
        assert_eq!(taken, octets.len(), "octets left");
    }
    if let Some(inbound) = inbound {
        check_piece(&inbound, octets);
    }
    if writing && machine.is_body_open() {
        assert_eq!(seen.frame, None, "a frame in the midst of a text");
        machine.end_body(now).expect("a text is open");
        drain(machine, &mut seen);
    }
    seen.state = machine.state();
    seen.open = machine.open_transactions();
    seen.body_left = machine.body_left();
    seen.deadline = machine.next_deadline().map(millis);
    seen
}

/// Hands `octets` to a copy of the machine; panics where that breaks an invariant of the kit.
pub fn keeps_invariants<S: Sessions>(machine: &Connection<4, S>, now: u64, octets: &[u8])
where
    Connection<4, S>: Machine,
{
    let input = GeneralInput::Common(Input::Receive(octets));
    let stepped = invariants::step(&mut machine.clone(), Instant::from_millis(now), input);
    stepped.unwrap_or_else(|broken| panic!("{broken}"));
}

/// What is reported is what came, whatever became of it.
fn check_piece(inbound: &Inbound<'_>, octets: &[u8]) {
    let mut header = inbound.header().encode();
    // Bit 15 of data is cleared where the profile allows it; the table says where.
    header[0] |= octets[4] & 0x80;
    assert_eq!(header, octets[4..14], "the header reported");
    let length = u32::from_be_bytes(octets[..4].try_into().expect("four octets"));
    assert_eq!(inbound.piece.body_len, length - 10);
    assert_eq!((inbound.piece.offset, inbound.first()), (0, true));
    assert_eq!(inbound.body(), &octets[14..]);
    assert_eq!(inbound.last(), octets.len() as u64 == u64::from(length) + 4);
}

fn drain<S: Sessions>(machine: &mut Connection<4, S>, seen: &mut Expected) {
    let mut notices = seen.notices.iter().flatten().count();
    while let Some(action) = machine.poll_action() {
        match action {
            Action::Send(frame) => {
                assert!(seen.behind.is_none() && seen.close.is_none(), "a third frame, or one behind the end");
                let frame = frame.encode();
                let mut octets = [0; 26];
                octets[..frame.len()].copy_from_slice(&frame);
                let frame = Some(Frame { octets, len: frame.len() });
                if seen.frame.is_none() { seen.frame = frame } else { seen.behind = frame }
            }
            Action::CloseTransport(reason) => {
                assert_eq!(seen.close, None, "closed twice");
                seen.close = Some(reason);
            }
            Action::OpenTransport => {
                assert!(seen.close.is_some() && !seen.opens, "opened without a close before");
                seen.opens = true;
            }
            Action::Notify(notice) => {
                seen.notices[notices] = Some(notice);
                notices += 1;
            }
        }
    }
}

/// Does `work` for every number below `count`, on all cores; gives the sum of what it gives.
pub fn on_all_cores(count: usize, work: impl Fn(usize) -> u64 + Sync) -> u64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let share = || {
        let mut sum = 0;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return sum;
            }
            sum += work(number);
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(share)).collect();
        let mine = share();
        others.into_iter().fold(mine, |sum, other| match other.join() {
            Ok(theirs) => sum + theirs,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}
