//! Data messages of sessions (E37 7.3, 9.4; E37.2 7.3).

use super::harness::*;
use crate::support::{PAUSE, T3, T7};
use hsms_core::Error;
use hsms_core::config::DeviceId;
use hsms_core::connection::{Class, SessionEnd, State, Stray, Stream9, TransactionEnd};
use hsms_core::wire::{Header, RejectReason, StreamFunction, SystemBytes};

const S1F1: StreamFunction = StreamFunction::new(1, 1);

#[test]
fn it_is_delivered_for_a_selected_session_and_rejected_with_reason_4_for_any_other() {
    for who in everyone() {
        for (stream, function) in [(0x81, 1), (0x01, 1), (0x01, 2), (0x01, 0), (0x09, 9)] {
            let mut scene = Scene::connected(who, &[offered(A), offered(B), offered(C)]);
            let reject_4 = |session| [sent(reject(session, 0, 4, 9))];
            for session in [A, B, C, NOBODY, 0xFFFF] {
                scene.receives(&data(session, stream, function, 9), rejected(4), &reject_4(session));
            }
            scene.is(State::NotSelected, Some(T7 - PAUSE), &[]);
            scene.is_selected_by_peer(B);
            for session in [A, C, NOBODY, 0xFFFF, B & 0x7FFF] {
                scene.receives(&data(session, stream, function, 9), rejected(4), &reject_4(session));
                let long = data_with(session, stream, function, 9, &[7; 40]);
                scene.receives(&long, rejected(4), &reject_4(session));
            }
            scene.is(State::Selected, None, &[B]);
            if function % 2 == 1 {
                let token = scene.receives(&data(B, stream, function, 9), Class::Primary, &[]);
                assert_eq!(token.is_some(), stream == 0x81);
            }
        }
    }
}

#[test]
fn all_sixteen_bits_of_a_session_id_count() {
    for who in everyone() {
        for session in [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFE] {
            let mut scene = Scene::connected(who, &[offered(session)]);
            scene.takes(&select_req(session, 9), &[sent(select_rsp(session, 0, 9)), begun(session)]);
            let octets = data_with(session, 0x81, 1, 10, &[1, 0]);
            let now = scene.now();
            let (_, inbound) = scene.machine.receive(now, &octets).unwrap();
            let inbound = inbound.unwrap();
            assert_eq!((inbound.class, inbound.header().session), (Class::Primary, id(session)));
            assert_eq!(inbound.header().encode(), octets[4..14]);
            let token = inbound.reply_token().unwrap();
            assert_eq!(scene.drain(), []);
            assert_eq!(scene.replies(&token), data(session, 1, 2, 10));
            let other = session ^ 0x8000;
            scene.receives(&data(other, 0x81, 1, 11), rejected(4), &[sent(reject(other, 0, 4, 11))]);
            let ours = scene.sends(session, 1, 1, true);
            scene.receives(&data(other, 1, 2, ours), rejected(4), &[sent(reject(other, 0, 4, ours))]);
            scene.receives(&data(session, 1, 2, ours), Class::Reply, &[]);
        }
    }
}

#[test]
fn a_reply_belongs_to_its_session() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let (first, second) = (scene.sends(A, 1, 1, true), scene.sends(B, 1, 1, true));
        assert_ne!(first, second);
        scene.receives(&data(B, 1, 2, first), Class::Stray(Stray::Mismatched), &[]);
        scene.receives(&data(A, 1, 2, second), Class::Stray(Stray::Mismatched), &[]);
        scene.receives(&data(A, 1, 4, first), Class::Stray(Stray::Mismatched), &[]);
        scene.receives(&data(A, 1, 2, 0x7777), Class::Stray(Stray::Orphan), &[]);
        assert_eq!(scene.machine.open_transactions(), 2);
        scene.receives(&data(B, 1, 2, second), Class::Reply, &[]);
        scene.receives(&data(A, 1, 0, first), Class::Reply, &[]);
        assert_eq!(scene.machine.open_transactions(), 0);
        scene.receives(&data(A, 1, 2, first), Class::Stray(Stray::Late), &[]);
        scene.is(State::Selected, None, &[A, B]);
    }
}

#[test]
fn a_transaction_that_has_ended_with_its_session_is_given_up_without_the_reply_that_arrives_in_another() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let (first, second) = (scene.sends(A, 1, 1, true), scene.sends(B, 1, 1, true));
        let reply = data_with(B, 1, 2, second, &[1, 2, 3]);
        let (outs, _) = scene.feed(&reply[..15], 15);
        assert_eq!(outs, [Out::Got(Class::Reply)]);
        let now = scene.now();
        scene.machine.separate_session(now, id(A)).unwrap();
        // Before its end is told.
        scene.machine.forget(SystemBytes(first)).unwrap();
        assert_eq!(scene.drain(), [sent(separate(A, second + 1)), ended(A, SessionEnd::Separated)]);
        let (_, inbound) = scene.machine.receive(now, &reply[15..]).unwrap();
        let inbound = inbound.unwrap();
        assert_eq!((inbound.class, inbound.last()), (Class::Reply, true));
        assert_eq!(scene.machine.open_transactions(), 0);
    }
}

#[test]
fn t3_ends_one_transaction_and_equipment_says_so_in_its_session() {
    for who in everyone() {
        for session in [A, B, C] {
            let mut scene = Scene::selected(who, &[A, B, C]);
            let system = scene.sends(session, 1, 1, true);
            scene.pass(PAUSE);
            let other = scene.sends(A, 1, 3, true);
            let mut outs = vec![over(system, TransactionEnd::T3)];
            if who.is_equipment() {
                let shead = data(session, 0x81, 1, system)[4..].to_vec();
                let text = [vec![0x21, 0x0A], shead].concat();
                outs.insert(0, sent(data_with(session, 9, 9, other + 1, &text)));
            }
            scene.fires_in(T3 - PAUSE, &outs);
            scene.is(State::Selected, Some(PAUSE), &[A, B, C]);
            scene.receives(&data(session, 1, 2, system), Class::Stray(Stray::Late), &[]);
        }
    }
}

#[test]
fn transactions_of_a_session_end_with_it_once_each_and_those_of_others_go_on() {
    for who in everyone() {
        for way in 0..4 {
            let mut scene = Scene::selected(who, &[A, B]);
            let systems = [scene.sends(A, 1, 1, true), scene.sends(B, 1, 1, true), scene.sends(A, 1, 3, true)];
            let [first, other, second] = systems;
            match way {
                0 => scene.separate(A, second + 1, &[void(first), void(second)]),
                1 => {
                    let outs = [ended(A, SessionEnd::SeparateReceived), void(first), void(second)];
                    scene.takes(&separate(A, 9), &outs);
                }
                2 => {
                    let end = ended(A, SessionEnd::DeselectReceived);
                    let outs = [sent(deselect_rsp(A, 0, 9)), end, void(first), void(second)];
                    scene.takes(&deselect_req(A, 9), &outs);
                }
                _ => {
                    scene.deselect(A, second + 1);
                    let outs = [ended(A, SessionEnd::Deselected), void(first), void(second)];
                    scene.takes(&deselect_rsp(A, 0, second + 1), &outs);
                }
            }
            assert_eq!(scene.machine.open_transactions(), 1);
            scene.is(State::Selected, Some(T3), &[B]);
            scene.receives(&data(A, 1, 2, first), rejected(4), &[sent(reject(A, 0, 4, first))]);
            scene.receives(&data(B, 1, 2, other), Class::Reply, &[]);
            // Selected again, the old transactions are not.
            scene.is_selected_by_peer(A);
            scene.receives(&data(A, 1, 2, first), Class::Stray(Stray::Late), &[]);
            scene.is(State::Selected, None, &[A, B]);
        }
    }
}

#[test]
fn transactions_of_the_last_session_end_with_it() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        let systems: Vec<u32> = (0..4).map(|_| scene.sends(A, 1, 1, true)).collect();
        let voids: Vec<Out> = systems.iter().map(|system| void(*system)).collect();
        scene.separate(A, systems[3] + 1, &voids);
        scene.is(State::NotSelected, Some(T7), &[]);
        assert_eq!(scene.machine.open_transactions(), 0);
    }
}

#[test]
fn what_is_told_of_an_ended_session_comes_before_any_further_input() {
    let mut scene = Scene::selected(crate::support::passive(), &[A, B]);
    let system = scene.sends(A, 1, 1, true);
    let now = scene.now();
    scene.machine.receive(now, &separate(A, 9)).unwrap();
    scene.refuses(Error::ActionsPending, |m, now| m.receive(now, &data(B, 1, 1, 9)).map(|_| ()));
    scene.refuses(Error::ActionsPending, |m, now| m.separate_session(now, id(B)));
    scene.refuses(Error::ActionsPending, Machine::linktest);
    assert_eq!(scene.drain(), [ended(A, SessionEnd::SeparateReceived), void(system)]);
}

#[test]
fn a_token_of_an_ended_session_is_stale_also_when_it_is_selected_again() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let of_a = scene.receives(&data(A, 0x81, 1, 9), Class::Primary, &[]).unwrap();
        let of_b = scene.receives(&data(B, 0x81, 1, 10), Class::Primary, &[]).unwrap();
        scene.takes(&separate(A, 11), &[ended(A, SessionEnd::SeparateReceived)]);
        scene.refuses(Error::StaleToken, |m, now| m.begin_reply(now, &of_a, 0));
        scene.refuses(Error::StaleToken, |m, now| m.begin_abort(now, &of_a));
        scene.is_selected_by_peer(A);
        scene.refuses(Error::StaleToken, |m, now| m.begin_reply(now, &of_a, 0));
        scene.refuses(Error::StaleToken, |m, now| m.begin_abort(now, &of_a));
        assert_eq!(scene.replies(&of_b), data(B, 1, 2, 10));
        let anew = scene.receives(&data(A, 0x81, 1, 12), Class::Primary, &[]).unwrap();
        assert_eq!(scene.replies(&anew), data(A, 1, 2, 12));
    }
}

#[test]
fn a_token_outlives_neither_the_connection_nor_the_last_session() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A]);
        let token = scene.receives(&data(A, 0x81, 1, 9), Class::Primary, &[]).unwrap();
        let mut other = scene.clone();
        scene.takes(&separate(A, 11), &[ended(A, SessionEnd::SeparateReceived)]);
        scene.refuses(Error::StaleToken, |m, now| m.begin_reply(now, &token, 0));

        let now = other.now();
        other.machine.handle(now, hsms_core::connection::Event::TransportClosed).unwrap();
        other.drain();
        other.pass(crate::support::T5);
        other.machine.handle(other.now(), hsms_core::connection::Event::Timeout).unwrap();
        other.drain();
        other.opens(&[]);
        other.refuses(Error::StaleToken, |m, now| m.begin_reply(now, &token, 0));
        other.is_selected_by_peer(A);
        other.refuses(Error::StaleToken, |m, now| m.begin_reply(now, &token, 0));
    }
}

#[test]
fn our_data_is_refused_for_a_session_that_is_not_selected() {
    for who in everyone() {
        let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
        scene.refuses(Error::NotSelected, |m, now| m.begin_primary_in(now, id(A), S1F1, true, 0));
        scene.is_selected_by_peer(B);
        for session in [A, NOBODY, 0xFFFF, B & 0x7FFF] {
            let error = Error::SessionNotSelected { session: id(session) };
            scene.refuses(error, |m, now| m.begin_primary_in(now, id(session), S1F1, true, 0));
        }
        let device = DeviceId::new(A).unwrap();
        let error = Error::SessionNotSelected { session: id(A) };
        scene.refuses(error, |m, now| m.begin_primary(now, device, S1F1, true, 0));
        scene.is_selected_by_peer(A);
        let now = scene.now();
        let (system, prefix) = scene.machine.begin_primary(now, device, S1F1, false, 0).unwrap();
        assert_eq!(prefix.to_vec(), data(A, 1, 1, system.0));
    }
}

#[test]
fn all_sessions_share_the_room_for_transactions() {
    let mut scene = Scene::selected(crate::support::active(), &[A, B]);
    for session in [A, B, A, B] {
        scene.sends(session, 1, 1, true);
    }
    let error = Error::TransactionsFull { open: 4 };
    scene.refuses(error, |m, now| m.begin_primary_in(now, id(A), S1F1, true, 0));
    scene.sends(A, 1, 1, false);
}

#[test]
fn stream_9_of_the_application_carries_the_session_of_what_it_is_about() {
    let mut scene = Scene::selected(crate::support::passive(), &[A, B]);
    let about = Header::data(SystemBytes(9), S1F1, true, id(B));
    let text = [vec![0x21, 0x0A], data(B, 0x81, 1, 9)[4..].to_vec()].concat();
    let outs = [sent(data_with(B, 9, 7, OURS, &text))];
    scene.does(&outs, |m, now| m.report_error(now, Stream9::IllegalData, &about));
}

#[test]
fn stream_9_is_not_sent_about_a_session_that_has_ended() {
    let mut scene = Scene::selected(crate::support::passive(), &[A, B]);
    let about = Header::data(SystemBytes(9), S1F1, true, id(B));
    scene.takes(&separate(B, 11), &[ended(B, SessionEnd::SeparateReceived)]);
    let error = Error::SessionNotSelected { session: id(B) };
    scene.refuses(error, |m, now| m.report_error(now, Stream9::IllegalData, &about));
}

#[test]
fn too_long_data_is_refused_in_its_session_and_rejected_in_any_other() {
    use hsms_core::connection::CloseReason;
    let who = crate::support::passive().max_message(30);
    let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
    scene.is_selected_by_peer(B);
    scene.receives(&data_with(B, 0x01, 1, 8, &[0; 20]), Class::Primary, &[]);
    scene.receives(&data_with(B, 0x01, 2, 8, &[0; 20]), Class::Stray(Stray::Orphan), &[]);
    let long = data_with(B, 0x81, 1, 9, &[0; 21]);
    let text = [vec![0x21, 0x0A], long[4..14].to_vec()].concat();
    scene.receives(&long, Class::TooLong, &[sent(data_with(B, 9, 11, OURS, &text))]);
    let long = data_with(A, 0x81, 1, 9, &[0; 31]);
    scene.receives(&long, rejected(4), &[sent(reject(A, 0, 4, 9))]);
    scene.is(State::Selected, None, &[B]);
    // Beyond the skip limit, and where nothing is selected, the connection ends.
    let long = data_with(A, 0x81, 1, 9, &[0; 111]);
    let close = |length| Out::Close(CloseReason::LengthTooLong { length, limit: 30 });
    scene.receives(&long, Class::TooLong, &[close(121), Out::Open]);
    scene.opens(&[]);
    let long = data_with(A, 0x81, 1, 9, &[0; 31]);
    scene.receives(&long, Class::TooLong, &[close(41), Out::Open]);
}

#[test]
fn a_reply_that_is_too_long_ends_its_transaction() {
    let who = crate::support::passive().max_message(30);
    let mut scene = Scene::connected(who, &[offered(A), offered(B)]);
    scene.is_selected_by_peer(A);
    scene.is_selected_by_peer(B);
    let system = scene.sends(B, 1, 1, true);
    // A reply of another session is none.
    let long = data_with(A, 1, 2, system, &[0; 31]);
    let text = [vec![0x21, 0x0A], long[4..14].to_vec()].concat();
    scene.receives(&long, Class::TooLong, &[sent(data_with(A, 9, 11, OURS + 1, &text))]);
    let long = data_with(B, 1, 2, system, &[0; 31]);
    let text = [vec![0x21, 0x0A], long[4..14].to_vec()].concat();
    let end = over(system, TransactionEnd::ReplyTooLong { length: 41 });
    scene.receives(&long, Class::TooLong, &[end, sent(data_with(B, 9, 11, OURS + 2, &text))]);
    scene.is(State::Selected, None, &[A, B]);
}

#[test]
fn a_message_of_another_ptype_is_no_reply_however_long() {
    use hsms_core::connection::CloseReason;
    let who = crate::support::passive().max_message(30);
    let mut scene = Scene::connected(who, &[offered(A)]);
    scene.is_selected_by_peer(A);
    let system = scene.sends(A, 1, 1, true);
    scene.receives(&ptype(data(A, 1, 2, system), 1), rejected(2), &[sent(reject(A, 1, 2, system))]);
    // Its length is for SECS-II; of any other PType it closes, and the transaction ends with the connection.
    let close = Out::Close(CloseReason::LengthTooLong { length: 41, limit: 30 });
    let long = ptype(data_with(A, 1, 2, system, &[0; 31]), 1);
    scene.receives(&long, Class::TooLong, &[close, void(system), Out::Open]);
}

#[test]
fn a_reply_that_arrives_while_its_session_ends_is_for_nobody() {
    let mut scene = Scene::selected(crate::support::active(), &[A, B]);
    let (first, other) = (scene.sends(A, 1, 1, true), scene.sends(B, 1, 1, true));
    let reply = data_with(A, 1, 2, first, &[1, 0]);
    let now = scene.now();
    let (taken, inbound) = scene.machine.receive(now, &reply[..15]).unwrap();
    assert_eq!((taken, inbound.unwrap().class), (15, Class::Reply));
    scene.separate(A, other + 1, &[void(first)]);
    let (taken, inbound) = scene.machine.receive(now, &reply[15..]).unwrap();
    let inbound = inbound.unwrap();
    assert_eq!((taken, inbound.class, inbound.last()), (1, Class::Stray(Stray::Late), true));
    assert_eq!(scene.drain(), []);
    assert_eq!(scene.machine.open_transactions(), 1);
    scene.receives(&data(B, 1, 2, other), Class::Reply, &[]);
    // And a reply of another session that arrives meanwhile goes on.
    let mut scene = Scene::selected(crate::support::active(), &[A, B]);
    let (first, other) = (scene.sends(A, 1, 1, true), scene.sends(B, 1, 1, true));
    let reply = data_with(B, 1, 2, other, &[1, 0]);
    scene.machine.receive(now, &reply[..15]).unwrap();
    scene.separate(A, other + 1, &[void(first)]);
    let (_, inbound) = scene.machine.receive(now, &reply[15..]).unwrap();
    assert_eq!(inbound.unwrap().class, Class::Reply);
    assert_eq!(scene.machine.open_transactions(), 0);
}

#[test]
fn rejected_data_is_told_with_its_reason() {
    let mut scene = Scene::selected(crate::support::active(), &[A]);
    let system = scene.sends(A, 1, 1, true);
    let end = TransactionEnd::Rejected(RejectReason(1));
    scene.takes(&reject(0xFFFF, 0, 1, system), &[over(system, end)]);
}

#[test]
fn the_sole_session_is_the_one_that_is_selected_where_there_is_one() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[]);
        assert_eq!(scene.machine.sole_session(), None);
        scene.is_selected_by_peer(C);
        assert_eq!(scene.machine.sole_session(), Some(id(C)));
        scene.is_selected_by_peer(A);
        assert_eq!(scene.machine.sole_session(), None);
        scene.separate(C, OURS, &[]);
        assert_eq!(scene.machine.sole_session(), Some(id(A)));
    }
}

#[test]
fn a_primary_that_arrives_while_its_session_ends_is_for_nobody() {
    for who in everyone() {
        let mut scene = Scene::selected(who, &[A, B]);
        let octets = data_with(A, 0x81, 1, 9, b"text");
        let (front, rest) = octets.split_at(octets.len() - 1);
        let now = scene.now();
        let (taken, inbound) = scene.machine.receive(now, front).unwrap();
        assert_eq!((taken, inbound.map(|inbound| inbound.class)), (front.len(), Some(Class::Primary)));
        scene.separate(A, OURS, &[]);
        let (taken, inbound) = scene.machine.receive(now, rest).unwrap();
        let inbound = inbound.unwrap();
        assert_eq!((taken, inbound.class, inbound.last()), (1, Class::Stray(Stray::UnknownDevice), true));
        assert_eq!(inbound.reply_token(), None);
        // A primary of another session that arrives meanwhile goes on.
        let mut scene = Scene::selected(who, &[A, B]);
        let octets = data_with(B, 0x81, 1, 10, b"text");
        let (front, rest) = octets.split_at(octets.len() - 1);
        let now = scene.now();
        scene.machine.receive(now, front).unwrap();
        scene.separate(A, OURS, &[]);
        let inbound = scene.machine.receive(now, rest).unwrap().1.unwrap();
        assert_eq!((inbound.class, inbound.last()), (Class::Primary, true));
    }
}
