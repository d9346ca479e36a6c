//! Transactions executed: actions and commands in order, up to the first that fails.
//!
//! H.248.1 8: commands of an action, and actions of a transaction, are executed in order. One that
//! fails and is not optional ends the transaction; what was done before stays. Each command by
//! itself is done as a whole or not at all.

use base::Instant;
use h248::error::ErrorCode;
use h248::message::{
    ActionReply, ActionRequest, AmmDescriptors, AmmRequest, AmmsReply, AuditReply, AuditRequest,
    AuditReturn, Command, CommandReply, CommandRequest, ContextId, ErrorDescriptor,
    MediaDescriptor, NotifyReply, ReplyBody, ServiceChangeMethod, ServiceChangeParms,
    ServiceChangeReply, ServiceChangeRequest, ServiceState, Streams, SubtractRequest,
    TerminationAudit, TerminationId,
};

use crate::audit;
use crate::connection_model::ConnectionModel;
use crate::error::{Result, about, error};
use crate::plane::MediaPlane;
use crate::statistics;
use crate::termination::TerminationKey;

/// Contexts over which commands with a reply for each are executed.
const REPLIES_MAX: usize = 1024;

/// What a command works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The null context: ROOT, and terminations in no context, of which there are none.
    Null,
    /// One context.
    Context(u32),
}

/// A termination that a command names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Root,
    Ephemeral(TerminationKey),
}

/// Time and the media plane, for the length of a transaction.
pub(crate) struct Run<'a> {
    pub now: Instant,
    pub plane: &'a mut dyn MediaPlane,
}

/// A command failed that is not optional.
struct Stopped;

/// Results of one command, one per termination.
type Results = Vec<(TerminationId, Result<TerminationAudit>)>;

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
        ReplyBody::Actions(replies)
    }

    fn execute_action(
        &mut self,
        run: &mut Run<'_>,
        action: &ActionRequest,
        replies: &mut Vec<ActionReply>,
    ) -> std::result::Result<(), Stopped> {
        let mut reply = ActionReply::new(action.context, Vec::new());
        let scope = match self.enter(run, action) {
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
    fn enter(&mut self, run: &mut Run<'_>, action: &ActionRequest) -> Result<Scope> {
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
        let members = self.members(id);
        let context = self.contexts.get_mut(&id);
        let set = context.map_or(Ok(()), |context| context.set(properties, &members));
        if let Err(fault) = set {
            self.delete_if_empty(id);
            return Err(fault);
        }
        if !properties.topology.is_empty() {
            self.connect(run.plane, id);
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

    /// Executes one command on each termination it names.
    fn results(&mut self, run: &mut Run<'_>, scope: Scope, request: &CommandRequest) -> Results {
        match &request.command {
            Command::Add(add) => self.add_all(run, scope, add),
            Command::Modify(modify) => {
                self.each(run, scope, &modify.terminations, |model, run, target| {
                    model.modify_one(run, target, &modify.descriptors)
                })
            }
            Command::Move(moved) => self.move_all(run, scope, moved),
            Command::Subtract(subtract) => {
                self.each(run, scope, &subtract.terminations, |model, run, target| {
                    model.subtract_one(run, target, subtract)
                })
            }
            Command::AuditValue(audit) => {
                self.each(run, scope, &audit.terminations, |model, run, target| {
                    model.audit_value(run, target, audit)
                })
            }
            Command::AuditCapability(audit) => self.audit_capabilities(run, scope, audit),
            Command::Notify(notify) => refuse(&notify.terminations, ErrorCode::UNKNOWN_COMMAND),
            Command::ServiceChange(change) => {
                self.each(run, scope, &change.terminations, |model, run, target| {
                    model.service_change(run, target, change)
                })
            }
        }
    }

    /// Does something to each termination that a list names.
    fn each(
        &mut self,
        run: &mut Run<'_>,
        scope: Scope,
        names: &[TerminationId],
        mut command: impl FnMut(&mut Self, &mut Run<'_>, Target) -> Result<TerminationAudit>,
    ) -> Results {
        let mut results = Results::new();
        for name in names {
            match self.resolve(scope, name) {
                Err(fault) => results.push((name.clone(), Err(fault))),
                Ok(targets) => {
                    for target in targets {
                        let name = self.name_of(target);
                        if let Target::Ephemeral(key) = target {
                            self.name(run.now, key);
                        }
                        results.push((name, command(self, run, target)));
                    }
                }
            }
        }
        results
    }

    /// The terminations that a name stands for, at least one.
    fn resolve(&self, scope: Scope, name: &TerminationId) -> Result<Vec<Target>> {
        let members = match scope {
            Scope::Null => &[][..],
            Scope::Context(id) => match self.contexts.get(&id) {
                Some(context) => context.terminations.as_slice(),
                // It ended within this action.
                None => return Err(error(ErrorCode::UNKNOWN_CONTEXT)),
            },
        };
        if *name == TerminationId::Root {
            return match scope {
                Scope::Null => Ok(vec![Target::Root]),
                Scope::Context(_) => Err(about(ErrorCode::NOT_IN_CONTEXT, name)),
            };
        }
        if name.has_choose() {
            return Err(about(ErrorCode::INCORRECT_IDENTIFIER, name));
        }
        if !name.has_all() {
            let key = self
                .find(name)
                .ok_or_else(|| about(ErrorCode::UNKNOWN_TERMINATION, name))?;
            return match members.contains(&key) {
                true => Ok(vec![Target::Ephemeral(key)]),
                false => Err(about(ErrorCode::NOT_IN_CONTEXT, name)),
            };
        }
        let matched = members.iter().filter(|key| {
            let termination = self.terminations.get(key);
            termination.is_some_and(|termination| name.matches(&termination.name))
        });
        let targets: Vec<Target> = matched.map(|&key| Target::Ephemeral(key)).collect();
        match targets.is_empty() {
            true => Err(about(ErrorCode::NO_TERMINATION_MATCHED, name)),
            false => Ok(targets),
        }
    }

    /// The termination with this name.
    fn find(&self, name: &TerminationId) -> Option<TerminationKey> {
        let number = name.as_str().rsplit('/').next()?.parse().ok()?;
        let termination = self.terminations.get(&TerminationKey(number))?;
        (termination.name == *name).then_some(termination.key)
    }

    fn name_of(&self, target: Target) -> TerminationId {
        match target {
            Target::Root => TerminationId::Root,
            Target::Ephemeral(key) => match self.terminations.get(&key) {
                Some(termination) => termination.name.clone(),
                None => TerminationId::All,
            },
        }
    }

    // Add and Move.

    fn add_all(&mut self, run: &mut Run<'_>, scope: Scope, request: &AmmRequest) -> Results {
        let names = request.terminations.iter();
        names
            .map(
                |name| match self.add_one(run, scope, name, &request.descriptors) {
                    Ok((name, audit)) => (name, Ok(audit)),
                    Err(fault) => (name.clone(), Err(fault)),
                },
            )
            .collect()
    }

    fn add_one(
        &mut self,
        run: &mut Run<'_>,
        scope: Scope,
        name: &TerminationId,
        descriptors: &AmmDescriptors,
    ) -> Result<(TerminationId, TerminationAudit)> {
        let Scope::Context(context) = scope else {
            return Err(error(ErrorCode::UNKNOWN_ACTION));
        };
        match name {
            TerminationId::Root => {
                return Err(about(ErrorCode::COMMAND_NOT_ALLOWED_ON_TERMINATION, name));
            }
            _ if name.has_all() => return Err(about(ErrorCode::NO_TERMINATION_MATCHED, name)),
            _ if !name.has_choose() => {
                let code = match self.find(name) {
                    Some(_) => ErrorCode::ALREADY_IN_CONTEXT,
                    None => ErrorCode::UNKNOWN_TERMINATION,
                };
                return Err(about(code, name));
            }
            _ => {}
        }
        audit::check(self.profile, descriptors.audit.as_ref())?;
        let (key, chosen) = self.add(run.now, run.plane, context, name, descriptors)?;
        let audit = self.returned(run, key, chosen, descriptors);
        Ok((self.name_of(Target::Ephemeral(key)), audit))
    }

    fn move_all(&mut self, run: &mut Run<'_>, scope: Scope, request: &AmmRequest) -> Results {
        let names = request.terminations.iter();
        names
            .map(|name| {
                let result = self.move_one(run, scope, name, &request.descriptors);
                (name.clone(), result)
            })
            .collect()
    }

    fn move_one(
        &mut self,
        run: &mut Run<'_>,
        scope: Scope,
        name: &TerminationId,
        descriptors: &AmmDescriptors,
    ) -> Result<TerminationAudit> {
        let Scope::Context(context) = scope else {
            return Err(error(ErrorCode::UNKNOWN_ACTION));
        };
        if *name == TerminationId::Root {
            return Err(about(ErrorCode::COMMAND_NOT_ALLOWED_ON_TERMINATION, name));
        }
        if !name.is_specific() {
            return Err(about(ErrorCode::INCORRECT_IDENTIFIER, name));
        }
        let key = self
            .find(name)
            .ok_or_else(|| about(ErrorCode::UNKNOWN_TERMINATION, name))?;
        audit::check(self.profile, descriptors.audit.as_ref())?;
        let chosen = self.move_to(run.now, run.plane, key, context, descriptors)?;
        Ok(self.returned(run, key, chosen, descriptors))
    }

    // Modify, Subtract.

    fn modify_one(
        &mut self,
        run: &mut Run<'_>,
        target: Target,
        descriptors: &AmmDescriptors,
    ) -> Result<TerminationAudit> {
        let nothing = Default::default();
        let audit = descriptors.audit.as_ref();
        audit::check(self.profile, audit)?;
        match target {
            Target::Root => {
                self.root.apply(self.profile, descriptors)?;
                let audit = audit.unwrap_or(&nothing);
                Ok(audit::root_value(
                    self.profile,
                    &self.root,
                    self.contexts_max,
                    audit,
                ))
            }
            Target::Ephemeral(key) => {
                let chosen = self.modify(run.now, run.plane, key, descriptors)?;
                Ok(self.returned(run, key, chosen, descriptors))
            }
        }
    }

    /// What Add, Modify and Move return: what was left to the gateway, and what is asked for.
    fn returned(
        &self,
        run: &Run<'_>,
        key: TerminationKey,
        chosen: MediaDescriptor,
        descriptors: &AmmDescriptors,
    ) -> TerminationAudit {
        let mut returned = TerminationAudit::new();
        if let (Some(audit), Some(known)) = (&descriptors.audit, self.terminations.get(&key)) {
            returned = audit::value(run.now, self.profile, run.plane, known, audit);
        }
        let has_media = returned
            .iter()
            .any(|item| matches!(item, AuditReturn::Media(_)));
        if chosen.streams != Streams::None && !has_media {
            returned.insert(0, AuditReturn::Media(chosen));
        }
        returned
    }

    fn subtract_one(
        &mut self,
        run: &mut Run<'_>,
        target: Target,
        request: &SubtractRequest,
    ) -> Result<TerminationAudit> {
        let Target::Ephemeral(key) = target else {
            return Err(about(ErrorCode::COMMAND_NOT_ALLOWED_ON_TERMINATION, "ROOT"));
        };
        audit::check(self.profile, request.audit.as_ref())?;
        let mut returned = TerminationAudit::new();
        if let (Some(audit), Some(known)) = (&request.audit, self.terminations.get(&key)) {
            returned = audit::value(run.now, self.profile, run.plane, known, audit);
        }
        let statistics = self.subtract(run.now, run.plane, key);
        if request.audit.is_none() && !statistics.is_empty() {
            returned.push(AuditReturn::Statistics(statistics));
        }
        Ok(returned)
    }

    // Audits.

    fn audit_value(
        &mut self,
        run: &mut Run<'_>,
        target: Target,
        request: &AuditRequest,
    ) -> Result<TerminationAudit> {
        let nothing = Default::default();
        let audit = request.audit.as_ref().unwrap_or(&nothing);
        audit::check(self.profile, Some(audit))?;
        match target {
            Target::Root => Ok(audit::root_value(
                self.profile,
                &self.root,
                self.contexts_max,
                audit,
            )),
            Target::Ephemeral(key) => match self.terminations.get(&key) {
                Some(known) => Ok(audit::value(run.now, self.profile, run.plane, known, audit)),
                None => Err(error(ErrorCode::UNKNOWN_TERMINATION)),
            },
        }
    }

    /// What terminations can do is the same for all, so a wildcard may stand for those to come.
    fn audit_capabilities(
        &mut self,
        run: &mut Run<'_>,
        scope: Scope,
        request: &AuditRequest,
    ) -> Results {
        let nothing = Default::default();
        let audit = request.audit.as_ref().unwrap_or(&nothing);
        if let Err(fault) = audit::check(self.profile, Some(audit)) {
            let names = request.terminations.iter();
            return names
                .map(|name| (name.clone(), Err(fault.clone())))
                .collect();
        }
        let kind = TerminationId::new(format!("{}/1/1", self.profile.termination_prefix));
        let mut results = Results::new();
        for name in &request.terminations {
            let is_kind = scope == Scope::Null && name.has_all() && name.matches(&kind);
            let targets = match self.resolve(scope, name) {
                Err(_) if is_kind => {
                    let capabilities = audit::capabilities(self.profile, &self.pool, audit);
                    results.push((name.clone(), Ok(capabilities)));
                    continue;
                }
                Err(fault) => {
                    results.push((name.clone(), Err(fault)));
                    continue;
                }
                Ok(targets) => targets,
            };
            for target in targets {
                let capabilities = match target {
                    Target::Root => audit::root_capabilities(self.profile, audit),
                    Target::Ephemeral(key) => {
                        self.name(run.now, key);
                        audit::capabilities(self.profile, &self.pool, audit)
                    }
                };
                results.push((self.name_of(target), Ok(capabilities)));
            }
        }
        results
    }

    // ServiceChange.

    fn service_change(
        &mut self,
        run: &mut Run<'_>,
        target: Target,
        request: &ServiceChangeRequest,
    ) -> Result<TerminationAudit> {
        let parms: &ServiceChangeParms = &request.parms;
        let key = match target {
            Target::Root => {
                if let ServiceChangeMethod::Extension(name) = &parms.method {
                    return Err(about(ErrorCode::UNKNOWN_VALUE, name));
                }
                self.directed = Some(parms.clone());
                return Ok(TerminationAudit::new());
            }
            Target::Ephemeral(key) => key,
        };
        let state = match &parms.method {
            ServiceChangeMethod::Restart => ServiceState::InService,
            ServiceChangeMethod::Forced | ServiceChangeMethod::Graceful => {
                ServiceState::OutOfService
            }
            _ => return Err(about(ErrorCode::UNKNOWN_VALUE, "Method")),
        };
        if let Some(termination) = self.terminations.get_mut(&key) {
            termination.service_state = state;
            let context = termination.context;
            self.connect(run.plane, context);
        }
        Ok(TerminationAudit::new())
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
        if let Err(fault) = self.enter(run, action) {
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

/// The same error for every name.
fn refuse(names: &[TerminationId], code: ErrorCode) -> Results {
    let names = names.iter();
    names
        .map(|name| (name.clone(), Err(about(code, name))))
        .collect()
}

/// Turns results into replies: one for each, or their union.
fn reply(request: &CommandRequest, results: Results, replies: &mut Vec<CommandReply>) {
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
    terminations: h248::message::TerminationList,
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
