//! What a line ships beyond itself: merged on into newer lines, and tagged on another branch.
//!
//! Guards: a line is built after every line that is merged into it, so that one history results, and the commits other lines
//! ship are part of what a candidate was made from. Leaves the merging to `workflow::forward`.

use serde::{Deserialize, Serialize};

use super::id::{LineId, words};
use super::readiness::Facts;
use super::recipe::{FixRecipe, Strategy};
use super::rehearsal::{Candidate, Rehearsal};
use super::release::Release;
use super::repo::{CommitId, LineName};

words! {
    /// Why a branch moves that is not the line of a tag.
    MovedBy {
        /// The tag stands on it.
        Tag = "tag",
        /// It gets what older lines ship.
        Forward = "forward",
    }
}

/// A branch that moves besides the line, and to a commit of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The branch.
    pub branch: LineName,
    /// Why.
    pub by: MovedBy,
    /// Where it is in public.
    pub old: CommitId,
    /// Where it goes.
    pub new: CommitId,
}

/// A line whose commit is merged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The line that ships.
    pub line: LineId,
    /// The message of the merge.
    pub message: String,
}

/// A line that gets what others ship, and no tag of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onward {
    /// The line.
    pub line: LineId,
    /// Its branch.
    pub branch: LineName,
    /// Where it is in public; none if it is not there.
    pub tip: Option<CommitId>,
    /// How the fixes that cases have for it are put onto it, before what others ship.
    pub strategy: Strategy,
    /// Those fixes, in the order of the cases.
    pub fixes: Vec<FixRecipe>,
    /// What is merged into it, in this order.
    pub forwards: Vec<Forward>,
}

/// The branch that a line's tag stands on: the line's commit is merged into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagOn {
    /// The branch.
    pub branch: LineName,
    /// Where it is in public; none if it is not there.
    pub tip: Option<CommitId>,
    /// The message of the merge, where one is made.
    pub message: String,
}

impl Forward {
    pub(super) fn bytes(&self) -> String {
        format!("forward {}\n{}", self.line, self.message)
    }
}

impl Onward {
    /// Returns all of it but the fixes.
    pub(super) fn bytes(&self) -> String {
        let tip = self.tip.as_ref().map_or("", CommitId::as_str);
        let forwards: Vec<String> = self.forwards.iter().map(Forward::bytes).collect();
        format!("onward {} {} {tip} {}\n{}", self.line, self.branch, self.strategy, forwards.join("\0"))
    }
}

/// Orders lines so that each comes after those that are merged into it, and otherwise as they are given. `feeds` tells whether
/// the first of two is merged into the second. Lines in a circle, which no configuration has, come as they are given.
pub fn order(lines: &[LineId], feeds: impl Fn(LineId, LineId) -> bool) -> Vec<usize> {
    let mut left: Vec<usize> = (0..lines.len()).collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let waits =
            |at: &usize| left.iter().any(|other| lines[*other] != lines[*at] && feeds(lines[*other], lines[*at]));
        let next = left.iter().position(|at| !waits(at)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

impl Release {
    /// Returns the commit this release ships on a line, as it was rehearsed.
    pub fn shipped(&self, line: LineId) -> Option<&CommitId> {
        self.targets.iter().filter(|target| target.line == line).find_map(|target| match &target.rehearsal {
            Rehearsal::Candidate(candidate) => Some(&candidate.commit),
            Rehearsal::None | Rehearsal::Trouble { .. } => None,
        })
    }

    /// Lists what the lines ship that are merged in on the way to a target, by its place: into its own line and into those that
    /// only get what others ship. None if one of them is not built, or it is not known how the target is made.
    pub fn sources(&self, at: usize, facts: &Facts) -> Option<Vec<CommitId>> {
        let own = self.targets.get(at)?.line;
        let recipe = facts.targets.get(at)?.recipe.as_ref().ok()?;
        let onward = recipe.onward.iter().flat_map(|onward| &onward.forwards);
        let lines = recipe.forwards.iter().chain(onward).map(|forward| forward.line).filter(|line| *line != own);
        lines.map(|line| self.shipped(line).cloned()).collect()
    }

    /// Tells whether a target's candidate was made as it would be made now.
    pub fn made_as_now(&self, at: usize, candidate: &Candidate, facts: &Facts) -> bool {
        let recipe = facts.targets.get(at).and_then(|known| known.recipe.as_ref().ok());
        recipe.zip(self.sources(at, facts)).is_some_and(|(recipe, sources)| recipe.digest(&sources) == candidate.recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::super::id::Minted;
    use super::super::readiness::tests::{facts, oid, release};
    use super::*;

    #[test]
    fn a_line_comes_after_all_that_is_merged_into_it() {
        let line = |n: u8| LineId::mint(1, [n; 10]);
        let lines = [line(3), line(2), line(1), line(4)];
        let feeds =
            |from: LineId, into: LineId| (from, into) == (line(1), line(2)) || (from, into) == (line(2), line(3));
        assert_eq!(order(&lines, feeds), [2, 1, 0, 3]);
        assert_eq!(order(&lines, |_, _| false), [0, 1, 2, 3]);
        assert_eq!(order(&lines[..2], |_, _| true), [0, 1], "a circle ends");
    }

    #[test]
    fn what_an_older_line_ships_anew_has_the_newer_one_built_anew() {
        let mut train = release();
        let newer = super::super::rehearsal::Target { line: LineId::mint(1, [2; 10]), ..train.targets[0].clone() };
        train.targets.push(newer);
        let mut known = facts(&train);
        known.targets.push(known.targets[0].clone());
        let Ok(recipe) = &mut known.targets[1].recipe else { panic!("it has one") };
        recipe.forwards.push(Forward { line: train.targets[0].line, message: "Merge".to_owned() });
        let digest = recipe.digest(&[oid("2")]);
        let Rehearsal::Candidate(candidate) = &train.targets[1].rehearsal else { panic!("it was rehearsed") };
        let candidate = Candidate { recipe: digest, ..candidate.clone() };
        assert_eq!(train.sources(1, &known), Some(vec![oid("2")]));
        assert!(train.made_as_now(1, &candidate, &known));
        let Rehearsal::Candidate(older) = &mut train.targets[0].rehearsal else { panic!("it was rehearsed") };
        older.commit = oid("8");
        assert!(!train.made_as_now(1, &candidate, &known));
        train.targets[0].rehearsal = Rehearsal::None;
        assert_eq!(train.sources(1, &known), None);
    }

    #[test]
    fn a_tag_on_another_branch_names_that_branchs_commit() {
        let Rehearsal::Candidate(mut candidate) = release().targets[0].rehearsal.clone() else { panic!("rehearsed") };
        assert_eq!(candidate.tagged(), &oid("2"));
        let moved = |by, new: &str| Moved { branch: "stable".parse().unwrap(), by, old: oid("5"), new: oid(new) };
        candidate.moves = vec![moved(MovedBy::Forward, "6"), moved(MovedBy::Tag, "7")];
        assert_eq!(candidate.tagged(), &oid("7"));
    }
}
