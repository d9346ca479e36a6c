//! Configure: what changes of a context, and what becomes of it when it cannot be done.

use h248::message::StreamMode;

use super::gateway_model::{Answer, Kind, ModelStream, body};
use super::world::*;
use crate::mgc::compile;
use crate::mgc::{AnchorError, AnchorEvent, AnchorSpec, Mode, Plan, Side};

fn failed(error: AnchorError) -> Vec<AnchorEvent> {
    vec![AnchorEvent::Failed(error)]
}

/// Stream 1 at the two terminations of the only context.
fn streams(world: &World) -> [ModelStream; 2] {
    let context = world.gateways[0].contexts.values().next().unwrap();
    let [access, core] = &context.terminations[..] else {
        panic!("{}", context.terminations.len())
    };
    [access, core].map(|termination| termination.streams[&1].clone())
}

fn is_watched(world: &World) -> bool {
    let context = world.gateways[0].contexts.values().next().unwrap();
    assert!(!context.terminations[1].asks_for("adid", "ipstop"));
    assert!(context.terminations[0].asks_for("hangterm", "thb"));
    context.terminations[0].asks_for("adid", "ipstop")
}

/// Both sides in modes that fit each other: what the UE may do.
fn with_modes(mut plan: Plan, access: Mode, core: Mode) -> Plan {
    for stream in &mut plan.streams {
        (stream.sides[0].mode, stream.sides[1].mode) = (access, core);
    }
    plan
}

#[test]
fn an_answer_changes_the_other_side_only() {
    let mut world = World::new();
    let (id, locals) = world.opened(offered());
    world.asked();
    world.apply(id, answered());
    assert_eq!(world.news, []);
    world.settle();
    assert_eq!(world.applied(), locals);
    let [access, core] = streams(&world);
    assert_eq!(
        (access.remote, core.remote),
        (Some(address(UE)), Some(address(PEER)))
    );
    // Media flows now, so it is watched: the UE's termination is asked for events and nothing else.
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    let [first, second] = asked[0].split(",MF=").collect::<Vec<_>>()[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(
        first,
        "C=1{MF=ip/1{E=2{hangterm/thb{timerx=20},adid/ipstop{ST=1,dt=300,dir=IN}}}"
    );
    let remote = "ip/2{M{ST=1{R{\nv=0\r\nc=IN IP4 198.51.100.77";
    assert!(second.starts_with(remote), "{second}");
    assert!(is_watched(&world));
}

#[test]
fn nothing_changed_asks_for_nothing() {
    let mut world = World::new();
    let (id, locals) = world.opened(offered());
    world.asked();
    world.apply(id, offered());
    assert_eq!(world.applied(), locals);
    let mut refused = offered();
    refused.streams.push(stream(None, None));
    refused.streams[1].used = false;
    world.apply(id, refused);
    assert_eq!(world.applied(), locals);
    world.settle();
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn one_plan_at_a_time() {
    let mut world = World::new();
    let (id, _) = world.opened(offered());
    world.apply(id, answered());
    let hold = with_modes(answered(), Mode::SendOnly, Mode::ReceiveOnly);
    let busy = world.mgc.apply(world.now, id, hold.clone());
    assert_eq!(busy, Err(AnchorError::Busy));
    world.settle();
    world.applied();
    world.apply(id, hold);
    world.settle();
    world.applied();
    assert_eq!(
        streams(&world).map(|it| it.mode),
        [StreamMode::SendOnly, StreamMode::ReceiveOnly]
    );
}

#[test]
fn hold_and_resume_change_modes_and_what_is_watched() {
    use Mode::{Inactive, ReceiveOnly, SendOnly, SendReceive};
    let mut world = World::new();
    let (id, _) = world.opened(offered());
    for (access, core) in [
        (SendReceive, SendReceive),
        (SendOnly, ReceiveOnly),
        (Inactive, Inactive),
        (ReceiveOnly, SendOnly),
        (SendReceive, SendReceive),
    ] {
        world.asked();
        world.apply(id, with_modes(answered(), access, core));
        world.settle();
        world.applied();
        let modes = streams(&world).map(|stream| stream.mode);
        let wanted = [access, core].map(|mode| match mode {
            SendReceive => StreamMode::SendReceive,
            SendOnly => StreamMode::SendOnly,
            ReceiveOnly => StreamMode::ReceiveOnly,
            Inactive => StreamMode::Inactive,
        });
        assert_eq!(modes, wanted);
        assert_eq!(is_watched(&world), access == SendReceive);
        // Addresses are not said again.
        let asked = world.asked();
        assert!(!asked[0].contains("L{"), "{asked:?}");
    }
}

#[test]
fn the_audio_is_watched_where_there_is_some_and_never_what_is_not_rtp() {
    let mut video = stream(Some("203.0.113.5:40010"), Some("198.51.100.77:50010"));
    video.kind = "video".into();
    let audio = answered().streams.remove(0);
    let mut fax = audio.clone();
    (fax.kind, fax.protocol) = ("image".into(), "udptl".into());
    let mut held = audio.clone();
    held.sides[0].mode = Mode::SendOnly;
    for (streams, expected) in [
        (vec![video.clone(), audio.clone()], Some(2)),
        (vec![fax.clone(), video.clone()], Some(2)),
        (vec![held, video.clone()], Some(2)),
        (vec![fax], None),
        (vec![video, audio], Some(2)),
    ] {
        let plan = Plan { streams };
        let watched = compile::watched(&spec(), &plan).map(|stream| usize::from(stream.0));
        assert_eq!(watched, expected);
    }
    // Another stream is watched when the first is gone.
    let mut world = World::new();
    let mut two = answered();
    two.streams.push(stream(
        Some("203.0.113.5:40010"),
        Some("198.51.100.77:50010"),
    ));
    let (id, _) = world.opened(two.clone());
    two.streams[0].used = false;
    world.asked();
    world.apply(id, two);
    world.settle();
    let asked = world.asked().concat();
    assert!(asked.contains("adid/ipstop{ST=2,dt=300,dir=IN}"), "{asked}");
}

#[test]
fn nothing_is_watched_where_nobody_wants_it() {
    let mut world = World::new();
    let spec = AnchorSpec {
        inactivity: None,
        ..spec()
    };
    let (id, _) = world.open_as(spec, offered());
    world.settle();
    world.apply(id, answered());
    world.settle();
    assert!(!is_watched(&world));
}

#[test]
fn a_source_is_filtered_where_no_latch_looks_at_it() {
    let mut world = World::new();
    let spec = AnchorSpec {
        source_filter: true,
        ..spec()
    };
    let (id, _) = world.open_as(spec, offered());
    world.settle();
    let asked = world.asked().concat();
    assert_eq!(asked.matches("gm/saf=ON").count(), 2, "{asked}");
    for (latch, wanted) in [(true, "gm/saf=OFF"), (false, "gm/saf=ON")] {
        let mut plan = answered();
        plan.streams[0].sides[0].latch = latch;
        world.apply(id, plan);
        world.settle();
        let asked = world.asked().concat();
        assert_eq!(asked.matches("gm/saf").count(), 1, "{asked}");
        assert!(asked.contains(wanted), "{asked}");
    }
}

#[test]
fn streams_are_added_removed_and_added_again() {
    let mut world = World::new();
    let (id, before) = world.opened(offered());
    let mut two = answered();
    two.streams.push(stream(
        Some("203.0.113.5:40010"),
        Some("198.51.100.77:50010"),
    ));
    two.streams[1].kind = "video".into();
    two.streams[1].formats = vec!["96".into(), "97".into()];
    world.apply(id, two.clone());
    world.settle();
    let locals = world.applied();
    assert_eq!(locals.get(0, Side::Access), before.get(0, Side::Access));
    let video = locals.get(1, Side::Access).unwrap();
    assert!(world.mgc.is_local(video));

    let mut one = two.clone();
    one.streams[1].used = false;
    world.asked();
    world.apply(id, one.clone());
    world.settle();
    let after = world.applied();
    assert_eq!(
        (after.get(1, Side::Access), after.get(0, Side::Core)),
        (None, before.get(0, Side::Core))
    );
    assert!(!world.mgc.is_local(video));
    assert_eq!(
        world.gateways[0].contexts[&1].terminations[0].streams.len(),
        1
    );
    let gone = "M{ST=2{O{MO=IN,RV=OFF},L{},R{}}}";
    let asked = world.asked();
    assert_eq!(
        asked,
        [format!("C=1{{MF=ip/1{{{gone}}},MF=ip/2{{{gone}}}}}")]
    );

    world.apply(id, two);
    world.settle();
    let again = world.applied();
    assert!(again.get(1, Side::Access).is_some() && again.get(1, Side::Access) != Some(video));
    let streams = &world.gateways[0].contexts[&1].terminations[1].streams;
    assert_eq!(streams[&2].remote, Some(address("198.51.100.77:50010")));
    assert_eq!(streams[&2].realm, "core");
}

#[test]
fn other_formats_keep_the_addresses() {
    let mut world = World::new();
    let (id, locals) = world.opened(answered());
    let mut other = answered();
    other.streams[0].formats = vec!["8".into(), "101".into()];
    world.asked();
    world.apply(id, other.clone());
    world.settle();
    assert_eq!(world.applied(), locals);
    for (stream, side) in streams(&world).iter().zip(Side::BOTH) {
        assert_eq!(stream.formats, ["8", "101"]);
        assert_eq!(stream.local, locals.get(0, side));
        assert!(stream.keeps_formats);
    }
    assert!(!world.asked()[0].contains('$'));
    other.streams[0].formats = vec!["101".into()];
    world.apply(id, other);
    world.settle();
    assert!(streams(&world).iter().all(|stream| !stream.keeps_formats));
}

#[test]
fn rtcp_elsewhere_is_told() {
    let mut world = World::new();
    let mut plan = answered();
    let remote = plan.streams[0].sides[0].remote.as_mut().unwrap();
    remote.rtcp = Some(address("203.0.113.5:41000"));
    let remote = plan.streams[0].sides[1].remote.as_mut().unwrap();
    remote.rtcp = Some(address("198.51.100.78:50001"));
    world.opened(plan);
    let asked = world.asked();
    assert!(asked[0].contains("\r\na=rtcp:41000\r\n"), "{asked:?}");
    assert!(asked[0].contains("\r\na=rtcp:50001 IN IP4 198.51.100.78\r\n"));
}

#[test]
fn a_peer_behind_a_nat_is_latched_to_and_again_where_it_moves() {
    let latch = |world: &World| streams(world).map(|stream| stream.latch);
    let latched = |plan: Plan, remote: &str, latch: bool| {
        let mut plan = plan;
        plan.streams[0].sides[0].latch = latch;
        plan.streams[0].sides[0].remote = Some(address(remote).into());
        plan
    };
    let mut world = World::new();
    let (id, _) = world.opened(latched(offered(), "10.0.0.5:4000", true));
    assert_eq!(latch(&world), [Some("LATCH".into()), None]);
    for (remote, wanted, said) in [
        // The answer changes nothing of it.
        ("10.0.0.5:4000", true, None),
        ("10.0.0.6:4000", true, Some("RELATCH")),
        ("10.0.0.6:4000", true, None),
        (UE, false, Some("OFF")),
        (UE, false, None),
        ("10.0.0.5:4000", true, Some("LATCH")),
    ] {
        world.asked();
        let mut plan = latched(answered(), remote, wanted);
        // Something else changes each time.
        plan.streams[0].sides[1].remote =
            Some(address(&format!("198.51.100.77:{}", world.now.as_millis() % 10_000)).into());
        world.apply(id, plan);
        world.settle();
        world.applied();
        let asked = world.asked().concat();
        let signal = said.map(|napt| format!("SG{{ipnapt/latch{{ST=1,napt={napt}}}}}"));
        assert_eq!(asked.contains("SG{"), said.is_some(), "{asked}");
        assert!(asked.contains(&signal.unwrap_or_default()), "{asked}");
    }
    // A stream that comes back is new.
    let mut without = latched(answered(), "10.0.0.5:4000", true);
    without.streams[0].used = false;
    world.apply(id, without);
    world.settle();
    world.apply(id, latched(answered(), "10.0.0.5:4000", true));
    world.settle();
    assert_eq!(latch(&world), [Some("LATCH".into()), None]);
}

#[test]
fn a_plan_refused_before_anything_was_done_leaves_everything_as_it_was() {
    for (reply, code) in [
        ("510", 510),
        ("C=1{ER=421{\"no\"}}", 421),
        ("C=1{MF=ip/1{ER=449{\"no\"}}}", 449),
    ] {
        let mut world = World::new();
        let (id, locals) = world.opened(offered());
        world.asked();
        world.answer(Kind::Modify, Answer::Say(body(reply)));
        world.apply(id, answered());
        world.settle();
        assert_eq!(world.news(), failed(AnchorError::Refused(code)), "{reply}");
        assert_eq!(world.asked().len(), 1, "{reply}");
        assert_eq!(streams(&world)[1].remote, None);
        // The difference is still to what was before.
        world.apply(id, answered());
        world.settle();
        assert_eq!(world.applied(), locals);
        assert_eq!(streams(&world)[1].remote, Some(address(PEER)));
    }
}

#[test]
fn a_plan_half_done_is_taken_back() {
    let mut world = World::new();
    let (id, locals) = world.opened(answered());
    world.asked();
    world.answer(Kind::Modify, Answer::FailSecond(526));
    let hold = with_modes(answered(), Mode::SendOnly, Mode::ReceiveOnly);
    world.apply(id, hold);
    world.settle();
    assert_eq!(world.news(), failed(AnchorError::Refused(526)));
    let asked = world.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    // Only what was done.
    assert!(asked[1].contains("MF=ip/1{") && !asked[1].contains("MF=ip/2{"));
    assert!(
        streams(&world)
            .iter()
            .all(|stream| stream.mode == StreamMode::SendReceive)
    );
    assert!(is_watched(&world));
    assert!(world.mgc.is_local(locals.get(0, Side::Core).unwrap()));
}

#[test]
fn streams_half_added_and_half_removed_are_taken_back_with_their_addresses() {
    let mut world = World::new();
    let mut two = answered();
    two.streams.push(stream(
        Some("203.0.113.5:40010"),
        Some("198.51.100.77:50010"),
    ));
    let (id, locals) = world.opened(two.clone());
    let before = streams_of(&world);
    let mut other = two.clone();
    other.streams[1].used = false;
    other.streams.push(stream(Some("203.0.113.5:40020"), None));
    world.answer(Kind::Modify, Answer::FailSecond(510));
    world.apply(id, other);
    world.settle();
    assert_eq!(world.news(), failed(AnchorError::Refused(510)));
    assert_eq!(streams_of(&world), before);
    assert!(locals.addresses().all(|local| world.mgc.is_local(local)));
}

fn streams_of(world: &World) -> Vec<Vec<(u16, ModelStream)>> {
    let context = world.gateways[0].contexts.values().next().unwrap();
    let terminations = context.terminations.iter();
    terminations
        .map(|termination| termination.streams.clone().into_iter().collect())
        .collect()
}

#[test]
fn a_reply_that_does_not_fit_is_nonsense_and_the_plan_is_taken_back() {
    for (reply, what) in [
        ("C=1", "no command"),
        ("C=1{MF=ip/1}", "one command"),
        ("C=1{MF=ip/1,MF=ip/9}", "another termination"),
        ("C=2{MF=ip/1,MF=ip/2}", "another context"),
        ("C=1{MF=ip/1,MF=ip/2},C=1", "two actions"),
        (
            "C=1{MF=ip/1,MF=ip/2{M{ST=1{L{v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8\n}}}}}",
            "no address",
        ),
        (
            "C=1{MF=ip/1,MF=ip/2{M{ST=9{L{v=0\nc=IN IP4 192.0.2.9\nm=audio 2 RTP/AVP 8\n}}}}}",
            "a stream",
        ),
    ] {
        let mut world = World::new();
        let (id, _) = world.opened(answered());
        world.answer(Kind::Modify, Answer::DoAndSay(body(reply)));
        let hold = with_modes(answered(), Mode::SendOnly, Mode::ReceiveOnly);
        world.apply(id, hold);
        world.settle();
        assert_eq!(world.news(), failed(AnchorError::Nonsense), "{what}");
        let modes = streams(&world).map(|stream| stream.mode);
        assert_eq!(modes, [StreamMode::SendReceive; 2], "{what}");
        assert!(is_watched(&world));
    }
}

#[test]
fn a_new_stream_without_address_is_nonsense_and_taken_back() {
    let mut world = World::new();
    let (id, _) = world.opened(answered());
    world.answer(
        Kind::Modify,
        Answer::Mangle(|reply| {
            for command in &mut reply.commands {
                if let h248::message::CommandReply::Modify(reply) = command {
                    reply.audit.clear();
                }
            }
        }),
    );
    let mut two = answered();
    two.streams.push(stream(Some("203.0.113.5:40010"), None));
    world.apply(id, two);
    world.settle();
    assert_eq!(world.news(), failed(AnchorError::Nonsense));
    assert_eq!(
        world.gateways[0].contexts[&1].terminations[0].streams.len(),
        1
    );
}

#[test]
fn what_cannot_be_taken_back_is_lost_and_subtracted() {
    for second in [
        Answer::Say(body("510")),
        Answer::FailSecond(510),
        Answer::DoAndSay(body("C=7")),
    ] {
        let mut world = World::new();
        let (id, _) = world.opened(answered());
        world.answer(Kind::Modify, Answer::DoAndSay(body("C=1")));
        world.answer(Kind::Modify, second);
        let hold = with_modes(answered(), Mode::SendOnly, Mode::ReceiveOnly);
        world.apply(id, hold);
        world.settle();
        assert_eq!(world.news(), [AnchorEvent::Lost]);
        assert!(world.gateways[0].contexts.is_empty());
        assert_eq!(
            (world.mgc.contexts(), world.mgc.gateways()[0].contexts),
            (0, 0)
        );
        assert_eq!(
            world.mgc.apply(world.now, id, answered()),
            Err(AnchorError::Lost)
        );
    }
}

#[test]
fn a_context_that_the_gateway_does_not_know_is_lost() {
    for reply in [
        "C=1{ER=411{\"gone\"}}",
        "C=1{MF=ip/1{ER=430{\"gone\"}}}",
        "C=1{MF=ip/1{ER=435{\"no\"}}}",
    ] {
        let mut world = World::new();
        let (id, _) = world.opened(offered());
        world.answer(Kind::Modify, Answer::Say(body(reply)));
        world.apply(id, answered());
        world.settle();
        assert_eq!(world.news(), [AnchorEvent::Lost], "{reply}");
        assert!(world.gateways[0].contexts.is_empty());
        assert_eq!(world.mgc.gateways()[0].contexts, 0);
    }
}

#[test]
fn released_while_a_plan_is_on_its_way_it_goes_behind_it() {
    for answer in [
        None,
        Some(Answer::Say(body("510"))),
        Some(Answer::FailSecond(510)),
    ] {
        let mut world = World::new();
        let (id, _) = world.opened(answered());
        if let Some(answer) = answer {
            world.answer(Kind::Modify, answer);
        }
        world.asked();
        let hold = with_modes(answered(), Mode::SendOnly, Mode::ReceiveOnly);
        world.apply(id, hold);
        world.release(id);
        world.settle();
        assert_eq!(world.news(), []);
        let asked = world.asked();
        assert_eq!(asked.len(), 2);
        assert!(asked[1].contains("W-S=*"));
        assert_eq!(
            (world.mgc.contexts(), world.mgc.gateways()[0].contexts),
            (0, 0)
        );
    }
}

#[test]
fn an_ignored_plan_loses_the_anchor_and_not_the_gateway() {
    let mut world = World::new();
    let (id, _) = world.opened(offered());
    world.answer(Kind::Modify, Answer::Ignore);
    world.apply(id, answered());
    for _ in 0..60 {
        world.run(secs(1));
    }
    // Error 506 is a refusal like others: nothing was done.
    assert_eq!(world.news(), failed(AnchorError::Refused(506)));
    assert_eq!(world.states(), ["in service"]);
    world.release(id);
    world.settle();
    assert!(world.gateways[0].contexts.is_empty());
}

#[test]
fn silence_of_the_ue_is_told_while_it_is_watched() {
    let mut world = World::new();
    let (id, _) = world.opened(offered());
    let stopped = "C=1{N=ip/1{OE=2{adid/ipstop{dir=IN}}}}";
    // Not asked for.
    world.ask(0, stopped);
    world.settle();
    assert_eq!(world.news(), []);
    world.apply(id, answered());
    world.settle();
    world.applied();
    world.ask(0, stopped);
    world.settle();
    assert_eq!(world.news(), [AnchorEvent::Inactive]);
    // Another event, and the answer to an older question.
    world.ask(0, "C=1{N=ip/1{OE=2{nt/netfail}}}");
    world.ask(0, "C=1{N=ip/1{OE=1{adid/ipstop}}}");
    world.settle();
    assert_eq!(world.news(), []);
    // On hold nobody expects media.
    world.apply(
        id,
        with_modes(answered(), Mode::SendOnly, Mode::ReceiveOnly),
    );
    world.settle();
    world.applied();
    world.ask(0, stopped);
    world.settle();
    assert_eq!(world.news(), []);
    let all_known = world.gateways[0].replies.iter().all(|reply| {
        crate::mgc::replies::refusal(reply).is_none() && !format!("{reply:?}").contains("411")
    });
    assert!(all_known);
    world.ask(0, "C=99{N=ip/1{OE=2{adid/ipstop}}}");
    world.settle();
    let reply = world.gateways[0].replies.last().unwrap();
    assert!(format!("{reply:?}").contains("411"), "{reply:?}");
}
