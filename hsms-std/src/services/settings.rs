//! How an endpoint is set up.

use super::layer::{Core, Layer};
use super::{BeforeTrust, CommunicationSettings, Error, Secret, TrustSettings, UnhandledPolicy};
use hsms_core::config::{Config, Entity};
use hsms_core::services::{DEFAULT_STREAM, EndpointSettings};

/// Handlers of services, and of SECS-II primaries; messages of each kind that are allowed before trust.
pub(super) const HANDLERS: usize = 64;

/// The settings of an endpoint, beside those of its connection.
#[derive(Debug, Clone)]
pub struct Settings {
    stream: u8,
    exchange_names: bool,
    name: Option<&'static str>,
    communication: Option<CommunicationSettings<'static>>,
    unhandled: Option<UnhandledPolicy>,
    secret: Option<Secret>,
    trust: TrustSettings,
    before: BeforeTrust<HANDLERS>,
}

impl Settings {
    /// Services in stream 64; names are exchanged, and this end has none; no secret; no communication to be established. SECS-II
    /// primaries without handler are answered with SxF0, by equipment with S9F3 or S9F5 beside it.
    #[must_use]
    pub fn new() -> Self {
        Settings {
            stream: DEFAULT_STREAM,
            exchange_names: true,
            name: None,
            communication: None,
            unhandled: None,
            secret: None,
            trust: TrustSettings::default(),
            before: BeforeTrust::new(),
        }
    }

    /// The stream of the services, 64 to 127.
    #[must_use]
    pub const fn with_stream(mut self, stream: u8) -> Self {
        self.stream = stream;
        self
    }

    /// What this end calls the connection, at most 32 octets of ASCII. One that is known only while the program runs can be made to last by
    /// [`String::leak`].
    #[must_use]
    pub const fn with_name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// No exchange of names: for peers that know nothing of services.
    #[must_use]
    pub const fn without_names(mut self) -> Self {
        self.exchange_names = false;
        self
    }

    /// Communication is established, as GEM does it, before SECS-II messages flow.
    #[must_use]
    pub const fn with_communication(mut self, communication: CommunicationSettings<'static>) -> Self {
        self.communication = Some(communication);
        self
    }

    /// How SECS-II primaries without handler are treated.
    #[must_use]
    pub const fn with_unhandled(mut self, unhandled: UnhandledPolicy) -> Self {
        self.unhandled = Some(unhandled);
        self
    }

    /// Both ends have to prove this secret before anything else is said. It neither encrypts nor protects what follows: that is TLS.
    #[must_use]
    pub fn with_secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// How the secret is asked for. Without effect where there is none.
    #[must_use]
    pub const fn with_trust(mut self, trust: TrustSettings) -> Self {
        self.trust = trust;
        self
    }

    /// What may flow before trust. Without effect where there is no secret. SECS-II messages that are to flow before trust although
    /// communication is to be established need S1F13, and S1F1, beside them: see [`BeforeTrust::allow_function`].
    #[must_use]
    pub fn with_before_trust(mut self, before: BeforeTrust<HANDLERS>) -> Self {
        self.before = before;
        self
    }

    pub(crate) fn layer(self, config: &Config) -> Result<Layer, Error> {
        let [device] = config.device_ids().as_slice() else { return Err(crate::Error::WhichDevice.into()) };
        let equipment = config.entity() == Entity::Equipment;
        let core = Core::new(EndpointSettings {
            mode: config.mode(),
            session: device.session(),
            stream: self.stream,
            exchange_names: self.exchange_names,
            name: self.name,
            communication: self.communication,
            unhandled: self.unhandled.unwrap_or(UnhandledPolicy { system_errors: equipment, abort: true }),
        })?;
        let core = match self.secret {
            Some(secret) => core.with_secret(secret, self.trust, challenge, self.before),
            None => core,
        };
        Ok(Layer::new(core, self.stream))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings::new()
    }
}

/// From the system. Where that has none to give it is all zeros, which the core never takes for a challenge.
fn challenge() -> [u8; 32] {
    let mut octets = [0; 32];
    match getrandom::fill(&mut octets) {
        Ok(()) => octets,
        Err(_) => [0; 32],
    }
}
