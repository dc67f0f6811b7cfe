//! What nobody handled waits, within bounds, until it is taken by its keys.

use std::task::Poll;

use hsms_core::services::{
    FunctionInbox, InboxFull, ServiceId, ServiceInbox, ServiceMessage, Services, Status, Wanted,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

fn header(system: u32, stream: u8, function: u8) -> Header {
    Header::data(SystemBytes(system), StreamFunction::new(stream, function), true, SessionId(1))
}

#[test]
fn an_unhandled_request_is_kept_and_answered_as_buffered_and_an_unknown_one_is_not_kept() {
    let mut services = Services::<4>::new();
    services.add_service(10, 11, "read", "read response").unwrap();
    services.add_data(ServiceId::READ, 7, "temperature").unwrap();
    let mut inbox = ServiceInbox::<2, 64>::new();
    let request = header(1, 64, 11);
    let text = b"\x01\x03\xb1\x04\0\0\0\x07\xa5\x01\0\x41\x01?";
    let unknown = b"\x01\x03\xb1\x04\0\0\0\x08\xa5\x01\0\x41\x01?";
    let mut keep = |service, text: &[u8]| inbox.keep_request(&services, service, request, text);
    assert_eq!(keep(ServiceId::READ, text), Status::BUFFERING_UNHANDLED_REQUEST);
    assert_eq!(keep(ServiceId::READ, unknown), Status::SERVICE_OR_DATA_UNKNOWN);
    assert_eq!(keep(ServiceId::WRITE, text), Status::SERVICE_OR_DATA_UNKNOWN);
    assert_eq!(keep(ServiceId::READ, b"\x01\x03"), Status::CHECKSUM_ERROR);
    assert_eq!((inbox.len(), inbox.is_empty()), (1, false));
    let expected = ServiceMessage::new(ServiceId::READ, 7, Status::OKAY, Some(b"\x41\x01?"));
    inbox
        .take(Some(ServiceId::READ), Some(7), |kept| {
            assert_eq!((kept.message(), kept.header, kept.reply), (Ok(expected), request, None));
        })
        .unwrap();
    assert!(inbox.is_empty());
}

#[test]
fn a_response_that_nobody_awaits_waits_under_its_service_id_or_is_told_why_not() {
    let mut services = Services::<4>::new();
    services.add_service(10, 11, "read", "read response").unwrap();
    services.add_data(ServiceId::READ, 7, "temperature").unwrap();
    services.add_data(ServiceId::new(11).unwrap(), 8, "of the response alone").unwrap();
    let mut inbox = ServiceInbox::<2, 64>::new();
    let response = ServiceId::READ.response().unwrap();
    let text = |data_id| [&b"\x01\x03\xb1\x04\0\0\0"[..], &[data_id], b"\xa5\x01\0\x01\0"].concat();
    let mut keep = |service, text: &[u8]| inbox.keep_response(&services, service, header(1, 64, 12), text);
    // Data ids are those of the request.
    assert_eq!(keep(response, &text(7)), Ok(()));
    assert_eq!(keep(response, &text(9)), Err(Status::SERVICE_OR_DATA_UNKNOWN));
    assert_eq!(keep(ServiceId::new(21).unwrap(), &text(7)), Err(Status::SERVICE_OR_DATA_UNKNOWN));
    assert_eq!(keep(response, b"\x01\x03"), Err(Status::CHECKSUM_ERROR));
    assert_eq!(keep(response, &text(8)), Ok(()));
    assert_eq!(keep(response, &text(7)), Err(Status::INBOX_FULL));
    // Neither is taken for the other, whose answer would be wrong.
    assert_eq!(keep(ServiceId::READ, &text(7)), Err(Status::SERVICE_OR_DATA_UNKNOWN));
    let status = inbox.keep_request(&services, response, header(1, 64, 12), &text(7));
    assert_eq!(status, Status::SERVICE_OR_DATA_UNKNOWN);
    assert_eq!(services.unhandled(response, 8), Status::SERVICE_OR_DATA_UNKNOWN);
    assert_eq!((inbox.len(), inbox.refused()), (2, 1));
    assert_eq!(inbox.take(Some(ServiceId::READ), None, |_| ()), None);
    assert_eq!(inbox.take(Some(response), None, |kept| kept.message().unwrap().service_id()), Some(response));
}

#[test]
fn a_full_inbox_refuses_the_newest_counts_it_and_tells_the_sender_so() {
    let mut services = Services::<4>::new();
    services.add_service(20, 21, "write", "write response").unwrap();
    services.add_data(ServiceId::WRITE, 1, "recipe").unwrap();
    let text = b"\x01\x03\xb1\x04\0\0\0\x01\xa5\x01\0\x01\0";
    let mut inbox = ServiceInbox::<2, 64>::new();
    let statuses: Vec<_> =
        (1..=3).map(|system| inbox.keep_request(&services, ServiceId::WRITE, header(system, 64, 21), text)).collect();
    let kept = Status::BUFFERING_UNHANDLED_REQUEST;
    assert_eq!(statuses, [kept, kept, Status::INBOX_FULL]);
    assert_eq!(Status::INBOX_FULL.to_string(), "255 (inbox full)");
    let systems: Vec<_> = std::iter::from_fn(|| inbox.take(None, None, |kept| kept.header.system.0)).collect();
    assert_eq!((systems, inbox.refused()), (vec![1, 2], 1));

    // By octets: what is there stays, and a shorter one still fits.
    let mut inbox = FunctionInbox::<8, 10>::new();
    inbox.push(1, 1, header(1, 1, 1), None, &[1; 7]).unwrap();
    let full = inbox.push(1, 3, header(2, 1, 3), None, &[2; 4]).unwrap_err();
    assert_eq!(full, InboxFull { octets: 4, free: 3, refused: 1 });
    assert_eq!(full.to_string(), "a message of 4 octets does not fit the 3 that are free; 1 refused so far");
    inbox.push(1, 5, header(3, 1, 5), None, &[3; 3]).unwrap();
    inbox.push(1, 7, header(4, 1, 7), None, &[]).unwrap();
    assert_eq!(inbox.push(1, 9, header(5, 1, 9), None, &[4]).unwrap_err().refused, 2);
    inbox.clear();
    assert_eq!((inbox.len(), inbox.refused()), (0, 2));
    inbox.push(1, 9, header(5, 1, 9), None, &[4; 10]).unwrap();
}

#[test]
fn a_message_is_waited_for_until_the_deadline() {
    let mut inbox = FunctionInbox::<2, 16>::new();
    let at = Instant::from_millis;
    let wanted = Wanted { first: Some(6), second: None, deadline: at(100) };
    assert_eq!(inbox.receive(at(0), &wanted, |_| ()), Poll::Pending);
    inbox.push(5, 1, header(1, 5, 1), None, b"").unwrap();
    assert_eq!(inbox.receive(at(99), &wanted, |_| ()), Poll::Pending);
    assert_eq!(inbox.receive(at(100), &wanted, |_| ()), Poll::Ready(None));
    inbox.push(6, 11, header(2, 6, 11), None, b"").unwrap();
    assert_eq!(inbox.receive(at(100), &wanted, |kept| kept.second), Poll::Ready(Some(11)));
    assert_eq!(inbox.len(), 1);
}

/// Against a list that grows: the same messages come out, with their own texts, in the same order.
#[test]
fn what_is_taken_in_any_order_is_what_was_put_in() {
    let mut random = fastrand::Rng::with_seed(8);
    let mut inbox = FunctionInbox::<5, 40>::new();
    let mut model: Vec<(u8, u8, u32, Vec<u8>)> = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for system in 0..20_000 {
        let (first, second) = (random.u8(0..3), random.u8(0..3));
        if random.bool() {
            let text: Vec<u8> = (0..random.u8(0..16)).map(|_| random.u8(..)).collect();
            let fits = model.len() < 5 && model.iter().map(|entry| entry.3.len()).sum::<usize>() + text.len() <= 40;
            let pushed = inbox.push(first, second, header(system, first, second), None, &text);
            assert_eq!(pushed.is_ok(), fits);
            if fits {
                model.push((first, second, system, text));
            } else {
                refused += 1;
            }
        } else {
            let first = Some(first).filter(|_| random.bool());
            let second = Some(second).filter(|_| random.bool());
            let at = model.iter().position(|entry| {
                first.is_none_or(|first| first == entry.0) && second.is_none_or(|second| second == entry.1)
            });
            let expected = at.map(|at| model.remove(at));
            let found =
                inbox.take(first, second, |kept| (kept.first, kept.second, kept.header.system.0, kept.text.to_vec()));
            assert_eq!(found, expected);
            taken += usize::from(found.is_some());
        }
        assert_eq!((inbox.len(), inbox.refused()), (model.len(), refused));
    }
    assert!(taken > 2_000 && refused > 500, "{taken} taken, {refused} refused");
}
