//! A control process: the node with its sockets, its store thread and its admin thread.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;

use mio::Poll;
use tracing::info;

use crate::admin;
use crate::clock::Clock;
use crate::config::{ControlConfig, Role};
use crate::dns;
use crate::event_loop::{EventLoop, Sockets, StopHandle, waker};
use crate::node::{Node, Service, Socket};
use crate::store::{RedbStore, StoreThread};

/// Admin requests that may wait for the event loop.
const ADMIN_QUEUE_MAX: usize = 256;

/// A control process, everything open and nothing running yet.
pub struct Process {
    event_loop: EventLoop,
}

impl Process {
    /// Opens sockets, store and state directory, and starts the store and admin threads.
    ///
    /// # Errors
    /// Whatever cannot be had, with what it is and what to do.
    pub fn open(config: &ControlConfig) -> io::Result<Self> {
        base::set_pii_visible(config.show_identities);
        fs::create_dir_all(&config.state)
            .map_err(|fault| explain(fault, "cannot create the state directory", &config.state))?;
        let mut config = config.clone();
        if config.dns.servers.is_none() {
            config.dns.servers = Some(system_nameservers());
        }
        let config = &config;
        let sockets = bind(config)?;
        let admin = admin::bind(config.admin)?;
        let poll = Poll::new()?;
        let waker = waker(poll.registry())?;

        let store = if config.plays(Role::Hss) {
            let store = open_store(&config.store)?;
            let waker = waker.clone();
            // A failed wake means that the loop has ended, and nobody waits any more.
            let wake = Box::new(move || drop(waker.wake()));
            Some(StoreThread::spawn(Box::new(store), wake)?)
        } else {
            None
        };
        let (requests, incoming) = mpsc::sync_channel(ADMIN_QUEUE_MAX);
        let token = admin_token(&config.state)?;
        admin.spawn(requests, waker.clone(), &token)?;

        let clock = Clock::start();
        let node = Node::new(config.clone(), clock.anchor(), random()?);
        let event_loop = EventLoop::new(poll, waker, clock, node, sockets, store, incoming)?;
        for address in &config.sip {
            info!(%address, realm = config.realm, "SIP over UDP and TCP");
        }
        if let Some(address) = config.mgc {
            info!(%address, "H.248 over UDP");
        }
        if let Some(address) = config.diameter {
            info!(%address, "Diameter over TCP");
        }
        for server in config.dns.servers.iter().flatten() {
            info!(%server, "DNS server");
        }
        info!(address = %config.admin, "admin interface");
        Ok(Self { event_loop })
    }

    /// A handle to end the process with.
    pub fn stop_handle(&self) -> StopHandle {
        self.event_loop.stop_handle()
    }

    /// Runs until stopped.
    ///
    /// # Errors
    /// The poll fails or the store is gone.
    pub fn run(&mut self) -> io::Result<()> {
        self.event_loop.run()
    }
}

fn bind(config: &ControlConfig) -> io::Result<Sockets> {
    let mut sockets = Sockets::new();
    for (index, &address) in config.sip.iter().enumerate() {
        let index = u16::try_from(index).map_err(|_| io::Error::other("too many SIP addresses"))?;
        sockets.bind_udp(Socket::Sip(index), address)?;
        sockets.bind_tcp(Service::Sip(index), address)?;
    }
    if let Some(address) = config.mgc {
        sockets.bind_udp(Socket::H248, address)?;
    }
    if let Some(address) = config.diameter {
        sockets.bind_tcp(Service::Diameter, address)?;
    }
    let servers = config.dns.servers.as_deref().unwrap_or_default();
    // Only SIP asks.
    if !config.sip.is_empty() {
        for (index, address) in (0_u16..).zip(dns::local_addresses(servers)) {
            sockets.bind_udp(Socket::Dns(index), address)?;
        }
    }
    Ok(sockets)
}

/// The name servers of the system, in address families that it has; none where it names none.
fn system_nameservers() -> Vec<SocketAddr> {
    let text = fs::read_to_string(dns::RESOLV_CONF).unwrap_or_default();
    let mut servers = dns::nameservers(&text);
    servers.retain(|server| {
        let local = dns::local_addresses(&[*server]);
        local
            .first()
            .is_some_and(|local| UdpSocket::bind(local).is_ok())
    });
    servers
}

fn open_store(path: &Path) -> io::Result<RedbStore> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder)
            .map_err(|fault| explain(fault, "cannot create the store's directory", folder))?;
    }
    RedbStore::open(path).map_err(|fault| io::Error::other(fault.to_string()))
}

/// The token that admin requests which change something must carry; made at the first start.
fn admin_token(state: &Path) -> io::Result<String> {
    let path = state.join("admin.token");
    match fs::read_to_string(&path) {
        Ok(token) if !token.trim().is_empty() => return Ok(token.trim().to_owned()),
        Ok(_) => {}
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
        Err(fault) => return Err(explain(fault, "cannot read the admin token", &path)),
    }
    let token: String = random()?.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{token}"))
        .map_err(|fault| explain(fault, "cannot write the admin token", &path))?;
    Ok(token)
}

fn random() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}

fn explain(fault: io::Error, what: &str, path: &Path) -> io::Error {
    let text = format!(
        "{what} {}: {fault}; choose another path or mend it",
        path.display()
    );
    io::Error::new(fault.kind(), text)
}
