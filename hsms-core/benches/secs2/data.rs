//! What is read.

use crate::arrays::ARRAY;
use crate::documents::{Document, Nested, Numbers, Report, Seed};
use crate::writers::{Codec, MinicborTo, OursTo, RmpTo, build};
use hsms_core::secs2::{Value, Writer};

/// Everything that is read, and room for what is written.
pub(crate) struct Data {
    pub(crate) secs2: [Vec<u8>; 3],
    pub(crate) rmp: [Vec<u8>; 3],
    pub(crate) minicbor: [Vec<u8>; 3],
    pub(crate) u4: Vec<u8>,
    pub(crate) f8: Vec<u8>,
    pub(crate) i2: Vec<u8>,
    pub(crate) rmp_u4: Vec<u8>,
    pub(crate) minicbor_u4: Vec<u8>,
    pub(crate) out: Vec<u8>,
    pub(crate) out_u4: [u32; ARRAY],
    pub(crate) out_f8: [f64; ARRAY],
    pub(crate) out_i2: [i16; ARRAY],
}

impl Data {
    pub(crate) fn new() -> Self {
        let mut out_u4 = [0; ARRAY];
        let mut out_f8 = [0.0; ARRAY];
        let mut out_i2 = [0; ARRAY];
        for (index, at) in (0_u32..).zip(0..ARRAY) {
            out_u4[at] = Seed(index).u4();
            out_f8[at] = Seed(index).f8();
            out_i2[at] = i16::try_from(index * 31).expect("it is below 32,768");
        }
        let mut rmp_u4 = vec![];
        for value in out_u4 {
            rmp::encode::write_u32(&mut rmp_u4, value).expect("a Vec takes all");
        }
        let mut minicbor_u4 = vec![0; 8 * ARRAY];
        let mut to = minicbor::Encoder::new(minicbor_u4.as_mut_slice());
        for value in out_u4 {
            to.u32(value).expect("there is room");
        }
        let room = to.into_writer().len();
        minicbor_u4.truncate(8 * ARRAY - room);
        Data {
            secs2: encoded::<OursTo>(),
            rmp: encoded::<RmpTo>(),
            minicbor: encoded::<MinicborTo>(),
            u4: item_of(&out_u4),
            f8: item_of(&out_f8),
            i2: item_of(&out_i2),
            rmp_u4,
            minicbor_u4,
            out: vec![0; 64 * 1024],
            out_u4,
            out_f8,
            out_i2,
        }
    }

    /// Forgets what was copied.
    pub(crate) fn clear(&mut self) {
        self.out.fill(0);
        self.out_u4.fill(0);
        self.out_f8.fill(0.0);
        self.out_i2.fill(0);
    }
}

pub(crate) fn encoded<C: Codec>() -> [Vec<u8>; 3] {
    fn one<D: Document, C: Codec>() -> Vec<u8> {
        let mut out = vec![0; 64 * 1024];
        let len = build::<D, C>(&mut out).expect("there is room");
        out.truncate(len);
        out
    }
    [one::<Numbers, C>(), one::<Report, C>(), one::<Nested, C>()]
}

pub(crate) fn item_of<T: Value>(values: &[T]) -> Vec<u8> {
    let mut text = Writer::new(vec![]);
    text.values(values).expect("a Vec takes all");
    text.finish().expect("one item was written")
}
