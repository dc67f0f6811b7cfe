//! Services and trusted connections: two endpoints with a secret face to face, each call of both measured.

use crate::machine::{NOW, message, selected};
use crate::meter::Meter;
use core::hint::black_box;
use hsms_core::config::ConnectMode;
use hsms_core::connection::{ReplyToken, State, TransactionEnd};
use hsms_core::secs2::{Slice, Writer};
use hsms_core::services::{
    BeforeTrust, Endpoint, EndpointAction, EndpointError, EndpointSettings, Outgoing, Reaction, Secret, ServiceId,
    ServiceMessage, Status, TrustSettings,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};
use static_cell::StaticCell;

type End = Endpoint<'static, u32, 4, 8, 16, 4, 256>;

const LATER: Instant = Instant::from_millis(60_000);
const NAME: [&str; 2] = ["the host's", "the equipment's"];
const VARIABLE: u32 = 7;

fn challenge() -> [u8; 32] {
    [7; 32]
}

fn other_challenge() -> [u8; 32] {
    [9; 32]
}

/// Where an endpoint stays. It is made there when the program runs.
static HOST: Place = StaticCell::new();
static TOOL: Place = StaticCell::new();

type Place = StaticCell<Result<End, EndpointError>>;

/// Makes an endpoint where it stays, and gives it a secret there.
fn end(
    meter: &mut Meter,
    place: &'static Place,
    mode: ConnectMode,
    name: &'static str,
    challenge: fn() -> [u8; 32],
) -> Option<&'static mut End> {
    let settings = EndpointSettings { name: Some(name), ..EndpointSettings::new(mode, SessionId(0)) };
    let mut made = None;
    meter.call("Endpoint::new", || {
        made = place.init_with(|| End::new(black_box(settings))).as_mut().ok();
        made.is_some()
    });
    let end = made?;
    meter.call("Secret::new", || black_box(Secret::new(black_box(&[3; 32]))).is_ok());
    meter.call("Secret::new, of more than a block", || black_box(Secret::new(black_box(&[3; 65]))).is_ok());
    meter.call("set_secret", || {
        let Ok(secret) = Secret::new(black_box(&[3; 32])) else { return false };
        end.set_secret(secret, TrustSettings::default(), challenge, BeforeTrust::new());
        !end.is_trusted()
    });
    Some(end)
}

/// A token as a primary of the peer's brings it.
fn token() -> Option<ReplyToken> {
    selected().receive(NOW, &message(0x81, 3, 0, 9)).ok()?.1?.reply_token()
}

pub fn calls(meter: &mut Meter) {
    let host = end(meter, &HOST, ConnectMode::Active, NAME[0], challenge);
    let tool = end(meter, &TOOL, ConnectMode::Passive, NAME[1], other_challenge);
    let (Some(host), Some(tool), Some(token)) = (host, tool, token()) else { meter.fail("two endpoints and a token") };
    meter.call("services_mut().add_service", || tool.services_mut().add_service(10, 11, "read", "values").is_ok());
    meter.call("services_mut().add_data", || {
        tool.services_mut().add_data(ServiceId::READ, VARIABLE, "pressure").is_ok()
    });
    meter.call("handle_service", || tool.handle_service(Some(ServiceId::READ), Some(VARIABLE), 1).is_ok());
    meter.call("handle_function", || tool.handle_function(Some(1), Some(3), 2).is_ok());
    meter.call("link", || {
        host.link(NOW, State::Selected);
        host.is_selected()
    });
    tool.link(NOW, State::Selected);
    meter.call("send", || host.send(NOW, ServiceId::READ, VARIABLE, true, LATER).is_ok());
    // Names, two challenges, two proofs, and the request.
    let mut answered = false;
    for system in 1..20 {
        let system = SystemBytes(system);
        let mut action = None;
        meter.call("poll_action", || {
            action = host.poll_action();
            true
        });
        let Some(action) = action else { break };
        let EndpointAction::Send { what, stream_function, reply_expected } = action else { continue };
        let (mut request, mut response) = ([0; 256], [0; 256]);
        let header = Header::data(system, stream_function, reply_expected, SessionId(0));
        let len = write(meter, host, what, &mut request);
        meter.call("sent", || {
            host.sent(&what, system);
            true
        });
        let request = request.get(..len).unwrap_or_default();
        let (mut own, mut answer) = (None, None);
        meter.call("primary", || {
            match tool.primary(NOW, &header, Some(token), request) {
                Reaction::Reply { message, .. } => own = Some(message),
                Reaction::Service { answer: wanted, .. } => answer = wanted,
                _ => {}
            }
            own.is_some() || answer.is_some()
        });
        let mut text: Writer<_, 8> = Writer::new(Slice::new(&mut response));
        let _ = match (own, answer) {
            (Some(message), _) => tool.write(&message, &mut text),
            (None, Some(answer)) => answer.response(Some((Status::OKAY, Some(&[0x21, 1, 5])))).write(&mut text),
            (None, None) => Ok(()),
        };
        let filled = text.finish().map_or(0, |text| text.written().len());
        while tool.poll_action().is_some() {}
        let Some(reply) = stream_function.reply() else { meter.fail("a primary") };
        let reply = Header::data(system, reply, false, SessionId(0));
        let response = response.get(..filled).unwrap_or_default();
        meter.call("reply", || {
            answered |= matches!(host.reply(NOW, &reply, response), Reaction::Settled { outcome: Ok(_), .. });
            true
        });
    }
    meter.call("is_trusted", || answered && host.is_trusted() && tool.is_trusted());
    rest(meter, host, tool, token);
}

fn write(meter: &mut Meter, end: &End, what: Outgoing<'_>, octets: &mut [u8]) -> usize {
    let mut len = 0;
    meter.call("write", || {
        let mut text: Writer<_, 8> = Writer::new(Slice::new(octets));
        let written = match &what {
            Outgoing::Own(message) => end.write(message, &mut text),
            Outgoing::Application(_) => {
                ServiceMessage::new(ServiceId::READ, VARIABLE, Status::OKAY, None).write(&mut text)
            }
        };
        len = written.and_then(|()| text.finish()).map_or(0, |text| text.written().len());
        len > 0
    });
    len
}

/// What that conversation did not need.
fn rest(meter: &mut Meter, host: &mut End, tool: &mut End, token: ReplyToken) {
    let primary = Header::data(SystemBytes(50), StreamFunction::new(1, 3), true, SessionId(0));
    meter.call("primary, a SECS-II handler", || {
        matches!(tool.primary(NOW, &primary, Some(token), b""), Reaction::Function { .. })
    });
    let unknown = Header::data(SystemBytes(51), StreamFunction::new(1, 99), true, SessionId(0));
    meter.call("primary, no handler", || {
        let _ = tool.primary(NOW, &unknown, Some(token), b"");
        tool.poll_action().is_some()
    });
    while tool.poll_action().is_some() {}
    meter.call("describe", || {
        black_box(tool.describe(&unknown, b""));
        true
    });
    let mut ticket = None;
    meter.call("send_function", || {
        ticket = host.send_function(NOW, StreamFunction::new(1, 3), true, LATER).ok();
        ticket.is_some()
    });
    let mut what = None;
    if let Some(EndpointAction::Send { what: sends, .. }) = host.poll_action() {
        host.sent(&sends, SystemBytes(52));
        what = Some(sends);
    }
    meter.call("not_sent", || {
        if let Some(what) = &what {
            host.not_sent(NOW, what, hsms_core::Error::NotSelected);
        }
        what.is_some()
    });
    meter.call("ended", || {
        host.ended(NOW, SystemBytes(52), TransactionEnd::T3);
        true
    });
    while host.poll_action().is_some() {}
    let stray = Header::data(SystemBytes(60), StreamFunction::new(1, 4), false, SessionId(0));
    meter.call("unawaited", || {
        let _ = host.unawaited(&stray, b"");
        host.poll_action().is_some()
    });
    let _ = host.send(NOW, ServiceId::READ, VARIABLE, true, NOW);
    meter.call("handle_timeout", || {
        host.handle_timeout(LATER);
        host.poll_action().is_some()
    });
    meter.call("take", || tool.take(None, None, |kept| kept.text.len()).is_none());
    meter.call("reconnect", || {
        host.reconnect();
        true
    });
}
