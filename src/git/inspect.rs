//! A look into a push while it is in quarantine.
//!
//! Guards: everything is bounded, and a look that was ended by a bound says so; what the repository holds counts, not what
//! the client claims it held. Leaves the judgement to `domain::push`.
//!
//! gix does not see a quarantine by itself, so the look goes through a view: an empty repository that borrows from the
//! quarantine, from the repository and from whom that borrows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use gix::object::tree::diff::Change;
use gix::objs::Kind;

use super::arrival::arrivals;
use super::error::{Error, Result};
use super::reading::{Changed, Reading};
use super::refs::{self, RefTable};
use super::{Git, Repo, blocking, open_repository};
use crate::domain::lint::Lint;
use crate::domain::push::PushPolicy;
use crate::domain::quarantine::{Hostile, Motion, PushFacts, RefFacts, Sent};
use crate::domain::refusal::Refusal;
use crate::domain::repo::RefUpdate;
use crate::domain::text::deceptive;

const WHAT: &str = "looking into a push";
/// Hostile entries of one ref that are remembered.
const REMEMBERED: usize = 20;
/// Branches to which more may be pushed than to a fix.
const MILD: [&str; 2] = ["refs/heads/wip/", "refs/heads/tests/"];
/// Bytes of a symbolic link's target; a longer one is hostile.
const LINK_BYTES: u64 = 4096;

/// Everything a look needs.
struct View {
    repository: gix::Repository,
    /// Where the refs of the real repository point now.
    current: RefTable,
    /// Commits that were there before.
    known: Vec<gix::ObjectId>,
    /// Those of them that are public, or were judged as what becomes public with a fix.
    judged: Vec<gix::ObjectId>,
    /// The graph file of the public history, which makes it quick to read.
    graph: Option<gix::commitgraph::Graph>,
    policy: PushPolicy,
    lint: Lint,
}

/// What one ref's new commits touch, up to the limits.
#[derive(Default)]
struct Touched {
    commits: u32,
    paths: BTreeSet<String>,
    hostile: BTreeSet<Hostile>,
    reading: Reading,
    complete: bool,
}

impl Git {
    /// Gathers the facts of a push from inside pre-receive. `quarantine` is `GIT_QUARANTINE_PATH`; a push that only
    /// deletes has none.
    ///
    /// # Errors
    /// Anything odd is an error, which refuses the push.
    pub async fn inspect(
        &self,
        repo: &Repo,
        quarantine: Option<PathBuf>,
        updates: Vec<RefUpdate>,
        policy: PushPolicy,
    ) -> Result<PushFacts> {
        let path = self.existing(repo)?;
        let mirror = match repo {
            Repo::Case(_, upstream) | Repo::Release(_, upstream) => self.path(&Repo::Mirror(*upstream)),
            Repo::Mirror(_) => return Err(Refusal::input("A mirror takes no pushes.").into()),
        };
        let scratch = self.scratch()?;
        blocking(WHAT, move || {
            let quarantine = quarantine.map(|folder| checked(&folder, &path)).transpose()?;
            let mut lenders = lenders(&path)?;
            lenders.extend(quarantine.clone());
            let real = open_repository(&path)?;
            let view = View {
                current: refs::below(&real, "refs/")?,
                repository: view(scratch.path(), &lenders)?,
                known: known(&real, |_| true)?,
                judged: known(&real, |name| !MILD.iter().any(|prefix| name.starts_with(prefix)))?,
                graph: open_repository(&mirror)?.commit_graph().ok(),
                lint: Lint::new(&policy.lint).map_err(Refusal::from)?,
                policy,
            };
            let sent =
                quarantine.map_or(Ok(Sent { complete: true, ..Sent::default() }), |folder| view.sent(&folder))?;
            // Too many refs are refused by their number: no look into each.
            let refs = updates.into_iter().map(|update| view.facts(update)).collect::<Result<_>>()?;
            drop(scratch);
            Ok(PushFacts { refs, sent })
        })
        .await
    }
}

impl View {
    fn facts(&self, update: RefUpdate) -> Result<RefFacts> {
        let plain = |update, motion| RefFacts {
            update,
            motion,
            new_commits: 0,
            changed: BTreeSet::new(),
            hostile: Vec::new(),
            lacks: Vec::new(),
            findings: Vec::new(),
            complete: true,
        };
        if update.new.is_zero() {
            return Ok(plain(update, Motion::Deleted));
        }
        let new = refs::object_id(&update.new)?;
        let kind = self.repository.find_header(new).map_err(Error::library(WHAT))?.kind();
        if kind != Kind::Commit {
            return Ok(plain(update, Motion::NotACommit));
        }
        let motion = match self.current.get(&update.name) {
            None => Motion::Created,
            Some(old) if self.leads_to(*old, new) => Motion::Forward,
            Some(_) => Motion::Rewritten,
        };
        let touched = self.touched(new, &update.name)?;
        let mut lacks = self.policy.wanted(&update.name);
        lacks.retain(|wanted| !refs::object_id(wanted).is_ok_and(|wanted| self.leads_to(wanted, new)));
        Ok(RefFacts {
            update,
            motion,
            new_commits: touched.commits,
            changed: touched.paths,
            hostile: touched.hostile.into_iter().collect(),
            lacks,
            findings: touched.reading.findings,
            complete: touched.complete,
        })
    }

    /// Tells whether one commit is the other or one of its ancestors; no, if that cannot be told.
    fn leads_to(&self, old: gix::ObjectId, new: gix::ObjectId) -> bool {
        let mut graph = self.repository.revision_graph(self.graph.as_ref());
        self.repository
            .merge_base_with_graph(old, new, &mut graph)
            .is_ok_and(|base| base.is_some_and(|base| base == old))
    }

    fn touched(&self, new: gix::ObjectId, name: &str) -> Result<Touched> {
        // What came by a branch that is judged mildly is no less new to a fix.
        let mild = MILD.iter().any(|prefix| name.starts_with(prefix));
        let known = if mild { &self.known } else { &self.judged };
        let arrivals = arrivals(&self.repository, self.graph.as_ref(), new, known, self.policy.limits.commits)?;
        let mut touched = Touched { complete: arrivals.complete, ..Touched::default() };
        for id in arrivals.commits {
            touched.commits += 1;
            self.touch(id, &mut touched)?;
            if !touched.complete {
                break;
            }
        }
        Ok(touched)
    }

    /// Adds what a commit changes against every one of its parents: a merge of public history adds nothing.
    fn touch(&self, id: gix::ObjectId, touched: &mut Touched) -> Result<()> {
        let commit = self.repository.find_commit(id).map_err(Error::library(WHAT))?;
        let tree = commit.tree().map_err(Error::library(WHAT))?;
        let parents: Vec<_> = commit.parent_ids().map(gix::Id::detach).collect();
        let mut changes = match parents.first() {
            None => self.changes(None, &tree)?,
            Some(parent) => self.changes(Some(*parent), &tree)?,
        };
        for parent in parents.iter().skip(1) {
            let (Some(all), Some(these)) = (&mut changes, self.changes(Some(*parent), &tree)?) else { break };
            all.retain(|path, _| these.contains_key(path));
        }
        let Some(changes) = changes else {
            touched.complete = false;
            return Ok(());
        };
        let files = changes.iter().filter(|(_, entry)| entry.was != Was::Removed && entry.mode.is_blob());
        let files = files.map(|(path, entry)| Changed { path, new: entry.id, old: entry.was.there() });
        touched.reading.commit(&self.lint, &commit, files)?;
        for (path, entry) in changes {
            if touched.hostile.len() < REMEMBERED {
                touched.hostile.extend(self.hostile(&path, entry)?);
            }
            touched.paths.insert(String::from_utf8_lossy(&path).into_owned());
            if touched.paths.len() > self.policy.limits.paths {
                touched.complete = false;
                break;
            }
        }
        Ok(())
    }

    /// Compares a tree with that of a parent; none if there are more changes than the limit.
    fn changes(&self, parent: Option<gix::ObjectId>, tree: &gix::Tree<'_>) -> Result<Option<BTreeMap<Vec<u8>, Entry>>> {
        let old = match parent {
            Some(parent) => {
                let parent = self.repository.find_commit(parent).map_err(Error::library(WHAT))?;
                parent.tree().map_err(Error::library(WHAT))?
            }
            None => self.repository.empty_tree(),
        };
        let mut found = BTreeMap::new();
        let mut seen = 0;
        let limit = self.policy.limits.paths;
        let mut platform = old.changes().map_err(Error::library(WHAT))?;
        platform.options(|options| {
            options.track_path().track_rewrites(None);
        });
        let walked = platform.for_each_to_obtain_tree(tree, |change| -> gix::Result<_> {
            seen += 1;
            let entry = match change {
                Change::Addition { entry_mode, id, .. } | Change::Rewrite { entry_mode, id, .. } => {
                    Entry { mode: entry_mode, id: id.detach(), was: Was::Nothing }
                }
                Change::Modification { entry_mode, id, previous_id, .. } => {
                    Entry { mode: entry_mode, id: id.detach(), was: Was::There(previous_id.detach()) }
                }
                Change::Deletion { entry_mode, id, .. } => {
                    Entry { mode: entry_mode, id: id.detach(), was: Was::Removed }.gone()
                }
            };
            if !entry.mode.is_tree() {
                found.insert(change.location().to_vec(), entry);
            }
            Ok(if seen > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        if seen > limit {
            return Ok(None);
        }
        walked.map_err(Error::library(WHAT))?;
        Ok(Some(found))
    }

    fn hostile(&self, path: &[u8], entry: Entry) -> Result<Option<Hostile>> {
        let shown = String::from_utf8_lossy(path).into_owned();
        if entry.was == Was::Nothing && is_hostile_name(path) {
            return Ok(Some(Hostile::Name(shown)));
        }
        if entry.mode.is_commit() {
            return Ok(Some(Hostile::Submodule(shown)));
        }
        if entry.mode.is_link() {
            let size = self.repository.find_header(entry.id).map_err(Error::library(WHAT))?.size();
            if size > LINK_BYTES {
                return Ok(Some(Hostile::Link(shown)));
            }
            let target = self.repository.find_object(entry.id).map_err(Error::library(WHAT))?;
            if leads_out(path, &target.data) {
                return Ok(Some(Hostile::Link(shown)));
            }
        }
        Ok(None)
    }

    /// Weighs every object in quarantine.
    fn sent(&self, quarantine: &Path) -> Result<Sent> {
        let mut sent = Sent { complete: true, ..Sent::default() };
        let packs = match fs::read_dir(quarantine.join("pack")) {
            Ok(packs) => packs,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(sent),
            Err(error) => return Err(Error::io(WHAT)(error)),
        };
        for entry in packs {
            let path = entry.map_err(Error::io(WHAT))?.path();
            if path.extension().is_none_or(|extension| extension != "idx") {
                continue;
            }
            let index = gix::odb::pack::index::File::at(&path, gix::hash::Kind::Sha1).map_err(Error::library(WHAT))?;
            for object in index.iter() {
                if sent.objects >= self.policy.limits.objects {
                    sent.complete = false;
                    return Ok(sent);
                }
                let header = self.repository.find_header(object.oid).map_err(Error::library(WHAT))?;
                sent.objects += 1;
                sent.bytes = sent.bytes.saturating_add(header.size());
                if header.kind() == Kind::Blob {
                    sent.biggest_blob = sent.biggest_blob.max(header.size());
                }
            }
        }
        Ok(sent)
    }
}

/// An entry as a commit leaves it.
#[derive(Clone, Copy)]
struct Entry {
    mode: gix::objs::tree::EntryMode,
    id: gix::ObjectId,
    was: Was,
}

/// What was at the place of an entry before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Was {
    /// Nothing: the name is new.
    Nothing,
    /// This, which the commit changed.
    There(gix::ObjectId),
    /// The entry itself, which the commit removed.
    Removed,
}

impl Was {
    fn there(self) -> Option<gix::ObjectId> {
        match self {
            Self::There(id) => Some(id),
            Self::Nothing | Self::Removed => None,
        }
    }
}

impl Entry {
    /// Turns the entry into one that is not there any more, and so harms nobody.
    fn gone(mut self) -> Self {
        if !self.mode.is_tree() {
            self.mode = gix::objs::tree::EntryKind::Blob.into();
        }
        self
    }
}

/// Accepts a quarantine only directly inside the objects of its own repository.
fn checked(quarantine: &Path, repository: &Path) -> Result<PathBuf> {
    let objects = repository.join("objects").canonicalize().map_err(Error::io(WHAT))?;
    let found = quarantine.canonicalize().map_err(Error::io(WHAT))?;
    let name = found.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let named = name.starts_with("tmp_objdir-incoming-") || name.starts_with("incoming-");
    if found.parent() != Some(&objects) || !named {
        return Err(Refusal::input("The quarantine of this push is not where it should be.").into());
    }
    Ok(found)
}

/// Lists the folders of objects a repository reads from: its own, and those it borrows from.
fn lenders(repository: &Path) -> Result<Vec<PathBuf>> {
    let own = repository.join("objects");
    let borrowed = fs::read_to_string(own.join("info/alternates")).map_err(Error::io(WHAT))?;
    let folder = |line: &str| own.join(line).canonicalize().map_err(Error::io(WHAT));
    let borrowed = borrowed.lines().map(folder).collect::<Result<Vec<_>>>()?;
    Ok(std::iter::once(own).chain(borrowed).collect())
}

fn view(folder: &Path, lenders: &[PathBuf]) -> Result<gix::Repository> {
    let mut borrowed = String::new();
    for lender in lenders {
        borrowed.push_str(&lender.to_string_lossy());
        borrowed.push('\n');
    }
    if borrowed.lines().count() != lenders.len() || borrowed.starts_with(['"', '#']) {
        return Err(Refusal::input("The data folder's path holds a character git cannot borrow from.").into());
    }
    for (name, text) in [
        ("HEAD", "ref: refs/heads/none\n"),
        ("config", "[core]\n\tbare = true\n\trepositoryformatversion = 0\n"),
        ("objects/info/alternates", borrowed.as_str()),
        ("refs/none", ""),
    ] {
        let path = folder.join(name);
        let parent = path.parent().ok_or(Error::NoRepository)?;
        fs::create_dir_all(parent).map_err(Error::io(WHAT))?;
        if !text.is_empty() {
            fs::write(&path, text).map_err(Error::io(WHAT))?;
        }
    }
    open_repository(folder)
}

/// Lists the commits the repository had before the push: those of its branches and tags that count, peeled.
fn known(repository: &gix::Repository, counts: impl Fn(&str) -> bool) -> Result<Vec<gix::ObjectId>> {
    let mut tips = BTreeSet::new();
    for prefix in ["refs/heads/", "refs/tags/"] {
        let table = refs::below(repository, prefix)?;
        for id in table.into_iter().filter(|(name, _)| counts(name)).map(|(_, id)| id) {
            let object = repository.find_object(id).map_err(Error::library(WHAT))?;
            if let Ok(commit) = object.peel_to_commit() {
                tips.insert(commit.id);
            }
        }
    }
    Ok(tips.into_iter().collect())
}

fn is_hostile_name(path: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(path) else { return true };
    text.contains('\\')
        || text.chars().any(deceptive)
        || text.split('/').any(|part| {
            let lower = part.to_ascii_lowercase();
            part.is_empty() || part.len() > 255 || matches!(lower.trim_end_matches(['.', ' ']), "" | ".git" | "git~1")
        })
}

/// Tells whether a link at this path leads out of the tree, or into git's own folder.
fn leads_out(path: &[u8], target: &[u8]) -> bool {
    let Ok(target) = std::str::from_utf8(target) else { return true };
    if target.is_empty() || target.starts_with('/') || target.contains(['\\', '\0']) {
        return true;
    }
    let mut depth = path.split(|&byte| byte == b'/').count().saturating_sub(1);
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            },
            name if name.eq_ignore_ascii_case(".git") => return true,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_point_about_inside_its_tree() {
        for (path, target, out) in [
            ("a", "b", false),
            ("a", "./b/../c", false),
            ("d/a", "../b", false),
            ("d/e/a", "../../b", false),
            ("a", "../b", true),
            ("d/a", "../../b", true),
            ("a", "/etc/passwd", true),
            ("a", "b/../../c", true),
            ("a", "", true),
            ("a", ".git/config", true),
            ("a", "..\\b", true),
            ("a", "b/../../../b", true),
        ] {
            assert_eq!(leads_out(path.as_bytes(), target.as_bytes()), out, "{path} -> {target}");
        }
    }

    #[test]
    fn names_that_deceive_are_hostile() {
        for bad in
            ["a/../b", ".git/config", "x/.GIT/y", "git~1", "a\\b", "a\u{1b}[31m", "a\u{202e}b", "a//b", ".git ", "a/.."]
        {
            assert!(is_hostile_name(bad.as_bytes()), "{bad:?}");
        }
        assert!(is_hostile_name(b"a\xff"));
        for good in ["src/lib.rs", ".github/workflows/ci.yml", ".gitignore", "größe.txt", "a b"] {
            assert!(!is_hostile_name(good.as_bytes()), "{good:?}");
        }
    }
}
