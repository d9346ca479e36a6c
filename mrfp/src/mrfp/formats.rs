//! From what H.248 says of codecs to what codes.

use std::time::Duration;

use codecs::{Codec, EncoderConfig};
use media::{
    EncodingConfig, FormatKind, InBand, PayloadFormat, ReceiverConfig, SenderConfig, TICK,
};
use mg::{Leg, LegAudio};

/// The codec of a format; `None` for what is not known here.
pub(super) fn codec(format: &sdp::Codec) -> Option<Codec> {
    if format.is_auxiliary() {
        return None;
    }
    let (clock, channels) = (format.clock_hz, format.channels);
    Codec::from_sdp(&format.encoding, clock, channels, format.fmtp.as_deref()).ok()
}

/// The same for samples of a rate, where it can be had for several.
fn codec_at(format: &sdp::Codec, sample_rate: u32) -> Option<Codec> {
    let mut codec = codec(format)?;
    if let Codec::Opus(opus) = &mut codec {
        let mut rates = OPUS_RATES.into_iter();
        let enough = rates.find(|rate| *rate >= sample_rate);
        opus.sample_rate = opus.sample_rate.min(enough.unwrap_or(RATE_MAX));
    }
    Some(codec)
}

/// What may come to a leg.
pub(super) fn receiver_config(audio: &LegAudio, leg: &Leg, sample_rate: u32) -> ReceiverConfig {
    let mut formats: Vec<PayloadFormat> = audio
        .receives
        .iter()
        .filter_map(|format| {
            Some(PayloadFormat {
                payload_type: format.payload_type,
                kind: FormatKind::Audio(codec_at(format, sample_rate)?),
            })
        })
        .collect();
    formats.truncate(media::FORMATS_MAX - 2);
    formats.extend(
        events(audio, leg).map(|(payload_type, clock_hz)| PayloadFormat {
            payload_type,
            kind: FormatKind::Event { clock_hz },
        }),
    );
    ReceiverConfig {
        sample_rate,
        formats,
        in_band: InBand::Ignore,
        ..ReceiverConfig::default()
    }
}

/// The payload type and clock by which telephone events come to a leg, if they do.
pub(super) fn events(audio: &LegAudio, leg: &Leg) -> Option<(u8, u32)> {
    let mut received = audio.receives.iter();
    let events = received.find(|format| format.encoding.eq_ignore_ascii_case("telephone-event"));
    let events = events.map(|format| (format.payload_type, format.clock_hz));
    let detected = leg.detects;
    events.or(detected.map(|events| (events.payload_type, events.clock_hz)))
}

/// The rate of a room: what two of its legs have in common, since what is finer nobody hears, and
/// what those need to whom something is played or of whom something is recorded.
pub(super) fn rate_of_room<'a>(legs: impl Iterator<Item = (&'a Leg, &'a LegAudio)>) -> u32 {
    let (mut count, mut first, mut second, mut performing) = (0, 0, 0, 0);
    for (leg, audio) in legs {
        let rate = rate_of(audio);
        count += 1;
        if rate > first {
            (first, second) = (rate, first);
        } else {
            second = second.max(rate);
        }
        if !leg.performs.is_empty() {
            performing = performing.max(rate);
        }
    }
    let common = if count < 2 { first } else { second };
    common.max(performing).max(RATE_MIN)
}

/// The rate of the samples that a leg's codecs need.
fn rate_of(audio: &LegAudio) -> u32 {
    let formats = audio.receives.iter().chain(&audio.sends);
    let rates = formats.filter_map(|format| Some(codec(format)?.sample_rate()));
    rates.max().unwrap_or(RATE_MIN).min(RATE_MAX)
}

/// How a leg is sent to: by the first codec of Remote that there is, else as it receives.
pub(super) fn coding(
    audio: &LegAudio,
    leg: &Leg,
    sample_rate: u32,
    opus_complexity: u8,
) -> Option<(EncodingConfig, SenderConfig)> {
    let wanted = match audio.sends.is_empty() {
        true => &audio.receives,
        false => &audio.sends,
    };
    let mut found = wanted.iter();
    let (format, codec) =
        found.find_map(|format| Some((format, codec_at(format, sample_rate)?)))?;
    let ptime = audio.ptime.filter(|ptime| PTIMES.contains(ptime));
    let clock_hz = codec.rtp_clock_rate();
    // Events of another clock have no place among these packets: they sound.
    let events = leg
        .sends_events
        .filter(|events| events.clock_hz == clock_hz);
    let sender = SenderConfig {
        payload_type: format.payload_type,
        clock_hz,
        event_payload_type: events.map(|events| events.payload_type),
        ssrc: 0,
        sequence: 0,
        timestamp: 0,
    };
    let encoder = EncoderConfig {
        ptime: ptime.unwrap_or(TICK),
        complexity: opus_complexity,
        ..EncoderConfig::default()
    };
    let coding = EncodingConfig {
        codec,
        encoder,
        sample_rate,
    };
    Some((coding, sender))
}

/// Packet lengths that are sent.
const PTIMES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(30),
    Duration::from_millis(40),
    Duration::from_millis(60),
];

/// Samples per second of rooms.
const RATE_MIN: u32 = 8_000;
const RATE_MAX: u32 = 48_000;

/// Rates of the samples that Opus is coded from and to.
const OPUS_RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];
