//! Real machines in every state in which octets can come, brought there through their public methods, and what is known of each.

use crate::table::{DEVICE, LINKTEST, MAX, Open, SKIP, Situation, T3, T5, T6, T7, T8};
use hsms_core::config::{Config, ConnectMode, DeviceId, DeviceIds, Entity, Profile, SelectMode};
use hsms_core::connection::{Action, Connection, Event, State};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, PREFIX_LEN, StreamFunction, SystemBytes};
use std::time::Duration;

/// Room for one transaction more than any state has open.
pub type Machine = Connection<4>;

pub const OPENED: u64 = 1_000;
/// When the message comes whose fate is compared.
pub const NOW: u64 = 4_000;
/// System bytes of the first request, far from what a message carries by chance.
pub const FIRST: u32 = 0x00C0_FFEE;

/// A machine in a state.
pub struct Prepared {
    pub machine: Machine,
    pub situation: Situation,
}

pub fn millis(instant: Instant) -> u64 {
    instant.as_millis()
}

pub fn config(active: bool, equipment: bool, strict: bool, select: SelectMode) -> Config {
    let span = Duration::from_millis;
    let mode = if active { ConnectMode::Active } else { ConnectMode::Passive };
    let entity = if equipment { Entity::Equipment } else { Entity::Host };
    let profile = if strict { Profile::Strict } else { Profile::Lenient };
    let built = Config::new(mode, entity, DeviceIds::one(DeviceId::try_from(DEVICE).unwrap()))
        .with_select_mode(select)
        .with_max_message(MAX)
        .and_then(|config| config.with_skip_limit(SKIP))
        .and_then(|config| config.with_t3(span(T3)))
        .and_then(|config| config.with_t5(span(T5)))
        .and_then(|config| config.with_t6(span(T6)))
        .and_then(|config| config.with_t7(span(T7)))
        .and_then(|config| config.with_t8(span(T8)))
        .and_then(|config| config.with_linktest_period(span(LINKTEST)));
    built.unwrap().with_profile(profile).unwrap()
}

/// Carries out what the machine wants; the transport takes every octet at once.
fn drain(machine: &mut Machine, now: u64) {
    while let Some(action) = machine.poll_action() {
        if let Action::Send(frame) = action {
            machine.written(Instant::from_millis(now), frame.len() as u64).unwrap();
        }
    }
}

impl Prepared {
    fn new(name: &'static str, (active, equipment, strict): (bool, bool, bool), select: SelectMode) -> Self {
        let machine = Machine::new(config(active, equipment, strict, select));
        let situation = Situation {
            name,
            active,
            equipment,
            strict,
            refusing: false,
            selected: false,
            select: None,
            linktest: None,
            open: Vec::new(),
            ended: Vec::new(),
            writing: false,
            t7: None,
            next: FIRST,
            now: NOW,
        };
        Prepared { machine, situation }
    }

    fn at(&mut self, now: u64, input: impl FnOnce(&mut Machine, Instant) -> Result<(), hsms_core::Error>) {
        input(&mut self.machine, Instant::from_millis(now)).unwrap();
        drain(&mut self.machine, now);
    }

    /// NOT SELECTED; the active side has sent its Select.req where it does so by itself.
    fn connected(name: &'static str, who: (bool, bool, bool), select: SelectMode) -> Self {
        let mut it = Prepared::new(name, who, select);
        it.machine.set_next_system_bytes(SystemBytes(FIRST));
        it.at(0, Machine::enable);
        it.at(OPENED, |machine, now| machine.handle(now, Event::TransportOpen));
        if it.situation.active && select == SelectMode::OnConnect {
            let system = it.takes_next();
            it.situation.select = Some((system, OPENED + T6));
        } else {
            it.situation.t7 = Some(OPENED + T7);
        }
        it
    }

    /// A message of ours gets the next system bytes.
    fn takes_next(&mut self) -> u32 {
        let system = self.situation.next;
        self.situation.next = system + 1;
        assert_eq!(self.machine.next_system_bytes(), SystemBytes(self.situation.next), "{}", self.situation.name);
        system
    }

    fn receives(&mut self, now: u64, header: Header) {
        let frame = header.encode_alone();
        self.at(now, |machine, now| machine.receive(now, &frame).map(|(taken, _)| assert_eq!(taken, PREFIX_LEN)));
    }

    fn selected(name: &'static str, who: (bool, bool, bool)) -> Self {
        let mut it = Prepared::connected(name, who, SelectMode::OnConnect);
        match it.situation.select.take() {
            Some((system, _)) => {
                it.receives(2_000, Header::select_rsp(SystemBytes(system)));
                it.situation.ended.push(system);
            }
            None => it.receives(2_000, Header::select_req(SystemBytes(7))),
        }
        it.situation.t7 = None;
        it.situation.selected = true;
        it
    }

    fn linktest(mut self, now: u64) -> Self {
        self.at(now, |machine, now| machine.linktest(now).map(drop));
        let system = self.takes_next();
        self.situation.linktest = Some((system, now + T6));
        self
    }

    fn primary(mut self, now: u64, stream: u8, function: u8) -> Self {
        self.at(now, |machine, now| {
            let device = DeviceId::try_from(DEVICE).unwrap();
            machine.begin_primary(now, device, StreamFunction::new(stream, function), true, 0)?;
            machine.end_body(now)?;
            machine.written(now, PREFIX_LEN as u64)
        });
        let system = self.takes_next();
        self.situation.open.push(Open { session: DEVICE, stream, function, system, due: now + T3 });
        self
    }

    /// Gives up the oldest transaction.
    fn forget(mut self) -> Self {
        let open = self.situation.open.remove(0);
        self.machine.forget(SystemBytes(open.system)).unwrap();
        self.situation.ended.push(open.system);
        self
    }

    /// Begins a text and does not end it.
    fn writing(mut self, now: u64) -> Self {
        self.at(now, |machine, now| {
            let device = DeviceId::try_from(DEVICE).unwrap();
            machine.begin_primary(now, device, StreamFunction::new(6, 11), false, 2)?;
            machine.written(now, PREFIX_LEN as u64)
        });
        let system = self.takes_next();
        self.situation.ended.push(system);
        self.situation.writing = true;
        self
    }
}

/// Every state in which octets can come, for one role, entity and profile.
fn of((active, equipment, strict): (bool, bool, bool)) -> Vec<Prepared> {
    let who = (active, equipment, strict);
    let mut all = vec![Prepared::connected("NOT SELECTED", who, SelectMode::OnConnect)];
    if active {
        all.push(Prepared::connected("NOT SELECTED, no Select.req sent", who, SelectMode::OnCommand));
        let mut commanded = Prepared::connected("NOT SELECTED, Select.req by command", who, SelectMode::OnCommand);
        commanded.at(2_000, |machine, now| machine.select(now).map(drop));
        let system = commanded.takes_next();
        commanded.situation.select = Some((system, 2_000 + T6));
        commanded.situation.t7 = None;
        all.push(commanded);
    }
    if active && !strict {
        let mut crossed = Prepared::connected("SELECTED by the peer, Select.req open", who, SelectMode::OnConnect);
        crossed.receives(2_000, Header::select_req(SystemBytes(7)));
        crossed.situation.selected = true;
        all.push(crossed.primary(2_500, 1, 13));
    }
    if !active {
        let mut refusing = Prepared::new("refusing", who, SelectMode::OnConnect);
        refusing.machine = Machine::refusing(*refusing.machine.config());
        refusing.machine.set_next_system_bytes(SystemBytes(FIRST));
        refusing.at(OPENED, |machine, now| machine.handle(now, Event::TransportOpen));
        refusing.situation.refusing = true;
        refusing.situation.t7 = Some(OPENED + T7);
        all.push(refusing);
    }
    if !active && !strict {
        let mut again = Prepared::selected("NOT SELECTED after Deselect.req", who).primary(2_100, 1, 3);
        again.receives(2_500, Header::deselect_req(SystemBytes(8)));
        again.situation.ended.extend(again.situation.open.drain(..).map(|open| open.system));
        again.situation.selected = false;
        again.situation.t7 = Some(2_500 + T7);
        all.push(again);
    }
    all.push(Prepared::selected("SELECTED", who));
    all.push(Prepared::selected("SELECTED, linktest open", who).linktest(2_100));
    let busy = |name| {
        let it = Prepared::selected(name, who).primary(2_100, 7, 1).primary(2_200, 1, 1).forget();
        // The same stream and function twice, and the greatest of both.
        it.primary(2_300, 1, 1).primary(2_400, 127, 255).linktest(2_500)
    };
    all.push(busy("SELECTED, transactions and linktest open"));
    all.push(busy("SELECTED, transactions and linktest open, a text being written").writing(3_000));
    all
}

/// Every state, role, entity and profile.
pub fn all() -> Vec<Prepared> {
    let mut all = Vec::new();
    for number in 0..8 {
        all.extend(of((number & 1 == 1, number & 2 == 2, number & 4 == 4)));
    }
    for Prepared { machine, situation } in &all {
        let state = if situation.selected { State::Selected } else { State::NotSelected };
        assert_eq!(machine.state(), state, "{}", situation.name);
        assert_eq!(machine.open_transactions(), situation.open.len(), "{}", situation.name);
    }
    all
}

/// Every state without a connection, where no octet can come.
pub fn not_connected() -> Vec<(&'static str, Machine)> {
    let mut all = Vec::new();
    for number in 0..8 {
        let who @ (active, ..) = (number & 1 == 1, number & 2 == 2, number & 4 == 4);
        let disabled = Prepared::new("disabled", who, SelectMode::OnConnect);
        all.push(("disabled", disabled.machine.clone()));
        let mut opening = disabled;
        opening.at(0, Machine::enable);
        all.push(("opening", opening.machine.clone()));
        opening.at(OPENED, |machine, now| machine.handle(now, Event::TransportFailed));
        all.push((if active { "waiting for T5" } else { "opening again" }, opening.machine.clone()));
        let mut closed = Prepared::selected("closed", who);
        closed.at(3_000, Machine::disable);
        all.push(("disabled while SELECTED", closed.machine));
        if !active {
            let mut refused = Prepared::new("refused", who, SelectMode::OnConnect);
            refused.machine = Machine::refusing(*refused.machine.config());
            all.push(("refusing, opening", refused.machine.clone()));
            refused.at(OPENED, |machine, now| machine.handle(now, Event::TransportOpen));
            refused.at(2_000, |machine, now| machine.handle(now, Event::TransportClosed));
            all.push(("refusing, closed", refused.machine));
        }
    }
    all
}

/// A connection whose input is paused.
pub fn paused() -> Machine {
    let mut it = Prepared::selected("paused", (false, true, false));
    it.at(3_000, Machine::pause_input);
    it.machine
}
