//! Errors of commands: the descriptors of H.248.8 that replies carry.

use h248::error::ErrorCode;
use h248::message::ErrorDescriptor;

/// What a part of a command came to.
pub(crate) type Result<T> = std::result::Result<T, ErrorDescriptor>;

/// The error with the words of H.248.8.
pub(crate) fn error(code: ErrorCode) -> ErrorDescriptor {
    ErrorDescriptor::new(code)
}

/// The error with what it is about: the words that the definitions of most codes ask for.
pub(crate) fn about(code: ErrorCode, what: impl ToString) -> ErrorDescriptor {
    ErrorDescriptor::with_text(code, what.to_string())
}
