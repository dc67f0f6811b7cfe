//! Settings that survive a restart, in a page of flash, with the codec that the firmware has.

use hsms_embassy::hsms_core::config::{ConfigError, DeviceIds, Profile};
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

/// The same settings, each through the function that judges it.
fn set_one_by_one(config: &Config) -> Result<Config, ConfigError> {
    let device_ids = match config.device_ids() {
        ids if *ids == DeviceIds::ANY => DeviceIds::ANY,
        ids => DeviceIds::list(ids.as_slice())?,
    };
    Config::host(DeviceId::new(0).unwrap())
        .with_mode(config.mode())
        .with_entity(config.entity())
        .with_select_mode(config.select_mode())
        .with_device_ids(device_ids)
        .with_t3(config.t3())?
        .with_t5(config.t5())?
        .with_t6(config.t6())?
        .with_t7(config.t7())?
        .with_t8(config.t8())?
        .with_linktest_period(config.linktest_period())?
        .with_linktest_threshold(config.linktest_threshold())?
        .with_max_message(config.max_message())?
        .with_skip_limit(config.skip_limit())?
        .with_profile(config.profile())
}

#[test]
fn settings_come_back_from_flash_and_nothing_impossible_does() {
    let mut page = [0xFF; 128];
    assert_eq!(load(&page), None, "erased");
    for profile in [Profile::Lenient, Profile::Strict] {
        let config = Config::equipment(DeviceId::new(0x7FFF).unwrap())
            .with_t3(Duration::from_secs(120))
            .and_then(|config| config.with_linktest_period(Duration::from_secs(86_400)))
            .and_then(|config| config.with_profile(profile))
            .unwrap();
        let len = save(&config, &mut page).unwrap();
        assert_eq!(load(&page), Some(config));
        assert!(len <= 64, "{len} octets");
        // Whatever becomes of the page, what is loaded is valid or nothing is.
        for (at, value) in (0..len).flat_map(|at| (0..=255).map(move |value| (at, value))) {
            let mut page = page;
            page[at] = value;
            if let Some(loaded) = load(&page) {
                assert_eq!(page[0], VERSION);
                assert_eq!(set_one_by_one(&loaded), Ok(loaded), "octet {at} is {value}");
            }
        }
    }
}
