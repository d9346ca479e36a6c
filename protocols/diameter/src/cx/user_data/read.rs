//! The document to its typed form.

use super::tree::{Node, Tree};
use super::{
    ApplicationServer, Condition, DefaultHandling, Error, IdentityType, ImsSubscription,
    InitialFilterCriteria, ProfilePartIndicator, PublicIdentity, RegistrationType,
    ServicePointTrigger, ServiceProfile, SessionCase, TriggerPoint,
};

impl ImsSubscription {
    /// Reads the document. Elements it does not know are passed over, as later releases add some.
    ///
    /// # Errors
    /// Any; a profile that cannot be read whole is not to be used at all (TS 29.228 6.6).
    pub fn parse(document: &[u8]) -> Result<ImsSubscription, Error> {
        let tree = Tree::parse(document)?;
        let root = tree.root();
        if root.name() != "IMSSubscription" {
            return Err(Error::Missing("IMSSubscription"));
        }
        let service_profiles = root
            .all("ServiceProfile")
            .map(service_profile)
            .collect::<Result<Vec<_>, _>>()?;
        if service_profiles.is_empty() {
            return Err(Error::Missing("ServiceProfile"));
        }
        Ok(ImsSubscription {
            private_id: token(root.require("PrivateID")?),
            service_profiles,
        })
    }
}

fn service_profile(profile: Node<'_>) -> Result<ServiceProfile, Error> {
    let public_identities = profile
        .all("PublicIdentity")
        .map(public_identity)
        .collect::<Result<Vec<_>, _>>()?;
    if public_identities.is_empty() {
        return Err(Error::Missing("PublicIdentity"));
    }
    let authorization = profile.first("CoreNetworkServicesAuthorization");
    Ok(ServiceProfile {
        public_identities,
        subscribed_media_profile_id: match authorization {
            Some(authorization) => optional_number(authorization, "SubscribedMediaProfileId")?,
            None => None,
        },
        initial_filter_criteria: profile
            .all("InitialFilterCriteria")
            .map(initial_filter_criteria)
            .collect::<Result<_, _>>()?,
        shared_ifc_set_ids: extensions(profile)
            .flat_map(|extension| extension.all("SharedIFCSetID"))
            .map(|id| number(id, "SharedIFCSetID"))
            .collect::<Result<_, _>>()?,
    })
}

fn public_identity(identity: Node<'_>) -> Result<PublicIdentity, Error> {
    let extension = |name| extensions(identity).find_map(|extension| extension.first(name));
    let identity_type = match extension("IdentityType") {
        Some(node) => enumerated(node, "IdentityType", IdentityType::from_u32)?,
        None => IdentityType::default(),
    };
    let level = extension("ServicePriorityLevel");
    Ok(PublicIdentity {
        identity: token(identity.require("Identity")?),
        barred: flag(identity, "BarringIndication")?.unwrap_or(false),
        identity_type,
        wildcard: extension("WildcardedPSI")
            .or_else(|| extension("WildcardedIMPU"))
            .map(token),
        display_name: extension("DisplayName").map(string),
        alias_identity_group_id: extension("AliasIdentityGroupID").map(string),
        service_priority_level: level
            .map(|node| number(node, "ServicePriorityLevel"))
            .transpose()?,
    })
}

fn initial_filter_criteria(criteria: Node<'_>) -> Result<InitialFilterCriteria, Error> {
    let part = criteria.first("ProfilePartIndicator");
    Ok(InitialFilterCriteria {
        priority: number(criteria.require("Priority")?, "Priority")?,
        trigger_point: criteria
            .first("TriggerPoint")
            .map(trigger_point)
            .transpose()?,
        application_server: application_server(criteria.require("ApplicationServer")?)?,
        profile_part_indicator: part
            .map(|node| enumerated(node, "ProfilePartIndicator", ProfilePartIndicator::from_u32))
            .transpose()?,
    })
}

fn trigger_point(point: Node<'_>) -> Result<TriggerPoint, Error> {
    let condition_type_cnf =
        flag(point, "ConditionTypeCNF")?.ok_or(Error::Missing("ConditionTypeCNF"))?;
    let triggers = point
        .all("SPT")
        .map(service_point_trigger)
        .collect::<Result<Vec<_>, _>>()?;
    if triggers.is_empty() {
        return Err(Error::Missing("SPT"));
    }
    Ok(TriggerPoint {
        condition_type_cnf,
        triggers,
    })
}

fn service_point_trigger(trigger: Node<'_>) -> Result<ServicePointTrigger, Error> {
    let groups = trigger
        .all("Group")
        .map(|group| number(group, "Group"))
        .collect::<Result<Vec<_>, _>>()?;
    if groups.is_empty() {
        return Err(Error::Missing("Group"));
    }
    Ok(ServicePointTrigger {
        negated: flag(trigger, "ConditionNegated")?.unwrap_or(false),
        groups,
        condition: trigger
            .children()
            .find_map(|child| condition(child).transpose())
            .ok_or(Error::Missing("SPT condition"))??,
        registration_types: extensions(trigger)
            .flat_map(|extension| extension.all("RegistrationType"))
            .map(|node| enumerated(node, "RegistrationType", RegistrationType::from_u32))
            .collect::<Result<_, _>>()?,
    })
}

/// The condition an element inside SPT stands for; `None` for the elements that are none.
fn condition(node: Node<'_>) -> Result<Option<Condition>, Error> {
    let content = || node.first("Content").map(string);
    Ok(Some(match node.name() {
        "RequestURI" => Condition::RequestUri(token(node)),
        "Method" => Condition::Method(token(node)),
        "SIPHeader" => Condition::SipHeader {
            header: token(node.require("Header")?),
            content: content(),
        },
        "SessionCase" => {
            Condition::SessionCase(enumerated(node, "SessionCase", SessionCase::from_u32)?)
        }
        "SessionDescription" => Condition::SessionDescription {
            line: token(node.require("Line")?),
            content: content(),
        },
        _ => return Ok(None),
    }))
}

fn application_server(server: Node<'_>) -> Result<ApplicationServer, Error> {
    let includes = |name| extensions(server).any(|extension| extension.first(name).is_some());
    let handling = server.first("DefaultHandling");
    Ok(ApplicationServer {
        server_name: token(server.require("ServerName")?),
        default_handling: handling
            .map(|node| enumerated(node, "DefaultHandling", DefaultHandling::from_u32))
            .transpose()?
            .unwrap_or_default(),
        service_info: server.first("ServiceInfo").map(string),
        include_register_request: includes("IncludeRegisterRequest"),
        include_register_response: includes("IncludeRegisterResponse"),
    })
}

/// The Extension of an element, the Extension of that, and so on: each release added one inside the
/// last.
fn extensions(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    std::iter::successors(node.first("Extension"), |extension| {
        extension.first("Extension")
    })
}

/// Text as it stands.
fn string(node: Node<'_>) -> String {
    node.text().to_owned()
}

/// Text without white space around.
fn token(node: Node<'_>) -> String {
    node.text().trim().to_owned()
}

fn number(node: Node<'_>, name: &'static str) -> Result<u32, Error> {
    node.text().trim().parse().map_err(|_| Error::Value(name))
}

fn optional_number(parent: Node<'_>, name: &'static str) -> Result<Option<u32>, Error> {
    parent
        .first(name)
        .map(|node| number(node, name))
        .transpose()
}

fn enumerated<T>(
    node: Node<'_>,
    name: &'static str,
    from_u32: impl Fn(u32) -> Option<T>,
) -> Result<T, Error> {
    from_u32(number(node, name)?).ok_or(Error::Value(name))
}

fn flag(parent: Node<'_>, name: &'static str) -> Result<Option<bool>, Error> {
    match parent.first(name).map(|node| node.text().trim()) {
        None => Ok(None),
        Some("0" | "false") => Ok(Some(false)),
        Some("1" | "true") => Ok(Some(true)),
        Some(_) => Err(Error::Value(name)),
    }
}
