//! What becomes of calls with the MRFC when an MRFP is killed or its disk is full.

use std::time::Duration;

use interop::RtpStream;
use interop::mrf::Mrf;
use interop::network::{Family, Ues};

const CALL_LIMIT: Duration = Duration::from_secs(60);

/// So much of a call is to be heard before something happens to it: a quarter of a second.
const HEARD: usize = 12;

/// Waits until calls with this MRFP are under way.
fn wait_until_heard(mrf: &Mrf, mrfp: u8, calls: usize) {
    let filter = format!("rtp && ip.src == 127.0.0.{mrfp}");
    mrf.wait_for_packets(&filter, calls * HEARD);
}

/// Asserts that a stream between these addresses was more than a few packets.
fn assert_streamed(streams: &[RtpStream], from: u8, to: u8) {
    let (from, to) = (format!("127.0.0.{from}:"), format!("127.0.0.{to}:"));
    let mut between = streams
        .iter()
        .filter(|it| it.source.starts_with(&from) && it.destination.starts_with(&to));
    assert!(
        between.any(|it| it.packets >= HEARD as u64),
        "{from} to {to}: {streams:#?}"
    );
}

fn is_a_conference_of_two(status: &serde_json::Value) -> bool {
    status["mrf"]["conferences"][0]["members"] == 2
}

#[test]
fn calls_end_with_a_reason_when_the_only_mrfp_is_killed_and_new_ones_work() {
    let mut mrf = Mrf::new();
    mrf.start_mrfp(2);
    mrf.wait_for_mrfp(2);
    let ues = Ues::new(Family::V4, Family::V4);
    let calling = [
        mrf.call(&ues.alice, "netann-lost.xml"),
        mrf.call(&ues.bob, "conference.xml"),
        mrf.call(&ues.carol, "conference.xml"),
    ];
    mrf.wait_until("an announcement and a conference", |status| {
        status["mrf"]["calls"] == 3 && is_a_conference_of_two(status)
    });
    wait_until_heard(&mrf, 2, 3);
    mrf.kill(2);
    mrf.start_mrfp(2);
    for call in calling {
        call.wait(CALL_LIMIT).expect_success("a call that is lost");
    }
    mrf.wait_until_idle();
    assert_eq!(mrf.status()["counters"]["media.lost"], 3);
    assert_eq!(mrf.log().matches("room lost").count(), 2, "{}", mrf.log());
    mrf.wait_for_mrfp(2);
    let calling = mrf.call(&ues.dave, "netann.xml");
    calling.wait(CALL_LIMIT).expect_success("a new call");
    mrf.wait_until_idle();
    mrf.wait_for_packets("sip.Method == BYE", 4);
    mrf.finish(|analysis| {
        analysis.assert_clean(&["sip", "megaco"]);
        assert_streamed(&analysis.rtp_streams(), 2, 17);
    });
}

#[test]
fn a_conference_goes_on_at_another_mrfp_when_its_own_is_killed() {
    let mut mrf = Mrf::new();
    for mrfp in [2, 3] {
        mrf.start_mrfp(mrfp);
    }
    for mrfp in [2, 3] {
        mrf.wait_for_mrfp(mrfp);
    }
    let ues = Ues::new(Family::V4, Family::V4);
    let calling = [&ues.bob, &ues.carol].map(|ue| mrf.call(ue, "conference.xml"));
    mrf.wait_until("a conference", is_a_conference_of_two);
    let killed = mrf.busy_mrfp();
    let other = 5 - killed;
    wait_until_heard(&mrf, killed, 2);
    mrf.kill(killed);
    mrf.start_mrfp(killed);
    for call in calling {
        call.wait(CALL_LIMIT).expect_success("a call that is moved");
    }
    mrf.wait_until_idle();
    let log = mrf.log();
    assert!(log.contains("moved=2 ended=0"), "{log}");
    mrf.wait_for_packets("sip.Method == BYE", 2);
    mrf.finish(|analysis| {
        analysis.assert_clean(&["sip", "megaco"]);
        let streams = analysis.rtp_streams();
        for ue in [15, 16] {
            // Each has spoken there, and heard, for two seconds.
            assert_streamed(&streams, other, ue);
            assert_streamed(&streams, ue, other);
        }
    });
}

#[test]
fn a_recording_ends_with_a_cause_when_the_disk_is_full_and_calls_go_on() {
    const DISK_KIB: u32 = 48;
    let mut mrf = Mrf::new();
    mrf.start_mrfp_with_disk(2, DISK_KIB);
    mrf.wait_for_mrfp(2);
    let ues = Ues::new(Family::V4, Family::V4);
    let other = mrf.call(&ues.bob, "netann.xml");
    let recorded = mrf.call(&ues.alice, "msml-disk-full.xml");
    recorded.wait(CALL_LIMIT).expect_success("msml-disk-full");
    other.wait(CALL_LIMIT).expect_success("netann");
    mrf.wait_until_idle();
    // What there was room for is kept, and can be heard: three seconds of it.
    let file = mrf.recording(2, "message.wav");
    assert!(file.starts_with(b"RIFF"));
    let octets = DISK_KIB as usize * 1024;
    assert!(
        (octets / 2..=octets).contains(&file.len()),
        "{} octets",
        file.len()
    );
    let said = u32::from_le_bytes([file[4], file[5], file[6], file[7]]);
    assert_eq!(said as usize + 8, file.len());
    assert!(mrf.log().contains("recording failed"), "{}", mrf.log());
    mrf.wait_for_packets("sip.Method == BYE", 2);
    mrf.finish(|analysis| {
        analysis.assert_clean(&["sip", "megaco"]);
        // Insufficient resources (H.248.8 510) as the return code of `aasrec/audfail`.
        let told = "frame contains \"aasrec/audfail\" && frame contains \"510\"";
        assert_eq!(analysis.count(told), 1);
    });
}
