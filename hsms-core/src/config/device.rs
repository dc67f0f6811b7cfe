//! Device ids.

use super::{ConfigError, Field};
use crate::wire::SessionId;
use core::fmt;

/// A device id: 0 to 32767 (E37.1 8.1, E5 2.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "u16", into = "u16"))]
pub struct DeviceId(u16);

impl DeviceId {
    /// The greatest device id.
    pub const MAX: DeviceId = DeviceId(0x7FFF);

    /// Device id `id`, or `None` above 32767.
    #[must_use]
    pub const fn new(id: u16) -> Option<Self> {
        if id <= Self::MAX.0 { Some(DeviceId(id)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The session id of data messages of this device.
    #[must_use]
    pub const fn session(self) -> SessionId {
        SessionId(self.0)
    }
}

impl TryFrom<u16> for DeviceId {
    type Error = ConfigError;

    fn try_from(id: u16) -> Result<Self, ConfigError> {
        DeviceId::new(id).ok_or(ConfigError {
            field: Field::DeviceId,
            value: u64::from(id),
            min: 0,
            max: u64::from(Self::MAX.0),
        })
    }
}

impl From<DeviceId> for u16 {
    fn from(id: DeviceId) -> u16 {
        id.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many device ids a connection can list.
pub const MAX_DEVICE_IDS: usize = 8;

/// The device ids that a connection serves (E37.1 5.3: at least one, or several sub-devices).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "DeviceIdsForm", into = "DeviceIdsForm"))]
pub struct DeviceIds {
    // Plain arrays keep `Config` free of destructors, and so its setters `const`. Unused places are zero.
    ids: [DeviceId; MAX_DEVICE_IDS],
    /// Zero stands for any.
    len: u8,
}

/// What is stored: `"any"` or a list of numbers.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeviceIdsForm {
    Any,
    List(heapless::Vec<DeviceId, MAX_DEVICE_IDS, u8>),
}

#[cfg(feature = "serde")]
impl TryFrom<DeviceIdsForm> for DeviceIds {
    type Error = ConfigError;

    fn try_from(form: DeviceIdsForm) -> Result<Self, ConfigError> {
        match form {
            DeviceIdsForm::Any => Ok(DeviceIds::ANY),
            DeviceIdsForm::List(ids) => DeviceIds::list(&ids),
        }
    }
}

#[cfg(feature = "serde")]
impl From<DeviceIds> for DeviceIdsForm {
    fn from(ids: DeviceIds) -> Self {
        if ids == DeviceIds::ANY {
            return DeviceIdsForm::Any;
        }
        // As many as there are places.
        DeviceIdsForm::List(heapless::Vec::from_slice(ids.as_slice()).unwrap_or_default())
    }
}

impl DeviceIds {
    /// Every device id is served: for a listener that learns later who called, or a host that watches.
    pub const ANY: DeviceIds = DeviceIds { ids: [DeviceId(0); MAX_DEVICE_IDS], len: 0 };

    /// One device.
    #[must_use]
    pub const fn one(id: DeviceId) -> Self {
        let mut one = Self::ANY;
        let [first, ..] = &mut one.ids;
        *first = id;
        one.len = 1;
        one
    }

    /// These devices.
    ///
    /// # Errors
    /// A [`ConfigError`] that names how many there may be: 1 to [`MAX_DEVICE_IDS`].
    pub fn list(ids: &[DeviceId]) -> Result<Self, ConfigError> {
        let value = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let mut list = Self::ANY;
        match (u8::try_from(ids.len()), list.ids.get_mut(..ids.len())) {
            (Ok(len @ 1..), Some(places)) => {
                places.iter_mut().zip(ids).for_each(|(place, id)| *place = *id);
                list.len = len;
                Ok(list)
            }
            _ => Err(ConfigError { field: Field::DeviceIds, value, min: 1, max: 8 }),
        }
    }

    /// Whether `id` is served.
    #[must_use]
    #[inline]
    pub fn contains(&self, id: DeviceId) -> bool {
        // One device is the usual case. Where none is listed every id is served, so the unused first place does no harm.
        let [first, ..] = self.ids;
        first == id || self.len == 0 || self.as_slice().contains(&id)
    }

    /// The listed ids; empty for [`DeviceIds::ANY`].
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[DeviceId] {
        self.ids.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl From<DeviceId> for DeviceIds {
    fn from(id: DeviceId) -> Self {
        DeviceIds::one(id)
    }
}

/// `any`, or the list.
impl fmt::Debug for DeviceIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.len == 0 { f.write_str("any") } else { f.debug_list().entries(self.as_slice()).finish() }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for DeviceIds {
    fn format(&self, f: defmt::Formatter<'_>) {
        if self.len == 0 {
            defmt::write!(f, "any");
        } else {
            defmt::write!(f, "{}", self.as_slice());
        }
    }
}
