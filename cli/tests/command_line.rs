//! The binary as people meet it: what it says when something is wrong.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn strowger(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_strowger"))
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An address where nobody listens.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

#[test]
fn every_command_explains_itself() {
    let all = String::from_utf8(strowger("--help").stdout).expect("text");
    for command in [
        "status",
        "subscriber",
        "h248",
        "play",
        "conference",
        "record",
    ] {
        assert!(
            all.contains(&format!("  {command} ")),
            "{command} is not in\n{all}"
        );
        assert!(strowger(&format!("{command} --help")).status.success());
    }
}

#[test]
fn a_process_that_does_not_answer_is_named_with_what_to_do() {
    let address = free();
    let output = strowger(&format!("status --admin {address}"));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains(&address) && text.contains("--admin"),
        "{text}"
    );
}

#[test]
fn json_holds_the_error_too() {
    let output = strowger(&format!("--json status --admin {}", free()));
    assert_eq!(output.status.code(), Some(1));
    let answers: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        answers[0]["error"]
            .as_str()
            .is_some_and(|why| why.contains("no answer"))
    );
}

#[test]
fn a_missing_token_is_explained() {
    let output = strowger("subscriber --state /nonexistent remove alice@ims.test");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("/nonexistent/admin.token"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_gateway_that_does_not_answer_is_named() {
    let output =
        strowger("h248 --mid 127.0.0.1:0 --mg 127.0.0.1:9 --timeout 1 AuditValue=ROOT{Audit{}}");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("no reply from 127.0.0.1:9"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn standard_input_that_is_closed_is_no_transaction() {
    let output = strowger("h248 --mid 127.0.0.1:0");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn without_a_running_system_it_is_said_how_to_start_one() {
    let address = free();
    for command in ["play goodbye", "record", "conference"] {
        let output = strowger(&format!("{command} --admin {address}"));
        assert_eq!(output.status.code(), Some(1), "{command}");
        let text = stderr(&output);
        assert!(
            text.contains(&address) && text.contains("strowger up"),
            "{command}: {text}"
        );
    }
}

#[test]
fn one_is_called_or_a_conference_meant_and_not_both() {
    for line in [
        "play goodbye --to alice --conference team",
        "record --from alice --conference team",
        "play",
        "record --seconds 0",
        "conference --phones 33",
    ] {
        assert_eq!(strowger(line).status.code(), Some(2), "{line}");
    }
}
