//! What can go wrong with a call, in words: what, where, why, and what to do about it.

use std::net::SocketAddr;
use std::time::Duration;

use load::ua::Cause;
use sip::Transport;

use crate::failure::Failure;

/// Nobody receives at the address of the P-CSCF.
pub fn nobody_there(proxy: SocketAddr, transport: Transport) -> Failure {
    Failure::new(format!("no P-CSCF at {proxy}"))
        .because(format_args!("nobody listens at that {transport} port"))
        .remedy(
            "Start one with \"strowger up\" or \"strowger control\", or name its address with \
             --proxy IP:PORT.",
        )
}

/// A registration that was not decided in time.
pub fn no_registration(name: &str, proxy: SocketAddr, limit: Duration) -> Failure {
    Failure::new(format!("{name} is not registered by {proxy}"))
        .because(format_args!("no final answer within {} s", limit.as_secs()))
        .remedy("Is that the SIP address of a P-CSCF, and can it reach its HSS? See its log.")
}

/// A registration that was refused.
pub fn registration(name: &str, proxy: SocketAddr, status: u16, reason: &str) -> Failure {
    let remedy = match status {
        401 | 403 | 407 => {
            "The HSS of this network knows other keys, or another kind of them: check --k and \
             --opc, or --password, against \"strowger subscriber show\". Keys that the call drew \
             itself are at the HSS behind --admin: is that the one of this network?"
        }
        404 => {
            "The network does not know this subscriber or this realm: check --realm, --caller \
             and --callee."
        }
        408 => "The P-CSCF does not answer: check --proxy, and see its log.",
        423 => "Its registrar wants registrations to last longer than this command asks for.",
        500..=599 => {
            "The P-CSCF cannot reach the I-CSCF, the S-CSCF or the HSS, or has no room: see \
             \"strowger status --counters\" and the log of control."
        }
        _ => "See the log of control.",
    };
    Failure::new(format!("{name} cannot register at {proxy}"))
        .because(Response(status, reason))
        .remedy(remedy)
}

/// A call that nobody answered in time.
pub fn no_answer(callee: &str, was_offered: bool, limit: Duration) -> Failure {
    let (why, remedy) = if was_offered {
        (
            "it reached the callee, but the answer did not come back",
            "See the log of control and \"strowger status --counters\".",
        )
    } else {
        (
            "it did not reach the callee",
            "Is the media gateway alive? See \"strowger status\" and the log of control.",
        )
    };
    let limit = limit.as_secs();
    Failure::new(format!(
        "the call to {callee} was not answered within {limit} s"
    ))
    .because(why)
    .remedy(remedy)
}

/// A call that came to nothing.
pub fn call(callee: &str, cause: &Cause) -> Failure {
    let failure = Failure::new(format!("no call to {callee}"));
    let Cause::Refused { status, reason } = cause else {
        return failure
            .because(words(cause))
            .remedy("See the log of control.");
    };
    let remedy = match status {
        403 => "The network does not let this caller call: is it registered, or barred?",
        404 => "The network does not know the callee: check --callee.",
        408 | 504 => "Something on the way does not answer: see the log of control.",
        480 => "The callee is not registered where this call arrived: is --admin this network's?",
        486 | 600 => "The callee is in another call.",
        488 | 606 => "The two ends, or the network between them, allow no codec in common.",
        500 => "The network has a fault: see the log of control.",
        503 => {
            "There is no media gateway in service, or no room in it: see \"strowger status\"; \
             start one with \"strowger media\"."
        }
        _ => "See the log of control.",
    };
    failure.because(Response(*status, reason)).remedy(remedy)
}

/// A call that ended before it should.
pub fn released(name: &str, cause: &Cause) -> Failure {
    Failure::new(format!("the call of {name} ended before its time"))
        .because(words(cause))
        .remedy("See the log of control.")
}

fn words(cause: &Cause) -> String {
    match cause {
        Cause::HungUp => "this end hung up".into(),
        Cause::HungUpThere => "the network or the other end hung up".into(),
        Cause::Refused { status, reason } => Response(*status, reason).to_string(),
        Cause::Cancelled => "the network or the caller gave up".into(),
        Cause::NoAck => "the callee's answer was not acknowledged".into(),
        Cause::NoPrack => "the callee's ringing was not acknowledged".into(),
        Cause::NoMedia => "no usable session description came".into(),
        Cause::SessionExpired => "the session interval ran out".into(),
        Cause::Lost => "a request within the call got no answer".into(),
    }
}

/// A final response: 408 and 503 may stand for none.
struct Response<'a>(u16, &'a str);

impl std::fmt::Display for Response<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_says_what_to_do_about_it() {
        for (status, words) in [
            (480, "not registered"),
            (503, "strowger media"),
            (404, "--callee"),
        ] {
            let reason = "Because".to_owned();
            let text = call("sip:bob@ims.test", &Cause::Refused { status, reason }).to_string();
            assert!(text.contains(words), "{text}");
            assert!(
                text.contains(&format!("sip:bob@ims.test: {status} Because")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_refused_registration_names_subscriber_and_proxy() {
        let proxy = SocketAddr::from(([127, 0, 0, 1], 5060));
        let text = registration("sip:a@ims.test", proxy, 403, "Forbidden").to_string();
        for part in ["sip:a@ims.test", "127.0.0.1:5060", "403 Forbidden", "keys"] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}
