//! Digits: collected by digit maps, notified one by one, buffered, and sent; H.248.1 7.1.9 to
//! 7.1.11 and 7.1.14.

mod rig;

use std::net::SocketAddr;
use std::time::Duration;

use h248::message::{NotifyRequest, ObservedEvent};
use mg::{LegEvents, LegTone, MediaEvent};
use rig::Rig;

/// A call whose terminations take telephone events.
const CALL: &str = "Context = $ {
    Add = $ { Media { Stream = 1 {
        LocalControl { Mode = SendReceive, ipdc/realm = \"core\" },
        Local { v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\n }
    } } },
    Add = $ { Media { Stream = 1 {
        LocalControl { Mode = SendReceive, ipdc/realm = \"access\" },
        Local { v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8 96\na=rtpmap:96 telephone-event/8000\n }
    } } }
}";

/// One call, and the termination at which digits are dialled.
struct Call {
    rig: Rig,
    context: u32,
    /// `ip/1/1`, where digits come from, and `ip/2/2`.
    locals: [SocketAddr; 2],
}

impl Call {
    fn new() -> Self {
        let mut rig = Rig::new();
        let reply = rig.ask(0, CALL);
        let h248::message::ReplyBody::Actions(actions) = &reply else {
            panic!("{}", rig::print(&reply));
        };
        let context = actions[0].context.as_u32();
        let locals = rig::locals(&reply).try_into().expect("two addresses");
        Self {
            rig,
            context,
            locals,
        }
    }

    /// Modifies the first termination.
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

    fn audit(&mut self, what: &str) -> String {
        let context = self.context;
        self.rig.say(&format!(
            "Context = {context} {{ AuditValue = ip/1/1 {{ Audit {{ {what} }} }} }}"
        ))
    }

    fn begin(&mut self, digit: char) {
        let code = "0123456789*#ABCD".find(digit).expect("a digit") as u8;
        let local = self.locals[0];
        self.rig.event(MediaEvent::ToneStarted { local, code });
    }

    fn end(&mut self, digit: char, ms: u64) {
        let code = "0123456789*#ABCD".find(digit).expect("a digit") as u8;
        self.rig.event(MediaEvent::ToneEnded {
            local: self.locals[0],
            code,
            duration: Duration::from_millis(ms),
        });
    }

    fn hold(&mut self, digit: char, ms: u64) {
        self.begin(digit);
        self.pass(ms);
        self.end(digit, ms);
        self.pass(40);
    }

    fn dial(&mut self, digits: &str) {
        for digit in digits.chars() {
            self.hold(digit, 60);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.rig.pass(Duration::from_millis(ms));
    }

    /// What was notified since this was asked last: `7 dd/ce ds="12" Meth=UM`.
    fn heard(&mut self) -> Vec<String> {
        self.pass(0);
        let notified = std::mem::take(&mut self.rig.mgcs[0].notified);
        notified.iter().flat_map(print).collect()
    }

    fn tone(&self, side: usize) -> Option<u8> {
        let leg = &self.rig.plane.legs[&self.locals[side]].0;
        leg.plays_outward.map(|tone| tone.code)
    }
}

fn print(notify: &NotifyRequest) -> Vec<String> {
    let observed = notify.observed.as_ref().expect("observed events");
    let event = |event: &ObservedEvent| {
        let parameters = event.parameters.iter();
        let parameters =
            parameters.map(|p| format!(" {}={:?}", p.name, p.value.as_single().unwrap()));
        let lost = match &notify.error {
            Some(error) => format!(" error {}", error.code.0),
            None => String::new(),
        };
        let parameters: String = parameters.collect();
        format!("{} {}{parameters}{lost}", observed.request_id.0, event.name)
    };
    observed.events.iter().map(event).collect()
}

const NOTHING: [&str; 0] = [];

#[test]
fn an_in_line_map_collects_a_number() {
    let mut call = Call::new();
    call.accepted("Events = 7 { dd/ce { DigitMap = { (0|[1-7]xxx|9x.) } } }");
    let leg = &call.rig.plane.legs[&call.locals[0]].0;
    let events = LegEvents {
        payload_type: 101,
        clock_hz: 8000,
    };
    assert_eq!(leg.detects, Some(events));
    assert_eq!(call.rig.plane.legs[&call.locals[1]].0.detects, None);
    call.dial("433");
    assert_eq!(call.heard(), NOTHING);
    call.dial("1");
    assert_eq!(call.heard(), ["7 dd/ce ds=\"4331\" Meth=UM"]);
    // The map is not active any more.
    call.dial("4331");
    assert_eq!(call.heard(), NOTHING);
    call.accepted(
        "Events = 8 { dd/ce { DigitMap = { 1*2 } } }"
            .replace('*', "E")
            .as_str(),
    );
    call.dial("1*2");
    assert_eq!(call.heard(), ["8 dd/ce ds=\"1E2\" Meth=UM"]);
}

#[test]
fn timers_complete_a_map() {
    let map = "dd/ce { DigitMap = { T:10, S:3, L:6, (1|12|345) } }";
    let mut call = Call::new();
    // Nothing is dialled.
    call.accepted(&format!("Events = 1 {{ {map} }}"));
    call.pass(9_900);
    assert_eq!(call.heard(), NOTHING);
    call.pass(200);
    assert_eq!(call.heard(), ["1 dd/ce ds=\"\" Meth=PM"]);
    // One alternative is there, another possible.
    call.accepted(&format!("Events = 2 {{ {map} }}"));
    call.dial("1");
    call.pass(2_800);
    assert_eq!(call.heard(), NOTHING);
    call.pass(200);
    assert_eq!(call.heard(), ["2 dd/ce ds=\"1\" Meth=FM"]);
    // More is needed.
    call.accepted(&format!("Events = 3 {{ {map} }}"));
    call.dial("34");
    call.pass(5_800);
    assert_eq!(call.heard(), NOTHING);
    call.pass(200);
    assert_eq!(call.heard(), ["3 dd/ce ds=\"34\" Meth=PM"]);
    // Without a start timer it waits for ever.
    call.accepted("Events = 4 { dd/ce { DigitMap = { T:0, 12 } } }");
    call.pass(1_000_000);
    assert_eq!(call.heard(), NOTHING);
    call.dial("12");
    assert_eq!(call.heard(), ["4 dd/ce ds=\"12\" Meth=UM"]);
}

#[test]
fn a_digit_that_fits_nothing_is_processed_after_the_completion() {
    let mut call = Call::new();
    call.accepted("Events = 1 { dd/ce { DigitMap = { (12|1x3) } }, dd/do }");
    call.dial("1#");
    assert_eq!(call.heard(), ["1 dd/ce ds=\"1\" Meth=PM", "1 dd/do"]);
    call.accepted("Events = 2 { dd/ce { DigitMap = { 1x. } }, dd/do }");
    call.dial("155#");
    assert_eq!(call.heard(), ["2 dd/ce ds=\"155\" Meth=FM", "2 dd/do"]);
    // It begins what the embedded descriptor asks for.
    call.accepted(
        "Events = 3 { dd/ce { DigitMap = { 1x. }, Embed { Events = 4 { dd/ce { DigitMap = { F9 } } } } } }",
    );
    call.dial("15#9");
    assert_eq!(
        call.heard(),
        ["3 dd/ce ds=\"15\" Meth=FM", "4 dd/ce ds=\"F9\" Meth=UM"]
    );
}

#[test]
fn digits_are_notified_by_themselves_only_when_they_are_asked_for() {
    let mut call = Call::new();
    call.accepted("Events = 1 { dd/d5, dd/ce { DigitMap = { 15 } } }");
    call.dial("15");
    assert_eq!(call.heard(), ["1 dd/d5", "1 dd/ce ds=\"15\" Meth=UM"]);
    call.dial("55");
    assert_eq!(call.heard(), ["1 dd/d5", "1 dd/d5"]);
    // A wildcard means them all, and activates the map.
    call.accepted("Events = 2 { dd/* { DigitMap = { 1 } } }");
    call.hold('1', 80);
    assert_eq!(
        call.heard(),
        [
            "2 dd/d1",
            "2 dd/std tid=d1",
            "2 dd/ce ds=\"1\" Meth=UM",
            "2 dd/etd tid=d1 dur=80"
        ]
    );
    call.accepted("Events = 3 { */* }");
    call.dial("*");
    assert_eq!(
        call.heard(),
        [
            "3 tonedet/std tid=ds",
            "3 dd/ds",
            "3 tonedet/etd tid=ds dur=60"
        ]
    );
}

#[test]
fn tones_are_notified_when_they_begin_end_and_last() {
    let mut call = Call::new();
    call.accepted(
        "Events = 1 { dd/std { tl = [d1, d2] }, tonedet/etd { tl = * }, dd/ltd { tl = d1, dur = 500 }, \
         xdd/ltd { dur = 900 } }",
    );
    call.hold('1', 700);
    assert_eq!(
        call.heard(),
        [
            "1 dd/std tid=d1",
            "1 dd/ltd tid=d1",
            "1 tonedet/etd tid=d1 dur=700"
        ]
    );
    call.hold('3', 1000);
    assert_eq!(
        call.heard(),
        ["1 xdd/ltd tid=d3", "1 tonedet/etd tid=d3 dur=1000"]
    );
    // Its end was lost: the next tone tells.
    call.begin('2');
    call.pass(100);
    call.begin('3');
    call.pass(1);
    assert_eq!(
        call.heard(),
        ["1 dd/std tid=d2", "1 tonedet/etd tid=d2 dur=100"]
    );
}

#[test]
fn a_long_digit_is_known_when_it_has_lasted_or_has_ended() {
    let map = "dd/ce { DigitMap = { Z:5, (1x|Z12|Z1F) } }";
    let mut call = Call::new();
    call.accepted(&format!("Events = 1 {{ {map} }}"));
    call.hold('1', 499);
    call.dial("2");
    assert_eq!(call.heard(), ["1 dd/ce ds=\"12\" Meth=UM"]);
    call.accepted(&format!("Events = 2 {{ {map} }}"));
    call.hold('1', 600);
    call.dial("2");
    assert_eq!(call.heard(), ["2 dd/ce ds=\"Z12\" Meth=UM"]);
    // A digit that would have had to be long completes the map when it ends.
    call.accepted("Events = 3 { dd/ce { DigitMap = { Z:5, Z12 } } }");
    call.begin('1');
    call.pass(100);
    assert_eq!(call.heard(), NOTHING);
    call.end('1', 100);
    assert_eq!(call.heard(), ["3 dd/ce ds=\"\" Meth=PM"]);
    // The last digit of the map, as soon as it is long.
    call.accepted("Events = 4 { dd/ce { DigitMap = { Z:5, 2Z1 } } }");
    call.dial("2");
    call.begin('1');
    call.pass(499);
    assert_eq!(call.heard(), NOTHING);
    call.pass(1);
    assert_eq!(call.heard(), ["4 dd/ce ds=\"2Z1\" Meth=UM"]);
}

#[test]
fn maps_have_names_at_a_termination_and_at_the_gateway() {
    let mut call = Call::new();
    let root = |map: &str| format!("Context = - {{ Modify = ROOT {{ DigitMap = {map} }} }}");
    assert!(!call.rig.say(&root("plan { 1xx }")).contains("Error"));
    call.accepted("Events = 1 { dd/ce { DigitMap = plan } }");
    call.dial("123");
    assert_eq!(call.heard(), ["1 dd/ce ds=\"123\" Meth=UM"]);
    // The termination's own comes first, in whichever order the command has them.
    call.accepted("Events = 2 { dd/ce { DigitMap = plan } }, DigitMap = plan { 9x }");
    call.dial("91");
    assert_eq!(call.heard(), ["2 dd/ce ds=\"91\" Meth=UM"]);
    let audit = call.audit("DigitMap");
    assert!(audit.contains("DigitMap = plan{9x}"), "{audit}");
    let audit = call.audit("DigitMap = other");
    assert!(audit.ends_with("{ DigitMap } } }"), "{audit}");
    let audit = call
        .rig
        .say("Context = - { AuditValue = ROOT { Audit { DigitMap } } }");
    assert!(audit.contains("DigitMap = plan{1xx}"), "{audit}");
    // Who uses a map goes on with what it was.
    call.accepted("Events = 3 { dd/ce { DigitMap = plan } }");
    call.accepted("DigitMap = plan { 5 }");
    call.dial("91");
    assert_eq!(call.heard(), ["3 dd/ce ds=\"91\" Meth=UM"]);
    call.accepted("DigitMap = plan");
    call.refused("DigitMap = plan", 520);
    call.accepted("Events = 4 { dd/ce { DigitMap = plan } }");
    assert!(!call.rig.say(&root("plan")).contains("Error"));
    call.dial("155");
    assert_eq!(call.heard(), ["4 dd/ce ds=\"155\" Meth=UM"]);
    call.refused("Events = 5 { dd/ce { DigitMap = plan } }", 520);
}

#[test]
fn what_is_wrong_with_maps_and_events_has_its_code() {
    let mut call = Call::new();
    for (descriptors, code) in [
        ("Events = 1 { dd/ce }", 457),
        ("Events = 1 { dd/* }", 457),
        ("Events = 1 { dd/ce { DigitMap = nowhere } }", 520),
        ("Events = 1 { dd/ce { DigitMap = { (1|) } } }", 442),
        ("Events = 1 { dd/d1 { DigitMap = { 1 } } }", 446),
        ("Events = 1 { dd/ltd }", 457),
        ("Events = 1 { dd/std { tl = rt } }", 449),
        ("Events = 1 { dd/dx }", 451),
        ("Events = 1 { xyz/* }", 440),
        ("Events = 1 { dd/d1 { Embed { Signals { xyz/a } } } }", 440),
        (
            "Events = 1 { dd/d1 { Embed { Events = 2 { dd/ce } } } }",
            457,
        ),
        ("DigitMap = { 12 }", 472),
        ("EventBuffer { dd/dx }", 451),
        ("EventBuffer { dd/d1 { Stream = 9 } }", 449),
        ("EventBuffer { dd/d1 { xyz = 1 } }", 446),
        ("Signals { dg/d1 { Stream = 9 } }", 449),
    ] {
        call.refused(descriptors, code);
    }
    let events = |count: usize| format!("Events = 1 {{ {} }}", vec!["dd/d1"; count].join(","));
    call.accepted(&events(16));
    call.refused(&events(17), 510);
    let buffer = |count: usize| format!("EventBuffer {{ {} }}", vec!["dd/d1"; count].join(","));
    call.accepted(&buffer(16));
    call.refused(&buffer(17), 510);
}

#[test]
fn in_lock_step_events_wait_for_the_next_descriptor() {
    let mut call = Call::new();
    call.accepted(
        "Media { TerminationState { Buffer = LockStep } }, EventBuffer { dd/d2, dd/d3, dd/d4 }, \
         Events = 1 { dd/d1, dd/d5 }",
    );
    call.dial("2");
    assert_eq!(call.heard(), NOTHING);
    call.dial("1234");
    assert_eq!(call.heard(), ["1 dd/d1"]);
    let audit = call.audit("ObservedEvents, EventBuffer, Media");
    for part in [
        "dd/d2",
        "dd/d3",
        "dd/d4",
        "Buffer = LockStep",
        "EventBuffer { dd/d2",
    ] {
        assert!(audit.contains(part), "no {part} in {audit}");
    }
    // What the new descriptor does not have is discarded; one event, and it waits again.
    call.accepted("Events = 2 { dd/d3, dd/d4 }");
    assert_eq!(call.heard(), ["2 dd/d3"]);
    call.accepted("Events = 3 { dd/d3, dd/d4 }");
    assert_eq!(call.heard(), ["3 dd/d4"]);
    call.accepted("Events = 4 { dd/d5 }");
    call.dial("5");
    assert_eq!(call.heard(), ["4 dd/d5"]);
    // Off discards what is buffered, and processing goes on.
    call.dial("234");
    call.accepted("Media { TerminationState { Buffer = OFF } }");
    call.dial("5");
    assert_eq!(call.heard(), ["4 dd/d5"]);
}

#[test]
fn in_lock_step_no_digit_map_completes_while_a_descriptor_is_waited_for() {
    let mut call = Call::new();
    call.accepted(
        "Media { TerminationState { Buffer = LockStep } }, EventBuffer { dd/* }, \
         Events = 1 { dd/d5, dd/ce { DigitMap = { 159 } } }",
    );
    call.dial("159");
    call.pass(60_000);
    assert_eq!(call.heard(), ["1 dd/d5"]);
    call.accepted("Events = 2 { dd/ce { DigitMap = { 91 } } }");
    call.dial("1");
    assert_eq!(call.heard(), ["2 dd/ce ds=\"91\" Meth=UM"]);
}

#[test]
fn buffered_digits_go_into_the_next_digit_map() {
    let mut call = Call::new();
    call.accepted(
        "Media { TerminationState { Buffer = LockStep } }, EventBuffer { dd/* }, \
         Events = 1 { dd/ce { DigitMap = { 1x } } }",
    );
    call.dial("12345");
    assert_eq!(call.heard(), ["1 dd/ce ds=\"12\" Meth=UM"]);
    call.accepted("Events = 2 { dd/ce { DigitMap = { 34 } } }");
    assert_eq!(call.heard(), ["2 dd/ce ds=\"34\" Meth=UM"]);
    // The digit that fits nothing is kept as well.
    call.accepted("Events = 3 { dd/ce { DigitMap = { 5x5 } } }");
    call.dial("6#");
    assert_eq!(call.heard(), ["3 dd/ce ds=\"56\" Meth=PM"]);
    call.accepted("Events = 4 { dd/do }");
    assert_eq!(call.heard(), ["4 dd/do"]);
    // Nothing is asked for: nothing is kept.
    call.dial("77");
    call.accepted("Events");
    call.accepted("Events = 5 { dd/d7 }");
    assert_eq!(call.heard(), NOTHING);
    call.dial("77");
    assert_eq!(call.heard(), ["5 dd/d7"]);
    call.accepted("EventBuffer");
    call.accepted("Events = 6 { dd/d7 }");
    assert_eq!(call.heard(), NOTHING);
}

#[test]
fn a_full_buffer_loses_events_and_says_so() {
    let mut call = Call::new();
    call.accepted(
        "Media { TerminationState { Buffer = LockStep } }, EventBuffer { dd/d2 }, Events = 1 { dd/d1 }",
    );
    call.dial("1");
    assert_eq!(call.heard(), ["1 dd/d1"]);
    for _ in 0..64 {
        call.dial("2");
    }
    let buffered = |call: &mut Call| call.audit("ObservedEvents").matches("dd/d2").count();
    assert_eq!(buffered(&mut call), 64);
    call.accepted("Events = 2 { dd/d2 }");
    assert_eq!(call.heard(), ["2 dd/d2"]);
    call.dial("2");
    assert_eq!(buffered(&mut call), 64);
    call.dial("2");
    assert_eq!(buffered(&mut call), 64);
    call.accepted("Events = 3 { dd/d2 }");
    assert_eq!(call.heard(), ["3 dd/d2 error 518"]);
    call.accepted("Events = 4 { dd/d2 }");
    assert_eq!(call.heard(), ["4 dd/d2"]);
}

#[test]
fn embedded_descriptors_replace_what_is_active() {
    let mut call = Call::new();
    call.accepted(
        "Signals { dg/d1 { SignalType = OnOff } }, Events = 1 { dd/d5 { Embed { Signals { dg/d2 { \
         SignalType = OnOff } }, Events = 2 { dd/d6 { Embed { Signals } } } } } }",
    );
    assert_eq!(call.tone(0), Some(1));
    call.dial("65");
    assert_eq!(call.heard(), ["1 dd/d5"]);
    assert_eq!(call.tone(0), Some(2));
    let audit = call.audit("Events, Signals");
    assert!(
        audit.contains("Events = 2") && audit.contains("dg/d2"),
        "{audit}"
    );
    call.dial("56");
    assert_eq!(call.heard(), ["2 dd/d6"]);
    assert_eq!(call.tone(0), None);
}

#[test]
fn events_end_signals_unless_they_keep_them() {
    let endless = "Signals { dg/d1 { SignalType = OnOff, NotifyCompletion = { IntByEvent } } }";
    let mut call = Call::new();
    call.accepted(&format!(
        "{endless}, Events = 1 {{ dd/d5 {{ KeepActive }}, dd/d6, g/sc }}"
    ));
    call.dial("5");
    assert_eq!(call.tone(0), Some(1));
    call.dial("6");
    assert_eq!(call.tone(0), None);
    assert_eq!(
        call.heard(),
        ["1 dd/d5", "1 dd/d6", "1 g/sc SigID=dg/d1 Meth=EV"]
    );
    // Digits that are collected end them as well, by the word of the completion event.
    call.accepted(&format!(
        "{endless}, Events = 2 {{ dd/ce {{ DigitMap = {{ 123 }} }} }}"
    ));
    call.dial("1");
    assert_eq!(call.tone(0), None);
    call.accepted(&format!(
        "{endless}, Events = 3 {{ dd/ce {{ KeepActive, DigitMap = {{ 123 }} }} }}"
    ));
    call.dial("123");
    assert_eq!(call.tone(0), Some(1));
    assert_eq!(call.heard(), ["3 dd/ce ds=\"123\" Meth=UM"]);
}

#[test]
fn events_that_are_never_notified_have_their_effects_all_the_same() {
    let mut call = Call::new();
    call.accepted(
        "Signals { dg/d1 { SignalType = OnOff } }, Events = 1 { dd/d5 { NeverNotify }, dd/d6 { \
         ImmediateNotify } }",
    );
    call.dial("5");
    assert_eq!((call.tone(0), call.heard()), (None, Vec::new()));
    call.dial("6");
    assert_eq!(call.heard(), ["1 dd/d6"]);
}

#[test]
fn an_events_descriptor_can_begin_anew() {
    let mut call = Call::new();
    call.accepted(
        "Media { TerminationState { Buffer = LockStep } }, Events = 1 { dd/ce { DigitMap = { 12 }, \
         ResetEventsDescriptor } }",
    );
    call.dial("1212");
    assert_eq!(
        call.heard(),
        ["1 dd/ce ds=\"12\" Meth=UM", "1 dd/ce ds=\"12\" Meth=UM"]
    );
    // A digit that no map takes does not go round for ever.
    call.dial("9");
    let heard = call.heard();
    assert!(heard.len() <= 4, "{heard:?}");
}

#[test]
fn signals_are_played_and_their_ends_are_notified() {
    let mut call = Call::new();
    let notify = "NotifyCompletion = { TimeOut, IntBySigDescr }";
    call.accepted(&format!(
        "Events = 1 {{ g/sc {{ KeepActive }} }}, Signals {{ dg/d5 {{ {notify} }} }}"
    ));
    let leg = call.rig.plane.legs[&call.locals[0]].0.clone();
    assert!(matches!(leg.plays_outward, Some(LegTone { code: 5, .. })));
    assert_eq!(leg.plays_inward, None);
    let audit = call.audit("Signals");
    assert!(audit.contains("Signals { dg/d5"), "{audit}");
    call.pass(100);
    assert_eq!(call.tone(0), None);
    assert_eq!(call.heard(), ["1 g/sc SigID=dg/d5 Meth=TO"]);
    assert!(call.audit("Signals").ends_with("{ Signals } } }"));
    call.accepted(&format!(
        "Signals {{ SignalList = 3 {{ dg/d1 {{ {notify} }}, dg/d2 {{ SignalType = OnOff, {notify} }} }} }}"
    ));
    assert_eq!(call.tone(0), Some(1));
    call.pass(100);
    assert_eq!(call.tone(0), Some(2));
    call.accepted("Signals");
    assert_eq!(call.tone(0), None);
    assert_eq!(
        call.heard(),
        [
            "1 g/sc SigID=dg/d1 Meth=TO SLID=3",
            "1 g/sc SigID=dg/d2 Meth=SD SLID=3"
        ]
    );
}

#[test]
fn completions_that_start_signals_do_not_go_round_for_ever() {
    let mut call = Call::new();
    let signal = "Signals { dg/d1 { SignalType = OnOff, NotifyCompletion = { IntBySigDescr } } }";
    call.accepted(&format!(
        "{signal}, Events = 1 {{ g/sc {{ KeepActive, Embed {{ {signal} }} }} }}"
    ));
    call.accepted("Signals { dg/d2 }");
    let heard = call.heard();
    assert!(heard.len() <= 64, "{}", heard.len());
}

#[test]
fn extended_completion_is_an_event_of_its_own() {
    let mut call = Call::new();
    call.accepted("Events = 1 { xdd/xce { DigitMap = { 12 } } }");
    call.dial("12");
    assert_eq!(call.heard(), ["1 xdd/xce ds=\"12\" Meth=UM"]);
    call.accepted("Events = 2 { xdd/d3, xdd/ce { DigitMap = { 34 } } }");
    call.dial("34");
    assert_eq!(call.heard(), ["2 xdd/d3", "2 xdd/ce ds=\"34\" Meth=UM"]);
}

#[test]
fn collected_digits_are_lost_with_a_new_descriptor_and_with_the_termination() {
    let mut call = Call::new();
    call.accepted("Events = 1 { dd/ce { DigitMap = { 1234 } } }");
    call.dial("12");
    call.accepted("Events = 2 { dd/ce { DigitMap = { 1234 } } }");
    call.dial("34");
    assert_eq!(call.heard(), ["2 dd/ce ds=\"\" Meth=PM"]);
    call.accepted("Events = 3 { dd/ce { DigitMap = { 1234 } } }, Signals { dg/d1 }");
    call.dial("12");
    let context = call.context;
    call.rig
        .say(&format!("Context = {context} {{ Subtract = * }}"));
    call.pass(60_000);
    assert_eq!(call.heard(), NOTHING);
    call.rig.assert_empty();
    assert_eq!(call.rig.mg.next_timeout(), None);
}

/// What a controller may say, in any order.
const SAID: &[&str] = &[
    "Events = 1 { dd/ce { DigitMap = { T:1, S:1, L:2, (1x|2S3|9x.) } }, dd/do }",
    "Events = 2 { dd/* { DigitMap = { Z:3, (Z12|1x|Z[3-5].) } }, g/sc { KeepActive } }",
    "Events = 3 { dd/d1 { ResetEventsDescriptor, NeverNotify }, dd/ltd { dur = 100 } }",
    "Events = 4 { dd/ce { DigitMap = plan, Embed { Events = 5 { dd/ce { DigitMap = { x.F } }, \
     dd/d2 { Embed { Signals { dg/d2 } } } }, Signals { dg/d3 { SignalType = OnOff } } } } }",
    "Events = 6 { xdd/xce { DigitMap = { x. }, ResetEventsDescriptor }, dd/ce { DigitMap = { 12 } } }",
    "Events = 7 { g/sc { Embed { Signals { dg/d4 { NotifyCompletion = { TimeOut, IntBySigDescr } \
     } } } }, tonedet/std, tonedet/etd }",
    "Events",
    "EventBuffer { dd/*, g/sc }",
    "EventBuffer { dd/d1, tonedet/etd }",
    "EventBuffer",
    "Media { TerminationState { Buffer = LockStep } }",
    "Media { TerminationState { Buffer = OFF } }",
    "Media { Stream = 1 { LocalControl { Mode = ReceiveOnly } } }",
    "DigitMap = plan { (1|12|123) }",
    "DigitMap = plan",
    "Signals { dg/d1 { NotifyCompletion = { TimeOut, IntByEvent, IntBySigDescr } } }",
    "Signals { SignalList = 1 { dg/d5 { NotifyCompletion = { TimeOut } }, dg/d6, dg/d7 { \
     SignalType = OnOff } } }",
    "Signals { tonegen/pt { SignalType = TimeOut, Duration = 60, tl = [d1, ds], KeepActive } }",
    "Signals",
    "Audit { Events, Signals, DigitMap, EventBuffer, ObservedEvents, Media, Statistics }",
];

#[test]
fn whatever_is_said_and_dialled_leaves_nothing_behind() {
    for seed in 0..200 {
        let mut entropy = base::Entropy::from_u64(seed);
        let mut call = Call::new();
        for _ in 0..60 {
            let digit = || "0123456789*#ABCD".chars();
            match entropy.below(4) {
                0 => {
                    let said = SAID[entropy.below(SAID.len() as u64) as usize];
                    let reply = call.modify(said);
                    let is_fine = !reply.contains("Error") || reply.contains("Error = 520");
                    assert!(is_fine, "seed {seed}: {said}\n{reply}");
                }
                1 => call.pass(entropy.below(3000)),
                kind => {
                    let digit = digit().nth(entropy.below(16) as usize).expect("a digit");
                    match kind {
                        2 => call.hold(digit, 50 + entropy.below(600)),
                        // Its end is lost.
                        _ => call.begin(digit),
                    }
                }
            }
        }
        let heard = call.heard();
        assert!(heard.iter().all(|event| event.contains('/')), "seed {seed}");
        let context = call.context;
        call.rig.say(&format!(
            "Context = {context} {{ Subtract = * {{ Audit {{ }} }} }}"
        ));
        call.pass(100_000);
        assert_eq!(call.heard(), NOTHING, "seed {seed}");
        call.rig.assert_empty();
        assert_eq!(call.rig.mg.next_timeout(), None, "seed {seed}");
    }
}
