//! A stream of a termination on its worker: how it is heard, and how it hears.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI8, Ordering};
use std::time::Duration;

use base::Instant;
use dataplane::{DetectedTone, FlowId, Outlet, Sends};
use media::dtmf::{self, Detection, Detector};
use media::level::{SILENCE_DBOV, level_dbov};
use media::mix::Fader;
use media::tone::ToneGenerator;
use media::{Carriage, Outgoing, Pulled, PulledKind, Receiver, Sender, TelephoneEvent, Workspace};
use mg::LegVolume;

use crate::coding::{Coder, tick_samples};
use crate::keys::{KeyPlan, Keys, Passing};
use crate::performing::Performing;
use crate::reports::Reports;
use crate::talk::{Talk, TalkNews};

/// Performances of one stream at a time.
pub(crate) const PERFORMANCES_MAX: usize = 4;

/// One stream.
pub(crate) struct Stream {
    flow: FlowId,
    rate: u32,
    receiver: Receiver,
    detector: Option<Box<Detector>>,
    /// Samples since the detector's first.
    listened: u64,
    /// Where the digit began that sounds among speech.
    digit_since: Option<u64>,
    /// What it says, this tick.
    pub said: Box<[i16]>,
    pub pulled: Pulled,
    /// It says something, this tick.
    pub is_heard: bool,
    /// What sounds both ways, this tick.
    both: Box<[i16]>,
    performing: [Option<Box<Performing>>; PERFORMANCES_MAX],
    outward_digit: Option<ToneGenerator>,
    inward_digit: Option<ToneGenerator>,
    keys: KeyPlan,
    /// What is to be passed on.
    pub passing: Passing,
    /// The key that is being passed to it, as an event.
    passed: Option<u8>,
    volume: LegVolume,
    /// Gain of what comes from the remote side.
    inward: Fader,
    /// Gain of what it hears.
    outward: Fader,
    talk: Talk,
    /// What was told last, where somebody asked.
    news: Option<Box<TalkNews>>,
    pub sending: Option<Sending>,
    /// RTCP, where there is any.
    pub reports: Option<Reports>,
    meter: Arc<Meter>,
}

/// How a stream sends.
pub(crate) struct Sending {
    /// Its own encoder, for what no other hears.
    pub coder: Coder,
    pub sender: Sender,
}

/// Digits that are to sound: outward, inward; by their codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digits {
    pub outward: Option<(u64, u8)>,
    pub inward: Option<(u64, u8)>,
    /// The one outward is another than before.
    pub is_outward_new: bool,
    pub is_inward_new: bool,
}

/// How loud a stream is, for people; written by its worker alone.
#[derive(Debug)]
pub(crate) struct Meter {
    level_dbov: AtomicI8,
    is_talking: AtomicBool,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            level_dbov: AtomicI8::new(SILENCE_DBOV),
            is_talking: AtomicBool::new(false),
        }
    }
}

impl Meter {
    /// Level in dBov, and whether somebody talks.
    pub fn read(&self) -> (i8, bool) {
        let level = self.level_dbov.load(Ordering::Relaxed);
        (level, self.is_talking.load(Ordering::Relaxed))
    }
}

impl Stream {
    /// A stream whose ticks have samples at `rate`, those of its receiver.
    pub fn new(flow: FlowId, rate: u32, receiver: Receiver, meter: Arc<Meter>) -> Self {
        Self {
            flow,
            rate,
            receiver,
            detector: None,
            listened: 0,
            digit_since: None,
            said: vec![0; tick_samples(rate)].into(),
            pulled: SILENT,
            is_heard: false,
            both: vec![0; tick_samples(rate)].into(),
            performing: [const { None }; PERFORMANCES_MAX],
            outward_digit: None,
            inward_digit: None,
            keys: KeyPlan::default(),
            passing: Passing::default(),
            passed: None,
            volume: LegVolume::default(),
            inward: Fader::default(),
            outward: Fader::default(),
            talk: Talk::default(),
            news: None,
            sending: None,
            reports: None,
            meter,
        }
    }

    /// A packet came, opened and admitted.
    pub fn receive(&mut self, arrival: Instant, packet: &[u8]) {
        self.receiver.receive(arrival, packet);
    }

    /// RTCP came, opened and admitted.
    pub fn receive_rtcp(&mut self, arrival: Instant, packet: &[u8]) {
        if let Some(reports) = &mut self.reports {
            reports.receive(arrival, packet, &mut self.receiver);
        }
    }

    /// Takes the tick that is due: what comes from the remote side, and what is played inward.
    pub fn pull(
        &mut self,
        outlet: &mut Outlet<'_>,
        workspace: &mut Workspace,
        scratch: &mut [i16],
    ) {
        self.pulled = self.receiver.pull(outlet.now(), workspace, &mut self.said);
        self.is_heard = self.pulled.kind != PulledKind::Silence;
        if let Some(reports) = &mut self.reports {
            let sender = self.sending.as_ref().map(|sending| &sending.sender);
            reports.send_due(outlet, &mut self.receiver, sender);
        }
        self.tell_digits(outlet);
        if let Some(mode) = self.receiver.requested_mode()
            && let Some(sending) = &mut self.sending
        {
            sending.coder.request_mode(mode);
        }
        for performing in self.performing.iter_mut().flatten() {
            if performing.outward && !performing.inward {
                performing.record(&[&self.said]);
            }
        }
        self.turn_down();
        let scratch = &mut scratch[..self.said.len()];
        self.both.fill(0);
        for performing in self.performing.iter_mut().flatten() {
            if performing.is_sound() && performing.inward {
                performing.sound(scratch);
                add(&mut self.said, scratch);
                self.is_heard = true;
                if performing.outward {
                    add(&mut self.both, scratch);
                }
            }
        }
        if let Some(generator) = &mut self.inward_digit {
            generator.fill(scratch);
            add(&mut self.said, scratch);
            self.is_heard = true;
        }
        let is_played = self.is_heard && self.pulled.kind == PulledKind::Silence;
        if is_played {
            self.pulled.level_dbov = level_dbov(&self.said);
            self.pulled.is_talking = true;
        }
        let meter = &self.meter;
        meter
            .level_dbov
            .store(self.pulled.level_dbov, Ordering::Relaxed);
        meter
            .is_talking
            .store(self.pulled.is_talking, Ordering::Relaxed);
    }

    /// Makes what comes from the remote side as loud as it is to be, or silent.
    fn turn_down(&mut self) {
        self.inward.apply(&mut self.said);
        if self.inward.is_silent() {
            self.is_heard = false;
            self.pulled = SILENT;
        } else if self.is_heard {
            let level = self.pulled.level_dbov;
            let level = level.saturating_add(self.volume.inward_db);
            self.pulled.level_dbov = level.clamp(SILENCE_DBOV, 0);
        }
    }

    /// How loud it is, if it says anything.
    pub fn loudness_dbov(&self) -> Option<f32> {
        let is_played = self.pulled.kind == PulledKind::Silence;
        self.is_heard.then(|| match is_played {
            true => f32::from(self.pulled.level_dbov),
            false => {
                let gain = f32::from(self.volume.inward_db);
                self.receiver.activity().loudness_dbov() + gain
            }
        })
    }

    /// Tells who asked when somebody begins to talk here, ends, or comes to dominate.
    pub fn tell_talk(&mut self, outlet: &mut Outlet<'_>, is_dominant: bool) {
        let is_remote = self.pulled.kind != PulledKind::Silence;
        self.talk.tick(is_remote && self.pulled.is_talking);
        let is_talking = self.talk.is_on();
        let is_new = |news: &mut Box<TalkNews>| {
            (news.is_talking, news.is_dominant) != (is_talking, is_dominant)
        };
        let Some(mut news) = self.news.take_if(is_new) else {
            return;
        };
        (news.is_talking, news.is_dominant) = (is_talking, is_dominant);
        news.level_dbov = self.pulled.level_dbov;
        if let Err(mail) = outlet.post(news) {
            // With room there it is told later.
            self.news = mail.downcast().ok().map(|mut news: Box<TalkNews>| {
                news.is_talking = !is_talking;
                news
            });
        }
    }

    /// True when it hears something that no other stream does.
    pub fn hears_its_own(&self) -> bool {
        let mut performing = self.performing.iter().flatten();
        let is_turned = self.volume.is_deaf || self.volume.outward_db != 0;
        let sending = self.sending.as_ref();
        is_turned
            || sending.is_some_and(|sending| sending.coder.has_other_mode())
            || self.has_sounds()
            || performing.any(|performing| !performing.is_sound() && performing.inward)
    }

    /// True when something sounds for it alone.
    pub fn has_sounds(&self) -> bool {
        let mut performing = self.performing.iter().flatten();
        let sending = self.sending.as_ref();
        self.outward_digit.is_some()
            || sending.is_some_and(|sending| sending.sender.is_sending_event())
            || performing.any(|performing| performing.is_sound() && performing.outward)
    }

    /// Adds what is played outward to what it hears, and records what others say.
    pub fn play(&mut self, heard: &mut [i16], scratch: &mut [i16]) {
        let scratch = &mut scratch[..heard.len()];
        for performing in self.performing.iter_mut().flatten() {
            match (performing.inward, performing.outward) {
                (true, false) => performing.record(&[heard]),
                (true, true) => performing.record(&[&self.said, heard]),
                (false, _) => {}
            }
        }
        self.outward.apply(heard);
        for performing in self.performing.iter_mut().flatten() {
            if performing.is_sound() && performing.outward && !performing.inward {
                performing.sound(scratch);
                add(heard, scratch);
            }
        }
        add(heard, &self.both);
        if let Some(generator) = &mut self.outward_digit {
            generator.fill(scratch);
            heard.copy_from_slice(scratch);
            if generator.is_done() {
                self.outward_digit = None;
            }
        }
    }

    /// Encodes what it hears with its own encoder and sends it.
    pub fn send_own(&mut self, outlet: &mut Outlet<'_>, tick: u64, heard: &[i16]) {
        let flow = self.flow;
        let Some(Sending { coder, sender }) = &mut self.sending else {
            return;
        };
        if let Some(packet) = sender.event_packet(tick) {
            send(outlet, flow, &packet);
        }
        coder.push(tick, heard);
        while let Some(mut outgoing) = coder.next_packet() {
            if let Some(packet) = sender.stamp(&mut outgoing) {
                send(outlet, flow, packet);
            }
        }
    }

    /// Sends a packet that was encoded for several.
    pub fn send_shared(&mut self, outlet: &mut Outlet<'_>, outgoing: &mut Outgoing<'_>) {
        if let Some(sending) = &mut self.sending
            && let Some(packet) = sending.sender.stamp(outgoing)
        {
            send(outlet, self.flow, packet);
        }
    }

    /// Nothing is sent for a tick.
    pub fn skip(&mut self) {
        if let Some(sending) = &mut self.sending {
            sending.sender.pause();
        }
    }

    // What the mg thread wants.

    /// Takes a performance, and gives back the one in whose place it comes; itself when there is no
    /// room.
    pub fn perform(&mut self, performing: Box<Performing>) -> Option<Box<Performing>> {
        let is_free = |place: &&mut Option<Box<Performing>>| {
            place.as_ref().is_none_or(|performing| performing.is_over)
        };
        match self.performing.iter_mut().find(is_free) {
            Some(place) => place.replace(performing),
            None => Some(performing),
        }
    }

    /// Ends the performance with this number.
    pub fn end(&mut self, number: u64, is_finishing: bool) {
        let mut all = self.performing.iter_mut().flatten();
        if let Some(performing) = all.find(|performing| performing.number == number) {
            performing.end(is_finishing);
        }
    }

    /// Passes performances that have ended to the mg thread; what finds no room waits.
    pub fn return_ended(&mut self, outlet: &mut Outlet<'_>) {
        for place in &mut self.performing {
            if let Some(performing) = place.take_if(|performing| performing.is_over)
                && let Err(mail) = outlet.post(performing)
            {
                *place = mail.downcast().ok();
            }
        }
    }

    /// Sets the detector of digits among speech, and returns the one before.
    pub fn set_detector(&mut self, detector: Option<Box<Detector>>) -> Option<Box<Detector>> {
        self.listened = 0;
        self.digit_since = None;
        std::mem::replace(&mut self.detector, detector)
    }

    /// Sets which digits sound.
    pub fn set_digits(&mut self, digits: Digits) {
        let tone = |code, rate| {
            let tone = dtmf::tone(code, None)?;
            Some(ToneGenerator::new(tone, rate, dtmf::LEVEL_DBM0))
        };
        if digits.outward.is_none() || digits.is_outward_new {
            if let Some(sending) = &mut self.sending {
                sending.sender.stop_events();
            }
            if let Some(generator) = &mut self.outward_digit {
                generator.stop();
            }
        }
        if let Some((_, code)) = digits.outward
            && digits.is_outward_new
        {
            let sending = self.sending.as_mut();
            let is_event = sending.is_some_and(|it| it.sender.send_event(code, None).is_ok());
            if !is_event {
                self.outward_digit = tone(code, self.rate);
            }
        }
        match digits.inward {
            Some((_, code)) if digits.is_inward_new => self.inward_digit = tone(code, self.rate),
            Some(_) => {}
            None => self.inward_digit = None,
        }
    }

    /// Sets what becomes of keys; what is not used any more is in it then.
    pub fn set_keys(&mut self, keys: &mut Keys) {
        self.keys = keys.plan;
        self.receiver.set_sounds_events(keys.plan.sounds);
        keys.remover = self.receiver.set_remover(keys.remover.take());
        // The end of what is being passed may not come any more.
        if self.passed.take().is_some()
            && let Some(sending) = &mut self.sending
        {
            sending.sender.stop_events();
        }
    }

    /// Sends a key of the other as an event, from its beginning on.
    pub fn pass_key(&mut self, key: TelephoneEvent) {
        let Some(sending) = &mut self.sending else {
            return;
        };
        match key.lasted {
            // Where too many wait it is lost.
            None => {
                let begun = sending.sender.send_event(key.code, None);
                self.passed = begun.ok().map(|()| key.code);
            }
            Some(lasted) if self.passed == Some(key.code) => {
                sending.sender.finish_event(lasted);
                self.passed = None;
            }
            Some(_) => {}
        }
    }

    /// Sets how loud it says and hears.
    pub fn set_volume(&mut self, volume: LegVolume) {
        self.volume = volume;
        self.inward.set_gain_db(f32::from(volume.inward_db));
        self.inward.set_muted(volume.is_muted);
        self.outward.set_gain_db(f32::from(volume.outward_db));
        self.outward.set_muted(volume.is_deaf);
    }

    /// Sets by what it is told who talks, and returns what it was before.
    pub fn set_news(&mut self, news: Option<Box<TalkNews>>) -> Option<Box<TalkNews>> {
        std::mem::replace(&mut self.news, news)
    }

    /// Takes over what goes on of the stream that this one replaces.
    pub fn adopt(&mut self, before: &mut Self) {
        std::mem::swap(&mut self.performing, &mut before.performing);
        std::mem::swap(&mut self.news, &mut before.news);
        self.volume = before.volume;
        (self.inward, self.outward) = (before.inward, before.outward);
        self.talk = before.talk;
        if let (Some(new), Some(old)) = (&mut self.sending, &mut before.sending) {
            let (of_new, of_old) = (*new.sender.config(), *old.sender.config());
            let same_clock = of_new.clock_hz == of_old.clock_hz;
            if same_clock && of_new.event_payload_type == of_old.event_payload_type {
                std::mem::swap(&mut new.sender, &mut old.sender);
                self.passed = before.passed;
                new.sender.set_payload_type(of_new.payload_type);
            }
        }
    }

    /// Reports digits, as events and among speech.
    fn tell_digits(&mut self, outlet: &mut Outlet<'_>) {
        let flow = self.flow;
        let mut had_events = false;
        while let Some(event) = self.receiver.poll_event() {
            had_events |= event.carriage == Carriage::Rtp;
            // What has begun is passed on to its end.
            if self.keys.passes && (!self.volume.is_muted || event.lasted.is_some()) {
                self.passing.push(event);
            }
            if self.detector.is_some() {
                let (code, lasted) = (event.code, event.lasted);
                outlet.report_tone(flow, DetectedTone { code, lasted });
            }
        }
        let Some(detector) = &mut self.detector else {
            return;
        };
        if had_events || self.pulled.kind == PulledKind::Event {
            self.digit_since = None;
            return;
        }
        let (since, rate) = (&mut self.digit_since, u64::from(self.rate.max(1)));
        detector.process(&self.said, |detection| match detection {
            Detection::Began { code, at } => {
                *since = Some(at);
                outlet.report_tone(flow, DetectedTone { code, lasted: None });
            }
            Detection::Ended { code, at } => {
                let began = since.take().unwrap_or(at);
                let lasted = Duration::from_millis(at.saturating_sub(began) * 1000 / rate);
                let lasted = Some(lasted);
                outlet.report_tone(flow, DetectedTone { code, lasted });
            }
        });
        self.listened += self.said.len() as u64;
    }
}

const SILENT: Pulled = Pulled {
    kind: PulledKind::Silence,
    level_dbov: SILENCE_DBOV,
    is_talking: false,
};

fn send(outlet: &mut Outlet<'_>, flow: FlowId, packet: &[u8]) {
    outlet.send(flow, Sends::Rtp, |buffer| {
        match buffer.get_mut(..packet.len()) {
            Some(room) => {
                room.copy_from_slice(packet);
                packet.len()
            }
            None => 0,
        }
    });
}

fn add(samples: &mut [i16], more: &[i16]) {
    for (sample, more) in samples.iter_mut().zip(more) {
        *sample = sample.saturating_add(*more);
    }
}
