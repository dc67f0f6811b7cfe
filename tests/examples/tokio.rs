//! A complete HSMS-SS endpoint on tokio, active or passive: hsms-core in a task of its own, and handles for any other task. Made
//! to be copied; `smol.rs` is the same for smol. The numbers are the steps of the run loop in the documentation of hsms-core.
use hsms_core::connection::{Action, CloseReason, Event, Inbound, Notice, ReplyToken, State, TransactionEnd};
use hsms_core::wire::{Header, StreamFunction, SystemBytes};
use hsms_core::{Config, Connection, Error, collect::Collector, config::DeviceId, time::Instant};
use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::{future::Future, future::pending, io, mem, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::{io::AsyncWriteExt, io::Interest, net::TcpListener, net::TcpStream, time::timeout};

const PATIENCE: Duration = Duration::from_secs(10); // With a peer that takes nothing, and with one that is dialled.
const ROOM: usize = 1 << 16; // Octets to read at once; octets of output beyond which orders wait.
const TOLD: usize = ROOM / 8; // What may be unread: more than one read brings. Beyond it primaries are answered SxF0 or lost.

#[derive(Clone)]
pub(crate) enum Place {
    Active(SocketAddr),
    Passive(Arc<TcpListener>), // While it is connected, a further caller waits in its queue.
}

#[derive(Debug)]
pub(crate) enum Told {
    Primary { header: Header, text: Vec<u8>, token: Option<ReplyToken> },
    Notice(Notice),
    Closed(CloseReason),
}

pub(crate) enum Order {
    Request(StreamFunction), // Answered with the text of the reply. Where nobody waits any more, the next order gives it up.
    Send(StreamFunction),
    Reply(ReplyToken),
    Reconnect, // Separates; the active side dials again after T5.
    Close,     // Separates, and ends the endpoint; as when the last handle is dropped.
}

#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Error),
    Ended(TransactionEnd),
    Aborted, // The peer answered with function 0.
    Gone,    // The endpoint has ended.
}

type Answer = oneshot::Sender<Result<Vec<u8>, Failure>>;
type Ordered = (Order, Vec<u8>, Answer);
type Opening = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

#[derive(Clone)]
pub(crate) struct Handle {
    orders: mpsc::Sender<Ordered>,
    state: watch::Receiver<State>,
}

impl Handle {
    /// Carries out an order, with its text; gives the text of the reply to a request.
    pub(crate) async fn order(&self, order: Order, text: &[u8]) -> Result<Vec<u8>, Failure> {
        let (answer, answered) = oneshot::channel();
        self.orders.send((order, text.to_vec(), answer)).await.map_err(|_| Failure::Gone)?;
        answered.await.unwrap_or(Err(Failure::Gone))
    }

    pub(crate) fn state(&self) -> State {
        *self.state.borrow()
    }
}

/// Begins an endpoint in a task of its own.
pub(crate) fn start(place: Place, config: Config, device: DeviceId) -> (Handle, mpsc::Receiver<Told>) {
    let ((orders, ordered), (tell, told), unread) = (mpsc::channel(64), mpsc::channel(TOLD), VecDeque::new());
    let (set_state, state) = watch::channel(State::NotConnected);
    let (connection, collector) = (Connection::new(config), Collector::new(Vec::new(), usize::MAX));
    let (epoch, out, waiting, opening, link) = (std::time::Instant::now(), VecDeque::new(), HashMap::new(), None, None);
    let endpoint = Endpoint { connection, collector, epoch, out, waiting, opening, link, tell, unread, place, device };
    tokio::spawn(endpoint.run(ordered, set_state));
    (Handle { orders, state }, told)
}

struct Endpoint {
    connection: Connection<64>,
    collector: Collector<Vec<u8>>,
    epoch: std::time::Instant,
    out: VecDeque<u8>,
    waiting: HashMap<SystemBytes, Answer>,
    opening: Option<Opening>,
    link: Option<TcpStream>,
    tell: mpsc::Sender<Told>,
    unread: VecDeque<usize>, // Octets of each that was told.
    place: Place,
    device: DeviceId,
}

impl Endpoint {
    async fn run(mut self, mut orders: mpsc::Receiver<Ordered>, state: watch::Sender<State>) -> Result<(), Error> {
        let (mut buffer, mut patience, mut most) = (vec![0; ROOM], Instant::EPOCH, 0);
        self.connection.enable(self.now())?;
        while self.connection.is_enabled() {
            self.drain().await;
            state.send_replace(self.connection.state());
            let limit = if self.out.is_empty() { Duration::MAX } else { patience.saturating_since(self.now()) };
            let wait = self.connection.next_deadline().map_or(limit, |due| due.saturating_since(self.now()).min(limit));
            let Endpoint { opening, link, out, .. } = &mut self;
            let full = out.len() >= ROOM;
            most = if full { most.min(out.len() + 512 * ROOM) } else { usize::MAX };
            let interest = if out.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            let opened = async { if let Some(opening) = opening { opening.await } else { pending().await } };
            let ready = async { if let Some(link) = link { _ = link.ready(interest).await } else { pending().await } };
            tokio::select! {
                // 1. Open.
                link = opened => {
                    (self.opening, self.link) = (None, link.and_then(|link| link.set_nodelay(true).map(|()| link)).ok());
                    self.tell(if self.link.is_some() { Event::TransportOpen } else { Event::TransportFailed }).await?;
                }
                order = orders.recv(), if !full => match order {
                    Some((order, text, answer)) => self.carry_out(order, &text, answer).await?,
                    None => self.connection.disable(self.now())?, // The last handle is gone.
                },
                _ = timeout(wait, ready) => tokio::task::yield_now().await, // Reading takes nothing of the budget.
            }
            self.drain().await; // 2. Read, with nothing left to be done.
            match self.link.as_ref().map(|link| link.try_read(&mut buffer)) {
                Some(Ok(len @ 1..)) => {
                    let (now, mut input) = (self.now(), &buffer[..len]);
                    while self.link.is_some() && !input.is_empty() {
                        let (taken, inbound) = self.connection.receive(now, input)?;
                        input = &input[taken..];
                        self.drain().await;
                        inbound.map_or(Ok(()), |inbound| self.deliver(now, &inbound))?;
                        self.drain().await;
                    }
                }
                Some(Err(error)) if matches!(error.kind(), WouldBlock | Interrupted) => {}
                Some(_) => self.tell(Event::TransportClosed).await?,
                None => {}
            }
            self.tell(Event::Timeout).await?; // 5. Deadline, behind what had come by then.
            let now = self.now(); // 4. Write all of it at once.
            match self.link.as_ref().map(|link| link.try_write(self.out.as_slices().0)) {
                _ if self.out.is_empty() => patience = now.saturating_add(PATIENCE),
                _ if self.out.len() > most => self.tell(Event::TransportClosed).await?, // It asks and does not read.
                Some(Ok(len @ 1..)) => {
                    self.out.drain(..len);
                    patience = now.saturating_add(PATIENCE);
                    self.connection.written(now, len as u64)?;
                }
                Some(Err(error)) if !matches!(error.kind(), WouldBlock | Interrupted) => self.out.clear(), // It may say why.
                Some(Err(_)) if now < patience => {}
                _ => self.tell(Event::TransportClosed).await?,
            }
        }
        state.send_replace(State::NotConnected);
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::EPOCH.saturating_add(self.epoch.elapsed())
    }

    async fn tell(&mut self, event: Event) -> Result<(), Error> {
        self.connection.handle(self.now(), event)?;
        self.drain().await;
        Ok(())
    }

    async fn drain(&mut self) {
        while let Some(action) = self.connection.poll_action() {
            match action {
                Action::OpenTransport => self.opening = Some(Box::pin(open(self.place.clone()))),
                Action::Send(frame) => self.out.extend(frame.encode().as_ref()),
                Action::CloseTransport(reason) => {
                    // 6. Close, behind what was appended, and forget the rest.
                    let (mut out, link, _) = (mem::take(&mut self.out), self.link.take(), self.opening.take());
                    if let Some(mut link) = link.filter(|_| reason != CloseReason::TransportClosed) {
                        let _ = timeout(PATIENCE, link.write_all(out.make_contiguous())).await;
                        let _ = link.shutdown().await;
                    }
                    self.pass_on(0, Told::Closed(reason));
                }
                Action::Notify(Notice::TransactionEnded { system, end }) => {
                    self.waiting.remove(&system).map(|answer| answer.send(Err(Failure::Ended(end))));
                }
                Action::Notify(notice) => _ = self.pass_on(0, Told::Notice(notice)),
            }
        }
    }

    async fn carry_out(&mut self, order: Order, text: &[u8], answer: Answer) -> Result<(), Error> {
        let (now, len) = (self.now(), u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.waiting.retain(|system, answer| !answer.is_closed() || self.connection.forget(*system).is_err());
        let begun = match order {
            Order::Request(primary) => self.connection.begin_primary(now, self.device, primary, true, len).map(Some),
            Order::Send(primary) => self.connection.begin_primary(now, self.device, primary, false, len).map(Some),
            Order::Reply(to) => self.connection.begin_reply(now, &to, len).map(|prefix| Some((to.system(), prefix))),
            Order::Reconnect => self.connection.separate(now).map(|()| None),
            Order::Close => self.connection.disable(now).map(|()| None),
        };
        if let Ok(Some((_, prefix))) = &begun {
            self.out.extend(prefix.iter().chain(text));
            self.connection.end_body(now)?;
        }
        self.drain().await;
        match (begun, order) {
            (Ok(Some((system, _))), Order::Request(_)) => drop(self.waiting.insert(system, answer)),
            (begun, _) => drop(answer.send(begun.map(|_| Vec::new()).map_err(Failure::Refused))),
        }
        Ok(())
    }

    fn pass_on(&mut self, octets: usize, told: Told) -> bool {
        self.unread.drain(..self.unread.len().saturating_sub(TOLD - self.tell.capacity())); // It has read these.
        let fits = self.unread.iter().sum::<usize>() + octets <= 512 * ROOM && self.tell.try_send(told).is_ok();
        self.unread.extend(fits.then_some(octets));
        fits // Otherwise the application has too much to read still.
    }

    fn deliver(&mut self, now: Instant, inbound: &Inbound<'_>) -> Result<(), Error> {
        let Ok(Some(whole)) = self.collector.push(inbound) else { return Ok(()) };
        let (header, text, token) = (whole.message.header, whole.message.body.to_vec(), whole.reply_token);
        if inbound.is_reply() {
            let reply = if inbound.is_abort() { Err(Failure::Aborted) } else { Ok(text) };
            self.waiting.remove(&header.system).map(|answer| answer.send(reply));
        } else if !self.pass_on(text.len(), Told::Primary { header, text, token })
            && let Some(token) = token.filter(|_| self.link.is_some())
        {
            self.out.extend(self.connection.begin_abort(now, &token)?);
            self.connection.end_body(now)?; // The application does not keep up, or is gone.
        }
        Ok(())
    }
}

async fn open(place: Place) -> io::Result<TcpStream> {
    match place {
        Place::Active(address) => timeout(PATIENCE, TcpStream::connect(address)).await?,
        Place::Passive(listener) => listener.accept().await.map(|(link, _)| link),
    }
}
