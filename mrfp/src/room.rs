//! A room on its worker, or the part of one: one stream of a context, a tick at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base::Instant;
use dataplane::Outlet;
use media::loudest::{Fade, Loudest};
use media::mix::{Sum, ramp};
use media::{TICK, Workspace};

use crate::cascade::{Due, Link, SAID_MAX};
use crate::coding::{Class, Coder, Operation, tick_samples};
use crate::load::DspLoad;
use crate::stream::Stream;

/// The streams of a worker, by their slots.
pub(crate) type Streams = [Option<Box<Stream>>];

/// One room, or what of it is on one worker.
pub(crate) struct Room {
    members: Box<[Member]>,
    groups: Box<[Group]>,
    /// Who does not hear whom, by slots: `(from, to)`, in order.
    isolated: Box<[(u32, u32)]>,
    /// Nobody else is in it, on no worker.
    is_alone: bool,
    /// To the parts on other workers, by these.
    links: Box<[Option<Box<Link>>]>,
    /// Who is heard there.
    offered: Loudest,
    sum: Sum,
    /// Samples of a tick.
    samples: usize,
    loudest: Loudest,
    /// Who talks most, by its slot, or [`NOBODY`]: for people.
    dominant: Arc<AtomicU32>,
    /// When the tick begins that is under way, or the next.
    pub release: Instant,
    /// Another number than that of the room that had its place before.
    pub ticket: u32,
    step: Step,
}

/// A stream in a room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub slot: u32,
    /// The mode lets it send.
    pub sends: bool,
    /// Of those that encode alike.
    pub group: Option<u16>,
    /// There are others whom it does not hear.
    pub is_isolated: bool,
}

/// An encoder for all who hear the same and are sent the same.
pub(crate) struct Group {
    pub coder: Coder,
}

/// What a room is made of.
pub(crate) struct Plan {
    /// Samples per second.
    pub rate: u32,
    /// Another number than that of the room that had its place before.
    pub ticket: u32,
    pub members: Vec<Member>,
    pub groups: Vec<Group>,
    /// Who does not hear whom, by slots: `(from, to)`, in order.
    pub isolated: Vec<(u32, u32)>,
    pub is_alone: bool,
    /// Workers there are.
    pub workers: usize,
    /// Where who talks most is published.
    pub dominant: Arc<AtomicU32>,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Pull(usize),
    Choose,
    /// Encodes for a group.
    Group(usize),
    /// Sends that to some of it, from this place on.
    Share(usize, usize),
    Own(usize),
}

/// Buffers that are needed only while a step runs: one for all rooms of a worker.
pub(crate) struct Bench {
    pub workspace: Workspace,
    heard: Box<[i16]>,
    scratch: Box<[i16]>,
}

impl Default for Bench {
    fn default() -> Self {
        let buffer = || vec![0; media::mix::TICK_SAMPLES_MAX].into();
        Self {
            workspace: Workspace::default(),
            heard: buffer(),
            scratch: buffer(),
        }
    }
}

/// What a step works with.
pub(crate) struct Desk<'a, 'b> {
    pub streams: &'a mut Streams,
    pub bench: &'a mut Bench,
    pub outlet: &'a mut Outlet<'b>,
    pub load: &'a DspLoad,
}

impl Room {
    /// A room that has not begun.
    pub fn new(plan: Plan) -> Self {
        let samples = tick_samples(plan.rate);
        Self {
            members: plan.members.into(),
            groups: plan.groups.into(),
            isolated: plan.isolated.into(),
            is_alone: plan.is_alone,
            links: (0..plan.workers).map(|_| None).collect(),
            offered: Loudest::new(SAID_MAX),
            sum: Sum::new(samples),
            samples,
            loudest: Loudest::new(TALKERS_MAX),
            dominant: plan.dominant,
            release: Instant::ZERO,
            ticket: plan.ticket,
            step: Step::Pull(0),
        }
    }

    /// Joins it to the part on another worker, or parts it from that; returns what was between them
    /// before.
    pub fn set_link(&mut self, peer: u16, link: Option<Box<Link>>) -> Option<Box<Link>> {
        match self.links.get_mut(usize::from(peer)) {
            Some(place) => std::mem::replace(place, link),
            None => link,
        }
    }

    /// Takes over what goes on of the room that this one replaces.
    pub fn adopt(&mut self, before: &mut Self) {
        std::mem::swap(&mut self.loudest, &mut before.loudest);
        std::mem::swap(&mut self.offered, &mut before.offered);
        for member in &before.members {
            if !self.members.iter().any(|other| other.slot == member.slot) {
                self.loudest.remove(member.slot);
                self.offered.remove(member.slot);
            }
        }
        if self.links.len() == before.links.len() {
            std::mem::swap(&mut self.links, &mut before.links);
        }
        for group in &mut self.groups {
            let mut others = before.groups.iter_mut();
            let same = others.find(|other| other.coder.config() == group.coder.config());
            if let Some(same) = same {
                std::mem::swap(&mut group.coder, &mut same.coder);
            }
        }
        self.release = before.release;
        self.ticket = before.ticket;
    }

    /// What the next step codes, if anything.
    pub fn next_operation(&self, streams: &Streams) -> Option<(Class, Operation)> {
        let class = |coder: &Coder| Class::of(&coder.config().codec);
        match self.step {
            Step::Pull(place) => {
                let stream = self.stream(place, streams).filter(|it| it.is_heard)?;
                let sending = stream.sending.as_ref()?;
                Some((class(&sending.coder), Operation::Decode))
            }
            Step::Choose | Step::Share(..) => None,
            Step::Group(index) => {
                let group = self.groups.get(index)?;
                Some((class(&group.coder), Operation::Encode))
            }
            Step::Own(place) => {
                let stream = self.stream(place, streams);
                let sending = stream
                    .filter(|it| self.has_own(place, it))?
                    .sending
                    .as_ref()?;
                Some((class(&sending.coder), Operation::Encode))
            }
        }
    }

    /// What the next step costs, roughly, where it codes nothing.
    pub fn next_cost_ns(&self) -> u64 {
        match self.step {
            Step::Choose => STEP_NS,
            Step::Share(..) => SHARE_NS,
            _ => IDLE_NS,
        }
    }

    fn stream<'a>(&self, place: usize, streams: &'a Streams) -> Option<&'a Stream> {
        let slot = self.members.get(place)?.slot;
        streams.get(slot as usize)?.as_deref()
    }

    /// Does the next step; true when the tick is done.
    pub fn work(&mut self, desk: &mut Desk<'_, '_>) -> bool {
        match self.step {
            Step::Pull(place) if place < self.members.len() => {
                self.pull(place, desk);
                self.step = Step::Pull(place + 1);
            }
            Step::Pull(_) => self.step = Step::Choose,
            Step::Choose => {
                self.choose(desk);
                self.step = Step::Group(0);
            }
            Step::Group(index) if index < self.groups.len() => {
                self.step = match self.encode_group(index, desk) {
                    true => Step::Share(index, 0),
                    false => Step::Group(index + 1),
                };
            }
            Step::Share(index, place) => self.step = self.share(index, place, desk),
            Step::Group(_) => self.step = Step::Own(0),
            Step::Own(place) if place < self.members.len() => {
                self.send_own(place, desk);
                self.step = Step::Own(place + 1);
            }
            Step::Own(_) => {
                self.step = Step::Pull(0);
                self.release += TICK;
                return true;
            }
        }
        false
    }

    /// Leaves ticks out that are too late to be of use; returns how many.
    pub fn skip_late(&mut self, now: Instant) -> u64 {
        let mut skipped = 0;
        while self.step == Step::Pull(0) && self.release + LATE_MAX < now {
            self.release += TICK;
            skipped += 1;
        }
        skipped
    }

    /// True between two ticks.
    pub fn is_between(&self) -> bool {
        self.step == Step::Pull(0)
    }

    fn pull(&mut self, place: usize, desk: &mut Desk<'_, '_>) {
        let Some(stream) = of(desk.streams, self.members[place].slot) else {
            return;
        };
        let Bench {
            workspace, scratch, ..
        } = desk.bench;
        stream.pull(desk.outlet, workspace, scratch);
        stream.return_ended(desk.outlet);
    }

    /// Of two streams, has each send the keys that came to the other.
    fn pass_keys(&self, streams: &mut Streams) {
        let [one, other] = &*self.members else {
            return;
        };
        for (from, to) in [(one, other), (other, one)] {
            let Some(keys) = of(streams, from.slot).map(|from| from.passing.take()) else {
                continue;
            };
            let hears = to.sends && !to.is_isolated;
            if let Some(to) = of(streams, to.slot) {
                let keys = keys.filter(|key| hears || key.lasted.is_some());
                keys.for_each(|key| to.pass_key(key));
            }
        }
    }

    /// Chooses who is heard, and adds them up.
    fn choose(&mut self, desk: &mut Desk<'_, '_>) {
        self.pass_keys(desk.streams);
        let is_part = self.links.iter().any(Option::is_some);
        if is_part {
            self.hear_others(desk.load);
        }
        for member in &self.members {
            let stream = of(desk.streams, member.slot);
            if let Some(stream) = stream
                && let Some(loudness) = stream.loudness_dbov()
            {
                let is_talking = stream.pulled.is_talking;
                self.loudest.consider(member.slot, loudness, is_talking);
                if is_part {
                    self.offered.consider(member.slot, loudness, is_talking);
                }
            }
        }
        if self.loudest.choose() {
            let dominant = self.loudest.dominant().unwrap_or(NOBODY);
            self.dominant.store(dominant, Ordering::Relaxed);
        }
        if is_part {
            self.tell_others(desk);
        }
        let dominant = self.loudest.dominant();
        for member in &self.members {
            if let Some(stream) = of(desk.streams, member.slot) {
                stream.tell_talk(desk.outlet, dominant == Some(member.slot));
            }
        }
        self.sum.clear();
        for (slot, fade) in self.loudest.heard() {
            if let Some(said) = said_by(slot, desk.streams, &mut self.links) {
                match fade {
                    Fade::None => {}
                    Fade::In => ramp(said, 0.0, 1.0),
                    Fade::Out => ramp(said, 1.0, 0.0),
                }
                self.sum.add(said);
            }
        }
    }

    /// Considers who says something in the other parts.
    fn hear_others(&mut self, load: &DspLoad) {
        let tick = self.tick();
        for link in self.links.iter_mut().flatten() {
            if link.take(tick) == Due::Missed {
                load.count_missed();
            }
            for said in link.heard() {
                let (loudness, is_talking) = (said.loudness_dbov, said.is_talking);
                self.loudest.consider(said.slot, loudness, is_talking);
            }
        }
    }

    /// Says to the other parts what the loudest here say.
    fn tell_others(&mut self, desk: &mut Desk<'_, '_>) {
        let tick = self.tick();
        self.offered.choose();
        for link in self.links.iter_mut().flatten() {
            let Some(mut share) = link.begin(tick) else {
                continue;
            };
            for (slot, fade) in self.offered.heard() {
                let stream = of(desk.streams, slot).filter(|_| fade != Fade::Out);
                if let Some(stream) = stream
                    && let Some(loudness) = stream.loudness_dbov()
                {
                    share.add(slot, loudness, stream.pulled.is_talking, &stream.said);
                }
            }
            link.end(share);
            desk.load.count_shared();
        }
    }

    /// True for a member that hears what all who are silent hear.
    fn shares(&self, place: usize, stream: &Stream) -> bool {
        let member = &self.members[place];
        member.group.is_some()
            && !member.is_isolated
            && !self.loudest.hears(member.slot)
            && !stream.hears_its_own()
    }

    /// True for a member that an encoder of its own works for.
    fn has_own(&self, place: usize, stream: &Stream) -> bool {
        let is_shared = !self.is_alone && self.shares(place, stream);
        self.members[place].sends && !is_shared
    }

    /// The number of the tick that is under way: the same for all rooms, so that timestamps go on
    /// from one to the other.
    fn tick(&self) -> u64 {
        (u128::from(self.release.as_nanos()) / TICK.as_nanos()) as u64
    }

    /// Encodes for those who hear the same; true when there is something to send.
    fn encode_group(&mut self, index: usize, desk: &mut Desk<'_, '_>) -> bool {
        let mut places = self.members.iter().enumerate();
        let hears = places.any(|(place, member)| {
            let stream = of(desk.streams, member.slot).filter(|_| is_of_group(member, index));
            stream.is_some_and(|stream| self.shares(place, stream))
        });
        if !hears || self.is_alone {
            return false;
        }
        let samples = self.samples;
        let heard = &mut desk.bench.heard[..samples];
        self.sum.write(heard);
        desk.load.count_encoded();
        let tick = self.tick();
        let Some(group) = self.groups.get_mut(index) else {
            return false;
        };
        group.coder.push(tick, heard);
        group.coder.next_packet().is_some()
    }

    /// Sends what was encoded for a group to some of it, from a place on; returns what is to be
    /// done next.
    fn share(&mut self, index: usize, first: usize, desk: &mut Desk<'_, '_>) -> Step {
        let Some(coder) = self.groups.get_mut(index).map(|group| &mut group.coder) else {
            return Step::Group(index + 1);
        };
        if let Some(mut outgoing) = coder.last_packet() {
            let mut sent = 0;
            for (place, member) in self.members.iter().enumerate().skip(first) {
                if sent == SHARED_MAX {
                    return Step::Share(index, place);
                }
                let is_apart = member.is_isolated || self.loudest.hears(member.slot);
                if !is_of_group(member, index) || is_apart {
                    continue;
                }
                let stream = of(desk.streams, member.slot);
                if let Some(stream) = stream.filter(|stream| !stream.hears_its_own()) {
                    stream.send_shared(desk.outlet, &mut outgoing);
                    sent += 1;
                }
            }
        }
        // Between two sampling rates a tick may now and then make two packets.
        match coder.next_packet() {
            Some(_) => Step::Share(index, 0),
            None => Step::Group(index + 1),
        }
    }

    /// Encodes for one who hears what no other does.
    fn send_own(&mut self, place: usize, desk: &mut Desk<'_, '_>) {
        let member = self.members[place];
        let samples = self.samples;
        let Some(stream) = of(desk.streams, member.slot) else {
            return;
        };
        if !self.is_alone && self.shares(place, stream) {
            if !member.sends {
                stream.skip();
            }
            return;
        }
        let Bench { heard, scratch, .. } = &mut *desk.bench;
        let heard = &mut heard[..samples];
        if member.is_isolated {
            self.sum_for(member.slot, desk.streams, heard);
        } else if self.loudest.hears(member.slot) {
            let own = of(desk.streams, member.slot).map(|stream| &*stream.said);
            self.sum.write_without(own.unwrap_or(&[]), heard);
        } else {
            self.sum.write(heard);
        }
        let Some(stream) = of(desk.streams, member.slot) else {
            return;
        };
        stream.play(heard, scratch);
        // Who hears nothing is sent silence: a first member waits for others, and many user agents
        // end a call in which nothing arrives.
        if !member.sends {
            return stream.skip();
        }
        desk.load.count_encoded();
        stream.send_own(desk.outlet, self.tick(), heard);
    }

    /// What a member hears from whom nobody isolates it.
    fn sum_for(&mut self, listener: u32, streams: &mut Streams, heard: &mut [i16]) {
        heard.fill(0);
        for (talker, _) in self.loudest.heard() {
            let is_isolated = self.isolated.binary_search(&(talker, listener)).is_ok();
            if talker == listener || is_isolated {
                continue;
            }
            if let Some(said) = said_by(talker, streams, &mut self.links) {
                for (sample, said) in heard.iter_mut().zip(said) {
                    *sample = sample.saturating_add(*said);
                }
            }
        }
    }
}

/// What one says in this tick, here or in another part.
fn said_by<'a>(
    slot: u32,
    streams: &'a mut Streams,
    links: &'a mut [Option<Box<Link>>],
) -> Option<&'a mut [i16]> {
    let mut others = links.iter_mut().flatten().flat_map(|link| link.heard());
    if let Some(said) = others.find(|said| said.slot == slot) {
        return Some(&mut said.samples);
    }
    of(streams, slot).map(|stream| &mut *stream.said)
}

/// True for a member that is sent what is encoded for a group.
fn is_of_group(member: &Member, index: usize) -> bool {
    member.sends && member.group.map(usize::from) == Some(index)
}

fn of(streams: &mut Streams, slot: u32) -> Option<&mut Stream> {
    streams.get_mut(slot as usize)?.as_deref_mut()
}

/// Talkers that are added up; smaller rooms have no choice to make.
pub(crate) const TALKERS_MAX: usize = 4;

/// No slot.
pub(crate) const NOBODY: u32 = u32::MAX;

/// A tick later than this is left out: what it would send is of no use any more.
const LATE_MAX: Duration = Duration::from_millis(100);

/// What a step costs without encoding or decoding.
const STEP_NS: u64 = 700;

/// How many are sent what is encoded once, before packets have their turn.
const SHARED_MAX: usize = 32;

/// What that costs, over AF_XDP less and by sockets more.
const SHARE_NS: u64 = SHARED_MAX as u64 * 1_500;

/// What it costs to find that there is nothing to do.
const IDLE_NS: u64 = 100;
