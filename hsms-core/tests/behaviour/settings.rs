//! Settings that come back from a file: what is out of range there is refused as a setter refuses it.

use hsms_core::config::{DeviceId, DeviceIds};
use hsms_core::{Config, Connection};

#[test]
fn each_setting_in_a_file_is_checked_as_its_setter_does() {
    let config = Config::host(DeviceId::new(7).unwrap());
    let whole = serde_json::to_value(config).unwrap();
    assert_eq!(serde_json::from_value::<Config>(whole.clone()).unwrap(), config);
    for (key, value, words) in [
        ("t3_ms", 9_u32, "T3 in milliseconds is 9;"),
        ("t5_ms", 9, "T5 in milliseconds is 9;"),
        ("t6_ms", 9, "T6 in milliseconds is 9;"),
        ("t7_ms", 9, "T7 in milliseconds is 9;"),
        ("t8_ms", 9, "T8 in milliseconds is 9;"),
        ("linktest_period_ms", 9, "the linktest period in milliseconds is 9;"),
        ("linktest_threshold", 0, "the linktest threshold is 0;"),
        ("max_message", 9, "the greatest message length is 9;"),
        ("skip_limit", 9, "the skip limit is 9;"),
    ] {
        let mut wrong = whole.clone();
        assert!(wrong.get(key).is_some(), "{key} in {whole}");
        wrong[key] = value.into();
        let error = serde_json::from_value::<Config>(wrong).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
}

#[test]
fn our_data_has_a_session_id_of_its_own_where_there_is_one_device() {
    let [first, second] = [3, 4].map(|id| DeviceId::new(id).unwrap());
    for (devices, sole) in [
        (DeviceIds::one(first), Some(first.session())),
        (DeviceIds::list(&[first, second]).unwrap(), None),
        (DeviceIds::ANY, None),
    ] {
        let connection = Connection::<4>::new(Config::host(first).with_device_ids(devices));
        assert_eq!(connection.sole_session(), sole, "{devices:?}");
    }
}
