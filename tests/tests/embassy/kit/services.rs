//! Host and equipment, each with services on its link, over a network in memory.

use super::executor::{Task, run_with, task};
use super::pipe::{Dial, Listen, Network};
use super::scene::{DEVICE, S6F11, beside, quiet};
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Timer};
use hsms_embassy::hsms_core::connection::State;
use hsms_embassy::hsms_core::secs2::messages::Identity;
use hsms_embassy::services::{
    BeforeTrust, Call, CommunicationSettings, Core, Endpoint, EndpointSettings, Error, Secret, ServiceId, Status,
    TrustSettings, settings,
};
use hsms_embassy::{Buffers, Config, Link, StreamFunction};
use std::cell::RefCell;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const S2F41: StreamFunction = StreamFunction::new(2, 41);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// What these ends have for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// The same data, or the same text.
    Echo,
    /// The same a second later.
    Later,
    /// Nothing within any time, until the far end has gone.
    Never,
    /// A failure.
    Fail,
    /// The length of the text, which is read bit by bit.
    Measure,
}

pub(crate) type Machine = Core<'static, Duty>;
pub(crate) type Services<'l, 'b> = Endpoint<'l, 'b, NoopRawMutex, Duty>;

/// Both ends, running.
pub(crate) struct Ends<'s, 'l, 'b> {
    pub(crate) host: &'s Services<'l, 'b>,
    pub(crate) equipment: &'s Services<'l, 'b>,
    pub(crate) network: &'s Network,
}

pub(crate) fn plain(config: Config) -> EndpointSettings<'static> {
    EndpointSettings { exchange_names: false, ..settings(&config).unwrap() }
}

/// The cores of both ends without anything.
pub(crate) fn bare() -> [Machine; 2] {
    [Config::host(DEVICE), Config::equipment(DEVICE)].map(|config| Machine::new(plain(config)).unwrap())
}

/// The same with handlers at the equipment: read echoes, write fails, execute is registered and has none; S1F1 echoes, S2F41 fails, S7F3 measures.
pub(crate) fn usual() -> [Machine; 2] {
    let mut ends = with_services(bare());
    let equipment = &mut ends[1];
    equipment.handle_service(Some(ServiceId::READ), None, Duty::Echo).unwrap();
    equipment.handle_service(Some(ServiceId::READ), Some(8), Duty::Later).unwrap();
    equipment.handle_service(Some(ServiceId::READ), Some(9), Duty::Never).unwrap();
    equipment.handle_service(Some(ServiceId::WRITE), None, Duty::Fail).unwrap();
    equipment.handle_function(Some(1), Some(1), Duty::Echo).unwrap();
    equipment.handle_function(Some(2), Some(41), Duty::Fail).unwrap();
    equipment.handle_function(Some(7), Some(3), Duty::Measure).unwrap();
    ends
}

/// With the services read, write and execute, and three data each.
pub(crate) fn with_services(mut ends: [Machine; 2]) -> [Machine; 2] {
    for core in &mut ends {
        for (request, name) in [(10, "read"), (20, "write"), (30, "execute")] {
            let service = core.services_mut().add_service(request, request + 1, name, "response").unwrap().request();
            for data_id in [7, 8, 9] {
                core.services_mut().add_data(service, data_id, "temperature").unwrap();
            }
        }
    }
    ends
}

/// With secrets.
pub(crate) fn guarded(ends: [Machine; 2], secrets: [Option<&[u8]>; 2]) -> [Machine; 2] {
    let [host, equipment] = ends;
    let guard = |core: Machine, secret: Option<&[u8]>| match secret {
        Some(secret) => {
            let secret = Secret::new(secret).unwrap();
            core.with_secret(secret, TrustSettings::default(), challenge, BeforeTrust::new())
        }
        None => core,
    };
    [guard(host, secrets[0]), guard(equipment, secrets[1])]
}

/// Other octets with each call.
fn challenge() -> [u8; 32] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut octets = [0x5a; 32];
    octets[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    octets
}

/// With establishing communication: the host begins.
pub(crate) fn communicating(mut settings: [EndpointSettings<'static>; 2]) -> [Machine; 2] {
    settings[0].communication = Some(CommunicationSettings::new(Identity::Host));
    let identity = Identity::Equipment { mdln: "ETCHER", softrev: "1.0" };
    settings[1].communication = Some(CommunicationSettings { begins: false, ..CommunicationSettings::new(identity) });
    settings.map(|settings| Machine::new(settings).unwrap())
}

/// Runs `test` when both ends are SELECTED, over streams that hold `room` octets.
pub(crate) fn joined<R>(room: usize, ends: [Machine; 2], test: impl AsyncFnOnce(&Ends<'_, '_, '_>) -> R) -> R {
    let (mut ours, mut theirs) = (Buffers::<64, 128, 512>::new(), Buffers::<64, 128, 512>::new());
    let host_link = Link::<NoopRawMutex>::new(quiet(Config::host(DEVICE)), ours.lend()).unwrap();
    let equipment_link = Link::<NoopRawMutex>::new(quiet(Config::equipment(DEVICE)), theirs.lend()).unwrap();
    let [host, equipment] = ends;
    let (host, equipment) = (Endpoint::new(&host_link, host), Endpoint::new(&equipment_link, equipment));
    let network = Network::new(room);
    let tasks: Vec<Task<'_>> = vec![
        task(host_link.run(Dial(&network))),
        task(equipment_link.run(Listen(&network))),
        task(host.run()),
        task(equipment.run()),
    ];
    run_with(tasks, async {
        equipment_link.enable();
        host_link.enable();
        host_link.reached(State::Selected).await.unwrap();
        equipment_link.reached(State::Selected).await.unwrap();
        test(&Ends { host: &host, equipment: &equipment, network: &network }).await
    })
}

/// Fills the output of one end with texts of so many octets, while nobody takes anything at the other.
pub(crate) async fn fill(end: &Services<'_, '_>, octets: usize) {
    let text = vec![0; octets];
    // Some of those that are dropped are in the output already.
    let mut waited = 0;
    while waited < 4 {
        match select(end.link().send(S6F11, &text), Timer::after_millis(10)).await {
            Either::First(sent) => sent.unwrap(),
            Either::Second(()) => waited += 1,
        }
    }
}

impl Ends<'_, '_, '_> {
    /// Runs `work` while both ends serve.
    pub(crate) async fn served<R>(&self, work: impl Future<Output = R>) -> R {
        let seen = RefCell::default();
        beside(work, embassy_futures::join::join(serve(self.host, &seen), serve(self.equipment, &seen))).await
    }
}

/// Serves for ever, and keeps the texts and data that came.
pub(crate) async fn serve(services: &Services<'_, '_>, seen: &RefCell<Vec<Vec<u8>>>) {
    let mut text = [0; 128];
    loop {
        let done = match services.next(&mut text).await {
            Ok(call) => one(call, seen).await,
            Err(error) => Err(error),
        };
        match done {
            // The connection has ended.
            Ok(()) | Err(Error::Link(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn one(call: Call<'_, '_, '_, '_, NoopRawMutex, Duty, 4, 8>, seen: &RefCell<Vec<Vec<u8>>>) -> Result<(), Error> {
    match call {
        Call::Service { handler, request } => {
            let data = request.data();
            seen.borrow_mut().push(data.unwrap_or_default().to_vec());
            match handler {
                Duty::Echo => {}
                Duty::Later => Timer::after(SECOND).await,
                Duty::Never => Timer::after(LONG).await,
                Duty::Fail | Duty::Measure => return Ok(()),
            }
            request.respond(Status::OKAY, data).await
        }
        Call::Function { handler: Duty::Measure, mut primary } => {
            let (mut sum, mut piece) = (0_u32, [0; 50]);
            loop {
                match primary.read(&mut piece).await? {
                    0 => break,
                    read => sum += read as u32,
                }
            }
            assert_eq!(sum, primary.len());
            primary.reply(&sum.to_be_bytes()).await
        }
        Call::Function { handler, primary } => {
            let Some(text) = primary.text() else { return Ok(()) };
            seen.borrow_mut().push(text.to_vec());
            match handler {
                Duty::Fail => Ok(()),
                _ => primary.reply(text).await,
            }
        }
    }
}
