//! A conference of three in three codecs, by SIPp through our MRFC and MRFP, and who watches it.

use std::net::SocketAddr;
use std::time::Duration;

use interop::mrf::{MEDIA_PORT, Mrf};
use interop::network::{Family, Ues};
use interop::voice::{self, Format, Voice};

const CALL_LIMIT: Duration = Duration::from_secs(30);
/// As long as a party stays.
const TALK_LIMIT: Duration = Duration::from_secs(10);
/// A tone is heard above this, and not below that.
const HEARD_DBOV: f32 = -30.0;
const UNHEARD_DBOV: f32 = -45.0;

const TONES: [f32; 3] = [500.0, 800.0, 1300.0];
const FORMATS: [Format; 3] = [Format::PCMU, Format::AMR_WB, Format::OPUS];

/// Each of these hears the tones of the others and no more: not its own.
fn hear_each_other(voices: &[(Voice, SocketAddr)], who: &[usize]) -> bool {
    who.iter().all(|own| {
        TONES.iter().enumerate().all(|(index, hz)| {
            let is_due = index != *own && who.contains(&index);
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

#[test]
fn three_parties_of_three_codecs_hear_each_other_and_a_watcher_sees_what_they_do() {
    let mut mrf = Mrf::new();
    mrf.start_mrfp(2);
    mrf.wait_for_mrfp(2);
    let ues = Ues::new(Family::V4, Family::V4);
    let parties = [&ues.alice, &ues.bob, &ues.carol];
    let join = |place: usize, target: &str| {
        let media = FORMATS[place].describe(MEDIA_PORT);
        let held = format!("{media}\r\na=inactive");
        let keywords = [("target", target), ("media", &media), ("held", &held)];
        let scenario = ["party.xml", "party.xml", "party-holds.xml"][place];
        mrf.call_with(parties[place], scenario, &keywords)
    };
    // The first asks the factory for a conference, to which the others are led.
    let mut calling = vec![join(0, "sip:conference@127.0.0.1:5060")];
    let focus = mrf.received(parties[0], "Contact: <", &['>']);
    let watching = mrf.call_with(&ues.dave, "watcher.xml", &[("target", &focus)]);
    calling.extend([1, 2].map(|place| join(place, &focus)));

    let voice = |place: usize| mrf.voice_of(parties[place], &FORMATS[place], Some(TONES[place]));
    let mut voices = [0, 1, 2].map(voice);
    // The last one is gone from the mix when it holds.
    for who in [&[0, 1, 2][..], &[0, 1]] {
        let is_well = voice::talk(&mut voices, TALK_LIMIT, |it| hear_each_other(it, who));
        let levels = |(voice, _): &(Voice, SocketAddr)| TONES.map(|hz| voice.level_at(hz));
        let levels: Vec<_> = voices.iter().map(levels).collect();
        assert!(is_well, "{who:?} {levels:?}");
    }

    for call in calling {
        call.wait(CALL_LIMIT).expect_success("a party");
    }
    watching.wait(CALL_LIMIT).expect_success("the watcher");
    mrf.wait_until_idle();
    let seen = mrf.messages(&ues.dave);
    let mut rest = seen.as_str();
    // All are there, one holds, then not all are there, then it is over.
    for step in [
        "<user-count>3</user-count>",
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
