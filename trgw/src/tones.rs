//! Telephone events in RTP, RFC 4733: put in the place of what comes.

use dataplane::{Datagram, EventFormat, PlayedTone};
use rtp::{Event, HEADER_BYTES, Header};

/// What is sent in the place of the packets that a flow receives.
///
/// Packets keep their source and sequence numbers; the events take their timestamps from the
/// packets that they replace. So tones are sent where something passes, and nowhere else.
#[derive(Default)]
pub(crate) struct TonePlayer {
    /// The last tone begun.
    number: u64,
    playing: Option<Playing>,
}

#[derive(Clone, Copy)]
struct Playing {
    code: u8,
    format: EventFormat,
    timestamp: u32,
    /// The duration that the end has told, and how often it is still to be told.
    ending: Option<(u16, u8)>,
}

impl TonePlayer {
    /// True while an event is being sent, or its end is.
    pub fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// Puts an event in the place of a packet, if one is to be sent. `tone` is what the path has.
    pub fn replace(&mut self, tone: Option<PlayedTone>, header: &Header, datagram: &mut Datagram) {
        let mut marker = false;
        let next = tone.filter(|tone| tone.number != self.number);
        if self.playing.is_none()
            && let Some(next) = next
        {
            self.number = next.number;
            self.playing = Some(Playing {
                code: next.code,
                format: next.format,
                timestamp: header.timestamp,
                ending: None,
            });
            marker = true;
        }
        let Some(playing) = &mut self.playing else {
            return;
        };
        let packet_ticks = playing.format.clock_hz / PACKETS_PER_SECOND;
        let mut elapsed = header
            .timestamp
            .wrapping_sub(playing.timestamp)
            .wrapping_add(packet_ticks);
        // A source that starts anew is not counted backwards.
        if elapsed > u32::MAX / 2 {
            playing.timestamp = header.timestamp;
            elapsed = packet_ticks;
        }
        if playing.ending.is_none() {
            let segments = elapsed.saturating_sub(1) / SEGMENT_TICKS * SEGMENT_TICKS;
            playing.timestamp = playing.timestamp.wrapping_add(segments);
            elapsed -= segments;
        }
        let ends = tone.is_none_or(|tone| tone.number != self.number);
        if ends && playing.ending.is_none() {
            // Another that follows at once tells the end of this one too.
            let times = if next.is_some() { 1 } else { ENDS };
            let elapsed = elapsed.saturating_sub(packet_ticks);
            playing.ending = Some((u16::try_from(elapsed).unwrap_or(u16::MAX), times));
        }
        let event = Event {
            code: playing.code,
            end: playing.ending.is_some(),
            volume: VOLUME,
            duration: match playing.ending {
                Some((duration, _)) => duration,
                None => u16::try_from(elapsed).unwrap_or(u16::MAX),
            },
        };
        let header = Header {
            marker,
            payload_type: playing.format.payload_type,
            timestamp: playing.timestamp,
            ..*header
        };
        if let Some((_, left)) = &mut playing.ending {
            *left -= 1;
            if *left == 0 {
                self.playing = None;
            }
        }
        let mut packet = [0; HEADER_BYTES + Event::BYTES];
        packet[HEADER_BYTES..].copy_from_slice(&event.to_bytes());
        if header.write_to(&mut packet).is_ok() {
            datagram.replace_payload(&packet);
        }
    }
}

/// A segment of an event whose duration exceeds its field, RFC 4733 2.5.1.3.
const SEGMENT_TICKS: u32 = 0xffff;

/// The last packet of an event is sent so often, RFC 4733 2.5.1.4.
const ENDS: u8 = 3;

/// Packets are taken to last 20 ms.
const PACKETS_PER_SECOND: u32 = 50;

/// Power of the tones in -dBm0.
const VOLUME: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    use base::Instant;
    use rtp::{EventReceiver, EventReport};

    const FORMAT: EventFormat = EventFormat {
        payload_type: 101,
        clock_hz: 8000,
    };

    /// A flow and what it has reported.
    #[derive(Default)]
    struct Flow {
        receiver: EventReceiver,
        reports: Vec<(u8, Option<u64>)>,
        at_ms: u64,
    }

    impl Flow {
        fn packet_as(&mut self, format: EventFormat, timestamp: u32, event: Option<Event>) {
            self.at_ms += 20;
            let header = Header {
                timestamp,
                ssrc: 7,
                ..Header::default()
            };
            let arrival = Instant::ZERO + Duration::from_millis(self.at_ms);
            let (clock_hz, reports) = (format.clock_hz, &mut self.reports);
            let report = |told: EventReport| {
                let lasted = told.lasted.map(|lasted| lasted.as_millis() as u64);
                reports.push((told.code, lasted));
                true
            };
            let receiver = &mut self.receiver;
            match event.map(Event::to_bytes) {
                Some(payload) => receiver.receive(arrival, &header, &payload, clock_hz, report),
                None => receiver.receive_other(&header, clock_hz, report),
            }
        }
    }

    /// What a flow of audio packets every 20 ms becomes: marker, payload type, timestamp, and the
    /// event.
    fn played(tones: &[Option<(u64, u8)>]) -> Vec<(bool, u8, u32, Option<Event>)> {
        let timestamps = (1..).map(|count| 160 * count);
        played_at(timestamps, FORMAT, tones)
    }

    /// The same with other timestamps and another clock.
    fn played_at(
        timestamps: impl Iterator<Item = u32>,
        format: EventFormat,
        tones: &[Option<(u64, u8)>],
    ) -> Vec<(bool, u8, u32, Option<Event>)> {
        let mut player = TonePlayer::default();
        let packets = tones.iter().zip(timestamps).zip(1_u16..);
        let packets = packets.map(|((tone, timestamp), count)| {
            let header = Header {
                marker: false,
                payload_type: 8,
                sequence: count,
                timestamp,
                ssrc: 7,
            };
            let mut frame = dataplane::Frame::pool(1).remove(0);
            let mut bytes = vec![0xd5; HEADER_BYTES + 160];
            header.write_to(&mut bytes).unwrap();
            assert!(frame.fill(&bytes));
            let source = "192.0.2.1:4000".parse().unwrap();
            let mut datagram = Datagram::new(frame, dataplane::FlowId(0), source, Instant::ZERO);
            let tone = tone.map(|(number, code)| PlayedTone {
                number,
                code,
                format,
            });
            player.replace(tone, &header, &mut datagram);
            let packet = rtp::Packet::new(datagram.payload()).unwrap();
            let sent = packet.header();
            assert_eq!((sent.sequence, sent.ssrc), (count, 7));
            let is_event = sent.payload_type == 101;
            let event = is_event.then(|| Event::parse(packet.payload()).unwrap());
            (sent.marker, sent.payload_type, sent.timestamp, event)
        });
        packets.collect()
    }

    fn event(code: u8, end: bool, duration: u16) -> Option<Event> {
        Some(Event {
            code,
            end,
            volume: VOLUME,
            duration,
        })
    }

    #[test]
    fn a_tone_takes_the_place_of_packets_and_its_end_is_told_three_times() {
        let five = Some((1, 5));
        let packets = played(&[None, five, five, None, None, None, None]);
        assert_eq!(
            packets,
            [
                (false, 8, 160, None),
                (true, 101, 320, event(5, false, 160)),
                (false, 101, 320, event(5, false, 320)),
                (false, 101, 320, event(5, true, 320)),
                (false, 101, 320, event(5, true, 320)),
                (false, 101, 320, event(5, true, 320)),
                (false, 8, 1120, None),
            ]
        );
    }

    #[test]
    fn a_tone_that_follows_at_once_tells_the_end_of_the_one_before() {
        let (one, two) = (Some((1, 1)), Some((2, 1)));
        let packets = played(&[one, one, two, two]);
        assert_eq!(
            packets,
            [
                (true, 101, 160, event(1, false, 160)),
                (false, 101, 160, event(1, false, 320)),
                (false, 101, 160, event(1, true, 320)),
                (true, 101, 640, event(1, false, 160)),
            ]
        );
    }

    #[test]
    fn a_tone_longer_than_the_field_goes_on_in_segments() {
        let packets = played(&vec![Some((1, 3)); 500]);
        let (marker, _, timestamp, last) = packets[499];
        assert_eq!((marker, timestamp), (false, 160 + 0xffff));
        assert_eq!(last, event(3, false, (500 * 160 - 0xffff) as u16));
        assert_eq!(packets.iter().filter(|packet| packet.0).count(), 1);
    }

    #[test]
    fn timestamps_and_clocks_may_be_anything() {
        let tones: Vec<_> = [Some((1, 1)), Some((1, 1)), None, Some((2, 2)), None]
            .into_iter()
            .cycle()
            .take(60)
            .collect();
        for clock_hz in [0, 1, 8000, u32::MAX] {
            let format = EventFormat {
                payload_type: 101,
                clock_hz,
            };
            for step in [1, 159, 0x7fff_ffff, 0x8000_0001, u32::MAX - 100, u32::MAX] {
                let timestamps = (0..).map(|count: u32| count.wrapping_mul(step));
                let sent = played_at(timestamps, format, &tones);
                let mut flow = Flow::default();
                for (_, _, timestamp, event) in sent {
                    flow.packet_as(format, timestamp, event);
                }
            }
        }
    }

    #[test]
    fn what_is_sent_is_detected_as_it_was_meant() {
        let (one, two) = (Some((1, 1)), Some((2, 2)));
        let mut tones = vec![one; 5];
        tones.extend([None; 6]);
        tones.extend([two; 10]);
        tones.extend([None; 4]);
        let mut flow = Flow::default();
        for (_, _, timestamp, event) in played(&tones) {
            flow.packet_as(FORMAT, timestamp, event);
        }
        assert_eq!(
            flow.reports,
            [(1, None), (1, Some(100)), (2, None), (2, Some(200))]
        );
    }
}
