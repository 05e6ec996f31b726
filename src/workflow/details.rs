//! Technical details that are held back: frozen with a release, moved by those who may arm, published at their own instant.
//!
//! Guards: what is put up is, byte for byte, what was approved, on the revision it was approved with, and not before its instant by a
//! clock that can be trusted. The revision, what channels are told and the mails stand in one write, so that a crash repeats nothing.
//! Leaves what may follow what to `domain::details`.

use jiff::SignedDuration;

use super::amendment::{self, still_publishes, tell};
use super::readiness::open_release;
use super::rendering::{Later, Rendered};
use super::{Error, Result, open, shown_at};
use crate::app::{App, Unsealing};
use crate::domain::access::{Action, Grant, Grants};
use crate::domain::actor::{Actor, Chore};
use crate::domain::details::{DetailsState, Due, Held, Move};
use crate::domain::id::{CaseId, ReleaseId};
use crate::domain::job::Job;
use crate::domain::manifest::FrozenAdvisory;
use crate::domain::refusal::Refusal;
use crate::domain::release::Release;
use crate::domain::revision::{Change, Revision, RevisionKind};
use crate::domain::text::Sentence;
use crate::export::{self, Documents, Published};
use crate::store::details::{Kept, Source};
use crate::store::job::Settled;
use crate::store::publication::DocumentText;
use crate::store::revision::RevisionFile;
use crate::store::{self, Rows, Tx};
use crate::wire::details::{DetailsView, MoveDetails, ReleaseDetailsView};

const CHORE: Actor = Actor::System(Chore::Disclose);
/// The place of a sealed document that follows.
const BODY: (&str, &str) = ("details_document", "body");
/// The place of what such documents are made of.
const SOURCE: (&str, &str) = ("details", "source");
/// What the public reads as the reason of the revision.
const WHY: &str = "The technical details, which were held back at first so that everybody could update.";
/// How long a release that still publishes, or a clock that jumped, is waited for at a time.
const WAIT: SignedDuration = SignedDuration::from_mins(1);

/// Keeps what a release holds back of one case; nothing, in place of what an earlier freezing kept.
pub(super) async fn freeze(app: &App, tx: &mut Tx, grant: &Grant, of: (&ReleaseId, Option<&Later>)) -> Result<()> {
    let (release, later) = of;
    let kept = match later {
        Some(later) => Some(kept(app, tx, grant, later).await?),
        None => None,
    };
    Ok(store::details::freeze(tx, grant, release, kept.as_ref()).await?)
}

/// Seals what follows.
pub(super) async fn kept(app: &App, tx: &mut Tx, grant: &Grant, later: &Later) -> Result<Kept> {
    let sealing = app.sealing(tx, grant).await?;
    let source: Source = serde_json::to_string(&later.published).map_err(|error| Error::Internal(Box::new(error)))?;
    let listed = super::rendering::listed(&later.documents)?;
    let mut files = Vec::new();
    for (document, file) in listed.into_iter().zip(later.documents.as_slice()) {
        let text = String::from_utf8(file.bytes.clone()).map_err(|error| Error::Internal(Box::new(error)))?;
        let sealed = sealing.seal(BODY, document.path.as_str(), &text)?;
        files.push((document, sealed));
    }
    let source = sealing.seal(SOURCE, &grant.case().to_string(), &source)?;
    Ok(Kept { source, dated_at: later.published.modified_at, files })
}

/// Lets what is held back of an advisory wait for its instant, in the write that publishes the advisory.
pub(super) async fn begin(tx: &mut Tx, grant: &Grant, of: (&ReleaseId, &FrozenAdvisory)) -> Result<()> {
    let (id, advisory) = of;
    let Some(details) = &advisory.details else { return Ok(()) };
    let (release, _) = open_release(tx, &CHORE, id, Action::Maintain).await?;
    let due_at = details.due(release.due_at, tx.now());
    store::details::begin(tx, grant, (&advisory.id, id), &details.documents, due_at).await?;
    let job = Job::Details { case: grant.case().clone() };
    Ok(store::job::queue(tx, &job, due_at).await?)
}

/// Queues what is due.
pub(super) async fn sweep(app: &App) -> Result<()> {
    let mut rows = app.read().await?;
    let now = app.clock.now();
    let due = store::details::due(&mut rows, now).await?;
    drop(rows);
    if due.is_empty() {
        return Ok(());
    }
    let mut tx = app.begin("details.queue").await?;
    for case in due {
        store::job::queue(&mut tx, &Job::Details { case }, now).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Gives what is held back of a case's advisory another time.
pub async fn put_off(app: &App, actor: &Actor, case: &CaseId, wish: &MoveDetails) -> Result<()> {
    let mut tx = app.begin("details.move").await?;
    let grant = open(&mut tx, actor, case, Action::ArmRelease).await?;
    let Some(held) = store::details::of_case(&mut tx, &grant).await? else {
        return Err(Refusal::moment(
            "Nothing is held back of a public advisory here: the plan of its release says whether technical details follow later.",
        )
        .into());
    };
    let to = match wish {
        MoveDetails::Now => Move::Now,
        MoveDetails::At { at } => Move::At(*at),
        MoveDetails::Never => Move::Never,
    };
    let now = tx.now();
    let moved = held.moved(to, now)?;
    store::details::put_off(&mut tx, &grant, moved.due_at).await?;
    if let Some(at) = moved.due_at {
        store::job::queue(&mut tx, &Job::Details { case: case.clone() }, at).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Publishes what is held back of a case's advisory once its instant has come. Safe to repeat.
///
/// What fails is written down and tried again; those who manage releases are called once.
pub async fn run(app: &App, case: &CaseId) -> Result<Settled> {
    match publish(app, case).await {
        // What changed under it is looked at anew.
        Err(Error::Conflict) => Err(Error::Conflict),
        Err(error) => {
            tracing::error!(%case, error = &error as &dyn std::error::Error, "technical details could not be published");
            let mut tx = app.begin("details.failed").await?;
            let grant = open(&mut tx, &CHORE, case, Action::Maintain).await?;
            let Some(held) = store::details::of_case(&mut tx, &grant).await? else { return Ok(Settled::Done) };
            store::details::failed(&mut tx, &grant, "This server could not do its part: see its log.").await?;
            if held.attempts == 0 {
                tell::call(app, &mut tx, &grant).await?;
            }
            app.commit(tx).await?;
            let again = app.clock.now() + Held::pause(held.attempts);
            Ok(Settled::Retry(again, "technical details are tried again".to_owned()))
        }
        settled => settled,
    }
}

async fn publish(app: &App, case: &CaseId) -> Result<Settled> {
    let mut rows = app.read().await?;
    let grant = open(&mut rows, &CHORE, case, Action::Maintain).await?;
    let Some(held) = store::details::of_case(&mut rows, &grant).await? else { return Ok(Settled::Done) };
    let newest = newest(&mut rows, &held).await?;
    let now = app.clock.now();
    match held.due(newest.number, now) {
        Due::Never => return Ok(Settled::Done),
        Due::At(at) => return Ok(Settled::Retry(at, "held back".to_owned())),
        Due::Now => {}
    }
    if app.clock_jumped().is_some() {
        return Ok(Settled::Retry(now + WAIT, "the clock jumped".to_owned()));
    }
    let (release, grants) = open_release(&mut rows, &CHORE, &held.release, Action::Maintain).await?;
    let effects = store::effect::of_release(&mut rows, &grants, &release.id).await?;
    if still_publishes(&release, &effects) {
        // A slow channel would get the older text last.
        return Ok(Settled::Retry(now + WAIT, "its release still publishes".to_owned()));
    }
    drop(rows);
    let mut tx = app.begin("details.publish").await?;
    let grant = open(&mut tx, &CHORE, case, Action::Maintain).await?;
    let still = store::details::of_case(&mut tx, &grant).await?.as_ref() == Some(&held);
    if !still || self::newest(&mut tx, &held).await? != newest {
        return Err(Error::Conflict);
    }
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let (mut rendered, mut files) = opened(&mut tx, &grant, (&held, &unsealing)).await?;
    let another = held.another_date(&newest, now);
    if let Some(at) = another {
        // The approval covers every byte but the instant, as that of a correction does.
        rendered = Rendered::whole(case, Published { modified_at: at, ..rendered.published }).signed(app)?;
        files = amendment::files(&rendered.documents)?;
    }
    let at = another.unwrap_or(held.dated_at);
    let why: Sentence = WHY.parse()?;
    let title = rendered.published.advisory.title.clone();
    let next = newest.next(Change { kind: RevisionKind::Details, at, why, title })?;
    let number = store::revision::revise(&mut tx, &grant, &held.advisory, &next, &files).await?;
    store::details::published(&mut tx, &grant, number).await?;
    tell::channels(app, &mut tx, &grant, (&release.project, RevisionKind::Details, number), &rendered).await?;
    tell::people(app, &mut tx, &grant).await?;
    app.crash.pass("details:publishing");
    app.commit(tx).await?;
    app.crash.pass("details:published");
    tracing::info!(%case, revision = number, "technical details were published");
    Ok(Settled::Done)
}

/// Opens what follows, as channels are told of it and as it is put up.
async fn opened(tx: &mut Tx, grant: &Grant, of: (&Held, &Unsealing)) -> Result<(Rendered, Vec<RevisionFile>)> {
    let (held, unsealing) = of;
    let sealed = store::details::source(tx, grant).await?.ok_or(Error::NotFound)?;
    let source: Source = unsealing.open(SOURCE, &grant.case().to_string(), &sealed)?;
    let published: Published = serde_json::from_str(&source).map_err(|error| Error::Internal(Box::new(error)))?;
    let (mut files, mut documents) = (Vec::new(), Vec::new());
    for (document, body) in texts(tx, grant, unsealing).await? {
        documents.push(export::Document::of(document.path.to_string(), body.clone().into_bytes()));
        files.push(RevisionFile { document, body: body.into_bytes() });
    }
    let (case, id) = (grant.case().clone(), held.advisory.clone());
    Ok((Rendered { case, id, published, documents: Documents::kept(documents), later: None }, files))
}

/// Opens the documents that follow.
pub(super) async fn texts(
    tx: &mut Tx,
    grant: &Grant,
    unsealing: &Unsealing,
) -> Result<Vec<(crate::domain::manifest::Document, DocumentText)>> {
    let mut texts = Vec::new();
    for (document, sealed) in store::details::files(tx, grant).await? {
        let text: DocumentText = unsealing.open(BODY, document.path.as_str(), &sealed)?;
        texts.push((document, text));
    }
    Ok(texts)
}

async fn newest(rows: &mut impl Rows, held: &Held) -> Result<Revision> {
    store::revision::newest(rows, &held.advisory).await?.ok_or(Error::NotFound)
}

/// Shows where the details of a public advisory stand; none if nothing was held back.
pub(super) async fn view(rows: &mut impl Rows, grant: &Grant) -> Result<Option<DetailsView>> {
    let Some(held) = store::details::of_case(rows, grant).await? else { return Ok(None) };
    let newest = newest(rows, &held).await?;
    let public = held.revision.is_some();
    Ok(Some(DetailsView {
        case: grant.case().to_string(),
        state: if public { DetailsState::Published } else { DetailsState::Held },
        follows_at: held.due_at.map(shown_at),
        revision: held.revision,
        in_step: public || held.follows == newest.number,
        attempts: held.attempts,
        note: held.note,
        // That it asks for a fresh sign-in as well is said beside the button.
        may_move: !public && grant.also(Action::ArmRelease),
    }))
}

/// Shows when the details of a release follow; none if nothing is held back.
pub(super) async fn of_release(rows: &mut impl Rows, of: (&Release, &Grants)) -> Result<Option<ReleaseDetailsView>> {
    let (release, grants) = of;
    let Some(after) = release.details_after else { return Ok(None) };
    let mut advisories = Vec::new();
    for grant in grants.each() {
        advisories.extend(view(rows, grant).await?);
    }
    let at = release.due_at.checked_add(after.duration()).unwrap_or(jiff::Timestamp::MAX);
    Ok(Some(ReleaseDetailsView { after: after.to_string(), at: shown_at(at), advisories }))
}
