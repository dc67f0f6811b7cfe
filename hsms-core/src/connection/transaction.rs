//! Open transactions that this end started.

use super::ControlRequest;
use crate::time::Instant;
use crate::wire::{Header, SType, SessionId, StreamFunction, SystemBytes};
use core::num::NonZeroU64;

/// An open transaction in sixteen octets: the header of its request and where its timer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) system: SystemBytes,
    session: SessionId,
    byte2: u8,
    /// The function of data; the SType of a control request.
    byte3: u8,
    pub(super) clock: Clock,
}

/// Octet 2 of a control slot: the open linktest was kept beyond T6.
const EXTENDED: u8 = 1;

impl Slot {
    /// A primary that expects a reply. Its octet 2 has the W-bit, which tells it from a control request.
    pub(super) const fn data(header: &Header, clock: Clock) -> Self {
        Slot { system: header.system, session: header.session, byte2: header.byte2, byte3: header.byte3, clock }
    }

    pub(super) const fn control(request: ControlRequest, session: SessionId, system: SystemBytes) -> Self {
        let stype = match request {
            ControlRequest::Select => SType::SELECT_REQ,
            ControlRequest::Deselect => SType::DESELECT_REQ,
            ControlRequest::Linktest => SType::LINKTEST_REQ,
        };
        Slot { system, session, byte2: 0, byte3: stype.0, clock: Clock::QUEUED }
    }

    /// Which control request this is; meaningless for data.
    pub(super) const fn request(&self) -> ControlRequest {
        match SType(self.byte3) {
            SType::SELECT_REQ => ControlRequest::Select,
            SType::DESELECT_REQ => ControlRequest::Deselect,
            _ => ControlRequest::Linktest,
        }
    }

    /// The header of this control request.
    pub(super) const fn request_header(&self) -> Header {
        Header { stype: SType(self.byte3), ..Header::linktest_req(self.system).with_session(self.session) }
    }

    /// The SType of the request.
    pub(super) const fn stype(&self) -> SType {
        if self.byte2 & 0x80 != 0 { SType::DATA } else { SType(self.byte3) }
    }

    /// The session of the request.
    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    /// Whether the session of this primary has ended, which is still to be told.
    pub(super) const fn is_void(&self) -> bool {
        self.byte2 & 0x80 == 0
    }

    /// The session of this primary has ended. Nothing is awaited any more.
    pub(super) const fn make_void(&mut self) {
        self.byte2 &= 0x7F;
        self.clock = Clock::ARRIVING;
    }

    /// The header of the primary.
    pub(super) const fn header(&self) -> Header {
        Header::data(self.system, self.stream_function(), true, self.session)
    }

    const fn stream_function(&self) -> StreamFunction {
        StreamFunction::new(self.byte2 & 0x7F, self.byte3)
    }

    /// Whether `header` is the reply to this primary, or its abort (E37 9.4.1). System bytes have been compared.
    pub(super) const fn is_answered_by(&self, header: &Header, session: SessionId) -> bool {
        session.0 == self.session.0
            && header.stream() == self.byte2 & 0x7F
            && (header.byte3 == self.byte3.wrapping_add(1) || header.byte3 == 0)
    }

    /// Notes that the linktest is kept beyond T6; tells whether that is new.
    pub(super) const fn extend(&mut self) -> bool {
        let new = self.byte2 & EXTENDED == 0;
        self.byte2 |= EXTENDED;
        new
    }
}

/// Where a transaction's timer is, in eight octets with room for `Option`'s tag: two bits say which of the four cases it
/// is, the others hold its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Clock(NonZeroU64);

/// The cases of a [`Clock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The request waits in the action queue.
    Queued,
    /// So many octets have to be written until the request is on its way (E37 9.4.1: T3 counts from there).
    Sending(u64),
    /// The timer runs until then.
    Running(Instant),
    /// The reply's header has come; T8 guards the rest.
    Arriving,
}

const TAG: u64 = 0b11 << 62;
const SENDING: u64 = 0b01 << 62;
const QUEUED: u64 = 0b10 << 62;
const ARRIVING: u64 = TAG;
/// The last deadline that leaves the tag alone, in milliseconds plus one.
const LATEST: u64 = SENDING - 1;

impl Clock {
    pub(super) const QUEUED: Clock = Clock(NonZeroU64::MIN.saturating_add(QUEUED - 1));
    pub(super) const ARRIVING: Clock = Clock(NonZeroU64::MIN.saturating_add(ARRIVING - 1));

    /// So many octets have to be written first. 62 bits hold a stream of 146 years at 1 GB/s.
    pub(super) fn sending(octets: u64) -> Self {
        const TAGGED: NonZeroU64 = NonZeroU64::MIN.saturating_add(SENDING - 1);
        Clock(TAGGED | (octets & !TAG))
    }

    /// The timer runs until `deadline`, or for 146 million years where that is later.
    pub(super) const fn running(deadline: Instant) -> Self {
        if deadline.raw().get() < LATEST {
            Clock(deadline.raw())
        } else {
            Clock(NonZeroU64::MIN.saturating_add(LATEST - 1))
        }
    }

    /// So many octets more have been written. Where that was the last one, the timer runs for `span` milliseconds from `now`.
    #[inline]
    pub(super) fn written(&mut self, octets: u64, now: Instant, span: u32) {
        let Reading::Sending(left) = self.reading() else { return };
        *self = match left.checked_sub(octets) {
            None | Some(0) => Clock::running(now.plus_millis(span.into())),
            Some(left) => Clock::sending(left),
        };
    }

    /// The same, out of line: for requests that are rare.
    #[inline(never)]
    pub(super) fn written_apart(&mut self, octets: u64, now: Instant, span: u32) {
        self.written(octets, now, span);
    }

    /// Time stood still for so many milliseconds.
    #[inline(never)]
    pub(super) const fn postpone(&mut self, millis: u64) {
        if let Reading::Running(deadline) = self.reading() {
            *self = Clock::running(deadline.plus_millis(millis));
        }
    }

    #[inline]
    pub(super) const fn reading(self) -> Reading {
        let value = self.0.get();
        match value & TAG {
            0 => Reading::Running(Instant::from_raw(self.0)),
            SENDING => Reading::Sending(value & !TAG),
            QUEUED => Reading::Queued,
            _ => Reading::Arriving,
        }
    }

    /// The deadline, where the timer runs.
    #[inline]
    pub(super) const fn deadline(self) -> Option<Instant> {
        match self.reading() {
            Reading::Running(deadline) => Some(deadline),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reads_as_it_was_set() {
        for octets in [0, 1, 14, u64::from(u32::MAX), (1 << 62) - 1] {
            assert_eq!(Clock::sending(octets).reading(), Reading::Sending(octets));
        }
        for millis in [0, 1, 45_000, LATEST - 1] {
            assert_eq!(Clock::running(Instant::from_millis(millis)).deadline(), Some(Instant::from_millis(millis)));
        }
        let never = Clock::running(Instant::from_millis(u64::MAX)).deadline();
        assert_eq!(never, Some(Instant::from_millis(LATEST - 1)));
        for other in [Clock::QUEUED, Clock::ARRIVING, Clock::running(Instant::EPOCH)] {
            let mut clock = other;
            clock.written(u64::MAX, Instant::EPOCH, 9);
            assert_eq!(clock, other);
        }
        let mut clock = Clock::sending(10);
        clock.written(9, Instant::EPOCH, 9);
        assert_eq!(clock.reading(), Reading::Sending(1));
        clock.written(1, Instant::EPOCH, 9);
        assert_eq!(clock.deadline(), Some(Instant::from_millis(9)));
        assert_eq!(Clock::QUEUED.reading(), Reading::Queued);
        assert_eq!(Clock::ARRIVING.reading(), Reading::Arriving);
        assert_eq!(size_of::<Option<Slot>>(), 16);
    }
}
