//! A control process: the node with its sockets, its store thread and its admin thread.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use h248::transport::{Protocol, sctp};
use mio::{Poll, Waker};
use tracing::{error, info};
use usrsctp::Endpoint;

use crate::admin;
use crate::clock::Clock;
use crate::config::{ControlConfig, Role};
use crate::dns;
use crate::event_loop::{EventLoop, Sockets, StopHandle, waker};
use crate::journal::{Directory, JournalThread, Log, Replay};
use crate::node::{Node, Service, Socket};
use crate::store::{RedbStore, StoreThread};

/// Admin requests that may wait for the event loop.
const ADMIN_QUEUE_MAX: usize = 256;

/// A control process, everything open and nothing running yet.
pub struct Process {
    event_loop: EventLoop,
    /// Let go of last: the state directory is ours as long as anything of the process runs.
    _lock: fs::File,
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
        let lock = lock(&config.state)?;
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
        let mut node = Node::new(config.clone(), clock.anchor(), random()?);
        let (log, mut replay) = open_journal(&config.state)?;
        node.restore(clock.now(), &mut replay);
        let of_journal = waker.clone();
        let associations = associate(config, waker.clone())?;
        let mut event_loop = EventLoop::new(poll, waker, clock, node, sockets, store, incoming)?;
        if let Some(endpoint) = associations {
            event_loop.set_sctp(endpoint);
        }
        let place = journal_path(&config.state).display().to_string();
        let wake = Box::new(move || drop(of_journal.wake()));
        event_loop.set_journal(JournalThread::spawn(log, place, wake)?);
        for address in &config.sip {
            info!(%address, realm = config.realm, "SIP over UDP and TCP");
        }
        if let Some(address) = config.mgc {
            for protocol in &config.h248.protocols {
                info!(%address, transport = protocol.name(), "H.248");
            }
        }
        if let Some(address) = config.diameter {
            info!(%address, "Diameter over TCP");
        }
        for server in config.dns.servers.iter().flatten() {
            info!(%server, "DNS server");
        }
        info!(address = %config.admin, "admin interface");
        Ok(Self {
            event_loop,
            _lock: lock,
        })
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
        for protocol in &config.h248.protocols {
            match protocol {
                Protocol::Udp => sockets.bind_udp(Socket::H248, address)?,
                Protocol::Tcp => sockets.bind_tcp(Service::H248, address)?,
                // Opened later: it wakes the loop.
                Protocol::Sctp => {}
            }
        }
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

/// Opens the MGC's endpoint of SCTP, where it has one.
fn associate(config: &ControlConfig, waker: Arc<Waker>) -> io::Result<Option<Endpoint>> {
    let (Some(mgc), Some((addresses, policy))) = (config.mgc, &config.h248.sctp) else {
        return Ok(None);
    };
    let endpoint = usrsctp::Config {
        addresses: addresses.clone(),
        port: mgc.port(),
        carrier: policy.carrier,
        listens: true,
        streams: sctp::STREAMS,
        message_len_max: sctp::MESSAGE_LEN_MAX,
        timing: policy.timing,
    };
    // A failed wake means that the loop has ended, and nobody waits any more.
    let opened = Endpoint::open(&endpoint, move || drop(waker.wake()));
    let explain = |fault: io::Error| {
        let text = format!(
            "cannot receive SCTP at {mgc}: {fault}; {}",
            usrsctp::remedy(&endpoint, &fault)
        );
        io::Error::new(fault.kind(), text)
    };
    opened.map(Some).map_err(explain)
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

fn journal_path(state: &Path) -> PathBuf {
    state.join("journal")
}

/// Opens the journal, and says what is missing of it.
fn open_journal(state: &Path) -> io::Result<(Log<Directory>, Replay)> {
    let path = journal_path(state);
    let directory =
        Directory::open(&path).map_err(|fault| explain(fault, "cannot open the journal", &path))?;
    let opened = Log::open(directory);
    let (log, replay, damages) = opened.map_err(|fault| {
        let text = format!("cannot read the journal {}: {fault}", path.display());
        io::Error::other(text)
    })?;
    for damage in damages {
        let (octets, file) = (damage.octets, path.join(damage.file_name()));
        let file = file.display();
        if damage.is_tail {
            info!(octets, %file, "the journal's end is left out: it was not written to its end");
        } else {
            error!(
                octets,
                %file,
                "the journal is damaged: these octets are left out, all others are read; check the \
                 disk"
            );
        }
    }
    Ok((log, replay))
}

/// Takes the state directory for this process until its end, however that comes.
fn lock(state: &Path) -> io::Result<fs::File> {
    let path = state.join("lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|fault| explain(fault, "cannot open the lock", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            let text = format!(
                "the state directory {} is in use by another control process; stop that one, or \
                 give this one another by --state",
                state.display()
            );
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
        Err(fs::TryLockError::Error(fault)) => Err(explain(fault, "cannot lock", &path)),
    }
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
