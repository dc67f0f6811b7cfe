//! Sizes that the documentation promises.

use hsms_core::connection::{Action, Connection, Inbound};

#[test]
fn a_connection_is_small_and_a_further_transaction_takes_sixteen_octets() {
    println!("Connection<4> {}", size_of::<Connection<4>>());
    println!("Action {} Inbound {}", size_of::<Action>(), size_of::<Inbound<'_>>());
    assert!(size_of::<Connection<4>>() <= 448);
    assert!(size_of::<Connection<5>>() - size_of::<Connection<4>>() <= 24);
    assert_eq!(size_of::<Action>(), 20);
}
