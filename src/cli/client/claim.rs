//! Files that keep a claim code: what makes somebody the reporter, for its owner's eyes alone.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Failure, Result};
use crate::crypto::token::ClaimCode;

/// Reads a claim file: the code, perhaps after the server that gave it.
pub(super) fn read_claim(text: &str) -> Result<(Option<String>, ClaimCode)> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    let server = lines.next_if(|line| line.contains("://")).map(str::to_owned);
    let code = lines.next().unwrap_or_default().parse()?;
    Ok((server, code))
}

/// A new file for a claim code, there before the report is sent, so that the code has a place for sure.
pub(super) struct ClaimFile<'a> {
    file: std::fs::File,
    path: &'a Path,
    kept: bool,
}

impl<'a> ClaimFile<'a> {
    pub(super) fn begin(path: &'a Path) -> Result<Self> {
        let failed =
            |error| Failure::because(format!("{} could not be made for the claim code.", path.display()), error);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        Ok(Self { file, path, kept: false })
    }

    pub(super) fn keep(mut self, server: &str, code: &str) -> Result<()> {
        self.kept = true;
        let text = format!("# Whoever has this claim code is the reporter: keep it to yourself.\n{server}\n{code}\n");
        let failed = |error| {
            Failure::because(format!("{} could not be written: write the code down.", self.path.display()), error)
        };
        self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all()).map_err(failed)
    }
}

impl Drop for ClaimFile<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let _ = std::fs::remove_file(self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn claim_file_keeps_code_and_server_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claim");
        let code = ClaimCode::mint();
        ClaimFile::begin(&path).unwrap().keep("https://security.example.org", code.reveal().expose()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (server, read) = read_claim(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(server.as_deref(), Some("https://security.example.org"));
        assert_eq!(read.reveal().expose(), code.reveal().expose());
        assert!(ClaimFile::begin(&path).is_err(), "a code that is there is not overwritten");
        let (server, read) = read_claim(code.reveal().expose()).unwrap();
        assert!(server.is_none());
        assert_eq!(read.reveal().expose(), code.reveal().expose());
        drop(ClaimFile::begin(&folder.path().join("unused")).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
