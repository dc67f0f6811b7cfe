//! The rules as a page of the documentation.

use super::rules::{AREAS, rules};
use super::{Document, Role, Rule, profile_name};
use hsms_core::config::{Entity, Profile};
use std::fmt::Write as _;

/// Something that the standards mention and that is deliberately not done.
#[derive(Debug, Clone, Copy)]
pub struct Omitted {
    /// Clause.
    pub clause: &'static str,
    /// What is not done.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
}

/// What is deliberately not done.
pub const OMITTED: &[Omitted] = &[
    Omitted {
        clause: "E37 A1-3",
        what: "The alternating connect procedure: active and passive by turns.",
        why: "Two ends that alternate can end up with two connections, and the standard has no rule for which of them dies. Each \
              end is set to one mode.",
    },
    Omitted {
        clause: "E37 9.2.4 b, c",
        what: "Refusing or not accepting further callers.",
        why: "Option a is the one that tells the caller why.",
    },
    Omitted {
        clause: "E37.1 7.4",
        what: "Sending Deselect.req in HSMS-SS.",
        why: "E37.1 forbids it; Separate.req ends a session.",
    },
    Omitted {
        clause: "E37.1 7.5",
        what: "Operation without Reject.",
        why: "E37.1 leaves it open. A Reject tells the peer what it did wrong; the strict profile closes where E37.1 wants that.",
    },
    Omitted {
        clause: "E37 7.7, reason 3",
        what: "Reject.req for a data reply that belongs to nothing.",
        why: "The reason is for control responses. The reply is told to the application and dropped.",
    },
    Omitted {
        clause: "E37.2 8.1",
        what: "PTypes other than 0 in HSMS-GS.",
        why: "E37.2 leaves room for them and defines none.",
    },
    Omitted {
        clause: "E37 8.1.4.5",
        what: "STypes and PTypes of one's own (128 to 255).",
        why: "E37.1 does not permit them, and between vendors they are not compliant.",
    },
];

/// The page: every rule in a table for each area, what is deliberately not done, and the counts.
#[must_use]
pub fn page() -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut page);
    page
}

fn write(page: &mut String) -> std::fmt::Result {
    writeln!(
        page,
        "Each rule is one duty. Codes, offsets of timers and the like are cases of one rule, not rules. Ids name the"
    )?;
    writeln!(page, "clause of E37-0303, E37.1-0702, E37.2-95 or E5-0301 (`T1-4.3`: Table 1, row 4, trigger 3).\n")?;
    counts(page)?;
    for (title, rules) in AREAS {
        writeln!(page, "\n## {title}\n")?;
        writeln!(page, "| rule | what must happen | applies to | where |\n|---|---|---|---|")?;
        for rule in *rules {
            writeln!(page, "| `{}` | {} | {} | {} |", rule.id, rule.duty, applies(rule), place(rule))?;
        }
    }
    writeln!(page, "\n## Deliberately not done, and why\n")?;
    writeln!(page, "| clause | what | why |\n|---|---|---|")?;
    for Omitted { clause, what, why } in OMITTED {
        writeln!(page, "| {clause} | {what} | {why} |")?;
    }
    writeln!(
        page,
        "\nThis page is made anew by `SNAPSHOTS=overwrite cargo test -p hsms-tests --test conformance page`."
    )
}

fn counts(page: &mut String) -> std::fmt::Result {
    writeln!(page, "| of | rules |\n|---|---|")?;
    for (name, document) in
        [("E37 and E5, generic", Document::Generic), ("E37.1, HSMS-SS", Document::Ss), ("E37.2, HSMS-GS", Document::Gs)]
    {
        writeln!(page, "| {name} | {} |", rules().filter(|rule| rule.document() == document).count())?;
    }
    writeln!(page, "| all | {} |", rules().count())
}

fn applies(rule: &Rule) -> String {
    let roles = match rule.applies.roles {
        [Role::SsActive, Role::SsPassive] => "SS",
        [Role::SsActive] => "SS active",
        [Role::SsPassive] => "SS passive",
        [Role::GsActive, Role::GsPassive] => "GS",
        [Role::GsActive] => "GS active",
        [Role::GsPassive] => "GS passive",
        [Role::SsActive, Role::GsActive] => "SS and GS active",
        [Role::SsPassive, Role::GsPassive] => "SS and GS passive",
        _ => "SS, GS",
    };
    let entity = match rule.applies.entity {
        Some(Entity::Equipment) => ", equipment",
        Some(Entity::Host) => ", host",
        None => "",
    };
    let profile = match rule.applies.profiles {
        [profile @ (Profile::Lenient | Profile::Strict)] => format!(", {}", profile_name(*profile)),
        _ => String::new(),
    };
    format!("{roles}{entity}{profile}")
}

/// The function, and the file without what all have in common.
fn place(rule: &Rule) -> String {
    let (file, function) = rule.place.split_once(": ").unwrap_or((rule.place, ""));
    format!("`{function}` in `{}`", file.trim_start_matches("hsms-core/src/"))
}
