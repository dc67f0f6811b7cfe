//! The handshake against an attacker who is the network: everything that is sent goes to him, and what arrives comes from him. He replays,
//! reorders, reflects, makes up challenges, and keeps several handshakes going side by side. He does not know the secret.
//!
//! Every order of at most so many steps is tried. Agreement has to hold, and one to one: an end is trusted only if an end of the other
//! role, for the same session, took part with the same two challenges, and no two handshakes rest on the same one.

use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::time::Duration;

use hsms_core::config::ConnectMode::{self, Active, Passive};
use hsms_core::secs2::{Slice, Writer};
use hsms_core::services::{CHALLENGE_LEN, Secret, Status, Trust, TrustMessage, TrustSettings, TrustStep};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use stateright::{Checker, HasDiscoveries, Model, Property};

type Octets = [u8; CHALLENGE_LEN];

const NOW: Instant = Instant::EPOCH;
const SYSTEM: SystemBytes = SystemBytes(1);

#[derive(Clone, Copy)]
struct Setup {
    /// Role and session of each honest end.
    ends: &'static [(ConnectMode, u16)],
    /// Challenges that each of them makes in all.
    challenges: u8,
    /// After so many challenges an end's source of randomness begins again.
    period: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    ends: Vec<End>,
    /// What the attacker has seen, or made.
    known: BTreeSet<Octets>,
    /// Handshakes in which a client has sent its proof, and in which a server has: session and both challenges.
    proven: [Vec<Run>; 2],
    /// The same, of which the other end is convinced.
    believed: [Vec<Run>; 2],
}

type Run = (u16, Octets, Octets);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct End {
    trust: Trust,
    session: u16,
    made: u8,
    own: Octets,
    peer: Octets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    /// An honest client begins.
    Begin(usize),
    /// The end receives challenge or proof.
    Receive(usize, u32, Octets),
    /// A client's request is refused.
    Refuse(usize),
    /// The end loses its link.
    Lose(usize),
}

struct Attacked {
    setup: Setup,
    secret: Secret,
}

impl Attacked {
    fn new(setup: Setup) -> Self {
        Attacked { setup, secret: Secret::new(b"what he does not know").unwrap() }
    }

    /// The end's next challenge.
    fn challenge(&self, index: usize, end: &End) -> Octets {
        [(index as u8 + 1) * 16 + end.made % self.setup.period; CHALLENGE_LEN]
    }

    fn receive(&self, world: &mut World, index: usize, data_id: u32, octets: Octets) {
        let challenge = self.challenge(index, &world.ends[index]);
        let end = &mut world.ends[index];
        let message = text(&TrustMessage { data_id, status: Status::OKAY, octets: Some(octets) });
        if self.setup.ends[index].0 == Active {
            let header = Header::data(SYSTEM, StreamFunction::new(64, 2), false, SessionId(end.session));
            match end.trust.handle_response(NOW, &self.secret, &header, &message) {
                TrustStep::Send(key) => {
                    end.trust.sent(SYSTEM);
                    end.peer = octets;
                    world.proven[0].push((end.session, end.own, end.peer));
                    world.known.insert(key.octets.unwrap());
                }
                TrustStep::Trusted => world.believed[1].push((end.session, end.own, end.peer)),
                TrustStep::NotOurs | TrustStep::Failed(_) => {}
            }
            return;
        }
        let mut made = false;
        let source = || {
            made = true;
            challenge
        };
        let answer = end.trust.handle_request(NOW, &self.secret, source, &message);
        end.made += u8::from(made);
        let Some(sent) = answer.response.octets else { return };
        world.known.insert(sent);
        if data_id == TrustMessage::SEED {
            (end.own, end.peer) = (challenge, octets);
        } else {
            let run = (end.session, end.peer, end.own);
            world.believed[0].push(run);
            world.proven[1].push(run);
        }
    }
}

fn text(message: &TrustMessage) -> Vec<u8> {
    let mut octets = [0; 64];
    let mut text = Writer::new(Slice::new(&mut octets));
    message.write(&mut text).unwrap();
    text.finish().unwrap().written().to_vec()
}

/// Whether each handshake of which an end is convinced is one in which the other took part, and each such one counts once.
fn agreement(world: &World, role: usize) -> bool {
    let mut proven = world.proven[role].clone();
    world.believed[role].iter().all(|run| {
        let found = proven.iter().position(|other| other == run);
        found.map(|found| proven.swap_remove(found)).is_some()
    })
}

impl Model for Attacked {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        // One failure is as good as many, so that their number does not matter.
        let settings = TrustSettings { failures: NonZeroU8::MAX, within: Duration::ZERO, ..TrustSettings::default() };
        let zero = [0; CHALLENGE_LEN];
        let end = |&(role, session)| {
            let trust = Trust::new(role, SessionId(session), settings);
            End { trust, session, made: 0, own: zero, peer: zero }
        };
        vec![World {
            ends: self.setup.ends.iter().map(end).collect(),
            known: BTreeSet::from([[0xee; CHALLENGE_LEN]]),
            proven: [Vec::new(), Vec::new()],
            believed: [Vec::new(), Vec::new()],
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for (index, end) in world.ends.iter().enumerate() {
            let may_begin = end.made < self.setup.challenges;
            if self.setup.ends[index].0 == Active && may_begin {
                steps.push(Step::Begin(index));
            }
            for octets in &world.known {
                if may_begin || self.setup.ends[index].0 == Active {
                    steps.push(Step::Receive(index, TrustMessage::SEED, *octets));
                }
                steps.push(Step::Receive(index, TrustMessage::KEY, *octets));
            }
            steps.extend([Step::Refuse(index), Step::Lose(index)]);
        }
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut world = last.clone();
        match step {
            Step::Begin(index) => {
                let challenge = self.challenge(index, &world.ends[index]);
                let end = &mut world.ends[index];
                let request = end.trust.authenticate(NOW, challenge).ok()?;
                end.trust.sent(SYSTEM);
                (end.made, end.own) = (end.made + 1, challenge);
                world.known.insert(request.octets.unwrap());
            }
            Step::Receive(index, data_id, octets) => self.receive(&mut world, index, data_id, octets),
            Step::Refuse(index) => {
                let _ = world.ends[index].trust.unanswered(NOW, SYSTEM)?;
            }
            Step::Lose(index) => world.ends[index].trust.lost(),
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what a server believes, a client did", |_, world| agreement(world, 0)),
            Property::always("what a client believes, a server did", |_, world| agreement(world, 1)),
            Property::sometimes("both ends are trusted", |model: &Attacked, world: &World| {
                let trusted = |role| {
                    (world.ends.iter().zip(model.setup.ends))
                        .any(|(end, other)| other.0 == role && end.trust.is_trusted())
                };
                trusted(Active) && trusted(Passive)
            }),
        ]
    }
}

const SOUND: u8 = u8::MAX;

fn explore(name: &str, setup: Setup) -> impl Checker<Attacked> {
    let began = std::time::Instant::now();
    let checker = Attacked::new(setup).checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "attacker: {name}: {} states, {} steps, depth {}, in {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64()
    );
    checker
}

fn holds(name: &str, ends: &'static [(ConnectMode, u16)], challenges: u8) {
    let checker = explore(name, Setup { ends, challenges, period: SOUND });
    assert!(checker.is_done());
    checker.assert_properties();
}

#[test]
fn no_attacker_on_the_network_is_trusted() {
    holds("a client and a server", &[(Active, 1), (Passive, 1)], 2);
    holds("two clients and a server", &[(Active, 1), (Active, 1), (Passive, 1)], 1);
    holds("a client and two servers, one of another session", &[(Active, 1), (Passive, 1), (Passive, 2)], 1);
    if hsms_tests::scale() > 1 {
        holds("a client and a server, three times", &[(Active, 1), (Passive, 1)], 3);
        holds("two of each", &[(Active, 1), (Active, 2), (Passive, 1), (Passive, 2)], 1);
    }
}

#[test]
fn challenges_that_come_again_let_an_attacker_in_and_the_search_finds_it() {
    let setup = Setup { ends: &[(Active, 1), (Passive, 1)], challenges: 3, period: 2 };
    let checker = explore("challenges that come again", setup);
    let way = checker.discovery("what a server believes, a client did").expect("it has to be found");
    println!("attacker: let in after {} steps", way.into_actions().len());
}
