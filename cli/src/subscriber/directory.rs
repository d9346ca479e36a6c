//! Where subscribers are: behind the admin interface of a running HSS, or in its file.

use std::net::SocketAddr;
use std::path::Path;

use ::control::store::{Entry, Impi, Operation, Outcome, PutMode, RedbStore, Store, Subscriber};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::http::{Answer, Client, percent};

/// Subscribers in one request or one transaction.
const BATCH: usize = 500;

/// The subscribers of one HSS.
pub enum Directory {
    /// A running HSS.
    Admin(Client),
    /// The file of one that is not running.
    File(Box<RedbStore>),
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Subscribers that were not there before.
    pub created: u64,
    /// Subscribers that were.
    pub replaced: u64,
}

impl Directory {
    /// The HSS behind this admin address. `token` is sent with what changes something.
    pub fn admin(address: SocketAddr, token: Option<String>) -> Self {
        let client = Client::new(address);
        Directory::Admin(match token {
            Some(token) => client.with_token(token),
            None => client,
        })
    }

    /// The store in this file.
    ///
    /// # Errors
    /// It cannot be opened, for instance because an HSS runs on it.
    pub fn file(path: &Path) -> Result<Self, Failure> {
        let store = RedbStore::open(path)
            .map_err(|fault| Failure::new("cannot open the subscriber store").because(fault))?;
        Ok(Directory::File(Box::new(store)))
    }

    /// Adds a subscriber, or replaces it when that is allowed; durable when this returns.
    ///
    /// # Errors
    /// It is there already, an identity belongs to somebody else, or the HSS fails.
    pub fn put(&mut self, subscriber: &Subscriber, mode: PutMode) -> Result<(), Failure> {
        let what = || format!("cannot add {}", subscriber.impi);
        match self {
            Directory::Admin(client) => {
                let body = serde_json::to_value(subscriber)
                    .map_err(|fault| Failure::new(what()).because(fault))?;
                let path = path_of(&subscriber.impi);
                let condition = match mode {
                    PutMode::Create => Some(("If-None-Match", "*")),
                    PutMode::Replace | PutMode::CreateOrReplace => None,
                };
                let answer = client.request("PUT", &path, condition, Some(&body))?;
                check(&answer, &what()).map(drop)
            }
            Directory::File(store) => {
                let subscriber = Box::new(subscriber.clone());
                execute(store, Operation::Put { subscriber, mode }, &what()).map(drop)
            }
        }
    }

    /// Adds or replaces many, in transactions of some hundred.
    ///
    /// # Errors
    /// As for [`Directory::put`]; what came before the failing transaction is stored.
    pub fn import(&mut self, subscribers: &[Subscriber]) -> Result<Imported, Failure> {
        let mut done = Imported::default();
        for batch in subscribers.chunks(BATCH) {
            let what = match (batch.first(), batch.last()) {
                (Some(first), Some(last)) => {
                    format!("cannot import {} to {}", first.impi, last.impi)
                }
                _ => "cannot import".to_owned(),
            };
            match self {
                Directory::Admin(client) => {
                    let body = serde_json::to_value(batch)
                        .map_err(|fault| Failure::new(what.clone()).because(fault))?;
                    let answer = client.request("POST", "/subscribers", None, Some(&body))?;
                    let body = check(&answer, &what)?;
                    done.created += body["created"].as_u64().unwrap_or(0);
                    done.replaced += body["replaced"].as_u64().unwrap_or(0);
                }
                Directory::File(store) => {
                    let operation = Operation::Import {
                        subscribers: batch.to_vec(),
                        mode: PutMode::CreateOrReplace,
                    };
                    if let Outcome::Imported { created, replaced } =
                        execute(store, operation, &what)?
                    {
                        done.created += created as u64;
                        done.replaced += replaced as u64;
                    }
                }
            }
        }
        Ok(done)
    }

    /// Subscribers in the order of their private identities, without their secrets.
    ///
    /// # Errors
    /// The HSS does not answer, or fails.
    pub fn list(&mut self, prefix: &str, limit: usize) -> Result<Vec<Value>, Failure> {
        let what = "cannot list subscribers";
        let mut all: Vec<Value> = Vec::new();
        while all.len() < limit {
            let after = all
                .last()
                .and_then(|last| last["impi"].as_str())
                .unwrap_or_default();
            let limit = BATCH.min(limit - all.len());
            let page = match self {
                Directory::Admin(client) => {
                    let (prefix, after) = (percent(prefix), percent(after));
                    let path = format!("/subscribers?prefix={prefix}&after={after}&limit={limit}");
                    let answer = client.get(&path)?;
                    check(&answer, what)?
                        .as_array()
                        .cloned()
                        .unwrap_or_default()
                }
                Directory::File(store) => {
                    let after = (!after.is_empty()).then(|| after.to_owned());
                    let operation = Operation::List {
                        prefix: prefix.to_owned(),
                        after,
                        limit,
                    };
                    match execute(store, operation, what)? {
                        Outcome::Page { entries, .. } => entries.iter().map(shown).collect(),
                        _ => Vec::new(),
                    }
                }
            };
            let is_last = page.len() < limit;
            all.extend(page);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// One subscriber, without its secrets.
    ///
    /// # Errors
    /// There is none, or the HSS fails.
    pub fn show(&mut self, impi: &Impi) -> Result<Value, Failure> {
        let what = format!("cannot show {impi}");
        match self {
            Directory::Admin(client) => {
                let answer = client.get(&path_of(impi))?;
                check(&answer, &what).cloned()
            }
            Directory::File(store) => match execute(store, Operation::Get(impi.clone()), &what)? {
                Outcome::Found(entry) => Ok(shown(&entry)),
                _ => Err(Failure::new(what)),
            },
        }
    }

    /// Forgets a subscriber.
    ///
    /// # Errors
    /// There is none, or the HSS fails.
    pub fn remove(&mut self, impi: &Impi) -> Result<(), Failure> {
        let what = format!("cannot remove {impi}");
        match self {
            Directory::Admin(client) => {
                let answer = client.request("DELETE", &path_of(impi), None, None)?;
                check(&answer, &what).map(drop)
            }
            Directory::File(store) => {
                execute(store, Operation::Remove(impi.clone()), &what).map(drop)
            }
        }
    }
}

fn path_of(impi: &Impi) -> String {
    format!("/subscribers/{}", percent(impi.as_str()))
}

fn check<'a>(answer: &'a Answer, what: &str) -> Result<&'a Value, Failure> {
    match answer.status {
        200..=299 => Ok(&answer.body),
        _ => Err(Failure::new(what).because(answer.error())),
    }
}

fn execute(store: &mut RedbStore, operation: Operation, what: &str) -> Result<Outcome, Failure> {
    match store.execute(vec![operation]).pop() {
        Some(Outcome::Refused(refusal)) => Err(Failure::new(what).because(refusal)),
        Some(Outcome::Failed(fault)) => Err(Failure::new(what).because(fault)),
        Some(outcome) => Ok(outcome),
        None => Err(Failure::new(what)),
    }
}

/// An entry as the admin interface shows it: everything but its secrets.
fn shown(entry: &Entry) -> Value {
    let mut shown = serde_json::to_value(&entry.subscriber).unwrap_or_default();
    if let Some(aka) = shown.get_mut("aka").and_then(Value::as_object_mut) {
        aka.remove("k");
        aka.remove("opc");
        if let Some(sqn) = entry.sqn {
            aka.insert("sqn".into(), json!(sqn));
        }
    }
    if let Some(object) = shown.as_object_mut() {
        if object.contains_key("digest") {
            object.insert("digest".into(), json!(true));
        }
        object.insert("registrations".into(), json!(entry.registrations));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::control::subscriber::Draft;

    fn subscriber(impi: &str) -> Subscriber {
        let k = "00112233445566778899aabbccddeeff";
        let draft = Draft {
            impi,
            k: Some(k),
            opc: Some(k),
            password: Some("secret"),
            ..Draft::default()
        };
        draft.build(None).expect("valid")
    }

    #[test]
    fn a_file_takes_what_an_hss_takes() {
        let folder = std::env::temp_dir().join(format!("strowger-dir-{}", std::process::id()));
        let mut directory = Directory::file(&folder.join("s.redb")).expect("a new store");
        let alice = subscriber("alice@ims.test");
        directory.put(&alice, PutMode::Create).expect("stored");
        let twice = directory
            .put(&alice, PutMode::Create)
            .expect_err("it is there")
            .to_string();
        assert!(twice.contains("alice@ims.test already"), "{twice}");
        let others: Vec<Subscriber> = ["alice@ims.test", "bob@ims.test"].map(subscriber).to_vec();
        let imported = directory.import(&others).expect("stored");
        assert_eq!(
            imported,
            Imported {
                created: 1,
                replaced: 1
            }
        );
        assert_eq!(directory.list("", 100).expect("a page").len(), 2);
        assert_eq!(directory.list("b", 100).expect("a page").len(), 1);
        assert_eq!(directory.list("", 1).expect("a page").len(), 1);

        let shown = directory.show(&alice.impi).expect("it is there");
        let text = shown.to_string();
        assert!(!text.contains("00112233"), "{text}");
        assert_eq!(shown["digest"], json!(true));

        directory.remove(&alice.impi).expect("it was there");
        assert!(directory.show(&alice.impi).is_err());
        drop(directory);
        std::fs::remove_dir_all(folder).expect("ours");
    }
}
