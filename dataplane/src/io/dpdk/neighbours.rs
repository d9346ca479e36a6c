//! The neighbours on our links: what is known of each, and when it is made sure of.
//!
//! The states are those of neighbour unreachability detection, RFC 4861 7.3.2, which serve ARP as
//! well (RFC 1122 2.3.2.1). Workers send past here while a neighbour is known; of one that may be
//! gone they are told to give the next packet here, which is the sign that it is in use.

use super::super::hop::{HOPS_MAX, Hop, HopId};
use crate::DropReason;
use base::{Instant, TimerId, TimerQueue};
use inet::MacAddress;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// A neighbour: an address on a link.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    pub(super) device: u16,
    pub(super) vlan: Option<u16>,
    pub(super) address: IpAddr,
}

/// What a neighbour said of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Claim {
    /// Where it is; left out by one that is known to have heard this from elsewhere.
    pub(super) mac: Option<MacAddress>,
    /// It was asked.
    pub(super) solicited: bool,
    /// Another place that is known is wrong.
    pub(super) overrides: bool,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Ask for the neighbour: this station, or everybody on the link.
    Ask { hop: HopId, at: Option<MacAddress> },
    /// Send a packet to a neighbour.
    Send {
        key: Key,
        mac: MacAddress,
        packet: Waiting,
    },
    /// Packets are dropped.
    Drop(DropReason, u64),
}

/// A packet, and the worker it came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Waiting {
    pub(super) worker: u16,
    pub(super) bytes: Vec<u8>,
}

/// All neighbours in use.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    records: Vec<Record>,
    by_key: HashMap<Key, HopId>,
    timers: TimerQueue<HopId>,
    changed: BTreeSet<HopId>,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Record {
    key: Key,
    /// Which of our addresses asks for it.
    asker: usize,
    state: State,
    timer: Option<TimerId>,
    waiting: VecDeque<Waiting>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nobody has asked.
    Unknown,
    /// It was asked for so many times.
    Incomplete { asked: u32 },
    /// It answered lately.
    Reachable { mac: MacAddress },
    /// It did once.
    Stale { mac: MacAddress },
    /// The same, and something was sent there, of which one may hear that it arrived.
    Delay { mac: MacAddress },
    /// It was asked itself so many times.
    Probe { mac: MacAddress, asked: u32 },
    /// It does not answer.
    Failed,
}

impl State {
    fn mac(self) -> Option<MacAddress> {
        match self {
            State::Reachable { mac }
            | State::Stale { mac }
            | State::Delay { mac }
            | State::Probe { mac, .. } => Some(mac),
            State::Unknown | State::Incomplete { .. } | State::Failed => None,
        }
    }
}

impl Neighbours {
    /// The neighbour with this key, if it is in the table.
    pub(super) fn find(&self, key: &Key) -> Option<HopId> {
        self.by_key.get(key).copied()
    }

    /// Adds a neighbour, for which `asker` of our addresses asks; `None` when there are
    /// [`HOPS_MAX`].
    pub(super) fn add(&mut self, key: Key, asker: usize) -> Option<HopId> {
        let number = HopId::FIRST + self.records.len();
        if number >= HOPS_MAX {
            return None;
        }
        let hop = HopId(number as u16);
        self.records.push(Record {
            key,
            asker,
            state: State::Unknown,
            timer: None,
            waiting: VecDeque::new(),
        });
        self.by_key.insert(key, hop);
        Some(hop)
    }

    /// Forgets all of them, and drops what waits.
    pub(super) fn clear(&mut self) {
        let waiting: usize = self.records.iter().map(|record| record.waiting.len()).sum();
        self.lose(DropReason::TxRefused, waiting);
        self.records.clear();
        self.by_key.clear();
        self.changed.clear();
        self.timers = TimerQueue::new();
        self.steps.retain(|step| !matches!(step, Step::Ask { .. }));
    }

    /// Who it is, and which of our addresses asks for it.
    pub(super) fn about(&self, hop: HopId) -> Option<(Key, usize)> {
        let record = self.records.get(place(hop)?)?;
        Some((record.key, record.asker))
    }

    /// What workers do with packets for it, but for what depends on the device: where it is, and
    /// whether the next packet is to come here.
    pub(super) fn direct(&self, hop: HopId) -> Result<(Key, MacAddress, bool), Hop> {
        let record = place(hop).and_then(|place| self.records.get(place));
        let record = record.ok_or(Hop::Slow)?;
        match record.state {
            State::Failed => Err(Hop::Unreachable),
            state => {
                let mac = state.mac().ok_or(Hop::Slow)?;
                let is_stale = matches!(state, State::Stale { .. });
                Ok((record.key, mac, is_stale))
            }
        }
    }

    /// A packet is to go there.
    pub(super) fn handle_packet(&mut self, now: Instant, hop: HopId, packet: Waiting) {
        let Some(record) = place(hop).and_then(|place| self.records.get_mut(place)) else {
            return self.lose(DropReason::TxRefused, 1);
        };
        if let Some(mac) = record.state.mac() {
            let key = record.key;
            if let State::Stale { mac } = record.state {
                self.enter(now, hop, State::Delay { mac });
            }
            self.steps.push_back(Step::Send { key, mac, packet });
            return;
        }
        if record.state == State::Failed {
            return self.lose(DropReason::TxRefused, 1);
        }
        record.waiting.push_back(packet);
        if record.waiting.len() > WAITING_MAX {
            // RFC 4861 7.2.2: the oldest goes.
            record.waiting.pop_front();
            self.lose(DropReason::TxFull, 1);
        }
        self.look_for(now, hop);
    }

    /// Asks for a neighbour that nobody has asked for.
    pub(super) fn look_for(&mut self, now: Instant, hop: HopId) {
        if self.state(hop) == Some(State::Unknown) {
            self.enter(now, hop, State::Incomplete { asked: 1 });
        }
    }

    /// A neighbour speaks of itself, RFC 4861 7.2.5. One that is not in the table is not put there.
    pub(super) fn handle_claim(&mut self, now: Instant, key: &Key, claim: Claim) {
        let Some(hop) = self.find(key) else {
            return;
        };
        let Some(state) = self.state(hop) else {
            return;
        };
        let next = match (state.mac(), claim.mac) {
            // Where it is remains unknown.
            (None, None) => return,
            (None, Some(mac)) if claim.solicited => State::Reachable { mac },
            (None, Some(mac)) => State::Stale { mac },
            (Some(known), claimed) => {
                let mac = claimed.unwrap_or(known);
                match (mac == known, claim) {
                    (
                        false,
                        Claim {
                            overrides: false, ..
                        },
                    ) => match state {
                        State::Reachable { mac } => State::Stale { mac },
                        _ => return,
                    },
                    (
                        _,
                        Claim {
                            solicited: true, ..
                        },
                    ) => State::Reachable { mac },
                    (false, _) => State::Stale { mac },
                    (true, _) => return,
                }
            }
        };
        self.enter(now, hop, next);
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for _ in 0..TIMERS_PER_TURN_MAX {
            let Some(hop) = self.timers.pop_due(now) else {
                return;
            };
            if let Some(record) = place(hop).and_then(|place| self.records.get_mut(place)) {
                record.timer = None;
                let next = after(record.state);
                self.enter(now, hop, next);
            }
        }
    }

    /// When something is due.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.timers.next_timeout()
    }

    /// What is to be done next.
    pub(super) fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// A neighbour of which workers are to be told anew.
    pub(super) fn poll_change(&mut self) -> Option<HopId> {
        self.changed.pop_first()
    }

    fn state(&self, hop: HopId) -> Option<State> {
        self.records.get(place(hop)?).map(|record| record.state)
    }

    /// Enters a state: what it means for those that wait, whom to ask, and how long it lasts.
    fn enter(&mut self, now: Instant, hop: HopId, state: State) {
        let Some(record) = place(hop).and_then(|place| self.records.get_mut(place)) else {
            return;
        };
        record.state = state;
        if let Some(timer) = record.timer.take() {
            self.timers.cancel(timer);
        }
        let (ask, lasts) = match state {
            State::Unknown | State::Stale { .. } => (None, None),
            State::Incomplete { .. } => (Some(None), Some(RETRANS)),
            State::Reachable { .. } => (None, Some(REACHABLE)),
            State::Delay { .. } => (None, Some(DELAY)),
            State::Probe { mac, .. } => (Some(Some(mac)), Some(RETRANS)),
            State::Failed => (None, Some(RETRY_AFTER)),
        };
        record.timer = lasts.map(|lasts| self.timers.set(now + lasts, hop));
        self.changed.insert(hop);
        if let Some(at) = ask {
            self.steps.push_back(Step::Ask { hop, at });
        }
        let key = record.key;
        match state.mac() {
            Some(mac) => {
                let waiting = record.waiting.drain(..);
                let send = |packet| Step::Send { key, mac, packet };
                self.steps.extend(waiting.map(send));
            }
            None if state == State::Failed => {
                let lost = std::mem::take(&mut record.waiting).len();
                self.lose(DropReason::TxRefused, lost);
            }
            None => {}
        }
    }

    fn lose(&mut self, reason: DropReason, packets: usize) {
        if packets > 0 {
            self.steps.push_back(Step::Drop(reason, packets as u64));
        }
    }
}

/// The state that follows when nothing happens.
fn after(state: State) -> State {
    match state {
        State::Incomplete { asked } if asked < ASKED_MAX => State::Incomplete { asked: asked + 1 },
        State::Incomplete { .. } => State::Failed,
        State::Reachable { mac } => State::Stale { mac },
        State::Delay { mac } => State::Probe { mac, asked: 1 },
        State::Probe { mac, asked } if asked < ASKED_MAX => State::Probe {
            mac,
            asked: asked + 1,
        },
        // It may be elsewhere: the next packet has everybody asked.
        State::Probe { .. } | State::Failed | State::Unknown => State::Unknown,
        State::Stale { mac } => State::Stale { mac },
    }
}

fn place(hop: HopId) -> Option<usize> {
    usize::from(hop.0).checked_sub(HopId::FIRST)
}

/// RETRANS_TIMER, RFC 4861 10.
const RETRANS: Duration = Duration::from_secs(1);

/// MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT, RFC 4861 10.
const ASKED_MAX: u32 = 3;

/// REACHABLE_TIME, RFC 4861 10.
const REACHABLE: Duration = Duration::from_secs(30);

/// DELAY_FIRST_PROBE_TIME, RFC 4861 10.
const DELAY: Duration = Duration::from_secs(5);

/// How long a neighbour that does not answer is not asked for.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Packets that wait for one neighbour: 20 ms of a few dozen calls.
pub(super) const WAITING_MAX: usize = 32;

/// Timers looked at per turn.
const TIMERS_PER_TURN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const A: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xa]);
    const B: MacAddress = MacAddress([2, 0, 0, 0, 0, 0xb]);
    const START: Instant = Instant::from_secs(1000);

    fn key(last: u8) -> Key {
        Key {
            device: 0,
            vlan: None,
            address: [192, 0, 2, last].into(),
        }
    }

    fn packet(number: u8) -> Waiting {
        Waiting {
            worker: 0,
            bytes: vec![number],
        }
    }

    fn claim(mac: MacAddress, solicited: bool, overrides: bool) -> Claim {
        Claim {
            mac: Some(mac),
            solicited,
            overrides,
        }
    }

    fn steps(neighbours: &mut Neighbours) -> Vec<Step> {
        std::iter::from_fn(|| neighbours.poll_step()).collect()
    }

    /// One neighbour in the table.
    fn one() -> (Neighbours, HopId) {
        let mut neighbours = Neighbours::default();
        let hop = neighbours.add(key(9), 0).unwrap();
        (neighbours, hop)
    }

    /// One that is in this state.
    fn in_state(state: State) -> (Neighbours, HopId) {
        let (mut neighbours, hop) = one();
        neighbours.enter(START, hop, state);
        steps(&mut neighbours);
        while neighbours.poll_change().is_some() {}
        (neighbours, hop)
    }

    fn sent(number: u8, mac: MacAddress) -> Step {
        Step::Send {
            key: key(9),
            mac,
            packet: packet(number),
        }
    }

    #[test]
    fn packets_wait_for_the_answer_and_leave_in_their_order() {
        let (mut neighbours, hop) = one();
        for number in 0..3 {
            neighbours.handle_packet(START, hop, packet(number));
        }
        assert_eq!(steps(&mut neighbours), [Step::Ask { hop, at: None }]);
        assert_eq!(neighbours.direct(hop), Err(Hop::Slow));
        neighbours.handle_claim(START, &key(9), claim(A, true, true));
        assert_eq!(steps(&mut neighbours), [sent(0, A), sent(1, A), sent(2, A)]);
        assert_eq!(neighbours.poll_change(), Some(hop));
        assert_eq!(neighbours.direct(hop), Ok((key(9), A, false)));
    }

    #[test]
    fn of_too_many_packets_the_oldest_go() {
        let (mut neighbours, hop) = one();
        for number in 0..WAITING_MAX as u8 + 2 {
            neighbours.handle_packet(START, hop, packet(number));
        }
        let all = steps(&mut neighbours);
        let full = Step::Drop(DropReason::TxFull, 1);
        assert_eq!(all.iter().filter(|step| **step == full).count(), 2);
        neighbours.handle_claim(START, &key(9), claim(A, true, true));
        let all = steps(&mut neighbours);
        assert_eq!((all.len(), &all[0]), (WAITING_MAX, &sent(2, A)));
    }

    #[test]
    fn one_that_does_not_answer_is_asked_thrice_and_later_again() {
        let (mut neighbours, hop) = one();
        neighbours.handle_packet(START, hop, packet(0));
        let mut now = START;
        let mut asked = 0;
        while let Some(due) = neighbours.next_timeout() {
            let all = steps(&mut neighbours);
            asked += all.len();
            assert!(all.iter().all(|step| *step == Step::Ask { hop, at: None }));
            if neighbours.state(hop) == Some(State::Incomplete { asked: ASKED_MAX }) {
                break;
            }
            now = due;
            neighbours.handle_timeout(now);
        }
        assert_eq!((asked, now), (3, START + 2 * RETRANS));
        now += RETRANS;
        neighbours.handle_timeout(now);
        let refused = Step::Drop(DropReason::TxRefused, 1);
        assert!(steps(&mut neighbours).iter().eq([&refused]));
        assert_eq!(neighbours.direct(hop), Err(Hop::Unreachable));
        neighbours.handle_packet(now, hop, packet(1));
        assert!(steps(&mut neighbours).iter().eq([&refused]));
        now += RETRY_AFTER;
        neighbours.handle_timeout(now);
        assert_eq!(neighbours.direct(hop), Err(Hop::Slow));
        neighbours.handle_packet(now, hop, packet(2));
        assert_eq!(steps(&mut neighbours), [Step::Ask { hop, at: None }]);
        // Even an answer that comes late is one.
        neighbours.handle_claim(now, &key(9), claim(A, true, true));
        assert_eq!(steps(&mut neighbours), [sent(2, A)]);
    }

    #[test]
    fn one_that_is_in_use_is_made_sure_of() {
        let (mut neighbours, hop) = in_state(State::Reachable { mac: A });
        let mut now = START + REACHABLE;
        neighbours.handle_timeout(now);
        // The next packet is to come here; until then nothing is asked.
        assert_eq!(neighbours.direct(hop), Ok((key(9), A, true)));
        assert_eq!(
            (neighbours.next_timeout(), steps(&mut neighbours)),
            (None, vec![])
        );
        neighbours.handle_packet(now, hop, packet(0));
        assert_eq!(steps(&mut neighbours), [sent(0, A)]);
        assert_eq!(neighbours.direct(hop), Ok((key(9), A, false)));
        now += DELAY;
        for _ in 0..ASKED_MAX {
            neighbours.handle_timeout(now);
            assert_eq!(steps(&mut neighbours), [Step::Ask { hop, at: Some(A) }]);
            assert_eq!(neighbours.direct(hop), Ok((key(9), A, false)));
            now += RETRANS;
        }
        neighbours.handle_timeout(now);
        assert_eq!(neighbours.direct(hop), Err(Hop::Slow));
        neighbours.handle_packet(now, hop, packet(1));
        assert_eq!(steps(&mut neighbours), [Step::Ask { hop, at: None }]);
    }

    #[test]
    fn every_claim_in_every_state() {
        let reachable = |mac| State::Reachable { mac };
        let stale = |mac| State::Stale { mac };
        let nothing = Claim {
            mac: None,
            solicited: true,
            overrides: false,
        };
        let known = [
            stale(A),
            State::Delay { mac: A },
            State::Probe { mac: A, asked: 2 },
        ];
        let unknown = [
            State::Unknown,
            State::Incomplete { asked: 2 },
            State::Failed,
        ];
        for state in unknown {
            for (claim, next) in [
                (nothing, state),
                (claim(B, true, false), reachable(B)),
                (claim(B, true, true), reachable(B)),
                (claim(B, false, true), stale(B)),
            ] {
                check(state, claim, next);
            }
        }
        for state in known.into_iter().chain([reachable(A)]) {
            for (claim, next) in [
                (nothing, reachable(A)),
                (claim(A, true, false), reachable(A)),
                (claim(A, false, true), state),
                (claim(B, true, true), reachable(B)),
                (claim(B, false, true), stale(B)),
            ] {
                check(state, claim, next);
            }
        }
        for state in known {
            check(state, claim(B, true, false), state);
        }
        check(reachable(A), claim(B, true, false), stale(A));
    }

    fn check(state: State, claim: Claim, next: State) {
        let (mut neighbours, hop) = in_state(state);
        neighbours.handle_claim(START, &key(9), claim);
        assert_eq!(neighbours.state(hop), Some(next), "{state:?} {claim:?}");
        neighbours.handle_claim(START, &key(8), claim);
        assert_eq!(neighbours.find(&key(8)), None);
    }

    #[test]
    fn the_table_is_bounded_and_can_be_cleared() {
        let mut neighbours = Neighbours::default();
        let key = |number: usize| Key {
            address: IpAddr::from((number as u32).to_be_bytes()),
            ..key(0)
        };
        let mut added = 0;
        while let Some(hop) = neighbours.add(key(added), 0) {
            neighbours.handle_packet(START, hop, packet(0));
            added += 1;
        }
        assert_eq!(added, HOPS_MAX - HopId::FIRST);
        steps(&mut neighbours);
        neighbours.clear();
        assert_eq!(
            steps(&mut neighbours),
            [Step::Drop(DropReason::TxRefused, added as u64)]
        );
        assert_eq!(
            (neighbours.next_timeout(), neighbours.poll_change()),
            (None, None)
        );
        assert_eq!(neighbours.find(&key(0)), None);
        assert!(neighbours.add(key(0), 0).is_some());
    }
}
