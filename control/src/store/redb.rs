//! The default engine: one file, transactions, durable when a batch returns.

use std::fs::{File, OpenOptions};
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};

use super::Store;
use super::error::{Error, Fault};
use super::operation::{self, Operation, Outcome};
use super::rows::{Rows, RowsMut, Table};

/// A store in one file of redb's format.
///
/// A batch with changes is one transaction: its cost is that of syncing the disk twice, whatever
/// its size.
pub struct RedbStore {
    path: PathBuf,
    database: Database,
}

impl RedbStore {
    /// Opens the store, or makes an empty one (with its folder) where there is none.
    ///
    /// A store that was not closed is recovered to the last durable batch. The file is readable by
    /// its owner only: it holds the keys of all subscribers.
    ///
    /// # Errors
    /// `InUse`, `NotAStore`, `Version`, `EngineFormat`, `Corrupt` and `Io`, each with the path.
    pub fn open(path: &Path) -> Result<Self, Error> {
        make_folder(path)?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_file(open_file(path)?)
            .map_err(|error| open_error(path, error))?;
        let store = Self {
            path: path.to_owned(),
            database,
        };
        match store.format()? {
            Some(FORMAT) => {}
            Some(FORMAT_BEFORE) => store.note_format()?,
            Some(found) => {
                let supported = FORMAT;
                return Err(Error::new(path, Fault::Version { found, supported }));
            }
            None => store.initialise()?,
        }
        Ok(store)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the tables and notes the format, in one transaction.
    fn initialise(&self) -> Result<(), Error> {
        let fail = |error: redb::Error| engine_error(&self.path, error);
        let transaction = self.database.begin_write().map_err(|e| fail(e.into()))?;
        for table in Table::ALL {
            transaction
                .open_table(definition(table))
                .map_err(|e| fail(e.into()))?;
        }
        self.write_format(&transaction)?;
        transaction.commit().map_err(|e| fail(e.into()))
    }

    /// Notes that rows are of this format from now on.
    fn note_format(&self) -> Result<(), Error> {
        let fail = |error: redb::Error| engine_error(&self.path, error);
        let transaction = self.database.begin_write().map_err(|e| fail(e.into()))?;
        self.write_format(&transaction)?;
        transaction.commit().map_err(|e| fail(e.into()))
    }

    fn write_format(&self, transaction: &WriteTransaction) -> Result<(), Error> {
        let fail = |error: redb::Error| engine_error(&self.path, error);
        let mut meta = transaction.open_table(META).map_err(|e| fail(e.into()))?;
        meta.insert(FORMAT_KEY, FORMAT)
            .map(|_| ())
            .map_err(|e| fail(e.into()))
    }

    /// The format noted in the file; `None` when it has no tables yet.
    fn format(&self) -> Result<Option<u64>, Error> {
        let fail = |error: redb::Error| engine_error(&self.path, error);
        let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
        if transaction
            .list_tables()
            .map_err(|e| fail(e.into()))?
            .next()
            .is_none()
        {
            return Ok(None);
        }
        let meta = transaction
            .open_table(META)
            .map_err(|_| Error::new(&self.path, Fault::NotAStore))?;
        let format = meta.get(FORMAT_KEY).map_err(|e| fail(e.into()))?;
        match format {
            Some(format) => Ok(Some(format.value())),
            None => Err(Error::new(&self.path, Fault::NotAStore)),
        }
    }

    fn read_batch(&self, batch: &[Operation]) -> Result<Vec<Outcome>, Error> {
        let fail = |error: redb::Error| engine_error(&self.path, error);
        let transaction = self.database.begin_read().map_err(|e| fail(e.into()))?;
        let open = |table| transaction.open_table(definition(table));
        let snapshot = Snapshot {
            path: &self.path,
            tables: open_all(open).map_err(|e| fail(e.into()))?,
        };
        batch
            .iter()
            .map(|operation| operation::read(&snapshot, operation))
            .collect()
    }

    fn write_batch(&self, batch: Vec<Operation>) -> Result<Vec<Outcome>, Error> {
        let fail = |error: redb::Error| engine_error(&self.path, error);
        // Given up when dropped without commit.
        let transaction = self.database.begin_write().map_err(|e| fail(e.into()))?;
        let open = |table| transaction.open_table(definition(table));
        let mut change = Change {
            path: &self.path,
            tables: open_all(open).map_err(|e| fail(e.into()))?,
        };
        let outcomes = batch
            .into_iter()
            .map(|operation| operation::apply(&mut change, operation))
            .collect::<Result<Vec<_>, _>>()?;
        drop(change);
        transaction.commit().map_err(|e| fail(e.into()))?;
        Ok(outcomes)
    }
}

impl Store for RedbStore {
    fn execute(&mut self, batch: Vec<Operation>) -> Vec<Outcome> {
        let count = batch.len();
        let outcomes = if batch.iter().all(Operation::is_read) {
            self.read_batch(&batch)
        } else {
            self.write_batch(batch)
        };
        outcomes.unwrap_or_else(|error| vec![Outcome::Failed(error); count])
    }
}

/// Reads of one batch.
struct Snapshot<'a> {
    path: &'a Path,
    tables: [ReadOnlyTable<&'static str, &'static [u8]>; Table::ALL.len()],
}

/// Changes of one batch.
struct Change<'a> {
    path: &'a Path,
    tables: [redb::Table<'a, &'static str, &'static [u8]>; Table::ALL.len()],
}

/// All tables, once for a batch: opening one costs as much as finding a row.
fn open_all<T, E>(open: impl Fn(Table) -> Result<T, E>) -> Result<[T; Table::ALL.len()], E> {
    let [first, second, third, fourth] = Table::ALL;
    Ok([open(first)?, open(second)?, open(third)?, open(fourth)?])
}

macro_rules! rows {
    ($name:ident) => {
        impl Rows for $name<'_> {
            type Error = Error;

            fn get(&self, table: Table, key: &str) -> Result<Option<Vec<u8>>, Error> {
                get(&self.tables[table as usize], key)
                    .map_err(|error| engine_error(self.path, error.into()))
            }

            fn scan(
                &self,
                table: Table,
                prefix: &str,
                after: Option<&str>,
                limit: usize,
            ) -> Result<Vec<(String, Vec<u8>)>, Error> {
                scan(&self.tables[table as usize], prefix, after, limit)
                    .map_err(|error| engine_error(self.path, error.into()))
            }

            fn count(&self, table: Table) -> Result<u64, Error> {
                self.tables[table as usize]
                    .len()
                    .map_err(|error| engine_error(self.path, error.into()))
            }

            fn corrupt(&self, table: Table, _key: &str) -> Error {
                Error::corrupt(self.path, &format!("a row of {}", name(table)))
            }
        }
    };
}

rows!(Snapshot);
rows!(Change);

impl RowsMut for Change<'_> {
    fn put(&mut self, table: Table, key: &str, value: &[u8]) -> Result<(), Error> {
        self.tables[table as usize]
            .insert(key, value)
            .map(|_| ())
            .map_err(|error| engine_error(self.path, error.into()))
    }

    fn remove(&mut self, table: Table, key: &str) -> Result<(), Error> {
        self.tables[table as usize]
            .remove(key)
            .map(|_| ())
            .map_err(|error| engine_error(self.path, error.into()))
    }
}

fn get(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<Vec<u8>>, redb::StorageError> {
    Ok(table.get(key)?.map(|value| value.value().to_vec()))
}

fn scan(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Vec<u8>)>, redb::StorageError> {
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let mut rows = Vec::new();
    for row in table.range::<&str>((start, Bound::Unbounded))? {
        let (key, value) = row?;
        if rows.len() == limit || !key.value().starts_with(prefix) {
            break;
        }
        rows.push((key.value().to_owned(), value.value().to_vec()));
    }
    Ok(rows)
}

const fn name(table: Table) -> &'static str {
    match table {
        Table::Subscribers => "subscribers",
        Table::Owners => "owners",
        Table::Sqns => "sqns",
        Table::Registrations => "registrations",
    }
}

const fn definition(table: Table) -> TableDefinition<'static, &'static str, &'static [u8]> {
    TableDefinition::new(name(table))
}

/// Makes the folder of a store that does not exist yet.
fn make_folder(path: &Path) -> Result<(), Error> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(Error::new(path, Fault::NotAStore)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match path.parent() {
            Some(folder) if folder != Path::new("") => {
                std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))
            }
            _ => Ok(()),
        },
        Err(error) => Err(Error::io(path, error)),
    }
}

fn open_file(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::io(path, error))
}

fn open_error(path: &Path, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => Error::new(path, Fault::InUse),
        DatabaseError::UpgradeRequired(found) => Error::new(path, Fault::EngineFormat(found)),
        DatabaseError::Storage(redb::StorageError::Io(error))
            if matches!(
                error.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
            ) =>
        {
            Error::new(path, Fault::NotAStore)
        }
        other => engine_error(path, other.into()),
    }
}

fn engine_error(path: &Path, error: redb::Error) -> Error {
    let fault = match error {
        redb::Error::Io(error) => Fault::Io(Arc::new(error)),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => Fault::Closed,
        redb::Error::Corrupted(what) => Fault::Corrupt(what.into()),
        redb::Error::DatabaseAlreadyOpen => Fault::InUse,
        other => Fault::Corrupt(other.to_string().into()),
    };
    Error::new(path, fault)
}

const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";
/// Format of the rows. Fields may be added with a default; anything else needs a new number.
const FORMAT: u64 = 2;
/// The format before, in which registrations were JSON; such rows are read, and written anew when
/// they change.
const FORMAT_BEFORE: u64 = 1;
/// Pages kept in memory: all of a small operator's store, the hot part of a large one's.
const CACHE_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::auth::Sqn;
    use crate::store::conformance::{TestFolder, subscriber};
    use crate::store::{Impi, PutMode};

    fn fault(path: &Path) -> Fault {
        match RedbStore::open(path) {
            Ok(_) => panic!("{} was opened", path.display()),
            Err(error) => {
                assert!(
                    error.to_string().contains(&*path.to_string_lossy()),
                    "{error}"
                );
                error.fault
            }
        }
    }

    fn put(store: &mut RedbStore, name: &str) {
        let operation = Operation::Put {
            subscriber: Box::new(subscriber(name)),
            mode: PutMode::Create,
        };
        let outcomes = store.execute(vec![operation]);
        assert!(
            matches!(outcomes[0], Outcome::Stored { .. }),
            "{outcomes:?}"
        );
    }

    #[test]
    fn what_was_stored_is_there_after_opening_again() {
        let folder = TestFolder::new("reopen");
        let path = folder.path("deep/er/store.redb");
        put(&mut RedbStore::open(&path).expect("a new store"), "alice");
        let mut store = RedbStore::open(&path).expect("the same store");
        let outcomes = store.execute(vec![Operation::Get(subscriber("alice").impi)]);
        assert!(matches!(&outcomes[0], Outcome::Found(entry)
            if entry.subscriber == subscriber("alice") && entry.sqn == Some(Sqn::ZERO)));
    }

    #[test]
    fn only_the_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = TestFolder::new("mode");
        let path = folder.path("store.redb");
        drop(RedbStore::open(&path).expect("a new store"));
        let mode = std::fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_second_opener_is_told_that_the_store_is_in_use() {
        let folder = TestFolder::new("locked");
        let path = folder.path("store.redb");
        let _first = RedbStore::open(&path).expect("a new store");
        assert!(matches!(fault(&path), Fault::InUse));
    }

    #[test]
    fn another_file_and_a_folder_are_not_stores() {
        let folder = TestFolder::new("foreign");
        let path = folder.path("notes.txt");
        std::fs::write(&path, "impi,k,opc\n".repeat(1000)).expect("written");
        assert!(matches!(fault(&path), Fault::NotAStore));
        std::fs::write(&path, "x").expect("written");
        assert!(matches!(fault(&path), Fault::NotAStore));
        assert!(matches!(fault(folder.root()), Fault::NotAStore));
        assert_eq!(std::fs::read(&path).expect("still there"), b"x");
    }

    #[test]
    fn a_database_of_another_program_is_not_a_store() {
        let folder = TestFolder::new("other");
        let path = folder.path("other.redb");
        let database = Database::create(&path).expect("a new database");
        let transaction = database.begin_write().expect("no other writer");
        transaction
            .open_table(TableDefinition::<u64, u64>::new("theirs"))
            .expect("a new table");
        transaction.commit().expect("committed");
        drop(database);
        assert!(matches!(fault(&path), Fault::NotAStore));
    }

    #[test]
    fn an_interrupted_creation_is_taken_up() {
        let folder = TestFolder::new("empty");
        let path = folder.path("store.redb");
        std::fs::write(&path, "").expect("written");
        put(
            &mut RedbStore::open(&path).expect("an empty file is a new store"),
            "alice",
        );
        let path = folder.path("bare.redb");
        drop(Database::create(&path).expect("a database without tables"));
        put(
            &mut RedbStore::open(&path).expect("the tables are made"),
            "alice",
        );
    }

    #[test]
    fn a_store_of_another_version_names_both() {
        let folder = TestFolder::new("version");
        let path = folder.path("store.redb");
        let store = RedbStore::open(&path).expect("a new store");
        let transaction = store.database.begin_write().expect("no other writer");
        transaction
            .open_table(META)
            .expect("the table")
            .insert(FORMAT_KEY, FORMAT + 1)
            .expect("inserted");
        transaction.commit().expect("committed");
        drop(store);
        assert!(matches!(fault(&path), Fault::Version { found, supported }
            if found == FORMAT + 1 && supported == FORMAT));
    }

    #[test]
    fn a_damaged_row_is_reported_and_nothing_else_disturbed() {
        let folder = TestFolder::new("row");
        let path = folder.path("store.redb");
        let mut store = RedbStore::open(&path).expect("a new store");
        put(&mut store, "alice");
        put(&mut store, "bob");
        let transaction = store.database.begin_write().expect("no other writer");
        transaction
            .open_table(definition(Table::Subscribers))
            .expect("the table")
            .insert("alice@ims.test", b"{".as_slice())
            .expect("inserted");
        transaction.commit().expect("committed");
        let read = |store: &mut RedbStore, name: &str| {
            store
                .execute(vec![Operation::Get(subscriber(name).impi)])
                .remove(0)
        };
        assert!(matches!(read(&mut store, "alice"), Outcome::Failed(error)
            if matches!(error.fault, Fault::Corrupt(_))));
        assert!(matches!(read(&mut store, "bob"), Outcome::Found(_)));
    }

    #[test]
    fn a_truncated_file_is_an_error_and_no_panic() {
        let folder = TestFolder::new("truncated");
        let path = folder.path("store.redb");
        put(&mut RedbStore::open(&path).expect("a new store"), "alice");
        let whole = std::fs::read(&path).expect("it is there");
        for length in [1, 9, 64, 320, 4096, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("written");
            if let Ok(mut store) = RedbStore::open(&path) {
                let outcome = store.execute(vec![Operation::Count]).remove(0);
                assert!(
                    !matches!(outcome, Outcome::Count(0)),
                    "{length} bytes lost alice"
                );
            }
        }
    }

    /// Environment variable that makes [`child_of_the_crash_test`] write to this store until it is
    /// killed.
    const CRASH_STORE: &str = "STROWGER_TEST_CRASH_STORE";
    const CRASH_ROUNDS: usize = 4;
    const CRASH_ACKNOWLEDGED: usize = 30;

    /// Not a test of its own: the process that [`acknowledged_changes_survive_a_kill`] kills.
    #[test]
    fn child_of_the_crash_test() {
        let Some(path) = std::env::var_os(CRASH_STORE) else {
            return;
        };
        let mut store = RedbStore::open(Path::new(&path)).expect("the store");
        let alice = subscriber("alice").impi;
        let mut number = match store.execute(vec![Operation::Count]).remove(0) {
            Outcome::Count(count) => count,
            other => panic!("{other:?}"),
        };
        loop {
            let name = format!("user{number}");
            let outcomes = store.execute(vec![
                Operation::Put {
                    subscriber: Box::new(subscriber(&name)),
                    mode: PutMode::Create,
                },
                Operation::AdvanceSqn {
                    impi: alice.clone(),
                    count: 1,
                },
            ]);
            match (&outcomes[0], &outcomes[1]) {
                (Outcome::Stored { .. }, Outcome::Sqn(sqn)) => {
                    println!("\nACK {name} {}", sqn.seq());
                }
                other => panic!("{other:?}"),
            }
            number += 1;
        }
    }

    #[test]
    fn acknowledged_changes_survive_a_kill() {
        let folder = TestFolder::new("crash");
        let path = folder.path("store.redb");
        put(&mut RedbStore::open(&path).expect("a new store"), "alice");
        let mut acknowledged: Vec<(String, u64)> = Vec::new();
        for _ in 0..CRASH_ROUNDS {
            acknowledged.extend(killed_while_writing(&path));
            let mut store = RedbStore::open(&path).expect("recovered");
            for (name, _) in &acknowledged {
                let impi = Impi::parse(&format!("{name}@ims.test")).expect("an NAI");
                let outcome = store.execute(vec![Operation::Get(impi)]).remove(0);
                assert!(
                    matches!(outcome, Outcome::Found(_)),
                    "{name} is lost: {outcome:?}"
                );
            }
        }
        assert!(acknowledged.len() >= CRASH_ROUNDS * CRASH_ACKNOWLEDGED);
        assert!(
            acknowledged.windows(2).all(|pair| pair[0].1 < pair[1].1),
            "a sequence number was given out twice: {acknowledged:?}"
        );
    }

    /// Runs the child, kills it with SIGKILL in the middle of its work, and gives all it
    /// acknowledged.
    fn killed_while_writing(path: &Path) -> Vec<(String, u64)> {
        let mut child = Command::new(std::env::current_exe().expect("this test binary"))
            .args([
                "--exact",
                "store::redb::tests::child_of_the_crash_test",
                "--nocapture",
            ])
            .env(CRASH_STORE, path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut acknowledged = Vec::new();
        let mut killed = false;
        // After the kill the pipe still holds what the child acknowledged; a line cut short is not
        // counted.
        while let Some(Ok(line)) = lines.next() {
            let mut words = line.split(' ');
            if let (Some("ACK"), Some(name), Some(Ok(seq))) =
                (words.next(), words.next(), words.next().map(str::parse))
            {
                acknowledged.push((name.to_owned(), seq));
            }
            if acknowledged.len() == CRASH_ACKNOWLEDGED && !killed {
                killed = true;
                child.kill().expect("SIGKILL");
            }
        }
        child.wait().expect("reaped");
        acknowledged
    }
}
