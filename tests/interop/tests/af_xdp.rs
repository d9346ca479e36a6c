//! Calls between two hosts with a cable between them, relayed by the `af_xdp` back-end.

use std::time::Duration;

use interop::hosts::{Hosts, ip};
use interop::{Capture, strowger};

fn hosts() -> Hosts {
    let line = "--address 192.0.2.1,2001:db8::1 --ports 20000-20999 --io af_xdp --interface near";
    let line: Vec<&str> = line.split_whitespace().collect();
    let mut hosts = Hosts::new(&line);
    hosts.start_media();
    hosts
}

fn has_program(hosts: &Hosts) -> bool {
    ip(&format!("-n {} -d link show near", hosts.near().name())).contains("prog/xdp")
}

#[test]
fn calls_over_either_family_and_between_them_are_clean() {
    let hosts = hosts();
    let capture = Capture::start_on(hosts.far(), "far", hosts.folder());
    hosts.call_over_every_family();
    let status = hosts.status();
    let interface = &status["interfaces"][0];
    assert_eq!(status["io"], "af_xdp");
    assert_eq!(
        (&interface["name"], &interface["mode"]),
        (&"near".into(), &"native".into())
    );
    assert_eq!(interface["zero_copy"], false);
    hosts.assert_nothing_lost();
    // What it needed to open all this it has given up.
    let id = hosts.media().id();
    let about = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    assert!(about.contains("CapEff:\t0000000000000000"), "{about}");
    let analysis = capture.stop();
    analysis.assert_clean(&["sip", "rtp", "rtcp"]);
    let streams = analysis.rtp_streams();
    assert_eq!(streams.len(), 3 * 2 * 2, "{streams:#?}");
    assert!(
        streams.iter().all(|stream| stream.lost == 0),
        "{streams:#?}"
    );
}

#[test]
fn a_killed_process_leaves_nothing_and_starts_again_at_once() {
    let mut hosts = hosts();
    for _ in 0..2 {
        hosts.call("192.0.2.1:5060", "192.0.2.2");
        assert!(has_program(&hosts));
        hosts.kill_media(|hosts| {
            // The interface passes what was the back-end's to the kernel.
            strowger::wait_until(Duration::from_secs(1), "nothing is attached", || {
                !has_program(hosts)
            });
        });
        let taken = hosts.start_media();
        assert!(taken < Duration::from_secs(5), "{taken:?}");
    }
    hosts.call("192.0.2.1:5060", "192.0.2.2");
}
