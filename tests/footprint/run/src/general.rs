//! The machine of HSMS-GS: the calls that it has beside those of HSMS-SS, and those that take another way.

use crate::machine::{NOW, TEXT, message};
use crate::meter::Meter;
use core::hint::black_box;
use hsms_core::config::{Config, DeviceId};
use hsms_core::connection::{Action, Admission, Connection, Event, General, SessionEntity, SessionsError};
use hsms_core::time::Instant;
use hsms_core::wire::{PREFIX_LEN, SelectStatus, SessionId, StreamFunction};
use static_cell::StaticCell;

type Machine = Connection<4, General<8>>;

/// Where a list stays. It is made there when the program runs.
static ENTITIES: StaticCell<Result<General<8>, SessionsError>> = StaticCell::new();

const DEVICE: DeviceId = DeviceId::new(1).unwrap();
const FIRST: SessionId = SessionId(1);
const LATE: Instant = Instant::from_millis(86_400_000 * 2);

fn drain(machine: &mut Machine) -> usize {
    let mut count = 0;
    while let Some(action) = machine.poll_action() {
        if let Action::Send(frame) = action {
            let _ = machine.written(NOW, frame.encode().len() as u64);
        }
        count += 1;
    }
    count
}

fn control(stype: u8, session: u8) -> [u8; PREFIX_LEN] {
    [0, 0, 0, 10, 0, session, 0, 0, 0, stype, 0, 0, 0, 2]
}

/// A list of eight session entities, all but the first of them shared.
fn list() -> [SessionEntity; 8] {
    core::array::from_fn(|index| {
        let entity = SessionEntity::offered(SessionId(index as u16 + 1));
        if index == 0 { entity } else { entity.with_admission(Admission::Ask) }
    })
}

fn entities() -> General<8> {
    General::new(&list()).unwrap_or_default()
}

fn connected(config: Config) -> Machine {
    let mut machine = Machine::general(config, entities());
    let _ = machine.enable(NOW);
    drain(&mut machine);
    let _ = machine.handle(NOW, Event::TransportOpen);
    drain(&mut machine);
    machine
}

fn selected() -> Machine {
    let mut machine = connected(Config::equipment(DEVICE));
    let _ = machine.receive(NOW, &control(1, 1));
    drain(&mut machine);
    machine
}

pub fn calls(meter: &mut Meter) {
    let list = list();
    let mut made = None;
    meter.call("General::new", || {
        made = ENTITIES.init_with(|| General::new(black_box(&list))).as_mut().ok();
        made.is_some()
    });
    let mut machine = connected(Config::equipment(DEVICE));
    meter.on(
        &mut machine,
        "receive, Select.req",
        |it| it.receive(NOW, &control(1, 1)).is_ok(),
        |it| drain(it) > 0 && it.is_selected(FIRST),
    );
    meter.on(
        &mut machine,
        "receive, Select.req that is asked about",
        |it| it.receive(NOW, &control(1, 2)).is_ok(),
        |it| drain(it) > 0,
    );
    meter.on(
        &mut machine,
        "answer_select",
        |it| it.answer_select(NOW, SessionId(2), SelectStatus::COMMUNICATION_ESTABLISHED).is_ok(),
        |it| drain(it) > 0,
    );
    meter.on(
        &mut machine,
        "receive, Select.req of an unknown session",
        |it| it.receive(NOW, &control(1, 77)).is_ok(),
        |it| drain(it) > 0,
    );
    meter.call("receive, a primary", || {
        machine.receive(NOW, &message(0x81, 3, 1, 9)).is_ok_and(|(_, inbound)| inbound.is_some())
    });
    drain(&mut machine);
    meter.call("begin_primary_in", || {
        machine.begin_primary_in(NOW, FIRST, StreamFunction::new(1, 3), true, TEXT as u32).is_ok()
    });
    let _ = machine.end_body(NOW);
    drain(&mut machine);
    meter.on(&mut machine, "deselect_session", |it| it.deselect_session(NOW, FIRST).is_ok(), |it| drain(it) > 0);
    let mut machine = selected();
    meter.on(&mut machine, "receive, Deselect.req", |it| it.receive(NOW, &control(3, 1)).is_ok(), |it| drain(it) > 0);
    meter.on(&mut machine, "select_session", |it| it.select_session(NOW, FIRST).is_ok(), |it| drain(it) > 0);
    meter.on(&mut machine, "handle, T6", |it| it.handle(LATE, Event::Timeout).is_ok(), |it| drain(it) > 0);
    let mut machine = selected();
    meter.call("set_busy", || machine.set_busy(FIRST, true).is_ok());
    meter.call("set_admission", || machine.set_admission(FIRST, Admission::Ask).is_ok());
    meter.on(&mut machine, "separate_session", |it| it.separate_session(NOW, FIRST).is_ok(), |it| drain(it) > 0);
    let mut machine = selected();
    meter.on(&mut machine, "receive, Separate.req", |it| it.receive(NOW, &control(9, 1)).is_ok(), |it| drain(it) > 0);
    let mut machine = selected();
    meter.on(&mut machine, "receive, unknown SType", |it| it.receive(NOW, &control(77, 1)).is_ok(), |it| drain(it) > 0);
    meter.on(&mut machine, "disable", |it| it.disable(NOW).is_ok(), |it| drain(it) > 0);
    let mut machine = selected();
    meter.on(
        &mut machine,
        "handle, TransportClosed",
        |it| it.handle(NOW, Event::TransportClosed).is_ok(),
        |it| drain(it) > 0,
    );
}
