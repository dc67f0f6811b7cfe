//! A connection that rows are read off, and held to.

use super::{Answer, Outcome, Role, answer, head, name};
use crate::config::{Config, ConnectMode, DeviceId, Entity, SelectMode};
use crate::connection::transition::Place;
use crate::connection::{Action, Class, Connection, ControlFrame, Event, Input, Notice, Outcome as Told, apply};
use crate::time::Instant;
use crate::wire::{Header, Kind, StreamFunction, SystemBytes};
use std::format;
use std::string::{String, ToString};

/// A real connection, in a given place.
pub(super) struct Machine {
    pub(super) connection: Connection<1>,
    pub(super) now: Instant,
}

impl Machine {
    pub(super) fn new(role: Role, place: Place, entity: Entity, on_connect: bool) -> Self {
        let select = if on_connect { SelectMode::OnConnect } else { SelectMode::OnCommand };
        let mode = if role.active() { ConnectMode::Active } else { ConnectMode::Passive };
        let device = DeviceId::new(1).expect("15 bits");
        let config = Config::host(device).with_entity(entity).with_mode(mode).with_select_mode(select);
        let config = config.with_linktest_period(core::time::Duration::ZERO).expect("never is allowed");
        let connection = if role.refusing() { Connection::refusing(config) } else { Connection::new(config) };
        let mut machine = Machine { connection, now: Instant::from_millis(1) };
        let open = Input::Handle(Event::TransportOpen);
        let steps: &[Input<'_>] = match (role, place) {
            (Role::SecondCaller, Place::Disabled) => &[Input::Disable],
            (Role::SecondCaller, Place::Opening) | (_, Place::Disabled) => &[],
            (Role::SecondCaller, _) => &[open],
            (_, Place::Opening) => &[Input::Enable],
            (_, Place::Waiting) => &[Input::Enable, Input::Handle(Event::TransportFailed)],
            (_, Place::NotSelected | Place::Selected) => &[Input::Enable, open],
        };
        for step in steps {
            machine.tell(step.clone()).unwrap_or_else(|error| panic!("{role:?} {place:?} {step:?}: {error}"));
        }
        if place == Place::Selected {
            if role.active() {
                let system = if on_connect { 1 } else { machine.select() };
                machine.receive(&Header::select_rsp(SystemBytes(system)));
            } else {
                machine.receive(&Header::select_req(SystemBytes(0xF0)));
            }
        }
        assert_eq!(machine.connection.place(), place, "{role:?}");
        machine
    }

    pub(super) fn select(&mut self) -> u32 {
        let system = self.connection.next_system_bytes();
        self.tell(Input::Select).expect("NOT SELECTED");
        system.0
    }

    /// SELECTED through the peer's Select.req, while our own is open.
    pub(super) fn select_both_ways(&mut self, entity: Entity) -> SystemBytes {
        let profile = self.connection.config.profile;
        *self = Machine::new(Role::Active, Place::NotSelected, entity, false);
        self.connection.config.profile = profile;
        let system = self.select();
        self.receive(&Header::select_req(SystemBytes(0xF0)));
        assert_eq!(self.connection.place(), Place::Selected);
        SystemBytes(system)
    }

    /// The octets in front of a text. They are judged before the text comes.
    pub(super) fn announce(&mut self, header: &Header, body_len: u32) -> Class {
        let octets = header.encode_prefix(body_len).expect("fits the length field");
        let (_, inbound) = self.connection.receive(self.now, &octets).expect("connected");
        inbound.expect("a whole header").class
    }

    pub(super) fn begin_primary(&mut self, stream_function: StreamFunction) {
        let device = DeviceId::new(1).expect("15 bits");
        let begun = self.connection.begin_primary(self.now, device, stream_function, true, 0);
        begun.expect("SELECTED, and room for one");
        self.connection.end_body(self.now).expect("begun");
        self.connection.written(self.now, 14).expect("as many as were made");
    }

    pub(super) fn receive(&mut self, header: &Header) -> Outcome {
        let octets = header.encode_alone();
        let before = self.connection.place();
        let (taken, _) = self.connection.receive(self.now, &octets).expect("connected");
        assert_eq!(taken, octets.len());
        self.drain(before)
    }

    /// What comes of `input`, or the name of the error with which it is refused.
    pub(super) fn tell(&mut self, input: Input<'_>) -> Result<Outcome, String> {
        let before = self.connection.place();
        if let Told::Refused(error) = apply(&mut self.connection, self.now, input) {
            return Err(head(&error));
        }
        Ok(self.drain(before))
    }

    /// Polls all actions, and puts them into words.
    pub(super) fn drain(&mut self, before: Place) -> Outcome {
        let mut outcome = Outcome::default();
        while let Some(action) = self.connection.poll_action() {
            match action {
                Action::Send(frame) => outcome.answer = sent(&frame),
                Action::CloseTransport(reason) => outcome.close = head(&reason),
                Action::Notify(Notice::TransactionEnded { end, .. }) => {
                    outcome.report = format!("our primary ends: {end:?}");
                }
                Action::Notify(Notice::Lenient(leniency)) => outcome.leniency = head(&leniency),
                Action::Notify(notice) => outcome.report = format!("told: {}", head(&notice)),
                Action::OpenTransport => outcome.report = "OpenTransport".to_string(),
            }
        }
        self.connection.written(self.now, self.connection.outstanding).expect("as many as were made");
        let after = self.connection.place();
        if after != before {
            outcome.next = name(after).to_string();
        }
        outcome
    }
}

fn sent(frame: &ControlFrame) -> String {
    let header = frame.header();
    match header.kind() {
        Ok(Kind::SelectReq) => "Select.req".to_string(),
        Ok(Kind::SelectRsp(status)) => answer(Answer::Select(status)),
        Ok(Kind::DeselectRsp(status)) => answer(Answer::Deselect(status)),
        Ok(Kind::LinktestReq) => "Linktest.req".to_string(),
        Ok(Kind::LinktestRsp) => answer(Answer::Linktest),
        Ok(Kind::RejectReq { reason, .. }) => answer(Answer::Reject(reason)),
        Ok(Kind::SeparateReq) => "Separate.req".to_string(),
        Ok(Kind::Data { stream_function, .. }) => format!("{stream_function}"),
        other => panic!("the machine does not send {other:?}"),
    }
}
