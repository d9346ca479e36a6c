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

/// What may come to a leg.
pub(super) fn receiver_config(audio: &LegAudio, leg: &Leg, sample_rate: u32) -> ReceiverConfig {
    let mut formats: Vec<PayloadFormat> = audio
        .receives
        .iter()
        .filter_map(|format| {
            Some(PayloadFormat {
                payload_type: format.payload_type,
                kind: FormatKind::Audio(codec(format)?),
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

/// The rate of the samples that a leg's codecs need.
pub(super) fn rate_of(audio: &LegAudio) -> u32 {
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
    let (format, codec) = found.find_map(|format| Some((format, codec(format)?)))?;
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
pub(super) const RATE_MIN: u32 = 8_000;
const RATE_MAX: u32 = 48_000;
