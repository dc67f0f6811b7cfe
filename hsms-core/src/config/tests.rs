//! Ranges, defaults and what the strict profile refuses.

use super::*;

const DEVICE: DeviceId = DeviceId::new(7).unwrap();

type Setter = fn(Config, Duration) -> Result<Config, ConfigError>;

const TIMERS: [(Field, Setter); 6] = [
    (Field::T3, Config::with_t3),
    (Field::T5, Config::with_t5),
    (Field::T6, Config::with_t6),
    (Field::T7, Config::with_t7),
    (Field::T8, Config::with_t8),
    (Field::LinktestPeriod, Config::with_linktest_period),
];

#[test]
fn timers_accept_ten_milliseconds_to_a_day_and_name_what_they_refuse() {
    for (field, set) in TIMERS {
        for good in [10, 11, 86_399_999, 86_400_000] {
            assert!(set(Config::host(DEVICE), Duration::from_millis(good)).is_ok(), "{field} {good}");
        }
        for bad in [1, 9, 86_400_001, u64::MAX] {
            assert_eq!(
                set(Config::host(DEVICE), Duration::from_millis(bad)),
                Err(ConfigError { field, value: bad, min: 10, max: 86_400_000 })
            );
        }
    }
    assert_eq!(Config::host(DEVICE).with_linktest_period(Duration::ZERO).unwrap().linktest_period(), Duration::ZERO);
    assert!(Config::host(DEVICE).with_t3(Duration::ZERO).is_err());
    assert!(Config::host(DEVICE).with_t3(Duration::MAX).is_err());
}

#[test]
fn the_strict_profile_refuses_what_e37_does_not_name_in_either_order() {
    let strict = Config::host(DEVICE).with_profile(Profile::Strict).unwrap();
    for (field, set) in &TIMERS[..5] {
        let max = if matches!(field, Field::T3 | Field::T8) { 120_000 } else { 240_000 };
        for good in [1_000, max] {
            assert!(set(strict, Duration::from_millis(good)).is_ok());
        }
        for bad in [999, max + 1] {
            let error = ConfigError { field: *field, value: bad, min: 1_000, max };
            assert_eq!(set(strict, Duration::from_millis(bad)), Err(error));
            let lenient = set(Config::host(DEVICE), Duration::from_millis(bad)).unwrap();
            assert!(lenient.outside_standard().eq([error]));
            assert_eq!(lenient.with_profile(Profile::Strict), Err(error));
        }
    }
    assert!(strict.with_linktest_threshold(2).is_err());
    let tolerant = Config::host(DEVICE).with_linktest_threshold(3).unwrap();
    assert_eq!(tolerant.linktest_threshold(), 3);
    assert_eq!(tolerant.with_profile(Profile::Strict).unwrap_err().field, Field::LinktestThreshold);
    assert_eq!(Config::host(DEVICE).outside_standard().count(), 0);
}

#[test]
fn limits_keep_their_order() {
    let config = Config::host(DEVICE).with_max_message(1_000).unwrap();
    assert_eq!(config.skip_limit(), 4_000);
    assert_eq!(config.with_skip_limit(999).unwrap_err().min, 1_000);
    assert_eq!(config.with_skip_limit(1_000).unwrap().skip_limit(), 1_000);
    assert_eq!(Config::host(DEVICE).with_max_message(9).unwrap_err().field, Field::MaxMessage);
    assert_eq!(Config::host(DEVICE).with_max_message(u32::MAX).unwrap().skip_limit(), u32::MAX);
    assert!(Config::host(DEVICE).with_linktest_threshold(0).is_err());
}

#[test]
fn device_ids_have_fifteen_bits_and_lists_are_bounded() {
    assert_eq!(DeviceId::new(32_767), Some(DeviceId::MAX));
    assert_eq!(DeviceId::new(32_768), None);
    assert_eq!(DeviceId::try_from(40_000).unwrap_err().value, 40_000);
    assert_eq!(DeviceIds::list(&[]).unwrap_err().field, Field::DeviceIds);
    assert!(DeviceIds::list(&[DEVICE; MAX_DEVICE_IDS + 1]).is_err());
    let list = DeviceIds::list(&[DEVICE, DeviceId::MAX]).unwrap();
    assert_eq!(std::format!("{:?} {list:?}", DeviceIds::ANY), "any [DeviceId(7), DeviceId(32767)]");
    assert!(list.contains(DeviceId::MAX) && !list.contains(DeviceId::new(8).unwrap()));
    assert!(DeviceIds::ANY.contains(DeviceId::new(8).unwrap()));
}

#[cfg(feature = "serde")]
#[test]
fn settings_survive_a_restart_and_are_checked_when_they_come_back() {
    use std::string::ToString;

    let ids = DeviceIds::list(&[DEVICE, DeviceId::MAX]).unwrap();
    for config in [
        Config::host(DEVICE),
        Config::equipment(DEVICE)
            .with_device_ids(ids)
            .with_t3(Duration::from_millis(1_234))
            .unwrap()
            .with_max_message(100)
            .unwrap()
            .with_skip_limit(100)
            .unwrap()
            .with_profile(Profile::Strict)
            .unwrap(),
        Config::host(DEVICE).with_device_ids(DeviceIds::ANY),
    ] {
        let stored = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&stored).unwrap(), config);
    }
    let stored = serde_json::to_string(&Config::host(DEVICE)).unwrap();
    for (good, bad, told) in [
        ("\"t3_ms\":45000", "\"t3_ms\":3", "T3 in milliseconds is 3; it must lie between 10 and 86400000"),
        ("\"list\":[7]", "\"list\":[]", "the number of device ids is 0; it must lie between 1 and 8"),
        ("\"list\":[7]", "\"list\":[40000]", "the device id is 40000; it must lie between 0 and 32767"),
    ] {
        let broken = stored.replace(good, bad);
        assert_ne!(broken, stored);
        let error = serde_json::from_str::<Config>(&broken).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
