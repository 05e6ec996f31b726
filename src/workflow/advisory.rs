//! The advisory of a case: drafted, approved by the hash of what will be published, read by the public afterwards.

use jiff::Timestamp;

use super::readiness::{DRAFT, gather, read_draft};
use super::{Error, Result, open, shown_at};
use crate::app::App;
use crate::domain::access::{Action, Grant};
use crate::domain::actor::Actor;
use crate::domain::advisory::{Advisory, AffectedLine, Credit, CreditConsent, CreditKind, Package};
use crate::domain::change::Version;
use crate::domain::digest::Digest;
use crate::domain::id::CaseId;
use crate::domain::manifest::DocumentPath;
use crate::domain::refusal::Refusal;
use crate::domain::report::{CreditWish, ReportBody};
use crate::domain::text::Title;
use crate::export::feed::{self, FeedEntry};
use crate::store::publication::Publication;
use crate::store::{self, Tx};
use crate::wire::advisory::{AdvisoryView, DocumentView, EditAdvisory, PublishedView};
use crate::wire::release::PlanTarget;

/// How many advisories the public feed holds.
const FEED: i64 = 50;

/// Shows the draft, what it lacks, and the files as they would be published now.
pub async fn show(app: &App, actor: &Actor, case: &CaseId) -> Result<AdvisoryView> {
    let mut tx = app.begin("advisory.show").await?;
    let grant = open(&mut tx, actor, case, Action::ReadTeam).await?;
    begin(app, &mut tx, &grant, &[]).await?;
    let draft = store::advisory::get(&mut tx, &grant).await?.ok_or(Error::NotFound)?;
    let advisory = read_draft(&app.unsealing(&mut tx, &grant).await?, case, &draft)?;
    app.commit(tx).await?;
    let rendered = rendered(app, actor, case).await?;
    let digest = rendered.as_ref().map(|(digest, _)| *digest);
    Ok(AdvisoryView {
        id: draft.public_id.map(|id| id.to_string()),
        missing: advisory.completeness(),
        advisory,
        version: draft.version.0,
        approved: digest.is_some() && draft.approved.map(|(approved, _)| approved) == digest,
        digest,
        documents: rendered.map(|(_, documents)| documents).unwrap_or_default(),
    })
}

/// Saves the draft. An approval of other text falls away.
pub async fn edit(app: &App, actor: &Actor, case: &CaseId, wish: &EditAdvisory) -> Result<()> {
    let mut tx = app.begin("advisory.edit").await?;
    let grant = open(&mut tx, actor, case, Action::EditAdvisory).await?;
    if store::case::get(&mut tx, &grant).await?.published_at.is_some() {
        return Err(Refusal::moment("This advisory is public: it is no longer edited here.").into());
    }
    begin(app, &mut tx, &grant, &[]).await?;
    let sealed = app.sealing(&mut tx, &grant).await?.seal(DRAFT, &case.to_string(), &wish.advisory)?;
    store::advisory::edit(&mut tx, &grant, &sealed, Some(Version(wish.version))).await?;
    Ok(app.commit(tx).await?)
}

/// Approves the text by the hash of what was read; anything else by now is a refusal.
pub async fn approve(app: &App, actor: &Actor, case: &CaseId, read: &Digest) -> Result<()> {
    let rendered = rendered(app, actor, case).await?;
    let Some((digest, _)) = rendered else {
        return Err(Refusal::moment(
            "Plan the release of this case first: its advisory names tags and dates, and is approved as it will be published.",
        )
        .into());
    };
    if digest != *read {
        return Err(Refusal::moment("The advisory, a fix or the plan changed since you read it: read it again.").into());
    }
    let mut tx = app.begin("advisory.approve").await?;
    let grant = open(&mut tx, actor, case, Action::ApproveAdvisory).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let draft = store::advisory::get(&mut tx, &grant).await?.ok_or(Error::NotFound)?;
    let advisory = read_draft(&app.unsealing(&mut tx, &grant).await?, case, &draft)?;
    if let Some(lack) = advisory.completeness().into_iter().next() {
        return Err(Refusal::moment(format!("The advisory is not complete: {lack}")).into());
    }
    store::advisory::approve(&mut tx, &grant, person, (digest, draft.version)).await?;
    Ok(app.commit(tx).await?)
}

/// Starts a draft from what the reports and the plan say, unless there is one.
pub(super) async fn begin(app: &App, tx: &mut Tx, grant: &Grant, targets: &[PlanTarget]) -> Result<()> {
    if store::advisory::get(tx, grant).await?.is_some() {
        return Ok(());
    }
    let case = store::case::get(tx, grant).await?;
    let unsealing = app.unsealing(tx, grant).await?;
    let title: Title = unsealing.open(("case", "title"), &case.id.to_string(), &case.title)?;
    let mut draft = Advisory::draft(title);
    for report in store::report::of_case(tx, grant).await? {
        let body: ReportBody = unsealing.open(("report", "body"), &report.id.to_string(), &report.body)?;
        draft.credits.extend(credit(&body.credit));
    }
    let settings = app.config.project(&case.project);
    let package = settings.and_then(|settings| {
        Some(Package {
            ecosystem: settings.ecosystem.as_ref()?.parse().ok()?,
            name: settings.package.as_ref()?.parse().ok()?,
        })
    });
    let repositories = settings.map(|settings| settings.repositories.as_slice()).unwrap_or_default();
    for target in targets {
        let named = |repository: &&crate::config::RepositoryConfig| match &target.repository {
            Some(name) => &repository.name == name,
            None => repository.lines.contains(&target.line),
        };
        let Some(repository) = repositories.iter().find(named) else { continue };
        let version = target.tag.as_str();
        let version =
            version.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(version);
        draft.affected.push(AffectedLine {
            repository: repository.name.clone(),
            line: target.line.clone(),
            package: package.clone(),
            introduced: None,
            last_affected: None,
            fixed: version.parse().ok(),
            tag: Some(target.tag.clone()),
            fix_commit: None,
        });
    }
    let sealed = unsealing.seal(DRAFT, &case.id.to_string(), &draft)?;
    Ok(store::advisory::edit(tx, grant, &sealed, None).await?)
}

/// Takes a reporter's own wish as their answer.
fn credit(wish: &CreditWish) -> Option<Credit> {
    let (name, consent) = match wish {
        CreditWish::Named { name } => (name.clone(), CreditConsent::Agreed),
        CreditWish::Anonymous => ("Anonymous".parse().ok()?, CreditConsent::Anonymous),
        CreditWish::Unnamed => return None,
    };
    Some(Credit { name, kind: CreditKind::Finder, url: None, consent })
}

/// Renders the case's files as its live release would publish them; `None` while it is in no release.
async fn rendered(app: &App, actor: &Actor, case: &CaseId) -> Result<Option<(Digest, Vec<DocumentView>)>> {
    let mut rows = app.read().await?;
    open(&mut rows, actor, case, Action::ReadTeam).await?;
    let release = store::release::live_of(&mut rows, case, None).await?;
    drop(rows);
    let Some(release) = release else { return Ok(None) };
    // Whoever reads one case of a train sees its own documents only; the train is read by the server for them.
    let chore = Actor::System(crate::domain::actor::Chore::Disclose);
    let (tx, gathered) = gather(app, &chore, &release, Action::ReadTeam, "advisory.render").await?;
    app.commit(tx).await?;
    let Some(found) = gathered.advisories.into_iter().find(|rendered| &rendered.case == case) else { return Ok(None) };
    let digest = Digest::from_bytes(found.documents.digest());
    let views = found.documents.into_vec().into_iter().map(|document| DocumentView {
        path: document.path,
        media_type: document.media_type.to_owned(),
        text: String::from_utf8_lossy(&document.bytes).into_owned(),
    });
    Ok(Some((digest, views.collect())))
}

/// Reads a public file: no one is asked who they are.
pub async fn file(app: &App, path: &DocumentPath) -> Result<Publication> {
    let mut rows = app.read().await?;
    store::publication::file(&mut rows, path).await?.ok_or(Error::NotFound)
}

/// Lists the public advisories, newest first.
pub async fn published(app: &App) -> Result<Vec<PublishedView>> {
    let mut rows = app.read().await?;
    let found = store::publication::list(&mut rows, 500).await?;
    let view = |published: store::publication::Published| PublishedView {
        id: published.id.to_string(),
        project: published.project.to_string(),
        title: published.title.to_string(),
        published_at: shown_at(published.published_at),
    };
    Ok(found.into_iter().map(view).collect())
}

/// Renders the public feed.
pub async fn atom(app: &App) -> Result<Vec<u8>> {
    let mut rows = app.read().await?;
    let mut entries = Vec::new();
    for published in store::publication::list(&mut rows, FEED).await? {
        let path: DocumentPath = format!("advisories/{}.html", published.id).parse()?;
        let Some(file) = store::publication::file(&mut rows, &path).await? else { continue };
        let name = store::project::find(&mut rows, &published.project).await?.map(|project| project.name);
        entries.push(FeedEntry {
            id: published.id,
            title: published.title,
            project: name.unwrap_or_else(|| published.project.to_string()).parse()?,
            published_at: published.published_at,
            modified_at: published.modified_at,
            html: String::from_utf8_lossy(&file.body).into_owned(),
        });
    }
    Ok(feed::advisories(&app.config.base_url.as_str().parse()?, Timestamp::UNIX_EPOCH, &entries))
}
