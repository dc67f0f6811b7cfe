//! What happens beside received messages, read off machines.

use super::machine::{Machine, Make, OTHER, Stage, UNLISTED};
use super::{ASKED, ENTITY, OTHERS, SELECTED, SESSION, WAITS};
use crate::connection::tests::table::ss::{CALLS, MISSED, PLACES, SELECTS, STREAM, name};
use crate::connection::tests::table::{Axis, Block, Cause, Cell, Outcome, Point};
use crate::connection::transition::Place;
use crate::connection::{Admission, ControlRequest, Event, GeneralInput, Input, Stream9};
use crate::wire::{Header, SelectStatus, SessionId, StreamFunction, SystemBytes};
use std::format;
use std::vec::Vec;

static LISTED: Axis = Axis::new(&["session in the list", "session not in the list"]);
static WANTED: Axis = Axis::new(&["session wanted", "session not wanted"]);
static GIVEN: Axis = Axis::new(&["with status 0", "with another status"]);
static MOOT: Axis = Axis::new(&["request not moot", "request moot"]);
static REQUEST: Axis = Axis::new(&[
    "no request of ours open",
    "our Select.req open",
    "our Deselect.req open",
    "our Select.req moot",
    "our Deselect.req moot",
]);
static LINKTEST: Axis = Axis::new(&["no linktest open", "our Linktest.req open"]);

const NO_CONNECTION: &str = "there is no connection";
const NONE_SELECTED: &str = "no session is selected";
const ONE_SELECTED: &str = "a session is selected in SELECTED";

pub(super) fn blocks(active: bool) -> Vec<Block> {
    PLACES.iter().map(|place| Block { state: name(*place), causes: causes(active, *place) }).collect()
}

fn is_connected(place: Place) -> bool {
    matches!(place, Place::NotSelected | Place::Selected)
}

/// Where the sessions are at this point, or why they never are there.
fn stage(place: Place, point: Point<'_>) -> Result<Stage, &'static str> {
    let selected = point.get(&SELECTED) == 0;
    let others = point.get(&OTHERS) == 1;
    let (select, deselect) = (Some(ControlRequest::Select), Some(ControlRequest::Deselect));
    let own = [None, select, deselect, select, deselect][point.get(&REQUEST)];
    let moot = point.get(&REQUEST) > 2;
    let asked = point.get(&WAITS) == 1 || point.get(&ASKED) == 1;
    match place {
        Place::Selected if !selected && !others => Err(ONE_SELECTED),
        Place::Selected => Ok(()),
        _ if selected || others => Err(NONE_SELECTED),
        Place::NotSelected => Ok(()),
        _ if own.is_some() || asked => Err(NO_CONNECTION),
        _ => Ok(()),
    }?;
    match own {
        _ if asked && selected => Err("what the peer asked for is answered once the session is selected"),
        Some(ControlRequest::Select) if selected && !moot => Err("our Select.req is moot once the session is selected"),
        Some(ControlRequest::Deselect) if !selected && !moot => {
            Err("our Deselect.req is moot once the session has ended")
        }
        own => Ok(Stage { selected, others, own, moot, asked }),
    }
}

fn machine(make: Make, place: Place, stage: Stage) -> Machine {
    if is_connected(place) { Machine::staged(make, stage).0 } else { Machine::new(make, place) }
}

fn told(machine: &mut Machine, input: GeneralInput<'_>) -> Cell {
    let refused = |error| Outcome { class: format!("refused: {error}"), ..Outcome::default() };
    Cell::Outcome(machine.tell(input).unwrap_or_else(refused))
}

/// The session that a call is about.
fn about(point: Point<'_>) -> SessionId {
    if point.get(&LISTED) == 1 { UNLISTED } else { SESSION }
}

fn or(cell: Result<Cell, &'static str>) -> Cell {
    cell.unwrap_or_else(Cell::Never)
}

fn causes(active: bool, place: Place) -> Vec<Cause> {
    let make = Make::of(active);
    let mut causes = Vec::new();
    for (call, input, _) in &CALLS {
        let opens = matches!(input, Input::Handle(Event::TransportOpen)) && place == Place::Opening;
        let axes: &[&'static Axis] = if opens { &[&SELECTS, &WANTED] } else { &[&SELECTED, &OTHERS] };
        causes.push(Cause::new(call, axes, |point| {
            let make = Make {
                on_connect: opens && point.get(&SELECTS) == 0,
                wanted: opens && point.get(&WANTED) == 0,
                ..make
            };
            or(if opens { Ok(Stage::of(false, false)) } else { stage(place, point) }.map(|stage| {
                let mut machine = machine(make, place, stage);
                if matches!(input, Input::AbortBody) && is_connected(place) {
                    machine.open_text(stage);
                }
                told(&mut machine, GeneralInput::Common(input.clone()))
            }))
        }));
    }
    causes.extend(timers(make, place));
    causes.extend(ends(make, place));
    causes.extend(session_calls(make, place));
    causes.extend(commands(make, place));
    causes
}

impl Machine {
    /// A text is begun while SELECTED, and can be open beyond the end of the last session.
    fn open_text(&mut self, stage: Stage) {
        let passing = !stage.selected && !stage.others;
        if passing {
            self.receive(&Header::select_req(SystemBytes(0xF8)).with_session(SESSION));
        }
        self.begin_text(if stage.others { OTHER } else { SESSION });
        if passing {
            self.receive(&Header::separate_req(SystemBytes(0xF9)).with_session(SESSION));
        }
    }
}

fn timers(make: Make, place: Place) -> Vec<Cause> {
    let connected = if is_connected(place) { Ok(()) } else { Err(NO_CONNECTION) };
    let request = |name, own: ControlRequest| {
        Cause::new(name, &[&MOOT, &SELECTED, &OTHERS], move |point| {
            let moot = point.get(&MOOT) == 1;
            let open = connected.and_then(|()| stage(place, point)).and_then(|stage| match own {
                ControlRequest::Select if stage.selected && !moot => {
                    Err("our Select.req is moot once the session is selected")
                }
                ControlRequest::Deselect if !stage.selected && !moot => {
                    Err("our Deselect.req is moot once the session has ended")
                }
                own => Ok(Stage { own: Some(own), moot, ..stage }),
            });
            or(open.map(|stage| Cell::Outcome(machine(make, place, stage).expire())))
        })
    };
    Vec::from([
        Cause::new("T5 expires", &[], |_| match place {
            Place::Waiting => Cell::Outcome(Machine::new(make, place).expire()),
            _ => Cell::Never("T5 runs in Waiting"),
        }),
        request("T6 of Select.req expires", ControlRequest::Select),
        request("T6 of Deselect.req expires", ControlRequest::Deselect),
        Cause::new("T6 of Linktest.req expires", &[&MISSED, &SELECTED, &OTHERS], |point| {
            or(connected.and_then(|()| stage(place, point)).map(|stage| {
                let mut machine = machine(make, place, stage);
                machine.connection.config.linktest_threshold = if point.get(&MISSED) == 1 { 1 } else { 2 };
                machine.request(GeneralInput::Common(Input::Linktest));
                Cell::Outcome(machine.expire())
            }))
        }),
        Cause::new("T7 expires", &[], |_| match place {
            Place::NotSelected => Cell::Outcome(Machine::new(make, place).expire()),
            _ => Cell::Never("T7 runs in NOT SELECTED"),
        }),
        Cause::new("T3 expires", &[&ENTITY, &STREAM, &OTHERS], |point| {
            if place != Place::Selected {
                return Cell::Never("what is open ends with its session");
            }
            let make = Make { equipment: point.get(&ENTITY) == 0, ..make };
            let mut machine = machine(make, place, Stage::of(true, point.get(&OTHERS) == 1));
            machine.begin_primary(SESSION, [1, 9][point.get(&STREAM)]);
            Cell::Outcome(machine.expire())
        }),
        Cause::new("poll_action after T5", &[], |_| {
            if is_connected(place) {
                return Cell::Outcome(Outcome::default());
            }
            let mut machine = Machine::new(make, place);
            if place == Place::Waiting {
                machine.expire();
            }
            Cell::Outcome(machine.poll())
        }),
    ])
}

/// What ends a connection by itself.
fn ends(make: Make, place: Place) -> Vec<Cause> {
    let end = |name, act: fn(&mut Machine, Stage) -> Outcome| {
        Cause::new(name, &[&SELECTED, &OTHERS], move |point| {
            let connected = if is_connected(place) { Ok(()) } else { Err(NO_CONNECTION) };
            or(connected.and_then(|()| stage(place, point)).map(|stage| {
                let mut machine = machine(make, place, stage);
                Cell::Outcome(act(&mut machine, stage))
            }))
        })
    };
    Vec::from([
        end("T8 expires", |machine, _| {
            machine.hear(&[0, 0, 0, 10]);
            machine.expire()
        }),
        end("length below 10", |machine, _| machine.hear(&[0, 0, 0, 9])),
        end("0x05 as length", |machine, _| machine.hear(&[5])),
        end("held output full", |machine, stage| {
            machine.open_text(stage);
            let linktest = Header::linktest_req(SystemBytes(0xFA)).encode_alone();
            // As many answers as can wait, and one more.
            let mut outcomes = (0..8).map(|_| machine.hear(&linktest));
            outcomes.find(|outcome| *outcome != Outcome::default()).expect("there is no room for so many")
        }),
    ])
}

impl Machine {
    fn hear(&mut self, octets: &[u8]) -> Outcome {
        self.tell(GeneralInput::Common(Input::Receive(octets))).expect("connected")
    }
}

/// What the application asks for about a session.
fn session_calls(make: Make, place: Place) -> Vec<Cause> {
    let call = |name, axes: &[&'static Axis], input: fn(SessionId, Point<'_>) -> GeneralInput<'static>| {
        Cause::new(name, axes, move |point| {
            let unlisted = about(point) == UNLISTED;
            let apart = "what is not in the list is in no state";
            let stage = stage(place, point).and_then(|stage| {
                let idle = stage.own.is_none() && !stage.asked && !stage.selected;
                if unlisted && !idle { Err(apart) } else { Ok(stage) }
            });
            or(stage.map(|stage| told(&mut machine(make, place, stage), input(about(point), point))))
        })
    };
    Vec::from([
        call("select_session", &[&LISTED, &SELECTED, &REQUEST, &OTHERS], |session, _| {
            GeneralInput::SelectSession(session)
        }),
        call("deselect_session", &[&LISTED, &SELECTED, &REQUEST, &OTHERS], |session, _| {
            GeneralInput::DeselectSession(session)
        }),
        call("separate_session", &[&LISTED, &SELECTED, &OTHERS], |session, _| GeneralInput::SeparateSession(session)),
        call("answer_select", &[&LISTED, &WAITS, &GIVEN, &SELECTED, &OTHERS], |session, point| {
            let status = [SelectStatus::COMMUNICATION_ESTABLISHED, super::REFUSAL][point.get(&GIVEN)];
            GeneralInput::AnswerSelect { session, status }
        }),
        call("set_admission", &[&LISTED, &SELECTED, &OTHERS], |session, _| GeneralInput::SetAdmission {
            session,
            admission: Admission::Ask,
        }),
        call("set_busy", &[&LISTED, &SELECTED, &OTHERS], |session, _| GeneralInput::SetBusy { session, busy: true }),
        call("begin_primary_in", &[&LISTED, &SELECTED, &OTHERS], |session, _| GeneralInput::BeginPrimaryIn {
            session,
            stream_function: StreamFunction::new(1, 1),
            reply_expected: true,
            body_len: 0,
        }),
    ])
}

/// What it asks for about the connection.
fn commands(make: Make, place: Place) -> Vec<Cause> {
    let call = |name, axes: &[&'static Axis], input: fn() -> Input<'static>| {
        Cause::new(name, axes, move |point| {
            let make = Make { equipment: point.get(&ENTITY) == 0, ..make };
            let open = point.get(&LINKTEST) == 1;
            let stage = stage(place, point);
            let stage = if open && !is_connected(place) { Err(NO_CONNECTION) } else { stage };
            or(stage.map(|stage| {
                let mut machine = machine(make, place, stage);
                if open {
                    machine.request(GeneralInput::Common(Input::Linktest));
                }
                told(&mut machine, GeneralInput::Common(input()))
            }))
        })
    };
    Vec::from([
        call("select", &[&SELECTED, &OTHERS], || Input::Select),
        call("linktest", &[&LINKTEST, &SELECTED, &OTHERS], || Input::Linktest),
        call("report_error", &[&SELECTED, &OTHERS, &ENTITY], || Input::ReportError {
            error: Stream9::IllegalData,
            about: Header::data(SystemBytes(1), StreamFunction::new(1, 1), true, SESSION),
        }),
        call("receive", &[&SELECTED, &OTHERS], || Input::Receive(&[0])),
    ])
}
