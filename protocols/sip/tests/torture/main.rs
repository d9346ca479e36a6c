//! The torture set: what the parser makes of each message, and what can be made of it.

mod cases;

use sip::HeaderName::{CallId, Via};
use sip::Message;

use cases::Outcome::{self, Malformed as Bad, Valid};
use cases::all;

#[test]
fn each_class_has_the_outcome_the_rfc_describes() {
    for (name, bytes, outcome) in all() {
        eprintln!("{name}");
        match (Message::parse(*bytes), outcome) {
            (Ok(message), Valid(check)) => {
                assert_eq!(message.validate(), Ok(()), "{name}");
                check(&message);
            }
            (Ok(message), Outcome::Invalid(expected)) => {
                assert_eq!(message.validate(), Err(*expected), "{name}");
            }
            (Err(error), Bad(fault, status)) => {
                assert_eq!(error.fault, *fault, "{name}");
                assert_eq!(
                    error.answerable().map(|_| error.status()),
                    *status,
                    "{name}"
                );
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
    }
}

#[test]
fn every_malformed_request_can_be_answered_with_a_response_that_parses() {
    for (name, bytes, outcome) in all() {
        let (request, status) = match (Message::parse(*bytes), outcome) {
            (Err(error), Bad(_, Some(status))) => (error.answerable().unwrap().clone(), *status),
            (Ok(message), Outcome::Invalid(_)) if message.is_request() => (message, 400),
            _ => continue,
        };
        let response = request.response(status, "").finish().unwrap();
        let again = Message::parse(response.as_bytes()).unwrap();
        assert_eq!(again.status(), Some(status), "{name}");
        assert_eq!(again.header(CallId), request.header(CallId), "{name}");
        assert_eq!(again.header(Via), request.header(Via), "{name}");
    }
}

#[test]
fn a_valid_message_passes_a_proxy_with_nothing_else_changed() {
    for (name, bytes, outcome) in all() {
        let (Ok(message), Valid(_)) = (Message::parse(*bytes), outcome) else {
            continue;
        };
        let via = "SIP/2.0/UDP proxy.test;branch=z9hG4bKproxy";
        let forwarded = message.edit().push_front(Via, via).finish().unwrap();
        let back = forwarded.edit().remove_first_value(Via).finish().unwrap();
        let fields = |message: &Message| -> Vec<_> {
            message
                .fields()
                .map(|field| (field.name, field.value.to_owned()))
                .collect()
        };
        assert_eq!(fields(&back), fields(&message), "{name}");
        assert_eq!(back.body(), message.body(), "{name}");
        let again = Message::parse(forwarded.as_bytes()).unwrap();
        assert_eq!(fields(&again), fields(&forwarded), "{name}");
        assert_eq!(
            again.top_via().unwrap().branch(),
            Some("z9hG4bKproxy"),
            "{name}"
        );
    }
}
