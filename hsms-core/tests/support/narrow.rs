//! A log with little room.

use std::fmt::{Display, Error, Result, Write};

/// Takes so many octets and no more.
struct Narrow {
    text: String,
    room: usize,
}

impl Write for Narrow {
    fn write_str(&mut self, part: &str) -> Result {
        if self.text.len() + part.len() > self.room {
            return Err(Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

/// Prints with every room up to what the whole takes.
pub(crate) fn broken_off_at_every_octet(printed: &impl Display) {
    let whole = printed.to_string();
    for room in 0..=whole.len() {
        let mut narrow = Narrow { text: String::new(), room };
        assert_eq!(write!(narrow, "{printed}").is_ok(), room == whole.len(), "{room} of {whole}");
        assert!(whole.starts_with(&narrow.text), "{whole}");
    }
}
