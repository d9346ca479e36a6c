//! Senders against receivers, and both against the vectors of the RFCs and of libsrtp.

use crate::testkit::hex;
use crate::transform::Transform;
use crate::{Error, LIFETIME_MAX, MasterKey, Mki, Receiver, SSRCS_MAX, Sender, Suite, WINDOW};

const ROOM: usize = 256;

fn key(suite: Suite, seed: u8) -> MasterKey {
    let octets: Vec<u8> = (0..suite.key_bytes() + suite.salt_bytes())
        .map(|number| seed.wrapping_add(number as u8))
        .collect();
    MasterKey::new(suite, &octets).unwrap()
}

fn pair(suite: Suite) -> (Sender, Receiver) {
    let key = key(suite, 1);
    (Sender::new(&key).unwrap(), Receiver::new(&[key]).unwrap())
}

fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8, 0, 0, 0, 0, 0, 160];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160).map(|number| number as u8 ^ sequence as u8));
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x81, 201, 0, 7];
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..24).map(|number| number as u8));
    packet
}

fn protect(sender: &Sender, packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + ROOM, 0xee);
    let len = sender.protect(&mut buffer, packet.len())?;
    assert!(buffer[len..].iter().all(|octet| *octet == 0xee));
    Ok(buffer[..len].to_vec())
}

fn protect_rtcp(sender: &Sender, packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + ROOM, 0xee);
    let len = sender.protect_rtcp(&mut buffer, packet.len())?;
    assert!(buffer[len..].iter().all(|octet| *octet == 0xee));
    Ok(buffer[..len].to_vec())
}

fn unprotect(receiver: &Receiver, packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buffer = packet.to_vec();
    let len = receiver.unprotect(&mut buffer)?;
    Ok(buffer[..len].to_vec())
}

fn unprotect_rtcp(receiver: &Receiver, packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buffer = packet.to_vec();
    let len = receiver.unprotect_rtcp(&mut buffer)?;
    Ok(buffer[..len].to_vec())
}

#[test]
fn libsrtp_protects_the_same_and_is_understood() {
    let lines = include_str!("../testdata/libsrtp2.txt");
    let mut used = String::new();
    let mut ends: Option<(Sender, Receiver)> = None;
    let mut packets = 0;
    for line in lines.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [suite, octets, mki, kind, packet, protected] = fields[..] else {
            panic!("{line}");
        };
        if used != octets {
            used = octets.to_owned();
            let key = MasterKey::new(suite.parse().unwrap(), &hex(octets)).unwrap();
            let key = key.with_mki(Mki::new(&hex(mki)).unwrap());
            // Its first SRTCP index is 1.
            let sender = Sender::new(&key).unwrap().aged(0, 1);
            ends = Some((sender, Receiver::new(&[key]).unwrap()));
        }
        let (sender, receiver) = ends.as_ref().unwrap();
        let (packet, protected) = (hex(packet), hex(protected));
        if kind == "rtp" {
            assert_eq!(protect(sender, &packet).unwrap(), protected, "{line}");
            assert_eq!(unprotect(receiver, &protected).unwrap(), packet, "{line}");
            assert_eq!(unprotect(receiver, &protected), Err(Error::Replay));
        } else {
            assert_eq!(protect_rtcp(sender, &packet).unwrap(), protected, "{line}");
            assert_eq!(
                unprotect_rtcp(receiver, &protected).unwrap(),
                packet,
                "{line}"
            );
            assert_eq!(unprotect_rtcp(receiver, &protected), Err(Error::Replay));
        }
        packets += 1;
    }
    assert_eq!(packets, 6 * 2 * 16);
}

#[test]
fn packets_are_those_of_rfc_7714_16_and_17() {
    let rtp = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e20706172
        746573207472 6573";
    let rtcp =
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdead
        beefdeadbeefdeadbeef";
    let cases = [
        (
            Suite::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f",
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d1
             9b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b
             4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        ),
        (
            Suite::AeadAes256Gcm,
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae
             0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f6
             58c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        ),
    ];
    for (suite, session_key, srtp, srtcp) in cases {
        let salt = hex("517569642070726f2071756f");
        let transform =
            || Transform::with_session_keys(suite, &hex(session_key), &salt, [0; 20]).unwrap();
        let sender = Sender::new(&key(suite, 0)).unwrap();
        let sender = sender.with_transforms(transform(), transform(), 0x5d4);
        let receiver = Receiver::with_transforms(transform(), transform());
        assert_eq!(protect(&sender, &hex(rtp)).unwrap(), hex(srtp));
        assert_eq!(unprotect(&receiver, &hex(srtp)).unwrap(), hex(rtp));
        assert_eq!(protect_rtcp(&sender, &hex(rtcp)).unwrap(), hex(srtcp));
        assert_eq!(unprotect_rtcp(&receiver, &hex(srtcp)).unwrap(), hex(rtcp));
    }
    // 17.3: authenticated only, the E flag is not set.
    let srtcp =
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdea
        dbeefdeadbeefdeadbeef841dd9683dd78ec92ae58790125f62b3000005d4";
    let transform = || {
        let (session_key, salt) = (&hex(cases[0].1), hex("517569642070726f2071756f"));
        Transform::with_session_keys(Suite::AeadAes128Gcm, session_key, &salt, [0; 20]).unwrap()
    };
    let receiver = Receiver::with_transforms(transform(), transform());
    assert_eq!(unprotect_rtcp(&receiver, &hex(srtcp)).unwrap(), hex(rtcp));
}

#[test]
fn any_flipped_bit_and_any_cut_is_noticed_and_changes_nothing() {
    for suite in Suite::ALL {
        for mki in [&[][..], &[1, 2, 3, 4]] {
            let key = key(suite, 9).with_mki(Mki::new(mki).unwrap());
            let (sender, receiver) = (Sender::new(&key).unwrap(), Receiver::new(&[key]).unwrap());
            let packet = rtp(7, 1);
            let protected = protect(&sender, &packet).unwrap();
            for bit in 0..protected.len() * 8 {
                let mut altered = protected.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                assert!(unprotect(&receiver, &altered).is_err(), "{suite} bit {bit}");
            }
            for len in 0..protected.len() {
                let cut = unprotect(&receiver, &protected[..len]);
                assert!(cut.is_err(), "{suite} {len} octets");
            }
            assert_eq!(unprotect(&receiver, &protected), Ok(packet));
            let packet = rtcp(7);
            let protected = protect_rtcp(&sender, &packet).unwrap();
            for bit in 0..protected.len() * 8 {
                let mut altered = protected.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                let opened = unprotect_rtcp(&receiver, &altered);
                assert!(opened.is_err(), "{suite} RTCP bit {bit}");
            }
            for len in 0..protected.len() {
                let cut = unprotect_rtcp(&receiver, &protected[..len]);
                assert!(cut.is_err(), "{suite} RTCP {len} octets");
            }
            assert_eq!(unprotect_rtcp(&receiver, &protected), Ok(packet));
        }
    }
}

#[test]
fn the_rollover_counter_survives_wraps_loss_and_reordering() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        let (sender, receiver) = pair(suite);
        let mut late = None;
        let mut opened = 0;
        for number in 0..200_000_u32 {
            // Steps of 7 to 3 000 stand for lost packets.
            if number % 3_000 != 0 && number % 7 != 0 {
                let packet = rtp(1, number as u16);
                if number % 4_099 < 3 {
                    protect(&sender, &packet).unwrap();
                }
                continue;
            }
            let packet = rtp(1, number as u16);
            let protected = protect(&sender, &packet).unwrap();
            if number % 14 == 0 && late.is_none() {
                late = Some((packet, protected));
                continue;
            }
            assert_eq!(unprotect(&receiver, &protected), Ok(packet), "{number}");
            if let Some((packet, protected)) = late.take() {
                assert_eq!(
                    unprotect(&receiver, &protected),
                    Ok(packet),
                    "late at {number}"
                );
                assert_eq!(unprotect(&receiver, &protected), Err(Error::Replay));
            }
            opened += 1;
        }
        assert!(opened > 10_000);
    }
}

#[test]
fn what_lies_behind_the_window_is_a_replay_on_both_sides() {
    let (sender, receiver) = pair(Suite::AesCm128HmacSha1_80);
    let first = protect(&sender, &rtp(1, 1000)).unwrap();
    let next = protect(&sender, &rtp(1, 1000 + WINDOW as u16)).unwrap();
    assert!(unprotect(&receiver, &next).is_ok());
    assert_eq!(unprotect(&receiver, &first), Err(Error::Replay));
    assert_eq!(protect(&sender, &rtp(1, 1000)), Err(Error::Replay));
    assert_eq!(
        protect(&sender, &rtp(1, 1000 + WINDOW as u16)),
        Err(Error::Replay)
    );
    assert!(protect(&sender, &rtp(1, 1001)).is_ok());
}

#[test]
fn keys_end_where_rfc_3711_9_2_has_them_end() {
    let suite = Suite::AesCm128HmacSha1_80;
    let sender = || Sender::new(&key(suite, 1)).unwrap();
    let last = sender().aged(LIFETIME_MAX - 1, (1 << 31) - 1);
    assert!(protect(&last, &rtp(1, 1)).is_ok());
    assert_eq!(protect(&last, &rtp(1, 2)), Err(Error::KeyExpired));
    let protected = protect_rtcp(&last, &rtcp(1)).unwrap();
    assert_eq!(protect_rtcp(&last, &rtcp(1)), Err(Error::KeyExpired));
    let receiver = || Receiver::new(&[key(suite, 1)]).unwrap();
    assert!(unprotect_rtcp(&receiver(), &protected).is_ok());
    let expired = receiver().aged(LIFETIME_MAX, 1 << 31);
    let packet = protect(&sender(), &rtp(1, 1)).unwrap();
    assert_eq!(unprotect(&expired, &packet), Err(Error::KeyExpired));
    assert_eq!(unprotect_rtcp(&expired, &protected), Err(Error::KeyExpired));
    // RFC 4568 6.1: a shorter life that was agreed on.
    let short = key(suite, 1).with_lifetime(2);
    let (sender, receiver) = (
        Sender::new(&short).unwrap(),
        Receiver::new(&[short]).unwrap(),
    );
    for sequence in 0..2 {
        let packet = protect(&sender, &rtp(1, sequence)).unwrap();
        assert!(unprotect(&receiver, &packet).is_ok());
        let packet = protect_rtcp(&sender, &rtcp(1)).unwrap();
        assert!(unprotect_rtcp(&receiver, &packet).is_ok());
    }
    assert_eq!(protect(&sender, &rtp(1, 2)), Err(Error::KeyExpired));
    assert_eq!(protect_rtcp(&sender, &rtcp(1)), Err(Error::KeyExpired));
}

#[test]
fn mkis_choose_among_keys_and_unknown_ones_are_refused() {
    for suite in Suite::ALL {
        let keyed = |seed: u8| key(suite, seed).with_mki(Mki::new(&[0, seed]).unwrap());
        let receiver = Receiver::new(&[keyed(1), keyed(2)]).unwrap();
        for (seed, outcome) in [(1, None), (2, None), (3, Some(Error::UnknownMki))] {
            let sender = Sender::new(&keyed(seed)).unwrap();
            let packet = rtp(u32::from(seed), 5);
            let opened = unprotect(&receiver, &protect(&sender, &packet).unwrap());
            assert_eq!(opened, outcome.map_or(Ok(packet), Err), "{suite} {seed}");
            let packet = rtcp(u32::from(seed));
            let opened = unprotect_rtcp(&receiver, &protect_rtcp(&sender, &packet).unwrap());
            assert_eq!(opened, outcome.map_or(Ok(packet), Err), "{suite} {seed}");
        }
        let refused = |keys: &[MasterKey]| Receiver::new(keys).err() == Some(Error::Misuse);
        assert!(refused(&[]));
        assert!(refused(&[keyed(1), keyed(1)]));
        assert!(refused(&[keyed(1), key(suite, 2)]));
        assert!(refused(&[key(suite, 1), key(suite, 2)]));
        assert!(refused(&[1, 2, 3, 4, 5].map(keyed)));
    }
    let keys = [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32].map(|suite| key(suite, 1));
    assert_eq!(Receiver::new(&keys).err(), Some(Error::Misuse));
}

#[test]
fn re_keying_goes_on_with_the_indices_and_takes_what_is_under_way() {
    for suite in Suite::ALL {
        let (sender, receiver) = pair(suite);
        for sequence in [0xfff0, 0xffff, 0] {
            let packet = protect(&sender, &rtp(1, sequence)).unwrap();
            assert!(unprotect(&receiver, &packet).is_ok());
        }
        let under_way = protect(&sender, &rtp(1, 1)).unwrap();
        let rtcp_under_way = protect_rtcp(&sender, &rtcp(1)).unwrap();
        let new = key(Suite::AeadAes128Gcm, 77);
        let sender_after = sender.rekeyed(&new).unwrap();
        let receiver_after = receiver.rekeyed(&[new]).unwrap();
        assert_eq!(protect(&sender_after, &rtp(1, 0)), Err(Error::Replay));
        let first = protect(&sender_after, &rtp(1, 2)).unwrap();
        let rtcp_first = protect_rtcp(&sender_after, &rtcp(1)).unwrap();
        let late = protect(&sender, &rtp(1, 3)).unwrap();
        assert_eq!(
            unprotect(&receiver_after, &under_way),
            Ok(rtp(1, 1)),
            "{suite}"
        );
        assert_eq!(unprotect(&receiver_after, &under_way), Err(Error::Replay));
        assert_eq!(unprotect(&receiver_after, &first), Ok(rtp(1, 2)));
        assert_eq!(
            unprotect_rtcp(&receiver_after, &rtcp_under_way),
            Ok(rtcp(1))
        );
        assert_eq!(unprotect_rtcp(&receiver_after, &rtcp_first), Ok(rtcp(1)));
        // Once the new key is in use the former is not taken any more.
        assert!(unprotect(&receiver_after, &late).is_err());
    }
}

#[test]
fn an_end_that_begins_its_indices_anew_with_a_key_is_understood() {
    for suite in Suite::ALL {
        let (sender, receiver) = pair(suite);
        for sequence in [0xffff, 0, 1] {
            let packet = protect(&sender, &rtp(1, sequence)).unwrap();
            assert!(unprotect(&receiver, &packet).is_ok());
            let packet = protect_rtcp(&sender, &rtcp(1)).unwrap();
            assert!(unprotect_rtcp(&receiver, &packet).is_ok());
        }
        let new = key(suite, 77);
        let sender = Sender::new(&new).unwrap();
        let receiver = receiver.rekeyed(&[new]).unwrap();
        for sequence in [2, 4, 3] {
            let packet = protect(&sender, &rtp(1, sequence)).unwrap();
            assert_eq!(
                unprotect(&receiver, &packet),
                Ok(rtp(1, sequence)),
                "{suite}"
            );
            assert_eq!(unprotect(&receiver, &packet), Err(Error::Replay));
            let packet = protect_rtcp(&sender, &rtcp(1)).unwrap();
            assert_eq!(unprotect_rtcp(&receiver, &packet), Ok(rtcp(1)), "{suite}");
        }
    }
}

#[test]
fn sources_are_kept_apart_and_limited() {
    let (sender, receiver) = pair(Suite::AeadAes128Gcm);
    for ssrc in 0..SSRCS_MAX as u32 {
        let packet = protect(&sender, &rtp(ssrc, 3)).unwrap();
        assert_eq!(unprotect(&receiver, &packet), Ok(rtp(ssrc, 3)));
    }
    assert_eq!(protect(&sender, &rtp(99, 3)), Err(Error::Limit));
    let other = pair(Suite::AeadAes128Gcm).0;
    let packet = protect(&other, &rtp(99, 3)).unwrap();
    assert_eq!(unprotect(&receiver, &packet), Err(Error::Limit));
}

#[test]
fn a_buffer_without_room_is_left_as_it_was() {
    for suite in Suite::ALL {
        let (sender, receiver) = pair(suite);
        let packet = rtp(1, 1);
        let mut buffer = packet.clone();
        buffer.resize(packet.len() + sender.rtp_overhead() - 1, 0);
        let before = buffer.clone();
        assert_eq!(
            sender.protect(&mut buffer, packet.len()),
            Err(Error::NoRoom)
        );
        assert_eq!(
            sender.protect(&mut buffer, packet.len() + 99),
            Err(Error::NoRoom)
        );
        assert_eq!(buffer, before);
        // The index is not used up.
        let protected = protect(&sender, &packet).unwrap();
        assert_eq!(unprotect(&receiver, &protected), Ok(packet));
        let packet = rtcp(1);
        let mut buffer = packet.clone();
        buffer.resize(packet.len() + sender.rtcp_overhead() - 1, 0);
        assert_eq!(
            sender.protect_rtcp(&mut buffer, packet.len()),
            Err(Error::NoRoom)
        );
        assert_eq!(protect(&sender, &[0x80; 11]), Err(Error::Malformed));
        assert_eq!(protect(&sender, &[0x90; 12]), Err(Error::Malformed));
        assert_eq!(protect_rtcp(&sender, &[0x80; 7]), Err(Error::Malformed));
    }
}

#[test]
fn no_input_makes_either_side_panic() {
    use proptest::prelude::*;
    let receivers: Vec<Receiver> = Suite::ALL
        .into_iter()
        .flat_map(|suite| {
            let receiver = pair(suite).1;
            [receiver.rekeyed(&[key(suite, 5)]).unwrap(), receiver]
        })
        .collect();
    let senders: Vec<Sender> = Suite::ALL.into_iter().map(|suite| pair(suite).0).collect();
    let mut runner = proptest::test_runner::TestRunner::default();
    let octets = (0..4_u8, prop::collection::vec(any::<u8>(), 0..120));
    runner
        .run(&octets, |(version, mut octets)| {
            if let Some(first) = octets.first_mut() {
                *first = if version == 0 {
                    *first
                } else {
                    0x80 | *first & 0x3f
                };
            }
            for receiver in &receivers {
                prop_assert!(unprotect(receiver, &octets).is_err());
                prop_assert!(unprotect_rtcp(receiver, &octets).is_err());
            }
            for sender in &senders {
                let _ = (protect(sender, &octets), protect_rtcp(sender, &octets));
            }
            Ok(())
        })
        .unwrap();
}
