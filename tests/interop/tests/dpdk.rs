//! Calls between two hosts relayed by the `dpdk` back-end, whose media has a cable of its own: on
//! the near end of it DPDK is all the host there is, and the users are behind a router.
//!
//! | | near | far |
//! |---|---|---|
//! | IPv4 | 198.51.100.1 | 198.51.100.2 |
//! | IPv6 | 2001:db8:1::1 | 2001:db8:1::2 |

#![cfg(feature = "dpdk")]

use interop::hosts::{Hosts, ip, plug};

const EAL: &str = "--no-huge -m 256 --no-pci --no-telemetry --no-shconf";

/// Hosts with the media's cable plugged in.
fn hosts(device: &str) -> Hosts {
    let media = [
        "--address",
        "198.51.100.1,2001:db8:1::1",
        "--ports",
        "20000-20999",
        "--io",
        "dpdk",
        "--device",
        device,
        "--network",
        "198.51.100.1/24 via 198.51.100.2",
        "--network",
        "2001:db8:1::1/64 via 2001:db8:1::2",
        "--eal",
        EAL,
    ];
    let mut hosts = Hosts::new(&media);
    plug(hosts.near(), "port", hosts.far(), "media");
    let far = hosts.far().name();
    ip(&format!("-n {far} addr add 198.51.100.2/24 dev media"));
    ip(&format!(
        "-n {far} addr add 2001:db8:1::2/64 dev media nodad"
    ));
    // The users have addresses of the other cable.
    let all = hosts
        .far()
        .inside(|| std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0"));
    all.expect("reverse path filters can be switched off");
    hosts.start_media();
    hosts
}

fn check_calls(hosts: &Hosts, driver: &str) {
    let status = hosts.check_calls("media", &["rtp", "rtcp"]);
    assert_eq!(status["io"], "dpdk");
    assert_eq!(status["devices"][0]["driver"], driver);
}

/// Pings one of our addresses from the far host.
fn ping(hosts: &Hosts, address: &str) {
    let mut ping = hosts.far().command("ping");
    ping.args(["-c", "3", "-i", "0.2", "-W", "2", "-s", "1200", address]);
    let run = ping.output().expect("ping (apt install iputils-ping)");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(said.contains(" 0% packet loss"), "{said}");
}

#[test]
fn calls_over_either_family_and_between_them_are_clean() {
    let hosts = hosts("net_af_packet0,iface=port");
    check_calls(&hosts, "net_af_packet");
    for address in ["198.51.100.1", "2001:db8:1::1"] {
        ping(&hosts, address);
    }
}

#[test]
fn calls_over_af_xdp_sockets_of_dpdk_are_clean() {
    let hosts = hosts("net_af_xdp0,iface=port");
    check_calls(&hosts, "net_af_xdp");
}

#[test]
fn a_killed_process_starts_again_at_once() {
    let mut hosts = hosts("net_af_packet0,iface=port");
    hosts.call("192.0.2.1:5060", "192.0.2.2");
    hosts.kill_media(|_| {});
    let taken = hosts.start_media();
    assert!(taken.as_secs() < 5, "{taken:?}");
    hosts.call("192.0.2.1:5060", "192.0.2.2");
}
