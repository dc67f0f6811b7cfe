//! Which value belongs to a message.

use super::ServiceId;
use crate::secs2::messages::SystemError;
use crate::wire::{Header, StreamFunction};
use core::fmt;

/// Values by service id and data id.
pub type ServiceTable<T, const N: usize> = Table<ServiceId, u32, T, N>;

/// Values by stream and function.
pub type FunctionTable<T, const N: usize> = Table<u8, u8, T, N>;

/// At most `N` values, each under two keys of which either may be "any", `None`.
///
/// ```
/// use hsms_core::services::FunctionTable;
///
/// let mut table = FunctionTable::<&str, 4>::new();
/// table.insert(None, None, "all")?;
/// table.insert(Some(1), None, "stream 1")?;
/// table.insert(Some(1), Some(13), "S1F13")?;
/// assert_eq!(table.find(1, 13), Some(&"S1F13"));
/// assert_eq!(table.find(1, 1), Some(&"stream 1"));
/// assert_eq!(table.find(2, 13), Some(&"all"));
/// # Ok::<(), hsms_core::services::TableFull<&str>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Table<A, B, T, const N: usize> {
    entries: heapless::Vec<(Option<A>, Option<B>, T), N>,
}

impl<A: Copy + PartialEq, B: Copy + PartialEq, T, const N: usize> Table<A, B, T, N> {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Table { entries: heapless::Vec::new() }
    }

    /// Puts a value under its keys; gives the one that was there under the same.
    ///
    /// # Errors
    /// [`TableFull`], with the value, where there are `N` others.
    pub fn insert(&mut self, first: Option<A>, second: Option<B>, value: T) -> Result<Option<T>, TableFull<T>> {
        match self.entries.iter_mut().find(|(a, b, _)| (*a, *b) == (first, second)) {
            Some((_, _, old)) => Ok(Some(core::mem::replace(old, value))),
            None => match self.entries.push((first, second, value)) {
                Ok(()) => Ok(None),
                Err((_, _, value)) => Err(TableFull(value)),
            },
        }
    }

    /// The value for a message: that under both keys, else under the first alone, else under the second alone, else under neither.
    /// Takes time linear in the number of values.
    #[must_use]
    pub fn find(&self, first: A, second: B) -> Option<&T> {
        let order = [(Some(first), Some(second)), (Some(first), None), (None, Some(second)), (None, None)];
        order.iter().find_map(|keys| self.entries.iter().find_map(|(a, b, value)| ((*a, *b) == *keys).then_some(value)))
    }
}

impl<T, const N: usize> Table<u8, u8, T, N> {
    /// What to do about a message that [`find`](Table::find) has nothing for. Nothing about secondaries, function 0 among them, and
    /// nothing about stream 9, which are answered by no error (E5 7.13).
    #[must_use]
    pub fn unhandled(&self, header: &Header, policy: UnhandledPolicy) -> Unhandled {
        let what = header.stream_function();
        if !what.is_primary() || what.stream == 9 {
            return Unhandled { system_error: None, abort: None };
        }
        let stream_known = self.entries.iter().any(|(stream, _, _)| *stream == Some(what.stream));
        let error = if stream_known { SystemError::UnrecognizedFunction } else { SystemError::UnrecognizedStream };
        Unhandled {
            system_error: policy.system_errors.then_some(error(*header)),
            abort: (policy.abort && header.reply_expected()).then_some(what.abort()),
        }
    }
}

impl<A: Copy + PartialEq, B: Copy + PartialEq, T, const N: usize> Default for Table<A, B, T, N> {
    fn default() -> Self {
        Table::new()
    }
}

/// How to treat a primary without handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnhandledPolicy {
    /// S9F3 or S9F5 goes to the host. For equipment alone: E5 has no stream 9 from the host.
    pub system_errors: bool,
    /// SxF0 answers where a reply is expected.
    pub abort: bool,
}

/// What a primary without handler calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unhandled {
    /// S9F3 where nothing is registered for the stream, else S9F5: a primary to send.
    pub system_error: Option<SystemError<'static>>,
    /// SxF0: the reply to send.
    pub abort: Option<StreamFunction>,
}

/// There is no room for one more value. It comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TableFull<T>(pub T);

impl<T> fmt::Display for TableFull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room for one more value")
    }
}

impl<T: fmt::Debug> core::error::Error for TableFull<T> {}
