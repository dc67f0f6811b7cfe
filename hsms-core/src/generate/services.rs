//! `Arbitrary` for the values of the services, those of trusted connections included.

use super::values::{enums, structs};
use crate::services::{
    CommunicationFailure, CommunicationMessage, CommunicationSettings, CommunicationState, CommunicationVerdict,
    InboxFull, Kept, NameAnswer, NameError, Pair, PairError, RegisterError, ServiceId, ServiceMessage, Status, Wanted,
};
#[cfg(feature = "auth")]
use crate::services::{
    SecretTooShort, TrustAnswer, TrustError, TrustFailure, TrustMessage, TrustSettings, TrustState, TrustStep,
};
use arbitrary::{Arbitrary, Result, Unstructured};

structs! {
    CommunicationSettings<'a> { identity, begins, retry_delay }
    InboxFull { octets, free, refused }
    NameAnswer { status, failure }
}

enums! {
    CommunicationState { NotCommunicating, WaitingForS1F14, WaitingToRetry, Communicating }
    CommunicationMessage<'a> { Establish(identity), EstablishAck(ack), Identity(identity) }
    CommunicationVerdict<'a> { Pass, Reply(message), Discard, DiscardAndSend(message), IllegalData(error) }
    CommunicationFailure { Denied { commack }, Aborted, IllegalData(error), Unanswered }
    NameError { TooLong { octets, limit }, NotAscii, Malformed(error), UnknownDataId { data_id }, NotServer, Refused(status) }
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
