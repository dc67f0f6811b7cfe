//! Messages that arrive while a call waits for something else.

use crate::support::*;
use hsms_std::{Answer, Connection, Error, Header, Incoming, Options, StreamFunction, SystemBytes};
use std::net::TcpListener;
use std::thread;

/// A peer that answers each S6F11 only after it has sent `primaries` of its own; then tells how they were answered.
fn busy_peer(raw: &mut Raw, primaries: u32, text: &[u8]) -> Vec<Header> {
    raw.be_selected();
    let request = raw.receive().0;
    for system in 0..primaries {
        raw.send(primary(1_000 + system, S1F1), text);
    }
    raw.send(Header::data(request.system, S6F11.reply().unwrap(), false, DEVICE.session()), b"reply");
    (0..primaries).map(|_| raw.receive().0).collect()
}

fn with_peer(
    options: Options,
    primaries: u32,
    text: &'static [u8],
    host_does: impl FnOnce(&mut Connection),
) -> Vec<Header> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut host = Connection::with_options(listener.local_addr().unwrap(), host_config(), options).unwrap();
    thread::scope(|scope| {
        let peer = scope.spawn(|| busy_peer(&mut Raw::over(listener.accept().unwrap().0), primaries, text));
        host.select(LONG).unwrap();
        host_does(&mut host);
        peer.join().unwrap()
    })
}

#[test]
fn primaries_that_come_during_a_request_are_kept_in_order() {
    let answered = with_peer(Options::new(), 20, b"text", |host| {
        assert_eq!(host.request(S6F11, &[]).unwrap().body, b"reply");
        for expected in 0..20 {
            let token = next_of(host, |incoming| match incoming {
                Incoming::Primary { message, token } => {
                    assert_eq!((message.header.system.0, message.body), (1_000 + expected, &b"text"[..]));
                    token
                }
                _ => None,
            });
            host.reply(&token, &[]).unwrap();
        }
        host.flush().unwrap();
    });
    assert!(answered.iter().map(|header| header.system.0).eq(1_000..1_020));
    assert!(answered.iter().all(|header| header.stream_function() == S1F1.reply().unwrap()));
}

#[test]
fn primaries_beyond_the_inbox_are_answered_with_an_abort_counted_and_told() {
    let answered = with_peer(Options::new().with_inbox(5, 1 << 20), 20, b"text", |host| {
        assert_eq!(host.request(S6F11, &[]).unwrap().body, b"reply");
        let mut kept = 0;
        let dropped = loop {
            let token = match host.next(LONG).unwrap().unwrap() {
                Incoming::Primary { token, .. } => token.unwrap(),
                Incoming::PrimariesDropped { count, last } => break (count, last.system.0),
                _ => continue,
            };
            kept += 1;
            host.reply(&token, &[]).unwrap();
        };
        host.flush().unwrap();
        assert_eq!((kept, dropped), (5, (15, 1_019)));
        assert_eq!(host.dropped().primaries, 15);
    });
    let aborts = answered.iter().filter(|header| header.stream_function() == StreamFunction::new(1, 0)).count();
    assert_eq!(aborts, 15);
}

#[test]
fn the_inbox_is_bounded_in_octets_and_takes_one_message_of_any_length() {
    static TEXT: [u8; 3_000] = [7; 3_000];
    let answered = with_peer(Options::new().with_inbox(100, 7_000), 4, &TEXT, |host| {
        host.request(S6F11, &[]).unwrap();
        assert_eq!(host.dropped().primaries, 2);
        host.flush().unwrap();
        let mut kept = 0;
        while kept < 2 {
            let token = match host.next(LONG).unwrap().unwrap() {
                Incoming::Primary { message, token } => {
                    assert!(message.body == TEXT);
                    token.unwrap()
                }
                _ => continue,
            };
            kept += 1;
            host.reply(&token, &[]).unwrap();
        }
        host.flush().unwrap();
    });
    assert_eq!(answered.len(), 4);
    let answered = with_peer(Options::new().with_inbox(100, 10), 1, &TEXT, |host| {
        host.request(S6F11, &[]).unwrap();
        assert_eq!(host.dropped().primaries, 0);
        let token = next_of(host, |incoming| match incoming {
            Incoming::Primary { token, .. } => token,
            _ => None,
        });
        host.abort(&token).unwrap();
        host.flush().unwrap();
    });
    assert_eq!(answered.len(), 1);
}

#[test]
fn a_closure_serves_primaries_while_a_request_waits() {
    let answered = with_peer(Options::new(), 20, b"text", |host| {
        let mut served = 0;
        let reply = host
            .request_serving(S6F11, &[], |message, token, text| {
                assert_eq!(message.body, b"text");
                assert!(token.is_some() && text.is_empty());
                served += 1;
                text.extend_from_slice(b"served");
                if served == 3 { Answer::Abort } else { Answer::Reply }
            })
            .unwrap();
        assert_eq!(reply.body, b"reply");
        assert_eq!(served, 20);
        host.flush().unwrap();
    });
    let aborts: Vec<_> = answered.iter().filter(|header| header.stream_function().is_abort()).collect();
    assert_eq!(aborts.len(), 1);
    assert_eq!(aborts[0].system.0, 1_002);
}

#[test]
fn replies_to_posted_primaries_find_their_way_past_a_request() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        let posted: Vec<_> = (0..10).map(|index| host.post(S6F11, &[index]).unwrap()).collect();
        assert_eq!(host.request(S1F1, b"mine").unwrap().body, b"mine");
        for (index, system) in (0..).zip(posted) {
            let reply = next_of(&mut host, |incoming| match incoming {
                Incoming::Reply { message } => Some((message.header.system, message.body.to_vec())),
                _ => None,
            });
            assert_eq!(reply, (system, vec![index]));
        }
        host.close().unwrap();
    });
}

#[test]
fn a_reply_that_finds_no_room_is_told_all_the_same() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        scope.spawn(move || echo_until_closed(&mut tool));
        // Four texts of two octets, and room for three of them.
        let options = Options::new().with_inbox(3, 6);
        let mut host = Connection::with_options(address, host_config(), options).unwrap();
        host.select(LONG).unwrap();
        let mut open: Vec<_> = (0..4).map(|_| host.post(S6F11, &[1, 2]).unwrap()).collect();
        host.request(S1F1, &[]).unwrap();
        // All four outcomes wait now: no more are taken on.
        let error = host.post(S6F11, &[]).unwrap_err();
        assert!(matches!(error, Error::InboxFull { waiting: 4 }), "{error:?}");
        let mut dropped = 0;
        while !open.is_empty() {
            let system = match host.next(LONG).unwrap().unwrap() {
                Incoming::Reply { message } => message.header.system,
                Incoming::ReplyDropped { header, body_len: 2 } => {
                    dropped += 1;
                    header.system
                }
                _ => continue,
            };
            assert_eq!(system, open.remove(0));
        }
        assert_eq!((dropped, host.dropped().replies), (1, 1));
        host.post(S6F11, &[]).unwrap();
        host.close().unwrap();
    });
}

#[test]
fn notices_beyond_the_bound_are_counted_and_told() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut raw = Raw::connect(address);
            raw.select();
            let linktest = raw.receive().0;
            for system in 0..2_000 {
                let orphan = SystemBytes(0x8000_0000 + system);
                raw.send(Header::data(orphan, StreamFunction::new(1, 2), false, DEVICE.session()), &[]);
            }
            raw.send(Header::linktest_rsp(linktest.system), &[]);
            assert_eq!(raw.receive().0.name(), "SeparateReq");
            raw.expect_close();
        });
        tool.select(LONG).unwrap();
        // Nothing is taken out meanwhile.
        tool.linktest().unwrap();
        let mut told = 0;
        let dropped = next_of(&mut tool, |incoming| match incoming {
            Incoming::NoticesDropped { count } => Some(count),
            _ => {
                told += 1;
                None
            }
        });
        assert_eq!(told, Options::new().inbox_messages());
        assert_eq!(dropped, tool.dropped().notices);
        // Connected and Selected are notices too.
        assert_eq!(told as u64 + dropped, 2_002);
        tool.close().unwrap();
    });
}

#[test]
fn the_text_of_a_message_can_be_taken_without_being_copied() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        let mut taken = Vec::new();
        for len in [0, 10, 1_000_000, 5, 1_000_000, 1_000_000] {
            let text = text(len);
            let place = host.request(S1F1, &text).unwrap().body.as_ptr();
            host.take_body(&mut taken);
            assert!(taken == text);
            if len > 100_000 {
                assert_eq!(taken.as_ptr(), place, "a long text stays where it was read to");
            }
            host.take_body(&mut taken);
            assert!(taken.is_empty(), "a text can be taken once");
        }
        host.close().unwrap();
    });
}

#[test]
fn primaries_of_the_peer_cost_no_transaction_its_reply() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        scope.spawn(move || {
            tool.select(LONG).unwrap();
            let posted = next_of(&mut tool, |incoming| match incoming {
                Incoming::Primary { token, .. } => token,
                _ => None,
            });
            // More than the host keeps, and then both replies.
            for _ in 0..8 {
                tool.send(S6F11, &[]).unwrap();
            }
            tool.reply(&posted, b"posted").unwrap();
            echo_until_closed(&mut tool);
        });
        let mut host = Connection::with_options(address, host_config(), Options::new().with_inbox(3, 1 << 20)).unwrap();
        host.select(LONG).unwrap();
        let system = host.post(S1F1, &[]).unwrap();
        assert_eq!(host.request(S1F1, b"mine").unwrap().body, b"mine");
        let reply = next_of(&mut host, |incoming| match incoming {
            Incoming::Reply { message } => Some((message.header.system, message.body.to_vec())),
            _ => None,
        });
        assert_eq!(reply, (system, b"posted".to_vec()));
        assert_eq!((host.dropped().primaries, host.dropped().replies), (5, 0));
        host.close().unwrap();
    });
}
