//! Replies of commands, made of what came of each termination.

use h248::error::ErrorCode;
use h248::message::{
    AmmsReply, AuditReply, AuditReturn, Command, CommandReply, CommandRequest, NotifyReply,
    ServiceChangeReply, TerminationAudit, TerminationId, TerminationList,
};

use crate::error::{Result, about};
use crate::statistics;

/// Results of one command, one per termination.
pub(crate) type Results = Vec<(TerminationId, Result<TerminationAudit>)>;

/// The same error for every name.
pub(crate) fn refuse(names: &[TerminationId], code: ErrorCode) -> Results {
    let names = names.iter();
    names
        .map(|name| (name.clone(), Err(about(code, name))))
        .collect()
}

/// Turns results into replies: one for each, or their union.
pub(crate) fn reply(request: &CommandRequest, results: Results, replies: &mut Vec<CommandReply>) {
    let command = &request.command;
    if let Some(list) = names_only(command, &results) {
        replies.push(match command {
            Command::AuditValue(_) => CommandReply::AuditValue(list),
            _ => CommandReply::AuditCapability(list),
        });
    } else if request.wildcard_response && results.len() > 1 {
        let names = command.terminations().iter().cloned().collect();
        replies.push(command_reply(command, names, union(results)));
    } else {
        for (name, result) in results {
            replies.push(command_reply(command, [name].into_iter().collect(), result));
        }
    }
}

/// An audit of several terminations that asks for nothing is answered by their names.
fn names_only(command: &Command, results: &Results) -> Option<AuditReply> {
    let (Command::AuditValue(request) | Command::AuditCapability(request)) = command else {
        return None;
    };
    let audit = request.audit.as_ref();
    let asks_nothing = audit.is_none_or(|a| a.tokens.is_empty() && a.items.is_empty());
    let has_wildcard = request.terminations.iter().any(TerminationId::has_all);
    let is_fine = results.iter().all(|(_, result)| result.is_ok());
    (asks_nothing && has_wildcard && is_fine)
        .then(|| AuditReply::Context(results.iter().map(|(name, _)| name.clone()).collect()))
}

fn union(results: Results) -> Result<TerminationAudit> {
    let mut union = TerminationAudit::new();
    for (_, result) in results {
        for item in result? {
            let known = union.iter_mut().find_map(|known| match known {
                AuditReturn::Statistics(statistics) => Some(statistics),
                _ => None,
            });
            match (item, known) {
                (AuditReturn::Statistics(more), Some(known)) => statistics::sum(known, more),
                (item, _) => {
                    if !union.contains(&item) {
                        union.push(item);
                    }
                }
            }
        }
    }
    Ok(union)
}

fn command_reply(
    command: &Command,
    terminations: TerminationList,
    result: Result<TerminationAudit>,
) -> CommandReply {
    let amms = |result: Result<TerminationAudit>, terminations| AmmsReply {
        terminations,
        audit: result.unwrap_or_else(|fault| vec![AuditReturn::Error(fault)]),
    };
    match command {
        Command::Add(_) => CommandReply::Add(amms(result, terminations)),
        Command::Modify(_) => CommandReply::Modify(amms(result, terminations)),
        Command::Move(_) => CommandReply::Move(amms(result, terminations)),
        Command::Subtract(_) => CommandReply::Subtract(amms(result, terminations)),
        Command::AuditValue(_) => {
            CommandReply::AuditValue(AuditReply::Terminations(amms(result, terminations)))
        }
        Command::AuditCapability(_) => {
            CommandReply::AuditCapability(AuditReply::Terminations(amms(result, terminations)))
        }
        Command::Notify(_) => CommandReply::Notify(NotifyReply {
            terminations,
            error: result.err(),
        }),
        Command::ServiceChange(_) => CommandReply::ServiceChange(ServiceChangeReply {
            terminations,
            result: result.map(|_| Box::default()),
        }),
    }
}
