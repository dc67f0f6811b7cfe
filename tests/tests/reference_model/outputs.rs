//! What one cause brings about.

use hsms_core::connection::{Class, CloseReason, ControlFrame, Notice};
use hsms_core::error::Error;
use hsms_core::wire::Header;

/// As the machine gives it, and as the model says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outputs {
    pub refused: Option<Error>,
    /// System bytes of a control request.
    pub requested: Option<u32>,
    /// The octets in front of a text.
    pub begun: Option<Vec<u8>>,
    pub pieces: Vec<Piece>,
    pub sent: Vec<ControlFrame>,
    pub told: Vec<Notice>,
    pub closed: Option<CloseReason>,
    pub opens: bool,
}

/// Part of a message that came.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub class: Class,
    pub header: Header,
    pub len: u32,
    pub offset: u32,
    pub octets: Vec<u8>,
    pub first: bool,
}
