//! G.711: 8-bit logarithmic PCM at 8 kHz, A-law and µ-law.
//!
//! Linear samples are 16-bit, of which G.711 defines 13 (A-law) and 14 (µ-law) from the top; the
//! lower bits are dropped when encoding and filled with the middle of the step when decoding.
//! Octets are as RTP carries them (RFC 3551 4.5.14): A-law with even bits inverted, µ-law with all
//! bits inverted.

/// Which of the two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// A-law, `PCMA`, payload type 8.
    A,
    /// µ-law, `PCMU`, payload type 0.
    Mu,
}

impl Law {
    /// Encodes samples; as many as the shorter of the two slices.
    pub fn encode(self, samples: &[i16], octets: &mut [u8]) {
        let pairs = octets.iter_mut().zip(samples);
        match self {
            Self::A => pairs.for_each(|(octet, &sample)| *octet = lanes::encode_a(sample)),
            Self::Mu => pairs.for_each(|(octet, &sample)| *octet = lanes::encode_mu(sample)),
        }
    }

    /// Decodes octets; as many as the shorter of the two slices.
    pub fn decode(self, octets: &[u8], samples: &mut [i16]) {
        let table = match self {
            Self::A => &DECODE_A,
            Self::Mu => &DECODE_MU,
        };
        for (sample, &octet) in samples.iter_mut().zip(octets) {
            *sample = table[octet as usize];
        }
    }

    /// The octet of the other law for each of this one, by the samples that they stand for.
    pub const fn to_other(self) -> &'static [u8; 256] {
        match self {
            Self::A => &A_TO_MU,
            Self::Mu => &MU_TO_A,
        }
    }

    /// The octet of silence: the code of the smallest positive value.
    pub const fn silence(self) -> u8 {
        match self {
            Self::A => 0xd5,
            Self::Mu => 0xff,
        }
    }
}

/// What µ-law adds to magnitudes, so that its segments begin at powers of two.
const MU_BIAS: i32 = 33;
/// The largest magnitude whose biased value still lies in the last segment.
const MU_CLIP: i32 = 8158;

/// One sample to A-law, G.711 table 1.
pub const fn encode_a(sample: i16) -> u8 {
    let value = sample >> 3;
    let (magnitude, mask) = if value >= 0 {
        (value as u32, 0xd5)
    } else {
        (!value as u32, 0x55)
    };
    // Segments 0 and 1 are of the same step; from there each doubles it. 0xfff is the largest
    // magnitude.
    let segment = (magnitude | 0x1f).ilog2() - 4;
    let shift = if segment < 2 { 1 } else { segment };
    let code = segment << 4 | (magnitude >> shift & 0x0f);
    code as u8 ^ mask
}

/// One sample to µ-law, G.711 table 2.
pub const fn encode_mu(sample: i16) -> u8 {
    let value = (sample >> 2) as i32;
    let (magnitude, mask) = if value >= 0 {
        (value, 0xff)
    } else {
        (-value, 0x7f)
    };
    let biased = if magnitude > MU_CLIP {
        MU_CLIP
    } else {
        magnitude
    } + MU_BIAS;
    let segment = (biased | 0x3f).ilog2() - 5;
    let code = segment << 4 | (biased as u32 >> (segment + 1) & 0x0f);
    code as u8 ^ mask
}

/// One A-law octet to a sample.
pub const fn decode_a(octet: u8) -> i16 {
    DECODE_A[octet as usize]
}

/// One µ-law octet to a sample.
pub const fn decode_mu(octet: u8) -> i16 {
    DECODE_MU[octet as usize]
}

const fn expand_a(octet: u8) -> i16 {
    let code = (octet ^ 0x55) as i32;
    let (segment, step) = (code >> 4 & 7, code & 0x0f);
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    (if code & 0x80 != 0 {
        magnitude
    } else {
        -magnitude
    }) as i16
}

const fn expand_mu(octet: u8) -> i16 {
    let code = !octet as i32;
    let (segment, step) = (code >> 4 & 7, code & 0x0f);
    let magnitude = (((step << 3) + 0x84) << segment) - 0x84;
    (if code & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }) as i16
}

const DECODE_A: [i16; 256] = table(true);
const DECODE_MU: [i16; 256] = table(false);

static A_TO_MU: [u8; 256] = translation(Law::A);
static MU_TO_A: [u8; 256] = translation(Law::Mu);

const fn translation(from: Law) -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = match from {
            Law::A => encode_mu(DECODE_A[octet]),
            Law::Mu => encode_a(DECODE_MU[octet]),
        };
        octet += 1;
    }
    table
}

const fn table(a_law: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = if a_law {
            expand_a(octet as u8)
        } else {
            expand_mu(octet as u8)
        };
        octet += 1;
    }
    table
}

/// The same as above, without branches and tables and in sixteen bits throughout, so that the
/// compiler makes vector instructions of it.
///
/// Either law is a curve of straight pieces, each half as steep as the one before it, so that what
/// a piece gives outside its own segment is more than the curve there: the code of a magnitude is
/// the least that any piece gives.
mod lanes {
    /// `(magnitude >> 1 + n) + 16 n` for n from 0: segments 0 and 1 of A-law are of the same step.
    #[inline(always)]
    pub(super) fn encode_a(sample: i16) -> u8 {
        let value = sample >> 3;
        let sign = value >> 15;
        let code = least_of::<7>(value ^ sign);
        (code ^ 0xd5 ^ (sign & 0x80)) as u8
    }

    /// The same of a biased magnitude, less one segment, since bias lifts all by so much.
    #[inline(always)]
    pub(super) fn encode_mu(sample: i16) -> u8 {
        let value = sample >> 2;
        let sign = value >> 15;
        let magnitude = (value ^ sign) - sign;
        let biased = magnitude.min(super::MU_CLIP as i16) + super::MU_BIAS as i16;
        let code = least_of::<8>(biased) - 16;
        (code ^ 0xff ^ (sign & 0x80)) as u8
    }

    #[inline(always)]
    fn least_of<const PIECES: usize>(magnitude: i16) -> i16 {
        let mut least = magnitude >> 1;
        for piece in 1..PIECES {
            least = least.min((magnitude >> (piece + 1)) + 16 * piece as i16);
        }
        least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decoding tables and a hash of the encodings of all samples, by CPython 3.11's `audioop`.
    const REFERENCE: &str = include_str!("../testdata/g711_audioop.txt");

    fn reference(name: &str) -> Vec<i32> {
        let line = REFERENCE
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap();
        line.split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect()
    }

    fn fnv1a(bytes: impl Iterator<Item = u8>) -> i32 {
        let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        hash as i32
    }

    #[test]
    fn a_code_of_one_law_is_the_other_s_for_what_it_stands_for() {
        for octet in 0..=255 {
            let at = usize::from(octet);
            assert_eq!(Law::A.to_other()[at], encode_mu(decode_a(octet)));
            assert_eq!(Law::Mu.to_other()[at], encode_a(decode_mu(octet)));
        }
        assert_eq!(Law::Mu.to_other()[0xff], 0xd5);
    }

    #[test]
    fn every_code_decodes_as_audioop_says() {
        let of = |decode: fn(u8) -> i16| (0..=255).map(|octet| i32::from(decode(octet))).collect();
        let (a, mu): (Vec<i32>, Vec<i32>) = (of(decode_a), of(decode_mu));
        assert_eq!(a, reference("decode_a"));
        assert_eq!(mu, reference("decode_mu"));
    }

    #[test]
    fn every_sample_encodes_as_audioop_says() {
        let all = || i16::MIN..=i16::MAX;
        assert_eq!(
            [fnv1a(all().map(encode_a))],
            reference("encode_a_fnv1a")[..]
        );
        assert_eq!(
            [fnv1a(all().map(encode_mu))],
            reference("encode_mu_fnv1a")[..]
        );
    }

    #[test]
    fn decision_values_are_those_of_the_recommendation() {
        // G.711 table 1: x = 64 and 128 end the first two segments; the units are 8 of ours. Codes
        // before the inversion of even bits.
        let a_law = [
            (0, 0x80),
            (64 * 8 - 1, 0x9f),
            (64 * 8, 0xa0),
            (128 * 8 - 1, 0xaf),
            (128 * 8, 0xb0),
            (i16::MAX, 0xff),
            (-1, 0x00),
            (i16::MIN, 0x7f),
        ];
        for (sample, code) in a_law {
            assert_eq!(encode_a(sample) ^ 0x55, code, "{sample}");
        }
        // Table 2: x = 31 ends the first segment; the units are 4 of ours.
        assert_eq!((encode_mu(i16::MAX), encode_mu(i16::MIN)), (0x80, 0x00));
        assert_eq!((encode_mu(31 * 4), encode_mu(30 * 4)), (0xef, 0xf0));
    }

    #[test]
    fn codes_survive_decoding_and_encoding() {
        for octet in 0..=255 {
            assert_eq!(encode_a(decode_a(octet)), octet);
            let expected = if octet == 0x7f { 0xff } else { octet };
            assert_eq!(
                encode_mu(decode_mu(octet)),
                expected,
                "minus zero becomes zero"
            );
        }
    }

    #[test]
    fn no_sample_moves_by_more_than_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let exact = i32::from(sample);
            let a = (i32::from(decode_a(encode_a(sample))) - exact).abs();
            assert!(a <= (exact.abs() / 32).max(8) + 8, "{sample}");
            let mu = (i32::from(decode_mu(encode_mu(sample))) - exact).abs();
            assert!(mu <= (exact.abs() + 132) / 32 + 4, "{sample}");
        }
    }

    #[test]
    fn slices_are_encoded_as_samples_are() {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let mut octets = vec![0; samples.len()];
        for (law, encode) in [(Law::A, encode_a as fn(i16) -> u8), (Law::Mu, encode_mu)] {
            law.encode(&samples, &mut octets);
            let wrong = samples.iter().zip(&octets).find(|&(&a, &b)| encode(a) != b);
            assert_eq!(wrong, None, "{law:?}");
        }
    }

    #[test]
    fn slices_of_unequal_length_are_done_to_the_shorter() {
        let mut octets = [0; 2];
        Law::Mu.encode(&[0, -4, 7], &mut octets);
        assert_eq!(octets, [0xff, 0x7e]);
        let mut samples = [1; 3];
        Law::A.decode(&[Law::A.silence()], &mut samples);
        assert_eq!(samples, [8, 1, 1]);
    }
}
