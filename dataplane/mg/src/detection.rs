//! Events detected: from what happens to media, and from time, to notices for the MGC.

use std::net::SocketAddr;
use std::time::Duration;

use base::Instant;
use h248::message::{
    ContextId, ObservedEvent, ObservedEventsDescriptor, Parameter, StreamId, TerminationId, Value,
};
use h248::package::{Item, adid, hangterm, it, ocp, swmix};

use crate::connection_model::ConnectionModel;
use crate::event_processor::{Happening, Observed, Occurrence};
use crate::plane::{MediaEvent, MediaPlane};
use crate::script::Told;
use crate::termination::{Termination, TerminationKey};
use crate::tone::Tone;
use crate::watch::{Direction, Request, Watch};

/// Events to be notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub context: ContextId,
    pub termination: TerminationId,
    pub observed: ObservedEventsDescriptor,
    /// Events before these found no room in the event buffer.
    pub is_after_loss: bool,
}

fn talk(item: Item, parameters: Vec<Parameter>) -> Happening {
    Happening::Told(Box::new(Told {
        package: item.package,
        item,
        parameters,
    }))
}

/// Most events waiting to be notified, for want of an MGC; beyond, they are lost.
const NOTICES_MAX: usize = 4096;

impl ConnectionModel {
    /// Something happened at one of our addresses.
    pub fn handle_event(&mut self, now: Instant, plane: &mut dyn MediaPlane, event: &MediaEvent) {
        if let MediaEvent::Closed { local, free_at } = event {
            self.pool.closed(*local, *free_at);
            return;
        }
        let local = event.local();
        let Some(key) = self.pool.owner(local) else {
            return;
        };
        match *event {
            MediaEvent::Latched { .. } => {
                self.process(key, |termination, latches| {
                    match termination.stream_at(local).map(|stream| stream.id) {
                        Some(id) => termination.latched(now, latches, id),
                        None => Vec::new(),
                    }
                });
            }
            MediaEvent::ToneStarted { code, .. } => {
                if let Some(tone) = Tone::new(code) {
                    self.happened(now, key, local, Happening::ToneStart(tone));
                }
            }
            MediaEvent::ToneEnded { code, duration, .. } => {
                if let Some(tone) = Tone::new(code) {
                    self.happened(now, key, local, Happening::ToneEnd(tone, duration));
                }
            }
            MediaEvent::Performed {
                number, performed, ..
            } => self.process(key, |termination, latches| {
                termination.performed(now, latches, number, performed)
            }),
            MediaEvent::Talking {
                is_talking,
                level_dbov,
                ..
            } => {
                let parameters = vec![
                    Parameter::new(swmix::IS_TALKING, Value::from(is_talking)),
                    Parameter::new(swmix::LEVEL, Value::symbol(level_dbov.to_string())),
                ];
                self.happened(now, key, local, talk(swmix::TALK, parameters));
            }
            MediaEvent::Dominant { .. } => {
                self.happened(now, key, local, talk(swmix::DOMINANT, Vec::new()));
            }
            MediaEvent::Inactive { .. } => self.fell_silent(now, plane, key),
            MediaEvent::Closed { .. } => {}
        }
        self.connect_changed(plane);
    }

    fn happened(&mut self, now: Instant, key: TerminationKey, local: SocketAddr, what: Happening) {
        self.process(key, |termination, latches| {
            let stream = termination.stream_at(local).map(|stream| stream.id);
            let occurrence = Occurrence {
                stream,
                at: now,
                what,
            };
            match stream {
                Some(_) => termination.handle(now, latches, occurrence),
                None => Vec::new(),
            }
        });
    }

    /// Has a termination process something, and sees to what follows: notices, its timer, and legs
    /// that are to be connected anew.
    pub fn process(
        &mut self,
        key: TerminationKey,
        work: impl FnOnce(&mut Termination, &mut u32) -> Vec<Observed>,
    ) {
        let Some(termination) = self.terminations.get_mut(&key) else {
            return;
        };
        let before = (termination.tones(), heartbeat(termination));
        let observed = work(termination, &mut self.latch);
        let context = termination.context;
        let is_changed = termination.tones() != before.0;
        let beats_otherwise = heartbeat(termination) != before.1;
        self.notify(key, observed);
        if is_changed {
            self.change(context);
        }
        if beats_otherwise {
            self.set_heartbeat(key);
        }
        self.set_timer(key);
    }

    /// Sets the timer of a termination anew.
    fn set_timer(&mut self, key: TerminationKey) {
        let Some(termination) = self.terminations.get_mut(&key) else {
            return;
        };
        let next = termination.next_timeout();
        if termination.timer.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, timer)) = termination.timer.take() {
            self.timers.cancel(timer);
        }
        termination.timer = next.map(|at| (at, self.timers.set(at, key)));
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
            for index in 0..self.requests_of(member).len() {
                let Some(stream) = self.has_stopped(now, plane, (member, index), key) else {
                    continue;
                };
                self.process(member, |termination, latches| {
                    if let Some(request) = termination.events.request_mut(index)
                        && let Watch::IpStop { notified_at, .. } = &mut request.watch
                    {
                        *notified_at = Some(now);
                    }
                    let occurrence = Occurrence {
                        stream,
                        at: now,
                        what: Happening::Watched(adid::IP_STOP, Some(index)),
                    };
                    termination.handle(now, latches, occurrence)
                });
            }
        }
    }

    fn requests_of(&self, key: TerminationKey) -> &[Request] {
        let termination = self.terminations.get(&key);
        termination.map_or(&[], |termination| termination.events.requests())
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
        let request = self.requests_of(watching).get(index)?;
        let stream = request.stream;
        let Watch::IpStop {
            time,
            direction,
            notified_at,
        } = request.watch
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

    /// Puts what was observed in the queue of notices: what belongs to one request in one, since
    /// notices may overtake each other.
    fn notify(&mut self, key: TerminationKey, observed: Vec<Observed>) {
        let Some(termination) = self.terminations.get(&key) else {
            return;
        };
        let (context, name) = (ContextId::Id(termination.context), termination.name.clone());
        let mut notices: Vec<Notice> = Vec::new();
        for Observed {
            request_id,
            event,
            is_after_loss,
        } in observed
        {
            match notices.last_mut() {
                Some(last) if last.observed.request_id == request_id && !is_after_loss => {
                    last.observed.events.push(event);
                }
                _ => notices.push(Notice {
                    context,
                    termination: name.clone(),
                    observed: ObservedEventsDescriptor {
                        request_id,
                        events: vec![event],
                    },
                    is_after_loss,
                }),
            }
        }
        for notice in notices {
            self.queue(notice);
        }
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
        let repeating = [hangterm::HEARTBEAT, it::INACTIVITY_TIMEOUT, ocp::OVERLOAD];
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
        let timeouts = [self.heartbeats.next_timeout(), self.timers.next_timeout()];
        timeouts.into_iter().flatten().min()
    }

    /// Does what is due: signals, digit maps, and terminations that no command named for long.
    pub fn handle_timeout(&mut self, now: Instant, plane: &mut dyn MediaPlane) {
        while let Some(key) = self.timers.pop_due(now) {
            self.process(key, |termination, latches| {
                termination.timer = None;
                termination.handle_timeout(now, latches)
            });
        }
        while let Some(key) = self.heartbeats.pop_due(now) {
            let Some(termination) = self.terminations.get_mut(&key) else {
                continue;
            };
            termination.heartbeat = None;
            let requests = termination.events.requests().iter();
            let beating = requests
                .enumerate()
                .find(|(_, request)| matches!(request.watch, Watch::Heartbeat(_)));
            let time = heartbeat(termination);
            if let (Some((index, _)), Some(time)) = (beating, time)
                && termination.named_at + time <= now
            {
                termination.named_at = now;
                // One is enough, however long there is no MGC.
                if !std::mem::replace(&mut termination.beat_waits, true) {
                    let occurrence = Occurrence {
                        stream: None,
                        at: now,
                        what: Happening::Watched(hangterm::HEARTBEAT, Some(index)),
                    };
                    self.process(key, |termination, latches| {
                        termination.handle(now, latches, occurrence)
                    });
                }
            }
            self.set_heartbeat(key);
        }
        self.connect_changed(plane);
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
fn heartbeat(termination: &Termination) -> Option<Duration> {
    let requests = termination.events.requests().iter();
    let times = requests.filter_map(|request| match request.watch {
        Watch::Heartbeat(time) => Some(time),
        _ => None,
    });
    times.min()
}
