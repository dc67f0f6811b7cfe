//! The image without HSMS: board, driver and stack carry what they are given.

use crate::board::Board;
use crate::{Bench, Failure, PATIENCE};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

/// Octets of the long conversation.
const LONG: usize = 1 << 20;

/// Short ones, one after the other.
const SHORT: usize = 300;

/// A long conversation and many short ones.
pub fn echo(bench: &Bench<'_>) -> Result<String, Failure> {
    // Of the board that is given a port that somebody has nothing is left, and it is not taken for one that is up.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = taken.local_addr()?.port();
    let mut board = Board::start_at(port, bench.machine, &bench.image("echo"), "", b"?")?;
    if board.address().port() == port {
        return Err("a port that is taken was given to a board".into());
    }
    let octets: Vec<u8> = (0..LONG as u32).map(|index| (index.wrapping_mul(0x9E37_79B1) >> 24) as u8).collect();
    let began = Instant::now();
    converse(board.address(), &octets)?;
    let long = began.elapsed();
    for (_, octets) in (0..SHORT).zip(octets.chunks(17)) {
        converse(board.address(), octets)?;
    }
    board.check()?;
    bench.print_log(&board);
    let rate = LONG as f64 / long.as_secs_f64() / 1e6;
    Ok(format!("{LONG} octets there and back, {rate:.1} MB/s; {SHORT} connections"))
}

/// Sends octets and takes them back.
fn converse(address: SocketAddr, octets: &[u8]) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut writer = stream.try_clone()?;
    let mut back = vec![0; octets.len()];
    // Both at once: neither end has room for all of it.
    thread::scope(|scope| {
        let written = scope.spawn(move || writer.write_all(octets));
        let read = stream.read_exact(&mut back);
        written.join().map_err(|_| "the writer panicked")??;
        read.map_err(Failure::from)
    })?;
    if back == octets { Ok(()) } else { Err("other octets came back".into()) }
}
