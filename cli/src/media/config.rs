//! The configuration of a media process: one TOML file and the flags that override it become one
//! validated, immutable [`MediaConfig`].
//!
//! Unknown keys, bad values and combinations that cannot work are errors that name the key, the
//! value and the remedy. Everything has a default: an empty file is one TrGW on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use control::config::{SctpFile, SctpPolicy, sctp_addresses};
use dataplane::io::af_xdp::AfXdpConfig;
use h248::encoding::Encoding;
use h248::message::NAME_LEN_MAX;
use h248::text::Style;
use h248::transport::{Carriage, Protocol, UnknownCarriage};
use serde::{Deserialize, Serialize};

use super::dpdk::{DpdkConfig, DpdkFile};
use super::io::AfXdpFile;
use super::mrfp::{MrfpConfig, MrfpFile};

/// Seconds that contexts may go on when the process is told to end.
const DRAIN_S: u32 = 30;
/// Virtual MGs of one process at most.
pub const GATEWAYS_MAX: usize = 64;
/// Workers of one process at most.
const CORES_MAX: usize = 64;
/// The highest real-time priority there is.
const PRIORITY_MAX: u8 = 99;
/// MGCs that one virtual MG may be given.
const MGCS_MAX: usize = 8;
/// Profiles that one virtual MG may offer.
const PROFILE_NAMES_MAX: usize = 8;
/// Addresses that one virtual MG may be given.
const ADDRESSES_MAX: usize = 64;
/// Fewest ports of a quota: RTP and RTCP on both sides of one call.
const PORTS_MIN: usize = 4;

/// A media function (3GPP TS 23.002 4a.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Function {
    /// Transition gateway: relays between IP realms.
    Trgw,
    /// Multimedia resource function processor: mixes, transcodes, plays, collects and records.
    Mrfp,
}

impl Function {
    /// Every function.
    pub const ALL: [Function; 2] = [Function::Trgw, Function::Mrfp];

    /// The name in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Function::Trgw => "trgw",
            Function::Mrfp => "mrfp",
        }
    }
}

impl FromStr for Function {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Function::ALL
            .into_iter()
            .find(|function| function.name() == text)
            .ok_or_else(|| format!("{text:?} is not a media function; there are trgw and mrfp"))
    }
}

/// What a virtual MG supports: everything that it can do, or what an interface of 3GPP asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// All that the function offers.
    #[default]
    Whole,
    /// Ix, TS 29.238.
    Ix,
    /// Iq, TS 29.334.
    Iq,
    /// Mp, TS 29.333.
    Mp,
    /// Mn, TS 29.332.
    Mn,
}

impl Profile {
    /// The name in flags and files, and what it stands for.
    const ALL: [(&str, Profile); 5] = [
        ("whole", Profile::Whole),
        ("ix", Profile::Ix),
        ("iq", Profile::Iq),
        ("mp", Profile::Mp),
        ("mn", Profile::Mn),
    ];

    /// The profile as data.
    pub const fn of(self, function: Function) -> &'static mg::Profile {
        match (self, function) {
            (Profile::Whole, Function::Trgw) => &mg::TRGW,
            (Profile::Whole, Function::Mrfp) => &mg::MP,
            (Profile::Ix, _) => &mg::IX,
            (Profile::Iq, _) => &mg::IQ,
            (Profile::Mp, _) => &mg::MP,
            (Profile::Mn, _) => &mg::MN,
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Profile::ALL.into_iter().find(|(name, _)| *name == text);
        found
            .map(|(_, profile)| profile)
            .ok_or_else(|| format!("{text:?} is not a profile; there are whole, ix, iq, mp and mn"))
    }
}

/// A packet back-end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Io {
    /// Kernel sockets, batched.
    Udp,
    /// Queues of interfaces, past the kernel's network stack.
    AfXdp,
    /// Devices of DPDK, without the kernel.
    Dpdk,
}

impl Io {
    /// The name in flags and files.
    pub const fn name(self) -> &'static str {
        match self {
            Io::Udp => "udp",
            Io::AfXdp => "af_xdp",
            Io::Dpdk => "dpdk",
        }
    }
}

impl FromStr for Io {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "udp" => Ok(Io::Udp),
            "af_xdp" => Ok(Io::AfXdp),
            "dpdk" => Ok(Io::Dpdk),
            _ => Err(format!(
                "{text:?} is not a packet back-end; there are udp, af_xdp and dpdk"
            )),
        }
    }
}

/// An inclusive range of UDP ports, written `LOW-HIGH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first.
    pub low: u16,
    /// The last.
    pub high: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.split_once('-').and_then(|(low, high)| {
            Some(Ports {
                low: low.trim().parse().ok()?,
                high: high.trim().parse().ok()?,
            })
        });
        range.ok_or_else(|| format!("{text:?} is not a range of ports, as in 20000-29999"))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.low, self.high)
    }
}

/// Processor cores, written as a list of numbers and ranges: `2,4-7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(pub Vec<usize>);

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a list of cores, as in 0 or 2,4-7");
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| wrong())?;
            let last: usize = last.trim().parse().map_err(|_| wrong())?;
            if first > last || last - first >= CORES_MAX {
                return Err(wrong());
            }
            cores.extend(first..=last);
        }
        Ok(Cores(cores))
    }
}

/// What a media file may say, every key optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MediaFile {
    /// Packet back-end.
    pub io: Option<Io>,
    /// One pinned worker on each: `2,4-7`.
    pub cores: Option<String>,
    /// Real-time priority of the workers; 0: none.
    pub priority: Option<u8>,
    /// Address of the admin interface (HTTP).
    pub admin: Option<SocketAddr>,
    /// Its clients may capture media.
    pub tap: Option<bool>,
    /// Seconds that contexts may go on when the process is told to end.
    pub drain_s: Option<u32>,
    /// Show identities in logs in the clear.
    pub show_identities: Option<bool>,
    /// What the back-end `af_xdp` is told.
    pub af_xdp: Option<AfXdpFile>,
    /// What the back-end `dpdk` is told.
    pub dpdk: Option<DpdkFile>,
    /// What gateways with the function `mrfp` are told.
    pub mrfp: Option<MrfpFile>,
    /// What carries H.248 over SCTP.
    pub sctp: Option<SctpFile>,
    /// The virtual MGs.
    pub mg: Option<Vec<GatewayFile>>,
}

/// `[[mg]]`: one virtual MG.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayFile {
    /// What it does.
    pub function: Option<Function>,
    /// What it supports of that.
    pub profile: Option<Profile>,
    /// Profiles that it offers by ServiceChange, as `NAME/VERSION`, the preferred one first.
    pub profile_names: Option<Vec<String>>,
    /// Its MID, and where it sends and receives H.248; over TCP it connects from there.
    pub mid: Option<SocketAddr>,
    /// Its further addresses over SCTP.
    pub mid_addresses: Option<Vec<IpAddr>>,
    /// Encoding and transport of H.248: `compact,udp`.
    pub h248: Option<String>,
    /// Its MGCs, the primary first.
    pub mgc: Option<Vec<SocketAddr>>,
    /// Further addresses of these over SCTP, at which they are sought too.
    pub mgc_addresses: Option<BTreeMap<SocketAddr, Vec<IpAddr>>>,
    /// Addresses for media, good for every realm.
    pub addresses: Option<Vec<IpAddr>>,
    /// Addresses for media by IP realm (`ipdc/realm`), in place of `addresses`.
    pub realms: Option<BTreeMap<String, Vec<IpAddr>>>,
    /// UDP ports for media on each address: `LOW-HIGH`.
    pub ports: Option<String>,
    /// Contexts held at once.
    pub contexts_max: Option<usize>,
}

/// A validated configuration.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// Packet back-end.
    pub io: Io,
    /// Cores of the workers; empty: one worker that is not pinned.
    pub cores: Vec<usize>,
    /// Real-time priority of the workers, 1 to [`PRIORITY_MAX`].
    pub priority: Option<u8>,
    /// Admin interface.
    pub admin: SocketAddr,
    /// Clients of it may capture media.
    pub tap: bool,
    /// How long contexts may go on when the process is told to end.
    pub drain: Duration,
    /// Identities in logs.
    pub show_identities: bool,
    /// What the back-end `af_xdp` is told, if it is the one.
    pub af_xdp: Option<AfXdpConfig>,
    /// What the back-end `dpdk` is told, if it is the one.
    pub dpdk: Option<DpdkConfig>,
    /// What gateways with the function `mrfp` are told, if there are any.
    pub mrfp: Option<MrfpConfig>,
    /// The virtual MGs, at least one.
    pub gateways: Vec<GatewayConfig>,
}

/// One virtual MG.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayConfig {
    /// What it does.
    pub function: Function,
    /// What it supports of that.
    pub profile: Profile,
    /// Profiles that it offers, by name and version.
    pub profile_names: Vec<(String, u8)>,
    /// MID and H.248 address.
    pub mid: SocketAddr,
    /// Encoding of H.248, until the MGC has chosen text or binary.
    pub encoding: Encoding,
    /// Transport of H.248.
    pub protocol: Protocol,
    /// All else of SCTP, if that is the transport.
    pub sctp: Option<SctpConfig>,
    /// MGCs in order of preference, at least one, all of the family of `mid`.
    pub mgc: Vec<SocketAddr>,
    /// Addresses for media, with the realm they belong to; no realm means every realm.
    pub addresses: Vec<RealmAddress>,
    /// Port quota on each address.
    pub ports: Ports,
    /// Contexts held at once; beyond: error 412.
    pub contexts_max: usize,
}

/// How one virtual MG uses SCTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SctpConfig {
    /// Its addresses, the MID's first.
    pub addresses: Vec<IpAddr>,
    /// All addresses of the MGCs that have several.
    pub peers: BTreeMap<SocketAddr, Vec<SocketAddr>>,
    /// What carries packets, and when.
    pub policy: SctpPolicy,
}

/// A local address for media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmAddress {
    /// IP realm; none: any.
    pub realm: Option<String>,
    /// The address.
    pub address: IpAddr,
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Dotted key, as in the file.
    pub key: String,
    /// The value found.
    pub value: String,
    /// What is wrong and what to do.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            return f.write_str(&self.remedy);
        }
        write!(f, "{} = {}: {}", self.key, self.value, self.remedy)
    }
}

impl std::error::Error for ConfigError {}

pub(super) fn error(key: &str, value: impl fmt::Display, remedy: impl Into<String>) -> ConfigError {
    ConfigError {
        key: key.into(),
        value: value.to_string(),
        remedy: remedy.into(),
    }
}

/// What the flags say: process-wide values and those of one virtual MG.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Process-wide values; `mg` is not used.
    pub process: MediaFile,
    /// Values of the one virtual MG that flags can describe.
    pub gateway: GatewayFile,
}

impl MediaFile {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Syntax errors and unknown keys, with line and column as the TOML parser reports them.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|fault: toml::de::Error| ConfigError {
            key: String::new(),
            value: String::new(),
            remedy: fault.to_string().trim_end().to_owned(),
        })
    }

    /// Lays the flags over this file: what they say wins.
    ///
    /// # Errors
    /// The flags describe one virtual MG and the file has several.
    pub fn overridden_by(self, flags: Flags) -> Result<MediaFile, ConfigError> {
        let mut gateways = self.mg.unwrap_or_default();
        if flags.gateway != GatewayFile::default() {
            if gateways.len() > 1 {
                return Err(error(
                    "mg",
                    format!("{} tables", gateways.len()),
                    "flags describe one virtual MG: change the file, or leave out --functions, \
                     --profile, --mid, --mgc, --h248, --address and --ports",
                ));
            }
            let file = gateways.pop().unwrap_or_default();
            gateways.push(file.overridden_by(flags.gateway));
        }
        let over = flags.process;
        Ok(MediaFile {
            io: over.io.or(self.io),
            cores: over.cores.or(self.cores),
            priority: over.priority.or(self.priority),
            admin: over.admin.or(self.admin),
            tap: over.tap.or(self.tap),
            drain_s: over.drain_s.or(self.drain_s),
            show_identities: over.show_identities.or(self.show_identities),
            af_xdp: over.af_xdp.or(self.af_xdp),
            dpdk: match self.dpdk {
                Some(dpdk) => Some(dpdk.overridden_by(over.dpdk)),
                None => over.dpdk,
            },
            mrfp: match self.mrfp {
                Some(mrfp) => Some(mrfp.overridden_by(over.mrfp)),
                None => over.mrfp,
            },
            sctp: SctpFile::merge(self.sctp, over.sctp),
            mg: Some(gateways),
        })
    }

    /// Checks every value and every combination.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn validate(self) -> Result<MediaConfig, ConfigError> {
        let mut files = self.mg.unwrap_or_default();
        if files.is_empty() {
            files.push(GatewayFile::default());
        }
        if files.len() > GATEWAYS_MAX {
            return Err(error(
                "mg",
                files.len(),
                format!("at most {GATEWAYS_MAX} tables"),
            ));
        }
        let has_sctp = self.sctp.is_some();
        let sctp = self
            .sctp
            .unwrap_or_default()
            .validate()
            .map_err(of_control)?;
        let gateways = files
            .into_iter()
            .enumerate()
            .map(|(index, file)| file.validate(&format!("mg[{index}]"), sctp))
            .collect::<Result<Vec<_>, _>>()?;
        check_apart(&gateways)?;
        if has_sctp && gateways.iter().all(|gateway| gateway.sctp.is_none()) {
            let remedy =
                "no virtual MG uses it: give one h248 = \"compact,sctp\", or leave this out";
            return Err(error("sctp", "{…}", remedy));
        }
        let (io, cores) = (self.io.unwrap_or(Io::Udp), cores(self.cores)?);
        let priority = self.priority.filter(|priority| *priority > 0);
        check_priority(priority, io, &cores)?;
        let workers = cores.len().max(1);
        let af_xdp = match (io, self.af_xdp) {
            (Io::AfXdp, file) => Some(file.unwrap_or_default().validate(workers)?),
            (_, Some(_)) => return Err(only_for(Io::AfXdp)),
            (_, None) => None,
        };
        let dpdk = match (io, self.dpdk) {
            (Io::Dpdk, file) => Some(file.unwrap_or_default().validate(workers)?),
            (_, Some(_)) => return Err(only_for(Io::Dpdk)),
            (_, None) => None,
        };
        let is_mrfp = |gateway: &GatewayConfig| gateway.function == Function::Mrfp;
        let mrfp = match (gateways.iter().any(is_mrfp), self.mrfp) {
            (true, file) => Some(file.unwrap_or_default().validate()?),
            (false, Some(_)) => {
                let remedy =
                    "no virtual MG is one: give one function = \"mrfp\", or leave this out";
                return Err(error("mrfp", "{…}", remedy));
            }
            (false, None) => None,
        };
        Ok(MediaConfig {
            io,
            cores,
            priority,
            af_xdp,
            dpdk,
            mrfp,
            admin: self
                .admin
                .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 9081))),
            tap: self.tap.unwrap_or(false),
            drain: Duration::from_secs(self.drain_s.unwrap_or(DRAIN_S).into()),
            show_identities: self.show_identities.unwrap_or(false),
            gateways,
        })
    }
}

/// A table for a back-end that is not the one.
fn only_for(io: Io) -> ConfigError {
    let name = io.name();
    let remedy = format!("is only for io = \"{name}\": set that, or leave this out");
    error(name, "{…}", remedy)
}

fn cores(text: Option<String>) -> Result<Vec<usize>, ConfigError> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let quoted = format!("{text:?}");
    let Cores(cores) = text.parse().map_err(|_| {
        error(
            "cores",
            &quoted,
            "list the cores for workers, as in \"0\" or \"2,4-7\"",
        )
    })?;
    if cores.len() > CORES_MAX {
        return Err(error("cores", quoted, format!("at most {CORES_MAX} cores")));
    }
    if cores.iter().collect::<BTreeSet<_>>().len() != cores.len() {
        return Err(error("cores", quoted, "a core is listed twice"));
    }
    Ok(cores)
}

/// A worker that never waits would keep its core from the kernel for ever.
fn check_priority(priority: Option<u8>, io: Io, cores: &[usize]) -> Result<(), ConfigError> {
    let Some(priority) = priority else {
        return Ok(());
    };
    if priority > PRIORITY_MAX {
        let remedy = "give one from 1 to 99, or 0 for none";
        return Err(error("priority", priority, remedy));
    }
    if io == Io::Dpdk && !cores.is_empty() {
        let remedy = "workers that poll have their cores to themselves: leave this out";
        return Err(error("priority", priority, remedy));
    }
    Ok(())
}

impl GatewayFile {
    fn overridden_by(self, over: GatewayFile) -> GatewayFile {
        // Either kind of address list replaces the other.
        let says_addresses = over.addresses.is_some() || over.realms.is_some();
        let (addresses, realms) = if says_addresses {
            (over.addresses, over.realms)
        } else {
            (self.addresses, self.realms)
        };
        GatewayFile {
            function: over.function.or(self.function),
            profile: over.profile.or(self.profile),
            profile_names: over.profile_names.or(self.profile_names),
            mid: over.mid.or(self.mid),
            mid_addresses: over.mid_addresses.or(self.mid_addresses),
            h248: over.h248.or(self.h248),
            mgc: over.mgc.or(self.mgc),
            mgc_addresses: over.mgc_addresses.or(self.mgc_addresses),
            addresses,
            realms,
            ports: over.ports.or(self.ports),
            contexts_max: over.contexts_max.or(self.contexts_max),
        }
    }

    fn validate(self, at: &str, policy: SctpPolicy) -> Result<GatewayConfig, ConfigError> {
        let key = |name: &str| format!("{at}.{name}");
        let mid = self
            .mid
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 2946)));
        check_reachable(&key("mid"), mid, "the MID tells the MGC where to send")?;

        let mgc = self
            .mgc
            .unwrap_or_else(|| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 2944))]);
        if mgc.is_empty() || mgc.len() > MGCS_MAX {
            let remedy = format!("give 1 to {MGCS_MAX} MGCs as IP:PORT");
            return Err(error(&key("mgc"), mgc.len(), remedy));
        }
        for &each in &mgc {
            check_reachable(&key("mgc"), each, "the MG registers there")?;
            if each.is_ipv4() != mid.is_ipv4() {
                let remedy = format!("must be of the same IP version as {} = {mid}", key("mid"));
                return Err(error(&key("mgc"), each, remedy));
            }
            if each == mid {
                let remedy = format!("is the MG's own address, {}", key("mid"));
                return Err(error(&key("mgc"), each, remedy));
            }
        }

        let (encoding, protocol) = carriage(&key("h248"), self.h248)?;
        let more = (self.mid_addresses, self.mgc_addresses);
        let sctp = match protocol {
            Protocol::Sctp => {
                let own = more.0.unwrap_or_default();
                let theirs = more.1.unwrap_or_default();
                Some(sctp(at, (mid, &own), (&mgc, theirs), policy)?)
            }
            Protocol::Udp | Protocol::Tcp => {
                let given = more.0.map(|_| "mid_addresses");
                if let Some(name) = given.or(more.1.map(|_| "mgc_addresses")) {
                    let remedy = format!("is for SCTP: set {at}.h248 to that, or leave it out");
                    return Err(error(&key(name), "…", remedy));
                }
                None
            }
        };
        let contexts_max = self.contexts_max.unwrap_or(65_536);
        if contexts_max == 0 {
            return Err(error(&key("contexts_max"), 0, "give 1 or more"));
        }
        let function = self.function.unwrap_or(Function::Trgw);
        let profile = self.profile.unwrap_or_default();
        let of_mrfp = matches!(profile, Profile::Whole | Profile::Mp);
        if function == Function::Mrfp && !of_mrfp {
            let remedy = "the profile of an MRFP is mp: set that, or leave this out";
            return Err(error(&key("profile"), format!("{profile:?}"), remedy));
        }
        Ok(GatewayConfig {
            function,
            profile,
            profile_names: profile_names(&key("profile_names"), self.profile_names)?,
            mid,
            encoding,
            protocol,
            sctp,
            mgc,
            addresses: addresses(at, self.addresses, self.realms)?,
            ports: ports(&key("ports"), self.ports)?,
            contexts_max,
        })
    }
}

/// Names and versions as ServiceChangeProfile has them, H.248.1 7.2.8.
fn profile_names(key: &str, listed: Option<Vec<String>>) -> Result<Vec<(String, u8)>, ConfigError> {
    let listed = listed.unwrap_or_default();
    if listed.len() > PROFILE_NAMES_MAX {
        let remedy = format!("at most {PROFILE_NAMES_MAX} names");
        return Err(error(key, listed.len(), remedy));
    }
    let read = |text: &String| {
        let (name, version) = text.rsplit_once('/')?;
        let version = version
            .parse()
            .ok()
            .filter(|version| (1..=99).contains(version))?;
        let is_name = (1..=NAME_LEN_MAX).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then(|| (name.to_owned(), version))
    };
    let each = listed.iter().map(|text| {
        let remedy = "write NAME/VERSION: letters, digits and _, and 1 to 99";
        read(text).ok_or_else(|| error(key, format!("{text:?}"), remedy))
    });
    each.collect()
}

/// How a virtual MG uses SCTP, with the further addresses of its own and of its MGCs.
fn sctp(
    at: &str,
    (mid, own): (SocketAddr, &[IpAddr]),
    (mgcs, theirs): (&[SocketAddr], BTreeMap<SocketAddr, Vec<IpAddr>>),
    policy: SctpPolicy,
) -> Result<SctpConfig, ConfigError> {
    let key = |name: &str| format!("{at}.{name}");
    let addresses = sctp_addresses(&key("mid_addresses"), mid.ip(), own).map_err(of_control)?;
    let mut peers = BTreeMap::new();
    for (mgc, more) in theirs {
        if !mgcs.contains(&mgc) {
            let remedy = format!("is none of {}", key("mgc"));
            return Err(error(&key("mgc_addresses"), mgc, remedy));
        }
        let all = sctp_addresses(&key("mgc_addresses"), mgc.ip(), &more).map_err(of_control)?;
        let all = all.into_iter().map(|ip| SocketAddr::new(ip, mgc.port()));
        peers.insert(mgc, all.collect());
    }
    Ok(SctpConfig {
        addresses,
        peers,
        policy,
    })
}

/// The same error as one of this process.
fn of_control(fault: control::ConfigError) -> ConfigError {
    ConfigError {
        key: fault.key,
        value: fault.value,
        remedy: fault.remedy,
    }
}

fn carriage(key: &str, text: Option<String>) -> Result<(Encoding, Protocol), ConfigError> {
    let carriage: Carriage = match &text {
        Some(text) => text
            .parse()
            .map_err(|fault: UnknownCarriage| error(key, format!("{text:?}"), fault.to_string()))?,
        None => Carriage::default(),
    };
    let encoding = carriage.encoding.unwrap_or(Encoding::Text(Style::Compact));
    match carriage.protocols[..] {
        [] => Ok((encoding, Protocol::Udp)),
        [protocol] => Ok((encoding, protocol)),
        _ => {
            let remedy = "an MG speaks to its MGCs over one transport: name one";
            Err(error(
                key,
                format!("{:?}", text.unwrap_or_default()),
                remedy,
            ))
        }
    }
}

fn check_reachable(key: &str, address: SocketAddr, why: &str) -> Result<(), ConfigError> {
    if address.ip().is_unspecified() || address.ip().is_multicast() || address.port() == 0 {
        return Err(error(
            key,
            address,
            format!("give the IP:PORT of one host: {why}"),
        ));
    }
    Ok(())
}

fn addresses(
    at: &str,
    any: Option<Vec<IpAddr>>,
    realms: Option<BTreeMap<String, Vec<IpAddr>>>,
) -> Result<Vec<RealmAddress>, ConfigError> {
    let key = format!("{at}.addresses");
    let listed: Vec<RealmAddress> = match (any, realms) {
        (Some(_), Some(_)) => {
            return Err(error(
                &key,
                "[…]",
                format!("give either this or {at}.realms, not both"),
            ));
        }
        (None, None) => vec![RealmAddress {
            realm: None,
            address: Ipv4Addr::LOCALHOST.into(),
        }],
        (Some(any), None) => any
            .into_iter()
            .map(|address| RealmAddress {
                realm: None,
                address,
            })
            .collect(),
        (None, Some(realms)) => realms
            .into_iter()
            .flat_map(|(realm, addresses)| {
                addresses.into_iter().map(move |address| RealmAddress {
                    realm: Some(realm.clone()),
                    address,
                })
            })
            .collect(),
    };
    if listed.is_empty() || listed.len() > ADDRESSES_MAX {
        let remedy = format!("give 1 to {ADDRESSES_MAX} addresses of this host");
        return Err(error(&key, listed.len(), remedy));
    }
    let mut seen = BTreeSet::new();
    for each in &listed {
        if each.address.is_unspecified() || each.address.is_multicast() {
            let remedy = "goes into the SDP of every call: give an address of this host";
            return Err(error(&key, each.address, remedy));
        }
        if !seen.insert((&each.realm, each.address)) {
            return Err(error(&key, each.address, "the address is listed twice"));
        }
    }
    Ok(listed)
}

fn ports(key: &str, text: Option<String>) -> Result<Ports, ConfigError> {
    let text = text.unwrap_or_else(|| "20000-29999".into());
    let quoted = format!("{text:?}");
    let ports: Ports = text
        .parse()
        .map_err(|_| error(key, &quoted, "give LOW-HIGH, as in \"20000-29999\""))?;
    if ports.low < 1024 {
        return Err(error(key, quoted, "ports below 1024 belong to the system"));
    }
    if usize::from(ports.high.saturating_sub(ports.low)) + 1 < PORTS_MIN {
        return Err(error(
            key,
            quoted,
            format!("a call needs {PORTS_MIN} ports, LOW first"),
        ));
    }
    Ok(ports)
}

/// No two virtual MGs share a MID or a media port.
fn check_apart(gateways: &[GatewayConfig]) -> Result<(), ConfigError> {
    for (index, one) in gateways.iter().enumerate() {
        for (other_index, other) in gateways.iter().enumerate().take(index) {
            if one.mid == other.mid {
                let remedy = format!("mg[{other_index}] has it already");
                return Err(error(&format!("mg[{index}].mid"), one.mid, remedy));
            }
            let both_sctp = one.sctp.is_some() && other.sctp.is_some();
            if both_sctp && one.mid.port() == other.mid.port() {
                let remedy = format!(
                    "mg[{other_index}] has the port too: over SCTP each virtual MG of a process \
                     needs its own"
                );
                return Err(error(&format!("mg[{index}].mid"), one.mid, remedy));
            }
            let overlap = one.ports.low <= other.ports.high && other.ports.low <= one.ports.high;
            let shared = one.addresses.iter().find(|mine| {
                other
                    .addresses
                    .iter()
                    .any(|theirs| theirs.address == mine.address)
            });
            if let (true, Some(shared)) = (overlap, shared) {
                let remedy = format!("mg[{other_index}] deals ports of {} too", shared.address);
                return Err(error(&format!("mg[{index}].ports"), one.ports, remedy));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(text: &str) -> ConfigError {
        match MediaFile::parse(text).and_then(MediaFile::validate) {
            Err(fault) => fault,
            Ok(_) => panic!("accepted: {text}"),
        }
    }

    #[test]
    fn an_empty_file_is_one_trgw_on_loopback() {
        let config = MediaFile::parse("")
            .and_then(MediaFile::validate)
            .expect("defaults");
        assert_eq!(config.gateways.len(), 1);
        assert_eq!(config.gateways[0].function, Function::Trgw);
        assert!(config.cores.is_empty());
    }

    #[test]
    fn a_profile_and_its_names_are_chosen_or_the_value_is_named() {
        let text = "[[mg]]\nprofile = \"mn\"\nprofile_names = [\"mine/2\", \"other_1/99\"]";
        let config = MediaFile::parse(text).and_then(MediaFile::validate);
        let gateway = &config.expect("valid").gateways[0];
        let data = gateway.profile.of(gateway.function);
        assert_eq!(data.title, mg::MN.title);
        let names = [("mine".to_owned(), 2), ("other_1".to_owned(), 99)];
        assert_eq!(gateway.profile_names, names);
        for wrong in ["mine", "mine/0", "mine/100", "/1", "1st/1", "a b/1"] {
            let fault = rejected(&format!("[[mg]]\nprofile_names = [\"{wrong}\"]"));
            assert_eq!(fault.key, "mg[0].profile_names");
            assert!(fault.value.contains(wrong), "{fault}");
        }
        let many = format!("[[mg]]\nprofile_names = [{}]", "\"a/1\",".repeat(9));
        assert_eq!(rejected(&many).key, "mg[0].profile_names");
        assert!(MediaFile::parse("[[mg]]\nprofile = \"mq\"").is_err());
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = MediaFile::parse(
            "cores = \"0\"\n[[mg]]\nmid = \"127.0.0.1:3000\"\nports = \"3000-4000\"\n\
             realms = { access = [\"127.0.0.2\"] }",
        );
        let gateway = GatewayFile {
            ports: Some("5000-6000".into()),
            addresses: Some(vec![Ipv4Addr::LOCALHOST.into()]),
            ..GatewayFile::default()
        };
        let flags = Flags {
            gateway,
            ..Flags::default()
        };
        let config = file
            .and_then(|file| file.overridden_by(flags))
            .and_then(MediaFile::validate)
            .expect("valid");
        assert_eq!(
            config.gateways[0].ports,
            Ports {
                low: 5000,
                high: 6000
            }
        );
        assert_eq!(config.gateways[0].mid.port(), 3000);
        assert_eq!(config.gateways[0].addresses.len(), 1);
        assert_eq!(config.gateways[0].addresses[0].realm, None);
        assert_eq!(config.cores, [0]);
    }

    #[test]
    fn flags_for_one_gateway_do_not_fit_a_file_with_two() {
        let file = MediaFile::parse("[[mg]]\n[[mg]]\nmid = \"127.0.0.1:3000\"").expect("valid");
        let gateway = GatewayFile {
            ports: Some("1-2".into()),
            ..GatewayFile::default()
        };
        let flags = Flags {
            gateway,
            ..Flags::default()
        };
        assert_eq!(file.overridden_by(flags).expect_err("refused").key, "mg");
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let fault = rejected("io = \"udp\"\ncroes = \"0\"").to_string();
        assert!(
            fault.contains("croes") && fault.contains("line 2"),
            "{fault}"
        );
    }

    #[test]
    fn workers_that_wait_may_have_a_priority() {
        let validated = |text: &str| MediaFile::parse(text).expect("TOML").validate();
        let priority = |text: &str| validated(text).expect("valid").priority;
        assert_eq!(priority(""), None);
        assert_eq!(priority("priority = 0"), None);
        assert_eq!(priority("priority = 99"), Some(99));
        let polling = "priority = 1\nio = \"dpdk\"\ncores = \"0\"";
        for text in ["priority = 100", polling] {
            assert_eq!(validated(text).expect_err("refused").key, "priority");
        }
    }

    #[test]
    fn lists_of_cores_may_hold_ranges() {
        assert_eq!("2,4-6".parse(), Ok(Cores(vec![2, 4, 5, 6])));
        assert!("6-4".parse::<Cores>().is_err());
        assert!("0-18446744073709551615".parse::<Cores>().is_err());
    }

    #[test]
    fn each_bad_value_names_its_key() {
        for (text, key) in [
            ("cores = \"a\"", "cores"),
            ("cores = \"1,1\"", "cores"),
            ("[[mg]]\nmid = \"0.0.0.0:2944\"", "mg[0].mid"),
            ("[[mg]]\nmgc = []", "mg[0].mgc"),
            ("[[mg]]\nmgc = [\"[::1]:2944\"]", "mg[0].mgc"),
            ("[[mg]]\nmgc = [\"127.0.0.1:2946\"]", "mg[0].mgc"),
            ("[[mg]]\naddresses = []", "mg[0].addresses"),
            ("[[mg]]\naddresses = [\"0.0.0.0\"]", "mg[0].addresses"),
            ("[[mg]]\naddresses = [\"::1\", \"::1\"]", "mg[0].addresses"),
            (
                "[[mg]]\naddresses = [\"::1\"]\nrealms = {}",
                "mg[0].addresses",
            ),
            ("[[mg]]\nports = \"20000\"", "mg[0].ports"),
            ("[[mg]]\nports = \"20002-20001\"", "mg[0].ports"),
            ("[[mg]]\nports = \"80-90\"", "mg[0].ports"),
            ("[[mg]]\nh248 = \"xml\"", "mg[0].h248"),
            ("[[mg]]\nh248 = \"ber,udp,tcp\"", "mg[0].h248"),
            (
                "[[mg]]\nmid_addresses = [\"192.0.2.1\"]",
                "mg[0].mid_addresses",
            ),
            (
                "[[mg]]\nh248 = \"sctp\"\nmid_addresses = [\"127.0.0.1\"]",
                "mg[0].mid_addresses",
            ),
            (
                "[[mg]]\nh248 = \"sctp\"\nmgc_addresses = { \"192.0.2.1:1\" = [] }",
                "mg[0].mgc_addresses",
            ),
            ("[sctp]\nudp_port = 9899", "sctp"),
            (
                "[[mg]]\nh248 = \"sctp\"\nmid = \"127.0.0.2:2945\"\n\
                 [[mg]]\nh248 = \"sctp\"\nmid = \"127.0.0.3:2945\"",
                "mg[1].mid",
            ),
            ("[sctp]\nudp_port = 0", "sctp.udp_port"),
            ("[[mg]]\ncontexts_max = 0", "mg[0].contexts_max"),
            ("[[mg]]\n[[mg]]", "mg[1].mid"),
            ("[[mg]]\n[[mg]]\nmid = \"127.0.0.1:2947\"", "mg[1].ports"),
        ] {
            assert_eq!(rejected(text).key, key, "{text}");
        }
    }
}
