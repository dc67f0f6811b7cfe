//! What is printed: a line for each message, and the summary.

use super::list::{self, Row, Text};
use super::{Deviation, Direction, EQUIPMENT, HOST, Played, texts};
use hsms_std::Header;
use hsms_std::core::wire::{Hex, Kind, RejectReason};
use std::fmt;
use std::time::Duration;

/// Octets of a text that are printed.
const SHOWN: usize = 24;

/// A line of the transcript.
#[derive(Debug, Clone)]
pub struct Line {
    /// When, since the run began.
    pub at: Duration,
    /// Number of the message; `None` where the line is about the TCP connection.
    pub number: Option<usize>,
    /// What.
    pub what: String,
}

impl Line {
    /// Number of the message.
    pub const fn number(&self) -> Option<usize> {
        self.number
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(number) => write!(f, "{number:3} ")?,
            None => f.write_str("    ")?,
        }
        write!(f, "{:7.3} s  {}", self.at.as_secs_f64(), self.what)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Direction::ToEquipment => "host -> equipment",
            Direction::ToHost => "equipment -> host",
        })
    }
}

/// A message by its fields.
pub fn message(direction: Direction, injected: bool, header: &Header, text: &str, times: u32) -> String {
    let name = name(header);
    let origin = if injected { "  put there by the demo" } else { "" };
    let times = if times == 1 { String::new() } else { format!("  {times} times, system counting up") };
    format!("{direction}  {name:<12} {header}  {text}{times}{origin}")
}

/// The message of a row of the list that comes after `before` others of that row, as it is printed.
pub fn row(row: &Row, before: u32) -> String {
    let text = match &row.text {
        Text::Octets(hex) => text(&list::octets(hex)),
        Text::Long { len, sum } => long(*len, *sum),
    };
    message(row.direction, row.injected, &Header::decode(&list::counted(list::header(row.header), before)), &text, 1)
}

/// A text: all of it where it is short.
pub fn text(octets: &[u8]) -> String {
    match octets {
        [] => "no text".to_owned(),
        _ if octets.len() > SHOWN * 4 => long(octets.len(), texts::checksum(octets)),
        _ => format!("text {}", Hex::bounded(octets, SHOWN)),
    }
}

fn long(len: usize, sum: u64) -> String {
    format!("text of {len} octets, checksum {sum:016x}")
}

/// The name of a message, with the status or the reason where it has one.
fn name(header: &Header) -> String {
    match header.kind() {
        Ok(Kind::Data { stream_function, reply_expected: true }) => format!("{stream_function} W"),
        Ok(Kind::Data { stream_function, .. }) => stream_function.to_string(),
        Ok(Kind::RejectReq { reason, .. }) => format!("Reject {}", reason.0),
        Ok(Kind::SelectRsp(status)) => format!("Select.rsp {}", status.0),
        Ok(_) => header.stype.name().unwrap_or_default().to_owned(),
        Err(RejectReason::PTYPE_NOT_SUPPORTED) => format!("PType {}", header.ptype.0),
        Err(_) => format!("SType {}", header.stype.0),
    }
}

/// In what two headers differ.
pub fn differences(expected: &Header, got: &Header) -> Vec<String> {
    let fields = [
        ("session id", expected.session.to_string(), got.session.to_string()),
        ("octet 2", format!("{:#04x}", expected.byte2), format!("{:#04x}", got.byte2)),
        ("octet 3", format!("{:#04x}", expected.byte3), format!("{:#04x}", got.byte3)),
        ("PType", expected.ptype.to_string(), got.ptype.to_string()),
        ("SType", expected.stype.to_string(), got.stype.to_string()),
        ("system bytes", expected.system.to_string(), got.system.to_string()),
    ];
    let differing = fields.into_iter().filter(|(_, expected, got)| expected != got);
    differing.map(|(field, expected, got)| format!("{field}: expected {expected}, got {got}")).collect()
}

/// What came by in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Messages.
    pub messages: u64,
    /// Their octets, length fields included.
    pub octets: u64,
    /// Of the messages, those that no end sent.
    pub injected: u64,
    /// Their octets.
    pub injected_octets: u64,
}

/// A run that went as listed.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    /// From host to equipment.
    pub to_equipment: Volume,
    /// From equipment to host.
    pub to_host: Volume,
    /// From the first TCP connection to the end of the last.
    pub span: Duration,
    /// How long the burst took.
    pub burst: Duration,
}

impl Summary {
    /// With what the ends have to tell: their counters have to agree with what came by.
    pub(super) fn with_parts(self, host: &Played, equipment: &Played) -> Result<Summary, Deviation> {
        let parts =
            [(HOST, host, self.to_equipment, self.to_host), (EQUIPMENT, equipment, self.to_host, self.to_equipment)];
        for (end, played, out, into) in parts {
            let sent = (out.messages - out.injected, out.octets - out.injected_octets);
            let received = (into.messages, into.octets);
            if (played.sent, played.received) != (sent, received) {
                let what = format!(
                    "(messages, octets) sent {:?} and received {:?}; on the wire were {sent:?} and {received:?}",
                    played.sent, played.received
                );
                return Err(Deviation::Counters { end, what });
            }
        }
        Ok(Summary { burst: host.burst, ..self })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = self.to_equipment.messages + self.to_host.messages;
        let octets = self.to_equipment.octets + self.to_host.octets;
        let burst = f64::from(2 * list::BURST) / self.burst.as_secs_f64();
        write!(
            f,
            "as listed: {messages} messages, {octets} octets in {:.3} s; burst of {} S1F1/S1F2, read along on the wire: \
             {burst:.0} messages/s",
            self.span.as_secs_f64(),
            list::BURST,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_differ_from_the_wire_are_a_deviation() {
        let volume = |messages, octets| Volume { messages, octets, injected: 1, injected_octets: 14 };
        let summary = Summary {
            to_equipment: volume(5, 70),
            to_host: volume(3, 42),
            span: Duration::from_secs(1),
            burst: Duration::ZERO,
        };
        let host = Played { sent: (4, 56), received: (3, 42), burst: Duration::from_secs(2) };
        let equipment = Played { sent: (2, 28), received: (5, 70), burst: Duration::ZERO };
        let burst = summary.with_parts(&host, &equipment).map(|summary| summary.burst);
        assert_eq!(burst.ok(), Some(Duration::from_secs(2)));

        let short = Played { received: (2, 28), ..host };
        let outcome = summary.with_parts(&short, &equipment);
        assert!(matches!(outcome, Err(Deviation::Counters { end: HOST, .. })), "{outcome:?}");
        let long = Played { sent: (2, 29), ..equipment };
        let outcome = summary.with_parts(&host, &long);
        assert!(matches!(outcome, Err(Deviation::Counters { end: EQUIPMENT, .. })), "{outcome:?}");
    }
}
