//! The service layer as applications use it: the endpoint, which brings dispatch, the inbox, names and the procedures along. The machine
//! it is driven beside stands in a module of its own.

use hsms_core::secs2::{Slice, Writer};
use hsms_core::services::{
    Answer, Complaint, Endpoint, EndpointSettings, Kept, SendError, ServiceId, ServiceMessage, Wanted,
};
use hsms_core::time::Instant;

/// What is registered for messages: a number that the application dispatches by.
type Service = Endpoint<'static, u32, 4, 8, 16, 4, 256>;

fn take(it: &mut Service, id: Option<ServiceId>, data: Option<u32>, to: &mut [u8; 256]) -> Option<usize> {
    it.take(id, data, |kept| copy(&kept, to))
}

fn receive(it: &mut Service, now: Instant, wanted: &Wanted<ServiceId, u32>, to: &mut [u8; 256]) -> bool {
    it.receive(now, wanted, |kept| copy(&kept, to)).is_ready()
}

fn copy(kept: &Kept<'_, ServiceId, u32>, to: &mut [u8; 256]) -> usize {
    to.iter_mut().zip(kept.text).map(|(to, octet)| *to = *octet).count()
}

footprint_image::calls![
    EndpointSettings::new,
    Service::new,
    Service::is_connected,
    Service::is_selected,
    Service::is_trusted,
    Service::is_established,
    Service::is_communicating,
    Service::communication_state,
    Service::name,
    Service::refused,
    Service::untold,
    Service::services,
    Service::services_mut,
    Service::describe,
    Service::inbox,
    Service::next_deadline,
    Service::handle_service,
    Service::handle_function,
    Service::accept_communication,
    Service::send,
    Service::send_function,
    Service::cancel,
    take,
    receive,
    Service::reconnect,
    Service::link,
    Service::handle_timeout,
    Service::primary,
    Service::reply,
    Service::unawaited,
    Service::ended,
    Service::poll_action,
    Service::write::<Slice<'_>, 8>,
    Service::sent,
    Service::not_sent,
    Answer::response,
    Complaint::of,
    Complaint::function,
    SendError::fault,
    ServiceMessage::new,
    ServiceMessage::read,
    <ServiceMessage<'_>>::write::<Slice<'_>, 8>,
    Writer::<Slice<'_>, 8>::finish,
];
