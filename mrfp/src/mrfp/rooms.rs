//! Rooms: where they are, what they are made of, and how their parts are joined.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use media::EncodingConfig;
use mg::ContextStream;

use super::Mrfp;
use super::streams::Member;
use crate::cascade::Link;
use crate::coding::{Coder, is_tickwise, tick_samples};
use crate::load::DspLoad;
use crate::order::Order;
use crate::room::{Group, Member as RoomMember, NOBODY, Plan, Room, TALKERS_MAX};

/// What is known of a worker.
pub(super) struct Worker {
    pub load: Arc<DspLoad>,
    /// What its streams cost in a tick, if all talked.
    cost_ns: u64,
    /// What of it came too late for the last measurement, by the windows in which it came.
    fresh: VecDeque<(u64, u64)>,
}

/// What is known of a room.
pub(super) struct RoomRecord {
    pub name: ContextStream,
    pub rate: u32,
    /// At least one, but while the room is made.
    pub parts: Vec<Part>,
    /// Parts that are joined, by their workers, the lower first.
    links: BTreeSet<(u16, u16)>,
    /// The rate of what they say to each other.
    linked_rate: u32,
    pub dominant: Arc<AtomicU32>,
}

/// What of a room is on one worker.
pub(super) struct Part {
    pub worker: u16,
    pub slots: Vec<u32>,
    cost_ns: u64,
    /// Formats that are encoded there, and how often at most.
    encodings: Vec<(EncodingConfig, usize)>,
}

impl Worker {
    pub fn new(load: Arc<DspLoad>) -> Self {
        Self {
            load,
            cost_ns: 0,
            fresh: VecDeque::new(),
        }
    }

    /// A stream costs so much, and not what it did before.
    pub fn change_cost(&mut self, before_ns: u64, now_ns: u64) {
        self.cost_ns = (self.cost_ns + now_ns).saturating_sub(before_ns);
        let more = now_ns.saturating_sub(before_ns);
        if more == 0 {
            return;
        }
        let window = self.load.windows();
        self.fresh.retain(|(since, _)| is_fresh(*since, window));
        match self.fresh.back_mut() {
            Some((since, cost)) if *since == window => *cost += more,
            _ => self.fresh.push_back((window, more)),
        }
    }

    /// What a tick is expected to take: what was measured, but no less than what those there are
    /// will want when some of them talk; and what came since.
    fn expected_ns(&self) -> u64 {
        // Without streams its last word is an old one.
        if self.cost_ns == 0 {
            return 0;
        }
        let window = self.load.windows();
        let fresh = self.fresh.iter();
        let fresh = fresh.filter(|(since, _)| is_fresh(*since, window));
        let fresh: u64 = fresh.map(|(_, cost)| cost).sum();
        let known = self.cost_ns.saturating_sub(fresh);
        self.load.busy_ns().max(known / SILENT_SHARE) + fresh
    }

    /// True when a stream that costs so much does no harm to those there are.
    pub fn has_room(&self, cost_ns: u64) -> bool {
        let is_late = self.load.lag_ns() >= LAG_NS_MAX;
        self.cost_ns == 0 || !is_late && self.expected_ns() + cost_ns <= COST_NS_MAX
    }
}

/// What came in a window was not there in all of the last one that is over.
fn is_fresh(since: u64, windows: u64) -> bool {
    windows < since + 2
}

impl Part {
    fn new(worker: u16) -> Self {
        Self {
            worker,
            slots: Vec::new(),
            cost_ns: 0,
            encodings: Vec::new(),
        }
    }

    /// Who is sent this has an encoder to itself at times: talkers do, and the others share one.
    fn encodes(&self, coding: &EncodingConfig) -> bool {
        let mut known = self.encodings.iter();
        let known = known.find(|(other, _)| other == coding);
        !is_tickwise(coding) || known.is_none_or(|(_, times)| *times <= TALKERS_MAX)
    }

    fn add(&mut self, slot: u32, cost_ns: u64, coding: Option<&EncodingConfig>) {
        self.slots.push(slot);
        self.cost_ns += cost_ns;
        let Some(coding) = coding else {
            return;
        };
        match self.encodings.iter_mut().find(|(other, _)| other == coding) {
            Some((_, times)) => *times += 1,
            None => self.encodings.push((coding.clone(), 1)),
        }
    }
}

impl Mrfp {
    /// True when some worker could take one more stream.
    pub(super) fn has_room(&self) -> bool {
        self.workers.iter().any(|worker| worker.has_room(0))
    }

    /// The worker that has least to do, of those that can do so much more.
    fn least_busy(&self, cost_ns: u64, is_asked: impl Fn(u16) -> bool) -> Option<u16> {
        let workers = (0..).zip(&self.workers);
        let able = workers.filter(|(index, worker)| is_asked(*index) && worker.has_room(cost_ns));
        let least = able.min_by_key(|(_, worker)| worker.expected_ns())?;
        Some(least.0)
    }

    /// The room that some streams are in, or a new one.
    pub(super) fn room_of(&mut self, name: ContextStream, slots: &[u32], rate: u32) -> u32 {
        let rooms = slots.iter().filter_map(|slot| self.streams.get(slot)?.room);
        let known = rooms.into_iter().next();
        if let Some(number) = known
            && let Some(room) = self.rooms.get_mut(&number)
        {
            room.name = name;
            // Who was alone had its own; what several have had stays for those who come.
            let members: usize = room.parts.iter().map(|part| part.slots.len()).sum();
            let had = if members < 2 { 0 } else { room.rate };
            room.rate = had.max(rate);
            return number;
        }
        // There are no more rooms than streams, so some number below theirs is free.
        let first = slots.first().copied().unwrap_or(0);
        let mut numbers = std::iter::once(first).chain(0..);
        let number = numbers.find(|number| !self.rooms.contains_key(number));
        let number = number.unwrap_or(first);
        self.rooms.insert(
            number,
            RoomRecord {
                name,
                rate,
                parts: Vec::new(),
                links: BTreeSet::new(),
                linked_rate: rate,
                dominant: Arc::new(AtomicU32::new(NOBODY)),
            },
        );
        number
    }

    /// Puts each member into a part of its room: those who were in it stay where they are. Streams
    /// that are in it no more have no room.
    pub(super) fn place(&mut self, number: u32, members: &mut [Member<'_>]) {
        let Some(room) = self.rooms.get_mut(&number) else {
            return;
        };
        let before = std::mem::take(&mut room.parts);
        let mut parts: Vec<Part> = before.iter().map(|part| Part::new(part.worker)).collect();
        let was_in: HashMap<u32, usize> = before
            .iter()
            .enumerate()
            .flat_map(|(index, part)| part.slots.iter().map(move |slot| (*slot, index)))
            .collect();
        // Who is new comes last, when it is known what those cost who are not.
        for is_new in [false, true] {
            for member in members.iter_mut() {
                let known = was_in.get(&member.slot);
                if known.is_none() != is_new {
                    continue;
                }
                let index = match known {
                    Some(index) => *index,
                    None => self.part_for(member, &mut parts),
                };
                let part = &mut parts[index];
                let coding = member.coding.as_ref().map(|(coding, _)| coding);
                let encodes = coding.filter(|coding| part.encodes(coding));
                let encodes = encodes.map(|coding| &coding.codec);
                member.cost_ns = self.cost_ns(member.leg, &member.audio, encodes);
                member.worker = part.worker;
                part.add(member.slot, member.cost_ns, coding);
            }
        }
        let here: HashSet<u32> = members.iter().map(|member| member.slot).collect();
        for slot in was_in.keys().filter(|slot| !here.contains(slot)) {
            if let Some(stream) = self.streams.get_mut(slot) {
                stream.room = None;
            }
        }
        if let Some(room) = self.rooms.get_mut(&number) {
            room.parts = parts;
        }
        self.end_empty_parts(number);
    }

    /// The part of a room that one more is put into: one that there is, as long as it is not too
    /// large for its worker; else another, if there is a worker for it.
    fn part_for(&self, member: &Member<'_>, parts: &mut Vec<Part>) -> usize {
        let codec = member.coding.as_ref().map(|(coding, _)| &coding.codec);
        let cost_ns = self.cost_ns(member.leg, &member.audio, codec);
        let part_max = self.config.part_cost_max.as_nanos() as u64;
        let fits = |part: &Part| {
            let worker = self.workers.get(usize::from(part.worker));
            part.cost_ns + cost_ns <= part_max && worker.is_some_and(|it| it.has_room(cost_ns))
        };
        if let Some(index) = parts.iter().position(fits) {
            return index;
        }
        let is_other = |worker| !parts.iter().any(|part| part.worker == worker);
        let other = self.least_busy(cost_ns, is_other);
        // Nobody is turned away here: that is for who opens streams.
        let other = other.or(parts.is_empty().then_some(0));
        if let Some(worker) = other {
            parts.push(Part::new(worker));
            return parts.len() - 1;
        }
        let by_cost = parts.iter().enumerate();
        let least = by_cost.min_by_key(|(_, part)| part.cost_ns);
        least.map_or(0, |(index, _)| index)
    }

    pub(super) fn leave(&mut self, slot: u32) {
        let stream = self.streams.get_mut(&slot);
        let Some(number) = stream.and_then(|stream| stream.room.take()) else {
            return;
        };
        if let Some(room) = self.rooms.get_mut(&number) {
            for part in &mut room.parts {
                part.slots.retain(|other| *other != slot);
            }
            self.end_empty_parts(number);
        }
    }

    /// Ends the parts of a room in which nobody is any more, and the room with the last.
    fn end_empty_parts(&mut self, number: u32) {
        let Some(room) = self.rooms.get_mut(&number) else {
            return;
        };
        let all = std::mem::take(&mut room.parts);
        let (ended, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|part| part.slots.is_empty());
        room.parts = kept;
        let left: Vec<u16> = room.parts.iter().map(|part| part.worker).collect();
        let ended: Vec<u16> = ended.iter().map(|part| part.worker).collect();
        let is_ended = |worker: u16| ended.contains(&worker);
        room.links
            .retain(|(one, other)| !is_ended(*one) && !is_ended(*other));
        if left.is_empty() {
            self.rooms.remove(&number);
        }
        for peer in ended {
            self.order(peer, Order::Room(number, None));
            for &worker in &left {
                let (room, link) = (number, None);
                self.order(worker, Order::Link { room, peer, link });
            }
        }
    }

    /// Builds the room anew from the streams that are in it.
    pub(super) fn publish_room(
        &mut self,
        number: u32,
        members: &[Member<'_>],
        isolated: &[(u32, u32)],
    ) {
        let Some(room) = self.rooms.get(&number) else {
            return;
        };
        let mut isolated = isolated.to_vec();
        isolated.sort_unstable();
        let workers: Vec<u16> = room.parts.iter().map(|part| part.worker).collect();
        let (rate, dominant) = (room.rate, Arc::clone(&room.dominant));
        for worker in workers {
            let here = members.iter().filter(|member| member.worker == worker);
            let (members_here, groups) = part_of(&here.collect::<Vec<_>>(), &isolated);
            self.tickets = self.tickets.wrapping_add(1);
            let part = Room::new(Plan {
                rate,
                ticket: self.tickets,
                members: members_here,
                groups,
                isolated: isolated.clone(),
                is_alone: members.len() < 2,
                workers: self.workers.len(),
                dominant: Arc::clone(&dominant),
            });
            self.order(worker, Order::Room(number, Some(Box::new(part))));
        }
        self.join_parts(number);
    }

    /// Joins each part of a room to each other, where that is not so yet.
    fn join_parts(&mut self, number: u32) {
        let Some(room) = self.rooms.get_mut(&number) else {
            return;
        };
        if room.linked_rate != room.rate {
            // What is said has another length from now on.
            room.linked_rate = room.rate;
            room.links.clear();
        }
        let samples = tick_samples(room.rate);
        let workers: BTreeSet<u16> = room.parts.iter().map(|part| part.worker).collect();
        let pairs = workers.iter().flat_map(|&one| {
            let others = workers.iter().filter(move |&&other| other > one);
            others.map(move |&other| (one, other))
        });
        let new: Vec<(u16, u16)> = pairs.filter(|pair| !room.links.contains(pair)).collect();
        room.links.extend(&new);
        for (one, other) in new {
            let (here, there) = Link::pair(samples);
            for (worker, peer, link) in [(one, other, here), (other, one, there)] {
                let (room, link) = (number, Some(link));
                self.order(worker, Order::Link { room, peer, link });
            }
        }
    }
}

/// The members of a part, and an encoder for each way in which several of them are sent the same.
fn part_of(members: &[&Member<'_>], isolated: &[(u32, u32)]) -> (Vec<RoomMember>, Vec<Group>) {
    let ways = members.iter().filter_map(|member| shared_way(member));
    let coders = of_several(ways).into_iter().map(Coder::new);
    let groups: Vec<Group> = coders.flatten().map(|coder| Group { coder }).collect();
    let group_of = |way| groups.iter().position(|group| group.coder.config() == way);
    let members = members.iter().map(|member| RoomMember {
        slot: member.slot,
        sends: member.leg.mode.sends() && member.coding.is_some(),
        group: shared_way(member)
            .and_then(group_of)
            .and_then(|group| u16::try_from(group).ok()),
        is_isolated: isolated.iter().any(|(_, to)| *to == member.slot),
    });
    (members.collect(), groups)
}

/// The ways that are several members', each once.
///
/// Who is alone in a way keeps to its own encoder: each change between the two takes one encoding
/// more (see [`codecs::Encoder::begin`]), and two who talk by turns would change at each turn.
fn of_several<'a>(all: impl Iterator<Item = &'a EncodingConfig>) -> Vec<&'a EncodingConfig> {
    let mut ways: Vec<(&EncodingConfig, usize)> = Vec::new();
    for way in all {
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, count)) => *count += 1,
            None => ways.push((way, 1)),
        }
    }
    let several = ways.into_iter().filter(|(_, count)| *count > 1);
    several.map(|(way, _)| way).collect()
}

/// How a member is sent what others may be sent too.
fn shared_way<'a>(member: &'a Member<'_>) -> Option<&'a EncodingConfig> {
    let (coding, _) = member.coding.as_ref()?;
    (member.leg.mode.sends() && is_tickwise(coding)).then_some(coding)
}

/// What the streams of a worker may cost together: four fifths of a tick.
const COST_NS_MAX: u64 = 16_000_000;

/// How late ticks may begin before no streams are added.
const LAG_NS_MAX: u64 = 10_000_000;

/// Of those who are silent now, one in so many may begin to talk.
const SILENT_SHARE: u64 = 4;

#[cfg(test)]
mod tests {
    use codecs::{Codec, EncoderConfig};

    use super::*;

    #[test]
    fn an_encoder_is_shared_by_two_at_least() {
        let way = |codec, sample_rate| EncodingConfig {
            codec,
            encoder: EncoderConfig::default(),
            sample_rate,
        };
        let (narrow, wide) = (way(Codec::Pcma, 8_000), way(Codec::Pcma, 16_000));
        let other = way(Codec::Pcmu, 8_000);
        let ways = [&narrow, &other, &wide, &narrow, &wide, &narrow];
        assert_eq!(of_several(ways.into_iter()), [&narrow, &wide]);
        assert!(of_several([&narrow, &other].into_iter()).is_empty());
    }

    #[test]
    fn what_is_measured_counts_and_what_came_since_is_added() {
        let mut worker = Worker::new(Arc::default());
        assert!(worker.has_room(COST_NS_MAX * 2));
        worker.change_cost(0, 8_000_000);
        assert_eq!(worker.expected_ns(), 8_000_000);
        // It takes less than it might, since most are silent; not all of them will always be.
        worker.load.end_window(1_000_000);
        assert_eq!(worker.expected_ns(), 8_000_000 + 1_000_000);
        worker.load.end_window(1_000_000);
        assert_eq!(worker.expected_ns(), 2_000_000);
        worker.load.end_window(5_000_000);
        assert_eq!(worker.expected_ns(), 5_000_000);
        worker.change_cost(0, 10_000_000);
        assert_eq!(worker.expected_ns(), 15_000_000);
        assert!(worker.has_room(1_000_000) && !worker.has_room(1_000_001));
        // What was measured is more than was thought.
        worker.load.end_window(0);
        worker.load.end_window(15_900_000);
        assert!(worker.has_room(100_000) && !worker.has_room(100_001));
        worker.change_cost(18_000_000, 0);
        assert_eq!(worker.expected_ns(), 0);
    }

    #[test]
    fn a_worker_that_is_late_takes_nothing_more() {
        let mut worker = Worker::new(Arc::default());
        worker.change_cost(0, 1000);
        for _ in 0..500 {
            worker.load.begin_tick(LAG_NS_MAX * 2);
        }
        assert!(!worker.has_room(0));
    }
}
