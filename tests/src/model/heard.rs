//! What an end hears: messages of its peer's, and notices of its machine.

use super::step::{Done, PRIMARY, Run};
use super::{Property, Situation, Subject};
use hsms_core::connection::{
    Class, GeneralInput, Inbound, Input, Leniency, Notice, Outcome, SessionEnd, SessionRefusal, Stray, TransactionEnd,
};
use hsms_core::wire::{RejectReason, SType, SystemBytes};

impl<M: Subject> Run<'_, M> {
    /// A message came.
    pub(super) fn take(
        &mut self,
        at: usize,
        inbound: &Inbound<'_>,
        was_open: &[SystemBytes],
        was_selected: bool,
    ) -> Done {
        let header = *inbound.header();
        self.say(|| format!("    end {at} takes {header:?} as {:?}", inbound.class));
        let system = header.system;
        let stype = header.stype;
        if inbound.class == Class::Primary && inbound.first() && was_open.contains(&system) {
            self.met(Situation::Colliding);
        }
        if let Some(token) = inbound.reply_token().filter(|_| inbound.last()) {
            let most = if self.setup.free { 1 } else { super::MEMORY };
            let end = self.end(at);
            if end.tokens.len() == most {
                end.tokens.remove(0);
            }
            let _ = end.tokens.push(token);
        }
        if inbound.class == Class::Reply && inbound.last() {
            let end = self.end(at);
            let place = end.open.iter().position(|open| *open == system).ok_or(Property::EndsOnce)?;
            end.open.remove(place);
            self.met(if inbound.is_abort() { Situation::Aborted } else { Situation::Answered });
        }
        if !inbound.first() {
            return Ok(());
        }
        if inbound.class == Class::Reply {
            let fits = header.stream() == PRIMARY.stream && [0, PRIMARY.function + 1].contains(&header.byte3);
            self.hold(Property::RepliesFit, fits)?;
        }
        match inbound.class {
            Class::Stray(Stray::Late) => self.met(Situation::Late),
            Class::Stray(Stray::Orphan) => self.met(Situation::Orphan),
            Class::Stray(Stray::Mismatched) => self.met(Situation::Mismatched),
            Class::Stray(Stray::UnknownDevice) => self.met(Situation::UnknownDevice),
            Class::Rejected(RejectReason::TRANSACTION_NOT_OPEN) => self.met(Situation::NotOpen),
            Class::Rejected(RejectReason::ENTITY_NOT_SELECTED) => {
                self.met(if M::GENERAL { Situation::DataCrossesEnd } else { Situation::DataNotSelected });
            }
            Class::Rejected(_) => self.met(Situation::UnknownType),
            Class::TooLong => self.met(Situation::TooLong),
            _ => {}
        }
        if stype == SType::SELECT_REQ && was_selected && inbound.class == Class::Control {
            self.met(Situation::SecondSelect);
        }
        if stype == SType::LINKTEST_REQ && self.tests_link(at) {
            self.met(Situation::LinktestsCross);
        }
        if self.setup.free {
            return Ok(());
        }
        let data = M::GENERAL && inbound.class == Class::Rejected(RejectReason::ENTITY_NOT_SELECTED);
        // A linktest that was missed once, and is answered after all: E37 7.7 has its response rejected.
        let missed = self.world.ends[at].machine.config().linktest_threshold() > 1
            && stype == SType::LINKTEST_RSP
            && inbound.class == Class::Rejected(RejectReason::TRANSACTION_NOT_OPEN);
        let offends = matches!(inbound.class, Class::Rejected(_) | Class::TooLong | Class::Fatal)
            || matches!(inbound.class, Class::Stray(stray) if stray != Stray::Late && self.setup.collide.is_none());
        self.hold(Property::NoOffence, !offends || data || missed)
    }

    /// Whether a linktest of this end is open.
    fn tests_link(&self, at: usize) -> bool {
        let mut probe = self.world.ends[at].machine.clone();
        let mut known = Vec::new();
        probe.map_system_bytes(&mut |system| {
            known.push(system);
            system
        });
        let outcome = probe.tell(self.now, GeneralInput::Common(Input::Linktest));
        matches!(outcome, Outcome::Requested { system } if known.contains(&system))
    }
    pub(super) fn notice(&mut self, at: usize, notice: Notice) -> Done {
        match notice {
            Notice::TransactionEnded { system, end } => {
                let place = self.world.ends[at].open.iter().position(|open| *open == system);
                match (place, end) {
                    (Some(place), _) => {
                        self.end(at).open.remove(place);
                    }
                    // A linktest.
                    (None, TransactionEnd::SessionEnded) => {}
                    (None, _) => return Err(Property::EndsOnce),
                }
                match end {
                    TransactionEnd::Rejected(_) => self.met(Situation::Rejected),
                    TransactionEnd::SessionEnded if place.is_some() => self.met(Situation::LinkLost),
                    _ => {}
                }
            }
            Notice::RejectReceived { .. } => self.met(Situation::StrayReject),
            Notice::LinktestMissed { .. } => self.met(Situation::LinktestMissed),
            Notice::Lenient(Leniency::SimultaneousSelect(_)) => self.met(Situation::SimultaneousSelect),
            Notice::SessionEnded { end, .. } => self.met(match end {
                SessionEnd::Deselected | SessionEnd::DeselectReceived => Situation::Deselected,
                _ => Situation::SessionSeparated,
            }),
            Notice::SessionRefused { refusal, .. } => self.met(match refusal {
                SessionRefusal::Deselect(_) => Situation::Busy,
                _ => Situation::SelectRefused,
            }),
            Notice::SelectAsked { session } => {
                self.met(Situation::Asked);
                let _ = self.end(at).asked.push(session);
            }
            _ => {}
        }
        Ok(())
    }
}
