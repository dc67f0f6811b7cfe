//! One link: two ends, the transports between them, and what is pending.

use super::application::{Answer, LEAST_TEXT, REPLY};
use super::end::{End, Text, Watched};
use super::faults::LONGEST;
use super::network::Conn;
use super::stranger::Stranger;
use super::wire::{NEVER, Tally};
use super::{FAULTS, Fault, Figures, Made, Plan, SESSIONS, millis};
use crate::invariants::{Broken, ends_agree, selected_means_accepted, waiting_is_guarded};
use hsms_core::Error;
use hsms_core::config::{Config, ConnectMode, DeviceId, Entity, Profile};
use hsms_core::connection::{Action, Connection, GeneralInput, Input, Outcome, State, Stream9};
use hsms_core::wire::{Header, PREFIX_LEN, StreamFunction, SystemBytes};
use hsms_std::faults::broken::PEERS;
use std::collections::VecDeque;
use std::time::Duration;

// What can be pending. Each has a place with its time, so that nothing that was put off or called off is left in a queue; at the
// same time the lower place comes first.
pub(super) const TIMER: usize = 0;
pub(super) const ACT: usize = 2;
pub(super) const TEXT: usize = 4;
pub(super) const OWED: usize = 6;
pub(super) const WAKE: usize = 8;
pub(super) const DIAL: usize = 10;
pub(super) const BIND: usize = 11;
pub(super) const FAULT: usize = 12;
pub(super) const STRANGER: usize = 13;
pub(super) const REFUSER: usize = 14;
const STALL: usize = 15;
pub(super) const WIRE: usize = 17;

/// Transports at once: one for each end where they do not agree, and one for a caller that is refused.
const CONNS: usize = 3;
const PLACES: usize = WIRE + 2 * CONNS;

/// How long an answer is put off that cannot be begun yet.
const LATER: u64 = 50;

/// An end whose writes find no room for so long counts its link as lost, as an adapter has to: timers of requests only count from
/// when the request has been written, so on a half-open link without room none of them ever starts.
const WRITE_LIMIT: u64 = 20_000;

pub(super) struct Link<M> {
    number: u64,
    pub(super) rng: fastrand::Rng,
    /// Of what no end of the link writes: in what pieces, and when they arrive.
    pub(super) foreign: fastrand::Rng,
    pub(super) now: u64,
    pub(super) at: [u64; PLACES],
    pub(super) ends: [End<M>; 2],
    pub(super) conns: [Conn; CONNS],
    pub(super) refuser: Option<Box<Watched<Connection<0>>>>,
    pub(super) stranger: Option<Stranger>,
    pub(super) configs: [Config; 2],
    /// What each end sent and the other never received.
    pub(super) lost: [Tally; 2],
    pub(super) faults: [u64; FAULTS.len()],
    pub(super) visits: [u64; PEERS.len()],
    pause: u64,
    /// See [`Plan::spoiled`].
    spoiled: u64,
    pub(super) between_faults: u64,
    /// The way of an octet takes so long, and up to so much longer.
    pub(super) latency: u64,
    pub(super) jitter: u64,
    /// Octets that can be on their way in one direction.
    pub(super) window: usize,
    pub(super) slow_until: u64,
    pub(super) refusing_until: u64,
    /// There are no faults any more, and nothing new is asked for.
    pub(super) healing: bool,
    trace: Option<(VecDeque<String>, usize)>,
}

impl<M: Made> Link<M> {
    pub(super) fn new(plan: &Plan, number: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
        // Neighbouring seeds begin alike.
        for _ in 0..4 {
            let _ = rng.u64(..);
        }
        let foreign = fastrand::Rng::with_seed(rng.get_seed() ^ 1);
        let configs = configs(&mut rng);
        let watched = plan.watches(number);
        let ends = [0, 1].map(|end| End::new(end, M::made(configs[end], end), watched));
        let latency = rng.u64(1..40);
        let mut link = Link {
            number,
            now: 0,
            at: [NEVER; PLACES],
            ends,
            conns: Default::default(),
            refuser: None,
            stranger: None,
            configs,
            lost: Default::default(),
            faults: [0; FAULTS.len()],
            visits: [0; PEERS.len()],
            pause: millis(plan.pause),
            spoiled: if plan.spoiled.is_zero() { NEVER } else { millis(plan.spoiled) },
            between_faults: millis(plan.faults),
            latency,
            jitter: 1 + latency / 2,
            window: [128, 1_024, 8_192, 65_536][rng.usize(..4)],
            slow_until: 0,
            refusing_until: 0,
            healing: false,
            trace: None,
            rng,
            foreign,
        };
        for end in 0..2 {
            link.at[WAKE + end] = link.rng.u64(1..3_000);
            if link.pause > 0 {
                link.at[ACT + end] = link.rng.u64(1..5_000);
            }
        }
        if link.between_faults > 0 {
            link.at[FAULT] = link.rng.u64(..2 * link.between_faults);
        }
        link
    }

    /// A machine as it is after a start.
    pub(super) fn make(&self, end: usize) -> M {
        M::made(self.configs[end], end)
    }

    /// Lets everything happen up to `until`.
    pub(super) fn advance(&mut self, until: u64) -> Result<(), String> {
        loop {
            let (mut place, mut first) = (0, NEVER);
            for (index, at) in self.at.iter().enumerate() {
                if *at < first {
                    (place, first) = (index, *at);
                }
            }
            if first > until {
                return Ok(());
            }
            self.now = self.now.max(first);
            let looked = |link: &Self| link.look().map_err(|broken| broken.to_string());
            self.happen(place).and_then(|()| looked(self)).map_err(|what| format!("at {} ms: {what}", self.now))?;
        }
    }

    /// What has to hold of two ends of one transport at any moment, and what once nothing is under way between them.
    fn look(&self) -> Result<(), Broken> {
        let [one, other] = &self.ends;
        let conn = one.socket.filter(|_| one.socket == other.socket);
        let (Some(conn), Some(here), Some(there)) = (conn, one.watch(), other.watch()) else { return Ok(()) };
        selected_means_accepted((here.machine(), here.said()), (there.machine(), there.said()))?;
        let still = |end: usize| {
            let (wire, end) = (&self.conns[conn].wires[end], &self.ends[end]);
            wire.is_still() && end.pending().is_empty() && !end.machine().is_body_open()
        };
        if still(0) && still(1) { ends_agree(here.machine(), there.machine()) } else { Ok(()) }
    }

    fn happen(&mut self, place: usize) -> Result<(), String> {
        match place {
            TIMER..ACT => self.fire(place - TIMER),
            ACT..TEXT => self.act(place - ACT),
            TEXT..OWED => self.go_on_writing(place - TEXT),
            OWED..WAKE => self.answer(place - OWED),
            WAKE..DIAL => self.wake(place - WAKE),
            DIAL => self.dial(),
            BIND => self.bind_fails(),
            FAULT => self.go_wrong(),
            STRANGER => self.stranger_wakes(),
            REFUSER => self.refuser_fires(),
            STALL..WIRE => self.stall(place - STALL),
            _ => self.arrive((place - WIRE) / 2, (place - WIRE) % 2),
        }
    }

    fn fire(&mut self, end: usize) -> Result<(), String> {
        self.at[TIMER + end] = NEVER;
        if self.ends[end].frozen || self.ends[end].down {
            return Ok(());
        }
        let due = self.ends[end].deadline();
        if due <= self.now {
            self.note(|| format!("end {end}: time"));
            self.ends[end].fire(self.now)?;
        }
        self.settle(end)
    }

    /// Tells an end something, and does what it wants.
    pub(super) fn tell_general(
        &mut self,
        end: usize,
        input: GeneralInput<'static>,
    ) -> Result<Outcome<'static>, String> {
        if self.is_traced() {
            let line = format!("end {end} is told {input:?}");
            let outcome = self.ends[end].tell(self.now, input)?;
            self.note(|| format!("{line}: {outcome:?}"));
            return self.settle(end).map(|()| outcome);
        }
        let outcome = self.ends[end].tell(self.now, input)?;
        self.settle(end)?;
        Ok(outcome)
    }

    /// Does what the machine of an end wants, until it wants nothing more.
    pub(super) fn settle(&mut self, end: usize) -> Result<(), String> {
        let mut closed = false;
        let mut wrote = false;
        loop {
            while !self.ends[end].actions.is_empty() {
                let mut actions = std::mem::take(&mut self.ends[end].actions);
                for action in &actions {
                    self.ends[end].note(self.now, action)?;
                    self.note(|| format!("end {end}: {action}"));
                    match action {
                        Action::OpenTransport => self.open(end),
                        Action::Send(frame) => self.append(end, &frame.header(), frame.body_len(), &frame.encode())?,
                        Action::CloseTransport(_) => {
                            closed = true;
                            self.close(end)?;
                        }
                        Action::Notify(_) => {}
                    }
                }
                actions.clear();
                if self.ends[end].actions.is_empty() {
                    self.ends[end].actions = actions;
                }
            }
            let octets = self.write(end) as u64;
            if octets == 0 {
                break;
            }
            wrote = true;
            let written = self.ends[end].tell(self.now, GeneralInput::Common(Input::Written { octets }))?;
            if written != Outcome::Done {
                return Err(format!("end {end} wrote {octets} octets, and says {written:?}"));
            }
        }
        if closed {
            self.ends[end].nothing_is_open()?;
        }
        let stopped = self.ends[end].frozen || self.ends[end].down;
        self.at[TIMER + end] = if stopped { NEVER } else { self.ends[end].deadline() };
        let stuck = !self.ends[end].pending().is_empty() && !stopped;
        if !stuck {
            self.at[STALL + end] = NEVER;
        } else if wrote || self.at[STALL + end] == NEVER {
            self.at[STALL + end] = self.now + WRITE_LIMIT;
        }
        let owed = self.ends[end].owed.iter().map(|owed| owed.at).min();
        self.at[OWED + end] = owed.filter(|_| !stopped).unwrap_or(NEVER);
        Ok(())
    }

    /// The peer has taken nothing for too long.
    fn stall(&mut self, end: usize) -> Result<(), String> {
        self.at[STALL + end] = NEVER;
        if self.ends[end].frozen {
            return Ok(());
        }
        self.count(Fault::WriteStalled);
        self.note(|| format!("end {end} cannot write"));
        self.lose(end)
    }

    /// A message joins the ordered output, or the beginning of one.
    fn append(&mut self, end: usize, header: &Header, body_len: u32, octets: &[u8]) -> Result<(), String> {
        let Some(conn) = self.ends[end].socket else { return Err(format!("{header:?} has no transport")) };
        self.conns[conn].wires[end].announce(header, body_len);
        self.ends[end].append(octets);
        Ok(())
    }

    /// A message of the application was begun.
    fn begun(&mut self, end: usize, prefix: &[u8; PREFIX_LEN], text: Text, now: u32) -> Result<(), String> {
        let [_, _, _, _, header @ ..] = prefix;
        let header = Header::decode(header);
        self.ends[end].counters.record_sent(&header, text.len);
        self.append(end, &header, text.len, prefix)?;
        self.append_text(end, &text, 0, now);
        if now < text.len {
            self.ends[end].text = Some(Text { from: now, ..text });
            self.at[TEXT + end] = self.now + self.rng.u64(1..400);
            // What there is may leave.
            return self.settle(end);
        }
        self.tell(end, Input::EndBody).map(drop)
    }

    /// The rest of a text is written, or given up.
    fn go_on_writing(&mut self, end: usize) -> Result<(), String> {
        self.at[TEXT + end] = NEVER;
        if self.ends[end].frozen {
            return Ok(());
        }
        let Some(text) = self.ends[end].text.take() else { return Ok(()) };
        if self.rng.u8(..) < 2 && !self.healing && self.between_faults > 0 {
            self.count(Fault::TextAborted);
            let outcome = self.tell(end, Input::AbortBody)?;
            return if outcome == Outcome::Done { Ok(()) } else { Err(format!("AbortBody: {outcome:?}")) };
        }
        self.append_text(end, &text, text.from, text.len);
        self.tell(end, Input::EndBody).map(drop)
    }

    fn append_text(&mut self, end: usize, text: &Text, from: u32, to: u32) {
        self.ends[end].append_text(text.id, from, to);
        if to == text.len && to > LEAST_TEXT.max(from) && self.now >= self.spoiled {
            self.note(|| format!("end {end} writes a text with a wrong octet"));
            self.ends[end].spoil();
        }
    }

    /// The application does something by itself.
    fn act(&mut self, end: usize) -> Result<(), String> {
        self.at[ACT + end] = if self.pause == 0 { NEVER } else { self.now + 1 + self.rng.u64(..2 * self.pause) };
        if self.ends[end].frozen || self.ends[end].down {
            return Ok(());
        }
        if std::mem::take(&mut self.ends[end].disabled) {
            return self.tell(end, Input::Enable).map(drop);
        }
        if self.ends[end].machine().state() == State::NotConnected {
            return Ok(());
        }
        let draw = self.rng.u8(..);
        if M::GENERAL && draw.is_multiple_of(8) {
            // What has ended is selected again; where it has not, this is refused.
            return self.tell_general(end, GeneralInput::SelectSession(SESSIONS[usize::from(draw >> 7)])).map(drop);
        }
        if self.ends[end].machine().state() != State::Selected || self.healing {
            return Ok(());
        }
        match draw {
            1..6 => {
                if let Outcome::Requested { system } =
                    self.ends[end].tell(self.now, GeneralInput::Common(Input::Linktest))?
                {
                    self.ends[end].ledger.linktest = Some(system);
                }
                self.settle(end)
            }
            6..12 => {
                let open = self.ends[end].ledger.open();
                let Some(system) = open.first().map(|request| request.system) else { return Ok(()) };
                let outcome = self.tell(end, Input::Forget { system })?;
                if outcome != Outcome::Done {
                    return Err(format!("{system} is open, and cannot be forgotten: {outcome:?}"));
                }
                self.ends[end].ledger.forget(system)
            }
            12..20 if M::GENERAL && self.between_faults > 0 => self.end_session(end),
            _ => self.ask(end),
        }
    }

    /// The application sends a primary.
    fn ask(&mut self, end: usize) -> Result<(), String> {
        let draw = self.rng.u64(..);
        let stream_function = [(1, 1), (1, 3), (2, 41), (6, 11)][draw as usize % 4];
        let stream_function = StreamFunction::new(stream_function.0, stream_function.1);
        let reply_expected = draw >> 8 & 7 != 0;
        let session = SESSIONS[if M::GENERAL { (draw >> 16 & 1) as usize } else { 0 }];
        let len = self.text_len();
        let input = GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len: len };
        match self.tell_general(end, input)? {
            Outcome::Begun { system: Some(system), prefix } => {
                let id = self.ends[end].ledger.number(end);
                if reply_expected {
                    self.ends[end].ledger.begin(system, id, stream_function, self.now)?;
                }
                let first = if draw >> 24 & 7 == 0 { self.rng.u32(..len) } else { len };
                self.begun(end, &prefix, Text { id, from: 0, len }, first)
            }
            Outcome::Refused(Error::BodyOpen | Error::TransactionsFull { .. } | Error::SessionNotSelected { .. }) => {
                Ok(())
            }
            other => Err(format!("end {end} is SELECTED and refuses a primary: {other:?}")),
        }
    }

    fn text_len(&mut self) -> u32 {
        let draw = self.rng.u64(..);
        let len = (draw >> 16) as u32 & 0xFFFF;
        LEAST_TEXT
            + match draw % 64 {
                0 => len % 6_000,
                1..8 => len % 600,
                _ => len % 64,
            }
    }

    /// The application answers what it owes.
    fn answer(&mut self, end: usize) -> Result<(), String> {
        let now = self.now;
        let due = self.ends[end].owed.iter().position(|owed| owed.at <= now);
        let Some(due) = due.filter(|_| !self.ends[end].frozen) else { return self.settle(end) };
        let owed = self.ends[end].owed.remove(due);
        let token = owed.token;
        let len = if owed.answer == Answer::Reply { self.text_len() } else { 0 };
        let input = match owed.answer {
            Answer::Reply => Input::BeginReply { token, body_len: len },
            Answer::Abort => Input::BeginAbort { token },
            Answer::Error => Input::ReportError {
                error: Stream9::IllegalData,
                about: Header::data(token.system(), token.primary(), true, token.session()),
            },
        };
        match self.tell(end, input)? {
            Outcome::Begun { prefix, .. } => self.begun(end, &prefix, Text { id: owed.id | REPLY, from: 0, len }, len),
            Outcome::Done
            | Outcome::Refused(
                Error::StaleToken | Error::NotSelected | Error::NotForStream9 | Error::SessionNotSelected { .. },
            ) => Ok(()),
            Outcome::Refused(Error::BodyOpen) => {
                self.ends[end].owed.push(super::application::Owed { at: now + LATER, ..owed });
                self.settle(end)
            }
            other => Err(format!("end {end} cannot answer {owed:?}: {other:?}")),
        }
    }

    /// An end starts, goes on, or reads again.
    fn wake(&mut self, end: usize) -> Result<(), String> {
        self.at[WAKE + end] = NEVER;
        let (down, deaf) = (self.ends[end].down, self.ends[end].deaf);
        (self.ends[end].down, self.ends[end].deaf, self.ends[end].frozen) = (false, false, false);
        if down {
            let system = SystemBytes(self.rng.u32(..));
            self.tell(end, Input::SetNextSystemBytes(system))?;
            self.tell(end, Input::Enable)?;
        }
        if deaf {
            // Where it was not paused, or is not connected any more, that changes nothing.
            self.tell(end, Input::ResumeInput)?;
        }
        (0..CONNS).for_each(|conn| self.look_at(conn));
        if self.ends[end].text.is_some() {
            self.at[TEXT + end] = self.now;
        }
        if end == 0 && self.ends[0].wants {
            self.at[DIAL] = self.now + self.latency;
        }
        self.settle(end)
    }

    /// All faults end; within bounds the link has to recover, and everything has to add up.
    pub(super) fn finish(&mut self, figures: &mut Figures) -> Result<(), String> {
        self.healing = true;
        self.at[FAULT] = NEVER;
        (self.refusing_until, self.slow_until) = (0, 0);
        self.note(|| "all faults end".into());
        self.stranger_leaves();
        for end in 0..2 {
            if self.ends[end].disabled {
                // Behind the end of a freeze.
                self.at[ACT + end] = self.now + 2;
            }
            if self.at[WAKE + end] != NEVER {
                self.at[WAKE + end] = self.now + 1;
            }
        }
        let until = self.now + self.recovers_within();
        self.advance(until)?;
        self.now = until;
        let messages: u64 = self.ends.iter().map(|end| end.counters.received.messages.total()).sum();
        for end in 0..2 {
            let here = &self.ends[end];
            if here.machine().state() != State::Selected {
                return Err(format!("end {end} is {} long after all faults", here.machine().state()));
            }
            waiting_is_guarded(here.machine()).map_err(|broken| broken.to_string())?;
            let ended: u64 = here.ledger.ended.iter().sum();
            if !here.ledger.open().is_empty() || ended != here.ledger.begun {
                return Err(format!("requests of end {end} have no outcome: {:?}", here.ledger));
            }
        }
        let [one, other] = &self.ends;
        ends_agree(one.machine(), other.machine()).map_err(|broken| broken.to_string())?;
        self.counters_agree()?;
        figures.links += 1;
        figures.millis += self.now;
        figures.messages += messages;
        let per_hour = messages * 3_600_000 / self.now;
        figures.least_messages_per_hour =
            Some(figures.least_messages_per_hour.map_or(per_hour, |least| least.min(per_hour)));
        for end in &self.ends {
            figures.steps += end.steps;
            figures.requests += end.ledger.begun;
            figures.ended.iter_mut().zip(end.ledger.ended).for_each(|(sum, count)| *sum += count);
            figures.hash = figures.hash.rotate_left(11) ^ end.hash.0;
        }
        figures.faults.iter_mut().zip(self.faults).for_each(|(sum, count)| *sum += count);
        figures.visits.iter_mut().zip(self.visits).for_each(|(sum, count)| *sum += count);
        Ok(())
    }

    /// How long a link may need once there are no faults: what was held arrives, each end finds out by a linktest that the link is
    /// gone, calls in vain while the other has not, and is selected; and the last request runs into T3 or is answered.
    fn recovers_within(&self) -> u64 {
        let of =
            |timer: fn(&Config) -> Duration| self.configs.iter().map(|config| millis(timer(config))).max().unwrap_or(0);
        let threshold = self.configs.iter().map(|config| u64::from(config.linktest_threshold())).max().unwrap_or(1);
        let gone = threshold * (of(Config::linktest_period) + of(Config::t6));
        2 * (LONGEST + WRITE_LIMIT) + 2 * gone + 3 * of(Config::t5) + of(Config::t6) + of(Config::t7) + of(Config::t3)
    }

    /// What an end sent, the other received or the network lost, type by type and to the octet.
    fn counters_agree(&mut self) -> Result<(), String> {
        (0..CONNS).for_each(|conn| self.settle_accounts(conn));
        for end in 0..2 {
            let (here, there) = (&self.ends[end], &self.ends[1 - end]);
            let sent = Tally::of(&here.counters.sent).since(&here.foreign.0);
            let received = Tally::of(&there.counters.received).since(&there.foreign.1);
            let mut explained = received;
            explained.add(&self.lost[end]);
            if sent != explained {
                let lost = &self.lost[end];
                return Err(format!("end {end} sent {sent:?}\nand received were {received:?}\nand lost {lost:?}"));
            }
        }
        Ok(())
    }

    // Trace.

    pub(super) fn keep_trace(&mut self, lines: usize) {
        self.trace = Some((VecDeque::new(), lines));
        let number = self.number;
        let configs = self.configs;
        self.note(|| format!("link {number}: {configs:?}"));
    }

    pub(super) const fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    #[inline]
    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some((lines, most)) = &mut self.trace {
            if lines.len() >= *most {
                lines.pop_front();
            }
            lines.push_back(format!("{:>9} {}", self.now, line()));
        }
    }

    pub(super) fn trace(&mut self) -> Vec<String> {
        self.trace.take().map(|(lines, _)| lines.into()).unwrap_or_default()
    }
}

/// Settings of both ends, within what the strict profile allows.
fn configs(rng: &mut fastrand::Rng) -> [Config; 2] {
    let device = DeviceId::new(SESSIONS[0].0).expect("a device id");
    let host_dials = rng.u8(..4) != 0;
    [ConnectMode::Active, ConnectMode::Passive].map(|mode| {
        let host = host_dials == (mode == ConnectMode::Active);
        let entity = if host { Entity::Host } else { Entity::Equipment };
        let mut seconds = |range| Duration::from_secs(rng.u64(range));
        let config = Config::new(mode, entity, hsms_core::config::DeviceIds::one(device))
            .with_t3(seconds(5..46))
            .and_then(|config| config.with_t5(seconds(1..11)))
            .and_then(|config| config.with_t6(seconds(2..7)))
            .and_then(|config| config.with_t7(seconds(4..12)))
            .and_then(|config| config.with_t8(seconds(2..7)))
            .and_then(|config| config.with_linktest_period(seconds(10..61)));
        let config = config.expect("all within range");
        match rng.u8(..4) {
            0 => config.with_profile(Profile::Strict),
            1 => config.with_linktest_threshold(rng.u8(2..4)),
            _ => Ok(config),
        }
        .expect("all within range")
    })
}
