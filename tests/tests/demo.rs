//! The demo goes as listed, and notices whatever goes wrong on its wire.

#[path = "../../hsms-std/examples/demo/main.rs"]
#[expect(dead_code, reason = "the program's main")]
mod demo;

use demo::play::list::{self, Expected, Text};
use demo::play::{Deviation, Fault, Plan, run};
use demo::start;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// Runs that play at the same time. They mostly wait.
const AT_ONCE: usize = 4;

/// Octets of the length field and the header.
const PREFIX: usize = 14;

#[test]
fn the_conversation_goes_as_listed() {
    for _ in 0..3 {
        let mut numbers = Vec::new();
        let printed = start(&[], &mut |line| numbers.extend(line.number())).expect("a run as listed");
        assert!(printed.starts_with("as listed: "), "{printed}");
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=list::messages().count()).collect::<Vec<_>>());
    }
}

#[test]
fn every_message_that_is_broken_makes_the_demo_fail_and_is_named() {
    each(all(), |number| {
        let outcome = start(&["--break", &number.to_string()], &mut |_| {});
        let (code, printed) = outcome.expect_err("a run with a broken message");
        assert_eq!(code, 1);
        assert!(printed.contains(&format!("message {number} is not as listed")), "{printed}");
    });
}

#[test]
fn every_octet_of_a_header_counts() {
    for number in [1, 5] {
        each(4..PREFIX, |octet| {
            let fault = Fault::Alter { number, octet: Some(octet), unseen: false };
            match deviation(fault, Plan::PLAIN.idle) {
                Deviation::Wrong { number: named, .. } => assert_eq!(named, number),
                other => panic!("octet {octet}: {other}"),
            }
        });
    }
}

#[test]
fn a_wrong_length_is_noticed() {
    let cases = [1, 4, 13, 40].into_iter().flat_map(|number| (0..4).map(move |octet| (number, octet)));
    each(cases, |(number, octet)| {
        let fault = Fault::Alter { number, octet: Some(octet), unseen: false };
        match deviation(fault, SHORT) {
            Deviation::Missing { after, .. } => assert_eq!(after, number - 1),
            Deviation::Wrong { number: named, .. } => assert_eq!(named, number),
            // No message any more, one that has no place there, or an end that closes because of what is claimed.
            Deviation::Octets(_) | Deviation::Additional { .. } | Deviation::End { .. } => {}
            other => panic!("message {number}, octet {octet}: {other}"),
        }
    });
}

#[test]
fn a_message_that_is_lost_is_noticed() {
    each(all(), |number| match deviation(Fault::Drop { number }, SHORT) {
        // Nothing, the next message of the burst, or what comes instead: T3, a close.
        Deviation::Missing { .. } | Deviation::Wrong { .. } | Deviation::Additional { .. } | Deviation::End { .. } => {}
        other => panic!("message {number}: {other}"),
    });
}

#[test]
fn a_message_that_comes_twice_is_noticed() {
    each(all(), |number| match deviation(Fault::Repeat { number }, Plan::PLAIN.idle) {
        Deviation::Wrong { .. } | Deviation::Additional { .. } => {}
        other => panic!("message {number}: {other}"),
    });
}

/// The tape is shown the message as it was. The text of a reply that comes too late is not kept, so nobody can notice.
#[test]
fn the_ends_notice_a_broken_text_by_themselves() {
    const TOO_LATE: usize = 41;
    let with_text = list::messages().enumerate().filter(|(_, (_, row))| !matches!(row.text, Text::Octets("")));
    let numbers = with_text.map(|(index, _)| index + 1).filter(|number| *number != TOO_LATE);
    each(numbers, |number| {
        let fault = Fault::Alter { number, octet: None, unseen: true };
        match deviation(fault, Plan::PLAIN.idle) {
            Deviation::End { .. } => {}
            // The tape was shown nothing wrong: an end has noticed, and hung up before it could tell.
            Deviation::Additional { got, .. } if got == "the end of the TCP connection" => {}
            other => panic!("message {number}: {other}"),
        }
    });
}

#[test]
fn the_list_is_printed_with_its_length() {
    let printed = start(&["--list"], &mut |_| {}).expect("the list");
    let connections = list::LIST.iter().filter(|expected| matches!(expected, Expected::Open)).count();
    assert_eq!(connections, 3);
    assert_eq!(printed.lines().count(), list::LIST.len() + 1);
    assert!(printed.ends_with(&format!("{} messages", list::messages().count())), "{printed}");
}

#[test]
fn arguments_without_sense_are_refused() {
    let beyond = (list::messages().count() + 1).to_string();
    for arguments in [&["--break"][..], &["--break", "0"], &["--break", &beyond], &["--break", "1:x"], &["more"]] {
        let (code, printed) = start(arguments, &mut |_| {}).expect_err("a refusal");
        assert_eq!(code, 2);
        assert!(printed.starts_with("usage: "), "{printed}");
    }
}

/// Where a fault shows by nothing coming.
const SHORT: Duration = Duration::from_secs(1);

/// The numbers of all messages.
fn all() -> impl Iterator<Item = usize> {
    1..=list::messages().count()
}

/// How the run with this fault ends.
fn deviation(fault: Fault, idle: Duration) -> Deviation {
    let plan = Plan { idle, ..Plan::with_fault(fault) };
    match run(plan, &mut |_| {}) {
        Ok(summary) => panic!("{fault:?} was not noticed: {summary}"),
        Err(deviation) => deviation,
    }
}

/// Does `work` for each case, some at the same time.
fn each<T: Send>(cases: impl Iterator<Item = T> + Send, work: impl Fn(T) + Sync) {
    let cases = Mutex::new(cases);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    // Not held while the case runs.
                    let case = cases.lock().expect("no case panics here").next();
                    let Some(case) = case else { return };
                    work(case);
                }
            });
        }
    });
}
