//! A case's private remote: made when the case is accepted, kept beside the public lines, served to its members. A
//! release's is made by its rehearsals, and served from here by the same rules.

use super::push::takes_pushes;
use super::{Error, Result, open, open_owner};
use crate::app::{App, PushTicket};
use crate::crypto::token::{self, Kind};
use crate::domain::access::Action;
use crate::domain::actor::{Actor, Chore};
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{CaseId, PushId, UpstreamId};
use crate::domain::owner::{Owner, Pass};
use crate::domain::repo::{LineName, RepoName};
use crate::git::Repo;
use crate::git::serve::Service;
use crate::git::ticket::TicketGuard;
use crate::store::job::Settled;
use crate::store::{self, Rows};

/// A git client that was admitted to a repository of a case or release.
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

/// Admits a git client to a repository of a case or release, notes the read, and gives a push its ticket.
///
/// # Errors
/// Unknown, hidden, and unknown repository are the same `NotFound`. So is a release to everybody who does not manage every
/// case of it: it holds the code of all of them.
pub async fn admit(
    app: &App,
    actor: &Actor,
    address: (&Owner, &RepoName),
    service: Service,
    stage: Stage,
) -> Result<Admitted> {
    let (owner, name) = address;
    let mut tx = app.begin("git.admit").await?;
    let action = match service {
        Service::UploadPack => Action::Fetch,
        Service::ReceivePack => Action::Push,
    };
    let pass = match (open_owner(&mut tx, actor, owner, action).await, owner) {
        (Err(Error::Refused(_)), Owner::Release(_)) => return Err(Error::NotFound),
        (pass, _) => pass?,
    };
    let project = match &pass {
        Pass::Case(grant) if store::case::remote_at(&mut tx, grant).await?.is_none() => return Err(Error::NotFound),
        Pass::Case(grant) => store::case::get(&mut tx, grant).await?.project,
        Pass::Release(release, _) => release.project.clone(),
    };
    let upstream = upstream(&mut tx, &project, name).await?;
    let repo = Repo::of(owner, upstream);
    if !app.git.exists(&repo) {
        return Err(Error::NotFound);
    }
    let ticket = match service {
        Service::UploadPack => {
            if stage == Stage::Begins {
                for grant in pass.each() {
                    let read = Event::of_case(EventKind::GitRead, grant.case(), upstream.to_string());
                    tx.note(actor, &Event { release: owner.release().cloned(), ..read }).await?;
                }
            }
            None
        }
        Service::ReceivePack => {
            takes_pushes(&mut tx, &pass).await?;
            if stage == Stage::Begins {
                let push: PushId = app.mint();
                let stands_for = PushTicket { actor: actor.clone(), owner: owner.clone(), upstream, push };
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
