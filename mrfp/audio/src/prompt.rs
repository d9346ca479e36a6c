//! Announcements, languages and the variables they say.

mod fault;
mod language;
mod manifest;
mod rules;
mod variable;
mod voice;

pub use fault::PromptFault;
pub use manifest::AnnouncementId;
pub(crate) use manifest::{Prompts, Step};
pub use variable::{DateOrder, Variable};
pub(crate) use voice::RATE as VOICE_RATE;

/// Checks the folder of prompts as the start of a [`FileServer`](crate::FileServer) does.
///
/// # Errors
/// The first fault.
pub fn check_prompts(folder: &std::path::Path) -> Result<(), PromptFault> {
    Prompts::load(folder).map(drop)
}

/// Reads any text as a manifest and as a language: for fuzzing.
#[doc(hidden)]
pub fn parse_any(text: &str) {
    let file = std::path::Path::new("any.toml");
    let _ = language::Language::parse(file, text);
    let _ = manifest::parse_any(file, text);
}
