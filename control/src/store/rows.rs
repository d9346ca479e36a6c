//! The tables an engine offers: text keys, byte values, in key order.

/// A table of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// IMPI → subscriber, JSON.
    Subscribers,
    /// IMPU → IMPI.
    Owners,
    /// IMPI → sequence number, 6 bytes.
    Sqns,
    /// IMPI → registrations, compact.
    Registrations,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 4] = [
        Table::Subscribers,
        Table::Owners,
        Table::Sqns,
        Table::Registrations,
    ];
}

/// Reading, within one snapshot.
pub trait Rows {
    /// The engine's fault.
    type Error;

    /// The value of a key.
    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Up to `limit` keys that start with `prefix` and come after `after`, with their values, in
    /// order.
    fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, Self::Error>;

    /// Number of keys.
    fn count(&self, table: Table) -> Result<u64, Self::Error>;

    /// The fault of a row that cannot be read.
    fn corrupt(&self, table: Table, key: &str) -> Self::Error;
}

/// Writing, within one transaction.
pub trait RowsMut: Rows {
    /// Sets the value of a key.
    fn put(&mut self, table: Table, key: &str, value: &[u8]) -> Result<(), Self::Error>;

    /// Forgets a key.
    fn remove(&mut self, table: Table, key: &str) -> Result<(), Self::Error>;
}
