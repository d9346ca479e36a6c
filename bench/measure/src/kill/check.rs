//! What must hold at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use interop::strowger;
use serde_json::Value;

use super::Trial;
use super::adder::{self, Acknowledged};
use super::residents::Census;
use crate::rig::{PCSCF, REALM};
use crate::status;

/// How often it is looked whether everything has gone.
const POLL: Duration = Duration::from_millis(500);
/// Subscribers asked for at once.
const PAGE: usize = 500;

/// SQN of each user, as the store had it last.
pub type Sqns = BTreeMap<String, u64>;

impl Trial<'_> {
    /// Waits until what the load left is gone, and compares all with what the users know.
    pub(super) fn look(&mut self, ended: Instant) {
        let census = self.residents.settle();
        for user in &census.unsure {
            self.fault(format!("{user} cannot register"));
        }
        for fault in &census.gone_back.1 {
            self.fault(fault.clone());
        }
        let registered = census.registered.len() as u64 + 2 * u64::from(self.args.users);
        let limit = Duration::from_secs(self.args.settle);
        let remains = loop {
            let remains = self.remains(registered);
            if remains.is_empty() || ended.elapsed() > limit {
                break remains;
            }
            thread::sleep(POLL);
        };
        println!(
            "after {} s: {registered} registered; {}",
            ended.elapsed().as_secs(),
            match remains.is_empty() {
                true => "nothing left over".to_owned(),
                false => remains.join(", "),
            }
        );
        for fault in remains {
            self.fault(fault);
        }
        let acknowledged = self.adder.acknowledged();
        match self.subscribers() {
            Some(all) => {
                self.judge_users(&census, &all);
                self.judge_added(&acknowledged, &all);
            }
            None => self.fault("the subscribers cannot be listed".to_owned()),
        }
        self.judge_audio();
        for fault in self.rig.judge_all() {
            self.fault(fault);
        }
    }

    /// What is there and should not be, and what is not there and should.
    fn remains(&self, registered: u64) -> Vec<String> {
        let mut all = Vec::new();
        let statuses = self.rig.statuses();
        for (name, status) in &statuses {
            let left = status::leftovers(status).into_iter();
            all.extend(left.map(|(what, count)| format!("{count} {what} in {name}")));
        }
        for name in [
            "/access_registrations",
            "/registrations",
            "/contacts",
            "/access_subscriptions",
            "/subscriptions",
        ] {
            let figures = statuses.iter().map(|(_, it)| status::figure(it, name));
            let there: u64 = figures.sum();
            if there != registered {
                all.push(format!("{there} {} of {registered}", &name[1..]));
            }
        }
        all
    }

    /// All subscribers by private identity.
    fn subscribers(&self) -> Option<BTreeMap<String, Value>> {
        let mut all = BTreeMap::new();
        let mut after = String::new();
        loop {
            let path = format!("/subscribers?limit={PAGE}&after={after}");
            let page = self.rig.get(self.rig.hss(), &path)?;
            let page = page.as_array()?;
            for each in page {
                let impi = each["impi"].as_str()?;
                impi.clone_into(&mut after);
                all.insert(impi.to_owned(), each.clone());
            }
            if page.len() < PAGE {
                return Some(all);
            }
        }
    }

    /// The HSS has registered who is, nobody else, and its sequence numbers have not gone back.
    fn judge_users(&mut self, census: &Census, all: &BTreeMap<String, Value>) {
        let is_registered = |name: &str| {
            let sets = all.get(name).map(|it| &it["registrations"]["sets"]);
            let sets = sets.and_then(Value::as_array);
            sets.is_some_and(|sets| sets.iter().any(|set| set["state"] == "registered"))
        };
        let mut faults = Vec::new();
        for name in &census.gone {
            let name = format!("{name}@{REALM}");
            if is_registered(&name) {
                faults.push(format!("{name} has left and is registered at the HSS"));
            }
        }
        for (name, seen) in &census.registered {
            let name = format!("{name}@{REALM}");
            if !is_registered(&name) {
                faults.push(format!("{name} is not registered at the HSS"));
            }
            let stored = all.get(&name).and_then(|it| it["aka"]["sqn"].as_u64());
            let before = self.sqns.get(&name).copied().unwrap_or(0);
            match stored {
                // A vector may have been made that nobody received.
                Some(stored) if stored >= before.max(*seen) => {
                    self.sqns.insert(name, stored);
                }
                other => faults.push(format!(
                    "{name}: SQN {other:x?} stored, {seen:x} seen, {before:x} stored before"
                )),
            }
        }
        for side in ["caller", "called"] {
            for number in 0..self.args.users {
                let name = format!("{side}{number:06}@{REALM}");
                if !is_registered(&name) {
                    faults.push(format!("{name} is not registered at the HSS"));
                }
            }
        }
        for fault in faults {
            self.fault(fault);
        }
    }

    /// What was acknowledged to the operator is so.
    fn judge_added(&mut self, seen: &Acknowledged, all: &BTreeMap<String, Value>) {
        let there: BTreeSet<&String> = all
            .keys()
            .filter(|name| name.starts_with(adder::PREFIX))
            .collect();
        let lost = seen.added.iter().filter(|name| !there.contains(name));
        let back = seen.removed.iter().filter(|name| there.contains(name));
        let faults: Vec<String> = lost
            .map(|name| format!("{name} was added and is not there"))
            .chain(back.map(|name| format!("{name} was removed and is there")))
            .collect();
        for fault in faults {
            self.fault(fault);
        }
    }

    /// Two users hear each other.
    fn judge_audio(&mut self) {
        let hss = self.rig.hss().to_string();
        let line = format!(
            "call --proxy {PCSCF} --local 127.0.1.3 --realm {REALM} --admin {hss} --state hss \
             --seconds 1"
        );
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let run = strowger::run(self.rig.namespace(), self.rig.folder(), "audio", &arguments);
        if !run.status.success() {
            self.fault(format!("no good call with audio:\n{}", run.output));
        }
    }
}
