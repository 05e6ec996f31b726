//! What is different on single lines of a public repository: how fixes reach them, and which branches move with them.
//!
//! Guards: every branch moves for one reason, and nothing is merged in a circle.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::project::RepositoryConfig;
use crate::domain::project::TagStyle;
use crate::domain::recipe::Strategy;
use crate::domain::repo::LineName;
use crate::domain::template::{OfPath, Template};

/// What is different on one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineConfig {
    /// The branch; one of `lines`.
    pub name: LineName,
    /// How fixes are put onto it; otherwise as the repository has it.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// How its releases are tagged; otherwise as the repository has it.
    #[serde(default)]
    pub tags: Option<TagStyle>,
    /// The path of a new file with release notes, committed on top of the fixes.
    #[serde(default)]
    pub changelog: Option<Template<OfPath>>,
    /// A script that sets the version, run in the sandbox; its changes are committed last.
    #[serde(default)]
    pub version_command: Option<String>,
    /// Other branches that move to the same commit when it is released.
    #[serde(default)]
    pub advances: Vec<LineName>,
    /// Other lines of the repository that get what it ships, by a merge in the same push.
    #[serde(default)]
    pub forward: Vec<LineName>,
    /// The branch its tags stand on: what it ships is merged into that branch.
    #[serde(default)]
    pub tag_on: Option<LineName>,
}

impl RepositoryConfig {
    /// Returns how fixes are put onto a line and how it is tagged, unless a plan says otherwise.
    pub fn manner(&self, line: &LineName) -> (Strategy, TagStyle) {
        let other = self.exception(line);
        (
            other.and_then(|line| line.strategy).unwrap_or(self.strategy),
            other.and_then(|line| line.tags).unwrap_or(self.tags),
        )
    }

    /// Returns where the release notes of a line are added, if they are.
    pub fn changelog(&self, line: &LineName) -> Option<&Template<OfPath>> {
        self.exception(line)?.changelog.as_ref()
    }

    /// Returns the script that sets the version of a line, if there is one.
    pub fn version_command(&self, line: &LineName) -> Option<&str> {
        self.exception(line)?.version_command.as_deref()
    }

    /// Returns the branches that move with a line.
    pub fn advances(&self, line: &LineName) -> &[LineName] {
        self.exception(line).map(|line| line.advances.as_slice()).unwrap_or_default()
    }

    /// Returns the lines that get what a line ships.
    pub fn forward(&self, line: &LineName) -> &[LineName] {
        self.exception(line).map(|line| line.forward.as_slice()).unwrap_or_default()
    }

    /// Returns the branch that the tags of a line stand on, where that is not the line.
    pub fn tag_on(&self, line: &LineName) -> Option<&LineName> {
        self.exception(line)?.tag_on.as_ref()
    }

    fn exception(&self, line: &LineName) -> Option<&LineConfig> {
        self.exceptions.iter().find(|other| &other.name == line)
    }
}

/// Says what is wrong, as the end of a sentence that begins with the repository.
pub(super) fn check(lines: &[LineName], exceptions: &[LineConfig]) -> Result<(), String> {
    let mut named = BTreeSet::new();
    let mut moved = BTreeSet::new();
    for LineConfig { name, advances, forward, tag_on, .. } in exceptions {
        if !lines.contains(name) || !named.insert(name) {
            return Err(format!("describes the line {name} twice, or a line that is not in `lines`."));
        }
        for branch in advances {
            if lines.contains(branch) || !moved.insert(branch) {
                return Err(format!(
                    "lets {branch} move with {name}: a branch moves with one line, and is none of `lines`."
                ));
            }
        }
        if let Some(branch) = tag_on
            && (lines.contains(branch) || !moved.insert(branch))
        {
            return Err(format!(
                "puts the tags of {name} on {branch}: that is a branch of its own, none of `lines`, and of one line."
            ));
        }
        let mut gets = BTreeSet::new();
        for other in forward {
            if !lines.contains(other) || other == name || !gets.insert(other) {
                return Err(format!("merges {name} forward into {other}: name another of `lines`, and each once."));
            }
        }
    }
    for name in lines {
        if let Some(back) = comes_back(name, exceptions) {
            return Err(format!(
                "merges {name} forward into {back}, from where it comes back: leave one of the two out."
            ));
        }
    }
    Ok(())
}

/// Finds the line by which what a line ships would come back to it.
fn comes_back<'a>(name: &LineName, exceptions: &'a [LineConfig]) -> Option<&'a LineName> {
    let forward = |line: &LineName| {
        exceptions.iter().find(|other| &other.name == line).map(|line| line.forward.as_slice()).unwrap_or_default()
    };
    let mut reached: Vec<&'a LineName> = forward(name).iter().collect();
    let mut at = 0;
    while let Some(line) = reached.get(at).copied() {
        at += 1;
        if forward(line).contains(name) {
            return Some(line);
        }
        reached.extend(forward(line).iter().filter(|next| !reached.contains(next)).collect::<Vec<_>>());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn repository(lines: &str, more: &str) -> Result<RepositoryConfig, String> {
        let config = Config::parse(&format!(
            "[[project]]\nid = 'sample'\nprefix = 'SAMPLE'\nname = 'Sample'\n[[project.repository]]\nname = 'sample'\n\
             url = 'https://git.example.org/sample.git'\nlines = [{lines}]\nstrategy = 'rebase'\n\
             [[project.repository.line]]\n{more}\n"
        ))?;
        Ok(config.projects[0].repositories[0].clone())
    }

    #[test]
    fn a_line_may_differ_from_its_repository_and_move_other_branches() {
        let line = |more: &str| {
            let repository = repository("'main'", more)?;
            let main = "main".parse().unwrap();
            Ok::<_, String>((repository.manner(&main), repository.advances(&main).len()))
        };
        let lightweight = (Strategy::Squash, TagStyle::Lightweight);
        let said = "name = 'main'\nstrategy = 'squash'\ntags = 'lightweight'\nadvances = ['stable']";
        assert_eq!(line(said), Ok((lightweight, 1)));
        assert_eq!(line("name = 'main'"), Ok(((Strategy::Rebase, TagStyle::Annotated), 0)));
        assert!(line("name = '2.x'").unwrap_err().contains("not in `lines`"));
        assert!(line("name = 'main'\nadvances = ['main']").unwrap_err().contains("none of `lines`"));
    }

    #[test]
    fn a_branch_moves_for_one_reason() {
        let wrong = |more: &str| repository("'main', '1.x'", more).map(|_| ()).unwrap_err();
        assert!(repository("'main', '1.x'", "name = '1.x'\nforward = ['main']\ntag_on = 'stable'").is_ok());
        let other = "[[project.repository.line]]\nname = 'main'";
        for more in [
            "name = '1.x'\ntag_on = 'main'".to_owned(),
            "name = '1.x'\ntag_on = 'stable'\nadvances = ['stable']".to_owned(),
            format!("name = '1.x'\ntag_on = 'stable'\n{other}\ntag_on = 'stable'"),
        ] {
            let said = wrong(&more);
            assert!(said.contains("a branch of its own, none of `lines`, and of one line"), "{more}: {said}");
        }
    }

    #[test]
    fn what_is_merged_forward_goes_to_known_lines_and_never_comes_back() {
        let wrong = |more: &str| repository("'main', '2.x', '1.x'", more).map(|_| ()).unwrap_err();
        for unknown in ["['next']", "['1.x']", "['main', 'main']"] {
            let said = wrong(&format!("name = '1.x'\nforward = {unknown}"));
            assert!(said.contains("1.x forward into") && said.contains("name another of `lines`"), "{said}");
        }
        let line =
            |name: &str, into: &str| format!("[[project.repository.line]]\nname = '{name}'\nforward = ['{into}']\n");
        let circle = format!("name = '1.x'\nforward = ['2.x']\n{}{}", line("2.x", "main"), line("main", "1.x"));
        assert!(wrong(&circle).contains("it comes back: leave one of the two out"), "{}", wrong(&circle));
        let chain = format!("name = '1.x'\nforward = ['2.x', 'main']\n{}", line("2.x", "main"));
        assert!(repository("'main', '2.x', '1.x'", &chain).is_ok());
    }
}
