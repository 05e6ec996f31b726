//! What people say of a case on a line, and what the public history suggests they say.

use super::readiness::Layout;
use super::{Error, Result, open};
use crate::app::App;
use crate::domain::access::{Action, Grant};
use crate::domain::actor::Actor;
use crate::domain::id::{CaseId, LineId, PersonId};
use crate::domain::mark::{Mark, Place, Standing};
use crate::domain::project::{Line, Upstream};
use crate::domain::refusal::Refusal;
use crate::domain::repo::CommitId;
use crate::git::history::Carried;
use crate::git::{self, Repo};
use crate::store::{self, Tx};
use crate::wire::case::{MarkRequest, SuggestionView};

/// Says how a line stands to the flaw of the case. What it means for a release shows whenever that is looked at.
pub async fn set(app: &App, actor: &Actor, case: &CaseId, wish: &MarkRequest) -> Result<()> {
    let mut tx = app.begin("mark.set").await?;
    let grant = open(&mut tx, actor, case, Action::MarkLines).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let found = store::case::get(&mut tx, &grant).await?;
    let layout = Layout::of(&mut tx, &found.project).await?;
    let (line, _) = layout.named(wish.repository.as_ref(), &wish.line)?;
    let fixes = store::fix::of_case(&mut tx, &grant).await?;
    let fix = fixes.iter().find(|fix| fix.line == line.id);
    let change = Mark::set(Place { case: &found, line, fix }, wish.standing, person, tx.now())?;
    store::mark::save(&mut tx, &grant, change).await?;
    Ok(app.commit(tx).await?)
}

/// Takes a push to the fix of a line, in the transaction that settles it.
pub(super) async fn pushed(tx: &mut Tx, grant: &Grant, line: LineId, person: PersonId) -> Result<()> {
    let marks = store::mark::of_case(tx, grant).await?;
    let before = marks.iter().find(|mark| mark.line == line);
    match Mark::pushed(before, (grant.case(), line), person, tx.now()) {
        Some(change) => Ok(store::mark::save(tx, grant, change).await?),
        None => Ok(()),
    }
}

/// Says for each line whether the commit that is thought to have brought the flaw is in its history. Changes nothing.
pub async fn suggest(app: &App, actor: &Actor, case: &CaseId, introduced: &CommitId) -> Result<Vec<SuggestionView>> {
    let mut rows = app.read().await?;
    let grant = open(&mut rows, actor, case, Action::ReadTeam).await?;
    let found = store::case::get(&mut rows, &grant).await?;
    let layout = Layout::of(&mut rows, &found.project).await?;
    let marks = store::mark::of_case(&mut rows, &grant).await?;
    drop(rows);
    let mut views = Vec::new();
    let mut known = false;
    for line in &layout.lines {
        let Some(upstream) = layout.upstreams.iter().find(|upstream| upstream.id == line.upstream) else { continue };
        let (suggested, why) = match look(app, (line, upstream), introduced).await? {
            Look::NoLine => (None, "The line is not in the mirror.".to_owned()),
            Look::NoCommit => (Some(Standing::NotAffected), "The commit is not in this repository.".to_owned()),
            Look::Found(carried) => {
                known = true;
                said(&carried, introduced)
            }
        };
        views.push(SuggestionView {
            line: line.name.clone(),
            repository: upstream.name.clone(),
            standing: marks.iter().find(|mark| mark.line == line.id).map(|mark| mark.standing),
            suggested,
            why,
        });
    }
    if !known {
        let sentence = "No public repository of this project knows this commit: name one of a public branch, in full.";
        return Err(Refusal::input(sentence).into());
    }
    Ok(views)
}

/// What the mirror knows of a commit on a line.
enum Look {
    NoLine,
    NoCommit,
    Found(Carried),
}

async fn look(app: &App, place: (&Line, &Upstream), introduced: &CommitId) -> Result<Look> {
    let (line, upstream) = place;
    let mirror = Repo::Mirror(upstream.id);
    if !app.git.exists(&mirror) {
        return Ok(Look::NoLine);
    }
    let Some(tip) = app.git.resolve(&mirror, &line.branch()).await? else { return Ok(Look::NoLine) };
    match app.git.carried(&mirror, introduced, &tip).await {
        Ok(carried) => Ok(Look::Found(carried)),
        Err(git::Error::Missing) => Ok(Look::NoCommit),
        Err(error) => Err(error.into()),
    }
}

fn said(carried: &Carried, introduced: &CommitId) -> (Option<Standing>, String) {
    let id = introduced.short();
    match carried {
        Carried::Itself => (Some(Standing::Affected), format!("{id} is in its history.")),
        Carried::Picked(copy) => (Some(Standing::Affected), format!("{} was picked from {id}.", copy.short())),
        Carried::Nowhere => (
            Some(Standing::NotAffected),
            format!("{id} is not in its history, and no commit says it was picked from it: look at the code, too."),
        ),
    }
}
