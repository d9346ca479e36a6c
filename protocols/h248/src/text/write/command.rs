//! Commands, their replies, ServiceChange and Audit.

use super::super::token as t;
use super::super::token::Token;
use super::Writer;
use crate::message::{
    AmmDescriptors, AmmRequest, AmmsReply, AuditDescriptor, AuditReply, AuditReturn, AuditToken,
    Command, CommandReply, CommandRequest, ErrorDescriptor, IndexedAudit, IndexedMedia,
    IndexedStreamParms, NotifyReply, NotifyRequest, Profile, Selection, ServiceChangeAddress,
    ServiceChangeMethod, ServiceChangeParms, ServiceChangeReply, ServiceChangeResult,
    SignalRequest, TerminationId, Value,
};

impl Writer<'_> {
    pub(super) fn command_request(&mut self, request: &CommandRequest) {
        self.item();
        if request.optional {
            self.octets(b"O-");
        }
        if request.wildcard_response {
            self.octets(b"W-");
        }
        match &request.command {
            Command::Add(request) => self.amm_request(t::ADD, request),
            Command::Modify(request) => self.amm_request(t::MODIFY, request),
            Command::Move(request) => self.amm_request(t::MOVE, request),
            Command::Subtract(request) => {
                self.audit_request(t::SUBTRACT, &request.terminations, request.audit.as_ref());
            }
            Command::AuditValue(request) => {
                self.audit_request(
                    t::AUDIT_VALUE,
                    &request.terminations,
                    request.audit.as_ref(),
                );
            }
            Command::AuditCapability(request) => {
                let audit = request.audit.as_ref();
                self.audit_request(t::AUDIT_CAPABILITY, &request.terminations, audit);
            }
            Command::Notify(request) => self.notify_request(request),
            Command::ServiceChange(request) => {
                self.command(t::SERVICE_CHANGE, &request.terminations);
                self.block(|w| {
                    w.item();
                    w.token(t::SERVICES);
                    w.block(|w| w.service_change_parms(&request.parms));
                });
            }
        }
    }

    fn command(&mut self, token: Token, terminations: &[TerminationId]) {
        self.named(token);
        self.terminations(terminations);
    }

    fn amm_request(&mut self, token: Token, request: &AmmRequest) {
        self.command(token, &request.terminations);
        if request.descriptors != AmmDescriptors::default() {
            self.block(|w| w.amm_descriptors(&request.descriptors));
        }
    }

    fn amm_descriptors(&mut self, descriptors: &AmmDescriptors) {
        if let Some(media) = &descriptors.media {
            self.item();
            self.media(media);
        }
        if let Some(modem) = &descriptors.modem {
            self.item();
            self.modem(modem);
        }
        if let Some(mux) = &descriptors.mux {
            self.item();
            self.mux(mux);
        }
        if let Some(events) = &descriptors.events {
            self.item();
            self.events(events);
        }
        if let Some(buffer) = &descriptors.event_buffer {
            self.item();
            self.event_buffer(buffer);
        }
        if let Some(signals) = &descriptors.signals {
            self.item();
            self.signals(signals);
        }
        if let Some(map) = &descriptors.digit_map {
            self.item();
            self.digit_map(map);
        }
        if let Some(audit) = &descriptors.audit {
            self.item();
            self.audit(audit);
        }
        if let Some(statistics) = &descriptors.statistics {
            self.item();
            self.statistics(statistics);
        }
    }

    fn audit_request(
        &mut self,
        token: Token,
        terminations: &[TerminationId],
        audit: Option<&AuditDescriptor>,
    ) {
        self.command(token, terminations);
        if let Some(audit) = audit {
            self.block(|w| {
                w.item();
                w.audit(audit);
            });
        }
    }

    fn notify_request(&mut self, request: &NotifyRequest) {
        self.command(t::NOTIFY, &request.terminations);
        self.block(|w| {
            if let Some(observed) = &request.observed {
                w.item();
                w.observed_events(observed);
            }
            if let Some(error) = &request.error {
                w.item();
                w.error(error);
            }
        });
    }

    pub(super) fn command_reply(&mut self, reply: &CommandReply) {
        self.item();
        match reply {
            CommandReply::Add(reply) => self.amms_reply(t::ADD, reply),
            CommandReply::Modify(reply) => self.amms_reply(t::MODIFY, reply),
            CommandReply::Move(reply) => self.amms_reply(t::MOVE, reply),
            CommandReply::Subtract(reply) => self.amms_reply(t::SUBTRACT, reply),
            CommandReply::AuditValue(reply) => self.audit_reply(t::AUDIT_VALUE, reply),
            CommandReply::AuditCapability(reply) => self.audit_reply(t::AUDIT_CAPABILITY, reply),
            CommandReply::Notify(reply) => self.notify_reply(reply),
            CommandReply::ServiceChange(reply) => self.service_change_reply(reply),
        }
    }

    fn amms_reply(&mut self, token: Token, reply: &AmmsReply) {
        self.command(token, &reply.terminations);
        if !reply.audit.is_empty() {
            self.block(|w| {
                for descriptor in &reply.audit {
                    w.item();
                    w.audit_return(descriptor);
                }
            });
        }
    }

    fn audit_reply(&mut self, token: Token, reply: &AuditReply) {
        match reply {
            AuditReply::Terminations(reply) => self.amms_reply(token, reply),
            AuditReply::Context(terminations) => {
                self.pair(token, t::CONTEXT);
                self.octets(b"{");
                self.joined(terminations);
                self.octets(b"}");
            }
            AuditReply::ContextError(error) => {
                self.pair(token, t::CONTEXT);
                self.error_block(error);
            }
        }
    }

    fn error_block(&mut self, error: &ErrorDescriptor) {
        self.block(|w| {
            w.item();
            w.error(error);
        });
    }

    fn notify_reply(&mut self, reply: &NotifyReply) {
        self.command(t::NOTIFY, &reply.terminations);
        if let Some(error) = &reply.error {
            self.error_block(error);
        }
    }

    fn service_change_reply(&mut self, reply: &ServiceChangeReply) {
        self.command(t::SERVICE_CHANGE, &reply.terminations);
        match &reply.result {
            Err(error) => self.error_block(error),
            Ok(result) if **result == ServiceChangeResult::default() => (),
            Ok(result) => self.block(|w| {
                w.item();
                w.token(t::SERVICES);
                w.block(|w| w.service_change_result(result));
            }),
        }
    }

    fn service_change_parms(&mut self, parms: &ServiceChangeParms) {
        self.item();
        self.named(t::METHOD);
        match &parms.method {
            ServiceChangeMethod::Failover => self.token(t::FAILOVER),
            ServiceChangeMethod::Forced => self.token(t::FORCED),
            ServiceChangeMethod::Graceful => self.token(t::GRACEFUL),
            ServiceChangeMethod::Restart => self.token(t::RESTART),
            ServiceChangeMethod::Disconnected => self.token(t::DISCONNECTED),
            ServiceChangeMethod::HandOff => self.token(t::HAND_OFF),
            ServiceChangeMethod::Extension(name) => self.octets(name.as_bytes()),
        }
        self.service_change_address(parms.address.as_ref());
        if let Some(version) = parms.version {
            self.item();
            self.named(t::VERSION);
            self.number(version);
        }
        self.profile(parms.profile.as_ref());
        self.item();
        self.named(t::REASON);
        let reason = &parms.reason;
        let space = if reason.text.is_empty() { "" } else { " " };
        self.value(&Value::quoted(format!(
            "{}{space}{}",
            reason.code, reason.text
        )));
        if let Some(delay) = parms.delay {
            self.item();
            self.named(t::DELAY);
            self.number(delay);
        }
        if let Some(mgc_id) = &parms.mgc_id {
            self.item();
            self.named(t::MGC_ID_TO_TRY);
            self.mid(mgc_id);
        }
        if let Some(time) = parms.time {
            self.item();
            self.time(time);
        }
        for parameter in &parms.extensions {
            self.parameters(std::slice::from_ref(parameter));
        }
        if let Some(info) = &parms.info {
            self.audit_items(info);
        }
        if parms.incomplete {
            self.item();
            self.token(t::SERVICE_CHANGE_INCOMPLETE);
        }
    }

    fn service_change_result(&mut self, result: &ServiceChangeResult) {
        if let Some(mgc_id) = &result.mgc_id {
            self.item();
            self.named(t::MGC_ID_TO_TRY);
            self.mid(mgc_id);
        }
        self.service_change_address(result.address.as_ref());
        if let Some(version) = result.version {
            self.item();
            self.named(t::VERSION);
            self.number(version);
        }
        self.profile(result.profile.as_ref());
        if let Some(time) = result.time {
            self.item();
            self.time(time);
        }
    }

    fn service_change_address(&mut self, address: Option<&ServiceChangeAddress>) {
        let Some(address) = address else { return };
        self.item();
        self.named(t::SERVICE_CHANGE_ADDRESS);
        match address {
            ServiceChangeAddress::Port(port) => self.number(*port),
            ServiceChangeAddress::Mid(mid) => self.mid(mid),
        }
    }

    fn profile(&mut self, profile: Option<&Profile>) {
        let Some(profile) = profile else { return };
        self.item();
        self.named(t::PROFILE);
        self.format(format_args!("{}/{}", profile.name, profile.version));
    }

    // Audits.

    fn audit(&mut self, audit: &AuditDescriptor) {
        self.token(t::AUDIT);
        self.block(|w| w.audit_items(audit));
    }

    fn audit_items(&mut self, audit: &AuditDescriptor) {
        for token in audit.tokens.iter() {
            self.item();
            self.audit_token(token);
        }
        for item in &audit.items {
            self.item();
            self.indexed(item);
        }
    }

    fn audit_token(&mut self, token: AuditToken) {
        self.token(match token {
            AuditToken::Mux => t::MUX,
            AuditToken::Modem => t::MODEM,
            AuditToken::Media => t::MEDIA,
            AuditToken::Events => t::EVENTS,
            AuditToken::Signals => t::SIGNALS,
            AuditToken::DigitMap => t::DIGIT_MAP,
            AuditToken::Statistics => t::STATISTICS,
            AuditToken::ObservedEvents => t::OBSERVED_EVENTS,
            AuditToken::Packages => t::PACKAGES,
            AuditToken::EventBuffer => t::EVENT_BUFFER,
        });
    }

    fn indexed(&mut self, item: &IndexedAudit) {
        match item {
            IndexedAudit::Media(media) => self.indexed_media(media),
            IndexedAudit::Events { request_id, name } => {
                self.token(t::EVENTS);
                if let Some(request) = request_id {
                    self.equal();
                    self.request_id(*request);
                }
                self.name_block(name.as_str());
            }
            IndexedAudit::EventBuffer {
                name,
                stream,
                parameter,
            } => {
                self.token(t::EVENT_BUFFER);
                self.block(|w| {
                    w.item();
                    w.octets(name.as_str().as_bytes());
                    if let Some(stream) = stream {
                        w.block(|w| w.stream(*stream));
                    } else if let Some(parameter) = parameter {
                        w.name_block(parameter.as_str());
                    }
                });
            }
            IndexedAudit::Signals(signal) => {
                self.token(t::SIGNALS);
                self.block(|w| {
                    if let Some(signal) = signal {
                        w.signal_request(signal);
                    }
                });
            }
            IndexedAudit::SignalList(id) => {
                self.token(t::SIGNALS);
                self.block(|w| {
                    w.item();
                    w.named(t::SIGNAL_LIST);
                    w.number(*id);
                });
            }
            IndexedAudit::DigitMap(name) => {
                self.named(t::DIGIT_MAP);
                self.octets(name.as_bytes());
            }
            IndexedAudit::Statistics(name) => {
                self.token(t::STATISTICS);
                self.name_block(name.as_str());
            }
            IndexedAudit::Packages(item) => {
                self.token(t::PACKAGES);
                self.block(|w| w.packages_item(item));
            }
        }
    }

    fn name_block(&mut self, name: &str) {
        self.block(|w| {
            w.item();
            w.octets(name.as_bytes());
        });
    }

    fn indexed_media(&mut self, media: &IndexedMedia) {
        self.token(t::MEDIA);
        self.block(|w| {
            if let Some(state) = &media.termination_state {
                w.item();
                w.token(t::TERMINATION_STATE);
                w.block(|w| {
                    for property in &state.properties {
                        w.item();
                        w.indexed_property(property);
                    }
                    if state.event_buffer {
                        w.item();
                        w.token(t::BUFFER);
                    }
                    if let Some(selection) = state.service_state {
                        w.item();
                        w.token(t::SERVICE_STATES);
                        w.selection(selection, Self::service_state);
                    }
                });
            }
            if let Some(parms) = &media.stream {
                w.indexed_stream_parms(parms);
            }
            for (id, parms) in &media.streams {
                w.item();
                w.named(t::STREAM);
                w.number(id.0);
                w.block(|w| w.indexed_stream_parms(parms));
            }
        });
    }

    fn indexed_stream_parms(&mut self, parms: &IndexedStreamParms) {
        if let Some(control) = &parms.local_control {
            self.item();
            self.token(t::LOCAL_CONTROL);
            self.block(|w| {
                if let Some(selection) = control.mode {
                    w.item();
                    w.token(t::MODE);
                    w.selection(selection, Self::mode);
                }
                if control.reserve_value {
                    w.item();
                    w.token(t::RESERVED_VALUE);
                }
                if control.reserve_group {
                    w.item();
                    w.token(t::RESERVED_GROUP);
                }
                for property in &control.properties {
                    w.item();
                    w.indexed_property(property);
                }
            });
        }
        self.octet_descriptor(t::LOCAL, parms.local.as_ref());
        self.octet_descriptor(t::REMOTE, parms.remote.as_ref());
        if let Some(name) = &parms.statistics {
            self.item();
            self.token(t::STATISTICS);
            self.name_block(name.as_str());
        }
    }

    fn selection<T: Copy>(&mut self, selection: Selection<T>, value: fn(&mut Self, T)) {
        match selection {
            Selection::Value => (),
            Selection::Equal(selected) => {
                self.equal();
                value(self, selected);
            }
            Selection::NotEqual(selected) => {
                self.octets(b"#");
                value(self, selected);
            }
        }
    }

    fn audit_return(&mut self, descriptor: &AuditReturn) {
        match descriptor {
            AuditReturn::Error(error) => self.error(error),
            AuditReturn::Media(media) => self.media(media),
            AuditReturn::Modem(modem) => self.modem(modem),
            AuditReturn::Mux(mux) => self.mux(mux),
            AuditReturn::Events(events) => self.events(events),
            AuditReturn::EventBuffer(buffer) => self.event_buffer(buffer),
            AuditReturn::Signals(signals) => self.signals(signals),
            AuditReturn::DigitMap(map) => self.digit_map(map),
            AuditReturn::ObservedEvents(observed) => self.observed_events(observed),
            AuditReturn::Statistics(statistics) => self.statistics(statistics),
            AuditReturn::Packages(packages) => {
                self.token(t::PACKAGES);
                if !packages.is_empty() {
                    self.block(|w| {
                        for item in packages {
                            w.packages_item(item);
                        }
                    });
                }
            }
            AuditReturn::Empty(token) => self.audit_token(*token),
        }
    }

    /// A signal of an indexed audit.
    fn signal_request(&mut self, request: &SignalRequest) {
        self.signals_item(request);
    }
}
