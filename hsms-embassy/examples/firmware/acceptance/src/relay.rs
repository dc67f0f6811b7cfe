//! A relay between a host and a board that counts the linktests that go through it.

use crate::Failure;
use hsms_std::Header;
use hsms_std::core::frame::Decoder;
use hsms_std::core::wire::SType;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Takes one connection, and hands on what goes over it until both ends have ended.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    /// Linktest.req of the host, and of the board.
    linktests: [Arc<AtomicUsize>; 2],
}

impl Relay {
    /// A relay to a board.
    pub fn to(board: SocketAddr) -> Result<Relay, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let relay = Relay { address: listener.local_addr()?, linktests: Default::default() };
        let [of_host, of_board] = relay.linktests.clone();
        // It ends with the connection, or with this program.
        thread::spawn(move || -> Result<(), Failure> {
            let (host, _) = listener.accept()?;
            let board = TcpStream::connect(board)?;
            let (from, to) = (board.try_clone()?, host.try_clone()?);
            thread::spawn(move || hand_on(from, to, &of_board));
            hand_on(host, board, &of_host);
            Ok(())
        });
        Ok(relay)
    }

    /// Where the host has to call.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Linktest.req that have gone through from the host, and from the board.
    pub fn linktests(&self) -> [usize; 2] {
        self.linktests.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, linktests: &AtomicUsize) {
    let (mut decoder, mut octets) = (Decoder::new(), [0; 4096]);
    loop {
        let len = match from.read(&mut octets) {
            Ok(len @ 1..) => len,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
        };
        linktests.fetch_add(count(&mut decoder, &octets[..len]), Ordering::Relaxed);
        if to.write_all(&octets[..len]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Linktest.req that begin in these octets. What cannot be taken apart has none.
fn count(decoder: &mut Decoder, mut octets: &[u8]) -> usize {
    let mut count = 0;
    while let Ok((taken @ 1.., piece)) = decoder.decode(octets) {
        octets = &octets[taken..];
        count += usize::from(piece.is_some_and(|piece| piece.first() && is_linktest(&piece.header)));
    }
    count
}

fn is_linktest(header: &Header) -> bool {
    header.ptype.0 == 0 && header.stype == SType::LINKTEST_REQ
}

#[cfg(test)]
mod tests {
    use super::*;
    use hsms_std::SystemBytes;
    use hsms_std::conformance::encode;

    #[test]
    fn linktests_are_counted_however_the_octets_are_cut() {
        let octets = [
            encode(&Header::select_req(SystemBytes(1)), b""),
            encode(&Header::linktest_req(SystemBytes(2)), b""),
            encode(&Header::linktest_rsp(SystemBytes(3)), b""),
            encode(&Header::linktest_req(SystemBytes(4)), b""),
        ]
        .concat();
        for len in 1..=octets.len() {
            let mut decoder = Decoder::new();
            assert_eq!(octets.chunks(len).map(|chunk| count(&mut decoder, chunk)).sum::<usize>(), 2, "{len}");
        }
    }
}
