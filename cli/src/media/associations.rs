//! Associations of one virtual MG with its MGCs: H.248 over SCTP, H.248.4.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use control::admin::H248PathStatus;
use h248::transport::sctp;
use tracing::{debug, info, warn};
use usrsctp::{AssociationId, Endpoint, Event, PathState};

use super::links::{LINKS_MAX, News};

/// Events taken before other gateways have their turn.
const EVENTS_PER_TURN_MAX: usize = 256;
/// How long MGCs may take to agree to the end of their associations.
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// The associations of one virtual MG.
///
/// Like a connection, each is told of once when it is there ([`News::Connected`]) and once when it
/// is not, or could not be made ([`News::Closed`]).
pub struct Associations {
    endpoint: Endpoint,
    /// All addresses of MGCs that have more than one.
    peers: BTreeMap<SocketAddr, Vec<SocketAddr>>,
    links: Vec<Link>,
    news: VecDeque<News>,
}

struct Link {
    mgc: SocketAddr,
    association: AssociationId,
    is_up: bool,
}

impl Associations {
    /// None yet.
    pub fn new(endpoint: Endpoint, peers: BTreeMap<SocketAddr, Vec<SocketAddr>>) -> Self {
        Self {
            endpoint,
            peers,
            links: Vec::new(),
            news: VecDeque::new(),
        }
    }

    /// Starts to associate, unless an association is there or on its way.
    pub fn connect(&mut self, mgc: SocketAddr) {
        if self.links.iter().any(|link| link.mgc == mgc) {
            return;
        }
        if self.links.len() >= LINKS_MAX {
            self.close(self.links[0].mgc);
        }
        let all = self.peers.get(&mgc).cloned();
        match self.endpoint.connect(&all.unwrap_or_else(|| vec![mgc])) {
            Ok(association) => self.links.push(Link {
                mgc,
                association,
                is_up: false,
            }),
            Err(fault) => {
                debug!(%mgc, %fault, "no association for H.248");
                self.news.push_back(News::Closed(mgc));
            }
        }
    }

    /// Sends a message where there is an association; false where there is none yet.
    pub fn send(&mut self, mgc: SocketAddr, message: &[u8]) -> bool {
        let link = self.links.iter().find(|link| link.mgc == mgc && link.is_up);
        let Some(association) = link.map(|link| link.association) else {
            return false;
        };
        // Of an association that ends an event tells.
        let _ = self
            .endpoint
            .send(association, sctp::STREAM, sctp::PPID, message);
        true
    }

    /// Ends an association; nothing more is told of it.
    pub fn close(&mut self, mgc: SocketAddr) {
        if let Some(at) = self.links.iter().position(|link| link.mgc == mgc) {
            let link = self.links.swap_remove(at);
            self.endpoint.shutdown(link.association);
        }
        self.news.retain(|news| news.mgc() != mgc);
    }

    /// True when there is news, or may be without a wake.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty() || self.endpoint.has_news()
    }

    /// Takes what came.
    pub fn read(&mut self) {
        for _ in 0..EVENTS_PER_TURN_MAX {
            let Some(event) = self.endpoint.poll_event() else {
                return;
            };
            self.handle(event);
        }
    }

    /// What happened next.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    fn handle(&mut self, event: Event) {
        let association = event.association();
        let at = self
            .links
            .iter()
            .position(|link| link.association == association);
        let Some(at) = at else {
            return;
        };
        let mgc = self.links[at].mgc;
        match event {
            Event::Up { peers, .. } => {
                info!(%mgc, paths = peers.len(), "SCTP association");
                self.links[at].is_up = true;
                self.news.push_back(News::Connected(mgc));
            }
            // What was under way is lost, as with a connection that is made anew.
            Event::Restarted { .. } => {
                info!(%mgc, "SCTP association restarted");
                self.news.push_back(News::Closed(mgc));
                self.news.push_back(News::Connected(mgc));
            }
            Event::Message { ppid, message, .. } if sctp::is_h248(ppid) => {
                self.news.push_back(News::Message(mgc, message));
            }
            Event::Message { ppid, .. } => debug!(%mgc, ppid, "payload of another protocol"),
            Event::Path { peer, state, .. } => {
                let name = state.name();
                match state {
                    PathState::Unreachable => {
                        warn!(%mgc, address = %peer, state = name, "SCTP path")
                    }
                    _ => info!(%mgc, address = %peer, state = name, "SCTP path"),
                }
            }
            Event::Down { reason, .. } => {
                let link = self.links.swap_remove(at);
                match link.is_up {
                    true => info!(%mgc, %reason, "SCTP association gone"),
                    false => debug!(%mgc, %reason, "no association for H.248"),
                }
                self.news.push_back(News::Closed(mgc));
            }
        }
    }

    /// Every path, for people.
    pub fn paths(&self) -> Vec<H248PathStatus> {
        let up = self.links.iter().filter(|link| link.is_up);
        up.flat_map(|link| {
            let (mgc, paths) = (link.mgc.to_string(), self.endpoint.paths(link.association));
            paths
                .into_iter()
                .map(move |path| H248PathStatus::new(&mgc, path))
        })
        .collect()
    }

    /// Ends all in order.
    pub fn end(self) {
        self.endpoint.close(CLOSE_MAX);
    }
}
