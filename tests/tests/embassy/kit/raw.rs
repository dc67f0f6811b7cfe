//! A peer that is no link: it says what a test makes it say, and reads when the test does.

use super::executor::{Task, run_with};
use super::pipe::{Reader, Writer, pair};
use super::scene::{DEVICE, Plain};
use embedded_io_async::{Read, Write};
use hsms_embassy::hsms_core::wire::{Header, PREFIX_LEN, SystemBytes};
use hsms_embassy::{Buffers, Config, Limits, StreamFunction};

/// The far end of a stream.
pub(crate) struct Raw {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

/// Runs `test` with a link over a stream that holds `room` octets in each direction, and the far end of that.
pub(crate) fn against<const INPUT: usize, const INBOX: usize, const OUTPUT: usize, R>(
    config: Config,
    room: usize,
    limits: Limits,
    test: impl AsyncFnOnce(&Plain<'_>, Raw) -> R,
) -> R {
    let mut lent = Buffers::<INPUT, INBOX, OUTPUT>::new();
    let link = Plain::new(config, lent.lend()).unwrap().with_limits(limits);
    let ((near_reader, near_writer), (reader, writer)) = pair(room);
    let tasks: Vec<Task<'_>> = vec![Box::pin(async {
        link.run_over(near_reader, near_writer).await.unwrap();
    })];
    run_with(tasks, async {
        link.enable();
        test(&link, Raw { reader, writer }).await
    })
}

/// A data message.
pub(crate) fn data(of: StreamFunction, reply_expected: bool, system: u32, text: &[u8]) -> Vec<u8> {
    with_text(&Header::data(SystemBytes(system), of, reply_expected, DEVICE.session()), text)
}

/// A message without text.
pub(crate) fn control(header: &Header) -> Vec<u8> {
    with_text(header, &[])
}

pub(crate) fn with_text(header: &Header, text: &[u8]) -> Vec<u8> {
    let mut octets = header.encode_prefix(text.len() as u32).unwrap().to_vec();
    octets.extend_from_slice(text);
    octets
}

impl Raw {
    /// Writes all of it, as fast as there is room.
    pub(crate) async fn put(&mut self, octets: &[u8]) {
        self.writer.write_all(octets).await.unwrap();
    }

    /// Reads one message: its header and its text.
    pub(crate) async fn get(&mut self) -> (Header, Vec<u8>) {
        let mut prefix = [0; PREFIX_LEN];
        self.reader.read_exact(&mut prefix).await.unwrap();
        let [a, b, c, d, header @ ..] = prefix;
        let mut text = vec![0; u32::from_be_bytes([a, b, c, d]) as usize - header.len()];
        self.reader.read_exact(&mut text).await.unwrap();
        (Header::decode(&header), text)
    }

    /// Selects the link, which is passive.
    pub(crate) async fn select(&mut self) {
        self.put(&control(&Header::select_req(SystemBytes(1)))).await;
        let (header, _) = self.get().await;
        assert_eq!((header.byte3, header.system), (0, SystemBytes(1)), "Select.rsp, status 0");
    }
}
