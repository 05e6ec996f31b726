//! Gathers what readiness looks at: rows, public tips, drafts, and the documents as they would be published.
//!
//! The look at git comes before the transaction; the release's version says whether both saw the same plan.

use jiff::Timestamp;

use super::forward::Beside;
use super::landing::guard::Standing;
use super::rendering::Rendered;
use super::told::{self, Parted, Said};
use super::{Error, Result, open};
use crate::app::{App, Unsealing};
use crate::domain::access::{Action, Denied, Grant, Grants};
use crate::domain::actor::Actor;
use crate::domain::advisory::Advisory;
use crate::domain::candidate::LineTree;
use crate::domain::haste::HastePolicy;
use crate::domain::id::{CaseId, LineId, Prefix, ProjectId, ReleaseId};
use crate::domain::plain::{AdvisoryId, RepositoryUrl};
use crate::domain::project::{Line, Project, TagStyle, Upstream};
use crate::domain::readiness::{AdvisoryFacts, CaseFacts, Facts, TargetFacts};
use crate::domain::refusal::{Malformed, Refusal};
use crate::domain::rehearsal::{Maker, Rehearsal, Target};
use crate::domain::release::{Policy, Release};
use crate::domain::repo::{CommitId, LineName, RefName, RepoName};
use crate::domain::signing::{Commits, Signed, Signing};
use crate::domain::surroundings::Surroundings;
use crate::domain::trial::Trial;
use crate::export::{Published, PublishedLine};
use crate::git::Repo;
use crate::store::advisory::Draft;
use crate::store::{self, Rows, Tx};

/// The place of a sealed draft.
pub(super) const DRAFT: (&str, &str) = ("advisory", "draft");

/// The place of a sealed text as it was last frozen or published.
pub(super) const SETTLED: (&str, &str) = ("advisory", "settled");

/// How often a release is looked at that changes meanwhile, as one does that is being disclosed.
const LOOKS: usize = 5;

/// A release with everything that is known of it, read in one transaction.
pub(super) struct Gathered {
    /// The release.
    pub(super) release: Release,
    /// The grants it was found under.
    pub(super) grants: Grants,
    /// What readiness looks at.
    pub(super) facts: Facts,
    /// What the project asks.
    pub(super) policy: Policy,
    /// The advisories as they would be published, of the cases whose draft has a public id.
    pub(super) advisories: Vec<Rendered>,
    /// The project's lines and repositories.
    pub(super) layout: Layout,
}

/// A project's lines and repositories.
pub(super) struct Layout {
    /// The project.
    pub(super) project: Project,
    /// Its repositories.
    pub(super) upstreams: Vec<Upstream>,
    /// Its lines.
    pub(super) lines: Vec<Line>,
}

/// What the mirror shows of one target.
struct Seen {
    tip: Option<CommitId>,
    tag_taken: bool,
    tree: LineTree,
    beside: Beside,
    signed: Signed,
}

impl Layout {
    /// Reads a project's lines and repositories.
    pub(super) async fn of(rows: &mut impl Rows, project: &ProjectId) -> Result<Self> {
        Ok(Self {
            project: store::project::find(rows, project).await?.ok_or(Error::NotFound)?,
            upstreams: store::project::upstreams(rows, project).await?,
            lines: store::project::lines(rows, project).await?,
        })
    }

    /// Finds a line by its name, and by its repository's where several have a line of that name.
    pub(super) fn named(
        &self,
        repository: Option<&RepoName>,
        name: &LineName,
    ) -> std::result::Result<(&Line, &Upstream), Refusal> {
        let placed = |line: &Line| self.upstreams.iter().find(|upstream| upstream.id == line.upstream);
        let mut matching = self
            .lines
            .iter()
            .filter(|line| &line.name == name)
            .filter_map(|line| placed(line).map(|upstream| (line, upstream)))
            .filter(|(_, upstream)| repository.is_none_or(|name| &upstream.name == name));
        let found = matching.next();
        let found = found.ok_or_else(|| Refusal::input(format!("There is no line {name} in this project.")))?;
        if matching.next().is_some() {
            return Err(Refusal::input(format!("Several repositories have a line {name}: name the repository too.")));
        }
        Ok(found)
    }

    /// Finds the line and repository of a target; an error once the configuration dropped them.
    pub(super) fn place(&self, target: &Target) -> Result<(&Line, &Upstream)> {
        let line = self.lines.iter().find(|line| line.id == target.line);
        let upstream = self.upstreams.iter().find(|upstream| upstream.id == target.upstream);
        line.zip(upstream).ok_or_else(|| {
            Refusal::moment(format!(
                "The line of tag {} is no longer in the configuration: plan the release anew.",
                target.tag
            ))
            .into()
        })
    }
}

/// Admits the actor to the action in every case of the release. Absent, hidden and partly hidden end as the same error.
pub(super) async fn open_release(
    rows: &mut impl Rows,
    actor: &Actor,
    id: &ReleaseId,
    action: Action,
) -> Result<(Release, Grants)> {
    let cases = store::release::cases(rows, id).await?;
    if cases.is_empty() {
        return Err(Error::NotFound);
    }
    let mut each = Vec::new();
    let mut refused = None;
    for case in &cases {
        match open(rows, actor, case, action).await {
            Ok(grant) => each.push(grant),
            // A refusal is told only to somebody who may know of every case.
            Err(Error::Refused(refusal)) if refused.is_none() => refused = Some(refusal),
            Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if let Some(refusal) = refused {
        return Err(Error::Refused(refusal));
    }
    let grants = Grants::over(&cases, each).map_err(|denied: Denied| Error::from(denied))?;
    let release = store::release::find(rows, &grants, id).await?.ok_or(Error::NotFound)?;
    Ok((release, grants))
}

/// Gathers everything about a release; the transaction in which it was read is returned open, for what is decided on it.
///
/// Looks again, a few times, when the release changes between the look at git and the transaction.
pub(super) async fn gather(
    app: &App,
    actor: &Actor,
    id: &ReleaseId,
    action: Action,
    name: &'static str,
) -> Result<(Tx, Gathered)> {
    for _ in 1..LOOKS {
        // Boxed: what is read of a release is a part of nearly every use case of one.
        match Box::pin(gather_once(app, actor, id, action, name)).await {
            Err(Error::Conflict) => {}
            gathered => return gathered,
        }
    }
    Box::pin(gather_once(app, actor, id, action, name)).await
}

async fn gather_once(
    app: &App,
    actor: &Actor,
    id: &ReleaseId,
    action: Action,
    name: &'static str,
) -> Result<(Tx, Gathered)> {
    let mut rows = app.read().await?;
    let (release, grants) = open_release(&mut rows, actor, id, action).await?;
    let layout = Layout::of(&mut rows, &release.project).await?;
    let parted = told::parted(app, &mut rows, grants.each(), &layout).await?;
    let standing = super::landing::guard::standing(app, &mut rows, &grants, &layout).await?;
    drop(rows);
    let mut seen = Vec::new();
    for target in &release.targets {
        seen.push(look(app, &layout, &release, target).await?);
    }
    let mut tx = app.begin(name).await?;
    let (found, grants) = open_release(&mut tx, actor, id, action).await?;
    if found.version != release.version {
        return Err(Error::Conflict);
    }
    let mut cases = Vec::new();
    let mut advisories = Vec::new();
    for grant in grants.each() {
        let (facts, rendered) = case_facts(app, &mut tx, grant, (&found, &layout, &parted, &standing)).await?;
        cases.push(facts);
        advisories.extend(rendered);
    }
    // Grants come in any order; the release says the order of its cases.
    cases.sort_by_key(|known| found.cases.iter().position(|case| case == &known.case));
    advisories.sort_by_key(|known| found.cases.iter().position(|case| case == &known.case));
    let settings = app.config.project(&found.project);
    let offline = settings.is_some_and(|settings| settings.signing == Signing::Offline);
    let signs = !offline && found.targets.iter().any(|target| target.style == TagStyle::Annotated)
        || settings.is_some_and(|settings| settings.commits == Commits::Signed);
    let mut facts = Facts {
        now: tx.now(),
        cases,
        targets: Vec::new(),
        around: Surroundings {
            clock_jumped: app.clock_jumped(),
            signing_key: !signs || app.keys.tag_signer().is_some(),
            mail_trouble: super::mail::trouble(app),
            trials: tried(&mut tx, (&found, &grants), &layout).await?,
            dress: store::dress::of_release(&mut tx, &grants, id).await?,
            certificate: app.door.seen(),
            disk_left: app.disk_left(),
        },
        waves: super::wave::facts(app, &mut tx, (&found, &grants)).await?,
    };
    for (target, seen) in found.targets.iter().zip(seen) {
        let (line, upstream) = layout.place(target)?;
        let candidate =
            super::candidate::facts(&mut tx, (&found, &grants), (&layout, line), (target, seen.tree)).await?;
        let of = (target, seen.beside);
        let recipe = super::recipe::of(app, &mut tx, (&found, &facts, &layout), &advisories, of).await?;
        facts.targets.push(TargetFacts {
            repository: upstream.name.clone(),
            line: line.name.clone(),
            tip: seen.tip,
            tag_taken: seen.tag_taken,
            candidate,
            recipe,
            signed: seen.signed,
        });
    }
    let policy = policy(app, &layout.project);
    Ok((tx, Gathered { release: found, grants, facts, policy, advisories, layout }))
}

/// Reads the last trial on each public repository.
async fn tried(tx: &mut Tx, of: (&Release, &Grants), layout: &Layout) -> Result<Vec<(RepoName, Trial)>> {
    let trials = store::trial::of_release(tx, of.1, &of.0.id).await?;
    let named = trials.into_iter().filter_map(|trial| {
        let upstream = layout.upstreams.iter().find(|upstream| upstream.id == trial.upstream)?;
        Some((upstream.name.clone(), trial))
    });
    Ok(named.collect())
}

/// Returns what a project asks of its releases.
pub(super) fn policy(app: &App, project: &Project) -> Policy {
    let default = Policy::of(project.team);
    match app.config.project(&project.id) {
        Some(settings) => Policy {
            arms: settings.armings_needed(),
            approvals: settings.approvals,
            late: jiff::SignedDuration::from_mins(i64::from(settings.late_minutes)),
            haste: HastePolicy { people: settings.haste_needed(), may_skip: settings.disclose_now.may_skip.clone() },
            ..default
        },
        None => default,
    }
}

async fn look(app: &App, layout: &Layout, release: &Release, target: &Target) -> Result<Seen> {
    let (line, upstream) = layout.place(target)?;
    let mirror = Repo::Mirror(upstream.id);
    if !app.git.exists(&mirror) {
        let (tree, beside) = (LineTree::Apart, Beside::default());
        return Ok(Seen { tip: None, tag_taken: false, tree, beside, signed: Signed::Missing });
    }
    let tip = app.git.resolve(&mirror, &line.branch()).await?;
    let tag_taken = app.git.resolve(&mirror, &RefName::tag(&target.tag)).await?.is_some();
    let beside = super::forward::look(app, layout, release, target).await?;
    let signed = super::sign::signed(app, release, target).await?;
    let tree = super::forward::line_tree(app, release, target, &target.rehearsal).await?;
    Ok(Seen { tip, tag_taken, tree, beside, signed })
}

async fn case_facts(
    app: &App,
    tx: &mut Tx,
    grant: &Grant,
    plan: (&Release, &Layout, &Parted, &Standing),
) -> Result<(CaseFacts, Option<Rendered>)> {
    let (release, layout, parted, standing) = plan;
    let case = store::case::get(tx, grant).await?;
    let draft = store::advisory::get(tx, grant).await?;
    let advisory = match &draft {
        Some(draft) => {
            let unsealing = app.unsealing(tx, grant).await?;
            Some(super::advisory::whole(tx, grant, &unsealing, draft).await?)
        }
        None => None,
    };
    let marks = store::mark::of_case(tx, grant).await?;
    let pushed = store::fix::of_case(tx, grant).await?;
    let said = Said { draft: advisory.as_ref(), marks: &marks, fixes: &pushed };
    let lines = told::lines(app, layout, Some(release), &said).await?;
    let fixes = super::fix::facts(app, tx, grant, (release, layout), &said).await?;
    let tests = super::landing::guard::facts(tx, grant, layout, (&fixes, standing)).await?;
    let package = super::advisory::package(app, &case);
    let advisory = advisory.map(|advisory| advisory.against(&lines, package.as_ref()));
    // An approval is of the text with the planned date: that of a disclosure before it is another's word.
    let mut approvable = None;
    let rendered = match (&draft, &advisory) {
        (Some(Draft { public_id: Some(id), .. }), Some(advisory)) => {
            let heads = fixes.iter().map(|fix| (fix.line, fix.head.clone())).collect::<Vec<_>>();
            let heads = public_fixes(app, (release, layout), &heads);
            let known = (&case.id, advisory, heads.as_slice(), parted);
            let lines = told::published(app, layout, Some(release), known).await?;
            let related = store::link::related(tx, grant).await?;
            let published = Published { related, ..published(app, (release, layout), (id, advisory), lines)? };
            let planned = Rendered::of_release(&case.id, published, release.details_after).signed(app)?;
            approvable = Some(planned.digest());
            Some(if release.told_at() == release.dated_at { planned } else { planned.dated(app, release.told_at())? })
        }
        _ => None,
    };
    let left_behind = match (&release.frozen, &rendered) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(_), Some(rendered)) => super::rendering::left_behind(tx, grant, (&release.id, rendered)).await?,
    };
    let missing = match &advisory {
        Some(advisory) => advisory.completeness(),
        None => vec!["It is not written yet.".to_owned()],
    };
    let facts = CaseFacts {
        state: case.state,
        published: case.published_at.is_some(),
        embargo: case.embargo,
        elsewhere: store::release::live_of(tx, &case.id, Some(&release.id)).await?,
        case: case.id,
        fixes,
        tests,
        lines,
        advisory: AdvisoryFacts {
            missing,
            waiting_credits: advisory.as_ref().map_or(0, Advisory::waiting_credits),
            digest: approvable,
            approved: draft.and_then(|draft| draft.approved).map(|(digest, _)| digest),
            left_behind,
        },
    };
    Ok((facts, rendered))
}

/// Returns the public commit that will hold a fix: the approved one itself, or, where the line takes no merges, what the last
/// rehearsal made of it.
fn public_fix(release: &Release, line: LineId, head: Option<&CommitId>) -> Option<CommitId> {
    let target = release.targets.iter().find(|target| target.line == line);
    match target.filter(|target| !target.strategy.keeps_commits()).map(|target| &target.rehearsal) {
        None => head.cloned(),
        Some(Rehearsal::Candidate(candidate)) if candidate.maker == Maker::Person => head.cloned(),
        Some(Rehearsal::Candidate(candidate)) => head.map(|_| candidate.commit.clone()),
        Some(Rehearsal::None | Rehearsal::Trouble { .. }) => None,
    }
}

/// Names for each line the public commit that will hold the fix, which may come with an older line.
pub(super) fn public_fixes(
    app: &App,
    (release, layout): (&Release, &Layout),
    fixes: &[(LineId, Option<CommitId>)],
) -> Vec<(LineId, CommitId)> {
    let of = |line: LineId| {
        let head = fixes.iter().find(|(fixed, _)| *fixed == line).map(|(_, head)| head.as_ref());
        head.and_then(|head| public_fix(release, line, head))
    };
    let mut heads: Vec<_> = fixes.iter().filter_map(|(line, _)| Some((*line, of(*line)?))).collect();
    for target in release.targets.iter().filter(|target| !fixes.iter().any(|(line, _)| *line == target.line)) {
        let mut sources = super::forward::sources(app, layout, release, target.line).into_iter();
        heads.extend(sources.find_map(|source| of(source.id)).map(|head| (target.line, head)));
    }
    heads
}

/// Opens a draft.
pub(super) fn read_draft(unsealing: &Unsealing, case: &CaseId, draft: &Draft) -> Result<Advisory> {
    Ok(unsealing.open(DRAFT, &case.to_string(), &draft.sealed)?)
}

/// Puts together what the documents of one case are made of, as this release would publish them.
fn published(
    app: &App,
    (release, layout): (&Release, &Layout),
    (id, advisory): (&AdvisoryId, &Advisory),
    lines: Vec<PublishedLine>,
) -> Result<Published> {
    let dated: Timestamp = release.dated_at;
    Ok(Published {
        id: id.clone(),
        project: layout.project.name.parse()?,
        base_url: app.config.base_url.as_str().parse()?,
        osv_prefix: osv_prefix(app, &release.project),
        published_at: dated,
        modified_at: dated,
        details_at: None,
        withdrawn: None,
        related: Vec::new(),
        lines,
        advisory: advisory.clone(),
    })
}

/// Returns the prefix a project has registered with OSV.
pub(super) fn osv_prefix(app: &App, project: &ProjectId) -> Option<Prefix> {
    app.config.project(project).and_then(|settings| settings.osv_prefix.clone())
}

/// Writes an upstream's address as anybody may clone it.
pub(super) fn public_url(url: &str) -> Result<RepositoryUrl, Malformed> {
    if url.starts_with('/') { format!("file://{url}").parse() } else { url.parse() }
}
