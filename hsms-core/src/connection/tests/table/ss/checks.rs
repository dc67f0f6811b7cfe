//! That the sheets say what the machine does.

use super::*;
use crate::config::{Config, ConnectMode, Profile};
use crate::connection::{Connection, Outcome as Told, apply};

/// What tells a message apart, read off the message itself: the cause and its point.
fn classify(at: Situation, message: &Received, length: Option<u32>) -> (&'static str, Vec<(&'static Axis, usize)>) {
    let mut point: Vec<(&'static Axis, usize)> = Vec::from([
        (&ENTITY, usize::from(!at.equipment)),
        (&DEVICE, usize::from(!message.known_device)),
        (&BIT_15, usize::from(message.direction_bit)),
        (&SESSION, usize::from(message.session != SessionId::CONTROL)),
        (&MATCH, MATCHES.iter().position(|matched| *matched == message.matched).expect("listed")),
        (&TEXT, usize::from(message.body_len > 0) + usize::from(message.body_len > 64)),
    ]);
    if let Some(length) = length {
        point.push((&LENGTH, usize::from(length > SKIP_LIMIT)));
    }
    let cause = match message.kind {
        Ok(Kind::Data { stream_function, .. }) => {
            let (nine, abort) = (stream_function.stream == 9, stream_function.is_abort());
            point.extend([(&STREAM, usize::from(nine)), (&ABOUT, usize::from(nine || abort))]);
            match stream_function.is_primary() {
                _ if length.is_some() => "too long: data",
                true => "data: primary",
                false if abort => "data: abort (F0)",
                false => "data: reply",
            }
        }
        _ if length.is_some() => "too long: other",
        Ok(Kind::SelectRsp(SelectStatus(status)) | Kind::DeselectRsp(crate::wire::DeselectStatus(status))) => {
            point.push((&STATUS, usize::from(status.min(2))));
            if matches!(message.kind, Ok(Kind::SelectRsp(_))) { "Select.rsp" } else { "Deselect.rsp" }
        }
        Ok(Kind::SelectReq) => "Select.req",
        Ok(Kind::DeselectReq) => "Deselect.req",
        Ok(Kind::LinktestReq) => "Linktest.req",
        Ok(Kind::LinktestRsp) => "Linktest.rsp",
        Ok(Kind::RejectReq { .. }) => "Reject.req",
        Ok(Kind::SeparateReq) => "Separate.req",
        Err(RejectReason::PTYPE_NOT_SUPPORTED) => "unknown PType",
        Err(_) => "unknown SType",
    };
    (cause, point)
}

/// Real messages, of more values than the examples have: what the sheets do not tell apart must not make a difference.
fn real_messages() -> Vec<Received> {
    let mut all = Vec::new();
    let mut add = |octets: (u8, u8, u8, u8), shapes: &[(u16, u32)]| {
        let (ptype, stype, byte2, byte3) = octets;
        for (session, body_len) in shapes {
            let session = SessionId(*session);
            let header =
                Header { session, byte2, byte3, ptype: PType(ptype), stype: SType(stype), system: SystemBytes(7) };
            for matched in MATCHES {
                for (known_device, direction_bit) in [(true, false), (true, true), (false, false), (false, true)] {
                    all.push(message(&header, *body_len, matched, known_device, direction_bit));
                }
            }
        }
    };
    let shapes = [(0xFFFF, 0), (1, 0), (0x8001, 1), (0xFFFF, 64), (0, 65), (0xFFFF, 4_000_000)];
    for byte3 in [0, 1, 2, 3, 4, 5, 8, 9, 127, 128, 200, 254, 255] {
        for byte2 in [0, 1, 8, 9, 10, 127, 0x80, 0x81, 0x89, 255] {
            add((0, 0, byte2, byte3), &shapes);
        }
        for (stype, byte2) in (1..=10).flat_map(|stype| [(stype, 0), (stype, 9)]) {
            add((0, stype, byte2, byte3), &shapes);
        }
    }
    for stype in 11..=255 {
        add((0, stype, 0, 0), &shapes[..3]);
    }
    for (ptype, stype) in (1..=255).map(|ptype| (ptype, ptype % 12)) {
        add((ptype, stype, 9, 1), &shapes[..3]);
    }
    all
}

#[test]
fn every_message_has_its_row_and_the_row_says_what_is_done() {
    let messages = real_messages();
    let roles = [Role::Active, Role::Passive, Role::SecondCaller];
    let (mut asked, mut left_out) = (0u32, 0u32);
    for (role, sheet) in roles.into_iter().zip(sheets()) {
        for (part, state, strict) in sheet.parts[1..].iter().flat_map(|part| {
            let strict = !part.profiles.0;
            [State::NotSelected, State::Selected].map(|state| (part, state, strict))
        }) {
            let block = part.blocks.iter().find(|block| block.state == state.to_string()).expect("both are there");
            let rows: Vec<_> = block.causes.iter().map(|cause| (cause, cause.rows())).collect();
            for equipment in [true, false] {
                let at = role.situation(state, strict, equipment);
                for message in &messages {
                    let lengths = [MAX_MESSAGE + 1, SKIP_LIMIT, SKIP_LIMIT + 1, u32::MAX].map(Some);
                    for length in [None].into_iter().chain(lengths.into_iter().filter(|_| message.body_len == 0)) {
                        let (name, values) = classify(at, message, length);
                        if never(role, at, name, message.matched, message.known_device, message.direction_bit).is_some()
                        {
                            left_out += 1;
                            continue;
                        }
                        asked += 1;
                        let (cause, rows) = rows.iter().find(|(cause, _)| cause.name == name).expect("listed");
                        let value = |axis: &&'static Axis| values.iter().find(|(own, _)| core::ptr::eq(*own, *axis));
                        let point: Vec<_> =
                            cause.axes.iter().map(|axis| value(axis).map_or(0, |(_, at)| *at)).collect();
                        let covering: Vec<_> = rows.iter().filter(|row| row.covers(&point)).collect();
                        let [row] = covering.as_slice() else { panic!("{} rows: {at:?} {message:?}", covering.len()) };
                        assert_eq!(row.outcome, ask(at, message, length), "{at:?} {message:?} {length:?}");
                    }
                }
            }
        }
    }
    std::println!("{asked} messages, and {left_out} that are never received");
    assert!(asked > 0 && left_out > 0);
}

/// A machine that is in this situation, and a message to it that `point` stands for; `None` where the combination needs more
/// than a few calls to come about.
fn stage(role: Role, at: Situation, cause: &str, point: Point<'_>) -> Option<(Machine, Header, u32)> {
    let selected = at.state == State::Selected;
    let place = if selected { Place::Selected } else { Place::NotSelected };
    let mut machine = Machine::new(role, place, entity(point), false);
    machine.connection.config.profile = if at.strict { Profile::Strict } else { Profile::Lenient };
    let example = example(cause, point);
    let (byte2, byte3) = match example.kind {
        Ok(Kind::Data { stream_function, reply_expected }) => {
            (stream_function.stream | if reply_expected { 0x80 } else { 0 }, stream_function.function)
        }
        Ok(Kind::SelectRsp(status)) => (0, status.0),
        Ok(Kind::DeselectRsp(status)) => (0, status.0),
        Ok(Kind::RejectReq { reason, .. }) => (0, reason.0),
        _ => (0, 0),
    };
    let mut header = Header {
        session: example.session,
        byte2,
        byte3,
        ptype: example.ptype,
        stype: example.stype,
        system: SystemBytes(0xDEAD),
    };
    let data = header.stype == SType::DATA && header.ptype == PType::SECS_II;
    if data && !example.known_device {
        header.session = SessionId(2);
    }
    // The primary whose reply this would be.
    let asked = StreamFunction::new(if data { header.stream() } else { 1 }, 1);
    match example.matched {
        Matched::Nothing => {}
        Matched::Ended if selected && header.stream() < 128 => {
            header.system = machine.connection.next_system_bytes();
            machine.begin_primary(asked);
            machine.connection.forget(header.system).expect("open");
        }
        Matched::Control(ControlRequest::Select) if role.active() && selected => {
            header.system = machine.select_both_ways(entity(point));
        }
        Matched::Control(ControlRequest::Select) if role.active() => header.system = SystemBytes(machine.select()),
        Matched::Control(ControlRequest::Linktest) if selected => {
            header.system = machine.connection.next_system_bytes();
            machine.tell(Input::Linktest).expect("SELECTED");
        }
        // A reply has the primary's session id, which is always ours.
        Matched::Reply | Matched::Primary if data && !example.known_device => return None,
        Matched::Reply if selected && data && !header.stream_function().is_primary() => {
            header.system = machine.connection.next_system_bytes();
            machine.begin_primary(asked);
        }
        Matched::Primary if selected => {
            header.system = machine.connection.next_system_bytes();
            machine.begin_primary(if data { StreamFunction::new(2, 1) } else { asked });
        }
        _ => return None,
    }
    if header.stype == SType::REJECT_REQ {
        header.byte2 = match example.matched {
            Matched::Control(ControlRequest::Select) => SType::SELECT_REQ.0,
            Matched::Control(ControlRequest::Linktest) => SType::LINKTEST_REQ.0,
            _ => SType::DATA.0,
        };
    }
    let config = machine.connection.config();
    let body_len = match length(cause, point) {
        None => example.body_len,
        Some(SKIP_LIMIT) => config.max_message() - 9,
        Some(_) => config.skip_limit() - 9,
    };
    Some((machine, header, body_len))
}

#[test]
fn messages_do_to_a_machine_what_their_rows_say() {
    let (mut sent, mut left_out) = (0, 0);
    for (role, sheet) in [Role::Active, Role::Passive, Role::SecondCaller].into_iter().zip(sheets()) {
        for (part, state) in
            sheet.parts[1..].iter().flat_map(|part| [State::NotSelected, State::Selected].map(|state| (part, state)))
        {
            let block = part.blocks.iter().find(|block| block.state == state.to_string()).expect("both are there");
            for cause in &block.causes {
                for (at, cell) in cause.points() {
                    let Cell::Outcome(outcome) = cell else { continue };
                    let point = Point { axes: &cause.axes, at: &at };
                    let situation = role.situation(state, !part.profiles.0, point.get(&ENTITY) == 0);
                    let Some((mut machine, header, body_len)) = stage(role, situation, cause.name, point) else {
                        left_out += 1;
                        continue;
                    };
                    let here = format!("{role:?} {situation:?} {header:?} {body_len} {at:?}: {outcome:?}");
                    let before = machine.connection.place();
                    let class = machine.announce(&header, body_len);
                    let class =
                        if matches!(class, Class::Rejected(_)) { "Rejected".into() } else { format!("{class:?}") };
                    assert_eq!(outcome.class, class, "{here}");
                    let after = machine.connection.place();
                    assert_eq!(outcome.next, if after == before { "" } else { name(after) }, "{here}");
                    let drained = machine.drain(after);
                    assert_eq!((&drained.answer, &drained.close), (&outcome.answer, &outcome.close), "{here}");
                    assert_eq!(drained.leniency, outcome.leniency, "{here}");
                    sent += 1;
                }
            }
        }
    }
    std::println!("{sent} cells, and {left_out} that take more than a few calls");
    assert!(sent > left_out);
}

#[test]
fn calls_and_events_do_to_a_machine_what_their_rows_say() {
    let mut told = 0;
    for (role, sheet) in [Role::Active, Role::Passive, Role::SecondCaller].into_iter().zip(sheets()) {
        for (block, place) in sheet.parts[0].blocks.iter().zip(PLACES) {
            for (cause, (_, input, _)) in block.causes.iter().zip(&CALLS) {
                for (point, cell) in cause.points() {
                    let Cell::Outcome(outcome) = cell else { continue };
                    let mut machine = Machine::new(role, place, Entity::Host, point[0] == 0);
                    if matches!(input, Input::AbortBody) && place == Place::Selected {
                        let device = DeviceId::new(1).expect("15 bits");
                        let primary = StreamFunction::new(1, 1);
                        machine.connection.begin_primary(machine.now, device, primary, false, 1).expect("SELECTED");
                    } else if matches!(input, Input::AbortBody) && place == Place::NotSelected {
                        // Only behind a Deselect.req, which the machine above has not been through.
                        continue;
                    }
                    let here = format!("{role:?}, {place:?}, {}", cause.name);
                    let refused = apply(&mut machine.connection, machine.now, input.clone());
                    let refused = matches!(refused, Told::Refused(_));
                    assert_eq!(outcome.class.starts_with("refused: "), refused, "{here}");
                    let after = name(machine.connection.place());
                    assert_eq!(if outcome.next.is_empty() { name(place) } else { &outcome.next }, after, "{here}");
                    let drained = machine.drain(machine.connection.place());
                    assert_eq!((&drained.answer, &drained.close), (&outcome.answer, &outcome.close), "{here}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 0);
}

#[test]
fn every_threshold_is_one_of_the_two_rows() {
    for (missed, threshold) in (0..=255).flat_map(|missed| (0..=255).map(move |threshold| (missed, threshold))) {
        assert_eq!(transition::linktest_missed(missed, threshold), linktest_missed(missed >= threshold));
    }
}

/// What the sheets give as reasons for not asking: a linktest and a transaction do not outlive a Deselect.req.
#[test]
fn nothing_of_ours_outlives_selected() {
    let mut machine = Machine::new(Role::Passive, Place::Selected, Entity::Host, false);
    let linktest = machine.connection.next_system_bytes();
    machine.tell(Input::Linktest).expect("SELECTED");
    let primary = machine.connection.next_system_bytes();
    machine.begin_primary(StreamFunction::new(1, 1));
    let deselected = machine.receive(&Header::deselect_req(SystemBytes(0xF1)));
    assert_eq!(deselected.next, "NOT SELECTED");
    assert_eq!(machine.connection.open_transactions(), 0);
    assert_eq!(machine.receive(&Header::linktest_rsp(linktest)).answer, "Reject.req 3");
    for system in [linktest, primary] {
        let stype = if system == linktest { SType::LINKTEST_REQ } else { SType::DATA };
        let reject = machine.receive(&Header::reject_req(system, stype.0, RejectReason::STYPE_NOT_SUPPORTED));
        assert_eq!(reject.report, "told: RejectReceived");
    }
}

#[test]
fn a_connection_that_refuses_a_caller_is_passive() {
    let device = DeviceId::new(1).expect("15 bits");
    let config = Config::host(device).with_mode(ConnectMode::Active);
    assert_eq!(Connection::<0>::refusing(config).config().mode(), ConnectMode::Passive);
}
