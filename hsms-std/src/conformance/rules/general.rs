//! Headers and system bytes (E37 8.1.4, 8.2).

use crate::conformance::{
    Applies, Bench, Command, DATA, Frame, Outcome, Report, Rule, S1F1, linktest, primary, require,
};
use hsms_core::connection::{Class, CloseReason, Stray, TransactionEnd};
use hsms_core::wire::{Header, Hex, PType, RejectReason, SType, SessionId, StreamFunction, SystemBytes};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "E37-8.1.4.6/echo",
        duty: "A response repeats the four system bytes of its request, whatever they are.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: answer",
        test: echoes,
    },
    Rule {
        id: "E37-8.1.4.6/unique",
        duty: "A new request carries system bytes that none of its own open transactions has, nor the one that ended last.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/mod.rs: next_system_bytes",
        test: unique,
    },
    Rule {
        id: "E37-8.2/received",
        duty: "Length field and header are read octet by octet as the standard lays them out, most significant octet first, and \
               answered so.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/header.rs: decode",
        test: octets_received,
    },
    Rule {
        id: "E37-8.2/sent",
        duty: "Messages of its own are octet by octet what the standard lays down: its data, Linktest.req and Separate.req.",
        applies: Applies::SS,
        place: "hsms-core/src/wire/header.rs: prefix_with_length",
        test: octets_sent,
    },
    Rule {
        id: "E37-8.1.4.6/ends/control",
        duty: "A Linktest.req with the system bytes of its own open Linktest.req is answered, and its own stays open.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: answer",
        test: crossing,
    },
    Rule {
        id: "E37-9.3.2/linktest",
        duty: "While it waits for Linktest.rsp it takes data, refuses what is to be refused, and answers linktests.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/kind.rs: is_primary",
        test: serves_meanwhile,
    },
    Rule {
        id: "E37-8.2.6/octets",
        duty: "Octets 2 and 3 and the session id of Linktest.req are not looked at: the response has 0, 0 and FFFF.",
        applies: Applies::ALL,
        place: "hsms-core/src/wire/header.rs: linktest_rsp",
        test: any_linktest_req,
    },
    Rule {
        id: "E37-8.2.7/octets",
        duty: "Octets 2 and 3 and the session id of Linktest.rsp are not looked at: by its system bytes it answers the request.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/input.rs: match_control",
        test: any_linktest_rsp,
    },
    Rule {
        id: "E37-8.1.4.6/Separate",
        duty: "Separate.req carries system bytes that no open transaction of its own has, nor the one that ended last.",
        applies: Applies::SS,
        place: "hsms-core/src/connection/output.rs: take_system_bytes",
        test: separate,
    },
    Rule {
        id: "E37-8.1.4.6/stream-9",
        duty: "An error message of equipment carries system bytes of its own, not those of the message that it is about nor of an \
               open transaction.",
        applies: Applies::SS.equipment(),
        place: "hsms-core/src/connection/output.rs: take_system_bytes",
        test: stream_9,
    },
    Rule {
        id: "E37-8.1.4.6/no-reply",
        duty: "Primaries without the W-bit carry system bytes of their own too, none like the one before.",
        applies: Applies::ALL,
        place: "hsms-core/src/connection/command.rs: begin_data",
        test: without_reply,
    },
];

fn echoes(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for system in [0, 1, 0x8000_0000, 0x0102_0304, u32::MAX].map(SystemBytes) {
        bench.send(Header { system, ..linktest() })?;
        bench.expect(Header::linktest_rsp(system))?;
    }
    bench.stays_selected()
}

fn unique(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(bench.request(S1F1, &[])?.system);
    }
    bench.does(Command::Linktest)?;
    let request = bench.frame()?.header;
    seen.push(request.system);
    bench.send(Header::linktest_rsp(request.system))?;
    bench.stays_selected()?;
    seen.push(bench.request(S1F1, &[])?.system);
    let count = seen.len();
    seen.sort();
    seen.dedup();
    require(seen.len() == count, || format!("only {} of {count} requests had system bytes of their own", seen.len()))
}

/// Its own Linktest.req. Gives the system bytes.
fn asked(bench: &mut dyn Bench) -> Outcome<SystemBytes> {
    bench.does(Command::Linktest)?;
    let frame = bench.frame()?;
    bench.is(&frame, &Frame::new(Header::linktest_req(frame.header.system), &[]))?;
    Ok(frame.header.system)
}

fn crossing(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let system = asked(bench)?;
    bench.send(Header::linktest_req(system))?;
    bench.expect(Header::linktest_rsp(system))?;
    bench.told(&[])?;
    bench.send(Header::linktest_rsp(system))?;
    bench.told(&[Report::LinktestAnswered])?;
    bench.stays_selected()
}

fn serves_meanwhile(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let system = asked(bench)?;
    bench.send(primary(S1F1))?;
    let orphan = Header::data(SystemBytes(0x7FFF_0000), StreamFunction::new(1, 2), false, primary(S1F1).session);
    bench.send(orphan)?;
    bench.stays_selected()?;
    bench.send(Header::linktest_rsp(system))?;
    let delivered = Report::Primary(Frame::new(primary(S1F1), &[]));
    bench.told(&[delivered, Report::Other(orphan, Class::Stray(Stray::Orphan)), Report::LinktestAnswered])
}

/// Session ids, and octets 2 and 3, that peers send where others are due.
const ODD: [(u16, u8, u8); 5] = [(0, 0, 0), (1, 0, 0), (0xFFFF, 0x80, 0), (0xFFFF, 0, 1), (0x8001, 0xFF, 0xFF)];

fn odd(header: Header) -> [Header; 5] {
    ODD.map(|(session, byte2, byte3)| Header { session: SessionId(session), byte2, byte3, ..header })
}

fn any_linktest_req(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for request in odd(linktest()) {
        bench.send(request)?;
        let session = SessionId(0xFFFF);
        bench.expect(Header {
            session,
            byte2: 0,
            byte3: 0,
            ptype: PType(0),
            stype: SType(6),
            system: request.system,
        })?;
    }
    bench.told(&[])?;
    bench.stays_selected()
}

fn any_linktest_rsp(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    for response in odd(linktest()) {
        let system = asked(bench)?;
        bench.send(Header { stype: Header::linktest_rsp(system).stype, system, ..response })?;
        bench.told(&[Report::LinktestAnswered])?;
    }
    bench.stays_selected()
}

fn separate(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let mut systems = vec![bench.request(S1F1, &[])?.system, bench.request(S1F1, &[])?.system];
    let ends: Vec<Report> = systems.iter().map(|system| Report::Ended(*system, TransactionEnd::SessionEnded)).collect();
    let linktest = asked(bench)?;
    bench.send(Header::linktest_rsp(linktest))?;
    bench.told(&[Report::LinktestAnswered])?;
    systems.push(linktest);
    bench.does(Command::Separate)?;
    let frame = bench.frame()?;
    bench.is(&frame, &Frame::new(Header::separate_req(frame.header.system), &[]))?;
    require(!systems.contains(&frame.header.system), || "Separate.req has system bytes of another request".into())?;
    bench.expect_closed()?;
    bench.told(&ends.into_iter().chain([Report::Closed(CloseReason::Separated)]).collect::<Vec<_>>())
}

fn stream_9(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let mut systems = Vec::new();
    for id in [2, 3, 4].map(SessionId) {
        systems.push(bench.request(S1F1, &[])?.system);
        let stranger = primary(S1F1).with_session(id);
        bench.send(stranger)?;
        let frame = bench.frame()?;
        require(frame.text.ends_with(&stranger.encode()), || "no error message".into())?;
        bench.told(&[Report::Other(stranger, Class::Stray(Stray::UnknownDevice))])?;
        systems.push(frame.header.system);
    }
    systems.push(primary(S1F1).system);
    all_different(systems)?;
    bench.stays_selected()
}

fn without_reply(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    let mut systems = vec![bench.request(S1F1, &[])?.system];
    for _ in 0..8 {
        bench.does(Command::Send(S1F1, vec![]))?;
        systems.push(bench.frame()?.header.system);
    }
    all_different(systems)?;
    bench.stays_selected()
}

fn all_different(mut systems: Vec<SystemBytes>) -> Outcome {
    let count = systems.len();
    systems.sort();
    systems.dedup();
    require(systems.len() == count, || {
        format!("only {} of {count} messages had system bytes of their own", systems.len())
    })
}

/// The next that comes are these octets.
fn expect_octets(bench: &mut dyn Bench, octets: &[u8]) -> Outcome {
    let came = bench.frame()?.encode();
    require(came == octets, || format!("{} instead of {}", Hex::new(&came), Hex::new(octets)))
}

fn octets_received(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.send_octets(&[0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, 5, 1, 2, 3, 4])?;
    expect_octets(bench, &[0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, 6, 1, 2, 3, 4])?;
    bench.send_octets(&[0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, 11, 5, 6, 7, 8])?;
    expect_octets(bench, &[0, 0, 0, 10, 0xFF, 0xFF, 11, 1, 0, 7, 5, 6, 7, 8])?;
    let offender = Header { stype: SType(11), system: SystemBytes(0x0506_0708), ..linktest() };
    bench.told(&[Report::Other(offender, Class::Rejected(RejectReason::STYPE_NOT_SUPPORTED))])?;
    // A text of 258 octets, so that two octets of the length field count.
    let text = [0xA5; 258];
    bench.send_octets(&[&[0, 0, 1, 12, 0, 1, 0x86, 11, 0, 0, 9, 8, 7, 6][..], &text].concat())?;
    let (ptype, stype) = (PType(0), SType(0));
    let header =
        Header { session: SessionId(1), byte2: 0x86, byte3: 11, ptype, stype, system: SystemBytes(0x0908_0706) };
    bench.told(&[Report::Primary(Frame::new(header, &text))])?;
    bench.does(Command::Reply(vec![1, 0]))?;
    expect_octets(bench, &[0, 0, 0, 12, 0, 1, 6, 12, 0, 0, 9, 8, 7, 6, 1, 0])?;
    bench.stays_selected()
}

/// The next that comes are these octets; four stand for system bytes of the subject's choice, which are given.
fn expect_own(bench: &mut dyn Bench, before: [u8; 10], text: &[u8]) -> Outcome<SystemBytes> {
    let came = bench.frame()?.encode();
    let system = came.get(10..14).unwrap_or_default().to_vec();
    let wanted = [&before[..], &system, text].concat();
    require(came == wanted, || format!("{} instead of {}", Hex::new(&came), Hex::new(&wanted)))?;
    Ok(SystemBytes(system.iter().fold(0, |sum, octet| (sum << 8) | u32::from(*octet))))
}

fn octets_sent(bench: &mut dyn Bench) -> Outcome {
    bench.begin_selected()?;
    bench.does(Command::Send(StreamFunction::new(6, 11), vec![1, 0]))?;
    expect_own(bench, [0, 0, 0, 12, 0, 1, 6, 11, 0, 0], &[1, 0])?;
    bench.does(Command::Send(S1F1, vec![0xA5; 258]))?;
    expect_own(bench, [0, 0, 1, 12, 0, 1, 1, 1, 0, 0], &[0xA5; 258])?;
    bench.does(Command::Request(S1F1, vec![]))?;
    let request = expect_own(bench, [0, 0, 0, 10, 0, 1, 0x81, 1, 0, 0], &[])?;
    bench.send_octets(&[&[0, 0, 0, 10, 0, 1, 1, 2, 0, 0][..], &request.0.to_be_bytes()].concat())?;
    bench.told(&[Report::Reply(Frame::new(Header::data(request, StreamFunction::new(1, 2), false, DATA), &[]))])?;
    bench.does(Command::Linktest)?;
    let linktest = expect_own(bench, [0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, 5], &[])?;
    bench.send_octets(&[&[0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, 6][..], &linktest.0.to_be_bytes()].concat())?;
    bench.told(&[Report::LinktestAnswered])?;
    bench.does(Command::Separate)?;
    expect_own(bench, [0, 0, 0, 10, 0xFF, 0xFF, 0, 0, 0, 9], &[])?;
    bench.expect_closed()?;
    bench.told(&[Report::Closed(CloseReason::Separated)])
}
