//! A message in one line.

use std::fmt::{self, Display, Formatter};

use ::h248::encoding::{BadTransaction, Parsed, ParsedBody, TransactionKind};
use ::h248::message::{
    ActionReply, ActionRequest, AmmsReply, AuditReply, AuditReturn, Command, CommandReply,
    CommandRequest, ErrorDescriptor, ReplyBody, Segment, TerminationId, Transaction,
};

/// Shows what a message says, transaction by transaction: `request 7 (context $: Add $, Add $)`.
pub struct Summary<'a>(pub &'a Parsed);

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0.body {
            ParsedBody::Error(failure) => error(f, failure),
            ParsedBody::Transactions(all) => list(f, ", ", all, |f, each| match each {
                Ok(right) => transaction(f, right),
                Err(wrong) => bad(f, wrong),
            }),
        }
    }
}

fn list<T>(
    f: &mut Formatter<'_>,
    between: &str,
    items: &[T],
    mut show: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        show(f, item)?;
    }
    Ok(())
}

fn transaction(f: &mut Formatter<'_>, transaction: &Transaction) -> fmt::Result {
    match transaction {
        Transaction::Request(request) => {
            write!(f, "request {} (", request.id)?;
            list(f, "; ", &request.actions, action)?;
            f.write_str(")")
        }
        Transaction::Pending(id) => write!(f, "pending {id}"),
        Transaction::Reply(reply) => {
            write!(f, "reply {} (", reply.id)?;
            if let Some(segment) = reply.segment {
                numbered(f, segment)?;
                f.write_str(": ")?;
            }
            match &reply.body {
                ReplyBody::Error(failure) => error(f, failure)?,
                ReplyBody::Actions(actions) => list(f, "; ", actions, action_reply)?,
            }
            f.write_str(")")
        }
        Transaction::ResponseAck(ranges) => {
            f.write_str("acknowledgement ")?;
            list(f, " ", ranges, |f, (first, last)| match first == last {
                true => write!(f, "{first}"),
                false => write!(f, "{first}-{last}"),
            })
        }
        Transaction::SegmentReply(id, segment) => {
            write!(f, "acknowledgement {id} ")?;
            numbered(f, *segment)
        }
    }
}

fn numbered(f: &mut Formatter<'_>, segment: Segment) -> fmt::Result {
    let last = if segment.complete { ", the last" } else { "" };
    write!(f, "segment {}{last}", segment.number)
}

fn bad(f: &mut Formatter<'_>, bad: &BadTransaction) -> fmt::Result {
    f.write_str(match bad.kind {
        TransactionKind::Request => "request",
        TransactionKind::Reply => "reply",
        TransactionKind::Pending => "pending",
        TransactionKind::ResponseAck | TransactionKind::SegmentReply => "acknowledgement",
        TransactionKind::Unknown => "transaction",
    })?;
    if let Some(id) = bad.id {
        write!(f, " {id}")?;
    }
    write!(f, " (not readable, {}: {})", bad.error.code.0, bad.error)
}

fn action(f: &mut Formatter<'_>, action: &ActionRequest) -> fmt::Result {
    write!(f, "context {}", action.context)?;
    if !action.properties.is_empty() {
        f.write_str(" properties")?;
    }
    if action.audit.is_some() {
        f.write_str(" audit")?;
    }
    if !action.commands.is_empty() {
        f.write_str(": ")?;
    }
    list(f, ", ", &action.commands, command)
}

fn command(f: &mut Formatter<'_>, request: &CommandRequest) -> fmt::Result {
    f.write_str(if request.optional { "O-" } else { "" })?;
    f.write_str(if request.wildcard_response { "W-" } else { "" })?;
    f.write_str(match &request.command {
        Command::Add(_) => "Add ",
        Command::Modify(_) => "Modify ",
        Command::Move(_) => "Move ",
        Command::Subtract(_) => "Subtract ",
        Command::AuditValue(_) => "AuditValue ",
        Command::AuditCapability(_) => "AuditCapability ",
        Command::Notify(_) => "Notify ",
        Command::ServiceChange(_) => "ServiceChange ",
    })?;
    terminations(f, request.command.terminations())?;
    match &request.command {
        Command::Notify(notify) => {
            let observed = notify.observed.iter().flat_map(|observed| &observed.events);
            observed
                .map(|event| &event.name)
                .try_for_each(|name| write!(f, " {name}"))?;
            notify.error.iter().try_for_each(|failure| {
                f.write_str(" ")?;
                error(f, failure)
            })
        }
        Command::ServiceChange(change) => {
            write!(f, " {:?} {}", change.parms.method, change.parms.reason.code)
        }
        _ => Ok(()),
    }
}

fn terminations(f: &mut Formatter<'_>, all: &[TerminationId]) -> fmt::Result {
    list(f, " ", all, |f, id| write!(f, "{id}"))
}

fn action_reply(f: &mut Formatter<'_>, action: &ActionReply) -> fmt::Result {
    write!(f, "context {}", action.context)?;
    if !action.properties.is_empty() {
        f.write_str(" properties")?;
    }
    if !action.commands.is_empty() {
        f.write_str(": ")?;
    }
    list(f, ", ", &action.commands, command_reply)?;
    action.error.iter().try_for_each(|failure| {
        f.write_str(if action.commands.is_empty() {
            ": "
        } else {
            ", "
        })?;
        error(f, failure)
    })
}

fn command_reply(f: &mut Formatter<'_>, reply: &CommandReply) -> fmt::Result {
    match reply {
        CommandReply::Add(reply) => audited(f, "Add", reply),
        CommandReply::Modify(reply) => audited(f, "Modify", reply),
        CommandReply::Move(reply) => audited(f, "Move", reply),
        CommandReply::Subtract(reply) => audited(f, "Subtract", reply),
        CommandReply::AuditValue(reply) => audit(f, "AuditValue", reply),
        CommandReply::AuditCapability(reply) => audit(f, "AuditCapability", reply),
        CommandReply::Notify(reply) => {
            outcome(f, "Notify", &reply.terminations, reply.error.as_ref())
        }
        CommandReply::ServiceChange(reply) => {
            let failure = reply.result.as_ref().err();
            outcome(f, "ServiceChange", &reply.terminations, failure)
        }
    }
}

fn audit(f: &mut Formatter<'_>, name: &str, reply: &AuditReply) -> fmt::Result {
    match reply {
        AuditReply::Context(all) => outcome(f, name, all, None),
        AuditReply::ContextError(failure) => outcome(f, name, &[], Some(failure)),
        AuditReply::Terminations(reply) => audited(f, name, reply),
    }
}

fn audited(f: &mut Formatter<'_>, name: &str, reply: &AmmsReply) -> fmt::Result {
    let failure = reply.audit.iter().find_map(|returned| match returned {
        AuditReturn::Error(failure) => Some(failure),
        _ => None,
    });
    outcome(f, name, &reply.terminations, failure)
}

fn outcome(
    f: &mut Formatter<'_>,
    name: &str,
    all: &[TerminationId],
    failure: Option<&ErrorDescriptor>,
) -> fmt::Result {
    f.write_str(name)?;
    if !all.is_empty() {
        f.write_str(" ")?;
        terminations(f, all)?;
    }
    failure.iter().try_for_each(|failure| {
        f.write_str(" ")?;
        error(f, failure)
    })
}

fn error(f: &mut Formatter<'_>, error: &ErrorDescriptor) -> fmt::Result {
    write!(f, "error {}", error.code.0)?;
    match &error.text {
        Some(text) => write!(f, " {text:?}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_transaction_reads_well() {
        for (text, line) in [
            (
                "T=7{C=${A=$,O-A=$},C=3{W-S=*{AT{}}}}",
                "request 7 (context $: Add $, O-Add $; context 3: W-Subtract *)",
            ),
            (
                "T=8{C=-{SC=ROOT{SV{MT=RS,RE=\"901 Cold Boot\"}}}}",
                "request 8 (context -: ServiceChange ROOT Restart 901)",
            ),
            (
                "T=9{C=3{N=ip/1{OE=4{g/cause,al/of}}}}",
                "request 9 (context 3: Notify ip/1 g/cause al/of)",
            ),
            (
                "P=7{C=3{A=ip/1,MF=ip/2{ER=430{\"unknown\"}},ER=500{}}}",
                "reply 7 (context 3: Add ip/1, Modify ip/2 error 430 \"unknown\", error 500)",
            ),
            ("P=7{ER=411{}}", "reply 7 (error 411)"),
            ("PN=5{}K{1-3,9}", "pending 5, acknowledgement 1-3 9"),
            ("T=1{C=1{Q=a}}", "request 1 (not readable, 443: "),
        ] {
            let parsed = ::h248::text::parse(format!("!/3 [192.0.2.1] {text}").as_bytes()).unwrap();
            let shown = Summary(&parsed).to_string();
            assert!(shown.starts_with(line), "{shown}");
        }
    }
}
