use base::{Entropy, Instant};
use std::time::Duration;

use super::*;
use crate::EditError;
use crate::header::{CSeq, RAck};
use crate::transaction::Timers;

fn message(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r\n").as_bytes()).unwrap()
}

/// The INVITE of RFC 3261 24.2 as Bob sees it, with two proxies that record-route.
fn invite() -> Message {
    message(
        "INVITE sip:bob@192.0.2.4 SIP/2.0\n\
         Via: SIP/2.0/UDP server10.biloxi.com;branch=z9hG4bK4b43c2ff8.1\n\
         Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8;received=192.0.2.1\n\
         Record-Route: <sip:server10.biloxi.com;lr>, <sip:bigbox3.site3.atlanta.com;lr>\n\
         Max-Forwards: 68\n\
         To: Bob <sip:bob@biloxi.com>\n\
         From: Alice <sip:alice@atlanta.com>;tag=1928301774\n\
         Call-ID: a84b4c76e66710\n\
         CSeq: 314159 INVITE\n\
         Contact: <sip:alice@pc33.atlanta.com?Subject=x>\n\
         Proxy-Authorization: Digest username=\"alice\"\n\n",
    )
}

fn answer(status: u16) -> Message {
    invite()
        .response(status, "")
        .to_tag("a6c85cf")
        .copy(HeaderName::RecordRoute)
        .append(HeaderName::Contact, "<sip:bob@192.0.2.4>")
        .finish()
        .unwrap()
}

fn text(draft: &mut Draft) -> String {
    draft.finish().unwrap().to_text()
}

#[test]
fn both_ends_derive_mirrored_state() {
    let uac = Dialog::as_uac(&invite(), &answer(200)).unwrap();
    let uas = Dialog::as_uas(&invite(), &answer(200)).unwrap();
    assert_eq!(uac.id.local_tag, uas.id.remote_tag);
    assert_eq!(uac.id.remote_tag, uas.id.local_tag);
    assert_eq!(uac.local, uas.remote);
    assert_eq!(uac.remote, "Bob <sip:bob@biloxi.com>;tag=a6c85cf");
    assert_eq!((uac.local_cseq, uas.remote_cseq), (314_159, Some(314_159)));
    assert_eq!(
        uac.route_set,
        [
            "<sip:bigbox3.site3.atlanta.com;lr>",
            "<sip:server10.biloxi.com;lr>"
        ]
    );
    assert_eq!(
        uas.route_set,
        [
            "<sip:server10.biloxi.com;lr>",
            "<sip:bigbox3.site3.atlanta.com;lr>"
        ]
    );
    assert_eq!(uac.remote_target, "sip:bob@192.0.2.4");
    assert_eq!(uas.remote_target, "sip:alice@pc33.atlanta.com");
    assert_eq!(uac.state, DialogState::Confirmed);
    assert!(!uac.secure);
}

#[test]
fn requests_of_the_callee_go_the_way_back() {
    let mut uas = Dialog::as_uas(&invite(), &answer(200)).unwrap();
    assert_eq!(
        text(&mut uas.request(&Method::Bye)),
        "BYE sip:alice@pc33.atlanta.com SIP/2.0\r\n\
         Route: <sip:server10.biloxi.com;lr>\r\n\
         Route: <sip:bigbox3.site3.atlanta.com;lr>\r\n\
         Max-Forwards: 70\r\n\
         From: Bob <sip:bob@biloxi.com>;tag=a6c85cf\r\n\
         To: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
         Call-ID: a84b4c76e66710\r\n\
         CSeq: 1 BYE\r\n\
         Content-Length: 0\r\n\r\n"
    );
    assert_eq!(uas.next_hop(), "sip:server10.biloxi.com;lr");
    let bye = uas.request(&Method::Bye).finish().unwrap();
    assert_eq!(bye.cseq().unwrap().number, 2);
    let uac = Dialog::as_uac(&invite(), &answer(200)).unwrap();
    assert_eq!(DialogId::of_received_request(&bye).unwrap(), uac.id);
    assert_eq!(
        DialogId::of_received_response(&answer(200)).unwrap(),
        uac.id
    );
}

#[test]
fn the_ack_has_the_number_and_credentials_of_its_invite() {
    let mut uac = Dialog::as_uac(&invite(), &answer(200)).unwrap();
    uac.request(&Method::Update);
    let ack = uac.ack(&invite()).unwrap().finish().unwrap();
    assert_eq!(ack.header(HeaderName::CSeq), Some("314159 ACK"));
    assert_eq!(
        ack.header(HeaderName::ProxyAuthorization),
        Some("Digest username=\"alice\"")
    );
    assert_eq!(ack.request_uri(), "sip:bob@192.0.2.4");
}

/// RFC 3261 12.2.1.1, the example of 16.12.1.2.
#[test]
fn a_strict_router_becomes_the_request_uri() {
    let mut uac = Dialog::as_uac(&invite(), &answer(200)).unwrap();
    uac.route_set = vec![
        "<sip:proxy1>".into(),
        "<sip:proxy2>".into(),
        "<sip:proxy3;lr>".into(),
    ];
    let info = uac.request(&Method::Info).finish().unwrap();
    assert_eq!(info.request_uri(), "sip:proxy1");
    assert_eq!(
        info.values(HeaderName::Route).collect::<Vec<_>>(),
        ["<sip:proxy2>", "<sip:proxy3;lr>", "<sip:bob@192.0.2.4>"]
    );
    uac.route_set.clear();
    let info = uac.request(&Method::Info).finish().unwrap();
    assert_eq!(info.request_uri(), "sip:bob@192.0.2.4");
    assert!(!info.has(HeaderName::Route));
    assert_eq!(uac.next_hop(), "sip:bob@192.0.2.4");
}

#[test]
fn an_early_dialog_is_confirmed_with_the_routes_of_the_2xx() {
    let mut uac = Dialog::as_uac(&invite(), &answer(180)).unwrap();
    assert_eq!(uac.state, DialogState::Early);
    let ok = answer(200)
        .edit()
        .replace(HeaderName::RecordRoute, "<sip:other;lr>")
        .replace(HeaderName::Contact, "<sip:bob@new>")
        .finish()
        .unwrap();
    uac.confirm(&ok).unwrap();
    assert_eq!(uac.state, DialogState::Confirmed);
    assert_eq!(uac.route_set, ["<sip:other;lr>"]);
    assert_eq!(uac.remote_target, "sip:bob@new");
    let bare = ok.edit().remove_all(HeaderName::Contact).finish().unwrap();
    assert_eq!(
        uac.confirm(&bare),
        Err(Invalid::header(HeaderName::Contact, Why::Missing))
    );
    assert_eq!(uac.remote_target, "sip:bob@new");
}

#[test]
fn a_provisional_response_without_tag_opens_no_dialog() {
    let trying = invite()
        .response(180, "")
        .append(HeaderName::Contact, "<sip:bob@192.0.2.4>")
        .finish()
        .unwrap();
    assert!(Dialog::as_uac(&invite(), &trying).is_err());
    assert!(Dialog::as_uas(&invite(), &trying).is_err());
    let routes = vec!["<sip:p;lr>"; ROUTES_MAX + 1].join(",");
    let long = answer(200)
        .edit()
        .replace(HeaderName::RecordRoute, &routes)
        .finish()
        .unwrap();
    assert!(Dialog::as_uac(&invite(), &long).is_err());
}

#[test]
fn numbers_may_leap_but_not_fall() {
    let mut uas = Dialog::as_uas(&invite(), &answer(200)).unwrap();
    let with = |number: u32| {
        invite()
            .edit()
            .replace(HeaderName::CSeq, &format!("{number} INVITE"))
            .finish()
            .unwrap()
    };
    assert_eq!(uas.receive_request(&with(314_160)), Ok(()));
    assert_eq!(uas.receive_request(&with(400_000)), Ok(()));
    let error = uas.receive_request(&with(399_999)).unwrap_err();
    assert_eq!((error, error.status()), (SequenceError::OutOfOrder, 500));
    let bad = invite()
        .edit()
        .remove_all(HeaderName::CSeq)
        .finish()
        .unwrap();
    assert_eq!(uas.receive_request(&bad).unwrap_err().status(), 400);
    assert_eq!(uas.remote_cseq, Some(400_000));
}

#[test]
fn a_target_refresh_without_contact_keeps_the_target() {
    let mut uas = Dialog::as_uas(&invite(), &answer(200)).unwrap();
    let update = invite()
        .edit()
        .remove_all(HeaderName::Contact)
        .finish()
        .unwrap();
    uas.refresh_target(&update).unwrap();
    assert_eq!(uas.remote_target, "sip:alice@pc33.atlanta.com");
    let update = invite()
        .edit()
        .replace(HeaderName::Contact, "<sip:alice@moved>")
        .finish()
        .unwrap();
    uas.refresh_target(&update).unwrap();
    assert_eq!(uas.remote_target, "sip:alice@moved");
}

#[test]
fn prack_names_the_response() {
    let mut uac = Dialog::as_uac(&invite(), &answer(183)).unwrap();
    assert!(uac.prack(&answer(183)).is_err());
    let reliable = answer(183)
        .edit()
        .append(HeaderName::RSeq, "988789")
        .finish()
        .unwrap();
    let prack = uac.prack(&reliable).unwrap().finish().unwrap();
    assert_eq!(prack.header(HeaderName::RAck), Some("988789 314159 INVITE"));
    assert_eq!(prack.header(HeaderName::CSeq), Some("314160 PRACK"));
}

fn is_biloxi(route: &NameAddr<'_>) -> bool {
    route.uri.host_str() == "server10.biloxi.com"
}

#[test]
fn a_proxy_can_speak_for_both_sides() {
    let four = "<sip:term;lr>, <sip:server10.biloxi.com;lr>, <sip:server10.biloxi.com:5070;lr>, \
                <sip:orig2;lr>, <sip:orig1;lr>";
    let ok = answer(200)
        .edit()
        .replace(HeaderName::RecordRoute, four)
        .finish()
        .unwrap();
    let mut proxy = ProxyDialog::new(&invite(), &ok, is_biloxi).unwrap();
    assert_eq!(proxy.callee.routes, ["<sip:term;lr>"]);
    assert_eq!(proxy.caller.routes, ["<sip:orig2;lr>", "<sip:orig1;lr>"]);
    assert_eq!(proxy.state, DialogState::Confirmed);

    let mut callee = Dialog::as_uas(&invite(), &ok).unwrap();
    callee.local_cseq = 41;
    let update = callee.request(&Method::Update).finish().unwrap();
    assert_eq!(proxy.observe_request(&update), Some(Side::Callee));
    let mut caller = Dialog::as_uac(&invite(), &ok).unwrap();
    let info = caller.request(&Method::Info).finish().unwrap();
    assert_eq!(proxy.observe_request(&info), Some(Side::Caller));
    let strange = info
        .edit()
        .replace(HeaderName::From, "<sip:x@y>;tag=z")
        .finish()
        .unwrap();
    assert_eq!(proxy.observe_request(&strange), None);

    let bye = proxy.request(Side::Caller, &Method::Bye).finish().unwrap();
    assert_eq!(bye.header(HeaderName::CSeq), Some("43 BYE"));
    assert_eq!(bye.request_uri(), "sip:alice@pc33.atlanta.com");
    assert_eq!(DialogId::of_received_request(&bye).unwrap(), caller.id);
    assert_eq!(caller.receive_request(&bye), Ok(()));
    let bye = proxy.request(Side::Callee, &Method::Bye).finish().unwrap();
    assert_eq!(bye.header(HeaderName::CSeq), Some("314161 BYE"));
    assert_eq!(bye.header(HeaderName::Route), Some("<sip:term;lr>"));
    assert_eq!(DialogId::of_received_request(&bye).unwrap(), callee.id);
    assert_eq!(callee.receive_request(&bye), Ok(()));
}

#[test]
fn a_proxy_follows_targets_and_confirmation() {
    let mut proxy = ProxyDialog::new(&invite(), &answer(180), is_biloxi).unwrap();
    assert_eq!(proxy.state, DialogState::Early);
    proxy
        .observe_success(Side::Caller, &invite(), &answer(200), is_biloxi)
        .unwrap();
    assert_eq!(proxy.state, DialogState::Confirmed);
    let hold = invite()
        .edit()
        .replace(HeaderName::Contact, "<sip:alice@new>")
        .finish()
        .unwrap();
    let ok = answer(200)
        .edit()
        .replace(HeaderName::Contact, "<sip:bob@new>")
        .finish()
        .unwrap();
    proxy
        .observe_success(Side::Caller, &hold, &ok, is_biloxi)
        .unwrap();
    assert_eq!(proxy.towards(Side::Caller).remote_target, "sip:alice@new");
    assert_eq!(proxy.towards(Side::Callee).remote_target, "sip:bob@new");
    proxy
        .observe_success(Side::Callee, &hold, &ok, is_biloxi)
        .unwrap();
    assert_eq!(proxy.towards(Side::Callee).remote_target, "sip:alice@new");
}

#[test]
fn a_2xx_is_repeated_up_to_t2_and_given_up_after_64_t1() {
    let start = Instant::from_secs(1);
    let mut repeat = Retransmission::of_success(start, Timers::CORE, answer(200));
    let mut sent = Vec::new();
    let end = loop {
        let now = repeat.next_timeout();
        match repeat.handle_timeout(now) {
            Some(Due::Again(_)) => sent.push(now.since(start).as_millis()),
            Some(Due::Expired) => break now,
            None => panic!("nothing due"),
        }
    };
    assert_eq!(
        sent,
        [
            500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
        ]
    );
    assert_eq!(end.since(start), Duration::from_secs(32));
    assert_eq!(repeat.response(), &answer(200));
    assert_eq!(
        Retransmission::of_success(end, Timers::CORE, answer(200)).handle_timeout(end),
        None
    );
}

#[test]
fn reliable_provisionals_wait_for_each_other() {
    let now = Instant::from_secs(1);
    let mut provisionals = Provisionals::new(Timers::CORE, &mut Entropy::from_u64(1));
    let draft = |status| answer(status).edit();
    let first = provisionals.send(now, draft(183)).unwrap().unwrap();
    assert!(first.has_token(HeaderName::Require, "100rel"));
    assert!(provisionals.send(now, draft(180)).unwrap().is_none());
    let cseq = CSeq {
        number: 314_159,
        method: Method::Invite,
    };
    let rseq = first.rseq().unwrap().unwrap();
    let mut rack = RAck {
        rseq: rseq + 1,
        cseq,
    };
    let unmatched = provisionals.handle_prack(now, &rack).unwrap();
    assert!(matches!(unmatched, Acknowledgement::Unmatched));
    rack.rseq = rseq;
    let Acknowledgement::Accepted(Some(second)) = provisionals.handle_prack(now, &rack).unwrap()
    else {
        panic!("no second response");
    };
    assert_eq!(second.rseq(), Ok(Some(rseq + 1)));
    rack.rseq += 1;
    let last = provisionals.handle_prack(now, &rack).unwrap();
    assert!(matches!(last, Acknowledgement::Accepted(None)));
    assert!(!provisionals.is_pending());
    assert_eq!(provisionals.next_timeout(), None);

    provisionals.send(now, draft(183)).unwrap();
    for _ in 0..PROVISIONALS_MAX {
        provisionals.send(now, draft(183)).unwrap();
    }
    assert_eq!(provisionals.send(now, draft(183)), Err(EditError::TooLong));
    let mut sent = 0;
    while let Some(at) = provisionals.next_timeout() {
        match provisionals.handle_timeout(at) {
            Some(Due::Again(_)) => sent += 1,
            other => assert_eq!(other, Some(Due::Expired)),
        }
    }
    assert_eq!(sent, 6);
}

#[test]
fn reliable_responses_are_taken_in_order() {
    let mut watch = RseqWatch::default();
    assert_eq!(watch.receive(100), ReliableOrder::Next);
    assert_eq!(watch.receive(100), ReliableOrder::Again);
    assert_eq!(watch.receive(102), ReliableOrder::Early);
    assert_eq!(watch.receive(101), ReliableOrder::Next);
    assert_eq!(watch.receive(102), ReliableOrder::Next);
    assert_eq!(watch.receive(7), ReliableOrder::Again);
}
