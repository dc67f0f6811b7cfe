//! Two ends that understand each other.

use crate::support::*;
use hsms_std::{Incoming, State};
use std::thread;

#[test]
fn a_host_selects_and_requests_and_is_answered() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        assert_eq!(host.state(), State::Selected);
        for len in [0, 1, 64, 5_000, 70_000, 1_000_000, 3] {
            let text = text(len);
            let reply = host.request(S1F1, &text).unwrap();
            assert_eq!(reply.header.stream_function(), S1F1.reply().unwrap());
            assert!(reply.body == text, "{len} octets came back changed");
        }
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), 7);
    });
}

#[test]
fn posted_primaries_are_answered_in_any_number() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        let mut open = Vec::new();
        for round in 0..10 {
            while host.open_transactions() < 64 {
                let text = text(open.len() * 31 + round);
                open.push((host.post(S6F11, &text).unwrap(), text));
            }
            let mut left = 40;
            while left > 0 {
                if let Incoming::Reply { message } = host.next(LONG).unwrap().unwrap() {
                    let place = open.iter().position(|(system, _)| *system == message.header.system).unwrap();
                    assert!(open.swap_remove(place).1 == message.body);
                    left -= 1;
                }
            }
        }
        let waiting = open.len();
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), 400 + waiting);
    });
}
