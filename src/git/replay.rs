//! Fixes onto a line without a merge: each commit made anew on the tip, or all as one.
//!
//! Guards: who wrote a commit, when, and what they said of it stay as they were; what is made of a fix has the tree that a
//! merge of it would have, or is refused; and a commit that stands on the tip as it is stays what it is. Signatures of
//! commits that are made anew fall away, for they would not hold.

use gix::objs::Commit;

use super::combine::{Joined, Merged, Stamp, Topic};
use super::error::{Error, Result};
use super::identity::Identity;
use super::refs;
use super::{Git, Repo};
use crate::domain::refusal::Refusal;
use crate::domain::repo::CommitId;
use crate::domain::template::with_trailers;
use crate::domain::text::deceptive;

/// Commits of one fix that are replayed.
const MOST: usize = 200;

/// A commit of a fix.
struct Step {
    id: CommitId,
    /// Its one parent; none for a merge, which a replay leaves out, and for a root.
    parent: Option<CommitId>,
}

impl Git {
    /// Makes each commit of a fix anew on the tip. What the line holds already, and merges, leave no commit.
    pub(super) async fn replay(&self, repo: &Repo, tip: &CommitId, topic: &Topic, stamp: &Stamp) -> Result<Merged> {
        let whole = self.whole(repo, tip, topic).await?;
        let (mut at, mut tree) = (tip.clone(), self.commit(repo, tip).await?.tree);
        let mut merges = false;
        for step in self.steps(repo, tip, topic).await? {
            let Some(parent) = &step.parent else {
                merges = true;
                continue;
            };
            if *parent == at && topic.riders.is_empty() {
                (at, tree) = (step.id.clone(), self.commit(repo, &step.id).await?.tree);
                continue;
            }
            let picked = match self.pick(repo, (&at, &tree), (&step.id, parent)).await? {
                Joined::Clean(picked) => picked,
                Joined::Conflict(paths) => {
                    return Ok(Merged::Conflict { head: topic.head.clone(), at: Some(step.id), paths });
                }
            };
            if picked == tree {
                continue;
            }
            let mut commit = self.whole_commit(repo, &step.id).await?;
            commit.tree = refs::object_id(&picked)?;
            commit.parents = [refs::object_id(&at)?].into_iter().collect();
            commit.committer = stamp.committer.at(stamp.dated_at);
            commit.extra_headers = Vec::new();
            add_riders(&mut commit, &topic.riders)?;
            (at, tree) = (self.write_commit(repo, commit, stamp).await?, picked);
        }
        match whole {
            Joined::Clean(whole) if whole != tree => Ok(Merged::Differs { head: topic.head.clone() }),
            // What a merge in the fix resolved, a replay would leave out.
            Joined::Conflict(_) if merges => Ok(Merged::Differs { head: topic.head.clone() }),
            Joined::Clean(_) | Joined::Conflict(_) => Ok(Merged::Clean { commit: at, tree }),
        }
    }

    /// Makes one commit of a fix, by the author of its first commit; the others are named as authors beside them.
    pub(super) async fn squash(&self, repo: &Repo, tip: &CommitId, topic: &Topic, stamp: &Stamp) -> Result<Merged> {
        let tree = match self.whole(repo, tip, topic).await? {
            Joined::Clean(tree) => tree,
            Joined::Conflict(paths) => return Ok(Merged::Conflict { head: topic.head.clone(), at: None, paths }),
        };
        if tree == self.commit(repo, tip).await?.tree {
            return Ok(Merged::Clean { commit: tip.clone(), tree });
        }
        let mut first: Option<Commit> = None;
        let mut trailers: Vec<String> = Vec::new();
        for step in self.steps(repo, tip, topic).await?.into_iter().filter(|step| step.parent.is_some()) {
            let commit = self.whole_commit(repo, &step.id).await?;
            match &first {
                None => first = Some(commit),
                Some(first)
                    if (&first.author.name, &first.author.email) == (&commit.author.name, &commit.author.email) => {}
                Some(_) => trailers.extend(beside(&commit)),
            }
        }
        trailers.sort();
        trailers.dedup();
        trailers.extend(topic.riders.iter().cloned());
        let mut commit = stamp.commit(&tree, &with_trailers(&topic.message, &trailers))?;
        if let Some(first) = first {
            commit.author = first.author;
        }
        commit.parents.push(refs::object_id(tip)?);
        let commit = self.write_commit(repo, commit, stamp).await?;
        Ok(Merged::Clean { commit, tree })
    }

    /// Puts all that a fix changed onto the tip.
    async fn whole(&self, repo: &Repo, tip: &CommitId, topic: &Topic) -> Result<Joined> {
        match &topic.on {
            Some(on) => {
                let tree = self.commit(repo, tip).await?.tree;
                self.pick(repo, (tip, &tree), (&topic.head, on)).await
            }
            None => self.join(repo, tip, &topic.head).await,
        }
    }

    /// Lists the commits of a fix that a line does not hold, parents before children.
    async fn steps(&self, repo: &Repo, tip: &CommitId, topic: &Topic) -> Result<Vec<Step>> {
        let limit = format!("--max-count={}", MOST + 1);
        let found = self
            .command("listing the commits of a fix")
            .in_repository(&self.existing(repo)?)
            .args(["rev-list", "--topo-order", "--parents", limit.as_str(), topic.head.as_str()])
            .args(topic.on.iter().chain([tip]).map(|known| format!("^{known}")))
            .arg("--")
            .succeed(b"")
            .await?;
        let listed = String::from_utf8_lossy(&found);
        let mut steps = Vec::new();
        for line in listed.lines() {
            let mut ids = line.split(' ').map(str::parse::<CommitId>);
            let (Some(Ok(id)), parent, more) = (ids.next(), ids.next().transpose(), ids.next()) else { continue };
            let parent = parent.map_err(|_| Error::Missing)?.filter(|_| more.is_none());
            steps.push(Step { id, parent });
        }
        if steps.len() > MOST {
            return Err(Refusal::moment(format!(
                "A fix of more than {MOST} commits is not replayed: choose `merge` or `squash` for the line, or push fewer commits."
            ))
            .into());
        }
        steps.reverse();
        Ok(steps)
    }

    /// Puts what a commit changed onto a tip, as `git cherry-pick` would.
    async fn pick(&self, repo: &Repo, onto: (&CommitId, &CommitId), change: (&CommitId, &CommitId)) -> Result<Joined> {
        let ((tip, tree), (commit, parent)) = (onto, change);
        if tip == parent {
            return Ok(Joined::Clean(self.commit(repo, commit).await?.tree));
        }
        // Older gits cannot be told what to compare with; a commit of the tip's tree on the change's parent says the same.
        let mut stand_in = self.whole_commit(repo, parent).await?;
        stand_in.tree = refs::object_id(tree)?;
        stand_in.parents = [refs::object_id(parent)?].into_iter().collect();
        stand_in.extra_headers = Vec::new();
        let stand_in = self.write(repo, stand_in).await?;
        self.join(repo, &stand_in, commit).await
    }

    /// Reads a commit with all that stands in it.
    async fn whole_commit(&self, repo: &Repo, id: &CommitId) -> Result<Commit> {
        let id = refs::object_id(id)?;
        self.read(repo, "reading a commit", move |repository| {
            let commit = repository.find_commit(id).map_err(|_| Error::Missing)?;
            let commit = commit.decode().map_err(Error::library("reading a commit"))?;
            commit.into_owned().map_err(Error::library("reading a commit"))
        })
        .await
    }
}

/// Adds trailers to a message that may be in any encoding.
fn add_riders(commit: &mut Commit, riders: &[String]) -> Result<()> {
    if riders.is_empty() {
        return Ok(());
    }
    let Ok(message) = std::str::from_utf8(&commit.message) else {
        let sentence = "A message of the fix is not UTF-8, and no trailer can be added to it: choose `merge` or `squash` for the line, \
                        or write the commit anew.";
        return Err(Refusal::moment(sentence).into());
    };
    commit.message = format!("{}\n", with_trailers(message, riders)).into();
    Ok(())
}

/// Names a commit's author beside another's, if the name makes one plain line.
fn beside(commit: &Commit) -> std::option::IntoIter<String> {
    let (name, email) = (commit.author.name.to_string(), commit.author.email.to_string());
    let plain = !name.chars().chain(email.chars()).any(deceptive);
    let author = Identity::new(&name, &email).ok().filter(|_| plain);
    author.map(|author| format!("Co-authored-by: {} <{}>", author.name(), author.email())).into_iter()
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
