//! TLS over a wire in memory, with rustls itself at the other end: what is read when something fails, and what is left to be written.

use crate::strangers::select_req;
use crate::support::*;
use hsms_std::driver::Driver;
use hsms_std::security::SecurityError;
use hsms_std::tls::rustls::{AlertDescription, ClientConnection};
use hsms_std::tls::{Tls, TlsError};
use hsms_std::transport::Transport;
use hsms_std::{Incoming, Options};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;
use std::time::Duration;

const NOW: Duration = Duration::ZERO;

/// A record of application data that nobody has encrypted.
const BAD_RECORD: [u8; 37] = {
    let mut record = [7; 37];
    (record[0], record[1], record[2], record[3], record[4]) = (23, 3, 3, 0, 32);
    record
};

#[derive(Default)]
struct Wire {
    /// To our end, and from it.
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
    /// Octets that are taken before nothing more is.
    room: usize,
    /// How much room there is more each time it is waited for.
    more: usize,
    /// Writing fails.
    broken: bool,
}

/// Our end.
#[derive(Clone)]
struct End(Rc<RefCell<Wire>>);

impl Transport for End {
    fn read(&mut self, octets: &mut [u8], _: Duration) -> io::Result<usize> {
        match self.0.borrow_mut().incoming.read(octets)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Duration) -> io::Result<usize> {
        let wire = &mut *self.0.borrow_mut();
        if wire.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        for part in parts {
            let taken = part.len().min(wire.room);
            wire.outgoing.extend_from_slice(&part[..taken]);
            wire.room -= taken;
            written += taken;
        }
        if written == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(written) }
    }

    fn wait(&mut self, _: bool, _: Duration) -> io::Result<()> {
        let wire = &mut *self.0.borrow_mut();
        wire.room += wire.more;
        Ok(())
    }

    fn close(&mut self) {}
}

/// The other end.
struct Far {
    session: ClientConnection,
    wire: Rc<RefCell<Wire>>,
    heard: Vec<u8>,
}

impl Far {
    fn say(&mut self, octets: &[u8]) {
        self.session.writer().write_all(octets).unwrap();
        self.write();
    }

    fn write(&mut self) {
        let wire = &mut *self.wire.borrow_mut();
        while self.session.wants_write() {
            self.session.write_tls(&mut wire.incoming).unwrap();
        }
    }

    /// Takes all that has been written to it.
    fn listen(&mut self) -> Result<(), TlsError> {
        let octets = std::mem::take(&mut self.wire.borrow_mut().outgoing);
        let mut rest = &octets[..];
        while !rest.is_empty() {
            self.session.read_tls(&mut rest).unwrap();
            self.session.process_new_packets()?;
            match self.session.reader().read_to_end(&mut self.heard) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error:?}"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Both ends, with the handshake behind them.
fn connected() -> (Tls<End>, Far) {
    let authority = Authority::new();
    let wire = Rc::new(RefCell::new(Wire { room: usize::MAX, ..Wire::default() }));
    let mut tls = Tls::server(End(Rc::clone(&wire)), server_config(&authority.sign("tool.fab"), None)).unwrap();
    let session = ClientConnection::new(client_config(&authority, None), "tool.fab".try_into().unwrap()).unwrap();
    let mut far = Far { session, wire, heard: Vec::new() };
    while tls.session().is_handshaking() || far.session.is_handshaking() {
        far.write();
        assert_eq!(tls.read(&mut [0; 64], NOW).unwrap_err().kind(), ErrorKind::WouldBlock);
        far.listen().unwrap();
    }
    (tls, far)
}

/// Reads until it fails.
fn read_all(tls: &mut Tls<End>) -> (Vec<u8>, io::Error) {
    let (mut all, mut room) = (Vec::new(), [0; 8]);
    loop {
        match tls.read(&mut room, NOW) {
            Ok(read) => all.extend_from_slice(&room[..read]),
            Err(error) => return (all, error),
        }
    }
}

#[test]
fn what_the_peer_had_sent_is_read_where_nothing_can_be_written_any_more() {
    let (mut tls, mut far) = connected();
    far.wire.borrow_mut().room = 0;
    assert_eq!(tls.write(&[IoSlice::new(b"is owed")], NOW).unwrap(), 7);
    far.say(b"a message, and then the end");
    far.wire.borrow_mut().broken = true;
    let (read, error) = read_all(&mut tls);
    assert_eq!(read, b"a message, and then the end");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    // So it is with what tells why.
    far.session.read_tls(&mut &BAD_RECORD[..]).unwrap();
    far.session.process_new_packets().unwrap_err();
    far.write();
    let (read, error) = read_all(&mut tls);
    assert_eq!(read, NOTHING);
    let told = SecurityError::Tls(TlsError::AlertReceived(AlertDescription::BadRecordMac));
    assert_eq!(SecurityError::of(&error), Some(&told));
}

#[test]
fn messages_before_a_bad_record_are_read_first() {
    let (mut tls, mut far) = connected();
    far.say(b"the first, ");
    far.say(b"the second");
    far.wire.borrow_mut().incoming.extend(BAD_RECORD);
    let (read, error) = read_all(&mut tls);
    assert_eq!(read, b"the first, the second");
    let bad = SecurityError::Tls(TlsError::DecryptError);
    assert_eq!(SecurityError::of(&error), Some(&bad));
    // The peer has been told, and nothing is read any more.
    assert_eq!(far.listen(), Err(TlsError::AlertReceived(AlertDescription::BadRecordMac)));
    far.wire.borrow_mut().incoming.extend(b"more");
    let (read, error) = read_all(&mut tls);
    assert_eq!((read.as_slice(), SecurityError::of(&error)), (NOTHING, Some(&bad)));
}

/// A driver that is selected.
fn selected(options: Options) -> (Driver<Tls<End>, 8>, Far) {
    let (tls, mut far) = connected();
    let mut driver = Driver::new(tool_config(), options);
    driver.enable();
    driver.opened(tls);
    far.say(&select_req());
    let mut selected = false;
    while !selected {
        let now = driver.tick();
        driver.turn(now).unwrap();
        while let Some(incoming) = driver.poll() {
            selected |= matches!(incoming, Incoming::Selected);
        }
    }
    driver.flush().unwrap();
    far.listen().unwrap();
    assert_eq!(std::mem::take(&mut far.heard).len(), 14, "Select.rsp");
    (driver, far)
}

/// Sends a primary that TLS takes whole, and the wire a thousand octets at a time.
fn send(driver: &mut Driver<Tls<End>, 8>, far: &Far) -> usize {
    (far.wire.borrow_mut().room, far.wire.borrow_mut().more) = (0, 1_000);
    driver.send(DEVICE.session(), S1F1, &[7; 8_000]).unwrap();
    8_014
}

#[test]
fn a_farewell_leaves_behind_what_tls_owes_though_the_peer_takes_it_in_pieces() {
    let (mut driver, mut far) = selected(Options::new());
    let sent = send(&mut driver, &far);
    driver.disable();
    far.listen().unwrap();
    assert_eq!(far.heard.len(), sent + 14);
    assert_eq!(far.heard[sent + 9], 9, "Separate.req");
}

#[test]
fn behind_a_flush_tls_owes_nothing() {
    let (mut driver, mut far) = selected(Options::new());
    let sent = send(&mut driver, &far);
    driver.flush().unwrap();
    far.listen().unwrap();
    assert_eq!(far.heard.len(), sent);
}

#[test]
fn a_peer_that_takes_nothing_of_what_tls_owes_stalls_the_flush() {
    let (mut driver, far) = selected(Options::new().with_write_limit(Duration::from_millis(20)));
    send(&mut driver, &far);
    far.wire.borrow_mut().more = 0;
    let error = driver.flush().unwrap_err();
    assert!(matches!(error, hsms_std::Error::WriteStalled { .. }), "{error:?}");
}
