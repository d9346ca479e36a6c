//! SRTP of the legs at one local address: from the keys of descriptors to what packets need.

use std::sync::Arc;

use dataplane::Srtp;
use mg::LegSrtp;
use sdp::crypto::{Crypto, Lifetime};
use srtp::{Error, MasterKey, Mki, Receiver, Sender};

/// The keys in use, and the state of the packets under them.
///
/// They stay when they are not told any more, so that the same key told again goes on with its
/// indices: beginning anew would use its key stream twice (RFC 3711 9.1).
#[derive(Debug, Default)]
pub(crate) struct Keys {
    sends: Option<(Crypto, Arc<Sender>)>,
    receives: Option<(Crypto, Arc<Receiver>)>,
}

impl Keys {
    /// What is done to what is sent.
    pub fn sends(&mut self, srtp: Option<&LegSrtp>) -> Srtp<Sender> {
        told(
            &mut self.sends,
            srtp.map(|srtp| srtp.sends.as_ref()),
            |before, keys| {
                // Of several keys the first is used (RFC 4568 6.1).
                let key = keys.first().ok_or(Error::Misuse)?;
                match before {
                    Some(before) => before.rekeyed(key),
                    None => Sender::new(key),
                }
            },
        )
    }

    /// What is done to what is received.
    pub fn receives(&mut self, srtp: Option<&LegSrtp>) -> Srtp<Receiver> {
        told(
            &mut self.receives,
            srtp.map(|srtp| srtp.receives.as_ref()),
            |before, keys| match before {
                Some(before) => before.rekeyed(keys),
                None => Receiver::new(keys),
            },
        )
    }
}

/// Keeps the state of a key that is told again, and makes that of another.
fn told<T>(
    kept: &mut Option<(Crypto, Arc<T>)>,
    crypto: Option<Option<&Crypto>>,
    make: impl FnOnce(Option<&T>, &[MasterKey]) -> Result<T, Error>,
) -> Srtp<T> {
    let crypto = match crypto {
        None => return Srtp::Off,
        Some(None) => return Srtp::NoKey,
        Some(Some(crypto)) => crypto,
    };
    if let Some((known, state)) = kept
        && known == crypto
    {
        return Srtp::On(Arc::clone(state));
    }
    let before = kept.as_ref().map(|(_, state)| &**state);
    let made = master_keys(crypto).and_then(|keys| make(before, &keys));
    match made {
        Ok(state) => {
            let state = Arc::new(state);
            *kept = Some((crypto.clone(), Arc::clone(&state)));
            Srtp::On(state)
        }
        // The descriptions that are read are those that can be used.
        Err(_) => Srtp::NoKey,
    }
}

fn master_keys(crypto: &Crypto) -> Result<Vec<MasterKey>, Error> {
    let suite = crypto.suite.name().parse().map_err(|()| Error::Misuse)?;
    let master_key = |key: &sdp::crypto::InlineKey| {
        let mut master = MasterKey::new(suite, key.key_and_salt())?;
        if let Some(mki) = key.mki {
            master = master.with_mki(Mki::from_number(mki.value, mki.octets.into())?);
        }
        Ok(match key.lifetime.map(Lifetime::packets) {
            Some(packets) => master.with_lifetime(packets),
            None => master,
        })
    };
    crypto.keys.iter().map(master_key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdp::crypto::{CryptoSuite, InlineKey, KEYS_MAX, MKI_BYTES_MAX};

    fn crypto(suite: CryptoSuite, seed: u8) -> Crypto {
        let octets = vec![seed; suite.key_and_salt_bytes()];
        Crypto::new(1, suite, InlineKey::new(&octets))
    }

    #[test]
    fn every_key_that_sdp_reads_can_be_used() {
        for suite in CryptoSuite::ALL {
            let mut crypto = crypto(suite, 0);
            crypto.keys = (0..KEYS_MAX as u8)
                .map(|seed| {
                    let mut key = InlineKey::new(&vec![seed; suite.key_and_salt_bytes()]);
                    key.lifetime = Some(Lifetime::PowerOfTwo(48));
                    key.mki = Some(sdp::crypto::Mki {
                        value: seed.into(),
                        octets: MKI_BYTES_MAX,
                    });
                    key
                })
                .collect();
            let srtp = LegSrtp {
                sends: Some(crypto.clone()),
                receives: Some(crypto),
            };
            let mut keys = Keys::default();
            assert!(matches!(keys.sends(Some(&srtp)), Srtp::On(_)), "{suite}");
            assert!(matches!(keys.receives(Some(&srtp)), Srtp::On(_)), "{suite}");
        }
    }

    #[test]
    fn a_key_that_is_told_again_keeps_its_state() {
        let of = |seed| LegSrtp {
            sends: Some(crypto(CryptoSuite::AeadAes128Gcm, seed)),
            receives: None,
        };
        let mut keys = Keys::default();
        let first = keys.sends(Some(&of(1)));
        assert_eq!(keys.sends(None), Srtp::Off);
        assert_eq!(keys.receives(Some(&of(1))), Srtp::NoKey);
        assert_eq!(keys.sends(Some(&of(1))), first);
        let second = keys.sends(Some(&of(2)));
        assert!(matches!(second, Srtp::On(_)) && second != first);
    }
}
