//! Establishing communication, as GEM does it: the host begins. What is said is what the core's state machine makes of it.

use super::end::End;
use super::texts;
use hsms_std::core::secs2::Writer;
use hsms_std::core::secs2::messages::Identity;
use hsms_std::core::services::{
    Communication, CommunicationMessage, CommunicationSettings, CommunicationState, CommunicationVerdict,
};
use hsms_std::core::time::Instant;
use hsms_std::core::wire::Hex;
use hsms_std::{Incoming, StreamFunction};

/// What the equipment says about itself.
const EQUIPMENT: Identity<'static> = Identity::Equipment { mdln: "DEMO", softrev: "1.0" };

/// Nothing is tried again here, so that the time does not matter.
const NOW: Instant = Instant::EPOCH;

/// The host's part: S1F13, whose S1F14 has to accept.
pub fn begin(host: &mut End<'_>) -> Result<(), String> {
    let mut communication = Communication::new(CommunicationSettings::new(Identity::Host));
    let message = communication.selected(NOW).ok_or("the host is to begin")?;
    let (what, text) = (message.stream_function(), text(&message)?);
    let reply = host.connection.request(what, &text).map_err(|error| format!("{what}: {error}"))?;
    if reply.body != texts::COMMUNICATING {
        return Err(format!("{what} was answered by {reply:?}: {}", Hex::bounded(reply.body, 24)));
    }
    communication.sent(reply.header.system);
    match communication.handle_reply(NOW, &reply.header, reply.body) {
        Ok(true) => established(&communication),
        other => Err(format!("S1F14 was taken as {other:?}")),
    }
}

/// The equipment's part: it answers S1F13, and then S1F1.
pub fn answer(equipment: &mut End<'_>) -> Result<(), String> {
    let settings = CommunicationSettings { begins: false, ..CommunicationSettings::new(EQUIPMENT) };
    let mut communication = Communication::new(settings);
    // The host is waited for.
    let _ = communication.selected(NOW);
    for function in [13, 1] {
        let what = StreamFunction::new(1, function);
        let (verdict, token) = equipment.wait(what, |incoming| match incoming {
            Incoming::Primary { message, token } if message.header.stream_function() == what => {
                Some((communication.handle_primary(NOW, &message.header, message.body, true), *token))
            }
            _ => None,
        })?;
        match (verdict, token) {
            (CommunicationVerdict::Reply(message), Some(token)) => equipment.reply(&token, &text(&message)?)?,
            other => return Err(format!("{what} was taken as {other:?}")),
        }
        established(&communication)?;
    }
    Ok(())
}

fn established(communication: &Communication<'_>) -> Result<(), String> {
    match communication.state() {
        CommunicationState::Communicating => Ok(()),
        state => Err(format!("communication is not established: {state}")),
    }
}

fn text(message: &CommunicationMessage<'_>) -> Result<Vec<u8>, String> {
    let mut text = Writer::new(Vec::new());
    message.write(&mut text).and_then(|()| text.finish()).map_err(|error| error.to_string())
}
