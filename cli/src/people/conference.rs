//! `strowger conference`: users meet, and whoever is at the shell sees who talks, and how loud.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::{Job, System, SystemArgs};
use crate::failure::Failure;
use crate::http::{Client, percent};
use crate::output::{self, Table};
use crate::status;
use crate::up::Screen;

/// Built-in telephones where nobody is invited.
const TELEPHONES: usize = 3;
/// How long they talk where nothing is said.
const TELEPHONES_TALK: Duration = Duration::from_secs(10);
/// The most of them.
const TELEPHONES_MAX: u8 = 32;
/// How often levels are looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long the conference may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(5);
/// What silence is, in dBov.
const SILENCE_DBOV: i64 = -127;

/// Flags of `conference`.
#[derive(Debug, Args)]
pub struct ConferenceArgs {
    /// Its name; by default the MRFC deals one. One that there is is watched
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Users who are called into it: SIP or tel URIs, numbers, or names of the home network
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    invite: Vec<String>,
    /// Built-in telephones that are called into it and speak in turn; 3 where nobody is invited
    /// and no name is given
    #[arg(long, value_name = "COUNT",
          value_parser = clap::value_parser!(u8).range(0..=i64::from(TELEPHONES_MAX)))]
    phones: Option<u8>,
    /// How long it lasts; by default until Ctrl-C or till the last one leaves, with telephones
    /// alone 10 s
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u32>,
    /// Records what is heard, under this name
    #[arg(long, value_name = "NAME")]
    record: Option<String>,
    /// Leaves the conference as it is at the end
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    system: SystemArgs,
}

/// Opens a conference, or finds it, and watches it.
pub fn run(args: &ConferenceArgs, as_json: bool) -> Result<ExitCode, Failure> {
    let mut system = System::find(&args.system)?;
    let known = match &args.name {
        Some(name) => find(&mut system, name)?,
        None => None,
    };
    let by_default = match args.invite.is_empty() && args.name.is_none() {
        true => TELEPHONES,
        false => 0,
    };
    let phones = args.phones.map_or(by_default, usize::from);
    let telephones = match phones {
        0 => None,
        count => Some(system.telephones(count, true)?),
    };
    let mut invite = args.invite.clone();
    invite.extend(telephones.iter().flat_map(|it| it.uris.iter().cloned()));
    let opened = known.is_none();
    let conference = match known {
        Some(conference) => {
            let name = percent(conference["name"].as_str().unwrap_or_default());
            for user in &invite {
                let path = format!("/mrf/conferences/{name}/members");
                let what = format!("cannot call {user}");
                system.demand(&what, "POST", &path, Some(&json!({ "user": user })))?;
            }
            conference
        }
        None => {
            let wanted = json!({ "name": args.name, "invite": invite });
            let what = "cannot open the conference";
            system.demand(what, "POST", "/mrf/conferences", Some(&wanted))?
        }
    };
    let lasts = match args.seconds {
        Some(seconds) => Some(Duration::from_secs(seconds.into())),
        None if !args.invite.is_empty() || telephones.is_none() => None,
        None => Some(TELEPHONES_TALK),
    };
    let mut watch = Watch::new(&conference, &args.system.media, as_json);
    watch.begin();
    let outcome = watch.run(&mut system, lasts, args.record.as_deref());
    if opened && !args.keep {
        end(&mut system, &watch.name)?;
    }
    outcome?;
    Ok(match watch.end() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn find(system: &mut System<'_>, name: &str) -> Result<Option<Value>, Failure> {
    let seen = system.demand("cannot see conferences", "GET", "/mrf", None)?;
    let mut all = seen["conferences"].as_array().into_iter().flatten();
    Ok(all.find(|it| it["name"] == name).cloned())
}

/// Ends a conference and waits until it is gone.
fn end(system: &mut System<'_>, name: &str) -> Result<(), Failure> {
    let path = format!("/mrf/conferences/{}", percent(name));
    let answer = system.ask("DELETE", &path, None)?;
    if !matches!(answer.status, 204 | 404) {
        return Err(Failure::new("the conference does not end").because(answer.error()));
    }
    let until = Instant::now() + END_LIMIT;
    while find(system, name)?.is_some() && Instant::now() < until {
        thread::sleep(super::POLL);
    }
    Ok(())
}

/// What is seen of a conference.
struct Watch {
    name: String,
    uri: String,
    media: Vec<Client>,
    screen: Screen,
    as_json: bool,
    began: Instant,
    /// By number: who is or was there.
    seen: BTreeMap<u64, Seen>,
    misses_levels: bool,
}

/// A member.
struct Seen {
    user: String,
    state: String,
    is_there: bool,
    is_talking: bool,
    level: Option<i64>,
    loudest: Option<i64>,
    talked: Duration,
}

impl Watch {
    fn new(conference: &Value, media: &[SocketAddr], as_json: bool) -> Self {
        let text = |key: &str| conference[key].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            uri: text("uri"),
            media: media.iter().map(|address| Client::new(*address)).collect(),
            screen: Screen::new(),
            as_json,
            began: Instant::now(),
            seen: BTreeMap::new(),
            misses_levels: false,
        }
    }

    fn begin(&self) {
        if self.as_json {
            let uri = (!self.uri.is_empty()).then_some(&self.uri);
            return self.event(&json!({ "event": "opened", "uri": uri }));
        }
        let joins = match self.uri.is_empty() {
            true => String::new(),
            false => format!(": others call {}", self.uri),
        };
        self.say(&format!("conference {}{joins}", self.name));
    }

    /// Watches until it is over.
    fn run(
        &mut self,
        system: &mut System<'_>,
        lasts: Option<Duration>,
        record: Option<&str>,
    ) -> Result<(), Failure> {
        let mut recording: Option<Job> = None;
        let mut last = Instant::now();
        loop {
            let found = find(system, &self.name)?;
            let is_over = found.is_none();
            let levels = self.levels();
            let members = found.map_or(Value::Null, |mut it| it["members"].take());
            self.look(&members, &levels, last.elapsed());
            last = Instant::now();
            let somebody = self.seen.values().any(|it| it.state == "connected");
            if let (Some(name), None, true) = (record, &recording, somebody) {
                recording = Some(self.begin_recording(system, name)?);
            }
            let is_late = lasts.is_some_and(|lasts| self.began.elapsed() >= lasts);
            if is_over || is_late || system.is_stopped() {
                break;
            }
            self.show();
            thread::sleep(LOOK);
        }
        self.status("");
        if let Some(mut job) = recording {
            job.end(system)?;
            job.follow(system, &|_| {})?;
            self.tell_recording(system, &job)?;
        }
        Ok(())
    }

    fn begin_recording(&self, system: &mut System<'_>, name: &str) -> Result<Job, Failure> {
        let name = match name.contains('.') {
            true => name.to_owned(),
            false => format!("{name}.wav"),
        };
        let record = json!({ "name": name, "seconds": 6 * 3600 });
        Job::begin(
            system,
            &json!({ "conference": self.name, "record": record }),
        )
    }

    fn tell_recording(&self, system: &System<'_>, job: &Job) -> Result<(), Failure> {
        if !job.is_good() {
            return Err(job.failure());
        }
        let gateway = job.now["gateway"].as_str().unwrap_or_default();
        let name = job.now["recording"].as_str().unwrap_or_default();
        let file = system
            .recordings_of(gateway)
            .map(|folder| folder.join(name));
        match (self.as_json, file) {
            (true, file) => self.event(&json!({
                "event": "recorded", "recording": name, "file": file,
                "length_ms": job.now["length_ms"],
            })),
            (false, Some(file)) => {
                self.say(&format!("recorded {}: {}", job.length(), file.display()));
            }
            (false, None) => self.say(&format!("recorded {}: {name} of {gateway}", job.length())),
        }
        Ok(())
    }

    /// What the media processes say of each stream, by where it is received.
    fn levels(&mut self) -> BTreeMap<String, (bool, i64)> {
        let mut levels = BTreeMap::new();
        let mut misses = true;
        for client in &mut self.media {
            let Ok(status) = status::fetch_with(client) else {
                continue;
            };
            misses = false;
            let rooms = status["rooms"].as_array().into_iter().flatten();
            for stream in rooms.flat_map(|room| room["streams"].as_array().into_iter().flatten()) {
                if let Some(local) = stream["local"].as_str() {
                    let level = stream["level_dbov"].as_i64().unwrap_or(SILENCE_DBOV);
                    let is_talking = stream["is_talking"] == true;
                    levels.insert(local.to_owned(), (is_talking, level));
                }
            }
        }
        if misses && !self.misses_levels {
            self.misses_levels = true;
            self.say("no levels are seen: name the media processes with --media IP:PORT");
        }
        levels
    }

    /// Takes in how it is now, and tells what has changed.
    fn look(&mut self, members: &Value, levels: &BTreeMap<String, (bool, i64)>, since: Duration) {
        let members: Vec<&Value> = members.as_array().into_iter().flatten().collect();
        let mut told = Vec::new();
        for member in &members {
            let Some(id) = member["id"].as_u64() else {
                continue;
            };
            let state = member["state"].as_str().unwrap_or_default();
            let local = member["local"].as_str().unwrap_or_default();
            let heard = levels.get(local).copied();
            let seen = self.seen.entry(id).or_insert_with(|| Seen {
                user: member["user"].as_str().unwrap_or_default().to_owned(),
                state: String::new(),
                is_there: true,
                is_talking: false,
                level: None,
                loudest: None,
                talked: Duration::ZERO,
            });
            if seen.state != state {
                state.clone_into(&mut seen.state);
                told.push((id, state.to_owned()));
            }
            let (is_talking, level) = heard.map_or((false, None), |(talks, at)| (talks, Some(at)));
            seen.level = level;
            if is_talking {
                seen.talked += since;
                seen.loudest = seen.loudest.max(level);
            }
            if seen.is_talking != is_talking {
                seen.is_talking = is_talking;
                told.push((
                    id,
                    if is_talking { "talks" } else { "is silent" }.to_owned(),
                ));
            }
        }
        for (id, seen) in &mut self.seen {
            let is_there = members.iter().any(|it| it["id"].as_u64() == Some(*id));
            if seen.is_there && !is_there {
                (seen.is_there, seen.is_talking, seen.level) = (false, false, None);
                told.push((*id, "left".to_owned()));
            }
        }
        for (id, what) in told {
            self.tell(id, &what);
        }
    }

    fn tell(&self, id: u64, what: &str) {
        let Some(seen) = self.seen.get(&id) else {
            return;
        };
        if self.as_json {
            return self.event(&json!({
                "event": what, "user": seen.user, "level_dbov": seen.level,
            }));
        }
        let level = seen.level.filter(|_| what == "talks");
        let level = level.map(|level| format!(", {level} dBov"));
        self.say(&format!(
            "{} {what}{}",
            seen.user,
            level.unwrap_or_default()
        ));
    }

    /// Who talks, in one line that is written anew on a terminal.
    fn show(&self) {
        if !self.screen.is_terminal() {
            return;
        }
        let there = self.seen.values().filter(|it| it.is_there);
        let each = there.map(|seen| {
            let name = seen.user.trim_start_matches("sip:");
            let name = name.split('@').next().unwrap_or(name);
            match seen.level {
                Some(level) => format!("{name} {} {level} dBov", bar(level)),
                None => format!("{name} {}", seen.state),
            }
        });
        self.status(&each.collect::<Vec<_>>().join(" · "));
    }

    /// Tells how it was; false when nobody came.
    fn end(&self) -> bool {
        let came = |seen: &&Seen| seen.state != "dialing-out" && !seen.state.is_empty();
        let is_good = self.seen.values().any(|seen| came(&seen));
        let all = self.seen.values();
        if self.as_json {
            let members: Vec<Value> = all
                .map(|seen| {
                    json!({
                        "user": seen.user, "came": came(&seen),
                        "talked_ms": u64::try_from(seen.talked.as_millis()).unwrap_or(u64::MAX),
                        "loudest_dbov": seen.loudest,
                    })
                })
                .collect();
            self.event(&json!({ "event": "ended", "good": is_good, "members": members }));
            return is_good;
        }
        let mut table = Table::new(&["member", "talked s", "loudest dBov"]);
        for seen in all {
            let talked = match came(&seen) {
                true => format!("{:.1}", seen.talked.as_secs_f64()),
                false => "not come".to_owned(),
            };
            let loudest = seen
                .loudest
                .map_or("-".to_owned(), |level| level.to_string());
            table.row(vec![seen.user.clone(), talked, loudest]);
        }
        output::print(&format!("\n{}", table.text()));
        if !is_good {
            output::print("nobody came\n");
        }
        is_good
    }

    fn event(&self, event: &Value) {
        let mut event = event.clone();
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        event["at_ms"] = json!(ms);
        event["conference"] = json!(self.name);
        output::print(&format!("{event}\n"));
    }

    fn say(&self, text: &str) {
        if !self.as_json {
            self.screen.line(text);
        }
    }

    fn status(&self, text: &str) {
        if !self.as_json && self.screen.is_terminal() {
            self.screen.status(text);
        }
    }
}

/// A level as a bar of five: each is 12 dB, down from the loudest.
fn bar(level_dbov: i64) -> String {
    let full = (60 + level_dbov).clamp(0, 59) / 12 + i64::from(level_dbov > -60);
    let full = usize::try_from(full).unwrap_or(0).min(5);
    format!("{}{}", "▮".repeat(full), "▯".repeat(5 - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_longer_for_what_is_louder() {
        assert_eq!(bar(-127), "▯▯▯▯▯");
        assert_eq!(bar(-60), "▯▯▯▯▯");
        assert_eq!(bar(-50), "▮▯▯▯▯");
        assert_eq!(bar(-20), "▮▮▮▮▯");
        assert_eq!(bar(0), "▮▮▮▮▮");
    }

    #[test]
    fn what_changes_is_seen_and_added_up() {
        let conference = json!({ "name": "team", "uri": "sip:mrfc.team@192.0.2.1:5060" });
        let mut watch = Watch::new(&conference, &[], true);
        let alice = |state: &str| {
            json!([{
                "id": 1, "user": "sip:alice@ims.test", "state": state,
                "local": "192.0.2.9:4000",
            }])
        };
        let talks = BTreeMap::from([("192.0.2.9:4000".to_owned(), (true, -20))]);
        let second = Duration::from_secs(1);
        watch.look(&alice("dialing-out"), &BTreeMap::new(), second);
        assert!(!watch.end());
        watch.look(&alice("connected"), &talks, second);
        watch.look(&alice("connected"), &talks, second);
        watch.look(&json!([]), &BTreeMap::new(), second);
        let seen = &watch.seen[&1];
        assert_eq!((seen.talked, seen.loudest), (2 * second, Some(-20)));
        assert!(!seen.is_there && watch.end());
    }
}
