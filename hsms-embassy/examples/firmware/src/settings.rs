//! The settings, from the command line that semihosting hands over: QEMU's `-append`. A real board reads the same octets from its flash.
//!
//! | word | what |
//! |---|---|
//! | `config=OCTETS` | the settings of the connection in hexadecimal digits, as [`stored`] has them |
//! | `report=MS` | an event every so many milliseconds; 0, the default, for none |
//! | `mute` | primaries are taken, and not answered |
//! | `linger=MS` | ends the run so many milliseconds after the start |

use crate::stored;
use embassy_time::Duration;
use hsms_core::Config;
use hsms_core::config::DeviceId;
use semihosting::experimental::env::args;

/// Octets of a command line.
const LINE: usize = 512;

/// What the firmware can be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of the connection.
    pub config: Config,
    /// Milliseconds between events; 0 for none.
    pub report: u32,
    /// Primaries are not answered.
    pub mute: bool,
    /// When the run ends, where it does.
    pub end: Option<Duration>,
}

impl Settings {
    /// From the command line; the defaults for what does not stand there.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load() -> Result<Self, &'static str> {
        let device = DeviceId::new(0).ok_or("0 is a device id")?;
        let mut settings = Settings { config: Config::equipment(device), report: 0, mute: false, end: None };
        let words = args::<LINE>().map_err(|_| "the command line cannot be read")?;
        // The first is the image.
        for word in (&words).skip(1) {
            let word = word.map_err(|_| "the command line is not UTF-8")?;
            match word.split_once('=') {
                Some(("config", octets)) => settings.config = restore(octets)?,
                Some(("report", number)) => settings.report = milliseconds(number)?,
                Some(("linger", number)) => settings.end = Some(Duration::from_millis(milliseconds(number)?.into())),
                None if word == "mute" => settings.mute = true,
                _ => return Err("there is no such setting"),
            }
        }
        Ok(settings)
    }
}

fn restore(digits: &str) -> Result<Config, &'static str> {
    let mut octets = heapless::Vec::<u8, { stored::MOST }>::new();
    for pair in digits.as_bytes().chunks(2) {
        let pair = core::str::from_utf8(pair).map_err(|_| "the stored settings are not hexadecimal")?;
        let octet = u8::from_str_radix(pair, 16).map_err(|_| "the stored settings are not hexadecimal")?;
        octets.push(octet).map_err(|_| "the stored settings are too long")?;
    }
    stored::load(&octets)
}

fn milliseconds(number: &str) -> Result<u32, &'static str> {
    number.parse().map_err(|_| "a number of milliseconds is wrong")
}
