//! A media process with a TrGW on the near host of a [`Cable`], controlled by hand.

use std::net::{IpAddr, SocketAddr};

use sdp::crypto::{Crypto, CryptoSuite, InlineKey};
use serde_json::Value;

use crate::controller::Controller;
use crate::hosts::Cable;
use crate::{Folder, Process, strowger};

const MGC: &str = "127.0.0.1:2944";
const MG: &str = "127.0.0.2:2944";
/// Its admin address.
pub const ADMIN: &str = "127.0.0.2:9081";

/// A media process that was started, killed and started again.
pub struct Gateway {
    // Dropped in this order: the process before the namespace that it runs in.
    media: Option<Process>,
    cable: Cable,
    folder: Folder,
}

/// One end of a call as the gateway is told of it: a termination.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Where the other end sends from and receives.
    pub remote: SocketAddr,
    /// The keys, where the leg is protected.
    pub keys: Option<Keys>,
}

/// Keys and salts that two descriptions agree on (RFC 4568).
#[derive(Clone, Debug)]
pub struct Keys {
    /// What both ways are protected by.
    pub suite: CryptoSuite,
    /// What the gateway sends by.
    pub ours: Vec<u8>,
    /// What the other end sends by.
    pub theirs: Vec<u8>,
}

impl Gateway {
    /// One that is not started yet. `io` is what its configuration says of the packet back-end.
    pub fn new(cable: Cable, io: &str) -> Self {
        let folder = Folder::new();
        folder.write(
            "media.toml",
            format!(
                "tap = true\n{io}\n[[mg]]\nmid = \"{MG}\"\nmgc = [\"{MGC}\"]\n\
                 addresses = [\"192.0.2.1\", \"2001:db8::1\"]\nports = \"20000-20999\"\n"
            ),
        );
        Gateway {
            media: None,
            cable,
            folder,
        }
    }

    /// Starts it; returns its controller when it has registered there.
    pub fn start<T>(&mut self) -> Controller<T>
    where
        T: Send,
    {
        let arguments = ["media", "--config", "media.toml", "--admin", ADMIN];
        let mut command = strowger::command(&self.cable.near, &arguments);
        let media = Process::start("media", &mut command, self.folder.path());
        self.media = Some(media);
        let at = MGC.parse().expect("a socket address");
        self.cable.near.inside(|| Controller::open(at))
    }

    /// Kills it by SIGKILL and does not wait for anything.
    pub fn kill(&self) {
        self.media().kill();
    }

    /// The process.
    pub fn media(&self) -> &Process {
        self.media.as_ref().expect("it was started")
    }

    /// What it says of itself.
    pub fn status(&self) -> Value {
        strowger::status(&self.cable.near, &self.folder, ADMIN).expect("the media process answers")
    }

    /// Its host, and that of the ends of calls.
    pub fn cable(&self) -> &Cable {
        &self.cable
    }

    /// Where everything is written.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// The actions that add a context of two terminations.
pub fn context(legs: [&Leg; 2]) -> String {
    let [one, other] = legs.map(Leg::add);
    format!("C=${{{one},{other}}}")
}

impl Leg {
    /// The command that adds it.
    fn add(&self) -> String {
        let (ip, port) = (self.remote.ip(), self.remote.port());
        let (family, profile) = (family(ip), self.keys.as_ref().map_or("AVP", |_| "SAVP"));
        let crypto = |key: fn(&Keys) -> &[u8]| match &self.keys {
            Some(keys) => {
                let crypto = Crypto::new(1, keys.suite, InlineKey::new(key(keys)));
                format!("a=crypto:{crypto}\n")
            }
            None => String::new(),
        };
        let (ours, theirs) = (crypto(|keys| &keys.ours), crypto(|keys| &keys.theirs));
        format!(
            "A=${{M{{ST=1{{O{{MO=SR}},L{{\nv=0\nc=IN {family} $\n\
             m=audio $ RTP/{profile} 8\n{ours}}},R{{\nv=0\nc=IN {family} {ip}\nm=audio {port} RTP/{profile} 8\n{theirs}}}}}}}}}"
        )
    }
}

fn family(ip: IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    }
}
