//! Which messages are tried: products of field values.
//!
//! All values of all fields at once would be 2^32 headers for each session id, system bytes and text, in each state. The products below
//! leave out combinations of fields that the rules do not look at together:
//!
//! * `types`: every PType with every SType. A PType or SType that is not E37's decides by itself; the other fields only travel into the
//!   answer, so a few values of each are enough.
//! * `octets`: every octet 2 with every octet 3, of every message that E37 defines, with all system bytes that can matter.
//! * `sessions`: every session id of every message that E37 defines.
//! * `fields`: all that can matter of all fields, together.
//!
//! That nothing depends on a combination left out is itself checked: `whole` is the product of everything, from which cases are drawn.

use crate::table::{DEVICE, MAX, Message, SKIP, Situation};

/// For each field, the values it takes.
pub struct Product {
    pub name: &'static str,
    pub session: Vec<u16>,
    pub byte2: Vec<u8>,
    pub byte3: Vec<u8>,
    pub ptype: Vec<u8>,
    pub stype: Vec<u8>,
    pub system: Vec<u32>,
    /// Octets of the text, and how many of them come with the header.
    pub text: Vec<(u32, u32)>,
}

pub fn every() -> Vec<u8> {
    (0..=255).collect()
}

/// All that this end knows, what it will use next, and what it has never heard of.
pub fn systems(situation: &Situation) -> Vec<u32> {
    let requests = [situation.select, situation.linktest].into_iter().flatten().map(|(system, _)| system);
    let known = requests.chain(situation.open.iter().map(|open| open.system)).chain(situation.ended.iter().copied());
    [0xDEAD_BEEF, 0, situation.next].into_iter().chain(known).collect()
}

/// One of each kind, but of those that are open or ended the newest two. The full scale takes them all.
pub fn few(systems: &[u32]) -> Vec<u32> {
    let known = if hsms_tests::scale() == 100 { 3 } else { systems.len().saturating_sub(2).max(3) };
    std::iter::once(systems[0]).chain(systems[known..].iter().copied()).collect()
}

/// Whole and begun, at and over each limit.
pub fn texts() -> Vec<(u32, u32)> {
    let (max, skip) = (MAX - 10, SKIP - 10);
    let whole = [0, 1, 64, 65, max, max + 1, skip].map(|text| (text, text));
    let begun = [(1, 0), (65, 64), (max, 0), (max + 1, 0), (skip, 1), (skip + 1, 0), (u32::MAX - 10, 0)];
    whole.into_iter().chain(begun).collect()
}

const SESSIONS: [u16; 8] = [0xFFFF, DEVICE, DEVICE + 1, DEVICE | 0x8000, (DEVICE + 1) | 0x8000, 0, 0x7FFF, 0x8000];

/// The products for one state.
pub fn all(situation: &Situation) -> [Product; 4] {
    let systems = systems(situation);
    let known = systems.last().copied().unwrap_or(0);
    [
        Product {
            name: "types",
            session: vec![0xFFFF, DEVICE],
            byte2: vec![0x81],
            byte3: vec![0, 2],
            ptype: every(),
            stype: every(),
            system: vec![0xDEAD_BEEF, known],
            text: vec![(0, 0), (1, 1)],
        },
        Product {
            name: "octets",
            session: vec![DEVICE],
            byte2: every(),
            byte3: every(),
            ptype: vec![0],
            stype: (0..=10).collect(),
            system: few(&systems),
            text: vec![(0, 0)],
        },
        Product {
            name: "sessions",
            session: (0..=0xFFFF).collect(),
            byte2: vec![0x81],
            byte3: vec![0, 1],
            ptype: vec![0],
            stype: vec![0, 1, 3, 5, 7, 9],
            system: vec![known],
            text: vec![(0, 0)],
        },
        Product {
            name: "fields",
            session: SESSIONS.to_vec(),
            byte2: vec![0, 1, 9, 0x7F, 0x81, 0x89, 0xFF],
            byte3: vec![0, 1, 2, 3, 4, 11, 14, 128, 255],
            ptype: vec![0, 1, 128],
            stype: (0..=11).chain([127, 128, 255]).collect(),
            system: systems,
            text: texts(),
        },
    ]
}

/// Everything with everything, to draw from.
pub fn whole(situation: &Situation) -> Product {
    Product {
        name: "whole",
        session: SESSIONS.to_vec(),
        byte2: every(),
        byte3: every(),
        ptype: every(),
        stype: every(),
        system: systems(situation),
        text: texts(),
    }
}

impl Product {
    /// How many messages there are.
    pub fn len(&self) -> u64 {
        self.lens().iter().product()
    }

    fn lens(&self) -> [u64; 7] {
        [
            self.session.len(),
            self.byte2.len(),
            self.byte3.len(),
            self.ptype.len(),
            self.stype.len(),
            self.system.len(),
            self.text.len(),
        ]
        .map(|len| len as u64)
    }

    /// Checks one message in `step`, a prime or 1, from message `first` on. Gives how many these are.
    pub fn each(&self, first: u64, step: u64, mut check: impl FnMut(&Message)) -> u64 {
        // Or some values of that field would never come.
        assert!(step == 1 || self.lens().iter().all(|len| len % step != 0), "a field has a multiple of {step} values");
        let mut cases = 0;
        let mut case = first;
        while case < self.len() {
            check(&self.message(case));
            (cases, case) = (cases + 1, case + step);
        }
        cases
    }

    /// Message `number` of them.
    pub fn message(&self, mut number: u64) -> Message {
        fn of<T: Copy>(values: &[T], number: &mut u64) -> T {
            let len = values.len() as u64;
            let value = values[(*number % len) as usize];
            *number /= len;
            value
        }
        let (text, come) = of(&self.text, &mut number);
        Message {
            text,
            come,
            system: of(&self.system, &mut number),
            session: of(&self.session, &mut number),
            byte3: of(&self.byte3, &mut number),
            byte2: of(&self.byte2, &mut number),
            stype: of(&self.stype, &mut number),
            ptype: of(&self.ptype, &mut number),
        }
    }

    /// A message drawn from them, of those that E37 defines in half the cases: of all headers they are one in 7,000.
    pub fn draw(&self, random: &mut fastrand::Rng) -> Message {
        let mut message = self.message(random.u64(..self.len()));
        if random.bool() {
            message.ptype = 0;
            message.stype = random.u8(..11);
        }
        message
    }
}
