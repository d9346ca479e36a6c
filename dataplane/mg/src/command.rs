//! Commands on the terminations of one context, H.248.1 7.2.

use h248::error::ErrorCode;
use h248::message::{
    AmmDescriptors, AmmRequest, AuditRequest, AuditReturn, Command, CommandRequest,
    MediaDescriptor, ServiceChangeMethod, ServiceChangeParms, ServiceChangeRequest, ServiceState,
    Streams, SubtractRequest, TerminationAudit, TerminationId,
};

use crate::audit;
use crate::connection_model::ConnectionModel;
use crate::error::{Result, about, error};
use crate::execute::{Run, Scope};
use crate::reply::{Results, refuse};
use crate::termination::TerminationKey;

/// A termination that a command names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Root,
    Ephemeral(TerminationKey),
}

impl ConnectionModel {
    /// Executes one command on each termination it names.
    pub(crate) fn results(
        &mut self,
        run: &mut Run<'_>,
        scope: Scope,
        request: &CommandRequest,
    ) -> Results {
        if let Err(code) = self.profile.check_command(&request.command) {
            return refuse(request.command.terminations(), code);
        }
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
                self.each(run, scope, &change.terminations, |model, _, target| {
                    model.service_change(target, change)
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
        if request.audit.is_none() {
            let statistics = self.statistics(run.now, run.plane, key);
            if !statistics.is_empty() {
                returned.push(AuditReturn::Statistics(statistics));
            }
        }
        self.subtract(run.plane, key);
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
            self.change(context);
        }
        Ok(TerminationAudit::new())
    }
}
