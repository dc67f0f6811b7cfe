//! Services beside others who ask the same peer.

use super::managed::host_at;
use super::raw::Raw;
use super::rows::{DEVICE, LIMIT, config};
use hsms_core::wire::StreamFunction;
use hsms_std::Config;
use hsms_std::manager::{Manager, PeerSettings};
use hsms_std::services::{ServiceId, Settings};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

#[test]
fn requests_that_nobody_waits_for_make_room_beside_those_of_services() {
    let manager = Manager::start().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let active = PeerSettings::active([listener.local_addr().unwrap()], config(Config::host(DEVICE)));
    let (host, used) = host_at(&manager, active.with_transactions(4), Settings::new().without_names());
    let mut tool = Raw::tool(&listener);
    assert!(used.establish(LIMIT).unwrap());
    let asking: Vec<_> = (0..2)
        .map(|_| {
            let used = used.clone();
            thread::spawn(move || used.send(ServiceId::READ, 7, &(), LIMIT).map(|_| ()))
        })
        .collect();
    let asked: Vec<_> = asking.iter().map(|_| tool.read_is(64, 11).0).collect();
    for _ in 0..2 {
        drop(host.request(StreamFunction::new(1, 1), []));
        tool.read_is(1, 1);
    }
    let mut request = host.request(StreamFunction::new(1, 3), []);
    let (third, _) = tool.read_is(1, 3);
    tool.reply(&third, 4, b"here");
    assert_eq!(request.wait(LIMIT).unwrap().body, b"here");
    for header in asked {
        tool.reply(&header, 12, &super::kit::service_text(7, hsms_std::services::Status::OKAY, None));
    }
    for thread in asking {
        thread.join().unwrap().unwrap();
    }
    manager.stop(LIMIT).unwrap();
}
