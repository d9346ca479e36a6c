//! Media functions: announcements, tones, digits collected after a prompt, recordings, and contexts
//! of any size; H.248.7, H.248.9 and TS 29.333.

mod rig;

use std::net::SocketAddr;
use std::time::Duration;

use h248::message::{NotifyRequest, ObservedEvent};
use mg::{
    Announced, GatewayConfig, LegPerformance, LegVolume, MP, MediaEvent, Performance,
    PerformanceEnd, Performed,
};
use rig::Rig;

const LOCAL: &str = "Local { v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8 101\na=rtpmap:101 \
                     telephone-event/8000\n }";

/// One termination of an MRFP.
struct Party {
    rig: Rig,
    context: u32,
    local: SocketAddr,
}

fn rig() -> Rig {
    let config = GatewayConfig {
        profile: &MP,
        ..rig::config()
    };
    let mut rig = Rig::with(config, 1, rig::PERFECT);
    rig.start();
    rig.pass(Duration::from_millis(1));
    rig
}

fn add(count: usize) -> String {
    let one = format!(
        "Add = $ {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = SendReceive }}, {LOCAL} }} }} }}"
    );
    vec![one; count].join(",")
}

impl Party {
    fn new() -> Self {
        let mut rig = rig();
        let reply = rig.ask(0, &format!("Context = $ {{ {} }}", add(1)));
        let h248::message::ReplyBody::Actions(actions) = &reply else {
            panic!("{}", rig::print(&reply));
        };
        let context = actions[0].context.as_u32();
        let [local] = rig::locals(&reply).try_into().expect("one address");
        Self {
            rig,
            context,
            local,
        }
    }

    fn modify(&mut self, descriptors: &str) -> String {
        let context = self.context;
        self.rig.say(&format!(
            "Context = {context} {{ Modify = ip/1/1 {{ {descriptors} }} }}"
        ))
    }

    fn accepted(&mut self, descriptors: &str) {
        let reply = self.modify(descriptors);
        assert!(!reply.contains("Error"), "{descriptors}\n{reply}");
    }

    fn refused(&mut self, descriptors: &str, code: u16) {
        let reply = self.modify(descriptors);
        let expected = format!("Error = {code}");
        assert!(reply.contains(&expected), "{descriptors}\n{reply}");
    }

    fn performs(&self) -> Vec<LegPerformance> {
        self.rig.plane.legs[&self.local].0.performs.clone()
    }

    /// The one thing that is performed, in short: `ask out`.
    fn performance(&self) -> String {
        let performs = self.performs();
        let [one] = performs.as_slice() else {
            return format!("{} of them", performs.len());
        };
        let what = match &*one.what {
            Performance::Tone(name) => format!("tone {name}"),
            Performance::Announcement(announcement) => match &announcement.what {
                Announced::Fixed { number, variant } => format!("number {number} {variant}"),
                Announced::Variable { number, value, .. } => format!("number {number} of {value}"),
                Announced::Syntax(syntax) => syntax.clone(),
            },
            Performance::Recording(recording) => format!("record {}", recording.name),
        };
        let out = if one.outward { " out" } else { "" };
        let inward = if one.inward { " in" } else { "" };
        let end = if one.is_finishing { " to end" } else { "" };
        format!("{what}{out}{inward}{end}")
    }

    /// What is performed ends so after so many milliseconds.
    fn ends(&mut self, ending: PerformanceEnd, ms: u64) {
        self.pass(ms);
        let number = self.performs()[0].number;
        self.rig.event(MediaEvent::Performed {
            local: self.local,
            number,
            performed: Performed {
                ending,
                lasted: Duration::from_millis(ms),
            },
        });
    }

    fn dial(&mut self, digits: &str) {
        for digit in digits.chars() {
            let code = "0123456789*#ABCD".find(digit).expect("a digit") as u8;
            let local = self.local;
            self.rig.event(MediaEvent::ToneStarted { local, code });
            self.pass(60);
            let duration = Duration::from_millis(60);
            self.rig.event(MediaEvent::ToneEnded {
                local,
                code,
                duration,
            });
            self.pass(40);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.rig.pass(Duration::from_millis(ms));
    }

    fn heard(&mut self) -> Vec<String> {
        self.pass(0);
        let notified = std::mem::take(&mut self.rig.mgcs[0].notified);
        notified.iter().flat_map(print).collect()
    }
}

fn print(notify: &NotifyRequest) -> Vec<String> {
    let observed = notify.observed.as_ref().expect("observed events");
    let event = |event: &ObservedEvent| {
        let parameters = event.parameters.iter();
        let parameters: String = parameters
            .map(|p| format!(" {}={}", p.name, p.value.as_single().unwrap().as_str()))
            .collect();
        format!("{}{parameters}", event.name)
    };
    observed.events.iter().map(event).collect()
}

const NOTHING: [&str; 0] = [];
const TELL: &str = "NotifyCompletion = { TimeOut, IntByEvent, OtherReason }";

#[test]
fn an_announcement_by_number_ends_by_itself() {
    let mut party = Party::new();
    party.accepted(&format!(
        "Events = 3 {{ g/sc {{ KeepActive }} }}, Signals {{ an/apf {{ {TELL}, an = 7, noc = 2, av = \
         \"de\" }} }}"
    ));
    assert_eq!(party.performance(), "number 7 de out");
    let Performance::Announcement(announcement) = &*party.performs()[0].what else {
        panic!("it is no announcement");
    };
    assert_eq!(announcement.cycles, Some(2));
    party.ends(PerformanceEnd::Complete, 900);
    assert_eq!(party.heard(), ["g/sc SigID=an/apf Meth=TO"]);
    assert!(party.performs().is_empty());
}

#[test]
fn an_announcement_plays_until_it_is_stopped_or_its_time_is_over() {
    let mut party = Party::new();
    party.accepted("Signals { an/apf { SignalType = OnOff, an = 7, noc = 2 } }");
    let performs = party.performs();
    assert!(matches!(&*performs[0].what,
        Performance::Announcement(announcement) if announcement.cycles.is_none()));
    party.accepted(&format!(
        "Events = 3 {{ g/sc }}, Signals {{ an/apv {{ {TELL}, SignalType = TimeOut, Duration = 50, \
         an = 8, num = 1234, di = both }} }}"
    ));
    assert_eq!(party.performance(), "number 8 of 1234 out in");
    party.pass(600);
    assert_eq!(party.heard(), ["g/sc SigID=an/apv Meth=TO"]);
    assert!(party.performs().is_empty());
    party.accepted("Signals { cg/bt }");
    assert_eq!(party.performance(), "tone bt out");
    party.accepted("Signals { tonegen/pt { tl = ct, SignalType = OnOff } }");
    assert_eq!(party.performance(), "tone ct out");
    party.accepted("Signals { }");
    assert!(party.performs().is_empty());
}

#[test]
fn a_digit_ends_what_is_played() {
    let mut party = Party::new();
    party.accepted(&format!(
        "Events = 3 {{ g/sc {{ KeepActive }}, aasb/playcom {{ KeepActive }}, dd/ce {{ DigitMap = {{ xx }} \
         }} }}, Signals {{ aasb/play {{ {TELL}, an = \"menu\", it = -1, iv = 5 }} }}"
    ));
    assert_eq!(party.performance(), "menu out");
    assert!(party.rig.plane.legs[&party.local].0.heeds_tones);
    party.dial("4");
    assert!(party.performs().is_empty());
    assert_eq!(party.heard(), ["g/sc SigID=aasb/play Meth=EV"]);
    party.dial("2");
    assert_eq!(party.heard(), ["dd/ce ds=42 Meth=UM"]);
}

#[test]
fn what_cannot_be_played_is_told() {
    let mut party = Party::new();
    party.accepted(&format!(
        "Events = 3 {{ g/sc {{ KeepActive }}, aasb/playcom {{ KeepActive }}, aasb/audfail {{ KeepActive \
         }} }}, Signals {{ SignalList = 1 {{ aasb/play {{ {TELL}, an = \"none\" }}, aasb/play {{ an = \
         \"there\" }} }} }}"
    ));
    party.ends(PerformanceEnd::Failed(606), 1);
    assert_eq!(
        party.heard(),
        ["aasb/audfail rc=606", "g/sc SigID=aasb/play Meth=NC SLID=1"]
    );
    // The list goes on.
    assert_eq!(party.performance(), "there out");
    party.ends(PerformanceEnd::Complete, 1500);
    assert_eq!(party.heard(), ["aasb/playcom ap=150"]);
    // Nothing comes of what ended before.
    assert!(party.performs().is_empty());
}

const COLLECT: &str = "Events = 4 { aasdc/pcolsucc, aasdc/audfail }, Signals { aasdc/playcol { ip = \
                       \"ask\", rp = \"again\", nd = \"none\", sa = \"thanks\", fa = \"bye\", mxatt = \
                       3, dm = \"(12|34)\" } }";

#[test]
fn digits_are_collected_after_a_prompt_that_they_may_interrupt() {
    let mut party = Party::new();
    party.accepted(COLLECT);
    assert_eq!(party.performance(), "ask out");
    party.pass(700);
    party.dial("1");
    assert!(party.performs().is_empty());
    party.dial("2");
    assert_eq!(party.performance(), "thanks out");
    assert_eq!(party.heard(), NOTHING);
    party.ends(PerformanceEnd::Complete, 400);
    assert_eq!(party.heard(), ["aasdc/pcolsucc dc=12 na=1 ap=70"]);
}

#[test]
fn digits_are_asked_for_again_and_given_up() {
    let mut party = Party::new();
    party.accepted(COLLECT);
    party.ends(PerformanceEnd::Complete, 900);
    party.dial("13");
    assert_eq!(party.performance(), "again out");
    party.ends(PerformanceEnd::Complete, 900);
    // The start timer of H.248.1 7.1.14.2.
    party.pass(16_100);
    assert_eq!(party.performance(), "none out");
    party.ends(PerformanceEnd::Complete, 900);
    party.dial("9");
    assert_eq!(party.performance(), "bye out");
    party.ends(PerformanceEnd::Complete, 300);
    assert_eq!(party.heard(), ["aasdc/audfail rc=330"]);
    assert!(!party.rig.plane.legs[&party.local].0.heeds_tones);
}

#[test]
fn digits_during_a_prompt_that_goes_on_count_or_do_not() {
    let mut party = Party::new();
    let collect = |keeps: &str| {
        format!(
            "Events = 4 {{ aasdc/pcolsucc, aasdc/audfail }}, Signals {{ aasdc/playcol {{ ip = \
             \"ask\", ni = ON, kdg = {keeps}, dm = \"xx\" }} }}"
        )
    };
    party.accepted(&collect("OFF"));
    party.dial("1");
    assert_eq!(party.performance(), "ask out");
    party.ends(PerformanceEnd::Complete, 100);
    party.dial("23");
    assert_eq!(party.heard(), ["aasdc/pcolsucc dc=23 na=1"]);
    party.accepted(&collect("ON"));
    party.dial("1");
    party.ends(PerformanceEnd::Complete, 100);
    party.dial("2");
    assert_eq!(party.heard(), ["aasdc/pcolsucc dc=12 na=1"]);
}

const RECORD: &str = "Events = 5 { aasrec/precsucc, aasrec/audfail }, Signals { aasrec/playrec { ip = \
                      \"speak\", ns = \"louder\", mxatt = 2, prt = 30, pst = 20, rlt = 600, rid = \
                      \"box/1\", eik = \"#\" } }";

#[test]
fn a_key_ends_a_recording() {
    let mut party = Party::new();
    party.accepted(RECORD);
    assert_eq!(party.performance(), "speak out");
    party.ends(PerformanceEnd::Complete, 900);
    assert_eq!(party.performance(), "record box/1 out");
    let Performance::Recording(recording) = party.performs()[0].what.as_ref().clone() else {
        panic!("it is no recording");
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        (
            recording.pre_speech,
            recording.post_speech,
            recording.length
        ),
        (seconds(3), seconds(2), seconds(60))
    );
    party.dial("1");
    assert_eq!(party.performance(), "record box/1 out");
    party.dial("#");
    assert_eq!(party.performance(), "record box/1 out to end");
    party.ends(PerformanceEnd::Complete, 4_200);
    assert_eq!(
        party.heard(),
        ["aasrec/precsucc na=1 res=key ri=box/1 rdur=4200 ek=#"]
    );
}

#[test]
fn what_the_others_say_is_recorded_where_the_signal_goes_inward() {
    let mut party = Party::new();
    for (direction, recorded) in [
        ("Internal", "record talk in"),
        ("Both", "record talk out in"),
        ("External", "record talk out"),
    ] {
        party.accepted(&format!(
            "Signals {{ aasrec/playrec {{ rid = \"talk\", SPADirection = {direction} }} }}"
        ));
        assert_eq!(party.performance(), recorded);
    }
}

#[test]
fn who_says_nothing_is_asked_again_and_given_up() {
    let mut party = Party::new();
    party.accepted(RECORD);
    party.ends(PerformanceEnd::Complete, 900);
    party.ends(PerformanceEnd::NoSpeech, 3000);
    assert_eq!(party.performance(), "louder out");
    party.ends(PerformanceEnd::Complete, 900);
    party.ends(PerformanceEnd::NoSpeech, 3000);
    assert_eq!(party.heard(), ["aasrec/audfail rc=327"]);
    // Silence and length end one too; a full disk fails it.
    for (ending, told) in [
        (
            PerformanceEnd::Silence,
            "aasrec/precsucc na=1 res=silence ri=box/1 rdur=70",
        ),
        (
            PerformanceEnd::Length,
            "aasrec/precsucc na=1 res=length ri=box/1 rdur=70",
        ),
        (PerformanceEnd::Failed(510), "aasrec/audfail rc=510"),
    ] {
        party.accepted(RECORD);
        party.ends(PerformanceEnd::Complete, 900);
        party.ends(ending, 70);
        assert_eq!(party.heard(), [told]);
    }
}

#[test]
fn what_cannot_be_done_gets_its_code() {
    let mut party = Party::new();
    for (signals, code) in [
        ("an/apf", 457),
        ("an/apf { an = x }", 449),
        ("an/apf { an = 1, noc = 0 }", 449),
        ("aasb/play", 457),
        ("aasb/play { an = \"x\", it = -2 }", 449),
        ("aasb/play { an = \"x\", vl = 900 }", 449),
        ("aasdc/playcol { ip = \"x\", mxatt = 0 }", 449),
        ("aasdc/playcol { ip = \"x\", dm = \"((\" }", 442),
        ("aasrec/playrec { ip = \"x\" }", 457),
        ("aasrec/playrec { rid = \"x\", rlt = 999999999 }", 449),
        ("aasrec/makepers", 452),
        ("cg/rt, cg/bt", 513),
        ("cg/rt, dg/d5", 513),
        ("cg/rt { Stream = 2 }", 449),
    ] {
        party.refused(&format!("Signals {{ {signals} }}"), code);
    }
    party.accepted("Signals { cg/rt, cg/bt { btd = int } }");
    party.refused("Signals { cg/rt { Stream = 7 } }", 449);
}

#[test]
fn codecs_that_cannot_be_processed_are_left_out() {
    let mut rig = rig();
    rig.plane.unsupported = vec!["G729", "EVS"];
    let offer = |formats: &str| {
        format!(
            "Context = $ {{ Add = $ {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = SendReceive, \
             ReservedValue = ON }}, Local {{ v=0\nc=IN IP4 $\nm=audio $ RTP/AVP {formats}\na=rtpmap:96 \
             EVS/16000\na=rtpmap:101 telephone-event/8000\n }} }} }} }} }}"
        )
    };
    let reply = rig.say(&offer("96 8 18 101"));
    assert!(
        reply.contains("RTP/AVP 8 101") && !reply.contains("EVS"),
        "{reply}"
    );
    let reply = rig.say(&offer("96 18 101"));
    assert!(reply.contains("Error = 515"), "{reply}");
}

#[test]
fn volumes_are_set_and_talk_is_told_where_it_is_asked_for() {
    let mut party = Party::new();
    let leg = |party: &Party| party.rig.plane.legs[&party.local].0.clone();
    party.accepted(
        "Media { Stream = 1 { LocalControl { swmix/gi = -6, swmix/go = 12, swmix/mute = ON } } }",
    );
    let volume = LegVolume {
        inward_db: -6,
        outward_db: 12,
        is_muted: true,
        is_deaf: false,
    };
    assert_eq!(leg(&party).volume, volume);
    party.accepted("Media { Stream = 1 { LocalControl { swmix/mute = OFF, swmix/deaf = ON } } }");
    let heard = leg(&party).volume;
    assert_eq!(
        (heard.is_muted, heard.is_deaf, heard.inward_db),
        (false, true, -6)
    );
    for value in ["swmix/gi = 25", "swmix/go = -97", "swmix/mute = 3"] {
        let media = format!("Media {{ Stream = 1 {{ LocalControl {{ {value} }} }} }}");
        party.refused(&media, 449);
    }

    let talking = |party: &mut Party, is_talking| {
        let local = party.local;
        party.rig.event(MediaEvent::Talking {
            local,
            is_talking,
            level_dbov: -23,
        });
        party.rig.event(MediaEvent::Dominant { local });
        party.pass(1);
    };
    assert!(!leg(&party).heeds_talk);
    talking(&mut party, true);
    assert_eq!(party.heard(), Vec::<String>::new());
    party.accepted("Events = 7 { swmix/talk }");
    assert!(leg(&party).heeds_talk);
    talking(&mut party, true);
    assert_eq!(party.heard(), ["swmix/talk on=ON lv=-23"]);
    party.accepted("Events = 8 { swmix/* }");
    talking(&mut party, false);
    assert_eq!(party.heard(), ["swmix/talk on=OFF lv=-23", "swmix/dom"]);
    party.accepted("Events");
    assert!(!leg(&party).heeds_talk);
}

#[test]
fn a_context_of_many_is_connected_as_its_topology_says() {
    let mut rig = rig();
    let reply = rig.ask(0, &format!("Context = $ {{ {} }}", add(4)));
    let h248::message::ReplyBody::Actions(actions) = &reply else {
        panic!("{}", rig::print(&reply));
    };
    let context = actions[0].context.as_u32();
    assert_eq!(rig.plane.context, (rig::locals(&reply), vec![]));
    let reply = rig.say(&format!(
        "Context = {context} {{ Topology {{ ip/1/1, ip/1/3, Isolate, ip/1/2, ip/1/4, Oneway }} }}"
    ));
    assert!(!reply.contains("Error"), "{reply}");
    assert_eq!(rig.plane.context.1, [(0, 2), (2, 0), (3, 1)]);
    let leg = &rig.plane.legs[&rig.plane.context.0[0]].0;
    let audio = leg.audio.as_ref().expect("it is audio");
    let encodings: Vec<&str> = audio
        .receives
        .iter()
        .map(|codec| &*codec.encoding)
        .collect();
    assert_eq!(encodings, ["PCMA", "telephone-event"]);
    assert!(audio.sends.is_empty());
}
