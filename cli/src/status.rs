//! `strowger status`: what the running processes say of themselves.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::http::Client;
use crate::output::{self, Table};

/// Admin address of a control process by default.
pub const CONTROL_ADMIN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9080);
/// Admin address of a media process by default.
pub const MEDIA_ADMIN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9081);

/// Flags of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Admin addresses to ask
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',',
          default_values_t = [CONTROL_ADMIN, MEDIA_ADMIN])]
    admin: Vec<SocketAddr>,
    /// Show counters too, those that are not zero
    #[arg(long)]
    counters: bool,
}

/// Asks every process and prints the answers; fails when one does not answer.
pub fn run(args: &StatusArgs, as_json: bool) -> Result<(), Failure> {
    let answers: Vec<(SocketAddr, Result<Value, Failure>)> = args
        .admin
        .iter()
        .map(|&address| (address, fetch(address)))
        .collect();
    if as_json {
        let all: Vec<Value> = answers
            .iter()
            .map(|(address, answer)| match answer {
                Ok(status) => {
                    let mut status = status.clone();
                    status["admin"] = json!(address.to_string());
                    status
                }
                Err(failure) => {
                    json!({ "admin": address.to_string(), "error": failure.to_string() })
                }
            })
            .collect();
        output::print_json(&Value::Array(all));
    } else {
        let mut between = "";
        for status in answers
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().ok())
        {
            output::print(between);
            output::print(&report(status, args.counters));
            between = "\n";
        }
    }
    answers
        .into_iter()
        .try_for_each(|(_, answer)| answer.map(drop))
}

/// The status of the process behind one admin address.
pub fn fetch(address: SocketAddr) -> Result<Value, Failure> {
    fetch_with(&mut Client::new(address))
}

/// The status over a connection that is kept.
pub fn fetch_with(client: &mut Client) -> Result<Value, Failure> {
    let answer = client.get("/status")?;
    if answer.status == 200 && answer.body.is_object() {
        return Ok(answer.body);
    }
    Err(Failure::new("no status").because(answer.error()))
}

/// Figures in the order in which people look for them; what is not listed follows.
const ORDER: [&str; 19] = [
    "draining",
    "roles",
    "realm",
    "mid",
    "worker",
    "host",
    "registrations",
    "contacts",
    "access_registrations",
    "dialogs",
    "transactions",
    "waiting",
    "sojourn_us",
    "contexts",
    "terminations",
    "flows",
    "sockets_kept",
    "timers",
    "journal",
];

/// The fields of an object in the order of [`ORDER`].
fn ordered(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut ordered: Vec<(&String, &Value)> = fields.iter().collect();
    let place = |key: &str| {
        ORDER
            .iter()
            .position(|each| *each == key)
            .unwrap_or(ORDER.len())
    };
    ordered.sort_by_key(|(key, _)| place(key));
    ordered
}

/// One process for people: a title, its figures, then a table for each list it has.
fn report(status: &Value, counters: bool) -> String {
    let empty = Map::new();
    let fields = status.as_object().unwrap_or(&empty);
    let text = |key: &str| fields.get(key).map(output::cell).unwrap_or_default();
    let uptime = fields.get("uptime_s").and_then(Value::as_u64).unwrap_or(0);
    let mut report = format!(
        "{} {}, up {}\n",
        text("process"),
        text("version"),
        output::duration(uptime)
    );
    let mut figures = Table::new(&[]);
    let mut lists = String::new();
    for (key, value) in ordered(fields) {
        match value {
            _ if ["process", "version", "uptime_s", "counters"].contains(&key.as_str()) => {}
            Value::Array(items) if items.iter().any(Value::is_object) => {
                lists.push_str(&format!("\n{}\n", words(key)));
                lists.push_str(&indent(&list(items)));
            }
            Value::Array(items) if items.is_empty() => {
                figures.row(vec![words(key), "none".to_owned()]);
            }
            Value::Object(parts) if parts.values().any(Value::is_array) => {
                let mut all = Vec::new();
                for (name, value) in parts {
                    match value {
                        Value::Array(items) if items.iter().any(Value::is_object) => {
                            lists.push_str(&format!("\n{} {}\n", words(key), words(name)));
                            lists.push_str(&indent(&list(items)));
                        }
                        Value::Array(items) if items.is_empty() => {}
                        _ if value.as_u64() == Some(0) => {}
                        value => all.push(format!("{} {}", words(name), output::cell(value))),
                    }
                }
                let all = match all.is_empty() {
                    true => "none".to_owned(),
                    false => all.join(", "),
                };
                figures.row(vec![words(key), all]);
            }
            Value::Object(parts) => {
                // What has a state is told by it, else by the sum of its parts.
                let state = parts.get("state").map(output::cell);
                let total: u64 = parts.values().filter_map(Value::as_u64).sum();
                let total = state.unwrap_or_else(|| output::thousands(total));
                let parts: Vec<String> = parts
                    .iter()
                    .filter(|(name, value)| value.as_u64() != Some(0) && *name != "state")
                    .map(|(name, value)| format!("{} {}", words(name), output::cell(value)))
                    .collect();
                let detail = if parts.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", parts.join(", "))
                };
                figures.row(vec![words(key), format!("{total}{detail}")]);
            }
            _ => figures.row(vec![words(key), output::cell(value)]),
        }
    }
    report.push_str(&indent(&figures.text()));
    report.push_str(&lists);
    if counters {
        report.push_str("\ncounters\n");
        report.push_str(&indent(&counter_table(&fields["counters"])));
    }
    report
}

fn counter_table(counters: &Value) -> String {
    let mut table = Table::new(&[]);
    for (name, value) in counters.as_object().into_iter().flatten() {
        if value.as_u64() != Some(0) {
            table.row(vec![name.clone(), output::cell(value)]);
        }
    }
    table.text()
}

/// A list of objects as a table, the keys of the first as headings.
fn list(items: &[Value]) -> String {
    let Some(first) = items.first().and_then(Value::as_object) else {
        return String::new();
    };
    let keys: Vec<&String> = ordered(first).into_iter().map(|(key, _)| key).collect();
    let headings: Vec<String> = keys.iter().map(|key| words(key)).collect();
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    for item in items {
        table.row(
            keys.iter()
                .map(|key| output::cell(&item[key.as_str()]))
                .collect(),
        );
    }
    table.text()
}

fn words(key: &str) -> String {
    key.replace('_', " ")
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_as_figures_then_lists_then_counters() {
        let status = json!({
            "process": "control", "version": "0.1.0", "uptime_s": 65, "dialogs": 2,
            "roles": ["pcscf", "hss"], "diameter_peers": [],
            "transactions": { "invite_client": 1, "invite_server": 2, "other": 0 },
            "media_gateways": [{ "mid": "[127.0.0.1]:2946", "state": "in service" }],
            "journal": { "state": "in order", "live_octets": 2204, "failures": 0 },
            "counters": { "sip.malformed": 1, "sip.loops": 0 },
        });
        let text = report(&status, true);
        for line in [
            "control 0.1.0, up 1 min 5 s\n",
            "  dialogs         2\n",
            "  roles           pcscf, hss\n",
            "  diameter peers  none\n",
            "  transactions    3 (invite client 1, invite server 2)\n",
            "  journal         in order (live octets 2 204)\n",
            "\nmedia gateways\n  mid               state\n  [127.0.0.1]:2946  in service\n",
            "\ncounters\n  sip.malformed  1\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }

    #[test]
    fn lists_within_a_figure_are_tables_of_their_own() {
        let mrf = |calls: u64, conferences: Value| {
            let mrf = json!({ "calls": calls, "conferences": conferences, "subscriptions": 0 });
            report(&json!({ "process": "control", "mrf": mrf }), false)
        };
        let text = mrf(0, json!([]));
        assert!(text.contains("  mrf  none\n"), "{text}");
        let team = json!({ "name": "team" });
        let text = mrf(2, json!([team]));
        assert!(text.contains("  mrf  calls 2\n"), "{text}");
        let table = "\nmrf conferences\n  name\n  team\n";
        assert!(text.contains(table), "{text}");
    }
}
