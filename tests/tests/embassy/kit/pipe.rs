//! An open stream in memory: two ends, each with a bounded buffer in its direction.

use embedded_io_async::{ErrorType, Read, Write};
use hsms_embassy::{OpenFailed, Opener};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

#[derive(Default)]
struct Way {
    octets: VecDeque<u8>,
    room: usize,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// The stream ends with so many octets written.
    cut: Option<u64>,
    written: u64,
}

impl Way {
    fn take(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if self.octets.is_empty() && !self.closed {
            return None;
        }
        let read = self.octets.len().min(buffer.len());
        for (place, octet) in buffer.iter_mut().zip(self.octets.drain(..read)) {
            *place = octet;
        }
        self.wake();
        Some(read)
    }

    fn put(&mut self, octets: &[u8]) -> Option<usize> {
        if self.closed {
            return None;
        }
        let written = octets.len().min(self.room - self.octets.len());
        self.octets.extend(&octets[..written]);
        self.written += written as u64;
        if self.cut.is_some_and(|cut| self.written >= cut) {
            self.closed = true;
        }
        if written > 0 {
            self.wake();
        }
        Some(written)
    }

    fn wake(&mut self) {
        for waker in [&mut self.reader, &mut self.writer] {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

/// The half of an end that is read from; dropped, the peer cannot write any more.
pub(crate) struct Reader(Rc<RefCell<Way>>);

/// The half of an end that is written to; dropped, the peer reads the end.
pub(crate) struct Writer(Rc<RefCell<Way>>);

pub(crate) type End = (Reader, Writer);

/// Two ends of a stream that holds `room` octets in each direction.
pub(crate) fn pair(room: usize) -> (End, End) {
    let [there, back] = [0, 1].map(|_| Rc::new(RefCell::new(Way { room, ..Way::default() })));
    ((Reader(back.clone()), Writer(there.clone())), (Reader(there), Writer(back)))
}

impl Reader {
    /// Waits until something can be read.
    pub(crate) async fn readable(&self) {
        poll_fn(|cx| {
            let mut way = self.0.borrow_mut();
            if !way.octets.is_empty() || way.closed {
                return Poll::Ready(());
            }
            way.reader = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Reads what is there, where something is or the stream has ended.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> Option<usize> {
        self.0.borrow_mut().take(buffer)
    }
}

impl Writer {
    /// From here on this direction holds so many octets.
    pub(crate) fn widen(&self, room: usize) {
        self.0.borrow_mut().room = room;
    }

    /// Writes as much as there is room for; `None` where the stream has ended.
    pub(crate) fn try_write(&self, octets: &[u8]) -> Option<usize> {
        self.0.borrow_mut().put(octets)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut way = self.0.borrow_mut();
        way.closed = true;
        way.wake();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut way = self.0.borrow_mut();
        way.closed = true;
        way.wake();
    }
}

impl ErrorType for Reader {
    type Error = Infallible;
}

impl ErrorType for Writer {
    type Error = Infallible;
}

impl Read for Reader {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|cx| {
            let mut way = self.0.borrow_mut();
            match way.take(buffer) {
                Some(read) => Poll::Ready(Ok(read)),
                None => {
                    way.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Write for Writer {
    async fn write(&mut self, octets: &[u8]) -> Result<usize, Infallible> {
        poll_fn(|cx| {
            let mut way = self.0.borrow_mut();
            match way.put(octets) {
                Some(0) if !octets.is_empty() => {
                    way.writer = Some(cx.waker().clone());
                    Poll::Pending
                }
                written => Poll::Ready(Ok(written.unwrap_or(0))),
            }
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A network of one cable: who listens is found by who dials.
#[derive(Default)]
pub(crate) struct Network {
    callers: RefCell<VecDeque<End>>,
    listening: RefCell<Option<Waker>>,
    /// Octets that a stream holds in each direction.
    room: usize,
    connections: Cell<u32>,
    cut: Cell<Option<u64>>,
}

/// Dials in a [`Network`].
pub(crate) struct Dial<'n>(pub(crate) &'n Network);

/// Listens in a [`Network`].
pub(crate) struct Listen<'n>(pub(crate) &'n Network);

impl Network {
    pub(crate) fn new(room: usize) -> Self {
        Network { room, ..Network::default() }
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.get()
    }

    /// The next connection ends when who dialled has written so many octets, of which the last are lost.
    pub(crate) fn cut_next(&self, octets: u64) {
        self.cut.set(Some(octets));
    }
}

/// A place in a queue of callers is found at once, or not at all.
impl Opener for Dial<'_> {
    type Reader<'t>
        = Reader
    where
        Self: 't;
    type Writer<'t>
        = Writer
    where
        Self: 't;

    async fn open(&mut self) -> Result<End, OpenFailed> {
        let Some(waker) = self.0.listening.take() else { return Err(OpenFailed) };
        let (near, far) = pair(self.0.room);
        near.1.0.borrow_mut().cut = self.0.cut.take();
        self.0.callers.borrow_mut().push_back(far);
        self.0.connections.set(self.0.connections.get() + 1);
        waker.wake();
        Ok(near)
    }

    async fn close(&mut self) {}
}

impl Opener for Listen<'_> {
    type Reader<'t>
        = Reader
    where
        Self: 't;
    type Writer<'t>
        = Writer
    where
        Self: 't;

    async fn open(&mut self) -> Result<End, OpenFailed> {
        poll_fn(|cx| match self.0.callers.borrow_mut().pop_front() {
            Some(end) => Poll::Ready(Ok(end)),
            None => {
                self.0.listening.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }

    async fn close(&mut self) {
        self.0.listening.take();
    }
}
