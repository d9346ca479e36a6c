//! What of the controller is in the journal, and how it is taken up again after a restart.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use base::Instant;
use h248::encoding::Encoding;
use h248::message::{Mid, Name, TerminationId, TransactionId};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::Mgc;
use super::anchor::{Anchor, State};
use super::compile::Context;
use super::gateway::{GatewayId, GatewayState};
use super::plan::{AnchorId, AnchorSpec, Family, Locals, Plan};
use crate::journal::{Journal, Kind, Replay};

/// Transaction numbers set aside at a time: a restart begins past all of them, whatever its clock
/// says. More than are used while a record is on its way to the disk.
const NUMBERS: u32 = 1 << 16;

/// The key of the controller's own record.
const CONTROLLER: u64 = 0;

/// A gateway in the journal, under its number.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptGateway {
    mid: KeptMid,
    address: SocketAddr,
    is_connected: bool,
    is_binary: bool,
    version: u8,
    /// It takes no new calls, and ends at this time (ServiceChange Graceful).
    drains: Option<Option<u64>>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum KeptMid {
    Ipv4(Ipv4Addr, Option<u16>),
    Ipv6(Ipv6Addr, Option<u16>),
    Domain(String, Option<u16>),
    Device(String),
    Mtp(Vec<u8>),
}

/// A context in the journal; the upper half of its key is its gateway's number, the lower its
/// ContextID.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptContext {
    terminations: [String; 2],
    owner: u64,
    spec: AnchorSpec,
    applied: Plan,
    locals: Locals,
}

impl KeptContext {
    fn departing() -> Self {
        Self {
            terminations: [String::new(), String::new()],
            owner: NOBODY,
            spec: AnchorSpec {
                families: [Family::V4, Family::V4],
                realms: [String::new(), String::new()],
                emergency: false,
                source_filter: false,
                inactivity: None,
            },
            applied: Plan::default(),
            locals: Locals::default(),
        }
    }
}

/// The owner of what is being subtracted.
const NOBODY: u64 = 0;

/// What the journal has, and what has changed of it since it was written.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    gateways: BTreeSet<u32>,
    contexts: BTreeSet<u64>,
    /// Members of rooms.
    pub members: BTreeSet<u64>,
    changes: Vec<Change>,
    /// Past the transaction numbers set aside.
    numbers_end: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Gateway(u32),
    Context(AnchorId),
    /// A context that is in no record is being subtracted.
    Departs(u64),
    /// Nothing is left of a context.
    Gone(u64),
    /// Nothing is left at a gateway.
    AllGone(u32),
    Numbers(u32),
}

/// What is taken up of an anchor by its owner.
#[derive(Debug)]
pub struct Claimed {
    /// Its name.
    pub anchor: AnchorId,
    /// The plan in force.
    pub applied: Plan,
    /// Where the gateway receives.
    pub locals: Locals,
}

impl Ledger {
    pub fn gateway_changed(&mut self, number: u32) {
        self.changes.push(Change::Gateway(number));
    }

    pub fn context_changed(&mut self, anchor: AnchorId) {
        self.changes.push(Change::Context(anchor));
    }

    pub fn context_departs(&mut self, gateway: u32, context: u32) {
        self.changes.push(Change::Departs(key(gateway, context)));
    }

    pub fn context_gone(&mut self, gateway: u32, context: u32) {
        self.changes.push(Change::Gone(key(gateway, context)));
    }

    pub fn all_gone(&mut self, gateway: u32) {
        self.changes.push(Change::AllGone(gateway));
    }

    /// A request has this number.
    pub fn number_used(&mut self, number: TransactionId) {
        let left = self.numbers_end.map(|end| end.wrapping_sub(number.0));
        if left.is_none_or(|left| !(NUMBERS / 2..=NUMBERS).contains(&left)) {
            let end = number.0.wrapping_add(NUMBERS);
            self.numbers_end = Some(end);
            self.changes.push(Change::Numbers(end));
        }
    }
}

impl Mgc {
    /// Brings the journal up to date.
    pub fn write_journal(&mut self, journal: &mut Journal) {
        for change in std::mem::take(&mut self.ledger.changes) {
            match change {
                Change::Gateway(number) => self.write_gateway(journal, number),
                Change::Context(anchor) => {
                    self.write_context(journal, anchor);
                }
                Change::Departs(key) => {
                    self.ledger.contexts.insert(key);
                    journal.put(Kind::Context, key, &KeptContext::departing());
                }
                Change::Gone(key) => {
                    if self.ledger.contexts.remove(&key) {
                        journal.remove(Kind::Context, key);
                    }
                }
                Change::AllGone(gateway) => {
                    let all = key(gateway, 0)..=key(gateway, u32::MAX);
                    let gone: Vec<u64> = self.ledger.contexts.range(all).copied().collect();
                    for key in gone {
                        self.ledger.contexts.remove(&key);
                        journal.remove(Kind::Context, key);
                    }
                }
                Change::Numbers(end) => journal.put(Kind::Controller, CONTROLLER, &end),
            }
        }
        self.write_members(journal);
    }

    /// Puts everything anew.
    pub fn keep_all(&mut self, journal: &mut Journal) {
        self.ledger.changes.clear();
        for gateway in self.ledger.gateways.clone() {
            self.write_gateway(journal, gateway);
        }
        if let Some(end) = self.ledger.numbers_end {
            journal.put(Kind::Controller, CONTROLLER, &end);
        }
        let anchors: Vec<AnchorId> = self
            .gateways
            .ids()
            .flat_map(|id| self.anchors.at(id))
            .collect();
        let mut departing = self.ledger.contexts.clone();
        for id in anchors {
            if let Some(key) = self.write_context(journal, id) {
                departing.remove(&key);
            }
        }
        // Of what is being subtracted nobody needs to know more than that.
        for key in departing {
            journal.put(Kind::Context, key, &KeptContext::departing());
        }
        self.keep_members(journal);
    }

    fn write_gateway(&mut self, journal: &mut Journal, number: u32) {
        let gateway = self.gateways.iter().find(|it| it.number == number);
        let kept = gateway.and_then(|gateway| {
            let drains = match gateway.returns_to.unwrap_or(gateway.state) {
                GatewayState::InService => None,
                GatewayState::Draining(until) => Some(until.map(Instant::as_nanos)),
                _ => return None,
            };
            Some(KeptGateway {
                mid: KeptMid::of(&gateway.mid),
                address: gateway.address,
                is_connected: gateway.is_connected,
                is_binary: self.endpoint.encoding_to(gateway.address) == Some(Encoding::Binary),
                version: gateway.version,
                drains,
            })
        });
        match kept {
            Some(kept) => {
                self.ledger.gateways.insert(number);
                journal.put(Kind::Gateway, number.into(), &kept);
            }
            None => {
                if self.ledger.gateways.remove(&number) {
                    journal.remove(Kind::Gateway, number.into());
                }
            }
        }
    }

    /// Puts a context where it is to be kept; returns its key.
    fn write_context(&mut self, journal: &mut Journal, id: AnchorId) -> Option<u64> {
        let anchor = self.anchors.get(id)?;
        anchor.kept_at?;
        let context = anchor.context()?;
        let key = key(self.gateways[anchor.gateway].number, context.id);
        let terminations = &context.terminations;
        let kept = KeptContext {
            terminations: [terminations[0].to_string(), terminations[1].to_string()],
            owner: anchor.owner,
            spec: anchor.spec.clone(),
            applied: anchor.applied.clone(),
            locals: anchor.locals().clone(),
        };
        self.ledger.contexts.insert(key);
        journal.put(Kind::Context, key, &kept);
        Some(key)
    }

    // ---- after a restart ----

    /// Takes up the gateways and contexts that an earlier life has kept; before anything else.
    ///
    /// The gateways are spoken to at once, and asked for each context whether it is still there.
    /// Owners [`claim`](Self::claim) theirs; then those of nobody are
    /// [let go](Self::release_unclaimed).
    pub fn restore(&mut self, now: Instant, replay: &mut Replay) {
        for (_, end) in replay.take::<u32>(Kind::Controller) {
            // A clock that went on is past them all.
            let ahead = self.first_number.wrapping_sub(end).cast_signed();
            if ahead < 0 {
                self.first_number = end;
                self.endpoint.begin_at(TransactionId(end));
            }
        }
        let mut by_number = HashMap::new();
        for (number, kept) in replay.take::<KeptGateway>(Kind::Gateway) {
            let Ok(number) = u32::try_from(number) else {
                continue;
            };
            self.ledger.gateways.insert(number);
            let id = self.restore_gateway(now, number, &kept);
            if let Some(id) = id {
                by_number.insert(number, id);
            } else {
                self.ledger.gateway_changed(number);
            }
        }
        for (key, kept) in replay.take::<KeptContext>(Kind::Context) {
            self.ledger.contexts.insert(key);
            let [number, context] = halves(key);
            match by_number.get(&number) {
                Some(&gateway) => self.restore_context(now, gateway, context, kept),
                // Whatever was there is cleared when the gateway registers.
                None => self.ledger.context_gone(number, context),
            }
        }
        self.restore_members(replay, &by_number);
        if self.gateways.len() > 0 {
            let (gateways, contexts) = (self.gateways.len(), self.contexts());
            info!(gateways, contexts, "media taken up again");
        }
        self.handle_gateways(now);
    }

    fn restore_gateway(
        &mut self,
        now: Instant,
        number: u32,
        kept: &KeptGateway,
    ) -> Option<GatewayId> {
        let mid = kept.mid.mid();
        if self.gateways.with_mid(&mid).is_some() {
            return None;
        }
        let id = self.place(now, &mid, kept.address)?;
        self.gateways.set_number(id, number);
        let gateway = &mut self.gateways[id];
        gateway.is_dirty = false;
        gateway.is_connected = kept.is_connected;
        gateway.returns_to = Some(match kept.drains {
            None => GatewayState::InService,
            Some(until) => GatewayState::Draining(until.map(Instant::from_nanos)),
        });
        let encoding = match kept.is_binary {
            true => Encoding::Binary,
            false => self.config.encoding,
        };
        self.expect_in(id, now, kept.version, encoding);
        Some(id)
    }

    fn restore_context(
        &mut self,
        now: Instant,
        gateway: GatewayId,
        context: u32,
        kept: KeptContext,
    ) {
        let context = Context {
            id: context,
            terminations: kept.terminations.map(TerminationId::new),
        };
        let mut anchor = Anchor::new(kept.owner, gateway, kept.spec, Plan::default());
        anchor.kept_at = Some(now);
        let id = self.anchors.insert(anchor);
        self.gateways[gateway].anchors += 1;
        self.anchors.enter(id, context, kept.applied, kept.locals);
        if let Some(other) = self.unclaimed.insert(kept.owner, id) {
            // An owner has one.
            self.release(now, other);
        }
    }

    /// Has an owner take up the anchor that it had.
    pub fn claim(&mut self, owner: u64) -> Option<Claimed> {
        let id = self.unclaimed.remove(&owner)?;
        let anchor = self.anchors.get(id)?;
        Some(Claimed {
            anchor: id,
            applied: anchor.applied.clone(),
            locals: anchor.locals().clone(),
        })
    }

    /// Subtracts what nobody claimed.
    pub fn release_unclaimed(&mut self, now: Instant) {
        let mut unclaimed: Vec<_> = self.unclaimed.drain().map(|(_, id)| id).collect();
        unclaimed.sort_unstable();
        for id in unclaimed {
            self.release(now, id);
        }
        self.release_unclaimed_members(now);
    }

    // ---- whether contexts are there ----

    /// Asks a gateway for each context that it should have.
    pub(super) fn verify(&mut self, now: Instant, id: GatewayId) {
        self.gateways[id].unverified = self.anchors.at(id).into();
        self.send_audits(now, id);
        self.verify_rooms(now, id);
    }

    /// Sends as many audits as may be under way; they share messages.
    fn send_audits(&mut self, now: Instant, id: GatewayId) {
        while self.gateways[id].audits < AUDITS_MAX {
            let Some(anchor_id) = self.gateways[id].unverified.pop_front() else {
                return;
            };
            // What is being changed tells of itself.
            let Some(Anchor {
                state: State::Ready(context),
                ..
            }) = self.anchors.get(anchor_id)
            else {
                continue;
            };
            let action = super::compile::audit(context);
            let purpose = super::Purpose::Audit(id, anchor_id);
            if self.send(now, id, vec![action], purpose).is_err() {
                // What is under way goes on with it.
                return self.gateways[id].unverified.push_front(anchor_id);
            }
            self.gateways[id].audits += 1;
        }
    }

    /// A gateway answered whether it has a context.
    pub(super) fn audited(
        &mut self,
        now: Instant,
        id: GatewayId,
        anchor: AnchorId,
        verdict: Verdict,
    ) {
        let gateway = &mut self.gateways[id];
        gateway.audits = gateway.audits.saturating_sub(1);
        match verdict {
            Verdict::There => {}
            // What may be left of it goes too.
            Verdict::Gone => self.lose_anchor(now, anchor),
            Verdict::Unknown => gateway.unverified.push_back(anchor),
        }
        self.send_audits(now, id);
    }
}

/// Audits under way at one gateway; several share a message.
const AUDITS_MAX: usize = 64;

/// What an audit said of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    There,
    Gone,
    Unknown,
}

impl KeptMid {
    fn of(mid: &Mid) -> Self {
        match mid {
            Mid::Ipv4(ip, port) => Self::Ipv4(*ip, *port),
            Mid::Ipv6(ip, port) => Self::Ipv6(*ip, *port),
            Mid::Domain(name, port) => Self::Domain(name.to_string(), *port),
            Mid::Device(name) => Self::Device(name.to_string()),
            Mid::Mtp(octets) => Self::Mtp(octets.to_vec()),
        }
    }

    fn mid(&self) -> Mid {
        match self {
            Self::Ipv4(ip, port) => Mid::Ipv4(*ip, *port),
            Self::Ipv6(ip, port) => Mid::Ipv6(*ip, *port),
            Self::Domain(name, port) => Mid::Domain(Name::new(name), *port),
            Self::Device(name) => Mid::Device(Name::new(name)),
            Self::Mtp(octets) => Mid::Mtp(octets.iter().copied().collect()),
        }
    }
}

/// Key of a context.
const fn key(gateway: u32, context: u32) -> u64 {
    (gateway as u64) << 32 | context as u64
}

/// Gateway number and ContextID of a key.
const fn halves(key: u64) -> [u32; 2] {
    [(key >> 32) as u32, key as u32]
}
