//! What an operator writes down about what must not stand in what becomes public, and what is wrong with it in a clause.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::lint::{Lint, LintLevel, LintPolicy, LintRule};

/// Entries of one list.
const ENTRIES: usize = 200;
/// Characters of an entry.
const LONGEST: usize = 100;

/// `[project.lint]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LintConfig {
    /// Words that say what was wrong; each also stands for words that begin with it.
    pub words: Vec<String>,
    /// Ids and words that are no finding.
    pub allowed: Vec<String>,
    /// Hosts nobody outside may learn of, besides this server's.
    pub hosts: Vec<String>,
    /// `off`, `warn` or `refuse` for single rules.
    pub levels: BTreeMap<LintRule, LintLevel>,
}

impl LintConfig {
    /// Returns what is looked for by these lists alone.
    pub(crate) fn policy(&self) -> LintPolicy {
        LintPolicy {
            levels: self.levels.clone(),
            words: self.words.clone(),
            allowed: self.allowed.clone(),
            hosts: self.hosts.clone(),
            ..LintPolicy::default()
        }
    }

    /// Says what is wrong, in a clause.
    pub(super) fn mistake(&self) -> Option<String> {
        for (name, list) in [("words", &self.words), ("allowed", &self.allowed), ("hosts", &self.hosts)] {
            if list.len() > ENTRIES {
                return Some(format!("`lint.{name}` has more than {ENTRIES} entries"));
            }
            let odd = |entry: &&String| entry.trim().is_empty() || entry.chars().count() > LONGEST;
            if let Some(odd) = list.iter().find(odd) {
                return Some(format!(
                    "`lint.{name}` has an entry that is empty or longer than {LONGEST} characters: {odd:?}"
                ));
            }
        }
        Lint::new(&self.policy()).err().map(|malformed| malformed.to_string())
    }
}
