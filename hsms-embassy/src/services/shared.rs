//! What the tasks share: the core, the sendings that wait for it, and what it told. Nothing here waits.

use super::Core;
use super::endpoint::Told;
use super::owed::{Joint, Owed, failed};
use crate::state::receiving::low;
use crate::{clock, log};
use core::task::Waker;
use embassy_sync::blocking_mutex::raw::RawMutex;
use hsms_core::connection::{ReplyToken, State as Selection, TransactionEnd};
use hsms_core::services::{
    Answer, Done, EndpointAction, Outgoing, Reaction, Response, SendError, ServiceId, ServiceMessage, Ticket,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

/// What can wait to be told.
const TOLD: usize = 4;

pub(super) struct Shared<
    'l,
    H,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> {
    pub(super) core: Core<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>,
    sendings: heapless::Vec<Sending, SENDINGS>,
    pub(super) seen: Seen,
    /// The connection had no room when this had happened on it.
    refused: Option<u16>,
    told: heapless::Deque<Told, TOLD>,
    untold: u32,
    /// When the deadline is that `run` waits for.
    pub(super) awaited: Option<Instant>,
}

/// The connection, as far as the core knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// How often its state has changed.
    pub(super) changes: u16,
    /// Which link since the start.
    link: u32,
    state: Selection,
}

/// What a call sends.
struct Sending {
    ticket: Ticket,
    stage: Stage,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// For the core to let it go.
    Waits,
    /// It may go out.
    Goes(Leave),
    /// It has gone out.
    Gone,
    Over(Result<Done, SendError>),
}

/// How a message may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leave {
    /// Until the state of the connection changes from this.
    pub(super) changes: u16,
    pub(super) stream_function: StreamFunction,
    pub(super) reply_expected: bool,
}

/// What is sent, for the log: its text does not lie in one piece.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says<'t> {
    Service(&'t ServiceMessage<'t>),
    Function,
}

/// Which handler a message has.
pub(super) enum Found<H> {
    Service(H, ServiceId, Option<Answer>),
    Function(H, Option<ReplyToken>),
}

/// A message that came.
pub(super) struct Came<'t> {
    pub(super) header: Header,
    pub(super) token: Option<ReplyToken>,
    pub(super) text: &'t [u8],
}

impl<
    'l,
    H: Copy,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> Shared<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    pub(super) const fn new(core: Core<'l, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>) -> Self {
        Shared {
            core,
            sendings: heapless::Vec::new(),
            seen: Seen { changes: 0, link: 0, state: Selection::NotConnected },
            refused: None,
            told: heapless::Deque::new(),
            untold: 0,
            awaited: None,
        }
    }

    // What the connection does.

    /// Follows the connection.
    pub(super) fn follow<M: RawMutex, const T: usize, const C: usize>(&mut self, joint: &Joint<'l, '_, M, T, C>) {
        let seen = self.seen;
        let (is, holds, happened) = joint.link.with(|state| {
            let is = Seen { changes: state.changes, link: state.link, state: state.machine.state() };
            (is, state.inbox.holds(low(seen.link)), state.happened)
        });
        // What came over a link before it ended is dealt with as such, unless the next link is there already.
        let waits = holds && is.link == seen.link && is.state != Selection::Selected;
        let now = clock::now();
        if is.changes != seen.changes && !waits {
            // Whatever was in between: what is said afterwards is said over another link, or in another session.
            let between = if is.link == seen.link { Selection::NotSelected } else { Selection::NotConnected };
            self.core.link(now, between);
            self.core.link(now, is.state);
            self.seen = is;
            self.refused = None;
            joint.clear();
            self.wake_going();
        } else if self.refused.is_some_and(|refused| refused != happened) {
            self.refused = None;
            self.core.retry();
        }
    }

    /// Whether [`follow`](Self::follow) would do anything.
    pub(super) fn is_behind<M: RawMutex, const T: usize, const C: usize>(
        &self,
        joint: &Joint<'l, '_, M, T, C>,
    ) -> bool {
        let (changes, happened) = joint.link.with(|state| (state.changes, state.happened));
        changes != self.seen.changes || self.refused.is_some_and(|refused| refused != happened)
    }

    /// Whether whatever happens on the connection is of interest.
    pub(super) const fn was_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Whether a message came over the link that the core knows of.
    pub(super) fn is_of_this_link(&self, link: u16) -> bool {
        low(self.seen.link) == link
    }

    /// A message came that nobody waits for: a primary, or a reply that is late.
    pub(super) fn came<M: RawMutex, const T: usize, const C: usize>(
        &mut self,
        joint: &Joint<'l, '_, M, T, C>,
        message: &Came<'_>,
    ) -> Option<Found<H>> {
        let Came { header, token, text } = message;
        self.log("received", header, text);
        let reaction = if header.stream_function().is_primary() {
            self.core.primary(clock::now(), header, *token, text)
        } else {
            self.core.unawaited(header, text)
        };
        match reaction {
            Reaction::None => {}
            Reaction::Reply { to, message } => joint.owe(Owed::Reply(to, message)),
            Reaction::Abort { to } => joint.owe(Owed::Abort(to)),
            Reaction::Service { handler, message, answer } => {
                return Some(Found::Service(*handler, message.service_id(), answer));
            }
            Reaction::Function { handler, reply, .. } => return Some(Found::Function(*handler, reply)),
            Reaction::Settled { ticket, outcome } => self.settle(ticket, outcome.map(|_| Done::Sent)),
        }
        None
    }

    /// The reply to one of ours came. Gives the outcome where it is that of a sending.
    pub(super) fn replied<'t>(&mut self, header: &Header, text: &'t [u8]) -> Option<Result<Response<'t>, SendError>> {
        self.log("received", header, text);
        match self.core.reply(clock::now(), header, text) {
            Reaction::Settled { outcome, .. } => Some(outcome),
            // Of the requests of the core's own, and of what has ended meanwhile, nothing is left to do.
            _ => None,
        }
    }

    /// The reply to one of the core's own came, and is longer than any that can be meant.
    pub(super) fn reply_dropped(&mut self, system: SystemBytes) {
        self.core.reply_dropped(clock::now(), system);
    }

    pub(super) fn ended(&mut self, system: SystemBytes, end: TransactionEnd) {
        self.core.ended(clock::now(), system, end);
    }

    /// Time has passed.
    pub(super) fn expire(&mut self) {
        let now = clock::now();
        if self.core.next_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        // What has not begun was not sent.
        for sending in self.sendings.iter_mut().filter(|sending| matches!(sending.stage, Stage::Goes(_))) {
            sending.stage = Stage::Waits;
            self.core.not_sent(now, &Outgoing::Application(sending.ticket), hsms_core::Error::BodyOpen);
        }
        self.core.handle_timeout(now);
    }

    // What is to be done.

    /// Has everything done that is to be done; tells whether `run` has to look at the deadlines again.
    pub(super) fn go_on<M: RawMutex, const T: usize, const C: usize>(&mut self, joint: &Joint<'l, '_, M, T, C>) {
        #[cfg(feature = "defmt")]
        self.log_answers(joint);
        while joint.has_room()
            && let Some(action) = self.core.poll_action()
        {
            match action {
                EndpointAction::Send { what: Outgoing::Own(message), stream_function, .. } => {
                    joint.owe(Owed::Request(message, stream_function));
                }
                EndpointAction::Send { what: Outgoing::Application(ticket), stream_function, reply_expected } => {
                    let leave = Leave { changes: self.seen.changes, stream_function, reply_expected };
                    self.set(ticket, Stage::Goes(leave));
                }
                EndpointAction::Report { error, about } => joint.owe(Owed::Report(error, about)),
                EndpointAction::Abort { to } => joint.owe(Owed::Abort(to)),
                EndpointAction::Settled { ticket, outcome } => self.settle(ticket, outcome),
                EndpointAction::DropLink => joint.link.separate(),
                EndpointAction::Notify(notice) => {
                    log::services(self.core.name(), &self.core.describe_notice(notice));
                    self.tell(Told::Notice(notice));
                }
            }
        }
        #[cfg(feature = "defmt")]
        joint.link.with(|state| {
            // What the core knows may be of the last connection.
            if state.changes == self.seen.changes {
                state.channel.call(self.core.name(), self.core.is_selected());
            }
        });
        if self.core.next_deadline() != self.awaited {
            joint.wake_runner();
        }
    }

    /// What was to be sent was refused.
    pub(super) fn not_sent<M: RawMutex, const T: usize, const C: usize>(
        &mut self,
        joint: &Joint<'l, '_, M, T, C>,
        what: &Outgoing<'_>,
        error: hsms_core::Error,
    ) {
        self.core.not_sent(clock::now(), what, error);
        self.wait_for_room(joint);
        self.follow(joint);
    }

    /// There was no place for a call.
    pub(super) fn wait_for_room<M: RawMutex, const T: usize, const C: usize>(
        &mut self,
        joint: &Joint<'l, '_, M, T, C>,
    ) {
        self.refused = Some(joint.link.with(|state| state.happened));
        joint.wake_runner();
    }

    // What the application sends.

    /// A call waits for this sending. Gives whether there is a place.
    pub(super) fn add(&mut self, ticket: Ticket) -> bool {
        self.sendings.push(Sending { ticket, stage: Stage::Waits, waker: None }).is_ok()
    }

    /// The connection refused it.
    pub(super) fn kept_back<M: RawMutex, const T: usize, const C: usize>(
        &mut self,
        joint: &Joint<'l, '_, M, T, C>,
        ticket: Ticket,
        error: hsms_core::Error,
    ) {
        self.set(ticket, Stage::Waits);
        self.not_sent(joint, &Outgoing::Application(ticket), error);
    }

    /// The call has ended.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        self.core.cancel(ticket);
        self.sendings.retain(|sending| sending.ticket != ticket);
    }

    /// How far it is, for a call that goes on when that has changed.
    pub(super) fn stage(&mut self, ticket: Ticket, waker: &Waker) -> Stage {
        match self.sending(ticket) {
            Some(sending) => {
                match &mut sending.waker {
                    Some(kept) => kept.clone_from(waker),
                    none => *none = Some(waker.clone()),
                }
                sending.stage
            }
            None => Stage::Over(Err(SendError::Full)),
        }
    }

    /// It has gone out under these system bytes.
    pub(super) fn sent(&mut self, ticket: Ticket, says: Says<'_>, system: SystemBytes) {
        match says {
            Says::Service(message) => log::described(self.core.name(), "sent", &self.core.services().describe(message)),
            Says::Function => {
                if let Some(Sending { stage: Stage::Goes(leave), .. }) = self.sending(ticket) {
                    // No name depends on the session.
                    let Leave { stream_function, reply_expected, .. } = *leave;
                    self.log("sent", &Header::data(system, stream_function, reply_expected, SessionId(0)), &[]);
                }
            }
        }
        self.set(ticket, Stage::Gone);
        self.core.sent(&Outgoing::Application(ticket), system);
    }

    /// A message by its names.
    pub(super) fn log(&self, what: &str, header: &Header, text: &[u8]) {
        log::described(self.core.name(), what, &self.core.describe(header, text));
    }

    /// What handlers have answered.
    #[cfg(feature = "defmt")]
    pub(super) fn log_answers<M: RawMutex, const T: usize, const C: usize>(&self, joint: &Joint<'l, '_, M, T, C>) {
        while let Some(answered) = joint.take_answered() {
            log::described(self.core.name(), "sent", &answered.describe(self.core.services()));
        }
    }

    pub(super) fn set(&mut self, ticket: Ticket, stage: Stage) {
        if let Some(sending) = self.sending(ticket) {
            sending.stage = stage;
            if let Some(waker) = sending.waker.take() {
                waker.wake();
            }
        }
    }

    /// The calls that may send go on when there is nothing left to be sent before.
    pub(super) fn wake_going(&mut self) {
        for sending in self.sendings.iter_mut().filter(|sending| matches!(sending.stage, Stage::Goes(_))) {
            if let Some(waker) = sending.waker.take() {
                waker.wake();
            }
        }
    }

    fn sending(&mut self, ticket: Ticket) -> Option<&mut Sending> {
        self.sendings.iter_mut().find(|sending| sending.ticket == ticket)
    }

    fn settle(&mut self, ticket: Ticket, outcome: Result<Done, SendError>) {
        self.set(ticket, Stage::Over(outcome));
    }

    // What is told.

    pub(super) fn tell(&mut self, told: Told) {
        if self.told.is_full() {
            self.told.pop_front();
            self.untold = self.untold.saturating_add(1);
        }
        let _ = self.told.push_back(told);
    }

    /// The oldest thing to tell, behind how many were lost in front of it.
    pub(super) fn take_told(&mut self) -> Option<Told> {
        if self.untold > 0 {
            return Some(Told::Missed(core::mem::take(&mut self.untold)));
        }
        self.told.pop_front()
    }
}

/// What a handler's failure is answered with.
pub(super) fn owed_by<'a, H>(found: &Found<H>) -> Option<Owed<'a>> {
    match found {
        Found::Service(_, _, answer) => answer.as_ref().map(failed),
        Found::Function(_, token) => token.map(Owed::Abort),
    }
}
