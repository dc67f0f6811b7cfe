//! Everything of the services in one machine: events in, actions out, one deadline.

mod action;
#[cfg_attr(not(feature = "auth"), path = "endpoint/gate_open.rs")]
mod gate;
mod output;
mod questions;
mod receive;
mod sending;
mod settings;
mod words;

pub use action::{Answer, Done, EndpointAction, EndpointNotice, Outgoing, OwnMessage, Reaction, Response};
pub use sending::{Complaint, SendError, Ticket, Waiting};
pub use settings::{EndpointError, EndpointSettings, NAME_LEN};
pub use words::{DescribedError, DescribedNotice};

use super::inbox::close_gap;
#[cfg(feature = "auth")]
use super::trust::{BeforeTrust, CHALLENGE_LEN, Secret, Trust, TrustSettings};
use super::{
    ChannelName, Communication, CommunicationMessage, CommunicationState, FunctionTable, Kept, ServiceId, ServiceInbox,
    ServiceMessage, ServiceTable, Services, Status, TableFull, UnhandledPolicy, Wanted,
};
use crate::config::ConnectMode;
use crate::connection::State;
use crate::time::Instant;
use crate::wire::{Header, SessionId, StreamFunction};
use core::task::Poll;
use gate::{Failure, Gate};
use sending::{Sendings, Stage, What};
use settings::USER_STREAMS;

/// Notices that can wait. One input makes three at most.
const NEWS: usize = 8;

/// One end of the services on one connection, over all its links: dispatch, inbox, sending with a deadline, names, trust, and
/// establishing communication, in their order.
///
/// It stands above a [`Connection`](crate::connection::Connection) as that stands above a transport: no I/O, no clock, no storage of
/// its own for texts on their way out. Its owner tells it what the connection tells ([`link`](Self::link), [`primary`](Self::primary),
/// [`reply`](Self::reply), [`ended`](Self::ended)) and what the time is, carries out the [`Reaction`], and then each
/// [`EndpointAction`] until there is none.
///
/// * After the connection became SELECTED names are exchanged and the handshake is run, where this end begins them; when the
///   connection is trusted, communication is established. What the application sends waits for what it needs of these.
/// * Before trust every message that is not [allowed](Self::with_secret) is refused, and neither a handler nor the inbox sees it:
///   service requests with [`Status::AUTHENTICATION_REQUIRED`], SECS-II primaries with SxF0.
/// * Every sending ends in one outcome: its response, [`Done`], or a [`SendError`].
///
/// `H` is what the application registers for messages: a function, a number, a channel. `SENDINGS` is how many sendings can be under way,
/// `HANDLERS` how many handlers there can be of service messages, of SECS-II primaries, and messages of each kind that are allowed before
/// trust; `ENTRIES` how many [`Services`] has, `MESSAGES` and `OCTETS` how much waits in the inbox.
///
/// ```
/// use hsms_core::config::ConnectMode;
/// use hsms_core::connection::State;
/// use hsms_core::services::{Endpoint, EndpointAction, EndpointSettings, Outgoing, OwnMessage, ServiceId, Status};
/// use hsms_core::time::Instant;
/// use hsms_core::wire::{SessionId, SystemBytes};
///
/// let now = Instant::EPOCH;
/// let mut host = Endpoint::<u8>::new(EndpointSettings::new(ConnectMode::Active, SessionId(0)))?;
/// let ticket = host.send(now, ServiceId::READ, 7, true, Instant::from_millis(2_000))?;
/// assert_eq!(host.poll_action(), None); // It waits for the connection.
/// host.link(now, State::Selected);
/// let Some(EndpointAction::Send { what, .. }) = host.poll_action() else { return Err("the name comes first".into()) };
/// assert_eq!(what, Outgoing::Own(OwnMessage::Name(Status::OKAY)));
/// host.sent(&what, SystemBytes(1));
/// let Some(EndpointAction::Send { what, stream_function, .. }) = host.poll_action() else { return Err("then the request".into()) };
/// assert_eq!((what, stream_function.function), (Outgoing::Application(ticket), 11));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Endpoint<
    'a,
    H,
    const SENDINGS: usize = 4,
    const HANDLERS: usize = 8,
    const ENTRIES: usize = 32,
    const MESSAGES: usize = 4,
    const OCTETS: usize = 512,
> {
    mode: ConnectMode,
    session: SessionId,
    stream: u8,
    unhandled: UnhandledPolicy,
    accepts: bool,
    link: State,
    /// How often the connection has become SELECTED.
    selections: u32,
    name: Option<ChannelName<NAME_LEN>>,
    gate: Gate<HANDLERS>,
    communication: Option<Communication<'a>>,
    services: Services<'a, ENTRIES>,
    service_handlers: ServiceTable<H, HANDLERS>,
    function_handlers: FunctionTable<H, HANDLERS>,
    inbox: ServiceInbox<MESSAGES, OCTETS>,
    sendings: Sendings<SENDINGS>,
    due: Due<'a>,
    open: OwnRequests,
    /// The owner was asked to drop the link.
    dropping: bool,
    /// The connection had no room, and nothing has happened since.
    busy: bool,
    news: heapless::Vec<EndpointAction<'a>, NEWS>,
    untold: u32,
}

/// What has to be done once.
#[derive(Debug, Clone)]
struct Due<'a> {
    name: bool,
    communication: Option<CommunicationMessage<'a>>,
    drop_link: bool,
}

/// Headers of requests of the endpoint's own that are open.
#[derive(Debug, Clone)]
struct OwnRequests {
    name: Option<Header>,
    trust: Option<Header>,
    communication: Option<Header>,
}

impl OwnRequests {
    const NONE: Self = OwnRequests { name: None, trust: None, communication: None };
}

impl<
    'a,
    H,
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> Endpoint<'a, H, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>
{
    /// An endpoint whose connection is not connected, without a secret.
    ///
    /// # Where it is made
    /// It takes hundreds of octets or some thousands. Made where it stays it takes none of them from the stack: in a `static`, at compile time,
    /// which costs as many octets of flash, or when the program runs, by `StaticCell::init_with` and the like, as a `Result` either way: to
    /// take the endpoint out moves it. A secret is set where the endpoint lies, by [`set_secret`](Self::set_secret).
    ///
    /// ```
    /// use hsms_core::config::ConnectMode;
    /// use hsms_core::services::{Endpoint, EndpointError, EndpointSettings};
    /// use hsms_core::wire::SessionId;
    /// use std::sync::Mutex;
    ///
    /// const SETTINGS: EndpointSettings<'static> =
    ///     EndpointSettings { name: Some("etcher"), ..EndpointSettings::new(ConnectMode::Passive, SessionId(7)) };
    ///
    /// static ETCHER: Mutex<Result<Endpoint<'static, u8>, EndpointError>> = Mutex::new(Endpoint::new(SETTINGS));
    ///
    /// let mut etcher = ETCHER.lock()?;
    /// let etcher = etcher.as_mut().map_err(|error| *error)?;
    /// assert_eq!(etcher.name(), Some("etcher"));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`EndpointError`].
    pub const fn new(settings: EndpointSettings<'a>) -> Result<Self, EndpointError> {
        let EndpointSettings { mode, session, stream, exchange_names, name, communication, unhandled } = settings;
        if stream < *USER_STREAMS.start() || stream > *USER_STREAMS.end() {
            return Err(EndpointError::Stream { stream });
        }
        let name = match ChannelName::new(mode, name) {
            Ok(name) if exchange_names => Some(name),
            Ok(_) => None,
            Err(error) => return Err(EndpointError::Name(error)),
        };
        let communication = match communication {
            Some(settings) => Some(Communication::new(settings)),
            None => None,
        };
        Ok(Endpoint {
            mode,
            session,
            stream,
            unhandled,
            accepts: true,
            link: State::NotConnected,
            selections: 0,
            name,
            gate: Gate::open(),
            communication,
            services: Services::new(),
            service_handlers: ServiceTable::new(),
            function_handlers: FunctionTable::new(),
            inbox: ServiceInbox::new(),
            sendings: Sendings::new(),
            due: Due { name: false, communication: None, drop_link: false },
            open: OwnRequests::NONE,
            dropping: false,
            busy: false,
            news: heapless::Vec::new(),
            untold: 0,
        })
    }

    /// The same with a secret: nothing flows before both ends have proven it but what `before` allows. `challenge` gives 32 octets that
    /// nobody can foresee, others with each call; nothing but zeros where it has none to give, which ends the handshake. With settings that
    /// [require](TrustSettings::required) none the endpoint is as one without a secret, also where it had one before.
    #[cfg(feature = "auth")]
    #[must_use]
    pub fn with_secret(
        mut self,
        secret: Secret,
        settings: TrustSettings,
        challenge: fn() -> [u8; CHALLENGE_LEN],
        before: BeforeTrust<HANDLERS>,
    ) -> Self {
        self.set_secret(secret, settings, challenge, before);
        self
    }

    /// Sets a secret as [`with_secret`](Self::with_secret) does, where the endpoint lies: of it nothing is moved. Trust that there was has
    /// ended. To be called before the connection is SELECTED; later, the handshake begins when it is the next time.
    #[cfg(feature = "auth")]
    pub fn set_secret(
        &mut self,
        secret: Secret,
        settings: TrustSettings,
        challenge: fn() -> [u8; CHALLENGE_LEN],
        before: BeforeTrust<HANDLERS>,
    ) {
        self.gate = Gate::open();
        if settings.required {
            let trust = Trust::new(self.mode, self.session, settings);
            self.gate.guard(trust, secret, challenge, before, settings.automatic);
        }
    }

    // Handlers.

    /// Registers a handler of service messages; `None` is any. Gives the one that was there under the same keys.
    ///
    /// # Errors
    /// [`TableFull`].
    pub fn handle_service(
        &mut self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        handler: H,
    ) -> Result<Option<H>, TableFull<H>> {
        self.service_handlers.insert(service, data_id, handler)
    }

    /// Registers a handler of SECS-II primaries; `None` is any. Gives the one that was there under the same keys.
    ///
    /// # Errors
    /// [`TableFull`].
    pub fn handle_function(
        &mut self,
        stream: Option<u8>,
        function: Option<u8>,
        handler: H,
    ) -> Result<Option<H>, TableFull<H>> {
        self.function_handlers.insert(stream, function, handler)
    }

    /// Whether the peer's S1F13 is accepted from now on; it is unless said otherwise.
    pub const fn accept_communication(&mut self, accepts: bool) {
        self.accepts = accepts;
    }

    // What the application wants.

    /// Sends a service request, one-way where no reply is expected. It waits for the connection to be SELECTED, for trust unless it is
    /// allowed before, and for its response, until `deadline` in all. What can go out at once is not late. On an active end whose handshake is
    /// automatic and has failed, it begins another one.
    ///
    /// # Errors
    /// [`SendError::NotPermitted`], [`SendError::Full`].
    pub fn send(
        &mut self,
        now: Instant,
        service: ServiceId,
        data_id: u32,
        reply_expected: bool,
        deadline: Instant,
    ) -> Result<Ticket, SendError> {
        if !service.is_request() || service == ServiceId::AUTHENTICATION || service == ServiceId::CHANNEL_NAME {
            return Err(SendError::NotPermitted);
        }
        let what = StreamFunction::new(self.stream, service.function());
        self.add(now, What::Service { service, data_id }, what, reply_expected, deadline)
    }

    /// Sends a SECS-II primary. It waits as [`send`](Self::send) does, and for communication where that is to be established.
    ///
    /// # Errors
    /// [`SendError::NotPermitted`], also in the stream of the services; [`SendError::Full`].
    pub fn send_function(
        &mut self,
        now: Instant,
        stream_function: StreamFunction,
        reply_expected: bool,
        deadline: Instant,
    ) -> Result<Ticket, SendError> {
        let StreamFunction { stream, .. } = stream_function;
        if !stream_function.is_primary() || stream == 0 || stream > 127 || stream == self.stream {
            return Err(SendError::NotPermitted);
        }
        self.add(now, What::Function, stream_function, reply_expected, deadline)
    }

    /// Asks for trust, once the connection is SELECTED. Its outcome is [`Done::Trusted`], at once where it is trusted already.
    ///
    /// # Errors
    /// [`SendError::NotPermitted`] without a secret, and on the passive end; [`SendError::Full`].
    pub fn authenticate(&mut self, now: Instant, deadline: Instant) -> Result<Ticket, SendError> {
        if !self.gate.is_guarded() || self.mode != ConnectMode::Active {
            return Err(SendError::NotPermitted);
        }
        let what = StreamFunction::new(self.stream, ServiceId::AUTHENTICATION.function());
        let ticket = self.add(now, What::Authenticate, what, true, deadline)?;
        if self.is_established() {
            self.end_authentications(Ok(Done::Trusted));
        }
        Ok(ticket)
    }

    /// Gives up a sending: nothing is told of it any more, and a response to it is one that nobody awaits. Gives whether it was
    /// under way.
    pub fn cancel(&mut self, ticket: Ticket) -> bool {
        self.sendings.take(|sending| sending.ticket == ticket).is_some()
    }

    /// Takes the oldest message with these keys out of the inbox, `None` for any: see [`Inbox::take`](super::Inbox::take).
    pub fn take<R>(
        &mut self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        look: impl FnOnce(Kept<'_, ServiceId, u32>) -> R,
    ) -> Option<R> {
        self.inbox.take(service, data_id, look)
    }

    /// The same for somebody who waits: see [`Inbox::receive`](super::Inbox::receive).
    pub fn receive<R>(
        &mut self,
        now: Instant,
        wanted: &Wanted<ServiceId, u32>,
        look: impl FnOnce(Kept<'_, ServiceId, u32>) -> R,
    ) -> Poll<Option<R>> {
        self.inbox.receive(now, wanted, look)
    }

    /// Drops the link, to be established anew: [`EndpointAction::DropLink`]. Nothing is sent over it any more. Nothing happens where there
    /// is none.
    pub fn reconnect(&mut self) {
        self.due.drop_link = self.is_connected() && !self.dropping;
    }

    fn add(
        &mut self,
        now: Instant,
        what: What,
        stream_function: StreamFunction,
        reply_expected: bool,
        deadline: Instant,
    ) -> Result<Ticket, SendError> {
        let ticket = self.sendings.add(what, stream_function, reply_expected, deadline.max(now))?;
        let waits_for_trust = waits_for(&self.gate, None, &what, stream_function) == Some(Waiting::Trust);
        let begins = what == What::Authenticate || (self.gate.is_automatic() && self.mode == ConnectMode::Active);
        // Where the last handshake failed nobody else begins another one.
        if waits_for_trust
            && begins
            && self.is_selected()
            && !self.is_trusted()
            && let Err(failure) = self.gate.authenticate(now)
        {
            self.untrusted(failure);
        }
        Ok(ticket)
    }

    // What the connection tells.

    /// The connection is in this state now. To be told each time that it changes.
    pub fn link(&mut self, now: Instant, state: State) {
        let was = core::mem::replace(&mut self.link, state);
        self.busy = false;
        if state != State::Selected {
            // Whatever comes of it: the selection that was to end has ended.
            self.due.drop_link = false;
            self.dropping = false;
            self.lost();
        } else if was != State::Selected {
            self.selected(now);
        }
    }

    /// The connection may have room again, of which nothing else here tells: a transaction of somebody else's has ended, or the peer has
    /// taken what waited. What was [not sent](Self::not_sent) for want of room is asked for again.
    pub const fn retry(&mut self) {
        self.busy = false;
    }

    /// Time has passed. What has come in time is to be told before, and what can go out be polled: neither is late then.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.busy = false;
        if let Some(failure) = self.gate.handle_timeout(now) {
            self.open.trust = None;
            self.untrusted(failure);
        }
        if let Some(message) = self.communication.as_mut().and_then(|communication| communication.handle_timeout(now)) {
            self.due.communication = Some(message);
        }
        let link = self.link;
        let (gate, communication) = (&self.gate, &self.communication);
        for sending in self.sendings.iter_mut().filter(|sending| sending.deadline <= now) {
            match sending.stage {
                Stage::Waiting if link != State::Selected => sending.fail(SendError::NotConnected),
                Stage::Waiting => {
                    let waiting = waits_for(gate, communication.as_ref(), &sending.what, sending.stream_function);
                    sending.fail(SendError::NotSent(waiting.unwrap_or(Waiting::Room)));
                }
                // It may have gone out.
                Stage::Handed(_) | Stage::Open(_) => sending.fail(SendError::NoResponse),
                Stage::Ended(_) => {}
            }
        }
    }

    fn selected(&mut self, now: Instant) {
        self.selections = self.selections.wrapping_add(1);
        self.due.name = self.name.as_mut().is_some_and(ChannelName::selected);
        let mut began = self.gate.selected(now);
        if began.is_ok() && self.sendings.iter().any(|sending| sending.what == What::Authenticate) {
            began = self.gate.authenticate(now);
        }
        if let Err(failure) = began {
            self.untrusted(failure);
        }
        if self.gate.is_open() {
            self.opened(now);
        }
    }

    fn lost(&mut self) {
        if let Some(name) = &mut self.name {
            name.lost();
        }
        self.gate.lost();
        if let Some(communication) = &mut self.communication {
            communication.lost();
        }
        self.open = OwnRequests::NONE;
        self.due.name = false;
        self.due.communication = None;
        self.sendings.lost();
    }

    /// Messages may flow.
    fn opened(&mut self, now: Instant) {
        self.end_authentications(Ok(Done::Trusted));
        if let Some(communication) = &mut self.communication
            && communication.state() == CommunicationState::NotCommunicating
        {
            self.due.communication = communication.selected(now);
        }
    }

    /// A handshake has failed. On the active end nobody begins another one by itself, so that what waits for it would wait for nothing.
    #[cfg_attr(
        not(feature = "auth"),
        expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "none fails")
    )]
    fn untrusted(&mut self, failure: Failure) {
        #[cfg(not(feature = "auth"))]
        match failure {}
        #[cfg(feature = "auth")]
        {
            self.tell(EndpointNotice::TrustFailed(failure));
            self.end_authentications(Err(SendError::NotTrusted(failure)));
            if self.mode != ConnectMode::Active {
                return;
            }
            let gate = &self.gate;
            for sending in self.sendings.iter_mut().filter(|sending| sending.stage == Stage::Waiting) {
                if waits_for(gate, None, &sending.what, sending.stream_function) == Some(Waiting::Trust) {
                    sending.fail(SendError::NotTrusted(failure));
                }
            }
        }
    }

    fn end_authentications(&mut self, outcome: Result<Done, SendError>) {
        for sending in self.sendings.iter_mut().filter(|sending| sending.what == What::Authenticate) {
            if !sending.is_over() {
                sending.stage = Stage::Ended(outcome);
            }
        }
    }

    fn tell(&mut self, notice: EndpointNotice) {
        self.put(EndpointAction::Notify(notice));
    }

    fn put(&mut self, action: EndpointAction<'a>) {
        if self.news.push(action).is_err() {
            self.untold = self.untold.saturating_add(1);
        }
    }
}

/// What keeps a sending from going out over a connection that is SELECTED.
fn waits_for<const N: usize>(
    gate: &Gate<N>,
    communication: Option<&Communication<'_>>,
    what: &What,
    stream_function: StreamFunction,
) -> Option<Waiting> {
    match *what {
        What::Service { service, data_id } => (!gate.allows_service(service, data_id)).then_some(Waiting::Trust),
        What::Function if !gate.allows_function(stream_function) => Some(Waiting::Trust),
        What::Function => {
            communication.is_some_and(|communication| !communication.is_established()).then_some(Waiting::Communication)
        }
        // The handshake goes out for it.
        What::Authenticate => Some(Waiting::Trust),
    }
}

/// The response to a request that nobody handles: with the data id of its text, where that can be read.
fn status_of(service: ServiceId, text: &[u8], status: Status) -> OwnMessage<'static> {
    let data_id = ServiceMessage::read(service, text).map_or(0, |message| message.data_id());
    OwnMessage::Status { data_id, status }
}
