//! Situations that a model has to come to, so that a model in which nothing happens does not pass.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! situations {
    ($($name:ident $text:literal,)*) => {
        /// A situation that has to be met.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Situation { $(#[doc = $text] $name,)* }

        impl Situation {
            /// All of them.
            pub const ALL: &[Situation] = &[$(Situation::$name,)*];

            /// In words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Situation::$name => $text,)* }
            }
        }
    };
}

situations! {
    SimultaneousSelect "both ends select at once",
    SecondSelect "a Select.req while SELECTED",
    SelectRefused "our Select.req is refused",
    SelectUnanswered "T6 of our Select.req",
    SelectRejected "our Select.req is rejected",
    DataBehindSelect "data directly behind the Select.rsp",
    T7AgainstTraffic "T7 expires although messages came",
    Colliding "a primary with the system bytes of an open one of ours",
    Answered "a transaction ends with its reply",
    Aborted "a transaction ends with SxF0",
    Rejected "a transaction ends with a Reject.req",
    LinkLost "a transaction ends with its link",
    Late "a reply comes too late",
    Orphan "a reply to what was never asked",
    Mismatched "a reply with the system bytes of another primary",
    StrayReject "a Reject.req that belongs to nothing",
    NotOpen "a response that nobody waits for is rejected",
    DataNotSelected "data while NOT SELECTED",
    UnknownDevice "data for an unknown device",
    UnknownType "a message of unknown type",
    TooLong "a message that is too long",
    Reported "T3 at the equipment: S9F9",
    Silent "T3 at the host",
    LinktestsCross "both ends test the link at once",
    LinktestUnanswered "T6 of our Linktest.req ends the link",
    LinktestMissed "T6 of our Linktest.req, and the link stays",
    ReplyCrossesSeparate "a reply is under way while its link is closed",
    SplitInLength "a frame is split in its length",
    SplitInHeader "a frame is split in its header",
    SplitInText "a frame is split in its text",
    CutInFrame "the link ends inside a frame",
    T8 "T8 expires",
    RestartWhileSelected "an end is started anew while SELECTED",
    HalfOpen "an end is started anew and its peer does not learn of it",
    StaleToken "a reply to a primary of a former link or session",
    DialFailed "a dial fails",
    AcceptedTooLate "a caller is accepted that has gone",
    BodyAborted "a text is given up",
    Held "a frame waits for the end of a text",
    Deselected "a session ends by Deselect",
    SessionSeparated "a session ends by Separate, and the link stays",
    DataCrossesEnd "data is under way while its session ends",
    Busy "a Deselect.req is refused",
    Asked "the application decides on a Select.req",
    Paused "a message waits while input is paused",
    SecsI "the peer speaks SECS-I",
    LengthTooShort "a length below 10",
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// How often each situation was met.
#[derive(Debug)]
pub struct Met(Vec<AtomicU64>);

impl Default for Met {
    fn default() -> Self {
        Met(Situation::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Met {
    /// It was met.
    pub fn note(&self, situation: Situation) {
        self.0[situation as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was met.
    #[must_use]
    pub fn times(&self, situation: Situation) -> u64 {
        self.0[situation as usize].load(Ordering::Relaxed)
    }

    /// Those that were met.
    pub fn all(&self) -> impl Iterator<Item = Situation> {
        Situation::ALL.iter().copied().filter(|situation| self.times(*situation) > 0)
    }
}
