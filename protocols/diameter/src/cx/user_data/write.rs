//! The typed form to its document, elements in the order of the schema (TS 29.228 Annex E).

use super::{
    ApplicationServer, Condition, IdentityType, ImsSubscription, InitialFilterCriteria,
    PublicIdentity, ServicePointTrigger, ServiceProfile, TriggerPoint,
};

impl ImsSubscription {
    /// The document in UTF-8.
    ///
    /// Characters XML cannot hold (controls) are left out.
    pub fn to_xml(&self) -> Vec<u8> {
        let mut xml = Xml(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
        xml.element("IMSSubscription", |xml| {
            xml.text("PrivateID", &self.private_id);
            for profile in &self.service_profiles {
                xml.element("ServiceProfile", |xml| service_profile(xml, profile));
            }
        });
        xml.0.into_bytes()
    }
}

fn service_profile(xml: &mut Xml, profile: &ServiceProfile) {
    for identity in &profile.public_identities {
        xml.element("PublicIdentity", |xml| public_identity(xml, identity));
    }
    if let Some(id) = profile.subscribed_media_profile_id {
        xml.element("CoreNetworkServicesAuthorization", |xml| {
            xml.number("SubscribedMediaProfileId", id);
        });
    }
    for criteria in &profile.initial_filter_criteria {
        xml.element("InitialFilterCriteria", |xml| {
            initial_filter_criteria(xml, criteria)
        });
    }
    if !profile.shared_ifc_set_ids.is_empty() {
        xml.element("Extension", |xml| {
            for &id in &profile.shared_ifc_set_ids {
                xml.number("SharedIFCSetID", id);
            }
        });
    }
}

fn public_identity(xml: &mut Xml, identity: &PublicIdentity) {
    let PublicIdentity {
        identity: uri,
        barred,
        identity_type,
        wildcard,
        display_name,
        alias_identity_group_id,
        service_priority_level,
    } = identity;
    let (psi, impu) = match identity_type {
        IdentityType::WildcardedPsi => (wildcard.as_deref(), None),
        _ => (None, wildcard.as_deref()),
    };
    let third = impu.is_some() || service_priority_level.is_some();
    let second = third || display_name.is_some() || alias_identity_group_id.is_some();
    xml.flag("BarringIndication", *barred);
    xml.text("Identity", uri);
    if !second && psi.is_none() && *identity_type == IdentityType::DistinctImpu {
        return;
    }
    xml.element("Extension", |xml| {
        xml.number("IdentityType", identity_type.to_u32());
        xml.optional_text("WildcardedPSI", psi);
        if second {
            xml.element("Extension", |xml| {
                xml.optional_text("DisplayName", display_name.as_deref());
                xml.optional_text("AliasIdentityGroupID", alias_identity_group_id.as_deref());
                if third {
                    xml.element("Extension", |xml| {
                        xml.optional_text("WildcardedIMPU", impu);
                        xml.optional_number("ServicePriorityLevel", *service_priority_level);
                    });
                }
            });
        }
    });
}

fn initial_filter_criteria(xml: &mut Xml, criteria: &InitialFilterCriteria) {
    xml.number("Priority", criteria.priority);
    if let Some(point) = &criteria.trigger_point {
        xml.element("TriggerPoint", |xml| trigger_point(xml, point));
    }
    xml.element("ApplicationServer", |xml| {
        application_server(xml, &criteria.application_server);
    });
    let part = criteria.profile_part_indicator.map(|part| part.to_u32());
    xml.optional_number("ProfilePartIndicator", part);
}

fn trigger_point(xml: &mut Xml, point: &TriggerPoint) {
    xml.flag("ConditionTypeCNF", point.condition_type_cnf);
    for trigger in &point.triggers {
        xml.element("SPT", |xml| service_point_trigger(xml, trigger));
    }
}

fn service_point_trigger(xml: &mut Xml, trigger: &ServicePointTrigger) {
    xml.flag("ConditionNegated", trigger.negated);
    for &group in &trigger.groups {
        xml.number("Group", group);
    }
    match &trigger.condition {
        Condition::RequestUri(uri) => xml.text("RequestURI", uri),
        Condition::Method(method) => xml.text("Method", method),
        Condition::SipHeader { header, content } => xml.element("SIPHeader", |xml| {
            xml.text("Header", header);
            xml.optional_text("Content", content.as_deref());
        }),
        Condition::SessionCase(case) => xml.number("SessionCase", case.to_u32()),
        Condition::SessionDescription { line, content } => {
            xml.element("SessionDescription", |xml| {
                xml.text("Line", line);
                xml.optional_text("Content", content.as_deref());
            });
        }
    }
    if !trigger.registration_types.is_empty() {
        xml.element("Extension", |xml| {
            for kind in &trigger.registration_types {
                xml.number("RegistrationType", kind.to_u32());
            }
        });
    }
}

fn application_server(xml: &mut Xml, server: &ApplicationServer) {
    xml.text("ServerName", &server.server_name);
    xml.number("DefaultHandling", server.default_handling.to_u32());
    xml.optional_text("ServiceInfo", server.service_info.as_deref());
    if server.include_register_request || server.include_register_response {
        xml.element("Extension", |xml| {
            if server.include_register_request {
                xml.element("IncludeRegisterRequest", |_| {});
            }
            if server.include_register_response {
                xml.element("IncludeRegisterResponse", |_| {});
            }
        });
    }
}

/// A document under construction.
struct Xml(String);

impl Xml {
    fn element(&mut self, name: &str, fill: impl FnOnce(&mut Xml)) {
        self.tag("<", name);
        fill(self);
        self.tag("</", name);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.element(name, |xml| text.chars().for_each(|char| xml.char(char)));
    }

    fn optional_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn number(&mut self, name: &str, number: u32) {
        self.text(name, &number.to_string());
    }

    fn optional_number(&mut self, name: &str, number: Option<u32>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    fn flag(&mut self, name: &str, set: bool) {
        self.text(name, if set { "1" } else { "0" });
    }

    fn tag(&mut self, open: &str, name: &str) {
        self.0.push_str(open);
        self.0.push_str(name);
        self.0.push('>');
    }

    /// One character of text; CR as a reference, since a reader takes a bare one for LF.
    fn char(&mut self, char: char) {
        match char {
            '&' => self.0.push_str("&amp;"),
            '<' => self.0.push_str("&lt;"),
            '>' => self.0.push_str("&gt;"),
            '\r' => self.0.push_str("&#13;"),
            '\t' | '\n' => self.0.push(char),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
            _ => self.0.push(char),
        }
    }
}
