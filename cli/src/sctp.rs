//! Flags of SCTP, which both processes have.

use clap::Args;
use control::config::SctpFile;

/// What carries SCTP.
#[derive(Clone, Debug, Args)]
pub struct SctpArgs {
    /// UDP port in which SCTP goes (RFC 6951), and that of peers if it is another; without, it goes
    /// raw in IP
    #[arg(long, value_name = "PORT[,PORT]", value_delimiter = ',', num_args = 1..=2)]
    sctp_udp: Option<Vec<u16>>,
}

impl SctpArgs {
    /// What the flags say, as a file would.
    pub fn file(&self) -> Option<SctpFile> {
        let ports = self.sctp_udp.as_deref()?;
        Some(SctpFile {
            udp_port: ports.first().copied(),
            peer_udp_port: ports.get(1).copied(),
            ..SctpFile::default()
        })
    }
}
