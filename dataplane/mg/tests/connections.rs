//! The control association over connections: made, lost, made again, given up.

mod rig;

use std::time::Duration;

use h248::transaction::Transport;
use mg::{AssociationEvent, GatewayConfig};
use rig::{MGC, MGC_2, PERFECT, Rig, at};

const MOMENT: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);
const COLD: (&str, u16) = ("Restart", 901);
const BACK: (&str, u16) = ("Disconnected", 900);
const FAILOVER: (&str, u16) = ("Failover", 909);

fn config() -> GatewayConfig {
    let mut config = rig::config();
    config.transport = Transport::Reliable;
    config.association.silence_max = Some(15 * SECOND);
    config
}

fn two_mgcs() -> GatewayConfig {
    let mut config = config();
    config.association.mgcs = vec![at(MGC), at(MGC_2)];
    config
}

fn started(config: GatewayConfig) -> Rig {
    let mut rig = Rig::with(config, 1, PERFECT);
    rig.start();
    rig.pass(MOMENT);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    rig
}

fn in_service(rig: &Rig) -> Option<std::net::SocketAddr> {
    let status = rig.mg.status();
    status.mgc.filter(|_| status.state == "in service")
}

fn heard(rig: &Rig, mgc: usize) -> Vec<(String, u16)> {
    rig.mgcs[mgc].heard()
}

fn said(all: &[(&str, u16)]) -> Vec<(String, u16)> {
    all.iter()
        .map(|&(method, reason)| (method.to_owned(), reason))
        .collect()
}

#[test]
fn the_gateway_connects_and_registers_once() {
    let rig = started(config());
    assert!(rig.is_connected(0));
    assert_eq!(heard(&rig, 0), said(&[COLD]));
}

#[test]
fn commands_go_over_the_connection() {
    let mut rig = started(config());
    let (context, _) = rig.call();
    rig.say(&format!("Context = {context} {{ Subtract = * }}"));
    rig.assert_empty();
}

#[test]
fn an_mgc_that_is_not_there_yet_is_found_when_it_is() {
    let mut rig = Rig::with(config(), 1, PERFECT);
    rig.mgcs[0].is_alive = false;
    rig.start();
    rig.pass(30 * SECOND);
    assert_eq!(in_service(&rig), None);
    let refused = AssociationEvent::Unanswered { mgc: at(MGC) };
    assert!(rig.news.contains(&refused));
    rig.mgcs[0].is_alive = true;
    rig.pass(15 * SECOND);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    assert_eq!(heard(&rig, 0), said(&[COLD]));
}

#[test]
fn a_connection_that_breaks_is_made_again_and_nothing_is_lost() {
    let mut rig = started(config());
    let (context, _) = rig.call();
    for round in 1..5 {
        rig.cut(0);
        assert!(in_service(&rig).is_some(), "the MGC stays in control");
        rig.pass(MOMENT);
        assert!(rig.is_connected(0));
        assert_eq!(heard(&rig, 0).len(), 1 + round);
        assert_eq!(heard(&rig, 0)[round], said(&[BACK])[0]);
    }
    assert_eq!(rig.mg.status().contexts, 1);
    rig.say(&format!("Context = {context} {{ Subtract = * }}"));
    rig.assert_empty();
}

#[test]
fn what_was_under_way_when_a_connection_broke_is_executed_once() {
    let mut rig = started(config());
    // Not yet there.
    let first = rig.send(0, rig::CALL);
    rig.cut(0);
    rig.pass(MOMENT);
    assert!(rig.outcome(0, first).flatten().is_some());
    assert_eq!(rig.mg.status().contexts, 1);
    // Executed, and the reply is lost.
    rig.link.delay_max = Duration::from_millis(20);
    let second = rig.send(0, rig::CALL);
    while rig.mg.status().contexts == 1 {
        rig.pass(Duration::from_millis(1));
    }
    assert!(rig.outcome(0, second).is_none());
    rig.cut(0);
    rig.pass(2 * MOMENT);
    assert!(rig.outcome(0, second).flatten().is_some());
    assert_eq!(rig.mg.status().contexts, 2);
    assert_eq!(rig.mg.counters().commands, 4);
}

#[test]
fn an_mgc_may_be_gone_for_a_moment() {
    let mut rig = started(two_mgcs());
    rig.call();
    rig.kill(0);
    rig.pass(2 * SECOND);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    rig.mgcs[0].is_alive = true;
    rig.pass(SECOND);
    assert!(rig.is_connected(0));
    assert_eq!(heard(&rig, 0), said(&[COLD, BACK]));
    assert_eq!(heard(&rig, 1), []);
    assert_eq!(rig.mg.status().contexts, 1);
}

#[test]
fn an_mgc_that_stays_away_is_left_for_the_next() {
    let mut rig = started(two_mgcs());
    rig.call();
    rig.kill(0);
    rig.pass(7 * SECOND);
    assert_eq!(in_service(&rig), Some(at(MGC_2)));
    assert_eq!(heard(&rig, 1), said(&[FAILOVER]));
    // The one that took over says what becomes of contexts.
    assert_eq!(rig.mg.status().contexts, 1);
    // The one that comes back is not in control.
    rig.mgcs[0].is_alive = true;
    rig.pass(60 * SECOND);
    assert_eq!(in_service(&rig), Some(at(MGC_2)));
    assert_eq!(heard(&rig, 0), said(&[COLD]));
}

#[test]
fn with_no_mgc_left_it_keeps_its_contexts_and_goes_on_looking() {
    let mut rig = started(two_mgcs());
    rig.call();
    rig.kill(0);
    rig.kill(1);
    rig.pass(120 * SECOND);
    assert_eq!(in_service(&rig), None);
    assert_eq!(rig.mg.status().contexts, 1);
    rig.mgcs[0].is_alive = true;
    // The longest pause.
    rig.pass(11 * SECOND);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    assert_eq!(heard(&rig, 0), said(&[COLD, BACK]));
}

#[test]
fn leaving_over_a_broken_connection_does_not_wait() {
    let mut rig = started(config());
    rig.kill(0);
    let now = rig.now;
    rig.mg.leave(now, &mut rig.plane, Duration::ZERO);
    rig.pass(2 * SECOND);
    assert!(rig.mg.is_ended());
}
