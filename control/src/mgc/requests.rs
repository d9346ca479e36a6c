//! What gateways ask: ServiceChange and Notify (H.248.1 7.2.7, 7.2.8).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base::Instant;
use h248::error::ErrorCode;
use h248::message::{
    ActionReply, ActionRequest, Command, CommandReply, ContextId, ErrorDescriptor, Mid,
    NotifyReply, NotifyRequest, ReplyBody, ServiceChangeAddress, ServiceChangeMethod,
    ServiceChangeParms, ServiceChangeReason, ServiceChangeReply, ServiceChangeRequest,
    ServiceChangeResult, TerminationId, VERSION,
};

use super::Mgc;
use super::compile::{self, WATCHED};
use super::gateway::{GatewayId, GatewayState};
use super::plan::{AnchorError, AnchorEvent};

/// A gateway that asks, as its message says.
pub(super) struct Asker<'a> {
    /// Where the message came from.
    pub source: SocketAddr,
    pub mid: &'a Mid,
    pub version: u8,
}

impl Mgc {
    /// Whether a message comes from elsewhere than the gateway that it names as its sender, and
    /// that gateway is served: one that has moved is heard when the silence at its old address has
    /// been noticed.
    pub(super) fn is_impostor(&self, asker: &Asker<'_>) -> bool {
        let gateway = self
            .gateways
            .with_mid(asker.mid)
            .map(|id| &self.gateways[id]);
        gateway.is_some_and(|gateway| {
            let is_gone = matches!(
                gateway.state,
                GatewayState::Lost | GatewayState::OutOfService
            );
            let own = match *asker.mid {
                Mid::Ipv4(ip, _) => Some(IpAddr::from(ip)),
                Mid::Ipv6(ip, _) => Some(IpAddr::from(ip)),
                _ => None,
            };
            let ip = asker.source.ip();
            !is_gone && gateway.address.ip() != ip && own != Some(ip)
        })
    }

    /// Executes a transaction up to the first command that fails.
    pub(super) fn execute(
        &mut self,
        now: Instant,
        asker: &Asker<'_>,
        actions: &[ActionRequest],
    ) -> ReplyBody {
        if let Some(id) = self.gateways.with_mid(asker.mid) {
            let address = self.gateways[id].address;
            self.hear(now, address);
        }
        let mut replies = Vec::with_capacity(actions.len());
        for action in actions {
            let mut reply = ActionReply::new(action.context, Vec::new());
            for request in &action.commands {
                match self.execute_command(now, asker, action.context, &request.command) {
                    Ok(command) => reply.commands.push(command),
                    // A stranger is told at once that it has to register first.
                    Err(code) if replies.is_empty() && reply.commands.is_empty() => {
                        return ReplyBody::Error(ErrorDescriptor::new(code));
                    }
                    Err(code) => {
                        reply.error = Some(ErrorDescriptor::new(code));
                        break;
                    }
                }
            }
            let has_failed = reply.error.is_some();
            replies.push(reply);
            if has_failed {
                break;
            }
        }
        ReplyBody::Actions(replies)
    }

    fn execute_command(
        &mut self,
        now: Instant,
        asker: &Asker<'_>,
        context: ContextId,
        command: &Command,
    ) -> Result<CommandReply, ErrorCode> {
        match (command, self.gateways.with_mid(asker.mid)) {
            (Command::ServiceChange(change), known) if is_root(change) => {
                let result = self.change_service(now, asker, known, &change.parms)?;
                Ok(CommandReply::ServiceChange(ServiceChangeReply {
                    terminations: change.terminations.clone(),
                    result,
                }))
            }
            // It believes to be registered here.
            (_, None) => Err(ErrorCode::BEFORE_RESTART),
            (Command::ServiceChange(change), Some(id)) => {
                self.change_terminations(now, id, context, change);
                Ok(CommandReply::ServiceChange(ServiceChangeReply {
                    terminations: change.terminations.clone(),
                    result: Ok(Box::default()),
                }))
            }
            (Command::Notify(notify), Some(id)) => {
                let error = self.notified(now, id, context, notify).err();
                Ok(CommandReply::Notify(NotifyReply {
                    terminations: notify.terminations.clone(),
                    error: error.map(ErrorDescriptor::new),
                }))
            }
            _ => Err(ErrorCode::UNKNOWN_COMMAND),
        }
    }

    // ---- the whole gateway ----

    /// ServiceChange of ROOT.
    ///
    /// # Errors
    /// 505 from a stranger that does not register. What the outer `Ok` carries goes into the reply
    /// to the command.
    fn change_service(
        &mut self,
        now: Instant,
        asker: &Asker<'_>,
        known: Option<GatewayId>,
        parms: &ServiceChangeParms,
    ) -> Result<Result<Box<ServiceChangeResult>, ErrorDescriptor>, ErrorCode> {
        let refused = |code| Ok(Err(ErrorDescriptor::new(code)));
        let delay = Duration::from_secs(parms.delay.unwrap_or(0).into());
        match (&parms.method, known) {
            (ServiceChangeMethod::Extension(_), _) => return refused(ErrorCode::UNKNOWN_VALUE),
            (ServiceChangeMethod::Graceful | ServiceChangeMethod::Forced, None) => {
                return Err(ErrorCode::BEFORE_RESTART);
            }
            (ServiceChangeMethod::Graceful, Some(id)) => {
                let until = (!delay.is_zero()).then(|| now + delay);
                self.drain_gateway(now, id, until);
            }
            (ServiceChangeMethod::Forced, Some(id)) => {
                self.lose_everything(id, AnchorError::Lost);
                self.set_state(id, GatewayState::OutOfService);
            }
            (
                ServiceChangeMethod::Restart
                | ServiceChangeMethod::Disconnected
                | ServiceChangeMethod::HandOff
                | ServiceChangeMethod::Failover,
                _,
            ) => {
                // What has a connection is spoken to on it.
                let is_connected = self.links.to(asker.source).is_some();
                let address = match is_connected {
                    true => asker.source,
                    false => address(asker.source, parms),
                };
                let Some(id) = self.place(now, asker.mid, address) else {
                    return refused(ErrorCode::INSUFFICIENT_RESOURCES);
                };
                self.gateways[id].is_connected = is_connected;
                self.take_in(now, id, known.is_some(), version(asker, parms), parms);
            }
        }
        Ok(Ok(Box::new(ServiceChangeResult {
            version: Some(version(asker, parms)),
            ..ServiceChangeResult::default()
        })))
    }

    /// A gateway registers, or registers anew.
    fn take_in(
        &mut self,
        now: Instant,
        id: GatewayId,
        is_known: bool,
        version: u8,
        parms: &ServiceChangeParms,
    ) {
        let gateway = &self.gateways[id];
        let serves = matches!(
            gateway.state,
            GatewayState::InService | GatewayState::Draining(_)
        );
        let restarts = parms.method == ServiceChangeMethod::Restart;
        if serves && restarts && parms.reason.code == ServiceChangeReason::CANCEL_GRACEFUL {
            return self.set_state(id, GatewayState::InService);
        }
        if is_known && !restarts && (serves || gateway.returns_to.is_some()) {
            // It lost contact for a while, and little else.
            return match serves {
                true => self.verify(now, id),
                false => self.expect(id, now, version),
            };
        }
        self.lose_everything(id, AnchorError::Lost);
        // A cold boot leaves nothing; after anything else there may be contexts that nobody here
        // knows.
        let is_cold = restarts && parms.reason.code == ServiceChangeReason::COLD_BOOT;
        self.gateways[id].is_dirty = !is_cold;
        let delay = if restarts {
            parms.delay.unwrap_or(0)
        } else {
            0
        };
        self.expect(id, now + Duration::from_secs(delay.into()), version);
    }

    fn drain_gateway(&mut self, now: Instant, id: GatewayId, until: Option<Instant>) {
        match self.gateways[id].state {
            GatewayState::InService | GatewayState::Draining(_) => {
                self.set_state(id, GatewayState::Draining(until));
            }
            GatewayState::Waiting(..) | GatewayState::Starting(_)
                if self.gateways[id].returns_to.is_some() =>
            {
                self.gateways[id].returns_to = Some(GatewayState::Draining(until));
            }
            // It has no calls that could go on.
            GatewayState::Waiting(..) | GatewayState::Starting(_) | GatewayState::Lost => {
                self.lose_everything(id, AnchorError::Lost);
                self.set_state(id, GatewayState::Draining(until));
            }
            GatewayState::OutOfService => {}
        }
        let gateway = &mut self.gateways[id];
        if matches!(gateway.state, GatewayState::Draining(_)) {
            gateway.probe_at = Some(now + super::gateway::PROBE_AFTER);
        }
    }

    // ---- parts of it ----

    /// Terminations that leave service at once take their calls with them.
    fn change_terminations(
        &mut self,
        now: Instant,
        id: GatewayId,
        context: ContextId,
        change: &ServiceChangeRequest,
    ) {
        if change.parms.method != ServiceChangeMethod::Forced {
            return;
        }
        for anchor_id in self.anchors.at(id) {
            let anchor = self.anchors.get(anchor_id);
            let Some(held) = anchor.and_then(|anchor| anchor.context()) else {
                continue;
            };
            let is_meant = |id| match context {
                ContextId::Id(context) => context == id,
                _ => true,
            };
            let patterns = &change.terminations;
            let is_named = |own: &TerminationId| patterns.iter().any(|named| named.matches(own));
            if is_meant(held.id) && held.terminations.iter().any(is_named) {
                self.lose_anchor(now, anchor_id);
            }
        }
        let is_meant = |id| match context {
            ContextId::Id(context) => context == id,
            _ => true,
        };
        let patterns = &change.terminations;
        let is_named = |own: &TerminationId| patterns.iter().any(|named| named.matches(own));
        self.lose_members(now, id, is_meant, is_named);
    }

    /// Notify.
    ///
    /// # Errors
    /// 411 for a context that is not known here.
    fn notified(
        &mut self,
        now: Instant,
        id: GatewayId,
        context: ContextId,
        notify: &NotifyRequest,
    ) -> Result<(), ErrorCode> {
        let Some(observed) = &notify.observed else {
            return Ok(());
        };
        let ContextId::Id(context) = context else {
            // ROOT may also say that it hears nothing from here: now it hears an answer.
            let mut events = observed.events.iter();
            if events.any(|event| event.name.is("ocp", "mg_overload")) {
                self.relieve(now, id);
            }
            return Ok(());
        };
        let has = |package, item| {
            let mut events = observed.events.iter();
            events.any(|event| event.name.is(package, item))
        };
        if self.room_notified(id, context, &notify.terminations, observed) {
            return Ok(());
        }
        match self.anchors.in_context(id, context) {
            None => {
                if has("hangterm", "thb") {
                    self.subtract(now, id, context);
                }
                Err(ErrorCode::UNKNOWN_CONTEXT)
            }
            Some(anchor_id) => {
                let Some(anchor) = self.anchors.get(anchor_id) else {
                    return Ok(());
                };
                // It may have crossed with a Modify that asks for something else.
                let watched = compile::watched(&anchor.spec, &anchor.applied);
                let is_current = observed.request_id == WATCHED && watched.is_some();
                if is_current && has("adid", "ipstop") && !anchor.is_released {
                    let owner = anchor.owner;
                    self.tell(anchor_id, owner, AnchorEvent::Inactive);
                }
                if has("hangterm", "thb") {
                    self.slow(now, anchor_id);
                }
                Ok(())
            }
        }
    }
}

/// Where a gateway wants its requests sent: to where it sends from, if it does not say (H.248.1
/// 7.2.8).
fn address(source: SocketAddr, parms: &ServiceChangeParms) -> SocketAddr {
    let (ip, port) = match &parms.address {
        Some(ServiceChangeAddress::Port(port)) => (source.ip(), Some(*port)),
        Some(ServiceChangeAddress::Mid(Mid::Ipv4(ip, port))) => ((*ip).into(), *port),
        Some(ServiceChangeAddress::Mid(Mid::Ipv6(ip, port))) => ((*ip).into(), *port),
        _ => return source,
    };
    let ip = if ip.is_unspecified() { source.ip() } else { ip };
    let port = port.filter(|&port| port != 0).unwrap_or(source.port());
    SocketAddr::new(ip, port)
}

/// The highest version that both sides speak (H.248.1 11.3).
fn version(asker: &Asker<'_>, parms: &ServiceChangeParms) -> u8 {
    parms.version.unwrap_or(asker.version).clamp(1, VERSION)
}

fn is_root(change: &ServiceChangeRequest) -> bool {
    change.terminations.contains(&TerminationId::Root)
}
