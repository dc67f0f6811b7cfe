//! The same for HSMS-GS: every state of a list of session entities, against a table of its own.

#[path = "general/states.rs"]
mod states;
#[path = "general/table.rs"]
mod table;

use crate::compare::{ROOM, keeps_invariants, observe, on_all_cores, same};
use crate::products::{self, Product, every, few, texts};
use crate::table::Message;
use crate::{SPARSE, WATCHED, table as single_table};
use heapless::Vec as Fixed;
use hsms_core::Error;
use hsms_core::connection::Action;
use hsms_core::time::Instant as Moment;
use hsms_core::wire::{Header, SelectStatus, SessionId, SystemBytes};
use hsms_tests::scale;
use states::{ASKING, BOTH, Prepared, SHARED, SHUT, THEIRS};
use std::time::Instant;
use table::{GeneralExpected, GeneralSituation, expected};

/// One message in so many: a prime. All of them are more than those of HSMS-SS, in five times as many states.
fn step() -> u64 {
    match scale() {
        1 => SPARSE,
        100 => 1,
        _ => 13,
    }
}

/// All that this end knows, what it will use next, and what it has never heard of.
fn systems(s: &GeneralSituation) -> Vec<u32> {
    let requests = s.entities.iter().filter_map(|entity| entity.request).map(|request| request.system);
    let asked = s.entities.iter().filter_map(|entity| entity.asked);
    products::systems(&s.common).into_iter().chain(asked).chain(requests).collect()
}

/// In the list, not in the list by one bit, and the one that stands for none.
const SESSIONS: [u16; 9] = [SHARED, ASKING, SHUT, THEIRS, BOTH, 0xFFFF, 2, 0x8000, 0x7FFE];

/// The products are those of HSMS-SS with what matters here. Octet 2 matters in data and Reject.req alone.
fn all_products(s: &GeneralSituation) -> [Product; 5] {
    let systems = systems(s);
    let known = systems.last().copied().unwrap_or(0);
    let product = |name| Product {
        name,
        session: SESSIONS.to_vec(),
        byte2: vec![0x81],
        byte3: vec![0],
        ptype: vec![0],
        stype: (0..=10).collect(),
        system: systems.clone(),
        text: vec![(0, 0)],
    };
    [
        Product {
            session: vec![SHARED, 0xFFFF],
            byte3: vec![2],
            ptype: every(),
            stype: every(),
            system: vec![known],
            text: vec![(0, 0), (1, 1)],
            ..product("types")
        },
        Product {
            session: vec![SHARED],
            byte2: every(),
            byte3: every(),
            stype: vec![0, 7],
            system: few(&systems),
            ..product("octets")
        },
        Product { session: vec![SHARED, THEIRS, 0xFFFF], byte2: vec![0, 0x81], byte3: every(), ..product("statuses") },
        Product {
            session: (0..=0xFFFF).collect(),
            byte3: vec![1],
            stype: vec![0, 1, 3, 9],
            system: vec![known],
            ..product("sessions")
        },
        Product {
            byte2: vec![0, 1, 3, 5, 9, 0x7F, 0x89],
            byte3: vec![0, 1, 2, 3, 14],
            ptype: vec![0, 1],
            stype: (0..=10).collect(),
            text: texts(),
            ..product("fields")
        },
    ]
}

fn whole(s: &GeneralSituation) -> Product {
    let (session, system, text) = (SESSIONS.to_vec(), systems(s), texts());
    Product { name: "whole", session, byte2: every(), byte3: every(), ptype: every(), stype: every(), system, text }
}

/// Hands the message to a copy of the machine; panics where what is seen differs from the table.
fn compare(prepared: &Prepared, message: &Message, room: &mut [u8; ROOM]) {
    let Prepared { machine, situation } = prepared;
    let mut machine = machine.clone();
    let wanted = expected(situation, message);
    let common = observe(&mut machine, situation.common.now, message.write(room), situation.common.writing);
    let mut entities = Fixed::new();
    for (entity, (_, asked, _)) in situation.entities.iter().zip(&wanted.entities) {
        let session = SessionId(entity.id);
        let open = entity.request.map(|request| request.system).filter(|open| machine.is_open(SystemBytes(*open)));
        let asks = entity.asked.is_some() || asked.is_some();
        let asked = asks.then(|| answers(&mut machine, situation.common.now, session)).flatten();
        entities.push((machine.is_selected(session), asked, open)).expect("room");
    }
    let linktest = situation.common.linktest.is_some_and(|(system, _)| machine.is_open(SystemBytes(system)));
    let seen = GeneralExpected { common, entities, linktest, single: machine.is_single() };
    let ordered = GeneralExpected { common: wanted.common, ..seen.clone() };
    if !(same(&seen.common, &wanted.common) && ordered == wanted) {
        different(prepared, message, &seen, &wanted);
    }
}

/// Which Select.req the application can still answer for this session.
fn answers(machine: &mut states::Machine, now: u64, session: SessionId) -> Option<u32> {
    let status = SelectStatus(2);
    match machine.answer_select(Moment::from_millis(now), session, status) {
        Err(Error::NotAsked { .. }) => None,
        refused => {
            refused.expect("room for an answer");
            let Some(Action::Send(frame)) = machine.poll_action() else { panic!("no answer") };
            let header: [u8; 10] = frame.encode()[4..14].try_into().expect("a header");
            let system = Header::decode(&header).system;
            let answer = Header::select_rsp(system).with_session(session).with_status(2);
            assert_eq!(Header::decode(&header), answer);
            Some(system.0)
        }
    }
}

#[cold]
fn different(prepared: &Prepared, message: &Message, seen: &GeneralExpected, wanted: &GeneralExpected) -> ! {
    panic!("{:#?}\nreceives {message:x?}\nseen:   {seen:x?}\nwanted: {wanted:x?}", prepared.situation);
}

#[test]
fn every_message_in_every_state_of_hsms_gs_does_what_its_table_says() {
    let began = Instant::now();
    let all = states::all();
    let step = step();
    let mut counts = [0; 5];
    for (number, count) in counts.iter_mut().enumerate() {
        *count = on_all_cores(all.len(), |state| {
            let product = &all_products(&all[state].situation)[number];
            let mut room = [0; ROOM];
            product.each(state as u64 % step, step, |message| compare(&all[state], message, &mut room))
        });
    }
    for (product, count) in all_products(&all[0].situation).iter().zip(counts) {
        println!("HSMS-GS: {count} messages of product {:?} in {} states", product.name, all.len());
    }
    let sum: u64 = counts.iter().sum();
    println!("HSMS-GS: {sum} messages compared with its table, {:.1} s", began.elapsed().as_secs_f64());
    assert!(sum * step >= 300_000_000, "the products have shrunk: {sum}");
}

#[test]
fn any_message_in_any_state_of_hsms_gs_does_what_its_table_says() {
    let all = states::all();
    let shares = all.len() * 8;
    let each = 1_000 * u64::from(scale());
    let cases = on_all_cores(shares, |share| {
        let prepared = &all[share % all.len()];
        let product = whole(&prepared.situation);
        let (mut random, mut room) = (fastrand::Rng::with_seed(share as u64), [0; ROOM]);
        for drawn in 0..each {
            let message = product.draw(&mut random);
            compare(prepared, &message, &mut room);
            if drawn % WATCHED == 0 {
                keeps_invariants(&prepared.machine, prepared.situation.common.now, message.write(&mut room));
            }
        }
        each
    });
    println!("HSMS-GS: {cases} messages drawn from everything");
    assert_eq!((all.len(), cases), (248, 248 * 8 * each));
}

/// A list that may also be one session: what the peer made HSMS-SS follows the table of HSMS-SS.
#[test]
fn every_message_to_a_list_that_became_one_session_does_what_the_table_of_hsms_ss_says() {
    let all = states::single();
    let step = step();
    let cases = on_all_cores(all.len(), |state| {
        let (machine, situation) = &all[state];
        let mut room = [0; ROOM];
        let mut check = |message: &Message| {
            let mut copy = machine.clone();
            let seen = observe(&mut copy, situation.now, message.write(&mut room), situation.writing);
            let wanted = single_table::expected(situation, message);
            assert!(same(&seen, &wanted), "{situation:#?}\nreceives {message:x?}\n{seen:x?}\n{wanted:x?}");
            assert_eq!(copy.is_single(), seen.close.is_none(), "{}", situation.name);
        };
        products::all(situation).iter().map(|product| product.each(state as u64 % step, step, &mut check)).sum()
    });
    println!("HSMS-GS: {cases} messages to lists that became HSMS-SS, in {} states", all.len());
    assert!(all.len() == 26 && cases * step >= 120_000_000, "the products have shrunk: {cases}");
}
