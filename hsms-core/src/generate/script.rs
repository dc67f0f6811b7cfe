//! Sequences of inputs that make sense.

use super::{OwnedInput, stream};
use crate::config::Config;
use crate::connection::{
    Action, Connection, ControlFrame, Event, General, GeneralInput, Input, Outcome, ReplyToken, Sessions, Single,
    State, apply, apply_general,
};
use crate::error::Error;
use crate::time::Instant;
use crate::wire::{Header, Message, PREFIX_LEN, SType, SessionId, StreamFunction, SystemBytes};
use alloc::vec::Vec;
use arbitrary::{Arbitrary, Result, Unstructured};
use core::time::Duration;

/// Steps of a script at most.
pub const MAX_STEPS: usize = 96;

/// Octets of a text at most.
const LONGEST: u32 = 40;

/// What is told to a connection, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The time that is told with it.
    pub now: Instant,
    /// The input. Octets to receive are taken at once, all of them.
    pub input: OwnedInput,
}

/// A sequence of inputs that makes sense to `Connection::<TRANSACTIONS>::new(config)`: an adapter that does its work, an
/// application and a peer that know what they do most of the time.
///
/// The connection refuses none of these steps, as long as all actions are polled after each. The transport is
/// opened where it was asked for; received frames fit the state, responses and replies belong to requests that were really sent, and some frames are cut
/// anywhere; every timer is told of when it is due and not before; octets are written that were made, and replies go to
/// primaries that have come. In between come messages that have no place there, refusals and ends of the transport: a peer may do that.
///
/// Made of octets by writing for a connection that is run along: see the [module](super).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script<const TRANSACTIONS: usize = 4> {
    /// Settings of the connection.
    pub config: Config,
    /// What is told to it.
    pub steps: Vec<Step>,
}

/// The same for `Connection::<TRANSACTIONS, _>::general(config, sessions)`: HSMS-GS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneralScript<const TRANSACTIONS: usize = 4, const N: usize = 4> {
    /// Settings of the connection.
    pub config: Config,
    /// Its session entities.
    pub sessions: General<N>,
    /// What is told to it.
    pub steps: Vec<Step>,
}

impl<const TRANSACTIONS: usize> Script<TRANSACTIONS> {
    /// The connection that the steps are for.
    #[must_use]
    pub const fn connection(&self) -> Connection<TRANSACTIONS> {
        Connection::new(self.config)
    }
}

impl<const TRANSACTIONS: usize, const N: usize> GeneralScript<TRANSACTIONS, N> {
    /// The connection that the steps are for.
    #[must_use]
    pub fn connection(&self) -> Connection<TRANSACTIONS, General<N>> {
        Connection::general(self.config, self.sessions.clone())
    }
}

impl<'a, const TRANSACTIONS: usize> Arbitrary<'a> for Script<TRANSACTIONS> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let config = Config::arbitrary(u)?;
        let tell: Tell<TRANSACTIONS, Single> = |connection, now, input| match input {
            GeneralInput::Common(input) => apply(connection, now, input),
            _ => Outcome::Refused(Error::CannotSelect),
        };
        let steps = Author::new(u, Connection::new(config), tell, Vec::new()).write()?;
        Ok(Script { config, steps })
    }
}

impl<'a, const TRANSACTIONS: usize, const N: usize> Arbitrary<'a> for GeneralScript<TRANSACTIONS, N> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (config, sessions) = (Config::arbitrary(u)?, General::<N>::arbitrary(u)?);
        let connection = Connection::<TRANSACTIONS, _>::general(config, sessions.clone());
        let steps =
            Author::new(u, connection, apply_general, sessions.entities().map(|entity| entity.session).collect())
                .write()?;
        Ok(GeneralScript { config, sessions, steps })
    }
}

type Tell<const TRANSACTIONS: usize, S> =
    for<'i> fn(&mut Connection<TRANSACTIONS, S>, Instant, GeneralInput<'i>) -> Outcome<'i>;

/// Writes a script, with the connection that it is for at hand.
struct Author<'u, 'a, const TRANSACTIONS: usize, S> {
    u: &'u mut Unstructured<'a>,
    connection: Connection<TRANSACTIONS, S>,
    tell: Tell<TRANSACTIONS, S>,
    /// Ids of the session entities; none in HSMS-SS.
    sessions: Vec<SessionId>,
    now: Instant,
    /// Octets that the transport has not taken.
    unwritten: u64,
    /// What is left of the frame that is arriving.
    arriving: Vec<u8>,
    paused: bool,
    /// Primaries of the peer that wait for a reply.
    tokens: Vec<ReplyToken>,
    /// Requests of ours that went out over this transport, data and control.
    requests: Vec<Header>,
    /// The last message that came.
    last: Header,
    steps: Vec<Step>,
}

impl<'u, 'a, const TRANSACTIONS: usize, S: Sessions> Author<'u, 'a, TRANSACTIONS, S> {
    fn new(
        u: &'u mut Unstructured<'a>,
        connection: Connection<TRANSACTIONS, S>,
        tell: Tell<TRANSACTIONS, S>,
        sessions: Vec<SessionId>,
    ) -> Self {
        Author {
            u,
            connection,
            tell,
            sessions,
            now: Instant::EPOCH,
            unwritten: 0,
            arriving: Vec::new(),
            paused: false,
            tokens: Vec::new(),
            requests: Vec::new(),
            last: Header::linktest_req(SystemBytes(0)),
            steps: Vec::new(),
        }
    }

    fn write(mut self) -> Result<Vec<Step>> {
        while !self.u.is_empty() && self.steps.len() < MAX_STEPS {
            self.move_on()?;
        }
        self.steps.truncate(MAX_STEPS);
        Ok(self.steps)
    }

    fn move_on(&mut self) -> Result<()> {
        let common = GeneralInput::Common;
        if self.connection.state() == State::NotConnected {
            if !self.connection.is_enabled() {
                self.tell(common(Input::Enable));
            } else if self.u.ratio(1, 16)? {
                self.tell(common(Input::Disable));
            } else if self.connection.next_deadline().is_some() {
                self.wait();
            } else {
                let event = if self.u.ratio(7, 8)? { Event::TransportOpen } else { Event::TransportFailed };
                self.tell(common(Input::Handle(event)));
            }
            return Ok(());
        }
        match self.u.int_in_range(0..=31_u8)? {
            0..=12 => self.peer()?,
            13..=17 => self.written()?,
            18..=24 => self.command()?,
            25..=27 => self.wait(),
            28 | 29 => self.pass()?,
            30 => {
                self.tell(common(Input::Handle(Event::TransportClosed)));
            }
            _ => {
                let input = if self.u.arbitrary()? { Input::Separate } else { Input::Disable };
                self.tell(common(input));
            }
        }
        Ok(())
    }

    /// The next timer expires.
    fn wait(&mut self) {
        if let Some(deadline) = self.connection.next_deadline() {
            self.now = self.now.max(deadline);
            self.expire();
        }
    }

    /// Time passes, and nothing is due.
    fn pass(&mut self) -> Result<()> {
        let span = Duration::from_millis(self.u.int_in_range(0..=5_000)?);
        let later = self.now.saturating_add(span);
        self.now = match self.connection.next_deadline() {
            Some(deadline) if deadline <= later => deadline,
            _ => later,
        };
        self.expire();
        Ok(())
    }

    /// Tells of the time until nothing is due.
    fn expire(&mut self) {
        self.tell(GeneralInput::Common(Input::Handle(Event::Timeout)));
        while self.connection.next_deadline().is_some_and(|deadline| deadline <= self.now)
            && self.steps.len() < MAX_STEPS
        {
            self.tell(GeneralInput::Common(Input::Handle(Event::Timeout)));
        }
    }

    fn written(&mut self) -> Result<()> {
        let octets = if self.u.ratio(3, 4)? { self.unwritten } else { self.u.int_in_range(0..=self.unwritten)? };
        self.tell(GeneralInput::Common(Input::Written { octets }));
        Ok(())
    }

    /// What the application does.
    fn command(&mut self) -> Result<()> {
        let input = if self.connection.is_body_open() && self.u.ratio(7, 8)? {
            if self.u.ratio(7, 8)? { Input::EndBody } else { Input::AbortBody }
        } else if self.paused && self.u.ratio(3, 4)? {
            Input::ResumeInput
        } else {
            match self.u.int_in_range(0..=15_u8)? {
                0..=4 => return self.primary(),
                5..=7 => {
                    let Some(token) = self.one_of(self.tokens.clone())? else { return self.primary() };
                    if self.u.ratio(7, 8)? {
                        Input::BeginReply { token, body_len: self.u.int_in_range(0..=LONGEST)? }
                    } else {
                        Input::BeginAbort { token }
                    }
                }
                8 => Input::Linktest,
                9 => Input::Select,
                10 => Input::PauseInput,
                11 => match self.one_of(self.requests.clone())? {
                    Some(request) => Input::Forget { system: request.system },
                    None => Input::Linktest,
                },
                12 => Input::ReportError { error: self.u.arbitrary()?, about: self.last },
                13 => Input::SetNextSystemBytes(self.u.arbitrary()?),
                _ => return self.about_session(),
            }
        };
        self.tell(GeneralInput::Common(input));
        Ok(())
    }

    fn primary(&mut self) -> Result<()> {
        let stream_function = self.a_primary()?;
        let reply_expected = self.u.ratio(3, 4)?;
        let body_len = self.u.int_in_range(0..=LONGEST)?;
        let input = match self.one_of(self.sessions.clone())? {
            Some(session) => GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len },
            None => {
                let device = match self.one_of(self.connection.config().device_ids().as_slice().to_vec())? {
                    Some(device) => device,
                    None => self.u.arbitrary()?,
                };
                GeneralInput::Common(Input::BeginPrimary { device, stream_function, reply_expected, body_len })
            }
        };
        self.tell(input);
        // Mostly it ends at once, and there is a transport that takes it.
        if self.u.ratio(3, 4)? {
            self.tell(GeneralInput::Common(Input::EndBody));
        }
        Ok(())
    }

    fn about_session(&mut self) -> Result<()> {
        let Some(session) = self.one_of(self.sessions.clone())? else { return Ok(()) };
        let input = match self.u.int_in_range(0..=5_u8)? {
            0 => GeneralInput::SelectSession(session),
            1 => GeneralInput::AnswerSelect { session, status: self.u.arbitrary()? },
            2 => GeneralInput::DeselectSession(session),
            3 => GeneralInput::SeparateSession(session),
            4 => GeneralInput::SetAdmission { session, admission: self.u.arbitrary()? },
            _ => GeneralInput::SetBusy { session, busy: self.u.arbitrary()? },
        };
        self.tell(input);
        Ok(())
    }

    fn a_primary(&mut self) -> Result<StreamFunction> {
        let (stream, pair): (u8, u8) = (self.u.int_in_range(1..=9)?, self.u.int_in_range(0..=8)?);
        Ok(StreamFunction::new(stream, pair.wrapping_mul(2).wrapping_add(1)))
    }

    /// What the peer does: the next octets of a frame, or a new one.
    fn peer(&mut self) -> Result<()> {
        if self.arriving.is_empty() {
            let (header, body) = self.frame()?;
            self.arriving = stream::encode(&Message::new(header, body));
        }
        let left = self.arriving.len();
        let cut = if self.u.ratio(5, 6)? { left } else { self.u.int_in_range(0..=left)? };
        let mut now = self.arriving.clone();
        let later = now.split_off(cut.min(left));
        self.arriving = later;
        // An input ends with its message, if not before, so that a connection takes all of it at once.
        if !now.is_empty() && self.tell(GeneralInput::Common(Input::Receive(&now))) == 0 {
            // Input is paused: it comes later.
            now.append(&mut self.arriving);
            self.arriving = now;
        }
        Ok(())
    }

    /// A message that fits here, or now and then any.
    fn frame(&mut self) -> Result<(Header, &'a [u8])> {
        if !self.u.ratio(9, 10)? {
            return Ok((self.u.arbitrary()?, self.text()?));
        }
        let system = self.u.arbitrary()?;
        let session = self.one_of(self.sessions.clone())?;
        let control = |header: Header| Ok((header, &[][..]));
        let named = |header: Header| session.map_or(header, |session| header.with_session(session));
        if !self.u.ratio(1, 3)?
            && let Some(request) = self.one_of(self.requests.clone())?
            && self.connection.is_open(request.system)
        {
            return self.answer(&request);
        }
        if self.connection.state() == State::NotSelected && self.u.ratio(7, 8)? {
            return control(named(Header::select_req(system)));
        }
        match self.u.int_in_range(0..=15_u8)? {
            0..=9 => {
                let stream_function = self.a_primary()?;
                let session = match session {
                    Some(session) => session,
                    None => match self.one_of(self.connection.config().device_ids().as_slice().to_vec())? {
                        Some(device) => device.session(),
                        None => self.u.arbitrary()?,
                    },
                };
                Ok((Header::data(system, stream_function, self.u.ratio(3, 4)?, session), self.text()?))
            }
            10..=12 => control(Header::linktest_req(system)),
            13 => control(named(Header::select_req(system))),
            14 => control(named(Header::deselect_req(system))),
            _ => control(named(Header::separate_req(system))),
        }
    }

    /// The response or reply to a request of ours, or a refusal.
    fn answer(&mut self, request: &Header) -> Result<(Header, &'a [u8])> {
        let system = request.system;
        if self.u.ratio(1, 12)? && !self.u.is_empty() {
            return Ok((Header::reject_req(system, request.stype.0, self.u.arbitrary()?), &[]));
        }
        let status = if self.u.ratio(7, 8)? { 0 } else { self.u.int_in_range(0..=6)? };
        let response = match request.stype {
            SType::SELECT_REQ => Header::select_rsp(system).with_status(status),
            SType::DESELECT_REQ => Header::deselect_rsp(system).with_status(status),
            SType::LINKTEST_REQ => return Ok((Header::linktest_rsp(system), &[])),
            _ => {
                let primary = request.stream_function();
                let abort = !self.u.ratio(7, 8)?;
                let reply = if abort { primary.abort() } else { primary.reply().unwrap_or(primary) };
                return Ok((Header::data(system, reply, false, request.session), self.text()?));
            }
        };
        Ok((response.with_session(request.session), &[]))
    }

    /// A text, of a length that is accepted mostly.
    fn text(&mut self) -> Result<&'a [u8]> {
        let most = self.connection.config().max_message().saturating_sub(crate::wire::MIN_LENGTH).min(LONGEST);
        let most = if self.u.ratio(15, 16)? { most } else { LONGEST };
        let len = self.u.int_in_range(0..=most)?;
        self.u.bytes(usize::try_from(len).unwrap_or_default().min(self.u.len()))
    }

    fn one_of<T: Copy>(&mut self, values: Vec<T>) -> Result<Option<T>> {
        if values.is_empty() { Ok(None) } else { self.u.choose(&values).copied().map(Some) }
    }

    /// Writes the input down unless the connection refuses it. Gives how many octets were taken, where it is some.
    fn tell(&mut self, input: GeneralInput<'_>) -> usize {
        let mut trial = self.connection.clone();
        let outcome = (self.tell)(&mut trial, self.now, input.clone());
        let mut taken = 0;
        let written_down = match (&input, outcome) {
            (_, Outcome::Refused(_)) => return 0,
            (GeneralInput::Common(Input::Receive(octets)), Outcome::Received { taken: count, inbound }) => {
                taken = count;
                if let Some(inbound) = inbound.filter(|inbound| inbound.first()) {
                    self.last = *inbound.header();
                    self.tokens.extend(inbound.reply_token());
                }
                Input::Receive(octets.get(..count).unwrap_or_default()).into()
            }
            (_, Outcome::Begun { prefix, .. }) => {
                let (header, octets) = begun(&prefix);
                self.unwritten = self.unwritten.saturating_add(octets);
                if header.reply_expected() {
                    self.requests.push(header);
                }
                input.into()
            }
            (GeneralInput::Common(Input::Written { octets }), _) => {
                self.unwritten = self.unwritten.saturating_sub(*octets);
                input.into()
            }
            (GeneralInput::Common(Input::PauseInput), _) => {
                self.paused = true;
                input.into()
            }
            (GeneralInput::Common(Input::ResumeInput), _) => {
                self.paused = false;
                input.into()
            }
            _ => input.into(),
        };
        self.steps.push(Step { now: self.now, input: written_down });
        self.connection = trial;
        while let Some(action) = self.connection.poll_action() {
            self.carry_out(&action);
        }
        taken
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::Send(frame) => {
                let octets = u64::try_from(frame.len()).unwrap_or_default();
                self.unwritten = self.unwritten.saturating_add(octets);
                if let ControlFrame::Control(header) = frame
                    && matches!(header.stype, SType::SELECT_REQ | SType::DESELECT_REQ | SType::LINKTEST_REQ)
                {
                    self.requests.push(*header);
                }
            }
            Action::CloseTransport(_) => {
                self.unwritten = 0;
                self.arriving.clear();
                self.paused = false;
                self.tokens.clear();
                self.requests.clear();
            }
            Action::OpenTransport | Action::Notify(_) => {}
        }
    }
}

/// Header of a message that was begun, and its octets in all.
fn begun(prefix: &[u8; PREFIX_LEN]) -> (Header, u64) {
    let [l0, l1, l2, l3, header @ ..] = prefix;
    let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
    (Header::decode(header), u64::from(length).saturating_add(4))
}
