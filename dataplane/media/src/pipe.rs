//! Two streams that hear each other, in formats of their own.

use base::Instant;

use crate::endpoint::{Endpoint, EndpointConfig};
use crate::event::TelephoneEvent;
use crate::receiver::{FormatKind, InBand, PulledKind, Workspace};

/// One of the two streams of a [`Pipe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Two streams that hear each other: speech is transcoded, keys go from one carriage to the other.
///
/// Both sides have the same rate of samples. [`Pipe::convert_events`] says how their keys are to be
/// heard and sent.
#[derive(Debug)]
pub struct Pipe {
    ends: [Endpoint; 2],
    samples: Box<[i16]>,
    /// The event of each side that has begun to be sent to the other.
    passing: [Option<u8>; 2],
}

impl Pipe {
    /// Of two streams.
    pub fn new(a: Endpoint, b: Endpoint) -> Self {
        let tick = a.receiver.tick_samples().max(b.receiver.tick_samples());
        Self {
            ends: [a, b],
            samples: vec![0; tick].into_boxed_slice(),
            passing: [None; 2],
        }
    }

    /// Sets how each side hears keys by what both say they take: as events where the other takes
    /// events, and as signals within speech where it does not.
    pub fn convert_events(a: &mut EndpointConfig, b: &mut EndpointConfig) {
        let convert = |from: &mut EndpointConfig, to: &EndpointConfig| {
            let takes_events = to.sender.event_payload_type.is_some();
            let is_event = |kind: &FormatKind| matches!(kind, FormatKind::Event { .. });
            let sends_events = from
                .receiver
                .formats
                .iter()
                .any(|format| is_event(&format.kind));
            from.receiver.sounds_events = !takes_events;
            from.receiver.in_band = match (sends_events, takes_events) {
                (false, true) => InBand::Remove,
                _ => InBand::Ignore,
            };
        };
        convert(a, b);
        convert(b, a);
    }

    /// One of the streams.
    pub fn end(&mut self, side: Side) -> &mut Endpoint {
        &mut self.ends[side as usize]
    }

    /// A tick both ways: `emit` gets the packets and the side they go to, `told` the events and the
    /// side they come from.
    pub fn tick(
        &mut self,
        now: Instant,
        workspace: &mut Workspace,
        mut emit: impl FnMut(Side, &[u8]),
        mut told: impl FnMut(Side, TelephoneEvent),
    ) {
        for from in [Side::A, Side::B] {
            let to = from.other();
            let tick = self.end(from).receiver.tick_samples();
            let samples = &mut self.samples[..tick];
            let pulled = self.ends[from as usize].pull(now, workspace, samples);
            while let Some(event) = self.end(from).poll_event() {
                told(from, event);
                self.pass(from, event);
            }
            let heard = &mut self.ends[to as usize];
            match pulled.kind {
                // Nothing came: nothing is sent, unless there is a key to be.
                PulledKind::Silence if !heard.sender.is_sending_event() => heard.skip(),
                _ => heard.push(&self.samples[..tick], |packet| emit(to, packet)),
            }
        }
    }

    /// Sends a key to the other side, from its beginning on.
    fn pass(&mut self, from: Side, event: TelephoneEvent) {
        let passing = &mut self.passing[from as usize];
        let sender = &mut self.ends[from.other() as usize].sender;
        match event.lasted {
            // Where the other side takes none, it is heard; where too many wait, it is lost.
            None => {
                *passing = sender
                    .send_event(event.code, None)
                    .ok()
                    .map(|()| event.code)
            }
            Some(lasted) if *passing == Some(event.code) => {
                sender.finish_event(lasted);
                *passing = None;
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::{PayloadFormat, ReceiverConfig};
    use crate::sender::{EncodingConfig, SenderConfig};
    use crate::tone::ToneGenerator;
    use crate::{dtmf, spectrum};
    use codecs::{Codec, EncoderConfig};
    use std::time::Duration;

    fn config(codec: Codec, events: Option<u8>) -> EndpointConfig {
        let clock_hz = codec.rtp_clock_rate();
        let kind = FormatKind::Audio(codec.clone());
        let mut formats = vec![PayloadFormat {
            payload_type: 96,
            kind,
        }];
        formats.extend(events.map(|payload_type| PayloadFormat {
            payload_type,
            kind: FormatKind::Event { clock_hz },
        }));
        EndpointConfig {
            receiver: ReceiverConfig {
                formats,
                ..ReceiverConfig::default()
            },
            encoding: EncodingConfig {
                codec,
                encoder: EncoderConfig::default(),
                sample_rate: 8000,
            },
            sender: SenderConfig {
                payload_type: 96,
                clock_hz,
                event_payload_type: events,
                ssrc: 1,
                sequence: 0,
                timestamp: 0,
            },
        }
    }

    /// What a phone hears, in samples and events, that calls another through a pipe, which presses
    /// keys of 80 ms. `near` and `far` are what they are called with.
    fn call(mut near: EndpointConfig, mut far: EndpointConfig) -> (Vec<i16>, Vec<TelephoneEvent>) {
        let mut near_phone = Endpoint::new(&near).unwrap();
        let mut far_phone = Endpoint::new(&far).unwrap();
        Pipe::convert_events(&mut near, &mut far);
        let (a, b) = (Endpoint::new(&near).unwrap(), Endpoint::new(&far).unwrap());
        let mut pipe = Pipe::new(a, b);
        let mut workspace = Workspace::default();
        let (mut heard, mut events) = (Vec::new(), Vec::new());
        let mut key: Option<ToneGenerator> = None;
        for tick in 0..150_u32 {
            let now = Instant::from_secs(1) + tick * Duration::from_millis(20);
            let mut samples = [0; 160];
            for (at, code) in [(50, 5), (57, 5), (64, 11)] {
                if tick == at && far_phone.send_event(code, Some(80)).is_err() {
                    let tone = dtmf::tone(code, Some(80)).unwrap();
                    key = Some(ToneGenerator::new(tone, 8000, -8.0));
                }
            }
            if let Some(key) = &mut key {
                key.fill(&mut samples);
            }
            let far_end = pipe.end(Side::B);
            far_phone.push(&samples, |packet| {
                far_end.receive(now, packet);
            });
            let emit = |side, packet: &[u8]| {
                if side == Side::A {
                    near_phone.receive(now, packet);
                }
            };
            pipe.tick(now, &mut workspace, emit, |side, _| {
                assert_eq!(side, Side::B)
            });
            near_phone.pull(now, &mut workspace, &mut samples);
            heard.extend_from_slice(&samples);
            events.extend(std::iter::from_fn(|| near_phone.poll_event()));
        }
        (heard, events)
    }

    fn keys(events: &[TelephoneEvent]) -> Vec<(u8, u64)> {
        let ends = events
            .iter()
            .filter_map(|event| Some((event.code, event.lasted?)));
        ends.map(|(code, lasted)| (code, lasted.as_millis() as u64))
            .collect()
    }

    #[test]
    fn keys_pass_from_events_to_events_of_another_clock() {
        let l16 = Codec::L16 {
            sample_rate: 16_000,
            channels: 1,
        };
        let (_, events) = call(config(l16, Some(101)), config(Codec::Pcma, Some(97)));
        assert_eq!(keys(&events), [(5, 80), (5, 80), (11, 80)]);
    }

    #[test]
    fn keys_within_speech_become_events() {
        let (heard, events) = call(config(Codec::Pcmu, Some(101)), config(Codec::Pcma, None));
        let keys = keys(&events);
        assert_eq!(keys.iter().map(|key| key.0).collect::<Vec<_>>(), [5, 5, 11]);
        assert!(keys.iter().all(|key| key.1.abs_diff(80) <= 10), "{keys:?}");
        let level = heard
            .chunks(160)
            .map(crate::level::level_dbov)
            .max()
            .unwrap();
        assert!(level < -60, "{level}");
    }

    #[test]
    fn events_become_keys_within_speech() {
        let (heard, events) = call(config(Codec::Pcmu, None), config(Codec::Pcma, Some(101)));
        assert_eq!(events, []);
        let mut detector = dtmf::Detector::new(8000);
        let mut found = Vec::new();
        detector.process(&heard, |detection| {
            if let dtmf::Detection::Began { code, .. } = detection {
                found.push(code);
            }
        });
        assert_eq!(found, [5, 5, 11]);
        let level = spectrum::level_at_dbov(&heard[160 * 40..160 * 90], 8000, 770.0);
        assert!(level > -40.0, "{level}");
    }
}
