//! `hsms_core::services`.

use crate::entries;
use core::hint::black_box as keep;
use hsms_core::config::ConnectMode;
use hsms_core::connection::{ReplyToken, State, TransactionEnd};
use hsms_core::secs2::messages::{Identity, SystemError};
use hsms_core::secs2::{Slice, Writer};
use hsms_core::services::{
    Answer, BeforeTrust, ChannelName, Communication, CommunicationMessage, CommunicationSettings, CommunicationState,
    Complaint, DescribedNotice, Endpoint, EndpointNotice, EndpointSettings, FunctionInbox, FunctionTable, Inbox,
    InboxFull, Kept, Outgoing, OwnMessage, Pair, Secret, SendError, ServiceId, ServiceInbox, ServiceMessage,
    ServiceTable, Services, Status, Table, Ticket, Trust, TrustMessage, TrustSettings, TrustState, Unhandled,
    UnhandledPolicy, Wanted,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SessionId, StreamFunction, SystemBytes};

type Known = Services<'static, 8>;
type Channel = ChannelName<32>;
type Challenge = [u8; 32];
type Box = ServiceInbox<4, 256>;

/// What is registered for messages.
type Handler = u32;
type Whole = Endpoint<'static, Handler, 4, 8, 16, 4, 256>;

entries! {
    service_id_new(id: u8) ServiceId::new(id);
    service_id_from_function(function: u8) ServiceId::from_function(function);
    service_id_get(it: ServiceId) ServiceId::get(it);
    service_id_function(it: ServiceId) ServiceId::function(it);
    service_id_is_request(it: ServiceId) ServiceId::is_request(it);
    service_id_request(it: ServiceId) ServiceId::request(it);
    service_id_response(it: ServiceId) ServiceId::response(it);
    pair_new(request: u8, response: u8) Pair::new(request, response);
    pair_request(it: &Pair) Pair::request(it);
    pair_response(it: &Pair) Pair::response(it);
    status_name(it: Status) Status::name(it);
    message_new(service: ServiceId, id: u32, status: Status, data: &[u8]) {
        keep(ServiceMessage::new(service, id, status, Some(data)));
    };
    message_service_id(it: &ServiceMessage<'_>) ServiceMessage::service_id(it);
    message_data_id(it: &ServiceMessage<'_>) ServiceMessage::data_id(it);
    message_status(it: &ServiceMessage<'_>) ServiceMessage::status(it);
    message_data(it: &ServiceMessage<'_>) keep(ServiceMessage::data(it)).is_some();
    message_write(it: &ServiceMessage<'_>, text: &mut Writer<Slice<'_>, 8>) ServiceMessage::write(it, text);
    message_read(service: ServiceId, text: &[u8]) keep(ServiceMessage::read(service, text)).is_ok();

    services_new() { keep::<Known>(Services::new()); };
    services_add_service(it: &mut Known, request: u8, response: u8, a: &'static str, b: &'static str)
        Services::add_service(it, request, response, a, b);
    services_add_data(it: &mut Known, service: ServiceId, id: u32, name: &'static str)
        Services::add_data(it, service, id, name);
    services_service_name(it: &Known, service: ServiceId) Services::service_name(it, service);
    services_data_name(it: &Known, service: ServiceId, id: u32) Services::data_name(it, service, id);
    services_add_status(it: &mut Known, status: Status, name: &'static str) Services::add_status(it, status, name);
    services_add_stream(it: &mut Known, stream: u8, name: &'static str) Services::add_stream(it, stream, name);
    services_add_function(it: &mut Known, stream: u8, function: u8, name: &'static str)
        Services::add_function(it, stream, function, name);
    services_status_name(it: &Known, status: Status) Services::status_name(it, status);
    services_function_name(it: &Known, stream: u8, function: u8) Services::function_name(it, stream, function);
    services_describe(it: &Known, message: &ServiceMessage<'_>) { keep(Services::describe(it, message)); };
    services_describe_header(it: &Known, header: &Header) { keep(Services::describe_header(it, header)); };
    services_describe_message(it: &Known, stream: u8, header: &Header, text: &[u8]) {
        keep(Services::describe_message(it, stream, header, text));
    };
    services_unhandled(it: &Known, service: ServiceId, id: u32) Services::unhandled(it, service, id);

    table_new() { keep::<ServiceTable<u8, 4>>(Table::new()); };
    table_insert(a: &mut ServiceTable<u8, 4>, b: &mut FunctionTable<u8, 4>, service: Option<ServiceId>, id: Option<u32>)
        (keep(Table::insert(a, service, id, 1)).is_ok(), keep(Table::insert(b, None, None, 1)).is_ok());
    table_find(a: &ServiceTable<u8, 4>, b: &FunctionTable<u8, 4>, service: ServiceId, id: u32, stream: u8, function: u8)
        (Table::find(a, service, id).copied(), Table::find(b, stream, function).copied());
    table_unhandled(it: &FunctionTable<u8, 4>, header: &Header, policy: UnhandledPolicy) {
        keep::<Unhandled>(Table::unhandled(it, header, policy));
    };

    inbox_new() { keep::<(Box, FunctionInbox<4, 256>)>((Inbox::new(), Inbox::new())); };
    inbox_len(it: &Box) Inbox::len(it);
    inbox_is_empty(it: &Box) Inbox::is_empty(it);
    inbox_refused(it: &Box) Inbox::refused(it);
    inbox_push(it: &mut Box, id: ServiceId, data: u32, header: Header, reply: Option<ReplyToken>, text: &[u8])
        Inbox::push(it, id, data, header, reply, text);
    inbox_take(it: &mut Box, id: Option<ServiceId>, data: Option<u32>) Inbox::take(it, id, data, |kept| kept.text.len());
    inbox_receive(it: &mut Box, now: Instant, wanted: &Wanted<ServiceId, u32>)
        Inbox::receive(it, now, wanted, |kept| kept.header);
    inbox_clear(it: &mut Box) Inbox::clear(it);
    inbox_keep_request(it: &mut Box, known: &Known, id: ServiceId, header: Header, text: &[u8])
        Inbox::keep_request(it, known, id, header, text);
    inbox_keep_response(it: &mut Box, known: &Known, id: ServiceId, header: Header, text: &[u8])
        Inbox::keep_response(it, known, id, header, text);
    inbox_full_fault(it: &InboxFull) InboxFull::fault(it);
    kept_message(it: &Kept<'_, ServiceId, u32>) keep(Kept::message(it)).is_ok();

    name_new(mode: ConnectMode, name: Option<&str>) keep::<Result<Channel, _>>(ChannelName::new(mode, name)).is_ok();
    name_name(it: &Channel) keep(ChannelName::name(it)).is_some();
    name_differ(it: &Channel) ChannelName::differ(it);
    name_selected(it: &mut Channel) ChannelName::selected(it);
    name_sent(it: &mut Channel, system: SystemBytes) ChannelName::sent(it, system);
    name_lost(it: &mut Channel) ChannelName::lost(it);
    name_write(it: &Channel, status: Status, text: &mut Writer<Slice<'_>, 8>) ChannelName::write(it, status, text);
    name_handle_request(it: &mut Channel, text: &[u8]) ChannelName::handle_request(it, text);
    name_handle_response(it: &mut Channel, header: &Header, text: &[u8]) ChannelName::handle_response(it, header, text);

    communication_settings_new(identity: Identity<'_>) { keep(CommunicationSettings::new(identity)); };
    communication_message_stream_function(it: &CommunicationMessage<'_>) CommunicationMessage::stream_function(it);
    communication_message_write(it: &CommunicationMessage<'_>, text: &mut Writer<Slice<'_>, 8>)
        CommunicationMessage::write(it, text);
    communication_new(settings: CommunicationSettings<'_>) { keep(Communication::new(settings)); };
    communication_state(it: &Communication<'_>) keep::<CommunicationState>(Communication::state(it));
    communication_is_established(it: &Communication<'_>) Communication::is_established(it);
    communication_next_deadline(it: &Communication<'_>) Communication::next_deadline(it);
    communication_selected(it: &mut Communication<'_>, now: Instant) keep(Communication::selected(it, now)).is_some();
    communication_lost(it: &mut Communication<'_>) Communication::lost(it);
    communication_sent(it: &mut Communication<'_>, system: SystemBytes) Communication::sent(it, system);
    communication_handle_reply(it: &mut Communication<'_>, now: Instant, header: &Header, text: &[u8])
        Communication::handle_reply(it, now, header, text);
    communication_unanswered(it: &mut Communication<'_>, now: Instant, system: SystemBytes)
        Communication::unanswered(it, now, system);
    communication_handle_primary(it: &mut Communication<'_>, now: Instant, header: &Header, text: &[u8], accept: bool) {
        let _ = keep(Communication::handle_primary(it, now, header, text, accept));
    };
    communication_handle_timeout(it: &mut Communication<'_>, now: Instant)
        keep(Communication::handle_timeout(it, now)).is_some();

    secret_new(octets: &[u8]) keep(Secret::new(octets)).is_ok();
    trust_new(mode: ConnectMode, session: SessionId, settings: TrustSettings) Trust::new(mode, session, settings);
    trust_state(it: &Trust) Trust::state(it);
    trust_is_trusted(it: &Trust) Trust::is_trusted(it);
    trust_blocked_until(it: &Trust, now: Instant) Trust::blocked_until(it, now);
    trust_next_deadline(it: &Trust) Trust::next_deadline(it);
    trust_authenticate(it: &mut Trust, now: Instant, challenge: Challenge) Trust::authenticate(it, now, challenge);
    trust_selected(it: &mut Trust, now: Instant, challenge: Challenge) Trust::selected(it, now, || challenge);
    trust_sent(it: &mut Trust, system: SystemBytes) Trust::sent(it, system);
    trust_handle_response(it: &mut Trust, now: Instant, secret: &Secret, header: &Header, text: &[u8])
        Trust::handle_response(it, now, secret, header, text);
    trust_unanswered(it: &mut Trust, now: Instant, system: SystemBytes) Trust::unanswered(it, now, system);
    trust_not_sent(it: &mut Trust, now: Instant) Trust::not_sent(it, now);
    trust_handle_request(it: &mut Trust, now: Instant, secret: &Secret, challenge: Challenge, text: &[u8])
        Trust::handle_request(it, now, secret, || challenge, text);
    trust_handle_timeout(it: &mut Trust, now: Instant) Trust::handle_timeout(it, now);
    trust_lost(it: &mut Trust) Trust::lost(it);
    trust_state_number(it: TrustState) TrustState::number(it);
    trust_message_write(it: &TrustMessage, text: &mut Writer<Slice<'_>, 8>) TrustMessage::write(it, text);
    trust_message_read(text: &[u8]) TrustMessage::read(text);
    before_trust_new() { keep::<BeforeTrust<4>>(BeforeTrust::new()); };
    before_trust_allow_service(it: &mut BeforeTrust<4>, service: Option<ServiceId>, id: Option<u32>)
        BeforeTrust::allow_service(it, service, id);
    before_trust_allow_function(it: &mut BeforeTrust<4>, stream: Option<u8>, function: Option<u8>)
        BeforeTrust::allow_function(it, stream, function);
    before_trust_admits_service(it: &mut BeforeTrust<4>, trust: &Trust, service: ServiceId, id: u32)
        BeforeTrust::admits_service(it, trust, service, id);
    before_trust_admits_function(it: &mut BeforeTrust<4>, trust: &Trust, what: StreamFunction)
        BeforeTrust::admits_function(it, trust, what);
    before_trust_refused(it: &BeforeTrust<4>) BeforeTrust::refused(it);

    answer_no_room(it: &Answer) { keep(Answer::no_room(it)); };
    answer_response(it: &Answer, returned: Option<(Status, Option<&'static [u8]>)>) {
        keep(Answer::response(it, returned));
    };
    complaint_of(it: &SystemError<'_>) Complaint::of(it);
    complaint_function(it: Complaint) Complaint::function(it);
    send_error_fault(it: &SendError) SendError::fault(it);
    name_unanswered(it: &mut Channel, system: SystemBytes) ChannelName::unanswered(it, system);
    endpoint_settings_new(mode: ConnectMode, session: SessionId) { keep(EndpointSettings::new(mode, session)); };
    endpoint_new(settings: EndpointSettings<'static>) keep::<Result<Whole, _>>(Endpoint::new(settings)).is_ok();
    endpoint_with_secret(
        it: Whole, secret: Secret, settings: TrustSettings, challenge: fn() -> Challenge, before: BeforeTrust<8>,
    ) { keep(Endpoint::with_secret(it, secret, settings, challenge, before)); };
    endpoint_set_secret(
        it: &mut Whole, secret: Secret, settings: TrustSettings, challenge: fn() -> Challenge, before: BeforeTrust<8>,
    ) Endpoint::set_secret(it, secret, settings, challenge, before);
    endpoint_is_connected(it: &Whole) Endpoint::is_connected(it);
    endpoint_is_selected(it: &Whole) Endpoint::is_selected(it);
    endpoint_is_trusted(it: &Whole) Endpoint::is_trusted(it);
    endpoint_is_established(it: &Whole) Endpoint::is_established(it);
    endpoint_is_communicating(it: &Whole) Endpoint::is_communicating(it);
    endpoint_trust_state(it: &Whole) Endpoint::trust_state(it);
    endpoint_communication_state(it: &Whole) Endpoint::communication_state(it);
    endpoint_name(it: &Whole) keep(Endpoint::name(it)).is_some();
    endpoint_refused(it: &Whole) Endpoint::refused(it);
    endpoint_untold(it: &Whole) Endpoint::untold(it);
    endpoint_services(it: &Whole) { keep(Endpoint::services(it)); };
    endpoint_services_mut(it: &mut Whole) { keep(Endpoint::services_mut(it)); };
    endpoint_describe_error(it: &Whole, error: SendError) { keep(Endpoint::describe_error(it, error)); };
    endpoint_describe_notice(it: &Whole, notice: EndpointNotice) { keep(Endpoint::describe_notice(it, notice)); };
    described_notice_is_warning(it: &DescribedNotice<'_>) DescribedNotice::is_warning(it);
    endpoint_describe(it: &Whole, header: &Header, text: &[u8]) { keep(Endpoint::describe(it, header, text)); };
    endpoint_inbox(it: &Whole) { keep(Endpoint::inbox(it)); };
    endpoint_next_deadline(it: &Whole) Endpoint::next_deadline(it);
    endpoint_handle_service(it: &mut Whole, service: Option<ServiceId>, id: Option<u32>, handler: Handler)
        Endpoint::handle_service(it, service, id, handler);
    endpoint_handle_function(it: &mut Whole, stream: Option<u8>, function: Option<u8>, handler: Handler)
        Endpoint::handle_function(it, stream, function, handler);
    endpoint_accept_communication(it: &mut Whole, accepts: bool) Endpoint::accept_communication(it, accepts);
    endpoint_send(it: &mut Whole, now: Instant, service: ServiceId, id: u32, w: bool, deadline: Instant)
        Endpoint::send(it, now, service, id, w, deadline);
    endpoint_send_function(it: &mut Whole, now: Instant, what: StreamFunction, w: bool, deadline: Instant)
        Endpoint::send_function(it, now, what, w, deadline);
    endpoint_authenticate(it: &mut Whole, now: Instant, deadline: Instant) Endpoint::authenticate(it, now, deadline);
    endpoint_cancel(it: &mut Whole, ticket: Ticket) Endpoint::cancel(it, ticket);
    endpoint_take(it: &mut Whole, id: Option<ServiceId>, data: Option<u32>)
        Endpoint::take(it, id, data, |kept| kept.text.len());
    endpoint_receive(it: &mut Whole, now: Instant, wanted: &Wanted<ServiceId, u32>)
        Endpoint::receive(it, now, wanted, |kept| kept.header);
    endpoint_reconnect(it: &mut Whole) Endpoint::reconnect(it);
    endpoint_link(it: &mut Whole, now: Instant, state: State) Endpoint::link(it, now, state);
    endpoint_handle_timeout(it: &mut Whole, now: Instant) Endpoint::handle_timeout(it, now);
    endpoint_primary(it: &mut Whole, now: Instant, header: &Header, token: Option<ReplyToken>, text: &[u8]) {
        let _ = keep(Endpoint::primary(it, now, header, token, text));
    };
    endpoint_reply(it: &mut Whole, now: Instant, header: &Header, text: &[u8]) {
        let _ = keep(Endpoint::reply(it, now, header, text));
    };
    endpoint_unawaited(it: &mut Whole, header: &Header, text: &[u8]) {
        let _ = keep(Endpoint::unawaited(it, header, text));
    };
    endpoint_ended(it: &mut Whole, now: Instant, system: SystemBytes, end: TransactionEnd)
        Endpoint::ended(it, now, system, end);
    endpoint_poll_action(it: &mut Whole) keep(Endpoint::poll_action(it)).is_some();
    endpoint_write(it: &Whole, message: &OwnMessage<'_>, text: &mut Writer<Slice<'_>, 8>)
        Endpoint::write(it, message, text);
    endpoint_sent(it: &mut Whole, what: &Outgoing<'_>, system: SystemBytes) Endpoint::sent(it, what, system);
    endpoint_not_sent(it: &mut Whole, now: Instant, what: &Outgoing<'_>, error: hsms_core::Error)
        Endpoint::not_sent(it, now, what, error);
    endpoint_message(it: &Whole, header: &Header, text: &[u8]) keep(Endpoint::message(it, header, text)).is_some();
    endpoint_retry(it: &mut Whole) Endpoint::retry(it);
    endpoint_reply_dropped(it: &mut Whole, now: Instant, system: SystemBytes) Endpoint::reply_dropped(it, now, system);
}
