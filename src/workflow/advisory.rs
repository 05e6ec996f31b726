//! The advisory of a case: drafted, edited, previewed, and approved by the hash of what will be published.
//!
//! The hash covers the rendered files, so a release says tags and commits first; whatever changes a byte of them leaves the
//! approval behind. The sealed draft holds what people wrote. Reporters are joined to it by their own wish whenever it is
//! read, so that a changed wish shows at once.

use super::readiness::{DRAFT, Layout, gather, open_release, osv_prefix, read_draft};
use super::rendering::{Later, Rendered};
use super::told::{self, Said};
use super::{Error, Result, amendment, open, shown_at};
use crate::app::{App, Unsealing};
use crate::domain::access::{Action, Grant, Holder};
use crate::domain::actor::{Actor, Chore};
use crate::domain::advisory::{Advisory, AffectedLine, Package};
use crate::domain::case::{Case, CaseState};
use crate::domain::change::Version;
use crate::domain::credit;
use crate::domain::digest::Digest;
use crate::domain::id::{CaseId, PersonId};
use crate::domain::plain::AdvisoryId;
use crate::domain::project::{Line, TeamKind};
use crate::domain::refusal::Refusal;
use crate::domain::report::{CreditWish, ReportBody};
use crate::domain::text::Title;
use crate::domain::told::Lack;
use crate::export::Published;
use crate::store::advisory::Draft;
use crate::store::member::Seat;
use crate::store::{self, Tx};
use crate::wire::advisory::{AdvisoryView, CreditView, DocumentView, EditAdvisory, Format, Stage};
use crate::wire::details::LaterView;
use crate::wire::release::PlanTarget;

pub use super::publication::{atom, file, published};

/// The draft of a case with what belongs to it.
struct Known {
    case: Case,
    unsealing: Unsealing,
    row: Option<Draft>,
    written: Advisory,
    wishes: Vec<CreditWish>,
}

impl Known {
    /// Returns the advisory as it would be published: the draft, and the reporters as they wish.
    fn whole(&self) -> Advisory {
        self.written.clone().with_reporters(&self.wishes)
    }

    fn editor(&self) -> Option<PersonId> {
        self.row.as_ref().and_then(|row| row.edited_by)
    }

    fn changeable(&self) -> Result<(), Refusal> {
        // Once public, an edit changes nothing there until somebody asks for it and another approves.
        if self.case.state == CaseState::Closed && self.case.published_at.is_none() {
            return Err(Refusal::moment("This case is closed: nothing of it will be published."));
        }
        Ok(())
    }
}

/// What would be published.
enum Files {
    /// By the live release of the case, if it is in one; with the hash to approve.
    Draft(Option<Prospect>),
    /// In place of what is public.
    Public(Box<amendment::Shown>),
}

/// A draft as a release would publish it.
struct Prospect {
    digest: Digest,
    documents: Vec<DocumentView>,
    later: Option<LaterView>,
}

/// A draft on its way into an editor.
#[derive(Debug)]
pub struct Editing {
    /// The text and the edit it is.
    pub draft: EditAdvisory,
    /// Who edited it last.
    pub edited_by: Option<String>,
    /// When, RFC 3339.
    pub edited_at: Option<String>,
    /// The lines of the project, as `repository line`.
    pub lines: Vec<String>,
    /// Why it is not edited any more, if it is not.
    pub changeable: Result<(), Refusal>,
}

/// Shows the draft, what it lacks, and the files as they would be published now.
pub async fn show(app: &App, actor: &Actor, case: &CaseId) -> Result<AdvisoryView> {
    let files = if amendment::is_public(app, actor, case).await? {
        Files::Public(Box::new(amendment::show(app, actor, case).await?))
    } else {
        Files::Draft(rendered(app, actor, case).await?)
    };
    let mut tx = app.begin("advisory.show").await?;
    let grant = open(&mut tx, actor, case, Action::ReadTeam).await?;
    let known = know(app, &mut tx, &grant).await?;
    let view = view(app, &mut tx, &grant, (&known, files)).await?;
    app.commit(tx).await?;
    Ok(view)
}

/// Opens the draft for editing.
pub async fn editing(app: &App, actor: &Actor, case: &CaseId) -> Result<Editing> {
    let mut tx = app.begin("advisory.editing").await?;
    let grant = open(&mut tx, actor, case, Action::EditAdvisory).await?;
    let known = know(app, &mut tx, &grant).await?;
    let seats = store::member::of_case(&mut tx, &grant).await?;
    let layout = Layout::of(&mut tx, &known.case.project).await?;
    app.commit(tx).await?;
    let place = |line: &Line| {
        let upstream = layout.upstreams.iter().find(|upstream| upstream.id == line.upstream)?;
        Some(format!("{} {}", upstream.name, line.name))
    };
    Ok(Editing {
        edited_by: known.editor().map(|person| name_of(&seats, person)),
        edited_at: known.row.as_ref().map(|row| shown_at(row.edited_at)),
        lines: layout.lines.iter().filter_map(place).collect(),
        changeable: known.changeable(),
        draft: EditAdvisory { version: known.row.as_ref().map(|row| row.version.0), advisory: known.written },
    })
}

/// Saves the draft. An approval of the earlier text is void.
pub async fn edit(app: &App, actor: &Actor, case: &CaseId, wish: &EditAdvisory) -> Result<()> {
    let mut tx = app.begin("advisory.edit").await?;
    let grant = open(&mut tx, actor, case, Action::EditAdvisory).await?;
    let known = know(app, &mut tx, &grant).await?;
    known.changeable()?;
    wish.advisory.leaves_reporters_out(&known.wishes)?;
    let sealed = known.unsealing.seal(DRAFT, &case.to_string(), &wish.advisory)?;
    store::advisory::edit(&mut tx, &grant, &sealed, wish.version.map(Version)).await?;
    // Title and ids may stand in what a release pushes.
    super::rehearsal::rehearse_open(&mut tx, &known.case.project).await?;
    Ok(app.commit(tx).await?)
}

/// Approves the text by the hash of what was read; anything else by now is a refusal.
pub async fn approve(app: &App, actor: &Actor, case: &CaseId, read: &Digest) -> Result<()> {
    if amendment::is_public(app, actor, case).await? {
        return amendment::approve(app, actor, case, read).await;
    }
    let Some(Prospect { digest, .. }) = rendered(app, actor, case).await? else {
        return Err(Refusal::moment(
            "Plan the release of this case first: its advisory names tags and commits, and is approved as it will be published.",
        )
        .into());
    };
    let mut tx = app.begin("advisory.approve").await?;
    let grant = open(&mut tx, actor, case, Action::ApproveAdvisory).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    if digest != *read {
        return Err(Refusal::moment("The advisory, a fix or the plan changed since you read it: read it again.").into());
    }
    let known = know(app, &mut tx, &grant).await?;
    known.changeable()?;
    let Some(row) = &known.row else { return Err(Error::NotFound) };
    credit::may_approve(person, row.edited_by.as_slice(), team(app, &known.case))?;
    let missing = missing(app, &mut tx, &grant, &known).await?;
    if !missing.is_empty() {
        return Err(Error::Blocked(missing));
    }
    // A draft edited since it was rendered has another version by now or another hash at the freezing: both end the approval.
    store::advisory::approve(&mut tx, &grant, person, (digest, row.version)).await?;
    Ok(app.commit(tx).await?)
}

/// Renders the advisory's files as they would be published now; before a release, what they will say is stood in for.
///
/// Of a public advisory, those that are asked for, or else those that are public.
pub async fn previews(app: &App, actor: &Actor, case: &CaseId) -> Result<Vec<DocumentView>> {
    Ok(both(app, actor, case).await?.0)
}

/// Renders one of [`previews`], or of what follows them.
pub async fn preview(
    app: &App,
    actor: &Actor,
    case: &CaseId,
    (format, stage): (Format, Stage),
) -> Result<DocumentView> {
    let (documents, later) = both(app, actor, case).await?;
    let nothing = || Refusal::moment("Nothing of this advisory is held back, so nothing follows it.");
    let documents = match stage {
        Stage::First => documents,
        Stage::Later => later.ok_or_else(nothing)?.documents,
    };
    let media_type = match format {
        Format::Osv => "application/json",
        Format::Markdown => "text/markdown; charset=utf-8",
        Format::Html => "text/html; charset=utf-8",
    };
    documents.into_iter().find(|document| document.media_type == media_type).ok_or(Error::NotFound)
}

async fn both(app: &App, actor: &Actor, case: &CaseId) -> Result<(Vec<DocumentView>, Option<LaterView>)> {
    if amendment::is_public(app, actor, case).await? {
        let shown = amendment::show(app, actor, case).await?;
        return Ok((shown.documents, shown.later));
    }
    match rendered(app, actor, case).await? {
        Some(prospect) => Ok((prospect.documents, prospect.later)),
        None => Ok((stood_in(app, actor, case).await?, None)),
    }
}

/// Starts a draft from what the report and the plan say, unless there is one.
pub(super) async fn begin(app: &App, tx: &mut Tx, grant: &Grant, targets: &[PlanTarget]) -> Result<()> {
    if store::advisory::get(tx, grant).await?.is_some() {
        return Ok(());
    }
    let case = store::case::get(tx, grant).await?;
    let unsealing = app.unsealing(tx, grant).await?;
    let title: Title = unsealing.open(("case", "title"), &case.id.to_string(), &case.title)?;
    let mut draft = Advisory::draft(title);
    let settings = app.config.project(&case.project);
    let package = package(app, &case);
    let repositories = settings.map(|settings| settings.repositories.as_slice()).unwrap_or_default();
    for target in targets {
        let named = |repository: &&crate::config::RepositoryConfig| match &target.repository {
            Some(name) => &repository.name == name,
            None => repository.lines.contains(&target.line),
        };
        let Some(repository) = repositories.iter().find(named) else { continue };
        // Version and tag stay the plan's: they follow it when it changes.
        draft.affected.push(AffectedLine {
            repository: repository.name.clone(),
            line: target.line.clone(),
            package: package.clone(),
            introduced: None,
            last_affected: None,
            fixed: None,
            tag: None,
            fix_commit: None,
        });
    }
    let sealed = unsealing.seal(DRAFT, &case.id.to_string(), &draft)?;
    Ok(store::advisory::edit(tx, grant, &sealed, None).await?)
}

/// Opens a draft and joins the reporters to it.
pub(super) async fn whole(tx: &mut Tx, grant: &Grant, unsealing: &Unsealing, draft: &Draft) -> Result<Advisory> {
    Ok(read_draft(unsealing, grant.case(), draft)?.with_reporters(&wishes(tx, grant, unsealing).await?))
}

/// Renders the case's files as its live release would publish them; `None` while it is in no release.
async fn rendered(app: &App, actor: &Actor, case: &CaseId) -> Result<Option<Prospect>> {
    let mut rows = app.read().await?;
    open(&mut rows, actor, case, Action::ReadTeam).await?;
    let release = store::release::live_of(&mut rows, case, None).await?;
    drop(rows);
    let Some(release) = release else { return Ok(None) };
    // Whoever reads one case of a train sees its own documents only; the train is read by the server for them.
    let chore = Actor::System(Chore::Disclose);
    let (tx, gathered) = gather(app, &chore, &release, Action::ReadTeam, "advisory.render").await?;
    app.commit(tx).await?;
    let Some(found) = gathered.advisories.into_iter().find(|rendered| &rendered.case == case) else { return Ok(None) };
    let facts = gathered.facts.cases.iter().find(|known| &known.case == case);
    let Some(digest) = facts.and_then(|known| known.advisory.digest) else { return Ok(None) };
    let at = found.published.details_at;
    let documents = found.documents.into_vec().into_iter().map(shown).collect();
    Ok(Some(Prospect { digest, documents, later: found.later.map(|later| follows(later, at)) }))
}

/// Renders the files of a case that is in no release: a number of 0, today's date, the fixes as they are pushed.
async fn stood_in(app: &App, actor: &Actor, case: &CaseId) -> Result<Vec<DocumentView>> {
    let mut tx = app.begin("advisory.preview").await?;
    let grant = open(&mut tx, actor, case, Action::ReadTeam).await?;
    let known = know(app, &mut tx, &grant).await?;
    let layout = Layout::of(&mut tx, &known.case.project).await?;
    let fixes = store::fix::of_case(&mut tx, &grant).await?;
    let marks = store::mark::of_case(&mut tx, &grant).await?;
    let at = known.case.published_at.or(known.case.embargo.agreed()).unwrap_or(tx.now());
    app.commit(tx).await?;
    let mut rows = app.read().await?;
    let parted = told::parted(app, &mut rows, std::slice::from_ref(&grant), &layout).await?;
    drop(rows);
    let whole = known.whole();
    let said = Said { draft: Some(&whole), marks: &marks, fixes: &fixes };
    let stands = told::lines(app, &layout, None, &said).await?;
    let advisory = whole.clone().against(&stands, package(app, &known.case).as_ref());
    let heads: Vec<_> = fixes.iter().filter_map(|fix| Some((fix.line, fix.head.clone()?))).collect();
    let lines = told::published(app, &layout, None, (case, &advisory, &heads, &parted)).await?;
    let year = u16::try_from(at.to_zoned(jiff::tz::TimeZone::UTC).year()).unwrap_or_default();
    let id = match known.row.as_ref().and_then(|row| row.public_id.clone()) {
        Some(id) => id,
        None => AdvisoryId::new(&layout.project.prefix, year, 0)?,
    };
    let published = Published {
        id,
        project: layout.project.name.parse()?,
        base_url: app.config.base_url.as_str().parse()?,
        osv_prefix: osv_prefix(app, &known.case.project),
        published_at: at,
        modified_at: at,
        details_at: None,
        withdrawn: None,
        related: Vec::new(),
        lines,
        advisory,
    };
    let rendered = Rendered::whole(case, published).signed(app)?;
    Ok(rendered.documents.into_vec().into_iter().map(shown).collect())
}

async fn know(app: &App, tx: &mut Tx, grant: &Grant) -> Result<Known> {
    let unsealing = app.unsealing(tx, grant).await?;
    let case = store::case::get(tx, grant).await?;
    let wishes = wishes(tx, grant, &unsealing).await?;
    let row = store::advisory::get(tx, grant).await?;
    let written = match &row {
        Some(row) => read_draft(&unsealing, &case.id, row)?,
        None => first(app, tx, &case, &unsealing).await?,
    };
    Ok(Known { case, unsealing, row, written, wishes })
}

/// Lists what the text lacks as its live release would publish it, a sentence for each thing.
async fn missing(app: &App, tx: &mut Tx, grant: &Grant, known: &Known) -> Result<Vec<String>> {
    let layout = Layout::of(tx, &known.case.project).await?;
    let release = match store::release::live_of(tx, &known.case.id, None).await? {
        Some(id) => Some(open_release(tx, &Actor::System(Chore::Disclose), &id, Action::Maintain).await?.0),
        None => None,
    };
    let (marks, fixes) = (store::mark::of_case(tx, grant).await?, store::fix::of_case(tx, grant).await?);
    let whole = known.whole();
    let said = Said { draft: Some(&whole), marks: &marks, fixes: &fixes };
    let lines = told::lines(app, &layout, release.as_ref(), &said).await?;
    let lacks = lines.iter().flat_map(|line| line.lacks(&known.case.id)).filter_map(|lack| match lack {
        Lack::Untold(sentence) => Some(sentence),
        Lack::Left(_) | Lack::Unknown(_) => None,
    });
    let lacks: Vec<_> = lacks.collect();
    let mut missing = whole.against(&lines, package(app, &known.case).as_ref()).completeness();
    missing.extend(lacks);
    Ok(missing)
}

async fn wishes(tx: &mut Tx, grant: &Grant, unsealing: &Unsealing) -> Result<Vec<CreditWish>> {
    let mut wishes = Vec::new();
    for report in store::report::of_case(tx, grant).await? {
        let body: ReportBody = unsealing.open(("report", "body"), &report.id.to_string(), &report.body)?;
        wishes.push(body.credit);
    }
    Ok(wishes)
}

/// Makes the draft that people begin with: the case's title, and every line of the project.
async fn first(app: &App, tx: &mut Tx, case: &Case, unsealing: &Unsealing) -> Result<Advisory> {
    let title = unsealing.open(("case", "title"), &case.id.to_string(), &case.title)?;
    let layout = Layout::of(tx, &case.project).await?;
    let package = package(app, case);
    let mut draft = Advisory::draft(title);
    for line in layout.lines {
        let Some(upstream) = layout.upstreams.iter().find(|upstream| upstream.id == line.upstream) else { continue };
        draft.affected.push(AffectedLine {
            repository: upstream.name.clone(),
            line: line.name,
            package: package.clone(),
            introduced: None,
            last_affected: None,
            fixed: None,
            tag: None,
            fix_commit: None,
        });
    }
    Ok(draft)
}

async fn view(app: &App, tx: &mut Tx, grant: &Grant, found: (&Known, Files)) -> Result<AdvisoryView> {
    let (known, files) = found;
    let seats = store::member::of_case(tx, grant).await?;
    let named = |person: PersonId| name_of(&seats, person);
    let whole = known.whole();
    let row = known.row.as_ref();
    let approval = row.and_then(|row| row.approved.as_ref());
    let digest = match &files {
        Files::Draft(rendered) => rendered.as_ref().map(|prospect| prospect.digest),
        Files::Public(shown) => shown.digest,
    };
    let approved = digest.is_some() && approval.map(|(approved, _)| *approved) == digest;
    let missing = match &files {
        Files::Draft(_) => missing(app, tx, grant, known).await?,
        Files::Public(shown) => shown.missing.clone(),
    };
    let reviewer = grant.actor().person().filter(|_| grant.also(Action::ApproveAdvisory));
    let barred = reviewer.and_then(|person| {
        let allowed = known
            .changeable()
            .and_then(|()| credit::may_approve(person, known.editor().as_slice(), team(app, &known.case)));
        let early =
            Refusal::moment("Plan the release of this case first: an advisory is approved as it will be published.");
        allowed.and_then(|()| digest.map(|_| ()).ok_or(early)).err()
    });
    let (barred, documents, later, public) = match files {
        Files::Draft(None) => (barred, Vec::new(), None, None),
        Files::Draft(Some(prospect)) => (barred, prospect.documents, prospect.later, None),
        Files::Public(shown) => (shown.barred, shown.documents, shown.later, Some(shown.view)),
    };
    let credits = whole.settle_credits().into_iter().map(|credit| CreditView {
        name: credit.name,
        kind: credit.kind.to_string(),
        url: credit.url.map(|url| url.to_string()),
    });
    Ok(AdvisoryView {
        id: row.and_then(|row| row.public_id.as_ref()).map(ToString::to_string),
        published_at: known.case.published_at.map(shown_at),
        advisory: known.written.clone(),
        version: row.map(|row| row.version.0),
        edited_by: known.editor().map(named),
        edited_at: row.map(|row| shown_at(row.edited_at)),
        may_approve: reviewer.is_some() && barred.is_none() && missing.is_empty() && !approved,
        missing,
        digest,
        approved,
        approved_by: approval.map(|(_, person)| named(*person)),
        credits: credits.collect(),
        waiting_credits: whole.waiting_credits(),
        may_edit: grant.also(Action::EditAdvisory) && known.changeable().is_ok(),
        not_approvable: barred.map(|refusal| refusal.to_string()),
        documents,
        later,
        public,
    })
}

pub(super) fn name_of(seats: &[Seat], person: PersonId) -> String {
    let seat = seats.iter().find(|seat| seat.holder == Holder::Person(person));
    let handle = seat.and_then(|seat| seat.person.as_ref().map(|(handle, _)| format!("@{handle}")));
    handle.unwrap_or_else(|| "a former member".to_owned())
}

pub(super) fn follows(later: Later, at: Option<jiff::Timestamp>) -> LaterView {
    LaterView { at: at.map(shown_at), documents: later.documents.into_vec().into_iter().map(shown).collect() }
}

pub(super) fn shown(document: crate::export::Document) -> DocumentView {
    DocumentView {
        path: document.path,
        media_type: document.media_type.to_owned(),
        text: String::from_utf8_lossy(&document.bytes).into_owned(),
    }
}

pub(super) fn package(app: &App, case: &Case) -> Option<Package> {
    let settings = app.config.project(&case.project)?;
    let ecosystem = settings.ecosystem.as_deref()?.parse().ok()?;
    Some(Package { ecosystem, name: settings.package.as_deref()?.parse().ok()? })
}

pub(super) fn team(app: &App, case: &Case) -> TeamKind {
    app.config.project(&case.project).map_or(TeamKind::Several, |settings| settings.team)
}
