//! The queue by itself, and as part of a server on virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use base::Entropy;

use super::*;

fn at(micros: u64) -> Instant {
    Instant::from_secs(1_000) + Duration::from_micros(micros)
}

fn filled(now: Instant, offers: &[(Class, u64)]) -> Admission<u64> {
    let mut admission = Admission::new();
    for &(class, item) in offers {
        assert_eq!(
            admission.offer(now, class, None, item),
            Offer::Queued,
            "{item}"
        );
    }
    admission
}

#[test]
fn the_higher_class_is_served_first_and_each_in_order() {
    use Class::{Emergency, Initial, Ongoing, Refresh};
    let offers = [
        (Initial, 1),
        (Refresh, 2),
        (Ongoing, 3),
        (Initial, 4),
        (Emergency, 5),
        (Ongoing, 6),
    ];
    let mut admission = filled(at(0), &offers);
    let served: Vec<_> = std::iter::from_fn(|| admission.poll(at(1))).collect();
    let expected = [
        (Ongoing, 3),
        (Ongoing, 6),
        (Emergency, 5),
        (Refresh, 2),
        (Initial, 1),
        (Initial, 4),
    ];
    assert_eq!(
        served,
        expected.map(|(class, item)| Verdict::Serve(class, item))
    );
    assert!(admission.is_empty());
}

#[test]
fn refreshes_leave_a_share_to_what_is_new() {
    let mut admission = Admission::new();
    for item in 0..8 {
        for class in [Class::Refresh, Class::Initial] {
            assert_eq!(admission.offer(at(0), class, None, item), Offer::Queued);
        }
    }
    let served = std::iter::from_fn(|| match admission.poll(at(1))? {
        Verdict::Serve(class, _) => Some(class == Class::Refresh),
        Verdict::Refuse(..) => None,
    });
    let served: Vec<bool> = served.collect();
    let (yes, no) = (true, false);
    assert_eq!(served[..8], [yes, yes, yes, no, yes, yes, yes, no]);
    assert_eq!(served[8..], [yes, yes, no, no, no, no, no, no]);
}

#[test]
fn each_class_is_refused_past_its_limit_and_not_at_it() {
    let cases = [
        (Class::Emergency, SOJOURN_WORTHY_MAX),
        (Class::Refresh, SOJOURN_WORTHY_MAX),
        (Class::Initial, SOJOURN_MAX),
    ];
    for (class, most) in cases {
        let past = Duration::from_nanos(1);
        let mut admission = filled(at(0), &[(class, 1), (class, 2)]);
        assert_eq!(admission.poll_late(at(0) + most), None);
        assert_eq!(
            admission.poll(at(0) + most),
            Some(Verdict::Serve(class, 1)),
            "{class:?}"
        );
        let late = at(0) + most + past;
        assert_eq!(
            admission.poll(late),
            Some(Verdict::Refuse(class, 2)),
            "{class:?}"
        );
    }
    let mut admission = filled(at(0), &[(Class::Ongoing, 1)]);
    let hour = at(0) + Duration::from_secs(3600);
    assert_eq!(admission.poll_late(hour), None);
    assert_eq!(
        admission.poll(hour),
        Some(Verdict::Serve(Class::Ongoing, 1))
    );
}

#[test]
fn what_is_late_is_found_behind_what_is_served_first() {
    let mut admission = filled(at(0), &[(Class::Ongoing, 1), (Class::Initial, 2)]);
    let late = at(0) + SOJOURN_MAX + Duration::from_micros(1);
    assert_eq!(admission.poll_late(late), Some((Class::Initial, 2)));
    assert_eq!(admission.poll_late(late), None);
    assert_eq!(
        admission.poll(late),
        Some(Verdict::Serve(Class::Ongoing, 1))
    );
}

#[test]
fn patience_shrinks_while_the_queue_does_not_empty() {
    let mut admission = Admission::new();
    let mut now = at(0);
    // Every 40 ms one comes, and the one before it goes.
    for item in 0..12 {
        assert_eq!(
            admission.offer(now, Class::Initial, None, item),
            Offer::Queued
        );
        if item > 0 {
            assert!(admission.poll(now).is_some());
        }
        now += Duration::from_millis(40);
    }
    // The last one has waited 40 ms, and the queue was not empty for 480 ms.
    let wait = SOJOURN_STANDING_MAX - Duration::from_millis(40);
    assert_eq!(admission.poll_late(now + wait), None);
    let past = now + wait + Duration::from_micros(1);
    assert_eq!(admission.poll_late(past), Some((Class::Initial, 11)));
    // It is empty now: patience is back.
    assert_eq!(
        admission.offer(past, Class::Initial, None, 12),
        Offer::Queued
    );
    assert_eq!(admission.poll_late(past + SOJOURN_MAX), None);
}

#[test]
fn each_class_takes_its_maximum_and_no_more() {
    for class in Class::ALL {
        let mut admission = Admission::new();
        for item in 0..class.max() {
            assert_eq!(admission.offer(at(0), class, None, item), Offer::Queued);
        }
        let past = class.max();
        assert_eq!(
            admission.offer(at(0), class, None, past),
            Offer::Full(past),
            "{class:?}"
        );
        assert_eq!(admission.depth(class), class.max());
        let others = Class::ALL.into_iter().filter(|&other| other != class);
        for other in others {
            assert_eq!(admission.offer(at(0), other, None, 0), Offer::Queued);
        }
        assert_eq!(admission.has_room(), class != Class::Ongoing);
        assert!(matches!(admission.poll(at(1)), Some(Verdict::Serve(..))));
        assert_eq!(
            admission.offer(at(1), Class::Ongoing, None, 0),
            Offer::Queued
        );
    }
}

#[test]
fn a_retransmission_is_absorbed_while_the_request_waits() {
    let mut admission = Admission::new();
    assert_eq!(
        admission.offer(at(0), Class::Initial, Some(7), 1),
        Offer::Queued
    );
    assert_eq!(
        admission.offer(at(1), Class::Initial, Some(7), 1),
        Offer::Absorbed
    );
    assert_eq!(
        admission.offer(at(1), Class::Initial, Some(8), 2),
        Offer::Queued
    );
    assert!(admission.has(7) && admission.has(8));
    assert_eq!(
        admission.poll(at(2)),
        Some(Verdict::Serve(Class::Initial, 1))
    );
    assert!(!admission.has(7));
    assert_eq!(
        admission.offer(at(3), Class::Initial, Some(7), 3),
        Offer::Queued
    );
}

#[test]
fn the_longest_wait_is_remembered_for_a_second_or_two() {
    let mut admission = filled(at(0), &[(Class::Ongoing, 1), (Class::Ongoing, 2)]);
    admission.poll(at(500));
    admission.poll(at(200));
    let sojourn = |now| admission.sojourn(now, Class::Ongoing);
    assert_eq!(sojourn(at(1_000)), Duration::from_micros(500));
    assert_eq!(sojourn(at(1_000_000)), Duration::from_micros(500));
    assert_eq!(sojourn(at(2_000_600)), Duration::ZERO);
}

/// A server for which everything costs time, and users that call and register.
///
/// A call is an INVITE and five messages within it, a registration is a REGISTER and another with
/// credentials; each message that is served brings the next after a round trip. What is lost is
/// sent again after half a second, what is refused is not.
struct Model {
    entropy: Entropy,
    now: Instant,
    admission: Admission<Arrival>,
    arrivals: BinaryHeap<Reverse<(Instant, u64, Arrival)>>,
    count: u64,
    completed: Vec<Instant>,
    refused: u64,
    /// The longest that a message of each class has waited when it was served.
    longest: [Duration; 4],
    deepest: usize,
}

/// A message, by what it belongs to and its place in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    is_call: bool,
    step: u32,
}

const ROUND_TRIP: Duration = Duration::from_millis(5);
/// What reading and refusing costs; serving costs ten times as much, which is less than it is.
const REFUSAL: Duration = Duration::from_micros(3);
const SERVICE: Duration = Duration::from_micros(30);
const CALL_STEPS: u32 = 6;
const REGISTRATION_STEPS: u32 = 2;

impl Arrival {
    fn class(self) -> Class {
        match self {
            Arrival { step: 0, .. } => Class::Initial,
            Arrival { .. } => Class::Ongoing,
        }
    }

    fn is_last(self) -> bool {
        let steps = if self.is_call {
            CALL_STEPS
        } else {
            REGISTRATION_STEPS
        };
        self.step + 1 == steps
    }
}

impl Model {
    fn new() -> Self {
        Model {
            entropy: Entropy::from_u64(1),
            now: at(0),
            admission: Admission::new(),
            arrivals: BinaryHeap::new(),
            count: 0,
            completed: Vec::new(),
            refused: 0,
            longest: Default::default(),
            deepest: 0,
        }
    }

    fn send(&mut self, at: Instant, arrival: Arrival) {
        self.count += 1;
        self.arrivals.push(Reverse((at, self.count, arrival)));
    }

    /// Offers so many calls and as many registrations a second until `end`, each when it likes.
    fn load(&mut self, rate: u64, start: Instant, end: Instant) {
        let span = (end - start).as_nanos() as u64;
        for number in 0..rate * span / 500_000_000 {
            let at = start + Duration::from_nanos(self.entropy.below(span));
            let is_call = number % 2 == 0;
            self.send(at, Arrival { is_call, step: 0 });
        }
    }

    /// Reads what has come by now.
    fn read(&mut self) {
        while let Some(Reverse((at, ..))) = self.arrivals.peek()
            && *at <= self.now
        {
            let Some(Reverse((at, _, arrival))) = self.arrivals.pop() else {
                break;
            };
            let offer = self.admission.offer(at, arrival.class(), None, arrival);
            self.refused += u64::from(matches!(offer, Offer::Full(_)));
        }
        let depth: usize = Class::ALL
            .map(|class| self.admission.depth(class))
            .iter()
            .sum();
        self.deepest = depth.max(self.deepest);
    }

    fn refuse_late(&mut self) {
        while self.admission.poll_late(self.now).is_some() {
            self.refused += 1;
            self.now += REFUSAL;
        }
    }

    /// Runs until nothing is left to do, or until `end`.
    fn run(&mut self, end: Instant) {
        while self.now < end {
            self.read();
            self.refuse_late();
            match self.admission.poll(self.now) {
                Some(Verdict::Serve(class, arrival)) => {
                    let longest = &mut self.longest[class as usize];
                    let sojourn = self.admission.sojourn(self.now, class);
                    *longest = sojourn.max(*longest);
                    self.now += SERVICE;
                    if arrival.is_last() {
                        self.completed.push(self.now);
                    } else {
                        let step = arrival.step + 1;
                        self.send(self.now + ROUND_TRIP, Arrival { step, ..arrival });
                    }
                }
                Some(Verdict::Refuse(..)) => {
                    self.refused += 1;
                    self.now += REFUSAL;
                }
                None => match self.arrivals.peek() {
                    Some(Reverse((at, ..))) => self.now = *at,
                    None => return,
                },
            }
        }
    }

    fn completed_between(&self, start: Instant, end: Instant) -> usize {
        let within = |at: &&Instant| (start..end).contains(*at);
        self.completed.iter().filter(within).count()
    }
}

/// Calls, and as many registrations, that the server can carry each second.
fn rate_max() -> u64 {
    let both = SERVICE * (CALL_STEPS + REGISTRATION_STEPS);
    (Duration::from_secs(1).as_nanos() / both.as_nanos()) as u64
}

#[test]
fn three_times_the_load_leaves_nine_tenths_of_the_throughput() {
    let second = |n: u64| at(n * 1_000_000);
    let mut model = Model::new();
    let most = rate_max();
    model.load(most * 9 / 10, second(0), second(10));
    model.load(3 * most, second(10), second(40));
    model.load(most * 9 / 10, second(40), second(60));
    model.run(second(61));

    let normal = model.completed_between(second(1), second(10));
    let offered = 2 * 9 * (most * 9 / 10) as usize;
    assert!(
        normal.abs_diff(offered) <= offered / 100,
        "{normal} of {offered} before"
    );
    let carried = model.completed_between(second(12), second(40));
    let maximum = 2 * 28 * most as usize;
    assert!(carried * 10 >= maximum * 9, "{carried} of {maximum}");
    // What is under way does not wait for what is new.
    assert!(
        model.longest[Class::Ongoing as usize] < Duration::from_millis(10),
        "{:?}",
        model.longest
    );
    assert!(model.longest[Class::Initial as usize] <= SOJOURN_MAX);
    assert!(model.deepest < NEW_MAX, "{} waited", model.deepest);
    // Back to normal: a second later nothing is refused any more.
    let after = model.completed_between(second(41), second(60));
    let offered = 2 * 19 * (most * 9 / 10) as usize;
    assert!(
        after.abs_diff(offered) <= offered / 100,
        "{after} of {offered} afterwards"
    );
}

#[test]
fn a_moment_of_too_much_is_carried_without_a_refusal() {
    let second = |n: u64| at(n * 1_000_000);
    let mut model = Model::new();
    let most = rate_max();
    model.load(most / 2, second(0), second(3));
    // What comes within 20 ms takes 60 ms more than there are.
    model.load(3 * most, second(1), second(1) + Duration::from_millis(20));
    model.run(second(4));
    assert_eq!(model.refused, 0);
}

#[test]
fn a_server_that_stood_still_is_back_at_once() {
    let second = |n: u64| at(n * 1_000_000);
    let mut model = Model::new();
    let most = rate_max();
    model.load(most / 2, second(0), second(6));
    model.run(second(1));
    // As long as a disk may take.
    model.now += Duration::from_secs(1);
    model.run(second(7));
    let after = model.completed_between(second(3), second(6));
    let offered = 2 * 3 * (most / 2) as usize;
    assert!(
        after.abs_diff(offered) <= offered / 50,
        "{after} of {offered}"
    );
}
