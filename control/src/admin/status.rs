//! What a control process says of itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use usrsctp::PathStatus;

use crate::journal::JournalStatus;

/// The state of a control process.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Always `control`.
    pub process: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Entities played.
    pub roles: Vec<&'static str>,
    /// Home network domain.
    pub realm: String,
    /// Public identities registered at the S-CSCF.
    pub registrations: usize,
    /// Contacts of these.
    pub contacts: usize,
    /// Registrations known to the P-CSCF.
    pub access_registrations: usize,
    /// Subscriptions to registrations, as the S-CSCF has them.
    pub subscriptions: usize,
    /// Subscriptions to registrations, as the P-CSCF has them.
    pub access_subscriptions: usize,
    /// Dialogs at the P-CSCF, a leg each.
    pub dialogs: usize,
    /// SIP transactions.
    pub transactions: TransactionStatus,
    /// SIP messages received that wait to be served, and whether new requests are refused.
    #[serde(flatten)]
    pub admission: AdmissionStatus,
    /// H.248 contexts that the MGC holds.
    pub contexts: usize,
    /// Terminations in these.
    pub terminations: usize,
    /// Calls and conferences of the MRFC, where it plays here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mrf: Option<MrfStatus>,
    /// Timers set.
    pub timers: usize,
    /// Media gateways registered.
    pub media_gateways: Vec<MediaGatewayStatus>,
    /// Paths to media gateways, where H.248 goes over SCTP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub h248_paths: Vec<H248PathStatus>,
    /// Diameter peers.
    pub diameter_peers: Vec<PeerStatus>,
    /// The journal, where there is one.
    pub journal: Option<JournalStatus>,
    /// Everything counted since start, by name.
    pub counters: BTreeMap<String, u64>,
}

/// What the MRFC has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MrfStatus {
    /// Calls with it.
    pub calls: usize,
    /// Conferences, the largest first, as many as fit.
    pub conferences: Vec<ConferenceStatus>,
    /// Subscriptions to conferences.
    pub subscriptions: usize,
}

/// One conference.
#[derive(Clone, Debug, Serialize)]
pub struct ConferenceStatus {
    /// Its name: the token of its URI, or what netann or MSML calls it.
    pub name: String,
    /// Its URI, where it has a focus.
    pub uri: Option<String>,
    /// `focus`, `netann` or `msml`.
    pub kind: &'static str,
    /// Its members.
    pub members: usize,
    /// Those of them who are not heard.
    pub muted: usize,
}

/// SIP transactions.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct TransactionStatus {
    /// Client transactions.
    pub client: usize,
    /// Server transactions.
    pub server: usize,
    /// Timers of both.
    pub timers: usize,
}

/// SIP messages received that wait to be served, by class: `ongoing`, `emergency`, `refresh`,
/// `initial`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AdmissionStatus {
    /// The process is about to end and refuses new requests.
    #[serde(rename = "draining")]
    pub is_draining: bool,
    /// How many wait.
    pub waiting: BTreeMap<&'static str, usize>,
    /// The longest wait of the last second or two, microseconds.
    pub sojourn_us: BTreeMap<&'static str, u64>,
}

/// One media gateway as the MGC sees it.
#[derive(Clone, Debug, Serialize)]
pub struct MediaGatewayStatus {
    /// Its MID.
    pub mid: String,
    /// `in service`, or why not.
    pub state: String,
    /// Contexts held there.
    pub contexts: usize,
}

/// One path of an SCTP association for H.248 (RFC 9260 5.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct H248PathStatus {
    /// The peer: its first address.
    pub peer: String,
    /// The address that the path leads to.
    pub address: String,
    /// `reachable`, `unreachable`, or `unconfirmed` while nothing has come from there.
    pub state: &'static str,
    /// Round trip time, milliseconds.
    pub rtt_ms: u64,
}

/// One Diameter peer.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// Its Origin-Host, or its address while unknown.
    pub host: String,
    /// State of RFC 6733 5.6.
    pub state: String,
}

impl H248PathStatus {
    /// A path of the association with this peer.
    pub fn new(peer: &str, path: PathStatus) -> Self {
        Self {
            peer: peer.to_owned(),
            address: path.peer.to_string(),
            state: path.state.name(),
            rtt_ms: u64::try_from(path.rtt.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Status {
    /// The same in Prometheus' text exposition form.
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        let mut gauge = |name: &str, value: usize| {
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "# TYPE strowger_{name} gauge\nstrowger_{name} {value}"
            );
        };
        gauge(
            "uptime_seconds",
            usize::try_from(self.uptime_s).unwrap_or(usize::MAX),
        );
        gauge("registrations", self.registrations);
        gauge("contacts", self.contacts);
        gauge("access_registrations", self.access_registrations);
        gauge("subscriptions", self.subscriptions);
        gauge("access_subscriptions", self.access_subscriptions);
        gauge("dialogs", self.dialogs);
        gauge("transactions_client", self.transactions.client);
        gauge("transactions_server", self.transactions.server);
        gauge("draining", usize::from(self.admission.is_draining));
        for (class, &waiting) in &self.admission.waiting {
            gauge(&format!("sip_waiting_{class}"), waiting);
        }
        for (class, &sojourn) in &self.admission.sojourn_us {
            let sojourn = usize::try_from(sojourn).unwrap_or(usize::MAX);
            gauge(&format!("sip_sojourn_microseconds_{class}"), sojourn);
        }
        gauge("contexts", self.contexts);
        gauge("terminations", self.terminations);
        gauge("timers", self.timers);
        if let Some(journal) = &self.journal {
            let octets = |octets: u64| usize::try_from(octets).unwrap_or(usize::MAX);
            gauge("journal_octets", octets(journal.octets));
            gauge("journal_records", journal.records);
            gauge("journal_waiting_octets", octets(journal.waiting_octets));
            gauge("journal_failures", octets(journal.failures));
            gauge("journal_in_order", usize::from(journal.is_in_order()));
        }
        labelled(
            &mut text,
            "media_gateway_contexts",
            &self.media_gateways,
            |it| (vec![("mid", &it.mid), ("state", &it.state)], it.contexts),
        );
        labelled(
            &mut text,
            "diameter_peer_open",
            &self.diameter_peers,
            |it| {
                let open = usize::from(it.state.to_ascii_lowercase().contains("open"));
                (vec![("host", &it.host), ("state", &it.state)], open)
            },
        );
        for (name, value) in &self.counters {
            let name: String = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect();
            let _ = writeln!(
                text,
                "# TYPE strowger_{name}_total counter\nstrowger_{name}_total {value}"
            );
        }
        text
    }
}

/// A gauge with one line for each of `items`, which `line` gives as labels and value.
fn labelled<'a, T>(
    text: &mut String,
    name: &str,
    items: &'a [T],
    line: impl Fn(&'a T) -> (Vec<(&'static str, &'a String)>, usize),
) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "# TYPE strowger_{name} gauge");
    for (labels, value) in items.iter().map(line) {
        let labels = labels.into_iter().map(|(label, of)| {
            let escaped = of.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{label}=\"{}\"", escaped.replace('\n', "\\n"))
        });
        let labels = labels.collect::<Vec<_>>().join(",");
        let _ = writeln!(text, "strowger_{name}{{{labels}}} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_prometheus_names() {
        let mut status = Status {
            dialogs: 3,
            ..Status::default()
        };
        status.counters.insert("sip.malformed".into(), 7);
        status.media_gateways.push(MediaGatewayStatus {
            mid: "a\"b\\c\n".into(),
            state: "in service".into(),
            contexts: 4,
        });
        let text = status.to_prometheus();
        let line = r#"strowger_media_gateway_contexts{mid="a\"b\\c\n",state="in service"} 4"#;
        assert!(text.contains(&format!("{line}\n")), "{text}");
        assert!(text.contains("strowger_dialogs 3\n"));
        assert!(text.contains("strowger_sip_malformed_total 7\n"));
    }
}
