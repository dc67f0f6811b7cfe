//! What is logged, and that it comes from one place.

use crate::support::*;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::thread;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Target, level and fields of every event, one a line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line<'l>(&'l mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = format!("{} {}", event.metadata().target(), event.metadata().level());
        event.record(&mut Line(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[cfg(feature = "secs2")]
#[test]
fn texts_are_logged_as_bounded_sml() {
    let (mut tool, address) = equipment(equipment_config());
    let lines = Lines::default();
    let _second = tracing::Dispatch::new(Lines::default());
    thread::scope(|scope| {
        scope.spawn(move || echo_until_closed(&mut tool));
        tracing::subscriber::with_default(lines.clone(), || {
            let mut host = host(address, host_config());
            host.select(LONG).unwrap();
            host.request(S1F1, b"\x01\x02\x41\x04TOOL\xa9\x02\x01\x2c").unwrap();
            host.request(S6F11, &[&[0x42, 0x03, 0xe8][..], &[b'x'; 1_000]].concat()).unwrap();
            host.request(S6F11, &[0x21]).unwrap();
            host.close().unwrap();
        });
    });
    let lines = lines.0.lock().unwrap();
    let with = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!(with(r#"text=12 octets=<L [2] <A "TOOL"> <U2 300>>"#), 2, "sent and received: {lines:#?}");
    assert_eq!(with("/* at offset"), 2, "{lines:#?}");
    let long: Vec<_> = lines.iter().filter(|line| line.contains(r#"octets=<A "xxx"#)).collect();
    // What is received in pieces is printed as octets.
    assert!(!long.is_empty(), "{lines:#?}");
    assert!(long.iter().all(|line| line.len() < 600 && line.contains('…')), "{long:#?}");
}

#[test]
fn every_message_and_notice_is_logged_with_header_and_bounded_text() {
    let (mut tool, address) = equipment(equipment_config());
    let lines = Lines::default();
    // With a single subscriber `tracing` asks the thread that comes by first whether anybody listens, and the others believe it.
    let _second = tracing::Dispatch::new(Lines::default());
    thread::scope(|scope| {
        scope.spawn(move || echo_until_closed(&mut tool));
        tracing::subscriber::with_default(lines.clone(), || {
            let mut host = host(address, host_config());
            host.set_next_system_bytes(hsms_std::SystemBytes(5));
            host.select(LONG).unwrap();
            host.request(S1F1, &[0x21, 0x01, 0xff]).unwrap();
            host.request(S6F11, &[7; 1_000]).unwrap();
            host.close().unwrap();
        });
    });
    let lines = lines.0.lock().unwrap();
    let select = "header={session_id:0xffff, stream:00, function:00, p_type:0x00, s_type:0x01, system:0x00000005, require_response:0}";
    let primary = "header={session_id:0x0007, stream:01, function:01, p_type:0x00, s_type:0x00, system:0x00000006, require_response:1}";
    let octets = if cfg!(feature = "secs2") { "<B 0xFF>" } else { "21:01:ff" };
    let expected = [
        "hsms::connection INFO message=connected".to_owned(),
        format!("hsms::message DEBUG message=sent {select} text=0 octets="),
        "hsms::message DEBUG message=received".to_owned(),
        "hsms::connection INFO message=selected".to_owned(),
        format!("hsms::message DEBUG message=sent {primary} text=3 octets={octets}"),
    ];
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
    let received = lines.iter().filter(|line| line.contains("message=received")).count();
    let sent = lines.iter().filter(|line| line.contains("message=sent")).count();
    // Select, two exchanges, and the Separate.req.
    assert_eq!((received, sent), (3, 4));
    let long = lines.iter().find(|line| line.contains("text=1000")).unwrap();
    let bounded = format!("{}… (1000 octets)", "07:".repeat(64));
    assert_eq!(long.ends_with(&bounded), !cfg!(feature = "secs2"), "{long}");
    assert!(lines.last().unwrap().starts_with("hsms::connection INFO message=closed"), "{:?}", lines.last());
}
