//! `strowger record`: what a user says, or what a conference hears, becomes a file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;

use super::{Job, System, SystemArgs, parts};
use crate::failure::Failure;
use crate::output;

/// Flags of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Name of the recording; its ending chooses the format: .wav, .amr, .opus. By default it has
    /// the time in it
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// User who is called: a SIP or tel URI, a number, or a name of the home network; by default a
    /// built-in telephone that speaks
    #[arg(long, value_name = "USER")]
    from: Option<String>,
    /// Conference that is recorded
    #[arg(long, value_name = "NAME", conflicts_with = "from")]
    conference: Option<String>,
    /// The longest it may become
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=6 * 3600))]
    seconds: u32,
    /// Seconds of silence that end it
    #[arg(long, value_name = "SECONDS")]
    silence: Option<u32>,
    /// Keys that end it, such as #
    #[arg(long, value_name = "KEYS", default_value = "")]
    keys: String,
    /// What the user hears before
    #[arg(long, value_name = "PROMPT")]
    prompt: Vec<String>,
    /// File that the recording is copied to
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    system: SystemArgs,
}

/// Records, and tells where it is.
pub fn run(args: &RecordArgs, as_json: bool) -> Result<ExitCode, Failure> {
    let mut system = System::find(&args.system)?;
    let telephone = match (&args.from, &args.conference) {
        (None, None) => Some(system.telephones(1, true)?),
        _ => None,
    };
    let user = args.from.clone();
    let user = user.or_else(|| telephone.as_ref()?.uris.first().cloned());
    let record = json!({
        "name": name(args.name.as_deref()),
        "seconds": args.seconds,
        "silence": args.silence,
        "keys": args.keys,
        "prompt": parts(&args.prompt),
    });
    let wanted = match (&args.conference, user) {
        (Some(conference), _) => json!({ "conference": conference, "record": record }),
        (None, user) => json!({ "user": user, "record": record }),
    };
    let say = |text: &str| {
        if !as_json {
            output::print(&format!("{text}\n"));
        }
    };
    let mut job = Job::begin(&mut system, &wanted)?;
    job.follow(&mut system, &say)?;
    let place = match job.is_good() {
        true => place(args, &system, &job)?,
        false => None,
    };
    if as_json {
        let mut told = job.now.clone();
        told["good"] = json!(job.is_good());
        told["file"] = json!(place);
        output::print_json(&told);
    } else if job.is_good() {
        let where_to = match &place {
            Some(path) => path.display().to_string(),
            None => format!(
                "{} in the recordings of the MRFP {}",
                output::cell(&job.now["recording"]),
                output::cell(&job.now["gateway"])
            ),
        };
        let cause = match job.now["cause"].as_str() {
            Some("silence") => ", ended by silence",
            Some("key") => ", ended by a key",
            Some("hang-up") => ", ended by hanging up",
            _ => "",
        };
        say(&format!("recorded {}{cause}: {where_to}", job.length()));
    }
    match (job.is_good(), as_json) {
        (true, _) => Ok(ExitCode::SUCCESS),
        (false, true) => Ok(ExitCode::FAILURE),
        (false, false) => Err(job.failure()),
    }
}

/// Where the file is on this machine, copied where that was asked for.
fn place(args: &RecordArgs, system: &System<'_>, job: &Job) -> Result<Option<PathBuf>, Failure> {
    let gateway = job.now["gateway"].as_str().unwrap_or_default();
    let name = job.now["recording"].as_str().unwrap_or_default();
    let file = system
        .recordings_of(gateway)
        .map(|folder| folder.join(name));
    let Some(wanted) = &args.output else {
        return Ok(file);
    };
    let cannot = || Failure::new(format!("cannot copy {name} to {}", wanted.display()));
    let Some(file) = file else {
        return Err(cannot()
            .because(format!(
                "the MRFP {gateway} does not say where its recordings are"
            ))
            .remedy("Name the admin address of its process with --media IP:PORT."));
    };
    std::fs::copy(&file, wanted).map_err(|fault| {
        cannot()
            .because(format!("{}: {fault}", file.display()))
            .remedy("A recording stays on the machine of its MRFP: run this there.")
    })?;
    Ok(Some(wanted.clone()))
}

/// What a recording is called.
fn name(asked: Option<&str>) -> String {
    match asked {
        Some(name) if name.contains('.') => name.to_owned(),
        Some(name) => format!("{name}.wav"),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            format!("recording-{}.wav", now.map_or(0, |now| now.as_millis()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_has_an_ending() {
        assert_eq!(name(Some("a")), "a.wav");
        assert_eq!(name(Some("a.opus")), "a.opus");
        assert!(name(None).starts_with("recording-") && name(None).ends_with(".wav"));
    }
}
