//! One direction of a connection, octets in and octets out, without I/O and without a clock.

use super::plan::{At, End, Fault, Plan, Sizes};
use fastrand::Rng;
use hsms_core::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Octets that a line holds before it takes no more. What a plan makes it insert or duplicate may come on top.
const ROOM: usize = 64 * 1024;

/// The most that one duplicate keeps.
const MOST_COPIED: usize = 64 * 1024;

/// One direction of a connection that suffers what a [`Plan`] says. The one place where that is decided: pipe, transport and
/// proxy only carry octets to it and away from it.
///
/// It has no clock: every call says what time it is, and time does not go back.
///
/// ```
/// use hsms_std::core::time::Instant;
/// use hsms_std::faults::{At, End, Fault, Line, Out, Plan};
/// use std::time::Duration;
///
/// let late = Fault::Delay { at: At::Octet(2), by: Duration::from_millis(40) };
/// let mut line = Line::new(&Plan::of([late, Fault::Cut { at: At::Octet(4) }]));
/// let at = Instant::from_millis;
/// assert_eq!(line.push(at(100), b"abcdef"), 6);
/// assert_eq!(line.take(at(100), 10), b"ab");
/// assert_eq!(line.poll(at(139)), Out::Nothing);
/// assert_eq!(line.next_at(), Some(at(140)));
/// assert_eq!(line.take(at(140), 10), b"cd");
/// assert_eq!(line.poll(at(140)), Out::End(End::Cut));
/// assert_eq!(line.report().swallowed, 2);
/// ```
#[derive(Debug)]
pub struct Line {
    faults: Vec<Armed>,
    next: Place,
    state: State,
    queue: VecDeque<u8>,
    /// How the queue is divided; the last is the one that came last.
    pieces: VecDeque<Piece>,
    /// The last piece may still grow.
    open: bool,
    /// When what came last comes out.
    due: Instant,
    /// Every octet's part of that.
    latency: Duration,
    /// Between pieces.
    gap: Duration,
    /// The end of the gap.
    not_before: Instant,
    octets_in: u64,
    octets_out: u64,
    swallowed: u64,
}

/// What comes out of a [`Line`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out<'a> {
    /// A piece, at least one octet long.
    Octets(&'a [u8]),
    /// The connection ends; nothing comes after it.
    End(End),
    /// Nothing now: see [`Line::next_at`].
    Nothing,
}

/// What a line has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Octets that were put in.
    pub octets_in: u64,
    /// Octets that came out.
    pub octets_out: u64,
    /// Octets that were taken behind a cut or by a peer that has vanished.
    pub swallowed: u64,
    /// How often each fault of the plan has happened: a 0 is a fault whose place was never reached. A
    /// [`Split`](Fault::Split) counts the ends of pieces, [`Latency`](Fault::Latency) and [`Lose`](Fault::Lose) count octets.
    pub faults: Vec<(Fault, u64)>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    happened: u64,
    chance: Rng,
    work: Work,
}

/// What a fault has begun.
#[derive(Debug)]
enum Work {
    None,
    Losing(u64),
    Copying { octets: Vec<u8>, left: usize },
    Splitting { left: u32, turn: usize },
}

/// The next octet to be put in.
#[derive(Debug, Clone, Copy)]
struct Place {
    octet: u64,
    message: u64,
    within: u64,
    /// The length field, as far as it is there.
    length: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Flows,
    Swallows,
    Stalls,
    Ended(End),
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    len: usize,
    due: Instant,
}

impl Line {
    /// A line at the beginning of a connection.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let (mut latency, mut gap) = (Duration::ZERO, Duration::ZERO);
        for fault in plan.faults() {
            match fault {
                Fault::Latency { by } => latency = latency.saturating_add(*by),
                Fault::Split { gap: asked, .. } => gap = gap.max(*asked),
                _ => {}
            }
        }
        // Each fault has a chance of its own, so that what one does does not depend on the others.
        let mut seeds = Rng::with_seed(plan.seed());
        let arm = |fault: &Fault| Armed::new(fault.clone(), Rng::with_seed(seeds.u64(..)));
        let mut line = Line {
            faults: plan.faults().iter().map(arm).collect(),
            next: Place { octet: 0, message: 0, within: 0, length: 0 },
            state: State::Flows,
            queue: VecDeque::new(),
            pieces: VecDeque::new(),
            open: false,
            due: Instant::EPOCH,
            latency,
            gap,
            not_before: Instant::EPOCH,
            octets_in: 0,
            octets_out: 0,
            swallowed: 0,
        };
        line.reach();
        line
    }

    /// How many octets it takes now; 0 where it is full or stalls.
    #[must_use]
    pub fn room(&self) -> usize {
        match self.state {
            State::Flows => ROOM.saturating_sub(self.queue.len()),
            State::Stalls => 0,
            State::Swallows | State::Ended(_) => ROOM,
        }
    }

    /// Puts in what is written at once, and gives how many octets of it were taken from the front. What is put in by two calls
    /// does not come out in one piece.
    pub fn push(&mut self, now: Instant, octets: &[u8]) -> usize {
        let mut taken = 0;
        self.open = false;
        for &octet in octets {
            if self.room() == 0 {
                break;
            }
            taken += 1;
            self.octets_in = self.octets_in.saturating_add(1);
            if self.state == State::Flows {
                self.pass(now, octet);
            } else {
                self.swallowed = self.swallowed.saturating_add(1);
            }
        }
        taken
    }

    /// The writer closes its side. Behind a peer that has vanished, or does not read, nobody learns of it.
    pub fn finish(&mut self, now: Instant) {
        if self.state == State::Flows {
            self.due = self.due.max(now.saturating_add(self.latency));
            self.state = State::Ended(End::Closed);
        }
    }

    /// What comes out now. It comes again until it is [taken](Self::take).
    #[must_use]
    pub fn poll(&mut self, now: Instant) -> Out<'_> {
        match (self.pieces.front(), self.state) {
            (Some(piece), _) if piece.due.max(self.not_before) <= now => {
                let len = piece.len;
                if self.queue.as_slices().0.len() < len {
                    self.queue.make_contiguous();
                }
                Out::Octets(self.queue.as_slices().0.get(..len).unwrap_or(&[]))
            }
            (None, State::Ended(end)) if self.due <= now => Out::End(end),
            _ => Out::Nothing,
        }
    }

    /// So many octets from the front of the piece have been carried away.
    pub fn taken(&mut self, now: Instant, octets: usize) {
        let Some(piece) = self.pieces.front_mut() else { return };
        let octets = octets.min(piece.len);
        piece.len -= octets;
        if piece.len == 0 {
            self.pieces.pop_front();
            self.not_before = now.saturating_add(self.gap);
        }
        self.queue.drain(..octets);
        self.octets_out = self.octets_out.saturating_add(u64::try_from(octets).unwrap_or(u64::MAX));
    }

    /// Takes the piece that comes out now, `most` octets of it at most; nothing where none does.
    pub fn take(&mut self, now: Instant, most: usize) -> Vec<u8> {
        let Out::Octets(octets) = self.poll(now) else { return Vec::new() };
        let octets = octets.get(..most).unwrap_or(octets).to_vec();
        self.taken(now, octets.len());
        octets
    }

    /// When the next piece or the end comes out; `None` where neither is on its way. It may be in the past.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        match (self.pieces.front(), self.state) {
            (Some(piece), _) => Some(piece.due.max(self.not_before)),
            (None, State::Ended(_)) => Some(self.due),
            (None, _) => None,
        }
    }

    /// Whether the peer behind it has vanished, or does not read: its writer's end is told to nobody.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.state, State::Swallows | State::Stalls)
    }

    /// What it has done until now.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            octets_in: self.octets_in,
            octets_out: self.octets_out,
            swallowed: self.swallowed,
            faults: self.faults.iter().map(|armed| (armed.fault.clone(), armed.happened)).collect(),
        }
    }

    /// One octet, while the line flows.
    fn pass(&mut self, now: Instant, octet: u8) {
        let place = self.next;
        let (mut octet, mut lost, mut late) = (octet, false, self.latency);
        let wire = octet;
        for armed in &mut self.faults {
            armed.change(place, &mut octet, &mut lost, &mut late);
        }
        self.due = self.due.max(now.saturating_add(late));
        if !lost {
            self.emit(octet);
            self.copy(octet);
        }
        self.next.step(wire);
        self.reach();
    }

    /// Lets happen what happens at the place that has been reached.
    fn reach(&mut self) {
        let mut inserted = Vec::new();
        for armed in &mut self.faults {
            let (at, state) = match &armed.fault {
                Fault::Cut { at } => (at, State::Ended(End::Cut)),
                Fault::Reset { at } => (at, State::Ended(End::Reset)),
                Fault::Swallow { at } => (at, State::Swallows),
                Fault::Stall { at } => (at, State::Stalls),
                Fault::Insert { at, octets } if self.next.is(at) => {
                    inserted.extend_from_slice(octets);
                    armed.happened += 1;
                    continue;
                }
                _ => continue,
            };
            if self.next.is(at) {
                self.state = state;
                armed.happened += 1;
                break;
            }
        }
        for octet in inserted {
            self.emit(octet);
        }
    }

    /// Puts an octet behind those that come out.
    fn emit(&mut self, octet: u8) {
        self.queue.push_back(octet);
        match self.pieces.back_mut() {
            Some(piece) if self.open && piece.due == self.due => piece.len += 1,
            _ => self.pieces.push_back(Piece { len: 1, due: self.due }),
        }
        self.open = true;
        for armed in &mut self.faults {
            self.open &= !armed.ends_piece();
        }
    }

    /// Keeps an octet for the duplicates that have begun, and puts out those that are whole.
    fn copy(&mut self, octet: u8) {
        for index in 0..self.faults.len() {
            let Some(armed) = self.faults.get_mut(index) else { return };
            if let Some(copied) = armed.copied(octet) {
                for octet in copied {
                    self.emit(octet);
                }
            }
        }
    }
}

impl Armed {
    fn new(fault: Fault, chance: Rng) -> Self {
        let mut armed = Armed { fault, happened: 0, chance, work: Work::None };
        armed.begin_piece(0);
        armed
    }

    /// What it does to the octet at `place`.
    fn change(&mut self, place: Place, octet: &mut u8, lost: &mut bool, late: &mut Duration) {
        match &self.fault {
            Fault::Corrupt { at, mask } if place.is(at) => *octet ^= mask,
            Fault::Noise { one_in: 1.. } => {
                let Fault::Noise { one_in } = self.fault else { return };
                if self.chance.u32(..one_in) != 0 {
                    return;
                }
                *octet ^= self.chance.u8(1..);
            }
            Fault::Delay { at, by } if place.is(at) => *late = late.saturating_add(*by),
            Fault::Latency { .. } => {}
            Fault::Lose { at, len } => {
                if place.is(at) {
                    self.work = Work::Losing(*len);
                }
                let Work::Losing(left @ 1..) = &mut self.work else { return };
                *left -= 1;
                *lost = true;
            }
            Fault::Duplicate { at, len: len @ 1.. } if place.is(at) => {
                self.work = Work::Copying { octets: Vec::new(), left: (*len).min(MOST_COPIED) };
                return;
            }
            _ => return,
        }
        self.happened += 1;
    }

    /// Tells whether a piece ends behind the octet that has come out.
    fn ends_piece(&mut self) -> bool {
        let Work::Splitting { left, turn } = &mut self.work else { return false };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        let turn = turn.wrapping_add(1);
        self.begin_piece(turn);
        self.happened += 1;
        true
    }

    fn begin_piece(&mut self, turn: usize) {
        let Fault::Split { sizes, .. } = &self.fault else { return };
        let left = match sizes {
            Sizes::Each(size) => *size,
            Sizes::List(sizes) => match sizes.get(turn.checked_rem(sizes.len()).unwrap_or(0)) {
                Some(size) => *size,
                None => return,
            },
            Sizes::Random(sizes) if sizes.is_empty() => *sizes.start(),
            Sizes::Random(sizes) => self.chance.u32(sizes.clone()),
        };
        self.work = Work::Splitting { left: left.max(1), turn };
    }

    /// Gives what comes once more behind this octet.
    fn copied(&mut self, octet: u8) -> Option<Vec<u8>> {
        let Work::Copying { octets, left } = &mut self.work else { return None };
        octets.push(octet);
        *left -= 1;
        if *left > 0 {
            return None;
        }
        let octets = std::mem::take(octets);
        self.work = Work::None;
        self.happened += 1;
        Some(octets)
    }
}

impl Place {
    fn is(&self, at: &At) -> bool {
        match *at {
            At::Octet(octet) => self.octet == octet,
            At::Message { number, octet } => (self.message, self.within) == (number, octet),
            At::EachMessage { octet } => self.within == octet,
        }
    }

    /// To the place behind this octet. A length field below 10 makes a message of so many octets: it has to end somewhere.
    fn step(&mut self, octet: u8) {
        self.octet = self.octet.saturating_add(1);
        if self.within < 4 {
            self.length = (self.length << 8) | u32::from(octet);
        }
        self.within = self.within.saturating_add(1);
        if self.within >= u64::from(self.length) + 4 && self.within >= 4 {
            self.message = self.message.saturating_add(1);
            (self.within, self.length) = (0, 0);
        }
    }
}
