//! Thousands of transactions over a network that loses a third: each is executed exactly once, and
//! both sides agree on every context.
//!
//! `STORM_SEEDS` and `STORM_TRANSACTIONS` make it longer; `scripts/soak storm` does.

mod rig;

use std::collections::BTreeSet;
use std::time::Duration;

use base::Entropy;
use h248::encoding::Encoding;
use h248::message::{ContextId, ReplyBody};
use h248::transaction::Association;
use rig::{Link, MG, MGC, PERFECT, Rig, at};

const STORM: Link = Link {
    loss: 300,
    duplication: 200,
    delay_max: Duration::from_millis(150),
};

/// Calls at a time.
const CALLS: usize = 24;

/// One call as the MGC sees it.
#[derive(Default)]
struct Call {
    /// Its context, once the gateway has answered.
    context: Option<u32>,
    /// Mode of both its terminations.
    mode: &'static str,
    /// What it waits for.
    waits: Option<(u32, Asked)>,
}

#[derive(Clone, Copy)]
enum Asked {
    Add,
    Modify(&'static str),
    Audit,
    Subtract,
}

/// What the MGC knows.
#[derive(Default)]
struct Controller {
    calls: Vec<Call>,
    sent: usize,
    answered: usize,
    /// Contexts of which it does not know whether they are still there, for want of an answer.
    uncertain: BTreeSet<u32>,
    /// Adds that nobody answered.
    unanswered_adds: usize,
    unanswered: usize,
}

impl Controller {
    fn new() -> Self {
        let calls = std::iter::repeat_with(Call::default);
        Self {
            calls: calls.take(CALLS).collect(),
            ..Self::default()
        }
    }

    /// Takes what was answered, and says the next thing in each call that waits for nothing.
    fn turn(&mut self, rig: &mut Rig, entropy: &mut Entropy, transactions: usize) {
        for index in 0..self.calls.len() {
            if let Some((token, asked)) = self.calls[index].waits {
                match rig.outcome(0, token) {
                    None => continue,
                    Some(outcome) => self.learn(index, asked, outcome),
                }
            }
            if self.sent < transactions {
                self.say(rig, entropy, index);
            }
        }
    }

    fn say(&mut self, rig: &mut Rig, entropy: &mut Entropy, index: usize) {
        let call = &mut self.calls[index];
        let (asked, actions) = match (call.context, entropy.below(8)) {
            (None, _) => (Asked::Add, rig::CALL.to_owned()),
            (Some(context), 0..=3) => {
                let mode = ["SendReceive", "SendOnly", "ReceiveOnly", "Inactive"];
                let mode = mode[entropy.below(4) as usize];
                let control = format!("LocalControl {{ Mode = {mode} }}");
                let modify = format!("Modify = * {{ Media {{ Stream = 1 {{ {control} }} }} }}");
                (
                    Asked::Modify(mode),
                    format!("Context = {context} {{ {modify} }}"),
                )
            }
            (Some(context), 4) => (
                Asked::Audit,
                format!("Context = {context} {{ AuditValue = * {{ Audit {{ Media }} }} }}"),
            ),
            (Some(context), _) => (
                Asked::Subtract,
                format!("Context = {context} {{ Subtract = * }}"),
            ),
        };
        call.waits = Some((rig.send(0, &actions), asked));
        self.sent += 1;
    }

    fn learn(&mut self, index: usize, asked: Asked, outcome: Option<ReplyBody>) {
        let call = &mut self.calls[index];
        call.waits = None;
        let Some(body) = outcome else {
            self.unanswered += 1;
            match (asked, call.context.take()) {
                (Asked::Add, _) => self.unanswered_adds += 1,
                (_, Some(context)) => drop(self.uncertain.insert(context)),
                (_, None) => {}
            }
            return;
        };
        self.answered += 1;
        let said = rig::print(&body);
        assert!(!said.contains("Error"), "executed twice, or not: {said}");
        match asked {
            Asked::Add => {
                call.context = contexts(&body).into_iter().next();
                call.mode = "SendReceive";
            }
            Asked::Modify(mode) => call.mode = mode,
            Asked::Audit => assert_eq!(said.matches(&mode_of(call.mode)).count(), 2, "{said}"),
            Asked::Subtract => call.context = None,
        }
    }

    fn is_done(&self, transactions: usize) -> bool {
        self.sent >= transactions && self.calls.iter().all(|call| call.waits.is_none())
    }
}

fn mode_of(mode: &str) -> String {
    format!("Mode = {mode}")
}

/// The contexts of a reply.
fn contexts(body: &ReplyBody) -> BTreeSet<u32> {
    let ReplyBody::Actions(actions) = body else {
        return BTreeSet::new();
    };
    let ids = actions.iter().filter_map(|action| match action.context {
        ContextId::Id(id) => Some(id),
        _ => None,
    });
    ids.collect()
}

fn run(seed: u64, transactions: usize) {
    let mut config = rig::config();
    config.ports = 10_000..=10_999;
    let mut rig = Rig::with(config, seed, PERFECT);
    rig.start();
    rig.pass(Duration::from_millis(1));
    if seed.is_multiple_of(2) {
        let association = Association {
            encoding: Encoding::Binary,
            follow_peer: false,
            ..Association::default()
        };
        rig.mgcs[0].endpoint.set_association(at(MG), association);
    }
    if seed % 4 < 2 {
        segment_replies(&mut rig);
    }
    let before = rig.mg.counters().transactions as usize;
    rig.link = STORM;
    let mut entropy = Entropy::from_u64(seed);
    let mut controller = Controller::new();
    while !controller.is_done(transactions) {
        controller.turn(&mut rig, &mut entropy, transactions);
        rig.pass(Duration::from_millis(25));
        rig.finish_closing();
    }
    let executed = rig.mg.counters().transactions as usize - before;
    let most = controller.answered + controller.unanswered;
    assert!(
        (controller.answered..=most).contains(&executed),
        "seed {seed}: {executed} executed, {} answered, {} not",
        controller.answered,
        controller.unanswered
    );
    // One in some hundreds gets no answer in the time of T-MAX.
    assert!(
        controller.unanswered * 100 <= controller.sent,
        "seed {seed}: {} of {} have no answer",
        controller.unanswered,
        controller.sent
    );
    agree(&mut rig, &controller, seed);
}

/// From now on what is longer than 280 octets comes in segments, each of which may be lost: replies
/// to audits of a call do.
fn segment_replies(rig: &mut Rig) {
    let limit = "TerminationState { root/MGCMaxPDUSize = 280 }";
    rig.say(&format!(
        "Context = - {{ Modify = ROOT {{ Media {{ {limit} }} }} }}"
    ));
    let (context, _) = rig.call();
    let audit = format!("Context = {context} {{ AuditValue = * {{ Audit {{ Media }} }} }}");
    let parts = rig.answers(at(MGC), &rig::message(MGC, &audit, 900_000));
    let last = "Reply = 900000/2/END";
    assert!(parts.iter().any(|part| part.contains(last)), "{parts:?}");
    rig.pass(Duration::from_secs(1));
    rig.say(&format!("Context = {context} {{ Subtract = * }}"));
    rig.finish_closing();
}

/// Both sides have the same contexts, and the same in them.
fn agree(rig: &mut Rig, controller: &Controller, seed: u64) {
    rig.link = PERFECT;
    rig.pass(Duration::from_secs(60));
    let mut known = BTreeSet::new();
    for call in &controller.calls {
        let Some(context) = call.context else {
            continue;
        };
        known.insert(context);
        let audit = format!("Context = {context} {{ AuditValue = * {{ Audit {{ Media }} }} }}");
        let said = rig.say(&audit);
        let modes = said.matches(&mode_of(call.mode)).count();
        assert_eq!(modes, 2, "seed {seed}: {said}");
    }
    assert!(!known.is_empty(), "seed {seed}");
    let reply = rig.ask(0, "Context = * { AuditValue = * }");
    let there = contexts(&reply);
    assert!(known.is_subset(&there), "seed {seed}");
    let strangers = there
        .iter()
        .filter(|id| !known.contains(id) && !controller.uncertain.contains(id));
    assert!(
        strangers.count() <= controller.unanswered_adds,
        "seed {seed}: contexts that nobody asked for"
    );
    rig.say("Context = * { O-W-Subtract = * { Audit { } } }");
    rig.assert_empty();
}

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name);
    value.map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn every_transaction_is_executed_once_and_both_sides_agree() {
    let transactions = setting("STORM_TRANSACTIONS", 1000) as usize;
    for seed in 1..=setting("STORM_SEEDS", 4) {
        run(seed, transactions);
    }
}
