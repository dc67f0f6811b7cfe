//! Gives the linker the memory of the board that is built for.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory");
    let board = if env::var_os("CARGO_FEATURE_LM3S6965EVB").is_some() { "lm3s6965evb" } else { "mps2-an385" };
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?);
    fs::copy(format!("memory/{board}.x"), out.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    for script in ["link.x", "defmt.x"] {
        println!("cargo:rustc-link-arg-bins=-T{script}");
    }
    // Sections need not begin on a page: nothing maps these images.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    Ok(())
}
