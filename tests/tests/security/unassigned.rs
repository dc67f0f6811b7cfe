//! Callers of whom the manager does not know yet whose they are: bounded like those that are not selected, and TLS goes with them.

use crate::manager::Echo;
use crate::strangers::{linktest, select_req};
use crate::support::*;
use hsms_std::core::wire::SessionId;
use hsms_std::manager::{Expected, Manager, ManagerSettings, Peer, PeerSettings};
use hsms_std::security::Security;
use hsms_std::{Config, Connection, DeviceId, Header, Options, State, SystemBytes};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Two tools that may call from anywhere, with device ids 1 and 2. What they send is echoed.
struct Tools {
    manager: Manager,
    peers: [Peer; 2],
    address: SocketAddr,
}

impl Tools {
    fn new(security: &Security) -> Self {
        // As many as the caps let linger, so that it is they that count.
        let most = ManagerSettings::new().with_max_unidentified(security.max_unselected());
        let manager = Manager::start_with(most.with_identify_within(LIMIT)).unwrap();
        let mut address = LOCAL;
        let peers = [1, 2].map(|device| {
            let config = Config::host(DeviceId::new(device).unwrap()).with_linktest_period(Duration::ZERO).unwrap();
            let config = config.with_t7(LONG_T7).unwrap();
            let settings = PeerSettings::passive(address, Expected::Anyone, config).with_security(security.clone());
            let peer = manager.add(&format!("tool {device}"), settings.with_delegate(Arc::new(Echo))).unwrap();
            address = peer.local_addr().unwrap();
            peer.enable().unwrap();
            peer
        });
        Tools { manager, peers, address }
    }

    /// Calls, and is selected, without telling who it is.
    fn selected(&self, from: Ipv4Addr) -> TcpStream {
        let mut caller = call(from, self.address);
        throw(&mut caller, &select_req());
        let mut answer = [0; 14];
        caller.read_exact(&mut answer).unwrap();
        assert_eq!((answer[7], answer[9]), (0, 2), "Select.rsp with status 0");
        caller
    }
}

/// A primary of this device, which is echoed as soon as its peer has the connection.
fn tell_device(caller: &mut TcpStream, device: u16) {
    let mut octets = Header::data(SystemBytes(7), S1F1, true, SessionId(device)).encode_alone();
    caller.write_all(&octets).unwrap();
    caller.read_exact(&mut octets).unwrap();
    assert_eq!(octets[6..8], [1, 2], "S1F2: {octets:02x?}");
}

#[test]
fn callers_count_under_the_caps_until_it_is_known_whose_they_are() {
    let tools = Tools::new(&Security::new().with_max_unselected(2, 3));
    let [mut first, second] = [(); 2].map(|()| tools.selected(BAD));
    assert_eq!(expect_end(&mut call(BAD, tools.address)), NOTHING);
    let mut third = tools.selected(GOOD);
    assert_eq!(expect_end(&mut call(GOOD, tools.address)), NOTHING);
    let refused = tools.manager.callers_refused();
    assert_eq!((refused.too_many_from_address, refused.too_many, refused.total()), (1, 1, 2));
    // One that has become a peer's makes room, and no more than that.
    tell_device(&mut first, 1);
    assert_eq!(tools.peers[0].state(), State::Selected);
    let _fourth = tools.selected(BAD);
    assert_eq!(expect_end(&mut call(BAD, tools.address)), NOTHING);
    assert_eq!(tools.manager.callers_refused().total(), 3);
    // So does one that goes.
    drop(second);
    loop {
        let mut next = call(BAD, tools.address);
        throw(&mut next, &select_req());
        let mut answer = [0; 14];
        match next.read_exact(&mut answer) {
            Ok(()) => break assert_eq!(answer[7], 0),
            // Not yet.
            Err(error) if has_gone(&error) || error.kind() == ErrorKind::UnexpectedEof => linktest(&mut first),
            Err(error) => panic!("{error:?}"),
        }
    }
    linktest(&mut third);
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn whose_peer_is_connected_already_counts_until_it_has_gone() {
    let tools = Tools::new(&Security::new().with_max_unselected(1, 1));
    let mut first = tools.selected(GOOD);
    tell_device(&mut first, 1);
    // Each has to have left for the next one to be answered.
    for refused in 1..=5 {
        let mut second = call(GOOD, tools.address);
        throw(&mut second, &Header::select_req(SystemBytes(3)).with_session(SessionId(1)).encode_alone());
        assert_eq!(expect_end(&mut second)[7], 1, "the place is taken");
        assert_eq!(tools.manager.callers_refused().taken, refused);
        linktest(&mut first);
    }
    assert_eq!(tools.manager.callers_refused().total(), 5);
    tools.manager.stop(LIMIT).unwrap();
}

/// Whose peer is known by then, and turned down by the system: longer than it takes for keepalive.
#[test]
fn a_caller_that_cannot_be_set_up_for_its_peer_gives_its_place_back() {
    let tools = Tools::new(&Security::new().with_max_unselected(1, 1));
    let config = Config::host(DeviceId::new(3).unwrap());
    let settings = PeerSettings::passive(tools.address, Expected::Anyone, config);
    let settings = settings.with_security(Security::new().with_max_unselected(1, 1));
    let options = Options::new().with_keepalive(Some(Duration::from_secs(1 << 20)));
    // Not enabled, so that its callers are told that the place is taken.
    let _third = tools.manager.add("tool 3", settings.with_options(options)).unwrap();
    for refused in 1..=3 {
        let mut caller = call(GOOD, tools.address);
        throw(&mut caller, &Header::select_req(SystemBytes(3)).with_session(SessionId(3)).encode_alone());
        assert_eq!(expect_end(&mut caller), NOTHING, "hung up on");
        assert_eq!(tools.manager.callers_refused(), taken(refused));
    }
    tell_device(&mut tools.selected(GOOD), 1);
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn with_tls_both_tools_behind_one_address_are_found_and_go_on() {
    let authority = Authority::new();
    let tools = Tools::new(&server(&authority.sign("host.fab"), Some(&authority)));
    let long: Vec<u8> = (0..3_000_000_u32).map(|octet| (octet % 251) as u8).collect();
    for device in [2, 1] {
        let identity = authority.sign("tool.fab");
        let config = Config::equipment(DeviceId::new(device).unwrap());
        let mut tool = Connection::active(tools.address, config).unwrap();
        tool = tool.with_security(client(&authority, Some(&identity), "host.fab")).unwrap();
        tool.select(LIMIT).unwrap();
        let peer = &tools.peers[usize::from(device - 1)];
        assert_eq!(peer.state(), State::NotConnected, "nothing has told them apart");
        for text in [&b"text"[..], &long] {
            assert!(tool.request(S1F1, text).unwrap().body == text);
        }
        assert_eq!(peer.state(), State::Selected);
        tool.close().unwrap();
    }
    tools.manager.stop(LIMIT).unwrap();
}

#[test]
fn a_thousand_that_are_nobodys_with_half_a_frame_each_take_less_memory_than_the_settings_allow() {
    let name =
        "unassigned::a_thousand_that_are_nobodys_with_half_a_frame_each_take_less_memory_than_the_settings_allow";
    in_own_process(name, || {
        raise_descriptors();
        let security = Security::new();
        let tools = Tools::new(&security);
        let mut friend = tools.selected(GOOD);
        tell_device(&mut friend, 1);
        let before = resident();
        let mut callers = thousand(tools.address, &half_a_frame());
        for caller in &mut callers {
            let mut answer = [0; 14];
            caller.read_exact(&mut answer).unwrap();
            assert_eq!(answer[9], 7, "Reject.req: it is not selected");
        }
        linktest(&mut friend);
        let grown = resident().saturating_sub(before);
        assert_bounded("a frame whose peer nobody knows", grown, &security);
        assert_eq!(tools.manager.callers_refused().total(), 0);
        drop(callers);
        tell_device(&mut tools.selected(GOOD), 2);
        linktest(&mut friend);
        tools.manager.stop(LIMIT).unwrap();
    });
}

/// What a caller may have kept for it that takes no answers.
const PER_FLOOD: usize = 32 * 1024;

#[test]
fn callers_that_ask_and_take_no_answers_are_not_read_any_further() {
    const CALLERS: usize = 16;
    let name = "unassigned::callers_that_ask_and_take_no_answers_are_not_read_any_further";
    in_own_process(name, || {
        let tools = Tools::new(&Security::new());
        let mut friend = tools.selected(GOOD);
        tell_device(&mut friend, 1);
        let ask = Header::linktest_req(SystemBytes(4)).encode_alone().repeat(4_096);
        let mut callers: Vec<TcpStream> = (0..CALLERS).map(|_| tools.selected(BAD)).collect();
        let before = resident();
        for caller in &mut callers {
            caller.set_nonblocking(true).unwrap();
            // Until nothing is taken while the others have had fifty turns.
            let mut turns = 0;
            let mut at = 0;
            while turns < 50 {
                match caller.write(&ask[at..]) {
                    Ok(octets) => (turns, at) = (0, (at + octets) % ask.len()),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        turns += 1;
                        linktest(&mut friend);
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
        let grown = resident().saturating_sub(before);
        println!("security: {CALLERS} callers that take no answers: resident memory grew by {} KiB", grown / 1_024);
        assert!(grown < CALLERS * PER_FLOOD, "{grown}");
        linktest(&mut friend);
        drop(callers);
        tools.manager.stop(LIMIT).unwrap();
    });
}
