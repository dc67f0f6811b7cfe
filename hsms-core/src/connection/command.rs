//! What the application asks for.

use super::input::GIVEN_UP;
use super::transaction::{Clock, Slot};
use super::transition::Cause;
use super::{Action, Class, CloseReason, Connection, ControlRequest, Phase, ReplyToken, Sessions, State};
use crate::config::{DeviceId, DeviceIds, Entity};
use crate::error::Error;
use crate::time::Instant;
use crate::wire::{BodyTooLong, Header, MIN_LENGTH, PREFIX_LEN, SessionId, StreamFunction, SystemBytes};

/// The error messages of stream 9 that only the application can decide on (E5 7.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stream9 {
    /// S9F3: the stream is not known.
    UnrecognizedStream,
    /// S9F5: the stream is known, the function is not.
    UnrecognizedFunction,
    /// S9F7: the text cannot be interpreted.
    IllegalData,
}

impl Stream9 {
    /// The function: 3, 5 or 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        match self {
            Stream9::UnrecognizedStream => 3,
            Stream9::UnrecognizedFunction => 5,
            Stream9::IllegalData => 7,
        }
    }
}

/// Why a command cannot make its actions: two of the errors, small enough to be handed on in a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    ActionsPending,
    BodyOpen,
}

impl From<NoRoom> for Error {
    fn from(no_room: NoRoom) -> Self {
        match no_room {
            NoRoom::ActionsPending => Error::ActionsPending,
            NoRoom::BodyOpen => Error::BodyOpen,
        }
    }
}

// C. Commands.
impl<const TRANSACTIONS: usize, S: Sessions> Connection<TRANSACTIONS, S> {
    /// Connects, and keeps connecting again after every loss, attempts of the active side spaced by T5 (E37 9.2.1). May be
    /// repeated; safe in any state.
    ///
    /// # Errors
    /// [`Error::ActionsPending`]; [`Error::NotConnected`] for a refusing connection that has ended.
    pub fn enable(&mut self, now: Instant) -> Result<(), Error> {
        self.happen(now, Cause::Enable)
    }

    /// Ends the session with Separate.req where there is one, closes the transport or stops opening it, and does not
    /// connect again. May be repeated; safe in any state. Where a text is open the link just ends.
    ///
    /// # Errors
    /// [`Error::ActionsPending`].
    pub fn disable(&mut self, now: Instant) -> Result<(), Error> {
        self.happen(now, Cause::Disable)
    }

    /// Ends the session with Separate.req where there is one and closes the transport (E37.1 7.6). The connection stays
    /// enabled: the passive side listens again, the active side dials after T5.
    ///
    /// # Errors
    /// [`Error::ActionsPending`]; [`Error::NotConnected`].
    pub fn separate(&mut self, now: Instant) -> Result<(), Error> {
        self.happen(now, Cause::Separate)
    }

    /// Sends Linktest.req (E37 7.5). Gives its system bytes; where a linktest is open already, that one's. It ends in
    /// [`Notice::LinktestAnswered`](super::Notice::LinktestAnswered), in
    /// [`Notice::LinktestMissed`](super::Notice::LinktestMissed), or with the connection.
    ///
    /// # Errors
    /// [`Error::NotSelected`] (HSMS-SS tests the link only while SELECTED, HSMS-GS while connected); [`Error::ControlOpen`] while our Select.req is
    /// open; [`Error::BodyOpen`] where too many frames wait for the end of a text; [`Error::ActionsPending`].
    pub fn linktest(&mut self, now: Instant) -> Result<SystemBytes, Error> {
        self.make_room()?;
        if self.state() != State::Selected && !(self.is_general() && self.phase.connected()) {
            return Err(Error::NotSelected);
        }
        match self.control {
            Some(slot) if slot.request() == ControlRequest::Linktest => {
                self.set_now(now);
                return Ok(slot.system);
            }
            Some(slot) => return Err(Error::ControlOpen { system: slot.system }),
            None => {}
        }
        self.set_now(now);
        Ok(self.request(ControlRequest::Linktest))
    }

    /// Begins a primary: gives its system bytes and the fourteen octets in front of its text of `body_len` octets. With
    /// `reply_expected` a transaction is opened; T3 counts from when the last octet is [`written`](Self::written).
    ///
    /// Append prefix and text to the ordered output, then call [`end_body`](Self::end_body), also after an empty text.
    ///
    /// # Errors
    /// [`Error::NotSelected`], [`Error::NotPrimary`], [`Error::UnknownDevice`] (HSMS-GS: [`Error::SessionNotSelected`]), [`Error::BodyTooLong`],
    /// [`Error::TransactionsFull`], [`Error::BodyOpen`], or [`Error::ActionsPending`] where a frame waits in front of it.
    // An adapter calls this in one place; handing the result over in memory would cost a fifth of the instructions.
    #[inline(always)]
    pub fn begin_primary(
        &mut self,
        now: Instant,
        device: DeviceId,
        stream_function: StreamFunction,
        reply_expected: bool,
        body_len: u32,
    ) -> Result<(SystemBytes, [u8; PREFIX_LEN]), Error> {
        let known = |connection: &Self| match connection.is_general() {
            true => connection.knows(device.session()),
            false => connection.config.device_ids.contains(device),
        };
        self.begin_data(now, device.session(), known, stream_function, reply_expected, body_len)
    }

    /// Begins a primary of this session, by all sixteen bits of its id; of HSMS-SS that is a device id. Goes on as
    /// [`begin_primary`](Self::begin_primary) does.
    ///
    /// # Errors
    /// Those of [`begin_primary`](Self::begin_primary).
    #[inline(always)]
    pub fn begin_primary_in(
        &mut self,
        now: Instant,
        session: SessionId,
        stream_function: StreamFunction,
        reply_expected: bool,
        body_len: u32,
    ) -> Result<(SystemBytes, [u8; PREFIX_LEN]), Error> {
        let known = |connection: &Self| connection.knows(session);
        self.begin_data(now, session, known, stream_function, reply_expected, body_len)
    }

    /// `known`: whether data of this session can be sent.
    #[inline(always)]
    pub(super) fn begin_data(
        &mut self,
        now: Instant,
        session: SessionId,
        known: impl FnOnce(&Self) -> bool,
        stream_function: StreamFunction,
        reply_expected: bool,
        body_len: u32,
    ) -> Result<(SystemBytes, [u8; PREFIX_LEN]), Error> {
        self.can_send()?;
        if !stream_function.is_primary() || stream_function.stream == 0 || stream_function.stream > 127 {
            return Err(Error::NotPrimary { stream_function });
        }
        if !known(self) {
            return Err(if self.is_general() {
                Error::SessionNotSelected { session }
            } else {
                Error::UnknownDevice { session }
            });
        }
        if reply_expected && self.slots.is_full() {
            return Err(Error::TransactionsFull { open: self.slots.len() });
        }
        // Nothing waits for the end of a text here, or it could not be sent.
        let system = self.next_for_primary();
        let header = Header::data(system, stream_function, reply_expected, session);
        let length = length_field(body_len)?;
        self.system.next = system.0.wrapping_add(1);
        self.open_body(now, body_len);
        if reply_expected {
            // There is room: that was looked at above.
            let _ = self.slots.push(Slot::data(&header, Clock::sending(self.outstanding)));
        } else {
            self.system.ended = system.0;
        }
        Ok((system, header.prefix_with_length(length)))
    }

    /// Begins the reply to the primary that `token` came with: gives the fourteen octets in front of its text of `body_len`
    /// octets. Goes on as [`begin_primary`](Self::begin_primary) does.
    ///
    /// # Errors
    /// [`Error::StaleToken`] where the primary came over a connection that has ended; [`Error::NotSelected`],
    /// [`Error::BodyTooLong`], [`Error::BodyOpen`], [`Error::ActionsPending`].
    #[inline]
    pub fn begin_reply(&mut self, now: Instant, token: &ReplyToken, body_len: u32) -> Result<[u8; PREFIX_LEN], Error> {
        self.answer_to(now, token, token.header(false), body_len)
    }

    /// Begins the abort of a transaction that the peer started: SxF0, which has no text (E5 7.4). Goes on as
    /// [`begin_primary`](Self::begin_primary) does.
    ///
    /// # Errors
    /// As [`begin_reply`](Self::begin_reply).
    pub fn begin_abort(&mut self, now: Instant, token: &ReplyToken) -> Result<[u8; PREFIX_LEN], Error> {
        self.answer_to(now, token, token.header(true), 0)
    }

    /// The text that was begun has been appended to the ordered output; frames that waited come out now.
    ///
    /// # Errors
    /// [`Error::NoBodyOpen`].
    #[inline]
    pub fn end_body(&mut self, now: Instant) -> Result<(), Error> {
        if !self.body_open {
            return Err(Error::NoBodyOpen);
        }
        self.advance(now);
        self.body_open = false;
        Ok(())
    }

    /// The text that was begun cannot be completed. What has been written of the message cannot be taken back, so the link
    /// ends, with a reason of its own.
    ///
    /// # Errors
    /// [`Error::NoBodyOpen`]; [`Error::ActionsPending`].
    pub fn abort_body(&mut self, now: Instant) -> Result<(), Error> {
        if !self.body_open {
            return Err(Error::NoBodyOpen);
        }
        // Frames that wait for the text are dropped with it.
        if !self.only_frames() {
            return Err(Error::ActionsPending);
        }
        self.happen(now, Cause::Broken(CloseReason::BodyAborted))
    }

    /// The transport took `octets` more of the ordered output. Timers of requests count from when their last octet is
    /// taken; an adapter that never calls this has no T3 and no T6.
    ///
    /// # Errors
    /// [`Error::WrittenTooMuch`].
    #[inline]
    pub fn written(&mut self, now: Instant, octets: u64) -> Result<(), Error> {
        let outstanding = self.outstanding;
        let Some(left) = outstanding.checked_sub(octets) else {
            if self.phase.connected() {
                return Err(Error::WrittenTooMuch { octets, outstanding });
            }
            // Frames in front of a close may be written after the machine has forgotten them.
            self.advance(now);
            return Ok(());
        };
        self.advance(now);
        self.outstanding = left;
        self.start_timers(octets);
        Ok(())
    }

    /// Gives up the transaction with these system bytes: its place is free at once, and a reply to it is late from now on.
    ///
    /// # Errors
    /// [`Error::NoTransaction`].
    pub fn forget(&mut self, system: SystemBytes) -> Result<(), Error> {
        let Some(slot) = self.end_slot(system) else { return Err(Error::NoTransaction { system }) };
        // Not one whose session or connection has ended: its reply is not what is arriving.
        if slot.clock == Clock::ARRIVING && !slot.is_void() && self.class == Class::Reply {
            self.class = GIVEN_UP;
        }
        Ok(())
    }

    /// The adapter stops reading: T3, T6 and T8 stop, and no linktest is begun, until
    /// [`resume_input`](Self::resume_input). May be repeated.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn pause_input(&mut self, now: Instant) -> Result<(), Error> {
        if !self.phase.connected() {
            return Err(Error::NotConnected);
        }
        self.set_now(now);
        self.paused = self.paused.or(Some(self.now));
        Ok(())
    }

    /// The adapter reads again: timers go on with what was left of them. A no-op where input is not paused.
    ///
    /// # Errors
    /// [`Error::NotConnected`].
    pub fn resume_input(&mut self, now: Instant) -> Result<(), Error> {
        if !self.phase.connected() {
            return Err(Error::NotConnected);
        }
        self.set_now(now);
        let Some(since) = self.paused.take() else { return Ok(()) };
        let pause = self.now.millis_since(since);
        postpone(&mut self.t8, pause);
        postpone(&mut self.linktest_t6, pause);
        if let Phase::Selected { quiet, .. } = &mut self.phase {
            *quiet = quiet.plus_millis(pause);
        }
        if let Some(slot) = &mut self.control {
            slot.clock.postpone(pause);
        }
        for slot in &mut self.slots {
            slot.clock.postpone(pause);
        }
        for slot in self.session_requests_mut() {
            slot.clock.postpone(pause);
        }
        Ok(())
    }

    /// Sets the device ids served, on a live connection too: a listener may learn only later who called.
    pub fn set_device_ids(&mut self, device_ids: DeviceIds) {
        self.config.device_ids = device_ids;
    }

    /// Sets the system bytes that the next request will carry, so that a restarted device does not begin at 1 again. Where a
    /// transaction with this value is open or ended last (0 counts as that at the start), or a message of stream 9 with it
    /// waits for the end of a text, it will be the next free one.
    /// Replies to what was sent on this connection before then count as orphans rather than as late.
    pub fn set_next_system_bytes(&mut self, system: SystemBytes) {
        self.system.first = system.0;
        self.system.next = system.0;
    }

    /// Tells the host what is wrong with the message whose header is `about`: S9F3, S9F5 or S9F7, about one that we
    /// received (E5 7.13). S9F1, S9F9 and S9F11 are sent without being asked for.
    ///
    /// # Errors
    /// [`Error::NotForStream9`] from a host, and about stream 9 or function 0; [`Error::NotSelected`] (HSMS-GS, about another
    /// session: [`Error::SessionNotSelected`]);
    /// [`Error::BodyOpen`] where too many frames wait for the end of a text; [`Error::ActionsPending`].
    pub fn report_error(&mut self, now: Instant, error: Stream9, about: &Header) -> Result<(), Error> {
        self.make_room()?;
        if self.state() != State::Selected {
            return Err(Error::NotSelected);
        }
        if self.is_general() && !self.knows(about.session) {
            return Err(Error::SessionNotSelected { session: about.session });
        }
        let equipment = matches!(self.config.entity, Entity::Equipment);
        if !equipment || about.stream() == 9 || about.stream_function().is_abort() {
            return Err(Error::NotForStream9);
        }
        self.set_now(now);
        self.send_stream9(error.function(), about);
        Ok(())
    }

    fn answer_to(
        &mut self,
        now: Instant,
        token: &ReplyToken,
        header: Header,
        body_len: u32,
    ) -> Result<[u8; PREFIX_LEN], Error> {
        if !self.is_current(token) {
            return Err(Error::StaleToken);
        }
        self.can_send()?;
        let length = length_field(body_len)?;
        self.open_body(now, body_len);
        // Made last and where it stays: one that is handed on is copied octet by octet.
        Ok(header.prefix_with_length(length))
    }

    #[inline]
    fn can_send(&self) -> Result<(), Error> {
        if self.state() != State::Selected {
            return Err(Error::NotSelected);
        }
        if self.body_open {
            return Err(Error::BodyOpen);
        }
        if !self.queue.is_empty() && self.queue.iter().any(|action| matches!(action, Action::Send(_))) {
            return Err(Error::ActionsPending);
        }
        Ok(())
    }

    #[inline]
    fn open_body(&mut self, now: Instant, body_len: u32) {
        self.advance(now);
        self.body_open = true;
        // 2^64 octets are never outstanding.
        self.outstanding = self.outstanding.wrapping_add(u64::from(body_len).wrapping_add(14));
    }

    #[inline(never)]
    pub(super) fn make_room(&self) -> Result<(), NoRoom> {
        match self.has_room() {
            true => Ok(()),
            // Polling would not help.
            false if self.only_holds() => Err(NoRoom::BodyOpen),
            false => Err(NoRoom::ActionsPending),
        }
    }
}

/// What the length field says of a message with a text of `body_len` octets.
#[inline]
fn length_field(body_len: u32) -> Result<u32, Error> {
    body_len.checked_add(MIN_LENGTH).ok_or(Error::BodyTooLong(BodyTooLong { body_len }))
}

/// Time stood still for so many milliseconds.
#[inline(never)]
fn postpone(deadline: &mut Option<Instant>, millis: u64) {
    if let Some(deadline) = deadline {
        *deadline = deadline.plus_millis(millis);
    }
}

// C, for connections with a single session.
impl<const TRANSACTIONS: usize> Connection<TRANSACTIONS> {
    /// Sends Select.req (E37.1 7.1), for connections that were set to
    /// [`SelectMode::OnCommand`](crate::config::SelectMode::OnCommand). Gives its system bytes. From here T6 guards the
    /// connection, and T7 no longer does.
    ///
    /// # Errors
    /// [`Error::CannotSelect`] on the passive side and while SELECTED; [`Error::ControlOpen`] while one is open;
    /// [`Error::NotConnected`]; [`Error::ActionsPending`].
    pub fn select(&mut self, now: Instant) -> Result<SystemBytes, Error> {
        self.make_room()?;
        match self.state() {
            State::NotConnected => return Err(Error::NotConnected),
            State::NotSelected if self.is_active() => {}
            State::NotSelected | State::Selected => return Err(Error::CannotSelect),
        }
        if let Some(slot) = &self.control {
            return Err(Error::ControlOpen { system: slot.system });
        }
        self.set_now(now);
        // From here T6 guards the connection; a T7 that runs beside it would only end good attempts.
        self.phase = Phase::NotSelected { t7: None };
        Ok(self.request(ControlRequest::Select))
    }
}
