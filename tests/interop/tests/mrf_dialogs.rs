//! What is collected, recorded and played in dialogs of MSML (RFC 5707 9) that SIPp asks of our
//! MRFC: keys and speech are in the media, of several codecs; ffmpeg and sox say what was heard.

use std::net::IpAddr;
use std::time::Duration;

use interop::mrf::{MEDIA_PORT, Mrf, media_of};
use interop::network::{Family, Ues};
use interop::quality::{RATE, compare};
use interop::scenario::Scenario;
use interop::sipp::Ue;
use interop::voice::{self, Act, Format};
use interop::{Analysis, reference};

const CALL_LIMIT: Duration = Duration::from_secs(60);
const PART_LIMIT: Duration = Duration::from_secs(60);
const TARGET: &str = "sip:msml@127.0.0.1:5060";
const MRFP: &str = "127.0.0.2";

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One UE, how its audio is sent, what SIPp does for it, and what is said and pressed.
struct Party<'a> {
    ue: &'a Ue,
    format: Format,
    dialogs: Box<dyn Fn(Scenario) -> Scenario>,
    acts: Vec<Act>,
}

/// All call at once, each does its part, and all hang up.
fn all_do_their_part(
    parties: &[Party<'_>],
    check: impl FnOnce(&Mrf),
    judge: impl FnOnce(&Analysis),
) {
    let mut mrf = Mrf::new();
    mrf.start_mrfp(2);
    mrf.wait_for_mrfp(2);
    let call = |party: &Party<'_>| {
        let scenario = Scenario::call(TARGET, &party.format.describe(MEDIA_PORT));
        mrf.play(party.ue, &(party.dialogs)(scenario).hangs_up())
    };
    let calling: Vec<_> = parties.iter().map(call).collect();
    let voice = |party: &Party<'_>| {
        let (voice, peer) = mrf.voice_of(party.ue, &party.format, None);
        (voice.with_part(&party.acts), peer)
    };
    let mut voices: Vec<_> = parties.iter().map(voice).collect();
    voice::play(&mut voices, PART_LIMIT);
    for (call, party) in calling.into_iter().zip(parties) {
        call.wait(CALL_LIMIT).expect_success(party.ue.user);
    }
    mrf.wait_until_idle();
    check(&mrf);
    mrf.wait_for_packets("sip.Method == BYE", parties.len());
    mrf.finish(|analysis| {
        analysis.assert_clean(&["sip", "megaco", "rtp"]);
        judge(analysis);
    });
}

/// A prompt that goes on until it is interrupted, and a pattern with its timers.
fn asks(timers: &str, pattern: &str) -> String {
    format!(
        "<collect {timers}><play iterate=\"forever\"><audio uri=\"9\"/></play><pattern \
         {pattern}/></collect>"
    )
}

/// Keys are pressed when a prompt is heard, which then is heard no more.
fn interrupted_by(keys: Act) -> [Act; 3] {
    [Act::Hear(ms(300)), keys, Act::Silence(ms(200))]
}

#[test]
fn keys_are_collected_in_band_and_as_events_by_maps_and_timers() {
    let ues = Ues::new(Family::V4, Family::V4);
    // Between dialogs it is quiet for a while, so that a prompt is known to have ended.
    const BETWEEN_MS: u32 = 500;
    // A return key; nothing in time; too little in time; what could go on and does not.
    let timers: fn(Scenario) -> Scenario = |call| {
        call.runs(
            "return",
            &asks("", "digits=\"min=1;max=4;rtk=#\""),
            &[("dtmf.digits", "12"), ("dtmf.end", "dtmf.match")],
        )
        .waits(BETWEEN_MS)
        .runs(
            "nothing",
            "<collect fdt=\"1s\"><play><audio uri=\"10\"/></play><pattern digits=\"x\"/></collect>",
            &[("dtmf.end", "dtmf.noinput")],
        )
        .runs(
            "less",
            &asks("idt=\"600ms\"", "digits=\"length=4\""),
            &[("dtmf.digits", "78"), ("dtmf.end", "dtmf.nomatch")],
        )
        .waits(BETWEEN_MS)
        .runs(
            "longer",
            &asks("edt=\"600ms\"", "digits=\"1|12\" format=\"megaco\""),
            &[("dtmf.digits", "1"), ("dtmf.end", "dtmf.match")],
        )
    };
    // A map of several ways, of which none fits what is pressed then.
    let maps: fn(Scenario) -> Scenario = |call| {
        let ways = "digits=\"(1x|E9|3xx)\" format=\"megaco\"";
        call.runs(
            "star",
            &asks("", ways),
            &[("dtmf.digits", "\\*9"), ("dtmf.end", "dtmf.match")],
        )
        .waits(BETWEEN_MS)
        .runs(
            "three",
            &asks("", ways),
            &[("dtmf.digits", "345"), ("dtmf.len", "3")],
        )
        .waits(BETWEEN_MS)
        .runs("none", &asks("", ways), &[("dtmf.end", "dtmf.nomatch")])
    };
    let press = |press: fn(&'static str) -> Act, keys: &[&'static str]| {
        let each = keys.iter().flat_map(|keys| interrupted_by(press(keys)));
        each.collect::<Vec<Act>>()
    };
    let with_pause = |mut acts: Vec<Act>| {
        // The second is asked, and says nothing.
        let nothing = [Act::Hear(ms(100)), Act::Silence(ms(200))];
        acts.splice(3..3, nothing);
        acts
    };
    let by_timers = ["12#", "78", "1"];
    let by_maps = ["*9", "345", "8"];
    let party = |ue, format, dialogs: fn(Scenario) -> Scenario, acts| Party {
        ue,
        format,
        dialogs: Box::new(dialogs),
        acts,
    };
    let parties = [
        party(
            &ues.alice,
            Format::PCMU.without_events(),
            timers,
            with_pause(press(Act::Keys, &by_timers)),
        ),
        party(
            &ues.bob,
            Format::AMR.without_events(),
            maps,
            press(Act::Keys, &by_maps),
        ),
        party(
            &ues.carol,
            Format::AMR_WB,
            timers,
            with_pause(press(Act::Events, &by_timers)),
        ),
        party(&ues.dave, Format::OPUS, maps, press(Act::Events, &by_maps)),
    ];
    all_do_their_part(&parties, |_| (), |_| ());
}

#[test]
fn what_is_recorded_is_heard_again_in_the_file_and_from_rtp() {
    const SAID: Duration = ms(1500);
    let ues = Ues::new(Family::V4, Family::V4);
    // The formats of the file and of the call, and how far the spectrum may be, in dB: on a busy
    // machine packets come too late. Other words are 8 dB away.
    let cases = [
        (&ues.alice, Format::PCMU, "pcm.wav", 2.0),
        (&ues.bob, Format::AMR, "narrow.amr", 4.5),
        (&ues.carol, Format::AMR_WB, "wide.awb", 4.5),
        (&ues.dave, Format::OPUS, "full.opus", 4.5),
    ];
    let seed = |place: usize| place as u32 + 5;
    let mut parties = Vec::new();
    for (place, &(ue, format, file, _)) in cases.iter().enumerate() {
        let record = format!(
            "<record dest=\"{file}\" maxtime=\"20s\" termkey=\"#\"><play><audio \
             uri=\"6\"/></play></record>"
        );
        let again = format!("<play><audio uri=\"recording:{file}\"/></play>");
        let dialogs = move |call: Scenario| {
            let ends = [("record.end", "record.complete.termkey")];
            call.runs("record", &record, &ends).runs(
                "again",
                &again,
                &[("play.end", "play.complete")],
            )
        };
        parties.push(Party {
            ue,
            format,
            dialogs: Box::new(dialogs),
            acts: vec![
                Act::Hear(ms(300)),
                Act::Silence(ms(400)),
                Act::Speak(seed(place), SAID),
                Act::Events("#"),
                Act::Hear(ms(500)),
                Act::Silence(ms(400)),
            ],
        });
    }
    let judge = |place: usize, what: &str, heard: &[i16]| {
        let said = voice::speech(seed(place), SAID, RATE);
        let quality = compare(&said[..said.len() * 2 / 3], heard).expect("it is heard");
        println!("{what}: {quality:?}");
        assert!(quality.distance_db < cases[place].3, "{what}: {quality:?}");
    };
    let judge_files = |mrf: &Mrf| {
        for (place, (_, _, file, _)) in cases.iter().enumerate() {
            let path = mrf.recordings(2).join(file);
            let by = |program: &str| format!("{file} by {program}");
            judge(
                place,
                &by("ffmpeg"),
                &reference::file_by_ffmpeg(&path, RATE),
            );
            // Debian's sox reads no Opus.
            if !file.ends_with(".opus") {
                judge(place, &by("sox"), &reference::file_by_sox(&path, RATE));
            }
        }
    };
    let judge_streams = |analysis: &Analysis| {
        let mrfp: IpAddr = MRFP.parse().expect("an address");
        for (place, (ue, format, file, _)) in cases.iter().enumerate() {
            let payloads = analysis.payloads(mrfp, media_of(ue), format);
            let heard = reference::decode(format, &payloads, RATE);
            judge(place, &format!("{file} from RTP"), &heard);
        }
    };
    all_do_their_part(&parties, judge_files, judge_streams);
}
