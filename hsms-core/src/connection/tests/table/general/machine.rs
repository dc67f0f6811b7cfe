//! A connection with session entities that rows are read off, and held to.

use super::{SESSION, ended, head, name};
use crate::config::{Config, ConnectMode, DeviceId, Entity, Profile, SelectMode};
use crate::connection::session::sealed::Sessions as _;
use crate::connection::tests::table::Outcome;
use crate::connection::tests::table::ss::answer;
use crate::connection::transition::Answer;
use crate::connection::transition::Place;
use crate::connection::{
    Action, Admission, Class, CloseReason, Connection, ControlFrame, ControlRequest, Event, General, GeneralInput,
    Input, Notice, Outcome as Told, Phase, SessionEntity, apply_general,
};
use crate::time::Instant;
use crate::wire::{Header, Kind, SessionId, StreamFunction, SystemBytes};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// Another session than the one that messages are about, and one that is not in the list.
pub(super) const OTHER: SessionId = SessionId(2);
pub(super) const UNLISTED: SessionId = SessionId(3);

/// What a machine is made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Make {
    pub(super) active: bool,
    pub(super) strict: bool,
    pub(super) equipment: bool,
    pub(super) on_connect: bool,
    pub(super) offered: bool,
    pub(super) wanted: bool,
    pub(super) or_single: bool,
}

impl Make {
    pub(super) const fn of(active: bool) -> Self {
        let (strict, equipment, on_connect, offered, wanted) = (false, true, false, true, false);
        Make { active, strict, equipment, on_connect, offered, wanted, or_single: false }
    }
}

/// Where a machine has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) selected: bool,
    pub(super) others: bool,
    pub(super) own: Option<ControlRequest>,
    pub(super) moot: bool,
    pub(super) asked: bool,
}

impl Stage {
    pub(super) const fn of(selected: bool, others: bool) -> Self {
        Stage { selected, others, own: None, moot: false, asked: false }
    }
}

/// A real connection.
pub(super) struct Machine {
    pub(super) connection: Connection<2, General<2>>,
    pub(super) now: Instant,
}

impl Machine {
    pub(super) fn new(make: Make, place: Place) -> Self {
        let select = if make.on_connect { SelectMode::OnConnect } else { SelectMode::OnCommand };
        let mode = if make.active { ConnectMode::Active } else { ConnectMode::Passive };
        let entity = if make.equipment { Entity::Equipment } else { Entity::Host };
        let config = Config::host(DeviceId::new(1).expect("15 bits")).with_entity(entity).with_mode(mode);
        let config = config.with_select_mode(select).with_linktest_period(core::time::Duration::ZERO);
        let about = SessionEntity { offered: make.offered, wanted: make.wanted, ..SessionEntity::offered(SESSION) };
        let sessions = General::new(&[about, SessionEntity::offered(OTHER)]).expect("two");
        let sessions = if make.or_single { sessions.or_single() } else { sessions };
        let connection = Connection::general(config.expect("never is allowed"), sessions);
        let mut machine = Machine { connection, now: Instant::from_millis(1) };
        machine.connection.config.profile = if make.strict { Profile::Strict } else { Profile::Lenient };
        let open = Input::Handle(Event::TransportOpen);
        let steps: &[Input<'_>] = match place {
            Place::Disabled => &[],
            Place::Waiting => &[Input::Enable, Input::Handle(Event::TransportFailed)],
            Place::Opening => &[Input::Enable],
            Place::NotSelected | Place::Selected => &[Input::Enable, open],
        };
        for step in steps {
            machine.tell(GeneralInput::Common(step.clone())).expect("in order");
            while machine.connection.poll_action().is_some() {}
        }
        machine
    }

    /// A connected machine whose sessions are at `stage`, with the system bytes of our request.
    pub(super) fn staged(make: Make, stage: Stage) -> (Self, SystemBytes) {
        let mut machine = Machine::new(make, Place::NotSelected);
        if stage.others {
            machine.select(OTHER);
        }
        let mut system = SystemBytes(0);
        match (stage.own, stage.moot) {
            (Some(ControlRequest::Select), true) => {
                // The peer selects first, and separates again. That needs an offered session.
                assert!(make.offered);
                system = machine.request(GeneralInput::SelectSession(SESSION));
                machine.receive(&Header::select_req(SystemBytes(0xF1)).with_session(SESSION));
                if !stage.selected {
                    machine.receive(&Header::separate_req(SystemBytes(0xF2)).with_session(SESSION));
                }
            }
            (Some(ControlRequest::Deselect), true) => {
                machine.select(SESSION);
                system = machine.request(GeneralInput::DeselectSession(SESSION));
                machine.receive(&Header::separate_req(SystemBytes(0xF2)).with_session(SESSION));
                if stage.selected {
                    machine.receive(&Header::select_req(SystemBytes(0xF1)).with_session(SESSION));
                }
            }
            _ if stage.selected => machine.select(SESSION),
            _ => {}
        }
        if stage.asked {
            machine.admit(Admission::Ask);
            machine.receive(&Header::select_req(SystemBytes(0xF3)).with_session(SESSION));
        }
        match (stage.own, stage.moot) {
            (Some(ControlRequest::Select), false) => system = machine.request(GeneralInput::SelectSession(SESSION)),
            (Some(ControlRequest::Deselect), false) => system = machine.request(GeneralInput::DeselectSession(SESSION)),
            _ => {}
        }
        let mut entries = machine.connection.sessions.entries().iter();
        let entry = entries.find(|entry| entry.session() == SESSION).expect("listed");
        let found = (entry.selected, entry.asked.is_some(), entry.request.is_some());
        assert_eq!(found, (stage.selected, stage.asked, stage.own.is_some()), "{stage:?}");
        assert_eq!(machine.connection.is_selected(OTHER), stage.others);
        (machine, system)
    }

    pub(super) fn admit(&mut self, admission: Admission) {
        self.connection.set_admission(SESSION, admission).expect("listed");
    }

    /// Selects by a request of ours, which works whether the session is offered or not.
    fn select(&mut self, session: SessionId) {
        let system = self.request(GeneralInput::SelectSession(session));
        self.receive(&Header::select_rsp(system).with_session(session));
    }

    /// Sends a request of ours.
    pub(super) fn request(&mut self, input: GeneralInput<'_>) -> SystemBytes {
        let Told::Requested { system } = apply_general(&mut self.connection, self.now, input) else {
            panic!("not sent")
        };
        self.finish();
        system
    }

    pub(super) fn begin_primary(&mut self, session: SessionId, stream: u8) -> SystemBytes {
        let function = StreamFunction::new(stream, 1);
        let begun = self.connection.begin_primary_in(self.now, session, function, true, 0);
        let (system, _) = begun.expect("selected, and room for it");
        self.connection.end_body(self.now).expect("begun");
        self.finish();
        system
    }

    /// Begins a text that does not end.
    pub(super) fn begin_text(&mut self, session: SessionId) {
        let begun = self.connection.begin_primary_in(self.now, session, StreamFunction::new(1, 1), false, 1);
        begun.expect("selected");
    }

    /// A message in front of others: what comes of it does not matter.
    pub(super) fn receive(&mut self, header: &Header) {
        self.connection.receive(self.now, &header.encode_alone()).expect("connected");
        self.finish();
    }

    fn finish(&mut self) {
        while self.connection.poll_action().is_some() {}
        self.connection.written(self.now, self.connection.outstanding).expect("as many as were made");
    }

    /// A message of which only the part in front of a text has come, with what it counts as.
    pub(super) fn announce(&mut self, header: &Header, body_len: u32) -> Outcome {
        let octets = header.encode_prefix(body_len).expect("fits the length field");
        let mut class = None;
        let mut outcome = self.watch(Some(header.system), |machine| {
            let (_, inbound) = machine.connection.receive(machine.now, &octets).expect("connected");
            class = inbound.map(|inbound| inbound.class);
        });
        outcome.class = match class.expect("a whole header") {
            Class::Rejected(reason) if outcome.answer == answer(Answer::Reject(reason)) => "Rejected".to_string(),
            class => format!("{class:?}"),
        };
        outcome
    }

    /// What comes of a call or event; the name of the error with which it is refused.
    pub(super) fn tell(&mut self, input: GeneralInput<'_>) -> Result<Outcome, String> {
        let mut refused = None;
        let outcome = self.watch(None, |machine| {
            if let Told::Refused(error) = apply_general(&mut machine.connection, machine.now, input) {
                refused = Some(head(&error));
            }
        });
        match refused {
            None => Ok(outcome),
            Some(refused) => {
                assert_eq!(outcome, Outcome::default(), "a refused call changes nothing");
                Err(refused)
            }
        }
    }

    /// The timer that expires next.
    pub(super) fn expire(&mut self) -> Outcome {
        self.now = self.connection.next_deadline().expect("a timer runs");
        self.tell(GeneralInput::Common(Input::Handle(Event::Timeout))).expect("time passes")
    }

    /// Nothing but polling for what comes next.
    pub(super) fn poll(&mut self) -> Outcome {
        let before = self.connection.place();
        let report = match self.connection.poll_action() {
            None => String::new(),
            Some(Action::OpenTransport) => "OpenTransport".to_string(),
            Some(other) => panic!("{other:?}"),
        };
        let after = self.connection.place();
        let next = if after == before { String::new() } else { name(after).to_string() };
        Outcome { report, next, ..Outcome::default() }
    }

    /// Does something, polls all actions and puts them into words. `about`: the message that is answered.
    fn watch(&mut self, about: Option<SystemBytes>, act: impl FnOnce(&mut Self)) -> Outcome {
        self.now = self.now.plus_millis(1);
        let (before, count) = (self.connection.place(), self.connection.selected_sessions().count());
        let requests = self.connection.session_requests().count();
        act(self);
        let (after, left) = (self.connection.place(), self.connection.selected_sessions().count());
        let mut outcome = Outcome::default();
        let mut report = Vec::new();
        let (mut sent, mut farewells) = (Vec::new(), 0);
        let connected = matches!(after, Place::NotSelected | Place::Selected);
        if connected && about.is_some() && self.connection.session_requests().count() < requests {
            report.push("our request is answered".to_string());
        }
        // Behind a closing nothing is polled but the closing: the next attempt is another row.
        while connected || !self.connection.queue.is_empty() {
            match self.connection.poll_action() {
                None => break,
                Some(Action::Send(ControlFrame::Control(header))) if header.kind() == Ok(Kind::SeparateReq) => {
                    farewells += 1;
                    sent.push("Separate.req".to_string());
                }
                Some(Action::Send(frame)) => match (about, frame.header().kind()) {
                    (Some(system), Ok(Kind::SelectRsp(status))) if frame.header().system != system => {
                        report.push(format!("the undecided one is answered {}", status.0));
                    }
                    _ => sent.push(put(&frame)),
                },
                Some(Action::CloseTransport(reason @ CloseReason::T6(_))) => outcome.close = format!("{reason:?}"),
                Some(Action::CloseTransport(reason)) => outcome.close = head(&reason),
                Some(Action::OpenTransport) => panic!("not polled for"),
                Some(Action::Notify(notice)) => self.notice(&notice, &mut report, &mut outcome),
            }
        }
        let opens = !connected && self.connection.queue.is_empty() && matches!(self.connection.phase, Phase::Ready);
        if opens && outcome.close.is_empty() && before != Place::Opening {
            report.push("OpenTransport follows".to_string());
        }
        if connected {
            self.connection.written(self.now, self.connection.outstanding).expect("as many as were made");
        } else if farewells > 0 {
            assert_eq!(farewells, count, "each session that was selected");
            sent = Vec::from(["Separate.req each".to_string()]);
        }
        if matches!(self.connection.phase, Phase::Separation { t5 } if t5 > self.now) && before == Place::Opening {
            report.push("T5 starts".to_string());
        }
        if matches!(self.connection.phase, Phase::NotSelected { t7 } if t7 == Some(self.now.plus_millis(self.connection.config.t7.into())))
        {
            report.push("T7 starts".to_string());
        }
        if !connected && count > 0 {
            assert_eq!(left, 0, "an abrupt end leaves no session");
            report.push("no session is selected".to_string());
        }
        outcome.row = match (before, after) {
            (Place::Opening, Place::NotSelected) => "2",
            (Place::NotSelected, Place::Selected) if (count, left) == (0, 1) || self.connection.is_single() => "4",
            (Place::Selected, Place::NotSelected) if (count, left) == (1, 0) => "5",
            (Place::Selected, Place::Selected) if left == count + 1 => "6",
            (Place::Selected, Place::Selected) if left + 1 == count => "7",
            (before, after) if before == after => {
                assert_eq!(count, left);
                ""
            }
            (_, Place::NotSelected | Place::Selected) => panic!("{before:?} to {after:?}: {count} to {left}"),
            _ => "",
        };
        if after != before || !outcome.row.is_empty() {
            outcome.next = name(after).to_string();
        }
        Outcome { answer: sent.join(", "), report: report.join("; "), ..outcome }
    }

    fn notice(&self, notice: &Notice, report: &mut Vec<String>, outcome: &mut Outcome) {
        match notice {
            Notice::TransactionEnded { end, .. } => report.push(format!("our primary ends: {}", head(end))),
            Notice::Lenient(leniency) => outcome.leniency = head(leniency),
            Notice::LinktestAnswered { .. } => report.push("our request is answered".to_string()),
            Notice::SessionEnded { session, end } => {
                assert_eq!(*session, SESSION);
                report.push(ended(*end));
            }
            Notice::SessionRefused { session, refusal } => {
                assert_eq!(*session, SESSION);
                report.push(format!("told: SessionRefused({})", head(refusal)));
            }
            Notice::Selected if self.connection.is_single() => report.push("goes on as HSMS-SS".to_string()),
            notice => report.push(format!("told: {}", head(notice))),
        }
    }
}

fn put(frame: &ControlFrame) -> String {
    let header = frame.header();
    match header.kind() {
        Ok(Kind::SelectReq) => "Select.req".to_string(),
        Ok(Kind::SelectRsp(super::REFUSAL)) => "Select.rsp with its status".to_string(),
        Ok(Kind::SelectRsp(status)) => answer(Answer::Select(status)),
        Ok(Kind::DeselectReq) => "Deselect.req".to_string(),
        Ok(Kind::DeselectRsp(status)) => answer(Answer::Deselect(status)),
        Ok(Kind::LinktestReq) => "Linktest.req".to_string(),
        Ok(Kind::LinktestRsp) => answer(Answer::Linktest),
        Ok(Kind::RejectReq { reason, .. }) => answer(Answer::Reject(reason)),
        Ok(Kind::Data { stream_function, .. }) => format!("{stream_function}"),
        other => panic!("the machine does not send {other:?}"),
    }
}
