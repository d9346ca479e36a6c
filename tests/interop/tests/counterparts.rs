//! The counterparts against each other: what fails with us must not be their fault or the test's.

use std::net::SocketAddr;
use std::time::Duration;

use interop::erlang::{self, Carrier, Encoder, Story};
use interop::sipp::{self, Credentials, Transport, Ue};
use interop::{Capture, Folder, Namespace};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a socket address")
}

fn megaco_agrees_with_itself(encoder: Encoder, carrier: Carrier) {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let capture = Capture::start(&namespace, &folder);
    let mgc_address = address("127.0.0.1:2944");
    let media = Some("127.0.0.3");
    let ways = (encoder, carrier);
    let mgc = erlang::start_mgc(&namespace, &folder, mgc_address, ways, media, Story::Life);
    let mg_address = address("127.0.0.2:2944");
    let life = Duration::from_secs(6);
    let mg = erlang::start_mg(
        &namespace,
        &folder,
        mg_address,
        mgc_address,
        (encoder, carrier),
        "127.0.0.2",
        life,
    );
    let mgc = mgc.wait(Duration::from_secs(20));
    erlang::assert_steps(
        &mgc,
        &[
            "service_change root",
            "audit_root",
            "add",
            "modify",
            "media 50 50",
            "audit_value",
            "audit_capabilities",
            "subtract",
            "subtract_again 411",
        ],
    );
    let mg = mg.wait(Duration::from_secs(20));
    erlang::assert_steps(
        &mg,
        &["registered", "add", "modify", "audit_value", "subtract"],
    );
    let analysis = capture.stop();
    match encoder {
        Encoder::Pretty | Encoder::Compact => analysis.assert_clean(&["megaco", "rtp"]),
        // OTP does not encode values by their type, as the comments in H.248.1 A.2 ask for.
        Encoder::Ber => assert!(analysis.count("h248") > 0 && analysis.count("rtp") > 0),
    }
}

#[test]
fn megaco_drives_megaco_with_long_tokens() {
    megaco_agrees_with_itself(Encoder::Pretty, Carrier::Udp);
}

#[test]
fn megaco_drives_megaco_with_short_tokens() {
    megaco_agrees_with_itself(Encoder::Compact, Carrier::Udp);
}

#[test]
fn megaco_drives_megaco_in_binary_over_tcp() {
    megaco_agrees_with_itself(Encoder::Ber, Carrier::Tcp);
}

fn sipp_calls_itself(caller: &str, callee: &str) {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let ue = |user, at: &str, media_port| Ue {
        user,
        realm: "ims.test",
        credentials: Credentials::Password("secret"),
        address: address(at),
        transport: Transport::Udp,
        media_port,
    };
    let (alice, bob) = (ue("alice", caller, 6000), ue("bob", callee, 7000));
    let capture = Capture::start(&namespace, &folder);
    let answering = bob.start_answering(&namespace, &folder);
    // The callee stands in for the network, so the way to it is the way to the P-CSCF.
    alice.call(
        &namespace,
        &folder,
        bob.address,
        "<sip:scscf.ims.test;lr>",
        &bob,
        answering,
    );
    let analysis = capture.stop();
    analysis.assert_clean(&["sip", "rtp"]);
    let streams = analysis.rtp_streams();
    assert_eq!(streams.len(), 2, "{streams:#?}");
    assert!(
        streams.iter().all(|stream| stream.packets == sipp::PACKETS),
        "{streams:#?}"
    );
}

#[test]
fn sipp_calls_sipp_over_ipv4() {
    sipp_calls_itself("127.0.0.2:5060", "127.0.0.3:5060");
}

#[test]
fn sipp_calls_sipp_over_ipv6() {
    sipp_calls_itself("[fd00::2]:5060", "[fd00::3]:5060");
}
