//! The crate graph: which of our crates may depend on which.
//!
//! The table names every crate of the workspace and what it may see directly. [`NEVER`] adds what
//! must not be reachable even through others. Development dependencies are free: a test may look at
//! anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::Finding;

/// Crate, and the crates of ours that it may depend on. A new crate or edge is a line here and in
/// the design.
const ALLOWED: &[(&str, &[&str])] = &[
    // Protocol crates stand on `base` alone, and on what the vector unit does for them.
    ("base", &[]),
    ("simd", &[]),
    ("sip", &["base", "simd"]),
    ("sdp", &["base", "simd"]),
    ("rtp", &["base"]),
    ("srtp", &[]),
    // A handshake makes keys of the one for peers that the other describes.
    ("dtls", &["base", "sdp", "srtp"]),
    ("inet", &[]),
    ("h248", &["base"]),
    ("diameter", &["base"]),
    ("msml", &[]),
    ("codecs", &["amr-sys", "opus-sys"]),
    ("amr-sys", &[]),
    ("opus-sys", &[]),
    ("usrsctp", &[]),
    // Control knows signalling and no media.
    (
        "control",
        &["base", "sip", "sdp", "h248", "msml", "diameter", "usrsctp"],
    ),
    // Media: the runtime knows packets and no protocol, the gateway knows H.248 and no packets.
    ("udp_batch", &[]),
    ("af_xdp", &[]),
    ("memory", &[]),
    ("dpdk-sys", &[]),
    (
        "dataplane",
        &[
            "base",
            "inet",
            "srtp",
            "udp_batch",
            "af_xdp",
            "dpdk-sys",
            "memory",
        ],
    ),
    ("media", &["base", "rtp", "codecs"]),
    ("mg", &["base", "h248", "sdp"]),
    (
        "trgw",
        &[
            "base",
            "h248",
            "sdp",
            "rtp",
            "srtp",
            "dtls",
            "mg",
            "dataplane",
            "memory",
        ],
    ),
    ("audio", &["codecs"]),
    (
        "mrfp",
        &[
            "base",
            "h248",
            "sdp",
            "rtp",
            "codecs",
            "mg",
            "dataplane",
            "media",
            "audio",
            "trgw",
        ],
    ),
    (
        "load",
        &["base", "sip", "sdp", "rtp", "srtp", "dtls", "codecs"],
    ),
    // The composition root puts the processes together.
    (
        "strowger",
        &[
            "base",
            "sip",
            "sdp",
            "rtp",
            "h248",
            "dtls",
            "inet",
            "codecs",
            "control",
            "dataplane",
            "mg",
            "trgw",
            "mrfp",
            "audio",
            "udp_batch",
            "usrsctp",
            "load",
        ],
    ),
    // Nothing may depend on these, and tests may see what they test.
    ("sim", &["base"]),
    (
        "calls",
        &[
            "base",
            "sip",
            "sdp",
            "rtp",
            "h248",
            "dtls",
            "srtp",
            "diameter",
            "codecs",
            "control",
            "dataplane",
            "mg",
            "trgw",
            "load",
            "sim",
        ],
    ),
    (
        "interop",
        &[
            "base", "inet", "sip", "sdp", "rtp", "srtp", "h248", "diameter", "codecs", "media",
            "audio", "control", "load", "sim",
        ],
    ),
    // Measures processes from outside, with the generators and the counterparts.
    (
        "measure",
        &[
            "base", "sip", "sdp", "rtp", "h248", "codecs", "load", "interop",
        ],
    ),
    ("xtask", &[]),
];

/// Crate, what must not be reachable from it by any path, and why.
const NEVER: &[(&str, &[&str], &str)] = &[
    (
        "control",
        &["dataplane", "udp_batch", "mg", "trgw", "rtp", "codecs"],
        "H.248 is the only control of media",
    ),
    (
        "dataplane",
        &["h248", "sip", "sdp", "codecs", "control"],
        "the runtime knows packets only",
    ),
    (
        "mg",
        &["dataplane", "udp_batch"],
        "the H.248 gateway side does no packet work",
    ),
    (
        "trgw",
        &["sip", "control", "diameter"],
        "media functions know no signalling",
    ),
    (
        "load",
        &["control", "dataplane", "h248"],
        "a generator must not share code with its subject",
    ),
];

/// The leaf crates that may contain `unsafe`, besides every `*-sys`. Each has its own lint table,
/// depends on no crate of ours and refuses undocumented blocks.
const UNSAFE_LEAVES: &[&str] = &["udp_batch", "af_xdp", "memory", "simd", "usrsctp"];

struct Crate {
    name: String,
    manifest: String,
    /// Normal and build dependencies within the workspace.
    ours: BTreeSet<String>,
}

/// Checks every crate of the workspace that `root` holds.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let arguments = [
        "metadata",
        "--offline",
        "--no-deps",
        "--format-version",
        "1",
    ];
    let metadata = crate::output(root, &cargo(), &arguments)?;
    let metadata: Value =
        serde_json::from_slice(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let crates = crates_of(&metadata)?;
    let mut findings = edges(&crates, ALLOWED, NEVER);
    findings.extend(lints(root, &crates)?);
    Ok(findings)
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn crates_of(metadata: &Value) -> Result<Vec<Crate>, String> {
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata: no packages")?;
    packages.iter().map(crate_of).collect()
}

fn crate_of(package: &Value) -> Result<Crate, String> {
    let text = |value: &Value, what: &str| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or(format!("cargo metadata: no {what}"))
    };
    let dependencies = package["dependencies"]
        .as_array()
        .ok_or("cargo metadata: dependencies")?;
    let ours = dependencies
        .iter()
        .filter(|dependency| dependency["path"].is_string() && dependency["kind"] != "dev")
        .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
        .collect();
    Ok(Crate {
        name: text(&package["name"], "package name")?,
        manifest: text(&package["manifest_path"], "manifest path")?,
        ours,
    })
}

fn edges(
    crates: &[Crate],
    allowed: &[(&str, &[&str])],
    never: &[(&str, &[&str], &str)],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for each in crates {
        let Some((_, may)) = allowed.iter().find(|(name, _)| *name == each.name) else {
            findings.push(Finding::error(
                &each.manifest,
                format!(
                    "crate {} is not in the table of scripts/xtask/src/deps.rs",
                    each.name
                ),
            ));
            continue;
        };
        for seen in each
            .ours
            .iter()
            .filter(|seen| !may.contains(&seen.as_str()))
        {
            findings.push(Finding::error(
                format!("{} → {seen}", each.name),
                format!("not allowed: {} may depend on {}", each.name, list(may)),
            ));
        }
    }
    for (name, forbidden, why) in never {
        for (seen, path) in reach(crates, name) {
            if forbidden.contains(&seen.as_str()) {
                findings.push(Finding::error(
                    path.join(" → "),
                    format!("{name} must never reach {seen}: {why}"),
                ));
            }
        }
    }
    findings
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        "none of our crates".to_owned()
    } else {
        names.join(", ")
    }
}

/// Every crate reachable from `start`, with one path to it.
fn reach(crates: &[Crate], start: &str) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut open = vec![vec![start.to_owned()]];
    while let Some(path) = open.pop() {
        let Some(last) = crates.iter().find(|each| Some(&each.name) == path.last()) else {
            continue;
        };
        for next in &last.ours {
            if !found.contains_key(next) {
                let mut longer = path.clone();
                longer.push(next.clone());
                found.insert(next.clone(), longer.clone());
                open.push(longer);
            }
        }
    }
    found
}

fn lints(root: &Path, crates: &[Crate]) -> Result<Vec<Finding>, String> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let mut findings = Vec::new();
    if !section(&read(&root.join("Cargo.toml"))?, "[workspace.lints.rust]")
        .contains(&"unsafe_code = \"forbid\"".to_owned())
    {
        findings.push(Finding::error(
            "Cargo.toml",
            "[workspace.lints.rust] must say unsafe_code = \"forbid\"",
        ));
    }
    for each in crates {
        let manifest = read(Path::new(&each.manifest))?;
        if section(&manifest, "[lints]").contains(&"workspace = true".to_owned()) {
            continue;
        }
        if !is_unsafe_leaf(&each.name) {
            findings.push(Finding::error(
                &each.manifest,
                "needs [lints] workspace = true; only the leaf crates of the design hold unsafe",
            ));
            continue;
        }
        if !each.ours.is_empty() {
            findings.push(Finding::error(
                &each.manifest,
                "a leaf crate with unsafe depends on none of our crates",
            ));
        }
        let refuses = "undocumented_unsafe_blocks = \"deny\"".to_owned();
        if !section(&manifest, "[lints.clippy]").contains(&refuses) {
            findings.push(Finding::error(
                &each.manifest,
                format!("a leaf crate with unsafe needs [lints.clippy] {refuses}"),
            ));
        }
    }
    Ok(findings)
}

fn is_unsafe_leaf(name: &str) -> bool {
    UNSAFE_LEAVES.contains(&name) || name.ends_with("-sys")
}

/// The lines of one TOML table, trimmed.
fn section(manifest: &str, header: &str) -> Vec<String> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> Vec<Crate> {
        edges
            .iter()
            .map(|(name, ours)| Crate {
                name: (*name).to_owned(),
                manifest: format!("{name}/Cargo.toml"),
                ours: ours.iter().map(|each| (*each).to_owned()).collect(),
            })
            .collect()
    }

    #[test]
    fn the_workspace_keeps_the_crate_graph() {
        crate::assert_kept(check(&crate::root()));
    }

    #[test]
    fn an_edge_outside_the_table_is_named() {
        let crates = graph(&[("control", &["rtp"]), ("rtp", &[])]);
        let findings = edges(&crates, &[("control", &["sip"]), ("rtp", &[])], &[]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "control → rtp");
        assert!(findings[0].fault.contains("may depend on sip"));
    }

    #[test]
    fn a_path_through_others_is_named_whole() {
        let crates = graph(&[("control", &["a"]), ("a", &["b"]), ("b", &["codecs"])]);
        let all: &[(&str, &[&str])] = &[("control", &["a"]), ("a", &["b"]), ("b", &["codecs"])];
        let findings = edges(&crates, all, &[("control", &["codecs"], "why")]);
        assert_eq!(findings[0].place, "control → a → b → codecs");
    }

    #[test]
    fn a_crate_outside_the_table_is_refused() {
        assert_eq!(edges(&graph(&[("new", &[])]), &[], &[]).len(), 1);
    }

    #[test]
    fn the_table_obeys_its_own_prohibitions() {
        let crates = graph(ALLOWED);
        assert!(edges(&crates, ALLOWED, NEVER).is_empty());
    }
}
