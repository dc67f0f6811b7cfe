//! What a peer of HSMS-GS is asked about its sessions.

use super::machine::SessionCommand;
use super::peer::{Order, Peer};
use super::pending::Pending;
use hsms_core::connection::Admission;
use hsms_core::wire::{SelectStatus, SessionId};

/// For peers [with sessions](super::PeerSettings::with_sessions). Of any other no session is known by an id, and the outcome is
/// [`Error::Connection`](super::Error::Connection).
impl Peer {
    /// Sends Select.req for this session, where it is not selected (E37.2 7.2). The outcome comes when it is selected, by either
    /// end.
    ///
    /// It is in [`Error::Connection`](super::Error::Connection) [`SessionRefused`](crate::Error::SessionRefused), [`Closed`](crate::Error::Closed),
    /// or [`Refused`](crate::Error::Refused) where nothing is connected, there is no such session entity, or the peer chose HSMS-SS.
    pub fn select_session(&self, session: SessionId) -> Pending<()> {
        self.session(session, SessionCommand::Select)
    }

    /// Sends Deselect.req for this session (E37.2 7.4). The outcome comes when it has ended, by either end.
    ///
    /// It is in [`Error::Connection`](super::Error::Connection) [`SessionRefused`](crate::Error::SessionRefused), and the session goes on;
    /// [`Closed`](crate::Error::Closed), or [`Refused`](crate::Error::Refused) where the session is not selected.
    pub fn deselect_session(&self, session: SessionId) -> Pending<()> {
        self.session(session, SessionCommand::Deselect)
    }

    /// Sends Separate.req for this session, which ends at once (E37.2 7.6). The connection stays.
    ///
    /// The outcome is [`Refused`](crate::Error::Refused), in [`Error::Connection`](super::Error::Connection), where the session is not selected.
    pub fn separate_session(&self, session: SessionId) -> Pending<()> {
        self.session(session, SessionCommand::Separate)
    }

    /// Answers the Select.req that [`Notice::SelectAsked`](hsms_core::connection::Notice::SelectAsked) told of: status 0 selects the session.
    ///
    /// The outcome is [`Refused`](crate::Error::Refused), in [`Error::Connection`](super::Error::Connection), where no Select.req waits for an answer.
    pub fn answer_select(&self, session: SessionId, status: SelectStatus) -> Pending<()> {
        self.session(session, SessionCommand::Answer(status))
    }

    /// Sets what a Select.req for this session is answered with from now on (E37.2 7.2).
    ///
    /// The outcome is [`Refused`](crate::Error::Refused), in [`Error::Connection`](super::Error::Connection), where there is no such session entity.
    pub fn set_admission(&self, session: SessionId, admission: Admission) -> Pending<()> {
        self.session(session, SessionCommand::Admission(admission))
    }

    /// Sets whether a Deselect.req for this session is answered with status 2, for the present connection (E37.2 7.4).
    ///
    /// The outcome is as that of [`set_admission`](Self::set_admission).
    pub fn set_busy(&self, session: SessionId, busy: bool) -> Pending<()> {
        self.session(session, SessionCommand::Busy(busy))
    }

    /// The sessions that are selected. Fails with [`Error::Removed`](super::Error::Removed) or [`Error::Stopped`](super::Error::Stopped) alone.
    pub fn selected_sessions(&self) -> Pending<Vec<SessionId>> {
        self.ask(Order::Sessions)
    }

    fn session(&self, session: SessionId, command: SessionCommand) -> Pending<()> {
        self.ask(|promise| Order::Session(session, command, promise))
    }
}
