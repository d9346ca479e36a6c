//! Every parser against bytes nobody should send: no panic, and no allocation a length field asks
//! for.

mod samples;

use base::Entropy;
use diameter::cx::user_data::ImsSubscription;
use diameter::cx::{Answer, Request};
use diameter::{Error, Framer, Message, ReplyTo};
use proptest::prelude::*;

/// Everything that is done with received bytes.
fn digest(bytes: &[u8]) {
    let mut framer = Framer::default();
    framer.push(bytes);
    while let Ok(Some(_)) = framer.next_message() {}
    let reply_to = ReplyTo::salvage(bytes);
    let error = match Message::parse(bytes) {
        Err(error) => Some(error),
        Ok(message) => match (
            Request::from_message(&message),
            Answer::from_message(&message),
        ) {
            (Err(error), Err(_)) => Some(error),
            _ => None,
        },
    };
    if let (Some(reply_to), Some(error)) = (reply_to, error) {
        let answer = reply_to.error(&samples::hss(), &error, None);
        let answer = answer.expect("a fault of a bounded message has a bounded answer");
        Message::parse(&answer).expect("our answers can be read");
    }
}

#[test]
fn messages_cut_at_every_octet_are_refused() {
    for message in samples::messages() {
        for length in 0..message.len() {
            digest(&message[..length]);
            let mut shorter = message[..length & !3].to_vec();
            if shorter.len() >= 4 {
                let length = shorter.len() as u32;
                shorter[1..4].copy_from_slice(&length.to_be_bytes()[1..]);
            }
            digest(&shorter);
        }
    }
}

#[test]
fn messages_with_any_one_bit_flipped_do_no_harm() {
    for message in samples::messages() {
        for bit in 0..message.len() * 8 {
            let mut flipped = message.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            digest(&flipped);
        }
    }
}

#[test]
fn messages_with_random_damage_do_no_harm() {
    let mut entropy = Entropy::from_u64(1);
    let messages = samples::messages();
    for _ in 0..5_000 {
        let mut message = messages[entropy.below(messages.len() as u64) as usize].clone();
        for _ in 0..=entropy.below(4) {
            let at = entropy.below(message.len() as u64 - 20) as usize + 20;
            message[at] = entropy.next_u32() as u8;
        }
        digest(&message);
    }
}

#[test]
fn an_answer_to_the_longest_request_still_fits() {
    let mut message = samples::messages().remove(0);
    let filler = vec![0; diameter::MESSAGE_BYTES_MAX - message.len() - 8];
    message.extend([0, 0, 0xff, 0xff, 0x40]);
    message.extend(&(filler.len() as u32 + 8).to_be_bytes()[1..]);
    message.extend(filler);
    let length = message.len() as u32;
    message[1..4].copy_from_slice(&length.to_be_bytes()[1..]);
    digest(&message);
}

#[test]
fn too_many_avps_are_refused() {
    let mut message = samples::messages().remove(0);
    for _ in 0..=diameter::AVPS_MAX {
        message.extend([0, 0, 0xff, 0xff, 0, 0, 0, 8]);
    }
    let length = message.len() as u32;
    message[1..4].copy_from_slice(&length.to_be_bytes()[1..]);
    assert_eq!(
        Message::parse(&message).unwrap_err(),
        Error::Limit("AVPS_MAX")
    );
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        digest(&bytes);
        let _ = ImsSubscription::parse(&bytes);
    }

    #[test]
    fn any_avps_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut message = samples::messages().remove(0);
        message.extend(&bytes[..bytes.len() & !3]);
        let length = message.len() as u32;
        message[1..4].copy_from_slice(&length.to_be_bytes()[1..]);
        digest(&message);
    }
}
