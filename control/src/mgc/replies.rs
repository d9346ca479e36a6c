//! From replies to addresses, and from error descriptors to what went wrong.

use h248::error::ErrorCode;
use h248::message::{
    ActionReply, AmmsReply, AuditReply, AuditReturn, CommandReply, ContextId, ReplyBody,
    TerminationId,
};
use sdp::h248::{Description, Group};

use super::compile::Context;
use super::plan::{AnchorError, AnchorSpec, Family, Locals, Plan, Side, SrtpPlan};

/// What became of a Modify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Configured {
    /// The plan is in force.
    Done(Locals),
    /// The gateway refused; the sides named had changed by then.
    Refused(ErrorCode, [bool; 2]),
    /// The reply does not fit the request: both sides may have changed.
    Nonsense,
}

/// Reads the reply to [`reserve`](super::compile::reserve).
///
/// # Errors
/// `Refused` with the gateway's error code, `Nonsense` when the reply lacks a termination or an
/// address.
pub fn reserved(
    spec: &AnchorSpec,
    plan: &Plan,
    body: &ReplyBody,
) -> Result<(Context, Locals), AnchorError> {
    if let Some(code) = refusal(body) {
        return Err(AnchorError::Refused(code.0));
    }
    let reply = only_action(body).ok_or(AnchorError::Nonsense)?;
    let (ContextId::Id(id), [CommandReply::Add(access), CommandReply::Add(core)]) =
        (reply.context, reply.commands.as_slice())
    else {
        return Err(AnchorError::Nonsense);
    };
    let context = Context {
        id,
        terminations: [name(access)?, name(core)?],
    };
    if context.terminations[0] == context.terminations[1] {
        return Err(AnchorError::Nonsense);
    }
    let mut locals = Locals::default();
    learn(&mut locals, Side::Access, access)?;
    learn(&mut locals, Side::Core, core)?;
    check(spec, plan, &locals)?;
    Ok((context, locals))
}

/// Reads the reply to [`configure`](super::compile::configure), which asked something of the sides
/// `asked`, into the addresses known so far.
pub fn configured(
    spec: &AnchorSpec,
    context: &Context,
    plan: &Plan,
    locals: &Locals,
    asked: [bool; 2],
    body: &ReplyBody,
) -> Configured {
    let replies = only_action(body).map_or(&[][..], |action| action.commands.as_slice());
    let of_side = |side: Side| {
        replies.iter().find_map(|command| match command {
            CommandReply::Modify(reply)
                if *reply.terminations == [context.terminations[side.index()].clone()] =>
            {
                Some(reply)
            }
            _ => None,
        })
    };
    if let Some(code) = refusal(body) {
        let changed = Side::BOTH.map(|side| of_side(side).is_some_and(|reply| !has_failed(reply)));
        return Configured::Refused(code, changed);
    }
    let is_ours =
        only_action(body).is_some_and(|action| action.context == ContextId::Id(context.id));
    let mut locals = locals.clone();
    for side in Side::BOTH {
        let learnt = match of_side(side) {
            Some(reply) => learn(&mut locals, side, reply),
            None if asked[side.index()] => Err(AnchorError::Nonsense),
            None => Ok(()),
        };
        if learnt.is_err() || !is_ours {
            return Configured::Nonsense;
        }
    }
    for (local, stream) in locals.addresses.iter_mut().zip(&plan.streams) {
        if !stream.used {
            *local = [None, None];
        }
    }
    locals
        .fingerprints
        .retain(|index, _| speaks_dtls(plan, *index));
    match check(spec, plan, &locals) {
        Ok(()) => Configured::Done(locals),
        Err(_) => Configured::Nonsense,
    }
}

/// The first error of a reply, wherever it stands.
pub fn refusal(body: &ReplyBody) -> Option<ErrorCode> {
    let actions = match body {
        ReplyBody::Error(error) => return Some(error.code),
        ReplyBody::Actions(actions) => actions,
    };
    let in_action = |action: &ActionReply| {
        let in_command = action.commands.iter().find_map(|command| match command {
            CommandReply::Add(reply)
            | CommandReply::Modify(reply)
            | CommandReply::Move(reply)
            | CommandReply::Subtract(reply)
            | CommandReply::AuditValue(AuditReply::Terminations(reply)) => failure(reply),
            _ => None,
        });
        in_command.or(action.error.as_ref().map(|error| error.code))
    };
    actions.iter().find_map(in_action)
}

/// Whether the packages that a reply tells of play announcements: the gateway is an MRFP.
pub fn says_resource(body: &ReplyBody) -> bool {
    let ReplyBody::Actions(actions) = body else {
        return false;
    };
    let commands = actions.iter().flat_map(|action| &action.commands);
    let audits = commands.filter_map(|command| match command {
        CommandReply::AuditValue(AuditReply::Terminations(reply)) => Some(&reply.audit),
        _ => None,
    });
    audits.flatten().any(|item| match item {
        AuditReturn::Packages(packages) => packages
            .iter()
            .any(|package| package.name == *"an" || package.name == *"aasb"),
        _ => false,
    })
}

/// The contexts that a reply names.
pub fn contexts(body: &ReplyBody) -> impl Iterator<Item = u32> {
    let actions = match body {
        ReplyBody::Actions(actions) => actions.as_slice(),
        ReplyBody::Error(_) => &[],
    };
    actions.iter().filter_map(|action| match action.context {
        ContextId::Id(id) => Some(id),
        _ => None,
    })
}

fn only_action(body: &ReplyBody) -> Option<&ActionReply> {
    match body {
        ReplyBody::Actions(actions) if actions.len() == 1 => actions.first(),
        _ => None,
    }
}

fn failure(reply: &AmmsReply) -> Option<ErrorCode> {
    reply.audit.iter().find_map(|item| match item {
        AuditReturn::Error(error) => Some(error.code),
        _ => None,
    })
}

fn has_failed(reply: &AmmsReply) -> bool {
    failure(reply).is_some()
}

fn name(reply: &AmmsReply) -> Result<TerminationId, AnchorError> {
    match reply.terminations.as_slice() {
        [id @ TerminationId::Name(_)] if id.is_specific() => Ok(id.clone()),
        _ => Err(AnchorError::Nonsense),
    }
}

/// Takes the addresses of a reply's Local descriptors.
fn learn(locals: &mut Locals, side: Side, reply: &AmmsReply) -> Result<(), AnchorError> {
    let streams = reply.audit.iter().filter_map(|item| match item {
        AuditReturn::Media(media) => Some(media.streams()),
        _ => None,
    });
    for (id, parms) in streams.flatten() {
        let Some(text) = parms.local.as_ref().filter(|text| !text.is_empty()) else {
            continue;
        };
        let index = usize::from(id.0).checked_sub(1);
        let index = index.filter(|&index| index < sdp::MEDIA_MAX);
        let description = Description::parse(text.as_bytes()).ok();
        let group = description.as_ref().and_then(Description::first);
        let local = group.and_then(|group| group.rtp_address(0));
        let (Some(index), Some(local)) = (index, local) else {
            return Err(AnchorError::Nonsense);
        };
        if locals.addresses.len() <= index {
            locals.addresses.resize(index + 1, [None, None]);
        }
        locals.addresses[index][side.index()] = Some(local);
        if let Some(fingerprint) = group.and_then(fingerprint).filter(|_| side == Side::Access) {
            locals.fingerprints.insert(index, fingerprint);
        }
    }
    Ok(())
}

/// The certificate that a description tells of.
fn fingerprint(group: &Group) -> Option<Box<str>> {
    let own = group.media.first()?.lines.fingerprints().next();
    let fingerprint = own.or_else(|| group.lines.fingerprints().next())?;
    Some(fingerprint.to_string().into())
}

fn speaks_dtls(plan: &Plan, stream: usize) -> bool {
    let stream = plan.streams.get(stream).filter(|stream| stream.used);
    let srtp = stream.and_then(|stream| stream.srtp.as_ref());
    srtp.and_then(SrtpPlan::dtls).is_some()
}

/// Every used stream must have an address of the right family on both sides, and no other may have
/// one. Those with DTLS must have a certificate.
fn check(spec: &AnchorSpec, plan: &Plan, locals: &Locals) -> Result<(), AnchorError> {
    let fits = |index: usize, used: bool| {
        Side::BOTH.iter().all(|&side| {
            let family = spec.families[side.index()];
            match locals.get(index, side) {
                Some(local) => used && Family::of(local) == family,
                None => !used,
            }
        })
    };
    let used = |index: usize| plan.streams.get(index).is_some_and(|stream| stream.used);
    let is_shown = |index: usize| {
        let is_told = locals.fingerprint(index).is_some();
        is_told || !speaks_dtls(plan, index)
    };
    let streams = plan.streams.len().max(locals.addresses.len());
    if (0..streams).all(|index| fits(index, used(index)) && is_shown(index)) {
        Ok(())
    } else {
        Err(AnchorError::Nonsense)
    }
}
