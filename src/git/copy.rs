//! Copies of unpublished commits for one reader: the same trees, authors and messages, under ids that no other copy has.
//!
//! Guards: only commits that are not public are made anew, by committer times that are some seconds older; they lie in a scratch
//! repository that borrows from the release's and goes away with the copy. Leaves who gets which to `workflow`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gix::objs::Commit;

use super::error::{Error, Result};
use super::refs::{self, Edits, RefTable};
use super::{Git, Repo, Scratch, blocking, open_repository};
use crate::domain::refusal::Refusal;
use crate::domain::repo::{CommitId, LineName, RefName};

const WHAT: &str = "copying commits";
/// Commits of one copy at most.
const MOST: usize = 5_000;
/// Bytes of one file of a copy at most.
const LARGEST: usize = 32 * 1024 * 1024;
/// How long one step may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is copied of one line: everything of `tip` that `base` does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedLine {
    /// The line.
    pub line: LineName,
    /// Its public tip.
    pub base: CommitId,
    /// What the release pushes there.
    pub tip: CommitId,
}

/// A copy of the commits of one repository. Dropped, nothing of it is left.
pub struct Copied {
    git: Git,
    folder: PathBuf,
    lines: Vec<CopiedLine>,
    commits: Vec<CommitId>,
    _scratch: Scratch,
}

impl Git {
    /// Makes the unpublished commits of these lines anew, by committer times `shift` seconds older. The same shift makes the same
    /// commits; signatures of commits fall away, because they are of other bytes.
    ///
    /// # Errors
    /// More than 5,000 commits are refused.
    pub async fn copy(&self, repo: &Repo, lines: &[CopiedLine], shift: u32) -> Result<Copied> {
        let listed = self.unpublished(repo, lines).await?;
        let scratch = self.scratch()?;
        let folder = scratch.path().join("copy.git");
        let mut init = self.command(WHAT).args(["init", "-q", "--bare", "--template=", "--object-format=sha1"]);
        if self.0.program.has_ref_formats() {
            init = init.arg("--ref-format=files");
        }
        init.timeout(PATIENCE).arg("--").arg(&folder).succeed(b"").await?;
        let source = self.existing(repo)?;
        let (target, wanted) = (folder.clone(), lines.to_vec());
        let commits = blocking(WHAT, move || {
            let commits = make_anew((&source, &target), &listed, &wanted, i64::from(shift))?;
            // For git alone: the library takes what the lender borrows for relative to the borrower.
            let info = target.join("objects/info");
            let lender = format!("{}\n", source.join("objects").display());
            fs::create_dir_all(&info)
                .and_then(|()| fs::write(info.join("alternates"), lender))
                .map_err(Error::io(WHAT))?;
            Ok(commits)
        })
        .await?;
        Ok(Copied { git: self.clone(), folder, lines: lines.to_vec(), commits, _scratch: scratch })
    }

    /// Lists what is reachable from the tips and from no base, parents first.
    async fn unpublished(&self, repo: &Repo, lines: &[CopiedLine]) -> Result<Vec<CommitId>> {
        let output = self
            .command(WHAT)
            .in_repository(&self.existing(repo)?)
            .timeout(PATIENCE)
            .args(["rev-list", "--topo-order", "--reverse"])
            .arg(format!("--max-count={}", MOST + 1))
            .args(lines.iter().map(|line| line.tip.as_str()))
            .arg("--not")
            .args(lines.iter().map(|line| line.base.as_str()))
            .arg("--")
            .succeed(b"")
            .await?;
        let listed: Vec<CommitId> = String::from_utf8_lossy(&output).lines().filter_map(|id| id.parse().ok()).collect();
        if listed.len() > MOST {
            let sentence = format!("More than {MOST} commits are unpublished: too many for a copy.");
            return Err(Refusal::moment(sentence).into());
        }
        Ok(listed)
    }
}

impl Copied {
    /// Returns the ids of the commits that no other copy has.
    pub fn commits(&self) -> &[CommitId] {
        &self.commits
    }

    /// Returns the lines, in the order of [`Copied::bundle`] and [`Copied::patches`].
    pub fn lines(&self) -> &[CopiedLine] {
        &self.lines
    }

    /// Returns a bundle of one line, to be fetched from in a clone of the public repository.
    pub async fn bundle(&self, line: &LineName) -> Result<Vec<u8>> {
        let command = self.command().args(["bundle", "create", "--quiet", "-"]).arg(RefName::branch(line).as_str());
        bounded(command.arg("--not").args(self.bases()).succeed(b"").await?)
    }

    /// Returns the commits of one line as mails for `git am`, without merges. `mark` stands below each.
    pub async fn patches(&self, line: &LineName, mark: &str) -> Result<Vec<u8>> {
        let command = self
            .command()
            .args(["format-patch", "--stdout", "--full-index", "--binary", "--topo-order"])
            .arg(format!("--signature={mark}"))
            .arg(RefName::branch(line).as_str())
            .arg("--not")
            .args(self.bases())
            .arg("--");
        bounded(command.succeed(b"").await?)
    }

    fn bases(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| line.base.as_str())
    }

    fn command(&self) -> super::GitCommand {
        self.git.command(WHAT).in_repository(&self.folder).timeout(PATIENCE)
    }
}

fn bounded(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if bytes.len() > LARGEST {
        return Err(Refusal::moment("The fixes are larger than 32 MiB: too large for a copy.").into());
    }
    Ok(bytes)
}

/// Writes each commit anew, on its parents as they are anew, and points the lines at the last of them.
fn make_anew(
    (from, to): (&Path, &Path),
    listed: &[CommitId],
    lines: &[CopiedLine],
    shift: i64,
) -> Result<Vec<CommitId>> {
    let (source, target) = (open_repository(from)?, open_repository(to)?);
    let mut anew: HashMap<gix::ObjectId, gix::ObjectId> = HashMap::new();
    let mut commits = Vec::with_capacity(listed.len());
    for id in listed {
        let id = refs::object_id(id)?;
        let found = source.find_commit(id).map_err(|_| Error::Missing)?;
        let decoded = found.decode().map_err(Error::library(WHAT))?;
        let mut commit: Commit = decoded.to_owned().map_err(Error::library(WHAT))?;
        for parent in &mut commit.parents {
            if let Some(new) = anew.get(parent) {
                *parent = *new;
            }
        }
        commit.committer.time.seconds -= shift;
        commit.extra_headers.retain(|(name, _)| !name.starts_with(b"gpgsig") && name != "mergetag");
        let new = target.write_object(&commit).map_err(Error::library(WHAT))?.detach();
        anew.insert(id, new);
        commits.push(refs::commit_id(new)?);
    }
    let mut set = RefTable::new();
    for line in lines {
        let tip = refs::object_id(&line.tip)?;
        set.insert(RefName::branch(&line.line).as_str().to_owned(), anew.get(&tip).copied().unwrap_or(tip));
    }
    refs::apply(&target, Edits { remove: Vec::new(), set })?;
    Ok(commits)
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    /// A public clone, and a line with one unpublished commit and a merge of it.
    async fn scene() -> (Sample, Repo, Vec<CopiedLine>, PathBuf) {
        let sample = Sample::new().await;
        let public = sample.folder.path().join("public");
        sample.user(["clone", "-q", ".", public.to_str().unwrap()]).await;
        let base = sample.head("main").await;
        sample.user(["checkout", "-q", "-b", "topic", "1.x"]).await;
        sample.write("fixed.c", "mended\n").await;
        sample.user(["checkout", "-q", "main"]).await;
        sample.user(["merge", "-q", "--no-ff", "-m", "Merge the fix", "topic"]).await;
        let tip = sample.head("main").await;
        sample.update().await.unwrap();
        let repo = Repo::Mirror(sample.id);
        (sample, repo, vec![CopiedLine { line: "main".parse().unwrap(), base, tip }], public)
    }

    #[tokio::test]
    async fn a_copy_has_the_same_trees_and_ids_of_its_own() {
        let (sample, repo, lines, public) = scene().await;
        let line = &lines[0].line;
        let one = sample.git.copy(&repo, &lines, 61).await.unwrap();
        let two = sample.git.copy(&repo, &lines, 62).await.unwrap();
        let again = sample.git.copy(&repo, &lines, 61).await.unwrap();
        assert_eq!(one.commits().len(), 2);
        assert_eq!(one.commits(), again.commits());
        assert!(one.commits().iter().all(|commit| !two.commits().contains(commit)));
        let bundle = sample.folder.path().join("main.bundle");
        fs::write(&bundle, one.bundle(line).await.unwrap()).unwrap();
        sample.user_in(&public, ["fetch", "-q", bundle.to_str().unwrap(), "main:copied"]).await;
        let tree = format!("{}^{{tree}}", lines[0].tip);
        assert_eq!(sample.user_in(&public, ["rev-parse", "copied^{tree}"]).await, sample.head(&tree).await.to_string());
        assert_eq!(sample.user_in(&public, ["rev-parse", "copied"]).await, one.commits()[1].to_string());
        // In a clone of the public repository they apply as mails, too.
        let patches = one.patches(line, "sample-mark").await.unwrap();
        let text = String::from_utf8(patches.clone()).unwrap();
        assert!(text.contains("\n-- \nsample-mark\n") && text.contains(one.commits()[0].as_str()), "{text}");
        let mails = sample.folder.path().join("main.mbox");
        fs::write(&mails, patches).unwrap();
        sample.user_in(&public, ["checkout", "-q", "main"]).await;
        sample.user_in(&public, ["am", "-q", mails.to_str().unwrap()]).await;
        assert_eq!(fs::read_to_string(public.join("fixed.c")).unwrap(), "mended\n");
    }

    #[tokio::test]
    async fn a_copy_leaves_nothing_behind_and_changes_nothing() {
        let (sample, repo, lines, _) = scene().await;
        let before = sample.refs(&repo).await;
        let copy = sample.git.copy(&repo, &lines, 7).await.unwrap();
        let folder = copy.folder.clone();
        assert!(folder.exists());
        drop(copy);
        assert!(!folder.exists());
        assert_eq!(sample.refs(&repo).await, before);
    }
}
