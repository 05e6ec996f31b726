//! What a rehearsal finds: one tag on one line, and what the release would push there.

use jiff::Timestamp;

use super::digest::Digest;
use super::forward::{Moved, MovedBy};
use super::id::{LineId, UpstreamId, words};
use super::project::TagStyle;
use super::recipe::Strategy;
use super::repo::{CommitId, TagName};

/// One tag on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The repository.
    pub upstream: UpstreamId,
    /// The line.
    pub line: LineId,
    /// The tag.
    pub tag: TagName,
    /// How fixes are put onto the line.
    pub strategy: Strategy,
    /// How the tag looks.
    pub style: TagStyle,
    /// How the last rehearsal went here.
    pub rehearsal: Rehearsal,
}

impl Target {
    /// Plans a tag on a line: merges and an annotated tag, nothing rehearsed.
    pub fn of(upstream: UpstreamId, line: LineId, tag: TagName) -> Self {
        let (strategy, style) = (Strategy::Merge, TagStyle::Annotated);
        Self { upstream, line, tag, strategy, style, rehearsal: Rehearsal::None }
    }
}

/// How a rehearsal went on one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// None yet.
    None,
    /// No candidate; why.
    Trouble {
        /// A sentence, free of case text.
        sentence: String,
        /// When.
        at: Timestamp,
    },
    /// What the release would push.
    Candidate(Candidate),
}

words! {
    /// Who made a candidate.
    Maker {
        /// The server, by merging the fixes.
        Server = "server",
        /// A person, who pushed it.
        Person = "person",
    }
}

/// What a release would push to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The public tip it was built on.
    pub base: CommitId,
    /// The merged commit.
    pub commit: CommitId,
    /// The tag's object; the commit itself for a lightweight tag.
    pub tag_object: CommitId,
    /// Who made it.
    pub maker: Maker,
    /// Whether its last commit is what a version command changed: no approval of a fix covers that.
    pub bumped: bool,
    /// The line's one fix, if this is its very tree: what was checked there was checked here.
    pub same_as: Option<CommitId>,
    /// What it was built from: [`inputs`].
    pub inputs: Digest,
    /// How it was made of that: the digest of its [`super::recipe::Recipe`].
    pub recipe: Digest,
    /// Other branches that move, besides those that move to the line's own commit.
    pub moves: Vec<Moved>,
    /// When.
    pub at: Timestamp,
}

impl Candidate {
    /// Returns the commit that is tagged: the line's, or where tags stand on another branch, the one that branch moves to.
    pub fn tagged(&self) -> &CommitId {
        let on = self.moves.iter().find(|moved| moved.by == MovedBy::Tag);
        on.map_or(&self.commit, |moved| &moved.new)
    }
}

/// Names what a candidate is built from: the public tip, the fixes in order, the tests that it must not hold, the dates, the tag, and what a person pushed in
/// place of the merge, whether it could be used or not.
pub fn inputs(
    base: &CommitId,
    (fixes, tests): (&[CommitId], &[CommitId]),
    dated_at: Timestamp,
    tag: &TagName,
    offered: Option<&CommitId>,
) -> Digest {
    let dated_at = dated_at.as_second().to_be_bytes();
    let mut parts: Vec<&[u8]> =
        vec![b"embargo-candidate-1", base.as_str().as_bytes(), &dated_at, tag.as_str().as_bytes()];
    parts.extend(fixes.iter().map(|fix| fix.as_str().as_bytes()));
    if !tests.is_empty() {
        parts.push(b"held back");
        parts.extend(tests.iter().map(|tests| tests.as_str().as_bytes()));
    }
    if let Some(offered) = offered {
        parts.extend([b"offered".as_slice(), offered.as_str().as_bytes()]);
    }
    Digest::of_parts(&parts)
}
