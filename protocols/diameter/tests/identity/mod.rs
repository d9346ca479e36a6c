//! Who the nodes of the tests are.

use std::net::SocketAddr;

use diameter::endpoint::{Local, PeerConfig};
use diameter::{Origin, dictionary};

pub const REALM: &str = "ims.test";

/// 192.0.2.`number`:3868 is where node `number` listens; `node1.ims.test` is its name.
pub fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 3868))
}

pub fn name(number: u8) -> String {
    format!("node{number}.{REALM}")
}

/// A peer this node connects to, or only waits for.
pub fn peer(number: u8, connects: bool) -> PeerConfig {
    PeerConfig {
        host: name(number),
        realm: REALM.to_owned(),
        address: connects.then(|| address(number)),
        is_relay: false,
    }
}

pub fn local(number: u8) -> Local {
    Local {
        origin: Origin {
            host: name(number),
            realm: REALM.to_owned(),
        },
        host_ip_addresses: vec![address(number).ip()],
        vendor_id: 0,
        product_name: "node under test".to_owned(),
        applications: vec![&dictionary::cx::DICTIONARY],
    }
}
