//! Two ends prove to each other that they know one secret, before anything else is said.

mod before;
mod error;
mod message;

pub use before::BeforeTrust;
pub use error::{SecretTooShort, TrustError, TrustFailure};
pub use message::TrustMessage;

use super::Status;
use crate::config::ConnectMode;
use crate::time::Instant;
use crate::wire::{Header, SessionId, SystemBytes};
use core::fmt;
use core::num::NonZeroU8;
use core::time::Duration;
use hmac::KeyInit;
use hmac::block_api::HmacCore;
use hmac::digest::block_api::{Buffer, CoreProxy, FixedOutputCore, UpdateCore};
use hmac::digest::{CtOutput, Output};
use sha2::Sha256;
use zeroize::Zeroize;

/// Octets of a challenge, and of a proof.
pub const CHALLENGE_LEN: usize = 32;

/// What every proof begins with, so that it proves nothing in another protocol.
pub const PROOF_LABEL: &[u8; 24] = b"HSMS trusted connection1";

/// What both ends know and nobody else. It is never printed, and overwritten when it is dropped.
///
/// What is overwritten and what is not:
/// * With feature `alloc` it takes one allocation, so that moving it leaves no copy behind.
/// * Without, its octets stand in the value: the drop overwrites them where they are then, and not where the secret, or an endpoint that has
///   it, was moved from. To make either moves it, as the compiler sees fit: only the heap rules a copy out.
/// * What HMAC and SHA-256 keep of it is overwritten by them after each proof, but for one block on the stack: the key with each
///   octet changed by the constant of HMAC, which stays until other calls write there.
/// * Challenges and proofs are not overwritten: they go over the connection as they are.
///
/// It is the key of HMAC-SHA-256: octets of 0 at its end, up to 64 in all, and none are the same key.
#[derive(Clone)]
pub struct Secret {
    key: Key,
}

/// Where there is a heap the octets stay in one place, and nothing is left of them where a secret has been moved from.
#[cfg(feature = "alloc")]
type Key = alloc::boxed::Box<[u8; 64]>;
#[cfg(not(feature = "alloc"))]
type Key = [u8; 64];

impl Secret {
    /// The least octets of a secret.
    pub const MIN_LEN: usize = 16;

    /// A secret of these octets: random ones at best, since whoever sees a handshake can try guesses at leisure. Of more than 64 octets it
    /// is their SHA-256, as HMAC has it. The octets given stay the caller's to overwrite.
    ///
    /// # Errors
    /// [`SecretTooShort`] of fewer than [`MIN_LEN`](Self::MIN_LEN) octets.
    pub fn new(octets: &[u8]) -> Result<Secret, SecretTooShort> {
        if octets.len() < Secret::MIN_LEN {
            return Err(SecretTooShort { octets: octets.len() });
        }
        let mut secret = Secret { key: Key::from([0; 64]) };
        if octets.len() > secret.key.len() {
            shorten(octets, &mut secret.key);
        } else {
            fill(&mut secret.key, octets);
        }
        Ok(secret)
    }

    /// HMAC-SHA-256 over the label, who proves (`C` or `S`), the session id, and the challenges of client and server.
    fn proof(
        &self,
        prover: ConnectMode,
        session: SessionId,
        client: &Octets,
        server: &Octets,
    ) -> CtOutput<HmacCore<Sha256>> {
        let who = match prover {
            ConnectMode::Active => b"C",
            ConnectMode::Passive => b"S",
        };
        let mut hmac = keyed(&self.key);
        hash(&mut hmac, &[PROOF_LABEL.as_slice(), who, &session.0.to_be_bytes(), client, server])
    }
}

// Proofs take more stack than all else. So the two parts of one stand in functions of their own, of which neither has room for the other's
// blocks, and no hash is handed on by value, as `Mac::finalize` does: each copy is another 150 octets.

#[inline(never)]
fn keyed(key: &[u8; 64]) -> HmacCore<Sha256> {
    HmacCore::new(key.into())
}

#[inline(never)]
fn hash(hmac: &mut HmacCore<Sha256>, parts: &[&[u8]]) -> CtOutput<HmacCore<Sha256>> {
    let mut buffer = Buffer::<HmacCore<Sha256>>::default();
    for part in parts {
        buffer.digest_blocks(part, |blocks| hmac.update_blocks(blocks));
    }
    let mut proof = Output::<HmacCore<Sha256>>::default();
    hmac.finalize_fixed_core(&mut buffer, &mut proof);
    CtOutput::new(proof)
}

/// What a secret that is longer than a block counts as, as HMAC has it.
#[cold]
#[inline(never)]
fn shorten(octets: &[u8], key: &mut [u8; 64]) {
    type Core = <Sha256 as CoreProxy>::Core;
    let (mut hash, mut buffer) = (Core::default(), Buffer::<Core>::default());
    buffer.digest_blocks(octets, |blocks| hash.update_blocks(blocks));
    let mut digest = Output::<Core>::default();
    hash.finalize_fixed_core(&mut buffer, &mut digest);
    fill(key, &digest);
    digest.as_mut_slice().zeroize();
}

fn fill(key: &mut [u8; 64], octets: &[u8]) {
    for (to, from) in key.iter_mut().zip(octets) {
        *to = *from;
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.key.as_mut_slice().zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Secret {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Secret(..)");
    }
}

type Octets = [u8; CHALLENGE_LEN];

/// How far the proofs are. A client is in states 0, 1, 3 and 4, a server in 0, 2 and 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TrustState {
    /// 0: nothing is proven.
    Untrusted,
    /// 1: the client waits for the server's challenge.
    SeedRequested,
    /// 2: the server waits for the client's proof.
    SeedSent,
    /// 3: the client waits for the server's proof.
    KeySent,
    /// 4: each end has verified the other's proof.
    Trusted,
}

impl TrustState {
    /// The number, 0 to 4.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            TrustState::Untrusted => 0,
            TrustState::SeedRequested => 1,
            TrustState::SeedSent => 2,
            TrustState::KeySent => 3,
            TrustState::Trusted => 4,
        }
    }
}

impl fmt::Display for TrustState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrustState::Untrusted => "Untrusted Connection",
            TrustState::SeedRequested => "Seed was requested",
            TrustState::SeedSent => "Seed has been sent",
            TrustState::KeySent => "Key has been sent",
            TrustState::Trusted => "Trusted Connection",
        })
    }
}

/// Whether, and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TrustSettings {
    /// Whether there is a secret. Where there is none, trust counts as given.
    pub required: bool,
    /// Whether the client asks as soon as the connection is SELECTED.
    pub automatic: bool,
    /// How long it may take, from the first request (client) or the challenge (server) on. Any time; of none every handshake is late.
    pub patience: Duration,
    /// So many failures, 1 to 255, ... Wrong proofs and missing ones count, and refusals that came to a client; not what answers nothing
    /// that was asked. Counted from the first on: around the end of one such time and the begin of the next more can come together.
    ///
    /// It is a limit on guesses, over all links: whoever can connect in the client's place, or put messages into its connection, can use
    /// it up with wrong proofs, and so keep the client out for this time.
    pub failures: NonZeroU8,
    /// ... in this time are the last: until it has passed nothing is asked and every request is refused. Of none there is no limit.
    pub within: Duration,
}

impl Default for TrustSettings {
    /// Required and automatic; 2 seconds; 5 failures in 60 seconds.
    fn default() -> Self {
        TrustSettings {
            required: true,
            automatic: true,
            patience: Duration::from_secs(2),
            failures: NonZeroU8::MIN.saturating_add(4),
            within: Duration::from_secs(60),
        }
    }
}

/// One end of a trusted connection: challenge and response by HMAC-SHA-256, by both ends. The active end is the client, the passive one the
/// server.
///
/// | | service message | data |
/// |---|---|---|
/// | client | request, data id [`TrustMessage::SEED`] | its challenge, `<B [32]>` |
/// | server | response, data id [`TrustMessage::SEED`], status 0 | its challenge, `<B [32]>` |
/// | client | request, data id [`TrustMessage::KEY`] | its proof, `<B [32]>` |
/// | server | response, data id [`TrustMessage::KEY`], status 0 | its proof, `<B [32]>` |
///
/// A proof is HMAC-SHA-256 with the secret as key, over [`PROOF_LABEL`], `C` or `S` for the end that proves, the session id in two octets, the
/// client's challenge and the server's. So a proof that was seen before, one's own, and one made for another session prove nothing.
///
/// It does not encrypt, and it does not protect the messages that follow: whoever can change octets on the way, or takes over the
/// transport, is not kept out, and an end that passes all messages on between the two is not noticed. Whoever can put a message into the
/// connection can end the handshake, or the trust there is, with a request of it, and use up the [limit](TrustSettings::failures). That takes TLS.
///
/// It has no clock, no randomness and no secret of its own: they are lent to each call, so that one secret serves any number of
/// connections. It outlives the link: tell it of the end of one with [`lost`](Self::lost).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Trust {
    mode: ConnectMode,
    session: SessionId,
    settings: TrustSettings,
    state: TrustState,
    /// Our challenge. It is kept, so that a source of randomness that repeats itself is noticed.
    own: Octets,
    /// The peer's.
    peer: Octets,
    /// The client's request that is open.
    request: Option<SystemBytes>,
    deadline: Option<Instant>,
    failed: u8,
    /// When the first of them was.
    failed_since: Instant,
}

/// What a response made of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum TrustStep {
    /// It belongs to no open request of the handshake.
    NotOurs,
    /// Send this as the next request, and tell [`sent`](Trust::sent).
    Send(TrustMessage),
    /// Both ends have proven the secret.
    Trusted,
    /// The handshake is over, and the connection untrusted.
    Failed(TrustFailure),
}

/// What a server does about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct TrustAnswer {
    /// The response to send.
    pub response: TrustMessage,
    /// Why the handshake failed, if it did. Where it did not, [`state`](Trust::state) tells how far the proofs are: as far as before of a
    /// request that is none of the handshake, which is answered with [`Status::SERVICE_OR_DATA_UNKNOWN`].
    pub failure: Option<TrustFailure>,
}

impl Trust {
    /// Untrusted, or trusted where trust is not required.
    #[must_use]
    pub const fn new(mode: ConnectMode, session: SessionId, settings: TrustSettings) -> Self {
        Trust {
            mode,
            session,
            settings,
            state: TrustState::Untrusted,
            own: [0; CHALLENGE_LEN],
            peer: [0; CHALLENGE_LEN],
            request: None,
            deadline: None,
            failed: 0,
            failed_since: Instant::EPOCH,
        }
    }

    /// How far the proofs are.
    #[must_use]
    pub const fn state(&self) -> TrustState {
        self.state
    }

    /// Whether messages may flow: the peer has proven the secret, or there is none.
    #[must_use]
    pub const fn is_trusted(&self) -> bool {
        !self.settings.required || matches!(self.state, TrustState::Trusted)
    }

    /// Until when nothing is tried because too much has failed.
    #[must_use]
    pub fn blocked_until(&self, now: Instant) -> Option<Instant> {
        let until = self.failed_since.saturating_add(self.settings.within);
        (self.failed >= self.settings.failures.get() && now < until).then_some(until)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Begins the handshake, also where the connection is trusted already: until it ends, it is not. `challenge` has to be fresh:
    /// 32 octets that nobody can foresee. Zeros alone are refused always: a source that fails can give them. Send what it gives, and tell
    /// [`sent`](Self::sent).
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn authenticate(&mut self, now: Instant, challenge: [u8; CHALLENGE_LEN]) -> Result<TrustMessage, TrustError> {
        if !self.settings.required {
            return Err(TrustError::NoSecret);
        }
        if self.mode != ConnectMode::Active {
            return Err(TrustError::NotClient);
        }
        if matches!(self.state, TrustState::SeedRequested | TrustState::KeySent) {
            return Err(TrustError::UnderWay);
        }
        if let Some(until) = self.blocked_until(now) {
            return Err(TrustError::TooManyFailures { until });
        }
        if self.is_stale(&challenge) {
            return Err(TrustError::ChallengeRepeated);
        }
        self.own = challenge;
        self.state = TrustState::SeedRequested;
        self.deadline = Some(now.saturating_add(self.settings.patience));
        Ok(TrustMessage::of(TrustMessage::SEED, challenge))
    }

    /// The connection became SELECTED: [`authenticate`](Self::authenticate), where it is this end's part to do so by itself.
    ///
    /// # Errors
    /// Those of `authenticate` that are left.
    pub fn selected(
        &mut self,
        now: Instant,
        challenge: impl FnOnce() -> [u8; CHALLENGE_LEN],
    ) -> Result<Option<TrustMessage>, TrustError> {
        self.lost();
        if self.mode != ConnectMode::Active || !self.settings.required || !self.settings.automatic {
            return Ok(None);
        }
        self.authenticate(now, challenge()).map(Some)
    }

    /// The client's request went out under these system bytes. Gives whether its response is waited for: not where its handshake has ended
    /// before.
    pub const fn sent(&mut self, system: SystemBytes) -> bool {
        let awaited = matches!(self.state, TrustState::SeedRequested | TrustState::KeySent);
        if awaited {
            self.request = Some(system);
        }
        awaited
    }

    /// A response came to the client.
    pub fn handle_response(&mut self, now: Instant, secret: &Secret, header: &Header, text: &[u8]) -> TrustStep {
        if self.request != Some(header.system) {
            return TrustStep::NotOurs;
        }
        self.request = None;
        let message = match TrustMessage::read(text) {
            Ok(message) => message,
            Err(error) => return TrustStep::Failed(self.fail(now, TrustFailure::Malformed(error))),
        };
        if message.status != Status::OKAY {
            return TrustStep::Failed(self.fail(now, TrustFailure::Refused(message.status)));
        }
        match (self.state, message.data_id, message.octets) {
            (TrustState::SeedRequested, TrustMessage::SEED, Some(challenge)) => {
                self.peer = challenge;
                self.state = TrustState::KeySent;
                TrustStep::Send(TrustMessage::of(TrustMessage::KEY, self.prove(secret)))
            }
            (TrustState::KeySent, TrustMessage::KEY, proof) => match proof {
                Some(proof) if self.verify(secret, &proof) => {
                    self.trusted();
                    TrustStep::Trusted
                }
                // None is as good as a wrong one.
                _ => TrustStep::Failed(self.fail(now, TrustFailure::WrongProof)),
            },
            _ => TrustStep::Failed(self.fail(now, TrustFailure::Unexpected)),
        }
    }

    /// The client's request with these system bytes ended without a response: T3, abort, reject, or the end of its session.
    /// `None` where it is not one of the handshake.
    pub fn unanswered(&mut self, now: Instant, system: SystemBytes) -> Option<TrustFailure> {
        (self.request == Some(system)).then(|| self.fail(now, TrustFailure::Unanswered))
    }

    /// The client's request could not be sent, so that there are no system bytes to tell. `None` where there is none to be sent. Without it
    /// the handshake ends at its [deadline](Self::next_deadline).
    pub fn not_sent(&mut self, now: Instant) -> Option<TrustFailure> {
        let unsent = matches!(self.state, TrustState::SeedRequested | TrustState::KeySent) && self.request.is_none();
        unsent.then(|| self.fail(now, TrustFailure::Unanswered))
    }

    /// A request came to the server. `challenge` is asked for where one is needed; it has to be fresh, as that of
    /// [`authenticate`](Self::authenticate).
    pub fn handle_request(
        &mut self,
        now: Instant,
        secret: &Secret,
        challenge: impl FnOnce() -> [u8; CHALLENGE_LEN],
        text: &[u8],
    ) -> TrustAnswer {
        let message = match TrustMessage::read(text) {
            Ok(message) => message,
            Err(error) => {
                return self.refuse(now, TrustMessage::SEED, Status::CHECKSUM_ERROR, TrustFailure::Malformed(error));
            }
        };
        let data_id = message.data_id;
        if !self.settings.required || self.mode != ConnectMode::Passive || data_id > TrustMessage::KEY {
            // No message of the handshake, and nothing ends with it.
            let unknown = Status::SERVICE_OR_DATA_UNKNOWN;
            return TrustAnswer { response: TrustMessage { data_id, status: unknown, octets: None }, failure: None };
        }
        let denied = Status::OPERATION_NOT_PERMITTED;
        if self.blocked_until(now).is_some() {
            return self.refuse(now, data_id, denied, TrustFailure::TooManyFailures);
        }
        match (self.state, data_id, message.octets) {
            (_, TrustMessage::SEED, Some(client)) => {
                let own = challenge();
                if self.is_stale(&own) {
                    return self.refuse(now, data_id, denied, TrustFailure::ChallengeRepeated);
                }
                (self.own, self.peer, self.state) = (own, client, TrustState::SeedSent);
                self.deadline = Some(now.saturating_add(self.settings.patience));
                TrustAnswer { response: TrustMessage::of(TrustMessage::SEED, own), failure: None }
            }
            (TrustState::SeedSent, TrustMessage::KEY, Some(proof)) if self.verify(secret, &proof) => {
                self.trusted();
                TrustAnswer { response: TrustMessage::of(TrustMessage::KEY, self.prove(secret)), failure: None }
            }
            (TrustState::SeedSent, TrustMessage::KEY, _) => self.refuse(now, data_id, denied, TrustFailure::WrongProof),
            _ => self.refuse(now, data_id, denied, TrustFailure::Unexpected),
        }
    }

    /// Time has passed. Gives a failure where the handshake took too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<TrustFailure> {
        self.deadline.is_some_and(|deadline| deadline <= now).then(|| self.fail(now, TrustFailure::TimedOut))
    }

    /// The link, or its selection, is gone: whoever comes next has proven nothing. Failures stay counted.
    pub const fn lost(&mut self) {
        self.state = TrustState::Untrusted;
        self.peer = [0; CHALLENGE_LEN];
        self.request = None;
        self.deadline = None;
    }

    const fn trusted(&mut self) {
        self.state = TrustState::Trusted;
        self.deadline = None;
    }

    fn refuse(&mut self, now: Instant, data_id: u32, status: Status, failure: TrustFailure) -> TrustAnswer {
        let response = TrustMessage { data_id, status, octets: None };
        TrustAnswer { response, failure: Some(self.fail(now, failure)) }
    }

    fn fail(&mut self, now: Instant, failure: TrustFailure) -> TrustFailure {
        self.lost();
        if failure.counts() {
            if self.failed == 0 || now >= self.failed_since.saturating_add(self.settings.within) {
                (self.failed, self.failed_since) = (0, now);
            }
            self.failed = self.failed.saturating_add(1);
        }
        failure
    }

    /// Whether this is no challenge of ours: the last one again, or nothing but zeros, which is what a source without randomness leaves.
    fn is_stale(&self, own: &Octets) -> bool {
        *own == self.own || *own == [0; CHALLENGE_LEN]
    }

    fn prove(&self, secret: &Secret) -> Octets {
        self.proof_of(secret, self.mode).into_bytes().into()
    }

    /// Whether the peer proved it. In constant time.
    fn verify(&self, secret: &Secret, proof: &Octets) -> bool {
        let prover = match self.mode {
            ConnectMode::Active => ConnectMode::Passive,
            ConnectMode::Passive => ConnectMode::Active,
        };
        self.proof_of(secret, prover) == CtOutput::new((*proof).into())
    }

    fn proof_of(&self, secret: &Secret, prover: ConnectMode) -> CtOutput<HmacCore<Sha256>> {
        let (client, server) = match self.mode {
            ConnectMode::Active => (&self.own, &self.peer),
            ConnectMode::Passive => (&self.peer, &self.own),
        };
        secret.proof(prover, self.session, client, server)
    }
}
