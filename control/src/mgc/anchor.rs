//! Anchors: their states, the table of them, and what finds them.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use base::Instant;

use super::compile::{Context, Heartbeat};
use super::gateway::GatewayId;
use super::plan::{AnchorError, AnchorId, AnchorSpec, Locals, Plan};

/// One call's media in one context.
#[derive(Debug)]
pub struct Anchor {
    /// The owner's name for it.
    pub owner: u64,
    /// Where it is.
    pub gateway: GatewayId,
    pub spec: AnchorSpec,
    /// Gateways that had no room for it.
    pub refusals: u8,
    pub state: State,
    /// The owner has let go of it: it goes as soon as nothing is under way.
    pub is_released: bool,
    /// The plan in force.
    pub applied: Plan,
    /// Where the gateway receives.
    pub(super) locals: Locals,
    /// Since when its owner has wanted it kept.
    pub kept_at: Option<Instant>,
    /// The heartbeat asked for last.
    pub heartbeat: Heartbeat,
}

/// Where an anchor is in its life.
///
/// One transaction of a context is under way at a time, for transactions keep no order among
/// themselves (H.248.1 8).
#[derive(Debug)]
pub enum State {
    /// Add is under way for this plan.
    Reserving(Plan),
    /// The applied plan is in force and nothing is under way.
    Ready(Context),
    /// Modify is under way to this plan, on these sides.
    Configuring(Context, Plan, [bool; 2]),
    /// The gateway did half of what was asked: Modify is under way back to the applied plan, on
    /// these sides. The owner then hears of the error.
    TakingBack(Context, AnchorError, [bool; 2]),
    /// Modify is under way to the long heartbeat; then this plan is to be applied.
    Slowing(Context, Option<Plan>),
}

impl Anchor {
    pub const fn new(owner: u64, gateway: GatewayId, spec: AnchorSpec, plan: Plan) -> Self {
        Self {
            owner,
            gateway,
            spec,
            refusals: 0,
            state: State::Reserving(plan),
            is_released: false,
            applied: Plan {
                streams: Vec::new(),
            },
            locals: Locals {
                addresses: Vec::new(),
                fingerprints: BTreeMap::new(),
            },
            kept_at: None,
            heartbeat: Heartbeat::New,
        }
    }

    pub const fn context(&self) -> Option<&Context> {
        match &self.state {
            State::Reserving(_) => None,
            State::Ready(context)
            | State::Configuring(context, ..)
            | State::TakingBack(context, ..)
            | State::Slowing(context, _) => Some(context),
        }
    }

    pub const fn locals(&self) -> &Locals {
        &self.locals
    }
}

/// All anchors: dense, found by slot, and by context and address where a peer names these.
#[derive(Debug, Default)]
pub struct Anchors {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_context: HashMap<(GatewayId, u32), AnchorId>,
    by_local: HashMap<SocketAddr, AnchorId>,
}

/// A place in the table; the generation tells its tenants apart.
#[derive(Debug)]
struct Slot {
    generation: u32,
    anchor: Option<Anchor>,
}

impl Anchors {
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub fn insert(&mut self, anchor: Anchor) -> AnchorId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                anchor: None,
            });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.slots[slot as usize];
        entry.anchor = Some(anchor);
        AnchorId {
            slot,
            generation: entry.generation,
        }
    }

    pub fn get(&self, id: AnchorId) -> Option<&Anchor> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.anchor
            .as_ref()
            .filter(|_| slot.generation == id.generation)
    }

    pub fn get_mut(&mut self, id: AnchorId) -> Option<&mut Anchor> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        let is_it = slot.generation == id.generation;
        slot.anchor.as_mut().filter(|_| is_it)
    }

    pub fn remove(&mut self, id: AnchorId) -> Option<Anchor> {
        self.get(id)?;
        let slot = self.slots.get_mut(id.slot as usize)?;
        let anchor = slot.anchor.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.forget_locals(id, &anchor.locals);
        if let Some(context) = anchor.context() {
            self.by_context.remove(&(anchor.gateway, context.id));
        }
        Some(anchor)
    }

    /// Every anchor at a gateway.
    pub fn at(&self, gateway: GatewayId) -> Vec<AnchorId> {
        let slots = self.slots.iter().zip(0..);
        let there = slots.filter(|(slot, _)| {
            let anchor = slot.anchor.as_ref();
            anchor.is_some_and(|anchor| anchor.gateway == gateway)
        });
        there
            .map(|(slot, index)| AnchorId {
                slot: index,
                generation: slot.generation,
            })
            .collect()
    }

    /// The anchor whose context this is.
    pub fn in_context(&self, gateway: GatewayId, context: u32) -> Option<AnchorId> {
        self.by_context.get(&(gateway, context)).copied()
    }

    /// The owner's name for the anchor that receives at this address.
    pub fn owner_of(&self, address: SocketAddr) -> Option<u64> {
        let id = *self.by_local.get(&address)?;
        Some(self.get(id)?.owner)
    }

    /// Whether the media of an anchor is received at `address`.
    pub fn is_local(&self, address: SocketAddr) -> bool {
        self.by_local.contains_key(&address)
    }

    /// A reserved anchor got its context and is ready.
    pub fn enter(&mut self, id: AnchorId, context: Context, applied: Plan, locals: Locals) {
        let Some(anchor) = self.get_mut(id) else {
            return;
        };
        let key = (anchor.gateway, context.id);
        anchor.state = State::Ready(context);
        anchor.applied = applied;
        self.by_context.insert(key, id);
        self.set_locals(id, locals);
    }

    pub fn set_locals(&mut self, id: AnchorId, locals: Locals) {
        let Some(anchor) = self.get_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut anchor.locals, locals.clone());
        self.forget_locals(id, &before);
        for local in locals.addresses() {
            self.by_local.insert(local, id);
        }
    }

    fn forget_locals(&mut self, id: AnchorId, locals: &Locals) {
        for local in locals.addresses() {
            // Another realm may have the same address.
            if self.by_local.get(&local) == Some(&id) {
                self.by_local.remove(&local);
            }
        }
    }

    /// Entries of the table, of the contexts and of the addresses: tests look for leaks.
    #[cfg(test)]
    pub fn lens(&self) -> [usize; 3] {
        [self.len(), self.by_context.len(), self.by_local.len()]
    }
}
