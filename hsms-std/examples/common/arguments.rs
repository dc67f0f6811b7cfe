//! The arguments of the example programs.

use hsms_std::DeviceId;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// `[ADDRESS [DEVICE]] [--seconds N]`.
pub struct Arguments {
    /// Where the equipment listens; 127.0.0.1:5000 where nothing is said.
    pub address: String,
    /// The device id; 0 where nothing is said.
    pub device: DeviceId,
    until: Option<Instant>,
    input_closed: Arc<AtomicBool>,
}

/// Takes the program's arguments, without its name. Where `--seconds` is not among them, the standard input is watched from
/// now on.
pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, Box<dyn std::error::Error>> {
    const USAGE: &str = "arguments: [ADDRESS [DEVICE]] [--seconds N]";
    let mut places = Vec::new();
    let mut until = None;
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let seconds = arguments.next().ok_or(USAGE)?.parse().map_err(|_| USAGE)?;
            until = Some(Instant::now() + Duration::from_secs(seconds));
        } else if argument.starts_with('-') || places.len() == 2 {
            return Err(USAGE.into());
        } else {
            places.push(argument);
        }
    }
    let mut places = places.into_iter();
    let address = places.next().unwrap_or_else(|| "127.0.0.1:5000".to_owned());
    let device = DeviceId::try_from(places.next().unwrap_or_else(|| "0".to_owned()).parse::<u16>()?)?;
    let input_closed = Arc::new(AtomicBool::new(false));
    if until.is_none() {
        let closed = Arc::clone(&input_closed);
        std::thread::spawn(move || {
            // Whether it was closed or cannot be read: nothing more comes.
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            closed.store(true, Ordering::Relaxed);
        });
    }
    Ok(Arguments { address, device, until, input_closed })
}

impl Arguments {
    /// Whether the program is to go on: the time is not over, or where none was said the input is still open.
    pub fn go_on(&self) -> bool {
        match self.until {
            Some(until) => Instant::now() < until,
            None => !self.input_closed.load(Ordering::Relaxed),
        }
    }

    /// When [`go_on`](Self::go_on) will say no, for people.
    pub fn end(&self) -> &'static str {
        match self.until {
            Some(_) => "until the time given is over",
            None => "until its input is closed (--seconds N: for N seconds, whatever the input)",
        }
    }

    /// Why `go_on` has said no.
    pub fn ended(&self) -> &'static str {
        match self.until {
            Some(_) => "ended: the time given is over",
            None => "ended: the input was closed; with --seconds N it goes on without input",
        }
    }
}
