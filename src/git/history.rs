//! Reading history: commits, ancestry, changed paths, patches.
//!
//! Guards: every look goes through one named repository, so an id of another case is simply missing; every list is bounded.
//! Leaves the showing to pages, which escape what they print.

use super::error::{Error, Result};
use super::refs;
use super::{Git, Repo};
use crate::domain::repo::CommitId;

/// What a page shows of a commit. All of it was written by whoever pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitSummary {
    /// The commit.
    pub id: CommitId,
    /// Its tree.
    pub tree: CommitId,
    /// Its parents, first the one it was made on.
    pub parents: Vec<CommitId>,
    /// The author's name.
    pub author: String,
    /// The author's address.
    pub author_email: String,
    /// When the author wrote it, if the date makes sense.
    pub authored_at: Option<jiff::Timestamp>,
    /// When it was committed, if the date makes sense.
    pub committed_at: Option<jiff::Timestamp>,
    /// The first line of the message.
    pub title: String,
    /// The whole message.
    pub message: String,
}

/// How a change came into a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// By the commit itself.
    Itself,
    /// By this commit, which says that it was picked from the one asked about.
    Picked(CommitId),
    /// Not at all, as far as the history says.
    Nowhere,
}

impl Git {
    /// Returns one commit.
    pub async fn commit(&self, repo: &Repo, id: &CommitId) -> Result<CommitSummary> {
        let id = refs::object_id(id)?;
        self.read(repo, "reading a commit", move |repository| summary(&repository, id)).await
    }

    /// Returns commits reachable from `head` but not from `base`, newest first, at most `limit`.
    pub async fn commits(
        &self,
        repo: &Repo,
        base: &CommitId,
        head: &CommitId,
        limit: usize,
    ) -> Result<Vec<CommitSummary>> {
        self.commits_beyond(repo, std::slice::from_ref(base), head, limit).await
    }

    /// Returns commits reachable from `head` but from none of `bases`, newest first, at most `limit`.
    pub async fn commits_beyond(
        &self,
        repo: &Repo,
        bases: &[CommitId],
        head: &CommitId,
        limit: usize,
    ) -> Result<Vec<CommitSummary>> {
        let bases = bases.iter().map(refs::object_id).collect::<Result<Vec<_>>>()?;
        let head = refs::object_id(head)?;
        self.read(repo, "reading commits", move |repository| {
            let walk =
                repository.rev_walk([head]).with_hidden(bases).all().map_err(Error::library("reading commits"))?;
            walk.take(limit)
                .map(|info| summary(&repository, info.map_err(Error::library("reading commits"))?.id))
                .collect()
        })
        .await
    }

    /// Tells whether one commit is the other or one of its ancestors.
    pub async fn is_ancestor(&self, repo: &Repo, ancestor: &CommitId, descendant: &CommitId) -> Result<bool> {
        Ok(self.merge_base(repo, ancestor, descendant).await?.as_ref() == Some(ancestor))
    }

    /// Says how a change came into the history of `tip`: by its commit, or by one that `git cherry-pick -x` made of it.
    ///
    /// # Errors
    /// [`Error::Missing`] where the repository knows one of the two commits not.
    pub async fn carried(&self, repo: &Repo, change: &CommitId, tip: &CommitId) -> Result<Carried> {
        if self.is_ancestor(repo, change, tip).await? {
            return Ok(Carried::Itself);
        }
        let found = self
            .command("looking for a picked commit")
            .in_repository(&self.existing(repo)?)
            .args(["log", "--max-count=1", "--format=%H", "--fixed-strings"])
            .arg(format!("--grep=(cherry picked from commit {change})"))
            .arg(tip.as_str())
            .arg("--")
            .succeed(b"")
            .await?;
        match String::from_utf8_lossy(&found).trim() {
            "" => Ok(Carried::Nowhere),
            id => Ok(id.parse().map_or(Carried::Nowhere, Carried::Picked)),
        }
    }

    /// Returns the oldest commit of a history's main path that no other of these histories holds; none if one holds all.
    pub async fn first_apart(&self, repo: &Repo, tip: &CommitId, others: &[CommitId]) -> Result<Option<CommitId>> {
        let found = self
            .command("looking for where lines part")
            .in_repository(&self.existing(repo)?)
            .args(["rev-list", "--first-parent", tip.as_str(), "--not"])
            .args(others.iter().map(CommitId::as_str))
            .arg("--")
            .succeed(b"")
            .await?;
        let oldest = String::from_utf8_lossy(&found).lines().last().map(str::parse);
        Ok(oldest.and_then(std::result::Result::ok))
    }

    /// Returns the commit two histories part at, none if they share nothing.
    pub async fn merge_base(&self, repo: &Repo, one: &CommitId, two: &CommitId) -> Result<Option<CommitId>> {
        let (one, two) = (refs::object_id(one)?, refs::object_id(two)?);
        self.read(repo, "comparing histories", move |repository| {
            for id in [one, two] {
                repository.find_commit(id).map_err(|_| Error::Missing)?;
            }
            let base = repository.merge_base(one, two).map_err(Error::library("comparing histories"))?;
            base.map(|base| refs::commit_id(base.detach())).transpose()
        })
        .await
    }

    /// Returns paths that differ between two commits, sorted, at most `limit`; bytes that are no text are replaced.
    pub async fn changed_paths(
        &self,
        repo: &Repo,
        old: &CommitId,
        new: &CommitId,
        limit: usize,
    ) -> Result<Vec<String>> {
        let (old, new) = (refs::object_id(old)?, refs::object_id(new)?);
        self.read(repo, "comparing trees", move |repository| {
            let tree = |id| {
                let commit = repository.find_commit(id).map_err(|_| Error::Missing)?;
                commit.tree().map_err(Error::library("comparing trees"))
            };
            let mut paths = Vec::new();
            let (old, new) = (tree(old)?, tree(new)?);
            let mut changes = old.changes().map_err(Error::library("comparing trees"))?;
            changes.options(|options| {
                options.track_path().track_rewrites(None);
            });
            let walked = changes.for_each_to_obtain_tree(&new, |change| -> gix::Result<_> {
                if !change.entry_mode().is_tree() {
                    paths.push(change.location().to_string());
                }
                Ok(if paths.len() < limit {
                    std::ops::ControlFlow::Continue(())
                } else {
                    std::ops::ControlFlow::Break(())
                })
            });
            if let Err(error) = walked
                && paths.len() < limit
            {
                return Err(Error::library("comparing trees")(error));
            }
            paths.sort();
            Ok(paths)
        })
        .await
    }

    /// Returns the patch from the point where `base` and `head` part up to `head`, as git prints it.
    ///
    /// # Errors
    /// A patch of more than 64 MiB is refused.
    pub async fn patch(&self, repo: &Repo, base: &CommitId, head: &CommitId) -> Result<Vec<u8>> {
        self.command("making a patch")
            .in_repository(&self.existing(repo)?)
            .args(["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--find-renames"])
            .arg(format!("{base}...{head}"))
            .arg("--")
            .succeed(b"")
            .await
    }

    /// Returns the bytes of a file in a commit, none if there is no such file.
    ///
    /// # Errors
    /// A file larger than `limit` bytes is refused.
    pub async fn file(&self, repo: &Repo, id: &CommitId, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let (id, path) = (refs::object_id(id)?, path.to_owned());
        self.read(repo, "reading a file", move |repository| {
            let commit = repository.find_commit(id).map_err(|_| Error::Missing)?;
            let tree = commit.tree().map_err(Error::library("reading a file"))?;
            let entry = tree.lookup_entry_by_path(&path).map_err(Error::library("reading a file"))?;
            let Some(entry) = entry.filter(|entry| entry.mode().is_blob()) else { return Ok(None) };
            let header = repository.find_header(entry.object_id()).map_err(Error::library("reading a file"))?;
            if header.size() > limit {
                return Err(crate::domain::refusal::Refusal::input("The file is too large to be read.").into());
            }
            let mut object = entry.object().map_err(Error::library("reading a file"))?;
            Ok(Some(std::mem::take(&mut object.data)))
        })
        .await
    }

    /// Lists the files directly in a folder of a commit, as full paths; none if there is no such folder.
    pub async fn folder(&self, repo: &Repo, id: &CommitId, path: &str) -> Result<Vec<String>> {
        let (id, path) = (refs::object_id(id)?, path.to_owned());
        self.read(repo, "reading a folder", move |repository| {
            let what = "reading a folder";
            let commit = repository.find_commit(id).map_err(|_| Error::Missing)?;
            let tree = commit.tree().map_err(Error::library(what))?;
            let entry = tree.lookup_entry_by_path(&path).map_err(Error::library(what))?;
            let Some(entry) = entry.filter(|entry| entry.mode().is_tree()) else { return Ok(Vec::new()) };
            let folder = entry.object().map_err(Error::library(what))?.into_tree();
            let mut names = Vec::new();
            for entry in folder.iter() {
                let entry = entry.map_err(Error::library(what))?;
                if entry.mode().is_blob() {
                    names.push(format!("{path}/{}", entry.filename()));
                }
            }
            Ok(names)
        })
        .await
    }
}

fn summary(repository: &gix::Repository, id: gix::ObjectId) -> Result<CommitSummary> {
    const WHAT: &str = "reading a commit";
    let commit = repository.find_commit(id).map_err(|_| Error::Missing)?;
    let instant =
        |time: gix::Result<gix::date::Time>| time.ok().and_then(|time| jiff::Timestamp::from_second(time.seconds).ok());
    let author = commit.author().map_err(Error::library(WHAT))?;
    let committer = commit.committer().map_err(Error::library(WHAT))?;
    let message = String::from_utf8_lossy(commit.message_raw().map_err(Error::library(WHAT))?).into_owned();
    Ok(CommitSummary {
        id: refs::commit_id(id)?,
        tree: refs::commit_id(commit.tree_id().map_err(Error::library(WHAT))?.detach())?,
        parents: commit.parent_ids().map(|parent| refs::commit_id(parent.detach())).collect::<Result<_>>()?,
        author: author.name.to_string(),
        author_email: author.email.to_string(),
        authored_at: instant(author.time()),
        committed_at: instant(committer.time()),
        title: message.lines().next().unwrap_or_default().to_owned(),
        message,
    })
}
