//! What a list of sessions costs.

use hsms_core::connection::{Connection, General, SessionEntity};
use hsms_core::wire::SessionId;

#[test]
fn a_further_session_takes_40_octets() {
    let single = size_of::<Connection<4>>();
    let (four, five) = (size_of::<Connection<4, General<4>>>(), size_of::<Connection<4, General<5>>>());
    println!("Connection<4> {single}, Connection<4, General<4>> {four}, a further session {}", five - four);
    assert_eq!(five - four, 40);
    assert!(four <= single + 4 * 40 + 16, "{four}");
    assert_eq!(size_of::<Connection<4, General<20>>>() - four, 16 * 40);
}

#[test]
fn a_list_shows_the_entities_that_it_was_made_of() {
    let made = [SessionEntity::offered(SessionId(3)), SessionEntity::wanted(SessionId(9))];
    for count in 0..=2 {
        let list = General::<2>::new(&made[..count]).unwrap();
        assert!(list.entities().eq(&made[..count]), "{list:?}");
    }
}
