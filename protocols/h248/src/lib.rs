//! H.248.1 version 3, sans-IO: the abstract syntax ([`message`]), its text encoding ([`text`]) and error codes
//! ([`error`]).

pub mod error;
pub mod message;
pub mod package;
pub mod text;
pub mod transaction;
