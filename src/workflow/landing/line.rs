//! The public line that tests land on: where it is, and what is put onto it, how and in whose name.

use super::super::readiness::SETTLED;
use super::super::rendering::Rendered;
use super::super::{Error, Result, project, recipe};
use super::{Gathered, Landing};
use crate::app::App;
use crate::domain::id::{CaseId, LineId};
use crate::domain::manifest::{FrozenFix, Manifest};
use crate::domain::project::{Line, Upstream as Row};
use crate::domain::readiness::FixFacts;
use crate::domain::recipe::Strategy;
use crate::domain::refusal::Refusal;
use crate::domain::repo::CommitId;
use crate::domain::repo::LineName;
use crate::domain::signing::Commits;
use crate::export::Published;
use crate::git::Repo;
use crate::git::combine::{Stamp, Topic};
use crate::git::identity::Identity;
use crate::git::mirror::Upstream;
use crate::git::release::Brought;
use crate::store::{self, Tx};

/// A public line, and how it is reached.
pub(super) struct Place {
    /// The line.
    pub(super) line: Line,
    /// Its repository.
    row: Row,
    /// The repository the release was built in.
    pub(super) repo: Repo,
    /// Address and credential.
    pub(super) remote: Upstream,
}

/// Where a line is in public.
pub(super) enum Tip {
    /// Here, and the mirror has it.
    At(CommitId),
    /// Nowhere.
    Gone,
    /// Nobody answers, or it moves while it is fetched.
    Silent,
}

/// What is put onto a line.
pub(super) struct Work {
    pub(super) place: Place,
    pub(super) topics: Vec<Topic>,
    pub(super) strategy: Strategy,
    pub(super) stamp: Stamp,
    /// The public lines of the repository.
    lines: Vec<LineName>,
    /// What each case brings.
    brought: Vec<Brought>,
}

/// Lists the tests that were frozen for a line, in the order of the cases.
pub(super) fn tests_of(manifest: &Manifest, line: LineId) -> impl Iterator<Item = &FrozenFix> {
    manifest.tests.iter().filter(move |tests| tests.line == line)
}

impl Place {
    /// Finds the line of a landing; an error once the configuration dropped it.
    pub(super) async fn of(app: &App, landing: &Landing) -> Result<Self> {
        let mut rows = app.read().await?;
        let row = store::project::upstream(&mut rows, landing.upstream).await?.ok_or(Error::NotFound)?;
        let lines = store::project::lines(&mut rows, &row.project).await?;
        drop(rows);
        let line = lines.into_iter().find(|line| line.id == landing.line);
        let (Some(line), Some(settings)) = (line, project::settings(app, &row)) else { return Err(dropped().into()) };
        let remote = project::remote(&row.url, settings)?;
        let repo = Repo::Release(landing.release.clone(), row.id);
        Ok(Self { line, row, repo, remote })
    }

    /// Asks the public repository where the line is, and has the mirror follow.
    pub(super) async fn tip(&self, app: &App) -> Result<Tip> {
        let (name, mirror) = (self.line.branch(), Repo::Mirror(self.row.id));
        let tip = match app.git.read_refs(&self.remote, std::slice::from_ref(&name)).await {
            Ok(mut refs) => refs.remove(&name),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a public line could not be read");
                return Ok(Tip::Silent);
            }
        };
        let Some(tip) = tip else { return Ok(Tip::Gone) };
        if app.git.resolve(&mirror, &name).await?.as_ref() != Some(&tip) {
            project::mirror(app, self.row.id).await?;
        }
        let followed = app.git.resolve(&mirror, &name).await?.as_ref() == Some(&tip);
        Ok(if followed { Tip::At(tip) } else { Tip::Silent })
    }
}

impl Work {
    /// Puts together what was frozen for the line, in the words and the way that the project has for it.
    pub(super) async fn of(
        app: &App,
        tx: &mut Tx,
        gathered: &Gathered,
        (manifest, landing): (&Manifest, &Landing),
    ) -> Result<Self> {
        let Gathered { release, facts, layout, .. } = gathered;
        let advisories = approved(app, tx, gathered).await?;
        let place = Place::of(app, landing).await?;
        let target = release.targets.iter().find(|target| target.line == landing.line);
        let settings = project::settings(app, &place.row).ok_or_else(dropped)?;
        let strategy = target.map_or_else(|| settings.manner(&place.line.name).0, |target| target.strategy);
        let mut tests: Vec<(&CaseId, FixFacts)> = Vec::new();
        for frozen in tests_of(manifest, landing.line) {
            let known =
                release.held(facts).find(|(case, tests)| **case == frozen.case && tests.branch.line == frozen.line);
            // Whoever approved them is named, and stands in what is known of the branch as long as it is where it was.
            let branch = known.map(|(_, tests)| tests.branch.clone());
            let branch = branch.filter(|branch| branch.head.as_ref() == Some(&frozen.commit)).ok_or_else(elsewhere)?;
            tests.push((&frozen.case, branch));
        }
        let named: Vec<_> = tests.iter().map(|(case, branch)| (*case, branch)).collect();
        let words =
            recipe::of_tests(app, tx, (release, layout), &advisories, (&place.line, strategy, &named)).await??;
        let mut topics = super::super::forward::topics_of(&words);
        for (topic, (case, _)) in topics.iter_mut().zip(&tests) {
            let fix = manifest.fixes.iter().find(|fix| fix.line == landing.line && fix.case == **case);
            topic.on = Some(fix.ok_or(Error::Conflict)?.commit.clone());
        }
        let config = app.config.project(&release.project);
        let signer = config.map(|config| config.signer.clone()).unwrap_or_default();
        let signer = Identity::new(&signer.name, &signer.email)?;
        let seal = recipe::seal(app, config.map_or(Commits::Unsigned, |config| config.commits))?;
        let stamp = Stamp { author: signer.clone(), committer: signer, dated_at: app.clock.now(), seal };
        let here: Vec<&Line> = layout.lines.iter().filter(|line| line.upstream == landing.upstream).collect();
        let bring = |case: &CaseId| {
            let frozen = manifest.fixes.iter().chain(&manifest.tests).filter(|frozen| &frozen.case == case);
            let frozen = frozen.filter(|frozen| here.iter().any(|line| line.id == frozen.line));
            Brought { case: case.clone(), heads: frozen.map(|frozen| frozen.commit.clone()).collect() }
        };
        let brought = release.cases.iter().map(bring).collect();
        let lines = here.iter().map(|line| line.name.clone()).collect();
        Ok(Self { place, topics, strategy, stamp, lines, brought })
    }

    /// Makes sure that the repository is there and holds what is put together.
    pub(super) async fn bring(&self, app: &App) -> Result<()> {
        let Repo::Release(release, upstream) = &self.place.repo else { return Err(Error::NotFound) };
        let there = |brought: &&Brought| app.git.exists(&Repo::Case(brought.case.clone(), *upstream));
        let brought: Vec<_> = self.brought.iter().filter(there).cloned().collect();
        Ok(app.git.create_release(release, *upstream, &self.lines, &brought).await?)
    }
}

/// Takes what is public of each advisory, as it was approved, for the words: the draft may hold what nobody has read yet.
async fn approved(app: &App, tx: &mut Tx, gathered: &Gathered) -> Result<Vec<Rendered>> {
    let mut approved = Vec::new();
    for grant in gathered.grants.each() {
        let case = grant.case();
        let Some(rendered) = gathered.advisories.iter().find(|rendered| &rendered.case == case) else { continue };
        let settled = store::advisory::get(tx, grant).await?.and_then(|draft| draft.settled);
        let Some(settled) = settled else { continue };
        let advisory = app.unsealing(tx, grant).await?.open(SETTLED, &case.to_string(), &settled)?;
        approved.push(Rendered::whole(case, Published { advisory, ..rendered.published.clone() }));
    }
    Ok(approved)
}

fn elsewhere() -> Refusal {
    Refusal::moment("The tests are not where they were when the release was frozen: land them by hand.")
}

fn dropped() -> Refusal {
    Refusal::moment("The line is no longer in the configuration: put it back, or land them by hand.")
}
