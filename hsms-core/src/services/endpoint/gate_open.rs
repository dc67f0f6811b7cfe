//! The gate where the crate is built without trusted connections: it is always open.

use crate::services::{OwnMessage, ServiceId, Status};
use crate::time::Instant;
use crate::wire::{Header, StreamFunction, SystemBytes};

/// There is none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failure {}

#[derive(Debug, Clone)]
pub(super) struct Gate<const N: usize>;

/// What a response to a request of the handshake came to: there is none.
#[expect(dead_code, reason = "with feature `auth` all of them are made")]
pub(super) enum Step {
    NotOurs,
    Goes,
    Opened,
    Failed(Failure),
}

#[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "as with feature `auth`")]
impl<const N: usize> Gate<N> {
    pub(super) const fn open() -> Self {
        Gate
    }

    pub(super) const fn is_open(&self) -> bool {
        true
    }

    pub(super) const fn is_guarded(&self) -> bool {
        false
    }

    pub(super) const fn is_automatic(&self) -> bool {
        false
    }

    pub(super) const fn refused(&self) -> u32 {
        0
    }

    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        None
    }

    pub(super) const fn admits_service(&mut self, _: ServiceId, _: u32) -> bool {
        true
    }

    pub(super) const fn admits_unreadable(&mut self) -> bool {
        true
    }

    pub(super) const fn admits_function(&mut self, _: StreamFunction) -> bool {
        true
    }

    pub(super) const fn allows_service(&self, _: ServiceId, _: u32) -> bool {
        true
    }

    pub(super) const fn allows_function(&self, _: StreamFunction) -> bool {
        true
    }

    pub(super) const fn selected(&mut self, _: Instant) -> Result<(), Failure> {
        Ok(())
    }

    pub(super) const fn authenticate(&mut self, _: Instant) -> Result<(), Failure> {
        Ok(())
    }

    pub(super) const fn lost(&mut self) {}

    pub(super) const fn take_due(&mut self) -> Option<OwnMessage<'static>> {
        None
    }

    pub(super) fn handle_request(&mut self, _: Instant, text: &[u8]) -> (OwnMessage<'static>, Step) {
        (super::status_of(ServiceId::AUTHENTICATION, text, Status::SERVICE_OR_DATA_UNKNOWN), Step::Goes)
    }

    pub(super) const fn handle_response(&mut self, _: Instant, _: &Header, _: &[u8]) -> Step {
        Step::NotOurs
    }

    pub(super) const fn unanswered(&mut self, _: Instant, _: SystemBytes) -> Option<Failure> {
        None
    }

    pub(super) const fn handle_timeout(&mut self, _: Instant) -> Option<Failure> {
        None
    }
}
