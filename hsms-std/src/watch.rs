//! Who looks on at a link: the log, and a tap where one is set. What is one connection for them, from its begin to its end.

use crate::tap::{Direction, Piece, Tap, Tapped, What};
use crate::trace::{self, Span};
use crate::transport::Transport;
use crate::words::Words;
use hsms_core::config::ConnectMode;
use hsms_core::connection::{CloseReason, Inbound, Notice};
use hsms_core::wire::Header;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Who looks on at the connections of a link, and under which name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Onlookers {
    pub(crate) tap: Option<Arc<dyn Tap>>,
    pub(crate) name: Option<Arc<str>>,
    /// What its connections and messages are called, where there are services.
    pub(crate) words: Option<Arc<Words>>,
}

/// A connection as it is looked on at. Takes a pointer where nobody does.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Box<Watched>>);

#[derive(Debug)]
struct Watched {
    number: u64,
    onlookers: Onlookers,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    /// It began as a connection that was not known to be this peer's.
    #[cfg(feature = "manager")]
    joined: bool,
    /// What is received has been seen before, and what is sent.
    seen_received: bool,
    seen_sent: bool,
    /// The tap has panicked. It stays the tap of this connection, so that whoever takes that over does not call it again.
    silent: bool,
    span: Span,
    /// The name of the connection that the span has.
    channel: Option<Arc<str>>,
}

impl Onlookers {
    /// Has it logged as being about the peer, where that or the connection has a name.
    pub(crate) fn inside<R>(&self, log: impl FnOnce() -> R) -> R {
        let channel = self.channel();
        match (&self.name, &channel) {
            (None, None) => log(),
            _ => self.span(None, channel.as_deref()).inside(log),
        }
    }

    fn channel(&self) -> Option<Arc<str>> {
        self.words.as_ref().and_then(|words| words.channel())
    }

    fn span(&self, remote: Option<SocketAddr>, channel: Option<&str>) -> Span {
        match (&self.name, remote) {
            (Some(name), _) => Span::new(name, channel),
            (None, Some(remote)) => Span::new(remote, channel),
            (None, None) => Span::new("?", channel),
        }
    }
}

impl Watch {
    /// The transport is open.
    pub(crate) fn opened(&mut self, onlookers: &Onlookers, mode: ConnectMode, transport: &impl Transport) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let addresses = if onlookers.tap.is_some() || cfg!(feature = "tracing") { transport.addresses() } else { None };
        let (local, remote) = addresses.unzip();
        let channel = onlookers.channel();
        let span = onlookers.span(remote, channel.as_deref());
        self.0 = (onlookers.tap.is_some() || !span.is_none()).then(|| {
            Box::new(Watched {
                number: NUMBER.fetch_add(1, Ordering::Relaxed),
                onlookers: onlookers.clone(),
                local,
                remote,
                #[cfg(feature = "manager")]
                joined: false,
                seen_received: false,
                seen_sent: false,
                silent: false,
                span,
                channel,
            })
        });
        self.inside(trace::connected);
        if let Some(watched) = &mut self.0 {
            watched.tell(What::Opened { mode });
        }
    }

    /// Goes on where another link has had the connection. Where that had another tap it begins for ours.
    #[cfg(feature = "manager")]
    pub(crate) fn go_on(
        &mut self,
        before: Watch,
        onlookers: &Onlookers,
        mode: ConnectMode,
        transport: &impl Transport,
    ) {
        let same = match (before.0.as_ref().and_then(|watched| watched.onlookers.tap.as_ref()), &onlookers.tap) {
            (Some(before), Some(tap)) => Arc::ptr_eq(before, tap),
            _ => false,
        };
        if !same {
            drop(before);
            return self.opened(onlookers, mode, transport);
        }
        *self = before;
        if let Some(watched) = &mut self.0 {
            watched.onlookers.name.clone_from(&onlookers.name);
            watched.onlookers.words.clone_from(&onlookers.words);
            watched.joined = true;
            watched.channel = onlookers.channel();
            if onlookers.name.is_some() {
                watched.span = onlookers.span(watched.remote, watched.channel.as_deref());
            }
        }
        self.inside(trace::connected);
    }

    /// What follows has gone over the link that had the connection before: what is received, and what is sent.
    #[cfg(feature = "manager")]
    pub(crate) fn repeats(&mut self, received: bool, sent: bool) {
        if let Some(watched) = &mut self.0 {
            (watched.seen_received, watched.seen_sent) = (watched.joined && received, watched.joined && sent);
        }
    }

    /// A piece of a message has come.
    #[inline]
    pub(crate) fn received(&mut self, inbound: &Inbound<'_>) {
        if trace::logs_messages() {
            let words = self.words();
            self.inside(|| trace::received(inbound, words.as_deref()));
        }
        if let Some(watched) = &mut self.0 {
            watched.received(inbound);
        }
    }

    /// A message takes its place in the ordered output.
    #[inline]
    pub(crate) fn sent(&mut self, header: &Header, body: &[u8]) {
        if trace::logs_messages() {
            let words = self.words();
            self.inside(|| trace::sent(header, body, words.as_deref()));
        }
        if let Some(watched) = &mut self.0 {
            watched.sent(header, body);
        }
    }

    /// A notice of the machine.
    pub(crate) fn notice(&mut self, notice: &Notice) {
        self.inside(|| trace::notice(notice));
    }

    /// Something that found no room.
    pub(crate) fn refused(&mut self, what: fmt::Arguments<'_>) {
        self.inside(|| trace::refused(what));
    }

    /// The transport is closed. What the machine says of that is still logged as being about the peer.
    pub(crate) fn closed(&mut self, reason: CloseReason, error: Option<&io::Error>) {
        self.inside(|| trace::closed(reason, error));
        if let Some(watched) = &mut self.0 {
            watched.tell(What::Closed { reason: Some(reason) });
            watched.onlookers.tap = None;
        }
        self.0.take_if(|watched| watched.span.is_none());
    }

    /// Nothing more is said of it.
    pub(crate) fn over(&mut self) {
        self.0 = None;
    }

    /// The connection has services, by these words. Where nothing is connected it takes no notice.
    #[cfg(feature = "services")]
    pub(crate) fn set_words(&mut self, words: &Arc<Words>) {
        if let Some(watched) = &mut self.0 {
            watched.onlookers.words = Some(Arc::clone(words));
        }
    }

    /// Whether there is a connection, and somebody who looks on at it.
    #[cfg(feature = "services")]
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Has it logged as being about the peer.
    #[inline]
    pub(crate) fn inside<R>(&mut self, log: impl FnOnce() -> R) -> R {
        match &mut self.0 {
            Some(watched) => watched.span().inside(log),
            None => log(),
        }
    }

    fn words(&self) -> Option<Arc<Words>> {
        self.0.as_ref().and_then(|watched| watched.onlookers.words.clone())
    }
}

impl Watched {
    /// It has the name that the connection has by now: another one is another span, since some that read them print what a field was before
    /// as well.
    fn span(&mut self) -> &Span {
        if self.onlookers.words.is_some() {
            let channel = self.onlookers.channel();
            if channel != self.channel {
                self.span = self.onlookers.span(self.remote, channel.as_deref());
                self.channel = channel;
            }
        }
        &self.span
    }

    #[cold]
    fn received(&mut self, inbound: &Inbound<'_>) {
        if self.seen_received {
            return;
        }
        let piece = &inbound.piece;
        self.tell(What::Piece(Piece {
            direction: Direction::Received,
            header: piece.header,
            body_len: piece.body_len,
            offset: piece.offset,
            octets: piece.body,
            first: piece.first(),
            last: piece.last(),
        }));
    }

    #[cold]
    fn sent(&mut self, header: &Header, body: &[u8]) {
        if self.seen_sent {
            return;
        }
        self.tell(What::Piece(Piece {
            direction: Direction::Sent,
            header: *header,
            body_len: u32::try_from(body.len()).unwrap_or(u32::MAX),
            offset: 0,
            octets: body,
            first: true,
            last: true,
        }));
    }

    fn tell(&mut self, what: What<'_>) {
        let Some(tap) = self.onlookers.tap.as_ref().filter(|_| !self.silent) else { return };
        let tapped = Tapped {
            time: SystemTime::now(),
            connection: self.number,
            peer: self.onlookers.name.as_deref(),
            local: self.local,
            remote: self.remote,
            what,
        };
        self.silent = catch_unwind(AssertUnwindSafe(|| tap.tap(&tapped))).is_err();
    }
}

/// However a connection ends, its end is told.
impl Drop for Watched {
    fn drop(&mut self) {
        self.tell(What::Closed { reason: None });
    }
}
