//! What values take in RAM, as sizes of symbols.

#![no_std]
#![no_main]

use footprint_image as _;
use hsms_core::connection::{Connection, General, Single};
use hsms_core::frame::Decoder;

footprint_image::ram! {
    single_0: Connection<0, Single>;
    single_1: Connection<1, Single>;
    single_2: Connection<2, Single>;
    single_4: Connection<4, Single>;
    single_8: Connection<8, Single>;
    single_16: Connection<16, Single>;
    single_64: Connection<64, Single>;
    general_1: Connection<4, General<1>>;
    general_2: Connection<4, General<2>>;
    general_4: Connection<4, General<4>>;
    general_8: Connection<4, General<8>>;
    decoder: Decoder;
}
