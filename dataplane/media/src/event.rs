//! Telephone events in RTP, RFC 4733: received and sent; and what is known of keys of any carriage.

use std::time::Duration;

use base::Instant;
use rtp::{Event, Header};

/// A key, or another telephone event, as an endpoint heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Event code, RFC 4733 3.2: 0 to 9 digits, 10 `*`, 11 `#`, 12 to 15 A to D, 16 hook flash.
    pub code: u8,
    /// How long it lasted, at its end; `None` at its beginning.
    pub lasted: Option<Duration>,
    /// How it came.
    pub carriage: Carriage,
}

/// How an event came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carriage {
    /// In packets of its own, RFC 4733.
    Rtp,
    /// As a signal within speech, Q.23.
    InBand,
}

/// What is known of the telephone events that are received.
///
/// An event begins with the first packet of it and ends with the first that says so; where those
/// are lost, with the next event, with a packet of something else that is later than the event has
/// told to be, or after [`SILENT_MAX`] without any.
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
pub const SILENT_MAX: Duration = Duration::from_millis(200);

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
        mut report: impl FnMut(TelephoneEvent),
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
        mut report: impl FnMut(TelephoneEvent),
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
            if now < last.began + EVENT_MIN {
                return false;
            }
            last.finish(clock_hz, &mut report);
        }
        report(TelephoneEvent {
            code: event.code,
            lasted: None,
            carriage: Carriage::Rtp,
        });
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
        true
    }

    /// A packet of something else came: an event whose end was lost is over by now.
    pub fn receive_other(
        &mut self,
        header: &Header,
        clock_hz: u32,
        report: impl FnMut(TelephoneEvent),
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
        report: impl FnMut(TelephoneEvent),
    ) {
        if let Some(last) = &mut self.event
            && last.sounds
            && now.since(last.heard) >= SILENT_MAX
        {
            last.finish(clock_hz, report);
        }
    }
}

impl Received {
    /// Tells the end, unless it has been.
    fn finish(&mut self, clock_hz: u32, mut report: impl FnMut(TelephoneEvent)) {
        if !std::mem::take(&mut self.sounds) {
            return;
        }
        let ticks = self.before_ticks + u64::from(self.ticks);
        let ms = ticks * 1000 / u64::from(clock_hz.max(1));
        report(TelephoneEvent {
            code: self.code,
            lasted: Some(Duration::from_millis(ms)),
            carriage: Carriage::Rtp,
        });
    }
}

/// Keys and hook flash: what we tell of. Other events are tones of modems and lines.
const CODE_MAX: u8 = 16;

/// Sends telephone events, one after the other, tick by tick.
#[derive(Clone, Debug, Default)]
pub struct EventSender {
    queue: [Option<Wanted>; QUEUE_MAX],
    playing: Option<Playing>,
    /// Ticks of the clock until the next may begin.
    pause: u32,
}

/// An event to be sent.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    code: u8,
    /// Ticks of the clock; `None` until it is stopped.
    ticks: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    wanted: Wanted,
    timestamp: u32,
    /// Ticks since the event began, and since its segment did.
    elapsed: u32,
    in_segment: u32,
    is_stopped: bool,
    /// The duration that the end has told, and how often it is still to be told.
    ending: Option<(u16, u8)>,
}

/// A packet of an event to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// First packet of an event.
    pub marker: bool,
    /// Of the beginning of the event or its segment.
    pub timestamp: u32,
    /// The payload.
    pub event: Event,
}

/// Events that may wait to be sent: the digits of a long number.
pub const QUEUE_MAX: usize = 32;

/// The last packet of an event is sent so often, RFC 4733 2.5.1.4.
const ENDS: u8 = 3;

/// Power that the events are said to have, in -dBm0.
const VOLUME: u8 = 10;

/// There is no room for one more event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl EventSender {
    /// Adds an event of a duration in ticks of its clock, or until [`stop`](Self::stop).
    ///
    /// # Errors
    /// [`QueueFull`]: [`QUEUE_MAX`] wait already.
    pub fn start(&mut self, code: u8, ticks: Option<u32>) -> Result<(), QueueFull> {
        let place = self.queue.iter_mut().find(|place| place.is_none());
        *place.ok_or(QueueFull)? = Some(Wanted { code, ticks });
        Ok(())
    }

    /// Ends the event added last, which has no duration, after so many ticks of its clock: where
    /// it is being sent and has lasted longer, now.
    pub fn finish(&mut self, ticks: u32) {
        let waiting = self.queue.iter_mut().rev().flatten().next();
        let playing = self.playing.as_mut().map(|playing| &mut playing.wanted);
        if let Some(wanted) = waiting.or(playing) {
            wanted.ticks.get_or_insert(ticks);
        }
    }

    /// Ends the event that is being sent, and forgets those that wait.
    pub fn stop(&mut self) {
        self.queue = [None; QUEUE_MAX];
        if let Some(playing) = &mut self.playing {
            playing.is_stopped = true;
        }
    }

    /// Whether events are being sent, or are to be: speech waits for them.
    pub fn is_sending(&self) -> bool {
        self.playing.is_some() || self.queue[0].is_some()
    }

    /// Whether nothing of an event remains to be sounded. Packets that repeat an end may follow.
    pub fn is_silent(&self) -> bool {
        let sounds = |playing: &Playing| playing.ending.is_none();
        self.queue[0].is_none() && !self.playing.as_ref().is_some_and(sounds)
    }

    /// What is to be sent for the tick that begins at `timestamp` and lasts `tick` ticks of the
    /// clock. Between two events there is a pause of `pause` of these.
    pub fn tick(&mut self, timestamp: u32, tick: u32, pause: u32) -> Option<EventPacket> {
        let mut marker = false;
        if self.playing.is_none() {
            if self.pause > 0 {
                self.pause = self.pause.saturating_sub(tick);
                return None;
            }
            let wanted = self.queue[0].take()?;
            self.queue.rotate_left(1);
            self.playing = Some(Playing {
                wanted,
                timestamp,
                elapsed: 0,
                in_segment: 0,
                is_stopped: false,
                ending: None,
            });
            marker = true;
        }
        let playing = self.playing.as_mut()?;
        let packet = playing.packet(marker, tick);
        if playing.ending.is_some_and(|(_, left)| left == 0) {
            self.playing = None;
            // Two of the ends were sent while nothing sounded.
            self.pause = pause.saturating_sub(u32::from(ENDS - 1) * tick);
        }
        Some(packet)
    }
}

impl Playing {
    fn packet(&mut self, marker: bool, tick: u32) -> EventPacket {
        if self.ending.is_none() {
            // A segment that is full: the event goes on with another timestamp.
            if self.in_segment + tick > SEGMENT_TICKS {
                self.timestamp = self.timestamp.wrapping_add(SEGMENT_TICKS);
                self.in_segment = (self.in_segment + tick) - SEGMENT_TICKS;
            } else {
                self.in_segment += tick;
            }
            self.elapsed = self.elapsed.saturating_add(tick);
            let over = match self.wanted.ticks {
                Some(ticks) => self.elapsed.saturating_sub(ticks).min(tick - 1),
                None => 0,
            };
            let is_over = self.wanted.ticks.is_some_and(|ticks| self.elapsed >= ticks);
            if is_over || self.is_stopped {
                let duration = self.in_segment.saturating_sub(over).max(1);
                let duration = u16::try_from(duration).unwrap_or(u16::MAX);
                self.ending = Some((duration, ENDS));
            }
        }
        let duration = match &mut self.ending {
            Some((duration, left)) => {
                *left -= 1;
                *duration
            }
            None => u16::try_from(self.in_segment).unwrap_or(u16::MAX),
        };
        EventPacket {
            marker,
            timestamp: self.timestamp,
            event: Event {
                code: self.wanted.code,
                end: self.ending.is_some(),
                volume: VOLUME,
                duration,
            },
        }
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
    }

    impl Flow {
        fn now(&self) -> Instant {
            Instant::ZERO + Duration::from_millis(self.at_ms)
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
            let header = Header {
                timestamp,
                ssrc: 7,
                ..Header::default()
            };
            let (now, told) = (self.now(), &mut self.told);
            self.receiver.receive(now, &header, payload, 8000, |event| {
                told.push((
                    event.code,
                    event.lasted.map(|lasted| lasted.as_millis() as u64),
                ));
            });
        }

        fn audio(&mut self, timestamp: u32) {
            let header = Header {
                timestamp,
                ssrc: 7,
                ..Header::default()
            };
            let told = &mut self.told;
            self.receiver.receive_other(&header, 8000, |event| {
                told.push((
                    event.code,
                    event.lasted.map(|lasted| lasted.as_millis() as u64),
                ));
            });
        }

        fn pass(&mut self, ms: u64) {
            self.at_ms += ms;
            let (now, told) = (self.now(), &mut self.told);
            self.receiver.handle_timeout(now, 8000, |event| {
                told.push((
                    event.code,
                    event.lasted.map(|lasted| lasted.as_millis() as u64),
                ));
            });
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

    fn sent(sender: &mut EventSender, ticks: u32) -> Vec<Option<EventPacket>> {
        (0..ticks)
            .map(|tick| sender.tick(5000 + 160 * tick, 160, 320))
            .collect()
    }

    #[test]
    fn an_event_is_sent_every_tick_and_its_end_three_times() {
        let mut sender = EventSender::default();
        sender.start(7, Some(480)).unwrap();
        let packets = sent(&mut sender, 7);
        let packet = |marker, end, duration| {
            let event = Event {
                code: 7,
                end,
                volume: 10,
                duration,
            };
            Some(EventPacket {
                marker,
                timestamp: 5000,
                event,
            })
        };
        assert_eq!(packets[0], packet(true, false, 160));
        assert_eq!(packets[1], packet(false, false, 320));
        assert_eq!(packets[2..5], [packet(false, true, 480); 3]);
        assert_eq!(packets[5..], [None; 2]);
        assert!(!sender.is_sending());
    }

    #[test]
    fn what_is_sent_is_received_with_its_durations() {
        let mut sender = EventSender::default();
        let keys = [(1, 320), (1, 500), (15, 640), (0, 16 * 8000)];
        for (code, ticks) in keys {
            sender.start(code, Some(ticks)).unwrap();
        }
        let mut flow = Flow::default();
        for tick in 0..1000 {
            if let Some(packet) = sender.tick(160 * tick, 160, 320) {
                flow.payload(packet.timestamp, &packet.event.to_bytes());
            }
        }
        let ends: Vec<(u8, u64)> = flow
            .told
            .iter()
            .filter_map(|&(c, t)| Some((c, t?)))
            .collect();
        assert_eq!(ends, [(1, 40), (1, 62), (15, 80), (0, 16_000)]);
        assert_eq!(flow.told.len(), 8);
    }

    #[test]
    fn an_event_is_finished_when_its_duration_is_known() {
        let mut sender = EventSender::default();
        let mut flow = Flow::default();
        let mut send = |sender: &mut EventSender, ticks: std::ops::Range<u32>| {
            for tick in ticks {
                if let Some(packet) = sender.tick(160 * tick, 160, 320) {
                    flow.payload(packet.timestamp, &packet.event.to_bytes());
                }
            }
        };
        sender.start(1, None).unwrap();
        send(&mut sender, 0..3);
        sender.finish(400);
        // The next one begins and ends before the first has been told.
        sender.start(2, None).unwrap();
        sender.finish(640);
        send(&mut sender, 3..20);
        let ends: Vec<(u8, u64)> = flow
            .told
            .iter()
            .filter_map(|&(c, t)| Some((c, t?)))
            .collect();
        assert_eq!(ends, [(1, 60), (2, 80)]);
    }

    #[test]
    fn an_event_lasts_until_it_is_stopped() {
        let mut sender = EventSender::default();
        sender.start(3, None).unwrap();
        sender.start(4, None).unwrap();
        assert!(
            sent(&mut sender, 20)
                .iter()
                .all(|packet| !packet.unwrap().event.end)
        );
        sender.stop();
        let packets = sent(&mut sender, 5);
        assert_eq!(
            packets
                .iter()
                .flatten()
                .filter(|packet| packet.event.end)
                .count(),
            3
        );
        assert!(!sender.is_sending());
        for _ in 0..QUEUE_MAX {
            sender.start(1, None).unwrap();
        }
        assert_eq!(sender.start(1, None), Err(QueueFull));
    }
}
