//! What can be wrong with a message, and the Result-Code it becomes.

use std::fmt;

use crate::ResultCode;
use crate::dictionary::AvpDef;
use crate::message::{Avp, AvpFlags};
use crate::writer::Writer;

/// A fault of a received message, or a limit an outgoing one would break.
///
/// [`Error::result_code`] is the code it is answered with; [`Error::failed_avp`] the content of
/// Failed-AVP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The version in the header is not 1: DIAMETER_UNSUPPORTED_VERSION.
    UnsupportedVersion(u8),
    /// The length in the header cannot be: DIAMETER_INVALID_MESSAGE_LENGTH.
    InvalidMessageLength(usize),
    /// R and E set together: DIAMETER_INVALID_HDR_BITS.
    InvalidHeaderBits(u8),
    /// A command the application does not have: DIAMETER_COMMAND_UNSUPPORTED.
    CommandUnsupported(u32),
    /// An application this node does not have: DIAMETER_APPLICATION_UNSUPPORTED.
    ApplicationUnsupported(u32),
    /// A reserved bit of an AVP header is set: DIAMETER_INVALID_AVP_BITS.
    InvalidAvpBits(FailedAvp),
    /// An AVP that is unknown and has the M bit: DIAMETER_AVP_UNSUPPORTED.
    AvpUnsupported(FailedAvp),
    /// Data out of the type or range: DIAMETER_INVALID_AVP_VALUE.
    InvalidAvpValue(FailedAvp),
    /// A required AVP is absent: DIAMETER_MISSING_AVP.
    MissingAvp(FailedAvp),
    /// AVPs that exclude each other: DIAMETER_CONTRADICTING_AVPS.
    ContradictingAvps(FailedAvp),
    /// An AVP that must not occur: DIAMETER_AVP_NOT_ALLOWED.
    AvpNotAllowed(FailedAvp),
    /// An AVP that occurs too often: DIAMETER_AVP_OCCURS_TOO_MANY_TIMES.
    AvpOccursTooManyTimes(FailedAvp),
    /// An AVP length that cannot be, or does not fit the type: DIAMETER_INVALID_AVP_LENGTH.
    InvalidAvpLength(FailedAvp),
    /// A named maximum of this implementation: DIAMETER_UNABLE_TO_COMPLY.
    Limit(&'static str),
}

/// The one AVP that goes into Failed-AVP (RFC 6733 7.5), encoded. `Debug` prints its code only.
#[derive(Clone, PartialEq, Eq)]
pub struct FailedAvp(Box<[u8]>);

impl Error {
    /// The Result-Code of the answer.
    pub fn result_code(&self) -> ResultCode {
        match self {
            Error::UnsupportedVersion(_) => ResultCode::UNSUPPORTED_VERSION,
            Error::InvalidMessageLength(_) => ResultCode::INVALID_MESSAGE_LENGTH,
            Error::InvalidHeaderBits(_) => ResultCode::INVALID_HDR_BITS,
            Error::CommandUnsupported(_) => ResultCode::COMMAND_UNSUPPORTED,
            Error::ApplicationUnsupported(_) => ResultCode::APPLICATION_UNSUPPORTED,
            Error::InvalidAvpBits(_) => ResultCode::INVALID_AVP_BITS,
            Error::AvpUnsupported(_) => ResultCode::AVP_UNSUPPORTED,
            Error::InvalidAvpValue(_) => ResultCode::INVALID_AVP_VALUE,
            Error::MissingAvp(_) => ResultCode::MISSING_AVP,
            Error::ContradictingAvps(_) => ResultCode::CONTRADICTING_AVPS,
            Error::AvpNotAllowed(_) => ResultCode::AVP_NOT_ALLOWED,
            Error::AvpOccursTooManyTimes(_) => ResultCode::AVP_OCCURS_TOO_MANY_TIMES,
            Error::InvalidAvpLength(_) => ResultCode::INVALID_AVP_LENGTH,
            Error::Limit(_) => ResultCode::UNABLE_TO_COMPLY,
        }
    }

    /// The AVP to be shown in Failed-AVP.
    pub fn failed_avp(&self) -> Option<&FailedAvp> {
        match self {
            Error::InvalidAvpBits(avp)
            | Error::AvpUnsupported(avp)
            | Error::InvalidAvpValue(avp)
            | Error::MissingAvp(avp)
            | Error::ContradictingAvps(avp)
            | Error::AvpNotAllowed(avp)
            | Error::AvpOccursTooManyTimes(avp)
            | Error::InvalidAvpLength(avp) => Some(avp),
            _ => None,
        }
    }

    /// The same fault seen from outside the Grouped AVP it was found in: Failed-AVP shows the way
    /// to it.
    pub(crate) fn within(mut self, group: &AvpDef) -> Error {
        if let Error::InvalidAvpBits(avp)
        | Error::AvpUnsupported(avp)
        | Error::InvalidAvpValue(avp)
        | Error::MissingAvp(avp)
        | Error::ContradictingAvps(avp)
        | Error::AvpNotAllowed(avp)
        | Error::AvpOccursTooManyTimes(avp)
        | Error::InvalidAvpLength(avp) = &mut self
        {
            let mut writer = Writer::bare();
            writer.group(group, |inside| inside.raw(&avp.0));
            *avp = FailedAvp(writer.into_bytes().into_boxed_slice());
        }
        self
    }

    /// `def` is required and absent.
    pub(crate) fn missing(def: &AvpDef) -> Error {
        Error::MissingAvp(FailedAvp::example(def))
    }
}

impl FailedAvp {
    /// The encoded AVP.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The offending AVP in its entirety.
    pub(crate) fn of(avp: &Avp<'_>) -> FailedAvp {
        let mut writer = Writer::bare();
        writer.copy(avp);
        FailedAvp(writer.into_bytes().into_boxed_slice())
    }

    /// The header of `def` and zeros of the least length of its type.
    pub(crate) fn example(def: &AvpDef) -> FailedAvp {
        let mut writer = Writer::bare();
        writer.octets(def, &[0; 8][..def.kind.bytes_min()]);
        FailedAvp(writer.into_bytes().into_boxed_slice())
    }

    /// The header of an AVP whose length lies, and `payload_bytes` zeros.
    pub(crate) fn header(code: u32, flags: AvpFlags, vendor: u32, payload_bytes: usize) -> Self {
        let mut writer = Writer::bare();
        writer.copy(&Avp {
            code,
            flags,
            vendor,
            data: &[0; 8][..payload_bytes.min(8)],
        });
        FailedAvp(writer.into_bytes().into_boxed_slice())
    }
}

impl fmt::Debug for FailedAvp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first_chunk() {
            Some(code) => write!(f, "AVP {}", u32::from_be_bytes(*code)),
            None => write!(f, "AVP"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self:?}", self.result_code())
    }
}

impl std::error::Error for Error {}
