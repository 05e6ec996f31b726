//! The public repository of the story: the sample project, or a local copy of a real one from which the fix is taken away.
//!
//! Guards: of a real repository only a copy is touched; refs that hold a fix already are left out of what is served.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::command::{self, Call};
use super::sample::{self, File, SampleLine};
use crate::cli::{Failure, Result};
use crate::domain::repo::{LineName, RepoName, TagName};

/// The public repository and what the story does on its lines.
pub(super) struct Upstream {
    /// Its name.
    pub(super) name: String,
    /// The bare repository that is served.
    pub(super) path: PathBuf,
    /// Its lines.
    pub(super) lines: Vec<Line>,
}

/// A line and its fix.
pub(super) struct Line {
    /// The branch.
    pub(super) name: String,
    /// The tag of the release.
    pub(super) tag: String,
    /// The fix.
    pub(super) fix: Fix,
}

/// Where a fix comes from.
pub(super) enum Fix {
    /// It is written during the story, the test first.
    Written {
        /// The test that shows the hole.
        test: File,
        /// The file without the hole.
        mended: File,
    },
    /// It is a commit of the real repository.
    Taken {
        /// The commit.
        commit: String,
        /// The copy that holds it.
        source: PathBuf,
    },
}

/// `--line <branch>[@<base>]=<fix>`.
#[derive(Clone, Debug)]
pub(super) struct LineArgument {
    name: LineName,
    base: Option<String>,
    fix: String,
}

/// `--tag <branch>=<tag>`.
#[derive(Clone, Debug)]
pub(super) struct TagArgument {
    line: LineName,
    tag: TagName,
}

impl FromStr for LineArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "a line is <branch>=<commit of the fix>, or <branch>@<base>=<commit of the fix>".to_owned();
        let (place, fix) = text.split_once('=').ok_or_else(form)?;
        let (name, base) = place.split_once('@').map_or((place, None), |(name, base)| (name, Some(base.to_owned())));
        if fix.is_empty() || base.as_deref() == Some("") {
            return Err(form());
        }
        Ok(Self { name: name.parse().map_err(|error| format!("{error}"))?, base, fix: fix.to_owned() })
    }
}

impl FromStr for TagArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (line, tag) = text.split_once('=').ok_or("a tag is <branch>=<name of the tag>")?;
        let line = line.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { line, tag: tag.parse().map_err(|error| format!("{error}"))? })
    }
}

impl Upstream {
    /// Makes the sample project below the forge's folder.
    pub(super) async fn sample(folder: &Path, forge: &Path) -> Result<Self> {
        let work = folder.join("sample");
        make_folder(&work)?;
        git(&work).args(["init", "--quiet"]).succeed().await?;
        let (old, new) = (&sample::OLD, &sample::MAIN);
        plant(&work, old).await?;
        git(&work).args(["branch", old.name]).succeed().await?;
        git(&work).args(["rm", "--quiet", "-r", "."]).succeed().await?;
        plant(&work, new).await?;
        let path = forge.join(format!("{}.git", sample::NAME));
        let clone = git(folder).args(["clone", "--quiet", "--bare", "--no-local", "--"]);
        clone.arg(&work).arg(&path).succeed().await?;
        open_to_pushes(&path).await?;
        let line = |line: &SampleLine| Line {
            name: line.name.to_owned(),
            tag: line.tag.to_owned(),
            fix: Fix::Written { test: line.test, mended: line.mended },
        };
        Ok(Self { name: sample::NAME.to_owned(), path, lines: vec![line(new), line(old)] })
    }

    /// Copies a real repository below the forge's folder and takes the fixes out of what is served.
    pub(super) async fn real(
        (folder, forge): (&Path, &Path),
        source: &str,
        lines: &[LineArgument],
        tags: &[TagArgument],
    ) -> Result<Self> {
        let name = name_of(source);
        let copy = folder.join("source.git");
        let clone = git(folder).args(["clone", "--quiet", "--bare", "--no-local", "--"]);
        clone.arg(source).arg(&copy).succeed().await?;
        let path = forge.join(format!("{name}.git"));
        git(folder).args(["clone", "--quiet", "--bare", "--"]).arg(&copy).arg(&path).succeed().await?;
        let mut planned = Vec::new();
        let mut bases = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let tag = tags.iter().find(|tag| tag.line == line.name);
            let tag =
                tag.ok_or_else(|| Failure::Refused(format!("Name the tag of {0}: --tag {0}=<tag>.", line.name)))?;
            let fix = commit(&copy, &line.fix).await?;
            let base = line.base.clone().unwrap_or_else(|| format!("{fix}^"));
            bases.push((line.name.as_str(), commit(&copy, &base).await?));
            forget(&path, &["--contains", &fix]).await?;
            forget(&path, &[&format!("refs/tags/{}", tag.tag)]).await?;
            // The maintainer fetches the fix from the copy by this name.
            git(&copy).args(["update-ref", &format!("refs/heads/embargo-demo/{at}"), &fix]).succeed().await?;
            let fix = Fix::Taken { commit: fix, source: copy.clone() };
            planned.push(Line { name: line.name.to_string(), tag: tag.tag.to_string(), fix });
        }
        for (name, base) in &bases {
            git(&path).args(["update-ref", &format!("refs/heads/{name}"), base]).succeed().await?;
        }
        let first = bases.first().ok_or_else(|| Failure::Refused("Name at least one --line.".to_owned()))?.0;
        git(&path).args(["symbolic-ref", "HEAD", &format!("refs/heads/{first}")]).succeed().await?;
        open_to_pushes(&path).await?;
        Ok(Self { name, path, lines: planned })
    }

    /// Tells whether this is the sample, whose hole can be tried.
    pub(super) fn is_sample(&self) -> bool {
        self.lines.iter().all(|line| matches!(line.fix, Fix::Written { .. }))
    }

    /// Counts the branches and tags that are served.
    pub(super) async fn refs(&self) -> Result<usize> {
        Ok(git(&self.path).args(["for-each-ref", "--format=%(refname)"]).succeed().await?.lines().count())
    }
}

/// Writes files into a tree.
pub(super) fn write(tree: &Path, files: &[File]) -> Result<()> {
    for (name, text) in files {
        let path = tree.join(name);
        make_folder(path.parent().unwrap_or(tree))?;
        fs::write(&path, text).map_err(|error| Failure::because("A sample file could not be written.", error))?;
    }
    Ok(())
}

/// Makes a folder and those it lies in.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Failure::because(format!("{} could not be made.", path.display()), error))
}

async fn plant(work: &Path, line: &SampleLine) -> Result<()> {
    write(work, line.tree)?;
    git(work).args(["add", "--all"]).succeed().await?;
    git(work).args(["commit", "--quiet", "--message", &format!("Release {}", line.last)]).succeed().await?;
    git(work).args(["tag", "--annotate", "--message", line.last, line.last]).succeed().await?;
    Ok(())
}

async fn open_to_pushes(path: &Path) -> Result<()> {
    git(path).args(["config", "http.receivepack", "true"]).succeed().await.map(drop)
}

async fn commit(repository: &Path, name: &str) -> Result<String> {
    let found = git(repository).args(["rev-parse", "--verify", "--quiet", "--end-of-options"]);
    let found = found.arg(format!("{name}^{{commit}}")).run().await?;
    match found.code {
        Some(0) => Ok(found.out),
        _ => Err(Failure::Refused(format!("There is no commit `{name}` in this repository."))),
    }
}

/// Removes the refs that these words select.
async fn forget(repository: &Path, which: &[&str]) -> Result<()> {
    let names = git(repository).args(["for-each-ref", "--format=%(refname)"]).args(which).succeed().await?;
    for name in names.lines() {
        git(repository).args(["update-ref", "-d", name]).succeed().await?;
    }
    Ok(())
}

fn git(folder: &Path) -> Call {
    let (name, mail) = ("Sample Maintainer", "maintainer@example.org");
    command::git(folder)
        .config("safe.directory", "*")
        .env("GIT_AUTHOR_NAME", name)
        .env("GIT_AUTHOR_EMAIL", mail)
        .env("GIT_COMMITTER_NAME", name)
        .env("GIT_COMMITTER_EMAIL", mail)
}

/// Names the repository after the last part of its address.
fn name_of(source: &str) -> String {
    let last = source.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let last = last.strip_suffix(".git").unwrap_or(last);
    if last.parse::<RepoName>().is_ok() { last.to_owned() } else { "project".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_fix_and_perhaps_its_base() {
        let line: LineArgument = "main=abc".parse().unwrap();
        assert_eq!((line.name.as_str(), line.base.as_deref(), line.fix.as_str()), ("main", None, "abc"));
        let line: LineArgument = "1.x@v1.0=abc^2".parse().unwrap();
        assert_eq!((line.name.as_str(), line.base.as_deref(), line.fix.as_str()), ("1.x", Some("v1.0"), "abc^2"));
        for bad in ["main", "main=", "=abc", "main@=abc"] {
            assert!(bad.parse::<LineArgument>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_repository_is_named_after_its_address() {
        assert_eq!(name_of("https://git.example.org/a/tool.git/"), "tool");
        assert_eq!(name_of("/srv/tool"), "tool");
        assert_eq!(name_of("."), "project");
    }
}
