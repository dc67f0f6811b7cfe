//! What the README says is true.

use hsms_std::{Config, Connection, DeviceId, Incoming};
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const README: &str = include_str!("../../README.md");
const FIRST: &str = include_str!("../../hsms-std/examples/first.rs");

/// The first code block, which is also an example, so that cargo compiles it.
fn first_block() -> &'static str {
    let (_, rest) = README.split_once("```rust,no_run\n").expect("a block of Rust");
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_first_block_is_at_most_ten_lines_hides_none_and_is_the_example() {
    let block = first_block();
    assert!(block.lines().count() <= 10, "{} lines", block.lines().count());
    assert!(!block.lines().any(|line| line.trim_start().starts_with("# ")));
    assert!(FIRST.ends_with(block), "hsms-std/examples/first.rs differs from the README");
}

#[test]
fn the_first_block_asks_a_piece_of_equipment_whether_it_is_there() -> Result<(), Box<dyn Error>> {
    let mut tool = Connection::passive("127.0.0.1:0", Config::equipment(DeviceId::try_from(0u16)?))?;
    let address = tool.local_addr().ok_or("no address")?;
    let mut program = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "-p", "hsms-std", "--example", "first", "--", &address.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let end = Instant::now() + Duration::from_secs(300);
    let mut answered = false;
    // Until the program has ended its session, or has not come at all.
    loop {
        assert!(Instant::now() < end, "the program did not come");
        match tool.next(Duration::from_millis(200))? {
            Some(Incoming::Primary { message, token: Some(token) }) => {
                assert_eq!(message.header.stream_function().to_string(), "S1F1");
                // <L [2] <A "tool"> <A "1">>
                tool.reply(&token, b"\x01\x02\x41\x04tool\x41\x011")?;
                answered = true;
            }
            Some(Incoming::Closed { .. }) => break,
            _ if program.try_wait()?.is_some() => break,
            _ => {}
        }
    }
    let output = program.wait_with_output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(answered);
    let told = String::from_utf8(output.stdout)?;
    assert!(told.contains("stream:01, function:02"), "{told}");
    assert!(told.contains("[01, 02, 41, 04, 74, 6f, 6f, 6c, 41, 01, 31]"), "{told}");
    Ok(())
}
