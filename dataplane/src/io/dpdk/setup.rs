//! From a configuration to a back-end.

use super::host::Host;
use super::network::{NETWORKS_MAX, Network, Placed, Places};
use super::station::{Facts, Station};
use super::{DpdkEndpoints, DpdkIo, Port, WAKEUP};
use crate::flow_set::FlowSet;
use crate::io::hop::FIRST_VERSION;
use crate::{BURST_MAX, Backend, LocalAddresses, PacketIo};
use dpdk_sys::{Device, Eal, Error, Pool, Queue};
use inet::MacAddress;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use udp_batch::{Epoll, EventFd, Events};

/// What the `dpdk` back-end can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DpdkConfig {
    /// Arguments for DPDK's environment abstraction layer.
    pub eal: Vec<String>,
    /// The devices, at least one.
    pub devices: Vec<DeviceConfig>,
    /// Workers, at least one and no more than any device has queues.
    pub workers: usize,
    /// Frames of each worker for datagrams on their way, at least [`FRAMES_MIN`]; those in rings
    /// come on top.
    pub frames: usize,
    /// Descriptors of each ring of each queue, as far as the driver takes as many.
    pub descriptors: u16,
}

impl Default for DpdkConfig {
    fn default() -> Self {
        Self {
            eal: Vec::new(),
            devices: Vec::new(),
            workers: 1,
            frames: 2048,
            descriptors: 1024,
        }
    }
}

/// One device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceConfig {
    /// Its name as DPDK has it, with the options of its driver: `0000:3b:00.0`,
    /// `net_memif0,role=client`.
    pub name: String,
    /// Our addresses there.
    pub networks: Vec<Network>,
}

/// What was opened.
pub struct Opened {
    /// The back-end.
    pub backend: Backend,
    /// What is in force on each device.
    pub devices: Vec<DeviceStatus>,
}

/// What is in force on a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceStatus {
    /// Its name, without options.
    pub name: String,
    /// Its driver's name.
    pub driver: String,
    /// Its address.
    pub mac: MacAddress,
    /// The longest IP packet.
    pub mtu: u16,
    /// Queues in use.
    pub queues: usize,
}

/// Why the back-end cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// No device or network, too many of them, or one twice.
    Misuse(&'static str),
    /// No device has this address.
    NoAddress(IpAddr),
    /// DPDK cannot be started.
    Start(Error),
    /// There is no memory for packets.
    Memory(Error),
    /// A device cannot be opened.
    Device(String, Error),
    /// Something else cannot be had from the system.
    Io(&'static str, io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::Misuse(what) => f.write_str(what),
            SetupError::NoAddress(address) => write!(f, "no device has the address {address}"),
            SetupError::Start(error) => error.fmt(f),
            SetupError::Memory(error) => write!(f, "no packet memory: {error}"),
            SetupError::Device(name, error) => write!(f, "cannot open {name}: {error}"),
            SetupError::Io(what, error) => write!(f, "cannot open {what}: {error}"),
        }
    }
}

impl std::error::Error for SetupError {}

/// A device that runs, and its queue for each worker.
struct Running {
    device: Device,
    queues: Vec<Queue>,
}

/// Opens the back-end for `addresses`, each of which must be one of a device's networks.
///
/// DPDK is started with the first one that a process opens; later ones must have the same
/// arguments for it. A device that DPDK makes in a network namespace is made in that of the calling
/// thread.
///
/// # Errors
/// What cannot be had.
pub fn open(addresses: &LocalAddresses, config: &DpdkConfig) -> Result<Opened, SetupError> {
    let placed = placed(config)?;
    let places = Places::new(&placed, addresses).map_err(SetupError::NoAddress)?;
    let eal = dpdk_sys::start(&config.eal).map_err(SetupError::Start)?;
    let workers = config.workers.max(1);
    let pools: Result<Vec<Arc<Pool>>, Error> = (0..workers)
        .map(|_| Pool::new(eal, mbufs(config), None))
        .collect();
    let pools = pools.map_err(SetupError::Memory)?;
    let mut running = Vec::new();
    for device in &config.devices {
        running.push(run(eal, device, &pools, config.descriptors)?);
    }
    let facts = running.iter().map(|it| Facts {
        mac: MacAddress(it.device.mac_octets()),
        mtu: it.device.mtu(),
    });
    let facts: Vec<Facts> = facts.collect();
    let status = running.iter().zip(&config.devices).zip(&facts);
    let status = status.map(|((it, config), facts)| DeviceStatus {
        name: plain_name(&config.name).to_owned(),
        driver: it.device.driver().to_owned(),
        mac: facts.mac,
        mtu: facts.mtu,
        queues: it.queues.len(),
    });
    let status = status.collect();
    let station = Station::new(facts.clone(), &placed, FIRST_VERSION);
    let devices: Vec<Device> = running.iter().map(|it| it.device.clone()).collect();
    let descriptors = |error| SetupError::Io("descriptors", error);
    let mut host = Host::new(station, devices.clone()).map_err(descriptors)?;
    let mtus: Box<[u16]> = facts.iter().map(|facts| facts.mtu).collect();
    let mut ios: Vec<Box<dyn PacketIo>> = Vec::new();
    for (worker, pool) in pools.into_iter().enumerate() {
        let (epoll, wakeup) = (
            Epoll::new().map_err(descriptors)?,
            Arc::new(EventFd::new().map_err(descriptors)?),
        );
        epoll.add(&*wakeup, WAKEUP).map_err(descriptors)?;
        // Each device has a queue for each worker.
        let ports = running.iter_mut().map(|it| Port::new(it.queues.remove(0)));
        // The first one looks after the devices for all.
        let watched = if worker == 0 { &devices[..] } else { &[] };
        ios.push(Box::new(DpdkIo {
            addresses: addresses.clone(),
            places: places.clone(),
            mtus: mtus.clone(),
            ports: ports.collect(),
            next: 0,
            batch: Vec::with_capacity(BURST_MAX),
            batch_port: 0,
            spare: Vec::with_capacity(BURST_MAX),
            pool,
            available: config.frames.max(FRAMES_MIN),
            open: FlowSet::new(addresses.flows()),
            host: host.add_worker(addresses.flows(), &wakeup),
            watched: super::watched(watched),
            watched_at: None,
            epoll,
            events: Events::new(1),
            wakeup,
        }));
    }
    let host = host
        .start()
        .map_err(|error| SetupError::Io("a thread", error))?;
    let backend = Backend {
        addresses: addresses.clone(),
        ios,
        endpoints: Box::new(DpdkEndpoints { _host: host }),
    };
    Ok(Opened {
        backend,
        devices: status,
    })
}

/// Every network and its device.
fn placed(config: &DpdkConfig) -> Result<Vec<Placed>, SetupError> {
    if config.devices.is_empty() || config.devices.len() > DEVICES_MAX {
        return Err(SetupError::Misuse("give 1 to 16 devices"));
    }
    let names: BTreeSet<&str> = config
        .devices
        .iter()
        .map(|it| plain_name(&it.name))
        .collect();
    if names.len() != config.devices.len() {
        return Err(SetupError::Misuse("a device is named twice"));
    }
    let mut placed: Vec<Placed> = Vec::new();
    for (device, each) in config.devices.iter().enumerate() {
        let device = device as u16;
        placed.extend(
            each.networks
                .iter()
                .map(|&network| Placed { device, network }),
        );
    }
    if placed.len() > NETWORKS_MAX {
        return Err(SetupError::Misuse("give at most 256 networks"));
    }
    let addresses: BTreeSet<IpAddr> = placed.iter().map(|it| it.network.address).collect();
    if addresses.len() != placed.len() {
        return Err(SetupError::Misuse("an address is given twice"));
    }
    Ok(placed)
}

fn run(
    eal: &'static Eal,
    config: &DeviceConfig,
    pools: &[Arc<Pool>],
    descriptors: u16,
) -> Result<Running, SetupError> {
    let opened = Device::open(eal, &config.name, pools, descriptors);
    let (device, queues) =
        opened.map_err(|error| SetupError::Device(plain_name(&config.name).to_owned(), error))?;
    Ok(Running { device, queues })
}

/// Packets of one worker's pool: those in the rings of its queues, those in its hands, those that
/// threads keep, those of the host.
fn mbufs(config: &DpdkConfig) -> u32 {
    let rings = config.devices.len() * (2 * usize::from(config.descriptors) + 2 * BURST_MAX);
    let all = rings + config.frames.max(FRAMES_MIN) + MBUFS_KEPT;
    u32::try_from(all).unwrap_or(u32::MAX)
}

fn plain_name(name: &str) -> &str {
    name.split(',').next().unwrap_or(name)
}

/// Fewest frames of a worker outside its rings.
pub const FRAMES_MIN: usize = crate::worker::FRAMES_IN_FLIGHT_MAX;

/// Devices of one process at most.
pub const DEVICES_MAX: usize = 16;

/// Packets that the caches of a few threads keep, and what the host sends in one turn.
const MBUFS_KEPT: usize = 2048;
