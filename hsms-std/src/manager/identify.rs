//! Callers of whom it is not known yet whose they are.

use hsms_core::wire::Header;
use std::net::SocketAddr;

/// A caller from whom several peers may call, and who has told nothing that tells them apart: its connection is selected, its linktests
/// are answered and its primaries held, within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unidentified {
    /// Who called.
    pub caller: SocketAddr,
    /// Where.
    pub listener: SocketAddr,
    /// The names of the peers that it may be, in the order in which they were added.
    pub candidates: Vec<String>,
    /// The header of the first data message, whose device id is none of theirs; `None` where none has come.
    pub first: Option<Header>,
    /// The candidates have been asked for in vain.
    pub probed: bool,
}

/// What is to become of such a caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It is the peer of this name, whichever passive peer on the same port that is. Where there is none it is [`Close`](Self::Close).
    Assign(String),
    /// S1F1 is sent to each device id of the candidates; it is the peer's whose device id answers with S1F2. Where none does within
    /// [`ManagerSettings::with_identify_within`](super::ManagerSettings::with_identify_within), it is asked again.
    Probe,
    /// The session is ended with Separate.req, and the connection closed.
    Close,
}

/// Decides whose a caller is. Called by a worker thread, never by the event loop; a closure will do. Where it has not decided
/// [within](super::ManagerSettings::with_identify_within) as long again, and 10 s at least, because it takes longer or all threads are busy, it
/// counts as having said [`Decision::Close`].
pub trait Identify: Send + Sync + 'static {
    /// Whose is it? Where this panics the connection is closed.
    fn identify(&self, caller: &Unidentified) -> Decision;
}

impl<F: Fn(&Unidentified) -> Decision + Send + Sync + 'static> Identify for F {
    fn identify(&self, caller: &Unidentified) -> Decision {
        self(caller)
    }
}
