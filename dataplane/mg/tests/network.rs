//! Random commands over a network that loses, doubles and reorders.

mod rig;

use std::collections::BTreeMap;
use std::time::Duration;

use base::Entropy;
use h248::message::{ContextId, ReplyBody};
use rig::{PERFECT, ROUGH, Rig, at};

/// What an MGC believes to exist: its contexts, and how many terminations are in each.
#[derive(Default)]
struct Belief {
    contexts: BTreeMap<u32, usize>,
}

fn started(seed: u64) -> Rig {
    let mut config = rig::config();
    config.ports = 10_000..=10_019;
    config.contexts_max = 8;
    let mut rig = Rig::with(config, seed, ROUGH);
    rig.rest = Duration::from_millis(200);
    rig.start();
    for _ in 0..100 {
        rig.pass(Duration::from_millis(500));
        if rig.mg.status().state == "in service" {
            return rig;
        }
    }
    panic!("seed {seed}: no association");
}

/// Every transaction is executed once and answered, whatever the network does: the MGC's belief,
/// made of the replies alone, is what the gateway has.
#[test]
fn commands_are_executed_once_over_a_rough_network() {
    for seed in 1..=30 {
        let mut rig = started(seed);
        let mut entropy = Entropy::from_u64(seed);
        let mut belief = Belief::default();
        for step in 0..60 {
            let (actions, known) = choose(&mut entropy, &belief);
            let reply = rig.ask(0, &actions);
            belief.learn(known, &reply);
            rig.finish_closing();
            let status = rig.mg.status();
            let terminations: usize = belief.contexts.values().sum();
            assert_eq!(
                (status.contexts, status.terminations),
                (belief.contexts.len(), terminations),
                "seed {seed} step {step}: {actions}\n{}",
                rig::print(&reply)
            );
            assert_eq!(
                status.ports_used,
                rig.plane.open.len(),
                "seed {seed} step {step}"
            );
        }
        let reply = rig.say("Context = * { O-W-Subtract = * { Audit { } } }");
        assert!(reply.contains("Subtract"), "seed {seed}: {reply}");
        rig.assert_empty();
    }
}

fn choose(entropy: &mut Entropy, belief: &Belief) -> (String, Option<u32>) {
    let count = belief.contexts.len() as u64;
    let known = belief
        .contexts
        .keys()
        .nth(entropy.below(count) as usize)
        .copied();
    let context = known.unwrap_or(77);
    let family = if entropy.chance(500) { "IP4" } else { "IP6" };
    let add = format!(
        "Add = $ {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = SendReceive }}, \
         Local {{ v=0\nc=IN {family} $\nm=audio $ RTP/AVP 8\n }} }} }} }}"
    );
    match entropy.below(10) {
        0..=3 => (format!("Context = $ {{ {add}, {add} }}"), None),
        4 => (format!("Context = $ {{ {add} }}"), None),
        5 => (format!("Context = {context} {{ {add} }}"), known),
        6 => {
            let mode = "LocalControl { Mode = Inactive }";
            let modify = format!("Modify = * {{ Media {{ Stream = 1 {{ {mode} }} }} }}");
            (format!("Context = {context} {{ {modify} }}"), known)
        }
        7 => (
            format!("Context = {context} {{ AuditValue = * {{ Audit {{ Media }} }} }}"),
            known,
        ),
        _ => (format!("Context = {context} {{ Subtract = * }}"), known),
    }
}

impl Belief {
    fn learn(&mut self, known: Option<u32>, reply: &ReplyBody) {
        use h248::message::{AuditReturn, CommandReply};
        let ReplyBody::Actions(actions) = reply else {
            panic!("{}", rig::print(reply));
        };
        for action in actions {
            let ContextId::Id(id) = action.context else {
                continue;
            };
            assert!(known.is_none_or(|known| known == id || action.error.is_some()));
            for command in &action.commands {
                let (change, reply) = match command {
                    CommandReply::Add(reply) => (1, reply),
                    CommandReply::Subtract(reply) => (-1, reply),
                    _ => continue,
                };
                let is_error = |item: &AuditReturn| matches!(item, AuditReturn::Error(_));
                if reply.audit.iter().any(is_error) {
                    continue;
                }
                let count = self.contexts.entry(id).or_default();
                *count = count.strict_add_signed(change);
                if *count == 0 {
                    self.contexts.remove(&id);
                }
            }
        }
    }
}

/// Many transactions at a time, over links that reorder them.
#[test]
fn transactions_in_flight_together_leave_nothing_behind() {
    for seed in 100..110 {
        let mut rig = started(seed);
        let mut entropy = Entropy::from_u64(seed);
        for _ in 0..10 {
            let belief = Belief::default();
            let tokens: Vec<u32> = (0..20)
                .map(|_| {
                    let (actions, _) = choose(&mut entropy, &belief);
                    rig.send(0, &actions)
                })
                .collect();
            rig.pass(Duration::from_secs(30));
            for token in tokens {
                let outcome = rig.outcome(0, token);
                assert!(matches!(outcome, Some(Some(_))), "seed {seed}: {outcome:?}");
            }
            rig.say("Context = * { O-W-Subtract = * { Audit { } } }");
            rig.assert_empty();
            rig.pass(Duration::from_secs(1));
        }
    }
}

/// Valid messages with bits flipped and cut short: whatever comes of them, the gateway stands and
/// obeys.
#[test]
fn damaged_messages_do_no_harm() {
    let mut rig = Rig::new();
    rig.link = PERFECT;
    let calls = [
        rig::CALL,
        "Context = $ { Emergency, Add = $ { Events = 1 { adid/ipstop { dt = 5, dir = IN } }, \
         Signals { ipnapt/latch { napt = LATCH } }, Audit { Media, Statistics } } }",
        "Context = * { W-Subtract = * { Audit { Statistics } } }",
        "Context = - { ServiceChange = ROOT { Services { Method = Graceful, Reason = \"909 a\" } } }",
    ];
    let mut id = 1000;
    for call in calls {
        let whole = rig::message(rig::MGC, call, 999);
        for index in 0..whole.len() {
            for damage in [0, 0x01, 0x10, 0x20] {
                let mut bytes = rig::message(rig::MGC, call, id);
                id += 1;
                match damage {
                    0 => bytes.truncate(index.min(bytes.len())),
                    bit => {
                        if let Some(byte) = bytes.get_mut(index) {
                            *byte ^= bit;
                        }
                    }
                }
                rig.mg
                    .handle_input(rig.now, &mut rig.plane, at(rig::MGC), &bytes);
                while rig.mg.poll_output().is_some() {}
                if rig.mg.status().contexts > 40 {
                    clear(&mut rig);
                }
            }
        }
    }
    clear(&mut rig);
    rig.assert_empty();
}

/// Subtracts everything, whoever the gateway takes for its MGC by now.
fn clear(rig: &mut Rig) {
    rig.pass(Duration::from_secs(40));
    assert_eq!(rig.mg.status().state, "in service");
    rig.say("Context = * { O-W-Subtract = * { Audit { } } }");
    rig.finish_closing();
}
