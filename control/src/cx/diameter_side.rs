//! Cx over Diameter: connections, and the requests that go over them both ways.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base::{Entropy, Instant};
use diameter::cx::{Answer, Envelope, Outcome, Request};
use diameter::endpoint::{
    Config, ConnectionId, Endpoint, Failure, Incoming, Local, Output as Out, PeerConfig, PeerId,
    RequestId,
};
use diameter::{Message, Origin, ResultCode, dictionary};

use super::host;
use crate::admin::PeerStatus;
use crate::config::{ControlConfig, HssAddress, Role};
use crate::counters::Counter;
use crate::entity::CxCommand;
use crate::node::{Output, Payload, Service, StreamId};

/// Peers that an HSS serves without knowing them by name.
const GUESTS_MAX: usize = 256;
/// Requests of peers that wait for an answer of ours; beyond: DIAMETER_TOO_BUSY.
const INCOMING_MAX: usize = 65_536;
/// Pause between attempts to reach the HSS: without it nobody registers.
const RECONNECT: Duration = Duration::from_secs(1);

/// What the Diameter side has for the node.
#[derive(Debug)]
pub enum CxEvent {
    /// To be done outside.
    Output(Output),
    /// A peer asks.
    Request {
        /// Under which to answer.
        token: u64,
        /// Who asks.
        origin: Origin,
        /// What.
        request: Box<Request>,
    },
    /// A request of an entity is answered, or has failed.
    Answer {
        /// Who asked.
        from: Role,
        /// Its name for the request.
        token: u64,
        /// The answer.
        answer: Box<Answer>,
    },
    /// A request of the HSS is answered.
    HssAnswered(Box<Answer>),
    /// To be counted.
    Counted(Counter),
}

/// Diameter of one process.
#[derive(Debug)]
pub struct DiameterSide {
    endpoint: Endpoint,
    /// Which requests are for this process to answer.
    asked_as: AskedAs,
    origin: Origin,
    sent: HashMap<RequestId, Sent>,
    incoming: HashMap<u64, Incoming>,
    incoming_max: usize,
    incoming_next: u64,
    streams: HashMap<StreamId, ConnectionId>,
    connections: HashMap<ConnectionId, StreamId>,
    streams_opened: u64,
    counted: Counted,
    events: VecDeque<CxEvent>,
}

/// As whom others ask this process (TS 29.228 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedAs {
    Hss,
    Scscf,
    /// An I-CSCF only asks.
    Nobody,
}

/// What the endpoint had counted when it was last asked.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    malformed: u64,
    strangers: u64,
    peers: u64,
}

impl AskedAs {
    const fn answers(self, request: &Request) -> bool {
        match request {
            Request::UserAuthorization(_)
            | Request::ServerAssignment(_)
            | Request::LocationInfo(_)
            | Request::MultimediaAuth(_) => matches!(self, AskedAs::Hss),
            Request::RegistrationTermination(_) | Request::PushProfile(_) => {
                matches!(self, AskedAs::Scscf)
            }
        }
    }
}

#[derive(Debug)]
struct Sent {
    /// The entity that asked and its token; none for a request of the HSS.
    asker: Option<(Role, u64)>,
    request: Request,
}

impl DiameterSide {
    /// The Diameter side of a process that needs one: it plays the HSS for others, or its HSS is
    /// elsewhere.
    pub fn new(config: &ControlConfig, now: Instant, entropy: Entropy) -> Option<Self> {
        let serves = config.plays(Role::Hss) && config.diameter.is_some();
        let asks = match config.hss {
            HssAddress::Remote(address) => Some(address),
            HssAddress::Local => None,
        };
        if !serves && asks.is_none() {
            return None;
        }
        let origin = Origin {
            host: host(config),
            realm: config.realm.clone(),
        };
        let own: Vec<IpAddr> = config
            .diameter
            .iter()
            .chain(&config.sip)
            .map(SocketAddr::ip)
            .take(1)
            .collect();
        let local = Local {
            origin: origin.clone(),
            host_ip_addresses: own,
            vendor_id: diameter::cx::VENDOR_3GPP,
            product_name: "Strowger".into(),
            applications: vec![&dictionary::cx::DICTIONARY],
        };
        let peers = asks
            .map(|address| PeerConfig {
                host: config.hss_host.clone(),
                realm: config.realm.clone(),
                address: Some(address),
                is_relay: false,
            })
            .into_iter()
            .collect();
        let mut limits = Config::new(local, peers);
        limits.guests_max = if serves { GUESTS_MAX } else { 0 };
        limits.reconnect = RECONNECT;
        let asked_as = match () {
            () if serves => AskedAs::Hss,
            () if config.plays(Role::Scscf) => AskedAs::Scscf,
            () => AskedAs::Nobody,
        };
        Some(Self {
            asked_as,
            endpoint: Endpoint::new(now, limits, entropy),
            origin,
            sent: HashMap::new(),
            incoming: HashMap::new(),
            incoming_max: INCOMING_MAX,
            incoming_next: 0,
            streams: HashMap::new(),
            connections: HashMap::new(),
            streams_opened: 0,
            counted: Counted::default(),
            events: VecDeque::new(),
        })
    }

    // ---- connections ----

    /// A peer connected.
    pub fn handle_accepted(&mut self, now: Instant, stream: StreamId) {
        match self.endpoint.accept(now) {
            Some(connection) => self.tie(stream, connection),
            None => self
                .events
                .push_back(CxEvent::Output(Output::Close(stream))),
        }
        self.drain(now);
    }

    /// A connection that we asked for is made.
    pub fn handle_connected(&mut self, now: Instant, stream: StreamId) {
        if let Some(&connection) = self.streams.get(&stream) {
            self.endpoint.handle_connected(now, connection);
        }
        self.drain(now);
    }

    /// Bytes came.
    pub fn handle_received(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        if let Some(&connection) = self.streams.get(&stream) {
            self.endpoint.handle_received(now, connection, bytes);
        }
        self.drain(now);
    }

    /// A connection is gone, or could not be made.
    pub fn handle_closed(&mut self, now: Instant, stream: StreamId) {
        if let Some(connection) = self.streams.remove(&stream) {
            self.connections.remove(&connection);
            // One of the two fits, the other means nothing to the endpoint.
            self.endpoint.handle_connect_failed(now, connection);
            self.endpoint.handle_closed(now, connection);
        }
        self.drain(now);
    }

    /// Takes leave of all peers (RFC 6733 5.4).
    pub fn stop(&mut self, now: Instant) {
        self.endpoint.stop(now);
        self.drain(now);
    }

    /// True when there is no connection.
    pub fn is_disconnected(&self) -> bool {
        self.connections.is_empty()
    }

    /// When it wants attention.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.endpoint.next_timeout()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain(now);
    }

    /// Takes what is to be done or known.
    pub fn poll_event(&mut self) -> Option<CxEvent> {
        self.events.pop_front()
    }

    /// The peers.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let names = self.endpoint.config().peers.iter().enumerate();
        names
            .filter_map(|(index, peer)| {
                let status = self.endpoint.peer(PeerId(u32::try_from(index).ok()?))?;
                Some(PeerStatus {
                    host: peer.host.clone(),
                    state: format!("{:?}", status.state),
                })
            })
            .collect()
    }

    // ---- requests ----

    /// Sends a request of an entity to the HSS; its answer comes in any case.
    pub fn send(&mut self, now: Instant, command: CxCommand) {
        let asker = Some((command.from, command.token));
        self.send_request(now, command.request, None, asker);
    }

    /// Sends a request of the HSS to an S-CSCF.
    pub fn send_to(&mut self, now: Instant, destination: &Origin, request: Request) {
        self.send_request(now, request, Some(destination), None);
    }

    fn send_request(
        &mut self,
        now: Instant,
        request: Request,
        destination: Option<&Origin>,
        asker: Option<(Role, u64)>,
    ) {
        let envelope = Envelope {
            session_id: self.endpoint.session_id(),
            origin: self.origin.clone(),
            destination_host: destination.map(|origin| origin.host.clone()),
            destination_realm: destination.unwrap_or(&self.origin).realm.clone(),
        };
        let sent = request
            .to_message(&envelope)
            .map_err(|_| ())
            .and_then(|message| self.endpoint.send_request(now, message).map_err(|_| ()));
        match sent {
            Ok(id) => {
                self.sent.insert(id, Sent { asker, request });
            }
            Err(()) => self.give(asker, request.answer(Outcome::UNABLE_TO_DELIVER)),
        }
        self.drain(now);
    }

    /// Answers a peer's request.
    pub fn answer(&mut self, now: Instant, token: u64, answer: &Answer) {
        let Some(incoming) = self.incoming.remove(&token) else {
            return;
        };
        match answer.to_message(&incoming.reply_to, &self.origin) {
            Ok(message) => {
                if let Err(fault) = self.endpoint.send_answer(now, &incoming, message) {
                    tracing::warn!(?fault, "a Diameter answer could not be sent");
                }
            }
            Err(fault) => tracing::error!(?fault, "a Diameter answer could not be written"),
        }
        self.drain(now);
    }

    fn give(&mut self, asker: Option<(Role, u64)>, answer: Answer) {
        let answer = Box::new(answer);
        self.events.push_back(match asker {
            Some((from, token)) => CxEvent::Answer {
                from,
                token,
                answer,
            },
            None => CxEvent::HssAnswered(answer),
        });
    }

    // ---- the endpoint ----

    fn tie(&mut self, stream: StreamId, connection: ConnectionId) {
        self.streams.insert(stream, connection);
        self.connections.insert(connection, stream);
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Out::Connect {
                    connection,
                    address,
                    ..
                } => {
                    self.streams_opened += 1;
                    let stream = StreamId::of_diameter(self.streams_opened);
                    self.tie(stream, connection);
                    let (service, peer) = (Service::Diameter, address);
                    self.events.push_back(CxEvent::Output(Output::Connect {
                        stream,
                        service,
                        peer,
                    }));
                }
                Out::Send { connection, bytes } => {
                    if let Some(&stream) = self.connections.get(&connection) {
                        let bytes = Payload::from(bytes);
                        self.events
                            .push_back(CxEvent::Output(Output::Send { stream, bytes }));
                    }
                }
                Out::Close { connection } => {
                    if let Some(stream) = self.connections.remove(&connection) {
                        self.streams.remove(&stream);
                        self.events
                            .push_back(CxEvent::Output(Output::Close(stream)));
                    }
                }
                Out::PeerUp { peer } => self.tell(peer, "Diameter peer is up"),
                Out::PeerDown { peer } => self.tell(peer, "Diameter peer is down"),
                Out::Request { incoming, message } => self.take_request(now, incoming, &message),
                Out::Answer { request, message } => self.take_answer(request, Some(&message)),
                Out::Failed { request, failure } => {
                    if failure == Failure::Timeout {
                        self.count(Counter::DiameterTimeout);
                    }
                    self.take_answer(request, None);
                }
            }
        }
        self.count_faults();
    }

    /// Counts what the endpoint has counted since the last time.
    fn count_faults(&mut self) {
        let counted = self.endpoint.counters();
        let now = Counted {
            malformed: counted.streams_broken + counted.faulty_requests + counted.faulty_answers,
            strangers: counted.strangers_refused,
            peers: counted.unknown_peers,
        };
        let before = std::mem::replace(&mut self.counted, now);
        for _ in before.malformed..now.malformed {
            self.count(Counter::DiameterMalformed);
        }
        for _ in before.strangers..now.strangers {
            self.count(Counter::DiameterRefusedStranger);
        }
        for _ in before.peers..now.peers {
            self.count(Counter::DiameterRefusedPeer);
        }
    }

    fn count(&mut self, counter: Counter) {
        self.events.push_back(CxEvent::Counted(counter));
    }

    fn tell(&self, peer: PeerId, what: &str) {
        let host = self
            .endpoint
            .config()
            .peers
            .get(peer.0 as usize)
            .map(|peer| &peer.host);
        tracing::info!(host, "{what}");
    }

    fn take_request(&mut self, now: Instant, incoming: Incoming, message: &[u8]) {
        let read = Message::parse(message).and_then(|message| Request::from_message(&message));
        let refusal = match read {
            Ok((_, request)) if !self.asked_as.answers(&request) => {
                self.refusal(&incoming, ResultCode::COMMAND_UNSUPPORTED)
            }
            Ok(_) if self.incoming.len() >= self.incoming_max => {
                self.count(Counter::DiameterRefusedFull);
                self.refusal(&incoming, ResultCode::TOO_BUSY)
            }
            Ok((envelope, request)) => {
                self.incoming_next += 1;
                let token = self.incoming_next;
                self.incoming.insert(token, incoming);
                let origin = envelope.origin;
                let request = Box::new(request);
                return self.events.push_back(CxEvent::Request {
                    token,
                    origin,
                    request,
                });
            }
            // The endpoint has held the request against its grammar; what is left are values that
            // mean nothing.
            Err(fault) => {
                self.count(Counter::DiameterMalformed);
                let dictionary = Some(&dictionary::cx::DICTIONARY);
                incoming.reply_to.error(&self.origin, &fault, dictionary)
            }
        };
        if let Ok(refusal) = refusal {
            // The connection may be gone; then nobody waits.
            let _ = self.endpoint.send_answer(now, &incoming, refusal);
        }
    }

    fn refusal(&self, incoming: &Incoming, result: ResultCode) -> Result<Vec<u8>, diameter::Error> {
        let dictionary = Some(&dictionary::cx::DICTIONARY);
        incoming.reply_to.result(&self.origin, result, dictionary)
    }

    fn take_answer(&mut self, id: RequestId, message: Option<&[u8]>) {
        let Some(Sent { asker, request }) = self.sent.remove(&id) else {
            return;
        };
        let answer = message
            .and_then(|message| Message::parse(message).ok())
            .and_then(|message| Answer::from_message(&message).ok())
            .unwrap_or_else(|| request.answer(Outcome::UNABLE_TO_DELIVER));
        self.give(asker, answer);
    }
}

#[cfg(test)]
mod tests;
