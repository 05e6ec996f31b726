//! A checkout for a check: a working tree with a `.git` of its own that borrows nothing.
//!
//! Guards: it holds one commit and what that commit needs, no address of the server, no borrowed objects; files and bytes
//! are counted before the first one is written. Leaves the sandbox around it to `ci`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::error::{Error, Result};
use super::refs;
use super::{Git, Repo, blocking};
use crate::domain::refusal::Refusal;
use crate::domain::repo::CommitId;

/// Folders nested deeper than this are refused.
const DEPTH: usize = 200;

/// What a checkout holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckoutSize {
    /// Number of files and links.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Git {
    /// Checks a commit out into a folder that does not exist yet or is empty: a repository of depth 1, `HEAD` detached.
    ///
    /// # Errors
    /// A tree beyond `max_checkout_files` or `max_checkout_bytes` is refused before anything is written.
    pub async fn checkout(&self, repo: &Repo, commit: &CommitId, into: &Path) -> Result<CheckoutSize> {
        const WHAT: &str = "checking out a commit";
        let source = self.existing(repo)?;
        let size = self.measure(repo, commit).await?;
        let folder = into.to_owned();
        blocking(WHAT, move || {
            fs::create_dir_all(&folder).map_err(Error::io(WHAT))?;
            let mut entries = fs::read_dir(&folder).map_err(Error::io(WHAT))?;
            if entries.next().is_some() {
                return Err(Error::Io { what: WHAT, source: std::io::ErrorKind::DirectoryNotEmpty.into() });
            }
            Ok(())
        })
        .await?;
        let limit = Duration::from_secs(self.options().upstream_seconds);
        let git = || self.command(WHAT).in_folder(into).timeout(limit);
        let mut init = git().args(["init", "-q", "--template=", "--object-format=sha1"]);
        if self.0.program.has_ref_formats() {
            init = init.arg("--ref-format=files");
        }
        init.succeed(b"").await?;
        git()
            .transport("file")
            .args(["fetch", "-q", "--depth=1", "--no-tags", "--no-write-fetch-head", "--"])
            .arg(format!("file://{}", source.display()))
            .arg(commit.as_str())
            .succeed(b"")
            .await?;
        git().args(["checkout", "-q", "--detach", commit.as_str(), "--"]).succeed(b"").await?;
        Ok(size)
    }

    /// Counts the files and bytes of a commit's tree.
    ///
    /// # Errors
    /// Ends with a refusal as soon as a limit is passed.
    pub async fn measure(&self, repo: &Repo, commit: &CommitId) -> Result<CheckoutSize> {
        let id = refs::object_id(commit)?;
        let (max_files, max_bytes) = (self.options().max_checkout_files, self.options().max_checkout_bytes);
        self.read(repo, "measuring a commit", move |repository| {
            let commit = repository.find_commit(id).map_err(|_| Error::Missing)?;
            let tree = commit.tree_id().map_err(Error::library("measuring a commit"))?.detach();
            let mut size = CheckoutSize::default();
            let mut rest = vec![(tree, 0)];
            let mut folders = 0;
            while let Some((tree, depth)) = rest.pop() {
                folders += 1;
                let tree = repository.find_tree(tree).map_err(Error::library("measuring a commit"))?;
                for entry in tree.iter() {
                    let entry = entry.map_err(Error::library("measuring a commit"))?;
                    if entry.mode().is_tree() {
                        rest.push((entry.object_id(), depth + 1));
                    } else if !entry.mode().is_commit() {
                        let header = repository.find_header(entry.object_id());
                        size.files += 1;
                        size.bytes += header.map_err(Error::library("measuring a commit"))?.size();
                    }
                }
                let many = size.files > max_files || folders > max_files || rest.len() as u64 > max_files;
                if many || size.bytes > max_bytes || depth > DEPTH {
                    return Err(Refusal::input("The tree of this commit is too large to be checked out.").into());
                }
            }
            Ok(size)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::super::sample::Sample;
    use super::*;

    #[tokio::test]
    async fn a_checkout_borrows_nothing_and_names_nobody() {
        let sample = Sample::new().await;
        let case = sample.case("OCTO-1").await;
        let head = sample.head("main").await;
        let into = sample.folder.path().join("tree");
        let size = sample.git.checkout(&case, &head, &into).await.unwrap();
        assert_eq!(size.files, 3);
        fs::remove_dir_all(sample.folder.path().join("data/repos")).unwrap();
        assert_eq!(fs::read_to_string(into.join("lib.c")).unwrap(), "one\ntwo\nthree\nfour\nfive\n");
        assert!(!into.join(".git/objects/info/alternates").exists());
        assert_eq!(sample.user_in(&into, ["rev-list", "--all", "--count", "HEAD"]).await, "1");
        assert_eq!(sample.user_in(&into, ["status", "--porcelain"]).await, "");
        sample.user_in(&into, ["fsck", "--full"]).await;
        let data = sample.folder.path().join("data");
        let named = sample.client(&into).args(["grep", "--no-index", "-l", "-F"]).arg(&data).args(["--", ".git"]);
        assert_eq!(named.run(b"").await.unwrap().code, Some(1), "no file of .git names the data folder");
        let again = sample.git.checkout(&case, &head, &into).await;
        assert!(again.is_err());
    }

    #[tokio::test]
    async fn a_tree_beyond_the_limits_is_refused_before_it_is_written() {
        for options in [
            Options { max_checkout_files: 2, ..Options::default() },
            Options { max_checkout_bytes: 10, ..Options::default() },
        ] {
            let sample = Sample::empty(options).await;
            for name in ["a", "b", "c"] {
                sample.write(&format!("{name}/x"), "some text").await;
            }
            sample.update().await.unwrap();
            let into = sample.folder.path().join("tree");
            let head = sample.head("main").await;
            let refused = sample.git.checkout(&Repo::Mirror(sample.id), &head, &into).await;
            assert!(matches!(refused, Err(Error::Refused(_))));
            assert!(!into.exists());
        }
    }
}
