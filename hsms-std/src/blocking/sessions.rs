//! Connections with a list of session entities: HSMS-GS.

use super::{Connection, Port, up_to};
use crate::driver::Driver;
use crate::{Error, Options};
use hsms_core::Config;
use hsms_core::connection::{Admission, General, State};
use hsms_core::wire::{Message, SelectStatus, SessionId, StreamFunction, SystemBytes};
use std::net::ToSocketAddrs;
use std::time::Duration;

impl<const TRANSACTIONS: usize, const N: usize> Connection<TRANSACTIONS, General<N>> {
    /// A connection with these session entities (HSMS-GS, E37.2), in the mode that `config` names: `address` is the peer's where it
    /// dials, and its own where it listens. Entities that are [wanted](hsms_core::connection::SessionEntity::wanted) are selected
    /// whenever it connects.
    ///
    /// One peer is served at a time; entities that several connections offer and cannot share are kept apart by
    /// [`Holders`](hsms_core::connection::Holders).
    ///
    /// ```no_run
    /// use hsms_std::core::connection::{General, SessionEntity};
    /// use hsms_std::core::wire::SessionId;
    /// use hsms_std::{Config, Connection, DeviceId, Options, StreamFunction};
    /// use std::time::Duration;
    ///
    /// const ETCHER: SessionId = SessionId(7);
    /// let sessions = General::<2>::new(&[SessionEntity::wanted(ETCHER)])?;
    /// let config = Config::host(DeviceId::new(0).unwrap());
    /// let mut host = Connection::<16, _>::general("127.0.0.1:5000", config, sessions, Options::new())?;
    /// host.select_session(ETCHER, Duration::from_secs(20))?;
    /// println!("{:?}", host.request_in(ETCHER, StreamFunction::new(1, 1), &[])?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`active`](Connection::active) and [`passive`](Connection::passive).
    pub fn general(
        address: impl ToSocketAddrs + Send + Sync + 'static,
        config: Config,
        sessions: General<N>,
        options: Options,
    ) -> Result<Self, Error> {
        let port = Port::new(address, config.mode())?;
        Ok(Connection::over(Driver::general(config, sessions, options), port))
    }

    /// Whether the session is selected.
    #[must_use]
    pub fn is_selected(&self, session: SessionId) -> bool {
        self.driver.machine().is_selected(session)
    }

    /// The sessions that are selected.
    pub fn selected_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.driver.machine().selected_sessions()
    }

    /// Whether the peer chose HSMS-SS for the present connection, see [`General::or_single`].
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.driver.machine().is_single()
    }

    /// Waits until there is a connection, sends Select.req for the session, and waits until it is selected, by either end: at most for
    /// `limit`. What else happens meanwhile comes out of [`next`](Self::next). With [`General::or_single`] this decides for HSMS-GS.
    ///
    /// # Errors
    /// [`Error::SessionRefused`]; [`Error::NotSelected`] when the limit is over; [`Error::Refused`] where there is no such session
    /// entity, or the peer chose HSMS-SS; [`Error::Disabled`]; [`Error::System`].
    pub fn select_session(&mut self, session: SessionId, limit: Duration) -> Result<(), Error> {
        self.until_selected(session, limit, true)
    }

    /// Waits until the session is selected, by the peer or because it is [wanted](hsms_core::connection::SessionEntity::wanted), at
    /// most for `limit`; asks for nothing. A [`Notice::SelectAsked`](hsms_core::connection::Notice::SelectAsked) that comes
    /// meanwhile waits to be taken from [`next`](Self::next): wait with that where entities ask.
    ///
    /// # Errors
    /// As [`select_session`](Self::select_session).
    pub fn wait_for_session(&mut self, session: SessionId, limit: Duration) -> Result<(), Error> {
        self.until_selected(session, limit, false)
    }

    fn until_selected(&mut self, session: SessionId, limit: Duration, ask: bool) -> Result<(), Error> {
        let until = self.driver.tick().saturating_add(up_to(limit));
        self.driver.forget_failures();
        self.driver.await_session(session, true);
        let result = loop {
            let outcome = self.driver.poll_session();
            // The peer may refuse and then select it itself.
            if self.is_selected(session) {
                break Ok(());
            }
            if let Some(Err(refused)) = outcome {
                break Err(refused);
            }
            if self.is_over() {
                break Err(Error::Disabled);
            }
            if ask
                && self.state() != State::NotConnected
                && let Err(error) = self.driver.select_session(session)
                && !matches!(error, Error::Refused(hsms_core::Error::ControlOpen { .. }))
            {
                break Err(error);
            }
            match self.turn(until) {
                Ok(happened) if happened && self.driver.now() < until => {}
                Ok(_) => {
                    // What came last has been read and not looked at.
                    let outcome = self.driver.poll_session();
                    if self.is_selected(session) {
                        break Ok(());
                    }
                    if let Some(Err(refused)) = outcome {
                        break Err(refused);
                    }
                    let (closed, source) = self.driver.failures();
                    break Err(Error::NotSelected { limit, state: self.state(), closed, source });
                }
                Err(error) => break Err(error),
            }
        };
        self.driver.give_up();
        self.driver.write_answers();
        result
    }

    /// Sends Deselect.req for this session and waits until it has ended (E37.2 7.4), for which T6 is the limit.
    ///
    /// # Errors
    /// [`Error::SessionRefused`], the session goes on; [`Error::Refused`] where it is not selected; [`Error::Closed`];
    /// [`Error::System`].
    pub fn deselect_session(&mut self, session: SessionId) -> Result<(), Error> {
        self.driver.await_session(session, false);
        if let Err(error) = self.driver.deselect_session(session) {
            self.driver.give_up();
            return Err(error);
        }
        loop {
            if let Some(outcome) = self.driver.poll_session() {
                self.driver.give_up();
                self.driver.write_answers();
                return outcome;
            }
            self.turn_for_call()?;
        }
    }

    /// Sends Separate.req for this session, which ends at once (E37.2 7.6). Leaves as [`post`](Self::post) says.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is not selected.
    pub fn separate_session(&mut self, session: SessionId) -> Result<(), Error> {
        self.driver.separate_session(session)
    }

    /// Answers the Select.req that [`Notice::SelectAsked`](hsms_core::connection::Notice::SelectAsked) told of: status 0 selects the
    /// session. Leaves as [`post`](Self::post) says.
    ///
    /// # Errors
    /// [`Error::Refused`] where none waits for an answer.
    pub fn answer_select(&mut self, session: SessionId, status: SelectStatus) -> Result<(), Error> {
        self.driver.answer_select(session, status)
    }

    /// Sets what a Select.req for this session is answered with from now on.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is no such session entity.
    pub fn set_admission(&mut self, session: SessionId, admission: Admission) -> Result<(), Error> {
        Ok(self.driver.machine_mut().set_admission(session, admission)?)
    }

    /// Sets whether a Deselect.req for this session is answered with status 2, for the present connection.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is no such session entity.
    pub fn set_busy(&mut self, session: SessionId, busy: bool) -> Result<(), Error> {
        Ok(self.driver.machine_mut().set_busy(session, busy)?)
    }

    /// [`request`](Self::request) in one of several sessions.
    ///
    /// # Errors
    /// As [`request`](Self::request); [`Error::Refused`] where the session is not selected.
    pub fn request_in(
        &mut self,
        session: SessionId,
        stream_function: StreamFunction,
        body: &[u8],
    ) -> Result<Message<'_>, Error> {
        self.exchange(session, stream_function, body, None)?;
        Ok(self.current())
    }

    /// [`post`](Self::post) in one of several sessions.
    ///
    /// # Errors
    /// As [`post`](Self::post); [`Error::Refused`] where the session is not selected.
    pub fn post_in(
        &mut self,
        session: SessionId,
        stream_function: StreamFunction,
        body: &[u8],
    ) -> Result<SystemBytes, Error> {
        self.driver.post(session, stream_function, body)
    }

    /// [`send`](Self::send) in one of several sessions.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`Error::Refused`] where the session is not selected.
    pub fn send_in(
        &mut self,
        session: SessionId,
        stream_function: StreamFunction,
        body: &[u8],
    ) -> Result<SystemBytes, Error> {
        self.driver.send(session, stream_function, body)
    }
}
