//! Services of a peer, for whoever uses them.

use super::delegate::lock;
use super::peer::{Order, Peer};
use super::served::{Served, Serving};
use crate::clock::FOR_EVER;
use crate::services::handler::Handler;
use crate::services::layer::{Layer, Outcome};
use crate::services::{
    Answered, EndpointNotice, Error, Failed, Kept, Pair, Request, Returned, ServiceId, Status, TrustState,
};
use hsms_core::secs2::serde::to_text;
use hsms_core::services::Ticket;
use hsms_core::time::Instant;
use hsms_core::wire::{Message, StreamFunction};
use serde::Serialize;
use std::fmt;
use std::sync::{MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// The services of a peer that was added with [`PeerSettings::with_services`](super::PeerSettings::with_services). Cheap to clone; for any
/// number of threads, and for handlers.
///
/// Handlers are called by the worker threads of the manager, for one peer one at a time and in order. The calls that wait can be made by
/// them as well, but not wait for what the handler itself has to answer. With the [removal](super::Manager::remove) of the peer, or when the
/// manager is dropped, handlers and secret are dropped too, and what has come can still be [received](Self::receive).
#[derive(Clone)]
pub struct PeerServices {
    peer: Peer,
}

impl PeerServices {
    pub(super) fn of(peer: &Peer) -> Option<Self> {
        peer.shared.services.as_ref().map(|_| PeerServices { peer: peer.clone() })
    }

    fn served(&self) -> Option<&Served> {
        self.peer.shared.services.as_deref()
    }

    /// Not of a peer that does not come again.
    fn state(&self) -> Result<MutexGuard<'_, Serving>, Error> {
        let state = self.served().map(|served| lock(&served.state)).ok_or(Error::Gone)?;
        if state.is_over() { Err(Error::Gone) } else { Ok(state) }
    }

    /// The same where something is to be sent.
    fn present(&self) -> Result<MutexGuard<'_, Serving>, Error> {
        let state = self.state()?;
        if state.gone { Err(Error::Gone) } else { Ok(state) }
    }

    fn now(&self) -> Instant {
        self.served().map_or(Instant::EPOCH, |served| served.clock.now())
    }

    /// Adds a request and its response, with their names.
    ///
    /// # Errors
    /// [`Error::Register`]: an id is taken, or the pair cannot be; [`Error::Gone`].
    pub fn add_service(
        &self,
        request: u8,
        response: u8,
        request_name: &'static str,
        response_name: &'static str,
    ) -> Result<Pair, Error> {
        self.state()?.layer.add_service(request, response, request_name, response_name)
    }

    /// Names a data id of one or several services.
    ///
    /// # Errors
    /// [`Error::Register`]: those in front of a service that is not known have been named; [`Error::Gone`].
    pub fn add_data(&self, services: &[ServiceId], data_id: u32, name: &'static str) -> Result<(), Error> {
        self.state()?.layer.add_data(services, data_id, name)
    }

    /// Names a status.
    ///
    /// # Errors
    /// [`Error::Register`], [`Error::Gone`].
    pub fn add_status(&self, status: Status, name: &'static str) -> Result<(), Error> {
        self.state()?.layer.add_status(status, name)
    }

    /// Names a stream, for log lines.
    ///
    /// # Errors
    /// [`Error::Register`], [`Error::Gone`].
    pub fn add_stream(&self, stream: u8, name: &'static str) -> Result<(), Error> {
        self.state()?.layer.add_stream(stream, name)
    }

    /// Names a function of a stream, for log lines.
    ///
    /// # Errors
    /// [`Error::Register`], [`Error::Gone`].
    pub fn add_function(&self, stream_function: StreamFunction, name: &'static str) -> Result<(), Error> {
        self.state()?.layer.add_function(stream_function, name)
    }

    /// Has a closure answer service messages: see [`Endpoint::on_request`](crate::services::Endpoint::on_request).
    ///
    /// # Errors
    /// [`Error::TooManyHandlers`], [`Error::Gone`].
    pub fn on_request(
        &self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        handler: impl FnMut(&Request<'_>) -> Result<Returned, Failed> + Send + 'static,
    ) -> Result<bool, Error> {
        let replaced = self.state()?.layer.on_request(service, data_id, Handler::of_services(handler));
        // What is not kept goes here, where nothing is locked.
        Ok(replaced?.is_some())
    }

    /// Has a closure answer SECS-II primaries: see [`Endpoint::on_primary`](crate::services::Endpoint::on_primary).
    ///
    /// # Errors
    /// [`Error::TooManyHandlers`], [`Error::Gone`].
    pub fn on_primary(
        &self,
        stream: Option<u8>,
        function: Option<u8>,
        handler: impl FnMut(&Message<'_>) -> Result<Vec<u8>, Failed> + Send + 'static,
    ) -> Result<bool, Error> {
        let replaced = self.state()?.layer.on_primary(stream, function, Handler::of_functions(handler));
        Ok(replaced?.is_some())
    }

    /// Whether the peer's S1F13 is accepted from now on; it is unless said otherwise.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn accept_communication(&self, accepts: bool) -> Result<(), Error> {
        self.state()?.layer.accept_communication(accepts);
        Ok(())
    }

    /// Sends a service request with a value, and waits for the answer: see [`Endpoint::send`](crate::services::Endpoint::send).
    ///
    /// # Errors
    /// [`Error::Sending`], [`Error::Status`], [`Error::Value`], [`Error::Gone`].
    pub fn send<T: Serialize + ?Sized>(
        &self,
        service: ServiceId,
        data_id: u32,
        value: &T,
        limit: Duration,
    ) -> Result<Answered, Error> {
        let data = to_text(value)?;
        let ticket = self.begin(service, data_id, Some(&data), true, limit)?;
        drop(data);
        self.outcome(ticket).map(|data| Answered { data })
    }

    /// The same with data that are one encoded item, or none.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`Error::NotOneItem`].
    pub fn send_encoded(
        &self,
        service: ServiceId,
        data_id: u32,
        data: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Answered, Error> {
        let ticket = self.begin(service, data_id, data, true, limit)?;
        self.outcome(ticket).map(|data| Answered { data })
    }

    /// Sends a service request that expects no answer, and waits until it stands in the ordered output.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) up to then.
    pub fn tell<T: Serialize + ?Sized>(
        &self,
        service: ServiceId,
        data_id: u32,
        value: &T,
        limit: Duration,
    ) -> Result<(), Error> {
        let ticket = self.begin(service, data_id, Some(&to_text(value)?), false, limit)?;
        self.outcome(ticket).map(|_| ())
    }

    fn begin(
        &self,
        service: ServiceId,
        data_id: u32,
        data: Option<&[u8]>,
        reply_expected: bool,
        limit: Duration,
    ) -> Result<Ticket, Error> {
        let now = self.now();
        let deadline = now.saturating_add(limit);
        self.present()?.layer.send(now, (service, data_id), data, reply_expected, deadline)
    }

    /// Sends a SECS-II primary and waits for its reply: see [`Endpoint::request`](crate::services::Endpoint::request).
    ///
    /// # Errors
    /// [`Error::Sending`], [`Error::Gone`].
    pub fn request(&self, what: StreamFunction, body: &[u8], limit: Duration) -> Result<Vec<u8>, Error> {
        let now = self.now();
        let deadline = now.saturating_add(limit);
        let ticket = self.present()?.layer.send_function(now, what, body.to_vec(), true, deadline)?;
        Ok(self.outcome(ticket)?.unwrap_or_default())
    }

    /// Takes the oldest message with these keys out of the inbox, waiting for it: see
    /// [`Endpoint::receive`](crate::services::Endpoint::receive).
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn receive(
        &self,
        service: Option<ServiceId>,
        data_id: Option<u32>,
        limit: Duration,
    ) -> Result<Option<Kept>, Error> {
        let end = self.now().saturating_add(limit);
        self.wait(end, |layer, now| match layer.receive(now, service, data_id, end) {
            Poll::Ready(kept) => Some(kept),
            Poll::Pending => None,
        })
        .map(Option::flatten)
    }

    /// Runs the handshake, where it has not been, and waits for its outcome: see
    /// [`Endpoint::authenticate`](crate::services::Endpoint::authenticate).
    ///
    /// # Errors
    /// [`Error::Sending`], [`Error::Gone`].
    pub fn authenticate(&self, limit: Duration) -> Result<(), Error> {
        let now = self.now();
        let ticket = self.present()?.layer.authenticate(now, now.saturating_add(limit))?;
        self.outcome(ticket).map(|_| ())
    }

    /// Waits until service messages may flow; gives whether they may.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn establish(&self, limit: Duration) -> Result<bool, Error> {
        self.come(limit, Layer::is_established)
    }

    /// Waits until SECS-II messages may flow; gives whether they may.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn communicate(&self, limit: Duration) -> Result<bool, Error> {
        self.come(limit, Layer::is_communicating)
    }

    /// Drops the link and waits until it is established again; gives whether it is.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn reconnect(&self, limit: Duration) -> Result<bool, Error> {
        self.state()?.layer.reconnect();
        self.poke()?;
        self.establish(limit)
    }

    /// The next of what the services tell; `None` when there is none within `limit`. Of more than 256 that nobody takes the oldest are
    /// lost, and not counted: the log has them all.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn next_notice(&self, limit: Duration) -> Result<Option<EndpointNotice>, Error> {
        self.wait(self.now().saturating_add(limit), |layer, _| layer.next_notice())
    }

    /// Whether there is a link, SELECTED or not.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.ask(Layer::is_connected)
    }

    /// Whether the connection is SELECTED.
    #[must_use]
    pub fn is_selected(&self) -> bool {
        self.ask(Layer::is_selected)
    }

    /// Whether the connection is trusted, or there is no secret.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.ask(Layer::is_trusted)
    }

    /// Whether service messages may flow: SELECTED, and trusted where there is a secret.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.ask(Layer::is_established)
    }

    /// Whether SECS-II messages may flow: established, and communication is, where it is to be.
    #[must_use]
    pub fn is_communicating(&self) -> bool {
        self.ask(Layer::is_communicating)
    }

    /// How far the proofs are; `None` without a secret.
    #[must_use]
    pub fn trust_state(&self) -> Option<TrustState> {
        self.state().ok().and_then(|state| state.layer.trust_state())
    }

    /// The name of the connection that counts, as far as is known.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.state().ok().and_then(|state| state.layer.name().map(str::to_owned))
    }

    /// How many messages were refused before trust.
    #[must_use]
    pub fn refused(&self) -> u32 {
        self.served().map_or(0, |served| served.with(|layer, _| layer.refused()))
    }

    /// How many messages wait in the inbox, and how many found no room in it.
    #[must_use]
    pub fn inbox(&self) -> (usize, u32) {
        self.served().map_or((0, 0), |served| served.with(|layer, _| layer.inbox()))
    }

    fn ask(&self, question: impl FnOnce(&Layer) -> bool) -> bool {
        self.state().is_ok_and(|state| question(&state.layer))
    }

    fn come(&self, limit: Duration, come: impl Fn(&Layer) -> bool) -> Result<bool, Error> {
        let end = self.now().saturating_add(limit);
        Ok(self.wait(end, |layer, _| come(layer).then_some(()))?.is_some())
    }

    /// Every sending has an outcome, at its deadline at the latest.
    fn outcome(&self, ticket: Ticket) -> Outcome {
        let outcome = self.poke().and_then(|()| self.wait(FOR_EVER, |layer, _| layer.outcome(ticket)));
        match outcome {
            Ok(Some(outcome)) => outcome,
            Ok(None) | Err(_) => {
                if let Some(served) = self.served() {
                    served.with(|layer, _| layer.cancel(ticket));
                }
                Err(Error::Gone)
            }
        }
    }

    /// Has the loop look after it.
    fn poke(&self) -> Result<(), Error> {
        self.peer.order(Order::Serve).map_err(|_| Error::Gone)
    }

    /// Waits for what `look` gives: until `end`, or the peer is gone.
    fn wait<R>(
        &self,
        end: Instant,
        mut look: impl FnMut(&mut Layer, Instant) -> Option<R>,
    ) -> Result<Option<R>, Error> {
        let served = self.served().ok_or(Error::Gone)?;
        let mut state = lock(&served.state);
        loop {
            let now = served.clock.now();
            if let Some(found) = look(&mut state.layer, now) {
                return Ok(Some(found));
            }
            if state.gone {
                return Err(Error::Gone);
            }
            if now >= end {
                return Ok(None);
            }
            let left = served.clock.until(end);
            state = served.come.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl fmt::Debug for PeerServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerServices").field("peer", &self.peer).finish()
    }
}
