//! A push, judged while its objects are in quarantine and settled when its refs stand.
//!
//! Guards: the hook shows a ticket and names nothing else; the actor is admitted again at every step; what a push is about
//! to do is written down before git is told yes. Any doubt refuses.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{Error, Result, open, open_owner};
use crate::app::{App, PushTicket};
use crate::domain::access::{Action, Grant, Holder};
use crate::domain::actor::{Actor, Chore};
use crate::domain::event::EventKind;
use crate::domain::fix::FixKind;
use crate::domain::id::{CheckRunId, FixId, LineId, ReleaseId, UpstreamId};
use crate::domain::job::Job;
use crate::domain::lint::LintPolicy;
use crate::domain::owner::{Owner, Pass};
use crate::domain::project::Line;
use crate::domain::push::{Places, PushLimits, PushPolicy, verdict};
use crate::domain::release::ReleaseState;
use crate::domain::repo::{CommitId, RefName, RefUpdate};
use crate::domain::report::ReportBody;
use crate::domain::template::Template;
use crate::git::Repo;
use crate::store::push::Push;
use crate::store::{self, Rows, Tx};
use crate::wire::hook::{HookAnswer, HookCall, HookName};

const UNREADABLE: &str = "This push could not be looked into, perhaps because it names an object that was not sent: push again, and \
    tell the operator if it stays.";

/// Answers a hook. Whatever goes wrong refuses the push.
pub async fn hook(app: &App, call: HookCall) -> HookAnswer {
    let Some(ticket) = app.tickets.get(&call.ticket) else {
        return refused(vec!["This push is not known to the server: push again.".to_owned()]);
    };
    let answered = match call.hook {
        HookName::PreReceive => judge(app, &ticket, call).await,
        HookName::PostReceive => settle(app, &ticket).await,
    };
    match answered {
        Ok(answer) => answer,
        Err(Error::Refused(refusal)) => refused(vec![refusal.to_string()]),
        Err(error) => {
            // What went wrong may name commits of a case: the log gets the kind alone.
            let kind = std::mem::discriminant(&error);
            tracing::warn!(push = %ticket.push, ?kind, "a push was refused because it could not be looked into");
            refused(vec![UNREADABLE.to_owned()])
        }
    }
}

/// Judges a push in quarantine; accepted, it is written down as intended before git moves a ref.
async fn judge(app: &App, ticket: &PushTicket, call: HookCall) -> Result<HookAnswer> {
    let mut rows = app.read().await?;
    let pass = open_owner(&mut rows, &ticket.actor, &ticket.owner, Action::Push).await?;
    let policy = policy(app, &mut rows, &pass, ticket.upstream).await?;
    drop(rows);
    let policy = PushPolicy { lint: lint(app, &pass).await?, ..policy };
    if call.updates.len() > policy.limits.refs {
        let limit = policy.limits.refs;
        return Ok(refused(vec![format!("One push moves at most {limit} refs: push in smaller parts.")]));
    }
    let repo = Repo::of(&ticket.owner, ticket.upstream);
    let quarantine = call.quarantine.map(Into::into);
    let facts = app.git.inspect(&repo, quarantine, call.updates.clone(), policy.clone()).await?;
    let notes = match verdict(&policy, &facts) {
        Ok(notes) => notes,
        Err(refusals) => {
            let event = ticket.owner.event(EventKind::PushRefused, ticket.push.to_string());
            super::note(app, &ticket.actor, &event).await?;
            return Ok(refused(refusals.iter().map(ToString::to_string).collect()));
        }
    };
    let mut tx = app.begin("push.intend").await?;
    // Admitted again: the inspection may have taken long, and a seat may be gone by now.
    let pass = open_owner(&mut tx, &ticket.actor, &ticket.owner, Action::Push).await?;
    takes_pushes(&mut tx, &pass).await?;
    let Some(person) = ticket.actor.person() else { return Err(Error::NotFound) };
    let push = Push {
        id: ticket.push,
        owner: ticket.owner.clone(),
        upstream: ticket.upstream,
        person,
        intended_at: tx.now(),
        // Only fixes, their tests and candidates are settled. The name of a trial may say what is being fixed: it is written nowhere.
        updates: call.updates.into_iter().filter(|update| is_settled(&update.name)).collect(),
    };
    store::push::intend(&mut tx, &pass, &push).await?;
    app.commit(tx).await?;
    app.crash.pass("push:intended");
    Ok(HookAnswer { accepted: true, lines: notes.iter().map(ToString::to_string).collect() })
}

/// Settles a push after its refs moved: new heads, and the checks they ask for.
async fn settle(app: &App, ticket: &PushTicket) -> Result<HookAnswer> {
    let mut rows = app.read().await?;
    let push = store::push::intended(&mut rows, ticket.push).await?;
    drop(rows);
    app.crash.pass("push:moved");
    let Some(push) = push else { return Ok(HookAnswer { accepted: true, lines: Vec::new() }) };
    let queued = settle_one(app, &push).await?;
    if let Owner::Release(release) = &push.owner {
        let line = format!("What speaks for it: {}", app.url(&format!("/releases/{release}")));
        return Ok(HookAnswer { accepted: true, lines: vec![line] });
    }
    let lines = queued.into_iter().map(|run| app.url(&format!("/checks/{run}"))).map(|url| format!("Checks: {url}"));
    Ok(HookAnswer { accepted: true, lines: lines.collect() })
}

/// Settles pushes whose post-receive was lost: what stands in the repository decides.
pub async fn sweep(app: &App) -> Result<()> {
    let mut rows = app.read().await?;
    let before = app.clock.now() - SignedDuration::from_secs(60);
    let lost = store::push::unsettled(&mut rows, before).await?;
    drop(rows);
    for push in lost {
        settle_one(app, &push).await?;
    }
    Ok(())
}

/// Settles every push that a killed server left behind: called at the start, when no push runs.
pub async fn settle_all(app: &App) -> Result<()> {
    let mut rows = app.read().await?;
    let left = store::push::unsettled(&mut rows, jiff::Timestamp::MAX).await?;
    drop(rows);
    for push in left {
        settle_one(app, &push).await?;
    }
    Ok(())
}

async fn settle_one(app: &App, push: &Push) -> Result<Vec<CheckRunId>> {
    let actor = Actor::System(Chore::Settle);
    let repo = Repo::of(&push.owner, push.upstream);
    let mut stands = Vec::new();
    for update in &push.updates {
        let Ok(name) = update.name.parse::<RefName>() else { continue };
        let head = match app.git.resolve(&repo, &name).await {
            Ok(head) => head.unwrap_or_else(CommitId::zero),
            // The repository of a release is made anew when a case leaves it: what was pushed there is gone.
            Err(crate::git::Error::NoRepository) => CommitId::zero(),
            Err(error) => return Err(error.into()),
        };
        if head == update.new {
            stands.push(update.clone());
        }
    }
    // Git is asked before the write is open.
    let tips = public_tips(app, push).await?;
    let mut tx = app.begin("push.settle").await?;
    let pass = open_owner(&mut tx, &actor, &push.owner, Action::Maintain).await?;
    let came_true = push.updates.is_empty() || !stands.is_empty();
    store::push::settle(&mut tx, &actor, push, came_true).await?;
    let mut queued = Vec::new();
    match &pass {
        Pass::Case(grant) => {
            let project = store::case::get(&mut tx, grant).await?.project;
            let lines = store::project::lines(&mut tx, &project).await?;
            for update in &stands {
                let Some(line) = fixed_line(&lines, push, &update.name) else { continue };
                queued.extend(revise(app, &mut tx, grant, (push, line, update, tips.get(&line.id))).await?);
            }
            super::rehearsal::rehearse_open(&mut tx, &project).await?;
        }
        Pass::Release(release, grants) => {
            super::candidate::offer(&mut tx, (release, grants), push, &stands).await?;
            let now = tx.now();
            store::job::queue(&mut tx, &Job::Rehearse { release: release.id.clone() }, now).await?;
        }
    }
    app.commit(tx).await?;
    Ok(queued)
}

async fn public_tips(app: &App, push: &Push) -> Result<BTreeMap<LineId, CommitId>> {
    let mut tips = BTreeMap::new();
    let mut rows = app.read().await?;
    let pass = open_owner(&mut rows, &Actor::System(Chore::Settle), &push.owner, Action::Maintain).await?;
    let Pass::Case(grant) = &pass else { return Ok(tips) };
    let project = store::case::get(&mut rows, grant).await?.project;
    let lines = store::project::lines(&mut rows, &project).await?;
    drop(rows);
    for line in lines.into_iter().filter(|line| line.upstream == push.upstream) {
        if let Some(tip) = app.git.resolve(&Repo::Mirror(push.upstream), &line.branch()).await? {
            tips.insert(line.id, tip);
        }
    }
    Ok(tips)
}

async fn revise(
    app: &App,
    tx: &mut Tx,
    grant: &Grant,
    moved: (&Push, &Line, &RefUpdate, Option<&CommitId>),
) -> Result<Option<CheckRunId>> {
    let (push, line, update, base) = moved;
    let kind = kind_of(update);
    let fix = store::fix::of_line(tx, grant, (line.id, kind), app.mint::<FixId>()).await?;
    let head = (!update.new.is_zero()).then(|| update.new.clone());
    let now = tx.now();
    store::fix::save(tx, grant.actor(), fix.revise(head.clone(), push.person, now)).await?;
    if head.is_some() && kind == FixKind::Fix {
        super::mark::pushed(tx, grant, line.id, push.person).await?;
    }
    match head {
        Some(head) => {
            let base = base.cloned().unwrap_or_else(CommitId::zero);
            super::check::queue(app, tx, grant, (line, &head, base)).await.map(Some)
        }
        None => Ok(None),
    }
}

async fn policy(app: &App, rows: &mut impl Rows, pass: &Pass, upstream: UpstreamId) -> Result<PushPolicy> {
    let (places, frozen_in) = match pass {
        Pass::Case(grant) => (places(app, rows, grant, upstream).await?, frozen_in(rows, grant).await?),
        Pass::Release(release, grants) => {
            (Places::Release(super::candidate::wanted(app, rows, (release, grants), upstream).await?), None)
        }
    };
    Ok(PushPolicy { places, frozen_in, limits: PushLimits::default(), lint: LintPolicy::default() })
}

/// Puts together what would tell too much in a push: the project's lists, this server, and who reported.
async fn lint(app: &App, pass: &Pass) -> Result<LintPolicy> {
    let grants = match pass {
        Pass::Case(grant) => std::slice::from_ref(grant),
        Pass::Release(_, grants) => grants.each(),
    };
    let mut tx = app.begin("push.lint").await?;
    let mut reporters = Vec::new();
    let mut project = None;
    for grant in grants {
        // The server looks: whoever pushes learns nothing of it but that an address stands where it should not.
        let grant = open(&mut tx, &Actor::System(Chore::Settle), grant.case(), Action::Maintain).await?;
        project = Some(store::case::get(&mut tx, &grant).await?.project);
        let unsealing = app.unsealing(&mut tx, &grant).await?;
        for report in store::report::of_case(&mut tx, &grant).await? {
            let body: ReportBody = unsealing.open(("report", "body"), &report.id.to_string(), &report.body)?;
            reporters.extend(body.contact.map(|contact| contact.as_str().to_owned()));
        }
        // A reporter may give an address that is a member's: that one is known here.
        for seat in store::member::of_case(&mut tx, &grant).await? {
            let Holder::Person(person) = seat.holder else { continue };
            let known = store::account::find(&mut tx, person).await?.and_then(|person| person.email);
            reporters.retain(|one| known.as_ref().is_none_or(|known| !known.as_str().eq_ignore_ascii_case(one)));
        }
    }
    app.commit(tx).await?;
    reporters.retain(|address| address.rsplit('@').next().is_some_and(|host| host.contains('.')));
    let Some(settings) = project.and_then(|project| app.config.project(&project)) else {
        return Ok(LintPolicy { reporters, ..LintPolicy::default() });
    };
    let mut policy = settings.lint.policy();
    let server = app.config.base_url.as_str().split("://").nth(1).map(str::to_owned);
    policy.hosts.extend(server);
    policy.riders = settings.messages.riders.iter().filter_map(Template::key).collect();
    Ok(LintPolicy { prefix: Some(settings.prefix.clone()), reporters, ..policy })
}

/// Finds the release that was frozen with the fixes of a case, and is not public.
async fn frozen_in(rows: &mut impl Rows, grant: &Grant) -> Result<Option<ReleaseId>> {
    let fixed = |release: &store::release::Listed| match release.state {
        ReleaseState::Frozen | ReleaseState::Armed | ReleaseState::Running | ReleaseState::Held => true,
        ReleaseState::Planned | ReleaseState::Done | ReleaseState::Abandoned => false,
    };
    Ok(store::release::of_case(rows, grant).await?.into_iter().find(fixed).map(|release| release.id))
}

async fn places(app: &App, rows: &mut impl Rows, grant: &Grant, upstream: UpstreamId) -> Result<Places> {
    let found = store::case::get(rows, grant).await?;
    let lines = store::project::lines(rows, &found.project).await?;
    let needed = app.config.project(&found.project).map_or(1, |settings| settings.approvals);
    let (mut approved, mut tested) = (Vec::new(), Vec::new());
    let mut branches = store::fix::of_case(rows, grant).await?;
    branches.extend(store::fix::tests_of_case(rows, grant).await?);
    for fix in branches {
        let approvals = store::fix::approvals(rows, grant, fix.id).await?;
        let Some(line) = lines.iter().find(|line| line.id == fix.line) else { continue };
        if line.upstream == upstream && fix.approved(&approvals, needed, app.clock.now()) {
            match fix.kind {
                FixKind::Fix => approved.push(line.name.clone()),
                FixKind::Tests => tested.push(line.name.clone()),
            }
        }
    }
    let lines = lines.into_iter().filter(|line| line.upstream == upstream).map(|line| line.name).collect();
    Ok(Places::Case { lines, approved, tested })
}

/// Checks that the owner still takes pushes.
pub(super) async fn takes_pushes(rows: &mut impl Rows, pass: &Pass) -> Result<()> {
    match pass {
        Pass::Case(grant) => {
            let case = store::case::get(rows, grant).await?;
            case.open_to_pushes()?;
            // From the moment its release runs, before the case itself is told: what is pushed then would be in no release.
            if store::release::discloses(rows, grant).await? { Err(case.archived().into()) } else { Ok(()) }
        }
        Pass::Release(release, _) => Ok(release.takes_candidates()?),
    }
}

fn fixed_line<'a>(lines: &'a [Line], push: &Push, name: &str) -> Option<&'a Line> {
    let name: RefName = name.parse().ok()?;
    let fixed = name.fixed_line().or_else(|| name.tested_line())?;
    lines.iter().find(|line| line.upstream == push.upstream && line.name == fixed)
}

/// Tells from its name what a branch of a case holds.
fn kind_of(update: &RefUpdate) -> FixKind {
    let tests = update.name.parse::<RefName>().is_ok_and(|name| name.tested_line().is_some());
    if tests { FixKind::Tests } else { FixKind::Fix }
}

fn is_settled(name: &str) -> bool {
    let settled = |name: RefName| name.fixed_line().or_else(|| name.tested_line()).or_else(|| name.candidate_line());
    name.parse().is_ok_and(|name| settled(name).is_some())
}

fn refused(lines: Vec<String>) -> HookAnswer {
    HookAnswer { accepted: false, lines }
}
