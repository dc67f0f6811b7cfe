//! What services take in RAM without a secret, beside the connection: with a number of four octets for each handler.

#![no_std]
#![no_main]

use footprint_image as _;
use hsms_core::services::Endpoint;

footprint_image::ram! {
    services_small: Endpoint<'static, u32, 2, 4, 8, 1, 128>;
    services_usual: Endpoint<'static, u32>;
}
