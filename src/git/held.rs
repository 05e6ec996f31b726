//! What stays private: whether one history brings anything that another holds back.
//!
//! Guards: commits, folders and files are told by their ids, so that a copy under another name, or picked into another commit, is
//! found too. Leaves what follows from it to `workflow::landing`.

use std::collections::BTreeSet;

use super::error::Result;
use super::{Git, Repo};
use crate::domain::repo::CommitId;

/// The file and the folder that hold nothing: everybody has them.
const EMPTY: [&str; 2] = ["e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"];

/// Some commits, and those whose history is no news to the reader.
#[derive(Clone, Copy, Debug)]
pub struct Beyond<'a> {
    /// The commits.
    pub heads: &'a [CommitId],
    /// What is known already.
    pub known: &'a [CommitId],
}

/// What a history holds back, as against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// It brings nothing of its own.
    Nothing,
    /// Nothing of it is in the other.
    Apart,
    /// Some of it is.
    Shared,
}

impl Git {
    /// Says whether what is held back is in what is shown.
    pub async fn overlap(&self, repo: &Repo, held: Beyond<'_>, shown: Beyond<'_>) -> Result<Overlap> {
        let added = self.added(repo, held).await?;
        let mut held = self.objects(repo, held).await?;
        if held.is_empty() {
            return Ok(Overlap::Nothing);
        }
        // What a fix took over is what it brings; it is held back all the same.
        held.extend(added);
        let shown = self.objects(repo, shown).await?;
        Ok(if held.is_disjoint(&shown) { Overlap::Apart } else { Overlap::Shared })
    }

    /// Lists the files that these commits, taken one by one, add or change, merges left out.
    async fn added(&self, repo: &Repo, beyond: Beyond<'_>) -> Result<BTreeSet<String>> {
        let listed = self
            .command("listing what commits add")
            .in_repository(&self.existing(repo)?)
            .args(["log", "--no-merges", "--raw", "--no-abbrev", "--no-renames", "--format="])
            .args(beyond.heads.iter().map(CommitId::as_str))
            .arg("--not")
            .args(beyond.known.iter().map(CommitId::as_str))
            .arg("--")
            .succeed(b"")
            .await?;
        // `:<mode> <mode> <id> <id> <letter>`, then the path (git-diff(1), RAW OUTPUT FORMAT).
        let listed = String::from_utf8_lossy(&listed);
        let new = listed.lines().filter(|line| line.starts_with(':')).filter_map(|line| line.split(' ').nth(3));
        let there = new.filter(|id| !EMPTY.contains(id) && id.bytes().any(|digit| digit != b'0'));
        Ok(there.map(str::to_owned).collect())
    }

    /// Lists every object that these commits bring.
    async fn objects(&self, repo: &Repo, beyond: Beyond<'_>) -> Result<BTreeSet<String>> {
        let listed = self
            .command("listing what commits bring")
            .in_repository(&self.existing(repo)?)
            .args(["rev-list", "--objects", "--no-object-names"])
            .args(beyond.heads.iter().map(CommitId::as_str))
            .arg("--not")
            .args(beyond.known.iter().map(CommitId::as_str))
            .arg("--")
            .succeed(b"")
            .await?;
        let listed = String::from_utf8_lossy(&listed);
        Ok(listed.lines().filter(|id| !EMPTY.contains(id)).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::combine::tests::fix;
    use super::super::sample::Sample;
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_held_back_is_found_under_any_name_and_in_any_commit() {
        let sample = Sample::new().await;
        let mended = fix(&sample, "1.x", "lib.c", "one fixed\ntwo\nthree\nfour\nfive\n").await;
        let tests = fix(&sample, mended.as_str(), "exploit.py", "the way in\n").await;
        let other = fix(&sample, "1.x", "other.c", "other\n").await;
        let copied = fix(&sample, other.as_str(), "innocent.py", "the way in\n").await;
        let empty = fix(&sample, other.as_str(), "__init__.py", "").await;
        sample.update().await.unwrap();
        let (repo, public) = (Repo::Mirror(sample.id), sample.head("1.x").await);
        let known = [mended.clone(), public.clone()];
        let held = Beyond { heads: std::slice::from_ref(&tests), known: &known };
        let against = async |head: &CommitId| {
            let shown = Beyond { heads: std::slice::from_ref(head), known: std::slice::from_ref(&public) };
            sample.git.overlap(&repo, held, shown).await.unwrap()
        };
        assert_eq!(against(&mended).await, Overlap::Apart);
        assert_eq!(against(&empty).await, Overlap::Apart);
        assert_eq!(against(&tests).await, Overlap::Shared);
        assert_eq!(against(&copied).await, Overlap::Shared);
        let nothing = Beyond { heads: std::slice::from_ref(&mended), known: &known };
        assert_eq!(sample.git.overlap(&repo, nothing, held).await.unwrap(), Overlap::Nothing);
        // Attack: the fix takes a part of the tests over, and the tests merge the fix.
        let mended = fix(&sample, mended.as_str(), "lib.h", "mended\n").await;
        let taken = fix(&sample, mended.as_str(), "exploit.py", "the way in\n").await;
        let more = fix(&sample, tests.as_str(), "more.py", "another\n").await;
        sample.user(["checkout", "-q", "--detach", more.as_str()]).await;
        sample.user(["merge", "-q", "-m", "merge the fix", taken.as_str()]).await;
        let merged = sample.head("HEAD").await;
        sample.user(["branch", "-f", "kept-merge", merged.as_str()]).await;
        sample.update().await.unwrap();
        let held = Beyond { heads: std::slice::from_ref(&merged), known: &[taken.clone(), public.clone()] };
        let shown = Beyond { heads: std::slice::from_ref(&taken), known: std::slice::from_ref(&public) };
        assert_eq!(sample.git.overlap(&repo, held, shown).await.unwrap(), Overlap::Shared);
    }
}
