//! What only links of HSMS-GS (E37.2) have: sessions, selected one by one.

use crate::clock;
use crate::error::Error;
use crate::link::Link;
use crate::state::State;
use crate::state::calls::{Awaits, Topic};
use core::future::poll_fn;
use core::task::Poll;
use embassy_sync::blocking_mutex::raw::RawMutex;
use hsms_core::Error as Refusal;
use hsms_core::connection::{Admission, General};
use hsms_core::time::Instant;
use hsms_core::wire::{SelectStatus, SessionId};

impl<M: RawMutex, const TRANSACTIONS: usize, const CALLS: usize, const N: usize>
    Link<'_, M, TRANSACTIONS, CALLS, General<N>>
{
    /// Whether the session is selected.
    #[must_use]
    pub fn is_selected(&self, session: SessionId) -> bool {
        self.with(|state| state.machine.is_selected(session))
    }

    /// Sends Select.req for this session (E37.2 7.2) and waits until it is selected.
    ///
    /// Cancel-safe: dropped at an await, the Select.req has been sent or not, and [`is_selected`](Self::is_selected) tells
    /// what came of it.
    ///
    /// # Errors
    /// [`Error::SessionRefused`]; [`Error::Closed`]; [`Error::Refused`], see
    /// [`Connection::select_session`](hsms_core::Connection::select_session); [`Error::TooManyCalls`].
    pub async fn select_session(&self, session: SessionId) -> Result<(), Error> {
        self.session(session, true, |state, now| state.machine.select_session(now, session).map(drop)).await
    }

    /// Sends Deselect.req for this session (E37.2 7.4) and waits until it has ended.
    ///
    /// Cancel-safe as [`select_session`](Self::select_session) is.
    ///
    /// # Errors
    /// [`Error::SessionRefused`]; [`Error::Closed`]; [`Error::Refused`], see
    /// [`Connection::deselect_session`](hsms_core::Connection::deselect_session); [`Error::TooManyCalls`].
    pub async fn deselect_session(&self, session: SessionId) -> Result<(), Error> {
        self.session(session, false, |state, now| state.machine.deselect_session(now, session).map(drop)).await
    }

    /// Sends Separate.req for this session, which ends at once (E37.2 7.6).
    ///
    /// Cancel-safe: dropped at an await, nothing was sent.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`Connection::separate_session`](hsms_core::Connection::separate_session);
    /// [`Error::TooManyCalls`].
    pub async fn separate_session(&self, session: SessionId) -> Result<(), Error> {
        self.command(|state, now| state.machine.separate_session(now, session)).await
    }

    /// Answers the Select.req that [`Notice::SelectAsked`](hsms_core::connection::Notice::SelectAsked) told of: status 0 selects the
    /// session.
    ///
    /// Cancel-safe: dropped at an await, nothing was sent.
    ///
    /// # Errors
    /// [`Error::Refused`], see [`Connection::answer_select`](hsms_core::Connection::answer_select); [`Error::TooManyCalls`].
    pub async fn answer_select(&self, session: SessionId, status: SelectStatus) -> Result<(), Error> {
        self.command(|state, now| state.machine.answer_select(now, session, status)).await
    }

    /// Sets what a Select.req for this session is answered with from now on.
    ///
    /// # Errors
    /// [`Error::Refused`] where the list has no such session.
    pub fn set_admission(&self, session: SessionId, admission: Admission) -> Result<(), Error> {
        Ok(self.with(|state| state.machine.set_admission(session, admission))?)
    }

    /// Gives a command when the machine takes one.
    async fn command(
        &self,
        mut command: impl FnMut(&mut State<'_, TRANSACTIONS, CALLS, General<N>>, Instant) -> Result<(), Refusal>,
    ) -> Result<(), Error> {
        let place = self.place()?;
        poll_fn(|cx| {
            self.with(|state| {
                let now = clock::now();
                match command(state, now) {
                    Err(Refusal::ActionsPending | Refusal::BodyOpen) => {
                        // It is asked again whenever something has been written.
                        state.calls.wait(place.index, Topic::Room, cx.waker());
                        Poll::Pending
                    }
                    result => {
                        state.settle(now);
                        Poll::Ready(result.map_err(Error::Refused))
                    }
                }
            })
        })
        .await
    }

    async fn session(
        &self,
        session: SessionId,
        selects: bool,
        mut command: impl FnMut(&mut State<'_, TRANSACTIONS, CALLS, General<N>>, Instant) -> Result<(), Refusal>,
    ) -> Result<(), Error> {
        let place = self.place()?;
        poll_fn(|cx| {
            self.with(|state| {
                match state.calls.awaits(place.index) {
                    Awaits::Nothing => {
                        let now = clock::now();
                        if let Err(refusal) = command(state, now) {
                            return Poll::Ready(Err(Error::Refused(refusal)));
                        }
                        state.calls.set(place.index, Awaits::Session { session, selects });
                        state.settle(now);
                    }
                    Awaits::SessionDone => return Poll::Ready(Ok(())),
                    Awaits::SessionRefused(refusal) => return Poll::Ready(Err(Error::SessionRefused(refusal))),
                    Awaits::Ended(_) => return Poll::Ready(Err(state.closed_error())),
                    _ => {}
                }
                state.calls.wait(place.index, Topic::Outcome, cx.waker());
                Poll::Pending
            })
        })
        .await
    }
}
