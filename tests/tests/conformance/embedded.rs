//! The embedded adapter as the subject: a link of `hsms-embassy` over TCP, on tokio. Its application takes what comes and answers nothing, so
//! that what has to be commanded, or is only told to an application, is not decided here.

use crate::openers::{Dial, halves};
use embassy_futures::join::{join, join3};
use embassy_futures::select::select;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use hsms_embassy::hsms_core::connection::{General, Notice, Sessions, Single};
use hsms_embassy::hsms_core::wire::SelectStatus;
use hsms_embassy::{Buffers, Config, Error, Link, Told};
use hsms_std::conformance::socket::{Application, EARLY, Socket};
use hsms_std::conformance::{Command, EXCLUSIVE, Entities, LONGEST_LIST, Outcome, Report, Setup, Stop};
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

type Subject<'b, S = Single> = Link<'b, NoopRawMutex, 4, 8, S>;

const OUT_OF_REACH: &str = "its application is out of reach";

/// Why a rule may be undecided here.
pub const UNDECIDED: [&str; 5] = [
    OUT_OF_REACH,
    "what the application is told is out of reach",
    "the application waits for its first linktest before it calls for another",
    "an attempt to dial that fails cannot be seen from here",
    "the application has one connection",
];

/// A bench for the adapter. `late` is how much later than it should anything may come.
pub fn bench(setup: Setup, late: Duration, settle: Duration) -> std::io::Result<Socket> {
    Ok(Socket::with_application(setup, Box::new(Adapter::default()))?.with_tolerance(EARLY, late, settle))
}

/// A link in a thread of its own, anew for each case of a rule.
#[derive(Default)]
struct Adapter(Option<Running>);

struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Adapter {
    // A subject that does not start is no reason to leave a rule undecided.
    fn begin(
        &mut self,
        config: Config,
        sessions: Option<General<LONGEST_LIST>>,
        tester: Option<SocketAddr>,
    ) -> Outcome<Option<SocketAddr>> {
        self.0 = None;
        let ((stop, stopped), (tell, told)) = (oneshot::channel(), mpsc::channel());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(select(subject(config, sessions, tester, tell), stopped));
        });
        self.0 = Some(Running { stop: Some(stop), thread: Some(thread) });
        told.recv().map_err(|_| Stop::Fail("the subject does not start".into()))
    }
}

impl Application for Adapter {
    fn start(&mut self, config: Config, tester: Option<SocketAddr>) -> Outcome<Option<SocketAddr>> {
        self.begin(config, None, tester)
    }

    fn start_with(
        &mut self,
        config: Config,
        entities: &Entities,
        tester: Option<SocketAddr>,
    ) -> Outcome<Option<SocketAddr>> {
        let sessions = entities.sessions().map_err(|error| Stop::Fail(format!("no such subject: {error}")))?;
        self.begin(config, Some(sessions), tester)
    }

    fn is_commanded(&self) -> bool {
        false
    }

    fn command(&mut self, _: &Command) -> Outcome<Option<String>> {
        Err(Stop::undecided(OUT_OF_REACH))
    }

    fn report(&mut self, _: Duration) -> Outcome<Option<Report>> {
        Err(Stop::undecided(OUT_OF_REACH))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop = None;
        let ended = self.thread.take().is_none_or(|thread| thread.join().is_ok());
        assert!(ended || std::thread::panicking(), "the subject has panicked");
    }
}

/// Makes the subject, tells where it listens, if it does, and runs it for ever.
async fn subject(
    config: Config,
    sessions: Option<General<LONGEST_LIST>>,
    tester: Option<SocketAddr>,
    tell: mpsc::Sender<Option<SocketAddr>>,
) {
    let place = match tester {
        Some(address) => Place::Dials(address),
        None => Place::Listens(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port")),
    };
    tell.send(place.address()).expect("the bench waits for it");
    let mut lent = Buffers::<1024, 1024, 1024>::new();
    match sessions {
        None => {
            let link = Subject::<Single>::new(config, lent.lend()).expect("enough storage");
            link.enable();
            // As many as the bench has lines, and one for whose predecessor is not quite gone.
            let serve = || serve(&link, &place);
            join(take(&link), join3(serve(), serve(), serve())).await;
        }
        Some(sessions) => {
            // The bench has one connection for this.
            let link = Subject::general(config, sessions, lent.lend()).expect("enough storage");
            link.enable();
            join3(take(&link), admit(&link), serve(&link, &place)).await;
        }
    }
}

/// Where transports come from.
enum Place {
    Listens(TcpListener),
    Dials(SocketAddr),
}

impl Place {
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Place::Listens(listener) => Some(listener.local_addr().expect("it is bound")),
            Place::Dials(_) => None,
        }
    }
}

/// Takes primaries. Their texts are passed by.
async fn take<S: Sessions>(link: &Subject<'_, S>) {
    loop {
        drop(link.next().await.expect("there is a place for the call"));
    }
}

/// Nobody else has what one connection at a time can have, as there is one.
async fn admit(link: &Subject<'_, General<LONGEST_LIST>>) {
    loop {
        let told = link.told().await.expect("there is a place for the call");
        if told == Told::Notice(Notice::SelectAsked { session: EXCLUSIVE }) {
            // Refused where the peer has gone meanwhile.
            let _ = link.answer_select(EXCLUSIVE, SelectStatus::COMMUNICATION_ESTABLISHED).await;
        }
    }
}

/// Serves callers, one after the other, or dials. Who calls while another one is served is told so.
async fn serve<S: Sessions>(link: &Subject<'_, S>, place: &Place) {
    loop {
        let listener = match place {
            Place::Listens(listener) => listener,
            Place::Dials(address) => {
                // Where it is dialled already, that is enough.
                let _ = link.run(Dial(*address)).await;
                return pending().await;
            }
        };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (mut reader, mut writer) = halves(stream);
        if let Err(Error::Running) = link.run_over(&mut reader, &mut writer).await {
            let mut lent = Buffers::<64, 0, 64>::new();
            let refusing = Subject::<Single>::refusing(link.config(), lent.lend()).expect("enough storage");
            refusing.run_over(&mut reader, &mut writer).await.expect("it runs once");
        }
    }
}
