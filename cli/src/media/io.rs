//! The packet back-ends: what a file may say of them, and how they are opened.

use std::collections::BTreeSet;
use std::fmt::Display;

use dataplane::io::af_xdp::{
    self, AfXdpConfig, Copying, InterfaceConfig, InterfaceStatus, Mode, SetupError,
};
use dataplane::io::udp;
use dataplane::{Backend, LocalAddresses};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::config::{ConfigError, Io, MediaConfig, error};
use super::dpdk::DpdkConfig;
use crate::failure::Failure;

/// Interfaces of one process at most.
const INTERFACES_MAX: usize = 16;
/// Queues of one interface at most.
const QUEUES_MAX: u32 = 256;
/// Entries of a ring: those of a burst, and what an interface can want.
const RING: std::ops::RangeInclusive<u32> = 64..=65_536;

/// `[af_xdp]`: what the back-end of this name is told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AfXdpFile {
    /// Entries of each ring, a power of two.
    pub ring: Option<u32>,
    /// The interfaces.
    pub interface: Option<Vec<InterfaceFile>>,
}

/// `[[af_xdp.interface]]`: one interface.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceFile {
    /// Its name.
    pub name: String,
    /// The queues to use; left out: all.
    pub queues: Option<Vec<u32>>,
    /// Where the XDP program runs; left out: in the driver if it can.
    pub mode: Option<ModeFile>,
    /// Whether packets are copied; left out: as the driver can.
    pub copying: Option<CopyingFile>,
}

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeFile {
    /// In the driver.
    Native,
    /// Behind it.
    Skb,
}

/// How packets get into the memory of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyingFile {
    /// By a copy.
    Copy,
    /// By none.
    ZeroCopy,
}

impl AfXdpFile {
    /// Checks what is said for so many workers.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn validate(self, workers: usize) -> Result<AfXdpConfig, ConfigError> {
        let ring = self.ring.unwrap_or(AfXdpConfig::default().ring);
        if !ring.is_power_of_two() || !RING.contains(&ring) {
            let remedy = "give a power of two from 64 to 65536";
            return Err(error("af_xdp.ring", ring, remedy));
        }
        let files = self.interface.unwrap_or_default();
        if files.is_empty() || files.len() > INTERFACES_MAX {
            let remedy = format!(
                "name 1 to {INTERFACES_MAX} interfaces, by [[af_xdp.interface]] or --interface"
            );
            return Err(error("af_xdp.interface", files.len(), remedy));
        }
        let mut interfaces: Vec<InterfaceConfig> = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            let at = format!("af_xdp.interface[{index}]");
            if interfaces.iter().any(|other| other.name == file.name) {
                return Err(error(&at, file.name, "the interface is named twice"));
            }
            interfaces.push(file.validate(&at, workers)?);
        }
        Ok(AfXdpConfig {
            interfaces,
            workers,
            ring,
            drop_privileges: true,
            ..AfXdpConfig::default()
        })
    }
}

impl InterfaceFile {
    fn validate(self, at: &str, workers: usize) -> Result<InterfaceConfig, ConfigError> {
        if self.name.is_empty() || self.name.contains(char::is_whitespace) {
            let key = format!("{at}.name");
            return Err(error(&key, format!("{:?}", self.name), "name an interface"));
        }
        if let Some(queues) = &self.queues {
            let key = format!("{at}.queues");
            let fault = |remedy: &str| Err(error(&key, format!("{queues:?}"), remedy));
            if queues.iter().any(|queue| *queue >= QUEUES_MAX) {
                return fault("queues are numbered from 0 to 255");
            }
            if queues.iter().collect::<BTreeSet<_>>().len() != queues.len() {
                return fault("a queue is listed twice");
            }
            if queues.len() < workers {
                return fault("each worker needs a queue of its own: give as many as cores");
            }
        }
        Ok(InterfaceConfig {
            name: self.name,
            queues: self.queues,
            mode: self.mode.map(|mode| match mode {
                ModeFile::Native => Mode::Native,
                ModeFile::Skb => Mode::Skb,
            }),
            copying: match self.copying {
                None => Copying::Auto,
                Some(CopyingFile::Copy) => Copying::Copy,
                Some(CopyingFile::ZeroCopy) => Copying::ZeroCopy,
            },
        })
    }
}

/// What is in force, for people to see.
#[derive(Clone, Debug, Serialize)]
pub struct IoStatus {
    /// The packet back-end.
    io: &'static str,
    /// None for back-ends that know no interfaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<Interface>,
    /// Those of DPDK.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    devices: Vec<Device>,
}

impl IoStatus {
    pub(super) fn of(io: Io) -> Self {
        Self {
            io: io.name(),
            interfaces: Vec::new(),
            devices: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Interface {
    name: String,
    /// `native` or `skb`; `none` where no address is served.
    mode: &'static str,
    /// True when every queue does without copies.
    zero_copy: bool,
    queues: Vec<u32>,
}

#[derive(Clone, Debug, Serialize)]
struct Device {
    name: String,
    driver: String,
    mac: String,
    mtu: u16,
    queues: usize,
}

impl From<InterfaceStatus> for Interface {
    fn from(status: InterfaceStatus) -> Self {
        let queues = &status.queues;
        Self {
            mode: match status.mode {
                Some(Mode::Native) => "native",
                Some(Mode::Skb) => "skb",
                None => "none",
            },
            zero_copy: queues.iter().all(|queue| queue.zero_copy),
            queues: queues.iter().map(|queue| queue.queue).collect(),
            name: status.name,
        }
    }
}

/// Opens the back-end of a configuration.
///
/// With `af_xdp` the calling thread, and those that it starts from then on, have no capability any
/// more: none is needed once all is open.
///
/// # Errors
/// What cannot be had, and what to do.
pub fn open(
    config: &MediaConfig,
    addresses: &LocalAddresses,
) -> Result<(Backend, IoStatus), Failure> {
    let mut status = IoStatus::of(config.io);
    if let Some(dpdk) = &config.dpdk {
        let backend = open_dpdk(dpdk, addresses, &mut status)?;
        return Ok((backend, status));
    }
    let Some(af_xdp) = &config.af_xdp else {
        let udp = udp::UdpConfig {
            workers: config.cores.len().max(1),
            kept_max: sockets_kept_max(addresses.flows()),
            ..udp::UdpConfig::default()
        };
        let opened = udp::backend(addresses, &udp).map_err(|fault| cannot(Io::Udp, fault))?;
        return Ok((opened, status));
    };
    let opened = af_xdp::open(addresses, af_xdp).map_err(|fault| refused(&fault))?;
    status.interfaces = opened.interfaces.into_iter().map(Into::into).collect();
    for each in &status.interfaces {
        let queues = each.queues.len();
        let (name, mode, zero_copy) = (&each.name, each.mode, each.zero_copy);
        info!(interface = %name, mode, zero_copy, queues, "interface is in use");
    }
    info!("capabilities are dropped");
    Ok((opened.backend, status))
}

#[cfg(feature = "dpdk")]
fn open_dpdk(
    config: &DpdkConfig,
    addresses: &LocalAddresses,
    status: &mut IoStatus,
) -> Result<Backend, Failure> {
    use dataplane::io::dpdk::{self, SetupError};
    let opened = dpdk::open(addresses, config).map_err(|fault| {
        let remedy = match &fault {
            SetupError::NoAddress(_) => {
                "Name it with --network, or as one of networks of a [[dpdk.device]]."
            }
            SetupError::Start(_) => {
                "Reserve hugepages, or add --no-huge -m 1024; a second process needs a \
                 --file-prefix of its own."
            }
            SetupError::Memory(_) => "Give DPDK more memory: -m, or more hugepages.",
            SetupError::Device(..) => {
                "dpdk-devbind.py --status shows the devices that DPDK can have."
            }
            _ => "--io udp works everywhere.",
        };
        cannot(Io::Dpdk, fault).remedy(remedy)
    })?;
    for each in opened.devices {
        let (name, driver, mac) = (each.name, each.driver, each.mac.to_string());
        let (mtu, queues) = (each.mtu, each.queues);
        info!(device = %name, %driver, %mac, mtu, queues, "device is in use");
        status.devices.push(Device {
            name,
            driver,
            mac,
            mtu,
            queues,
        });
    }
    Ok(opened.backend)
}

#[cfg(not(feature = "dpdk"))]
fn open_dpdk(
    config: &DpdkConfig,
    _: &LocalAddresses,
    _: &mut IoStatus,
) -> Result<Backend, Failure> {
    match *config {}
}

fn cannot(io: Io, fault: impl Display) -> Failure {
    Failure::new(format!("cannot open the packet back-end {}", io.name())).because(fault)
}

fn refused(fault: &SetupError) -> Failure {
    // errno.h of Linux.
    const EPERM: i32 = 1;
    const EACCES: i32 = 13;
    const EBUSY: i32 = 16;
    const ENODEV: i32 = 19;
    const EINVAL: i32 = 22;
    const ERANGE: i32 = 34;
    const EOPNOTSUPP: i32 = 95;
    const ENOBUFS: i32 = 105;
    let remedy = match fault {
        SetupError::NoInterface(_) => "ip link shows the interfaces that there are.",
        SetupError::NoAddress(_) => "Give addresses that an interface of this host has.",
        SetupError::TooFewQueues { .. } => {
            "Give fewer cores, or the interface more queues: ethtool -L."
        }
        _ => match fault.io().and_then(std::io::Error::raw_os_error) {
            Some(EPERM | EACCES) => {
                "Start it as root, or with CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK; \
                 it gives them up once all is open."
            }
            Some(EBUSY) => {
                "Another process has this interface or queue: ip link shows its XDP program."
            }
            Some(EINVAL | ENODEV) => "ethtool -l shows the queues that the interface has.",
            Some(ERANGE) => "The MTU is too large for the driver: lower it, or set mode = \"skb\".",
            Some(EOPNOTSUPP) => {
                "The driver cannot do this: leave out mode and copying to have what it can."
            }
            Some(ENOBUFS) => "Allow more locked memory, or give CAP_IPC_LOCK: LimitMEMLOCK.",
            _ => "--io udp works everywhere.",
        },
    };
    cannot(Io::AfXdp, fault).remedy(remedy)
}

/// Sockets that may be kept for closed ports: where they are scarce, ports in use have as many.
///
/// A port takes a descriptor: tells at the start when there are fewer of them than ports.
fn sockets_kept_max(ports: usize) -> usize {
    let limit = match udp::raise_descriptor_limit() {
        Ok(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        Err(fault) => {
            warn!(%fault, "cannot raise the limit of open files");
            return 0;
        }
    };
    if limit < ports {
        warn!(
            limit,
            ports, "fewer open files allowed than ports: raise LimitNOFILE"
        );
    }
    udp::KEPT_MAX.min(limit / 2)
}

#[cfg(test)]
mod tests {
    use super::super::config::MediaFile;
    use super::*;

    fn config(text: &str) -> Result<MediaConfig, ConfigError> {
        MediaFile::parse(text).and_then(MediaFile::validate)
    }

    #[test]
    fn interfaces_are_told_what_the_file_says() {
        let text = "io = \"af_xdp\"\ncores = \"0,1\"\n[af_xdp]\nring = 1024\n\
                    [[af_xdp.interface]]\nname = \"eth0\"\nqueues = [2, 3]\nmode = \"skb\"\n\
                    copying = \"copy\"\n[[af_xdp.interface]]\nname = \"eth1\"\n";
        let config = config(text).expect("valid").af_xdp.expect("told");
        assert_eq!((config.workers, config.ring), (2, 1024));
        assert!(config.drop_privileges);
        let [first, second] = &config.interfaces[..] else {
            panic!("two interfaces");
        };
        assert_eq!(
            (&*first.name, first.queues.as_deref()),
            ("eth0", Some(&[2, 3][..]))
        );
        assert_eq!(
            (first.mode, first.copying),
            (Some(Mode::Skb), Copying::Copy)
        );
        assert_eq!((second.queues.as_ref(), second.mode), (None, None));
        assert_eq!(second.copying, Copying::Auto);
    }

    #[test]
    fn each_bad_value_names_its_key() {
        let interface = "[[af_xdp.interface]]\nname = \"eth0\"\n";
        for (rest, key) in [
            ("", "af_xdp.interface"),
            (
                "[af_xdp]\nring = 100\n[[af_xdp.interface]]\nname = \"a\"",
                "af_xdp.ring",
            ),
            (
                "[[af_xdp.interface]]\nname = \"\"",
                "af_xdp.interface[0].name",
            ),
            (&format!("{interface}{interface}"), "af_xdp.interface[1]"),
            (
                &format!("{interface}queues = [1]"),
                "af_xdp.interface[0].queues",
            ),
            (
                &format!("{interface}queues = [1, 1]"),
                "af_xdp.interface[0].queues",
            ),
            (
                &format!("{interface}queues = [1, 256]"),
                "af_xdp.interface[0].queues",
            ),
        ] {
            let text = format!("io = \"af_xdp\"\ncores = \"0,1\"\n{rest}");
            let fault = config(&text).expect_err("refused");
            assert_eq!(fault.key, key, "{text}");
        }
    }

    #[test]
    fn interfaces_without_the_back_end_are_a_contradiction() {
        let text = "[[af_xdp.interface]]\nname = \"eth0\"\n";
        assert_eq!(config(text).expect_err("refused").key, "af_xdp");
        assert!(config("io = \"udp\"").expect("valid").af_xdp.is_none());
    }

    #[test]
    fn what_the_system_refuses_has_a_remedy() {
        for (errno, word) in [
            (1, "root"),
            (16, "XDP program"),
            (95, "leave out"),
            (5, "udp"),
        ] {
            let fault = std::io::Error::from_raw_os_error(errno);
            let text = refused(&SetupError::Bind("eth0".into(), 3, fault)).to_string();
            assert!(
                text.contains("queue 3 of eth0") && text.contains(word),
                "{text}"
            );
        }
    }
}
