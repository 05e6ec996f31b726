//! Who may do what in a case. [`admit`] is the only way to a [`Grant`]; without one nothing of a case is read or changed.
//!
//! Not a member: hidden, byte for byte as if the case were missing. A member without the right: refused with a sentence.
//! There is no implicit superuser, and the server's own chores are admitted by a table of their own.

use super::actor::{Actor, Chore, Scope, Via};
use super::id::{CaseId, MemberId, PersonId, ProjectId, ReportId, words};
use super::refusal::Refusal;

words! {
    /// A person's part in a team or a case.
    Role {
        /// Reads by membership, answers, is credited.
        Reporter = "reporter",
        /// Reads one case from an agreed day on.
        Guest = "guest",
        /// Reads who did what, but no text.
        Auditor = "auditor",
        /// Answers reports and decides what they are.
        Triager = "triager",
        /// Also pushes fixes and edits the advisory.
        Fixer = "fixer",
        /// Also approves fixes and advisories.
        Reviewer = "reviewer",
        /// Also plans, arms and stops releases.
        ReleaseManager = "release_manager",
    }
}

words! {
    /// Where a member stands towards the embargo's terms.
    Consent {
        /// No embargo asked of them yet.
        NoEmbargo = "no_embargo",
        /// Asked, not answered.
        Invited = "invited",
        /// Agreed.
        Signatory = "signatory",
        /// The terms changed since they agreed.
        Lapsed = "lapsed",
        /// Said no.
        Declined = "declined",
    }
}

words! {
    /// Something a person may want to do in a case.
    Action {
        /// See the case: state, dates, the thread meant for them.
        ReadCase = "read_case",
        /// See the team-only side: notes, checks, fixes, drafts.
        ReadTeam = "read_team",
        /// See who did what.
        ReadHistory = "read_history",
        /// Write to the reporter, or as the reporter to the team.
        Reply = "reply",
        /// Write a team-only note.
        Note = "note",
        /// Acknowledge, validate, invalidate, defer, close.
        Triage = "triage",
        /// Accept the case, which makes its private remote.
        Accept = "accept",
        /// Propose, agree, reject or end the date.
        Date = "date",
        /// Add and remove members.
        Members = "members",
        /// Clone and fetch.
        Fetch = "fetch",
        /// Say how a line stands to the flaw.
        MarkLines = "mark_lines",
        /// Push fixes.
        Push = "push",
        /// Approve a fix at its commit.
        ApproveFix = "approve_fix",
        /// Edit the advisory.
        EditAdvisory = "edit_advisory",
        /// Approve the advisory's text.
        ApproveAdvisory = "approve_advisory",
        /// Add an attachment.
        PutAttachment = "put_attachment",
        /// Fetch an attachment's ciphertext.
        GetAttachment = "get_attachment",
        /// Choose how to be credited.
        Credit = "credit",
        /// See checks and their logs.
        ReadChecks = "read_checks",
        /// Start and cancel checks.
        RunChecks = "run_checks",
        /// Put the case in a release, rehearse, freeze.
        PlanRelease = "plan_release",
        /// Arm, disarm, postpone a release.
        ArmRelease = "arm_release",
        /// See how the checks of a release's candidates went, and their logs.
        ReadCandidate = "read_candidate",
        /// Start and cancel checks of a candidate.
        CheckCandidate = "check_candidate",
        /// Clone and fetch a release: code of all its cases.
        FetchCandidate = "fetch_candidate",
        /// Push a candidate.
        PushCandidate = "push_candidate",
        /// Approve a pushed candidate at its commit.
        ApproveCandidate = "approve_candidate",
        /// What only the server itself does: settle pushes, make remotes, disclose.
        Maintain = "maintain",
    }
}

/// A person's or reporter's seat in a case, as the database holds it. Made only in `store::member`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The seat.
    pub seat: MemberId,
    /// The case it is in.
    pub case: CaseId,
    /// The project of that case.
    pub project: ProjectId,
    /// Who sits in it.
    pub holder: Holder,
    /// The part they play.
    pub role: Role,
    /// Where they stand towards the terms.
    pub consent: Consent,
}

/// Who sits in a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A person with an account.
    Person(PersonId),
    /// A reporter, known by their report alone.
    Report(ReportId),
}

/// Proof that this actor may do this in this case. Lives no longer than the transaction or read it was made for.
#[derive(Debug)]
pub struct Grant {
    actor: Actor,
    case: CaseId,
    action: Action,
    role: Option<Role>,
    report: Option<ReportId>,
}

impl Grant {
    /// Returns who was admitted.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns the case.
    pub fn case(&self) -> &CaseId {
        &self.case
    }

    /// Returns what was admitted.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Returns the role of the seat; none for the server itself.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// Returns the one report whose thread this grant reaches; none means the whole team side.
    pub fn confined_to_report(&self) -> Option<ReportId> {
        self.report
    }

    /// Tells whether the seat's role has this right too, for buttons that show only what would be allowed.
    pub fn also(&self, action: Action) -> bool {
        match (&self.actor, self.role) {
            (Actor::System(chore), _) => chore_may(*chore, action),
            (Actor::Person { via, .. }, Some(role)) => role_may(role, action) && via_may(via, &self.case, action),
            (Actor::Reporter(_), Some(role)) => role_may(role, action),
            (Actor::Person { .. } | Actor::Reporter(_), None) => false,
        }
    }
}

/// Proof over every case of a release: exists only if each of them admitted the actor.
#[derive(Debug)]
pub struct Grants {
    each: Vec<Grant>,
}

impl Grants {
    /// Joins the grants of all the cases that `cases` names; refuses when one is missing.
    pub fn over(cases: &[CaseId], each: Vec<Grant>) -> Result<Self, Denied> {
        let complete = cases.iter().all(|case| each.iter().any(|grant| grant.case() == case));
        if complete { Ok(Self { each }) } else { Err(Denied::Hidden) }
    }

    /// Returns the grants, one per case.
    pub fn each(&self) -> &[Grant] {
        &self.each
    }
}

/// Why no grant was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Not theirs to know: answered exactly as if it did not exist.
    Hidden,
    /// Known to them, but not allowed.
    Refused(Refusal),
}

/// Admits the actor to the action in the case, or says why not. The only constructor of [`Grant`].
pub fn admit(actor: &Actor, case: &CaseId, membership: Option<&Membership>, action: Action) -> Result<Grant, Denied> {
    if let Actor::System(chore) = actor {
        return if chore_may(*chore, action) {
            Ok(Grant { actor: actor.clone(), case: case.clone(), action, role: None, report: None })
        } else {
            Err(Denied::Hidden)
        };
    }
    let Some(seat) = membership.filter(|seat| &seat.case == case) else { return Err(Denied::Hidden) };
    let report = match (actor, seat.holder) {
        (Actor::Person { id, via }, Holder::Person(holder)) if *id == holder => {
            if !via_reaches(via, case, &seat.project) {
                return Err(Denied::Hidden);
            }
            None
        }
        (Actor::Reporter(report), Holder::Report(holder)) if *report == holder => Some(holder),
        _ => return Err(Denied::Hidden),
    };
    let excluded = match (seat.role, seat.consent) {
        (Role::Guest, consent) => consent != Consent::Signatory,
        // A reporter reads by membership, whatever they think of the date.
        (Role::Reporter, _) => false,
        (_, Consent::Invited | Consent::Declined) => true,
        (_, Consent::NoEmbargo | Consent::Signatory | Consent::Lapsed) => false,
    };
    if excluded {
        return Err(Denied::Hidden);
    }
    if !role_may(seat.role, action) {
        return Err(Denied::Refused(Refusal::person(format!(
            "Your role in this case ({}) does not include this ({}): ask a member who can.",
            seat.role, action
        ))));
    }
    if let Actor::Person { via, .. } = actor {
        if !via_may(via, case, action) {
            return Err(Denied::Refused(Refusal::person(
                "This token's scope does not include this: make one with the scope you need, or sign in.",
            )));
        }
        if action == Action::ArmRelease && !matches!(via, Via::Session { fresh: true }) {
            return Err(Denied::Refused(Refusal::fresh()));
        }
    }
    Ok(Grant { actor: actor.clone(), case: case.clone(), action, role: Some(seat.role), report })
}

/// The table Role x Action.
pub fn role_may(role: Role, action: Action) -> bool {
    match action {
        Action::ReadCase => role != Role::Auditor,
        Action::ReadHistory => role != Role::Guest && role != Role::Reporter,
        Action::Reply | Action::PutAttachment | Action::Date => role == Role::Reporter || role >= Role::Triager,
        Action::Credit => role == Role::Reporter || role >= Role::Fixer,
        Action::Fetch => role == Role::Guest || role >= Role::Fixer,
        Action::ReadTeam | Action::Note | Action::Triage | Action::GetAttachment | Action::ReadChecks => {
            role >= Role::Triager
        }
        Action::Accept | Action::Members | Action::MarkLines => role >= Role::Triager,
        Action::Push | Action::EditAdvisory | Action::RunChecks => role >= Role::Fixer,
        Action::ApproveFix | Action::ApproveAdvisory => role >= Role::Reviewer,
        Action::PlanRelease | Action::ArmRelease => role == Role::ReleaseManager,
        Action::ReadCandidate
        | Action::CheckCandidate
        | Action::FetchCandidate
        | Action::PushCandidate
        | Action::ApproveCandidate => role == Role::ReleaseManager,
        Action::Maintain => false,
    }
}

/// The table Chore x Action.
pub fn chore_may(chore: Chore, action: Action) -> bool {
    match chore {
        Chore::Mirror => false,
        Chore::Remotes | Chore::Settle => matches!(action, Action::Maintain),
        Chore::Checks => matches!(
            action,
            Action::Maintain | Action::ReadChecks | Action::RunChecks | Action::ReadCandidate | Action::CheckCandidate
        ),
        Chore::Disclose => matches!(action, Action::Maintain | Action::ReadTeam | Action::ReadCase),
        Chore::Notify => matches!(action, Action::Maintain | Action::ReadCase),
        Chore::Announce => matches!(action, Action::Maintain),
    }
}

fn via_reaches(via: &Via, case: &CaseId, project: &ProjectId) -> bool {
    match via {
        Via::Session { .. } | Via::Console => true,
        Via::Token(reach) => {
            reach.case.as_ref().is_none_or(|only| only == case)
                && reach.project.as_ref().is_none_or(|only| only == project)
        }
    }
}

fn via_may(via: &Via, case: &CaseId, action: Action) -> bool {
    match via {
        Via::Session { .. } => true,
        // The operator's shell serves accounts, not cases.
        Via::Console => false,
        Via::Token(reach) => {
            let needed = match action {
                Action::Fetch | Action::FetchCandidate => Scope::GitRead,
                Action::Push | Action::PushCandidate => Scope::GitWrite,
                Action::ReadCase
                | Action::ReadTeam
                | Action::ReadHistory
                | Action::ReadChecks
                | Action::ReadCandidate
                | Action::GetAttachment => Scope::ApiRead,
                Action::Reply
                | Action::Note
                | Action::Triage
                | Action::Accept
                | Action::Date
                | Action::Members
                | Action::MarkLines
                | Action::ApproveFix
                | Action::EditAdvisory
                | Action::ApproveAdvisory
                | Action::PutAttachment
                | Action::Credit
                | Action::RunChecks
                | Action::CheckCandidate
                | Action::ApproveCandidate
                | Action::PlanRelease
                | Action::ArmRelease
                | Action::Maintain => Scope::ApiWrite,
            };
            reach.case.as_ref().is_none_or(|only| only == case) && reach.scopes.contains(&needed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;

    fn seat(role: Role, consent: Consent) -> (Actor, CaseId, Membership) {
        let person = PersonId::mint(1, [1; 10]);
        let case: CaseId = "DEMO-1".parse().unwrap();
        let membership = Membership {
            seat: MemberId::mint(1, [2; 10]),
            case: case.clone(),
            project: "demo".parse().unwrap(),
            holder: Holder::Person(person),
            role,
            consent,
        };
        (Actor::Person { id: person, via: Via::Session { fresh: true } }, case, membership)
    }

    #[test]
    fn an_outsider_is_told_nothing() {
        let (actor, case, _) = seat(Role::Triager, Consent::Signatory);
        for action in Action::ALL {
            assert_eq!(admit(&actor, &case, None, *action).unwrap_err(), Denied::Hidden);
        }
    }

    #[test]
    fn a_seat_in_another_case_proves_nothing_here() {
        let (actor, _, membership) = seat(Role::ReleaseManager, Consent::Signatory);
        let other = "DEMO-2".parse().unwrap();
        assert_eq!(admit(&actor, &other, Some(&membership), Action::ReadCase).unwrap_err(), Denied::Hidden);
    }

    #[test]
    fn a_guest_sees_the_case_only_after_agreeing() {
        for consent in Consent::ALL {
            let (actor, case, membership) = seat(Role::Guest, *consent);
            let admitted = admit(&actor, &case, Some(&membership), Action::ReadCase).is_ok();
            assert_eq!(admitted, *consent == Consent::Signatory, "{consent}");
        }
    }

    #[test]
    fn arming_asks_for_a_fresh_sign_in() {
        let (actor, case, membership) = seat(Role::ReleaseManager, Consent::Signatory);
        assert!(admit(&actor, &case, Some(&membership), Action::ArmRelease).is_ok());
        let stale = Actor::Person { id: actor.person().unwrap(), via: Via::Session { fresh: false } };
        let denied = admit(&stale, &case, Some(&membership), Action::ArmRelease).unwrap_err();
        assert_eq!(denied, Denied::Refused(Refusal::fresh()));
    }

    #[test]
    fn the_operators_shell_opens_no_case() {
        let (actor, case, membership) = seat(Role::ReleaseManager, Consent::Signatory);
        let console = Actor::Person { id: actor.person().unwrap(), via: Via::Console };
        for action in Action::ALL {
            assert!(admit(&console, &case, Some(&membership), *action).is_err(), "{action}");
        }
    }

    #[test]
    fn the_role_table_reads_as_written() {
        let mut table = String::new();
        for role in Role::ALL {
            let may: Vec<_> = Action::ALL.iter().filter(|a| role_may(*role, **a)).map(|a| a.as_str()).collect();
            table += &format!("{role}: {}\n", may.join(" "));
        }
        insta::assert_snapshot!(table);
    }
}
