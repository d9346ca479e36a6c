//! Connections and what comes in on them.

use base::Instant;

use super::{
    Connection, ConnectionId, Endpoint, Incoming, Key, Output, Peer, PeerConfig, PeerId, REBOOTING,
    STRANGERS_MAX, State, Timer,
};
use crate::dictionary::base as common;
use crate::endpoint::duplicates::Seen;
use crate::error::Error;
use crate::framer::Framer;
use crate::message::{Message, field};
use crate::peer::capabilities::Remote;
use crate::peer::machine::{Event, step};
use crate::reply::{Origin, ReplyTo};
use crate::result::ResultCode;

impl Endpoint {
    /// A node connected to us. `None` when too many strangers are here already, or after
    /// [`Endpoint::stop`]: close it.
    pub fn accept(&mut self, now: Instant) -> Option<ConnectionId> {
        if self.stopped || self.strangers == STRANGERS_MAX {
            self.counters.strangers_refused += 1;
            return None;
        }
        self.strangers += 1;
        let id = self.new_connection(None);
        let timer = self
            .timers
            .set(now + self.config.setup, Timer::Stranger(id));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.timer = Some(timer);
        }
        Some(id)
    }

    /// A connection asked for with [`Output::Connect`] is open.
    pub fn handle_connected(&mut self, now: Instant, connection: ConnectionId) {
        if let Some(peer) = self.initiated_by(connection) {
            self.step(now, peer, Event::IRcvConnAck);
        }
    }

    /// A connection asked for with [`Output::Connect`] could not be opened.
    pub fn handle_connect_failed(&mut self, now: Instant, connection: ConnectionId) {
        if let Some(peer) = self.initiated_by(connection) {
            self.step(now, peer, Event::IRcvConnNack);
        }
    }

    /// A connection is lost or was closed by the peer.
    pub fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        match self.connections.get(&connection).map(|open| open.peer) {
            None => {}
            Some(None) => self.drop_connection(connection),
            Some(Some(peer)) => self.lost(now, peer, connection),
        }
    }

    /// Octets came on a connection.
    pub fn handle_received(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8]) {
        let Some(open) = self.connections.get_mut(&connection) else {
            return;
        };
        open.framer.push(bytes);
        // The connection may go away while its messages are worked on.
        while let Some(open) = self.connections.get_mut(&connection) {
            match open.framer.next_message() {
                Ok(None) => return,
                Ok(Some(message)) => self.message(now, connection, message),
                Err(error) => {
                    let rest = open.framer.rest().to_vec();
                    self.stream_broken(now, connection, &rest, &error);
                }
            }
        }
    }

    pub(super) fn new_connection(&mut self, peer: Option<PeerId>) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let connection = Connection {
            framer: Framer::default(),
            peer,
            timer: None,
        };
        self.connections.insert(id, connection);
        id
    }

    /// Forgets a connection and has it closed.
    pub(super) fn drop_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.no_stranger(&connection);
        self.outputs.push_back(Output::Close { connection: id });
    }

    fn no_stranger(&mut self, connection: &Connection) {
        if connection.peer.is_none() {
            self.strangers -= 1;
        }
        if let Some(timer) = connection.timer {
            self.timers.cancel(timer);
        }
    }

    fn initiated_by(&self, connection: ConnectionId) -> Option<PeerId> {
        let peer = self.connections.get(&connection)?.peer?;
        (self.peers[peer.0 as usize].initiator == Some(connection)).then_some(peer)
    }

    fn lost(&mut self, now: Instant, peer: PeerId, connection: ConnectionId) {
        let state = &self.peers[peer.0 as usize];
        let event = if state.initiator != Some(connection) {
            Event::RPeerDisc
        } else if matches!(state.state, State::WaitConnAck | State::WaitConnAckElect) {
            Event::IRcvConnNack
        } else {
            Event::IPeerDisc
        };
        self.step(now, peer, event);
    }

    /// No more messages can be found in a stream: the fault is answered if possible, the connection
    /// closed.
    fn stream_broken(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        rest: &[u8],
        error: &Error,
    ) {
        self.counters.streams_broken += 1;
        if let Some(reply_to) = ReplyTo::salvage(rest) {
            self.send_error(connection, &reply_to, error);
        }
        self.handle_closed(now, connection);
        self.drop_connection(connection);
    }

    /// One message, whole.
    fn message(&mut self, now: Instant, connection: ConnectionId, bytes: Vec<u8>) {
        let message = match Message::parse(&bytes) {
            Ok(message) => message,
            Err(error) => return self.unreadable(now, connection, &bytes, error),
        };
        let Some(open) = self.connections.get(&connection) else {
            return;
        };
        let Some(peer) = open.peer else {
            return self.first_message(now, connection, &message);
        };
        let state = &self.peers[peer.0 as usize];
        match state.state {
            State::WaitICea | State::WaitReturns if state.initiator == Some(connection) => {
                self.capabilities_answer(now, peer, &message);
            }
            State::IOpen | State::ROpen if state.connection() == Some(connection) => {
                self.open_message(now, peer, connection, &message);
            }
            State::Closing => self.closing_message(now, peer, &message),
            // R before its CEA: the peer may not speak yet.
            _ => {}
        }
    }

    /// A message whose AVPs lie about their lengths.
    fn unreadable(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8], error: Error) {
        let Some(peer) = self.connections.get(&connection).and_then(|open| open.peer) else {
            return self.stream_broken(now, connection, bytes, &error);
        };
        if !self.peers[peer.0 as usize].state.is_open() {
            return self.stream_broken(now, connection, bytes, &error);
        }
        self.watchdog_fed(now, peer, false);
        match ReplyTo::salvage(bytes) {
            Some(reply_to) => {
                self.counters.faulty_requests += 1;
                self.send_error(connection, &reply_to, &error);
            }
            None => self.faulty_answer(peer, bytes, error),
        }
    }

    /// The first message of a stranger: it must be CER, and from a peer we know.
    fn first_message(&mut self, now: Instant, connection: ConnectionId, message: &Message<'_>) {
        let header = &message.header;
        if header.command != common::CAPABILITIES_EXCHANGE || !header.flags.is_request() {
            self.counters.unknown_peers += 1;
            return self.drop_connection(connection);
        }
        let reply_to = ReplyTo::new(message);
        let remote = common::DICTIONARY
            .check(message)
            .and_then(|_| Remote::read(message, &self.config.local));
        let remote = match remote {
            Ok(remote) => remote,
            Err(error) => {
                self.counters.faulty_requests += 1;
                self.send_error(connection, &reply_to, &error);
                return self.drop_connection(connection);
            }
        };
        let host = &remote.origin.host;
        let known = self
            .config
            .peers
            .iter()
            .position(|peer| peer.host.eq_ignore_ascii_case(host));
        if known.is_none() && !self.is_welcome(&remote.origin) {
            self.counters.unknown_peers += 1;
            self.send_result(connection, &reply_to, ResultCode::UNKNOWN_PEER);
            return self.drop_connection(connection);
        }
        if let Some(refusal) = remote.refusal() {
            self.send_result(connection, &reply_to, refusal);
            return self.drop_connection(connection);
        }
        let index = known.unwrap_or_else(|| self.take_in(&remote.origin));
        self.capabilities_request(now, PeerId(index as u32), connection, remote, reply_to);
    }

    /// Whether a node that is not known by configuration may become a guest.
    fn is_welcome(&self, origin: &Origin) -> bool {
        let local = &self.config.local.origin;
        self.guests < self.config.guests_max
            && origin.realm.eq_ignore_ascii_case(&local.realm)
            && !origin.host.eq_ignore_ascii_case(&local.host)
    }

    /// Makes a guest a known peer, for good.
    fn take_in(&mut self, origin: &Origin) -> usize {
        self.guests += 1;
        self.config.peers.push(PeerConfig {
            host: origin.host.clone(),
            realm: origin.realm.clone(),
            address: None,
            is_relay: false,
        });
        self.peers.push(Peer::new());
        self.peers.len() - 1
    }

    /// R-Conn-CER of a peer we can talk to.
    fn capabilities_request(
        &mut self,
        now: Instant,
        peer: PeerId,
        connection: ConnectionId,
        remote: Remote,
        cer: ReplyTo,
    ) {
        let state = &mut self.peers[peer.0 as usize];
        let takes = !matches!(
            state.state,
            State::WaitConnAckElect
                | State::WaitReturns
                | State::IOpen
                | State::ROpen
                | State::Closing
        );
        debug_assert!(step(state.state, Event::RConnCer).is_some());
        if takes {
            state.responder = Some(connection);
            state.remote = Some(remote);
            state.cer = Some(cer);
            if let Some(open) = self.connections.get_mut(&connection) {
                if let Some(timer) = open.timer.take() {
                    self.timers.cancel(timer);
                }
                open.peer = Some(peer);
                self.strangers -= 1;
            }
        } else {
            self.drop_connection(connection);
        }
        self.step(now, peer, Event::RConnCer);
    }

    /// The first message on I after CER.
    fn capabilities_answer(&mut self, now: Instant, peer: PeerId, message: &Message<'_>) {
        let state = &self.peers[peer.0 as usize];
        let known = &self.config.peers[peer.0 as usize];
        let header = &message.header;
        let expected = header.command == common::CAPABILITIES_EXCHANGE
            && !header.flags.is_request()
            && !header.flags.is_error()
            && header.hop_by_hop == state.cer_sent
            && common::DICTIONARY.check(message).is_ok()
            && result_code(message).is_some_and(ResultCode::is_success);
        let refusal = result_code(message).filter(|code| !code.is_success());
        self.peers[peer.0 as usize].refusal = refusal;
        let remote = Remote::read(message, &self.config.local)
            .ok()
            .filter(|remote| expected && remote.refusal().is_none())
            .filter(|remote| remote.origin.host.eq_ignore_ascii_case(&known.host));
        match remote {
            Some(remote) => {
                self.peers[peer.0 as usize].remote = Some(remote);
                self.step(now, peer, Event::IRcvCea);
            }
            None => self.step(now, peer, Event::IRcvNonCea),
        }
    }

    fn open_message(
        &mut self,
        now: Instant,
        peer: PeerId,
        connection: ConnectionId,
        message: &Message<'_>,
    ) {
        let header = &message.header;
        let state = &self.peers[peer.0 as usize];
        let is_base = header.application == common::APPLICATION_ID;
        let dwa = is_base
            && header.command == common::DEVICE_WATCHDOG
            && !header.flags.is_request()
            && header.hop_by_hop == state.dwr_sent;
        self.watchdog_fed(now, peer, dwa);
        match (is_base, header.flags.is_request()) {
            (true, true) => self.base_request(now, peer, connection, message),
            (true, false) if dwa => {}
            (true, false) => self.counters.stray_answers += 1,
            (false, true) => self.request(now, peer, connection, message),
            (false, false) => self.answer(peer, message),
        }
    }

    /// DWR, DPR, and what else the peer sends of the base protocol.
    fn base_request(
        &mut self,
        now: Instant,
        peer: PeerId,
        connection: ConnectionId,
        message: &Message<'_>,
    ) {
        let reply_to = ReplyTo::new(message);
        if let Err(error) = common::DICTIONARY.check(message) {
            self.counters.faulty_requests += 1;
            return self.send_error(connection, &reply_to, &error);
        }
        match message.header.command {
            common::DEVICE_WATCHDOG => self.send_base_answer(connection, &reply_to),
            common::DISCONNECT_PEER => {
                let cause = message.find(&common::DISCONNECT_CAUSE);
                let reboots = cause.is_some_and(|cause| cause.to_u32() == Ok(REBOOTING));
                // RFC 6733 5.4: after any other cause the peer is not to be called back.
                self.peers[peer.0 as usize].wanted = reboots;
                self.send_base_answer(connection, &reply_to);
                self.step(now, peer, Event::RcvDpr);
            }
            // Capabilities are exchanged once for each connection.
            _ => self.send_result(connection, &reply_to, ResultCode::UNABLE_TO_COMPLY),
        }
    }

    /// A request of an application.
    fn request(
        &mut self,
        now: Instant,
        peer: PeerId,
        connection: ConnectionId,
        message: &Message<'_>,
    ) {
        let reply_to = ReplyTo::new(message);
        if let Err(error) = self.acceptable(message) {
            self.counters.faulty_requests += 1;
            return match error {
                Refusal::Fault(error) => self.send_error(connection, &reply_to, &error),
                Refusal::Result(result) => self.send_result(connection, &reply_to, result),
            };
        }
        let key = Key {
            origin_host: message
                .find(&common::ORIGIN_HOST)
                .map_or(&[][..], |avp| avp.data)
                .into(),
            end_to_end: message.header.end_to_end,
        };
        let seen = self.duplicates.see(now, &key);
        // Without the T flag it is a new request, even of a node that repeats identifiers.
        if let (Some(seen), true) = (seen, message.header.flags.is_retransmitted()) {
            self.counters.duplicate_requests += 1;
            if let Seen::Answered(answer) = seen {
                let mut bytes = answer.to_vec();
                bytes[field::HOP_BY_HOP].copy_from_slice(&message.header.hop_by_hop.to_be_bytes());
                self.send(connection, Ok(bytes));
            }
            return;
        }
        let incoming = Incoming {
            peer,
            reply_to,
            connection,
            key,
        };
        self.outputs.push_back(Output::Request {
            incoming,
            message: message.as_bytes().to_vec(),
        });
    }

    /// Whether a request is for this node and in order, RFC 6733 6.1.4.
    fn acceptable(&self, message: &Message<'_>) -> Result<(), Refusal> {
        let local = &self.config.local;
        let application = message.header.application;
        let dictionary = local
            .application(application)
            .ok_or(Refusal::Fault(Error::ApplicationUnsupported(application)))?;
        dictionary.check(message).map_err(Refusal::Fault)?;
        let names = |def, ours: &str| {
            let theirs = message.find(def);
            theirs.is_none_or(|avp| avp.data.eq_ignore_ascii_case(ours.as_bytes()))
        };
        if !names(&common::DESTINATION_REALM, &local.origin.realm) {
            return Err(Refusal::Result(ResultCode::REALM_NOT_SERVED));
        }
        if !names(&common::DESTINATION_HOST, &local.origin.host) {
            return Err(Refusal::Result(ResultCode::UNABLE_TO_DELIVER));
        }
        Ok(())
    }

    /// DPR was sent or received: answers still count, requests are too late.
    fn closing_message(&mut self, now: Instant, peer: PeerId, message: &Message<'_>) {
        let header = &message.header;
        if header.flags.is_request() {
            return;
        }
        let state = &self.peers[peer.0 as usize];
        if header.command == common::DISCONNECT_PEER && header.hop_by_hop == state.dpr_sent {
            self.step(now, peer, Event::RcvDpa);
        }
    }
}

/// Why a request is not worked on.
enum Refusal {
    Fault(Error),
    Result(ResultCode),
}

/// The Result-Code of an answer.
pub(super) fn result_code(message: &Message<'_>) -> Option<ResultCode> {
    let avp = message.find(&common::RESULT_CODE)?;
    avp.to_u32().ok().map(ResultCode)
}
