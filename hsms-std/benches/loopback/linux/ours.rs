//! (c): the blocking adapter at both ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hsms_std::{Config, Connection, DeviceId, Incoming, Options, StreamFunction};

use super::contender::{Case, Contender, Meter, Outcome, Serve, Wrong};

/// Room for the largest window.
pub(crate) const TRANSACTIONS: usize = 1_024;

/// An equipment that replies to every primary with its own text, and a host.
pub(crate) struct Ours {
    name: &'static str,
    options: Options,
}

impl Ours {
    /// (c): with the options as they are by default. It asks again a while before it sleeps, where that has paid of late.
    pub(crate) const DEFAULT: Self = Self { name: "(c) hsms-std", options: Options::new() };
    /// (c'): as (b') does.
    pub(crate) const SLEEPING: Self = Self { name: "(c') sleeping", options: Options::new().with_spin(0) };
}

impl Contender for Ours {
    fn name(&self) -> &'static str {
        self.name
    }

    fn listen(&self, _: &Case) -> Outcome<(SocketAddr, Serve)> {
        let address = (Ipv4Addr::LOCALHOST, 0);
        let equipment = Connection::with_options(address, Config::equipment(device()?), self.options)?;
        let address = equipment.local_addr().ok_or_else(|| Wrong("the passive end does not listen".to_owned()))?;
        Ok((address, Box::new(move || serve(equipment))))
    }

    fn run(&self, to: SocketAddr, case: &Case, meter: &mut Meter) -> Outcome<u64> {
        let mut host = Connection::<TRANSACTIONS>::open(to, Config::host(device()?), self.options)?;
        host.select(Duration::from_secs(5))?;
        let s1f1 = StreamFunction::new(1, 1);
        let text: Vec<u8> = case.payload().collect();
        let (mut sent, mut received, mut go_on) = (0, 0, true);
        while go_on || received < sent {
            while go_on && sent - received < case.window {
                meter.sending(sent + 1);
                host.post(s1f1, &text)?;
                sent += 1;
            }
            match host.next(Duration::from_secs(5))? {
                Some(Incoming::Reply { message }) => {
                    if meter.warming_up() && message.body != text {
                        return Err(Wrong(format!("reply {received} differs from what was sent")).into());
                    }
                    received += 1;
                    go_on = meter.received(received)?;
                }
                Some(Incoming::Connected | Incoming::Selected) => {}
                other => return Err(Wrong(format!("not a reply: {other:?}")).into()),
            }
        }
        host.close()?;
        Ok(received)
    }
}

fn serve(mut equipment: Connection) -> Outcome<u64> {
    let mut answered = 0;
    let mut text = Vec::new();
    loop {
        let token = match equipment.next(Duration::MAX)? {
            Some(Incoming::Primary { token: Some(token), .. }) => token,
            Some(Incoming::Closed { .. }) => return Ok(answered),
            Some(Incoming::Connected | Incoming::Selected) => continue,
            other => return Err(Wrong(format!("not a request: {other:?}")).into()),
        };
        equipment.take_body(&mut text);
        equipment.reply(&token, &text)?;
        answered += 1;
    }
}

pub(crate) fn device() -> Outcome<DeviceId> {
    DeviceId::new(0).ok_or_else(|| Wrong("0 is no device id".to_owned()).into())
}
