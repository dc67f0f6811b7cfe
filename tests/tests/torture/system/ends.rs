//! A use of the blocking adapter in stages, with the other end in a thread that no filter holds for.

use super::filter::{Filter, Ran};
use hsms_std::{
    CloseReason, Config, Connection, DeviceId, Error, Header, Incoming, Options, StreamFunction, SystemBytes,
    TransactionEnd,
};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::time::Duration;
use std::{io, thread};

const DEVICE: DeviceId = DeviceId::new(7).unwrap();
const S1F1: StreamFunction = StreamFunction::new(1, 1);
const S6F11: StreamFunction = StreamFunction::new(6, 11);

/// For what is never to be over: a machine may stand still for as long as it likes.
const NEVER: Duration = Duration::from_secs(86_400);

/// The shortest there is.
const T5: Duration = Duration::from_millis(10);

/// So many attempts fail before it counts as told: between them is T5, in which nothing has to be done.
const ATTEMPTS: usize = 2;

/// Nothing here takes that long.
const LONG: Duration = Duration::from_secs(60);

/// The limit where it will be over, and how long a connection is left in peace.
const SHORT: Duration = Duration::from_millis(40);

/// More than the buffers of a connection take.
const MUCH: usize = 32 << 20;

/// Messages and notices that one stage can give at most.
const MOST: usize = 1_000;

/// What an end does while a filter holds for its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The connection is made.
    Open,
    /// It is dialled or accepted, and selected.
    Select,
    /// A request is sent and its reply is awaited.
    Request,
    /// Nothing comes: it is looked for, and waited for.
    Idle,
    /// A long text is sent to a peer that takes nothing.
    Stall,
    /// Another caller is told that the place is taken.
    Second,
    /// The connection is ended.
    Separate,
    /// It is dialled or accepted and selected again after that.
    Again,
    /// It is disabled, and listens again.
    Listen,
    /// What was sent is written, and all is closed.
    Close,
    /// The connection is dropped.
    Drop,
}

/// What came of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What it was for.
    Done,
    /// By an error of this name, or a notice, and with what the system said.
    Told(&'static str, Option<i32>),
    /// Nothing, until the limit was over.
    Nothing,
}

/// One use, of which one stage is taken under a filter.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    pub active: bool,
    pub stage: Stage,
    /// Of each call, where nothing is to come of it.
    limit: Duration,
    dial_limit: Duration,
    write_limit: Duration,
    t3: Duration,
}

impl Use {
    /// Limits are short that have to be over for this to come out, and only these.
    pub fn new(active: bool, stage: Stage, due: Outcome) -> Self {
        let over = |is: bool| if is { SHORT } else { LONG };
        let write_limit = match stage {
            // T3 of what was sent before it is over in the middle, so that it waits twice.
            Stage::Stall => SHORT * 10,
            Stage::Separate | Stage::Drop => SHORT,
            _ => over(due == Outcome::Told("WriteStalled", None)),
        };
        Use {
            active,
            stage,
            limit: over(due == Outcome::Nothing),
            dial_limit: over(due == Outcome::Told("ConnectFailed", None)),
            write_limit,
            t3: if stage == Stage::Stall { SHORT * 5 } else { over(due == Outcome::Told("NoReply", None)) },
        }
    }

    /// Takes the stage, and then goes on without the filter: the same connection works, or where there is none, another one at the
    /// same address. `gone`: that address may still be taken.
    pub fn run(self, filter: &Filter, gone: bool) -> Ran<Outcome> {
        let (hold, held) = channel();
        let far = self.active.then(|| Connection::passive(local(), config(false, LONG)).unwrap());
        let address = far.as_ref().and_then(Connection::local_addr);
        let at = address.unwrap_or_else(local);
        let (opened, mut ran) = if self.stage == Stage::Open {
            let opened = filter.run(|| self.open(at));
            let outcome = opened.value.as_ref().map_or_else(told, |_| Outcome::Done);
            (opened.value, Some(Ran { value: outcome, busy: opened.busy, took: opened.took }))
        } else {
            (self.open(at), None)
        };
        let mut near = opened.unwrap_or_else(|_| self.open(at).unwrap());
        let at = address.or(near.local_addr()).unwrap();
        let far = far.unwrap_or_else(|| Connection::active(at, config(true, LONG)).unwrap());
        thread::scope(|scope| {
            scope.spawn(move || echo(far, &held));
            // Ends the far end when it goes, by a panic too.
            let hold = hold;
            if self.stage > Stage::Select {
                near.select(LONG).unwrap();
                while near.next(Duration::ZERO).unwrap().is_some() {}
            }
            if matches!(self.stage, Stage::Close | Stage::Drop) {
                near.send(S6F11, b"last").unwrap();
                ran = Some(filter.run(|| self.end(near)));
                if gone {
                    return;
                }
                near = self.open(at).unwrap();
            } else if self.stage != Stage::Open {
                ran = Some(self.take(&mut near, &hold, filter));
            }
            self.works(&mut near);
        });
        ran.unwrap()
    }

    fn open(&self, at: SocketAddr) -> Result<Connection, Error> {
        // It does not ask again before it waits: whether that pays is a matter of time, and so would be which calls are made.
        let options =
            Options::new().with_spin(0).with_write_limit(self.write_limit).with_connect_limit(self.dial_limit);
        Connection::with_options(at, config(self.active, self.t3), options)
    }

    fn take(&self, near: &mut Connection, far: &Sender<Receiver<()>>, filter: &Filter) -> Ran<Outcome> {
        match self.stage {
            Stage::Request => {
                let _holds = (self.t3 < LONG).then(|| silence(far));
                filter.run(|| match near.request(S1F1, b"text") {
                    Ok(reply) if reply.body == b"text" => Outcome::Done,
                    Ok(reply) => panic!("{reply:?}"),
                    Err(error) => told(&error),
                })
            }
            Stage::Idle => filter.run(|| {
                let outcome = self.until(near, Duration::ZERO, |_| None);
                let outcome = if outcome == Outcome::Nothing { self.idle(near) } else { outcome };
                self.in_peace(near, outcome)
            }),
            Stage::Stall => {
                let _holds = silence(far);
                let text = vec![0; MUCH];
                filter.run(|| match near.post(S1F1, b"").and_then(|_| near.send(S6F11, &text)) {
                    Ok(_) => panic!("the peer took everything"),
                    Err(Error::WriteStalled { .. }) => Outcome::Done,
                    Err(error) => told(&error),
                })
            }
            Stage::Second => {
                let mut caller = TcpStream::connect(near.local_addr().unwrap()).unwrap();
                caller.write_all(&Header::select_req(SystemBytes(1)).encode_alone()).unwrap();
                let ran = filter.run(|| {
                    let outcome = self.until(near, self.limit, |incoming| {
                        matches!(incoming, Incoming::CallerRefused { .. }).then_some(Outcome::Done)
                    });
                    // It is told so itself.
                    let outcome = if outcome == Outcome::Done { self.idle(near) } else { outcome };
                    self.in_peace(near, outcome)
                });
                drop(caller);
                ran
            }
            Stage::Separate => filter.run(|| near.separate().map_or_else(|error| told(&error), |()| Outcome::Done)),
            Stage::Again => {
                near.separate().unwrap();
                filter.run(|| self.selected(near))
            }
            Stage::Listen => {
                near.disable();
                near.enable();
                filter.run(|| self.selected(near))
            }
            Stage::Select => filter.run(|| self.selected(near)),
            Stage::Open | Stage::Close | Stage::Drop => panic!("{self:?} is no stage of a connection"),
        }
    }

    fn end(&self, near: Connection) -> Outcome {
        if self.stage == Stage::Close {
            return near.close().map_or_else(|error| told(&error), |()| Outcome::Done);
        }
        drop(near);
        Outcome::Done
    }

    /// Waits for the connection to be selected.
    fn selected(&self, near: &mut Connection) -> Outcome {
        let mut attempts = 0;
        self.until(near, self.limit, |incoming| match incoming {
            Incoming::Selected => Some(Outcome::Done),
            Incoming::ConnectFailed { error } => {
                attempts += 1;
                (attempts == ATTEMPTS).then_some(Outcome::Told("ConnectFailed", error.raw_os_error()))
            }
            _ => None,
        })
    }

    /// Waits where nothing is to come.
    fn idle(&self, near: &mut Connection) -> Outcome {
        match self.until(near, SHORT, |_| None) {
            Outcome::Nothing => Outcome::Done,
            other => other,
        }
    }

    /// Where callers are left waiting, it is not tried again at once.
    fn in_peace(&self, near: &mut Connection, outcome: Outcome) -> Outcome {
        if matches!(outcome, Outcome::Told("CallersWait", _)) {
            assert_eq!(self.idle(near), Outcome::Done, "after {outcome:?}");
        }
        outcome
    }

    /// Takes what comes until this is satisfied, or something is told that ends what there was.
    fn until(
        &self,
        near: &mut Connection,
        limit: Duration,
        mut wanted: impl FnMut(&Incoming<'_>) -> Option<Outcome>,
    ) -> Outcome {
        for _ in 0..MOST {
            match near.next(limit) {
                Ok(Some(incoming)) => match (wanted(&incoming), &incoming) {
                    (Some(outcome), _) => return outcome,
                    // Told at the beginning, of what was ended before.
                    (
                        None,
                        Incoming::Closed { error: None, reason: CloseReason::Separated | CloseReason::Disabled },
                    ) => {}
                    (None, Incoming::Closed { error, .. }) => return Outcome::Told("Closed", code(error.as_ref())),
                    (None, Incoming::CallersWait { error }) => {
                        return Outcome::Told("CallersWait", error.raw_os_error());
                    }
                    _ => {}
                },
                Ok(None) => return Outcome::Nothing,
                Err(error) => return told(&error),
            }
        }
        panic!("{self:?} has no end");
    }

    /// Without a filter everything works.
    fn works(&self, near: &mut Connection) {
        for _ in 0..MOST {
            near.select(LONG).unwrap();
            match near.request(S1F1, b"again") {
                Ok(reply) => return assert_eq!(reply.body, b"again"),
                // With a short T3.
                Err(Error::NoReply { end: TransactionEnd::T3, .. }) if self.t3 < LONG => {}
                Err(error) => panic!("{self:?}: {error:?}"),
            }
        }
        panic!("{self:?}: no reply");
    }
}

/// An address of this machine from which nobody dials, and where no other process listens, so that nobody takes a port that is to be
/// listened on again.
fn local() -> SocketAddr {
    let [.., third, fourth] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 77, third, fourth], 0))
}

fn config(active: bool, t3: Duration) -> Config {
    let config = if active { Config::host(DEVICE) } else { Config::equipment(DEVICE) };
    let config = config.with_t6(NEVER).unwrap().with_t7(NEVER).unwrap().with_t8(NEVER).unwrap();
    config.with_t3(t3).unwrap().with_t5(T5).unwrap().with_linktest_period(Duration::ZERO).unwrap()
}

fn code(error: Option<&io::Error>) -> Option<i32> {
    error.and_then(io::Error::raw_os_error)
}

fn told(error: &Error) -> Outcome {
    match error {
        Error::Listen { source, .. } => Outcome::Told("Listen", source.raw_os_error()),
        Error::System { source } => Outcome::Told("System", source.raw_os_error()),
        Error::Closed { source, .. } => Outcome::Told("Closed", code(source.as_ref())),
        Error::WriteStalled { .. } => Outcome::Told("WriteStalled", None),
        Error::NoReply { .. } => Outcome::Told("NoReply", None),
        other => panic!("{other:?}"),
    }
}

/// The far end does nothing until this is dropped.
fn silence(far: &Sender<Receiver<()>>) -> SyncSender<()> {
    let (holds, until) = sync_channel(0);
    far.send(until).unwrap();
    // It is received when the far end has come to wait for it.
    holds.send(()).unwrap();
    holds
}

/// The far end: replies with what it received, until nobody holds it any more.
fn echo(mut far: Connection, held: &Receiver<Receiver<()>>) {
    let mut text = Vec::new();
    loop {
        match held.try_recv() {
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {}
            Ok(until) => while until.recv().is_ok() {},
        }
        let token = match far.next(T5 / 2) {
            Ok(Some(Incoming::Primary { token, .. })) => token,
            Ok(_) => continue,
            Err(error) => panic!("{error:?}"),
        };
        far.take_body(&mut text);
        if let Some(token) = token {
            // The near end may have gone.
            let _ = far.reply(&token, &text).and_then(|()| far.flush());
        }
    }
}
