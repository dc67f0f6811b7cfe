//! What the application at one end knows: its open requests, the replies it owes, and texts that tell where they belong.

use hsms_core::connection::{ReplyToken, TransactionEnd};
use hsms_core::wire::{Header, StreamFunction, SystemBytes};

/// How a request ended at its application. Each ends in one of these, and once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its reply came.
    Reply,
    /// SxF0 came.
    Abort,
    /// The peer rejected it.
    Reject,
    /// No reply within T3.
    T3,
    /// The session or the link ended first.
    Lost,
    /// The application gave it up.
    Forgotten,
    /// The application itself ended.
    Restart,
}

/// All of them, with their names.
pub const ENDS: [(Ended, &str); 7] = [
    (Ended::Reply, "replied"),
    (Ended::Abort, "aborted"),
    (Ended::Reject, "rejected"),
    (Ended::T3, "T3"),
    (Ended::Lost, "link lost"),
    (Ended::Forgotten, "forgotten"),
    (Ended::Restart, "restarted"),
];

/// A request that waits for its reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) system: SystemBytes,
    pub(super) id: u64,
    primary: StreamFunction,
    since: u64,
}

/// A reply that is owed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owed {
    pub(super) at: u64,
    pub(super) token: ReplyToken,
    pub(super) id: u64,
    pub(super) answer: Answer,
}

/// How a primary is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Reply,
    Abort,
    /// Stream 9 and then nothing, so that its sender runs into T3.
    Error,
}

/// The requests of one application.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    open: Vec<Request>,
    /// The linktest that is open, whoever began it.
    pub(super) linktest: Option<SystemBytes>,
    serial: u64,
    /// The last of the peer's primaries that was delivered.
    delivered: u64,
    pub(super) ended: [u64; ENDS.len()],
    pub(super) begun: u64,
}

/// The bit of an id that says which end numbered the message.
const END: u64 = 1 << 62;
/// The bit of a reply's id.
pub(super) const REPLY: u64 = 1 << 63;

impl Ledger {
    /// The id of the next message of this end.
    pub(super) fn number(&mut self, end: usize) -> u64 {
        self.serial += 1;
        self.serial | if end == 0 { 0 } else { END }
    }

    pub(super) fn begin(
        &mut self,
        system: SystemBytes,
        id: u64,
        primary: StreamFunction,
        now: u64,
    ) -> Result<(), String> {
        if self.open.iter().any(|request| request.system == system) {
            return Err(format!("two open requests have the system bytes {system}"));
        }
        self.begun += 1;
        self.open.push(Request { system, id, primary, since: now });
        Ok(())
    }

    pub(super) fn open(&self) -> &[Request] {
        &self.open
    }

    fn end(&mut self, system: SystemBytes, ended: Ended) -> Result<Request, String> {
        let index = self.open.iter().position(|request| request.system == system);
        let index = index.ok_or_else(|| format!("{system} ended ({ended:?}) and is not open: a second outcome"))?;
        self.ended[ended as usize] += 1;
        Ok(self.open.swap_remove(index))
    }

    /// A reply came, or an abort. `foreign`: from a peer of which nothing is expected but octets.
    pub(super) fn reply(&mut self, header: &Header, id: Option<u64>, foreign: bool) -> Result<(), String> {
        let abort = header.stream_function().is_abort();
        let request = self.end(header.system, if abort { Ended::Abort } else { Ended::Reply })?;
        let (reply, stream) = (header.stream_function(), request.primary.stream);
        let fits = reply.stream == stream && (abort || reply.function == request.primary.function + 1);
        if !fits {
            return Err(format!("{reply} came as the reply to {}", request.primary));
        }
        if !foreign && !abort && id != Some(request.id | REPLY) {
            return Err(format!("{header:?} carries {id:x?} and is the reply to {:x}", request.id));
        }
        Ok(())
    }

    /// The machine told of the end of a transaction.
    pub(super) fn told(&mut self, system: SystemBytes, end: TransactionEnd, now: u64, t3: u64) -> Result<(), String> {
        if self.linktest == Some(system) {
            self.linktest = None;
            return Ok(());
        }
        let ended = match end {
            TransactionEnd::T3 => Ended::T3,
            TransactionEnd::Rejected(_) => Ended::Reject,
            TransactionEnd::SessionEnded => Ended::Lost,
            other => return Err(format!("{system} ended as {other}")),
        };
        let request = self.end(system, ended)?;
        if ended == Ended::T3 && now < request.since + t3 {
            return Err(format!("T3 of {system} after {} ms instead of {t3}", now - request.since));
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, system: SystemBytes) -> Result<(), String> {
        self.end(system, Ended::Forgotten).map(drop)
    }

    /// Nobody is there any more to learn of anything.
    pub(super) fn restart(&mut self) {
        self.ended[Ended::Restart as usize] += self.open.len() as u64;
        self.open.clear();
        self.linktest = None;
    }

    /// A primary was delivered: each once, in the order in which they were sent.
    pub(super) fn deliver(&mut self, end: usize, id: Option<u64>) -> Result<(), String> {
        let Some(id) = id else { return Err("a primary with a broken text was delivered".into()) };
        let (from, serial) = (usize::from(id & END != 0), id & !END);
        if id & REPLY != 0 || from == end || serial <= self.delivered {
            return Err(format!("the primary {id:x} was delivered after {:x}", self.delivered));
        }
        self.delivered = serial;
        Ok(())
    }
}

/// The least text: its id.
pub(super) const LEAST_TEXT: u32 = 8;

/// Every octet behind the id tells which message it belongs to, and where.
fn octet(id: u64, offset: u64) -> u8 {
    (id.wrapping_mul(0x9E37).wrapping_add(offset).wrapping_mul(31) >> 3) as u8
}

/// Appends the octets `from..to` of the text of the message with this id.
pub(super) fn write_text(output: &mut Vec<u8>, id: u64, from: u32, to: u32) {
    let octets = id.to_be_bytes();
    for offset in from..to {
        output.push(octets.get(offset as usize).copied().unwrap_or_else(|| octet(id, offset.into())));
    }
}

/// A text that is arriving.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    id: [u8; 8],
    broken: bool,
}

impl Arriving {
    /// Takes a piece of a text of `len` octets. With the last one gives its id, if the text is what it should be.
    pub(super) fn push(&mut self, offset: u32, piece: &[u8], len: u32) -> Option<u64> {
        if offset == 0 {
            self.broken = len < LEAST_TEXT;
        }
        let mut piece = piece;
        let mut offset = offset as usize;
        while offset < self.id.len() {
            let (first, rest) = piece.split_first()?;
            self.id[offset] = *first;
            (offset, piece) = (offset + 1, rest);
        }
        let id = u64::from_be_bytes(self.id);
        self.broken |= piece.iter().zip(offset as u64..).any(|(found, offset)| *found != octet(id, offset));
        let last = offset + piece.len() == len as usize;
        (last && !self.broken).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hsms_core::wire::RejectReason;

    #[test]
    fn a_text_is_known_by_any_pieces_and_an_octet_off_is_found() {
        let (id, len) = (0x1234_5678_9abc | END, 100);
        let mut text = Vec::new();
        write_text(&mut text, id, 0, 60);
        write_text(&mut text, id, 60, len);
        for cut in 0..=text.len() {
            let mut arriving = Arriving::default();
            let (first, rest) = text.split_at(cut);
            let early = arriving.push(0, first, len);
            if cut < text.len() {
                assert_eq!(early, None);
                assert_eq!(arriving.push(u32::try_from(cut).unwrap(), rest, len), Some(id));
            } else {
                assert_eq!(early, Some(id));
            }
        }
        for place in 8..text.len() {
            let mut wrong = text.clone();
            wrong[place] ^= 1;
            assert_eq!(Arriving::default().push(0, &wrong, len), None, "{place}");
        }
    }

    #[test]
    fn a_second_outcome_and_a_second_delivery_are_found() {
        let mut ledger = Ledger::default();
        let primary = StreamFunction::new(1, 1);
        let id = ledger.number(0);
        ledger.begin(SystemBytes(7), id, primary, 0).unwrap();
        let reply = Header::data(SystemBytes(7), StreamFunction::new(1, 2), false, hsms_core::wire::SessionId(1));
        assert!(ledger.begin(SystemBytes(7), id, primary, 0).is_err());
        ledger.reply(&reply, Some(id | REPLY), false).unwrap();
        assert!(ledger.reply(&reply, Some(id | REPLY), false).is_err());
        for end in [TransactionEnd::T3, TransactionEnd::SessionEnded, TransactionEnd::Rejected(RejectReason(3))] {
            assert!(ledger.told(SystemBytes(7), end, 9, 1).is_err(), "{end}");
        }
        ledger.linktest = Some(SystemBytes(6));
        ledger.told(SystemBytes(6), TransactionEnd::SessionEnded, 9, 1).unwrap();
        assert!(ledger.told(SystemBytes(6), TransactionEnd::SessionEnded, 9, 1).is_err(), "a linktest as well");
        ledger.begin(SystemBytes(8), id, primary, 0).unwrap();
        assert!(ledger.told(SystemBytes(8), TransactionEnd::T3, 9, 10).is_err(), "too early");
        ledger.begin(SystemBytes(9), id, primary, 0).unwrap();
        let other = Header { system: SystemBytes(9), ..reply };
        assert!(ledger.reply(&other, Some((id + 1) | REPLY), false).is_err(), "the reply to another");
        ledger.deliver(0, Some(END | 1)).unwrap();
        assert!(ledger.deliver(0, Some(END | 1)).is_err());
        assert!(ledger.deliver(0, Some(2)).is_err(), "one of its own");
    }
}
