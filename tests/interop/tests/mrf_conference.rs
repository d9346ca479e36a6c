//! Conferences of three in three codecs, by SIPp through our MRFC and MRFP: by a focus, which
//! somebody watches, and by MSML. Who hears whom is told by the pitch of what each one says.

use std::net::SocketAddr;
use std::time::Duration;

use interop::mrf::{MEDIA_PORT, Mrf};
use interop::network::{Family, Ues};
use interop::scenario::Scenario;
use interop::voice::{self, Format, Voice};

const CALL_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take until all is heard as it is to be.
const TALK_LIMIT: Duration = Duration::from_secs(20);
/// A tone is heard above this, and not below that.
const HEARD_DBOV: f32 = -30.0;
const UNHEARD_DBOV: f32 = -45.0;

const TONES: [f32; 3] = [500.0, 800.0, 1300.0];
/// Each of `listeners` hears the tones of the other `speakers` and no more: not its own.
fn hear_each_other(
    voices: &[(Voice, SocketAddr)],
    listeners: &[usize],
    speakers: &[usize],
) -> bool {
    listeners.iter().all(|own| {
        TONES.iter().enumerate().all(|(index, hz)| {
            let is_due = index != *own && speakers.contains(&index);
            voices[*own]
                .0
                .level_at(*hz)
                .is_some_and(|level| match is_due {
                    true => level > HEARD_DBOV,
                    false => level < UNHEARD_DBOV,
                })
        })
    })
}

/// All speak until it is so.
fn expect(voices: &mut [(Voice, SocketAddr)], what: &str, listeners: &[usize], speakers: &[usize]) {
    let is_well = voice::talk(voices, TALK_LIMIT, |it| {
        hear_each_other(it, listeners, speakers)
    });
    let levels = |(voice, _): &(Voice, SocketAddr)| TONES.map(|hz| voice.level_at(hz));
    let levels: Vec<_> = voices.iter().map(levels).collect();
    assert!(is_well, "{what}: {levels:?}");
}

#[test]
fn three_parties_of_three_codecs_hear_each_other_and_a_watcher_sees_what_they_do() {
    const FORMATS: [Format; 3] = [Format::PCMU, Format::AMR_WB, Format::OPUS];
    let mut mrf = Mrf::new();
    // The room is spread over its workers.
    mrf.start_mrfp_of_parts(2);
    mrf.wait_for_mrfp(2);
    let ues = Ues::new(Family::V4, Family::V4);
    let parties = [&ues.alice, &ues.bob, &ues.carol];
    let media = |place: usize| FORMATS[place].describe(MEDIA_PORT);
    let join = |place: usize, target: &str| Scenario::call(target, &media(place));
    // The first asks the factory for a conference, to which the others are led.
    let first = join(0, "sip:conference@127.0.0.1:5060").waits_for_cue();
    let mut calling = vec![mrf.play(parties[0], &first.hangs_up())];
    let contact = mrf.received(parties[0], "Contact: ", &['\r', '\n']);
    assert!(contact.contains(";isfocus"), "{contact}");
    let focus = contact.trim_start_matches('<');
    let focus = &focus[..focus.find('>').expect("a URI in brackets")];
    let watching = mrf.call_with(&ues.dave, "watcher.xml", &[("target", focus)]);
    calling.push(mrf.play(parties[1], &join(1, focus).waits_for_cue().hangs_up()));
    // The last one mutes itself, speaks again, and holds (RFC 3264 8.4).
    let last = join(2, focus)
        .waits_for_cue()
        .offers(&format!("{}\r\na=recvonly", media(2)), "a=sendonly")
        .waits_for_cue()
        .offers(&media(2), "m=audio")
        .waits_for_cue()
        .offers(&format!("{}\r\na=inactive", media(2)), "a=inactive")
        .waits_for_cue()
        .hangs_up();
    calling.push(mrf.play(parties[2], &last));

    let voice = |place: usize| mrf.voice_of(parties[place], &FORMATS[place], Some(TONES[place]));
    let mut voices = [0, 1, 2].map(voice);
    expect(&mut voices, "all talk", &[0, 1, 2], &[0, 1, 2]);
    assert_eq!(mrf.workers_of_room(2), [0, 1]);
    mrf.cue(parties[2]);
    expect(&mut voices, "one has muted itself", &[0, 1, 2], &[0, 1]);
    mrf.cue(parties[2]);
    expect(&mut voices, "it talks again", &[0, 1, 2], &[0, 1, 2]);
    mrf.cue(parties[2]);
    expect(&mut voices, "it holds", &[0, 1], &[0, 1]);
    parties.iter().rev().for_each(|ue| mrf.cue(ue));

    for call in calling {
        call.wait(CALL_LIMIT).expect_success("a party");
    }
    watching.wait(CALL_LIMIT).expect_success("the watcher");
    mrf.wait_until_idle();
    let seen = mrf.messages(&ues.dave);
    let mut rest = seen.as_str();
    // All are there, one is mute, talks and holds, then it is over.
    for step in [
        "<user-count>3</user-count>",
        "<status>recvonly</status>",
        "<status>sendrecv</status>",
        "<status>inactive</status>",
        "state=\"deleted\"",
        "terminated;reason=noresource",
    ] {
        let (_, after) = rest
            .split_once(step)
            .unwrap_or_else(|| panic!("{step} is missing in its place:\n{seen}"));
        rest = after;
    }
    for ue in parties {
        assert!(
            seen.contains(&format!("entity=\"{}\"", ue.impu())),
            "{seen}"
        );
    }
    mrf.wait_for_packets("sip.Method == BYE", 3);
    mrf.finish(|analysis| analysis.assert_clean(&["sip", "megaco"]));
}

#[test]
fn an_application_server_makes_a_conference_mutes_a_party_and_parts_it() {
    const FORMATS: [Format; 3] = [Format::PCMA, Format::G722, Format::AMR];
    const TARGET: &str = "sip:msml@127.0.0.1:5060";
    let mut mrf = Mrf::new();
    mrf.start_mrfp(2);
    mrf.wait_for_mrfp(2);
    let ues = Ues::new(Family::V4, Family::V4);
    let parties = [&ues.alice, &ues.bob, &ues.carol];
    let call = |place: usize| Scenario::call(TARGET, &FORMATS[place].describe(MEDIA_PORT));
    let mut calling: Vec<_> = [1, 2]
        .map(|place| mrf.play(parties[place], &call(place).waits_for_cue().hangs_up()))
        .into();
    // The first is the connection of the server, which says what becomes of the others.
    let [second, third] = [1, 2].map(|place| mrf.connection(parties[place]));
    let gain = |how: &str| {
        format!(
            "<modifystream id1=\"{third}\" id2=\"conf:room\"><stream media=\"audio\" \
             dir=\"from-id1\"><gain amt=\"{how}\"/></stream></modifystream>"
        )
    };
    let join = |party: &str| format!("<join id1=\"{party}\" id2=\"conf:room\"/>");
    let done = "response=.200.";
    let first = call(0)
        .asks("<createconference name=\"room\"/>", done)
        .asks(
            &[join("{conn}"), join(&second), join(&third)].concat(),
            done,
        )
        .waits_for_cue()
        .asks(&gain("mute"), done)
        .waits_for_cue()
        .asks(&gain("unmute"), done)
        .waits_for_cue()
        .asks(
            &format!("<unjoin id1=\"{second}\" id2=\"conf:room\"/>"),
            done,
        )
        .waits_for_cue()
        .hangs_up();
    calling.push(mrf.play(parties[0], &first));

    let voice = |place: usize| mrf.voice_of(parties[place], &FORMATS[place], Some(TONES[place]));
    let mut voices = [0, 1, 2].map(voice);
    expect(&mut voices, "all talk", &[0, 1, 2], &[0, 1, 2]);
    mrf.cue(parties[0]);
    expect(&mut voices, "one is mute", &[0, 1, 2], &[0, 1]);
    mrf.cue(parties[0]);
    expect(&mut voices, "it is not any more", &[0, 1, 2], &[0, 1, 2]);
    mrf.cue(parties[0]);
    expect(&mut voices, "another has left", &[0, 2], &[0, 2]);
    parties.iter().for_each(|ue| mrf.cue(ue));
    for call in calling {
        call.wait(CALL_LIMIT).expect_success("a party");
    }
    mrf.wait_until_idle();
    mrf.wait_for_packets("sip.Method == BYE", 3);
    mrf.finish(|analysis| analysis.assert_clean(&["sip", "megaco"]));
}

#[test]
fn a_conference_goes_on_when_its_mrfc_is_killed_in_talk_and_in_hold() {
    let mut mrf = Mrf::new();
    mrf.start_mrfp(2);
    mrf.wait_for_mrfp(2);
    let ues = Ues::new(Family::V4, Family::V4);
    let parties = [&ues.alice, &ues.bob, &ues.carol];
    let media = Format::PCMA.describe(MEDIA_PORT);
    let join = |target: &str| Scenario::call(target, &media).waits_for_cue();
    let mut calling = vec![mrf.play(
        parties[0],
        &join("sip:conference@127.0.0.1:5060").hangs_up(),
    )];
    let contact = mrf.received(parties[0], "Contact: ", &['\r', '\n']);
    let focus = contact.trim_start_matches('<');
    let focus = &focus[..focus.find('>').expect("a URI in brackets")];
    let watching = mrf.call_with(&ues.dave, "watcher.xml", &[("target", focus)]);
    // The second holds, and speaks again.
    let second = join(focus)
        .offers(&format!("{media}\r\na=inactive"), "a=inactive")
        .waits_for_cue()
        .offers(&media, "m=audio")
        .waits_for_cue()
        .hangs_up();
    calling.push(mrf.play(parties[1], &second));
    let voice =
        |mrf: &Mrf, place: usize| mrf.voice_of(parties[place], &Format::PCMA, Some(TONES[place]));
    let mut voices: Vec<_> = [0, 1].map(|place| voice(&mrf, place)).into();
    expect(&mut voices, "both talk", &[0, 1], &[0, 1]);

    mrf.kill_control();
    voice::talk(&mut voices, Duration::from_secs(1), |_| false);
    expect(
        &mut voices,
        "they talk while nobody controls it",
        &[0, 1],
        &[0, 1],
    );
    mrf.start_control("control-2");
    assert!(
        mrf.log().contains("media calls taken up again"),
        "{}",
        mrf.log()
    );
    assert!(is_of(&mrf.status(), 2), "{:#}", mrf.status());
    calling.push(mrf.play(parties[2], &join(focus).hangs_up()));
    voices.push(voice(&mrf, 2));
    expect(&mut voices, "another comes", &[0, 1, 2], &[0, 1, 2]);

    mrf.cue(parties[1]);
    expect(&mut voices, "the second holds", &[0, 2], &[0, 2]);
    mrf.kill_control();
    mrf.start_control("control-3");
    voice::talk(&mut voices, Duration::from_secs(1), |_| false);
    expect(&mut voices, "it holds still", &[0, 2], &[0, 2]);
    mrf.cue(parties[1]);
    expect(&mut voices, "it talks again", &[0, 1, 2], &[0, 1, 2]);
    parties.iter().for_each(|ue| mrf.cue(ue));
    for call in calling {
        call.wait(CALL_LIMIT).expect_success("a party");
    }
    watching.wait(CALL_LIMIT).expect_success("the watcher");
    mrf.wait_until_idle();
    let seen = mrf.messages(&ues.dave);
    // At first, twice after a restart, and at the end.
    let whole = seen.matches("state=\"full\" version=").count();
    assert!(whole >= 4, "{whole}:\n{seen}");
    mrf.wait_for_packets("sip.Method == BYE", 3);
    mrf.finish(|analysis| {
        analysis.assert_clean(&["sip", "megaco"]);
        // Nobody is sent anything by another source than at first.
        let streams = analysis.rtp_streams();
        for ue in [14, 16] {
            let from = streams.iter().filter(|it| {
                it.source.starts_with("127.0.0.2:")
                    && it.destination.starts_with(&format!("127.0.0.{ue}:"))
            });
            assert_eq!(from.count(), 1, "{streams:#?}");
        }
    });
}

fn is_of(status: &serde_json::Value, members: u64) -> bool {
    status["mrf"]["conferences"][0]["members"] == members
}
