//! The faults, one by one.

use super::{Broken, Inside};
use crate::conformance::memory::{Input, Output};
use crate::conformance::{Frame, Report};
use hsms_core::connection::CloseReason;
use hsms_core::time::Instant;
use hsms_core::wire::{Header, Message, RejectReason, SType, SelectStatus, SessionId, SystemBytes};

/// What becomes of a message that comes.
pub(super) enum Fate {
    /// The machine gets it with this header.
    Pass(Header),
    /// Nobody gets it.
    Drop,
    /// The flaw gets it, once it is there as a whole; until then it is asked again.
    Whole,
}

/// What is wrong with a peer. Each method stands between the wire, the machine and the application; as they are here, they
/// change nothing.
pub(super) trait Flaw {
    /// What is left of what came by one read.
    fn read(&mut self, inside: &mut Inside, octets: &[u8]) -> Vec<u8> {
        let _ = inside;
        octets.to_vec()
    }

    /// What becomes of a message, once its header has come.
    fn header(&mut self, inside: &mut Inside, header: Header) -> Fate {
        let _ = inside;
        Fate::Pass(header)
    }

    /// Deals with a message that [`Fate::Whole`] asked for.
    fn whole(&mut self, inside: &mut Inside, frame: Frame) {
        let _ = (inside, frame);
    }

    /// What becomes of what the machine does.
    fn output(&mut self, inside: &mut Inside, output: Output) -> Option<Output> {
        let _ = inside;
        Some(output)
    }

    /// A transport is open.
    fn opened(&mut self, inside: &mut Inside) {
        let _ = inside;
    }

    /// When `time` is to be called at the latest.
    fn deadline(&self, inside: &Inside) -> Option<Instant> {
        let _ = inside;
        None
    }

    /// Time has passed.
    fn time(&mut self, inside: &mut Inside) {
        let _ = inside;
    }
}

/// The same machine within the same wrapping, without a fault: what tests of [`PEERS`] compare with.
pub const GOOD: Broken =
    Broken { name: "good", failure: "None.", how: "It does what it has to.", rule: "", make: || Box::new(Good) };

/// All of them.
pub const PEERS: &[Broken] = &[
    Broken {
        name: "dies_on_a_message_in_parts",
        failure: "TCP hands over a message in parts, and the connection dies of it.",
        how: "It closes when a read does not end where a message ends.",
        rule: "E37-9.2.3",
        make: || Box::new(DiesOnParts),
    },
    Broken {
        name: "loses_what_comes_with_select",
        failure: "Octets that arrive together with Select.req, or right behind Select.rsp, are lost.",
        how: "While NOT SELECTED it throws away what one read brings behind such a message.",
        rule: "E37-7.2/data-behind",
        make: || Box::new(LosesBehindSelect),
    },
    Broken {
        name: "takes_a_length_below_10",
        failure: "A length field below 10 is not looked at, and what is calculated from it goes wrong.",
        how: "It fills such a message up with zeros and takes it for one.",
        rule: "E37-8.1.3",
        make: || Box::new(FillsUp),
    },
    Broken {
        name: "takes_a_colliding_primary_for_the_reply",
        failure: "A primary of the peer's whose system bytes are those of an open request is handed over as its reply.",
        how: "It looks up every message of data by its system bytes, primaries too.",
        rule: "E37-8.1.4.6/ends",
        make: || Box::new(Mistakes { primaries: true, came: None }),
    },
    Broken {
        name: "never_compares_stream_and_function",
        failure: "Stream and function of a reply are never compared with those of the primary.",
        how: "It takes any secondary with the right system bytes.",
        rule: "E37-9.4.1/mismatch",
        make: || Box::new(Mistakes { primaries: false, came: None }),
    },
    Broken {
        name: "counts_a_refusal_as_selected",
        failure: "A Select.rsp that refuses counts as selected.",
        how: "It looks for the status in octet 2, where it is always 0.",
        rule: "E37.1-7.1.3",
        make: || Box::new(MissesTheStatus),
    },
    Broken {
        name: "closes_on_an_unknown_stype",
        failure: "A message with an unknown SType ends the connection instead of being rejected.",
        how: "It closes.",
        rule: "E37-7.7/1",
        make: || Box::new(ClosesOnUnknown),
    },
    Broken {
        name: "answers_reject_with_reject",
        failure: "A Reject.req is answered by a Reject.req; two such peers do that without end.",
        how: "It rejects Reject.req as an SType that is not supported, and takes it all the same.",
        rule: "E37-7.7/received",
        make: || Box::new(RejectsRejects),
    },
    Broken {
        name: "takes_data_while_not_selected",
        failure: "Data is processed while NOT SELECTED.",
        how: "It delivers the message, and answers a primary that expects a reply.",
        rule: "E37-7.7/4",
        make: || Box::new(TakesData),
    },
    Broken {
        name: "closes_on_linktest_before_select",
        failure: "A Linktest.req before Select ends the connection, although many peers send it.",
        how: "It closes.",
        rule: "E37.1-7.5/not-selected",
        make: || Box::new(ClosesOnLinktest),
    },
    Broken {
        name: "starts_t7_anew_with_every_message",
        failure: "T7 is started anew by any message, so that a connection can be held for ever without being selected.",
        how: "While NOT SELECTED every message puts its clock back to when the last one came.",
        rule: "E37.1-T1-4.1",
        make: || Box::new(MovesT7),
    },
    Broken {
        name: "runs_t8_between_messages",
        failure: "T8 is measured over idle time too.",
        how: "It closes when nothing has come for T8, whether inside a message or not.",
        rule: "E37-9.2.3/idle",
        make: || Box::new(RunsT8 { last: Instant::EPOCH }),
    },
    Broken {
        name: "dials_again_at_once",
        failure: "T5 is kept behind a dial that failed, but not behind a connection that was lost.",
        how: "It dials as soon as a connection has ended.",
        rule: "E37-9.2.1",
        make: || Box::new(DialsAtOnce),
    },
    Broken {
        name: "lives_without_linktest_answers",
        failure: "A linktest that is not answered has no effect at all.",
        how: "It takes its linktests for answered as soon as they are sent.",
        rule: "E37-7.5.1/T6",
        make: || Box::new(LivesWithout { system: None }),
    },
    Broken {
        name: "ignores_separate",
        failure: "Separate.req is ignored.",
        how: "It passes it over.",
        rule: "E37.1-7.6/received",
        make: || Box::new(IgnoresSeparate),
    },
    Broken {
        name: "answers_with_fresh_system_bytes",
        failure: "Responses carry system bytes of the responder's own instead of the request's.",
        how: "So do those that say no: a Select.rsp that refuses, and every Deselect.rsp. One that never answered rightly \
              could not be selected.",
        rule: "E37.1-7.1.1/again",
        make: || Box::new(FreshSystemBytes { next: 0x00F2_0001 }),
    },
    Broken {
        name: "sends_data_with_the_session_of_select",
        failure: "Data carries session id FFFF, because that of the Select.req was adopted.",
        how: "Every primary of its own does.",
        rule: "E37-8.2.1/primary",
        make: || Box::new(AdoptsTheSession),
    },
    Broken {
        name: "stays_selected_when_the_peer_is_gone",
        failure: "The application is not told that the peer has gone, and its state still says SELECTED.",
        how: "It keeps to itself that the peer closed the transport.",
        rule: "E37-5.3-3",
        make: || Box::new(KeepsQuiet),
    },
];

struct Good;

impl Flaw for Good {}

/// Puts octets into messages, as far as they go: header and end of each.
fn messages(octets: &[u8]) -> impl Iterator<Item = (Header, usize)> + '_ {
    let mut rest = octets;
    std::iter::from_fn(move || {
        let (message, behind) = Message::parse(rest).ok()?;
        rest = behind;
        Some((message.header, octets.len().saturating_sub(behind.len())))
    })
}

struct DiesOnParts;

impl Flaw for DiesOnParts {
    fn read(&mut self, inside: &mut Inside, octets: &[u8]) -> Vec<u8> {
        let end = messages(octets).last().map_or(0, |(_, end)| end);
        let rest = octets.get(end..).unwrap_or_default();
        // What is no message at all is left to the machine.
        let broken = rest.first_chunk().is_some_and(|length| {
            let length = u32::from_be_bytes(*length);
            length < 10 || length > inside.config.max_message()
        });
        if rest.is_empty() || broken {
            return octets.to_vec();
        }
        inside.close();
        Vec::new()
    }
}

struct LosesBehindSelect;

impl Flaw for LosesBehindSelect {
    fn read(&mut self, inside: &mut Inside, octets: &[u8]) -> Vec<u8> {
        let is_select = |header: &Header| matches!(header.stype, SType::SELECT_REQ | SType::SELECT_RSP);
        let select = messages(octets).find(|(header, _)| is_select(header));
        let end = select.filter(|_| !inside.selected).map_or(octets.len(), |(_, end)| end);
        octets.get(..end).unwrap_or(octets).to_vec()
    }
}

struct FillsUp;

impl Flaw for FillsUp {
    fn read(&mut self, _: &mut Inside, octets: &[u8]) -> Vec<u8> {
        match octets.split_first_chunk() {
            Some((length, rest)) if u32::from_be_bytes(*length) < 10 => {
                let mut header = [0; 10];
                header.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                Frame::new(Header::decode(&header), &[]).encode()
            }
            _ => octets.to_vec(),
        }
    }
}

struct Mistakes {
    primaries: bool,
    /// What came, while the machine takes it for the right reply.
    came: Option<Header>,
}

impl Flaw for Mistakes {
    fn header(&mut self, inside: &mut Inside, header: Header) -> Fate {
        let primary = header.stream_function().is_primary();
        if let Some(request) = inside.requests.get(&header.system)
            && let Some(reply) = request.stream_function().reply()
            && header.stype == SType::DATA
            && primary == self.primaries
        {
            self.came = Some(header);
            return Fate::Pass(Header::data(header.system, reply, false, header.session));
        }
        Fate::Pass(header)
    }

    fn output(&mut self, _: &mut Inside, output: Output) -> Option<Output> {
        match (output, self.came) {
            (Output::Report(Report::Reply(mut frame)), Some(came)) if frame.header.system == came.system => {
                self.came = None;
                frame.header = came;
                Some(Output::Report(Report::Reply(frame)))
            }
            (output, _) => Some(output),
        }
    }
}

struct MissesTheStatus;

impl Flaw for MissesTheStatus {
    fn header(&mut self, _: &mut Inside, mut header: Header) -> Fate {
        if header.stype == SType::SELECT_RSP {
            header.byte3 = header.byte2;
        }
        Fate::Pass(header)
    }
}

struct ClosesOnUnknown;

impl Flaw for ClosesOnUnknown {
    fn header(&mut self, inside: &mut Inside, header: Header) -> Fate {
        if header.kind() != Err(RejectReason::STYPE_NOT_SUPPORTED) {
            return Fate::Pass(header);
        }
        inside.close();
        Fate::Drop
    }
}

struct RejectsRejects;

impl Flaw for RejectsRejects {
    fn header(&mut self, inside: &mut Inside, header: Header) -> Fate {
        let Header { stype, system, .. } = header;
        if stype == SType::REJECT_REQ {
            inside.send(Header::reject_req(system, stype.0, RejectReason::STYPE_NOT_SUPPORTED));
        }
        Fate::Pass(header)
    }
}

struct TakesData;

impl Flaw for TakesData {
    fn header(&mut self, inside: &mut Inside, header: Header) -> Fate {
        if inside.selected || header.stype != SType::DATA { Fate::Pass(header) } else { Fate::Whole }
    }

    fn whole(&mut self, inside: &mut Inside, frame: Frame) {
        let Header { session, system, .. } = frame.header;
        if frame.header.reply_expected()
            && let Some(reply) = frame.header.stream_function().reply()
        {
            inside.send(Header::data(system, reply, false, session));
        }
        inside.report(Report::Primary(frame));
    }
}

struct ClosesOnLinktest;

impl Flaw for ClosesOnLinktest {
    fn header(&mut self, inside: &mut Inside, header: Header) -> Fate {
        if inside.selected || header.stype != SType::LINKTEST_REQ {
            return Fate::Pass(header);
        }
        inside.close();
        Fate::Drop
    }
}

struct MovesT7;

impl Flaw for MovesT7 {
    fn header(&mut self, inside: &mut Inside, header: Header) -> Fate {
        if !inside.selected {
            inside.stand_still();
        }
        Fate::Pass(header)
    }
}

struct RunsT8 {
    /// When something came last.
    last: Instant,
}

impl Flaw for RunsT8 {
    fn read(&mut self, inside: &mut Inside, octets: &[u8]) -> Vec<u8> {
        self.last = inside.now;
        octets.to_vec()
    }

    fn opened(&mut self, inside: &mut Inside) {
        self.last = inside.now;
    }

    fn deadline(&self, inside: &Inside) -> Option<Instant> {
        inside.open.then(|| self.last.saturating_add(inside.config.t8()))
    }

    fn time(&mut self, inside: &mut Inside) {
        if self.deadline(inside).is_some_and(|deadline| deadline <= inside.now) {
            inside.close();
        }
    }
}

struct DialsAtOnce;

impl Flaw for DialsAtOnce {
    fn output(&mut self, inside: &mut Inside, output: Output) -> Option<Output> {
        if matches!(output, Output::Report(Report::Closed(_))) {
            inside.hurry();
        }
        Some(output)
    }
}

struct LivesWithout {
    /// The linktest that nobody has answered yet.
    system: Option<SystemBytes>,
}

impl Flaw for LivesWithout {
    fn header(&mut self, _: &mut Inside, header: Header) -> Fate {
        let Header { stype, system, .. } = header;
        // It has been answered already, as far as the machine knows.
        if stype == SType::LINKTEST_RSP && self.system == Some(system) {
            self.system = None;
            return Fate::Drop;
        }
        Fate::Pass(header)
    }

    fn output(&mut self, inside: &mut Inside, output: Output) -> Option<Output> {
        if let Output::Octets(octets) = &output
            && let Some((Header { stype: SType::LINKTEST_REQ, system, .. }, _)) = messages(octets).next()
        {
            self.system = Some(system);
            let answer = Frame::new(Header::linktest_rsp(system), &[]);
            inside.give(Input::Octets(&answer.encode()));
        }
        Some(output)
    }
}

struct IgnoresSeparate;

impl Flaw for IgnoresSeparate {
    fn header(&mut self, _: &mut Inside, header: Header) -> Fate {
        if header.stype == SType::SEPARATE_REQ { Fate::Drop } else { Fate::Pass(header) }
    }
}

struct FreshSystemBytes {
    next: u32,
}

impl Flaw for FreshSystemBytes {
    fn output(&mut self, _: &mut Inside, output: Output) -> Option<Output> {
        let Output::Octets(octets) = &output else { return Some(output) };
        let Some((mut header, _)) = messages(octets).next() else { return Some(output) };
        let refuses = header.byte3 != SelectStatus::COMMUNICATION_ESTABLISHED.0;
        if header.stype == SType::DESELECT_RSP || header.stype == SType::SELECT_RSP && refuses {
            header.system = SystemBytes(self.next);
            self.next = self.next.wrapping_add(1);
            return Some(Output::Octets(Frame::new(header, &[]).encode()));
        }
        Some(output)
    }
}

struct AdoptsTheSession;

impl Flaw for AdoptsTheSession {
    fn output(&mut self, _: &mut Inside, output: Output) -> Option<Output> {
        let Output::Octets(octets) = &output else { return Some(output) };
        let Ok((message, _)) = Message::parse(octets) else { return Some(output) };
        let mut frame = Frame::new(message.header, message.body);
        if frame.header.stype == SType::DATA && frame.header.stream_function().is_primary() {
            frame.header.session = SessionId::CONTROL;
            return Some(Output::Octets(frame.encode()));
        }
        Some(output)
    }
}

struct KeepsQuiet;

impl Flaw for KeepsQuiet {
    fn output(&mut self, _: &mut Inside, output: Output) -> Option<Output> {
        (output != Output::Report(Report::Closed(CloseReason::TransportClosed))).then_some(output)
    }
}
