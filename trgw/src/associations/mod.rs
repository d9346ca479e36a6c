//! DTLS-SRTP (RFC 5763, RFC 5764): associations that tell the keys of the media, on the mg thread.
//!
//! A flow that carries such media has a [`Port`] here. What the other side sends of DTLS comes from
//! the workers; what it is answered goes out by them; and the keys, once the other side has shown a
//! certificate with a fingerprint that signalling told, go into the paths of the flow. The media
//! never passes here.
//!
//! Whoever says hello gets a handshake of its own, up to [`PEERS_MAX`] of a flow and
//! [`HANDSHAKES_MAX`] in all, and the first one with the right certificate is believed: who only
//! pretends to be at some address has no answer for the cookie, and who has the wrong certificate
//! disturbs nobody.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::{Instant, TimerId, TimerQueue};
use dataplane::{FlowId, Marking, Srtp};
use dtls::{Association, Identity, Progress, Role, is_client_hello};
use mg::{LegDtls, LegDtlsRole};
use sdp::dtls::Fingerprint;
use srtp::{Receiver, Sender};

use crate::Protection;

/// What became of the DTLS of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DtlsOutcome {
    /// The other side has not finished a handshake yet.
    Awaited,
    /// It has shown another certificate than signalling told of.
    WrongCertificate,
    /// A handshake was begun and came to nothing.
    Failed,
    /// The keys are agreed on.
    Agreed,
}

/// Handshakes, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DtlsCounts {
    /// Those that told keys.
    pub agreed: u64,
    /// Those in which another certificate was shown than signalling told of.
    pub wrong_certificate: u64,
    /// Those that came to nothing for other reasons.
    pub failed: u64,
    /// Hellos that found too many handshakes going on.
    pub refused: u64,
    /// Datagrams from addresses without a handshake.
    pub stray: u64,
}

/// Where a peer is: at which of our flows, where on the network, and who has heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub flow: FlowId,
    pub worker: u16,
    pub remote: SocketAddr,
}

/// What is to be done.
pub(crate) enum Output {
    /// Send this.
    Transmit {
        at: Address,
        marking: Marking,
        bytes: Box<[u8]>,
    },
    /// These keys hold from now on.
    Keys { flow: FlowId, keys: Protection },
}

/// What a leg wants of the DTLS at one of its ports.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub dtls: LegDtls,
    /// Where the other side is said to be.
    pub remote: Option<SocketAddr>,
    /// Who sends the first hello.
    pub worker: u16,
    pub marking: Marking,
}

/// The associations of all flows.
pub(crate) struct Associations {
    identity: Identity,
    ports: HashMap<u32, Port>,
    timers: TimerQueue<Timer>,
    outputs: VecDeque<Output>,
    /// Of all ports.
    handshakes: usize,
    ids: u32,
    counts: DtlsCounts,
}

/// A handshake of a flow with one address.
struct Peer {
    /// Tells it from others of the flow, also later ones.
    id: u32,
    /// The other end, and the worker that hears it.
    at: Address,
    /// Datagrams that came.
    received: u32,
    /// When it wants to be driven.
    timer: Option<TimerId>,
    association: Association,
}

/// The associations of one flow.
struct Port {
    wanted: Wanted,
    /// What was wanted before, until [`Timer::Apply`].
    before: Option<Wanted>,
    /// Handshakes that go on, or whose certificate cannot be judged yet.
    peers: Vec<Peer>,
    /// Whose keys are used, while it may want to hear something again.
    established: Option<Peer>,
    keys: Option<Protection>,
    outcome: DtlsOutcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// What is wanted of a flow has changed.
    Apply(FlowId),
    /// Of this peer.
    Peer(FlowId, u32),
    /// Nobody asks this one any more.
    Linger(FlowId, u32),
    /// A client says hello again.
    Retry(FlowId),
}

impl Associations {
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            ports: HashMap::new(),
            timers: TimerQueue::new(),
            outputs: VecDeque::new(),
            handshakes: 0,
            ids: 0,
            counts: DtlsCounts::default(),
        }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    pub fn counts(&self) -> DtlsCounts {
        self.counts
    }

    /// Handshakes that go on.
    pub fn handshakes(&self) -> usize {
        self.handshakes
    }

    /// A leg wants this at a flow; the keys there are.
    pub fn want(&mut self, flow: FlowId, wanted: Wanted) -> Protection {
        let port = self.ports.entry(flow.0).or_insert_with(|| Port {
            wanted: Wanted {
                dtls: LegDtls {
                    role: LegDtlsRole::Hold,
                    fingerprints: Vec::new(),
                    ids: [None, None],
                },
                remote: None,
                ..wanted
            },
            before: None,
            peers: Vec::new(),
            established: None,
            keys: None,
            outcome: DtlsOutcome::Awaited,
        });
        if port.wanted != wanted {
            let before = std::mem::replace(&mut port.wanted, wanted);
            if port.before.is_none() {
                port.before = Some(before);
                // There is no time here: what follows is done at once.
                self.timers.set(Instant::ZERO, Timer::Apply(flow));
            }
        }
        port.keys.clone().unwrap_or(Protection::NO_KEY)
    }

    /// Ends what a flow had, and tells what became of it.
    pub fn end(&mut self, flow: FlowId) -> Option<DtlsOutcome> {
        if self.ports.is_empty() {
            return None;
        }
        let port = self.ports.remove(&flow.0)?;
        self.handshakes -= port.peers.len();
        for timer in port.all_peers().filter_map(|peer| peer.timer) {
            self.timers.cancel(timer);
        }
        Some(port.outcome)
    }

    /// When [`Associations::handle_timeout`] is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next_timeout()
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes a datagram of DTLS.
    pub fn handle_datagram(&mut self, now: Instant, at: Address, datagram: &[u8]) {
        self.apply(now, at.flow);
        let Some(port) = self.ports.get(&at.flow.0) else {
            return;
        };
        let is_from = |peer: &&Peer| peer.at.remote == at.remote;
        let peer = port.peers.iter().find(is_from).map(|peer| peer.id);
        let is_hello = is_client_hello(datagram);
        let established = port.established.as_ref().filter(is_from);
        // A hello is the begin of another association (RFC 6347 4.2.8); all else may be of either.
        let established = established.filter(|_| !is_hello).map(|peer| peer.id);
        let is_server = port.wanted.dtls.role == LegDtlsRole::Server;
        let peer = match peer {
            None if established.is_none() && is_hello && is_server => {
                let peer = self.begin(now, at);
                self.counts.refused += u64::from(peer.is_none());
                if peer.is_none() {
                    return;
                }
                peer
            }
            peer => peer,
        };
        if peer.is_none() && established.is_none() {
            self.counts.stray += 1;
            return;
        }
        for id in peer.into_iter().chain(established) {
            self.drive(now, at.flow, id, |peer| {
                peer.received = peer.received.saturating_add(1);
                peer.association.handle_datagram(now, datagram);
            });
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for _ in 0..TIMERS_PER_TURN_MAX {
            match self.timers.pop_due(now) {
                None => return,
                Some(Timer::Apply(flow)) => self.apply(now, flow),
                Some(Timer::Peer(flow, id)) => {
                    if let Some(peer) = self.peer(flow, id) {
                        peer.timer = None;
                        self.drive(now, flow, id, |peer| peer.association.handle_timeout(now));
                    }
                }
                Some(Timer::Linger(flow, id)) => self.let_go(flow, id),
                Some(Timer::Retry(flow)) => self.say_hello(now, flow),
            }
        }
    }

    /// Does what follows from another description.
    fn apply(&mut self, now: Instant, flow: FlowId) {
        let Some(port) = self.ports.get_mut(&flow.0) else {
            return;
        };
        let Some(before) = port.before.take() else {
            return;
        };
        let (was, is) = (&before.dtls, &port.wanted.dtls);
        let is_first = was.fingerprints.is_empty();
        let turns = was.role != is.role && LegDtlsRole::Hold != is.role;
        let is_another = (&was.fingerprints, &was.ids) != (&is.fingerprints, &is.ids) && !is_first;
        let moves = before.remote != port.wanted.remote && is.role == LegDtlsRole::Client;
        if is_another {
            // What it showed was judged by other fingerprints.
            port.established = None;
        }
        if is_another || moves || (turns && was.role != LegDtlsRole::Hold) {
            let peers = std::mem::take(&mut port.peers);
            self.handshakes -= peers.len();
            for timer in peers.into_iter().filter_map(|peer| peer.timer) {
                self.timers.cancel(timer);
            }
        }
        let Some(port) = self.ports.get(&flow.0) else {
            return;
        };
        let done: Vec<u32> = port.peers.iter().map(|peer| peer.id).collect();
        for id in done {
            self.judge(now, flow, id);
        }
        let Some(port) = self.ports.get(&flow.0) else {
            return;
        };
        if port.keys.is_none() || is_another || moves || turns {
            self.say_hello(now, flow);
        }
    }

    /// Begins as a client, where it is one, knows with whom, and has not begun.
    fn say_hello(&mut self, now: Instant, flow: FlowId) {
        let Some(port) = self.ports.get(&flow.0) else {
            return;
        };
        let is_client = port.wanted.dtls.role == LegDtlsRole::Client;
        let (Some(remote), true, true) = (port.wanted.remote, is_client, port.peers.is_empty())
        else {
            return;
        };
        let at = Address {
            flow,
            worker: port.wanted.worker,
            remote,
        };
        match self.begin(now, at) {
            Some(id) => self.drive(now, flow, id, |peer| peer.association.handle_timeout(now)),
            None => {
                self.counts.refused += 1;
                self.timers.set(now + RETRY, Timer::Retry(flow));
            }
        }
    }

    /// A handshake with who is there, if there is room for one more.
    fn begin(&mut self, now: Instant, at: Address) -> Option<u32> {
        let port = self.ports.get_mut(&at.flow.0)?;
        if port.peers.len() >= PEERS_MAX {
            // Who has not answered to the cookie by now never will.
            let is_mute = |peer: &Peer| {
                let lasted = now.since(peer.association.began());
                !peer.is_client() && peer.received < 2 && lasted >= COOKIE_MAX
            };
            let mute = port.peers.iter().position(is_mute)?;
            let peer = port.peers.remove(mute);
            self.handshakes -= 1;
            peer.timer.and_then(|timer| self.timers.cancel(timer));
        }
        if self.handshakes >= HANDSHAKES_MAX {
            return None;
        }
        self.ids = self.ids.wrapping_add(1);
        self.handshakes += 1;
        let role = match port.wanted.dtls.role {
            LegDtlsRole::Client => Role::Client,
            LegDtlsRole::Server | LegDtlsRole::Hold => Role::Server,
        };
        port.peers.push(Peer {
            id: self.ids,
            at,
            received: 0,
            timer: None,
            association: Association::new(&self.identity, role, now),
        });
        Some(self.ids)
    }

    fn peer(&mut self, flow: FlowId, id: u32) -> Option<&mut Peer> {
        let port = self.ports.get_mut(&flow.0)?;
        let mut peers = port.peers.iter_mut().chain(&mut port.established);
        peers.find(|peer| peer.id == id)
    }

    /// Has a peer do something, and follows what comes of it.
    fn drive(&mut self, now: Instant, flow: FlowId, id: u32, act: impl FnOnce(&mut Peer)) {
        let Some(port) = self.ports.get_mut(&flow.0) else {
            return;
        };
        let marking = port.wanted.marking;
        let mut peers = port.peers.iter_mut().chain(&mut port.established);
        let Some(peer) = peers.find(|peer| peer.id == id) else {
            return;
        };
        act(peer);
        peer.send(marking, &mut self.outputs);
        if let Some(timer) = peer.timer.take() {
            self.timers.cancel(timer);
        }
        let progress = peer.association.progress();
        if progress == Progress::Failed {
            return self.fail(now, flow, id, DtlsOutcome::Failed);
        }
        let mut next = peer.association.next_timeout();
        if progress != Progress::Done {
            // A server waits for the answer to its cookie without a timer of its own, and who sent
            // that hello may never answer.
            let expiry = peer.association.began() + HANDSHAKE_LASTS_MAX;
            if now >= expiry {
                return self.fail(now, flow, id, DtlsOutcome::Failed);
            }
            next = Some(next.map_or(expiry, |next| next.min(expiry)));
        }
        peer.timer = next.map(|next| self.timers.set(next, Timer::Peer(flow, id)));
        if progress == Progress::Done {
            self.judge(now, flow, id);
        }
    }

    /// Believes who has shown the right certificate.
    fn judge(&mut self, now: Instant, flow: FlowId, id: u32) {
        let Some(port) = self.ports.get_mut(&flow.0) else {
            return;
        };
        let fingerprints = &port.wanted.dtls.fingerprints;
        let Some(index) = port.peers.iter().position(|peer| peer.id == id) else {
            return;
        };
        let association = &port.peers[index].association;
        if fingerprints.is_empty() || association.progress() != Progress::Done {
            return;
        }
        if !association.is_with(fingerprints) {
            return self.fail(now, flow, id, DtlsOutcome::WrongCertificate);
        }
        let Some(keys) = association.keys().and_then(protection) else {
            return self.fail(now, flow, id, DtlsOutcome::Failed);
        };
        let peer = port.peers.swap_remove(index);
        let others = std::mem::take(&mut port.peers);
        self.handshakes -= others.len() + 1;
        let before = port.established.replace(peer);
        for timer in others.iter().chain(&before).filter_map(|peer| peer.timer) {
            self.timers.cancel(timer);
        }
        self.timers.set(now + LINGER, Timer::Linger(flow, id));
        port.outcome = DtlsOutcome::Agreed;
        port.keys = Some(keys.clone());
        self.counts.agreed += 1;
        self.outputs.push_back(Output::Keys { flow, keys });
    }

    /// A handshake came to nothing.
    fn fail(&mut self, now: Instant, flow: FlowId, id: u32, outcome: DtlsOutcome) {
        let Some(port) = self.ports.get_mut(&flow.0) else {
            return;
        };
        if port.established.as_ref().is_some_and(|peer| peer.id == id) {
            // It has told its keys, which is all that it was for.
            return self.let_go(flow, id);
        }
        let Some(index) = port.peers.iter().position(|peer| peer.id == id) else {
            return;
        };
        let mut peer = port.peers.swap_remove(index);
        self.handshakes -= 1;
        peer.timer
            .take()
            .and_then(|timer| self.timers.cancel(timer));
        if port.keys.is_none() {
            port.outcome = outcome;
        }
        if outcome == DtlsOutcome::WrongCertificate {
            self.counts.wrong_certificate += 1;
            peer.association.close();
            peer.send(port.wanted.marking, &mut self.outputs);
        } else {
            self.counts.failed += 1;
        }
        if peer.is_client() && outcome == DtlsOutcome::Failed {
            self.timers.set(now + RETRY, Timer::Retry(flow));
        }
    }

    fn let_go(&mut self, flow: FlowId, id: u32) {
        let Some(port) = self.ports.get_mut(&flow.0) else {
            return;
        };
        let ended = port.established.take_if(|peer| peer.id == id);
        if let Some(timer) = ended.and_then(|peer| peer.timer) {
            self.timers.cancel(timer);
        }
    }
}

impl Peer {
    fn is_client(&self) -> bool {
        self.association.role() == Role::Client
    }

    fn send(&mut self, marking: Marking, outputs: &mut VecDeque<Output>) {
        let at = self.at;
        outputs.extend(
            std::iter::from_fn(|| self.association.poll_output()).map(|bytes| Output::Transmit {
                at,
                marking,
                bytes,
            }),
        );
    }
}

impl Port {
    fn all_peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().chain(&self.established)
    }
}

/// What packets need of the keys.
fn protection(keys: dtls::Keys) -> Option<Protection> {
    Some(Protection {
        receives: Srtp::On(Arc::new(Receiver::new(&[keys.receives]).ok()?)),
        sends: Srtp::On(Arc::new(Sender::new(&keys.sends).ok()?)),
    })
}

/// Handshakes of one flow at once: the one that counts, and some of who does not belong there.
pub const PEERS_MAX: usize = 4;

/// Handshakes of all flows at once.
pub const HANDSHAKES_MAX: usize = 4096;

/// How long the answer to a cookie may take before another may have the place.
const COOKIE_MAX: Duration = Duration::from_millis(500);

/// How long a handshake may last: longer than flights are repeated (RFC 6347 4.2.4.1).
const HANDSHAKE_LASTS_MAX: Duration = Duration::from_secs(90);

/// After what time a client tries again.
const RETRY: Duration = Duration::from_secs(2);

/// How long the last flight can be had again: twice the lifetime of a segment (RFC 6347 4.2.4).
const LINGER: Duration = Duration::from_secs(240);

/// Timers that fire in one turn; the others do in the next one.
const TIMERS_PER_TURN_MAX: usize = 256;
