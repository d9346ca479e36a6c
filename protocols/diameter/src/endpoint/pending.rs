//! Requests of this node: routing, matching of answers, failover (RFC 6733 5.5.4 and 6.1).

use std::collections::BTreeMap;

use base::{Instant, TimerId};

use super::connection::result_code;
use super::{
    Endpoint, Failure, Health, Incoming, Output, PENDING_MAX, PeerId, RequestId, SendError, Timer,
};
use crate::dictionary::base as common;
use crate::error::Error;
use crate::message::{CommandFlags, Message, field};
use crate::result::ResultCode;

/// Requests waiting for answers.
#[derive(Debug, Default)]
pub(super) struct Pending {
    requests: BTreeMap<RequestId, Request>,
    by_hop: BTreeMap<u32, RequestId>,
}

#[derive(Debug)]
struct Request {
    /// The message, kept to send it to another peer.
    bytes: Vec<u8>,
    peer: PeerId,
    hop_by_hop: u32,
    /// Peers that had it before.
    tried: Vec<PeerId>,
    timer: TimerId,
}

impl Pending {
    pub(super) fn of_peer(&self, peer: PeerId) -> impl Iterator<Item = RequestId> {
        let requests = self.requests.iter();
        requests
            .filter(move |(_, request)| request.peer == peer)
            .map(|(&id, _)| id)
    }

    fn remove(&mut self, id: RequestId) -> Option<Request> {
        let request = self.requests.remove(&id)?;
        self.by_hop.remove(&request.hop_by_hop);
        Some(request)
    }
}

impl Endpoint {
    /// Sends a request to the peer its Destination-Host and Destination-Realm lead to.
    ///
    /// The identifiers in `message` are set here. Its answer or failure comes out under the name
    /// returned.
    ///
    /// # Errors
    /// `Undeliverable`, `Limit`, `Malformed`.
    pub fn send_request(
        &mut self,
        now: Instant,
        mut message: Vec<u8>,
    ) -> Result<RequestId, SendError> {
        let parsed = Message::parse(&message).map_err(SendError::Malformed)?;
        let flags = parsed.header.flags;
        if !flags.is_request() {
            let error = Error::InvalidHeaderBits(flags.0);
            return Err(SendError::Malformed(error));
        }
        if self.pending.requests.len() >= PENDING_MAX {
            return Err(SendError::Limit);
        }
        let Some(peer) = self.route(&parsed, &[]) else {
            self.wake_for(now, &message);
            return Err(SendError::Undeliverable);
        };
        let end_to_end = self.next_end_to_end();
        message[field::END_TO_END].copy_from_slice(&end_to_end.to_be_bytes());
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let timer = self
            .timers
            .set(now + self.config.request, Timer::Request(id));
        let request = Request {
            bytes: message,
            peer,
            hop_by_hop: 0,
            tried: Vec::new(),
            timer,
        };
        self.dispatch(id, request);
        Ok(id)
    }

    /// Sends the answer to a request received.
    ///
    /// # Errors
    /// `Malformed`; `Gone` when the connection is no more. The answer is then kept for the peer's
    /// next try.
    pub fn send_answer(
        &mut self,
        now: Instant,
        incoming: &Incoming,
        message: Vec<u8>,
    ) -> Result<(), SendError> {
        Message::parse(&message).map_err(SendError::Malformed)?;
        self.duplicates.answered(now, &incoming.key, &message);
        let peer = &self.peers[incoming.peer.0 as usize];
        if !peer.state.is_open() || peer.connection() != Some(incoming.connection) {
            return Err(SendError::Gone);
        }
        self.send(incoming.connection, Ok(message));
        Ok(())
    }

    /// The best peer for a request that has not had it yet.
    ///
    /// A peer that is the Destination-Host and configured is the only choice; else the peers of the
    /// Destination-Realm and the relays are, healthy ones first, then in the order of
    /// configuration.
    fn route(&self, message: &Message<'_>, tried: &[PeerId]) -> Option<PeerId> {
        let health = |peer: &PeerId| {
            let state = &self.peers[peer.0 as usize];
            let usable = state.state.is_open()
                && state.remote.as_ref().is_some_and(|remote| {
                    remote.applications.contains(&message.header.application)
                });
            usable.then(|| state.watchdog.health())
        };
        self.candidates(message)
            .into_iter()
            .filter(|peer| !tried.contains(peer))
            .filter_map(|peer| Some((health(&peer)?, peer)))
            .min()
            .map(|(_, peer)| peer)
    }

    /// Configured peers a request may go to, up or not.
    fn candidates(&self, message: &Message<'_>) -> Vec<PeerId> {
        let named = |def, text: &str| {
            let avp = message.find(def);
            avp.is_some_and(|avp| avp.data.eq_ignore_ascii_case(text.as_bytes()))
        };
        let peers = || (0..).map(PeerId).zip(&self.config.peers);
        let host = peers().find(|(_, peer)| named(&common::DESTINATION_HOST, &peer.host));
        if let Some((id, _)) = host {
            return vec![id];
        }
        peers()
            .filter(|(_, peer)| peer.is_relay || named(&common::DESTINATION_REALM, &peer.realm))
            .map(|(id, _)| id)
            .collect()
    }

    /// Connects to a peer that took leave, as there is something to say to it again.
    fn wake_for(&mut self, now: Instant, message: &[u8]) {
        let Ok(message) = Message::parse(message) else {
            return;
        };
        if self.stopped {
            return;
        }
        for peer in self.candidates(&message) {
            self.wake(now, peer);
        }
    }

    /// Sends a request to its peer under a new Hop-by-Hop Identifier.
    fn dispatch(&mut self, id: RequestId, mut request: Request) {
        let mut hop_by_hop = self.next_hop_by_hop();
        // Ends: there are fewer requests (PENDING_MAX) than identifiers.
        while self.pending.by_hop.contains_key(&hop_by_hop) {
            hop_by_hop = self.next_hop_by_hop();
        }
        request.hop_by_hop = hop_by_hop;
        request.bytes[field::HOP_BY_HOP].copy_from_slice(&hop_by_hop.to_be_bytes());
        let connection = self.peers[request.peer.0 as usize].connection();
        if let Some(connection) = connection {
            self.send(connection, Ok(request.bytes.clone()));
        }
        self.pending.by_hop.insert(hop_by_hop, id);
        self.pending.requests.insert(id, request);
    }

    /// Moves what a peer has not answered to other peers, with the T flag (RFC 6733 3).
    ///
    /// Without another peer a request fails when the connection is `lost`, and waits on otherwise.
    pub(super) fn fail_over(&mut self, peer: PeerId, lost: bool) {
        let waiting: Vec<RequestId> = self.pending.of_peer(peer).collect();
        for id in waiting {
            if self.try_another(id, CommandFlags::RETRANSMITTED) || !lost {
                continue;
            }
            self.fail(id, Failure::ConnectionLost);
        }
    }

    /// Sends a request to the next peer that may take it. False when there is none.
    fn try_another(&mut self, id: RequestId, flag: u8) -> bool {
        let Some(request) = self.pending.requests.get(&id) else {
            return false;
        };
        let mut tried = request.tried.clone();
        tried.push(request.peer);
        let Ok(message) = Message::parse(&request.bytes) else {
            return false;
        };
        let Some(next) = self.route(&message, &tried) else {
            return false;
        };
        if let Some(mut request) = self.pending.remove(id) {
            self.counters.failovers += 1;
            request.tried = tried;
            request.peer = next;
            request.bytes[field::FLAGS] |= flag;
            self.dispatch(id, request);
        }
        true
    }

    fn fail(&mut self, id: RequestId, failure: Failure) {
        if let Some(request) = self.pending.remove(id) {
            self.timers.cancel(request.timer);
            self.outputs.push_back(Output::Failed {
                request: id,
                failure,
            });
        }
    }

    pub(super) fn request_ended(&mut self, id: RequestId) {
        self.fail(id, Failure::Timeout);
    }

    /// An answer of an application.
    pub(super) fn answer(&mut self, peer: PeerId, message: &Message<'_>) {
        let Some(id) = self.waiting(peer, message.header.hop_by_hop) else {
            self.counters.stray_answers += 1;
            return;
        };
        let application = message.header.application;
        let checked = match self.config.local.application(application) {
            Some(dictionary) => dictionary.check(message).map(drop),
            None => Err(Error::ApplicationUnsupported(application)),
        };
        if let Err(error) = checked {
            self.counters.faulty_answers += 1;
            return self.fail(id, Failure::InvalidAnswer(error));
        }
        // RFC 6733 7.1.3: these two ask for another peer.
        let elsewhere = [ResultCode::UNABLE_TO_DELIVER, ResultCode::TOO_BUSY];
        let wants = result_code(message).is_some_and(|code| elsewhere.contains(&code));
        if wants && self.try_another(id, 0) {
            return;
        }
        if let Some(request) = self.pending.remove(id) {
            self.timers.cancel(request.timer);
            self.outputs.push_back(Output::Answer {
                request: id,
                message: message.as_bytes().to_vec(),
            });
        }
    }

    /// An answer that cannot even be read.
    pub(super) fn faulty_answer(&mut self, peer: PeerId, bytes: &[u8], error: Error) {
        self.counters.faulty_answers += 1;
        let hop_by_hop = bytes
            .get(field::HOP_BY_HOP)
            .and_then(|field| field.try_into().ok())
            .map(u32::from_be_bytes);
        if let Some(id) = hop_by_hop.and_then(|hop_by_hop| self.waiting(peer, hop_by_hop)) {
            self.fail(id, Failure::InvalidAnswer(error));
        }
    }

    /// The request of this Hop-by-Hop Identifier that `peer` is to answer.
    fn waiting(&self, peer: PeerId, hop_by_hop: u32) -> Option<RequestId> {
        let id = *self.pending.by_hop.get(&hop_by_hop)?;
        let request = self.pending.requests.get(&id)?;
        (request.peer == peer).then_some(id)
    }
}

const _: () = assert!((Health::Okay as u8) < Health::Reopen as u8);
const _: () = assert!((Health::Reopen as u8) < Health::Suspect as u8);
