//! What blocks a release: kinds of things, and one of them with who can mend it and where.
//!
//! Leaves finding them to [`super::readiness`].

use super::access::Role;
use super::id::{CaseId, words};

words! {
    /// What kind of thing blocks.
    BlockerKind {
        /// The release has no case.
        NoCase = "no_case",
        /// A case is not accepted, or public already.
        CaseState = "case_state",
        /// A case is in another release.
        CaseElsewhere = "case_elsewhere",
        /// The agreed date forbids the instant.
        Date = "date",
        /// A line has no fix.
        FixMissing = "fix_missing",
        /// A line that is affected does not ship.
        LineLeft = "line_left",
        /// Nobody said how a line stands.
        LineUnknown = "line_unknown",
        /// A fix is not approved at its head.
        FixApproval = "fix_approval",
        /// Checks are not green on a fix's head.
        Checks = "checks",
        /// The advisory lacks something.
        Advisory = "advisory",
        /// The advisory's text is not approved as it will be published.
        AdvisoryApproval = "advisory_approval",
        /// What was frozen of the advisory is not what would be published now.
        AdvisoryFrozen = "advisory_frozen",
        /// Somebody was asked how to be credited and has not answered.
        Credits = "credits",
        /// Tests that follow later are not approved or not green, or nobody said when they do.
        Tests = "tests",
        /// No rehearsal yet.
        Rehearsal = "rehearsal",
        /// Fixes do not merge.
        Conflict = "conflict",
        /// A line, a fix or the plan moved since the rehearsal.
        RehearsalStale = "rehearsal_stale",
        /// Checks are not green on what the release would push to a line.
        CandidateChecks = "candidate_checks",
        /// A candidate that a person pushed is not approved at its commit.
        CandidateApproval = "candidate_approval",
        /// The public line is not known.
        Line = "line",
        /// The tag exists.
        TagTaken = "tag_taken",
        /// The instant is over.
        Instant = "instant",
        /// The server's clock jumped.
        Clock = "clock",
        /// An audience that is to be told before the instant was not, or cannot be.
        Wave = "wave",
        /// No key to sign tags with.
        SigningKey = "signing_key",
        /// A tag is not signed by anybody the project allows.
        Unsigned = "unsigned",
        /// No mail server, or none that can be used.
        Mail = "mail",
        /// A public repository refused a trial of the push.
        Access = "access",
        /// Strangers do not take the server's certificate, or will not at the instant.
        Certificate = "certificate",
        /// A forge's rules stand against the push.
        Rules = "rules",
        /// The last dress rehearsal did not end as planned.
        Dress = "dress",
        /// The disk is nearly full.
        Disk = "disk",
    }
}

/// One thing that blocks a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// What kind of thing.
    pub kind: BlockerKind,
    /// What is wrong and what to do.
    pub sentence: String,
    /// The least role that can mend it.
    pub owner: Role,
    /// The page to go to.
    pub link: String,
}

impl BlockerKind {
    /// Tells whether this stops a run at its instant too. What the run finds out by itself, or did before, does not.
    pub fn stops_the_run(self) -> bool {
        match self {
            Self::NoCase
            | Self::CaseState
            | Self::CaseElsewhere
            | Self::Date
            | Self::FixMissing
            | Self::LineLeft
            | Self::LineUnknown
            | Self::FixApproval
            | Self::Checks
            | Self::Advisory
            | Self::AdvisoryApproval
            | Self::AdvisoryFrozen
            | Self::Rehearsal
            | Self::Conflict
            | Self::CandidateChecks
            | Self::CandidateApproval
            | Self::Unsigned
            | Self::Clock => true,
            // A moved fix stops the run; a moved line is found by preflight, on the remote itself.
            Self::RehearsalStale => true,
            Self::Credits
            | Self::Line
            | Self::TagTaken
            | Self::Instant
            | Self::SigningKey
            | Self::Mail
            | Self::Access
            | Self::Dress
            | Self::Certificate
            | Self::Rules
            | Self::Disk => false,
            // What stays private holds nothing.
            Self::Tests => false,
            // Nobody's being told early is worth a late disclosure.
            Self::Wave => false,
        }
    }
}

impl BlockerKind {
    /// Tells whether it comes up by itself while a release is still being planned, so that nobody would look for it: what is
    /// merely left to do is known to whoever plans.
    pub fn comes_unasked(self) -> bool {
        match self {
            Self::Conflict | Self::TagTaken | Self::Access | Self::Rules | Self::Dress => true,
            Self::NoCase
            | Self::CaseState
            | Self::CaseElsewhere
            | Self::Date
            | Self::FixMissing
            | Self::LineLeft
            | Self::LineUnknown
            | Self::FixApproval
            | Self::Checks
            | Self::Advisory
            | Self::AdvisoryApproval
            | Self::AdvisoryFrozen
            | Self::Credits
            | Self::Tests
            | Self::Rehearsal
            | Self::RehearsalStale
            | Self::CandidateChecks
            | Self::CandidateApproval
            | Self::Line
            | Self::Instant
            | Self::Clock
            | Self::Wave
            | Self::SigningKey
            | Self::Unsigned
            | Self::Mail
            | Self::Certificate
            | Self::Disk => false,
        }
    }
}

impl Blocker {
    /// Names something amiss in a case, with the part of its page where it is mended.
    pub(super) fn of_case(case: &CaseId, kind: BlockerKind, sentence: String, owner: Role) -> Self {
        let part = match kind {
            BlockerKind::FixMissing
            | BlockerKind::LineLeft
            | BlockerKind::LineUnknown
            | BlockerKind::FixApproval
            | BlockerKind::Tests
            | BlockerKind::Checks => "#fixes",
            BlockerKind::Advisory | BlockerKind::AdvisoryApproval | BlockerKind::Credits => "/advisory",
            BlockerKind::Date => "#date",
            BlockerKind::CaseState => "#state",
            BlockerKind::NoCase
            | BlockerKind::AdvisoryFrozen
            | BlockerKind::CaseElsewhere
            | BlockerKind::Rehearsal
            | BlockerKind::Conflict
            | BlockerKind::RehearsalStale
            | BlockerKind::CandidateChecks
            | BlockerKind::CandidateApproval
            | BlockerKind::Line
            | BlockerKind::TagTaken
            | BlockerKind::Instant
            | BlockerKind::Clock
            | BlockerKind::Wave
            | BlockerKind::SigningKey
            | BlockerKind::Unsigned
            | BlockerKind::Mail
            | BlockerKind::Access
            | BlockerKind::Dress
            | BlockerKind::Certificate
            | BlockerKind::Rules
            | BlockerKind::Disk => "",
        };
        Self { kind, sentence, owner, link: format!("/cases/{case}{part}") }
    }
}
