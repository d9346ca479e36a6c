//! The figures of a media process in Prometheus' text form.

use std::fmt::Write;

use serde_json::Value;

/// Numbers of a status: those under `counters` count, the others are gauges; beside them where the
/// time of each worker goes.
pub fn of(status: &Value) -> String {
    let mut text = String::new();
    for (name, value) in status.as_object().into_iter().flatten() {
        if let Some(number) = value.as_u64() {
            figure(&mut text, name, "gauge", number);
        }
    }
    for (name, value) in status["counters"].as_object().into_iter().flatten() {
        if let Some(number) = value.as_u64() {
            figure(&mut text, &format!("{name}_total"), "counter", number);
        }
    }
    // Writing to a String does not fail.
    let _ = times(&mut text, status);
    text
}

fn figure(text: &mut String, name: &str, kind: &str, number: u64) {
    let is_fit = |c: char| c.is_ascii_alphanumeric();
    let name: String = name
        .chars()
        .map(|c| if is_fit(c) { c } else { '_' })
        .collect();
    // A String grows.
    let _ = writeln!(
        text,
        "# TYPE strowger_{name} {kind}\nstrowger_{name} {number}"
    );
}

/// Where the time of workers goes.
fn times(text: &mut String, status: &Value) -> std::fmt::Result {
    let workers = status["workers"].as_array().map_or(&[][..], Vec::as_slice);
    let workers = workers.iter().map(|worker| &worker["times"]).enumerate();
    if workers.len() == 0 {
        return Ok(());
    }
    let packets = "strowger_worker_packets_seconds_total";
    writeln!(text, "# TYPE {packets} counter")?;
    for (worker, times) in workers.clone() {
        let seconds = seconds(&times["packets_us"]);
        writeln!(text, "{packets}{{worker=\"{worker}\"}} {seconds:.6}")?;
    }
    for what in ["work", "looks"] {
        let name = format!("strowger_worker_{what}_seconds");
        writeln!(text, "# TYPE {name} histogram")?;
        for (worker, times) in workers.clone() {
            histogram(text, &name, worker, &times[what])?;
        }
    }
    Ok(())
}

fn seconds(micros: &Value) -> f64 {
    micros.as_u64().unwrap_or(0) as f64 / 1e6
}

fn histogram(text: &mut String, name: &str, worker: usize, spread: &Value) -> std::fmt::Result {
    let below = spread["below_ns"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |pair: &Value| (pair[0].as_u64().unwrap_or(0), pair[1].as_u64().unwrap_or(0));
    for bound_ns in (FIRST_BOUND_BITS..=LAST_BOUND_BITS).map(|bits| 1_u64 << bits) {
        let counts = below.iter().map(of).filter(|(bound, _)| *bound <= bound_ns);
        let count: u64 = counts.map(|(_, count)| count).sum();
        let le = bound_ns as f64 / 1e9;
        writeln!(
            text,
            "{name}_bucket{{worker=\"{worker}\",le=\"{le}\"}} {count}"
        )?;
    }
    let count: u64 = below.iter().map(|pair| of(pair).1).sum();
    let sum = seconds(&spread["total_us"]);
    writeln!(
        text,
        "{name}_bucket{{worker=\"{worker}\",le=\"+Inf\"}} {count}"
    )?;
    writeln!(text, "{name}_sum{{worker=\"{worker}\"}} {sum:.6}")?;
    writeln!(text, "{name}_count{{worker=\"{worker}\"}} {count}")
}

/// Bounds are powers of two of nanoseconds, from 16 µs to 17 ms: classes end there.
const FIRST_BOUND_BITS: u32 = 14;
const LAST_BOUND_BITS: u32 = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_of_workers_are_counters_and_histograms() {
        let spread = json!({
            "total_us": 1_500,
            "below_ns": [[16_384, 3], [131_072, 2], [147_456, 4], [40_000_000, 1]],
        });
        let nothing = json!({ "total_us": 0, "below_ns": [] });
        let times = json!({ "packets_us": 2_000_000, "work": spread, "looks": nothing });
        let text = of(&json!({ "workers": [{ "worker": 0, "times": times }] }));
        for line in [
            "# TYPE strowger_worker_packets_seconds_total counter",
            "strowger_worker_packets_seconds_total{worker=\"0\"} 2.000000",
            "# TYPE strowger_worker_work_seconds histogram",
            "strowger_worker_work_seconds_bucket{worker=\"0\",le=\"0.000016384\"} 3",
            "strowger_worker_work_seconds_bucket{worker=\"0\",le=\"0.000131072\"} 5",
            "strowger_worker_work_seconds_bucket{worker=\"0\",le=\"0.000262144\"} 9",
            "strowger_worker_work_seconds_bucket{worker=\"0\",le=\"+Inf\"} 10",
            "strowger_worker_work_seconds_sum{worker=\"0\"} 0.001500",
            "strowger_worker_work_seconds_count{worker=\"0\"} 10",
            "strowger_worker_looks_seconds_count{worker=\"0\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!of(&json!({ "workers": [] })).contains("worker"));
    }
}
