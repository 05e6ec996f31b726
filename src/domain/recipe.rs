//! How the fixes of a release reach a line: as merges, replayed, or as one commit each, with which words.
//!
//! Guards: everything that forms the bytes of a candidate besides the public tip, the fixes and the dates is in one value,
//! whose digest a rehearsal keeps: where it changes, the candidate is built anew before it is frozen. Leaves making the
//! commits to `git` and gathering the words to `workflow::recipe`.

use super::digest::Digest;
use super::forward::{Forward, Onward, TagOn};
use super::id::words;
use super::project::TagStyle;
use super::repo::{CommitId, LineName};
use super::signing::{Commits, Signing};

words! {
    /// How a fix is put onto a line.
    Strategy {
        /// A merge commit for each fix: the approved commits themselves become public.
        Merge = "merge",
        /// Each commit of a fix is made anew on the tip, with its author and message; no merge.
        Rebase = "rebase",
        /// One commit for each fix.
        Squash = "squash",
    }
}

/// What is written for one fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixRecipe {
    /// The approved commit.
    pub head: CommitId,
    /// The message of the merge or of the one commit; a replayed commit keeps its own.
    pub message: String,
    /// Trailers that are added.
    pub riders: Vec<String>,
}

/// Release notes that are committed on top of the fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changelog {
    /// The path of the new file.
    pub path: String,
    /// What it says.
    pub text: String,
    /// The message of its commit.
    pub message: String,
}

/// A command that sets the version, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bump {
    /// The script.
    pub command: String,
    /// The line, in its variable `LINE`.
    pub line: String,
    /// The tag, in its variable `TAG`.
    pub tag: String,
    /// The message of the commit with what it changed.
    pub message: String,
}

/// A branch that moves to the same commit as the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The branch.
    pub branch: LineName,
    /// Where it is in public; none if it is not there.
    pub tip: Option<CommitId>,
}

/// Everything that forms what is pushed to one line, besides the public tip, the fixes, the dates and the tag's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// How fixes are put onto the line.
    pub strategy: Strategy,
    /// How the tag looks.
    pub style: TagStyle,
    /// The fixes, in the order of the cases.
    pub fixes: Vec<FixRecipe>,
    /// Release notes on top of them.
    pub changelog: Option<Changelog>,
    /// A command whose changes come last.
    pub bump: Option<Bump>,
    /// The message of the tag.
    pub tag_message: String,
    /// Where the key is that signs the tag.
    pub signing: Signing,
    /// Whether the commits that the server makes are signed.
    pub commits: Commits,
    /// Name and address that stand on what the server makes.
    pub signer: (String, String),
    /// Branches that move with the line.
    pub advances: Vec<Advance>,
    /// Older lines of the release that are merged in after the fixes, in this order.
    pub forwards: Vec<Forward>,
    /// Lines that get no tag here, and what this and older lines ship.
    pub onward: Vec<Onward>,
    /// The branch the tag stands on, where that is not the line.
    pub tag_on: Option<TagOn>,
}

impl Strategy {
    /// Tells whether the approved commits themselves become public; otherwise what becomes public is made from them.
    pub const fn keeps_commits(self) -> bool {
        match self {
            Self::Merge => true,
            Self::Rebase | Self::Squash => false,
        }
    }
}

impl FixRecipe {
    fn parts<'a>(&'a self, parts: &mut Vec<&'a [u8]>) {
        parts.extend([b"fix".as_slice(), self.head.as_str().as_bytes(), self.message.as_bytes()]);
        parts.extend(self.riders.iter().map(String::as_bytes));
    }
}

impl Recipe {
    /// Hashes all of it, with what the lines that are merged in ship: [`super::release::Release::sources`].
    pub fn digest(&self, sources: &[CommitId]) -> Digest {
        let mut parts: Vec<&[u8]> = vec![
            b"embargo-recipe-1",
            self.strategy.as_str().as_bytes(),
            self.style.as_str().as_bytes(),
            self.tag_message.as_bytes(),
            self.signing.as_str().as_bytes(),
            self.commits.as_str().as_bytes(),
            self.signer.0.as_bytes(),
            self.signer.1.as_bytes(),
        ];
        for fix in &self.fixes {
            fix.parts(&mut parts);
        }
        if let Some(Changelog { path, text, message }) = &self.changelog {
            parts.extend([b"changelog".as_slice(), path.as_bytes(), text.as_bytes(), message.as_bytes()]);
        }
        if let Some(Bump { command, line, tag, message }) = &self.bump {
            parts.extend([b"bump".as_slice(), command.as_bytes(), line.as_bytes(), tag.as_bytes(), message.as_bytes()]);
        }
        for advance in &self.advances {
            let tip = advance.tip.as_ref().map_or("", CommitId::as_str);
            parts.extend([b"advance".as_slice(), advance.branch.as_str().as_bytes(), tip.as_bytes()]);
        }
        let forwards: Vec<String> = self.forwards.iter().map(Forward::bytes).collect();
        parts.extend(forwards.iter().map(String::as_bytes));
        let onward: Vec<String> = self.onward.iter().map(Onward::bytes).collect();
        for (bytes, onward) in onward.iter().zip(&self.onward) {
            parts.push(bytes.as_bytes());
            for fix in &onward.fixes {
                fix.parts(&mut parts);
            }
        }
        if let Some(TagOn { branch, tip, message }) = &self.tag_on {
            let tip = tip.as_ref().map_or("", CommitId::as_str);
            parts.extend([b"tag on".as_slice(), branch.as_str().as_bytes(), tip.as_bytes(), message.as_bytes()]);
        }
        for source in sources {
            parts.extend([b"source".as_slice(), source.as_str().as_bytes()]);
        }
        Digest::of_parts(&parts)
    }
}

#[cfg(test)]
pub(in crate::domain) mod tests {
    use super::*;
    use crate::domain::id::{LineId, Minted};

    /// A recipe of one fix.
    pub(in crate::domain) fn recipe() -> Recipe {
        Recipe {
            strategy: Strategy::Merge,
            style: TagStyle::Annotated,
            fixes: vec![FixRecipe {
                head: "4".repeat(40).parse().unwrap(),
                message: "Merge the fix".to_owned(),
                riders: vec!["Fixes: CVE-2030-1".to_owned()],
            }],
            changelog: None,
            bump: None,
            tag_message: "Sample v1".to_owned(),
            signing: Signing::Server,
            commits: Commits::Unsigned,
            signer: ("Sample".to_owned(), "security@example.org".to_owned()),
            advances: vec![Advance { branch: "stable".parse().unwrap(), tip: None }],
            forwards: Vec::new(),
            onward: Vec::new(),
            tag_on: None,
        }
    }

    fn onward(fixes: Vec<FixRecipe>) -> Onward {
        let forwards = vec![Forward { line: LineId::mint(1, [1; 10]), message: "Merge".to_owned() }];
        let branch = "next".parse().unwrap();
        Onward { line: LineId::mint(1, [2; 10]), branch, tip: None, strategy: Strategy::Merge, fixes, forwards }
    }

    #[test]
    fn what_other_lines_ship_is_part_of_the_digest() {
        let source: CommitId = "7".repeat(40).parse().unwrap();
        assert_ne!(recipe().digest(&[source]), recipe().digest(&[]));
    }

    #[test]
    fn each_part_is_part_of_the_digest() {
        let changes: [fn(&mut Recipe); 17] = [
            |recipe| recipe.strategy = Strategy::Squash,
            |recipe| recipe.style = TagStyle::Lightweight,
            |recipe| recipe.fixes[0].head = "5".repeat(40).parse().unwrap(),
            |recipe| recipe.fixes[0].message.push('!'),
            |recipe| recipe.fixes[0].riders.clear(),
            |recipe| recipe.tag_message.push('!'),
            |recipe| {
                let text = "notes".to_owned();
                recipe.changelog = Some(Changelog { path: text.clone(), message: text.clone(), text });
            },
            |recipe| {
                let text = "true".to_owned();
                let (line, tag, message) = (text.clone(), text.clone(), text.clone());
                recipe.bump = Some(Bump { command: text, line, tag, message });
            },
            |recipe| recipe.signing = Signing::Offline,
            |recipe| recipe.commits = Commits::Signed,
            |recipe| recipe.signer.1.push('x'),
            |recipe| recipe.advances[0].tip = Some("6".repeat(40).parse().unwrap()),
            |recipe| recipe.advances.clear(),
            |recipe| recipe.forwards.push(Forward { line: LineId::mint(1, [1; 10]), message: "Merge".to_owned() }),
            |recipe| recipe.onward.push(onward(Vec::new())),
            |recipe| recipe.onward.push(onward(recipe.fixes.clone())),
            |recipe| {
                let (branch, message) = ("release".parse().unwrap(), "Merge".to_owned());
                recipe.tag_on = Some(TagOn { branch, tip: None, message });
            },
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut other = recipe();
            change(&mut other);
            assert_ne!(other.digest(&[]), recipe().digest(&[]), "{n}");
        }
    }
}
