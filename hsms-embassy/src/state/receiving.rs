//! From the read buffer to the machine, and on to whom a message is for.

use super::State;
use super::calls::{Awaits, Topic};
use super::inbox::{Entry, LinkNumber};
use crate::log;
use hsms_core::connection::{Inbound, Sessions};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SystemBytes};

/// So much is copied at once while the lock is held: on a microcontroller that can mean without interrupts.
pub(crate) const AT_ONCE: usize = 512;

/// Where the text of the message that is arriving goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arriving {
    /// No text arrives.
    Nothing,
    /// Nobody wants it.
    Passing,
    /// The primary waits for a place in the inbox.
    Waiting(Entry),
    /// The inbox.
    Inbox,
    /// To the call that awaits this reply: it takes the text from the read buffer itself.
    Reply(SystemBytes),
}

/// What became of the octets that have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Some were taken: look again.
    Progress,
    /// None are left.
    Empty,
    /// Somebody else has to do something first; so many octets are left until then.
    Blocked(usize),
}

impl<const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> State<'_, TRANSACTIONS, CALLS, S> {
    /// Gives the machine octets that have been read: up to the next text, or as much of a text as there is room for.
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        if !self.open {
            self.input.clear();
            return Step::Empty;
        }
        let most = self.acceptable(now);
        let octets = self.input.len().min(most);
        if octets == 0 && most == 0 {
            return self.block(now);
        }
        // Timers go on, also where the peer has sent nothing more. A no-op where input is not paused.
        let _ = self.machine.resume_input(now);
        if octets == 0 {
            return Step::Empty;
        }
        let State { channel, machine, input, inbox, arriving, calls, full, strays, link, .. } = self;
        let Some(octets) = input.octets().get(..octets) else { return Step::Empty };
        let Ok((taken, inbound)) = machine.receive(now, octets) else {
            // In the middle of a text, where its actions wait for room in the output.
            *full = true;
            return self.block(now);
        };
        let mut first = None;
        match inbound {
            Some(inbound) if inbound.first() => {
                log::received(channel, &inbound);
                first = Some(Beginning::of(&inbound, *strays, low(*link)));
            }
            Some(inbound) => {
                if let Arriving::Inbox = arriving {
                    inbox.put(inbound.body());
                    if inbound.last()
                        && let Some(entry) = inbox.last_mut()
                    {
                        entry.whole = true;
                    }
                    calls.wake(Topic::Inbox);
                }
                if inbound.last() {
                    *arriving = Arriving::Nothing;
                }
            }
            None => {}
        }
        input.took(taken);
        self.settle(now);
        if let Some(beginning) = first {
            self.begin(now, &beginning);
        }
        Step::Progress
    }

    /// How many octets of input can be given to the machine. Those of a text need no room in the output, which a peer may read only
    /// when it has written that text.
    fn acceptable(&mut self, now: Instant) -> usize {
        // Nobody takes anything: whatever finds no room now is refused at once.
        let refused = match self.arriving {
            Arriving::Waiting(_) => self.inbox.is_full(),
            Arriving::Inbox => self.inbox.room() == 0 && self.machine.body_left() > 0,
            _ => false,
        };
        if refused && self.inbox.stalled {
            self.give_up(now);
        } else if let Arriving::Waiting(entry) = self.arriving
            && !self.admit(entry)
        {
            return 0;
        }
        if self.is_held_up() {
            return 0;
        }
        if self.machine.prefix_left() > 0 {
            return self.machine.prefix_left();
        }
        match self.arriving {
            Arriving::Inbox => self.inbox.room().min(AT_ONCE),
            Arriving::Nothing | Arriving::Passing => usize::MAX,
            Arriving::Waiting(_) => 0,
            // Where nothing has been read of it there is nothing to wait for.
            Arriving::Reply(_) if self.input.is_empty() => usize::MAX,
            Arriving::Reply(_) => 0,
        }
    }

    /// Whether the machine takes nothing of what comes next until there is room in the output.
    fn is_held_up(&self) -> bool {
        if self.machine.prefix_left() > 0 { !self.settled() || self.has_refused() } else { self.full }
    }

    /// Whether what is to be done next with the input is somebody else's.
    fn block(&mut self, now: Instant) -> Step {
        // Timers would count our delay as the peer's. Fails where there is no connection.
        let _ = self.machine.pause_input(now);
        self.wake_reader();
        Step::Blocked(self.input.len())
    }

    /// The call that takes the text of the reply that is arriving may go on.
    pub(super) fn wake_reader(&mut self) {
        if let Arriving::Reply(system) = self.arriving
            && let Some(index) = self.calls.find(system)
        {
            self.calls.wake_one(index);
        }
    }

    /// Whether nothing has changed since the input was blocked: so many octets were left then.
    pub(crate) fn is_blocked(&self, left: usize) -> bool {
        let blocked = match self.arriving {
            Arriving::Waiting(_) | Arriving::Inbox if self.is_unread() => true,
            Arriving::Waiting(_) => false,
            Arriving::Reply(_) => !self.input.is_empty() && self.input.len() == left,
            Arriving::Inbox | Arriving::Nothing | Arriving::Passing => self.is_held_up(),
        };
        self.open && blocked
    }

    /// Whether the application has to take something before what is arriving goes on.
    pub(crate) fn is_unread(&self) -> bool {
        match self.arriving {
            Arriving::Waiting(_) => self.inbox.is_full(),
            Arriving::Inbox => self.inbox.room() == 0 && self.machine.body_left() > 0,
            Arriving::Reply(_) => !self.input.is_empty(),
            Arriving::Nothing | Arriving::Passing => false,
        }
    }

    /// A message begins, of which no text was taken.
    // In flash it is smaller by itself.
    #[inline(never)]
    fn begin(&mut self, now: Instant, beginning: &Beginning) {
        if !self.open {
            return;
        }
        let entry = beginning.entry;
        match beginning.sort {
            Sort::Other => self.pass(entry.whole),
            Sort::Primary => {
                if !self.admit(entry) {
                    self.arriving = Arriving::Waiting(entry);
                    if self.inbox.stalled {
                        self.give_up(now);
                    }
                }
            }
            Sort::Reply => {
                let system = entry.header.system;
                let outcome = Awaits::Here { header: entry.header, body_len: entry.body_len };
                match self.calls.find(system) {
                    Some(index) => {
                        self.calls.set(index, outcome);
                        self.calls.wake_one(index);
                        self.arriving = if entry.whole { Arriving::Nothing } else { Arriving::Reply(system) };
                    }
                    None => self.pass(entry.whole),
                }
            }
        }
    }

    /// Puts a primary into the inbox, where there is a place.
    fn admit(&mut self, entry: Entry) -> bool {
        if !self.inbox.push(entry) {
            return false;
        }
        self.arriving = if entry.whole { Arriving::Nothing } else { Arriving::Inbox };
        self.calls.wake(Topic::Inbox);
        true
    }

    /// Nobody wants the text.
    const fn pass(&mut self, whole: bool) {
        self.arriving = if whole { Arriving::Nothing } else { Arriving::Passing };
    }

    /// Nobody took anything of what is arriving for too long.
    pub(crate) fn give_up(&mut self, now: Instant) {
        match self.arriving {
            Arriving::Waiting(entry) => {
                self.inbox.stalled = true;
                self.pass(entry.whole);
                self.refuse(now, &entry.header, entry.token);
            }
            Arriving::Inbox => {
                self.inbox.stalled = true;
                self.pass(false);
                if let Some(entry) = self.inbox.cut() {
                    self.refuse(now, &entry.header, entry.token);
                }
                self.calls.wake(Topic::Inbox);
            }
            Arriving::Reply(system) => {
                if let Some(index) = self.calls.find(system)
                    && let Awaits::Here { header, .. } = self.calls.awaits(index)
                {
                    self.calls.set(index, Awaits::Unread { header });
                    self.calls.wake_one(index);
                }
                self.give_up_reply(now, system);
            }
            Arriving::Nothing | Arriving::Passing => {}
        }
    }

    /// Nobody waits for this reply any more.
    pub(crate) fn give_up_reply(&mut self, now: Instant, system: SystemBytes) {
        // Unknown where the transaction has ended.
        let _ = self.machine.forget(system);
        if let Arriving::Reply(arriving) = self.arriving
            && arriving == system
        {
            self.pass(self.machine.body_left() == 0);
        }
        self.settle(now);
    }

    /// The first primary in the inbox is done with.
    pub(crate) fn finish_primary(&mut self) {
        if self.inbox.finish() && matches!(self.arriving, Arriving::Inbox) {
            self.pass(false);
        }
        self.calls.wake(Topic::Inbox);
        // Where the connection has ended the services have waited for this.
        #[cfg(feature = "services")]
        for topic in [Topic::State, Topic::Anything] {
            self.calls.wake(topic);
        }
        self.wake_runner();
    }

    /// The connection has ended. Gives the header of a primary that had come and found no place.
    pub(super) fn end_arrival(&mut self) -> Option<Header> {
        match core::mem::replace(&mut self.arriving, Arriving::Nothing) {
            Arriving::Waiting(entry) => {
                log::dropped(&self.channel, &entry.header);
                Some(entry.header)
            }
            Arriving::Inbox => {
                self.inbox.cut();
                None
            }
            Arriving::Nothing | Arriving::Passing | Arriving::Reply(_) => None,
        }
    }

    /// Takes octets of the reply that is arriving out of the read buffer; gives how many.
    pub(crate) fn take_reply(&mut self, now: Instant, system: SystemBytes, buffer: &mut [u8]) -> usize {
        let Arriving::Reply(arriving) = self.arriving else { return 0 };
        let octets = self.input.len().min(buffer.len()).min(AT_ONCE);
        if arriving != system || octets == 0 {
            return 0;
        }
        let _ = self.machine.resume_input(now);
        let Some(input) = self.input.octets().get(..octets) else { return 0 };
        let Ok((taken, inbound)) = self.machine.receive(now, input) else {
            // Its actions wait for room in the output: the call is woken when there is.
            let _ = self.machine.pause_input(now);
            return 0;
        };
        let mut given = 0;
        if let Some(inbound) = inbound
            && let Some(place) = buffer.get_mut(..inbound.body().len())
        {
            place.copy_from_slice(inbound.body());
            given = inbound.body().len();
            if inbound.last() {
                self.arriving = Arriving::Nothing;
            }
        }
        self.input.took(taken);
        self.settle(now);
        given
    }
}

/// The lower half.
pub(crate) const fn low(link: u32) -> LinkNumber {
    let [_, _, high, low] = link.to_be_bytes();
    LinkNumber::from_be_bytes([high, low])
}

/// What has to be known of a message that begins, without its octets.
struct Beginning {
    sort: Sort,
    entry: Entry,
}

enum Sort {
    Primary,
    Reply,
    Other,
}

impl Beginning {
    /// `strays`: a reply that nobody waits for is one for the inbox.
    fn of(inbound: &Inbound<'_>, strays: bool, link: LinkNumber) -> Self {
        let sort = match (inbound.is_reply(), inbound.is_for_application()) {
            (true, _) => Sort::Reply,
            (false, true) => Sort::Primary,
            (false, false) if cfg!(feature = "services") && strays && inbound.is_unawaited() => Sort::Primary,
            (false, false) => Sort::Other,
        };
        let entry = Entry {
            header: *inbound.header(),
            token: inbound.reply_token(),
            body_len: inbound.piece.body_len,
            here: 0,
            whole: inbound.last(),
            cut: false,
            link,
        };
        Beginning { sort, entry }
    }
}
