//! Making repositories, and the refs in them that the server owns.
//!
//! Guards: a repository appears whole or not at all; a case borrows from the mirror of its upstream and from nothing else;
//! the public lines and their tags are copies that only this module moves. Leaves `fix/` and `wip/` to pushes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::error::{Error, Result};
use super::refs::{self, Edits, RefTable};
use super::{Git, Repo, blocking, open_repository};
use crate::domain::id::{CaseId, ReleaseId, UpstreamId};
use crate::domain::repo::{CommitId, LineName, RefName};

/// A branch and where it points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The full name.
    pub name: RefName,
    /// Its newest commit.
    pub head: CommitId,
}

/// Branches that pushes own.
const PRIVATE: [&str; 4] = ["refs/heads/fix/", "refs/heads/wip/", "refs/heads/tests/", "refs/heads/candidate/"];

/// Everything a new repository starts with.
struct Plan {
    repo: Repo,
    precious: bool,
    /// The mirror whose objects it may use.
    borrows: Option<UpstreamId>,
    refs: RefTable,
    head: String,
}

impl Git {
    /// Makes the private remote of a case, with copies of the public lines and of the tags reachable from them.
    ///
    /// The first line is what a clone checks out. A second call brings the public refs up to date instead.
    ///
    /// # Errors
    /// [`Error::NoRepository`] if there is no mirror yet, [`Error::Missing`] if it has none of the lines.
    pub async fn create_case(&self, case: &CaseId, upstream: UpstreamId, lines: &[LineName]) -> Result<()> {
        let repo = Repo::Case(case.clone(), upstream);
        let _turn = self.turn(&self.path(&repo)).await;
        let refs = self.public_refs(upstream, lines).await?;
        let first = lines.iter().map(RefName::branch).find(|name| refs.contains_key(name.as_str()));
        let head = first.ok_or(Error::Missing)?.as_str().to_owned();
        if self.exists(&repo) {
            return self.replace_public(&repo, lines, refs).await;
        }
        self.create(Plan { repo, precious: false, borrows: Some(upstream), refs, head }).await
    }

    /// Brings the public lines and tags of a case up to date with the mirror. Lines the upstream lost stay.
    pub async fn refresh_case(&self, case: &CaseId, upstream: UpstreamId, lines: &[LineName]) -> Result<()> {
        let repo = Repo::Case(case.clone(), upstream);
        let _turn = self.turn(&self.path(&repo)).await;
        self.existing(&repo)?;
        let refs = self.public_refs(upstream, lines).await?;
        self.replace_public(&repo, lines, refs).await
    }

    /// Removes a repository: out of sight in one step, then from the disk.
    pub(super) async fn discard(&self, path: &Path) -> Result<()> {
        const WHAT: &str = "removing a repository";
        let scratch = self.scratch()?;
        let (path, aside) = (path.to_owned(), scratch.path().join("repository.git"));
        blocking(WHAT, move || fs::rename(&path, &aside).map_err(Error::io(WHAT))).await?;
        drop(scratch);
        Ok(())
    }

    /// Keeps commits and tags of a repository for ever, under `refs/keep/<id>`.
    pub async fn keep(&self, repo: &Repo, ids: &[CommitId]) -> Result<()> {
        let _turn = self.turn(&self.path(repo)).await;
        let ids = ids.iter().map(refs::object_id).collect::<Result<Vec<_>>>()?;
        self.read(repo, "keeping commits", move |repository| {
            let kept = refs::below(&repository, "refs/keep/")?;
            let mut set = RefTable::new();
            for id in ids {
                repository.find_header(id).map_err(|_| Error::Missing)?;
                set.insert(format!("refs/keep/{id}"), id);
            }
            set.retain(|name, id| kept.get(name) != Some(id));
            refs::apply(&repository, Edits { remove: Vec::new(), set })
        })
        .await
    }

    /// Brings everything that was written so far to the disk, so that no loss of power takes what the database is about to
    /// speak of (syncfs(2)).
    pub async fn settle(&self) -> Result<()> {
        const WHAT: &str = "bringing commits to the disk";
        let data = self.0.data.clone();
        blocking(WHAT, move || {
            let folder = fs::File::open(&data).map_err(Error::io(WHAT))?;
            rustix::fs::syncfs(&folder).map_err(|error| Error::io(WHAT)(error.into()))
        })
        .await
    }

    /// Returns where a branch or tag points, tags peeled to their commit.
    pub async fn resolve(&self, repo: &Repo, name: &RefName) -> Result<Option<CommitId>> {
        let name = name.as_str().to_owned();
        self.read(repo, "reading a ref", move |repository| {
            let found = repository.try_find_reference(name.as_str()).map_err(Error::library("reading a ref"))?;
            let Some(mut reference) = found else { return Ok(None) };
            let id = reference.peel_to_id().map_err(Error::library("reading a ref"))?.detach();
            refs::commit_id(id).map(Some)
        })
        .await
    }

    /// Lists the branches `fix/*` and `wip/*`, sorted by name.
    pub async fn pushed_branches(&self, repo: &Repo) -> Result<Vec<Branch>> {
        self.branches_below(repo, &["refs/heads/fix/", "refs/heads/wip/"]).await
    }

    /// Lists every branch whose name is plain, sorted by name: of a mirror, the candidates for lines.
    pub async fn branches(&self, repo: &Repo) -> Result<Vec<Branch>> {
        self.branches_below(repo, &["refs/heads/"]).await
    }

    /// Removes what pushes that were killed left behind, if it is older than `age` at the instant `now`. Returns how much.
    pub async fn sweep_leftovers(&self, repo: &Repo, now: Timestamp, age: Duration) -> Result<usize> {
        let now = SystemTime::from(now);
        let objects = self.existing(repo)?.join("objects");
        blocking("removing leftovers", move || {
            let mut removed = 0;
            for entry in fs::read_dir(&objects).map_err(Error::io("removing leftovers"))? {
                let entry = entry.map_err(Error::io("removing leftovers"))?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if !name.starts_with("tmp_objdir-") && !name.starts_with("incoming-") {
                    continue;
                }
                let changed =
                    entry.metadata().and_then(|data| data.modified()).map_err(Error::io("removing leftovers"))?;
                if now.duration_since(changed).is_ok_and(|passed| passed >= age) {
                    fs::remove_dir_all(entry.path()).map_err(Error::io("removing leftovers"))?;
                    removed += 1;
                }
            }
            Ok(removed)
        })
        .await
    }

    /// Makes the repository a release is merged in, empty.
    pub(super) async fn create_empty_release(&self, release: &ReleaseId, upstream: UpstreamId) -> Result<()> {
        let repo = Repo::Release(release.clone(), upstream);
        let head = "refs/heads/main".to_owned();
        self.create(Plan { repo, precious: false, borrows: Some(upstream), refs: RefTable::new(), head }).await
    }

    /// Makes an empty mirror whose objects no clean-up may remove.
    pub(super) async fn create_mirror(&self, upstream: UpstreamId) -> Result<()> {
        let repo = Repo::Mirror(upstream);
        let head = "refs/heads/main".to_owned();
        self.create(Plan { repo, precious: true, borrows: None, refs: RefTable::new(), head }).await
    }

    async fn branches_below(&self, repo: &Repo, prefixes: &'static [&'static str]) -> Result<Vec<Branch>> {
        self.read(repo, "listing branches", move |repository| {
            let mut found = Vec::new();
            for prefix in prefixes {
                for (name, id) in refs::below(&repository, prefix)? {
                    if let Ok(name) = name.parse() {
                        found.push(Branch { name, head: refs::commit_id(id)? });
                    }
                }
            }
            found.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(found)
        })
        .await
    }

    /// Reads from the mirror the lines that exist and the tags reachable from them.
    pub(super) async fn public_refs(&self, upstream: UpstreamId, lines: &[LineName]) -> Result<RefTable> {
        let mirror = Repo::Mirror(upstream);
        let path = self.existing(&mirror)?;
        let list = |patterns: Vec<String>| {
            self.command("listing public refs")
                .in_repository(&path)
                .args(["for-each-ref", "--format=%(refname) %(objectname)"])
                .args(patterns)
                .succeed(b"")
        };
        let wanted: Vec<_> = lines.iter().map(|line| RefName::branch(line).as_str().to_owned()).collect();
        if wanted.is_empty() {
            return Ok(RefTable::new());
        }
        let mut table = refs::parse_lines(&list(wanted.clone()).await?);
        // A pattern also matches what lies below it.
        table.retain(|name, _| wanted.contains(name));
        if table.is_empty() {
            return Ok(table);
        }
        let mut tags: Vec<_> = table.values().map(|id| format!("--merged={id}")).collect();
        tags.push("refs/tags/".to_owned());
        let tags = refs::parse_lines(&list(tags).await?);
        table.extend(tags.into_iter().filter(|(name, _)| name.parse::<RefName>().is_ok()));
        Ok(table)
    }

    async fn replace_public(&self, repo: &Repo, lines: &[LineName], wanted: RefTable) -> Result<()> {
        let lines: Vec<_> = lines.iter().map(|line| RefName::branch(line).as_str().to_owned()).collect();
        self.read(repo, "refreshing the public refs of a case", move |repository| {
            let mut present = refs::below(&repository, "refs/heads/")?;
            present.retain(|name, _| !PRIVATE.iter().any(|prefix| name.starts_with(prefix)));
            present.extend(refs::below(&repository, "refs/tags/")?);
            let gone = present.keys().filter(|name| !wanted.contains_key(*name) && !lines.contains(name)).cloned();
            let remove = gone.collect();
            let set = wanted.into_iter().filter(|(name, id)| present.get(name) != Some(id)).collect();
            refs::apply(&repository, Edits { remove, set })
        })
        .await
    }

    async fn create(&self, plan: Plan) -> Result<()> {
        const WHAT: &str = "making a repository";
        let lender = plan.borrows.map(|upstream| self.existing(&Repo::Mirror(upstream))).transpose()?;
        let target = self.path(&plan.repo);
        let scratch = self.scratch()?;
        let fresh = scratch.path().join("repository.git");
        let mut command = self.command(WHAT).args(["init", "-q", "--bare", "--template=", "--object-format=sha1"]);
        if self.0.program.has_ref_formats() {
            command = command.arg("--ref-format=files");
        }
        command.arg("--").arg(&fresh).succeed(b"").await?;
        let lent = lender.map(|lender| (borrowed(&lender, &fresh), borrowed(&lender, &target)));
        blocking(WHAT, move || {
            let write = |name: &str, text: &str| {
                let path = fresh.join(name);
                let folder = path.parent().ok_or(Error::NoRepository)?;
                fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).map_err(Error::io(WHAT))
            };
            write("config", &config(plan.precious))?;
            if let Some((at_once, _)) = &lent {
                write("objects/info/alternates", at_once)?;
            }
            refs::point_head(&fresh, &plan.head)?;
            refs::apply(&open_repository(&fresh)?, Edits { remove: Vec::new(), set: plan.refs })?;
            if let Some((_, for_good)) = &lent {
                write("objects/info/alternates", for_good)?;
            }
            let folder = target.parent().ok_or(Error::NoRepository)?;
            fs::create_dir_all(folder).map_err(Error::io(WHAT))?;
            fs::rename(&fresh, &target).map_err(Error::io(WHAT))
        })
        .await?;
        drop(scratch);
        Ok(())
    }
}

/// Writes where lent objects lie, relative to the borrower, so that the data folder can move.
fn borrowed(lender: &Path, borrower: &Path) -> String {
    format!("{}\n", relative(&borrower.join("objects"), &lender.join("objects")).display())
}

fn config(precious: bool) -> String {
    let mut text = String::from("[core]\n\tbare = true\n\tfilemode = true\n\tlogAllRefUpdates = false\n");
    text.push_str(if precious {
        "\trepositoryformatversion = 1\n[extensions]\n\tpreciousObjects = true\n"
    } else {
        "\trepositoryformatversion = 0\n"
    });
    text.push_str("[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n");
    text
}

/// Returns the way from one folder to another; both are absolute and free of `..`.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| "..");
    let down = to.components().skip(shared);
    up.map(PathBuf::from).chain(down.map(|part| PathBuf::from(part.as_os_str()))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    #[tokio::test]
    async fn a_case_shows_the_public_lines_and_their_tags_and_borrows_from_the_mirror_alone() {
        let sample = Sample::new().await;
        sample.user(["checkout", "-q", "-b", "elsewhere"]).await;
        sample.write("far", "far").await;
        sample.user(["tag", "unrelated"]).await;
        let case = sample.case("OCTO-1").await;
        let names: Vec<_> =
            sample.refs(&case).await.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(names, ["refs/heads/1.x", "refs/heads/main", "refs/tags/v1.0"]);
        let path = sample.git.path(&case);
        assert_eq!(fs::read_to_string(path.join("HEAD")).unwrap(), "ref: refs/heads/main\n");
        let borrowed = fs::read_to_string(path.join("objects/info/alternates")).unwrap();
        assert_eq!(borrowed, format!("../../../../mirror/{}.git/objects\n", sample.id));
        sample.fsck(&case).await;
    }

    #[tokio::test]
    async fn a_refresh_follows_the_mirror_and_leaves_pushed_branches() {
        let sample = Sample::new().await;
        let case = sample.case("OCTO-1").await;
        let fix = sample.head("1.x").await;
        let path = sample.git.path(&case);
        let set = ["update-ref", "refs/heads/fix/main", fix.as_str()];
        sample.git.command("sample").in_repository(&path).args(set).succeed(b"").await.unwrap();
        let main = sample.write("x", "x").await;
        sample.user(["tag", "v2.0"]).await;
        sample.user(["tag", "-d", "v1.0"]).await;
        sample.user(["branch", "-D", "1.x"]).await;
        sample.update().await.unwrap();
        sample.git.refresh_case(&"OCTO-1".parse().unwrap(), sample.id, &Sample::lines()).await.unwrap();
        let refs = sample.refs(&case).await;
        assert!(refs.contains(&format!("refs/heads/main {main}")));
        assert!(refs.contains(&format!("refs/tags/v2.0 {main}")));
        assert!(refs.iter().any(|line| line.starts_with("refs/heads/1.x ")), "a line the upstream lost stays");
        assert!(!refs.iter().any(|line| line.starts_with("refs/tags/v1.0 ")));
        let pushed = sample.git.pushed_branches(&case).await.unwrap();
        assert_eq!(pushed, [Branch { name: "refs/heads/fix/main".parse().unwrap(), head: fix }]);
    }

    #[tokio::test]
    async fn a_case_without_a_mirror_or_a_line_is_not_made() {
        let sample = Sample::new().await;
        let case: CaseId = "OCTO-1".parse().unwrap();
        let early = sample.git.create_case(&case, sample.id, &Sample::lines()).await;
        assert!(matches!(early, Err(Error::NoRepository)));
        sample.update().await.unwrap();
        let lost = sample.git.create_case(&case, sample.id, &["nothing".parse().unwrap()]).await;
        assert!(matches!(lost, Err(Error::Missing)));
        assert!(!sample.git.exists(&Repo::Case(case, sample.id)));
    }

    #[tokio::test]
    async fn leftovers_of_killed_pushes_go_once_they_are_old() {
        let sample = Sample::new().await;
        let case = sample.case("OCTO-1").await;
        let left = sample.git.path(&case).join("objects/tmp_objdir-incoming-abc");
        fs::create_dir_all(left.join("pack")).unwrap();
        let written = Timestamp::try_from(fs::metadata(&left).unwrap().modified().unwrap()).unwrap();
        let hour = Duration::from_hours(1);
        assert_eq!(sample.git.sweep_leftovers(&case, written, hour).await.unwrap(), 0);
        assert_eq!(sample.git.sweep_leftovers(&case, written + hour, hour).await.unwrap(), 1);
        assert!(!left.exists());
    }
}
