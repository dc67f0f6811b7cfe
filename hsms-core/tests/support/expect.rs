//! What one step of a scene has to bring, and what it brought.

use hsms_core::connection::{Class, CloseReason, Leniency, Notice, ReplyToken, State, TransactionEnd};
use hsms_core::wire::{Header, SystemBytes};
use std::fmt;

/// What has to come out of one input. Everything that is not named must not come.
#[derive(Debug, Clone)]
pub(crate) struct Expect {
    pub(super) frames: Vec<Vec<u8>>,
    pub(super) notices: Vec<Notice>,
    pub(super) close: Option<CloseReason>,
    /// `None`: a passive side listens again after a close, and otherwise nothing is opened.
    pub(super) opens: Option<bool>,
    /// `None`: unchanged.
    pub(super) state: Option<State>,
    pub(super) due: Due,
    /// What the messages received count as. Empty: anything that is not for the application.
    pub(super) classes: Vec<Class>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Due {
    Unchanged,
    Never,
    /// Milliseconds from now.
    In(u64),
    /// T5 on the active side; none on the passive one, which listens.
    AfterClose,
}

/// Nothing changes and nothing comes out: no state, no timer.
pub(crate) fn stays() -> Expect {
    Expect {
        frames: Vec::new(),
        notices: Vec::new(),
        close: None,
        opens: None,
        state: None,
        due: Due::Unchanged,
        classes: Vec::new(),
    }
}

/// SELECTED is entered, and no timer runs.
pub(crate) fn selects() -> Expect {
    Expect { state: Some(State::Selected), due: Due::Never, ..stays() }.tells(Notice::Selected)
}

/// SELECTED is left for NOT SELECTED, with T7 armed.
pub(crate) fn deselects() -> Expect {
    stays().state(State::NotSelected).due(super::T7).tells(Notice::Deselected)
}

/// The transport is closed. The active side dials again after T5, the passive one listens at once.
pub(crate) fn closes(reason: CloseReason) -> Expect {
    Expect { close: Some(reason), state: Some(State::NotConnected), due: Due::AfterClose, ..stays() }
}

/// The transport is closed, and that is the end of it.
pub(crate) fn closes_without_attempt(reason: CloseReason) -> Expect {
    Expect { opens: Some(false), due: Due::Never, ..closes(reason) }
}

/// The transport is asked for.
pub(crate) fn opens() -> Expect {
    Expect { opens: Some(true), ..stays() }
}

impl Expect {
    /// This frame is sent, after those named before.
    pub(crate) fn sends(mut self, frame: &str) -> Self {
        self.frames.push(hex(frame));
        self
    }

    /// This notice comes, after those named before; leniencies apart, which may come before or after.
    pub(crate) fn tells(mut self, notice: Notice) -> Self {
        self.notices.push(notice);
        self
    }

    /// A leniency is reported.
    pub(crate) fn lenient(self, leniency: Leniency) -> Self {
        self.tells(Notice::Lenient(leniency))
    }

    /// A transaction of ours ends without a reply.
    pub(crate) fn ends(self, system: SystemBytes, end: TransactionEnd) -> Self {
        self.tells(Notice::TransactionEnded { system, end })
    }

    /// Whether the connection goes on.
    pub(crate) fn is_open(&self) -> bool {
        self.close.is_none()
    }

    pub(crate) fn state(self, state: State) -> Self {
        Expect { state: Some(state), ..self }
    }

    /// The next deadline is this many milliseconds from now.
    pub(crate) fn due(self, millis: u64) -> Self {
        Expect { due: Due::In(millis), ..self }
    }

    /// There is no deadline.
    pub(crate) fn never(self) -> Self {
        Expect { due: Due::Never, ..self }
    }

    /// A message is received that counts as this, after those named before.
    pub(crate) fn class(mut self, class: Class) -> Self {
        self.classes.push(class);
        self
    }
}

/// What came out of one input, by kind, each kind in its order.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Output {
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) close: Option<CloseReason>,
    pub(crate) opens: bool,
    pub(crate) inbound: Vec<Received>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames: Vec<String> = self.frames.iter().map(|frame| written(frame)).collect();
        f.debug_struct("Output")
            .field("frames", &frames)
            .field("notices", &self.notices)
            .field("close", &self.close)
            .field("opens", &self.opens)
            .field("inbound", &self.inbound)
            .finish()
    }
}

/// A message that was received, or as much of it as came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) class: Class,
    pub(crate) header: Header,
    pub(crate) text: Vec<u8>,
    pub(crate) token: Option<ReplyToken>,
    pub(crate) complete: bool,
}

/// How much of a text that is for nobody comes with a header depends on how octets arrive; the rest does not.
impl PartialEq for Received {
    fn eq(&self, other: &Self) -> bool {
        let head = |message: &Received| (message.class, message.header, message.token);
        let for_application = matches!(self.class, Class::Primary | Class::Reply);
        head(self) == head(other) && (!for_application || (self.complete, &self.text) == (other.complete, &other.text))
    }
}

/// A frame as tests write it.
fn written(frame: &[u8]) -> String {
    let group = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02X}")).collect::<String>();
    let cuts = [0, 4, 6, 7, 8, 9, 10, 14];
    let mut groups: Vec<String> = cuts.windows(2).filter_map(|cut| frame.get(cut[0]..cut[1])).map(group).collect();
    if let Some(text) = frame.get(14..)
        && !text.is_empty()
    {
        groups.push(group(text));
    }
    groups.join(" ")
}

/// Octets from hexadecimal digits; spaces are for the reader.
#[track_caller]
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).expect("a hexadecimal digit")).unwrap())
        .collect();
    let (pairs, odd) = digits.as_chunks::<2>();
    assert!(odd.is_empty(), "an odd number of digits");
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}
