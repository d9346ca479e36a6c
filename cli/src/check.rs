//! `strowger check`: validates a configuration without starting anything.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::failure::Failure;
use crate::media::config::MediaFile;
use crate::{control, media, output, process};

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// TOML file of a control or media process
    file: PathBuf,
    /// Which process it is for; found out by its keys when not given
    #[arg(long, value_enum)]
    kind: Option<Kind>,
}

/// The process that a file configures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Control,
    Media,
}

/// Checks the file; succeeds when a process would start with it.
pub fn run(args: &CheckArgs, as_json: bool) -> Result<(), Failure> {
    let text = process::read_config(&args.file)?;
    let kind = args.kind.unwrap_or_else(|| guess(&text));
    let what = match kind {
        Kind::Control => {
            let file = control::read(&args.file)?;
            let config = control::validate(file, &args.file.display().to_string())?;
            let roles: Vec<&str> = config.roles.iter().map(|role| role.name()).collect();
            format!("control: {} for {}", roles.join(", "), config.realm)
        }
        Kind::Media => {
            let file = media::read(&args.file)?;
            let config = media::validate(file, &args.file.display().to_string())?;
            let gateways: Vec<String> = config
                .gateways
                .iter()
                .map(|gateway| format!("{} at {}", gateway.function.name(), gateway.mid))
                .collect();
            format!("media: {}", gateways.join(", "))
        }
    };
    if as_json {
        output::print_json(&json!({ "file": args.file, "valid": true, "what": what }));
    } else {
        output::print(&format!("{}: good. {what}\n", args.file.display()));
    }
    Ok(())
}

/// A media file has keys that a control file has not.
fn guess(text: &str) -> Kind {
    let is_media = MediaFile::parse(text).is_ok_and(|file| file != MediaFile::default());
    let names_media = text.lines().any(|line| {
        let key = line.split('=').next().unwrap_or_default().trim();
        ["io", "cores", "[[mg]]"].contains(&key)
    });
    if is_media || names_media {
        Kind::Media
    } else {
        Kind::Control
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_tell_the_process() {
        assert_eq!(guess("realm = \"a.test\""), Kind::Control);
        assert_eq!(guess("[[mg]]\nports = \"1-2\""), Kind::Media);
        assert_eq!(guess("cores = \"0\"\nbad ="), Kind::Media);
        assert_eq!(guess(""), Kind::Control);
    }
}
