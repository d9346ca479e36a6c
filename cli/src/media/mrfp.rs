//! `[mrfp]`: what gateways with the function of that name are told beside what all are.

use std::path::PathBuf;

use audio::{FileServer, HttpConfig, LibraryConfig};
use serde::{Deserialize, Serialize};

use super::config::{ConfigError, error};
use crate::failure::Failure;

/// The table as a file has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MrfpFile {
    /// Folder of what is announced.
    pub prompts: Option<PathBuf>,
    /// Folder of what is recorded.
    pub recordings: Option<PathBuf>,
    /// Hosts that announcements are fetched from by HTTP.
    pub http_hosts: Option<Vec<String>>,
    /// Whose tones are played, as ISO 3166-1 names it.
    pub country: Option<String>,
    /// Effort of the Opus encoder.
    pub opus_complexity: Option<u8>,
    /// What one room may cost a worker before another has part of it, in percent of its time.
    pub room_percent: Option<u8>,
}

/// The same, checked.
#[derive(Clone, Debug)]
pub struct MrfpConfig {
    /// What the media plane is told.
    pub plane: mrfp::MrfpConfig,
    /// Where files are; `None` without any.
    pub files: Option<audio::Config>,
}

impl MrfpFile {
    /// Lays what flags say over this.
    pub fn overridden_by(self, over: Option<Self>) -> Self {
        let over = over.unwrap_or_default();
        Self {
            prompts: over.prompts.or(self.prompts),
            recordings: over.recordings.or(self.recordings),
            http_hosts: over.http_hosts.or(self.http_hosts),
            country: over.country.or(self.country),
            opus_complexity: over.opus_complexity.or(self.opus_complexity),
            room_percent: over.room_percent.or(self.room_percent),
        }
    }

    /// What flags say, if they say anything.
    pub fn from_flags(prompts: Option<PathBuf>, recordings: Option<PathBuf>) -> Option<Self> {
        let is_told = prompts.is_some() || recordings.is_some();
        is_told.then(|| Self {
            prompts,
            recordings,
            ..Self::default()
        })
    }

    /// Checks what is said.
    ///
    /// # Errors
    /// The first key that cannot be used.
    pub fn validate(self) -> Result<MrfpConfig, ConfigError> {
        let defaults = mrfp::MrfpConfig::default();
        let country = self.country.unwrap_or(defaults.country);
        if !mrfp::has_tones(&country) {
            let remedy = "name one of those in dataplane/media/src/tone/countries.tsv: de, gb, us";
            return Err(error("mrfp.country", format!("{country:?}"), remedy));
        }
        let opus_complexity = self.opus_complexity.unwrap_or(defaults.opus_complexity);
        if opus_complexity > COMPLEXITY_MAX {
            let remedy = format!("give 0 to {COMPLEXITY_MAX}");
            return Err(error("mrfp.opus_complexity", opus_complexity, remedy));
        }
        let files = match (self.prompts, self.recordings) {
            (None, None) => None,
            (prompts, Some(recordings)) => {
                // What is built in is there without a folder.
                let mut library = LibraryConfig::new(prompts.unwrap_or_default());
                library.http = HttpConfig {
                    hosts: self.http_hosts.unwrap_or_default(),
                    ..HttpConfig::default()
                };
                Some(audio::Config {
                    library,
                    recordings,
                })
            }
            (Some(_), None) => {
                let remedy = "name this folder too, of this process alone";
                return Err(error("mrfp.recordings", "(none)", remedy));
            }
        };
        let part_cost_max = match self.room_percent {
            None => defaults.part_cost_max,
            Some(percent @ 1..=100) => mrfp::TICK * u32::from(percent) / 100,
            Some(percent) => return Err(error("mrfp.room_percent", percent, "give 1 to 100")),
        };
        Ok(MrfpConfig {
            plane: mrfp::MrfpConfig {
                country,
                opus_complexity,
                part_cost_max,
            },
            files,
        })
    }
}

/// Starts the threads that have the files; `wake` is called when one has done something.
///
/// # Errors
/// A folder that cannot be used.
pub fn open_files(
    config: &MrfpConfig,
    wake: impl Fn() + Send + Sync + 'static,
) -> Result<Option<FileServer>, Failure> {
    let Some(files) = &config.files else {
        return Ok(None);
    };
    let prompts = &files.library.prompts;
    if !prompts.as_os_str().is_empty() && !prompts.is_dir() {
        return Err(Failure::new("cannot play announcements")
            .because(format!("{} is no folder", prompts.display()))
            .remedy("Name the folder of prompts with --prompts, or mrfp.prompts."));
    }
    let started = FileServer::start(files.clone(), wake).map_err(|fault| {
        Failure::new("cannot have announcements and recordings")
            .because(fault)
            .remedy("Give --recordings a folder of this process alone, and mend the prompts.")
    })?;
    Ok(Some(started))
}

/// The highest effort of Opus.
const COMPLEXITY_MAX: u8 = 10;

#[cfg(test)]
mod tests {
    use super::super::config::{MediaConfig, MediaFile};
    use super::*;

    fn config(text: &str) -> Result<MediaConfig, ConfigError> {
        MediaFile::parse(text).and_then(MediaFile::validate)
    }

    #[test]
    fn the_table_is_told_to_the_function() {
        let text = "[mrfp]\nprompts = \"p\"\nrecordings = \"r\"\nhttp_hosts = [\"media.test\"]\n\
                    country = \"gb\"\nopus_complexity = 9\nroom_percent = 25\n[[mg]]\nfunction = \"mrfp\"\n";
        let mrfp = config(text).expect("valid").mrfp.expect("told");
        assert_eq!(
            (&*mrfp.plane.country, mrfp.plane.opus_complexity),
            ("gb", 9)
        );
        assert_eq!(mrfp.plane.part_cost_max.as_millis(), 5);
        let files = mrfp.files.expect("there are folders");
        assert_eq!(files.library.http.hosts, ["media.test"]);
        let text = "[[mg]]\nfunction = \"mrfp\"\n";
        assert!(
            config(text)
                .expect("valid")
                .mrfp
                .expect("defaults")
                .files
                .is_none()
        );
        assert!(config("").expect("valid").mrfp.is_none());
    }

    #[test]
    fn each_bad_value_names_its_key() {
        let mg = "[[mg]]\nfunction = \"mrfp\"\n";
        for (text, key) in [
            ("[mrfp]\ncountry = \"xx\"\n", "mrfp.country"),
            ("[mrfp]\nopus_complexity = 11\n", "mrfp.opus_complexity"),
            ("[mrfp]\nroom_percent = 0\n", "mrfp.room_percent"),
            ("[mrfp]\nprompts = \"p\"\n", "mrfp.recordings"),
        ] {
            let fault = config(&format!("{text}{mg}")).expect_err("refused");
            assert_eq!(fault.key, key, "{text}");
        }
        assert_eq!(config("[mrfp]\n").expect_err("refused").key, "mrfp");
        let text = "[[mg]]\nfunction = \"mrfp\"\nprofile = \"iq\"\n";
        assert_eq!(config(text).expect_err("refused").key, "mg[0].profile");
    }
}
