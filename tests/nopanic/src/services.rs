//! `hsms_core::services`.

use crate::entries;
use core::hint::black_box as keep;
use hsms_core::secs2::{Slice, Writer};
use hsms_core::services::{
    FunctionTable, Pair, ServiceId, ServiceMessage, ServiceTable, Services, Status, Table, Unhandled, UnhandledPolicy,
};
use hsms_core::wire::Header;

type Known = Services<'static, 4, 4>;

entries! {
    service_id_new(id: u8) ServiceId::new(id);
    service_id_from_function(function: u8) ServiceId::from_function(function);
    service_id_get(it: ServiceId) ServiceId::get(it);
    service_id_function(it: ServiceId) ServiceId::function(it);
    service_id_is_request(it: ServiceId) ServiceId::is_request(it);
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
    services_unhandled(it: &Known, service: ServiceId, id: u32) Services::unhandled(it, service, id);

    table_new() { keep::<ServiceTable<u8, 4>>(Table::new()); };
    table_insert(a: &mut ServiceTable<u8, 4>, b: &mut FunctionTable<u8, 4>, service: Option<ServiceId>, id: Option<u32>)
        (keep(Table::insert(a, service, id, 1)).is_ok(), keep(Table::insert(b, None, None, 1)).is_ok());
    table_find(a: &ServiceTable<u8, 4>, b: &FunctionTable<u8, 4>, service: ServiceId, id: u32, stream: u8, function: u8)
        (Table::find(a, service, id).copied(), Table::find(b, stream, function).copied());
    table_unhandled(it: &FunctionTable<u8, 4>, header: &Header, policy: UnhandledPolicy) {
        keep::<Unhandled>(Table::unhandled(it, header, policy));
    };
}
