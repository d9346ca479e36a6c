//! Two legs of G.711 that differ in their law: nothing has to be decoded for them.

use std::sync::Arc;

use codecs::Codec;
use codecs::g711::Law;
use dataplane::Translation;
use h248::message::StreamMode;
use mg::{Leg, LegAudio, LegVolume};

use super::formats;

/// What becomes of the formats that come to each of two legs, where it is enough that packets pass
/// between them with each octet translated: the one speaks A-law and the other µ-law, in packets as
/// long, keys come and leave as events, and nobody wants to hear, play or say anything else.
/// `None` where that takes a room.
pub(super) fn between(legs: [&Leg; 2]) -> Option<[Arc<[Translation]>; 2]> {
    let [one, other] = legs;
    let [there, back] = [way(one, other)?, way(other, one)?];
    let is_needed = there.iter().any(|known| known.octets.is_some());
    is_needed.then_some([there, back])
}

fn way(from: &Leg, to: &Leg) -> Option<Arc<[Translation]>> {
    let (comes, leaves) = (passing(from)?, passing(to)?);
    let sends = match leaves.sends.is_empty() {
        true => &leaves.receives,
        false => &leaves.sends,
    };
    let mut known = sends.iter();
    let (target, law) = known.find_map(|format| Some((format, formats::codec(format)?)))?;
    let law = law_of(&law)?;
    // Keys have to be heard among what is said, or made to sound, where only one side has events.
    if formats::events(comes, from).is_some() != to.sends_events.is_some() {
        return None;
    }
    let translations = comes.receives.iter().map(|format| {
        let is = |encoding: &str| format.encoding.eq_ignore_ascii_case(encoding);
        let (payload_type, octets) = match formats::codec(format) {
            Some(codec) => {
                let came = law_of(&codec)?;
                (target.payload_type, (came != law).then(|| came.to_other()))
            }
            None if is("telephone-event") => {
                let events = to.sends_events?;
                let is_same = events.clock_hz == format.clock_hz;
                (is_same.then_some(events.payload_type)?, None)
            }
            None if is("CN") => {
                let mut sends = sends.iter();
                let noise = sends.find(|format| format.encoding.eq_ignore_ascii_case("CN"))?;
                (noise.payload_type, None)
            }
            None => return None,
        };
        Some(Translation {
            from: format.payload_type,
            to: payload_type,
            octets,
        })
    });
    translations.collect()
}

/// How a leg's speech is coded, if nothing happens there but that it passes.
fn passing(leg: &Leg) -> Option<&LegAudio> {
    let is_passing = leg.mode == StreamMode::SendReceive
        && leg.volume == LegVolume::default()
        && leg.performs.is_empty()
        && leg.plays_outward.is_none()
        && leg.plays_inward.is_none()
        && !leg.heeds_tones
        && !leg.heeds_talk;
    let audio = leg.audio.as_deref()?;
    let is_usual = audio.ptime.is_none_or(|ptime| ptime == media::TICK);
    (is_passing && is_usual).then_some(audio)
}

fn law_of(codec: &Codec) -> Option<Law> {
    match codec {
        Codec::Pcma => Some(Law::A),
        Codec::Pcmu => Some(Law::Mu),
        _ => None,
    }
}
