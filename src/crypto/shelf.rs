//! The ciphertext of attachments on disk: written once, whole or not at all.
//!
//! Guards: a file appears under its name only after its last byte is synced; what was cut off leaves nothing; the size
//! limit ends the reading, not the disk; the header is scanned while the bytes pass. Leaves to `store` which case it is.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::task::JoinHandle;

use super::hash::{Digest, Running};
use super::header::{Refused, Scanner};
use super::portion::Portion;
use crate::domain::id::{AttachmentId, CaseId, RecipientId};

/// How much is hashed and written in one go.
const PORTION: usize = 256 * 1024;

/// How much may wait for the disk before it is asked to begin: the last byte then waits for little.
const SYNCED: usize = 8 * 1024 * 1024;

/// The folder of attachments.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: PathBuf,
    rooms: Arc<Mutex<HashMap<CaseId, Weak<AtomicU64>>>>,
    spooled: Arc<AtomicU64>,
}

/// Ciphertext on its way to one reader: an open file without a name.
#[derive(Debug)]
pub struct Spooled {
    /// The file, from its beginning.
    pub file: tokio::fs::File,
    /// Its length in bytes.
    pub size: u64,
}

/// What one file may take of the bytes that are left for its case. All files on their way to a case share them, so that many
/// at once get no more than one after the other. Dropped before [`Room::keep`], it gives back what it took.
#[derive(Debug)]
pub struct Room {
    left: Arc<AtomicU64>,
    own: u64,
    taken: u64,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Bytes of ciphertext.
    pub size: u64,
    /// SHA-256 of the ciphertext.
    pub sha256: Digest,
    /// Stanzas in the header.
    pub recipients: usize,
}

/// Why an attachment was not stored. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// It is not an age file, or not one for people's own keys.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// It is longer than allowed.
    #[error(
        "The attachment is longer than the {limit} bytes that one may have: send a smaller one or tell us another way."
    )]
    TooLong {
        /// Bytes it might have had.
        limit: u64,
    },
    /// The case has no room for it, with the files that are stored and those on their way.
    #[error("The attachments of this case have no room left for this one.")]
    Full,
    /// It stopped before its end.
    #[error("The attachment was cut off: send it again.")]
    CutOff(#[source] io::Error),
    /// The disk.
    #[error("the attachment could not be written")]
    Disk(#[source] io::Error),
}

impl Shelf {
    /// Opens the folder, makes it when missing, and removes what a crash left half-written.
    pub fn open(folder: &Path) -> Result<Self, super::Error> {
        let prepare = || -> io::Result<()> {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "part") {
                    std::fs::remove_file(path)?;
                }
            }
            Ok(())
        };
        prepare().map_err(|source| super::Error::Folder { path: folder.to_owned(), source })?;
        Ok(Self { folder: folder.to_owned(), rooms: Arc::default(), spooled: Arc::default() })
    }

    /// Makes room for one file: at most `own` bytes, and at most what is left for the case. `free` is what its stored files
    /// leave; it counts when no other file is on its way, which has its part of it already.
    pub fn room(&self, case: &CaseId, free: u64, own: u64) -> Room {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.retain(|_, left| left.strong_count() > 0);
        let left = rooms.get(case).and_then(Weak::upgrade).unwrap_or_else(|| Arc::new(AtomicU64::new(free)));
        rooms.insert(case.clone(), Arc::downgrade(&left));
        Room { left, own, taken: 0 }
    }

    /// Writes a stream of ciphertext as far as there is room, and scans its header as it passes.
    pub async fn put<S>(&self, id: AttachmentId, room: &mut Room, cipher: S) -> Result<Stored, ShelfError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let part = self.folder.join(format!("{id}.part"));
        let outcome = self.receive(&part, room, cipher).await;
        match outcome {
            Ok(stored) => {
                let (from, to, folder) = (part, self.path(id), self.folder.clone());
                blocking(move || {
                    std::fs::rename(&from, &to)?;
                    File::open(&folder)?.sync_all()
                })
                .await?;
                Ok(stored)
            }
            Err(error) => {
                let _ = tokio::fs::remove_file(&part).await;
                Err(error)
            }
        }
    }

    /// Opens an attachment's ciphertext for reading.
    pub async fn get(&self, id: AttachmentId) -> io::Result<tokio::fs::File> {
        tokio::fs::File::open(self.path(id)).await
    }

    /// Removes an attachment whose row was never written.
    pub async fn discard(&self, id: AttachmentId) {
        let _ = tokio::fs::remove_file(self.path(id)).await;
    }

    /// Writes a stream of ciphertext into a file without a name, of which nothing is left once it is closed.
    pub async fn spool<S>(&self, name: RecipientId, most: u64, cipher: S) -> Result<Spooled, ShelfError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let number = self.spooled.fetch_add(1, Ordering::Relaxed);
        let part = self.folder.join(format!("{name}-{number}.part"));
        let mut room = Room { left: Arc::new(AtomicU64::new(most)), own: most, taken: 0 };
        let received = self.receive(&part, &mut room, cipher).await;
        let spooled = match &received {
            Ok(stored) => tokio::fs::File::open(&part)
                .await
                .map(|file| Spooled { file, size: stored.size })
                .map_err(ShelfError::Disk),
            Err(_) => Err(ShelfError::Full),
        };
        let _ = tokio::fs::remove_file(&part).await;
        received.and(spooled)
    }

    async fn receive<S>(&self, part: &Path, room: &mut Room, cipher: S) -> Result<Stored, ShelfError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let path = part.to_owned();
        let file = blocking(move || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)).await?;
        let (mut size, mut scanner) = (0_u64, Scanner::new());
        let mut cipher = Box::pin(cipher.map(|piece| -> Result<Bytes, ShelfError> {
            let piece = piece.map_err(ShelfError::CutOff)?;
            size += piece.len() as u64;
            room.take(piece.len() as u64)?;
            scanner.push(&piece)?;
            Ok(piece)
        }));
        let mut written = Written { file, hash: Running::default(), unsynced: 0 };
        let mut portion = Portion::gather(&mut cipher, PORTION).await?;
        let mut syncing: Option<JoinHandle<io::Result<()>>> = None;
        // A portion is hashed and written while the next one arrives, and what was written before goes to the disk.
        while !portion.ended {
            if written.unsynced >= SYNCED && syncing.as_ref().is_none_or(JoinHandle::is_finished) {
                ended(syncing.take()).await?;
                written.unsynced = 0;
                let file = written.file.try_clone().map_err(ShelfError::Disk)?;
                syncing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
            }
            let writing = blocking(move || written.write(&portion));
            let (now, next) = tokio::try_join!(writing, Portion::gather(&mut cipher, PORTION))?;
            (written, portion) = (now, next);
        }
        drop(cipher);
        ended(syncing).await?;
        let scanned = scanner.finish()?;
        let hash = blocking(move || {
            let written = written.write(&portion)?;
            written.file.sync_all().map(|()| written.hash)
        });
        Ok(Stored { size, sha256: hash.await?.finish(), recipients: scanned.stanzas })
    }

    fn path(&self, id: AttachmentId) -> PathBuf {
        self.folder.join(format!("{id}.age"))
    }
}

impl Room {
    fn take(&mut self, bytes: u64) -> Result<(), ShelfError> {
        if self.taken + bytes > self.own {
            return Err(ShelfError::TooLong { limit: self.own });
        }
        let less = |left: u64| left.checked_sub(bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return Err(ShelfError::Full);
        }
        self.taken += bytes;
        Ok(())
    }

    /// Says that the file is stored and recorded: what it took stays taken.
    pub fn keep(mut self) {
        self.taken = 0;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.left.fetch_add(self.taken, Ordering::Relaxed);
    }
}

/// What stands on the disk so far.
struct Written {
    file: File,
    hash: Running,
    /// Bytes since the disk was last asked to take them.
    unsynced: usize,
}

impl Written {
    fn write(mut self, portion: &Portion) -> io::Result<Self> {
        for piece in &portion.pieces {
            self.hash.update(piece);
            self.file.write_all(piece)?;
            self.unsynced += piece.len();
        }
        Ok(self)
    }
}

/// Waits for what may be on its way to the disk.
async fn ended(syncing: Option<JoinHandle<io::Result<()>>>) -> Result<(), ShelfError> {
    let Some(syncing) = syncing else { return Ok(()) };
    match syncing.await {
        Ok(result) => result.map_err(ShelfError::Disk),
        Err(_) => Err(ShelfError::Disk(io::Error::other("the syncing task ended early"))),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, ShelfError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(ShelfError::Disk),
        Err(_) => Err(ShelfError::Disk(io::Error::other("the writing task ended early"))),
    }
}
