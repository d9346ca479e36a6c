//! After they are made, streams and rooms allocate nothing, whatever comes.

mod phone;

use std::time::Duration;

use base::Instant;
use codecs::Codec;
use codecs::speech::Speech;
use media::loudest::Loudest;
use media::mix::{Fader, Sum, fade};
use media::{
    Encoding, FormatKind, InBand, PayloadFormat, ReceiverConfig, Sender, SenderConfig, Workspace,
};
use phone::Phone;

const RATE: u32 = 16_000;
const TICK: usize = 320;

fn phone(payload_type: u8, codec: Codec, in_band: InBand) -> Phone {
    let clock_hz = codec.rtp_clock_rate();
    let format = |payload_type, kind| PayloadFormat { payload_type, kind };
    let receiver = ReceiverConfig {
        sample_rate: RATE,
        formats: vec![
            format(payload_type, FormatKind::Audio(codec.clone())),
            format(13, FormatKind::ComfortNoise { clock_hz: 8000 }),
            format(101, FormatKind::Event { clock_hz }),
        ],
        in_band,
        sounds_events: true,
        ..ReceiverConfig::default()
    };
    Phone::new(&codec, &receiver, sender_config(payload_type, clock_hz))
}

fn sender(payload_type: u8, clock_hz: u32) -> Sender {
    Sender::new(sender_config(payload_type, clock_hz))
}

fn sender_config(payload_type: u8, clock_hz: u32) -> SenderConfig {
    SenderConfig {
        payload_type,
        clock_hz,
        event_payload_type: Some(101),
        ssrc: 1,
        sequence: 0,
        timestamp: 0,
    }
}

#[test]
fn no_tick_of_a_room_allocates() {
    let mut talkers = [
        phone(8, Codec::Pcma, InBand::Detect),
        phone(0, Codec::Pcmu, InBand::Remove),
        phone(9, Codec::G722, InBand::Ignore),
    ];
    let mut audience: Vec<Sender> = (0..10).map(|_| sender(8, 8000)).collect();
    let mut encoding = Encoding::new(&phone::encoding(&Codec::Pcma, RATE)).unwrap();
    let mut loudest = Loudest::new(2);
    let mut fader = Fader::default();
    let mut sum = Sum::new(TICK);
    let mut workspace = Workspace::default();
    let mut voices = [1, 2, 3].map(Speech::new);
    let mut samples = [[0; TICK]; 3];
    let mut wires = [[[0; 400]; 3]; 3];
    let (mut sent, mut events) = (0, 0);
    let counted = allocation_counter::measure(|| {
        for tick in 0..500_u32 {
            let now = Instant::from_secs(1) + tick * Duration::from_millis(20);
            sum.clear();
            for (key, talker) in talkers.iter_mut().enumerate() {
                // What it sent comes back to it, but for every ninth packet.
                for packet in &wires[key] {
                    let len = usize::from(u16::from_be_bytes([packet[398], packet[399]]));
                    if len > 0 && !tick.is_multiple_of(9) {
                        talker.receive(now, &packet[..len]);
                    }
                }
                wires[key] = [[0; 400]; 3];
                let pulled = talker.pull(now, &mut workspace, &mut samples[key]);
                let loudness = talker.receiver.activity().loudness_dbov();
                loudest.consider(key as u32, loudness, pulled.is_talking);
                while talker.receiver.poll_event().is_some() {
                    events += 1;
                }
            }
            loudest.choose();
            for (key, how) in loudest.heard() {
                fade(&mut samples[key as usize], how);
                fader.apply(&mut samples[key as usize]);
                sum.add(&samples[key as usize]);
            }
            let mut heard = [0; TICK];
            sum.write(&mut heard);
            encoding.push(&heard);
            while let Some(mut outgoing) = encoding.next_packet() {
                for sender in &mut audience {
                    sent += usize::from(sender.stamp(&mut outgoing).is_some());
                }
            }
            for (key, talker) in talkers.iter_mut().enumerate() {
                if tick.is_multiple_of(100) {
                    talker.sender.send_event(5, Some(60)).unwrap();
                }
                voices[key].fill(&mut heard);
                let mut place = wires[key].iter_mut();
                talker.push(&heard, |packet| {
                    if let Some(place) = place.next() {
                        place[..packet.len()].copy_from_slice(packet);
                        place[398..].copy_from_slice(&(packet.len() as u16).to_be_bytes());
                    }
                });
            }
        }
    });
    assert_eq!(counted.count_total, 0);
    assert_eq!(sent, 5000);
    assert!(events >= 20, "{events}");
}
