//! SRTP of a stream, with the keys that two descriptions agree on.

use std::fmt;

use sdp::AgreedKeys;
use sdp::crypto::{Crypto, Lifetime};
use srtp::{Error, MasterKey, Mki, OVERHEAD_BYTES_MAX, Receiver, Sender};

/// Protects what is sent and opens what is received.
pub(crate) struct Protection {
    keys: AgreedKeys,
    sender: Sender,
    receiver: Receiver,
}

impl Protection {
    /// With the keys of a first agreement.
    ///
    /// # Errors
    /// What is wrong with a key.
    pub fn new(keys: AgreedKeys) -> Result<Self, Error> {
        Ok(Self {
            sender: Sender::new(&master_key(&keys.sends)?)?,
            receiver: Receiver::new(&[master_key(&keys.receives)?])?,
            keys,
        })
    }

    /// With those of a new agreement about the same stream; a key that did not change goes on.
    ///
    /// # Errors
    /// What is wrong with a key.
    pub fn rekeyed(self, keys: AgreedKeys) -> Result<Self, Error> {
        let sender = match keys.sends == self.keys.sends {
            true => self.sender,
            false => self.sender.rekeyed(&master_key(&keys.sends)?)?,
        };
        let receiver = match keys.receives == self.keys.receives {
            true => self.receiver,
            false => self.receiver.rekeyed(&[master_key(&keys.receives)?])?,
        };
        Ok(Self {
            keys,
            sender,
            receiver,
        })
    }

    /// Protects a packet.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn protect(&self, packet: &mut Vec<u8>, is_rtcp: bool) -> Result<(), Error> {
        let len = packet.len();
        packet.resize(len + OVERHEAD_BYTES_MAX, 0);
        let protected = match is_rtcp {
            true => self.sender.protect_rtcp(packet, len),
            false => self.sender.protect(packet, len),
        };
        packet.truncate(protected?);
        Ok(())
    }

    /// Opens a packet.
    ///
    /// # Errors
    /// Why it must not be believed.
    pub fn open(&self, packet: &mut Vec<u8>, is_rtcp: bool) -> Result<(), Error> {
        let opened = match is_rtcp {
            true => self.receiver.unprotect_rtcp(packet),
            false => self.receiver.unprotect(packet),
        };
        packet.truncate(opened?);
        Ok(())
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protection").finish_non_exhaustive()
    }
}

/// The first key of a description: these user agents offer no more.
fn master_key(crypto: &Crypto) -> Result<MasterKey, Error> {
    let suite = crypto.suite.name().parse().map_err(|()| Error::Misuse)?;
    let key = crypto.keys.first().ok_or(Error::Misuse)?;
    let mut master = MasterKey::new(suite, key.key_and_salt())?;
    if let Some(mki) = key.mki {
        master = master.with_mki(Mki::from_number(mki.value, mki.octets.into())?);
    }
    Ok(match key.lifetime.map(Lifetime::packets) {
        Some(packets) => master.with_lifetime(packets),
        None => master,
    })
}
