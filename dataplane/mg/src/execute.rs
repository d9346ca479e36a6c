//! Transactions executed: actions and commands in order, up to the first that fails.
//!
//! H.248.1 8: commands of an action, and actions of a transaction, are executed in order. One that
//! fails and is not optional ends the transaction; what was done before stays. Each command by
//! itself is done as a whole or not at all.

use base::Instant;
use h248::error::ErrorCode;
use h248::message::{
    ActionReply, ActionRequest, Command, CommandReply, CommandRequest, ContextId, ErrorDescriptor,
    ReplyBody, TerminationId,
};

use crate::connection_model::ConnectionModel;
use crate::error::{Result, about, error};
use crate::plane::MediaPlane;
use crate::reply::{Results, refuse, reply};

/// Contexts over which commands with a reply for each are executed.
const REPLIES_MAX: usize = 1024;

/// What a command works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The null context: ROOT, and terminations in no context, of which there are none.
    Null,
    /// One context.
    Context(u32),
}

/// Time and the media plane, for the length of a transaction.
pub(crate) struct Run<'a> {
    pub now: Instant,
    pub plane: &'a mut dyn MediaPlane,
}

/// A command failed that is not optional.
struct Stopped;

impl ConnectionModel {
    /// Executes a transaction.
    pub(crate) fn execute(&mut self, run: &mut Run<'_>, actions: &[ActionRequest]) -> ReplyBody {
        let mut replies = Vec::with_capacity(actions.len());
        for action in actions {
            let outcome = match action.context {
                ContextId::All => self.execute_over_all(run, action, &mut replies),
                _ => self.execute_action(run, action, &mut replies),
            };
            if outcome.is_err() {
                break;
            }
        }
        self.connect_changed(run.plane);
        ReplyBody::Actions(replies)
    }

    fn execute_action(
        &mut self,
        run: &mut Run<'_>,
        action: &ActionRequest,
        replies: &mut Vec<ActionReply>,
    ) -> std::result::Result<(), Stopped> {
        let mut reply = ActionReply::new(action.context, Vec::new());
        let scope = match self.enter(action) {
            Ok(scope) => scope,
            Err(fault) => {
                reply.error = Some(fault);
                replies.push(reply);
                return Err(Stopped);
            }
        };
        if let (Scope::Context(id), Some(audit)) = (scope, &action.audit)
            && let Some(context) = self.contexts.get(&id)
        {
            reply.properties = context.audit(audit);
        }
        let mut outcome = Ok(());
        for request in &action.commands {
            outcome = self.execute_command(run, scope, request, &mut reply.commands);
            if outcome.is_err() {
                break;
            }
        }
        if let (ContextId::Choose, Scope::Context(id)) = (action.context, scope) {
            self.delete_if_empty(id);
            if self.contexts.contains_key(&id) {
                reply.context = ContextId::Id(id);
            }
        }
        replies.push(reply);
        outcome
    }

    /// Finds or makes the context of an action, and sets its attributes.
    fn enter(&mut self, action: &ActionRequest) -> Result<Scope> {
        let properties = &action.properties;
        if !properties.contexts.is_empty() {
            return Err(about(ErrorCode::NOT_IMPLEMENTED, "ContextList"));
        }
        let id = match action.context {
            ContextId::Null | ContextId::All => {
                return if properties.is_empty() {
                    Ok(Scope::Null)
                } else {
                    Err(error(ErrorCode::UNKNOWN_ACTION))
                };
            }
            ContextId::Id(id) if !self.contexts.contains_key(&id) => {
                return Err(error(ErrorCode::UNKNOWN_CONTEXT));
            }
            ContextId::Id(id) => id,
            ContextId::Choose => {
                let joins = |request: &CommandRequest| {
                    matches!(request.command, Command::Add(_) | Command::Move(_))
                };
                if !action.commands.first().is_some_and(joins) {
                    return Err(error(ErrorCode::UNKNOWN_ACTION));
                }
                self.create_context()?
            }
        };
        let members = match properties.topology.is_empty() {
            true => Vec::new(),
            false => self.members(id),
        };
        let context = self.contexts.get_mut(&id);
        let set = context.map_or(Ok(()), |context| context.set(properties, &members));
        if let Err(fault) = set {
            self.delete_if_empty(id);
            return Err(fault);
        }
        if !properties.topology.is_empty() {
            self.change(id);
        }
        Ok(Scope::Context(id))
    }

    fn execute_command(
        &mut self,
        run: &mut Run<'_>,
        scope: Scope,
        request: &CommandRequest,
        replies: &mut Vec<CommandReply>,
    ) -> std::result::Result<(), Stopped> {
        let results = self.results(run, scope, request);
        let failed = results.iter().any(|(_, result)| result.is_err());
        reply(request, results, replies);
        if failed && !request.optional {
            Err(Stopped)
        } else {
            Ok(())
        }
    }

    // All contexts.

    /// Executes an action on every context (`Context = *`) that it selects.
    fn execute_over_all(
        &mut self,
        run: &mut Run<'_>,
        action: &ActionRequest,
        replies: &mut Vec<ActionReply>,
    ) -> std::result::Result<(), Stopped> {
        let mut stop = |fault: ErrorDescriptor| {
            let mut reply = ActionReply::new(ContextId::All, Vec::new());
            reply.error = Some(fault);
            replies.push(reply);
            Err(Stopped)
        };
        if let Err(fault) = self.enter(action) {
            return stop(fault);
        }
        let is_legal = |request: &CommandRequest| {
            use Command::{AuditCapability, AuditValue, Modify, Subtract};
            let command = &request.command;
            matches!(
                command,
                Modify(_) | Subtract(_) | AuditValue(_) | AuditCapability(_)
            )
        };
        if !action.commands.iter().all(is_legal) {
            return stop(error(ErrorCode::UNKNOWN_ACTION));
        }
        let selected = self.selected(action);
        let is_one_reply = action.audit.is_none()
            && action
                .commands
                .iter()
                .all(|request| request.wildcard_response);
        if !is_one_reply && selected.len() > REPLIES_MAX {
            return stop(error(ErrorCode::RESPONSE_TOO_BIG));
        }
        if is_one_reply {
            return self.execute_for_one_reply(run, action, &selected, replies);
        }
        let mut matched = vec![false; action.commands.len()];
        for id in selected {
            let mut reply = ActionReply::new(ContextId::Id(id), Vec::new());
            if let (Some(audit), Some(context)) = (&action.audit, self.contexts.get(&id)) {
                reply.properties = context.audit(audit);
            }
            let mut outcome = Ok(());
            for (request, matched) in action.commands.iter().zip(&mut matched) {
                if self.names_any(id, &request.command) {
                    *matched = true;
                    let scope = Scope::Context(id);
                    outcome = self.execute_command(run, scope, request, &mut reply.commands);
                    if outcome.is_err() {
                        break;
                    }
                }
            }
            if !reply.commands.is_empty() || action.audit.is_some() {
                replies.push(reply);
            }
            outcome?;
        }
        self.answer_unmatched(action, &matched, replies)
    }

    /// `W-` over all contexts: one union for each command.
    fn execute_for_one_reply(
        &mut self,
        run: &mut Run<'_>,
        action: &ActionRequest,
        selected: &[u32],
        replies: &mut Vec<ActionReply>,
    ) -> std::result::Result<(), Stopped> {
        let mut whole = ActionReply::new(ContextId::All, Vec::new());
        let mut outcome = Ok(());
        for request in &action.commands {
            let mut results = Results::new();
            for &id in selected {
                if self.names_any(id, &request.command) {
                    results.extend(self.results(run, Scope::Context(id), request));
                }
            }
            if results.is_empty() {
                results = refuse(
                    request.command.terminations(),
                    ErrorCode::NO_TERMINATION_MATCHED,
                );
            }
            let failed = results.iter().any(|(_, result)| result.is_err());
            reply(request, results, &mut whole.commands);
            if failed && !request.optional {
                outcome = Err(Stopped);
                break;
            }
        }
        replies.push(whole);
        outcome
    }

    /// Commands that named nothing in any context.
    fn answer_unmatched(
        &self,
        action: &ActionRequest,
        matched: &[bool],
        replies: &mut Vec<ActionReply>,
    ) -> std::result::Result<(), Stopped> {
        let mut rest = ActionReply::new(ContextId::All, Vec::new());
        let mut outcome = Ok(());
        for (request, _) in action
            .commands
            .iter()
            .zip(matched)
            .filter(|(_, matched)| !**matched)
        {
            let names = request.command.terminations();
            let code = match names.iter().all(TerminationId::is_specific) {
                true => ErrorCode::UNKNOWN_TERMINATION,
                false => ErrorCode::NO_TERMINATION_MATCHED,
            };
            reply(request, refuse(names, code), &mut rest.commands);
            if !request.optional {
                outcome = Err(Stopped);
                break;
            }
        }
        if !rest.commands.is_empty() {
            replies.push(rest);
        }
        outcome
    }

    /// The contexts that an action on all of them selects.
    fn selected(&self, action: &ActionRequest) -> Vec<u32> {
        let is_selected = |context: &crate::context::Context| {
            let audit = action.audit.as_ref();
            audit.is_none_or(|audit| context.is_selected(audit))
        };
        let contexts = self.contexts.iter();
        let selected = contexts.filter(|(_, context)| is_selected(context));
        selected.map(|(&id, _)| id).collect()
    }

    /// True when a command names a termination of this context.
    fn names_any(&self, context: u32, command: &Command) -> bool {
        let members = self
            .contexts
            .get(&context)
            .map(|context| context.terminations.as_slice());
        let names = command.terminations();
        members.into_iter().flatten().any(|key| {
            let termination = self.terminations.get(key);
            termination.is_some_and(|t| names.iter().any(|name| name.matches(&t.name)))
        })
    }
}
