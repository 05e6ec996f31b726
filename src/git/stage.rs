//! Stages: copies of public repositories, as the mirror shows them, that a release is pushed to in rehearsal.
//!
//! Guards: a copy lies in the scratch folder, borrows from the mirror alone, and goes when it is dropped; what is pushed to it is
//! checked as strictly as forges do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::error::{Error, Result};
use super::mirror::Upstream;
use super::remote::Access;
use super::{Git, Repo, Scratch, blocking, refs};
use crate::domain::id::UpstreamId;
use crate::domain::refusal::Malformed;
use crate::domain::repo::{CommitId, RefName};

/// The copy of one public repository.
pub struct Stage {
    remote: Upstream,
    before: BTreeMap<RefName, CommitId>,
    _scratch: Scratch,
}

/// A folder that is played in, and goes when it is dropped.
pub struct Folder(Scratch);

impl Folder {
    /// Returns where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Stage {
    /// Returns where the copy is, as a public repository is named.
    pub fn remote(&self) -> &Upstream {
        &self.remote
    }
}

impl Git {
    /// Copies a public repository as its mirror shows it: every head and tag, and no object.
    pub async fn stage(&self, upstream: UpstreamId) -> Result<Stage> {
        const WHAT: &str = "copying a public repository for a rehearsal";
        let mirror = self.existing(&Repo::Mirror(upstream))?;
        let scratch = self.scratch()?;
        let path = scratch.path().join("stage.git");
        let text = path.to_str().ok_or(Error::Missing)?.to_owned();
        let url = text.parse().map_err(|wrong: Malformed| Error::library(WHAT)(wrong))?;
        self.command(WHAT).args(["init", "--bare", "--quiet", "--template=", "--", &text]).succeed(b"").await?;
        let shown = self
            .read(&Repo::Mirror(upstream), WHAT, |repository| {
                let mut shown = refs::below(&repository, "refs/heads/")?;
                shown.extend(refs::below(&repository, "refs/tags/")?);
                Ok(shown)
            })
            .await?;
        let mut packed = "# pack-refs with: sorted \n".to_owned();
        for (name, id) in &shown {
            let _ = writeln!(packed, "{id} {name}");
        }
        let objects = mirror.join("objects");
        let folder = path.clone();
        blocking(WHAT, move || {
            let write = |file: &str, text: &[u8]| fs::write(folder.join(file), text).map_err(Error::io(WHAT));
            write("packed-refs", packed.as_bytes())?;
            fs::create_dir_all(folder.join("objects/info")).map_err(Error::io(WHAT))?;
            write("objects/info/alternates", format!("{}\n", objects.display()).as_bytes())?;
            write("config", b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n[receive]\n\tfsckObjects = true\n")
        })
        .await?;
        let remote = Upstream { url, access: Access::Open };
        let before = self.all_refs(&remote).await?;
        Ok(Stage { remote, before, _scratch: scratch })
    }

    /// Makes an empty folder to play in.
    pub fn stage_folder(&self) -> Result<Folder> {
        self.scratch().map(Folder)
    }

    /// Lists the refs of a copy that are not where they were when it was made; a ref that went is listed as zero.
    pub async fn moved_on(&self, stage: &Stage) -> Result<BTreeMap<RefName, CommitId>> {
        let after = self.all_refs(&stage.remote).await?;
        let gone = stage.before.keys().filter(|name| !after.contains_key(*name));
        let mut moved: BTreeMap<_, _> = gone.map(|name| (name.clone(), CommitId::zero())).collect();
        moved.extend(after.into_iter().filter(|(name, id)| stage.before.get(name) != Some(id)));
        Ok(moved)
    }

    /// Tells whether a commit is part of what a ref of a copy shows.
    pub async fn shows(&self, stage: &Stage, commit: &CommitId, name: &RefName) -> Result<bool> {
        let command = self.command("reading a copy").in_repository(stage.remote.url.folder().ok_or(Error::Missing)?);
        let asked = command.args(["merge-base", "--is-ancestor", commit.as_str(), name.as_str()]).run(b"").await?;
        Ok(asked.code == Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::publish::{Leased, PushOutcome};
    use super::super::sample::Sample;
    use super::*;

    #[tokio::test]
    async fn a_copy_takes_a_push_shows_what_moved_and_goes() {
        let sample = Sample::new().await;
        let old = sample.head("main").await;
        let new = sample.write("fix", "fix").await;
        sample.update().await.unwrap();
        // The mirror has moved on: put the copy where the line was.
        let repo = Repo::Mirror(sample.id);
        let path = sample.git.path(&repo);
        let back = ["update-ref", "refs/heads/main", old.as_str()];
        sample.git.command("sample").in_repository(&path).args(back).succeed(b"").await.unwrap();
        let before = sample.refs(&repo).await;
        let stage = sample.git.stage(sample.id).await.unwrap();
        let folder = stage.remote().url.folder().unwrap().to_owned();
        assert!(sample.git.moved_on(&stage).await.unwrap().is_empty());
        let leased =
            |name: &str, old: &CommitId| Leased { name: name.parse().unwrap(), old: old.clone(), new: new.clone() };
        let plan = [leased("refs/heads/main", &old), leased("refs/tags/v2", &CommitId::zero())];
        let pushed = sample.git.push_atomic(&repo, stage.remote(), &plan).await.unwrap();
        assert_eq!(pushed, PushOutcome::Done);
        let moved = sample.git.moved_on(&stage).await.unwrap();
        let wanted: BTreeMap<_, _> = plan.iter().map(|leased| (leased.name.clone(), new.clone())).collect();
        assert_eq!(moved, wanted);
        let main: RefName = "refs/heads/main".parse().unwrap();
        assert!(sample.git.shows(&stage, &new, &main).await.unwrap());
        assert!(!sample.git.shows(&stage, &new, &"refs/heads/1.x".parse().unwrap()).await.unwrap());
        assert_eq!(sample.refs(&repo).await, before, "the mirror is as it was");
        drop(stage);
        assert!(!folder.exists());
    }

    /// A trial push is let in here, and the push is not: git looks for such names only when it writes them.
    #[tokio::test]
    async fn a_tag_below_the_name_of_another_is_refused_by_a_copy() {
        let sample = Sample::new().await;
        sample.update().await.unwrap();
        let new = sample.head("main").await;
        let stage = sample.git.stage(sample.id).await.unwrap();
        let below = Leased { name: "refs/tags/v1.0/a".parse().unwrap(), old: CommitId::zero(), new };
        let (repo, plan) = (Repo::Mirror(sample.id), [below]);
        let tried = sample.git.dry_run(&repo, stage.remote(), &plan).await.unwrap();
        assert_eq!(tried, PushOutcome::Done);
        let pushed = sample.git.push_atomic(&repo, stage.remote(), &plan).await.unwrap();
        assert!(matches!(pushed, PushOutcome::Refused { .. }), "{pushed:?}");
    }
}
