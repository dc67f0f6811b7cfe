//! Links on tokio, in real time, over TCP through `embedded-io-adapters`.

use crate::kit::scene::{DEVICE, S1F1, S6F11, beside};
use crate::openers::{Dial, Halves, halves};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_time::{Duration, with_timeout};
use embedded_io_adapters::tokio_1::FromTokio;
use hsms_embassy::hsms_core::connection::{CloseReason, State};
use hsms_embassy::{Buffers, Config, Link, OpenFailed, Opener};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// With all of it: a test that hangs is one that fails.
const PATIENCE: Duration = Duration::from_secs(60);

type Shared<'b> = Link<'b, CriticalSectionRawMutex>;

struct Accept(TcpListener);

impl Opener for Accept {
    type Reader<'t> = FromTokio<OwnedReadHalf>;
    type Writer<'t> = FromTokio<OwnedWriteHalf>;

    async fn open(&mut self) -> Result<Halves, OpenFailed> {
        self.0.accept().await.map(|(stream, _)| halves(stream)).map_err(|_| OpenFailed)
    }

    async fn close(&mut self) {}
}

#[tokio::test]
async fn two_links_talk_on_tokio_and_find_each_other_again() {
    let (mut ours, mut theirs) = (Buffers::<512, 512, 512>::new(), Buffers::<512, 512, 512>::new());
    let short = |config: Config| config.with_t5(core::time::Duration::from_millis(10)).unwrap();
    let host = Shared::new(short(Config::host(DEVICE)), ours.lend()).unwrap();
    let equipment = Shared::new(short(Config::equipment(DEVICE)), theirs.lend()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let mut buffer = [0; 5000];
        loop {
            let primary = equipment.receive(&mut buffer).await.unwrap();
            if let Some(token) = primary.token {
                equipment.reply(&token, primary.body).await.unwrap();
            }
        }
    };
    let work = async {
        equipment.enable();
        host.enable();
        for round in 0..5 {
            host.reached(State::Selected).await.unwrap();
            let mut buffer = [0; 5000];
            for len in (0..5000).step_by(333) {
                let text = vec![round; len];
                assert_eq!(host.request(S1F1, &text, &mut buffer).await.unwrap().body, text);
                host.send(S6F11, &text).await.unwrap();
            }
            host.linktest().await.unwrap();
            host.separate();
            host.reached(State::NotConnected).await.unwrap();
            assert_eq!(host.last_close(), Some(CloseReason::Separated));
        }
    };
    let links = embassy_futures::join::join(host.run(Dial(address)), equipment.run(Accept(listener)));
    let all = beside(work, embassy_futures::select::select(serve, links));
    with_timeout(PATIENCE, all).await.expect("it hangs");
}
