//! Two endpoints in histories drawn at random: links that come and go, messages that are late or lost, deadlines, impostors.

use super::kit::*;
use hsms_core::config::ConnectMode::{self, Active, Passive};
use hsms_core::connection::State::{NotConnected, NotSelected, Selected};
use hsms_core::connection::TransactionEnd;
use hsms_core::secs2::messages::Identity;
use hsms_core::services::{
    BeforeTrust, CommunicationSettings, EndpointSettings, Secret, SendError, ServiceId, Status, Ticket, TrustSettings,
};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What is registered with a server must not be called by a client that knows another secret.
fn returns(_: &[u8]) -> Option<(Status, Vec<u8>)> {
    Some((Status::OKAY, vec![0xa5, 1, 9]))
}

fn end(mode: ConnectMode, knows: Option<bool>) -> End {
    let identity = if mode == Active { Identity::Host } else { Identity::Equipment { mdln: "M", softrev: "1" } };
    let mut machine = Machine::new(EndpointSettings {
        communication: Some(CommunicationSettings { begins: mode == Active, ..CommunicationSettings::new(identity) }),
        ..settings(mode)
    })
    .unwrap();
    if let Some(knows) = knows {
        let secret = if knows { secret() } else { Secret::new(b"another secret!!").unwrap() };
        machine = machine.with_secret(secret, TrustSettings::default(), challenge, BeforeTrust::new());
    }
    machine.services_mut().add_service(10, 11, "read", "response").unwrap();
    machine.handle_service(None, None, returns).unwrap();
    machine.handle_function(None, None, returns).unwrap();
    End::new(machine)
}

struct World {
    ends: [End; 2],
    /// On their way to the other end: primaries, and replies.
    primaries: [VecDeque<Sent>; 2],
    replies: [VecDeque<Sent>; 2],
    /// Deadlines of what has no outcome yet.
    open: [HashMap<Ticket, u64>; 2],
    now: u64,
    met: BTreeMap<String, u32>,
    reachable: bool,
}

impl World {
    /// Takes what the ends have sent and told.
    fn collect(&mut self) {
        for of in 0..2 {
            let end = &mut self.ends[of];
            let connected = end.machine.is_selected();
            for sent in end.sent.drain(..) {
                assert!(connected, "it sends over nothing");
                self.primaries[of].push_back(sent);
            }
            for (ticket, outcome) in end.settled.drain(..) {
                self.open[of].remove(&ticket).expect("one outcome of each, and none of others");
                let kind = match outcome {
                    Ok(_) => "Ok".to_owned(),
                    Err(SendError::Status(status)) => format!("Status({})", status.0),
                    Err(error) => format!("{error:?}").split(['(', ' ']).next().unwrap().to_owned(),
                };
                *self.met.entry(kind).or_default() += 1;
            }
            assert!(self.open[of].values().all(|deadline| *deadline > self.now), "one is over and has no outcome");
            if !self.reachable {
                assert_eq!((end.calls, end.machine.is_trusted()), (0, false), "an impostor got through");
            }
            assert!(
                end.machine.next_deadline().is_none_or(|deadline| deadline > at(self.now)),
                "late: {:?}",
                end.machine
            );
            assert_eq!(end.machine.untold(), 0);
        }
    }

    fn lose(&mut self, random: &mut fastrand::Rng) {
        let to = if random.bool() { NotConnected } else { NotSelected };
        for of in 0..2 {
            // What is under way is lost, and its senders are told.
            self.primaries[of].clear();
            self.replies[of].clear();
            self.ends[of].link(to);
        }
    }

    fn step(&mut self, random: &mut fastrand::Rng) {
        let of = random.usize(..2);
        match random.u8(..20) {
            0 if random.bool() => self.lose(random),
            1 => {
                for end in &mut self.ends {
                    end.link(Selected);
                }
            }
            2..=4 => self.begin(of, random),
            5 => {
                if let Some(ticket) = self.open[of].keys().min().copied() {
                    assert!(self.ends[of].machine.cancel(ticket));
                    self.open[of].remove(&ticket);
                }
            }
            6 => {
                // It gets lost, and the connection tells of T3, of a Reject, or of too long a reply.
                if let Some(sent) = self.primaries[of].pop_front() {
                    let end =
                        if random.bool() { TransactionEnd::T3 } else { TransactionEnd::ReplyTooLong { length: 9 } };
                    let now = self.ends[of].now;
                    self.ends[of].machine.ended(now, sent.header.system, end);
                    self.ends[of].drain();
                }
            }
            7 => {
                // The equipment does not know it.
                if let Some(sent) = self.primaries[of].pop_front() {
                    let text = written(|text| text.binary(&sent.header.encode()));
                    self.ends[of].receives(9, [3, 5, 7][random.usize(..3)], &text);
                }
            }
            8 | 9 => {
                self.now += random.u64(..3_000);
                for end in &mut self.ends {
                    end.at(self.now);
                }
            }
            10 => {
                // Something that makes no sense.
                let stray = [(64, 11), (64, 1), (64, 9), (1, 13), (9, 5), (2, 41)][random.usize(..6)];
                self.ends[of].receives(stray.0, stray.1, &[0xa5, 1, random.u8(..)]);
            }
            _ => {
                if let Some(sent) = self.primaries[of].pop_front() {
                    if let Some(reply) = self.ends[1 - of].primary(sent.header, &sent.text) {
                        self.replies[of].push_back(reply);
                    }
                } else if let Some(reply) = self.replies[of].pop_front() {
                    self.ends[of].replied(&reply);
                }
            }
        }
        self.collect();
    }

    fn begin(&mut self, of: usize, random: &mut fastrand::Rng) {
        if self.open[of].len() >= 4 {
            return;
        }
        let deadline = self.now + 1 + random.u64(..5_000);
        let end = &mut self.ends[of];
        let service = if random.bool() { ServiceId::READ } else { ServiceId::WRITE };
        let ticket = match random.u8(..4) {
            0 => end.ask_function(2, 41, deadline),
            1 => end.tell(service, 7, deadline),
            2 if of == 0 && end.machine.trust_state().is_some() => end.authenticate(deadline),
            _ => end.ask(service, 7, None, deadline),
        };
        self.open[of].insert(ticket, deadline);
    }
}

#[test]
fn in_any_history_each_sending_has_one_outcome_and_no_impostor_reaches_a_handler() {
    let histories = match std::env::var("HSMS_SCALE").as_deref() {
        Ok("full") => 20_000,
        Ok("ci") => 4_000,
        _ => 1_000,
    };
    let mut met = BTreeMap::new();
    for seed in 0..histories {
        let mut random = fastrand::Rng::with_seed(seed);
        let impostor = seed % 4 == 3;
        let knows = if seed % 4 == 0 { [None; 2] } else { [Some(!impostor), Some(true)] };
        let mut world = World {
            ends: [end(Active, knows[0]), end(Passive, knows[1])],
            primaries: Default::default(),
            replies: Default::default(),
            open: Default::default(),
            now: 0,
            met: std::mem::take(&mut met),
            reachable: !impostor,
        };
        for _ in 0..150 {
            world.step(&mut random);
        }
        // Whatever happens, the last deadline ends it all.
        world.now += 10_000;
        for end in &mut world.ends {
            end.at(world.now);
        }
        world.collect();
        assert!(world.open.iter().all(HashMap::is_empty), "seed {seed}: {:?}", world.open);
        met = world.met;
    }
    println!("services: {histories} histories, outcomes {met:?}");
    let expected = [
        "Ok",
        "NotConnected",
        "NotSent",
        "NoResponse",
        "T3",
        "ReplyTooLong",
        "SystemError",
        "LinkLost",
        "NotTrusted",
        "Status(3)",
        "Status(4)",
    ];
    for kind in expected {
        assert!(met.contains_key(kind), "{kind} is not among {met:?}");
    }
}
