//! What `hsms-embassy` logs of connections with services: by the name of the connection, and by those of services, data ids, streams,
//! functions and statuses. Host and equipment are in one log, and call everything but their connection otherwise.

mod kit;
mod logger;

use embassy_futures::join::join;
use embassy_futures::select::{select, select3};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Timer};
use hsms_embassy::hsms_core::connection::State;
use hsms_embassy::services::{Call, Endpoint, EndpointSettings, Error, SendError, ServiceId, Status};
use hsms_embassy::{Buffers, Config, Link};
use kit::executor::{Task, run_with, task};
use kit::pipe::{Dial, Listen, Network};
use kit::scene::{DEVICE, S1F1, S6F11, quiet, selected};
use kit::services::{Duty, Ends, LONG, Machine, SECOND, joined, plain};
use logger::lines;

const BROKEN: Status = Status(9);

/// In front of each line of a connection that is called so.
const ETCHER: &str = "hsms: etcher: ";

/// Host and equipment with these names for their connection. The equipment has handlers of what the host names, but not of data id 8.
fn ends(names: [Option<&'static str>; 2]) -> [Machine; 2] {
    let [mut host, mut equipment] = [(Config::host(DEVICE), names[0]), (Config::equipment(DEVICE), names[1])]
        .map(|(config, name)| EndpointSettings { exchange_names: true, name, ..plain(config) })
        .map(|settings| Machine::new(settings).unwrap());
    for (core, [request, response, data, other, broken, unknown, stream, function]) in [
        (&mut host, ["read", "read response", "heat", "load", "sensor broken", "unknown", "status", "are you there"]),
        (&mut equipment, ["LIRE", "REPONSE", "CHALEUR", "CHARGE", "CAPTEUR", "INCONNU", "ETAT", "PRESENCE"]),
    ] {
        let services = core.services_mut();
        let read = services.add_service(10, 11, request, response).unwrap().request();
        services.add_data(read, 7, data).unwrap();
        services.add_data(read, 8, other).unwrap();
        services.add_status(BROKEN, broken).unwrap();
        services.add_status(Status::SERVICE_OR_DATA_UNKNOWN, unknown).unwrap();
        services.add_stream(1, stream).unwrap();
        services.add_function(1, 1, function).unwrap();
    }
    equipment.handle_service(Some(ServiceId::READ), Some(7), Duty::Echo).unwrap();
    equipment.handle_function(Some(1), None, Duty::Echo).unwrap();
    [host, equipment]
}

/// Serves one message at the equipment: a service message with this status, a primary with an empty text. With `None` the handler fails.
async fn serve_one(ends: &Ends<'_, '_, '_>, status: Option<Status>) {
    let mut text = [0; 64];
    match (ends.equipment.next(&mut text).await.unwrap(), status) {
        (call, None) => drop(call),
        (Call::Service { request, .. }, Some(status)) => request.respond(status, None).await.unwrap(),
        (Call::Function { primary, .. }, Some(_)) => primary.reply(&[]).await.unwrap(),
    }
}

/// Waits until names are exchanged and gives what was logged until then.
async fn names_exchanged(ends: &Ends<'_, '_, '_>) -> Vec<String> {
    // Whoever takes what comes at the equipment takes its name as well.
    let mut text = [0; 64];
    let serves = async { while ends.equipment.next(&mut text).await.is_ok() {} };
    select(serves, Timer::after(SECOND)).await;
    lines()
}

/// Lines about messages by their names, without what stands in front of all of them.
fn by_names(lines: &[String]) -> Vec<&str> {
    let lines = lines.iter().filter_map(|line| line.strip_prefix("debug ")?.strip_prefix(ETCHER));
    lines.filter(|line| line.starts_with("sent ") || line.starts_with("received ") && !line.contains('{')).collect()
}

/// Lines at `info` and `warn` that have this in them.
fn notable<'t>(lines: &'t [String], what: &str) -> Vec<&'t str> {
    let lines = lines.iter().filter(|line| !line.starts_with("debug ") && line.contains(what));
    lines.map(String::as_str).collect()
}

#[test]
fn messages_are_logged_by_the_names_of_streams_functions_services_data_ids_and_statuses() {
    let said = joined(200, ends([Some("etcher"), None]), async |ends| {
        let mut reply = [0; 64];
        names_exchanged(ends).await;
        for status in [Some(BROKEN), None] {
            let asks = ends.host.send(ServiceId::READ, 7, None, LONG, &mut reply);
            assert!(matches!(join(asks, serve_one(ends, status)).await.0, Err(Error::Sending(SendError::Status(_)))));
        }
        for status in [Some(Status::OKAY), None] {
            let _ = join(ends.host.request(S1F1, &[], LONG, &mut reply), serve_one(ends, status)).await;
        }
        join(ends.host.tell(ServiceId::READ, 7, None, LONG), serve_one(ends, None)).await.0.unwrap();
        lines()
    });
    assert_eq!(
        by_names(&said),
        [
            // The handler answers with a status that the application has named.
            "sent service 10 (read), data id 7 (heat), status 0 (okay)",
            "received service 10 (LIRE), data id 7 (CHALEUR), status 0 (okay)",
            "sent service 11 (REPONSE), data id 7 (CHALEUR), status 9 (CAPTEUR)",
            "received service 11 (read response), data id 7 (heat), status 9 (sensor broken)",
            // It fails.
            "sent service 10 (read), data id 7 (heat), status 0 (okay)",
            "received service 10 (LIRE), data id 7 (CHALEUR), status 0 (okay)",
            "sent service 11 (REPONSE), data id 7 (CHALEUR), status 2 (callback error)",
            "received service 11 (read response), data id 7 (heat), status 2 (callback error)",
            // A SECS-II primary is replied to, and another aborted. Of the secondaries the stream has a name.
            "sent S1F1 W (are you there)",
            "received S1F1 W (PRESENCE)",
            "sent S1F2 (ETAT)",
            "received S1F2 (status)",
            "sent S1F1 W (are you there)",
            "received S1F1 W (PRESENCE)",
            "sent S1F0 (ETAT)",
            "received S1F0 (status)",
            // Nothing answers this.
            "sent service 10 (read), data id 7 (heat), status 0 (okay)",
            "received service 10 (LIRE), data id 7 (CHALEUR), status 0 (okay)",
        ]
    );
}

#[test]
fn names_of_the_connection_that_differ_are_a_warning_at_the_passive_end_alone() {
    let said = joined(200, ends([Some("etcher"), Some("oven")]), names_exchanged);
    assert_eq!(
        notable(&said, "Named"),
        ["warn hsms: etcher: Named { differ: true }", "info hsms: etcher: Named { differ: true }"]
    );
}

#[test]
fn what_services_notice_is_logged_by_names_and_as_a_warning_where_something_is_wrong() {
    let said = joined(200, ends([Some("etcher"), None]), async |ends| {
        let mut reply = [0; 64];
        let unknown = ServiceId::new(100).unwrap();
        ends.served(async {
            for (service, data_id) in [(ServiceId::READ, 8), (unknown, 0)] {
                let _ = ends.host.send(service, data_id, None, LONG, &mut reply).await;
            }
            let _ = ends.equipment.request(S1F1, &[], LONG, &mut reply).await;
        })
        .await;
        lines()
    });
    let [kept] = notable(&said, "Kept { service")[..] else { panic!("{said:#?}") };
    assert_eq!(kept, "info hsms: etcher: Kept { service: ServiceId(10), data_id: 8 } (LIRE) (CHARGE)");
    let [not_kept] = notable(&said, "NotKept")[..] else { panic!("{said:#?}") };
    assert!(not_kept.starts_with("warn hsms: etcher: NotKept { header: "), "{not_kept}");
    assert!(not_kept.ends_with("status: 4 (\"service or data unknown\") } (INCONNU)"), "{not_kept}");
    let [unhandled] = notable(&said, "Unhandled")[..] else { panic!("{said:#?}") };
    assert!(unhandled.starts_with("warn hsms: etcher: Unhandled { header: "), "{unhandled}");
    assert!(unhandled.ends_with(" (are you there)"), "{unhandled}");
}

/// The equipment has no name of its own.
#[test]
fn every_line_of_a_connection_has_its_name_from_when_that_is_known() {
    let (first, second) = joined(200, ends([Some("etcher"), None]), async |ends| {
        let first = names_exchanged(ends).await;
        ends.host.reconnect();
        ends.host.link().reached(State::NotConnected).await.unwrap();
        ends.host.link().reached(State::Selected).await.unwrap();
        (first, names_exchanged(ends).await)
    });
    let learns = |line: &String| line.contains("received service 8 (channel name request)");
    let is_named = |line: &&String| line.contains(ETCHER);
    let learned = first.iter().position(learns).unwrap();
    // Of the active end, whose name counts, all have it but what went on before there were services.
    for line in ["TransportOpen", "Send(Control(SelectReq", "info hsms: etcher: Selected", "sent service 8"] {
        assert!(first[..learned].iter().filter(is_named).any(|named| named.contains(line)), "{line}: {first:#?}");
    }
    assert!(first[..learned].contains(&"info hsms: Selected".to_owned()), "{first:#?}");
    assert!(first[learned + 1..].iter().all(|line| is_named(&line)), "{first:#?}");

    // The link ends by its name, and the next one is another.
    let opened = second.iter().position(|line| line == "debug hsms: TransportOpen").unwrap();
    let learned = second.iter().position(learns).unwrap();
    for line in ["warn hsms: etcher: closed: Separated", "warn hsms: etcher: closed: SeparateReceived"] {
        assert!(second[..opened].contains(&line.to_owned()), "{line}: {second:#?}");
    }
    assert!(second[..opened].iter().all(|line| is_named(&line)), "{second:#?}");
    assert!(second[opened..learned].contains(&"info hsms: Selected".to_owned()), "{second:#?}");
    assert!(second[learned + 1..].iter().all(|line| is_named(&line)), "{second:#?}");
}

#[test]
fn a_message_that_nobody_took_and_a_reply_that_is_late_are_warnings_with_the_name_of_the_connection() {
    let said = joined(1_000, ends([Some("etcher"), None]), async |ends| {
        let mut reply = [0; 64];
        names_exchanged(ends).await;
        let asks = ends.host.request(S1F1, &[], SECOND, &mut reply);
        let answers = async {
            let mut text = [0; 64];
            let Ok(Call::Function { primary, .. }) = ends.equipment.next(&mut text).await else { panic!("a primary") };
            Timer::after(2 * SECOND).await;
            primary.reply(&[]).await.unwrap();
            Timer::after(SECOND).await;
        };
        assert_eq!(join(asks, answers).await.0, Err(Error::Sending(SendError::NoResponse)));
        for _ in 0..6 {
            ends.equipment.tell_primary(S6F11, &[], LONG).await.unwrap();
        }
        Timer::after(Duration::from_secs(30)).await;
        lines()
    });
    let [late] = notable(&said, ", which is ")[..] else { panic!("{said:#?}") };
    assert!(late.starts_with("warn hsms: etcher: received StreamFunction{"), "{late}");
    let dropped = notable(&said, "nobody took");
    assert!(!dropped.is_empty(), "{said:#?}");
    for line in dropped {
        assert!(line.starts_with("warn hsms: etcher: nobody took StreamFunction{"), "{line}");
    }
}

#[test]
fn the_name_is_that_of_the_services_as_long_as_there_are_any() {
    for (lives, line) in [(true, "debug hsms: etcher: OpenTransport"), (false, "debug hsms: OpenTransport")] {
        let mut buffers = Buffers::<64, 0, 52>::new();
        let link = Link::<NoopRawMutex>::new(Config::host(DEVICE), buffers.lend()).unwrap();
        let [host, _] = ends([Some("etcher"), None]);
        let services: Option<Endpoint<'_, '_, _, _>> = Some(Endpoint::new(&link, host)).filter(|_| lives);
        link.enable();
        assert_eq!(lines(), [line]);
        drop(services);
    }
}

#[test]
fn a_name_that_was_learned_is_not_for_the_next_connection_also_where_the_services_do_not_follow() {
    let (mut ours, mut theirs) = (Buffers::<64, 128, 512>::new(), Buffers::<64, 128, 512>::new());
    let host_link = Link::<NoopRawMutex>::new(quiet(Config::host(DEVICE)), ours.lend()).unwrap();
    let equipment_link = Link::<NoopRawMutex>::new(quiet(Config::equipment(DEVICE)), theirs.lend()).unwrap();
    let [host, equipment] = ends([Some("etcher"), None]);
    let host: Endpoint<'_, '_, _, _> = Endpoint::new(&host_link, host);
    let equipment: Endpoint<'_, '_, _, _> = Endpoint::new(&equipment_link, equipment);
    let network = Network::new(200);
    let tasks: Vec<Task<'_>> =
        vec![task(host_link.run(Dial(&network))), task(equipment_link.run(Listen(&network))), task(host.run())];
    let said = run_with(tasks, async {
        equipment_link.enable();
        host_link.enable();
        let mut text = [0; 64];
        let serves = async { while equipment.next(&mut text).await.is_ok() {} };
        let names = async {
            while !equipment.look(|core| core.name().is_some()) {
                Timer::after_millis(1).await;
            }
        };
        select3(equipment.run(), serves, names).await;
        lines();
        host.reconnect();
        host_link.reached(State::NotConnected).await.unwrap();
        host_link.reached(State::Selected).await.unwrap();
        // This does not look at the link.
        equipment.accept_communication(true);
        host_link.linktest().await.unwrap();
        lines()
    });
    let said: Vec<_> = said.iter().map(String::as_str).collect();
    assert!(said.contains(&"warn hsms: etcher: closed: SeparateReceived"), "{said:#?}");
    assert!(said.contains(&"info hsms: Selected"), "{said:#?}");
    let tested = "debug hsms: received LinktestReq";
    assert!(said.iter().any(|line| line.starts_with(tested)), "{said:#?}");
}

#[test]
fn a_link_without_services_logs_without_a_name() {
    selected(100, async |scene| scene.host.linktest().await.unwrap());
    let said = lines();
    assert_eq!(notable(&said, "Selected"), ["info hsms: Selected"; 2]);
    assert!(said.iter().any(|line| line.starts_with("debug hsms: received LinktestReq{")), "{said:#?}");
}

#[test]
fn errors_are_logged_by_the_names_of_their_statuses() {
    joined(100, ends([Some("etcher"), None]), async |ends| {
        let host = ends.host;
        lines();
        for error in [
            Error::Sending(SendError::Status(BROKEN)),
            Error::Sending(SendError::Status(Status::CALLBACK_ERROR)),
            Error::Sending(SendError::NoResponse),
            Error::NotOneItem,
        ] {
            defmt::info!("{}", host.describe_error(error));
        }
        let said = lines();
        assert_eq!(
            said,
            ["info Status(9) (sensor broken)", "info Status(2 (callback error))", "info NoResponse", "info NotOneItem",]
        );
    });
}
