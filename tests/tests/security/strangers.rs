//! What strangers do.

use crate::support::has_gone;
use hsms_std::{Header, SystemBytes};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub fn select_req() -> [u8; 14] {
    Header::select_req(SystemBytes(3)).encode_prefix(0).unwrap()
}

pub fn linktest_req() -> [u8; 14] {
    Header::linktest_req(SystemBytes(4)).encode_prefix(0).unwrap()
}

/// The begin of a message of 2 GiB.
pub const CLAIM: [u8; 17] = [0x7f, 0xff, 0xff, 0xff, 0, 0, 1, 1, 0, 0, 0, 0, 0, 9, 1, 2, 3];

/// What begins messages of 2 GiB, and what is none, by turns.
pub fn claims_and_garbage() -> impl Iterator<Item = Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(6);
    (0..).map(move |number| match number % 3 {
        0 => CLAIM.to_vec(),
        1 => [&[0x80, 0, 0, 0][..], &CLAIM[4..]].concat(),
        _ => (0..4_096).map(|_| random.u8(..)).collect(),
    })
}

/// A linktest that is answered.
pub fn linktest(stream: &mut TcpStream) {
    let mut octets = linktest_req();
    stream.write_all(&octets).unwrap();
    stream.read_exact(&mut octets).unwrap();
    assert_eq!(octets[9], 6, "Linktest.rsp: {octets:02x?}");
}

/// Sends octets one by one, as slowly as the other end allows: for each it looks for an end of the connection for 10 ms. `begin` first, zeros
/// after it.
pub fn trickle(mut stream: TcpStream, begin: &[u8]) {
    stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    for octet in begin.iter().copied().chain(std::iter::repeat_n(0, 10_000)) {
        match stream.write_all(&[octet]) {
            Err(error) if has_gone(&error) => return,
            result => result.unwrap(),
        }
        match stream.read(&mut [0; 64]) {
            Ok(0) => return,
            Err(error) if has_gone(&error) => return,
            // It may say what is wrong, and wait for better.
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("10,000 octets in 100 s, and nobody hung up");
}
