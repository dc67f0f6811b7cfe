//! Settings of a connection as octets that survive a restart: a version in front, then what postcard makes of a [`Config`].

use hsms_core::Config;

/// Of the layout behind it. Whoever changes what follows counts it up.
pub const VERSION: u8 = 1;

/// Octets that stored settings take at most.
pub const MOST: usize = 128;

/// Writes settings to the front of `octets`, and gives how many they take.
///
/// # Errors
/// Where they do not fit; [`MOST`] are enough.
pub fn save(config: &Config, octets: &mut [u8]) -> postcard::Result<usize> {
    let Some((version, settings)) = octets.split_first_mut() else { return Err(postcard::Error::SerializeBufferFull) };
    *version = VERSION;
    Ok(postcard::to_slice(config, settings)?.len() + 1)
}

/// Settings from the front of `octets`, checked as if they were made anew.
///
/// # Errors
/// What is wrong with them. Where nothing was ever stored the version is another one.
pub fn load(octets: &[u8]) -> Result<Config, &'static str> {
    match octets.split_first() {
        Some((&VERSION, settings)) => postcard::from_bytes(settings).map_err(|_| "the stored settings are damaged"),
        _ => Err("the stored settings are of another version"),
    }
}
