//! Counters that take little room while nothing happens: most of them are zero or small for good.

use crate::meter::Meter;
use hsms_core::counters::Counters;
use std::sync::Arc;

/// The counters of a peer.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Each count in groups of seven bits, the last first, bit 7 set where another follows; zeros at the end left out. Of
    /// no meaning while they are open.
    packed: Box<[u8]>,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    counters: Counters,
    meter: Meter,
}

impl Tally {
    /// To count.
    pub(super) fn open(&mut self) -> &mut Counters {
        &mut self.open_both().counters
    }

    pub(super) fn meter(&mut self) -> &mut Meter {
        &mut self.open_both().meter
    }

    fn open_both(&mut self) -> &mut Open {
        self.open.get_or_insert_with(|| {
            let counters = unpack(&self.packed);
            Box::new(Open { counters, meter: Meter::of(&counters) })
        })
    }

    /// Tells what has been counted to whoever wants to know it.
    pub(super) fn tell(&mut self, name: &Arc<str>, open_transactions: usize) {
        if let Some(open) = &mut self.open {
            open.meter.tell(Some(name), &open.counters, open_transactions);
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.open.as_ref().map_or_else(|| unpack(&self.packed), |open| open.counters)
    }

    /// Nothing more is to be counted for now.
    pub(super) fn rest(&mut self) {
        if let Some(mut open) = self.open.take_if(|open| !open.meter.waits()) {
            self.packed = pack(&mut open.counters);
        }
    }
}

fn pack(counters: &mut Counters) -> Box<[u8]> {
    let mut packed = Vec::with_capacity(256);
    let mut end = 0;
    counters.each_mut(|count| {
        let mut left = *count;
        while left > 0x7F {
            packed.push(0x80 | (left & 0x7F) as u8);
            left >>= 7;
        }
        packed.push(left as u8);
        if *count != 0 {
            end = packed.len();
        }
    });
    packed.truncate(end);
    packed.into_boxed_slice()
}

fn unpack(packed: &[u8]) -> Counters {
    let mut counters = Counters::new();
    let mut octets = packed.iter();
    counters.each_mut(|count| {
        let mut shift = 0;
        for octet in octets.by_ref() {
            *count |= u64::from(octet & 0x7F) << shift;
            shift += 7;
            if octet & 0x80 == 0 {
                break;
            }
        }
    });
    counters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_every_size_survive_a_rest() {
        let mut tally = Tally::default();
        assert_eq!(tally.counters(), Counters::new());
        for scale in [0, 1, 0x7F, 0x80, 0x3FFF, 0x4000, u64::from(u32::MAX), u64::MAX / 128] {
            let mut number = 0;
            tally.open().each_mut(|count| {
                number += 1;
                *count = scale * (number % 3) + number;
            });
            let before = tally.counters();
            tally.rest();
            assert!(tally.open.is_none());
            assert_eq!(tally.counters(), before);
        }
        tally.open().each_mut(|count| *count = u64::MAX);
        tally.rest();
        tally.open().each_mut(|count| assert_eq!(*count, u64::MAX));
    }

    #[test]
    fn what_has_been_counted_once_takes_little() {
        let mut tally = Tally::default();
        tally.open().connections = 1;
        tally.open().received.messages.select_req = 1;
        tally.rest();
        assert!(tally.open.is_none() && tally.packed.len() < 128, "{}", tally.packed.len());
    }
}
