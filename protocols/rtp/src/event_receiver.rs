//! Telephone events as they are received, RFC 4733 2.5.2.

use std::time::Duration;

use base::Instant;

use crate::event::Event;
use crate::packet::Header;

/// An event that began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventReport {
    /// Event code, RFC 4733 3.2.
    pub code: u8,
    /// How long it lasted, at its end; `None` at its beginning.
    pub lasted: Option<Duration>,
}

/// What is known of the telephone events of a stream.
///
/// An event begins with the first packet of it and ends with the first that says so; where those
/// are lost, with the next event, with a packet of something else that is later than the event has
/// told to be, or after [`EVENT_SILENT_MAX`] without any.
///
/// What is told goes to `report`. It returns false when there is no room: the next packet tries
/// again.
#[derive(Clone, Debug, Default)]
pub struct EventReceiver {
    event: Option<Received>,
}

/// The last event.
#[derive(Clone, Debug)]
struct Received {
    ssrc: u32,
    code: u8,
    /// RTP timestamp of its packets; of the last segment of a long one.
    timestamp: u32,
    /// What earlier segments lasted.
    before_ticks: u64,
    /// What the last segment lasted.
    ticks: u16,
    /// Its end has not been told yet.
    sounds: bool,
    /// When it began, and when it was last heard of.
    began: Instant,
    heard: Instant,
}

/// An event of which so long nothing came is over: three packets at the longest interval.
pub const EVENT_SILENT_MAX: Duration = Duration::from_millis(200);

/// Keys and hook flash: what is told of. Other events are tones of modems and lines.
const CODE_MAX: u8 = 16;

/// Events that begin sooner after one another are none: a sender makes no more than so many.
const EVENT_MIN: Duration = Duration::from_millis(10);

/// A segment of an event whose duration exceeds its field, RFC 4733 2.5.1.3.
const SEGMENT_TICKS: u32 = 0xffff;

/// Audio may run beside an event (RFC 4733 2.6), and is ahead of it by a packet.
const SLACK_MS: u64 = 100;

impl EventReceiver {
    /// Whether an event sounds.
    pub fn is_sounding(&self) -> bool {
        self.event.as_ref().is_some_and(|event| event.sounds)
    }

    /// Whether what stands at a timestamp belongs to the event that sounds or sounded last.
    pub fn covers(&self, timestamp: u32) -> bool {
        self.event.as_ref().is_some_and(|event| {
            let ahead = timestamp.wrapping_sub(event.timestamp);
            event.sounds && ahead < u32::MAX / 2 || ahead < u32::from(event.ticks)
        })
    }

    /// A packet of an event came. The payload is that of `telephone-event` at `clock_hz`.
    pub fn receive(
        &mut self,
        now: Instant,
        header: &Header,
        payload: &[u8],
        clock_hz: u32,
        mut report: impl FnMut(EventReport) -> bool,
    ) {
        let Ok(event) = Event::parse(payload) else {
            return;
        };
        if event.code > CODE_MAX || !self.begin(now, header, event, clock_hz, &mut report) {
            return;
        }
        let Some(received) = &mut self.event else {
            return;
        };
        received.ticks = received.ticks.max(event.duration);
        received.heard = now;
        if event.end {
            received.finish(clock_hz, report);
        }
    }

    /// Makes sure that the event is the last one; false when it is an older one, or none can begin
    /// now.
    fn begin(
        &mut self,
        now: Instant,
        header: &Header,
        event: Event,
        clock_hz: u32,
        mut report: impl FnMut(EventReport) -> bool,
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
            let is_free = now >= last.began + EVENT_MIN && last.finish(clock_hz, &mut report);
            if !is_free {
                return false;
            }
        }
        let begun = report(EventReport {
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
                began: now,
                heard: now,
            });
        }
        begun
    }

    /// A packet of something else came: an event whose end was lost is over by now.
    pub fn receive_other(
        &mut self,
        header: &Header,
        clock_hz: u32,
        report: impl FnMut(EventReport) -> bool,
    ) {
        let Some(last) = self.event.as_mut().filter(|last| last.sounds) else {
            return;
        };
        let ahead = header.timestamp.wrapping_sub(last.timestamp);
        let slack = SLACK_MS * u64::from(clock_hz) / 1000;
        let told = u64::from(last.ticks) + slack;
        let is_after = u64::from(ahead) > told && ahead < u32::MAX / 2;
        if last.ssrc == header.ssrc && is_after {
            last.finish(clock_hz, report);
        }
    }

    /// Time passed: an event that is heard of no more ends.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        clock_hz: u32,
        report: impl FnMut(EventReport) -> bool,
    ) {
        if let Some(last) = &mut self.event
            && last.sounds
            && now.since(last.heard) >= EVENT_SILENT_MAX
        {
            last.finish(clock_hz, report);
        }
    }
}

impl Received {
    /// Tells the end, unless it has been; false when there is no room.
    fn finish(&mut self, clock_hz: u32, mut report: impl FnMut(EventReport) -> bool) -> bool {
        if !self.sounds {
            return true;
        }
        let ticks = self.before_ticks + u64::from(self.ticks);
        let ms = ticks * 1000 / u64::from(clock_hz.max(1));
        self.sounds = !report(EventReport {
            code: self.code,
            lasted: Some(Duration::from_millis(ms)),
        });
        !self.sounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receiver and what it told: codes, and milliseconds at the ends.
    #[derive(Default)]
    struct Flow {
        receiver: EventReceiver,
        told: Vec<(u8, Option<u64>)>,
        at_ms: u64,
        is_full: bool,
    }

    impl Flow {
        fn with(
            &mut self,
            work: impl FnOnce(&mut EventReceiver, Instant, &mut dyn FnMut(EventReport) -> bool),
        ) {
            let now = Instant::ZERO + Duration::from_millis(self.at_ms);
            let (told, is_full) = (&mut self.told, self.is_full);
            let mut report = |event: EventReport| {
                if !is_full {
                    let lasted = event.lasted.map(|lasted| lasted.as_millis() as u64);
                    told.push((event.code, lasted));
                }
                !is_full
            };
            work(&mut self.receiver, now, &mut report);
        }

        fn event(&mut self, code: u8, timestamp: u32, duration: u16, end: bool) {
            let volume = 10;
            let event = Event {
                code,
                end,
                volume,
                duration,
            };
            self.payload(timestamp, &event.to_bytes());
        }

        fn payload(&mut self, timestamp: u32, payload: &[u8]) {
            self.at_ms += 20;
            let header = header(timestamp);
            self.with(|receiver, now, report| {
                receiver.receive(now, &header, payload, 8000, report);
            });
        }

        fn audio(&mut self, timestamp: u32) {
            let header = header(timestamp);
            self.with(|receiver, _, report| receiver.receive_other(&header, 8000, report));
        }

        fn pass(&mut self, ms: u64) {
            self.at_ms += ms;
            self.with(|receiver, now, report| receiver.handle_timeout(now, 8000, report));
        }
    }

    fn header(timestamp: u32) -> Header {
        Header {
            timestamp,
            ssrc: 7,
            ..Header::default()
        }
    }

    #[test]
    fn an_event_is_told_at_its_beginning_and_once_at_its_end() {
        let mut flow = Flow::default();
        flow.event(5, 1000, 160, false);
        assert_eq!(flow.told, [(5, None)]);
        assert!(flow.receiver.is_sounding() && flow.receiver.covers(1500));
        flow.event(5, 1000, 320, false);
        for _ in 0..3 {
            flow.event(5, 1000, 640, true);
        }
        flow.audio(1640);
        assert_eq!(flow.told, [(5, None), (5, Some(80))]);
        assert!(flow.receiver.covers(1639) && !flow.receiver.covers(1640));
        // The same digit again.
        flow.event(5, 2000, 160, true);
        assert_eq!(flow.told[2..], [(5, None), (5, Some(20))]);
    }

    #[test]
    fn an_event_whose_end_is_lost_ends_with_the_next_with_audio_or_with_time() {
        let mut flow = Flow::default();
        flow.event(1, 1000, 800, false);
        flow.event(2, 3000, 160, false);
        assert_eq!(flow.told, [(1, None), (1, Some(100)), (2, None)]);
        // Audio beside the event does not end it.
        flow.audio(3160);
        flow.audio(3000 + 160 + 800);
        assert_eq!(flow.told.len(), 3);
        flow.audio(3000 + 160 + 801);
        assert_eq!(flow.told[3..], [(2, Some(20))]);
        flow.event(3, 9000, 160, false);
        flow.pass(199);
        assert_eq!(flow.told.len(), 5);
        flow.pass(1);
        assert_eq!(flow.told[5..], [(3, Some(20))]);
    }

    #[test]
    fn what_comes_late_or_twice_or_is_no_key_is_nothing() {
        let mut flow = Flow::default();
        flow.event(1, u32::MAX - 10, 160, true);
        flow.event(2, 3000, 160, true);
        flow.event(1, u32::MAX - 10, 160, true);
        flow.event(2, 3000, 160, true);
        assert_eq!(flow.told.len(), 4);
        flow.event(32, 9000, 160, true);
        flow.payload(12_000, &[1, 2, 3]);
        assert_eq!(flow.told.len(), 4);
        flow.at_ms -= 20;
        flow.event(4, 15_000, 160, true);
        flow.at_ms -= 20;
        flow.event(5, 18_000, 160, true);
        assert_eq!(flow.told.len(), 6);
    }

    #[test]
    fn a_long_event_is_one_over_all_its_segments() {
        let mut flow = Flow::default();
        flow.event(9, 0, 0xffff, false);
        flow.event(9, 0xffff, 8000, false);
        flow.event(9, 0xffff, 8000, true);
        let ms = (0xffff + 8000) * 1000 / 8000;
        assert_eq!(flow.told, [(9, None), (9, Some(ms))]);
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
        assert_eq!(flow.told, [(5, None)]);
        flow.is_full = true;
        flow.event(5, 1000, 480, true);
        flow.is_full = false;
        flow.event(5, 1000, 480, true);
        assert_eq!(flow.told, [(5, None), (5, Some(60))]);
    }

    #[test]
    fn events_that_follow_too_fast_are_not_begun() {
        let mut flow = Flow::default();
        for code in 0..10 {
            flow.at_ms -= flow.at_ms.min(18);
            flow.event(code, 1000 * u32::from(code), 1, true);
        }
        assert!(flow.told.len() <= 6, "{:?}", flow.told);
    }
}
