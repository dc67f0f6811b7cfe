//! `hsms-embassy/docs/sizing.md`, computed. `SNAPSHOTS=overwrite` writes it anew.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use hsms_embassy::Link;
use hsms_embassy::hsms_core::wire::PREFIX_LEN;
use std::fmt::Write;
use std::path::Path;

type Of<const TRANSACTIONS: usize, const CALLS: usize> = Link<'static, CriticalSectionRawMutex, TRANSACTIONS, CALLS>;

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
        let line = format!("assert!(size_of::<Of<{transactions}, {calls}>>() == ");
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
    page.push_str(TAIL);
    let file = folder.join("docs/sizing.md");
    if std::env::var("SNAPSHOTS").is_ok_and(|value| value == "overwrite") {
        std::fs::write(&file, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), page, "SNAPSHOTS=overwrite writes it anew");
}

const HEAD: &str = "\
# Sizing

A link is of a fixed size, and lent storage comes on top. In octets:

| `TRANSACTIONS` | `CALLS` | `Link` on Cortex-M and RISC-V with 32 bits | with 64 bits |
|---|---|---|---|
";

const MIDDLE: &str = "
What is lent, what it is good for, and what all of it takes on 32 bits, the two buffers of the `TcpSocket` included:

| for | `input` | `inbox` | `output` | longest text sent whole | `TRANSACTIONS`, `CALLS` | socket | RAM |
|---|---|---|---|---|---|---|---|
";

const TAIL: &str = "
* `input` is what one read takes. Any size works; a larger one takes fewer reads for long texts.
* `inbox` holds the texts of the peer's primaries until the application takes them, `TRANSACTIONS` primaries at most. One that fits is received
  whole or not at all ([`Link::receive`](crate::Link::receive) is cancel-safe for it); a longer one goes through in pieces. Replies do not go
  through it.
* `output` is two halves, one being written while the other is filled. A text that fits a half behind the fourteen octets of its prefix leaves
  whole or not at all; a longer one ends the connection where its future is dropped in the middle.
* The buffers for whole texts that are lent to [`Link::request`](crate::Link::request) and [`Link::receive`](crate::Link::receive) are the
  caller's own, and come on top. So do the futures, which lie where the executor puts them, and the TCP stack.

Computed by `cargo test -p hsms-tests --test embassy sizing`; the compiler checks the column for 32 bits whenever it builds for such a target.
";
