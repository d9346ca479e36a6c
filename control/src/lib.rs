//! The control process: IMS functional entities on one event loop.

pub mod auth;
pub mod store;
pub mod subscriber;
