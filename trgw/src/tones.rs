//! Telephone events in RTP, RFC 4733: found in what comes, and put in its place.

use std::time::Duration;

use base::Instant;
use dataplane::{Datagram, DetectedTone, EventFormat, PlayedTone};
use rtp::{Event, HEADER_BYTES, Header};

/// What is known of the telephone events that a flow receives.
///
/// A tone begins with the first packet of its event and ends with the first that says so; where
/// those are lost, with the next event, or with a packet of something else that is later than the
/// event has told to be.
#[derive(Default)]
pub(crate) struct Detector {
    event: Option<Received>,
}

/// The last event.
struct Received {
    ssrc: u32,
    code: u8,
    /// RTP timestamp of its packets; of the last segment of a long one.
    timestamp: u32,
    /// What earlier segments lasted.
    before_ticks: u64,
    /// What the last segment lasted.
    ticks: u16,
    /// Its end has not been reported yet.
    sounds: bool,
    /// Another is not begun before.
    next_from: Instant,
}

impl Detector {
    /// A packet came. `report` returns false when there is no room: the next packet tries again.
    pub fn receive(
        &mut self,
        arrival: Instant,
        header: &Header,
        datagram: &[u8],
        format: EventFormat,
        mut report: impl FnMut(DetectedTone) -> bool,
    ) {
        if header.payload_type != format.payload_type {
            self.receive_other(header, format, report);
            return;
        }
        let event = rtp::Packet::new(datagram).map(|packet| Event::parse(packet.payload()));
        let Ok(Ok(event)) = event else {
            return;
        };
        if event.digit().is_none() || !self.begin(arrival, header, event, format, &mut report) {
            return;
        }
        let Some(received) = &mut self.event else {
            return;
        };
        received.ticks = received.ticks.max(event.duration);
        if event.end {
            received.finish(format, report);
        }
    }

    /// Makes sure that the event is the last one; false when it is an older one, or none can begin
    /// now.
    fn begin(
        &mut self,
        arrival: Instant,
        header: &Header,
        event: Event,
        format: EventFormat,
        mut report: impl FnMut(DetectedTone) -> bool,
    ) -> bool {
        if let Some(last) = self.event.as_mut().filter(|last| last.ssrc == header.ssrc) {
            let ahead = header.timestamp.wrapping_sub(last.timestamp);
            match ahead {
                0 => return last.code == event.code,
                // The next segment of a long event (2.5.1.3).
                SEGMENT_TICKS if last.sounds && last.code == event.code => {
                    last.before_ticks += u64::from(SEGMENT_TICKS);
                    last.timestamp = header.timestamp;
                    last.ticks = 0;
                    return true;
                }
                ahead if ahead > u32::MAX / 2 => return false,
                _ => {}
            }
        }
        if let Some(last) = &mut self.event {
            let is_free = arrival >= last.next_from && last.finish(format, &mut report);
            if !is_free {
                return false;
            }
        }
        let begun = report(DetectedTone {
            code: event.code,
            lasted: None,
        });
        if begun {
            self.event = Some(Received {
                ssrc: header.ssrc,
                code: event.code,
                timestamp: header.timestamp,
                before_ticks: 0,
                ticks: 0,
                sounds: true,
                next_from: arrival + TONE_MIN,
            });
        }
        begun
    }

    /// Something else came: an event whose end was lost is over by now.
    fn receive_other(
        &mut self,
        header: &Header,
        format: EventFormat,
        report: impl FnMut(DetectedTone) -> bool,
    ) {
        let Some(last) = self.event.as_mut().filter(|last| last.sounds) else {
            return;
        };
        let ahead = header.timestamp.wrapping_sub(last.timestamp);
        let slack = SLACK_MS * u64::from(format.clock_hz) / 1000;
        let told = u64::from(last.ticks) + slack;
        let is_after = u64::from(ahead) > told && ahead < u32::MAX / 2;
        if last.ssrc == header.ssrc && is_after {
            last.finish(format, report);
        }
    }
}

impl Received {
    /// Reports the end, unless it has been; false when there is no room.
    fn finish(
        &mut self,
        format: EventFormat,
        mut report: impl FnMut(DetectedTone) -> bool,
    ) -> bool {
        if !self.sounds {
            return true;
        }
        let ticks = self.before_ticks + u64::from(self.ticks);
        let ms = ticks * 1000 / u64::from(format.clock_hz.max(1));
        self.sounds = !report(DetectedTone {
            code: self.code,
            lasted: Some(Duration::from_millis(ms)),
        });
        !self.sounds
    }
}

/// A segment of an event whose duration exceeds its field, RFC 4733 2.5.1.3.
const SEGMENT_TICKS: u32 = 0xffff;

/// Tones that begin sooner after one another are none: a sender makes no more than so many reports.
const TONE_MIN: Duration = Duration::from_millis(10);

/// Audio may run beside an event (RFC 4733 2.6), and is ahead of it by a packet.
const SLACK_MS: u64 = 100;

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

/// The last packet of an event is sent so often, RFC 4733 2.5.1.4.
const ENDS: u8 = 3;

/// Packets are taken to last 20 ms.
const PACKETS_PER_SECOND: u32 = 50;

/// Power of the tones in -dBm0.
const VOLUME: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: EventFormat = EventFormat {
        payload_type: 101,
        clock_hz: 8000,
    };

    /// A flow and what it has reported.
    #[derive(Default)]
    struct Flow {
        detector: Detector,
        reports: Vec<(u8, Option<u64>)>,
        at_ms: u64,
        is_full: bool,
    }

    impl Flow {
        fn packet(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
            self.packet_as(FORMAT, payload_type, timestamp, payload);
        }

        fn packet_as(
            &mut self,
            format: EventFormat,
            payload_type: u8,
            timestamp: u32,
            payload: &[u8],
        ) {
            self.at_ms += 20;
            let header = Header {
                marker: false,
                payload_type,
                sequence: 0,
                timestamp,
                ssrc: 7,
            };
            let mut packet = vec![0; HEADER_BYTES];
            header.write_to(&mut packet).unwrap();
            packet.extend_from_slice(payload);
            let (reports, is_full) = (&mut self.reports, self.is_full);
            let arrival = Instant::ZERO + Duration::from_millis(self.at_ms);
            let report = |tone: DetectedTone| {
                if !is_full {
                    let lasted = tone.lasted.map(|lasted| lasted.as_millis() as u64);
                    reports.push((tone.code, lasted));
                }
                !is_full
            };
            self.detector
                .receive(arrival, &header, &packet, format, report);
        }

        fn event(&mut self, code: u8, timestamp: u32, duration: u16, end: bool) {
            let event = Event {
                code,
                end,
                volume: 10,
                duration,
            };
            self.packet(101, timestamp, &event.to_bytes());
        }

        fn audio(&mut self, timestamp: u32) {
            self.packet(8, timestamp, &[0xd5; 160]);
        }
    }

    #[test]
    fn an_event_is_reported_at_its_beginning_and_once_at_its_end() {
        let mut flow = Flow::default();
        flow.event(5, 1000, 160, false);
        assert_eq!(flow.reports, [(5, None)]);
        flow.event(5, 1000, 320, false);
        for _ in 0..3 {
            flow.event(5, 1000, 640, true);
        }
        flow.audio(1640);
        assert_eq!(flow.reports, [(5, None), (5, Some(80))]);
        // The same digit again.
        flow.event(5, 2000, 160, true);
        assert_eq!(flow.reports[2..], [(5, None), (5, Some(20))]);
    }

    #[test]
    fn an_event_whose_end_is_lost_ends_with_the_next_or_with_audio() {
        let mut flow = Flow::default();
        flow.event(1, 1000, 800, false);
        flow.event(2, 3000, 160, false);
        assert_eq!(flow.reports, [(1, None), (1, Some(100)), (2, None)]);
        // Audio beside the event does not end it.
        flow.audio(3160);
        flow.audio(3000 + 160 + 800);
        assert_eq!(flow.reports.len(), 3);
        flow.audio(3000 + 160 + 801);
        assert_eq!(flow.reports[3..], [(2, Some(20))]);
    }

    #[test]
    fn what_comes_late_or_twice_is_no_event() {
        let mut flow = Flow::default();
        flow.event(1, 1000, 160, true);
        flow.event(2, 3000, 160, true);
        flow.event(1, 1000, 160, true);
        flow.event(2, 3000, 160, true);
        assert_eq!(flow.reports.len(), 4);
        // Timestamps wrap.
        let mut flow = Flow::default();
        flow.event(1, u32::MAX - 10, 160, true);
        flow.event(2, 500, 160, true);
        assert_eq!(flow.reports.len(), 4);
    }

    #[test]
    fn a_long_event_is_one_over_all_its_segments() {
        let mut flow = Flow::default();
        flow.event(9, 0, 0xffff, false);
        flow.event(9, 0xffff, 8000, false);
        flow.event(9, 0xffff, 8000, true);
        let ms = (0xffff + 8000) * 1000 / 8000;
        assert_eq!(flow.reports, [(9, None), (9, Some(ms))]);
    }

    #[test]
    fn what_is_no_digit_or_cut_short_is_not_reported() {
        let mut flow = Flow::default();
        flow.event(16, 0, 160, true);
        flow.packet(101, 1000, &[1, 2, 3]);
        flow.packet(96, 2000, &[1, 0x80, 0, 160]);
        assert_eq!(flow.reports, []);
    }

    #[test]
    fn a_report_without_room_is_made_with_a_later_packet() {
        let mut flow = Flow {
            is_full: true,
            ..Flow::default()
        };
        flow.event(5, 1000, 160, false);
        flow.is_full = false;
        flow.event(5, 1000, 320, false);
        assert_eq!(flow.reports, [(5, None)]);
        flow.is_full = true;
        flow.event(5, 1000, 480, true);
        flow.is_full = false;
        flow.event(5, 1000, 480, true);
        assert_eq!(flow.reports, [(5, None), (5, Some(60))]);
    }

    #[test]
    fn events_that_follow_too_fast_are_not_begun() {
        let mut flow = Flow::default();
        for code in 0..10 {
            flow.at_ms -= flow.at_ms.min(18);
            flow.event(code, 1000 * u32::from(code), 1, true);
        }
        assert!(flow.reports.len() <= 6, "{:?}", flow.reports);
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
                for (_, payload_type, timestamp, event) in sent {
                    let payload = event.map_or(vec![0; 160], |event| event.to_bytes().to_vec());
                    flow.packet_as(format, payload_type, timestamp, &payload);
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
        for (_, payload_type, timestamp, event) in played(&tones) {
            match event {
                Some(event) => flow.packet(payload_type, timestamp, &event.to_bytes()),
                None => flow.audio(timestamp),
            }
        }
        assert_eq!(
            flow.reports,
            [(1, None), (1, Some(100)), (2, None), (2, Some(200))]
        );
    }
}
