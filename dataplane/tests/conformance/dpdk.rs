//! The rig of the `dpdk` back-end.

use super::{KernelHost, PORTS, Rig};
use crate::namespace::{Pair, Way};
use dataplane::io::dpdk::{self, DeviceConfig, DpdkConfig};
use dataplane::{LocalAddress, LocalAddresses};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use udp_batch::Socket;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A rig of DPDK on one end of a veth pair on which the kernel is no host, and a kernel socket on
/// the other.
pub fn dpdk_rig(pair: &Pair, way: Way) -> Rig {
    let (local, other) = pair.addresses(way);
    pair.enter_near();
    let addresses =
        LocalAddresses::new(&[LocalAddress::new(local, 20_000..=20_000 + PORTS - 1)]).unwrap();
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let options = "iface=near,framesz=2048,framecnt=512";
    let bits = if local.is_ipv4() { 24 } else { 64 };
    let config = DpdkConfig {
        eal: "--no-huge -m 1024 --no-pci --no-telemetry --no-shconf --log-level=error"
            .split(' ')
            .map(String::from)
            .collect(),
        devices: vec![DeviceConfig {
            name: format!("net_af_packet{number},{options}"),
            networks: vec![format!("{local}/{bits}").parse().unwrap()],
        }],
        frames: dpdk::FRAMES_MIN,
        descriptors: 256,
        ..DpdkConfig::default()
    };
    let opened = dpdk::open(&addresses, &config).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(opened.devices[0].driver, "net_af_packet");
    let socket = pair.in_far(|| Socket::bind(SocketAddr::new(other, 0)).unwrap());
    // No route leads there.
    let refused = match way {
        Way::V4 => "203.0.113.9:9".parse().unwrap(),
        Way::V6 => "[2001:db8:ffff::9]:9".parse().unwrap(),
    };
    Rig {
        backend: opened.backend,
        other_side: Box::new(KernelHost::new(socket)),
        refused,
        open: Vec::new(),
    }
}
