//! The commits that a push brings: reachable from its new tip, and from nothing that was there before.
//!
//! Guards: a commit is left out only if a known one leads to it; where clocks lie and no graph file knows better, more are
//! counted, never fewer. The look ends where the push meets what is known, however long the history below is: gix's own walk
//! with hidden tips goes on to the oldest of them, and so to the first tag of a project.

use std::collections::HashSet;

use gix::commitgraph::{GENERATION_NUMBER_INFINITY, Graph};
use gix::revwalk::PriorityQueue;
use gix::revwalk::graph::Commit;

use super::error::{Error, Result};

const WHAT: &str = "looking for new commits";

/// What a push brings.
pub(super) struct Arrivals {
    /// New commits, newest first; a commit may stand before one of its children where clocks disagree.
    pub(super) commits: Vec<gix::ObjectId>,
    /// Whether these are all.
    pub(super) complete: bool,
}

/// Generation and time: a commit's are never less than those of a commit it leads to.
type Age = (u32, i64);

/// From where a commit was reached.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Reached {
    from_push: bool,
    from_known: bool,
}

impl Reached {
    fn is_new(self) -> bool {
        self.from_push && !self.from_known
    }

    fn and(self, other: Self) -> Self {
        Self { from_push: self.from_push || other.from_push, from_known: self.from_known || other.from_known }
    }
}

/// Commits of two histories, painted from their tips downwards.
struct Painting<'a> {
    graph: gix::revwalk::Graph<'a, 'a, Commit<Reached>>,
    /// By generation, then time: what no graph file knows comes first, as nothing that it knows can descend from it.
    queue: PriorityQueue<Age, gix::ObjectId>,
    /// Commits in the queue that only the push has reached so far.
    open: HashSet<gix::ObjectId>,
}

impl Painting<'_> {
    fn reach(&mut self, id: gix::ObjectId, from: Reached) -> Result<()> {
        let Self { graph, queue, open } = self;
        let commit = graph.get_or_insert_full_commit(id, |commit| {
            let both = commit.data.and(from);
            if both != commit.data {
                commit.data = both;
                queue.insert((commit.generation.unwrap_or(GENERATION_NUMBER_INFINITY), commit.commit_time), id);
                if both.is_new() {
                    open.insert(id);
                } else {
                    open.remove(&id);
                }
            }
        });
        commit.map_err(Error::library(WHAT))?.ok_or(Error::Missing).map(drop)
    }
}

/// Finds what is new between a tip and known commits, at most `limit` commits. `cache` is the graph file of the public
/// history, if there is one.
pub(super) fn arrivals(
    repository: &gix::Repository,
    cache: Option<&Graph>,
    tip: gix::ObjectId,
    known: &[gix::ObjectId],
    limit: u32,
) -> Result<Arrivals> {
    let graph = repository.revision_graph(cache);
    let mut painting = Painting { graph, queue: PriorityQueue::new(), open: HashSet::new() };
    painting.reach(tip, Reached { from_push: true, from_known: false })?;
    for id in known {
        painting.reach(*id, Reached { from_push: false, from_known: true })?;
    }
    let mut found = Vec::new();
    let mut complete = true;
    let mut oldest = None;
    while let Some((age, id)) = painting.queue.pop() {
        // What is left can lead to nothing found so far.
        if painting.open.is_empty() && oldest.is_none_or(|oldest| age < oldest) {
            break;
        }
        let Some(commit) = painting.graph.get(&id) else { return Err(Error::Missing) };
        let (reached, parents) = (commit.data, commit.parents.clone());
        if painting.open.remove(&id) {
            if u32::try_from(found.len()).is_ok_and(|count| count >= limit) {
                complete = false;
                break;
            }
            found.push(id);
            oldest = Some(oldest.map_or(age, |oldest: Age| oldest.min(age)));
        }
        for parent in parents {
            painting.reach(parent, reached)?;
        }
    }
    found.retain(|id| painting.graph.get(id).is_some_and(|commit| commit.data.is_new()));
    Ok(Arrivals { commits: found, complete })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::sample::Sample;
    use super::super::{Repo, open_repository, refs};
    use super::*;

    /// A public history with a merge and a line that left it, and work on top of an old commit of it.
    async fn branched() -> Sample {
        let sample = Sample::new().await;
        sample.user(["checkout", "-q", "1.x"]).await;
        sample.write("old", "old\n").await;
        sample.user(["checkout", "-q", "main"]).await;
        for number in 0..4 {
            sample.write("news", &format!("{number}\n")).await;
        }
        sample.user(["merge", "-q", "-m", "merge", "1.x"]).await;
        sample.user(["checkout", "-q", "-b", "work", "main~3"]).await;
        sample.write("fix", "fix\n").await;
        sample.user(["merge", "-q", "-m", "bring 1.x", "1.x"]).await;
        sample.write("fix", "better\n").await;
        sample
    }

    async fn git_says(sample: &Sample, tip: &str, known: &[&str]) -> BTreeSet<String> {
        let mut call = sample.client(&sample.work()).args(["rev-list", tip, "--not"]);
        for name in known {
            call = call.arg(name);
        }
        let said = call.succeed(b"").await.unwrap();
        String::from_utf8(said).unwrap().lines().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn git_finds_the_same_with_a_graph_file_and_without() {
        let sample = branched().await;
        sample.update().await.unwrap();
        let mirror = open_repository(&sample.git.path(&Repo::Mirror(sample.id))).unwrap();
        let graph = mirror.commit_graph().unwrap();
        for known in [&["main", "1.x", "v1.0"][..], &["main"], &["v1.0"], &["work~1", "v1.0"], &["work"]] {
            let tip = refs::object_id(&sample.head("work").await).unwrap();
            let mut tips = Vec::new();
            for name in known {
                tips.push(refs::object_id(&sample.head(&format!("{name}^{{commit}}")).await).unwrap());
            }
            let wanted = git_says(&sample, "work", known).await;
            for cache in [None, Some(&graph)] {
                let found = arrivals(&mirror, cache, tip, &tips, 100).unwrap();
                assert!(found.complete);
                let found: BTreeSet<_> = found.commits.iter().map(ToString::to_string).collect();
                assert_eq!(found, wanted, "{known:?}");
            }
        }
    }

    #[tokio::test]
    async fn more_commits_than_the_limit_are_said_to_be_more() {
        let sample = branched().await;
        sample.update().await.unwrap();
        let mirror = open_repository(&sample.git.path(&Repo::Mirror(sample.id))).unwrap();
        let tip = refs::object_id(&sample.head("work").await).unwrap();
        let found = arrivals(&mirror, None, tip, &[], 2).unwrap();
        assert_eq!((found.commits.len(), found.complete), (2, false));
    }
}
