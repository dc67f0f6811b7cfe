//! The rules, area by area.

mod connect;
mod data;
mod deselect;
mod general;
mod length;
mod linktest;
mod reject;
mod second_caller;
mod select;
mod separate;
mod stream9;
mod timers;

use super::Rule;

/// Areas in the order of the page, with their titles.
pub(super) const AREAS: &[(&str, &[Rule])] = &[
    ("Connecting", connect::RULES),
    ("Select", select::RULES),
    ("Data", data::RULES),
    ("Deselect", deselect::RULES),
    ("Linktest", linktest::RULES),
    ("Separate", separate::RULES),
    ("Reject", reject::RULES),
    ("Timers", timers::RULES),
    ("Message length", length::RULES),
    ("Stream 9", stream9::RULES),
    ("A second caller", second_caller::RULES),
    ("Headers and system bytes", general::RULES),
];

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    AREAS.iter().flat_map(|(_, rules)| rules.iter())
}
