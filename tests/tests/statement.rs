//! The documentation that E37 10, E37.1 10 and E37.2 10 ask of an implementation, as a page whose numbers come from the code.
//!
//! `SNAPSHOTS=overwrite cargo test -p hsms-tests --test statement` writes `hsms-std/docs/statement.md` anew.

use hsms_core::config::{ConfigError, ConnectMode, Entity, Field, MAX_DEVICE_IDS, Profile, SelectMode};
use hsms_core::connection::{Action, CloseReason, ControlFrame, Event};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, MAX_BODY_LEN, MIN_LENGTH, PREFIX_LEN, SystemBytes};
use hsms_std::{Config, DeviceId, DeviceIds, Options};
use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::marker::PhantomData;
use std::time::Duration;

const DEVICE: DeviceId = DeviceId::new(0).unwrap();

#[test]
fn the_page_is_what_the_code_says() {
    let page = page();
    snapbox::assert_data_eq!(page, snapbox::file!["../../hsms-std/docs/statement.md"].raw());
}

/// A setting that the page does not explain would be a promise broken in silence.
#[test]
fn every_setting_has_a_row_and_every_row_is_a_setting() {
    assert_eq!(explained(&settings()), fields(&config()));
    assert_eq!(explained(&adapter()), fields(&Options::new()));
}

#[test]
fn fields_are_read_from_what_is_printed() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is printed")]
    struct Outer {
        one: u8,
        two: Option<Inner>,
    }
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is printed")]
    struct Inner {
        not_me: u8,
    }
    let outer = Outer { one: 1, two: Some(Inner { not_me: 2 }) };
    assert_eq!(fields(&outer), BTreeSet::from(["one".to_owned(), "two".to_owned()]));
}

// What the page is made of.

/// A line of a table of settings.
struct Row {
    /// The fields of the settings that it explains, as `Debug` prints them.
    fields: &'static [&'static str],
    cells: Vec<String>,
}

fn explained(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().flat_map(|row| row.fields).map(|field| (*field).to_owned()).collect()
}

/// Names of the outermost fields.
fn fields(value: &impl Debug) -> BTreeSet<String> {
    let printed = format!("{value:#?}");
    let outermost = printed.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with(' '));
    outermost.filter_map(|line| line.split_once(": ")).map(|(name, _)| name.to_owned()).collect()
}

/// The defaults; of mode and entity the page tells both.
fn config() -> Config {
    Config::host(DEVICE)
}

fn strict() -> Config {
    config().with_profile(Profile::Strict).expect("the defaults lie within the standard")
}

type Set = fn(Config, Duration) -> Result<Config, ConfigError>;
type Get = fn(&Config) -> Duration;
type Timer = (Field, &'static str, &'static [&'static str], Set, Get, u64, &'static str);

/// Timer, name, field, how it is set and read, E37's typical value in seconds, and what is to be said for it.
const TIMERS: [Timer; 5] = [
    (
        Field::T3,
        "T3 reply",
        &["t3"],
        Config::with_t3,
        Config::t3,
        45,
        "An expired T3 costs one transaction and no link, so it leaves room for a tool that works on a request.",
    ),
    (
        Field::T5,
        "T5 connect separation",
        &["t5"],
        Config::with_t5,
        Config::t5,
        10,
        "It keeps a host with many tools that are switched off from flooding the network with attempts.",
    ),
    (
        Field::T6,
        "T6 control transaction",
        &["t6"],
        Config::with_t6,
        Config::t6,
        5,
        "A control message asks nothing of the application, so a peer that needs longer is gone or stuck.",
    ),
    (
        Field::T7,
        "T7 not selected",
        &["t7"],
        Config::with_t7,
        Config::t7,
        10,
        "A caller that never selects would keep the one place of a passive entity from its host.",
    ),
    (
        Field::T8,
        "T8 network intercharacter",
        &["t8"],
        Config::with_t8,
        Config::t8,
        5,
        "It is measured between reads, and TCP first sends a lost segment again well within it.",
    ),
];

fn settings() -> Vec<Row> {
    let (ours, host, equipment) = (config(), Config::host(DEVICE), Config::equipment(DEVICE));
    let mut rows = Vec::new();
    for (field, name, fields, set, get, typical, why) in TIMERS {
        assert_eq!(get(&ours), Duration::from_secs(typical), "{field}: another default wants another reason");
        let standard = range(field, set(strict(), Duration::ZERO));
        let own = range(field, set(ours, Duration::ZERO));
        let cells = [
            format!("{name} | {} to {}, 1 s", seconds(standard.0), seconds(standard.1)),
            format!("{} to {}", seconds(own.0), seconds(own.1)),
            span(resolution(set, get)),
            span(get(&ours)),
            format!("E37's typical value. {why}"),
        ];
        rows.push(Row { fields, cells: cells.to_vec() });
    }
    let period = range(Field::LinktestPeriod, ours.with_linktest_period(Duration::from_nanos(1)));
    let noticed = ours.linktest_period() + ours.t6();
    rows.push(row(
        &["linktest_period"],
        "linktest period | not in the standard",
        format!("0 (off), {} to {}", seconds(period.0), seconds(period.1)),
        span(resolution(Config::with_linktest_period, Config::linktest_period)),
        span(ours.linktest_period()),
        format!(
            "A peer that vanishes without closing is noticed within {}, this period and T6; a quiet link costs {} octets of HSMS in each.",
            span(noticed),
            2 * PREFIX_LEN
        ),
    ));
    let threshold = range(Field::LinktestThreshold, ours.with_linktest_threshold(0));
    rows.push(row(
        &["linktest_threshold"],
        "linktest threshold | 1 (E37 7.5)",
        format!("{} to {}", threshold.0, threshold.1),
        "1".to_owned(),
        ours.linktest_threshold().to_string(),
        "The first linktest without an answer is a communication failure, as E37 and E37.1 say.".to_owned(),
    ));
    let length = range(Field::MaxMessage, ours.with_max_message(0));
    rows.push(row(
        &["max_message"],
        "greatest message length received | to be stated",
        format!("{} to {} octets", length.0, grouped(length.1)),
        "1 octet".to_owned(),
        format!("{}, {} of them text", octets(ours.max_message()), octets(ours.max_message() - MIN_LENGTH)),
        format!(
            "Room for a recipe or a wafer map, and a bound on what a peer can make a receiver keep. One SECS-II item of the greatest length, 2^24 - 1 octets behind a header of 4, is {} octets too long for it.",
            ((1 << 24) - 1 + 4_u32).checked_sub(ours.max_message() - MIN_LENGTH).expect("it is too long")
        ),
    ));
    let skip = range(Field::SkipLimit, ours.with_skip_limit(0));
    rows.push(row(
        &["skip_limit"],
        "skip limit | not in the standard",
        format!("greatest message length to {} octets", grouped(skip.1)),
        "1 octet".to_owned(),
        format!("{}, {} times the one above", octets(ours.skip_limit()), ours.skip_limit() / ours.max_message()),
        "Up to here equipment tells its host S9F11 and reads on, which E5 wants; a length beyond is taken for nonsense and the link closes.".to_owned(),
    ));
    rows.push(row(
        &["mode"],
        "connect mode | passive, active",
        choices(&[ConnectMode::Passive, ConnectMode::Active]),
        String::new(),
        format!("host: {:?}; equipment: {:?}", host.mode(), equipment.mode()),
        "A tool waits for whoever runs the factory. `with_mode` turns it round.".to_owned(),
    ));
    rows.push(row(
        &["entity"],
        "host or equipment | optional (E37.1 10.2)",
        choices(&[Entity::Host, Entity::Equipment]),
        String::new(),
        "none: it is what `Config::host` and `Config::equipment` differ in".to_owned(),
        format!(
            "Only equipment sends stream 9, so nothing may be guessed here. `Config::host` is {:?}, `Config::equipment` is {:?}.",
            host.entity(),
            equipment.entity()
        ),
    ));
    rows.push(row(
        &["device_ids"],
        "device ids | at least one, of 15 bits (E37.1 8.1)",
        format!("1 to {MAX_DEVICE_IDS} of them, or any; each 0 to {}", grouped(DeviceId::MAX.get())),
        "1".to_owned(),
        "none: the caller names one".to_owned(),
        "It is the installation's to give, and a wrong guess would be answered by S9F1.".to_owned(),
    ));
    rows.push(row(
        &["profile"],
        "tolerance | not in the standard",
        choices(&[Profile::Lenient, Profile::Strict]),
        String::new(),
        format!("{:?}", ours.profile()),
        "What is sent keeps to the standard in both. Tools in the field deviate from it, a host cannot change them, and each deviation that is lived with is told.".to_owned(),
    ));
    rows.push(row(
        &["select"],
        "who starts the select | not in the standard",
        choices(&[SelectMode::OnConnect, SelectMode::OnCommand]),
        String::new(),
        format!("{:?}", ours.select_mode()),
        "E37.1 Table 2 has Select.req follow the connection at once. By command is for tests.".to_owned(),
    ));
    rows
}

fn row(fields: &'static [&'static str], name: &str, range: String, step: String, default: String, why: String) -> Row {
    Row { fields, cells: vec![name.to_owned(), range, step, default, why] }
}

/// Settings of the adapter: name, default, why.
fn adapter() -> Vec<Row> {
    let options = Options::new();
    assert_eq!(options.connect_limit(), config().t5(), "the reason names T5");
    let row = |field: &'static [&'static str], name: &str, default: String, why: &str| Row {
        fields: field,
        cells: vec![name.to_owned(), default, why.to_owned()],
    };
    let or_none = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    vec![
        row(
            &["expected_peer"],
            "expected peer, of the passive side",
            or_none(options.expected_peer().map(|peer| peer.to_string()), "anyone"),
            "Addresses change more often than settings do. Where one is set, callers from elsewhere are hung up on without an answer.",
        ),
        row(
            &["keepalive"],
            "TCP keepalive",
            or_none(options.keepalive().map(|idle| format!("after {} without traffic", span(idle))), "off"),
            "A second guard below the linktest, and the only one where the linktest is off.",
        ),
        row(
            &["no_delay"],
            "no-delay (`TCP_NODELAY`)",
            on(options.no_delay()),
            "Requests and replies are short; held back, each would wait for the acknowledgement of the one before.",
        ),
        row(
            &["connect_limit"],
            "limit of one attempt to dial",
            span(options.connect_limit()),
            "As long as T5 by default: left alone, systems try for minutes while the peer may long be back.",
        ),
        row(
            &["write_limit"],
            "limit of a write without progress",
            span(options.write_limit()),
            "A peer that takes no octet for so long is stuck; one that takes them slowly is not, and may take as long as it needs.",
        ),
        row(
            &["inbox_messages", "inbox_octets"],
            "messages that wait for the application",
            format!("{}, and {} of text", grouped(options.inbox_messages()), octets(options.inbox_octets())),
            "A burst of reports while a call waits for its reply fits; memory stays bounded. What does not fit is answered SxF0 where a reply is expected, counted and told.",
        ),
        row(
            &["tell_control"],
            "control messages are told",
            on(options.tell_control()),
            "They have been dealt with; only a trace has use for them.",
        ),
        row(
            &["spin"],
            "reads before the thread waits",
            options.spin().to_string(),
            "Waking a thread costs more than an answer that is on its way takes. Where none comes soon, this stops by itself.",
        ),
    ]
}

// Facts, found by asking the code.

/// The range that a refused value is answered with.
fn range<T: Debug>(field: Field, refused: Result<T, ConfigError>) -> (u64, u64) {
    let error = refused.expect_err("nothing is below every range");
    assert_eq!(error.field, field);
    (error.min, error.max)
}

/// The least difference that is kept.
fn resolution(set: Set, get: Get) -> Duration {
    let base = Duration::from_secs(10);
    let kept = |step: &Duration| get(&set(config(), base + *step).expect("within the range")) == base + *step;
    let steps = [Duration::from_nanos(1), Duration::from_micros(1), Duration::from_millis(1), Duration::from_secs(1)];
    let step = steps.into_iter().find(kept).expect("a second is kept");
    let half = get(&set(config(), base + step + step / 2).expect("within the range"));
    assert!(step < steps[1] || half == base + step, "what lies between two steps is cut off");
    step
}

/// Transactions that a type of connection has room for, where its name does not say.
fn room<const N: usize>(_: PhantomData<hsms_core::Connection<N>>) -> usize {
    N
}

fn room_std<const N: usize>(_: PhantomData<hsms_std::Connection<N>>) -> usize {
    N
}

fn octets_per_transaction() -> usize {
    let (few, many) = (size_of::<hsms_core::Connection<4>>(), size_of::<hsms_core::Connection<1_004>>());
    (many - few) / 1_000
}

/// The status that a caller beyond the first is answered with, before the transport is closed.
fn refusal() -> u8 {
    let now = Instant::from_millis(1);
    let mut machine = hsms_core::Connection::<0>::refusing(Config::equipment(DEVICE));
    machine.handle(now, Event::TransportOpen).expect("it waits for its caller");
    let request = Header::select_req(SystemBytes(7));
    machine.receive(now, &request.encode_alone()).expect("it is connected");
    let actions: Vec<Action> = std::iter::from_fn(|| machine.poll_action()).take(9).collect();
    let [Action::Send(ControlFrame::Control(answer)), Action::CloseTransport(CloseReason::CallerRefused)] = actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(answer, Header::select_rsp(SystemBytes(7)).with_status(answer.byte3));
    answer.byte3
}

/// The longest text that can be sent, checked at its edge.
fn longest_sent() -> u32 {
    let header = Header::select_req(SystemBytes(1));
    assert!(header.encode_prefix(MAX_BODY_LEN).is_ok() && header.encode_prefix(MAX_BODY_LEN + 1).is_err());
    MAX_BODY_LEN
}

/// What a command that ends the session does while SELECTED: the names of the messages sent, and of what comes behind.
fn ending(end: impl FnOnce(&mut hsms_core::Connection<4>, Instant)) -> String {
    let now = Instant::from_millis(1);
    let mut machine = hsms_core::Connection::<4>::new(Config::equipment(DEVICE));
    let drain = |machine: &mut hsms_core::Connection<4>| -> Vec<Action> {
        std::iter::from_fn(|| machine.poll_action()).take(9).collect()
    };
    machine.enable(now).expect("it is new");
    drain(&mut machine);
    machine.handle(now, Event::TransportOpen).expect("it listens");
    machine.receive(now, &Header::select_req(SystemBytes(7)).encode_alone()).expect("it is connected");
    drain(&mut machine);
    assert_eq!(machine.state(), hsms_std::State::Selected);
    end(&mut machine, now);
    let words = drain(&mut machine).into_iter().map(|action| match action {
        Action::Send(ControlFrame::Control(header)) => {
            header.kind().map_or_else(|reason| panic!("{reason:?}"), |kind| format!("{kind:?} is sent"))
        }
        Action::CloseTransport(_) => "the transport is closed".to_owned(),
        Action::OpenTransport => "the passive side listens again".to_owned(),
        other => format!("{other:?}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

// How things are written.

fn seconds(millis: u64) -> String {
    span(Duration::from_millis(millis))
}

/// Thousands apart: 86,400.
fn grouped(number: impl TryInto<u64, Error: Debug>) -> String {
    let digits = number.try_into().expect("it fits").to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    groups.join(",")
}

/// In whole seconds where that is possible.
fn span(span: Duration) -> String {
    match span.as_millis() {
        millis if millis % 1_000 == 0 => format!("{} s", grouped(span.as_secs())),
        millis => {
            assert_eq!(span, Duration::from_millis(u64::try_from(millis).unwrap()), "less than a millisecond");
            format!("{millis} ms")
        }
    }
}

/// With the unit that leaves the shortest number, where nothing is lost by it.
fn octets(count: impl TryInto<u64, Error: Debug>) -> String {
    let count = count.try_into().expect("it fits");
    match count {
        count if count != 0 && count % (1 << 20) == 0 => format!("{} MiB", count >> 20),
        count => format!("{} octets", grouped(count)),
    }
}

fn choices(all: &[impl Debug]) -> String {
    all.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ")
}

fn table(page: &mut String, head: &str, rows: &[Row]) {
    writeln!(page, "{head}\n|{}", "---|".repeat(head.matches('|').count() - 1)).expect("a string");
    for row in rows {
        writeln!(page, "| {} |", row.cells.join(" | ").replace("|  |", "| – |")).expect("a string");
    }
}

// The page.

fn page() -> String {
    let mut page = String::from(OPENING);
    table(&mut page, "| parameter | standard: range, resolution | here | resolution | default | why |", &settings());
    page.push_str(BETWEEN);
    table(&mut page, "| setting of the adapter | default | why |", &adapter());

    let (core, std) = (room(PhantomData::<hsms_core::Connection>), room_std(PhantomData::<hsms_std::Connection>));
    let longest = longest_sent();
    let listed = DeviceIds::list(&[DEVICE; MAX_DEVICE_IDS]).expect("so many can be listed").as_slice().len();
    let facts = [
        ("{status}", refusal().to_string()),
        ("{t7}", span(config().t7())),
        ("{max}", octets(config().max_message())),
        ("{text}", octets(config().max_message() - MIN_LENGTH)),
        ("{field}", grouped(u32::MAX)),
        ("{longest}", grouped(longest)),
        ("{core}", core.to_string()),
        ("{std}", std.to_string()),
        ("{each}", octets_per_transaction().to_string()),
        ("{most}", grouped(u16::MAX)),
        ("{devices}", listed.to_string()),
        ("{device_max}", grouped(DeviceId::MAX.get())),
        ("{separate}", ending(|machine, now| machine.separate(now).expect("it is selected"))),
        ("{disable}", ending(|machine, now| machine.disable(now).expect("it is selected"))),
        ("{gone}", ending(|machine, now| machine.handle(now, Event::TransportClosed).expect("it is connected"))),
    ];
    let mut rest = REST.to_owned();
    for (name, value) in facts {
        assert!(rest.contains(name), "{name} is nowhere on the page");
        rest = rest.replace(name, &value);
    }
    assert!(!rest.contains('{'), "a fact is missing: {rest}");
    page + &rest
}

const OPENING: &str = "\
# Statement

What E37 10, E37.1 10 and E37.2 10 ask the documentation of an implementation to say, for `hsms-core` and `hsms-std`. An
application built on them adds what only it knows; that is marked *application*. Nothing is claimed beyond what stands here.

## How parameters are set

In code: each is a setter of `Config` (the protocol) or `Options` (the adapter), which refuses a value outside its range and
names the range; `Config::outside_standard` lists what lies outside the standard's. The standard wants the values to be
changeable where a tool is installed, and kept through loss of power and new software. This library reads and writes no file:
with the feature `serde` a `Config` turns into any format and back, checked as it comes back, and where it is kept is the
*application's* to say. `Options` are set in code only.

Addresses and ports are arguments. `Connection::passive` takes the local one, `Connection::active` the remote one. There is no
default port; the local port of an active entity is the system's choice. Names are resolved.

## Parameters

";

const BETWEEN: &str = "
The typical values of E37 are meant for networks of up to ten nodes. The `Strict` profile takes only the standard's range of each timer, and a linktest threshold of 1.

";

const REST: &str = "
## Connections beyond the one that is served

Option a of E37 9.2.4: the caller is accepted, its Select.req is answered with status {status}, and the connection closes; a
caller that sends none is closed by T7 ({t7}). It never becomes SELECTED. In `hsms-std` this is done within the calls of the
application; a few callers are answered at a time, and others wait in the system's queue. One case is none of the standard's
options: where an expected peer is set, a caller from another address is closed without an answer. With `hsms-core` alone
`Connection::refusing` does the same, and whether it is used is the *application's* to say.

## Longest message received

As set: by default {max} of header and text, so {text} of text; at most what the length field holds, {field}.
`hsms-std` gathers a message in memory, which grows as octets come, not as a length field says. `hsms-core` hands texts over in
pieces and keeps none.

## Longest message sent

The *application's* to say. The library sends a text of up to {longest} octets, which is what the length field allows.
Messages that SECS-II defines as single-block should not exceed a length of 254 octets (E37.1); the library leaves that to the
*application*.

## Open transactions

A constant of the type, `Connection<TRANSACTIONS>`: {core} by default in `hsms-core`, {std} in `hsms-std`, at most {most}. Each
takes {each} octets in the connection. They are primaries of ours that wait for a reply; one more is refused to the caller
(`TransactionsFull`), and nothing is sent. A Select.req or Linktest.req of ours has a place of its own. How many the peer opens
is not limited, but for what may wait for the application: beside that a token is all there is of them, and the *application*
holds it.

Why {core}: a small controller reports one thing after another. Why {std}: a host asks for much at once, and has the memory.

## Device ids (HSMS-SS)

1 to {devices} of them, each 0 to {device_max}, or any. `Config::host` and `Config::equipment` set one, `with_device_ids` sets
several or any, and in `hsms-core` `set_device_ids` does so while connected. Their number and values are the *application's* to
say. Data for another one is told, and equipment answers it with S9F1.

## Host or equipment (HSMS-SS)

Set by `Config::host`, `Config::equipment` or `with_entity`. It decides who sends stream 9. It is not the connect mode, although
the first two set that as well.

## Ending a session (HSMS-SS)

E37.1 asks whether the \"normal\" or the \"restricted\" procedure is supported, and does not say what they are. What happens
instead, on the passive side while SELECTED:

| what | comes of it |
|---|---|
| `separate` | {separate} |
| `disable` | {disable} |
| the transport ends | {gone} |

The active side dials again after T5, unless it was disabled. A Separate.req from the peer closes the transport, in every
state. A Deselect.req, which E37.1 forbids and which is never sent in HSMS-SS, is answered by the default profile, which then
closes the transport where it dialled; the strict profile closes without an answer. After a failure the transport is closed
without Separate.req; so it is in the middle of a text, where a Separate.req would be taken for a part of it.

## Session entities (HSMS-GS)

The number and the ids of the session entities behind an address and port are the *application's* to say.

E37.2 10.1 asks for the session entity list: how many entities there are, and their ids. `General::new` takes
up to `N` entities, `N` being a constant of the type, each with an id of 0 to 65,534; 65,535 is refused, because control messages that
concern no entity carry it. All sixteen bits are the entity's. Each takes 40 octets of the connection's memory.

| what | how |
|---|---|
| select status 2, 3, 5, or a local one | what `Admission::Refuse` says, or the application in answer to `Notice::SelectAsked` |
| select status 1 | to the second caller of a listener that serves one connection; else never |
| select status 4, 6 | no such entity; selected on this connection |
| deselect status 2 | while the application says the session is busy |
| exclusive entities | `Admission::Ask`, and `Holders` for which connection has which |
| HSMS-SS beside it | `General::or_single`: a first Select.req with session id 65,535 makes the connection one of HSMS-SS |
| T7 | armed on every entry to NOT SELECTED, on either side |
| Separate.req when the connection ends by our decision | one for each selected session |

Defaults: entities are shareable (`Admission::Always`), because one that is not needs somebody who knows all connections; none is busy;
HSMS-SS is not spoken beside (`or_single`), because its peer would have all entities at once, whatever their admission; entities that
are wanted are selected once for each connection, because a peer that ends a session has its reasons.

## Editions

| standard | edition | seen |
|---|---|---|
| E37 | 0298 | the whole text |
| E37 | 0303 | the text, compared with 0298: no difference in what it demands was found; its figures were not compared |
| E37 | 0308, 1109, 0413 | not themselves; what others have published about 1109 and 0413 agrees with the above in codes, timers and documentation duties |
| E37 | 0819, 0222 | not seen |
| E37.1 | 0702 (reapproved 0308 and 0413) | the whole text of 0702 |
| E37.1 | 0819 | not seen |
| E37.2 | 95 (reapproved 0303) | the whole text of that reapproval; the standard was withdrawn with 1109 |
| E5 | 0301 | the parts about messages, transactions and stream 9 |

Clause numbers in this project are those of E37-0298 and 0303; later editions number differently. What 0819 and 0222 changed is
not known here. This is no formal claim of conformance to any edition. Whoever makes one needs a licensed copy of the
edition it names.

---

Made from the code; `SNAPSHOTS=overwrite cargo test -p hsms-tests --test statement` makes it anew.
";
