//! Services on real connections, blocking and of a manager: rows of what a service layer is asked for. And the attacker on the handshake.
//! What the core's parts do by themselves is in `hsms-core/tests/services`.

#[path = "services/attacker.rs"]
mod attacker;
#[path = "services/blocking.rs"]
mod blocking;
#[path = "services/bounds.rs"]
mod bounds;
#[path = "services/dialogue.rs"]
mod dialogue;
#[path = "../../hsms-core/tests/services/kit.rs"]
mod kit;
#[path = "services/late.rs"]
mod late;
#[path = "services/lives.rs"]
mod lives;
#[path = "services/log.rs"]
mod log;
#[path = "services/managed.rs"]
mod managed;
#[path = "services/raw.rs"]
mod raw;
#[path = "services/rows.rs"]
mod rows;
#[path = "services/secrets.rs"]
mod secrets;
#[path = "services/sharing.rs"]
mod sharing;
