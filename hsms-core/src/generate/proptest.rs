//! Strategies: octets, and the values that [`Arbitrary`](arbitrary::Arbitrary) makes of them. They shrink as octets do,
//! to fewer and smaller ones, and so to the values that come first.

use super::{Chunking, GeneralScript, OwnedInput, OwnedMessage, PeerOctets, Script, Seed};
use crate::collect::{CollectError, NoMemory};
use crate::config::{Config, ConfigError, ConnectMode, DeviceId, DeviceIds, Entity, Field, Profile, SelectMode};
use crate::connection::{
    Action, Admission, Class, CloseReason, ControlFrame, ControlRequest, Event, FrameOctets, General, Leniency, Mode,
    Notice, ReplyToken, SessionEnd, SessionEntity, SessionRefusal, SessionsError, Single, State, Stray, Stream9,
    TransactionEnd,
};
use crate::counters::{Closes, Counters, Leniencies, Messages, Rejects, Strays, Timeouts, Traffic, TransactionEnds};
use crate::error::{Error, Fault};
use crate::frame::LengthTooShort;
use crate::time::{Instant, WrappingTick};
use crate::wire::{
    BodyTooLong, DeselectStatus, EncodeError, Header, Kind, PType, ParseError, RejectReason, SType, SelectStatus,
    SessionId, StreamFunction, SystemBytes, TransactionKind,
};
use ::proptest::arbitrary::{Arbitrary, any};
use ::proptest::collection::vec;
use ::proptest::strategy::{BoxedStrategy, Strategy};

/// Octets that a value is made of, up to `most` of them.
pub fn octets(most: usize) -> impl Strategy<Value = Seed> {
    vec(any::<u8>(), 0..=most).prop_map(Seed)
}

/// Why proptest would leave octets out; those of types of this crate are never refused.
const REFUSED: &str = "no value can be made of the octets";

macro_rules! strategies {
    ( $most:literal: $( $name:ty ),* $(,)? ) => { $(
        impl Arbitrary for $name {
            type Parameters = ();
            type Strategy = BoxedStrategy<Self>;

            fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
                octets($most).prop_filter_map(REFUSED, |seed| seed.make().ok()).boxed()
            }
        }
    )* };
}

strategies! { 64:
    ConnectMode, Entity, Profile, SelectMode, Field, ConfigError, DeviceId, DeviceIds,
    BodyTooLong, DeselectStatus, EncodeError, Header, Kind, PType, ParseError, RejectReason, SType, SelectStatus,
    SessionId, StreamFunction, SystemBytes, TransactionKind,
    Action, Admission, Class, CloseReason, ControlFrame, ControlRequest, Event, FrameOctets, Leniency, Mode, Notice,
    ReplyToken, SessionEnd, SessionEntity, SessionRefusal, SessionsError, Single, State, Stray, Stream9, TransactionEnd,
    Error, Fault, CollectError, NoMemory, LengthTooShort, Instant, WrappingTick, Chunking,
}

strategies! { 256:
    Config, OwnedInput, OwnedMessage,
    Closes, Counters, Leniencies, Messages, Rejects, Strays, Timeouts, Traffic, TransactionEnds,
}

#[cfg(feature = "secs2")]
strategies! { 64:
    crate::secs2::Encoding, crate::secs2::Error, crate::secs2::ErrorKind, crate::secs2::Format,
    crate::secs2::HeaderOctets, crate::secs2::ItemHeader, crate::secs2::Limits, crate::secs2::SmlError,
    crate::secs2::SmlErrorKind, crate::secs2::Summary, crate::secs2::WriteError,
}

#[cfg(all(feature = "secs2", feature = "serde"))]
strategies! { 64: crate::secs2::serde::Cause }

strategies! { 512: PeerOctets }

#[cfg(feature = "secs2")]
strategies! { 512: crate::secs2::Tree, crate::secs2::SmlMessage }

#[cfg(feature = "services")]
strategies! { 64:
    crate::services::CommunicationFailure, crate::services::CommunicationState, crate::services::InboxFull,
    crate::services::NameAnswer, crate::services::NameError, crate::services::Pair, crate::services::PairError,
    crate::services::RegisterError, crate::services::ServiceId, crate::services::Status,
    crate::services::Answer, crate::services::Complaint, crate::services::Done, crate::services::EndpointError,
    crate::services::EndpointNotice, crate::services::SendError, crate::services::Ticket, crate::services::Waiting,
    crate::services::Unhandled, crate::services::UnhandledPolicy,
    crate::services::Wanted<crate::services::ServiceId, u32>, crate::services::Wanted<u8, u8>,
}

#[cfg(feature = "services")]
impl<T: Arbitrary + 'static> Arbitrary for crate::services::TableFull<T> {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        any::<T>().prop_map(crate::services::TableFull).boxed()
    }
}

#[cfg(feature = "auth")]
strategies! { 128:
    crate::services::SecretTooShort, crate::services::TrustAnswer, crate::services::TrustError,
    crate::services::TrustFailure, crate::services::TrustMessage, crate::services::TrustSettings,
    crate::services::TrustState, crate::services::TrustStep,
}

impl Arbitrary for Seed {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        octets(256).boxed()
    }
}

impl<const N: usize> Arbitrary for General<N> {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        octets(128).prop_filter_map(REFUSED, |seed| seed.make().ok()).boxed()
    }
}

/// Octets of a script. With so many most of them fill it.
const SCRIPT: usize = 1024;

impl<const TRANSACTIONS: usize> Arbitrary for Script<TRANSACTIONS> {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        octets(SCRIPT).prop_filter_map(REFUSED, |seed| seed.make().ok()).boxed()
    }
}

impl<const TRANSACTIONS: usize, const N: usize> Arbitrary for GeneralScript<TRANSACTIONS, N> {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        octets(SCRIPT).prop_filter_map(REFUSED, |seed| seed.make().ok()).boxed()
    }
}
