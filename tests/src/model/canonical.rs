//! Worlds that go on alike made equal: no hour, and numbers renamed in order of issue.
//!
//! A machine compares system bytes with those of its open transactions, and asks of others only whether they lie between the
//! first and the next one issued on this connection. So each end's numbers that occur anywhere, in order, become the ones just
//! below a constant, which is the next one to be issued. Each end has a constant of its own: no number of one end ever equals
//! one of the other's. Where that is what is looked for, nothing is renamed ([`Setup::collide`]).

use super::{End, Link, Setup, Subject, World};
use crate::invariants::Said;
use hsms_core::wire::SystemBytes;

/// The system bytes that each end issues next, in every canonical world.
pub const NEXT: [u32; 2] = [0x0001_0000, 0x0002_0000];

/// Between the numbers of the first end and those of the second; those of a free peer lie above both.
const BORDERS: [u32; 3] = [0x0000_8000, 0x0001_8000, 0x0002_8000];

/// Which end issued these system bytes; none where a free peer made them up.
#[must_use]
pub fn issuer(system: SystemBytes) -> Option<usize> {
    [0, 1].into_iter().find(|end| (BORDERS[*end]..BORDERS[end + 1]).contains(&system.0))
}

/// System bytes of one end that occur in a world.
type Live = heapless::Vec<u32, 64>;

/// Brings `world` to its canonical form.
pub fn canonical<M: Subject>(setup: &Setup<M>, world: &mut World<M>) {
    for end in &mut world.ends {
        if setup.timed {
            end.machine.rebase(setup.now());
        } else {
            end.machine.restart_timers();
        }
        end.machine.clear_unused();
        rename_links(end);
    }
    if world.link == Link::None {
        for end in &mut world.ends {
            end.said = Said::NOTHING;
        }
    }
    if setup.collide.is_none() {
        rename_system_bytes(world, setup.free);
    }
}

/// Of a connection's number only matters whether a token has it.
fn rename_links<M: Subject>(end: &mut End<M>) {
    let machine = &end.machine;
    for token in &mut end.tokens {
        *token = if machine.is_current_token(token) {
            token.renamed(1, token.system())
        } else {
            token.renamed(0, SystemBytes(0))
        };
    }
    end.machine.map_links(&mut |link| link.min(1));
}

fn rename_system_bytes<M: Subject>(world: &mut World<M>, free: bool) {
    let mut live = [Live::new(), Live::new()];
    map_system_bytes(world, &mut |system| {
        if let Some(end) = issuer(system)
            && !live[end].contains(&system.0)
        {
            live[end].push(system.0).expect("few numbers are in use");
        }
        system
    });
    let ended = world.ends[0].machine.issued().rev().find(|number| !live[0].contains(number));
    if let Some(ended) = ended.filter(|_| free) {
        // A free peer may come back to what has ended.
        live[0].push(ended).expect("few numbers are in use");
    }
    for numbers in &mut live {
        numbers.sort_unstable_by(|a, b| b.cmp(a));
    }
    for (end, numbers) in live.iter().enumerate() {
        let first = world.ends[end].machine.issued().start;
        let since = u32::try_from(numbers.iter().filter(|number| **number >= first).count()).expect("few");
        world.ends[end].machine.set_issued(NEXT[end] - since..NEXT[end]);
    }
    map_system_bytes(world, &mut |system| {
        let Some(end) = issuer(system) else { return system };
        let rank = live[end].iter().position(|number| *number == system.0).expect("it was seen");
        SystemBytes(NEXT[end] - 1 - u32::try_from(rank).expect("few"))
    });
}

/// Renames all system bytes that still matter.
fn map_system_bytes<M: Subject>(world: &mut World<M>, map: &mut dyn FnMut(SystemBytes) -> SystemBytes) {
    for end in &mut world.ends {
        end.machine.map_system_bytes(map);
        for system in &mut end.open {
            *system = map(*system);
        }
        for token in &mut end.tokens {
            *token = token.renamed(token.link(), map(token.system()));
        }
        if let Some(frame) = &mut end.writing
            && let Some(header) = frame.header()
        {
            frame.set_system_bytes(map(header.system));
        }
    }
    for frame in world.pipes.iter_mut().flatten() {
        if let Some(header) = frame.header() {
            // What has been read the machine has.
            let unread = usize::from(frame.read) < hsms_core::wire::PREFIX_LEN;
            frame.set_system_bytes(if unread { map(header.system) } else { SystemBytes(0) });
        }
    }
}
