//! Flags of SCTP, which all have that speak it.

use std::str::FromStr;

use clap::Args;
use control::config::SctpFile;

/// What carries SCTP.
#[derive(Clone, Debug, Args)]
pub struct SctpArgs {
    /// UDP port in which SCTP goes (RFC 6951), and that of peers if it is another; without, it goes
    /// raw in IP
    #[arg(long, value_name = "PORT[,PORT]")]
    sctp_udp: Option<UdpPorts>,
}

/// Ours, and that of peers if it is another.
#[derive(Clone, Copy, Debug)]
struct UdpPorts(u16, Option<u16>);

impl FromStr for UdpPorts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.trim().parse().ok();
        let ports = match text.split_once(',') {
            Some((own, theirs)) => port(own)
                .zip(port(theirs))
                .map(|(a, b)| UdpPorts(a, Some(b))),
            None => port(text).map(|own| UdpPorts(own, None)),
        };
        ports.ok_or_else(|| format!("{text:?} is no port, nor two, as in 9899 or 9900,9899"))
    }
}

impl SctpArgs {
    /// What the flags say, as a file would.
    pub fn file(&self) -> Option<SctpFile> {
        let UdpPorts(own, theirs) = self.sctp_udp?;
        Some(SctpFile {
            udp_port: Some(own),
            peer_udp_port: theirs,
            ..SctpFile::default()
        })
    }
}
