//! `strowger play`, `record` and `conference` on the processes that `strowger up` starts.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use interop::{Folder, Namespace, Process, Run, signal, strowger};
use serde_json::Value;

const CONTROL: &str = "127.0.0.1:9080";
const LIMIT: Duration = Duration::from_secs(60);

/// The loudest that sox finds in a file, and its seconds.
fn listen(file: &Path) -> (f64, f64) {
    let output = Command::new("sox")
        .arg(file)
        .args(["-n", "stat"])
        .output()
        .expect("sox runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let figure = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("no {name} in\n{text}"))
    };
    (figure("Maximum amplitude"), figure("Length (seconds)"))
}

struct Up {
    // Dropped in this order.
    process: Process,
    namespace: Namespace,
    folder: Folder,
}

impl Up {
    fn start() -> Self {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        let arguments = ["up", "--no-call", "--state", "state", "--drain", "1"];
        let mut command = strowger::command(&namespace, &arguments);
        let mut process = Process::start("up", &mut command, folder.path());
        process.wait_for("running", LIMIT);
        Self {
            process,
            namespace,
            folder,
        }
    }

    fn run(&self, name: &str, line: &str) -> Run {
        let line = format!("--json {line} --state state/control");
        let arguments: Vec<&str> = line.split_whitespace().collect();
        strowger::run(&self.namespace, &self.folder, name, &arguments)
    }

    /// The JSON documents that a command prints, a line or a whole each.
    fn told(&self, name: &str, line: &str) -> Vec<Value> {
        let run = self.run(name, line);
        run.expect_success(name);
        let values = serde_json::Deserializer::from_str(&run.output).into_iter();
        values.map(|value| value.expect("JSON")).collect()
    }

    fn status(&self) -> Value {
        strowger::status(&self.namespace, &self.folder, CONTROL).unwrap_or_default()
    }
}

#[test]
fn a_prompt_is_heard_a_talker_recorded_and_a_conference_watched() {
    let up = Up::start();
    let played = up.told("play", "play goodbye").remove(0);
    assert_eq!(
        (&played["good"], &played["cause"]),
        (&true.into(), &"complete".into())
    );
    // As long as it was played, at 20 ms each, but for what was under way.
    let (ms, packets) = (&played["length_ms"], &played["packets_heard"]);
    let expected = ms.as_u64().expect("a length") / 20;
    assert!(
        packets
            .as_u64()
            .is_some_and(|it| it + 5 >= expected && it > 10),
        "{played}"
    );

    let copy = up.folder.file("copy.wav");
    let line = format!("record --seconds 1 --output {}", copy.display());
    let recorded = up.told("record", &line).remove(0);
    assert_eq!(
        (&recorded["good"], &recorded["cause"]),
        (&true.into(), &"complete".into())
    );
    let (loudest, seconds) = listen(&copy);
    assert!(
        loudest > 0.05 && (0.9..1.2).contains(&seconds),
        "{loudest} {seconds} s"
    );

    let events = up.told(
        "conference",
        "conference --phones 2 --seconds 5 --record mix",
    );
    let of = |what: &str| {
        let found = events.iter().filter(|it| it["event"] == what);
        found.collect::<Vec<&Value>>()
    };
    assert_eq!(of("connected").len(), 2, "{events:#?}");
    // Each has had its turn, at a level of speech.
    let ended = of("ended").remove(0);
    assert_eq!(ended["good"], true);
    for member in ended["members"].as_array().expect("members") {
        let level = member["loudest_dbov"].as_i64().unwrap_or(-127);
        assert!((-45..=-5).contains(&level), "{ended:#}");
    }
    let file: PathBuf = of("recorded")[0]["file"].as_str().expect("a file").into();
    let (loudest, seconds) = listen(&file);
    assert!(loudest > 0.05 && seconds > 2.0, "{loudest} {seconds} s");

    // Nothing is left over: no call, no context, no subscriber.
    strowger::wait_until(LIMIT, "nothing is left", || {
        let status = up.status();
        let is_zero = |key: &str| status[key] == 0;
        status["mrf"]["calls"] == 0
            && ["contexts", "registrations", "dialogs"].map(is_zero) == [true; 3]
    });
    let subscribers = up.told("list", "subscriber list").remove(0);
    assert_eq!(subscribers, Value::Array(Vec::new()));

    // Who is not there is told of, and ends in exit status 1.
    let failed = up.run("nobody", "play goodbye --to nobody");
    assert!(!failed.status.success());
    let told: Value = serde_json::from_str(&failed.output).expect("JSON");
    assert_eq!(
        (&told["good"], &told["status"]),
        (&false.into(), &404.into()),
        "{told}"
    );
    signal(up.process.id(), "INT");
}
