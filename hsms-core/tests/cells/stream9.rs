//! Stream 9, octet by octet (E37 9.4.2, E5 7.13). S9F1 and S9F11 stand with the messages that they are about.

use crate::support::{DEVICE, OURS, PAUSE, T3, Who, active, hex, passive, stays, tests};
use hsms_core::Error;
use hsms_core::config::DeviceId;
use hsms_core::connection::{Class, Connection, Stray, Stream9, TransactionEnd};
use hsms_core::wire::{Header, StreamFunction, SystemBytes};

// S9F9.

fn t3_of_equipment(who: Who) {
    let mut scene = who.equipment().requesting();
    let told = stays()
        .never()
        .ends(OURS, TransactionEnd::T3)
        .sends("00000016 0001 09 09 00 00 00000062 210A00018101000000000061");
    scene.fires_in(T3 - PAUSE, told);
    assert_eq!(scene.connection.open_transactions(), 0, "S9F9 opens none");
    scene.receives("0000000A 0001 01 02 00 00 00000061", stays().class(Class::Stray(Stray::Late)));
}

fn t3_of_a_host(who: Who) {
    let mut scene = who.host().requesting();
    scene.fires_in(T3 - PAUSE, stays().never().ends(OURS, TransactionEnd::T3));
}

tests! { t3_of_equipment:
    s9f9_on_t3_default_passive_equipment(passive()),
    s9f9_on_t3_default_active_equipment(active()),
    s9f9_on_t3_strict_passive_equipment(passive().strict()),
    s9f9_on_t3_strict_active_equipment(active().strict()),
}

tests! { t3_of_a_host:
    no_s9f9_on_t3_default_passive_host(passive()),
    no_s9f9_on_t3_default_active_host(active()),
    no_s9f9_on_t3_strict_passive_host(passive().strict()),
    no_s9f9_on_t3_strict_active_host(active().strict()),
}

/// SHEAD is the header of the primary: its device, its W-bit, its system bytes.
#[test]
fn s9f9_carries_the_header_of_the_primary() {
    let mut scene = passive().devices(&[0x1234]).selected();
    scene.connection.set_next_system_bytes(SystemBytes(0xFEDC_BA98));
    let device = DeviceId::new(0x1234).unwrap();
    let now = scene.now();
    let (system, prefix) = scene.connection.begin_primary(now, device, StreamFunction::new(127, 255), true, 0).unwrap();
    assert_eq!(prefix[..], hex("0000000A 1234 FF FF 00 00 FEDCBA98"));
    scene.does(stays().due(T3), |connection, now| {
        connection.written(now, 14)?;
        connection.end_body(now)
    });
    let told = stays()
        .never()
        .ends(system, TransactionEnd::T3)
        .sends("00000016 1234 09 09 00 00 FEDCBA99 210A1234FFFF0000FEDCBA98");
    scene.fires_in(T3, told);
}

/// Its own header names the device that asked.
#[test]
fn s9f9_comes_from_the_device_that_asked() {
    let mut scene = passive().devices(&[1, 2]).selected();
    let device = DeviceId::new(2).unwrap();
    let now = scene.now();
    scene.connection.begin_primary(now, device, StreamFunction::new(1, 1), true, 0).unwrap();
    scene.does(stays().due(T3), |connection, now| {
        connection.written(now, 14)?;
        connection.end_body(now)
    });
    let told = stays()
        .never()
        .ends(OURS, TransactionEnd::T3)
        .sends("00000016 0002 09 09 00 00 00000062 210A00028101000000000061");
    scene.fires_in(T3, told);
}

#[test]
fn each_transaction_that_times_out_has_its_own_s9f9() {
    let mut scene = passive().selected();
    let first = scene.requests(1, 1);
    let second = scene.requests(2, 41);
    let told = stays()
        .due(0)
        .ends(first, TransactionEnd::T3)
        .sends("00000016 0001 09 09 00 00 00000063 210A00018101000000000061");
    scene.fires_in(T3, told);
    let told = stays()
        .never()
        .ends(second, TransactionEnd::T3)
        .sends("00000016 0001 09 09 00 00 00000064 210A00018229000000000062");
    scene.fires_in(0, told);
}

#[test]
fn s9f9_waits_for_the_end_of_our_text() {
    let mut scene = passive().requesting();
    let now = scene.now();
    scene.connection.begin_primary(now, DEVICE, StreamFunction::new(6, 11), false, 10).unwrap();
    // The application is told at once, the host as soon as it can be.
    scene.fires_in(T3 - PAUSE, stays().never().ends(OURS, TransactionEnd::T3));
    let told = stays().sends("00000016 0001 09 09 00 00 00000063 210A00018101000000000061");
    scene.does(told, Connection::end_body);
}

// S9F3, S9F5, S9F7.

fn errors_that_the_application_finds(who: Who) {
    let cases =
        [(Stream9::UnrecognizedStream, "03"), (Stream9::UnrecognizedFunction, "05"), (Stream9::IllegalData, "07")];
    for (error, function) in cases {
        let mut scene = who.equipment().selected();
        let octets = "0000000A 0001 E3 0B 00 00 00000063";
        let about = scene.receives(octets, stays().class(Class::Primary))[0].header;
        let told = stays().sends(&format!("00000016 0001 09 {function} 00 00 00000061 210A0001E30B000000000063"));
        scene.does(told, |connection, now| connection.report_error(now, error, &about));
    }
}

tests! { errors_that_the_application_finds:
    s9f3_s9f5_s9f7_of_passive_equipment(passive()),
    s9f3_s9f5_s9f7_of_active_equipment(active()),
    s9f3_s9f5_s9f7_of_strict_equipment(passive().strict()),
}

fn no_stream_9_about(about: StreamFunction) {
    let mut scene = passive().selected();
    let about = Header::data(SystemBytes(0x63), about, false, DEVICE.session());
    scene.refuses(Error::NotForStream9, |connection, now| connection.report_error(now, Stream9::IllegalData, &about));
}

tests! { no_stream_9_about:
    no_stream_9_about_stream_9(StreamFunction::new(9, 1)),
    no_stream_9_about_an_abort(StreamFunction::new(1, 0)),
}

#[test]
fn a_host_sends_no_stream_9() {
    let mut scene = active().selected();
    let about = Header::data(SystemBytes(0x63), StreamFunction::new(99, 1), true, DEVICE.session());
    scene.refuses(Error::NotForStream9, |connection, now| {
        connection.report_error(now, Stream9::UnrecognizedStream, &about)
    });
}

#[test]
fn no_stream_9_before_selected() {
    let about = Header::data(SystemBytes(0x63), StreamFunction::new(99, 1), true, DEVICE.session());
    for mut scene in [passive().opening(), passive().connected()] {
        scene.refuses(Error::NotSelected, |connection, now| {
            connection.report_error(now, Stream9::UnrecognizedStream, &about)
        });
    }
}

/// Stream 9 that comes is a message for the application like any other, and is not answered.
#[test]
fn stream_9_that_comes_is_delivered() {
    let mut scene = active().requesting();
    let octets = "00000016 0001 09 09 00 00 00000063 210A00018101000000000061";
    let received = scene.receives(octets, stays().class(Class::Primary));
    assert_eq!(received[0].text, hex("210A00018101000000000061"));
    assert!(scene.connection.is_open(OURS));
}
