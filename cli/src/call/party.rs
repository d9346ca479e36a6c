//! Who calls whom: two subscribers that exist, or two that exist for this call only.

use std::net::SocketAddr;
use std::path::Path;

use ::control::auth::{parse_hex_exact, to_hex};
use ::control::store::{Impi, PutMode};
use ::control::subscriber::Draft;
use base::Entropy;
use load::ua::Secret;
use load::usim::Usim;

use super::CallArgs;
use crate::failure::Failure;
use crate::status;
use crate::subscriber::{Directory, token};

/// One of the two.
#[derive(Clone)]
pub struct Party {
    /// Private identity; the public one is the same with `sip:` before it.
    pub impi: String,
    /// What proves it.
    pub secret: Secret,
}

/// The two, and the care for those that are there for the call only.
pub struct Parties {
    /// Caller and callee.
    pub both: [Party; 2],
    /// Where what was added is to be removed again.
    added: Option<Added>,
}

/// Subscribers that are there for a while only: removed when this is dropped.
pub struct Added {
    directory: Directory,
    impis: Vec<Impi>,
}

impl Parties {
    /// Those that the flags name, else two new ones.
    ///
    /// # Errors
    /// Flags are missing or wrong, or the HSS does not take new subscribers.
    pub fn find(args: &CallArgs, entropy: &mut Entropy) -> Result<Self, Failure> {
        match (&args.caller, &args.callee) {
            (Some(caller), Some(callee)) => {
                let secrets = secrets(args)?;
                let [first, second] = secrets;
                Ok(Self {
                    both: [party(caller, first)?, party(callee, second)?],
                    added: None,
                })
            }
            _ => add(args, entropy),
        }
    }

    /// Removes what was added.
    ///
    /// # Errors
    /// The HSS does not do so; the subscribers stay.
    pub fn remove(mut self) -> Result<(), Failure> {
        self.added.as_mut().map_or(Ok(()), Added::remove)
    }
}

impl Drop for Added {
    fn drop(&mut self) {
        // Whoever could be told has been told of another failure already.
        let _ = self.remove();
    }
}

fn party(identity: &str, secret: Secret) -> Result<Party, Failure> {
    let impi = identity.strip_prefix("sip:").unwrap_or(identity);
    let impi =
        Impi::parse(impi).map_err(|fault| Failure::new(format!("{identity:?}")).because(fault))?;
    Ok(Party {
        impi: impi.to_string(),
        secret,
    })
}

/// What the flags say of keys and passwords: one for both, or one each.
fn secrets(args: &CallArgs) -> Result<[Secret; 2], Failure> {
    if !args.password.is_empty() {
        return Ok(pair("--password", &args.password)?.map(Secret::Password));
    }
    if args.k.is_empty() || args.opc.is_empty() {
        return Err(Failure::new("caller and callee cannot prove who they are")
            .because("there are no keys")
            .remedy(
                "Give --k and --opc, or --password: once when both have the same, else the \
                 caller's and the callee's. Or leave out --caller and --callee: the call then \
                 adds two subscribers of its own.",
            ));
    }
    let [k, opc] = [("--k", &args.k), ("--opc", &args.opc)].map(|(flag, texts)| {
        let mut keys = [[0; 16]; 2];
        for (key, text) in keys.iter_mut().zip(pair(flag, texts)?) {
            *key = parse_hex_exact(text.trim()).map_err(|_| {
                Failure::new(format!("{flag} is not a key")).remedy("Write 32 hexadecimal digits.")
            })?;
        }
        Ok::<_, Failure>(keys)
    });
    let (k, opc) = (k?, opc?);
    Ok([0, 1].map(|side| Secret::Aka(Box::new(Usim::new(k[side], opc[side])))))
}

/// One value for both sides, or one each.
pub fn pair<T: Clone>(flag: &str, values: &[T]) -> Result<[T; 2], Failure> {
    match values {
        [both] => Ok([both.clone(), both.clone()]),
        [caller, callee] => Ok([caller.clone(), callee.clone()]),
        _ => Err(Failure::new(format!("{flag} has {} values", values.len()))
            .remedy("Give one for both, or the caller's and the callee's.")),
    }
}

/// Two subscribers that are there for the call only.
fn add(args: &CallArgs, entropy: &mut Entropy) -> Result<Parties, Failure> {
    let access = Access {
        admin: args.admin,
        state: &args.state,
        realm: args.realm.as_deref(),
    };
    let added = Added::new(&access, "call", &["caller", "callee"], entropy);
    let (parties, added) = added.map_err(|failure| {
        failure.remedy(
            "The call adds two subscribers to the HSS behind --admin, with the token in --state. \
             To call with those that exist, give --caller, --callee, --k and --opc.",
        )
    })?;
    let [caller, callee] = parties.as_slice() else {
        return Err(Failure::new("two subscribers were to be added"));
    };
    Ok(Parties {
        both: [caller.clone(), callee.clone()],
        added: Some(added),
    })
}

/// The HSS that subscribers are added to.
pub struct Access<'a> {
    /// Admin address of its process.
    pub admin: SocketAddr,
    /// State directory of that process.
    pub state: &'a Path,
    /// Realm of the subscribers; by default that of the process.
    pub realm: Option<&'a str>,
}

impl Added {
    /// Adds subscribers with keys drawn at random, called `KIND-RANDOM-NAME`.
    ///
    /// # Errors
    /// The HSS does not take them; none is left behind.
    pub fn new(
        access: &Access<'_>,
        kind: &str,
        names: &[&str],
        entropy: &mut Entropy,
    ) -> Result<(Vec<Party>, Self), Failure> {
        let token = token(access.state)?;
        let realm = match access.realm {
            Some(realm) => realm.to_owned(),
            None => home_realm(access.admin)?,
        };
        let mut added = Added {
            directory: Directory::admin(access.admin, Some(token)),
            impis: Vec::new(),
        };
        let group = to_hex(&entropy.bytes::<4>());
        let mut parties = Vec::new();
        for name in names {
            let impi = format!("{kind}-{group}-{name}@{realm}");
            let (k, opc) = (entropy.bytes::<16>(), entropy.bytes::<16>());
            let draft = Draft {
                impi: &impi,
                k: Some(&to_hex(&k)),
                opc: Some(&to_hex(&opc)),
                ..Draft::default()
            };
            let subscriber = draft
                .build(None)
                .map_err(|fault| Failure::new(format!("cannot add {impi}")).because(fault))?;
            added.directory.put(&subscriber, PutMode::Create)?;
            added.impis.push(subscriber.impi);
            let secret = Secret::Aka(Box::new(Usim::new(k, opc)));
            parties.push(Party { impi, secret });
        }
        Ok((parties, added))
    }

    /// Removes them.
    ///
    /// # Errors
    /// The HSS does not do so; the subscribers stay.
    pub fn remove(&mut self) -> Result<(), Failure> {
        while let Some(impi) = self.impis.pop() {
            self.directory.remove(&impi)?;
        }
        Ok(())
    }
}

/// The realm of the network behind the admin interface.
pub fn home_realm(admin: SocketAddr) -> Result<String, Failure> {
    let status = status::fetch(admin)?;
    let realm = status["realm"].as_str().filter(|realm| !realm.is_empty());
    realm.map(str::to_owned).ok_or_else(|| {
        Failure::new(format!("the process behind {admin} has no realm"))
            .because("it is no control process")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CallArgs,
    }

    fn find(flags: &str) -> Result<[Party; 2], String> {
        let line = Line::try_parse_from(format!("call {flags}").split_whitespace());
        let args = line.map_err(|fault| fault.to_string())?.args;
        let mut entropy = Entropy::from_u64(1);
        let found = Parties::find(&args, &mut entropy);
        found
            .map(|parties| parties.both)
            .map_err(|fault| fault.to_string())
    }

    const NAMES: &str = "--caller sip:alice@ims.test --callee bob@ims.test";
    const ZEROS: &str = "00000000000000000000000000000000";

    #[test]
    fn one_key_is_for_both_and_two_are_one_each() {
        let ones = "11111111111111111111111111111111";
        for keys in [
            format!("--k {ZEROS} --opc {ZEROS}"),
            format!("--k {ZEROS},{ones} --opc {ZEROS}"),
            "--password one --password two".to_owned(),
        ] {
            let [alice, bob] = find(&format!("{NAMES} {keys}")).expect("valid");
            assert_eq!(
                (&*alice.impi, &*bob.impi),
                ("alice@ims.test", "bob@ims.test")
            );
        }
        assert!(matches!(pair("--k", &["a"]), Ok(["a", "a"])));
        assert!(matches!(pair("--k", &["a", "b"]), Ok(["a", "b"])));
    }

    #[test]
    fn flags_that_are_wrong_are_named_without_showing_keys() {
        for (flags, words) in [
            (NAMES.to_owned(), "--opc"),
            (format!("{NAMES} --k {ZEROS}"), "--opc"),
            (
                format!("{NAMES} --k {ZEROS} --opc {ZEROS},{ZEROS},{ZEROS}"),
                "--opc has 3",
            ),
            (
                format!("{NAMES} --k x{ZEROS} --opc {ZEROS}"),
                "--k is not a key",
            ),
            (format!("--k {ZEROS} --opc {ZEROS}"), "--caller"),
            ("--caller a --callee b --password x".to_owned(), "\"a\""),
        ] {
            let Err(text) = find(&flags) else {
                panic!("accepted: {flags}");
            };
            assert!(text.contains(words), "{words:?} is not in {text}");
            assert!(!text.contains("x000"), "{text}");
        }
    }
}
