//! What a scripted peer does by itself.

use hsms_core::wire::{Header, Kind, Message, PREFIX_LEN, RejectReason, SType, StreamFunction, SystemBytes};
use std::borrow::Cow;
use std::fmt;

/// A message with storage of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The ten header octets.
    pub header: Header,
    /// The text.
    pub body: Vec<u8>,
}

impl Frame {
    /// A message of these parts.
    #[must_use]
    pub fn new(header: Header, body: impl Into<Vec<u8>>) -> Self {
        Frame { header, body: body.into() }
    }

    /// A data message that answers this one, whatever this one is: its stream, the function behind its own, its session id and
    /// system bytes.
    #[must_use]
    pub fn reply(&self, body: impl Into<Vec<u8>>) -> Self {
        let asked = self.header.stream_function();
        let answer = StreamFunction::new(asked.stream, asked.function.wrapping_add(1));
        Frame::new(Header::data(self.header.system, answer, false, self.header.session), body)
    }

    /// Its octets on the wire. Of a text that no length field can announce, the length field says the most it can.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body_len = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        let prefix = self.header.encode_prefix(body_len).unwrap_or_else(|_| {
            let mut prefix = self.header.encode_alone();
            let [field @ .., _, _, _, _, _, _, _, _, _, _] = &mut prefix;
            *field = [u8::MAX; 4];
            prefix
        });
        let mut octets = Vec::with_capacity(self.body.len().saturating_add(PREFIX_LEN));
        octets.extend_from_slice(&prefix);
        octets.extend_from_slice(&self.body);
        octets
    }
}

impl From<Header> for Frame {
    fn from(header: Header) -> Self {
        Frame::new(header, Vec::new())
    }
}

impl From<Message<'_>> for Frame {
    fn from(message: Message<'_>) -> Self {
        Frame::new(message.header, message.body)
    }
}

/// What a rule does about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deed {
    /// It takes the message and does nothing.
    Nothing,
    /// It sends this.
    Send(Frame),
    /// It sends these octets, whatever they are.
    Octets(Vec<u8>),
    /// It closes the connection.
    Close,
}

/// One rule of a scripted peer: which messages it is for, and what it does about them.
///
/// Those for control messages come for a good peer ([`Rules::good`]); a broken one is a good one and the rule that breaks it.
pub struct Rule {
    name: Cow<'static, str>,
    left: Option<u64>,
    apply: Box<Apply>,
}

type Apply = dyn FnMut(&Frame) -> Option<Vec<Deed>> + Send;

impl Rule {
    /// A rule that does what `apply` says: `None` where the message is none of its business, otherwise the deeds, in order.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        apply: impl FnMut(&Frame) -> Option<Vec<Deed>> + Send + 'static,
    ) -> Self {
        Rule { name: name.into(), left: None, apply: Box::new(apply) }
    }

    /// Does `deed` about every message of this kind.
    pub fn on(
        name: impl Into<Cow<'static, str>>,
        stype: SType,
        mut deed: impl FnMut(&Frame) -> Deed + Send + 'static,
    ) -> Self {
        Rule::new(name, move |frame| (frame.header.stype == stype).then(|| vec![deed(frame)]))
    }

    /// Takes messages of this kind and never answers them.
    #[must_use]
    pub fn never(stype: SType) -> Self {
        Rule::on(format!("never answers {stype}"), stype, |_| Deed::Nothing)
    }

    /// Answers Select.req with this status.
    #[must_use]
    pub fn select(status: u8) -> Self {
        Rule::on(format!("answers Select.req with status {status}"), SType::SELECT_REQ, move |frame| {
            let answer = Header::select_rsp(frame.header.system).with_session(frame.header.session);
            Deed::Send(answer.with_status(status).into())
        })
    }

    /// Answers Deselect.req with this status.
    #[must_use]
    pub fn deselect(status: u8) -> Self {
        Rule::on(format!("answers Deselect.req with status {status}"), SType::DESELECT_REQ, move |frame| {
            let answer = Header::deselect_rsp(frame.header.system).with_session(frame.header.session);
            Deed::Send(answer.with_status(status).into())
        })
    }

    /// Answers Linktest.req.
    #[must_use]
    pub fn linktest() -> Self {
        Rule::on("answers Linktest.req", SType::LINKTEST_REQ, |frame| {
            Deed::Send(Header::linktest_rsp(frame.header.system).into())
        })
    }

    /// Closes upon Separate.req.
    #[must_use]
    pub fn separate() -> Self {
        Rule::on("closes upon Separate.req", SType::SEPARATE_REQ, |_| Deed::Close)
    }

    /// Rejects messages of this kind.
    #[must_use]
    pub fn reject(stype: SType, reason: RejectReason) -> Self {
        Rule::on(format!("rejects {stype} with reason {reason}"), stype, move |frame| {
            Deed::Send(Header::reject_req(frame.header.system, frame.header.stype.0, reason).into())
        })
    }

    /// Answers this primary with this text where a reply is expected.
    #[must_use]
    pub fn reply(primary: StreamFunction, text: impl Into<Vec<u8>>) -> Self {
        let text = text.into();
        Rule::new(format!("answers {primary}"), move |frame| match frame.header.kind() {
            Ok(Kind::Data { stream_function, reply_expected: true }) if stream_function == primary => {
                Some(vec![Deed::Send(frame.reply(text.clone()))])
            }
            _ => None,
        })
    }

    /// Answers every primary that expects a reply with its own text.
    #[must_use]
    pub fn echo() -> Self {
        Rule::new("echoes", |frame| match frame.header.kind() {
            Ok(Kind::Data { stream_function, reply_expected: true }) if stream_function.is_primary() => {
                Some(vec![Deed::Send(frame.reply(frame.body.clone()))])
            }
            _ => None,
        })
    }

    /// Lets the system bytes of what this rule sends be what `change` makes of them.
    #[must_use]
    pub fn with_system(mut self, mut change: impl FnMut(SystemBytes) -> SystemBytes + Send + 'static) -> Self {
        let name = format!("{}, with other system bytes", self.name);
        Rule::new(name, move |frame| {
            let mut deeds = self.apply(frame)?;
            for deed in &mut deeds {
                if let Deed::Send(frame) = deed {
                    frame.header.system = change(frame.header.system);
                }
            }
            Some(deeds)
        })
    }

    /// Lets the rule apply so many times, and no longer.
    #[must_use]
    pub const fn times(mut self, count: u64) -> Self {
        self.left = Some(count);
        self
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does about a message; `None` where it is none of its business.
    pub fn apply(&mut self, frame: &Frame) -> Option<Vec<Deed>> {
        if self.left == Some(0) {
            return None;
        }
        let deeds = (self.apply)(frame)?;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
        }
        Some(deeds)
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("name", &self.name).field("left", &self.left).finish_non_exhaustive()
    }
}

/// The rules of a scripted peer, without I/O: what was added last is asked first, and the first that answers decides.
///
/// ```
/// use hsms_std::core::wire::SType;
/// use hsms_std::faults::{Deed, Rule, Rules};
/// use hsms_std::{Header, SystemBytes};
///
/// let request = Header::linktest_req(SystemBytes(1)).into();
/// let answer = Deed::Send(Header::linktest_rsp(SystemBytes(1)).into());
/// let mut rules = Rules::good();
/// assert_eq!(rules.apply(&request), Some(vec![answer.clone()]));
/// // A peer that overhears the next one.
/// rules.add(Rule::never(SType::LINKTEST_REQ).times(1));
/// assert_eq!(rules.apply(&request), Some(vec![Deed::Nothing]));
/// assert_eq!(rules.apply(&request), Some(vec![answer]));
/// ```
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Rules(Vec::new())
    }

    /// Those of a peer that does no more than the control messages ask for: it selects, answers linktests, and closes upon
    /// Separate.req.
    #[must_use]
    pub fn good() -> Self {
        Rules(vec![Rule::select(0), Rule::linktest(), Rule::separate()])
    }

    /// Adds one, which is asked before the others.
    pub fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// Adds one, which is asked before the others.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        self.add(rule);
        self
    }

    /// What is done about a message; `None` where no rule is for it.
    pub fn apply(&mut self, frame: &Frame) -> Option<Vec<Deed>> {
        self.0.iter_mut().rev().find_map(|rule| rule.apply(frame))
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        Rules(rules.into_iter().collect())
    }
}
