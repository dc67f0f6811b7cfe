//! The adapter over a byte stream: every call of it that HSMS-SS has, each polled as an executor polls it.

use core::convert::Infallible;
use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Waker};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time_driver::Driver;
use embedded_io_async::{ErrorType, Read, Write};
use hsms_core::config::Config;
use hsms_core::connection::{ReplyToken, State};
use hsms_core::wire::StreamFunction;
use hsms_embassy::{Buffers, Link, OpenFailed, Opener, Storage};

type Port = Link<'static, NoopRawMutex, 4, 8>;

/// A transport of which the compiler knows nothing.
struct Stream;

impl ErrorType for Stream {
    type Error = Infallible;
}

impl Read for Stream {
    async fn read(&mut self, octets: &mut [u8]) -> Result<usize, Infallible> {
        Ok(black_box(octets).len())
    }
}

impl Write for Stream {
    async fn write(&mut self, octets: &[u8]) -> Result<usize, Infallible> {
        Ok(black_box(octets).len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Caller;

impl Opener for Caller {
    type Reader<'t> = Stream;
    type Writer<'t> = Stream;

    async fn open(&mut self) -> Result<(Stream, Stream), OpenFailed> {
        if black_box(true) { Ok((Stream, Stream)) } else { Err(OpenFailed) }
    }

    async fn close(&mut self) {}
}

/// A clock that stands, and wakes nobody.
struct Clock;

impl Driver for Clock {
    fn now(&self) -> u64 {
        black_box(0)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        black_box((at, waker));
    }
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock);

fn poll<F: Future>(future: F, cx: &mut Context<'_>) {
    let future = pin!(future);
    let _ = black_box(future.poll(cx).is_ready());
}

fn new(config: Config, storage: Storage<'static>) -> Option<Port> {
    Link::new(config, storage).ok()
}

fn refusing(config: Config, storage: Storage<'static>) -> Option<Port> {
    Link::refusing(config, storage).ok()
}

fn run(link: &Port, cx: &mut Context<'_>) {
    poll(link.run(Caller), cx);
}

fn run_over(link: &Port, cx: &mut Context<'_>) {
    poll(link.run_over(Stream, Stream), cx);
}

fn receive(link: &Port, text: &mut [u8], cx: &mut Context<'_>) {
    poll(link.receive(text), cx);
}

fn next(link: &Port, text: &mut [u8], cx: &mut Context<'_>) {
    let read = async {
        let mut incoming = link.next().await?;
        let _ = black_box((incoming.header(), incoming.token(), incoming.body_len(), incoming.left()));
        incoming.read(text).await
    };
    poll(read, cx);
}

fn send(link: &Port, what: StreamFunction, text: &[u8], cx: &mut Context<'_>) {
    poll(link.send(what, text), cx);
}

fn request(link: &Port, what: StreamFunction, text: &[u8], reply: &mut [u8], cx: &mut Context<'_>) {
    poll(link.request(what, text, reply), cx);
}

fn reply(link: &Port, to: &ReplyToken, text: &[u8], cx: &mut Context<'_>) {
    poll(link.reply(to, text), cx);
}

fn abort(link: &Port, to: &ReplyToken, cx: &mut Context<'_>) {
    poll(link.abort(to), cx);
}

fn begin_send(link: &Port, what: StreamFunction, text: &[u8], cx: &mut Context<'_>) {
    let written = async {
        let mut writer = link.begin_send(what, 99).await?;
        writer.write(text).await?;
        writer.end().await
    };
    poll(written, cx);
}

fn begin_reply(link: &Port, to: &ReplyToken, text: &[u8], cx: &mut Context<'_>) {
    let written = async {
        let mut writer = link.begin_reply(to, 99).await?;
        writer.write(text).await?;
        writer.end().await
    };
    poll(written, cx);
}

fn begin_request(link: &Port, what: StreamFunction, text: &mut [u8], cx: &mut Context<'_>) {
    let answered = async {
        let mut writer = link.begin_request(what, 99).await?;
        writer.write(text).await?;
        let mut answer = writer.end()?;
        answer.header().await?;
        answer.read(text).await?;
        answer.read_whole(text).await.map(|reply| reply.body.len())
    };
    poll(answered, cx);
}

fn linktest(link: &Port, cx: &mut Context<'_>) {
    poll(link.linktest(), cx);
}

fn reached(link: &Port, wanted: State, cx: &mut Context<'_>) {
    poll(link.reached(wanted), cx);
}

fn told(link: &Port, cx: &mut Context<'_>) {
    poll(link.told(), cx);
}

footprint_image::calls![
    Buffers::<256, 512, 1052>::new,
    Buffers::<256, 512, 1052>::lend,
    new,
    refusing,
    Port::with_limits,
    Port::state,
    Port::is_enabled,
    Port::config,
    Port::last_close,
    Port::enable,
    Port::disable,
    Port::separate,
    run,
    run_over,
    receive,
    next,
    send,
    request,
    reply,
    abort,
    begin_send,
    begin_reply,
    begin_request,
    linktest,
    reached,
    told,
];
