//! Services on two links over a network in memory: what handlers see, how each sending ends, trust, and establishing communication.

use crate::kit::executor::{Task, run_with, task};
use crate::kit::pipe::{Dial, Listen, Network};
use crate::kit::raw::{against, data};
use crate::kit::scene::{DEVICE, S1F1, S6F11, beside, quiet};
use crate::kit::services::{
    Duty, Ends, LONG, Machine, S2F41, SECOND, Services, bare, communicating, fill, guarded, joined, plain, serve, usual,
};
use embassy_futures::join::{join, join_array};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Instant, Timer};
use hsms_embassy::hsms_core::connection::{State, Stream9};
use hsms_embassy::services::{
    Call, CommunicationFailure, CommunicationState, Complaint, Endpoint, EndpointNotice, Error, SendError, ServiceId,
    Status, Told, TrustFailure, TrustState, Waiting, settings,
};
use hsms_embassy::{Buffers, Config, Error as LinkError, Limits, Link, StreamFunction};
use std::cell::RefCell;

const DATA: &[u8] = b"\xb1\x04\0\0\0\x05";
const SECRET: &[u8] = b"sixteen octets!!";
const S3F1: StreamFunction = StreamFunction::new(3, 1);
const S1F65: StreamFunction = StreamFunction::new(1, 65);
const S7F3: StreamFunction = StreamFunction::new(7, 3);

fn sending<T>(outcome: Result<T, Error>) -> Option<SendError> {
    match outcome {
        Err(Error::Sending(error)) => Some(error),
        _ => None,
    }
}

/// Waits for a notice.
async fn noticed(ends: &Services<'_, '_>, wanted: impl Fn(&EndpointNotice) -> bool) {
    loop {
        if let Told::Notice(notice) = ends.told().await.unwrap()
            && wanted(&notice)
        {
            return;
        }
    }
}

#[test]
fn a_request_is_answered_by_the_handler_that_the_table_has_for_it() {
    joined(100, usual(), async |ends| {
        let mut reply = [0; 64];
        ends.served(async {
            let host = ends.host;
            let start = Instant::now();
            assert_eq!(host.send(ServiceId::READ, 7, Some(DATA), LONG, &mut reply).await.unwrap(), Some(DATA));
            assert_eq!(host.send(ServiceId::READ, 7, None, LONG, &mut reply).await.unwrap(), None);
            assert_eq!(start.elapsed(), Duration::from_secs(0));
            // That under both keys is before that of the service, and waits.
            assert_eq!(host.send(ServiceId::READ, 8, Some(DATA), LONG, &mut reply).await.unwrap(), Some(DATA));
            assert_eq!(start.elapsed(), SECOND);
            assert_eq!(host.request(S1F1, b"\x01\0", LONG, &mut reply).await.unwrap(), b"\x01\0");
            // Registered later, and instead of the other.
            assert_eq!(ends.equipment.handle_function(Some(1), Some(1), Duty::Fail).unwrap(), Some(Duty::Echo));
            assert_eq!(sending(host.request(S1F1, &[], LONG, &mut reply).await), Some(SendError::Aborted));
        })
        .await;
    });
}

#[test]
fn one_way_messages_reach_their_handlers_and_are_not_answered() {
    joined(100, usual(), async |ends| {
        let seen = RefCell::<Vec<Vec<u8>>>::default();
        let work = async {
            ends.host.tell(ServiceId::READ, 7, Some(DATA), LONG).await.unwrap();
            ends.host.tell(ServiceId::WRITE, 7, None, LONG).await.unwrap();
            ends.host.tell_primary(S1F1, b"\x01\0", LONG).await.unwrap();
            ends.host.link().linktest().await.unwrap();
            while seen.borrow().len() < 3 {
                Timer::after_millis(1).await;
            }
        };
        beside(work, join(serve(ends.host, &RefCell::default()), serve(ends.equipment, &seen))).await;
        assert_eq!(*seen.borrow(), [DATA, b"", b"\x01\0"]);
    });
}

#[test]
fn a_handler_that_fails_is_told_to_the_requester() {
    joined(100, usual(), async |ends| {
        let mut reply = [0; 64];
        ends.served(async {
            let outcome = ends.host.send(ServiceId::WRITE, 7, Some(DATA), LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::Status(Status::CALLBACK_ERROR)));
            let outcome = ends.host.request(S2F41, &[], LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::Aborted));
            // The connection is unharmed.
            assert_eq!(ends.host.request(S1F1, &[], LONG, &mut reply).await.unwrap(), b"");
            assert_eq!(ends.network.connections(), 1);
        })
        .await;
    });
}

#[test]
fn data_that_are_not_one_item_are_a_failure_of_whoever_gave_them() {
    joined(100, usual(), async |ends| {
        let mut reply = [0; 64];
        let outcome = ends.host.send(ServiceId::READ, 7, Some(b"\xb1\x04\0"), LONG, &mut reply).await;
        assert_eq!(outcome, Err(Error::NotOneItem));
        let work = ends.host.send(ServiceId::READ, 7, Some(DATA), LONG, &mut reply);
        let answer = async {
            let mut text = [0; 64];
            let Ok(Call::Service { request, .. }) = ends.equipment.next(&mut text).await else { panic!("a request") };
            assert!(request.expects_response());
            assert_eq!(request.respond(Status::OKAY, Some(b"\x01\0\x01\0")).await, Err(Error::NotOneItem));
        };
        let outcome = join(work, answer).await.0;
        assert_eq!(sending(outcome), Some(SendError::Status(Status::CALLBACK_ERROR)));
    });
}

#[test]
fn what_nobody_handles_is_answered_as_equipment_and_as_a_host() {
    joined(100, usual(), async |ends| {
        let mut reply = [0; 64];
        ends.served(async {
            assert_eq!(
                sending(ends.host.request(S3F1, &[], LONG, &mut reply).await),
                Some(SendError::SystemError(Complaint::UnrecognizedStream))
            );
            let outcome = ends.host.request(S1F65, &[], LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::SystemError(Complaint::UnrecognizedFunction)));
            let outcome = ends.equipment.request(S6F11, &[], LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::Aborted), "a host has no stream 9");
            let unknown = ServiceId::new(100).unwrap();
            let outcome = ends.host.send(unknown, 0, None, LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::Status(Status::SERVICE_OR_DATA_UNKNOWN)));
        })
        .await;
    });
}

#[test]
fn a_handler_refuses_a_text_with_s9f7_and_an_abort() {
    joined(100, usual(), async |ends| {
        let mut reply = [0; 64];
        let work = ends.host.request(S1F1, b"\xff", LONG, &mut reply);
        let answer = async {
            let mut text = [0; 64];
            let Ok(Call::Function { primary, .. }) = ends.equipment.next(&mut text).await else { panic!("a primary") };
            primary.refuse(Stream9::IllegalData).await.unwrap();
        };
        let seen = RefCell::<Vec<Vec<u8>>>::default();
        let outcome = beside(join(work, answer), serve(ends.host, &seen)).await.0;
        assert_eq!(sending(outcome), Some(SendError::SystemError(Complaint::IllegalData)));
    });
}

#[test]
fn long_texts_are_read_bit_by_bit_and_so_are_short_ones() {
    joined(100, usual(), async |ends| {
        let mut reply = [0; 64];
        ends.served(async {
            for len in [0, 3, 128, 129, 5000] {
                let sum = ends.host.request(S7F3, &vec![7; len], LONG, &mut reply).await.unwrap();
                assert_eq!(sum, (len as u32).to_be_bytes());
            }
            // A handler that needs it whole, and a service.
            let outcome = ends.host.request(S1F1, &[7; 500], LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::Aborted));
            let mut data = vec![0x22, 1, 0];
            data.resize(3 + 256, 0);
            let outcome = ends.host.send(ServiceId::READ, 7, Some(&data), LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::Status(Status::CHECKSUM_ERROR)));
            assert_eq!(ends.network.connections(), 1);
        })
        .await;
    });
}

#[test]
fn requests_without_handler_wait_in_the_inbox() {
    joined(100, usual(), async |ends| {
        let (mut reply, mut buffer) = ([0; 64], [0; 64]);
        ends.served(async {
            let outcome = ends.host.send(ServiceId::EXECUTE, 7, Some(DATA), LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::Status(Status::BUFFERING_UNHANDLED_REQUEST)));
            let start = Instant::now();
            let other = ends.equipment.receive(Some(ServiceId::READ), None, SECOND, &mut buffer).await;
            assert_eq!((other, start.elapsed()), (Ok(None), SECOND));
            // Time that is over takes what is there.
            let none = Duration::from_ticks(0);
            let kept = ends.equipment.receive(Some(ServiceId::EXECUTE), Some(7), none, &mut buffer).await;
            let kept = kept.unwrap().unwrap();
            assert_eq!((kept.service, kept.data_id, kept.data), (ServiceId::EXECUTE, 7, Some(DATA)));
            // Somebody who waits is given it when it comes.
            let (kept, sent) = join(
                ends.equipment.receive(None, None, LONG, &mut buffer),
                ends.host.tell(ServiceId::EXECUTE, 7, None, LONG),
            )
            .await;
            assert_eq!((kept.unwrap().unwrap().data, sent), (None, Ok(())));
            ends.host.tell(ServiceId::EXECUTE, 7, Some(DATA), LONG).await.unwrap();
            let short = ends.equipment.receive(None, None, LONG, &mut buffer[..5]).await;
            assert!(matches!(short, Err(Error::Link(LinkError::NoRoom { needed: 6, .. }))), "{short:?}");
            assert!(ends.equipment.look(|core| core.inbox().is_empty()));
        })
        .await;
    });
}

#[test]
fn a_response_that_nobody_awaits_any_more_goes_to_the_inbox() {
    joined(100, usual(), async |ends| {
        let (mut reply, mut buffer) = ([0; 64], [0; 64]);
        ends.served(async {
            let start = Instant::now();
            let soon = Duration::from_millis(300);
            let outcome = ends.host.send(ServiceId::READ, 8, Some(DATA), soon, &mut reply).await;
            assert_eq!((sending(outcome), start.elapsed()), (Some(SendError::NoResponse), soon));
            let service = ServiceId::READ.response().unwrap();
            let kept = ends.host.receive(Some(service), Some(8), LONG, &mut buffer).await.unwrap().unwrap();
            assert_eq!((kept.data, start.elapsed()), (Some(DATA), SECOND));
        })
        .await;
    });
}

#[test]
fn what_can_go_out_at_once_is_not_late() {
    joined(100, usual(), async |ends| {
        ends.host.established().await.unwrap();
        ends.host.tell(ServiceId::READ, 7, Some(DATA), Duration::from_ticks(0)).await.unwrap();
        ends.host.tell_primary(S1F1, &[], Duration::from_ticks(0)).await.unwrap();
    });
}

#[test]
fn a_sending_that_is_not_answered_ends_with_t3_or_with_its_deadline() {
    joined(100, usual(), async |ends| {
        let mut reply = [0; 64];
        ends.served(async {
            let start = Instant::now();
            let outcome = ends.host.send(ServiceId::READ, 9, None, LONG, &mut reply).await;
            assert_eq!((sending(outcome), start.elapsed()), (Some(SendError::T3), Duration::from_secs(45)));
            let start = Instant::now();
            let outcome = ends.host.request(S1F1, &[], SECOND, &mut reply).await;
            assert_eq!(
                (sending(outcome), start.elapsed()),
                (Some(SendError::NoResponse), SECOND),
                "the handler goes on"
            );
        })
        .await;
    });
}

#[test]
fn the_end_of_the_link_ends_what_is_open_and_what_waits_goes_out_over_the_next() {
    joined(100, usual(), async |ends| {
        let (mut first, mut second) = ([0; 64], [0; 64]);
        ends.served(async {
            let lost = ends.host.send(ServiceId::READ, 8, None, LONG, &mut first);
            let end = async {
                Timer::after_millis(500).await;
                ends.equipment.link().separate();
                ends.host.link().reached(State::NotConnected).await.unwrap();
                ends.host.request(S1F1, b"\x01\0", LONG, &mut second).await.map(<[u8]>::to_vec)
            };
            let (lost, next) = join(lost, end).await;
            assert_eq!(sending(lost), Some(SendError::LinkLost));
            assert_eq!(next, Ok(b"\x01\0".to_vec()));
            assert_eq!(ends.network.connections(), 2);
        })
        .await;
    });
}

#[test]
fn what_cannot_be_sent_says_why() {
    joined(100, usual(), async |ends| {
        let mut reply = [0; 64];
        let host = ends.host;
        ends.served(async {
            let outcome = host.send(ServiceId::READ.response().unwrap(), 0, None, LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::NotPermitted));
            let outcome = host.request(StreamFunction::new(1, 2), &[], LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::NotPermitted));
            assert_eq!(sending(host.authenticate(LONG).await), Some(SendError::NotPermitted));
            // As many as there are transactions, and sendings.
            let full = async {
                Timer::after_millis(1).await;
                let mut reply = [0; 64];
                let outcome = host.send(ServiceId::READ, 7, None, LONG, &mut reply).await;
                assert_eq!(sending(outcome), Some(SendError::Full));
            };
            let mut buffers = [[0; 64]; 4];
            let four = join_array(buffers.each_mut().map(|reply| host.send(ServiceId::READ, 9, None, SECOND, reply)));
            let four = join(four, full).await.0;
            assert_eq!(four.map(sending), [Some(SendError::NoResponse); 4]);
            // Not connected, and never.
            host.link().disable();
            let start = Instant::now();
            let outcome = host.send(ServiceId::READ, 7, None, SECOND, &mut reply).await;
            assert_eq!((sending(outcome), start.elapsed()), (Some(SendError::NotConnected), SECOND));
        })
        .await;
    });
}

#[test]
fn a_sending_waits_for_room_in_the_connection() {
    joined(100, usual(), async |ends| {
        ends.host.established().await.unwrap();
        ends.served(async {
            let link = ends.host.link();
            let mut buffers = [[0; 64]; 4];
            let mut reply = [0; 64];
            // Transactions that the services know nothing of.
            let text = b"\x01\x03\xb1\x04\0\0\0\x08\xa5\x01\0\x01\0";
            let read = StreamFunction::new(64, 11);
            let others = join_array(buffers.each_mut().map(|reply| link.request(read, text, reply)));
            let waiting = async {
                Timer::after_millis(1).await;
                let soon = Duration::from_millis(500);
                let outcome = ends.host.request(S1F1, &[], soon, &mut reply).await;
                assert_eq!(sending(outcome), Some(SendError::NotSent(Waiting::Room)));
                let outcome = ends.host.request(S1F1, &[], LONG, &mut reply).await.map(<[u8]>::len);
                assert_eq!(outcome, Ok(0));
            };
            let (others, ()) = join(others, waiting).await;
            assert!(others.iter().all(Result::is_ok));
        })
        .await;
    });
}

#[test]
fn names_are_exchanged() {
    let ends = [(Config::host(DEVICE), "host"), (Config::equipment(DEVICE), "etcher")];
    let ends = ends.map(|(config, name)| {
        let settings = hsms_embassy::services::EndpointSettings { name: Some(name), ..settings(&config).unwrap() };
        Machine::new(settings).unwrap()
    });
    joined(100, ends, async |ends| {
        ends.served(join(
            noticed(ends.host, |notice| *notice == EndpointNotice::Named { differ: true }),
            noticed(ends.equipment, |notice| *notice == EndpointNotice::Named { differ: true }),
        ))
        .await;
        for end in [ends.host, ends.equipment] {
            assert_eq!(end.look(|core| core.name().map(str::to_owned)).as_deref(), Some("host"));
        }
    });
}

#[test]
fn both_ends_prove_the_secret_again_after_each_loss_of_the_link() {
    joined(100, guarded(usual(), [Some(SECRET); 2]), async |ends| {
        let mut reply = [0; 64];
        ends.served(async {
            for round in 1..4 {
                let outcome = ends.host.send(ServiceId::READ, 7, Some(DATA), LONG, &mut reply).await;
                assert_eq!(outcome, Ok(Some(DATA)));
                for end in [ends.host, ends.equipment] {
                    assert_eq!(end.look(|core| core.trust_state()), Some(TrustState::Trusted));
                }
                assert_eq!(ends.network.connections(), round);
                ends.host.reconnect();
                ends.equipment.link().reached(State::NotConnected).await.unwrap();
                ends.host.link().reached(State::NotConnected).await.unwrap();
                Timer::after_millis(1).await;
                assert!(!ends.host.is_trusted() && !ends.equipment.is_trusted());
            }
            assert_eq!(ends.host.authenticate(LONG).await, Ok(()));
        })
        .await;
    });
}

#[test]
fn a_peer_without_the_secret_reaches_no_handler_and_no_inbox() {
    joined(100, guarded(usual(), [None, Some(SECRET)]), async |ends| {
        let seen = RefCell::<Vec<Vec<u8>>>::default();
        let mut reply = [0; 64];
        let work = async {
            for service in [ServiceId::READ, ServiceId::EXECUTE] {
                let outcome = ends.host.send(service, 7, Some(DATA), LONG, &mut reply).await;
                assert_eq!(sending(outcome), Some(SendError::Status(Status::AUTHENTICATION_REQUIRED)));
            }
            let outcome = ends.host.request(S1F1, &[], LONG, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::Aborted));
            ends.host.tell(ServiceId::READ, 7, Some(DATA), LONG).await.unwrap();
            noticed(ends.equipment, |notice| matches!(notice, EndpointNotice::Refused { .. })).await;
            // What waits on the other end waits for trust.
            let outcome = ends.equipment.request(S6F11, &[], SECOND, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::NotSent(Waiting::Trust)));
        };
        beside(work, join(serve(ends.equipment, &seen), serve(ends.host, &RefCell::default()))).await;
        assert!(seen.borrow().is_empty());
        assert!(ends.equipment.look(|core| core.inbox().is_empty()));
        assert_eq!(ends.equipment.look(|core| core.refused()), 4);
    });
}

#[test]
fn another_secret_is_told_to_both_and_lets_nothing_through() {
    joined(100, guarded(usual(), [Some(b"another secret!!!"), Some(SECRET)]), async |ends| {
        let mut reply = [0; 64];
        ends.served(async {
            let outcome = ends.host.send(ServiceId::READ, 7, None, LONG, &mut reply).await;
            assert_eq!(
                sending(outcome),
                Some(SendError::NotTrusted(TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED)))
            );
            noticed(ends.equipment, |notice| *notice == EndpointNotice::TrustFailed(TrustFailure::WrongProof)).await;
            assert_eq!(
                sending(ends.host.authenticate(LONG).await),
                Some(SendError::NotTrusted(TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED)))
            );
            assert!(!ends.host.is_trusted() && !ends.equipment.is_trusted());
            assert_eq!(sending(ends.equipment.authenticate(LONG).await), Some(SendError::NotPermitted));
        })
        .await;
    });
}

#[test]
fn what_waits_for_trust_goes_out_behind_the_last_proof() {
    // One octet at a time, so that whatever can overtake does.
    joined(1, guarded(usual(), [Some(SECRET); 2]), async |ends| {
        let mut reply = [0; 64];
        ends.host.handle_function(Some(6), Some(11), Duty::Echo).unwrap();
        ends.served(async {
            let outcome = ends.equipment.request(S6F11, b"\x01\0", LONG, &mut reply).await;
            assert_eq!(outcome, Ok(&b"\x01\0"[..]));
            assert_eq!(ends.host.look(|core| core.refused()), 0);
        })
        .await;
    });
}

#[test]
fn what_came_before_the_end_of_a_trusted_link_is_handled() {
    joined(100, guarded(usual(), [Some(SECRET); 2]), async |ends| {
        let seen = RefCell::<Vec<Vec<u8>>>::default();
        let work = async {
            ends.host.established().await.unwrap();
            for _ in 0..3 {
                ends.host.tell(ServiceId::READ, 7, Some(DATA), LONG).await.unwrap();
            }
            ends.host.link().disable();
            ends.equipment.link().reached(State::NotConnected).await.unwrap();
            while ends.equipment.is_trusted() {
                Timer::after_millis(1).await;
            }
        };
        beside(work, join(serve(ends.host, &RefCell::default()), serve(ends.equipment, &seen))).await;
        assert_eq!(seen.borrow().len(), 3);
        assert_eq!(ends.equipment.look(|core| core.refused()), 0);
    });
}

#[test]
fn connected_selected_trusted_and_established_are_told_apart_through_a_reconnect() {
    let questions =
        |end: &Services<'_, '_>| [end.is_connected(), end.is_selected(), end.is_trusted(), end.is_established()];
    joined(100, guarded(usual(), [Some(SECRET); 2]), async |ends| {
        let mut reply = [0; 64];
        ends.served(async {
            ends.host.established().await.unwrap();
            assert_eq!(questions(ends.host), [true; 4]);
            ends.host.reconnect();
            assert_eq!(questions(ends.host), [true, true, true, false], "nothing is sent over it any more");
            ends.host.link().reached(State::NotConnected).await.unwrap();
            Timer::after_millis(1).await;
            assert_eq!([ends.host, ends.equipment].map(questions), [[false; 4]; 2]);
            let outcome = ends.host.send(ServiceId::READ, 7, Some(DATA), LONG, &mut reply).await;
            assert_eq!(outcome, Ok(Some(DATA)));
            assert_eq!([ends.host, ends.equipment].map(questions), [[true; 4]; 2]);
            assert_eq!(ends.network.connections(), 2);
        })
        .await;
    });
    joined(100, guarded(usual(), [Some(SECRET), Some(b"another sixteen!")]), async |ends| {
        ends.served(noticed(ends.host, |notice| matches!(notice, EndpointNotice::TrustFailed(_)))).await;
        assert_eq!(questions(ends.host), [true, true, false, false]);
    });
}

#[test]
fn an_error_is_printed_with_the_name_that_its_status_has_at_this_end() {
    let mut cores = usual();
    cores[0].services_mut().add_status(Status(9), "sensor broken").unwrap();
    joined(100, cores, async |ends| {
        let mut reply = [0; 64];
        let answer = async {
            let mut text = [0; 64];
            let Ok(Call::Service { request, .. }) = ends.equipment.next(&mut text).await else { panic!("a request") };
            request.respond(Status(9), None).await.unwrap();
        };
        let error = join(ends.host.send(ServiceId::READ, 7, None, LONG, &mut reply), answer).await.0.unwrap_err();
        assert_eq!(error.to_string(), "status 9");
        assert_eq!(ends.host.describe_error(error).to_string(), "status 9 (sensor broken)");
        assert_eq!(ends.equipment.describe_error(error).to_string(), "status 9", "it has no name there");
        for other in [Error::NotOneItem, Error::Link(LinkError::LinktestMissed)] {
            assert_eq!(ends.host.describe_error(other).to_string(), other.to_string());
        }
    });
}

#[test]
fn what_was_left_of_an_older_link_is_told_and_reaches_no_handler() {
    joined(100, guarded(usual(), [Some(SECRET); 2]), async |ends| {
        let (host_seen, seen) = (RefCell::default(), RefCell::<Vec<Vec<u8>>>::default());
        beside(ends.host.established(), join(serve(ends.host, &host_seen), serve(ends.equipment, &seen)))
            .await
            .unwrap();
        // Nobody takes it, until the next link is there.
        ends.host.tell(ServiceId::READ, 7, Some(DATA), LONG).await.unwrap();
        ends.host.link().linktest().await.unwrap();
        ends.host.reconnect();
        ends.equipment.link().reached(State::NotConnected).await.unwrap();
        ends.equipment.link().reached(State::Selected).await.unwrap();
        ends.served(async {
            while !matches!(ends.equipment.told().await, Ok(Told::Dropped(_))) {}
            ends.host.established().await.unwrap();
        })
        .await;
        assert!(seen.borrow().is_empty());
    });
}

#[test]
fn communication_is_established_and_then_messages_flow() {
    let ends = communicating(bare_settings());
    joined(100, ends, async |ends| {
        let mut reply = [0; 64];
        ends.equipment.handle_function(Some(1), Some(3), Duty::Echo).unwrap();
        ends.host.handle_function(Some(6), Some(11), Duty::Echo).unwrap();
        ends.served(async {
            let s1f3 = StreamFunction::new(1, 3);
            assert_eq!(ends.host.request(s1f3, b"\x01\0", LONG, &mut reply).await.unwrap(), b"\x01\0");
            assert_eq!(ends.equipment.request(S6F11, b"\x01\0", LONG, &mut reply).await.unwrap(), b"\x01\0");
            assert!(ends.host.is_communicating() && ends.equipment.is_communicating());
            // S1F1 is the core's to answer then.
            let identity = ends.host.request(S1F1, &[], LONG, &mut reply).await.unwrap();
            assert_eq!(identity, b"\x01\x02\x41\x06ETCHER\x41\x031.0");
            ends.equipment.link().separate();
            ends.equipment.link().reached(State::NotConnected).await.unwrap();
            Timer::after_millis(1).await;
            assert!(!ends.host.is_communicating() && !ends.equipment.is_communicating());
            join(ends.host.communicating(), ends.equipment.communicating()).await.0.unwrap();
        })
        .await;
    });
}

#[test]
fn communication_that_is_denied_is_asked_for_again_after_the_delay() {
    joined(100, communicating(bare_settings()), async |ends| {
        let mut reply = [0; 64];
        ends.equipment.accept_communication(false);
        ends.served(async {
            let denied = |notice: &EndpointNotice| {
                matches!(notice, EndpointNotice::CommunicationFailed(CommunicationFailure::Denied { commack: 1 }))
            };
            noticed(ends.host, denied).await;
            let start = Instant::now();
            assert_eq!(ends.host.look(|core| core.communication_state()), Some(CommunicationState::WaitingToRetry));
            let outcome = ends.host.request(S1F1, &[], SECOND, &mut reply).await;
            assert_eq!(sending(outcome), Some(SendError::NotSent(Waiting::Communication)));
            noticed(ends.host, denied).await;
            assert_eq!(start.elapsed(), Duration::from_secs(10));
            ends.equipment.accept_communication(true);
            ends.host.communicating().await.unwrap();
            assert_eq!(start.elapsed(), Duration::from_secs(20));
            ends.equipment.communicating().await.unwrap();
        })
        .await;
    });
}

#[test]
fn services_are_run_by_one_task_alone() {
    joined(100, bare(), async |ends| {
        // The first goes on, however often others try.
        for _ in 0..3 {
            assert_eq!(ends.host.run().await.unwrap_err(), Error::Link(LinkError::Running));
        }
    });
}

#[test]
fn replies_that_nobody_awaits_are_kept_while_there_are_services() {
    let config = quiet(Config::equipment(DEVICE));
    against::<64, 64, 128, _>(config, 100, Limits::default(), async |link, mut peer| {
        peer.select().await;
        let (late, mut buffer) = (StreamFunction::new(1, 2), [0; 16]);
        let services = Services::new(link, Machine::new(plain(config)).unwrap());
        peer.put(&data(late, false, 77, b"late")).await;
        assert_eq!(link.receive(&mut buffer).await.unwrap().header.stream_function(), late);
        // Nobody can ask for them any more.
        drop(services);
        peer.put(&data(late, false, 78, b"later")).await;
        peer.put(&data(S6F11, false, 79, b"event")).await;
        assert_eq!(link.receive(&mut buffer).await.unwrap().body, b"event");
    });
}

#[test]
fn five_calls_can_be_held_and_the_next_waits_for_one_of_them() {
    let (mut ours, mut theirs) = (Buffers::<64, 128, 512>::new(), Buffers::<64, 128, 512>::new());
    let host_link = Link::<NoopRawMutex, 8, 24>::new(quiet(Config::host(DEVICE)), ours.lend()).unwrap();
    let equipment_link = Link::<NoopRawMutex, 8, 24>::new(quiet(Config::equipment(DEVICE)), theirs.lend()).unwrap();
    let [_, equipment] = usual();
    let equipment = Endpoint::new(&equipment_link, equipment);
    let network = Network::new(100);
    let tasks: Vec<Task<'_>> =
        vec![task(host_link.run(Dial(&network))), task(equipment_link.run(Listen(&network))), task(equipment.run())];
    run_with(tasks, async {
        equipment_link.enable();
        host_link.enable();
        host_link.reached(State::Selected).await.unwrap();
        let mut replies = [[0; 64]; 8];
        let requests = join_array(replies.each_mut().map(|reply| host_link.request(S1F1, b"\x01\0", reply)));
        let hold = async {
            let mut texts = [[0; 64]; 8];
            let mut held = Vec::new();
            for (at, text) in texts.iter_mut().enumerate() {
                let mut next = std::pin::pin!(equipment.next(text));
                if let Either::First(call) = select(next.as_mut(), Timer::after_millis(10)).await {
                    held.push(call.unwrap());
                    continue;
                }
                assert_eq!(held.len(), 5.min(at));
                // Dropped, one of them is a failure of its handler.
                drop(held.pop());
                held.push(next.await.unwrap());
            }
            held.len()
        };
        let (replies, held) = join(requests, hold).await;
        assert_eq!(held, 5);
        assert!(replies.iter().all(|reply| matches!(reply, Err(LinkError::Aborted { .. }))), "{replies:?}");
    });
}

#[test]
fn what_nobody_asks_for_is_counted() {
    joined(100, usual(), async |ends: &Ends<'_, '_, '_>| {
        ends.served(async {
            for _ in 0..6 {
                ends.host.tell_primary(S3F1, &[], LONG).await.unwrap();
            }
            ends.host.link().linktest().await.unwrap();
            Timer::after_millis(1).await;
            assert!(matches!(ends.equipment.told().await.unwrap(), Told::Missed(2)));
            for _ in 0..4 {
                let told = ends.equipment.told().await.unwrap();
                assert!(matches!(told, Told::Notice(EndpointNotice::Unhandled { .. })), "{told:?}");
            }
        })
        .await;
        let nothing = select(ends.equipment.told(), Timer::after(SECOND)).await;
        assert!(matches!(nothing, Either::Second(())));
    });
}

fn bare_settings() -> [hsms_embassy::services::EndpointSettings<'static>; 2] {
    [Config::host(DEVICE), Config::equipment(DEVICE)].map(plain)
}

#[test]
fn what_waits_for_room_in_the_output_until_its_deadline_was_not_sent() {
    joined(1, usual(), async |ends| {
        ends.host.established().await.unwrap();
        fill(ends.host, 200).await;
        let mut reply = [0; 64];
        let start = Instant::now();
        let outcome = ends.host.request(S1F1, &[0; 240], SECOND, &mut reply).await;
        assert_eq!((sending(outcome), start.elapsed()), (Some(SendError::NotSent(Waiting::Room)), SECOND));
    });
}

#[test]
fn what_was_let_go_over_a_trusted_link_does_not_go_out_over_the_next_before_that_is_trusted() {
    joined(1, guarded(usual(), [Some(SECRET); 2]), async |ends| {
        ends.served(ends.host.established()).await.unwrap();
        fill(ends.host, 200).await;
        let mut tell = std::pin::pin!(ends.host.tell_primary(S1F1, &[0; 240], LONG));
        assert!(embassy_futures::poll_once(tell.as_mut()).is_pending());
        ends.host.link().separate();
        ends.host.link().reached(State::NotConnected).await.unwrap();
        let seen = RefCell::default();
        let work = async {
            ends.host.link().reached(State::Selected).await.unwrap();
            assert!(!ends.host.is_trusted());
            tell.await.unwrap();
            ends.host.link().linktest().await.unwrap();
            assert!(ends.host.is_trusted());
        };
        beside(work, join(serve(ends.equipment, &seen), serve(ends.host, &RefCell::default()))).await;
        assert_eq!(ends.equipment.look(|core| core.refused()), 0);
    });
}
