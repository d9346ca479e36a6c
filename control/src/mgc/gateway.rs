//! Gateways: how they come into service, stay there and leave it (H.248.1 7.2.8, 11).

use std::net::SocketAddr;

use base::Instant;
use h248::error::ErrorCode;
use h248::message::{
    ActionReply, ActionRequest, AuditDescriptor, AuditRequest, Command, CommandReply, ContextId,
    ErrorDescriptor, Mid, NotifyReply, ReplyBody, ServiceChangeAddress, ServiceChangeMethod,
    ServiceChangeReply, ServiceChangeRequest, ServiceChangeResult, TerminationId, VERSION,
};
use h248::transaction::Association;

use super::{GATEWAYS_MAX, Mgc, PROBE_AFTER, error};
use crate::admin::MediaGatewayStatus;

/// Contexts to be subtracted when a gateway is back; those beyond it go with its own restart.
const ORPHANS_MAX: usize = 100_000;

/// One gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    pub mid: Mid,
    pub address: SocketAddr,
    pub state: GatewayState,
    pub contexts: usize,
    pub heard_at: Instant,
    pub is_probed: bool,
    pub orphans: Vec<u32>,
}

/// Whether a gateway serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GatewayState {
    /// It takes calls.
    InService,
    /// It keeps its calls and takes no new ones (ServiceChange Graceful).
    Draining,
    /// It said that it leaves (ServiceChange Forced).
    OutOfService,
    /// It does not answer.
    Lost,
}

impl Gateway {
    pub(super) fn takes_calls(&self) -> bool {
        self.state == GatewayState::InService
    }

    /// When to ask whether it is there.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        let serves = matches!(self.state, GatewayState::InService | GatewayState::Draining);
        (serves && !self.is_probed).then(|| self.heard_at + PROBE_AFTER)
    }

    pub(super) fn forget_context(&mut self) {
        self.contexts = self.contexts.saturating_sub(1);
    }

    pub(super) fn orphan(&mut self, context: u32) {
        if self.orphans.len() < ORPHANS_MAX {
            self.orphans.push(context);
        }
    }

    pub(super) fn status(&self) -> MediaGatewayStatus {
        let state = match self.state {
            GatewayState::InService => "in service",
            GatewayState::Draining => "draining",
            GatewayState::OutOfService => "out of service",
            GatewayState::Lost => "does not answer",
        };
        MediaGatewayStatus {
            mid: display(&self.mid),
            state: state.into(),
            contexts: self.contexts,
        }
    }
}

/// AuditValue of Root: the least that a living gateway answers (TS 29.334 5.17.1.10).
pub(super) fn probe() -> ActionRequest {
    let audit = AuditRequest::new(TerminationId::Root, AuditDescriptor::default());
    ActionRequest::new(ContextId::Null, vec![Command::AuditValue(audit).into()])
}

impl Mgc {
    /// Executes what a gateway asks: ServiceChange and Notify.
    pub(super) fn execute(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        mid: &Mid,
        version: u8,
        actions: &[ActionRequest],
    ) -> ReplyBody {
        let known = self.gateways.iter().position(|gateway| gateway.mid == *mid);
        let registers = actions.iter().flat_map(|action| &action.commands).any(
            |request| matches!(&request.command, Command::ServiceChange(change) if is_root(change)),
        );
        if known.is_none() && !registers {
            // It believes to be registered here: it is told to begin anew.
            return error(ErrorCode::BEFORE_RESTART);
        }
        let mut replies = Vec::with_capacity(actions.len());
        for action in actions {
            let mut commands = Vec::with_capacity(action.commands.len());
            for request in &action.commands {
                match &request.command {
                    Command::ServiceChange(change) => {
                        let reply = self.service_change(now, peer, mid, version, change);
                        commands.push(CommandReply::ServiceChange(reply));
                    }
                    Command::Notify(notify) => {
                        let gateway = self.gateways.iter().position(|gateway| gateway.mid == *mid);
                        let observed = notify.observed.as_ref();
                        let stopped = observed.is_some_and(|observed| {
                            observed
                                .events
                                .iter()
                                .any(|event| event.name.is("adid", "ipstop"))
                        });
                        let known = match (gateway, action.context) {
                            (Some(gateway), ContextId::Id(id)) if stopped => {
                                self.inactive(gateway, id)
                            }
                            _ => true,
                        };
                        commands.push(CommandReply::Notify(NotifyReply {
                            terminations: notify.terminations.clone(),
                            error: (!known)
                                .then(|| ErrorDescriptor::new(ErrorCode::UNKNOWN_CONTEXT)),
                        }));
                    }
                    _ => {
                        let mut reply = ActionReply::new(action.context, commands);
                        reply.error = Some(ErrorDescriptor::new(ErrorCode::UNKNOWN_COMMAND));
                        replies.push(reply);
                        return ReplyBody::Actions(replies);
                    }
                }
            }
            replies.push(ActionReply::new(action.context, commands));
        }
        ReplyBody::Actions(replies)
    }

    fn service_change(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        mid: &Mid,
        version: u8,
        change: &ServiceChangeRequest,
    ) -> ServiceChangeReply {
        let terminations = change.terminations.clone();
        if !is_root(change) {
            // Single terminations of a TrGW are ephemeral: their change of service is taken notice of.
            return ServiceChangeReply {
                terminations,
                result: Ok(Box::default()),
            };
        }
        let parms = &change.parms;
        let address = match &parms.address {
            Some(ServiceChangeAddress::Port(port)) => SocketAddr::new(peer.ip(), *port),
            Some(ServiceChangeAddress::Mid(Mid::Ipv4(ip, port))) => {
                SocketAddr::new((*ip).into(), port.unwrap_or(peer.port()))
            }
            Some(ServiceChangeAddress::Mid(Mid::Ipv6(ip, port))) => {
                SocketAddr::new((*ip).into(), port.unwrap_or(peer.port()))
            }
            _ => peer,
        };
        let index = match self.gateways.iter().position(|gateway| gateway.mid == *mid) {
            Some(index) => index,
            None if self.gateways.len() >= GATEWAYS_MAX => {
                let refused = ErrorDescriptor::new(ErrorCode::INSUFFICIENT_RESOURCES);
                return ServiceChangeReply {
                    terminations,
                    result: Err(refused),
                };
            }
            None => {
                self.gateways.push(Gateway {
                    mid: mid.clone(),
                    address,
                    state: GatewayState::OutOfService,
                    contexts: 0,
                    heard_at: now,
                    is_probed: false,
                    orphans: Vec::new(),
                });
                self.gateways.len() - 1
            }
        };
        match parms.method {
            ServiceChangeMethod::Restart => {
                // Everything at the gateway is gone, the contexts that were to be subtracted included.
                self.lose_anchors(index);
                self.gateways[index].orphans.clear();
                self.serve(now, index, address);
            }
            ServiceChangeMethod::Disconnected
            | ServiceChangeMethod::HandOff
            | ServiceChangeMethod::Failover => {
                self.serve(now, index, address);
                self.subtract_orphans(now, index);
            }
            ServiceChangeMethod::Graceful => {
                self.gateways[index].state = GatewayState::Draining;
            }
            ServiceChangeMethod::Forced => {
                self.gateways[index].state = GatewayState::OutOfService;
                self.lose_anchors(index);
                self.gateways[index].orphans.clear();
            }
            ServiceChangeMethod::Extension(_) => {
                let refused = ErrorDescriptor::new(ErrorCode::UNKNOWN_VALUE);
                return ServiceChangeReply {
                    terminations,
                    result: Err(refused),
                };
            }
        }
        let offered = parms.version.unwrap_or(version);
        let result = ServiceChangeResult {
            version: Some(offered.clamp(1, VERSION)),
            ..ServiceChangeResult::default()
        };
        ServiceChangeReply {
            terminations,
            result: Ok(Box::new(result)),
        }
    }

    fn serve(&mut self, now: Instant, index: usize, address: SocketAddr) {
        let gateway = &mut self.gateways[index];
        gateway.address = address;
        gateway.state = GatewayState::InService;
        gateway.heard_at = now;
        gateway.is_probed = false;
        self.endpoint
            .set_association(address, Association::default());
    }
}

/// A MID as people write it.
fn display(mid: &Mid) -> String {
    let with_port = |host: String, port: &Option<u16>| match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    match mid {
        Mid::Ipv4(ip, port) => with_port(ip.to_string(), port),
        Mid::Ipv6(ip, port) => with_port(format!("[{ip}]"), port),
        Mid::Domain(name, port) => with_port(name.to_string(), port),
        Mid::Device(name) => name.to_string(),
        Mid::Mtp(octets) => octets.iter().map(|octet| format!("{octet:02x}")).collect(),
    }
}

fn is_root(change: &ServiceChangeRequest) -> bool {
    change.terminations.contains(&TerminationId::Root)
}
