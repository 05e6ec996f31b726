//! The repository that is cloned, pushed to and mirrored: made by rule, so that every run and every machine has the same.
//!
//! Three lines, forty tags and as many topic branches as make 1,500 refs; some 30,000 objects in one pack.

use std::path::Path;

use crate::command::{Result, git};

/// Its name.
pub(crate) const NAME: &str = "sample";
/// Its lines; the first is the one a clone checks out.
pub(crate) const LINES: [&str; 3] = ["main", "2.x", "1.x"];
/// The lines of the other repository, which is small.
pub(crate) const TRACKS: [&str; 10] = ["l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8", "l9"];
/// Its branches and tags.
pub(crate) const REFS: usize = 1500;

/// Commits on `main`.
const COMMITS: usize = 4000;
/// Commits of each older line after it left `main`.
const BACKPORTS: usize = 100;
/// A tag stands on each of this many commits.
const TAGGED: usize = 100;
/// Files of the tree, in folders of folders.
const FILES: usize = 300;
/// Seconds of the first commit; the others follow an hour apart.
const EPOCH: usize = 1_600_000_000;
/// What the files are made of.
const WORDS: [&str; 32] = [
    "shelf", "open", "read", "write", "close", "path", "name", "value", "list", "first", "last", "next", "left",
    "right", "count", "index", "result", "error", "none", "some", "return", "match", "while", "until", "begin", "end",
    "line", "page", "byte", "word", "state", "change",
];

/// A tree that changes commit by commit, and the stream `git fast-import` reads.
struct History {
    chance: u64,
    files: Vec<Vec<String>>,
    stream: Vec<u8>,
    marks: usize,
}

/// Makes the bare repository.
pub(crate) async fn plant(path: &Path) -> Result<()> {
    let mut history = History { chance: 0x5eed, files: Vec::new(), stream: Vec::new(), marks: 0 };
    history.files = (0..FILES).map(|_| history.text()).collect();
    let mut tips = Vec::new();
    let mut forks = [(COMMITS / 2, "1.x"), (COMMITS * 3 / 4, "2.x")].into_iter().peekable();
    let mut tags = 0;
    let mut last = None;
    for number in 0..COMMITS {
        let mark = history.commit("main", last, number);
        last = Some(mark);
        tips.push(mark);
        if number % TAGGED == TAGGED - 1 {
            tags += 1;
            history.tag(&format!("v0.{tags}.0"), mark, number);
        }
        if let Some((_, line)) = forks.next_if(|(at, _)| *at == number) {
            let kept = history.files.clone();
            let mut tip = mark;
            for backport in 1..=BACKPORTS {
                tip = history.commit(line, Some(tip), number + backport);
            }
            history.files = kept;
        }
    }
    for topic in 0..REFS - LINES.len() - tags {
        let tip = tips[topic * 7 % tips.len()];
        history.say(&format!("reset refs/heads/topic/{topic}\nfrom :{tip}\n\n"));
    }
    git(Path::new("/")).args(["init", "--quiet", "--bare", "--"]).arg(path).succeed().await?;
    git(path).args(["fast-import", "--quiet"]).input(history.stream).succeed().await?;
    git(path).args(["repack", "-a", "-d", "-f", "-q"]).succeed().await?;
    git(path).args(["pack-refs", "--all"]).succeed().await?;
    git(path).args(["config", "http.receivepack", "true"]).succeed().await?;
    Ok(())
}

/// Makes the small bare repository with many lines, each with a commit of its own.
pub(crate) async fn lay_tracks(path: &Path) -> Result<()> {
    let mut stream = String::new();
    let mut commit = |line: &str, mark: usize, from: &str| {
        let text = format!("{line}\n");
        stream.push_str(&format!(
            "commit refs/heads/{line}\nmark :{mark}\ncommitter Sample <sample@example.org> {EPOCH} +0000\ndata 5\ntrack\n\
             {from}M 100644 inline {line}.txt\ndata {}\n{text}\n",
            text.len()
        ));
    };
    commit(TRACKS[0], 1, "");
    for (number, line) in TRACKS.iter().enumerate().skip(1) {
        commit(line, number + 1, "from :1\n");
    }
    git(Path::new("/")).args(["init", "--quiet", "--bare", "--"]).arg(path).succeed().await?;
    git(path).args(["fast-import", "--quiet"]).input(stream.into_bytes()).succeed().await?;
    git(path).args(["symbolic-ref", "HEAD", "refs/heads/l0"]).succeed().await?;
    git(path).args(["config", "http.receivepack", "true"]).succeed().await?;
    Ok(())
}

/// Counts the objects of a repository.
pub(crate) async fn objects(path: &Path) -> Result<usize> {
    let said = git(path).args(["count-objects", "-v"]).succeed().await?;
    let packed = said.lines().find_map(|line| line.strip_prefix("in-pack: ")).ok_or("git counts no objects")?;
    Ok(packed.parse()?)
}

/// Returns bytes without a pattern that anything could compress; the same for the same seed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut history = History { chance: seed, files: Vec::new(), stream: Vec::new(), marks: 0 };
    let words = bytes.div_ceil(8);
    let mut noise: Vec<u8> = (0..words).flat_map(|_| history.draw().to_le_bytes()).collect();
    noise.truncate(bytes);
    noise
}

impl History {
    /// Draws a number (xorshift64*).
    fn draw(&mut self) -> u64 {
        self.chance ^= self.chance >> 12;
        self.chance ^= self.chance << 25;
        self.chance ^= self.chance >> 27;
        self.chance.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Draws a number below another.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw() >> 33).unwrap_or(0) % limit
    }

    fn line(&mut self) -> String {
        let words: Vec<&str> = (0..6 + self.below(6)).map(|_| WORDS[self.below(WORDS.len())]).collect();
        words.join(" ")
    }

    fn text(&mut self) -> Vec<String> {
        (0..40 + self.below(80)).map(|_| self.line()).collect()
    }

    fn say(&mut self, text: &str) {
        self.stream.extend_from_slice(text.as_bytes());
    }

    fn data(&mut self, text: &str) {
        self.say(&format!("data {}\n{text}\n", text.len()));
    }

    /// Adds a commit that changes one to three files, the first one all of them; returns its mark.
    fn commit(&mut self, branch: &str, parent: Option<usize>, number: usize) -> usize {
        self.marks += 1;
        let mark = self.marks;
        let at = EPOCH + number * 3600;
        self.say(&format!("commit refs/heads/{branch}\nmark :{mark}\n"));
        self.say(&format!("committer Sample Developer <developer@example.org> {at} +0000\n"));
        self.data(&format!("Change {number} of {branch}\n"));
        let changed: Vec<usize> = if let Some(parent) = parent {
            self.say(&format!("from :{parent}\n"));
            (0..=self.below(3)).map(|_| self.below(FILES)).collect()
        } else {
            (0..FILES).collect()
        };
        for file in changed {
            for _ in 0..3 {
                let at = self.below(self.files[file].len());
                self.files[file][at] = self.line();
            }
            let text = self.files[file].join("\n") + "\n";
            self.say(&format!("M 100644 inline part{}/piece{}/file{file}.txt\n", file % 12, file % 60 / 12));
            self.data(&text);
        }
        mark
    }

    fn tag(&mut self, name: &str, mark: usize, number: usize) {
        let at = EPOCH + number * 3600;
        self.say(&format!("tag {name}\nfrom :{mark}\n"));
        self.say(&format!("tagger Sample Developer <developer@example.org> {at} +0000\n"));
        self.data(&format!("Release {name}\n"));
    }
}
