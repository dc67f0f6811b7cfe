//! Octets for people: lower-case hexadecimal with colons.

use core::fmt;

/// Prints octets as colon-separated lower-case hexadecimal.
///
/// ```
/// use hsms_core::wire::Hex;
///
/// let octets = [0x00, 0x0a, 0xff];
/// assert_eq!(Hex::new(&octets).to_string(), "00:0a:ff");
/// assert_eq!(Hex::bounded(&octets, 2).to_string(), "00:0a:… (3 octets)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex<'a> {
    octets: &'a [u8],
    most: usize,
}

impl<'a> Hex<'a> {
    /// Prints all of `octets`.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Hex { octets, most: usize::MAX }
    }

    /// Prints at most the first `most` of `octets`, and how many there are where that leaves some out.
    #[must_use]
    pub const fn bounded(octets: &'a [u8], most: usize) -> Self {
        Hex { octets, most }
    }
}

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for octet in self.octets.iter().take(self.most) {
            write!(f, "{separator}{octet:02x}")?;
            separator = ":";
        }
        if self.octets.len() > self.most {
            write!(f, "{separator}… ({} octets)", self.octets.len())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Hex<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}
