//! All SQL, nothing else: one SQLite file, one writer, one file per noun.
//!
//! Guards: state is written with its event or not at all ([`Tx`] commits both), a changed row is compared with the version
//! it was read at, and reads of a case take a `Grant`. What is stored of a case's text is ciphertext already.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite, SqliteConnection, Transaction};

use crate::domain::actor::Actor;
use crate::domain::event::Event;

pub mod account;
pub mod advisory;
pub mod alarm;
pub mod amendment;
pub mod arming;
pub mod candidate;
pub mod case;
pub mod channel;
pub mod check;
pub mod details;
pub mod dress;
pub mod effect;
pub mod event;
pub mod fix;
pub mod hook;
pub mod job;
pub mod landing;
pub mod link;
pub mod mail;
pub mod mark;
pub mod member;
mod moved;
pub mod project;
pub mod publication;
pub mod push;
pub mod recipient;
pub mod record;
pub mod release;
pub mod report;
pub mod retelling;
pub mod revision;
pub mod session;
pub mod signer;
pub mod trial;
pub mod wave;

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database file could not be opened.
    #[error("the database {file} could not be opened: it and its folder must belong to the user that runs the server")]
    Open {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A part of the file is not what was written there.
    #[error(
        "the database {file} is damaged: keep the file for a repair by sqlite3 (`.recover`), put the last backup in its place, and \
         see to the disk before the server starts again"
    )]
    Damaged {
        /// The file.
        file: String,
    },
    /// The database refused or could not be reached.
    #[error("the database could not be read or written")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// Somebody changed the row since it was read.
    #[error("this was changed by somebody else in the meantime: look again and repeat")]
    Conflict,
    /// A row that no code of ours writes.
    #[error("the database holds a value that makes no sense in {table}.{column}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

/// What store functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The database: many readers, one writer.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// A read: sees one consistent state, changes nothing.
#[derive(Debug)]
pub struct Reader {
    inner: Transaction<'static, Sqlite>,
}

/// The one write in progress. Dropped without [`Tx::commit`], it leaves nothing.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Sqlite>,
    now: Timestamp,
}

/// Something to query: a [`Reader`] or a [`Tx`].
pub trait Rows: Send {
    /// Returns the connection; only `store` writes SQL on it.
    fn conn(&mut self) -> &mut SqliteConnection;
}

impl Rows for Reader {
    fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

impl Rows for Tx {
    fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

impl Store {
    /// Opens the database file, makes it when missing, and applies the migrations.
    pub async fn open(file: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .pragma("trusted_schema", "off")
            .pragma("secure_delete", "on");
        let damaged = || Error::Damaged { file: file.display().to_string() };
        let unopened = |source: sqlx::Error| {
            // SQLITE_CORRUPT and SQLITE_NOTADB: what is there cannot be read as a database.
            let code = source.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
            match code.as_deref() {
                Some("11" | "26") => damaged(),
                Some(_) | None => Error::Open { file: file.display().to_string(), source },
            }
        };
        let writer = pool(1).connect_with(options.clone()).await.map_err(unopened)?;
        // A page that was lost may lie anywhere: better told now than in the middle of a disclosure.
        let found: String =
            sqlx::query_scalar("pragma quick_check(1)").fetch_one(&writer).await.map_err(|_| damaged())?;
        if found != "ok" {
            return Err(damaged());
        }
        sqlx::migrate!().run(&writer).await?;
        let readers = pool(4).connect_with(options.create_if_missing(false).pragma("query_only", "on")).await?;
        Ok(Self { writer, readers })
    }

    /// Starts the one write. `name` names the use case in traces; `now` is the instant of everything in it.
    pub async fn begin(&self, name: &'static str, now: Timestamp) -> Result<Tx> {
        let inner = self.writer.begin_with("begin immediate").await?;
        tracing::trace!(name, "transaction begun");
        Ok(Tx { inner, now })
    }

    /// Starts a read.
    pub async fn read(&self) -> Result<Reader> {
        Ok(Reader { inner: self.readers.begin().await? })
    }

    /// Closes both pools after what is in progress.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Prepares a pool that gives away a connection whose transaction ended behind its back, and opens another.
///
/// A full disk, a fault of the disk or of memory make SQLite roll a whole transaction back by itself (its C interface,
/// `sqlite3_get_autocommit`). The driver goes on counting it, and would refuse every later beginning.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).before_acquire(|connection, _| {
        Box::pin(async move {
            Ok(match connection.begin_with("begin").await {
                Ok(trial) => trial.rollback().await.is_ok(),
                Err(_) => false,
            })
        })
    })
}

impl Tx {
    /// Returns the instant of everything in this write.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Sets the instant of everything that is written from here on: it was begun beforehand.
    pub fn happens(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Makes everything of this write last.
    pub async fn commit(self) -> Result<()> {
        Ok(self.inner.commit().await?)
    }

    /// Appends an event that accompanies no change of a row: a read, a refusal.
    pub async fn note(&mut self, actor: &Actor, event: &Event) -> Result<()> {
        event::append(self, actor, event).await
    }
}

/// Checks that exactly the one row was changed; none means that its version moved on.
fn one_row(result: &sqlx::sqlite::SqliteQueryResult) -> Result<()> {
    if result.rows_affected() == 1 { Ok(()) } else { Err(Error::Conflict) }
}

/// Parses a stored word; a failure names the place.
fn parsed<T: std::str::FromStr>(text: &str, table: &'static str, column: &'static str) -> Result<T> {
    text.parse().map_err(|_| Error::Inconsistent { table, column })
}

/// Parses a stored word that may be missing.
fn parsed_opt<T: std::str::FromStr>(
    text: Option<&str>,
    table: &'static str,
    column: &'static str,
) -> Result<Option<T>> {
    text.map(|text| parsed(text, table, column)).transpose()
}

/// Turns stored milliseconds into an instant.
fn instant(milliseconds: i64, table: &'static str, column: &'static str) -> Result<Timestamp> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| Error::Inconsistent { table, column })
}

/// Turns stored milliseconds that may be missing into an instant.
fn instant_opt(milliseconds: Option<i64>, table: &'static str, column: &'static str) -> Result<Option<Timestamp>> {
    milliseconds.map(|milliseconds| instant(milliseconds, table, column)).transpose()
}
