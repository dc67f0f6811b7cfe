//! Where a secret is, as long as it is needed, and afterwards: nowhere. By looking through the memory of this very process.

#![cfg(target_os = "linux")]

use super::managed::listen;
use super::rows::LIMIT;
use hsms_std::manager::Manager;
use hsms_std::services::{Error, Secret, ServiceId, Settings};
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// It is nowhere as it is, but here: masked.
const MASKED: [u8; 32] = *b"thirty-two octets of a secret ..";
const MASK: u8 = 0xa5;

#[inline(never)]
fn secret() -> Secret {
    let mut octets = MASKED.map(|octet| octet ^ MASK);
    let secret = Secret::new(black_box(&octets)).unwrap();
    octets.fill(0);
    black_box(&octets);
    secret
}

/// How often it is there, in whatever can be written.
fn copies() -> usize {
    const STEP: usize = 1 << 20;
    let memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; STEP + MASKED.len() - 1];
    let own = buffer.as_ptr().addr()..buffer.as_ptr().addr() + buffer.len();
    let mut found = 0;
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [mut at, to] = [from, to].map(|text| usize::from_str_radix(text, 16).unwrap());
        while at < to {
            let wanted = buffer.len().min(to - at);
            // Some of it may be gone meanwhile.
            let read = memory.read_at(&mut buffer[..wanted], at as u64).unwrap_or(0);
            let first = MASKED[0] ^ MASK;
            for place in (0..read.saturating_sub(MASKED.len() - 1)).filter(|place| buffer[*place] == first) {
                let octets = buffer[place..].iter().zip(&MASKED);
                if place < STEP && octets.clone().all(|(a, b)| a ^ MASK == *b) && !own.contains(&(at + place)) {
                    found += 1;
                }
            }
            at += STEP;
        }
        buffer.fill(0);
    }
    found
}

#[test]
fn a_secret_is_in_one_place_and_nowhere_when_its_peer_has_been_removed() {
    assert_eq!(copies(), 0);
    let manager = Manager::start().unwrap();
    let settings = Settings::new().with_secret(secret());
    assert_eq!(copies(), 1);
    let tool = manager.add("tool", listen().with_services(settings)).unwrap();
    assert_eq!(copies(), 1);
    let services = tool.services().unwrap();
    manager.remove("tool").unwrap();
    let end = Instant::now() + LIMIT;
    while !matches!(services.send(ServiceId::READ, 7, &(), Duration::ZERO), Err(Error::Gone)) || copies() > 0 {
        assert!(Instant::now() < end, "{}", copies());
    }
    manager.stop(LIMIT).unwrap();
}
