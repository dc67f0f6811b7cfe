//! Session ids of data (E37.1 7.2, 8.1).

use super::stream9::expect_error;
use crate::conformance::{Applies, Bench, Command, DATA, DEVICE, Frame, Outcome, Report, Rule, S1F1, primary};
use hsms_core::Config;
use hsms_core::config::{ConfigError, DeviceId, DeviceIds, Entity};
use hsms_core::connection::{Class, Leniency, Stray};
use hsms_core::wire::{Header, SessionId, StreamFunction};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37.1-8.1/range",
        duty: "The ends of the range, device ids 0 and 32767, are served like any other where the settings have them; their \
               neighbours are not.",
        applies: Applies::SS,
        place: "hsms-core/src/config/device.rs: contains",
        test: several,
    },
    Rule {
        id: "E37-9.4.1/device",
        duty: "A reply with the session id of another device than the open primary's is not its reply; the transaction stays open.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/transaction.rs: is_answered_by",
        test: reply_of_another,
    },
    Rule {
        id: "E37.1-8.1/bit-15",
        duty: "Data whose session id has bit 15 set is delivered with that bit cleared, and the leniency is told; the reply goes out \
               with it clear.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/input.rs: judge_by_table",
        test: bit_15,
    },
    Rule {
        id: "E37.1-8.1/bit-15/cut",
        duty: "Bit 15 is cleared in every part of a message that comes in parts.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/input.rs: judge_further",
        test: bit_15_cut,
    },
    Rule {
        id: "E37.1-8.1/bit-15/reply",
        duty: "A reply whose session id has bit 15 set ends its transaction, and the leniency is told.",
        applies: Applies::SS.lenient(),
        place: "hsms-core/src/connection/input.rs: judge_by_table",
        test: bit_15_reply,
    },
    Rule {
        id: "E37.1-8.1/bit-15/strict",
        duty: "Data whose session id has bit 15 set is for an unknown device id: a reply with it leaves its transaction open.",
        applies: Applies::SS.strict(),
        place: "hsms-core/src/connection/input.rs: judge_by_table",
        test: bit_15_strict,
    },
    Rule {
        id: "E37.1-8.1/FFFF",
        duty: "Data with the session id of control messages, FFFF, is for an unknown device id, also where 32767 is served.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/input.rs: judge_by_table",
        test: control_session,
    },
];

/// A device id beside the usual one.
pub(super) const OTHER: DeviceId = DeviceId::new(2).unwrap();

/// Settings with both.
pub(super) fn two(config: Config) -> Result<Config, ConfigError> {
    Ok(config.with_device_ids(DeviceIds::list(&[DEVICE, OTHER])?))
}

/// Settings with the device ids at both ends of the range beside the usual one.
fn extreme(config: Config) -> Result<Config, ConfigError> {
    let least = DeviceId::new(0).unwrap_or(DEVICE);
    Ok(config.with_device_ids(DeviceIds::list(&[DEVICE, least, DeviceId::MAX])?))
}

/// Data for an unknown device id: equipment sends S9F1 with `device`, a host nothing; nobody delivers it.
fn unknown(bench: &mut dyn Bench, header: Header, device: SessionId) -> Outcome {
    bench.send(header)?;
    if bench.about().setup.entity == Entity::Equipment {
        expect_error(bench, device, 1, header)?;
    }
    bench.told(&[Report::Other(header, Class::Stray(Stray::UnknownDevice))])?;
    bench.stays_selected()
}

fn several(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(extreme)?;
    bench.selected()?;
    for id in [0, 1, 0x7FFF].map(SessionId) {
        let header = primary(S1F1).with_session(id);
        bench.send(header)?;
        bench.told(&[Report::Primary(Frame::new(header, &[]))])?;
    }
    for id in [2, 0x7FFE, 0x4000].map(SessionId) {
        unknown(bench, primary(S1F1).with_session(id), DATA)?;
    }
    Ok(())
}

fn reply_of_another(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(two)?;
    bench.selected()?;
    let request = bench.request(S1F1, &[])?;
    let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
    let wrong = reply.with_session(OTHER.session());
    bench.send(wrong)?;
    bench.told(&[Report::Other(wrong, Class::Stray(Stray::Mismatched))])?;
    bench.send(reply)?;
    bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    bench.stays_selected()
}

/// The usual session id with bit 15.
const MARKED: SessionId = SessionId(0x8001);

fn bit_15(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for text in [&[][..], &[0x21, 1, 7]] {
        bench.send_text(primary(S1F1).with_session(MARKED), text)?;
        let leniency = Report::Lenient(Leniency::DirectionBit(MARKED));
        bench.told(&[leniency, Report::Primary(Frame::new(primary(S1F1), text))])?;
        bench.does(Command::Reply(vec![1, 0]))?;
        bench.expect_text(Header::data(primary(S1F1).system, StreamFunction::new(1, 2), false, DATA), &[1, 0])?;
    }
    bench.stays_selected()
}

fn bit_15_cut(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let whole = crate::conformance::encode(&primary(S1F1).with_session(MARKED), &[0x21, 3, 7, 8, 9]);
    for octet in whole.chunks(1) {
        bench.send_octets(octet)?;
    }
    let delivered = Report::Primary(Frame::new(primary(S1F1), &[0x21, 3, 7, 8, 9]));
    bench.told(&[Report::Lenient(Leniency::DirectionBit(MARKED)), delivered])?;
    bench.stays_selected()
}

fn bit_15_reply(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for function in [2, 0] {
        let request = bench.request(S1F1, &[])?;
        let reply = Header::data(request.system, StreamFunction::new(1, function), false, DATA);
        bench.send(reply.with_session(MARKED))?;
        let leniency = Report::Lenient(Leniency::DirectionBit(MARKED));
        bench.told(&[leniency, Report::Reply(Frame::new(reply, &[]))])?;
    }
    bench.stays_selected()
}

fn bit_15_strict(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    unknown(bench, primary(S1F1).with_session(MARKED), DATA)?;
    let request = bench.request(S1F1, &[])?;
    let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
    unknown(bench, reply.with_session(MARKED), DATA)?;
    bench.send(reply)?;
    bench.told(&[Report::Reply(Frame::new(reply, &[]))])
}

fn control_session(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(extreme)?;
    bench.selected()?;
    // An error message is sent for the device that the fifteen bits name where that is served.
    unknown(bench, primary(S1F1).with_session(SessionId::CONTROL), DeviceId::MAX.session())
}
