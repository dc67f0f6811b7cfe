//! What a user of hsms-std pulls in.

use std::collections::BTreeSet;
use std::process::Command;

fn tree(features: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--package", "hsms-std", "--edges", "normal", "--prefix", "none"])
        .args(["--target", "x86_64-unknown-linux-gnu", "--format", "{p}", "--features", features])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_default_dependency_tree_is_this_list_and_the_manager_adds_nothing() {
    let expected = [
        "byteorder",
        "hash32",
        "heapless",
        "hsms-core",
        "hsms-std",
        "ipnet",
        "libc",
        "memchr",
        "mio",
        "nom",
        "socket2",
        "stable_deref_trait",
    ];
    let default = tree("");
    assert_eq!(default.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(tree("manager"), default);
}
