//! Processes killed by SIGKILL in mid-call: what SIPp's UEs say is heard, and what they do is done.

use std::thread;
use std::time::Duration;

use interop::network::{CONTROL, Family, Layout, MEDIA, Network, Ues};
use interop::{sipp, strowger};

/// Longer than orphans may stay.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until no context and no dialog is left.
fn wait_for_nothing(network: &Network) {
    strowger::wait_until(PATIENCE, "nothing is left", || {
        network.figure(CONTROL, "dialogs") + network.figure(CONTROL, "contexts") == 0
    });
}

fn control_dies(layout: Layout, h248: &str) {
    let ues = Ues::new(Family::V4, Family::V6);
    let mut network = Network::whole_over(layout, h248);
    network.import(&ues);
    let [alice, bob, carol, _] = ues.all().map(|ue| network.register(ue));
    let calls = [
        (&ues.alice, &alice, &ues.dave),
        (&ues.bob, &bob, &ues.alice),
        (&ues.carol, &carol, &ues.bob),
    ];
    for (caller, route, callee) in calls {
        let [calling, answering] = network.start_call(caller, route, callee);
        thread::sleep(Duration::from_millis(300));
        network.kill(CONTROL);
        network.start_again(CONTROL);
        assert_eq!(
            network.figure(CONTROL, "dialogs"),
            2,
            "the call is taken up"
        );
        sipp::end_well(calling, caller, answering, callee);
        wait_for_nothing(&network);
        assert_eq!(network.counter(CONTROL, "call.ended"), 2);
        assert_eq!(network.counter(CONTROL, "call.released"), 0);
    }
    network.finish(|analysis| {
        let streams = analysis.rtp_streams();
        assert_eq!(streams.len(), calls.len() * 2 * 2, "{streams:#?}");
        let whole = |stream: &interop::RtpStream| stream.packets == sipp::PACKETS;
        assert!(streams.iter().all(whole), "{streams:#?}");
    });
}

#[test]
fn a_call_outlives_a_kill_of_the_one_process() {
    control_dies(Layout::Together, "compact,udp");
}

#[test]
fn a_call_outlives_a_kill_of_the_p_cscf() {
    control_dies(Layout::Apart, "compact,udp");
}

#[test]
fn a_call_outlives_a_kill_of_control_with_binary_over_tcp() {
    control_dies(Layout::Together, "ber,tcp");
}

/// Control is killed in a call; then one end holds it, takes it back, speaks on and hangs up.
fn control_dies_and_a_call_is_changed(layout: Layout, changer: Changer) {
    let ues = Ues::new(Family::V4, Family::V6);
    let mut network = Network::whole(layout);
    network.import(&ues);
    let [alice, ..] = ues.all().map(|ue| network.register(ue));
    let scenarios = match changer {
        Changer::Caller => ["changing-caller.xml", "changed-callee.xml"],
        Changer::Callee => ["changed-caller.xml", "changing-callee.xml"],
    };
    let [calling, answering] = network.start_call_as(&ues.alice, &alice, &ues.dave, scenarios);
    thread::sleep(Duration::from_millis(300));
    network.kill(CONTROL);
    network.start_again(CONTROL);
    sipp::end_well(calling, &ues.alice, answering, &ues.dave);
    wait_for_nothing(&network);
    assert_eq!(network.counter(CONTROL, "call.ended"), 2);
    assert_eq!(network.counter(CONTROL, "call.released"), 0);
    network.finish(|analysis| {
        // Each end speaks twice: over the kill, and after it took the call back.
        let packets: u64 = analysis.rtp_streams().iter().map(|it| it.packets).sum();
        assert_eq!(packets, 2 * 2 * 2 * sipp::PACKETS);
        analysis.assert_clean(&["sip", "megaco", "rtp"]);
    });
}

#[derive(Clone, Copy, Debug)]
enum Changer {
    Caller,
    Callee,
}

#[test]
fn the_caller_changes_and_ends_a_call_that_outlived_a_kill() {
    control_dies_and_a_call_is_changed(Layout::Together, Changer::Caller);
}

#[test]
fn the_callee_changes_and_ends_a_call_that_outlived_a_kill() {
    control_dies_and_a_call_is_changed(Layout::Apart, Changer::Callee);
}

/// Media is killed, alone or with control: the call is released, and the next one is heard.
fn media_dies(with_control: bool, h248: &str) {
    let ues = Ues::new(Family::V4, Family::V4);
    let mut network = Network::whole_over(Layout::Together, h248);
    network.import(&ues);
    let [alice, ..] = ues.all().map(|ue| network.register(ue));
    let [calling, answering] = network.start_call(&ues.alice, &alice, &ues.dave);
    thread::sleep(Duration::from_millis(300));
    network.kill(MEDIA);
    if with_control {
        network.kill(CONTROL);
        network.start_again(CONTROL);
    }
    network.start_again(MEDIA);
    network.wait_for_gateway();
    strowger::wait_until(PATIENCE, "the call is released", || {
        network.counter(CONTROL, "call.released") == 1
    });
    assert_eq!(network.counter(CONTROL, "media.lost"), 1);
    // SIPp does not expect a BYE where it speaks.
    drop((calling, answering));
    wait_for_nothing(&network);
    network.call(&ues.alice, &alice, &ues.dave);
    network.finish(|analysis| {
        let byes = "sip.Method == BYE && sip.Reason contains \"cause=503\"";
        assert!(analysis.count(byes) >= 2);
    });
}

#[test]
fn a_call_ends_with_its_media_process_and_the_next_one_is_heard() {
    media_dies(false, "compact,udp");
}

#[test]
fn a_call_ends_with_its_media_process_with_text_over_tcp() {
    media_dies(false, "pretty,tcp");
}

#[test]
fn a_call_is_released_when_both_processes_are_killed() {
    media_dies(true, "compact,udp");
}
