//! One line of the audit chain: who did what to which thing, without a word of what was written.

use sha2::{Digest, Sha256};

use super::actor::Actor;
use super::id::{CaseId, ProjectId, ReleaseId, words};
use super::sealed::Sealed;

words! {
    /// Everything that is recorded. Reading sealed text and git is recorded too.
    EventKind {
        /// The first start of this data folder.
        Founded = "founded",
        /// A person was added.
        PersonAdded = "person.added",
        /// A person's address for notices was set or taken away.
        PersonChanged = "person.changed",
        /// A person was disabled.
        PersonDisabled = "person.disabled",
        /// A one-time sign-in link was made.
        LinkMade = "link.made",
        /// A person signed in.
        SignedIn = "signed.in",
        /// A person signed out.
        SignedOut = "signed.out",
        /// A key was added.
        KeyAdded = "key.added",
        /// A key was removed.
        KeyRemoved = "key.removed",
        /// A token was made.
        TokenMade = "token.made",
        /// A token was revoked.
        TokenRevoked = "token.revoked",
        /// The server started with another key to sign with, or without one.
        SignerChanged = "signer.changed",
        /// A project, its repositories or lines came from the configuration.
        ProjectConfigured = "project.configured",
        /// A person joined a team, changed role in it, or left it.
        TeamChanged = "team.changed",
        /// The mirror moved.
        MirrorMoved = "mirror.moved",
        /// The mirror could not be fetched, or its upstream was rewritten.
        MirrorTroubled = "mirror.troubled",
        /// A report arrived.
        ReportReceived = "report.received",
        /// A claim code was shown.
        ReportClaimed = "report.claimed",
        /// A case changed state.
        CaseMoved = "case.moved",
        /// A case was opened that follows up on another. Of the project: the members of one may not know of the other.
        CasesLinked = "cases.linked",
        /// A case's date was proposed, agreed, rejected or ended.
        DateMoved = "date.moved",
        /// A member was added, changed or removed.
        MemberChanged = "member.changed",
        /// A message was written.
        MessageWritten = "message.written",
        /// An attachment was stored.
        AttachmentStored = "attachment.stored",
        /// An attachment's ciphertext was fetched.
        AttachmentFetched = "attachment.fetched",
        /// A case's private remote was made.
        RemoteMade = "remote.made",
        /// Sealed text was opened.
        SealOpened = "seal.opened",
        /// A clone or fetch was served.
        GitRead = "git.read",
        /// A push was accepted by pre-receive.
        PushIntended = "push.intended",
        /// A push was settled: its refs stand.
        PushSettled = "push.settled",
        /// A push came to nothing.
        PushVoided = "push.voided",
        /// A push was refused.
        PushRefused = "push.refused",
        /// A fix was approved at a commit.
        FixApproved = "fix.approved",
        /// A pushed candidate of a release was approved at a commit.
        CandidateApproved = "candidate.approved",
        /// A person said how a line stands to the flaw of a case.
        LineMarked = "line.marked",
        /// A check run changed state.
        CheckMoved = "check.moved",
        /// The advisory was edited.
        AdvisoryEdited = "advisory.edited",
        /// The advisory's text was approved.
        AdvisoryApproved = "advisory.approved",
        /// A reporter chose how to be credited.
        CreditSettled = "credit.settled",
        /// A release was planned or its plan changed.
        ReleasePlanned = "release.planned",
        /// A release was rehearsed.
        ReleaseRehearsed = "release.rehearsed",
        /// A person signed a tag of a release.
        TagSigned = "tag.signed",
        /// A release was frozen into a manifest.
        ReleaseFrozen = "release.frozen",
        /// A person armed a release.
        ReleaseArmed = "release.armed",
        /// A release was disarmed.
        ReleaseDisarmed = "release.disarmed",
        /// A release's instant was moved.
        ReleasePostponed = "release.postponed",
        /// A person wants a release disclosed now.
        ReleaseHastened = "release.hastened",
        /// A release was given up.
        ReleaseAbandoned = "release.abandoned",
        /// A release's run began.
        ReleaseBegun = "release.begun",
        /// A release passed the point of no return.
        ReleasePublic = "release.public",
        /// An effect of a run was started or settled.
        ReleaseEffect = "release.effect",
        /// A release is held: a person is needed.
        ReleaseHeld = "release.held",
        /// A person resumed a held release.
        ReleaseResumed = "release.resumed",
        /// A release is done.
        ReleaseDone = "release.done",
        /// A wave of a release was set or dropped.
        WavePlanned = "wave.planned",
        /// An audience was told.
        WaveSent = "wave.sent",
        /// An audience was told that the date fell.
        WaveFallen = "wave.fallen",
        /// A member of an audience opened their link.
        WaveOpened = "wave.opened",
        /// A member of an audience acknowledged, or said how an advisory concerns them.
        WaveAnswered = "wave.answered",
        /// A member of an audience was handed text or patches, encrypted to them.
        WaveHandedOut = "wave.handed_out",
        /// Tests that were held back were planned to land, landed, or need a person.
        TestsMoved = "tests.moved",
        /// A hook around the instant of a release was called, undone or passed over.
        HookCalled = "hook.called",
        /// An advisory became public.
        AdvisoryPublished = "advisory.published",
        /// Technical details of a public advisory are held back, for now or from now on to another instant.
        DetailsMoved = "details.moved",
        /// Somebody asked for a change of what is public of an advisory.
        AmendmentAsked = "amendment.asked",
        /// What was asked for was taken back.
        AmendmentDropped = "amendment.dropped",
        /// What is public of an advisory was changed.
        AdvisoryRevised = "advisory.revised",
        /// A channel was told of a revision, did not take it, or is to be told again.
        RevisionRetold = "revision.retold",
        /// A reporter said whether their own words may be shown.
        RecordAnswered = "record.answered",
        /// Lines of a case were chosen for its public record.
        RecordChosen = "record.chosen",
        /// The record of a case became public.
        RecordPublished = "record.published",
        /// A mail was handed to the server, or given up.
        MailSettled = "mail.settled",
    }
}

/// Something that happened, before it has a number and a hash.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The project it concerns.
    pub project: Option<ProjectId>,
    /// The case it concerns.
    pub case: Option<CaseId>,
    /// The release it concerns.
    pub release: Option<ReleaseId>,
    /// The thing it happened to, by id, and the states it went between: words and ids only, never text of a case.
    pub object: String,
    /// More, for those who may open the case.
    pub detail: Option<Detail>,
}

/// Text of an event under the case's key, with the salt that keeps its hash from being guessed.
#[derive(Debug, Clone)]
pub struct Detail {
    /// Sixteen random bytes.
    pub salt: [u8; 16],
    /// The text.
    pub sealed: Sealed<EventDetail>,
}

/// What the sealed detail of an event is, once opened: text for members.
pub type EventDetail = String;

impl Event {
    /// Records what happened to the object named by id.
    pub fn new(kind: EventKind, object: impl Into<String>) -> Self {
        Self { kind, project: None, case: None, release: None, object: object.into(), detail: None }
    }

    /// Records a step of a case.
    pub fn of_case(kind: EventKind, case: &CaseId, object: impl Into<String>) -> Self {
        Self { case: Some(case.clone()), ..Self::new(kind, object) }
    }

    /// Records a step of a release.
    pub fn of_release(kind: EventKind, release: &ReleaseId, object: impl Into<String>) -> Self {
        Self { release: Some(release.clone()), ..Self::new(kind, object) }
    }

    /// Records a step of a project.
    pub fn of_project(kind: EventKind, project: &ProjectId, object: impl Into<String>) -> Self {
        Self { project: Some(project.clone()), ..Self::new(kind, object) }
    }
}

/// The plain columns of an event as they stand in its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// Number in the chain, from 1.
    pub seq: i64,
    /// When: milliseconds since 1970 UTC.
    pub at: i64,
    /// `person`, `reporter` or `system`.
    pub actor_kind: String,
    /// Which one.
    pub actor: String,
    /// What happened.
    pub kind: String,
    /// The project, or nothing.
    pub project: String,
    /// The case, or nothing.
    pub case: String,
    /// The release, or nothing.
    pub release: String,
    /// The thing it happened to.
    pub object: String,
}

impl Plain {
    /// Lays an event out as its row will hold it.
    pub fn of(seq: i64, at: i64, actor: &Actor, event: &Event) -> Self {
        let (actor_kind, actor) = actor.recorded();
        let plain = |id: Option<String>| id.unwrap_or_default();
        Self {
            seq,
            at,
            actor_kind: actor_kind.to_owned(),
            actor,
            kind: event.kind.to_string(),
            project: plain(event.project.as_ref().map(ToString::to_string)),
            case: plain(event.case.as_ref().map(ToString::to_string)),
            release: plain(event.release.as_ref().map(ToString::to_string)),
            object: event.object.clone(),
        }
    }

    /// Returns the bytes that the event's hash covers: version word, then each column, each preceded by its length.
    pub fn canonical(&self) -> Vec<u8> {
        canonical_fields(&[
            "embargo-event-1",
            &self.seq.to_string(),
            &self.at.to_string(),
            &self.actor_kind,
            &self.actor,
            &self.kind,
            &self.project,
            &self.case,
            &self.release,
            &self.object,
        ])
    }
}

/// Joins fields into bytes that no other list of fields has.
pub fn canonical_fields(fields: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
        bytes.extend_from_slice(field.as_bytes());
    }
    bytes
}

/// Hashes the salted, sealed detail of an event; thirty-two zero bytes when there is none.
pub fn detail_hash(detail: Option<&Detail>) -> [u8; 32] {
    detail.map_or([0; 32], |detail| {
        Sha256::new().chain_update(detail.salt).chain_update(detail.sealed.envelope()).finalize().into()
    })
}

/// Links an event to its predecessor: SHA-256 over the previous hash, the canonical bytes and the detail's hash.
pub fn chain_hash(previous: &[u8; 32], canonical: &[u8], detail_hash: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(previous).chain_update(canonical).chain_update(detail_hash).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_fields_changes_the_hash() {
        assert_ne!(canonical_fields(&["ab", "c"]), canonical_fields(&["a", "bc"]));
    }

    #[test]
    fn shredding_a_detail_keeps_the_chain() {
        let detail = Detail { salt: [3; 16], sealed: Sealed::from_envelope(vec![1, 2, 3]) };
        let kept = detail_hash(Some(&detail));
        assert_ne!(kept, detail_hash(None));
        assert_eq!(chain_hash(&[0; 32], b"x", &kept), chain_hash(&[0; 32], b"x", &detail_hash(Some(&detail))));
    }
}
