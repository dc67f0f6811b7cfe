//! Gives the linker the section that defmt's frames are decoded by.

fn main() {
    let folder = env!("CARGO_MANIFEST_DIR");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=host.x");
    println!("cargo:rustc-link-arg-tests=-T{folder}/host.x");
    // The section begins at 1, which code that may lie anywhere does not reach.
    println!("cargo:rustc-link-arg-tests=-no-pie");
}
