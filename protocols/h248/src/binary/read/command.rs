//! Commands and their replies.

use super::super::ber::{Element, Fields, Read};
use super::{Reader, error_descriptor, list};
use crate::error::ErrorCode;
use crate::message::{
    AmmDescriptors, AmmRequest, AmmsReply, AuditReply, AuditRequest, Command, CommandReply,
    CommandRequest, NotifyReply, NotifyRequest, RequestId, ServiceChangeReply,
    ServiceChangeRequest, SubtractRequest, TerminationAudit, TerminationList,
};

impl Reader<'_> {
    /// CommandRequest and Command.
    pub(super) fn command_request(self, element: &Element<'_>) -> Read<CommandRequest> {
        let mut fields = Fields::of(element)?;
        let command = fields.required(0, "a command", |element| {
            let command = element.choice()?;
            Ok(match command.number() {
                Some(0) => Command::Add(self.amm_request(&command)?),
                Some(1) => Command::Move(self.amm_request(&command)?),
                Some(2) => Command::Modify(self.amm_request(&command)?),
                Some(3) => Command::Subtract(self.subtract_request(&command)?),
                Some(4) => Command::AuditCapability(self.audit_request(&command)?),
                Some(5) => Command::AuditValue(self.audit_request(&command)?),
                Some(6) => Command::Notify(self.notify_request(&command)?),
                Some(7) => Command::ServiceChange(self.service_change_request(&command)?),
                _ => return command.fault_with(ErrorCode::UNKNOWN_COMMAND, "a command"),
            })
        })?;
        let optional = fields.flag(1)?;
        let wildcard_response = fields.flag(2)?;
        fields.end()?;
        Ok(CommandRequest {
            command,
            optional,
            wildcard_response,
        })
    }

    /// CommandReply.
    pub(super) fn command_reply(self, element: Element<'_>) -> Read<CommandReply> {
        let reply = &element;
        Ok(match reply.number() {
            Some(0) => CommandReply::Add(self.amms_reply(reply)?),
            Some(1) => CommandReply::Move(self.amms_reply(reply)?),
            Some(2) => CommandReply::Modify(self.amms_reply(reply)?),
            Some(3) => CommandReply::Subtract(self.amms_reply(reply)?),
            Some(4) => CommandReply::AuditCapability(self.audit_reply(reply)?),
            Some(5) => CommandReply::AuditValue(self.audit_reply(reply)?),
            Some(6) => CommandReply::Notify(self.notify_reply(reply)?),
            Some(7) => CommandReply::ServiceChange(self.service_change_reply(reply)?),
            _ => return reply.fault_with(ErrorCode::UNKNOWN_COMMAND, "a command reply"),
        })
    }

    fn termination_field(self, fields: &mut Fields<'_>) -> Read<TerminationList> {
        fields.required(0, "terminations", |element| self.terminations(&element))
    }

    /// AmmRequest.
    fn amm_request(self, element: &Element<'_>) -> Read<AmmRequest> {
        let mut fields = Fields::of(element)?;
        let terminations = self.termination_field(&mut fields)?;
        let descriptors = fields.required(1, "descriptors", |element| {
            let mut descriptors = AmmDescriptors::default();
            let mut contents = element.contents()?;
            while let Some(element) = contents.next()? {
                self.amm_descriptor(element, &mut descriptors)?;
            }
            Ok(descriptors)
        })?;
        fields.end()?;
        Ok(AmmRequest {
            terminations,
            descriptors,
        })
    }

    /// AmmDescriptor.
    fn amm_descriptor(self, element: Element<'_>, into: &mut AmmDescriptors) -> Read<()> {
        let e = &element;
        match element.number() {
            Some(0) => once(e, &mut into.media, self.media(e)?),
            Some(1) => once(e, &mut into.modem, Box::new(self.modem(e)?)),
            Some(2) => once(e, &mut into.mux, Box::new(self.mux(e)?)),
            Some(3) => once(e, &mut into.events, self.events(e, 0)?),
            Some(4) => once(e, &mut into.event_buffer, self.event_buffer(e)?),
            Some(5) => once(e, &mut into.signals, self.signals(e)?),
            Some(6) => once(e, &mut into.digit_map, Box::new(self.digit_map(e)?)),
            Some(7) => once(e, &mut into.audit, self.audit(e)?),
            Some(8) => once(e, &mut into.statistics, self.statistics(e)?),
            _ => element.fault_with(
                ErrorCode::UNKNOWN_DESCRIPTOR,
                "a descriptor of Add, Modify or Move",
            ),
        }
    }

    /// AmmsReply.
    fn amms_reply(self, element: &Element<'_>) -> Read<AmmsReply> {
        let mut fields = Fields::of(element)?;
        let terminations = self.termination_field(&mut fields)?;
        let audit = fields.optional(1, |element| self.termination_audit(&element))?;
        fields.end()?;
        Ok(AmmsReply {
            terminations,
            audit: audit.unwrap_or_default(),
        })
    }

    /// SubtractRequest.
    fn subtract_request(self, element: &Element<'_>) -> Read<SubtractRequest> {
        let mut fields = Fields::of(element)?;
        let terminations = self.termination_field(&mut fields)?;
        let audit = fields.optional(1, |element| self.audit(&element))?;
        fields.end()?;
        Ok(SubtractRequest {
            terminations,
            audit,
        })
    }

    /// AuditRequest. Where there is a list, the single termination is the first of it.
    fn audit_request(self, element: &Element<'_>) -> Read<AuditRequest> {
        let mut fields = Fields::of(element)?;
        let one = fields.required(0, "a termination", |element| self.termination(&element))?;
        let audit = fields.required(1, "an Audit descriptor", |element| self.audit(&element))?;
        let terminations = fields.optional(2, |element| self.terminations(&element))?;
        fields.end()?;
        Ok(AuditRequest {
            terminations: terminations.unwrap_or_else(|| TerminationList::from_buf([one])),
            audit: Some(audit),
        })
    }

    /// AuditReply.
    fn audit_reply(self, element: &Element<'_>) -> Read<AuditReply> {
        let reply = element.choice()?;
        match reply.number() {
            Some(0) => self.terminations(&reply).map(AuditReply::Context),
            Some(1) => error_descriptor(reply).map(AuditReply::ContextError),
            Some(number @ 2..=3) => {
                // AuditResult and TermListAuditResult.
                let mut fields = Fields::of(&reply)?;
                let terminations = fields.required(0, "a termination", |element| match number {
                    2 => Ok(TerminationList::from_buf([self.termination(&element)?])),
                    _ => self.terminations(&element),
                })?;
                let audit = fields.required(1, "what was audited", |element| {
                    self.termination_audit(&element)
                })?;
                fields.end()?;
                Ok(AuditReply::Terminations(AmmsReply {
                    terminations,
                    audit,
                }))
            }
            _ => reply.fault("terminations, an error or descriptors"),
        }
    }

    /// TerminationAudit.
    fn termination_audit(self, element: &Element<'_>) -> Read<TerminationAudit> {
        let mut audit = TerminationAudit::new();
        list(element, None, |element| {
            self.audit_return(&element, &mut audit)
        })?;
        Ok(audit)
    }

    /// NotifyRequest. ObservedEvents without request and event stand for none.
    fn notify_request(self, element: &Element<'_>) -> Read<NotifyRequest> {
        let mut fields = Fields::of(element)?;
        let terminations = self.termination_field(&mut fields)?;
        let observed = fields.required(1, "ObservedEvents", |e| self.observed_events(&e))?;
        let error = fields.optional(2, error_descriptor)?;
        fields.end()?;
        let is_none =
            error.is_some() && observed.request_id == RequestId(0) && observed.events.is_empty();
        Ok(NotifyRequest {
            terminations,
            observed: (!is_none).then_some(observed),
            error,
        })
    }

    /// NotifyReply.
    fn notify_reply(self, element: &Element<'_>) -> Read<NotifyReply> {
        let mut fields = Fields::of(element)?;
        let terminations = self.termination_field(&mut fields)?;
        let error = fields.optional(1, error_descriptor)?;
        fields.end()?;
        Ok(NotifyReply {
            terminations,
            error,
        })
    }

    /// ServiceChangeRequest.
    fn service_change_request(self, element: &Element<'_>) -> Read<ServiceChangeRequest> {
        let mut fields = Fields::of(element)?;
        let terminations = self.termination_field(&mut fields)?;
        let parms = fields.required(1, "parameters", |e| self.service_change_parms(&e))?;
        fields.end()?;
        Ok(ServiceChangeRequest {
            terminations,
            parms: Box::new(parms),
        })
    }

    /// ServiceChangeReply.
    fn service_change_reply(self, element: &Element<'_>) -> Read<ServiceChangeReply> {
        let mut fields = Fields::of(element)?;
        let terminations = self.termination_field(&mut fields)?;
        let result = fields.required(1, "a result", |element| {
            let result = element.choice()?;
            match result.number() {
                Some(0) => error_descriptor(result).map(Err),
                Some(1) => Ok(Ok(Box::new(self.service_change_result(&result)?))),
                _ => result.fault("an error or parameters"),
            }
        })?;
        fields.end()?;
        Ok(ServiceChangeReply {
            terminations,
            result,
        })
    }
}

/// Fills `slot`, which must be empty.
fn once<T>(element: &Element<'_>, slot: &mut Option<T>, value: T) -> Read<()> {
    if slot.is_some() {
        return element.fault_with(ErrorCode::DESCRIPTOR_TWICE, "each descriptor once");
    }
    *slot = Some(value);
    Ok(())
}
