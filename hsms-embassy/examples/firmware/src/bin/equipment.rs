//! A piece of equipment with a passive HSMS-SS port, 5000: see [`hsms_firmware::equipment`] for what it answers, and
//! [`hsms_firmware::settings`] for what it can be told.
#![no_std]
#![no_main]

use core::cell::RefCell;
use cortex_m_rt::entry;
use embassy_futures::select::select;
use embassy_futures::yield_now;
use embassy_net::StackResources;
use embassy_net::tcp::{State, TcpReader, TcpSocket, TcpWriter};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use hsms_core::Config;
use hsms_core::connection::{Notice, Stream9};
use hsms_core::secs2::messages::SystemError;
use hsms_core::secs2::{Slice, Writer};
use hsms_embassy::services::{Call, Endpoint, Error, Primary};
use hsms_embassy::{Buffers, Error as LinkError, Link, Told};
use hsms_firmware::equipment::{self, Acknowledge, Duty, EVENT, Equipment, Handler, Recipe, Unanswered};
use hsms_firmware::executor::{self, spawn};
use hsms_firmware::settings::Settings;
use hsms_firmware::{console, net, run, stack};
use static_cell::{ConstStaticCell, StaticCell};

/// Where hosts call.
const PORT: u16 = 5000;

/// What listens there, and octets that each socket keeps in each direction: a segment of Ethernet at least.
const SOCKETS: usize = 3;
const SOCKET_BUFFER: usize = 1536;

/// How long a caller waits for the end of the connection before, and how long the end of its own may take.
const PREDECESSOR: Duration = Duration::from_millis(20);
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a caller may take from its first segment to the connection.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// The longest text of a primary that is read whole, and of a reply.
const TEXT: usize = 512;

/// Primaries that can be open in either direction, and calls that can wait at once: those of the services, a report, a notice, and one more.
const TRANSACTIONS: usize = 4;
const CALLS: usize = 8;

/// How long an event may take, from the wish to its acknowledgement. T3 is shorter where nothing else is set.
const REPORTED: Duration = Duration::from_secs(60);

type HostLink = Link<'static, NoopRawMutex, TRANSACTIONS, CALLS>;
type Services = Endpoint<'static, 'static, NoopRawMutex, Duty, TRANSACTIONS, CALLS, 1, 3, 0, 0, 0>;
type Message<'t> = Primary<'static, 'static, 'static, 't, NoopRawMutex, TRANSACTIONS, CALLS>;

/// What the tasks share.
struct Shared {
    link: &'static HostLink,
    services: Services,
    equipment: RefCell<Equipment>,
    /// The period of the reports has changed.
    period_changed: Signal<NoopRawMutex, ()>,
}

#[entry]
fn main() -> ! {
    let settings = match Settings::load() {
        Ok(settings) => settings,
        Err(why) => console::fail(why),
    };
    run(|spawner, driver| {
        static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());
        static BUFFERS: ConstStaticCell<Buffers<1024, 1024, 1024>> = ConstStaticCell::new(Buffers::new());
        static SOCKET_BUFFERS: ConstStaticCell<[[[u8; SOCKET_BUFFER]; 2]; SOCKETS]> =
            ConstStaticCell::new([[[0; SOCKET_BUFFER]; 2]; SOCKETS]);
        static LINK: StaticCell<HostLink> = StaticCell::new();
        static SHARED: StaticCell<Shared> = StaticCell::new();
        let Ok(link) = Link::new(settings.config, BUFFERS.take().lend()) else {
            console::fail("the storage of the link is too small");
        };
        let link: &'static HostLink = LINK.init(link);
        link.enable();
        let (network, runner) = net::new(driver, RESOURCES.take());
        spawn(spawner, net::run(runner));
        for (place, [received, sent]) in SOCKET_BUFFERS.take().iter_mut().enumerate() {
            spawn(spawner, serve(TcpSocket::new(network, received, sent), place, link));
        }
        if settings.mute {
            spawn(spawner, take(link));
        } else {
            let Some(core) = equipment::core(&settings.config) else {
                console::fail("the settings are not those of one device");
            };
            let shared: &'static Shared = SHARED.init(Shared {
                link,
                services: Endpoint::new(link, core),
                equipment: RefCell::new(Equipment::new(settings.report)),
                period_changed: Signal::new(),
            });
            spawn(spawner, run_services(&shared.services));
            spawn(spawner, answer(shared));
            spawn(spawner, report(shared));
            spawn(spawner, watch(shared));
        }
        if let Some(end) = settings.end {
            spawn(spawner, finish(end));
        }
        defmt::info!("up, {}", settings.config);
    })
}

/// Accepts callers with one of the sockets. The stack refuses who finds no socket listening, so there are several: for the host, for a
/// caller beyond it, and for one whose predecessor is not quite gone.
#[embassy_executor::task(pool_size = SOCKETS)]
async fn serve(mut socket: TcpSocket<'static>, place: usize, link: &'static HostLink) {
    // The link writes what belongs together at once.
    socket.set_nagle_enabled(false);
    loop {
        socket.set_timeout(Some(HANDSHAKE));
        if socket.accept(PORT).await.is_err() {
            return defmt::error!("port {} cannot be listened on", PORT);
        }
        socket.set_timeout(None);
        if socket.state() == State::Closed {
            // One that never answered.
            continue;
        }
        // The stack gives callers to its sockets in order. Of two that are there at once the first is served.
        for _ in 0..place {
            yield_now().await;
        }
        let (mut reader, mut writer) = socket.split();
        let mut served = link.run_over(&mut reader, &mut writer).await;
        if let Err(LinkError::Running) = served {
            // The end of the last connection may be on its way through the tasks.
            Timer::after(PREDECESSOR).await;
            served = link.run_over(&mut reader, &mut writer).await;
        }
        match served {
            Ok(reason) => defmt::info!("the host has gone: {}", reason),
            Err(LinkError::Running) => refuse_caller(&mut reader, &mut writer, link.config()).await,
            Err(error) => defmt::error!("the link does not run: {}", error),
        }
        socket.close();
        // Fails where the caller has reset the connection, which is closed then.
        let _ = with_timeout(FAREWELL, socket.flush()).await;
        socket.abort();
        // Its reset finds no way where the caller's machine is off the net.
        let _ = with_timeout(FAREWELL, socket.flush()).await;
    }
}

/// Tells a caller beyond the host that the place is taken.
async fn refuse_caller(reader: &mut TcpReader<'_>, writer: &mut TcpWriter<'_>, config: Config) {
    let mut buffers = Buffers::<64, 0, 64>::new();
    let link = Link::<NoopRawMutex, TRANSACTIONS, CALLS>::refusing(config, buffers.lend());
    if let Ok(link) = link {
        let reason = link.run_over(reader, writer).await;
        defmt::info!("one more caller has gone: {}", reason);
    }
}

/// Exchanges with hosts what establishes communication, refuses what has no handler, and keeps the deadlines.
#[embassy_executor::task]
async fn run_services(services: &'static Services) {
    let Err(error) = services.run().await;
    defmt::error!("the services do not run: {}", error);
}

/// Answers what hosts send.
#[embassy_executor::task]
async fn answer(shared: &'static Shared) {
    let (mut text, mut reply) = ([0; TEXT], [0; TEXT]);
    loop {
        let done = match shared.services.next(&mut text).await {
            Ok(Call::Function { handler: Duty::Recipe, primary }) => take_recipe(shared, primary, &mut reply).await,
            Ok(Call::Function { handler: Duty::Answer(handler), primary }) => {
                answer_text(shared, primary, handler, &mut reply).await
            }
            // None is registered.
            Ok(Call::Service { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        // The host is gone, or did not wait: the next one is served.
        if let Err(error) = done {
            defmt::info!("not answered: {}", error);
        }
    }
}

/// Takes what hosts send, and answers nothing.
#[embassy_executor::task]
async fn take(link: &'static HostLink) {
    while link.next().await.is_ok() {}
}

/// A text that is read whole. One that is not answered is one whose handler failed: its sender gets SxF0.
async fn answer_text(
    shared: &'static Shared,
    primary: Message<'_>,
    handler: Handler,
    reply: &mut [u8],
) -> Result<(), Error> {
    let Some(text) = primary.text() else {
        return tell(shared, SystemError::DataTooLong(*primary.header())).await;
    };
    let answered = {
        let mut equipment = shared.equipment.borrow_mut();
        equipment.uptime = Instant::now().as_millis();
        equipment.stack = stack::used();
        equipment.turns = executor::turns();
        equipment.answer(handler, text, reply)
    };
    shared.period_changed.signal(());
    match answered {
        Ok(reply) => primary.reply(reply).await,
        Err(Unanswered::Illegal(error)) => {
            defmt::info!("{} has an illegal text: {}", primary.header(), error);
            primary.refuse(Stream9::IllegalData).await
        }
        Err(Unanswered::NoRoom(_)) => Ok(()),
    }
}

/// A recipe, of which no more is kept than its checksum.
async fn take_recipe(shared: &'static Shared, mut primary: Message<'_>, octets: &mut [u8]) -> Result<(), Error> {
    let mut recipe = Recipe::new();
    loop {
        match primary.read(octets).await? {
            0 => break,
            len => recipe.push(octets.get(..len).unwrap_or_default()),
        }
    }
    let Ok((reply, acknowledge)) = recipe.finish(octets) else { return Ok(()) };
    defmt::info!("a recipe of {} octets: {}", primary.len(), acknowledge);
    if acknowledge == Acknowledge::Accepted {
        let mut equipment = shared.equipment.borrow_mut();
        equipment.recipes = equipment.recipes.wrapping_add(1);
    }
    primary.reply(reply).await
}

/// A primary of stream 9.
async fn tell(shared: &'static Shared, error: SystemError<'static>) -> Result<(), Error> {
    let mut octets = [0; 16];
    let mut text = Writer::new(Slice::new(&mut octets));
    match error.write(&mut text).and_then(|()| text.finish()) {
        Ok(text) => Ok(shared.link.send(error.stream_function(), text.written()).await?),
        // It has room for all that we send.
        Err(_) => Ok(()),
    }
}

/// Reports an event every so often, and waits for the host to acknowledge it.
#[embassy_executor::task]
async fn report(shared: &'static Shared) {
    let (mut text, mut acknowledge) = ([0; 64], [0; 16]);
    loop {
        let period = shared.equipment.borrow().period;
        let Some(period) = period else {
            shared.period_changed.wait().await;
            continue;
        };
        let mut due = Instant::now() + Duration::from_millis(period.get().into());
        // Most of what a host asks changes nothing here.
        while Instant::now() < due && shared.equipment.borrow().period == Some(period) {
            select(Timer::at(due), shared.period_changed.wait()).await;
        }
        if shared.equipment.borrow().period != Some(period) {
            continue;
        }
        if !shared.services.is_communicating() {
            // There is nobody to tell: the event is lost, as nothing here keeps it.
            continue;
        }
        due = Instant::now();
        let event = {
            let mut equipment = shared.equipment.borrow_mut();
            equipment.uptime = due.as_millis();
            equipment.event(&mut text)
        };
        let Ok(event) = event else { continue };
        match shared.services.request(EVENT, event, REPORTED, &mut acknowledge).await {
            Ok(_) => {}
            Err(error) => defmt::info!("an event was not acknowledged: {}", error),
        }
    }
}

/// Counts the hosts. What else is told the adapter has logged already.
#[embassy_executor::task]
async fn watch(shared: &'static Shared) {
    loop {
        match shared.link.told().await {
            Ok(Told::Notice(Notice::Selected)) => {
                let mut equipment = shared.equipment.borrow_mut();
                equipment.hosts = equipment.hosts.wrapping_add(1);
            }
            Ok(Told::Missed(things)) => defmt::warn!("{} things were not told: hosts may be among them", things),
            Ok(_) => {}
            Err(error) => return defmt::error!("hosts are not counted any more: {}", error),
        }
    }
}

#[embassy_executor::task]
async fn finish(after: Duration) {
    Timer::after(after).await;
    console::succeed()
}
