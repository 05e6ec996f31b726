//! The second half of the story: advisory, release, the instant.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::people::Person;
use super::stage::{PROJECT, Stage};
use super::story::{Mended, short};
use super::tale::{Tale, Times};
use super::wait::until;
use crate::app::Clock;
use crate::cli::{Failure, Result};
use crate::domain::effect::Phase;
use crate::domain::readiness::Checks;
use crate::domain::release::ReleaseState;
use crate::wire::advisory::DocumentView;
use crate::wire::release::{CandidateView, EffectView, ReleaseView};

/// How long the server may take for what it does by itself.
const CHORE: Duration = Duration::from_mins(1);

/// A release that is public.
pub(super) struct Released {
    /// The advisory's id.
    pub(super) advisory: String,
    /// Where its OSV file is.
    pub(super) osv: String,
    /// The fix of each line.
    pub(super) fixes: BTreeMap<String, String>,
}

/// What the story reads of an advisory's draft.
#[derive(Deserialize)]
struct Draft {
    id: Option<String>,
    advisory: serde_json::Value,
    digest: Option<String>,
    missing: Vec<String>,
    documents: Vec<DocumentView>,
}

/// Tells the second half.
pub(super) async fn tell(stage: &Stage<'_>, mended: Mended, seconds: u32, tale: &mut Tale) -> Result<Released> {
    if let Some(why) = &mended.unchecked {
        answer_for(stage, &mended, why, tale).await?;
    } else if !stage.upstream.is_sample() {
        answer_for_unsupported(stage, &mended, tale).await?;
    }
    draft(stage, &mended, tale).await?;
    let due = whole_second(Clock::System.now() + SignedDuration::from_secs(i64::from(seconds)))?;
    let release = plan(stage, &mended, due, tale).await?;
    let (advisory, osv) = approve(stage, &mended, tale).await?;
    freeze(stage, &release, tale).await?;
    super::audience::tell(stage, &release, tale).await?;
    arm(stage, &release, tale).await?;
    disclosed(stage, (&release, due), seconds, tale).await?;
    Ok(Released { advisory, osv, fixes: mended.fixes })
}

/// The reviewer answers for commits whose checks could not run here.
async fn answer_for(stage: &Stage<'_>, mended: &Mended, why: &str, tale: &mut Tale) -> Result<()> {
    for (line, head) in &mended.fixes {
        let words = ["release", "waive", &mended.case, "--line", line, "--head", head];
        stage.cast.reviewer.embargo::<IgnoredAny>(&words).await?;
    }
    tale.step("waiver", format!("the reviewer answers for the fixes, whose checks did not run: {why}"));
    Ok(())
}

/// Of a real project some jobs cannot run here: then somebody answers for the commit, as readiness asks.
async fn answer_for_unsupported(stage: &Stage<'_>, mended: &Mended, tale: &mut Tale) -> Result<()> {
    let view = super::story::show(&stage.cast.maintainer, &mended.case).await?;
    if view.fixes.iter().any(|fix| fix.head.is_some() && fix.checks == "unsupported") {
        answer_for(stage, mended, "not everything the project's workflows ask for runs here", tale).await?;
    }
    Ok(())
}

/// The maintainer writes the advisory.
async fn draft(stage: &Stage<'_>, mended: &Mended, tale: &mut Tale) -> Result<()> {
    let maintainer = &stage.cast.maintainer;
    let Draft { mut advisory, .. } = read(maintainer, &mended.case).await?;
    let sample = stage.upstream.is_sample();
    let description = if sample {
        "A request whose path holds encoded dots, such as `/%2e%2e/secret.txt`, reads files beside the folder that is lent out. \
         Everybody who runs Shelf is affected: update."
    } else {
        "A vulnerability that was fixed by the commits named below; this text belongs to a rehearsal on a copy."
    };
    advisory["description"] = description.into();
    if sample {
        advisory["workaround"] = "Put Shelf behind a proxy that refuses `%2e` in paths.".into();
    }
    advisory["severity"] = serde_json::json!({ "kind": "word", "value": "high" });
    let affected = stage.upstream.lines.iter().map(|line| {
        let fixed = line.tag.trim_start_matches('v');
        serde_json::json!({ "repository": stage.upstream.name, "line": line.name, "fixed": fixed, "tag": line.tag })
    });
    advisory["affected"] = affected.collect();
    let file = maintainer.home.join("advisory.json");
    fs::write(&file, advisory.to_string())
        .map_err(|error| Failure::because("The draft could not be written.", error))?;
    maintainer.embargo::<IgnoredAny>(&["advisory", "edit", &mended.case, &file.display().to_string()]).await?;
    let lacks = read(maintainer, &mended.case).await?.missing;
    if !lacks.is_empty() {
        return Err(Failure::Refused(format!("The advisory is not complete: {}", lacks.join(" "))));
    }
    tale.step("draft", "the maintainer wrote the advisory");
    Ok(())
}

/// Both sides agree on the date, and the release manager plans the release for it.
async fn plan(stage: &Stage<'_>, mended: &Mended, due: Timestamp, tale: &mut Tale) -> Result<String> {
    let (case, at) = (&mended.case, due.to_string());
    stage.cast.maintainer.embargo::<IgnoredAny>(&["date", "propose", case, &at]).await?;
    let claim = stage.cast.reporter.home.join("claim").display().to_string();
    stage.cast.reporter.embargo::<IgnoredAny>(&["report", "date", "--claim-file", &claim, "accept"]).await?;
    tale.step("date", format!("the maintainer proposed {at}, and the reporter agreed"));
    let tags: Vec<_> = stage.upstream.lines.iter().map(|line| format!("{}={}", line.name, line.tag)).collect();
    let mut words = vec!["release", "plan", "--project", PROJECT, "--case", case, "--at", &at];
    words.extend(tags.iter().flat_map(|tag| ["--tag", tag.as_str()]));
    let view: ReleaseView = stage.cast.manager.embargo(&words).await?;
    let id = view.summary.id;
    tale.id("release", &id);
    tale.url("release", format!("{}/releases/{id}", stage.server));
    tale.step("plan", format!("{id}: {} at {at}", tags.join(", ")));
    Ok(id)
}

/// The reviewer reads the advisory as it will be published and approves its hash; returns its id and where its OSV file will be.
async fn approve(stage: &Stage<'_>, mended: &Mended, tale: &mut Tale) -> Result<(String, String)> {
    let reviewer = &stage.cast.reviewer;
    let Draft { id, digest, documents, .. } = read(reviewer, &mended.case).await?;
    let (Some(id), Some(digest)) = (id, digest) else {
        return Err(Failure::Refused("The advisory of a planned release has no id or no hash.".to_owned()));
    };
    let osv = documents.into_iter().find(|document| document.path.starts_with("osv/"));
    let osv = osv.ok_or_else(|| Failure::Refused("The advisory has no OSV file.".to_owned()))?.path;
    reviewer.embargo::<IgnoredAny>(&["advisory", "approve", &mended.case, &digest]).await?;
    tale.id("advisory", &id);
    tale.step(
        "approval",
        format!("the reviewer approved {id} as it will be published, by its hash {}", short(&digest)),
    );
    Ok((id, osv))
}

/// Waits for the rehearsal and freezes what it built.
async fn freeze(stage: &Stage<'_>, release: &str, tale: &mut Tale) -> Result<()> {
    let manager = &stage.cast.manager;
    let ready = until(CHORE, "The rehearsal did not come to an end.", async || {
        let view = show(manager, release).await?;
        if let Some(trouble) = view.targets.iter().find_map(|target| target.trouble.clone()) {
            return Err(Failure::Refused(format!("The rehearsal found trouble: {trouble}")));
        }
        let rehearsed = view.targets.iter().all(|target| target.candidate.is_some());
        let stale =
            view.blockers.iter().any(|blocker| blocker.kind == "rehearsal" || blocker.kind == "rehearsal_stale");
        let checking = |standing: &CandidateView| standing.checks == Checks::Running.as_str();
        let checking = view.targets.iter().filter_map(|target| target.standing.as_ref()).any(checking);
        Ok((rehearsed && !stale && !checking).then_some(view))
    });
    let view = ready.await?;
    if !view.blockers.is_empty() {
        let sentences: Vec<_> = view.blockers.iter().map(|blocker| blocker.sentence.as_str()).collect();
        return Err(Failure::Refused(format!("The release is blocked: {}", sentences.join(" "))));
    }
    for target in &view.targets {
        tale.id(format!("merge {}", target.line), target.candidate.clone().unwrap_or_default());
        tale.id(format!("tag {}", target.tag), target.tag_object.clone().unwrap_or_default());
    }
    let merges: Vec<_> =
        view.targets.iter().filter_map(|t| Some(format!("{} {}", t.line, short(t.candidate.as_deref()?)))).collect();
    tale.step("rehearsal", format!("merges cleanly: {}", merges.join(", ")));
    let frozen: ReleaseView = manager.embargo(&["release", "freeze", release]).await?;
    let digest = frozen.digest.unwrap_or_default();
    tale.id("manifest", &digest);
    tale.step("freeze", format!("fixed to the byte as {}", short(&digest)));
    Ok(())
}

/// Two people sign in anew and arm.
async fn arm(stage: &Stage<'_>, release: &str, tale: &mut Tale) -> Result<()> {
    let mut state = String::new();
    for person in [&stage.cast.manager, &stage.cast.reviewer] {
        person.sign_in(&stage.server).await?;
        let read: ReleaseView = person.embargo(&["release", "show", release]).await?;
        let digest = read.digest.unwrap_or_default();
        let view: ReleaseView = person.embargo(&["release", "arm", release, "--digest", &digest]).await?;
        state = view.summary.state;
    }
    if state != ReleaseState::Armed.as_str() {
        return Err(Failure::Refused(format!("Two people armed the release, and it is {state}.")));
    }
    tale.step("arm", "the release manager and the reviewer signed in anew and armed; nobody is needed from here on");
    Ok(())
}

/// Waits for the instant and for the end of the run.
async fn disclosed(stage: &Stage<'_>, (release, due): (&str, Timestamp), seconds: u32, tale: &mut Tale) -> Result<()> {
    tale.aside(&format!("           waiting for {due}"));
    let limit = Duration::from_secs(u64::from(seconds) + 5);
    until(limit, "The instant did not come.", async || Ok((Clock::System.now() >= due).then_some(()))).await?;
    tale.step("instant", format!("{due} has come"));
    let done = until(CHORE * 2, "The release was not disclosed.", async || {
        let view = show(&stage.cast.manager, release).await?;
        if let Some(hold) = &view.hold {
            return Err(Failure::Refused(format!("The release is held: {} {}", hold.note, hold.advice)));
        }
        Ok((view.summary.state == ReleaseState::Done.as_str()).then_some(view))
    });
    let view = done.await?;
    let times = times(&view, due);
    tale.times(&times);
    let part = |ms: Option<i64>| ms.map_or_else(|| "unknown".to_owned(), |ms| ms.to_string());
    tale.step(
        "disclosed",
        format!(
            "{} effects, the last one {} ms after the instant; the push took {} ms, the advisory came {} ms after it",
            view.effects.len(),
            part(times.whole_ms),
            part(times.push_ms),
            part(times.gap_ms)
        ),
    );
    Ok(())
}

/// Reads the times of the disclosure from its journal.
fn times(view: &ReleaseView, due: Timestamp) -> Times {
    let of = |phase: Phase| view.effects.iter().filter(move |effect| effect.phase == phase.as_str());
    let began = |effect: &EffectView| effect.started_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    let ended = |effect: &EffectView| effect.done_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    let between = |from: Option<Timestamp>, to: Option<Timestamp>| Some(to?.as_millisecond() - from?.as_millisecond());
    let pushed = of(Phase::PushFixes).filter_map(ended).max();
    Times {
        gap_ms: between(pushed, of(Phase::PublishAdvisories).filter_map(ended).max()),
        push_ms: between(of(Phase::PushFixes).filter_map(began).min(), pushed),
        whole_ms: between(Some(due), view.effects.iter().filter_map(ended).max()),
    }
}

async fn read(person: &Person, case: &str) -> Result<Draft> {
    person.embargo(&["advisory", "show", case]).await
}

async fn show(person: &Person, release: &str) -> Result<ReleaseView> {
    person.embargo(&["release", "show", release]).await
}

fn whole_second(at: Timestamp) -> Result<Timestamp> {
    Timestamp::from_second(at.as_second() + 1).map_err(|error| Failure::because("The instant is out of reach.", error))
}
