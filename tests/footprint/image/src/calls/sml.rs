//! SML into whatever takes text.

use core::fmt::{Error, Write};
use hsms_core::secs2::Sml;

fn print(sml: &Sml<'_>, out: &mut dyn Write) -> Result<(), Error> {
    write!(out, "{sml}")
}

footprint_image::calls![Sml::new, Sml::message, Sml::limited, print];
