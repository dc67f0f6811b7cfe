//! Peers of HSMS-GS.

use crate::caller::{Caller, Echo, LIMIT, LOCAL, S1F1, S1F2};
use hsms_std::core::connection::{Admission, General, SessionEntity, SessionRefusal};
use hsms_std::core::wire::{DeselectStatus, SType, SelectStatus, SessionId};
use hsms_std::manager::{Error, Event, Expected, Manager, ManagerSettings, Peer, PeerSettings};
use hsms_std::{Config, DeviceId, Header, Notice, State};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const FROM: Ipv4Addr = Ipv4Addr::new(127, 0, 7, 1);
const ETCHER: SessionId = SessionId(0x8007);
const COATER: SessionId = SessionId(8);
const CLEANER: SessionId = SessionId(9);
const DEVICE: DeviceId = DeviceId::new(0).unwrap();

fn offering(listen: SocketAddr, expected: Expected, entities: &[SessionEntity]) -> PeerSettings {
    let config = Config::equipment(DEVICE).with_linktest_period(std::time::Duration::ZERO).unwrap();
    PeerSettings::passive(listen, expected, config).with_sessions(General::<4>::new(entities).unwrap())
}

/// A host that wants the etcher, and equipment that offers three sessions, of which the cleaner asks.
fn pair(manager: &Manager) -> (Peer, Peer) {
    let asks = SessionEntity::offered(CLEANER).with_admission(Admission::Ask);
    let entities = [SessionEntity::offered(ETCHER), SessionEntity::offered(COATER), asks];
    let tool = offering(LOCAL, Expected::Anyone, &entities);
    let tool = manager.add("tool", tool.with_delegate(Arc::new(Echo))).unwrap();
    let wanted = [SessionEntity::wanted(ETCHER), SessionEntity { wanted: false, ..SessionEntity::wanted(COATER) }];
    let sessions = General::<8>::new(
        &[&wanted[..], &[SessionEntity { wanted: false, ..SessionEntity::wanted(CLEANER) }]].concat(),
    );
    let host = PeerSettings::active([tool.local_addr().unwrap()], Config::host(DEVICE));
    let host = manager.add("host", host.with_sessions(sessions.unwrap())).unwrap();
    tool.enable().unwrap();
    host.enable().unwrap();
    host.selected().wait(LIMIT).unwrap();
    (tool, host)
}

fn refusal(outcome: Result<(), Error>) -> SessionRefusal {
    match outcome {
        Err(Error::Connection(hsms_std::Error::SessionRefused { refusal, .. })) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sessions_are_selected_used_and_ended_one_by_one() {
    let manager = Manager::start().unwrap();
    let (tool, host) = pair(&manager);
    assert_eq!(host.selected_sessions().wait(LIMIT).unwrap(), [ETCHER]);
    host.select_session(COATER).wait(LIMIT).unwrap();
    host.select_session(COATER).wait(LIMIT).unwrap();
    for session in [ETCHER, COATER] {
        let reply = host.request_in(session, S1F1, *b"text").wait(LIMIT).unwrap();
        assert_eq!((reply.header.session, reply.header.stream_function()), (session, S1F2));
    }
    // With two of them it has to be said which.
    assert!(matches!(host.request(S1F1, []).wait(LIMIT), Err(Error::Connection(hsms_std::Error::WhichDevice))));
    host.deselect_session(ETCHER).wait(LIMIT).unwrap();
    assert_eq!(host.selected_sessions().wait(LIMIT).unwrap(), [COATER]);
    assert_eq!(tool.selected_sessions().wait(LIMIT).unwrap(), [COATER]);
    // Now there is one.
    host.request(S1F1, []).wait(LIMIT).unwrap();
    let unselected = host.request_in(ETCHER, S1F1, []).wait(LIMIT);
    assert!(matches!(unselected, Err(Error::Connection(hsms_std::Error::Refused(_)))), "{unselected:?}");
    host.separate_session(COATER).wait(LIMIT).unwrap();
    assert_eq!(host.selected_sessions().wait(LIMIT).unwrap(), []);
    host.linktest().wait(LIMIT).unwrap();
    assert_eq!((host.state(), tool.selected_sessions().wait(LIMIT).unwrap()), (State::NotSelected, Vec::new()));
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_refused_session_is_a_typed_outcome() {
    let manager = Manager::start().unwrap();
    let (tool, host) = pair(&manager);
    tool.set_admission(COATER, Admission::Refuse(SelectStatus::ENTITY_IN_USE)).wait(LIMIT).unwrap();
    let refused = refusal(host.select_session(COATER).wait(LIMIT));
    assert_eq!(refused, SessionRefusal::Select(SelectStatus::ENTITY_IN_USE));
    tool.set_busy(ETCHER, true).wait(LIMIT).unwrap();
    let refused = refusal(host.deselect_session(ETCHER).wait(LIMIT));
    assert_eq!(refused, SessionRefusal::Deselect(DeselectStatus::COMMUNICATION_BUSY));
    assert_eq!(host.selected_sessions().wait(LIMIT).unwrap(), [ETCHER]);
    let unknown = host.select_session(SessionId(77)).wait(LIMIT);
    assert!(matches!(unknown, Err(Error::Connection(hsms_std::Error::Refused(_)))), "{unknown:?}");
    manager.stop(LIMIT).unwrap();
}

#[test]
fn the_application_answers_a_select_that_asks() {
    let manager = Manager::start().unwrap();
    let asks = SessionEntity::offered(CLEANER).with_admission(Admission::Ask);
    let peer = manager.add("tool", offering(LOCAL, Expected::Anyone, &[asks])).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::call(FROM, peer.local_addr().unwrap());
    let system = caller.system();
    caller.write(&Header::select_req(system).with_session(CLEANER), &[]);
    loop {
        if let (peer, Event::Notice(Notice::SelectAsked { session })) = manager.next(LIMIT).unwrap() {
            peer.answer_select(session, SelectStatus::COMMUNICATION_ESTABLISHED).wait(LIMIT).unwrap();
            break;
        }
    }
    assert_eq!(caller.read().unwrap().0.system, system);
    peer.selected().wait(LIMIT).unwrap();
    assert_eq!(peer.selected_sessions().wait(LIMIT).unwrap(), [CLEANER]);
    // A session that waits for its end learns of the connection's.
    let mut ended = peer.deselect_session(CLEANER);
    assert_eq!(caller.read().unwrap().0.stype, SType::DESELECT_REQ);
    drop(caller);
    assert!(matches!(ended.wait(LIMIT), Err(Error::Connection(hsms_std::Error::Closed { .. }))));
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_peer_of_hsms_ss_knows_no_session_by_an_id() {
    let manager = Manager::start().unwrap();
    let peer = manager.add("tool", PeerSettings::active([LOCAL], Config::host(DEVICE))).unwrap();
    let outcome = peer.select_session(ETCHER).wait(LIMIT);
    let Err(Error::Connection(hsms_std::Error::Refused(refused))) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refused, hsms_std::core::Error::UnknownSession { session: ETCHER });
    assert_eq!(peer.selected_sessions().wait(LIMIT).unwrap(), []);
    manager.stop(LIMIT).unwrap();
}

#[test]
fn peers_behind_one_address_are_told_apart_by_the_sessions_that_they_offer() {
    let manager = Manager::start_with(ManagerSettings::new().with_identify_within(LIMIT)).unwrap();
    let expected = Expected::Address(FROM.into());
    let refuses = Admission::Refuse(SelectStatus::CONNECTION_NOT_READY);
    let first = offering(LOCAL, expected, &[SessionEntity::offered(ETCHER)]);
    let first = manager.add("first", first).unwrap();
    let port = first.local_addr().unwrap();
    let entities = [SessionEntity::offered(COATER), SessionEntity::offered(CLEANER).with_admission(refuses)];
    let second = manager.add("second", offering(port, expected, &entities)).unwrap();
    let same = manager.add("same", offering(port, expected, &[SessionEntity::offered(COATER)]));
    assert!(matches!(same, Err(Error::SamePlace { other }) if other == "second"));
    first.enable().unwrap();
    second.enable().unwrap();
    let mut callers = [COATER, ETCHER].map(|session| {
        let mut caller = Caller::call(FROM, port);
        // Before its Select.req as well.
        caller.linktest();
        assert_eq!(caller.select_session(session), 0);
        caller
    });
    for (peer, caller, session) in [(&second, 0, COATER), (&first, 1, ETCHER)] {
        peer.selected().wait(LIMIT).unwrap();
        assert_eq!(peer.selected_sessions().wait(LIMIT).unwrap(), [session]);
        peer.send(S1F1, []).wait(LIMIT).unwrap();
        assert_eq!(callers[caller].read().unwrap().0.session, session);
    }
    // Its own machine answers, whatever that is; and the place of the other is taken.
    second.disable().unwrap();
    assert_eq!(callers[0].read().unwrap().0.stype, SType::SEPARATE_REQ);
    second.enable().unwrap();
    second.counters().wait(LIMIT).unwrap();
    let mut refused = Caller::call(FROM, port);
    assert_eq!(refused.select_session(CLEANER), SelectStatus::CONNECTION_NOT_READY.0);
    let mut taken = Caller::call(FROM, port);
    assert_eq!(taken.select_session(ETCHER), 1);
    taken.expect_end();
    manager.stop(LIMIT).unwrap();
}

#[test]
fn a_deselect_while_our_select_is_open_is_refused_and_not_forgotten() {
    let manager = Manager::start().unwrap();
    let entity = SessionEntity { wanted: false, ..SessionEntity::wanted(ETCHER) };
    let peer = manager.add("tool", offering(LOCAL, Expected::Anyone, &[entity])).unwrap();
    peer.enable().unwrap();
    let mut caller = Caller::call(FROM, peer.local_addr().unwrap());
    caller.linktest();
    let mut selected = peer.select_session(ETCHER);
    let (ours, _) = caller.read().unwrap();
    assert_eq!(ours.stype, SType::SELECT_REQ);
    // They cross: the session is selected, and ours is not answered.
    let system = caller.system();
    caller.write(&Header::select_req(system).with_session(ETCHER), &[]);
    assert_eq!(caller.read().unwrap().0.system, system);
    selected.wait(LIMIT).unwrap();
    let refused = peer.deselect_session(ETCHER).wait(LIMIT);
    assert!(matches!(refused, Err(Error::Connection(hsms_std::Error::Refused(_)))), "{refused:?}");
    manager.stop(LIMIT).unwrap();
}
