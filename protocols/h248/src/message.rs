//! Abstract syntax of H.248.1 version 3: one value for text (Annex B) and binary (Annex A).
//!
//! Names follow A.2. Package items are kept by name; items of unknown packages are kept like any
//! other.

mod audit;
mod command;
mod event;
mod media;
mod name;
mod service_change;
mod signal;
mod termination;
mod transaction;

use std::net::{Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

pub use audit::*;
pub use command::*;
pub use event::*;
pub use media::*;
pub use name::*;
pub use service_change::*;
pub use signal::*;
pub use termination::*;
pub use transaction::*;

use crate::error::ErrorCode;

/// The protocol version of this crate.
pub const VERSION: u8 = 3;

/// MegacoMessage, A.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Authentication header, clause 10.2.
    pub auth: Option<AuthHeader>,
    /// Protocol version, 1 to 3.
    pub version: u8,
    /// Who sends.
    pub mid: Mid,
    /// What is said.
    pub body: MessageBody,
}

/// Body of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageBody {
    /// Transactions; at least one.
    Transactions(Vec<Transaction>),
    /// The message received could not be understood at all.
    Error(ErrorDescriptor),
}

/// Authentication header, clause 10.2: kept, not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthHeader {
    /// SecurityParmIndex.
    pub spi: u32,
    /// SequenceNum.
    pub sequence: u32,
    /// AuthData, 12 to 32 octets.
    pub data: Vec<u8>,
}

/// Message identifier, clause 8.3: name or address of an MG or MGC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mid {
    /// `[192.0.2.1]:2944`.
    Ipv4(Ipv4Addr, Option<u16>),
    /// `[2001:db8::1]:2944`.
    Ipv6(Ipv6Addr, Option<u16>),
    /// `<mgc.example.com>:2944`.
    Domain(Name, Option<u16>),
    /// A path name.
    Device(Name),
    /// `MTP{…}`: point code and network indicator, 2 to 4 octets.
    Mtp(SmallVec<[u8; 4]>),
}

/// Error descriptor, clause 7.1.19.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorDescriptor {
    /// A number of H.248.8.
    pub code: ErrorCode,
    /// Words for people, or what the code's definition asks for; `None` for `Error = 400 { }`.
    pub text: Option<String>,
}

impl ErrorDescriptor {
    /// The error with the words of H.248.8.
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            text: code.text().map(str::to_owned),
        }
    }

    /// The error with these words.
    pub fn with_text(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: Some(text.into()),
        }
    }
}
