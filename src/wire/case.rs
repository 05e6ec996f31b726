//! A case as the API shows it to its members.

use serde::{Deserialize, Serialize};

use super::follow_up::LinkView;
use crate::domain::access::Role;
use crate::domain::case::Verdict;
use crate::domain::fix::FixKind;
use crate::domain::mark::Standing;
use crate::domain::record::Part;
use crate::domain::repo::{CommitId, LineName, RepoName};
use crate::domain::text::{Body, Handle};

/// A case in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseSummary {
    /// Its id.
    pub id: String,
    /// The project's short name.
    pub project: String,
    /// What members call it.
    pub title: String,
    /// Its state.
    pub state: String,
    /// The asker's role in it.
    pub role: String,
    /// The agreed date, RFC 3339.
    pub date: Option<String>,
    /// When it was opened.
    pub opened_at: String,
    /// When it became public.
    pub published_at: Option<String>,
    /// What the asker could do next, most urgent first; empty: nothing waits for them.
    pub needs: Vec<String>,
}

/// A case in full.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseView {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: CaseSummary,
    /// The verdict of a closed case.
    pub verdict: Option<String>,
    /// State of the agreement on the date.
    pub date_state: String,
    /// A proposed date and who proposed it.
    pub date_proposed: Option<(String, String)>,
    /// When a person first answered.
    pub acknowledged_at: Option<String>,
    /// The reports.
    pub reports: Vec<ReportView>,
    /// The thread, as far as the asker may read it.
    pub thread: Vec<MessageView>,
    /// The members.
    pub members: Vec<MemberView>,
    /// The attachments.
    pub attachments: Vec<AttachmentView>,
    /// The fixes; empty for those outside the team side.
    pub fixes: Vec<FixView>,
    /// The releases it is in, newest first; empty for those outside the team side.
    #[serde(default)]
    pub releases: Vec<CaseRelease>,
    /// What may be opened of it, now that it is public.
    #[serde(default)]
    pub opens: Vec<Part>,
    /// The cases it is linked with, of those the asker has a seat in.
    #[serde(default)]
    pub links: Vec<LinkView>,
    /// The private remote, once it is there; an archive, to fetch from alone, once the case is public.
    pub remotes: Vec<RemoteView>,
    /// Whether the case is accepted and its remote still being made.
    pub remote_pending: bool,
    /// What the asker may do, as words of the access table.
    pub allowed: Vec<String>,
    /// What happened, newest first.
    pub history: Vec<EventView>,
}

/// A release, as the members of one of its cases see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CaseRelease {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: String,
    /// The instant, RFC 3339.
    pub due_at: String,
}

/// A report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportView {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Affected versions in the reporter's words.
    pub versions: Option<String>,
    /// What the reporter thinks of its severity.
    pub severity: String,
    /// How the reporter wants to be thanked.
    pub credit: String,
    /// Whether notices reach the reporter.
    pub has_contact: bool,
    /// When it arrived.
    pub received_at: String,
}

/// A message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageView {
    /// `team`, `report` or `all`.
    pub audience: String,
    /// Who wrote it: a name, or "the reporter".
    pub author: String,
    /// The text.
    pub text: String,
    /// When.
    pub written_at: String,
}

/// A member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberView {
    /// Handle; none for a reporter without an account.
    pub handle: Option<String>,
    /// Name, or "reporter".
    pub name: String,
    /// Role.
    pub role: String,
    /// Where they stand towards the terms.
    pub consent: String,
}

/// An attachment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttachmentView {
    /// Its id.
    pub id: String,
    /// The name its sender gave.
    pub name: String,
    /// Bytes of ciphertext.
    pub size: i64,
    /// SHA-256 of the ciphertext, in hexadecimal.
    pub sha256: String,
    /// Whether the plaintext passed through the server's memory.
    pub passed_through_server: bool,
    /// When it was stored.
    pub stored_at: String,
}

/// A fix, or tests that become public later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FixView {
    /// The line.
    pub line: String,
    /// `fix` or `tests`: the branch is this, a slash and the line.
    #[serde(default)]
    pub kind: FixKind,
    /// The repository.
    pub repository: String,
    /// How the line stands to the flaw, once somebody said so.
    pub standing: Option<Standing>,
    /// What was pushed last.
    pub head: Option<String>,
    /// The subject of that commit.
    pub subject: Option<String>,
    /// Who pushed it.
    pub pushed_by: Option<String>,
    /// Who approved the present head.
    pub approved_by: Vec<String>,
    /// Whether it is approved.
    pub approved: bool,
    /// Whether whoever asks may approve the present head and has not.
    #[serde(default)]
    pub may_approve: bool,
    /// State of the checks on the present head: a check word, or `none`.
    pub checks: String,
    /// Why nothing was checked, where nothing was; a sentence.
    #[serde(default)]
    pub checks_note: String,
    /// The newest run on the present head.
    pub run: Option<String>,
    /// Who answered for the present head, whose checks could not run.
    pub waived_by: Option<String>,
    /// Whether the asker may answer for it now.
    #[serde(default)]
    pub may_waive: bool,
}

/// A private remote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoteView {
    /// The repository's name.
    pub name: String,
    /// What `git clone` takes.
    pub url: String,
}

/// A line of the history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventView {
    /// When.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What.
    pub kind: String,
    /// To which thing.
    pub object: String,
}

/// A message to be written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageRequest {
    /// `team`, `reporter` or `all`.
    pub to: MessageTo,
    /// The text.
    pub text: Body,
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageTo {
    /// The team alone.
    Team,
    /// The reporter and the team.
    Reporter,
    /// Every member.
    All,
}

/// Something about the date.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateRequest {
    /// What to do.
    pub act: DateWord,
    /// The proposed end, RFC 3339; only when proposing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<jiff::Timestamp>,
}

/// What can be done about the date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateWord {
    /// Propose an end.
    Propose,
    /// Agree.
    Accept,
    /// Say no.
    Reject,
    /// End the embargo.
    Terminate,
}

/// The end of a case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseRequest {
    /// What it turned out to be.
    pub verdict: Verdict,
}

/// A seat to be given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// To whom.
    pub handle: Handle,
    /// In which part.
    pub role: Role,
}

/// An approval.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The line whose fix is approved.
    pub line: LineName,
    /// The repository, where several have a line of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepoName>,
    /// `tests` to approve the tests that become public later; the fix if it is not said.
    #[serde(default)]
    pub kind: FixKind,
    /// The commit that was looked at.
    pub commit: CommitId,
}

/// A word on how a line stands to the flaw.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkRequest {
    /// The line.
    pub line: LineName,
    /// The repository, where several have a line of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepoName>,
    /// `affected`, `not_affected` or `wont_fix`.
    pub standing: Standing,
}

/// The commit that is thought to have brought the flaw.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntroducedBy {
    /// All forty digits.
    pub introduced: CommitId,
}

/// What the history says of a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SuggestionView {
    /// The line.
    pub line: LineName,
    /// The repository.
    pub repository: RepoName,
    /// How the line stands by now, once somebody said so.
    pub standing: Option<Standing>,
    /// How the history says it stands: `affected` or `not_affected`; none where the line is not in the mirror.
    pub suggested: Option<Standing>,
    /// Why, in a sentence.
    pub why: String,
}

/// A check to be run again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RerunRequest {
    /// The line whose fix is checked.
    pub line: LineName,
}
