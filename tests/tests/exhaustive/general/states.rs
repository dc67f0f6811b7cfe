//! Real machines of HSMS-GS in every state in which octets can come, brought there through their public methods, and what is known of each.

use super::table::{Door, ENTITIES, Entities, Entity, GeneralSituation, Request};
use crate::states::{FIRST, NOW, OPENED, config};
use crate::table::{Open, Situation, T3, T6, T7};
use hsms_core::Error;
use hsms_core::config::SelectMode;
use hsms_core::connection::{Action, Admission, Connection, Event, General, SessionEntity, State};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, PREFIX_LEN, SelectStatus, SessionId, StreamFunction, SystemBytes};

pub type Machine = Connection<4, General<ENTITIES>>;

/// Two that differ by bit 15 alone, which is part of a session id here; the greatest that there can be, the least, and two more. `SHARED`
/// is also the device id of the settings, which plays no part.
pub const SHARED: u16 = 0x0001;
pub const ASKING: u16 = 0x8001;
pub const SHUT: u16 = 0xFFFE;
pub const THEIRS: u16 = 0x0000;
pub const BOTH: u16 = 0x7FFF;

pub struct Prepared {
    pub machine: Machine,
    pub situation: GeneralSituation,
}

#[derive(Clone, Copy)]
pub struct Who {
    pub active: bool,
    pub equipment: bool,
    pub strict: bool,
}

fn entities(ids: &[u16]) -> Vec<SessionEntity> {
    let entity = |id: &u16| {
        let session = SessionId(*id);
        match *id {
            ASKING => SessionEntity::offered(session).with_admission(Admission::Ask),
            SHUT => SessionEntity::offered(session).with_admission(Admission::Refuse(SelectStatus(5))),
            THEIRS => SessionEntity::wanted(session),
            BOTH => SessionEntity { wanted: true, ..SessionEntity::offered(session) },
            _ => SessionEntity::offered(session),
        }
    };
    ids.iter().map(entity).collect()
}

fn known(entity: &SessionEntity) -> Entity {
    let door = match entity.admission {
        Admission::Always => Door::Open,
        Admission::Ask => Door::Ask,
        Admission::Refuse(status) => Door::Shut(status.0),
    };
    let (id, offered) = (entity.session.0, entity.offered);
    Entity { id, offered, door, selected: false, busy: false, asked: None, request: None }
}

const ALL: &[u16] = &[SHARED, ASKING, SHUT, THEIRS, BOTH];

/// A connection as it is made.
#[derive(Clone, Copy)]
struct Setup {
    ids: &'static [u16],
    /// The wanted ones are selected by the application rather than at once.
    on_command: bool,
    or_single: bool,
    refusing: bool,
}

const COMMANDED: Setup = Setup { ids: ALL, on_command: true, or_single: false, refusing: false };
const AT_ONCE: Setup = Setup { on_command: false, ..COMMANDED };
const OR_SINGLE: Setup = Setup { ids: &[SHARED, ASKING], or_single: true, ..COMMANDED };

impl Prepared {
    fn new(name: &'static str, who: Who, setup: Setup) -> Self {
        let mode = if setup.on_command { SelectMode::OnCommand } else { SelectMode::OnConnect };
        let config = config(who.active, who.equipment, who.strict, mode);
        let list = entities(setup.ids);
        let sessions = General::new(&list).expect("a list");
        let sessions = if setup.or_single { sessions.or_single() } else { sessions };
        let machine = match setup.refusing {
            true => Machine::general_refusing(config, sessions),
            false => Machine::general(config, sessions),
        };
        let common = Situation {
            name,
            active: who.active,
            equipment: who.equipment,
            strict: who.strict,
            refusing: setup.refusing,
            selected: false,
            select: None,
            linktest: None,
            open: Vec::new(),
            ended: Vec::new(),
            writing: false,
            t7: Some(OPENED + T7),
            next: FIRST,
            now: NOW,
        };
        let entities: Entities = list.iter().map(known).collect();
        let mut it = Prepared { machine, situation: GeneralSituation { common, entities, undecided: setup.or_single } };
        it.machine.set_next_system_bytes(SystemBytes(FIRST));
        if !setup.refusing {
            it.at(0, Machine::enable);
        }
        it.at(OPENED, |machine, now| machine.handle(now, Event::TransportOpen));
        if !setup.on_command {
            for id in list.iter().filter(|entity| entity.wanted).map(|entity| entity.session.0) {
                it = it.requested(id, true, Some(OPENED + T6));
            }
        }
        it
    }

    fn at<T>(&mut self, now: u64, input: impl FnOnce(&mut Machine, Instant) -> Result<T, Error>) -> T {
        let given = input(&mut self.machine, Instant::from_millis(now)).expect(self.situation.common.name);
        self.drain(now);
        given
    }

    /// Carries out what the machine wants; the transport takes every octet at once.
    fn drain(&mut self, now: u64) {
        while let Some(action) = self.machine.poll_action() {
            if let Action::Send(frame) = action {
                self.machine.written(Instant::from_millis(now), frame.len() as u64).expect("what was sent");
            }
        }
    }

    /// A message of ours gets the next system bytes.
    fn takes_next(&mut self) -> u32 {
        let common = &mut self.situation.common;
        let system = common.next;
        common.next = system + 1;
        system
    }

    fn entity(&mut self, id: u16) -> &mut Entity {
        self.situation.entities.iter_mut().find(|entity| entity.id == id).expect("in the list")
    }

    fn receives(&mut self, now: u64, header: Header) {
        let frame = header.encode_alone();
        self.at(now, |machine, now| machine.receive(now, &frame).map(|(taken, _)| assert_eq!(taken, PREFIX_LEN)));
    }

    fn requested(mut self, id: u16, select: bool, due: Option<u64>) -> Self {
        let system = self.takes_next();
        self.entity(id).request = Some(Request { select, system, due, moot: false });
        self.situation.undecided = false;
        self
    }

    fn begins(mut self, id: u16) -> Self {
        self.entity(id).selected = true;
        self.situation.common.selected = true;
        self.situation.common.t7 = None;
        self.situation.undecided = false;
        self
    }

    fn ended(mut self, now: u64, id: u16) -> Self {
        let entity = self.entity(id);
        (entity.selected, entity.busy) = (false, false);
        let common = &mut self.situation.common;
        let gone = common.open.iter().filter(|open| open.session == id).map(|open| open.system);
        common.ended.extend(gone.collect::<Vec<_>>());
        common.open.retain(|open| open.session != id);
        if !self.situation.entities.iter().any(|entity| entity.selected) {
            self.situation.common.selected = false;
            self.situation.common.t7 = Some(now + T7);
        }
        self
    }

    /// We ask for it; the peer has not answered.
    fn select(mut self, now: u64, id: u16) -> Self {
        self.at(now, |machine, now| machine.select_session(now, SessionId(id)).map(drop));
        self.requested(id, true, Some(now + T6))
    }

    fn deselect(mut self, now: u64, id: u16) -> Self {
        self.at(now, |machine, now| machine.deselect_session(now, SessionId(id)).map(drop));
        self.requested(id, false, Some(now + T6))
    }

    fn moot(mut self, id: u16) -> Self {
        let request = self.entity(id).request.as_mut().expect("a request");
        request.moot = true;
        self
    }

    fn answer(mut self, now: u64, id: u16, header: fn(SystemBytes) -> Header, status: u8) -> Self {
        let request = self.entity(id).request.take().expect("a request");
        self.receives(now, header(SystemBytes(request.system)).with_session(SessionId(id)).with_status(status));
        self.situation.common.ended.push(request.system);
        self
    }

    /// Selected by us.
    fn ours(self, now: u64, id: u16) -> Self {
        self.select(now, id).answer(now + 1, id, Header::select_rsp, 0).begins(id)
    }

    /// Selected by the peer.
    fn peers(mut self, now: u64, id: u16) -> Self {
        self.receives(now, Header::select_req(SystemBytes(7)).with_session(SessionId(id)));
        self.begins(id)
    }

    /// The peer has asked, and the application not answered.
    fn asked(mut self, now: u64) -> Self {
        self.receives(now, Header::select_req(SystemBytes(70)).with_session(SessionId(ASKING)));
        self.entity(ASKING).asked = Some(70);
        self.situation.undecided = false;
        self
    }

    /// The application has said yes.
    fn admitted(mut self, now: u64) -> Self {
        self = self.asked(now);
        self.at(now + 1, |machine, now| machine.answer_select(now, SessionId(ASKING), SelectStatus(0)));
        self.entity(ASKING).asked = None;
        self.begins(ASKING)
    }

    fn busy(mut self, id: u16) -> Self {
        self.machine.set_busy(SessionId(id), true).expect("in the list");
        self.entity(id).busy = true;
        self
    }

    fn door(mut self, id: u16, door: Door) -> Self {
        let admission = match door {
            Door::Open => Admission::Always,
            Door::Ask => Admission::Ask,
            Door::Shut(status) => Admission::Refuse(SelectStatus(status)),
        };
        self.machine.set_admission(SessionId(id), admission).expect("in the list");
        self.entity(id).door = door;
        self
    }

    fn separated_by_the_peer(mut self, now: u64, id: u16) -> Self {
        self.receives(now, Header::separate_req(SystemBytes(8)).with_session(SessionId(id)));
        self.ended(now, id)
    }

    fn separate(mut self, now: u64, id: u16) -> Self {
        self.at(now, |machine, now| machine.separate_session(now, SessionId(id)));
        let system = self.takes_next();
        self.situation.common.ended.push(system);
        self.ended(now, id)
    }

    fn linktest(mut self, now: u64) -> Self {
        self.at(now, |machine, now| machine.linktest(now).map(drop));
        let system = self.takes_next();
        self.situation.common.linktest = Some((system, now + T6));
        self
    }

    fn primary(mut self, now: u64, session: u16, stream: u8, function: u8) -> Self {
        self.at(now, |machine, now| {
            let stream_function = StreamFunction::new(stream, function);
            machine.begin_primary_in(now, SessionId(session), stream_function, true, 0)?;
            machine.end_body(now)?;
            machine.written(now, PREFIX_LEN as u64)
        });
        let system = self.takes_next();
        self.situation.common.open.push(Open { session, stream, function, system, due: now + T3 });
        self
    }

    /// Begins a text and does not end it.
    fn writing(mut self, now: u64, session: u16) -> Self {
        self.at(now, |machine, now| {
            machine.begin_primary_in(now, SessionId(session), StreamFunction::new(6, 11), false, 2)?;
            machine.written(now, PREFIX_LEN as u64)
        });
        let system = self.takes_next();
        self.situation.common.ended.push(system);
        self.situation.common.writing = true;
        self
    }

    /// Asks while a text is being written, so that the request waits for its end.
    fn select_behind_the_text(mut self, now: u64, id: u16) -> Self {
        self.at(now, |machine, now| machine.select_session(now, SessionId(id)).map(drop));
        self.requested(id, true, None)
    }

    fn deselect_behind_the_text(mut self, now: u64, id: u16) -> Self {
        self.at(now, |machine, now| machine.deselect_session(now, SessionId(id)).map(drop));
        self.requested(id, false, None)
    }
}

/// Every state in which octets can come, for one role, entity and profile.
fn of(who: Who) -> Vec<Prepared> {
    let commanded = |name| Prepared::new(name, who, COMMANDED);
    let wanting = |name| Prepared::new(name, who, AT_ONCE);
    let or_single = |name| Prepared::new(name, who, OR_SINGLE);
    let several = |name| commanded(name).peers(2_000, SHARED).admitted(2_010).ours(2_020, THEIRS);
    let mut all = vec![
        Prepared::new("an empty list", who, Setup { ids: &[], ..COMMANDED }),
        commanded("none selected"),
        wanting("none selected, two asked for by us"),
        wanting("none selected, one of two refused us").answer(2_000, THEIRS, Header::select_rsp, 5),
        commanded("none selected, the application asked").asked(2_000),
        commanded("none selected, the application asked and we ask too").asked(2_000).select(2_010, ASKING),
        commanded("none selected, every door shut").door(SHARED, Door::Shut(2)).door(ASKING, Door::Shut(0)),
        commanded("none selected, linktest open").linktest(2_000),
        commanded("none selected any more, by the peer's Separate.req")
            .peers(2_000, SHARED)
            .primary(2_100, SHARED, 1, 1)
            .separated_by_the_peer(2_200, SHARED),
        commanded("none selected any more, by our Separate.req, linktest open")
            .ours(2_000, SHARED)
            .linktest(2_050)
            .primary(2_100, SHARED, 1, 1)
            .separate(2_200, SHARED),
        {
            let mut it = commanded("none selected any more, our Deselect.req crossed").peers(2_000, SHARED);
            it = it.deselect(2_100, SHARED);
            it.receives(2_200, Header::deselect_req(SystemBytes(9)).with_session(SessionId(SHARED)));
            it.ended(2_200, SHARED).moot(SHARED)
        },
        commanded("none selected any more, our Select.req still open")
            .select(2_000, SHARED)
            .peers(2_100, SHARED)
            .moot(SHARED)
            .separated_by_the_peer(2_200, SHARED),
        commanded("one selected by the peer").peers(2_000, SHARED),
        wanting("one selected by us, the other refused")
            .answer(2_000, BOTH, Header::select_rsp, 4)
            .answer(2_010, THEIRS, Header::select_rsp, 0)
            .begins(THEIRS),
        commanded("one selected, our Select.req for it still open")
            .select(2_000, SHARED)
            .peers(2_100, SHARED)
            .moot(SHARED),
        commanded("one selected, our Deselect.req for it open")
            .peers(2_000, SHARED)
            .busy(SHARED)
            .deselect(2_100, SHARED),
        commanded("one selected, the other asked").ours(2_000, SHARED).asked(2_100),
        Prepared::new("the only one of the list selected", who, Setup { ids: &[SHUT], ..COMMANDED }).ours(2_000, SHUT),
        several("several selected"),
        several("several selected, linktest open").linktest(2_100),
        several("several selected, one busy and one to be deselected")
            .busy(ASKING)
            .busy(SHARED)
            .deselect(2_100, SHARED),
        several("several selected, transactions, requests and a linktest open")
            .primary(2_100, SHARED, 1, 1)
            .primary(2_200, ASKING, 1, 1)
            .primary(2_300, THEIRS, 127, 255)
            .linktest(2_400)
            .select(2_500, BOTH)
            .deselect(2_600, ASKING),
        several("several selected, a text being written")
            .primary(2_100, SHARED, 1, 1)
            .primary(2_200, ASKING, 1, 1)
            .writing(2_300, THEIRS),
        several("several selected, a Select.req waits for the end of a text")
            .writing(2_100, SHARED)
            .select_behind_the_text(2_200, BOTH),
        several("several selected, a Deselect.req waits for the end of a text")
            .busy(SHARED)
            .writing(2_100, ASKING)
            .deselect_behind_the_text(2_200, SHARED),
        or_single("not decided"),
        or_single("not decided, linktest open").linktest(2_000),
        or_single("decided by the peer's Select.req").peers(2_000, SHARED),
        or_single("decided by ours").select(2_000, SHARED),
        or_single("decided, and the application asked").asked(2_000),
    ];
    if !who.active {
        let refusing = Setup { ids: &[], refusing: true, ..COMMANDED };
        all.push(Prepared::new("refusing", who, refusing));
        all.push(Prepared::new("refusing, not decided", who, Setup { or_single: true, ..refusing }));
    }
    all
}

fn every_who() -> impl Iterator<Item = Who> {
    (0..8).map(|number| Who { active: number & 1 == 1, equipment: number & 2 == 2, strict: number & 4 == 4 })
}

/// Every state, role, entity and profile.
pub fn all() -> Vec<Prepared> {
    let all: Vec<_> = every_who().flat_map(of).collect();
    for Prepared { machine, situation } in &all {
        let (common, name) = (&situation.common, situation.common.name);
        let state = if common.selected { State::Selected } else { State::NotSelected };
        assert_eq!(machine.state(), state, "{name}");
        assert_eq!(machine.open_transactions(), common.open.len(), "{name}");
        assert_eq!(machine.next_system_bytes(), SystemBytes(common.next), "{name}");
        for entity in &situation.entities {
            assert_eq!(machine.is_selected(SessionId(entity.id)), entity.selected, "{name}");
            let open = entity.request.is_none_or(|request| machine.is_open(SystemBytes(request.system)));
            assert!(open, "{name}");
        }
    }
    all
}

/// Connections that the peer made HSMS-SS with its first Select.req: the table of HSMS-SS holds.
pub fn single() -> Vec<(Machine, Situation)> {
    let mut all = Vec::new();
    for who in every_who().filter(|who| !(who.active && who.strict)) {
        let begun = |name| {
            let mut it = Prepared::new(name, who, OR_SINGLE);
            it.receives(2_000, Header::select_req(SystemBytes(7)));
            it.situation.common.selected = true;
            it.situation.common.t7 = None;
            it
        };
        let mut single = vec![begun("SELECTED"), begun("SELECTED, linktest open").linktest(2_100)];
        let busy = |name| begun(name).primary(2_100, SHARED, 7, 1).primary(2_200, SHARED, 1, 1);
        single.push(busy("SELECTED, transactions and linktest open").linktest(2_300));
        single.push(busy("SELECTED, transactions open, a text being written").writing(2_300, SHARED));
        if !who.active && !who.strict {
            let mut again = begun("NOT SELECTED after Deselect.req").primary(2_100, SHARED, 1, 3);
            again.receives(2_500, Header::deselect_req(SystemBytes(8)));
            let common = &mut again.situation.common;
            common.ended.extend(common.open.drain(..).map(|open| open.system));
            (common.selected, common.t7) = (false, Some(2_500 + T7));
            single.push(again);
        }
        all.extend(single.into_iter().map(|it| (it.machine, it.situation.common)));
    }
    assert!(all.iter().all(|(machine, _)| machine.is_single()));
    all
}
