//! The delegate of secsgem's connections: four functions that are told what happens to a connection, and print it.
//!
//! ```text
//! cargo run --example delegate -- [ADDRESS [DEVICE]] [--seconds N]
//! ```
//!
//! Listens on 127.0.0.1:5000 as device 0 where nothing else is said; try it with `host.rs`. Ends after N seconds, or else
//! when its input is closed.

use hsms_std::{CloseReason, Config, Connection, Error, Header, Incoming, Options};
use std::io::{self, Write};
use std::time::Duration;

#[path = "common/arguments.rs"]
mod arguments;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::parse(std::env::args().skip(1))?;
    let connection = Connection::with_options(arguments.address.clone(), Config::equipment(arguments.device), told())?;
    eprintln!("device {}, {}", arguments.device, arguments.end());
    run(connection, &mut Delegate { out: io::stdout() }, |_| arguments.go_on())?;
    eprintln!("{}", arguments.ended());
    Ok(())
}

/// Control messages are told of too.
pub const fn told() -> Options {
    Options::new().with_tell_control(true)
}

/// What is told about a connection, and where it is printed.
pub struct Delegate<W> {
    /// Where.
    pub out: W,
}

impl<W: Write> Delegate<W> {
    /// The transport is open.
    pub fn on_connection_established(&mut self) -> io::Result<()> {
        writeln!(self.out, "Connection established")
    }

    /// A message has come, whatever it is.
    pub fn on_connection_message_received(&mut self, header: &Header) -> io::Result<()> {
        writeln!(self.out, "Packet received header: {header}")
    }

    /// The connection is about to be closed. Where that is our own decision, messages can still be sent.
    pub fn on_connection_before_closed(&mut self) -> io::Result<()> {
        writeln!(self.out, "Connection about to be terminated")
    }

    /// The transport is closed, and this is why.
    pub fn on_connection_closed(&mut self, _reason: &CloseReason) -> io::Result<()> {
        writeln!(self.out, "Connection terminated")
    }
}

/// Tells `delegate` what happens to `connection`, as long as `go_on` says so; then closes it.
pub fn run<W: Write>(
    mut connection: Connection,
    delegate: &mut Delegate<W>,
    go_on: impl Fn(&Connection) -> bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut stopped, mut warned) = (false, false);
    loop {
        if !stopped && !go_on(&connection) {
            stopped = true;
            if connection.peer_addr().is_some() {
                warned = true;
                delegate.on_connection_before_closed()?;
            }
            connection.disable();
        }
        let incoming = match connection.next(Duration::from_millis(100)) {
            // Everything has been told.
            Err(Error::Disabled) => return Ok(()),
            other => other?,
        };
        match incoming {
            Some(Incoming::Connected) => delegate.on_connection_established()?,
            Some(Incoming::Primary { message, token }) => {
                delegate.on_connection_message_received(&message.header)?;
                // Nobody here has an answer, and the peer need not wait for T3. Where the connection has just ended it waits no more.
                let _ = token.map(|token| connection.abort(&token));
            }
            Some(Incoming::Reply { message }) => delegate.on_connection_message_received(&message.header)?,
            Some(Incoming::Aborted { header } | Incoming::Other { header, .. }) => {
                delegate.on_connection_message_received(&header)?;
            }
            Some(Incoming::Closed { reason, .. }) => {
                if !std::mem::take(&mut warned) {
                    delegate.on_connection_before_closed()?;
                }
                delegate.on_connection_closed(&reason)?;
            }
            _ => {}
        }
    }
}
