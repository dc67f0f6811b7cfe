//! The comparison: what comes by, against the list.

use super::list::{self, Expected, LIST, Row, Text};
use super::transcript::{self, Line, Summary, Volume};
use super::{Deviation, Direction, Fault, News, texts};
use hsms_std::core::wire::{HEADER_LEN, PREFIX_LEN};
use hsms_std::{Header, Message};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How many messages of the burst come by until that is told as progress.
const PROGRESS: u32 = 500;

/// Follows the list.
pub struct Tape {
    /// The octets that the list spells, entry by entry.
    octets: Vec<Octets>,
    /// What is still to be done to a message.
    fault: Option<Fault>,
    /// The first entry of the list that is not complete.
    at: usize,
    /// How many messages of each entry have come by.
    seen: [u32; LIST.len()],
    start: Instant,
    to_equipment: Volume,
    to_host: Volume,
    news: Sender<News>,
}

#[derive(Default)]
struct Octets {
    header: [u8; HEADER_LEN],
    text: Vec<u8>,
}

impl Tape {
    /// At the beginning of the list.
    pub fn new(fault: Option<Fault>, news: Sender<News>) -> Self {
        let octets = LIST.iter().map(|expected| match expected {
            Expected::Message(Row { header, text: Text::Octets(text), .. }) => {
                Octets { header: list::header(header), text: list::octets(text) }
            }
            Expected::Message(row) => Octets { header: list::header(row.header), text: Vec::new() },
            Expected::Open | Expected::Close => Octets::default(),
        });
        Tape {
            octets: octets.collect(),
            fault,
            at: 0,
            seen: [0; LIST.len()],
            start: Instant::now(),
            to_equipment: Volume::default(),
            to_host: Volume::default(),
            news,
        }
    }

    /// A TCP connection has been opened.
    pub fn opened(&mut self) -> Result<(), Deviation> {
        match LIST.get(self.at) {
            Some(Expected::Open) => self.connection("TCP connection opened"),
            _ => Err(self.additional("a TCP connection".to_owned())),
        }
    }

    /// The TCP connection has ended in both directions.
    pub fn closed(&mut self) -> Result<(), Deviation> {
        match LIST.get(self.at) {
            Some(Expected::Close) => self.connection("TCP connection closed"),
            _ => Err(self.additional("the end of the TCP connection".to_owned())),
        }
    }

    /// A message has come by.
    pub fn message(&mut self, direction: Direction, injected: bool, message: &Message<'_>) -> Result<(), Deviation> {
        let Some((index, row)) = self.next(direction) else {
            let text = transcript::text(message.body);
            return Err(self.additional(transcript::message(direction, injected, &message.header, &text, 1)));
        };
        let before = self.seen[index];
        self.compare(index, row, injected, message)?;
        self.count(direction, injected, message);
        self.seen[index] = before + 1;
        if self.seen[index] == row.times {
            let text = transcript::text(message.body);
            let first = Header::decode(&self.octets[index].header);
            let what = transcript::message(direction, injected, &first, &text, row.times);
            self.tell(Some(number(index)), what);
        } else if self.seen[index].is_multiple_of(PROGRESS) {
            self.send(News::Progress);
        }
        self.go_on();
        Ok(())
    }

    /// What is to be done to the message that comes by next in `direction`, once. In the burst it is the one in the middle.
    pub fn take_fault(&mut self, direction: Direction) -> Option<Fault> {
        let (index, row) = self.next(direction)?;
        let due = self.seen[index] == row.times / 2;
        self.fault.take_if(|fault| due && fault.number() == number(index))
    }

    /// The entry that the next message in `direction` has to fit.
    fn next(&self, direction: Direction) -> Option<(usize, &'static Row)> {
        for (index, expected) in LIST.iter().enumerate().skip(self.at) {
            let Expected::Message(row) = expected else { return None };
            if row.direction == direction && self.seen[index] < row.times {
                return Some((index, row));
            }
            if !row.overlaps {
                return None;
            }
        }
        None
    }

    fn connection(&mut self, what: &str) -> Result<(), Deviation> {
        if self.at == 0 {
            self.start = Instant::now();
        }
        self.seen[self.at] = 1;
        self.tell(None, what.to_owned());
        self.go_on();
        Ok(())
    }

    /// Passes by what is complete.
    fn go_on(&mut self) {
        while let Some(expected) = LIST.get(self.at) {
            let times = if let Expected::Message(row) = expected { row.times } else { 1 };
            if self.seen[self.at] < times {
                return;
            }
            self.at += 1;
        }
        let (to_equipment, to_host, span) = (self.to_equipment, self.to_host, self.start.elapsed());
        self.send(News::Complete(Summary { to_equipment, to_host, span, burst: Duration::ZERO }));
    }

    fn compare(&self, index: usize, row: &Row, injected: bool, message: &Message<'_>) -> Result<(), Deviation> {
        let before = self.seen[index];
        let octets = &self.octets[index];
        let expected = list::counted(octets.header, before);
        let same_text = match &row.text {
            Text::Octets(_) => octets.text == message.body,
            Text::Long { len, sum } => message.body.len() == *len && texts::checksum(message.body) == *sum,
        };
        if expected == message.header.encode() && same_text && injected == row.injected {
            return Ok(());
        }
        let mut differences = transcript::differences(&Header::decode(&expected), &message.header);
        if !same_text {
            differences.push("the text differs".to_owned());
        }
        if injected != row.injected {
            differences.push("sent by an end, and to be put there by the demo, or the other way round".to_owned());
        }
        let got = transcript::message(row.direction, injected, &message.header, &transcript::text(message.body), 1);
        Err(Deviation::Wrong { number: number(index), expected: transcript::row(row, before), got, differences })
    }

    fn additional(&self, got: String) -> Deviation {
        let expected = LIST.get(self.at).map_or_else(|| "nothing more".to_owned(), Expected::to_string);
        Deviation::Additional { expected, got }
    }

    fn count(&mut self, direction: Direction, injected: bool, message: &Message<'_>) {
        let volume = match direction {
            Direction::ToEquipment => &mut self.to_equipment,
            Direction::ToHost => &mut self.to_host,
        };
        let octets = (message.body.len() + PREFIX_LEN) as u64;
        volume.messages += 1;
        volume.octets += octets;
        if injected {
            volume.injected += 1;
            volume.injected_octets += octets;
        }
    }

    fn tell(&self, number: Option<usize>, what: String) {
        self.send(News::Line(Line { at: self.start.elapsed(), number, what }));
    }

    fn send(&self, news: News) {
        // Nobody listens any more where the run is over.
        let _ = self.news.send(news);
    }
}

fn number(index: usize) -> usize {
    list::messages().take_while(|(at, _)| *at <= index).count()
}
