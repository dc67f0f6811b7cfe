//! Instructions and stack of calls of hsms-core, without a network. To be run by QEMU with `-icount shift=0`, where an instruction
//! takes a nanosecond; the lines of the log that begin with `figure` are the result.
#![no_std]
#![no_main]

use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::entry;
use hsms_core::config::DeviceId;
use hsms_core::connection::{Action, Event, ReplyToken};
use hsms_core::time::Instant;
use hsms_core::wire::{PREFIX_LEN, StreamFunction};
use hsms_core::{Config, Connection};
use hsms_firmware::{console, stack};

type Machine = Connection<4>;

const DEVICE: DeviceId = DeviceId::new(0).unwrap();
const SELECT: &[u8] = b"\0\0\0\x0a\xff\xff\0\0\0\x01\0\0\0\x01";
const LINKTEST: &[u8] = b"\0\0\0\x0a\xff\xff\0\0\0\x05\0\0\0\x02";
const TEXT: usize = 64;
const SENT: StreamFunction = StreamFunction::new(6, 11);

/// Times that each call is made to be counted.
const TIMES: u32 = 1000;

/// Nanoseconds of a cycle of the board's clock, and so instructions.
const INSTRUCTIONS: u32 = 1_000_000_000 / 25_000_000;

#[entry]
fn main() -> ! {
    let Some(mut core) = cortex_m::Peripherals::take() else { console::fail("the processor was started twice") };
    let timer = &mut core.SYST;
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(0x00FF_FFFF);
    timer.clear_current();
    timer.enable_counter();
    defmt::info!("up");

    let empty = count(timer, |now| {
        core::hint::black_box(now);
    });
    let mut machine = selected();
    tell("linktest answered", count(timer, |now| linktest(&mut machine, now)), empty);
    let mut machine = selected();
    let message = primary(false);
    let received = |now| {
        receive(&mut machine, now, &message);
    };
    tell("message of 64 octets received", count(timer, received), empty);
    let mut machine = selected();
    tell("message of 64 octets sent", count(timer, |now| send(&mut machine, now)), empty);
    let mut machine = selected();
    let request = primary(true);
    let answered = |now| {
        if let Some(token) = receive(&mut machine, now, &request) {
            reply(&mut machine, now, &token);
        }
    };
    tell("request of 64 octets received and replied to", count(timer, answered), empty);

    let (mut machine, now) = (selected(), Instant::EPOCH);
    defmt::info!("figure stack, linktest answered: {=u32} octets", stack::depth(|| linktest(&mut machine, now)));
    defmt::info!(
        "figure stack, message received: {=u32} octets",
        stack::depth(|| _ = receive(&mut machine, now, &message))
    );
    defmt::info!("figure stack, message sent: {=u32} octets", stack::depth(|| send(&mut machine, now)));
    defmt::info!(
        "figure stack, connection opened and closed: {=u32} octets",
        stack::depth(|| close(&mut machine, now))
    );
    console::succeed()
}

/// A machine that is SELECTED.
fn selected() -> Machine {
    let mut machine = Machine::new(Config::equipment(DEVICE));
    let now = Instant::EPOCH;
    let _ = machine.enable(now);
    drain(&mut machine, now);
    let _ = machine.handle(now, Event::TransportOpen);
    drain(&mut machine, now);
    let _ = machine.receive(now, SELECT);
    drain(&mut machine, now);
    machine
}

/// Carries out what the machine wants, into nowhere.
#[inline]
fn drain(machine: &mut Machine, now: Instant) {
    while let Some(action) = machine.poll_action() {
        if let Action::Send(frame) = action {
            let octets = frame.encode();
            let octets: &[u8] = core::hint::black_box(&octets);
            let _ = machine.written(now, octets.len() as u64);
        }
    }
}

#[inline(never)]
fn linktest(machine: &mut Machine, now: Instant) {
    let _ = machine.receive(now, core::hint::black_box(LINKTEST));
    drain(machine, now);
}

#[inline(never)]
fn receive(machine: &mut Machine, now: Instant, message: &[u8]) -> Option<ReplyToken> {
    let (_, inbound) = machine.receive(now, core::hint::black_box(message)).ok()?;
    let token = inbound?.reply_token();
    drain(machine, now);
    token
}

#[inline(never)]
fn send(machine: &mut Machine, now: Instant) {
    if let Ok(prefix) = machine.begin_primary(now, DEVICE, SENT, false, TEXT as u32) {
        let _ = core::hint::black_box(prefix);
        let _ = machine.end_body(now);
        let _ = machine.written(now, (PREFIX_LEN + TEXT) as u64);
    }
}

#[inline(never)]
fn reply(machine: &mut Machine, now: Instant, token: &ReplyToken) {
    if let Ok(prefix) = machine.begin_reply(now, token, TEXT as u32) {
        let _ = core::hint::black_box(prefix);
        let _ = machine.end_body(now);
        let _ = machine.written(now, (PREFIX_LEN + TEXT) as u64);
    }
}

#[inline(never)]
fn close(machine: &mut Machine, now: Instant) {
    let _ = machine.handle(now, Event::TransportClosed);
    drain(machine, now);
    let _ = machine.handle(now, Event::TransportOpen);
    drain(machine, now);
}

/// S1F3 with a text of 64 octets.
fn primary(reply_expected: bool) -> [u8; PREFIX_LEN + TEXT] {
    let mut octets = [0; PREFIX_LEN + TEXT];
    let prefix = [0, 0, 0, (10 + TEXT) as u8, 0, 0, if reply_expected { 0x81 } else { 1 }, 3, 0, 0, 0, 0, 0, 3];
    octets.iter_mut().zip(prefix).for_each(|(place, octet)| *place = octet);
    octets
}

/// Cycles that the calls take together. The time goes on, as clocks do.
fn count(timer: &SYST, mut call: impl FnMut(Instant)) -> u32 {
    let _ = timer;
    let mut now = Instant::EPOCH;
    let before = SYST::get_current();
    for _ in 0..TIMES {
        now = now.saturating_add(core::time::Duration::from_millis(1));
        call(now);
    }
    // It counts down, and is long enough not to come round.
    before.wrapping_sub(SYST::get_current()) & 0x00FF_FFFF
}

fn tell(what: &str, cycles: u32, empty: u32) {
    let instructions = cycles.saturating_sub(empty).saturating_mul(INSTRUCTIONS) / TIMES;
    defmt::info!("figure instructions, {=str}: {=u32}", what, instructions);
}
