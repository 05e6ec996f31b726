//! Putting fixes onto a public line: as merges here, as replayed or single commits in `replay`.
//!
//! Guards: `git merge-tree` decides, the same way a maintainer's git would; the commit's names and times are given, so the
//! same input makes the same ids, in a rehearsal and at the release. No working tree and no ref is touched. Leaves where
//! the result goes to `publish`.

use std::fmt;
use std::sync::Arc;

use gix::objs::{Commit, WriteTo};
use jiff::Timestamp;

use super::error::{Error, Result};
use super::identity::Identity;
use super::refs;
use super::{Git, Repo};
use crate::domain::recipe::Strategy;
use crate::domain::repo::CommitId;
use crate::domain::template::with_trailers;

/// Conflicting paths that are named.
const NAMED: usize = 200;

/// Signs the bytes of a commit as git wants it: an armored signature.
#[derive(Clone)]
pub struct Seal(Arc<Signs>);

/// What signs some bytes.
type Signs = dyn Fn(&[u8]) -> Result<String> + Send + Sync;

impl Seal {
    /// Takes what signs; an error is what kept it from signing.
    pub fn new<E: std::error::Error + Send + Sync + 'static>(
        sign: impl Fn(&[u8]) -> Result<String, E> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |payload| sign(payload).map_err(Error::library("signing a commit"))))
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

/// Whose name and what time the commits of a release bear.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Who is named as author.
    pub author: Identity,
    /// Who is named as committer.
    pub committer: Identity,
    /// Both times, to the second.
    pub dated_at: Timestamp,
    /// What signs them; none where they are not signed.
    pub seal: Option<Seal>,
}

/// A fix to be put onto a line.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The approved commit.
    pub head: CommitId,
    /// The message of the merge, or of the one commit.
    pub message: String,
    /// Trailers that are added to each commit made for it.
    pub riders: Vec<String>,
    /// The commit it stands on, of which the line holds what it changed already, in whatever commits.
    pub on: Option<CommitId>,
}

/// How putting fixes onto a line ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It is clean; the commit is stored, and no ref points to it yet.
    Clean {
        /// The last commit made, or the line itself if it holds every fix already.
        commit: CommitId,
        /// Its tree.
        tree: CommitId,
    },
    /// A fix conflicts.
    Conflict {
        /// The fix that does not fit.
        head: CommitId,
        /// Which of its commits does not, where each is replayed.
        at: Option<CommitId>,
        /// Where, sorted.
        paths: Vec<String>,
    },
    /// Replayed one by one, its commits do not add up to what was approved.
    Differs {
        /// The fix.
        head: CommitId,
    },
}

/// What joining two trees gave.
pub(super) enum Joined {
    /// The tree of both.
    Clean(CommitId),
    /// The paths that conflict, sorted.
    Conflict(Vec<String>),
}

impl Stamp {
    /// Begins a commit of this tree, without parents.
    pub(super) fn commit(&self, tree: &CommitId, message: &str) -> Result<Commit> {
        Ok(Commit {
            tree: refs::object_id(tree)?,
            parents: Default::default(),
            author: self.author.at(self.dated_at),
            committer: self.committer.at(self.dated_at),
            encoding: None,
            message: format!("{}\n", message.trim_end()).into(),
            extra_headers: Vec::new(),
        })
    }
}

impl Git {
    /// Puts fixes onto the tip of a line, one after the other.
    pub async fn combine(
        &self,
        repo: &Repo,
        tip: &CommitId,
        topics: &[Topic],
        how: (Strategy, &Stamp),
    ) -> Result<Merged> {
        let (strategy, stamp) = how;
        let mut commit = tip.clone();
        for topic in topics {
            // A fix that the line holds already changes nothing.
            if self.is_ancestor(repo, &topic.head, &commit).await? {
                continue;
            }
            // What the line holds in other commits is not brought in a second time by a merge.
            let foreign = match &topic.on {
                Some(on) => !self.is_ancestor(repo, on, &commit).await?,
                None => false,
            };
            let put = match strategy {
                Strategy::Merge if foreign => self.squash(repo, &commit, topic, stamp).await?,
                Strategy::Merge => self.merge(repo, &commit, topic, stamp).await?,
                Strategy::Rebase => self.replay(repo, &commit, topic, stamp).await?,
                Strategy::Squash => self.squash(repo, &commit, topic, stamp).await?,
            };
            match put {
                Merged::Clean { commit: next, .. } => commit = next,
                other @ (Merged::Conflict { .. } | Merged::Differs { .. }) => return Ok(other),
            }
        }
        let tree = self.commit(repo, &commit).await?.tree;
        Ok(Merged::Clean { commit, tree })
    }

    /// Merges one fix onto the tip of a line.
    async fn merge(&self, repo: &Repo, tip: &CommitId, topic: &Topic, stamp: &Stamp) -> Result<Merged> {
        match self.join(repo, tip, &topic.head).await? {
            Joined::Clean(tree) => {
                let mut commit = stamp.commit(&tree, &with_trailers(&topic.message, &topic.riders))?;
                for parent in [tip, &topic.head] {
                    commit.parents.push(refs::object_id(parent)?);
                }
                let commit = self.write_commit(repo, commit, stamp).await?;
                Ok(Merged::Clean { commit, tree })
            }
            Joined::Conflict(paths) => Ok(Merged::Conflict { head: topic.head.clone(), at: None, paths }),
        }
    }

    /// Joins what two commits changed since they parted into one tree.
    pub(super) async fn join(&self, repo: &Repo, ours: &CommitId, theirs: &CommitId) -> Result<Joined> {
        let what = "merging a fix";
        let output = self
            .command(what)
            .in_repository(&self.existing(repo)?)
            .config("merge.conflictStyle", "merge")
            .config("merge.renames", "true")
            .config("merge.directoryRenames", "conflict")
            .args(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours.as_str(), theirs.as_str()])
            .run(b"")
            .await?;
        let mut fields = output.stdout.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let first = fields.next().unwrap_or_default();
        match (output.code, first.trim().parse::<CommitId>()) {
            (Some(0), Ok(tree)) => Ok(Joined::Clean(tree)),
            (Some(1), Ok(_)) => {
                let mut paths: Vec<_> = fields.take(NAMED).map(String::from).filter(|path| !path.is_empty()).collect();
                paths.sort();
                paths.dedup();
                Ok(Joined::Conflict(paths))
            }
            (code, _) => Err(Error::Failed { what, code, said: output.said }),
        }
    }

    /// Stores a commit that the release makes, signed if its stamp says so, and returns its id (gitformat-signature(5)).
    pub(super) async fn write_commit(&self, repo: &Repo, mut commit: Commit, stamp: &Stamp) -> Result<CommitId> {
        if let Some(Seal(sign)) = &stamp.seal {
            let mut payload = Vec::new();
            commit.write_to(&mut payload).map_err(Error::io("signing a commit"))?;
            let signature = sign(&payload)?;
            commit.extra_headers.push(("gpgsig".into(), signature.trim_end().into()));
        }
        self.write(repo, commit).await
    }

    /// Stores an object and returns its id.
    pub(super) async fn write(&self, repo: &Repo, object: impl WriteTo + Send + 'static) -> Result<CommitId> {
        self.read(repo, "storing an object", move |repository| {
            let id = repository.write_object(object).map_err(Error::library("storing an object"))?;
            refs::commit_id(id.detach())
        })
        .await
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::sample::Sample;
    use super::*;

    pub(in crate::git) fn stamp() -> Stamp {
        let dated_at = "2026-02-01T12:00:00Z".parse().unwrap();
        Stamp { author: Sample::identity(), committer: Sample::identity(), dated_at, seal: None }
    }

    pub(in crate::git) fn topic(head: &CommitId) -> Topic {
        Topic { head: head.clone(), message: "Merge a fix".to_owned(), riders: Vec::new(), on: None }
    }

    /// Commits a change on a branch of its own, based on `base`.
    pub(in crate::git) async fn fix(sample: &Sample, base: &str, name: &str, text: &str) -> CommitId {
        sample.user(["checkout", "-q", "--detach", base]).await;
        let commit = sample.write(name, text).await;
        sample.user(["branch", "-f", &format!("kept-{}", commit.short()), commit.as_str()]).await;
        commit
    }

    #[tokio::test]
    async fn the_same_input_makes_the_same_commit_and_git_agrees_with_the_tree() {
        let sample = Sample::new().await;
        let one = fix(&sample, "1.x", "lib.c", "one fixed\ntwo\nthree\nfour\nfive\n").await;
        let two = fix(&sample, "1.x", "other.c", "new\n").await;
        sample.update().await.unwrap();
        let (repo, tip) = (Repo::Mirror(sample.id), sample.head("main").await);
        let topics = [topic(&one), topic(&two)];
        let first = sample.git.combine(&repo, &tip, &topics, (Strategy::Merge, &stamp())).await.unwrap();
        let again = sample.git.combine(&repo, &tip, &topics, (Strategy::Merge, &stamp())).await.unwrap();
        assert_eq!(first, again);
        let Merged::Clean { commit, tree } = first else { panic!("{first:?}") };
        sample.user(["checkout", "-q", "main"]).await;
        sample.user(["merge", "-q", "--no-ff", "-m", "x", one.as_str()]).await;
        sample.user(["merge", "-q", "--no-ff", "-m", "x", two.as_str()]).await;
        assert_eq!(sample.head("HEAD^{tree}").await, tree);
        let summary = sample.git.commit(&repo, &commit).await.unwrap();
        assert_eq!(summary.author, "Sample Manager");
        assert_eq!(summary.parents[1], two);
        assert!(sample.git.is_ancestor(&repo, &tip, &commit).await.unwrap());
        assert!(!sample.git.is_ancestor(&repo, &commit, &tip).await.unwrap());
        let paths = sample.git.changed_paths(&repo, &tip, &commit, 10).await.unwrap();
        assert_eq!(paths, ["lib.c", "other.c"]);
        assert_eq!(sample.git.commits(&repo, &tip, &commit, 10).await.unwrap().len(), 4);
        sample.fsck(&repo).await;
    }

    #[tokio::test]
    async fn a_conflict_names_the_fix_and_the_paths() {
        let sample = Sample::new().await;
        let one = fix(&sample, "1.x", "lib.c", "one\nTWO\nthree\nfour\nfive\n").await;
        let two = fix(&sample, "1.x", "lib.c", "one\n2\nthree\nfour\nfive\n").await;
        sample.update().await.unwrap();
        let (repo, tip) = (Repo::Mirror(sample.id), sample.head("main").await);
        let merged =
            sample.git.combine(&repo, &tip, &[topic(&one), topic(&two)], (Strategy::Merge, &stamp())).await.unwrap();
        assert_eq!(merged, Merged::Conflict { head: two, at: None, paths: vec!["lib.c".to_owned()] });
    }

    #[tokio::test]
    async fn a_fix_that_is_public_already_changes_nothing() {
        let sample = Sample::new().await;
        sample.update().await.unwrap();
        let (repo, tip, old) = (Repo::Mirror(sample.id), sample.head("main").await, sample.head("1.x").await);
        for strategy in Strategy::ALL {
            let merged = sample.git.combine(&repo, &tip, &[topic(&old)], (*strategy, &stamp())).await.unwrap();
            assert!(matches!(merged, Merged::Clean { commit, .. } if commit == tip));
        }
    }
}
