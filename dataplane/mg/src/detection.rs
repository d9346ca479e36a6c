//! Events detected: from what happens to media, and from time, to notices for the MGC.

use std::net::SocketAddr;
use std::time::Duration;

use base::Instant;
use h248::message::{
    ContextId, ObservedEvent, ObservedEventsDescriptor, Parameter, StreamId, TerminationId,
};
use h248::package::{Item, adid, g, hangterm, ipnapt, it};

use crate::connection_model::ConnectionModel;
use crate::plane::{MediaEvent, MediaPlane};
use crate::termination::{Termination, TerminationKey};
use crate::time_stamp::time_stamp;
use crate::watch::{Direction, Watch};

/// Events to be notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub context: ContextId,
    pub termination: TerminationId,
    pub observed: ObservedEventsDescriptor,
}

/// Most events waiting to be notified, for want of an MGC; beyond, they are lost.
const NOTICES_MAX: usize = 4096;

impl ConnectionModel {
    /// Something happened at one of our addresses.
    pub fn handle_event(&mut self, now: Instant, plane: &dyn MediaPlane, event: &MediaEvent) {
        if let MediaEvent::Closed { local, free_at } = event {
            self.pool.closed(*local, *free_at);
            return;
        }
        let Some(key) = self.pool.owner(event.local()) else {
            return;
        };
        match event {
            MediaEvent::Latched { local, .. } => self.latched(now, key, *local),
            _ => self.fell_silent(now, plane, key),
        }
    }

    /// A stream latched: its signal is complete.
    fn latched(&mut self, now: Instant, key: TerminationKey, local: SocketAddr) {
        let Some(termination) = self.terminations.get_mut(&key) else {
            return;
        };
        let Some(id) = termination.stream_at(local).map(|stream| stream.id) else {
            return;
        };
        let waited = termination.latching.len();
        termination.latching.retain(|&waiting| waiting != id);
        let was_asked = waited != termination.latching.len();
        if was_asked && termination.watches.contains(&Watch::SignalCompletion) {
            let mut event = ObservedEvent::new(g::SIGNAL_COMPLETION);
            event.stream = Some(id);
            let signal = format!("{}/{}", ipnapt::LATCH.package, ipnapt::LATCH.name);
            event.parameters = vec![
                Parameter::new(g::SIGNAL_ID, signal.as_str()),
                Parameter::new(g::TERMINATION_METHOD, "TO"),
            ];
            self.notify(now, key, event);
        }
    }

    /// A termination receives nothing: whoever of its context waits for that may now have it.
    fn fell_silent(&mut self, now: Instant, plane: &dyn MediaPlane, key: TerminationKey) {
        let Some(silent) = self.terminations.get(&key) else {
            return;
        };
        let members = self
            .contexts
            .get(&silent.context)
            .map(|c| c.terminations.clone());
        for member in members.unwrap_or_default() {
            for index in 0..self.watches_of(member).len() {
                let Some(stream) = self.has_stopped(now, plane, (member, index), key) else {
                    continue;
                };
                let watches = self.terminations.get_mut(&member).map(|t| &mut t.watches);
                if let Some(Watch::IpStop { notified_at, .. }) =
                    watches.and_then(|watches| watches.get_mut(index))
                {
                    *notified_at = Some(now);
                }
                let mut event = ObservedEvent::new(adid::IP_STOP);
                event.stream = stream;
                self.notify(now, member, event);
            }
        }
    }

    fn watches_of(&self, key: TerminationKey) -> &[Watch] {
        let termination = self.terminations.get(&key);
        termination.map_or(&[], |termination| &termination.watches)
    }

    /// Whether a watch of a termination has come true by the silence of `silent`: nothing passed
    /// for the time in its direction, and this was not notified yet. In is what the termination
    /// receives, out what the others of its context receive for it. Returns the watch's stream.
    fn has_stopped(
        &self,
        now: Instant,
        plane: &dyn MediaPlane,
        (watching, index): (TerminationKey, usize),
        silent: TerminationKey,
    ) -> Option<Option<StreamId>> {
        let Some(&Watch::IpStop {
            stream,
            time,
            direction,
            notified_at,
        }) = self.watches_of(watching).get(index)
        else {
            return None;
        };
        let counts = |key: TerminationKey| match direction {
            Direction::In => key == watching,
            Direction::Out => key != watching,
            Direction::Both => true,
        };
        if !counts(silent) {
            return None;
        }
        let context = self.terminations.get(&watching)?.context;
        let members = self.contexts.get(&context)?.terminations.iter();
        let mut last = None;
        for member in members.filter(|key| counts(**key)) {
            let member = self.terminations.get(member)?;
            let streams = member.streams.iter();
            let watched = streams.filter(|other| stream.is_none_or(|id| id == other.id));
            for local in watched.filter_map(|stream| stream.reservation) {
                let arrival = plane.statistics(local).last_arrival;
                let since = arrival.unwrap_or(member.added_at);
                if member.key != silent && now.since(since) + SLACK < time {
                    return None;
                }
                last = last.max(arrival);
            }
        }
        match notified_at {
            Some(before) if last.is_none_or(|last| last <= before) => None,
            _ => Some(stream),
        }
    }

    /// Puts an event in the queue of notices.
    fn notify(&mut self, now: Instant, key: TerminationKey, mut event: ObservedEvent) {
        let Some(termination) = self.terminations.get(&key) else {
            return;
        };
        let Some(request_id) = termination.events.request_id else {
            return;
        };
        event.time = Some(time_stamp(now));
        let notice = Notice {
            context: ContextId::Id(termination.context),
            termination: termination.name.clone(),
            observed: ObservedEventsDescriptor {
                request_id,
                events: vec![event],
            },
        };
        self.queue(notice);
    }

    /// Puts events in the queue of notices.
    pub fn queue(&mut self, notice: Notice) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push_back(notice);
        } else {
            self.notices_lost += 1;
        }
    }

    /// A notice came to nobody: it is the first to be sent again. What repeats itself need not be.
    pub fn queue_again(&mut self, notice: Notice) {
        let repeating = [hangterm::HEARTBEAT, it::INACTIVITY_TIMEOUT];
        let names = repeating.iter();
        let repeats = |event: &ObservedEvent| {
            let own = |item: &Item| event.name.is(item.package, item.name);
            names.clone().any(own)
        };
        if notice.observed.events.iter().all(repeats) {
            return;
        }
        if self.notices.len() < NOTICES_MAX {
            self.notices.push_front(notice);
        } else {
            self.notices_lost += 1;
        }
    }

    /// The next events to be notified, of ROOT or of a termination that is still there.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        loop {
            let notice = self.notices.pop_front()?;
            if notice.termination == TerminationId::Root {
                return Some(notice);
            }
            let key = self.find(&notice.termination);
            if let Some(termination) = key.and_then(|key| self.terminations.get_mut(&key)) {
                termination.beat_waits = false;
                return Some(notice);
            }
        }
    }

    /// A command names a termination: it does not hang.
    pub fn name(&mut self, now: Instant, key: TerminationKey) {
        if let Some(termination) = self.terminations.get_mut(&key) {
            termination.named_at = now;
        }
    }

    /// When [`ConnectionModel::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.heartbeats.next_timeout()
    }

    /// Notifies terminations that no command named for long.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.heartbeats.pop_due(now) {
            let Some(termination) = self.terminations.get_mut(&key) else {
                continue;
            };
            termination.heartbeat = None;
            let time = heartbeat(termination);
            if time.is_some_and(|time| termination.named_at + time <= now) {
                termination.named_at = now;
                // One is enough, however long there is no MGC.
                if !std::mem::replace(&mut termination.beat_waits, true) {
                    self.notify(now, key, ObservedEvent::new(hangterm::HEARTBEAT));
                }
            }
            self.set_heartbeat(key);
        }
    }

    /// Sets the timer of `hangterm/thb` anew. It is not moved when a command names the termination:
    /// it finds that out when it is due.
    pub fn set_heartbeat(&mut self, key: TerminationKey) {
        let Some(termination) = self.terminations.get_mut(&key) else {
            return;
        };
        if let Some(timer) = termination.heartbeat.take() {
            self.heartbeats.cancel(timer);
        }
        if let Some(time) = heartbeat(termination) {
            termination.heartbeat = Some(self.heartbeats.set(termination.named_at + time, key));
        }
    }
}

/// The media plane's clock for silence is coarser than ours.
const SLACK: Duration = Duration::from_millis(100);

/// The time of `hangterm/thb`, if it is watched.
pub(crate) fn heartbeat(termination: &Termination) -> Option<Duration> {
    let watches = termination.watches.iter();
    let times = watches.filter_map(|watch| match watch {
        Watch::Heartbeat(time) => Some(*time),
        _ => None,
    });
    times.min()
}
