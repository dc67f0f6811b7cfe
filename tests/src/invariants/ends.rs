//! What has to hold of the two ends of one link.

use super::{Broken, Invariant, hold};
use crate::machine::Machine;
use hsms_core::connection::State;
use hsms_core::wire::{Header, SType};

/// What an end has said about being SELECTED since its link began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Said {
    /// It sent a Select.req.
    selects: bool,
    /// It sent a Select.rsp with status 0.
    accepts: bool,
}

impl Said {
    /// Nothing.
    pub const NOTHING: Said = Said { selects: false, accepts: false };

    /// It sent this too.
    pub fn note(&mut self, header: &Header) {
        self.selects |= header.stype == SType::SELECT_REQ;
        self.accepts |= header.stype == SType::SELECT_RSP && header.byte3 == 0;
    }
}

/// Two ends of one link, with what each has said there: one that is SELECTED was accepted by the other, or has accepted what the
/// other asked for. This holds at any moment.
///
/// # Errors
/// [`Invariant::SelectedMeansAccepted`].
pub fn selected_means_accepted<A: Machine, B: Machine>(a: (&A, Said), b: (&B, Said)) -> Result<(), Broken> {
    for (at, state, here, there) in [(0, a.0.state(), a.1, b.1), (1, b.0.state(), b.1, a.1)] {
        let agreed = there.accepts || here.accepts && there.selects;
        hold(Invariant::SelectedMeansAccepted, state != State::Selected || agreed, || {
            format!("end {at} is SELECTED and {here:?}, the other {there:?}:\n{:?}\n{:?}", a.0, b.0)
        })?;
    }
    Ok(())
}

/// Two ends of one link between which nothing is under way, no octet, no request and no answer: both are SELECTED or neither is, and in the same
/// sessions.
///
/// # Errors
/// [`Invariant::EndsAgree`].
pub fn ends_agree<A: Machine, B: Machine>(a: &A, b: &B) -> Result<(), Broken> {
    let same = a.state() == b.state() && (!A::GENERAL || same(a.sessions(), b.sessions()));
    hold(Invariant::EndsAgree, same, || {
        let (of_a, of_b) = (a.sessions(), b.sessions());
        format!("one end is {} {of_a:?}, the other {} {of_b:?}:\n{a:?}\n{b:?}", a.state(), b.state())
    })
}

type Sessions = heapless::Vec<hsms_core::wire::SessionId, 4>;

fn same(mut a: Sessions, mut b: Sessions) -> bool {
    a.sort_unstable_by_key(|session| session.0);
    b.sort_unstable_by_key(|session| session.0);
    a == b
}
