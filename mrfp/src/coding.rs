//! How speech is sent: what is encoded alike, and the encoder for it.

use codecs::Codec;
use media::{ConfigError, Encoding, EncodingConfig, Outgoing, TICK};

/// An encoding that knows which tick it is at: what is between those that it is given is silence
/// that is not sent.
pub(crate) struct Coder {
    encoding: Encoding,
    next: u64,
    /// The speech modes at the beginning, which are those of all that are configured alike.
    usual_modes: Option<(u8, u8)>,
    has_other_mode: bool,
}

impl Coder {
    pub fn new(config: &EncodingConfig) -> Result<Self, ConfigError> {
        let encoding = Encoding::new(config)?;
        Ok(Self {
            usual_modes: encoding.modes(),
            has_other_mode: false,
            encoding,
            next: 0,
        })
    }

    pub fn config(&self) -> &EncodingConfig {
        self.encoding.config()
    }

    /// Takes the samples of a tick; packets are to be taken before the next.
    pub fn push(&mut self, tick: u64, samples: &[i16]) {
        if self.next != tick {
            self.encoding.begin_at(tick);
        }
        self.encoding.push(samples);
        self.next = tick + 1;
        self.heed_modes();
    }

    /// The next packet, if it is whole.
    pub fn next_packet(&mut self) -> Option<Outgoing<'_>> {
        self.encoding.next_packet()
    }

    /// The one that was encoded last once more.
    pub fn last_packet(&mut self) -> Option<Outgoing<'_>> {
        self.encoding.last_packet()
    }

    /// The remote side asks for a mode (RFC 4867 4.3.1).
    pub fn request_mode(&mut self, mode: u8) {
        self.encoding.request_mode(mode);
        self.heed_modes();
    }

    /// True while another mode is encoded or approached than with other encoders that are
    /// configured alike: nothing is in common with them then.
    pub fn has_other_mode(&self) -> bool {
        self.has_other_mode
    }

    fn heed_modes(&mut self) {
        self.has_other_mode = self.encoding.modes() != self.usual_modes;
    }
}

/// True when each tick is a packet, so that a listener may change from one encoder to another.
pub(crate) fn is_tickwise(config: &EncodingConfig) -> bool {
    config.encoder.ptime == TICK
}

/// Codecs that cost alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Linear,
    G722,
    Amr,
    AmrWb,
    Opus,
    Other,
}

/// How many classes there are.
pub(crate) const CLASSES: usize = 6;

/// What is done with a tick of speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Encode,
    Decode,
}

impl Class {
    pub fn of(codec: &Codec) -> Self {
        match codec {
            Codec::Pcmu | Codec::Pcma | Codec::L16 { .. } => Self::Linear,
            Codec::G722 => Self::G722,
            Codec::Amr(_) => Self::Amr,
            Codec::AmrWb(_) => Self::AmrWb,
            Codec::Opus(_) => Self::Opus,
            _ => Self::Other,
        }
    }

    /// Orders of magnitude for 20 ms, for bounding work, and for choosing workers as long as
    /// nothing is measured.
    pub fn usual_ns(self, operation: Operation) -> u64 {
        let (encode, decode) = match self {
            Self::Linear => (500, 700),
            Self::G722 => (8_000, 6_000),
            Self::Amr => (120_000, 15_000),
            Self::AmrWb => (180_000, 25_000),
            Self::Opus => (150_000, 25_000),
            Self::Other => (1_000, 1_000),
        };
        match operation {
            Operation::Encode => encode,
            Operation::Decode => decode,
        }
    }
}

/// Samples of a tick at a rate.
pub(crate) fn tick_samples(rate: u32) -> usize {
    (u128::from(rate) * TICK.as_millis() / 1000) as usize
}
