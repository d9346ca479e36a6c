//! `strowger play`: a user or a conference hears something.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Job, System, SystemArgs, parts};
use crate::failure::Failure;
use crate::output;

/// Flags of `play`.
#[derive(Debug, Args)]
pub struct PlayArgs {
    /// What is played, one after the other: names or numbers of prompts, files in the folder of
    /// prompts, URLs, values to be said as TYPE;SUBTYPE;VALUE
    #[arg(required = true, value_name = "PROMPT")]
    prompts: Vec<String>,
    /// User who is called: a SIP or tel URI, a number, or a name of the home network; by default a
    /// built-in telephone
    #[arg(long, value_name = "USER")]
    to: Option<String>,
    /// Conference that hears it
    #[arg(long, value_name = "NAME", conflicts_with = "to")]
    conference: Option<String>,
    /// How often; 0 plays until Ctrl-C
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    times: u32,
    /// Language of what is said, such as de
    #[arg(long, value_name = "TAG", default_value = "")]
    language: String,
    #[command(flatten)]
    system: SystemArgs,
}

/// Plays, and tells how that went.
pub fn run(args: &PlayArgs, as_json: bool) -> Result<ExitCode, Failure> {
    let mut system = System::find(&args.system)?;
    let telephone = match (&args.to, &args.conference) {
        (None, None) => Some(system.telephones(1, false)?),
        _ => None,
    };
    let user = args.to.clone();
    let user = user.or_else(|| telephone.as_ref()?.uris.first().cloned());
    let play = json!({
        "parts": parts(&args.prompts),
        "language": args.language,
        "times": args.times,
    });
    let wanted = match (&args.conference, user) {
        (Some(conference), _) => json!({ "conference": conference, "play": play }),
        (None, user) => json!({ "user": user, "play": play }),
    };
    let say = |text: &str| {
        if !as_json {
            output::print(&format!("{text}\n"));
        }
    };
    let mut job = Job::begin(&mut system, &wanted)?;
    job.follow(&mut system, &say)?;
    let heard = telephone.as_ref().map(|it| it.heard());
    if as_json {
        let mut told = job.now.clone();
        told["good"] = json!(job.is_good());
        told["packets_heard"] = json!(heard);
        output::print_json(&told);
    } else if job.is_good() {
        let how = match job.now["cause"].as_str() {
            Some("complete") => "played to its end",
            Some("hang-up") => "hung up there",
            _ => "stopped",
        };
        let heard = heard.map(|heard| format!("; the telephone heard {heard} packets"));
        say(&format!(
            "{how}, {}{}",
            job.length(),
            heard.unwrap_or_default()
        ));
    }
    match (job.is_good(), as_json) {
        (true, _) => Ok(ExitCode::SUCCESS),
        (false, true) => Ok(ExitCode::FAILURE),
        (false, false) => Err(job.failure()),
    }
}
