//! What the adapter decides beside the settings of the protocol.

use std::net::IpAddr;
use std::time::Duration;

/// Settings of the adapter, beside those of the protocol in [`Config`](hsms_core::Config).
///
/// | setting | default |
/// |---|---|
/// | expected peer (passive side) | anyone |
/// | TCP keepalive | after 60 s without traffic |
/// | no-delay | on |
/// | connect limit | 10 s for one attempt |
/// | write limit | 10 s without progress |
/// | inbox | 1,024 entries, 64 MiB of text |
/// | control messages | not told |
/// | reads before a wait | 200, where that pays |
///
/// ```
/// use hsms_std::Options;
/// use std::time::Duration;
///
/// let options = Options::new().with_write_limit(Duration::from_secs(2)).with_keepalive(None);
/// assert_eq!(options.write_limit(), Duration::from_secs(2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    expected_peer: Option<IpAddr>,
    keepalive: Option<Duration>,
    no_delay: bool,
    connect_limit: Duration,
    write_limit: Duration,
    inbox_messages: usize,
    inbox_octets: usize,
    tell_control: bool,
    spin: u32,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Options {
            expected_peer: None,
            keepalive: Some(Duration::from_secs(60)),
            no_delay: true,
            connect_limit: Duration::from_secs(10),
            write_limit: Duration::from_secs(10),
            inbox_messages: 1_024,
            inbox_octets: 64 << 20,
            tell_control: false,
            spin: 200,
        }
    }

    /// The only address from which a passive connection is taken; `None`: any.
    #[must_use]
    pub const fn expected_peer(&self) -> Option<IpAddr> {
        self.expected_peer
    }

    /// Sets the only address from which a passive connection is taken. Callers from elsewhere are hung up on at once.
    #[must_use]
    pub const fn with_expected_peer(mut self, peer: Option<IpAddr>) -> Self {
        self.expected_peer = peer;
        self
    }

    /// After how long without traffic TCP probes whether the peer's machine is still there; `None`: never.
    #[must_use]
    pub const fn keepalive(&self) -> Option<Duration> {
        self.keepalive
    }

    /// Sets TCP keepalive. Systems count in whole seconds and take at least one.
    #[must_use]
    pub const fn with_keepalive(mut self, keepalive: Option<Duration>) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// Whether small segments are sent at once (`TCP_NODELAY`).
    #[must_use]
    pub const fn no_delay(&self) -> bool {
        self.no_delay
    }

    /// Sets whether small segments are sent at once. Off, requests and replies wait for each other's acknowledgements.
    #[must_use]
    pub const fn with_no_delay(mut self, no_delay: bool) -> Self {
        self.no_delay = no_delay;
        self
    }

    /// How long one attempt to dial may take.
    #[must_use]
    pub const fn connect_limit(&self) -> Duration {
        self.connect_limit
    }

    /// Sets how long one attempt to dial may take. Then it counts as failed, and T5 runs.
    #[must_use]
    pub const fn with_connect_limit(mut self, limit: Duration) -> Self {
        self.connect_limit = limit;
        self
    }

    /// How long a write may go on without the peer taking a single octet.
    #[must_use]
    pub const fn write_limit(&self) -> Duration {
        self.write_limit
    }

    /// Sets how long a write may go on without the peer taking a single octet. Then the connection is closed and the call
    /// gives [`Error::WriteStalled`](crate::Error::WriteStalled). A peer that takes octets, however slowly, does not reach it:
    /// a long text may take as long as the peer lets it.
    #[must_use]
    pub const fn with_write_limit(mut self, limit: Duration) -> Self {
        self.write_limit = limit;
        self
    }

    /// How many messages, and how many notices, are kept for `next`.
    #[must_use]
    pub const fn inbox_messages(&self) -> usize {
        self.inbox_messages
    }

    /// How many octets of text are kept for `next`.
    #[must_use]
    pub const fn inbox_octets(&self) -> usize {
        self.inbox_octets
    }

    /// Sets how much is kept for `next` when messages arrive while a call waits for something else: so many messages with so
    /// many octets of text in all, and as many notices. One message is kept however long it is, so that the settings of
    /// the protocol alone bound a single message. What does not fit is answered SxF0 where a reply is expected, counted
    /// and told.
    #[must_use]
    pub const fn with_inbox(mut self, messages: usize, octets: usize) -> Self {
        self.inbox_messages = messages;
        self.inbox_octets = octets;
        self
    }

    /// Whether control messages are told of as [`Incoming::Other`](crate::Incoming::Other).
    #[must_use]
    pub const fn tell_control(&self) -> bool {
        self.tell_control
    }

    /// Sets whether control messages, which the machine deals with by itself, are told of as
    /// [`Incoming::Other`](crate::Incoming::Other).
    #[must_use]
    pub const fn with_tell_control(mut self, tell: bool) -> Self {
        self.tell_control = tell;
        self
    }

    /// How often a read that finds nothing is tried again before the thread waits for octets.
    #[must_use]
    pub const fn spin(&self) -> u32 {
        self.spin
    }

    /// Sets how often a read that finds nothing is tried again before the thread waits for octets; 0: it waits at once. Default
    /// 200, which keeps the core busy for some 50 microseconds at most. Waking a thread takes the system some ten microseconds, so
    /// with 64 messages in flight four times as many go over in a second. It costs little where answers do not come soon, or both ends
    /// share a core: each time it was in vain doubles the number of waits that go without, up to 1,023.
    #[must_use]
    pub const fn with_spin(mut self, reads: u32) -> Self {
        self.spin = reads;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::new()
    }
}
