//! Our machine as the subject of a bench in memory, with an application that does as it is commanded.

use super::{Input, Output, Subject};
use crate::conformance::bench::{Command, Frame, Report};
use crate::conformance::sessions::{EXCLUSIVE, Entities, LONGEST_LIST};
use crate::conformance::{Role, steps};
use hsms_core::Config;
use hsms_core::collect::Collector;
use hsms_core::config::ConnectMode;
use hsms_core::connection::{
    Action, Class, Connection, Event, General, Holders, Inbound, Notice, ReplyToken, Sessions, SessionsError, Single,
};
use hsms_core::time::Instant;
use hsms_core::wire::{PREFIX_LEN, SystemBytes};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

/// Where subjects count their system bytes from; far from those of the tester.
const FIRST_SYSTEM: SystemBytes = SystemBytes(0x0051_0001);

/// Primaries of the subject that can be open at once, as with the blocking connection.
const TRANSACTIONS: usize = 64;

/// Our machine: of HSMS-SS, or of HSMS-GS with its application's memory of who has which entity.
pub struct Machine<S: Sessions = Single> {
    connection: Connection<TRANSACTIONS, S>,
    in_session: InSession<S>,
    second: Second,
    /// Who has the entities that one connection at a time can have, and by which name this one is known there.
    holders: Option<(u32, AllHolders)>,
    collector: Collector<Vec<u8>>,
    tokens: VecDeque<ReplyToken>,
    output: VecDeque<Output>,
    now: Instant,
}

/// Carries out a command about a session. For a primary: what stands in front of its text.
type InSession<S> =
    fn(&mut Connection<TRANSACTIONS, S>, Instant, &Command) -> Result<Option<[u8; PREFIX_LEN]>, hsms_core::Error>;

/// Makes what serves a caller beyond the first, where that is served.
type Second = Box<dyn Fn() -> Option<Box<dyn Subject>>>;

type AllHolders = Rc<RefCell<Holders<u32, LONGEST_LIST>>>;

/// Our machine for a subject of that role.
///
/// Where there cannot be such a list of session entities, it is a machine of HSMS-SS in any case.
#[must_use]
pub fn ours(role: Role, config: Config, entities: &Entities) -> Box<dyn Subject> {
    match (role, Machine::general(config, entities)) {
        (Role::GsActive | Role::GsPassive, Ok(machine)) => Box::new(machine),
        _ => Box::new(Machine::new(config)),
    }
}

impl Machine {
    /// Our machine with these settings.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let second = move || passive(&config).then(|| Box::new(Machine::refusing(config)) as Box<dyn Subject>);
        let mut machine = Machine::over(Connection::new(config), no_session, Box::new(second));
        machine.connection.set_next_system_bytes(FIRST_SYSTEM);
        machine
    }

    /// Our machine as it serves a caller beyond the first.
    #[must_use]
    pub fn refusing(config: Config) -> Self {
        Machine::over(Connection::refusing(config), no_session, Box::new(|| None))
    }
}

impl Machine<General<LONGEST_LIST>> {
    /// Our machine with these settings and session entities. Of the entities that the application admits,
    /// [`EXCLUSIVE`] goes to the connection that selects it first, as long as that has it.
    ///
    /// # Errors
    /// Where there cannot be such a list.
    pub fn general(config: Config, entities: &Entities) -> Result<Self, SessionsError> {
        Machine::one_of(config, entities.sessions()?, 1, AllHolders::default())
    }

    /// The one with this number of the connections that share their entities.
    fn one_of(
        config: Config,
        sessions: General<LONGEST_LIST>,
        number: u32,
        holders: AllHolders,
    ) -> Result<Self, SessionsError> {
        let (list, all) = (sessions.clone(), holders.clone());
        let second = move || {
            let machine = Machine::one_of(config, list.clone(), number.wrapping_add(1), all.clone());
            let mut machine = machine.ok().filter(|_| passive(&config))?;
            machine.input(Instant::EPOCH, Input::Enable);
            machine.output.clear();
            Some(Box::new(machine) as Box<dyn Subject>)
        };
        let mut machine = Machine::over(Connection::general(config, sessions), in_session, Box::new(second));
        machine.connection.set_next_system_bytes(FIRST_SYSTEM);
        machine.holders = Some((number, holders));
        Ok(machine)
    }
}

fn passive(config: &Config) -> bool {
    config.mode() == ConnectMode::Passive
}

fn no_session(
    connection: &mut Connection<TRANSACTIONS>,
    now: Instant,
    command: &Command,
) -> Result<Option<[u8; PREFIX_LEN]>, hsms_core::Error> {
    match command {
        Command::Select => connection.select(now).map(|_| None),
        _ => Err(hsms_core::Error::CannotSelect),
    }
}

fn in_session(
    connection: &mut Connection<TRANSACTIONS, General<LONGEST_LIST>>,
    now: Instant,
    command: &Command,
) -> Result<Option<[u8; PREFIX_LEN]>, hsms_core::Error> {
    match command {
        Command::SelectSession(session) => connection.select_session(now, *session).map(drop)?,
        Command::DeselectSession(session) => connection.deselect_session(now, *session).map(drop)?,
        Command::SeparateSession(session) => connection.separate_session(now, *session)?,
        Command::AnswerSelect(session, status) => connection.answer_select(now, *session, *status)?,
        Command::Admission(session, admission) => connection.set_admission(*session, *admission)?,
        Command::Busy(session, busy) => connection.set_busy(*session, *busy)?,
        Command::RequestIn(session, stream_function, text) | Command::SendIn(session, stream_function, text) => {
            let w = matches!(command, Command::RequestIn(..));
            let (_, prefix) = connection.begin_primary_in(now, *session, *stream_function, w, len(text))?;
            return Ok(Some(prefix));
        }
        // It names no session.
        _ => return Err(hsms_core::Error::CannotSelect),
    }
    Ok(None)
}

fn len(text: &[u8]) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

impl<S: Sessions> Machine<S> {
    fn over(connection: Connection<TRANSACTIONS, S>, in_session: InSession<S>, second: Second) -> Self {
        let limit = usize::try_from(connection.config().max_message()).unwrap_or(usize::MAX);
        Machine {
            connection,
            in_session,
            second,
            holders: None,
            collector: Collector::new(Vec::new(), limit),
            tokens: VecDeque::new(),
            output: VecDeque::new(),
            now: Instant::EPOCH,
        }
    }

    /// Carries out the machine's actions; the transport takes everything at once.
    fn drain(&mut self) {
        while let Some(action) = self.connection.poll_action() {
            let output = match action {
                Action::OpenTransport => Output::Open,
                Action::Send(frame) => {
                    let octets = frame.encode().to_vec();
                    self.written(octets.len());
                    Output::Octets(octets)
                }
                Action::CloseTransport(reason) => {
                    if let Some((number, holders)) = &self.holders {
                        holders.borrow_mut().release_all(*number);
                    }
                    self.output.push_back(Output::Close);
                    Output::Report(Report::Closed(reason))
                }
                Action::Notify(notice) if self.deals_with(&notice) => continue,
                Action::Notify(notice) => match report(&notice) {
                    Some(report) => Output::Report(report),
                    None => continue,
                },
            };
            self.output.push_back(output);
        }
    }

    /// What the application of HSMS-GS does about entities that one connection at a time can have. Tells whether that was all.
    fn deals_with(&mut self, notice: &Notice) -> bool {
        let Some((number, holders)) = &self.holders else { return false };
        match *notice {
            Notice::SelectAsked { session: EXCLUSIVE } => {
                let status = holders.borrow_mut().take(EXCLUSIVE, *number);
                let answer = Command::AnswerSelect(EXCLUSIVE, status);
                // The request has come just now, so it can be answered.
                (self.in_session)(&mut self.connection, self.now, &answer).is_ok()
            }
            Notice::SessionEnded { session, .. } => {
                holders.borrow_mut().release(session, *number);
                false
            }
            _ => false,
        }
    }

    fn written(&mut self, octets: usize) {
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        // Only as much as was appended is told.
        let _ = self.connection.written(self.now, octets);
    }

    fn receive(&mut self, mut octets: &[u8]) {
        while let Ok((taken, inbound)) = self.connection.receive(self.now, octets)
            && taken > 0
        {
            if let Some(inbound) = inbound {
                self.take(&inbound);
            }
            self.drain();
            octets = octets.get(taken..).unwrap_or(&[]);
        }
    }

    fn take(&mut self, inbound: &Inbound<'_>) {
        if let Ok(Some(collected)) = self.collector.push(inbound) {
            let frame = Frame::new(collected.message.header, collected.message.body);
            self.tokens.extend(collected.reply_token);
            let reply = collected.class == Class::Reply;
            self.output.push_back(Output::Report(if reply { Report::Reply(frame) } else { Report::Primary(frame) }));
        }
        if inbound.first() && !inbound.is_for_application() && inbound.class != Class::Control {
            self.output.push_back(Output::Report(Report::Other(*inbound.header(), inbound.class)));
        }
    }

    /// Appends a message of data.
    fn append(&mut self, prefix: [u8; 14], text: &[u8]) -> Result<(), hsms_core::Error> {
        let octets = [&prefix[..], text].concat();
        self.connection.end_body(self.now)?;
        self.written(octets.len());
        self.output.push_back(Output::Octets(octets));
        Ok(())
    }

    fn carry_out(&mut self, command: &Command) -> Result<(), hsms_core::Error> {
        let now = self.now;
        match command {
            Command::Linktest => self.connection.linktest(now).map(drop),
            Command::Separate => self.connection.separate(now),
            Command::Disable => self.connection.disable(now),
            Command::Enable => self.connection.enable(now),
            Command::Request(stream_function, text) | Command::Send(stream_function, text) => {
                let w = matches!(command, Command::Request(..));
                let device = self.connection.config().device_ids().as_slice().first().copied();
                let device = device.unwrap_or(steps::DEVICE);
                let (_, prefix) = self.connection.begin_primary(now, device, *stream_function, w, len(text))?;
                self.append(prefix, text)
            }
            Command::Reply(text) => {
                let token = self.tokens.pop_front().ok_or(hsms_core::Error::StaleToken)?;
                let prefix = self.connection.begin_reply(now, &token, len(text))?;
                self.append(prefix, text)
            }
            Command::Abort => {
                let token = self.tokens.pop_front().ok_or(hsms_core::Error::StaleToken)?;
                let prefix = self.connection.begin_abort(now, &token)?;
                self.append(prefix, &[])
            }
            Command::ReportError(error, about) => self.connection.report_error(now, *error, about),
            Command::Forget(system) => self.connection.forget(*system),
            Command::Select
            | Command::SelectSession(_)
            | Command::DeselectSession(_)
            | Command::SeparateSession(_)
            | Command::AnswerSelect(..)
            | Command::Admission(..)
            | Command::Busy(..)
            | Command::RequestIn(..)
            | Command::SendIn(..) => {
                let prefix = (self.in_session)(&mut self.connection, now, command)?;
                match (prefix, command) {
                    (Some(prefix), Command::RequestIn(_, _, text) | Command::SendIn(_, _, text)) => {
                        self.append(prefix, text)
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// What the application is told by a notice.
pub(in crate::conformance) fn report(notice: &Notice) -> Option<Report> {
    Some(match *notice {
        Notice::Selected => Report::Selected,
        Notice::Deselected => Report::Deselected,
        Notice::TransactionEnded { system, end } => Report::Ended(system, end),
        Notice::LinktestAnswered { .. } => Report::LinktestAnswered,
        Notice::LinktestMissed { missed, .. } => Report::LinktestMissed(missed),
        Notice::RejectReceived { header } => Report::StrayReject(header),
        Notice::Lenient(leniency) => Report::Lenient(leniency),
        Notice::SessionSelected { session } => Report::SessionSelected(session),
        Notice::SessionEnded { session, end } => Report::SessionEnded(session, end),
        Notice::SessionRefused { session, refusal } => Report::SessionRefused(session, refusal),
        Notice::SelectAsked { session } => Report::SelectAsked(session),
        _ => return None,
    })
}

impl<S: Sessions> Subject for Machine<S> {
    fn input(&mut self, now: Instant, input: Input<'_>) {
        self.now = now;
        // What cannot be is refused by the machine, and nothing comes of it.
        let _ = match input {
            Input::Enable => self.connection.enable(now),
            Input::Opened => self.connection.handle(now, Event::TransportOpen),
            Input::OpenFailed => self.connection.handle(now, Event::TransportFailed),
            Input::Closed => self.connection.handle(now, Event::TransportClosed),
            Input::Time => self.connection.handle(now, Event::Timeout),
            Input::Octets(octets) => {
                self.receive(octets);
                Ok(())
            }
        };
        self.drain();
    }

    fn command(&mut self, now: Instant, command: &Command) -> Result<(), String> {
        self.now = now;
        let result = self.carry_out(command).map_err(|error| error.to_string());
        self.drain();
        result
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.connection.next_deadline()
    }

    fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    fn second(&self) -> Option<Box<dyn Subject>> {
        (self.second)()
    }
}

/// Where it stands.
impl<S: Sessions> fmt::Debug for Machine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("connection", &self.connection).finish_non_exhaustive()
    }
}
