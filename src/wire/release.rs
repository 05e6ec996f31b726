//! A release as the API shows it and takes it.

use serde::{Deserialize, Serialize};

use super::details::ReleaseDetailsView;
use super::landing::TestsView;
use super::wave::WaveView;
use crate::domain::audience::Lead;
use crate::domain::digest::Digest;
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::landing::TestsDue;
use crate::domain::project::TagStyle;
use crate::domain::recipe::Strategy;
use crate::domain::repo::{CommitId, LineName, RepoName, TagName};

/// What to plan: `POST /api/v1/releases`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRelease {
    /// The project.
    pub project: ProjectId,
    /// The cases, in the order their fixes are merged.
    pub cases: Vec<CaseId>,
    /// One tag per line.
    pub targets: Vec<PlanTarget>,
    /// The instant, RFC 3339.
    pub due_at: jiff::Timestamp,
    /// How long after it technical details follow, such as `7d`; without it, they are published with the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details_after: Option<Lead>,
    /// When tests that are held back follow: `14d` after the release is public, or `never`. Without it, nobody has said.
    #[serde(default)]
    pub tests_after: Option<TestsDue>,
}

/// One line and its tag.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTarget {
    /// The repository; needed only if several have a line of this name.
    #[serde(default)]
    pub repository: Option<RepoName>,
    /// The line.
    pub line: LineName,
    /// The tag.
    pub tag: TagName,
    /// How fixes are put onto the line; without it, as the configuration has it.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// How the tag looks; without it, as the configuration has it.
    #[serde(default)]
    pub tags: Option<TagStyle>,
}

/// Another way to put fixes onto a line: `POST /api/v1/releases/{id}/set-strategy`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetStrategy {
    /// The repository; needed only if several have a line of this name.
    #[serde(default)]
    pub repository: Option<RepoName>,
    /// The line.
    pub line: LineName,
    /// How.
    pub strategy: Strategy,
}

/// A release that is armed as it was read: `POST /api/v1/releases/{id}/arm`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its digest as it was read, in hexadecimal digits; another one by now is refused.
    pub digest: Digest,
}

/// A new instant: `POST /api/v1/releases/{id}/postpone`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postpone {
    /// The instant, RFC 3339.
    pub due_at: jiff::Timestamp,
}

/// A case to be taken out: `POST /api/v1/releases/{id}/drop`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropCase {
    /// Which.
    pub case: CaseId,
}

/// A step of a channel to be given up: `POST /api/v1/releases/{id}/give-up`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiveUp {
    /// Its place in the journal.
    pub position: u32,
}

/// A release in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseSummary {
    /// Its id.
    pub id: String,
    /// The project.
    pub project: String,
    /// `planned`, `frozen`, `armed`, `running`, `held`, `done` or `abandoned`.
    pub state: String,
    /// The instant, RFC 3339.
    pub due_at: String,
    /// What of it waits for somebody, in sentences.
    #[serde(default)]
    pub needs: Vec<String>,
}

/// A release's page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseView {
    /// Id, project, state and instant.
    #[serde(flatten)]
    pub summary: ReleaseSummary,
    /// The cases, in the order their fixes are merged.
    pub cases: Vec<String>,
    /// What is released where.
    pub targets: Vec<TargetView>,
    /// Where else it is published, by name: as it was frozen, and before that as it would be now.
    #[serde(default)]
    pub channels: Vec<String>,
    /// The packages it waits for, a sentence each: as they were frozen, and before that as they would be now.
    #[serde(default)]
    pub awaits: Vec<String>,
    /// How the push fared that was last tried on each public repository, without sending anything.
    #[serde(default)]
    pub trials: Vec<TrialView>,
    /// How the whole disclosure went when it was performed on copies and stand-ins last.
    #[serde(default)]
    pub dress: Option<DressView>,
    /// Who is told before the instant, when, and how much.
    #[serde(default)]
    pub waves: Vec<WaveView>,
    /// What is done around the instant.
    #[serde(default)]
    pub hooks: Vec<HookView>,
    /// When technical details follow that are held back at first.
    #[serde(default)]
    pub details: Option<ReleaseDetailsView>,
    /// Tests that become public later.
    #[serde(default)]
    pub tests: TestsView,
    /// What still blocks it; empty when nothing does, or when it is past blocking.
    pub blockers: Vec<BlockerView>,
    /// The digest of what was frozen, with the instant.
    pub digest: Option<String>,
    /// Who armed it.
    pub armed_by: Vec<ArmingView>,
    /// How many must.
    pub arms_needed: usize,
    /// What it takes to disclose it now; absent once it runs.
    pub haste: Option<HasteView>,
    /// Seconds it would take to build and check the release anew, from what was measured; none if something never was.
    pub ready_in_seconds: Option<i64>,
    /// Why it is held.
    pub hold: Option<HoldView>,
    /// When the run began, RFC 3339.
    pub begun_at: Option<String>,
    /// The point of no return, RFC 3339.
    pub public_at: Option<String>,
    /// When it was done, RFC 3339.
    pub done_at: Option<String>,
    /// The journal of the run.
    pub effects: Vec<EffectView>,
    /// What the asker may do with it now: verbs of the command line.
    pub allowed: Vec<String>,
}

/// One line of a release.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetView {
    /// The repository.
    pub repository: String,
    /// The line.
    pub line: String,
    /// The tag.
    pub tag: String,
    /// `none`, `trouble` or `clean`.
    pub rehearsal: String,
    /// Why there is no candidate.
    pub trouble: Option<String>,
    /// The public tip the candidate was built on.
    pub base: Option<String>,
    /// The merged commit.
    pub candidate: Option<String>,
    /// The tag's object.
    pub tag_object: Option<String>,
    /// The commit that is tagged: the merged one, unless tags stand on another branch.
    #[serde(default)]
    pub tagged: Option<String>,
    /// When it was rehearsed, RFC 3339.
    pub rehearsed_at: Option<String>,
    /// What speaks for the candidate, if there is one.
    pub standing: Option<CandidateView>,
    /// Why what a person pushed for the line is used no more.
    pub fallen: Option<String>,
    /// How fixes are put onto the line: `merge`, `rebase` or `squash`.
    #[serde(default)]
    pub strategy: String,
    /// How the tag looks: `annotated` or `lightweight`.
    #[serde(default)]
    pub tag_style: String,
    /// Other branches that move to the same commit.
    #[serde(default)]
    pub advances: Vec<String>,
    /// Branches that move in the same push, to commits of their own.
    #[serde(default)]
    pub moves: Vec<MoveView>,
    /// The commits that would become public, newest first; the fifty newest.
    #[serde(default)]
    pub commits: Vec<CommitView>,
    /// What the version command changed, as a patch; cut after 64 KiB.
    #[serde(default)]
    pub version_patch: Option<String>,
    /// The message of the tag.
    #[serde(default)]
    pub tag_message: Option<String>,
    /// Whom the tag's signature is of, where people sign.
    #[serde(default)]
    pub signed_by: Option<String>,
}

/// A branch that moves with a line, to a commit of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MoveView {
    /// The branch.
    pub branch: String,
    /// `tag`: the line's tag stands on it; or `forward`: it gets what the line, and older ones, ship.
    pub by: String,
    /// Where it is in public.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// The commits that would become public on it and on no line, newest first; the fifty newest.
    #[serde(default)]
    pub commits: Vec<CommitView>,
}

/// A commit that would become public.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommitView {
    /// Its id.
    pub id: String,
    /// Who wrote it: name and address.
    pub author: String,
    /// The whole message.
    pub message: String,
}

/// What speaks for a candidate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CandidateView {
    /// `server`, which merged it, or `person`, who pushed it.
    pub maker: String,
    /// `green`, `nothing`, `waived`, `not_run`, `running`, `failed` or `missing`.
    pub checks: String,
    /// Whose checks these are: the `candidate`'s own, those of the `fix` that it is tree for tree, or people's `word`.
    pub checks_by: String,
    /// The run they come from, for those who may see it.
    pub run: Option<String>,
    /// Whether the asker may run the checks again.
    pub may_rerun: bool,
    /// Whether its last commit is what a version command changed.
    #[serde(default)]
    pub bumped: bool,
    /// Who pushed it.
    pub pushed_by: Option<String>,
    /// Who approved it at this commit.
    pub approved_by: Vec<String>,
    /// Whether the asker may approve it.
    pub may_approve: bool,
}

/// An approval: `POST /api/v1/releases/{id}/approve-candidate`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveCandidate {
    /// The repository; needed only if several have a line of this name.
    #[serde(default)]
    pub repository: Option<RepoName>,
    /// The line.
    pub line: LineName,
    /// The commit that was looked at, which must be what was pushed last.
    pub commit: CommitId,
}

/// A candidate to be checked again: `POST /api/v1/releases/{id}/checks`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckCandidate {
    /// The repository; needed only if several have a line of this name.
    #[serde(default)]
    pub repository: Option<RepoName>,
    /// The line.
    pub line: LineName,
}

/// One thing in the way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BlockerView {
    /// A word of the closed list of kinds.
    pub kind: String,
    /// What is wrong and what to do.
    pub sentence: String,
    /// The least role that can mend it.
    pub owner: String,
    /// The page to go to.
    pub link: String,
}

/// One person's arming.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArmingView {
    /// Who.
    pub person: String,
    /// When, RFC 3339.
    pub at: String,
}

/// Disclosing now: who wants it, and what it would mean.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HasteView {
    /// Who said so within the last hour.
    pub asked_by: Vec<ArmingView>,
    /// How many must.
    pub needed: usize,
    /// When enough people had, RFC 3339: from then on it is disclosed.
    pub since: Option<String>,
    /// What is passed over, in sentences; before enough people said so: what would be at this moment.
    pub passes_over: Vec<String>,
    /// What forbids it all the same, in sentences.
    pub blocked_by: Vec<String>,
}

/// A hook around the instant, or a call of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HookView {
    /// Its name.
    pub name: String,
    /// When it runs, from the instant: `-2h`, `+15m`; none for a call that undoes another.
    pub at: Option<String>,
    /// The hook that this call undoes.
    pub undoes: Option<String>,
    /// The hook that would undo it.
    pub undone_by: Option<String>,
    /// `ahead`, `started`, `pending` (tried, surely without effect), `done`, `unknown`, `passed_over` or `undone`.
    pub state: String,
    /// What happened.
    pub note: String,
    /// When it is called or was, RFC 3339.
    pub when: String,
}

/// Why a release is held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HoldView {
    /// A word of the closed list of reasons.
    pub reason: String,
    /// What happened.
    pub note: String,
    /// What to do.
    pub advice: String,
    /// Whether trying again is safe and may be enough.
    pub safe_to_retry: bool,
    /// The commands a person would type, in their order; those of git on the server, as its user.
    #[serde(default)]
    pub commands: Vec<String>,
}

/// One effect of the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EffectView {
    /// Its place.
    pub position: u32,
    /// The phase.
    pub phase: String,
    /// What it acts on, in words.
    pub target: String,
    /// `pending`, `started`, `done`, `unknown`, `failed` or `given_up`; of a mail, whether the mail server has it.
    pub state: String,
    /// Tries so far.
    pub attempts: u32,
    /// What happened.
    pub note: String,
    /// When it was begun, RFC 3339.
    pub started_at: Option<String>,
    /// When it was done, RFC 3339.
    pub done_at: Option<String>,
    /// Milliseconds from the end of the last push it waited for until it was done.
    #[serde(default)]
    pub after_push_ms: Option<i64>,
    /// Whether the asker may give it up.
    #[serde(default)]
    pub may_give_up: bool,
}

/// A push that was tried on a public repository without sending anything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TrialView {
    /// The repository.
    pub repository: String,
    /// `fine`, `refused` or `silent`.
    pub outcome: String,
    /// When.
    pub tried_at: String,
}

impl TrialView {
    /// Says how it ended, as the end of a sentence.
    pub fn words(&self) -> &'static str {
        match self.outcome.as_str() {
            "fine" => "would be let in",
            "refused" => "was refused",
            _ => "could not be told: it did not answer, or its lines moved",
        }
    }
}

/// How a disclosure went that was performed on copies of the public repositories and stand-ins of its channels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DressView {
    /// `fine`, `trouble` or `waiting`.
    pub outcome: String,
    /// What went wrong, or what it waits for.
    pub note: String,
    /// How many steps were performed.
    pub steps: u32,
    /// How long they took together.
    pub milliseconds: u64,
    /// When, RFC 3339.
    pub tried_at: String,
}

impl DressView {
    /// Says how it went, in a sentence.
    pub fn words(&self) -> String {
        let Self { note, steps, .. } = self;
        match self.outcome.as_str() {
            "fine" => format!(
                "Performed on copies, the whole disclosure took {steps} steps and {}.{} s, and ended as planned",
                self.milliseconds / 1000,
                self.milliseconds % 1000 / 100
            ),
            "trouble" => format!("Performed on copies, the disclosure did not go as planned: {note}"),
            _ => format!("The disclosure cannot be performed on copies yet: {note}"),
        }
    }
}
