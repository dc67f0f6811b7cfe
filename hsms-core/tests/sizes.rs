//! Sizes that the documentation promises.

use hsms_core::connection::{Action, Connection, Inbound};

#[test]
fn a_connection_is_small_and_a_further_transaction_takes_sixteen_octets() {
    println!("Connection<4> {}", size_of::<Connection<4>>());
    println!("Action {} Inbound {}", size_of::<Action>(), size_of::<Inbound<'_>>());
    // What the sessions of HSMS-GS cost those who do not use them is nothing: not an octet may be added here unnoticed.
    #[cfg(target_pointer_width = "64")]
    assert_eq!(size_of::<Connection<4>>(), 416);
    assert_eq!(size_of::<Connection<5>>() - size_of::<Connection<4>>(), 16);
    assert_eq!(size_of::<Action>(), 20);
}
