//! Harnesses for a fuzzer of SECS-II: octets in, and a panic where something does not hold. The tests run them too.

use crate::secs2::{DEEPEST, Fault, Visit, What, canonical, decode, encode, width, with_one_nan};
use hsms_core::secs2::{
    Count, Encoding, Error, ErrorKind, Format, Item, ItemHeader, Limits, Localized, Patch, Pieces, Reader, Sink, Slice,
    Sml, SmlError, SmlMessage, Tree, Value, Values, Walk, WriteError, Writer, check, serde,
};
use hsms_core::wire::{Header, Message, SessionId, StreamFunction, SystemBytes};

/// Lists of unknown count that are open at most: an empty one may be as deep as an item can be.
const OPEN: usize = DEEPEST + 1;

/// Harness `secs2_read`: any octets. Whatever the core reads with says what the reference decoder says, item by item and
/// value by value, up to the same fault; and takes no more steps than there can be items.
pub fn read(text: &[u8]) {
    let (visits, fault) = decode(text);
    walk(text, &visits, fault);
    reader(text, &visits, fault);
    front(text);
    tree(text, &visits, fault);
    print(text, fault);
}

/// Harness `secs2_round_trip`: octets that a tree is made of. See [`round_trip_of`] and [`sml_round_trip_of`].
pub fn round_trip(data: &[u8]) {
    let (tree, long) = tree_of(data);
    round_trip_of(&tree, &long);
    sml_round_trip_of(tree);
}

/// The same for a fuzzer, to which many executions are worth more than whole ones: bit 3 of the first octet says whether it is the
/// octets' turn or that of SML.
pub fn round_trip_in_turns(data: &[u8]) {
    let (tree, long) = tree_of(data);
    if data.first().is_some_and(|first| first & 8 != 0) {
        sml_round_trip_of(tree);
    } else {
        round_trip_of(&tree, &long);
    }
}

/// A tree, and which of its lists are begun before their count is known.
fn tree_of(data: &[u8]) -> (Tree, Vec<bool>) {
    let mut data = data.iter().copied();
    let long = (0..data.next().unwrap_or(0) % 8).map(|_| data.next().unwrap_or(0) % 2 == 1).collect();
    (grow(&mut data, 0), long)
}

/// Harness `secs2_sml`: any octets that are UTF-8. What can be read as SML prints and is read again as the same; an error
/// is at a place that there is.
pub fn sml(data: &[u8]) {
    let Ok(sml) = core::str::from_utf8(data) else { return };
    match sml.parse::<Tree>() {
        Ok(tree) => sml_round_trip_of(tree),
        Err(error) => place(sml, error),
    }
    match sml.parse::<SmlMessage>() {
        Ok(message) => {
            let message = SmlMessage { item: message.item.map(with_one_nan), ..message };
            let printed = message.to_string();
            let again: SmlMessage = printed.parse().unwrap_or_else(|error| panic!("{error}: {printed}"));
            assert_eq!(again.to_string(), printed);
            assert_eq!(again.stream_function, message.stream_function);
            assert_eq!(again.reply_expected, message.reply_expected);
            assert_eq!(again.item.as_ref().map(octets), message.item.as_ref().map(octets), "{printed}");
        }
        Err(error) => place(sml, error),
    }
}

/// Written in every way the tree is the octets that the reference encoder makes, and read again it is the same tree.
/// `long` says in turns which lists are begun before their count is known.
pub fn round_trip_of(tree: &Tree, long: &[bool]) {
    let turns = || {
        let mut turns = long.iter().copied().cycle();
        move || turns.next().unwrap_or(false)
    };
    let short = octets(tree);
    let mixed = encode(tree, &mut turns());

    assert_eq!(tree.to_text().as_ref(), Ok(&short));
    let mut text = Writer::<_, OPEN>::with_open(Vec::new());
    write(tree, &mut text, &mut turns()).expect("a Vec has room");
    assert_eq!(text.finish().as_ref(), Ok(&mixed));

    let mut count = Count::default();
    let mut text = Writer::<_, OPEN>::with_open(&mut count);
    write(tree, &mut text, &mut turns()).expect("it only counts");
    text.finish().expect("whole");
    assert_eq!(count.octets(), mixed.len());

    let mut room = vec![0xEE; mixed.len()];
    let mut text = Writer::<_, OPEN>::with_open(Slice::new(&mut room));
    write(tree, &mut text, &mut turns()).expect("there is room for all of it");
    assert_eq!(text.finish().expect("whole").written(), mixed);

    const ROOM: usize = 512;
    let mut text = Writer::<_, OPEN>::with_open(heapless::Vec::<u8, ROOM>::new());
    let written = write(tree, &mut text, &mut turns());
    if mixed.len() <= ROOM {
        assert_eq!(written, Ok(()));
        assert_eq!(text.finish().expect("whole").as_slice(), mixed);
    } else {
        assert!(matches!(written, Err(WriteError::NoRoom { missing: 1.. })), "{written:?}");
    }

    let len = short.len();
    for room in (0..len).filter(|room| len <= 64 || [0, 1, len / 2, len - 1].contains(room)) {
        let mut buffer = vec![0xEE; room];
        let mut text = Writer::new(Slice::new(&mut buffer));
        let refused = write_known(tree, &mut text);
        assert!(matches!(refused, Err(WriteError::NoRoom { missing: 1.. })), "{refused:?} with room for {room}");
        // Nothing of the item that did not fit is there.
        let written = text.sink().written();
        assert!(short.starts_with(written));
        assert!(whole_items(&short, written.len()), "an item was cut off at {}", written.len());
    }
    streamed::<1>(tree, &short);
    streamed::<7>(tree, &short);
    streamed::<300>(tree, &short);

    assert_eq!(serde::to_text(tree).as_ref(), Ok(&short));
    for text in [&short, &mixed] {
        let again: Tree = serde::from_text(text).expect("it was just written");
        assert_eq!(octets(&again), short);
        read(text);
        let again = Tree::read(text, Limits::NONE).expect("it was just written");
        assert_eq!(octets(&again), short);
        let mut copy = Writer::new(Vec::new());
        for step in Walk::<DEEPEST>::new(text) {
            copy.item(step.expect("it was just written").item).expect("a Vec has room");
        }
        assert_eq!(copy.finish().as_ref(), Ok(&short));
        let mut copy = Writer::new(Vec::new());
        copy.raw(text).expect("one item");
        assert_eq!(copy.finish().as_ref(), Ok(text));
    }
}

/// Printed and read again the tree is the same, but that every NaN is one.
pub fn sml_round_trip_of(tree: Tree) {
    let tree = with_one_nan(tree);
    let text = octets(&tree);
    for printed in [format!("{}", Sml::new(&text)), format!("{:#}", Sml::new(&text)), tree.to_string()] {
        let again: Tree = printed.parse().unwrap_or_else(|error| panic!("{error}: {printed}"));
        assert_eq!(octets(&again), text, "{printed}");
    }
    let len = text.len();
    for (stream, reply) in [(0, true), (127, false)] {
        let stream_function = StreamFunction::new(stream, u8::try_from(len % 256).expect("below 256"));
        let header = Header::data(SystemBytes(1), stream_function, reply, SessionId(0));
        for printed in [
            format!("{}", Sml::message(&Message::new(header, &text))),
            format!("{:#}", Sml::message(&Message::new(header, &text))),
        ] {
            let again: SmlMessage = printed.parse().unwrap_or_else(|error| panic!("{error}: {printed}"));
            assert_eq!((again.stream_function, again.reply_expected), (stream_function, reply), "{printed}");
            assert_eq!(again.item.as_ref().map(octets), Some(text.clone()), "{printed}");
        }
    }
}

/// The octets of a tree as the reference encoder has them, with as few length octets as possible.
#[must_use]
pub fn octets(tree: &Tree) -> Vec<u8> {
    encode(tree, &mut || false)
}

/// An error of the core's, and the fault that the reference found: the same at the same place.
#[track_caller]
pub fn same(error: Error, fault: Fault) {
    assert_eq!(error.offset, fault.offset, "{error} and {fault:?}");
    match (error.kind, fault.what) {
        (ErrorKind::NoItem, What::NoItem) | (ErrorKind::TooDeep { limit: DEEPEST }, What::TooDeep) => {}
        (ErrorKind::Truncated { missing: 1..=3 }, What::HeaderCutOff) => {}
        (ErrorKind::Truncated { missing }, What::CutOff(due)) if missing == due => {}
        (ErrorKind::UndefinedFormat { code }, What::Undefined(due)) if code == due => {}
        (ErrorKind::NoLengthOctets { code }, What::NoLength(due)) if code == due => {}
        (ErrorKind::PartOfValue { format, length }, What::PartOfValue(code, due))
            if (format.code(), length as usize) == (code, due) => {}
        (ErrorKind::NoEncoding { length }, What::NoEncoding(due)) if length as usize == due => {}
        (ErrorKind::Trailing { octets }, What::Trailing(due)) if octets == due => {}
        _ => panic!("{error:?} and {fault:?}"),
    }
}

fn walk(text: &[u8], visits: &[Visit], fault: Option<Fault>) {
    let mut walk = Walk::<DEEPEST>::new(text);
    let mut steps = 0;
    for visit in visits {
        let step = walk.next().expect("an item").expect("a good item");
        assert_eq!((step.depth, step.offset), (visit.depth, visit.offset));
        same_item(step.item, text, visit);
        steps += 1;
    }
    match (walk.next(), fault) {
        (None, None) => {}
        (Some(Err(error)), Some(fault)) => same(error, fault),
        (end, fault) => panic!("{end:?} and {fault:?}"),
    }
    assert!((0..3).all(|_| walk.next().is_none()), "it goes on behind its end");
    assert!(steps <= text.len() / 2, "{steps} items in {} octets", text.len());

    match (check(text, Limits::NONE), fault) {
        (Ok(found), None) => {
            let depth = visits.iter().map(|visit| visit.depth).max().unwrap_or(0);
            assert_eq!((found.items, found.depth), (visits.len(), depth));
        }
        (Err(error), Some(fault)) => same(error, fault),
        (end, fault) => panic!("{end:?} and {fault:?}"),
    }
    // One item less, one level less, one octet less than there are: the first that is over is refused.
    let refusal = |limits| check(text, limits).expect_err("over the limit");
    if fault.is_none() && !visits.is_empty() {
        let items = visits.len() - 1;
        let error = refusal(Limits { items, ..Limits::NONE });
        // Said by the list that makes them too many.
        let begins = visits.iter().rfind(|visit| visit.code == 0 && visit.length > 0).map_or(0, |visit| visit.offset);
        assert_eq!(error, Error { offset: begins, kind: ErrorKind::TooManyItems { limit: items } });
        let octets = text.len() - 1;
        let error = refusal(Limits { octets, ..Limits::NONE });
        assert_eq!(error, Error { offset: 0, kind: ErrorKind::TooLarge { limit: octets, found: text.len() } });
        let depth = visits.iter().map(|visit| visit.depth).max().unwrap_or(0);
        if let Some(limit) = depth.checked_sub(1) {
            let first = visits.iter().find(|visit| visit.depth == limit && visit.code == 0 && visit.length > 0);
            let error = refusal(Limits { depth: limit, ..Limits::NONE });
            let offset = first.expect("something is deeper").offset;
            assert_eq!(error, Error { offset, kind: ErrorKind::TooDeep { limit } });
        }
        let exactly = Limits { depth, items: visits.len(), octets: text.len() };
        assert!(check(text, exactly).is_ok(), "{exactly:?} are enough");
    }
}

fn reader(text: &[u8], visits: &[Visit], fault: Option<Fault>) {
    let mut reader = Reader::new(text);
    for visit in visits {
        assert_eq!(reader.position(), visit.offset);
        let header = reader.peek().expect("a good header");
        assert_eq!((header.format().code(), header.length() as usize), (visit.code, visit.length));
        same_item(reader.item().expect("a good item"), text, visit);
    }
    let before = reader.position();
    match fault {
        None => assert_eq!(reader.finish(), Ok(())),
        Some(fault @ Fault { what: What::Trailing(_), .. }) => same(reader.finish().expect_err("more"), fault),
        // A reader has no stack that could be too small.
        Some(Fault { what: What::TooDeep, .. }) => return,
        Some(fault) => {
            same(reader.item().expect_err("nothing good"), fault);
            assert_eq!(reader.position(), before, "a reader stays where it was");
        }
    }

    let mut whole = Reader::new(text);
    match (whole.raw(), fault) {
        (Ok(raw), None) => assert_eq!(raw, text),
        (Ok(raw), Some(Fault { offset, what: What::Trailing(_) })) => assert_eq!(raw, &text[..offset]),
        (Err(error), None) => assert_eq!((text, error), (&[][..], Error { offset: 0, kind: ErrorKind::NoItem })),
        (Err(error), Some(fault)) => {
            same(error, fault);
            assert_eq!(whole.position(), 0);
        }
        (end, fault) => panic!("{end:?} and {fault:?}"),
    }
    if let (None, [list @ Visit { code: 0, .. }, rest @ ..]) = (fault, visits) {
        let places: Vec<usize> = rest.iter().filter(|visit| visit.depth == 1).map(|visit| visit.offset).collect();
        let mut elements = Reader::new(text).elements().expect("a list");
        assert_eq!(elements.len(), list.length);
        let mut end = list.values.start;
        for offset in &places {
            let element = elements.next().expect("an element");
            assert_eq!((element.position(), element.position()), (*offset, end));
            end += element.rest().len();
        }
        assert!(elements.next().is_none());
        assert_eq!((places.len(), end), (list.length, text.len()));
    }
}

fn tree(text: &[u8], visits: &[Visit], fault: Option<Fault>) {
    match (Tree::read(text, Limits::NONE), fault) {
        (Ok(tree), None) => assert_eq!(octets(&tree), canonical(text, visits)),
        (Err(error), None) => assert_eq!((text, error), (&[][..], Error { offset: 0, kind: ErrorKind::NoItem })),
        (Err(error), Some(fault)) => same(error, fault),
        (end, fault) => panic!("{end:?} and {fault:?}"),
    }
}

/// Bad texts print up to a comment, good ones without; bounded it is the front of the same.
fn print(text: &[u8], fault: Option<Fault>) {
    let printed = Sml::new(text).to_string();
    assert_eq!(printed.ends_with("*/"), fault.is_some(), "{fault:?}: {printed}");
    assert!(printed.is_ascii() && (fault.is_some() || text.is_empty() || printed.ends_with('>')), "{printed}");
    for limit in [0, 1, text.len(), printed.len().saturating_sub(1), printed.len()] {
        let limited = Sml::new(text).limited(limit).to_string();
        if limit >= printed.len() {
            assert_eq!(limited, printed);
        } else {
            let front = limited.strip_suffix('…').expect("something was left out");
            assert_eq!(front, &printed[..limit]);
        }
    }
}

/// The item that the core read, and where the reference found it: the same format, and the same values.
fn same_item(item: Item<'_>, text: &[u8], visit: &Visit) {
    let octets = &text[visit.values.clone()];
    assert_eq!(item.format().code(), visit.code);
    match item {
        Item::List(count) => assert_eq!(count, visit.length),
        Item::Binary(found) | Item::Ascii(found) | Item::Jis8(found) => assert_eq!(found, octets),
        Item::Localized(Localized { encoding, octets: found }) => {
            assert_eq!((usize::from(encoding.0), found), (big_endian(&octets[..2]) as usize, &octets[2..]));
        }
        Item::Boolean(values) => same_values(values, octets, u64::from),
        Item::I8(values) => same_values(values, octets, |value| value as u64),
        Item::I1(values) => same_values(values, octets, |value| u64::from(value as u8)),
        Item::I2(values) => same_values(values, octets, |value| u64::from(value as u16)),
        Item::I4(values) => same_values(values, octets, |value| u64::from(value as u32)),
        Item::F8(values) => same_values(values, octets, f64::to_bits),
        Item::F4(values) => same_values(values, octets, |value| u64::from(value.to_bits())),
        Item::U8(values) => same_values(values, octets, |value| value),
        Item::U1(values) => same_values(values, octets, u64::from),
        Item::U2(values) => same_values(values, octets, u64::from),
        Item::U4(values) => same_values(values, octets, u64::from),
    }
}

fn same_values<T: Value>(values: Values<'_, T>, octets: &[u8], bits: impl Fn(T) -> u64) {
    let boolean = T::FORMAT == Format::Boolean;
    let width = width(T::FORMAT.code()).expect("defined");
    let due = || {
        let values = octets.chunks(width).map(big_endian);
        values.map(|value| if boolean { u64::from(value != 0) } else { value })
    };
    assert_eq!(values.octets(), octets);
    assert_eq!((values.len(), values.is_empty()), (octets.len() / width, octets.is_empty()));
    assert!(values.iter().map(&bits).eq(due()), "{values:?} are not {octets:?}");
    assert!(due().enumerate().all(|(index, due)| values.get(index).map(&bits) == Some(due)));
    assert!(values.get(values.len()).is_none());
    let mut copy: Vec<T> = values.iter().rev().collect();
    assert!(values.copy_to(&mut copy).iter().copied().map(bits).eq(due()));
}

fn big_endian(octets: &[u8]) -> u64 {
    octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}

/// Every accessor of a [`Reader`] on the item in front: its own format is read, any other is refused as such, and the
/// reader stays where it was.
pub fn front(text: &[u8]) {
    let (visits, fault) = decode(text);
    let header = match text {
        [octet, ..] if width(octet / 4).is_some() && octet % 4 > 0 && text.len() > usize::from(octet % 4) => {
            Some((octet / 4, 1 + usize::from(octet % 4)))
        }
        _ => None,
    };
    let parsed = ItemHeader::parse(text).map(|(parsed, rest)| (parsed.format().code(), text.len() - rest.len()));
    match header {
        Some(header) => assert_eq!(parsed, Ok(header)),
        None if text.is_empty() => assert_eq!(parsed, Err(Error { offset: 0, kind: ErrorKind::NoItem })),
        None => same(parsed.expect_err("no header"), fault.expect("no header")),
    }
    let expect = |format: Format, result: Result<Item<'_>, Error>, reader: &Reader<'_>| match (result, header) {
        (Ok(item), Some((code, _))) if code == format.code() => {
            same_item(item, text, &visits[0]);
            let end = if code == 0 { visits[0].values.start } else { visits[0].values.end };
            assert_eq!(reader.position(), end);
        }
        (Err(error), header) => {
            assert_eq!(reader.position(), 0);
            match header {
                Some((code, _)) if code != format.code() => {
                    let found = Format::from_code(code).expect("defined");
                    assert_eq!(error, Error { offset: 0, kind: ErrorKind::OtherFormat { expected: format, found } });
                }
                None if text.is_empty() => assert_eq!(error, Error { offset: 0, kind: ErrorKind::NoItem }),
                _ => same(error, fault.expect("it could not be read")),
            }
        }
        (Ok(item), header) => panic!("{item:?} behind {header:?}"),
    };
    macro_rules! accessors {
        ($($format:ident $item:expr, $call:expr;)+) => {$({
            let mut reader = Reader::new(text);
            let result = $call(&mut reader);
            expect(Format::$format, result.map($item), &reader);
        })+};
    }
    accessors! {
        List Item::List, Reader::list;
        Binary Item::Binary, Reader::binary;
        Boolean Item::Boolean, Reader::values::<bool>;
        Ascii Item::Ascii, Reader::ascii_octets;
        Jis8 Item::Jis8, Reader::jis8;
        Localized Item::Localized, Reader::localized;
        I8 Item::I8, Reader::values::<i64>;
        I1 Item::I1, Reader::values::<i8>;
        I2 Item::I2, Reader::values::<i16>;
        I4 Item::I4, Reader::values::<i32>;
        F8 Item::F8, Reader::values::<f64>;
        F4 Item::F4, Reader::values::<f32>;
        U8 Item::U8, Reader::values::<u64>;
        U1 Item::U1, Reader::values::<u8>;
        U2 Item::U2, Reader::values::<u16>;
        U4 Item::U4, Reader::values::<u32>;
    }
    one::<bool>(text);
    one::<i64>(text);
    one::<i8>(text);
    one::<i16>(text);
    one::<i32>(text);
    one::<f64>(text);
    one::<f32>(text);
    one::<u64>(text);
    one::<u8>(text);
    one::<u16>(text);
    one::<u32>(text);

    let mut reader = Reader::new(text);
    if let Ok(octets) = Reader::new(text).ascii_octets() {
        let first = visits[0].values.start;
        match (reader.ascii(), octets.iter().position(|octet| *octet > 127)) {
            (Ok(ascii), None) => assert_eq!(ascii.as_bytes(), octets),
            (Err(error), Some(at)) => {
                let kind = ErrorKind::NotAscii { octet: octets[at] };
                assert_eq!((error, reader.position()), (Error { offset: first + at, kind }, 0));
            }
            (result, at) => panic!("{result:?} with {at:?}"),
        }
    }
}

/// One value is read where `values` has exactly one, and refused otherwise.
fn one<T: Value>(text: &[u8]) {
    let values = Reader::new(text).values::<T>();
    let mut reader = Reader::new(text);
    match (reader.value::<T>(), values) {
        (Ok(value), Ok(values)) => {
            assert_eq!(values.len(), 1);
            // By their octets: a NaN is to be the same NaN.
            let mut writer = Writer::new(Vec::new());
            writer.value(value).expect("a Vec has room");
            let again = writer.finish().expect("whole");
            if T::FORMAT != Format::Boolean {
                assert_eq!(&again[2..], values.octets());
            }
            let mut all = Reader::new(text);
            assert!(all.values::<T>().is_ok());
            assert_eq!(reader.position(), all.position());
        }
        (Err(error), Ok(values)) => {
            let kind = ErrorKind::OtherCount { format: T::FORMAT, expected: 1, found: values.len() };
            assert_ne!(values.len(), 1);
            assert_eq!((error, reader.position()), (Error { offset: 0, kind }, 0));
        }
        (Err(error), Err(due)) => assert_eq!((error, reader.position()), (due, 0)),
        (Ok(value), Err(due)) => panic!("{value:?} and {due}"),
    }
}

#[track_caller]
fn place(sml: &str, error: SmlError) {
    let line = sml.split('\n').nth(error.line.wrapping_sub(1));
    let line = line.unwrap_or_else(|| panic!("{error}, and there is no such line in {sml:?}"));
    assert!((1..=line.chars().count() + 1).contains(&error.column), "{error}, and the line is {line:?}");
}

/// Whether `end` is where an item ends or, of a list, its header.
fn whole_items(text: &[u8], end: usize) -> bool {
    let (visits, _) = decode(text);
    end == 0 || visits.iter().any(|visit| visit.values.end == end)
}

fn streamed<const N: usize>(tree: &Tree, due: &[u8]) {
    let mut pieces = Vec::new();
    let mut left = due.len();
    let mut text = Writer::new(Pieces::<N, _>::new(|octets: &[u8]| {
        // More than there is would never end.
        left = left.checked_sub(octets.len()).ok_or(WriteError::Refused)?;
        pieces.push(octets.to_vec());
        Ok(())
    }));
    write_known(tree, &mut text).expect("pieces are always taken");
    text.finish().and_then(Pieces::finish).expect("pieces are always taken");
    assert!(pieces.iter().all(|piece| (1..=N).contains(&piece.len())));
    assert_eq!(pieces.concat(), due);
}

fn write<S: Patch, const OPEN: usize>(
    tree: &Tree,
    text: &mut Writer<S, OPEN>,
    long: &mut dyn FnMut() -> bool,
) -> Result<(), WriteError> {
    let Tree::List(elements) = tree else { return write_values(tree, text) };
    let long_header = long();
    if long_header {
        text.begin_list()?;
    } else {
        text.list(elements.len())?;
    }
    elements.iter().try_for_each(|element| write(element, text, long))?;
    if long_header { text.end_list() } else { Ok(()) }
}

fn write_known<S: Sink, const OPEN: usize>(tree: &Tree, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
    let Tree::List(elements) = tree else { return write_values(tree, text) };
    text.list(elements.len())?;
    elements.iter().try_for_each(|element| write_known(element, text))
}

fn write_values<S: Sink, const OPEN: usize>(tree: &Tree, text: &mut Writer<S, OPEN>) -> Result<(), WriteError> {
    fn numbers<T: Value, S: Sink, const OPEN: usize>(
        values: &[T],
        text: &mut Writer<S, OPEN>,
    ) -> Result<(), WriteError> {
        match values {
            [value] => text.value(*value),
            values => text.values(values),
        }
    }
    match tree {
        Tree::List(elements) => text.list(elements.len()),
        Tree::Binary(octets) => text.binary(octets),
        Tree::Ascii(octets) => match core::str::from_utf8(octets) {
            Ok(ascii) if ascii.is_ascii() => text.ascii(ascii),
            _ => text.ascii_octets(octets),
        },
        Tree::Jis8(octets) => text.jis8(octets),
        Tree::Localized(encoding, octets) => text.localized(*encoding, octets),
        Tree::Boolean(values) => numbers(values, text),
        Tree::I8(values) => numbers(values, text),
        Tree::I1(values) => numbers(values, text),
        Tree::I2(values) => numbers(values, text),
        Tree::I4(values) => numbers(values, text),
        Tree::F8(values) => numbers(values, text),
        Tree::F4(values) => numbers(values, text),
        Tree::U8(values) => numbers(values, text),
        Tree::U1(values) => numbers(values, text),
        Tree::U2(values) => numbers(values, text),
        Tree::U4(values) => numbers(values, text),
    }
}

/// A tree out of octets: the format, how many elements or values, and these; nothing but zeros where the octets end.
fn grow(data: &mut impl Iterator<Item = u8>, depth: usize) -> Tree {
    let (kind, count) = (data.next().unwrap_or(0x0F) % 17, data.next().unwrap_or(0) % 10);
    macro_rules! numbers {
        ($of:ident, $type:ty) => {
            Tree::$of(
                (0..count)
                    .map(|_| <$type>::from_be_bytes(core::array::from_fn(|_| data.next().unwrap_or(0))))
                    .collect(),
            )
        };
    }
    let mut some = |count: u8| (0..count).map(|_| data.next().unwrap_or(0)).collect::<Vec<u8>>();
    match kind {
        1 => Tree::Binary(some(count)),
        2 => Tree::Boolean(some(count).iter().map(|octet| octet % 2 == 1).collect()),
        3 => Tree::Ascii(some(count)),
        4 => Tree::Jis8(some(count)),
        5 => Tree::Localized(Encoding(u16::from(count)), some(count)),
        6 => numbers!(I8, i64),
        7 => numbers!(I1, i8),
        8 => numbers!(I2, i16),
        9 => numbers!(I4, i32),
        10 => numbers!(F8, f64),
        11 => numbers!(F4, f32),
        12 => numbers!(U8, u64),
        13 => numbers!(U2, u16),
        14 => numbers!(U4, u32),
        15 => numbers!(U1, u8),
        _ if depth < DEEPEST => Tree::List((0..count).map(|_| grow(data, depth + 1)).collect()),
        _ => Tree::List(Vec::new()),
    }
}
