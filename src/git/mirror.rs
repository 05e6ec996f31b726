//! The mirror: the public objects of an upstream repository, kept for ever.
//!
//! Guards: nothing in the mirror is ever lost. What an upstream deletes or rewrites stays under `refs/keep/<id>`, the
//! repository is marked `preciousObjects` so that no clean-up prunes it, and new tips become visible only after git's own
//! connectivity check. Whatever fails leaves every visible ref as it was. Leaves when to look to the caller.
//!
//! Order of an update: list; fetch what differs into `refs/incoming/`; check connectivity; keep the old tips; remove what
//! is gone; set what came; drop `refs/incoming/`. A crash between two steps is repaired by the next update.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gix::progress::tree::Root;

use super::error::{Error, Result, Said};
use super::fetch::{self, Fetched, INCOMING};
use super::refs::{self, Edits, RefTable};
use super::remote::{Access, RemoteUrl};
pub use super::trouble::MirrorError;
use super::{Git, Repo, blocking, open_repository};
use crate::domain::id::UpstreamId;
use crate::domain::repo::CommitId;

/// An upstream repository and the way in.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its address.
    pub url: RemoteUrl,
    /// How the server proves itself there.
    pub access: Access,
}

/// What an update of a mirror changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorOutcome {
    /// Every ref that moved, sorted by name; empty if nothing did.
    pub moved: Vec<RefMove>,
    /// Number of heads and tags the upstream has.
    pub refs: usize,
}

impl MirrorOutcome {
    /// Tells whether nothing moved.
    pub fn is_unchanged(&self) -> bool {
        self.moved.is_empty()
    }
}

/// One head or tag of the upstream that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefMove {
    /// The full name, as the upstream spells it.
    pub name: String,
    /// The id before, none for a new ref.
    pub old: Option<CommitId>,
    /// The id now, none for a removed ref.
    pub new: Option<CommitId>,
    /// True if the old commit is not an ancestor of the new one, or a tag changed.
    pub rewritten: bool,
}

/// What an update is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Asking the upstream for its refs.
    Listing,
    /// Receiving a pack; counted in bytes or objects.
    Receiving,
    /// Rebuilding objects from their differences.
    Resolving,
    /// Checking that nothing is missing.
    Checking,
    /// Writing refs.
    Writing,
}

/// How far an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How much of it is done.
    pub done: usize,
    /// How much there is, if that is known.
    pub total: Option<usize>,
}

/// Ends an update when asked, or when the last copy of the update's own guard goes.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks the update to end soon.
    pub fn trigger(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Git {
    /// Brings the mirror of an upstream repository up to date, making it first if need be.
    ///
    /// # Errors
    /// [`MirrorError`] tells an upstream that is down, moved, empty or not git from troubles of ours.
    pub async fn update_mirror(
        &self,
        id: UpstreamId,
        upstream: &Upstream,
        progress: impl Fn(Progress) + Send + Sync,
        interrupt: Interrupt,
    ) -> Result<MirrorOutcome, MirrorError> {
        let repo = Repo::Mirror(id);
        let path = self.path(&repo);
        let _turn = self.turn(&path).await;
        if !self.exists(&repo) {
            self.create_mirror(id).await?;
        }
        progress(Progress { phase: Phase::Listing, done: 0, total: None });
        self.look_at_file(upstream)?;
        let fetched = self.watched_fetch(&path, upstream, &progress, &interrupt).await;
        let fetched = match fetched {
            Err(MirrorError::NotGit { said }) => return Err(self.redirected_or_not_git(upstream, said).await),
            other => other?,
        };
        let count = fetched.remote.len();
        if !fetched.arrived.is_empty() {
            progress(Progress { phase: Phase::Checking, done: 0, total: None });
            self.check_connected(&repo, &fetched.arrived).await?;
        }
        progress(Progress { phase: Phase::Writing, done: 0, total: Some(fetched.arrived.len()) });
        let moved = blocking("publishing the mirror's refs", move || publish(&path, fetched)).await?;
        if !moved.is_empty() {
            self.write_commit_graph(&repo).await?;
        }
        Ok(MirrorOutcome { moved, refs: count })
    }

    /// Asks a local upstream whether it is there and ours to fetch, which gix tells less plainly.
    #[expect(clippy::unused_self, reason = "reads as one of the steps")]
    fn look_at_file(&self, upstream: &Upstream) -> Result<(), MirrorError> {
        let Some(folder) = upstream.url.folder() else { return Ok(()) };
        if !folder.is_dir() {
            return Err(MirrorError::Moved { said: Said("the folder does not exist".to_owned()) });
        }
        if !folder.join("HEAD").is_file() && !folder.join(".git").exists() {
            return Err(MirrorError::NotGit { said: Said("the folder is no git repository".to_owned()) });
        }
        if is_anothers(folder) {
            return Err(MirrorError::Anothers);
        }
        Ok(())
    }

    async fn watched_fetch(
        &self,
        path: &std::path::Path,
        upstream: &Upstream,
        progress: &(impl Fn(Progress) + Send + Sync),
        interrupt: &Interrupt,
    ) -> Result<Fetched, MirrorError> {
        let root = Root::new();
        let (path, upstream) = (path.to_owned(), upstream.clone());
        let (tree, flag) = (Arc::clone(&root), Arc::clone(&interrupt.0));
        // If this future is dropped, the thread must not go on alone.
        let _ended = EndWith(Arc::clone(&interrupt.0));
        let work =
            tokio::task::spawn_blocking(move || fetch::fetch(&path, &upstream.url, &upstream.access, &tree, &flag));
        let deadline = tokio::time::sleep(Duration::from_secs(self.options().upstream_seconds));
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        tokio::pin!(work, deadline);
        loop {
            tokio::select! {
                done = &mut work => {
                    let done = done.map_err(Error::library("fetching from upstream"))?;
                    return match done {
                        Err(_) if interrupt.0.load(Ordering::Relaxed) => Err(MirrorError::Interrupted),
                        other => other,
                    };
                }
                _ = tick.tick() => if let Some(now) = sample(&root) { progress(now) },
                () = &mut deadline => {
                    interrupt.trigger();
                    return Err(MirrorError::Down { said: Said("the fetch took longer than `upstream_seconds`".to_owned()) });
                }
            }
        }
    }

    async fn check_connected(&self, repo: &Repo, arrived: &RefTable) -> Result<(), MirrorError> {
        let mut input = String::new();
        for id in arrived.values() {
            input.push_str(&id.to_string());
            input.push('\n');
        }
        let exclude = format!("--exclude={INCOMING}*");
        let output = self
            .command("checking what the upstream sent")
            .in_repository(&self.path(repo))
            .args(["rev-list", "--objects", "--stdin", "--not", &exclude, "--all", "--quiet"])
            .timeout(Duration::from_secs(self.options().upstream_seconds))
            .run(input.as_bytes())
            .await?;
        if output.code == Some(0) { Ok(()) } else { Err(MirrorError::Incomplete) }
    }

    async fn write_commit_graph(&self, repo: &Repo) -> Result<()> {
        self.command("writing the commit graph")
            .in_repository(&self.path(repo))
            .args(["commit-graph", "write", "--reachable", "--split", "--no-progress"])
            .succeed(b"")
            .await
            .map(drop)
    }

    /// Asks git whether an address that does not speak git sends us elsewhere.
    async fn redirected_or_not_git(&self, upstream: &Upstream, said: Said) -> MirrorError {
        if !upstream.url.is_http() {
            return MirrorError::NotGit { said };
        }
        let command = self.command("asking the upstream address").timeout(Duration::from_secs(30));
        let command = upstream.access.equip(command, &upstream.url);
        match command.args(["ls-remote", "--", upstream.url.as_str(), "HEAD"]).run(b"").await {
            Ok(output) if output.said.text().contains("returned error: 30") => MirrorError::Moved { said: output.said },
            Ok(_) | Err(_) => MirrorError::NotGit { said },
        }
    }
}

/// Tells whether this local repository is another user's: git touches none such ("dubious ownership").
///
/// A `safe.directory` of the server's user lets it fetch, but never push at the instant, where no such setting is read.
fn is_anothers(folder: &std::path::Path) -> bool {
    let inner = folder.join(".git");
    let repository = if inner.exists() { &inner } else { folder };
    std::fs::metadata(repository).is_ok_and(|found| found.uid() != rustix::process::geteuid().as_raw())
}

/// Sets the flag of an update when its future ends.
struct EndWith(Arc<AtomicBool>);

impl Drop for EndWith {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn sample(root: &Root) -> Option<Progress> {
    let mut tasks = Vec::new();
    root.sorted_snapshot(&mut tasks);
    let of = |task: &gix::progress::Task| {
        let phase = match task.name.as_str() {
            "read pack" | "indexing" => Phase::Receiving,
            "Resolving" => Phase::Resolving,
            _ => return None,
        };
        let value = task.progress.as_ref()?;
        Some(Progress { phase, done: value.step.load(Ordering::Relaxed), total: value.done_at })
    };
    // Later tasks are later steps.
    tasks.iter().filter_map(|(_, task)| of(task)).next_back()
}

/// Makes fetched and checked refs visible, and keeps every tip that is left.
fn publish(path: &std::path::Path, fetched: Fetched) -> Result<Vec<RefMove>> {
    let repository = open_repository(path)?;
    let Fetched { local, remote, arrived } = fetched;
    let mut moved = Vec::new();
    let mut edits = Edits::default();
    let mut keep = RefTable::new();
    for (name, old) in &local {
        if !remote.contains_key(name) {
            keep.insert(format!("refs/keep/{old}"), *old);
            edits.remove.push(name.clone());
            moved.push(RefMove { name: name.clone(), old: Some(refs::commit_id(*old)?), new: None, rewritten: false });
        }
    }
    for (name, new) in &arrived {
        let old = local.get(name);
        let rewritten = match old {
            None => false,
            Some(_) if name.starts_with("refs/tags/") => true,
            Some(old) => repository.merge_base(*old, *new).map_or(true, |base| base.is_none_or(|base| base != *old)),
        };
        if let (Some(old), true) = (old, rewritten) {
            keep.insert(format!("refs/keep/{old}"), *old);
        }
        let old = old.copied().map(refs::commit_id).transpose()?;
        moved.push(RefMove { name: name.clone(), old, new: Some(refs::commit_id(*new)?), rewritten });
    }
    refs::apply(&repository, Edits { remove: Vec::new(), set: keep })?;
    edits.set = arrived;
    refs::apply(&repository, edits)?;
    let incoming = refs::below(&repository, INCOMING)?;
    refs::apply(&repository, Edits { remove: incoming.into_keys().collect(), set: RefTable::new() })?;
    moved.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::super::sample::Sample;
    use super::*;

    fn mirror(sample: &Sample) -> Repo {
        Repo::Mirror(sample.id)
    }

    fn names(outcome: &MirrorOutcome) -> Vec<(&str, bool)> {
        outcome.moved.iter().map(|moved| (moved.name.as_str(), moved.rewritten)).collect()
    }

    #[tokio::test]
    async fn a_first_update_brings_heads_and_tags_and_a_second_brings_nothing() {
        let sample = Sample::new().await;
        let first = sample.update().await.unwrap();
        assert_eq!(names(&first), [("refs/heads/1.x", false), ("refs/heads/main", false), ("refs/tags/v1.0", false)]);
        let listed = sample.user(["for-each-ref", "--format=%(refname) %(objectname)"]).await;
        assert_eq!(sample.refs(&mirror(&sample)).await, listed.lines().collect::<Vec<_>>());
        sample.fsck(&mirror(&sample)).await;
        let second = sample.update().await.unwrap();
        assert!(second.is_unchanged());
        assert_eq!(second.refs, 3);
    }

    #[tokio::test]
    async fn a_new_branch_and_a_moved_one_arrive_alone() {
        let sample = Sample::new().await;
        sample.update().await.unwrap();
        sample.write("x", "x").await;
        sample.user(["branch", "feature/x"]).await;
        let outcome = sample.update().await.unwrap();
        assert_eq!(names(&outcome), [("refs/heads/feature/x", false), ("refs/heads/main", false)]);
    }

    #[tokio::test]
    async fn a_branch_may_become_a_folder_and_its_tip_is_kept() {
        let sample = Sample::new().await;
        sample.user(["checkout", "-q", "-b", "x"]).await;
        let tip = sample.write("only-here", "x").await;
        sample.update().await.unwrap();
        sample.user(["checkout", "-q", "main"]).await;
        sample.user(["branch", "-D", "x"]).await;
        sample.user(["branch", "x/sub"]).await;
        let outcome = sample.update().await.unwrap();
        assert_eq!(names(&outcome), [("refs/heads/x", false), ("refs/heads/x/sub", false)]);
        assert!(sample.refs(&mirror(&sample)).await.contains(&format!("refs/keep/{tip} {tip}")));
        sample.git.commit(&mirror(&sample), &tip).await.unwrap();
        assert!(sample.update().await.unwrap().is_unchanged());
        sample.fsck(&mirror(&sample)).await;
    }

    #[tokio::test]
    async fn a_rewritten_branch_is_told_and_loses_nothing() {
        let sample = Sample::new().await;
        let old = sample.write("gone", "gone").await;
        sample.update().await.unwrap();
        sample.user(["reset", "-q", "--hard", "HEAD~2"]).await;
        sample.write("other", "other").await;
        sample.user(["tag", "-f", "-m", "moved", "v1.0"]).await;
        let outcome = sample.update().await.unwrap();
        assert_eq!(names(&outcome), [("refs/heads/main", true), ("refs/tags/v1.0", true)]);
        // Even the harshest clean-up leaves what an upstream took back.
        let path = sample.git.path(&mirror(&sample));
        sample.git.command("gc").in_repository(&path).args(["gc", "-q", "--prune=now"]).run(b"").await.unwrap();
        sample.git.commit(&mirror(&sample), &old).await.unwrap();
    }

    #[tokio::test]
    async fn an_upstream_that_is_empty_gone_or_no_repository_changes_nothing() {
        let sample = Sample::new().await;
        sample.update().await.unwrap();
        let before = sample.refs(&mirror(&sample)).await;
        let look = |path: std::path::PathBuf| {
            let upstream = Sample::at(&path);
            let (git, id) = (sample.git.clone(), sample.id);
            async move { git.update_mirror(id, &upstream, |_| {}, Interrupt::default()).await.unwrap_err() }
        };
        let empty = sample.folder.path().join("empty.git");
        sample.user(["init", "-q", "--bare", empty.to_str().unwrap()]).await;
        assert!(matches!(look(empty).await, MirrorError::Empty));
        assert!(matches!(look(sample.folder.path().join("gone")).await, MirrorError::Moved { .. }));
        let plain = sample.folder.path().join("plain");
        std::fs::create_dir(&plain).unwrap();
        assert!(matches!(look(plain.clone()).await, MirrorError::NotGit { .. }));
        std::fs::write(plain.join("HEAD"), "nonsense").unwrap();
        let odd = look(plain).await;
        assert!(matches!(odd, MirrorError::NotGit { .. } | MirrorError::Down { .. }), "{odd:?}");
        assert_eq!(sample.refs(&mirror(&sample)).await, before);
    }

    #[tokio::test]
    async fn a_broken_history_never_becomes_visible() {
        let sample = Sample::new().await;
        sample.update().await.unwrap();
        let before = sample.refs(&mirror(&sample)).await;
        // A commit whose tree nobody has, put straight into the mirror's reach.
        let path = sample.git.path(&mirror(&sample));
        let text = format!("tree {}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nbroken\n", "1".repeat(40));
        let command = sample.git.command("sample").in_repository(&path);
        let id = command
            .args(["hash-object", "-t", "commit", "-w", "--stdin", "--literally"])
            .succeed(text.as_bytes())
            .await;
        let id = gix::ObjectId::from_hex(String::from_utf8(id.unwrap()).unwrap().trim().as_bytes()).unwrap();
        let arrived = RefTable::from([("refs/heads/broken".to_owned(), id)]);
        let repository = open_repository(&path).unwrap();
        let set = RefTable::from([("refs/incoming/heads/broken".to_owned(), id)]);
        refs::apply(&repository, Edits { remove: Vec::new(), set }).unwrap();
        let checked = sample.git.check_connected(&mirror(&sample), &arrived).await;
        assert!(matches!(checked, Err(MirrorError::Incomplete)), "{checked:?}");
        // What a broken update left is cleared by the next one.
        sample.write("x", "x").await;
        sample.update().await.unwrap();
        assert_eq!(sample.refs(&mirror(&sample)).await.len(), before.len());
    }

    #[tokio::test]
    async fn many_refs_arrive_in_one_go() {
        let sample = Sample::new().await;
        let head = sample.head("HEAD").await;
        let lines: Vec<_> = (0..500).map(|n| format!("create refs/heads/many/{n} {head}\n")).collect();
        let input = lines.concat();
        sample.client(&sample.work()).args(["update-ref", "--stdin"]).succeed(input.as_bytes()).await.unwrap();
        assert_eq!(sample.update().await.unwrap().moved.len(), 503);
        assert!(sample.update().await.unwrap().is_unchanged());
        assert!(!sample.git.path(&mirror(&sample)).join("refs/heads/many").exists());
    }

    #[tokio::test]
    async fn an_interrupted_update_leaves_no_ref() {
        let sample = Sample::new().await;
        let interrupt = Interrupt::default();
        interrupt.trigger();
        let ended = sample.git.update_mirror(sample.id, &sample.upstream(), |_| {}, interrupt).await;
        assert!(matches!(ended, Err(MirrorError::Interrupted)), "{ended:?}");
        assert!(sample.refs(&mirror(&sample)).await.is_empty());
        assert_eq!(sample.update().await.unwrap().moved.len(), 3);
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_down() {
        let sample = Sample::empty(Options::default()).await;
        let upstream = Upstream { url: "http://127.0.0.1:1/x".parse().unwrap(), access: Access::Open };
        let ended = sample.git.update_mirror(sample.id, &upstream, |_| {}, Interrupt::default()).await;
        assert!(matches!(ended, Err(MirrorError::Down { .. })), "{ended:?}");
    }
}
