//! What people read in a log about services: the words for every error, failure, outcome and notice.

use super::kit::{SESSION, at};
use super::reads::reads;
use hsms_core::error::Fault;
use hsms_core::secs2::{Error, ErrorKind};
use hsms_core::services::{
    CommunicationFailure, Complaint, EndpointError, EndpointNotice, InboxFull, NameError, PairError, RegisterError,
    SecretTooShort, SendError, ServiceId, Status, TableFull, TrustError, TrustFailure, Waiting,
};
use hsms_core::wire::{Header, RejectReason, StreamFunction, SystemBytes};

/// Of a text that is cut.
const CUT: Error = Error { offset: 3, kind: ErrorKind::Truncated { missing: 2 } };

#[test]
fn why_a_pair_a_service_or_a_name_cannot_be_is_told_in_words() {
    reads([
        (PairError::OutOfRange { request: 254 }, "request id 254; 252 is the highest"),
        (PairError::RequestOdd { request: 11 }, "request id 11 is odd; requests are even"),
        (
            PairError::ResponseNotNext { expected: 11, response: 13 },
            "response id 13; it has to be the request plus 1, 11",
        ),
    ]);
    reads([
        (RegisterError::RequestIdTaken { id: 10 }, "request id 10 is taken"),
        (RegisterError::ResponseIdTaken { id: 11 }, "response id 11 is taken"),
        (RegisterError::Pair(PairError::RequestOdd { request: 11 }), "request id 11 is odd; requests are even"),
        (RegisterError::UnknownService { id: 20 }, "no service has the id 20"),
        (RegisterError::Full, "no room for one more"),
    ]);
    reads([
        (NameError::TooLong { octets: 33, limit: 32 }, "a name of 33 octets; 32 are the most"),
        (NameError::NotPrintable, "a name with characters other than printable ones of ASCII"),
        (
            NameError::Malformed(CUT),
            "no message with a name: at offset 3: the item is cut off; octets missing: 2 or more",
        ),
        (NameError::UnknownDataId { data_id: 1 }, "data id 1; names have data id 0"),
        (NameError::NotServer, "a request for a name came to the active end"),
        (NameError::Refused(Status(4)), "the server answered with status 4 (service or data unknown)"),
        (NameError::Unanswered, "the request for a name got no response"),
    ]);
    reads([
        (EndpointError::Stream { stream: 1 }, "stream 1; services take one of 64 to 127"),
        (EndpointError::Name(NameError::NotPrintable), "a name with characters other than printable ones of ASCII"),
    ]);
    assert_eq!(ServiceId::EXECUTE.to_string(), "30");
}

#[test]
fn what_has_no_room_is_told_in_words() {
    assert_eq!(TableFull(7).to_string(), "no room for one more value");
    let full = |octets, free| InboxFull { octets, free, refused: 4 };
    reads([
        (full(9, 8), "a message of 9 octets does not fit the 8 that are free; 4 refused so far"),
        (full(8, 8), "too many messages wait; 4 refused so far"),
    ]);
    assert_eq!(full(9, 8).fault(), Fault::Capacity);
}

#[test]
fn why_there_is_no_trust_is_told_in_words() {
    let source = "the source of randomness repeats itself, or has none to give";
    reads([
        (TrustFailure::WrongProof, "the peer's proof is wrong"),
        (TrustFailure::Unexpected, "a message that has no place in this state"),
        (TrustFailure::Refused(Status(6)), "the server answered with status 6 (operation not permitted)"),
        (
            TrustFailure::Malformed(CUT),
            "no message of the handshake: at offset 3: the item is cut off; octets missing: 2 or more",
        ),
        (TrustFailure::Unanswered, "the request got no response"),
        (TrustFailure::TimedOut, "it took too long"),
        (TrustFailure::TooManyFailures, "too much has failed of late"),
        (TrustFailure::ChallengeRepeated, source),
    ]);
    reads([
        (TrustError::NoSecret, "there is no secret"),
        (TrustError::NotClient, "only the client begins"),
        (TrustError::UnderWay, "a handshake is under way"),
        (TrustError::TooManyFailures { until: at(60_000) }, "too much has failed; not before 60000 ms"),
        (TrustError::ChallengeRepeated, source),
    ]);
    assert_eq!(SecretTooShort { octets: 15 }.to_string(), "a secret of 15 octets; 16 are the least");
}

#[test]
fn why_communication_is_not_established_is_told_in_words() {
    reads([
        (CommunicationFailure::Denied { commack: 1 }, "S1F13 was denied: COMMACK 1"),
        (CommunicationFailure::Aborted, "S1F13 was aborted"),
        (
            CommunicationFailure::IllegalData(CUT),
            "the text of S1F14 cannot be read: at offset 3: the item is cut off; octets missing: 2 or more",
        ),
        (CommunicationFailure::Unanswered, "S1F13 was not answered"),
    ]);
}

/// Complaints are those of stream 9 (E5 7.13), each with its function.
#[test]
fn every_outcome_of_a_sending_is_told_in_words_and_by_whose_fault_it_came() {
    let complaints = [
        (Complaint::UnrecognizedDeviceId, 1, "S9F1 (unrecognized device id)"),
        (Complaint::UnrecognizedStream, 3, "S9F3 (unrecognized stream)"),
        (Complaint::UnrecognizedFunction, 5, "S9F5 (unrecognized function)"),
        (Complaint::IllegalData, 7, "S9F7 (illegal data)"),
        (Complaint::TransactionTimeout, 9, "S9F9 (transaction timeout)"),
        (Complaint::DataTooLong, 11, "S9F11 (data too long)"),
    ];
    reads(complaints.map(|(complaint, function, words)| {
        assert_eq!(complaint.function(), function);
        (complaint, words)
    }));
    let rows = [
        (SendError::Full, Fault::Capacity, "too much is being sent"),
        (SendError::NotPermitted, Fault::Caller, "it is not the application's to send"),
        (SendError::NotConnected, Fault::Link, "the connection was not SELECTED in time"),
        (SendError::NotSent(Waiting::Trust), Fault::Peer, "it was not sent in time: it waited for trust"),
        (
            SendError::NotSent(Waiting::Communication),
            Fault::Peer,
            "it was not sent in time: it waited for communication to be established",
        ),
        (
            SendError::NotSent(Waiting::Room),
            Fault::Capacity,
            "it was not sent in time: it waited for room in the connection",
        ),
        (SendError::NoResponse, Fault::Peer, "no response before the deadline"),
        (SendError::T3, Fault::Peer, "no response within T3"),
        (SendError::Aborted, Fault::Peer, "the peer aborted it"),
        (
            SendError::Rejected(RejectReason::TRANSACTION_NOT_OPEN),
            Fault::Peer,
            "the peer rejected it: 3 (transaction not open)",
        ),
        (SendError::ReplyTooLong { length: 99 }, Fault::Capacity, "the reply is too long: length 99"),
        (SendError::ReplyDropped, Fault::Capacity, "there was no room for the reply"),
        (
            SendError::SystemError(Complaint::UnrecognizedStream),
            Fault::Peer,
            "the equipment answered with S9F3 (unrecognized stream)",
        ),
        (SendError::Status(Status(3)), Fault::Peer, "status 3 (authentication required)"),
        (
            SendError::Malformed(CUT),
            Fault::Peer,
            "the response cannot be read: at offset 3: the item is cut off; octets missing: 2 or more",
        ),
        (SendError::OtherDataId { data_id: 8 }, Fault::Peer, "the response is about data id 8"),
        (SendError::LinkLost, Fault::Link, "the link ended before the response"),
        (SendError::NotTrusted(TrustFailure::TimedOut), Fault::Peer, "no trust: it took too long"),
        (
            SendError::Refused(hsms_core::Error::NotForStream9),
            hsms_core::Error::NotForStream9.fault(),
            "stream 9 goes from equipment to host, and not about stream 9 or function 0",
        ),
    ];
    reads(rows.map(|(error, fault, words)| {
        assert_eq!(error.fault(), fault, "{error}");
        (error, words)
    }));
}

#[test]
fn every_notice_is_told_in_words_those_about_a_message_with_its_header() {
    reads([
        (EndpointNotice::Named { differ: false }, "names were exchanged"),
        (EndpointNotice::Named { differ: true }, "the two ends have different names; the active end's counts"),
        (
            EndpointNotice::NameFailed(NameError::Unanswered),
            "names were not exchanged: the request for a name got no response",
        ),
        (EndpointNotice::Trusted, "the connection is trusted"),
        (EndpointNotice::TrustFailed(TrustFailure::TimedOut), "no trust: it took too long"),
        (EndpointNotice::Communicating, "communication is established"),
        (EndpointNotice::CommunicationFailed(CommunicationFailure::Aborted), "S1F13 was aborted"),
        (EndpointNotice::Kept { service: ServiceId::READ, data_id: 7 }, "kept: service 10, data id 7"),
    ]);
    let header = Header::data(SystemBytes(1), StreamFunction::new(64, 11), true, SESSION);
    let about = [
        (EndpointNotice::Refused { header }, "refused before trust"),
        (EndpointNotice::Discarded { header }, "discarded before communication was established"),
        (EndpointNotice::NotKept { header, status: Status(255) }, "not kept, status 255 (inbox full)"),
        (EndpointNotice::Unhandled { header }, "no handler"),
        (
            EndpointNotice::IllegalData { header, error: CUT },
            "illegal data, at offset 3: the item is cut off; octets missing: 2 or more",
        ),
        (EndpointNotice::Unawaited { header }, "nobody waits for this reply"),
        (
            EndpointNotice::SystemError { complaint: Complaint::DataTooLong, about: header },
            "the equipment answered with S9F11 (data too long)",
        ),
    ];
    for (notice, words) in about {
        assert_eq!(notice.to_string(), format!("{words}: {header}"));
    }
}
