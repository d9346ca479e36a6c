//! How many instructions what is promised to be fast takes: counted under valgrind, since time on a
//! shared machine tells little, and compared with what was recorded.
//!
//! Each figure is the difference between two runs of one program that do different much of one
//! thing, so that what it does once is left out. What is counted is built as tests are, so that the
//! crates of others need not be built again, but for our own crates that matter: these are
//! optimised, each in one piece, so that what stands elsewhere in a crate changes nothing.
//!
//! Valgrind shows every program the same processor, whichever it runs on, as long as that has AVX2.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

/// Something that is counted: by which bench of which crate, told what.
struct Operation {
    name: &'static str,
    krate: &'static str,
    bench: &'static str,
    words: &'static [&'static str],
    times: Times,
    /// How often in the shorter run and in the longer.
    runs: [u64; 2],
}

/// The variable by which a program is told how often, and of how many operations each time is.
#[derive(Clone, Copy)]
struct Times(&'static str, u64);

const CALLS: Times = Times("CALLS", 1);

const OPERATIONS: [Operation; 8] = [
    Operation {
        name: "sip: an INVITE copied, indexed and read",
        krate: "sip",
        bench: "parse_cost",
        words: &["all of these"],
        times: CALLS,
        runs: [10, 510],
    },
    Operation {
        name: "sip: an INVITE forwarded",
        krate: "sip",
        bench: "parse_cost",
        words: &["forward"],
        times: CALLS,
        runs: [10, 510],
    },
    Operation {
        name: "h248: an Add there and back, compact text",
        krate: "h248",
        bench: "codec_cost",
        words: &["compact: decode and encode"],
        times: CALLS,
        runs: [10, 310],
    },
    Operation {
        name: "h248: an Add there and back, BER",
        krate: "h248",
        bench: "codec_cost",
        words: &["binary: decode and encode"],
        times: CALLS,
        runs: [10, 310],
    },
    Operation {
        name: "srtp: a packet protected, HMAC-SHA1-80",
        krate: "srtp",
        bench: "packet_cost",
        words: &["AES_CM_128_HMAC_SHA1_80 protect"],
        times: CALLS,
        runs: [10, 1010],
    },
    Operation {
        name: "srtp: a packet opened, AES-128-GCM",
        krate: "srtp",
        bench: "packet_cost",
        words: &["AEAD_AES_128_GCM unprotect"],
        times: CALLS,
        runs: [10, 1010],
    },
    Operation {
        name: "trgw: a packet relayed",
        krate: "trgw",
        bench: "relay_cost",
        words: &["untimed", "relay"],
        // One packet of each of so many flows.
        times: Times("LAPS", 1000),
        runs: [2, 12],
    },
    Operation {
        name: "media: a tick of a room of four, G.711",
        krate: "media",
        bench: "cost",
        words: &["untimed", "rooms"],
        // So many ticks of three rooms.
        times: Times("LAPS", 300),
        runs: [1, 5],
    },
];

/// What all this is counted in: crates that are optimised, each by itself.
const OPTIMISED: [&str; 14] = [
    "base",
    "codecs",
    "dataplane",
    "h248",
    "inet",
    "media",
    "memory",
    "rtp",
    "sdp",
    "simd",
    "sip",
    "srtp",
    "trgw",
    "udp_batch",
];

/// What was recorded, from the root of the checkout: a compiler, then a line for each operation.
const RECORD: &str = "bench/instructions.tsv";

/// More than this above what was recorded is a fault, in percent; so much below is worth recording.
const TOLERANCE_PERCENT: u64 = 3;

/// Counts everything, and compares it with what was recorded; or, with `record`, records it.
///
/// # Errors
/// What could not be built, run or read, or which operations take more than they did.
pub fn run(root: &Path, record: bool) -> Result<(), String> {
    if let Some(reason) = incomparable() {
        println!("not counted: {reason}");
        return Ok(());
    }
    let (place, compiler) = (root.join(RECORD), compiler(root)?);
    let recorded = fs::read_to_string(&place).map_err(|fault| format!("{RECORD}: {fault}"))?;
    let (of, recorded) = from_text(&recorded).ok_or_else(|| format!("{RECORD} is not one"))?;
    if !record && of != compiler {
        println!("not counted: this is {compiler}, and what is recorded is of {of}");
        return Ok(());
    }
    let counted = count_all(root)?;
    if record {
        return fs::write(&place, to_text(&compiler, &counted))
            .map_err(|fault| format!("{RECORD}: {fault}"));
    }
    match compare(&counted, &recorded) {
        0 => Ok(()),
        dearer => Err(format!(
            "{dearer} operations take over {TOLERANCE_PERCENT} % more instructions than recorded in \
             {RECORD}; if that is meant: cargo xtask instructions record"
        )),
    }
}

/// Why nothing that is counted here can be compared.
fn incomparable() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        return None;
    }
    Some("what is recorded is of x86-64 processors with AVX2")
}

fn count_all(root: &Path) -> Result<BTreeMap<&'static str, u64>, String> {
    let programs = build(root)?;
    let mut counted = BTreeMap::new();
    for operation in &OPERATIONS {
        let (krate, bench) = (operation.krate, operation.bench);
        let program = programs.get(&format!("{krate}/{bench}"));
        let program = program.ok_or_else(|| format!("there is no {bench} of {krate}"))?;
        counted.insert(operation.name, count(root, program, operation)?);
    }
    Ok(counted)
}

/// Shows both figures of each operation; returns how many take too much.
fn compare(counted: &BTreeMap<&str, u64>, recorded: &BTreeMap<&str, u64>) -> usize {
    let mut dearer = 0;
    for (name, &now) in counted {
        let Some(&before) = recorded.get(name) else {
            println!("{now:>9}            {name}: not recorded");
            dearer += 1;
            continue;
        };
        let (is_dearer, verdict) = match () {
            () if now * 100 > before * (100 + TOLERANCE_PERCENT) => (true, ": too many"),
            () if now * 100 < before * (100 - TOLERANCE_PERCENT) => (
                false,
                ": worth recording, by cargo xtask instructions record",
            ),
            () => (false, ""),
        };
        dearer += usize::from(is_dearer);
        println!("{now:>9} ({before:>8}) {name}{verdict}");
    }
    dearer
}

fn to_text(compiler: &str, counted: &BTreeMap<&str, u64>) -> String {
    let mut text = format!("{compiler}\n");
    for (name, count) in counted {
        let _ = writeln!(text, "{name}\t{count}");
    }
    text
}

fn from_text(text: &str) -> Option<(&str, BTreeMap<&str, u64>)> {
    let (compiler, lines) = text.split_once('\n')?;
    let lines = lines.lines().map(|line| {
        let (name, count) = line.split_once('\t')?;
        Some((name, count.parse().ok()?))
    });
    Some((compiler, lines.collect::<Option<_>>()?))
}

fn compiler(root: &Path) -> Result<String, String> {
    let version = crate::output(root, "rustc", &["--version"])?;
    Ok(String::from_utf8_lossy(&version).trim().to_owned())
}

/// Builds the benches; by `crate/bench`, where they are.
fn build(root: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Features of other people's crates are those that they have in tests.
    cargo.args(["build", "--locked", "--workspace"]);
    for operation in &OPERATIONS {
        cargo.args(["--bench", operation.bench]);
    }
    cargo.args(["--config", "profile.dev.incremental=false"]);
    for krate in OPTIMISED {
        for setting in ["opt-level=3", "codegen-units=1"] {
            let setting = format!("profile.dev.package.{krate}.{setting}");
            cargo.args(["--config", &setting]);
        }
    }
    let output = cargo
        .current_dir(root)
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|fault| format!("cargo: {fault}"))?;
    if !output.status.success() {
        return Err("what is to be counted does not build".to_owned());
    }
    let lines = output.stdout.split(|&octet| octet == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice(line).ok());
    Ok(messages.filter_map(|message| built(&message)).collect())
}

/// The program that a message of cargo tells of.
fn built(message: &Value) -> Option<(String, PathBuf)> {
    let executable = message["executable"].as_str()?;
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let krate = manifest.parent()?.file_name()?.to_str()?;
    let bench = message["target"]["name"].as_str()?;
    Some((format!("{krate}/{bench}"), executable.into()))
}

/// Instructions of one operation.
fn count(root: &Path, program: &Path, operation: &Operation) -> Result<u64, String> {
    let [shorter, longer] = operation.runs;
    let run = |times| count_run(root, program, operation, times);
    let (before, after) = thread::scope(|scope| {
        let before = scope.spawn(|| run(shorter));
        let after = run(longer);
        (before.join(), after)
    });
    let before = before.map_err(|_| "a run could not be waited for")??;
    let Times(_, each) = operation.times;
    Ok(after?.saturating_sub(before) / ((longer - shorter) * each))
}

fn count_run(
    root: &Path,
    program: &Path,
    operation: &Operation,
    times: u64,
) -> Result<u64, String> {
    let Times(variable, _) = operation.times;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(operation.words)
        .env(variable, times.to_string())
        .current_dir(root)
        .output()
        .map_err(|fault| format!("valgrind: {fault}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = collected(&report).filter(|_| output.status.success());
    collected.ok_or_else(|| format!("{} under valgrind: {report}", operation.name))
}

/// The sum that callgrind tells at the end.
fn collected(report: &str) -> Option<u64> {
    let (_, behind) = report.split_once("Collected :")?;
    behind.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read() {
        let counted = BTreeMap::from([("sip: one thing", 12), ("trgw: another", 1_200)]);
        let text = to_text("rustc 1.0.0", &counted);
        assert_eq!(from_text(&text), Some(("rustc 1.0.0", counted)));
        for broken in [
            "",
            "rustc 1.0.0",
            "rustc 1.0.0\nno figure\n",
            "rustc\na\tb\n",
        ] {
            assert_eq!(from_text(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn what_takes_more_or_was_not_recorded_is_told() {
        let recorded = BTreeMap::from([("a", 1000), ("b", 1000), ("c", 1000)]);
        let counted = |a, b| BTreeMap::from([("a", a), ("b", b)]);
        assert_eq!(compare(&counted(1030, 900), &recorded), 0);
        assert_eq!(compare(&counted(1031, 1000), &recorded), 1);
        assert_eq!(compare(&BTreeMap::from([("new", 1)]), &recorded), 1);
    }

    #[test]
    fn the_sum_is_found_in_what_callgrind_says() {
        let report = "==7== \n==7== Events    : Ir\n==7== Collected : 38310966\n==7== \n";
        assert_eq!(collected(report), Some(38_310_966));
        assert_eq!(collected("==7== Collected :"), None);
    }

    #[test]
    fn everything_counted_is_recorded() {
        let record = include_str!("../../../bench/instructions.tsv");
        let (_, recorded) = from_text(record).unwrap();
        let mut names: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        names.sort_unstable();
        assert!(recorded.into_keys().eq(names));
    }
}
