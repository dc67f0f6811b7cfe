//! What both standards have in common: the transport, time, the ordered output, open texts, transactions and numbers.
//!
//! The model keeps two clocks. One shows the time; the other stands still while nothing is read, and T3, T6, T8 and the
//! linktest period are told by that one. What was sent and not taken by the transport is a list of messages, and a timer of a
//! request begins when its message leaves that list.

use super::outputs::Outputs;
use hsms_core::config::{Config, ConnectMode, DeviceId, DeviceIds, Entity, Profile, SelectMode};
use hsms_core::connection::{
    Admission, CloseReason, ControlFrame, ControlRequest, Event, Leniency, Mode, Notice, SessionEntity, State, Stream9,
    TransactionEnd,
};
use hsms_core::error::Error;
use hsms_core::wire::{Header, SessionId, SystemBytes};
use std::time::Duration;

/// Open transactions that there is room for.
pub const ROOM: usize = 2;
/// Session entities at most.
pub const SESSIONS: usize = 4;
/// Frames that can wait for the end of a text; one more message ends the link.
pub const HELD: usize = 6;
/// Tokens that the application keeps.
pub const KEPT: usize = 5;
pub const DEVICE: u16 = 1;
/// Milliseconds, so odd that two timers hardly ever expire together.
pub const T3: u64 = 45_001;
pub const T5: u64 = 9_011;
pub const T6: u64 = 5_003;
pub const T7: u64 = 10_007;
pub const T8: u64 = 4_021;
pub const PERIOD: u64 = 30_013;
/// Length fields.
pub const MOST: u32 = 110;
pub const SKIP: u32 = 150;

/// What happens to a connection.
#[derive(Debug, Clone)]
pub enum Cause {
    Enable,
    Disable,
    Separate,
    Select,
    Linktest,
    Tell(Event),
    /// A primary of ours is begun.
    Ask {
        session: u16,
        stream: u8,
        function: u8,
        wait: bool,
        text: Text,
    },
    /// The reply to a primary of the peer's, by its place; an abort has no text.
    Reply {
        place: usize,
        abort: bool,
        text: Text,
    },
    /// The text that is open ends, or is given up.
    EndText,
    AbortText,
    /// The transport takes octets.
    Written(u64),
    /// A transaction of ours is given up.
    Forget(u32),
    Pause,
    Resume,
    SetDevices(Vec<u16>),
    SetNext(u32),
    Report(Stream9, [u8; 10]),
    /// Octets of the peer's come; `rest` is what it is about to send behind them.
    Receive {
        octets: Vec<u8>,
        rest: Vec<u8>,
    },
    /// The next timer expires, and all that expire with it.
    Expire,
    /// So many milliseconds pass, as far as nothing expires.
    Pass(u64),
    /// HSMS-GS: something about a session.
    Session(u16, Wish),
}

/// A text that is begun: its octets, and whether it ends at once.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    pub len: u32,
    pub ended: bool,
}

/// What the application wants of a session.
#[derive(Debug, Clone, Copy)]
pub enum Wish {
    Select,
    Deselect,
    Separate,
    Answer(u8),
    Admit(Admission),
    Busy(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Disabled,
    Waiting,
    Opening,
    NotSelected,
    Selected,
}

/// A control request of ours.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub kind: ControlRequest,
    pub system: u32,
    /// Which of all things that were ever sent it is; `None` while it waits for the end of a text.
    pub sent: Option<u32>,
    /// By the reading clock.
    pub t6: Option<u64>,
    /// Of a linktest: when T6 would have ended without the texts that came meanwhile, and whether that was told.
    pub t6_without_texts: Option<u64>,
    pub told: bool,
    /// Of a request about a session: the session began or ended otherwise since.
    pub pointless: bool,
}

/// A primary of ours that waits for its reply.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    pub system: u32,
    pub session: u16,
    pub stream: u8,
    pub function: u8,
    pub sent: u32,
    /// By the reading clock; `None` before it is written, and once the reply arrives.
    pub t3: Option<u64>,
    pub arrives: bool,
}

/// A primary of the peer's, and in which session of all that ever were it came.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub header: Header,
    pub era: u32,
}

/// A session entity of HSMS-GS.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    pub entity: SessionEntity,
    pub selected: bool,
    pub busy: bool,
    pub era: u32,
    /// System bytes of a Select.req that the application thinks about.
    pub asked: Option<u32>,
    pub request: Option<Request>,
}

/// What the connection is made with.
#[derive(Debug, Clone)]
pub struct Setup {
    pub active: bool,
    pub equipment: bool,
    pub strict: bool,
    /// The application selects.
    pub on_command: bool,
    /// Only tells its caller that another is served.
    pub refusing: bool,
    /// The transport takes everything at once.
    pub eager: bool,
    /// The application leaves texts open for long.
    pub dawdles: bool,
    pub general: bool,
    /// What every connection begins with.
    pub mode: Mode,
    pub entities: Vec<SessionEntity>,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub setup: Setup,
    pub now: u64,
    /// How long nothing was read so far, and since when it is not.
    pub stood: u64,
    pub paused: Option<u64>,
    pub place: Place,
    /// When the next dial is allowed.
    pub t5: Option<u64>,
    pub t7: Option<u64>,
    pub t8: Option<u64>,
    /// Our Select.req of HSMS-SS, and our linktest.
    pub select: Option<Request>,
    pub linktest: Option<Request>,
    pub open: Vec<Open>,
    pub asked: Vec<Asked>,
    /// Since when nothing came, and linktests missed since.
    pub quiet: u64,
    pub missed: u8,
    pub next: u32,
    /// The first system bytes of this transport, and those of the transaction that ended last.
    pub first: u32,
    pub ended: u32,
    pub devices: Vec<u16>,
    /// Octets of each message that the transport has not taken, and which it is.
    pub output: Vec<(u64, u32)>,
    /// A text of ours is open; these frames wait for its end.
    pub text: bool,
    pub held: Vec<ControlFrame>,
    /// Length field and header of what arrives, and the text behind them.
    pub prefix: Vec<u8>,
    pub arriving: Option<super::arrival::Arriving>,
    pub mode: Mode,
    pub sessions: Vec<Session>,
    /// Counts connections and sessions, and all that was sent.
    pub era: u32,
    pub counted: u32,
    /// What the peer is about to send.
    pub rest: Vec<u8>,
    pub out: Outputs,
}

impl Model {
    pub fn new(setup: Setup) -> Self {
        let fresh = |entity: &SessionEntity| Session {
            entity: *entity,
            selected: false,
            busy: false,
            era: 0,
            asked: None,
            request: None,
        };
        Model {
            place: if setup.refusing { Place::Opening } else { Place::Disabled },
            mode: setup.mode,
            sessions: setup.entities.iter().map(fresh).collect(),
            setup,
            now: 0,
            stood: 0,
            paused: None,
            t5: None,
            t7: None,
            t8: None,
            select: None,
            linktest: None,
            open: Vec::new(),
            asked: Vec::new(),
            quiet: 0,
            missed: 0,
            next: 1,
            first: 1,
            ended: 0,
            devices: vec![DEVICE],
            output: Vec::new(),
            text: false,
            held: Vec::new(),
            prefix: Vec::new(),
            arriving: None,
            era: 0,
            counted: 0,
            rest: Vec::new(),
            out: Outputs::default(),
        }
    }

    pub fn config(&self) -> Config {
        let setup = &self.setup;
        let mode = if setup.active { ConnectMode::Active } else { ConnectMode::Passive };
        let entity = if setup.equipment { Entity::Equipment } else { Entity::Host };
        let millis = Duration::from_millis;
        let config = Config::new(mode, entity, device_ids(&[DEVICE]));
        let timed = config.with_t3(millis(T3)).and_then(|config| config.with_t5(millis(T5)));
        let timed = timed.and_then(|config| config.with_t6(millis(T6))?.with_t7(millis(T7))?.with_t8(millis(T8)));
        let timed = timed.and_then(|config| config.with_linktest_period(millis(PERIOD))?.with_max_message(MOST));
        let config = timed.and_then(|config| config.with_skip_limit(SKIP)).unwrap();
        let config =
            config.with_select_mode(if setup.on_command { SelectMode::OnCommand } else { SelectMode::OnConnect });
        let profile = if setup.strict { Profile::Strict } else { Profile::Lenient };
        config.with_linktest_threshold(self.threshold()).and_then(|config| config.with_profile(profile)).unwrap()
    }

    pub fn threshold(&self) -> u8 {
        if self.setup.strict { 1 } else { 2 }
    }

    pub fn state(&self) -> State {
        match self.place {
            Place::Disabled | Place::Waiting | Place::Opening => State::NotConnected,
            Place::NotSelected => State::NotSelected,
            Place::Selected => State::Selected,
        }
    }

    pub fn connected(&self) -> bool {
        self.state() != State::NotConnected
    }

    /// Whether E37.2 holds.
    pub fn general(&self) -> bool {
        self.mode != Mode::Single
    }

    /// The clock that stands still while nothing is read.
    pub fn reading(&self) -> u64 {
        self.paused.unwrap_or(self.now) - self.stood
    }

    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        let sessions = self.sessions.iter().filter_map(|session| session.request.as_ref());
        self.select.iter().chain(&self.linktest).chain(sessions)
    }

    pub fn requests_mut(&mut self) -> impl Iterator<Item = &mut Request> {
        let sessions = self.sessions.iter_mut().filter_map(|session| session.request.as_mut());
        self.select.iter_mut().chain(&mut self.linktest).chain(sessions)
    }

    /// No further frame can wait for the end of the text.
    pub fn is_full(&self) -> bool {
        self.text && self.held.len() >= HELD
    }

    pub fn is_open(&self, system: u32) -> bool {
        self.open.iter().any(|open| open.system == system) || self.requests().any(|request| request.system == system)
    }

    /// E37 8.1.4.6: no open transaction of ours has it, nor has the one that ended last, nor has what is still to go out.
    pub fn number(&mut self) -> SystemBytes {
        while self.next == self.ended || self.is_open(self.next) || self.is_held(self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let system = self.next;
        self.next = self.next.wrapping_add(1);
        SystemBytes(system)
    }

    fn is_held(&self, system: u32) -> bool {
        let ours = |frame: &&ControlFrame| matches!(frame, ControlFrame::Stream9 { .. });
        self.held.iter().filter(ours).any(|frame| frame.header().system.0 == system)
    }

    /// Whether it was given away over this transport.
    pub fn was_given(&self, system: u32) -> bool {
        system.wrapping_sub(self.first) < self.next.wrapping_sub(self.first)
    }

    pub fn count(&mut self) -> u32 {
        self.counted += 1;
        self.counted
    }

    pub fn request(&mut self, kind: ControlRequest) -> Request {
        let system = self.number().0;
        Request { kind, system, sent: None, t6: None, t6_without_texts: None, told: false, pointless: false }
    }

    pub fn send(&mut self, header: Header) {
        self.put(ControlFrame::Control(header));
    }

    pub fn put(&mut self, frame: ControlFrame) {
        if self.text { self.held.push(frame) } else { self.append(frame) }
    }

    pub fn append(&mut self, frame: ControlFrame) {
        let count = self.count();
        let octets = match frame {
            ControlFrame::Control(header) => {
                let requests = self.requests_mut();
                if matches!(header.stype.0, 1 | 3 | 5)
                    && let Some(request) = requests.into_iter().find(|request| request.system == header.system.0)
                {
                    request.sent = Some(count);
                }
                14
            }
            ControlFrame::Stream9 { .. } => 14 + 12,
        };
        self.output.push((octets, count));
        self.out.sent.push(frame);
    }

    /// Where no text is open, nothing waits for its end. Requests about sessions come in the order of the list.
    pub fn release(&mut self) {
        if self.text {
            return;
        }
        for frame in std::mem::take(&mut self.held) {
            self.append(frame);
        }
        let waiting: Vec<Header> = self.sessions.iter().filter_map(|session| session.waiting()).collect();
        for header in waiting {
            self.append(ControlFrame::Control(header));
        }
    }

    pub fn outstanding(&self) -> u64 {
        self.output.iter().map(|(octets, _)| octets).sum()
    }

    pub fn written(&mut self, octets: u64) {
        let outstanding = self.outstanding();
        if octets > outstanding {
            // Of a farewell, when there is no transport any more.
            if self.connected() {
                self.out.refused = Some(Error::WrittenTooMuch { octets, outstanding });
            }
            return;
        }
        let mut left = octets;
        while left > 0 {
            let (first, count) = self.output[0];
            if first > left {
                self.output[0].0 -= left;
                return;
            }
            left -= first;
            self.output.remove(0);
            self.left(count);
        }
    }

    /// The last octet of this message was taken: E37 9.3.1 and 9.4.1 count from here.
    pub fn left(&mut self, count: u32) {
        let reading = self.reading();
        for request in self.requests_mut().filter(|request| request.sent == Some(count)) {
            request.t6 = Some(reading + T6);
        }
        for open in self.open.iter_mut().filter(|open| open.sent == count && !open.arrives) {
            open.t3 = Some(reading + T3);
        }
    }

    /// E5 7.13: equipment tells the host, but never about stream 9 or an abort.
    pub fn stream9(&mut self, function: u8, about: Header) {
        if self.setup.equipment && about.stream() != 9 && about.function() != 0 {
            let session = if self.general() { about.session.0 } else { self.own_device(about.session.0) };
            let system = self.number();
            self.ended = system.0;
            self.put(ControlFrame::Stream9 { function, session: SessionId(session), system, about });
        }
    }

    /// The device id of the message where it is ours, else our first.
    pub fn own_device(&self, session: u16) -> u16 {
        let device = session & 0x7FFF;
        if self.serves(device) { device } else { self.devices[0] }
    }

    pub fn serves(&self, device: u16) -> bool {
        device < 0x8000 && (self.devices.is_empty() || self.devices.contains(&device))
    }

    pub fn tell(&mut self, notice: Notice) {
        self.out.told.push(notice);
    }

    pub fn lenient(&mut self, leniency: Leniency) {
        self.tell(Notice::Lenient(leniency));
    }

    pub fn end(&mut self, system: u32) -> bool {
        let before = self.open.len();
        self.open.retain(|open| open.system != system);
        if self.open.len() < before {
            self.ended = system;
        }
        self.open.len() < before
    }

    pub fn end_with(&mut self, system: u32, end: TransactionEnd) {
        self.end(system);
        self.tell(Notice::TransactionEnded { system: SystemBytes(system), end });
    }

    /// Whatever is open in sessions for which `of` holds ends with them.
    pub fn void(&mut self, of: impl Fn(&Open) -> bool) {
        let systems: Vec<u32> = self.open.iter().filter(|open| of(open)).map(|open| open.system).collect();
        for system in systems {
            self.end_with(system, TransactionEnd::SessionEnded);
        }
    }

    pub fn void_linktest(&mut self) {
        if let Some(linktest) = self.linktest.take() {
            self.end_with(linktest.system, TransactionEnd::SessionEnded);
            self.ended = linktest.system;
        }
    }

    /// Nobody hears more of them, and the last one's system bytes are not given to the next message.
    pub fn drop_session_requests(&mut self) {
        for session in &mut self.sessions {
            if let Some(dropped) = session.request.take() {
                self.ended = dropped.system;
            }
        }
    }

    pub fn close(&mut self, reason: CloseReason, again: bool) {
        self.out.closed = Some(reason);
        self.drop_session_requests();
        if let Some(select) = self.select {
            self.ended = select.system;
        }
        (self.select, self.t7, self.t8, self.paused) = (None, None, None, None);
        self.text = false;
        self.held.clear();
        self.output.clear();
        self.prefix.clear();
        self.rest.clear();
        self.arriving = None;
        self.void(|_| true);
        self.void_linktest();
        for session in &mut self.sessions {
            *session = Session { selected: false, busy: false, asked: None, ..*session };
        }
        self.t5 = self.setup.active.then_some(self.now + T5);
        self.place = Place::Disabled;
        if again && !self.setup.refusing {
            self.attempt();
        }
    }

    /// E37 9.2.1: the active side waits for T5 between its dials.
    pub fn attempt(&mut self) {
        if self.t5.is_some_and(|t5| t5 > self.now) {
            self.place = Place::Waiting;
        } else {
            self.t5 = None;
            self.place = Place::Opening;
            self.out.opens = true;
        }
    }

    /// NOT SELECTED is left.
    pub fn selected(&mut self) {
        self.place = Place::Selected;
        self.t7 = None;
        (self.quiet, self.missed) = (self.reading(), 0);
    }

    /// System bytes that are worth being tried.
    pub fn systems(&self) -> Vec<u32> {
        let open = self.open.iter().map(|open| open.system);
        let requests = self.requests().map(|request| request.system);
        open.chain(requests).chain([0, 3, self.next, self.next.wrapping_sub(1), self.ended]).collect()
    }
}

impl Session {
    pub fn is(&self, session: SessionId) -> bool {
        self.entity.session == session
    }

    /// The request that waits for the end of a text.
    pub fn waiting(&self) -> Option<Header> {
        let request = self.request.filter(|request| request.sent.is_none())?;
        let header = match request.kind {
            ControlRequest::Deselect => Header::deselect_req(SystemBytes(request.system)),
            _ => Header::select_req(SystemBytes(request.system)),
        };
        Some(header.with_session(self.entity.session))
    }
}

/// As the core takes them; none stands for any.
pub fn device_ids(devices: &[u16]) -> DeviceIds {
    let devices: Vec<DeviceId> = devices.iter().map(|device| DeviceId::new(*device).unwrap()).collect();
    if devices.is_empty() { DeviceIds::ANY } else { DeviceIds::list(&devices).unwrap() }
}
