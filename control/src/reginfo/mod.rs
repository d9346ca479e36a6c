//! Registration information: `application/reginfo+xml` (RFC 3680 5), which the S-CSCF writes and
//! the P-CSCF reads.

mod read;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Its Content-Type.
pub const CONTENT_TYPE: &str = "application/reginfo+xml";

/// The event package, RFC 3680 4.1.
pub const EVENT: &str = "reg";

/// Elements in one document that is read.
pub const ELEMENTS_MAX: usize = 4096;

/// Elements inside one another in a document that is read; the schema nests three.
pub const DEPTH_MAX: usize = 16;

/// A document: the state of a set of registrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reginfo {
    /// Counts the documents of one subscription.
    pub version: u32,
    /// All registrations and contacts, rather than those that changed.
    pub full: bool,
    /// One per address of record.
    pub registrations: Vec<Registration>,
}

/// The state of one address of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The address of record: a public identity.
    pub aor: String,
    /// Its name within the subscription.
    pub id: String,
    /// Its state.
    pub state: State,
    /// Its contacts.
    pub contacts: Vec<Contact>,
}

/// State of a registration, RFC 3680 4.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No contact was registered yet.
    Init,
    /// At least one contact is registered.
    Active,
    /// None is any more.
    Terminated,
}

/// One contact of a registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Its name within the subscription.
    pub id: String,
    /// What happened to it last, which also tells its state.
    pub event: ContactEvent,
    /// Seconds until it expires.
    pub expires: Option<u32>,
    /// Preference in thousandths.
    pub q: Option<u16>,
    /// Call-ID of the REGISTER that made or refreshed it.
    pub call_id: Option<String>,
    /// CSeq number of that REGISTER.
    pub cseq: Option<u32>,
    /// Contact URI.
    pub uri: String,
    /// Display name.
    pub display_name: Option<String>,
    /// Parameters of the Contact that the schema does not know, RFC 3680 5.3.
    pub unknown_params: Vec<(String, String)>,
}

/// Events of a contact, RFC 3680 4.7.2. The journal has them by their places in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContactEvent {
    /// REGISTER made it.
    #[default]
    Registered,
    /// It came into being without a REGISTER for this address of record.
    Created,
    /// REGISTER refreshed it.
    Refreshed,
    /// The registrar cut its lifetime: the UE is to authenticate anew.
    Shortened,
    /// It was not refreshed.
    Expired,
    /// The network ended it; the UE may register at once.
    Deactivated,
    /// The network ended it; the UE may register later.
    Probation,
    /// The UE ended it.
    Unregistered,
    /// The network ended it; the UE must not register.
    Rejected,
}

impl ContactEvent {
    const ALL: [(ContactEvent, &'static str); 9] = [
        (ContactEvent::Registered, "registered"),
        (ContactEvent::Created, "created"),
        (ContactEvent::Refreshed, "refreshed"),
        (ContactEvent::Shortened, "shortened"),
        (ContactEvent::Expired, "expired"),
        (ContactEvent::Deactivated, "deactivated"),
        (ContactEvent::Probation, "probation"),
        (ContactEvent::Unregistered, "unregistered"),
        (ContactEvent::Rejected, "rejected"),
    ];

    /// Whether it leaves the contact registered.
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Registered | Self::Created | Self::Refreshed | Self::Shortened
        )
    }

    /// Whether the network, not the UE or its silence, ended the contact.
    pub const fn is_by_network(self) -> bool {
        matches!(self, Self::Deactivated | Self::Probation | Self::Rejected)
    }

    /// The word in the document.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(event, _)| *event == self);
        named.map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        let named = Self::ALL.iter().find(|(_, name)| *name == text);
        named.map(|(event, _)| *event)
    }
}

impl State {
    /// The word in the document.
    pub const fn name(self) -> &'static str {
        match self {
            State::Init => "init",
            State::Active => "active",
            State::Terminated => "terminated",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [State::Init, State::Active, State::Terminated]
            .into_iter()
            .find(|state| state.name() == text)
    }
}

/// Why a document is refused: 400 to the NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not well-formed XML in UTF-8, or with a document type, at this octet.
    Malformed {
        /// Octets read before the fault was seen.
        offset: usize,
    },
    /// The root is not `reginfo`.
    NotReginfo,
    /// This element or attribute is required and absent.
    Missing(&'static str),
    /// This element or attribute has no meaning.
    Value(&'static str),
    /// A named maximum: [`ELEMENTS_MAX`] or [`DEPTH_MAX`].
    Limit(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
