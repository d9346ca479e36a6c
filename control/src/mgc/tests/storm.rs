//! Many calls over a bad network: nothing leaks, and what is in force is what was planned.

use std::collections::BTreeMap;

use h248::message::StreamMode;

use super::world::*;
use crate::mgc::{AnchorEvent, AnchorId, Locals, Mode, Plan, Side};

/// A call as its owner sees it.
struct Call {
    id: AnchorId,
    /// Wanted and not confirmed yet.
    pending: Option<Plan>,
    applied: Plan,
    locals: Locals,
}

#[derive(Default)]
struct Calls {
    by_owner: BTreeMap<u64, Call>,
    opened: usize,
    lost: usize,
    failed: usize,
    applied: usize,
}

impl Calls {
    fn hear(&mut self, owner: u64, event: AnchorEvent) {
        let call = self
            .by_owner
            .get_mut(&owner)
            .expect("news of a call there is");
        match event {
            AnchorEvent::Applied(locals) => {
                call.applied = call.pending.take().expect("something was pending");
                call.locals = locals;
                self.applied += 1;
            }
            AnchorEvent::Failed(_) => {
                call.pending.take().expect("something was pending");
                self.failed += 1;
                if call.locals == Locals::default() {
                    self.by_owner.remove(&owner);
                }
            }
            AnchorEvent::Lost => {
                self.by_owner.remove(&owner);
                self.lost += 1;
            }
            AnchorEvent::Inactive => panic!("nobody is asked"),
        }
    }
}

fn random_plan(world: &mut World, streams: usize) -> Plan {
    let entropy = &mut world.entropy;
    let mut random_stream = |index: usize| {
        let port = 20_000 + 2 * entropy.below(2000);
        let remote = entropy
            .chance(700)
            .then(|| format!("198.51.100.{}:{port}", index + 1));
        let mut stream = stream(
            Some(&format!("203.0.113.{}:{port}", index + 1)),
            remote.as_deref(),
        );
        stream.used = entropy.chance(800);
        stream.formats = match entropy.below(3) {
            0 => vec!["8".into()],
            1 => vec!["8".into(), "101".into()],
            _ => vec!["96".into()],
        };
        for side in &mut stream.sides {
            side.mode = Mode::new(entropy.chance(700), entropy.chance(700));
            side.latch = entropy.chance(300) && side.remote.is_some();
        }
        stream
    };
    Plan {
        streams: (0..streams).map(&mut random_stream).collect(),
    }
}

fn act(world: &mut World, calls: &mut Calls) {
    match world.entropy.below(10) {
        0..4 => {
            let streams = 1 + world.entropy.below(3) as usize;
            let plan = random_plan(world, streams);
            let owner = calls.opened as u64 + 1;
            if let Ok(id) = world.mgc.open(world.now, owner, spec(), plan.clone()) {
                calls.opened += 1;
                let call = Call {
                    id,
                    pending: Some(plan),
                    applied: Plan::default(),
                    locals: Locals::default(),
                };
                calls.by_owner.insert(owner, call);
            }
        }
        choice => {
            let len = calls.by_owner.len() as u64;
            if len == 0 {
                return;
            }
            let index = world.entropy.below(len) as usize;
            let owner = *calls.by_owner.keys().nth(index).unwrap();
            if choice < 7 {
                let call = calls.by_owner.remove(&owner).unwrap();
                world.mgc.release(world.now, call.id);
            } else if calls.by_owner[&owner].pending.is_none() {
                let before = calls.by_owner[&owner].applied.streams.len();
                let streams = before + usize::from(world.entropy.chance(300) && before < 5);
                let plan = random_plan(world, streams);
                let call = calls.by_owner.get_mut(&owner).unwrap();
                if world.mgc.apply(world.now, call.id, plan.clone()).is_ok() {
                    call.pending = Some(plan);
                }
            }
        }
    }
    world.drain();
}

fn hear(world: &mut World, calls: &mut Calls) {
    for (owner, event) in std::mem::take(&mut world.news) {
        // A call released has no owner any more, and nothing is to be heard of it.
        calls.hear(owner, event);
    }
}

/// The gateways have in force what the calls want.
fn compare(world: &World, calls: &Calls) {
    for call in calls
        .by_owner
        .values()
        .filter(|call| call.locals.addresses().count() > 0)
    {
        let mut addresses = call.locals.addresses.iter();
        let access = addresses.find_map(|local| local[0]).unwrap();
        let mut contexts = world.gateways.iter().filter_map(|it| it.context_at(access));
        let context = contexts
            .next()
            .unwrap_or_else(|| panic!("{access} is nowhere"));
        for side in Side::BOTH {
            let termination = &context.terminations[side.index()];
            for (index, stream) in call.applied.streams.iter().enumerate() {
                let own = &stream.sides[side.index()];
                let there = termination.streams.get(&(index as u16 + 1));
                let Some(there) = there.filter(|_| stream.used) else {
                    assert!(!stream.used && there.is_none());
                    continue;
                };
                let (sends, receives) = match own.mode {
                    Mode::SendReceive => (true, true),
                    Mode::SendOnly => (true, false),
                    Mode::ReceiveOnly => (false, true),
                    Mode::Inactive => (false, false),
                };
                assert_eq!(
                    (there.mode.sends(), there.mode.receives()),
                    (sends, receives)
                );
                assert_ne!(there.mode, StreamMode::Loopback);
                assert_eq!(there.remote, own.remote.map(|remote| remote.rtp));
                assert_eq!(there.local, call.locals.get(index, side));
                let formats: Vec<_> = stream.formats.iter().map(|it| it.to_string()).collect();
                assert_eq!(there.formats, formats);
                assert_eq!(there.keeps_formats, formats.len() > 1);
                assert_eq!(there.latch.is_some(), own.latch);
            }
        }
    }
}

/// Thousands of operations; returns what became of them.
fn storm(seed: u64, trouble: u64, operations: usize, with_restarts: bool) -> (World, Calls) {
    println!("seed {seed}");
    let mut world = World::with_gateways(2);
    world.entropy = base::Entropy::from_u64(seed);
    world.trouble = trouble;
    let mut calls = Calls::default();
    for operation in 0..operations {
        act(&mut world, &mut calls);
        let pause = world.entropy.below(200);
        world.run(std::time::Duration::from_millis(pause));
        hear(&mut world, &mut calls);
        world.seen.clear();
        if with_restarts && operation % 500 == 250 {
            let index = world.entropy.below(2) as usize;
            world.gateways[index].forget_everything();
            world.register(index, "RS", "901 Cold Boot");
        }
    }
    // What is on its way comes to its end.
    world.run(secs(120));
    hear(&mut world, &mut calls);
    assert!(
        calls.by_owner.values().all(|call| call.pending.is_none()),
        "seed {seed}"
    );
    assert_eq!(world.mgc.contexts(), calls.by_owner.len(), "seed {seed}");
    let addresses: usize = calls
        .by_owner
        .values()
        .map(|it| it.locals.addresses().count())
        .sum();
    let [_, contexts, locals] = world.mgc.anchors.lens();
    assert_eq!(contexts, calls.by_owner.len(), "seed {seed}");
    assert_eq!(locals, addresses, "seed {seed}");
    (world, calls)
}

/// Ends every call and lets time pass until what came to light late is gone too.
fn end(mut world: World, calls: Calls) {
    world.trouble = 0;
    for call in calls.by_owner.values() {
        world.mgc.release(world.now, call.id);
    }
    world.drain();
    world.run(secs(3800));
    assert_eq!(world.news, []);
    assert_eq!(world.mgc.anchors.lens(), [0, 0, 0]);
    assert_eq!(world.mgc.endpoint.requests_len(), 0);
    for (gateway, status) in world.gateways.iter().zip(world.mgc.gateways()) {
        assert_eq!(
            (gateway.contexts.len(), status.contexts),
            (0, 0),
            "{status:?}"
        );
        assert_eq!(status.state, "in service");
    }
}

/// Every datagram of many calls on a good network.
pub fn recorded(operations: usize) -> Vec<Vec<u8>> {
    let mut world = World::with_gateways(1);
    let mut calls = Calls::default();
    for _ in 0..operations {
        act(&mut world, &mut calls);
        world.settle();
        hear(&mut world, &mut calls);
    }
    world.seen
}

#[test]
fn on_a_good_network_everything_is_applied() {
    let (world, calls) = storm(1, 0, 1500, false);
    assert_eq!((calls.lost, calls.failed), (0, 0));
    assert!(calls.applied > 800);
    compare(&world, &calls);
    end(world, calls);
}

#[test]
fn on_a_bad_network_nothing_leaks_and_plans_hold() {
    for seed in 0..6 {
        let (world, calls) = storm(seed, 300, 700, false);
        assert!(calls.applied > 300, "seed {seed}: {}", calls.applied);
        compare(&world, &calls);
        end(world, calls);
    }
}

#[test]
fn restarts_of_gateways_on_a_bad_network_leak_nothing() {
    for seed in 100..104 {
        let (world, calls) = storm(seed, 300, 1100, true);
        assert!(calls.lost > 0, "seed {seed}");
        end(world, calls);
    }
}
