//! What a media process says of itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use control::admin::H248PathStatus;
use dataplane::{DropReason, Durations, WorkerStats};
use mg::MediaGateway;
use mrfp::{LoadStatus, RoomStatus};
use serde::Serialize;
use trgw::{Category, DtlsCounts, LegCounts, Silence};

use super::io::IoStatus;

/// The state of a media process.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Always `media`.
    process: &'static str,
    /// Version of the program.
    version: &'static str,
    /// Seconds since start.
    uptime_s: u64,
    #[serde(flatten)]
    io: IoStatus,
    /// H.248 contexts of all virtual MGs.
    contexts: usize,
    /// Terminations in these.
    terminations: usize,
    /// UDP ports open for media.
    flows: usize,
    /// Sockets kept for ports that were open before.
    sockets_kept: usize,
    /// Virtual MGs.
    gateways: Vec<Gateway>,
    /// Paths to MGCs, where H.248 goes over SCTP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    h248_paths: Vec<H248PathStatus>,
    /// Threads that move packets.
    workers: Vec<Worker>,
    /// Streams of contexts that are mixed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rooms: Vec<RoomStatus>,
    /// Folder of what MRFPs record.
    #[serde(skip_serializing_if = "Option::is_none")]
    recordings: Option<PathBuf>,
    /// How busy each worker is with these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    loads: Vec<LoadStatus>,
    /// Everything counted since start, by name.
    counters: BTreeMap<String, u64>,
}

/// One virtual MG.
#[derive(Clone, Debug, Serialize)]
struct Gateway {
    mid: String,
    mgc: Option<String>,
    state: &'static str,
    contexts: usize,
    terminations: usize,
    /// Pairs of ports in use or resting.
    ports_used: usize,
    ports: usize,
}

/// One worker; packets since start.
#[derive(Clone, Debug, Serialize)]
struct Worker {
    worker: usize,
    received: u64,
    sent: u64,
    delivered: u64,
    handed_over: u64,
    /// For any reason; by reason in the counters.
    dropped: u64,
    times: WorkerTimes,
}

/// Where the time of a worker went since start.
#[derive(Clone, Debug, Serialize)]
struct WorkerTimes {
    /// Packets, commands and timers.
    packets_us: u64,
    /// Pieces of work: of what an MRFP codes and mixes, one after the other.
    work: Spread,
    /// From one look for packets to the next with such a piece between them.
    looks: Spread,
}

/// How long things took.
#[derive(Clone, Debug, Serialize)]
struct Spread {
    /// All together.
    total_us: u64,
    /// How many took less than this, in nanoseconds, and not less than what stands before.
    below_ns: Vec<(u64, u64)>,
}

impl From<&Durations> for Spread {
    fn from(durations: &Durations) -> Self {
        let below = durations.below();
        Self {
            total_us: durations.total().as_micros() as u64,
            below_ns: below
                .map(|(bound, count)| (bound.as_nanos() as u64, count))
                .collect(),
        }
    }
}

impl Status {
    /// Puts it together.
    pub fn of<'a>(
        uptime: Duration,
        io: IoStatus,
        (flows, sockets_kept): (usize, usize),
        gateways: impl Iterator<Item = &'a MediaGateway>,
        h248_paths: Vec<H248PathStatus>,
        workers: impl Iterator<Item = WorkerStats>,
        legs: &LegCounts,
    ) -> Self {
        let mut status = Self {
            process: "media",
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: uptime.as_secs(),
            io,
            contexts: 0,
            terminations: 0,
            flows,
            sockets_kept,
            gateways: Vec::new(),
            h248_paths,
            workers: Vec::new(),
            rooms: Vec::new(),
            recordings: None,
            loads: Vec::new(),
            counters: BTreeMap::new(),
        };
        for gateway in gateways {
            status.add_gateway(gateway);
        }
        for reason in DropReason::ALL {
            status.count(format!("drop.{}", reason.name()), 0);
        }
        for (index, stats) in workers.enumerate() {
            status.add_worker(index, &stats);
        }
        status.count("legs.ended".into(), legs.ended);
        status.count("legs.poor".into(), legs.poor);
        status.count("legs.packets_expected".into(), legs.packets_expected);
        status.count("legs.packets_lost".into(), legs.packets_lost);
        for (category, legs) in Category::ALL.into_iter().zip(legs.categories) {
            status.count(format!("legs.quality.{}", category.name()), legs);
        }
        for (silence, legs) in Silence::ALL.into_iter().zip(legs.silent) {
            status.count(format!("legs.silent.{}", silence.name()), legs);
        }
        status
    }

    /// The same, with what an MRFP says.
    pub fn with_rooms(
        self,
        rooms: Vec<RoomStatus>,
        loads: Vec<LoadStatus>,
        recordings: Option<PathBuf>,
    ) -> Self {
        Self {
            rooms,
            recordings,
            loads,
            ..self
        }
    }

    /// The same, with the handshakes of DTLS, and how many go on.
    pub fn with_dtls(mut self, (counts, going): (DtlsCounts, usize)) -> Self {
        for (name, value) in [
            ("agreed", counts.agreed),
            ("wrong_certificate", counts.wrong_certificate),
            ("failed", counts.failed),
            ("refused", counts.refused),
            ("stray", counts.stray),
            ("going", going as u64),
        ] {
            self.count(format!("dtls.{name}"), value);
        }
        self
    }

    fn add_gateway(&mut self, gateway: &MediaGateway) {
        let of = gateway.status();
        self.contexts += of.contexts;
        self.terminations += of.terminations;
        self.gateways.push(Gateway {
            mid: of.mid.to_string(),
            mgc: of.mgc.map(|mgc| mgc.to_string()),
            state: of.state,
            contexts: of.contexts,
            terminations: of.terminations,
            ports_used: of.ports_used,
            ports: of.ports,
        });
        let (counters, transactions) = (gateway.counters(), gateway.transaction_counters());
        for (name, value) in [
            ("transactions", counters.transactions),
            ("commands", counters.commands),
            ("commands_refused", counters.commands_refused),
            ("unauthorized", counters.unauthorized),
            ("notifications", counters.notifications),
            ("notifications_lost", counters.notifications_lost),
            ("malformed", counters.malformed),
            ("timeouts", counters.timeouts),
            ("duplicates", transactions.duplicates),
            ("requests_repeated", transactions.requests_repeated),
            ("replies_repeated", transactions.replies_repeated),
            ("requests_refused", transactions.requests_refused),
        ] {
            self.count(format!("h248.{name}"), value);
        }
    }

    fn add_worker(&mut self, index: usize, stats: &WorkerStats) {
        self.workers.push(Worker {
            worker: index,
            received: stats.received,
            sent: stats.forwarded,
            delivered: stats.delivered,
            handed_over: stats.handed_over,
            dropped: stats.drops.total(),
            times: WorkerTimes {
                packets_us: stats.times.packets.as_micros() as u64,
                work: Spread::from(&stats.times.work),
                looks: Spread::from(&stats.times.looks),
            },
        });
        for &reason in DropReason::ALL {
            self.count(format!("drop.{}", reason.name()), stats.drops.of(reason));
        }
        for (name, value) in [
            ("received", stats.received),
            ("sent", stats.forwarded),
            ("delivered", stats.delivered),
            ("handed_over", stats.handed_over),
        ] {
            self.count(format!("packets.{name}"), value);
        }
    }

    fn count(&mut self, name: String, value: u64) {
        *self.counters.entry(name).or_default() += value;
    }
}
