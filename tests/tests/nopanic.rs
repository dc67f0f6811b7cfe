//! The panic-free gate, `tests/nopanic/run`, calls every public function of the core. Those of traits implemented for its types are not
//! looked for.

use std::collections::BTreeSet;
use std::path::Path;

use syn::{Attribute, ImplItem, Item, TraitItem, Type, Visibility};

/// Public functions that the gate does not call, and why.
const LEFT_OUT: &[(&str, &str)] = &[];

/// What a `cfg` of the core can ask for beside `auth`, `secs2` and `services`, and why functions behind it are not called.
const NOT_BUILT: &[(&str, &str)] = &[
    ("alloc", "asks for memory, and an allocator may panic"),
    ("serde", "runs the code of a format"),
    ("defmt", "runs the logger of the image"),
    ("arbitrary", "generators for tests"),
    ("proptest", "generators for tests"),
    ("model", "timers and renaming for model checkers"),
    ("test", "tests"),
];

#[test]
fn the_gate_calls_every_public_function_of_the_core() {
    let called = called();
    let mut public = BTreeSet::new();
    gather(&core().join("src/lib.rs"), "hsms_core", &mut public);
    assert!(public.len() > 150, "only {} public functions found", public.len());
    let missing: Vec<_> = public.iter().filter(|name| !called.contains(*name) && !left_out(name)).collect();
    assert!(missing.is_empty(), "tests/nopanic does not call {missing:#?}");
    for (name, why) in LEFT_OUT {
        assert!(public.contains(*name), "{name} is left out ({why}), and is not there");
        assert!(!called.contains(*name), "{name} is left out ({why}), and is called");
    }
    println!("nopanic: {} public functions, {} left out", public.len(), LEFT_OUT.len());
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with("| panic-free |")).unwrap();
    let told = format!("each of the {} public functions", public.len());
    assert!(row.contains(&told), "the row of README.md does not say \"{told}\": {row}");
}

fn core() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../hsms-core"))
}

fn gate() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/nopanic"))
}

fn left_out(name: &str) -> bool {
    LEFT_OUT.iter().any(|(other, _)| *other == name)
}

/// The last two segments of every path in the gate, `Type::function`, without arguments of types.
fn called() -> BTreeSet<String> {
    let mut called = BTreeSet::new();
    for file in ["connection", "rest", "secs2", "services"] {
        let text = std::fs::read_to_string(gate().join(format!("src/{file}.rs"))).unwrap();
        // What is imported or told of is not called.
        let lines =
            text.lines().filter(|line| !["use ", "//"].iter().any(|other| line.trim_start().starts_with(other)));
        let mut text: String = lines.flat_map(|line| [line, "\n"]).collect();
        while let Some(at) = text.find("::<") {
            let end = text[at..].find('>').unwrap();
            text.replace_range(at..=at + end, "");
        }
        for path in text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            let segments: Vec<_> = path.split("::").collect();
            if let [.., of, function] = segments[..] {
                called.insert(format!("{of}::{function}"));
            }
        }
    }
    called
}

/// The public functions of a file and of the modules in it that are built with `auth`, `secs2` and `services` alone: `Type::function`,
/// `Trait::function`, `module::function`. A module that is not public itself passes its functions on to the one around it.
fn gather(file: &Path, module: &str, public: &mut BTreeSet<String>) {
    let stem = file.file_stem().unwrap().to_str().unwrap();
    let folder =
        if stem == "lib" || stem == "mod" { file.parent().unwrap().to_owned() } else { file.with_extension("") };
    for item in syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap().items {
        match item {
            Item::Mod(item) if covered(&item.attrs) && item.content.is_none() => {
                let name = item.ident.to_string();
                let beside = folder.join(format!("{name}.rs"));
                let inner = if beside.exists() { beside } else { folder.join(&name).join("mod.rs") };
                gather(&inner, if is_public(&item.vis) { &name } else { module }, public);
            }
            Item::Fn(item) if covered(&item.attrs) && is_public(&item.vis) => {
                public.insert(format!("{module}::{}", item.sig.ident));
            }
            Item::Trait(item) if covered(&item.attrs) && is_public(&item.vis) => {
                for inner in item.items {
                    if let TraitItem::Fn(function) = inner {
                        public.insert(format!("{}::{}", item.ident, function.sig.ident));
                    }
                }
            }
            Item::Impl(item) if covered(&item.attrs) && item.trait_.is_none() => {
                let Type::Path(of) = &*item.self_ty else { continue };
                let of = of.path.segments.last().unwrap().ident.to_string();
                for inner in item.items {
                    if let ImplItem::Fn(function) = inner
                        && covered(&function.attrs)
                        && is_public(&function.vis)
                    {
                        public.insert(format!("{of}::{}", function.sig.ident));
                    }
                }
            }
            // Those with a name define a macro.
            Item::Macro(item) if item.ident.is_none() => {
                made_by(&item.mac, if stem == "reader" { "Reader" } else { "Writer" }, public);
            }
            _ => {}
        }
    }
}

/// The functions that a macro of the core makes. One that is not known here has to be added.
fn made_by(made: &syn::Macro, of: &str, public: &mut BTreeSet<String>) {
    let text = made.tokens.to_string();
    let functions: &[&str] = match &*made.path.segments.last().unwrap().ident.to_string() {
        "counts" => &["iter", "total"],
        "codes" => &["name"],
        "one_value" => {
            public.extend(
                text.split(';').filter_map(|line| line.split_whitespace().next()).map(|name| format!("{of}::{name}")),
            );
            return;
        }
        // Implements traits.
        "values" => return,
        other => panic!("a macro {other}! of the core, of which this test does not know what it makes"),
    };
    let words: Vec<_> = text.split_whitespace().collect();
    let types = words.windows(2).filter(|pair| pair[1] == "{" && pair[0].chars().all(char::is_alphanumeric));
    let before = public.len();
    for pair in types {
        public.extend(functions.iter().map(|function| format!("{}::{function}", pair[0])));
    }
    assert!(public.len() > before, "no type found in: {text}");
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether it is built with features `auth`, `secs2` and `services` and no other. What else a `cfg` asks for has to be one of `NOT_BUILT`.
fn covered(attributes: &[Attribute]) -> bool {
    let mut built = true;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")) {
        let asked = attribute.meta.require_list().unwrap().tokens.to_string();
        let words = asked.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
        for word in words.filter(|word| !["all", "auth", "feature", "secs2", "services"].contains(word)) {
            assert!(NOT_BUILT.iter().any(|(name, _)| *name == word), "cfg({asked}) is none that this test knows");
            built = false;
        }
    }
    built
}
