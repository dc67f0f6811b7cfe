//! Endpoints on tokio and smol, made from hsms-core alone, talk to each other and to the blocking connection of hsms-std.

#[path = "../examples/smol.rs"]
mod on_smol;
#[path = "../examples/tokio.rs"]
mod on_tokio;

use hsms_core::Error;
use hsms_core::config::{Config, DeviceId};
use hsms_core::connection::{CloseReason, Notice, State, TransactionEnd};
use hsms_core::wire::{Header, StreamFunction, SystemBytes};
use hsms_std::{Connection, Incoming};
use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const DEVICE: DeviceId = DeviceId::new(7).unwrap();
const PATIENCE: Duration = Duration::from_secs(60);
const ASK: StreamFunction = StreamFunction::new(1, 1);
const TELL: StreamFunction = StreamFunction::new(6, 11);
/// Longer than what the endpoints read at once and than what sockets hold.
const LONG: usize = 8 << 20;

/// T5 as short as can be: nobody waits for it.
fn settings(config: Config) -> Config {
    config.with_t5(Duration::from_millis(10)).unwrap()
}

fn run(conversation: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, conversation).await.expect("in time") });
}

async fn tokio_listener() -> (on_tokio::Place, SocketAddr) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (on_tokio::Place::Passive(Arc::new(listener)), address)
}

async fn smol_listener() -> (on_smol::Place, SocketAddr) {
    let listener = smol::Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    (on_smol::Place::Passive(Arc::new(listener)), address)
}

/// Waits until the endpoint tells this.
macro_rules! told {
    ($told:expr, $pattern:pat => $value:expr) => {
        loop {
            if let $pattern = $told.recv().await.into_iter().next().expect("the endpoint is there") {
                break $value;
            }
        }
    };
}

/// An active and a passive endpoint: requests at once from two tasks, long texts both ways at once, a primary without reply, a
/// reconnect from either side, refusals, a graceful end.
macro_rules! conversation {
    ($active:ident, $passive:ident, $listener:ident) => {{
        let (place, address) = $listener().await;
        #[allow(unused_mut, reason = "smol's receiver need not be")]
        let (tool, mut at_tool) = $passive::start(place, settings(Config::equipment(DEVICE)), DEVICE);
        #[allow(unused_mut, reason = "smol's receiver need not be")]
        let (host, mut at_host) =
            $active::start($active::Place::Active(address), settings(Config::host(DEVICE)), DEVICE);
        told!(at_tool, $passive::Told::Notice(Notice::Selected) => ());
        told!(at_host, $active::Told::Notice(Notice::Selected) => ());

        // Two requests at once, each with its own answer, in the wrong order.
        let asked = futures(host.order($active::Order::Request(ASK), b"A"), host.order($active::Order::Request(ASK), b"B"));
        let served = async {
            let first = told!(at_tool, $passive::Told::Primary { header, text, token } => (header, text, token));
            let second = told!(at_tool, $passive::Told::Primary { header, text, token } => (header, text, token));
            for (header, text, token) in [second, first] {
                assert_eq!((header.stream_function(), header.reply_expected()), (ASK, true));
                tool.order($passive::Order::Reply(token.unwrap()), &[text[0], b'!']).await.unwrap();
            }
        };
        let ((a, b), ()) = futures(asked, served).await;
        assert_eq!((a.unwrap(), b.unwrap()), (b"A!".to_vec(), b"B!".to_vec()));
        assert_eq!((host.state(), tool.state()), (State::Selected, State::Selected));

        // Long texts both ways at once.
        let (ours, theirs) = (vec![1; LONG], vec![2; LONG]);
        let both = futures(
            host.order($active::Order::Send(TELL), &ours),
            tool.order($passive::Order::Send(TELL), &theirs),
        );
        let (sent, received) = both.await;
        assert!(sent.is_ok() && received.is_ok());
        let (got, token) = told!(at_tool, $passive::Told::Primary { text, token, .. } => (text, token));
        assert!(got == ours && token.is_none());
        assert!(told!(at_host, $active::Told::Primary { text, .. } => text) == theirs);

        // A reconnect from either side; what was open has ended, and an old token is refused.
        let serve = async {
            let token = told!(at_tool, $passive::Told::Primary { token, .. } => token.unwrap());
            host.order($active::Order::Reconnect, b"").await.unwrap();
            told!(at_tool, $passive::Told::Closed(CloseReason::SeparateReceived) => ());
            told!(at_tool, $passive::Told::Notice(Notice::Selected) => ());
            let refused = tool.order($passive::Order::Reply(token), b"").await;
            assert!(matches!(refused, Err($passive::Failure::Refused(Error::StaleToken))), "{refused:?}");
        };
        let (ended, ()) = futures(host.order($active::Order::Request(ASK), b""), serve).await;
        assert!(matches!(ended, Err($active::Failure::Ended(TransactionEnd::SessionEnded))), "{ended:?}");
        told!(at_host, $active::Told::Closed(CloseReason::Separated) => ());
        told!(at_host, $active::Told::Notice(Notice::Selected) => ());
        tool.order($passive::Order::Reconnect, b"").await.unwrap();
        told!(at_host, $active::Told::Closed(CloseReason::SeparateReceived) => ());
        told!(at_host, $active::Told::Notice(Notice::Selected) => ());

        // A function that no primary has is refused, and harms nothing.
        let refused = host.order($active::Order::Send(StreamFunction::new(1, 2)), b"").await;
        assert!(matches!(refused, Err($active::Failure::Refused(Error::NotPrimary { .. }))), "{refused:?}");
        assert_eq!(host.state(), State::Selected);

        // A primary that the application at the other end does not take is answered SxF0.
        drop(at_tool);
        let aborted = host.order($active::Order::Request(ASK), b"").await;
        assert!(matches!(aborted, Err($active::Failure::Aborted)), "{aborted:?}");

        // A graceful end: the peer is told, and an ended endpoint says that it is.
        tool.order($passive::Order::Close, b"").await.unwrap();
        told!(at_host, $active::Told::Closed(CloseReason::SeparateReceived) => ());
        let gone = tool.order($passive::Order::Send(TELL), b"").await;
        assert!(matches!(gone, Err($passive::Failure::Gone)), "{gone:?}");
        host.order($active::Order::Close, b"").await.unwrap();
    }};
}

async fn futures<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    smol::future::zip(a, b).await
}

#[test]
fn tokio_talks_to_smol() {
    run(async { conversation!(on_tokio, on_smol, smol_listener) });
}

#[test]
fn smol_talks_to_tokio() {
    run(async { conversation!(on_smol, on_tokio, tokio_listener) });
}

/// Blocking equipment that answers each primary with its own text, until the peer separates.
fn echo(mut equipment: Connection) {
    let mut text = Vec::new();
    loop {
        match equipment.next(PATIENCE).unwrap().expect("in time") {
            Incoming::Primary { message, token: Some(token) } => {
                text.clear();
                text.extend_from_slice(message.body);
                equipment.reply(&token, &text).unwrap();
            }
            Incoming::Closed { reason, .. } => return assert_eq!(reason, CloseReason::SeparateReceived),
            _ => {}
        }
    }
}

/// An active endpoint asks blocking equipment; a blocking host asks a passive endpoint.
macro_rules! with_blocking {
    ($runtime:ident, $listener:ident) => {{
        let equipment = Connection::passive((Ipv4Addr::LOCALHOST, 0), settings(Config::equipment(DEVICE))).unwrap();
        let address = equipment.local_addr().unwrap();
        let equipment = thread::spawn(|| echo(equipment));
        let place = $runtime::Place::Active(address);
        #[allow(unused_mut, reason = "smol's receiver need not be")]
        let (host, mut at_host) = $runtime::start(place, settings(Config::host(DEVICE)), DEVICE);
        told!(at_host, $runtime::Told::Notice(Notice::Selected) => ());
        let long = vec![3; LONG];
        assert!(host.order($runtime::Order::Request(ASK), &long).await.unwrap() == long);
        host.order($runtime::Order::Close, b"").await.unwrap();
        equipment.join().unwrap();

        let (place, address) = $listener().await;
        #[allow(unused_mut, reason = "smol's receiver need not be")]
        let (tool, mut at_tool) = $runtime::start(place, settings(Config::equipment(DEVICE)), DEVICE);
        let host = thread::spawn(move || {
            let mut host = Connection::active(address, settings(Config::host(DEVICE))).unwrap();
            host.select(PATIENCE).unwrap();
            assert_eq!(host.request(ASK, b"?").unwrap().body, b"!");
            host.linktest().unwrap();
            host.close().unwrap();
        });
        let token = told!(at_tool, $runtime::Told::Primary { token, .. } => token.unwrap());
        tool.order($runtime::Order::Reply(token), b"!").await.unwrap();
        told!(at_tool, $runtime::Told::Closed(CloseReason::SeparateReceived) => ());
        host.join().unwrap();
        drop(tool);
        // The last handle is gone: the endpoint ends.
        while at_tool.recv().await.into_iter().next().is_some() {}
    }};
}

#[test]
fn tokio_talks_to_the_blocking_connection() {
    run(async { with_blocking!(on_tokio, tokio_listener) });
}

#[test]
fn smol_talks_to_the_blocking_connection() {
    run(async { with_blocking!(on_smol, smol_listener) });
}

/// A caller asks, and takes one octet of 64 that it is answered, so that no patience ends: the endpoint gives it up in the end. A text
/// longer than what it may leave is no reason to.
macro_rules! flooded {
    ($runtime:ident, $listener:ident) => {{
        let (place, address) = $listener().await;
        #[allow(unused_mut, reason = "smol's receiver need not be")]
        let (tool, mut at_tool) = $runtime::start(place, settings(Config::equipment(DEVICE)), DEVICE);
        let mut caller = TcpStream::connect(address).unwrap();
        caller.write_all(&Header::select_req(SystemBytes(1)).encode_alone()).unwrap();
        told!(at_tool, $runtime::Told::Notice(Notice::Selected) => ());
        let long = vec![4; 40 << 20];
        tool.order($runtime::Order::Send(TELL), &long).await.unwrap();
        let flood = thread::spawn(move || {
            // The text, behind Select.rsp.
            let mut octets = vec![0; 14 + 14 + (40 << 20)];
            caller.read_exact(&mut octets).unwrap();
            let asks = Header::linktest_req(SystemBytes(2)).encode_alone().repeat(4_682);
            let mut few = [0; 1_024];
            (0..4_000).any(|_| caller.write_all(&asks).and_then(|()| caller.read_exact(&mut few)).is_err())
        });
        let reason = told!(at_tool, $runtime::Told::Closed(reason) => reason);
        assert_eq!(reason, CloseReason::TransportClosed);
        assert!(flood.join().unwrap(), "it was heard to the end");
        tool.order($runtime::Order::Close, b"").await.unwrap();
    }};
}

#[test]
fn who_asks_and_does_not_read_is_given_up() {
    run(async {
        flooded!(on_tokio, tokio_listener);
        flooded!(on_smol, smol_listener);
    });
}

/// A burst of short primaries within one read reaches the application whole.
macro_rules! burst {
    ($runtime:ident, $listener:ident) => {{
        let (place, address) = $listener().await;
        #[allow(unused_mut, reason = "smol's receiver need not be")]
        let (tool, mut at_tool) = $runtime::start(place, settings(Config::equipment(DEVICE)), DEVICE);
        let mut caller = TcpStream::connect(address).unwrap();
        const SENT: u32 = 4_600;
        let header = |number| Header::data(SystemBytes(number), TELL, false, DEVICE.session());
        let octets: Vec<u8> = (0..SENT).flat_map(|number| header(number).encode_prefix(0).unwrap()).collect();
        caller.write_all(&[&Header::select_req(SystemBytes(1)).encode_alone()[..], &octets].concat()).unwrap();
        for number in 0..SENT {
            let system = told!(at_tool, $runtime::Told::Primary { header, .. } => header.system);
            assert_eq!(system, SystemBytes(number));
        }
        tool.order($runtime::Order::Close, b"").await.unwrap();
    }};
}

#[test]
fn a_burst_of_primaries_reaches_the_application_whole() {
    run(async {
        burst!(on_tokio, tokio_listener);
        burst!(on_smol, smol_listener);
    });
}

/// What the application leaves unread counts by its octets, however many messages they are: 32 MiB, and then it has to read.
macro_rules! unread {
    ($runtime:ident, $listener:ident) => {{
        const SHORT: u32 = 100;
        const LONG: u32 = 16;
        let (place, address) = $listener().await;
        #[allow(unused_mut, reason = "smol's receiver need not be")]
        let (tool, mut at_tool) = $runtime::start(place, settings(Config::equipment(DEVICE)), DEVICE);
        let primary = |number, text: &[u8]| {
            let header = Header::data(SystemBytes(number), ASK, true, DEVICE.session());
            [&header.encode_prefix(u32::try_from(text.len()).unwrap()).unwrap()[..], text].concat()
        };
        let long = vec![5; 2 << 20];
        let texts = long.clone();
        let asked = smol::unblock(move || {
            let mut caller = TcpStream::connect(address).unwrap();
            caller.write_all(&Header::select_req(SystemBytes(1)).encode_alone()).unwrap();
            caller.read_exact(&mut [0; 14]).unwrap();
            (0..SHORT).for_each(|number| caller.write_all(&primary(number, &[])).unwrap());
            (SHORT..=SHORT + LONG).for_each(|number| caller.write_all(&primary(number, &texts)).unwrap());
            let mut answer = [0; 14];
            caller.read_exact(&mut answer).unwrap();
            (caller, Header::decode(answer.last_chunk().unwrap()))
        });
        let (mut caller, answer) = asked.await;
        assert_eq!((answer.stream_function(), answer.system), (StreamFunction::new(1, 0), SystemBytes(SHORT + LONG)));
        for number in 0..SHORT + LONG {
            assert_eq!(told!(at_tool, $runtime::Told::Primary { header, .. } => header.system), SystemBytes(number));
        }
        // It has read all that, and gets the next one.
        let texts = long.clone();
        let next = smol::unblock(move || {
            caller.write_all(&primary(900, &texts)).unwrap();
            caller
        });
        let (_caller, text) = futures(next, async { told!(at_tool, $runtime::Told::Primary { text, .. } => text) }).await;
        assert!(text == long);
        tool.order($runtime::Order::Close, b"").await.unwrap();
    }};
}

#[test]
fn what_is_left_unread_counts_by_its_octets() {
    run(async {
        unread!(on_tokio, tokio_listener);
        unread!(on_smol, smol_listener);
    });
}

#[test]
fn what_the_examples_share_is_the_same() {
    let [tokio, smol] = [include_str!("../examples/tokio.rs"), include_str!("../examples/smol.rs")].map(|text| {
        let function = |name: &str| {
            let lines = text.lines().skip_while(|line| !line.contains(name));
            lines.take_while(|line| *line != "    }").map(|line| line.replace("try_send", "send")).collect::<Vec<_>>()
        };
        let deliver = function("fn deliver").into_iter().filter(|line| !line.contains("let full")).collect::<Vec<_>>();
        [function("fn carry_out"), deliver]
    });
    assert!(tokio[0].len() > 15 && tokio[1].len() > 10);
    assert_eq!(tokio, smol);
}

#[test]
fn the_examples_stay_short_and_need_the_core_alone() {
    for text in [include_str!("../examples/tokio.rs"), include_str!("../examples/smol.rs")] {
        assert!(text.contains("hsms_core") && !text.contains("hsms_std"));
        assert!(text.lines().count() <= 240, "{}", text.lines().count());
        let lines: Vec<_> = text.lines().skip_while(|line| !line.contains("async fn run(")).collect();
        let end = lines.iter().position(|line| *line == "    }").expect("the loop has an end");
        assert!(end < 80, "{}", end + 1);
    }
}
