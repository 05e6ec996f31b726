//! What was found in a push while it was still in quarantine: how each ref would move, and what comes with it.
//!
//! Guards: a limit that ended a look is said, so that nothing unseen counts as harmless. Leaves finding it to `git::inspect`, and
//! what follows from it to [`super::push`].

use std::collections::BTreeSet;

use super::lint::Finding;
use super::refusal::Refusal;
use super::repo::{CommitId, RefUpdate};
use super::text::shown;

/// How many hostile entries of one ref are named.
const NAMED: usize = 3;

/// What was found in a push while it was still in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushFacts {
    /// One entry per ref, in the order they were sent.
    pub refs: Vec<RefFacts>,
    /// What the pack holds.
    pub sent: Sent,
}

/// The objects a push brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Number of objects.
    pub objects: u64,
    /// Bytes of all objects, unpacked.
    pub bytes: u64,
    /// Bytes of the biggest blob, unpacked.
    pub biggest_blob: u64,
    /// False if a limit ended the count.
    pub complete: bool,
}

/// What a ref of a push would become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefFacts {
    /// The change as it was asked for.
    pub update: RefUpdate,
    /// The kind of change.
    pub motion: Motion,
    /// New commits, up to the limit.
    pub new_commits: u32,
    /// Paths the new commits change, up to the limit.
    pub changed: BTreeSet<String>,
    /// Entries that could hurt whoever checks them out.
    pub hostile: Vec<Hostile>,
    /// Commits that it has to contain and does not.
    pub lacks: Vec<CommitId>,
    /// What tells too much, up to a limit.
    pub findings: Vec<Finding>,
    /// False if a limit ended the look before its end.
    pub complete: bool,
}

/// How a ref moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// The ref is new.
    Created,
    /// The old commit is an ancestor of the new one.
    Forward,
    /// The old commit is not an ancestor of the new one.
    Rewritten,
    /// The ref goes away.
    Deleted,
    /// The new id is a tag, a tree or a blob.
    NotACommit,
}

/// An entry of a tree that a checkout should not meet; the text is the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hostile {
    /// The name holds control, direction-changing or separator characters, is not UTF-8, or means git's own folder.
    Name(String),
    /// A symbolic link that leads out of the tree.
    Link(String),
    /// A submodule: it would be fetched from elsewhere.
    Submodule(String),
}

/// Names what of a ref could hurt, a sentence each.
pub(super) fn hostile(short: &str, found: &[Hostile]) -> Vec<Refusal> {
    let sentence = |entry: &Hostile| match entry {
        Hostile::Name(path) => {
            format!(
                "{short} holds the file name \"{}\", which is unsafe on some systems: rename it.",
                shown(&clipped(path))
            )
        }
        Hostile::Link(path) => {
            format!(
                "{short} holds the link \"{}\", which leads out of the tree: make it relative and inside.",
                shown(&clipped(path))
            )
        }
        Hostile::Submodule(path) => {
            format!(
                "{short} adds or moves the submodule \"{}\": a fix may not bring code from elsewhere.",
                shown(&clipped(path))
            )
        }
    };
    found.iter().take(NAMED).map(|entry| Refusal::input(sentence(entry))).collect()
}

/// Cuts a text from outside to what a sentence holds.
pub(super) fn clipped(text: &str) -> String {
    text.chars().take(120).collect()
}
