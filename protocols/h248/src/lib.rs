//! H.248.1 version 3, sans-IO, for media gateways and their controllers.
//!
//! - [`message`]: the abstract syntax (A.2), one value for every encoding.
//! - [`text`]: the text encoding (Annex B), with errors that say what is wrong and where.
//! - [`binary`]: the binary encoding (Annex A), likewise.
//! - [`encoding`]: what both have in common.
//! - [`transaction`]: at-most-once, repetition, Pending, acknowledgement (clause 8, Annex D.1).
//! - [`transport`]: UDP and TCP (Annex D).
//! - [`package`]: names, numbers and types of package items (clause 12).
//! - [`digit_map`]: digit maps and how digits are matched against them (7.1.14).
//! - [`error`]: error codes (H.248.8).
//!
//! ```
//! use h248::message::{ActionRequest, AmmRequest, Command, ContextId};
//! use h248::text::{self, Style};
//!
//! let input = b"MEGACO/3 <mgc.example>:2944 Transaction = 7 { Context = $ { Add = ip/1/$ } }";
//! let message = text::parse_message(input).unwrap();
//! let printed = text::to_vec(&message, Style::Compact);
//! assert_eq!(printed, b"!/3 <mgc.example>:2944\nT=7{C=${A=ip/1/$}}");
//!
//! let error = text::parse_message(b"!/3 <mgc.example> T=7{C=${Frob=ip/1/$}}").unwrap_err();
//! assert_eq!((error.code.0, error.offset), (443, 26));
//!
//! let add = Command::Add(AmmRequest::new("ip/1/$"));
//! let _ = ActionRequest::new(ContextId::Choose, vec![add.into()]);
//! ```
//!
//! Session descriptions in Local and Remote are octets here. Contexts, terminations and what
//! commands do to them are for the gateway; associations, ServiceChange and who may command are for
//! both sides.

pub mod binary;
pub mod digit_map;
pub mod encoding;
pub mod error;
pub mod message;
pub mod package;
pub mod text;
pub mod transaction;
pub mod transport;
