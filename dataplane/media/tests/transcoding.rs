//! Two phones of different codecs with a transcoder between them: every pair, and a long call.

mod phone;

use std::time::Duration;

use base::Instant;
use codecs::speech::Speech;
use codecs::{Codec, EncoderConfig, likeness};
use media::{FormatKind, PayloadFormat, PulledKind, ReceiverConfig, SenderConfig, Workspace};
use phone::Phone;

const RATE: u32 = 8000;
const TICK: usize = 160;

/// Every codec that this build can encode, and what one coding leaves of the likeness at least.
fn codecs() -> Vec<(Codec, f32)> {
    let wanted = [
        ("PCMU", 8000, 1, 0.99),
        ("PCMA", 8000, 1, 0.99),
        ("G722", 8000, 1, 0.97),
        ("L16", 16_000, 1, 0.99),
        ("AMR", 8000, 1, 0.87),
        ("AMR-WB", 16_000, 1, 0.83),
        ("opus", 48_000, 2, 0.87),
    ];
    let codecs = wanted.map(|(name, rate, channels, likeness)| {
        (
            Codec::from_sdp(name, rate, channels, None).unwrap(),
            likeness,
        )
    });
    let is_there = |codec: &Codec| codec.encoder(EncoderConfig::default()).is_ok();
    codecs
        .into_iter()
        .filter(|(codec, _)| is_there(codec))
        .collect()
}

fn phone(codec: &Codec) -> Phone {
    let receiver = ReceiverConfig {
        sample_rate: RATE,
        formats: vec![PayloadFormat {
            payload_type: 96,
            kind: FormatKind::Audio(codec.clone()),
        }],
        ..ReceiverConfig::default()
    };
    let sender = SenderConfig {
        payload_type: 96,
        clock_hz: codec.rtp_clock_rate(),
        event_payload_type: None,
        ssrc: 5,
        sequence: 65_000,
        timestamp: u32::MAX - 5000,
    };
    Phone::new(codec, &receiver, sender)
}

/// A call of which one phone talks and the other listens.
struct Call {
    talker: Phone,
    listener: Phone,
    /// The transcoder: what it hears the talker by, and what the listener hears of it.
    near: Phone,
    far: Phone,
    workspace: Workspace,
    /// Two seconds, over and over.
    speech: Vec<i16>,
    tick: u32,
}

impl Call {
    fn new(from: &Codec, to: &Codec) -> Self {
        let mut speech = vec![0; 100 * TICK];
        Speech::new(9).fill(&mut speech);
        Self {
            talker: phone(from),
            listener: phone(to),
            near: phone(from),
            far: phone(to),
            workspace: Workspace::default(),
            speech,
            tick: 0,
        }
    }

    /// What is said and heard meanwhile.
    fn pass(&mut self, ticks: u32) -> (Vec<i16>, Vec<i16>) {
        let (mut said, mut heard) = (Vec::new(), Vec::new());
        for _ in 0..ticks {
            let now = Instant::from_secs(50) + self.tick * Duration::from_millis(20);
            let mut samples = [0; TICK];
            let from = self.tick as usize % 100 * TICK;
            samples.copy_from_slice(&self.speech[from..from + TICK]);
            self.tick += 1;
            said.extend_from_slice(&samples);
            let (near, listener) = (&mut self.near, &mut self.listener);
            self.talker
                .push(&samples, |packet| near.receive(now, packet));
            let pulled = near.pull(now, &mut self.workspace, &mut samples);
            // As long as nothing has come, nothing is sent.
            if pulled.kind != PulledKind::Silence {
                self.far
                    .push(&samples, |packet| listener.receive(now, packet));
            }
            self.listener.pull(now, &mut self.workspace, &mut samples);
            heard.extend_from_slice(&samples);
        }
        (said, heard)
    }
}

#[test]
fn every_codec_is_heard_in_every_other() {
    for (from, from_likeness) in codecs() {
        for (to, to_likeness) in codecs() {
            let mut call = Call::new(&from, &to);
            call.pass(40);
            let (said, heard) = call.pass(32);
            let found = likeness(&said[..4000], &heard, 1000).unwrap();
            let name = (from.encoding(), to.encoding());
            let least = from_likeness * to_likeness - 0.02;
            assert!(found.correlation > least, "{name:?}: {found:?}");
            // Delays of two jitter buffers, four resamplers and two encoders.
            assert!(found.delay_samples < 950, "{name:?}: {found:?}");
        }
    }
}

#[test]
fn a_call_of_ten_minutes_does_not_drift() {
    let l16 = Codec::L16 {
        sample_rate: 16_000,
        channels: 1,
    };
    let mut call = Call::new(&Codec::Pcma, &l16);
    call.pass(250);
    let delay_at = |call: &mut Call| {
        let (said, heard) = call.pass(32);
        likeness(&said[..4000], &heard[..5000], 1000)
            .unwrap()
            .delay_samples
    };
    let first = delay_at(&mut call);
    call.pass(10 * 60 * 50);
    assert_eq!(delay_at(&mut call), first);
    let playout = call.listener.receiver.playout();
    assert_eq!((playout.concealed_samples, playout.late), (0, 0));
}
