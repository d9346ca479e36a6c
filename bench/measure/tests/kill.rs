//! A few of the kill points of which `scripts/soak kill` has many.

use std::process::Command;

#[test]
fn a_few_kills_under_load_lose_nothing_and_leave_nothing() {
    let line = "kill --points 6 --seed 3 --rate 25 --registrations 10 --users 20 --residents 12";
    let run = Command::new(env!("CARGO_BIN_EXE_measure"))
        .args(line.split_whitespace())
        .output()
        .expect("the program starts");
    let output = [run.stdout, run.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(run.status.success(), "{}", output.join("\n"));
    assert!(output[0].contains("nothing lost, nothing left over"));
}
