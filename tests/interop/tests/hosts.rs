//! Calls between two hosts with a cable between them, relayed by the back-ends `udp` and `af_xdp`.

use std::time::Duration;

use interop::hosts::{Hosts, ip};
use interop::strowger;

const LIMIT: Duration = Duration::from_secs(60);

fn hosts(io: &str) -> Hosts {
    let line = format!("--address 192.0.2.1,2001:db8::1 --ports 20000-20999 --io {io}");
    let line: Vec<&str> = line.split_whitespace().collect();
    let mut hosts = Hosts::new(&line);
    hosts.start_media();
    hosts
}

fn has_program(hosts: &Hosts) -> bool {
    ip(&format!("-n {} -d link show near", hosts.near().name())).contains("prog/xdp")
}

#[test]
fn calls_over_either_family_and_between_them_are_clean_over_sockets() {
    let status = hosts("udp").check_calls("far", &["sip", "rtp", "rtcp"]);
    assert_eq!(status["io"], "udp");
}

#[test]
fn calls_over_either_family_and_between_them_are_clean_over_af_xdp() {
    let hosts = hosts("af_xdp --interface near");
    let status = hosts.check_calls("far", &["sip", "rtp", "rtcp"]);
    let interface = &status["interfaces"][0];
    assert_eq!(status["io"], "af_xdp");
    assert_eq!(
        (&interface["name"], &interface["mode"]),
        (&"near".into(), &"native".into())
    );
    assert_eq!(interface["zero_copy"], false);
    // What it needed to open all this it has given up.
    let id = hosts.media().id();
    let about = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    assert!(about.contains("CapEff:\t0000000000000000"), "{about}");
}

#[test]
fn calls_are_relayed_again_after_a_kill() {
    let mut hosts = hosts("af_xdp --interface near");
    hosts.call("192.0.2.1:5060", "192.0.2.2");
    assert!(has_program(&hosts));
    hosts.kill_media(|hosts| {
        strowger::wait_until(LIMIT, "nothing is attached", || !has_program(hosts));
    });
    hosts.start_media();
    hosts.call("192.0.2.1:5060", "192.0.2.2");
}
