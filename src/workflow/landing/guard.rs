//! What is known of tests that follow later, and that nothing of them is public with the fix.
//!
//! Guards: a release that would push any commit or file of tests that are held back is not built, whoever brought it in.

use std::slice::from_ref;

use super::super::{Result, readiness};
use crate::app::App;
use crate::domain::access::{Grant, Grants};
use crate::domain::candidate::RunFacts;
use crate::domain::id::UpstreamId;
use crate::domain::landing::TestsFacts;
use crate::domain::readiness::{Checks, Facts, FixFacts};
use crate::domain::release::Release;
use crate::domain::repo::CommitId;
use crate::git::held::{Beyond, Overlap};
use crate::git::{self, Repo};
use crate::store::{self, Rows, Tx};

/// Fixes, each with tests that hold it.
pub(in crate::workflow) struct Standing(Vec<(CommitId, CommitId)>);

/// Looks which tests of these cases hold the fix of their line.
pub(in crate::workflow) async fn standing(
    app: &App,
    rows: &mut impl Rows,
    grants: &Grants,
    layout: &readiness::Layout,
) -> Result<Standing> {
    let mut pairs = Vec::new();
    for grant in grants.each() {
        let tests = store::fix::tests_of_case(rows, grant).await?;
        if tests.is_empty() {
            continue;
        }
        let fixes = store::fix::of_case(rows, grant).await?;
        for tested in &tests {
            let fix = fixes.iter().find(|fix| fix.line == tested.line).and_then(|fix| fix.head.as_ref());
            let line = layout.lines.iter().find(|line| line.id == tested.line);
            let (Some(fix), Some(head), Some(line)) = (fix, &tested.head, line) else { continue };
            let repo = Repo::Case(grant.case().clone(), line.upstream);
            match app.git.is_ancestor(&repo, fix, head).await {
                Ok(true) => pairs.push((fix.clone(), head.clone())),
                Ok(false) | Err(git::Error::Missing | git::Error::NoRepository) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Standing(pairs))
}

/// Collects the tests of a case that follow later.
pub(in crate::workflow) async fn facts(
    tx: &mut Tx,
    grant: &Grant,
    layout: &readiness::Layout,
    (fixes, Standing(standing)): (&[FixFacts], &Standing),
) -> Result<Vec<TestsFacts>> {
    let mut all = Vec::new();
    for tests in store::fix::tests_of_case(tx, grant).await? {
        let line = layout.lines.iter().find(|line| line.id == tests.line);
        let (Some(line), Some(head)) = (line, tests.head) else { continue };
        let approvals = store::fix::approvals(tx, grant, tests.id).await?;
        let run = store::check::newest(tx, grant, line.id, &head).await?;
        let waived = store::advisory::waived(tx, grant, tests.id, &head).await?.is_some();
        let fix = fixes.iter().find(|fix| fix.line == line.id).and_then(|fix| fix.head.as_ref());
        let stands = fix.is_some_and(|fix| standing.iter().any(|(held, holder)| held == fix && *holder == head));
        let branch = FixFacts {
            line: line.id,
            name: line.name.clone(),
            pusher: tests.pushed_by,
            approvals: approvals
                .into_iter()
                .filter(|approval| approval.head == head)
                .map(|approval| (approval.person, approval.counts_at))
                .collect(),
            checks: Checks::of(run.as_ref().map(|run| run.state), waived),
            run: run.map(|run| RunFacts { id: run.id, base: run.base, note: run.note }),
            head: Some(head),
        };
        all.push(TestsFacts { upstream: line.upstream, branch, stands });
    }
    Ok(all)
}

/// Says what of tests that are held back would be public with what was built; nothing if nothing would.
pub(in crate::workflow) async fn amiss(
    app: &App,
    plan: (&Release, &Facts, &readiness::Layout),
    upstream: UpstreamId,
    built: &[CommitId],
) -> Result<Option<String>> {
    let (release, facts, layout) = plan;
    let held: Vec<_> = release.held(facts).filter(|(_, tests)| tests.upstream == upstream).collect();
    if held.is_empty() {
        return Ok(None);
    }
    let repo = Repo::Release(release.id.clone(), upstream);
    let mut public = Vec::new();
    for line in layout.lines.iter().filter(|line| line.upstream == upstream) {
        public.extend(app.git.resolve(&Repo::Mirror(upstream), &line.branch()).await?);
    }
    let here = |fix: &&FixFacts| layout.lines.iter().any(|line| line.id == fix.line && line.upstream == upstream);
    let fixes = facts.cases.iter().flat_map(|known| &known.fixes).filter(here);
    let mut known: Vec<CommitId> = fixes.filter_map(|fix| fix.head.clone()).collect();
    known.extend(public.iter().cloned());
    for (case, tests) in held {
        let (line, Some(head)) = (&tests.branch.name, &tests.branch.head) else { continue };
        let held = Beyond { heads: from_ref(head), known: &known };
        match app.git.overlap(&repo, held, Beyond { heads: built, known: &public }).await? {
            Overlap::Apart => {}
            Overlap::Nothing => {
                return Ok(Some(format!(
                    "tests/{line} of {case} holds nothing that is not in a fix or public already: take it out of the fix, or remove the branch tests/{line}."
                )));
            }
            Overlap::Shared => {
                return Ok(Some(format!(
                    "what would be pushed holds a part of tests/{line} of {case}, which follows later: take it out of the fix or the \
                     candidate, or out of tests/{line}."
                )));
            }
        }
    }
    Ok(None)
}
