//! Projects: brought in from the configuration, mirrored from their public repositories, shown to their team.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{Error, Result, open_project, shown_at};
use crate::app::App;
use crate::config::RepositoryConfig;
use crate::domain::actor::{Actor, Chore};
use crate::domain::event::EventKind;
use crate::domain::id::{LineId, ProjectId, UpstreamId};
use crate::domain::job::Job;
use crate::domain::project::{Line, Project, Upstream, UpstreamState};
use crate::domain::team::ProjectAction;
use crate::git::Repo;
use crate::git::mirror::{self, Interrupt, MirrorError, MirrorOutcome};
use crate::git::remote::Access;
use crate::store::job::Settled;
use crate::store::{self, Tx};
use crate::wire::project::{LineView, ProjectView, RepositoryView, TeamMemberView};

/// Brings projects, repositories and lines up to what the configuration says. Called at the start.
pub async fn configure(app: &App) -> Result<()> {
    let actor = Actor::System(Chore::Mirror);
    let mut tx = app.begin("project.configure").await?;
    for settings in &app.config.projects {
        let project = Project {
            id: settings.id.clone(),
            prefix: settings.prefix.clone(),
            name: settings.name.clone(),
            team: settings.team,
        };
        store::project::configure(&mut tx, &project).await?;
        let mut upstreams = BTreeSet::new();
        let mut lines = BTreeSet::new();
        for repository in &settings.repositories {
            let id: UpstreamId = app.mint();
            let upstream =
                store::project::configure_upstream(&mut tx, id, &project.id, &repository.name, &repository.url).await?;
            upstreams.insert(upstream);
            for (position, name) in (0..).zip(&repository.lines) {
                let line = Line { id: app.mint::<LineId>(), upstream, name: name.clone() };
                lines.insert(store::project::configure_line(&mut tx, &line, position).await?);
            }
            let now = tx.now();
            store::job::queue(&mut tx, &Job::Mirror { upstream }, now).await?;
        }
        store::project::retire_others(&mut tx, &actor, &project.id, (&upstreams, &lines)).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Shows a project's page to its team.
pub async fn show(app: &App, actor: &Actor, project: &ProjectId) -> Result<ProjectView> {
    let mut rows = app.read().await?;
    let grant = open_project(&mut rows, actor, project, ProjectAction::ReadProject).await?;
    let found = store::project::find(&mut rows, project).await?.ok_or(Error::NotFound)?;
    let all_lines = store::project::lines(&mut rows, project).await?;
    let upstreams = store::project::upstreams(&mut rows, project).await?;
    let team = store::member::team(&mut rows, project).await?;
    let open_cases = store::case::open_in_project(&mut rows, &grant).await?;
    let takes_attachments = super::report::recipients(app, &mut rows, project).await?.is_some();
    let may_mirror = open_project(&mut rows, actor, project, ProjectAction::RunMirror).await.is_ok();
    let may_release = open_project(&mut rows, actor, project, ProjectAction::StartRelease).await.is_ok();
    drop(rows);
    let mut repositories = Vec::new();
    for upstream in upstreams {
        let lines = all_lines.iter().filter(|line| line.upstream == upstream.id).cloned().collect();
        repositories.push(repository_view(app, upstream, lines).await?);
    }
    Ok(ProjectView {
        id: found.id.to_string(),
        prefix: found.prefix.to_string(),
        name: found.name,
        team_kind: found.team.to_string(),
        repositories,
        team: team
            .into_iter()
            .map(|m| TeamMemberView { handle: m.handle, name: m.name, role: m.role.to_string() })
            .collect(),
        open_cases,
        may_mirror,
        may_release,
        takes_attachments,
        mail_trouble: super::mail::trouble(app),
    })
}

/// Lists the projects whose team a person is in.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<Project>> {
    let mut rows = app.read().await?;
    let mut found = Vec::new();
    for project in store::project::all(&mut rows).await? {
        if open_project(&mut rows, actor, &project.id, ProjectAction::ReadProject).await.is_ok() {
            found.push(project);
        }
    }
    Ok(found)
}

/// Asks for a fetch of all the project's repositories now.
pub async fn mirror_now(app: &App, actor: &Actor, project: &ProjectId) -> Result<()> {
    let mut tx = app.begin("project.mirror").await?;
    open_project(&mut tx, actor, project, ProjectAction::RunMirror).await?;
    queue_mirrors(&mut tx, project).await?;
    Ok(app.commit(tx).await?)
}

/// Queues a fetch of one repository: what the cron alarm does.
pub async fn mirror_due(app: &App, project: &ProjectId, repository: &str) -> Result<()> {
    let mut tx = app.begin("project.mirror_due").await?;
    let now = tx.now();
    for upstream in store::project::upstreams(&mut tx, project).await? {
        if upstream.name.as_str() == repository {
            store::job::queue(&mut tx, &Job::Mirror { upstream: upstream.id }, now).await?;
        }
    }
    Ok(app.commit(tx).await?)
}

async fn queue_mirrors(tx: &mut Tx, project: &ProjectId) -> Result<()> {
    let now = tx.now();
    for upstream in store::project::upstreams(tx, project).await? {
        store::job::queue(tx, &Job::Mirror { upstream: upstream.id }, now).await?;
    }
    Ok(())
}

/// Fetches one upstream repository; when its lines moved, the private remotes and open rehearsals follow.
pub async fn mirror(app: &App, id: UpstreamId) -> Result<Settled> {
    let mut rows = app.read().await?;
    let Some(upstream) = store::project::upstream(&mut rows, id).await? else { return Ok(Settled::Done) };
    let mut lines = store::project::lines(&mut rows, &upstream.project).await?;
    lines.retain(|line| line.upstream == id);
    drop(rows);
    let Some(settings) = settings(app, &upstream) else { return Ok(Settled::Done) };
    let remote = remote(&upstream.url, settings)?;
    let progress = app.progress.clone();
    let outcome = app.git.update_mirror(id, &remote, move |step| progress.set(id, step), Interrupt::default()).await;
    app.progress.clear(id);
    let trouble = outcome.as_ref().err().map(|error| (error.to_string(), error.cause()));
    let absent = if outcome.is_ok() { absent(app, id, &lines).await? } else { String::new() };
    let (state, mut sentence, kind, moved) = told(outcome, &upstream)?;
    sentence.push_str(&absent);
    if let Some((error, cause)) = trouble.filter(|_| sentence != upstream.note) {
        tracing::warn!(upstream = %id, error, cause, "an upstream repository cannot be fetched");
    }
    let retry = matches!(state, UpstreamState::Down);
    let mut tx = app.begin("project.mirrored").await?;
    let actor = Actor::System(Chore::Mirror);
    store::project::found(&mut tx, &actor, &upstream, state, (&sentence, kind)).await?;
    if moved {
        let now = tx.now();
        for case in store::case::with_remotes(&mut tx, &upstream.project).await? {
            store::job::queue(&mut tx, &Job::Remote { case }, now).await?;
        }
        super::rehearsal::rehearse_open(&mut tx, &upstream.project).await?;
    }
    let again = tx.now() + SignedDuration::from_secs(60);
    app.commit(tx).await?;
    Ok(if retry { Settled::Retry(again, sentence) } else { Settled::Done })
}

/// Says which lines of the configuration are no branches of the mirror; nothing if all are.
async fn absent(app: &App, id: UpstreamId, lines: &[Line]) -> Result<String> {
    let mut missing = Vec::new();
    for line in lines {
        if app.git.resolve(&Repo::Mirror(id), &line.branch()).await?.is_none() {
            missing.push(line.name.to_string());
        }
    }
    let branch = match missing.len() {
        0 => return Ok(String::new()),
        1 => "branch",
        _ => "branches",
    };
    let names = missing.join(", ");
    Ok(format!(" It has no {branch} {names}: correct `lines` in the configuration, or make the {branch} there."))
}

type Told = (UpstreamState, String, Option<EventKind>, bool);

/// Puts what a fetch found into a state and a sentence for the project page.
fn told(outcome: Result<MirrorOutcome, MirrorError>, upstream: &Upstream) -> Result<Told> {
    let was = upstream.state;
    let troubled = |state: UpstreamState, sentence: &str| {
        let kind = (state != was).then_some(EventKind::MirrorTroubled);
        Ok((state, sentence.to_owned(), kind, false))
    };
    match outcome {
        Ok(outcome) => {
            let rewritten: Vec<&str> =
                outcome.moved.iter().filter(|moved| moved.rewritten).map(|moved| moved.name.as_str()).collect();
            let moved = !outcome.is_unchanged();
            if rewritten.is_empty() {
                let sentence = format!("{} branches and tags.", outcome.refs);
                let kind = (moved || was != UpstreamState::Ok).then_some(EventKind::MirrorMoved);
                Ok((UpstreamState::Ok, sentence, kind, moved))
            } else {
                let names = rewritten.iter().take(5).copied().collect::<Vec<_>>().join(", ");
                let sentence = format!("Upstream rewrote {names}: the old commits are kept here.");
                Ok((UpstreamState::Rewritten, sentence, Some(EventKind::MirrorTroubled), true))
            }
        }
        Err(MirrorError::Down { .. }) => troubled(
            UpstreamState::Down,
            "The upstream repository does not answer. It is asked again in a minute; nothing is lost.",
        ),
        Err(MirrorError::Moved { .. }) => troubled(
            UpstreamState::Moved,
            "The upstream repository is not at this address any more: correct `url` in the configuration. What was mirrored stays.",
        ),
        Err(MirrorError::Denied { .. }) => troubled(
            UpstreamState::Moved,
            "The upstream repository asks for a credential or refuses ours: see `username` and `password_file` in the configuration.",
        ),
        Err(MirrorError::Anothers) => troubled(
            UpstreamState::Moved,
            "The upstream repository belongs to another user of this machine, and git touches none such (\"dubious ownership\"). \
             Give its folder to the server's user with `chown -R`, or name it by an https or ssh address.",
        ),
        Err(MirrorError::NotGit { .. }) => troubled(
            UpstreamState::Moved,
            "No git repository answers at this address: correct `url` in the configuration. What was mirrored stays.",
        ),
        Err(MirrorError::Empty) => {
            troubled(UpstreamState::Empty, "The upstream repository has no branches. What was mirrored before stays.")
        }
        Err(MirrorError::Incomplete) => troubled(
            UpstreamState::Down,
            "The upstream repository sent an incomplete history. Nothing was changed; it is asked again in a minute.",
        ),
        Err(MirrorError::Interrupted) => troubled(UpstreamState::Down, "The last fetch was interrupted."),
        Err(MirrorError::Ours(error)) => Err(error.into()),
    }
}

/// Finds the configuration of an upstream repository.
pub(super) fn settings<'a>(app: &'a App, upstream: &Upstream) -> Option<&'a RepositoryConfig> {
    app.config.project(&upstream.project)?.repositories.iter().find(|repository| repository.name == upstream.name)
}

/// Puts an upstream's address and credential together; the credential is read from its file each time.
pub(super) fn remote(url: &str, settings: &RepositoryConfig) -> Result<mirror::Upstream> {
    let access = Access::read(settings.credential()).map_err(|error| Error::Unavailable {
        sentence: format!("The public repository cannot be reached: {error}."),
        source: Some(Box::new(error)),
    })?;
    Ok(mirror::Upstream { url: url.parse()?, access })
}

async fn repository_view(app: &App, upstream: Upstream, lines: Vec<Line>) -> Result<RepositoryView> {
    let mirror = Repo::Mirror(upstream.id);
    let mut views = Vec::new();
    for line in lines {
        let head = if app.git.exists(&mirror) { app.git.resolve(&mirror, &line.branch()).await? } else { None };
        let manner = settings(app, &upstream).map(|settings| settings.manner(&line.name));
        views.push(LineView {
            name: line.name.to_string(),
            head: head.map(|head| head.to_string()),
            strategy: manner.map(|manner| manner.0.to_string()).unwrap_or_default(),
            tags: manner.map(|manner| manner.1.to_string()).unwrap_or_default(),
        });
    }
    let checked_at = upstream.checked_at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok()).map(shown_at);
    Ok(RepositoryView {
        name: upstream.name.to_string(),
        url: upstream.url,
        state: upstream.state.to_string(),
        note: upstream.note,
        checked_at,
        lines: views,
        progress: app.progress.get(upstream.id),
    })
}
