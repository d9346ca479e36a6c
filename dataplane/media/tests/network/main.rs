//! A stream over a bad network, on virtual time: what is heard, how late, and whether it clicks.

mod link;

use std::time::Duration;

use codecs::speech::Speech;
use codecs::{Codec, Encoded, Encoder, EncoderConfig, Resampler, likeness};
use link::{Link, Sender, Timed};
use media::level::level_dbov;
use media::{
    FormatKind, InBand, PayloadFormat, Playout, PulledKind, Receiver, ReceiverConfig,
    TelephoneEvent, Workspace,
};
use rtp::{HEADER_BYTES, Header};

const SECOND: usize = 8000;

/// One run: what was said and heard, and what became of the receiver.
struct Run {
    said: Vec<i16>,
    heard: Vec<i16>,
    kinds: Vec<PulledKind>,
    events: Vec<TelephoneEvent>,
    /// As long as something was said.
    playout: Playout,
    receiver: Receiver,
}

fn config() -> ReceiverConfig {
    let audio = |payload_type, codec| PayloadFormat {
        payload_type,
        kind: FormatKind::Audio(codec),
    };
    let event = PayloadFormat {
        payload_type: 101,
        kind: FormatKind::Event { clock_hz: 8000 },
    };
    ReceiverConfig {
        formats: vec![audio(8, Codec::Pcma), audio(0, Codec::Pcmu), event],
        ..ReceiverConfig::default()
    }
}

fn speech(seconds: usize) -> Vec<i16> {
    let mut said = vec![0; seconds * SECOND];
    Speech::new(3).fill(&mut said);
    said
}

fn tone(seconds: usize) -> Vec<i16> {
    let angle = std::f32::consts::TAU * 410.0 / SECOND as f32;
    let sample = |n| (8000.0 * (angle * n as f32).sin()) as i16;
    (0..seconds * SECOND).map(sample).collect()
}

fn run(said: Vec<i16>, sender: Sender, link: Link) -> Run {
    run_with(config(), said, sender, link)
}

/// Sends all that is said and pulls as long as something may come.
fn run_with(config: ReceiverConfig, said: Vec<i16>, sender: Sender, link: Link) -> Run {
    let arrivals = link.carry(sender.packets(&said));
    run_packets(config, said, arrivals)
}

fn run_packets(config: ReceiverConfig, said: Vec<i16>, mut arrivals: Vec<Timed>) -> Run {
    let mut receiver = Receiver::new(&config).unwrap();
    let mut workspace = Workspace::default();
    arrivals.sort_by_key(|arrival| arrival.at);
    let mut arrivals = arrivals.into_iter().peekable();
    let (mut heard, mut kinds, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let ticks = said.len() / 160 + 20;
    // The receiver's ticks are not those of the sender.
    let phase = Duration::from_millis(7);
    let mut playout = Playout::default();
    for tick in 0..ticks as u32 {
        let now = link::start() + phase + 20 * tick * Duration::from_millis(1);
        while let Some(arrival) = arrivals.next_if(|arrival| arrival.at <= now) {
            receiver.receive(arrival.at, &arrival.packet);
        }
        let mut out = [0; 160];
        kinds.push(receiver.pull(now, &mut workspace, &mut out).kind);
        heard.extend_from_slice(&out);
        while let Some(event) = receiver.poll_event() {
            events.push(event);
        }
        if tick as usize == said.len() / 160 {
            playout = receiver.playout();
        }
    }
    Run {
        said,
        heard,
        kinds,
        events,
        playout,
        receiver,
    }
}

impl Run {
    /// By how many milliseconds what is heard in the middle of a second is behind, and how like it
    /// is.
    fn in_second(&self, second: usize) -> (usize, f32) {
        let (len, most) = (2400, 2800);
        // Where something is said.
        let from = second * SECOND;
        let loudest = (from..from + SECOND - len)
            .step_by(400)
            .max_by_key(|&from| level_dbov(&self.said[from..from + len]));
        let from = loudest.unwrap();
        let said = &self.said[from..from + len];
        let heard = &self.heard[from..from + len + most];
        let found = likeness(said, heard, most).unwrap();
        (found.delay_samples / 8, found.correlation)
    }

    /// Delays and likenesses in eight places from a second on.
    fn seconds(&self, from: usize) -> Vec<(usize, f32)> {
        let to = self.said.len() / SECOND - 1;
        let places = 0..8.min(to - from);
        let count = places.len();
        places
            .map(|place| self.in_second(from + place * (to - from) / count))
            .collect()
    }

    fn count(&self, kind: PulledKind) -> usize {
        let kinds = &self.kinds[..self.said.len() / 160];
        kinds.iter().filter(|&&other| other == kind).count()
    }
}

/// The largest bend of a signal: what clicks bends more than what was said.
fn bend(samples: &[i16]) -> i32 {
    let bend = |three: &[i16]| {
        let [a, b, c] = [three[0], three[1], three[2]].map(i32::from);
        (a - 2 * b + c).abs()
    };
    samples.windows(3).map(bend).max().unwrap()
}

fn mean(seconds: &[(usize, f32)]) -> (usize, f32) {
    let count = seconds.len();
    let delay = seconds.iter().map(|second| second.0).sum::<usize>() / count;
    let likeness = seconds.iter().map(|second| second.1).sum::<f32>() / count as f32;
    (delay, likeness)
}

#[test]
fn a_good_network_is_heard_as_it_was_said_and_soon() {
    let run = run(speech(12), Sender::default(), Link::default());
    let (delay, likeness) = mean(&run.seconds(6));
    // 20 ms of the packet itself, the network's 20, and a tick or so.
    assert!(delay <= 70, "{delay}");
    assert!(likeness > 0.99, "{likeness}");
    assert_eq!(run.playout.concealed_samples, 0);
    assert_eq!(run.count(PulledKind::Concealed), 0);
}

#[test]
fn loss_of_a_tenth_is_concealed() {
    let link = Link {
        loss: 0.1,
        ..Link::default()
    };
    let run = run(speech(30), Sender::default(), link);
    let (delay, likeness) = mean(&run.seconds(3));
    assert!(delay <= 75, "{delay}");
    assert!(likeness > 0.93, "{likeness}");
    let concealed = run.playout.concealed_samples as f32 / run.said.len() as f32;
    assert!((0.07..0.14).contains(&concealed), "{concealed}");
}

#[test]
fn jitter_of_60_ms_costs_delay_and_little_else() {
    let link = Link {
        jitter_ms: 60,
        ..Link::default()
    };
    let run = run(speech(30), Sender::default(), link);
    let (delay, likeness) = mean(&run.seconds(5));
    assert!((80..=115).contains(&delay), "{delay}");
    assert!(likeness > 0.99, "{likeness}");
    let concealed = run.playout.concealed_samples as f32 / run.said.len() as f32;
    assert!(concealed < 0.04, "{concealed}");
}

#[test]
fn order_and_duplicates_do_not_matter() {
    let link = Link {
        jitter_ms: 50,
        reorders: true,
        duplicates: 0.2,
        ..Link::default()
    };
    let run = run(speech(20), Sender::default(), link);
    let (delay, likeness) = mean(&run.seconds(5));
    assert!(delay <= 115, "{delay}");
    assert!(likeness > 0.99, "{likeness}");
    assert!(run.receiver.reception().duplicates > 100);
    assert!(run.receiver.reception().reordered > 20);
}

#[test]
fn drifting_clocks_add_no_delay_and_do_not_click() {
    for ppm in [-200.0, 200.0] {
        let sender = Sender {
            drift_ppm: ppm,
            ..Sender::default()
        };
        let talk = run(speech(120), sender.clone(), Link::default());
        let seconds = talk.seconds(5);
        let (delay, likeness) = mean(&seconds);
        let (least, most) = seconds.iter().fold((500, 0), |(least, most), &(delay, _)| {
            (least.min(delay), most.max(delay))
        });
        // Delay against what was said, whose seconds are not quite ours: 24 ms in two minutes.
        assert!(most - least <= 60, "{ppm}: {least} to {most}");
        assert!(delay <= 75, "{ppm}: {delay}");
        assert!(likeness > 0.99, "{ppm}: {likeness}");

        let steady = run(tone(60), sender, Link::default());
        let playout = steady.playout;
        let moved = playout.removed_samples.max(playout.inserted_samples);
        assert!(moved >= 40, "{ppm}: {playout:?}");
        assert_eq!(playout.concealed_samples, 0, "{ppm}: {playout:?}");
        let (said, heard) = (bend(&steady.said), bend(&steady.heard[SECOND..59 * SECOND]));
        assert!(heard <= said + 200, "{ppm}: {heard} of {said}");
    }
}

#[test]
fn all_at_once_for_two_minutes_does_not_grow_late() {
    let link = Link {
        loss: 0.1,
        jitter_ms: 60,
        reorders: true,
        duplicates: 0.05,
        ..Link::default()
    };
    for ppm in [-200.0, 200.0] {
        let sender = Sender {
            drift_ppm: ppm,
            ..Sender::default()
        };
        let run = run(speech(120), sender, link.clone());
        let seconds = run.seconds(5);
        let (first, last) = (mean(&seconds[..3]), mean(&seconds[5..]));
        assert!(first.0.abs_diff(last.0) <= 45, "{ppm}: {first:?} {last:?}");
        assert!(last.0 <= 130, "{ppm}: {last:?}");
        assert!(last.1 > 0.94, "{ppm}: {last:?}");
    }
}

#[test]
fn packet_times_may_be_mixed() {
    let sender = Sender {
        ptimes_ms: vec![10, 20, 60, 30, 20, 40, 10, 50],
        ..Sender::default()
    };
    let link = Link {
        jitter_ms: 10,
        ..Link::default()
    };
    let run = run(speech(20), sender, link);
    let (delay, likeness) = mean(&run.seconds(5));
    assert!(delay <= 100, "{delay}");
    assert!(likeness > 0.99, "{likeness}");
    let concealed = run.playout.concealed_samples;
    assert!(concealed < 2000, "{concealed}");
}

#[test]
fn another_source_is_heard_after_a_moment() {
    let sender = Sender {
        restarts_at: vec![SECOND * 5, SECOND * 10],
        ..Sender::default()
    };
    let run = run(tone(15), sender, Link::default());
    assert_eq!(run.receiver.reception().restarts, 2);
    for from in [5, 10] {
        let silent = run.heard[from * SECOND..(from + 1) * SECOND]
            .chunks(160)
            .filter(|tick| level_dbov(tick) < -40);
        assert!(silent.count() <= 5, "{from}");
    }
    let heard = bend(&run.heard[2 * SECOND..14 * SECOND]);
    assert!(heard <= 2200, "{heard}");
}

#[test]
fn a_jump_of_time_stamps_or_the_format_is_no_loss() {
    let sender = Sender {
        jumps_at: vec![SECOND * 4],
        mu_law_from: Some(SECOND * 8),
        ..Sender::default()
    };
    let run = run(speech(12), sender, Link::default());
    for second in [2, 6, 10] {
        let (delay, likeness) = run.in_second(second);
        assert!(
            delay <= 100 && likeness > 0.9,
            "{second}: {delay} {likeness}"
        );
    }
}

#[test]
fn a_pause_is_silent_and_ends_at_the_right_time() {
    // Nothing is sent from the third to the fifth second.
    let sender = Sender {
        silent: Some((3 * SECOND, 5 * SECOND)),
        ..Sender::default()
    };
    let run = run(tone(8), sender, Link::default());
    let level = |second: f32| {
        let from = (second * SECOND as f32) as usize;
        level_dbov(&run.heard[from..from + 800])
    };
    assert!(level(2.5) > -20 && level(3.5) == -127 && level(4.9) == -127 && level(5.5) > -20);
    let begins = run.heard[4 * SECOND..]
        .iter()
        .position(|&s| s != 0)
        .unwrap();
    assert!((SECOND..SECOND + 1000).contains(&begins), "{begins}");
    assert!(run.playout.concealed_samples <= 1000);
}

#[test]
fn a_route_that_becomes_longer_and_shorter_is_followed() {
    let link = Link {
        detour: Some((5.0, 10.0, 120)),
        ..Link::default()
    };
    let run = run(speech(25), Sender::default(), link);
    let (before, _) = mean(&run.seconds(2)[..2]);
    let (detour, likeness) = run.in_second(8);
    assert!(
        detour.abs_diff(before + 120) <= 50 && likeness > 0.9,
        "{before} {detour}"
    );
    let (after, likeness) = mean(&run.seconds(18));
    assert!(
        after <= before + 50 && likeness > 0.9,
        "{before} {after} {likeness}"
    );
}

#[test]
fn keys_are_told_as_they_were_pressed_over_a_bad_network() {
    let mut said = vec![0; 10 * SECOND];
    let keys = [1, 2, 3, 11, 10, 15, 0, 9];
    for (at, &code) in keys.iter().enumerate() {
        let tone = media::dtmf::tone(code, Some(90)).unwrap();
        let mut generator = media::tone::ToneGenerator::new(tone, 8000, -8.0);
        generator.fill(&mut said[SECOND + at * 6400..][..720]);
    }
    let in_band = ReceiverConfig {
        in_band: InBand::Detect,
        ..config()
    };
    let link = Link {
        jitter_ms: 30,
        ..Link::default()
    };
    let run = run_with(in_band, said, Sender::default(), link);
    let began: Vec<u8> = run
        .events
        .iter()
        .filter(|event| event.lasted.is_none())
        .map(|event| event.code)
        .collect();
    assert_eq!(began, keys);
    for lasted in run.events.iter().filter_map(|event| event.lasted) {
        assert!(lasted.as_millis().abs_diff(90) <= 15, "{lasted:?}");
    }
}

/// What somebody sends in a codec, whose packets are of all times that it has.
struct Talker {
    codec: Codec,
    ptimes_ms: &'static [usize],
    drift_ppm: f64,
    dtx: bool,
    /// Samples from which there is another one.
    restarts_at: Option<usize>,
}

impl Talker {
    fn encoder(&self) -> Encoder {
        let config = EncoderConfig {
            ptime: Duration::from_millis(60),
            dtx: self.dtx,
            ..EncoderConfig::default()
        };
        self.codec.encoder(config).unwrap()
    }

    /// Packets, each sent when its last sample has been said.
    fn packets(&self, said: &[i16]) -> Vec<Timed> {
        let rate = self.codec.sample_rate() as usize;
        let mut resampler = Resampler::new(8000, rate as u32).unwrap();
        let mut samples = vec![0; resampler.samples_out(said.len())];
        resampler.process(said, &mut samples);
        let mut encoder = self.encoder();
        let mut header = Header {
            payload_type: 96,
            sequence: 65_500,
            timestamp: 9,
            ssrc: 77,
            ..Header::default()
        };
        let (mut packets, mut at, mut restarts_at) = (Vec::new(), 0, self.restarts_at);
        for ptime_ms in self.ptimes_ms.iter().cycle() {
            let Some(part) = samples.get(at..at + rate / 1000 * ptime_ms) else {
                break;
            };
            if restarts_at
                .take_if(|from| *from * rate / 8000 < at)
                .is_some()
            {
                encoder = self.encoder();
                header.ssrc += 1;
                header.sequence = 7;
                header.timestamp = 1 << 31;
            }
            let mut packet = vec![0; HEADER_BYTES + encoder.payload_bytes_max()];
            let encoded = encoder.encode(part, &mut packet[HEADER_BYTES..]).unwrap();
            at += part.len();
            if let Encoded::Payload { len, marker } = encoded {
                header.marker = marker;
                header.write_to(&mut packet).unwrap();
                packet.truncate(HEADER_BYTES + len);
                let nanos = at as f64 / rate as f64 * 1e9 / (1.0 + self.drift_ppm / 1e6);
                packets.push(Timed {
                    at: link::start() + Duration::from_nanos(nanos as u64),
                    packet,
                });
                header.sequence = header.sequence.wrapping_add(1);
            }
            let ticks = ptime_ms * self.codec.rtp_clock_rate() as usize / 1000;
            header.timestamp = header.timestamp.wrapping_add(ticks as u32);
        }
        packets
    }

    fn config(&self) -> ReceiverConfig {
        ReceiverConfig {
            formats: vec![PayloadFormat {
                payload_type: 96,
                kind: FormatKind::Audio(self.codec.clone()),
            }],
            ..config()
        }
    }
}

/// A codec as SDP has it, the times of its packets, and how like what was said speech is at least
/// behind the worst network.
type Case = (&'static str, u32, u8, &'static str, &'static [usize], f32);

const CODECS: [Case; 11] = [
    ("PCMU", 8000, 1, "", ALL_MS, 0.85),
    ("PCMA", 8000, 1, "", ALL_MS, 0.85),
    ("L16", 16_000, 1, "", ALL_MS, 0.85),
    ("G722", 8000, 1, "", ALL_MS, 0.85),
    ("AMR", 8000, 1, "", FRAMES_MS, 0.65),
    ("AMR", 8000, 1, LOWEST, FRAMES_MS, 0.65),
    ("AMR", 8000, 1, SORTED, FRAMES_MS, 0.65),
    ("AMR-WB", 16_000, 1, "", FRAMES_MS, 0.7),
    ("EVS", 16_000, 1, AMR_WB_IO, FRAMES_MS, 0.7),
    ("opus", 48_000, 2, "", OPUS_MS, 0.7),
    ("opus", 48_000, 2, FEC, OPUS_MS, 0.8),
];
const LOWEST: &str = "octet-align=1;mode-set=0";
const SORTED: &str = "crc=1;robust-sorting=1";
const AMR_WB_IO: &str = "evs-mode-switch=1";
const FEC: &str = "maxplaybackrate=8000;useinbandfec=1";
const ALL_MS: &[usize] = &[10, 20, 60, 30, 20, 40, 10, 50];
const FRAMES_MS: &[usize] = &[20, 60, 40, 20];
const OPUS_MS: &[usize] = &[10, 20, 60, 40, 20];
/// The levels of clicks that `docs/codecs.md` states: by how much a tone may bend, of 32 768, which
/// bends by 830 itself. What FEC has of a tone is not in phase with it.
const CLICK_MAX: i32 = 1500;
const CLICK_OF_FEC_MAX: i32 = 6500;

#[test]
fn every_codec_survives_a_bad_network_without_a_click() {
    let link = Link {
        loss: 0.1,
        jitter_ms: 60,
        reorders: true,
        duplicates: 0.05,
        ..Link::default()
    };
    let mut faults = Vec::new();
    for (index, (name, rate, channels, fmtp, ptimes_ms, least)) in CODECS.into_iter().enumerate() {
        let codec = Codec::from_sdp(name, rate, channels, Some(fmtp)).unwrap();
        if codec.encoder(EncoderConfig::default()).is_err() {
            continue;
        }
        let click_max = if fmtp == FEC {
            CLICK_OF_FEC_MAX
        } else {
            CLICK_MAX
        };
        let drift_ppm = if index % 2 == 0 { 200.0 } else { -200.0 };
        let mut talker = Talker {
            codec,
            ptimes_ms,
            drift_ppm,
            dtx: true,
            restarts_at: None,
        };
        let said = speech(20);
        let packets = link.carry(talker.packets(&said));
        let talk = run_packets(talker.config(), said, packets);
        let seconds = talk.seconds(5);
        let (delay, likeness) = mean(&seconds);
        let (first, last) = (mean(&seconds[..3]).0, mean(&seconds[5..]).0);
        let is_well = delay <= 180 && likeness > least && first.abs_diff(last) <= 45;

        (talker.dtx, talker.restarts_at) = (false, Some(8 * SECOND));
        let said = tone(16);
        let packets = link.carry(talker.packets(&said));
        let steady = run_packets(talker.config(), said, packets);
        assert_eq!(steady.receiver.reception().restarts, 1, "{name}");
        let click = bend(&steady.heard[2 * SECOND..15 * SECOND]);
        let loud = steady.heard[9 * SECOND..15 * SECOND].chunks(SECOND);
        let softest = loud.map(level_dbov).min().unwrap();
        println!("{name} {fmtp}: {delay} ms, {likeness:.2}, bends {click}, {softest} dBov");
        if !is_well || click > click_max || softest < -30 {
            faults.push(format!("{name} {fmtp}: {seconds:?}, {click}, {softest}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
