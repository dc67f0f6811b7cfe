//! What the tasks share: the machine, the lent storage, and the calls that wait. Nothing here waits; all of it is called under
//! the lock of the link.

pub(crate) mod calls;
pub(crate) mod inbox;
pub(crate) mod input;
pub(crate) mod output;
pub(crate) mod receiving;

pub(crate) use receiving::{AT_ONCE, Step};

use crate::log::{self, Channel};
use crate::{Told, clock};
use calls::{Awaits, Calls, Topic};
use core::task::Waker;
use embassy_sync::waitqueue::WakerRegistration;
use embassy_time::Duration;
use heapless::{LenType, Vec};
use hsms_core::connection::{
    Action, CloseReason, Connection, Event, MAX_CONTROL_FRAME, Notice, ReplyToken, Sessions, State as Selection,
    TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, PREFIX_LEN};
use inbox::Inbox;
use input::Input;
use output::Output;
use receiving::Arriving;

/// What can wait to be told.
const TOLD: usize = 4;

/// Primaries that were refused and wait for their SxF0.
const REFUSED: usize = 4;

/// What the application wants of the connection, to be done as soon as the machine takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Enable,
    Disable,
    Separate,
}

pub(crate) struct State<'b, const TRANSACTIONS: usize, const CALLS: usize, S> {
    pub(crate) channel: Channel,
    pub(crate) machine: Connection<TRANSACTIONS, S>,
    pub(crate) input: Input<'b>,
    pub(crate) inbox: Inbox<'b, TRANSACTIONS>,
    pub(crate) output: Output<'b>,
    pub(crate) calls: Calls<CALLS>,
    pub(crate) arriving: Arriving,
    /// Somebody runs the link.
    pub(crate) running: bool,
    /// The machine wants a transport.
    pub(crate) wanted: bool,
    /// There is one.
    pub(crate) open: bool,
    /// Which one since the start.
    pub(crate) link: u32,
    /// The state that the calls know of.
    seen: Selection,
    /// How often that has changed.
    pub(crate) changes: u16,
    /// How often something happened.
    #[cfg_attr(not(feature = "services"), expect(dead_code, reason = "for the services"))]
    pub(crate) happened: u16,
    /// Replies that nobody waits for go to the inbox as well.
    pub(crate) strays: bool,
    /// Why the last one ended.
    pub(crate) closed: Option<CloseReason>,
    /// Since when the machine takes no inputs, as there is no room for its frames in the output.
    held_up: Option<Instant>,
    /// It took none of a text either.
    full: bool,
    /// The call that writes a text.
    pub(crate) writer: Option<usize>,
    /// A text was given up, and the machine has not been told.
    abort: bool,
    /// How the connection is to end, whatever was ordered behind that, and what was ordered last of all.
    ending: Option<Order>,
    last_order: Option<Order>,
    refused: Vec<ReplyToken, REFUSED, u8>,
    told: Vec<Told, TOLD, u8>,
    untold: u32,
    runner: WakerRegistration,
}

impl<'b, const TRANSACTIONS: usize, const CALLS: usize, S: Sessions> State<'b, TRANSACTIONS, CALLS, S> {
    pub(crate) const fn new(
        machine: Connection<TRANSACTIONS, S>,
        input: Input<'b>,
        inbox: Inbox<'b, TRANSACTIONS>,
        output: Output<'b>,
    ) -> Self {
        State {
            channel: Channel::new(),
            machine,
            input,
            inbox,
            output,
            calls: Calls::new(),
            arriving: Arriving::Nothing,
            running: false,
            wanted: false,
            open: false,
            link: 0,
            seen: Selection::NotConnected,
            changes: 0,
            happened: 0,
            strays: false,
            closed: None,
            held_up: None,
            full: false,
            writer: None,
            abort: false,
            ending: None,
            last_order: None,
            refused: Vec::new(),
            told: Vec::new(),
            untold: 0,
            runner: WakerRegistration::new(),
        }
    }

    /// The task that runs the link goes on when something has changed for it.
    #[inline(never)]
    pub(crate) fn wait(&mut self, waker: &Waker) {
        self.runner.register(waker);
    }

    #[inline(never)]
    pub(crate) fn wake_runner(&mut self) {
        self.runner.wake();
    }

    /// A call is over, and its place is free for whoever found none.
    pub(crate) fn release(&mut self, index: usize) {
        self.calls.release(index);
        #[cfg(feature = "services")]
        {
            self.happened = self.happened.wrapping_add(1);
            self.calls.wake(Topic::Anything);
        }
    }

    /// Does what the application wants of the connection, now or as soon as the machine takes it.
    pub(crate) fn order(&mut self, now: Instant, order: Order) {
        if order != Order::Enable {
            // Behind it there is nothing left to end.
            self.ending = self.ending.or(Some(order));
        }
        if order != Order::Separate {
            self.last_order = Some(order);
        }
        self.settle(now);
    }

    /// Tells the machine what happened outside.
    pub(crate) fn happen(&mut self, now: Instant, event: Event) {
        log::event(&self.channel, &event);
        // Refused where the machine has closed the connection by itself meanwhile.
        let _ = self.machine.handle(now, event);
        self.settle(now);
    }

    /// The transport that was wanted is open.
    pub(crate) fn opened(&mut self, now: Instant) {
        self.wanted = false;
        self.open = true;
        self.link = self.link.wrapping_add(1);
        self.channel.renew();
        self.output.reset();
        self.input.clear();
        self.tell(Told::Connected);
        self.happen(now, Event::TransportOpen);
    }

    /// The transport has ended, or is of no use.
    pub(crate) fn hang_up(&mut self, now: Instant) {
        if self.open {
            self.let_go(now);
            if self.open {
                self.happen(now, Event::TransportClosed);
            }
        }
    }

    /// Frames that have no room go nowhere any more, so that the machine takes inputs.
    fn let_go(&mut self, now: Instant) {
        if !self.settled() {
            self.output.fail();
            self.settle(now);
        }
    }

    /// The transport is closed, and what could be written has been.
    pub(crate) fn over(&mut self) {
        self.output.reset();
        self.calls.resolve(|awaits| matches!(awaits, Awaits::Sending { .. }).then_some(Awaits::Lost));
    }

    /// Nobody runs the link any more: the transport is gone with its futures.
    pub(crate) fn stopped(&mut self) {
        self.running = false;
        self.hang_up(clock::now());
        self.over();
    }

    /// The transport took so many octets.
    pub(crate) fn wrote(&mut self, now: Instant, octets: usize) {
        self.output.took(octets);
        let told = self.machine.written(now, u64::try_from(octets).unwrap_or(0));
        debug_assert!(told.is_ok() || self.output.is_broken(), "{told:?}");
        let taken = self.output.taken();
        self.calls.resolve(|awaits| match awaits {
            Awaits::Sending { end } if end <= taken => Some(Awaits::Sent),
            _ => None,
        });
        self.wake_runner();
    }

    /// Gives what is to be written for `half`, which has been; gives how many octets that are.
    pub(crate) fn fetch(&mut self, half: &mut &'b mut [u8]) -> usize {
        let filled = self.output.swap(half);
        if filled > 0 {
            if !self.settled() {
                self.settle(clock::now());
            }
            self.calls.wake(Topic::Room);
            self.calls.wake_turns();
        }
        filled
    }

    /// Whether all actions have been carried out: the machine takes inputs.
    pub(crate) const fn settled(&self) -> bool {
        self.held_up.is_none()
    }

    /// When the machine has to be called. Where a peer that takes next to nothing keeps that from being done, when we are not
    /// patient with it any more.
    pub(crate) fn due(&self, patience: Duration) -> Option<Instant> {
        let due = self.machine.next_deadline();
        let Some(since) = self.held_up else { return due };
        let latest = Instant::from_millis(since.as_millis().saturating_add(patience.as_millis()));
        match self.ending.or(self.last_order) {
            Some(_) => Some(latest),
            None => due.map(|due| due.max(latest)),
        }
    }

    /// What was due has come.
    pub(crate) fn time_out(&mut self, now: Instant) {
        let too_slow = !self.settled();
        self.let_go(now);
        if self.machine.next_deadline().is_some_and(|due| due <= now) {
            self.happen(now, Event::Timeout);
        }
        if too_slow {
            self.hang_up(now);
        }
    }

    /// The drain rule, after every input and every command; and then what waited for it.
    pub(crate) fn settle(&mut self, now: Instant) {
        let since = self.held_up.take();
        let settled = loop {
            if !self.drain() {
                break false;
            }
            if !self.go_on(now) {
                break true;
            }
        };
        self.held_up = if settled { None } else { since.or(Some(now)) };
        self.full &= !settled;
        if core::mem::replace(&mut self.seen, self.machine.state()) != self.machine.state() {
            #[cfg(feature = "services")]
            {
                self.changes = self.changes.wrapping_add(1);
            }
            self.calls.wake(Topic::State);
        }
        #[cfg(feature = "services")]
        {
            self.happened = self.happened.wrapping_add(1);
            self.calls.wake(Topic::Anything);
        }
        if settled && self.writer.is_none() {
            self.calls.wake_turns();
        }
        if settled && since.is_some() {
            self.wake_reader();
        }
        self.wake_runner();
    }

    /// Carries actions out, as far as there is room for frames. Gives whether there is room for one more.
    fn drain(&mut self) -> bool {
        loop {
            // While a text is open the machine has no frames to send.
            let room = !self.open
                || self.machine.is_body_open()
                || self.output.is_broken()
                || self.output.room() >= MAX_CONTROL_FRAME;
            if !room {
                return false;
            }
            let Some(action) = self.machine.poll_action() else { return true };
            log::action(&self.channel, &action);
            match action {
                Action::OpenTransport => self.wanted = true,
                Action::Send(frame) => {
                    if self.open {
                        self.output.push(&frame.encode());
                    }
                }
                Action::CloseTransport(reason) => self.close(reason),
                Action::Notify(notice) => self.notice(notice),
            }
        }
    }

    /// Does one thing that had to wait until the machine takes it. Tells whether there was one.
    fn go_on(&mut self, now: Instant) -> bool {
        if core::mem::take(&mut self.abort) {
            // Refused where the connection has ended and the text with it.
            return self.machine.abort_body(now).is_ok();
        }
        if let Some(order) = self.ending.take().or_else(|| self.last_order.take()) {
            // Refused where there is nothing to separate.
            let _ = match order {
                Order::Enable => self.machine.enable(now),
                Order::Disable => self.machine.disable(now),
                Order::Separate => self.machine.separate(now),
            };
            return true;
        }
        if self.writer.is_none()
            && self.output.room() >= PREFIX_LEN
            && let Some(token) = take_first(&mut self.refused)
        {
            // Refused where the connection has ended: then its sender knows.
            if let Ok(prefix) = self.machine.begin_abort(now, &token) {
                self.output.push(&prefix);
                let _ = self.machine.end_body(now);
            }
            return true;
        }
        false
    }

    /// The call that writes a text has been dropped: what is written of it cannot be taken back.
    pub(crate) fn give_up_text(&mut self, now: Instant, writer: usize) {
        if self.writer == Some(writer) {
            self.writer = None;
            self.abort = true;
            self.settle(now);
        }
    }

    /// Nobody will answer this primary: its sender need not wait for T3. Tells nothing where none waits.
    pub(crate) fn refuse(&mut self, now: Instant, header: &Header, token: Option<ReplyToken>) {
        log::dropped(&self.channel, header);
        self.tell(Told::Dropped(*header));
        if let Some(token) = token {
            // There is room: nothing is read while one waits.
            let _ = self.refused.push(token);
        }
        self.settle(now);
    }

    /// Whether answers to primaries that were refused wait to be sent.
    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    pub(crate) fn tell(&mut self, told: Told) {
        if self.told.is_full() {
            take_first(&mut self.told);
            self.untold = self.untold.saturating_add(1);
        }
        let _ = self.told.push(told);
        self.calls.wake(Topic::Told);
    }

    /// The oldest thing to tell, behind how many were lost in front of it.
    pub(crate) fn take_told(&mut self) -> Option<Told> {
        if self.untold > 0 {
            return Some(Told::Missed(core::mem::take(&mut self.untold)));
        }
        take_first(&mut self.told)
    }

    fn close(&mut self, reason: CloseReason) {
        self.wanted = false;
        if !core::mem::take(&mut self.open) {
            return;
        }
        self.closed = Some(reason);
        self.writer = None;
        self.refused.clear();
        self.input.clear();
        if let Some(missed) = self.end_arrival() {
            self.tell(Told::Dropped(missed));
        }
        if matches!(reason, CloseReason::TransportClosed) {
            self.output.fail();
        }
        self.tell(Told::Closed(reason));
        self.calls.resolve(|awaits| match awaits {
            Awaits::Session { .. } => Some(Awaits::Ended(TransactionEnd::SessionEnded)),
            _ => None,
        });
        self.calls.wake(Topic::Room);
        self.calls.wake(Topic::Inbox);
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::TransactionEnded { system, end } => self.calls.resolve(|awaits| match awaits {
                Awaits::Reply { system: awaited } | Awaits::Linktest { system: awaited } => {
                    (awaited == system).then_some(Awaits::Ended(end))
                }
                Awaits::Here { header, .. } => (header.system == system).then_some(Awaits::Ended(end)),
                _ => None,
            }),
            Notice::LinktestAnswered { system } => self.linktest_ended(system, Awaits::LinktestAnswered),
            Notice::LinktestMissed { system, .. } => {
                self.linktest_ended(system, Awaits::LinktestMissed);
                self.tell(Told::Notice(notice));
            }
            notice => {
                self.session_notice(&notice);
                self.tell(Told::Notice(notice));
            }
        }
    }

    fn linktest_ended(&mut self, system: hsms_core::wire::SystemBytes, outcome: Awaits) {
        self.calls.resolve(|awaits| (awaits == Awaits::Linktest { system }).then_some(outcome));
    }

    fn session_notice(&mut self, notice: &Notice) {
        let (session, outcome) = match notice {
            Notice::SessionSelected { session } => (*session, Ok(true)),
            Notice::SessionEnded { session, .. } => (*session, Ok(false)),
            Notice::SessionRefused { session, refusal } => (*session, Err(*refusal)),
            _ => return,
        };
        self.calls.resolve(|awaits| match (awaits, outcome) {
            (Awaits::Session { session: awaited, .. }, Err(refusal)) if awaited == session => {
                Some(Awaits::SessionRefused(refusal))
            }
            (Awaits::Session { session: awaited, selects }, Ok(selected))
                if awaited == session && selects == selected =>
            {
                Some(Awaits::SessionDone)
            }
            _ => None,
        });
    }
}

/// The first, moving those behind it forward.
fn take_first<T: Copy, L: LenType, const N: usize>(of: &mut Vec<T, N, L>) -> Option<T> {
    let first = of.first().copied()?;
    let mut place: Option<&mut T> = None;
    for item in of.iter_mut() {
        if let Some(place) = place {
            *place = *item;
        }
        place = Some(item);
    }
    of.pop();
    Some(first)
}
