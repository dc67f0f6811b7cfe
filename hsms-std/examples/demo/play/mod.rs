//! The conversation that the demo plays: two ends, the wire between them, and the list that the wire has to follow.
//!
//! Host and equipment run in a thread each, and a third one carries octets between them. That one reads along: every
//! message is compared with the next one of the [list](list::LIST), in the order in which they come by. There is one such
//! order, because each end waits for what the other does before it goes on; only in the burst, where requests and replies
//! meet, each direction is compared by itself.

mod communication;
mod deviation;
mod end;
mod equipment;
mod host;
pub mod list;
mod tape;
pub mod texts;
mod transcript;
mod wire;

pub use deviation::Deviation;
pub use transcript::{Line, Summary};

use hsms_std::core::config::ConfigError;
use hsms_std::core::counters::Traffic;
use hsms_std::{Config, Counters, DeviceId};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use tape::Tape;
use wire::Wire;

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From host to equipment.
    ToEquipment,
    /// From equipment to host.
    ToHost,
}

/// What can be done on the wire to the message with a number of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// One octet is altered.
    Alter {
        /// Which message.
        number: usize,
        /// Which octet of it, from 0, the length field included; `None`: one in the middle of the text, or where there is
        /// none one of the header.
        octet: Option<usize>,
        /// Whether the tape is shown the message as it was before: then the ends have to notice.
        unseen: bool,
    },
    /// It is lost.
    Drop {
        /// Which message.
        number: usize,
    },
    /// It comes twice.
    Repeat {
        /// Which message.
        number: usize,
    },
}

impl Fault {
    /// Which message.
    const fn number(&self) -> usize {
        match self {
            Fault::Alter { number, .. } | Fault::Drop { number } | Fault::Repeat { number } => *number,
        }
    }
}

/// How to play.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What to do to one message on the wire.
    pub fault: Option<Fault>,
    /// How long nothing at all may happen.
    pub idle: Duration,
    /// How long the whole may take.
    pub limit: Duration,
}

impl Plan {
    /// Nothing wrong on the wire. The limits are there to end a run that hangs.
    pub const PLAIN: Plan = Plan { fault: None, idle: Duration::from_secs(20), limit: Duration::from_secs(120) };

    /// With `fault`, which may show by nothing coming for a while.
    pub const fn with_fault(fault: Fault) -> Plan {
        Plan { fault: Some(fault), idle: Duration::from_secs(3), ..Plan::PLAIN }
    }
}

/// What the threads tell.
enum News {
    /// Something of the list has come by.
    Line(Line),
    /// Part of the burst has.
    Progress,
    /// Everything of the list has.
    Complete(Summary),
    /// The run is over.
    Deviation(Deviation),
    /// An end has played its part, or could not.
    Ended(&'static str, Result<Played, String>),
    /// The wire is cut for good.
    WireDown,
}

/// The part that an end plays.
type Part = fn(&Wire) -> Result<Played, String>;

/// What an end gives when it has played its part.
#[derive(Debug, Clone, Copy, Default)]
struct Played {
    /// Messages and octets, by its counters.
    sent: (u64, u64),
    received: (u64, u64),
    /// How long the burst took, at the host.
    burst: Duration,
}

impl Played {
    /// This and what `counters` say.
    fn and(self, counters: &Counters) -> Self {
        let add = |(messages, octets): (u64, u64), traffic: &Traffic| {
            (messages + traffic.messages.total(), octets + traffic.octets)
        };
        Played {
            sent: add(self.sent, &counters.sent),
            received: add(self.received, &counters.received),
            burst: self.burst,
        }
    }
}

/// The device that both ends speak of.
const DEVICE: DeviceId = DeviceId::new(7).unwrap();

/// The settings of both ends, beyond their roles. No periodic linktests, and no timer that a slow machine could make
/// expire: what goes over the wire must not depend on how long things take.
fn patient(config: Config) -> Result<Config, ConfigError> {
    const LONG: Duration = Duration::from_secs(60);
    config.with_linktest_period(Duration::ZERO)?.with_t3(LONG)?.with_t6(LONG)?.with_t7(LONG)?.with_t8(LONG)
}

const HOST: &str = "host";
const EQUIPMENT: &str = "equipment";

/// How long the threads get to end when the run is over.
const ENDING: Duration = Duration::from_secs(10);

/// Plays the conversation. `tell` is given each line of the transcript as it is made.
///
/// # Errors
/// The first deviation from the list, or of an end from its part; nothing is played after it.
pub fn run(plan: Plan, tell: &mut dyn FnMut(&Line)) -> Result<Summary, Deviation> {
    let (sender, news) = mpsc::channel();
    let tape = Tape::new(plan.fault, sender.clone());
    let wire = Arc::new(Wire::new(tape, sender.clone()).map_err(Deviation::System)?);
    let parts: [(&str, Part); 2] = [(EQUIPMENT, equipment::play), (HOST, host::play)];
    for (name, play) in parts {
        let (wire, sender) = (Arc::clone(&wire), sender.clone());
        thread::spawn(move || {
            let played = play(&wire);
            // Nobody listens any more where the run is over.
            let _ = sender.send(News::Ended(name, played));
        });
    }
    drop(sender);
    let mut session = Session { plan, news, ended: 0, down: false };
    let result = session.listen(tell);
    wire.cut();
    let all_ended = session.await_end();
    let summary = result?;
    if all_ended { Ok(summary) } else { Err(Deviation::Stuck(ENDING)) }
}

/// The threads, as far as they have told of themselves.
struct Session {
    plan: Plan,
    news: Receiver<News>,
    /// How many ends have ended.
    ended: usize,
    /// Whether the wire has.
    down: bool,
}

impl Session {
    /// Listens until the run is over.
    fn listen(&mut self, tell: &mut dyn FnMut(&Line)) -> Result<Summary, Deviation> {
        let deadline = Instant::now() + self.plan.limit;
        let mut last = 0;
        let mut complete: Option<Summary> = None;
        let (mut host, mut equipment) = (None, None);
        loop {
            if let (Some(summary), Some(host), Some(equipment)) = (&complete, &host, &equipment) {
                return summary.with_parts(host, equipment);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.news.recv_timeout(left.min(self.plan.idle)) {
                Ok(News::Line(line)) => {
                    last = line.number().unwrap_or(last);
                    tell(&line);
                }
                Ok(News::Progress) => {}
                Ok(News::Complete(summary)) => complete = Some(summary),
                Ok(News::Ended(end, played)) => {
                    self.ended += 1;
                    let played = played.map_err(|what| Deviation::End { end, what })?;
                    *if end == HOST { &mut host } else { &mut equipment } = Some(played);
                }
                Ok(News::Deviation(deviation)) => return Err(deviation),
                Ok(News::WireDown) => self.down = true,
                Err(_) if left <= self.plan.idle => return Err(Deviation::Limit(self.plan.limit)),
                Err(_) => return Err(Deviation::Missing { after: last, idle: self.plan.idle }),
            }
        }
    }

    /// Waits for both ends and the wire; tells whether all of them ended in time.
    fn await_end(&mut self) -> bool {
        let deadline = Instant::now() + ENDING;
        while self.ended < 2 || !self.down {
            match self.news.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(News::Ended(..)) => self.ended += 1,
                Ok(News::WireDown) => self.down = true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        true
    }
}
