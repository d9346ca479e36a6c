//! What people ask of the MRFC through the admin interface: it calls users to play to them, to
//! record them, and into conferences, which are played into and recorded too.

use std::time::Duration;

use calls::{MrfpHost, MrfpTermination, Setup, User, World, everywhere, identity};
use control::admin::{
    ConferenceDetail, JobStatus, MrfDetail, MrfReply, MrfRequest, NewConference, NewJob, PlayJob,
    RecordJob, What, With,
};
use h248::error::ErrorCode;
use h248::message::StreamMode;
use load::ua::{Event, Step};

const SECOND: Duration = Duration::from_secs(1);

fn begin(world: &mut World, users: &[usize]) {
    world.add_mrfp();
    world.register(users);
    world.network.run_for(60 * SECOND);
}

fn setup(users: usize) -> Setup {
    Setup::new(&vec![User::Digest; users])
}

/// Runs until the MRFP is so.
fn wait(world: &mut World, what: &str, is_so: impl Fn(&MrfpHost) -> bool) {
    for _ in 0..4000 {
        if is_so(world.mrfp(0)) {
            return;
        }
        world.network.run_for(SECOND / 10);
    }
    panic!("{what}: {:#?}", world.mrfp(0).contexts);
}

fn play(parts: &[&str]) -> What {
    What::Play(PlayJob {
        parts: parts.iter().map(|&part| part.to_owned()).collect(),
        language: "de".into(),
        times: 2,
    })
}

fn record(name: &str) -> What {
    What::Record(RecordJob {
        name: name.into(),
        seconds: 30,
        silence: Some(3),
        keys: "#".into(),
        prompt: vec!["prompt:leave-message".into()],
    })
}

fn start(world: &mut World, with: With, what: What) -> JobStatus {
    match world.ask_mrfc(MrfRequest::Begin(NewJob { with, what })) {
        MrfReply::Job(job) => *job,
        other => panic!("{other:?}"),
    }
}

fn job(world: &mut World, id: u64) -> JobStatus {
    match world.ask_mrfc(MrfRequest::Job(id)) {
        MrfReply::Job(job) => *job,
        other => panic!("{other:?}"),
    }
}

/// Runs until a job is so.
fn wait_for_job(world: &mut World, id: u64, state: &str) -> JobStatus {
    for _ in 0..4000 {
        let now = job(world, id);
        if now.state == state {
            return now;
        }
        world.network.run_for(SECOND / 10);
    }
    panic!("not {state}: {:?}", job(world, id));
}

fn open(world: &mut World, name: &str, users: &[usize]) -> ConferenceDetail {
    let invite = users.iter().map(|user| format!("sip:{}", identity(*user)));
    let wanted = NewConference {
        name: Some(name.into()),
        invite: invite.collect(),
    };
    match world.ask_mrfc(MrfRequest::Open(wanted)) {
        MrfReply::Opened(conference) => *conference,
        other => panic!("{other:?}"),
    }
}

fn shown(world: &mut World) -> MrfDetail {
    match world.ask_mrfc(MrfRequest::Show) {
        MrfReply::Shown(detail) => *detail,
        other => panic!("{other:?}"),
    }
}

fn refusal(reply: MrfReply) -> u16 {
    match reply {
        MrfReply::Refused(status, _) => status,
        other => panic!("{other:?}"),
    }
}

fn established(world: &mut World, phone: usize) {
    world.expect(phone, "established", |event| {
        matches!(event, Event::Established { .. })
    });
}

/// The termination with a signal of this package.
fn doing<'a>(mrfp: &'a MrfpHost, package: &str) -> Option<&'a MrfpTermination> {
    let does = |it: &&MrfpTermination| {
        it.signals
            .iter()
            .any(|signal| signal.name.package() == package)
    };
    mrfp.terminations().find(does)
}

/// The MRFP reports an event of the termination with a signal of this package.
fn report(world: &mut World, package: &str, event: &str) {
    world.act_mrfp(0, |mrfp, now| {
        let name = doing(mrfp, package).expect("it does that").name.clone();
        mrfp.report(now, &name, event);
    });
}

const PLAYED: &str = "g/sc { SigID = aasb/play, Meth = TO }";

#[test]
fn a_user_is_called_and_hears_what_is_played() {
    everywhere(&setup(1), |world| {
        begin(world, &[0]);
        // What he is called at home is enough.
        let user = identity(0).split('@').next().expect("a name").to_owned();
        let parts = ["prompt:goodbye", "var:date;ymd;20261121"];
        let begun = start(world, With::User(user), play(&parts));
        assert_eq!(
            (begun.state, begun.with),
            ("calling", format!("sip:{}", identity(0)))
        );
        established(world, 0);
        let running = wait_for_job(world, begun.id, "running");
        assert!(running.gateway.is_some());
        wait(world, "it plays", |mrfp| doing(mrfp, "aasb").is_some());
        let one = doing(world.mrfp(0), "aasb").expect("it plays").clone();
        let announced = "<prompt:goodbye>,<var:date;ymd;20261121;de>";
        assert_eq!(one.played("an").as_deref(), Some(announced));
        assert_eq!(one.played("it").as_deref(), Some("2"));
        report(world, "aasb", PLAYED);
        world.expect_end(0);
        let done = job(world, begun.id);
        assert_eq!(
            (done.state, done.cause.as_deref()),
            ("done", Some("complete"))
        );
        assert!(done.length_ms.is_some());
        wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
        assert_eq!(shown(world).calls, 0);
    });
}

#[test]
fn a_user_who_does_not_answer_hears_nothing_and_somebody_is_told_why() {
    let world = &mut setup(2).build();
    begin(world, &[0]);
    world.policy(0, |policy| policy.incoming = vec![Step::Reject(486)]);
    for (user, status) in [(0, 486), (1, 480)] {
        let with = With::User(identity(user));
        let begun = start(world, with, play(&["4"]));
        let failed = wait_for_job(world, begun.id, "failed");
        assert_eq!(failed.status, Some(status), "{failed:?}");
        assert!(failed.cause.is_some());
    }
    wait(world, "no context stays", |mrfp| mrfp.contexts.is_empty());
}

#[test]
fn what_the_gateway_cannot_play_fails_and_the_user_is_let_go() {
    let world = &mut setup(1).build();
    begin(world, &[0]);
    let begun = start(world, With::User(identity(0)), play(&["file:none.wav"]));
    established(world, 0);
    wait(world, "it plays", |mrfp| doing(mrfp, "aasb").is_some());
    report(world, "aasb", "aasb/audfail { rc = 604 }");
    world.expect_end(0);
    let failed = wait_for_job(world, begun.id, "failed");
    assert!(failed.cause.is_some_and(|why| why.contains("604")));
    wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
}

#[test]
fn a_recording_of_a_user_ends_by_itself_by_hanging_up_or_when_asked() {
    let world = &mut setup(1).build();
    begin(world, &[0]);
    let recorded = "aasrec/precsucc { ri = \"a.wav\", rd = 4200, res = \"postspeech silence\" }";
    for end in ["itself", "hanging up", "asked"] {
        let begun = start(world, With::User(identity(0)), record("a.wav"));
        established(world, 0);
        wait(world, "it records", |mrfp| doing(mrfp, "aasrec").is_some());
        let one = doing(world.mrfp(0), "aasrec").expect("it records").clone();
        assert_eq!(one.played("ip").as_deref(), Some("<prompt:leave-message>"));
        match end {
            "itself" => report(world, "aasrec", recorded),
            "asked" => {
                let ended = world.ask_mrfc(MrfRequest::End(begun.id));
                assert!(matches!(ended, MrfReply::Done), "{ended:?}");
            }
            _ => {
                world.network.run_for(2 * SECOND);
                world.act(0, |agent, now| {
                    let call = agent.calls().next().expect("a call");
                    agent.hang_up(now, call).expect("it is under way");
                });
            }
        }
        world.expect_end(0);
        let done = wait_for_job(world, begun.id, "done");
        assert_eq!(done.recording.as_deref(), Some("a.wav"), "{end}");
        let cause = match end {
            "itself" => "silence",
            "asked" => "asked",
            _ => "hang-up",
        };
        assert_eq!(done.cause.as_deref(), Some(cause));
        wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
    }
}

#[test]
fn a_conference_is_opened_watched_and_ended() {
    everywhere(&setup(2), |world| {
        begin(world, &[0, 1]);
        let opened = open(world, "team", &[0, 1]);
        assert_eq!((opened.kind, opened.members.len()), ("focus", 2));
        assert!(opened.uri.is_some_and(|uri| uri.contains("mrfc.team@")));
        for phone in [0, 1] {
            established(world, phone);
        }
        let is_modes = |mrfp: &MrfpHost, modes: [StreamMode; 2]| {
            let mut are: Vec<_> = mrfp.terminations().map(|it| it.mode).collect();
            are.sort_by_key(|mode| *mode as u8);
            let mut wanted = modes.to_vec();
            wanted.sort_by_key(|mode| *mode as u8);
            are == wanted
        };
        let both = StreamMode::SendReceive;
        wait(world, "both are in", |mrfp| is_modes(mrfp, [both, both]));
        let seen = shown(world).conferences.remove(0);
        assert!(seen.gateway.is_some() && seen.context.is_some());
        let locals: Vec<_> = seen.members.iter().filter_map(|it| it.local).collect();
        let here: Vec<_> = world.mrfp(0).terminations().map(|it| it.local).collect();
        assert_eq!(locals, here);
        let states: Vec<_> = seen.members.iter().map(|it| it.state).collect();
        assert_eq!(states, ["connected", "connected"]);

        let conference = || "team".to_owned();
        let first = seen.members[0].id;
        let mute = |is_muted| MrfRequest::Mute {
            conference: conference(),
            member: first,
            is_muted,
        };
        assert!(matches!(world.ask_mrfc(mute(true)), MrfReply::Done));
        wait(world, "one is muted", |mrfp| {
            is_modes(mrfp, [StreamMode::SendOnly, both])
        });
        assert_eq!(
            shown(world).conferences[0].members[0].state,
            "muted-via-focus"
        );
        assert!(matches!(world.ask_mrfc(mute(false)), MrfReply::Done));
        wait(world, "both are heard", |mrfp| is_modes(mrfp, [both, both]));

        let expel = MrfRequest::Expel {
            conference: conference(),
            member: first,
        };
        assert!(matches!(world.ask_mrfc(expel), MrfReply::Done));
        world.expect_end(0);
        let again = MrfRequest::Invite {
            conference: conference(),
            user: identity(0),
        };
        assert!(matches!(world.ask_mrfc(again), MrfReply::Done));
        established(world, 0);
        let close = MrfRequest::Close(conference());
        assert!(matches!(world.ask_mrfc(close), MrfReply::Done));
        for phone in [0, 1] {
            world.expect_end(phone);
        }
        wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
        assert!(shown(world).conferences.is_empty());
    });
}

#[test]
fn a_conference_that_nobody_comes_to_ends() {
    let world = &mut setup(1).build();
    begin(world, &[0]);
    open(world, "lonely", &[]);
    world.network.run_for(599 * SECOND);
    assert_eq!(shown(world).conferences.len(), 1);
    world.network.run_for(2 * SECOND);
    assert!(shown(world).conferences.is_empty());
    world.policy(0, |policy| policy.incoming = vec![Step::Reject(603)]);
    open(world, "unwanted", &[0]);
    world.network.run_for(SECOND);
    assert!(shown(world).conferences.is_empty());
    wait(world, "no context stays", |mrfp| mrfp.contexts.is_empty());
}

#[test]
fn what_is_played_into_a_conference_goes_on_when_its_player_leaves() {
    let world = &mut setup(2).build();
    begin(world, &[0, 1]);
    open(world, "team", &[0, 1]);
    for phone in [0, 1] {
        established(world, phone);
    }
    let begun = start(
        world,
        With::Conference("team".into()),
        play(&["prompt:goodbye"]),
    );
    wait(world, "it plays", |mrfp| doing(mrfp, "aasb").is_some());
    let first = doing(world.mrfp(0), "aasb").expect("it plays").clone();
    assert_eq!(first.played("di").as_deref(), Some("both"));
    let leaver = [0, 1].into_iter().find(|phone| {
        let remote = first.remote.expect("it is known");
        let place = world.phone(*phone).phone().agent().config();
        place.media_ip == remote.ip() && place.media_ports.contains(&remote.port())
    });
    let hang_up = |world: &mut World, phone: usize| {
        world.act(phone, |agent, now| {
            let call = agent.calls().next().expect("a call");
            agent.hang_up(now, call).expect("it is under way");
        });
    };
    // Behind a TrGW it is not seen whose termination it is: the first was called first.
    hang_up(world, leaver.unwrap_or(0));
    wait(world, "another plays", |mrfp| {
        doing(mrfp, "aasb").is_some_and(|it| it.name != first.name)
    });
    assert_eq!(job(world, begun.id).state, "running");
    report(world, "aasb", PLAYED);
    wait_for_job(world, begun.id, "done");
    hang_up(world, 1 - leaver.unwrap_or(0));
    wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
}

#[test]
fn a_conference_is_recorded_by_an_ear_and_a_recorder() {
    let world = &mut setup(1).build();
    begin(world, &[0]);
    open(world, "team", &[0]);
    established(world, 0);
    let with = || With::Conference("team".into());
    for ends_first in ["job", "conference"] {
        let begun = start(world, with(), record("mix.wav"));
        wait(world, "it records", |mrfp| doing(mrfp, "aasrec").is_some());
        let mrfp = world.mrfp(0);
        assert_eq!(mrfp.contexts.len(), 2);
        let recorder = doing(mrfp, "aasrec").expect("it records");
        let ear = mrfp.towards(recorder.local).expect("it is sent to");
        assert_eq!(recorder.remote, Some(ear.local));
        assert_eq!(
            (ear.mode, recorder.mode),
            (StreamMode::SendOnly, StreamMode::ReceiveOnly)
        );
        // The ear is no member.
        assert_eq!(shown(world).conferences[0].members.len(), 1);
        if ends_first == "job" {
            world.ask_mrfc(MrfRequest::End(begun.id));
            wait(world, "the member stays", |mrfp| {
                mrfp.contexts.len() == 1 && mrfp.terminations().count() == 1
            });
        } else {
            world.ask_mrfc(MrfRequest::Close("team".into()));
            world.expect_end(0);
        }
        wait_for_job(world, begun.id, "done");
    }
    wait(world, "all contexts go", |mrfp| mrfp.contexts.is_empty());
}

#[test]
fn a_recording_of_a_conference_and_what_a_user_hears_go_on_after_a_restart() {
    let world = &mut setup(2).build();
    begin(world, &[0, 1]);
    open(world, "team", &[0]);
    established(world, 0);
    let mix = start(world, With::Conference("team".into()), record("mix.wav"));
    wait(world, "it records", |mrfp| doing(mrfp, "aasrec").is_some());
    let user = With::User(format!("sip:{}", identity(1)));
    let played = start(world, user, play(&["prompt:goodbye"]));
    established(world, 1);
    wait(world, "it plays", |mrfp| doing(mrfp, "aasb").is_some());
    world.network.run_for(10 * SECOND);
    world.restart(world.scscf);
    world.network.run_for(10 * SECOND);
    assert_eq!(job(world, mix.id).state, "running");
    assert_eq!(job(world, played.id).state, "running");
    assert_eq!(world.mrfp(0).terminations().count(), 4);
    report(world, "aasb", PLAYED);
    world.expect_end(1);
    wait_for_job(world, played.id, "done");
    let recorded = "aasrec/precsucc { ri = mix.wav, rd = 21000, res = \"maximum\" }";
    report(world, "aasrec", recorded);
    wait_for_job(world, mix.id, "done");
    wait(world, "the member stays", |mrfp| {
        mrfp.terminations().count() == 1
    });
    world.restart(world.scscf);
    assert_eq!(job(world, mix.id).state, "done");
    world.ask_mrfc(MrfRequest::Close("team".into()));
    world.expect_end(0);
    wait(world, "all contexts go", |mrfp| mrfp.contexts.is_empty());
}

#[test]
fn a_recorder_that_cannot_be_had_leaves_the_conference_alone() {
    let world = &mut setup(1).build();
    begin(world, &[0]);
    open(world, "team", &[0]);
    established(world, 0);
    world.act_mrfp(0, |mrfp, _| {
        mrfp.refusals.push_back(ErrorCode::INSUFFICIENT_RESOURCES);
    });
    let begun = start(world, With::Conference("team".into()), record("mix.wav"));
    wait_for_job(world, begun.id, "failed");
    assert_eq!(shown(world).conferences[0].members.len(), 1);
    world.ask_mrfc(MrfRequest::Close("team".into()));
    world.expect_end(0);
    wait(world, "all contexts go", |mrfp| mrfp.contexts.is_empty());
}

#[test]
fn what_cannot_be_done_is_refused_with_a_status() {
    let world = &mut setup(1).build();
    begin(world, &[0]);
    let user = || With::User(identity(0));
    let begin = |with, what| MrfRequest::Begin(NewJob { with, what });
    let named = |name: &str| {
        MrfRequest::Open(NewConference {
            name: Some(name.into()),
            invite: Vec::new(),
        })
    };
    open(world, "team", &[]);
    for (request, status) in [
        (begin(user(), play(&[])), 400),
        (begin(user(), play(&["1"; 33])), 400),
        (begin(user(), record("../a")), 400),
        (begin(With::User("a b".into()), play(&["1"])), 400),
        (begin(With::Conference("none".into()), play(&["1"])), 404),
        (named("team"), 409),
        (named("a b"), 400),
        (MrfRequest::Close("none".into()), 404),
        (MrfRequest::Job(77), 404),
        (MrfRequest::End(77), 404),
    ] {
        let text = format!("{request:?}");
        assert_eq!(refusal(world.ask_mrfc(request)), status, "{text}");
    }
    let nobody = start(world, With::Conference("team".into()), play(&["1"]));
    assert_eq!(nobody.state, "failed");
    world.stop_mrfp(0);
    world.network.run_for(60 * SECOND);
    let unserved = start(world, user(), play(&["1"]));
    let unserved = wait_for_job(world, unserved.id, "failed");
    assert_eq!(unserved.status, Some(503));
}
