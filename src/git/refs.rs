//! Reading and writing many refs at once, straight into `packed-refs`.
//!
//! Guards: what is removed is removed before what is made, so that `x` may become `x/sub`; thousands of refs cost one file.
//! Leaves the choice of names to the callers.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gix::lock::acquire::Fail;
use gix::refs::file::transaction::PackedRefs;
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};

use super::error::{Error, Result};
use crate::domain::repo::CommitId;

/// Ref names and the object each points to; tags are not peeled.
pub(super) type RefTable = BTreeMap<String, gix::ObjectId>;

/// Refs to remove and refs to set.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) remove: Vec<String>,
    pub(super) set: RefTable,
}

/// Reads every ref below a prefix such as `refs/heads/`. Symbolic and unreadable refs are left out.
pub(super) fn below(repository: &gix::Repository, prefix: &str) -> Result<RefTable> {
    const WHAT: &str = "reading refs";
    let platform = repository.references().map_err(Error::library(WHAT))?;
    let mut table = RefTable::new();
    for reference in platform.prefixed(prefix).map_err(Error::library(WHAT))? {
        let Ok(reference) = reference else { continue };
        let Some(id) = reference.try_id() else { continue };
        let Ok(name) = std::str::from_utf8(reference.name().as_bstr()) else { continue };
        table.insert(name.to_owned(), id.detach());
    }
    Ok(table)
}

/// Applies edits in two steps: first what goes, then what comes.
pub(super) fn apply(repository: &gix::Repository, edits: Edits) -> Result<()> {
    let name =
        |text: String| -> Result<gix::refs::FullName> { text.try_into().map_err(Error::library("naming a ref")) };
    let mut removals = Vec::with_capacity(edits.remove.len());
    for removed in edits.remove {
        let change = Change::Delete { expected: PreviousValue::Any, log: RefLog::AndReference };
        removals.push(RefEdit { change, name: name(removed)?, deref: false });
    }
    transact(repository, removals)?;
    let mut updates = Vec::with_capacity(edits.set.len());
    for (set, id) in edits.set {
        let change = Change::Update { log: LogChange::default(), expected: PreviousValue::Any, new: id.into() };
        updates.push(RefEdit { change, name: name(set)?, deref: false });
    }
    transact(repository, updates)
}

fn transact(repository: &gix::Repository, edits: Vec<RefEdit>) -> Result<()> {
    const WHAT: &str = "writing refs";
    if edits.is_empty() {
        return Ok(());
    }
    let wait = Fail::AfterDurationWithBackoff(Duration::from_secs(10));
    let packed = PackedRefs::DeletionsAndNonSymbolicUpdatesRemoveLooseSourceReference(Box::new(&repository.objects));
    let transaction = repository.refs.transaction().packed_refs(packed);
    transaction
        .prepare(edits, wait, wait)
        .and_then(|transaction| transaction.commit(None))
        .map(drop)
        .map_err(Error::library(WHAT))
}

/// Points `HEAD` at a branch, which need not exist yet.
pub(super) fn point_head(git_dir: &Path, branch: &str) -> Result<()> {
    let fresh = git_dir.join("HEAD.new");
    std::fs::write(&fresh, format!("ref: {branch}\n")).map_err(Error::io("setting HEAD"))?;
    std::fs::rename(&fresh, git_dir.join("HEAD")).map_err(Error::io("setting HEAD"))
}

/// Turns an id of gix into ours.
pub(super) fn commit_id(id: gix::ObjectId) -> Result<CommitId> {
    id.to_string().parse().map_err(Error::library("reading an object id"))
}

/// Turns our id into one of gix.
pub(super) fn object_id(id: &CommitId) -> Result<gix::ObjectId> {
    gix::ObjectId::from_hex(id.as_str().as_bytes()).map_err(Error::library("reading an object id"))
}

/// Reads `<name> <id>` lines as `for-each-ref` prints them, dropping what is not one.
pub(super) fn parse_lines(output: &[u8]) -> RefTable {
    String::from_utf8_lossy(output)
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, id)| Some((name.to_owned(), gix::ObjectId::from_hex(id.as_bytes()).ok()?)))
        .collect()
}
