//! Code numbers as they stand in header octets. Values that no standard names are kept.

use core::fmt;

/// Makes a newtype over one octet with the standard's names as constants.
macro_rules! codes {
    (
        $(#[$outer:meta])*
        $name:ident { $( $(#[$inner:meta])* $constant:ident = $value:literal, $text:literal; )* }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name(pub u8);

        impl $name {
            $( $(#[$inner])* pub const $constant: $name = $name($value); )*

            /// The standard's name of this value, or `None` where it has none.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($text), )*
                    _ => None,
                }
            }
        }

        impl From<u8> for $name {
            fn from(value: u8) -> Self {
                $name(value)
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> u8 {
                value.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        /// The number, followed by the standard's name where there is one.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{} ({name})", self.0),
                    None => write!(f, "{}", self.0),
                }
            }
        }
    };
}

codes! {
    /// Status of a Select.rsp, header octet 3 (E37 8.2.3; values 4 to 6: E37.2 8.4).
    ///
    /// 7 to 127 are reserved for subsidiary standards, 128 to 255 for local reasons.
    SelectStatus {
        /// The select succeeded.
        COMMUNICATION_ESTABLISHED = 0, "communication established";
        /// What was to be selected is selected already.
        COMMUNICATION_ALREADY_ACTIVE = 1, "communication already active";
        /// Not yet able to be selected.
        CONNECTION_NOT_READY = 2, "connection not ready";
        /// The one connection that can be served is taken.
        CONNECT_EXHAUST = 3, "connect exhaust";
        /// HSMS-GS: no session entity has this session id.
        NO_SUCH_ENTITY = 4, "no such entity";
        /// HSMS-GS: the session entity cannot be shared and another connection has it.
        ENTITY_IN_USE = 5, "entity in use";
        /// HSMS-GS: the session entity is selected on this connection already.
        ENTITY_SELECTED = 6, "entity selected";
    }
}

codes! {
    /// Status of a Deselect.rsp, header octet 3 (E37 8.2.5).
    ///
    /// 3 to 127 are reserved for subsidiary standards, 128 to 255 for local reasons.
    DeselectStatus {
        /// The deselect succeeded.
        COMMUNICATION_ENDED = 0, "communication ended";
        /// Nothing was selected.
        COMMUNICATION_NOT_ESTABLISHED = 1, "communication not established";
        /// The session is still in use.
        COMMUNICATION_BUSY = 2, "communication busy";
    }
}

codes! {
    /// Reason of a Reject.req, header octet 3 (E37 8.2.8). Zero is not allowed to be sent.
    ///
    /// 5 to 127 are reserved for subsidiary standards, 128 to 255 for local reasons.
    RejectReason {
        /// The SType of the message is not known to its receiver.
        STYPE_NOT_SUPPORTED = 1, "SType not supported";
        /// The PType of the message is not known to its receiver.
        PTYPE_NOT_SUPPORTED = 2, "PType not supported";
        /// A control response came without an open request.
        TRANSACTION_NOT_OPEN = 3, "transaction not open";
        /// Data came while its session was not selected.
        ENTITY_NOT_SELECTED = 4, "entity not selected";
    }
}

codes! {
    /// Session type, header octet 5: which message this is (E37 8.1.4.5).
    SType {
        /// A data message: a SECS-II primary or reply.
        DATA = 0, "data";
        /// Select.req.
        SELECT_REQ = 1, "Select.req";
        /// Select.rsp.
        SELECT_RSP = 2, "Select.rsp";
        /// Deselect.req.
        DESELECT_REQ = 3, "Deselect.req";
        /// Deselect.rsp.
        DESELECT_RSP = 4, "Deselect.rsp";
        /// Linktest.req.
        LINKTEST_REQ = 5, "Linktest.req";
        /// Linktest.rsp.
        LINKTEST_RSP = 6, "Linktest.rsp";
        /// Reject.req.
        REJECT_REQ = 7, "Reject.req";
        /// Separate.req.
        SEPARATE_REQ = 9, "Separate.req";
    }
}

codes! {
    /// Presentation type, header octet 4: how the text is encoded (E37 8.1.4.4).
    PType {
        /// SECS-II, the one that HSMS-SS knows; zero on every control message too.
        SECS_II = 0, "SECS-II";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_value_survives_and_named_values_print_their_name() {
        for value in 0..=u8::MAX {
            assert_eq!(u8::from(SelectStatus::from(value)), value);
            assert_eq!(u8::from(DeselectStatus::from(value)), value);
            assert_eq!(u8::from(RejectReason::from(value)), value);
            assert_eq!(u8::from(SType::from(value)), value);
            assert_eq!(u8::from(PType::from(value)), value);
        }
        assert_eq!(SelectStatus::CONNECT_EXHAUST.to_string(), "3 (connect exhaust)");
        assert_eq!(RejectReason(200).to_string(), "200");
        assert_eq!(SType(8).name(), None);
        assert_eq!(SType::SEPARATE_REQ, SType(9));
    }
}
