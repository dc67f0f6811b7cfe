//! Equipment for one terminal: waits for hosts, answers them, and reports an event every few seconds. `host.rs` is for
//! another terminal.
//!
//! ```text
//! cargo run --example equipment -- [ADDRESS [DEVICE]] [--seconds N]
//! ```
//!
//! Listens on 127.0.0.1:5000 as device 0 where nothing else is said. Ends after N seconds, or else when its input is closed.

use hsms_std::{Config, Connection, Error, Incoming, StreamFunction};
use std::time::{Duration, Instant};

#[path = "common/arguments.rs"]
pub mod arguments;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments::parse(std::env::args().skip(1))?;
    let tool = Connection::passive(arguments.address.clone(), Config::equipment(arguments.device))?;
    let address = tool.local_addr().map_or_else(|| arguments.address.clone(), |address| address.to_string());
    println!("device {} on {address}, {}", arguments.device, arguments.end());
    run(tool, Duration::from_secs(5), || arguments.go_on(), |line| println!("{line}"))?;
    println!("{}", arguments.ended());
    Ok(())
}

/// Serves one host after the other, as long as `go_on` says so.
pub fn run(
    mut tool: Connection,
    period: Duration,
    go_on: impl Fn() -> bool,
    print: impl Fn(String),
) -> Result<(), Error> {
    let mut event_due = Instant::now() + period;
    while go_on() {
        match tool.next(Duration::from_millis(100).min(period)) {
            Ok(Some(Incoming::Primary { message, token })) => {
                print(format!("{message:?}"));
                // Text is SECS-II: format code, length, value.
                let reply: Option<&[u8]> = match (message.header.stream(), message.header.function()) {
                    (1, 1) => Some(b"\x01\x02\x41\x04TOOL\x41\x031.0"), // <L <A TOOL> <A 1.0>>: model, revision
                    (1, 3) => Some(b"\x01\x01\xa9\x02\x01\x2c"),        // <L <U2 300>>: a temperature
                    (1, 13) => Some(b"\x01\x02\x21\x01\x00\x01\x02\x41\x04TOOL\x41\x031.0"), // <L <B 0> <L ...>>: accepted
                    _ => None,
                };
                let done = match (token, reply) {
                    (Some(token), Some(text)) => tool.reply(&token, text),
                    (Some(token), None) => tool.abort(&token),
                    (None, _) => Ok(()),
                };
                if let Err(error) = done {
                    print(format!("no reply: {error}"));
                }
            }
            Ok(Some(other)) => print(format!("{other:?}")),
            Ok(None) => {}
            // The connection has ended, and the next one follows.
            Err(error @ Error::WriteStalled { .. }) => print(error.to_string()),
            Err(error) => return Err(error),
        }
        if Instant::now() >= event_due {
            event_due = Instant::now() + period;
            // <L <U4 0> <U4 1> <L>>: data id, event 1, no reports.
            let text = b"\x01\x03\xb1\x04\x00\x00\x00\x00\xb1\x04\x00\x00\x00\x01\x01\x00";
            match tool.post(StreamFunction::new(6, 11), text) {
                Ok(system) => print(format!("S6F11 sent, {system}")),
                Err(error) => print(format!("S6F11 not sent: {error}")),
            }
        }
    }
    tool.close()
}
