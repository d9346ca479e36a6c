//! A proxy that forwards every request to some targets at once.

use super::*;
use crate::counters::Counter;
use crate::entity::Event;
use crate::entity::testkit::{Entity, Kit, Sent, address, request};

const CALLER: &str = "192.0.2.5:5060";
const TARGETS: [&str; 3] = ["sip:a@192.0.2.71", "sip:b@192.0.2.72", "sip:c@192.0.2.73"];

struct Forker {
    proxy: Proxy<()>,
    targets: usize,
    /// Keeps what is to go upstream until the next request comes.
    holds: bool,
    held: Vec<Upstream>,
}

impl Forker {
    fn pass(&mut self, actions: &mut Actions<'_>, upstream: Upstream) {
        if self.holds {
            return self.held.push(upstream);
        }
        match upstream {
            Upstream::Nothing => {}
            Upstream::Response {
                context, passing, ..
            } => self.proxy.respond(actions, context, passing.draft),
            Upstream::Failure { context, status } => {
                self.proxy.reject(actions, context, status, "");
            }
        }
    }
}

impl Entity for Forker {
    const ROLE: Role = Role::Icscf;

    fn handle(&mut self, event: Event, actions: &mut Actions<'_>) {
        match event {
            Event::Request {
                server, request, ..
            } => {
                if let Err(objection) = check(&request) {
                    return object(actions, server, &request, &objection);
                }
                self.holds &= self.held.is_empty();
                for upstream in std::mem::take(&mut self.held) {
                    self.pass(actions, upstream);
                }
                let id = self.proxy.open(server, request.clone(), ());
                for target in &TARGETS[..self.targets] {
                    let uri = sip::Uri::parse(target).expect("a target");
                    let mut draft = request.edit();
                    draft.set_request_uri(target);
                    self.proxy.forward(actions, id, draft, NextHop::Uri(uri));
                }
            }
            Event::Cancel { server } => {
                self.proxy.handle_cancel(actions, server);
            }
            Event::Response {
                branch,
                response,
                has_own_via,
            } => {
                let upstream = self
                    .proxy
                    .handle_response(actions, branch, response, has_own_via);
                self.pass(actions, upstream);
            }
            Event::Failed { branch, status } => {
                let upstream = self.proxy.handle_failure(actions, branch, status);
                self.pass(actions, upstream);
            }
            Event::Ended { branch } => {
                self.proxy.handle_ended(actions, branch);
            }
            other => panic!("{other:?}"),
        }
    }

    fn handle_timer(&mut self, timer: Timer, actions: &mut Actions<'_>) {
        match timer {
            Timer::Icscf(crate::entity::icscf::Timer::C(branch)) => {
                self.proxy.handle_timer_c(actions, branch);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn kit(targets: usize) -> Kit<Forker> {
    Kit::new(|_, _| Forker {
        proxy: Proxy::new(Role::Icscf),
        targets,
        holds: false,
        held: Vec::new(),
    })
}

/// A proxy that has forwarded an INVITE to its targets.
fn forked(targets: usize) -> (Kit<Forker>, Message, Vec<Sent>) {
    let mut kit = kit(targets);
    let mut draft = request(&Method::Invite, "sip:alice@ims.test");
    let invite = kit.receive(CALLER, &mut draft);
    let sent = requests(&mut kit, &Method::Invite);
    assert_eq!(sent.len(), targets);
    (kit, invite, sent)
}

/// What was sent by this method; other requests and responses are passed over.
fn requests(kit: &mut Kit<Forker>, method: &Method) -> Vec<Sent> {
    let sent = std::iter::from_fn(|| kit.poll_sent());
    sent.filter(|sent| sent.message.is_method(method)).collect()
}

/// The responses that were sent to the caller.
fn statuses(kit: &mut Kit<Forker>) -> Vec<u16> {
    let sent = std::iter::from_fn(|| kit.poll_sent());
    sent.filter_map(|sent| sent.message.status()).collect()
}

/// Runs until every transaction must be over.
fn assert_over(kit: &mut Kit<Forker>) {
    kit.run_for(Duration::from_secs(120));
    assert!(kit.entity.proxy.is_empty(), "contexts are left");
    assert!(kit.entity.proxy.by_branch.is_empty(), "branches are left");
    assert!(kit.entity.proxy.by_server.is_empty(), "servers are left");
    assert_eq!((kit.timers(), kit.transactions()), (0, 0));
}

#[test]
fn the_best_of_several_refusals_goes_back() {
    // RFC 3261 16.7 step 6: any 6xx; else the lowest class, and of 4xx those that say more.
    for (answers, best) in [
        ([404, 486, 480], 404),
        ([486, 408, 408], 486),
        ([408, 408, 408], 408),
        ([500, 404, 302], 302),
        ([302, 404, 603], 603),
        ([606, 600, 404], 600),
        ([404, 401, 486], 401),
        ([404, 486, 407], 407),
        ([415, 404, 500], 415),
        ([404, 420, 500], 420),
        ([404, 484, 500], 484),
        ([500, 501, 513], 500),
        ([503, 503, 503], 500),
        ([503, 404, 503], 404),
        ([487, 486, 603], 603),
    ] {
        let (mut kit, _, sent) = forked(3);
        for (sent, status) in sent.iter().zip(answers) {
            kit.reply(sent, status);
        }
        assert_eq!(statuses(&mut kit), [best], "{answers:?}");
        assert_over(&mut kit);
    }
}

#[test]
fn nothing_final_goes_back_while_an_answer_may_come() {
    let (mut kit, _, sent) = forked(3);
    kit.reply(&sent[0], 486);
    kit.reply(&sent[1], 404);
    assert!(statuses(&mut kit).is_empty());
    kit.reply(&sent[2], 180);
    assert_eq!(statuses(&mut kit), [180]);
    kit.reply(&sent[2], 200);
    assert_eq!(statuses(&mut kit), [200]);
    assert_over(&mut kit);
}

#[test]
fn responses_go_back_without_our_via_and_with_all_else() {
    let (mut kit, invite, sent) = forked(1);
    assert_eq!(sent[0].message.vias().count(), 2);
    assert_eq!(sent[0].message.max_forwards(), Ok(Some(69)));
    kit.reply_with(&sent[0], 183, |draft| {
        draft.append_named("X-Unknown", "kept");
    });
    let response = kit.response(183);
    let vias: Vec<&str> = response.values(HeaderName::Via).collect();
    assert_eq!(vias, invite.values(HeaderName::Via).collect::<Vec<_>>());
    assert_eq!(response.header_named("x-unknown"), Some("kept"));
}

#[test]
fn trying_is_not_passed_on() {
    let (mut kit, _, sent) = forked(1);
    kit.reply(&sent[0], 100);
    assert!(statuses(&mut kit).is_empty());
}

#[test]
fn one_answer_cancels_those_that_ring() {
    let (mut kit, _, sent) = forked(3);
    kit.reply(&sent[0], 180);
    kit.reply(&sent[1], 486);
    statuses(&mut kit);
    kit.reply(&sent[2], 200);
    let cancels = requests(&mut kit, &Method::Cancel);
    assert_eq!(cancels.len(), 1);
    assert_eq!(cancels[0].to, sent[0].to);
    kit.reply(&cancels[0], 200);
    kit.reply(&sent[0], 487);
    assert!(statuses(&mut kit).is_empty());
    assert_over(&mut kit);
}

#[test]
fn a_second_answer_that_crosses_the_cancel_goes_back_too() {
    // RFC 3261 16.7 step 5: every 2xx to INVITE.
    let (mut kit, _, sent) = forked(2);
    kit.reply(&sent[0], 200);
    kit.reply_with(&sent[1], 200, |draft| {
        draft.replace(HeaderName::To, "<sip:alice@ims.test>;tag=other");
    });
    assert_eq!(statuses(&mut kit), [200, 200]);
    assert_over(&mut kit);
}

#[test]
fn of_other_requests_only_the_first_answer_goes_back() {
    let mut kit = kit(2);
    kit.receive(CALLER, &mut request(&Method::Message, "sip:alice@ims.test"));
    let sent = requests(&mut kit, &Method::Message);
    kit.reply(&sent[0], 200);
    kit.reply(&sent[1], 200);
    assert_eq!(statuses(&mut kit), [200]);
    assert_over(&mut kit);
}

#[test]
fn an_answer_may_wait_for_longer_than_its_branch_lasts() {
    let mut kit = kit(1);
    kit.entity.holds = true;
    let mut draft = request(&Method::Message, "sip:alice@ims.test");
    kit.receive(CALLER, &mut draft);
    let sent = requests(&mut kit, &Method::Message);
    kit.reply(&sent[0], 200);
    // Timer K is over.
    kit.run_for(Duration::from_secs(20));
    assert_eq!(statuses(&mut kit), [100]);
    let other = "z9hG4bKother";
    draft.replace(
        HeaderName::Via,
        &format!("SIP/2.0/UDP {CALLER};branch={other}"),
    );
    kit.receive(CALLER, &mut draft);
    assert_eq!(statuses(&mut kit), [200]);
}

#[test]
fn a_decline_for_all_cancels_the_others_and_waits_for_them() {
    let (mut kit, _, sent) = forked(2);
    kit.reply(&sent[0], 180);
    statuses(&mut kit);
    kit.reply(&sent[1], 603);
    let cancels = requests(&mut kit, &Method::Cancel);
    assert_eq!(cancels.len(), 1);
    kit.reply(&cancels[0], 200);
    assert!(statuses(&mut kit).is_empty());
    // It was faster than the CANCEL.
    kit.reply(&sent[0], 200);
    assert_eq!(statuses(&mut kit), [200]);
    assert_over(&mut kit);
}

#[test]
fn who_says_nothing_counts_as_a_timeout() {
    let (mut kit, _, sent) = forked(2);
    kit.reply(&sent[0], 486);
    kit.run_for(Duration::from_secs(32));
    let got = statuses(&mut kit);
    assert_eq!(got.last(), Some(&486), "{got:?}");
    assert_over(&mut kit);

    let (mut kit, _, _) = forked(2);
    kit.run_for(Duration::from_secs(32));
    let got = statuses(&mut kit);
    assert_eq!(got, [100, 408]);
    assert_over(&mut kit);
}

#[test]
fn a_cancel_cancels_every_branch_that_is_pending() {
    let (mut kit, invite, sent) = forked(3);
    kit.reply(&sent[0], 180);
    kit.reply(&sent[1], 486);
    let cancel = Draft::cancel(&invite).finish().expect("a CANCEL");
    statuses(&mut kit);
    kit.feed(address(CALLER), None, &cancel);
    let mut cancels = Vec::new();
    let mut answered = Vec::new();
    while let Some(sent) = kit.poll_sent() {
        match sent.message.status() {
            Some(status) => answered.push(status),
            None => cancels.push(sent),
        }
    }
    assert_eq!(answered, [200]);
    // The third has said nothing yet: its CANCEL waits for that (RFC 3261 9.1).
    assert_eq!(cancels.len(), 1);
    assert_eq!(cancels[0].to, sent[0].to);
    kit.reply(&sent[2], 180);
    let late = requests(&mut kit, &Method::Cancel);
    assert_eq!(late[0].to, sent[2].to);
    for (cancel, sent) in [(&cancels[0], &sent[0]), (&late[0], &sent[2])] {
        kit.reply(cancel, 200);
        kit.reply(sent, 487);
    }
    assert_eq!(statuses(&mut kit), [486]);
    assert_over(&mut kit);
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let (mut kit, invite, sent) = forked(1);
    kit.reply(&sent[0], 200);
    statuses(&mut kit);
    let cancel = Draft::cancel(&invite).finish().expect("a CANCEL");
    kit.feed(address(CALLER), None, &cancel);
    kit.response(200);
    kit.assert_silent();
    assert_over(&mut kit);
}

#[test]
fn a_cancelled_call_that_nobody_ends_is_over_all_the_same() {
    let (mut kit, invite, sent) = forked(1);
    kit.reply(&sent[0], 180);
    let cancel = Draft::cancel(&invite).finish().expect("a CANCEL");
    kit.feed(address(CALLER), None, &cancel);
    kit.run_for(Duration::from_secs(40));
    assert_eq!(statuses(&mut kit).last(), Some(&487));
    assert_over(&mut kit);
}

#[test]
fn who_rings_is_given_timer_c_anew_by_each_provisional_response() {
    let (mut kit, _, sent) = forked(1);
    kit.reply(&sent[0], 180);
    for _ in 0..3 {
        kit.run_for(Duration::from_secs(150));
        kit.reply(&sent[0], 180);
        assert!(requests(&mut kit, &Method::Cancel).is_empty());
    }
    kit.run_for(Duration::from_secs(185));
    let cancels = requests(&mut kit, &Method::Cancel);
    assert_eq!(cancels.len(), 1);
    kit.reply(&cancels[0], 200);
    kit.reply(&sent[0], 487);
    assert_eq!(statuses(&mut kit), [487]);
    assert_over(&mut kit);
}

#[test]
fn what_a_proxy_must_not_forward_is_refused() {
    type Change = fn(&mut Draft) -> &mut Draft;
    let cases: [(Change, u16); 4] = [
        (|draft| draft.replace(HeaderName::MaxForwards, "0"), 483),
        (|draft| draft.set_request_uri("mailto:a@b"), 416),
        (|draft| draft.set_request_uri("urn:isbn:0"), 416),
        (
            |draft| draft.append(HeaderName::ProxyRequire, "path, x, y"),
            420,
        ),
    ];
    for (change, status) in cases {
        let mut kit = kit(1);
        let mut draft = request(&Method::Message, "sip:alice@ims.test");
        kit.receive(CALLER, change(&mut draft));
        let refusal = kit.response(status);
        if status == 420 {
            assert_eq!(refusal.header(HeaderName::Unsupported), Some("x, y"));
        }
    }
    let mut kit = kit(1);
    let mut draft = request(&Method::Message, "urn:service:sos");
    kit.receive(CALLER, &mut draft);
    assert_eq!(requests(&mut kit, &Method::Message).len(), 1);
}

#[test]
fn no_more_branches_than_the_maximum_are_made() {
    let mut kit = kit(0);
    kit.receive(CALLER, &mut request(&Method::Invite, "sip:alice@ims.test"));
    let id = ContextId::from_token(0);
    let uri = sip::Uri::parse(TARGETS[0]).expect("a target");
    let forker = |entity: &mut Forker, actions: &mut Actions<'_>| {
        let request = entity.proxy.get(id).expect("open").request().cloned();
        let draft = request.expect("unanswered").edit();
        let sent = entity.proxy.forward(actions, id, draft, NextHop::Uri(uri));
        sent.is_some()
    };
    for n in 0..=BRANCHES_MAX {
        assert_eq!(kit.act(forker), n < BRANCHES_MAX, "branch {n}");
    }
    assert_eq!(kit.counter(Counter::SipRefusedFull), 0);
}
