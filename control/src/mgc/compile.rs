//! From plans to H.248 commands, and from replies to addresses.

use std::net::SocketAddr;
use std::time::Duration;

use h248::message::{
    ActionReply, ActionRequest, AmmRequest, AmmsReply, AuditDescriptor, AuditReturn, Command,
    CommandReply, CommandRequest, ContextId, EventsDescriptor, LocalControl, MediaDescriptor,
    OctetString, Parameter, PkgdName, PropertyParm, RequestId, RequestedEvent, Signal,
    SignalRequest, StreamDescriptor, StreamId, StreamMode, StreamParms, Streams, SubtractRequest,
    TerminationId,
};
use sdp::h248::{Description, Group, Wild};
use sdp::{Media, MediaLine};

use super::plan::{
    AnchorError, AnchorSpec, Endpoint, Family, Locals, Mode, Plan, Side, SidePlan, StreamPlan,
};

/// RequestID of the events that this controller asks for.
pub const EVENTS: RequestId = RequestId(1);

/// A context whose terminations are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// ContextID at the gateway.
    pub id: u32,
    /// Terminations in the order of [`Side::BOTH`].
    pub terminations: [TerminationId; 2],
}

/// Add for both sides into a new context (TS 29.334 5.17.1.2).
pub fn reserve(spec: &AnchorSpec, plan: &Plan, inactivity: Duration) -> ActionRequest {
    let commands = Side::BOTH.map(|side| {
        let mut request = AmmRequest::new(TerminationId::Choose);
        let used = plan
            .streams
            .iter()
            .enumerate()
            .filter(|(_, stream)| stream.used);
        let streams = used
            .map(|(index, stream)| StreamDescriptor {
                id: stream_id(index),
                parms: parms(spec, side, stream, None),
            })
            .collect();
        request.descriptors.media = media(streams);
        request.descriptors.signals = latches(side, plan, None);
        request.descriptors.events = events(side, plan, inactivity);
        CommandRequest::from(Command::Add(request))
    });
    let mut action = ActionRequest::new(ContextId::Choose, commands.into());
    action.properties.emergency = spec.emergency.then_some(true);
    action
}

/// Modify for each side of which something changes (TS 29.334 5.17.1.3).
pub fn configure(
    spec: &AnchorSpec,
    context: &Context,
    before: &Plan,
    after: &Plan,
    inactivity: Duration,
) -> ActionRequest {
    let mut commands = Vec::new();
    for side in Side::BOTH {
        let streams: Vec<_> = changed(before, after, side)
            .map(|(index, old, stream)| StreamDescriptor {
                id: stream_id(index),
                parms: parms(spec, side, stream, old),
            })
            .collect();
        if streams.is_empty() {
            continue;
        }
        let mut request = AmmRequest::new(context.terminations[side.index()].clone());
        request.descriptors.media = media(streams);
        request.descriptors.signals = latches(side, after, Some(before));
        request.descriptors.events = events(side, after, inactivity);
        commands.push(CommandRequest::from(Command::Modify(request)));
    }
    ActionRequest::new(ContextId::Id(context.id), commands)
}

/// Subtract of the whole context, with its statistics.
pub fn release(context: u32) -> ActionRequest {
    let mut request = SubtractRequest::new(TerminationId::All);
    // An empty Audit descriptor asks for no statistics: they stay in the gateway's own counters.
    request.audit = Some(AuditDescriptor::default());
    let command = CommandRequest {
        command: Command::Subtract(request),
        optional: false,
        wildcard_response: true,
    };
    ActionRequest::new(ContextId::Id(context), vec![command])
}

/// Reads the reply to [`reserve`].
///
/// # Errors
/// `Refused` with the gateway's error code, `Nonsense` when the reply lacks a termination or an address.
pub fn reserved(plan: &Plan, reply: &ActionReply) -> Result<(Context, Locals), AnchorError> {
    refused(reply)?;
    let ContextId::Id(id) = reply.context else {
        return Err(AnchorError::Nonsense);
    };
    let mut adds = reply.commands.iter().filter_map(|command| match command {
        CommandReply::Add(reply) => Some(reply),
        _ => None,
    });
    let (Some(access), Some(core)) = (adds.next(), adds.next()) else {
        return Err(AnchorError::Nonsense);
    };
    let name = |reply: &AmmsReply| match reply.terminations.as_slice() {
        [id @ TerminationId::Name(_)] if id.is_specific() => Ok(id.clone()),
        _ => Err(AnchorError::Nonsense),
    };
    let context = Context {
        id,
        terminations: [name(access)?, name(core)?],
    };
    let mut locals = Locals::default();
    learn(&mut locals, Side::Access, access);
    learn(&mut locals, Side::Core, core);
    complete(plan, &locals)?;
    Ok((context, locals))
}

/// Reads the reply to [`configure`] into the addresses known so far.
///
/// # Errors
/// As [`reserved`].
pub fn configured(
    context: &Context,
    plan: &Plan,
    locals: &Locals,
    reply: &ActionReply,
) -> Result<Locals, AnchorError> {
    refused(reply)?;
    let mut locals = locals.clone();
    for command in &reply.commands {
        let CommandReply::Modify(reply) = command else {
            continue;
        };
        for side in Side::BOTH {
            if reply
                .terminations
                .contains(&context.terminations[side.index()])
            {
                learn(&mut locals, side, reply);
            }
        }
    }
    for (index, stream) in plan.streams.iter().enumerate() {
        if let Some(local) = locals.0.get_mut(index)
            && !stream.used
        {
            *local = [None, None];
        }
    }
    complete(plan, &locals)?;
    Ok(locals)
}

/// The error of a reply, wherever it stands.
///
/// # Errors
/// `Refused` with the first error code found.
pub fn refused(reply: &ActionReply) -> Result<(), AnchorError> {
    let in_command = reply.commands.iter().find_map(|command| match command {
        CommandReply::Add(reply)
        | CommandReply::Modify(reply)
        | CommandReply::Move(reply)
        | CommandReply::Subtract(reply) => reply.audit.iter().find_map(|item| match item {
            AuditReturn::Error(error) => Some(error.code),
            _ => None,
        }),
        _ => None,
    });
    match reply.error.as_ref().map(|error| error.code).or(in_command) {
        Some(code) => Err(AnchorError::Refused(code.0)),
        None => Ok(()),
    }
}

fn stream_id(index: usize) -> StreamId {
    StreamId(u16::try_from(index + 1).unwrap_or(u16::MAX))
}

fn media(streams: Vec<StreamDescriptor>) -> Option<MediaDescriptor> {
    Some(MediaDescriptor {
        termination_state: None,
        streams: Streams::Many(streams),
    })
}

fn changed<'a>(
    before: &'a Plan,
    after: &'a Plan,
    side: Side,
) -> impl Iterator<Item = (usize, Option<&'a StreamPlan>, &'a StreamPlan)> {
    after
        .streams
        .iter()
        .enumerate()
        .filter_map(move |(index, stream)| {
            let old = before.streams.get(index);
            let same = old.is_some_and(|old| {
                old.used == stream.used
                    && old.sides[side.index()] == stream.sides[side.index()]
                    && old.protocol == stream.protocol
                    && old.formats == stream.formats
            });
            let idle = !stream.used && old.is_none_or(|old| !old.used);
            (!same && !idle).then_some((index, old, stream))
        })
}

/// The Stream descriptor of one side; `old` is what it replaces.
fn parms(
    spec: &AnchorSpec,
    side: Side,
    stream: &StreamPlan,
    old: Option<&StreamPlan>,
) -> StreamParms {
    if !stream.used {
        // An empty Local and Remote frees what the stream holds (H.248.1 7.1.8).
        return StreamParms {
            local_control: Some(control(Mode::Inactive)),
            local: Some(OctetString::default()),
            remote: Some(OctetString::default()),
            statistics: None,
        };
    }
    let own = &stream.sides[side.index()];
    let mut local_control = control(own.mode);
    let new = old.is_none_or(|old| !old.used);
    if new {
        let realm = PkgdName::new("ipdc", "realm");
        let name = h248::message::Value::quoted(&spec.realms[side.index()]);
        local_control
            .properties
            .push(PropertyParm::new(realm, name));
    }
    let family = spec.families[side.index()];
    StreamParms {
        local_control: Some(local_control),
        local: new.then(|| {
            octets(
                stream,
                Group::new(None, family == Family::V6, choose(stream)),
            )
        }),
        remote: own
            .remote
            .map(|remote| octets(stream, remote_group(stream, remote))),
        statistics: None,
    }
}

fn control(mode: Mode) -> LocalControl {
    let mode = match mode {
        Mode::SendReceive => StreamMode::SendReceive,
        Mode::SendOnly => StreamMode::SendOnly,
        Mode::ReceiveOnly => StreamMode::ReceiveOnly,
        Mode::Inactive => StreamMode::Inactive,
    };
    LocalControl {
        mode: Some(mode),
        ..LocalControl::default()
    }
}

fn choose(stream: &StreamPlan) -> MediaLine<Wild<u16>> {
    line(stream, Wild::Choose)
}

fn line(stream: &StreamPlan, port: Wild<u16>) -> MediaLine<Wild<u16>> {
    MediaLine {
        kind: stream.kind.clone(),
        port,
        port_count: 1,
        protocol: stream.protocol.clone(),
        formats: stream.formats.clone(),
    }
}

fn remote_group(stream: &StreamPlan, remote: Endpoint) -> Group {
    let ip = remote.rtp.ip();
    let mut group = Group::new(
        Some(ip),
        ip.is_ipv6(),
        line(stream, Wild::Value(remote.rtp.port())),
    );
    if let Some(rtcp) = remote.rtcp
        && let Some(media) = group.media.first_mut()
    {
        set_rtcp(media, remote.rtp, rtcp);
    }
    group
}

fn set_rtcp(media: &mut Media<Wild<u16>>, rtp: SocketAddr, rtcp: SocketAddr) {
    let connection = (rtcp.ip() != rtp.ip()).then(|| sdp::Connection::from(rtcp.ip()));
    let rtcp = sdp::Rtcp {
        port: rtcp.port(),
        connection,
    };
    media.lines.set_attribute(sdp::Attribute::new("rtcp", rtcp));
}

fn octets(_stream: &StreamPlan, group: Group) -> OctetString {
    OctetString::new(Description::from_group(group).to_string().into_bytes())
}

/// `ipnapt/latch` (H.248.37) on each stream whose peer may be behind a NAT and whose remote is new.
fn latches(side: Side, plan: &Plan, before: Option<&Plan>) -> Option<Vec<SignalRequest>> {
    let own = |stream: &StreamPlan| -> SidePlan { stream.sides[side.index()] };
    let signals: Vec<_> = plan
        .streams
        .iter()
        .enumerate()
        .filter(|(_, stream)| stream.used && own(stream).latch)
        .filter_map(|(index, stream)| {
            let old = before.and_then(|before| before.streams.get(index)).map(own);
            let napt = match old {
                Some(old) if old.latch && old.remote == own(stream).remote => return None,
                Some(old) if old.latch => "RELATCH",
                _ => "LATCH",
            };
            let mut signal = Signal::new(PkgdName::new("ipnapt", "latch"));
            signal.stream = Some(stream_id(index));
            signal.parameters.push(Parameter::new("napt", napt));
            Some(SignalRequest::Signal(signal))
        })
        .collect();
    (!signals.is_empty()).then_some(signals)
}

/// `adid/ipstop` (H.248.40) on the UE's side while media flows both ways; none while the call is on hold.
fn events(side: Side, plan: &Plan, inactivity: Duration) -> Option<EventsDescriptor> {
    if side != Side::Access || inactivity.is_zero() {
        return None;
    }
    let flows = |stream: &StreamPlan| {
        stream.used
            && stream
                .sides
                .iter()
                .all(|side| side.mode == Mode::SendReceive)
    };
    let established = |stream: &StreamPlan| stream.sides.iter().all(|side| side.remote.is_some());
    let watched = plan
        .streams
        .iter()
        .any(|stream| flows(stream) && established(stream));
    let mut events = EventsDescriptor::default();
    if watched {
        let seconds = inactivity.as_secs().max(1);
        let mut event = RequestedEvent::new(PkgdName::new("adid", "ipstop"));
        event.parameters.push(Parameter::new("dt", seconds));
        event.parameters.push(Parameter::new("dir", "IN"));
        events = EventsDescriptor {
            request_id: Some(EVENTS),
            events: vec![event],
        };
    }
    Some(events)
}

/// Takes the addresses of a reply's Local descriptors.
fn learn(locals: &mut Locals, side: Side, reply: &AmmsReply) {
    for item in &reply.audit {
        let AuditReturn::Media(media) = item else {
            continue;
        };
        for (id, parms) in media.streams() {
            let Some(local) = &parms.local else { continue };
            let Ok(description) = Description::parse(local.as_bytes()) else {
                continue;
            };
            let address = description.first().and_then(|group| group.rtp_address(0));
            let Some(index) = usize::from(id.0).checked_sub(1) else {
                continue;
            };
            if index >= sdp::MEDIA_MAX {
                continue;
            }
            if locals.0.len() <= index {
                locals.0.resize(index + 1, [None, None]);
            }
            locals.0[index][side.index()] = address;
        }
    }
}

/// Every used stream must have an address on both sides.
fn complete(plan: &Plan, locals: &Locals) -> Result<(), AnchorError> {
    let has = |index| {
        Side::BOTH
            .iter()
            .all(|&side| locals.get(index, side).is_some())
    };
    let used = plan
        .streams
        .iter()
        .enumerate()
        .filter(|(_, stream)| stream.used);
    if used.map(|(index, _)| index).all(has) {
        Ok(())
    } else {
        Err(AnchorError::Nonsense)
    }
}
