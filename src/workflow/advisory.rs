//! The advisory of a case: drafted, edited, approved by the hash of its text, and handed to the release.
//!
//! The sealed draft holds what people wrote. Reporters are joined to it by their own wish whenever it is read, so a changed
//! wish shows at once and leaves an approval without its text.

use jiff::Timestamp;

use super::{Error, Result, open, shown_at};
use crate::app::{App, Unsealing};
use crate::domain::access::{Action, Grant, Holder};
use crate::domain::actor::Actor;
use crate::domain::advisory::{Advisory, AffectedLine, Package};
use crate::domain::approval;
use crate::domain::case::{Case, CaseState};
use crate::domain::change::Version;
use crate::domain::digest::Digest;
use crate::domain::id::{CaseId, PersonId};
use crate::domain::plain::AdvisoryId;
use crate::domain::project::TeamKind;
use crate::domain::readiness::AdvisoryFacts;
use crate::domain::refusal::Refusal;
use crate::domain::report::{CreditWish, ReportBody};
use crate::export::{Published, PublishedLine};
use crate::store::advisory::Draft;
use crate::store::{self, Tx};
use crate::wire::advisory::{AdvisoryView, CreditView, Format};

/// A rendered preview.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The media type it would be served under.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The draft of a case with what belongs to it.
struct Gathered {
    case: Case,
    unsealing: Unsealing,
    row: Option<Draft>,
    written: Advisory,
    wishes: Vec<CreditWish>,
}

impl Gathered {
    /// Returns the advisory as it would be published now: the draft and the reporters as they wish.
    fn whole(&self) -> Advisory {
        self.written.clone().with_reporters(&self.wishes)
    }

    fn editor(&self) -> Option<PersonId> {
        self.row.as_ref().and_then(|row| row.edited_by)
    }

    fn open_for_change(&self) -> Result<(), Refusal> {
        if self.case.published_at.is_some() {
            return Err(Refusal::moment("This advisory is public: what is out is not changed here."));
        }
        if self.case.state == CaseState::Closed {
            return Err(Refusal::moment("This case is closed: nothing of it will be published."));
        }
        Ok(())
    }
}

/// Shows the draft of a case; a first one made from the case while nobody has saved one.
pub async fn show(app: &App, actor: &Actor, case: &CaseId) -> Result<AdvisoryView> {
    let mut tx = app.begin("advisory.show").await?;
    let grant = open(&mut tx, actor, case, Action::ReadTeam).await?;
    let gathered = gather(app, &mut tx, &grant).await?;
    let view = view(app, &mut tx, &grant, &gathered).await?;
    app.commit(tx).await?;
    Ok(view)
}

/// Saves a draft. `seen` is the version it was made from; none for the first. The approval of the earlier text is void.
pub async fn edit(app: &App, actor: &Actor, case: &CaseId, draft: Advisory, seen: Option<i64>) -> Result<AdvisoryView> {
    let mut tx = app.begin("advisory.edit").await?;
    let grant = open(&mut tx, actor, case, Action::EditAdvisory).await?;
    let gathered = gather(app, &mut tx, &grant).await?;
    gathered.open_for_change()?;
    draft.leaves_reporters_out(&gathered.wishes)?;
    let unchanged = gathered.row.is_some() && gathered.written == draft;
    if !unchanged {
        let sealed = gathered.unsealing.seal(PLACE, &case.to_string(), &draft)?;
        store::advisory::edit(&mut tx, &grant, &sealed, seen.map(Version)).await?;
    }
    let row = store::advisory::get(&mut tx, &grant).await?;
    let view = view(app, &mut tx, &grant, &Gathered { row, written: draft, ..gathered }).await?;
    app.commit(tx).await?;
    Ok(view)
}

/// Approves the text with this hash, which must be what would be published now.
pub async fn approve(app: &App, actor: &Actor, case: &CaseId, read: &Digest) -> Result<()> {
    let mut tx = app.begin("advisory.approve").await?;
    let grant = open(&mut tx, actor, case, Action::ApproveAdvisory).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let gathered = gather(app, &mut tx, &grant).await?;
    gathered.open_for_change()?;
    let whole = gathered.whole();
    let missing = whole.completeness();
    let version = match &gathered.row {
        Some(row) if missing.is_empty() => row.version,
        Some(_) => return Err(Error::Blocked(missing)),
        None => return Err(Refusal::moment("Nobody has written this advisory yet.").into()),
    };
    let digest = whole.digest(case);
    approval::as_read(read, &digest)?;
    approval::may_approve(person, gathered.editor(), team(app, &gathered.case))?;
    store::advisory::approve(&mut tx, &grant, person, (digest, version)).await?;
    Ok(app.commit(tx).await?)
}

/// Renders the draft as it would be published now. Ids and instants that are not given yet are stood in for.
pub async fn preview(app: &App, actor: &Actor, case: &CaseId, format: Format) -> Result<Preview> {
    let mut tx = app.begin("advisory.preview").await?;
    let grant = open(&mut tx, actor, case, Action::ReadTeam).await?;
    let gathered = gather(app, &mut tx, &grant).await?;
    let at = gathered.case.published_at.or(gathered.case.embargo.agreed()).unwrap_or(tx.now());
    let id = match gathered.row.as_ref().and_then(|row| row.public_id.clone()) {
        Some(id) => id,
        None => numbered(&mut tx, &gathered.case, (at, 0)).await?,
    };
    let lines = lines(&mut tx, &grant, &gathered.case).await?;
    let published = join(app, &mut tx, &gathered, (id, at, lines)).await?;
    app.commit(tx).await?;
    let wanted = match format {
        Format::Osv => "application/json",
        Format::Markdown => "text/markdown; charset=utf-8",
        Format::Html => "text/html; charset=utf-8",
    };
    let document = published.render().into_vec().into_iter().find(|document| document.media_type == wanted);
    let document = document.ok_or(Error::NotFound)?;
    Ok(Preview { media_type: document.media_type, bytes: document.bytes })
}

/// Gathers what readiness asks of a case's advisory. A draft that does not exist lacks itself.
pub(super) async fn facts(app: &App, tx: &mut Tx, grant: &Grant) -> Result<AdvisoryFacts> {
    let gathered = gather(app, tx, grant).await?;
    let Some(row) = &gathered.row else {
        let missing = vec!["Write the advisory.".to_owned()];
        return Ok(AdvisoryFacts { missing, waiting_credits: 0, digest: None, approved: None });
    };
    let whole = gathered.whole();
    Ok(AdvisoryFacts {
        missing: whole.completeness(),
        waiting_credits: whole.waiting_credits(),
        digest: Some(whole.digest(grant.case())),
        approved: row.approved.as_ref().map(|(digest, _)| *digest),
    })
}

/// Joins draft, reporters and the facts of a release into what is published; gives the public id if there is none yet.
/// Refuses a text that is not approved as it stands.
pub(super) async fn published(
    app: &App,
    tx: &mut Tx,
    grant: &Grant,
    published_at: Timestamp,
    lines: Vec<PublishedLine>,
) -> Result<Published> {
    let gathered = gather(app, tx, grant).await?;
    let case = grant.case();
    let unwritten = || Refusal::moment(format!("The advisory of {case} is not written yet."));
    let row = gathered.row.as_ref().ok_or_else(unwritten)?;
    let digest = gathered.whole().digest(case);
    if row.approved.as_ref().is_none_or(|(approved, _)| approved != &digest) {
        return Err(Refusal::moment(format!("The advisory of {case} is not approved as it stands.")).into());
    }
    let id = match &row.public_id {
        Some(id) => id.clone(),
        None => {
            let project = store::project::find(tx, &gathered.case.project).await?.ok_or(Error::NotFound)?;
            let number = store::project::next_advisory(tx, &project.prefix).await?;
            let id = numbered(tx, &gathered.case, (published_at, number)).await?;
            store::advisory::name(tx, grant, &id).await?;
            id
        }
    };
    join(app, tx, &gathered, (id, published_at, lines)).await
}

/// Lists the lines of a case with what is known of them before a release: address and the commit that fixes the line.
pub(super) async fn lines(tx: &mut Tx, grant: &Grant, case: &Case) -> Result<Vec<PublishedLine>> {
    let upstreams = store::project::upstreams(tx, &case.project).await?;
    let fixes = store::fix::of_case(tx, grant).await?;
    let mut lines = Vec::new();
    for line in store::project::lines(tx, &case.project).await? {
        let Some(upstream) = upstreams.iter().find(|upstream| upstream.id == line.upstream) else { continue };
        let unfit = |_| {
            Refusal::moment(format!("The address of the repository {} cannot stand in an advisory.", upstream.name))
        };
        lines.push(PublishedLine {
            repository: upstream.name.clone(),
            repository_url: upstream.url.parse().map_err(unfit)?,
            fix_commit: fixes.iter().find(|fix| fix.line == line.id).and_then(|fix| fix.head.clone()),
            line: line.name,
            tag: None,
        });
    }
    Ok(lines)
}

const PLACE: (&str, &str) = ("advisory", "draft");

async fn gather(app: &App, tx: &mut Tx, grant: &Grant) -> Result<Gathered> {
    let unsealing = app.unsealing(tx, grant).await?;
    let case = store::case::get(tx, grant).await?;
    let mut wishes = Vec::new();
    for report in store::report::of_case(tx, grant).await? {
        let body: ReportBody = unsealing.open(("report", "body"), &report.id.to_string(), &report.body)?;
        wishes.push(body.credit);
    }
    let row = store::advisory::get(tx, grant).await?;
    let written = match &row {
        Some(row) => unsealing.open(PLACE, &case.id.to_string(), &row.sealed)?,
        None => first_draft(app, tx, &case, &unsealing).await?,
    };
    Ok(Gathered { case, unsealing, row, written, wishes })
}

/// Makes the draft that people begin with: the case's title, and every line of the project.
async fn first_draft(app: &App, tx: &mut Tx, case: &Case, unsealing: &Unsealing) -> Result<Advisory> {
    let title = unsealing.open(("case", "title"), &case.id.to_string(), &case.title)?;
    let mut draft = Advisory::draft(title);
    let settings = app.config.project(&case.project);
    let package = settings.and_then(|settings| {
        let ecosystem = settings.ecosystem.as_deref()?.parse().ok()?;
        Some(Package { ecosystem, name: settings.package.as_deref()?.parse().ok()? })
    });
    let upstreams = store::project::upstreams(tx, &case.project).await?;
    for line in store::project::lines(tx, &case.project).await? {
        let Some(upstream) = upstreams.iter().find(|upstream| upstream.id == line.upstream) else { continue };
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

async fn view(app: &App, tx: &mut Tx, grant: &Grant, gathered: &Gathered) -> Result<AdvisoryView> {
    let seats = store::member::of_case(tx, grant).await?;
    let named = |person: PersonId| {
        seats
            .iter()
            .find(|seat| seat.holder == Holder::Person(person))
            .and_then(|seat| seat.person.as_ref().map(|(handle, _)| format!("@{handle}")))
            .unwrap_or_else(|| "a former member".to_owned())
    };
    let whole = gathered.whole();
    let digest = whole.digest(grant.case());
    let row = gathered.row.as_ref();
    let approval = row.and_then(|row| row.approved.as_ref());
    let approved = approval.is_some_and(|(approved, _)| approved == &digest);
    let missing = whole.completeness();
    let changeable = gathered.open_for_change();
    let barred = match (grant.actor().person(), grant.also(Action::ApproveAdvisory)) {
        (Some(person), true) => changeable
            .clone()
            .and_then(|()| approval::may_approve(person, gathered.editor(), team(app, &gathered.case)))
            .err()
            .map(|refusal| refusal.to_string()),
        (Some(_) | None, false) | (None, true) => None,
    };
    let may_approve = grant.also(Action::ApproveAdvisory)
        && row.is_some()
        && missing.is_empty()
        && !approved
        && barred.is_none();
    let credits = whole.settle_credits().into_iter().map(|credit| CreditView {
        name: credit.name,
        kind: credit.kind.to_string(),
        url: credit.url.map(|url| url.to_string()),
    });
    Ok(AdvisoryView {
        case: grant.case().to_string(),
        draft: gathered.written.clone(),
        version: row.map(|row| row.version.0),
        public_id: row.and_then(|row| row.public_id.as_ref()).map(ToString::to_string),
        edited_by: gathered.editor().map(named),
        edited_at: row.map(|row| shown_at(row.edited_at)),
        digest: digest.to_string(),
        approved,
        approved_by: approval.map(|(_, person)| named(*person)),
        missing,
        credits: credits.collect(),
        waiting_credits: whole.waiting_credits(),
        may_edit: grant.also(Action::EditAdvisory) && changeable.is_ok(),
        may_approve,
        not_approvable: barred,
    })
}

async fn join(
    app: &App,
    tx: &mut Tx,
    gathered: &Gathered,
    facts: (AdvisoryId, Timestamp, Vec<PublishedLine>),
) -> Result<Published> {
    let (id, at, lines) = facts;
    let project = store::project::find(tx, &gathered.case.project).await?.ok_or(Error::NotFound)?;
    Ok(Published {
        id,
        project: project.name.parse()?,
        base_url: app.config.base_url.as_str().parse()?,
        osv_prefix: None,
        published_at: at,
        modified_at: at,
        lines,
        advisory: gathered.whole(),
    })
}

async fn numbered(tx: &mut Tx, case: &Case, at_number: (Timestamp, u32)) -> Result<AdvisoryId> {
    let project = store::project::find(tx, &case.project).await?.ok_or(Error::NotFound)?;
    let (at, number) = at_number;
    let year = at.to_zoned(jiff::tz::TimeZone::UTC).year();
    Ok(AdvisoryId::new(&project.prefix, u16::try_from(year).unwrap_or_default(), number)?)
}

fn team(app: &App, case: &Case) -> TeamKind {
    app.config.project(&case.project).map_or(TeamKind::Several, |settings| settings.team)
}
