//! What happens on links, for the `metrics` facade: whichever recorder the application installs gets it, such as an exporter to
//! Prometheus.
//!
//! Every metric has the label `peer`: the name of the peer; where a blocking connection has none, its address, without the port where it
//! called, and `unknown` before there was one. Labels beside it stand in the table; their values are the names of the fields of
//! [`Counters`](hsms_core::counters::Counters), from which all of them are taken but for the last two.
//!
//! | name | kind | unit | labels | what |
//! |---|---|---|---|---|
//! | `hsms_messages_total` | counter | messages | `direction`: `received`, `sent`; `type` | messages |
//! | `hsms_octets_total` | counter | octets | `direction` | octets, length fields and headers included |
//! | `hsms_timeouts_total` | counter | | `timer`: `t3`, `t6`, `t7`, `t8` | timers that expired |
//! | `hsms_transactions_ended_total` | counter | | `reason` | own transactions that ended without a reply |
//! | `hsms_rejects_total` | counter | messages | `direction`; `reason` | Reject.req |
//! | `hsms_leniencies_total` | counter | | `kind` | deviations of the peer that were accepted |
//! | `hsms_strays_total` | counter | messages | `kind` | data messages that were for nobody |
//! | `hsms_too_long_total` | counter | messages | | messages that were longer than accepted |
//! | `hsms_attempts_total` | counter | | | transports asked for |
//! | `hsms_failed_attempts_total` | counter | | | of these, the ones that failed |
//! | `hsms_connections_total` | counter | | | transports opened |
//! | `hsms_reconnects_total` | counter | | | of these, all but the first |
//! | `hsms_selections_total` | counter | | | how often SELECTED was entered |
//! | `hsms_closes_total` | counter | | `reason` | transports closed |
//! | `hsms_open_transactions` | gauge | | | own primaries that wait for their reply |
//! | `hsms_round_trip_seconds` | histogram | seconds | `of`: `data`, `linktest` | from a primary or Linktest.req in the ordered output to the whole of its answer, which of a Linktest.req may be a Reject.req |
//!
//! A manager (feature `manager`) tells after each turn of its loop that had to do with a peer; callers that are no peer's are not among them. A
//! blocking connection, and a [`Driver`](crate::driver::Driver), tells when a call waits, and when it is dropped.
//!
//! ```
//! // Once the recorder is installed, so that it can show units and descriptions:
//! hsms_std::metrics::describe();
//! ```

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(crate) const MESSAGES: &str = "hsms_messages_total";
pub(crate) const OCTETS: &str = "hsms_octets_total";
pub(crate) const TIMEOUTS: &str = "hsms_timeouts_total";
pub(crate) const TRANSACTIONS_ENDED: &str = "hsms_transactions_ended_total";
pub(crate) const REJECTS: &str = "hsms_rejects_total";
pub(crate) const LENIENCIES: &str = "hsms_leniencies_total";
pub(crate) const STRAYS: &str = "hsms_strays_total";
pub(crate) const TOO_LONG: &str = "hsms_too_long_total";
pub(crate) const ATTEMPTS: &str = "hsms_attempts_total";
pub(crate) const FAILED_ATTEMPTS: &str = "hsms_failed_attempts_total";
pub(crate) const CONNECTIONS: &str = "hsms_connections_total";
pub(crate) const RECONNECTS: &str = "hsms_reconnects_total";
pub(crate) const SELECTIONS: &str = "hsms_selections_total";
pub(crate) const CLOSES: &str = "hsms_closes_total";
pub(crate) const OPEN_TRANSACTIONS: &str = "hsms_open_transactions";
pub(crate) const ROUND_TRIP: &str = "hsms_round_trip_seconds";

/// Tells the recorder the unit and the description of every metric.
pub fn describe() {
    for (name, unit, what) in [
        (MESSAGES, Unit::Count, "HSMS messages"),
        (OCTETS, Unit::Bytes, "Octets of HSMS messages, length fields and headers included"),
        (TIMEOUTS, Unit::Count, "Timers of HSMS that expired"),
        (TRANSACTIONS_ENDED, Unit::Count, "Own transactions that ended without a reply"),
        (REJECTS, Unit::Count, "Reject.req messages"),
        (LENIENCIES, Unit::Count, "Deviations of the peer that were accepted"),
        (STRAYS, Unit::Count, "Data messages that were for nobody"),
        (TOO_LONG, Unit::Count, "Messages that were longer than accepted"),
        (ATTEMPTS, Unit::Count, "Transports asked for"),
        (FAILED_ATTEMPTS, Unit::Count, "Transports asked for that could not be had"),
        (CONNECTIONS, Unit::Count, "Transports opened"),
        (RECONNECTS, Unit::Count, "Transports opened, all but the first"),
        (SELECTIONS, Unit::Count, "How often SELECTED was entered"),
        (CLOSES, Unit::Count, "Transports closed"),
    ] {
        describe_counter!(name, unit, what);
    }
    describe_gauge!(OPEN_TRANSACTIONS, Unit::Count, "Own primaries that wait for their reply");
    describe_histogram!(ROUND_TRIP, Unit::Seconds, "From a request in the ordered output to the whole of its answer");
}
