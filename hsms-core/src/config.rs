//! Settings of a connection: always valid, `const`, and with the `serde` feature able to survive a restart.

mod device;
mod error;

pub use device::{DeviceId, DeviceIds, MAX_DEVICE_IDS};
pub use error::{ConfigError, Field};

use core::time::Duration;

/// Which end dials (E37 6.3.1). It has nothing to do with who is host and who is equipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ConnectMode {
    /// Dials the peer's published port, and in HSMS-SS sends the Select.req.
    Active,
    /// Listens on its own published port.
    Passive,
}

/// What the application behind this end is. Only equipment sends stream 9 (E37 9.4.2, E5 7.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Entity {
    /// The factory's side.
    Host,
    /// The tool's side.
    Equipment,
}

/// How much deviation from E37.1 a connection lives with. The documentation of
/// [`Leniency`](crate::connection::Leniency) lists what the default profile accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Profile {
    /// Sends strictly and accepts what equipment in the field does; every leniency used is reported.
    #[default]
    Lenient,
    /// Closes on what E37.1 calls a communication failure.
    Strict,
}

/// Whether the active side selects by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SelectMode {
    /// Select.req follows at once when the transport is open (E37.1 Table 2 row 2).
    #[default]
    OnConnect,
    /// The application selects by command; until then T7 guards the connection.
    OnCommand,
}

/// All settings of a connection.
///
/// Values are checked when they are set, so a `Config` is always valid; the order of the setters does not matter.
/// Everything is `const`, so that a connection fits into a `static`.
///
/// | setting | default | range |
/// |---|---|---|
/// | T3 reply | 45 s | 10 ms to 86,400 s (E37: 1 to 120 s) |
/// | T5 connect separation | 10 s | 10 ms to 86,400 s (E37: 1 to 240 s) |
/// | T6 control transaction | 5 s | 10 ms to 86,400 s (E37: 1 to 240 s) |
/// | T7 not selected | 10 s | 10 ms to 86,400 s (E37: 1 to 240 s) |
/// | T8 network intercharacter | 5 s | 10 ms to 86,400 s (E37: 1 to 120 s) |
/// | linktest period | 30 s | 0 (off), 10 ms to 86,400 s |
/// | linktest threshold | 1 | 1 to 255 |
/// | greatest message length | 16 MiB of text | 10 to 2^32 - 1 |
/// | skip limit | 4 times that | greatest message length to 2^32 - 1 |
///
/// Timers are kept in whole milliseconds. The strict profile accepts only what E37 10.1 names.
///
/// ```
/// use hsms_core::config::{Config, DeviceId, Field};
/// use core::time::Duration;
///
/// let device = DeviceId::try_from(7_u16)?;
/// let config = Config::equipment(device).with_t3(Duration::from_secs(20))?.with_max_message(1 << 20)?;
/// assert_eq!(config.t3(), Duration::from_secs(20));
///
/// let error = config.with_t8(Duration::from_millis(9)).unwrap_err();
/// assert_eq!(error.to_string(), "T8 in milliseconds is 9; it must lie between 10 and 86400000");
/// assert_eq!(error.field, Field::T8);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Form", into = "Form"))]
pub struct Config {
    pub(crate) mode: ConnectMode,
    pub(crate) entity: Entity,
    pub(crate) profile: Profile,
    pub(crate) select: SelectMode,
    pub(crate) linktest_threshold: u8,
    pub(crate) device_ids: DeviceIds,
    // Milliseconds.
    pub(crate) t3: u32,
    pub(crate) t5: u32,
    pub(crate) t6: u32,
    pub(crate) t7: u32,
    pub(crate) t8: u32,
    pub(crate) linktest_period: u32,
    // Values of the length field.
    pub(crate) max_message: u32,
    pub(crate) skip_limit: u32,
}

/// The range of every timer, in milliseconds: 10 ms to a day.
const TIMER_MIN: u64 = 10;
const TIMER_MAX: u64 = 86_400_000;

/// A text of 16 MiB, which is more than a SECS-II item can hold, and the header.
const DEFAULT_MAX_MESSAGE: u32 = 16 * 1024 * 1024 + crate::wire::MIN_LENGTH;

impl Config {
    /// The defaults for this role.
    #[must_use]
    pub const fn new(mode: ConnectMode, entity: Entity, device_ids: DeviceIds) -> Self {
        Config {
            mode,
            entity,
            profile: Profile::Lenient,
            select: SelectMode::OnConnect,
            linktest_threshold: 1,
            device_ids,
            t3: 45_000,
            t5: 10_000,
            t6: 5_000,
            t7: 10_000,
            t8: 5_000,
            linktest_period: 30_000,
            max_message: DEFAULT_MAX_MESSAGE,
            skip_limit: DEFAULT_MAX_MESSAGE.saturating_mul(4),
        }
    }

    /// A host that dials its equipment, as is customary.
    #[must_use]
    pub const fn host(device: DeviceId) -> Self {
        Config::new(ConnectMode::Active, Entity::Host, DeviceIds::one(device))
    }

    /// Equipment that waits for its host, as is customary.
    #[must_use]
    pub const fn equipment(device: DeviceId) -> Self {
        Config::new(ConnectMode::Passive, Entity::Equipment, DeviceIds::one(device))
    }

    /// Which end dials.
    #[must_use]
    pub const fn mode(&self) -> ConnectMode {
        self.mode
    }

    /// Sets which end dials.
    #[must_use]
    pub const fn with_mode(mut self, mode: ConnectMode) -> Self {
        self.mode = mode;
        self
    }

    /// Host or equipment.
    #[must_use]
    pub const fn entity(&self) -> Entity {
        self.entity
    }

    /// Sets host or equipment.
    #[must_use]
    pub const fn with_entity(mut self, entity: Entity) -> Self {
        self.entity = entity;
        self
    }

    /// The tolerance profile.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Sets the tolerance profile.
    ///
    /// # Errors
    /// Where the profile is strict and a timer lies outside what E37 10.1 names: the first such timer.
    pub const fn with_profile(mut self, profile: Profile) -> Result<Self, ConfigError> {
        self.profile = profile;
        if let Profile::Strict = profile
            && let Some(error) = self.first_outside_standard()
        {
            return Err(error);
        }
        Ok(self)
    }

    /// Whether the active side selects by itself.
    #[must_use]
    pub const fn select_mode(&self) -> SelectMode {
        self.select
    }

    /// Sets whether the active side selects by itself.
    #[must_use]
    pub const fn with_select_mode(mut self, select: SelectMode) -> Self {
        self.select = select;
        self
    }

    /// The device ids served.
    #[must_use]
    pub const fn device_ids(&self) -> &DeviceIds {
        &self.device_ids
    }

    /// Sets the device ids served.
    #[must_use]
    pub const fn with_device_ids(mut self, device_ids: DeviceIds) -> Self {
        self.device_ids = device_ids;
        self
    }

    /// T3, the reply timeout (E37 9.4.1).
    #[must_use]
    pub const fn t3(&self) -> Duration {
        Duration::from_millis(self.t3 as u64)
    }

    /// Sets T3.
    ///
    /// # Errors
    /// Outside 10 ms to 86,400 s, or in the strict profile outside 1 to 120 s.
    pub const fn with_t3(mut self, t3: Duration) -> Result<Self, ConfigError> {
        match self.timer(Field::T3, t3) {
            Ok(millis) => self.t3 = millis,
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// T5, the connect separation time (E37 9.2.1).
    #[must_use]
    pub const fn t5(&self) -> Duration {
        Duration::from_millis(self.t5 as u64)
    }

    /// Sets T5.
    ///
    /// # Errors
    /// Outside 10 ms to 86,400 s, or in the strict profile outside 1 to 240 s.
    pub const fn with_t5(mut self, t5: Duration) -> Result<Self, ConfigError> {
        match self.timer(Field::T5, t5) {
            Ok(millis) => self.t5 = millis,
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// T6, the control transaction timeout (E37 9.3.1).
    #[must_use]
    pub const fn t6(&self) -> Duration {
        Duration::from_millis(self.t6 as u64)
    }

    /// Sets T6.
    ///
    /// # Errors
    /// Outside 10 ms to 86,400 s, or in the strict profile outside 1 to 240 s.
    pub const fn with_t6(mut self, t6: Duration) -> Result<Self, ConfigError> {
        match self.timer(Field::T6, t6) {
            Ok(millis) => self.t6 = millis,
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// T7, the not selected timeout (E37 9.2.2).
    #[must_use]
    pub const fn t7(&self) -> Duration {
        Duration::from_millis(self.t7 as u64)
    }

    /// Sets T7.
    ///
    /// # Errors
    /// Outside 10 ms to 86,400 s, or in the strict profile outside 1 to 240 s.
    pub const fn with_t7(mut self, t7: Duration) -> Result<Self, ConfigError> {
        match self.timer(Field::T7, t7) {
            Ok(millis) => self.t7 = millis,
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// T8, the network intercharacter timeout (E37 9.2.3).
    #[must_use]
    pub const fn t8(&self) -> Duration {
        Duration::from_millis(self.t8 as u64)
    }

    /// Sets T8.
    ///
    /// # Errors
    /// Outside 10 ms to 86,400 s, or in the strict profile outside 1 to 120 s.
    pub const fn with_t8(mut self, t8: Duration) -> Result<Self, ConfigError> {
        match self.timer(Field::T8, t8) {
            Ok(millis) => self.t8 = millis,
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// After how long without a received octet a linktest is sent while SELECTED; zero: never. Not in the standard.
    #[must_use]
    pub const fn linktest_period(&self) -> Duration {
        Duration::from_millis(self.linktest_period as u64)
    }

    /// Sets the linktest period; zero switches it off.
    ///
    /// # Errors
    /// Above zero and outside 10 ms to 86,400 s.
    pub const fn with_linktest_period(mut self, period: Duration) -> Result<Self, ConfigError> {
        if period.is_zero() {
            self.linktest_period = 0;
            return Ok(self);
        }
        match self.timer(Field::LinktestPeriod, period) {
            Ok(millis) => self.linktest_period = millis,
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// How many linktests in a row may stay without an answer, and without any other octet received, before the link
    /// counts as failed. 1 is what E37 7.5 says, and what holds while NOT SELECTED, where HSMS-GS has linktests as well.
    #[must_use]
    pub const fn linktest_threshold(&self) -> u8 {
        self.linktest_threshold
    }

    /// Sets the linktest threshold.
    ///
    /// # Errors
    /// Zero; in the strict profile, anything but 1.
    pub const fn with_linktest_threshold(mut self, threshold: u8) -> Result<Self, ConfigError> {
        let max = if matches!(self.profile, Profile::Strict) { 1 } else { u8::MAX };
        match in_range(Field::LinktestThreshold, threshold as u64, 1, max as u64) {
            Ok(_) => self.linktest_threshold = threshold,
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// The greatest length field accepted: header and text in octets.
    #[must_use]
    pub const fn max_message(&self) -> u32 {
        self.max_message
    }

    /// Sets the greatest length field accepted, and the skip limit to four times that.
    ///
    /// # Errors
    /// Below 10.
    pub const fn with_max_message(mut self, length: u32) -> Result<Self, ConfigError> {
        match in_range(Field::MaxMessage, length as u64, crate::wire::MIN_LENGTH as u64, u32::MAX as u64) {
            Ok(_) => self.max_message = length,
            Err(error) => return Err(error),
        }
        self.skip_limit = length.saturating_mul(4);
        Ok(self)
    }

    /// The greatest length field of a message that equipment refuses with S9F11 and skips; above it the link closes.
    #[must_use]
    pub const fn skip_limit(&self) -> u32 {
        self.skip_limit
    }

    /// Sets the skip limit. Set the greatest message length first: that sets this one too.
    ///
    /// # Errors
    /// Below the greatest message length.
    pub const fn with_skip_limit(mut self, length: u32) -> Result<Self, ConfigError> {
        match in_range(Field::SkipLimit, length as u64, self.max_message as u64, u32::MAX as u64) {
            Ok(_) => self.skip_limit = length,
            Err(error) => return Err(error),
        }
        Ok(self)
    }

    /// The settings that lie outside what E37 10.1 and 7.5 name, each with the standard's range. The strict profile has
    /// none.
    pub fn outside_standard(&self) -> impl Iterator<Item = ConfigError> + '_ {
        self.judged().into_iter().flatten()
    }

    const fn first_outside_standard(&self) -> Option<ConfigError> {
        let [t3, t5, t6, t7, t8, threshold] = self.judged();
        match (t3, t5, t6, t7, t8, threshold) {
            (Some(error), ..)
            | (_, Some(error), ..)
            | (_, _, Some(error), ..)
            | (_, _, _, Some(error), ..)
            | (.., Some(error), _)
            | (.., Some(error)) => Some(error),
            _ => None,
        }
    }

    const fn judged(&self) -> [Option<ConfigError>; 6] {
        [
            outside(Field::T3, self.t3),
            outside(Field::T5, self.t5),
            outside(Field::T6, self.t6),
            outside(Field::T7, self.t7),
            outside(Field::T8, self.t8),
            match in_range(Field::LinktestThreshold, self.linktest_threshold as u64, 1, 1) {
                Ok(_) => None,
                Err(error) => Some(error),
            },
        ]
    }

    const fn timer(&self, field: Field, span: Duration) -> Result<u32, ConfigError> {
        let (mut min, mut max) = (TIMER_MIN, TIMER_MAX);
        if let Profile::Strict = self.profile
            && let Some(standard) = standard_range(field)
        {
            (min, max) = standard;
        }
        let seconds = span.as_secs().saturating_mul(1_000);
        in_range(field, seconds.saturating_add(span.subsec_millis() as u64), min, max)
    }
}

/// The value. Every range ends within 32 bits.
const fn in_range(field: Field, value: u64, min: u64, max: u64) -> Result<u32, ConfigError> {
    if value < min || value > max {
        return Err(ConfigError { field, value, min, max });
    }
    let [.., a, b, c, d] = value.to_be_bytes();
    Ok(u32::from_be_bytes([a, b, c, d]))
}

/// What E37 10.1 names for a timer, in milliseconds.
const fn standard_range(field: Field) -> Option<(u64, u64)> {
    match field {
        Field::T3 | Field::T8 => Some((1_000, 120_000)),
        Field::T5 | Field::T6 | Field::T7 => Some((1_000, 240_000)),
        _ => None,
    }
}

const fn outside(field: Field, millis: u32) -> Option<ConfigError> {
    let Some((min, max)) = standard_range(field) else { return None };
    match in_range(field, millis as u64, min, max) {
        Ok(_) => None,
        Err(error) => Some(error),
    }
}

/// What is stored: plain numbers, checked again when they come back.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Form {
    mode: ConnectMode,
    entity: Entity,
    profile: Profile,
    select: SelectMode,
    device_ids: DeviceIds,
    t3_ms: u32,
    t5_ms: u32,
    t6_ms: u32,
    t7_ms: u32,
    t8_ms: u32,
    linktest_period_ms: u32,
    linktest_threshold: u8,
    max_message: u32,
    skip_limit: u32,
}

#[cfg(feature = "serde")]
impl From<Config> for Form {
    fn from(config: Config) -> Self {
        Form {
            mode: config.mode,
            entity: config.entity,
            profile: config.profile,
            select: config.select,
            device_ids: config.device_ids,
            t3_ms: config.t3,
            t5_ms: config.t5,
            t6_ms: config.t6,
            t7_ms: config.t7,
            t8_ms: config.t8,
            linktest_period_ms: config.linktest_period,
            linktest_threshold: config.linktest_threshold,
            max_message: config.max_message,
            skip_limit: config.skip_limit,
        }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Form> for Config {
    type Error = ConfigError;

    fn try_from(form: Form) -> Result<Self, ConfigError> {
        let millis = |value: u32| Duration::from_millis(u64::from(value));
        Config::new(form.mode, form.entity, form.device_ids)
            .with_select_mode(form.select)
            .with_t3(millis(form.t3_ms))?
            .with_t5(millis(form.t5_ms))?
            .with_t6(millis(form.t6_ms))?
            .with_t7(millis(form.t7_ms))?
            .with_t8(millis(form.t8_ms))?
            .with_linktest_period(millis(form.linktest_period_ms))?
            .with_linktest_threshold(form.linktest_threshold)?
            .with_max_message(form.max_message)?
            .with_skip_limit(form.skip_limit)?
            .with_profile(form.profile)
    }
}

#[cfg(test)]
mod tests;
