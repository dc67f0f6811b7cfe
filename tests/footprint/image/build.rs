//! Hands the linker script over.

fn main() {
    let folder = env!("CARGO_MANIFEST_DIR");
    println!("cargo:rerun-if-changed=image.x");
    println!("cargo:rustc-link-arg-bins=-T{folder}/image.x");
}
