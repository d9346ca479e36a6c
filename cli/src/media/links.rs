//! Connections of one virtual MG to its MGCs: H.248 over TCP, H.248.1 Annex D.2.

use std::collections::VecDeque;
use std::io;
use std::iter::StepBy;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeFrom;

use control::event_loop::Stream;
use h248::transport::tpkt::{self, Framer};
use mio::event::Event;
use mio::{Registry, Token};
use tracing::debug;

/// Connections at once: one to each MGC that a gateway may be given, and more where these name
/// others.
pub const LINKS_MAX: usize = 16;
/// Reads from one connection before the others have their turn.
const READS_PER_TURN_MAX: usize = 16;

/// The connections of one virtual MG.
///
/// Each is told of once when it is there ([`News::Connected`]) and once when it is not, or could
/// not be made ([`News::Closed`]).
pub struct Links {
    /// Where they come from.
    local: IpAddr,
    registry: Registry,
    tokens: StepBy<RangeFrom<usize>>,
    links: Vec<Link>,
    news: VecDeque<News>,
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is there.
    Connected(SocketAddr),
    /// A message came on it.
    Message(SocketAddr, Vec<u8>),
    /// It is gone, or could not be made.
    Closed(SocketAddr),
}

struct Link {
    mgc: SocketAddr,
    stream: Stream<Vec<u8>>,
    framer: Framer,
    /// There may be more to read: readiness is told once.
    is_readable: bool,
}

impl Links {
    /// None yet; they will come from this address, and have these tokens.
    pub fn new(local: IpAddr, registry: Registry, tokens: StepBy<RangeFrom<usize>>) -> Self {
        Self {
            local,
            registry,
            tokens,
            links: Vec::new(),
            news: VecDeque::new(),
        }
    }

    /// Starts to connect, unless a connection is there or on its way.
    pub fn connect(&mut self, mgc: SocketAddr) {
        if self.links.iter().any(|link| link.mgc == mgc) {
            return;
        }
        if self.links.len() >= LINKS_MAX {
            self.close(self.links[0].mgc);
        }
        let Some(token) = self.tokens.next() else {
            return;
        };
        let opened = Stream::connect_from(self.local, mgc).and_then(|mut stream| {
            stream.register(&self.registry, Token(token))?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => self.links.push(Link {
                mgc,
                stream,
                framer: Framer::default(),
                is_readable: false,
            }),
            Err(fault) => {
                debug!(%mgc, %fault, "no connection for H.248");
                self.news.push_back(News::Closed(mgc));
            }
        }
    }

    /// Sends a message where there is a connection; false where there is none yet.
    pub fn send(&mut self, mgc: SocketAddr, message: &[u8]) -> bool {
        let at = self.links.iter().position(|link| link.mgc == mgc);
        let Some(at) = at.filter(|&at| self.links[at].stream.is_open()) else {
            return false;
        };
        let stream = &mut self.links[at].stream;
        // None is longer: the transactions' engine sees to that.
        let Some(framed) = tpkt::frame(message) else {
            return true;
        };
        let has_room = stream.has_room(&framed);
        stream.gather(framed);
        if !has_room || stream.send(&self.registry).is_err() {
            self.lose(at);
        }
        true
    }

    /// Closes a connection; nothing more is told of it.
    pub fn close(&mut self, mgc: SocketAddr) {
        if let Some(at) = self.links.iter().position(|link| link.mgc == mgc) {
            let mut link = self.links.swap_remove(at);
            link.stream.deregister(&self.registry);
            link.stream.finish();
        }
        self.news.retain(|news| news.mgc() != mgc);
    }

    /// Takes note of an event of one of the connections.
    pub fn handle_event(&mut self, event: &Event) {
        let token = event.token();
        let at = self.links.iter().position(|it| it.stream.token() == token);
        let Some(at) = at else {
            return;
        };
        let link = &mut self.links[at];
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            link.is_readable = true;
        }
        if event.is_writable() {
            let was_open = link.stream.is_open();
            match link.stream.handle_writable(&self.registry, token) {
                Ok(()) if !was_open && link.stream.is_open() => {
                    self.news.push_back(News::Connected(link.mgc));
                }
                Ok(()) => {}
                Err(fault) => {
                    debug!(mgc = %link.mgc, %fault, "no connection for H.248");
                    self.lose(at);
                }
            }
        }
    }

    /// True when there is news, or may be without another event.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty() || self.links.iter().any(|link| link.is_readable)
    }

    /// Reads from the connections that have something.
    pub fn read(&mut self, buffer: &mut [u8]) {
        for at in (0..self.links.len()).rev() {
            if self.links[at].is_readable
                && let Err(fault) = self.read_link(at, buffer)
            {
                debug!(mgc = %self.links[at].mgc, %fault, "connection for H.248 lost");
                self.lose(at);
            }
        }
    }

    /// What happened next.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    fn read_link(&mut self, at: usize, buffer: &mut [u8]) -> io::Result<()> {
        let link = &mut self.links[at];
        for _ in 0..READS_PER_TURN_MAX {
            let length = match link.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => length,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                    link.is_readable = false;
                    return Ok(());
                }
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Err(fault) => return Err(fault),
            };
            link.framer.push(&buffer[..length]);
            while let Some(message) = link.framer.next_message().map_err(io::Error::other)? {
                let message = News::Message(link.mgc, message.to_vec());
                self.news.push_back(message);
            }
        }
        Ok(())
    }

    fn lose(&mut self, at: usize) {
        let mut link = self.links.swap_remove(at);
        link.stream.deregister(&self.registry);
        self.news.push_back(News::Closed(link.mgc));
    }
}

impl News {
    /// The MGC at the other end.
    pub fn mgc(&self) -> SocketAddr {
        match self {
            News::Connected(mgc) | News::Message(mgc, _) | News::Closed(mgc) => *mgc,
        }
    }
}
