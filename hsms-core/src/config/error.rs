//! What a setting can be refused with.

use core::fmt;

/// A setting, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Field {
    /// T3, the reply timeout, in milliseconds.
    T3,
    /// T5, the connect separation time, in milliseconds.
    T5,
    /// T6, the control transaction timeout, in milliseconds.
    T6,
    /// T7, the not selected timeout, in milliseconds.
    T7,
    /// T8, the network intercharacter timeout, in milliseconds.
    T8,
    /// The linktest period, in milliseconds.
    LinktestPeriod,
    /// The linktest threshold, in missed responses.
    LinktestThreshold,
    /// The greatest length field accepted, in octets.
    MaxMessage,
    /// The greatest length field that is skipped, in octets.
    SkipLimit,
    /// A device id.
    DeviceId,
    /// The number of device ids.
    DeviceIds,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::T3 => "T3 in milliseconds",
            Field::T5 => "T5 in milliseconds",
            Field::T6 => "T6 in milliseconds",
            Field::T7 => "T7 in milliseconds",
            Field::T8 => "T8 in milliseconds",
            Field::LinktestPeriod => "the linktest period in milliseconds",
            Field::LinktestThreshold => "the linktest threshold",
            Field::MaxMessage => "the greatest message length",
            Field::SkipLimit => "the skip limit",
            Field::DeviceId => "the device id",
            Field::DeviceIds => "the number of device ids",
        })
    }
}

/// A value outside its range. The caller is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConfigError {
    /// Which setting.
    pub field: Field,
    /// The value given, in the field's unit.
    pub value: u64,
    /// The smallest value allowed.
    pub min: u64,
    /// The greatest value allowed.
    pub max: u64,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}; it must lie between {} and {}", self.field, self.value, self.min, self.max)
    }
}

impl core::error::Error for ConfigError {}
