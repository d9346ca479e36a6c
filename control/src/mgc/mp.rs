//! Mp (TS 29.333): from plans of members to H.248 commands, and from replies and notifications
//! back.

use std::net::SocketAddr;
use std::time::Duration;

use h248::message::{
    ActionRequest, AmmDescriptors, AmmRequest, AmmsReply, AuditDescriptor, AuditRequest,
    AuditReturn, AuditToken, Command, CommandReply, CommandRequest, ContextId, DigitMapValue,
    EventDigitMap, EventsDescriptor, LocalControl, MediaDescriptor, NotifyCompletion,
    ObservedEvent, OctetString, Parameter, PkgdName, PropertyParm, RequestId, RequestedEvent,
    Signal, SignalList, SignalRequest, SignalType, SignalsDescriptor, StreamDescriptor, StreamId,
    StreamMode, StreamParms, Streams, SubtractRequest, TerminationId, Value,
};
use h248::package::{aasb, aasrec, an, swmix};
use sdp::h248::{Description, Group, MediaLine, Wild};
use sdp::{Attribute, Codec};

use super::plan::{Endpoint, Family, Mode};
use super::room_plan::{Digits, MemberPlan, Observed, Recording, Task, TaskSignal};

/// `timerx` of `hangterm/thb` (H.248.36): what a controller before this one did not come to put
/// into its journal reports itself and is subtracted.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Packet length in descriptors where the peer wants none.
const PTIME_MS: u32 = 20;
/// Milliseconds between a member's telephone events.
const DTMF_GAP_MS: u16 = 100;
/// Telephone events that one task plays.
const DTMF_MAX: usize = 32;

/// RequestID of the events of a termination without task; those of tasks are greater.
pub const NO_TASK: u32 = 16;

/// RequestID of the events of a task.
pub const fn task_number(index: u32) -> u32 {
    NO_TASK + 1 + index
}

/// The index of the task whose events have this RequestID.
pub const fn task_index(number: u32) -> u32 {
    number.saturating_sub(NO_TASK + 1)
}

/// What one command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Add to the context.
    Add,
    /// Move into the context.
    Move,
    /// Change where it is.
    Modify,
    /// Take out.
    Subtract,
    /// Ask whether it is there, and what it plays.
    Audit,
}

/// One command of a room's action.
pub fn command(
    step: &Step,
    termination: Option<&TerminationId>,
    before: Option<&MemberPlan>,
    after: &MemberPlan,
    local: Option<SocketAddr>,
    (number, task): (u32, &Task),
    has_task: bool,
) -> CommandRequest {
    let termination = termination.cloned().unwrap_or(TerminationId::Choose);
    let mut request = AmmRequest::new(termination.clone());
    request.descriptors = AmmDescriptors {
        media: media(before, after, local),
        signals: has_task.then(|| signals(task)),
        events: (has_task || tells_talk(before) != after.mix.tells_talk)
            .then(|| events(number, task, after.mix.tells_talk)),
        ..AmmDescriptors::default()
    };
    let command = match step {
        Step::Add => Command::Add(request),
        Step::Move => Command::Move(request),
        Step::Modify => Command::Modify(request),
        Step::Subtract => Command::Subtract(SubtractRequest {
            audit: Some(AuditDescriptor::default()),
            ..SubtractRequest::new(termination)
        }),
        Step::Audit => {
            let tokens: &[AuditToken] = match task.signal {
                Some(_) => &[AuditToken::Signals],
                None => &[],
            };
            let asked = AuditDescriptor::of(tokens);
            Command::AuditValue(AuditRequest::new(termination, asked))
        }
    };
    command.into()
}

fn tells_talk(plan: Option<&MemberPlan>) -> bool {
    plan.is_some_and(|plan| plan.mix.tells_talk)
}

/// An action on a room's context.
pub fn action(context: Option<u32>, commands: Vec<CommandRequest>) -> ActionRequest {
    let context = context.map_or(ContextId::Choose, ContextId::Id);
    ActionRequest::new(context, commands)
}

// ---- media ----

/// What changes of a termination's stream; all of it where there is none yet.
fn media(
    before: Option<&MemberPlan>,
    after: &MemberPlan,
    local: Option<SocketAddr>,
) -> Option<MediaDescriptor> {
    let mut control = LocalControl::default();
    if before.map(|plan| plan.mode) != Some(after.mode) {
        control.mode = Some(mode(after.mode));
    }
    let mixed = before.map(|plan| plan.mix).unwrap_or_default();
    for (item, before, after) in [
        (swmix::GAIN_IN.name, mixed.gain_in_db, after.mix.gain_in_db),
        (
            swmix::GAIN_OUT.name,
            mixed.gain_out_db,
            after.mix.gain_out_db,
        ),
    ] {
        if before != after {
            let name = PkgdName::new("swmix", item);
            let value = Value::symbol(after.to_string());
            control.properties.push(PropertyParm::new(name, value));
        }
    }
    let reserves = |plan: &MemberPlan| main_codecs(&plan.receive) > 1;
    if before.map_or(reserves(after), |plan| reserves(plan) != reserves(after)) {
        control.reserve_value = Some(reserves(after));
    }
    let is_new = before.is_none_or(|plan| plan.receive != after.receive);
    let is_redirected = before.map(|plan| &plan.remote) != Some(&after.remote);
    let remote = match &after.remote {
        Some(remote) if is_redirected => {
            let (endpoint, ptime) = (remote.endpoint, remote.ptime_ms);
            Some(describe(
                Some(endpoint.rtp),
                after.family,
                &remote.codecs,
                ptime,
                Some(endpoint),
            ))
        }
        None if before.is_some_and(|plan| plan.remote.is_some()) => Some(OctetString::default()),
        _ => None,
    };
    let parms = StreamParms {
        local_control: (control != LocalControl::default()).then_some(control),
        local: is_new.then(|| describe(local, after.family, &after.receive, None, None)),
        remote,
        statistics: None,
    };
    (parms != StreamParms::default()).then(|| MediaDescriptor {
        termination_state: None,
        streams: Streams::Many(vec![StreamDescriptor {
            id: StreamId::FIRST,
            parms,
        }]),
    })
}

fn main_codecs(codecs: &[Codec]) -> usize {
    codecs.iter().filter(|codec| !codec.is_auxiliary()).count()
}

fn describe(
    at: Option<SocketAddr>,
    family: Family,
    codecs: &[Codec],
    ptime_ms: Option<u32>,
    endpoint: Option<Endpoint>,
) -> OctetString {
    let head = MediaLine {
        kind: "audio".into(),
        port: at.map_or(Wild::Choose, |at| Wild::Value(at.port())),
        port_count: 1,
        protocol: "RTP/AVP".into(),
        formats: codecs
            .iter()
            .map(|codec| codec.payload_type.to_string().into())
            .collect(),
    };
    let is_v6 = at.map_or(family == Family::V6, |at| at.is_ipv6());
    let mut group = Group::new(at.map(|at| at.ip()), is_v6, head);
    if let Some(media) = group.media.first_mut() {
        for codec in codecs {
            media
                .lines
                .add_attribute(Attribute::new("rtpmap", codec.rtpmap()));
            if let Some(fmtp) = &codec.fmtp {
                let value = format!("{} {fmtp}", codec.payload_type);
                media.lines.add_attribute(Attribute::new("fmtp", value));
            }
        }
        let ptime_ms = ptime_ms.unwrap_or(PTIME_MS);
        media.lines.add_attribute(Attribute::new("ptime", ptime_ms));
        if let Some((rtp, rtcp)) = endpoint.and_then(|it| Some((it.rtp, it.rtcp?))) {
            super::compile::set_rtcp(media, rtp, rtcp);
        }
    }
    OctetString::new(Description::from_group(group).to_string().into_bytes())
}

const fn mode(mode: Mode) -> StreamMode {
    match mode {
        Mode::SendReceive => StreamMode::SendReceive,
        Mode::SendOnly => StreamMode::SendOnly,
        Mode::ReceiveOnly => StreamMode::ReceiveOnly,
        Mode::Inactive => StreamMode::Inactive,
    }
}

// ---- signals and events ----

/// The Signals descriptor of a task; without signal what is played ends.
fn signals(task: &Task) -> SignalsDescriptor {
    let completion = NotifyCompletion::TIME_OUT
        .with(NotifyCompletion::EVENT)
        .with(NotifyCompletion::OTHER);
    let mut signal = match &task.signal {
        None => return SignalsDescriptor::new(),
        Some(TaskSignal::Dtmf(digits)) => return dtmf(digits, completion),
        Some(TaskSignal::Fixed {
            number,
            cycles,
            variant,
        }) => fixed(*number, *cycles, variant),
        Some(TaskSignal::Audio {
            announcement,
            iterations,
            interval,
            offset,
            volume_db,
            to_all,
        }) => {
            let mut signal = Signal::new(PkgdName::new("aasb", aasb::PLAY.name));
            let text = Value::quoted(announcement);
            push(&mut signal, aasb::ANNOUNCEMENT.name, text);
            let times = iterations.map_or("-1".to_owned(), |times| times.to_string());
            push(&mut signal, aasb::ITERATIONS.name, Value::symbol(times));
            if !interval.is_zero() {
                push(&mut signal, aasb::INTERVAL.name, tenths(*interval).into());
            }
            if !offset.is_zero() {
                let hundredths = u64::try_from(offset.as_millis() / 10).unwrap_or(u64::MAX);
                push(&mut signal, aasb::OFFSET.name, hundredths.into());
            }
            if *volume_db != 0 {
                let volume = Value::symbol(volume_db.to_string());
                push(&mut signal, aasb::VOLUME.name, volume);
            }
            if *to_all {
                push(&mut signal, aasb::DIRECTION.name, Value::symbol("both"));
            }
            signal
        }
        Some(TaskSignal::Record(recording)) => record(recording),
    };
    signal.notify_completion = Some(completion);
    vec![SignalRequest::Signal(signal)]
}

fn fixed(number: u32, cycles: Option<u32>, variant: &str) -> Signal {
    let mut signal = Signal::new(PkgdName::new("an", an::PLAY_FIXED.name));
    push(&mut signal, an::NAME.name, number.into());
    match cycles {
        Some(cycles) => push(&mut signal, an::CYCLES.name, cycles.into()),
        None => signal.signal_type = Some(SignalType::OnOff),
    }
    if !variant.is_empty() {
        push(&mut signal, an::VARIANT.name, Value::quoted(variant));
    }
    signal
}

fn record(recording: &Recording) -> Signal {
    let mut signal = Signal::new(PkgdName::new("aasrec", aasrec::PLAY_RECORD.name));
    let name = Value::quoted(&recording.name);
    push(&mut signal, aasrec::RECORDING_ID.name, name);
    if !recording.prompt.is_empty() {
        let prompt = Value::quoted(&recording.prompt);
        push(&mut signal, aasrec::INITIAL_PROMPT.name, prompt);
    }
    let timers = [
        (aasrec::PRE_SPEECH_TIMER.name, recording.pre_speech),
        (aasrec::POST_SPEECH_TIMER.name, recording.post_speech),
        (aasrec::RECORDING_LENGTH_TIMER.name, recording.length),
    ];
    for (name, time) in timers {
        if let Some(time) = time {
            push(&mut signal, name, tenths(time).into());
        }
    }
    if !recording.end_keys.is_empty() {
        let keys = Value::quoted(&recording.end_keys);
        push(&mut signal, aasrec::END_KEY.name, keys);
    }
    signal
}

fn push(signal: &mut Signal, name: &str, value: Value) {
    signal.parameters.push(Parameter::new(name, value));
}

/// `dg` signals one after the other.
fn dtmf(digits: &str, completion: NotifyCompletion) -> SignalsDescriptor {
    let name = |digit: char| match digit.to_ascii_lowercase() {
        digit @ ('0'..='9' | 'a'..='d') => Some(format!("d{digit}")),
        '*' => Some("ds".to_owned()),
        '#' => Some("do".to_owned()),
        _ => None,
    };
    let names = digits.chars().filter_map(name).take(DTMF_MAX);
    let mut signals: Vec<Signal> = names
        .map(|name| {
            let mut signal = Signal::new(PkgdName::new("dg", &name));
            signal.intersignal_delay = Some(DTMF_GAP_MS);
            signal
        })
        .collect();
    let Some(last) = signals.last_mut() else {
        return SignalsDescriptor::new();
    };
    last.intersignal_delay = None;
    last.notify_completion = Some(completion);
    vec![SignalRequest::List(SignalList { id: 1, signals })]
}

/// The Events descriptor of a task.
fn events(number: u32, task: &Task, tells_talk: bool) -> EventsDescriptor {
    let kept = |package: &str, item: &str| {
        let mut event = RequestedEvent::new(PkgdName::new(package, item));
        // What tells of a signal or of time does not end what is played.
        event.keep_active = true;
        event
    };
    let mut beat = kept("hangterm", "thb");
    beat.parameters
        .push(Parameter::new("timerx", HEARTBEAT.as_secs()));
    let mut events = vec![beat];
    if tells_talk {
        events.push(kept("swmix", swmix::TALK.name));
    }
    if task.signal.is_some() {
        events.push(kept("g", "sc"));
    }
    match &task.signal {
        Some(TaskSignal::Audio { .. }) => {
            events.push(kept("aasb", aasb::PLAY_COMPLETE.name));
            events.push(kept("aasb", aasb::FAILURE.name));
        }
        Some(TaskSignal::Record(_)) => {
            events.push(kept("aasrec", aasrec::PLAY_RECORD_SUCCESS.name));
            events.push(kept("aasrec", aasb::FAILURE.name));
        }
        _ => {}
    }
    if let Some(digits) = &task.digits {
        events.push(completion(digits));
    }
    EventsDescriptor {
        request_id: Some(RequestId(number)),
        events,
    }
}

/// `dd/ce` with its digit map.
fn completion(digits: &Digits) -> RequestedEvent {
    let seconds = |time: Duration| u8::try_from(time.as_secs().clamp(1, 99)).unwrap_or(99);
    let mut event = RequestedEvent::new(PkgdName::new("dd", "ce"));
    event.keep_active = !digits.interrupts;
    event.digit_map = Some(EventDigitMap::Value(DigitMapValue {
        // 0 waits for ever (H.248.1 7.1.14.2).
        start: Some(digits.first.map_or(0, seconds)),
        short: Some(seconds(digits.short)),
        long: Some(seconds(digits.long)),
        duration: None,
        body: digits.map.clone(),
    }));
    event
}

/// A time in units of 100 ms.
fn tenths(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(100)).unwrap_or(u64::MAX)
}

// ---- what comes back ----

/// What an event says of a task; `None` for one that says nothing of it.
pub fn observed(event: &ObservedEvent) -> Option<Observed> {
    let text = |name: &str| {
        let value = event.parameter(name)?.as_single()?;
        Some(value.as_str().into_owned())
    };
    let number = |name: &str| event.parameter(name)?.as_single()?.as_u64();
    let millis = |name: &str, unit: u64| {
        number(name).map(|it| Duration::from_millis(it.saturating_mul(unit)))
    };
    match (event.name.package(), event.name.item()) {
        ("g", "sc") => Some(match text("Meth").as_deref() {
            Some("TO") => Observed::Played { amount: None },
            Some("EV" | "SD") => Observed::Interrupted,
            _ => Observed::Failed { code: 0 },
        }),
        (_, item) if item == aasb::PLAY_COMPLETE.name => Some(Observed::Played {
            amount: millis(aasb::AMOUNT_PLAYED.name, 10),
        }),
        (_, item) if item == aasb::FAILURE.name => Some(Observed::Failed {
            code: number(aasb::RETURN_CODE.name)
                .and_then(|code| u32::try_from(code).ok())
                .unwrap_or(0),
        }),
        ("aasrec", item) if item == aasrec::PLAY_RECORD_SUCCESS.name => Some(Observed::Recorded {
            name: text(aasrec::RECORDING.name).unwrap_or_default(),
            length: millis(aasrec::DURATION.name, 1).unwrap_or_default(),
            result: text(aasrec::RESULT.name).unwrap_or_default(),
            key: text(aasrec::END_KEY_PRESSED.name).unwrap_or_default(),
        }),
        ("swmix", item) if item == swmix::TALK.name => Some(Observed::Talks {
            is_on: text(swmix::IS_TALKING.name).is_some_and(|on| on.eq_ignore_ascii_case("on")),
            level_dbov: text(swmix::LEVEL.name)
                .and_then(|level| level.parse().ok())
                .unwrap_or(-127),
        }),
        ("dd" | "xdd", "ce" | "xce") => Some(Observed::Digits {
            digits: text("ds").unwrap_or_default(),
            is_match: matches!(text("Meth").as_deref(), Some("UM" | "FM")),
        }),
        _ => None,
    }
}

/// The reply to a command that brings or changes a termination: its name, and where it receives if
/// that is told.
pub fn termination(reply: &CommandReply) -> Option<(TerminationId, Option<SocketAddr>)> {
    let (CommandReply::Add(reply) | CommandReply::Move(reply) | CommandReply::Modify(reply)) =
        reply
    else {
        return None;
    };
    let [id @ TerminationId::Name(_)] = reply.terminations.as_slice() else {
        return None;
    };
    id.is_specific().then(|| (id.clone(), local(reply)))
}

fn local(reply: &AmmsReply) -> Option<SocketAddr> {
    let mut streams = reply.audit.iter().filter_map(|item| match item {
        AuditReturn::Media(media) => Some(media.streams()),
        _ => None,
    });
    let (_, parms) = streams.next()?.find(|(id, _)| *id == StreamId::FIRST)?;
    let text = parms.local.as_ref().filter(|text| !text.is_empty())?;
    Description::parse(text.as_bytes())
        .ok()?
        .first()?
        .rtp_address(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mgc::{Mix, RemoteMedia};

    fn plan() -> MemberPlan {
        let codecs = vec![Codec::pcma(), Codec::telephone_event(101, 8000)];
        MemberPlan {
            family: Family::V4,
            receive: codecs.clone(),
            remote: Some(RemoteMedia {
                endpoint: "192.0.2.9:7000".parse::<SocketAddr>().unwrap().into(),
                codecs,
                ptime_ms: Some(30),
            }),
            mode: Mode::SendReceive,
            mix: Mix::default(),
        }
    }

    /// A command as it is printed, compact.
    fn printed(command: CommandRequest) -> String {
        let transaction = h248::message::Transaction::Request(h248::message::TransactionRequest {
            id: h248::message::TransactionId(1),
            actions: vec![action(Some(7), vec![command])],
        });
        let mut out = Vec::new();
        let style = h248::text::Style::Compact;
        h248::text::write_transaction(&transaction, style, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn task(task: &Task) -> String {
        let name = TerminationId::new("ip/1");
        let plan = plan();
        let same = Some(&plan);
        let command = command(
            &Step::Modify,
            Some(&name),
            same,
            &plan,
            None,
            (20, task),
            true,
        );
        printed(command)
    }

    #[test]
    fn an_add_leaves_the_address_to_the_gateway_and_says_the_codecs() {
        let nothing = Task::default();
        let text = printed(command(
            &Step::Add,
            None,
            None,
            &plan(),
            None,
            (16, &nothing),
            true,
        ));
        for part in [
            "C=7{A=${",
            "MO=SR",
            "c=IN IP4 $",
            "m=audio $ RTP/AVP 8 101",
            "a=rtpmap:101 telephone-event/8000",
            "c=IN IP4 192.0.2.9",
            "m=audio 7000 RTP/AVP 8 101",
            "a=ptime:30",
            "hangterm/thb",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("RV="), "one codec: {text}");
    }

    #[test]
    fn what_does_not_change_is_not_said() {
        let (name, before) = (TerminationId::new("ip/1"), plan());
        let local = "198.51.100.1:4000".parse().ok();
        let mut after = before.clone();
        after.mode = Mode::SendOnly;
        let change = command(
            &Step::Modify,
            Some(&name),
            Some(&before),
            &after,
            local,
            (16, &Task::default()),
            false,
        );
        let text = printed(change);
        assert!(text.contains("MF=ip/1") && text.contains("MO=SO"), "{text}");
        assert!(
            !text.contains("m=audio") && !text.contains("swmix"),
            "{text}"
        );
        assert_eq!(media(Some(&before), &before, local), None);
    }

    #[test]
    fn gains_and_who_talks_are_asked_for_only_when_they_change() {
        let (name, before) = (TerminationId::new("ip/1"), plan());
        let mut after = before.clone();
        after.mix = Mix {
            gain_in_db: -6,
            gain_out_db: 0,
            tells_talk: true,
        };
        let change = |before: &MemberPlan, after: &MemberPlan| {
            let (modify, nothing) = (Step::Modify, Task::default());
            let task = (16, &nothing);
            printed(command(
                &modify,
                Some(&name),
                Some(before),
                after,
                None,
                task,
                false,
            ))
        };
        let text = change(&before, &after);
        assert!(
            text.contains("swmix/gi=-6") && text.contains("swmix/talk"),
            "{text}"
        );
        assert!(
            !text.contains("swmix/go") && !text.contains("SG{"),
            "{text}"
        );
        let text = change(&after, &before);
        assert!(
            text.contains("swmix/gi=0") && !text.contains("swmix/talk"),
            "{text}"
        );
        assert!(!change(&after, &after).contains("swmix"));
    }

    #[test]
    fn signals_have_their_parameters() {
        let audio = Task {
            signal: Some(TaskSignal::Audio {
                announcement: "<file:///a.wav>".into(),
                iterations: None,
                interval: Duration::from_millis(450),
                offset: Duration::from_millis(70),
                volume_db: -3,
                to_all: true,
            }),
            digits: None,
        };
        let text = task(&audio);
        for part in [
            "aasb/play{",
            "an=\"<file:///a.wav>\"",
            "it=-1",
            "iv=5",
            "off=7",
            "vl=-3",
            "di=both",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let fixed = Task {
            signal: Some(TaskSignal::Fixed {
                number: 4,
                cycles: Some(2),
                variant: "de".into(),
            }),
            digits: None,
        };
        let text = task(&fixed);
        assert!(text.contains("an/apf{"), "{text}");
        assert!(
            text.contains("an=4") && text.contains("noc=2") && text.contains("av=\"de\""),
            "{text}"
        );
        let keys = Task {
            signal: Some(TaskSignal::Dtmf("1#".into())),
            digits: None,
        };
        let text = task(&keys);
        assert!(text.contains("dg/d1") && text.contains("dg/do"), "{text}");
    }

    #[test]
    fn digits_interrupt_unless_they_are_not_to() {
        let mut collect = Task {
            signal: None,
            digits: Some(Digits {
                map: "xx.F".into(),
                first: Some(Duration::from_secs(9)),
                long: Duration::from_secs(4),
                short: Duration::from_secs(2),
                interrupts: true,
            }),
        };
        let text = task(&collect);
        assert!(text.contains("E=20{") && text.contains("dd/ce{"), "{text}");
        assert!(text.contains("T:9") && text.contains("xx.F"), "{text}");
        let kept = text.matches("KA").count();
        if let Some(digits) = &mut collect.digits {
            digits.interrupts = false;
        }
        assert_eq!(task(&collect).matches("KA").count(), kept + 1);
    }

    #[test]
    fn events_tell_what_became_of_a_task() {
        let event = |name: (&str, &str), parameters: &[(&str, &str)]| {
            let mut event = ObservedEvent::new(PkgdName::new(name.0, name.1));
            for (name, value) in parameters {
                event
                    .parameters
                    .push(Parameter::new(*name, Value::quoted(value)));
            }
            observed(&event)
        };
        let played = Observed::Played { amount: None };
        assert_eq!(event(("g", "sc"), &[("Meth", "TO")]), Some(played));
        assert_eq!(
            event(("g", "sc"), &[("Meth", "EV")]),
            Some(Observed::Interrupted)
        );
        let failed = |code| Some(Observed::Failed { code });
        assert_eq!(event(("g", "sc"), &[("Meth", "NC")]), failed(0));
        assert_eq!(event(("aasrec", "audfail"), &[("rc", "327")]), failed(327));
        let amount = Some(Duration::from_millis(1200));
        let played = event(("aasb", "playcom"), &[("ap", "120")]);
        assert_eq!(played, Some(Observed::Played { amount }));
        let digits = Observed::Digits {
            digits: "12F".into(),
            is_match: true,
        };
        assert_eq!(
            event(("dd", "ce"), &[("ds", "12F"), ("Meth", "UM")]),
            Some(digits)
        );
        assert_eq!(event(("hangterm", "thb"), &[]), None);
    }
}
