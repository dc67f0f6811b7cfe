//! What waits to be told of one peer, within bounds.

use super::delegate::{Event, lock};
use crate::Options;
#[cfg(feature = "services")]
use crate::services::handler::Call;
use hsms_core::connection::Notice;
use hsms_core::wire::SessionId;
use std::collections::VecDeque;
use std::sync::Mutex;

/// What waits.
#[derive(Debug)]
pub(super) enum Item {
    /// An event, to be told.
    Event(Event),
    /// A handler of the services, to be called.
    #[cfg(feature = "services")]
    Call(Call),
}

/// Events of one peer in their order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A thread has it, or it stands in line for one.
    scheduled: bool,
    /// None where nothing is to be told: an idle peer keeps nothing.
    waiting: Option<Box<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    messages: usize,
    octets: usize,
    /// What was dropped and has not been told.
    untold: (u64, u64),
}

/// What has become of an event.
pub(super) struct Pushed {
    /// It will be told.
    pub(super) kept: bool,
    /// The peer has to be scheduled.
    pub(super) first: bool,
    /// How many times [`Event::BeforeClosed`] will not be told after all, since nothing is told of its connection.
    pub(super) farewells: usize,
}

/// What begins with one event and ends with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    Connection,
    Selection,
    Session(SessionId),
}

impl Queue {
    /// With the bounds of these options.
    pub(super) fn push(&self, item: Item, options: &Options) -> Pushed {
        let mut state = lock(&self.state);
        let waiting = state.waiting.get_or_insert_default();
        let (kept, farewells) = waiting.push(item, options.inbox_messages(), options.inbox_octets());
        // Where nothing was kept it will be told that something was dropped.
        let first = !std::mem::replace(&mut state.scheduled, true);
        Pushed { kept, first, farewells }
    }

    /// So many primaries were dropped before they came here.
    pub(super) fn dropped(&self, primaries: u64) {
        if primaries > 0 {
            let mut state = lock(&self.state);
            let untold = &mut state.waiting.get_or_insert_default().untold;
            untold.0 = untold.0.saturating_add(primaries);
        }
    }

    pub(super) fn pop(&self) -> Option<Item> {
        let mut state = lock(&self.state);
        let waiting = state.waiting.as_mut()?;
        let Some(item) = waiting.items.pop_front() else {
            let (primaries, events) = std::mem::take(&mut waiting.untold);
            return (primaries > 0 || events > 0).then_some(Item::Event(Event::Dropped { primaries, events }));
        };
        if let Some(octets) = octets(&item) {
            waiting.messages = waiting.messages.saturating_sub(1);
            waiting.octets = waiting.octets.saturating_sub(octets);
        }
        Some(item)
    }

    /// Whether there is more to tell; where there is not, the next event schedules the peer anew.
    pub(super) fn goes_on(&self) -> bool {
        let mut state = lock(&self.state);
        state.waiting.take_if(|waiting| waiting.items.is_empty() && waiting.untold == (0, 0));
        state.scheduled = state.waiting.is_some();
        state.scheduled
    }
}

impl Waiting {
    fn push(&mut self, item: Item, most: usize, most_octets: usize) -> (bool, usize) {
        let others = self.items.len().saturating_sub(self.messages);
        if let Some(octets) = octets(&item) {
            // One message is kept however long it is.
            let fits = self.messages == 0 || self.octets.saturating_add(octets) <= most_octets;
            if self.messages >= most || !fits {
                self.untold.0 = self.untold.0.saturating_add(1);
                return (false, 0);
            }
            self.messages = self.messages.saturating_add(1);
            self.octets = self.octets.saturating_add(octets);
        } else if others >= most {
            if !changes_state(&item) {
                self.untold.1 = self.untold.1.saturating_add(1);
                return (false, 0);
            }
            if let Some(farewells) = self.take_back(&item) {
                return (false, farewells);
            }
        }
        self.items.push_back(item);
        (true, 0)
    }

    /// Where the event ends what has not been told to have begun, neither needs to be told. Gives how many farewells were taken
    /// back. So changes of state are bounded and none that matters is lost: what is told ends as things stand.
    fn take_back(&mut self, item: &Item) -> Option<usize> {
        let span = ends(item)?;
        let index = self.items.iter().rposition(|item| begins(item) == Some(span))?;
        let (mut place, mut taken, mut farewells) = (0_usize, 1_u64, 0);
        self.items.retain(|item| {
            let at = place;
            place = place.saturating_add(1);
            let inside = match span {
                // Messages stay: they are nobody's state.
                Span::Connection => at >= index && octets(item).is_none(),
                Span::Selection | Span::Session(_) => at == index,
            };
            if inside {
                taken = taken.saturating_add(1);
                farewells += usize::from(matches!(item, Item::Event(Event::BeforeClosed)));
            }
            !inside
        });
        self.untold.1 = self.untold.1.saturating_add(taken);
        Some(farewells)
    }
}

/// Octets of a message; `None` of what is none.
const fn octets(item: &Item) -> Option<usize> {
    match item {
        Item::Event(Event::Received(message)) => Some(message.body.len()),
        Item::Event(_) => None,
        #[cfg(feature = "services")]
        Item::Call(call) => Some(call.len()),
    }
}

fn changes_state(item: &Item) -> bool {
    matches!(item, Item::Event(Event::BeforeClosed)) || begins(item).is_some() || ends(item).is_some()
}

const fn begins(item: &Item) -> Option<Span> {
    match item {
        Item::Event(Event::Established) => Some(Span::Connection),
        Item::Event(Event::Notice(Notice::Selected)) => Some(Span::Selection),
        Item::Event(Event::Notice(Notice::SessionSelected { session })) => Some(Span::Session(*session)),
        _ => None,
    }
}

const fn ends(item: &Item) -> Option<Span> {
    match item {
        Item::Event(Event::Closed { .. }) => Some(Span::Connection),
        Item::Event(Event::Notice(Notice::Deselected)) => Some(Span::Selection),
        Item::Event(Event::Notice(Notice::SessionEnded { session, .. })) => Some(Span::Session(*session)),
        _ => None,
    }
}
