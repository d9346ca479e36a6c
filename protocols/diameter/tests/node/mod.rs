//! An endpoint as a node of the virtual network.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use diameter::Message;
use diameter::cx::{Answer, Envelope, Outcome, Request};
use diameter::endpoint::{
    Config, ConnectionId, Endpoint, Failure, Incoming, Output, PeerConfig, PeerId, RequestId,
};
use sim::{Host, StreamEvent, Transmit};

use crate::identity::{REALM, address, local};

/// What a node did with a request it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Answers at once.
    Answers(Outcome),
    /// Never answers.
    Ignores,
}

/// An endpoint, its connections, and what came out of it.
pub struct Node {
    pub endpoint: Endpoint,
    pub conduct: Conduct,
    /// Requests received, not those answered from memory.
    pub requests: Vec<Request>,
    pub incoming: Vec<(Incoming, Vec<u8>)>,
    pub answers: Vec<(RequestId, Answer)>,
    pub failures: Vec<(RequestId, Failure)>,
    /// `true` for up, `false` for down.
    pub changes: Vec<(PeerId, bool)>,
    address: SocketAddr,
    next_port: u16,
    streams: BTreeMap<(SocketAddr, SocketAddr), ConnectionId>,
    out: VecDeque<Transmit>,
}

impl Node {
    pub fn new(now: Instant, number: u8, peers: Vec<PeerConfig>) -> Node {
        Node::with(now, number, Config::new(local(number), peers))
    }

    pub fn with(now: Instant, number: u8, config: Config) -> Node {
        let entropy = Entropy::from_u64(now.as_nanos() ^ u64::from(number));
        Node {
            endpoint: Endpoint::new(now, config, entropy),
            conduct: Conduct::Answers(Outcome::SUCCESS),
            requests: Vec::new(),
            incoming: Vec::new(),
            answers: Vec::new(),
            failures: Vec::new(),
            changes: Vec::new(),
            address: address(number),
            next_port: 40_000 + (now.as_secs() % 20_000) as u16,
            streams: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// Sends a Cx request; to a host, or to whom the realm leads.
    pub fn send(
        &mut self,
        now: Instant,
        request: &Request,
        host: Option<String>,
    ) -> Result<RequestId, diameter::endpoint::SendError> {
        let envelope = Envelope {
            session_id: self.endpoint.session_id(),
            origin: self.endpoint.config().local.origin.clone(),
            destination_host: host,
            destination_realm: REALM.to_owned(),
        };
        let message = request.to_message(&envelope).unwrap();
        let sent = self.endpoint.send_request(now, message);
        self.drain(now);
        sent
    }

    pub fn drain(&mut self, now: Instant) {
        while let Some(output) = self.endpoint.poll_output() {
            self.act(now, output);
        }
    }

    fn stream(&self, connection: ConnectionId) -> Option<(SocketAddr, SocketAddr)> {
        let found = self.streams.iter().find(|(_, id)| **id == connection);
        found.map(|(&stream, _)| stream)
    }

    fn act(&mut self, now: Instant, output: Output) {
        match output {
            Output::Connect {
                connection,
                address: remote,
                ..
            } => {
                self.next_port = self.next_port.wrapping_add(1).max(1024);
                let local = SocketAddr::new(self.address.ip(), self.next_port);
                self.streams.insert((local, remote), connection);
                self.out.push_back(Transmit::Connect { local, remote });
            }
            Output::Send { connection, bytes } => {
                Message::parse(&bytes).expect("what is sent can be read");
                if let Some((local, remote)) = self.stream(connection) {
                    self.out.push_back(Transmit::Stream {
                        local,
                        remote,
                        bytes,
                    });
                }
            }
            Output::Close { connection } => {
                if let Some((local, remote)) = self.stream(connection) {
                    self.streams.remove(&(local, remote));
                    self.out.push_back(Transmit::Close { local, remote });
                }
            }
            Output::PeerUp { peer } => self.changes.push((peer, true)),
            Output::PeerDown { peer } => self.changes.push((peer, false)),
            Output::Request { incoming, message } => self.request(now, incoming, message),
            Output::Answer { request, message } => {
                let answer = Answer::from_message(&Message::parse(&message).unwrap()).unwrap();
                self.answers.push((request, answer));
            }
            Output::Failed { request, failure } => self.failures.push((request, failure)),
        }
    }

    fn request(&mut self, now: Instant, incoming: Incoming, message: Vec<u8>) {
        let (_, request) = Request::from_message(&Message::parse(&message).unwrap()).unwrap();
        if let Conduct::Answers(outcome) = self.conduct {
            let origin = self.endpoint.config().local.origin.clone();
            let answer = request
                .answer(outcome)
                .to_message(&incoming.reply_to, &origin);
            let _ = self.endpoint.send_answer(now, &incoming, answer.unwrap());
        }
        self.requests.push(request);
        self.incoming.push((incoming, message));
    }
}

impl Host for Node {
    fn handle_datagram(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, _: &[u8]) {}

    fn handle_stream(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        event: StreamEvent<'_>,
    ) {
        let stream = (local, remote);
        let known = self.streams.get(&stream).copied();
        match (event, known) {
            (StreamEvent::Accepted, _) => match self.endpoint.accept(now) {
                Some(connection) => {
                    self.streams.insert(stream, connection);
                }
                None => self.out.push_back(Transmit::Close { local, remote }),
            },
            (StreamEvent::Connected, Some(id)) => self.endpoint.handle_connected(now, id),
            (StreamEvent::Refused, Some(id)) => {
                self.streams.remove(&stream);
                self.endpoint.handle_connect_failed(now, id);
            }
            (StreamEvent::Received(bytes), Some(id)) => {
                self.endpoint.handle_received(now, id, bytes);
            }
            (StreamEvent::Closed, Some(id)) => {
                self.streams.remove(&stream);
                self.endpoint.handle_closed(now, id);
            }
            (_, None) => {}
        }
        self.drain(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.endpoint.next_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    fn listens(&self, local: SocketAddr) -> bool {
        local == self.address
    }
}

/// Long enough for connecting and capabilities.
pub const SETUP: Duration = Duration::from_secs(1);
