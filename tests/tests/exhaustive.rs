//! Exhaustion: every length field, and every message that can matter in every state, against a table written from the rules alone.
//!
//! `HSMS_SCALE=ci cargo test --release -p hsms-tests --test exhaustive -- --nocapture` prints how many cases were compared.

#[path = "exhaustive/compare.rs"]
mod compare;
#[path = "exhaustive/general.rs"]
mod general;
#[path = "exhaustive/lengths.rs"]
mod lengths;
#[path = "exhaustive/products.rs"]
mod products;
#[path = "exhaustive/states.rs"]
mod states;
#[path = "exhaustive/table.rs"]
mod table;

use compare::{ROOM, compare, keeps_invariants, on_all_cores};
use hsms_core::Error;
use hsms_core::connection::CloseReason;
use hsms_core::time::Instant as Moment;
use hsms_tests::scale;
use std::time::Instant;

/// The quick scale takes one case in so many, a prime, so that each run through a field's values begins elsewhere.
const SPARSE: u64 = 101;

#[test]
fn every_message_in_every_state_does_what_the_table_says() {
    let began = Instant::now();
    let all = states::all();
    assert_eq!(all.len(), 56);
    let step = if scale() == 1 { SPARSE } else { 1 };
    const PRODUCTS: usize = 4;
    let mut counts = [0; PRODUCTS];
    for (number, count) in counts.iter_mut().enumerate() {
        *count = on_all_cores(all.len(), |state| {
            let product = &products::all(&all[state].situation)[number];
            let mut room = [0; ROOM];
            product.each(state as u64 % step, step, |message| compare(&all[state], message, &mut room))
        });
    }
    for (product, count) in products::all(&all[0].situation).iter().zip(counts) {
        println!("messages: {count} of product {:?} in {} states", product.name, all.len());
    }
    let sum: u64 = counts.iter().sum();
    println!("messages: {sum} compared with the table, {:.1} s", began.elapsed().as_secs_f64());
    assert!(sum * step >= 250_000_000, "the products have shrunk: {sum}");
}

/// Of the messages that are drawn one in so many is held against the invariants of the kit too, which takes longer than to compare.
const WATCHED: u64 = 8;

/// What shows that the products may be taken apart as they are: messages drawn from the product of everything.
#[test]
fn any_message_in_any_state_does_what_the_table_says() {
    let began = Instant::now();
    let all = states::all();
    let shares = all.len() * 8;
    let each = 5_000 * u64::from(scale());
    let cases = on_all_cores(shares, |share| {
        let prepared = &all[share % all.len()];
        let product = products::whole(&prepared.situation);
        let (mut random, mut room) = (fastrand::Rng::with_seed(share as u64), [0; ROOM]);
        for drawn in 0..each {
            let message = product.draw(&mut random);
            compare(prepared, &message, &mut room);
            if drawn % WATCHED == 0 {
                keeps_invariants(&prepared.machine, prepared.situation.now, message.write(&mut room));
            }
        }
        each
    });
    println!("messages: {cases} drawn from everything, {:.1} s", began.elapsed().as_secs_f64());
}

#[test]
fn a_length_field_below_10_ends_every_connection() {
    for prepared in states::all() {
        for length in 0..10 {
            let mut machine = prepared.machine.clone();
            let octets = [0, 0, 0, length, 0xFF, 0xFF, 0, 0, 0, 5, 0, 0, 0, 1];
            let (_, inbound) = machine.receive(Moment::from_millis(prepared.situation.now), &octets).unwrap();
            assert_eq!(inbound, None);
            let mut reasons = Vec::new();
            while let Some(action) = machine.poll_action() {
                match action {
                    hsms_core::connection::Action::CloseTransport(reason) => reasons.push(reason),
                    hsms_core::connection::Action::Send(frame) => panic!("{length}: {frame:?}"),
                    _ => {}
                }
            }
            assert_eq!(reasons, [CloseReason::LengthTooShort { length: length.into() }], "{}", prepared.situation.name);
        }
    }
}

#[test]
fn octets_without_a_connection_or_while_paused_are_refused_and_change_nothing() {
    let mut cases = 0_u64;
    let mut refuses = |name: &str, before: &states::Machine, error: Error| {
        let mut machine = before.clone();
        for ptype in 0..=255 {
            for stype in 0..=255 {
                let octets = [0, 0, 0, 10, 0xFF, 0xFF, 0, 0, ptype, stype, 0, 0, 0, 1];
                let refused = machine.receive(Moment::from_millis(4_000), &octets);
                assert_eq!(refused, Err(error), "{name}");
                cases += 1;
            }
        }
        assert!(machine == *before, "{name} changed");
    };
    for (name, machine) in states::not_connected() {
        refuses(name, &machine, Error::NotConnected);
    }
    refuses("paused", &states::paused(), Error::InputPaused);
    println!("messages: {cases} refused without a connection");
}
