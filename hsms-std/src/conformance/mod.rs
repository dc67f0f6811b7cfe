//! The duties of E37, E37.1 and E37.2 as data, each with a test of an implementation.
//!
//! A [`Rule`] names one duty: the clause it comes from, what must happen, to whom it applies, where this crate fulfils it, and a
//! function that finds out whether a subject does. The function works on a [`Bench`], a tester at the other end of the
//! subject's wire. There are two:
//!
//! * [`Memory`](memory::Memory) holds our machine, or one that is broken on purpose, under a virtual clock;
//! * [`Socket`](socket::Socket) reaches any implementation over TCP in real time, active or passive. Where its application can
//!   be commanded, as that of our own blocking connection, more can be decided.
//!
//! ```
//! use hsms_std::conformance::{Verdict, memory::Memory, rules};
//!
//! let rule = rules().find(|rule| rule.id == "E37-7.5.2").unwrap();
//! for setup in rule.setups() {
//!     let verdict = rule.verdict(&mut Memory::ours(setup));
//!     assert!(verdict.is_pass(), "{verdict}");
//! }
//! ```
//!
//! Against another implementation, here a passive one at an address:
//!
//! ```no_run
//! use hsms_std::conformance::{Role, Setup, rules, socket::Socket};
//! use hsms_std::{Config, DeviceId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What its settings are.
//! let config = Config::equipment(DeviceId::new(1).unwrap());
//! for rule in rules() {
//!     for setup in rule.setups().filter(|setup| setup.role == Role::SsPassive) {
//!         let verdict = rule.verdict(&mut Socket::dialling("127.0.0.1:5000".parse()?, setup, config)?);
//!         println!("{} {verdict}", rule.id);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Tolerance
//!
//! In memory a verdict is exact: a timer that expires a millisecond too soon or too late fails. Over a socket it holds within a
//! tolerance, which [`Socket::with_tolerance`](socket::Socket::with_tolerance) sets. Unless it is set:
//!
//! * what is timed may come 3 ms too early ([`EARLY`](socket::EARLY)) and 5 s too late ([`LATE`](socket::LATE)), so that a T6 of
//!   5 s passes up to 10 s; what has to come at once may take those 5 s too;
//! * that nothing comes means that nothing came within 15 ms ([`SETTLE`](socket::SETTLE)), or before the span in question was
//!   over. Where a round trip and the subject's answer take longer, a forbidden answer is not seen, and the rule passes.
//!
//! The defaults suit a subject on the same machine. Over a network set at least the time to settle, and for the timers of a
//! stranger how late they may be.
//!
//! A subject that sends without end costs a bench little: a message longer than 32 MiB counts as none, and no wait is prolonged
//! by what comes meanwhile.
//!
//! # The rules
//!
#![doc = include_str!("../../docs/rules.md")]

mod bench;
pub mod blocking;
pub mod memory;
mod page;
mod rules;
mod sessions;
pub mod socket;
mod steps;
mod verdict;

pub use bench::{About, Bench, Command, Frame, Line, Report, Timer, Wire, encode};
pub use page::{CHOICES, Choice, OMITTED, Omitted, page};
pub use rules::rules;
pub use sessions::{ASKED, EXCLUSIVE, Entities, HIGH, LONGEST_LIST, NOBODY, SHARED, THEIRS, TOP};
pub use steps::{DATA, DEVICE, S1F1, TESTER, linktest, primary, require, set};
pub use verdict::{Entry, Outcome, Stop, Transcript, Verdict, What};

use hsms_core::Config;
use hsms_core::config::{ConnectMode, DeviceIds, Entity, Profile};

/// One duty, and how to find out whether it is fulfilled.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Clause or table row, with a suffix where a clause holds several duties: `E37-7.2.2/refuse`. Unique.
    pub id: &'static str,
    /// What must happen, in our own words.
    pub duty: &'static str,
    /// To whom it applies.
    pub applies: Applies,
    /// Where this workspace fulfils it: file and function.
    pub place: &'static str,
    /// Finds out: `Ok` where the subject does what it must.
    pub test: fn(&mut dyn Bench) -> Outcome,
}

/// To whom a rule applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applies {
    /// The roles.
    pub roles: &'static [Role],
    /// The tolerance profiles.
    pub profiles: &'static [Profile],
    /// Host or equipment, where the duty differs.
    pub entity: Option<Entity>,
}

/// What a subject is on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// HSMS-SS, the side that dials.
    SsActive,
    /// HSMS-SS, the side that listens.
    SsPassive,
    /// HSMS-GS, the side that dials.
    GsActive,
    /// HSMS-GS, the side that listens.
    GsPassive,
}

/// The standard that a duty comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    /// E37, generic services.
    Generic,
    /// E37.1, HSMS-SS.
    Ss,
    /// E37.2, HSMS-GS.
    Gs,
}

/// One kind of subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Setup {
    /// What it is on its connection.
    pub role: Role,
    /// How much it tolerates.
    pub profile: Profile,
    /// What it is on the shop floor.
    pub entity: Entity,
}

impl Rule {
    /// Finds out whether the subject on `bench` fulfils the duty, and that nothing else came of it.
    pub fn verdict(&self, bench: &mut dyn Bench) -> Verdict {
        let setup = bench.about().setup;
        let Applies { roles, profiles, entity } = self.applies;
        let applies = roles.contains(&setup.role)
            && profiles.contains(&setup.profile)
            && entity.is_none_or(|entity| entity == setup.entity);
        let outcome = if applies {
            (self.test)(bench).and_then(|()| bench.finish())
        } else {
            Err(Stop::NotApplicable(format!("it is not for {}", setup.name())))
        };
        let transcript = bench.transcript().clone();
        match outcome {
            Ok(()) => Verdict::Pass { transcript },
            Err(Stop::Fail(why)) => Verdict::Fail { why, transcript },
            Err(Stop::NotApplicable(why)) => Verdict::NotApplicable { why, transcript },
            Err(Stop::Undecided(why)) => Verdict::Undecided { why, transcript },
        }
    }

    /// The kinds of subjects that the rule applies to. Where it does not matter who is host and who is equipment, the active side
    /// is the host, as is customary.
    pub fn setups(&self) -> impl Iterator<Item = Setup> + use<> {
        let Applies { roles, profiles, entity } = self.applies;
        roles.iter().flat_map(move |role| {
            profiles.iter().map(move |profile| Setup {
                role: *role,
                profile: *profile,
                entity: entity.unwrap_or(if role.is_active() { Entity::Host } else { Entity::Equipment }),
            })
        })
    }

    /// The standard that the duty comes from, by its id. E5 and appendices count as E37.
    #[must_use]
    pub fn document(&self) -> Document {
        if self.id.starts_with("E37.1-") {
            Document::Ss
        } else if self.id.starts_with("E37.2-") {
            Document::Gs
        } else {
            Document::Generic
        }
    }
}

impl Applies {
    /// HSMS-SS, either role and profile.
    pub const SS: Applies = Applies {
        roles: &[Role::SsActive, Role::SsPassive],
        profiles: &[Profile::Lenient, Profile::Strict],
        entity: None,
    };

    /// HSMS-GS, either role and profile.
    pub const GS: Applies = Applies { roles: &[Role::GsActive, Role::GsPassive], ..Applies::SS };

    /// HSMS-SS and HSMS-GS, either role and profile.
    pub const ALL: Applies =
        Applies { roles: &[Role::SsActive, Role::SsPassive, Role::GsActive, Role::GsPassive], ..Applies::SS };

    /// The side that dials.
    #[must_use]
    pub const fn active(self) -> Self {
        let roles: &[Role] = match self.roles {
            [Role::SsActive | Role::SsPassive, .., Role::GsPassive] => &[Role::SsActive, Role::GsActive],
            [Role::GsActive | Role::GsPassive, ..] => &[Role::GsActive],
            _ => &[Role::SsActive],
        };
        Applies { roles, ..self }
    }

    /// The side that listens.
    #[must_use]
    pub const fn passive(self) -> Self {
        let roles: &[Role] = match self.roles {
            [Role::SsActive | Role::SsPassive, .., Role::GsPassive] => &[Role::SsPassive, Role::GsPassive],
            [Role::GsActive | Role::GsPassive, ..] => &[Role::GsPassive],
            _ => &[Role::SsPassive],
        };
        Applies { roles, ..self }
    }

    /// The default profile.
    #[must_use]
    pub const fn lenient(self) -> Self {
        Applies { profiles: &[Profile::Lenient], ..self }
    }

    /// The strict profile.
    #[must_use]
    pub const fn strict(self) -> Self {
        Applies { profiles: &[Profile::Strict], ..self }
    }

    /// Equipment, in either role.
    #[must_use]
    pub const fn equipment(self) -> Self {
        Applies { entity: Some(Entity::Equipment), ..self }
    }

    /// A host, in either role.
    #[must_use]
    pub const fn host(self) -> Self {
        Applies { entity: Some(Entity::Host), ..self }
    }
}

impl Role {
    /// Whether this side dials.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Role::SsActive | Role::GsActive)
    }

    /// As it stands in names of tests: `ss_active`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::SsActive => "ss_active",
            Role::SsPassive => "ss_passive",
            Role::GsActive => "gs_active",
            Role::GsPassive => "gs_passive",
        }
    }
}

impl Setup {
    /// As it stands in names of tests: `ss_active_host_strict`.
    #[must_use]
    pub fn name(&self) -> String {
        let entity = match self.entity {
            Entity::Host => "host",
            Entity::Equipment => "equipment",
        };
        format!("{}_{entity}_{}", self.role.name(), profile_name(self.profile))
    }

    /// The default settings of such a subject, with [`DEVICE`] as its device id and no linktests of its own.
    #[must_use]
    pub fn config(&self) -> Config {
        let mode = if self.role.is_active() { ConnectMode::Active } else { ConnectMode::Passive };
        let config = Config::new(mode, self.entity, DeviceIds::one(DEVICE));
        // Neither can be refused: the defaults lie within the standard's ranges.
        let config = config.with_profile(self.profile).unwrap_or(config);
        config.with_linktest_period(std::time::Duration::ZERO).unwrap_or(config)
    }
}

const fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Lenient => "default",
        Profile::Strict => "strict",
    }
}
