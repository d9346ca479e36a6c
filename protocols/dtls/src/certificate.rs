//! The certificate that DTLS shows: of a key of its own, signed with that, known by its
//! fingerprint (RFC 5763 3).

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use dimpl::DtlsCertificate;
use sdp::dtls::{Fingerprint, HashFunction};

/// A new key on P-256 and its certificate, in DER. No name tells whose it is, and it has no end
/// that could come before that of the process.
pub(crate) fn generate() -> Result<DtlsCertificate, Unspecified> {
    let random = SystemRandom::new();
    let private_key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, private_key.as_ref())
        .map_err(|_| Unspecified)?;
    let public_key = key.public_key().as_ref();
    let to_be_signed = to_be_signed(public_key);
    let signature = key.sign(&random, &to_be_signed)?;
    let certificate = der(
        SEQUENCE,
        &[
            &to_be_signed,
            &der(SEQUENCE, &[ECDSA_WITH_SHA256]),
            &bit_string(signature.as_ref()),
        ],
    );
    Ok(DtlsCertificate {
        certificate,
        private_key: private_key.as_ref().to_vec(),
    })
}

/// What a function makes of a certificate.
pub(crate) fn fingerprint(certificate: &[u8], hash: HashFunction) -> Option<Fingerprint> {
    let algorithm = match hash {
        HashFunction::Sha256 => &SHA256,
        HashFunction::Sha384 => &SHA384,
        HashFunction::Sha512 => &SHA512,
        _ => return None,
    };
    Fingerprint::new(hash, digest(algorithm, certificate).as_ref())
}

/// TBSCertificate, RFC 5280 4.1.
fn to_be_signed(public_key: &[u8]) -> Vec<u8> {
    // Positive, and as many octets as can be (RFC 5280 4.1.2.2): of the key, so no other's.
    let mut serial = [0; 16];
    serial.copy_from_slice(&digest(&SHA256, public_key).as_ref()[..16]);
    serial[0] = serial[0] & 0x3F | 0x40;
    let name = der(SEQUENCE, &[COMMON_NAME, &der(UTF8_STRING, &[b"media"])]);
    let name = der(SEQUENCE, &[&der(SET, &[&name])]);
    let validity = [
        der(UTC_TIME, &[b"200101000000Z"]),
        // No well-defined end (RFC 5280 4.1.2.5).
        der(GENERALIZED_TIME, &[b"99991231235959Z"]),
    ];
    let algorithm = der(SEQUENCE, &[EC_PUBLIC_KEY, PRIME256V1]);
    der(
        SEQUENCE,
        &[
            // Version 3.
            &der(CONTEXT_0, &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[&serial]),
            &der(SEQUENCE, &[ECDSA_WITH_SHA256]),
            &name,
            &der(SEQUENCE, &[&validity[0], &validity[1]]),
            &name,
            &der(SEQUENCE, &[&algorithm, &bit_string(public_key)]),
        ],
    )
}

/// A value with its tag and length (X.690 8.1), of at most 65 535 octets.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match len {
        0..=0x7F => out.push(len as u8),
        0x80..=0xFF => out.extend([0x81, len as u8]),
        _ => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

fn bit_string(octets: &[u8]) -> Vec<u8> {
    der(BIT_STRING, &[&[0], octets])
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0C;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xA0;

/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x06, 3, 0x55, 0x04, 0x03];
/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2.
const ECDSA_WITH_SHA256: &[u8] = &[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
/// id-ecPublicKey, 1.2.840.10045.2.1.
const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
/// secp256r1, 1.2.840.10045.3.1.7.
const PRIME256V1: &[u8] = &[6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

    #[test]
    fn each_certificate_is_another_and_signed_with_its_own_key() {
        let [one, other] = [generate().unwrap(), generate().unwrap()];
        let of = |certificate: &DtlsCertificate| {
            fingerprint(&certificate.certificate, HashFunction::Sha256).unwrap()
        };
        assert_ne!(of(&one), of(&other));
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &one.private_key);
        let key = key.unwrap();
        let signed = to_be_signed(key.public_key().as_ref());
        assert_eq!(one.certificate[4..][..signed.len()], signed);
        let rest = &one.certificate[4 + signed.len()..];
        let signature = &rest[2 + ECDSA_WITH_SHA256.len() + 3..];
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.public_key());
        assert!(public.verify(&signed, signature).is_ok());
        assert!(public.verify(&signed[1..], signature).is_err());
    }

    #[test]
    fn every_hash_function_of_a_description_can_be_made() {
        for hash in HashFunction::ALL {
            let made = fingerprint(b"certificate", hash).unwrap();
            assert_eq!(made.hash(), hash);
        }
    }

    #[test]
    fn lengths_are_written_as_short_as_they_can_be() {
        assert_eq!(der(4, &[&[7; 127]])[..2], [4, 127]);
        assert_eq!(der(4, &[&[7; 128]])[..3], [4, 0x81, 128]);
        assert_eq!(der(4, &[&[7; 200], &[7; 100]])[..4], [4, 0x82, 1, 44]);
    }
}
