//! SIP: a datagram, and the same octets as a stream cut in two.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::{Frame, Framer, HeaderName, Message, Uri};

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Message::parse(data) {
        read(&message);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Uri::parse(text).map(|uri| uri.to_string());
    }
    let mut framer = Framer::new();
    let (head, tail) = data.split_at(data.len() / 2);
    for part in [head, tail] {
        framer.handle_input(part);
        while let Some(frame) = framer.poll_frame() {
            if let Frame::Message(message) = frame {
                read(&message);
            }
        }
    }
});

/// Asks for everything an entity may ask for.
fn read(message: &Message) {
    assert!(Message::parse(message.as_bytes()).is_ok());
    let valid = message.validate();
    let _ = (
        message.uri().map(|uri| uri.to_string()),
        message.from(),
        message.to(),
    );
    let _ = (
        message.call_id(),
        message.cseq(),
        message.max_forwards(),
        message.expires(),
    );
    let _ = (
        message.contact(),
        message.content_type(),
        message.session_expires(),
    );
    message.vias().for_each(drop);
    message.contacts().for_each(drop);
    message.routes().for_each(drop);
    message.record_routes().for_each(drop);
    message.auth(HeaderName::Authorization).for_each(drop);
    for field in message.fields() {
        message.values(field.name).for_each(drop);
    }
    if valid.is_ok() && message.is_request() {
        // A valid request can be answered, and the answer read again.
        if let Ok(response) = message.response(486, "").to_tag("fuzz").finish() {
            assert_eq!(response.call_id(), message.call_id());
        }
    }
}
