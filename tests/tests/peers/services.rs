//! Services whose other end is Python on secsgem, and secsgem's own GEM handlers.

use crate::process::{Peer, T5};
use hsms_std::services::{
    CommunicationSettings, Endpoint, EndpointNotice, Error, Event, Identity, Returned, Secret, SendError, ServiceId,
    Settings, Status, TrustFailure, TrustState,
};
use hsms_std::{Config, Connection, DeviceId, StreamFunction, SystemBytes};
use libtest_mimic::Failed;
use std::time::{Duration, Instant};

type Case = fn() -> Result<(), Failed>;

pub(crate) const CASES: [(&str, Case); 6] = [
    ("our_host_uses_services_written_in_python_with_a_secret", host_with_secret),
    ("our_host_uses_services_written_in_python_without_a_secret", host_without_secret),
    ("a_client_written_in_python_uses_our_services_with_a_secret", tool_with_secret),
    ("a_client_written_in_python_uses_our_services_without_a_secret", tool_without_secret),
    ("our_host_and_the_gem_equipment_of_secsgem_communicate", gem_host),
    ("our_equipment_and_the_gem_host_of_secsgem_communicate", gem_tool),
];

const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &[u8] = b"sixteen octets!!";
const DEVICE: DeviceId = DeviceId::new(0).unwrap();

/// Far from what the peer counts from: it takes a primary with the system bytes of a request of its own for its reply.
const OUR_SYSTEM: SystemBytes = SystemBytes(0x4000_0000);

fn hex() -> String {
    SECRET.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn timed(config: Config) -> Result<Config, Failed> {
    Ok(config.with_t5(Duration::from_secs(T5))?.with_t3(Duration::from_secs(30))?.with_t6(Duration::from_secs(20))?)
}

fn host(port: u16, settings: Settings) -> Result<Endpoint, Failed> {
    let mut link = Connection::active(("127.0.0.1", port), timed(Config::host(DEVICE))?)?;
    link.set_next_system_bytes(OUR_SYSTEM);
    Ok(Endpoint::new(link, settings)?)
}

/// Our equipment, and the port that it listens on.
fn tool(settings: Settings) -> Result<(Endpoint, u16), Failed> {
    let mut link = Connection::passive("127.0.0.1:0", timed(Config::equipment(DEVICE))?)?;
    link.set_next_system_bytes(OUR_SYSTEM);
    let port = link.local_addr().ok_or("no address")?.port();
    Ok((Endpoint::new(link, settings)?, port))
}

fn with_secret(settings: Settings) -> Result<Settings, Failed> {
    Ok(settings.with_secret(Secret::new(SECRET)?))
}

fn status(outcome: Result<hsms_std::services::Answered, Error>) -> Option<SendError> {
    outcome.err().and_then(|error| error.outcome())
}

fn use_services(host: &mut Endpoint) -> Result<(), Failed> {
    assert_eq!(host.send(ServiceId::READ, 7, &(), LIMIT)?.value::<u16>()?, 300);
    assert_eq!(host.send(ServiceId::WRITE, 7, &301_u16, LIMIT)?.data, None);
    let outcomes = [
        (status(host.send(ServiceId::WRITE, 7, "hot", LIMIT)), Status::CALLBACK_ERROR),
        (status(host.send(ServiceId::WRITE, 8, &301_u16, LIMIT)), Status::SERVICE_OR_DATA_UNKNOWN),
        (status(host.send(ServiceId::EXECUTE, 7, &(), LIMIT)), Status::BUFFERING_UNHANDLED_REQUEST),
    ];
    for (outcome, expected) in outcomes {
        assert_eq!(outcome, Some(SendError::Status(expected)));
    }
    assert_eq!(host.name(), Some("rust"));
    Ok(())
}

fn host_with_secret() -> Result<(), Failed> {
    let mut peer = Peer::services_listening("equipment", &["--secret", &hex()]);
    let mut host = host(peer.port, with_secret(Settings::new().with_name("rust"))?)?;
    use_services(&mut host)?;
    assert_eq!(host.trust_state(), Some(TrustState::Trusted));
    peer.hears("trusted");
    // Whoever comes next has to prove it again.
    assert!(host.reconnect(LIMIT)?);
    assert_eq!(host.send(ServiceId::READ, 7, &(), LIMIT)?.value::<u16>()?, 300);
    host.close()?;

    let settings = Settings::new().with_secret(Secret::new(b"another secret!!")?);
    let peer = Peer::services_listening("equipment", &["--secret", &hex()]);
    let mut wrong = self::host(peer.port, settings)?;
    let refused = TrustFailure::Refused(Status::OPERATION_NOT_PERMITTED);
    assert_eq!(status(wrong.send(ServiceId::READ, 7, &(), LIMIT)), Some(SendError::NotTrusted(refused)));
    wrong.close()?;
    let peer = Peer::services_listening("equipment", &["--secret", &hex()]);
    let mut without = self::host(peer.port, Settings::new())?;
    let required = SendError::Status(Status::AUTHENTICATION_REQUIRED);
    assert_eq!(status(without.send(ServiceId::READ, 7, &(), LIMIT)), Some(required));
    Ok(without.close()?)
}

fn host_without_secret() -> Result<(), Failed> {
    let peer = Peer::services_listening("equipment", &[]);
    let mut host = host(peer.port, Settings::new().with_name("rust"))?;
    use_services(&mut host)?;
    Ok(host.close()?)
}

/// Serves what the client says, until it says that it has all. Gives the equipment, and what it was told meanwhile.
fn serve(settings: Settings, with: &[&str], expected: &[&str]) -> Result<(Endpoint, Vec<EndpointNotice>), Failed> {
    let (mut tool, port) = tool(settings.with_name("oven"))?;
    for (request, name) in [(10, "read"), (20, "write"), (30, "execute")] {
        let service = tool.add_service(request, request + 1, name, "response")?.request();
        tool.add_data(&[service], 7, "temperature")?;
    }
    tool.on_request(Some(ServiceId::READ), Some(7), |_| Ok(Returned::value(&300_u16)?))?;
    tool.on_request(Some(ServiceId::WRITE), Some(7), |request| {
        request.value::<u16>()?;
        Ok(Returned::okay())
    })?;
    let mut peer = Peer::services_dialling("host", port, with);
    // It is selected when it has heard so.
    let end = Instant::now() + LIMIT;
    let (mut said, mut told) = (Vec::new(), Vec::new());
    while said.last().is_none_or(|line| line != "end") {
        assert!(Instant::now() < end, "{said:?}");
        if let Some(Event::Services(notice)) = tool.next(Duration::from_millis(20))? {
            told.push(notice);
        }
        while let Some(line) = peer.line() {
            if line == "selected" {
                peer.say("dialogue");
            }
            said.push(line);
        }
    }
    assert_eq!(said, expected);
    while let Some(event) = tool.next(Duration::ZERO)? {
        if let Event::Services(notice) = event {
            told.push(notice);
        }
    }
    Ok((tool, told))
}

fn tool_with_secret() -> Result<(), Failed> {
    let expected = [
        "connected",
        "selected",
        "named 0 oven",
        "untrusted 3",
        "trusted 0 True",
        "read 0 300",
        "write 0",
        "write 2",
        "write 4",
        "execute 1",
        "end",
    ];
    let (mut tool, told) = serve(with_secret(Settings::new())?, &["--secret", &hex()], &expected)?;
    assert_eq!((tool.name(), tool.refused(), tool.is_trusted()), (Some("python"), 1, true));
    let kept = tool.receive(Some(ServiceId::EXECUTE), None, Duration::ZERO)?;
    assert_eq!(kept.map(|kept| (kept.data_id, kept.data)), Some((7, None)));
    // What it asked before trust was refused, then both proved, and nothing failed.
    let trusts = |notice: &EndpointNotice| {
        matches!(notice, EndpointNotice::Refused { .. } | EndpointNotice::Trusted | EndpointNotice::TrustFailed(_))
    };
    let told: Vec<_> = told.into_iter().filter(trusts).collect();
    assert!(matches!(told[..], [EndpointNotice::Refused { .. }, EndpointNotice::Trusted]), "{told:?}");
    Ok(tool.close()?)
}

fn tool_without_secret() -> Result<(), Failed> {
    let expected = [
        "connected",
        "selected",
        "named 0 oven",
        "untrusted 0",
        "read 0 300",
        "write 0",
        "write 2",
        "write 4",
        "execute 1",
        "end",
    ];
    Ok(serve(Settings::new(), &[], &expected)?.0.close()?)
}

/// Serves the peer until it says this: its own S1F13 may still be open when ours is answered.
fn until_said(end: &mut Endpoint, peer: &mut Peer, wanted: &str) -> Result<(), Failed> {
    let limit = Instant::now() + LIMIT;
    while Instant::now() < limit {
        end.next(Duration::from_millis(20))?;
        while let Some(line) = peer.line() {
            if line == wanted {
                return Ok(());
            }
        }
    }
    Err(format!("not {wanted:?} but {:?}", peer.said()).into())
}

/// Both begin: S1F13 of one end crosses that of the other.
fn gem_host() -> Result<(), Failed> {
    let mut peer = Peer::services_listening("equipment", &["--gem"]);
    let communication = CommunicationSettings::new(Identity::Host);
    let settings = Settings::new().without_names().with_communication(communication);
    let mut host = host(peer.port, settings)?;
    assert!(host.communicate(LIMIT)?);
    until_said(&mut host, &mut peer, "communicating")?;
    let identity = host.request(StreamFunction::new(1, 1), &[], LIMIT)?;
    let expected = Identity::Equipment { mdln: "secsgem", softrev: "0.3.0" };
    assert_eq!(Identity::read(&identity), Ok(expected));
    Ok(host.close()?)
}

fn gem_tool() -> Result<(), Failed> {
    let identity = Identity::Equipment { mdln: "OVEN", softrev: "1.0" };
    let settings = Settings::new().without_names().with_communication(CommunicationSettings::new(identity));
    let (mut tool, port) = tool(settings)?;
    let mut peer = Peer::services_dialling("host", port, &["--gem"]);
    assert!(tool.communicate(LIMIT)?);
    until_said(&mut tool, &mut peer, "communicating")?;
    peer.say("are-you-there");
    until_said(&mut tool, &mut peer, "there True")?;
    Ok(tool.close()?)
}
