//! A folder of files that somebody else serves, such as a web server beside this one.
//!
//! Guards: a reader meets the whole file or none (written under another name, synced, renamed), a file that is there already
//! with the same bytes is left alone, and nothing is written outside the folder. What it cannot write is tried again.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::domain::effect::Outcome;
use crate::domain::manifest::DocumentPath;

/// Why a folder cannot be used, found at start.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is missing, or no folder, or closed to the server.
    #[error("the folder {} must exist, and the user that runs the server must be able to write there", path.display())]
    Unusable {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is, lies in, or holds a folder that nobody may serve.
    #[error("the folder {} lies in {}, or the other way round: what is served must be a folder of its own", path.display(), private.display())]
    Private {
        /// Which folder.
        path: PathBuf,
        /// The private folder.
        private: PathBuf,
    },
}

/// Checks at start that files can be put there, and that no private folder is served with it. Leaves no trace.
pub fn check(folder: &Path, private: &[&Path]) -> Result<(), FolderError> {
    let unusable = |source| FolderError::Unusable { path: folder.to_owned(), source };
    let real = std::fs::canonicalize(folder).map_err(unusable)?;
    for other in private {
        // A private folder that is not there yet is made as it is named.
        let there = std::fs::canonicalize(other).unwrap_or_else(|_| (*other).to_owned());
        if real.starts_with(&there) || there.starts_with(&real) {
            return Err(FolderError::Private { path: folder.to_owned(), private: (*other).to_owned() });
        }
    }
    let trial = real.join(format!(".embargo-{}", std::process::id()));
    create(&trial).map_err(unusable)?;
    std::fs::remove_file(&trial).map_err(unusable)
}

/// Puts the files into the folder, each whole; `key` names what is half written, so that a repetition replaces it.
pub async fn publish(folder: PathBuf, key: String, files: Vec<(DocumentPath, Vec<u8>)>) -> Outcome {
    let written = tokio::task::spawn_blocking(move || {
        let mut written = 0;
        for (path, bytes) in &files {
            written += usize::from(put(&folder, &key, path, bytes)?);
        }
        Ok::<_, std::io::Error>((written, files.len()))
    });
    match written.await {
        Ok(Ok((0, all))) => Outcome::Done(format!("{all} files, all there already")),
        Ok(Ok((written, all))) => Outcome::Done(format!("{written} of {all} files written")),
        Ok(Err(error)) => {
            tracing::warn!(kind = %error.kind(), "a channel's folder could not be written");
            Outcome::Again(format!("The folder could not be written: {}.", error.kind()))
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a channel's folder could not be written");
            Outcome::Again("The folder could not be written: see the server's log.".to_owned())
        }
    }
}

/// Puts one file there; `false` if it was there.
fn put(folder: &Path, key: &str, path: &DocumentPath, bytes: &[u8]) -> std::io::Result<bool> {
    let file = folder.join(path.as_str());
    match std::fs::read(&file) {
        Ok(there) if there == bytes => return Ok(false),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let parent = file.parent().unwrap_or(folder);
    // The folder itself is the operator's to make: a disk that is not mounted is no empty folder.
    std::fs::metadata(folder)?;
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let half = parent.join(format!(".{name}.{}", key.get(..16).unwrap_or(key)));
    match std::fs::remove_file(&half) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut out = create(&half)?;
    out.write_all(bytes)?;
    // Whoever serves it is another user, whatever this process's mask says.
    out.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    out.sync_all()?;
    std::fs::rename(&half, &file)?;
    std::fs::File::open(parent)?.sync_all()?;
    Ok(true)
}

/// Makes a new file; never follows a link that stands there.
fn create(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> (DocumentPath, Vec<u8>) {
        (path.parse().unwrap(), text.as_bytes().to_vec())
    }

    async fn note(folder: &Path, files: &[(DocumentPath, Vec<u8>)]) -> String {
        match publish(folder.to_owned(), "0123456789abcdef0123".to_owned(), files.to_vec()).await {
            Outcome::Done(note) | Outcome::Again(note) => note,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn files_are_put_there_once_readable_to_all_and_nothing_half_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let files = [file("advisories/a.html", "whole"), file("osv/a.json", "{}")];
        // What a crash left behind.
        std::fs::create_dir(folder.path().join("advisories")).unwrap();
        std::fs::write(folder.path().join("advisories/.a.html.0123456789abcdef"), "ha").unwrap();
        assert_eq!(note(folder.path(), &files).await, "2 of 2 files written");
        assert_eq!(note(folder.path(), &files).await, "2 files, all there already");
        let here = folder.path().join("advisories");
        let names: Vec<_> = std::fs::read_dir(&here).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["a.html"]);
        assert_eq!(std::fs::read_to_string(here.join("a.html")).unwrap(), "whole");
        assert_eq!(std::fs::metadata(here.join("a.html")).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_tried_again_and_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("disk");
        let said = note(&gone, &[file("a.html", "whole")]).await;
        assert!(said.starts_with("The folder could not be written"), "{said}");
        assert!(!gone.exists());
    }

    /// Attack, or a slip: the web server would hand out the keys.
    #[test]
    fn a_folder_that_serves_a_private_one_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (data, served, link) = (root.path().join("data"), root.path().join("served"), root.path().join("link"));
        for folder in [&data, &served, &data.join("in")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::os::unix::fs::symlink(&data, &link).unwrap();
        for wrong in [root.path(), &data, &data.join("in"), &link] {
            assert!(matches!(check(wrong, &[&data]), Err(FolderError::Private { .. })), "{}", wrong.display());
        }
        assert!(check(&root.path().join("missing"), &[&data]).is_err());
        check(&served, &[&data]).unwrap();
        assert_eq!(std::fs::read_dir(&served).unwrap().count(), 0, "the check leaves no trace");
    }
}
