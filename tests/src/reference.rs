//! A decoder of HSMS messages written anew from E37 8.1, octet by octet. It shares no code with the core's: it keeps everything
//! that comes and looks at it whole.

/// A message as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// Session id.
    pub session: u16,
    /// Header octets 2 to 5.
    pub codes: [u8; 4],
    /// System bytes.
    pub system: u32,
    /// The text.
    pub text: Vec<u8>,
}

/// What a header means, by E37 8.1.4 and 7.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Stream, function, W-bit.
    Data(u8, u8, bool),
    /// SType of a control message, and header octets 2 and 3.
    Control(u8, u8, u8),
    /// Refused with this reason.
    Refused(u8),
}

impl Plain {
    /// What the header means.
    #[must_use]
    pub const fn meaning(&self) -> Meaning {
        let [second, third, presentation, session_type] = self.codes;
        match (presentation, session_type) {
            (0, 0) => Meaning::Data(second % 128, third, second >= 128),
            (0, 1..=7 | 9) => Meaning::Control(session_type, second, third),
            (0, _) => Meaning::Refused(1),
            _ => Meaning::Refused(2),
        }
    }
}

/// What a stream holds, as far as it can be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stream {
    /// The whole messages.
    pub messages: Vec<Plain>,
    /// Octets behind the last of them.
    pub behind: Vec<u8>,
    /// The length field behind the last of them, where it is there and below 10. Nothing is taken apart from there on.
    pub impossible: Option<u32>,
}

impl Stream {
    /// Takes one octet more.
    pub fn push(&mut self, octet: u8) {
        self.behind.push(octet);
        if self.behind.len() < 4 || self.impossible.is_some() {
            return;
        }
        let number = |octets: &[u8]| octets.iter().fold(0, |number: u64, octet| number * 256 + u64::from(*octet));
        let length = number(&self.behind[..4]);
        if length < 10 {
            self.impossible = u32::try_from(length).ok();
        } else if self.behind.len() as u64 == length + 4 {
            let message = std::mem::take(&mut self.behind);
            self.messages.push(Plain {
                session: u16::try_from(number(&message[4..6])).expect("two octets"),
                codes: [message[6], message[7], message[8], message[9]],
                system: u32::try_from(number(&message[10..14])).expect("four octets"),
                text: message[14..].to_vec(),
            });
        }
    }

    /// Takes a whole stream.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        let mut stream = Stream::default();
        octets.iter().for_each(|octet| stream.push(*octet));
        stream
    }
}
