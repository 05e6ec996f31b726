//! Long trains: ten cases on ten lines from the plan to the last channel, and how the rehearsal grows from ten cases to a hundred.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::http::StatusCode;
use embargo::app::Clock;
use embargo::domain::effect::Phase;
use embargo::domain::release::ReleaseState;
use embargo::wire::release::{EffectView, ReleaseView};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::command::Result;
use crate::number::{Limit, Number, median, milliseconds};
use crate::sample;
use crate::stage::{Case, FIXER, MANAGER, Stage, TRAIN, until};

/// Cases of the short train, each fixed on every line.
const CASES: usize = 10;
/// Cases of the long one, all on one line.
const MANY: usize = 100;
/// Seconds from the freezing to the instant.
const AHEAD: i64 = 20;
/// How often a page is asked for.
const LOOKS: usize = 11;

/// Where the stand-in of a webhook's receiver listens; said in the configuration before the server starts.
pub(crate) struct Receiver {
    /// Its address.
    pub(crate) url: String,
    _serving: Arc<tokio::task::JoinHandle<()>>,
}

impl Receiver {
    /// Takes every message.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let router = Router::new().fallback(async || StatusCode::NO_CONTENT);
        #[expect(clippy::disallowed_methods, reason = "it ends with the benchmarks")]
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { url, _serving: Arc::new(serving) })
    }
}

/// Runs both trains.
pub(crate) async fn run(stage: &mut Stage) -> Result<Vec<Number>> {
    let work = stage.new_folder("train")?.join("clone");
    let public = stage.apache.public(TRAIN);
    Stage::git(&stage.folder, "").args(["clone", "--quiet", "--", &public]).arg(&work).succeed().await?;
    stage.quiet().await?;
    let mut numbers = disclosed(stage, &work).await?;
    numbers.extend(grown(stage, &work).await?);
    Ok(numbers)
}

/// Takes ten cases on ten lines the whole way.
async fn disclosed(stage: &Stage, work: &Path) -> Result<Vec<Number>> {
    let mut cases = Vec::new();
    for number in 0..CASES {
        let case = fixed(stage, work, &format!("wide-{number}"), &sample::TRACKS).await?;
        stage.approve_fixes(&case.id, sample::TRACKS.len()).await?;
        cases.push(case);
    }
    // The advisories are written before, so that the plan is rehearsed once.
    let tags = sample::TRACKS.map(|line| (line, format!("{line}-1.0.1")));
    let due = Timestamp::from_second((Clock::System.now() + SignedDuration::from_secs(3600)).as_second())?;
    let (release, took) = planned(stage, &cases, &tags, due).await?;
    for case in &cases {
        draft(stage, &case.id, &tags).await?;
        stage.embargo::<IgnoredAny>(MANAGER, &["date", "propose", &case.id, &due.to_string()]).await?;
        stage.agree(case).await?;
    }
    // Everything was rehearsed with a date an hour ahead; the instant comes as soon as it can.
    let due = Timestamp::from_second((Clock::System.now() + SignedDuration::from_secs(AHEAD)).as_second())?;
    stage.post::<IgnoredAny>(&format!("/releases/{release}/postpone"), &json!({ "due_at": due })).await?;
    for case in &cases {
        stage.embargo::<IgnoredAny>(MANAGER, &["date", "propose", &case.id, &due.to_string()]).await?;
        stage.agree(case).await?;
        let draft: Value = stage.embargo(MANAGER, &["advisory", "show", &case.id]).await?;
        let digest = draft["digest"].as_str().ok_or("An advisory has no hash.")?;
        stage.embargo::<IgnoredAny>(MANAGER, &["advisory", "approve", &case.id, digest]).await?;
    }
    stage.ready(&release).await?;
    let read: ReleaseView = stage.embargo(MANAGER, &["release", "freeze", &release]).await?;
    let digest = read.digest.ok_or("A frozen release has no digest.")?;
    stage.sign_in(MANAGER).await?;
    stage.embargo::<IgnoredAny>(MANAGER, &["release", "arm", &release, "--digest", &digest]).await?;
    let wait = due.duration_since(Clock::System.now()) + SignedDuration::from_secs(8);
    tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
    let view = until("The train was not disclosed.", async || {
        let view: ReleaseView = stage.api(Method::GET, &format!("/releases/{release}")).await?;
        if let Some(hold) = &view.hold {
            return Err(format!("The train is held: {}", hold.note).into());
        }
        Ok((view.summary.state == ReleaseState::Done.as_str()).then_some(view))
    });
    let view = view.await?;
    let after = |wanted: &dyn Fn(&EffectView) -> bool| {
        let ends = view.effects.iter().filter(|it| wanted(it)).filter_map(|it| it.done_at.as_deref()?.parse().ok());
        ends.max().map(|end: Timestamp| end.duration_since(due).as_secs_f64() * 1000.0).ok_or("It has no such effect.")
    };
    let verified = after(&|effect| effect.phase == Phase::VerifyPublic.as_str())?;
    let last = after(&|_| true)?;
    let of = format!("{CASES} cases on {} lines", sample::TRACKS.len());
    let number = |name, ours, limit, note| Number { name, ours, theirs: None, unit: "ms", limit, note };
    Ok(vec![
        number("rehearsal", took, Limit::AtMost(10_000.0), format!("{of}, from the plan to the last candidate")),
        number("pushed", verified, Limit::AtMost(2000.0), format!("{of}, from the instant to the push read back")),
        number(
            "last channel",
            last,
            Limit::AtMost(5000.0),
            format!("{of}, from the instant to the last of {} effects", view.effects.len()),
        ),
    ])
}

/// Rehearses ten cases on one line, then a hundred, and asks for the page of these.
async fn grown(stage: &Stage, work: &Path) -> Result<Vec<Number>> {
    let line = [sample::TRACKS[0]];
    let tags = [(line[0], "grown-1.0.0".to_owned())];
    let due = Timestamp::from_second((Clock::System.now() + SignedDuration::from_hours(24)).as_second())?;
    let mut cases = Vec::new();
    for number in 0..MANY {
        cases.push(fixed(stage, work, &format!("long-{number}"), &line).await?);
    }
    let (few, short) = planned(stage, &cases[..CASES], &tags, due).await?;
    stage.press(Method::POST, &format!("/releases/{few}/abandon")).await?;
    stage.quiet().await?;
    let (many, long) = planned(stage, &cases, &tags, due).await?;
    stage.quiet().await?;
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        let began = Instant::now();
        let view: ReleaseView = stage.api(Method::GET, &format!("/releases/{many}")).await?;
        looks.push(milliseconds(began.elapsed()));
        if view.blockers.len() < MANY {
            return Err("The long train should be blocked by each of its cases.".into());
        }
    }
    let each = |took: f64, cases: usize| took / f64::from(u32::try_from(cases).unwrap_or(u32::MAX));
    Ok(vec![
        Number {
            name: "growth",
            ours: each(long, MANY),
            theirs: Some(each(short, CASES)),
            unit: "ms/case",
            limit: Limit::AtMost(1.0),
            note: format!("rehearsal of {MANY} cases on one line, beside that of {CASES}"),
        },
        Number {
            name: "readiness",
            ours: median(&looks),
            theirs: None,
            unit: "ms",
            limit: Limit::AtMost(200.0),
            note: format!("the page of {MANY} cases with everything that blocks them; median of {LOOKS}"),
        },
    ])
}

/// Makes a case with a fix for each of these lines, pushed at once.
async fn fixed(stage: &Stage, work: &Path, name: &str, lines: &[&str]) -> Result<Case> {
    let case = stage.accepted_case(TRAIN, &format!("Sample case {name}")).await?;
    let mut refspecs = Vec::new();
    for line in lines {
        Stage::git(work, "").args(["checkout", "--quiet", "--detach", &format!("origin/{line}")]).succeed().await?;
        fs::write(work.join(format!("fix-{name}.txt")), "The hole is closed.\n")?;
        Stage::git(work, "").args(["add", "--all"]).succeed().await?;
        Stage::git(work, "").args(["commit", "--quiet", "--message", "Close the hole"]).succeed().await?;
        let head = Stage::git(work, "").args(["rev-parse", "HEAD"]).succeed().await?;
        refspecs.push(format!("{}:refs/heads/fix/{line}", head.trim()));
    }
    Stage::git(work, &stage.header).args(["push", "--quiet", "--", &case.remote]).args(&refspecs).succeed().await?;
    Ok(case)
}

/// Plans a release; returns its id and how many milliseconds passed until every line had its candidate.
async fn planned(stage: &Stage, cases: &[Case], tags: &[(&str, String)], due: Timestamp) -> Result<(String, f64)> {
    let targets: Vec<Value> = tags.iter().map(|(line, tag)| json!({ "line": line, "tag": tag })).collect();
    let cases: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    let wish = json!({ "project": TRAIN, "cases": cases, "targets": targets, "due_at": due });
    let began = Instant::now();
    let planned: ReleaseView = stage.post("/releases", &wish).await?;
    let id = planned.summary.id;
    until("The train was not rehearsed.", async || {
        // Whoever looks takes the server's time: a twentieth of what has passed, at most.
        tokio::time::sleep(began.elapsed() / 20).await;
        let view: ReleaseView = stage.api(Method::GET, &format!("/releases/{id}")).await?;
        if let Some(trouble) = view.targets.iter().find_map(|target| target.trouble.as_deref()) {
            return Err(format!("The train is in trouble: {trouble}").into());
        }
        Ok(view.targets.iter().all(|target| target.candidate.is_some()).then_some(()))
    })
    .await?;
    Ok((id, milliseconds(began.elapsed())))
}

/// Writes the advisory of a case for these lines.
async fn draft(stage: &Stage, case: &str, tags: &[(&str, String)]) -> Result<()> {
    let mut draft: Value = stage.embargo(FIXER, &["advisory", "show", case]).await?;
    let advisory = &mut draft["advisory"];
    advisory["description"] = "Whoever reads a sample page may write it, too: update.".into();
    advisory["severity"] = json!({ "kind": "word", "value": "high" });
    let affected = tags.iter().map(|(line, tag)| {
        json!({ "repository": TRAIN, "line": line, "fixed": tag.trim_start_matches(line).trim_start_matches('-'), "tag": tag })
    });
    advisory["affected"] = affected.collect();
    let file = stage.folder.join("advisory.json");
    fs::write(&file, advisory.to_string())?;
    stage.embargo::<IgnoredAny>(FIXER, &["advisory", "edit", case, &file.display().to_string()]).await.map(drop)
}
