//! The codec and the machine of HSMS-SS: every public call, in the situations in which it has most to do. Not those that make a machine,
//! which the compiler may make ahead of time, getters, and `apply`, which is for tests.

use crate::meter::Meter;
use core::hint::black_box;
use core::time::Duration;
use hsms_core::collect::Collector;
use hsms_core::config::{Config, DeviceId, DeviceIds, Profile};
use hsms_core::connection::{Action, CloseReason, Connection, Event, Notice, ReplyToken, Stream9};
use hsms_core::counters::Counters;
use hsms_core::frame::Decoder;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, Message, PREFIX_LEN, SessionId, StreamFunction, SystemBytes};

pub type Machine = Connection<4>;

pub const DEVICE: DeviceId = DeviceId::new(0).unwrap();
pub const NOW: Instant = Instant::EPOCH;
pub const S6F11: StreamFunction = StreamFunction::new(6, 11);
pub const TEXT: usize = 64;
const S1F3: StreamFunction = StreamFunction::new(1, 3);

/// A timer of ours that has run out.
const LATE: Instant = Instant::from_millis(86_400_000 * 2);

/// What a machine did.
#[derive(Default, Clone, Copy)]
pub struct Did {
    pub frames: usize,
    pub last: Option<Header>,
    pub closed: Option<CloseReason>,
    pub opens: bool,
    pub selected: bool,
}

/// Carries out what the machine wants, into nowhere.
pub fn drain(machine: &mut Machine, now: Instant) -> Did {
    let mut did = Did::default();
    while let Some(action) = machine.poll_action() {
        match action {
            Action::Send(frame) => {
                did.frames += 1;
                did.last = Some(frame.header());
                let _ = machine.written(now, frame.encode().len() as u64);
            }
            Action::CloseTransport(reason) => did.closed = Some(reason),
            Action::OpenTransport => did.opens = true,
            Action::Notify(Notice::Selected) => did.selected = true,
            Action::Notify(_) => {}
        }
    }
    did
}

/// A control message of the peer's.
pub const fn control(stype: u8) -> [u8; PREFIX_LEN] {
    [0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, stype, 0, 0, 0, 2]
}

/// A data message of the peer's.
pub fn message(stream: u8, function: u8, session: u8, system: u8) -> [u8; PREFIX_LEN + TEXT] {
    let mut octets = [0; PREFIX_LEN + TEXT];
    let prefix = [0, 0, 0, (10 + TEXT) as u8, 0, session, stream, function, 0, 0, 0, 0, 0, system];
    octets.iter_mut().zip(prefix).for_each(|(place, octet)| *place = octet);
    octets
}

fn passive() -> Config {
    let config = Config::equipment(DEVICE).with_linktest_period(Duration::ZERO);
    black_box(config.unwrap_or(Config::equipment(DEVICE)))
}

/// A passive machine with a transport.
fn connected(config: Config) -> Machine {
    let mut machine = Machine::new(config);
    let _ = machine.enable(NOW);
    drain(&mut machine, NOW);
    let _ = machine.handle(NOW, Event::TransportOpen);
    drain(&mut machine, NOW);
    machine
}

/// One that is SELECTED.
pub fn selected() -> Machine {
    selected_with(passive())
}

fn selected_with(config: Config) -> Machine {
    let mut machine = connected(config);
    let _ = machine.receive(NOW, &control(1));
    drain(&mut machine, NOW);
    machine
}

/// Begins a primary that expects a reply, and writes it.
fn ask(machine: &mut Machine) -> Option<SystemBytes> {
    let (system, _) = machine.begin_primary(NOW, DEVICE, S1F3, true, 0).ok()?;
    machine.end_body(NOW).ok()?;
    machine.written(NOW, PREFIX_LEN as u64).ok()?;
    Some(system)
}

fn token(machine: &mut Machine) -> Option<ReplyToken> {
    let octets = message(0x81, 3, 0, 9);
    let token = machine.receive(NOW, &octets).ok()?.1?.reply_token();
    drain(machine, NOW);
    token
}

pub fn calls(meter: &mut Meter) {
    codec(meter);
    commands(meter);
    octets(meter);
    messages(meter);
    timers(meter);
}

fn codec(meter: &mut Meter) {
    let header = black_box(Header::data(SystemBytes(1), S6F11, true, SessionId(0)));
    let octets = black_box(message(0x81, 3, 0, 9));
    meter.call("Header::decode", || {
        octets.get(4..14).and_then(|head| head.try_into().ok()).is_some_and(|head| Header::decode(head).stream() == 1)
    });
    meter.call("Header::encode", || header.encode() != [0; 10]);
    meter.call("Header::encode_prefix", || header.encode_prefix(64).is_ok());
    meter.call("Header::kind", || header.kind().is_ok());
    meter.call("Message::parse", || Message::parse(&octets).is_ok());
    let mut room = [0; 128];
    meter.call("Message::encode", || Message::new(header, &[7; 64]).encode(&mut room).is_ok());
    let mut storage = [0; 128];
    let mut collector = Collector::new(storage.as_mut_slice(), 128);
    let mut decoder = Decoder::new();
    meter.call("Collector::push_piece", || {
        let piece = decoder.decode(&octets).ok().and_then(|(_, piece)| piece);
        piece.is_some_and(|piece| matches!(collector.push_piece(&piece), Ok(Some(_))))
    });
    let mut decoder = Decoder::new();
    meter.call("Decoder::decode, in two pieces", || {
        let (begin, end) = octets.split_at(9);
        decoder.decode(begin).is_ok() && decoder.decode(end).is_ok_and(|(_, piece)| piece.is_some())
    });
}

fn commands(meter: &mut Meter) {
    let mut machine = Machine::new(passive());
    meter.on(&mut machine, "enable", |it| it.enable(NOW).is_ok(), |it| drain(it, NOW).opens);
    meter.call("handle, TransportOpen", || machine.handle(NOW, Event::TransportOpen).is_ok());
    drain(&mut machine, NOW);
    meter.call("handle, TransportClosed", || machine.handle(NOW, Event::TransportClosed).is_ok());
    drain(&mut machine, NOW);
    meter.call("handle, TransportFailed", || machine.handle(NOW, Event::TransportFailed).is_ok());

    let mut machine = Machine::new(Config::host(DEVICE));
    let _ = machine.enable(NOW);
    drain(&mut machine, NOW);
    meter.on(
        &mut machine,
        "handle, TransportOpen, active",
        |it| it.handle(NOW, Event::TransportOpen).is_ok(),
        |it| drain(it, NOW).frames == 1,
    );

    let mut machine = selected();
    for _ in 0..4 {
        ask(&mut machine);
    }
    meter.on(&mut machine, "disable, four open", |it| it.disable(NOW).is_ok(), |it| drain(it, NOW).closed.is_some());
    let mut machine = selected();
    meter.on(&mut machine, "separate", |it| it.separate(NOW).is_ok(), |it| drain(it, NOW).closed.is_some());
    let mut machine = selected();
    meter.on(&mut machine, "linktest", |it| it.linktest(NOW).is_ok(), |it| drain(it, NOW).frames == 1);
    let _ = machine.receive(NOW, &control(5));
    let mut counters = Counters::new();
    let mut action = None;
    meter.call("poll_action", || {
        action = machine.poll_action();
        action.is_some()
    });
    meter.call("Counters::record_action", || {
        action.is_some_and(|action| {
            counters.record_action(&action);
            counters.sent.messages.linktest_rsp == 1
        })
    });
    drain(&mut machine, NOW);
    meter.call("pause_input", || machine.pause_input(NOW).is_ok());
    meter.call("resume_input", || machine.resume_input(NOW).is_ok());
    meter.call("next_deadline", || machine.next_deadline().is_some());
    let ids = DeviceIds::from(DEVICE);
    meter.call("set_device_ids", || {
        machine.set_device_ids(ids);
        true
    });
    meter.call("set_next_system_bytes", || {
        machine.set_next_system_bytes(SystemBytes(77));
        machine.next_system_bytes() == SystemBytes(77)
    });
    let about = Header::data(SystemBytes(1), S1F3, true, SessionId(0));
    meter.on(
        &mut machine,
        "report_error",
        |it| it.report_error(NOW, Stream9::IllegalData, &about).is_ok(),
        |it| drain(it, NOW).frames == 1,
    );
}

fn octets(meter: &mut Meter) {
    let mut machine = connected(passive());
    meter.on(
        &mut machine,
        "receive, Select.req",
        |it| it.receive(NOW, &control(1)).is_ok(),
        |it| drain(it, NOW).selected,
    );
    for (what, stype, frames) in [
        ("receive, a second Select.req", 1, 1),
        ("receive, Linktest.req", 5, 1),
        ("receive, Deselect.req", 3, 1),
        ("receive, unknown SType", 77, 1),
        ("receive, Linktest.rsp to nothing", 6, 1),
        ("receive, Reject.req to nothing", 7, 0),
    ] {
        let mut machine = selected();
        meter.call(what, || machine.receive(NOW, black_box(&control(stype))).is_ok());
        let did = drain(&mut machine, NOW);
        if did.frames != frames {
            meter.fail(what);
        }
    }
    let mut machine = selected();
    meter.on(
        &mut machine,
        "receive, Separate.req",
        |it| it.receive(NOW, &control(9)).is_ok(),
        |it| drain(it, NOW).closed.is_some(),
    );
    let mut machine = selected();
    meter.on(
        &mut machine,
        "receive, a length that is too short",
        |it| it.receive(NOW, b"\0\0\0\x09").is_ok(),
        |it| drain(it, NOW).closed.is_some(),
    );
    let mut machine = connected(passive());
    meter.on(
        &mut machine,
        "receive, SECS-I",
        |it| it.receive(NOW, b"\x05\0\0\0").is_ok(),
        |it| drain(it, NOW).closed.is_some(),
    );
    let mut machine = connected(passive());
    // In the buffer that the transport reads into, as in `messages`.
    let (ours, foreign) = (message(0x81, 3, 0, 9), message(0x81, 3, 5, 9));
    meter.on(
        &mut machine,
        "receive, data while not selected",
        |it| it.receive(NOW, black_box(&ours)).is_ok(),
        |it| drain(it, NOW).frames == 1,
    );
    let mut other = control(5);
    other[8] = 3;
    let mut machine = selected();
    meter.on(
        &mut machine,
        "receive, unknown PType",
        |it| it.receive(NOW, &other).is_ok(),
        |it| drain(it, NOW).frames == 1,
    );
    let mut machine = selected();
    meter.on(
        &mut machine,
        "receive, unknown device: S9F1",
        |it| it.receive(NOW, black_box(&foreign)).is_ok(),
        |it| drain(it, NOW).frames >= 1,
    );
    let mut small = selected_with(passive().with_max_message(20).unwrap_or(passive()));
    meter.on(
        &mut small,
        "receive, too long: S9F11",
        |it| it.receive(NOW, black_box(&ours)).is_ok(),
        |it| drain(it, NOW).frames >= 1,
    );
    let mut strict = selected_with(passive().with_profile(Profile::Strict).unwrap_or(passive()));
    meter.on(
        &mut strict,
        "receive, strict, unknown SType",
        |it| it.receive(NOW, &control(77)).is_ok(),
        |it| drain(it, NOW).frames == 1,
    );
    let mut refusing = Machine::refusing(passive());
    let _ = refusing.handle(NOW, Event::TransportOpen);
    drain(&mut refusing, NOW);
    meter.on(
        &mut refusing,
        "receive, refusing, Select.req",
        |it| it.receive(NOW, &control(1)).is_ok(),
        |it| drain(it, NOW).frames == 1,
    );
}

fn messages(meter: &mut Meter) {
    let mut machine = selected();
    let primary = message(0x81, 3, 0, 9);
    meter.call("receive, a primary", || {
        machine.receive(NOW, &primary).is_ok_and(|(_, inbound)| inbound.is_some_and(|it| it.reply_token().is_some()))
    });
    drain(&mut machine, NOW);
    let (begin, end) = primary.split_at(9);
    meter.call("receive, a primary in two pieces", || {
        machine.receive(NOW, begin).is_ok() && machine.receive(NOW, end).is_ok_and(|(_, inbound)| inbound.is_some())
    });
    drain(&mut machine, NOW);
    let Some(first) = token(&mut machine) else { meter.fail("a machine that is selected") };
    meter.call("begin_reply", || machine.begin_reply(NOW, &first, 0).is_ok());
    meter.call("end_body", || machine.end_body(NOW).is_ok());
    meter.call("written", || machine.written(NOW, PREFIX_LEN as u64).is_ok());
    let Some(second) = token(&mut machine) else { meter.fail("a machine that is selected") };
    meter.call("begin_abort", || machine.begin_abort(NOW, &second).is_ok());
    let _ = machine.end_body(NOW);
    drain(&mut machine, NOW);

    let mut machine = selected();
    meter.call("begin_primary", || machine.begin_primary(NOW, DEVICE, S1F3, true, 64).is_ok());
    meter.on(&mut machine, "abort_body", |it| it.abort_body(NOW).is_ok(), |it| drain(it, NOW).closed.is_some());

    for (what, stream, function) in [
        ("receive, a reply", 1, 4),
        ("receive, an abort", 1, 0),
        ("receive, a reply that does not match", 1, 6),
        ("receive, S9F9", 9, 9),
    ] {
        let mut machine = selected();
        let Some(system) = ask(&mut machine) else { meter.fail("a machine that is selected") };
        let octets = message(stream, function, 0, system.0 as u8);
        meter.call(what, || machine.receive(NOW, black_box(&octets)).is_ok_and(|(_, inbound)| inbound.is_some()));
        drain(&mut machine, NOW);
    }
    let mut machine = selected();
    let Some(system) = ask(&mut machine) else { meter.fail("a machine that is selected") };
    let mut reject = control(7);
    reject[13] = system.0 as u8;
    reject[7] = 4;
    meter.call("receive, Reject.req to a primary", || machine.receive(NOW, &reject).is_ok());
    drain(&mut machine, NOW);
    let Some(system) = ask(&mut machine) else { meter.fail("a machine that is selected") };
    meter.call("forget", || machine.forget(system).is_ok());
}

fn timers(meter: &mut Meter) {
    let mut machine = selected();
    ask(&mut machine);
    meter.on(
        &mut machine,
        "handle, T3 with S9F9",
        |it| it.handle(LATE, Event::Timeout).is_ok(),
        |it| drain(it, LATE).last.is_some_and(|it| it.function() == 9),
    );
    let mut machine = connected(passive());
    meter.on(
        &mut machine,
        "handle, T7",
        |it| it.handle(LATE, Event::Timeout).is_ok(),
        |it| drain(it, LATE).closed.is_some(),
    );
    let mut machine = selected();
    let _ = machine.linktest(NOW);
    drain(&mut machine, NOW);
    meter.on(
        &mut machine,
        "handle, T6 of a linktest",
        |it| it.handle(LATE, Event::Timeout).is_ok(),
        |it| drain(it, LATE).closed.is_some(),
    );
    let mut machine = selected();
    let _ = machine.receive(NOW, b"\0\0\0");
    meter.on(
        &mut machine,
        "handle, T8",
        |it| it.handle(LATE, Event::Timeout).is_ok(),
        |it| drain(it, LATE).closed.is_some(),
    );
    let mut machine = selected_with(Config::equipment(DEVICE));
    meter.on(
        &mut machine,
        "handle, a linktest is due",
        |it| it.handle(LATE, Event::Timeout).is_ok(),
        |it| drain(it, LATE).frames == 1,
    );
    let mut machine = Machine::new(Config::host(DEVICE));
    let _ = machine.enable(NOW);
    drain(&mut machine, NOW);
    let _ = machine.handle(NOW, Event::TransportFailed);
    drain(&mut machine, NOW);
    meter.on(&mut machine, "handle, T5", |it| it.handle(LATE, Event::Timeout).is_ok(), |it| drain(it, LATE).opens);
    let _ = machine.handle(LATE, Event::TransportOpen);
    drain(&mut machine, LATE);
    let later = LATE.saturating_add(Duration::from_secs(86_400));
    meter.on(
        &mut machine,
        "handle, T6 of a select",
        |it| it.handle(later, Event::Timeout).is_ok(),
        |it| drain(it, later).closed.is_some(),
    );
}
