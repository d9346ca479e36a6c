//! `strowger media`: the media process.

mod admin;
mod associations;
pub mod config;
mod datagrams;
mod dpdk;
mod event_loop;
mod io;
mod links;
mod load;
mod metrics;
mod mrfp;
mod status;
mod tapping;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::Failure;
use crate::process::{self, Order};
use crate::sctp::SctpArgs;
use config::{Flags, Function, GatewayFile, Io, MediaConfig, MediaFile};
use dpdk::DpdkFile;
use event_loop::EventLoop;
use io::{AfXdpFile, InterfaceFile};
pub use mrfp::MrfpFile;

/// Flags of the media process; each wins over the key of the same name in the file. Those that
/// describe a virtual MG are for the one case that there is only one.
#[derive(Debug, Args)]
pub struct MediaArgs {
    /// TOML file with the configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What the virtual MG does: trgw or mrfp
    #[arg(long, value_name = "FUNCTION")]
    functions: Option<Function>,
    /// Addresses of its controllers, the primary first
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',')]
    mgc: Option<Vec<SocketAddr>>,
    /// Its own address for H.248, which is its MID
    #[arg(long, value_name = "IP:PORT")]
    mid: Option<SocketAddr>,
    /// Encoding and transport of H.248: compact, pretty or ber; udp, tcp or sctp
    #[arg(long, value_name = "ENCODING,TRANSPORT")]
    h248: Option<String>,
    /// Addresses for media
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    address: Option<Vec<IpAddr>>,
    /// What the gateway supports: whole, or what an interface asks for (ix, iq, mp, mn)
    #[arg(long, value_name = "NAME")]
    profile: Option<config::Profile>,
    /// UDP ports for media
    #[arg(long, value_name = "LOW-HIGH")]
    ports: Option<String>,
    /// Packet back-end: udp, af_xdp or dpdk
    #[arg(long, value_name = "NAME")]
    io: Option<Io>,
    /// Interfaces for af_xdp, with all their queues
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    interface: Option<Vec<String>>,
    /// Device for dpdk, with its driver's options
    #[arg(long, value_name = "NAME,OPTIONS")]
    device: Option<String>,
    /// An address on that device, and what is reached from it: "192.0.2.1/24 via 192.0.2.254"
    #[arg(long, value_name = "ADDRESS/BITS via ROUTER vlan ID")]
    network: Option<Vec<String>>,
    /// Arguments for DPDK itself: "--no-huge -m 1024"
    #[arg(long, value_name = "ARGUMENTS", allow_hyphen_values = true)]
    eal: Option<String>,
    /// Cores for workers, one pinned to each: 2,4-7
    #[arg(long, value_name = "LIST")]
    cores: Option<String>,
    /// Folder of what an mrfp announces
    #[arg(long, value_name = "FOLDER")]
    prompts: Option<PathBuf>,
    /// Folder of what an mrfp records
    #[arg(long, value_name = "FOLDER")]
    recordings: Option<PathBuf>,
    /// Address of the admin interface
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    /// Let clients of the admin interface capture media (`strowger tap`)
    #[arg(long)]
    tap: bool,
    #[command(flatten)]
    sctp: SctpArgs,
    #[command(flatten)]
    process: process::ProcessArgs,
}

impl MediaArgs {
    /// The configuration of file and flags together.
    fn config(&self) -> Result<MediaConfig, Failure> {
        let (file, origin) = match &self.config {
            Some(path) => (read(path)?, format!("{} and flags", path.display())),
            None => (MediaFile::default(), "media".to_owned()),
        };
        let file = file
            .overridden_by(self.flags())
            .map_err(|fault| Failure::new(origin.clone()).because(fault))?;
        validate(file, &origin)
    }

    fn flags(&self) -> Flags {
        Flags {
            process: MediaFile {
                io: self.io,
                cores: self.cores.clone(),
                priority: None,
                admin: self.admin,
                tap: self.tap.then_some(true),
                drain_s: self.process.drain,
                show_identities: self.process.show_identities.then_some(true),
                af_xdp: self.interface.as_deref().map(af_xdp),
                dpdk: DpdkFile::from_flags(
                    self.eal.clone(),
                    self.device.clone(),
                    self.network.clone(),
                ),
                mrfp: MrfpFile::from_flags(self.prompts.clone(), self.recordings.clone()),
                sctp: self.sctp.file(),
                mg: None,
            },
            gateway: GatewayFile {
                function: self.functions,
                profile: self.profile,
                mid: self.mid,
                mgc: self.mgc.clone(),
                h248: self.h248.clone(),
                addresses: self.address.clone(),
                ports: self.ports.clone(),
                ..GatewayFile::default()
            },
        }
    }
}

/// These interfaces, and defaults for all else.
fn af_xdp(names: &[String]) -> AfXdpFile {
    let interface = |name: &String| InterfaceFile {
        name: name.clone(),
        ..InterfaceFile::default()
    };
    AfXdpFile {
        interface: Some(names.iter().map(interface).collect()),
        ..AfXdpFile::default()
    }
}

/// Reads a media file.
pub fn read(path: &Path) -> Result<MediaFile, Failure> {
    let text = process::read_config(path)?;
    MediaFile::parse(&text).map_err(|fault| Failure::new(path.display().to_string()).because(fault))
}

/// Checks a configuration that came from `origin`.
pub fn validate(file: MediaFile, origin: &str) -> Result<MediaConfig, Failure> {
    file.validate()
        .map_err(|fault| Failure::new(origin).because(fault))
}

/// Runs the media process until it is told to stop.
pub fn run(args: &MediaArgs) -> Result<(), Failure> {
    let config = args.config()?;
    process::start_log(&args.process)?;
    base::set_pii_visible(config.show_identities);
    let (media, tapping) = EventLoop::open(&config)?;
    let handle = media.handle();
    admin::serve(config.admin, move || handle.status(), tapping)?;
    let handle = media.handle();
    process::on_order(&args.process, move |order| match order {
        // The controller decides over calls.
        Order::Drain | Order::Release => {}
        Order::Leave => handle.leave(),
        Order::Stop => handle.stop(),
    })?;
    media.run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MediaArgs,
    }

    #[test]
    fn every_flag_reaches_the_configuration() {
        let line = "media --functions trgw --profile iq --mgc 127.0.0.1:2950,127.0.0.1:2951 \
                    --mid 127.0.0.1:2960 --h248 ber,sctp --sctp-udp 9900,9899 \
                    --address 127.0.0.2,::1 \
                    --ports 3000-3999 --io udp --cores 0,2-3 --admin 127.0.0.1:9999 --drain 7";
        let args = Line::try_parse_from(line.split_whitespace())
            .expect("valid")
            .args;
        let config = args.config().expect("valid");
        assert_eq!(config.cores, [0, 2, 3]);
        assert_eq!(config.admin.port(), 9999);
        assert_eq!(config.drain.as_secs(), 7);
        let gateway = &config.gateways[0];
        assert_eq!(gateway.profile, config::Profile::Iq);
        assert_eq!(gateway.mgc.len(), 2);
        assert_eq!(gateway.mid.port(), 2960);
        assert_eq!(gateway.encoding, ::h248::encoding::Encoding::Binary);
        assert_eq!(gateway.protocol, ::h248::transport::Protocol::Sctp);
        let sctp = gateway.sctp.as_ref().expect("over SCTP");
        let carrier = usrsctp::Carrier::Udp {
            local: 9900,
            peer: 9899,
        };
        assert_eq!(sctp.policy.carrier, carrier);
        assert_eq!(gateway.addresses.len(), 2);
        assert_eq!((gateway.ports.low, gateway.ports.high), (3000, 3999));
    }

    #[test]
    fn a_function_or_profile_that_is_none_is_refused() {
        assert!(Line::try_parse_from(["media", "--functions", "mixer"]).is_err());
        assert!(Line::try_parse_from(["media", "--profile", "mq"]).is_err());
    }
}
