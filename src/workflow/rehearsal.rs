//! Rehearsals: building what a release would push, with its own dates and signature, without moving any ref.
//!
//! Guards: ids depend on public tips, fixes, dates and key alone, so the ids people arm are the ids that become public.
//! Leaves what a result means to `domain::readiness`.

use std::time::Instant;

use jiff::SignedDuration;

use super::check::Unchecked;
use super::forward::{self, Place, topics_of};
use super::readiness::{Gathered, Layout, gather, open_release};
use super::version::Bumped;
use super::{Error, Result, check};
use crate::app::App;
use crate::crypto::sshsig;
use crate::domain::access::Action;
use crate::domain::actor::{Actor, Chore};
use crate::domain::candidate::{ChecksBy, LineTree};
use crate::domain::id::{CaseId, ProjectId, ReleaseId, UpstreamId};
use crate::domain::job::Job;
use crate::domain::project::{Line, TagStyle};
use crate::domain::readiness::{Facts, FixFacts, TargetFacts};
use crate::domain::recipe::{Advance, Recipe, Strategy};
use crate::domain::refusal::Refusal;
use crate::domain::rehearsal::{Candidate, Maker, Rehearsal, Target, inputs};
use crate::domain::release::{Release, ReleaseState};
use crate::domain::repo::{CommitId, LineName};
use crate::domain::signing::Signing;
use crate::git::Repo;
use crate::git::combine::{Merged, Stamp};
use crate::git::identity::Identity;
use crate::git::release::{Brought, ShownFix};
use crate::git::tag::{TagDraft, TagText};
use crate::store::job::Settled;
use crate::store::{self, Tx};

const CHORE: Actor = Actor::System(Chore::Disclose);

/// Asks for a rehearsal now.
pub async fn rehearse_now(app: &App, actor: &Actor, id: &ReleaseId) -> Result<()> {
    let mut tx = app.begin("release.rehearse_now").await?;
    let (release, _) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    if release.state != ReleaseState::Planned {
        return Err(Refusal::moment("Only a planned release is rehearsed: reopen it first.").into());
    }
    let now = tx.now();
    store::job::queue(&mut tx, &Job::Rehearse { release: id.clone() }, now).await?;
    Ok(app.commit(tx).await?)
}

/// Queues a rehearsal of every release of the project that is still being planned.
pub(super) async fn rehearse_open(tx: &mut Tx, project: &ProjectId) -> Result<()> {
    let now = tx.now();
    for release in store::release::planned(tx, project).await? {
        store::job::queue(tx, &Job::Rehearse { release }, now).await?;
    }
    Ok(())
}

/// Queues a rehearsal of every planned release: nothing that should have caused one can be lost for longer than a night.
pub async fn nightly(app: &App) -> Result<()> {
    let mut tx = app.begin("release.nightly").await?;
    for project in store::project::all(&mut tx).await? {
        rehearse_open(&mut tx, &project.id).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Builds what a planned release would push, and has it checked. Ids depend on tips, fixes, dates, key and what people
/// pushed to `candidate/<line>` only, so a second run finds the same.
pub async fn rehearse(app: &App, id: &ReleaseId) -> Result<Settled> {
    let (tx, gathered) = gather(app, &CHORE, id, Action::Maintain, "release.rehearse").await?;
    app.commit(tx).await?;
    let Gathered { mut release, facts, layout, .. } = gathered;
    if release.state != ReleaseState::Planned {
        return Ok(Settled::Done);
    }
    let planned = release.clone();
    let begun = Instant::now();
    let anew = (0..release.targets.len()).any(|at| !current((&release, &facts, &layout), at));
    if anew {
        prepare(app, (&release, &facts, &layout)).await?;
    }
    // What a line ships is known before the lines that get it are built.
    for at in forward::order(app, &layout, &release) {
        let rehearsed = rehearse_target(app, (&release, &facts, &layout), at).await.or_else(|error| match error {
            Error::Refused(refusal) => Ok(Rehearsal::Trouble { sentence: refusal.to_string(), at: app.clock.now() }),
            other => Err(other),
        })?;
        release.targets[at].rehearsal = rehearsed;
        tracing::debug!(release = %release.id, line = %release.targets[at].line, "rehearsed a line");
    }
    let merged_in = |known: &TargetFacts| known.recipe.as_ref().is_ok_and(|recipe| !recipe.forwards.is_empty());
    if anew && facts.targets.iter().any(merged_in) {
        prepare(app, (&release, &facts, &layout)).await?;
    }
    let results: Vec<Rehearsal> = release.targets.into_iter().map(|target| target.rehearsal).collect();
    let release = planned;
    let plan = (&release, &facts, &layout);
    let (unchecked, fresh) = unchecked(app, plan, &results).await?;
    if anew {
        app.git.settle().await?;
    }
    let took = SignedDuration::try_from(begun.elapsed()).unwrap_or(SignedDuration::MAX);
    let unchanged = release.targets.iter().zip(&results).all(|(target, result)| same(&target.rehearsal, result));
    let mut tx = app.begin("release.rehearsed").await?;
    if !unchanged {
        let change = release.rehearsed(results)?;
        store::release::save(&mut tx, &CHORE, change).await?;
    }
    if !fresh.is_empty() {
        store::candidate::built_in(&mut tx, id, took).await?;
    }
    check::queue_candidates(app, &mut tx, id, &unchecked, &fresh).await?;
    app.commit(tx).await?;
    Ok(Settled::Done)
}

/// Lists the candidates that no fix's checks speak for, and which commits among all of them are new.
async fn unchecked(
    app: &App,
    plan: (&Release, &Facts, &Layout),
    results: &[Rehearsal],
) -> Result<(Vec<Unchecked>, Vec<CommitId>)> {
    let (release, facts, layout) = plan;
    let (mut unchecked, mut fresh) = (Vec::new(), Vec::new());
    for ((target, known), result) in release.targets.iter().zip(&facts.targets).zip(results) {
        let Rehearsal::Candidate(candidate) = result else { continue };
        if release.candidate_checks(candidate, (target, known), facts).by != ChecksBy::Fix {
            let (commit, base) = (candidate.tagged().clone(), candidate.base.clone());
            unchecked.push(Unchecked { line: target.line, commit, base });
        }
        if forward::line_tree(app, release, target, result).await? == LineTree::Apart {
            let (commit, base) = (candidate.commit.clone(), candidate.base.clone());
            unchecked.push(Unchecked { line: target.line, commit, base });
        }
        for (line, moved) in forward::beside(layout, target, candidate) {
            unchecked.push(Unchecked { line, commit: moved.new.clone(), base: moved.old.clone() });
        }
        if !matches!(&target.rehearsal, Rehearsal::Candidate(before) if before.tagged() == candidate.tagged()) {
            fresh.push(candidate.tagged().clone());
        }
    }
    Ok((unchecked, fresh))
}

/// Tells whether a target's candidate is built from what is there now.
fn current(plan: (&Release, &Facts, &Layout), at: usize) -> bool {
    let (release, facts, _) = plan;
    let (target, known) = (&release.targets[at], &facts.targets[at]);
    let (Rehearsal::Candidate(candidate), Some(tip)) = (&target.rehearsal, &known.tip) else { return false };
    let heads = release.fixes_on(target.line, facts);
    let tests = release.tests_in(target.upstream, facts);
    let from = inputs(tip, (&heads, &tests), release.dated_at, &target.tag, known.candidate.offered_head());
    candidate.inputs == from && release.made_as_now(at, candidate, facts)
}

/// Makes the repositories the release is built in, or brings what they show up to date.
async fn prepare(app: &App, plan: (&Release, &Facts, &Layout)) -> Result<()> {
    let (release, facts, layout) = plan;
    let mut upstreams: Vec<UpstreamId> = release.targets.iter().map(|target| target.upstream).collect();
    upstreams.sort();
    upstreams.dedup();
    upstreams.retain(|upstream| app.git.exists(&Repo::Mirror(*upstream)));
    for upstream in upstreams {
        let lines: Vec<_> = layout.lines.iter().filter(|line| line.upstream == upstream).collect();
        let (mut brought, mut shown) = (Vec::new(), Vec::new());
        for known in &facts.cases {
            if !app.git.exists(&Repo::Case(known.case.clone(), upstream)) {
                continue;
            }
            let here = known.fixes.iter().filter(|fix| lines.iter().any(|line| line.id == fix.line));
            let fixes: Vec<_> = here.filter_map(|fix| Some((fix.name.clone(), fix.head.clone()?))).collect();
            let mut heads: Vec<_> = fixes.iter().map(|(_, head)| head.clone()).collect();
            let tests = known.tests.iter().filter(|tests| tests.upstream == upstream);
            heads.extend(tests.filter_map(|tests| tests.branch.head.clone()));
            brought.push(Brought { case: known.case.clone(), heads });
            let shows = |(line, head)| ShownFix { case: known.case.clone(), line, head };
            shown.extend(fixes.into_iter().map(shows));
        }
        let mut names: Vec<_> = lines.iter().map(|line| line.name.clone()).collect();
        app.git.create_release(&release.id, upstream, &names, &brought).await?;
        let placed = layout.upstreams.iter().find(|placed| placed.id == upstream);
        if let Some(settings) = placed.and_then(|placed| super::project::settings(app, placed)) {
            names.extend(lines.iter().filter_map(|line| settings.tag_on(&line.name).cloned()));
        }
        let ships: Vec<_> =
            lines.iter().filter_map(|line| Some((line.name.clone(), release.shipped(line.id)?.clone()))).collect();
        app.git.show_in_release(&release.id, upstream, &names, (&shown, &ships)).await?;
    }
    Ok(())
}

/// Tells whether two rehearsals say the same, whenever they were.
fn same(one: &Rehearsal, two: &Rehearsal) -> bool {
    match (one, two) {
        (Rehearsal::None, Rehearsal::None) => true,
        (Rehearsal::Trouble { sentence: a, .. }, Rehearsal::Trouble { sentence: b, .. }) => a == b,
        (Rehearsal::Candidate(a), Rehearsal::Candidate(b)) => {
            let parts = |it: &Candidate| {
                let built = (it.base.clone(), it.commit.clone(), it.tag_object.clone(), it.moves.clone());
                (built, it.inputs, it.recipe, it.maker)
            };
            parts(a) == parts(b)
        }
        (Rehearsal::None | Rehearsal::Trouble { .. } | Rehearsal::Candidate(_), _) => false,
    }
}

async fn rehearse_target(app: &App, plan: (&Release, &Facts, &Layout), at: usize) -> Result<Rehearsal> {
    let (release, facts, layout) = plan;
    let target = &release.targets[at];
    let (line, upstream) = layout.place(target)?;
    let now = app.clock.now();
    let trouble = |sentence: String| Ok(Rehearsal::Trouble { sentence, at: now });
    let Some(tip) = facts.targets[at].tip.clone() else {
        return trouble(format!("the public line is not in the mirror of {}.", upstream.name));
    };
    let heads = release.fixes_on(target.line, facts);
    let recipe = facts.targets[at].recipe.clone();
    if heads.is_empty() && recipe.as_ref().is_ok_and(|recipe| recipe.forwards.is_empty()) {
        return trouble("nothing is pushed to fix this line yet.".to_owned());
    }
    if current(plan, at) {
        return Ok(target.rehearsal.clone());
    }
    let offered = facts.targets[at].candidate.offered_head();
    let tests = release.tests_in(target.upstream, facts);
    let built_from = inputs(&tip, (&heads, &tests), release.dated_at, &target.tag, offered);
    let recipe = recipe?;
    let place = Place { release, facts, layout, line, upstream };
    let sources = match place.topics(&recipe.forwards, None) {
        Ok(sources) => sources,
        Err(sentence) => return trouble(sentence),
    };
    let repo = Repo::Release(release.id.clone(), upstream.id);
    let signer = Identity::new(&recipe.signer.0, &recipe.signer.1)?;
    let seal = super::recipe::seal(app, recipe.commits)?;
    let stamp = Stamp { author: signer.clone(), committer: signer.clone(), dated_at: release.dated_at, seal };
    let wanted: Vec<CommitId> = heads.iter().chain(sources.iter().map(|source| &source.head)).cloned().collect();
    let usable = match offered {
        Some(head) if holds(app, &repo, head, (&tip, &wanted)).await? => Some(head.clone()),
        Some(_) | None => None,
    };
    let (commit, maker) = match usable {
        Some(head) => (head, Maker::Person),
        None => match app.git.combine(&repo, &tip, &topics_of(&recipe.fixes), (recipe.strategy, &stamp)).await? {
            Merged::Clean { commit, .. } => {
                match app.git.combine(&repo, &commit, &sources, (Strategy::Merge, &stamp)).await? {
                    Merged::Clean { commit, .. } => (commit, Maker::Server),
                    Merged::Conflict { head, paths, .. } => {
                        return trouble(place.no_way_in(app, &recipe.forwards, (&head, paths.len())));
                    }
                    Merged::Differs { .. } => return trouble("an older line does not merge into it.".to_owned()),
                }
            }
            Merged::Conflict { head, at: commit, paths } => {
                let place = (line, upstream.name.as_str());
                return trouble(conflict(app, plan, (at, place), (&head, commit.as_ref(), paths.len())));
            }
            Merged::Differs { head } => return trouble(differs(plan, line, &head)),
        },
    };
    // What a person pushed is what others approved, to the byte: nothing is added to it.
    let commit = match (&recipe.changelog, maker) {
        (Some(changelog), Maker::Server) if commit != tip => {
            app.git.add_file(&repo, &commit, changelog, &stamp).await?
        }
        (Some(_), Maker::Server | Maker::Person) | (None, _) => commit,
    };
    let (commit, bumped) = match (&recipe.bump, maker) {
        (Some(bump), Maker::Server) if commit != tip => {
            match super::version::bump(app, &repo, &commit, bump, &stamp).await? {
                Bumped::Changed(commit) => (commit, true),
                Bumped::Nothing => (commit, false),
                Bumped::Failed(sentence) => return trouble(sentence),
            }
        }
        (Some(_), Maker::Server | Maker::Person) | (None, _) => (commit, false),
    };
    if commit == tip {
        return trouble("the public line holds the fix already: what it fixes is public.".to_owned());
    }
    for advance in &recipe.advances {
        if let Some(sentence) = held_back(app, &repo, advance, &commit).await? {
            return trouble(sentence);
        }
    }
    let mut moves = Vec::new();
    if let Some(on) = &recipe.tag_on {
        match place.tag_on(app, on, &commit, &stamp).await? {
            Ok(moved) => moves.push(moved),
            Err(sentence) => return trouble(sentence),
        }
    }
    let tagged = moves.first().map_or_else(|| commit.clone(), |moved| moved.new.clone());
    for onward in &recipe.onward {
        match place.carry(app, onward, &commit, &stamp).await? {
            Ok(moved) => moves.extend(moved),
            Err(sentence) => return trouble(sentence),
        }
    }
    let built: Vec<_> = std::iter::once(&commit).chain(moves.iter().map(|moved| &moved.new)).cloned().collect();
    if let Some(sentence) = super::landing::guard::amiss(app, plan, upstream.id, &built).await? {
        return trouble(sentence);
    }
    let same_as = match heads.as_slice() {
        [only] if app.git.commit(&repo, only).await?.tree == app.git.commit(&repo, &tagged).await?.tree => {
            Some(only.clone())
        }
        _ => None,
    };
    let Some(tag_object) = tag(app, (release, target), &recipe, (&repo, tagged, signer)).await? else {
        return trouble("there is no key to sign the tag with.".to_owned());
    };
    let mut kept = vec![commit.clone(), tag_object.clone()];
    kept.extend(moves.iter().map(|moved| moved.new.clone()));
    app.git.keep(&repo, &kept).await?;
    let sources: Vec<CommitId> = release.sources(at, facts).ok_or(Error::Conflict)?;
    Ok(Rehearsal::Candidate(Candidate {
        base: tip,
        commit,
        tag_object,
        maker,
        bumped,
        same_as,
        inputs: built_from,
        recipe: recipe.digest(&sources),
        moves,
        at: now,
    }))
}

/// Makes the tag of a target; none where there is no key to sign it with.
async fn tag(
    app: &App,
    (release, target): (&Release, &Target),
    recipe: &Recipe,
    (repo, commit, tagger): (&Repo, CommitId, Identity),
) -> Result<Option<CommitId>> {
    match recipe.style {
        TagStyle::Lightweight => Ok(Some(commit)),
        TagStyle::Annotated => {
            let text = TagText {
                name: target.tag.clone(),
                target: commit,
                tagger,
                dated_at: release.dated_at,
                message: recipe.tag_message.clone(),
            };
            let draft = TagDraft::new(&text)?;
            match (recipe.signing, app.keys.tag_signer()) {
                // People sign these bytes before anything freezes.
                (Signing::Offline, _) => Ok(Some(app.git.write_unsigned_tag(repo, draft).await?)),
                (Signing::Server, Some(key)) => {
                    let signature = key.sign(sshsig::GIT, &draft.payload()?)?;
                    Ok(Some(app.git.write_tag(repo, draft.sign(&signature)?).await?))
                }
                (Signing::Server, None) => Ok(None),
            }
        }
    }
}

/// Says why a branch cannot move with its line; nothing if it can.
async fn held_back(app: &App, repo: &Repo, advance: &Advance, commit: &CommitId) -> Result<Option<String>> {
    let branch = &advance.branch;
    let Some(tip) = &advance.tip else {
        return Ok(Some(format!(
            "{branch} moves with this line, and there is no such branch in public: make it there."
        )));
    };
    match app.git.is_ancestor(repo, tip, commit).await {
        Ok(true) => Ok(None),
        Ok(false) | Err(crate::git::Error::Missing) => Ok(Some(format!(
            "{branch} moves with this line, and holds commits that the line does not: merge it into the line first."
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Tells whether what a person pushed still holds the public tip and every fix.
async fn holds(app: &App, repo: &Repo, head: &CommitId, all: (&CommitId, &[CommitId])) -> Result<bool> {
    for wanted in std::iter::once(all.0).chain(all.1) {
        match app.git.is_ancestor(repo, wanted, head).await {
            Ok(true) => {}
            Ok(false) | Err(crate::git::Error::Missing) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Says that the commits of a fix, one by one, are not what was approved, and the ways out.
fn differs(plan: (&Release, &Facts, &Layout), line: &Line, head: &CommitId) -> String {
    let (release, facts, _) = plan;
    let which = fix_of(release.merged_on(line.id, facts), head);
    let (name, id) = (&line.name, &release.id);
    format!(
        "{which} holds a merge, and its commits alone do not add up to what was approved: rebase fix/{name} and push it, or put it          onto the line otherwise: embargo release set-strategy {id} {name}=squash",
    )
}

fn fix_of<'a>(mut merged: impl Iterator<Item = (&'a CaseId, &'a FixFacts)>, head: &CommitId) -> String {
    let which = merged.find(|(_, fix)| fix.head.as_ref() == Some(head));
    which.map_or_else(|| "a fix".to_owned(), |(case, _)| format!("the fix of {case}"))
}

/// Says that a fix does not fit, and the two ways out. Read by those who may see every case of the release.
fn conflict(
    app: &App,
    plan: (&Release, &Facts, &Layout),
    of: (usize, (&Line, &str)),
    what: (&CommitId, Option<&CommitId>, usize),
) -> String {
    let ((release, facts, _), (at, (line, repository)), (head, commit, files)) = (plan, of, what);
    let name = &line.name;
    let which = fix_of(release.merged_on(line.id, facts), head);
    let which = commit.map_or_else(|| which.clone(), |commit| format!("{} of {which}", commit.short()));
    let fallen = facts.targets[at].candidate.offered_head().map(|head| fallen(name, head)).unwrap_or_default();
    let merges: Vec<_> =
        release.merged_on(line.id, facts).map(|(case, _)| format!("git merge origin/fix/{case}/{name}")).collect();
    let mend = match release.targets[at].strategy {
        Strategy::Merge | Strategy::Squash => "merge the line into",
        Strategy::Rebase => "rebase onto the line",
    };
    format!(
        "{fallen}{which} does not merge with the line or another fix, in {files} files: {mend} fix/{name} and push, \
         or resolve it for this release alone: git clone -b {name} {} && cd {repository} && {} && git push origin \
         HEAD:refs/heads/candidate/{name}",
        app.url(&format!("/{}/{repository}", release.id)),
        merges.join(" && "),
    )
}

/// Says that what a person pushed is used no more. Ends with a space, for what takes its place.
pub(super) fn fallen(line: &LineName, head: &CommitId) -> String {
    format!(
        "candidate/{line} at {} fell away, because the public line or a fix moved on since it was pushed. ",
        head.short()
    )
}
