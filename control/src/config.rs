//! The configuration of a control process: one TOML file and the flags that override it become one
//! validated, immutable [`ControlConfig`].
//!
//! Unknown keys, bad values and combinations that cannot work are errors that name the key, the
//! value and the remedy. Everything has a default, so an empty file is a whole IMS on loopback.

mod mrf;
mod sctp;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use h248::encoding::Encoding;
use h248::transport::{Carriage, Protocol, UnknownCarriage};
use serde::{Deserialize, Serialize};

use crate::dns::SERVERS_MAX;
pub use mrf::{MrfFile, MrfPolicy, PromptName};
pub use sctp::{SctpFile, SctpPolicy, addresses as sctp_addresses};

/// Seconds that calls may go on when the process is told to end.
const DRAIN_S: u32 = 30;

/// A functional entity that this process plays (3GPP TS 23.002 4a).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Proxy-CSCF, with the IMS-ALG: the UE's first contact, anchors media.
    Pcscf,
    /// Interrogating-CSCF: the home network's entry, finds the S-CSCF.
    Icscf,
    /// Serving-CSCF: registrar and session control.
    Scscf,
    /// Multimedia Resource Function Controller: announcements, dialogs and conferences.
    Mrfc,
    /// Home Subscriber Server.
    Hss,
}

impl Role {
    /// Every role, in the order in which a listener offers a request without a Route of ours.
    pub const ALL: [Role; 5] = [Role::Pcscf, Role::Icscf, Role::Scscf, Role::Mrfc, Role::Hss];

    /// The name in flags, files and the user part of this entity's SIP URI.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Pcscf => "pcscf",
            Role::Icscf => "icscf",
            Role::Scscf => "scscf",
            Role::Mrfc => "mrfc",
            Role::Hss => "hss",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Role::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| {
                format!("{text:?} is not a role; the roles are pcscf, icscf, scscf, mrfc and hss")
            })
    }
}

/// What a control file may say, every key optional; flags fill the same struct and are laid over
/// it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ControlFile {
    /// The entities to play; all of them by default.
    pub roles: Option<Vec<Role>>,
    /// Home network domain name.
    pub realm: Option<String>,
    /// Addresses on which SIP is received, UDP and TCP on each.
    pub sip: Option<Vec<SocketAddr>>,
    /// Address of the MGC for H.248.
    pub mgc: Option<SocketAddr>,
    /// Its further addresses over SCTP.
    pub mgc_addresses: Option<Vec<IpAddr>>,
    /// Encoding and transports of H.248: `pretty,udp,tcp,sctp`.
    pub h248: Option<String>,
    /// What carries H.248 over SCTP.
    pub sctp: Option<SctpFile>,
    /// Address on which the HSS accepts Diameter peers.
    pub diameter: Option<SocketAddr>,
    /// `local`, or the Diameter address of the HSS.
    pub hss: Option<String>,
    /// Diameter identity (Origin-Host) of the HSS.
    pub hss_host: Option<String>,
    /// SIP address of the I-CSCF when it is another process.
    pub icscf: Option<SocketAddr>,
    /// The S-CSCFs among which the I-CSCF chooses, as SIP URIs.
    pub scscf: Option<Vec<String>>,
    /// File of the subscriber store.
    pub store: Option<PathBuf>,
    /// Directory for the keys and journal of this instance.
    pub state: Option<PathBuf>,
    /// Address of the admin interface (HTTP).
    pub admin: Option<SocketAddr>,
    /// Static answers that come before DNS: host name → addresses.
    pub hosts: Option<BTreeMap<String, Vec<SocketAddr>>>,
    /// Name servers, asked for what is neither numeric nor in `[hosts]`.
    pub dns: Option<DnsFile>,
    /// Seconds that calls may go on when the process is told to end.
    pub drain_s: Option<u32>,
    /// Show identities in logs in the clear.
    pub show_identities: Option<bool>,
    /// What the registrar and the proxies allow.
    pub limits: Option<LimitsFile>,
    /// Registration intervals.
    pub registration: Option<RegistrationFile>,
    /// Session timers (RFC 4028).
    pub session: Option<SessionFile>,
    /// SIP timers towards the UE, milliseconds (3GPP TS 24.229 table 7.7).
    pub gm: Option<TimersFile>,
    /// SIP timers between entities, milliseconds (RFC 3261 table 4).
    pub core: Option<TimersFile>,
    /// Media anchoring at the P-CSCF.
    pub media: Option<MediaFile>,
    /// The MRFC, and announcements of the core.
    pub mrf: Option<MrfFile>,
}

/// `[dns]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DnsFile {
    /// Recursive name servers, as IP:PORT; those of the system by default, none for an empty list.
    pub servers: Option<Vec<SocketAddr>>,
    /// How long a server is waited for before the next is asked, milliseconds.
    pub timeout_ms: Option<u32>,
    /// Answers kept.
    pub cache_max: Option<usize>,
}

/// `[limits]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    /// Registered public identities.
    pub registrations_max: Option<usize>,
    /// Dialogs at the P-CSCF.
    pub dialogs_max: Option<usize>,
    /// SIP transactions.
    pub transactions_max: Option<usize>,
    /// Contacts of one public identity.
    pub contacts_max: Option<usize>,
}

/// `[registration]`, seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationFile {
    /// Granted when the UE asks for nothing.
    pub expires_s: Option<u32>,
    /// Less is answered 423.
    pub expires_min_s: Option<u32>,
    /// More is shortened.
    pub expires_max_s: Option<u32>,
    /// How long a challenge may be answered (3GPP TS 24.229 reg-await-auth).
    pub reg_await_auth_s: Option<u32>,
}

/// `[session]`, seconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SessionFile {
    /// Session-Expires asked for when the UE names none.
    pub expires_s: Option<u32>,
    /// Min-SE; less is answered 422.
    pub min_se_s: Option<u32>,
    /// Timer C of RFC 3261 16.6: more than 180.
    pub timer_c_s: Option<u32>,
}

/// `[gm]` and `[core]`, milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TimersFile {
    /// T1, the round trip estimate.
    pub t1_ms: Option<u32>,
    /// T2, the longest retransmission interval.
    pub t2_ms: Option<u32>,
    /// T4, how long a message stays in the network.
    pub t4_ms: Option<u32>,
}

/// `[media]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MediaFile {
    /// False leaves the media alone: a P-CSCF without IMS-ALG.
    pub anchor: Option<bool>,
    /// IP realm (`ipdc/realm`) on the UE's side.
    pub access_realm: Option<String>,
    /// IP realm (`ipdc/realm`) on the core's side.
    pub core_realm: Option<String>,
    /// False when UEs cannot send to addresses of the core's realm: a call between two UEs of this
    /// P-CSCF then takes a context for each.
    pub realms_connected: Option<bool>,
    /// IP family on the core's side where the core has not said what it wants: `ipv4` or `ipv6`;
    /// that of the first SIP address by default.
    pub core_family: Option<IpFamily>,
    /// Marks the contexts of emergency calls (H.248.1 6.1.1), which gateways may then prefer; true
    /// by default.
    pub mark_emergency: Option<bool>,
    /// A call whose UE has sent no media for so many seconds is released (`adid/ipstop`, H.248.40);
    /// 0 lets it be, 300 by default. Emergency calls, calls on hold and calls that ring are never
    /// released so.
    pub inactivity_s: Option<u32>,
    /// Media of a call is taken only from the address that its end describes (`gm/saf`, H.248.43),
    /// or that a latch has found; true by default. For gateways that cannot, false.
    pub source_filter: Option<bool>,
    /// Which DTLS-SRTP of UEs ends at the gateway: `requested` by default.
    pub dtls: Option<DtlsScope>,
    /// Who begins DTLS where the UE leaves it to us: `auto` by default.
    pub dtls_start: Option<DtlsStart>,
}

/// Which DTLS-SRTP of UEs ends at the gateway, the core having the media in the clear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsScope {
    /// That of UEs that ask for it, by `a=3ge2ae:requested` in their offer or by `mediasec` when
    /// they register; any other passes from end to end.
    #[default]
    Requested,
    /// Whatever UEs offer.
    Always,
    /// Whatever UEs offer; and it is what all of them are offered that register without another
    /// mechanism.
    Offered,
}

/// Who begins DTLS where the UE's offer leaves it to us (`a=setup:actpass`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsStart {
    /// The gateway (RFC 5763 5), but the UE where it is behind a NAT.
    #[default]
    Auto,
    /// The gateway.
    Active,
    /// The UE.
    Passive,
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IpFamily {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// A validated configuration.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// The entities of this process, without repetition.
    pub roles: Vec<Role>,
    /// Home network domain name, lower case.
    pub realm: String,
    /// SIP listening addresses, at least one when a SIP entity runs.
    pub sip: Vec<SocketAddr>,
    /// Where the MGC receives H.248, when media is anchored.
    pub mgc: Option<SocketAddr>,
    /// How it speaks to gateways.
    pub h248: H248Policy,
    /// Where the HSS accepts Diameter peers, if it does.
    pub diameter: Option<SocketAddr>,
    /// Where Cx requests go.
    pub hss: HssAddress,
    /// Diameter identity of the HSS.
    pub hss_host: String,
    /// Entry point of the home network for the P- and S-CSCF.
    pub icscf: Option<SocketAddr>,
    /// S-CSCF names that the I-CSCF may assign, in order of preference.
    pub scscf: Vec<String>,
    /// Subscriber store.
    pub store: PathBuf,
    /// State directory.
    pub state: PathBuf,
    /// Admin interface.
    pub admin: SocketAddr,
    /// Static host names.
    pub hosts: BTreeMap<String, Vec<SocketAddr>>,
    /// Name servers.
    pub dns: DnsPolicy,
    /// How long calls may go on when the process is told to end.
    pub drain: Duration,
    /// Identities in logs.
    pub show_identities: bool,
    /// Limits.
    pub limits: Limits,
    /// Registration intervals.
    pub registration: RegistrationPolicy,
    /// Session timers.
    pub session: SessionPolicy,
    /// Timers towards the UE.
    pub gm: sip::transaction::Timers,
    /// Timers between entities.
    pub core: sip::transaction::Timers,
    /// Media anchoring.
    pub media: MediaPolicy,
    /// The MRFC.
    pub mrf: MrfPolicy,
}

/// How the MGC speaks H.248.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H248Policy {
    /// Encoding of its messages. A gateway that writes in text is answered in text, and one that
    /// writes in binary in binary.
    pub encoding: Encoding,
    /// Over which transports gateways come.
    pub protocols: Vec<Protocol>,
    /// The addresses of the MGC over SCTP, with all else of it; `None` where gateways do not come
    /// so.
    pub sctp: Option<(Vec<IpAddr>, SctpPolicy)>,
}

/// Where the HSS is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HssAddress {
    /// In this process: Cx requests are passed as values.
    Local,
    /// A Diameter peer.
    Remote(SocketAddr),
}

/// Named maxima of the control process.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Registered public identities; beyond: 503.
    pub registrations_max: usize,
    /// Dialogs; beyond: 503.
    pub dialogs_max: usize,
    /// SIP transactions; beyond: 503.
    pub transactions_max: usize,
    /// Contacts of one public identity; beyond: 403.
    pub contacts_max: usize,
}

/// How names are resolved.
#[derive(Clone, Debug)]
pub struct DnsPolicy {
    /// Recursive name servers in the order to ask them; `None` stands for those of the system,
    /// which the process reads when it starts.
    pub servers: Option<Vec<SocketAddr>>,
    /// Patience with one server.
    pub timeout: Duration,
    /// Answers kept.
    pub cache_max: usize,
}

/// What the registrar grants.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationPolicy {
    /// Granted when nothing was asked for.
    pub expires: Duration,
    /// The least granted.
    pub expires_min: Duration,
    /// The most granted.
    pub expires_max: Duration,
    /// Life of an unanswered challenge.
    pub reg_await_auth: Duration,
}

/// Session timers of the proxies.
#[derive(Clone, Copy, Debug)]
pub struct SessionPolicy {
    /// Session-Expires inserted where the UE asks for none.
    pub expires: Duration,
    /// Min-SE.
    pub min_se: Duration,
    /// Timer C.
    pub timer_c: Duration,
}

/// Media anchoring at the P-CSCF.
#[derive(Clone, Debug)]
pub struct MediaPolicy {
    /// Whether calls are anchored in a TrGW.
    pub anchor: bool,
    /// Realm of the UE's side.
    pub access_realm: String,
    /// Realm of the core's side.
    pub core_realm: String,
    /// Whether UEs can send to addresses of the core's realm.
    pub realms_connected: bool,
    /// Family of the core's side while the core has not said what it wants.
    pub core_family: IpFamily,
    /// Whether contexts of emergency calls are marked.
    pub mark_emergency: bool,
    /// Without media from the UE for so long a call is released.
    pub inactivity: Option<Duration>,
    /// Whether media is taken only from where it is described to come from.
    pub source_filter: bool,
    /// DTLS-SRTP of UEs.
    pub dtls: DtlsPolicy,
}

/// DTLS-SRTP between UEs and the gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DtlsPolicy {
    /// What of it ends at the gateway.
    pub scope: DtlsScope,
    /// Who begins.
    pub start: DtlsStart,
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Dotted key, as in the file; the flag has the same name.
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

fn error(key: &str, value: impl fmt::Display, remedy: impl Into<String>) -> ConfigError {
    ConfigError {
        key: key.into(),
        value: value.to_string(),
        remedy: remedy.into(),
    }
}

impl ControlFile {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Syntax errors and unknown keys, with line and column as the TOML parser reports them.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|fault| ConfigError {
            key: String::new(),
            value: String::new(),
            remedy: fault.to_string().trim_end().to_owned(),
        })
    }

    /// Lays `over` (the flags) over this file: what `over` says wins.
    #[must_use]
    pub fn overridden_by(self, over: ControlFile) -> ControlFile {
        ControlFile {
            roles: over.roles.or(self.roles),
            realm: over.realm.or(self.realm),
            sip: over.sip.or(self.sip),
            mgc: over.mgc.or(self.mgc),
            mgc_addresses: over.mgc_addresses.or(self.mgc_addresses),
            h248: over.h248.or(self.h248),
            sctp: SctpFile::merge(self.sctp, over.sctp),
            diameter: over.diameter.or(self.diameter),
            hss: over.hss.or(self.hss),
            hss_host: over.hss_host.or(self.hss_host),
            icscf: over.icscf.or(self.icscf),
            scscf: over.scscf.or(self.scscf),
            store: over.store.or(self.store),
            state: over.state.or(self.state),
            admin: over.admin.or(self.admin),
            hosts: over.hosts.or(self.hosts),
            dns: over.dns.or(self.dns),
            drain_s: over.drain_s.or(self.drain_s),
            show_identities: over.show_identities.or(self.show_identities),
            limits: over.limits.or(self.limits),
            registration: over.registration.or(self.registration),
            session: over.session.or(self.session),
            gm: over.gm.or(self.gm),
            core: over.core.or(self.core),
            media: over.media.or(self.media),
            mrf: over.mrf.or(self.mrf),
        }
    }

    /// Checks every value and every combination.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn validate(self) -> Result<ControlConfig, ConfigError> {
        let mut roles = self.roles.unwrap_or_else(|| Role::ALL.to_vec());
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() {
            return Err(error(
                "roles",
                "[]",
                "name at least one of pcscf, icscf, scscf, mrfc, hss",
            ));
        }
        let plays = |role| roles.contains(&role);
        let speaks_sip = roles.iter().any(|&role| role != Role::Hss);

        let realm = self
            .realm
            .unwrap_or_else(|| "ims.test".into())
            .to_ascii_lowercase();
        check_realm(&realm)?;

        let sip = self
            .sip
            .unwrap_or_else(|| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5060))]);
        if speaks_sip {
            check_listeners("sip", &sip)?;
        }

        let hss = hss_address(self.hss.as_deref(), &roles)?;
        let scscf = self.scscf.unwrap_or_default();
        check_neighbours(&roles, self.icscf, &scscf)?;

        let media = media(self.media.unwrap_or_default(), sip.first())?;
        let mrf = self.mrf.unwrap_or_default().validate(&realm)?;
        let controls = plays(Role::Mrfc) || (plays(Role::Pcscf) && media.anchor);
        let mgc = controls.then(|| {
            self.mgc
                .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 2944)))
        });

        Ok(ControlConfig {
            diameter: if plays(Role::Hss) {
                self.diameter
            } else {
                None
            },
            hss_host: self.hss_host.unwrap_or_else(|| format!("hss.{realm}")),
            realm,
            sip: if speaks_sip { sip } else { Vec::new() },
            mgc,
            h248: h248(
                self.h248.as_deref(),
                mgc,
                self.mgc_addresses,
                self.sctp.as_ref(),
            )?,
            hss,
            icscf: self.icscf,
            scscf,
            store: self
                .store
                .unwrap_or_else(|| "strowger/subscribers.redb".into()),
            state: self.state.unwrap_or_else(|| "strowger/control".into()),
            admin: self
                .admin
                .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 9080))),
            hosts: self.hosts.unwrap_or_default(),
            dns: dns(self.dns.unwrap_or_default())?,
            drain: Duration::from_secs(self.drain_s.unwrap_or(DRAIN_S).into()),
            show_identities: self.show_identities.unwrap_or(false),
            limits: limits(self.limits.unwrap_or_default())?,
            registration: registration(self.registration.unwrap_or_default())?,
            session: session(self.session.unwrap_or_default())?,
            gm: timers(
                "gm",
                self.gm.unwrap_or_default(),
                sip::transaction::Timers::GM,
            )?,
            core: timers(
                "core",
                self.core.unwrap_or_default(),
                sip::transaction::Timers::CORE,
            )?,
            media,
            mrf,
            roles,
        })
    }
}

impl ControlConfig {
    /// Whether this process plays `role`.
    pub fn plays(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// Where Cx requests go: the roles decide what is possible.
fn hss_address(given: Option<&str>, roles: &[Role]) -> Result<HssAddress, ConfigError> {
    let plays = |role| roles.contains(&role);
    let asks = plays(Role::Icscf) || plays(Role::Scscf);
    match given {
        None if plays(Role::Hss) || !asks => Ok(HssAddress::Local),
        None => Err(error(
            "hss",
            "(none)",
            "the I- and S-CSCF need an HSS: add the role hss, or give the Diameter address of \
             one, as in hss = \"127.0.0.1:3868\"",
        )),
        Some("local") if plays(Role::Hss) => Ok(HssAddress::Local),
        Some("local") => Err(error(
            "hss",
            "\"local\"",
            "this process does not play the role hss",
        )),
        Some(address) => {
            let parsed = address.parse().map(HssAddress::Remote);
            let remedy = "give \"local\" or IP:PORT of the HSS";
            parsed.map_err(|_| error("hss", format!("{address:?}"), remedy))
        }
    }
}

/// The entities that those of this process send to must be known.
fn check_neighbours(
    roles: &[Role],
    icscf: Option<SocketAddr>,
    scscf: &[String],
) -> Result<(), ConfigError> {
    let plays = |role| roles.contains(&role);
    if plays(Role::Pcscf) && !plays(Role::Icscf) && icscf.is_none() {
        return Err(error(
            "icscf",
            "(none)",
            "the P-CSCF needs the home network's entry point: add the role icscf, or give its SIP \
             address as IP:PORT",
        ));
    }
    if plays(Role::Scscf) && !plays(Role::Icscf) && icscf.is_none() {
        return Err(error(
            "icscf",
            "(none)",
            "the S-CSCF sends calls for its own realm to the I-CSCF: add the role icscf, or give \
             its SIP address as IP:PORT",
        ));
    }
    if plays(Role::Icscf) && !plays(Role::Scscf) && scscf.is_empty() {
        return Err(error(
            "scscf",
            "[]",
            "the I-CSCF needs S-CSCFs to choose from: add the role scscf, or list their SIP URIs, \
             as in scscf = [\"sip:scscf@192.0.2.1:5060\"]",
        ));
    }
    match scscf.iter().find(|name| sip::Uri::parse(name).is_none()) {
        Some(name) => Err(error("scscf", format!("{name:?}"), "give SIP URIs")),
        None => Ok(()),
    }
}

fn check_realm(realm: &str) -> Result<(), ConfigError> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_name = realm.len() <= 253 && realm.split('.').all(label);
    if is_name && realm.parse::<IpAddr>().is_err() {
        return Ok(());
    }
    Err(error(
        "realm",
        format!("{realm:?}"),
        "give a domain name, as in ims.example.org",
    ))
}

fn h248(
    text: Option<&str>,
    mgc: Option<SocketAddr>,
    mgc_addresses: Option<Vec<IpAddr>>,
    file: Option<&SctpFile>,
) -> Result<H248Policy, ConfigError> {
    let carriage = text.map_or(Ok(Carriage::default()), str::parse);
    let value = format!("{:?}", text.unwrap_or_default());
    let remedy = |fault: UnknownCarriage| error("h248", value, fault.to_string());
    let Carriage {
        encoding,
        mut protocols,
    } = carriage.map_err(remedy)?;
    if protocols.is_empty() {
        // SCTP wants a privilege, or a port that peers must know.
        protocols = vec![Protocol::Udp, Protocol::Tcp];
    }
    let has_sctp = protocols.contains(&Protocol::Sctp);
    let remedy = "is for SCTP: add sctp to h248, as in h248 = \"pretty,sctp\", or leave it out";
    if let (false, Some(addresses)) = (has_sctp, &mgc_addresses) {
        return Err(error("mgc_addresses", format!("{addresses:?}"), remedy));
    }
    if let (false, Some(_)) = (has_sctp, file) {
        return Err(error("sctp", "{…}", remedy));
    }
    let sctp = match mgc.filter(|_| has_sctp) {
        Some(mgc) => {
            let more = mgc_addresses.unwrap_or_default();
            let all = sctp_addresses("mgc_addresses", mgc.ip(), &more)?;
            Some((all, file.cloned().unwrap_or_default().validate()?))
        }
        None => None,
    };
    Ok(H248Policy {
        encoding: encoding.unwrap_or_default(),
        protocols,
        sctp,
    })
}

fn check_listeners(key: &str, addresses: &[SocketAddr]) -> Result<(), ConfigError> {
    if addresses.is_empty() {
        return Err(error(key, "[]", "give at least one IP:PORT"));
    }
    for (index, address) in addresses.iter().enumerate() {
        if address.ip().is_unspecified() {
            return Err(error(
                key,
                address,
                "the address is written into Via, Path and Record-Route: give one that others \
                 can reach, not the unspecified address",
            ));
        }
        if address.port() == 0 {
            return Err(error(key, address, "give a port other than 0"));
        }
        if addresses[..index].contains(address) {
            return Err(error(key, address, "the address is listed twice"));
        }
    }
    Ok(())
}

fn at_least_one(key: &str, value: Option<usize>, default: usize) -> Result<usize, ConfigError> {
    match value.unwrap_or(default) {
        0 => Err(error(key, 0, "give 1 or more")),
        value => Ok(value),
    }
}

fn dns(file: DnsFile) -> Result<DnsPolicy, ConfigError> {
    const KEY: &str = "dns.servers";
    let servers = file.servers.as_deref().unwrap_or_default();
    if servers.len() > SERVERS_MAX {
        let remedy = format!("give at most {SERVERS_MAX}");
        return Err(error(KEY, servers.len(), remedy));
    }
    for (index, server) in servers.iter().enumerate() {
        if server.port() == 0 || server.ip().is_unspecified() || server.ip().is_multicast() {
            let remedy = "give the IP:PORT of a name server, as in 192.0.2.53:53";
            return Err(error(KEY, server, remedy));
        }
        if servers[..index].contains(server) {
            return Err(error(KEY, server, "the address is listed twice"));
        }
    }
    let timeout_ms = file.timeout_ms.unwrap_or(1000);
    if !(1..=10_000).contains(&timeout_ms) {
        let remedy = "give 1 to 10000: a caller does not wait longer";
        return Err(error("dns.timeout_ms", timeout_ms, remedy));
    }
    Ok(DnsPolicy {
        servers: file.servers,
        timeout: Duration::from_millis(timeout_ms.into()),
        cache_max: at_least_one("dns.cache_max", file.cache_max, 10_000)?,
    })
}

fn limits(file: LimitsFile) -> Result<Limits, ConfigError> {
    Ok(Limits {
        registrations_max: at_least_one(
            "limits.registrations_max",
            file.registrations_max,
            1_000_000,
        )?,
        dialogs_max: at_least_one("limits.dialogs_max", file.dialogs_max, 200_000)?,
        transactions_max: at_least_one(
            "limits.transactions_max",
            file.transactions_max,
            1_000_000,
        )?,
        contacts_max: at_least_one("limits.contacts_max", file.contacts_max, 10)?,
    })
}

fn registration(file: RegistrationFile) -> Result<RegistrationPolicy, ConfigError> {
    let expires = file.expires_s.unwrap_or(600_000);
    let expires_min = file.expires_min_s.unwrap_or(60);
    let expires_max = file.expires_max_s.unwrap_or(600_000);
    if expires_min > expires_max {
        return Err(error(
            "registration.expires_min_s",
            expires_min,
            format!("must not exceed registration.expires_max_s = {expires_max}"),
        ));
    }
    if !(expires_min..=expires_max).contains(&expires) && file.expires_s.is_some() {
        return Err(error(
            "registration.expires_s",
            expires,
            format!("must lie between {expires_min} and {expires_max}"),
        ));
    }
    let seconds = |secs: u32| Duration::from_secs(secs.into());
    Ok(RegistrationPolicy {
        expires: seconds(expires.clamp(expires_min, expires_max)),
        expires_min: seconds(expires_min),
        expires_max: seconds(expires_max),
        reg_await_auth: seconds(file.reg_await_auth_s.unwrap_or(240).max(1)),
    })
}

fn session(file: SessionFile) -> Result<SessionPolicy, ConfigError> {
    let expires = file.expires_s.unwrap_or(1800);
    let min_se = file.min_se_s.unwrap_or(90);
    if min_se < 90 {
        return Err(error(
            "session.min_se_s",
            min_se,
            "RFC 4028 5 allows no less than 90",
        ));
    }
    if expires < min_se {
        return Err(error(
            "session.expires_s",
            expires,
            format!("must be at least session.min_se_s = {min_se}"),
        ));
    }
    let timer_c = file.timer_c_s.unwrap_or(185);
    if timer_c <= 180 {
        return Err(error(
            "session.timer_c_s",
            timer_c,
            "RFC 3261 16.6 asks for more than 180",
        ));
    }
    let seconds = |secs: u32| Duration::from_secs(secs.into());
    Ok(SessionPolicy {
        expires: seconds(expires),
        min_se: seconds(min_se),
        timer_c: seconds(timer_c),
    })
}

fn media(file: MediaFile, sip: Option<&SocketAddr>) -> Result<MediaPolicy, ConfigError> {
    let inactivity = file.inactivity_s.unwrap_or(300);
    // Silence suppression and a round trip to a gateway under load are not a call that hangs.
    if (1..INACTIVITY_MIN_S).contains(&inactivity) {
        return Err(error(
            "media.inactivity_s",
            inactivity,
            format!("give {INACTIVITY_MIN_S} or more, or 0 to release no call for want of media"),
        ));
    }
    if inactivity > INACTIVITY_MAX_S {
        return Err(error(
            "media.inactivity_s",
            inactivity,
            format!(
                "give {INACTIVITY_MAX_S} (a day) or less, or 0 to release no call for want of media"
            ),
        ));
    }
    let family = match sip {
        Some(address) if address.is_ipv6() => IpFamily::Ipv6,
        _ => IpFamily::Ipv4,
    };
    let inactivity = Duration::from_secs(inactivity.into());
    Ok(MediaPolicy {
        anchor: file.anchor.unwrap_or(true),
        access_realm: realm("media.access_realm", file.access_realm, "access")?,
        core_realm: realm("media.core_realm", file.core_realm, "core")?,
        realms_connected: file.realms_connected.unwrap_or(true),
        core_family: file.core_family.unwrap_or(family),
        mark_emergency: file.mark_emergency.unwrap_or(true),
        inactivity: (!inactivity.is_zero()).then_some(inactivity),
        source_filter: file.source_filter.unwrap_or(true),
        dtls: DtlsPolicy {
            scope: file.dtls.unwrap_or_default(),
            start: file.dtls_start.unwrap_or_default(),
        },
    })
}

/// The name of an IP realm, which goes into a quoted string of H.248 (B.2).
fn realm(key: &str, value: Option<String>, default: &str) -> Result<String, ConfigError> {
    let realm = value.unwrap_or_else(|| default.into());
    let is_quotable = |byte: u8| byte == b' ' || byte.is_ascii_graphic() && byte != b'"';
    if realm.is_empty() || !realm.bytes().all(is_quotable) {
        return Err(error(
            key,
            format!("{realm:?}"),
            "give the name of an IP realm in printable ASCII without quotation marks",
        ));
    }
    Ok(realm)
}

fn timers(
    table: &str,
    file: TimersFile,
    default: sip::transaction::Timers,
) -> Result<sip::transaction::Timers, ConfigError> {
    let millis = |value: Option<u32>, default: Duration| {
        value.unwrap_or_else(|| u32::try_from(default.as_millis()).unwrap_or(u32::MAX))
    };
    let t1 = millis(file.t1_ms, default.t1());
    let t2 = millis(file.t2_ms, default.t2());
    let t4 = millis(file.t4_ms, default.t4());
    if t1 == 0 {
        return Err(error(&format!("{table}.t1_ms"), 0, "give 1 or more"));
    }
    if t2 < t1 {
        return Err(error(
            &format!("{table}.t2_ms"),
            t2,
            format!("must be at least {table}.t1_ms = {t1}"),
        ));
    }
    Ok(sip::transaction::Timers::from_millis(t1, t2, t4))
}

/// The least and the most that `media.inactivity_s` may be, if not 0.
const INACTIVITY_MIN_S: u32 = 10;
const INACTIVITY_MAX_S: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(text: &str) -> ConfigError {
        match ControlFile::parse(text).and_then(ControlFile::validate) {
            Err(fault) => fault,
            Ok(_) => panic!("accepted: {text}"),
        }
    }

    #[test]
    fn an_empty_file_is_a_whole_ims_on_loopback() {
        let config = ControlFile::parse("")
            .and_then(ControlFile::validate)
            .expect("defaults");
        assert_eq!(config.roles, Role::ALL);
        assert_eq!(config.hss, HssAddress::Local);
        assert!(config.mgc.is_some());
    }

    #[test]
    fn flags_win_over_the_file() {
        let file =
            ControlFile::parse("realm = \"a.test\"\nadmin = \"127.0.0.1:1\"").expect("valid");
        let flags = ControlFile {
            realm: Some("b.test".into()),
            ..ControlFile::default()
        };
        let config = file.overridden_by(flags).validate().expect("valid");
        assert_eq!(config.realm, "b.test");
        assert_eq!(config.admin.port(), 1);
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let fault = rejected("realm = \"a.test\"\nrelam = \"b.test\"").to_string();
        assert!(
            fault.contains("relam") && fault.contains("line 2"),
            "{fault}"
        );
    }

    #[test]
    fn inactivity_is_on_by_default_and_0_turns_it_off() {
        let inactivity = |text: &str| {
            let config = ControlFile::parse(text).and_then(ControlFile::validate);
            config.expect("valid").media.inactivity
        };
        assert_eq!(inactivity(""), Some(Duration::from_secs(300)));
        assert_eq!(
            inactivity("[media]\ninactivity_s = 10"),
            Some(Duration::from_secs(10))
        );
        assert_eq!(inactivity("[media]\ninactivity_s = 0"), None);
    }

    #[test]
    fn gateways_come_over_sctp_where_it_is_named() {
        let policy = |text: &str| {
            let config = ControlFile::parse(text).and_then(ControlFile::validate);
            config.expect("valid").h248
        };
        let default = policy("");
        assert_eq!(default.protocols, [Protocol::Udp, Protocol::Tcp]);
        assert_eq!(default.sctp, None);
        let text = "mgc = \"192.0.2.1:2944\"\nmgc_addresses = [\"198.51.100.1\"]\n\
                    h248 = \"ber,sctp\"\n[sctp]\nudp_port = 9899";
        let (addresses, sctp) = policy(text).sctp.expect("it is named");
        assert_eq!(addresses.len(), 2);
        let carrier = usrsctp::Carrier::Udp {
            local: 9899,
            peer: 9899,
        };
        assert_eq!(sctp.carrier, carrier);
    }

    #[test]
    fn the_core_has_the_family_of_the_first_sip_address_unless_it_is_given() {
        let family = |text: &str| {
            let config = ControlFile::parse(text).and_then(ControlFile::validate);
            config.expect("valid").media.core_family
        };
        assert_eq!(family(""), IpFamily::Ipv4);
        let listens = "sip = [\"[2001:db8::1]:5060\", \"192.0.2.1:5060\"]";
        assert_eq!(family(listens), IpFamily::Ipv6);
        let chosen = format!("{listens}\n[media]\ncore_family = \"ipv4\"");
        assert_eq!(family(&chosen), IpFamily::Ipv4);
    }

    #[test]
    fn each_bad_value_names_its_key() {
        for (text, key) in [
            ("roles = []", "roles"),
            ("realm = \"192.0.2.1\"", "realm"),
            ("realm = \"\"", "realm"),
            ("mgc_addresses = [\"192.0.2.2\"]", "mgc_addresses"),
            ("[sctp]\nudp_port = 9899", "sctp"),
            (
                "h248 = \"sctp\"\nmgc_addresses = [\"127.0.0.1\"]",
                "mgc_addresses",
            ),
            ("h248 = \"sctp\"\n[sctp]\nudp_port = 0", "sctp.udp_port"),
            ("sip = []", "sip"),
            ("sip = [\"0.0.0.0:5060\"]", "sip"),
            ("sip = [\"127.0.0.1:0\"]", "sip"),
            ("sip = [\"127.0.0.1:5060\", \"127.0.0.1:5060\"]", "sip"),
            ("roles = [\"pcscf\"]", "icscf"),
            ("roles = [\"icscf\", \"scscf\"]", "hss"),
            ("roles = [\"icscf\", \"scscf\"]\nhss = \"local\"", "hss"),
            ("hss = \"somewhere\"", "hss"),
            ("roles = [\"icscf\"]\nhss = \"127.0.0.1:3868\"", "scscf"),
            ("[dns]\nservers = [\"192.0.2.53:0\"]", "dns.servers"),
            ("[dns]\nservers = [\"0.0.0.0:53\"]", "dns.servers"),
            (
                "[dns]\nservers = [\"192.0.2.53:53\", \"192.0.2.53:53\"]",
                "dns.servers",
            ),
            ("[dns]\ntimeout_ms = 0", "dns.timeout_ms"),
            ("[dns]\ncache_max = 0", "dns.cache_max"),
            ("[limits]\ndialogs_max = 0", "limits.dialogs_max"),
            (
                "[registration]\nexpires_min_s = 700000",
                "registration.expires_min_s",
            ),
            ("[registration]\nexpires_s = 1", "registration.expires_s"),
            ("[session]\nmin_se_s = 60", "session.min_se_s"),
            ("[session]\nexpires_s = 80", "session.expires_s"),
            ("[session]\ntimer_c_s = 180", "session.timer_c_s"),
            ("[gm]\nt1_ms = 0", "gm.t1_ms"),
            ("[core]\nt2_ms = 100", "core.t2_ms"),
            ("[media]\ninactivity_s = 9", "media.inactivity_s"),
            ("[media]\ninactivity_s = 86401", "media.inactivity_s"),
            ("[media]\naccess_realm = \"\"", "media.access_realm"),
            ("[media]\ncore_realm = 'a\"b'", "media.core_realm"),
            ("[mrf]\ncalls_max = 0", "mrf.calls_max"),
            ("[mrf]\nfactory = \"\"", "mrf.factory"),
            ("[mrf.servers]\n\"a b\" = 1", "mrf.servers"),
            ("[mrf.announcements]\n200 = 1", "mrf.announcements"),
            ("[mrf.announcements]\n486 = \"a b\"", "mrf.announcements"),
        ] {
            assert_eq!(rejected(text).key, key, "{text}");
        }
    }
}
