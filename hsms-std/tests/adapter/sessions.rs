//! Connections with a list of session entities: HSMS-GS.

use crate::support::*;
use hsms_std::core::connection::{
    Admission, General, Holders, Notice, SessionEnd, SessionEntity, SessionRefusal, SessionsError,
};
use hsms_std::core::wire::{DeselectStatus, RejectReason, SelectStatus, SessionId};
use hsms_std::{CloseReason, Config, Connection, Error, Header, Incoming, Options, State, SystemBytes};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;

const ETCHER: SessionId = SessionId(1);
const LOADER: SessionId = SessionId(0x8002);
const NOBODY: SessionId = SessionId(0x0BAD);

type Many = Connection<8, General<4>>;

fn general(address: impl std::net::ToSocketAddrs + Send + Sync + 'static, config: Config, list: General<4>) -> Many {
    Connection::general(address, config, list, Options::new()).unwrap()
}

fn list(entities: &[SessionEntity]) -> General<4> {
    General::new(entities).unwrap()
}

/// Equipment that offers these, on a free port.
fn tool(entities: &[SessionEntity]) -> (Many, SocketAddr) {
    let tool = general("127.0.0.1:0", equipment_config(), list(entities));
    let address = tool.local_addr().unwrap();
    (tool, address)
}

/// A host that knows all of them and selects none by itself.
fn knowing(address: SocketAddr) -> Many {
    let known = |session| SessionEntity { wanted: false, ..SessionEntity::wanted(session) };
    general(address, host_config(), list(&[known(ETCHER), known(LOADER), known(NOBODY)]))
}

/// Answers primaries with their own text until the peer has gone; gives the sessions of what came, and of the ends that were
/// told.
fn echo(tool: &mut Many) -> (Vec<SessionId>, Vec<(SessionId, SessionEnd)>, CloseReason) {
    let (mut asked, mut ended, mut text) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let token = match tool.next(LONG).unwrap().expect("the peer goes in time") {
            Incoming::Primary { token, .. } => token,
            Incoming::Closed { reason, .. } => return (asked, ended, reason),
            Incoming::Notice(Notice::SessionEnded { session, end }) => {
                ended.push((session, end));
                continue;
            }
            _ => continue,
        };
        tool.take_body(&mut text);
        if let Some(token) = token {
            asked.push(token.session());
            tool.reply(&token, &text).unwrap();
        }
    }
}

#[test]
fn two_entities_on_one_connection_are_selected_asked_and_let_go_each_by_itself() {
    let (mut tool, address) = tool(&[SessionEntity::offered(ETCHER), SessionEntity::offered(LOADER)]);
    let serving = thread::spawn(move || echo(&mut tool));
    let mut host = knowing(address);
    host.select_session(ETCHER, LONG).unwrap();
    assert_eq!(host.state(), State::Selected);
    let refused = host.request_in(LOADER, S1F1, &[]).unwrap_err();
    let expected = hsms_std::core::Error::SessionNotSelected { session: LOADER };
    assert!(matches!(refused, Error::Refused(error) if error == expected), "{refused}");
    // With one session there is no need to name it.
    assert_eq!(host.request(S1F1, b"one").unwrap().header.session, ETCHER);
    host.select_session(LOADER, LONG).unwrap();
    assert!(matches!(host.request(S1F1, &[]).unwrap_err(), Error::WhichDevice));
    for (session, body) in [(LOADER, b"two"), (ETCHER, b"six")] {
        let reply = host.request_in(session, S1F1, body).unwrap();
        assert_eq!((reply.header.session, reply.body), (session, &body[..]));
    }
    host.deselect_session(ETCHER).unwrap();
    assert_eq!(host.selected_sessions().collect::<Vec<_>>(), [LOADER]);
    assert_eq!(host.request(S1F1, b"end").unwrap().header.session, LOADER);
    host.close().unwrap();
    let (asked, ended, reason) = serving.join().unwrap();
    assert_eq!(asked, [ETCHER, LOADER, ETCHER, LOADER]);
    let ends = [(ETCHER, SessionEnd::DeselectReceived), (LOADER, SessionEnd::SeparateReceived)];
    assert_eq!((ended, reason), (ends.to_vec(), CloseReason::TransportClosed));
}

#[test]
fn a_refused_select_tells_the_status_and_the_connection_goes_on() {
    let offered = SessionEntity::offered(LOADER).with_admission(Admission::Refuse(SelectStatus::CONNECTION_NOT_READY));
    let (mut tool, address) = tool(&[SessionEntity::offered(ETCHER), offered]);
    let serving = thread::spawn(move || echo(&mut tool));
    let mut host = knowing(address);
    for (session, expected) in [(LOADER, SelectStatus::CONNECTION_NOT_READY), (NOBODY, SelectStatus::NO_SUCH_ENTITY)] {
        match host.select_session(session, LONG).unwrap_err() {
            Error::SessionRefused { session: about, refusal: SessionRefusal::Select(status) } => {
                assert_eq!((about, status), (session, expected));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(host.state(), State::NotSelected);
    }
    let unlisted = host.select_session(SessionId(3), LONG).unwrap_err();
    assert!(matches!(unlisted, Error::Refused(hsms_std::core::Error::UnknownSession { .. })), "{unlisted}");
    host.select_session(ETCHER, LONG).unwrap();
    assert_eq!(host.request(S1F1, b"still").unwrap().body, b"still");
    drop(host);
    serving.join().unwrap();
}

#[test]
fn an_entity_that_cannot_be_shared_is_given_to_one_connection_at_a_time() {
    let holders = Mutex::new(Holders::<usize, 4>::new());
    let exclusive = SessionEntity::offered(ETCHER).with_admission(Admission::Ask);
    let (mut first, first_address) = tool(&[exclusive, SessionEntity::offered(LOADER)]);
    let (mut second, second_address) = tool(&[exclusive, SessionEntity::offered(LOADER)]);
    let serve = |number: usize, tool: &mut Many| {
        loop {
            match tool.next(LONG).unwrap().expect("the peer goes in time") {
                Incoming::Notice(Notice::SelectAsked { session }) => {
                    let status = holders.lock().unwrap().take(session, number);
                    tool.answer_select(session, status).unwrap();
                }
                Incoming::Notice(Notice::SessionEnded { session, .. }) => {
                    holders.lock().unwrap().release(session, number);
                }
                Incoming::Closed { .. } => return holders.lock().unwrap().release_all(number),
                _ => {}
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| serve(1, &mut first));
        scope.spawn(|| serve(2, &mut second));
        let (mut one, mut other) = (knowing(first_address), knowing(second_address));
        one.select_session(ETCHER, LONG).unwrap();
        let refused = other.select_session(ETCHER, LONG).unwrap_err();
        let in_use = SessionRefusal::Select(SelectStatus::ENTITY_IN_USE);
        assert!(matches!(refused, Error::SessionRefused { refusal, .. } if refusal == in_use), "{refused}");
        // What can be shared is.
        one.select_session(LOADER, LONG).unwrap();
        other.select_session(LOADER, LONG).unwrap();
        one.deselect_session(ETCHER).unwrap();
        // The equipment's answer leaves before it has released the entity, perhaps.
        let taken = (0..1_000).any(|_| other.select_session(ETCHER, LONG).is_ok());
        assert!(taken, "the entity is never released");
    });
}

#[test]
fn a_session_that_is_busy_is_not_deselected_but_separated_in_the_end() {
    let (mut tool, address) = tool(&[SessionEntity::offered(ETCHER)]);
    let serving = thread::spawn(move || {
        tool.wait_for_session(ETCHER, LONG).unwrap();
        tool.set_busy(ETCHER, true).unwrap();
        let (_, ended, _) = echo(&mut tool);
        ended
    });
    let mut host = knowing(address);
    host.select_session(ETCHER, LONG).unwrap();
    // The equipment has become busy when it answers.
    host.request(S1F1, &[]).unwrap();
    let refused = host.deselect_session(ETCHER).unwrap_err();
    let busy = SessionRefusal::Deselect(DeselectStatus::COMMUNICATION_BUSY);
    assert!(matches!(refused, Error::SessionRefused { refusal, .. } if refusal == busy), "{refused}");
    assert!(host.is_selected(ETCHER));
    host.separate_session(ETCHER).unwrap();
    assert_eq!(host.state(), State::NotSelected);
    host.flush().unwrap();
    host.close().unwrap();
    assert_eq!(serving.join().unwrap(), [(ETCHER, SessionEnd::SeparateReceived)]);
}

#[test]
fn wanted_sessions_are_selected_again_after_a_lost_link() {
    let (mut tool, address) = tool(&[SessionEntity::offered(ETCHER), SessionEntity::offered(LOADER)]);
    let serving = thread::spawn(move || {
        echo(&mut tool);
        echo(&mut tool);
    });
    let wanted = [SessionEntity::wanted(ETCHER), SessionEntity::wanted(LOADER)];
    let mut host = general(address, host_config(), list(&wanted));
    for round in [b"1", b"2"] {
        host.select_session(ETCHER, LONG).unwrap();
        host.select_session(LOADER, LONG).unwrap();
        assert_eq!(host.request_in(LOADER, S1F1, round).unwrap().body, round);
        host.separate().unwrap();
        assert_eq!(host.state(), State::NotConnected);
    }
    serving.join().unwrap();
}

#[test]
fn a_peer_that_speaks_hsms_ss_is_served_where_that_is_allowed() {
    let entities = list(&[SessionEntity::offered(ETCHER)]).or_single();
    let mut tool = general("127.0.0.1:0", equipment_config(), entities);
    let address = tool.local_addr().unwrap();
    let serving = thread::spawn(move || {
        next_of_many(&mut tool, |incoming| matches!(incoming, Incoming::Selected));
        assert!(tool.is_single());
        echo(&mut tool).0
    });
    let mut host = host(address, host_config());
    host.select(LONG).unwrap();
    assert_eq!(host.request(S1F1, b"plain").unwrap().body, b"plain");
    host.close().unwrap();
    assert_eq!(serving.join().unwrap(), [DEVICE.session()]);
}

#[test]
fn data_of_a_session_that_is_not_selected_is_rejected_with_its_id() {
    let (mut tool, address) = tool(&[SessionEntity::offered(ETCHER), SessionEntity::offered(LOADER)]);
    let serving = thread::spawn(move || echo(&mut tool).0);
    let mut peer = Raw::connect(address);
    peer.send(Header::select_req(SystemBytes(1)).with_session(ETCHER), &[]);
    assert_eq!(peer.receive().0, Header::select_rsp(SystemBytes(1)).with_session(ETCHER));
    peer.send(Header::data(SystemBytes(2), S1F1, true, LOADER), &[]);
    let reject = Header::reject_req(SystemBytes(2), 0, RejectReason::ENTITY_NOT_SELECTED).with_session(LOADER);
    assert_eq!(peer.receive().0, reject);
    peer.send(Header::data(SystemBytes(3), S1F1, true, ETCHER), &[]);
    assert_eq!(peer.receive().0.session, ETCHER);
    drop(peer);
    assert_eq!(serving.join().unwrap(), [ETCHER]);
}

#[test]
fn a_call_that_waits_for_a_session_ends_with_the_connection_or_its_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut host = knowing(listener.local_addr().unwrap());
    let peer = thread::spawn(move || {
        let mut peer = Raw::over(listener.accept().unwrap().0);
        let (request, _) = peer.receive();
        peer.send(Header::select_rsp(request.system).with_session(ETCHER), &[]);
        // The Deselect.req is answered by a close.
        assert_eq!(peer.receive().0.name(), "DeselectReq");
    });
    host.select_session(ETCHER, LONG).unwrap();
    let ended = host.deselect_session(ETCHER).unwrap_err();
    assert!(matches!(ended, Error::Closed { reason: CloseReason::TransportClosed, .. }), "{ended:?}");
    peer.join().unwrap();
    let limit = std::time::Duration::from_millis(30);
    let late = host.select_session(ETCHER, limit).unwrap_err();
    assert!(matches!(late, Error::NotSelected { .. }), "{late:?}");
}

#[test]
fn a_session_that_the_peer_ends_and_begins_anew_meanwhile_is_deselected_all_the_same() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let offered = SessionEntity { wanted: true, ..SessionEntity::offered(ETCHER) };
    let mut host = general(listener.local_addr().unwrap(), host_config(), list(&[offered]));
    let peer = thread::spawn(move || {
        let mut peer = Raw::over(listener.accept().unwrap().0);
        let select = peer.receive().0;
        peer.send(Header::select_rsp(select.system).with_session(ETCHER), &[]);
        let deselect = peer.receive().0;
        // It had separated and selected again before our Deselect.req came, which it answers with status 1.
        let late = Header::deselect_rsp(deselect.system).with_session(ETCHER).with_status(1);
        let separate = Header::separate_req(SystemBytes(8)).with_session(ETCHER);
        let anew = Header::select_req(SystemBytes(9)).with_session(ETCHER);
        let octets = [separate.encode_alone(), anew.encode_alone(), late.encode_alone()].concat();
        std::io::Write::write_all(&mut peer.0, &octets).unwrap();
        assert_eq!(peer.receive().0, Header::select_rsp(SystemBytes(9)).with_session(ETCHER));
        peer
    });
    host.select_session(ETCHER, LONG).unwrap();
    host.deselect_session(ETCHER).unwrap();
    let _peer = peer.join().unwrap();
    assert!(host.is_selected(ETCHER), "the peer's new session stands");
    let mut told = Vec::new();
    while let Some(incoming) = host.next(std::time::Duration::ZERO).unwrap() {
        if let Incoming::Notice(notice @ (Notice::SessionSelected { .. } | Notice::SessionEnded { .. })) = incoming {
            told.push(notice);
        }
    }
    let ended = Notice::SessionEnded { session: ETCHER, end: SessionEnd::SeparateReceived };
    assert_eq!(told, [ended, Notice::SessionSelected { session: ETCHER }]);
}

#[test]
fn a_session_that_the_peer_refuses_and_selects_itself_at_once_is_selected() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let offered = SessionEntity::offered(ETCHER);
    let mut host = general(listener.local_addr().unwrap(), host_config(), list(&[offered]));
    let peer = thread::spawn(move || {
        let mut peer = Raw::over(listener.accept().unwrap().0);
        let select = peer.receive().0;
        let refused = Header::select_rsp(select.system).with_session(ETCHER).with_status(5);
        let own = Header::select_req(SystemBytes(9)).with_session(ETCHER);
        std::io::Write::write_all(&mut peer.0, &[refused.encode_alone(), own.encode_alone()].concat()).unwrap();
        assert_eq!(peer.receive().0, Header::select_rsp(SystemBytes(9)).with_session(ETCHER));
        peer
    });
    host.select_session(ETCHER, LONG).unwrap();
    assert!(host.is_selected(ETCHER));
    peer.join().unwrap();
}

#[test]
fn a_second_caller_is_refused_as_the_served_connection_speaks() {
    for or_single in [false, true] {
        let mut entities = list(&[SessionEntity::offered(ETCHER)]);
        if or_single {
            entities = entities.or_single();
        }
        let strict = equipment_config().with_t5(std::time::Duration::from_secs(10)).unwrap();
        let strict = strict.with_profile(hsms_std::core::config::Profile::Strict).unwrap();
        let mut tool = general("127.0.0.1:0", strict, entities);
        let address = tool.local_addr().unwrap();
        let serving = thread::spawn(move || echo(&mut tool).2);
        let mut first = Raw::connect(address);
        first.send(Header::select_req(SystemBytes(1)).with_session(ETCHER), &[]);
        assert_eq!(first.receive().0, Header::select_rsp(SystemBytes(1)).with_session(ETCHER));
        let mut second = Raw::connect(address);
        second.send(Header::linktest_req(SystemBytes(2)), &[]);
        assert_eq!(second.receive().0, Header::linktest_rsp(SystemBytes(2)));
        second.send(Header::data(SystemBytes(3), S1F1, true, LOADER), &[]);
        let reject = Header::reject_req(SystemBytes(3), 0, RejectReason::ENTITY_NOT_SELECTED).with_session(LOADER);
        assert_eq!(second.receive().0, reject);
        for session in if or_single { [SessionId::CONTROL, ETCHER] } else { [ETCHER, NOBODY] } {
            let mut caller = Raw::connect(address);
            caller.send(Header::select_req(SystemBytes(4)).with_session(session), &[]);
            let expected = Header::select_rsp(SystemBytes(4)).with_session(session).with_status(1);
            assert_eq!(caller.receive().0, expected);
            caller.expect_close();
        }
        drop((first, second));
        assert_eq!(serving.join().unwrap(), CloseReason::TransportClosed);
    }
}

#[test]
fn a_list_that_cannot_be_is_refused() {
    let repeated = [SessionEntity::offered(ETCHER), SessionEntity::wanted(ETCHER)];
    assert_eq!(General::<4>::new(&repeated), Err(SessionsError::Repeated { session: ETCHER }));
    assert_eq!(General::<1>::new(&[SessionEntity::offered(SessionId::CONTROL)]), Err(SessionsError::Reserved));
    let two = [SessionEntity::offered(ETCHER), SessionEntity::offered(LOADER)];
    assert_eq!(General::<1>::new(&two), Err(SessionsError::TooMany { given: 2, room: 1 }));
}

/// Passes over what comes until `is_it`.
fn next_of_many(tool: &mut Many, is_it: impl Fn(&Incoming<'_>) -> bool) {
    for _ in 0..1_000 {
        if is_it(&tool.next(LONG).unwrap().expect("what is waited for comes in time")) {
            return;
        }
    }
    panic!("it does not come");
}
