//! Diameter: messages, Cx requests and answers, user profiles, and the stream framer.
#![no_main]

use diameter::cx::{Answer, Request};
use diameter::{Avps, Framer, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Message::parse(data) {
        walk(message.avps());
        let _ = Request::from_message(&message);
        let _ = Answer::from_message(&message);
    }
    let _ = diameter::cx::user_data::ImsSubscription::parse(data);
    let mut framer = Framer::default();
    let (head, tail) = data.split_at(data.len() / 2);
    for part in [head, tail] {
        framer.push(part);
        while let Ok(Some(_)) = framer.next_message() {}
    }
});

fn walk(avps: Avps<'_>) {
    for avp in avps {
        let _ = (avp.code, avp.vendor, avp.data.len());
    }
}
