//! Values and sequences of inputs to test with, for `arbitrary` and `proptest`.
#![doc = include_str!("../../docs/testing.md")]

mod owned;
#[cfg(feature = "proptest")]
mod proptest;
mod script;
#[cfg(feature = "secs2")]
mod secs2;
#[cfg(feature = "services")]
mod services;
mod stream;
mod values;

#[cfg(feature = "proptest")]
pub use self::proptest::octets;
pub use owned::{OwnedInput, OwnedMessage, Seed};
pub use script::{GeneralScript, MAX_STEPS, Script, Step};
pub use stream::{Chunking, PeerOctets};
