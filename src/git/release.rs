//! The remote of a release: the public lines, the fixes of its cases, what it ships on lines that are merged on, and the
//! candidates that people push.
//!
//! Guards: lines and fixes are copies that only this module moves, and a copy goes with what it copies; candidates are the
//! pushers'. Leaves who may see them to `workflow`, and what a candidate must hold to `domain::candidate`.

use super::error::Result;
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

impl Git {
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
        sample.git.create_release(&release, sample.id, std::slice::from_ref(&case)).await.unwrap();
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
        assert_eq!(std::fs::read_to_string(path.join("HEAD")).unwrap(), "ref: refs/heads/main\n");
        sample.fsck(&repo).await;
    }
}
