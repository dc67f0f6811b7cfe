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
    Omitted {
        clause: "E37.2 5.2, E37 9.2.4",
        what: "Several connections at one port, each with sessions of its own.",
        why: "The blocking connection serves one peer; a further caller is told status 1. The core serves any number of \
              connections, and `Holders` keeps their exclusive entities apart; a manager for many peers is still to come.",
    },
    Omitted {
        clause: "E37.2, application notes",
        what: "HSMS-SS by a connection that dials with a list of session entities.",
        why: "Whoever wants HSMS-SS makes a connection with a single session; only the side that is called can leave it open.",
    },
    Omitted {
        clause: "E37.1 9.1",
        what: "Keeping single-block messages to a Message Length of 254.",
        why: "It is a recommendation for what applications put into texts.",
    },
];

/// A point that the standards leave open, or where they disagree.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Clauses.
    pub clause: &'static str,
    /// What is open.
    pub open: &'static str,
    /// What is done here.
    pub choice: &'static str,
    /// A rule that shows it.
    pub rule: &'static str,
}

/// What was chosen where the standards leave it open.
pub const CHOICES: &[Choice] = &[
    Choice {
        clause: "E37 8.2.8, E37.1 8.1",
        open: "The session id of a Reject.req of data in HSMS-SS: a copy, or FFFF as in all control messages.",
        choice: "FFFF in HSMS-SS, a copy in HSMS-GS; either is taken.",
        rule: "E37-8.2.8/session",
    },
    Choice {
        clause: "E37 7.2, E37.1 7.1.1",
        open: "A Select.req in HSMS-SS whose session id is not FFFF.",
        choice: "Accepted, the id echoed, and told; strict: closed upon.",
        rule: "E37.1-7.1.1/session",
    },
    Choice {
        clause: "E37 7.2.3, E37.1 7.1.1",
        open: "Select.req to the active side, which cannot be where both ends keep to E37.1.",
        choice: "Accepted and told; strict: closed upon.",
        rule: "E37-7.2.3",
    },
    Choice {
        clause: "E37 7.4, E37.1 7.4",
        open: "A Deselect.req in HSMS-SS, which must not be sent.",
        choice: "Answered with status 0; the side that dialled closes, the other one waits for T7. Strict: closed upon.",
        rule: "E37-7.4.2/passive",
    },
    Choice {
        clause: "E37 7.5, E37.1 7.5",
        open: "A Linktest.req in HSMS-SS before a select.",
        choice: "Answered; T7 goes on. Strict: closed upon.",
        rule: "E37.1-7.5/not-selected",
    },
    Choice {
        clause: "E37 7.5.1",
        open: "Whether the first linktest that is not answered ends the connection.",
        choice: "It does, unless a greater threshold is set.",
        rule: "E37-7.5.1/T6",
    },
    Choice {
        clause: "E37 7.6, E37.1 7.6",
        open: "A Separate.req while NOT SELECTED: ignored, or the end of the connection.",
        choice: "The end in HSMS-SS, ignored in HSMS-GS; never sent before SELECTED.",
        rule: "E37.1-7.6/received",
    },
    Choice {
        clause: "E37 9.2.4",
        open: "The status for a further caller: option a names 1, the wording of 3 fits as well.",
        choice: "1, then the transport is closed.",
        rule: "E37-9.2.4/a",
    },
    Choice {
        clause: "E37 4, 9.2.1",
        open: "When T5 starts: at the end of the attempt, or when the connection breaks.",
        choice: "At the later of the two.",
        rule: "E37-9.2.1",
    },
    Choice {
        clause: "E37 9.2.2",
        open: "T7 behind a Deselect.",
        choice: "Armed on every entry to NOT SELECTED that T6 does not guard; no traffic moves it.",
        rule: "E37-7.4.2/passive",
    },
    Choice {
        clause: "E37 9.4.1.1",
        open: "Whether T3 starts when a primary is handed over or when it has been written.",
        choice: "When the transport has taken its last octet.",
        rule: "E37-9.4.1.1/sent",
    },
    Choice {
        clause: "E37 7.7",
        open: "Which comes first where both PType and SType are unknown.",
        choice: "The PType: reason 2.",
        rule: "E37-7.7/both",
    },
    Choice {
        clause: "E37 9.3.3",
        open: "A control message with text.",
        choice: "Rejected as an unknown SType while SELECTED, its text skipped, and told; strict, or NOT SELECTED: closed upon.",
        rule: "E37-9.3.3/text",
    },
    Choice {
        clause: "E37.1 7.2, E5 7.13",
        open: "Data for a device id that is not served.",
        choice: "Equipment sends S9F1, a host tells its application; the connection stays.",
        rule: "E5-7.13/F1",
    },
    Choice {
        clause: "E37.2 7.2",
        open: "The order in which a Select.req is checked in HSMS-GS, and one for an entity that is being decided on.",
        choice: "Unknown (4), selected here (6), simultaneous (0), being decided on (2), then what the application says.",
        rule: "E37.2-7.2/4",
    },
];

/// The page: every rule in a table for each area, what was chosen, what is deliberately not done, and the counts.
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
        "Each rule is one duty; the module's documentation shows how to put an implementation to it. Codes, offsets of timers and the like are cases of one rule, not rules. Ids name the"
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
    writeln!(page, "\n## Where the standards leave it open\n")?;
    writeln!(page, "| clause | what is open | what is done here | shown by |\n|---|---|---|---|")?;
    for Choice { clause, open, choice, rule } in CHOICES {
        writeln!(page, "| {clause} | {open} | {choice} | `{rule}` |")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_shown_by_a_rule_that_exists() {
        for choice in CHOICES {
            assert!(rules().any(|rule| rule.id == choice.rule), "{choice:?}");
        }
    }
}
