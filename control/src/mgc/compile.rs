//! From plans to H.248 commands: the difference between what a gateway has and what is wanted of
//! it.

use std::net::SocketAddr;
use std::time::Duration;

use h248::message::{
    ActionRequest, AmmDescriptors, AmmRequest, AuditDescriptor, AuditRequest, AuditToken, Command,
    CommandRequest, ContextId, EventsDescriptor, LocalControl, MediaDescriptor, OctetString,
    Parameter, PkgdName, PropertyParm, RequestId, RequestedEvent, Signal, SignalRequest,
    StreamDescriptor, StreamId, StreamMode, StreamParms, Streams, SubtractRequest, TerminationId,
    Value,
};
use sdp::Attribute;
use sdp::dtls::Setup;
use sdp::h248::{Description, Group, Media, MediaLine, Wild};

use super::plan::{
    AnchorSpec, Endpoint, Family, Locals, Mode, Plan, Side, SidePlan, SrtpPlan, StreamPlan,
};

/// `hangterm/thb` (H.248.36): a termination that no command named for so long is reported, so that
/// contexts of which the controller knows nothing come to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    /// Nobody would know of the context if this process ended now.
    New,
    /// The context is in the journal.
    Kept,
}

impl Heartbeat {
    /// `timerx`.
    pub const fn time(self) -> Duration {
        Duration::from_secs(match self {
            Self::New => 20,
            Self::Kept => 3600,
        })
    }
}

// What became of the Add is known before its context is first reported.
const _: () = assert!(Heartbeat::New.time().as_secs() >= h248::transaction::T_MAX.as_secs());

/// RequestID of the events of a termination without media to watch.
pub const IDLE: RequestId = RequestId(1);

/// RequestID of the events of a termination whose media is watched.
pub const WATCHED: RequestId = RequestId(2);

/// A context whose terminations are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// ContextID at the gateway.
    pub id: u32,
    /// Terminations in the order of [`Side::BOTH`].
    pub terminations: [TerminationId; 2],
}

/// Add for both sides into a new context (TS 29.334 5.17.1.2).
pub fn reserve(spec: &AnchorSpec, plan: &Plan) -> ActionRequest {
    let nothing = (&Plan::default(), &Locals::default());
    let commands = Side::BOTH.map(|side| {
        let mut request = AmmRequest::new(TerminationId::Choose);
        request.descriptors = descriptors(spec, side, nothing, plan, Heartbeat::New);
        request.descriptors.events = events(spec, side, plan, Heartbeat::New);
        CommandRequest::from(Command::Add(request))
    });
    let mut action = ActionRequest::new(ContextId::Choose, commands.into());
    action.properties.emergency = spec.emergency.then_some(true);
    action
}

/// Modify for each of `sides` of which something changes, and which these are; `None` when nothing
/// changes (TS 29.334 5.17.1.3).
///
/// `before` is what the gateway has, with its addresses as far as they are known: a stream that
/// comes back is to have them again.
pub fn configure(
    spec: &AnchorSpec,
    context: &Context,
    before: (&Plan, &Locals),
    after: &Plan,
    sides: [bool; 2],
    heartbeat: Heartbeat,
) -> Option<(ActionRequest, [bool; 2])> {
    let mut commands = Vec::new();
    let mut asked = [false; 2];
    for side in Side::BOTH {
        let descriptors = descriptors(spec, side, before, after, heartbeat);
        if !sides[side.index()] || descriptors == AmmDescriptors::default() {
            continue;
        }
        let mut request = AmmRequest::new(context.terminations[side.index()].clone());
        request.descriptors = descriptors;
        commands.push(CommandRequest::from(Command::Modify(request)));
        asked[side.index()] = true;
    }
    let action = ActionRequest::new(ContextId::Id(context.id), commands);
    (!action.commands.is_empty()).then_some((action, asked))
}

/// Modify that asks for another heartbeat and changes nothing else.
pub fn beat(
    spec: &AnchorSpec,
    context: &Context,
    plan: &Plan,
    heartbeat: Heartbeat,
) -> ActionRequest {
    let side = Side::Access;
    let mut request = AmmRequest::new(context.terminations[side.index()].clone());
    request.descriptors.events = events(spec, side, plan, heartbeat);
    let command = CommandRequest::from(Command::Modify(request));
    ActionRequest::new(ContextId::Id(context.id), vec![command])
}

/// AuditValue of a context's terminations: the least that tells whether they are there.
pub fn audit(context: &Context) -> ActionRequest {
    let commands = context.terminations.iter().map(|termination| {
        let audit = AuditRequest::new(termination.clone(), AuditDescriptor::default());
        CommandRequest::from(Command::AuditValue(audit))
    });
    ActionRequest::new(ContextId::Id(context.id), commands.collect())
}

/// Subtract of a whole context. No statistics are asked for: the gateway has its own counters.
pub fn release(context: u32) -> ActionRequest {
    ActionRequest::new(ContextId::Id(context), vec![subtract_all(false)])
}

/// What a gateway is told before it takes calls: to subtract every context, where nobody knows what
/// it has, and to report when nothing is heard from here for `silence` (`it/ito`, H.248.14) and, if
/// it can, when it is overloaded (`ocp`, H.248.11). Where it `asks`, it is also to say what
/// packages it has.
pub fn start(clears: bool, silence: Duration, asks: bool) -> Vec<ActionRequest> {
    let mut inactivity = RequestedEvent::new(PkgdName::new("it", "ito"));
    let hundredths = u64::try_from(silence.as_millis() / 10).unwrap_or(u64::MAX);
    inactivity
        .parameters
        .push(Parameter::new("mit", hundredths));
    let overload = RequestedEvent::new(PkgdName::new("ocp", "mg_overload"));
    let watch = |events, optional| {
        let mut request = AmmRequest::new(TerminationId::Root);
        request.descriptors.events = Some(EventsDescriptor {
            request_id: Some(IDLE),
            events,
        });
        CommandRequest {
            optional,
            ..Command::Modify(request).into()
        }
    };
    // A gateway without the package refuses the second, and does the first.
    let mut commands = vec![
        watch(vec![inactivity.clone()], false),
        watch(vec![inactivity, overload], true),
    ];
    if asks {
        let packages = AuditDescriptor::of(&[AuditToken::Packages]);
        let audit = AuditRequest::new(TerminationId::Root, packages);
        // One that does not say is taken to relay.
        commands.push(CommandRequest {
            optional: true,
            ..Command::AuditValue(audit).into()
        });
    }
    let watch = ActionRequest::new(ContextId::Null, commands);
    // Optional: without contexts it fails, and what follows is to be done all the same.
    let clear = clears.then(|| ActionRequest::new(ContextId::All, vec![subtract_all(true)]));
    clear.into_iter().chain([watch]).collect()
}

/// AuditValue of Root: the least that a living gateway answers (TS 29.334 5.17.1.10).
pub fn probe() -> ActionRequest {
    let audit = AuditRequest::new(TerminationId::Root, AuditDescriptor::default());
    ActionRequest::new(ContextId::Null, vec![Command::AuditValue(audit).into()])
}

/// The stream whose silence `adid/ipstop` (H.248.40) tells: one of RTP, audio if there is any, on
/// which media flows both ways, so not while the call rings or is on hold. One is enough: others
/// may well be silent for long.
pub fn watched(spec: &AnchorSpec, plan: &Plan) -> Option<StreamId> {
    let flows = |stream: &StreamPlan| {
        let mut sides = stream.sides.iter();
        let is_rtp = stream.used && stream.protocol.contains("RTP/");
        is_rtp && sides.all(|side| side.mode == Mode::SendReceive && side.remote.is_some())
    };
    let streams = || {
        let streams = plan.streams.iter().enumerate();
        streams.filter(|(_, stream)| flows(stream))
    };
    spec.inactivity?;
    let audio = streams().find(|(_, stream)| &*stream.kind == "audio");
    let (index, _) = audio.or_else(|| streams().next())?;
    Some(stream_id(index))
}

fn subtract_all(optional: bool) -> CommandRequest {
    let mut request = SubtractRequest::new(TerminationId::All);
    request.audit = Some(AuditDescriptor::default());
    CommandRequest {
        command: Command::Subtract(request),
        optional,
        wildcard_response: true,
    }
}

/// What takes one side from one plan to another, but for an Events descriptor that stays the same.
fn descriptors(
    spec: &AnchorSpec,
    side: Side,
    (before, locals): (&Plan, &Locals),
    after: &Plan,
    heartbeat: Heartbeat,
) -> AmmDescriptors {
    let mut streams = Vec::new();
    let mut signals = Vec::new();
    for index in 0..before.streams.len().max(after.streams.len()) {
        let id = stream_id(index);
        let old = used_stream(before, index);
        let new = used_stream(after, index);
        let local = locals.get(index, side);
        let parms = match (old, new) {
            (None, None) => continue,
            (None, Some(new)) => added(spec, side, new, local),
            (Some(old), None) => removed(old),
            (Some(old), Some(new)) => changed(spec, side, old, new, local),
        };
        if parms != StreamParms::default() {
            streams.push(StreamDescriptor { id, parms });
        }
        signals.extend(napt(side, old, new).map(|napt| latch(id, napt)));
    }
    let changes_events = watched(spec, before) != watched(spec, after);
    AmmDescriptors {
        media: (!streams.is_empty()).then_some(MediaDescriptor {
            termination_state: None,
            streams: Streams::Many(streams),
        }),
        signals: (!signals.is_empty()).then_some(signals),
        events: if changes_events {
            events(spec, side, after, heartbeat)
        } else {
            None
        },
        ..AmmDescriptors::default()
    }
}

// ---- streams ----

fn stream_id(index: usize) -> StreamId {
    // Plans have at most `sdp::MEDIA_MAX` streams.
    StreamId(u16::try_from(index + 1).unwrap_or(u16::MAX))
}

fn used_stream(plan: &Plan, index: usize) -> Option<&StreamPlan> {
    plan.streams.get(index).filter(|stream| stream.used)
}

/// A stream that the termination does not have; it receives at `local` where it had that address
/// before.
fn added(
    spec: &AnchorSpec,
    side: Side,
    stream: &StreamPlan,
    local: Option<SocketAddr>,
) -> StreamParms {
    let own = &stream.sides[side.index()];
    let realm = PkgdName::new("ipdc", "realm");
    let name = Value::quoted(&spec.realms[side.index()]);
    let mut properties = vec![PropertyParm::new(realm, name)];
    if spec.source_filter && !own.latch {
        properties.push(source_filter(true));
    }
    StreamParms {
        local_control: Some(LocalControl {
            mode: Some(mode(own.mode)),
            reserve_value: has_alternatives(stream).then_some(true),
            reserve_group: None,
            properties,
        }),
        local: Some(local_text(spec, side, stream, local)),
        remote: own.remote.map(|remote| remote_text(side, stream, remote)),
        statistics: None,
    }
}

/// Empty Local and Remote without reservation end a stream (H.248.1 7.1.6).
fn removed(old: &StreamPlan) -> StreamParms {
    StreamParms {
        local_control: Some(LocalControl {
            mode: Some(StreamMode::Inactive),
            reserve_value: has_alternatives(old).then_some(false),
            ..LocalControl::default()
        }),
        local: Some(OctetString::default()),
        remote: Some(OctetString::default()),
        statistics: None,
    }
}

/// What changes of a stream that stays: what is absent stays as it is (H.248.1 7.1.7, 7.1.8).
fn changed(
    spec: &AnchorSpec,
    side: Side,
    old: &StreamPlan,
    new: &StreamPlan,
    local: Option<SocketAddr>,
) -> StreamParms {
    let (was, own) = (&old.sides[side.index()], &new.sides[side.index()]);
    let mut control = LocalControl::default();
    if was.mode != own.mode {
        control.mode = Some(mode(own.mode));
    }
    if has_alternatives(old) != has_alternatives(new) {
        control.reserve_value = Some(has_alternatives(new));
    }
    if spec.source_filter && was.latch != own.latch {
        control.properties.push(source_filter(!own.latch));
    }
    let is_described_anew = (&old.kind, old.protocol_at(side), &old.formats)
        != (&new.kind, new.protocol_at(side), &new.formats);
    let (sends_anew, receives_anew) = protects_anew(old.srtp_at(side), new.srtp_at(side));
    let is_told_anew = is_described_anew || sends_anew || was.mux != own.mux;
    StreamParms {
        local_control: (control != LocalControl::default()).then_some(control),
        local: is_told_anew.then(|| local_text(spec, side, new, local)),
        remote: match (was.remote, own.remote) {
            (Some(_), None) => Some(OctetString::default()),
            (before, Some(after))
                if before != Some(after) || is_described_anew || receives_anew =>
            {
                Some(remote_text(side, new, after))
            }
            _ => None,
        },
        statistics: None,
    }
}

/// `gm/saf` (H.248.43): only what comes from the address in the Remote descriptor is taken. A latch
/// looks at the source itself.
fn source_filter(is_on: bool) -> PropertyParm {
    PropertyParm::new(PkgdName::new("gm", "saf"), Value::from(is_on))
}

/// ReserveValue (H.248.1 7.1.7): without it the gateway may keep one of several formats only.
fn has_alternatives(stream: &StreamPlan) -> bool {
    stream.formats.len() > 1
}

const fn mode(mode: Mode) -> StreamMode {
    match mode {
        Mode::SendReceive => StreamMode::SendReceive,
        Mode::SendOnly => StreamMode::SendOnly,
        Mode::ReceiveOnly => StreamMode::ReceiveOnly,
        Mode::Inactive => StreamMode::Inactive,
    }
}

// ---- session descriptions ----

fn local_text(
    spec: &AnchorSpec,
    side: Side,
    stream: &StreamPlan,
    local: Option<SocketAddr>,
) -> OctetString {
    let is_v6 = spec.families[side.index()] == Family::V6;
    let port = local.map_or(Wild::Choose, |local| Wild::Value(local.port()));
    let ip = local.map(|local| local.ip());
    let mut group = Group::new(ip, is_v6, line(side, stream, port));
    match stream.srtp_at(side) {
        None => {}
        Some(SrtpPlan::Sdes(sdes)) => add(&mut group, Attribute::new("crypto", &sdes.local)),
        Some(SrtpPlan::Dtls(dtls)) => {
            // The certificate is the gateway's to choose.
            add(&mut group, Attribute::new("fingerprint", "sha-256 $"));
            add(&mut group, Setup::from(dtls.setup).attribute());
        }
    }
    if stream.sides[side.index()].mux {
        add(&mut group, Attribute::flag("rtcp-mux"));
    }
    octets(group)
}

fn remote_text(side: Side, stream: &StreamPlan, remote: Endpoint) -> OctetString {
    let ip = remote.rtp.ip();
    let head = line(side, stream, Wild::Value(remote.rtp.port()));
    let mut group = Group::new(Some(ip), ip.is_ipv6(), head);
    match stream.srtp_at(side) {
        None => {}
        Some(SrtpPlan::Sdes(sdes)) => {
            if let Some(crypto) = &sdes.remote {
                add(&mut group, Attribute::new("crypto", crypto));
            }
        }
        Some(SrtpPlan::Dtls(dtls)) => {
            for fingerprint in &dtls.fingerprints {
                add(&mut group, Attribute::new("fingerprint", fingerprint));
            }
            add(&mut group, Setup::from(dtls.setup).reversed().attribute());
            if let Some(id) = &dtls.tls_id {
                add(&mut group, Attribute::new("tls-id", id));
            }
        }
    }
    if remote.mux {
        add(&mut group, Attribute::flag("rtcp-mux"));
    }
    if let (Some(rtcp), Some(media)) = (remote.rtcp, group.media.first_mut()) {
        set_rtcp(media, remote.rtp, rtcp);
    }
    octets(group)
}

fn line(side: Side, stream: &StreamPlan, port: Wild<u16>) -> MediaLine {
    MediaLine {
        kind: (&*stream.kind).into(),
        port,
        port_count: 1,
        protocol: stream.protocol_at(side).into(),
        formats: stream
            .formats
            .iter()
            .map(|format| (&**format).into())
            .collect(),
    }
}

/// Whether what Local and what Remote says of protection changes.
fn protects_anew(had: Option<&SrtpPlan>, has: Option<&SrtpPlan>) -> (bool, bool) {
    match (had, has) {
        (Some(SrtpPlan::Sdes(had)), Some(SrtpPlan::Sdes(has))) => {
            (had.local != has.local, had.remote != has.remote)
        }
        (Some(SrtpPlan::Dtls(had)), Some(SrtpPlan::Dtls(has))) => {
            (had.setup != has.setup, had != has)
        }
        (had, has) => (had != has, had != has),
    }
}

fn add(group: &mut Group, attribute: Attribute) {
    if let Some(media) = group.media.first_mut() {
        media.lines.add_attribute(attribute);
    }
}

/// `a=rtcp` (RFC 3605).
pub(super) fn set_rtcp(media: &mut Media, rtp: SocketAddr, rtcp: SocketAddr) {
    let connection = (rtcp.ip() != rtp.ip()).then(|| sdp::Connection::from(rtcp.ip()));
    let rtcp = sdp::Rtcp {
        port: rtcp.port(),
        connection,
    };
    media.lines.set_attribute(Attribute::new("rtcp", rtcp));
}

fn octets(group: Group) -> OctetString {
    OctetString::new(Description::from_group(group).to_string().into_bytes())
}

// ---- signals and events ----

/// `napt` of `ipnapt/latch` (H.248.37) where it has to be said anew: the peer may be behind a NAT
/// and is new or elsewhere now, or is no longer behind one.
fn napt(side: Side, old: Option<&StreamPlan>, new: Option<&StreamPlan>) -> Option<&'static str> {
    let place = |plan: &SidePlan| plan.remote.map(|remote| (remote.rtp, remote.rtcp));
    let own = &new?.sides[side.index()];
    let was = old.map(|old| &old.sides[side.index()]);
    match (was.filter(|was| was.latch), own.latch) {
        (None, true) => Some("LATCH"),
        (Some(was), true) if place(was) != place(own) => Some("RELATCH"),
        (Some(_), false) => Some("OFF"),
        _ => None,
    }
}

fn latch(stream: StreamId, napt: &str) -> SignalRequest {
    let mut signal = Signal::new(PkgdName::new("ipnapt", "latch"));
    signal.stream = Some(stream);
    signal.parameters.push(Parameter::new("napt", napt));
    SignalRequest::Signal(signal)
}

/// Events of the UE's termination; the other one asks for none.
fn events(
    spec: &AnchorSpec,
    side: Side,
    plan: &Plan,
    heartbeat: Heartbeat,
) -> Option<EventsDescriptor> {
    if side != Side::Access {
        return None;
    }
    let mut beat = RequestedEvent::new(PkgdName::new("hangterm", "thb"));
    let timer = Parameter::new("timerx", heartbeat.time().as_secs());
    beat.parameters.push(timer);
    let mut events = EventsDescriptor {
        request_id: Some(IDLE),
        events: vec![beat],
    };
    if let (Some(inactivity), Some(stream)) = (spec.inactivity, watched(spec, plan)) {
        let mut stopped = RequestedEvent::new(PkgdName::new("adid", "ipstop"));
        stopped.stream = Some(stream);
        let seconds = inactivity.as_secs().max(1);
        stopped.parameters.push(Parameter::new("dt", seconds));
        stopped.parameters.push(Parameter::new("dir", "IN"));
        events.request_id = Some(WATCHED);
        events.events.push(stopped);
    }
    Some(events)
}
