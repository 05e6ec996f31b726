//! What is known of a project's lines for one case: marks, fixes, plan, draft, and what the public history says.

use std::collections::BTreeMap;

use super::Result;
use super::readiness::{Layout, public_url};
use crate::app::App;
use crate::domain::access::Grant;
use crate::domain::advisory::{Advisory, AffectedLine};
use crate::domain::fix::Fix;
use crate::domain::id::{CaseId, LineId};
use crate::domain::mark::{Mark, Standing};
use crate::domain::plain::Version;
use crate::domain::project::{Line, Upstream};
use crate::domain::release::Release;
use crate::domain::repo::{CommitId, RefName, TagName};
use crate::domain::told::{LineFacts, Ships};
use crate::export::PublishedLine;
use crate::git::Repo;
use crate::store::{self, Rows};

/// For a line of a case, the first public commit that no line without the flaw holds. Empty where no line is without it.
pub(super) type Parted = BTreeMap<(CaseId, LineId), CommitId>;

/// What was said and pushed in a case.
pub(super) struct Said<'a> {
    /// The draft.
    pub(super) draft: Option<&'a Advisory>,
    /// The marks.
    pub(super) marks: &'a [Mark],
    /// The fixes.
    pub(super) fixes: &'a [Fix],
}

/// Looks where affected lines part from those that are marked as not affected: before that, no commit has the flaw.
///
/// Reads git, so it is asked before the transaction in which its answer is used.
pub(super) async fn parted(app: &App, rows: &mut impl Rows, grants: &[Grant], layout: &Layout) -> Result<Parted> {
    let mut parted = Parted::new();
    for grant in grants {
        let marks = store::mark::of_case(rows, grant).await?;
        let free =
            |line: &Line| marks.iter().any(|mark| mark.line == line.id && mark.standing == Standing::NotAffected);
        for upstream in &layout.upstreams {
            let here = || layout.lines.iter().filter(|line| line.upstream == upstream.id);
            let mirror = Repo::Mirror(upstream.id);
            if !here().any(free) || !app.git.exists(&mirror) {
                continue;
            }
            let mut others = Vec::new();
            for line in here().filter(|line| free(line)) {
                others.extend(app.git.resolve(&mirror, &line.branch()).await?);
            }
            for line in here().filter(|line| !free(line)) {
                let Some(tip) = app.git.resolve(&mirror, &line.branch()).await? else { continue };
                if let Some(first) = app.git.first_apart(&mirror, &tip, &others).await? {
                    parted.insert((grant.case().clone(), line.id), first);
                }
            }
        }
    }
    Ok(parted)
}

/// Collects what is known of each line of the project for a case.
pub(super) async fn lines(
    app: &App,
    layout: &Layout,
    release: Option<&Release>,
    said: &Said<'_>,
) -> Result<Vec<LineFacts>> {
    let pushed = |line: &Line| said.fixes.iter().any(|fix| fix.line == line.id && fix.head.is_some());
    let marked = |line: &Line| said.marks.iter().find(|mark| mark.line == line.id).map(|mark| mark.standing);
    let mut facts = Vec::new();
    for line in &layout.lines {
        let Some(upstream) = layout.upstreams.iter().find(|upstream| upstream.id == line.upstream) else { continue };
        let told: Vec<AffectedLine> =
            said.draft.map(|draft| draft.told_of(&upstream.name, &line.name).cloned().collect()).unwrap_or_default();
        let sources = release.map(|release| super::forward::sources(app, layout, release, line.id)).unwrap_or_default();
        let target = |release: &'_ Release| release.targets.iter().find(|target| target.line == line.id).cloned();
        let ships = match (release, release.and_then(target)) {
            (None, _) => Ships::NoRelease,
            (Some(_), Some(target)) => Ships::As(target.tag),
            (Some(_), None) if sources.is_empty() => Ships::Not,
            (Some(_), None) => Ships::Untagged,
        };
        let comes = sources.iter().any(|source| pushed(source));
        let untagged = matches!(ships, Ships::Not | Ships::Untagged);
        let mut fixed_in_public = !told.is_empty() && untagged;
        for told in told.iter().filter(|_| untagged) {
            fixed_in_public = fixed_in_public && is_public(app, upstream, told).await?;
        }
        let fix = pushed(line);
        facts.push(LineFacts {
            repository: upstream.name.clone(),
            name: line.name.clone(),
            standing: marked(line).or((fix || comes).then_some(Standing::Affected)),
            fix,
            ships,
            told,
            fixed_in_public,
            concerned: layout
                .lines
                .iter()
                .any(|other| other.upstream == line.upstream && (pushed(other) || marked(other).is_some())),
        });
    }
    Ok(facts)
}

/// Collects what the public files say of each line: where it is, what fixes it, and since when it is affected.
pub(super) async fn published(
    app: &App,
    layout: &Layout,
    release: Option<&Release>,
    (case, advisory, heads, parted): (&CaseId, &Advisory, &[(LineId, CommitId)], &Parted),
) -> Result<Vec<PublishedLine>> {
    let mut lines = Vec::new();
    let shipped = |line: LineId| release.and_then(|release| release.targets.iter().find(|target| target.line == line));
    // A release names its own lines, in its order; without one, every line stands for itself.
    let mut ordered: Vec<&Line> = layout.lines.iter().collect();
    if let Some(release) = release {
        ordered.retain(|line| shipped(line.id).is_some());
        ordered.sort_by_key(|line| release.targets.iter().position(|target| target.line == line.id));
    }
    for line in ordered {
        let Some(upstream) = layout.upstreams.iter().find(|upstream| upstream.id == line.upstream) else { continue };
        let told = advisory.told_of(&upstream.name, &line.name).find_map(|told| told.introduced.as_ref());
        let since = match told {
            Some(version) => tagged(app, upstream, version).await?,
            None => None,
        };
        lines.push(PublishedLine {
            repository: upstream.name.clone(),
            line: line.name.clone(),
            repository_url: public_url(&upstream.url)?,
            fix_commit: heads.iter().find(|(fixed, _)| *fixed == line.id).map(|(_, head)| head.clone()),
            tag: shipped(line.id).map(|target| target.tag.clone()),
            introduced: since.or_else(|| parted.get(&(case.clone(), line.id)).cloned()),
        });
    }
    Ok(lines)
}

/// Tells whether the public repository has a tag of what the draft calls fixed.
async fn is_public(app: &App, upstream: &Upstream, told: &AffectedLine) -> Result<bool> {
    if let Some(tag) = &told.tag
        && find(app, upstream, tag).await?.is_some()
    {
        return Ok(true);
    }
    match &told.fixed {
        Some(version) => Ok(tagged(app, upstream, version).await?.is_some()),
        None => Ok(false),
    }
}

/// Finds the commit that was tagged as a version.
async fn tagged(app: &App, upstream: &Upstream, version: &Version) -> Result<Option<CommitId>> {
    for name in [format!("v{version}"), version.to_string()] {
        let Ok(tag) = name.parse::<TagName>() else { continue };
        if let Some(found) = find(app, upstream, &tag).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn find(app: &App, upstream: &Upstream, tag: &TagName) -> Result<Option<CommitId>> {
    let mirror = Repo::Mirror(upstream.id);
    if !app.git.exists(&mirror) {
        return Ok(None);
    }
    Ok(app.git.resolve(&mirror, &RefName::tag(tag)).await?)
}
