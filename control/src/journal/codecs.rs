//! Codecs as fields of what the journal has.

use sdp::Codec;
use serde::{Deserialize, Deserializer, Serializer};

/// Payload type, encoding, clock, channels and parameters.
type Kept<T> = (u8, T, u32, u8, Option<T>);

/// For `serde(with)`.
pub fn serialize<S: Serializer>(codecs: &[Codec], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(codecs.iter().map(|codec| -> Kept<&str> {
        (
            codec.payload_type,
            &codec.encoding,
            codec.clock_hz,
            codec.channels,
            codec.fmtp.as_deref(),
        )
    }))
}

/// For `serde(with)`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Codec>, D::Error> {
    let kept: Vec<Kept<Box<str>>> = Vec::deserialize(deserializer)?;
    let codecs = kept
        .into_iter()
        .map(|(payload_type, encoding, clock_hz, channels, fmtp)| Codec {
            payload_type,
            encoding,
            clock_hz,
            channels,
            fmtp,
        });
    Ok(codecs.collect())
}
