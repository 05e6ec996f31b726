//! The remote of a release: the public lines, the fixes of its cases, what it ships on lines that are merged on, and the
//! candidates that people push.
//!
//! Guards: lines and fixes are copies that only this module moves, and a copy goes with what it copies; candidates are the
//! pushers'. It borrows from the mirror alone: the fixes are brought in, so that a long train costs each git child no more
//! than a short one. Leaves who may see them to `workflow`, and what a candidate must hold to `domain::candidate`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::error::{Error, Result};
use super::refs::{self, Edits};
use super::{Git, Repo, blocking};
use crate::domain::id::{CaseId, ReleaseId, UpstreamId};
use crate::domain::repo::{CommitId, LineName, RefName};

/// Where candidates are pushed to.
const CANDIDATES: &str = "refs/heads/candidate/";

/// A fix as the remote of a release shows it: `fix/<case>/<line>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownFix {
    /// The case.
    pub case: CaseId,
    /// The line.
    pub line: LineName,
    /// The head.
    pub head: CommitId,
}

/// What a case brings into the repository of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The case; its remote of this upstream exists.
    pub case: CaseId,
    /// Commits that are there.
    pub heads: Vec<CommitId>,
}

/// The file in the repository of a release that names the cases it was brought something of.
const BROUGHT: &str = "brought";

impl Git {
    /// Makes the repository a release is merged in, and brings into it what these cases have and it lacks; what these public
    /// lines hold is the mirror's.
    ///
    /// If a case is no longer named, the repository is made anew: all it held was derived, and nothing of that case may
    /// stay in it.
    pub async fn create_release(
        &self,
        release: &ReleaseId,
        upstream: UpstreamId,
        lines: &[LineName],
        cases: &[Brought],
    ) -> Result<()> {
        const WHAT: &str = "bringing fixes into a release";
        let repo = Repo::Release(release.clone(), upstream);
        let path = self.path(&repo);
        let _turn = self.turn(&path).await;
        let named: BTreeSet<String> = cases.iter().map(|brought| brought.case.to_string()).collect();
        let known = if self.exists(&repo) { brought(&path)? } else { BTreeSet::new() };
        if !known.is_subset(&named) {
            self.discard(&path).await?;
        }
        if !self.exists(&repo) {
            self.create_empty_release(release, upstream).await?;
        }
        let public = self.tips(upstream, lines).await?;
        let heads: Vec<_> = cases.iter().flat_map(|brought| brought.heads.clone()).collect();
        let lacking = self
            .read(&repo, WHAT, move |repository| {
                let has = |id: &CommitId| -> Result<bool> { Ok(repository.find_header(refs::object_id(id)?).is_ok()) };
                heads.into_iter().map(|id| Ok((has(&id)?, id))).collect::<Result<Vec<_>>>()
            })
            .await?;
        let lacking: BTreeSet<_> = lacking.into_iter().filter_map(|(has, id)| (!has).then_some(id)).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let mut lenders = OsString::new();
        for lender in cases.iter().filter(|brought| brought.heads.iter().any(|head| lacking.contains(head))) {
            if !lenders.is_empty() {
                lenders.push(":");
            }
            lenders.push(self.existing(&Repo::Case(lender.case.clone(), upstream))?.join("objects"));
        }
        // Who is named first and brings nothing after a crash does no harm; the other way round nobody would know.
        let list = lines_of(named);
        let place = path.clone();
        blocking(WHAT, move || {
            let fresh = place.join(format!("{BROUGHT}.new"));
            fs::write(&fresh, list).and_then(|()| fs::rename(&fresh, place.join(BROUGHT))).map_err(Error::io(WHAT))
        })
        .await?;
        let wanted = format!("{}--not\n{}", lines_of(&lacking), lines_of(public));
        self.command(WHAT)
            .in_repository(&path)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", lenders)
            .args(["pack-objects", "--quiet", "--revs", "objects/pack/pack"])
            .succeed(wanted.as_bytes())
            .await
            .map(drop)
    }

    /// Returns where these public lines stand in the mirror.
    async fn tips(&self, upstream: UpstreamId, lines: &[LineName]) -> Result<Vec<CommitId>> {
        let lines: BTreeSet<_> = lines.iter().map(|line| RefName::branch(line).as_str().to_owned()).collect();
        self.read(&Repo::Mirror(upstream), "reading public lines", move |repository| {
            let table = refs::below(&repository, "refs/heads/")?;
            table.into_iter().filter(|(name, _)| lines.contains(name)).map(|(_, id)| refs::commit_id(id)).collect()
        })
        .await
    }

    /// Brings what the remote of a release shows up to date: these lines, the tags reachable from them, these fixes, whose
    /// commits the repository has or borrows, and what ships on these lines, as far as it is there. The first line is what a
    /// clone checks out. Candidates stay.
    pub async fn show_in_release(
        &self,
        release: &ReleaseId,
        upstream: UpstreamId,
        lines: &[LineName],
        (fixes, ships): (&[ShownFix], &[(LineName, CommitId)]),
    ) -> Result<()> {
        const WHAT: &str = "refreshing the remote of a release";
        let repo = Repo::Release(release.clone(), upstream);
        let path = self.path(&repo);
        let _turn = self.turn(&path).await;
        let mut wanted = self.public_refs(upstream, lines).await?;
        let first = lines.iter().map(RefName::branch).find(|name| wanted.contains_key(name.as_str()));
        for fix in fixes {
            wanted.insert(format!("refs/heads/fix/{}/{}", fix.case, fix.line), refs::object_id(&fix.head)?);
        }
        let ships: Vec<_> = ships
            .iter()
            .map(|(line, commit)| Ok((RefName::ships(line).as_str().to_owned(), refs::object_id(commit)?)))
            .collect::<Result<_>>()?;
        self.read(&repo, WHAT, move |repository| {
            wanted.extend(ships.into_iter().filter(|(_, commit)| repository.find_header(*commit).is_ok()));
            let mut present = refs::below(&repository, "refs/heads/")?;
            present.retain(|name, _| !name.starts_with(CANDIDATES));
            present.extend(refs::below(&repository, "refs/tags/")?);
            let remove = present.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
            let set = wanted.into_iter().filter(|(name, id)| present.get(name) != Some(id)).collect();
            refs::apply(&repository, Edits { remove, set })
        })
        .await?;
        let Some(first) = first else { return Ok(()) };
        blocking(WHAT, move || refs::point_head(&path, first.as_str())).await
    }
}

/// Writes items one a line.
fn lines_of<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string() + "\n").collect()
}

/// Reads which cases the repository of a release was brought something of.
fn brought(path: &Path) -> Result<BTreeSet<String>> {
    match fs::read_to_string(path.join(BROUGHT)) {
        Ok(list) => Ok(list.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(Error::io("bringing fixes into a release")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;

    #[tokio::test]
    async fn a_release_shows_lines_and_fixes_as_they_are_and_leaves_candidates() {
        let sample = Sample::new().await;
        sample.case("OCTO-1").await;
        let release: ReleaseId = "OCTO-R1".parse().unwrap();
        let repo = Repo::Release(release.clone(), sample.id);
        let case: CaseId = "OCTO-1".parse().unwrap();
        let nothing = Brought { case: case.clone(), heads: Vec::new() };
        sample.git.create_release(&release, sample.id, &Sample::lines(), &[nothing]).await.unwrap();
        let head = sample.head("1.x").await;
        let fix = |line: &str| ShownFix { case: case.clone(), line: line.parse().unwrap(), head: head.clone() };
        let show = async |fixes: &[ShownFix]| {
            sample.git.show_in_release(&release, sample.id, &Sample::lines(), (fixes, &[])).await.unwrap();
            let refs = sample.refs(&repo).await;
            refs.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let shown = show(&[fix("main"), fix("1.x")]).await;
        let public = ["refs/heads/1.x", "refs/heads/main", "refs/tags/v1.0"];
        let fixes = ["refs/heads/fix/OCTO-1/1.x", "refs/heads/fix/OCTO-1/main"];
        assert_eq!(shown, [public[0], fixes[0], fixes[1], public[1], public[2]]);
        let set = ["update-ref", "refs/heads/candidate/main", head.as_str()];
        let path = sample.git.path(&repo);
        sample.git.command("sample").in_repository(&path).args(set).succeed(b"").await.unwrap();
        let shown = show(&[]).await;
        assert_eq!(shown, [public[0], "refs/heads/candidate/main", public[1], public[2]]);
        assert_eq!(fs::read_to_string(path.join("HEAD")).unwrap(), "ref: refs/heads/main\n");
        sample.fsck(&repo).await;
    }
    /// Stores a commit in a repository that no ref names, with a file of its own.
    async fn secret(sample: &Sample, case: &Repo, text: &str) -> CommitId {
        let path = sample.git.path(case);
        let run = async |args: &[&str], input: &str| {
            let command = sample.client(&path).env("GIT_DIR", &path).args(args);
            String::from_utf8(command.succeed(input.as_bytes()).await.unwrap()).unwrap().trim().to_owned()
        };
        let blob = run(&["hash-object", "-w", "--stdin"], text).await;
        let tree = run(&["mktree"], &format!("100644 blob {blob}\tsecret.txt\n")).await;
        let parent = sample.head("main").await;
        run(&["commit-tree", "-m", text, "-p", parent.as_str(), &tree], "").await.parse().unwrap()
    }

    #[tokio::test]
    async fn a_release_holds_what_its_cases_bring_and_another_case_sees_nothing() {
        let sample = Sample::new().await;
        let (case, other) = (sample.case("OCTO-1").await, sample.case("OCTO-2").await);
        let first = secret(&sample, &case, "secret").await;
        let id: ReleaseId = "OCTO-R1".parse().unwrap();
        let release = Repo::Release(id.clone(), sample.id);
        let brings = |case: &str, heads: &[CommitId]| Brought { case: case.parse().unwrap(), heads: heads.to_vec() };
        let bring = async |cases: &[Brought]| sample.git.create_release(&id, sample.id, &Sample::lines(), cases).await;
        bring(&[brings("OCTO-1", std::slice::from_ref(&first))]).await.unwrap();
        assert_eq!(sample.git.commit(&release, &first).await.unwrap().title, "secret");
        for blind in [&other, &Repo::Mirror(sample.id)] {
            assert!(matches!(sample.git.commit(blind, &first).await, Err(Error::Missing)));
        }
        let path = sample.git.path(&release);
        let borrowed = fs::read_to_string(path.join("objects/info/alternates")).unwrap();
        assert_eq!(borrowed, format!("../../../../mirror/{}.git/objects\n", sample.id));
        // The tree, its file and the commit: what is public is not brought.
        let packs = fs::read_dir(path.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
        let index = packs.into_iter().find(|path| path.extension().is_some_and(|end| end == "idx")).unwrap();
        let shown = fs::read(&index).unwrap();
        let shown = sample.git.command("sample").arg("show-index").succeed(&shown).await.unwrap();
        assert_eq!(String::from_utf8(shown).unwrap().lines().count(), 3);
        // A second case, and a second fix of the first: what is there stays.
        let second = secret(&sample, &other, "another secret").await;
        let later = secret(&sample, &case, "secret, mended").await;
        bring(&[brings("OCTO-1", std::slice::from_ref(&later)), brings("OCTO-2", std::slice::from_ref(&second))])
            .await
            .unwrap();
        sample.git.keep(&release, &[first.clone(), second.clone(), later]).await.unwrap();
        sample.fsck(&release).await;
        // A case that left the train is in nothing any more, and nothing that was built from it is kept.
        bring(&[brings("OCTO-2", std::slice::from_ref(&second))]).await.unwrap();
        assert!(matches!(sample.git.commit(&release, &first).await, Err(Error::Missing)));
        assert_eq!(sample.git.commit(&release, &second).await.unwrap().title, "another secret");
        sample.fsck(&release).await;
        // What a case does not have is an error, and brings nothing.
        assert!(bring(&[brings("OCTO-1", std::slice::from_ref(&second)), brings("OCTO-2", &[])]).await.is_ok());
        let lost: CommitId = "0123456789012345678901234567890123456789".parse().unwrap();
        assert!(bring(&[brings("OCTO-1", &[lost]), brings("OCTO-2", &[])]).await.is_err());
    }
}
