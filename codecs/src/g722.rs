//! G.722 at 64 kbit/s: 16 kHz in two bands, an ADPCM coder each, two samples to an octet.
//!
//! The names are those of the recommendation's blocks.

/// Encodes one stream.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    low: Band,
    high: Band,
    /// The last 24 samples, the oldest first: the transmit QMF (3.1).
    delay: [i16; 24],
}

/// Decodes one stream.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    low: Band,
    high: Band,
    /// Sums and differences of the bands: the receive QMF (4.4).
    delay: [i16; 24],
}

impl Encoder {
    pub(crate) fn new() -> Self {
        Self {
            low: Band::new(32),
            high: Band::new(8),
            delay: [0; 24],
        }
    }

    /// Encodes samples; as many pairs as there are octets.
    pub(crate) fn encode(&mut self, samples: &[i16], octets: &mut [u8]) {
        for (octet, &pair) in octets.iter_mut().zip(samples.as_chunks::<2>().0) {
            let (odd, even) = split(&mut self.delay, pair);
            let (low, high) = ((even + odd) >> 14, (even - odd) >> 14);
            *octet = self.encode_high(high) << 6 | self.encode_low(low);
        }
    }

    /// Hears what it is to go on with, 20 ms of it at most, until its predictors have settled.
    pub(crate) fn begin(&mut self, next: &[i16]) {
        let next = &next[..next.len().min(320)];
        for _ in 0..BEGIN_ROUNDS {
            self.encode(next, &mut [0; 160]);
        }
    }

    fn encode_low(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.low.s);
        let magnitude = if error < 0 { !error } else { error };
        let is_above = |level: &i32| magnitude >= (level * self.low.det) >> 12;
        // QUANTL: the interval, counted from 1.
        let interval = 1 + LEVELS.partition_point(is_above);
        let code = if error < 0 {
            // The two innermost intervals have codes of their own.
            if interval < 3 {
                64 - interval
            } else {
                34 - interval
            }
        } else {
            62 - interval
        };
        self.low.adapt_low(code >> 2);
        code as u8
    }

    fn encode_high(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.high.s);
        let magnitude = if error < 0 { !error } else { error };
        let is_outer = magnitude >= (564 * self.high.det) >> 12;
        let code = match (error < 0, is_outer) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        self.high.adapt_high(code);
        code as u8
    }
}

/// How often an encoder that takes over hears what comes: predictors take a tenth of a second.
const BEGIN_ROUNDS: usize = 6;

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            low: Band::new(32),
            high: Band::new(8),
            delay: [0; 24],
        }
    }

    /// Decodes octets; as many as there is room for pairs.
    pub(crate) fn decode(&mut self, octets: &[u8], samples: &mut [i16]) {
        for (pair, &octet) in samples.as_chunks_mut::<2>().0.iter_mut().zip(octets) {
            let (low, high) = (usize::from(octet & 0x3f), usize::from(octet >> 6));
            let r_low = self.low.s + ((self.low.det * INVERSE_64[low]) >> 15);
            self.low.adapt_low(low >> 2);
            let r_high = self.high.s + ((self.high.det * INVERSE_4[high]) >> 15);
            self.high.adapt_high(high);
            let limit = |value: i32| value.clamp(-16_384, 16_383);
            let (r_low, r_high) = (limit(r_low), limit(r_high));
            let sums = [(r_low + r_high) as i16, (r_low - r_high) as i16];
            let (second, first) = split(&mut self.delay, sums);
            *pair = [saturate(first >> 11) as i16, saturate(second >> 11) as i16];
        }
    }
}

/// The quadrature mirror filter: takes in a pair, and gives the sums over the samples of odd and of
/// even age.
fn split(delay: &mut [i16; 24], pair: [i16; 2]) -> (i32, i32) {
    delay.copy_within(2.., 0);
    delay[22..].copy_from_slice(&pair);
    let (mut odd, mut even) = (0, 0);
    for (index, &[first, second]) in delay.as_chunks::<2>().0.iter().enumerate() {
        odd += i32::from(first) * MIRROR[index];
        even += i32::from(second) * MIRROR[11 - index];
    }
    (odd, even)
}

/// Adaptive predictor and quantizer scale of one band.
#[derive(Clone, Debug)]
struct Band {
    /// Prediction: of the poles and the zeros together, and of the zeros.
    s: i32,
    sz: i32,
    /// Scale factor, linear and logarithmic.
    det: i32,
    nb: i32,
    /// The last two reconstructed signals and partially reconstructed ones, the newest first.
    r: [i32; 2],
    p: [i32; 2],
    /// The last six quantized differences, the newest first.
    d: [i32; 6],
    /// Coefficients of the poles and of the zeros.
    a: [i32; 2],
    b: [i32; 6],
}

impl Band {
    fn new(det: i32) -> Self {
        Self {
            s: 0,
            sz: 0,
            det,
            nb: 0,
            r: [0; 2],
            p: [0; 2],
            d: [0; 6],
            a: [0; 2],
            b: [0; 6],
        }
    }

    /// INVQAL, LOGSCL, SCALEL: the four leading bits of the code are what adapts.
    fn adapt_low(&mut self, code: usize) {
        let d = (self.det * INVERSE_16[code]) >> 15;
        let step = LOG_STEPS_LOW[RANK_16[code]];
        self.nb = (((self.nb * 127) >> 7) + step).clamp(0, 18_432);
        self.det = scale(self.nb, 8);
        self.predict(d);
    }

    /// INVQAH, LOGSCH, SCALEH.
    fn adapt_high(&mut self, code: usize) {
        let d = (self.det * INVERSE_4[code]) >> 15;
        // The outer interval of either sign raises the scale, the inner one lowers it.
        let step = if code.is_multiple_of(2) { 798 } else { -214 };
        self.nb = (((self.nb * 127) >> 7) + step).clamp(0, 22_528);
        self.det = scale(self.nb, 10);
        self.predict(d);
    }

    /// Block 4: RECONS, PARREC, UPPOL2, UPPOL1, UPZERO, DELAYA, FILTEP, FILTEZ, PREDIC.
    fn predict(&mut self, d: i32) {
        let r = saturate(self.s + d);
        let p = saturate(self.sz + d);

        let with_sign = |same: bool, value: i32| if same { value } else { -value };
        let is_same = |a: i32, b: i32| (a < 0) == (b < 0);
        let from_first = with_sign(!is_same(p, self.p[0]), saturate(self.a[0] << 2)).min(32_767);
        let from_second = with_sign(is_same(p, self.p[1]), 128);
        let a2 =
            (from_second + (from_first >> 7) + ((self.a[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        let most = saturate(15_360 - a2);
        let step = with_sign(is_same(p, self.p[0]), 192);
        let a1 = saturate(step + ((self.a[0] * 32_640) >> 15)).clamp(-most, most);
        self.a = [a1, a2];

        let step = if d == 0 { 0 } else { 128 };
        for (b, &earlier) in self.b.iter_mut().zip(&self.d) {
            *b = saturate(with_sign(is_same(d, earlier), step) + ((*b * 32_640) >> 15));
        }

        self.d.copy_within(..5, 1);
        self.d[0] = d;
        self.r = [r, self.r[0]];
        self.p = [p, self.p[0]];

        let of = |coefficient: i32, signal: i32| (coefficient * saturate(2 * signal)) >> 15;
        let sp = saturate(of(a1, self.r[0]) + of(a2, self.r[1]));
        let sz = self.b.iter().zip(&self.d).map(|(&b, &d)| of(b, d)).sum();
        self.sz = saturate(sz);
        self.s = saturate(sp + self.sz);
    }
}

/// The linear scale factor of a logarithmic one.
fn scale(nb: i32, exponent: i32) -> i32 {
    let mantissa = INVERSE_LOG[(nb >> 6 & 31) as usize];
    let shift = exponent - (nb >> 11);
    let scaled = if shift < 0 {
        mantissa << -shift
    } else {
        mantissa >> shift
    };
    scaled << 2
}

fn saturate(value: i32) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

/// Coefficients of the mirror filter, of every second tap (table 11).
const MIRROR: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Decision levels of the low band, each the upper end of an interval (table 14).
const LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023,
    1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// Output values of six-bit codes (table 17).
const INVERSE_64: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
    -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280,
    11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776,
    2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// Output values of four-bit codes (table 16).
const INVERSE_16: [i32; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584,
    1200, 0,
];

/// Output values of the high band (table 19).
const INVERSE_4: [i32; 4] = [-7408, -1616, 7408, 1616];

/// Which magnitude a four-bit code is of (table 18).
const RANK_16: [usize; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];

/// What each magnitude adds to the logarithmic scale of the low band (table 18).
const LOG_STEPS_LOW: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];

/// 2048 times two to the power of 0/32 to 31/32 (table 15).
const INVERSE_LOG: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
