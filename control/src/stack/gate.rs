//! What of the received SIP is served, when, and what is refused without being looked into.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::net::SocketAddr;

use base::{Entropy, Instant};
use sip::locate::mark_source;
use sip::{HeaderName, Message, Method};

use super::Stack;
use super::admission::{Admission, Class, Offer, Verdict};
use super::hop::Flow;
use crate::admin::AdmissionStatus;
use crate::config::Role;
use crate::counters::{Counter, Counters};

/// Challenges remembered: what is answered in a second and more.
const CHALLENGES_MAX: usize = 16_384;
/// Refusals remembered, for as long as what was sent before they arrived may still come.
const REFUSED_MAX: usize = 16_384;
/// Requests refused at once that have waited too long, before others are served again.
const REFUSALS_MAX: usize = 256;
/// Seconds of Retry-After, drawn anew for each refusal so that those refused together do not
/// return together (RFC 3261 21.5.4).
const RETRY_AFTER_S: (u64, u64) = (3, 10);
/// The same where the process is about to end: nobody should come back before another is there.
const RETRY_AFTER_DRAIN_S: (u64, u64) = (30, 60);

/// A message as it came.
#[derive(Debug)]
struct Arrival {
    flow: Flow,
    source: SocketAddr,
    message: Message,
}

/// What waits at the gate, and how refusals are marked.
#[derive(Debug)]
pub(super) struct Gate {
    admission: Admission<Arrival>,
    seed: (u64, u64),
    /// With this begin the To tags of what was refused without a transaction.
    mark: String,
    is_draining: bool,
    /// Registrations that were challenged and have not been heard of since.
    challenged: Recent,
    /// Transactions that were refused: their retransmissions are, too.
    refused: Recent,
}

/// The keys that were noted last.
#[derive(Debug)]
struct Recent {
    max: usize,
    keys: HashSet<u64>,
    /// As they came; some have been forgotten.
    order: VecDeque<u64>,
}

impl Recent {
    fn new(max: usize) -> Self {
        Self {
            max,
            keys: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    fn note(&mut self, key: u64) {
        if self.keys.insert(key) {
            self.order.push_back(key);
        }
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    fn has(&self, key: u64) -> bool {
        self.keys.contains(&key)
    }

    /// True when it was there.
    fn forget(&mut self, key: u64) -> bool {
        self.keys.remove(&key)
    }
}

impl Gate {
    pub(super) fn new(entropy: &mut Entropy) -> Self {
        Self {
            admission: Admission::new(),
            seed: (entropy.next_u64(), entropy.next_u64()),
            mark: entropy.token_string(),
            is_draining: false,
            challenged: Recent::new(CHALLENGES_MAX),
            refused: Recent::new(REFUSED_MAX),
        }
    }

    /// The To tag of a refusal without a transaction: the same whenever the request comes (RFC 3261
    /// 8.2.7).
    pub(super) fn tag_of(&self, request: &Message) -> String {
        let method = request.method().unwrap_or(&Method::Invite);
        let key = self.key(request, method).unwrap_or_default();
        format!("{}{key:016x}", self.mark)
    }

    /// Seconds until one refused may come again.
    pub(super) fn retry_after(&self, entropy: &mut Entropy) -> u64 {
        let (least, most) = if self.is_draining {
            RETRY_AFTER_DRAIN_S
        } else {
            RETRY_AFTER_S
        };
        least + entropy.below(most - least + 1)
    }

    /// An ACK of what was refused without a transaction: there is nothing that it could end.
    fn is_ack_of_refusal(&self, message: &Message) -> bool {
        message.is_method(&Method::Ack)
            && message
                .to_tag()
                .is_some_and(|tag| tag.starts_with(&self.mark))
    }

    /// Notes a response that leaves: who was challenged is expected to answer (RFC 3261 22.2).
    pub(super) fn note_sent(&mut self, message: &Message) {
        if message.status() != Some(401) {
            return;
        }
        let key = self.registration(message);
        self.challenged.note(key);
    }

    /// True for a REGISTER that answers a challenge: the work that went into that is not to be
    /// lost.
    fn answers_challenge(&mut self, register: &Message) -> bool {
        let key = self.registration(register);
        self.challenged.forget(key)
    }

    /// Names the registration that a REGISTER or its response belongs to.
    fn registration(&self, message: &Message) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed.1);
        hasher.write(message.call_id().unwrap_or_default().as_bytes());
        hasher.finish()
    }

    /// Names the transaction of `method` that a request belongs to (RFC 3261 17.2.3).
    fn key(&self, request: &Message, method: &Method) -> Option<u64> {
        let via = request.top_via().ok()?;
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed.0);
        hasher.write(via.rfc3261_branch()?.as_bytes());
        hasher.write_u64(self.seed.1);
        hasher.write(via.host_str.as_bytes());
        hasher.write_u16(via.port.unwrap_or_default());
        hasher.write(method.as_str().as_bytes());
        Some(hasher.finish())
    }
}

impl Stack {
    /// Lets a message wait for its turn.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        flow: Flow,
        source: SocketAddr,
        message: Message,
    ) {
        if self.gate.is_ack_of_refusal(&message) {
            return counters.count(Counter::SipAckRefused);
        }
        let (class, key) = self.classify(&message);
        let arrival = Arrival {
            flow,
            source,
            message,
        };
        if self.gate.is_draining && matches!(class, Class::Emergency | Class::Initial) {
            counters.count(Counter::SipRefusedDrain);
            return self.refuse_arrival(&arrival, 503);
        }
        if key.is_some_and(|key| self.gate.refused.has(key)) {
            return self.refuse_for_load(counters, class, &arrival);
        }
        match self.gate.admission.offer(now, class, key, arrival) {
            Offer::Queued => {}
            Offer::Absorbed => counters.count(Counter::SipAbsorbed),
            Offer::Full(_) if class == Class::Ongoing => counters.count(Counter::SipDroppedFull),
            Offer::Full(arrival) => self.refuse_for_load(counters, class, &arrival),
        }
    }

    /// Serves the message whose turn it is; false when none waits.
    pub fn serve(&mut self, now: Instant, counters: &mut Counters) -> bool {
        match self.gate.admission.poll(now) {
            None => return false,
            Some(Verdict::Serve(_, arrival)) => {
                let Arrival {
                    flow,
                    source,
                    message,
                } = arrival;
                self.receive_from_wire(now, counters, flow, source, message);
            }
            Some(Verdict::Refuse(class, arrival)) => {
                self.refuse_for_load(counters, class, &arrival);
            }
        }
        true
    }

    /// Refuses what has waited too long, as much as is refused at once.
    pub fn refuse_late(&mut self, now: Instant, counters: &mut Counters) {
        for _ in 0..REFUSALS_MAX {
            let Some((class, arrival)) = self.gate.admission.poll_late(now) else {
                break;
            };
            self.refuse_for_load(counters, class, &arrival);
        }
    }

    /// True when messages wait to be served.
    pub fn has_waiting(&self) -> bool {
        !self.gate.admission.is_empty()
    }

    /// False when so many wait that no more should be read.
    pub fn has_room(&self) -> bool {
        self.gate.admission.has_room()
    }

    /// From now on only what is under way goes on: new requests are refused, registrations are
    /// refreshed.
    pub fn drain(&mut self) {
        self.gate.is_draining = true;
    }

    /// What waits, and for how long.
    pub fn admission(&self, now: Instant) -> AdmissionStatus {
        let admission = &self.gate.admission;
        let depth = |class| admission.depth(class);
        let sojourn = |class| {
            let time = admission.sojourn(now, class).as_micros();
            u64::try_from(time).unwrap_or(u64::MAX)
        };
        AdmissionStatus {
            is_draining: self.gate.is_draining,
            waiting: Class::ALL.map(|class| (class.name(), depth(class))).into(),
            sojourn_us: Class::ALL
                .map(|class| (class.name(), sojourn(class)))
                .into(),
        }
    }

    /// What a message is worth, and the name of the transaction that it would begin.
    fn classify(&mut self, message: &Message) -> (Class, Option<u64>) {
        let Some(method) = message.method() else {
            return (Class::Ongoing, None);
        };
        if *method == Method::Cancel {
            // It must not overtake its INVITE.
            let invite = self.gate.key(message, &Method::Invite);
            let waits = invite.is_some_and(|key| self.gate.admission.has(key));
            return (
                if waits {
                    Class::Initial
                } else {
                    Class::Ongoing
                },
                None,
            );
        }
        if !message.is_initial() || matches!(method, Method::Prack | Method::Bye | Method::Notify) {
            return (Class::Ongoing, None);
        }
        if self.layer.has_server(message) {
            return (Class::Ongoing, None);
        }
        let key = self.gate.key(message, method);
        if *method == Method::Register {
            let class = match has_credentials(message) {
                true if self.gate.answers_challenge(message) => Class::Ongoing,
                true => Class::Refresh,
                false => Class::Initial,
            };
            return (class, key);
        }
        // What a UE says of its own priority is worth nothing (TS 24.229 4.11).
        let is_trusted = self.default_role != Some(Role::Pcscf);
        let is_emergency =
            is_emergency(message) || is_trusted && message.has(HeaderName::ResourcePriority);
        if is_emergency {
            (Class::Emergency, key)
        } else {
            (Class::Initial, key)
        }
    }

    fn refuse_for_load(&mut self, counters: &mut Counters, class: Class, arrival: &Arrival) {
        if arrival.message.is_method(&Method::Cancel) {
            // Its INVITE was refused before it.
            return self.refuse_arrival(arrival, 481);
        }
        counters.count(match class {
            Class::Ongoing => Counter::SipDroppedFull,
            Class::Emergency => Counter::SipRefusedEmergency,
            Class::Refresh => Counter::SipRefusedRefresh,
            Class::Initial => Counter::SipRefusedInitial,
        });
        self.refuse_arrival(arrival, 503);
    }

    /// Answers without a transaction; a 503 with a Retry-After of its own.
    fn refuse_arrival(&mut self, arrival: &Arrival, status: u16) {
        if let Some(method) = arrival.message.method()
            && let Some(key) = self.gate.key(&arrival.message, method)
        {
            self.gate.refused.note(key);
        }
        let Ok(marked) = mark_source(&arrival.message, arrival.source) else {
            return;
        };
        let request = marked.as_ref().unwrap_or(&arrival.message);
        let hop = self.response_hop(arrival.flow, arrival.source, request);
        self.answer_statelessly(hop, request, status, "");
    }
}

/// True for a REGISTER with the response to a challenge.
fn has_credentials(register: &Message) -> bool {
    let mut credentials = register.headers(HeaderName::Authorization);
    credentials.any(|value| {
        value
            .split_once("response=\"")
            .is_some_and(|(_, response)| !response.starts_with('"'))
    })
}

/// True for a request to an emergency service (RFC 5031 4.2).
fn is_emergency(request: &Message) -> bool {
    let service = "urn:service:sos";
    let uri = request.request_uri();
    let (head, tail) = uri.split_at_checked(service.len()).unwrap_or((uri, ""));
    head.eq_ignore_ascii_case(service) && (tail.is_empty() || tail.starts_with('.'))
}

#[cfg(test)]
mod tests;
