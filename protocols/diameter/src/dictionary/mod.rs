//! Dictionaries: what the AVPs and commands of an application are, as tables.

pub mod base;
pub mod cx;

use smallvec::{SmallVec, smallvec};

use crate::error::{Error, FailedAvp};
use crate::message::{Avp, Avps, Message};

/// Definition of an AVP.
#[derive(Debug)]
pub struct AvpDef {
    /// Name in its specification.
    pub name: &'static str,
    /// AVP Code.
    pub code: u32,
    /// Vendor-Id; 0 for the IETF's.
    pub vendor: u32,
    /// Data type.
    pub kind: AvpKind,
    /// Whether the M bit is set when sending.
    pub mandatory: MandatoryBit,
}

/// AVP data formats, RFC 6733 4.2 to 4.4.
#[derive(Clone, Copy, Debug)]
pub enum AvpKind {
    /// OctetString.
    OctetString,
    /// Unsigned32.
    Unsigned32,
    /// Unsigned64.
    Unsigned64,
    /// Enumerated.
    Enumerated,
    /// UTF8String.
    Utf8String,
    /// DiameterIdentity.
    DiameterIdentity,
    /// DiameterURI.
    DiameterUri,
    /// Address.
    Address,
    /// Time.
    Time,
    /// Grouped, with the AVPs it is made of; others may stand in it.
    Grouped(&'static [Rule]),
}

impl AvpKind {
    /// The least number of octets of data.
    pub const fn bytes_min(self) -> usize {
        match self {
            AvpKind::OctetString
            | AvpKind::Utf8String
            | AvpKind::DiameterUri
            | AvpKind::DiameterIdentity
            | AvpKind::Grouped(_) => 0,
            AvpKind::Unsigned32 | AvpKind::Enumerated | AvpKind::Time => 4,
            AvpKind::Address => 6,
            AvpKind::Unsigned64 => 8,
        }
    }
}

/// The M bit, RFC 6733 4.1 and the flag rules of each application.
///
/// Only senders are bound: a received AVP that is known is accepted with either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MandatoryBit {
    /// MUST be set.
    Must,
    /// MAY be set; left clear unless the writer is told otherwise.
    May,
    /// MUST NOT be set.
    MustNot,
}

/// How often an AVP occurs in a command or in a Grouped AVP.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The AVP.
    pub avp: &'static AvpDef,
    /// Fewest.
    pub min: u16,
    /// Most.
    pub max: u16,
}

/// `{ avp }`: exactly one.
pub const fn one(avp: &'static AvpDef) -> Rule {
    Rule {
        avp,
        min: 1,
        max: 1,
    }
}

/// `[ avp ]`: none or one.
pub const fn optional(avp: &'static AvpDef) -> Rule {
    Rule {
        avp,
        min: 0,
        max: 1,
    }
}

/// `* [ avp ]`: any number.
pub const fn any(avp: &'static AvpDef) -> Rule {
    Rule {
        avp,
        min: 0,
        max: u16::MAX,
    }
}

/// `1* { avp }`: at least one.
pub const fn some(avp: &'static AvpDef) -> Rule {
    Rule {
        avp,
        min: 1,
        max: u16::MAX,
    }
}

/// Definition of a command: its request and its answer. AVPs beyond the rules may stand in both.
#[derive(Debug)]
pub struct CommandDef {
    /// Name without "-Request" and "-Answer".
    pub name: &'static str,
    /// Command Code.
    pub code: u32,
    /// Whether the P bit is set in requests.
    pub proxiable: bool,
    /// AVPs of the request.
    pub request: &'static [Rule],
    /// AVPs of the answer.
    pub answer: &'static [Rule],
}

/// An application: its commands, and its AVPs besides those of the base protocol.
#[derive(Debug)]
pub struct Dictionary {
    /// Application-ID.
    pub application: u32,
    /// Vendor that defined the application; it is announced in Vendor-Specific-Application-Id.
    pub vendor: Option<u32>,
    /// Commands.
    pub commands: &'static [CommandDef],
    /// AVPs, a list for each vendor.
    pub avps: &'static [&'static [&'static AvpDef]],
}

/// Grouped AVPs inside one another.
pub const DEPTH_MAX: usize = 6;

impl Dictionary {
    /// The command of this code.
    pub fn command(&self, code: u32) -> Option<&'static CommandDef> {
        self.commands.iter().find(|command| command.code == code)
    }

    /// The AVP of this vendor and code, of this application or of the base protocol.
    pub fn avp(&self, vendor: u32, code: u32) -> Option<&'static AvpDef> {
        let lists = self.avps.iter().chain(base::DICTIONARY.avps);
        lists
            .flat_map(|avps| avps.iter().copied())
            .find(|def| def.code == code && def.vendor == vendor)
    }

    /// Holds `message` against the grammar of its command.
    ///
    /// Unknown AVPs without the M bit are passed over. An answer with the E bit, or with a
    /// Result-Code that is a failure, is held against the grammar of error answers only (RFC 6733
    /// 7.2): its sender may not have had what its command requires.
    ///
    /// # Errors
    /// All variants but `Limit` and those of [`Message::parse`]; the first fault found is the one
    /// returned.
    pub fn check(&self, message: &Message<'_>) -> Result<&'static CommandDef, Error> {
        let header = &message.header;
        if header.application != self.application {
            return Err(Error::ApplicationUnsupported(header.application));
        }
        let command = self
            .command(header.command)
            .ok_or(Error::CommandUnsupported(header.command))?;
        let rules = match (header.flags.is_request(), header.flags.is_error()) {
            (true, true) => return Err(Error::InvalidHeaderBits(header.flags.0)),
            (true, false) => command.request,
            (false, true) => base::ERROR_ANSWER,
            (false, false) if is_failure(message) => base::ERROR_ANSWER,
            (false, false) => command.answer,
        };
        self.check_avps(rules, message.avps(), 0)?;
        Ok(command)
    }

    fn check_avps(
        &self,
        rules: &'static [Rule],
        avps: Avps<'_>,
        depth: usize,
    ) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Limit("DEPTH_MAX"));
        }
        let mut counts: SmallVec<[u16; 32]> = smallvec![0; rules.len()];
        for avp in avps {
            let Some(index) = rules.iter().position(|rule| avp.is(rule.avp)) else {
                if avp.flags.is_mandatory() && self.avp(avp.vendor, avp.code).is_none() {
                    return Err(Error::AvpUnsupported(FailedAvp::of(&avp)));
                }
                continue;
            };
            let rule = &rules[index];
            if counts[index] == rule.max {
                return Err(match rule.max {
                    0 => Error::AvpNotAllowed(FailedAvp::of(&avp)),
                    _ => Error::AvpOccursTooManyTimes(FailedAvp::of(&avp)),
                });
            }
            counts[index] += 1;
            self.check_value(rule.avp, &avp, depth)?;
        }
        match rules
            .iter()
            .zip(&counts)
            .find(|(rule, count)| **count < rule.min)
        {
            Some((rule, _)) => Err(Error::missing(rule.avp)),
            None => Ok(()),
        }
    }

    fn check_value(&self, def: &AvpDef, avp: &Avp<'_>, depth: usize) -> Result<(), Error> {
        match def.kind {
            AvpKind::OctetString => Ok(()),
            AvpKind::Unsigned32 | AvpKind::Enumerated | AvpKind::Time => avp.to_u32().map(drop),
            AvpKind::Unsigned64 => avp.to_u64().map(drop),
            AvpKind::Utf8String | AvpKind::DiameterUri => avp.to_str().map(drop),
            AvpKind::DiameterIdentity => avp.to_identity().map(drop),
            AvpKind::Address => avp.to_address().map(drop),
            AvpKind::Grouped(rules) => avp
                .to_group()
                .and_then(|inside| self.check_avps(rules, inside, depth + 1))
                .map_err(|error| error.within(def)),
        }
    }
}

/// Whether an answer has a Result-Code beyond success.
fn is_failure(answer: &Message<'_>) -> bool {
    let code = answer.find(&base::RESULT_CODE).map(|avp| avp.to_u32());
    matches!(code, Some(Ok(3000..)))
}

/// The AVP of this vendor and code in any dictionary.
pub fn find(vendor: u32, code: u32) -> Option<&'static AvpDef> {
    cx::DICTIONARY.avp(vendor, code)
}

/// Defines the AVPs of one vendor: constants, and the list of all.
macro_rules! avps {
    (
        $all:ident, vendor $vendor:expr;
        $($constant:ident = $code:literal $name:literal $kind:expr, $mandatory:ident;)+
    ) => {
        $(
            #[doc = concat!($name, ", AVP code ", $code, ".")]
            pub static $constant: AvpDef = AvpDef {
                name: $name,
                code: $code,
                vendor: $vendor,
                kind: $kind,
                mandatory: MandatoryBit::$mandatory,
            };
        )+

        static $all: &[&AvpDef] = &[$(&$constant,)+];
    };
}
use avps;
