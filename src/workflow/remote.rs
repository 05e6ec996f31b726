//! A case's private remote: made when the case is accepted, kept beside the public lines, served to its members.

use super::{Error, Result, open};
use crate::app::{App, PushTicket};
use crate::crypto::token::{self, Kind};
use crate::domain::access::Action;
use crate::domain::actor::{Actor, Chore};
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{CaseId, PushId, UpstreamId};
use crate::domain::refusal::Refusal;
use crate::domain::repo::{LineName, RepoName};
use crate::git::Repo;
use crate::git::serve::Service;
use crate::git::ticket::TicketGuard;
use crate::store::job::Settled;
use crate::store::{self, Rows};

/// A git client that was admitted to a repository of a case.
pub struct Admitted {
    /// The repository.
    pub repo: Repo,
    /// For a push: the ticket its hooks show. It is good as long as this value's holder keeps it.
    pub ticket: Option<TicketGuard<PushTicket>>,
}

/// Where in a fetch or push the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It asks what is there.
    Asks,
    /// It takes or sends objects.
    Begins,
}

/// Admits a git client to a repository of a case, notes the read, and gives a push its ticket.
///
/// # Errors
/// Unknown case, hidden case and unknown repository are the same `NotFound`.
pub async fn admit(
    app: &App,
    actor: &Actor,
    address: (&CaseId, &RepoName),
    service: Service,
    stage: Stage,
) -> Result<Admitted> {
    let (case, name) = address;
    let mut tx = app.begin("git.admit").await?;
    let action = match service {
        Service::UploadPack => Action::Fetch,
        Service::ReceivePack => Action::Push,
    };
    let grant = open(&mut tx, actor, case, action).await?;
    let found = store::case::get(&mut tx, &grant).await?;
    let upstream = upstream(&mut tx, &found.project, name).await?;
    let repo = Repo::Case(case.clone(), upstream);
    if store::case::remote_at(&mut tx, &grant).await?.is_none() || !app.git.exists(&repo) {
        return Err(Error::NotFound);
    }
    let ticket = match service {
        Service::UploadPack => {
            if stage == Stage::Begins {
                tx.note(actor, &Event::of_case(EventKind::GitRead, case, upstream.to_string())).await?;
            }
            None
        }
        Service::ReceivePack => {
            if !found.takes_pushes() {
                return Err(Refusal::moment("This case takes no more pushes: it is public, closed or put off.").into());
            }
            if stage == Stage::Begins {
                let push: PushId = app.mint();
                let stands_for = PushTicket { actor: actor.clone(), case: case.clone(), upstream, push };
                app.tickets.issue(token::mint(Kind::Ticket), stands_for)
            } else {
                None
            }
        }
    };
    app.commit(tx).await?;
    Ok(Admitted { repo, ticket })
}

/// Makes the private remote of an accepted case, or brings its public lines up to date. Safe to repeat.
pub async fn make(app: &App, case: &CaseId) -> Result<Settled> {
    let actor = Actor::System(Chore::Remotes);
    let mut rows = app.read().await?;
    let grant = open(&mut rows, &actor, case, Action::Maintain).await?;
    let found = store::case::get(&mut rows, &grant).await?;
    if !found.takes_pushes() {
        return Ok(Settled::Done);
    }
    let upstreams = store::project::upstreams(&mut rows, &found.project).await?;
    let lines = store::project::lines(&mut rows, &found.project).await?;
    let ready = store::case::remote_at(&mut rows, &grant).await?.is_some();
    drop(rows);
    for upstream in &upstreams {
        if !app.git.exists(&Repo::Mirror(upstream.id)) {
            let again = app.clock.now() + jiff::SignedDuration::from_secs(5);
            return Ok(Settled::Retry(again, format!("the mirror of {} is not there yet", upstream.id)));
        }
        let names: Vec<LineName> =
            lines.iter().filter(|line| line.upstream == upstream.id).map(|line| line.name.clone()).collect();
        if app.git.exists(&Repo::Case(case.clone(), upstream.id)) {
            app.git.refresh_case(case, upstream.id, &names).await?;
        } else {
            app.git.create_case(case, upstream.id, &names).await?;
        }
    }
    if !ready {
        let mut tx = app.begin("remote.ready").await?;
        let grant = open(&mut tx, &actor, case, Action::Maintain).await?;
        store::case::remote_ready(&mut tx, &grant).await?;
        tx.note(&actor, &Event::of_case(EventKind::RemoteMade, case, format!("{} repositories", upstreams.len())))
            .await?;
        app.commit(tx).await?;
    }
    Ok(Settled::Done)
}

async fn upstream(rows: &mut impl Rows, project: &crate::domain::id::ProjectId, name: &RepoName) -> Result<UpstreamId> {
    let found = store::project::upstreams(rows, project).await?;
    found.into_iter().find(|upstream| &upstream.name == name).map(|upstream| upstream.id).ok_or(Error::NotFound)
}
