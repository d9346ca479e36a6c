//! What the HSS must not lose: subscribers, sequence numbers, S-CSCF assignments and registration
//! states.
//!
//! An [`Operation`] is one question or change on the level of the HSS; its [`Outcome`] says that
//! the change is durable. Two engines execute operations by the same rules (`operation.rs`):
//! [`MemoryStore`] for tests and [`RedbStore`], one file. [`StoreThread`] runs an engine beside the
//! event loop and commits in groups.
//!
//! ```
//! use control::store::{Impi, MemoryStore, Operation, Outcome, PutMode, Store, Subscriber};
//!
//! let mut store = MemoryStore::default();
//! let impi = Impi::parse("alice@ims.test").unwrap();
//! let alice = Subscriber::new(impi.clone(), vec!["sip:alice@ims.test".parse().unwrap()]);
//! let outcomes = store.execute(vec![
//!     Operation::Put { subscriber: Box::new(alice), mode: PutMode::Create },
//!     Operation::Get(impi),
//! ]);
//! assert!(matches!(&outcomes[1], Outcome::Found(entry) if entry.subscriber.impus.len() == 1));
//! ```

mod error;
mod filter_criteria;
mod identity;
mod memory;
mod operation;
mod record;
mod redb;
mod registrations_row;
mod rows;
mod thread;

#[cfg(test)]
pub(crate) mod conformance;

pub use error::{Error, Fault};
pub use filter_criteria::FilterCriteria;
pub use identity::{IDENTITY_BYTES_MAX, IdentityError, Impi, Impu};
pub use memory::MemoryStore;
pub use operation::{Operation, Outcome, PAGE_MAX, PutMode, Refusal};
pub use record::{
    Aka, AssignedServer, Capabilities, ChargingAddresses, Entry, IMPUS_MAX, PublicIdentity,
    RegistrationState, Registrations, ServiceProfile, SetRegistration, Subscriber, SubscriberFault,
};
pub use redb::RedbStore;
pub use thread::{QUEUE_MAX, StoreThread, SubmitError};

/// An engine that keeps the HSS's data.
pub trait Store: Send {
    /// Executes operations in order, one outcome each.
    ///
    /// When it returns, every change whose outcome says so is durable, and none of the others has
    /// happened. A batch shares one commit; a batch of reads costs none.
    fn execute(&mut self, batch: Vec<Operation>) -> Vec<Outcome>;
}
