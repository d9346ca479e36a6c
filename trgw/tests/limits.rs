//! Limits of a gateway and its TrGW: each is reached and one past it refused with its error
//! (H.248.8); what was refused leaves nothing behind, and what is given back can be had again.
//!
//! `docs/limits.md` has all limits of the media process and the tests that reach them.

mod rig;

use std::path::Path;
use std::time::Duration;

use h248::message::{AuditReply, CommandReply, ReplyBody};
use rig::{ALICE, BOB, PORTS, REST, Rig, add, errors, remote, sdp};

/// Something of which there is so much and no more.
struct Limit {
    /// How much can be had.
    granted: usize,
    /// The error beyond.
    code: u16,
    /// Asks for one, by its number.
    ask: Box<dyn Fn(usize) -> String>,
    /// Gives the one with this number back.
    give_back: GiveBack,
    /// When it can be had again.
    after: Duration,
}

type GiveBack = Box<dyn Fn(&mut Rig, usize)>;

impl Limit {
    /// Goes to the limit and past it, gives one back and goes there again.
    fn assert(&self, rig: &mut Rig) {
        for number in 0..self.granted {
            rig.say(&(self.ask)(number));
        }
        self.assert_refused(rig, self.granted);
        for number in 0..2 {
            (self.give_back)(rig, number);
            rig.pass(self.after);
            rig.say(&(self.ask)(self.granted + number));
            self.assert_refused(rig, self.granted + number + 1);
        }
        if !all_contexts(rig).is_empty() {
            rig.say("Context = * { W-Subtract = * }");
        }
        rig.assert_empty();
    }

    fn assert_refused(&self, rig: &mut Rig, number: usize) {
        for _ in 0..3 {
            let (before, more) = (held(rig), (self.ask)(number));
            let reply = rig.ask(&more);
            assert_eq!(errors(&reply), [self.code], "{more}\n{reply:?}");
            assert_eq!(held(rig), before, "{more}");
        }
    }
}

/// What is in the gateway's hands: contexts, terminations, ports.
fn held(rig: &Rig) -> [usize; 4] {
    let status = rig.mg.status();
    let pairs = rig.trgw.pairs();
    [
        status.contexts,
        status.terminations,
        status.ports_used,
        pairs,
    ]
}

fn new_call(_: usize) -> String {
    let (core, access) = (add("core", "IP4", BOB), add("access", "IP4", ALICE));
    format!("Context = $ {{ {core}, {access} }}")
}

/// Each context there is, with its terminations.
fn all_contexts(rig: &mut Rig) -> Vec<(u32, Vec<String>)> {
    if rig.mg.status().contexts == 0 {
        return Vec::new();
    }
    let reply = rig.say("Context = * { AuditValue = * { Audit { } } }");
    let ReplyBody::Actions(actions) = reply else {
        unreachable!()
    };
    let mut contexts = Vec::new();
    for action in actions {
        let mut all = Vec::new();
        for command in &action.commands {
            if let CommandReply::AuditValue(AuditReply::Context(names)) = command {
                all.extend(names.iter().map(ToString::to_string));
            }
        }
        contexts.push((action.context.as_u32(), all));
    }
    contexts
}

fn end_a_call(rig: &mut Rig, _: usize) {
    let (context, _) = all_contexts(rig)[0];
    rig.say(&format!("Context = {context} {{ W-Subtract = * }}"));
}

fn call(rig: &mut Rig) -> u32 {
    rig.call("IP4", ALICE, BOB).0
}

fn stream(id: usize) -> String {
    format!(
        "Stream = {id} {{ LocalControl {{ Mode = SendReceive, ipdc/realm = \"core\" }}, \
         Local {{ {} }}, {} }}",
        sdp("IP4", "$", "$"),
        remote(BOB)
    )
}

#[test]
fn contexts_of_the_gateway() {
    let mut rig = Rig::with(2, 4096, |config| config.contexts_max = 3);
    let limit = Limit {
        granted: 3,
        code: 412,
        ask: Box::new(new_call),
        give_back: Box::new(end_a_call),
        after: Duration::ZERO,
    };
    limit.assert(&mut rig);
}

#[test]
fn ports_of_the_gateway() {
    let mut rig = Rig::new(2, 4096);
    let limit = Limit {
        granted: PORTS.count() / 2,
        code: 510,
        ask: Box::new(new_call),
        give_back: Box::new(end_a_call),
        after: REST,
    };
    limit.assert(&mut rig);
}

#[test]
fn ports_of_one_realm_while_the_other_has_some() {
    let mut rig = Rig::new(2, 4096);
    let limit = Limit {
        granted: PORTS.count() / 2,
        code: 510,
        ask: Box::new(|_| format!("Context = $ {{ {} }}", add("core", "IP4", BOB))),
        give_back: Box::new(|rig, number| {
            // Whoever asks elsewhere is served.
            let elsewhere = add("access", "IP4", ALICE);
            rig.say(&format!("Context = $ {{ {elsewhere} }}"));
            rig.say("Context = * { W-Subtract = ip/2/* }");
            end_a_call(rig, number);
        }),
        after: REST,
    };
    limit.assert(&mut rig);
}

#[test]
fn terminations_of_a_context() {
    let mut rig = Rig::new(2, 4096);
    let context = call(&mut rig);
    let limit = Limit {
        granted: mg::TRGW.terminations_per_context_max - 2,
        code: 434,
        ask: Box::new(move |_| format!("Context = {context} {{ {} }}", add("core", "IP4", BOB))),
        give_back: Box::new(move |rig, _| {
            let (_, names) = all_contexts(rig).swap_remove(0);
            let name = names.last().expect("there are some");
            rig.say(&format!("Context = {context} {{ W-Subtract = {name} }}"));
        }),
        after: Duration::ZERO,
    };
    limit.assert(&mut rig);
}

#[test]
fn streams_of_a_termination() {
    let mut rig = Rig::new(2, 4096);
    let context = call(&mut rig);
    let modify = move |stream: &str| {
        format!("Context = {context} {{ Modify = ip/1/* {{ Media {{ {stream} }} }} }}")
    };
    let limit = Limit {
        granted: mg::TRGW.streams_max - 1,
        code: 510,
        ask: Box::new(move |number| modify(&stream(number + 2))),
        give_back: Box::new(move |rig, number| {
            let id = number + 2;
            let end = "LocalControl { Mode = Inactive }, Local { }, Remote { }";
            rig.say(&modify(&format!("Stream = {id} {{ {end} }}")));
        }),
        after: Duration::ZERO,
    };
    limit.assert(&mut rig);
}

#[test]
fn digit_maps_of_the_gateway() {
    let mut rig = Rig::new(2, 4096);
    let modify = |map: &str| format!("Context = - {{ Modify = ROOT {{ DigitMap = {map} }} }}");
    let limit = Limit {
        granted: 16,
        code: 519,
        ask: Box::new(move |number| modify(&format!("plan{number} {{ (1xx|2x.) }}"))),
        give_back: Box::new(move |rig, number| drop(rig.say(&modify(&format!("plan{number}"))))),
        after: Duration::ZERO,
    };
    limit.assert(&mut rig);
}

#[test]
fn events_of_a_descriptor() {
    let mut rig = Rig::new(2, 4096);
    let context = call(&mut rig);
    let events = |count: usize| {
        let all = vec!["adid/ipstop { dt = 5 }"; count].join(", ");
        format!("Context = {context} {{ Modify = ip/1/* {{ Events = 1 {{ {all} }} }} }}")
    };
    let most = mg::TRGW.events_max;
    rig.say(&events(most));
    let reply = rig.ask(&events(most + 1));
    assert_eq!(errors(&reply), [510]);
    rig.say(&events(most));
    rig.subtract(context);
    rig.assert_empty();
}

/// What no ring has room for is refused, and nothing of it is left.
#[test]
fn commands_that_wait_for_a_worker() {
    const ASKED: usize = 20;
    let mut rig = Rig::new(2, 32);
    let call = new_call(0);
    for _ in 0..5 {
        let all = vec![call.as_str(); ASKED].join(", ");
        let all = all.replace("Add = ", "O-Add = ");
        let reply = rig.ask(&all);
        let refused = errors(&reply);
        assert!(
            !refused.is_empty() && refused.len() < 2 * ASKED,
            "{refused:?}"
        );
        assert!(refused.iter().all(|code| *code == 511), "{refused:?}");
        let granted = 2 * ASKED - refused.len();
        assert_eq!(rig.mg.status().terminations, granted);
        rig.say("Context = * { W-Subtract = * }");
        rig.assert_empty();
    }
    rig.call("IP4", ALICE, BOB);
}

/// The table names tests that are there.
#[test]
fn the_table_of_limits_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = std::fs::read_to_string(root.join("docs/limits.md")).expect("the table");
    let mut tests = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let Some(cell) = line.trim_end_matches(" |").rsplit(" | ").next() else {
            continue;
        };
        for test in cell.split('`').filter(|word| word.contains("::")) {
            let (file, name) = test.rsplit_once("::").expect("a file and a test");
            let text = std::fs::read_to_string(root.join(file));
            let text = text.unwrap_or_else(|fault| panic!("{file}: {fault}"));
            assert!(text.contains(&format!("fn {name}(")), "{test}");
            tests += 1;
        }
    }
    assert!(tests > 40, "{tests}");
}
