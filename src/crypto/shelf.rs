//! The ciphertext of attachments on disk: written once, whole or not at all.
//!
//! Guards: a file appears under its name only after its last byte is synced; what was cut off leaves nothing; the size
//! limit ends the reading, not the disk; the header is scanned while the bytes pass. Leaves to `store` which case it is.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::hash::{Digest, Running};
use super::header::{Refused, Scanner};
use crate::domain::id::AttachmentId;

/// The folder of attachments.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: PathBuf,
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
        "The attachment is longer than the {limit} bytes that are left for it: send a smaller one or tell us another way."
    )]
    TooLong {
        /// Bytes it might have had.
        limit: u64,
    },
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
        prepare().map_err(|source| super::Error::KeyIo { path: folder.to_owned(), source })?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Writes a stream of ciphertext, at most `limit` bytes, and scans its header as it passes.
    pub async fn put<S>(&self, id: AttachmentId, limit: u64, cipher: S) -> Result<Stored, ShelfError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let part = self.folder.join(format!("{id}.part"));
        let outcome = self.receive(&part, limit, cipher).await;
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

    async fn receive<S>(&self, part: &Path, limit: u64, cipher: S) -> Result<Stored, ShelfError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send,
    {
        let path = part.to_owned();
        let mut file = blocking(move || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)).await?;
        let mut cipher = std::pin::pin!(cipher);
        let (mut size, mut hash, mut scanner) = (0_u64, Running::default(), Scanner::new());
        while let Some(piece) = cipher.next().await {
            let piece = piece.map_err(ShelfError::CutOff)?;
            size += piece.len() as u64;
            if size > limit {
                return Err(ShelfError::TooLong { limit });
            }
            scanner.push(&piece)?;
            hash.update(&piece);
            file = blocking(move || file.write_all(&piece).map(|()| file)).await?;
        }
        let scanned = scanner.finish()?;
        blocking(move || file.sync_all()).await?;
        Ok(Stored { size, sha256: hash.finish(), recipients: scanned.stanzas })
    }

    fn path(&self, id: AttachmentId) -> PathBuf {
        self.folder.join(format!("{id}.age"))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, ShelfError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(ShelfError::Disk),
        Err(_) => Err(ShelfError::Disk(io::Error::other("the writing task ended early"))),
    }
}
