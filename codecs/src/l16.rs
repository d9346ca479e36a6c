//! L16: linear samples of 16 bits in network byte order (RFC 3551 4.5.11), one or two channels.
//!
//! Two channels are one to the other side of this crate: their mean when decoding, the same in both
//! when encoding.

/// Most channels that are read or written.
pub(crate) const CHANNELS_MAX: u8 = 2;

/// Encodes samples into a payload of `samples.len() * channels * 2` octets.
pub(crate) fn encode(samples: &[i16], channels: u8, payload: &mut [u8]) {
    if channels == 1 {
        for (octets, sample) in payload.as_chunks_mut::<2>().0.iter_mut().zip(samples) {
            *octets = sample.to_be_bytes();
        }
        return;
    }
    for (octets, sample) in payload.as_chunks_mut::<4>().0.iter_mut().zip(samples) {
        let [high, low] = sample.to_be_bytes();
        *octets = [high, low, high, low];
    }
}

/// Decodes as many samples as there is room for.
pub(crate) fn decode(payload: &[u8], channels: u8, samples: &mut [i16]) {
    if channels == 1 {
        for (sample, octets) in samples.iter_mut().zip(payload.as_chunks::<2>().0) {
            *sample = i16::from_be_bytes(*octets);
        }
        return;
    }
    for (sample, &[a, b, c, d]) in samples.iter_mut().zip(payload.as_chunks::<4>().0) {
        let (left, right) = (i16::from_be_bytes([a, b]), i16::from_be_bytes([c, d]));
        *sample = ((i32::from(left) + i32::from(right)) >> 1) as i16;
    }
}
