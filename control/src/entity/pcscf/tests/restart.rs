//! What the P-CSCF still knows after a restart.

use super::*;
use crate::journal::Kind;

fn restart(kit: &mut Kit<Pcscf>, after: u64) {
    kit.restart(seconds(after), Pcscf::new());
}

/// A request along the Path of a UE's registration.
fn towards(kit: &mut Kit<Pcscf>, ue: &Ue) {
    let mut draft = request(&Method::Message, &ue.contact());
    draft.append(HeaderName::Route, &ue.path);
    kit.receive(SCSCF, &mut draft);
}

/// Bob, registered, and his SUBSCRIBE refused, so that nothing else is under way.
fn registered(kit: &mut Kit<Pcscf>) -> Ue {
    let mut bob = Ue::new("bob", BOB);
    bob.register(kit, 3600);
    let subscribe = kit.sent();
    assert!(subscribe.message.is_method(&Method::Subscribe));
    kit.reply(&subscribe, 403);
    kit.assert_silent();
    bob
}

#[test]
fn a_ue_is_reached_and_may_send_after_a_restart() {
    let mut kit = kit();
    let bob = registered(&mut kit);
    restart(&mut kit, 100);
    assert_eq!(kit.entity.registrations(), 1);
    // It is watched anew.
    assert!(kit.sent().message.is_method(&Method::Subscribe));
    towards(&mut kit, &bob);
    assert_eq!(kit.sent().to, address(BOB));
    kit.receive(
        BOB,
        &mut bob.request(&Method::Message, "sip:alice@ims.test"),
    );
    let sent = kit.sent();
    assert_eq!(sent.to, address(SCSCF));
    let asserted = sent.message.header(HeaderName::PAssertedIdentity);
    assert_eq!(asserted, Some("\"U\" <sip:bob@ims.test>"));
}

#[test]
fn what_ended_meanwhile_is_gone() {
    let mut kit = kit();
    let bob = registered(&mut kit);
    restart(&mut kit, 3600 + 31);
    kit.run_for(seconds(1));
    assert_eq!(kit.entity.registrations(), 0);
    kit.assert_silent();
    towards(&mut kit, &bob);
    kit.response(430);
    assert_eq!(kit.kept(Kind::Registration), 0);
}

#[test]
fn who_left_before_is_gone_after_the_restart() {
    let mut kit = kit();
    let mut bob = registered(&mut kit);
    bob.register(&mut kit, 0);
    restart(&mut kit, 1);
    assert_eq!(kit.entity.registrations(), 0);
    assert_eq!(kit.kept(Kind::Registration), 0);
}

#[test]
fn a_ue_that_registered_over_tcp_is_connected_to_where_it_listens() {
    let mut kit = kit();
    let mut bob = Ue::new("bob", BOB);
    let stream = StreamId::accepted(1);
    bob.register_over(&mut kit, stream, "192.0.2.102:40123");
    restart(&mut kit, 1);
    while kit.poll_sent().is_some() {}
    towards(&mut kit, &bob);
    let sent = kit.sent();
    assert_eq!(sent.to, address(BOB));
    assert!(sent.stream.is_some_and(|new| new != stream));
}

#[test]
fn a_ue_that_connects_and_registers_anew_has_one_registration_and_is_reached_there() {
    for is_killed in [false, true] {
        let mut kit = kit();
        let mut bob = Ue::new("bob", BOB);
        bob.register_over(&mut kit, StreamId::accepted(1), "192.0.2.102:40123");
        let path = bob.path.clone();
        if is_killed {
            restart(&mut kit, 1);
            while kit.poll_sent().is_some() {}
        }
        let stream = StreamId::accepted(2);
        let forwarded = bob.register_over(&mut kit, stream, "192.0.2.102:40999");
        assert_eq!((kit.entity.registrations(), &bob.path), (1, &path));
        // From another port it has to prove itself anew (TS 24.229 5.2.2.3).
        let credentials = forwarded.message.header(HeaderName::Authorization);
        assert!(credentials.is_some_and(|it| it.contains("ip-assoc-pending")));
        towards(&mut kit, &bob);
        assert_eq!(kit.sent().stream, Some(stream));
        assert_eq!(kit.kept(Kind::Registration), 1);
    }
}

#[test]
fn everything_put_anew_is_everything() {
    let mut kit = kit();
    let bob = registered(&mut kit);
    kit.restart_anew(Pcscf::new());
    assert_eq!(kit.entity.registrations(), 1);
    while kit.poll_sent().is_some() {}
    towards(&mut kit, &bob);
    assert_eq!(kit.sent().to, address(BOB));
}
