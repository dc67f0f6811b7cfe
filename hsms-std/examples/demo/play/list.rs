//! What has to go over the wire, message by message, as octets: nothing here is made by the library that is being shown.
//!
//! Header octets stand in E37's order: session id, octet 2 (W-bit and stream), octet 3 (function, status or reason), PType,
//! SType, system bytes. The host numbers its messages from 1, the equipment from 1001 (hexadecimal), and after its restart
//! from 2001; what the demo itself puts on the wire carries aaaa to dddd.

use super::Direction;
use hsms_std::core::wire::HEADER_LEN;

/// What the wire has to show next.
#[derive(Debug)]
pub enum Expected {
    /// A TCP connection from the host through to the equipment.
    Open,
    /// A message, or many alike.
    Message(Row),
    /// The end of the TCP connection.
    Close,
}

/// A message, or many that differ in nothing but their system bytes, each one more than the one before.
#[derive(Debug)]
pub struct Row {
    /// Where it goes.
    pub direction: Direction,
    /// Whether the demo puts it on the wire, in the name of the end that it seems to come from.
    pub injected: bool,
    /// The ten header octets, in hexadecimal.
    pub header: &'static str,
    /// The text.
    pub text: Text,
    /// How many of them.
    pub times: u32,
    /// Whether those of the next row come in between: only within a direction is there an order then.
    pub overlaps: bool,
}

/// A text.
#[derive(Debug)]
pub enum Text {
    /// Its octets, in hexadecimal.
    Octets(&'static str),
    /// Its length, and its checksum as `texts::checksum` makes it.
    Long {
        /// Octets.
        len: usize,
        /// Checksum.
        sum: u64,
    },
}

/// How many requests the burst sends, and how many replies come back.
pub const BURST: u32 = 10_000;

/// The conversation.
pub const LIST: &[Expected] = &[
    Expected::Open,
    to_equipment("ffff 00 00 00 01 00000001", ""), // Select.req
    to_host("ffff 00 00 00 02 00000001", ""),      // Select.rsp, status 0
    // Establish communications: <L>, answered <L <B 0> <L <A DEMO> <A 1.0>>>.
    to_equipment("0007 81 0d 00 00 00000002", "01 00"), // S1F13 W
    to_host("0007 01 0e 00 00 00000002", "01 02 21 01 00 01 02 41 04 44454d4f 41 03 312e30"), // S1F14
    // Are you there, answered <L <A DEMO> <A 1.0>>.
    to_equipment("0007 81 01 00 00 00000003", ""), // S1F1 W
    to_host("0007 01 02 00 00 00000003", "01 02 41 04 44454d4f 41 03 312e30"), // S1F2
    // Event report from the equipment: <L <U4 1> <U4 1000> <L>>, answered <B 0>.
    to_host("0007 86 0b 00 00 00001001", "01 03 b1 04 00000001 b1 04 000003e8 01 00"), // S6F11 W
    to_equipment("0007 06 0c 00 00 00001001", "21 01 00"),                             // S6F12
    // Linktest, from either end.
    to_equipment("ffff 00 00 00 05 00000004", ""), // Linktest.req
    to_host("ffff 00 00 00 06 00000004", ""),      // Linktest.rsp
    to_host("ffff 00 00 00 05 00001002", ""),      // Linktest.req
    to_equipment("ffff 00 00 00 06 00001002", ""), // Linktest.rsp
    // A recipe of 4 MiB: <L <A DEMO> <B ...>>, answered <B 0>.
    Expected::Message(Row {
        text: Text::Long { len: 4 << 20, sum: 0xbf86_550a_fe5a_03ff },
        ..row(Direction::ToEquipment, "0007 87 03 00 00 00000005", "") // S7F3 W
    }),
    to_host("0007 07 04 00 00 00000005", "21 01 00"), // S7F4
    // A remote command that the equipment aborts: <L <A STOP> <L>>.
    to_equipment("0007 82 29 00 00 00000006", "01 02 41 04 53544f50 01 00"), // S2F41 W
    to_host("0007 02 00 00 00 00000006", ""),                                // S2F0
    // Both ends have a primary with the system bytes 7 open at once; each reply finds its own.
    to_equipment("0007 81 03 00 00 00000007", "01 01 b1 04 00000007"), // S1F3 W
    to_host("0007 86 0b 00 00 00000007", "01 03 b1 04 00000002 b1 04 000003e9 01 00"), // S6F11 W
    to_equipment("0007 06 0c 00 00 00000007", "21 01 00"),             // S6F12
    to_host("0007 01 04 00 00 00000007", "01 01 b1 04 0000002a"),      // S1F4
    // A Reject.req for each reason, 1: SType 11.
    inject(Direction::ToEquipment, "ffff 00 00 00 0b 0000aaaa"),
    to_host("ffff 0b 01 00 07 0000aaaa", ""), // Reject.req
    // 2: PType 1.
    inject(Direction::ToHost, "0007 81 01 01 00 0000bbbb"),
    to_equipment("ffff 01 02 00 07 0000bbbb", ""), // Reject.req
    // 3: a Linktest.rsp to no Linktest.req.
    inject(Direction::ToEquipment, "ffff 00 00 00 06 0000cccc"),
    to_host("ffff 06 03 00 07 0000cccc", ""), // Reject.req
    // As many requests on their way as there is room for; replies come in between.
    Expected::Message(Row {
        times: BURST,
        overlaps: true,
        ..row(Direction::ToEquipment, "0007 81 01 00 00 00000008", "") // S1F1 W
    }),
    Expected::Message(Row {
        times: BURST,
        ..row(Direction::ToHost, "0007 01 02 00 00 00000008", "01 02 41 04 44454d4f 41 03 312e30") // S1F2
    }),
    to_equipment("ffff 00 00 00 09 00002718", ""), // Separate.req
    Expected::Close,
    // T5 later.
    Expected::Open,
    // 4: data before Select.
    inject(Direction::ToEquipment, "0007 81 01 00 00 0000dddd"),
    to_host("ffff 00 04 00 07 0000dddd", ""),      // Reject.req
    to_equipment("ffff 00 00 00 01 00002719", ""), // Select.req
    to_host("ffff 00 00 00 02 00002719", ""),      // Select.rsp, status 0
    to_equipment("0007 81 01 00 00 0000271a", ""), // S1F1 W
    to_host("0007 01 02 00 00 0000271a", "01 02 41 04 44454d4f 41 03 312e30"), // S1F2
    // The equipment goes, and comes back with a short T3.
    to_host("ffff 00 00 00 09 00001101", ""), // Separate.req
    Expected::Close,
    Expected::Open,
    to_equipment("ffff 00 00 00 01 0000271b", ""), // Select.req
    to_host("ffff 00 00 00 02 0000271b", ""),      // Select.rsp, status 0
    // A report that is not answered: after T3 the equipment tells the host so, with the header of the report as <B>.
    to_host("0007 86 0b 00 00 00002001", "01 03 b1 04 00000003 b1 04 000003ea 01 00"), // S6F11 W
    to_host("0007 09 09 00 00 00002002", "21 0a 0007 86 0b 00 00 00002001"),           // S9F9
    to_equipment("0007 06 0c 00 00 00002001", "21 01 00"),                             // S6F12, too late
    to_equipment("ffff 00 00 00 09 0000271c", ""),                                     // Separate.req
    Expected::Close,
];

const fn to_equipment(header: &'static str, text: &'static str) -> Expected {
    Expected::Message(row(Direction::ToEquipment, header, text))
}

const fn to_host(header: &'static str, text: &'static str) -> Expected {
    Expected::Message(row(Direction::ToHost, header, text))
}

const fn inject(direction: Direction, header: &'static str) -> Expected {
    Expected::Message(Row { injected: true, ..row(direction, header, "") })
}

const fn row(direction: Direction, header: &'static str, text: &'static str) -> Row {
    Row { direction, injected: false, header, text: Text::Octets(text), times: 1, overlaps: false }
}

/// The messages of the list, each with its place in it. They are numbered from 1.
pub fn messages() -> impl Iterator<Item = (usize, &'static Row)> {
    LIST.iter().enumerate().filter_map(|(index, expected)| match expected {
        Expected::Message(row) => Some((index, row)),
        Expected::Open | Expected::Close => None,
    })
}

/// The list as it is printed.
pub fn print() -> String {
    let mut number = 0;
    let mut lines = Vec::new();
    for expected in LIST {
        if let Expected::Message(_) = expected {
            number += 1;
            lines.push(format!("{number:3} {expected}"));
        } else {
            lines.push(format!("    {expected}"));
        }
    }
    lines.push(format!("{number} messages"));
    lines.join("\n")
}

/// The octets that `hex` spells; spaces do not count.
pub fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|c| c.to_digit(16)).filter_map(|digit| digit.try_into().ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The ten header octets that `hex` spells.
pub fn header(hex: &str) -> [u8; HEADER_LEN] {
    octets(hex).try_into().unwrap_or_default()
}

/// `header` with its system bytes `count` further on.
pub fn counted(mut header: [u8; HEADER_LEN], count: u32) -> [u8; HEADER_LEN] {
    let [.., a, b, c, d] = &mut header;
    let system = u32::from_be_bytes([*a, *b, *c, *d]).wrapping_add(count);
    [*a, *b, *c, *d] = system.to_be_bytes();
    header
}
