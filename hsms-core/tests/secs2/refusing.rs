//! A sink that refuses at whatever octet: every way of writing tells so, and the text is broken off from there on.

use hsms_core::secs2::messages::{EstablishAck, Identity, SystemError};
use hsms_core::secs2::{Encoding, Patch, Sink, WriteError, Writer};

/// Promises room for everything, and refuses the octet behind the first `room`.
#[derive(Default)]
struct Refusing {
    octets: Vec<u8>,
    room: usize,
}

impl Sink for Refusing {
    fn reserve(&mut self, _: usize) -> Result<(), WriteError> {
        Ok(())
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        if self.octets.len() + octets.len() > self.room {
            return Err(WriteError::Refused);
        }
        self.octets.extend_from_slice(octets);
        Ok(())
    }
}

impl Patch for Refusing {
    fn position(&self) -> usize {
        self.octets.len()
    }

    fn patch(&mut self, at: usize, octets: &[u8]) {
        self.octets[at..at + octets.len()].copy_from_slice(octets);
    }
}

/// Writes with every room up to what the whole takes; gives that.
fn refused_at_every_octet(write: impl Fn(&mut Writer<Refusing>) -> Result<(), WriteError>) -> usize {
    for room in 0..1000 {
        let mut text = Writer::new(Refusing { room, ..Refusing::default() });
        match write(&mut text) {
            Ok(()) => return text.finish().map(|sink| sink.octets.len()).unwrap(),
            Err(error) => assert_eq!(error, WriteError::Refused, "{room}"),
        }
        // What was handed on cannot be taken back: nothing may follow.
        assert_eq!(text.u1(7), Err(WriteError::Refused), "{room}");
        assert!(text.finish().is_err(), "{room}");
    }
    panic!("longer than expected");
}

#[test]
fn items_of_every_kind_are_broken_off_where_the_sink_refuses() {
    let octets = refused_at_every_octet(|text| {
        text.begin_list()?;
        text.list(2)?;
        text.ascii("ABC")?;
        text.localized(Encoding::UTF_8, b"ok")?;
        // In more than one portion.
        text.values(&[1_u32; 100])?;
        text.raw(b"\x01\x01\xa5\x01\x07")?;
        text.boolean(true)?;
        text.end_list()
    });
    assert_eq!(octets, 4 + 2 + 5 + 6 + 3 + 400 + 5 + 3);
}

#[test]
fn messages_are_broken_off_where_the_sink_refuses() {
    let identity = Identity::Equipment { mdln: "ETCHER", softrev: "1.0" };
    assert_eq!(refused_at_every_octet(|text| identity.write(text)), 15);
    let ack = EstablishAck { commack: 0, identity };
    assert_eq!(refused_at_every_octet(|text| ack.write(text)), 20);
    let error = SystemError::ConversationTimeout { expected: "S02F13", about: b"\xa5\x01\x07" };
    assert_eq!(error.stream_function().to_string(), "S9F13");
    assert_eq!(refused_at_every_octet(|text| error.write(text)), 13);
}

#[cfg(feature = "alloc")]
#[test]
fn trees_are_broken_off_where_the_sink_refuses() {
    use hsms_core::secs2::Tree;
    let tree = Tree::List(vec![Tree::ascii("A"), Tree::List(vec![Tree::U1(vec![7])])]);
    assert_eq!(refused_at_every_octet(|text| tree.write(text)), 2 + 3 + 2 + 3);
}

#[cfg(all(feature = "alloc", feature = "serde"))]
#[test]
fn rust_types_are_broken_off_where_the_sink_refuses() {
    use hsms_core::secs2::serde::{self as items, Cause, array, binary};
    use std::collections::BTreeMap;

    #[derive(serde::Serialize)]
    enum Choice {
        New(u8),
        Pair(u8, bool),
        Fields { id: u8 },
        Unit,
    }
    let map: BTreeMap<&str, u8> = BTreeMap::from([("a", 1)]);
    #[derive(serde::Serialize)]
    struct Octets {
        #[serde(with = "binary")]
        bytes: [u8; 3],
        #[serde(with = "array")]
        numbers: [u16; 2],
    }
    let octets = Octets { bytes: [1, 2, 3], numbers: [1, 2] };
    let value = (Choice::New(1), Choice::Pair(1, true), Choice::Fields { id: 1 }, Choice::Unit, map, octets);
    refused_at_every_octet(|text| match items::write(text, &value) {
        Ok(()) => Ok(()),
        Err(error) => match error.cause() {
            Cause::Write(error) => Err(*error),
            other => panic!("{other:?}"),
        },
    });
}
