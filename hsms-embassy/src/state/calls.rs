//! The calls that wait: what each waits for, and what came of it.

use core::task::Waker;
use hsms_core::connection::{SessionRefusal, TransactionEnd};
use hsms_core::wire::{Header, SessionId, SystemBytes};

/// What has to change before a call looks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// Nothing but what it awaits.
    Outcome,
    /// Its turn to send, in the order of these numbers.
    Turn(u32),
    /// Room in the output.
    Room,
    /// What has been received for the application.
    Inbox,
    /// A change of state.
    State,
    /// Something to tell.
    Told,
    /// Whatever happens on the connection.
    #[cfg(feature = "services")]
    Anything,
    /// What the services tell.
    #[cfg(feature = "services")]
    Services,
}

/// What a call that has been sent awaits, and then what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaits {
    Nothing,
    /// The transport has to take the output up to here.
    Sending {
        end: u64,
    },
    /// The transport has taken it.
    Sent,
    /// The connection ended first.
    Lost,
    /// A reply.
    Reply {
        system: SystemBytes,
    },
    /// The reply is here, with this header; its text comes.
    Here {
        header: Header,
        body_len: u32,
    },
    /// No reply came, or not to its end.
    Ended(TransactionEnd),
    /// The reply was not read.
    Unread {
        header: Header,
    },
    Linktest {
        system: SystemBytes,
    },
    LinktestAnswered,
    LinktestMissed,
    /// HSMS-GS: the session to be selected, or to end.
    Session {
        session: SessionId,
        selects: bool,
    },
    SessionDone,
    SessionRefused(SessionRefusal),
}

/// A place for a call.
#[derive(Debug)]
struct Call {
    waker: Option<Waker>,
    topic: Topic,
    awaits: Awaits,
}

/// Places for `CALLS` calls.
#[derive(Debug)]
pub(crate) struct Calls<const CALLS: usize> {
    places: [Option<Call>; CALLS],
    turn: u32,
}

impl<const CALLS: usize> Calls<CALLS> {
    pub(crate) const fn new() -> Self {
        Calls { places: [const { None }; CALLS], turn: 0 }
    }

    /// A free place, which is taken from now on.
    pub(crate) fn take(&mut self) -> Option<usize> {
        let free = self.places.iter().position(Option::is_none)?;
        *self.places.get_mut(free)? = Some(Call { waker: None, topic: Topic::Outcome, awaits: Awaits::Nothing });
        Some(free)
    }

    /// The call is over.
    pub(crate) fn release(&mut self, index: usize) {
        let Some(place) = self.places.get_mut(index) else { return };
        let waited = place.take().is_some_and(|call| matches!(call.topic, Topic::Turn(_)));
        if waited {
            self.wake_turns();
        }
    }

    pub(crate) fn awaits(&self, index: usize) -> Awaits {
        self.places.get(index).and_then(Option::as_ref).map_or(Awaits::Nothing, |call| call.awaits)
    }

    /// From here on the call awaits this.
    pub(crate) fn set(&mut self, index: usize, awaits: Awaits) {
        if let Some(Some(call)) = self.places.get_mut(index) {
            call.awaits = awaits;
        }
    }

    /// The call goes on when this has changed.
    #[inline(never)]
    pub(crate) fn wait(&mut self, index: usize, topic: Topic, waker: &Waker) {
        if let Some(Some(call)) = self.places.get_mut(index) {
            call.topic = topic;
        }
        self.keep(index, waker);
    }

    /// The call goes on when what it waits for has changed.
    pub(crate) fn keep(&mut self, index: usize, waker: &Waker) {
        if let Some(Some(call)) = self.places.get_mut(index) {
            match &mut call.waker {
                Some(kept) => kept.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
    }

    /// Whether it is this call's turn to send; it gets its number with the first question.
    pub(crate) fn is_turn(&mut self, index: usize) -> bool {
        let next = self.turn;
        let Some(Some(call)) = self.places.get_mut(index) else { return false };
        let own = match call.topic {
            Topic::Turn(own) => own,
            _ => {
                call.topic = Topic::Turn(next);
                self.turn = next.wrapping_add(1);
                next
            }
        };
        // Numbers that wrap: one is before another where it is less than half a turn behind.
        let before = |other: u32| own.wrapping_sub(other) != 0 && own.wrapping_sub(other) < u32::MAX / 2;
        !self.places.iter().flatten().any(|call| matches!(call.topic, Topic::Turn(other) if before(other)))
    }

    /// The call has had its turn.
    pub(crate) fn begun(&mut self, index: usize) {
        if let Some(Some(call)) = self.places.get_mut(index) {
            call.topic = Topic::Outcome;
        }
    }

    /// Something has changed.
    #[inline(never)]
    pub(crate) fn wake(&mut self, topic: Topic) {
        for call in self.places.iter_mut().flatten().filter(|call| call.topic == topic) {
            if let Some(waker) = call.waker.take() {
                waker.wake();
            }
        }
    }

    /// It may be the turn of the next to send.
    pub(crate) fn wake_turns(&mut self) {
        for call in self.places.iter_mut().flatten().filter(|call| matches!(call.topic, Topic::Turn(_))) {
            if let Some(waker) = call.waker.take() {
                waker.wake();
            }
        }
    }

    /// Wakes the call in this place.
    pub(crate) fn wake_one(&mut self, index: usize) {
        if let Some(Some(call)) = self.places.get_mut(index)
            && let Some(waker) = call.waker.take()
        {
            waker.wake();
        }
    }

    /// Gives each call what has come of what it awaits, where something has.
    pub(crate) fn resolve(&mut self, outcome: impl Fn(Awaits) -> Option<Awaits>) {
        for call in self.places.iter_mut().flatten() {
            if let Some(outcome) = outcome(call.awaits) {
                call.awaits = outcome;
                if let Some(waker) = call.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// The place of the call that awaits the reply with these system bytes.
    pub(crate) fn find(&self, system: SystemBytes) -> Option<usize> {
        let awaited = |call: &Call| match call.awaits {
            Awaits::Reply { system: awaited } => awaited == system,
            Awaits::Here { header, .. } => header.system == system,
            _ => false,
        };
        self.places.iter().position(|place| place.as_ref().is_some_and(awaited))
    }
}
