//! The blocking connection: everything happens in the caller's thread, inside the calls.

mod dial;
mod getters;
mod listen;
mod sessions;

use crate::clock::FOR_EVER;
use crate::driver::{Driver, Serve};
use crate::security::{Security, Stream};
use crate::tap::Tap;
use crate::tcp::Tcp;
use crate::{Answer, Error, Incoming, Options};
use dial::Dial;
use hsms_core::Config;
use hsms_core::config::{ConnectMode, DeviceId, DeviceIds, SelectMode};
use hsms_core::connection::{ReplyToken, Sessions, Single, State, Stream9};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, Message, SessionId, StreamFunction, SystemBytes};
use listen::Listen;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

/// One end of an HSMS connection over TCP, active or passive, driven by the calls of its owner: there is no other thread.
///
/// A call that waits (`select`, `request`, `next`, `linktest`, `flush`) does all that has to be done meanwhile: it opens the
/// transport, answers linktests, keeps the timers, connects again after a loss, and on the passive side tells callers
/// beyond the first that the place is taken. Between calls nothing happens; an application that computes for long calls
/// [`next`](Self::next) now and then, so that the peer's linktests are answered within its T6.
///
/// `TRANSACTIONS` is how many primaries that expect a reply can be open at once. `S` tells HSMS-SS, which nearly all equipment speaks,
/// from HSMS-GS, whose connections [`general`](Connection::general) makes.
///
/// ```no_run
/// use hsms_std::{Config, Connection, DeviceId, StreamFunction};
/// use std::time::Duration;
///
/// const DEVICE: DeviceId = DeviceId::new(0).unwrap();
/// let mut host = Connection::active("127.0.0.1:5000", Config::host(DEVICE))?;
/// host.select(Duration::from_secs(20))?;
/// let reply = host.request(StreamFunction::new(1, 1), &[])?;
/// println!("{:?}: {:02x?}", reply, reply.body);
/// # Ok::<(), hsms_std::Error>(())
/// ```
///
/// The other end:
///
/// ```no_run
/// use hsms_std::{Config, Connection, DeviceId, Incoming};
/// use std::time::Duration;
///
/// const DEVICE: DeviceId = DeviceId::new(0).unwrap();
/// let mut tool = Connection::passive("127.0.0.1:5000", Config::equipment(DEVICE))?;
/// loop {
///     match tool.next(Duration::MAX)? {
///         Some(Incoming::Primary { message, token: Some(token) }) => {
///             println!("{message:?}");
///             tool.reply(&token, &[0x01, 0x00])?;
///         }
///         Some(other) => println!("{other:?}"),
///         None => {}
///     }
/// }
/// # #[allow(unreachable_code, reason = "the type of the whole example")]
/// # Ok::<(), hsms_std::Error>(())
/// ```
#[derive(Debug)]
pub struct Connection<const TRANSACTIONS: usize = 64, S: Sessions = Single> {
    driver: Driver<Stream<Tcp>, TRANSACTIONS, S>,
    port: Port,
}

/// Where transports come from.
#[derive(Debug)]
enum Port {
    Dial(Dial),
    Listen(Listen),
}

impl Connection {
    /// A connection that dials `peer`, whatever mode `config` names. The first call that waits dials.
    ///
    /// A name is resolved now, to see that it can be, and anew before each attempt to dial; that takes as long as the system
    /// takes for it, whatever the limit of the call. Where it fails later, the addresses that it stood for last are dialled.
    /// Several are dialled in turn, and share the [connect limit](Options::with_connect_limit) among them.
    ///
    /// # Errors
    /// [`Error::Address`] where the name cannot be resolved; [`Error::System`].
    pub fn active(peer: impl ToSocketAddrs + Send + Sync + 'static, config: Config) -> Result<Self, Error> {
        Connection::with_options(peer, config.with_mode(ConnectMode::Active), Options::new())
    }

    /// A connection that listens on `local`, whatever mode `config` names. The port is taken at once; port 0 lets the
    /// system choose, and [`local_addr`](Self::local_addr) tells. Of several addresses the first that can be listened on is taken,
    /// for good.
    ///
    /// # Errors
    /// [`Error::Address`] where the name cannot be resolved, [`Error::Listen`] where the port cannot be taken;
    /// [`Error::System`].
    pub fn passive(local: impl ToSocketAddrs + Send + Sync + 'static, config: Config) -> Result<Self, Error> {
        Connection::with_options(local, config.with_mode(ConnectMode::Passive), Options::new())
    }

    /// A connection in the mode that `config` names: `address` is the peer's where it dials, and its own where it listens. It is
    /// kept, to be resolved again: a `String` goes where a borrowed name does not.
    ///
    /// # Errors
    /// As [`active`](Self::active) and [`passive`](Self::passive).
    pub fn with_options(
        address: impl ToSocketAddrs + Send + Sync + 'static,
        config: Config,
        options: Options,
    ) -> Result<Self, Error> {
        Connection::open(address, config, options)
    }
}

impl<const TRANSACTIONS: usize> Connection<TRANSACTIONS> {
    /// [`with_options`](Connection::with_options) for any number of transactions: `Connection::<1000>::open(…)`.
    ///
    /// # Errors
    /// As [`active`](Connection::active) and [`passive`](Connection::passive).
    pub fn open(
        address: impl ToSocketAddrs + Send + Sync + 'static,
        config: Config,
        options: Options,
    ) -> Result<Self, Error> {
        let port = Port::new(address, config.mode())?;
        Ok(Connection::over(Driver::new(config, options), port))
    }

    /// Waits until the connection is SELECTED, at most for `limit`. Attempts to dial are spaced by T5. What else happens
    /// meanwhile comes out of [`next`](Self::next).
    ///
    /// # Errors
    /// [`Error::NotSelected`] when the limit is over; [`Error::Disabled`]; [`Error::System`].
    pub fn select(&mut self, limit: Duration) -> Result<(), Error> {
        let on_command = self.config().select_mode() == SelectMode::OnCommand;
        let until = self.driver.tick().saturating_add(up_to(limit));
        self.driver.forget_failures();
        loop {
            self.driver.keep_all();
            match self.state() {
                State::Selected => {
                    self.driver.write_answers();
                    return Ok(());
                }
                State::NotSelected if on_command => {
                    // Refused while one is open, and on the passive side.
                    let _ = self.driver.select();
                }
                _ if self.is_over() => return Err(Error::Disabled),
                _ => {}
            }
            // A peer that keeps us busy without being selected does not move the limit.
            let happened = self.turn(until)?;
            if !happened || (self.driver.now() >= until && self.state() != State::Selected) {
                self.driver.keep_all();
                let (closed, source) = self.driver.failures();
                return Err(Error::NotSelected { limit, state: self.state(), closed, source });
            }
        }
    }

    /// Ends the session with Separate.req where there is one, closes the transport, and waits until the connection is
    /// SELECTED again, at most for `limit`.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub fn reconnect(&mut self, limit: Duration) -> Result<(), Error> {
        if self.state() != State::NotConnected {
            self.separate()?;
        }
        self.select(limit)
    }
}

impl<const TRANSACTIONS: usize, S: Sessions> Connection<TRANSACTIONS, S> {
    fn over(mut driver: Driver<Stream<Tcp>, TRANSACTIONS, S>, port: Port) -> Self {
        driver.enable();
        Connection { driver, port }
    }

    /// The same connection with an allow list, caps, or TLS. Before the first call that waits, so that nobody has been taken or dialled
    /// without.
    ///
    /// # Errors
    /// [`Error::TlsForOtherRole`].
    pub fn with_security(mut self, security: Security) -> Result<Self, Error> {
        security.check(self.config().mode())?;
        match &mut self.port {
            Port::Dial(dial) => dial.set_security(security),
            Port::Listen(listen) => listen.set_security(security),
        }
        Ok(self)
    }

    /// The same connection with a [tap](crate::tap), which sees callers as well that there is no place for. Before the first call that
    /// waits, so that nothing has gone unseen.
    #[must_use]
    pub fn with_tap(mut self, tap: Arc<dyn Tap>) -> Self {
        self.driver.set_tap(tap);
        self
    }

    /// The same connection with a name for its peer, by which the log and a [tap](crate::tap) know it; otherwise it is its
    /// address. Before the first call that waits.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> Self {
        self.driver.set_name(name);
        self
    }

    // Calls that wait.

    /// Sends a primary and waits for its reply, for which T3 is the limit. Linktests are answered meanwhile; messages that
    /// come are kept for [`next`](Self::next) as far as the inbox has room.
    ///
    /// The text of the reply is borrowed: it can be read until the next call.
    ///
    /// # Errors
    /// [`Error::Refused`] where the connection is not SELECTED, the function is even, or all transactions are open;
    /// [`Error::WhichDevice`]; [`Error::NoReply`] after T3, a Reject.req or a reply that is too long; [`Error::Aborted`];
    /// [`Error::Closed`]; [`Error::WriteStalled`]; [`Error::System`].
    pub fn request(&mut self, stream_function: StreamFunction, body: &[u8]) -> Result<Message<'_>, Error> {
        let session = self.session()?;
        self.exchange(session, stream_function, body, None)?;
        Ok(self.current())
    }

    /// [`request`](Self::request) on behalf of one of several devices.
    ///
    /// # Errors
    /// As [`request`](Self::request); [`Error::Refused`] where the device id is not served.
    pub fn request_from(
        &mut self,
        device: DeviceId,
        stream_function: StreamFunction,
        body: &[u8],
    ) -> Result<Message<'_>, Error> {
        self.exchange(device.session(), stream_function, body, None)?;
        Ok(self.current())
    }

    /// [`request`](Self::request), with primaries of the peer handed to `serve` while it waits, instead of being kept.
    ///
    /// `serve` is given the primary, the token for its reply where one is expected, and an empty vector for the reply's
    /// text.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn request_serving(
        &mut self,
        stream_function: StreamFunction,
        body: &[u8],
        mut serve: impl FnMut(Message<'_>, Option<&ReplyToken>, &mut Vec<u8>) -> Answer,
    ) -> Result<Message<'_>, Error> {
        let session = self.session()?;
        self.exchange(session, stream_function, body, Some(&mut serve))?;
        Ok(self.current())
    }

    /// The next message or notice, waiting for it at most for `limit`; `None` when that is over. [`Duration::MAX`] waits for
    /// ever, zero not at all. Everything that was posted, sent and replied is written out before it waits; how long that may
    /// take is bounded by the [write limit](Options::with_write_limit), not by `limit`.
    ///
    /// # Errors
    /// [`Error::Disabled`] where nothing can come; [`Error::WriteStalled`]; [`Error::System`]. The end of a connection is no
    /// error but [`Incoming::Closed`].
    pub fn next(&mut self, limit: Duration) -> Result<Option<Incoming<'_>>, Error> {
        Ok(if self.look_for_next(limit)? { self.driver.take() } else { None })
    }

    /// Waits for what [`next`](Self::next) gives, and leaves it where it is. Gives whether there is something.
    pub(crate) fn look_for_next(&mut self, limit: Duration) -> Result<bool, Error> {
        let mut found = self.driver.look();
        if !found {
            let until = self.driver.tick().saturating_add(up_to(limit));
            // What has been found is taken before it is looked for again: looking lets go of it.
            while !found {
                if self.is_over() {
                    return Err(Error::Disabled);
                }
                // A peer that sends what is not for the application does not move the limit.
                let happened = self.turn(until)?;
                found = self.driver.look();
                if !found && (!happened || self.driver.now() >= until) {
                    self.driver.write_answers();
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Gives what has been looked for.
    #[cfg(feature = "services")]
    pub(crate) fn take_next(&mut self) -> Option<Incoming<'_>> {
        self.driver.take()
    }

    /// Replies that nobody waits for are given as replies, with their texts.
    #[cfg(feature = "services")]
    pub(crate) const fn keep_unawaited(&mut self) {
        self.driver.keep_unawaited();
    }

    /// It has services, by whose words the log is written.
    #[cfg(feature = "services")]
    pub(crate) fn set_words(&mut self, words: &Arc<crate::words::Words>) {
        self.driver.set_words(words);
    }

    /// Has it logged as being about the peer.
    #[cfg(feature = "services")]
    pub(crate) fn log(&mut self, log: impl FnOnce()) {
        self.driver.log(log);
    }

    /// Whether more has been kept for [`next`](Self::next), state changes perhaps.
    #[cfg(feature = "services")]
    pub(crate) fn has_kept(&self) -> bool {
        self.driver.has_kept()
    }

    /// Takes the text of the message that [`next`](Self::next) or [`request`](Self::request) gave last: what `body` held is
    /// replaced by it. A long text is not copied but swapped for the vector, whose storage serves for the next one.
    ///
    /// After any other call, or a second time, `body` is empty.
    pub fn take_body(&mut self, body: &mut Vec<u8>) {
        self.driver.take_body(body);
    }

    /// Sends a Linktest.req and waits for its response (E37 7.5), for which T6 is the limit. A Reject.req of it counts as a
    /// response: the peer does not know the message, but it is alive.
    ///
    /// # Errors
    /// [`Error::Refused`] where the connection is not SELECTED; [`Error::LinktestMissed`]; [`Error::Closed`];
    /// [`Error::WriteStalled`]; [`Error::System`].
    pub fn linktest(&mut self) -> Result<(), Error> {
        self.driver.begin_linktest()?;
        loop {
            if let Some(outcome) = self.driver.poll_linktest() {
                self.driver.write_answers();
                return outcome;
            }
            self.turn_for_call()?;
        }
    }

    /// Writes out everything that was posted, sent and replied.
    ///
    /// # Errors
    /// [`Error::WriteStalled`]; [`Error::Closed`] where the connection ends meanwhile; [`Error::System`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.driver.tick();
        self.driver.flush()
    }

    // Calls that do not wait, except for the peer to take long texts.

    /// Sends a primary that expects a reply and does not wait for it: the reply, or the end of the transaction, comes out of
    /// [`next`](Self::next), exactly one of them. Gives the system bytes by which to know it.
    ///
    /// Short messages are put together and leave in one write, when the next call waits, when
    /// [`flush`](Self::flush) is called, or when they have become many. A long text is written at once.
    ///
    /// # Errors
    /// As [`request`](Self::request) before it waits; [`Error::InboxFull`].
    pub fn post(&mut self, stream_function: StreamFunction, body: &[u8]) -> Result<SystemBytes, Error> {
        let session = self.session()?;
        self.driver.post(session, stream_function, body)
    }

    /// [`post`](Self::post) on behalf of one of several devices.
    ///
    /// # Errors
    /// As [`post`](Self::post); [`Error::Refused`] where the device id is not served.
    pub fn post_from(
        &mut self,
        device: DeviceId,
        stream_function: StreamFunction,
        body: &[u8],
    ) -> Result<SystemBytes, Error> {
        self.driver.post(device.session(), stream_function, body)
    }

    /// Sends a primary that expects no reply. Leaves as [`post`](Self::post) says.
    ///
    /// # Errors
    /// [`Error::Refused`] where the connection is not SELECTED or the function is even; [`Error::WhichDevice`];
    /// [`Error::Closed`]; [`Error::WriteStalled`]; [`Error::System`].
    pub fn send(&mut self, stream_function: StreamFunction, body: &[u8]) -> Result<SystemBytes, Error> {
        let session = self.session()?;
        self.driver.send(session, stream_function, body)
    }

    /// [`send`](Self::send) on behalf of one of several devices.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`Error::Refused`] where the device id is not served.
    pub fn send_from(
        &mut self,
        device: DeviceId,
        stream_function: StreamFunction,
        body: &[u8],
    ) -> Result<SystemBytes, Error> {
        self.driver.send(device.session(), stream_function, body)
    }

    /// Replies to the primary that `token` came with. Leaves as [`post`](Self::post) says.
    ///
    /// # Errors
    /// [`Error::Refused`] where the connection that the primary came over has ended; [`Error::Closed`];
    /// [`Error::WriteStalled`]; [`Error::System`].
    pub fn reply(&mut self, token: &ReplyToken, body: &[u8]) -> Result<(), Error> {
        self.driver.reply(token, body)
    }

    /// Aborts the transaction of the primary that `token` came with: SxF0 (E5 7.4). Leaves as [`post`](Self::post) says.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn abort(&mut self, token: &ReplyToken) -> Result<(), Error> {
        self.driver.abort(token)
    }

    /// Tells the host what is wrong with the message whose header is `about`: S9F3, S9F5 or S9F7 (E5 7.13).
    ///
    /// # Errors
    /// [`Error::Refused`] from a host, about stream 9 or function 0, and where the connection is not SELECTED.
    pub fn report_error(&mut self, error: Stream9, about: &Header) -> Result<(), Error> {
        self.driver.report_error(error, about)
    }

    /// Gives up the transaction of a primary that was posted: its place is free at once, and nothing is told about it any
    /// more but a late reply.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is no such transaction.
    pub fn forget(&mut self, system: SystemBytes) -> Result<(), Error> {
        self.driver.forget(system)
    }

    /// Connects again after [`disable`](Self::disable), in the calls that follow. May be repeated. A new connection is
    /// enabled.
    pub fn enable(&mut self) {
        self.driver.enable();
    }

    /// Ends the session with Separate.req where there is one, closes the transport or stops opening it, stops listening, and
    /// does not connect again. May be repeated.
    pub fn disable(&mut self) {
        self.driver.disable();
        if let Port::Listen(listen) = &mut self.port {
            listen.close();
        }
    }

    /// Ends the session with Separate.req where there is one and closes the transport (E37.1 7.6). The connection stays
    /// enabled: in the calls that follow the passive side listens again, and the active side dials after T5.
    ///
    /// # Errors
    /// [`Error::Refused`] where nothing is connected.
    pub fn separate(&mut self) -> Result<(), Error> {
        self.driver.separate()
    }

    /// Writes out what is left to write, ends the session with Separate.req where there is one, and closes everything.
    ///
    /// # Errors
    /// [`Error::WriteStalled`]; [`Error::Closed`] where the connection ended before all was written; [`Error::System`].
    pub fn close(mut self) -> Result<(), Error> {
        let flushed = self.flush();
        self.driver.disable();
        flushed
    }

    /// Sets the device ids served, on a live connection too.
    pub fn set_device_ids(&mut self, device_ids: DeviceIds) {
        self.driver.machine_mut().set_device_ids(device_ids);
    }

    /// Sets the system bytes that the next request will carry, so that a restarted device does not begin at 1 again.
    pub fn set_next_system_bytes(&mut self, system: SystemBytes) {
        self.driver.machine_mut().set_next_system_bytes(system);
    }

    // What the calls have in common.

    /// The device id or the selected session, where there is exactly one.
    #[inline]
    fn session(&self) -> Result<SessionId, Error> {
        self.driver.machine().sole_session().ok_or(Error::WhichDevice)
    }

    /// Sends a primary and waits for its reply, which is the current message then.
    fn exchange(
        &mut self,
        session: SessionId,
        stream_function: StreamFunction,
        body: &[u8],
        mut serve: Option<Serve<'_>>,
    ) -> Result<(), Error> {
        self.driver.begin_request(session, stream_function, body)?;
        loop {
            let outcome = match &mut serve {
                Some(serve) => {
                    // Those that came before, and while something was written.
                    self.driver.serve_kept(*serve)?;
                    self.driver.poll_request(Some(*serve))
                }
                None => self.driver.poll_request(None),
            };
            if let Some(outcome) = outcome {
                self.driver.write_answers();
                return outcome;
            }
            self.turn_for_call()?;
        }
    }

    /// The reply that a call has waited for.
    fn current(&self) -> Message<'_> {
        self.driver.current().unwrap_or(Message::new(Header::decode(&[0; 10]), &[]))
    }

    /// Waits for what a call with a limit of the protocol waits for.
    #[inline]
    fn turn_for_call(&mut self) -> Result<(), Error> {
        self.driver.tick();
        // The machine's deadlines come first.
        let result = self.turn(FOR_EVER);
        if result.is_err() {
            self.driver.give_up();
        }
        result.map(|_| ())
    }

    #[inline]
    fn turn(&mut self, until: Instant) -> Result<bool, Error> {
        match &mut self.port {
            Port::Dial(_) if self.driver.transport().is_some() => self.driver.turn(until),
            Port::Dial(dial) => dial.turn(&mut self.driver, until),
            Port::Listen(listen) => listen.turn(&mut self.driver, until),
        }
    }

    /// Whether nothing can come any more.
    fn is_over(&self) -> bool {
        !self.driver.machine().is_enabled() && self.driver.transport().is_none()
    }
}

impl Port {
    fn new(address: impl ToSocketAddrs + Send + Sync + 'static, mode: ConnectMode) -> Result<Self, Error> {
        let resolve = move || Ok(address.to_socket_addrs()?.collect());
        Ok(match mode {
            ConnectMode::Active => Port::Dial(Dial::new(Box::new(resolve))?),
            ConnectMode::Passive => Port::Listen(Listen::new(&resolve().map_err(|source| Error::Address { source })?)?),
        })
    }
}

/// Waiting a little longer is better than not at all.
fn up_to(limit: Duration) -> Duration {
    limit.saturating_add(Duration::from_nanos(999_999))
}

/// What was handed over is not lost in silence: it is written as far as the peer takes it soon, and the transport is closed.
/// That is no orderly end of the session; [`Connection::close`] is.
impl<const TRANSACTIONS: usize, S: Sessions> Drop for Connection<TRANSACTIONS, S> {
    fn drop(&mut self) {
        self.driver.abandon();
    }
}
