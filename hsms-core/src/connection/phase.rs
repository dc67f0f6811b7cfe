//! The phases of a connection, each with the data that only it has.

use super::State;
use crate::time::Instant;

/// Where a connection is. The public [`State`] has E37's three names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// NOT CONNECTED, and not meant to be. T5 outlives a `disable`.
    Disabled { t5: Option<Instant> },
    /// NOT CONNECTED until T5 allows the next attempt.
    Separation { t5: Instant },
    /// NOT CONNECTED: `OpenTransport` is the next action.
    Ready,
    /// NOT CONNECTED: the adapter dials or listens.
    Opening,
    /// NOT SELECTED. T7 is absent where T6 of our Select.req guards instead.
    NotSelected { t7: Option<Instant> },
    /// SELECTED. The linktest period counts from `quiet`; `missed` linktests in a row were not answered.
    Selected { quiet: Instant, missed: u8 },
}

impl Phase {
    pub(super) const fn state(&self) -> State {
        match self {
            Phase::Disabled { .. } | Phase::Separation { .. } | Phase::Ready | Phase::Opening => State::NotConnected,
            Phase::NotSelected { .. } => State::NotSelected,
            Phase::Selected { .. } => State::Selected,
        }
    }

    pub(super) const fn connected(&self) -> bool {
        matches!(self, Phase::NotSelected { .. } | Phase::Selected { .. })
    }
}
