//! What a linked image holds, by its sections and symbols.

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind, elf};
use std::collections::BTreeMap;
use std::path::Path;

/// Sections that are there for the measurement.
const BESIDE: [&str; 2] = [".calls", ".ram"];

/// An image, measured.
pub struct Image {
    /// Octets of text and data.
    flash: u64,
    /// Symbols in flash by address, demangled, with their sizes.
    symbols: BTreeMap<u64, (String, u64)>,
    /// Sizes of the symbols in `.ram`.
    ram: BTreeMap<String, u64>,
}

/// What an image must not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    Panic,
    Allocator,
    Formatting,
}

impl Image {
    pub fn read(path: &Path) -> Result<Self, String> {
        let octets = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file = object::File::parse(octets.as_slice()).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut image = Image { flash: 0, symbols: BTreeMap::new(), ram: BTreeMap::new() };
        let mut in_ram = Vec::new();
        let mut in_flash = Vec::new();
        for section in file.sections() {
            let name = section.name().unwrap_or_default();
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            if name == ".ram" {
                in_ram.push(section.index());
            }
            let loaded = sh_flags.contains(elf::SHF_ALLOC) && section.kind() != object::SectionKind::UninitializedData;
            if loaded && !BESIDE.contains(&name) {
                in_flash.push(section.index());
                image.flash += section.size();
            }
        }
        for symbol in file.symbols().filter(|symbol| symbol.size() > 0 && symbol.kind() != SymbolKind::Section) {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or_default()));
            match symbol.section_index() {
                Some(index) if in_ram.contains(&index) => _ = image.ram.insert(name, symbol.size()),
                // One function under two names counts once.
                Some(index) if in_flash.contains(&index) => {
                    image.symbols.entry(symbol.address()).or_insert((name, symbol.size()));
                }
                _ => {}
            }
        }
        if image.symbols.is_empty() && image.ram.is_empty() {
            return Err(format!("{} has no symbols: nothing can be said of it", path.display()));
        }
        Ok(image)
    }

    /// Octets of text and data without the compiler's helpers.
    pub fn own(&self) -> u64 {
        self.flash - self.helpers()
    }

    /// Octets of memcpy and friends, which any firmware has anyway.
    pub fn helpers(&self) -> u64 {
        self.symbols.values().filter(|(name, _)| is_helper(name)).map(|(_, size)| size).sum()
    }

    pub fn ram(&self) -> &BTreeMap<String, u64> {
        &self.ram
    }

    /// What must not be there, with the symbols that show it.
    pub fn findings(&self) -> BTreeMap<Finding, Vec<&str>> {
        let mut findings = BTreeMap::<_, Vec<_>>::new();
        for (name, _) in self.symbols.values() {
            if let Some(finding) = finding(name) {
                findings.entry(finding).or_default().push(name.as_str());
            }
        }
        findings
    }

    /// All symbols, the largest first.
    pub fn by_size(&self) -> Vec<(&str, u64)> {
        let mut symbols: Vec<_> = self.symbols.values().map(|(name, size)| (name.as_str(), *size)).collect();
        symbols.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), *name));
        symbols
    }
}

/// The compiler's own functions: moving, filling and comparing memory, and arithmetic that the processor does not have.
fn is_helper(name: &str) -> bool {
    name.starts_with("compiler_builtins::")
        || ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"].contains(&name)
        // `__aeabi_memcpy`, `__udivdi3`; what the Rust compiler adds of that kind begins with `__rust`.
        || (name.starts_with("__") && !name.starts_with("__rust"))
}

fn finding(name: &str) -> Option<Finding> {
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["panic", "rust_begin_unwind", "unwrap_failed", "expect_failed"]) {
        return Some(Finding::Panic);
    }
    if name.starts_with("alloc::")
        || has(&["<alloc::", " alloc::", "__rust_alloc", "__rust_dealloc", "__rustc::__rust_"])
    {
        return Some(Finding::Allocator);
    }
    if has(&["core::fmt::"]) {
        return Some(Finding::Formatting);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_told_by_their_names() {
        for name in ["compiler_builtins::mem::memmove", "memcpy", "__aeabi_memclr8", "__udivdi3"] {
            assert!(is_helper(name), "{name}");
        }
        for name in ["hsms_core::frame::Decoder::fill", "__rust_alloc", "core::str::is_ascii"] {
            assert!(!is_helper(name), "{name}");
        }
    }

    #[test]
    fn what_must_not_be_there_is_told_by_its_name() {
        for (name, expected) in [
            ("core::panicking::panic_fmt", Some(Finding::Panic)),
            ("__rustc::rust_begin_unwind", Some(Finding::Panic)),
            ("core::option::unwrap_failed", Some(Finding::Panic)),
            ("alloc::alloc::handle_alloc_error", Some(Finding::Allocator)),
            ("__rustc::__rust_alloc", Some(Finding::Allocator)),
            ("<u32 as core::fmt::Display>::fmt", Some(Finding::Formatting)),
            ("hsms_core::wire::header::Header::decode", None),
            ("hsms_core::connection::input::<impl hsms_core::connection::Connection<_,S>>::receive", None),
        ] {
            assert_eq!(finding(name), expected, "{name}");
        }
    }
}
