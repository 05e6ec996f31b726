//! The verdict on a push: which refs may move, how, and with what in them.
//!
//! Guards: only `fix/<line>`, `tests/<line>` and `wip/<name>` of a case and `candidate/<line>` of a release move by a push, an
//! approved fix is never rewritten or removed, tests stay as they were frozen, a candidate holds all that is to be merged, and
//! nothing that could bite a reader later (names, links, sizes) gets in. Leaves the facts to [`super::quarantine`] and `git::inspect`, and who may
//! push at all to `domain::access`.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::candidate::Wanted;
use super::fix::FixKind;
use super::id::ReleaseId;
use super::lint::{Finding, LintLevel, LintPolicy, LintRule};
use super::quarantine::{Motion, PushFacts, RefFacts, Sent, clipped, hostile};
use super::refusal::Refusal;
use super::repo::{CommitId, LineName, RefName};
use super::text::shown;

/// How many sentences about one push are shown before the rest is only counted.
const SENTENCES: usize = 12;

/// What is known of a repository before a push is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushPolicy {
    /// What may be pushed where.
    pub places: Places,
    /// A release that was frozen with what the fixes of the case hold now, and is not public.
    pub frozen_in: Option<ReleaseId>,
    /// What one push may hold.
    pub limits: PushLimits,
    /// What in it would tell too much.
    pub lint: LintPolicy,
}

/// What a repository takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Places {
    /// A case's: fixes and trials.
    Case {
        /// The public lines of the repository.
        lines: Vec<LineName>,
        /// Lines whose fix is approved: it may grow, but not be rewritten or removed.
        approved: Vec<LineName>,
        /// Lines whose tests are approved: the approval falls when they move.
        tested: Vec<LineName>,
    },
    /// A release's: candidates for the lines that ship.
    Release(Vec<Wanted>),
}

impl PushPolicy {
    /// Returns what a ref has to contain once it is pushed; nothing where anything may be pushed.
    pub fn wanted(&self, name: &str) -> Vec<CommitId> {
        match &self.places {
            Places::Case { .. } => Vec::new(),
            Places::Release(all) => {
                let wanted = all.iter().find(|wanted| wanted.branch().as_str() == name);
                wanted.and_then(Wanted::commits).unwrap_or_default()
            }
        }
    }
}

/// Upper bounds of one push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushLimits {
    /// Refs moved by one push.
    pub refs: usize,
    /// New commits looked through per ref.
    pub commits: u32,
    /// Changed paths looked through per ref.
    pub paths: usize,
    /// Objects sent by one push.
    pub objects: u64,
    /// Bytes of the biggest file, unpacked.
    pub blob_bytes: u64,
    /// Bytes of everything sent, unpacked.
    pub total_bytes: u64,
}

impl Default for PushLimits {
    fn default() -> Self {
        Self {
            refs: 50,
            commits: 2_000,
            paths: 20_000,
            objects: 500_000,
            blob_bytes: 64 * 1024 * 1024,
            total_bytes: 1024 * 1024 * 1024,
        }
    }
}

/// Something the pusher is told although the push is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The fix, or the tests, was approved and moves on: approvals are bound to the commit they were given to.
    ApprovalsFall(FixKind, LineName),
    /// The fix was rewritten before it was approved.
    Rewritten(FixKind, LineName),
    /// Workflow files changed; checks use those of the line.
    WorkflowsKept(LineName),
    /// A release was frozen with what the fix held before.
    LeavesRelease(ReleaseId),
    /// A candidate waits for somebody else's approval.
    CandidateWaits(LineName),
    /// Something tells more than it has to.
    Tells(Finding),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApprovalsFall(kind, line) => write!(f, "{kind}/{line} moves on: it needs approval again."),
            Self::Rewritten(kind, line) => write!(f, "{kind}/{line} was rewritten."),
            Self::WorkflowsKept(line) => {
                write!(f, "This push changes workflow files: the checks use the ones of {line}.")
            }
            Self::LeavesRelease(release) => {
                write!(
                    f,
                    "{release} was frozen without this push: at its instant it will be held, unless it is reopened, approved and armed anew."
                )
            }
            Self::Tells(finding) => write!(f, "Please mend this before it is public: {finding}"),
            Self::CandidateWaits(line) => {
                write!(f, "candidate/{line} is rehearsed now, and waits for the approval of another release manager.")
            }
        }
    }
}

/// Accepts a push with notes, or refuses it with every sentence that stands against it.
pub fn verdict(policy: &PushPolicy, facts: &PushFacts) -> Result<Vec<Note>, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let mut notes = Vec::new();
    if facts.refs.is_empty() {
        refusals.push(Refusal::input("The push moves no ref."));
    }
    if facts.refs.len() > policy.limits.refs {
        let limit = policy.limits.refs;
        refusals.push(Refusal::input(format!("One push moves at most {limit} refs: push in smaller parts.")));
        return Err(refusals);
    }
    refusals.extend(weigh(&policy.limits, facts.sent));
    let mut seen = BTreeSet::new();
    for facts in &facts.refs {
        if !seen.insert(&facts.update.name) {
            refusals.push(Refusal::input(format!("{} is moved twice in one push.", shown(&facts.update.name))));
        }
        match judge(policy, facts) {
            Ok(found) => notes.extend(found),
            Err(found) => refusals.extend(found),
        }
    }
    if refusals.is_empty() {
        return Ok(notes);
    }
    let more = refusals.len().saturating_sub(SENTENCES);
    refusals.truncate(SENTENCES);
    if more > 0 {
        refusals.push(Refusal::input(format!("{more} more reasons are not shown.")));
    }
    Err(refusals)
}

/// The places a push may go.
enum Place<'a> {
    Fix(LineName),
    Tests(LineName),
    Wip,
    Candidate(&'a Wanted),
}

fn weigh(limits: &PushLimits, sent: Sent) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if sent.biggest_blob > limits.blob_bytes {
        refusals.push(Refusal::input(format!(
            "A file in this push is larger than {}: attach large samples to the case instead.",
            mebibytes(limits.blob_bytes)
        )));
    }
    if sent.bytes > limits.total_bytes || sent.objects > limits.objects || !sent.complete {
        refusals.push(Refusal::input(format!(
            "This push holds more than {} objects or {} unpacked: push in smaller parts.",
            limits.objects,
            mebibytes(limits.total_bytes)
        )));
    }
    refusals
}

fn judge(policy: &PushPolicy, facts: &RefFacts) -> Result<Vec<Note>, Vec<Refusal>> {
    let place = place(policy, &facts.update.name).map_err(|refusal| vec![refusal])?;
    let short = facts.update.name.trim_start_matches("refs/heads/");
    let approved = match (&place, &policy.places) {
        (Place::Fix(line), Places::Case { approved, .. }) => approved.contains(line),
        (Place::Fix(_) | Place::Tests(_) | Place::Wip | Place::Candidate(_), _) => false,
    };
    let mut refusals = Vec::new();
    if let (Place::Tests(_), Some(release)) = (&place, &policy.frozen_in) {
        return Err(vec![Refusal::moment(format!(
            "{short} is frozen in {release} as it is: reopen the release before you push, or push to wip/<name>."
        ))]);
    }
    match facts.motion {
        Motion::Created | Motion::Forward => {}
        Motion::NotACommit => {
            return Err(vec![Refusal::input(format!("{short} must be a commit: push the branch itself, not a tag."))]);
        }
        Motion::Deleted if approved => {
            return Err(vec![Refusal::moment(format!("{short} is approved and stays: withdraw the approval first."))]);
        }
        Motion::Deleted => return Ok(Vec::new()),
        Motion::Rewritten if approved => refusals.push(Refusal::moment(format!(
            "{short} is approved and may only grow: add commits on top, or withdraw the approval before you rewrite it."
        ))),
        Motion::Rewritten => {}
    }
    if !facts.complete {
        refusals.push(Refusal::input(format!(
            "{short} brings more than {} commits or {} changed paths: base it on a public line, or squash it.",
            policy.limits.commits, policy.limits.paths
        )));
    }
    refusals.extend(hostile(short, &facts.hostile));
    let mut notes = Vec::new();
    for finding in &facts.findings {
        match (&place, policy.lint.of(finding)) {
            (_, LintLevel::Off) => {}
            // Nothing is refused in a trial, so it would tell, guess by guess, what a reporter's address is.
            (Place::Wip, _) if finding.rule == LintRule::Reporter => {}
            // Tests follow the advisory: they may name it.
            (Place::Tests(_), LintLevel::Refuse) if finding.rule == LintRule::Advisory => {}
            (Place::Fix(_) | Place::Tests(_) | Place::Candidate(_), LintLevel::Refuse) => {
                refusals.push(Refusal::input(finding.to_string()));
            }
            // A trial never becomes public as it is; whoever goes on with it had better know.
            (Place::Wip, LintLevel::Refuse) | (_, LintLevel::Warn) => notes.push(Note::Tells(finding.clone())),
        }
    }
    if let Place::Candidate(wanted) = place {
        refusals.extend(wanted.missing(&facts.lacks));
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let (kind, line) = match place {
        Place::Fix(line) => (FixKind::Fix, line),
        Place::Tests(line) => (FixKind::Tests, line),
        Place::Wip => return Ok(notes),
        Place::Candidate(wanted) => {
            notes.push(Note::CandidateWaits(wanted.line.clone()));
            (FixKind::Fix, wanted.line.clone())
        }
    };
    let falls = match (&policy.places, kind) {
        (Places::Case { tested, .. }, FixKind::Tests) => tested.contains(&line),
        (Places::Case { .. } | Places::Release(_), _) => approved,
    };
    if falls {
        notes.push(Note::ApprovalsFall(kind, line.clone()));
    }
    if facts.motion == Motion::Rewritten && matches!(policy.places, Places::Case { .. }) {
        notes.push(Note::Rewritten(kind, line.clone()));
    }
    if facts.changed.iter().any(|path| is_workflow(path)) {
        notes.push(Note::WorkflowsKept(line));
    }
    notes.extend(policy.frozen_in.clone().map(Note::LeavesRelease));
    Ok(notes)
}

fn place<'a>(policy: &'a PushPolicy, name: &str) -> Result<Place<'a>, Refusal> {
    let Ok(parsed) = name.parse::<RefName>() else {
        return Err(Refusal::input(format!(
            "{} cannot be used as a name here: push to {}, of letters, digits and ._/+-.",
            shown(&clipped(name)),
            match &policy.places {
                Places::Case { .. } => "fix/<line>, tests/<line> or wip/<name>",
                Places::Release(_) => "candidate/<line>",
            }
        )));
    };
    if let Some(tag) = name.strip_prefix("refs/tags/") {
        return Err(Refusal::input(format!("Tags are made by the release: take {tag} out of the push.")));
    }
    match &policy.places {
        Places::Case { lines, .. } => of_case(lines, parsed.short()),
        Places::Release(wanted) => of_release(wanted, parsed.short()),
    }
}

fn of_case<'a>(lines: &[LineName], short: &str) -> Result<Place<'a>, Refusal> {
    let fixes = || each("fix", lines.iter());
    if lines.iter().any(|line| line.as_str() == short) {
        return Err(Refusal::input(format!(
            "{short} is a public line and follows the public repository: push your fix to fix/{short} \
             (git push origin HEAD:refs/heads/fix/{short})."
        )));
    }
    if let Some(rest) = short.strip_prefix("fix/") {
        let known = lines.iter().find(|line| line.as_str() == rest);
        return known
            .cloned()
            .map(Place::Fix)
            .ok_or_else(|| Refusal::input(format!("No line is named {rest}: push to {}, or to wip/<name>.", fixes())));
    }
    if let Some(rest) = short.strip_prefix("tests/") {
        let known = lines.iter().find(|line| line.as_str() == rest);
        let tests = || each("tests", lines.iter());
        return known
            .cloned()
            .map(Place::Tests)
            .ok_or_else(|| Refusal::input(format!("No line is named {rest}: push to {}, or to wip/<name>.", tests())));
    }
    if short.starts_with("wip/") {
        return Ok(Place::Wip);
    }
    Err(Refusal::input(format!(
        "{short} cannot be pushed: push your fix to {}, tests that become public later to tests/<line>, or try things out in wip/<name>.",
        fixes()
    )))
}

fn of_release<'a>(wanted: &'a [Wanted], short: &str) -> Result<Place<'a>, Refusal> {
    let candidates = || each("candidate", wanted.iter().map(|wanted| &wanted.line));
    if let Some(rest) = short.strip_prefix("candidate/") {
        let known = wanted.iter().find(|wanted| wanted.line.as_str() == rest);
        return known.map(Place::Candidate).ok_or_else(|| {
            Refusal::input(format!("The release ships no line {rest} here: push to {}.", candidates()))
        });
    }
    if short.starts_with("fix/") {
        return Err(Refusal::input(format!(
            "{short} follows the fix of its case: push a fix to the remote of the case, and what resolves a conflict to {}.",
            candidates()
        )));
    }
    Err(Refusal::input(format!("{short} cannot be pushed: push what the release should ship to {}.", candidates())))
}

fn each<'a>(kind: &str, lines: impl Iterator<Item = &'a LineName>) -> String {
    let names: Vec<_> = lines.take(6).map(|line| format!("{kind}/{line}")).collect();
    match names.as_slice() {
        [] => format!("{kind}/<line>"),
        [one] => one.clone(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}

fn is_workflow(path: &str) -> bool {
    [".github/workflows/", ".forgejo/workflows/", ".gitea/workflows/"].iter().any(|folder| path.starts_with(folder))
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / (1024 * 1024))
}

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;
