//! What the parts of both ends have in common: waiting for the next thing that has to happen, and for nothing else.

use super::wire::Wire;
use hsms_std::core::connection::Class;
use hsms_std::core::wire::{Hex, RejectReason, SType};
use hsms_std::{CloseReason, Connection, Error, Header, Incoming, Notice, ReplyToken, StreamFunction};
use std::fmt;
use std::time::Duration;

/// How long an end waits before it looks whether the run is over.
const LOOK: Duration = Duration::from_millis(100);

/// An end that plays its part.
pub struct End<'w> {
    /// Its connection.
    pub connection: Connection,
    wire: &'w Wire,
}

/// S`stream`F`function`.
pub const fn sf(stream: u8, function: u8) -> StreamFunction {
    StreamFunction::new(stream, function)
}

impl<'w> End<'w> {
    /// An end of `wire`.
    pub const fn new(connection: Connection, wire: &'w Wire) -> Self {
        End { connection, wire }
    }

    /// Waits until the connection is SELECTED.
    pub fn select(&mut self) -> Result<(), String> {
        loop {
            match self.connection.select(LOOK) {
                Err(Error::NotSelected { .. }) if !self.wire.is_cut() => {}
                other => return other.map_err(|error| format!("select: {error}")),
            }
        }
    }

    /// Waits for what `wanted` knows, which is called `name`. How the session stands, and control messages that nobody
    /// waits for, are passed by; anything else has no place here.
    pub fn wait<T>(
        &mut self,
        name: impl fmt::Display,
        mut wanted: impl FnMut(&Incoming<'_>) -> Option<T>,
    ) -> Result<T, String> {
        loop {
            match self.connection.next(LOOK) {
                Ok(Some(incoming)) => match wanted(&incoming) {
                    Some(found) => return Ok(found),
                    None if is_routine(&incoming) => {}
                    None => return Err(format!("waited for {name}, and got {incoming:?}")),
                },
                Ok(None) if self.wire.is_cut() => return Err(format!("waited for {name} when the run ended")),
                Ok(None) => {}
                Err(error) => return Err(format!("waited for {name}: {error}")),
            }
        }
    }

    /// Waits for a primary with this text; gives its header, and the token where a reply is expected.
    pub fn primary(&mut self, sf: StreamFunction, text: &[u8]) -> Result<(Header, Option<ReplyToken>), String> {
        self.wait(format_args!("{sf} with text {}", Hex::bounded(text, 24)), |incoming| match incoming {
            Incoming::Primary { message, token } if message.header.stream_function() == sf && message.body == text => {
                Some((message.header, *token))
            }
            _ => None,
        })
    }

    /// Waits for a primary with this text that expects a reply, and gives what to reply with.
    pub fn request(&mut self, sf: StreamFunction, text: &[u8]) -> Result<ReplyToken, String> {
        self.primary(sf, text)?.1.ok_or_else(|| format!("{sf} without W"))
    }

    /// Waits for a primary with this text, and replies.
    pub fn serve(&mut self, sf: StreamFunction, text: &[u8], reply: &[u8]) -> Result<(), String> {
        let token = self.request(sf, text)?;
        self.reply(&token, reply)
    }

    /// Replies.
    pub fn reply(&mut self, token: &ReplyToken, text: &[u8]) -> Result<(), String> {
        self.connection.reply(token, text).map_err(|error| format!("reply to {}: {error}", token.primary()))
    }

    /// Sends a primary and waits for its reply, which has to have this text.
    pub fn ask(&mut self, sf: StreamFunction, text: &[u8], expected: &[u8]) -> Result<(), String> {
        let reply = self.connection.request(sf, text).map_err(|error| format!("{sf}: {error}"))?;
        if Some(reply.header.stream_function()) == sf.reply() && reply.body == expected {
            Ok(())
        } else {
            Err(format!("{sf} was answered by {reply:?}: {}", Hex::bounded(reply.body, 24)))
        }
    }

    /// Waits for a control message of this type; the machine has dealt with it.
    pub fn control(&mut self, stype: SType) -> Result<(), String> {
        self.wait(stype, |incoming| match incoming {
            Incoming::Other { header, class: Class::Control, .. } if header.stype == stype => Some(()),
            _ => None,
        })
    }

    /// Tests the link.
    pub fn linktest(&mut self) -> Result<(), String> {
        self.connection.linktest().map_err(|error| format!("linktest: {error}"))
    }

    /// Waits for a message that the machine rejects for this reason.
    pub fn rejected(&mut self, reason: RejectReason) -> Result<(), String> {
        self.wait(format_args!("something to reject with {reason}"), |incoming| match incoming {
            Incoming::Other { class: Class::Rejected(given), .. } if *given == reason => Some(()),
            _ => None,
        })
    }

    /// Waits for a Reject.req that belongs to no transaction of ours.
    pub fn reject(&mut self, expected: RejectReason) -> Result<(), String> {
        self.wait(format_args!("Reject.req with {expected}"), |incoming| match incoming {
            Incoming::Notice(Notice::RejectReceived { header }) if header.byte3 == expected.0 => Some(()),
            _ => None,
        })
    }

    /// Waits for the end of the connection, which has to have this reason.
    pub fn closed(&mut self, expected: CloseReason) -> Result<(), String> {
        self.wait(format_args!("the end of the connection, {expected}"), |incoming| match incoming {
            Incoming::Closed { reason, .. } if *reason == expected => Some(()),
            _ => None,
        })
    }
}

fn is_routine(incoming: &Incoming<'_>) -> bool {
    matches!(
        incoming,
        Incoming::Connected
            | Incoming::Selected
            // A message that ends the connection is told of twice: the second time with the reason, which is looked at.
            | Incoming::Other { class: Class::Control | Class::Fatal, .. }
            | Incoming::Notice(Notice::LinktestAnswered { .. })
    )
}
