//! `Arbitrary` for every public value but those of SECS-II. Without octets each gives its simplest value.

use crate::collect::{CollectError, Collected, NoMemory};
use crate::config::{
    Config, ConfigError, ConnectMode, DeviceId, DeviceIds, Entity, Field, MAX_DEVICE_IDS, Profile, SelectMode,
};
use crate::connection::{
    Action, Admission, Class, CloseReason, ControlFrame, ControlRequest, Event, FrameOctets, General, GeneralInput,
    Inbound, Input, Leniency, Mode, Notice, Outcome, ReplyToken, SessionEnd, SessionEntity, SessionRefusal,
    SessionsError, Single, State, Stray, Stream9, TransactionEnd,
};
use crate::counters::{Closes, Counters, Leniencies, Messages, Rejects, Strays, Timeouts, Traffic, TransactionEnds};
use crate::error::{Error, Fault};
use crate::frame::{LengthTooShort, Piece};
use crate::time::{Instant, WrappingTick};
use crate::wire::{
    BodyTooLong, DeselectStatus, EncodeError, HEADER_LEN, Header, Hex, Kind, MAX_BODY_LEN, Message, PType, ParseError,
    RejectReason, SType, SelectStatus, SessionId, StreamFunction, SystemBytes, TransactionKind,
};
use alloc::vec::Vec;
use arbitrary::{Arbitrary, Result, Unstructured};
use core::time::Duration;

/// Fields in their order, each by its own type.
macro_rules! structs {
    ( $( $name:ident $(<$life:lifetime>)? { $( $field:ident ),* } )* ) => { $(
        impl<'a> Arbitrary<'a> for $name $(<$life>)? {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                let _ = &u;
                Ok($name { $( $field: u.arbitrary()? ),* })
            }
        }
    )* };
}
#[cfg(feature = "secs2")]
pub(super) use structs;

/// A variant, then its fields. The first is the simplest.
macro_rules! enums {
    ( $( $name:ident $(<$life:lifetime>)? {
        $( $( #[$meta:meta] )* $variant:ident $( ( $( $place:ident ),* ) )? $( { $( $field:ident ),* } )? ),* $(,)?
    } )* ) => { $(
        impl<'a> Arbitrary<'a> for $name $(<$life>)? {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                type Make<'a, T> = fn(&mut Unstructured<'a>) -> Result<T>;
                let makers: &[Make<'a, Self>] = &[ $( $( #[$meta] )* |u| {
                    let _ = &u;
                    $( $( let $place = u.arbitrary()?; )* )?
                    Ok($name::$variant $( ( $( $place ),* ) )? $( { $( $field: u.arbitrary()? ),* } )?)
                } ),* ];
                // Where a variant is missing this does not compile.
                let _: fn(&Self) = |value| match value { $( $( #[$meta] )* $name::$variant { .. } => {} ),* };
                u.choose(makers)?(u)
            }
        }
    )* };
}
#[cfg(feature = "secs2")]
pub(super) use enums;

structs! {
    LengthTooShort { length }
    BodyTooLong { body_len }
    ConfigError { field, value, min, max }
    SessionEntity { session, offered, wanted, admission }
    ReplyToken { link, session, system, primary }
    Collected<'a> { message, class, reply_token }
    Inbound<'a> { class, piece, link }
    NoMemory {}
    Single {}
}

enums! {
    ConnectMode { Active, Passive }
    Entity { Host, Equipment }
    Profile { Lenient, Strict }
    SelectMode { OnConnect, OnCommand }
    Field {
        T3, T5, T6, T7, T8, LinktestPeriod, LinktestThreshold, MaxMessage, SkipLimit, DeviceId, DeviceIds,
    }
    Kind {
        Data { stream_function, reply_expected },
        SelectReq, SelectRsp(status), DeselectReq, DeselectRsp(status), LinktestReq, LinktestRsp,
        RejectReq { offender, reason },
        SeparateReq,
    }
    TransactionKind { Data, Select, Deselect, Linktest }
    ParseError { Incomplete { missing }, LengthTooShort { length } }
    EncodeError { BodyTooLong(error), NoRoom { needed, room } }
    State { NotConnected, NotSelected, Selected }
    Event { Timeout, TransportOpen, TransportFailed, TransportClosed }
    Action { OpenTransport, Send(frame), CloseTransport(reason), Notify(notice) }
    ControlFrame { Control(header), Stream9 { function, session, system, about } }
    Notice {
        Selected, Deselected,
        TransactionEnded { system, end },
        LinktestAnswered { system },
        LinktestMissed { system, missed },
        RejectReceived { header },
        SessionSelected { session },
        SessionEnded { session, end },
        SessionRefused { session, refusal },
        SelectAsked { session },
        Lenient(leniency),
    }
    TransactionEnd { T3, Rejected(reason), ReplyTooLong { length }, SessionEnded }
    Leniency {
        Deselect, DeselectNotSelected, LinktestNotSelected, LinktestExtended,
        SelectSession(session), SimultaneousSelect(session), DirectionBit(session),
        ControlText { stype, body_len },
        RejectText { body_len },
    }
    ControlRequest { Select, Linktest, Deselect }
    SessionEnd { Deselected, DeselectReceived, Separated, SeparateReceived }
    SessionRefusal { Select(status), Deselect(status), SelectRejected(reason), DeselectRejected(reason) }
    CloseReason {
        Disabled, Separated, BodyAborted, OutputStalled, TransportClosed, SeparateReceived, T6(request), T7,
        T8 { received },
        SelectRefused(status), SelectRejected(reason), CallerRefused, DeselectAnswered,
        LengthTooShort { length },
        LengthTooLong { length, limit },
        LooksLikeSecsI, UnexpectedMessage(stype), DataNotSelected,
        ControlText { stype, body_len },
        UnknownPType(ptype), UnknownSType(stype),
    }
    Stream9 { UnrecognizedStream, UnrecognizedFunction, IllegalData }
    Admission { Always, Ask, Refuse(status) }
    Mode { Single, General, Undecided }
    SessionsError { TooMany { given, room }, Repeated { session }, Reserved }
    Class { Primary, Reply, Control, Stray(stray), Rejected(reason), TooLong, Fatal }
    Stray { Late, Orphan, Mismatched, UnknownDevice }
    Fault { Caller, Capacity, Peer, Link }
    Error {
        ActionsPending, UnexpectedEvent { event, state }, InputPaused, BodyOpen, NoBodyOpen,
        WrittenTooMuch { octets, outstanding },
        NotPrimary { stream_function },
        UnknownDevice { session },
        BodyTooLong(error), StaleToken, CannotSelect,
        ControlOpen { system },
        NotForStream9,
        NoTransaction { system },
        TransactionsFull { open },
        UnknownSession { session },
        SessionSelected { session },
        SessionNotSelected { session },
        NotAsked { session },
        NotConnected, NotSelected,
    }
    CollectError { NoRoom { needed, room }, NoMemory { needed }, Gap { filled, offset } }
    Input<'a> {
        Handle(event), Receive(octets), Enable, Disable, Separate, Select, Linktest,
        BeginPrimary { device, stream_function, reply_expected, body_len },
        BeginReply { token, body_len },
        BeginAbort { token },
        EndBody, AbortBody,
        Written { octets },
        Forget { system },
        PauseInput, ResumeInput, SetDeviceIds(device_ids), SetNextSystemBytes(system),
        ReportError { error, about },
    }
    GeneralInput<'a> {
        Common(input), SelectSession(session), DeselectSession(session), SeparateSession(session),
        AnswerSelect { session, status },
        SetAdmission { session, admission },
        SetBusy { session, busy },
        BeginPrimaryIn { session, stream_function, reply_expected, body_len },
    }
    Outcome<'a> {
        Done, Received { taken, inbound }, Requested { system }, Begun { system, prefix }, Refused(error),
    }
}

/// Numbers that stand in headers: small ones most of the time, so that messages meet.
macro_rules! numbers {
    ( $( $name:ident, $most:literal; )* ) => { $(
        impl<'a> Arbitrary<'a> for $name {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                Ok($name(if u.ratio(7, 8)? { u.int_in_range(0..=$most)? } else { u.arbitrary()? }))
            }
        }
    )* };
}

numbers! {
    SystemBytes, 7;
    SelectStatus, 6;
    DeselectStatus, 2;
    RejectReason, 4;
    SType, 9;
    PType, 0;
}

impl<'a> Arbitrary<'a> for SessionId {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        // Two devices, the control messages' own, one with the direction bit of SECS-I, or any.
        let usual = [Some(0), Some(1), Some(0xFFFF), Some(0x8001), None];
        Ok(SessionId(match u.choose(&usual)? {
            Some(session) => *session,
            None => u.arbitrary()?,
        }))
    }
}

impl<'a> Arbitrary<'a> for StreamFunction {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (stream, function) = if u.ratio(3, 4)? { (1..=9, 0..=18) } else { (0..=127, 0..=255) };
        Ok(StreamFunction::new(u.int_in_range(stream)?, u.int_in_range(function)?))
    }
}

/// Mostly one of the messages of E37, or any ten octets.
impl<'a> Arbitrary<'a> for Header {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        if !u.ratio(7, 8)? {
            let header = Header::decode(&<[u8; HEADER_LEN]>::arbitrary(u)?);
            // An SType that nobody knows would hardly ever come with the PType that it is looked at for.
            return Ok(if u.arbitrary()? { Header { ptype: PType::SECS_II, ..header } } else { header });
        }
        let (kind, system) = (u.arbitrary()?, u.arbitrary()?);
        let header = match kind {
            Kind::Data { stream_function, reply_expected } => {
                return Ok(Header::data(system, stream_function, reply_expected, u.arbitrary()?));
            }
            Kind::SelectReq => Header::select_req(system),
            Kind::SelectRsp(status) => Header::select_rsp(system).with_status(status.0),
            Kind::DeselectReq => Header::deselect_req(system),
            Kind::DeselectRsp(status) => Header::deselect_rsp(system).with_status(status.0),
            Kind::LinktestReq => Header::linktest_req(system),
            Kind::LinktestRsp => Header::linktest_rsp(system),
            Kind::RejectReq { offender, reason } => Header::reject_req(system, offender, reason),
            Kind::SeparateReq => Header::separate_req(system),
        };
        Ok(if u.ratio(1, 4)? { header.with_session(u.arbitrary()?) } else { header })
    }
}

/// Control messages have no text mostly.
impl<'a> Arbitrary<'a> for Message<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let header: Header = u.arbitrary()?;
        let text = matches!(header.kind(), Ok(Kind::Data { .. })) || !u.ratio(7, 8)?;
        Ok(Message::new(header, if text { u.arbitrary()? } else { &[] }))
    }
}

impl<'a> Arbitrary<'a> for Hex<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let octets = u.arbitrary()?;
        Ok(if u.arbitrary()? { Hex::bounded(octets, u.arbitrary()?) } else { Hex::new(octets) })
    }
}

impl<'a> Arbitrary<'a> for DeviceId {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let most = if u.ratio(7, 8)? { 3 } else { DeviceId::MAX.get() };
        Ok(DeviceId::new(u.int_in_range(0..=most)?).unwrap_or(DeviceId::MAX))
    }
}

/// One device mostly, several, or any.
impl<'a> Arbitrary<'a> for DeviceIds {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(1, 8)? && !u.is_empty() {
            return Ok(DeviceIds::ANY);
        }
        let first = u.arbitrary()?;
        let mut ids = Vec::from([first]);
        if !u.ratio(3, 4)? {
            for _ in 0..u.int_in_range(1..=MAX_DEVICE_IDS)? {
                ids.push(u.arbitrary()?);
            }
        }
        ids.truncate(MAX_DEVICE_IDS);
        Ok(DeviceIds::list(&ids).unwrap_or(DeviceIds::one(first)))
    }
}

/// The defaults, and settings within their ranges.
impl<'a> Arbitrary<'a> for Config {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (mode, entity, device_ids) = (u.arbitrary()?, u.arbitrary()?, u.arbitrary()?);
        let profile = u.arbitrary()?;
        let mut config = Config::new(mode, entity, device_ids).with_select_mode(u.arbitrary()?);
        config = config.with_profile(profile).unwrap_or(config);
        type Set = fn(Config, Duration) -> core::result::Result<Config, ConfigError>;
        let setters: [Set; 6] = [
            Config::with_t3,
            Config::with_t5,
            Config::with_t6,
            Config::with_t7,
            Config::with_t8,
            Config::with_linktest_period,
        ];
        for set in setters {
            let millis = match u.int_in_range(0..=7_u8)? {
                0..=3 => continue,
                4..=6 => u.int_in_range(1_000..=120_000)?,
                _ => u.int_in_range(10..=86_400_000)?,
            };
            // What the profile does not allow stays at its default.
            config = set(config, Duration::from_millis(millis)).unwrap_or(config);
        }
        if u.arbitrary()? {
            config = config.with_linktest_period(Duration::ZERO).unwrap_or(config);
        }
        let threshold = u.int_in_range(1..=3)?;
        config = config.with_linktest_threshold(threshold).unwrap_or(config);
        if u.arbitrary()? {
            let most = if u.ratio(7, 8)? { 1_000 } else { u32::MAX };
            let length = u.int_in_range(10..=most)?;
            config = config.with_max_message(length).unwrap_or(config);
            let skip = length.saturating_add(u.int_in_range(0..=most)?);
            config = config.with_skip_limit(skip).unwrap_or(config);
        }
        Ok(config)
    }
}

impl<'a> Arbitrary<'a> for FrameOctets {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(ControlFrame::arbitrary(u)?.encode())
    }
}

/// Up to `N` entities with ids of their own.
impl<'a, const N: usize> Arbitrary<'a> for General<N> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut entities: Vec<SessionEntity> = Vec::new();
        for _ in 0..u.int_in_range(0..=N)? {
            let entity = SessionEntity::arbitrary(u)?;
            let known = entities.iter().any(|other| other.session == entity.session);
            if entity.session != SessionId::CONTROL && !known {
                entities.push(entity);
            }
        }
        let list = General::new(&entities).unwrap_or_default();
        Ok(if u.ratio(1, 4)? && !u.is_empty() { list.or_single() } else { list })
    }
}

/// A piece as a decoder could give it: within its text, and the first one at its beginning.
impl<'a> Arbitrary<'a> for Piece<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let header = u.arbitrary()?;
        let begins = u.arbitrary()?;
        let body: &[u8] = u.arbitrary()?;
        let len = u32::try_from(body.len()).unwrap_or(MAX_BODY_LEN);
        let before = if begins { 0 } else { u.int_in_range(0..=1_000)? };
        let behind: u32 = u.int_in_range(0..=1_000)?;
        let body_len = len.saturating_add(before).saturating_add(behind);
        Ok(Piece { header, body_len, offset: before, body, begins })
    }
}

/// A day from the epoch mostly.
impl<'a> Arbitrary<'a> for Instant {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let most = if u.ratio(15, 16)? { 86_400_000 } else { u64::MAX };
        Ok(Instant::from_millis(u.int_in_range(0..=most)?))
    }
}

/// One that has seen some readings.
impl<'a> Arbitrary<'a> for WrappingTick {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut tick = WrappingTick::new();
        for _ in 0..u.int_in_range(0..=4)? {
            tick.widen(u.arbitrary()?);
        }
        Ok(tick)
    }
}

/// What can be counted, counted.
impl<'a> Arbitrary<'a> for Counters {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut counters = Counters::new();
        for _ in 0..u.int_in_range(0..=16)? {
            match u.int_in_range(0..=3_u8)? {
                0 => counters.record_event(&u.arbitrary()?),
                1 => counters.record_action(&u.arbitrary()?),
                2 => counters.record_inbound(&u.arbitrary()?),
                _ => counters.record_sent(&u.arbitrary()?, u.arbitrary()?),
            }
        }
        Ok(counters)
    }
}

/// Parts of [`Counters`].
macro_rules! parts {
    ( $( $name:ident, $( $field:ident ).+; )* ) => { $(
        impl<'a> Arbitrary<'a> for $name {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                Ok(Counters::arbitrary(u)?.$( $field ).+)
            }
        }
    )* };
}

parts! {
    Traffic, received;
    Messages, sent.messages;
    Timeouts, timeouts;
    TransactionEnds, transactions_ended;
    Rejects, rejects_received;
    Leniencies, leniencies;
    Strays, strays;
    Closes, closes;
}
