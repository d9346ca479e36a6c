//! Devices and their queues.

use crate::{Eal, Error, Mbuf, Pool, bindings};
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};

/// A device that runs: a NIC, or what a driver makes look like one.
///
/// It runs until the device and all of its queues are dropped; then it is closed, and one that was
/// made when it was opened is gone.
#[derive(Clone, Debug)]
pub struct Device(Arc<Port>);

/// One queue of a device, to receive from and to send by; of one thread at a time.
#[derive(Debug)]
pub struct Queue {
    port: Arc<Port>,
    number: u16,
    /// What it receives is put into.
    pool: Arc<Pool>,
}

/// What a device has counted since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets lost because nobody took them in time.
    pub missed: u64,
    /// Packets that were broken, or did not fit.
    pub broken: u64,
    /// Packets lost for want of a buffer.
    pub no_buffer: u64,
    /// Packets that could not be sent.
    pub unsent: u64,
}

#[derive(Debug)]
struct Port {
    eal: &'static Eal,
    id: u16,
    driver: String,
    mac: [u8; 6],
    mtu: u16,
    /// It was not there before it was opened.
    is_ours: bool,
    /// It is to be stopped before it is closed.
    is_started: bool,
}

/// Ports that are open in this process.
static OPEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

impl Device {
    /// Opens a device and starts it, with one queue in each direction for each of `pools`, of about
    /// `descriptors` packets.
    ///
    /// `arguments` names it as DPDK does, with its options: `0000:3b:00.0`,
    /// `net_memif0,role=client,socket=/run/memif.sock`. One that DPDK does not know yet is looked
    /// for or made, in the network namespace of the calling thread. It receives what is for its
    /// own address and for every group.
    ///
    /// # Errors
    /// `InUse`, `TooFewQueues`, `Misuse` for no pool or a zero octet, `Refused`.
    pub fn open(
        eal: &'static Eal,
        arguments: &str,
        pools: &[Arc<Pool>],
        descriptors: u16,
    ) -> Result<(Self, Vec<Queue>), Error> {
        let queues = u16::try_from(pools.len()).unwrap_or(u16::MAX);
        if queues == 0 || queues > QUEUES_MAX {
            return Err(Error::Misuse("a device has 1 to 256 queues"));
        }
        let changes = eal.changes();
        let mut port = Port::find(eal, arguments)?;
        // From here on dropping the port undoes what was done, for which it needs the right.
        let opened = port.configure(pools, descriptors);
        drop(changes);
        opened?;
        let port = Arc::new(port);
        let queue = |(number, pool): (usize, &Arc<Pool>)| Queue {
            port: Arc::clone(&port),
            number: number as u16,
            pool: Arc::clone(pool),
        };
        let queues = pools.iter().enumerate().map(queue).collect();
        Ok((Self(port), queues))
    }

    /// The driver's name.
    pub fn driver(&self) -> &str {
        &self.0.driver
    }

    /// Its hardware address.
    pub fn mac_octets(&self) -> [u8; 6] {
        self.0.mac
    }

    /// The longest packet without the link's header.
    pub fn mtu(&self) -> u16 {
        self.0.mtu
    }

    /// True when its link is known to be up.
    pub fn link_is_up(&self) -> bool {
        let _changes = self.0.eal.changes();
        // SAFETY: the port is started as long as this is there.
        unsafe { bindings::shim_link_is_up(self.0.id) != 0 }
    }

    /// What it has counted.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = MaybeUninit::<bindings::rte_eth_stats>::zeroed();
        // SAFETY: the port is started as long as this is there, and the result fits.
        unsafe { bindings::rte_eth_stats_get(self.0.id, statistics.as_mut_ptr()) };
        // SAFETY: numbers, zero where nothing else was written.
        let statistics = unsafe { statistics.assume_init() };
        Statistics {
            received: statistics.ipackets,
            sent: statistics.opackets,
            missed: statistics.imissed,
            broken: statistics.ierrors,
            no_buffer: statistics.rx_nombuf,
            unsent: statistics.oerrors,
        }
    }
}

impl Port {
    /// Finds or makes a port, and takes it. The caller has the right to change devices.
    fn find(eal: &'static Eal, arguments: &str) -> Result<Self, Error> {
        let name = arguments.split(',').next().unwrap_or_default();
        let text =
            |text: &str| CString::new(text).map_err(|_| Error::Misuse("a device has a zero octet"));
        let (name, arguments) = (text(name)?, text(arguments)?);
        let mut id = 0;
        // SAFETY: the name lives as long as the call, and the result fits.
        let mut error = unsafe { bindings::rte_eth_dev_get_port_by_name(name.as_ptr(), &mut id) };
        let is_ours = error != 0;
        if is_ours {
            // SAFETY: the text lives as long as the call.
            error = unsafe { bindings::rte_dev_probe(arguments.as_ptr()) };
            if error != 0 {
                return Err(Error::returned("find the device", error));
            }
            // SAFETY: as above.
            error = unsafe { bindings::rte_eth_dev_get_port_by_name(name.as_ptr(), &mut id) };
        }
        if error != 0 {
            return Err(Error::returned("find a port of this name", error));
        }
        if !open_ports(|open| open.insert(id)) {
            return Err(Error::InUse);
        }
        Ok(Self {
            eal,
            id,
            driver: String::new(),
            mac: [0; 6],
            mtu: 0,
            is_ours,
            is_started: false,
        })
    }

    /// Configures and starts the port. The caller has the right to change devices.
    fn configure(&mut self, pools: &[Arc<Pool>], descriptors: u16) -> Result<(), Error> {
        let queues = pools.len() as u16;
        let about = self.about()?;
        let queues_max = about.rx_queues_max.min(about.tx_queues_max);
        if queues_max < queues {
            return Err(Error::TooFewQueues(queues_max));
        }
        // SAFETY: the text is filled up with zero octets, the last one at least.
        let driver = unsafe { CStr::from_ptr(about.driver.as_ptr()) };
        self.driver = driver.to_string_lossy().into_owned();
        // SAFETY: the port exists and is not started.
        let error = unsafe { bindings::shim_configure(self.id, queues) };
        succeeded("configure the device", error)?;
        let (mut rx, mut tx) = (descriptors, descriptors);
        // SAFETY: the port is configured, and the results fit.
        let error =
            unsafe { bindings::rte_eth_dev_adjust_nb_rx_tx_desc(self.id, &mut rx, &mut tx) };
        succeeded("size the device's rings", error)?;
        for (queue, pool) in pools.iter().enumerate() {
            // SAFETY: the port is configured with as many queues, and pools are never freed.
            let error = unsafe {
                bindings::shim_queue(self.id, queue as u16, rx, tx, about.socket, pool.as_ptr())
            };
            succeeded("set up a queue", error)?;
        }
        // SAFETY: the port exists, and six bytes fit.
        let error = unsafe { bindings::rte_eth_macaddr_get(self.id, self.mac.as_mut_ptr().cast()) };
        succeeded("read the device's address", error)?;
        // SAFETY: the port exists, and the result fits.
        let error = unsafe { bindings::rte_eth_dev_get_mtu(self.id, &mut self.mtu) };
        succeeded("read the device's MTU", error)?;
        // SAFETY: the port is configured and its queues are set up.
        let error = unsafe { bindings::rte_eth_dev_start(self.id) };
        succeeded("start the device", error)?;
        self.is_started = true;
        // Neighbours ask groups of hosts. A driver that can do neither takes all there is.
        // SAFETY: the port is started.
        let error = unsafe { bindings::rte_eth_allmulticast_enable(self.id) };
        if error != 0 {
            // SAFETY: the port is started.
            unsafe { bindings::rte_eth_promiscuous_enable(self.id) };
        }
        Ok(())
    }

    fn about(&self) -> Result<bindings::shim_port, Error> {
        let mut about = MaybeUninit::zeroed();
        // SAFETY: the port exists, and the result fits.
        let error = unsafe { bindings::shim_port(self.id, about.as_mut_ptr()) };
        succeeded("learn about the device", error)?;
        // SAFETY: it was written, and zero is a value of all of its fields.
        Ok(unsafe { about.assume_init() })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let _changes = self.eal.changes();
        let about = self.about();
        if self.is_started {
            // SAFETY: the port is started, and no queue of it is left to be used.
            unsafe { bindings::rte_eth_dev_stop(self.id) };
        }
        // SAFETY: the port exists and is not started.
        unsafe { bindings::rte_eth_dev_close(self.id) };
        if let (true, Ok(about)) = (self.is_ours, about) {
            // SAFETY: the device is there until it is removed, and it was this port that had it.
            unsafe { bindings::rte_dev_remove(about.device) };
        }
        open_ports(|open| open.remove(&self.id));
    }
}

impl Queue {
    /// Receives up to `count` packets, at most [`BURST_MAX`], and adds them to `packets`; returns
    /// how many. Does not wait.
    pub fn receive(&mut self, packets: &mut Vec<Mbuf>, count: usize) -> usize {
        let count = count.min(BURST_MAX);
        packets.reserve(count);
        let places = packets.spare_capacity_mut().as_mut_ptr();
        let places = places.cast::<*mut bindings::rte_mbuf>();
        // SAFETY: the port is started, has this queue, and nobody else receives from it, since
        // there is one `Queue` for each and it is borrowed alone. There is room for as many, and an
        // `Mbuf` is a pointer to a packet.
        let received =
            unsafe { bindings::shim_rx_burst(self.port.id, self.number, places, count as u16) };
        let received = usize::from(received).min(count);
        // SAFETY: as many packets were written there, which are the caller's now.
        unsafe { packets.set_len(packets.len() + received) };
        received
    }

    /// Sends the first of `packets` that the device takes now, and leaves those that it does not;
    /// returns how many were sent.
    pub fn send(&mut self, packets: &mut Vec<Mbuf>) -> usize {
        let mut sent = 0;
        while sent < packets.len() {
            let rest = &mut packets[sent..];
            let count = rest.len().min(BURST_MAX);
            let places = rest.as_mut_ptr().cast::<*mut bindings::rte_mbuf>();
            // SAFETY: the port is started, has this queue, and nobody else sends by it. As many
            // packets are there, and an `Mbuf` is a pointer to a packet.
            let taken =
                unsafe { bindings::shim_tx_burst(self.port.id, self.number, places, count as u16) };
            let taken = usize::from(taken).min(count);
            sent += taken;
            if taken < count {
                break;
            }
        }
        for packet in packets.drain(..sent) {
            // It is the device's, which frees it.
            let _ = packet.into_raw();
        }
        sent
    }

    /// Where what it receives comes from.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

fn open_ports<T>(change: impl FnOnce(&mut BTreeSet<u16>) -> T) -> T {
    change(&mut OPEN.lock().unwrap_or_else(PoisonError::into_inner))
}

fn succeeded(what: &'static str, code: i32) -> Result<(), Error> {
    if code == 0 {
        Ok(())
    } else {
        Err(Error::returned(what, code))
    }
}

/// Packets of one call at most.
pub const BURST_MAX: usize = 256;

/// Queues of one device at most.
const QUEUES_MAX: u16 = 256;
