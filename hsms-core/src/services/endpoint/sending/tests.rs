//! Of what takes four thousand million sendings to see from outside.

use super::{Sendings, Ticket, What};
use crate::services::{SendError, ServiceId};
use crate::time::Instant;
use crate::wire::StreamFunction;

#[test]
fn a_ticket_that_is_in_use_is_not_given_again_where_the_numbers_begin_anew() {
    let mut sendings = Sendings::<3>::new();
    let add = |sendings: &mut Sendings<3>| {
        let what = What::Service { service: ServiceId::READ, data_id: 7 };
        sendings.add(what, StreamFunction::new(64, 11), true, Instant::EPOCH)
    };
    assert_eq!(add(&mut sendings), Ok(Ticket(1)));
    sendings.last = u32::MAX - 1;
    assert_eq!(add(&mut sendings), Ok(Ticket(u32::MAX)));
    assert_eq!(add(&mut sendings), Ok(Ticket(0)));
    assert_eq!(add(&mut sendings), Err(SendError::Full));
    assert!(sendings.take(|sending| sending.ticket == Ticket(u32::MAX)).is_some());
    // 1 is in use.
    assert_eq!(add(&mut sendings), Ok(Ticket(2)));
}
