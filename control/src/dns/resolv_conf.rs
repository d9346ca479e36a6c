//! The name servers that the system uses: resolv.conf(5).

use std::net::{IpAddr, SocketAddr};

/// Port of DNS (RFC 1035 4.2).
const DNS_PORT: u16 = 53;
/// As many as the system's own resolver takes (MAXNS).
const NAMESERVERS_MAX: usize = 3;

/// Where the system keeps them.
pub const PATH: &str = "/etc/resolv.conf";

/// The `nameserver` lines of a resolv.conf, in order. Addresses with a zone and whatever else
/// cannot be read are left out; the other keywords do not matter, as all names here are whole.
pub fn nameservers(text: &str) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        let Some(address) = address.map(|ip| SocketAddr::new(ip, DNS_PORT)) else {
            continue;
        };
        if !found.contains(&address) && found.len() < NAMESERVERS_MAX {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameserver_lines_are_read_and_nothing_else() {
        let text = "# nameserver 192.0.2.1\n; nameserver 192.0.2.1\nsearch ims.test\n\
            nameserver 192.0.2.2\nnameserver\t2001:db8::1 # comment\n\
            nameserver fe80::1%eth0\nnameserver 192.0.2.2\nnameservers 192.0.2.3\n\
            nameserver\nnameserver nonsense\r\nnameserver 192.0.2.4\r\n\
            nameserver 192.0.2.5\n";
        let expected: Vec<SocketAddr> = ["192.0.2.2:53", "[2001:db8::1]:53", "192.0.2.4:53"]
            .iter()
            .map(|address| address.parse().expect("an address"))
            .collect();
        assert_eq!(nameservers(text), expected);
        assert_eq!(nameservers(""), []);
    }
}
