//! Settings that survive a restart, in a page of flash, with the codec that the firmware has.

use hsms_embassy::hsms_core::config::Profile;
use hsms_embassy::{Config, DeviceId};
use std::time::Duration;

#[path = "../../../hsms-embassy/examples/firmware/src/stored.rs"]
mod stored;

use stored::{VERSION, save};

/// As much as all settings take.
type Page = [u8; stored::MOST];

/// `None` where the page is empty, of another version, or does not hold settings that are possible: the defaults then.
fn load(page: &Page) -> Option<Config> {
    stored::load(page).ok()
}

#[test]
fn settings_come_back_from_flash_and_nothing_impossible_does() {
    let mut page = [0xFF; 128];
    assert_eq!(load(&page), None, "erased");
    let config = Config::equipment(DeviceId::new(0x7FFF).unwrap())
        .with_t3(Duration::from_secs(120))
        .and_then(|config| config.with_linktest_period(Duration::from_secs(86_400)))
        .and_then(|config| config.with_profile(Profile::Strict))
        .unwrap();
    let len = save(&config, &mut page).unwrap();
    assert_eq!(load(&page), Some(config));
    assert!(len <= 64, "{len} octets");
    // Whatever becomes of the page, what is loaded is valid or nothing is.
    for at in 0..len {
        for value in 0..=255 {
            let mut page = page;
            page[at] = value;
            if let Some(loaded) = load(&page) {
                assert_eq!(page[0], VERSION);
                assert!(loaded.t3() >= Duration::from_millis(10) && loaded.t3() <= Duration::from_secs(86_400));
            }
        }
    }
}
