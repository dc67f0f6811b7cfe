//! Trusted connections, beside the service layer.

use hsms_core::secs2::Slice;
use hsms_core::services::{BeforeTrust, Endpoint, Secret, TrustMessage, TrustState};

type Service = Endpoint<'static, u32, 4, 8, 16, 4, 256>;

footprint_image::calls![
    Secret::new,
    BeforeTrust::<8>::new,
    BeforeTrust::<8>::allow_service,
    BeforeTrust::<8>::allow_function,
    Service::with_secret,
    Service::set_secret,
    Service::trust_state,
    Service::authenticate,
    TrustState::number,
    TrustMessage::write::<Slice<'_>, 8>,
    TrustMessage::read,
];
