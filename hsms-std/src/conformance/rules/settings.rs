//! Settings and what has to be documented of them (E37 6.3.1, 10, 10.1; E37.1 10.1).

use crate::conformance::{
    Applies, Bench, Command, Frame, Line, Outcome, Report, Rule, S1F1, TESTER, Timer, require, set,
};
use hsms_core::config::{DeviceId, DeviceIds, Entity, MAX_DEVICE_IDS};
use hsms_core::connection::{CloseReason, ControlRequest, TransactionEnd};
use hsms_core::wire::{Header, StreamFunction};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-10.1/T3",
        duty: "T3 can be set to every whole second from 1 to 120 s, and the transaction ends after just that.",
        applies: Applies::ALL,
        place: "hsms-core/src/config.rs: with_t3",
        test: t3,
    },
    Rule {
        id: "E37-10.1/T5",
        duty: "T5 can be set to every whole second from 1 to 240 s, and the next attempt to connect follows after just that.",
        applies: Applies::SS.active(),
        place: "hsms-core/src/config.rs: with_t5",
        test: t5,
    },
    Rule {
        id: "E37-10.1/T6",
        duty: "T6 can be set to every whole second from 1 to 240 s, and the control transaction fails after just that.",
        applies: Applies::ALL,
        place: "hsms-core/src/config.rs: with_t6",
        test: t6,
    },
    Rule {
        id: "E37-10.1/T7",
        duty: "T7 can be set to every whole second from 1 to 240 s, and NOT SELECTED ends after just that.",
        applies: Applies::ALL.passive(),
        place: "hsms-core/src/config.rs: with_t7",
        test: t7,
    },
    Rule {
        id: "E37-10.1/T8",
        duty: "T8 can be set to every whole second from 1 to 120 s, and a message that stops in the middle ends the connection after \
               just that.",
        applies: Applies::ALL,
        place: "hsms-core/src/config.rs: with_t8",
        test: t8,
    },
    Rule {
        id: "E37-6.3.1/entity",
        duty: "Who dials has nothing to do with who is host and who is equipment: either of them is selected in either role.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/mod.rs: is_active",
        test: entity,
    },
    Rule {
        id: "E37-10/transactions",
        duty: "64 primaries can be open at once, as documented; a further one is refused and not sent until one of them has ended.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: begin_data",
        test: transactions,
    },
    Rule {
        id: "E37.1-10.1/devices",
        duty: "One Select makes every device id of the settings available, of which there can be up to eight.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/input.rs: knows",
        test: devices,
    },
];

/// Every whole second up to the greatest that must be offered; where time is real the shortest alone.
fn seconds(bench: &dyn Bench, most: u64) -> impl Iterator<Item = Duration> + use<> {
    (1..=if bench.about().virtual_time { most } else { 1 }).map(Duration::from_secs)
}

fn t3(bench: &mut dyn Bench) -> Outcome {
    for span in seconds(bench, 120) {
        // A host sends nothing about it.
        bench.begin_with(|config| set(config.with_entity(Entity::Host), Timer::T3, span))?;
        bench.selected()?;
        let since = bench.now();
        let request = bench.request(S1F1, &[])?;
        bench.told_at(since, span, &Report::Ended(request.system, TransactionEnd::T3))?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn t5(bench: &mut dyn Bench) -> Outcome {
    for span in seconds(bench, 240) {
        bench.begin_with(|config| set(config, Timer::T5, span))?;
        bench.not_selected()?;
        let since = bench.now();
        bench.shut(Line::First);
        bench.dials_at(since, span)?;
        let frame = bench.frame()?;
        bench.is(&frame, &Frame::new(Header::select_req(frame.header.system), &[]))?;
    }
    Ok(())
}

fn t6(bench: &mut dyn Bench) -> Outcome {
    for span in seconds(bench, 240) {
        bench.begin_with(|config| set(config, Timer::T6, span))?;
        bench.selected()?;
        let since = bench.now();
        bench.does(Command::Linktest)?;
        let frame = bench.frame()?;
        bench.is(&frame, &Frame::new(Header::linktest_req(frame.header.system), &[]))?;
        bench.closed_at(since, span)?;
        bench.told_some(&Report::Closed(CloseReason::T6(ControlRequest::Linktest)))?;
    }
    Ok(())
}

fn t7(bench: &mut dyn Bench) -> Outcome {
    for span in seconds(bench, 240) {
        bench.begin_with(|config| set(config, Timer::T7, span))?;
        let since = bench.connect()?;
        bench.closed_at(since, span)?;
        bench.told(&[Report::Closed(CloseReason::T7)])?;
    }
    Ok(())
}

fn t8(bench: &mut dyn Bench) -> Outcome {
    for span in seconds(bench, 120) {
        bench.begin_with(|config| set(config, Timer::T8, span))?;
        bench.selected()?;
        let since = bench.now();
        bench.send_octets(&[0])?;
        bench.closed_at(since, span)?;
        bench.told(&[Report::Closed(CloseReason::T8 { received: 1 })])?;
    }
    Ok(())
}

fn entity(bench: &mut dyn Bench) -> Outcome {
    for entity in [Entity::Host, Entity::Equipment] {
        bench.begin_with(|config| Ok(config.with_entity(entity)))?;
        let select = bench.not_selected()?;
        bench.stays_not_selected(select)?;
        bench.stays_selected()?;
        bench.told(&[])?;
    }
    Ok(())
}

/// What the documentation says.
const TRANSACTIONS: usize = 64;

fn transactions(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let mut last = bench.request(S1F1, &[])?;
    for _ in 1..TRANSACTIONS {
        last = bench.request(S1F1, &[])?;
    }
    bench.refuses(Command::Request(S1F1, Vec::new()))?;
    bench.stays_selected()?;
    bench.told(&[])?;
    let reply = Header { byte2: last.byte2 & 0x7F, byte3: last.byte3.wrapping_add(1), ..last };
    bench.send(reply)?;
    bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    let further = bench.request(S1F1, &[])?;
    require(further.system != last.system, || "system bytes were used again at once".into())
}

fn devices(bench: &mut dyn Bench) -> Outcome {
    // That of the bench is among them.
    let values = [1, 0, 2, 0x00FF, 0x0100, 0x1234, 0x4000, DeviceId::MAX.get()];
    let devices: Vec<DeviceId> = values.into_iter().filter_map(DeviceId::new).collect();
    require(devices.len() == MAX_DEVICE_IDS, || "there can be another number of device ids".into())?;
    bench.begin_with(|config| Ok(config.with_device_ids(DeviceIds::list(&devices)?)))?;
    bench.selected()?;
    for device in devices {
        let header = Header::data(TESTER, StreamFunction::new(6, 11), false, device.session());
        bench.send_text(header, &[0x01, 0x00])?;
        bench.told(&[Report::Primary(Frame::new(header, &[0x01, 0x00]))])?;
    }
    bench.stays_selected()
}
