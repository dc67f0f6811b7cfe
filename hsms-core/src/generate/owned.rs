//! Values that own their octets.

use super::stream;
use crate::connection::{GeneralInput, Input};
use crate::wire::{Header, Message};
use alloc::vec::Vec;
use arbitrary::{Arbitrary, Result, Unstructured};

/// Octets that values are made of: for values that lend octets from elsewhere, as [`Item`](crate::secs2::Item) and
/// [`Inbound`](crate::connection::Inbound) do. Fewer octets, and smaller ones, make simpler values.
///
/// ```
/// use hsms_core::connection::Inbound;
/// use hsms_core::generate::Seed;
///
/// let seed = Seed(vec![3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3]);
/// let inbound: Inbound<'_> = seed.make()?;
/// assert_eq!(inbound, seed.make()?);
/// # Ok::<(), arbitrary::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Seed(pub Vec<u8>);

impl Seed {
    /// The value that these octets make. The same octets make the same value.
    ///
    /// # Errors
    /// None for a type of this crate, which any octets make. For another that of its `Arbitrary`, where it refuses these octets.
    pub fn make<'a, T: Arbitrary<'a>>(&'a self) -> Result<T> {
        T::arbitrary(&mut Unstructured::new(&self.0))
    }
}

impl<'a> Arbitrary<'a> for Seed {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Seed(Vec::arbitrary(u)?))
    }
}

/// A [`Message`] with its text in memory of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OwnedMessage {
    /// The header.
    pub header: Header,
    /// The text.
    pub body: Vec<u8>,
}

impl OwnedMessage {
    /// The message.
    #[must_use]
    pub const fn as_message(&self) -> Message<'_> {
        Message::new(self.header, self.body.as_slice())
    }

    /// Its frame: length field, header and text.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        stream::encode(&self.as_message())
    }
}

impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> Self {
        OwnedMessage { header: message.header, body: message.body.to_vec() }
    }
}

impl<'a> Arbitrary<'a> for OwnedMessage {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Message::arbitrary(u)?.into())
    }
}

/// A [`GeneralInput`] with its octets in memory of its own. What can be told to any connection is in
/// [`GeneralInput::Common`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedInput {
    /// Without octets, where it is `Receive`.
    input: GeneralInput<'static>,
    octets: Vec<u8>,
}

impl OwnedInput {
    /// The input.
    #[must_use]
    pub fn as_input(&self) -> GeneralInput<'_> {
        match &self.input {
            GeneralInput::Common(Input::Receive(_)) => GeneralInput::Common(Input::Receive(&self.octets)),
            other => other.clone(),
        }
    }
}

impl From<Input<'_>> for OwnedInput {
    fn from(input: Input<'_>) -> Self {
        let octets = if let Input::Receive(octets) = input { octets.to_vec() } else { Vec::new() };
        OwnedInput { input: GeneralInput::Common(without_octets(input)), octets }
    }
}

impl From<GeneralInput<'_>> for OwnedInput {
    fn from(input: GeneralInput<'_>) -> Self {
        let input = match input {
            GeneralInput::Common(input) => return input.into(),
            GeneralInput::SelectSession(session) => GeneralInput::SelectSession(session),
            GeneralInput::DeselectSession(session) => GeneralInput::DeselectSession(session),
            GeneralInput::SeparateSession(session) => GeneralInput::SeparateSession(session),
            GeneralInput::AnswerSelect { session, status } => GeneralInput::AnswerSelect { session, status },
            GeneralInput::SetAdmission { session, admission } => GeneralInput::SetAdmission { session, admission },
            GeneralInput::SetBusy { session, busy } => GeneralInput::SetBusy { session, busy },
            GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len } => {
                GeneralInput::BeginPrimaryIn { session, stream_function, reply_expected, body_len }
            }
        };
        OwnedInput { input, octets: Vec::new() }
    }
}

fn without_octets(input: Input<'_>) -> Input<'static> {
    match input {
        Input::Handle(event) => Input::Handle(event),
        Input::Receive(_) => Input::Receive(&[]),
        Input::Enable => Input::Enable,
        Input::Disable => Input::Disable,
        Input::Separate => Input::Separate,
        Input::Select => Input::Select,
        Input::Linktest => Input::Linktest,
        Input::BeginPrimary { device, stream_function, reply_expected, body_len } => {
            Input::BeginPrimary { device, stream_function, reply_expected, body_len }
        }
        Input::BeginReply { token, body_len } => Input::BeginReply { token, body_len },
        Input::BeginAbort { token } => Input::BeginAbort { token },
        Input::EndBody => Input::EndBody,
        Input::AbortBody => Input::AbortBody,
        Input::Written { octets } => Input::Written { octets },
        Input::Forget { system } => Input::Forget { system },
        Input::PauseInput => Input::PauseInput,
        Input::ResumeInput => Input::ResumeInput,
        Input::SetDeviceIds(device_ids) => Input::SetDeviceIds(device_ids),
        Input::SetNextSystemBytes(system) => Input::SetNextSystemBytes(system),
        Input::ReportError { error, about } => Input::ReportError { error, about },
    }
}

impl<'a> Arbitrary<'a> for OwnedInput {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(GeneralInput::arbitrary(u)?.into())
    }
}
