//! Calls with real counterparts: SIPp, Erlang/OTP megaco and diameter, dnsmasq, tshark, ffmpeg,
//! libsrtp.
//!
//! Every test has a network namespace of its own ([`Namespace`]) with nothing but a loopback
//! interface, in which it starts processes ([`Process`]), each bounded in time and killed when the
//! test ends, however it ends. A [`Capture`] records every packet of the namespace and tshark says
//! afterwards whether it could read them all and whether RTP was lost ([`Analysis`]).
//!
//! The tests need root, for the namespaces, and the Debian packages sip-tester, tshark,
//! erlang-base, erlang-megaco, erlang-diameter, dnsmasq-base, ffmpeg, sox, gcc and libsrtp2-dev,
//! which
//! `scripts/test` installs. Without them they fail and say so.

mod capture;
pub mod controller;
pub mod erlang;
mod folder;
pub mod garbage;
pub mod gateway;
pub mod hosts;
pub mod libsrtp;
pub mod mrf;
mod namespace;
pub mod network;
pub mod peer;
mod process;
pub mod quality;
pub mod reference;
pub mod scenario;
pub mod sipp;
pub mod strowger;
pub mod tcp_ue;
pub mod voice;

pub use capture::{Analysis, Capture, Datagram, RtpStream};
pub use folder::Folder;
pub use namespace::Namespace;
pub use process::{Process, Run, signal};
