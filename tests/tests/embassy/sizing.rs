//! `hsms-embassy/docs/sizing.md`, computed. `SNAPSHOTS=overwrite` writes it anew.

use crate::kit::pipe::pair;
use crate::kit::scene::{DEVICE, S1F1};
use crate::kit::services::LONG;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use hsms_embassy::hsms_core::wire::PREFIX_LEN;
use hsms_embassy::services::{Core, Endpoint, ServiceId, settings};
use hsms_embassy::{Buffers, Config, Link};
use std::fmt::Write;
use std::path::Path;

type Of<const TRANSACTIONS: usize, const CALLS: usize> = Link<'static, CriticalSectionRawMutex, TRANSACTIONS, CALLS>;

/// With handlers of an octet each.
type Services<
    const SENDINGS: usize,
    const HANDLERS: usize,
    const ENTRIES: usize,
    const MESSAGES: usize,
    const OCTETS: usize,
> = Endpoint<'static, 'static, CriticalSectionRawMutex, u8, 4, 8, SENDINGS, HANDLERS, ENTRIES, MESSAGES, OCTETS>;

/// For whom, octets of input, inbox and output, octets of the socket's buffers, transactions and calls.
type Use = (&'static str, [usize; 3], usize, (usize, usize));

const USES: [Use; 4] = [
    ("a sensor: texts of a hundred octets", [64, 128, 256], 2 * 256, (1, 4)),
    ("small equipment: texts of half a kibibyte", [256, 512, 1052], 2 * 536, (4, 8)),
    ("equipment: texts of 2 KiB, longer ones in pieces", [1024, 2048, 4124], 2 * 1460, (4, 8)),
    ("recipes of many megabytes, fast", [2048, 4096, 4096], 2 * 2920, (8, 16)),
];

#[test]
fn the_page_says_what_a_link_takes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hsms-embassy");
    let source = std::fs::read_to_string(folder.join("src/sizes.rs")).unwrap();
    let small = |transactions, calls| -> usize {
        let line = format!("assert!(of::<{transactions}, {calls}>() == ");
        let from = source.split(&line).nth(1).expect("sizes.rs has it");
        from.split(')').next().unwrap().parse().unwrap()
    };
    let mut page = String::from(HEAD);
    for (transactions, calls, large) in [
        (1, 4, size_of::<Of<1, 4>>()),
        (4, 8, size_of::<Of<4, 8>>()),
        (8, 16, size_of::<Of<8, 16>>()),
        (16, 16, size_of::<Of<16, 16>>()),
    ] {
        let small = small(transactions, calls);
        writeln!(page, "| {transactions} | {calls} | {small} | {large} |").unwrap();
    }
    page.push_str(MIDDLE);
    for (name, lent, socket, (transactions, calls)) in USES {
        let [input, inbox, output] = lent;
        let longest = output / 2 - PREFIX_LEN;
        let all = small(transactions, calls) + lent.iter().sum::<usize>() + socket;
        writeln!(
            page,
            "| {name} | {input} | {inbox} | {output} | {longest} | {transactions}, {calls} | {socket} | {all} |"
        )
        .unwrap();
    }
    page.push_str(NOTES);
    for (numbers, large) in [
        ("1, 3, 0, 0, 0: SECS-II alone", size_of::<Services<1, 3, 0, 0, 0>>()),
        ("4, 8, 32, 4, 512: the defaults", size_of::<Services<4, 8, 32, 4, 512>>()),
        ("8, 16, 64, 8, 2048", size_of::<Services<8, 16, 64, 8, 2048>>()),
    ] {
        writeln!(page, "| {numbers} | {large} |").unwrap();
    }
    page.push_str(FUTURES);
    let file = folder.join("docs/sizing.md");
    let before = std::fs::read_to_string(&file).unwrap();
    for (name, octets) in futures() {
        let line = format!("| `{name}` | ");
        // Compilers lay them out each in its own way.
        let told = before.split(&line).nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        let told = told.filter(|told| (octets..=octets + octets / 2 + STEP).contains(told));
        writeln!(page, "{line}{} |", told.unwrap_or(octets.next_multiple_of(STEP))).unwrap();
    }
    page.push_str(TAIL);
    if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
        std::fs::write(&file, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), page, "SNAPSHOTS=overwrite writes it anew");
}

/// What sizes of futures are rounded up to.
const STEP: usize = 32;

/// Those that a firmware has, before they are first polled: a future does not grow. Without what is lent to them.
fn futures() -> [(&'static str, usize); 11] {
    let (mut lent, mut text, mut other) = (Buffers::<64, 64, 64>::new(), [0; 4], [0; 4]);
    let config = Config::equipment(DEVICE);
    let link = Link::<CriticalSectionRawMutex>::new(config, lent.lend()).unwrap();
    let core: Core<'_, u8> = Core::new(settings(&config).unwrap()).unwrap();
    let services: Endpoint<'_, '_, _, u8> = Endpoint::new(&link, core);
    let (reader, writer) = pair(1).0;
    [
        ("Link::run_over", size_of_val(&link.run_over(reader, writer))),
        ("Link::request", size_of_val(&link.request(S1F1, &[], &mut text))),
        ("Link::send", size_of_val(&link.send(S1F1, &[]))),
        ("Link::receive", size_of_val(&link.receive(&mut other))),
        ("Link::next", size_of_val(&link.next())),
        ("Link::told", size_of_val(&link.told())),
        ("services::Endpoint::run", size_of_val(&services.run())),
        ("services::Endpoint::next", size_of_val(&services.next(&mut [0; 4]))),
        ("services::Endpoint::request", size_of_val(&services.request(S1F1, &[], LONG, &mut [0; 4]))),
        ("services::Endpoint::send", size_of_val(&services.send(ServiceId::READ, 0, None, LONG, &mut [0; 4]))),
        ("services::Endpoint::told", size_of_val(&services.told())),
    ]
}

const HEAD: &str = "\
# Sizing

A link is of a fixed size, and lent storage comes on top. In octets:

| `TRANSACTIONS` | `CALLS` | `Link` on Cortex-M and RISC-V with 32 bits | with 64 bits |
|---|---|---|---|
";

const MIDDLE: &str = "
With features `defmt` and `services` together it takes some 32 octets more, for the name of the connection in the log.

What is lent, what it is good for, and what all of it takes on 32 bits, the two buffers of the `TcpSocket` included:

| for | `input` | `inbox` | `output` | longest text sent whole | `TRANSACTIONS`, `CALLS` | socket | RAM |
|---|---|---|---|---|---|---|---|
";

const NOTES: &str = "
* `input` is what one read takes. Any size works; a larger one takes fewer reads for long texts.
* `inbox` holds the texts of the peer's primaries until the application takes them, `TRANSACTIONS` primaries at most. One that fits is received
  whole or not at all ([`Link::receive`](crate::Link::receive) is cancel-safe for it); a longer one goes through in pieces. Replies do not go
  through it.
* `output` is two halves, one being written while the other is filled. A text that fits a half behind the fourteen octets of its prefix leaves
  whole or not at all; a longer one ends the connection where its future is dropped in the middle.
* The buffers for whole texts that are lent to [`Link::request`](crate::Link::request) and [`Link::receive`](crate::Link::receive) are the
  caller's own, and come on top. So do the futures, below, and the TCP stack.

# Sizing of services

An `Endpoint` (feature `services`) stands beside its link. It is larger with feature `auth`, as here, and with what the application
registers, here an octet for each handler. In octets with 64 bits; with 32 it takes less, and the page \"Footprint\" of `hsms-core` says what on
which target:

| `SENDINGS`, `HANDLERS`, `ENTRIES`, `MESSAGES`, `OCTETS` | `Endpoint` |
|---|---|
";

const FUTURES: &str = "
# Sizing of futures

A future lies in the task that awaits it, and holds what it needs across its awaits. In octets, measured on a machine with 64 bits and rounded up;
with 32 bits they are smaller. That of `run_over` comes without its byte stream's own, and `Link::run` adds what opens that:

| future | octets |
|---|---|
";

const TAIL: &str = "
Computed by `cargo test -p hsms-tests --test embassy sizing`; the compiler checks the column of the link for 32 bits whenever it builds for such a
target.
";
