//! The engine of tests: ordered maps, nothing durable.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use super::Store;
use super::operation::{self, Operation, Outcome};
use super::rows::{Rows, RowsMut, Table};

/// A store that lasts as long as the process. For tests, and for `call` against a throw-away HSS.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tables: [BTreeMap<String, Vec<u8>>; Table::ALL.len()],
}

impl Store for MemoryStore {
    fn execute(&mut self, batch: Vec<Operation>) -> Vec<Outcome> {
        batch
            .into_iter()
            .map(|operation| {
                let Ok(outcome) = operation::apply(self, operation);
                outcome
            })
            .collect()
    }
}

impl Rows for MemoryStore {
    type Error = Infallible;

    fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.tables[table as usize].get(key).cloned())
    }

    fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, Infallible> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        Ok(self.tables[table as usize]
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn count(&self, table: Table) -> Result<u64, Infallible> {
        Ok(self.tables[table as usize].len() as u64)
    }

    fn corrupt(&self, table: Table, key: &str) -> Infallible {
        panic!("this process wrote the row {key} of {table:?} itself, by the same types")
    }
}

impl RowsMut for MemoryStore {
    fn put(&mut self, table: Table, key: &str, value: &[u8]) -> Result<(), Infallible> {
        self.tables[table as usize].insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &str) -> Result<(), Infallible> {
        self.tables[table as usize].remove(key);
        Ok(())
    }
}
