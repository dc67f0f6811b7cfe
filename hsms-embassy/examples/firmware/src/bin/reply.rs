//! A passive HSMS-SS port that replies to every primary with its own text, and nothing else: what core and adapter add to the echo image.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_net::tcp::TcpSocket;
use embassy_net::{Stack, StackResources};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use hsms_core::Config;
use hsms_core::config::DeviceId;
use hsms_embassy::net::Listen;
use hsms_embassy::{Buffers, Link};
use hsms_firmware::executor::spawn;
use hsms_firmware::{console, net, run};
use static_cell::{ConstStaticCell, StaticCell};

type Port = Link<'static, NoopRawMutex>;

#[entry]
fn main() -> ! {
    run(|spawner, driver| {
        static RESOURCES: ConstStaticCell<StackResources<1>> = ConstStaticCell::new(StackResources::new());
        static BUFFERS: ConstStaticCell<Buffers<512, 512, 1024>> = ConstStaticCell::new(Buffers::new());
        static LINK: StaticCell<Port> = StaticCell::new();
        const DEVICE: DeviceId = DeviceId::new(0).unwrap();
        let Ok(link) = Link::new(Config::equipment(DEVICE), BUFFERS.take().lend()) else {
            console::fail("the storage of the link is too small");
        };
        let link: &'static Port = LINK.init(link);
        link.enable();
        let (stack, runner) = net::new(driver, RESOURCES.take());
        spawn(spawner, net::run(runner));
        spawn(spawner, serve(stack, link));
        spawn(spawner, reply(link));
        defmt::info!("up");
    })
}

#[embassy_executor::task]
async fn serve(stack: Stack<'static>, link: &'static Port) {
    let (mut received, mut sent) = ([0; 1024], [0; 1024]);
    let Err(_) = link.run(Listen::new(TcpSocket::new(stack, &mut received, &mut sent), 5000)).await;
}

#[embassy_executor::task]
async fn reply(link: &'static Port) {
    let mut text = [0; 512];
    loop {
        if let Ok(primary) = link.receive(&mut text).await
            && let Some(token) = primary.token
        {
            // Where the host is gone the next one is served.
            let _ = link.reply(&token, primary.body).await;
        }
    }
}
