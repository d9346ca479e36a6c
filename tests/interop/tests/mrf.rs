//! SIPp drives our MRFC by netann (RFC 4240) and by MSML (RFC 5707); tshark reads every packet.

use std::time::Duration;

use interop::Analysis;
use interop::mrf::Mrf;
use interop::network::{Family, Ues};

const CALL_LIMIT: Duration = Duration::from_secs(60);

/// A caller's call by this scenario comes to the end that it is to.
fn drives(scenario: &str, check: impl FnOnce(&Analysis)) {
    let mut mrf = Mrf::new();
    mrf.start_mrfp(2);
    mrf.wait_for_mrfp(2);
    let ues = Ues::new(Family::V4, Family::V4);
    let calling = mrf.call(&ues.alice, scenario);
    calling.wait(CALL_LIMIT).expect_success(scenario);
    mrf.wait_until_idle();
    mrf.wait_for_packets("sip.Method == BYE", 1);
    mrf.finish(check);
}

#[test]
fn sipp_hears_an_announcement_by_netann() {
    drives("netann.xml", |analysis| {
        analysis.assert_clean(&["sip", "megaco"]);
        let heard = analysis.count("rtp && ip.src == 127.0.0.2");
        assert!(heard > 10, "{heard} packets");
    });
}

#[test]
fn sipp_asks_the_broker_in_line_and_is_at_a_media_server() {
    drives("mrb.xml", |analysis| {
        analysis.assert_clean(&["sip", "megaco"]);
    });
}

#[test]
fn sipp_makes_a_conference_by_msml() {
    drives("msml.xml", |analysis| {
        analysis.assert_clean(&["sip", "megaco"])
    });
}
