//! What services take in RAM where they can have a secret, beside the connection: with a number of four octets for each handler.

#![no_std]
#![no_main]

use footprint_image as _;
use hsms_core::services::Endpoint;

footprint_image::ram! {
    auth_small: Endpoint<'static, u32, 2, 4, 8, 1, 128>;
    auth_usual: Endpoint<'static, u32>;
}
