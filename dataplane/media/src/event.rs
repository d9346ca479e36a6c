//! Keys of any carriage, and telephone events in RTP (RFC 4733) as they are sent.

use std::time::Duration;

use rtp::{Event, EventReport};

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

impl From<EventReport> for TelephoneEvent {
    fn from(report: EventReport) -> Self {
        Self {
            code: report.code,
            lasted: report.lasted,
            carriage: Carriage::Rtp,
        }
    }
}

/// A segment of an event whose duration exceeds its field, RFC 4733 2.5.1.3.
const SEGMENT_TICKS: u32 = 0xffff;

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

    use base::Instant;
    use rtp::{EventReceiver, Header};

    /// A receiver and what it told: codes, and milliseconds at the ends.
    #[derive(Default)]
    struct Flow {
        receiver: EventReceiver,
        told: Vec<(u8, Option<u64>)>,
        at_ms: u64,
    }

    impl Flow {
        fn packet(&mut self, packet: &EventPacket) {
            self.at_ms += 20;
            let header = Header {
                timestamp: packet.timestamp,
                ssrc: 7,
                ..Header::default()
            };
            let now = Instant::ZERO + Duration::from_millis(self.at_ms);
            let (payload, told) = (packet.event.to_bytes(), &mut self.told);
            self.receiver
                .receive(now, &header, &payload, 8000, |event| {
                    let lasted = event.lasted.map(|lasted| lasted.as_millis() as u64);
                    told.push((event.code, lasted));
                    true
                });
        }
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
                flow.packet(&packet);
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
                    flow.packet(&packet);
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
