//! The conformance test of packet back-ends, on each of them.

mod conformance;
mod namespace;

#[cfg(feature = "dpdk")]
use conformance::dpdk_rig;
use conformance::{PROPERTIES, Rig, af_xdp_rig, sim_rig, udp_rig};
use dataplane::FlowId;
use dataplane::io::af_xdp::Mode;
use dataplane::io::{tap, udp};
use namespace::{Pair, Way};

fn conforms(rig: impl Fn() -> Rig) {
    for (name, property) in PROPERTIES {
        println!("{name}");
        property(rig());
    }
}

#[test]
fn sim_conforms_over_ipv4() {
    conforms(|| sim_rig([192, 0, 2, 1].into(), "203.0.113.9:5000".parse().unwrap()));
}

#[test]
fn sim_conforms_over_ipv6() {
    conforms(|| {
        sim_rig(
            "2001:db8::1".parse().unwrap(),
            "[2001:db8:1::9]:5000".parse().unwrap(),
        )
    });
}

#[test]
fn udp_conforms_over_ipv4() {
    // Another loopback address than the usual one, so that nobody else's ports are in the way.
    conforms(|| udp_rig([127, 8, 7, 1].into(), udp::KEPT_MAX));
}

#[test]
fn udp_conforms_over_ipv6() {
    conforms(|| udp_rig("::1".parse().unwrap(), udp::KEPT_MAX));
}

#[test]
fn udp_conforms_without_room_for_kept_sockets() {
    conforms(|| udp_rig([127, 8, 7, 2].into(), 0));
}

/// The rig with a tap on all of its flows.
fn tapped(mut rig: Rig) -> Rig {
    let flows = rig.backend.addresses.flows() as u32;
    let (backend, tap) = tap::wrap(rig.backend);
    (0..flows).for_each(|flow| tap.set(FlowId(flow), true));
    rig.backend = backend;
    rig
}

#[test]
fn a_back_end_with_a_tap_conforms() {
    conforms(|| {
        tapped(sim_rig(
            [192, 0, 2, 1].into(),
            "203.0.113.9:5000".parse().unwrap(),
        ))
    });
    conforms(|| tapped(udp_rig([127, 8, 7, 3].into(), udp::KEPT_MAX)));
}

#[test]
fn af_xdp_conforms_over_ipv4() {
    let pair = Pair::new(1);
    conforms(|| af_xdp_rig(&pair, Way::V4, Mode::Native));
}

#[test]
fn af_xdp_conforms_over_ipv6() {
    let pair = Pair::new(1);
    conforms(|| af_xdp_rig(&pair, Way::V6, Mode::Native));
}

#[test]
fn af_xdp_conforms_in_skb_mode() {
    let pair = Pair::new(1);
    conforms(|| af_xdp_rig(&pair, Way::V4, Mode::Skb));
}

#[test]
#[cfg(feature = "dpdk")]
fn dpdk_conforms_over_ipv4() {
    let pair = Pair::without_near_host(1);
    conforms(|| dpdk_rig(&pair, Way::V4));
}

#[test]
#[cfg(feature = "dpdk")]
fn dpdk_conforms_over_ipv6() {
    let pair = Pair::without_near_host(1);
    conforms(|| dpdk_rig(&pair, Way::V6));
}
