//! What the piece of equipment does, whatever carries its messages: no I/O, no time, no task.
//!
//! | primary | reply |
//! |---|---|
//! | S1F13 | who it is: [`MODEL`], [`REVISION`]. Before it nothing else is answered |
//! | S1F1 | the same |
//! | S1F3 `<L SVID...>` | the values of the status variables of [`Variable`]; all of them for an empty list |
//! | S2F41 `START`, `STOP` | begins and ends the reports; `START` with `PERIOD`, a `<U4>` of milliseconds, sets how often they come |
//! | S7F3 `<L <A PPID> <B PPBODY>>` | S7F4 `<L <B ACKC7> <U4 CRC-32>>`: see [`Recipe`] |
//! | S6F11 of its own | event 1 with report 1: uptime, and the number of the event |

use core::num::NonZeroU32;
use hsms_core::Config;
use hsms_core::secs2::messages::Identity;
use hsms_core::secs2::{self, Format, Item, ItemHeader, Reader, Slice, WriteError};
use hsms_core::wire::StreamFunction;
use hsms_embassy::services::{self, CommunicationSettings, EndpointSettings};

type Writer<'a> = secs2::Writer<Slice<'a>>;

/// MDLN.
pub const MODEL: &str = "BOARD";

/// SOFTREV.
pub const REVISION: &str = "1.0";

/// S6F11, an event.
pub const EVENT: StreamFunction = StreamFunction::new(6, 11);

/// CEID and RPTID of the reports.
const REPORT: u32 = 1;

/// Status variables by their SVID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// 1: milliseconds since the start, U8.
    Uptime,
    /// 2: hosts that have selected, U4.
    Hosts,
    /// 3: recipes that were received whole, U4.
    Recipes,
    /// 4: events that were sent, U4.
    Events,
    /// 5: octets of stack that were in use at most, U4.
    Stack,
    /// 6: turns of the executor since the start, of which each ends with a sleep unless a task is ready: U4, and 0 follows the greatest.
    Turns,
}

impl Variable {
    const ALL: [Variable; 6] =
        [Variable::Uptime, Variable::Hosts, Variable::Recipes, Variable::Events, Variable::Stack, Variable::Turns];

    const fn of(id: u64) -> Option<Self> {
        match id {
            1 => Some(Variable::Uptime),
            2 => Some(Variable::Hosts),
            3 => Some(Variable::Recipes),
            4 => Some(Variable::Events),
            5 => Some(Variable::Stack),
            6 => Some(Variable::Turns),
            _ => None,
        }
    }
}

/// Why a primary has no reply from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub enum Unanswered {
    /// Its text cannot be interpreted: S9F7.
    Illegal(secs2::Error),
    /// The buffer for the reply is too small.
    NoRoom(WriteError),
}

/// How a primary is dealt with.
#[derive(Debug, Clone, Copy)]
pub enum Duty {
    /// Its text is read whole, and answered by this.
    Answer(Handler),
    /// Its text is taken as it comes: a [`Recipe`].
    Recipe,
}

/// What stands above the link: one sending at a time, three handlers, no service messages.
pub type Core = services::Core<'static, Duty, 1, 3, 0, 0, 0>;

/// What is answered by whom. The host begins to establish communication, and until it has nothing else is answered; `None` where the
/// settings are not those of one device.
pub fn core(config: &Config) -> Option<Core> {
    let communication = CommunicationSettings { begins: false, ..CommunicationSettings::new(IDENTITY) };
    let settings = services::settings(config)?;
    let settings = EndpointSettings { exchange_names: false, communication: Some(communication), ..settings };
    let mut core = Core::new(settings).ok()?;
    for (stream, function, duty) in
        [(1, 3, Duty::Answer(Equipment::status)), (2, 41, Duty::Answer(Equipment::command)), (7, 3, Duty::Recipe)]
    {
        core.handle_function(Some(stream), Some(function), duty).ok()?;
    }
    Some(core)
}

/// Answers a text.
pub type Handler = fn(&mut Equipment, &mut Reader<'_>, &mut Writer<'_>) -> Result<(), Unanswered>;

/// The equipment's state.
pub struct Equipment {
    /// How often reports come, in milliseconds; none while it is `None`.
    pub period: Option<NonZeroU32>,
    /// What `START` without a period sets.
    usual_period: Option<NonZeroU32>,
    /// Milliseconds since the start, as of the present message.
    pub uptime: u64,
    /// Hosts that have selected.
    pub hosts: u32,
    /// Recipes that were received whole.
    pub recipes: u32,
    /// Events that were sent.
    pub events: u32,
    /// Octets of stack that were in use at most, as of the present message.
    pub stack: u32,
    /// Turns of the executor since the start, as of the present message.
    pub turns: u32,
}

impl Equipment {
    /// With so many milliseconds between reports; none where it is 0.
    pub fn new(period: u32) -> Self {
        let period = NonZeroU32::new(period);
        Equipment { period, usual_period: period, uptime: 0, hosts: 0, recipes: 0, events: 0, stack: 0, turns: 0 }
    }

    /// Answers a primary: writes the text of the reply and gives it.
    ///
    /// # Errors
    /// [`Unanswered`], for which nothing has changed.
    pub fn answer<'a>(&mut self, handler: Handler, text: &[u8], reply: &'a mut [u8]) -> Result<&'a [u8], Unanswered> {
        let (mut reader, mut writer) = (Reader::new(text), Writer::new(Slice::new(&mut *reply)));
        handler(self, &mut reader, &mut writer)?;
        let len = written(writer)?;
        Ok(reply.get(..len).unwrap_or_default())
    }

    /// Writes the text of the next event and gives it.
    ///
    /// # Errors
    /// Where the buffer is too small.
    pub fn event<'a>(&mut self, octets: &'a mut [u8]) -> Result<&'a [u8], Unanswered> {
        let mut text = Writer::new(Slice::new(&mut *octets));
        let number = self.events.wrapping_add(1);
        text.list(3)?;
        text.u4(number)?;
        text.u4(REPORT)?;
        text.list(1)?;
        text.list(2)?;
        text.u4(REPORT)?;
        text.list(2)?;
        text.u8(self.uptime)?;
        text.u4(number)?;
        let len = written(text)?;
        self.events = number;
        Ok(octets.get(..len).unwrap_or_default())
    }

    fn status(&mut self, text: &mut Reader<'_>, reply: &mut Writer<'_>) -> Result<(), Unanswered> {
        let count = if text.is_empty() { 0 } else { text.list()? };
        if count == 0 {
            reply.list(Variable::ALL.len())?;
            return Variable::ALL.iter().try_for_each(|variable| Ok(self.write(*variable, reply)?));
        }
        reply.list(count)?;
        for _ in 0..count {
            match unsigned(text.item()?).and_then(Variable::of) {
                Some(variable) => self.write(variable, reply)?,
                // E5: an empty list stands for a variable that is not known.
                None => reply.list(0)?,
            }
        }
        Ok(())
    }

    fn write(&self, variable: Variable, text: &mut Writer<'_>) -> Result<(), WriteError> {
        match variable {
            Variable::Uptime => text.u8(self.uptime),
            Variable::Hosts => text.u4(self.hosts),
            Variable::Recipes => text.u4(self.recipes),
            Variable::Events => text.u4(self.events),
            Variable::Stack => text.u4(self.stack),
            Variable::Turns => text.u4(self.turns),
        }
    }

    fn command(&mut self, text: &mut Reader<'_>, reply: &mut Writer<'_>) -> Result<(), Unanswered> {
        // HCACK of E5: 0 done, 1 no such command, 3 a parameter is wrong.
        text.list_of(2)?;
        let (name, count) = (text.ascii()?, text.list()?);
        let mut period = self.usual_period;
        let mut wrong = false;
        for _ in 0..count {
            text.list_of(2)?;
            match (text.ascii()?, text.item()?) {
                ("PERIOD", value) if name == "START" => {
                    period = unsigned(value).and_then(|value| u32::try_from(value).ok()).and_then(NonZeroU32::new);
                    wrong |= period.is_none();
                }
                _ => wrong = true,
            }
        }
        let acknowledge = match name {
            "START" | "STOP" if wrong => 3,
            "START" => {
                (self.period, self.usual_period) = (period, period);
                0
            }
            "STOP" => {
                self.period = None;
                0
            }
            _ => 1,
        };
        reply.list(2)?;
        reply.binary(&[acknowledge])?;
        Ok(reply.list(0)?)
    }
}

const IDENTITY: Identity<'static> = Identity::Equipment { mdln: MODEL, softrev: REVISION };

/// Ends a text; gives its length.
fn written(writer: Writer<'_>) -> Result<usize, Unanswered> {
    Ok(writer.finish()?.written().len())
}

/// One unsigned number, whatever its length.
fn unsigned(item: Item<'_>) -> Option<u64> {
    match item {
        Item::U1(values) => values.one().map(u64::from),
        Item::U2(values) => values.one().map(u64::from),
        Item::U4(values) => values.one().map(u64::from),
        Item::U8(values) => values.one(),
        _ => None,
    }
}

impl From<secs2::Error> for Unanswered {
    fn from(error: secs2::Error) -> Self {
        Unanswered::Illegal(error)
    }
}

impl From<WriteError> for Unanswered {
    fn from(error: WriteError) -> Self {
        Unanswered::NoRoom(error)
    }
}

/// What of a recipe may come before its body: a list's header, a PPID of 120 octets as E5 allows, two headers.
const FRONT: usize = 2 + 2 + 120 + 4;

/// A recipe while it comes in, in pieces of any length, and is not kept: `<L <A PPID> <B PPBODY>>`. Its checksum is the CRC-32 of
/// Ethernet and zip over PPBODY. A real machine would write the pieces to its flash.
pub struct Recipe {
    front: heapless::Vec<u8, FRONT>,
    /// Octets of PPBODY that are still to come, as soon as they are known.
    left: Option<u32>,
    damaged: bool,
    checksum: crc::Digest<'static, u32>,
}

/// ACKC7 of E5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub enum Acknowledge {
    /// 0.
    Accepted = 0,
    /// 2: it is shorter or longer than it says.
    LengthError = 2,
}

static CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

impl Recipe {
    /// Nothing has come yet.
    #[expect(clippy::new_without_default, reason = "there is no usual recipe")]
    pub fn new() -> Self {
        Recipe { front: heapless::Vec::new(), left: None, damaged: false, checksum: CRC.digest() }
    }

    /// Takes the next piece.
    pub fn push(&mut self, mut piece: &[u8]) {
        while self.left.is_none() && !self.damaged {
            let Some((octet, rest)) = piece.split_first() else { return };
            piece = rest;
            self.damaged = self.front.push(*octet).is_err();
            self.left = body_length(&self.front);
        }
        match self.left.zip(u32::try_from(piece.len()).ok()).and_then(|(left, len)| left.checked_sub(len)) {
            Some(left) => {
                self.left = Some(left);
                self.checksum.update(piece);
            }
            None => self.damaged = true,
        }
    }

    /// Everything has come: writes the text of S7F4 and gives it, with whether the recipe was whole.
    ///
    /// # Errors
    /// Where the buffer is too small.
    pub fn finish(self, octets: &mut [u8]) -> Result<(&[u8], Acknowledge), Unanswered> {
        let whole = !self.damaged && self.left == Some(0);
        let acknowledge = if whole { Acknowledge::Accepted } else { Acknowledge::LengthError };
        let mut text = Writer::new(Slice::new(&mut *octets));
        text.list(2)?;
        text.binary(&[acknowledge as u8])?;
        text.u4(self.checksum.finalize())?;
        let len = written(text)?;
        Ok((octets.get(..len).unwrap_or_default(), acknowledge))
    }
}

/// The length of PPBODY, where what is there ends with its header.
fn body_length(front: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(front);
    reader.list_of(2).ok()?;
    reader.ascii_octets().ok()?;
    let (header, behind) = ItemHeader::parse(reader.rest()).ok()?;
    (header.format() == Format::Binary && behind.is_empty()).then_some(header.length())
}
