//! A USIM in software: AKA as the card does it, TS 33.102 6.3 with MILENAGE (TS 35.206).
//!
//! It shares no code with the home network under test, so that a mistake there is not made here
//! too.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// Bits of IND, the index part of SQN, TS 33.102 C.1.2.
const IND_BITS: u32 = 5;
const IND_COUNT: usize = 1 << IND_BITS;
/// Δ: how far SEQ may jump ahead, TS 33.102 C.2.1.
const SEQ_JUMP_MAX: u64 = 1 << 28;
/// AMF of a resynchronisation, TS 33.102 6.3.3.
const AMF_RESYNC: [u8; 2] = [0, 0];

/// A card: K, OPc, and the sequence numbers it accepted.
#[derive(Clone)]
pub struct Usim {
    cipher: Aes128,
    opc: [u8; 16],
    /// Highest SEQ accepted for each IND, TS 33.102 C.2.2.
    accepted: [u64; IND_COUNT],
    highest_sqn: u64,
}

/// What an accepted challenge gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// The answer, f2.
    pub res: [u8; 8],
    /// Cipher key, f3.
    pub ck: [u8; 16],
    /// Integrity key, f4.
    pub ik: [u8; 16],
}

/// Why a challenge was refused, TS 33.102 6.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// MAC-A is wrong: the network does not know K.
    Mac,
    /// SQN is not fresh; the token asks to resynchronise.
    Sqn {
        /// (SQN ⊕ AK*) ‖ MAC-S.
        auts: [u8; 14],
    },
}

impl Usim {
    /// A card with this OPc that has accepted nothing yet.
    pub fn new(k: [u8; 16], opc: [u8; 16]) -> Self {
        Self {
            cipher: Aes128::new(&k.into()),
            opc,
            accepted: [0; IND_COUNT],
            highest_sqn: 0,
        }
    }

    /// A card with this OP, of which OPc is made (TS 35.206 4.1).
    pub fn with_op(k: [u8; 16], op: [u8; 16]) -> Self {
        let mut usim = Self::new(k, [0; 16]);
        usim.opc = xor(usim.encrypt(op), op);
        usim
    }

    /// As if this SQN had been accepted last: for a card that was used before.
    pub fn set_sqn(&mut self, sqn: u64) {
        self.highest_sqn = sqn;
        self.accepted = [sqn >> IND_BITS; IND_COUNT];
    }

    /// SQN of a challenge, fresh or not: AUTN without AK (TS 33.102 6.3.3).
    pub fn sqn(&self, rand: &[u8; 16], autn: &[u8; 16]) -> u64 {
        let out2 = self.out(rand, 0, 1);
        number(std::array::from_fn(|i| autn[i] ^ out2[i]))
    }

    /// Checks AUTN and answers RAND (TS 33.102 6.3.3).
    ///
    /// # Errors
    /// [`Refused::Mac`] or [`Refused::Sqn`]; then nothing is taken note of.
    pub fn authenticate(&mut self, rand: &[u8; 16], autn: &[u8; 16]) -> Result<Keys, Refused> {
        let out2 = self.out(rand, 0, 1);
        let sqn: [u8; 6] = std::array::from_fn(|i| autn[i] ^ out2[i]);
        let (mac_a, _) = self.f1(rand, sqn, [autn[6], autn[7]]);
        if mac_a != autn[8..] {
            return Err(Refused::Mac);
        }
        if !self.accept(number(sqn)) {
            return Err(Refused::Sqn {
                auts: self.auts(rand),
            });
        }
        Ok(Keys {
            res: std::array::from_fn(|i| out2[8 + i]),
            ck: self.out(rand, 4, 2),
            ik: self.out(rand, 8, 4),
        })
    }

    /// Freshness, TS 33.102 C.2.1: SEQ is above that of the same IND, and not too far above any.
    fn accept(&mut self, sqn: u64) -> bool {
        let (seq, ind) = (sqn >> IND_BITS, sqn as usize % IND_COUNT);
        let highest_seq = self.highest_sqn >> IND_BITS;
        if seq <= self.accepted[ind] || seq.saturating_sub(highest_seq) > SEQ_JUMP_MAX {
            return false;
        }
        self.accepted[ind] = seq;
        self.highest_sqn = self.highest_sqn.max(sqn);
        true
    }

    fn auts(&self, rand: &[u8; 16]) -> [u8; 14] {
        let sqn: [u8; 6] = std::array::from_fn(|i| self.highest_sqn.to_be_bytes()[2 + i]);
        let (_, mac_s) = self.f1(rand, sqn, AMF_RESYNC);
        let ak_star = self.out(rand, 12, 8);
        std::array::from_fn(|i| match i {
            0..6 => sqn[i] ^ ak_star[i],
            _ => mac_s[i - 6],
        })
    }

    /// f1 and f1*, TS 35.206 4.1: MAC-A and MAC-S.
    fn f1(&self, rand: &[u8; 16], sqn: [u8; 6], amf: [u8; 2]) -> ([u8; 8], [u8; 8]) {
        let temp = self.encrypt(xor(*rand, self.opc));
        let in1: [u8; 16] = std::array::from_fn(|i| match i % 8 {
            at @ 0..6 => sqn[at],
            at => amf[at - 6],
        });
        let mut rotated = xor(in1, self.opc);
        rotated.rotate_left(8);
        let out1 = xor(self.encrypt(xor(temp, rotated)), self.opc);
        let half = |from: usize| std::array::from_fn(|i| out1[from + i]);
        (half(0), half(8))
    }

    /// OUT2 to OUT5, TS 35.206 4.1: rotation in bytes, and the last byte of the constant.
    fn out(&self, rand: &[u8; 16], rotation: usize, constant: u8) -> [u8; 16] {
        let temp = self.encrypt(xor(*rand, self.opc));
        let mut input = xor(temp, self.opc);
        input.rotate_left(rotation);
        input[15] ^= constant;
        xor(self.encrypt(input), self.opc)
    }

    fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        block.into()
    }
}

fn xor(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn number(sqn: [u8; 6]) -> u64 {
    sqn.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

/// The network's side, for tests.
#[cfg(test)]
impl Usim {
    /// AUTN of a challenge with this SQN.
    pub(crate) fn challenge(&self, rand: &[u8; 16], sqn: u64) -> [u8; 16] {
        const AMF: [u8; 2] = [0x80, 0];
        let sqn: [u8; 6] = std::array::from_fn(|i| sqn.to_be_bytes()[2 + i]);
        let (mac_a, _) = self.f1(rand, sqn, AMF);
        let ak = self.out(rand, 0, 1);
        std::array::from_fn(|i| match i {
            0..6 => sqn[i] ^ ak[i],
            6..8 => AMF[i - 6],
            _ => mac_a[i - 8],
        })
    }

    /// XRES.
    pub(crate) fn response(&self, rand: &[u8; 16]) -> [u8; 8] {
        let out2 = self.out(rand, 0, 1);
        std::array::from_fn(|i| out2[8 + i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test sets of TS 35.207 and TS 35.208, one line each: K, OP, OPc, RAND, SQN, AMF, then f1,
    /// f1*, f2, f3, f4, f5 and f5*.
    const TEST_SETS: &str = include_str!("../testdata/milenage.txt");

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    fn card() -> Usim {
        Usim::new([7; 16], [9; 16])
    }

    #[test]
    fn functions_give_the_published_values() {
        let lines = TEST_SETS.lines().filter(|line| !line.starts_with('#'));
        let mut sets = 0;
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let usim = Usim::with_op(bytes(fields[0]), bytes(fields[1]));
            assert_eq!(usim.opc, bytes(fields[2]));
            let (rand, sqn) = (bytes(fields[3]), bytes(fields[4]));
            let macs = usim.f1(&rand, sqn, bytes(fields[5]));
            assert_eq!(macs, (bytes(fields[6]), bytes(fields[7])));
            let out2 = usim.out(&rand, 0, 1);
            assert_eq!(out2[8..], bytes::<8>(fields[8]));
            assert_eq!(usim.out(&rand, 4, 2), bytes(fields[9]));
            assert_eq!(usim.out(&rand, 8, 4), bytes(fields[10]));
            assert_eq!(out2[..6], bytes::<6>(fields[11]));
            assert_eq!(usim.out(&rand, 12, 8)[..6], bytes::<6>(fields[12]));
            sets += 1;
        }
        assert!(sets >= 6);
    }

    #[test]
    fn a_fresh_challenge_is_answered_once() {
        let mut usim = card();
        let autn = usim.challenge(&[1; 16], 32);
        assert!(usim.authenticate(&[1; 16], &autn).is_ok());
        let again = usim.authenticate(&[1; 16], &autn);
        assert!(matches!(again, Err(Refused::Sqn { .. })));
    }

    #[test]
    fn a_wrong_mac_is_not_mistaken_for_a_stale_number() {
        let mut usim = card();
        let mut autn = usim.challenge(&[1; 16], 32);
        autn[15] ^= 1;
        assert_eq!(usim.authenticate(&[1; 16], &autn).err(), Some(Refused::Mac));
        autn[15] ^= 1;
        assert!(usim.authenticate(&[1; 16], &autn).is_ok());
    }

    #[test]
    fn the_token_tells_the_highest_number_accepted() {
        let mut usim = card();
        let sqn = 41 << 5 | 3;
        let autn = usim.challenge(&[1; 16], sqn);
        assert_eq!(usim.sqn(&[1; 16], &autn), sqn);
        assert!(usim.authenticate(&[1; 16], &autn).is_ok());
        let stale = usim.challenge(&[2; 16], 40 << 5 | 3);
        let Err(Refused::Sqn { auts }) = usim.authenticate(&[2; 16], &stale) else {
            panic!("stale number accepted");
        };
        let ak_star = usim.out(&[2; 16], 12, 8);
        let told: [u8; 6] = std::array::from_fn(|i| auts[i] ^ ak_star[i]);
        assert_eq!(number(told), sqn);
        assert_eq!(auts[6..], usim.f1(&[2; 16], told, AMF_RESYNC).1);
    }

    #[test]
    fn each_index_has_its_own_order() {
        let mut usim = card();
        assert!(usim.accept(100 << 5 | 1));
        assert!(usim.accept(99 << 5 | 2), "late, but of another index");
        assert!(!usim.accept(100 << 5 | 1));
        assert!(!usim.accept(99 << 5 | 1));
        assert!(usim.accept(101 << 5 | 1));
        assert!(!usim.accept((102 + SEQ_JUMP_MAX) << 5), "too far ahead");
        assert!(usim.accept((101 + SEQ_JUMP_MAX) << 5));
    }
}
