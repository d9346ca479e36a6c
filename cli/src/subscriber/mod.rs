//! `strowger subscriber`: the subscribers of an HSS, through its admin interface.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::http::{self, Client};
use crate::output::{self, Table};
use crate::status::CONTROL_ADMIN;

mod import;

/// Subscribers asked for in one page.
const PAGE: usize = 500;

/// Flags of `subscriber`.
#[derive(Debug, Args)]
pub struct SubscriberArgs {
    /// Admin address of the process that plays the HSS
    #[arg(long, value_name = "IP:PORT", global = true, default_value_t = CONTROL_ADMIN)]
    admin: SocketAddr,
    /// State directory of that process, where its admin.token is
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        default_value = "strowger/control"
    )]
    state: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a subscriber
    Add(AddArgs),
    /// List subscribers
    List {
        /// Only private identities that begin so
        #[arg(default_value = "")]
        prefix: String,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one subscriber, without its secrets
    Show {
        /// Private identity
        impi: String,
    },
    /// Remove a subscriber
    Remove {
        /// Private identity
        impi: String,
    },
    /// Add all subscribers of a CSV file
    ///
    /// The first row names the columns: impi, and any of impus (separated by blanks), k, op or
    /// opc, amf, sqn, password. Subscribers that exist are replaced.
    Import {
        /// CSV file
        file: PathBuf,
    },
}

/// A subscriber as flags.
#[derive(Debug, Args)]
struct AddArgs {
    /// Private identity, such as alice@ims.test
    impi: String,
    /// Public identities; sip:IMPI by default
    #[arg(long = "impu", value_name = "URI", value_delimiter = ',')]
    impus: Vec<String>,
    /// Key K of the USIM: 32 hexadecimal digits
    #[arg(long, value_name = "HEX", conflicts_with = "generate")]
    k: Option<String>,
    /// Operator variant configuration OPc: 32 hexadecimal digits
    #[arg(long, value_name = "HEX", conflicts_with = "op")]
    opc: Option<String>,
    /// Operator variant configuration OP, from which OPc is computed
    #[arg(long, value_name = "HEX")]
    op: Option<String>,
    /// Authentication management field: 4 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    amf: Option<String>,
    /// Sequence number to continue from: 12 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    sqn: Option<String>,
    /// Password for SIP Digest
    #[arg(long, conflicts_with = "k")]
    password: Option<String>,
    /// Draw K and OPc at random and print them
    #[arg(long)]
    generate: bool,
}

/// Does what the subcommand says.
pub fn run(args: &SubscriberArgs, as_json: bool) -> Result<(), Failure> {
    let mut client = Client::new(args.admin);
    match &args.command {
        Command::List { prefix, limit } => list(&mut client, prefix, *limit, as_json),
        Command::Show { impi } => show(&mut client, impi, as_json),
        Command::Add(add) => {
            let subscriber = add.subscriber()?;
            put(&mut authorized(args)?, &subscriber)?;
            if as_json {
                output::print_json(&subscriber);
            } else {
                output::print(&format!("added {}\n", add.impi));
                if add.generate {
                    output::print(&fields(&subscriber));
                }
            }
            Ok(())
        }
        Command::Remove { impi } => {
            let path = format!("/subscribers/{}", http::percent(impi));
            let answer = authorized(args)?.request("DELETE", &path, None)?;
            check(&answer, &format!("cannot remove {impi}"))?;
            report(
                as_json,
                json!({ "removed": impi }),
                &format!("removed {impi}\n"),
            );
            Ok(())
        }
        Command::Import { file } => {
            let rows = import::read(file)?;
            let mut client = authorized(args)?;
            for row in &rows {
                put(&mut client, &row.subscriber).map_err(|failure| {
                    Failure::new(format!("{}, line {}", file.display(), row.line)).because(failure)
                })?;
            }
            let done = format!(
                "imported {} subscribers\n",
                output::thousands(rows.len() as u64)
            );
            report(as_json, json!({ "imported": rows.len() }), &done);
            Ok(())
        }
    }
}

fn report(as_json: bool, value: Value, text: &str) {
    if as_json {
        output::print_json(&value);
    } else {
        output::print(text);
    }
}

/// A client that may change things.
fn authorized(args: &SubscriberArgs) -> Result<Client, Failure> {
    Ok(Client::new(args.admin).with_token(token(&args.state)?))
}

/// The token that the process with this state directory asks for.
pub fn token(state: &Path) -> Result<String, Failure> {
    let path = state.join("admin.token");
    let text = std::fs::read_to_string(&path).map_err(|fault| {
        Failure::new(format!("cannot read the admin token {}", path.display()))
            .because(fault)
            .remedy("Name the state directory of the running HSS with --state DIR.")
    })?;
    Ok(text.trim().to_owned())
}

/// Adds or replaces a subscriber; durable when this returns.
pub fn put(client: &mut Client, subscriber: &Value) -> Result<(), Failure> {
    let impi = subscriber["impi"].as_str().unwrap_or_default();
    let path = format!("/subscribers/{}", http::percent(impi));
    let answer = client.request("PUT", &path, Some(subscriber))?;
    check(&answer, &format!("cannot add {impi}"))
}

fn check(answer: &http::Answer, what: &str) -> Result<(), Failure> {
    match answer.status {
        200..=299 => Ok(()),
        _ => Err(Failure::new(what).because(answer.error())),
    }
}

fn list(client: &mut Client, prefix: &str, limit: usize, as_json: bool) -> Result<(), Failure> {
    let mut all: Vec<Value> = Vec::new();
    while all.len() < limit {
        let after = all
            .last()
            .and_then(|last| last["impi"].as_str())
            .unwrap_or_default();
        let path = format!(
            "/subscribers?prefix={}&after={}&limit={}",
            http::percent(prefix),
            http::percent(after),
            PAGE.min(limit - all.len()),
        );
        let answer = client.get(&path)?;
        check(&answer, "cannot list subscribers")?;
        let page = answer.body.as_array().cloned().unwrap_or_default();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    if as_json {
        output::print_json(&Value::Array(all));
        return Ok(());
    }
    let mut table = Table::new(&["impi", "public identities"]);
    for each in &all {
        table.row(vec![
            output::cell(&each["impi"]),
            output::cell(&each["impus"]),
        ]);
    }
    output::print(&table.text());
    if all.len() == limit {
        output::print(&format!("(the first {limit}; more with --limit)\n"));
    }
    Ok(())
}

fn show(client: &mut Client, impi: &str, as_json: bool) -> Result<(), Failure> {
    let answer = client.get(&format!("/subscribers/{}", http::percent(impi)))?;
    check(&answer, &format!("cannot show {impi}"))?;
    if as_json {
        output::print_json(&answer.body);
    } else {
        output::print(&fields(&answer.body));
    }
    Ok(())
}

fn fields(subscriber: &Value) -> String {
    let mut table = Table::new(&[]);
    for (key, value) in subscriber.as_object().into_iter().flatten() {
        table.row(vec![key.clone(), output::cell(value)]);
    }
    table.text()
}

impl AddArgs {
    /// The subscriber that the flags describe, in the form that the admin interface takes.
    fn subscriber(&self) -> Result<Value, Failure> {
        let mut subscriber = Map::new();
        subscriber.insert("impi".into(), json!(self.impi));
        let default = vec![format!("sip:{}", self.impi)];
        let impus = if self.impus.is_empty() {
            &default
        } else {
            &self.impus
        };
        subscriber.insert("impus".into(), json!(impus));
        let texts = [
            ("k", &self.k),
            ("opc", &self.opc),
            ("op", &self.op),
            ("amf", &self.amf),
            ("sqn", &self.sqn),
            ("password", &self.password),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                subscriber.insert(key.into(), json!(value));
            }
        }
        if self.generate {
            let (k, opc) = (random_key()?, random_key()?);
            subscriber.insert("k".into(), json!(k));
            subscriber.insert("opc".into(), json!(opc));
        }
        if !subscriber.contains_key("k") && self.password.is_none() {
            return Err(
                Failure::new(format!("{} has nothing to authenticate with", self.impi))
                    .remedy("Give --k with --op or --opc, or --password, or --generate."),
            );
        }
        if self.k.is_some() && self.op.is_none() && self.opc.is_none() {
            return Err(Failure::new("--k needs --op or --opc")
                .remedy("Milenage (3GPP TS 35.206) takes both."));
        }
        Ok(Value::Object(subscriber))
    }
}

/// 128 random bits as 32 hexadecimal digits.
pub fn random_key() -> Result<String, Failure> {
    let mut key = [0_u8; 16];
    let mut source = std::fs::File::open("/dev/urandom")
        .map_err(|fault| Failure::new("cannot open /dev/urandom").because(fault))?;
    std::io::Read::read_exact(&mut source, &mut key)
        .map_err(|fault| Failure::new("cannot read /dev/urandom").because(fault))?;
    Ok(key.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: AddArgs,
    }

    fn add(line: &str) -> Result<Value, String> {
        let line = Line::try_parse_from(format!("add {line}").split_whitespace())
            .map_err(|fault| fault.to_string())?;
        line.args.subscriber().map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_subscriber_gets_a_public_identity_from_its_private_one() {
        let subscriber = add("alice@ims.test --password secret").expect("valid");
        assert_eq!(
            subscriber,
            json!({ "impi": "alice@ims.test", "impus": ["sip:alice@ims.test"], "password": "secret" })
        );
    }

    #[test]
    fn keys_are_drawn_at_random_when_asked() {
        let one = add("alice@ims.test --generate").expect("valid");
        let two = add("alice@ims.test --generate").expect("valid");
        assert_eq!(one["k"].as_str().map(str::len), Some(32));
        assert_ne!(one["k"], two["k"]);
        assert_ne!(one["k"], one["opc"]);
    }

    #[test]
    fn a_subscriber_without_credentials_is_refused() {
        assert!(add("alice@ims.test").is_err_and(|why| why.contains("--generate")));
        assert!(add("alice@ims.test --k 00").is_err_and(|why| why.contains("--opc")));
        assert!(add("alice@ims.test --k 00 --op 00 --opc 00").is_err());
    }
}
