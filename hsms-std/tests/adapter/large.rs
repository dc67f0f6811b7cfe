//! Long texts.

use crate::support::*;
use hsms_std::{CloseReason, Config, Connection, Error, Fault, Incoming, Options, State, StreamFunction};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

const MIB: usize = 1 << 20;

/// Where two threads wait for each other, within [`LONG`]: where one of them has failed the other fails too.
struct Meeting(Sender<()>, Receiver<()>);

fn meeting() -> (Meeting, Meeting) {
    let ((to_one, one), (to_other, other)) = (channel(), channel());
    (Meeting(to_one, other), Meeting(to_other, one))
}

impl Meeting {
    fn wait(&self) {
        self.0.send(()).unwrap();
        self.1.recv_timeout(LONG).unwrap();
    }
}

fn up_to(config: Config, octets: usize) -> Config {
    config.with_max_message(u32::try_from(octets + 10).unwrap()).unwrap()
}

#[test]
fn a_text_of_64_mib_arrives_and_comes_back() {
    let (mut tool, address) = equipment(up_to(equipment_config(), 64 * MIB));
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, up_to(host_config(), 64 * MIB));
        host.select(LONG).unwrap();
        let text = text(64 * MIB);
        assert!(host.request(S1F1, &text).unwrap().body == text);
        // The link is as good as before.
        assert_eq!(host.request(S1F1, &[1]).unwrap().body, [1]);
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), 2);
    });
}

#[test]
fn texts_of_every_size_around_the_buffers_arrive_whole() {
    let (mut tool, address) = equipment(equipment_config());
    thread::scope(|scope| {
        let served = scope.spawn(move || echo_until_closed(&mut tool));
        let mut host = host(address, host_config());
        host.select(LONG).unwrap();
        let mut count = 0;
        for around in [16 * 1024, 64 * 1024, 128 * 1024, 256 * 1024] {
            for len in [around - 15, around - 14, around - 1, around, around + 1, around + 14] {
                let text = text(len);
                // Several at once, so that they lie in the buffer in every way.
                let mut open: Vec<_> = (0..5).map(|_| host.post(S6F11, &text).unwrap()).collect();
                while !open.is_empty() {
                    if let Incoming::Reply { message } = host.next(LONG).unwrap().unwrap() {
                        assert!(message.body == text, "{len} octets came back changed");
                        open.retain(|system| *system != message.header.system);
                    }
                }
                count += 5;
            }
        }
        host.close().unwrap();
        assert_eq!(served.join().unwrap(), count);
    });
}

#[test]
fn both_ends_sending_16_mib_at_once_finish() {
    let (mut tool, address) = equipment(equipment_config());
    let (text, (here, there)) = (text(16 * MIB), meeting());
    let exchange = |connection: &mut Connection, stream_function: StreamFunction, other: Meeting| {
        connection.select(LONG).unwrap();
        other.wait();
        for _ in 0..3 {
            connection.send(stream_function, &text).unwrap();
        }
        for _ in 0..3 {
            next_of(connection, |incoming| match incoming {
                Incoming::Primary { message, token: None } => {
                    assert!(message.body == text);
                    Some(())
                }
                _ => None,
            });
        }
        // Both have everything before either closes.
        other.wait();
    };
    thread::scope(|scope| {
        scope.spawn(|| exchange(&mut tool, S6F11, there));
        let mut host = host(address, host_config());
        exchange(&mut host, S1F1, here);
        assert_eq!(host.dropped().primaries, 0);
    });
}

#[test]
fn both_ends_requesting_16_mib_at_once_finish() {
    let (mut tool, address) = equipment(equipment_config());
    let (text, (here, there)) = (text(16 * MIB), meeting());
    let exchange = |connection: &mut Connection, stream_function: StreamFunction, other: Meeting| {
        connection.select(LONG).unwrap();
        other.wait();
        let reply = connection
            .request_serving(stream_function, &text, |message, _, body| {
                body.extend_from_slice(message.body);
                hsms_std::Answer::Reply
            })
            .unwrap();
        assert!(reply.body == text);
        // The peer's request may come after our reply.
        let deadline = std::time::Instant::now() + LONG;
        while connection.counters().sent.messages.reply == 0 {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let token = match connection.next(left).unwrap().unwrap() {
                Incoming::Primary { token, .. } => token.unwrap(),
                _ => continue,
            };
            connection.reply(&token, &text).unwrap();
        }
        connection.flush().unwrap();
        other.wait();
    };
    thread::scope(|scope| {
        scope.spawn(|| exchange(&mut tool, S6F11, there));
        let mut host = host(address, host_config());
        exchange(&mut host, S1F1, here);
    });
}

#[test]
fn a_peer_that_stops_reading_ends_in_a_typed_error_within_the_write_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let limit = Duration::from_millis(150);
    let options = Options::new().with_write_limit(limit);
    let mut host = Connection::with_options(address, host_config(), options).unwrap();
    thread::scope(|scope| {
        let peer = scope.spawn(|| {
            let mut peer = Raw::over(listener.accept().unwrap().0);
            peer.be_selected();
            peer
        });
        host.select(LONG).unwrap();
        let peer = peer.join().unwrap();
        // More than the buffers of both ends can ever hold.
        let text = vec![0; 60 * MIB];
        let error = host.request(S6F11, &text).unwrap_err();
        match error {
            Error::WriteStalled { limit: told, left } => {
                assert_eq!(told, limit);
                assert!(left > 0 && left < 60 * MIB as u64 + 14, "{left}");
            }
            ref other => panic!("{other:?}"),
        }
        assert_eq!(error.fault(), Fault::Peer);
        assert_eq!(host.state(), State::NotConnected);
        // The request's outcome was the error: nothing else is told of it.
        let mut reason = None;
        while let Some(incoming) = host.next(Duration::ZERO).unwrap() {
            match incoming {
                Incoming::Closed { reason: told, error: Some(error) } => {
                    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
                    reason = Some(told);
                }
                Incoming::Connected | Incoming::Selected => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(reason, Some(CloseReason::TransportClosed));
        drop(peer);
    });
}

#[test]
fn a_peer_that_reads_slowly_gets_everything() {
    use std::io::Read;
    let (mut tool, address) = equipment(equipment_config());
    let text = text(16 * MIB);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut raw = Raw::connect(address);
            raw.select();
            let mut octets = vec![0; 16 * MIB + 14];
            // In small pieces, so that the writer has to wait for us all the time.
            for piece in octets.chunks_mut(4_099) {
                raw.0.read_exact(piece).unwrap();
            }
            octets
        });
        tool.select(LONG).unwrap();
        tool.send(S6F11, &text).unwrap();
        assert!(reader.join().unwrap()[14..] == text);
    });
}

#[test]
fn a_text_beyond_the_maximum_is_skipped_by_equipment_and_told() {
    let (mut tool, address) = equipment(up_to(equipment_config(), MIB));
    thread::scope(|scope| {
        let told = scope.spawn(move || {
            let told = next_of(&mut tool, |incoming| match incoming {
                Incoming::Other { header, body_len, class: hsms_core::connection::Class::TooLong } => {
                    Some((header.stream_function(), body_len))
                }
                _ => None,
            });
            (told, echo_until_closed(&mut tool))
        });
        let mut host = host(address, up_to(host_config(), 4 * MIB));
        host.select(LONG).unwrap();
        let too_long = host.post(S6F11, &text(2 * MIB)).unwrap();
        assert_eq!(host.request(S1F1, &[1]).unwrap().body, [1]);
        // S9F11 came before the reply, and was kept.
        next_of(&mut host, |incoming| match incoming {
            Incoming::Primary { message, token: None } => {
                assert_eq!(message.header.stream_function(), StreamFunction::new(9, 11));
                Some(())
            }
            _ => None,
        });
        host.forget(too_long).unwrap();
        host.close().unwrap();
        assert_eq!(told.join().unwrap(), ((S6F11, 2 * MIB as u32), 1));
    });
}

#[test]
fn a_length_claim_alone_reserves_nothing_and_t8_ends_it() {
    use std::io::Write;
    let config = up_to(equipment_config(), 4_000_000_000).with_t8(Duration::from_millis(30)).unwrap();
    let (mut tool, address) = equipment(config);
    let mut raw = Raw::connect(address);
    thread::scope(|scope| {
        scope.spawn(|| {
            raw.select();
            // 3 GB are announced, ten octets come.
            let prefix = primary(2, S6F11).encode_prefix(3_000_000_000).unwrap();
            raw.0.write_all(&[&prefix[..], &[0; 10]].concat()).unwrap();
        });
        assert_eq!(closed(&mut tool), CloseReason::T8 { received: 24 });
    });
}
