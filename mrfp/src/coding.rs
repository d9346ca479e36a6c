//! How speech is sent: what is encoded alike, and the encoder for it.

use std::time::Duration;

use codecs::{Codec, Encoded, Encoder, EncoderConfig, Resampler};
use media::{ConfigError, TICK};

/// What speech is sent as. Streams of the same coding that hear the same share one encoder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Coding {
    pub codec: Codec,
    pub config: EncoderConfig,
}

impl Coding {
    /// Units of the RTP timestamp that a time takes.
    pub fn timestamp_units(&self, time: Duration) -> u32 {
        let units = u128::from(self.codec.rtp_clock_rate()) * time.as_micros() / 1_000_000;
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    /// True when each tick is a packet, so that the encoder may change from one to the next.
    pub fn is_tickwise(&self) -> bool {
        self.config.ptime == TICK
    }

    /// What it costs to encode a tick, for choosing workers and bounding work.
    pub fn cost_ns(&self) -> u64 {
        cost_ns(&self.codec).0
    }
}

/// Orders of magnitude of encoding and decoding 20 ms.
pub(crate) fn cost_ns(codec: &Codec) -> (u64, u64) {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::L16 { .. } => (500, 700),
        Codec::G722 => (8_000, 6_000),
        Codec::Amr(_) => (120_000, 15_000),
        Codec::AmrWb(_) => (180_000, 25_000),
        Codec::Opus(_) => (150_000, 25_000),
        _ => (1_000, 1_000),
    }
}

/// An encoder with what it needs: nothing is allocated after `new`.
pub(crate) struct Coder {
    encoder: Encoder,
    resampler: Resampler,
    /// Samples at the codec's rate that wait for a whole packet.
    pending: Box<[i16]>,
    filled: usize,
    payload: Box<[u8]>,
    /// Units of the RTP timestamp of a packet.
    packet_units: u32,
}

impl Coder {
    /// For ticks of samples at `rate`.
    pub fn new(coding: &Coding, rate: u32) -> Result<Self, ConfigError> {
        let encoder = coding.codec.encoder(coding.config)?;
        let resampler = Resampler::new(rate, coding.codec.sample_rate());
        let resampler = resampler.ok_or(ConfigError::SampleRate)?;
        let tick = resampler.samples_out(tick_samples(rate));
        Ok(Self {
            pending: vec![0; encoder.packet_samples() + tick].into(),
            filled: 0,
            payload: vec![0; encoder.payload_bytes_max()].into(),
            packet_units: coding.timestamp_units(coding.config.ptime),
            encoder,
            resampler,
        })
    }

    /// True when nothing waits for the rest of its packet.
    pub fn is_at_boundary(&self) -> bool {
        self.filled == 0
    }

    /// Encodes a tick; `each` gets the payload of every packet that is whole, `None` where nothing
    /// is to be sent (DTX), and the units of time that it takes.
    pub fn push(&mut self, samples: &[i16], mut each: impl FnMut(Option<(&[u8], bool)>, u32)) {
        let room = &mut self.pending[self.filled..];
        self.filled += self.resampler.process(samples, room);
        let packet = self.encoder.packet_samples();
        while self.filled >= packet {
            // A payload has room, and the samples are those of a packet.
            match self
                .encoder
                .encode(&self.pending[..packet], &mut self.payload)
            {
                Ok(Encoded::Payload { len, marker }) => {
                    each(Some((&self.payload[..len], marker)), self.packet_units);
                }
                Ok(Encoded::Nothing) | Err(_) => each(None, self.packet_units),
            }
            self.pending.copy_within(packet..self.filled, 0);
            self.filled -= packet;
        }
    }

    /// The remote side asks for a mode (RFC 4867 4.3.1).
    pub fn request_mode(&mut self, mode: u8) {
        self.encoder.request_mode(mode);
    }
}

/// Samples of a tick at a rate.
pub(crate) fn tick_samples(rate: u32) -> usize {
    (u128::from(rate) * TICK.as_millis() / 1000) as usize
}
