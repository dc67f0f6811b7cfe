//! HSMS and SECS-II as tshark decodes them out of captured segments, and as we do: every field of every header, and of every item its
//! format, its length octets, its length and its values.
//!
//! What tshark 4.0.17 cannot tell, and is therefore not compared; each of these is looked at by [`its_limits`], but for the first:
//!
//! - a format code that is not defined: it divides by zero and ends;
//! - JIS-8 and localized text: it shows format and length, of odd lengths not even these, and nothing of what is in it or comes behind it;
//! - ASCII that is not printable: it ends the text at a NUL, writes control codes as escapes, and has one sign for all octets above 127;
//! - more than 6 digits of an F4 and 15 of an F8, and which NaN it is: both sides are compared so far;
//! - a true Boolean whose last bit is 0: it looks at that bit alone, and at FF sees true;
//! - STypes 8, 10 and 128 to 255, data messages of stream 0 without W, linktests of another session id than FFFF, and control messages
//!   with text: none of these is HSMS for it;
//! - malformed texts: it says nothing of a length that is no multiple of a value's width, of no length octets, and of octets behind the
//!   item. Only a text that is cut off is malformed for it.

use crate::bodies::hex;
use crate::process::lines_of;
use etherparse::PacketBuilder;
use hsms_core::generate::Chunking;
use hsms_core::secs2::{Encoding, Format, Item, ItemHeader, Tree, Walk};
use hsms_core::wire::{Header, Kind, Message, RejectReason, SessionId, StreamFunction, SystemBytes};
use hsms_tests::generate;
use hsms_tests::secs2::encode;
use libtest_mimic::Failed;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;

const PROGRAM: &str = "tshark";

/// What has no port of its own is told to be HSMS.
const PORT: u16 = 5_000;

/// Messages that are compared.
const MESSAGES: usize = 1_000;

/// Octets of a text at most.
const LONGEST: usize = 4_000;

/// What is in the formats that it knows: 14 of 16.
const FORMATS: usize = 14;

/// What it is asked for, each with `hsms.` before it.
const FIELDS: [&str; 26] = [
    "length",
    "header.sessionid",
    "header.statusbyte2",
    "header.wbit",
    "header.stream",
    "header.statusbyte3",
    "header.function",
    "header.ptype",
    "header.stype",
    "header.system",
    "data.item.format",
    "data.item.length_bytes",
    "data.item.length",
    "data.item.value.binary",
    "data.item.value.boolean",
    "data.item.value.string",
    "data.item.value.int64",
    "data.item.value.int8",
    "data.item.value.int16",
    "data.item.value.int32",
    "data.item.value.double",
    "data.item.value.float",
    "data.item.value.uint64",
    "data.item.value.uint8",
    "data.item.value.uint16",
    "data.item.value.uint32",
];

/// Why there is none, if so.
pub(crate) fn missing() -> Option<String> {
    let found = Command::new(PROGRAM).arg("--version").output().is_ok_and(|output| output.status.success());
    (!found).then(|| format!("no {PROGRAM}: apt-get install tshark"))
}

/// Whether the one that is there is of the versions whose limits are known here: others may have lost some. Where there is none, yes.
pub(crate) fn limits_are_known() -> bool {
    let Ok(output) = Command::new(PROGRAM).arg("--version").output() else { return true };
    let version = String::from_utf8_lossy(&output.stdout);
    let known = version.lines().next().is_some_and(|line| line.contains(" 4.0."));
    if !known {
        println!(
            "NOT RUN: the limits of {PROGRAM}, which are known of 4.0 only: {}",
            version.lines().next().unwrap_or("?")
        );
    }
    known
}

/// 1,000 random messages in segments of random sizes: tshark tells of them what we read.
pub(crate) fn our_messages() -> Result<(), Failed> {
    let mut config = generate::config(1);
    config.rng_seed = RngSeed::Fixed(37);
    let mut runner = TestRunner::new(config);
    let messages = message();
    let mut frames = Vec::new();
    while frames.len() < MESSAGES {
        let (header, body) = messages.new_tree(&mut runner)?.current();
        if body.len() <= LONGEST {
            frames.push(generate::encode(&header, &body));
        }
    }
    let stream = frames.concat();
    let sizes = prop::collection::vec(1..1_460_usize, 100).new_tree(&mut runner)?.current();
    let told = tell(Chunking(sizes).cut(&stream))?;
    let mut formats = BTreeSet::new();
    compare(&frames, told.clone(), &mut formats)?;
    assert_eq!(formats.len(), FORMATS, "{formats:?}");

    // And of others it does not: any octet of a message, but for those that both sides show less of.
    let mut seen = 0;
    for (number, frame) in frames.iter().enumerate().filter(|(_, frame)| frame.len() > 14).take(200) {
        let mut others = frames.clone();
        let place = 4 + number * 7 % (frame.len() - 4);
        others[number][place] ^= 0x01;
        seen += usize::from(compare(&others, told.clone(), &mut formats).is_err());
    }
    assert!(seen > 180, "of 200 messages with another octet only {seen} are told from what tshark read");
    Ok(())
}

/// What is left out above is told as badly as ever: a version that does better is to be compared in full.
pub(crate) fn its_limits() -> Result<(), Failed> {
    let data = Header::data(SystemBytes(1), StreamFunction::new(1, 1), true, SessionId(0));
    let text = |body: &[u8]| generate::encode(&data, body);
    let items = |trees: Vec<Tree>| Tree::List(trees).to_text().map(|body| text(&body));
    let item = "data.item.format";
    let seven = Tree::U1(vec![7]);
    let alone = |header: Header| generate::encode(&header, &[]);
    let octets = |octets: [u8; 10], body: &[u8]| generate::encode(&Header::decode(&octets), body);
    let f4 = |value: f32| items(vec![Tree::F4(vec![value])]);
    let f8 = |value: f64| items(vec![Tree::F8(vec![value])]);
    let a = |octets: &[u8]| items(vec![Tree::Ascii(octets.to_vec())]);
    assert_eq!(float(16_777_216.0), float(16_777_200.0));
    // What is sent, a field, and what is told of it.
    for (frame, field, told) in [
        (items(vec![Tree::Jis8(b"AB".to_vec()), seven.clone()])?, item, "0 17"),
        (items(vec![Tree::Localized(Encoding::UTF_8, b"AB".to_vec()), seven.clone()])?, item, "0 18"),
        (a(b"A\0B")?, "data.item.value.string", "A"),
        (a(b"A\nB")?, "data.item.value.string", "A\\nB"),
        (a(b"A\xE9B")?, "data.item.value.string", "A\u{FFFD}B"),
        (f4(16_777_216.0)?, "data.item.value.float", "1.67772e7"),
        (f8(1.0 / 3.0)?, "data.item.value.double", "3.33333333333333e-1"),
        (text(&[0x25, 2, 2, 0xFF]), "data.item.value.boolean", "0 1"),
        (octets([0xFF, 0xFF, 0, 0, 0, 8, 0, 0, 0, 1], &[]), "length", ""),
        (octets([0xFF, 0xFF, 0, 0, 0, 10, 0, 0, 0, 1], &[]), "length", ""),
        (octets([0xFF, 0xFF, 0, 0, 0, 128, 0, 0, 0, 1], &[]), "length", ""),
        (octets([0, 0, 0, 1, 0, 0, 0, 0, 0, 1], &[]), "length", ""),
        (alone(Header::linktest_req(SystemBytes(1)).with_session(SessionId(0))), "length", ""),
        (octets([0xFF, 0xFF, 0, 0, 0, 1, 0, 0, 0, 1], &[1, 0]), "length", ""),
        (text(&[0xB1, 5, 0, 0, 0, 0, 0]), item, ""),
        (text(&[0xA4]), item, ""),
        (text(&[0xA5, 1, 7, 0xA5, 1, 7]), item, "41"),
    ] {
        let shown: Vec<String> = tell(vec![&frame])?.remove(field).unwrap_or_default().into();
        assert_eq!(shown.join(" "), told, "{field} of {}: a limit is gone, or another one is there", hex(&frame));
    }
    Ok(())
}

/// Any message that it takes for HSMS, with any text that it can tell.
fn message() -> impl Strategy<Value = (Header, Vec<u8>)> {
    let system = any::<u32>().prop_map(SystemBytes);
    let header = (system.clone(), 1..128_u8, any::<u8>(), any::<bool>(), any::<u16>()).prop_map(
        |(system, stream, function, reply, session)| {
            Header::data(system, StreamFunction::new(stream, function), reply, SessionId(session))
        },
    );
    let text = (any::<Tree>().prop_map(told), any::<bool>()).prop_map(|(tree, long)| encode(&tree, &mut || long));
    let text = prop_oneof![1 => Just(Vec::new()), 12 => text];
    let control = (system, 0..8_usize, any::<u16>(), any::<u8>()).prop_map(|(system, kind, session, status)| {
        let session = SessionId(session);
        let header = match kind {
            0 => Header::select_req(system).with_session(session),
            1 => Header::select_rsp(system).with_session(session).with_status(status),
            2 => Header::deselect_req(system).with_session(session),
            3 => Header::deselect_rsp(system).with_session(session).with_status(status),
            4 => Header::linktest_req(system),
            5 => Header::linktest_rsp(system),
            6 => Header::reject_req(system, status, RejectReason::from(status)).with_session(session),
            _ => Header::separate_req(system).with_session(session),
        };
        (header, Vec::new())
    });
    prop_oneof![9 => (header, text), 1 => control]
}

/// The tree with something else in the place of what tshark cannot tell.
fn told(tree: Tree) -> Tree {
    let printable = |octets: Vec<u8>| Tree::Ascii(octets.into_iter().map(|octet| b' ' + octet % 95).collect());
    match tree {
        Tree::List(elements) => Tree::List(elements.into_iter().map(told).collect()),
        Tree::Ascii(octets) | Tree::Jis8(octets) => printable(octets),
        Tree::Localized(_, octets) => Tree::Binary(octets),
        other => other,
    }
}

/// What tshark told, by field, in the order of the stream.
type Told = BTreeMap<&'static str, VecDeque<String>>;

/// What is told of these messages, all of it and nothing else, is what we read.
fn compare(frames: &[Vec<u8>], mut told: Told, formats: &mut BTreeSet<Format>) -> Result<(), String> {
    for (number, frame) in frames.iter().enumerate() {
        compare_one(frame, &mut told, formats)
            .map_err(|difference| format!("message {number}, {}: {difference}", hex(frame)))?;
    }
    match told.iter().find(|(_, left)| !left.is_empty()) {
        None => Ok(()),
        Some((field, left)) => Err(format!("{field} is told too often: {left:?}")),
    }
}

fn compare_one(frame: &[u8], told: &mut Told, formats: &mut BTreeSet<Format>) -> Result<(), String> {
    let mut is = |field: &'static str, ours: String| {
        let shown = told.get_mut(field).and_then(VecDeque::pop_front);
        if shown.as_ref() == Some(&ours) { Ok(()) } else { Err(format!("{field} is {ours}, and told is {shown:?}")) }
    };
    let (message, rest) = Message::parse(frame).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err("octets behind the message".to_owned());
    }
    let Header { session, ptype, stype, system, .. } = message.header;
    let [_, _, octet2, octet3, ..] = message.header.encode();
    is("length", (10 + message.body.len()).to_string())?;
    is("header.sessionid", session.0.to_string())?;
    is("header.ptype", ptype.0.to_string())?;
    is("header.stype", stype.0.to_string())?;
    is("header.system", system.0.to_string())?;
    let Ok(Kind::Data { .. }) = message.header.kind() else {
        is("header.statusbyte2", octet2.to_string())?;
        return is("header.statusbyte3", octet3.to_string());
    };
    is("header.wbit", u8::from(message.header.reply_expected()).to_string())?;
    is("header.stream", message.header.stream().to_string())?;
    is("header.function", message.header.function().to_string())?;
    for step in Walk::<32>::new(message.body) {
        let step = step.map_err(|error| error.to_string())?;
        let text = message.body.get(step.offset..).unwrap_or_default();
        let (header, behind) = ItemHeader::parse(text).map_err(|error| error.to_string())?;
        is("data.item.format", step.item.format().code().to_string())?;
        is("data.item.length_bytes", (text.len() - behind.len() - 1).to_string())?;
        is("data.item.length", header.length().to_string())?;
        formats.insert(step.item.format());
        let mut each = |field, values: Vec<String>| values.into_iter().try_for_each(|value| is(field, value));
        match step.item {
            Item::List(_) => {}
            // Of nothing nothing is told.
            Item::Binary([]) | Item::Ascii([]) => {}
            Item::Binary(octets) => is("data.item.value.binary", hex(octets))?,
            Item::Ascii(octets) => is("data.item.value.string", String::from_utf8_lossy(octets).into_owned())?,
            Item::Jis8(_) | Item::Localized(_) => return Err(format!("{} cannot be compared", step.item.format())),
            Item::Boolean(values) => {
                each("data.item.value.boolean", values.iter().map(|value| u8::from(value).to_string()).collect())?;
            }
            Item::I8(values) => each("data.item.value.int64", values.iter().map(|value| value.to_string()).collect())?,
            Item::I1(values) => each("data.item.value.int8", values.iter().map(|value| value.to_string()).collect())?,
            Item::I2(values) => each("data.item.value.int16", values.iter().map(|value| value.to_string()).collect())?,
            Item::I4(values) => each("data.item.value.int32", values.iter().map(|value| value.to_string()).collect())?,
            Item::U8(values) => each("data.item.value.uint64", values.iter().map(|value| value.to_string()).collect())?,
            Item::U1(values) => each("data.item.value.uint8", values.iter().map(|value| value.to_string()).collect())?,
            Item::U2(values) => each("data.item.value.uint16", values.iter().map(|value| value.to_string()).collect())?,
            Item::U4(values) => each("data.item.value.uint32", values.iter().map(|value| value.to_string()).collect())?,
            Item::F8(values) => each("data.item.value.double", values.iter().map(double).collect())?,
            Item::F4(values) => each("data.item.value.float", values.iter().map(f64::from).map(float).collect())?,
        }
    }
    Ok(())
}

fn double(value: f64) -> String {
    format!("{value:.14e}")
}

/// As wide as it comes from an F4.
fn float(value: f64) -> String {
    format!("{value:.5e}")
}

/// What tshark tells of a stream in these segments.
fn tell(segments: Vec<&[u8]>) -> Result<Told, Failed> {
    let mut command = Command::new(PROGRAM);
    // Not what its user has set, and no comma in a number.
    command
        .env("WIRESHARK_CONFIG_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/no-such-folder"))
        .env("LC_ALL", "C.UTF-8");
    command.args(["-n", "-r", "-", "-d", &format!("tcp.port=={PORT},hsms")]);
    // Between the values of one field stands what is in no value.
    command.args(["-T", "fields", "-E", "occurrence=a", "-E", "separator=/t", "-E", "aggregator=\u{1F}"]);
    for field in FIELDS {
        command.args(["-e", &format!("hsms.{field}")]);
    }
    let count = segments.len();
    let mut told = Told::new();
    for line in lines_of(command, capture(segments)?, count)? {
        let columns: Vec<&str> = line.split('\t').collect();
        assert_eq!(columns.len(), FIELDS.len(), "{line}");
        for (field, column) in FIELDS.into_iter().zip(columns) {
            // What has no octets is told as nothing, or as this.
            let nothing = |value: &str| value.is_empty() || field == "data.item.value.binary" && value == "<MISSING>";
            let values = column.split('\u{1F}').filter(|value| !nothing(value));
            told.entry(field).or_default().extend(values.map(|value| plain(field, value)));
        }
    }
    Ok(told)
}

/// A value as we write it. Versions differ in how they write truth and octets.
fn plain(field: &str, value: &str) -> String {
    match (field, value.parse()) {
        ("header.wbit" | "data.item.value.boolean", _) => value.replace("True", "1").replace("False", "0"),
        ("data.item.value.binary", _) => value.replace(':', ""),
        ("data.item.value.double", Ok(value)) => double(value),
        ("data.item.value.float", Ok(value)) => float(value),
        _ => value.to_owned(),
    }
}

/// The segments as a file of captured packets: IPv4, from one port to another, none lost.
fn capture(segments: Vec<&[u8]>) -> Result<Vec<u8>, Failed> {
    let mut file = Vec::new();
    // Magic number, version 2.4, no time zone, no accuracy, whole packets, link type "raw IP".
    for field in [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 0x4_0000, 101] {
        file.extend(field.to_le_bytes());
    }
    let mut sequence = 1_u32;
    for segment in segments {
        let mut packet = Vec::new();
        PacketBuilder::ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64)
            .tcp(40_000, PORT, sequence, 8_192)
            .ack(1)
            .write(&mut packet, segment)?;
        sequence = sequence.wrapping_add(u32::try_from(segment.len())?);
        let len = u32::try_from(packet.len())?;
        // Seconds, microseconds, octets here, octets there were.
        for field in [0, 0, len, len] {
            file.extend(field.to_le_bytes());
        }
        file.extend(packet);
    }
    Ok(file)
}
