//! What a payload type stands for.

use crate::attribute::RtpMap;

/// A payload format: encoding, clock and parameters under a payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name as written; compares without case.
    pub encoding: Box<str>,
    /// RTP clock in hertz.
    pub clock_hz: u32,
    /// Audio channels.
    pub channels: u8,
    /// Parameters of `a=fmtp`.
    pub fmtp: Option<Box<str>>,
}

impl Codec {
    /// A codec of one channel without parameters.
    pub fn new(payload_type: u8, encoding: &str, clock_hz: u32) -> Self {
        Self {
            payload_type,
            encoding: encoding.into(),
            clock_hz,
            channels: 1,
            fmtp: None,
        }
    }

    /// G.711 µ-law.
    pub fn pcmu() -> Self {
        Self::new(0, "PCMU", 8000)
    }

    /// G.711 A-law.
    pub fn pcma() -> Self {
        Self::new(8, "PCMA", 8000)
    }

    /// DTMF events 0 to 15, RFC 4733, with the clock of the codec they accompany.
    pub fn telephone_event(payload_type: u8, clock_hz: u32) -> Self {
        Self {
            fmtp: Some("0-15".into()),
            ..Self::new(payload_type, "telephone-event", clock_hz)
        }
    }

    /// The static assignment of RFC 3551 section 6, tables 4 and 5.
    pub fn fixed(payload_type: u8) -> Option<Self> {
        let (encoding, clock_hz, channels) = Self::fixed_parts(payload_type)?;
        Some(Self {
            channels,
            ..Self::new(payload_type, encoding, clock_hz)
        })
    }

    /// The static assignment: encoding, clock and channels.
    pub(crate) fn fixed_parts(payload_type: u8) -> Option<(&'static str, u32, u8)> {
        let parts = match payload_type {
            0 => ("PCMU", 8000, 1),
            3 => ("GSM", 8000, 1),
            4 => ("G723", 8000, 1),
            5 => ("DVI4", 8000, 1),
            6 => ("DVI4", 16_000, 1),
            7 => ("LPC", 8000, 1),
            8 => ("PCMA", 8000, 1),
            9 => ("G722", 8000, 1),
            10 => ("L16", 44_100, 2),
            11 => ("L16", 44_100, 1),
            12 => ("QCELP", 8000, 1),
            13 => ("CN", 8000, 1),
            14 => ("MPA", 90_000, 1),
            15 => ("G728", 8000, 1),
            16 => ("DVI4", 11_025, 1),
            17 => ("DVI4", 22_050, 1),
            18 => ("G729", 8000, 1),
            25 => ("CelB", 90_000, 1),
            26 => ("JPEG", 90_000, 1),
            28 => ("nv", 90_000, 1),
            31 => ("H261", 90_000, 1),
            32 => ("MPV", 90_000, 1),
            33 => ("MP2T", 90_000, 1),
            34 => ("H263", 90_000, 1),
            _ => return None,
        };
        Some(parts)
    }

    /// True when both name the same encoding at the same clock and channels. Parameters are not
    /// compared: each encoding has rules of its own for them.
    pub fn same_encoding(&self, other: &Self) -> bool {
        self.encoding.eq_ignore_ascii_case(&other.encoding)
            && self.clock_hz == other.clock_hz
            && self.channels == other.channels
    }

    /// True for formats that only go along with a codec: DTMF events, comfort noise, redundancy.
    pub fn is_auxiliary(&self) -> bool {
        Self::names_auxiliary(&self.encoding)
    }

    /// The same of the name of an encoding.
    pub fn names_auxiliary(encoding: &str) -> bool {
        ["telephone-event", "CN", "RED"]
            .iter()
            .any(|name| encoding.eq_ignore_ascii_case(name))
    }

    /// Its `a=rtpmap`.
    pub fn rtpmap(&self) -> RtpMap<'_> {
        RtpMap {
            payload_type: self.payload_type,
            encoding: &self.encoding,
            clock_hz: self.clock_hz,
            channels: self.channels,
        }
    }
}

impl From<RtpMap<'_>> for Codec {
    fn from(map: RtpMap<'_>) -> Self {
        Self {
            channels: map.channels,
            ..Self::new(map.payload_type, map.encoding, map.clock_hz)
        }
    }
}
