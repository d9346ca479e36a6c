//! Two network namespaces with a cable between them.

#![allow(dead_code, reason = "each test uses its part of it")]

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// How the two ends of a pair speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    V4,
    V6,
}

/// Two namespaces, *near* and *far*, with a veth pair between interfaces of these names. Deleted on
/// drop.
///
/// | | near | far |
/// |---|---|---|
/// | IPv4 | 192.0.2.1 | 192.0.2.2 |
/// | IPv6 | 2001:db8::1 | 2001:db8::2 |
pub struct Pair {
    near: String,
    far: String,
}

impl Pair {
    /// Makes one whose interfaces have so many queues.
    ///
    /// Panics where that is not allowed: a test that cannot run must not look as if it had passed.
    pub fn new(queues: u32) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = std::process::id();
        let pair = Self {
            near: format!("cable-{id}-{number}n"),
            far: format!("cable-{id}-{number}f"),
        };
        ip(&["netns", "add", &pair.near]);
        ip(&["netns", "add", &pair.far]);
        let end = format!("mtu 3000 numrxqueues {queues} numtxqueues {queues}");
        let cable = format!(
            "link add near netns {} {end} type veth peer name far {end} netns {}",
            pair.near, pair.far
        );
        let cable: Vec<&str> = cable.split(' ').collect();
        ip(&cable);
        for (namespace, link, last) in [(&pair.near, "near", "1"), (&pair.far, "far", "2")] {
            let inside = |arguments: &str| {
                let words: Vec<&str> = ["-n", namespace]
                    .into_iter()
                    .chain(arguments.split(' '))
                    .collect();
                ip(&words);
            };
            inside("link set lo up");
            inside(&format!("addr add 192.0.2.{last}/24 dev {link}"));
            inside(&format!("addr add 2001:db8::{last}/64 dev {link} nodad"));
            inside(&format!("link set {link} up"));
        }
        pair.settle();
        pair
    }

    /// The same without addresses on the near end, so that the kernel is no host there: somebody
    /// else is to be.
    pub fn without_near_host(queues: u32) -> Self {
        let pair = Self::new(queues);
        pair.ip_near("addr flush dev near");
        pair.ip_near("link set near arp off");
        // What the kernel said of the near end is forgotten.
        pair.ip_far("neigh flush all");
        pair
    }

    /// Waits until both ends speak both families: a link takes a while to come up, and neighbours
    /// have to be found.
    fn settle(&self) {
        for way in [Way::V4, Way::V6] {
            let (near, far) = self.addresses(way);
            let receiver = self.in_far(|| UdpSocket::bind((far, 0)).unwrap());
            receiver
                .set_read_timeout(Some(Duration::from_millis(20)))
                .unwrap();
            let to = receiver.local_addr().unwrap();
            let sender = within(&self.near, || UdpSocket::bind((near, 0)).unwrap());
            let arrived = (0..200).any(|_| {
                // Refused until the link is up.
                let _ = sender.send_to(b"?", to);
                receiver.recv(&mut [0; 8]).is_ok()
            });
            assert!(arrived, "the two ends of a cable speak {way:?}");
        }
    }

    /// Near and far addresses.
    pub fn addresses(&self, way: Way) -> (IpAddr, IpAddr) {
        let parse = |text: &str| text.parse().unwrap();
        match way {
            Way::V4 => (parse("192.0.2.1"), parse("192.0.2.2")),
            Way::V6 => (parse("2001:db8::1"), parse("2001:db8::2")),
        }
    }

    /// The calling thread is in the near namespace from then on.
    pub fn enter_near(&self) {
        enter(&self.near);
    }

    /// Does something on a thread in the far namespace.
    pub fn in_far<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        within(&self.far, work)
    }

    /// `ip` in the near namespace, words separated by blanks.
    pub fn ip_near(&self, arguments: &str) -> String {
        let words: Vec<&str> = ["-n", &self.near]
            .into_iter()
            .chain(arguments.split(' '))
            .collect();
        ip(&words)
    }

    /// The same in the far one.
    pub fn ip_far(&self, arguments: &str) -> String {
        let words: Vec<&str> = ["-n", &self.far]
            .into_iter()
            .chain(arguments.split(' '))
            .collect();
        ip(&words)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}

fn within<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(name);
            work()
        });
        thread.join().unwrap()
    })
}

fn enter(name: &str) {
    let path = format!("/run/netns/{name}");
    let place = File::open(&path).unwrap_or_else(|fault| panic!("no {path}: {fault}"));
    move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network))
        .unwrap_or_else(|fault| panic!("cannot enter {path}: {fault}"));
}

/// Runs `ip`, which must succeed, and returns what it prints.
fn ip(arguments: &[&str]) -> String {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .unwrap_or_else(|fault| panic!("this test needs iproute2: {fault}"));
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "this test needs root and iproute2: ip {}: {fault}",
        arguments.join(" ")
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
