//! Packages of a release: frozen with it, looked for by its run until they can be installed.
//!
//! Leaves the order to `domain::effect`, and asking registries to `forge`.

use super::readiness::Layout;
use super::{Error, Result};
use crate::app::App;
use crate::config::ProjectConfig;
use crate::domain::access::Grants;
use crate::domain::awaited::FrozenPackage;
use crate::domain::effect::{Effect, Outcome, Target};
use crate::domain::id::CaseId;
use crate::domain::manifest::Manifest;
use crate::domain::readiness::Facts;
use crate::domain::refusal::Refusal;
use crate::domain::release::Release;
use crate::store::Tx;

/// Names the packages that a release waits for: each one of the configuration, for each tag of its repository.
pub(super) fn prepare(app: &App, release: &Release, facts: &Facts, layout: &Layout) -> Result<Vec<FrozenPackage>> {
    let settings = app.config.project(&release.project);
    let awaited = settings.map(ProjectConfig::awaited).transpose();
    let awaited = awaited.map_err(|wrong| Refusal::moment(format!("The configuration is not right: {wrong}.")))?;
    let mut packages = Vec::new();
    for (repository, package) in awaited.unwrap_or_default() {
        for target in &release.targets {
            if layout.place(target)?.1.name != repository {
                continue;
            }
            let version = package.version(&target.tag).ok_or_else(|| {
                Refusal::moment(format!(
                    "The tag {} does not say the version of the awaited package {}: plan another tag, or correct its \
                     `tag` in the configuration.",
                    target.tag, package.name
                ))
            })?;
            let fixed = |case: &&CaseId| {
                let known = facts.cases.iter().find(|known| &known.case == *case);
                known.is_some_and(|known| known.fixes.iter().any(|fix| fix.line == target.line && fix.head.is_some()))
            };
            packages.push(FrozenPackage {
                name: package.name.clone(),
                upstream: target.upstream,
                tag: target.tag.clone(),
                version,
                place: package.place.clone(),
                advisory: package.advisory,
                wait_minutes: package.wait_minutes,
                cases: release.cases.iter().filter(fixed).cloned().collect(),
            });
        }
    }
    Ok(packages)
}

/// Looks once whether the package of an effect can be installed.
pub(super) async fn look(app: &App, manifest: &Manifest, effect: &Effect) -> Result<Outcome> {
    let Target::Package(name, upstream, tag) = &effect.target else { return Err(Error::NotFound) };
    let package = manifest.package(name, *upstream, tag).ok_or(Error::NotFound)?;
    let sight = app.forge.sight(package).await;
    let now = app.clock.now();
    Ok(package.judge(sight, effect.started_at.unwrap_or(now), now))
}

/// Says what a release waits for, a sentence for each package: as it was frozen, and before that as it would be now.
pub(super) async fn sentences(
    app: &App,
    tx: &mut Tx,
    of: (&Release, &Grants),
    known: (&Facts, &Layout),
) -> Result<Vec<String>> {
    let ((release, grants), (facts, layout)) = (of, known);
    let packages = match &release.frozen {
        Some(_) => super::disclose::manifest(app, tx, grants, release).await?.packages,
        None => match prepare(app, release, facts, layout) {
            Ok(packages) => packages,
            Err(Error::Refused(refusal)) => return Ok(vec![refusal.to_string()]),
            Err(error) => return Err(error),
        },
    };
    Ok(packages.iter().map(FrozenPackage::sentence).collect())
}
