//! Whether messages may flow: a secret asks for trust first, and without one it counts as given.

use crate::services::trust::{
    BeforeTrust, CHALLENGE_LEN, Secret, Trust, TrustError, TrustFailure, TrustMessage, TrustState, TrustStep,
};
use crate::services::{OwnMessage, ServiceId, Status};
use crate::time::Instant;
use crate::wire::{Header, StreamFunction, SystemBytes};

/// Why there is no trust.
pub(super) type Failure = TrustFailure;

#[derive(Debug, Clone)]
pub(super) struct Gate<const N: usize> {
    guard: Option<Guard<N>>,
}

#[derive(Debug, Clone)]
struct Guard<const N: usize> {
    trust: Trust,
    secret: Secret,
    challenge: fn() -> [u8; CHALLENGE_LEN],
    before: BeforeTrust<N>,
    /// Whether the client begins by itself.
    automatic: bool,
    /// The client's next request.
    due: Option<TrustMessage>,
}

/// What a response to the client's request came to.
pub(super) enum Step {
    NotOurs,
    /// The next request is due.
    Goes,
    Opened,
    Failed(Failure),
}

impl<const N: usize> Gate<N> {
    pub(super) const fn open() -> Self {
        Gate { guard: None }
    }

    /// From here on a secret asks for trust.
    pub(super) fn guard(
        &mut self,
        trust: Trust,
        secret: Secret,
        challenge: fn() -> [u8; CHALLENGE_LEN],
        before: BeforeTrust<N>,
        automatic: bool,
    ) {
        self.guard = Some(Guard { trust, secret, challenge, before, automatic, due: None });
    }

    pub(super) fn is_open(&self) -> bool {
        self.guard.as_ref().is_none_or(|guard| guard.trust.is_trusted())
    }

    /// Whether a secret asks for trust.
    pub(super) fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// Whether a client begins the handshake by itself.
    pub(super) fn is_automatic(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.automatic)
    }

    pub(super) fn state(&self) -> Option<TrustState> {
        self.guard.as_ref().map(|guard| guard.trust.state())
    }

    pub(super) fn refused(&self) -> u32 {
        self.guard.as_ref().map_or(0, |guard| guard.before.refused())
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.guard.as_ref().and_then(|guard| guard.trust.next_deadline())
    }

    pub(super) fn admits_service(&mut self, service: ServiceId, data_id: u32) -> bool {
        self.guard.as_mut().is_none_or(|guard| guard.before.admits_service(&guard.trust, service, data_id))
    }

    pub(super) fn admits_unreadable(&mut self) -> bool {
        self.guard.as_mut().is_none_or(|guard| guard.before.admits_unreadable(&guard.trust))
    }

    pub(super) fn admits_function(&mut self, what: StreamFunction) -> bool {
        self.guard.as_mut().is_none_or(|guard| guard.before.admits_function(&guard.trust, what))
    }

    pub(super) fn allows_service(&self, service: ServiceId, data_id: u32) -> bool {
        self.guard.as_ref().is_none_or(|guard| guard.before.allows_service(&guard.trust, service, data_id))
    }

    pub(super) fn allows_function(&self, what: StreamFunction) -> bool {
        self.guard.as_ref().is_none_or(|guard| guard.before.allows_function(&guard.trust, what))
    }

    pub(super) fn selected(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(guard) = &mut self.guard else { return Ok(()) };
        guard.due = guard.trust.selected(now, guard.challenge).map_err(failure)?;
        Ok(())
    }

    /// Begins the handshake where none is under way.
    pub(super) fn authenticate(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(guard) = &mut self.guard else { return Ok(()) };
        match guard.trust.authenticate(now, (guard.challenge)()) {
            Ok(message) => guard.due = Some(message),
            Err(TrustError::UnderWay) => {}
            Err(error) => return Err(failure(error)),
        }
        Ok(())
    }

    pub(super) fn lost(&mut self) {
        if let Some(guard) = &mut self.guard {
            guard.trust.lost();
            guard.due = None;
        }
    }

    /// The client's request to send now.
    pub(super) fn take_due(&mut self) -> Option<OwnMessage<'static>> {
        self.guard.as_mut()?.due.take().map(OwnMessage::Trust)
    }

    /// Gives whether the response is waited for.
    pub(super) fn sent(&mut self, system: SystemBytes) -> bool {
        self.guard.as_mut().is_some_and(|guard| guard.trust.sent(system))
    }

    /// It could not be sent for now.
    pub(super) fn send_later(&mut self, message: TrustMessage) {
        if let Some(guard) = &mut self.guard
            && matches!(guard.trust.state(), TrustState::SeedRequested | TrustState::KeySent)
        {
            guard.due = Some(message);
        }
    }

    pub(super) fn not_sent(&mut self, now: Instant) -> Option<Failure> {
        self.guard.as_mut()?.trust.not_sent(now)
    }

    /// What answers a request of the peer, and what it came to.
    pub(super) fn handle_request(&mut self, now: Instant, text: &[u8]) -> (OwnMessage<'static>, Step) {
        let Some(guard) = &mut self.guard else { return (unknown(text), Step::Goes) };
        let was_open = guard.trust.is_trusted();
        let answer = guard.trust.handle_request(now, &guard.secret, guard.challenge, text);
        let step = match answer.failure {
            Some(failure) => Step::Failed(failure),
            None if !was_open && guard.trust.is_trusted() => Step::Opened,
            None => Step::Goes,
        };
        (OwnMessage::Trust(answer.response), step)
    }

    pub(super) fn handle_response(&mut self, now: Instant, header: &Header, text: &[u8]) -> Step {
        let Some(guard) = &mut self.guard else { return Step::NotOurs };
        if header.stream_function().is_abort() {
            return guard.trust.unanswered(now, header.system).map_or(Step::NotOurs, Step::Failed);
        }
        match guard.trust.handle_response(now, &guard.secret, header, text) {
            TrustStep::NotOurs => Step::NotOurs,
            TrustStep::Send(message) => {
                guard.due = Some(message);
                Step::Goes
            }
            TrustStep::Trusted => Step::Opened,
            TrustStep::Failed(failure) => Step::Failed(failure),
        }
    }

    pub(super) fn unanswered(&mut self, now: Instant, system: SystemBytes) -> Option<Failure> {
        self.guard.as_mut().and_then(|guard| guard.trust.unanswered(now, system))
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Failure> {
        let guard = self.guard.as_mut()?;
        let failure = guard.trust.handle_timeout(now)?;
        guard.due = None;
        Some(failure)
    }
}

/// Of a handshake that nobody has asked for.
fn unknown(text: &[u8]) -> OwnMessage<'static> {
    super::status_of(ServiceId::AUTHENTICATION, text, Status::SERVICE_OR_DATA_UNKNOWN)
}

const fn failure(error: TrustError) -> Failure {
    match error {
        TrustError::TooManyFailures { .. } => TrustFailure::TooManyFailures,
        TrustError::ChallengeRepeated => TrustFailure::ChallengeRepeated,
        TrustError::NoSecret | TrustError::NotClient | TrustError::UnderWay => TrustFailure::Unexpected,
    }
}
