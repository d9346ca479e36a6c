//! Does what the peer state machine and the watchdog say.

use std::time::Duration;

use base::Instant;

use super::{ConnectionId, Endpoint, Output, PeerId, REBOOTING, State, Timer};
use crate::dictionary::base as common;
use crate::peer::machine::{Action, Event, step, wins_election};
use crate::peer::watchdog::Expiry;

/// Spread of Tw either way, RFC 3539 3.4.1.
const TW_JITTER: Duration = Duration::from_secs(2);

impl Endpoint {
    /// Feeds an event to a peer's machine. Events that mean nothing in its state are passed over.
    pub(super) fn step(&mut self, now: Instant, peer: PeerId, event: Event) {
        let mut next = Some(event);
        while let Some(event) = next.take() {
            let state = self.peers[peer.0 as usize].state;
            let Some((to, actions)) = step(state, event) else {
                return;
            };
            self.peers[peer.0 as usize].state = to;
            if to != state {
                self.set_state_timer(now, peer, to);
            }
            for action in actions {
                next = next.or(self.act(now, peer, event, *action));
            }
        }
    }

    /// One action; the election may issue an event.
    fn act(&mut self, now: Instant, peer: PeerId, event: Event, action: Action) -> Option<Event> {
        match action {
            Action::Connect => self.connect(peer),
            Action::SendCer => self.send_cer(peer),
            // The caller of `step` has the new connection and does both.
            Action::Accept | Action::Reject => {}
            Action::SendCea => self.send_cea(peer),
            Action::Elect => return self.elect(peer),
            Action::CloseI => self.close_side(peer, |state| &mut state.initiator),
            Action::CloseR => self.close_side(peer, |state| &mut state.responder),
            Action::SendDpr => self.send_dpr(peer),
            // Its caller has the request and answers it.
            Action::SendDpa => {}
            Action::Up => self.peer_up(now, peer),
            Action::Down => self.peer_down(peer, event),
            Action::Probe => self.probe(peer),
        }
        None
    }

    fn set_state_timer(&mut self, now: Instant, peer: PeerId, to: State) {
        let known = &self.config.peers[peer.0 as usize];
        let state = &mut self.peers[peer.0 as usize];
        if let Some(timer) = state.state_timer.take() {
            self.timers.cancel(timer);
        }
        let after = match to {
            State::IOpen | State::ROpen => return,
            State::Closed if known.address.is_none() || !state.wanted => return,
            State::Closed => self.config.reconnect,
            _ => self.config.setup,
        };
        state.state_timer = Some(self.timers.set(now + after, Timer::State(peer)));
    }

    /// Connects at once to a peer that was closed by agreement, now that it is needed again.
    pub(super) fn wake(&mut self, now: Instant, peer: PeerId) {
        let has_address = self.config.peers[peer.0 as usize].address.is_some();
        let state = &mut self.peers[peer.0 as usize];
        let sleeps = !std::mem::replace(&mut state.wanted, true) && state.state == State::Closed;
        if sleeps && has_address {
            self.step(now, peer, Event::Start);
        }
    }

    fn connect(&mut self, peer: PeerId) {
        let Some(address) = self.config.peers[peer.0 as usize].address else {
            return;
        };
        let connection = self.new_connection(Some(peer));
        self.peers[peer.0 as usize].initiator = Some(connection);
        self.outputs.push_back(Output::Connect {
            connection,
            peer,
            address,
        });
    }

    fn send_cer(&mut self, peer: PeerId) {
        if let Some(connection) = self.peers[peer.0 as usize].initiator {
            let command = common::CAPABILITIES_EXCHANGE;
            self.peers[peer.0 as usize].cer_sent =
                self.send_base_request(connection, command, |local, origin_state_id, writer| {
                    local.write(writer, origin_state_id);
                });
        }
    }

    fn send_cea(&mut self, peer: PeerId) {
        let state = &mut self.peers[peer.0 as usize];
        if let (Some(connection), Some(cer)) = (state.responder, state.cer.take()) {
            self.send_base_answer(connection, &cer);
        }
    }

    fn elect(&self, peer: PeerId) -> Option<Event> {
        let local = &self.config.local.origin.host;
        let remote = &self.config.peers[peer.0 as usize].host;
        wins_election(local, remote).then_some(Event::WinElection)
    }

    fn send_dpr(&mut self, peer: PeerId) {
        if let Some(connection) = self.peers[peer.0 as usize].connection() {
            let command = common::DISCONNECT_PEER;
            self.peers[peer.0 as usize].dpr_sent =
                self.send_base_request(connection, command, |local, _, writer| {
                    writer.text(&common::ORIGIN_HOST, &local.origin.host);
                    writer.text(&common::ORIGIN_REALM, &local.origin.realm);
                    writer.u32(&common::DISCONNECT_CAUSE, REBOOTING);
                });
        }
    }

    fn send_dwr(&mut self, peer: PeerId) {
        if let Some(connection) = self.peers[peer.0 as usize].connection() {
            let command = common::DEVICE_WATCHDOG;
            self.peers[peer.0 as usize].dwr_sent =
                self.send_base_request(connection, command, |local, origin_state_id, writer| {
                    writer.text(&common::ORIGIN_HOST, &local.origin.host);
                    writer.text(&common::ORIGIN_REALM, &local.origin.realm);
                    writer.u32(&common::ORIGIN_STATE_ID, origin_state_id);
                });
        }
    }

    fn close_side(
        &mut self,
        peer: PeerId,
        side: impl Fn(&mut super::Peer) -> &mut Option<ConnectionId>,
    ) {
        if let Some(connection) = side(&mut self.peers[peer.0 as usize]).take() {
            self.drop_connection(connection);
        }
    }

    fn peer_up(&mut self, now: Instant, peer: PeerId) {
        self.outputs.push_back(Output::PeerUp { peer });
        if self.peers[peer.0 as usize].watchdog.up() {
            self.send_dwr(peer);
        }
        self.set_watchdog(now, peer);
    }

    fn peer_down(&mut self, peer: PeerId, event: Event) {
        let state = &mut self.peers[peer.0 as usize];
        match event {
            Event::Stop | Event::RcvDpr => state.watchdog.end(),
            _ => state.watchdog.fail(),
        }
        if let Some(timer) = state.watchdog_timer.take() {
            self.timers.cancel(timer);
        }
        self.outputs.push_back(Output::PeerDown { peer });
        self.fail_over(peer, true);
    }

    /// The peer opened a second connection while the first seems to live. Most likely it restarted.
    fn probe(&mut self, peer: PeerId) {
        if self.peers[peer.0 as usize].watchdog.probe() {
            self.send_dwr(peer);
        }
    }

    /// Starts Tw, RFC 3539 3.4.1.
    fn set_watchdog(&mut self, now: Instant, peer: PeerId) {
        let jitter = TW_JITTER.min(self.config.watchdog / 4);
        let spread = self.entropy.below(jitter.as_nanos() as u64 * 2);
        let tw = self.config.watchdog - jitter + Duration::from_nanos(spread);
        let state = &mut self.peers[peer.0 as usize];
        if let Some(timer) = state.watchdog_timer.take() {
            self.timers.cancel(timer);
        }
        state.watchdog_timer = Some(self.timers.set(now + tw, Timer::Watchdog(peer)));
    }

    pub(super) fn watchdog_ended(&mut self, now: Instant, peer: PeerId) {
        let state = &mut self.peers[peer.0 as usize];
        state.watchdog_timer = None;
        if !state.state.is_open() {
            return;
        }
        match state.watchdog.expired() {
            Expiry::Wait => {}
            Expiry::Send => self.send_dwr(peer),
            Expiry::Failover => self.fail_over(peer, false),
            Expiry::Close => {
                let event = match state.state {
                    State::IOpen => Event::IPeerDisc,
                    _ => Event::RPeerDisc,
                };
                self.step(now, peer, event);
                return;
            }
        }
        self.set_watchdog(now, peer);
    }

    /// A message came on the open connection.
    pub(super) fn watchdog_fed(&mut self, now: Instant, peer: PeerId, dwa: bool) {
        if self.peers[peer.0 as usize].watchdog.received(dwa) {
            self.set_watchdog(now, peer);
        }
    }
}
