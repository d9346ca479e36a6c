//! Properties of a stream: LocalControl, H.248.1 7.1.7.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use h248::error::ErrorCode;
use h248::message::{ParmValue, PropertyParm, Value};
use h248::package::{Item, ds, gm, ipdc, rtcph, swmix, tman};

use crate::error::{Result, about};
use crate::plane::{LegFilter, LegMarking, LegPolicing, LegVolume};
use crate::port_pool::{PortPool, RealmIndex};
use crate::profile::{Kind, Profile};

/// The properties of one stream, as given and as understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    /// Each property once, with the value that holds: for audits.
    given: Vec<PropertyParm>,
    /// `ipdc/realm`; `None` is any.
    pub realm: Option<RealmIndex>,
    /// `gm/saf`.
    filters_address: bool,
    /// `gm/sam`.
    mask: Option<(IpAddr, u8)>,
    /// `gm/spf`.
    filters_port: bool,
    /// `gm/spr`.
    ports: Option<(u16, u16)>,
    /// `rtcph/rsb`, which `gm/rsb` was before.
    without_rtcp: bool,
    /// `gm/esas` with `gm/lsa`.
    source_address: Option<IpAddr>,
    /// `gm/esps` with `gm/lsp`.
    source_port: Option<u16>,
    /// `tman/pol`.
    polices: bool,
    /// `tman/pdr`, octets per second.
    peak_rate: Option<u32>,
    /// `tman/dvt`.
    tolerance: Option<Duration>,
    /// `tman/sdr`, octets per second.
    sustainable_rate: Option<u32>,
    /// `tman/mbs`, octets.
    burst: Option<u32>,
    /// `ds/dscp`.
    dscp: u8,
    /// `ds/tb`.
    keeps_marks: bool,
    /// `swmix`.
    pub volume: LegVolume,
}

impl Properties {
    /// Sets properties.
    ///
    /// # Errors
    /// The first that is unknown, given twice or has a value that cannot be used.
    pub fn set(
        &mut self,
        profile: &Profile,
        pool: &PortPool,
        properties: &[PropertyParm],
    ) -> Result<()> {
        for (index, property) in properties.iter().enumerate() {
            let name = &property.name;
            if properties[..index].iter().any(|other| other.name == *name) {
                return Err(about(ErrorCode::PROPERTY_TWICE, name));
            }
            let item = profile
                .find(Kind::StreamProperty, name)
                .map_err(|code| about(code, name))?;
            let value = self.choose(pool, item, property)?;
            match self.given.iter_mut().find(|other| other.name == *name) {
                Some(known) => known.value = value,
                None => self.given.push(PropertyParm {
                    name: name.clone(),
                    value,
                }),
            }
        }
        Ok(())
    }

    /// The properties with their values.
    pub fn given(&self) -> &[PropertyParm] {
        &self.given
    }

    /// Takes the value, or the first usable alternative, and returns what was taken.
    fn choose(
        &mut self,
        pool: &PortPool,
        item: Item,
        property: &PropertyParm,
    ) -> Result<ParmValue> {
        let wrong = || about(ErrorCode::UNKNOWN_VALUE, &property.name);
        match &property.value {
            ParmValue::OneOf(alternatives) => alternatives
                .iter()
                .map(|value| ParmValue::Equal(value.clone()))
                .find(|value| self.take(pool, item, value).is_some())
                .ok_or_else(wrong),
            value => self
                .take(pool, item, value)
                .map(|()| value.clone())
                .ok_or_else(wrong),
        }
    }

    /// Understands one value; `None` when it cannot be used.
    fn take(&mut self, pool: &PortPool, item: Item, value: &ParmValue) -> Option<()> {
        let single = || value.as_single().filter(|value| !value.is_choose());
        let boolean = || single().and_then(Value::as_bool);
        let integer = || {
            single()
                .and_then(Value::as_u64)
                .and_then(|n| i32::try_from(n).ok())
        };
        let quantity = || u32::try_from(integer()?).ok();
        match item {
            ipdc::REALM => self.realm = pool.realm(&single()?.as_str())?,
            gm::SOURCE_ADDRESS_FILTERING => self.filters_address = boolean()?,
            gm::SOURCE_ADDRESS_MASK => match value.as_list() {
                [mask] => self.mask = Some(parse_mask(&mask.as_str())?),
                _ => return None,
            },
            gm::SOURCE_PORT_FILTERING => self.filters_port = boolean()?,
            gm::SOURCE_PORT_RANGE => self.ports = Some(parse_ports(&single()?.as_str())?),
            gm::EXPLICIT_SOURCE_ADDRESS_SETTING => match boolean()? {
                true => self.source_address = self.source_address.or(Some(UNSET)),
                false => self.source_address = None,
            },
            gm::LOCAL_SOURCE_ADDRESS => {
                self.source_address = Some(single()?.as_str().parse().ok()?);
            }
            gm::EXPLICIT_SOURCE_PORT_SETTING => match boolean()? {
                true => self.source_port = self.source_port.or(Some(0)),
                false => self.source_port = None,
            },
            gm::LOCAL_SOURCE_PORT => self.source_port = Some(u16::try_from(integer()?).ok()?),
            gm::RTCP_BEHAVIOUR | rtcph::RTCP_BEHAVIOUR => self.without_rtcp = !boolean()?,
            ds::DSCP => self.dscp = parse_dscp(single()?)?,
            ds::TAGGING_BEHAVIOUR => self.keeps_marks = boolean()?,
            tman::POLICING => self.polices = boolean()?,
            tman::PEAK_DATA_RATE => self.peak_rate = Some(quantity()?),
            tman::DELAY_VARIATION_TOLERANCE => {
                self.tolerance = Some(TOLERANCE_UNIT.checked_mul(quantity()?)?);
            }
            tman::SUSTAINABLE_DATA_RATE => self.sustainable_rate = Some(quantity()?),
            tman::MAXIMUM_BURST_SIZE => self.burst = Some(quantity()?),
            swmix::GAIN_IN => self.volume.inward_db = decibels(item, single()?)?,
            swmix::GAIN_OUT => self.volume.outward_db = decibels(item, single()?)?,
            swmix::MUTED => self.volume.is_muted = boolean()?,
            swmix::DEAF => self.volume.is_deaf = boolean()?,
            item => item.domain?.admits(single()?).then_some(())?,
        }
        Some(())
    }

    /// True when RTCP has a port of its own (`rtcph/rsb`).
    pub fn with_rtcp(&self) -> bool {
        !self.without_rtcp
    }

    /// What rates are policed by: none without `tman/pdr` and `tman/sdr`.
    pub fn policing(&self) -> LegPolicing {
        if !self.polices {
            return LegPolicing::default();
        }
        let tolerance = self.tolerance.unwrap_or(TOLERANCE_DEFAULT);
        let burst = |rate| {
            self.burst
                .unwrap_or(BURST_OCTETS_MIN + rate / BURSTS_PER_SECOND)
        };
        LegPolicing {
            peak: self.peak_rate.map(|rate| (rate, tolerance)),
            sustained: self.sustainable_rate.map(|rate| (rate, burst(rate))),
        }
    }

    /// How packets sent are marked.
    pub fn marking(&self) -> LegMarking {
        match self.keeps_marks {
            true => LegMarking::Keep,
            false => LegMarking::Dscp(self.dscp),
        }
    }

    /// Checks that packets are to leave from where they are received: the one way this gateway has.
    pub fn check_source(&self, local: SocketAddr) -> Result<()> {
        let address = self.source_address.unwrap_or(UNSET);
        if address != UNSET && address != local.ip() {
            return Err(about(ErrorCode::UNKNOWN_VALUE, "gm/lsa"));
        }
        if self.source_port.unwrap_or(0) != 0 && self.source_port != Some(local.port()) {
            return Err(about(ErrorCode::UNKNOWN_VALUE, "gm/lsp"));
        }
        Ok(())
    }

    /// The source filter towards `remote`; `rtcp` is where its RTCP comes from.
    pub fn filter(&self, remote: Option<SocketAddr>, rtcp: Option<SocketAddr>) -> LegFilter {
        let host = |ip: IpAddr| (ip, if ip.is_ipv6() { 128 } else { 32 });
        let one = |address: SocketAddr| (address.port(), address.port());
        let mut filter = LegFilter::default();
        if self.filters_address {
            filter.network = self.mask.or(remote.map(|remote| host(remote.ip())));
        }
        if self.filters_port {
            filter.ports = self.ports.or(remote.map(one));
            filter.rtcp_ports = self.ports.or(rtcp.map(one));
        }
        filter
    }
}

/// Explicit setting asked for, with no value yet.
const UNSET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// What `tman/dvt` counts.
const TOLERANCE_UNIT: Duration = Duration::from_nanos(100);

/// Without `tman/dvt`: what a network may delay some packets more than others.
const TOLERANCE_DEFAULT: Duration = Duration::from_millis(100);

/// Without `tman/mbs`: what comes in the time above, and a packet of any size.
const BURSTS_PER_SECOND: u32 = 10;
const BURST_OCTETS_MIN: u32 = 1500;

/// A gain within the range of its property.
fn decibels(item: Item, value: &Value) -> Option<i8> {
    item.domain?.admits(value).then_some(())?;
    i8::try_from(value.as_i64()?).ok()
}

/// `192.0.2.0/24`, an address alone, or an address and a netmask in the same form.
fn parse_mask(text: &str) -> Option<(IpAddr, u8)> {
    let text = text.trim();
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
    let bits_max = if address.is_ipv6() { 128 } else { 32 };
    let bits = match bits {
        None => bits_max,
        Some(bits) => match bits.parse::<u8>() {
            Ok(bits) => bits,
            Err(_) => netmask_bits(bits.parse().ok()?)?,
        },
    };
    (bits <= bits_max).then_some((address, bits))
}

/// Leading ones of a netmask that has no others.
fn netmask_bits(mask: IpAddr) -> Option<u8> {
    let (ones, all) = match mask {
        IpAddr::V4(mask) => (u32::from(mask).leading_ones(), u32::from(mask).count_ones()),
        IpAddr::V6(mask) => (
            u128::from(mask).leading_ones(),
            u128::from(mask).count_ones(),
        ),
    };
    (ones == all).then_some(ones as u8)
}

/// `4000` or `4000-4009`.
fn parse_ports(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// One octet of which six bits are used.
fn parse_dscp(value: &Value) -> Option<u8> {
    let text = value.as_str();
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    let octet = u8::from_str_radix(digits, 16).ok()?;
    (octet < 64 && !digits.starts_with('+')).then_some(octet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealmAddress;
    use crate::profile::TRGW;
    use h248::message::PkgdName;

    fn pool() -> PortPool {
        let address = RealmAddress {
            realm: Some("core".into()),
            ip: "192.0.2.1".parse().unwrap(),
        };
        PortPool::new(&[address], &(10_000..=10_009))
    }

    fn set(pairs: &[(&str, ParmValue)]) -> std::result::Result<Properties, u16> {
        let mut properties = Properties::default();
        let parms: Vec<PropertyParm> = pairs
            .iter()
            .map(|(name, value)| PropertyParm {
                name: PkgdName::from_text(name.as_bytes()).unwrap(),
                value: value.clone(),
            })
            .collect();
        match properties.set(&TRGW, &pool(), &parms) {
            Ok(()) => Ok(properties),
            Err(error) => Err(error.code.0),
        }
    }

    #[test]
    fn values_that_cannot_be_used_are_refused_by_449() {
        for (name, value) in [
            ("ipdc/realm", ParmValue::from("elsewhere")),
            ("ipdc/realm", ParmValue::Equal(Value::choose())),
            ("gm/saf", "maybe".into()),
            ("gm/sam", ParmValue::List(vec!["10.0.0.0/33".into()])),
            (
                "gm/sam",
                ParmValue::List(vec!["10.0.0.0/255.0.255.0".into()]),
            ),
            ("gm/spr", "9-8".into()),
            ("gm/lsp", "65536".into()),
            ("ds/dscp", "40".into()),
            ("ds/dscp", "+1".into()),
            ("tman/pol", "7".into()),
            ("tman/pdr", "much".into()),
            ("tman/sdr", ParmValue::Greater("7".into())),
        ] {
            assert_eq!(set(&[(name, value)]), Err(449), "{name}");
        }
    }

    #[test]
    fn unknown_and_repeated_properties_are_named() {
        assert_eq!(set(&[("x/y", "1".into())]), Err(440));
        assert_eq!(set(&[("gm/x", "1".into())]), Err(450));
        let twice = ("gm/saf", ParmValue::from("ON"));
        assert_eq!(set(&[twice.clone(), twice]), Err(456));
    }

    #[test]
    fn the_first_usable_alternative_is_taken() {
        let alternatives = ParmValue::OneOf(vec!["elsewhere".into(), "core".into()]);
        let properties = set(&[("ipdc/realm", alternatives)]).unwrap();
        assert_eq!(properties.realm, Some(RealmIndex(0)));
        assert_eq!(properties.given()[0].value, "core".into());
    }

    #[test]
    fn filters_follow_mask_and_range_or_the_remote_address() {
        let remote: SocketAddr = "203.0.113.9:4000".parse().unwrap();
        let rtcp: SocketAddr = "203.0.113.9:4001".parse().unwrap();
        let filter = set(&[("gm/saf", "ON".into()), ("gm/spf", "ON".into())])
            .unwrap()
            .filter(Some(remote), Some(rtcp));
        assert_eq!(filter.network, Some((remote.ip(), 32)));
        assert_eq!(filter.ports, Some((4000, 4000)));
        assert_eq!(filter.rtcp_ports, Some((4001, 4001)));
        let filter = set(&[
            ("gm/saf", "ON".into()),
            (
                "gm/sam",
                ParmValue::List(vec!["203.0.113.0/255.255.255.0".into()]),
            ),
            ("gm/spf", "ON".into()),
            ("gm/spr", "4000-4010".into()),
        ])
        .unwrap()
        .filter(Some(remote), Some(rtcp));
        assert_eq!(filter.network, Some(("203.0.113.0".parse().unwrap(), 24)));
        assert_eq!(filter.ports, Some((4000, 4010)));
        let off = set(&[("gm/sam", "203.0.113.0/24".into())]).unwrap();
        assert_eq!(off.filter(Some(remote), None), LegFilter::default());
    }

    #[test]
    fn rates_are_policed_when_asked_for() {
        let rates = [
            ("tman/pdr", "20000".into()),
            ("tman/dvt", "50000".into()),
            ("tman/sdr", "9000".into()),
            ("tman/mbs", "1800".into()),
        ];
        assert_eq!(set(&rates).unwrap().policing(), LegPolicing::default());
        let on = ("tman/pol", ParmValue::from("ON"));
        let policing = LegPolicing {
            peak: Some((20_000, Duration::from_millis(5))),
            sustained: Some((9_000, 1_800)),
        };
        let [peak, _, sustainable, _] = &rates;
        let mut all = rates.to_vec();
        all.push(on.clone());
        assert_eq!(set(&all).unwrap().policing(), policing);
        let alone = set(&[on.clone(), peak.clone(), sustainable.clone()]).unwrap();
        let expected = LegPolicing {
            peak: Some((20_000, Duration::from_millis(100))),
            sustained: Some((9_000, 2_400)),
        };
        assert_eq!(alone.policing(), expected);
        assert_eq!(set(&[on]).unwrap().policing(), LegPolicing::default());
    }

    #[test]
    fn packets_are_marked_or_keep_their_mark() {
        let marking = |pairs: &[_]| set(pairs).unwrap().marking();
        assert_eq!(marking(&[]), LegMarking::Dscp(0));
        let keep = ("ds/tb", ParmValue::from("ON"));
        let pairs = [("ds/dscp", ParmValue::from("2E")), keep];
        assert_eq!(marking(&pairs[..1]), LegMarking::Dscp(46));
        assert_eq!(marking(&pairs), LegMarking::Keep);
    }

    #[test]
    fn packets_leave_from_where_they_are_received() {
        let local: SocketAddr = "192.0.2.1:10000".parse().unwrap();
        let same = set(&[("gm/esas", "ON".into()), ("gm/lsa", "192.0.2.1".into())]).unwrap();
        assert!(same.check_source(local).is_ok());
        let other = set(&[("gm/lsp", "10002".into())]).unwrap();
        assert!(other.check_source(local).is_err());
    }
}
