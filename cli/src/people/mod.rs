//! `strowger play`, `record` and `conference`: what the MRFC of a running system does for whoever
//! is at the shell, with users who are called or with built-in telephones.

mod conference;
mod play;
mod record;
mod telephones;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::call::party::Access;
use crate::call::{PROXY, party};
use crate::failure::Failure;
use crate::http::{Answer, Client};
use crate::output;
use crate::process;
use crate::status::{self, CONTROL_ADMIN, MEDIA_ADMIN};
use crate::subscriber::token;
use telephones::Household;

pub use conference::ConferenceArgs;
pub use play::PlayArgs;
pub use record::RecordArgs;

pub use conference::run as confer;
pub use play::run as play;
pub use record::run as record;

/// How often it is asked how things are.
const POLL: Duration = Duration::from_millis(100);

/// Where the running system is.
#[derive(Debug, Args)]
pub struct SystemArgs {
    /// Admin address of the process that plays the MRFC
    #[arg(long, value_name = "IP:PORT", default_value_t = CONTROL_ADMIN)]
    admin: SocketAddr,
    /// State directory of that process, where its admin.token is
    #[arg(long, value_name = "DIR", default_value = "strowger/control")]
    state: PathBuf,
    /// Admin addresses of the media processes, for levels and recordings
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',', default_values_t = [MEDIA_ADMIN])]
    media: Vec<SocketAddr>,
    /// SIP address of the P-CSCF, for built-in telephones
    #[arg(long, value_name = "IP:PORT", default_value_t = PROXY)]
    proxy: SocketAddr,
}

/// The MRFC of a running system.
struct System<'a> {
    args: &'a SystemArgs,
    client: Client,
    stop: Arc<AtomicBool>,
}

impl<'a> System<'a> {
    /// Finds it, and lets signals end what is begun.
    fn find(args: &'a SystemArgs) -> Result<Self, Failure> {
        let remedy = "Start one with `strowger up`, or name the one that plays the MRFC with \
                      --admin IP:PORT and its state directory with --state DIR.";
        let token = match status::fetch(args.admin) {
            Ok(_) => token(&args.state).map_err(|failure| failure.remedy(remedy))?,
            Err(failure) => return Err(failure.remedy(remedy)),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        process::on_signal(move || told.store(true, Ordering::Release))?;
        Ok(Self {
            args,
            client: Client::new(args.admin).with_token(token),
            stop,
        })
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Telephones that register there.
    fn telephones(&self, count: usize, speak: bool) -> Result<Household, Failure> {
        let realm = party::home_realm(self.args.admin)?;
        let access = Access {
            admin: self.args.admin,
            state: &self.args.state,
            realm: Some(&realm),
        };
        Household::start(&access, self.args.proxy, count, speak).map_err(|failure| {
            failure.remedy(
                "Built-in telephones need an HSS behind --admin and a P-CSCF at --proxy. Users \
                 that there are can be named in their place.",
            )
        })
    }

    fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Failure> {
        self.client.request(method, path, None, body)
    }

    /// The same, and the answer must be good.
    fn demand(
        &mut self,
        what: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let answer = self.ask(method, path, body)?;
        match answer.status {
            200..300 => Ok(answer.body),
            _ => Err(Failure::new(what.to_owned()).because(answer.error())),
        }
    }

    /// The folder of recordings of the media process that is a gateway, if it says so.
    fn recordings_of(&self, gateway: &str) -> Option<PathBuf> {
        let mut told = self
            .args
            .media
            .iter()
            .filter_map(|it| status::fetch(*it).ok());
        told.find_map(|status| {
            let mut gateways = status["gateways"].as_array()?.iter();
            let is_it = |each: &Value| each["mid"].as_str().is_some_and(|mid| mid == gateway);
            gateways.find(|each| is_it(each))?;
            status["recordings"].as_str().map(PathBuf::from)
        })
    }
}

/// A job that is under way, asked for through the admin interface.
struct Job {
    id: u64,
    now: Value,
}

impl Job {
    fn begin(system: &mut System<'_>, wanted: &Value) -> Result<Self, Failure> {
        let now = system.demand("cannot begin", "POST", "/mrf/jobs", Some(wanted))?;
        let id = now["id"].as_u64();
        let id = id.ok_or_else(|| Failure::new("the MRFC deals no number"))?;
        Ok(Self { id, now })
    }

    fn refresh(&mut self, system: &mut System<'_>) -> Result<(), Failure> {
        let path = format!("/mrf/jobs/{}", self.id);
        self.now = system.demand("the job is lost", "GET", &path, None)?;
        Ok(())
    }

    fn end(&self, system: &mut System<'_>) -> Result<(), Failure> {
        let path = format!("/mrf/jobs/{}", self.id);
        system
            .demand("the job cannot be ended", "DELETE", &path, None)
            .map(drop)
    }

    fn state(&self) -> &str {
        self.now["state"].as_str().unwrap_or_default()
    }

    fn is_over(&self) -> bool {
        matches!(self.state(), "done" | "failed")
    }

    fn is_good(&self) -> bool {
        self.state() == "done"
    }

    /// Follows it to its end, which comes early when somebody stops it; says what happens.
    fn follow(&mut self, system: &mut System<'_>, say: &dyn Fn(&str)) -> Result<(), Failure> {
        let mut shown = String::new();
        let mut is_stopped = false;
        while !self.is_over() {
            if self.state() != shown {
                shown = self.state().to_owned();
                match (shown.as_str(), self.now["what"].as_str()) {
                    ("calling", _) => say(&format!("calling {}", output::cell(&self.now["with"]))),
                    (_, Some("record")) => say("recording; Ctrl-C ends it"),
                    _ => say("playing"),
                }
            }
            if system.is_stopped() && !is_stopped {
                is_stopped = true;
                self.end(system)?;
            } else {
                std::thread::sleep(POLL);
            }
            self.refresh(system)?;
        }
        Ok(())
    }

    /// Why it failed.
    fn failure(&self) -> Failure {
        let what = match (self.now["what"].as_str(), self.now["length_ms"].is_null()) {
            (Some("record"), _) => "nothing was recorded",
            (_, true) => "nothing was played",
            (_, false) => "not all was played",
        };
        let cause = output::cell(&self.now["cause"]);
        let status = &self.now["status"];
        let why = match status.as_u64() {
            Some(status) => format!("{} {cause}", status),
            None => cause,
        };
        let failure = Failure::new(what).because(why);
        match status.as_u64() {
            Some(480 | 404) => {
                failure.remedy("Is the user registered? See strowger subscriber list.")
            }
            Some(488 | 503) => failure.remedy(
                "An MRFP must be in service: strowger media --functions mrfp; strowger status \
                 shows the media gateways.",
            ),
            _ => failure,
        }
    }

    fn length(&self) -> String {
        let ms = self.now["length_ms"].as_u64().unwrap_or(0);
        format!("{}.{} s", ms / 1000, ms % 1000 / 100)
    }
}

/// What is to be played, as people write it: a URI as it is; a word is a prompt of the manifest, a
/// path a file in the folder of prompts, `TYPE;SUBTYPE;VALUE` a value that is said.
fn part(text: &str) -> String {
    let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let fields = text.split(';').count();
    match () {
        () if fields == 3 && !text.contains(':') => format!("var:{text}"),
        () if is_number || text.contains(':') => text.to_owned(),
        () if text.contains(['/', '.']) => format!("file:{text}"),
        () => format!("prompt:{text}"),
    }
}

fn parts(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| part(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_a_uri() {
        for (text, uri) in [
            ("goodbye", "prompt:goodbye"),
            ("17", "17"),
            ("en/closed.wav", "file:en/closed.wav"),
            ("http://media.test/a.wav", "http://media.test/a.wav"),
            ("recording:a.wav", "recording:a.wav"),
            ("date;ymd;20261121", "var:date;ymd;20261121"),
            ("time;t24;12:30", "time;t24;12:30"),
        ] {
            assert_eq!(part(text), uri);
        }
    }
}
