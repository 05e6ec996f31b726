//! Rules a forge applies to a push, asked for while there is time: a trial push is let in, and the real one may be refused after its
//! objects were sent.
//!
//! Guards: only what surely stands against the push is said; what the forge does not tell is not guessed. Patterns of names and
//! messages, and the older branch protection of GitHub, which only administrators may read, are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::repository::{ForgeRepository, encoded};
use super::{Answer, Forge};
use crate::domain::channel::ForgeKind;
use crate::domain::repo::RefName;
use crate::domain::signing::Commits;
use crate::domain::text::shown;

/// Bytes a pattern of names may have.
const LONGEST: usize = 256;
/// Sentences that are told, and rulesets that are asked for. Whoever has more rules than that against a push has enough.
const MOST: usize = 20;
/// Characters of a ruleset's name that are told.
const NAMED: usize = 80;
/// How long a forge may take to tell all of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a push is like, as far as rules look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushShape {
    /// Whether the commits that the server makes are signed: then nobody knows before whether all are, as the forge wants it.
    pub commits: Commits,
    /// The branches it moves; with those that get merges marked.
    pub branches: BTreeMap<RefName, History>,
    /// The tags it makes.
    pub tags: BTreeSet<RefName>,
}

/// What reaches a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Merges among others.
    Merged,
    /// No merge.
    Linear,
}

/// A repository, as far as it is asked about: the same on both forges.
#[derive(Deserialize)]
struct Repository {
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
struct Permissions {
    push: bool,
}

/// A rule that holds on a branch of GitHub, with the ruleset it is from.
#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    ruleset_id: Option<u64>,
}

/// A ruleset of GitHub.
#[derive(Deserialize)]
struct Ruleset {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    enforcement: String,
    #[serde(default)]
    target: String,
    current_user_can_bypass: Option<String>,
    conditions: Option<Conditions>,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Conditions {
    ref_name: Option<Names>,
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

/// A branch of Forgejo.
#[derive(Deserialize)]
struct Branch {
    user_can_push: bool,
}

/// What a ruleset is about, as far as a ref goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Other refs.
    Others,
    /// The ref.
    It,
    /// Nobody knows: a pattern that decides is too long. Told, rather than found out when the push is refused.
    Unread,
}

impl Forge {
    /// Lists what the forge's rules have against a push with this token, a sentence each; nothing where the forge does not say.
    pub async fn rules(&self, repository: &ForgeRepository<'_>, push: &PushShape) -> Vec<String> {
        let told = tokio::time::timeout(PATIENCE, self.all_rules(repository, push));
        let mut against = told.await.unwrap_or_default();
        against.truncate(MOST);
        against
    }

    async fn all_rules(&self, repository: &ForgeRepository<'_>, push: &PushShape) -> Vec<String> {
        if let Some(Repository { permissions: Some(Permissions { push: false }) }) =
            self.told::<Repository>(repository, "").await
        {
            return vec!["its token may not push".to_owned()];
        }
        match repository.forge {
            ForgeKind::GitHub => self.rulesets(repository, push).await,
            ForgeKind::Forgejo => {
                let mut against = Vec::new();
                for name in push.branches.keys() {
                    let path = format!("/branches/{}", encoded(name.short()));
                    if let Some(Branch { user_can_push: false }) = self.told(repository, &path).await {
                        against.push(format!("its token may not push to the protected branch {}", name.short()));
                    }
                }
                against
            }
        }
    }

    async fn rulesets(&self, repository: &ForgeRepository<'_>, push: &PushShape) -> Vec<String> {
        let mut against = Vec::new();
        let mut known: BTreeMap<u64, Option<Ruleset>> = BTreeMap::new();
        for (name, history) in &push.branches {
            let path = format!("/rules/branches/{}?per_page=100", encoded(name.short()));
            let rules: Vec<Rule> = self.told(repository, &path).await.unwrap_or_default();
            for rule in &rules {
                let (Some(words), Some(id)) = (on_branch(&rule.kind, *history, push.commits), rule.ruleset_id) else {
                    continue;
                };
                if known.len() >= MOST || against.len() >= MOST {
                    return against;
                }
                if let std::collections::btree_map::Entry::Vacant(place) = known.entry(id) {
                    place.insert(self.told(repository, &format!("/rulesets/{id}")).await);
                }
                if let Some(Some(ruleset)) = known.get(&id)
                    && !ruleset.lets_us_pass()
                {
                    against.push(format!("the ruleset “{}” {words} on {}", ruleset.shown(), name.short()));
                }
            }
        }
        let listed: Vec<Ruleset> = if push.tags.is_empty() {
            Vec::new()
        } else {
            self.told(repository, "/rulesets?targets=tag&per_page=100").await.unwrap_or_default()
        };
        let active = listed.iter().filter(|it| it.target == "tag" && it.enforcement == "active");
        for Ruleset { id, .. } in active.take(MOST) {
            if against.len() >= MOST {
                break;
            }
            let Some(ruleset) = self.told::<Ruleset>(repository, &format!("/rulesets/{id}")).await else { continue };
            if ruleset.lets_us_pass() {
                continue;
            }
            for name in &push.tags {
                let mut kinds = ruleset.rules.iter().filter_map(|rule| on_tag(&rule.kind, push.commits));
                let (shown, tag) = (ruleset.shown(), name.short());
                match ruleset.is_about(name) {
                    About::Others => {}
                    About::It => {
                        against.extend(kinds.map(|words| format!("the ruleset “{shown}” {words} {tag}")).take(MOST));
                    }
                    About::Unread => against.extend(kinds.next().map(|words| {
                        format!(
                            "the ruleset “{shown}” {words} {tag}, unless one of its patterns, which is too long to be read \
                             here, says otherwise: shorten it, so that this can be known"
                        )
                    })),
                }
            }
        }
        against
    }

    /// Asks for one thing; none where the forge does not say it.
    async fn told<T: DeserializeOwned>(&self, repository: &ForgeRepository<'_>, path: &str) -> Option<T> {
        match self.answer(self.ask(repository, Method::GET, path)).await {
            Answer::Said(StatusCode::OK, body) => serde_json::from_slice(&body).ok(),
            Answer::Said(..) | Answer::Unreached | Answer::Lost => None,
        }
    }
}

impl Ruleset {
    /// Returns its name as far as it is told.
    fn shown(&self) -> String {
        shown(&self.name.chars().take(NAMED).collect::<String>())
    }

    /// Tells whether the token's holder is past its rules; a forge that does not say lets nobody be called refused.
    fn lets_us_pass(&self) -> bool {
        self.current_user_can_bypass.as_deref().is_none_or(|word| matches!(word, "always" | "exempt"))
    }

    /// Tells whether it holds for a ref: its patterns know `~ALL`, `*` within a part of a name, and `**`.
    fn is_about(&self, name: &RefName) -> About {
        let Some(names) = self.conditions.as_ref().and_then(|conditions| conditions.ref_name.as_ref()) else {
            return About::Others;
        };
        let fits = |pattern: &String| pattern == "~ALL" || matches(pattern.as_bytes(), name.as_str().as_bytes());
        let read = |patterns: &[String]| {
            let unread = patterns.len() > LONGEST || patterns.iter().any(|pattern| pattern.len() > LONGEST);
            if patterns.iter().take(LONGEST).any(fits) { Some(true) } else { (!unread).then_some(false) }
        };
        match (read(&names.include), read(&names.exclude)) {
            (Some(false), _) | (_, Some(true)) => About::Others,
            (Some(true), Some(false)) => About::It,
            (None, _) | (_, None) => About::Unread,
        }
    }
}

/// Says what a rule of GitHub has against a push to a branch; none if nothing for sure.
fn on_branch(kind: &str, history: History, commits: Commits) -> Option<&'static str> {
    match (kind, history) {
        ("required_signatures", _) if commits == Commits::Signed => None,
        ("pull_request", _) => Some("takes changes only through pull requests"),
        ("required_status_checks", _) => Some("asks for checks that only run there"),
        ("required_signatures", _) => Some("takes only signed commits"),
        ("required_deployments", _) => Some("asks for a deployment first"),
        ("workflows", _) => Some("asks for workflows that only run there"),
        ("code_scanning", _) => Some("asks for scans that only run there"),
        ("merge_queue", _) => Some("takes changes only through a queue"),
        ("update", _) => Some("takes no changes"),
        ("required_linear_history", History::Merged) => Some("takes no merges"),
        (_, History::Merged | History::Linear) => None,
    }
}

/// Says what a rule of GitHub has against a new tag, before its name; none if nothing for sure.
fn on_tag(kind: &str, commits: Commits) -> Option<&'static str> {
    match kind {
        "required_signatures" if commits == Commits::Signed => None,
        "creation" => Some("lets nobody make the tag"),
        "required_signatures" => Some("asks for a signed commit under the tag"),
        _ => None,
    }
}

/// Matches a name against a pattern of GitHub's rulesets (fnmatch with `*` within a part, `**` over parts), in a time that is
/// bounded by the product of their lengths. A pattern longer than any sensible one is not read, and matches nothing.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if pattern.len() > LONGEST {
        return false;
    }
    // Which beginnings of the name the pattern so far can stand for, by their length.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut rest = pattern;
    while let [first, more @ ..] = rest {
        let mut next = vec![false; name.len() + 1];
        let over = more.strip_prefix(b"*").filter(|_| *first == b'*');
        rest = over.map_or(more, |after| after.strip_prefix(b"/").unwrap_or(after));
        let mut open = false;
        for at in 0..=name.len() {
            match (first, over) {
                // Anything, and any number of whole parts at that.
                (b'*', Some(_)) => {
                    open |= reached[at];
                    next[at] = open;
                }
                (b'*', None) => {
                    open = reached[at] || open && name[at - 1] != b'/';
                    next[at] = open;
                }
                (byte, _) => {
                    next[at] =
                        at > 0 && reached[at - 1] && (name[at - 1] == *byte || *byte == b'?' && name[at - 1] != b'/');
                }
            }
        }
        reached = next;
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_rulesets_have_them() {
        let fits = |pattern: &str, name: &str| matches(pattern.as_bytes(), name.as_bytes());
        assert!(fits("refs/tags/*", "refs/tags/v1.0"));
        assert!(!fits("refs/tags/*", "refs/tags/release/v1.0"));
        assert!(fits("refs/tags/**/*", "refs/tags/release/v1.0") && fits("refs/tags/**/*", "refs/tags/v1.0"));
        assert!(fits("refs/tags/v?.*", "refs/tags/v1.0") && !fits("refs/tags/v?.*", "refs/tags/w1.0"));
        assert!(!fits("refs/tags/v1", "refs/tags/v1.0") && !fits("refs/tags/v1.0", "refs/tags/v1"));
    }

    #[test]
    fn what_too_long_a_pattern_decides_is_told_as_unknown() {
        let about = |include: &[&str], exclude: &[&str]| {
            let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>();
            let names = serde_json::json!({ "include": owned(include), "exclude": owned(exclude) });
            let ruleset = serde_json::json!({ "id": 1, "conditions": { "ref_name": names } });
            let ruleset: Ruleset = serde_json::from_value(ruleset).unwrap();
            ruleset.is_about(&"refs/tags/v1.0".parse().unwrap())
        };
        let long = "refs/tags/".to_owned() + &"v".repeat(LONGEST);
        assert_eq!(about(&["~ALL"], &[]), About::It);
        assert_eq!(about(&["~ALL"], &["refs/tags/v*"]), About::Others);
        assert_eq!(about(&["~ALL"], &[&long]), About::Unread, "it may be excluded, and may not");
        assert_eq!(about(&["~ALL"], &[&long, "refs/tags/v*"]), About::Others);
        assert_eq!(about(&[&long], &[]), About::Unread);
        assert_eq!(about(&[&long, "refs/tags/*"], &[]), About::It);
        assert_eq!(about(&["refs/tags/w*"], &[&long]), About::Others);
    }

    /// Attack: a forge that was taken over answers with patterns that would take for ever, or too deep a stack.
    #[test]
    fn a_hostile_pattern_is_read_in_bounded_time() {
        let name = "refs/tags/v1.0".to_owned() + &"/part".repeat(40);
        for pattern in ["**".repeat(120) + "!", "*a".repeat(120), "**/".repeat(80) + "x", "*".repeat(4_000_000)] {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{} bytes", pattern.len());
        }
        assert!(matches("**".repeat(120).as_bytes(), name.as_bytes()));
    }
}
