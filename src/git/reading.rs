//! Reading what a commit of a push says, for the leak lint: its message, who signed it, new paths, and the lines it adds.
//!
//! Guards: everything is bounded, by file and by push; what is binary, or as long as nobody writes, is not read. Leaves what
//! tells too much to `domain::lint`.

use std::collections::HashSet;

use super::error::{Error, Result};
use super::refs;
use crate::domain::lint::{Finding, Lint, LintRule, numbered};

const WHAT: &str = "reading a push";
/// Findings of one ref that are remembered, of those that refuse and of the others.
const REMEMBERED: usize = 50;
/// Bytes of a file that is read.
const FILE_BYTES: u64 = 1024 * 1024;
/// Bytes of all files that are read for one ref, old and new.
const ALL_BYTES: u64 = 128 * 1024 * 1024;
/// Bytes of a message that are read.
const MESSAGE_BYTES: usize = 64 * 1024;
/// A NUL among so many bytes makes a file binary, as git has it.
const LOOKED_AT: usize = 8000;

/// A file that a commit changed.
pub(super) struct Changed<'a> {
    pub(super) path: &'a [u8],
    pub(super) new: gix::ObjectId,
    /// What was there before; nothing where the path is new.
    pub(super) old: Option<gix::ObjectId>,
}

/// What was read of one ref so far.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) findings: Vec<Finding>,
    refusing: usize,
    bytes: u64,
}

impl Reading {
    /// Reads a commit and the files it changed.
    pub(super) fn commit<'a>(
        &mut self,
        lint: &Lint,
        commit: &gix::Commit<'_>,
        files: impl Iterator<Item = Changed<'a>>,
    ) -> Result<()> {
        let id = refs::commit_id(commit.id)?;
        let decoded = commit.decode().map_err(Error::library(WHAT))?;
        let message = &decoded.message[..decoded.message.len().min(MESSAGE_BYTES)];
        self.take(lint, lint.message(&id, message));
        for signature in [decoded.author, decoded.committer] {
            self.take(lint, lint.signature(&id, signature));
        }
        for file in files {
            if self.refusing >= REMEMBERED {
                return Ok(());
            }
            let path = String::from_utf8_lossy(file.path);
            if file.old.is_none() {
                self.take(lint, lint.path(&id, &path));
            }
            let Some(new) = self.text(commit.repo, file.new)? else { continue };
            let old = file.old.map(|old| self.text(commit.repo, old)).transpose()?.flatten();
            let before: HashSet<&[u8]> = old.iter().flat_map(|old| numbered(old)).map(|(_, line)| line).collect();
            for (number, line) in numbered(&new) {
                // A line that stood there before, wherever, is not added.
                if !before.contains(line) {
                    self.take(lint, lint.line(&id, (&path, number), line));
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, lint: &Lint, found: Vec<Finding>) {
        for finding in found {
            // However often it stands there, a reporter's address is told once for each commit.
            let told = |known: &Finding| known.rule == LintRule::Reporter && known.commit == finding.commit;
            if finding.rule == LintRule::Reporter && self.findings.iter().any(told) {
                continue;
            }
            let refuses = lint.refuses(finding.rule);
            let like = if refuses { self.refusing } else { self.findings.len() - self.refusing };
            if like < REMEMBERED {
                self.refusing += usize::from(refuses);
                self.findings.push(finding);
            }
        }
    }

    /// Reads a text; none for what is binary, too long or no file, and once enough was read.
    fn text(&mut self, repository: &gix::Repository, id: gix::ObjectId) -> Result<Option<Vec<u8>>> {
        let header = repository.find_header(id).map_err(Error::library(WHAT))?;
        if !header.kind().is_blob() || header.size() > FILE_BYTES || self.bytes + header.size() > ALL_BYTES {
            return Ok(None);
        }
        self.bytes += header.size();
        let bytes = repository.find_object(id).map_err(Error::library(WHAT))?.detach().data;
        let binary = bytes.iter().take(LOOKED_AT).any(|byte| *byte == 0);
        Ok((!binary).then_some(bytes))
    }
}
