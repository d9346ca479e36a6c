//! The records of the HSS.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::filter_criteria::FilterCriteria;
use super::identity::{Impi, Impu};
use crate::auth::{DigestHash, Milenage, Secret, Sqn};

/// What the operator provisions for one IMPI; it changes by administration only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// The private user identity.
    pub impi: Impi,
    /// The public user identities, at least one, in the order in which they stand in the profile.
    ///
    /// The first one of an implicit set that is not barred is its default identity.
    pub impus: Vec<PublicIdentity>,
    /// Key material of IMS AKA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aka: Option<Aka>,
    /// Secret of SIP Digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<DigestHash>,
    /// Services.
    #[serde(default)]
    pub profile: ServiceProfile,
    /// Visited networks in which the user may register; none means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub visited_networks: Vec<String>,
    /// What the S-CSCF must and should be able to do.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// Where charging data goes.
    #[serde(default)]
    pub charging: ChargingAddresses,
}

/// One public user identity of a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicIdentity {
    /// The identity.
    pub uri: Impu,
    /// Not to be used in calls; registers only together with others of its implicit set.
    #[serde(default)]
    pub barred: bool,
    /// Name shown to the called party.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Implicit registration set, TS 23.228 5.2.1a: identities of the same number register
    /// together.
    #[serde(default)]
    pub implicit_set: u32,
}

/// Key material of IMS AKA (TS 33.203), with MILENAGE (TS 35.206).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aka {
    /// The subscriber key K.
    pub k: Secret<16>,
    /// OPc.
    pub opc: Secret<16>,
    /// The authentication management field, TS 33.102 Annex H.
    pub amf: [u8; 2],
    /// Where the sequence numbers start; the store counts on from here.
    #[serde(default)]
    pub sqn: Sqn,
}

/// Services of a subscriber, TS 29.228 Annex B.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceProfile {
    /// Initial filter criteria.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter_criteria: Vec<FilterCriteria>,
    /// Sets of filter criteria that the S-CSCF knows by number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_filter_sets: Vec<u32>,
    /// Media profile of the core network services authorisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_profile: Option<u32>,
}

/// What the S-CSCF of this user must and should be able to do, TS 29.228 6.7.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Capabilities without which an S-CSCF is not eligible.
    #[serde(default)]
    pub mandatory: Vec<u32>,
    /// Capabilities that are preferred.
    #[serde(default)]
    pub optional: Vec<u32>,
    /// S-CSCFs the operator prefers.
    #[serde(default)]
    pub server_names: Vec<String>,
}

/// Names of the charging functions, TS 29.228 7.19 (Diameter URIs).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargingAddresses {
    /// Primary event charging function (online).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_ecf: Option<String>,
    /// Secondary event charging function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_ecf: Option<String>,
    /// Primary charging collection function (offline).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_ccf: Option<String>,
    /// Secondary charging collection function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_ccf: Option<String>,
}

/// What the HSS remembers of a user's registrations.
///
/// One S-CSCF serves all identities of a subscription (TS 23.228 5.2.1), so its name stands here
/// once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registrations {
    /// Counts the changes; a change based on an older revision is refused.
    pub revision: u64,
    /// The S-CSCF assigned, or the one an authentication is pending with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<AssignedServer>,
    /// An I-CSCF has asked for capabilities to select another S-CSCF: that one may take over (TS
    /// 23.380 4.3).
    #[serde(default)]
    pub reassignment_pending: bool,
    /// States of the implicit sets; a set not listed is not registered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetRegistration>,
}

/// An S-CSCF as the HSS reaches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedServer {
    /// Its SIP URI.
    pub name: String,
    /// Its Diameter identity (Origin-Host).
    pub host: String,
    /// Its Diameter realm (Origin-Realm).
    pub realm: String,
}

/// Registration of one implicit set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRegistration {
    /// The number of the set.
    pub set: u32,
    /// Its state.
    pub state: RegistrationState,
    /// The S-CSCF has asked for vectors and not yet reported the result ("authentication pending").
    #[serde(default)]
    pub auth_pending: bool,
    /// S-CSCF restoration information, TS 23.380 4: a text of the HSS's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoration: Option<String>,
}

/// Registration state of a public identity, TS 29.228 6.1 (Annex B.2 calls it IMS user state).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    /// No S-CSCF serves it.
    #[default]
    NotRegistered,
    /// Registered.
    Registered,
    /// Not registered, but an S-CSCF keeps its profile for services of unregistered users.
    Unregistered,
}

/// All the store knows of one subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is provisioned.
    pub subscriber: Subscriber,
    /// The highest sequence number dealt; none without AKA.
    pub sqn: Option<Sqn>,
    /// The registrations.
    pub registrations: Registrations,
}

/// Why a subscriber cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriberFault {
    /// No public identity.
    NoImpu,
    /// More than [`IMPUS_MAX`] public identities.
    TooManyImpus,
    /// The same public identity twice.
    DuplicateImpu(Impu),
}

/// Most public identities of one IMPI: they all stand in one profile, which must fit a Diameter
/// message.
pub const IMPUS_MAX: usize = 256;

impl Subscriber {
    /// A subscriber with these identities in one implicit set, and no credentials yet.
    pub fn new(impi: Impi, impus: Vec<Impu>) -> Self {
        Self {
            impi,
            impus: impus.into_iter().map(PublicIdentity::from).collect(),
            aka: None,
            digest: None,
            profile: ServiceProfile::default(),
            visited_networks: Vec::new(),
            capabilities: Capabilities::default(),
            charging: ChargingAddresses::default(),
        }
    }

    /// The record of one of its public identities.
    pub fn public_identity(&self, impu: &Impu) -> Option<&PublicIdentity> {
        self.impus.iter().find(|identity| identity.uri == *impu)
    }

    /// The identities of an implicit set, in order.
    pub fn implicit_set(&self, set: u32) -> impl Iterator<Item = &PublicIdentity> {
        self.impus
            .iter()
            .filter(move |identity| identity.implicit_set == set)
    }

    /// Checks what the types do not say.
    pub fn check(&self) -> Result<(), SubscriberFault> {
        if self.impus.is_empty() {
            return Err(SubscriberFault::NoImpu);
        }
        if self.impus.len() > IMPUS_MAX {
            return Err(SubscriberFault::TooManyImpus);
        }
        let mut seen = std::collections::HashSet::new();
        match self
            .impus
            .iter()
            .find(|identity| !seen.insert(&identity.uri))
        {
            Some(twice) => Err(SubscriberFault::DuplicateImpu(twice.uri.clone())),
            None => Ok(()),
        }
    }
}

impl From<Impu> for PublicIdentity {
    fn from(uri: Impu) -> Self {
        Self {
            uri,
            barred: false,
            display_name: None,
            implicit_set: 0,
        }
    }
}

impl Aka {
    /// The functions of these keys.
    pub fn milenage(&self) -> Milenage {
        Milenage::new(&self.k.0, &self.opc.0)
    }
}

impl Registrations {
    /// The registration of a set.
    pub fn set(&self, set: u32) -> SetRegistration {
        let found = self
            .sets
            .iter()
            .find(|registration| registration.set == set);
        found.cloned().unwrap_or(SetRegistration {
            set,
            ..SetRegistration::default()
        })
    }

    /// Replaces the registration of a set; one that says nothing is not kept.
    pub fn update(&mut self, registration: SetRegistration) {
        self.sets.retain(|other| other.set != registration.set);
        let empty = SetRegistration {
            set: registration.set,
            ..SetRegistration::default()
        };
        if registration != empty {
            self.sets.push(registration);
        }
    }

    /// True when some set is registered, unregistered or being authenticated, so that the S-CSCF's
    /// name counts.
    pub fn is_served(&self) -> bool {
        self.sets
            .iter()
            .any(|set| set.state != RegistrationState::NotRegistered || set.auth_pending)
    }
}

impl fmt::Display for SubscriberFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubscriberFault::NoImpu => f.write_str("has no public identity"),
            SubscriberFault::TooManyImpus => {
                write!(f, "has more than {IMPUS_MAX} public identities")
            }
            SubscriberFault::DuplicateImpu(impu) => {
                write!(f, "has the public identity {impu} twice")
            }
        }
    }
}
