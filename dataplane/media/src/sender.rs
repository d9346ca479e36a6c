//! What a stream is told: ticks of samples in, packets out.

use std::time::Duration;

use codecs::{Codec, Encoded, Encoder, EncoderConfig};
use rtp::{Event, HEADER_BYTES, Header};

use crate::error::ConfigError;
use crate::event::{EventSender, QueueFull};
use crate::rate::Converter;
use crate::receiver::TICK;

/// How something is encoded. Who hears the same in the same way can be sent the same payloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EncodingConfig {
    /// The codec with its format.
    pub codec: Codec,
    /// Its settings; the packet time is one of them.
    pub encoder: EncoderConfig,
    /// Rate of the samples that are pushed, in hertz.
    pub sample_rate: u32,
}

/// Samples become payloads of one format.
///
/// Ticks are pushed, and packets taken as far as there are any: none or several for a tick, since
/// packets may be of another length. Time is counted in ticks of the RTP clock since the beginning
/// of what all listeners share, so that a listener may go over to another encoding of the same.
#[derive(Debug)]
pub struct Encoding {
    config: EncodingConfig,
    encoder: Encoder,
    converter: Converter,
    clock_hz: u32,
    /// Samples at the codec's rate that are not encoded yet.
    line: Box<[i16]>,
    len: usize,
    /// When the first of them is, in ticks of the clock.
    position: u64,
    /// Another encoding may have been heard until now.
    takes_over: bool,
    /// Room for a header, and the payload.
    packet: Box<[u8]>,
    /// The packet that is there: octets, when its first sample is, and its marker.
    last: Option<(usize, u64, bool)>,
    /// Packets encoded, and samples lost since nobody took packets.
    encoded: u64,
    overruns: u64,
}

/// A packet whose header is still to be written, for one listener after the other.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// A header's room, and the payload.
    packet: &'a mut [u8],
    /// When its first sample is, in ticks of the clock.
    position: u64,
    marker: bool,
}

impl Encoding {
    /// Of a codec at time 0.
    ///
    /// # Errors
    /// The codec is not there, or not so.
    pub fn new(config: &EncodingConfig) -> Result<Self, ConfigError> {
        let encoder = config.codec.encoder(config.encoder)?;
        let codec_rate = config.codec.sample_rate();
        let converter = Converter::new(config.sample_rate, codec_rate)?;
        let tick = converter.len_max(samples_of_tick(config.sample_rate));
        Ok(Self {
            line: vec![0; encoder.packet_samples() + tick].into_boxed_slice(),
            packet: vec![0; HEADER_BYTES + encoder.payload_bytes_max()].into_boxed_slice(),
            last: None,
            clock_hz: config.codec.rtp_clock_rate(),
            config: config.clone(),
            encoder,
            converter,
            len: 0,
            position: 0,
            takes_over: false,
            encoded: 0,
            overruns: 0,
        })
    }

    /// How it encodes.
    pub fn config(&self) -> &EncodingConfig {
        &self.config
    }

    /// Ticks of the RTP clock in a tick of 20 ms.
    fn tick_clocks(&self) -> u32 {
        clocks_of_tick(self.clock_hz)
    }

    /// Packets encoded so far.
    pub fn encoded(&self) -> u64 {
        self.encoded
    }

    /// Goes to a tick since the beginning, with nothing pushed yet. Until then listeners may have
    /// heard another encoding.
    pub fn begin_at(&mut self, tick: u64) {
        self.len = 0;
        self.takes_over = true;
        self.position = tick * u64::from(self.tick_clocks());
    }

    /// The peer asks for a speech mode, RFC 4867 4.3.1.
    pub fn request_mode(&mut self, mode: u8) {
        self.encoder.request_mode(mode);
    }

    /// The speech mode that is encoded, and the one that is approached; see
    /// [`Encoder::modes`].
    pub fn modes(&self) -> Option<(u8, u8)> {
        self.encoder.modes()
    }

    /// Takes a tick of samples; packets are to be taken before the next.
    pub fn push(&mut self, samples: &[i16]) {
        if self.line.len() - self.len < self.converter.len_max(samples.len()) {
            self.overruns += 1;
            return;
        }
        self.len += self.converter.process(samples, &mut self.line[self.len..]);
    }

    /// Encodes the next packet, if it is whole. What DTX leaves out is not there.
    pub fn next_packet(&mut self) -> Option<Outgoing<'_>> {
        let whole = self.encoder.packet_samples();
        while self.len >= whole {
            let payload = &mut self.packet[HEADER_BYTES..];
            if std::mem::take(&mut self.takes_over) {
                self.encoder.begin(&self.line[..whole]);
            }
            let encoded = self.encoder.encode(&self.line[..whole], payload);
            self.line.copy_within(whole..self.len, 0);
            self.len -= whole;
            self.encoded += 1;
            let behind = self.samples_to_clocks(self.encoder.behind_samples());
            let position = self.position.saturating_sub(behind);
            self.position += self.samples_to_clocks(whole);
            // Lengths are those the encoder asked for, so that there are no errors.
            if let Ok(Encoded::Payload { len, marker }) = encoded {
                self.last = Some((HEADER_BYTES + len, position, marker));
                return self.last_packet();
            }
        }
        self.last = None;
        None
    }

    /// The packet that was encoded last once more, for listeners whose turn comes later; `None`
    /// when the last call of [`Encoding::next_packet`] returned none.
    pub fn last_packet(&mut self) -> Option<Outgoing<'_>> {
        let (bytes, position, marker) = self.last?;
        Some(Outgoing {
            packet: &mut self.packet[..bytes],
            position,
            marker,
        })
    }

    fn samples_to_clocks(&self, samples: usize) -> u64 {
        samples as u64 * u64::from(self.clock_hz) / u64::from(self.config.codec.sample_rate())
    }
}

/// Samples of a tick at a rate.
pub(crate) fn samples_of_tick(sample_rate: u32) -> usize {
    clocks_of_tick(sample_rate) as usize
}

fn clocks_of_tick(clock_hz: u32) -> u32 {
    clock_hz * TICK.as_millis() as u32 / 1000
}

/// What a [`Sender`] is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderConfig {
    /// Payload type of the encoding.
    pub payload_type: u8,
    /// Ticks of the RTP clock in a second: that of the codec, which events share.
    pub clock_hz: u32,
    /// Payload type of telephone events; `None` where the peer takes none.
    pub event_payload_type: Option<u8>,
    /// Synchronisation source.
    pub ssrc: u32,
    /// First sequence number.
    pub sequence: u16,
    /// Timestamp of time 0.
    pub timestamp: u32,
}

/// The sending half of a stream: headers of packets, and telephone events in place of speech.
#[derive(Clone, Debug)]
pub struct Sender {
    config: SenderConfig,
    sequence: u16,
    /// The next packet follows a pause.
    resumes: bool,
    /// Events are being sent, or wait to be.
    is_sending_event: bool,
    sent: Sent,
    events: Box<EventSender>,
}

/// A line of the cache for each of many listeners.
const _: () = assert!(size_of::<Sender>() <= 64);

/// What a stream was sent, as sender reports have it (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Packets.
    pub packets: u64,
    /// Octets of payloads.
    pub octets: u64,
    /// Timestamp of the last packet.
    pub timestamp: u32,
}

/// Why an event is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventRefused {
    /// The peer takes none: sound it instead.
    NoFormat,
    /// Too many wait.
    Full,
}

impl From<QueueFull> for EventRefused {
    fn from(_: QueueFull) -> Self {
        Self::Full
    }
}

/// Silence between two events: 40 ms, as between keys.
const EVENT_PAUSE_TICKS: u32 = 2;

impl Sender {
    /// Of a stream that has sent nothing.
    pub fn new(config: SenderConfig) -> Self {
        Self {
            sequence: config.sequence,
            config,
            resumes: true,
            is_sending_event: false,
            sent: Sent::default(),
            events: Box::default(),
        }
    }

    /// What it was made for.
    pub fn config(&self) -> &SenderConfig {
        &self.config
    }

    /// What was sent.
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// Goes on with another payload type of the same clock.
    pub fn set_payload_type(&mut self, payload_type: u8) {
        self.config.payload_type = payload_type;
    }

    /// What follows begins a talkspurt: something was not sent.
    pub fn pause(&mut self) {
        self.resumes = true;
    }

    /// Writes the header of a packet, and so makes it this stream's; `None` while an event is sent
    /// in its place.
    pub fn stamp<'a>(&mut self, outgoing: &'a mut Outgoing<'_>) -> Option<&'a [u8]> {
        if self.is_sending_event {
            self.resumes = true;
            return None;
        }
        let header = Header {
            marker: outgoing.marker || std::mem::take(&mut self.resumes),
            payload_type: self.config.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp_at(outgoing.position),
            ssrc: self.config.ssrc,
        };
        self.count(&header, outgoing.packet.len());
        header.write_to(outgoing.packet).ok()?;
        Some(outgoing.packet)
    }

    /// Sends a key or another event for a time in milliseconds, or until
    /// [`stop_events`](Self::stop_events).
    ///
    /// # Errors
    /// [`EventRefused`].
    pub fn send_event(&mut self, code: u8, duration_ms: Option<u32>) -> Result<(), EventRefused> {
        if self.config.event_payload_type.is_none() {
            return Err(EventRefused::NoFormat);
        }
        let clocks = |ms: u32| {
            let clocks = u64::from(ms) * u64::from(self.config.clock_hz) / 1000;
            u32::try_from(clocks).unwrap_or(u32::MAX)
        };
        self.events.start(code, duration_ms.map(clocks))?;
        self.is_sending_event = true;
        Ok(())
    }

    /// Ends the event sent last, which was begun without a duration, when it has lasted so long.
    pub fn finish_event(&mut self, lasted: Duration) {
        let clocks = lasted.as_millis() * u128::from(self.config.clock_hz) / 1000;
        self.events
            .finish(u32::try_from(clocks).unwrap_or(u32::MAX));
    }

    /// Ends the event that is sent, and those that wait.
    pub fn stop_events(&mut self) {
        self.events.stop();
    }

    /// Whether an event is being sent or waits to be.
    pub fn is_sending_event(&self) -> bool {
        self.is_sending_event
    }

    /// The packet of an event that is due in a tick since the beginning: call it for each tick.
    pub fn event_packet(&mut self, tick: u64) -> Option<[u8; HEADER_BYTES + Event::BYTES]> {
        if !self.is_sending_event {
            return None;
        }
        let payload_type = self.config.event_payload_type?;
        let clocks = clocks_of_tick(self.config.clock_hz);
        let timestamp = self.timestamp_at(tick * u64::from(clocks));
        let packet = self
            .events
            .tick(timestamp, clocks, EVENT_PAUSE_TICKS * clocks);
        self.is_sending_event = self.events.is_sending();
        let packet = packet?;
        let header = Header {
            marker: packet.marker,
            payload_type,
            sequence: self.sequence,
            timestamp: packet.timestamp,
            ssrc: self.config.ssrc,
        };
        let mut bytes = [0; HEADER_BYTES + Event::BYTES];
        header.write_to(&mut bytes).ok()?;
        bytes[HEADER_BYTES..].copy_from_slice(&packet.event.to_bytes());
        self.count(&header, bytes.len());
        Some(bytes)
    }

    fn timestamp_at(&self, position: u64) -> u32 {
        self.config.timestamp.wrapping_add(position as u32)
    }

    fn count(&mut self, header: &Header, len: usize) {
        self.sequence = self.sequence.wrapping_add(1);
        self.sent.packets += 1;
        self.sent.octets += (len - HEADER_BYTES) as u64;
        self.sent.timestamp = header.timestamp;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp::Packet;

    fn encoding(ptime_ms: u64) -> Encoding {
        let config = EncodingConfig {
            codec: Codec::Pcma,
            encoder: EncoderConfig {
                ptime: Duration::from_millis(ptime_ms),
                ..EncoderConfig::default()
            },
            sample_rate: 8000,
        };
        Encoding::new(&config).unwrap()
    }

    fn sender() -> Sender {
        Sender::new(SenderConfig {
            payload_type: 8,
            clock_hz: 8000,
            event_payload_type: Some(101),
            ssrc: 7,
            sequence: u16::MAX,
            timestamp: 1000,
        })
    }

    /// Payload octets, timestamp and marker of what a tick sends.
    fn tick(encoding: &mut Encoding, sender: &mut Sender) -> Vec<(usize, u32, bool)> {
        encoding.push(&[100; 160]);
        let mut sent = Vec::new();
        while let Some(mut outgoing) = encoding.next_packet() {
            if let Some(packet) = sender.stamp(&mut outgoing) {
                let packet = Packet::new(packet).unwrap();
                sent.push((packet.payload().len(), packet.timestamp(), packet.marker()));
            }
        }
        sent
    }

    #[test]
    fn packets_are_of_their_own_length() {
        let (mut encoding_10, mut sender_10) = (encoding(10), sender());
        let sent = tick(&mut encoding_10, &mut sender_10);
        assert_eq!(sent, [(80, 1000, true), (80, 1080, false)]);
        let (mut encoding_30, mut sender_30) = (encoding(30), sender());
        let sent: Vec<_> = (0..6)
            .flat_map(|_| tick(&mut encoding_30, &mut sender_30))
            .collect();
        let expected = [1000, 1240, 1480, 1720].map(|at| (240, at, at == 1000));
        assert_eq!(sent, expected);
        assert_eq!(
            sender_30.sent(),
            Sent {
                packets: 4,
                octets: 960,
                timestamp: 1720
            }
        );
    }

    #[test]
    fn an_event_takes_the_place_of_speech() {
        let (mut encoding, mut sender) = (encoding(20), sender());
        tick(&mut encoding, &mut sender);
        sender.send_event(5, Some(40)).unwrap();
        let mut kinds = Vec::new();
        for number in 1..8 {
            if let Some(packet) = sender.event_packet(number) {
                let packet = Packet::new(&packet[..]).unwrap();
                let event = Event::parse(packet.payload()).unwrap();
                kinds.push((packet.timestamp(), event.duration));
                assert_eq!(
                    (packet.payload_type(), packet.sequence()),
                    (101, number as u16 - 1)
                );
            }
            kinds.extend(
                tick(&mut encoding, &mut sender)
                    .iter()
                    .map(|sent| (sent.1, 0)),
            );
        }
        let event = [(1160, 160), (1160, 320), (1160, 320), (1160, 320)];
        assert_eq!(kinds[..4], event);
        // The last end is sent in the tick from which speech goes on.
        assert_eq!(kinds[4..], [(1640, 0), (1800, 0), (1960, 0), (2120, 0)]);
    }
}
