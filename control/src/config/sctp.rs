//! `[sctp]`: what carries H.248 over SCTP, and how soon a path is given up.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use usrsctp::{Carrier, Timing};

use super::{ConfigError, error};

/// Addresses of one end of an association.
const ADDRESSES_MAX: usize = 8;
/// Longest interval that is of any use.
const INTERVAL_MS_MAX: u32 = 3_600_000;
/// Shortest: the library's clock ticks every 10 ms.
const INTERVAL_MS_MIN: u32 = 20;
/// Most retransmissions of RFC 9260 16 that make sense.
const RETRANSMISSIONS_MAX: u16 = 100;

/// What a file may say of SCTP, every key optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SctpFile {
    /// Our UDP port, where packets go in UDP (RFC 6951); without, they go raw in IP.
    pub udp_port: Option<u16>,
    /// That of peers to which we connect; the same as ours by default.
    pub peer_udp_port: Option<u16>,
    /// HB.interval: how often a path is tried on which nothing is sent, milliseconds.
    pub heartbeat_ms: Option<u32>,
    /// RTO.Min, milliseconds.
    pub rto_min_ms: Option<u32>,
    /// RTO.Max, milliseconds.
    pub rto_max_ms: Option<u32>,
    /// Path.Max.Retrans.
    pub path_retransmissions_max: Option<u16>,
    /// Association.Max.Retrans.
    pub association_retransmissions_max: Option<u16>,
}

/// What was made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SctpPolicy {
    /// Raw, or in UDP.
    pub carrier: Carrier,
    /// Timers and counters.
    pub timing: Timing,
}

impl SctpFile {
    /// Lays `over` (the flags) over this: what `over` says wins.
    #[must_use]
    pub fn overridden_by(self, over: SctpFile) -> SctpFile {
        SctpFile {
            udp_port: over.udp_port.or(self.udp_port),
            peer_udp_port: over.peer_udp_port.or(self.peer_udp_port),
            heartbeat_ms: over.heartbeat_ms.or(self.heartbeat_ms),
            rto_min_ms: over.rto_min_ms.or(self.rto_min_ms),
            rto_max_ms: over.rto_max_ms.or(self.rto_max_ms),
            path_retransmissions_max: over
                .path_retransmissions_max
                .or(self.path_retransmissions_max),
            association_retransmissions_max: over
                .association_retransmissions_max
                .or(self.association_retransmissions_max),
        }
    }

    /// The same where either may be missing.
    #[must_use]
    pub fn merge(file: Option<SctpFile>, over: Option<SctpFile>) -> Option<SctpFile> {
        match (file, over) {
            (Some(file), Some(over)) => Some(file.overridden_by(over)),
            (file, over) => over.or(file),
        }
    }

    /// Checks every value and every combination.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn validate(&self) -> Result<SctpPolicy, ConfigError> {
        let preset = Timing::SIGNALLING;
        let heartbeat = interval("sctp.heartbeat_ms", self.heartbeat_ms, preset.heartbeat)?;
        let rto_min = interval("sctp.rto_min_ms", self.rto_min_ms, preset.rto_min)?;
        let rto_max = preset.rto_max.max(rto_min);
        let rto_max = interval("sctp.rto_max_ms", self.rto_max_ms, rto_max)?;
        if rto_max < rto_min {
            let remedy = "give at least rto_min_ms";
            return Err(error("sctp.rto_max_ms", rto_max.as_millis(), remedy));
        }
        let path = count(
            "sctp.path_retransmissions_max",
            self.path_retransmissions_max,
            preset.path_retransmissions_max,
        )?;
        let key = "sctp.association_retransmissions_max";
        let given = self.association_retransmissions_max;
        let association = preset.association_retransmissions_max.max(path);
        let association = count(key, given, association)?;
        if association < path {
            let remedy = "give at least path_retransmissions_max";
            return Err(error(key, association, remedy));
        }
        Ok(SctpPolicy {
            carrier: self.carrier()?,
            timing: Timing {
                rto_initial: preset.rto_initial.clamp(rto_min, rto_max),
                rto_min,
                rto_max,
                heartbeat,
                path_retransmissions_max: path,
                association_retransmissions_max: association,
                ..preset
            },
        })
    }

    fn carrier(&self) -> Result<Carrier, ConfigError> {
        let ports = [
            ("sctp.udp_port", self.udp_port),
            ("sctp.peer_udp_port", self.peer_udp_port),
        ];
        if let Some((key, _)) = ports.iter().find(|(_, port)| *port == Some(0)) {
            let remedy = format!("give a port; {} by custom", usrsctp::ENCAPSULATION_PORT);
            return Err(error(key, 0, remedy));
        }
        match (self.udp_port, self.peer_udp_port) {
            (None, None) => Ok(Carrier::Raw),
            (Some(local), peer) => Ok(Carrier::Udp {
                local,
                peer: peer.unwrap_or(local),
            }),
            (None, Some(peer)) => {
                let remedy = "packets go in UDP both ways: give udp_port too";
                Err(error("sctp.peer_udp_port", peer, remedy))
            }
        }
    }
}

fn interval(key: &str, given: Option<u32>, preset: Duration) -> Result<Duration, ConfigError> {
    match given {
        Some(ms) if !(INTERVAL_MS_MIN..=INTERVAL_MS_MAX).contains(&ms) => {
            let remedy = format!("give {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX}");
            Err(error(key, ms, remedy))
        }
        Some(ms) => Ok(Duration::from_millis(ms.into())),
        None => Ok(preset),
    }
}

fn count(key: &str, given: Option<u16>, preset: u16) -> Result<u16, ConfigError> {
    match given {
        Some(count) if !(1..=RETRANSMISSIONS_MAX).contains(&count) => {
            let remedy = format!("give 1 to {RETRANSMISSIONS_MAX}");
            Err(error(key, count, remedy))
        }
        Some(count) => Ok(count),
        None => Ok(preset),
    }
}

/// All addresses of one end: the first one and those that come on top.
///
/// # Errors
/// One of these is no address of a host, or stands there twice, or they are too many.
pub fn addresses(key: &str, first: IpAddr, more: &[IpAddr]) -> Result<Vec<IpAddr>, ConfigError> {
    let mut all = vec![first];
    for &address in more {
        if address.is_unspecified() || address.is_multicast() {
            return Err(error(key, address, "give addresses of one host"));
        }
        if all.contains(&address) {
            return Err(error(key, address, "the address is there already"));
        }
        all.push(address);
    }
    match all.len() {
        ..=ADDRESSES_MAX => Ok(all),
        count => {
            let remedy = format!("one end has at most {ADDRESSES_MAX} addresses");
            Err(error(key, count, remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SctpFile {
        toml::from_str(text).expect("valid")
    }

    #[test]
    fn without_a_port_packets_go_raw_and_with_one_in_udp() {
        let carrier = |text: &str| file(text).validate().expect("valid").carrier;
        assert_eq!(carrier(""), Carrier::Raw);
        let both = Carrier::Udp {
            local: 9899,
            peer: 9899,
        };
        assert_eq!(carrier("udp_port = 9899"), both);
        let apart = Carrier::Udp {
            local: 9900,
            peer: 9899,
        };
        assert_eq!(carrier("udp_port = 9900\npeer_udp_port = 9899"), apart);
    }

    #[test]
    fn what_is_not_given_goes_with_what_is() {
        let timing = |text: &str| file(text).validate().expect("valid").timing;
        assert_eq!(timing(""), Timing::SIGNALLING);
        let slow = timing("rto_min_ms = 3000\npath_retransmissions_max = 20");
        assert_eq!(slow.rto_initial, Duration::from_secs(3));
        assert_eq!(slow.rto_max, Duration::from_secs(3));
        assert_eq!(slow.association_retransmissions_max, 20);
        assert_eq!(
            timing("rto_max_ms = 300").rto_initial,
            Duration::from_millis(300)
        );
    }

    #[test]
    fn flags_leave_what_they_do_not_say() {
        let written = file("udp_port = 9899\nheartbeat_ms = 500");
        let over = file("udp_port = 9900");
        let both = file("udp_port = 9900\nheartbeat_ms = 500");
        assert_eq!(
            SctpFile::merge(Some(written.clone()), Some(over)),
            Some(both)
        );
        assert_eq!(SctpFile::merge(Some(written.clone()), None), Some(written));
        assert_eq!(SctpFile::merge(None, None), None);
    }

    #[test]
    fn each_bad_value_names_its_key() {
        for (text, key) in [
            ("udp_port = 0", "sctp.udp_port"),
            ("peer_udp_port = 9899", "sctp.peer_udp_port"),
            ("udp_port = 9899\npeer_udp_port = 0", "sctp.peer_udp_port"),
            ("heartbeat_ms = 0", "sctp.heartbeat_ms"),
            ("rto_min_ms = 4000000", "sctp.rto_min_ms"),
            ("rto_min_ms = 500\nrto_max_ms = 400", "sctp.rto_max_ms"),
            (
                "path_retransmissions_max = 0",
                "sctp.path_retransmissions_max",
            ),
            (
                "association_retransmissions_max = 1",
                "sctp.association_retransmissions_max",
            ),
        ] {
            assert_eq!(file(text).validate().unwrap_err().key, key, "{text}");
        }
    }

    #[test]
    fn addresses_of_one_end_differ() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = ip("192.0.2.1");
        assert_eq!(
            addresses("a", first, &[ip("2001:db8::1")]),
            Ok(vec![first, ip("2001:db8::1")])
        );
        for more in [vec![first], vec![ip("0.0.0.0")], vec![ip("224.0.0.1")]] {
            assert!(addresses("a", first, &more).is_err(), "{more:?}");
        }
        let many: Vec<IpAddr> = (1..9)
            .map(|last| IpAddr::from([198, 51, 100, last]))
            .collect();
        assert!(addresses("a", first, &many).is_err());
        assert!(addresses("a", first, &many[1..]).is_ok());
    }
}
