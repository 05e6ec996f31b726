//! A file that a release adds on top of the fixes of a line.
//!
//! Guards: a file that is there already is never overwritten, and the same input makes the same commit. No working tree is
//! touched. Leaves what the file says to `workflow::recipe`.

use std::path::Path;

use super::combine::Stamp;
use super::error::{Error, Result};
use super::refs;
use super::{Git, Repo};
use crate::domain::recipe::Changelog;
use crate::domain::refusal::Refusal;
use crate::domain::repo::CommitId;

impl Git {
    /// Commits a new file on top of a commit; returns the new commit, to which no ref points yet.
    pub async fn add_file(&self, repo: &Repo, onto: &CommitId, file: &Changelog, stamp: &Stamp) -> Result<CommitId> {
        const WHAT: &str = "adding a file to a line";
        let path = self.existing(repo)?;
        let scratch = self.scratch()?;
        let index = scratch.path().join("index");
        let git = || self.command(WHAT).in_repository(&path).env("GIT_INDEX_FILE", &index);
        // The path itself may not be there, nor a file where it wants a folder.
        let places = file.path.match_indices('/').map(|(end, _)| &file.path[..end]).chain([file.path.as_str()]);
        let mut taken = false;
        for place in places {
            // One at a time: asked for a folder and a file in it, git lists all that is in the folder.
            let there = git().args(["ls-tree", "-z", onto.as_str(), "--", place]).succeed(b"").await?;
            let there = String::from_utf8_lossy(&there).into_owned();
            let kind = there.split(' ').nth(1);
            taken |= kind.is_some_and(|kind| kind != "tree" || place == file.path);
        }
        if taken {
            return Err(Refusal::moment(format!(
                "{} is on the line already, or would take the place of a file; release notes overwrite nothing: name another in \
                 `changelog`.",
                file.path
            ))
            .into());
        }
        git().args(["read-tree", onto.as_str()]).succeed(b"").await?;
        let blob = git().args(["hash-object", "-w", "--stdin"]).succeed(file.text.as_bytes()).await?;
        let blob = parsed(&blob)?;
        let entry = format!("100644 {blob}\t{}\0", file.path);
        git().args(["update-index", "-z", "--add", "--index-info"]).succeed(entry.as_bytes()).await?;
        let tree = parsed(&git().arg("write-tree").succeed(b"").await?)?;
        // git passes over a name that no tree may have, and says nothing.
        if tree == self.commit(repo, onto).await?.tree {
            return Err(
                Refusal::moment(format!("{} is no path that git takes: correct `changelog`.", file.path)).into()
            );
        }
        let mut commit = stamp.commit(&tree, &file.message)?;
        commit.parents.push(refs::object_id(onto)?);
        self.write_commit(repo, commit, stamp).await
    }
}

impl Git {
    /// Commits what changed in a checkout of a commit; none if nothing did. The folder's own `.git` is never looked at: whoever
    /// worked in there may have written it.
    pub async fn commit_folder(
        &self,
        repo: &Repo,
        onto: &CommitId,
        change: (&Path, &str),
        stamp: &Stamp,
    ) -> Result<Option<CommitId>> {
        const WHAT: &str = "committing what a command changed";
        let (folder, message) = change;
        let path = self.existing(repo)?;
        let scratch = self.scratch()?;
        let index = scratch.path().join("index");
        let git = || {
            let command = self.command(WHAT).in_repository(&path).env("GIT_INDEX_FILE", &index);
            command.env("GIT_WORK_TREE", folder).in_folder(folder)
        };
        git().args(["read-tree", onto.as_str()]).succeed(b"").await?;
        git().args(["add", "--all", "--", "."]).succeed(b"").await?;
        let before = self.commit(repo, onto).await?.tree;
        let tree = parsed(&git().arg("write-tree").succeed(b"").await?)?;
        if tree == before {
            return Ok(None);
        }
        let range = ["diff-tree", "-r", "--no-renames", before.as_str(), tree.as_str()];
        let changed = git().args(range).succeed(b"").await?;
        // A repository inside the tree would become a submodule that nobody can fetch.
        let hostile = |line: &str| line.split(' ').nth(1) == Some("160000");
        if String::from_utf8_lossy(&changed).lines().any(hostile) {
            return Err(Refusal::moment("The version command left a repository of its own in the tree.").into());
        }
        let mut commit = stamp.commit(&tree, message)?;
        commit.parents.push(refs::object_id(onto)?);
        self.write_commit(repo, commit, stamp).await.map(Some)
    }
}

fn parsed(output: &[u8]) -> Result<CommitId> {
    String::from_utf8_lossy(output).trim().parse().map_err(|_| Error::Missing)
}

#[cfg(test)]
mod tests {
    use super::super::combine::tests::stamp;
    use super::super::sample::Sample;
    use super::*;

    #[tokio::test]
    async fn what_changed_in_a_checkout_is_committed_whatever_its_own_repository_says() {
        let sample = Sample::new().await;
        sample.update().await.unwrap();
        let (repo, tip) = (Repo::Mirror(sample.id), sample.head("main").await);
        let folder = sample.folder.path().join("tree");
        sample.git.checkout(&repo, &tip, &folder).await.unwrap();
        let commit = async || sample.git.commit_folder(&repo, &tip, (&folder, "Version v1.1"), &stamp()).await;
        assert_eq!(commit().await.unwrap(), None);
        std::fs::write(folder.join("NEWS"), "1.1\n").unwrap();
        std::fs::remove_file(folder.join("README")).unwrap();
        std::fs::write(folder.join(".git/config"), "[core]\n\tfsmonitor = touch /tmp/never\n\tbare = maybe\n").unwrap();
        let one = commit().await.unwrap().unwrap();
        assert_eq!(commit().await.unwrap(), Some(one.clone()));
        assert_eq!(sample.git.changed_paths(&repo, &tip, &one, 10).await.unwrap(), ["NEWS", "README"]);
        sample.fsck(&repo).await;
        sample.user_in(&folder, ["init", "-q", "inner"]).await;
        sample.user_in(&folder.join("inner"), ["commit", "-q", "--allow-empty", "-m", "x"]).await;
        let refused = commit().await.unwrap_err().to_string();
        assert!(refused.contains("a repository of its own"), "{refused}");
    }

    #[tokio::test]
    async fn a_file_is_added_once_and_never_overwrites() {
        let sample = Sample::new().await;
        sample.update().await.unwrap();
        let (repo, tip) = (Repo::Mirror(sample.id), sample.head("main").await);
        let file = |path: &str| Changelog {
            path: path.to_owned(),
            text: "What was fixed.\n".to_owned(),
            message: "Release notes of v1.1".to_owned(),
        };
        let one = sample.git.add_file(&repo, &tip, &file("changes/v1.1.md"), &stamp()).await.unwrap();
        assert_eq!(sample.git.add_file(&repo, &tip, &file("changes/v1.1.md"), &stamp()).await.unwrap(), one);
        assert_eq!(sample.git.changed_paths(&repo, &tip, &one, 10).await.unwrap(), ["changes/v1.1.md"]);
        let path = sample.git.path(&repo);
        let shown = sample.user_in(&path, ["--git-dir=.", "show", &format!("{one}:changes/v1.1.md")]).await;
        assert_eq!(shown, "What was fixed.");
        assert!(sample.git.is_ancestor(&repo, &tip, &one).await.unwrap());
        let two = sample.git.add_file(&repo, &one, &file("changes/v1.2.md"), &stamp()).await.unwrap();
        assert_eq!(
            sample.git.changed_paths(&repo, &one, &two, 10).await.unwrap(),
            ["changes/v1.2.md"],
            "the next release"
        );
        let refused = sample.git.add_file(&repo, &tip, &file("NEWS"), &stamp()).await.unwrap_err().to_string();
        assert!(refused.contains("NEWS is on the line already"), "{refused}");
        assert!(sample.git.add_file(&repo, &tip, &file("NEWS/v1.md"), &stamp()).await.is_err(), "NEWS is a file");
        assert!(sample.git.add_file(&repo, &tip, &file(".git/x"), &stamp()).await.is_err());
        sample.fsck(&repo).await;
    }
}
