//! An error changes nothing: every error, from every call that can give it.

use crate::drain;
use crate::support::{DEVICE, Who, active, hex, passive};
use hsms_core::Error;
use hsms_core::config::DeviceId;
use hsms_core::connection::{Action, Connection, Event, ReplyToken, State, Stream9};
use hsms_core::time::Instant;
use hsms_core::wire::{BodyTooLong, Header, StreamFunction, SystemBytes};

const S1F1: StreamFunction = StreamFunction::new(1, 1);

type Machine = Connection<4>;
type Call = Box<dyn Fn(&mut Machine, Instant) -> Result<(), Error>>;

/// A machine, a call, and the error it has to give.
struct Refusal {
    machine: Machine,
    call: Call,
    error: Error,
    name: String,
}

#[derive(Default)]
struct Refusals(Vec<Refusal>);

impl Refusals {
    fn add(
        &mut self,
        name: &str,
        machine: &Machine,
        error: Error,
        call: impl Fn(&mut Machine, Instant) -> Result<(), Error> + 'static,
    ) {
        let name = format!("{name} in {} gives {error:?}", machine.state());
        self.0.push(Refusal { machine: machine.clone(), call: Box::new(call), error, name });
    }
}

/// Later than anything before: a refused call may not remember even that.
fn later() -> Instant {
    Instant::from_millis(1 << 40)
}

fn tell(machine: &mut Machine, now: Instant, frame: &str) {
    let octets = hex(frame);
    let (taken, _) = machine.receive(now, &octets).expect("connected");
    assert_eq!(taken, octets.len());
}

/// Not SELECTED any more, and one transaction whose end has not been polled.
fn untold_ends(who: Who) -> Machine {
    let scene = who.requesting();
    let mut machine = scene.connection.clone();
    machine.handle(scene.now(), Event::TransportClosed).unwrap();
    assert!(matches!(machine.poll_action(), Some(Action::CloseTransport(_))));
    assert_eq!(machine.state(), State::NotConnected);
    machine
}

/// SELECTED, with so many answers unpolled that there is no room for more, and a linktest due later.
fn jammed(who: Who) -> (Machine, ReplyToken) {
    let scene = who.linktest(30_000, 1).selected();
    let mut machine = scene.connection.clone();
    let primary = hex("0000000A 0001 81 01 00 00 00000009");
    let (_, inbound) = machine.receive(scene.now(), &primary).unwrap();
    let token = inbound.unwrap().reply_token().unwrap();
    let linktest = hex("0000000A FFFF 00 00 00 05 00000001");
    for _ in 0..100 {
        if machine.receive(scene.now(), &linktest).is_err() {
            return (machine, token);
        }
    }
    panic!("there is always room");
}

fn primary(machine: &mut Machine, now: Instant) -> Result<(), Error> {
    machine.begin_primary(now, DEVICE, S1F1, true, 0).map(drop)
}

fn receive(machine: &mut Machine, now: Instant) -> Result<(), Error> {
    machine.receive(now, &[0, 0, 0, 10]).map(drop)
}

fn actions_pending(refusals: &mut Refusals) {
    let error = Error::ActionsPending;
    for who in [passive(), active()] {
        let (machine, token) = jammed(who);
        refusals.add("receive", &machine, error, receive);
        // A Timeout with nothing due would be no error.
        refusals.add("handle", &machine, error, |machine, _| machine.handle(later(), Event::Timeout));
        for event in [Event::TransportClosed, Event::TransportOpen, Event::TransportFailed] {
            refusals.add("handle", &machine, error, move |machine, now| machine.handle(now, event));
            refusals.add("handle", &untold_ends(who), error, move |machine, now| machine.handle(now, event));
        }
        for machine in [&machine, &untold_ends(who)] {
            refusals.add("enable", machine, error, Connection::enable);
            refusals.add("disable", machine, error, Connection::disable);
            refusals.add("separate", machine, error, Connection::separate);
            refusals.add("select", machine, error, |machine, now| machine.select(now).map(drop));
            refusals.add("linktest", machine, error, |machine, now| machine.linktest(now).map(drop));
            let about = Header::data(SystemBytes(1), S1F1, true, DEVICE.session());
            refusals.add("report_error", machine, error, move |machine, now| {
                machine.report_error(now, Stream9::IllegalData, &about)
            });
        }
        refusals.add("begin_primary", &machine, error, primary);
        refusals.add("begin_reply", &machine, error, move |machine, now| machine.begin_reply(now, &token, 0).map(drop));
        refusals.add("begin_abort", &machine, error, move |machine, now| machine.begin_abort(now, &token).map(drop));
        // A text is open, and a notice has not been polled.
        let scene = who.selected();
        let mut machine = scene.connection.clone();
        machine.begin_primary(scene.now(), DEVICE, S1F1, false, 5).unwrap();
        tell(&mut machine, scene.now(), "0000000A FFFF 00 04 00 07 00000077");
        refusals.add("abort_body", &machine, error, Connection::abort_body);
    }
}

fn unexpected_events(refusals: &mut Refusals) {
    use Event::{TransportClosed, TransportFailed, TransportOpen};
    for who in [passive(), active()] {
        let mut separation = who.opening();
        separation.connection.handle(separation.now(), TransportFailed).unwrap();
        for (machine, events) in [
            (who.disabled().connection, &[TransportOpen, TransportFailed, TransportClosed][..]),
            (separation.connection, &[TransportOpen, TransportFailed, TransportClosed]),
            (who.opening().connection, &[TransportClosed]),
            (who.connected().connection, &[TransportOpen, TransportFailed]),
            (who.selected().connection, &[TransportOpen, TransportFailed]),
        ] {
            for event in events.iter().copied() {
                let error = Error::UnexpectedEvent { event, state: machine.state() };
                refusals.add("handle", &machine, error, move |machine, now| machine.handle(now, event));
            }
        }
    }
}

fn no_connection_or_no_session(refusals: &mut Refusals) {
    for who in [passive(), active()] {
        let error = Error::NotConnected;
        for machine in [who.disabled().connection, who.opening().connection] {
            refusals.add("receive", &machine, error, receive);
            refusals.add("separate", &machine, error, Connection::separate);
            refusals.add("select", &machine, error, |machine, now| machine.select(now).map(drop));
            refusals.add("pause_input", &machine, error, Connection::pause_input);
            refusals.add("resume_input", &machine, error, Connection::resume_input);
        }
        let mut over = who.refusing();
        over.connection.handle(over.now(), Event::TransportClosed).unwrap();
        drain(&mut over.connection);
        refusals.add("enable", &over.connection, error, Connection::enable);

        let error = Error::NotSelected;
        // A token that is not stale: its session ended, its connection did not.
        let (machine, token) = jammed(who);
        let mut closed = machine;
        drain(&mut closed);
        closed.handle(later(), Event::TransportClosed).unwrap();
        drain(&mut closed);
        refusals.add("begin_reply", &closed, error, move |machine, now| machine.begin_reply(now, &token, 0).map(drop));
        refusals.add("begin_abort", &closed, error, move |machine, now| machine.begin_abort(now, &token).map(drop));
        for machine in [who.disabled().connection, who.opening().connection, who.connected().connection, closed] {
            refusals.add("linktest", &machine, error, |machine, now| machine.linktest(now).map(drop));
            refusals.add("begin_primary", &machine, error, primary);
            let about = Header::data(SystemBytes(1), S1F1, true, DEVICE.session());
            refusals.add("report_error", &machine, error, move |machine, now| {
                machine.report_error(now, Stream9::UnrecognizedStream, &about)
            });
        }
    }
}

fn misuse_of_texts(refusals: &mut Refusals) {
    for who in [passive(), active()] {
        let scene = who.selected();
        let (mut machine, token) = jammed(who);
        drain(&mut machine);
        let length = Error::BodyTooLong(BodyTooLong { body_len: u32::MAX - 9 });
        refusals.add("begin_reply", &machine, length, move |machine, now| {
            machine.begin_reply(now, &token, u32::MAX - 9).map(drop)
        });
        refusals.add("begin_primary", &machine, length, |machine, now| {
            machine.begin_primary(now, DEVICE, S1F1, true, u32::MAX - 9).map(drop)
        });
        for (stream, function) in [(1, 2), (1, 0), (0, 1), (128, 1), (255, 255)] {
            let stream_function = StreamFunction::new(stream, function);
            refusals.add("begin_primary", &machine, Error::NotPrimary { stream_function }, move |machine, now| {
                machine.begin_primary(now, DEVICE, stream_function, true, 0).map(drop)
            });
        }
        let device = DeviceId::new(2).unwrap();
        let unknown = Error::UnknownDevice { session: device.session() };
        refusals.add("begin_primary", &machine, unknown, move |machine, now| {
            machine.begin_primary(now, device, S1F1, false, 0).map(drop)
        });

        let closed = Error::NoBodyOpen;
        for machine in [who.disabled().connection, who.connected().connection, machine.clone()] {
            refusals.add("end_body", &machine, closed, Connection::end_body);
            refusals.add("abort_body", &machine, closed, Connection::abort_body);
        }

        machine.begin_primary(scene.now(), DEVICE, S1F1, false, 5).unwrap();
        let open = Error::BodyOpen;
        refusals.add("begin_primary", &machine, open, primary);
        refusals.add("begin_reply", &machine, open, move |machine, now| machine.begin_reply(now, &token, 0).map(drop));
        refusals.add("begin_abort", &machine, open, move |machine, now| machine.begin_abort(now, &token).map(drop));
        machine.end_body(scene.now()).unwrap();
        // The answers that jammed it were polled and never written, 14 octets each.
        machine.written(scene.now(), 19).unwrap();
        let takes = |octets: u64| machine.clone().written(scene.now(), octets).is_ok();
        let outstanding = (0..200).rev().find(|octets| takes(*octets)).expect("nothing can always be written");
        for octets in [outstanding + 1, u64::MAX] {
            let error = Error::WrittenTooMuch { octets, outstanding };
            refusals.add("written", &machine, error, move |machine, now| machine.written(now, octets));
        }

        // The next connection.
        machine.handle(scene.now(), Event::TransportClosed).unwrap();
        drain(&mut machine);
        machine.handle(later(), Event::Timeout).unwrap();
        drain(&mut machine);
        machine.handle(later(), Event::TransportOpen).unwrap();
        drain(&mut machine);
        let stale = Error::StaleToken;
        refusals.add("begin_reply", &machine, stale, move |machine, now| machine.begin_reply(now, &token, 0).map(drop));
        refusals.add("begin_abort", &machine, stale, move |machine, now| machine.begin_abort(now, &token).map(drop));
    }
}

fn misuse_of_transactions(refusals: &mut Refusals) {
    for who in [passive(), active()] {
        let mut full = who.selected();
        for _ in 0..4 {
            full.requests(1, 1);
        }
        refusals.add("begin_primary", &full.connection, Error::TransactionsFull { open: 4 }, primary);
        let system = SystemBytes(0x60);
        for machine in [&full.connection, &who.disabled().connection] {
            let none = Error::NoTransaction { system };
            refusals.add("forget", machine, none, move |machine, _| machine.forget(system));
        }
        let paused = who.connected();
        let mut machine = paused.connection.clone();
        machine.pause_input(paused.now()).unwrap();
        refusals.add("receive", &machine, Error::InputPaused, receive);

        let about = Header::data(SystemBytes(1), S1F1, true, DEVICE.session());
        let host = who.host().selected().connection;
        refusals.add("report_error", &host, Error::NotForStream9, move |machine, now| {
            machine.report_error(now, Stream9::UnrecognizedFunction, &about)
        });
        let equipment = who.equipment().selected().connection;
        for (stream, function) in [(9, 1), (1, 0)] {
            let about = Header::data(SystemBytes(1), StreamFunction::new(stream, function), false, DEVICE.session());
            refusals.add("report_error", &equipment, Error::NotForStream9, move |machine, now| {
                machine.report_error(now, Stream9::UnrecognizedFunction, &about)
            });
        }
        refusals.add("select", &who.selected().connection, Error::CannotSelect, |machine, now| {
            machine.select(now).map(drop)
        });
    }
    let cannot = Error::CannotSelect;
    refusals.add("select", &passive().connected().connection, cannot, |machine, now| machine.select(now).map(drop));

    let scene = active().connected();
    let open = Error::ControlOpen { system: crate::support::SELECT_SYSTEM };
    refusals.add("select", &scene.connection, open, |machine, now| machine.select(now).map(drop));
    // Both sides selected at once: SELECTED, and our Select.req is open still.
    let mut machine = scene.connection.clone();
    tell(&mut machine, scene.now(), "0000000A FFFF 00 00 00 01 00000063");
    drain(&mut machine);
    assert_eq!(machine.state(), State::Selected);
    refusals.add("linktest", &machine, open, |machine, now| machine.linktest(now).map(drop));
}

#[test]
fn an_error_changes_nothing_the_remembered_time_included() {
    let mut refusals = Refusals::default();
    actions_pending(&mut refusals);
    unexpected_events(&mut refusals);
    no_connection_or_no_session(&mut refusals);
    misuse_of_texts(&mut refusals);
    misuse_of_transactions(&mut refusals);

    let mut seen: Vec<String> = Vec::new();
    for Refusal { machine, call, error, name } in refusals.0 {
        for now in [later(), Instant::EPOCH] {
            let mut after = machine.clone();
            assert_eq!(call(&mut after, now), Err(error), "{name}");
            assert_eq!(after, machine, "{name}");
        }
        let variant = format!("{error:?}").split([' ', '(']).next().unwrap().to_owned();
        let method = name.split(' ').next().unwrap();
        seen.push(format!("{method} {variant}"));
    }
    seen.sort();
    seen.dedup();
    // Every error in the documentation of every method.
    let documented = [
        "abort_body ActionsPending",
        "abort_body NoBodyOpen",
        "begin_abort ActionsPending",
        "begin_abort BodyOpen",
        "begin_abort NotSelected",
        "begin_abort StaleToken",
        "begin_primary ActionsPending",
        "begin_primary BodyOpen",
        "begin_primary BodyTooLong",
        "begin_primary NotPrimary",
        "begin_primary NotSelected",
        "begin_primary TransactionsFull",
        "begin_primary UnknownDevice",
        "begin_reply ActionsPending",
        "begin_reply BodyOpen",
        "begin_reply BodyTooLong",
        "begin_reply NotSelected",
        "begin_reply StaleToken",
        "disable ActionsPending",
        "enable ActionsPending",
        "enable NotConnected",
        "end_body NoBodyOpen",
        "forget NoTransaction",
        "handle ActionsPending",
        "handle UnexpectedEvent",
        "linktest ActionsPending",
        "linktest ControlOpen",
        "linktest NotSelected",
        "pause_input NotConnected",
        "receive ActionsPending",
        "receive InputPaused",
        "receive NotConnected",
        "report_error ActionsPending",
        "report_error NotForStream9",
        "report_error NotSelected",
        "resume_input NotConnected",
        "select ActionsPending",
        "select CannotSelect",
        "select ControlOpen",
        "select NotConnected",
        "separate ActionsPending",
        "separate NotConnected",
        "written WrittenTooMuch",
    ];
    assert_eq!(seen, documented);
}
