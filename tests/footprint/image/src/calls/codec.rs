//! Headers and whole messages to octets and back. What is there for logs, names and `Display`, is not part of it.

use hsms_core::wire::{Header, Message, StreamFunction};

footprint_image::calls![
    Header::decode,
    Header::encode,
    Header::encode_prefix,
    Header::encode_alone,
    Header::kind,
    Header::stream,
    Header::function,
    Header::stream_function,
    Header::reply_expected,
    Header::select_req,
    Header::select_rsp,
    Header::deselect_req,
    Header::deselect_rsp,
    Header::linktest_req,
    Header::linktest_rsp,
    Header::reject_req,
    Header::separate_req,
    Header::data,
    Header::with_session,
    Header::with_status,
    StreamFunction::is_primary,
    StreamFunction::is_abort,
    StreamFunction::reply,
    StreamFunction::abort,
    Message::new,
    Message::parse,
    Message::encoded_len,
    Message::encode,
];
