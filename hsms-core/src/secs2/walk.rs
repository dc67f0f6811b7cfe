//! All items of a text, one after the other.

use super::{Error, ErrorKind, Item, Reader};

/// What a text may hold at most. All of it is checked before memory or a stack could be needed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Lists around an item. E5 sets no limit; a [`Walk`] has one anyway, its `DEPTH`.
    pub depth: usize,
    /// Items, lists counted as well.
    pub items: usize,
    /// Octets.
    pub octets: usize,
}

impl Limits {
    /// None: what the text's length allows.
    pub const NONE: Limits = Limits { depth: usize::MAX, items: usize::MAX, octets: usize::MAX };
}

/// [`Limits::NONE`].
impl Default for Limits {
    fn default() -> Self {
        Limits::NONE
    }
}

/// What [`check`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Summary {
    /// Items, lists counted as well. None in a header-only message.
    pub items: usize,
    /// The most lists around an item.
    pub depth: usize,
}

/// Looks at a whole text: nothing, or one item and nothing behind it, within `limits` and nested at most 32 deep; for
/// another depth go through a [`Walk`] yourself. What octets an ASCII item has is not looked at. Linear in the number of items.
///
/// # Errors
/// Those of [`Walk`].
///
/// ```
/// use hsms_core::secs2::{Limits, check};
///
/// let found = check(b"\x01\x02\x01\x00\xa5\x01\x07", Limits::NONE)?;
/// assert_eq!((found.items, found.depth), (3, 1));
/// assert_eq!(check(b"", Limits::NONE)?.items, 0);
///
/// let claims_16_million = check(b"\x03\xff\xff\xff", Limits::NONE).unwrap_err();
/// assert_eq!(claims_16_million.to_string(), "at offset 0: the item is cut off; octets missing: 33554430 or more");
/// # Ok::<(), hsms_core::secs2::Error>(())
/// ```
pub fn check(text: &[u8], limits: Limits) -> Result<Summary, Error> {
    let mut found = Summary { items: 0, depth: 0 };
    let mut walk = Walk::<32>::with_limits(text, limits);
    let ended = loop {
        let Some(depth) = walk.ahead() else { break walk.at_end() };
        found.items = found.items.saturating_add(1);
        found.depth = found.depth.max(depth);
        let passed = walk.pass();
        if passed.is_err() {
            break passed;
        }
    };
    match ended {
        Ok(()) => Ok(found),
        Err(error) => Err(error),
    }
}

/// One item on a [`Walk`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Step<'a> {
    /// Lists around the item.
    pub depth: usize,
    /// Offset of the item in the text.
    pub offset: usize,
    /// The item. The elements of a list come next.
    pub item: Item<'a>,
}

/// Iterator over all items of a text, a list before its elements.
///
/// It needs four octets for each of `DEPTH` levels, and time linear in the number of items. Behind the last item, or an
/// error, it ends.
///
/// Errors are those of [`Reader::item`], and [`ErrorKind::Trailing`], [`ErrorKind::TooDeep`], [`ErrorKind::TooManyItems`],
/// [`ErrorKind::TooLarge`].
///
/// ```
/// use hsms_core::secs2::{Error, Item, Walk};
///
/// let mut seen = vec![];
/// for step in Walk::<32>::new(b"\x01\x02\x01\x00\xa5\x01\x07") {
///     let step = step?;
///     seen.push((step.depth, step.offset, step.item.format().sml()));
/// }
/// assert_eq!(seen, [(0, 0, "L"), (1, 2, "L"), (1, 4, "U1")]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Walk<'a, const DEPTH: usize = 32> {
    reader: Reader<'a>,
    limits: Limits,
    /// Items that are allowed beside those that are known to come: the text's one, and the elements of the lists so far.
    items: usize,
    /// Items left in the list around, or of the text.
    left: u32,
    /// Lists around the next item.
    depth: usize,
    /// `left` of the lists around that.
    outer: [u32; DEPTH],
    /// Whether a list is refused whose elements cannot all be there.
    strict: bool,
}

impl<'a, const DEPTH: usize> Walk<'a, DEPTH> {
    /// A walk over `text`, without limits but for `DEPTH`.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self::with_limits(text, Limits::NONE)
    }

    /// A walk over `text` within `limits`, and at most `DEPTH` deep.
    #[must_use]
    pub const fn with_limits(text: &'a [u8], limits: Limits) -> Self {
        let depth = if limits.depth < DEPTH { limits.depth } else { DEPTH };
        Walk {
            reader: Reader::new(text),
            limits: Limits { depth, ..limits },
            items: limits.items.saturating_sub(1),
            left: if text.is_empty() || text.len() > limits.octets || limits.items == 0 { 0 } else { 1 },
            depth: 0,
            outer: [0; DEPTH],
            strict: true,
        }
    }

    /// A walk that goes as far as the octets do.
    #[must_use]
    pub(super) const fn lenient(text: &'a [u8]) -> Self {
        let mut walk = Self::new(text);
        walk.strict = false;
        walk
    }

    /// How many lists the next item is inside of; `None` behind the last item.
    pub(super) fn ahead(&mut self) -> Option<usize> {
        self.leave_lists().then_some(self.depth)
    }

    /// Leaves lists that have no element left; gives whether an item comes.
    #[inline(always)]
    fn leave_lists(&mut self) -> bool {
        self.left > 0 || self.leave_list()
    }

    /// The same where the list around has no element left.
    #[inline(never)]
    fn leave_list(&mut self) -> bool {
        while self.left == 0 {
            let Some(outer) = self.depth.checked_sub(1) else { return false };
            self.depth = outer;
            self.left = self.outer.get(outer).copied().unwrap_or(0);
        }
        true
    }

    /// Little more than the item, so that its format is asked for but twice: here, and by whoever takes the step. What limits
    /// have to say about items is said where lists begin.
    #[inline(always)]
    fn step(&mut self) -> Result<Step<'a>, Error> {
        let (depth, offset) = (self.depth, self.reader.position());
        self.left = self.left.wrapping_sub(1);
        let item = self.reader.next_item()?;
        if let Item::List(count) = item
            && let Err(error) = self.enter(offset, count)
        {
            return Err(error);
        }
        Ok(Step { depth, offset, item })
    }

    /// As [`step`](Self::step), where what the item is does not count.
    fn pass(&mut self) -> Result<(), Error> {
        let offset = self.reader.position();
        self.left = self.left.wrapping_sub(1);
        match self.reader.pass() {
            Some(count) => self.enter(offset, count),
            None => Err(self.reader.no_item(None, 1)),
        }
    }

    /// Enters the list at this offset. One of no elements is as good as any other item.
    fn enter(&mut self, offset: usize, count: usize) -> Result<(), Error> {
        if self.strict {
            if let Some(kind) = self.reader.too_many(count) {
                return Err(Error { offset, kind });
            }
            match self.items.checked_sub(count) {
                Some(items) => self.items = items,
                None => return Err(Error { offset, kind: ErrorKind::TooManyItems { limit: self.limits.items } }),
            }
        }
        if count == 0 {
            return Ok(());
        }
        match self.outer.get_mut(self.depth) {
            Some(outer) if self.depth < self.limits.depth => *outer = self.left,
            _ => return Err(Error { offset, kind: ErrorKind::TooDeep { limit: self.limits.depth } }),
        }
        self.depth = self.depth.wrapping_add(1);
        self.left = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(())
    }

    /// What is to be said once, behind the last item.
    #[cold]
    #[inline(never)]
    fn at_end(&mut self) -> Result<(), Error> {
        let end = core::mem::replace(&mut self.reader, Reader::new(&[]));
        let found = end.rest().len();
        // Where it has not begun, that is for its limits.
        let kind = match end.position() {
            0 if found > self.limits.octets => ErrorKind::TooLarge { limit: self.limits.octets, found },
            0 if found > 0 => ErrorKind::TooManyItems { limit: self.limits.items },
            _ => return end.finish(),
        };
        Err(Error { offset: 0, kind })
    }

    fn give_up(&mut self) {
        self.reader = Reader::new(&[]);
        self.left = 0;
        self.depth = 0;
    }
}

impl<'a, const DEPTH: usize> Iterator for Walk<'a, DEPTH> {
    type Item = Result<Step<'a>, Error>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let step = if self.leave_lists() {
            self.step()
        } else {
            match self.at_end() {
                Ok(()) => return None,
                Err(error) => Err(error),
            }
        };
        if step.is_err() {
            self.give_up();
        }
        Some(step)
    }
}

impl<const DEPTH: usize> core::iter::FusedIterator for Walk<'_, DEPTH> {}
