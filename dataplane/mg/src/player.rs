//! Signals being played at a termination, H.248.1 7.1.11.

use base::Instant;
use h248::message::{
    NotifyCompletion, Signal, SignalList, SignalRequest, SignalsDescriptor, StreamId,
};
use std::sync::Arc;
use std::time::Duration;

use crate::performance::{Performance, Performed};
use crate::script::{Done, Run, Told};
use crate::signal::{Entry, Melody, Play, What};
use crate::tone::Tone;

/// Plays the signals of the last Signals descriptor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Player {
    playing: Vec<Playing>,
    /// Number of the last tone or performance: the next is another, also if it sounds alike.
    tones: u32,
    /// What media functions tell of signals.
    told: Vec<(Option<StreamId>, Box<Told>)>,
}

/// An entry of the descriptor, and how far it has come.
#[derive(Clone, Debug)]
struct Playing {
    entry: Entry,
    /// Which signal of a list.
    index: usize,
    /// Which tone of it.
    tone: usize,
    phase: Phase,
    /// When the phase ends; `None` when it does not by itself.
    until: Option<Instant>,
    /// When the signal ends.
    limit: Option<Instant>,
    /// What a signal of a media function does.
    run: Option<Box<Run>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before a tone.
    Pause,
    /// The tone with this number sounds.
    Sound(u32),
    /// After the last tone of a signal that lasts longer.
    Rest,
}

/// What is performed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Performing<'a> {
    pub number: u32,
    pub what: &'a Arc<Performance>,
    pub outward: bool,
    pub inward: bool,
    /// It is to come to its end.
    pub is_finishing: bool,
    /// The signal is on this stream and on no other.
    pub names_stream: bool,
}

/// A signal that came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub signal: Signal,
    /// The list that it is of.
    pub list: Option<u16>,
    pub how: Ending,
}

/// How a signal ended: `Meth` of `g/sc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its time was over.
    TimeOut,
    /// An event interrupted it.
    Event,
    /// Another Signals descriptor did.
    Signals,
    /// It could not do what it was to do.
    Failed,
}

impl Ending {
    /// Its name in `g/sc`.
    pub fn name(self) -> &'static str {
        match self {
            Self::TimeOut => "TO",
            Self::Event => "EV",
            Self::Signals => "SD",
            Self::Failed => "NC",
        }
    }

    /// Its bit in NotifyCompletion.
    pub fn bit(self) -> NotifyCompletion {
        match self {
            Self::TimeOut => NotifyCompletion::TIME_OUT,
            Self::Event => NotifyCompletion::EVENT,
            Self::Signals => NotifyCompletion::SIGNALS,
            Self::Failed => NotifyCompletion::OTHER,
        }
    }
}

impl Player {
    /// A new Signals descriptor holds: what it does not keep ends.
    pub fn replace(&mut self, now: Instant, entries: &[Entry]) -> Vec<Ended> {
        let before = std::mem::take(&mut self.playing);
        let mut ended = Vec::new();
        for playing in before {
            match entries.iter().any(|entry| playing.is_kept_by(entry)) {
                true => self.playing.push(playing),
                false => ended.extend(playing.end(Ending::Signals)),
            }
        }
        for entry in entries {
            let is_kept = self.playing.iter().any(|playing| playing.is_kept_by(entry));
            // One that is to be kept and is not there does not begin now.
            let keeps = matches!(entry, Entry::One(play) if play.signal.keep_active);
            if !is_kept && !keeps {
                self.start(now, entry.clone());
            }
        }
        ended
    }

    /// An event ends every signal.
    pub fn interrupt(&mut self) -> Vec<Ended> {
        let playing = std::mem::take(&mut self.playing);
        let ended = playing
            .iter()
            .filter_map(|playing| playing.end(Ending::Event));
        ended.collect()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Ended> {
        let mut ended = Vec::new();
        let mut playing = std::mem::take(&mut self.playing);
        playing.retain_mut(|playing| {
            while playing.next_timeout().is_some_and(|at| at <= now) {
                if !playing.advance(now, &mut self.tones, &mut ended, &mut self.told) {
                    return false;
                }
            }
            true
        });
        self.playing = playing;
        ended
    }

    /// A performance has come to its end.
    pub fn handle_performed(
        &mut self,
        now: Instant,
        number: u32,
        performed: Performed,
    ) -> Vec<Ended> {
        self.run_each(now, |run, deal| {
            run.handle_performed(now, number, performed, deal)
        })
    }

    /// A digit begins.
    pub fn handle_tone(&mut self, now: Instant, tone: Tone) -> Vec<Ended> {
        self.run_each(now, |run, deal| run.handle_tone(now, tone, deal))
    }

    /// Has each script do something; those that are done end.
    fn run_each(
        &mut self,
        now: Instant,
        mut work: impl FnMut(&mut Run, &mut dyn FnMut() -> u32) -> Option<Done>,
    ) -> Vec<Ended> {
        let mut ended = Vec::new();
        let mut playing = std::mem::take(&mut self.playing);
        playing.retain_mut(|playing| {
            let tones = &mut self.tones;
            let mut deal = || next_number(tones);
            let Some(done) = playing.run.as_mut().and_then(|run| work(run, &mut deal)) else {
                return true;
            };
            playing.conclude(now, done, &mut self.tones, &mut ended, &mut self.told)
        });
        self.playing = playing;
        ended
    }

    /// What media functions told since this was called last, with the streams of the signals.
    pub fn take_told(&mut self) -> Vec<(Option<StreamId>, Box<Told>)> {
        std::mem::take(&mut self.told)
    }

    /// What is performed on a stream: number, what, outward, inward, whether it is to end.
    pub fn performances(&self, stream: StreamId) -> impl Iterator<Item = Performing<'_>> {
        let here = self
            .playing
            .iter()
            .filter(move |playing| playing.play().is_some_and(|play| play.is_on(stream)));
        here.filter_map(|playing| {
            let run = playing.run.as_ref()?;
            let (number, what, is_finishing) = run.performance()?;
            let (outward, inward) = run.direction();
            Some(Performing {
                number,
                what,
                outward,
                inward,
                is_finishing,
                names_stream: playing.play()?.signal.stream.is_some(),
            })
        })
    }

    /// True when digits lead to something.
    pub fn heeds_tones(&self) -> bool {
        let mut runs = self
            .playing
            .iter()
            .filter_map(|playing| playing.run.as_ref());
        runs.any(|run| run.heeds_tones())
    }

    /// When [`Player::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.playing.iter().filter_map(Playing::next_timeout).min()
    }

    /// True when nothing is played.
    pub fn is_idle(&self) -> bool {
        self.playing.is_empty()
    }

    /// The tone that sounds on a stream, outward or inward, and its number.
    pub fn tone(&self, stream: StreamId, is_outward: bool) -> Option<(u32, Tone)> {
        self.playing.iter().find_map(|playing| {
            let (play, melody) = playing.current()?;
            let is_here = match is_outward {
                true => melody.outward,
                false => melody.inward,
            };
            match playing.phase {
                Phase::Sound(number) if is_here && play.is_on(stream) => {
                    Some((number, *melody.tones.get(playing.tone)?))
                }
                _ => None,
            }
        })
    }

    /// The Signals descriptor of what is being played, for audits.
    pub fn descriptor(&self) -> SignalsDescriptor {
        let entries = self.playing.iter().map(|playing| match &playing.entry {
            Entry::One(play) => SignalRequest::Signal(play.signal.clone()),
            Entry::List(id, plays) => SignalRequest::List(SignalList {
                id: *id,
                signals: plays.iter().map(|play| play.signal.clone()).collect(),
            }),
        });
        entries.collect()
    }

    fn start(&mut self, now: Instant, entry: Entry) {
        let mut playing = Playing {
            entry,
            index: 0,
            tone: 0,
            phase: Phase::Rest,
            until: None,
            limit: None,
            run: None,
        };
        // What has no tones is none of this player's matter.
        if playing.begin(now, &mut self.tones) {
            self.playing.push(playing);
        }
    }
}

impl Playing {
    fn current(&self) -> Option<(&Play, &Melody)> {
        let play = self.entry.plays().get(self.index)?;
        match &play.what {
            What::Tones(melody) => Some((play, melody)),
            What::Latch(_) | What::Script(_) => None,
        }
    }

    /// Begins the signal at the index; false when there is none.
    fn begin(&mut self, now: Instant, tones: &mut u32) -> bool {
        let Some(play) = self.play() else {
            return false;
        };
        let limit = match &play.what {
            What::Latch(_) => return false,
            What::Tones(melody) => melody.limit,
            What::Script(script) => script.limit,
        };
        let script = match &play.what {
            What::Script(script) => Some(script.clone()),
            What::Latch(_) | What::Tones(_) => None,
        };
        self.limit = limit.map(|limit| now + limit);
        if let Some(script) = script {
            self.phase = Phase::Rest;
            self.until = None;
            self.run = Some(Box::new(Run::start(now, script, &mut || {
                next_number(tones)
            })));
            return true;
        }
        self.tone = 0;
        self.sound(now, tones);
        true
    }

    /// The tone at the index sounds.
    fn sound(&mut self, now: Instant, tones: &mut u32) {
        self.phase = Phase::Sound(next_number(tones));
        let each = self.current().and_then(|(_, melody)| melody.each);
        self.until = each.map(|each| now + each);
    }

    fn next_timeout(&self) -> Option<Instant> {
        let run = self.run.as_ref().and_then(|run| run.next_timeout());
        self.until.into_iter().chain(self.limit).chain(run).min()
    }

    /// Does the next thing due; false when that was the last.
    fn advance(
        &mut self,
        now: Instant,
        tones: &mut u32,
        ended: &mut Vec<Ended>,
        told: &mut Vec<(Option<StreamId>, Box<Told>)>,
    ) -> bool {
        if self.limit.is_some_and(|limit| limit <= now) {
            return self.next_signal(now, Ending::TimeOut, tones, ended);
        }
        if let Some(run) = &mut self.run {
            return match run.handle_timeout(now, &mut || next_number(tones)) {
                Some(done) => self.conclude(now, done, tones, ended, told),
                None => true,
            };
        }
        // Between two signals; the first tone of a signal follows no pause.
        if self.phase == Phase::Pause && self.limit.is_none() && self.tone == 0 {
            return self.begin(now, tones);
        }
        let Some((_, melody)) = self.current() else {
            return false;
        };
        let (count, gap) = (melody.tones.len(), melody.gap);
        match self.phase {
            Phase::Pause => self.sound(now, tones),
            Phase::Sound(_) if self.tone + 1 < count => {
                self.tone += 1;
                self.phase = Phase::Pause;
                self.until = Some(now + gap);
            }
            Phase::Sound(_) | Phase::Rest if self.limit.is_some() => {
                self.phase = Phase::Rest;
                self.until = None;
            }
            Phase::Sound(_) | Phase::Rest => {
                return self.next_signal(now, Ending::TimeOut, tones, ended);
            }
        }
        true
    }

    /// A script is done; false when that was the last signal.
    fn conclude(
        &mut self,
        now: Instant,
        done: Done,
        tones: &mut u32,
        ended: &mut Vec<Ended>,
        told: &mut Vec<(Option<StreamId>, Box<Told>)>,
    ) -> bool {
        let stream = self.play().and_then(|play| play.signal.stream);
        told.extend(done.event.map(|event| (stream, event)));
        let how = match done.is_complete {
            true => Ending::TimeOut,
            false => Ending::Failed,
        };
        self.next_signal(now, how, tones, ended)
    }

    fn play(&self) -> Option<&Play> {
        self.entry.plays().get(self.index)
    }

    /// A signal has ended by itself: the next of its list begins, after the delay between them.
    fn next_signal(
        &mut self,
        now: Instant,
        how: Ending,
        tones: &mut u32,
        ended: &mut Vec<Ended>,
    ) -> bool {
        ended.extend(self.end(how));
        self.run = None;
        let delay = self.play().and_then(|play| play.signal.intersignal_delay);
        self.index += 1;
        if self.play().is_none() {
            return false;
        }
        match delay {
            Some(ms) if ms > 0 => {
                self.phase = Phase::Pause;
                self.tone = 0;
                self.limit = None;
                self.until = Some(now + Duration::from_millis(ms.into()));
                true
            }
            _ => self.begin(now, tones),
        }
    }

    /// The same list, whatever is in it; or the same signal, to be kept.
    fn is_kept_by(&self, entry: &Entry) -> bool {
        match (&self.entry, entry) {
            (Entry::List(id, _), Entry::List(other, _)) => id == other,
            (Entry::One(here), Entry::One(other)) => {
                let same = here.signal.name == other.signal.name
                    && here.signal.stream == other.signal.stream;
                same && other.signal.keep_active
            }
            _ => false,
        }
    }

    /// That it ends, if somebody wants to know.
    fn end(&self, how: Ending) -> Option<Ended> {
        let play = self.play()?;
        let asked = play.signal.notify_completion?;
        asked.contains(how.bit()).then(|| Ended {
            signal: play.signal.clone(),
            list: match self.entry {
                Entry::List(id, _) => Some(id),
                Entry::One(_) => None,
            },
            how,
        })
    }
}

fn next_number(tones: &mut u32) -> u32 {
    *tones = tones.wrapping_add(1).max(1);
    *tones
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digit_maps::DigitMaps;
    use crate::profile::TRGW;
    use crate::signal;

    const START: Instant = Instant::from_secs(1000);

    fn entries(signals: &str) -> Vec<Entry> {
        let actions = format!("Context = 1 {{ Modify = a {{ Signals {{ {signals} }} }} }}");
        let actions = h248::text::parse_actions(actions.as_bytes()).unwrap();
        let h248::message::Command::Modify(modify) = &actions[0].commands[0].command else {
            panic!("{signals}");
        };
        signal::parse(
            &TRGW,
            [&DigitMaps::default(); 2],
            modify.descriptors.signals.as_ref().unwrap(),
        )
        .unwrap()
    }

    /// What sounds outward, as it changes: `5@0-100` is the digit 5 from 0 to 100 ms. And what
    /// ended, and when.
    fn run(player: &mut Player, ms: u64) -> (Vec<String>, Vec<String>) {
        let (mut heard, mut over) = (Vec::new(), Vec::new());
        let mut sounding: Option<((u32, Tone), u64)> = None;
        let mut at = 0;
        loop {
            let tone = player.tone(StreamId::FIRST, true);
            if tone != sounding.map(|(tone, _)| tone) {
                if let Some(((_, tone), since)) = sounding {
                    heard.push(format!("{}@{since}-{at}", tone.name()));
                }
                sounding = tone.map(|tone| (tone, at));
            }
            let next = player
                .next_timeout()
                .map(|next| next.since(START).as_millis() as u64);
            let Some(next) = next.filter(|&next| next <= ms) else {
                break;
            };
            at = next;
            for ended in player.handle_timeout(START + Duration::from_millis(at)) {
                over.push(format!("{} {}@{at}", ended.signal.name, ended.how.name()));
            }
        }
        if let Some(((_, tone), since)) = sounding {
            heard.push(format!("{}@{since}-", tone.name()));
        }
        (heard, over)
    }

    fn plays(signals: &str, ms: u64) -> (Vec<String>, Vec<String>) {
        let mut player = Player::default();
        player.replace(START, &entries(signals));
        run(&mut player, ms)
    }

    #[test]
    fn a_brief_tone_ends_by_itself() {
        let (heard, over) = plays("dg/d5 { NotifyCompletion = { TimeOut } }", 1000);
        assert_eq!(heard, ["d5@0-100"]);
        assert_eq!(over, ["dg/d5 TO@100"]);
    }

    #[test]
    fn a_tone_with_a_time_ends_then_and_one_without_does_not() {
        let (heard, _) = plays("dg/d5 { SignalType = TimeOut, Duration = 50 }", 9000);
        assert_eq!(heard, ["d5@0-500"]);
        let (heard, _) = plays("dg/d5 { SignalType = OnOff }", 9000);
        assert_eq!(heard, ["d5@0-"]);
    }

    #[test]
    fn tones_of_one_signal_have_pauses_between_them() {
        let notify = "NotifyCompletion = { TimeOut }";
        let (heard, over) = plays(
            &format!("tonegen/pt {{ {notify}, tl = [d1, d1], ind = 40 }}"),
            1000,
        );
        assert_eq!(heard, ["d1@0-100", "d1@140-240"]);
        assert_eq!(over, ["tonegen/pt TO@240"]);
        // With a time, they are cut off, or silence follows.
        let cut = "tonegen/pt { SignalType = TimeOut, Duration = 15, tl = [d1, d2], ind = 40 }";
        assert_eq!(plays(cut, 1000).0, ["d1@0-100", "d2@140-150"]);
        let more = format!(
            "tonegen/pt {{ SignalType = TimeOut, Duration = 60, {notify}, tl = [d1, d2], ind = 40 }}"
        );
        let (heard, over) = plays(&more, 1000);
        assert_eq!(heard, ["d1@0-100", "d2@140-240"]);
        assert_eq!(over, ["tonegen/pt TO@600"]);
    }

    #[test]
    fn a_list_plays_its_signals_in_order() {
        let notify = "NotifyCompletion = { TimeOut }";
        let list = format!(
            "SignalList = 7 {{ dg/d1 {{ {notify}, Intersignal = 50 }}, dg/d2 {{ SignalType = \
             OnOff, {notify} }} }}"
        );
        let (heard, over) = plays(&list, 1000);
        assert_eq!(heard, ["d1@0-100", "d2@150-"]);
        assert_eq!(over, ["dg/d1 TO@100"]);
    }

    #[test]
    fn an_event_ends_what_is_played_and_tells_who_asked() {
        let mut player = Player::default();
        let both = "dg/d5 { SignalType = OnOff, NotifyCompletion = { IntByEvent } }, dg/d6 { \
                    SPADirection = Internal, NotifyCompletion = { TimeOut } }";
        player.replace(START, &entries(both));
        assert_eq!(player.descriptor().len(), 2);
        let ended = player.interrupt();
        assert_eq!(ended.len(), 1);
        assert_eq!(
            (ended[0].signal.name.as_str(), ended[0].how),
            ("dg/d5", Ending::Event)
        );
        assert_eq!(player.tone(StreamId::FIRST, true), None);
        assert!(player.descriptor().is_empty());
    }

    #[test]
    fn another_descriptor_keeps_what_it_says_and_ends_the_rest() {
        let mut player = Player::default();
        let endless = "SignalType = OnOff, NotifyCompletion = { IntBySigDescr }";
        player.replace(START, &entries(&format!("dg/d5 {{ {endless} }}")));
        let number = player.tone(StreamId::FIRST, true).unwrap().0;
        assert!(
            player
                .replace(START, &entries("dg/d5 { KeepActive }"))
                .is_empty()
        );
        assert_eq!(player.tone(StreamId::FIRST, true).unwrap().0, number);
        // The same again without the flag is another.
        let ended = player.replace(START, &entries(&format!("dg/d5 {{ {endless} }}")));
        assert_eq!(ended[0].how, Ending::Signals);
        assert_ne!(player.tone(StreamId::FIRST, true).unwrap().0, number);
        // What is not played is not to be kept.
        player.replace(START, &entries("dg/d6 { KeepActive }"));
        assert_eq!(player.tone(StreamId::FIRST, true), None);
    }

    #[test]
    fn a_list_with_the_same_number_goes_on_whatever_is_in_the_other() {
        let mut player = Player::default();
        player.replace(START, &entries("SignalList = 7 { dg/d1, dg/d2 }"));
        player.replace(START, &entries("SignalList = 7 { dg/d9 }"));
        assert_eq!(run(&mut player, 1000).0, ["d1@0-100", "d2@100-200"]);
        player.replace(START, &entries("SignalList = 7 { dg/d1 }"));
        player.replace(START, &entries("SignalList = 8 { dg/d3 }"));
        assert_eq!(run(&mut player, 1000).0, ["d3@0-100"]);
    }
}
