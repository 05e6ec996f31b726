//! Fixes as members and as readiness see them, and their approval at a commit.

use super::readiness::Layout;
use super::told::Said;
use super::{Error, Result, open};
use crate::app::App;
use crate::domain::access::{Action, Grant, Holder};
use crate::domain::actor::Actor;
use crate::domain::advisory::Advisory;
use crate::domain::candidate::RunFacts;
use crate::domain::case::Case;
use crate::domain::fix::{Approval, Fix, FixKind};
use crate::domain::id::CaseId;
use crate::domain::project::{Line, TeamKind, Upstream};
use crate::domain::readiness::{Checks, FixFacts};
use crate::domain::refusal::Refusal;
use crate::domain::release::Release;
use crate::domain::repo::{CommitId, LineName, RepoName};
use crate::domain::text::shown;
use crate::git::Repo;
use crate::store::{self, Tx};
use crate::wire::case::FixView;

/// Approves the fix of a line, or its tests, at this commit, which must be its head.
pub async fn approve(
    app: &App,
    actor: &Actor,
    case: &CaseId,
    (repository, name, kind): (Option<&RepoName>, &LineName, FixKind),
    head: &CommitId,
) -> Result<()> {
    let mut tx = app.begin("fix.approve").await?;
    let grant = open(&mut tx, actor, case, Action::ApproveFix).await?;
    let found = store::case::get(&mut tx, &grant).await?;
    let layout = Layout::of(&mut tx, &found.project).await?;
    let (line, _) = layout.named(repository, name)?;
    let fix = store::fix::of_kind(&mut tx, &grant, kind).await?.into_iter().find(|fix| fix.line == line.id);
    let fix = fix.ok_or_else(|| Refusal::moment(format!("Nothing is pushed to {kind}/{} yet.", line.name)))?;
    let team = team(app, &found);
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let now = tx.now();
    let pushers = store::push::pushers(&mut tx, &grant, (line, kind)).await?;
    let change = fix.approve(head, (person, &pushers), team, now)?;
    store::fix::approve(&mut tx, &grant, fix.id, change).await?;
    super::rehearsal::rehearse_open(&mut tx, &found.project).await?;
    Ok(app.commit(tx).await?)
}

/// Lists the fixes of a case as its members see them, one entry per line of the project, then the tests that follow later.
pub(super) async fn views(app: &App, tx: &mut Tx, grant: &Grant, case: &Case) -> Result<Vec<FixView>> {
    let upstreams = store::project::upstreams(tx, &case.project).await?;
    let lines = store::project::lines(tx, &case.project).await?;
    let mut fixes = store::fix::of_case(tx, grant).await?;
    fixes.extend(store::fix::tests_of_case(tx, grant).await?);
    let marks = store::mark::of_case(tx, grant).await?;
    let seats = store::member::of_case(tx, grant).await?;
    let needed = needed(app, case);
    let team = app.config.project(&case.project).map_or(TeamKind::Several, |settings| settings.team);
    let now = tx.now();
    let named = |person: crate::domain::id::PersonId| {
        seats
            .iter()
            .find(|seat| seat.holder == Holder::Person(person))
            .and_then(|seat| seat.person.as_ref().map(|(handle, _)| format!("@{handle}")))
            .unwrap_or_else(|| "a former member".to_owned())
    };
    let mut views = Vec::new();
    let held = fixes.iter().filter(|fix| fix.kind == FixKind::Tests && fix.head.is_some()).map(|fix| fix.line);
    let held = held.filter_map(|id| lines.iter().find(|line| line.id == id).cloned());
    let held: Vec<_> = held.map(|line| (line, FixKind::Tests)).collect();
    for (line, kind) in lines.into_iter().map(|line| (line, FixKind::Fix)).chain(held) {
        let repository =
            upstreams.iter().find(|u| u.id == line.upstream).map(|u| u.name.to_string()).unwrap_or_default();
        let standing = marks.iter().find(|mark| mark.line == line.id).map(|mark| mark.standing);
        let fix = fixes.iter().find(|fix| fix.line == line.id && fix.kind == kind);
        let Some((fix, head)) = fix.and_then(|fix| fix.head.as_ref().map(|head| (fix, head))) else {
            views.push(FixView {
                line: line.name.to_string(),
                kind,
                repository,
                standing,
                head: None,
                subject: None,
                pushed_by: None,
                approved_by: Vec::new(),
                approved: false,
                may_approve: false,
                checks: "none".to_owned(),
                checks_note: String::new(),
                run: None,
                waived_by: None,
                may_waive: false,
            });
            continue;
        };
        let approvals = store::fix::approvals(tx, grant, fix.id).await?;
        let may_approve = may_approve(app, tx, grant, (case, &line, fix)).await?;
        let given = approvals.iter().filter(|approval| &approval.head == head);
        let run = store::check::newest(tx, grant, line.id, head).await?;
        let waived = store::advisory::waived(tx, grant, fix.id, head).await?;
        let pushers = store::push::pushers(tx, grant, (&line, kind)).await?;
        let reviewer = grant.actor().person().filter(|_| grant.also(Action::ApproveFix));
        let checks = run.as_ref().map(|run| run.state);
        let may_waive =
            reviewer.is_some_and(|person| waived.is_none() && fix.may_waive((person, &pushers), team, checks).is_ok());
        views.push(FixView {
            line: line.name.to_string(),
            kind,
            repository,
            standing,
            head: Some(head.to_string()),
            subject: None,
            pushed_by: fix.pushed_by.map(named),
            may_approve: may_approve && given.clone().all(|approval| grant.actor().person() != Some(approval.person)),
            approved_by: given.map(|approval| named(approval.person)).collect(),
            approved: fix.approved(&approvals, needed, now),
            checks: run.as_ref().map_or_else(|| "none".to_owned(), |run| run.state.to_string()),
            checks_note: run.as_ref().map(|run| run.note.clone()).unwrap_or_default(),
            run: run.map(|run| run.id.to_string()),
            waived_by: waived.map(named),
            may_waive,
        });
    }
    Ok(views)
}

/// Adds the subjects of the heads, read from git after the transaction.
pub(super) async fn name_heads(app: &App, case: &CaseId, upstreams: &[Upstream], views: &mut [FixView]) {
    for view in views {
        let upstream = upstreams.iter().find(|upstream| upstream.name.as_str() == view.repository);
        let head = view.head.as_deref().and_then(|head| head.parse::<CommitId>().ok());
        if let (Some(upstream), Some(head)) = (upstream, head) {
            let repo = Repo::Case(case.clone(), upstream.id);
            view.subject = app.git.commit(&repo, &head).await.ok().map(|commit| shown(&commit.title));
        }
    }
}

/// Says what about a case's fixes waits for this member.
pub(super) async fn needs(app: &App, tx: &mut Tx, grant: &Grant, case: &Case) -> Result<Vec<String>> {
    let lines = store::project::lines(tx, &case.project).await?;
    let fixes = store::fix::of_case(tx, grant).await?;
    let marks = store::mark::of_case(tx, grant).await?;
    let needed = needed(app, case);
    let mut needs = Vec::new();
    for line in lines {
        if marks.iter().any(|mark| mark.line == line.id && !mark.standing.wants_a_fix()) {
            continue;
        }
        let fix = fixes.iter().find(|fix| fix.line == line.id && fix.head.is_some());
        let Some(fix) = fix else {
            needs.push(format!("Push a fix to fix/{}", line.name));
            continue;
        };
        let approvals: Vec<Approval> = store::fix::approvals(tx, grant, fix.id).await?;
        if !fix.approved(&approvals, needed, tx.now()) && may_approve(app, tx, grant, (case, &line, fix)).await? {
            needs.push(format!("Review fix/{}", line.name));
        }
    }
    let lines = store::project::lines(tx, &case.project).await?;
    for tests in store::fix::tests_of_case(tx, grant).await?.iter().filter(|tests| tests.head.is_some()) {
        let Some(line) = lines.iter().find(|line| line.id == tests.line) else { continue };
        let approvals: Vec<Approval> = store::fix::approvals(tx, grant, tests.id).await?;
        if !tests.approved(&approvals, needed, tx.now()) && may_approve(app, tx, grant, (case, line, tests)).await? {
            needs.push(format!("Review tests/{}", line.name));
        }
    }
    Ok(needs)
}

/// Tells whether the grant's holder could approve a fix now.
async fn may_approve(app: &App, tx: &mut Tx, grant: &Grant, which: (&Case, &Line, &Fix)) -> Result<bool> {
    let (case, line, fix) = which;
    let Some(person) = grant.actor().person().filter(|_| grant.also(Action::ApproveFix)) else { return Ok(false) };
    let pushers = store::push::pushers(tx, grant, (line, fix.kind)).await?;
    Ok(fix.may_approve((person, &pushers), team(app, case), tx.now()).is_ok())
}

fn team(app: &App, case: &Case) -> TeamKind {
    app.config.project(&case.project).map_or(TeamKind::Several, |settings| settings.team)
}

fn needed(app: &App, case: &Case) -> usize {
    app.config.project(&case.project).map_or(1, |settings| settings.approvals)
}

/// Collects the fixes of a case on the lines that the release moves: those it has, and those that its marks or its draft say it
/// needs and that come with no older line.
pub(super) async fn facts(
    app: &App,
    tx: &mut Tx,
    grant: &Grant,
    plan: (&Release, &Layout),
    said: &Said<'_>,
) -> Result<Vec<FixFacts>> {
    let ((release, layout), Said { draft, marks, fixes: known }) = (plan, said);
    let mut facts: Vec<FixFacts> = Vec::new();
    let mut places = release.targets.iter().map(|target| layout.place(target)).collect::<Result<Vec<_>>>()?;
    for line in super::forward::onward(app, layout, release) {
        places.extend(
            layout.upstreams.iter().find(|upstream| upstream.id == line.upstream).map(|upstream| (line, upstream)),
        );
    }
    for (line, upstream) in places {
        if facts.iter().any(|fix| fix.line == line.id) {
            continue;
        }
        let marked = marks.iter().find(|mark| mark.line == line.id).map(|mark| mark.standing.wants_a_fix());
        let affected = marked.unwrap_or_else(|| {
            let told = |draft: &Advisory| draft.told_of(&upstream.name, &line.name).next().is_some();
            draft.is_none_or(|draft| draft.affected.is_empty() || told(draft))
        });
        let fix = known.iter().find(|fix| fix.line == line.id && fix.head.is_some());
        let Some((fix, head)) = fix.and_then(|fix| fix.head.as_ref().map(|head| (fix, head))) else {
            let pushed = |line: &Line| known.iter().any(|fix| fix.line == line.id && fix.head.is_some());
            let comes = super::forward::sources(app, layout, release, line.id).into_iter().any(pushed);
            if affected && !comes {
                facts.push(FixFacts {
                    line: line.id,
                    name: line.name.clone(),
                    head: None,
                    pusher: None,
                    approvals: Vec::new(),
                    checks: Checks::Missing,
                    run: None,
                });
            }
            continue;
        };
        let approvals = store::fix::approvals(tx, grant, fix.id).await?;
        let run = store::check::newest(tx, grant, line.id, head).await?;
        let waived = store::advisory::waived(tx, grant, fix.id, head).await?.is_some();
        facts.push(FixFacts {
            line: line.id,
            name: line.name.clone(),
            head: Some(head.clone()),
            pusher: fix.pushed_by,
            approvals: approvals
                .into_iter()
                .filter(|approval| &approval.head == head)
                .map(|approval| (approval.person, approval.counts_at))
                .collect(),
            checks: Checks::of(run.as_ref().map(|run| run.state), waived),
            run: run.map(|run| RunFacts { id: run.id, base: run.base, note: run.note }),
        });
    }
    Ok(facts)
}
