//! `Arbitrary` for the values of the services, those of trusted connections included.

use super::values::{enums, structs};
use crate::secs2::messages::SystemError;
use crate::services::{
    Answer, CommunicationFailure, CommunicationMessage, CommunicationSettings, CommunicationState,
    CommunicationVerdict, Complaint, Done, EndpointAction, EndpointError, EndpointNotice, EndpointSettings, InboxFull,
    Kept, NameAnswer, NameError, Outgoing, OwnMessage, Pair, PairError, RegisterError, Response, SendError, ServiceId,
    ServiceMessage, Status, TableFull, Ticket, Unhandled, UnhandledPolicy, Waiting, Wanted,
};
#[cfg(feature = "auth")]
use crate::services::{
    SecretTooShort, TrustAnswer, TrustError, TrustFailure, TrustMessage, TrustSettings, TrustState, TrustStep,
};
use arbitrary::{Arbitrary, Result, Unstructured};

structs! {
    Answer { to, service, data_id, registered }
    CommunicationSettings<'a> { identity, begins, retry_delay }
    EndpointSettings<'a> { mode, session, stream, exchange_names, name, communication, unhandled }
    InboxFull { octets, free, refused }
    NameAnswer { status, failure }
    UnhandledPolicy { system_errors, abort }
}

enums! {
    Complaint {
        UnrecognizedDeviceId, UnrecognizedStream, UnrecognizedFunction, IllegalData, TransactionTimeout, DataTooLong,
    }
    Done { Sent, Trusted }
    EndpointAction<'a> {
        Send { what, stream_function, reply_expected }, Report { error, about }, Abort { to }, Settled { ticket, outcome }, DropLink,
        Notify(notice),
    }
    EndpointError { Stream { stream }, Name(error) }
    EndpointNotice {
        Named { differ }, NameFailed(error), #[cfg(feature = "auth")] Trusted, #[cfg(feature = "auth")] TrustFailed(failure), Communicating,
        CommunicationFailed(failure), Refused { header }, Discarded { header }, Kept { service, data_id },
        NotKept { header, status }, Unhandled { header }, IllegalData { header, error }, Unawaited { header },
        SystemError { complaint, about },
    }
    Outgoing<'a> { Own(message), Application(ticket) }
    OwnMessage<'a> { Name(status), #[cfg(feature = "auth")] Trust(message), Communication(message), Status { data_id, status } }
    Response<'a> { Service(message), Function(text) }
    SendError {
        Full, NotPermitted, NotConnected, NotSent(waiting), NoResponse, T3, Aborted, Rejected(reason), ReplyTooLong { length },
        ReplyDropped, SystemError(complaint), Status(status), Malformed(error), OtherDataId { data_id }, LinkLost,
        #[cfg(feature = "auth")] NotTrusted(failure), Refused(error),
    }
    Waiting { Trust, Communication, Room }
    CommunicationState { NotCommunicating, WaitingForS1F14, WaitingToRetry, Communicating }
    CommunicationMessage<'a> { Establish(identity), EstablishAck(ack), Identity(identity) }
    CommunicationVerdict<'a> { Pass, Reply(message), Discard, DiscardAndSend(message), IllegalData(error) }
    CommunicationFailure { Denied { commack }, Aborted, IllegalData(error), Unanswered }
    NameError { TooLong { octets, limit }, NotPrintable, Malformed(error), UnknownDataId { data_id }, NotServer, Refused(status), Unanswered }
    PairError { OutOfRange { request }, RequestOdd { request }, ResponseNotNext { expected, response } }
    RegisterError {
        RequestIdTaken { id }, ResponseIdTaken { id }, Pair(error), UnknownService { id }, Full,
    }
}

#[cfg(feature = "auth")]
structs! {
    SecretTooShort { octets }
    TrustSettings { required, automatic, patience, failures, within }
    TrustMessage { data_id, status, octets }
    TrustAnswer { response, failure }
}

#[cfg(feature = "auth")]
enums! {
    TrustState { Untrusted, SeedRequested, SeedSent, KeySent, Trusted }
    TrustStep { NotOurs, Send(message), Trusted, Failed(failure) }
    TrustFailure {
        WrongProof, Unexpected, Refused(status), Malformed(error), Unanswered, TimedOut, TooManyFailures,
        ChallengeRepeated,
    }
    TrustError { NoSecret, NotClient, UnderWay, TooManyFailures { until }, ChallengeRepeated }
}

impl<'a> Arbitrary<'a> for Ticket {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Ticket(u.arbitrary()?))
    }
}

/// One of the usual services, or any that a function can carry.
impl<'a> Arbitrary<'a> for ServiceId {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let usual = [
            Some(ServiceId::AUTHENTICATION),
            Some(ServiceId::CHANNEL_NAME),
            Some(ServiceId::READ),
            Some(ServiceId::WRITE),
            Some(ServiceId::EXECUTE),
            None,
        ];
        Ok(match u.choose(&usual)? {
            Some(service) => *service,
            None => ServiceId::new(u.int_in_range(0..=253)?).unwrap_or(ServiceId::READ),
        })
    }
}

impl<'a> Arbitrary<'a> for Pair {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let request = u.int_in_range(0..=126_u8)?.saturating_mul(2);
        let pair = Pair::new(request, request.saturating_add(1));
        // Even and 252 at most: never refused.
        pair.map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}

/// One that has a name mostly.
impl<'a> Arbitrary<'a> for Status {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Status(if u.ratio(7, 8)? { u.int_in_range(0..=7)? } else { u.arbitrary()? }))
    }
}

/// Its error is one of the two that a table gives.
impl<'a> Arbitrary<'a> for Unhandled {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let errors = [SystemError::UnrecognizedStream, SystemError::UnrecognizedFunction];
        let system_error = if u.arbitrary()? { Some(u.choose(&errors)?(u.arbitrary()?)) } else { None };
        Ok(Unhandled { system_error, abort: u.arbitrary()? })
    }
}

impl<'a, T: Arbitrary<'a>> Arbitrary<'a> for TableFull<T> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(TableFull(u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for ServiceMessage<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(ServiceMessage::new(u.arbitrary()?, u.arbitrary()?, u.arbitrary()?, u.arbitrary()?))
    }
}

impl<'a, A: Arbitrary<'a>, B: Arbitrary<'a>> Arbitrary<'a> for Kept<'a, A, B> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (first, second, header) = (u.arbitrary()?, u.arbitrary()?, u.arbitrary()?);
        Ok(Kept { first, second, header, reply: u.arbitrary()?, text: u.arbitrary()? })
    }
}

impl<'a, A: Arbitrary<'a>, B: Arbitrary<'a>> Arbitrary<'a> for Wanted<A, B> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Wanted { first: u.arbitrary()?, second: u.arbitrary()?, deadline: u.arbitrary()? })
    }
}
