//! TCP echo on port 5000, and nothing else: shows that board, driver and stack work, and is what the images with HSMS are compared
//! with in size.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embassy_net::tcp::TcpSocket;
use embassy_net::{Stack, StackResources};
use hsms_firmware::executor::spawn;
use hsms_firmware::{net, run};
use static_cell::ConstStaticCell;

/// Connections at a time. A caller that finds no socket listening is refused.
const SOCKETS: usize = 4;

#[entry]
fn main() -> ! {
    run(|spawner, driver| {
        static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> = ConstStaticCell::new(StackResources::new());
        let (stack, runner) = net::new(driver, RESOURCES.take());
        spawn(spawner, net::run(runner));
        for _ in 0..SOCKETS {
            spawn(spawner, echo(stack));
        }
        defmt::info!("up");
    })
}

#[embassy_executor::task(pool_size = SOCKETS)]
async fn echo(stack: Stack<'static>) -> ! {
    let (mut received, mut sent, mut octets) = ([0; 1024], [0; 1024], [0; 512]);
    let mut socket = TcpSocket::new(stack, &mut received, &mut sent);
    loop {
        if socket.accept(5000).await.is_ok() {
            while let Ok(len @ 1..) = socket.read(&mut octets).await {
                let mut rest = octets.get(..len).unwrap_or_default();
                while !rest.is_empty() {
                    match socket.write(rest).await {
                        Ok(len) => rest = rest.get(len..).unwrap_or_default(),
                        Err(_) => break,
                    }
                }
            }
            socket.close();
            // A host that is gone has sent a reset, or sends nothing: then it is told.
            let _ = embassy_time::with_timeout(embassy_time::Duration::from_secs(5), socket.flush()).await;
        }
        socket.abort();
        let _ = socket.flush().await;
    }
}
