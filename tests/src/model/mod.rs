//! A model of two ends and what lies between them, for a model checker: real machines, two pipes of octets, and whatever can
//! happen next.
//!
//! A [`World`] is a moment, [`steps`] are all that can happen in it, [`next`] is what comes of one. Two real machines face each
//! other, or one faces a peer that may send anything ([`Setup::free`]). At any moment any armed timer may fire, any octets that
//! are under way may arrive, whole or in part, the application may give any command, the link may be cut, and an end may be
//! started anew. Where time is [kept](Setup::timed), timers fire when they are due instead.
//!
//! So that there are finitely many worlds each is brought to its [`canonical`] form: no hour, and system bytes renamed in order of
//! issue, each end's by itself. Nothing of that changes what a machine does.

mod application;
pub mod canonical;
pub mod free;
mod heard;
mod possible;
pub mod property;
pub mod search;
pub mod situation;
pub mod step;
pub mod subject;

pub use possible::steps;
pub use property::Property;
pub use situation::{Met, Situation};
pub use step::next;
pub use subject::Subject;

use crate::invariants::Said;
use heapless::Vec;
use hsms_core::connection::{REBASED, ReplyToken, Timer};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, PREFIX_LEN, SessionId, SystemBytes};

/// Frames that can be under way in one direction. That they never are more is a [`Property`].
pub const FRAMES: usize = 12;

/// Primaries that an application remembers to answer, and transactions it remembers to wait for.
pub const MEMORY: usize = 4;

/// The longest frame: S9Fx.
const LONGEST: usize = 26;

/// A frame that is under way, or the end of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frame {
    octets: [u8; LONGEST],
    len: u8,
    read: u8,
    generation: u8,
}

impl Frame {
    /// The sender has closed, or the link was cut.
    pub const END: Frame = Frame { octets: [0; LONGEST], len: 0, read: 0, generation: 0 };

    /// These octets. `generation` is how many messages led to this one without a command or a timer in between.
    ///
    /// # Panics
    /// Where there are more than the longest frame has.
    #[must_use]
    pub fn new(octets: &[u8], generation: u8) -> Self {
        let mut frame = Frame { generation, len: u8::try_from(octets.len()).expect("a short frame"), ..Frame::END };
        frame.octets[..octets.len()].copy_from_slice(octets);
        frame
    }

    /// The header, of what is not the end.
    #[must_use]
    pub fn header(&self) -> Option<Header> {
        let header = self.octets[4..PREFIX_LEN].try_into().expect("ten octets");
        (usize::from(self.len) >= PREFIX_LEN).then(|| Header::decode(header))
    }

    /// Whether part of it has been read.
    #[must_use]
    pub const fn is_begun(&self) -> bool {
        self.read > 0
    }

    fn set_system_bytes(&mut self, system: SystemBytes) {
        self.octets[10..PREFIX_LEN].copy_from_slice(&system.0.to_be_bytes());
    }
}

/// What an end sent and the other has not read, the oldest first.
pub type Pipe = Vec<Frame, FRAMES>;

/// Where an end's transport is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Not wanted.
    Idle,
    /// Asked for by the machine.
    Opening,
    /// Open, as far as this end knows.
    Open,
}

/// The link between both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// There is none.
    None,
    /// The active end has it, the passive one has not accepted it yet.
    Dialled,
    /// It was accepted.
    Up,
}

/// One end: a machine, and what its adapter and its application know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct End<M> {
    /// The machine.
    pub machine: M,
    /// Its transport.
    pub transport: Transport,
    /// Primaries with W whose end the application waits for.
    pub open: Vec<SystemBytes, MEMORY>,
    /// Primaries of the peer's that the application may answer.
    pub tokens: Vec<ReplyToken, MEMORY>,
    /// Sessions whose Select.req the application may answer.
    pub asked: Vec<SessionId, MEMORY>,
    /// The message that the application is writing.
    pub writing: Option<Frame>,
    /// The greatest generation of what the machine may hold back behind it.
    pub held: u8,
    /// Octets that the machine was not told of as written.
    pub unwritten: u64,
    /// What it has said about being SELECTED on this link.
    pub said: Said,
    /// A message came while it was NOT SELECTED.
    pub traffic: bool,
}

impl<M> End<M> {
    /// A machine that was told nothing.
    pub const fn new(machine: M) -> Self {
        End {
            machine,
            transport: Transport::Idle,
            open: Vec::new(),
            tokens: Vec::new(),
            asked: Vec::new(),
            writing: None,
            held: 0,
            unwritten: 0,
            said: Said::NOTHING,
            traffic: false,
        }
    }
}

/// What can still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Cuts of the link.
    pub cuts: u8,
    /// Deliveries of part of a frame.
    pub splits: u8,
    /// Restarts of an end.
    pub restarts: u8,
}

/// A moment of the model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World<M> {
    /// Both ends; the first is the active one. A [free](Setup::free) peer is the second.
    pub ends: [End<M>; 2],
    /// What each end sent.
    pub pipes: [Pipe; 2],
    /// The link between them.
    pub link: Link,
    /// What can still happen.
    pub budget: Budget,
    /// What did not hold. Nothing happens after that.
    pub broken: Option<Property>,
}

/// A command of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the machine's method of the same name, or said beside it")]
pub enum Command {
    Enable,
    Disable,
    Separate,
    Select,
    Linktest,
    SelectSession(SessionId),
    DeselectSession(SessionId),
    SeparateSession(SessionId),
    /// Answers the first Select.req that waits.
    AnswerSelect {
        accept: bool,
    },
    SetBusy(SessionId),
    /// `begin_primary`, and where texts are not written by themselves `end_body`.
    Primary {
        session: SessionId,
        reply_expected: bool,
    },
    /// `begin_reply` to this one of the primaries remembered, or `begin_abort`.
    Reply {
        index: u8,
        abort: bool,
    },
    EndBody,
    AbortBody,
    Written,
    /// `forget` of this one of the transactions remembered.
    Forget {
        index: u8,
    },
    PauseInput,
    ResumeInput,
}

/// Something that can happen. Ends are 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The active end's dial succeeds.
    Dial,
    /// The transport that this end asked for cannot be had.
    DialFails(u8),
    /// The passive end accepts.
    Accept,
    /// The free peer sends this frame of its [alphabet](free::alphabet), and so many octets of it arrive; 0 stands for all.
    Peer {
        /// Index of the frame.
        frame: u8,
        /// How many octets arrive.
        octets: u8,
    },
    /// What is under way to this end arrives: its next frame, or so many octets of it, and 0 stands for all of it.
    Deliver {
        /// The end.
        to: u8,
        /// How many octets arrive.
        octets: u8,
    },
    /// An armed timer expires.
    Fire(u8, Timer),
    /// A timer that is due is told to the machine.
    Due(u8),
    /// Time passes until a timer is due.
    Pass,
    /// The application does something.
    Command(u8, Command),
    /// The link is cut, and all that is under way is lost.
    Cut,
    /// This end is started anew. `silent`: the peer does not learn of it.
    Restart {
        /// The end.
        end: u8,
        /// Whether the peer goes on believing in the link.
        silent: bool,
    },
}

/// What of the commands is tried.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each is a command, or said beside it")]
pub struct Commands {
    /// `enable` and `disable`.
    pub disable: bool,
    pub separate: bool,
    pub select: bool,
    pub linktest: bool,
    /// Which ends send primaries with W, and without.
    pub primaries: [bool; 2],
    pub unanswered: [bool; 2],
    pub reply: bool,
    /// SxF0 in place of a reply.
    pub abort: bool,
    pub forget: bool,
    /// Texts are begun and ended in two steps, and may be given up in between.
    pub texts: bool,
    /// What was written is told in a step of its own.
    pub written: bool,
    pub pause: bool,
    /// Of HSMS-GS: which ends select, deselect and separate sessions.
    pub sessions: [bool; 2],
    pub busy: bool,
}

impl Commands {
    /// None.
    pub const NONE: Commands = Commands {
        disable: false,
        separate: false,
        select: false,
        linktest: false,
        primaries: [false; 2],
        unanswered: [false; 2],
        reply: false,
        abort: false,
        forget: false,
        texts: false,
        written: false,
        pause: false,
        sessions: [false; 2],
        busy: false,
    };
}

/// A model: which machines, and what can happen to them.
#[derive(Debug)]
pub struct Setup<M> {
    /// Its name.
    pub name: &'static str,
    /// Both machines, never told anything.
    pub fresh: [M; 2],
    /// What can happen at all.
    pub budget: Budget,
    /// Which commands are given.
    pub commands: Commands,
    /// How many transactions each end has at once: open, under way, or unanswered at the peer.
    pub open: usize,
    /// Commands about sessions and primaries are given while an end has fewer frames under way than this.
    pub crossing: usize,
    /// Octets of a primary's text, up to 12.
    pub text: u8,
    /// The second end is a peer that may send anything.
    pub free: bool,
    /// Timers fire when they are due, not at any moment.
    pub timed: bool,
    /// System bytes are not renamed: both ends count from 1, so that theirs collide, and worlds in which one has come to this value
    /// are not looked at.
    pub collide: Option<u32>,
    /// What is sent last arrives first: a fault of the kit, which the properties have to notice.
    pub lifo: bool,
    /// From every world both ends become SELECTED again and every transaction ends, where nobody hinders them.
    pub recovers: bool,
    /// Situations that have to be met.
    pub must: &'static [Situation],
    /// Those that were.
    pub met: Met,
}

impl<M: Subject> Setup<M> {
    /// Two ends of which nothing is asked but to connect.
    #[must_use]
    pub fn new(name: &'static str, active: M, passive: M) -> Self {
        Setup {
            name,
            fresh: [active, passive],
            budget: Budget { cuts: 0, splits: 0, restarts: 0 },
            commands: Commands::NONE,
            open: 1,
            crossing: FRAMES,
            text: 0,
            free: false,
            timed: false,
            collide: None,
            lifo: false,
            recovers: false,
            must: &[],
            met: Met::default(),
        }
    }

    /// Both ends enabled, nothing else; one that refuses its caller waits for that.
    #[must_use]
    pub fn first(&self) -> World<M> {
        let mut world = World {
            ends: self.fresh.clone().map(End::new),
            pipes: [Pipe::new(), Pipe::new()],
            link: Link::None,
            budget: self.budget,
            broken: None,
        };
        for at in [0, 1] {
            if self.collide.is_none() {
                let (end, base) = (&mut world.ends[usize::from(at)], canonical::NEXT[usize::from(at)]);
                end.machine.set_issued(base..base);
            }
            if world.ends[usize::from(at)].machine.is_enabled() {
                // One that refuses its caller is from the start, and is handed the transport.
                world.ends[usize::from(at)].transport = Transport::Opening;
            } else if !(self.free && at == 1) {
                world = next(self, &world, Step::Command(at, Command::Enable)).expect("a machine can be enabled");
            }
        }
        world
    }

    /// When everything happens: time moves a little with each step unless it is kept.
    fn now(&self) -> Instant {
        if self.timed { REBASED } else { Instant::from_millis(1) }
    }
}
