//! An octet stream into messages, and those into lent storage.

use hsms_core::collect::Collector;
use hsms_core::frame::{Decoder, Piece};

footprint_image::calls![
    Decoder::decode,
    Decoder::in_message,
    Decoder::body_left,
    Decoder::received,
    Decoder::reset,
    Piece::first,
    Piece::last,
    Collector::<&mut [u8]>::new,
    Collector::<&mut [u8]>::push_piece,
    Collector::<&mut [u8]>::reset,
];
