//! Instructions of what happens most often, counted by SysTick.

use crate::machine::{DEVICE, Machine, S6F11, TEXT, control, drain, message, selected};
use crate::meter::Meter;
use core::hint::black_box;
use core::time::Duration;
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use hsms_core::connection::ReplyToken;
use hsms_core::time::Instant;
use hsms_core::wire::PREFIX_LEN;

/// Times that each call is made to be counted.
const TIMES: u32 = 1000;

/// Nanoseconds of a cycle of the boards' clock, and so instructions.
const INSTRUCTIONS: u32 = 1_000_000_000 / 25_000_000;

/// What SysTick counts down from.
const RELOAD: u32 = 0x00FF_FFFF;

pub fn count(meter: &mut Meter) {
    let Some(mut core) = cortex_m::Peripherals::take() else { meter.fail("the processor's timer") };
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(RELOAD);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    let empty = cycles(&mut |now| {
        black_box(now);
        true
    });
    let mut tell = |what, call: &mut dyn FnMut(Instant) -> bool| match (cycles(call), empty) {
        (Some(cycles), Some(empty)) => {
            meter.instructions(cycles.saturating_sub(empty).saturating_mul(INSTRUCTIONS) / TIMES, what);
        }
        // A call that failed once has been cheaper than it is.
        _ => meter.fail(what),
    };
    let mut machine = selected();
    tell("linktest_answered", &mut |now| linktest(&mut machine, now));
    let (mut machine, octets) = (selected(), message(6, 11, 0, 9));
    tell("message_received", &mut |now| receive(&mut machine, now, &octets).is_some());
    let mut machine = selected();
    tell("message_sent", &mut |now| send(&mut machine, now));
    let (mut machine, octets) = (selected(), message(0x81, 3, 0, 9));
    tell("request_replied_to", &mut |now| {
        let token = receive(&mut machine, now, &octets).flatten();
        token.is_some_and(|token| reply(&mut machine, now, &token))
    });
}

#[inline(never)]
fn linktest(machine: &mut Machine, now: Instant) -> bool {
    machine.receive(now, black_box(&control(5))).is_ok() && drain(machine, now).frames == 1
}

/// Gives the token where the message came whole.
#[inline(never)]
fn receive(machine: &mut Machine, now: Instant, octets: &[u8]) -> Option<Option<ReplyToken>> {
    let (taken, inbound) = machine.receive(now, black_box(octets)).ok()?;
    let inbound = inbound.filter(|inbound| taken == octets.len() && inbound.is_for_application())?;
    let token = inbound.reply_token();
    drain(machine, now);
    Some(token)
}

#[inline(never)]
fn send(machine: &mut Machine, now: Instant) -> bool {
    let begun = machine.begin_primary(now, DEVICE, S6F11, false, TEXT as u32);
    black_box(&begun).is_ok() && end(machine, now)
}

#[inline(never)]
fn reply(machine: &mut Machine, now: Instant, token: &ReplyToken) -> bool {
    let begun = machine.begin_reply(now, token, TEXT as u32);
    black_box(&begun).is_ok() && end(machine, now)
}

fn end(machine: &mut Machine, now: Instant) -> bool {
    machine.end_body(now).is_ok() && machine.written(now, (PREFIX_LEN + TEXT) as u64).is_ok()
}

/// Cycles that the calls take together, unless one of them fails. The time goes on, as clocks do.
fn cycles(call: &mut dyn FnMut(Instant) -> bool) -> Option<u32> {
    let (mut now, mut done) = (Instant::EPOCH, true);
    let before = SYST::get_current();
    for _ in 0..TIMES {
        now = now.saturating_add(Duration::from_millis(1));
        done &= call(now);
    }
    // It counts down, and is long enough not to come round.
    let cycles = before.wrapping_sub(SYST::get_current()) & RELOAD;
    done.then_some(cycles)
}
