//! The words of a release: what stands in its merges, commits and tags, written from the project's templates.
//!
//! Guards: a reporter is named only if they agreed to be, and a reviewer only for the commit they approved; nothing is
//! written that the advisory, as it would be published now, does not say. Leaves what a template may hold to `domain::template`.

use std::sync::Arc;

use super::forward::{self, Beside};
use super::project::settings as settings_of;
use super::readiness::Layout;
use super::rendering::Rendered;
use super::{Error, Result};
use crate::app::App;
use crate::config::{Messages, SignerConfig};
use crate::crypto::sshsig;
use crate::domain::advisory::{Advisory, CreditConsent, CreditKind};
use crate::domain::forward::{Forward, Onward, TagOn};
use crate::domain::id::{CaseId, PersonId};
use crate::domain::project::{Line, Upstream};
use crate::domain::readiness::{Facts, FixFacts};
use crate::domain::recipe::{Advance, Bump, Changelog, FixRecipe, Recipe, Strategy};
use crate::domain::refusal::Refusal;
use crate::domain::rehearsal::Target;
use crate::domain::release::Release;
use crate::domain::repo::{LineName, RepoName, TagName};
use crate::domain::signing::{Commits, Signing};
use crate::domain::template::{OfFix, Slot, Template, Values};
use crate::export::notes;
use crate::git::combine::Seal;
use crate::store::{self, Tx};

/// Writes how the fixes of a release reach one line; a refusal where a word is missing.
pub(super) async fn of(
    app: &App,
    tx: &mut Tx,
    plan: (&Release, &Facts, &Layout),
    advisories: &[Rendered],
    (target, beside): (&Target, Beside),
) -> Result<Result<Recipe, Refusal>> {
    let (release, facts, layout) = plan;
    let (line, upstream) = layout.place(target)?;
    let settings = app.config.project(&layout.project.id);
    let messages = settings.map(|settings| settings.messages.clone()).unwrap_or_default();
    let signer = settings.map(|settings| settings.signer.clone()).unwrap_or_default();
    let signing = settings.map_or(Signing::Server, |settings| settings.signing);
    let commits = settings.map_or(Commits::Unsigned, |settings| settings.commits);
    let here = Values::default()
        .with(Slot::Project, &layout.project.name)
        .with(Slot::Line, line.name.as_str())
        .with(Slot::Tag, target.tag.as_str());
    let words = Words { messages: &messages, advisories, upstream };
    let merged: Vec<(&CaseId, &FixFacts)> = release.merged_on(target.line, facts).collect();
    let fixes = match words.fixes(tx, &merged, (line, target.strategy), &here).await? {
        Ok(fixes) => fixes,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let sources = forward::sources(app, layout, release, line.id);
    let forwards = words.forwards((release, &sources), &line.name, layout);
    let mut onward = Vec::new();
    for (line, tip) in beside.onward {
        let strategy = settings_of(app, upstream).map_or(Strategy::Merge, |settings| settings.manner(&line.name).0);
        let there = Values::default()
            .with(Slot::Project, &layout.project.name)
            .with(Slot::Line, line.name.as_str())
            .with(Slot::Tag, target.tag.as_str());
        let merged: Vec<(&CaseId, &FixFacts)> = release.merged_on(line.id, facts).collect();
        let fixes = match words.fixes(tx, &merged, (&line, strategy), &there).await? {
            Ok(fixes) => fixes,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let sources = forward::sources(app, layout, release, line.id);
        let forwards = words.forwards((release, &sources), &line.name, layout);
        onward.push(Onward { line: line.id, branch: line.name, tip, strategy, fixes, forwards });
    }
    let tag_on = beside.tag_on.map(|Advance { branch, tip }| {
        let values = Values::default()
            .with(Slot::Project, &layout.project.name)
            .with(Slot::From, line.name.as_str())
            .with(Slot::Line, branch.as_str())
            .with(Slot::Tag, target.tag.as_str());
        TagOn { branch, tip, message: messages.forward.write(&values) }
    });
    // A fix that comes with an older line is told like one of this line.
    let mut told = merged;
    for (case, fix) in sources.iter().flat_map(|source| release.merged_on(source.id, facts)) {
        if told.iter().all(|(other, _)| *other != case) {
            told.push((case, fix));
        }
    }
    told.sort_by_key(|(case, _)| release.cases.iter().position(|other| other == *case));
    let tag_values = of_tag(here.clone(), release, (&told, advisories));
    let changelog = match settings_of(app, upstream).and_then(|settings| settings.changelog(&line.name)) {
        None => None,
        Some(path) => {
            let Some(path) = path.path(&here) else {
                let sentence = format!("`changelog` of {} leads out of its files: correct it.", line.name);
                return Ok(Err(Refusal::moment(sentence)));
            };
            let text = notes(layout, (&upstream.name, &target.tag), (&told, advisories))?;
            Some(Changelog { path, text, message: messages.changelog.write(&tag_values) })
        }
    };
    let command = settings_of(app, upstream).and_then(|settings| settings.version_command(&line.name));
    let bump = command.map(|command| Bump {
        command: command.to_owned(),
        line: line.name.to_string(),
        tag: target.tag.to_string(),
        message: messages.version.write(&tag_values),
    });
    let tag_message = messages.tag.write(&tag_values);
    let SignerConfig { name, email } = signer;
    let (strategy, style) = (target.strategy, target.style);
    Ok(Ok(Recipe {
        strategy,
        style,
        fixes,
        changelog,
        bump,
        tag_message,
        signing,
        commits,
        signer: (name, email),
        advances: beside.advances,
        forwards,
        onward,
        tag_on,
    }))
}

/// Writes the words under which tests reach a line after their release; a refusal where one is missing.
pub(super) async fn of_tests(
    app: &App,
    tx: &mut Tx,
    (release, layout): (&Release, &Layout),
    advisories: &[Rendered],
    (line, strategy, tests): (&Line, Strategy, &[(&CaseId, &FixFacts)]),
) -> Result<Result<Vec<FixRecipe>, Refusal>> {
    let target = release.targets.iter().find(|target| target.line == line.id);
    let upstream = layout.upstreams.iter().find(|upstream| upstream.id == line.upstream).ok_or(Error::NotFound)?;
    let messages = app.config.project(&release.project).map(|settings| settings.messages.clone()).unwrap_or_default();
    let messages = Messages { merge: messages.tests.clone(), squash: messages.tests.clone(), ..messages };
    let here = Values::default()
        .with(Slot::Project, &layout.project.name)
        .with(Slot::Line, line.name.as_str())
        .with(Slot::Tag, target.map_or("", |target| target.tag.as_str()));
    Words { messages: &messages, advisories, upstream }.fixes(tx, tests, (line, strategy), &here).await
}

/// Returns what signs the commits that are made for a release; a refusal where the key is missing.
pub(super) fn seal(app: &App, commits: Commits) -> Result<Option<Seal>, Refusal> {
    match (commits, app.keys.tag_signer()) {
        (Commits::Unsigned, _) => Ok(None),
        (Commits::Signed, Some(key)) => {
            let key = Arc::clone(key);
            Ok(Some(Seal::new(move |payload| key.sign(sshsig::GIT, payload))))
        }
        (Commits::Signed, None) => Err(Refusal::moment("there is no key to sign commits with.")),
    }
}

/// What the words of a release are made of.
struct Words<'a> {
    messages: &'a Messages,
    advisories: &'a [Rendered],
    upstream: &'a Upstream,
}

impl Words<'_> {
    /// Writes what stands on each fix of a line; a refusal where a word is missing.
    async fn fixes(
        &self,
        tx: &mut Tx,
        merged: &[(&CaseId, &FixFacts)],
        (line, strategy): (&Line, Strategy),
        here: &Values,
    ) -> Result<Result<Vec<FixRecipe>, Refusal>> {
        let asks_reviewers = self.messages.riders.iter().any(|rider| rider.names(Slot::Reviewer));
        let mut fixes = Vec::new();
        for (case, fix) in merged {
            let Some(head) = fix.head.clone() else { continue };
            let told = self.advisories.iter().find(|rendered| rendered.case == **case);
            let mut values = of_case(here.clone(), case, told);
            if asks_reviewers {
                for name in reviewers(tx, fix).await? {
                    values = values.with(Slot::Reviewer, &name);
                }
            }
            let message = match (message_of(self.messages, strategy), told) {
                (Some(template), None) if template.names(Slot::Title) || template.names(Slot::Advisory) => {
                    return Ok(Err(Refusal::moment(format!(
                        "the message of {} on {} names the advisory of {case}, which is not written yet.",
                        self.upstream.name, line.name
                    ))));
                }
                (Some(template), _) => template.write(&values),
                (None, _) => String::new(),
            };
            let riders = self.messages.riders.iter().flat_map(|rider| rider.trailers(&values)).collect();
            fixes.push(FixRecipe { head, message, riders });
        }
        Ok(Ok(fixes))
    }

    /// Writes what stands on the merges of other lines into one.
    fn forwards(&self, (release, sources): (&Release, &[&Line]), into: &LineName, layout: &Layout) -> Vec<Forward> {
        let forward = |source: &&Line| {
            let tag = release.targets.iter().find(|target| target.line == source.id).map(|target| &target.tag);
            let values = Values::default()
                .with(Slot::Project, &layout.project.name)
                .with(Slot::From, source.name.as_str())
                .with(Slot::Line, into.as_str())
                .with(Slot::Tag, tag.map_or("", TagName::as_str));
            Forward { line: source.id, message: self.messages.forward.write(&values) }
        };
        sources.iter().map(forward).collect()
    }
}

/// Returns the template of the message that a strategy writes; none where commits keep their own.
fn message_of(messages: &Messages, strategy: Strategy) -> Option<&Template<OfFix>> {
    match strategy {
        Strategy::Merge => Some(&messages.merge),
        Strategy::Squash => Some(&messages.squash),
        Strategy::Rebase => None,
    }
}

/// Adds what is known of a case and may be public with its fix.
fn of_case(values: Values, case: &CaseId, told: Option<&Rendered>) -> Values {
    let values = values.with(Slot::Case, &case.to_string());
    let Some(told) = told else { return values };
    let advisory = &told.published.advisory;
    let values = values.with(Slot::Title, advisory.title.as_str()).with(Slot::Advisory, &told.id.to_string());
    let values = advisory.cve.iter().fold(values, |values, cve| values.with(Slot::Cve, &cve.to_string()));
    reporters(advisory).fold(values, |values, name| values.with(Slot::Reporter, name))
}

/// Adds what a tag names: the cases of the release, and a line for each fix that it holds.
fn of_tag(values: Values, release: &Release, (merged, advisories): (&[(&CaseId, &FixFacts)], &[Rendered])) -> Values {
    let cases: Vec<_> = release.cases.iter().map(ToString::to_string).collect();
    let values = values.with(Slot::Cases, &cases.join(", "));
    merged.iter().fold(values, |values, (case, _)| {
        let told = advisories.iter().find(|rendered| rendered.case == **case);
        let Some(told) = told else { return values.with(Slot::Fixes, &case.to_string()) };
        let advisory = &told.published.advisory;
        let cve = advisory.cve.as_ref().map(|cve| format!(", {cve}")).unwrap_or_default();
        values.with(Slot::Fixes, &format!("{} ({}{cve})", advisory.title.as_str(), told.id))
    })
}

/// Writes the release notes of a tag from the advisories of the fixes that are on its line.
fn notes(
    layout: &Layout,
    place: (&RepoName, &TagName),
    (merged, advisories): (&[(&CaseId, &FixFacts)], &[Rendered]),
) -> Result<String> {
    let here = |told: &&Rendered| merged.iter().any(|(case, _)| told.case == **case);
    let fixed: Vec<_> = advisories.iter().filter(here).map(|told| &told.published).collect();
    Ok(notes::of_tag(&layout.project.name.parse()?, place, &fixed).body)
}

fn reporters(advisory: &Advisory) -> impl Iterator<Item = &str> {
    let named = advisory.credits.iter().filter(|credit| credit.consent == CreditConsent::Agreed);
    let reported = named.filter(|credit| matches!(credit.kind, CreditKind::Reporter | CreditKind::Finder));
    reported.map(|credit| credit.name.as_str())
}

/// Names those who approved a fix at its head, in the order of their names.
async fn reviewers(tx: &mut Tx, fix: &FixFacts) -> Result<Vec<String>> {
    let people: Vec<PersonId> = fix.approvals.iter().map(|(person, _)| *person).collect();
    let mut names = Vec::new();
    for person in people.into_iter().filter(|person| Some(*person) != fix.pusher) {
        names.extend(store::account::find(tx, person).await?.map(|person| person.name.to_string()));
    }
    names.sort();
    names.dedup();
    Ok(names)
}
