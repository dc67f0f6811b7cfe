//! The SECS-II writer into lent octets, for every type of value.

use hsms_core::secs2::{Slice, Writer};

type Text<'a> = Writer<Slice<'a>>;

footprint_image::calls![
    Slice::new,
    Slice::written,
    Text::new,
    Text::finish,
    Text::list,
    Text::begin_list,
    Text::end_list,
    Text::ascii,
    Text::ascii_octets,
    Text::binary,
    Text::jis8,
    Text::localized,
    Text::item,
    Text::raw,
    Text::u1,
    Text::u2,
    Text::u4,
    Text::u8,
    Text::i1,
    Text::i2,
    Text::i4,
    Text::i8,
    Text::f4,
    Text::f8,
    Text::boolean,
    Text::values::<u8>,
    Text::values::<u16>,
    Text::values::<u32>,
    Text::values::<u64>,
    Text::values::<i8>,
    Text::values::<i16>,
    Text::values::<i32>,
    Text::values::<i64>,
    Text::values::<f32>,
    Text::values::<f64>,
    Text::values::<bool>,
];
