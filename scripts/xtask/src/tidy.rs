//! What rustfmt and clippy do not check: words, lengths, clocks, crate documentation, dead links.

use std::path::Path;

use crate::Finding;
use crate::source::{self, Line};

/// Widest line of code and script, in characters. Lines with a string literal or an address may be
/// wider.
const COLUMNS_MAX: usize = 100;
/// Longest file, tests not counted.
const FILE_LINES_MAX: usize = 1_200;
/// A function longer than this is reported.
const FUNCTION_LINES_LONG: usize = 100;
/// A function longer than this is refused.
const FUNCTION_LINES_MAX: usize = 120;

/// Words that mean unfinished work, whole words, in any tracked text.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Code that must not be committed.
const CODE_BANNED: &[(&str, &str)] = &[
    (concat!("db", "g!("), "remove it"),
    (concat!("to", "do!("), "finish it"),
    (concat!("unimple", "mented!("), "return Error::Unsupported"),
    (
        concat!("#[", "ignore"),
        "assert today's behaviour and say why",
    ),
];

/// Reading the clock belongs to the event loops.
const CLOCKS: &[&str] = &[
    concat!("Instant::", "now"),
    concat!("SystemTime::", "now"),
    concat!("UNIX_", "EPOCH"),
];

/// What a sans-IO crate does not do.
const OUTSIDE_WORLD: &[&str] = &[
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "println!",
    "eprintln!",
];

/// Checks every file that git tracks under `root`.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let listing = crate::output(root, "git", &["ls-files", "-z"])?;
    let listing = String::from_utf8_lossy(&listing);
    let mut findings = Vec::new();
    for path in listing.split('\0').filter(|path| is_text(path)) {
        // A file deleted in the work tree and not yet in the index has nothing to check.
        let Ok(text) = std::fs::read_to_string(root.join(path)) else {
            continue;
        };
        check_text(path, &text, &mut findings);
        match path.rsplit('.').next() {
            Some("rs") => check_rust(path, &text, &mut findings),
            Some("md") => check_links(root, path, &text, &mut findings),
            _ if is_shell(path, &text) => check_shell(path, &text, &mut findings),
            _ => {}
        }
    }
    Ok(findings)
}

fn is_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let known = ["rs", "md", "sh", "toml", "erl", "hrl", "yml"];
    let golden = path.contains("testdata/");
    !golden && (!name.contains('.') || known.iter().any(|each| name.ends_with(&format!(".{each}"))))
}

fn is_shell(path: &str, text: &str) -> bool {
    path.ends_with(".sh") || text.starts_with("#!/usr/bin/env bash")
}

/// Rules for every text.
fn check_text(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut report = |number: usize, fault: String| {
        findings.push(Finding::error(format!("{path}:{number}"), fault));
    };
    let is_own_table = path == "scripts/xtask/src/tidy.rs";
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.ends_with([' ', '\t']) {
            report(number, "blank at the end of the line".to_owned());
        }
        for word in UNFINISHED.iter().filter(|word| has_word(line, word)) {
            report(
                number,
                format!("{word}: finish it, or write down what is so today"),
            );
        }
        if has_word(&line.to_ascii_lowercase(), concat!("for ", "now")) && !line.contains("now in")
        {
            report(number, "say what is so, not that it will change".to_owned());
        }
        if !is_own_table && (line.contains("/work/") || line.contains("../shared")) {
            report(number, "a path outside the repository".to_owned());
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        report(
            text.lines().count(),
            "no line feed at the end of the file".to_owned(),
        );
    }
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(is_part)
            && !line[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

fn check_shell(path: &str, text: &str, findings: &mut Vec<Finding>) {
    // A library is sourced by scripts that have set this already.
    let is_library = path.ends_with("lib.sh");
    if !is_library && !text.lines().any(|line| line == "set -euo pipefail") {
        findings.push(Finding::error(path, "needs a line `set -euo pipefail`"));
    }
    for (index, line) in text.lines().enumerate() {
        check_columns(path, index + 1, line, false, findings);
    }
}

fn check_columns(path: &str, number: usize, raw: &str, string: bool, out: &mut Vec<Finding>) {
    let columns = raw.chars().count();
    if columns > COLUMNS_MAX && !string && !raw.contains("://") {
        out.push(Finding::error(
            format!("{path}:{number}"),
            format!("{columns} columns, at most {COLUMNS_MAX}"),
        ));
    }
}

/// Rules for Rust.
fn check_rust(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let lines = source::lines(text);
    let role = Role::of(path);
    for (line, raw) in lines.iter().zip(text.lines()) {
        check_columns(path, line.number, raw, line.has_string, findings);
        check_code(path, line, role, findings);
    }
    let counted = lines.iter().filter(|line| !line.in_test).count();
    if counted > FILE_LINES_MAX && role != Role::Test {
        findings.push(Finding::error(
            path,
            format!("{counted} lines without tests, at most {FILE_LINES_MAX}: split it by noun"),
        ));
    }
    for function in source::functions(&lines) {
        if function.in_test || role == Role::Test || function.lines <= FUNCTION_LINES_LONG {
            continue;
        }
        let place = format!("{path}:{}", function.number);
        let fault = format!("fn {} has {} lines", function.name, function.lines);
        findings.push(if function.lines > FUNCTION_LINES_MAX {
            Finding::error(place, format!("{fault}, at most {FUNCTION_LINES_MAX}"))
        } else {
            Finding::warning(place, format!("{fault}, aim at a screen"))
        });
    }
    if path.ends_with("src/lib.rs") && !text.starts_with("//!") {
        findings.push(Finding::error(
            path,
            "begin with the crate's documentation (//!)",
        ));
    }
}

/// What a file is for decides which rules it has.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// A protocol engine or entity: no I/O, no clock.
    SansIo,
    /// Runs on its own clock: event loops, the command line, SCTP.
    Loop,
    /// Everything else that ships.
    Code,
    /// Tests, benches and their tools.
    Test,
}

impl Role {
    fn of(path: &str) -> Role {
        let starts = |roots: &[&str]| roots.iter().any(|root| path.starts_with(root));
        if path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || path.contains("/benches/")
            || starts(&["tests/", "scripts/"])
        {
            Role::Test
        } else if path.ends_with("/build.rs") {
            // Runs where it is compiled.
            Role::Code
        } else if starts(&[
            "protocols/",
            "dataplane/mg/",
            "control/src/entity/",
            "codecs/",
        ]) {
            Role::SansIo
        } else if starts(&["cli/", "bench/", "usrsctp/"]) || is_clock(path) {
            Role::Loop
        } else {
            Role::Code
        }
    }
}

/// The event loops and clocks, by name. A control process's store and admin threads wait in real
/// time too.
fn is_clock(path: &str) -> bool {
    path.ends_with("/clock.rs") || path.contains("/event_loop") || path.contains("/admin")
}

fn check_code(path: &str, line: &Line, role: Role, findings: &mut Vec<Finding>) {
    let mut report = |fault: String| {
        findings.push(Finding::error(format!("{path}:{}", line.number), fault));
    };
    for (banned, remedy) in CODE_BANNED
        .iter()
        .filter(|(banned, _)| line.code.contains(banned))
    {
        report(format!("{banned}: {remedy}"));
    }
    if line.in_test || role == Role::Test {
        return;
    }
    if line.code.contains(concat!(".unw", "rap()")) {
        report("return an error, or expect(\"why it cannot fail\")".to_owned());
    }
    if role != Role::Loop {
        for clock in CLOCKS.iter().filter(|clock| line.code.contains(**clock)) {
            report(format!(
                "{clock}: time is an argument; only event loops and clock.rs read it"
            ));
        }
    }
    if role == Role::SansIo {
        for world in OUTSIDE_WORLD
            .iter()
            .filter(|world| line.code.contains(**world))
        {
            report(format!(
                "{world}: a sans-IO crate takes bytes and gives values"
            ));
        }
    }
}

/// Relative links of a Markdown file lead to files that exist.
fn check_links(root: &Path, path: &str, text: &str, findings: &mut Vec<Finding>) {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    for (index, line) in text.lines().enumerate() {
        for target in links(line) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !root.join(folder).join(file).exists() {
                let place = format!("{path}:{}", index + 1);
                findings.push(Finding::error(place, format!("dead link: {target}")));
            }
        }
    }
}

/// The targets of `[text](target)` in one line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust_faults(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check_text(path, text, &mut findings);
        check_rust(path, text, &mut findings);
        findings.into_iter().map(|finding| finding.fault).collect()
    }

    #[test]
    fn tracked_files_keep_the_house_rules() {
        crate::assert_kept(check(&crate::root()));
    }

    #[test]
    fn unwrap_is_for_tests() {
        let call = concat!("fn f() { x.unw", "rap(); }\n");
        assert_eq!(rust_faults("control/src/a.rs", call).len(), 1);
        let test = format!("#[cfg(test)]\nmod tests {{\n    {call}}}\n");
        assert!(rust_faults("control/src/a.rs", &test).is_empty());
        let quoted = concat!("// x.unw", "rap()\nconst A: &str = \".unw", "rap()\";\n");
        assert!(rust_faults("control/src/a.rs", quoted).is_empty());
    }

    #[test]
    fn only_event_loops_read_the_clock() {
        let text = concat!("fn f() { Instant::", "now(); }\n");
        assert_eq!(rust_faults("control/src/mgc/mod.rs", text).len(), 1);
        assert_eq!(rust_faults("protocols/sip/src/lib2.rs", text).len(), 1);
        assert!(rust_faults("dataplane/src/clock.rs", text).is_empty());
        assert!(rust_faults("control/src/event_loop/mod.rs", text).is_empty());
    }

    #[test]
    fn a_protocol_crate_opens_no_socket() {
        let text = "fn f() { UdpSocket::bind(x); }\n";
        assert_eq!(rust_faults("protocols/sip/src/a.rs", text).len(), 1);
        assert!(rust_faults("control/src/transport/udp.rs", text).is_empty());
    }

    #[test]
    fn long_lines_are_refused_unless_they_quote() {
        let wide = format!("// {}\n", "x ".repeat(60).trim_end());
        assert_eq!(rust_faults("control/src/a.rs", &wide).len(), 1);
        let quote = format!("const A: &str = \"{}\";\n", "x".repeat(120));
        assert!(rust_faults("control/src/a.rs", &quote).is_empty());
    }

    #[test]
    fn unfinished_work_is_refused() {
        assert_eq!(
            rust_faults("control/src/a.rs", concat!("// TO", "DO: more\n")).len(),
            1
        );
        assert_eq!(
            rust_faults("control/src/a.rs", concat!("// good for ", "now\n")).len(),
            1
        );
        assert!(rust_faults("control/src/a.rs", concat!("// TO", "DOS\n")).is_empty());
    }

    #[test]
    fn long_functions_are_refused() {
        let body = "    x();\n".repeat(FUNCTION_LINES_MAX);
        let text = format!("fn f() {{\n{body}}}\n");
        assert_eq!(rust_faults("control/src/a.rs", &text).len(), 1);
    }

    #[test]
    fn library_crates_begin_with_documentation() {
        assert_eq!(rust_faults("control/src/lib.rs", "mod a;\n").len(), 1);
    }

    #[test]
    fn markdown_links_are_followed() {
        let mut findings = Vec::new();
        check_links(
            &crate::root(),
            "a.md",
            "[x](no-such-file.md) [y](https://a)",
            &mut findings,
        );
        assert_eq!(findings.len(), 1);
    }
}
