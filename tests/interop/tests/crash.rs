//! Processes killed by SIGKILL and started again with their state directory: what was registered is
//! registered, and what was acknowledged is stored.

use std::time::Duration;

use interop::garbage::Random;
use interop::network::{CONTROL, CORE, Family, HSS, Layout, Network, Ues};
use interop::strowger;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

fn processes(layout: Layout) -> &'static [&'static str] {
    match layout {
        Layout::Together => &[CONTROL],
        Layout::Apart => &[CONTROL, CORE, HSS],
    }
}

/// Everybody registers, every process is killed and started again, and everybody calls.
fn registrations_outlive(layout: Layout, at_once: bool) {
    let ues = Ues::new(Family::V4, Family::V6);
    let mut network = Network::whole(layout);
    network.import(&ues);
    let [alice, bob, carol, _] = ues.all().map(|ue| network.register(ue));
    let killed = processes(layout);
    let rounds: Vec<&[&str]> = match at_once {
        true => vec![killed],
        false => killed.chunks(1).collect(),
    };
    for round in rounds {
        round.iter().for_each(|admin| network.kill(admin));
        // The HSS first: others connect to it when they start.
        round
            .iter()
            .rev()
            .for_each(|admin| network.start_again(admin));
        let serving = if layout == Layout::Together {
            CONTROL
        } else {
            CORE
        };
        assert_eq!(network.figure(CONTROL, "access_registrations"), 4);
        assert_eq!(network.figure(serving, "contacts"), 4);
        let status = strowger::status(network.namespace(), network.folder(), serving);
        let journal = status.map(|status| status["journal"]["state"].clone());
        assert_eq!(journal, Some(Value::from("in order")));
        strowger::wait_until(PATIENCE, "the registrations are watched", || {
            network.figure(serving, "subscriptions") >= 4
        });
        network.wait_for_gateway();
        if layout == Layout::Apart {
            network.wait_for_hss();
        }
    }
    network.call(&ues.alice, &alice, &ues.dave);
    network.call(&ues.bob, &bob, &ues.carol);
    network.call(&ues.carol, &carol, &ues.alice);
    for ue in ues.all() {
        network.deregister(ue);
    }
    assert_eq!(network.figure(CONTROL, "access_registrations"), 0);
    network.finish(|_| ());
}

#[test]
fn registrations_outlive_a_kill_of_the_one_process() {
    registrations_outlive(Layout::Together, true);
}

#[test]
fn registrations_outlive_a_kill_of_each_process() {
    registrations_outlive(Layout::Apart, false);
}

#[test]
fn registrations_outlive_a_kill_of_all_processes() {
    registrations_outlive(Layout::Apart, true);
}

/// The sequence number that the HSS used last for a user.
fn sqn(network: &Network, impi: &str) -> u64 {
    let shown = network.subscriber(&["show", impi]);
    shown.expect_success("subscriber show");
    let shown: Value = serde_json::from_str(&shown.output).expect("JSON");
    let sqn = &shown["aka"]["sqn"];
    let hexadecimal = sqn
        .as_str()
        .and_then(|text| u64::from_str_radix(text, 16).ok());
    sqn.as_u64()
        .or(hexadecimal)
        .unwrap_or_else(|| panic!("no SQN in {shown}"))
}

#[test]
fn what_was_acknowledged_is_stored_and_sqn_never_goes_back() {
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}");
    let mut random = Random::new(seed);
    let ues = Ues::new(Family::V4, Family::V6);
    let mut network = Network::control(Layout::Together);
    network.import(&ues);
    let (mut added, mut last) = (Vec::new(), 0);
    for round in 0..6 {
        network.register(&ues.alice);
        let used = sqn(&network, &ues.alice.impi());
        assert!(used > last, "{used:x} after {last:x}");
        last = used;
        let pause = Duration::from_millis(random.below(400) as u64);
        // Somebody adds subscribers and somebody registers while the process is killed.
        let acknowledged = std::thread::scope(|scope| {
            let adding = scope.spawn(|| {
                let names = (0..40).map(|index| format!("user{round}x{index}@ims.test"));
                let is_added = |name: &String| {
                    let run = network.subscriber(&["add", name, "--password", "secret"]);
                    run.status.success()
                };
                names.take_while(is_added).collect::<Vec<_>>()
            });
            std::thread::sleep(pause);
            network.kill_now(CONTROL);
            adding.join().expect("it ends when the HSS does not answer")
        });
        added.extend(acknowledged);
        network.kill(CONTROL);
        network.start_again(CONTROL);
        let after = sqn(&network, &ues.alice.impi());
        assert!(after >= last, "{after:x} after {last:x}");
        for name in &added {
            network.subscriber(&["show", name]).expect_success(name);
        }
    }
    assert!(!added.is_empty());
    network.register(&ues.alice);
    network.finish(|_| ());
}

#[test]
fn two_processes_never_share_a_state_directory() {
    let network = Network::control(Layout::Together);
    let line = "control --roles hss --realm ims.test --diameter 127.0.0.7:3868 \
                --store other.redb --state hss --admin 127.0.0.7:9080";
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let run = strowger::run(network.namespace(), network.folder(), "second", &arguments);
    assert!(!run.status.success());
    assert!(
        run.output.contains("state directory hss is in use"),
        "{}",
        run.output
    );
    assert!(run.output.contains("--state"), "{}", run.output);
    network.finish(|_| ());
}
