//! UEs whose connections end with a process: they make others, and are reached by these.

use std::thread;
use std::time::Duration;

use interop::network::{CONTROL, Family, Layout, Network, Ues};
use interop::strowger;
use interop::tcp_ue::{TcpUe, until};
use load::ua::{Cause, Event};

const PCSCF: &str = "127.0.0.1:5060";
const PATIENCE: Duration = Duration::from_secs(60);

fn is_registered(ue: &mut TcpUe) -> bool {
    let mut events = ue.take_events().into_iter();
    events.any(|event| matches!(event, Event::Registered { .. }))
}

fn register(network: &Network, ue: &mut TcpUe) {
    ue.connect(network.namespace());
    ue.act(|agent, now| agent.register(now)).expect("at rest");
    until([ue], "it registers", |[ue]| is_registered(ue));
}

fn call(caller: &mut TcpUe, callee: &mut TcpUe, target: &str) {
    let called = caller.act(|agent, now| agent.call(now, target));
    called.expect("it may call");
    let is_up = |ue: &mut TcpUe| {
        let mut events = ue.take_events().into_iter();
        events.any(|event| matches!(event, Event::Established { .. }))
    };
    let mut up = [false; 2];
    until(
        [caller, callee],
        "the call is answered",
        |[caller, callee]| {
            up[0] |= is_up(caller);
            up[1] |= is_up(callee);
            up == [true; 2]
        },
    );
}

fn hang_up(ends: &mut TcpUe, other: &mut TcpUe) {
    let call = ends.call().expect("there is one");
    let ended = ends.act(|agent, now| agent.hang_up(now, call));
    ended.expect("it is established");
    let cause = |ue: &mut TcpUe| {
        let events = ue.take_events().into_iter();
        events.fold(None, |cause, event| match event {
            Event::Ended { cause, .. } => Some(cause),
            _ => cause,
        })
    };
    let mut causes = [None, None];
    until([ends, other], "the call ends", |[ends, other]| {
        causes[0] = causes[0].take().or(cause(ends));
        causes[1] = causes[1].take().or(cause(other));
        causes.iter().all(Option::is_some)
    });
    assert_eq!(causes, [Some(Cause::HungUp), Some(Cause::HungUpThere)]);
}

fn wait_for_nothing(network: &Network) {
    strowger::wait_until(PATIENCE, "nothing is left", || {
        network.figure(CONTROL, "dialogs") + network.figure(CONTROL, "contexts") == 0
    });
}

/// Two UEs behind a NAT call each other, control is killed, and both connect anew: the one that is
/// to be reached registers, the other goes on with the call.
fn goes_on_over_new_connections(layout: Layout, caller_ends: bool) {
    let ues = Ues::new(Family::V4, Family::V4);
    let mut network = Network::whole(layout);
    network.import(&ues);
    let pcscf = PCSCF.parse().expect("an address");
    let mut carol = TcpUe::new(&ues.carol, pcscf);
    let mut dave = TcpUe::new(&ues.dave, pcscf);
    register(&network, &mut carol);
    register(&network, &mut dave);
    call(&mut carol, &mut dave, &ues.dave.impu());
    thread::sleep(Duration::from_millis(100));
    network.kill(CONTROL);
    until([&mut carol, &mut dave], "they notice", |ues| {
        ues.iter().all(|ue| !ue.is_connected())
    });
    network.start_again(CONTROL);
    assert_eq!(network.figure(CONTROL, "dialogs"), 2);
    let (ends, other) = match caller_ends {
        true => (&mut carol, &mut dave),
        false => (&mut dave, &mut carol),
    };
    register(&network, other);
    ends.connect(network.namespace());
    hang_up(ends, other);
    wait_for_nothing(&network);
    assert_eq!(network.counter(CONTROL, "call.released"), 0);
    // It registers too, over the connection that it has; then it is called there.
    ends.act(|agent, now| agent.register(now)).expect("at rest");
    until([&mut *ends], "it registers", |[ue]| is_registered(ue));
    let target = match caller_ends {
        true => ues.carol.impu(),
        false => ues.dave.impu(),
    };
    network.wait_for_gateway();
    call(other, ends, &target);
    hang_up(ends, other);
    wait_for_nothing(&network);
    // Each is one registration, however often it has connected.
    assert_eq!(network.figure(CONTROL, "access_registrations"), 2);
    network.finish(|analysis| analysis.assert_clean(&["sip", "megaco", "tcp"]));
}

#[test]
fn the_caller_goes_on_over_a_new_connection() {
    goes_on_over_new_connections(Layout::Together, true);
}

#[test]
fn the_callee_goes_on_over_a_new_connection() {
    goes_on_over_new_connections(Layout::Apart, false);
}

#[test]
fn a_ue_that_connects_anew_in_a_call_is_reached_there() {
    let ues = Ues::new(Family::V4, Family::V4);
    let network = Network::whole(Layout::Together);
    network.import(&ues);
    let pcscf = PCSCF.parse().expect("an address");
    let mut carol = TcpUe::new(&ues.carol, pcscf);
    let mut dave = TcpUe::new(&ues.dave, pcscf);
    register(&network, &mut carol);
    register(&network, &mut dave);
    call(&mut carol, &mut dave, &ues.dave.impu());
    // Nothing was killed: it has changed its access network, say.
    register(&network, &mut dave);
    hang_up(&mut carol, &mut dave);
    wait_for_nothing(&network);
    assert_eq!(network.figure(CONTROL, "access_registrations"), 2);
    network.finish(|analysis| analysis.assert_clean(&["sip", "megaco", "tcp"]));
}
