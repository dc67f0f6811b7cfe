//! Owned trees: both ways, and bounded memory.

use super::support::samples;
use hsms_core::secs2::{Encoding, Error, ErrorKind, Limits, Tree, WriteError, Writer};

#[test]
fn a_tree_holds_all_that_the_text_holds() {
    for text in samples().into_iter().skip(1) {
        let tree = Tree::read(&text, Limits::NONE).unwrap();
        let again = tree.to_text().unwrap();
        assert_eq!(Tree::read(&again, Limits::NONE), Ok(tree.clone()));
        assert_eq!(tree.to_string(), hsms_core::secs2::Sml::new(&text).to_string());
        assert_eq!(tree.format(), hsms_core::secs2::ItemHeader::parse(&text).unwrap().0.format());
    }
    let tree = Tree::List(vec![
        Tree::List(vec![]),
        Tree::Localized(Encoding::UTF_8, "µm".into()),
        Tree::Boolean(vec![true, false]),
        Tree::List(vec![Tree::F4(vec![0.5]), Tree::I1(vec![-1])]),
        Tree::U8(vec![]),
    ]);
    assert_eq!(Tree::read(&tree.to_text().unwrap(), Limits::NONE), Ok(tree));
}

#[test]
fn malformed_texts_give_the_error_of_the_walk() {
    let read = |text: &[u8]| Tree::read(text, Limits::NONE).map(|_| ());
    assert_eq!(read(b""), Err(Error { offset: 0, kind: ErrorKind::NoItem }));
    let kind = ErrorKind::Truncated { missing: 0xff_ffff * 2 };
    assert_eq!(read(b"\x03\xff\xff\xff"), Err(Error { offset: 0, kind }));
    assert_eq!(read(&[1, 1].repeat(200_000)).unwrap_err().kind, ErrorKind::TooDeep { limit: 32 });
    let kind = ErrorKind::Trailing { octets: 1 };
    assert_eq!(read(b"\x01\x00\x00"), Err(Error { offset: 2, kind }));
    let limits = Limits { items: 1, ..Limits::NONE };
    let kind = ErrorKind::TooManyItems { limit: 1 };
    assert_eq!(Tree::read(b"\x01\x01\x01\x00", limits), Err(Error { offset: 0, kind }));
}

#[test]
fn a_tree_of_any_depth_is_written_without_stack() {
    let mut tree = Tree::List(vec![]);
    let mut text = vec![1, 0];
    for _ in 0..2_000 {
        tree = Tree::List(vec![tree]);
        text.splice(0..0, [1, 1]);
    }
    assert_eq!(tree.to_text().unwrap(), text);
}

#[test]
fn a_tree_goes_into_a_text_beside_other_items() {
    let mut writer = Writer::new(heapless::Vec::<u8, 16>::new());
    writer.list(2).unwrap();
    Tree::ascii("ABC").write(&mut writer).unwrap();
    assert_eq!(Tree::U4(vec![1, 2]).write(&mut writer), Err(WriteError::NoRoom { missing: 1 }));
    Tree::U4(vec![1]).write(&mut writer).unwrap();
    assert_eq!(writer.finish().unwrap()[..], *b"\x01\x02\x41\x03ABC\xb1\x04\0\0\0\x01");
}

#[test]
fn a_tree_is_empty_where_it_has_no_value() {
    for (tree, empty) in [
        (Tree::List(vec![]), true),
        (Tree::List(vec![Tree::List(vec![])]), false),
        (Tree::U2(vec![]), true),
        (Tree::U2(vec![7]), false),
    ] {
        assert_eq!(tree.is_empty(), empty, "{tree}");
    }
}
