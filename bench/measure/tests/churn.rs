//! A little of what `measure churn` does with 50 000 contexts.

use std::process::Command;

fn nothing_is_lost(io: &str) {
    // Five packets a second for each stream: its socket holds those of ten seconds, should the
    // process have no core for so long.
    let line = format!("churn --io {io} --contexts 300 --at-once 150 --standing 40 --rate 400");
    let run = Command::new(env!("CARGO_BIN_EXE_measure"))
        .args(line.split_whitespace())
        .output()
        .expect("the program starts");
    let output = [run.stdout, run.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(run.status.success(), "{}", output.join("\n"));
    assert!(output[0].contains("no packet lost, nothing left over"));
}

// One after the other: they share the cores of the machine.
#[test]
fn packets_pass_while_contexts_come_and_go() {
    nothing_is_lost("udp");
    nothing_is_lost("af_xdp");
}
