//! SIPp drives our MRFC by netann (RFC 4240) and by MSML (RFC 5707); tshark reads every packet.

use std::time::Duration;

use interop::network::{Family, Ues};
use interop::{Analysis, Capture, Folder, Namespace, strowger};

const CONTROL: &str = "127.0.0.1:9080";
const MEDIA: &str = "127.0.0.2:9081";
const READY_LIMIT: Duration = Duration::from_secs(20);
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// A caller's call by this scenario comes to the end that it is to.
fn drives(scenario: &str, check: impl FnOnce(&Analysis)) {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    let capture = Capture::start(&namespace, &folder);
    let start = |name: &str, admin: &str, line: &str| {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        strowger::start(&namespace, &folder, name, admin, &arguments)
    };
    let control = start(
        "control",
        CONTROL,
        "control --roles mrfc --sip 127.0.0.1:5060 --mgc 127.0.0.1:2944 --state mrfc",
    );
    let media = start(
        "media",
        MEDIA,
        "media --functions mrfp --recordings recordings --mgc 127.0.0.1:2944 --mid 127.0.0.2:2944 \
         --address 127.0.0.2 --ports 20000-20999 --io udp",
    );
    strowger::wait_until(READY_LIMIT, "the MRFP registers", || {
        let status = strowger::status(&namespace, &folder, CONTROL);
        let gateways = status.and_then(|status| status["media_gateways"].as_array().cloned());
        gateways.is_some_and(|all| all.iter().any(|each| each["state"] == "in service"))
    });
    let ues = Ues::new(Family::V4, Family::V4);
    let [caller, other, ..] = ues.all();
    let mrfc = "127.0.0.1:5060".parse().expect("an address");
    let calling = caller.start_calling_as(&namespace, &folder, mrfc, "", other, scenario);
    calling.wait(CALL_LIMIT).expect_success(scenario);
    strowger::wait_until(READY_LIMIT, "nothing is left", || {
        let status = strowger::status(&namespace, &folder, CONTROL).unwrap_or_default();
        status["mrf"]["calls"] == 0 && status["contexts"] == 0
    });
    // What was sent last is on the disk a little later.
    let recorded = Analysis::of(&folder.file("capture.pcapng"));
    strowger::wait_until(READY_LIMIT, "all is recorded", || {
        recorded.count("sip.Method == BYE") > 0
    });
    drop((control, media));
    check(&capture.stop());
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
fn sipp_makes_a_conference_by_msml() {
    drives("msml.xml", |analysis| {
        analysis.assert_clean(&["sip", "megaco"])
    });
}
