//! What is tried: mostly what gets a connection on, or it would hardly ever be SELECTED.

use super::model::{Cause, DEVICE, Model, Place, SESSIONS, Setup, Text, Wish};
use hsms_core::config::{Config, DeviceId};
use hsms_core::connection::{Admission, Connection, ControlRequest, Event, General, SessionEntity, Stream9};
use hsms_core::wire::{Header, SelectStatus, SessionId, StreamFunction, SystemBytes};
use hsms_tests::generate::encode;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::Union;

/// Machines of HSMS-SS, or of HSMS-GS with whatever list of entities.
pub fn model(general: bool) -> BoxedStrategy<Model> {
    let list = (any::<General<SESSIONS>>(), prop::bool::weighted(0.8)).prop_map(|(list, offers)| {
        let mut entities = list.entities().copied().collect::<Vec<_>>();
        if let Some(first) = entities.first_mut().filter(|_| offers) {
            *first = SessionEntity::offered(first.session);
        }
        let config = Config::equipment(DeviceId::new(DEVICE).unwrap());
        (Connection::<0, _>::general(config, list).first_mode(), entities)
    });
    let single = Just((hsms_core::connection::Mode::Single, Vec::new()));
    let list = if general { list.boxed() } else { single.boxed() };
    let seldom = || prop::bool::weighted(0.1);
    (any::<[bool; 4]>(), seldom(), seldom(), prop::bool::weighted(0.2), list)
        .prop_map(move |([active, equipment, strict, eager], on_command, refusing, dawdles, (mode, entities))| {
            let (active, on_command) = (active && !refusing, on_command && !refusing);
            let entities = if refusing { Vec::new() } else { entities };
            Model::new(Setup {
                active,
                equipment,
                strict,
                on_command,
                refusing,
                eager,
                dawdles,
                general,
                mode,
                entities,
            })
        })
        .boxed()
}

pub fn cause(model: &Model) -> BoxedStrategy<Cause> {
    let connected = model.connected();
    let mut causes: Vec<(u32, BoxedStrategy<Cause>)> = vec![
        (12, onward(model)),
        (3, command(model)),
        (1, select(EVENTS.to_vec()).prop_map(Cause::Tell).boxed()),
        (4, Just(Cause::Expire).boxed()),
        (3, (0..20_000_u64).prop_map(Cause::Pass).boxed()),
    ];
    if connected {
        causes.push((2, (1..5_000_u64).prop_map(Cause::Pass).boxed()));
    }
    if !model.rest.is_empty() {
        causes.push((14, rest(model.rest.clone())));
        if model.linktest.is_some() {
            // So slow that the answer to a linktest is late, and no T8 expires.
            causes.push((6, (2_000..4_000_u64).prop_map(Cause::Pass).boxed()));
        }
    } else if connected {
        causes.push((12, cut(message(model).boxed())));
        causes.push((1, oddity()));
    } else {
        causes.push((1, cut(message(model).boxed())));
    }
    if model.text {
        causes.push((if model.setup.dawdles { 1 } else { 6 }, Just(Cause::EndText).boxed()));
        causes.push((1, Just(Cause::AbortText).boxed()));
    }
    let outstanding = model.outstanding();
    if outstanding > 0 {
        let some = (0..=outstanding).prop_map(Cause::Written);
        causes.push((8, prop_oneof![4 => Just(Cause::Written(outstanding)), 4 => some].boxed()));
    }
    match model.paused {
        Some(_) => causes.push((8, Just(Cause::Resume).boxed())),
        None if connected => causes.push((1, Just(Cause::Pause).boxed())),
        None => {}
    }
    if !model.asked.is_empty() {
        let reply = (0..model.asked.len(), prop::bool::weighted(0.15), text());
        causes.push((3, reply.prop_map(|(place, abort, text)| Cause::Reply { place, abort, text }).boxed()));
    }
    if model.setup.general {
        causes.push((8, wish(model)));
    }
    Union::new_weighted(causes).boxed()
}

const EVENTS: [Event; 4] = [Event::TransportOpen, Event::TransportFailed, Event::TransportClosed, Event::Timeout];

fn whole(header: Header) -> Cause {
    Cause::Receive { octets: encode(&header, &[]), rest: Vec::new() }
}

fn text() -> impl Strategy<Value = Text> {
    (prop_oneof![Just(0), 1..40_u32], prop::bool::weighted(0.7)).prop_map(|(len, ended)| Text { len, ended })
}

/// What gets the connection on.
fn onward(model: &Model) -> BoxedStrategy<Cause> {
    let request = || Just(whole(Header::select_req(SystemBytes(7)))).boxed();
    match (model.place, model.select) {
        (Place::Disabled, _) => Just(Cause::Enable).boxed(),
        (Place::Waiting, _) => Just(Cause::Expire).boxed(),
        (Place::Opening, _) => Just(Cause::Tell(Event::TransportOpen)).boxed(),
        (Place::NotSelected, _) if !model.rest.is_empty() => rest(model.rest.clone()),
        (Place::NotSelected, Some(select)) => {
            // The peer has asked as well, now and then.
            let answer = whole(Header::select_rsp(SystemBytes(select.system)));
            prop_oneof![3 => Just(answer), 1 => request()].boxed()
        }
        (Place::NotSelected, None) if model.general() => {
            let mut ways = answers(model);
            let sessions = model.sessions.iter().map(|session| session.entity.session);
            ways.extend(sessions.map(|session| whole(Header::select_req(SystemBytes(7)).with_session(session))));
            ways.push(whole(Header::select_req(SystemBytes(7))));
            select(ways).boxed()
        }
        (Place::NotSelected, None) if model.setup.on_command && model.setup.active => Just(Cause::Select).boxed(),
        (Place::NotSelected, None) => request(),
        (Place::Selected, _) if model.text && model.setup.dawdles => {
            // Answers that have to wait.
            prop_oneof![2 => Just(whole(Header::linktest_req(SystemBytes(8)))), 1 => Just(Cause::Linktest)].boxed()
        }
        (Place::Selected, _) if model.text => Just(Cause::EndText).boxed(),
        (Place::Selected, _) => {
            let session = select(sessions(model));
            let own =
                (session, 1..=3_u8, 0..=2_u8, any::<bool>(), text()).prop_map(|(session, stream, pair, wait, text)| {
                    Cause::Ask { session, stream, function: 2 * pair + 1, wait, text }
                });
            let answers = answers(model);
            if answers.is_empty() || !model.rest.is_empty() {
                own.boxed()
            } else {
                prop_oneof![own, select(answers)].boxed()
            }
        }
    }
}

/// Sessions that data can be of.
fn sessions(model: &Model) -> Vec<u16> {
    let selected = model.sessions.iter().filter(|session| session.selected).map(|session| session.entity.session.0);
    let devices = model.devices.iter().copied().chain(model.devices.is_empty().then_some(DEVICE));
    if model.general() { selected.collect() } else { devices.collect() }
}

/// The peer's answers to all that is open.
fn answers(model: &Model) -> Vec<Cause> {
    let replies = model.open.iter().map(|open| {
        let reply = StreamFunction::new(open.stream, open.function.wrapping_add(1));
        whole(Header::data(SystemBytes(open.system), reply, false, SessionId(open.session)))
    });
    let requests = model.requests().flat_map(|request| {
        let system = SystemBytes(request.system);
        let response = match request.kind {
            ControlRequest::Linktest => return vec![whole(Header::linktest_rsp(system))],
            ControlRequest::Deselect => Header::deselect_rsp(system),
            _ => Header::select_rsp(system),
        };
        // Done, done, or already done.
        vec![whole(response), whole(response), whole(response.with_status(1))]
    });
    replies.chain(requests).collect()
}

/// What the application does.
fn command(model: &Model) -> BoxedStrategy<Cause> {
    let systems = select(model.systems());
    // Taken ones, and the last ones of all.
    let taken = model.open.iter().map(|open| open.system).chain([model.ended]);
    let numbers: Vec<u32> = taken.chain([1_000, u32::MAX - 1]).collect();
    let devices = select(vec![vec![DEVICE], vec![DEVICE, 2], vec![2], Vec::new()]);
    let error = select(vec![Stream9::UnrecognizedStream, Stream9::UnrecognizedFunction, Stream9::IllegalData]);
    let ask = (select([sessions(model), vec![2, 0x8001, 9]].concat()), 0..=200_u8, any::<u8>(), any::<bool>(), text());
    let ask =
        ask.prop_map(|(session, stream, function, wait, text)| Cause::Ask { session, stream, function, wait, text });
    prop_oneof![
        1 => Just(Cause::Enable),
        1 => Just(Cause::Disable),
        1 => Just(Cause::Separate),
        1 => Just(Cause::Select),
        6 => Just(Cause::Linktest),
        1 => ask,
        2 => systems.prop_map(Cause::Forget),
        1 => select(numbers).prop_map(Cause::SetNext),
        1 => devices.prop_map(Cause::SetDevices),
        2 => (error, header(model)).prop_map(|(error, about)| Cause::Report(error, about.encode())),
        1 => Just(Cause::EndText),
        1 => Just(Cause::AbortText),
        1 => Just(Cause::Resume),
        1 => (0..100_u64).prop_map(Cause::Written),
    ]
    .boxed()
}

/// What the application does about a session.
fn wish(model: &Model) -> BoxedStrategy<Cause> {
    let ids: Vec<u16> = model.sessions.iter().map(|session| session.entity.session.0).collect();
    let session = select([&ids[..], &ids, &ids, &[9]].concat());
    let status = || prop_oneof![2 => Just(0), 1 => 1..7_u8];
    let refuse = status().prop_map(|status| Admission::Refuse(SelectStatus(status)));
    let admission = prop_oneof![3 => Just(Admission::Always), 2 => Just(Admission::Ask), 1 => refuse];
    let wish = prop_oneof![
        4 => Just(Wish::Select),
        2 => Just(Wish::Deselect),
        1 => Just(Wish::Separate),
        3 => status().prop_map(Wish::Answer),
        1 => admission.prop_map(Wish::Admit),
        1 => any::<bool>().prop_map(Wish::Busy),
    ];
    let any = (session, wish).prop_map(|(session, wish)| Cause::Session(session, wish));
    // What waits for an answer gets one more often.
    let asked = model.sessions.iter().filter(|session| session.asked.is_some());
    let asked: Vec<u16> = asked.map(|session| session.entity.session.0).collect();
    if asked.is_empty() {
        return any.boxed();
    }
    let answer = (select(asked), status()).prop_map(|(session, status)| Cause::Session(session, Wish::Answer(status)));
    prop_oneof![any, answer].boxed()
}

/// A header with few enough session ids and system bytes that it meets what is open.
fn header(model: &Model) -> BoxedStrategy<Header> {
    let ids: Vec<u16> = model.sessions.iter().map(|session| session.entity.session.0).collect();
    let usual = if ids.is_empty() { vec![DEVICE] } else { ids };
    let session = prop_oneof![6 => select(usual), 6 => Just(0xFFFF), 1 => Just(DEVICE | 0x8000), 1 => Just(2)];
    let stype = prop_oneof![10 => Just(0), 14 => 1..=7_u8, 2 => Just(9), 1 => select(vec![8, 10, 255])];
    let codes = (
        prop_oneof![3 => 0..=6_u8, 3 => 0x81..=0x83_u8, 1 => Just(0x89)],
        0..=8_u8,
        prop_oneof![30 => Just(0), 1 => Just(1_u8)],
    );
    let own = (session, codes, stype, select(model.systems())).prop_map(
        |(session, (second, third, ptype), stype, system)| {
            let [s0, s1] = u16::to_be_bytes(session);
            let [y0, y1, y2, y3] = u32::to_be_bytes(system);
            Header::decode(&[s0, s1, second, third, ptype, stype, y0, y1, y2, y3])
        },
    );
    prop_oneof![7 => own, 1 => any::<Header>()].boxed()
}

/// A message as octets. Its text tells where in it each octet stands.
fn message(model: &Model) -> impl Strategy<Value = Vec<u8>> + use<> {
    let len = prop_oneof![10 => Just(0), 5 => 1..=64_u32, 1 => 65..=100_u32, 1 => 101..=140_u32, 1 => 141..=200_u32];
    // What is open is answered with a text as well.
    let answers: Vec<Header> = answers(model)
        .into_iter()
        .filter_map(|cause| match cause {
            Cause::Receive { octets, .. } => Some(Header::decode(octets[4..].try_into().unwrap())),
            _ => None,
        })
        .collect();
    let mut headers = vec![(4, header(model))];
    if !answers.is_empty() {
        headers.push((1, select(answers).boxed()));
    }
    let sessions = sessions(model);
    if !sessions.is_empty() {
        let primary = (select(sessions), 1..=9_u8, 0..=4_u8, any::<bool>(), 0..9_u32);
        let primary = primary.prop_map(|(session, stream, pair, wait, system)| {
            let primary = StreamFunction::new(stream, 2 * pair + 1);
            Header::data(SystemBytes(system), primary, wait, SessionId(session))
        });
        headers.push((2, primary.boxed()));
    }
    let header = Union::new_weighted(headers);
    (header, len).prop_map(|(header, len)| encode(&header, &(0..len).map(|place| place as u8).collect::<Vec<u8>>()))
}

/// Messages as they come: whole mostly, or cut anywhere, or with another behind them.
fn cut(message: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Cause> {
    let some = (message.clone(), any::<Index>()).prop_map(|(octets, cut)| parted(octets, cut));
    let two = (message.clone(), message.clone(), any::<Index>())
        .prop_map(|(first, second, cut)| parted([first, second].concat(), cut));
    let whole = message.prop_map(|octets| Cause::Receive { octets, rest: Vec::new() });
    prop_oneof![6 => whole, 4 => some, 1 => two].boxed()
}

fn parted(octets: Vec<u8>, cut: Index) -> Cause {
    let (octets, rest) = octets.split_at(1 + cut.index(octets.len()));
    Cause::Receive { octets: octets.to_vec(), rest: rest.to_vec() }
}

/// What the peer goes on with.
fn rest(octets: Vec<u8>) -> BoxedStrategy<Cause> {
    let all = Cause::Receive { octets: octets.clone(), rest: Vec::new() };
    prop_oneof![2 => Just(all), 3 => any::<Index>().prop_map(move |cut| parted(octets.clone(), cut))].boxed()
}

/// What is no message: an impossible length, as a whole or in two parts, or SECS-I.
fn oddity() -> BoxedStrategy<Cause> {
    let short = (0..10_u8, any::<Index>()).prop_map(|(length, cut)| parted(vec![0, 0, 0, length, 1], cut));
    prop_oneof![1 => short, 1 => Just(Cause::Receive { octets: vec![5, 0, 0], rest: Vec::new() })].boxed()
}
