//! Commands and their replies.

use super::{Writer, context};
use crate::message::{
    AmmDescriptors, AmmsReply, AuditDescriptor, AuditReply, Command, CommandReply, CommandRequest,
    ErrorDescriptor, NotifyRequest, ObservedEventsDescriptor, RequestId, ServiceChangeReply,
    TerminationId,
};

impl Writer<'_> {
    /// CommandRequest and Command.
    pub(super) fn command_request(&mut self, request: &CommandRequest) {
        self.large(context(0), |w| match &request.command {
            Command::Add(request) => w.amm(0, &request.terminations, &request.descriptors),
            Command::Move(request) => w.amm(1, &request.terminations, &request.descriptors),
            Command::Modify(request) => w.amm(2, &request.terminations, &request.descriptors),
            Command::Subtract(request) => w.on_terminations(3, &request.terminations, |w| {
                if let Some(audit) = &request.audit {
                    w.audit(context(1), audit);
                }
            }),
            Command::AuditCapability(request) => {
                w.audit_request(4, &request.terminations, request.audit.as_ref());
            }
            Command::AuditValue(request) => {
                w.audit_request(5, &request.terminations, request.audit.as_ref());
            }
            Command::Notify(request) => w.notify_request(request),
            Command::ServiceChange(request) => w.on_terminations(7, &request.terminations, |w| {
                w.constructed(context(1), |w| w.service_change_parms(&request.parms));
            }),
        });
        self.flag(context(1), request.optional);
        self.flag(context(2), request.wildcard_response);
    }

    /// A command or reply that begins with terminations.
    fn on_terminations(
        &mut self,
        number: u8,
        terminations: &[TerminationId],
        content: impl FnOnce(&mut Self),
    ) {
        self.constructed(context(number), |w| {
            w.terminations(context(0), terminations);
            content(w);
        });
    }

    /// AmmRequest.
    fn amm(&mut self, number: u8, terminations: &[TerminationId], descriptors: &AmmDescriptors) {
        self.large(context(number), |w| {
            w.terminations(context(0), terminations);
            w.large(context(1), |w| w.amm_descriptors(descriptors));
        });
    }

    /// SEQUENCE OF AmmDescriptor.
    fn amm_descriptors(&mut self, descriptors: &AmmDescriptors) {
        if let Some(media) = &descriptors.media {
            self.media(context(0), media);
        }
        if let Some(modem) = &descriptors.modem {
            self.modem(context(1), modem);
        }
        if let Some(mux) = &descriptors.mux {
            self.mux(context(2), mux);
        }
        if let Some(events) = &descriptors.events {
            self.events(context(3), events, 0);
        }
        if let Some(buffer) = &descriptors.event_buffer {
            self.event_buffer(context(4), buffer);
        }
        if let Some(signals) = &descriptors.signals {
            self.signals(context(5), signals);
        }
        if let Some(map) = &descriptors.digit_map {
            self.digit_map(context(6), map);
        }
        if let Some(audit) = &descriptors.audit {
            self.audit(context(7), audit);
        }
        if let Some(statistics) = &descriptors.statistics {
            self.statistics(context(8), statistics);
        }
    }

    /// AuditRequest.
    fn audit_request(
        &mut self,
        number: u8,
        terminations: &[TerminationId],
        audit: Option<&AuditDescriptor>,
    ) {
        self.constructed(context(number), |w| {
            match terminations.first() {
                Some(first) => w.termination(context(0), first),
                None => w.refuse("audit", "of no termination"),
            }
            match audit {
                Some(audit) => w.audit(context(1), audit),
                None => w.audit(context(1), &AuditDescriptor::default()),
            }
            if terminations.len() > 1 {
                w.terminations(context(2), terminations);
            }
        });
    }

    /// NotifyRequest, which has to have ObservedEvents.
    fn notify_request(&mut self, request: &NotifyRequest) {
        const NONE: &ObservedEventsDescriptor = &ObservedEventsDescriptor {
            request_id: RequestId(0),
            events: Vec::new(),
        };
        self.on_terminations(6, &request.terminations, |w| {
            w.observed_events(context(1), request.observed.as_ref().unwrap_or(NONE));
            w.optional_error(context(2), request.error.as_ref());
        });
    }

    fn optional_error(&mut self, tag: u8, error: Option<&ErrorDescriptor>) {
        if let Some(error) = error {
            self.error(tag, error);
        }
    }

    /// CommandReply.
    pub(super) fn command_reply(&mut self, reply: &CommandReply) {
        match reply {
            CommandReply::Add(reply) => self.amms_reply(0, reply),
            CommandReply::Move(reply) => self.amms_reply(1, reply),
            CommandReply::Modify(reply) => self.amms_reply(2, reply),
            CommandReply::Subtract(reply) => self.amms_reply(3, reply),
            CommandReply::AuditCapability(reply) => self.audit_reply(4, reply),
            CommandReply::AuditValue(reply) => self.audit_reply(5, reply),
            CommandReply::Notify(reply) => self.on_terminations(6, &reply.terminations, |w| {
                w.optional_error(context(1), reply.error.as_ref());
            }),
            CommandReply::ServiceChange(reply) => self.service_change_reply(reply),
        }
    }

    fn amms_reply(&mut self, number: u8, reply: &AmmsReply) {
        self.on_terminations(number, &reply.terminations, |w| {
            if !reply.audit.is_empty() {
                w.termination_audit(context(1), &reply.audit);
            }
        });
    }

    fn audit_reply(&mut self, number: u8, reply: &AuditReply) {
        self.constructed(context(number), |w| match reply {
            AuditReply::Context(terminations) => w.terminations(context(0), terminations),
            AuditReply::ContextError(error) => w.error(context(1), error),
            AuditReply::Terminations(reply) => match reply.terminations.as_slice() {
                // AuditResult and TermListAuditResult.
                [one] => w.constructed(context(2), |w| {
                    w.termination(context(0), one);
                    w.termination_audit(context(1), &reply.audit);
                }),
                several => w.constructed(context(3), |w| {
                    w.terminations(context(0), several);
                    w.termination_audit(context(1), &reply.audit);
                }),
            },
        });
    }

    fn service_change_reply(&mut self, reply: &ServiceChangeReply) {
        self.on_terminations(7, &reply.terminations, |w| {
            w.constructed(context(1), |w| match &reply.result {
                Err(error) => w.error(context(0), error),
                Ok(result) => w.constructed(context(1), |w| w.service_change_result(result)),
            });
        });
    }
}
