//! How a call went, and whether that was good.

use std::time::Duration;

use load::media::Report;
use serde_json::{Value, json};

use super::conversation::Side;
use crate::output::Table;

/// The least mean opinion score of a good call; G.711 without loss has 4.41 (ITU-T G.107).
const MOS_MIN: f64 = 4.3;
/// The least correlation of what is heard with what was said.
const LIKENESS_MIN: f32 = 0.9;

/// How a call went.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Public identities of caller and callee.
    pub names: [String; 2],
    /// How long it took until each other was heard.
    pub set_up: SetUp,
    /// How long they talked.
    pub talk: Duration,
    /// From the caller to the callee, and back.
    pub directions: [Direction; 2],
    /// What else makes the call bad.
    pub faults: Vec<String>,
}

/// How long it took until each other was heard.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetUp {
    /// From the first REGISTER to the 200 of each side.
    pub registered: [Option<Duration>; 2],
    /// From INVITE to 180 at the caller.
    pub ringing: Option<Duration>,
    /// From INVITE to 200 at the caller.
    pub answered: Option<Duration>,
    /// From INVITE to the first RTP packet that each side heard.
    pub first_rtp: [Option<Duration>; 2],
}

/// The audio of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Direction {
    /// Who talks.
    pub from: Side,
    /// RTP packets sent there.
    pub sent: u64,
    /// Packets not sent because this machine was too slow.
    pub skipped: u64,
    /// How they were heard.
    pub heard: Report,
}

impl Direction {
    /// From the reports of the one who talks and the one who listens.
    pub fn new(from: Side, there: &Report, here: &Report) -> Self {
        Self {
            from,
            sent: there.sent,
            skipped: there.skipped,
            heard: *here,
        }
    }

    /// Packets that never came; those at the very end are missed by count only.
    pub fn lost(&self) -> u64 {
        let missing = self.sent.saturating_sub(self.heard.received);
        self.heard.lost.max(missing)
    }

    fn name(&self) -> String {
        format!("{} to {}", self.from.name(), self.from.other().name())
    }

    /// What is bad about it.
    fn faults(&self) -> Vec<String> {
        let (name, heard) = (self.name(), &self.heard);
        let mut faults = Vec::new();
        if self.sent == 0 {
            return vec![format!("{name}: nothing was sent")];
        }
        if heard.received == 0 {
            return vec![format!("{name}: nothing arrived of {} packets", self.sent)];
        }
        if self.lost() > 0 {
            faults.push(format!(
                "{name}: {} of {} packets were lost",
                self.lost(),
                self.sent
            ));
        }
        if heard.received > self.sent || heard.duplicates > 0 {
            faults.push(format!("{name}: packets came more than once"));
        }
        if heard.refused > 0 {
            let refused = heard.refused;
            faults.push(format!(
                "{name}: {refused} packets were no audio that was agreed on"
            ));
        }
        if heard.mos < MOS_MIN {
            faults.push(format!("{name}: MOS {:.2} is below {MOS_MIN}", heard.mos));
        }
        if let Some(likeness) = heard.likeness.filter(|likeness| *likeness < LIKENESS_MIN) {
            faults.push(format!(
                "{name}: what is heard is not what was said (likeness {likeness:.2})"
            ));
        }
        faults
    }

    fn json(&self) -> Value {
        let heard = &self.heard;
        json!({
            "from": self.from.name(),
            "to": self.from.other().name(),
            "sent": self.sent,
            "received": heard.received,
            "lost": self.lost(),
            "duplicates": heard.duplicates,
            "reordered": heard.reordered,
            "refused": heard.refused,
            "skipped": self.skipped,
            "jitter_ms": rounded(millis(heard.jitter)),
            "jitter_max_ms": rounded(millis(heard.jitter_max)),
            "round_trip_ms": heard.round_trip.map(|time| rounded(millis(time))),
            "mos": rounded(heard.mos),
            "rating": rounded(heard.rating),
            "likeness": heard.likeness.map(|likeness| rounded(likeness.into())),
        })
    }
}

impl Summary {
    /// Everything that is bad about the call; nothing when it was good.
    pub fn faults(&self) -> Vec<String> {
        let directions = self.directions.iter().flat_map(Direction::faults);
        directions.chain(self.faults.iter().cloned()).collect()
    }

    /// True for packets equal at both ends of both directions, none lost, and speech that is
    /// understood without effort.
    pub fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// For people.
    pub fn text(&self) -> String {
        let [caller, callee] = &self.names;
        let [heard_by_caller, heard_by_callee] = self.set_up.first_rtp.map(time);
        let mut set_up = Table::new(&[]);
        let mut row = |name: &str, value: String| set_up.row(vec![format!("  {name}"), value]);
        let [caller_in, callee_in] = self.set_up.registered.map(time);
        row("registered", format!("{caller_in} and {callee_in}"));
        row("180 Ringing", time(self.set_up.ringing));
        row("200 OK", time(self.set_up.answered));
        let first = format!("{heard_by_callee} at the callee, {heard_by_caller} at the caller");
        row("first RTP", first);
        row("talk", format!("{} s", self.talk.as_secs()));
        let mut audio = Table::new(&[
            "  audio",
            "sent",
            "received",
            "lost",
            "jitter ms",
            "MOS",
            "likeness",
        ]);
        for direction in &self.directions {
            let heard = &direction.heard;
            audio.row(vec![
                format!("  {}", direction.name()),
                direction.sent.to_string(),
                heard.received.to_string(),
                direction.lost().to_string(),
                format!("{:.2}", millis(heard.jitter)),
                format!("{:.2}", heard.mos),
                heard
                    .likeness
                    .map_or("-".into(), |likeness| format!("{likeness:.3}")),
            ]);
        }
        let mut text = format!("{caller} called {callee}\n\n");
        text.push_str(&set_up.text());
        text.push('\n');
        text.push_str(&audio.text());
        text.push('\n');
        let skipped: u64 = self.directions.iter().map(|each| each.skipped).sum();
        if skipped > 0 {
            text.push_str(&format!(
                "note: this machine was too busy to send {skipped} packets in time\n"
            ));
        }
        let faults = self.faults();
        if faults.is_empty() {
            text.push_str("good: every packet arrived, both ways\n");
        }
        for fault in faults {
            text.push_str(&format!("bad: {fault}\n"));
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let [caller, callee] = &self.names;
        let ms = |time: Option<Duration>| time.map(|time| rounded(millis(time)));
        let [caller_in, callee_in] = self.set_up.registered.map(ms);
        let [heard_by_caller, heard_by_callee] = self.set_up.first_rtp.map(ms);
        json!({
            "good": self.is_good(),
            "faults": self.faults(),
            "caller": caller,
            "callee": callee,
            "set_up_ms": {
                "caller_registered": caller_in,
                "callee_registered": callee_in,
                "ringing": ms(self.set_up.ringing),
                "answered": ms(self.set_up.answered),
                "first_rtp_at_caller": heard_by_caller,
                "first_rtp_at_callee": heard_by_callee,
            },
            "talk_s": self.talk.as_secs(),
            "directions": self.directions.iter().map(Direction::json).collect::<Vec<_>>(),
        })
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Three decimals: microseconds of a time in milliseconds.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

fn time(time: Option<Duration>) -> String {
    time.map_or("-".into(), |time| format!("{:.1} ms", millis(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(received: u64) -> Report {
        Report {
            received,
            mos: 4.41,
            rating: 93.2,
            likeness: Some(0.99),
            jitter: Duration::from_micros(40),
            ..Report::default()
        }
    }

    fn summary(heard: Report) -> Summary {
        let direction = |from| Direction {
            from,
            sent: 250,
            skipped: 0,
            heard,
        };
        Summary {
            names: ["sip:a@ims.test".into(), "sip:b@ims.test".into()],
            set_up: SetUp {
                answered: Some(Duration::from_micros(12_345)),
                ..SetUp::default()
            },
            talk: Duration::from_secs(5),
            directions: [direction(Side::Caller), direction(Side::Callee)],
            faults: Vec::new(),
        }
    }

    #[test]
    fn a_complete_call_is_good() {
        let good = summary(heard(250));
        assert!(good.is_good());
        let text = good.text();
        for part in [
            "200 OK       12.3 ms\n",
            "caller to callee",
            "4.41",
            "good: ",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        let json = good.json();
        assert_eq!(json["good"], true);
        assert_eq!(json["set_up_ms"]["answered"], 12.345);
        assert_eq!(json["set_up_ms"]["ringing"], Value::Null);
        assert_eq!(json["directions"][1]["from"], "callee");
        assert_eq!(json["directions"][0]["received"], 250);
        assert_eq!(json["directions"][0]["jitter_ms"], 0.04);
    }

    #[test]
    fn each_thing_that_is_bad_makes_the_call_bad_and_is_named() {
        let cases = [
            (heard(0), "nothing arrived"),
            (heard(249), "1 of 250 packets"),
            (heard(251), "more than once"),
            (
                Report {
                    lost: 2,
                    ..heard(250)
                },
                "2 of 250 packets",
            ),
            (
                Report {
                    mos: 4.2,
                    ..heard(250)
                },
                "MOS 4.20 is below 4.3",
            ),
            (
                Report {
                    likeness: Some(0.1),
                    ..heard(250)
                },
                "not what was said",
            ),
            (
                Report {
                    refused: 1,
                    ..heard(250)
                },
                "no audio",
            ),
        ];
        for (heard, words) in cases {
            let bad = summary(heard);
            assert!(!bad.is_good(), "{heard:?}");
            assert!(bad.text().contains("bad: caller to callee: "));
            assert!(
                bad.text().contains(words),
                "{words:?} is not in\n{}",
                bad.text()
            );
            assert_eq!(bad.json()["good"], false);
        }
        let mut bad = summary(heard(250));
        bad.faults.push("nobody answered the BYE".into());
        assert!(!bad.is_good());
    }

    #[test]
    fn what_was_never_sent_is_not_good() {
        let mut silent = summary(heard(0));
        silent.directions[0].sent = 0;
        assert!(silent.text().contains("caller to callee: nothing was sent"));
    }
}
