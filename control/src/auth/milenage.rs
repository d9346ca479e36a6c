//! MILENAGE, TS 35.206: the functions f1, f1*, f2, f3, f4, f5 and f5* over AES-128.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::vector::Rand;

/// The example algorithm set of TS 35.206 for one subscriber: the expanded K and OPc.
///
/// Each function costs one to three AES blocks; nothing is allocated.
pub struct Milenage {
    cipher: Aes128,
    opc: [u8; 16],
}

/// What f2, f3, f4 and f5 give for one RAND.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// RES or XRES, f2.
    pub res: [u8; 8],
    /// CK, f3.
    pub ck: [u8; 16],
    /// IK, f4.
    pub ik: [u8; 16],
    /// AK, f5.
    pub ak: [u8; 6],
}

impl Milenage {
    /// The functions for this K and OPc.
    pub fn new(k: &[u8; 16], opc: &[u8; 16]) -> Self {
        Self {
            cipher: Aes128::new(&(*k).into()),
            opc: *opc,
        }
    }

    /// OPc of K and OP, TS 35.206 4.1: OPc = OP ⊕ E_K(OP).
    pub fn opc(k: &[u8; 16], op: &[u8; 16]) -> [u8; 16] {
        xor(encrypt(&Aes128::new(&(*k).into()), *op), *op)
    }

    /// f1 and f1*: MAC-A and MAC-S over SQN, RAND and AMF.
    pub fn f1(&self, rand: &Rand, sqn: [u8; 6], amf: [u8; 2]) -> ([u8; 8], [u8; 8]) {
        let mut in1 = [0; 16];
        in1[..6].copy_from_slice(&sqn);
        in1[6..8].copy_from_slice(&amf);
        in1.copy_within(..8, 8);
        let rotated = rotate(xor(in1, self.opc), R1_BYTES);
        let input = xor(xor(rotated, self.temp(rand)), constant(C1));
        let out1 = xor(encrypt(&self.cipher, input), self.opc);
        (half(&out1, 0), half(&out1, 8))
    }

    /// f2, f3, f4 and f5: RES, CK, IK and AK of RAND.
    pub fn f2345(&self, rand: &Rand) -> Keys {
        let out2 = self.out(rand, R2_BYTES, C2);
        let mut ak = [0; 6];
        ak.copy_from_slice(&out2[..6]);
        Keys {
            res: half(&out2, 8),
            ck: self.out(rand, R3_BYTES, C3),
            ik: self.out(rand, R4_BYTES, C4),
            ak,
        }
    }

    /// f5*: the AK that hides SQN_MS in AUTS.
    pub fn f5_star(&self, rand: &Rand) -> [u8; 6] {
        let out5 = self.out(rand, R5_BYTES, C5);
        let mut ak = [0; 6];
        ak.copy_from_slice(&out5[..6]);
        ak
    }

    /// TEMP = E_K(RAND ⊕ OPc), TS 35.206 4.1.
    fn temp(&self, rand: &Rand) -> [u8; 16] {
        encrypt(&self.cipher, xor(*rand, self.opc))
    }

    /// OUT2 to OUT5, TS 35.206 4.1.
    fn out(&self, rand: &Rand, rotation_bytes: usize, c: u8) -> [u8; 16] {
        let rotated = rotate(xor(self.temp(rand), self.opc), rotation_bytes);
        xor(encrypt(&self.cipher, xor(rotated, constant(c))), self.opc)
    }
}

// The rotations r1 to r5 of TS 35.206 4.1 are 64, 0, 32, 64 and 96 bits.
const R1_BYTES: usize = 8;
const R2_BYTES: usize = 0;
const R3_BYTES: usize = 4;
const R4_BYTES: usize = 8;
const R5_BYTES: usize = 12;

// The constants c1 to c5 are zero but for their last byte.
const C1: u8 = 0;
const C2: u8 = 1;
const C3: u8 = 2;
const C4: u8 = 4;
const C5: u8 = 8;

fn constant(last: u8) -> [u8; 16] {
    let mut block = [0; 16];
    block[15] = last;
    block
}

fn xor(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn rotate(mut block: [u8; 16], bytes: usize) -> [u8; 16] {
    block.rotate_left(bytes);
    block
}

fn encrypt(cipher: &Aes128, block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

fn half(block: &[u8; 16], from: usize) -> [u8; 8] {
    std::array::from_fn(|i| block[from + i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::hex::parse_hex_exact;

    /// Test sets 1 to 6 of TS 35.207 4 to 6 and TS 35.208 4, one line each: K, OP, OPc, RAND, SQN,
    /// AMF, then the results f1, f1*, f2, f3, f4, f5, f5*.
    const TEST_SETS: &str = include_str!("testdata/milenage.txt");

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        parse_hex_exact(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    #[test]
    fn gives_the_results_of_the_conformance_test_sets() {
        let mut sets = 0;
        for line in TEST_SETS.lines().filter(|line| !line.starts_with('#')) {
            let field: Vec<&str> = line.split_whitespace().collect();
            let (k, op, opc) = (bytes(field[0]), bytes(field[1]), bytes(field[2]));
            let rand = bytes(field[3]);
            assert_eq!(Milenage::opc(&k, &op), opc, "OPc of set {}", sets + 1);
            let milenage = Milenage::new(&k, &opc);
            let (mac_a, mac_s) = milenage.f1(&rand, bytes(field[4]), bytes(field[5]));
            let keys = milenage.f2345(&rand);
            assert_eq!(mac_a, bytes(field[6]), "f1 of set {}", sets + 1);
            assert_eq!(mac_s, bytes(field[7]), "f1* of set {}", sets + 1);
            assert_eq!(keys.res, bytes(field[8]), "f2 of set {}", sets + 1);
            assert_eq!(keys.ck, bytes(field[9]), "f3 of set {}", sets + 1);
            assert_eq!(keys.ik, bytes(field[10]), "f4 of set {}", sets + 1);
            assert_eq!(keys.ak, bytes(field[11]), "f5 of set {}", sets + 1);
            assert_eq!(
                milenage.f5_star(&rand),
                bytes(field[12]),
                "f5* of set {}",
                sets + 1
            );
            sets += 1;
        }
        assert_eq!(sets, 6);
    }
}
