//! That the sheet says what the machine does.

use super::machine::{Machine, Make, OTHER, Stage};
use super::*;
use crate::connection::GeneralInput;
use crate::connection::Input;
use crate::connection::tests::table::ss::{CALLS, PLACES, course};
use crate::connection::transition::happened;

/// A machine for which `case` is so, and the message.
fn stage(case: &Case, active: bool, strict: bool) -> (Machine, Header, u32) {
    let Session { offered, selected, busy, asked, requested, admission } = case.session;
    let own = match case.matched {
        Matched::Control(request @ (ControlRequest::Select | ControlRequest::Deselect)) => Some(request),
        _ => requested,
    };
    let make = Make { strict, equipment: case.equipment, offered, ..Make::of(active) };
    let (mut machine, request) =
        Machine::staged(make, Stage { selected, others: case.others, own, moot: case.moot, asked });
    let session = if selected { SESSION } else { OTHER };
    let stream = case.header.stream();
    let system = match case.matched {
        Matched::Nothing => SystemBytes(0xDEAD),
        Matched::Control(ControlRequest::Linktest) => machine.request(GeneralInput::Common(Input::Linktest)),
        Matched::Control(_) => request,
        Matched::Reply => machine.begin_primary(SESSION, stream),
        // Of another stream, or of another session.
        Matched::Primary if case.data && selected => machine.begin_primary(SESSION, 3),
        Matched::Primary if case.data => machine.begin_primary(OTHER, stream),
        Matched::Primary => machine.begin_primary(session, 1),
        Matched::Ended => {
            let system = machine.request(GeneralInput::Common(Input::Linktest));
            machine.receive(&Header::linktest_rsp(system));
            system
        }
    };
    machine.admit(admission);
    machine.connection.set_busy(SESSION, busy).expect("listed");
    let mut header = Header { system, ..case.header };
    if header.stype == SType::REJECT_REQ {
        header.byte2 = match (case.matched, own) {
            (Matched::Control(ControlRequest::Linktest), _) => SType::LINKTEST_REQ.0,
            (Matched::Control(_), Some(ControlRequest::Select)) => SType::SELECT_REQ.0,
            (Matched::Control(_), _) => SType::DESELECT_REQ.0,
            _ => SType::DATA.0,
        };
    }
    let config = machine.connection.config();
    let body_len = match case.length {
        None => case.body_len,
        Some(SKIP_LIMIT) => config.max_message() - 9,
        Some(_) => config.skip_limit() - 9,
    };
    (machine, header, body_len)
}

#[test]
fn messages_do_to_a_machine_with_sessions_what_their_rows_say() {
    let mut sent = 0;
    for (active, sheet) in [(true, of(true)), (false, of(false))] {
        for part in &sheet.parts[1..] {
            for (block, state) in part.blocks.iter().zip([State::NotSelected, State::Selected]) {
                for cause in &block.causes {
                    for (at, cell) in cause.points() {
                        let Cell::Outcome(outcome) = cell else { continue };
                        let point = Point { axes: &cause.axes, at: &at };
                        if cause.axes.iter().any(|axis| core::ptr::eq(*axis, &DIALLED)) {
                            continue;
                        }
                        let case = Case::new(cause.name, point, state);
                        let strict = !part.profiles.0;
                        let (mut machine, header, body_len) = stage(&case, active, strict);
                        let seen = machine.announce(&header, body_len);
                        let here = format!("active: {active}, strict: {strict}, {case:?}");
                        assert_eq!(seen, *outcome, "{here}");
                        sent += 1;
                    }
                }
            }
        }
    }
    std::println!("{sent} messages");
    assert!(sent > 0);
}

/// What the rows do not mention makes no difference.
#[test]
fn rows_hold_for_all_sessions_and_messages_that_they_cover() {
    let mut asked = 0u32;
    let flags = |number: u32, bit: u32| number & (1 << bit) != 0;
    let sheet = sheet();
    for part in &sheet.parts[1..] {
        for (block, state) in part.blocks.iter().zip([State::NotSelected, State::Selected]) {
            for cause in &block.causes {
                if cause.axes.iter().any(|axis| core::ptr::eq(*axis, &DIALLED)) {
                    continue;
                }
                let rows = cause.rows();
                for (at, cell) in cause.points() {
                    let Cell::Outcome(_) = cell else { continue };
                    let case = Case::new(cause.name, Point { axes: &cause.axes, at: &at }, state);
                    let row = rows.iter().find(|row| row.covers(&at)).expect("one");
                    let has = |axis: &'static Axis| cause.axes.iter().any(|own| core::ptr::eq(*own, axis));
                    // All that the cause has no axis for, in all combinations.
                    for number in 0..1 << 8 {
                        let mut other = case;
                        let session = &mut other.session;
                        if !has(&OFFERED) {
                            session.offered = flags(number, 0);
                        }
                        if !has(&BUSY) {
                            session.busy = flags(number, 1);
                        }
                        if !has(&ADMISSION) {
                            session.admission =
                                if flags(number, 2) { Admission::Ask } else { Admission::Refuse(REFUSAL) };
                        }
                        if !has(&OWN)
                            && !matches!(
                                other.matched,
                                Matched::Control(ControlRequest::Select | ControlRequest::Deselect)
                            )
                        {
                            let open = if session.selected { ControlRequest::Deselect } else { ControlRequest::Select };
                            session.requested = flags(number, 3).then_some(open);
                        }
                        if !has(&ENTITY) {
                            other.equipment = flags(number, 4);
                        }
                        // Linktest.req and what is rejected may name any session.
                        other.header.session = SessionId(
                            [0xFFFF, 0, 7, 0x8007][usize::from(flags(number, 5)) + 2 * usize::from(flags(number, 6))],
                        );
                        if !has(&STATUS) && other.header.stype != SType::DATA {
                            other.header.byte3 = if flags(number, 6) { 255 } else { other.header.byte3 };
                        } else if other.header.byte3 > 1 && has(&STATUS) {
                            other.header.byte3 = if flags(number, 6) { 255 } else { 6 };
                        }
                        if other.body_len == 64 && flags(number, 7) {
                            other.body_len = 1;
                        } else if other.body_len == 65 && flags(number, 7) {
                            other.body_len = 4_000_000;
                        }
                        for active in [true, false] {
                            let outcome = other.ask(active, !part.profiles.0);
                            assert_eq!(outcome, row.outcome, "{} {other:?}", cause.name);
                        }
                        asked += 1;
                    }
                }
            }
        }
    }
    std::println!("{asked} messages");
    assert!(asked > 0);
}

#[test]
fn both_sides_have_the_same_table() {
    assert_eq!(of(true).print(), of(false).print());
}

/// The sheet is read off machines; this is what they have to follow.
#[test]
fn calls_and_events_follow_the_transitions_of_the_transport() {
    let mut held = 0;
    for active in [true, false] {
        for (block, place) in of(active).parts[0].blocks.iter().zip(PLACES) {
            for (cause, (call, input, happens)) in block.causes.iter().zip(&CALLS) {
                assert_eq!(cause.name, *call);
                for (point, cell) in cause.points() {
                    let Cell::Outcome(outcome) = cell else { continue };
                    if matches!(input, Input::AbortBody) && !matches!(place, Place::NotSelected | Place::Selected) {
                        assert_eq!(outcome.class, "refused: NoBodyOpen");
                        continue;
                    }
                    let expected = course(happened(place, active, false, false, *happens), None);
                    let here = format!("{place:?}, {call}, {point:?}");
                    let refused = |outcome: &Outcome| outcome.class.starts_with("refused: ");
                    assert_eq!(refused(outcome), refused(&expected), "{here}");
                    let stays = |next: &str| if next.is_empty() { name(place).to_string() } else { next.to_string() };
                    assert_eq!(stays(&outcome.next), stays(&expected.next), "{here}");
                    assert_eq!(outcome.close, expected.close, "{here}");
                    let farewell = expected.answer == "Separate.req";
                    assert_eq!(outcome.answer == "Separate.req each", farewell, "{here}");
                    held += 1;
                }
            }
        }
    }
    assert!(held > 0);
}

#[test]
fn the_first_select_req_without_a_session_makes_it_hsms_ss() {
    for (active, strict) in [(true, true), (true, false), (false, true), (false, false)] {
        for or_single in [true, false] {
            let make = Make { strict, or_single, ..Make::of(active) };
            let mut machine = Machine::new(make, Place::NotSelected);
            let seen = machine.announce(&Header::select_req(SystemBytes(0xF0)), 0);
            let outcome = no_session(or_single, active, strict);
            assert_eq!(seen, outcome, "or_single: {or_single}, active: {active}, strict: {strict}");
            assert_eq!(machine.connection.is_single(), !outcome.row.is_empty());
        }
        // Not the first: HSMS-GS it stays.
        let mut machine = Machine::new(Make { strict, or_single: true, ..Make::of(active) }, Place::NotSelected);
        machine.receive(&Header::select_req(SystemBytes(0xF0)).with_session(SESSION));
        machine.receive(&Header::separate_req(SystemBytes(0xF1)).with_session(SESSION));
        let seen = machine.announce(&Header::select_req(SystemBytes(0xF2)), 0);
        assert_eq!(seen, no_session(false, active, strict));
    }
}

/// E37.2 5.9: the count goes up and down by one, and only its ends change the state.
#[test]
fn every_numbered_row_is_where_its_standard_has_it() {
    let mut seen = Vec::new();
    let sheet = sheet();
    for (part, state, cause) in sheet.causes() {
        for row in cause.rows() {
            let Outcome { next, row, .. } = &row.outcome;
            let (from, to) = match *row {
                "" => {
                    assert!(next.is_empty() || !matches!(next.as_str(), "NOT SELECTED" | "SELECTED"), "{}", cause.name);
                    continue;
                }
                "2" => ("Opening", "NOT SELECTED"),
                "4" => ("NOT SELECTED", "SELECTED"),
                "5" => ("SELECTED", "NOT SELECTED"),
                "6" | "7" => ("SELECTED", "SELECTED"),
                other => panic!("{other} is no row of E37.2"),
            };
            assert_eq!((state, next.as_str()), (from, to), "{}, {}", part.heading, cause.name);
            if !seen.contains(row) {
                seen.push(*row);
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["2", "4", "5", "6", "7"]);
}

/// E37.2 5.9 beside the rows: all sessions in turn, up to the last and down again.
#[test]
fn the_count_of_selected_sessions_decides_on_the_state() {
    for active in [true, false] {
        let mut machine = Machine::new(Make::of(active), Place::NotSelected);
        let about = |header: Header, session| header.with_session(session);
        let select = Header::select_req(SystemBytes(0xF0));
        let (deselect, separate) = (Header::deselect_req(SystemBytes(0xF1)), Header::separate_req(SystemBytes(0xF2)));
        let steps = [
            (about(select, OTHER), 1, State::Selected),
            (about(select, SESSION), 2, State::Selected),
            (about(separate, OTHER), 1, State::Selected),
            (about(deselect, OTHER), 1, State::Selected),
            (about(deselect, SESSION), 0, State::NotSelected),
            (about(separate, SESSION), 0, State::NotSelected),
        ];
        for (header, count, state) in steps {
            machine.receive(&header);
            assert_eq!(machine.connection.selected_sessions().count(), count, "{header:?}");
            assert_eq!(machine.connection.state(), state, "{header:?}");
        }
    }
}

#[test]
fn our_primaries_end_with_their_session_and_with_no_other() {
    let (mut machine, _) = Machine::staged(Make::of(true), Stage::of(true, true));
    let (ours, others) = (machine.begin_primary(SESSION, 1), machine.begin_primary(OTHER, 1));
    let separate = Header::separate_req(SystemBytes(0xF1)).with_session(SESSION);
    let seen = machine.announce(&separate, 0);
    assert_eq!(seen.report, "told: SessionEnded(SeparateReceived); our primary ends: SessionEnded");
    assert!(!machine.connection.is_open(ours) && machine.connection.is_open(others));
}
