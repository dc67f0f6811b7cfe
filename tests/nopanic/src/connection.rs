//! `hsms_core::connection`, for HSMS-SS and HSMS-GS.

use crate::entries;
use core::hint::black_box as keep;
use hsms_core::config::{Config, DeviceId, DeviceIds};
use hsms_core::connection::{
    self, Action, Admission, CloseReason, Connection, ControlFrame, Event, FrameOctets, General, GeneralInput, Holders,
    Inbound, Input, ReplyToken, SessionEntity, Single, Stream9, TransactionEnd,
};
use hsms_core::time::Instant;
use hsms_core::wire::{Header, SelectStatus, SessionId, StreamFunction, SystemBytes};

type Ss = Connection<4, Single>;
type Gs = Connection<4, General<8>>;

entries! {
    connection_new(config: Config) keep::<Ss>(Connection::new(config));
    connection_refusing(config: Config) keep::<Ss>(Connection::refusing(config));
    connection_general(config: Config, sessions: General<8>) keep::<Gs>(Connection::general(config, sessions));
    connection_general_refusing(config: Config, sessions: General<8>) keep::<Gs>(Connection::general_refusing(config, sessions));
    connection_select(it: &mut Ss, now: Instant) Connection::select(it, now);
    connection_selected_sessions(it: &Gs) Connection::selected_sessions(it).for_each(|id| { keep(id); });
    connection_is_selected(it: &Gs, session: SessionId) Connection::is_selected(it, session);
    connection_is_single(it: &Gs) Connection::is_single(it);
    connection_select_session(it: &mut Gs, now: Instant, session: SessionId) Connection::select_session(it, now, session);
    connection_deselect_session(it: &mut Gs, now: Instant, session: SessionId) Connection::deselect_session(it, now, session);
    connection_separate_session(it: &mut Gs, now: Instant, session: SessionId) Connection::separate_session(it, now, session);
    connection_answer_select(it: &mut Gs, now: Instant, session: SessionId, status: SelectStatus)
        Connection::answer_select(it, now, session, status);
    connection_set_admission(it: &mut Gs, session: SessionId, admission: Admission) Connection::set_admission(it, session, admission);
    connection_set_busy(it: &mut Gs, session: SessionId, busy: bool) Connection::set_busy(it, session, busy);
    apply_single(it: &mut Ss, now: Instant, input: Input<'_>) keep(connection::apply(it, now, input));
    apply_general(it: &mut Gs, now: Instant, input: GeneralInput<'_>) keep(connection::apply_general(it, now, input));

    action_transaction_end_fault(it: &TransactionEnd) TransactionEnd::fault(it);
    action_close_reason_fault(it: &CloseReason) CloseReason::fault(it);
    control_frame_header(it: &ControlFrame) ControlFrame::header(it);
    control_frame_body_len(it: &ControlFrame) ControlFrame::body_len(it);
    control_frame_len(it: &ControlFrame) ControlFrame::len(it);
    control_frame_is_empty(it: &ControlFrame) ControlFrame::is_empty(it);
    control_frame_encode(it: &ControlFrame) ControlFrame::encode(it);
    frame_octets_as_ref(it: &FrameOctets) { keep(FrameOctets::as_ref(it)); };
    frame_octets_deref(it: &FrameOctets) { keep(<FrameOctets as core::ops::Deref>::deref(it)); };
    stream9_function(it: Stream9) Stream9::function(it);
    session_entity_offered(session: SessionId) SessionEntity::offered(session);
    session_entity_wanted(session: SessionId) SessionEntity::wanted(session);
    session_entity_with_admission(it: SessionEntity, admission: Admission) SessionEntity::with_admission(it, admission);
    general_new(entities: &[SessionEntity]) keep(General::<8>::new(entities)).is_ok();
    general_entities(it: &General<8>) General::entities(it).count();
    general_or_single(it: General<8>) General::or_single(it);
    general_default() keep::<General<8>>(General::default());
    inbound_header(it: &Inbound<'_>) { keep(Inbound::header(it)); };
    inbound_body(it: &Inbound<'_>) { keep(Inbound::body(it)); };
    inbound_first(it: &Inbound<'_>) Inbound::first(it);
    inbound_last(it: &Inbound<'_>) Inbound::last(it);
    inbound_is_for_application(it: &Inbound<'_>) Inbound::is_for_application(it);
    inbound_is_reply(it: &Inbound<'_>) Inbound::is_reply(it);
    inbound_is_abort(it: &Inbound<'_>) Inbound::is_abort(it);
    inbound_is_unawaited(it: &Inbound<'_>) Inbound::is_unawaited(it);
    inbound_is_dealt_with(it: &Inbound<'_>) Inbound::is_dealt_with(it);
    inbound_reply_token(it: &Inbound<'_>) Inbound::reply_token(it);
    reply_token_session(it: &ReplyToken) ReplyToken::session(it);
    reply_token_system(it: &ReplyToken) ReplyToken::system(it);
    reply_token_primary(it: &ReplyToken) ReplyToken::primary(it);
    holders_new() keep::<Holders<u8, 8>>(Holders::new());
    holders_take(it: &mut Holders<u8, 8>, session: SessionId, holder: u8) Holders::take(it, session, holder);
    holders_holder(it: &Holders<u8, 8>, session: SessionId) Holders::holder(it, session);
    holders_release(it: &mut Holders<u8, 8>, session: SessionId, holder: u8) Holders::release(it, session, holder);
    holders_release_all(it: &mut Holders<u8, 8>, holder: u8) Holders::release_all(it, holder);
}

/// What both kinds of connection have.
macro_rules! both {
    ($module:ident, $connection:ty) => {
        mod $module {
            use super::*;

            type It = $connection;

            entries! {
                state(it: &It) Connection::state(it);
                config(it: &It) *Connection::config(it);
                is_enabled(it: &It) Connection::is_enabled(it);
                body_left(it: &It) Connection::body_left(it);
                prefix_left(it: &It) Connection::prefix_left(it);
                is_body_open(it: &It) Connection::is_body_open(it);
                first_mode(it: &It) Connection::first_mode(it);
                resized(it: &It) keep(Connection::resized::<4>(it)).is_some();
                sole_session(it: &It) Connection::sole_session(it);
                open_transactions(it: &It) Connection::open_transactions(it);
                is_open(it: &It, system: SystemBytes) Connection::is_open(it, system);
                next_system_bytes(it: &It) Connection::next_system_bytes(it);
                handle(it: &mut It, now: Instant, event: Event) Connection::handle(it, now, event);
                receive(it: &mut It, now: Instant, input: &[u8]) keep(Connection::receive(it, now, input)).is_ok();
                enable(it: &mut It, now: Instant) Connection::enable(it, now);
                disable(it: &mut It, now: Instant) Connection::disable(it, now);
                separate(it: &mut It, now: Instant) Connection::separate(it, now);
                linktest(it: &mut It, now: Instant) Connection::linktest(it, now);
                begin_primary(it: &mut It, now: Instant, device: DeviceId, what: StreamFunction, w: bool, body_len: u32)
                    Connection::begin_primary(it, now, device, what, w, body_len);
                begin_primary_in(it: &mut It, now: Instant, session: SessionId, what: StreamFunction, w: bool, body_len: u32)
                    Connection::begin_primary_in(it, now, session, what, w, body_len);
                begin_reply(it: &mut It, now: Instant, token: &ReplyToken, body_len: u32)
                    Connection::begin_reply(it, now, token, body_len);
                begin_abort(it: &mut It, now: Instant, token: &ReplyToken) Connection::begin_abort(it, now, token);
                end_body(it: &mut It, now: Instant) Connection::end_body(it, now);
                abort_body(it: &mut It, now: Instant) Connection::abort_body(it, now);
                written(it: &mut It, now: Instant, octets: u64) Connection::written(it, now, octets);
                forget(it: &mut It, system: SystemBytes) Connection::forget(it, system);
                pause_input(it: &mut It, now: Instant) Connection::pause_input(it, now);
                resume_input(it: &mut It, now: Instant) Connection::resume_input(it, now);
                set_device_ids(it: &mut It, ids: DeviceIds) Connection::set_device_ids(it, ids);
                set_next_system_bytes(it: &mut It, system: SystemBytes) Connection::set_next_system_bytes(it, system);
                report_error(it: &mut It, now: Instant, error: Stream9, about: &Header)
                    Connection::report_error(it, now, error, about);
                poll_action(it: &mut It) keep::<Option<Action>>(Connection::poll_action(it));
                next_deadline(it: &It) Connection::next_deadline(it);
            }
        }
    };
}

both! { single, Ss }
both! { of_general, Gs }
