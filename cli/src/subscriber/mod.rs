//! `strowger subscriber`: the subscribers of an HSS.

mod directory;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ::control::store::{Impi, PutMode, Subscriber};
use ::control::subscriber::{Draft, Import};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{self, Table};
use crate::status::CONTROL_ADMIN;

pub use directory::Directory;

/// Faults of an import file that are shown; more are counted.
const FAULTS_SHOWN: usize = 20;

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
    /// File of the subscriber store, to be used directly: no HSS may be running on it
    #[arg(long, value_name = "PATH", global = true)]
    store: Option<PathBuf>,
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
    /// Add or replace all subscribers of a CSV file
    ///
    /// The first row names the columns: impi, and any of impus (separated by blanks), k, op or
    /// opc, amf, sqn, password. Nothing is stored when any row is wrong.
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
    #[arg(long, value_name = "HEX", conflicts_with = "generate")]
    opc: Option<String>,
    /// Operator variant configuration OP, from which OPc is computed
    #[arg(long, value_name = "HEX", conflicts_with = "generate")]
    op: Option<String>,
    /// Authentication management field: 4 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    amf: Option<String>,
    /// Sequence number to continue from: up to 12 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    sqn: Option<String>,
    /// Password for SIP Digest
    #[arg(long)]
    password: Option<String>,
    /// Draw K and OPc at random and print them
    #[arg(long)]
    generate: bool,
    /// Replace the subscriber when it is there already
    #[arg(long)]
    replace: bool,
}

/// Does what the subcommand says.
pub fn run(args: &SubscriberArgs, as_json: bool) -> Result<(), Failure> {
    match &args.command {
        Command::List { prefix, limit } => list(args, prefix, *limit, as_json),
        Command::Show { impi } => {
            let shown = args.open(false)?.show(&parse(impi)?)?;
            say(as_json, &shown, || fields(&shown));
            Ok(())
        }
        Command::Add(add) => add_one(args, add, as_json),
        Command::Remove { impi } => {
            args.open(true)?.remove(&parse(impi)?)?;
            say(as_json, &json!({ "removed": impi }), || {
                format!("removed {impi}\n")
            });
            Ok(())
        }
        Command::Import { file } => import(args, file, as_json),
    }
}

impl SubscriberArgs {
    /// The file when one is named, else the running HSS.
    fn open(&self, to_change: bool) -> Result<Directory, Failure> {
        if let Some(store) = &self.store {
            return Directory::file(store);
        }
        let token = if to_change {
            Some(token(&self.state)?)
        } else {
            None
        };
        Ok(Directory::admin(self.admin, token))
    }
}

fn parse(impi: &str) -> Result<Impi, Failure> {
    Impi::parse(impi).map_err(|fault| Failure::new(format!("{impi:?}")).because(fault))
}

fn say(as_json: bool, value: &Value, text: impl FnOnce() -> String) {
    if as_json {
        output::print_json(value);
    } else {
        output::print(&text());
    }
}

/// The token that the process with this state directory asks for.
pub fn token(state: &Path) -> Result<String, Failure> {
    let path = state.join("admin.token");
    let text = std::fs::read_to_string(&path).map_err(|fault| {
        Failure::new(format!("cannot read the admin token {}", path.display()))
            .because(fault)
            .remedy(
                "Name the state directory of the running HSS with --state DIR, or, when none is \
                 running, its file with --store PATH.",
            )
    })?;
    Ok(text.trim().to_owned())
}

fn add_one(args: &SubscriberArgs, add: &AddArgs, as_json: bool) -> Result<(), Failure> {
    let keys = if add.generate {
        Some((random_key()?, random_key()?))
    } else {
        None
    };
    let subscriber = add.subscriber(keys.as_ref())?;
    let mode = if add.replace {
        PutMode::CreateOrReplace
    } else {
        PutMode::Create
    };
    args.open(true)?.put(&subscriber, mode)?;
    let mut added = json!({ "added": add.impi });
    let mut text = format!("added {}\n", add.impi);
    if let Some((k, opc)) = &keys {
        added["k"] = json!(k);
        added["opc"] = json!(opc);
        text.push_str(&format!("k    {k}\nopc  {opc}\n"));
    }
    say(as_json, &added, || text);
    Ok(())
}

fn list(args: &SubscriberArgs, prefix: &str, limit: usize, as_json: bool) -> Result<(), Failure> {
    let all = args.open(false)?.list(prefix, limit)?;
    let is_cut = all.len() == limit;
    let mut table = Table::new(&["impi", "public identities", "authentication", "state"]);
    for each in &all {
        table.row(vec![
            output::cell(&each["impi"]),
            identities(each),
            authentication(each),
            state(each),
        ]);
    }
    say(as_json, &Value::Array(all), || {
        let mut text = table.text();
        if is_cut {
            text.push_str(&format!("(the first {limit}; more with --limit)\n"));
        }
        text
    });
    Ok(())
}

fn identities(subscriber: &Value) -> String {
    let all = subscriber["impus"].as_array().into_iter().flatten();
    all.filter_map(|each| each["uri"].as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn authentication(subscriber: &Value) -> String {
    let has = |key: &str| !subscriber[key].is_null();
    match (has("aka"), has("digest")) {
        (true, true) => "AKA, digest",
        (true, false) => "AKA",
        (false, true) => "digest",
        (false, false) => "none",
    }
    .to_owned()
}

fn state(subscriber: &Value) -> String {
    let sets = subscriber["registrations"]["sets"].as_array();
    let registered = sets.is_some_and(|sets| sets.iter().any(|set| set["state"] == "registered"));
    if registered { "registered" } else { "-" }.to_owned()
}

fn fields(subscriber: &Value) -> String {
    let mut table = Table::new(&[]);
    let mut row = |name: &str, value: String| table.row(vec![name.to_owned(), value]);
    row("impi", output::cell(&subscriber["impi"]));
    for each in subscriber["impus"].as_array().into_iter().flatten() {
        let barred = if each["barred"] == true {
            " (barred)"
        } else {
            ""
        };
        row("impu", format!("{}{barred}", output::cell(&each["uri"])));
    }
    row("authentication", authentication(subscriber));
    if let Some(aka) = subscriber["aka"].as_object() {
        for (key, value) in aka {
            row(key, octets(value).unwrap_or_else(|| output::cell(value)));
        }
    }
    row("state", state(subscriber));
    if let Some(server) = subscriber["registrations"]["server"]["name"].as_str() {
        row("S-CSCF", server.to_owned());
    }
    table.text()
}

/// A list of octets as hexadecimal digits.
fn octets(value: &Value) -> Option<String> {
    let all = value
        .as_array()?
        .iter()
        .map(Value::as_u64)
        .collect::<Option<Vec<u64>>>()?;
    Some(all.iter().map(|octet| format!("{octet:02x}")).collect())
}

fn import(args: &SubscriberArgs, file: &Path, as_json: bool) -> Result<(), Failure> {
    let at = file.display();
    let bytes = std::fs::read(file)
        .map_err(|fault| Failure::new(format!("cannot read {at}")).because(fault))?;
    let rows =
        Import::new(&bytes, None).map_err(|fault| Failure::new(at.to_string()).because(fault))?;
    let (mut subscribers, mut faults): (Vec<Subscriber>, Vec<String>) = Default::default();
    for row in rows {
        match row {
            Ok(imported) => subscribers.push(imported.subscriber),
            Err(fault) => faults.push(format!("{at}: {fault}")),
        }
    }
    if !faults.is_empty() {
        let count = faults.len();
        faults.truncate(FAULTS_SHOWN);
        if count > FAULTS_SHOWN {
            faults.push(format!("and {} more", count - FAULTS_SHOWN));
        }
        return Err(Failure::new("nothing was imported").remedy(faults.join("\n       ")));
    }
    let done = args.open(true)?.import(&subscribers)?;
    say(
        as_json,
        &json!({ "created": done.created, "replaced": done.replaced }),
        || {
            format!(
                "imported {} subscribers: {} new, {} replaced\n",
                output::thousands(done.created + done.replaced),
                output::thousands(done.created),
                output::thousands(done.replaced),
            )
        },
    );
    Ok(())
}

impl AddArgs {
    /// The subscriber that the flags describe; `keys` are K and OPc drawn at random.
    fn subscriber(&self, keys: Option<&(String, String)>) -> Result<Subscriber, Failure> {
        let impus = self.impus.join(" ");
        let draft = Draft {
            impi: &self.impi,
            impus: Some(&impus),
            k: keys.map(|(k, _)| k.as_str()).or(self.k.as_deref()),
            op: self.op.as_deref(),
            opc: keys.map(|(_, opc)| opc.as_str()).or(self.opc.as_deref()),
            amf: self.amf.as_deref(),
            sqn: self.sqn.as_deref(),
            password: self.password.as_deref(),
        };
        draft.build(None).map_err(|fault| {
            Failure::new("not added")
                .because(fault)
                .remedy("Or let it draw keys at random: --generate.")
        })
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

    fn add(line: &str) -> Result<Subscriber, String> {
        let line = Line::try_parse_from(format!("add {line}").split_whitespace())
            .map_err(|fault| fault.to_string())?;
        line.args
            .subscriber(None)
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_subscriber_gets_a_public_identity_from_its_private_one() {
        let alice = add("alice@ims.test --password secret").expect("valid");
        assert_eq!(alice.impus[0].uri.as_str(), "sip:alice@ims.test");
        assert!(alice.digest.is_some() && alice.aka.is_none());
    }

    #[test]
    fn public_identities_are_a_list() {
        let impus = "--impu sip:alice@ims.test,tel:+15550100";
        let alice = add(&format!("a@ims.test --password x {impus}")).expect("valid");
        assert_eq!(alice.impus.len(), 2);
    }

    #[test]
    fn a_subscriber_without_credentials_is_refused_with_a_way_out() {
        assert!(add("alice@ims.test").is_err_and(|why| why.contains("--generate")));
        assert!(add("alice@ims.test --k 00").is_err());
        assert!(add("alice@ims.test --generate --k 00").is_err());
    }

    #[test]
    fn keys_are_drawn_at_random() {
        let (one, two) = (random_key().expect("drawn"), random_key().expect("drawn"));
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
