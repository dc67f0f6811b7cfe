//! Machines of all kinds behind one face: HSMS-SS and HSMS-GS, with room for few transactions or for many.

use hsms_core::Error as Refusal;
use hsms_core::config::Config;
#[cfg(feature = "services")]
use hsms_core::connection::Stream9;
use hsms_core::connection::{
    Action, Admission, Connection, Event, General, Inbound, Mode, ReplyToken, Sessions, Single, State,
};
use hsms_core::time::Instant;
#[cfg(feature = "services")]
use hsms_core::wire::Header;
use hsms_core::wire::{PREFIX_LEN, SelectStatus, SessionId, StreamFunction, SystemBytes};
use std::fmt::Debug;

/// Transactions that there is room for: a machine begins with the least, which is all that an idle connection costs, and moves to
/// the next while more are open.
const ROOMS: [usize; 3] = [2, 64, MOST_TRANSACTIONS];

/// What a machine has room for while little is open.
pub(super) const LEAST_ROOM: usize = ROOMS[0];

/// Primaries of one peer that can wait for their reply at the same time, whatever the settings.
pub(super) const MOST_TRANSACTIONS: usize = 4_096;

/// What a link needs of a machine; see the methods of [`Connection`] with the same names.
pub(super) trait Machine: Debug + Send {
    fn state(&self) -> State;
    fn next_deadline(&self) -> Option<Instant>;
    fn sole_session(&self) -> Option<SessionId>;
    fn open_transactions(&self) -> usize;
    fn selected_sessions(&self) -> Vec<SessionId>;
    fn handle(&mut self, now: Instant, event: Event) -> Result<(), Refusal>;
    fn receive<'i>(&mut self, now: Instant, input: &'i [u8]) -> Result<(usize, Option<Inbound<'i>>), Refusal>;
    fn enable(&mut self, now: Instant) -> Result<(), Refusal>;
    fn disable(&mut self, now: Instant) -> Result<(), Refusal>;
    fn separate(&mut self, now: Instant) -> Result<(), Refusal>;
    fn linktest(&mut self, now: Instant) -> Result<SystemBytes, Refusal>;
    fn begin_primary(
        &mut self,
        now: Instant,
        session: SessionId,
        stream_function: StreamFunction,
        reply_expected: bool,
        body_len: u32,
    ) -> Result<(SystemBytes, [u8; PREFIX_LEN]), Refusal>;
    fn begin_reply(&mut self, now: Instant, token: &ReplyToken, body_len: u32) -> Result<[u8; PREFIX_LEN], Refusal>;
    fn begin_abort(&mut self, now: Instant, token: &ReplyToken) -> Result<[u8; PREFIX_LEN], Refusal>;
    fn end_body(&mut self, now: Instant) -> Result<(), Refusal>;
    fn written(&mut self, now: Instant, octets: u64) -> Result<(), Refusal>;
    fn forget(&mut self, system: SystemBytes) -> Result<(), Refusal>;
    #[cfg(feature = "services")]
    fn report_error(&mut self, now: Instant, error: Stream9, about: &Header) -> Result<(), Refusal>;
    fn pause_input(&mut self, now: Instant) -> Result<(), Refusal>;
    fn resume_input(&mut self, now: Instant) -> Result<(), Refusal>;
    /// About one of several sessions. Where there is only one, no session is known by an id.
    fn session(&mut self, now: Instant, session: SessionId, command: SessionCommand) -> Result<(), Refusal>;
    fn poll_action(&mut self) -> Option<Action>;
    /// How many transactions there is room for.
    fn room(&self) -> usize;
    /// The same machine with room for so many at least; `None` where there is no such room.
    fn with_room(&self, transactions: usize) -> Option<Box<dyn Machine>>;
}

/// What can be asked of one of several sessions.
#[derive(Debug, Clone, Copy)]
pub(super) enum SessionCommand {
    Select,
    Deselect,
    Separate,
    Answer(SelectStatus),
    Admission(Admission),
    Busy(bool),
}

/// What differs between HSMS-SS and HSMS-GS.
trait Kind: Sessions + Send + 'static {
    fn selected<const T: usize>(machine: &Connection<T, Self>) -> Vec<SessionId>
    where
        Self: Sized;
    fn command<const T: usize>(
        machine: &mut Connection<T, Self>,
        now: Instant,
        session: SessionId,
        command: SessionCommand,
    ) -> Result<(), Refusal>
    where
        Self: Sized;
}

impl Kind for Single {
    fn selected<const T: usize>(_: &Connection<T>) -> Vec<SessionId> {
        Vec::new()
    }

    fn command<const T: usize>(
        _: &mut Connection<T>,
        _: Instant,
        session: SessionId,
        _: SessionCommand,
    ) -> Result<(), Refusal> {
        Err(Refusal::UnknownSession { session })
    }
}

impl<const N: usize> Kind for General<N> {
    fn selected<const T: usize>(machine: &Connection<T, Self>) -> Vec<SessionId> {
        machine.selected_sessions().collect()
    }

    fn command<const T: usize>(
        machine: &mut Connection<T, Self>,
        now: Instant,
        session: SessionId,
        command: SessionCommand,
    ) -> Result<(), Refusal> {
        match command {
            SessionCommand::Select => machine.select_session(now, session).map(|_| ()),
            SessionCommand::Deselect => machine.deselect_session(now, session).map(|_| ()),
            SessionCommand::Separate => machine.separate_session(now, session),
            SessionCommand::Answer(status) => machine.answer_select(now, session, status),
            SessionCommand::Admission(admission) => machine.set_admission(session, admission),
            SessionCommand::Busy(busy) => machine.set_busy(session, busy),
        }
    }
}

impl<const T: usize, S: Kind> Machine for Connection<T, S> {
    fn state(&self) -> State {
        self.state()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline()
    }

    fn sole_session(&self) -> Option<SessionId> {
        self.sole_session()
    }

    fn open_transactions(&self) -> usize {
        self.open_transactions()
    }

    fn selected_sessions(&self) -> Vec<SessionId> {
        S::selected(self)
    }

    fn handle(&mut self, now: Instant, event: Event) -> Result<(), Refusal> {
        self.handle(now, event)
    }

    fn receive<'i>(&mut self, now: Instant, input: &'i [u8]) -> Result<(usize, Option<Inbound<'i>>), Refusal> {
        self.receive(now, input)
    }

    fn enable(&mut self, now: Instant) -> Result<(), Refusal> {
        self.enable(now)
    }

    fn disable(&mut self, now: Instant) -> Result<(), Refusal> {
        self.disable(now)
    }

    fn separate(&mut self, now: Instant) -> Result<(), Refusal> {
        self.separate(now)
    }

    fn linktest(&mut self, now: Instant) -> Result<SystemBytes, Refusal> {
        self.linktest(now)
    }

    fn begin_primary(
        &mut self,
        now: Instant,
        session: SessionId,
        stream_function: StreamFunction,
        reply_expected: bool,
        body_len: u32,
    ) -> Result<(SystemBytes, [u8; PREFIX_LEN]), Refusal> {
        self.begin_primary_in(now, session, stream_function, reply_expected, body_len)
    }

    fn begin_reply(&mut self, now: Instant, token: &ReplyToken, body_len: u32) -> Result<[u8; PREFIX_LEN], Refusal> {
        self.begin_reply(now, token, body_len)
    }

    fn begin_abort(&mut self, now: Instant, token: &ReplyToken) -> Result<[u8; PREFIX_LEN], Refusal> {
        self.begin_abort(now, token)
    }

    fn end_body(&mut self, now: Instant) -> Result<(), Refusal> {
        self.end_body(now)
    }

    fn written(&mut self, now: Instant, octets: u64) -> Result<(), Refusal> {
        self.written(now, octets)
    }

    fn forget(&mut self, system: SystemBytes) -> Result<(), Refusal> {
        self.forget(system)
    }

    #[cfg(feature = "services")]
    fn report_error(&mut self, now: Instant, error: Stream9, about: &Header) -> Result<(), Refusal> {
        self.report_error(now, error, about)
    }

    fn pause_input(&mut self, now: Instant) -> Result<(), Refusal> {
        self.pause_input(now)
    }

    fn resume_input(&mut self, now: Instant) -> Result<(), Refusal> {
        self.resume_input(now)
    }

    fn session(&mut self, now: Instant, session: SessionId, command: SessionCommand) -> Result<(), Refusal> {
        S::command(self, now, session, command)
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.poll_action()
    }

    fn room(&self) -> usize {
        T
    }

    fn with_room(&self, transactions: usize) -> Option<Box<dyn Machine>> {
        let [few, some, many] = ROOMS;
        if transactions <= few {
            Some(Box::new(self.resized::<{ ROOMS[0] }>()?))
        } else if transactions <= some {
            Some(Box::new(self.resized::<{ ROOMS[1] }>()?))
        } else if transactions <= many {
            Some(Box::new(self.resized::<{ ROOMS[2] }>()?))
        } else {
            None
        }
    }
}

/// Makes the machines of a peer of HSMS-GS, however many sessions it has.
pub(super) trait Maker: Debug + Send + Sync {
    fn machine(&self, config: Config) -> Box<dyn Machine>;
    fn refusing(&self, config: Config) -> Box<dyn Machine>;
    /// The sessions that a peer can select here.
    fn offered(&self) -> Vec<SessionId>;
}

impl<const N: usize> Maker for General<N> {
    fn machine(&self, config: Config) -> Box<dyn Machine> {
        Box::new(Connection::<{ ROOMS[0] }, Self>::general(config, self.clone()))
    }

    fn refusing(&self, config: Config) -> Box<dyn Machine> {
        let none = General::<0>::default();
        let first_mode = Connection::<0, Self>::general(config, self.clone()).first_mode();
        let none = if first_mode == Mode::Undecided { none.or_single() } else { none };
        Box::new(Connection::<0, _>::general_refusing(config, none))
    }

    fn offered(&self) -> Vec<SessionId> {
        self.entities().filter(|entity| entity.offered).map(|entity| entity.session).collect()
    }
}

/// The machine of a peer of HSMS-SS.
pub(super) fn single(config: Config) -> Box<dyn Machine> {
    Box::new(Connection::<{ ROOMS[0] }>::new(config))
}

/// The machine for a caller of HSMS-SS that is told that the place is taken.
pub(super) fn refusing(config: Config) -> Box<dyn Machine> {
    Box::new(Connection::<0>::refusing(config))
}

/// The machine for a caller of whom it is not known whose it is. What it asks carries these system bytes and those behind them.
pub(super) fn unknown(config: Config, first: SystemBytes) -> Box<dyn Machine> {
    let mut machine = Connection::<{ ROOMS[0] }>::new(config);
    machine.set_next_system_bytes(first);
    // Never refused at the start; what it asks for, a transport, is there.
    let _ = machine.enable(Instant::EPOCH);
    let _ = machine.poll_action();
    Box::new(machine)
}
