//! One round: both ends of one connection on two pinned threads, bounded in time.

use std::any::Any;
use std::iter;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::contender::{Case, Contender, Meter, Outcome, Pace, Sample, Wrong};
use super::load::{Load, Start, Usage};
use super::pin::{Pinning, pin};

/// What a round may take beyond its warm-up and its span before it is given up.
const GRACE: Duration = Duration::from_secs(10);

/// How long the second end may take to say what happened when the first has failed.
const AFTERMATH: Duration = Duration::from_secs(1);

/// What an end of the connection reports when it is done.
enum Report {
    Passive(Outcome<(u64, Usage)>),
    Active(Outcome<(u64, Usage, Option<Sample>)>),
}

impl Report {
    fn error(&self) -> Option<String> {
        match self {
            Self::Passive(Err(error)) => Some(format!("passive end: {error}")),
            Self::Active(Err(error)) => Some(format!("active end: {error}")),
            Self::Passive(Ok(_)) | Self::Active(Ok(_)) => None,
        }
    }
}

/// Runs one round.
///
/// # Errors
///
/// Where an end fails or panics, the counts of the ends differ, or the round takes too long. The
/// other thread may then still be running: the caller is expected to end the process.
pub(crate) fn run(
    contender: &'static dyn Contender,
    case: Case,
    pinning: Pinning,
    pace: Pace,
    seed: u64,
    load: &mut Load,
) -> Outcome<Sample> {
    let deadline = Instant::now() + pace.warm_up + pace.span + GRACE;
    let (reports, inbox) = channel();
    let (listening, addresses) = channel();
    start_passive(contender, case, pinning.passive, listening, reports.clone())?;
    let Ok(address) = addresses.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
        let failed = next(&inbox, deadline)?;
        return Err(Wrong(causes(&failed, &inbox)).into());
    };
    start_active(contender, address, case, pinning.active, pace, seed, reports)?;

    let (mut passive, mut active) = (None, None);
    while passive.is_none() || active.is_none() {
        match next(&inbox, deadline)? {
            Report::Passive(Ok(outcome)) => passive = Some(outcome),
            Report::Active(Ok(outcome)) => active = Some(outcome),
            failed => return Err(Wrong(causes(&failed, &inbox)).into()),
        }
    }
    let (Some((answered, serving)), Some((received, asking, sample))) = (passive, active) else {
        return Err(Wrong("an end has not reported".to_owned()).into());
    };
    if answered != received {
        return Err(Wrong(format!("{answered} messages answered, but {received} replies received")).into());
    }
    if !contender.has_threads_of_its_own() {
        load.add(pinning, serving, asking);
    }
    sample.ok_or_else(|| Wrong("the active end ended before its time".to_owned()).into())
}

fn start_passive(
    contender: &'static dyn Contender,
    case: Case,
    core: usize,
    listening: Sender<SocketAddr>,
    reports: Sender<Report>,
) -> Outcome<()> {
    let work = move || -> Outcome<(u64, Usage)> {
        // Threads that it starts are kept on the same core.
        pin(core)?;
        let start = Start::now()?;
        let (address, serve) = contender.listen(&case)?;
        listening.send(address)?;
        let answered = serve()?;
        Ok((answered, start.usage()?))
    };
    thread::Builder::new().name("passive".to_owned()).spawn(move || {
        // Nobody is left to be told where the round was given up.
        let _ = reports.send(Report::Passive(guarded(work)));
    })?;
    Ok(())
}

fn start_active(
    contender: &'static dyn Contender,
    address: SocketAddr,
    case: Case,
    core: usize,
    pace: Pace,
    seed: u64,
    reports: Sender<Report>,
) -> Outcome<()> {
    let work = move || -> Outcome<(u64, Usage, Option<Sample>)> {
        pin(core)?;
        let start = Start::now()?;
        let mut meter = Meter::new(pace, case.window, seed)?;
        let received = contender.run(address, &case, &mut meter)?;
        Ok((received, start.usage()?, meter.finish()))
    };
    thread::Builder::new().name("active".to_owned()).spawn(move || {
        // As above.
        let _ = reports.send(Report::Active(guarded(work)));
    })?;
    Ok(())
}

/// A panic of a contender must not look like a round that takes too long.
fn guarded<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Wrong(format!("panic: {}", text(&*panic))).into()))
}

fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("of unknown type")
}

fn next(inbox: &Receiver<Report>, deadline: Instant) -> Outcome<Report> {
    inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())).map_err(|error| match error {
        RecvTimeoutError::Timeout => {
            Wrong(format!("given up: not over {} s after it should have been", GRACE.as_secs())).into()
        }
        RecvTimeoutError::Disconnected => Wrong("an end of the connection ended without a report".to_owned()).into(),
    })
}

/// The end that noticed first is not always the one at fault: the other's word is waited for.
fn causes(first: &Report, inbox: &Receiver<Report>) -> String {
    let second = inbox.recv_timeout(AFTERMATH).ok();
    let told: Vec<String> = iter::once(first).chain(&second).filter_map(Report::error).collect();
    told.join("; ")
}
