//! Requests that are not answered as they should be.

use crate::support::*;
use hsms_core::connection::{Class, Stray, TransactionEnd};
use hsms_core::wire::{Header, RejectReason, StreamFunction, SystemBytes};
use hsms_std::{CloseReason, Connection, Error, Fault, Incoming, Notice, State};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

/// A host that is selected, and its peer, which does what `peer` says.
fn against<R: Send>(
    config: hsms_std::Config,
    peer: impl FnOnce(&mut Raw) -> R + Send,
    host_does: impl FnOnce(&mut Connection),
) -> R {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connection = host(listener.local_addr().unwrap(), config);
    thread::scope(|scope| {
        let peer = scope.spawn(|| {
            let mut raw = Raw::over(listener.accept().unwrap().0);
            raw.be_selected();
            peer(&mut raw)
        });
        connection.select(LONG).unwrap();
        host_does(&mut connection);
        drop(connection);
        peer.join().unwrap()
    })
}

#[test]
fn a_request_without_a_reply_ends_with_t3_and_the_link_stays() {
    against(
        host_config().with_t3(Duration::from_millis(30)).unwrap(),
        |raw| {
            let first = raw.receive().0;
            // The second comes when the first has ended: its reply is late now, and reported as such.
            raw.receive();
            raw.send(Header::data(first.system, S1F1.reply().unwrap(), false, DEVICE.session()), &[]);
            raw.expect_close();
        },
        |host| {
            let system = host.next_system_bytes();
            let error = host.request(S1F1, &[]).unwrap_err();
            assert_eq!(error.fault(), Fault::Peer);
            let Error::NoReply { system: told, stream_function, end } = error else { panic!("{error:?}") };
            assert_eq!((told, stream_function, end), (system, S1F1, TransactionEnd::T3));
            assert_eq!(host.state(), State::Selected);
            let error = host.request(S1F1, &[]).unwrap_err();
            assert!(matches!(error, Error::NoReply { end: TransactionEnd::T3, .. }), "{error:?}");
            next_of(host, |incoming| match incoming {
                Incoming::Other { header, class: Class::Stray(Stray::Late), .. } => {
                    assert_eq!(header.system, system);
                    Some(())
                }
                _ => None,
            });
        },
    );
}

#[test]
fn a_request_without_a_reply_is_the_fault_of_whoever_ended_its_transaction() {
    let ends = [
        (TransactionEnd::T3, Fault::Peer),
        (TransactionEnd::Rejected(RejectReason::ENTITY_NOT_SELECTED), Fault::Peer),
        (TransactionEnd::ReplyTooLong { length: 11 }, Fault::Capacity),
        (TransactionEnd::SessionEnded, Fault::Link),
    ];
    for (end, fault) in ends {
        let error = Error::NoReply { system: SystemBytes(1), stream_function: S1F1, end };
        assert_eq!((error.fault(), end.fault()), (fault, fault), "{error}");
    }
}

#[test]
fn a_posted_primary_without_a_reply_ends_once() {
    against(
        host_config().with_t3(Duration::from_millis(30)).unwrap(),
        |raw| {
            for _ in 0..10 {
                raw.receive();
            }
            raw.expect_close();
        },
        |host| {
            let mut open: Vec<_> = (0..10).map(|_| host.post(S6F11, &[]).unwrap()).collect();
            while !open.is_empty() {
                if let Incoming::TransactionEnded { system, end } = host.next(LONG).unwrap().unwrap() {
                    assert_eq!(end, TransactionEnd::T3);
                    let place = open.iter().position(|open| *open == system).expect("told once");
                    open.remove(place);
                }
            }
            assert!(host.next(Duration::ZERO).unwrap().is_none());
        },
    );
}

#[test]
fn a_reject_ends_the_request_at_once() {
    against(
        host_config(),
        |raw| {
            let primary = raw.receive().0;
            raw.send(Header::reject_req(primary.system, 0, RejectReason::ENTITY_NOT_SELECTED), &[]);
            // One that fits nothing is told.
            raw.send(Header::reject_req(SystemBytes(0xABCD), 0, RejectReason::ENTITY_NOT_SELECTED), &[]);
            raw.expect_close();
        },
        |host| {
            let error = host.request(S1F1, &[]).unwrap_err();
            let Error::NoReply { end: TransactionEnd::Rejected(reason), .. } = error else { panic!("{error:?}") };
            assert_eq!(reason, RejectReason::ENTITY_NOT_SELECTED);
            next_of(host, |incoming| match incoming {
                Incoming::Notice(Notice::RejectReceived { header }) => Some(header.system),
                _ => None,
            });
        },
    );
}

#[test]
fn an_abort_is_no_reply() {
    against(
        host_config(),
        |raw| {
            for _ in 0..2 {
                let primary = raw.receive().0;
                raw.send(Header::data(primary.system, S1F1.abort(), false, DEVICE.session()), &[]);
            }
        },
        |host| {
            let error = host.request(S1F1, &[]).unwrap_err();
            let Error::Aborted { header } = error else { panic!("{error:?}") };
            assert_eq!(header.stream_function(), StreamFunction::new(1, 0));
            let posted = host.post(S1F1, &[]).unwrap();
            let aborted = next_of(host, |incoming| match incoming {
                Incoming::Aborted { header } => Some(header.system),
                Incoming::Reply { message } => panic!("{message:?}"),
                _ => None,
            });
            assert_eq!(aborted, posted);
        },
    );
}

#[test]
fn a_peer_that_closes_ends_the_request_and_says_so_once() {
    against(
        host_config(),
        |raw| {
            raw.receive();
            raw.send(Header::separate_req(SystemBytes(1)), &[]);
        },
        |host| {
            let error = host.request(S1F1, &[]).unwrap_err();
            assert_eq!(error.fault(), Fault::Link);
            let Error::Closed { reason, .. } = error else { panic!("{error:?}") };
            assert_eq!(reason, CloseReason::SeparateReceived);
            let mut closes = 0;
            while let Some(incoming) = host.next(Duration::ZERO).unwrap() {
                match incoming {
                    Incoming::Closed { reason, .. } => {
                        assert_eq!(reason, CloseReason::SeparateReceived);
                        closes += 1;
                    }
                    Incoming::Connected | Incoming::Selected => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(closes, 1);
        },
    );
}

#[test]
fn what_the_peer_said_before_it_closed_counts_even_where_writing_fails_first() {
    let (mut tool, address) = equipment(equipment_config());
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        scope.spawn(|| raw.select());
        tool.select(LONG).unwrap();
    });
    raw.send(primary(2, S1F1), &[9]);
    raw.send(Header::separate_req(SystemBytes(3)), &[]);
    drop(raw);
    // More than the socket takes, so that writing fails for sure.
    let error = loop {
        match tool.send(S6F11, &vec![0; 8 << 20]) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let Error::Closed { reason, .. } = error else { panic!("{error:?}") };
    assert_eq!(reason, CloseReason::SeparateReceived);
    let text = next_of(&mut tool, |incoming| match incoming {
        Incoming::Primary { message, .. } => Some(message.body.to_vec()),
        _ => None,
    });
    assert_eq!(text, [9]);
}

#[test]
fn a_reply_over_another_connection_than_the_primary_is_refused() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut raw = Raw::connect(address);
            raw.select();
            raw.send(primary(2, S1F1), &[]);
            let _ = raw.0.shutdown(std::net::Shutdown::Write);
            raw.expect_close();
            let mut raw = Raw::connect(address);
            raw.select();
            raw.send(primary(2, S1F1), &[]);
            raw.expect_close();
        });
        let token = |tool: &mut Connection| {
            next_of(tool, |incoming| match incoming {
                Incoming::Primary { token, .. } => token,
                _ => None,
            })
        };
        let first = token(&mut tool);
        assert_eq!(closed(&mut tool), CloseReason::TransportClosed);
        let error = tool.reply(&first, &[]).unwrap_err();
        assert!(matches!(error, Error::Refused(hsms_core::Error::StaleToken | hsms_core::Error::NotSelected)));
        let second = token(&mut tool);
        let error = tool.reply(&first, &[]).unwrap_err();
        assert!(matches!(error, Error::Refused(hsms_core::Error::StaleToken)), "{error:?}");
        assert_eq!(error.fault(), Fault::Link);
        assert_ne!(first, second);
        drop(tool);
    });
}

#[test]
fn calls_that_cannot_be_are_refused_and_change_nothing() {
    let (mut tool, address) = equipment(equipment_config());
    let refused = |error| match error {
        Error::Refused(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(tool.request(S1F1, &[]).unwrap_err()), hsms_core::Error::NotSelected);
    assert_eq!(refused(tool.linktest().unwrap_err()), hsms_core::Error::NotSelected);
    thread::scope(|scope| {
        scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        let system = host.next_system_bytes();
        let even = StreamFunction::new(1, 2);
        assert_eq!(
            refused(host.request(even, &[]).unwrap_err()),
            hsms_core::Error::NotPrimary { stream_function: even }
        );
        let foreign = hsms_std::DeviceId::new(8).unwrap();
        assert_eq!(
            refused(host.post_from(foreign, S1F1, &[]).unwrap_err()),
            hsms_core::Error::UnknownDevice { session: foreign.session() }
        );
        assert_eq!(
            refused(host.forget(SystemBytes(77)).unwrap_err()),
            hsms_core::Error::NoTransaction { system: SystemBytes(77) }
        );
        assert_eq!(host.next_system_bytes(), system);
        for _ in 0..64 {
            host.post(S1F1, &[]).unwrap();
        }
        assert_eq!(refused(host.post(S1F1, &[]).unwrap_err()), hsms_core::Error::TransactionsFull { open: 64 });
        let two = hsms_std::DeviceIds::list(&[DEVICE, foreign]).unwrap();
        host.set_device_ids(two);
        assert!(matches!(host.send(S1F1, &[]), Err(Error::WhichDevice)));
        host.send_from(foreign, S1F1, &[]).unwrap();
        host.close().unwrap();
    });
}

#[test]
fn equipment_is_told_of_a_device_id_that_is_not_served() {
    let (mut tool, address) = equipment(equipment_config());
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        let answer = scope.spawn(|| {
            raw.select();
            let mut foreign = primary(2, S1F1);
            foreign.session = hsms_core::wire::SessionId(9);
            raw.send(foreign, &text(20));
            raw.receive().0
        });
        let len = next_of(&mut tool, |incoming| match incoming {
            Incoming::Other { body_len, class: Class::Stray(Stray::UnknownDevice), .. } => Some(body_len),
            _ => None,
        });
        assert_eq!(len, 20);
        tool.flush().unwrap();
        assert_eq!(answer.join().unwrap().stream_function(), StreamFunction::new(9, 1));
    });
}
