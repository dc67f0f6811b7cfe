//! Stream 9 (E37 9.4.2, E5 7.13).

use crate::conformance::{Applies, Bench, Command, DATA, Frame, Line, Outcome, Report, Rule, S1F1, Timer, primary};
use hsms_core::config::Profile;
use hsms_core::connection::{Class, CloseReason, Stray, Stream9, TransactionEnd};
use hsms_core::wire::{Header, SessionId, StreamFunction};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E5-7.13/F1",
        duty: "Equipment answers a primary for a device id that it does not serve with S9F1 and the primary's header, and does not \
               deliver it; the session goes on.",
        applies: Applies::SS.equipment(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: unknown_device,
    },
    Rule {
        id: "E5-7.13/F11",
        duty: "Equipment answers data that is longer than it accepts with S9F11 and its header, passes the text by, and the session \
               goes on.",
        applies: Applies::ALL.equipment().lenient(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: too_long,
    },
    Rule {
        id: "E5-7.13/F11/strict",
        duty: "Equipment answers data that is longer than it accepts with S9F11 and its header, and closes.",
        applies: Applies::ALL.equipment().strict(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: too_long_strict,
    },
    Rule {
        id: "E5-7.13/F1/too-long",
        duty: "Of data that is too long and for an unknown device id equipment tells the device id: S9F1, and no S9F11.",
        applies: Applies::SS.equipment(),
        place: "hsms-core/src/connection/transition.rs: too_long",
        test: too_long_for_a_stranger,
    },
    Rule {
        id: "E5-7.13/F11/about-9",
        duty: "About a message of stream 9, or an abort, that is too long equipment sends nothing; it passes the text by.",
        applies: Applies::ALL.equipment().lenient(),
        place: "hsms-core/src/connection/transition.rs: reports_to_host",
        test: too_long_stream_9,
    },
    Rule {
        id: "E5-7.13/F1/reply",
        duty: "A reply for an unknown device id gets S9F1 from equipment too, and leaves the transaction open that it pretends to \
               end.",
        applies: Applies::SS.equipment(),
        place: "hsms-core/src/connection/transition.rs: data",
        test: reply_for_a_stranger,
    },
    Rule {
        id: "E5-7.13/F1/host",
        duty: "A host does not deliver data for a device id that it does not serve and sends nothing about it; the application is \
               told, and the session goes on.",
        applies: Applies::SS.host(),
        place: "hsms-core/src/connection/transition.rs: reports_to_host",
        test: unknown_device_host,
    },
    Rule {
        id: "E5-7.13/F1/about-9",
        duty: "About a message of stream 9, or an abort, for an unknown device id equipment sends nothing.",
        applies: Applies::SS.equipment(),
        place: "hsms-core/src/connection/transition.rs: reports_to_host",
        test: unknown_device_stream_9,
    },
    Rule {
        id: "E37-9.4.2/as-came",
        duty: "The header in an error message is the one that came, octet by octet, whatever the subject made of it.",
        applies: Applies::SS.equipment(),
        place: "hsms-core/src/connection/action.rs: encode",
        test: as_it_came,
    },
    Rule {
        id: "E5-7.13/F3",
        duty: "Equipment sends S9F3, S9F5 or S9F7 about a message, with that message's header, when its application says so; the \
               session goes on.",
        applies: Applies::ALL.equipment(),
        place: "hsms-core/src/connection/command.rs: report_error",
        test: reports,
    },
    Rule {
        id: "E5-7.13/host",
        duty: "A host sends no error messages: its application is refused.",
        applies: Applies::ALL.host(),
        place: "hsms-core/src/connection/command.rs: report_error",
        test: host_reports_nothing,
    },
    Rule {
        id: "E5-7.13/about-9",
        duty: "Equipment's application cannot report an error about a message of stream 9 or an abort.",
        applies: Applies::ALL.equipment(),
        place: "hsms-core/src/connection/command.rs: report_error",
        test: reports_nothing_about_stream_9,
    },
    Rule {
        id: "E5-7.13/not-selected",
        duty: "Equipment's application cannot report an error while NOT SELECTED; nothing is sent, then or later.",
        applies: Applies::ALL.equipment(),
        place: "hsms-core/src/connection/command.rs: report_error",
        test: reports_nothing_before_selection,
    },
    Rule {
        id: "E5-7.13/device",
        duty: "An error message carries the device id of the message that it is about where that is served, and else the first one.",
        applies: Applies::SS.equipment(),
        place: "hsms-core/src/connection/output.rs: send_stream9",
        test: device,
    },
    Rule {
        id: "E5-7.13/F9/about-9",
        duty: "When T3 of a primary of stream 9 expires equipment ends the transaction and sends nothing.",
        applies: Applies::ALL.equipment(),
        place: "hsms-core/src/connection/transition.rs: reply_timeout",
        test: t3_of_stream_9,
    },
    Rule {
        id: "E5-7.13/failure",
        duty: "Equipment sends no S9F9 about a transaction that a communication failure ended, not on the next connection \
               either, where its T3 would have expired.",
        applies: Applies::ALL.equipment(),
        place: "hsms-core/src/connection/output.rs: poll_end",
        test: failure,
    },
    Rule {
        id: "E5-7.13/received",
        duty: "A message of stream 9 is delivered as any primary and not answered; the transaction that it tells of stays open for \
               the application to decide on.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/kind.rs: is_primary",
        test: received,
    },
];

/// An error message of the subject's about `about`, with this device id.
pub(super) fn expect_error(bench: &mut dyn Bench, device: SessionId, function: u8, about: Header) -> Outcome {
    let frame = bench.frame()?;
    let header = Header::data(frame.header.system, StreamFunction::new(9, function), false, device);
    bench.is(&frame, &Frame::new(header, &[&[0x21, 10][..], &about.encode()].concat()))
}

fn unknown_device(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for id in [0, 2, 0x7FFF] {
        let stranger = primary(S1F1).with_session(SessionId(id));
        bench.send(stranger)?;
        expect_error(bench, DATA, 1, stranger)?;
        bench.told(&[Report::Other(stranger, Class::Stray(Stray::UnknownDevice))])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn too_long(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(|config| config.with_max_message(64))?;
    bench.selected()?;
    for len in [55, 64 * 4 - 10] {
        bench.send_text(primary(S1F1), &vec![0; len])?;
        expect_error(bench, DATA, 11, primary(S1F1))?;
        bench.told(&[Report::Other(primary(S1F1), Class::TooLong)])?;
        bench.stays_selected()?;
    }
    Ok(())
}

/// A device id that no subject serves here.
const STRANGER: SessionId = SessionId(0x0102);

/// The longest message that subjects accept here.
const MOST: u32 = 64;

/// Messages about which there is no stream 9.
const UNREPORTED: [(u8, u8); 6] = [(9, 1), (9, 9), (9, 13), (9, 2), (9, 0), (1, 0)];

/// What the application can report, with the function that goes out.
const REPORTABLE: [(Stream9, u8); 3] =
    [(Stream9::UnrecognizedStream, 3), (Stream9::UnrecognizedFunction, 5), (Stream9::IllegalData, 7)];

/// One octet too much for it; the length field, and the text.
fn excess() -> (u32, Vec<u8>) {
    (MOST + 1, vec![0; 55])
}

fn too_long_strict(bench: &mut dyn Bench) -> Outcome {
    let (length, text) = excess();
    bench.begin_with(|config| config.with_max_message(MOST))?;
    bench.selected()?;
    bench.send_text(primary(S1F1), &text)?;
    expect_error(bench, DATA, 11, primary(S1F1))?;
    bench.expect_closed()?;
    let closed = Report::Closed(CloseReason::LengthTooLong { length, limit: MOST });
    bench.told(&[Report::Other(primary(S1F1), Class::TooLong), closed])
}

fn too_long_for_a_stranger(bench: &mut dyn Bench) -> Outcome {
    let (length, text) = excess();
    bench.begin_with(|config| config.with_max_message(MOST))?;
    bench.selected()?;
    let header = primary(S1F1).with_session(STRANGER);
    bench.send_text(header, &text)?;
    expect_error(bench, DATA, 1, header)?;
    let told = Report::Other(header, Class::TooLong);
    if bench.about().setup.profile == Profile::Strict {
        bench.expect_closed()?;
        return bench.told(&[told, Report::Closed(CloseReason::LengthTooLong { length, limit: MOST })]);
    }
    bench.told(&[told])?;
    bench.stays_selected()
}

fn too_long_stream_9(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(|config| config.with_max_message(MOST))?;
    bench.selected()?;
    for (stream, function) in UNREPORTED {
        let header = primary(StreamFunction::new(stream, function));
        bench.send_text(header, &excess().1)?;
        bench.told(&[Report::Other(header, Class::TooLong)])?;
        bench.stays_selected()?;
    }
    Ok(())
}

fn reply_for_a_stranger(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let request = bench.request(S1F1, &[])?;
    let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
    let stranger = reply.with_session(STRANGER);
    bench.send(stranger)?;
    expect_error(bench, DATA, 1, stranger)?;
    bench.told(&[Report::Other(stranger, Class::Stray(Stray::UnknownDevice))])?;
    bench.send(reply)?;
    bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    bench.stays_selected()
}

/// A message for an unknown device id, about which nothing is sent.
fn passed_over(bench: &mut dyn Bench, header: Header) -> Outcome {
    bench.send(header)?;
    bench.told(&[Report::Other(header, Class::Stray(Stray::UnknownDevice))])?;
    bench.stays_selected()
}

fn unknown_device_host(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for id in [0, 2, 0x7FFF].map(SessionId) {
        passed_over(bench, primary(S1F1).with_session(id))?;
    }
    Ok(())
}

fn unknown_device_stream_9(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for (stream, function) in UNREPORTED {
        passed_over(bench, primary(StreamFunction::new(stream, function)).with_session(STRANGER))?;
    }
    Ok(())
}

fn as_it_came(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    // Bit 15 and the W-bit, each with and without.
    for (session, w) in [(0x0102, true), (0x0102, false), (0x8102, true), (0xFFFE, false)] {
        let header = Header::data(crate::conformance::TESTER, StreamFunction::new(0x55, 0xAB), w, SessionId(session));
        bench.send_text(header, &[1, 0])?;
        expect_error(bench, DATA, 1, header)?;
        bench.told(&[Report::Other(header, Class::Stray(Stray::UnknownDevice))])?;
    }
    bench.stays_selected()
}

fn reports(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for (error, function) in REPORTABLE {
        for w in [true, false] {
            let header = Header::data(primary(S1F1).system, StreamFunction::new(88, 99), w, DATA);
            bench.send(header)?;
            bench.told(&[Report::Primary(Frame::new(header, &[]))])?;
            bench.does(Command::ReportError(error, header))?;
            expect_error(bench, DATA, function, header)?;
        }
    }
    bench.told(&[])?;
    bench.stays_selected()
}

fn host_reports_nothing(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for (error, _) in REPORTABLE {
        bench.refuses(Command::ReportError(error, primary(S1F1)))?;
    }
    bench.stays_selected()
}

fn reports_nothing_about_stream_9(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for (error, _) in REPORTABLE {
        for (stream, function) in UNREPORTED {
            bench.refuses(Command::ReportError(error, primary(StreamFunction::new(stream, function))))?;
        }
    }
    bench.stays_selected()
}

fn reports_nothing_before_selection(bench: &mut dyn Bench) -> Outcome {
    let select = bench.begin_not_selected()?;
    for (error, _) in REPORTABLE {
        bench.refuses(Command::ReportError(error, primary(S1F1)))?;
    }
    bench.stays_not_selected(select)?;
    bench.stays_selected()
}

fn device(bench: &mut dyn Bench) -> Outcome {
    bench.begin_with(super::devices::two)?;
    bench.selected()?;
    for (about, device) in
        [(DATA, DATA), (super::devices::OTHER.session(), super::devices::OTHER.session()), (STRANGER, DATA)]
    {
        let header = primary(S1F1).with_session(about);
        bench.does(Command::ReportError(Stream9::IllegalData, header))?;
        expect_error(bench, device, 7, header)?;
    }
    let stranger = primary(S1F1).with_session(STRANGER);
    bench.send(stranger)?;
    expect_error(bench, DATA, 1, stranger)?;
    bench.told(&[Report::Other(stranger, Class::Stray(Stray::UnknownDevice))])?;
    bench.stays_selected()
}

fn t3_of_stream_9(bench: &mut dyn Bench) -> Outcome {
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    let since = bench.now();
    let request = bench.request(StreamFunction::new(9, 13), &[])?;
    bench.told_at(since, t3, &Report::Ended(request.system, TransactionEnd::T3))?;
    bench.stays_selected()
}

fn failure(bench: &mut dyn Bench) -> Outcome {
    let t3 = bench.begin_timed(Timer::T3)?;
    bench.selected()?;
    let request = bench.request(S1F1, &[])?;
    bench.shut(Line::First);
    let ended = Report::Ended(request.system, TransactionEnd::SessionEnded);
    bench.told(&[Report::Closed(CloseReason::TransportClosed), ended])?;
    bench.selected()?;
    bench.quiet(t3.saturating_add(t3 / 4))?;
    bench.told(&[])?;
    bench.stays_selected()
}

fn received(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for function in [1, 3, 5, 7, 9, 11, 13] {
        let request = bench.request(S1F1, &[])?;
        let text = [&[0x21, 10][..], &request.encode()].concat();
        let error = Header::data(primary(S1F1).system, StreamFunction::new(9, function), false, DATA);
        bench.send_text(error, &text)?;
        bench.told(&[Report::Primary(Frame::new(error, &text))])?;
        bench.stays_selected()?;
        let reply = Header::data(request.system, StreamFunction::new(1, 2), false, DATA);
        bench.send(reply)?;
        bench.told(&[Report::Reply(Frame::new(reply, &[]))])?;
    }
    Ok(())
}
