//! Diameter messages to Cx values.

use base::Instant;

use super::{
    Answer, AuthScheme, ChargingInformation, DeregistrationReason, Envelope, Lia, Lir, Maa, Mar,
    Outcome, Ppa, Ppr, ReasonCode, Request, RestorationInfo, Rta, Rtr, Saa, Sar,
    ScscfRestorationInfo, ServerAssignmentType, ServerCapabilities, SessionPriority,
    SipAuthDataItem, SipDigestAuthenticate, SubscriptionInfo, SupportedFeatures, Uaa, Uar,
    UserAuthorizationType,
};
use crate::dictionary::{AvpDef, base as common, cx as avp};
use crate::error::Error;
use crate::message::{Avp, Avps, Message};
use crate::reply::Origin;
use crate::result::ResultCode;

impl Request {
    /// Reads a Cx request, held against the grammar of its command first.
    ///
    /// # Errors
    /// Those of [`crate::dictionary::Dictionary::check`], and `InvalidAvpValue` for a number
    /// without meaning.
    pub fn from_message(message: &Message<'_>) -> Result<(Envelope, Request), Error> {
        let command = avp::DICTIONARY.check(message)?;
        if !message.header.flags.is_request() {
            return Err(Error::InvalidHeaderBits(message.header.flags.0));
        }
        let fields = Fields(message.avps());
        let request = match command.code {
            avp::USER_AUTHORIZATION => Request::UserAuthorization(read_uar(fields)?),
            avp::SERVER_ASSIGNMENT => Request::ServerAssignment(read_sar(fields)?),
            avp::LOCATION_INFO => Request::LocationInfo(read_lir(fields)?),
            avp::MULTIMEDIA_AUTH => Request::MultimediaAuth(read_mar(fields)?),
            avp::REGISTRATION_TERMINATION => Request::RegistrationTermination(read_rtr(fields)?),
            avp::PUSH_PROFILE => Request::PushProfile(read_ppr(fields)?),
            other => return Err(Error::CommandUnsupported(other)),
        };
        let envelope = Envelope {
            session_id: fields.text(&common::SESSION_ID)?,
            origin: Origin {
                host: fields.text(&common::ORIGIN_HOST)?,
                realm: fields.text(&common::ORIGIN_REALM)?,
            },
            destination_host: fields.optional_text(&common::DESTINATION_HOST)?,
            destination_realm: fields.text(&common::DESTINATION_REALM)?,
        };
        Ok((envelope, request))
    }
}

impl Answer {
    /// Reads a Cx answer. One with the E bit yields its Result-Code and nothing else.
    ///
    /// # Errors
    /// Those of [`crate::dictionary::Dictionary::check`], `MissingAvp` without any result, and
    /// `InvalidAvpValue` for a number without meaning.
    pub fn from_message(message: &Message<'_>) -> Result<Answer, Error> {
        let command = avp::DICTIONARY.check(message)?;
        if message.header.flags.is_request() {
            return Err(Error::InvalidHeaderBits(message.header.flags.0));
        }
        let all = Fields(message.avps());
        let outcome = read_outcome(all)?;
        // After a protocol error the rest does not follow the command's grammar.
        let fields = if message.header.flags.is_error() {
            Fields(Avps(&[]))
        } else {
            all
        };
        Ok(match command.code {
            avp::USER_AUTHORIZATION => Answer::UserAuthorization(read_uaa(outcome, fields)?),
            avp::SERVER_ASSIGNMENT => Answer::ServerAssignment(read_saa(outcome, fields)?),
            avp::LOCATION_INFO => Answer::LocationInfo(read_lia(outcome, fields)?),
            avp::MULTIMEDIA_AUTH => Answer::MultimediaAuth(read_maa(outcome, fields)?),
            avp::REGISTRATION_TERMINATION => {
                Answer::RegistrationTermination(read_rta(outcome, fields)?)
            }
            avp::PUSH_PROFILE => Answer::PushProfile(Ppa {
                outcome,
                supported_features: fields.features()?,
            }),
            other => return Err(Error::CommandUnsupported(other)),
        })
    }
}

fn read_outcome(fields: Fields<'_>) -> Result<Outcome, Error> {
    if let Some(code) = fields.optional_u32(&common::RESULT_CODE)? {
        return Ok(Outcome::Base(ResultCode(code)));
    }
    let Some(inside) = fields.optional_group(&common::EXPERIMENTAL_RESULT)? else {
        return Err(Error::missing(&common::RESULT_CODE));
    };
    let vendor = inside.u32(&common::VENDOR_ID)?;
    let code = inside.u32(&common::EXPERIMENTAL_RESULT_CODE)?;
    Ok(Outcome::from_experimental(vendor, code))
}

fn read_uar(fields: Fields<'_>) -> Result<Uar, Error> {
    let kind = &avp::USER_AUTHORIZATION_TYPE;
    Ok(Uar {
        user_name: fields.text(&common::USER_NAME)?,
        public_identity: fields.text(&avp::PUBLIC_IDENTITY)?,
        visited_network_identifier: fields.text(&avp::VISITED_NETWORK_IDENTIFIER)?,
        user_authorization_type: fields
            .optional_enumerated(kind, UserAuthorizationType::from_u32)?
            .unwrap_or_default(),
        emergency_registration: fields.flag(&avp::UAR_FLAGS)?,
        supported_features: fields.features()?,
    })
}

fn read_uaa(outcome: Outcome, fields: Fields<'_>) -> Result<Uaa, Error> {
    Ok(Uaa {
        outcome,
        server_name: fields.optional_text(&avp::SERVER_NAME)?,
        server_capabilities: fields.server_capabilities()?,
        supported_features: fields.features()?,
    })
}

fn read_sar(fields: Fields<'_>) -> Result<Sar, Error> {
    let kind = &avp::SERVER_ASSIGNMENT_TYPE;
    Ok(Sar {
        user_name: fields.optional_text(&common::USER_NAME)?,
        public_identities: fields.texts(&avp::PUBLIC_IDENTITY)?,
        wildcarded_public_identity: fields.optional_text(&avp::WILDCARDED_PUBLIC_IDENTITY)?,
        server_name: fields.text(&avp::SERVER_NAME)?,
        server_assignment_type: fields
            .optional_enumerated(kind, ServerAssignmentType::from_u32)?
            .ok_or_else(|| Error::missing(kind))?,
        user_data_already_available: fields.indication(&avp::USER_DATA_ALREADY_AVAILABLE)?,
        scscf_restoration_info: fields.restoration()?.into_iter().next(),
        multiple_registration: fields.indication(&avp::MULTIPLE_REGISTRATION_INDICATION)?,
        session_priority: fields
            .optional_enumerated(&avp::SESSION_PRIORITY, SessionPriority::from_u32)?,
        pcscf_restoration: fields.flag(&avp::SAR_FLAGS)?,
        supported_features: fields.features()?,
    })
}

fn read_saa(outcome: Outcome, fields: Fields<'_>) -> Result<Saa, Error> {
    Ok(Saa {
        outcome,
        user_name: fields.optional_text(&common::USER_NAME)?,
        user_data: fields.optional_octets(&avp::USER_DATA),
        charging_information: fields.charging_information()?,
        associated_identities: fields.identities(&avp::ASSOCIATED_IDENTITIES)?,
        associated_registered_identities: fields
            .identities(&avp::ASSOCIATED_REGISTERED_IDENTITIES)?,
        loose_route: fields.indication(&avp::LOOSE_ROUTE_INDICATION)?,
        scscf_restoration_info: fields.restoration()?,
        server_name: fields.optional_text(&avp::SERVER_NAME)?,
        wildcarded_public_identity: fields.optional_text(&avp::WILDCARDED_PUBLIC_IDENTITY)?,
        priviledged_sender: fields.indication(&avp::PRIVILEDGED_SENDER_INDICATION)?,
        supported_features: fields.features()?,
    })
}

fn read_lir(fields: Fields<'_>) -> Result<Lir, Error> {
    Ok(Lir {
        public_identity: fields.text(&avp::PUBLIC_IDENTITY)?,
        originating_request: fields
            .optional_enumerated(&avp::ORIGINATING_REQUEST, |value| {
                (value == 0).then_some(true)
            })?
            .unwrap_or(false),
        user_authorization_type: fields.optional_enumerated(
            &avp::USER_AUTHORIZATION_TYPE,
            UserAuthorizationType::from_u32,
        )?,
        session_priority: fields
            .optional_enumerated(&avp::SESSION_PRIORITY, SessionPriority::from_u32)?,
        supported_features: fields.features()?,
    })
}

fn read_lia(outcome: Outcome, fields: Fields<'_>) -> Result<Lia, Error> {
    Ok(Lia {
        outcome,
        server_name: fields.optional_text(&avp::SERVER_NAME)?,
        server_capabilities: fields.server_capabilities()?,
        wildcarded_public_identity: fields.optional_text(&avp::WILDCARDED_PUBLIC_IDENTITY)?,
        psi_direct_routing: fields.flag(&avp::LIA_FLAGS)?,
        supported_features: fields.features()?,
    })
}

fn read_mar(fields: Fields<'_>) -> Result<Mar, Error> {
    let item = &avp::SIP_AUTH_DATA_ITEM;
    Ok(Mar {
        user_name: fields.text(&common::USER_NAME)?,
        public_identity: fields.text(&avp::PUBLIC_IDENTITY)?,
        sip_auth_data_item: fields
            .groups(item, sip_auth_data_item)?
            .into_iter()
            .next()
            .ok_or_else(|| Error::missing(item))?,
        sip_number_auth_items: fields.u32(&avp::SIP_NUMBER_AUTH_ITEMS)?,
        server_name: fields.text(&avp::SERVER_NAME)?,
        supported_features: fields.features()?,
    })
}

fn read_maa(outcome: Outcome, fields: Fields<'_>) -> Result<Maa, Error> {
    let mut items = fields.groups(&avp::SIP_AUTH_DATA_ITEM, sip_auth_data_item)?;
    // TS 29.229 6.3.14: vectors are used in the order of their numbers, not as they stand.
    items.sort_by_key(|item| item.item_number);
    Ok(Maa {
        outcome,
        user_name: fields.optional_text(&common::USER_NAME)?,
        public_identity: fields.optional_text(&avp::PUBLIC_IDENTITY)?,
        sip_number_auth_items: fields.optional_u32(&avp::SIP_NUMBER_AUTH_ITEMS)?,
        sip_auth_data_items: items,
        supported_features: fields.features()?,
    })
}

fn read_rtr(fields: Fields<'_>) -> Result<Rtr, Error> {
    let reason = &avp::DEREGISTRATION_REASON;
    Ok(Rtr {
        user_name: fields.text(&common::USER_NAME)?,
        associated_identities: fields.identities(&avp::ASSOCIATED_IDENTITIES)?,
        public_identities: fields.texts(&avp::PUBLIC_IDENTITY)?,
        deregistration_reason: fields
            .groups(reason, deregistration_reason)?
            .into_iter()
            .next()
            .ok_or_else(|| Error::missing(reason))?,
        supported_features: fields.features()?,
    })
}

fn read_rta(outcome: Outcome, fields: Fields<'_>) -> Result<Rta, Error> {
    let emergency = &avp::IDENTITY_WITH_EMERGENCY_REGISTRATION;
    Ok(Rta {
        outcome,
        associated_identities: fields.identities(&avp::ASSOCIATED_IDENTITIES)?,
        emergency_registrations: fields.groups(emergency, |inside| {
            Ok((
                inside.text(&common::USER_NAME)?,
                inside.text(&avp::PUBLIC_IDENTITY)?,
            ))
        })?,
        supported_features: fields.features()?,
    })
}

fn read_ppr(fields: Fields<'_>) -> Result<Ppr, Error> {
    Ok(Ppr {
        user_name: fields.text(&common::USER_NAME)?,
        user_data: fields.optional_octets(&avp::USER_DATA),
        charging_information: fields.charging_information()?,
        sip_auth_data_item: fields
            .groups(&avp::SIP_AUTH_DATA_ITEM, sip_auth_data_item)?
            .into_iter()
            .next(),
        supported_features: fields.features()?,
    })
}

fn deregistration_reason(inside: Fields<'_>) -> Result<DeregistrationReason, Error> {
    Ok(DeregistrationReason {
        code: inside
            .optional_enumerated(&avp::REASON_CODE, ReasonCode::from_u32)?
            .ok_or_else(|| Error::missing(&avp::REASON_CODE))?,
        info: inside.optional_text(&avp::REASON_INFO)?,
    })
}

fn sip_auth_data_item(inside: Fields<'_>) -> Result<SipAuthDataItem, Error> {
    let digest = &avp::SIP_DIGEST_AUTHENTICATE;
    Ok(SipAuthDataItem {
        item_number: inside.optional_u32(&avp::SIP_ITEM_NUMBER)?,
        scheme: inside.optional_scheme()?,
        authenticate: inside.optional_octets(&avp::SIP_AUTHENTICATE),
        authorization: inside.optional_octets(&avp::SIP_AUTHORIZATION),
        authentication_context: inside.optional_octets(&avp::SIP_AUTHENTICATION_CONTEXT),
        confidentiality_key: inside.optional_array(&avp::CONFIDENTIALITY_KEY)?,
        integrity_key: inside.optional_array(&avp::INTEGRITY_KEY)?,
        digest_authenticate: inside
            .groups(digest, sip_digest_authenticate)?
            .into_iter()
            .next(),
        framed_ip_address: inside.optional_array(&common::FRAMED_IP_ADDRESS)?,
        framed_ipv6_prefix: inside.optional_octets(&common::FRAMED_IPV6_PREFIX),
        framed_interface_id: inside
            .optional_array(&common::FRAMED_INTERFACE_ID)?
            .map(u64::from_be_bytes),
        line_identifiers: inside
            .all(&avp::LINE_IDENTIFIER)
            .map(|line| line.data.to_vec())
            .collect(),
    })
}

fn sip_digest_authenticate(inside: Fields<'_>) -> Result<SipDigestAuthenticate, Error> {
    Ok(SipDigestAuthenticate {
        realm: inside.text(&common::DIGEST_REALM)?,
        algorithm: inside.optional_text(&common::DIGEST_ALGORITHM)?,
        qop: inside.optional_text(&common::DIGEST_QOP)?,
        ha1: inside.text(&common::DIGEST_HA1)?,
        alternate_algorithm: inside.optional_text(&avp::ALTERNATE_DIGEST_ALGORITHM)?,
        alternate_ha1: inside.optional_text(&avp::ALTERNATE_DIGEST_HA1)?,
    })
}

fn scscf_restoration_info(inside: Fields<'_>) -> Result<ScscfRestorationInfo, Error> {
    Ok(ScscfRestorationInfo {
        user_name: inside.text(&common::USER_NAME)?,
        restoration_info: inside.groups(&avp::RESTORATION_INFO, restoration_info)?,
        registration_time_out: inside.optional_time(&avp::REGISTRATION_TIME_OUT)?,
        scheme: inside.optional_scheme()?,
    })
}

fn restoration_info(inside: Fields<'_>) -> Result<RestorationInfo, Error> {
    let subscription =
        |def| -> Result<_, Error> { Ok(inside.groups(def, subscription_info)?.into_iter().next()) };
    Ok(RestorationInfo {
        path: inside.text(&avp::PATH)?,
        contact: inside.text(&avp::CONTACT)?,
        initial_cseq: inside.optional_u32(&avp::INITIAL_CSEQ_SEQUENCE_NUMBER)?,
        call_id: inside.optional_text(&avp::CALL_ID_SIP_HEADER)?,
        subscription_info: subscription(&avp::SUBSCRIPTION_INFO)?,
        pcscf_subscription_info: subscription(&avp::PCSCF_SUBSCRIPTION_INFO)?,
    })
}

fn subscription_info(inside: Fields<'_>) -> Result<SubscriptionInfo, Error> {
    Ok(SubscriptionInfo {
        call_id: inside.text(&avp::CALL_ID_SIP_HEADER)?,
        from: inside.text(&avp::FROM_SIP_HEADER)?,
        to: inside.text(&avp::TO_SIP_HEADER)?,
        record_route: inside.optional_text(&avp::RECORD_ROUTE)?,
        contact: inside.text(&avp::CONTACT)?,
    })
}

/// The AVPs of a message or group, asked for by definition.
#[derive(Clone, Copy)]
struct Fields<'a>(Avps<'a>);

impl<'a> Fields<'a> {
    fn first(self, def: &AvpDef) -> Option<Avp<'a>> {
        self.all(def).next()
    }

    fn all(self, def: &AvpDef) -> impl Iterator<Item = Avp<'a>> {
        self.0.filter(move |avp| avp.is(def))
    }

    fn optional_text(self, def: &AvpDef) -> Result<Option<String>, Error> {
        self.first(def)
            .map(|avp| avp.to_str().map(str::to_owned))
            .transpose()
    }

    fn text(self, def: &AvpDef) -> Result<String, Error> {
        self.optional_text(def)?.ok_or_else(|| Error::missing(def))
    }

    fn texts(self, def: &AvpDef) -> Result<Vec<String>, Error> {
        self.all(def)
            .map(|avp| avp.to_str().map(str::to_owned))
            .collect()
    }

    fn optional_octets(self, def: &AvpDef) -> Option<Vec<u8>> {
        self.first(def).map(|avp| avp.data.to_vec())
    }

    fn optional_array<const N: usize>(self, def: &AvpDef) -> Result<Option<[u8; N]>, Error> {
        self.first(def).map(|avp| avp.to_array()).transpose()
    }

    fn optional_u32(self, def: &AvpDef) -> Result<Option<u32>, Error> {
        self.first(def).map(|avp| avp.to_u32()).transpose()
    }

    fn u32(self, def: &AvpDef) -> Result<u32, Error> {
        self.optional_u32(def)?.ok_or_else(|| Error::missing(def))
    }

    fn optional_time(self, def: &AvpDef) -> Result<Option<Instant>, Error> {
        self.first(def).map(|avp| avp.to_time()).transpose()
    }

    fn optional_enumerated<T>(
        self,
        def: &AvpDef,
        from_u32: impl Fn(u32) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.first(def)
            .map(|avp| from_u32(avp.to_u32()?).ok_or_else(|| avp.invalid()))
            .transpose()
    }

    /// An enumeration of 0 "not" and 1 "is", absent meaning "not".
    fn indication(self, def: &AvpDef) -> Result<bool, Error> {
        let value = self.optional_enumerated(def, |value| match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })?;
        Ok(value.unwrap_or(false))
    }

    /// Bit 0 of a bit mask; other bits are for later releases and ignored.
    fn flag(self, def: &AvpDef) -> Result<bool, Error> {
        Ok(self.optional_u32(def)?.is_some_and(|flags| flags & 1 != 0))
    }

    fn optional_group(self, def: &AvpDef) -> Result<Option<Fields<'a>>, Error> {
        self.first(def)
            .map(|avp| avp.to_group().map(Fields))
            .transpose()
    }

    fn groups<T>(
        self,
        def: &AvpDef,
        read: impl Fn(Fields<'a>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        self.all(def)
            .map(|avp| read(Fields(avp.to_group()?)).map_err(|error| error.within(def)))
            .collect()
    }

    fn optional_scheme(self) -> Result<Option<AuthScheme>, Error> {
        let scheme = self.first(&avp::SIP_AUTHENTICATION_SCHEME);
        scheme
            .map(|avp| avp.to_str().map(AuthScheme::from))
            .transpose()
    }

    fn identities(self, def: &AvpDef) -> Result<Vec<String>, Error> {
        match self.optional_group(def)? {
            Some(inside) => inside.texts(&common::USER_NAME),
            None => Ok(Vec::new()),
        }
    }

    fn features(self) -> Result<Vec<SupportedFeatures>, Error> {
        self.all(&avp::SUPPORTED_FEATURES)
            .map(|group| {
                let inside = Fields(group.to_group()?);
                Ok(SupportedFeatures {
                    vendor: inside.u32(&common::VENDOR_ID)?,
                    list_id: inside.u32(&avp::FEATURE_LIST_ID)?,
                    list: inside.u32(&avp::FEATURE_LIST)?,
                    required: group.flags.is_mandatory(),
                })
            })
            .collect()
    }

    fn server_capabilities(self) -> Result<Option<ServerCapabilities>, Error> {
        let numbers = |inside: Fields<'a>, def| -> Result<Vec<u32>, Error> {
            inside.all(def).map(|avp| avp.to_u32()).collect()
        };
        let capabilities = self.groups(&avp::SERVER_CAPABILITIES, |inside| {
            Ok(ServerCapabilities {
                mandatory: numbers(inside, &avp::MANDATORY_CAPABILITY)?,
                optional: numbers(inside, &avp::OPTIONAL_CAPABILITY)?,
                server_names: inside.texts(&avp::SERVER_NAME)?,
            })
        })?;
        Ok(capabilities.into_iter().next())
    }

    fn charging_information(self) -> Result<Option<ChargingInformation>, Error> {
        let charging = self.groups(&avp::CHARGING_INFORMATION, |inside| {
            let name = |def| inside.optional_text(def);
            Ok(ChargingInformation {
                primary_ecf: name(&avp::PRIMARY_EVENT_CHARGING_FUNCTION_NAME)?,
                secondary_ecf: name(&avp::SECONDARY_EVENT_CHARGING_FUNCTION_NAME)?,
                primary_ccf: name(&avp::PRIMARY_CHARGING_COLLECTION_FUNCTION_NAME)?,
                secondary_ccf: name(&avp::SECONDARY_CHARGING_COLLECTION_FUNCTION_NAME)?,
            })
        })?;
        Ok(charging.into_iter().next())
    }

    fn restoration(self) -> Result<Vec<ScscfRestorationInfo>, Error> {
        self.groups(&avp::SCSCF_RESTORATION_INFO, scscf_restoration_info)
    }
}
