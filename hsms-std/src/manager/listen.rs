//! A port that any number of passive peers share.

use crate::security::{Security, Unselected};
use crate::transport::is_late;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use std::io;
use std::net::SocketAddr;

pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    pub(super) security: Security,
    pub(super) unselected: Unselected,
}

/// What the system's queue has given.
pub(super) enum Accepted {
    Caller(TcpStream, SocketAddr),
    Nobody,
    /// The system is short of what one more caller takes: descriptors, for example.
    Pause(io::Error),
}

impl Listener {
    pub(super) fn new(address: SocketAddr, security: Security, token: Token, registry: &Registry) -> io::Result<Self> {
        let mut socket = TcpListener::bind(address)?;
        let address = socket.local_addr()?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Listener { socket, address, security, unselected: Unselected::default() })
    }

    /// Where it listens; with the port that was found where it was given as 0.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn accept(&self) -> Accepted {
        loop {
            match self.socket.accept() {
                Ok((stream, caller)) => return Accepted::Caller(stream, caller),
                Err(error) if is_late(&error) => return Accepted::Nobody,
                Err(error) => match error.kind() {
                    // That one has gone.
                    io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::NotConnected => {}
                    _ => return Accepted::Pause(error),
                },
            }
        }
    }
}
