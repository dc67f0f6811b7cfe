//! Counts of what happened, kept outside the machine.
//!
//! [`Counters`] is told what goes into a [`Connection`](crate::Connection) and what comes out of it, by whoever drives it. An
//! adapter that has no use for counts leaves it out. All numbers start at zero, only grow, and stop at `u64::MAX`.
//!
//! ```
//! use hsms_core::connection::{Action, ControlFrame, Event};
//! use hsms_core::counters::Counters;
//! use hsms_core::wire::{Header, SystemBytes};
//!
//! let mut counters = Counters::new();
//! counters.record_event(&Event::TransportOpen);
//! counters.record_action(&Action::Send(ControlFrame::Control(Header::select_req(SystemBytes(1)))));
//! assert_eq!(counters.connections, 1);
//! assert_eq!(counters.sent.messages.select_req, 1);
//! assert_eq!(counters.sent.octets, 14);
//! assert_eq!(counters.sent.messages.total(), 1);
//! ```

use crate::connection::{Action, Class, CloseReason, Event, Inbound, Leniency, Notice, Stray, TransactionEnd};
use crate::wire::{Header, Kind, PREFIX_LEN, RejectReason};

/// What happened on a connection, over all its transports since the counters were made: about 700 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Counters {
    /// What came from the peer.
    pub received: Traffic,
    /// What was handed to the transport.
    pub sent: Traffic,
    /// Timers that expired.
    pub timeouts: Timeouts,
    /// Transactions of ours that ended without a reply.
    pub transactions_ended: TransactionEnds,
    /// Reject.req received, by reason.
    pub rejects_received: Rejects,
    /// Reject.req sent, by reason.
    pub rejects_sent: Rejects,
    /// Deviations of the peer that were accepted, by kind.
    pub leniencies: Leniencies,
    /// Data messages received that were for nobody, by kind.
    pub strays: Strays,
    /// Messages received that were longer than accepted.
    pub too_long: u64,
    /// Transports asked for: dials, or waits for a caller. Between two dials lies T5, at the least.
    pub attempts: u64,
    /// Of these, the ones that failed.
    pub failed_attempts: u64,
    /// Transports opened.
    pub connections: u64,
    /// Of these, all but the first.
    pub reconnects: u64,
    /// How often SELECTED was entered.
    pub selections: u64,
    /// Transports closed, by reason.
    pub closes: Closes,
}

/// Messages and octets in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Traffic {
    /// Messages by type; a received one counts as soon as its header is there, a sent one when it is begun.
    pub messages: Messages,
    /// Octets, length fields and headers included. Of received ones those count that belong to a message whose header is
    /// there, up to the message that ended a connection.
    pub octets: u64,
}

/// Makes a struct of counts.
macro_rules! counts {
    ( $(#[$outer:meta])* $name:ident { $( $(#[$inner:meta])* $field:ident, )* } ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub struct $name { $( $(#[$inner])* pub $field: u64, )* }

        impl $name {
            const ZERO: $name = $name { $( $field: 0, )* };

            /// Every count with the name of its field, in the order of the fields.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [ $( (stringify!($field), self.$field), )* ].into_iter()
            }

            fn each_mut(&mut self, each: &mut impl FnMut(&mut u64)) {
                $( each(&mut self.$field); )*
            }

            /// The sum of all counts.
            #[must_use]
            pub const fn total(&self) -> u64 {
                0_u64 $( .saturating_add(self.$field) )*
            }
        }
    };
}

counts! {
    /// Messages by type.
    Messages {
        /// Data with an odd function.
        primary,
        /// Data with an even function, other than 0.
        reply,
        /// Data with function 0, which aborts a transaction.
        abort,
        /// Select.req.
        select_req,
        /// Select.rsp.
        select_rsp,
        /// Deselect.req.
        deselect_req,
        /// Deselect.rsp.
        deselect_rsp,
        /// Linktest.req.
        linktest_req,
        /// Linktest.rsp.
        linktest_rsp,
        /// Reject.req.
        reject_req,
        /// Separate.req.
        separate_req,
        /// A PType or SType that E37 does not define.
        unknown,
    }
}

counts! {
    /// Timers that expired. T5 is no failure but a pause; [`Counters::attempts`] tells how often it was kept.
    Timeouts {
        /// T3: no reply to a primary.
        t3,
        /// T6: no response to a control request. Missed linktests below the threshold count too.
        t6,
        /// T7: not selected in time.
        t7,
        /// T8: a message stopped in the middle.
        t8,
    }
}

counts! {
    /// Transactions of ours that ended without a reply, by [`TransactionEnd`].
    TransactionEnds {
        /// No reply within T3.
        t3,
        /// The peer rejected the primary.
        rejected,
        /// The reply was longer than accepted.
        reply_too_long,
        /// The session ended first. Linktests are among these.
        session_ended,
    }
}

counts! {
    /// Reject.req by reason.
    Rejects {
        /// Reason 1.
        stype_not_supported,
        /// Reason 2.
        ptype_not_supported,
        /// Reason 3.
        transaction_not_open,
        /// Reason 4.
        entity_not_selected,
        /// Any other reason.
        other,
    }
}

counts! {
    /// Deviations accepted, by [`Leniency`].
    Leniencies {
        /// Select.req with another session id than 0xFFFF.
        select_session,
        /// Select.req from the passive side.
        simultaneous_select,
        /// Deselect.req while SELECTED.
        deselect,
        /// Deselect.req while NOT SELECTED.
        deselect_not_selected,
        /// Linktest.req while NOT SELECTED.
        linktest_not_selected,
        /// A control message with text.
        control_text,
        /// A Reject.req with text.
        reject_text,
        /// Bit 15 set in the session id of data.
        direction_bit,
        /// A linktest of ours kept open beyond T6 while a long message arrived.
        linktest_extended,
    }
}

counts! {
    /// Data messages for nobody, by [`Stray`].
    Strays {
        /// Replies to transactions that have ended.
        late,
        /// Replies to nothing that was sent.
        orphan,
        /// Replies whose session id, stream or function are not those of the primary with their system bytes.
        mismatched,
        /// Messages for a device id that is not served.
        unknown_device,
    }
}

counts! {
    /// Transports closed, by [`CloseReason`].
    Closes {
        /// The application disabled the connection.
        disabled,
        /// The application separated.
        separated,
        /// The application gave up a message in the middle.
        body_aborted,
        /// Too many answers waited for a text to end.
        output_stalled,
        /// The transport ended by itself.
        transport_closed,
        /// The peer separated.
        separate_received,
        /// T6.
        t6,
        /// T7.
        t7,
        /// T8.
        t8,
        /// The peer refused to be selected.
        select_refused,
        /// The peer rejected Select.req.
        select_rejected,
        /// Another connection was being served.
        caller_refused,
        /// The peer deselected.
        deselect_answered,
        /// A length field below 10.
        length_too_short,
        /// A length field above what is accepted.
        length_too_long,
        /// The peer seems to speak SECS-I.
        looks_like_secs_i,
        /// A message that had no place in its state.
        unexpected_message,
        /// Data while NOT SELECTED.
        data_not_selected,
        /// A control message with text.
        control_text,
        /// A PType other than 0.
        unknown_ptype,
        /// An SType that E37 does not define.
        unknown_stype,
    }
}

impl Counters {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Counters {
            received: Traffic { messages: Messages::ZERO, octets: 0 },
            sent: Traffic { messages: Messages::ZERO, octets: 0 },
            timeouts: Timeouts::ZERO,
            transactions_ended: TransactionEnds::ZERO,
            rejects_received: Rejects::ZERO,
            rejects_sent: Rejects::ZERO,
            leniencies: Leniencies::ZERO,
            strays: Strays::ZERO,
            too_long: 0,
            attempts: 0,
            failed_attempts: 0,
            connections: 0,
            reconnects: 0,
            selections: 0,
            closes: Closes::ZERO,
        }
    }

    /// Shows every count to `each`, in an order that stays: for whoever keeps counts in a form of his own.
    pub fn each_mut(&mut self, mut each: impl FnMut(&mut u64)) {
        // Those first that nearly every connection counts.
        let firsts = [
            &mut self.attempts,
            &mut self.connections,
            &mut self.selections,
            &mut self.reconnects,
            &mut self.received.octets,
            &mut self.sent.octets,
        ];
        firsts.into_iter().for_each(&mut each);
        self.received.messages.each_mut(&mut each);
        self.sent.messages.each_mut(&mut each);
        self.closes.each_mut(&mut each);
        self.timeouts.each_mut(&mut each);
        self.transactions_ended.each_mut(&mut each);
        self.rejects_received.each_mut(&mut each);
        self.rejects_sent.each_mut(&mut each);
        self.leniencies.each_mut(&mut each);
        self.strays.each_mut(&mut each);
        [&mut self.too_long, &mut self.failed_attempts].into_iter().for_each(each);
    }

    /// Counts an event that [`handle`](crate::Connection::handle) took. One that it refused did not happen.
    pub const fn record_event(&mut self, event: &Event) {
        match event {
            Event::TransportOpen => {
                if self.connections != 0 {
                    add(&mut self.reconnects);
                }
                add(&mut self.connections);
            }
            Event::TransportFailed => add(&mut self.failed_attempts),
            // The action that each of them leads to is counted.
            Event::TransportClosed | Event::Timeout => {}
        }
    }

    /// Counts an action that [`poll_action`](crate::Connection::poll_action) gave.
    pub const fn record_action(&mut self, action: &Action) {
        match action {
            Action::OpenTransport => add(&mut self.attempts),
            Action::Send(frame) => {
                let header = frame.header();
                self.record_sent(&header, frame.body_len());
                if let Ok(Kind::RejectReq { reason, .. }) = header.kind() {
                    add(self.rejects_sent.by(reason));
                }
            }
            Action::CloseTransport(reason) => {
                match reason {
                    CloseReason::T6(_) => add(&mut self.timeouts.t6),
                    CloseReason::T7 => add(&mut self.timeouts.t7),
                    CloseReason::T8 { .. } => add(&mut self.timeouts.t8),
                    _ => {}
                }
                add(self.closes.by(reason));
            }
            Action::Notify(notice) => self.record_notice(notice),
        }
    }

    /// Counts a piece that [`receive`](crate::Connection::receive) gave. A message in several pieces counts once, its
    /// octets all count.
    pub const fn record_inbound(&mut self, inbound: &Inbound<'_>) {
        let piece = &inbound.piece;
        self.received.octets = self.received.octets.saturating_add(piece.body.len() as u64);
        if !piece.first() {
            return;
        }
        self.received.message(&piece.header);
        if let Ok(Kind::RejectReq { reason, .. }) = piece.header.kind() {
            add(self.rejects_received.by(reason));
        }
        match inbound.class {
            Class::Stray(stray) => add(self.strays.by(stray)),
            Class::TooLong => add(&mut self.too_long),
            Class::Primary | Class::Reply | Class::Control | Class::Rejected(_) | Class::Fatal => {}
        }
    }

    /// Counts a message of the application, with its text of `body_len` octets: one that was begun with
    /// [`begin_primary`](crate::Connection::begin_primary), [`begin_reply`](crate::Connection::begin_reply) or
    /// [`begin_abort`](crate::Connection::begin_abort). Messages of the machine itself are counted as actions.
    pub const fn record_sent(&mut self, header: &Header, body_len: u32) {
        self.sent.message(header);
        self.sent.octets = self.sent.octets.saturating_add(body_len as u64);
    }

    const fn record_notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Selected | Notice::SessionSelected { .. } => add(&mut self.selections),
            Notice::TransactionEnded { end, .. } => {
                if let TransactionEnd::T3 = end {
                    add(&mut self.timeouts.t3);
                }
                add(self.transactions_ended.by(end));
            }
            Notice::LinktestMissed { .. } => add(&mut self.timeouts.t6),
            Notice::Lenient(leniency) => add(self.leniencies.by(leniency)),
            // Told by the messages that led to them.
            Notice::Deselected
            | Notice::LinktestAnswered { .. }
            | Notice::RejectReceived { .. }
            | Notice::SessionEnded { .. }
            | Notice::SessionRefused { .. }
            | Notice::SelectAsked { .. } => {}
        }
    }
}

impl Traffic {
    /// A message and its first fourteen octets.
    const fn message(&mut self, header: &Header) {
        self.octets = self.octets.saturating_add(PREFIX_LEN as u64);
        add(self.messages.by(header));
    }
}

impl Messages {
    const fn by(&mut self, header: &Header) -> &mut u64 {
        match header.kind() {
            Ok(Kind::Data { stream_function, .. }) => {
                if stream_function.is_primary() {
                    &mut self.primary
                } else if stream_function.is_abort() {
                    &mut self.abort
                } else {
                    &mut self.reply
                }
            }
            Ok(Kind::SelectReq) => &mut self.select_req,
            Ok(Kind::SelectRsp(_)) => &mut self.select_rsp,
            Ok(Kind::DeselectReq) => &mut self.deselect_req,
            Ok(Kind::DeselectRsp(_)) => &mut self.deselect_rsp,
            Ok(Kind::LinktestReq) => &mut self.linktest_req,
            Ok(Kind::LinktestRsp) => &mut self.linktest_rsp,
            Ok(Kind::RejectReq { .. }) => &mut self.reject_req,
            Ok(Kind::SeparateReq) => &mut self.separate_req,
            Err(_) => &mut self.unknown,
        }
    }
}

impl Rejects {
    const fn by(&mut self, reason: RejectReason) -> &mut u64 {
        match reason {
            RejectReason::STYPE_NOT_SUPPORTED => &mut self.stype_not_supported,
            RejectReason::PTYPE_NOT_SUPPORTED => &mut self.ptype_not_supported,
            RejectReason::TRANSACTION_NOT_OPEN => &mut self.transaction_not_open,
            RejectReason::ENTITY_NOT_SELECTED => &mut self.entity_not_selected,
            _ => &mut self.other,
        }
    }
}

impl TransactionEnds {
    const fn by(&mut self, end: &TransactionEnd) -> &mut u64 {
        match end {
            TransactionEnd::T3 => &mut self.t3,
            TransactionEnd::Rejected(_) => &mut self.rejected,
            TransactionEnd::ReplyTooLong { .. } => &mut self.reply_too_long,
            TransactionEnd::SessionEnded => &mut self.session_ended,
        }
    }
}

impl Leniencies {
    const fn by(&mut self, leniency: &Leniency) -> &mut u64 {
        match leniency {
            Leniency::SelectSession(_) => &mut self.select_session,
            Leniency::SimultaneousSelect(_) => &mut self.simultaneous_select,
            Leniency::Deselect => &mut self.deselect,
            Leniency::DeselectNotSelected => &mut self.deselect_not_selected,
            Leniency::LinktestNotSelected => &mut self.linktest_not_selected,
            Leniency::ControlText { .. } => &mut self.control_text,
            Leniency::RejectText { .. } => &mut self.reject_text,
            Leniency::DirectionBit(_) => &mut self.direction_bit,
            Leniency::LinktestExtended => &mut self.linktest_extended,
        }
    }
}

impl Strays {
    const fn by(&mut self, stray: Stray) -> &mut u64 {
        match stray {
            Stray::Late => &mut self.late,
            Stray::Orphan => &mut self.orphan,
            Stray::Mismatched => &mut self.mismatched,
            Stray::UnknownDevice => &mut self.unknown_device,
        }
    }
}

impl Closes {
    const fn by(&mut self, reason: &CloseReason) -> &mut u64 {
        match reason {
            CloseReason::Disabled => &mut self.disabled,
            CloseReason::Separated => &mut self.separated,
            CloseReason::BodyAborted => &mut self.body_aborted,
            CloseReason::OutputStalled => &mut self.output_stalled,
            CloseReason::TransportClosed => &mut self.transport_closed,
            CloseReason::SeparateReceived => &mut self.separate_received,
            CloseReason::T6(_) => &mut self.t6,
            CloseReason::T7 => &mut self.t7,
            CloseReason::T8 { .. } => &mut self.t8,
            CloseReason::SelectRefused(_) => &mut self.select_refused,
            CloseReason::SelectRejected(_) => &mut self.select_rejected,
            CloseReason::CallerRefused => &mut self.caller_refused,
            CloseReason::DeselectAnswered => &mut self.deselect_answered,
            CloseReason::LengthTooShort { .. } => &mut self.length_too_short,
            CloseReason::LengthTooLong { .. } => &mut self.length_too_long,
            CloseReason::LooksLikeSecsI => &mut self.looks_like_secs_i,
            CloseReason::UnexpectedMessage(_) => &mut self.unexpected_message,
            CloseReason::DataNotSelected => &mut self.data_not_selected,
            CloseReason::ControlText { .. } => &mut self.control_text,
            CloseReason::UnknownPType(_) => &mut self.unknown_ptype,
            CloseReason::UnknownSType(_) => &mut self.unknown_stype,
        }
    }
}

/// One more, or as many as there can be.
const fn add(count: &mut u64) {
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests;
