//! The rules, area by area.

mod connect;
mod data;
mod deselect;
mod devices;
mod framing;
mod general;
mod intercharacter;
mod length;
mod linktest;
mod period;
mod reject;
mod second_caller;
mod select;
mod separate;
mod sessions;
mod settings;
mod stream9;
mod timers;
mod transactions;

use super::Rule;

/// Areas in the order of the page, with their titles.
pub(super) const AREAS: &[(&str, &[Rule])] = &[
    ("Connecting", connect::RULES),
    ("Settings", settings::RULES),
    ("Select", select::RULES),
    ("Data", data::RULES),
    ("Data transactions", transactions::RULES),
    ("Session ids of data", devices::RULES),
    ("Deselect", deselect::RULES),
    ("Linktest", linktest::RULES),
    ("Linktests by itself", period::RULES),
    ("Separate", separate::RULES),
    ("Reject", reject::RULES),
    ("Timers", timers::RULES),
    ("T8", intercharacter::RULES),
    ("Message length", length::RULES),
    ("Messages in parts", framing::RULES),
    ("Stream 9", stream9::RULES),
    ("A second caller", second_caller::RULES),
    ("Headers and system bytes", general::RULES),
    ("HSMS-GS: states", sessions::states::RULES),
    ("HSMS-GS: Select", sessions::select::RULES),
    ("HSMS-GS: Select of its own", sessions::own_select::RULES),
    ("HSMS-GS: data", sessions::data::RULES),
    ("HSMS-GS: Deselect", sessions::deselect::RULES),
    ("HSMS-GS: Separate and the end", sessions::separate::RULES),
    ("HSMS-GS: Linktest and Reject", sessions::control::RULES),
];

/// All rules.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    AREAS.iter().flat_map(|(_, rules)| rules.iter())
}
