//! Associations of a controller by hand: H.248 over SCTP.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::h248::transport::sctp;
use control::config::SctpPolicy;
use usrsctp::{AssociationId, Endpoint, Event};

use super::link::News;

/// How often an association is looked at that is being made.
const POLL: Duration = Duration::from_millis(5);
/// How long peers may take to agree to the end.
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// An endpoint and the gateways that are associated with it.
pub struct Associations {
    /// There until the end.
    endpoint: Option<Endpoint>,
    up: Vec<(SocketAddr, AssociationId)>,
}

impl Associations {
    /// Opens the endpoint; gateways may come.
    ///
    /// # Errors
    /// The addresses, ports or privileges are not to be had.
    pub fn open(local: SocketAddr, policy: SctpPolicy) -> io::Result<Self> {
        let config = usrsctp::Config {
            addresses: vec![local.ip()],
            port: local.port(),
            carrier: policy.carrier,
            listens: true,
            streams: sctp::STREAMS,
            message_len_max: sctp::MESSAGE_LEN_MAX,
            timing: policy.timing,
        };
        // It is polled often enough to need no wake.
        let endpoint = Endpoint::open(&config, || {}).map_err(|fault| {
            let remedy = usrsctp::remedy(&config, &fault);
            io::Error::new(fault.kind(), format!("{fault}; {remedy}"))
        })?;
        Ok(Self {
            endpoint: Some(endpoint),
            up: Vec::new(),
        })
    }

    /// Associates with a peer, unless it is; what happens meanwhile goes to `news`.
    ///
    /// # Errors
    /// It does not want to, or not in this time.
    pub fn connect(
        &mut self,
        peer: SocketAddr,
        limit: Duration,
        news: &mut impl Extend<News>,
    ) -> io::Result<()> {
        if self.association(peer).is_some() {
            return Ok(());
        }
        let endpoint = self.endpoint.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let asked = endpoint.connect(&[peer])?;
        let until = Instant::now() + limit;
        while Instant::now() < until {
            while let Some(event) = self.endpoint.as_mut().and_then(Endpoint::poll_event) {
                match event {
                    Event::Up { association, .. } if association == asked => {
                        self.up.push((peer, asked));
                        news.extend([News::Connected(peer)]);
                        return Ok(());
                    }
                    Event::Down {
                        association,
                        reason,
                    } if association == asked => {
                        return Err(io::Error::other(reason.to_string()));
                    }
                    other => news.extend(self.handle(other)),
                }
            }
            std::thread::sleep(POLL);
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Sends a message.
    ///
    /// # Errors
    /// There is no association, or it cannot take it.
    pub fn send(&mut self, to: SocketAddr, message: &[u8]) -> io::Result<()> {
        let association = self.association(to).ok_or(io::ErrorKind::NotConnected)?;
        let endpoint = self.endpoint.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let sent = endpoint.send(association, sctp::STREAM, sctp::PPID, message);
        sent.map_err(|_| io::ErrorKind::InvalidInput.into())
    }

    /// What happened next.
    pub fn poll_news(&mut self) -> Option<News> {
        loop {
            let event = self.endpoint.as_mut()?.poll_event()?;
            if let Some(news) = self.handle(event) {
                return Some(news);
            }
        }
    }

    fn handle(&mut self, event: Event) -> Option<News> {
        let of = event.association();
        let at = self
            .up
            .iter()
            .position(|&(_, association)| association == of);
        match event {
            Event::Up { peers, .. } => {
                let peer = *peers.first()?;
                self.up.push((peer, of));
                Some(News::Connected(peer))
            }
            Event::Restarted { .. } => Some(News::Connected(self.up[at?].0)),
            Event::Message { ppid, message, .. } if sctp::is_h248(ppid) => {
                Some(News::Message(self.up[at?].0, message))
            }
            Event::Down { .. } => Some(News::Closed(self.up.swap_remove(at?).0)),
            Event::Message { .. } | Event::Path { .. } => None,
        }
    }

    fn association(&self, peer: SocketAddr) -> Option<AssociationId> {
        let mut up = self.up.iter();
        up.find(|(each, _)| *each == peer)
            .map(|&(_, association)| association)
    }
}

impl Drop for Associations {
    fn drop(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.close(CLOSE_MAX);
        }
    }
}
