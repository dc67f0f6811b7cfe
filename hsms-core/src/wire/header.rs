//! The ten header octets.

use super::{
    BodyTooLong, DeselectStatus, HEADER_LEN, Kind, PREFIX_LEN, PType, RejectReason, SType, SelectStatus,
    StreamFunction, TransactionKind,
};
use core::fmt;

/// Session id, header octets 0 and 1 (E37 8.1.4.1).
///
/// In HSMS-SS a data message carries the device id here (0 to 32767) and every control message 0xFFFF (E37.1 8.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u16);

impl SessionId {
    /// 0xFFFF, the session id of control messages in HSMS-SS, and of linktests everywhere.
    pub const CONTROL: SessionId = SessionId(0xFFFF);
}

/// Prints as `0x` and four hexadecimal digits.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for SessionId {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u16:#06x}", self.0);
    }
}

/// System bytes, header octets 6 to 9: which transaction a message belongs to (E37 8.1.4.6).
///
/// Each end numbers the transactions that it starts; a response repeats the number of its request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemBytes(pub u32);

/// Prints as `0x` and eight hexadecimal digits.
impl fmt::Display for SystemBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for SystemBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for SystemBytes {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u32:#010x}", self.0);
    }
}

/// A message header, octet by octet, as it came or as it will go (E37 8.1.4). It judges nothing.
///
/// ```
/// use hsms_core::wire::{Header, Kind, SystemBytes};
///
/// let header = Header::linktest_req(SystemBytes(2));
/// assert_eq!(header.encode(), [0xff, 0xff, 0, 0, 0, 5, 0, 0, 0, 2]);
/// assert_eq!(header.kind(), Ok(Kind::LinktestReq));
/// assert_eq!(Header::decode(&header.encode()), header);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Octets 0 and 1.
    pub session: SessionId,
    /// Octet 2: W-bit and stream of data; PType or SType in a Reject.req; else 0.
    pub byte2: u8,
    /// Octet 3: function of data; status or reason in control messages; else 0.
    pub byte3: u8,
    /// Octet 4.
    pub ptype: PType,
    /// Octet 5.
    pub stype: SType,
    /// Octets 6 to 9.
    pub system: SystemBytes,
}

/// The W-bit in octet 2 of a data message.
const W_BIT: u8 = 0x80;

impl Header {
    /// Takes ten octets apart. Every ten octets are a header.
    #[must_use]
    pub const fn decode(octets: &[u8; HEADER_LEN]) -> Self {
        let [session @ .., _, _, _, _, _, _, _, _] = octets;
        let [_, _, byte2, byte3, ptype, stype, system @ ..] = octets;
        Header {
            session: SessionId(u16::from_be_bytes(*session)),
            byte2: *byte2,
            byte3: *byte3,
            ptype: PType(*ptype),
            stype: SType(*stype),
            system: SystemBytes(u32::from_be_bytes(*system)),
        }
    }

    /// The ten octets of this header.
    #[must_use]
    pub const fn encode(&self) -> [u8; HEADER_LEN] {
        let [s0, s1] = self.session.0.to_be_bytes();
        let [y0, y1, y2, y3] = self.system.0.to_be_bytes();
        [s0, s1, self.byte2, self.byte3, self.ptype.0, self.stype.0, y0, y1, y2, y3]
    }

    /// The fourteen octets in front of a text of `body_len` octets: length field and header.
    ///
    /// # Errors
    /// [`BodyTooLong`] where the length field cannot hold `body_len` + 10.
    pub const fn encode_prefix(&self, body_len: u32) -> Result<[u8; PREFIX_LEN], BodyTooLong> {
        let Some(length) = body_len.checked_add(super::MIN_LENGTH) else {
            return Err(BodyTooLong { body_len });
        };
        Ok(self.prefix_with_length(length))
    }

    /// The fourteen octets of a message without text, which every control message is.
    #[must_use]
    pub const fn encode_alone(&self) -> [u8; PREFIX_LEN] {
        self.prefix_with_length(super::MIN_LENGTH)
    }

    /// The fourteen octets with this value in the length field.
    pub(crate) const fn prefix_with_length(&self, length: u32) -> [u8; PREFIX_LEN] {
        // Stored field by field: put together octet by octet, this takes twice the instructions.
        let mut prefix = [0; PREFIX_LEN];
        let [field @ .., _, _, _, _, _, _, _, _, _, _] = &mut prefix;
        *field = length.to_be_bytes();
        let [_, _, _, _, session @ .., _, _, _, _, _, _, _, _] = &mut prefix;
        *session = self.session.0.to_be_bytes();
        let [_, _, _, _, _, _, codes @ .., _, _, _, _] = &mut prefix;
        *codes = [self.byte2, self.byte3, self.ptype.0, self.stype.0];
        let [_, _, _, _, _, _, _, _, _, _, system @ ..] = &mut prefix;
        *system = self.system.0.to_be_bytes();
        prefix
    }

    /// What this header means.
    ///
    /// # Errors
    /// The reason with which E37 7.7 wants the message refused: [`RejectReason::PTYPE_NOT_SUPPORTED`], which is looked at
    /// first, or [`RejectReason::STYPE_NOT_SUPPORTED`].
    pub const fn kind(&self) -> Result<Kind, RejectReason> {
        if self.ptype.0 != 0 {
            return Err(RejectReason::PTYPE_NOT_SUPPORTED);
        }
        Ok(match self.stype {
            SType::DATA => {
                Kind::Data { stream_function: self.stream_function(), reply_expected: self.reply_expected() }
            }
            SType::SELECT_REQ => Kind::SelectReq,
            SType::SELECT_RSP => Kind::SelectRsp(SelectStatus(self.byte3)),
            SType::DESELECT_REQ => Kind::DeselectReq,
            SType::DESELECT_RSP => Kind::DeselectRsp(DeselectStatus(self.byte3)),
            SType::LINKTEST_REQ => Kind::LinktestReq,
            SType::LINKTEST_RSP => Kind::LinktestRsp,
            SType::REJECT_REQ => Kind::RejectReq { offender: self.byte2, reason: RejectReason(self.byte3) },
            SType::SEPARATE_REQ => Kind::SeparateReq,
            _ => return Err(RejectReason::STYPE_NOT_SUPPORTED),
        })
    }

    /// The transaction that this message begins: whether its sender waits for an answer with these system bytes, and to what. `None` of
    /// answers, of data without the W-bit, of Reject.req and Separate.req, and of what has no [`kind`](Self::kind).
    #[must_use]
    pub const fn begins(&self) -> Option<TransactionKind> {
        match self.kind() {
            Ok(Kind::Data { reply_expected: true, .. }) => Some(TransactionKind::Data),
            Ok(Kind::SelectReq) => Some(TransactionKind::Select),
            Ok(Kind::DeselectReq) => Some(TransactionKind::Deselect),
            Ok(Kind::LinktestReq) => Some(TransactionKind::Linktest),
            _ => None,
        }
    }

    /// Octet 2 without the W-bit: the stream, in a data message.
    #[must_use]
    pub const fn stream(&self) -> u8 {
        self.byte2 & !W_BIT
    }

    /// Octet 3: the function, in a data message.
    #[must_use]
    pub const fn function(&self) -> u8 {
        self.byte3
    }

    /// Stream and function, in a data message.
    #[must_use]
    pub const fn stream_function(&self) -> StreamFunction {
        StreamFunction::new(self.stream(), self.byte3)
    }

    /// The W-bit, in a data message.
    #[must_use]
    pub const fn reply_expected(&self) -> bool {
        self.byte2 & W_BIT != 0
    }
}

/// One constructor for each message. Control messages carry session id 0xFFFF as HSMS-SS wants it, and responses status 0;
/// [`with_session`](Header::with_session) and [`with_status`](Header::with_status) set others.
impl Header {
    const fn control(stype: SType, system: SystemBytes) -> Self {
        Header { session: SessionId::CONTROL, byte2: 0, byte3: 0, ptype: PType::SECS_II, stype, system }
    }

    /// Select.req.
    #[must_use]
    pub const fn select_req(system: SystemBytes) -> Self {
        Header::control(SType::SELECT_REQ, system)
    }

    /// Select.rsp with status 0.
    #[must_use]
    pub const fn select_rsp(system: SystemBytes) -> Self {
        Header::control(SType::SELECT_RSP, system)
    }

    /// Deselect.req.
    #[must_use]
    pub const fn deselect_req(system: SystemBytes) -> Self {
        Header::control(SType::DESELECT_REQ, system)
    }

    /// Deselect.rsp with status 0.
    #[must_use]
    pub const fn deselect_rsp(system: SystemBytes) -> Self {
        Header::control(SType::DESELECT_RSP, system)
    }

    /// Linktest.req.
    #[must_use]
    pub const fn linktest_req(system: SystemBytes) -> Self {
        Header::control(SType::LINKTEST_REQ, system)
    }

    /// Linktest.rsp.
    #[must_use]
    pub const fn linktest_rsp(system: SystemBytes) -> Self {
        Header::control(SType::LINKTEST_RSP, system)
    }

    /// Reject.req about a message with these system bytes; `offender` is its SType, or its PType where the reason is 2.
    #[must_use]
    pub const fn reject_req(system: SystemBytes, offender: u8, reason: RejectReason) -> Self {
        let mut header = Header::control(SType::REJECT_REQ, system);
        header.byte2 = offender;
        header.byte3 = reason.0;
        header
    }

    /// Separate.req.
    #[must_use]
    pub const fn separate_req(system: SystemBytes) -> Self {
        Header::control(SType::SEPARATE_REQ, system)
    }

    /// A data message. Of `stream` the low seven bits count.
    #[must_use]
    pub const fn data(
        system: SystemBytes,
        stream_function: StreamFunction,
        reply_expected: bool,
        session: SessionId,
    ) -> Self {
        let w = if reply_expected { W_BIT } else { 0 };
        Header {
            session,
            byte2: (stream_function.stream & !W_BIT) | w,
            byte3: stream_function.function,
            ptype: PType::SECS_II,
            stype: SType::DATA,
            system,
        }
    }

    /// This header with another session id.
    #[must_use]
    pub const fn with_session(mut self, session: SessionId) -> Self {
        self.session = session;
        self
    }

    /// This header with another octet 3: the status of a Select.rsp or Deselect.rsp.
    #[must_use]
    pub const fn with_status(mut self, status: u8) -> Self {
        self.byte3 = status;
        self
    }

    /// The name that `Debug` prints: that of [`Kind`], or `Unknown`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.kind() {
            Ok(kind) => kind.name(),
            Err(_) => "Unknown",
        }
    }
}

/// All seven fields on one line, in the form that users of secsgem's logs know.
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{session_id:{}, stream:{:02}, function:{:02}, p_type:{:#04x}, s_type:{:#04x}, system:{}, require_response:{}}}",
            self.session,
            self.stream(),
            self.function(),
            self.ptype.0,
            self.stype.0,
            self.system,
            u8::from(self.reply_expected()),
        )
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{self}", self.name())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Header {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "{=str}{{session_id:{}, stream:{=u8:02}, function:{=u8:02}, p_type:{=u8:#04x}, s_type:{=u8:#04x}, system:{}, require_response:{=u8}}}",
            self.name(),
            self.session,
            self.stream(),
            self.function(),
            self.ptype.0,
            self.stype.0,
            self.system,
            u8::from(self.reply_expected()),
        );
    }
}
