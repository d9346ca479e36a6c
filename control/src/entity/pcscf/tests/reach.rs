//! UEs that have connected anew in the middle of calls.

use super::*;

const FIRST: &str = "192.0.2.102:40123";
const SECOND: &str = "192.0.2.102:40999";

/// Bob calls over TCP, and is answered; returns what to send the P-CSCF in the dialog by.
fn call(kit: &mut Kit<Pcscf>, bob: &Ue, stream: StreamId) -> String {
    let mut invite = bob.request(&Method::Invite, "sip:alice@ims.test");
    invite
        .push_front(HeaderName::Via, &via("invite"))
        .append(HeaderName::Contact, &format!("<{}>", bob.contact()));
    let invite = invite.finish().expect("an INVITE");
    kit.feed(address(FIRST), Some(stream), &invite);
    let mut forwarded = None;
    while let Some(sent) = kit.poll_sent() {
        if sent.message.is_method(&Method::Invite) {
            forwarded = Some(sent);
        }
    }
    let forwarded = forwarded.expect("INVITE goes on");
    kit.reply_with(&forwarded, 200, |draft| {
        draft
            .copy(HeaderName::RecordRoute)
            .append(HeaderName::Contact, "<sip:alice@192.0.2.9:5060>");
    });
    let answer = kit.sent();
    assert_eq!(
        (answer.stream, answer.message.status()),
        (Some(stream), Some(200))
    );
    let routes = answer.message.values(HeaderName::RecordRoute);
    let route = routes.collect::<Vec<_>>().join(", ");
    let mut ack = within(bob, &Method::Ack, &route);
    kit.feed(address(FIRST), Some(stream), &ack.finish().expect("an ACK"));
    assert!(kit.sent().message.is_method(&Method::Ack));
    route
}

fn via(branch: &str) -> String {
    format!("SIP/2.0/TCP 192.0.2.102:5060;branch=z9hG4bK{branch}")
}

/// A request of Bob within the dialog.
fn within(bob: &Ue, method: &Method, route: &str) -> Draft {
    let mut draft = bob.request(method, "sip:alice@192.0.2.9:5060");
    draft
        .push_front(HeaderName::Via, &via(method.as_str()))
        .replace(HeaderName::To, "<sip:alice@ims.test>;tag=far")
        .append(HeaderName::Route, route);
    draft
}

/// Alice hangs up; the way that the BYE takes to Bob.
fn bye_to(kit: &mut Kit<Pcscf>, bob: &Ue, route: &str) -> Option<StreamId> {
    let mut bye = request(&Method::Bye, &bob.contact());
    // The route of the other end is the same the other way round.
    let mut routes: Vec<&str> = route.split(", ").collect();
    routes.reverse();
    bye.replace(HeaderName::From, "<sip:alice@ims.test>;tag=far")
        .replace(HeaderName::To, &format!("<{}>;tag=ue", bob.identity()))
        .append(HeaderName::Route, &routes.join(", "));
    kit.receive(SCSCF, &mut bye);
    let sent = kit.sent();
    assert!(
        sent.message.is_method(&Method::Bye),
        "{}",
        sent.message.to_text()
    );
    sent.stream
}

fn connected() -> (Kit<Pcscf>, Ue, StreamId, String) {
    let mut kit = kit();
    let mut bob = Ue::new("bob", BOB);
    let stream = StreamId::accepted(1);
    bob.register_over(&mut kit, stream, FIRST);
    let route = call(&mut kit, &bob, stream);
    (kit, bob, stream, route)
}

/// The connection ends, with the process or without.
fn disconnect(kit: &mut Kit<Pcscf>, stream: StreamId, is_killed: bool) {
    match is_killed {
        true => kit.restart(seconds(1), Pcscf::new()),
        false => kit.close(stream),
    }
    while kit.poll_sent().is_some() {}
}

#[test]
fn a_call_follows_the_registration_to_its_new_connection() {
    for is_killed in [false, true] {
        let (mut kit, mut bob, stream, route) = connected();
        disconnect(&mut kit, stream, is_killed);
        let stream = StreamId::accepted(2);
        bob.register_over(&mut kit, stream, SECOND);
        // What was kept of the call has followed too.
        assert_eq!(bye_to(&mut kit, &bob, &route), Some(stream), "{is_killed}");
    }
}

#[test]
fn a_ue_that_goes_on_with_a_call_over_a_new_connection_is_reached_by_it() {
    for is_killed in [false, true] {
        let (mut kit, bob, stream, route) = connected();
        disconnect(&mut kit, stream, is_killed);
        let stream = StreamId::accepted(2);
        kit.accept(stream, address(SECOND));
        let mut info = within(&bob, &Method::Info, &route);
        info.replace(HeaderName::CSeq, "9 INFO");
        kit.feed(
            address(SECOND),
            Some(stream),
            &info.finish().expect("an INFO"),
        );
        assert!(kit.sent().message.is_method(&Method::Info));
        assert_eq!(bye_to(&mut kit, &bob, &route), Some(stream), "{is_killed}");
    }
}

#[test]
fn a_call_stays_where_it_is_while_its_connection_lives() {
    let (mut kit, bob, first, route) = connected();
    let stream = StreamId::accepted(2);
    kit.accept(stream, address(SECOND));
    let mut info = within(&bob, &Method::Info, &route);
    info.replace(HeaderName::CSeq, "9 INFO");
    kit.feed(
        address(SECOND),
        Some(stream),
        &info.finish().expect("an INFO"),
    );
    assert!(kit.sent().message.is_method(&Method::Info));
    assert_eq!(bye_to(&mut kit, &bob, &route), Some(first));
}
