//! Two links over a pipe in memory.

use crate::kit::executor::{Task, run_with};
use crate::kit::pipe;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use hsms_embassy::hsms_core::connection::{CloseReason, State};
use hsms_embassy::{Buffers, Config, DeviceId, Link, StreamFunction};

const DEVICE: DeviceId = DeviceId::new(7).unwrap();
const S1F1: StreamFunction = StreamFunction::new(1, 1);

type Plain<'b> = Link<'b, NoopRawMutex>;

#[test]
fn a_request_is_answered() {
    let (mut ours, mut theirs) = (Buffers::<256, 256, 512>::new(), Buffers::<256, 256, 512>::new());
    let host = Plain::new(Config::host(DEVICE), ours.lend()).unwrap();
    let equipment = Plain::new(Config::equipment(DEVICE), theirs.lend()).unwrap();
    let (a, b) = pipe::pair(64);
    let tasks: Vec<Task<'_>> = vec![
        Box::pin(async {
            host.run_over(a.0, a.1).await.unwrap();
        }),
        Box::pin(async {
            equipment.run_over(b.0, b.1).await.unwrap();
        }),
        Box::pin(async {
            let mut buffer = [0; 100];
            loop {
                let primary = equipment.receive(&mut buffer).await.unwrap();
                equipment.reply(&primary.token.unwrap(), primary.body).await.unwrap();
            }
        }),
    ];
    run_with(tasks, async {
        host.enable();
        equipment.enable();
        host.reached(State::Selected).await.unwrap();
        let mut buffer = [0; 100];
        for round in 0..100_u8 {
            let text = vec![round; usize::from(round)];
            let reply = host.request(S1F1, &text, &mut buffer).await.unwrap();
            assert_eq!(reply.body, text);
        }
        host.linktest().await.unwrap();
        host.disable();
        host.reached(State::NotConnected).await.unwrap();
        equipment.reached(State::NotConnected).await.unwrap();
        assert_eq!(host.last_close(), Some(CloseReason::Disabled));
        assert_eq!(equipment.last_close(), Some(CloseReason::SeparateReceived));
    });
}
