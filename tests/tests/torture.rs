//! A dialogue that has every message in it, cut, split and timed out wherever that can be; and the blocking adapter's driver with
//! every call of its transport failing once, and the whole adapter with every call of the system failing.
//!
//! `cargo test -p hsms-tests --test torture -- --nocapture` prints how many runs that were.

mod torture {
    mod adapter;
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    mod system;
}

use hsms_core::config::{ConnectMode, Entity};
use hsms_core::wire::{PType, RejectReason, SType};
use hsms_tests::model::Subject;
use hsms_tests::torture::{Dialogue, Kind, Runs, general, single};
use std::collections::BTreeMap;

const ROLES: [(ConnectMode, Entity); 4] = [
    (ConnectMode::Active, Entity::Host),
    (ConnectMode::Passive, Entity::Equipment),
    (ConnectMode::Active, Entity::Equipment),
    (ConnectMode::Passive, Entity::Host),
];

/// Does it to every dialogue, and tells of the runs.
fn every(what: &str, mut torture: impl FnMut(&dyn Tortured) -> Result<Runs, String>) {
    let mut all = Runs::default();
    for (mode, entity) in ROLES {
        let (single, general) = (single(mode, entity), general(mode, entity));
        for dialogue in [&single as &dyn Tortured, &general] {
            let runs = torture(dialogue).unwrap_or_else(|why| panic!("{why}"));
            println!("{what}: {}: {} runs of {}", dialogue.name(), runs.made, runs.due);
            assert_eq!(runs.made, runs.due);
            all.made += runs.made;
        }
    }
    println!("{what}: {} runs in all", all.made);
    assert!(all.made > 1_000);
}

trait Tortured {
    fn name(&self) -> &str;
    fn cut(&self) -> Result<Runs, String>;
    fn split(&self) -> Result<Runs, String>;
    fn expire(&self) -> Result<BTreeMap<Kind, Runs>, String>;
    fn time_out(&self) -> Result<Runs, String>;
    fn has_everything(&self);
}

impl<M: Subject> Tortured for Dialogue<M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn cut(&self) -> Result<Runs, String> {
        self.cut_everywhere()
    }

    fn split(&self) -> Result<Runs, String> {
        self.split_everywhere()
    }

    fn expire(&self) -> Result<BTreeMap<Kind, Runs>, String> {
        self.expire_everywhere()
    }

    fn time_out(&self) -> Result<Runs, String> {
        self.time_out_in_order()
    }

    fn has_everything(&self) {
        let has = |what: &str, wanted: &dyn Fn(bool, &hsms_core::wire::Header) -> bool| {
            assert!(self.messages.iter().any(|(sent, header)| wanted(*sent, header)), "{}: no {what}", self.name);
        };
        println!("{}: {} messages, {:?} octets received and sent", self.name, self.messages.len(), self.octets());
        assert!(self.messages.len() >= 40, "{}: {}", self.name, self.messages.len());
        for direction in [false, true] {
            let data = |header: &hsms_core::wire::Header| header.stype == SType::DATA && header.ptype == PType::SECS_II;
            has("primary with W", &|sent, header| {
                sent == direction && data(header) && header.reply_expected() && header.stream_function().is_primary()
            });
            has("primary without W", &|sent, header| {
                sent == direction && data(header) && !header.reply_expected() && header.stream_function().is_primary()
            });
            has("reply", &|sent, header| {
                sent == direction && data(header) && header.function() != 0 && header.function() % 2 == 0
            });
            has("abort", &|sent, header| sent == direction && data(header) && header.function() == 0);
            for stype in [SType::LINKTEST_REQ, SType::LINKTEST_RSP, SType::SEPARATE_REQ] {
                has("control", &|sent, header| sent == direction && header.stype == stype);
            }
            for reason in 1..=4 {
                has("reject", &|sent, header| {
                    sent == direction
                        && header.stype == SType::REJECT_REQ
                        && RejectReason(header.byte3) == RejectReason(reason)
                });
            }
        }
        for stype in [SType::SELECT_REQ, SType::SELECT_RSP, SType::DESELECT_REQ, SType::DESELECT_RSP] {
            has("session control", &|_, header| header.stype == stype);
        }
        has("stream 9", &|_, header| header.stype == SType::DATA && header.stream() == 9);
    }
}

#[test]
fn the_dialogues_have_every_message_in_them() {
    for (mode, entity) in ROLES {
        single(mode, entity).has_everything();
        general(mode, entity).has_everything();
    }
}

#[test]
fn a_connection_that_is_cut_behind_any_octet_comes_back() {
    every("cut behind every octet", |dialogue| dialogue.cut());
}

#[test]
fn a_write_that_is_split_anywhere_is_the_same() {
    every("split at every offset", |dialogue| dialogue.split());
}

/// Of how many timers of each kind all dialogues together have to tell.
const LEAST: [(Kind, usize); 6] =
    [(Kind::T3, 600), (Kind::T5, 30), (Kind::T6, 90), (Kind::T7, 90), (Kind::T8, 50), (Kind::Linktest, 600)];

#[test]
fn every_timer_that_is_armed_may_expire_at_any_step() {
    let mut of_kind: BTreeMap<Kind, usize> = BTreeMap::new();
    every("every armed timer at every step", |dialogue| {
        let mut all = Runs::default();
        for (kind, runs) in dialogue.expire()? {
            assert_eq!(runs.made, runs.due, "{}: {kind:?}", dialogue.name());
            // T7 does not run beside our Select.req.
            assert!(runs.made > 0 || kind == Kind::T7, "{}: {kind:?} never ran", dialogue.name());
            *of_kind.entry(kind).or_default() += runs.made;
            (all.made, all.due) = (all.made + runs.made, all.due + runs.due);
        }
        Ok(all)
    });
    println!("every armed timer at every step: {of_kind:?}");
    for (kind, least) in LEAST {
        assert!(of_kind[&kind] >= least, "{kind:?} expired {} times, not {least}", of_kind[&kind]);
    }
}

#[test]
fn timers_may_expire_one_after_another_from_any_step() {
    every("timers in order from every step", |dialogue| dialogue.time_out());
}
