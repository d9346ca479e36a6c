//! H.248 in captures of packets: each message in one line, or in full.

mod file;
mod packet;
mod summary;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use ::h248::binary::Naming;
use ::h248::encoding::{Encoding, Parsed, ParsedBody};
use ::h248::text::{self, Style};
use serde_json::json;

use crate::failure::Failure;
use crate::output;
use file::Reader;
use packet::{Carried, Dissector};
use summary::Summary;

/// How messages are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// One line each.
    Lines,
    /// And in pretty text.
    Whole,
    /// One JSON value each.
    Json,
}

/// Shows every message in a capture.
///
/// # Errors
/// The file cannot be read, or there is none in it.
pub fn show(path: &Path, show: Show) -> Result<(), Failure> {
    let cannot = |why: &dyn std::fmt::Display| {
        Failure::new(format!("cannot read {}", path.display()))
            .because(why)
            .remedy("Give a capture in pcap or pcapng, as tcpdump -w and dumpcap write them.")
    };
    let file = File::open(path).map_err(|fault| cannot(&fault))?;
    let mut reader = Reader::open(BufReader::new(file)).map_err(|fault| cannot(&fault))?;
    let (mut dissector, mut found) = (Dissector::default(), Vec::new());
    let (mut start, mut messages) = (None, 0);
    while let Some(record) = reader.next_record().map_err(|fault| cannot(&fault))? {
        let time = record
            .time
            .saturating_sub(*start.get_or_insert(record.time));
        dissector.handle(record.link, &record.octets, &mut found);
        for carried in found.drain(..) {
            messages += 1;
            output::print(&shown(time, &carried, show));
        }
    }
    if dissector.ip_fragments > 0 {
        eprintln!(
            "note: {} fragments of IP were not put together",
            dissector.ip_fragments
        );
    }
    if messages == 0 {
        return Err(Failure::new(format!("no H.248 in {}", path.display())).remedy(
            "Messages are looked for in UDP, in TPKTs of TCP, and in SCTP with payload protocol 7.",
        ));
    }
    Ok(())
}

/// One message for people or programs, with a line feed.
fn shown(time: Duration, carried: &Carried, show: Show) -> String {
    let is_binary = Encoding::is_binary(&carried.octets);
    let parsed = Encoding::parse(&carried.octets, &Naming::default());
    let encoding = if is_binary { "ber" } else { "text" };
    let summary = match &parsed {
        Ok(parsed) => Summary(parsed).to_string(),
        Err(fault) => format!("not readable: {fault}"),
    };
    let Carried {
        from, to, carrier, ..
    } = carried;
    let seconds = time.as_secs_f64();
    match show {
        Show::Lines => format!("{seconds:.6} {from} > {to} {carrier} {encoding} {summary}\n"),
        Show::Whole => format!(
            "; {seconds:.6} {from} > {to} {carrier} {encoding} {summary}\n{}\n",
            in_full(&carried.octets, parsed.ok()).trim_end()
        ),
        Show::Json => {
            let value = json!({
                "time": seconds, "from": from.to_string(), "to": to.to_string(),
                "carrier": carrier.to_string(), "encoding": encoding,
                "readable": parsed.is_ok(), "summary": summary,
                "text": in_full(&carried.octets, parsed.ok()),
            });
            format!("{value}\n")
        }
    }
}

/// The message in pretty text; as it stands when parts of it cannot be read.
pub fn in_full(octets: &[u8], parsed: Option<Parsed>) -> String {
    let readable = parsed.and_then(|parsed| match &parsed.body {
        ParsedBody::Transactions(all) if all.iter().any(Result::is_err) => None,
        _ => parsed.into_message().ok(),
    });
    match readable {
        Some(message) => {
            String::from_utf8_lossy(&text::to_vec(&message, Style::Pretty)).into_owned()
        }
        None if Encoding::is_binary(octets) => {
            octets.iter().map(|octet| format!("{octet:02x}")).collect()
        }
        None => String::from_utf8_lossy(octets).into_owned(),
    }
}
