//! Secrets of channels: each in a file that only its owner can read, read anew each time so that it can be exchanged.
//!
//! Guards: an error names the file and never what is in it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::domain::sealed::Secret;

/// Why a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is missing or closed to the server.
    #[error("the file {} cannot be read: it must exist and belong to the user that runs the server", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is open to others.
    #[error("the file {} can be read by others: give it mode 0600", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// What is in the file is not of the form that is needed.
    #[error("the file {} must hold {wanted}, in one line", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// What it must hold.
        wanted: &'static str,
    },
}

/// Reads a token: one line of visible ASCII.
pub fn token(path: &Path) -> Result<Secret, SecretError> {
    let text = read(path)?;
    let token = text.expose();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(SecretError::Form { path: path.to_owned(), wanted: "a token" });
    }
    Ok(text)
}

/// Reads the text of a secret without the line break at its end.
pub(super) fn read(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed { path: path.to_owned() });
    }
    let text = Secret::new(std::fs::read_to_string(path).map_err(unreadable)?);
    Ok(Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_others_can_read_or_that_is_none_is_refused_without_telling_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(token(&path).unwrap_err().to_string().contains("cannot be read"));
        for (text, mode, said) in
            [("canary\n", 0o644, "0600"), ("can ary\n", 0o600, "a token"), ("\n", 0o600, "a token")]
        {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = token(&path).unwrap_err();
            assert!(error.to_string().contains(said) && !format!("{error:?}").contains("ary"), "{error:?}");
        }
        std::fs::write(&path, "canary\r\n").unwrap();
        assert_eq!(token(&path).unwrap().expose(), "canary");
    }
}
