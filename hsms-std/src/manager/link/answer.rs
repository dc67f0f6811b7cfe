//! Replies that the loop makes by itself, and what goes out outside of its usual turn.

#[cfg(feature = "services")]
use super::{Refusal, Told, body_len};
#[cfg(feature = "services")]
use hsms_core::{connection::ReplyToken, time::Instant};

use super::Link;

impl Link {
    /// Whether something stands in the output that has not been tried to be written: no event of the socket's will ask for it.
    pub(in crate::manager) fn can_write(&self) -> bool {
        self.writable && self.pending() > 0
    }

    /// [`reply`](Link::reply) with a text of the loop's own. It counts as an answer of the machine does: a peer that asks without a pause
    /// and takes nothing is not read.
    #[cfg(feature = "services")]
    pub(in crate::manager) fn answer(
        &mut self,
        now: Instant,
        told: &mut Vec<Told>,
        token: &ReplyToken,
        text: &[u8],
    ) -> Result<(), Refusal> {
        let prefix = self.machine.begin_reply(now, token, body_len(text))?;
        self.answers = self.answers.saturating_add(prefix.len()).saturating_add(text.len());
        self.put(now, told, &prefix, text);
        Ok(())
    }
}
