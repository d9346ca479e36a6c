//! SIPp's UEs register and call each other through our processes; tshark reads every packet.

use interop::network::{CONTROL, Family, Layout, Network, Ues};
use interop::{Analysis, sipp};

/// Four UEs register and deregister, two by AKAv1-MD5 and two by MD5.
fn registrations(layout: Layout, protocols: &[&str]) {
    let ues = Ues::new(Family::V4, Family::V6);
    let network = Network::control(layout);
    network.import(&ues);
    for ue in ues.all() {
        let service_route = network.register(ue);
        assert!(service_route.contains(";lr"), "{service_route}");
    }
    assert_eq!(network.figure(CONTROL, "access_registrations"), 4);
    for ue in ues.all() {
        network.deregister(ue);
    }
    assert_eq!(network.figure(CONTROL, "access_registrations"), 0);
    network.finish(|analysis| analysis.assert_clean(protocols));
}

#[test]
fn sipp_registers_with_all_entities_in_one_process() {
    registrations(Layout::Together, &["sip"]);
}

#[test]
fn sipp_registers_with_entities_in_separate_processes() {
    registrations(Layout::Apart, &["sip", "diameter"]);
}

/// Four calls of two legs with RTP both ways, none of it lost.
fn assert_calls(analysis: &Analysis, protocols: &[&str]) {
    analysis.assert_clean(protocols);
    let streams = analysis.rtp_streams();
    assert_eq!(streams.len(), 4 * 2 * 2, "{streams:#?}");
    assert!(
        streams.iter().all(|stream| stream.packets == sipp::PACKETS),
        "{streams:#?}"
    );
}

fn calls(layout: Layout, ues: &Ues, protocols: &[&str]) {
    calls_over(layout, "compact,udp", ues, protocols);
}

fn calls_over(layout: Layout, h248: &str, ues: &Ues, protocols: &[&str]) {
    let network = Network::whole_over(layout, h248);
    network.import(ues);
    network.exercise(ues);
    network.finish(|analysis| assert_calls(analysis, protocols));
}

#[test]
fn sipp_calls_over_ipv4() {
    calls(
        Layout::Together,
        &Ues::new(Family::V4, Family::V4),
        &["sip", "megaco", "rtp"],
    );
}

#[test]
fn sipp_calls_with_binary_h248_over_tcp() {
    calls_over(
        Layout::Together,
        "ber,tcp",
        &Ues::new(Family::V4, Family::V6),
        &["sip", "tpkt", "rtp"],
    );
}

#[test]
fn sipp_calls_with_binary_h248_over_udp() {
    calls_over(
        Layout::Together,
        "ber,udp",
        &Ues::new(Family::V4, Family::V6),
        &["sip", "h248", "rtp"],
    );
}

#[test]
fn sipp_calls_over_ipv6() {
    calls(
        Layout::Together,
        &Ues::new(Family::V6, Family::V6),
        &["sip", "megaco", "rtp"],
    );
}

#[test]
fn sipp_calls_between_ipv4_and_ipv6() {
    calls(
        Layout::Together,
        &Ues::new(Family::V4, Family::V6),
        &["sip", "megaco", "rtp"],
    );
}

#[test]
fn sipp_calls_through_separate_processes() {
    let protocols = ["sip", "megaco", "diameter", "rtp"];
    calls(Layout::Apart, &Ues::new(Family::V4, Family::V6), &protocols);
}

#[test]
fn sipp_calls_with_sip_over_tcp() {
    let ues = Ues::new(Family::V4, Family::V6).over_tcp();
    calls(Layout::Together, &ues, &["sip", "megaco", "rtp", "tcp"]);
}

/// Our own user agents, whose RTCP SIPp does not have.
#[test]
fn our_own_calls_are_clean_on_the_wire() {
    let network = Network::whole(Layout::Apart);
    let both = [
        ("127.0.0.1:5060", "127.0.0.18"),
        ("[fd00::1]:5060", "fd00::8"),
        ("127.0.0.1:5060,[fd00::1]:5060", "127.0.0.18,fd00::8"),
    ];
    for (proxy, local) in both {
        network
            .our_call(proxy, local)
            .expect_success("strowger call");
    }
    network.finish(|analysis| {
        analysis.assert_clean(&["sip", "megaco", "diameter", "rtp", "rtcp"]);
        assert_eq!(analysis.rtp_streams().len(), 3 * 2 * 2);
    });
}
