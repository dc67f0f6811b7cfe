//! SECS-II: a text with every format, written, read, walked and checked.

use crate::meter::Meter;
use core::hint::black_box;
use hsms_core::secs2::messages::{EstablishAck, Identity, SystemError};
use hsms_core::secs2::{Encoding, Error, Limits, Reader, Slice, Walk, WriteError, Writer, check};
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

/// A list of every format there is.
fn write(octets: &mut [u8]) -> Result<usize, WriteError> {
    let mut text: Writer<_> = Writer::new(Slice::new(octets));
    text.list(15)?;
    text.ascii("BOARD")?;
    text.binary(&[1, 2])?;
    text.jis8(&[0xB1])?;
    text.localized(Encoding(2), b"text")?;
    text.boolean(true)?;
    text.u1(1)?;
    text.u2(2)?;
    text.values(&[1_u32, 2, 3])?;
    text.u8(4)?;
    text.i1(-1)?;
    text.i2(-2)?;
    text.i4(-4)?;
    text.values(&[-8_i64])?;
    text.f4(0.5)?;
    text.f8(0.25)?;
    Ok(text.finish()?.written().len())
}

/// And reads it.
fn read(text: &[u8]) -> Result<bool, Error> {
    let mut reader = Reader::new(text);
    reader.list_of(15)?;
    let mut all = reader.ascii()? == "BOARD" && reader.binary()? == [1, 2] && reader.jis8()? == [0xB1];
    all &= reader.localized()?.octets == b"text" && reader.boolean()? && reader.u1()? == 1 && reader.u2()? == 2;
    all &= reader.values::<u32>()?.iter().sum::<u32>() == 6 && reader.u8()? == 4 && reader.i1()? == -1;
    all &= reader.i2()? == -2 && reader.i4()? == -4 && reader.values::<i64>()?.iter().count() == 1;
    all &= reader.f4()? == 0.5 && reader.f8()? == 0.25;
    reader.finish()?;
    Ok(all)
}

pub fn calls(meter: &mut Meter) {
    let (mut octets, mut len) = ([0; 256], 0);
    meter.call("Writer, every format", || {
        len = write(black_box(&mut octets)).unwrap_or(0);
        len > 0
    });
    let text = octets.get(..len).unwrap_or_default();
    meter.call("Reader, every format", || read(black_box(text)).unwrap_or(false));
    meter.call("Reader::item", || {
        Reader::new(black_box(text)).elements().is_ok_and(|mut all| all.all(|mut element| element.item().is_ok()))
    });
    meter.call("Reader::skip", || Reader::new(black_box(text)).skip().is_ok());
    meter.call("Walk", || Walk::<32>::new(black_box(text)).filter(|step| step.is_ok()).count() > 15);
    meter.call("check", || check(black_box(text), Limits::default()).is_ok());
    let mut room = [0; 64];
    let identity = black_box(Identity::Equipment { mdln: "BOARD", softrev: "1.0" });
    meter.call("EstablishAck::write", || {
        let mut text: Writer<_> = Writer::new(Slice::new(&mut room));
        EstablishAck { commack: 0, identity }.write(&mut text).is_ok()
    });
    let header = Header::data(SystemBytes(1), StreamFunction::new(1, 3), true, SessionId(0));
    meter.call("SystemError::write", || {
        let mut text: Writer<_> = Writer::new(Slice::new(&mut room));
        SystemError::IllegalData(header).write(&mut text).is_ok()
    });
}
