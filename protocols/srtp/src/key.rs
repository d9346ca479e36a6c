//! Master keys, and the session keys derived from them.

use std::fmt;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256, Block};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::Error;
use crate::suite::{MASTER_BYTES_MAX, Suite};

/// A master key with its salt, and what SDES says with it (RFC 3711 3.2.1, RFC 4568 6.1).
///
/// Its memory is overwritten when it is dropped, and it is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey {
    #[zeroize(skip)]
    suite: Suite,
    /// Key, then salt, as SDES writes them.
    octets: [u8; MASTER_BYTES_MAX],
    #[zeroize(skip)]
    mki: Mki,
    #[zeroize(skip)]
    lifetime: u64,
}

/// A master key identifier: 0 to [`MKI_BYTES_MAX`] octets, none for no MKI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mki {
    octets: [u8; MKI_BYTES_MAX],
    len: u8,
}

impl Mki {
    /// No MKI: packets carry none.
    pub const NONE: Mki = Mki {
        octets: [0; MKI_BYTES_MAX],
        len: 0,
    };

    /// The identifier of these octets, as packets carry them.
    ///
    /// # Errors
    /// [`Error::Misuse`] when they are more than [`MKI_BYTES_MAX`].
    pub fn new(octets: &[u8]) -> Result<Self, Error> {
        let mut mki = Self::NONE;
        let room = mki.octets.get_mut(..octets.len()).ok_or(Error::Misuse)?;
        room.copy_from_slice(octets);
        mki.len = octets.len() as u8;
        Ok(mki)
    }

    /// The identifier that SDES writes as a number of this many octets (RFC 4568 6.1).
    ///
    /// # Errors
    /// [`Error::Misuse`] when the number does not fit them, or they are none or too many.
    pub fn from_number(number: u128, octets: usize) -> Result<Self, Error> {
        if octets == 0 || octets > MKI_BYTES_MAX {
            return Err(Error::Misuse);
        }
        let mut bytes = [0; MKI_BYTES_MAX];
        let (_, low) = bytes.split_at_mut(MKI_BYTES_MAX - size_of::<u128>());
        low.copy_from_slice(&number.to_be_bytes());
        let (unwritten, written) = bytes.split_at(MKI_BYTES_MAX - octets);
        if unwritten.iter().any(|byte| *byte != 0) {
            return Err(Error::Misuse);
        }
        Self::new(written)
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

impl MasterKey {
    /// A master key and salt, one after the other as in SDES (RFC 4568 6.1), without MKI and of the
    /// longest life.
    ///
    /// # Errors
    /// [`Error::Misuse`] when they are not as long as the suite wants them.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Result<Self, Error> {
        let len = suite.key_bytes() + suite.salt_bytes();
        if key_and_salt.len() != len {
            return Err(Error::Misuse);
        }
        let mut octets = [0; MASTER_BYTES_MAX];
        octets[..len].copy_from_slice(key_and_salt);
        Ok(Self {
            suite,
            octets,
            mki: Mki::NONE,
            lifetime: LIFETIME_MAX,
        })
    }

    /// The same key with an identifier that packets carry.
    pub fn with_mki(mut self, mki: Mki) -> Self {
        self.mki = mki;
        self
    }

    /// The same key for at most so many packets of SRTP, and of SRTCP (RFC 4568 6.1); never more
    /// than RFC 3711 9.2 allows.
    pub fn with_lifetime(mut self, packets: u64) -> Self {
        self.lifetime = packets.min(LIFETIME_MAX);
        self
    }

    /// Its suite.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Its identifier.
    pub fn mki(&self) -> Mki {
        self.mki
    }

    /// How many packets of SRTP it may protect.
    pub fn lifetime(&self) -> u64 {
        self.lifetime
    }

    /// Key and salt, one after the other.
    pub fn key_and_salt(&self) -> &[u8] {
        &self.octets[..self.suite.key_bytes() + self.suite.salt_bytes()]
    }

    /// Derives a session key (RFC 3711 4.3.1, RFC 6188 3) with a key derivation rate of 0.
    pub(crate) fn derive(&self, label: Label, session_key: &mut [u8]) {
        let (key, salt) = self.key_and_salt().split_at(self.suite.key_bytes());
        // The salt of 96 bits counts as one of 112 with zeros behind it (RFC 7714 11).
        let mut counter = [0; 16];
        counter[..salt.len()].copy_from_slice(salt);
        counter[LABEL_AT] ^= label as u8;
        let blocks = session_key.chunks_mut(16).zip(0_u16..);
        match <[u8; 16]>::try_from(key) {
            Ok(key) => keystream(&Aes128::new(&key.into()), counter, blocks),
            // The other suites have keys of 32 octets.
            Err(_) => {
                let mut long = [0; 32];
                long[..key.len()].copy_from_slice(key);
                keystream(&Aes256::new(&long.into()), counter, blocks);
                long.zeroize();
            }
        }
        counter.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("suite", &self.suite)
            .field("mki", &self.mki.octets())
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

fn keystream<'a>(
    cipher: &impl BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>,
    counter: [u8; 16],
    blocks: impl Iterator<Item = (&'a mut [u8], u16)>,
) {
    for (room, number) in blocks {
        let mut block = Block::from(counter);
        block[14..].copy_from_slice(&number.to_be_bytes());
        cipher.encrypt_block(&mut block);
        room.copy_from_slice(&block[..room.len()]);
    }
}

/// What a session key is for (RFC 3711 4.3.1, 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Where the label is added to the salt: before the 48 bits of an index.
const LABEL_AT: usize = 7;

/// Octets of the longest MKI taken. RFC 4568 6.1 allows 128; more than tell a few keys apart only
/// lengthen packets.
pub const MKI_BYTES_MAX: usize = 32;

/// Packets of SRTP that a master key may protect (RFC 3711 9.2).
pub const LIFETIME_MAX: u64 = 1 << 48;

/// Packets of SRTCP that a master key may protect (RFC 3711 9.2).
pub const RTCP_LIFETIME_MAX: u64 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::hex;

    #[test]
    fn session_keys_are_those_of_rfc_3711_b_3() {
        let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey::new(Suite::AesCm128HmacSha1_80, &master).unwrap();
        let mut key = [0; 16];
        master.derive(Label::RtpEncryption, &mut key);
        assert_eq!(key[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        let mut salt = [0; 14];
        master.derive(Label::RtpSalt, &mut salt);
        assert_eq!(salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        let mut authentication = [0; 94];
        master.derive(Label::RtpAuthentication, &mut authentication);
        let expected = "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
            E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
            6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2";
        assert_eq!(authentication[..], hex(expected));
    }

    #[test]
    fn session_keys_of_aes_256_are_those_of_rfc_6188_7_3() {
        let master = hex(
            "f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6
            3b04803de51ee7c96423ab5b78d2",
        );
        let master = MasterKey::new(Suite::AesCm256HmacSha1_80, &master).unwrap();
        let mut key = [0; 32];
        master.derive(Label::RtpEncryption, &mut key);
        let expected = "5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4";
        assert_eq!(key[..], hex(expected));
        let mut salt = [0; 14];
        master.derive(Label::RtpSalt, &mut salt);
        assert_eq!(salt[..], hex("fa31791685ca444a9e07c6c64e93"));
        let mut authentication = [0; 20];
        master.derive(Label::RtpAuthentication, &mut authentication);
        let expected = "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05";
        assert_eq!(authentication[..], hex(expected));
    }

    #[test]
    fn keys_of_another_length_are_refused() {
        for suite in Suite::ALL {
            let len = suite.key_bytes() + suite.salt_bytes();
            assert!(MasterKey::new(suite, &vec![1; len]).is_ok());
            assert_eq!(MasterKey::new(suite, &vec![1; len - 1]), Err(Error::Misuse));
            assert_eq!(MasterKey::new(suite, &vec![1; len + 1]), Err(Error::Misuse));
        }
        let master = MasterKey::new(Suite::AeadAes128Gcm, &[0xab; 28]).unwrap();
        assert!(!format!("{master:?}").contains("171"), "{master:?}");
        assert_eq!(
            master.clone().with_lifetime(u64::MAX).lifetime(),
            LIFETIME_MAX
        );
    }

    #[test]
    fn an_mki_is_a_number_of_given_length() {
        assert_eq!(Mki::from_number(1, 4).unwrap().octets(), [0, 0, 0, 1]);
        assert_eq!(Mki::from_number(0x0102, 2).unwrap().octets(), [1, 2]);
        assert_eq!(Mki::from_number(256, 1), Err(Error::Misuse));
        assert_eq!(Mki::from_number(1, 0), Err(Error::Misuse));
        assert_eq!(Mki::from_number(1, 33), Err(Error::Misuse));
        assert_eq!(Mki::from_number(1, 32).unwrap().octets().len(), 32);
        assert!(Mki::from_number(u128::MAX, 16).is_ok());
        assert_eq!(Mki::new(&[0; 33]), Err(Error::Misuse));
    }
}
