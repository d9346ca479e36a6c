//! H.248 over SCTP: associations that gateways make, each of which is a stream to the node.
//!
//! The endpoint is polled in every turn; between turns it wakes the loop.

use std::collections::HashMap;
use std::time::Duration;

use h248::transport::sctp;
use tracing::{info, warn};
use usrsctp::{AssociationId, Endpoint, Event, PathState};

use crate::admin::H248PathStatus;
use crate::node::StreamId;

/// How long gateways may take to agree to the end of their associations.
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// The associations and what the node calls them.
#[derive(Debug)]
pub struct Associations {
    endpoint: Endpoint,
    by_association: HashMap<AssociationId, Association>,
    by_stream: HashMap<StreamId, AssociationId>,
}

#[derive(Debug)]
struct Association {
    stream: StreamId,
    /// The peer's first address.
    peer: String,
}

impl Associations {
    /// None yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            by_association: HashMap::new(),
            by_stream: HashMap::new(),
        }
    }

    /// True when there may be something to poll.
    pub fn has_news(&self) -> bool {
        self.endpoint.has_news()
    }

    /// What happened next; what only people want to know is logged.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = self.endpoint.poll_event()?;
            let Event::Path {
                association,
                peer: address,
                state,
            } = event
            else {
                return Some(event);
            };
            if let Some(Association { peer, .. }) = self.by_association.get(&association) {
                let state = state.name();
                match state == PathState::Unreachable.name() {
                    true => warn!(peer, %address, state, "SCTP path"),
                    false => info!(peer, %address, state, "SCTP path"),
                }
            }
        }
    }

    /// The node calls an association so; returns what it called it before.
    pub fn name(
        &mut self,
        association: AssociationId,
        stream: StreamId,
        peer: String,
    ) -> Option<StreamId> {
        self.by_stream.insert(stream, association);
        let known = Association { stream, peer };
        let before = self.by_association.insert(association, known)?.stream;
        self.by_stream.remove(&before);
        Some(before)
    }

    /// What the node calls an association.
    pub fn stream(&self, association: AssociationId) -> Option<StreamId> {
        self.by_association
            .get(&association)
            .map(|known| known.stream)
    }

    /// Forgets an association that is gone; returns what the node called it, and its peer.
    pub fn remove(&mut self, association: AssociationId) -> Option<(StreamId, String)> {
        let known = self.by_association.remove(&association)?;
        self.by_stream.remove(&known.stream);
        Some((known.stream, known.peer))
    }

    /// Sends a message if the stream is one of these; false if it is not. What cannot be sent goes
    /// with its association.
    pub fn send(&mut self, stream: StreamId, message: &[u8]) -> bool {
        let Some(&association) = self.by_stream.get(&stream) else {
            return false;
        };
        // Of an association that ends an event tells.
        let _ = self
            .endpoint
            .send(association, sctp::STREAM, sctp::PPID, message);
        true
    }

    /// Ends an association in order, if the stream is one of these.
    pub fn close(&mut self, stream: StreamId) -> bool {
        let Some(association) = self.by_stream.remove(&stream) else {
            return false;
        };
        self.by_association.remove(&association);
        self.endpoint.shutdown(association);
        true
    }

    /// Every path, for people.
    pub fn paths(&self) -> Vec<H248PathStatus> {
        let mut all: Vec<H248PathStatus> = self
            .by_association
            .iter()
            .flat_map(|(&association, known)| {
                let paths = self.endpoint.paths(association).into_iter();
                paths.map(|path| H248PathStatus::new(&known.peer, path))
            })
            .collect();
        all.sort();
        all
    }

    /// Ends all in order.
    pub fn end(self) {
        self.endpoint.close(CLOSE_MAX);
    }
}
