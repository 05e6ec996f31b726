//! Reports: taken from strangers, sealed at once, and followed by whoever holds the claim code.

use std::io;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;

use super::{Error, Result, open, shown_at};
use crate::app::App;
use crate::crypto::attachment;
use crate::crypto::recipient::{AgeRecipient, Recipients};
use crate::crypto::shelf::ShelfError;
use crate::crypto::token::{self, ClaimCode, Kind};
use crate::domain::access::{Action, Consent, Holder, Role};
use crate::domain::actor::{Actor, Chore};
use crate::domain::case::{Case, CaseState};
use crate::domain::change::{Change, Version};
use crate::domain::embargo::{Embargo, EmbargoState, Side};
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{AttachmentId, CaseId, ProjectId, ReportId};
use crate::domain::plain::Link;
use crate::domain::receipt::Salt;
use crate::domain::refusal::Refusal;
use crate::domain::report::{Audience, CreditWish, ReportBody};
use crate::domain::sealed::Secret;
use crate::domain::text::{Body, Label};
use crate::export::feed;
use crate::store;
use crate::store::member::NewSeat;
use crate::store::report::{Attachment, Message, Recognition, Report};
use crate::wire::report::{IntakeView, ReceiptView, ReporterView, StoredView};

/// What arrives as an attachment.
pub enum Upload {
    /// Encrypted by its sender: the server sees ciphertext only.
    Encrypted(BoxStream<'static, io::Result<Bytes>>),
    /// Plain: encrypted while it passes through the server's memory, and said so.
    Plain(BoxStream<'static, io::Result<Bytes>>),
}

/// Tells a reporter to whom attachments are encrypted, and whether reports are taken. Public.
pub async fn intake(app: &App, project: &ProjectId) -> Result<IntakeView> {
    let mut rows = app.read().await?;
    let found = store::project::find(&mut rows, project).await?.ok_or(Error::NotFound)?;
    let recipients = recipients(app, &mut rows, project).await?;
    let refused = recipients.is_none().then(|| NO_RECIPIENTS.to_owned());
    Ok(IntakeView {
        project: found.id.to_string(),
        name: found.name,
        recipients: recipients.map(|recipients| recipients.to_file()).unwrap_or_default(),
        attachment_bytes: app.config.limits.attachment_bytes,
        refused,
    })
}

const NO_RECIPIENTS: &str = "This project cannot take reports yet: nobody of its team has added an age or SSH key for \
    attachments. Please tell the project by the way its website names.";

/// Takes a report: opens a case with its key, seats the team and the reporter, and proposes the project's default date.
pub async fn submit(app: &App, project: &ProjectId, body: &ReportBody) -> Result<(Actor, ReceiptView)> {
    let (claim, feed) = (ClaimCode::mint(), token::mint(Kind::Feed));
    // The slow hash comes first: nothing slow happens while the write is open.
    let recognition = Recognition {
        claim: app.keys.claim_digest(&claim).await.as_bytes().to_vec(),
        feed: token::digest(Kind::Feed, feed.expose())?.as_bytes().to_vec(),
    };
    let mut tx = app.begin("report.submit").await?;
    let found = store::project::find(&mut tx, project).await?.ok_or(Error::NotFound)?;
    if recipients(app, &mut tx, project).await?.is_none() {
        return Err(Refusal::moment(NO_RECIPIENTS).into());
    }
    let now = tx.now();
    let id = store::project::next_case(&mut tx, &found).await?;
    let report: ReportId = app.mint();
    let reporter = Actor::Reporter(report);
    let (sealing, wrapped) = app.new_case_key(&id);
    let case = Case {
        id: id.clone(),
        project: project.clone(),
        title: sealing.seal(("case", "title"), &id.to_string(), &body.title)?,
        state: CaseState::Received,
        verdict: None,
        embargo: Embargo::none(),
        opened_at: now,
        acknowledged_at: None,
        accepted_at: None,
        published_at: None,
        closed_at: None,
        version: Version(0),
    };
    let opened = Event { project: Some(project.clone()), ..Event::of_case(EventKind::CaseMoved, &id, "received") };
    store::case::open(&mut tx, &reporter, &Change::new(case, opened), &wrapped).await?;
    let row = Report {
        id: report,
        case: id.clone(),
        body: sealing.seal(("report", "body"), &report.to_string(), body)?,
        has_contact: body.contact.is_some(),
        salt: Salt::new(token::random()),
        received_at: now,
    };
    store::report::receive(&mut tx, &row, &recognition).await?;
    seat_all(app, &mut tx, &reporter, (&id, report)).await?;
    propose_default(app, &mut tx, project, &reporter, &id).await?;
    super::mail::notify_report(app, &mut tx, &sealing, &row, body.contact.as_ref()).await?;
    super::mail::notify_team(app, &mut tx, &sealing, &id).await?;
    app.commit(tx).await?;
    let (visit, _) = super::account::begin_visit(app, report).await?;
    let receipt = ReceiptView {
        case: id.to_string(),
        claim_code: claim.reveal().expose().to_owned(),
        page: app.url("/r/"),
        feed: app.url(&format!("/r/feed/{}", feed.expose())),
        visit: visit.expose().to_owned(),
    };
    Ok((reporter, receipt))
}

/// Seats every team member and the reporter in a new case. Whoever joins the team later is added by a person.
async fn seat_all(app: &App, tx: &mut store::Tx, by: &Actor, new: (&CaseId, ReportId)) -> Result<()> {
    let (case, report) = new;
    let project = {
        let grant = open(tx, &Actor::System(Chore::Notify), case, Action::Maintain).await?;
        store::case::get(tx, &grant).await?.project
    };
    for teammate in store::member::team(tx, &project).await? {
        let seat = NewSeat {
            id: app.mint(),
            case: case.clone(),
            holder: Holder::Person(teammate.person),
            role: teammate.role,
            // The team accepts the default terms by joining the team.
            consent: Consent::Signatory,
        };
        store::member::seat(tx, by, &seat).await?;
    }
    let seat = NewSeat {
        id: app.mint(),
        case: case.clone(),
        holder: Holder::Report(report),
        role: Role::Reporter,
        consent: Consent::NoEmbargo,
    };
    Ok(store::member::seat(tx, by, &seat).await?)
}

/// The project's default date is the first proposal; the sender's silence accepts it.
async fn propose_default(
    app: &App,
    tx: &mut store::Tx,
    project: &ProjectId,
    reporter: &Actor,
    id: &CaseId,
) -> Result<()> {
    let Some(settings) = app.config.project(project) else { return Ok(()) };
    let days = i64::from(settings.embargo_days);
    if days == 0 {
        return Ok(());
    }
    let end = tx.now() + jiff::SignedDuration::from_hours(24 * days);
    let grant = open(tx, reporter, id, Action::Date).await?;
    let case = store::case::get(tx, &grant).await?;
    let now = tx.now();
    let (proposed, event) = case.embargo.clone().propose(id, end, Side::Team, now)?;
    let case = store::case::save(tx, &grant, Change::new(Case { embargo: proposed, ..case }, event)).await?;
    let (settled, event) = case.embargo.clone().settle(id)?;
    store::case::save(tx, &grant, Change::new(Case { embargo: settled, ..case }, event)).await?;
    Ok(())
}

/// Recognises a reporter by the claim code.
pub async fn claim(app: &App, code: &Secret) -> Result<(Actor, CaseId)> {
    let unknown = || Refusal::input("This claim code is not known here: check it for typing errors.");
    let code: ClaimCode = code.expose().parse().map_err(|_| unknown())?;
    let digest = app.keys.claim_digest(&code).await;
    let mut tx = app.begin("report.claim").await?;
    let Some((report, case)) = store::report::claimed(&mut tx, digest.as_bytes()).await? else {
        return Err(unknown().into());
    };
    let actor = Actor::Reporter(report);
    tx.note(&actor, &Event::of_case(EventKind::ReportClaimed, &case, report.to_string())).await?;
    app.commit(tx).await?;
    Ok((actor, case))
}

/// Finds the case of a reporter who was recognised before.
pub async fn case_of(app: &App, report: ReportId) -> Result<CaseId> {
    let mut rows = app.read().await?;
    store::report::case_of(&mut rows, report).await?.ok_or(Error::NotFound)
}

/// Renders a reporter's secret feed: when there was news, and nothing else.
pub async fn news(app: &App, secret: &str) -> Result<Vec<u8>> {
    let digest = token::digest(Kind::Feed, secret).map_err(|_| Error::NotFound)?;
    let mut rows = app.read().await?;
    let Some((report, case)) = store::report::by_feed(&mut rows, digest.as_bytes()).await? else {
        return Err(Error::NotFound);
    };
    let grant = open(&mut rows, &Actor::Reporter(report), &case, Action::ReadCase).await?;
    let thread = store::report::thread(&mut rows, &grant).await?;
    let found = store::case::get(&mut rows, &grant).await?;
    let mut times: Vec<_> = thread.iter().filter(|m| m.author.is_some()).map(|m| m.written_at).collect();
    times.extend(
        [Some(found.opened_at), found.acknowledged_at, found.accepted_at, found.published_at, found.closed_at]
            .into_iter()
            .flatten(),
    );
    times.sort_unstable();
    times.dedup();
    let base_url: Link = app.config.base_url.as_str().parse()?;
    Ok(feed::news(&base_url, report, found.opened_at, &times))
}

/// Shows the reporter's page.
pub async fn show(app: &App, actor: &Actor, case: &CaseId) -> Result<ReporterView> {
    let mut tx = app.begin("report.show").await?;
    let grant = open(&mut tx, actor, case, Action::ReadCase).await?;
    let Some(report) = grant.confined_to_report() else { return Err(Error::NotFound) };
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let found = store::case::get(&mut tx, &grant).await?;
    let project = store::project::find(&mut tx, &found.project).await?.ok_or(Error::NotFound)?;
    let reports = store::report::of_case(&mut tx, &grant).await?;
    let own = reports.iter().find(|row| row.id == report).ok_or(Error::NotFound)?;
    let body: ReportBody = unsealing.open(("report", "body"), &report.to_string(), &own.body)?;
    let thread = super::case::thread(&mut tx, &grant, &unsealing).await?;
    let attachments = super::case::attachments(&mut tx, &grant, &unsealing).await?;
    let recipients = recipients(app, &mut tx, &found.project).await?;
    let public = store::publication::of_case(&mut tx, case).await?;
    let record = super::record::question(app, &mut tx, &grant, &found).await?;
    let advisory = public.map_or_else(|| "/advisories".to_owned(), |id| format!("/advisories/{id}"));
    app.commit(tx).await?;
    let (state, next) = plain_words(&found);
    let proposed = |side| found.embargo.proposed().filter(|(_, by)| *by == side).map(|(at, _)| shown_at(at));
    Ok(ReporterView {
        case: case.to_string(),
        project: project.name,
        title: body.title.to_string(),
        state: state.to_owned(),
        next: next.to_owned(),
        date: found.embargo.agreed().map(shown_at),
        date_proposed_by_team: proposed(Side::Team),
        date_proposed_by_you: proposed(Side::Reporter),
        thread,
        attachments,
        credit: credit_words(&body.credit),
        advisory: found.published_at.map(|_| app.url(&advisory)),
        recipients: recipients.map(|recipients| recipients.to_file()).unwrap_or_default(),
        receipts: app.keys.tag_signer().is_some(),
        record,
    })
}

/// Writes a message as the reporter, to the team.
pub async fn reply(app: &App, actor: &Actor, case: &CaseId, text: Body) -> Result<()> {
    let mut tx = app.begin("report.reply").await?;
    let grant = open(&mut tx, actor, case, Action::Reply).await?;
    let Some(report) = grant.confined_to_report() else { return Err(Error::NotFound) };
    let sealing = app.sealing(&mut tx, &grant).await?;
    let id: crate::domain::id::MessageId = app.mint();
    let message = Message {
        id,
        audience: Audience::Report(report),
        author: None,
        body: sealing.seal(("message", "body"), &id.to_string(), &text)?,
        written_at: tx.now(),
    };
    store::report::write(&mut tx, &grant, &message).await?;
    super::mail::notify_team(app, &mut tx, &sealing, case).await?;
    Ok(app.commit(tx).await?)
}

/// Changes how the reporter wants to be thanked. What a release has frozen falls with it, as long as nothing is public.
pub async fn credit(app: &App, actor: &Actor, case: &CaseId, wish: CreditWish) -> Result<()> {
    let mut tx = app.begin("report.credit").await?;
    let grant = open(&mut tx, actor, case, Action::Credit).await?;
    let Some(report) = grant.confined_to_report() else { return Err(Error::NotFound) };
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let found = store::case::get(&mut tx, &grant).await?;
    if found.published_at.is_some() {
        return Err(Refusal::moment("The advisory is public: ask the team to correct the credit.").into());
    }
    let reports = store::report::of_case(&mut tx, &grant).await?;
    let own = reports.into_iter().find(|row| row.id == report).ok_or(Error::NotFound)?;
    let row = report.to_string();
    let body: ReportBody = unsealing.open(("report", "body"), &row, &own.body)?;
    if body.credit == wish {
        return Ok(app.commit(tx).await?);
    }
    let body = unsealing.seal(("report", "body"), &row, &ReportBody { credit: wish, ..body })?;
    store::report::rewrite(&mut tx, &grant, &Report { body, ..own }).await?;
    super::release::recall(app, &mut tx, case).await?;
    Ok(app.commit(tx).await?)
}

/// Stores an attachment: ciphertext as it comes, plaintext encrypted while it passes. Nothing plain reaches the disk.
pub async fn attach(app: &App, actor: &Actor, case: &CaseId, name: Label, upload: Upload) -> Result<StoredView> {
    let id: AttachmentId = app.mint();
    // Admitted before the first byte is read, and again before the row is written: the upload may take long.
    let (recipients, free) = {
        let mut rows = app.read().await?;
        let grant = open(&mut rows, actor, case, Action::PutAttachment).await?;
        let found = store::case::get(&mut rows, &grant).await?;
        if found.state == CaseState::Closed {
            return Err(Refusal::moment("This case is closed: open a new report.").into());
        }
        let recipients = recipients(app, &mut rows, &found.project).await?;
        let recipients = recipients.ok_or_else(|| Refusal::moment(NO_RECIPIENTS))?;
        if let Actor::Reporter(report) = actor {
            super::limit::file(app, *report, &found.project)?;
        }
        (recipients, free(app, &mut rows, case).await?)
    };
    let mut room = app.shelf.room(case, free, app.config.limits.attachment_bytes);
    let by_server = matches!(upload, Upload::Plain(_));
    let stored = match upload {
        Upload::Encrypted(cipher) => app.shelf.put(id, &mut room, cipher).await,
        Upload::Plain(plain) => app.shelf.put(id, &mut room, attachment::encrypt_stream(recipients, plain)).await,
    }
    .map_err(refused_upload)?;
    let saved = record(app, actor, case, (id, &name, by_server), &stored).await;
    if saved.is_err() {
        app.shelf.discard(id).await;
    }
    saved?;
    room.keep();
    Ok(StoredView {
        id: id.to_string(),
        size: stored.size,
        sha256: data_encoding::HEXLOWER.encode(stored.sha256.as_bytes()),
        passed_through_server: by_server,
    })
}

async fn record(
    app: &App,
    actor: &Actor,
    case: &CaseId,
    file: (AttachmentId, &Label, bool),
    stored: &crate::crypto::shelf::Stored,
) -> Result<()> {
    let (id, name, by_server) = file;
    let mut tx = app.begin("report.attach").await?;
    let grant = open(&mut tx, actor, case, Action::PutAttachment).await?;
    if stored.size > free(app, &mut tx, case).await? {
        return Err(Refusal::input("The attachments of this case have no room left for this one.").into());
    }
    let sealing = app.sealing(&mut tx, &grant).await?;
    let row = Attachment {
        id,
        case: case.clone(),
        report: grant.confined_to_report(),
        name: sealing.seal(("attachment", "name"), &id.to_string(), name)?,
        size: i64::try_from(stored.size).unwrap_or(i64::MAX),
        sha256: *stored.sha256.as_bytes(),
        recipients: i64::try_from(stored.recipients).unwrap_or(i64::MAX),
        by_server,
        stored_at: tx.now(),
    };
    store::report::attach(&mut tx, &grant, &row).await?;
    Ok(app.commit(tx).await?)
}

/// Opens an attachment's ciphertext for a member, and notes that.
pub async fn fetch(app: &App, actor: &Actor, case: &CaseId, id: AttachmentId) -> Result<(Attachment, tokio::fs::File)> {
    let mut tx = app.begin("attachment.get").await?;
    let grant = open(&mut tx, actor, case, Action::GetAttachment).await?;
    let found = store::report::attachments(&mut tx, &grant).await?;
    let attachment = found.into_iter().find(|attachment| attachment.id == id).ok_or(Error::NotFound)?;
    tx.note(actor, &Event::of_case(EventKind::AttachmentFetched, case, id.to_string())).await?;
    app.commit(tx).await?;
    let file = app.shelf.get(id).await.map_err(|source| Error::Internal(Box::new(source)))?;
    Ok((attachment, file))
}

/// Collects the keys that a project's attachments are encrypted to: its team's own, and the recovery recipient.
/// `None` while no person of the team has one: the recovery key alone is no recipient.
pub(super) async fn recipients(
    app: &App,
    rows: &mut impl store::Rows,
    project: &ProjectId,
) -> Result<Option<Recipients>> {
    let mut keys: Vec<AgeRecipient> = Vec::new();
    for teammate in store::member::team(rows, project).await? {
        if teammate.role >= Role::Triager {
            for key in store::account::keys(rows, teammate.person).await? {
                // An SSH key that signs in but cannot be encrypted to is passed over.
                keys.extend(key.public.parse::<AgeRecipient>().ok());
            }
        }
    }
    if keys.is_empty() {
        return Ok(None);
    }
    keys.extend(app.keys.recovery().iter().cloned());
    Ok(Some(Recipients::new(keys)?))
}

/// Returns how many bytes the stored files of a case leave to others.
async fn free(app: &App, rows: &mut impl store::Rows, case: &CaseId) -> Result<u64> {
    let used = u64::try_from(store::report::attached_bytes(rows, case).await?).unwrap_or(0);
    Ok(app.config.limits.case_bytes.saturating_sub(used))
}

fn refused_upload(error: ShelfError) -> Error {
    match error {
        ShelfError::Refused(_) | ShelfError::TooLong { .. } | ShelfError::Full | ShelfError::CutOff(_) => {
            Refusal::input(error.to_string()).into()
        }
        ShelfError::Disk(_) => Error::Internal(Box::new(error)),
    }
}

fn plain_words(case: &Case) -> (&'static str, &'static str) {
    if case.published_at.is_some() {
        return ("Public.", "The fix is released and the advisory is published. Thank you.");
    }
    match case.state {
        CaseState::Received if case.acknowledged_at.is_none() => {
            ("Received.", "A person of the team will answer within seven days.")
        }
        CaseState::Received => ("Being looked at.", "The team tries to reproduce what you found."),
        CaseState::Invalid => {
            ("Not seen as a vulnerability.", "If you think that is wrong, say why below: the team looks again.")
        }
        CaseState::Valid => ("Confirmed.", "The team decides who fixes it and by when."),
        CaseState::Accepted => match case.embargo.state() {
            EmbargoState::Active | EmbargoState::Revise => {
                ("Being fixed in private.", "It will be public on the date shown, with the fix.")
            }
            EmbargoState::None | EmbargoState::Proposed | EmbargoState::Exited => {
                ("Being fixed in private.", "A date for the release is being agreed.")
            }
        },
        CaseState::Deferred => ("Put off.", "The team has confirmed it and will come back to it."),
        CaseState::Closed => ("Closed.", "Nothing more will happen here unless you write."),
    }
}

pub(super) fn credit_words(wish: &CreditWish) -> String {
    match wish {
        CreditWish::Named { name } => format!("as {name}"),
        CreditWish::Anonymous => "as an anonymous reporter".to_owned(),
        CreditWish::Unnamed => "not at all".to_owned(),
    }
}

/// Turns a body into an upload stream of the kind its media type says.
pub fn upload<S>(media_type: Option<&str>, body: S) -> Upload
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    match media_type {
        Some("application/age" | "application/x-age") => Upload::Encrypted(Box::pin(body)),
        Some(_) | None => Upload::Plain(Box::pin(body)),
    }
}
