//! Whether and how the packets of a flow or an egress are protected.

use crate::{DropReason, Frame};
use srtp::{Error, Receiver, Sender};
use std::sync::Arc;

/// SRTP of one direction of a leg (RFC 3711).
///
/// Two are equal when they share their state: so a path that is set again with the same one goes on
/// where it was.
#[derive(Debug)]
pub enum Srtp<T> {
    /// Packets pass as they are.
    Off,
    /// Packets are protected, and there is no key yet: none passes.
    NoKey,
    /// Packets are protected with this.
    On(Arc<T>),
}

impl<T> Clone for Srtp<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Off => Self::Off,
            Self::NoKey => Self::NoKey,
            Self::On(state) => Self::On(Arc::clone(state)),
        }
    }
}

impl<T> PartialEq for Srtp<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Off, Self::Off) | (Self::NoKey, Self::NoKey) => true,
            (Self::On(state), Self::On(other)) => Arc::ptr_eq(state, other),
            _ => false,
        }
    }
}

impl<T> Eq for Srtp<T> {}

/// What a packet is to SRTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Rtp,
    Rtcp,
}

impl Srtp<Receiver> {
    /// Checks and opens a packet in place.
    pub(crate) fn open(&self, frame: &mut Frame, kind: Kind) -> Result<(), DropReason> {
        let receiver = match self {
            Self::Off => return Ok(()),
            Self::NoKey => return Err(DropReason::SrtpNoKey),
            Self::On(receiver) => receiver,
        };
        let opened = frame.rewrite(|buffer, len| match kind {
            Kind::Rtp => receiver.unprotect(&mut buffer[..len]),
            Kind::Rtcp => receiver.unprotect_rtcp(&mut buffer[..len]),
        });
        opened.map_err(|error| reason(error, kind))
    }
}

impl Srtp<Sender> {
    /// Protects a packet in place.
    pub(crate) fn protect(&self, frame: &mut Frame, kind: Kind) -> Result<(), DropReason> {
        let sender = match self {
            Self::Off => return Ok(()),
            Self::NoKey => return Err(DropReason::SrtpNoKey),
            Self::On(sender) => sender,
        };
        let protected = frame.rewrite(|buffer, len| match kind {
            Kind::Rtp => sender.protect(buffer, len),
            Kind::Rtcp => sender.protect_rtcp(buffer, len),
        });
        protected.map_err(|error| reason(error, kind))
    }
}

fn reason(error: Error, kind: Kind) -> DropReason {
    match error {
        Error::Authentication => DropReason::SrtpAuthentication,
        Error::Replay => DropReason::SrtpReplay,
        Error::UnknownMki | Error::Misuse => DropReason::SrtpNoKey,
        Error::KeyExpired => DropReason::SrtpKeyExpired,
        Error::Limit | Error::Busy => DropReason::SrtpSource,
        Error::NoRoom => DropReason::Truncated,
        _ if kind == Kind::Rtcp => DropReason::NotRtcp,
        _ => DropReason::NotRtp,
    }
}
