//! Responses that nobody waits for any more, or never did: they are kept under their service id.

use super::kit::service_text;
use super::managed::host_at;
use super::raw::Raw;
use super::rows::{DEVICE, LIMIT, SOON, config, outcome};
use hsms_core::wire::{Header, StreamFunction, SystemBytes};
use hsms_std::manager::{Manager, PeerSettings};
use hsms_std::services::{Endpoint, Kept, SendError, ServiceId, Settings, Status};
use hsms_std::{Config, Connection};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

const TEMPERATURE: u32 = 7;
const PRESSURE: u32 = 8;

/// The late response to the request that it reads, and one to nothing.
fn answer_late(tool: &mut Raw) {
    let (asked, _) = tool.read_is(64, 11);
    tool.reply(&asked, 12, &service_text(TEMPERATURE, Status::OKAY, None));
    let nothing = Header::data(SystemBytes(0xdead), StreamFunction::new(64, 12), false, DEVICE.session());
    tool.write(&nothing, &service_text(PRESSURE, Status::OKAY, None));
}

fn look(kept: Option<Kept>) -> (ServiceId, u32) {
    let kept = kept.unwrap();
    (kept.service, kept.data_id)
}

#[test]
fn responses_that_nobody_awaits_are_kept_by_an_endpoint() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let link = Connection::active(listener.local_addr().unwrap(), config(Config::host(DEVICE))).unwrap();
    let mut host = Endpoint::new(link, Settings::new().without_names()).unwrap();
    let read = host.add_service(10, 11, "read", "read response").unwrap().request();
    host.add_data(&[read], TEMPERATURE, "temperature").unwrap();
    host.add_data(&[read], PRESSURE, "pressure").unwrap();
    let tool = thread::spawn(move || Raw::tool(&listener));
    assert!(host.establish(LIMIT).unwrap());
    let mut tool = tool.join().unwrap();
    assert_eq!(outcome(host.send(ServiceId::READ, TEMPERATURE, &(), SOON)), Some(SendError::NoResponse));
    answer_late(&mut tool);
    let response = ServiceId::READ.response();
    assert_eq!(look(host.receive(response, None, LIMIT).unwrap()), (response.unwrap(), TEMPERATURE));
    assert_eq!(look(host.receive(response, None, LIMIT).unwrap()), (response.unwrap(), PRESSURE));
}

#[test]
fn responses_that_nobody_awaits_are_kept_for_a_peer_of_a_manager() {
    let manager = Manager::start().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let active = PeerSettings::active([listener.local_addr().unwrap()], config(Config::host(DEVICE)));
    let (_, host) = host_at(&manager, active, Settings::new().without_names());
    let read = host.add_service(10, 11, "read", "read response").unwrap().request();
    host.add_data(&[read], TEMPERATURE, "temperature").unwrap();
    host.add_data(&[read], PRESSURE, "pressure").unwrap();
    let mut tool = Raw::tool(&listener);
    assert!(host.establish(LIMIT).unwrap());
    assert_eq!(outcome(host.send(ServiceId::READ, TEMPERATURE, &(), SOON)), Some(SendError::NoResponse));
    answer_late(&mut tool);
    let response = ServiceId::READ.response();
    assert_eq!(look(host.receive(response, None, LIMIT).unwrap()), (response.unwrap(), TEMPERATURE));
    assert_eq!(look(host.receive(response, None, LIMIT).unwrap()), (response.unwrap(), PRESSURE));
    manager.stop(LIMIT).unwrap();
}
