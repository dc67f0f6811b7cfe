//! What tshark makes of a capture, beside what went over the sockets.

use crate::far_end::{FarEnd, SharedFile, messages};
use hsms_core::wire::{Header, SType};
use libtest_mimic::Failed;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PROGRAM: &str = "tshark";

/// It takes a second, and is given up after that.
const PATIENCE: Duration = Duration::from_secs(300);

/// What tshark remarks on where a connection begins and ends, whatever it is like. It must remark on nothing else.
const REMARKS: [&str; 5] = [
    "tcp.connection.syn",
    "tcp.connection.synack",
    "tcp.connection.fin",
    "tcp.connection.fin_active",
    "tcp.connection.fin_passive",
];

/// Flags of TCP.
const FIN: u64 = 0x01;
const SYN: u64 = 0x02;
const PSH: u64 = 0x08;
const ACK: u64 = 0x10;

/// Which way, as our end sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Received,
    Sent,
}

/// Why there is none, if so.
pub fn missing() -> Option<String> {
    let found = Command::new(PROGRAM).arg("--version").output().is_ok_and(|output| output.status.success());
    (!found).then(|| format!("no {PROGRAM}: apt-get install tshark"))
}

/// The streams that there have to be.
pub struct Streams<'a> {
    expected: Vec<Expected<'a>>,
    segments: usize,
}

struct Expected<'a> {
    far: &'a FarEnd,
    /// On which interfaces, one after the other.
    interfaces: &'a [&'a str],
    /// The far end has called.
    called: bool,
}

impl<'a> Streams<'a> {
    pub fn of<const N: usize>(streams: [(&'a FarEnd, &'a [&'a str], bool); N]) -> Self {
        let expected = |(far, interfaces, called)| Expected { far, interfaces, called };
        Streams { expected: streams.into_iter().map(expected).collect(), segments: 0 }
    }

    /// How many had octets.
    pub fn segments(&self) -> usize {
        self.segments
    }
}

/// A packet as tshark tells it: each field with its values.
pub type Packet = BTreeMap<String, Vec<String>>;

fn one<'a>(packet: &'a Packet, field: &str) -> Result<&'a str, Failed> {
    match packet.get(field).map(Vec::as_slice) {
        Some([value]) => Ok(value),
        other => Err(format!("{field} is {other:?} in {packet:?}").into()),
    }
}

fn number(packet: &Packet, field: &str) -> Result<u64, Failed> {
    let value = one(packet, field)?;
    let number = match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        // Versions differ in how they write truth.
        None => value.replace("True", "1").replace("False", "0").parse(),
    };
    Ok(number.map_err(|error| format!("{field} is {value}: {error}"))?)
}

/// In nanoseconds since 1970.
fn time(packet: &Packet) -> Result<u128, Failed> {
    let (seconds, rest) = one(packet, "frame.time_epoch")?.split_once('.').ok_or("no fraction")?;
    assert_eq!(rest.len(), 9, "nanoseconds");
    Ok(seconds.parse::<u128>()? * 1_000_000_000 + rest.parse::<u128>()?)
}

fn octets(packet: &Packet) -> Result<Vec<u8>, Failed> {
    let Some(values) = packet.get("tcp.payload") else { return Ok(Vec::new()) };
    let [value] = values.as_slice() else { return Err("two payloads".into()) };
    Ok(value.split(':').map(|octet| u8::from_str_radix(octet, 16)).collect::<Result<_, _>>()?)
}

/// Everything in the file is one of these streams, from its handshake to its end, with every octet and every field; and tshark finds
/// nothing odd.
pub fn verify(file: &SharedFile, streams: &mut Streams<'_>) -> Result<(), Failed> {
    let packets = decode(file)?;
    let mut left = packets.len();
    // Not before there was a file, and not in the future.
    let since_1970 = |time: SystemTime| Ok::<_, Failed>(time.duration_since(UNIX_EPOCH)?.as_nanos());
    let mut before = since_1970(file.created)?;
    for packet in &packets {
        let now = time(packet)?;
        assert!(now >= before, "time goes back: {packet:?}");
        before = now;
    }
    assert!(before <= since_1970(SystemTime::now())?, "the last packet is of the future");
    for Expected { far, interfaces, called } in &streams.expected {
        let port = far.remote.port().to_string();
        let ends = |packet: &Packet| {
            Ok::<_, Failed>((one(packet, "tcp.srcport")? == port, one(packet, "tcp.dstport")? == port))
        };
        let mut stream = Vec::new();
        for packet in &packets {
            match ends(packet)? {
                (true, false) => stream.push((Way::Received, packet)),
                (false, true) => stream.push((Way::Sent, packet)),
                (false, false) => {}
                (true, true) => return Err("from a port to itself".into()),
            }
        }
        left -= stream.len();
        streams.segments += verify_stream(far, interfaces, *called, &stream)?;
    }
    assert_eq!(left, 0, "packets of no stream");
    Ok(())
}

fn verify_stream(far: &FarEnd, interfaces: &[&str], called: bool, stream: &[(Way, &Packet)]) -> Result<usize, Failed> {
    let caller = if called { Way::Received } else { Way::Sent };
    let mut flags = Vec::new();
    for (way, packet) in stream {
        flags.push((*way, number(packet, "tcp.flags")?));
    }
    let [first, second, third, middle @ .., fin, other, last] = flags.as_slice() else {
        return Err(format!("{} packets", stream.len()).into());
    };
    assert_eq!((first, third), (&(caller, SYN), &(caller, ACK)));
    assert!(second.0 != caller && second.1 == SYN | ACK, "{second:?}");
    assert!(fin.0 != other.0 && fin.0 == last.0, "{fin:?} {other:?} {last:?}");
    assert_eq!([fin.1, other.1, last.1], [FIN | ACK, FIN | ACK, ACK]);
    assert!(middle.iter().all(|(_, flags)| [ACK, ACK | PSH].contains(flags)), "{middle:?}");

    let streams: Vec<&str> = stream.iter().map(|(_, packet)| one(packet, "tcp.stream")).collect::<Result<_, _>>()?;
    assert!(streams.windows(2).all(|pair| pair[0] == pair[1]), "it is {streams:?}");
    let mut names = Vec::new();
    for (_, packet) in stream {
        names.push(one(packet, "frame.interface_name")?);
        let address = if far.remote.is_ipv4() { "ip.version" } else { "ipv6.version" };
        assert_eq!(number(packet, address)?, if far.remote.is_ipv4() { 4 } else { 6 });
    }
    names.dedup();
    assert_eq!(names, interfaces);

    let mut segments = 0;
    for (way, truth) in [(Way::Received, &far.written), (Way::Sent, &far.read)] {
        let mut payload = Vec::new();
        let mut told = Vec::new();
        for (_, packet) in stream.iter().filter(|(other, _)| *other == way) {
            let these = octets(packet)?;
            segments += usize::from(!these.is_empty());
            payload.extend(these);
            if packet.contains_key("hsms.length") {
                told.push(*packet);
            }
        }
        assert!(payload == *truth, "{way:?}: {} octets for {}", payload.len(), truth.len());
        let messages = messages(truth);
        assert_eq!(told.len(), messages.len(), "messages {way:?}");
        for (packet, (header, body)) in told.into_iter().zip(&messages) {
            verify_message(packet, header, body)?;
        }
    }
    Ok(segments)
}

/// Every field of the header, and of the texts that the tests send.
fn verify_message(packet: &Packet, header: &Header, body: &[u8]) -> Result<(), Failed> {
    let is = |field: &str, ours: u64| -> Result<(), Failed> {
        assert_eq!(number(packet, &format!("hsms.{field}"))?, ours, "{field} of {header}");
        Ok(())
    };
    is("length", u64::try_from(body.len())? + 10)?;
    is("header.sessionid", header.session.0.into())?;
    is("header.ptype", header.ptype.0.into())?;
    is("header.stype", header.stype.0.into())?;
    is("header.system", header.system.0.into())?;
    if header.stype != SType::DATA {
        is("header.statusbyte2", header.byte2.into())?;
        return is("header.statusbyte3", header.byte3.into());
    }
    is("header.wbit", header.reply_expected().into())?;
    is("header.stream", header.stream().into())?;
    is("header.function", header.function().into())?;
    // The tree comes in no order.
    let values = |field: &str| {
        let mut values = packet.get(&format!("hsms.data.item.{field}")).cloned().unwrap_or_default();
        values.sort();
        values
    };
    let (formats, lengths): (&[&str], Vec<String>) = match body {
        [] => (&[], Vec::new()),
        crate::TEXT => {
            assert_eq!(values("value.string"), ["TOOL"]);
            assert_eq!(values("value.uint16"), ["300"]);
            (&["0", "16", "42"], vec!["2".to_owned(), "2".to_owned(), "4".to_owned()])
        }
        [0x42, ..] => {
            assert_eq!(values("value.string"), [String::from_utf8_lossy(&body[3..])]);
            (&["16"], vec![(body.len() - 3).to_string()])
        }
        [0x23, ..] => {
            let value = values("value.binary").concat().replace(':', "");
            let ours: String = body[4..].iter().map(|octet| format!("{octet:02x}")).collect();
            assert!(value == ours, "the text of {header}");
            (&["8"], vec![(body.len() - 4).to_string()])
        }
        other => return Err(format!("no such text is sent: {other:02x?}").into()),
    };
    assert_eq!(values("format"), formats);
    assert_eq!(values("length"), lengths);
    Ok(())
}

/// Every packet, with checksums verified.
pub fn decode(file: &SharedFile) -> Result<Vec<Packet>, Failed> {
    let octets = file.octets();
    let mut command = Command::new(PROGRAM);
    // Not what its user has set, and no comma in a number.
    command
        .env("WIRESHARK_CONFIG_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/no-such-folder"))
        .env("LC_ALL", "C.UTF-8")
        .args(["-n", "-r", "-", "-d", "tcp.port==1-65535,hsms", "-T", "json", "--no-duplicate-keys"])
        .args(["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut program = Program(child);
    let mut stdin = program.0.stdin.take().ok_or("no stdin")?;
    let mut stdout = program.0.stdout.take().ok_or("no stdout")?;
    // Where it does not read to the end, it says too little, and that is seen below.
    let writer = thread::spawn(move || stdin.write_all(&octets));
    let (sender, said) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.read_to_end(&mut text).map(|_| text);
        sender.send(read)
    });
    let text = said.recv_timeout(PATIENCE).map_err(|_| format!("{PROGRAM} says nothing within {PATIENCE:?}"))??;
    let mut complaints = String::new();
    if let Some(mut stderr) = program.0.stderr.take() {
        stderr.read_to_string(&mut complaints)?;
    }
    let status = program.0.wait()?;
    let _ = (writer.join(), reader.join());
    assert!(status.success(), "{complaints}");
    let packets: Value = serde_json::from_slice(&text)?;
    let packets = packets.as_array().ok_or("no list of packets")?;
    packets.iter().map(|packet| read(&packet["_source"]["layers"])).collect()
}

fn read(layers: &Value) -> Result<Packet, Failed> {
    let mut packet = Packet::new();
    gather(layers, &mut packet);
    assert!(!packet.is_empty());
    for remark in packet.keys().filter(|field| field.starts_with("_ws.expert.remark ")) {
        let name = remark.trim_start_matches("_ws.expert.remark ");
        assert!(REMARKS.contains(&name), "tshark finds something odd: {name}, {packet:?}");
    }
    for field in ["_ws.malformed", "_ws.unreassembled", "data.data"] {
        assert!(!packet.contains_key(field), "{field} in {packet:?}");
    }
    Ok(packet)
}

/// Takes the tree apart: every field with all its values, in the order of the packet.
fn gather(value: &Value, packet: &mut Packet) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "_ws.expert" {
                    remarks(value, packet);
                }
                match value {
                    Value::String(text) => packet.entry(name.clone()).or_default().push(text.clone()),
                    Value::Array(values) if values.iter().all(Value::is_string) => {
                        let texts = values.iter().filter_map(Value::as_str).map(str::to_owned);
                        packet.entry(name.clone()).or_default().extend(texts);
                    }
                    other => gather(other, packet),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, packet)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a remark is about is the field in it that is none of every remark.
fn remarks(value: &Value, packet: &mut Packet) {
    match value {
        Value::Object(fields) => {
            let names: Vec<&String> = fields.keys().filter(|name| !name.starts_with("_ws.expert.")).collect();
            let name = names.first().map_or("unnamed", |name| name.as_str());
            packet.entry(format!("_ws.expert.remark {name}")).or_default().push(String::new());
        }
        Value::Array(values) => values.iter().for_each(|value| remarks(value, packet)),
        _ => {
            packet.entry("_ws.expert.remark unnamed".to_owned()).or_default().push(String::new());
        }
    }
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
