//! A room on its worker: one stream of a context, a tick at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base::Instant;
use dataplane::Outlet;
use media::loudest::{Fade, Loudest};
use media::mix::{Sum, ramp};
use media::{TICK, Workspace};

use crate::coding::{Coder, cost_ns, tick_samples};
use crate::load::DspLoad;
use crate::stream::Stream;

/// The streams of a worker, by their slots.
pub(crate) type Streams = [Option<Box<Stream>>];

/// One room.
pub(crate) struct Room {
    members: Box<[Member]>,
    groups: Box<[Group]>,
    /// Who does not hear whom, by places: `(from, to)`, in order.
    isolated: Box<[(u16, u16)]>,
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
    /// Others do not hear it, or it does not hear others.
    pub is_isolated: bool,
}

/// An encoder for all who hear the same and are sent the same.
pub(crate) struct Group {
    pub coder: Coder,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Pull(usize),
    Choose,
    Group(usize),
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
    /// A room whose ticks have samples at `rate`.
    pub fn new(
        rate: u32,
        ticket: u32,
        members: Vec<Member>,
        groups: Vec<Group>,
        isolated: Vec<(u16, u16)>,
        dominant: Arc<AtomicU32>,
    ) -> Self {
        Self {
            members: members.into(),
            groups: groups.into(),
            isolated: isolated.into(),
            sum: Sum::new(tick_samples(rate)),
            samples: tick_samples(rate),
            loudest: Loudest::new(TALKERS_MAX),
            dominant,
            release: Instant::ZERO,
            ticket,
            step: Step::Pull(0),
        }
    }

    /// Takes over what goes on of the room that this one replaces.
    pub fn adopt(&mut self, before: &mut Self) {
        std::mem::swap(&mut self.loudest, &mut before.loudest);
        for member in &before.members {
            if !self.members.iter().any(|other| other.slot == member.slot) {
                self.loudest.remove(member.slot);
            }
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

    /// What the next step costs, roughly.
    pub fn next_cost_ns(&self, streams: &Streams) -> u64 {
        match self.step {
            Step::Pull(place) => match self.stream(place, streams) {
                Some(stream) if stream.is_heard => match &stream.sending {
                    Some(sending) => cost_ns(&sending.coder.config().codec).1,
                    None => STEP_NS,
                },
                _ => IDLE_NS,
            },
            Step::Choose => STEP_NS,
            Step::Group(index) => {
                let group = self.groups.get(index);
                group.map_or(IDLE_NS, |group| cost_ns(&group.coder.config().codec).0)
            }
            Step::Own(place) => match self.stream(place, streams) {
                Some(stream) if self.has_own(place, stream) => match &stream.sending {
                    Some(sending) => cost_ns(&sending.coder.config().codec).0,
                    None => STEP_NS,
                },
                _ => IDLE_NS,
            },
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
                self.send_group(index, desk);
                self.step = Step::Group(index + 1);
            }
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

    /// Chooses who is heard, and adds them up.
    fn choose(&mut self, desk: &mut Desk<'_, '_>) {
        for member in &self.members {
            let stream = of(desk.streams, member.slot);
            if let Some(stream) = stream
                && let Some(loudness) = stream.loudness_dbov()
            {
                let is_talking = stream.pulled.is_talking;
                self.loudest.consider(member.slot, loudness, is_talking);
            }
        }
        if self.loudest.choose() {
            let dominant = self.loudest.dominant().unwrap_or(NOBODY);
            self.dominant.store(dominant, Ordering::Relaxed);
        }
        let dominant = self.loudest.dominant();
        for member in &self.members {
            if let Some(stream) = of(desk.streams, member.slot) {
                stream.tell_talk(desk.outlet, dominant == Some(member.slot));
            }
        }
        self.sum.clear();
        for (slot, fade) in self.loudest.heard() {
            if let Some(stream) = of(desk.streams, slot) {
                match fade {
                    Fade::None => {}
                    Fade::In => ramp(&mut stream.said, 0.0, 1.0),
                    Fade::Out => ramp(&mut stream.said, 1.0, 0.0),
                }
                self.sum.add(&stream.said);
            }
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
        self.members[place].sends && self.members.len() > 1 && !self.shares(place, stream)
            || stream.has_sounds()
    }

    /// The number of the tick that is under way: the same for all rooms, so that timestamps go on
    /// from one to the other.
    fn tick(&self) -> u64 {
        (u128::from(self.release.as_nanos()) / TICK.as_nanos()) as u64
    }

    /// Encodes for those who hear the same, and sends it to each.
    fn send_group(&mut self, index: usize, desk: &mut Desk<'_, '_>) {
        let group_number = Some(index as u16);
        let is_of = |member: &Member| member.sends && member.group == group_number;
        let mut places = self
            .members
            .iter()
            .enumerate()
            .filter(|(_, member)| is_of(member));
        let hears = places.any(|(place, member)| {
            let stream = of(desk.streams, member.slot);
            stream.is_some_and(|stream| self.shares(place, stream))
        });
        if !hears || self.members.len() < 2 {
            return;
        }
        let samples = self.samples;
        let heard = &mut desk.bench.heard[..samples];
        self.sum.write(heard);
        desk.load.count_encoded();
        let (tick, members, loudest) = (self.tick(), &self.members, &self.loudest);
        let Some(group) = self.groups.get_mut(index) else {
            return;
        };
        group.coder.push(tick, heard);
        while let Some(mut outgoing) = group.coder.next_packet() {
            for member in members.iter().filter(|member| is_of(member)) {
                if member.is_isolated || loudest.hears(member.slot) {
                    continue;
                }
                let stream = of(desk.streams, member.slot);
                if let Some(stream) = stream.filter(|stream| !stream.hears_its_own()) {
                    stream.send_shared(desk.outlet, &mut outgoing);
                }
            }
        }
    }

    /// Encodes for one who hears what no other does.
    fn send_own(&mut self, place: usize, desk: &mut Desk<'_, '_>) {
        let member = self.members[place];
        let samples = self.samples;
        let Some(stream) = of(desk.streams, member.slot) else {
            return;
        };
        let is_alone = self.members.len() < 2;
        if !is_alone && self.shares(place, stream) {
            if !member.sends {
                stream.skip();
            }
            return;
        }
        let Bench { heard, scratch, .. } = &mut *desk.bench;
        let heard = &mut heard[..samples];
        if member.is_isolated {
            self.sum_for(place, desk.streams, heard);
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
    fn sum_for(&self, place: usize, streams: &mut Streams, heard: &mut [i16]) {
        heard.fill(0);
        for (slot, _) in self.loudest.heard() {
            let talker = self.members.iter().position(|member| member.slot == slot);
            let Some(talker) = talker.filter(|&talker| talker != place) else {
                continue;
            };
            let pair = (talker as u16, place as u16);
            if self.isolated.binary_search(&pair).is_ok() {
                continue;
            }
            if let Some(stream) = of(streams, slot) {
                for (sample, said) in heard.iter_mut().zip(&stream.said) {
                    *sample = sample.saturating_add(*said);
                }
            }
        }
    }
}

fn of(streams: &mut Streams, slot: u32) -> Option<&mut Stream> {
    streams.get_mut(slot as usize)?.as_deref_mut()
}

/// Talkers that are added up; smaller rooms have no choice to make.
const TALKERS_MAX: usize = 4;

/// No slot.
pub(crate) const NOBODY: u32 = u32::MAX;

/// A tick later than this is left out: what it would send is of no use any more.
const LATE_MAX: Duration = Duration::from_millis(100);

/// What a step costs without encoding or decoding.
const STEP_NS: u64 = 700;

/// What it costs to find that there is nothing to do.
const IDLE_NS: u64 = 100;
