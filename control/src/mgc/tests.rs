//! The controller against gateways played by an [`h248::transaction::Endpoint`], on virtual time.

mod configure;
mod gateway_model;
mod gateways;
mod kept;
mod limits;
mod links;
mod reserve;
mod storm;
mod wire;
mod world;
