//! The session entities of subjects that speak HSMS-GS, and steps about them.

use super::Role;
use super::bench::{Bench, Command, Frame, Report};
use super::steps::{DATA, S1F1, TESTER, linktest};
use super::verdict::Outcome;
use hsms_core::connection::{Admission, Class, General, SessionEntity, SessionRefusal, SessionsError};
use hsms_core::wire::{Header, RejectReason, SType, SelectStatus, SessionId, SystemBytes};

/// A session entity that connections share, beside [`DATA`], which is one too.
pub const SHARED: SessionId = SessionId(0x0005);

/// The same with bit 15 in its id, and nothing else that [`DATA`] has not.
pub const HIGH: SessionId = SessionId(0x8001);

/// The same with the greatest id that there can be.
pub const TOP: SessionId = SessionId(0xFFFE);

/// A session entity that one connection at a time can have.
pub const EXCLUSIVE: SessionId = SessionId(0x0007);

/// A session entity whose Select.req the application answers.
pub const ASKED: SessionId = SessionId(0x0009);

/// A session entity of the peer's, which the subject does not offer.
pub const THEIRS: SessionId = SessionId(0x0010);

/// The id of no session entity.
pub const NOBODY: SessionId = SessionId(0x0002);

/// The most session entities that a subject of ours can have.
pub const LONGEST_LIST: usize = 8;

/// What a subject of HSMS-GS offers and selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entities {
    /// The list.
    pub list: Vec<SessionEntity>,
    /// Where the first Select.req carries 0xFFFF, the connection is run as HSMS-SS.
    pub or_single: bool,
}

impl Entities {
    /// The list that tests begin with: [`DATA`], which a subject that dials selects by itself, [`SHARED`], [`HIGH`], [`TOP`],
    /// [`EXCLUSIVE`], [`ASKED`] and [`THEIRS`].
    #[must_use]
    pub fn of(role: Role) -> Self {
        let ask = |session| SessionEntity::offered(session).with_admission(Admission::Ask);
        let list = vec![
            SessionEntity { wanted: role.is_active(), ..SessionEntity::offered(DATA) },
            SessionEntity::offered(SHARED),
            SessionEntity::offered(HIGH),
            SessionEntity::offered(TOP),
            ask(EXCLUSIVE),
            ask(ASKED),
            SessionEntity { wanted: false, ..SessionEntity::wanted(THEIRS) },
        ];
        Entities { list, or_single: false }
    }

    /// The list as a connection of ours takes it.
    ///
    /// # Errors
    /// Where there cannot be such a list.
    pub fn sessions(&self) -> Result<General<LONGEST_LIST>, SessionsError> {
        let sessions = General::new(&self.list)?;
        Ok(if self.or_single { sessions.or_single() } else { sessions })
    }

    /// The same for a peer that may also speak HSMS-SS.
    #[must_use]
    pub fn or_single(self) -> Self {
        Entities { or_single: true, ..self }
    }
}

/// Steps about sessions of HSMS-GS.
impl dyn Bench + '_ {
    /// A fresh subject that is connected, has no session, and asks for none: the one that an active subject asked for was refused.
    ///
    /// # Errors
    /// As `begin` and `not_selected`.
    pub fn begin_without_session(&mut self) -> Outcome {
        let select = self.begin_not_selected()?;
        self.refuse_wanted(select)
    }

    /// Refuses the Select.req of an active subject, which `not_selected` gave. From here on the subject takes commands about sessions.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail).
    pub fn refuse_wanted(&mut self, select: SystemBytes) -> Outcome {
        if !self.about().is_active() {
            // Only now is it certain that the subject knows of the connection.
            return self.stays_connected();
        }
        let status = SelectStatus::CONNECTION_NOT_READY;
        self.send(Header::select_rsp(select).with_session(DATA).with_status(status.0))?;
        self.told(&[Report::SessionRefused(DATA, SessionRefusal::Select(status))])
    }

    /// `begin_without_session`, and the tester selects these sessions.
    ///
    /// # Errors
    /// Theirs.
    pub fn begin_sessions(&mut self, sessions: &[SessionId]) -> Outcome {
        self.begin_without_session()?;
        sessions.iter().try_for_each(|session| self.select_session(*session))
    }

    /// The tester selects this session.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail) where that is refused.
    pub fn select_session(&mut self, session: SessionId) -> Outcome {
        self.send(Header::select_req(TESTER).with_session(session))?;
        self.expect(Header::select_rsp(TESTER).with_session(session))?;
        self.told(&[Report::SessionSelected(session)])
    }

    /// The tester asks to select this session and is refused with this status. The application is told nothing.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail).
    pub fn is_refused(&mut self, session: SessionId, status: SelectStatus) -> Outcome {
        self.send(Header::select_req(TESTER).with_session(session))?;
        self.expect(Header::select_rsp(TESTER).with_session(session).with_status(status.0))?;
        self.told(&[])
    }

    /// The subject's application asks to select this session. Gives the system bytes of its Select.req.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail) where something else comes; [`Stop::Undecided`](super::Stop::Undecided).
    pub fn asks_select(&mut self, session: SessionId) -> Outcome<SystemBytes> {
        self.asks(Command::SelectSession(session), Header::select_req(TESTER).with_session(session))
    }

    /// The subject's application asks to deselect this session. Gives the system bytes of its Deselect.req.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail) where something else comes; [`Stop::Undecided`](super::Stop::Undecided).
    pub fn asks_deselect(&mut self, session: SessionId) -> Outcome<SystemBytes> {
        self.asks(Command::DeselectSession(session), Header::deselect_req(TESTER).with_session(session))
    }

    /// The application does `command`, and what comes is `request` with system bytes of the subject's, which it gives.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail) where something else comes; [`Stop::Undecided`](super::Stop::Undecided).
    pub fn asks(&mut self, command: Command, request: Header) -> Outcome<SystemBytes> {
        self.does(command)?;
        let frame = self.frame()?;
        let system = frame.header.system;
        self.is(&frame, &Frame::new(Header { system, ..request }, &[]))?;
        Ok(system)
    }

    /// This session is not selected: its data is answered with Reject.req, reason 4, and nothing else has come.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail).
    pub fn lacks_session(&mut self, session: SessionId) -> Outcome {
        let reason = RejectReason::ENTITY_NOT_SELECTED;
        self.rejects(Header::data(TESTER, S1F1, true, session), SType::DATA.0, reason)
    }

    /// A message without text is answered with Reject.req, which names the same session, and the application is told of it.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail).
    pub fn rejects(&mut self, offender: Header, octet: u8, reason: RejectReason) -> Outcome {
        self.send(offender)?;
        self.expect(Header::reject_req(offender.system, octet, reason).with_session(offender.session))?;
        self.told(&[Report::Other(offender, Class::Rejected(reason))])
    }

    /// The connection is there: a linktest is answered, and nothing else has come.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail).
    pub fn stays_connected(&mut self) -> Outcome {
        self.send(linktest())?;
        self.expect(Header::linktest_rsp(linktest().system))
    }

    /// As `begin`, for a subject with other session entities.
    ///
    /// # Errors
    /// [`Stop::Undecided`](super::Stop::Undecided) where it cannot be given them.
    pub fn begin_entities(&mut self, entities: &Entities) -> Outcome {
        self.finish()?;
        let config = self.about().own;
        self.start_with(config, entities)
    }

    /// The application has the subject do `command`, and nothing is sent, whether that is refused or passed over.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail); [`Stop::Undecided`](super::Stop::Undecided).
    pub fn sends_nothing(&mut self, command: Command) -> Outcome {
        self.command(&command)?;
        self.stays_connected()
    }

    /// The application has the subject do `command`, and is refused; nothing is sent.
    ///
    /// # Errors
    /// [`Stop::Fail`](super::Stop::Fail); [`Stop::Undecided`](super::Stop::Undecided).
    pub fn will_not(&mut self, command: Command) -> Outcome {
        self.refuses(command)?;
        self.stays_connected()
    }
}
