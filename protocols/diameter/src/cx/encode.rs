//! Cx values to Diameter messages.

use super::{
    Answer, AuthScheme, ChargingInformation, DeregistrationReason, Envelope, Lia, Lir, Maa, Mar,
    Outcome, Ppa, Ppr, Request, RestorationInfo, Rta, Rtr, Saa, Sar, ScscfRestorationInfo,
    ServerCapabilities, SipAuthDataItem, SipDigestAuthenticate, SubscriptionInfo,
    SupportedFeatures, Uaa, Uar,
};
use crate::dictionary::{AvpDef, base, cx as avp};
use crate::error::Error;
use crate::message::{CommandFlags, Header};
use crate::reply::{Origin, ReplyTo, write_application};
use crate::writer::Writer;

impl Request {
    /// The Command Code.
    pub const fn command(&self) -> u32 {
        match self {
            Request::UserAuthorization(_) => avp::USER_AUTHORIZATION,
            Request::ServerAssignment(_) => avp::SERVER_ASSIGNMENT,
            Request::LocationInfo(_) => avp::LOCATION_INFO,
            Request::MultimediaAuth(_) => avp::MULTIMEDIA_AUTH,
            Request::RegistrationTermination(_) => avp::REGISTRATION_TERMINATION,
            Request::PushProfile(_) => avp::PUSH_PROFILE,
        }
    }

    /// The message, TS 29.229 6.1. Its identifiers are zero: the endpoint that sends it sets them.
    ///
    /// # Errors
    /// `Limit` when it is longer than [`crate::MESSAGE_BYTES_MAX`].
    pub fn to_message(&self, envelope: &Envelope) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new(Header {
            flags: CommandFlags(CommandFlags::REQUEST | CommandFlags::PROXIABLE),
            command: self.command(),
            application: avp::APPLICATION_ID,
            hop_by_hop: 0,
            end_to_end: 0,
        });
        writer.text(&base::SESSION_ID, &envelope.session_id);
        write_application(&mut writer, &avp::DICTIONARY);
        writer.text(&base::ORIGIN_HOST, &envelope.origin.host);
        writer.text(&base::ORIGIN_REALM, &envelope.origin.realm);
        optional_text(
            &mut writer,
            &base::DESTINATION_HOST,
            envelope.destination_host.as_deref(),
        );
        writer.text(&base::DESTINATION_REALM, &envelope.destination_realm);
        match self {
            Request::UserAuthorization(uar) => write_uar(&mut writer, uar),
            Request::ServerAssignment(sar) => write_sar(&mut writer, sar),
            Request::LocationInfo(lir) => write_lir(&mut writer, lir),
            Request::MultimediaAuth(mar) => write_mar(&mut writer, mar),
            Request::RegistrationTermination(rtr) => write_rtr(&mut writer, rtr),
            Request::PushProfile(ppr) => write_ppr(&mut writer, ppr),
        }
        writer.finish()
    }
}

impl Answer {
    /// The message that answers `reply_to`, TS 29.229 6.1.
    ///
    /// # Errors
    /// `Limit` when it is longer than [`crate::MESSAGE_BYTES_MAX`].
    pub fn to_message(&self, reply_to: &ReplyTo, origin: &Origin) -> Result<Vec<u8>, Error> {
        if let Outcome::Base(code) = self.outcome()
            && code.is_protocol_error()
        {
            return reply_to.result(origin, code, Some(&avp::DICTIONARY));
        }
        let mut writer = reply_to.answer();
        write_application(&mut writer, &avp::DICTIONARY);
        write_outcome(&mut writer, self.outcome());
        writer.text(&base::ORIGIN_HOST, &origin.host);
        writer.text(&base::ORIGIN_REALM, &origin.realm);
        match self {
            Answer::UserAuthorization(uaa) => write_uaa(&mut writer, uaa),
            Answer::ServerAssignment(saa) => write_saa(&mut writer, saa),
            Answer::LocationInfo(lia) => write_lia(&mut writer, lia),
            Answer::MultimediaAuth(maa) => write_maa(&mut writer, maa),
            Answer::RegistrationTermination(rta) => write_rta(&mut writer, rta),
            Answer::PushProfile(Ppa {
                outcome: _,
                supported_features,
            }) => features(&mut writer, supported_features),
        }
        reply_to.finish(writer)
    }
}

fn write_outcome(writer: &mut Writer, outcome: Outcome) {
    match outcome.vendor() {
        None => writer.u32(&base::RESULT_CODE, outcome.code()),
        Some(vendor) => writer.group(&base::EXPERIMENTAL_RESULT, |inside| {
            inside.u32(&base::VENDOR_ID, vendor);
            inside.u32(&base::EXPERIMENTAL_RESULT_CODE, outcome.code());
        }),
    }
}

fn write_uar(writer: &mut Writer, uar: &Uar) {
    writer.text(&base::USER_NAME, &uar.user_name);
    features(writer, &uar.supported_features);
    writer.text(&avp::PUBLIC_IDENTITY, &uar.public_identity);
    writer.text(
        &avp::VISITED_NETWORK_IDENTIFIER,
        &uar.visited_network_identifier,
    );
    writer.u32(
        &avp::USER_AUTHORIZATION_TYPE,
        uar.user_authorization_type.to_u32(),
    );
    indication(writer, &avp::UAR_FLAGS, uar.emergency_registration);
}

fn write_uaa(writer: &mut Writer, uaa: &Uaa) {
    features(writer, &uaa.supported_features);
    optional_text(writer, &avp::SERVER_NAME, uaa.server_name.as_deref());
    if let Some(capabilities) = &uaa.server_capabilities {
        server_capabilities(writer, capabilities);
    }
}

fn write_sar(writer: &mut Writer, sar: &Sar) {
    optional_text(writer, &base::USER_NAME, sar.user_name.as_deref());
    features(writer, &sar.supported_features);
    texts(writer, &avp::PUBLIC_IDENTITY, &sar.public_identities);
    let wildcard = sar.wildcarded_public_identity.as_deref();
    optional_text(writer, &avp::WILDCARDED_PUBLIC_IDENTITY, wildcard);
    writer.text(&avp::SERVER_NAME, &sar.server_name);
    writer.u32(
        &avp::SERVER_ASSIGNMENT_TYPE,
        sar.server_assignment_type.to_u32(),
    );
    writer.u32(
        &avp::USER_DATA_ALREADY_AVAILABLE,
        u32::from(sar.user_data_already_available),
    );
    if let Some(info) = &sar.scscf_restoration_info {
        scscf_restoration_info(writer, info);
    }
    indication(
        writer,
        &avp::MULTIPLE_REGISTRATION_INDICATION,
        sar.multiple_registration,
    );
    if let Some(priority) = sar.session_priority {
        writer.u32(&avp::SESSION_PRIORITY, priority.to_u32());
    }
    indication(writer, &avp::SAR_FLAGS, sar.pcscf_restoration);
}

fn write_saa(writer: &mut Writer, saa: &Saa) {
    optional_text(writer, &base::USER_NAME, saa.user_name.as_deref());
    features(writer, &saa.supported_features);
    if let Some(user_data) = &saa.user_data {
        writer.octets(&avp::USER_DATA, user_data);
    }
    if let Some(charging) = &saa.charging_information {
        charging_information(writer, charging);
    }
    identities(
        writer,
        &avp::ASSOCIATED_IDENTITIES,
        &saa.associated_identities,
    );
    indication(writer, &avp::LOOSE_ROUTE_INDICATION, saa.loose_route);
    for info in &saa.scscf_restoration_info {
        scscf_restoration_info(writer, info);
    }
    let registered = &saa.associated_registered_identities;
    identities(writer, &avp::ASSOCIATED_REGISTERED_IDENTITIES, registered);
    optional_text(writer, &avp::SERVER_NAME, saa.server_name.as_deref());
    let wildcard = saa.wildcarded_public_identity.as_deref();
    optional_text(writer, &avp::WILDCARDED_PUBLIC_IDENTITY, wildcard);
    indication(
        writer,
        &avp::PRIVILEDGED_SENDER_INDICATION,
        saa.priviledged_sender,
    );
}

fn write_lir(writer: &mut Writer, lir: &Lir) {
    if lir.originating_request {
        writer.u32(&avp::ORIGINATING_REQUEST, ORIGINATING);
    }
    features(writer, &lir.supported_features);
    writer.text(&avp::PUBLIC_IDENTITY, &lir.public_identity);
    if let Some(kind) = lir.user_authorization_type {
        writer.u32(&avp::USER_AUTHORIZATION_TYPE, kind.to_u32());
    }
    if let Some(priority) = lir.session_priority {
        writer.u32(&avp::SESSION_PRIORITY, priority.to_u32());
    }
}

fn write_lia(writer: &mut Writer, lia: &Lia) {
    features(writer, &lia.supported_features);
    optional_text(writer, &avp::SERVER_NAME, lia.server_name.as_deref());
    if let Some(capabilities) = &lia.server_capabilities {
        server_capabilities(writer, capabilities);
    }
    let wildcard = lia.wildcarded_public_identity.as_deref();
    optional_text(writer, &avp::WILDCARDED_PUBLIC_IDENTITY, wildcard);
    indication(writer, &avp::LIA_FLAGS, lia.psi_direct_routing);
}

fn write_mar(writer: &mut Writer, mar: &Mar) {
    writer.text(&base::USER_NAME, &mar.user_name);
    features(writer, &mar.supported_features);
    writer.text(&avp::PUBLIC_IDENTITY, &mar.public_identity);
    sip_auth_data_item(writer, &mar.sip_auth_data_item);
    writer.u32(&avp::SIP_NUMBER_AUTH_ITEMS, mar.sip_number_auth_items);
    writer.text(&avp::SERVER_NAME, &mar.server_name);
}

fn write_maa(writer: &mut Writer, maa: &Maa) {
    optional_text(writer, &base::USER_NAME, maa.user_name.as_deref());
    features(writer, &maa.supported_features);
    optional_text(
        writer,
        &avp::PUBLIC_IDENTITY,
        maa.public_identity.as_deref(),
    );
    if let Some(number) = maa.sip_number_auth_items {
        writer.u32(&avp::SIP_NUMBER_AUTH_ITEMS, number);
    }
    for item in &maa.sip_auth_data_items {
        sip_auth_data_item(writer, item);
    }
}

fn write_rtr(writer: &mut Writer, rtr: &Rtr) {
    writer.text(&base::USER_NAME, &rtr.user_name);
    identities(
        writer,
        &avp::ASSOCIATED_IDENTITIES,
        &rtr.associated_identities,
    );
    features(writer, &rtr.supported_features);
    texts(writer, &avp::PUBLIC_IDENTITY, &rtr.public_identities);
    let DeregistrationReason { code, info } = &rtr.deregistration_reason;
    writer.group(&avp::DEREGISTRATION_REASON, |inside| {
        inside.u32(&avp::REASON_CODE, code.to_u32());
        optional_text(inside, &avp::REASON_INFO, info.as_deref());
    });
}

fn write_rta(writer: &mut Writer, rta: &Rta) {
    identities(
        writer,
        &avp::ASSOCIATED_IDENTITIES,
        &rta.associated_identities,
    );
    features(writer, &rta.supported_features);
    for (user_name, public_identity) in &rta.emergency_registrations {
        writer.group(&avp::IDENTITY_WITH_EMERGENCY_REGISTRATION, |inside| {
            inside.text(&base::USER_NAME, user_name);
            inside.text(&avp::PUBLIC_IDENTITY, public_identity);
        });
    }
}

fn write_ppr(writer: &mut Writer, ppr: &Ppr) {
    writer.text(&base::USER_NAME, &ppr.user_name);
    features(writer, &ppr.supported_features);
    if let Some(user_data) = &ppr.user_data {
        writer.octets(&avp::USER_DATA, user_data);
    }
    if let Some(charging) = &ppr.charging_information {
        charging_information(writer, charging);
    }
    if let Some(item) = &ppr.sip_auth_data_item {
        sip_auth_data_item(writer, item);
    }
}

/// The one value of Originating-Request.
const ORIGINATING: u32 = 0;

fn optional_text(writer: &mut Writer, def: &AvpDef, text: Option<&str>) {
    if let Some(text) = text {
        writer.text(def, text);
    }
}

fn texts(writer: &mut Writer, def: &AvpDef, texts: &[String]) {
    for text in texts {
        writer.text(def, text);
    }
}

/// A flag bit 0, or an enumeration of "not" and "is": absent when false.
fn indication(writer: &mut Writer, def: &AvpDef, set: bool) {
    if set {
        writer.u32(def, 1);
    }
}

fn identities(writer: &mut Writer, def: &AvpDef, user_names: &[String]) {
    if !user_names.is_empty() {
        writer.group(def, |inside| texts(inside, &base::USER_NAME, user_names));
    }
}

fn features(writer: &mut Writer, features: &[SupportedFeatures]) {
    for feature in features {
        writer.group_flagged(&avp::SUPPORTED_FEATURES, feature.required, |inside| {
            inside.u32(&base::VENDOR_ID, feature.vendor);
            inside.u32(&avp::FEATURE_LIST_ID, feature.list_id);
            inside.u32(&avp::FEATURE_LIST, feature.list);
        });
    }
}

fn server_capabilities(writer: &mut Writer, capabilities: &ServerCapabilities) {
    writer.group(&avp::SERVER_CAPABILITIES, |inside| {
        for &capability in &capabilities.mandatory {
            inside.u32(&avp::MANDATORY_CAPABILITY, capability);
        }
        for &capability in &capabilities.optional {
            inside.u32(&avp::OPTIONAL_CAPABILITY, capability);
        }
        texts(inside, &avp::SERVER_NAME, &capabilities.server_names);
    });
}

fn charging_information(writer: &mut Writer, charging: &ChargingInformation) {
    let ChargingInformation {
        primary_ecf,
        secondary_ecf,
        primary_ccf,
        secondary_ccf,
    } = charging;
    writer.group(&avp::CHARGING_INFORMATION, |inside| {
        for (def, name) in [
            (&avp::PRIMARY_EVENT_CHARGING_FUNCTION_NAME, primary_ecf),
            (&avp::SECONDARY_EVENT_CHARGING_FUNCTION_NAME, secondary_ecf),
            (&avp::PRIMARY_CHARGING_COLLECTION_FUNCTION_NAME, primary_ccf),
            (
                &avp::SECONDARY_CHARGING_COLLECTION_FUNCTION_NAME,
                secondary_ccf,
            ),
        ] {
            optional_text(inside, def, name.as_deref());
        }
    });
}

fn sip_auth_data_item(writer: &mut Writer, item: &SipAuthDataItem) {
    writer.group(&avp::SIP_AUTH_DATA_ITEM, |inside| {
        if let Some(number) = item.item_number {
            inside.u32(&avp::SIP_ITEM_NUMBER, number);
        }
        let scheme = item.scheme.as_ref().map(AuthScheme::as_str);
        optional_text(inside, &avp::SIP_AUTHENTICATION_SCHEME, scheme);
        for (def, data) in [
            (&avp::SIP_AUTHENTICATE, item.authenticate.as_deref()),
            (&avp::SIP_AUTHORIZATION, item.authorization.as_deref()),
            (
                &avp::SIP_AUTHENTICATION_CONTEXT,
                item.authentication_context.as_deref(),
            ),
            (
                &avp::CONFIDENTIALITY_KEY,
                item.confidentiality_key.as_ref().map(|key| &key[..]),
            ),
            (
                &avp::INTEGRITY_KEY,
                item.integrity_key.as_ref().map(|key| &key[..]),
            ),
        ] {
            if let Some(data) = data {
                inside.octets(def, data);
            }
        }
        if let Some(digest) = &item.digest_authenticate {
            sip_digest_authenticate(inside, digest);
        }
        if let Some(address) = &item.framed_ip_address {
            inside.octets(&base::FRAMED_IP_ADDRESS, address);
        }
        if let Some(prefix) = &item.framed_ipv6_prefix {
            inside.octets(&base::FRAMED_IPV6_PREFIX, prefix);
        }
        if let Some(id) = item.framed_interface_id {
            inside.u64(&base::FRAMED_INTERFACE_ID, id);
        }
        for line in &item.line_identifiers {
            inside.octets(&avp::LINE_IDENTIFIER, line);
        }
    });
}

fn sip_digest_authenticate(writer: &mut Writer, digest: &SipDigestAuthenticate) {
    writer.group(&avp::SIP_DIGEST_AUTHENTICATE, |inside| {
        inside.text(&base::DIGEST_REALM, &digest.realm);
        optional_text(inside, &base::DIGEST_ALGORITHM, digest.algorithm.as_deref());
        optional_text(inside, &base::DIGEST_QOP, digest.qop.as_deref());
        inside.text(&base::DIGEST_HA1, &digest.ha1);
        let algorithm = digest.alternate_algorithm.as_deref();
        optional_text(inside, &avp::ALTERNATE_DIGEST_ALGORITHM, algorithm);
        optional_text(
            inside,
            &avp::ALTERNATE_DIGEST_HA1,
            digest.alternate_ha1.as_deref(),
        );
    });
}

fn scscf_restoration_info(writer: &mut Writer, info: &ScscfRestorationInfo) {
    writer.group(&avp::SCSCF_RESTORATION_INFO, |inside| {
        inside.text(&base::USER_NAME, &info.user_name);
        for registration in &info.restoration_info {
            restoration_info(inside, registration);
        }
        if let Some(at) = info.registration_time_out {
            inside.time(&avp::REGISTRATION_TIME_OUT, at);
        }
        let scheme = info.scheme.as_ref().map(AuthScheme::as_str);
        optional_text(inside, &avp::SIP_AUTHENTICATION_SCHEME, scheme);
    });
}

fn restoration_info(writer: &mut Writer, info: &RestorationInfo) {
    writer.group(&avp::RESTORATION_INFO, |inside| {
        inside.text(&avp::PATH, &info.path);
        inside.text(&avp::CONTACT, &info.contact);
        if let Some(cseq) = info.initial_cseq {
            inside.u32(&avp::INITIAL_CSEQ_SEQUENCE_NUMBER, cseq);
        }
        optional_text(inside, &avp::CALL_ID_SIP_HEADER, info.call_id.as_deref());
        if let Some(subscription) = &info.subscription_info {
            subscription_info(inside, &avp::SUBSCRIPTION_INFO, subscription);
        }
        if let Some(subscription) = &info.pcscf_subscription_info {
            subscription_info(inside, &avp::PCSCF_SUBSCRIPTION_INFO, subscription);
        }
    });
}

fn subscription_info(writer: &mut Writer, def: &AvpDef, info: &SubscriptionInfo) {
    writer.group(def, |inside| {
        inside.text(&avp::CALL_ID_SIP_HEADER, &info.call_id);
        inside.text(&avp::FROM_SIP_HEADER, &info.from);
        inside.text(&avp::TO_SIP_HEADER, &info.to);
        if def.code == avp::SUBSCRIPTION_INFO.code {
            let route = info.record_route.as_deref().unwrap_or_default();
            inside.text(&avp::RECORD_ROUTE, route);
        }
        inside.text(&avp::CONTACT, &info.contact);
    });
}
