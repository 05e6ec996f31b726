//! Candidates of a release: what is known of them, what people push in place of a merge, and who approves that.
//!
//! Guards: what a push has to hold is read when it is judged, not when it was begun; a settled push is offered to the next
//! rehearsal and ships nothing by itself. Leaves the merge to `rehearsal`, the transport of pushes to `push` and `remote`.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::readiness::Layout;
use super::{Error, Result, open_owner};
use crate::app::App;
use crate::domain::access::{Action, Grants};
use crate::domain::actor::Actor;
use crate::domain::candidate::{CandidateChecks, CandidateFacts, Held, LineTree, Offered, Part, Pushed, Wanted};
use crate::domain::id::{PersonId, ReleaseId, UpstreamId};
use crate::domain::owner::{Owner, Pass};
use crate::domain::project::{Line, TeamKind};
use crate::domain::readiness::{Checks, Facts};
use crate::domain::rehearsal::{Candidate, Maker, Rehearsal, Target};
use crate::domain::release::Release;
use crate::domain::repo::{CommitId, LineName, RefName, RefUpdate, RepoName};
use crate::git::Repo;
use crate::store::push::Push;
use crate::store::{self, Rows, Tx};
use crate::wire::release::CandidateView;

/// Gathers what is known of one target's candidate beyond the rehearsal.
pub(super) async fn facts(
    rows: &mut impl Rows,
    of: (&Release, &Grants),
    (layout, line): (&Layout, &Line),
    (target, tree): (&Target, LineTree),
) -> Result<CandidateFacts> {
    let mut beside = Vec::new();
    if let Rehearsal::Candidate(candidate) = &target.rehearsal {
        for (line, moved) in super::forward::beside(layout, target, candidate) {
            let run = store::check::newest(rows, &of, line, &moved.new).await?.filter(|run| run.base == moved.old);
            beside.push((moved.branch.clone(), Checks::of(run.map(|run| run.state), false)));
        }
    }
    let run = match &target.rehearsal {
        Rehearsal::Candidate(candidate) => {
            let newest = store::check::newest(rows, &of, line.id, candidate.tagged()).await?;
            newest.filter(|run| run.base == candidate.base)
        }
        Rehearsal::None | Rehearsal::Trouble { .. } => None,
    };
    let own = match (&target.rehearsal, tree) {
        (Rehearsal::Candidate(candidate), LineTree::Apart) => {
            let run = store::check::newest(rows, &of, line.id, &candidate.commit).await?;
            Some(Checks::of(run.filter(|run| run.base == candidate.base).map(|run| run.state), false))
        }
        (Rehearsal::Candidate(_), LineTree::AsTagged) | (Rehearsal::None | Rehearsal::Trouble { .. }, _) => None,
    };
    let built = match &target.rehearsal {
        Rehearsal::Candidate(candidate) if candidate.bumped => {
            let given = store::candidate::approvals(rows, of, line.id, &candidate.commit).await?;
            given.into_iter().map(|approval| (approval.person, approval.counts_at)).collect()
        }
        Rehearsal::Candidate(_) | Rehearsal::None | Rehearsal::Trouble { .. } => Vec::new(),
    };
    let offered = match store::candidate::of_line(rows, of, line.id).await? {
        Some(pushed) => {
            let pushers = store::push::candidate_pushers(rows, &of.0.id, line).await?;
            let given = store::candidate::approvals(rows, of, line.id, &pushed.head).await?;
            let approvals = given.into_iter().map(|approval| (approval.person, approval.counts_at)).collect();
            Some(Offered { pushed, pushers, approvals })
        }
        None => None,
    };
    Ok(CandidateFacts { run: run.map(|run| (run.id, run.state)), own, beside, offered, built })
}

/// Says what a pushed candidate of each line that ships in a repository has to hold now.
pub(super) async fn wanted(
    app: &App,
    rows: &mut impl Rows,
    of: (&Release, &Grants),
    upstream: UpstreamId,
) -> Result<Vec<Wanted>> {
    let (release, grants) = of;
    let layout = Layout::of(rows, &release.project).await?;
    let mut all: Vec<Wanted> = Vec::new();
    for target in release.targets.iter().filter(|target| target.upstream == upstream) {
        let (line, _) = layout.place(target)?;
        if all.iter().any(|wanted| wanted.line == line.name) {
            continue;
        }
        let tip = app.git.resolve(&Repo::Mirror(upstream), &line.branch()).await?;
        let mut holds = vec![Held { part: Part::Line, commit: tip }];
        for case in &release.cases {
            let grant = grants.each().iter().find(|grant| grant.case() == case).ok_or(Error::NotFound)?;
            let fixes = store::fix::of_case(rows, grant).await?;
            let head = fixes.into_iter().find(|fix| fix.line == line.id).and_then(|fix| fix.head);
            holds.extend(head.map(|head| Held { part: Part::Fix(case.clone()), commit: Some(head) }));
        }
        let built = Repo::Release(release.id.clone(), upstream);
        for source in super::forward::sources(app, &layout, release, line.id) {
            let there = app.git.exists(&built);
            let commit = if there { app.git.resolve(&built, &RefName::ships(&source.name)).await? } else { None };
            holds.push(Held { part: Part::Shipped(source.name.clone()), commit });
        }
        all.push(Wanted { line: line.name.clone(), holds });
    }
    Ok(all)
}

/// Takes what a settled push left in `candidate/<line>`: the next rehearsal tries it.
pub(super) async fn offer(tx: &mut Tx, of: (&Release, &Grants), push: &Push, moved: &[RefUpdate]) -> Result<()> {
    let (release, _) = of;
    let lines = store::project::lines(tx, &release.project).await?;
    for update in moved {
        let name = update.name.parse::<RefName>().ok().and_then(|name| name.candidate_line());
        let Some(line) = lines.iter().find(|line| line.upstream == push.upstream && Some(&line.name) == name.as_ref())
        else {
            continue;
        };
        if update.new.is_zero() {
            store::candidate::remove(tx, &of, line.id).await?;
            continue;
        }
        let pushed = Pushed {
            release: release.id.clone(),
            line: line.id,
            head: update.new.clone(),
            pushed_by: push.person,
            pushed_at: tx.now(),
        };
        store::candidate::save(tx, &of, &pushed).await?;
    }
    Ok(())
}

/// Approves what was pushed to a line's candidate at this commit, as one who did not push it.
pub async fn approve(
    app: &App,
    actor: &Actor,
    id: &ReleaseId,
    which: (Option<&RepoName>, &LineName),
    head: &CommitId,
) -> Result<()> {
    let mut tx = app.begin("candidate.approve").await?;
    let pass = open_owner(&mut tx, actor, &Owner::from(id), Action::ApproveCandidate).await?;
    let Pass::Release(release, grants) = &pass else { return Err(Error::NotFound) };
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    release.takes_candidates()?;
    let layout = Layout::of(&mut tx, &release.project).await?;
    let (line, _) = layout.named(which.0, which.1)?;
    let of = (&**release, grants);
    let now = tx.now();
    let pushed = store::candidate::of_line(&mut tx, of, line.id).await?;
    let change = match (release.approve_built(line.id, head, person, now), pushed) {
        (Ok(change), _) => change,
        (Err(_), Some(pushed)) => {
            let pushers = store::push::candidate_pushers(&mut tx, id, line).await?;
            pushed.approve(head, (person, &pushers), team(app, release), now)?
        }
        (Err(refusal), None) => return Err(refusal.into()),
    };
    store::candidate::approve(&mut tx, of, line.id, change).await?;
    Ok(app.commit(tx).await?)
}

/// Shows what speaks for a target's candidate, and what a person pushed for its line.
pub(super) async fn view(
    app: &App,
    tx: &mut Tx,
    pass: (&Release, &Grants),
    of: (&Candidate, CandidateChecks, &CandidateFacts),
) -> Result<CandidateView> {
    let ((release, grants), (candidate, checks, known)) = (pass, of);
    let me = grants.each().first().and_then(|grant| grant.actor().person());
    let may = |action: Action| grants.each().iter().all(|grant| grant.also(action));
    let pushed = known
        .offered
        .as_ref()
        .filter(|offered| candidate.maker == Maker::Person && offered.pushed.head == candidate.commit);
    let mut view = CandidateView {
        maker: candidate.maker.to_string(),
        checks: checks.checks.to_string(),
        checks_by: checks.by.to_string(),
        run: checks.run.filter(|_| may(Action::ReadCandidate)).map(|run| run.to_string()),
        may_rerun: may(Action::CheckCandidate) && release.takes_candidates().is_ok(),
        bumped: candidate.bumped,
        pushed_by: None,
        approved_by: Vec::new(),
        may_approve: false,
    };
    if candidate.bumped {
        for (person, _) in &known.built {
            view.approved_by.push(super::release::named(tx, *person).await?);
        }
        let new = me.is_some_and(|me| known.built.iter().all(|(person, _)| *person != me));
        view.may_approve = new && may(Action::ApproveCandidate) && release.takes_candidates().is_ok();
    }
    if let Some(offered) = pushed {
        view.pushed_by = Some(super::release::named(tx, offered.pushed.pushed_by).await?);
        for (person, _) in &offered.approvals {
            view.approved_by.push(super::release::named(tx, *person).await?);
        }
        let new = |me: &PersonId| offered.approvals.iter().all(|(person, _)| person != me);
        let now = tx.now();
        view.may_approve = may(Action::ApproveCandidate)
            && release.takes_candidates().is_ok()
            && me
                .filter(new)
                .is_some_and(|me| offered.pushed.may_approve((me, &offered.pushers), team(app, release), now).is_ok());
    }
    Ok(view)
}

/// Says how long it would take to have the release ready again, from what was measured. Where nothing runs, nothing is waited
/// for; a line without a candidate was never measured.
pub(super) async fn ready_in(
    app: &App,
    tx: &mut Tx,
    of: (&Release, &Grants),
    facts: &Facts,
) -> Result<Option<SignedDuration>> {
    let (release, _) = of;
    let mut lines = BTreeMap::new();
    for (target, known) in release.targets.iter().zip(&facts.targets) {
        let took = match &target.rehearsal {
            Rehearsal::Candidate(candidate) => {
                match release.candidate_checks(candidate, (target, known), facts).checks {
                    Checks::Nothing | Checks::Waived => Some(SignedDuration::ZERO),
                    Checks::Green | Checks::NotRun | Checks::Running | Checks::Failed | Checks::Missing => {
                        store::candidate::check_time(tx, of, target.line).await?
                    }
                }
            }
            Rehearsal::None | Rehearsal::Trouble { .. } => None,
        };
        lines.insert(target.line, took);
    }
    let build = store::candidate::build_time(tx, of).await?;
    let checks: Vec<_> = lines.into_values().collect();
    let ready = crate::domain::candidate::ready_in(build, &checks, app.config.ci.slots);
    // What was never performed on copies is not known to take any time.
    let run = facts.around.dress.as_ref().map_or(SignedDuration::ZERO, |dress| dress.took);
    Ok(ready.map(|ready| ready + run))
}

/// Says that what a person pushed for a line is used no more, where it is not.
pub(super) fn fallen(target: &Target, line: &LineName, known: &CandidateFacts) -> Option<String> {
    let (Rehearsal::Candidate(candidate), Some(head)) = (&target.rehearsal, known.offered_head()) else { return None };
    let sentence = || {
        format!(
            "{}The server's own merge takes its place: to use yours, merge what moved on into it and push again.",
            super::rehearsal::fallen(line, head)
        )
    };
    (candidate.maker == Maker::Server).then(sentence)
}

/// Forgets all that was pushed to and checked for a release whose code may no longer be seen by all who look after it.
pub(super) async fn forget(tx: &mut Tx, of: (&Release, &Grants)) -> Result<()> {
    store::candidate::forget(tx, of).await?;
    Ok(store::check::forget(tx, &of, &of.0.id).await?)
}

fn team(app: &App, release: &Release) -> TeamKind {
    app.config.project(&release.project).map_or(TeamKind::Several, |settings| settings.team)
}
