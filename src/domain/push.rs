//! The verdict on a push: which refs may move, how, and with what in them.
//!
//! Guards: only `fix/<line>` and `wip/<name>` of a case and `candidate/<line>` of a release move by a push, an approved fix
//! is never rewritten or removed, a candidate holds all that is to be merged, and nothing that could bite a reader later
//! (names, links, sizes) gets in. Leaves the gathering of facts to `git::inspect`, and who may push at all to `domain::access`.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::candidate::Wanted;
use super::id::ReleaseId;
use super::refusal::Refusal;
use super::repo::{CommitId, LineName, RefName, RefUpdate};
use super::text::shown;

/// How many sentences about one push are shown before the rest is only counted.
const SENTENCES: usize = 12;
/// How many hostile entries of one ref are named.
const NAMED: usize = 3;

/// What is known of a repository before a push is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushPolicy {
    /// What may be pushed where.
    pub places: Places,
    /// A release that was frozen with what the fixes of the case hold now, and is not public.
    pub frozen_in: Option<ReleaseId>,
    /// What one push may hold.
    pub limits: PushLimits,
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

/// What was found in a push while it was still in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushFacts {
    /// One entry per ref, in the order they were sent.
    pub refs: Vec<RefFacts>,
    /// What the pack holds.
    pub sent: Sent,
}

/// The objects a push brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Number of objects.
    pub objects: u64,
    /// Bytes of all objects, unpacked.
    pub bytes: u64,
    /// Bytes of the biggest blob, unpacked.
    pub biggest_blob: u64,
    /// False if a limit ended the count.
    pub complete: bool,
}

/// What a ref of a push would become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefFacts {
    /// The change as it was asked for.
    pub update: RefUpdate,
    /// The kind of change.
    pub motion: Motion,
    /// New commits, up to the limit.
    pub new_commits: u32,
    /// Paths the new commits change, up to the limit.
    pub changed: BTreeSet<String>,
    /// Entries that could hurt whoever checks them out.
    pub hostile: Vec<Hostile>,
    /// Commits that it has to contain and does not.
    pub lacks: Vec<CommitId>,
    /// False if a limit ended the look before its end.
    pub complete: bool,
}

/// How a ref moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// The ref is new.
    Created,
    /// The old commit is an ancestor of the new one.
    Forward,
    /// The old commit is not an ancestor of the new one.
    Rewritten,
    /// The ref goes away.
    Deleted,
    /// The new id is a tag, a tree or a blob.
    NotACommit,
}

/// An entry of a tree that a checkout should not meet; the text is the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hostile {
    /// The name holds control, direction-changing or separator characters, is not UTF-8, or means git's own folder.
    Name(String),
    /// A symbolic link that leads out of the tree.
    Link(String),
    /// A submodule: it would be fetched from elsewhere.
    Submodule(String),
}

/// Something the pusher is told although the push is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The fix was approved and moves on: approvals are bound to the commit they were given to.
    ApprovalsFall(LineName),
    /// The fix was rewritten before it was approved.
    Rewritten(LineName),
    /// Workflow files changed; checks use those of the line.
    WorkflowsKept(LineName),
    /// A release was frozen with what the fix held before.
    LeavesRelease(ReleaseId),
    /// A candidate waits for somebody else's approval.
    CandidateWaits(LineName),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApprovalsFall(line) => write!(f, "fix/{line} moves on: it needs approval again."),
            Self::Rewritten(line) => write!(f, "fix/{line} was rewritten."),
            Self::WorkflowsKept(line) => {
                write!(f, "This push changes workflow files: the checks use the ones of {line}.")
            }
            Self::LeavesRelease(release) => {
                write!(
                    f,
                    "{release} was frozen without this push: at its instant it will be held, unless it is reopened, approved and armed anew."
                )
            }
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
        (Place::Fix(_) | Place::Wip | Place::Candidate(_), _) => false,
    };
    let mut refusals = Vec::new();
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
    if let Place::Candidate(wanted) = place {
        refusals.extend(wanted.missing(&facts.lacks));
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut notes = Vec::new();
    let line = match place {
        Place::Fix(line) => line,
        Place::Wip => return Ok(notes),
        Place::Candidate(wanted) => {
            notes.push(Note::CandidateWaits(wanted.line.clone()));
            wanted.line.clone()
        }
    };
    if approved {
        notes.push(Note::ApprovalsFall(line.clone()));
    }
    if facts.motion == Motion::Rewritten && matches!(policy.places, Places::Case { .. }) {
        notes.push(Note::Rewritten(line.clone()));
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
                Places::Case { .. } => "fix/<line> or wip/<name>",
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
    if short.starts_with("wip/") {
        return Ok(Place::Wip);
    }
    Err(Refusal::input(format!(
        "{short} cannot be pushed: push your fix to {}, or try things out in wip/<name>.",
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

fn hostile(short: &str, found: &[Hostile]) -> Vec<Refusal> {
    let sentence = |entry: &Hostile| match entry {
        Hostile::Name(path) => {
            format!(
                "{short} holds the file name \"{}\", which is unsafe on some systems: rename it.",
                shown(&clipped(path))
            )
        }
        Hostile::Link(path) => {
            format!(
                "{short} holds the link \"{}\", which leads out of the tree: make it relative and inside.",
                shown(&clipped(path))
            )
        }
        Hostile::Submodule(path) => {
            format!(
                "{short} adds or moves the submodule \"{}\": a fix may not bring code from elsewhere.",
                shown(&clipped(path))
            )
        }
    };
    found.iter().take(NAMED).map(|entry| Refusal::input(sentence(entry))).collect()
}

fn is_workflow(path: &str) -> bool {
    [".github/workflows/", ".forgejo/workflows/", ".gitea/workflows/"].iter().any(|folder| path.starts_with(folder))
}

fn clipped(text: &str) -> String {
    text.chars().take(120).collect()
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / (1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> PushPolicy {
        let line = |name: &str| name.parse::<LineName>().unwrap();
        let places = Places::Case { lines: vec![line("main"), line("1.11.x")], approved: vec![line("1.11.x")] };
        PushPolicy { places, frozen_in: None, limits: PushLimits::default() }
    }

    fn moved(name: &str, motion: Motion) -> RefFacts {
        let one: CommitId = "1".repeat(40).parse().unwrap();
        RefFacts {
            update: RefUpdate { name: name.to_owned(), old: one.clone(), new: one },
            motion,
            new_commits: 1,
            changed: BTreeSet::new(),
            hostile: Vec::new(),
            lacks: Vec::new(),
            complete: true,
        }
    }

    fn judged(facts: RefFacts) -> Result<Vec<Note>, String> {
        let sent = Sent { complete: true, ..Sent::default() };
        verdict(&policy(), &PushFacts { refs: vec![facts], sent })
            .map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))
    }

    #[test]
    fn only_fix_and_wip_branches_can_be_pushed() {
        use Motion::{Created, Deleted, Forward, NotACommit, Rewritten};
        let table = [
            ("refs/heads/fix/main", Created, None),
            ("refs/heads/fix/main", Forward, None),
            ("refs/heads/fix/main", Rewritten, None),
            ("refs/heads/fix/main", Deleted, None),
            ("refs/heads/fix/1.11.x", Forward, None),
            ("refs/heads/wip/idea", Created, None),
            ("refs/heads/wip/a/b", Rewritten, None),
            ("refs/heads/wip/idea", Deleted, None),
            ("refs/heads/fix/1.11.x", Rewritten, Some("withdraw the approval before")),
            ("refs/heads/fix/1.11.x", Deleted, Some("withdraw the approval first")),
            ("refs/heads/fix/main", NotACommit, Some("must be a commit")),
            ("refs/heads/fix/2.x", Created, Some("push to fix/main or fix/1.11.x, or to wip/<name>")),
            ("refs/heads/main", Forward, Some("push your fix to fix/main (git push origin HEAD:refs/heads/fix/main)")),
            ("refs/heads/1.11.x", Deleted, Some("push your fix to fix/1.11.x")),
            ("refs/heads/feature", Created, Some("try things out in wip/<name>")),
            ("refs/heads/FIX/main", Created, Some("cannot be pushed")),
            ("refs/heads/wip", Created, Some("cannot be pushed")),
            ("refs/heads/tests/main", Created, Some("cannot be pushed")),
            ("refs/heads/candidate/main", Created, Some("cannot be pushed")),
            ("refs/tags/v1", Created, Some("Tags are made by the release")),
            ("refs/notes/commits", Created, Some("cannot be used as a name")),
            ("refs/replace/0000", Created, Some("cannot be used as a name")),
            ("refs/keep/0000", Created, Some("cannot be used as a name")),
            ("refs/heads/wip/", Created, Some("cannot be used as a name")),
            ("refs/heads/wip/-u", Created, Some("cannot be used as a name")),
            ("refs/heads/wip/a\u{1b}[31m", Created, Some("a\\u{1b}[31m")),
            ("refs/heads/refs/heads/main", Created, Some("cannot be used as a name")),
            ("HEAD", Forward, Some("cannot be used as a name")),
        ];
        for (name, motion, refused) in table {
            match (judged(moved(name, motion)), refused) {
                (Ok(_), None) => {}
                (Err(said), Some(part)) => assert!(said.contains(part), "{name} {motion:?}: {said}"),
                (got, wanted) => panic!("{name} {motion:?}: {got:?}, wanted {wanted:?}"),
            }
        }
    }

    /// A release that ships one line, with two fixes on it.
    fn release() -> PushPolicy {
        use crate::domain::candidate::{Held, Part};
        let oid = |digit: &str| Some(digit.repeat(40).parse::<CommitId>().unwrap());
        let fix = |case: &str, digit| Held { part: Part::Fix(case.parse().unwrap()), commit: oid(digit) };
        let holds = vec![Held { part: Part::Line, commit: oid("a") }, fix("DEMO-1", "b"), fix("DEMO-2", "c")];
        let places = Places::Release(vec![Wanted { line: "main".parse().unwrap(), holds }]);
        PushPolicy { places, frozen_in: None, limits: PushLimits::default() }
    }

    fn judged_of_release(facts: RefFacts) -> Result<Vec<Note>, String> {
        let sent = Sent { complete: true, ..Sent::default() };
        verdict(&release(), &PushFacts { refs: vec![facts], sent })
            .map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))
    }

    #[test]
    fn a_release_takes_candidates_of_its_lines_and_nothing_else() {
        use Motion::{Created, Deleted, Forward, NotACommit, Rewritten};
        let table = [
            ("refs/heads/candidate/main", Created, None),
            ("refs/heads/candidate/main", Forward, None),
            ("refs/heads/candidate/main", Rewritten, None),
            ("refs/heads/candidate/main", Deleted, None),
            ("refs/heads/candidate/main", NotACommit, Some("must be a commit")),
            ("refs/heads/candidate/1.x", Created, Some("ships no line 1.x here: push to candidate/main")),
            ("refs/heads/main", Forward, Some("push what the release should ship to candidate/main")),
            ("refs/heads/fix/DEMO-1/main", Forward, Some("follows the fix of its case")),
            ("refs/heads/fix/main", Created, Some("follows the fix of its case")),
            ("refs/heads/wip/idea", Created, Some("cannot be pushed")),
            ("refs/tags/v1", Created, Some("Tags are made by the release")),
            ("refs/keep/0000", Created, Some("cannot be used as a name")),
        ];
        for (name, motion, refused) in table {
            match (judged_of_release(moved(name, motion)), refused) {
                (Ok(_), None) => {}
                (Err(said), Some(part)) => assert!(said.contains(part), "{name} {motion:?}: {said}"),
                (got, wanted) => panic!("{name} {motion:?}: {got:?}, wanted {wanted:?}"),
            }
        }
    }

    #[test]
    fn a_candidate_holds_all_that_is_to_be_merged_or_is_told_what_it_lacks() {
        let policy = release();
        assert_eq!(policy.wanted("refs/heads/candidate/main").len(), 3);
        assert!(policy.wanted("refs/heads/candidate/1.x").is_empty());
        let lacks = |digits: &[&str]| {
            let mut facts = moved("refs/heads/candidate/main", Motion::Created);
            facts.lacks = digits.iter().map(|digit| digit.repeat(40).parse().unwrap()).collect();
            judged_of_release(facts)
        };
        assert_eq!(lacks(&[]), Ok(vec![Note::CandidateWaits("main".parse().unwrap())]));
        let said = lacks(&["a"]).unwrap_err();
        assert!(said.contains("does not hold the public main at aaaaaaaaaaaa: fetch, merge origin/main"), "{said}");
        let said = lacks(&["b", "c"]).unwrap_err();
        assert!(said.contains("origin/fix/DEMO-1/main") && said.contains("origin/fix/DEMO-2/main"), "{said}");
        // A line that is in no mirror has no tip that anything could contain.
        let mut blind = release();
        let Places::Release(wanted) = &mut blind.places else { unreachable!("it is a release") };
        wanted[0].holds[0].commit = None;
        let facts = PushFacts {
            refs: vec![moved("refs/heads/candidate/main", Motion::Created)],
            sent: Sent { complete: true, ..Sent::default() },
        };
        assert!(verdict(&blind, &facts).unwrap_err()[0].to_string().contains("is in no mirror"));
    }

    #[test]
    fn a_fix_that_moves_on_needs_approval_again() {
        let line: LineName = "1.11.x".parse().unwrap();
        assert_eq!(judged(moved("refs/heads/fix/1.11.x", Motion::Forward)), Ok(vec![Note::ApprovalsFall(line)]));
        assert_eq!(judged(moved("refs/heads/fix/main", Motion::Forward)), Ok(Vec::new()));
    }

    #[test]
    fn a_changed_workflow_is_pointed_out() {
        let mut facts = moved("refs/heads/fix/main", Motion::Forward);
        facts.changed.insert(".github/workflows/ci.yml".to_owned());
        assert_eq!(judged(facts), Ok(vec![Note::WorkflowsKept("main".parse().unwrap())]));
    }

    #[test]
    fn entries_that_could_hurt_are_refused_by_name() {
        for (entry, part) in [
            (Hostile::Name("a\u{202e}b".to_owned()), "\"a\\u{202e}b\""),
            (Hostile::Link("etc".to_owned()), "leads out of the tree"),
            (Hostile::Submodule("vendored".to_owned()), "submodule \"vendored\""),
        ] {
            let mut facts = moved("refs/heads/wip/x", Motion::Created);
            facts.hostile.push(entry);
            assert!(judged(facts).unwrap_err().contains(part));
        }
    }

    #[test]
    fn what_could_not_be_looked_through_is_refused() {
        let mut facts = moved("refs/heads/wip/x", Motion::Created);
        facts.complete = false;
        assert!(judged(facts).unwrap_err().contains("squash it"));
        let unseen = PushFacts { refs: vec![moved("refs/heads/wip/x", Motion::Created)], sent: Sent::default() };
        assert!(verdict(&policy(), &unseen).is_err());
        assert!(verdict(&policy(), &PushFacts::default()).is_err());
    }

    #[test]
    fn large_files_and_large_pushes_are_refused() {
        let limits = PushLimits::default();
        let facts = |sent| PushFacts { refs: vec![moved("refs/heads/wip/x", Motion::Created)], sent };
        let fits = Sent { objects: 1, bytes: 1, biggest_blob: limits.blob_bytes, complete: true };
        assert!(verdict(&policy(), &facts(fits)).is_ok());
        assert!(verdict(&policy(), &facts(Sent { biggest_blob: limits.blob_bytes + 1, ..fits })).is_err());
        assert!(verdict(&policy(), &facts(Sent { bytes: limits.total_bytes + 1, ..fits })).is_err());
        assert!(verdict(&policy(), &facts(Sent { objects: limits.objects + 1, ..fits })).is_err());
    }

    #[test]
    fn a_flood_of_refs_gets_one_sentence() {
        let refs = (0..1000).map(|n| moved(&format!("refs/heads/main{n}"), Motion::Created)).collect();
        let refusals =
            verdict(&policy(), &PushFacts { refs, sent: Sent { complete: true, ..Sent::default() } }).unwrap_err();
        assert_eq!(refusals.len(), 1);
        let refs = vec![moved("refs/heads/wip/x", Motion::Created), moved("refs/heads/wip/x", Motion::Created)];
        let twice = verdict(&policy(), &PushFacts { refs, sent: Sent { complete: true, ..Sent::default() } });
        assert!(twice.unwrap_err()[0].to_string().contains("twice"));
    }
}
