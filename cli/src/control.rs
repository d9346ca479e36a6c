//! `strowger control`: the control process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ::control::config::{ControlConfig, ControlFile, Role};
use clap::Args;

use crate::failure::Failure;
use crate::process::{self, Order};
use crate::sctp::SctpArgs;

/// Flags of the control process; each wins over the key of the same name in the file.
#[derive(Debug, Args)]
pub struct ControlArgs {
    /// TOML file with the configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Entities to play: pcscf, icscf, scscf, hss
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    roles: Option<Vec<Role>>,
    /// Addresses for SIP, over UDP and TCP
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',')]
    sip: Option<Vec<SocketAddr>>,
    /// Home network domain name
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    /// Address of the MGC, where media gateways register
    #[arg(long, value_name = "IP:PORT")]
    mgc: Option<SocketAddr>,
    /// Encoding and transports of H.248: compact, pretty or ber; any of udp, tcp and sctp
    #[arg(long, value_name = "ENCODING,TRANSPORT")]
    h248: Option<String>,
    /// Address where the HSS accepts Diameter peers
    #[arg(long, value_name = "IP:PORT")]
    diameter: Option<SocketAddr>,
    /// The HSS: local, or the Diameter address of one
    #[arg(long, value_name = "local|IP:PORT")]
    hss: Option<String>,
    /// SIP address of the I-CSCF when another process plays it
    #[arg(long, value_name = "IP:PORT")]
    icscf: Option<SocketAddr>,
    /// SIP URIs of the S-CSCFs that the I-CSCF may assign
    #[arg(long, value_name = "URI", value_delimiter = ',')]
    scscf: Option<Vec<String>>,
    /// File of the subscriber store
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// Directory of keys and journal
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Address of the admin interface
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    #[command(flatten)]
    sctp: SctpArgs,
    #[command(flatten)]
    process: process::ProcessArgs,
}

impl ControlArgs {
    /// The configuration of file and flags together.
    fn config(&self) -> Result<ControlConfig, Failure> {
        let (file, origin) = match &self.config {
            Some(path) => (read(path)?, format!("{} and flags", path.display())),
            None => (ControlFile::default(), "control".to_owned()),
        };
        validate(file.overridden_by(self.flags()), &origin)
    }

    fn flags(&self) -> ControlFile {
        ControlFile {
            roles: self.roles.clone(),
            sip: self.sip.clone(),
            realm: self.realm.clone(),
            mgc: self.mgc,
            h248: self.h248.clone(),
            sctp: self.sctp.file(),
            diameter: self.diameter,
            hss: self.hss.clone(),
            icscf: self.icscf,
            scscf: self.scscf.clone(),
            store: self.store.clone(),
            state: self.state.clone(),
            admin: self.admin,
            drain_s: self.process.drain,
            show_identities: self.process.show_identities.then_some(true),
            ..ControlFile::default()
        }
    }
}

/// Reads a control file.
pub fn read(path: &Path) -> Result<ControlFile, Failure> {
    let text = process::read_config(path)?;
    ControlFile::parse(&text)
        .map_err(|fault| Failure::new(path.display().to_string()).because(fault))
}

/// Checks a configuration that came from `origin`.
pub fn validate(file: ControlFile, origin: &str) -> Result<ControlConfig, Failure> {
    file.validate()
        .map_err(|fault| Failure::new(origin).because(fault))
}

/// Runs the control process until it is told to stop.
pub fn run(args: &ControlArgs) -> Result<(), Failure> {
    let config = args.config()?;
    process::start_log(&args.process)?;
    let stopped = |fault| Failure::new("control cannot go on").because(fault);
    let mut process = ::control::Process::open(&config).map_err(stopped)?;
    let handle = process.stop_handle();
    process::on_order(&args.process, move |order| match order {
        Order::Drain => handle.drain(),
        Order::Release => handle.release(),
        Order::Leave => handle.leave(),
        Order::Stop => handle.stop(),
    })?;
    process.run().map_err(stopped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ControlArgs,
    }

    #[test]
    fn every_flag_reaches_the_configuration() {
        let line = "control --roles pcscf,icscf,scscf,mrfc,hss --sip 127.0.0.1:5070,[::1]:5070 \
                    --realm a.test --mgc 127.0.0.1:2950 --h248 ber,tcp,sctp --sctp-udp 9899 --hss local \
                    --diameter 127.0.0.1:3870 --icscf 127.0.0.1:5071 --store s.redb \
                    --state st --admin 127.0.0.1:9999 --drain 7";
        let args = Line::try_parse_from(line.split_whitespace())
            .expect("valid")
            .args;
        let config = args.config().expect("valid");
        assert_eq!(config.roles, Role::ALL);
        assert_eq!(config.sip.len(), 2);
        assert_eq!(config.realm, "a.test");
        assert_eq!(config.mgc.map(|mgc| mgc.port()), Some(2950));
        assert_eq!(config.h248.encoding, ::h248::encoding::Encoding::Binary);
        use ::h248::transport::Protocol::{Sctp, Tcp};
        assert_eq!(config.h248.protocols, [Tcp, Sctp]);
        let (addresses, sctp) = config.h248.sctp.expect("over SCTP");
        assert_eq!(addresses, [std::net::IpAddr::from([127, 0, 0, 1])]);
        let carrier = usrsctp::Carrier::Udp {
            local: 9899,
            peer: 9899,
        };
        assert_eq!(sctp.carrier, carrier);
        assert_eq!(config.diameter.map(|diameter| diameter.port()), Some(3870));
        assert_eq!(config.icscf.map(|icscf| icscf.port()), Some(5071));
        assert_eq!(config.store, Path::new("s.redb"));
        assert_eq!(config.state, Path::new("st"));
        assert_eq!(config.admin.port(), 9999);
        assert_eq!(config.drain.as_secs(), 7);
    }

    #[test]
    fn a_role_that_is_none_is_refused_with_the_list() {
        let Err(error) = Line::try_parse_from(["control", "--roles", "mgcf"]) else {
            panic!("accepted");
        };
        assert!(
            error
                .to_string()
                .contains("pcscf, icscf, scscf, mrfc and hss"),
            "{error}"
        );
    }
}
