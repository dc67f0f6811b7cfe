//! Two machines and the frames between them: every order in which frames can arrive.

use super::harness::*;
use crate::support::{active, passive};
use hsms_core::Error;
use hsms_core::connection::{Action, Class, CloseReason, Event, General, Notice, SessionEntity, State};
use hsms_core::time::Instant;
use hsms_core::wire::SessionId;
use std::collections::VecDeque;

/// The dialling and the listening end, each with what it has sent and the other has not received, and all it was told.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) ends: [Machine; 2],
    pub(crate) wires: [VecDeque<Vec<u8>>; 2],
    pub(crate) notices: [Vec<Notice>; 2],
    pub(crate) classes: [Vec<Class>; 2],
    pub(crate) closed: Option<CloseReason>,
    pub(crate) now: u64,
}

impl Pair {
    /// Both NOT SELECTED, with this list at both ends.
    pub(crate) fn connected(entities: &[SessionEntity]) -> Self {
        let list = General::new(entities).unwrap();
        let ends = [Machine::general(active().0, list.clone()), Machine::general(passive().0, list)];
        let mut pair = Pair {
            ends,
            wires: [VecDeque::new(), VecDeque::new()],
            notices: [Vec::new(), Vec::new()],
            classes: [Vec::new(), Vec::new()],
            closed: None,
            now: 1_000,
        };
        for end in [0, 1] {
            let now = pair.now();
            pair.ends[end].enable(now).unwrap();
            pair.drain(end);
            pair.ends[end].handle(now, Event::TransportOpen).unwrap();
            pair.drain(end);
        }
        pair
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    pub(crate) fn drain(&mut self, end: usize) {
        let now = self.now();
        while let Some(action) = self.ends[end].poll_action() {
            match action {
                Action::Send(frame) => {
                    assert_eq!(self.closed, None, "sent after the close");
                    let octets = frame.encode().to_vec();
                    let len = octets.len() as u64;
                    self.wires[end].push_back(octets);
                    self.ends[end].written(now, len).unwrap();
                }
                Action::Notify(notice) => self.notices[end].push(notice),
                Action::CloseTransport(reason) => self.closed = Some(reason),
                Action::OpenTransport => {}
            }
        }
    }

    pub(crate) fn does<T>(
        &mut self,
        end: usize,
        input: impl FnOnce(&mut Machine, Instant) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let now = self.now();
        let result = input(&mut self.ends[end], now);
        self.drain(end);
        result
    }

    /// The oldest frame that `end` sent arrives at the other.
    pub(crate) fn deliver(&mut self, end: usize) -> bool {
        let Some(octets) = self.wires[end].pop_front() else { return false };
        let (now, other) = (self.now(), 1 - end);
        let mut left = &octets[..];
        while !left.is_empty() {
            let (taken, inbound) = self.ends[other].receive(now, left).expect("drained and open");
            if let Some(inbound) = inbound.filter(hsms_core::connection::Inbound::first) {
                self.classes[other].push(inbound.class);
            }
            left = &left[taken..];
            self.drain(other);
        }
        true
    }

    pub(crate) fn selected(&self, end: usize) -> Vec<u16> {
        self.ends[end].selected_sessions().map(|session| session.0).collect()
    }

    /// Nothing is on its way, and both ends know the same.
    #[track_caller]
    fn agrees(&self) {
        assert_eq!(self.closed, None);
        assert_eq!(self.selected(0), self.selected(1), "both ends agree: {:?}", self.notices);
        for end in [0, 1] {
            let selected = !self.selected(end).is_empty();
            assert_eq!(self.ends[end].state() == State::Selected, selected);
            // T7 and nothing else: a request that were still open would end the connection by T6.
            assert_eq!(self.ends[end].next_deadline().is_some(), !selected);
            assert!(!self.classes[end].contains(&Class::Fatal), "{:?}", self.classes);
        }
    }

    fn told(&self, end: usize, notice: impl Fn(&Notice) -> bool) -> usize {
        self.notices[end].iter().filter(|told| notice(told)).count()
    }
}

/// A step that an end takes at any moment.
type Step = (usize, fn(&mut Machine, Instant) -> Result<(), Error>);

/// Every order of `steps` (those of one end in their order) and of the frames that arrive, to the end, where both ends have to
/// agree. Gives how many orders there are.
fn every_order(pair: &Pair, steps: &[Step], check: &mut dyn FnMut(&Pair)) -> usize {
    every_order_to(pair, steps, &mut |pair| {
        pair.agrees();
        check(pair);
    })
}

/// The same, with `last` where nothing is left to happen.
fn every_order_to(pair: &Pair, steps: &[Step], last: &mut dyn FnMut(&Pair)) -> usize {
    let mut orders = 0;
    for end in [0, 1] {
        let mut next = pair.clone();
        if next.deliver(end) {
            orders += every_order_to(&next, steps, last);
        }
        if let Some(index) = steps.iter().position(|(who, _)| *who == end) {
            let mut next = pair.clone();
            // A step that the state does not allow is refused.
            let _ = next.does(end, steps[index].1);
            let rest: Vec<Step> = [&steps[..index], &steps[index + 1..]].concat();
            orders += every_order_to(&next, &rest, last);
        }
    }
    if orders == 0 {
        last(pair);
        return 1;
    }
    orders
}

fn select(session: u16) -> impl Fn(&mut Machine, Instant) -> Result<(), Error> {
    move |machine, now| machine.select_session(now, SessionId(session)).map(|_| ())
}

fn select_a(machine: &mut Machine, now: Instant) -> Result<(), Error> {
    select(A)(machine, now)
}

fn select_b(machine: &mut Machine, now: Instant) -> Result<(), Error> {
    select(B)(machine, now)
}

fn deselect_a(machine: &mut Machine, now: Instant) -> Result<(), Error> {
    machine.deselect_session(now, id(A)).map(|_| ())
}

fn separate_a(machine: &mut Machine, now: Instant) -> Result<(), Error> {
    machine.separate_session(now, id(A))
}

fn linktest(machine: &mut Machine, now: Instant) -> Result<(), Error> {
    machine.linktest(now).map(|_| ())
}

/// Both ends have session A.
fn with_a() -> Pair {
    let mut pair = Pair::connected(&[offered(A), offered(B)]);
    pair.does(0, select_a).unwrap();
    while pair.deliver(0) || pair.deliver(1) {}
    assert_eq!((pair.selected(0), pair.selected(1)), (vec![A], vec![A]));
    pair.notices = [Vec::new(), Vec::new()];
    pair
}

fn no_reject(pair: &Pair) {
    for end in [0, 1] {
        assert!(pair.classes[end].iter().all(|class| *class == Class::Control), "{:?}", pair.classes);
    }
}

#[test]
fn both_select_the_same_session() {
    let pair = Pair::connected(&[offered(A)]);
    let orders = every_order(&pair, &[(0, select_a), (1, select_a)], &mut |pair| {
        no_reject(pair);
        assert_eq!(pair.selected(0), [A]);
        for end in [0, 1] {
            assert_eq!(pair.notices[end], [Notice::SessionSelected { session: id(A) }], "told once");
        }
    });
    println!("{orders} orders");
    assert!(orders > 6);
}

#[test]
fn both_select_different_sessions() {
    let pair = Pair::connected(&[offered(A), offered(B)]);
    let orders = every_order(&pair, &[(0, select_a), (1, select_b)], &mut |pair| {
        no_reject(pair);
        assert_eq!(pair.selected(0), [A, B]);
        assert_eq!(pair.notices.each_ref().map(Vec::len), [2, 2]);
    });
    println!("{orders} orders");
    assert!(orders > 6);
}

#[test]
fn both_deselect_the_same_session() {
    let pair = with_a();
    let orders = every_order(&pair, &[(0, deselect_a), (1, deselect_a)], &mut |pair| {
        no_reject(pair);
        assert_eq!(pair.selected(0), [0u16; 0]);
        for end in [0, 1] {
            assert_eq!(pair.told(end, |notice| matches!(notice, Notice::SessionEnded { .. })), 1, "{:?}", pair.notices);
            assert_eq!(pair.notices[end].len(), 1);
        }
    });
    println!("{orders} orders");
    assert!(orders > 6);
}

#[test]
fn one_deselects_and_the_other_separates() {
    let pair = with_a();
    every_order(&pair, &[(0, deselect_a), (1, separate_a)], &mut |pair| {
        no_reject(pair);
        assert_eq!(pair.selected(0), [0u16; 0]);
    });
}

#[test]
fn both_separate_the_same_session() {
    let pair = with_a();
    every_order(&pair, &[(0, separate_a), (1, separate_a)], &mut |pair| {
        no_reject(pair);
        assert_eq!(pair.selected(0), [0u16; 0]);
        assert_eq!(pair.notices.each_ref().map(Vec::len), [1, 1]);
    });
}

#[test]
fn both_select_and_one_separates_at_any_moment() {
    let pair = Pair::connected(&[offered(A)]);
    let orders = every_order(&pair, &[(0, select_a), (1, select_a), (0, separate_a)], &mut |pair| no_reject(pair));
    println!("{orders} orders");
}

#[test]
fn both_select_and_one_deselects_at_any_moment() {
    let pair = Pair::connected(&[offered(A)]);
    every_order(&pair, &[(0, select_a), (1, select_a), (0, deselect_a)], &mut |pair| no_reject(pair));
}

#[test]
fn both_select_and_both_separate_at_any_moment() {
    let pair = Pair::connected(&[offered(A)]);
    let steps: [Step; 4] = [(0, select_a), (1, select_a), (0, separate_a), (1, separate_a)];
    every_order(&pair, &steps, &mut |pair| no_reject(pair));
}

#[test]
fn one_separates_and_selects_again_while_the_other_deselects() {
    let pair = with_a();
    let steps: [Step; 3] = [(0, separate_a), (0, select_a), (1, deselect_a)];
    every_order(&pair, &steps, &mut |pair| no_reject(pair));
}

#[test]
fn one_separates_and_selects_again_while_the_other_does() {
    let pair = with_a();
    let steps: [Step; 4] = [(0, separate_a), (0, select_a), (1, separate_a), (1, select_a)];
    every_order(&pair, &steps, &mut |pair| no_reject(pair));
}

#[test]
fn one_deselects_and_selects_again_while_the_other_selects() {
    let pair = with_a();
    let steps: [Step; 3] = [(0, deselect_a), (0, select_a), (1, select_a)];
    every_order(&pair, &steps, &mut |pair| no_reject(pair));
}

#[test]
fn a_linktest_is_answered_whatever_else_goes_on() {
    let pair = with_a();
    let steps: [Step; 3] = [(0, linktest), (1, deselect_a), (1, select_b)];
    every_order(&pair, &steps, &mut |pair| {
        no_reject(pair);
        assert_eq!(pair.told(0, |notice| matches!(notice, Notice::LinktestAnswered { .. })), 1);
    });
}

fn answer_a(machine: &mut Machine, now: Instant) -> Result<(), Error> {
    machine.answer_select(now, id(A), hsms_core::wire::SelectStatus(0))
}

/// The application of end 1 is asked, and answers at any moment: while our own Select.req crosses, or after an end.
#[test]
fn an_application_that_is_asked_while_both_ends_select_and_separate() {
    let pair = Pair::connected(&[asking(A)]);
    let steps: [Step; 4] = [(0, select_a), (1, select_a), (0, separate_a), (1, answer_a)];
    let mut asked = 0;
    let orders = every_order_to(&pair, &steps, &mut |pair| {
        let mut pair = pair.clone();
        for end in [0, 1] {
            asked += pair.told(end, |notice| matches!(notice, Notice::SelectAsked { .. }));
            // Who is still asked answers now.
            let _ = pair.does(end, answer_a);
            while pair.deliver(0) || pair.deliver(1) {}
        }
        pair.agrees();
    });
    println!("{orders} orders, asked in {asked}");
    assert!(asked > 0);
}
