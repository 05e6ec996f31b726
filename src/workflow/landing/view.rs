//! Tests that follow later, as those who may see the release see them.

use super::super::readiness::Layout;
use super::super::{Result, hold, shown_at};
use super::Landing;
use crate::app::App;
use crate::domain::access::Grants;
use crate::domain::id::LineId;
use crate::domain::landing::{LandingState, TestsDue};
use crate::domain::readiness::Facts;
use crate::domain::recipe::Strategy;
use crate::domain::release::Release;
use crate::store::{self, Tx};
use crate::wire::landing::{LandingView, TestsView};

/// Shows what a release holds back, line by line, and what became of it.
pub(in crate::workflow) async fn view(
    app: &App,
    tx: &mut Tx,
    (release, grants): (&Release, &Grants),
    (facts, layout): (&Facts, &Layout),
) -> Result<TestsView> {
    let landings = store::landing::of_release(tx, grants, &release.id).await?;
    let mut lines = Vec::new();
    for line in &layout.lines {
        let held: Vec<_> = release.held(facts).filter(|(_, tests)| tests.branch.line == line.id).collect();
        let landing = landings.iter().find(|landing| landing.line == line.id);
        if held.is_empty() && landing.is_none() {
            continue;
        }
        // What was not approved or not green when a release was disclosed in haste has no landing.
        let left = release.done_at.is_some() && landing.is_none();
        let repository = layout.upstreams.iter().find(|upstream| upstream.id == line.upstream);
        let due = match landing {
            Some(landing) => landing.due_at,
            None => release.tests_due.and_then(|due| due.of(release.due_at)).filter(|_| !left),
        };
        lines.push(LandingView {
            repository: repository.map(|upstream| upstream.name.to_string()).unwrap_or_default(),
            line: line.name.to_string(),
            cases: held.iter().map(|(case, _)| case.to_string()).collect(),
            state: match landing {
                Some(landing) => landing.state.as_str(),
                None if left => LandingState::Never.as_str(),
                None => "held_back",
            }
            .to_owned(),
            due_at: due.map(shown_at),
            commit: landing.and_then(|landing| landing.landed.as_ref()).map(|landed| landed.commit.to_string()),
            note: match landing {
                Some(landing) => landing.note.clone(),
                None if left => "Not frozen with the release: it was not approved, or not green.".to_owned(),
                None => String::new(),
            },
            commands: landing.map(|landing| commands(app, (release, facts, layout), landing)).unwrap_or_default(),
        });
    }
    Ok(TestsView { due: release.tests_due.as_ref().map(TestsDue::to_string), lines })
}

/// Writes the commands with which a person lands by hand what the server could not, and has it look again.
fn commands(app: &App, plan: (&Release, &Facts, &Layout), landing: &Landing) -> Vec<String> {
    let (release, facts, layout) = plan;
    let line = layout.lines.iter().find(|line| line.id == landing.line);
    let upstream = layout.upstreams.iter().find(|upstream| upstream.id == landing.upstream);
    let (LandingState::Stuck, Some(line), Some(upstream)) = (landing.state, line, upstream) else { return Vec::new() };
    let (name, repository) = (hold::quoted(line.name.as_str()), hold::quoted(upstream.name.as_str()));
    let mut commands =
        vec![format!("git clone -b {name} {} {repository}", hold::quoted(&upstream.url)), format!("cd {repository}")];
    for (case, _) in release.held(facts).filter(|(_, tests)| tests.branch.line == landing.line) {
        let remote = app.url(&format!("/{case}/{}", upstream.name));
        let fix = fix_of(facts, case, landing.line);
        commands.push(format!("git fetch {} tests/{name}", hold::quoted(&remote)));
        commands.push(match (strategy(release, landing.line), fix) {
            (Strategy::Rebase | Strategy::Squash, Some(fix)) => format!("git cherry-pick {fix}..FETCH_HEAD"),
            (Strategy::Merge, _) | (_, None) => "git merge FETCH_HEAD".to_owned(),
        });
    }
    commands.push(format!("git push origin HEAD:{name}"));
    let place = format!("--repository {repository} --line {name}");
    commands.push(format!("embargo release tests {} {place} --now", release.id));
    commands.push(format!("embargo release tests {} {place} --never", release.id));
    commands
}

fn strategy(release: &Release, line: LineId) -> Strategy {
    release.targets.iter().find(|target| target.line == line).map_or(Strategy::Merge, |target| target.strategy)
}

fn fix_of(facts: &Facts, case: &crate::domain::id::CaseId, line: LineId) -> Option<String> {
    let known = facts.cases.iter().find(|known| &known.case == case)?;
    let fix = known.fixes.iter().find(|fix| fix.line == line)?;
    fix.head.as_ref().map(ToString::to_string)
}
