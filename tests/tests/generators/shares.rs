//! How often generators make what: a generator that leaves a kind out, or drowns the others in one, proves less than it seems to.

use hsms_core::connection::{Event, General, GeneralInput, Input, Outcome, State};
use hsms_core::counters::Counters;
use hsms_core::generate::{Chunking, GeneralScript, PeerOctets, Script, Seed, Step};
use hsms_core::secs2::{Tree, serde::Cause};
use hsms_core::wire::{Header, Kind, Message, PType};
use hsms_tests::machine::Machine;
use std::collections::BTreeMap;

type Counts = BTreeMap<String, usize>;

/// Octets for so many values, always the same.
fn seeds(number: usize, octets: usize) -> impl Iterator<Item = Seed> {
    let mut random = fastrand::Rng::with_seed(37);
    std::iter::repeat_with(move || Seed(std::iter::repeat_with(|| random.u8(..)).take(octets).collect())).take(number)
}

fn count(counts: &mut Counts, what: impl Into<String>) {
    *counts.entry(what.into()).or_default() += 1;
}

/// Each is there as often as is written, a fifth more or less, and nothing else is; what comes less than 20 times, from once to four times
/// as often.
fn assert_shares(counts: &Counts, expected: &[(&str, usize)]) {
    let mut wrong = Vec::new();
    for (what, times) in expected {
        let there = counts.get(*what).copied().unwrap_or(0);
        let most = if *times < 20 { times * 4 } else { times * 6 / 5 };
        let least = if *times < 20 { 1 } else { times * 4 / 5 };
        if !(least..=most).contains(&there) {
            wrong.push(format!("{what}: {there}, not about {times}"));
        }
    }
    let listed = |what: &String| expected.iter().any(|(other, _)| what == other);
    wrong.extend(counts.keys().filter(|what| !listed(what)).map(|what| format!("{what} is not listed")));
    assert!(wrong.is_empty(), "{wrong:#?} of {counts:#?}");
}

fn name(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").split([' ', '(', '{']).next().unwrap().to_owned()
}

fn shape(header: &Header, text: bool) -> String {
    let data = matches!(header.kind(), Ok(Kind::Data { .. }));
    format!("{} {}", if data { "data" } else { "control" }, if text { "with text" } else { "alone" })
}

/// What is told to a machine, and what it makes of what arrives. Time passes over no deadline, and goes on when nothing is due any more.
fn tell<M: Machine>(mut machine: M, steps: &[Step], counts: &mut Counts) {
    let mut has_told_of_time = false;
    for Step { now, input } in steps {
        let input = input.as_input();
        let deadline = machine.next_deadline();
        let due = deadline.map(|deadline| deadline <= *now);
        let told = match &input {
            GeneralInput::Common(Input::Handle(Event::Timeout)) => match due {
                Some(true) => "a timer is due".to_owned(),
                Some(false) => "time passes, and a timer runs".to_owned(),
                None => "time passes".to_owned(),
            },
            other => {
                // A step may make a timer due that had to wait for it.
                assert!(!(has_told_of_time && due == Some(true)), "{other:?} is told while a timer is due");
                match other {
                    GeneralInput::Common(Input::Handle(event)) => name(event),
                    GeneralInput::Common(input) => name(input),
                    input => name(input),
                }
            }
        };
        assert!(
            deadline.is_none_or(|deadline| deadline >= *now || has_told_of_time),
            "{deadline:?} has passed at {now:?}"
        );
        has_told_of_time = matches!(input, GeneralInput::Common(Input::Handle(Event::Timeout)));
        let selected = machine.state() == State::Selected;
        let outcome = machine.tell(*now, input);
        count(counts, told);
        if let Outcome::Received { inbound: Some(inbound), .. } = &outcome
            && inbound.first()
        {
            let header = inbound.header();
            let text = if inbound.piece.body_len > 0 { " with text" } else { "" };
            let what = match header.kind() {
                Ok(Kind::Data { .. }) if header.function() == 0 => "abort".to_owned(),
                Ok(Kind::Data { .. }) if header.function() % 2 == 0 => format!("reply{text}"),
                Ok(Kind::Data { .. }) => format!("primary{text}"),
                Ok(kind) => format!("{}{}", name(&kind), if selected { " while SELECTED" } else { "" }),
                Err(_) => "unknown".to_owned(),
            };
            count(counts, format!("gets {what}"));
        }
        while machine.poll_action().is_some() {}
    }
}

#[test]
fn scripts_tell_of_everything_about_as_often_as_ever() {
    let mut counts = Counts::new();
    for seed in seeds(2_000, 400) {
        let script: Script = seed.make().unwrap();
        tell(script.connection(), &script.steps, &mut counts);
    }
    assert_shares(&counts, SINGLE);
}

#[test]
fn scripts_of_hsms_gs_tell_of_everything_about_as_often_as_ever() {
    let mut counts = Counts::new();
    for seed in seeds(2_000, 400) {
        let script: GeneralScript = seed.make().unwrap();
        tell(script.connection(), &script.steps, &mut counts);
    }
    assert_shares(&counts, GENERAL);
}

const SINGLE: &[(&str, usize)] = &[
    ("AbortBody", 116),
    ("BeginAbort", 85),
    ("BeginPrimary", 3_848),
    ("BeginReply", 555),
    ("Disable", 3_633),
    ("Enable", 5_615),
    ("EndBody", 3_725),
    ("Forget", 65),
    ("Linktest", 760),
    ("PauseInput", 1_077),
    ("Receive", 32_481),
    ("ReportError", 101),
    ("ResumeInput", 667),
    ("Select", 175),
    ("Separate", 1_316),
    ("SetNextSystemBytes", 1_097),
    ("TransportClosed", 2_614),
    ("TransportFailed", 2_606),
    ("TransportOpen", 17_962),
    ("Written", 13_370),
    ("a timer is due", 18_114),
    ("gets DeselectReq", 202),
    ("gets DeselectReq while SELECTED", 822),
    ("gets DeselectRsp", 111),
    ("gets DeselectRsp while SELECTED", 135),
    ("gets LinktestReq", 391),
    ("gets LinktestReq while SELECTED", 2_308),
    ("gets LinktestRsp", 110),
    ("gets LinktestRsp while SELECTED", 902),
    ("gets RejectReq", 308),
    ("gets RejectReq while SELECTED", 322),
    ("gets SelectReq", 8_664),
    ("gets SelectReq while SELECTED", 818),
    ("gets SelectRsp", 1_958),
    ("gets SelectRsp while SELECTED", 336),
    ("gets SeparateReq", 181),
    ("gets SeparateReq while SELECTED", 819),
    ("gets abort", 179),
    ("gets primary", 558),
    ("gets primary with text", 7_821),
    ("gets reply", 49),
    ("gets reply with text", 964),
    ("gets unknown", 334),
    ("time passes", 2_095),
    ("time passes, and a timer runs", 3_157),
];
const GENERAL: &[(&str, usize)] = &[
    ("AbortBody", 49),
    ("AnswerSelect", 11),
    ("BeginAbort", 28),
    ("BeginPrimary", 151),
    ("BeginPrimaryIn", 1_034),
    ("BeginReply", 193),
    ("DeselectSession", 59),
    ("Disable", 3_426),
    ("Enable", 5_407),
    ("EndBody", 1_156),
    ("Forget", 22),
    ("Linktest", 2_084),
    ("PauseInput", 1_254),
    ("Receive", 37_432),
    ("ReportError", 29),
    ("ResumeInput", 699),
    ("SelectSession", 228),
    ("Separate", 1_482),
    ("SeparateSession", 48),
    ("SetAdmission", 330),
    ("SetBusy", 299),
    ("SetNextSystemBytes", 1_287),
    ("TransportClosed", 2_965),
    ("TransportFailed", 2_405),
    ("TransportOpen", 16_879),
    ("Written", 14_900),
    ("a timer is due", 18_808),
    ("gets DeselectReq", 421),
    ("gets DeselectReq while SELECTED", 343),
    ("gets DeselectRsp", 214),
    ("gets DeselectRsp while SELECTED", 85),
    ("gets LinktestReq", 766),
    ("gets LinktestReq while SELECTED", 964),
    ("gets LinktestRsp", 953),
    ("gets LinktestRsp while SELECTED", 338),
    ("gets RejectReq", 438),
    ("gets RejectReq while SELECTED", 191),
    ("gets SelectReq", 18_526),
    ("gets SelectReq while SELECTED", 358),
    ("gets SelectRsp", 1_672),
    ("gets SelectRsp while SELECTED", 503),
    ("gets SeparateReq", 409),
    ("gets SeparateReq while SELECTED", 358),
    ("gets abort", 73),
    ("gets primary", 355),
    ("gets primary with text", 4_677),
    ("gets reply", 27),
    ("gets reply with text", 356),
    ("gets unknown", 396),
    ("time passes", 688),
    ("time passes, and a timer runs", 5_262),
];

#[test]
fn streams_of_peers_are_messages_mostly_and_half_of_them_are_cut() {
    let mut counts = Counts::new();
    for seed in seeds(2_000, 500) {
        let PeerOctets(octets) = seed.make().unwrap();
        let mut rest = &octets[..];
        while let Some((first, behind)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*first) as usize;
            let whole = (10..200).contains(&length).then(|| behind.split_at_checked(length)).flatten();
            let Some((message, behind)) = whole else {
                let loose = match length {
                    _ if rest[0] == 5 => "the first octet of SECS-I",
                    ..10 => "too short",
                    10..300 => "promised",
                    _ => "loose",
                };
                count(&mut counts, loose);
                break;
            };
            let header = Header::decode(message.first_chunk().unwrap());
            count(&mut counts, shape(&header, length > 10));
            rest = behind;
        }
        if rest.is_empty() {
            count(&mut counts, "whole");
        }
    }
    assert_shares(&counts, STREAMS);
}

const STREAMS: &[(&str, usize)] = &[
    ("control alone", 2_688),
    ("control with text", 264),
    ("data alone", 3),
    ("data with text", 290),
    ("loose", 337),
    ("promised", 533),
    ("the first octet of SECS-I", 206),
    ("too short", 43),
    ("whole", 699),
];

#[test]
fn a_stream_whose_octets_for_it_end_is_whole() {
    assert_eq!(Seed(vec![1, 16]).make::<PeerOctets>().unwrap().0, [5]);
}

#[test]
fn a_stream_is_cut_into_pieces_of_the_sizes_over_and_over() {
    let mut counts = Counts::new();
    let stream: Vec<u8> = (0..=255).collect();
    for seed in seeds(1_000, 100) {
        let chunking: Chunking = seed.make().unwrap();
        let chunks = chunking.cut(&stream);
        assert_eq!(chunks.concat(), stream);
        let Chunking(sizes) = &chunking;
        if sizes.is_empty() {
            assert_eq!(chunks.len(), 1);
        }
        for (chunk, size) in chunks[..chunks.len() - 1].iter().zip(sizes.iter().cycle()) {
            assert_eq!(chunk.len(), *size);
        }
        count(&mut counts, format!("{} sizes", sizes.len()));
        for size in sizes {
            count(
                &mut counts,
                if *size < 5 {
                    "small"
                } else if *size < 20 {
                    "middle"
                } else {
                    "large"
                },
            );
        }
    }
    assert_eq!(Chunking(vec![0]).cut(b"ab"), [b"a", b"b"]);
    assert_shares(&counts, CHUNKS);
}

const CHUNKS: &[(&str, usize)] = &[
    ("0 sizes", 135),
    ("1 sizes", 123),
    ("2 sizes", 139),
    ("3 sizes", 112),
    ("4 sizes", 120),
    ("5 sizes", 114),
    ("6 sizes", 119),
    ("7 sizes", 138),
    ("large", 985),
    ("middle", 1_051),
    ("small", 1_431),
];

#[test]
fn values_are_what_they_are_mostly_as_often_as_ever() {
    let mut counts = Counts::new();
    for seed in seeds(8_000, 200) {
        count(&mut counts, format!("cause {}", name(&seed.make::<Cause>().unwrap())));
        let header: Header = seed.make().unwrap();
        match header.kind() {
            Ok(_) => count(&mut counts, "known header"),
            Err(_) if header.ptype == PType::SECS_II => count(&mut counts, "unknown SType"),
            Err(_) => count(&mut counts, "unknown PType"),
        }
        let message: Message<'_> = seed.make().unwrap();
        count(&mut counts, shape(&message.header, !message.body.is_empty()));
        let list: General<3> = seed.make().unwrap();
        count(&mut counts, format!("{} entities", list.entities().count()));
        if list == list.clone().or_single() {
            count(&mut counts, "undecided list");
        }
        let counters: Counters = seed.make().unwrap();
        if counters.connections > 0 {
            count(&mut counts, "counted events");
        }
        match seed.make().unwrap() {
            Tree::Ascii(text) if text.len() >= 255 => count(&mut counts, "long text"),
            Tree::Ascii(text) if text.is_empty() => count(&mut counts, "empty text"),
            Tree::Ascii(text) if text.is_ascii() => {
                count(&mut counts, if text.iter().all(|octet| *octet == 0x7F) { "delete" } else { "ASCII" });
            }
            Tree::Ascii(_) => count(&mut counts, "other than ASCII"),
            _ => {}
        }
    }
    assert_shares(&counts, VALUES);
}

const VALUES: &[(&str, usize)] = &[
    ("0 entities", 2_547),
    ("1 entities", 2_827),
    ("2 entities", 2_071),
    ("3 entities", 555),
    ("ASCII", 152),
    ("cause NoItemFor", 2_002),
    ("cause Read", 2_041),
    ("cause Refused", 1_967),
    ("cause Write", 1_990),
    ("control alone", 6_278),
    ("control with text", 867),
    ("counted events", 2_343),
    ("data alone", 6),
    ("data with text", 849),
    ("delete", 1),
    ("empty text", 27),
    ("known header", 7_024),
    ("long text", 19),
    ("other than ASCII", 12),
    ("undecided list", 2_007),
    ("unknown PType", 475),
    ("unknown SType", 501),
];
