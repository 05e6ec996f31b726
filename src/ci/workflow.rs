//! One workflow file: whether it concerns a pull request, and what its jobs ask for.
//!
//! Guards: a key that is not known makes its job unsupported, so nothing is left out in silence. The model is
//! `github-actions-models`; `on:` is read here, because the model lets a filter in an odd form pass unseen.

use github_actions_models::common::expr::LoE;
use github_actions_models::common::{Env, If, Uses};
use github_actions_models::workflow::job::{NormalJob, RunStep, RunsOn, Step, UsesStep};
use github_actions_models::workflow::{Defaults, Job, Workflow};
use yaml_serde::{Mapping, Value};

use super::expression::{Known, Template, When, excerpt};
use super::plan::{Action, Elsewhere, Fate, PlannedJob, PlannedStep, PullRequest, Recipe, Shell, WorkflowFile};
use super::run::inside_workspace;
use super::{glob, yaml};
use crate::domain::text::shown;

const WORKFLOW_KEYS: &[&str] =
    &["name", "run-name", "on", "permissions", "env", "defaults", "concurrency", "jobs", "cache-mode"];
const JOB_KEYS: &[&str] = &[
    "name",
    "permissions",
    "needs",
    "if",
    "runs-on",
    "environment",
    "concurrency",
    "outputs",
    "env",
    "defaults",
    "steps",
    "timeout-minutes",
    "strategy",
    "continue-on-error",
    "container",
    "services",
    "uses",
    "with",
    "secrets",
    "cache-mode",
];
const RUN_KEYS: &[&str] = &[
    "id",
    "if",
    "name",
    "run",
    "working-directory",
    "shell",
    "env",
    "continue-on-error",
    "timeout-minutes",
    "background",
];
const USES_KEYS: &[&str] =
    &["id", "if", "name", "uses", "with", "env", "continue-on-error", "timeout-minutes", "background"];

/// What a file asks for.
pub(super) enum Reading {
    /// These jobs; at least one.
    Jobs(Vec<PlannedJob>),
    /// Nothing, for the reason given.
    Ignored(String, Elsewhere),
}

/// Reads one file. Never fails: what cannot be read is an unsupported job.
pub(super) fn read(file: &WorkflowFile, pull: &PullRequest) -> Reading {
    let unreadable = |why: String| Reading::Jobs(vec![PlannedJob::unsupported(excerpt(&file.path), why)]);
    let mut document = match yaml::read(&file.text) {
        Ok(Value::Mapping(document)) => document,
        Ok(_) => return unreadable("The file is not a workflow: it has no keys.".to_owned()),
        Err(why) => return unreadable(why),
    };
    match concerns(document.get("on"), pull) {
        Ok(None) => {}
        Ok(Some(why)) => return Reading::Ignored(why, elsewhere(document.get("on"))),
        Err(why) => return unreadable(why),
    }
    if let Some(key) = unknown_key(&document, WORKFLOW_KEYS) {
        return unreadable(format!("The key \"{key}\" of the workflow is not known here."));
    }
    // Only the pull request counts from here on, and the model stumbles over bodies of other events.
    document.insert("on".into(), "pull_request".into());
    let raw = document.get("jobs").cloned().unwrap_or(Value::Null);
    let workflow: Workflow = match yaml_serde::from_value(Value::Mapping(document)) {
        Ok(workflow) => workflow,
        Err(error) => return unreadable(format!("The file is not a workflow: {}.", shown(&error.to_string()))),
    };
    if workflow.jobs.is_empty() {
        return unreadable("The workflow has no jobs.".to_owned());
    }
    let title = excerpt(workflow.name.as_deref().unwrap_or(&file.path));
    let known = pull.known();
    let jobs = workflow.jobs.iter().map(|(key, job)| {
        let name = excerpt(job.name().unwrap_or(key));
        let fate = fate(&workflow, (key, job), &raw[key.as_str()], &known).unwrap_or_else(Fate::Unsupported);
        PlannedJob { context: format!("{title} / {name}"), fate }
    });
    Reading::Jobs(jobs.collect())
}

/// Says what a file that asks for nothing here is run for on its forge.
fn elsewhere(on: Option<&Value>) -> Elsewhere {
    let pushes = match on {
        Some(Value::String(event)) => event == "push",
        Some(Value::Sequence(events)) => events.iter().any(|event| event == "push"),
        Some(Value::Mapping(events)) => match (events.get("pull_request"), events.get("push")) {
            (Some(_), _) | (None, None) => false,
            (None, Some(Value::Mapping(filters))) => {
                let has = |key: &str| filters.contains_key(key);
                has("branches") || has("branches-ignore") || !(has("tags") || has("tags-ignore"))
            }
            (None, Some(_)) => true,
        },
        _ => false,
    };
    if pushes { Elsewhere::Pushes } else { Elsewhere::Other }
}

/// `Ok(None)` if the file concerns the push, `Ok(Some(why))` if not.
fn concerns(on: Option<&Value>, pull: &PullRequest) -> Result<Option<String>, String> {
    const EVENT: &str = "pull_request";
    let not_asked = || Ok(Some("The workflow does not run for pull requests.".to_owned()));
    let filters = match on {
        None => return Err("The workflow does not say when it runs: \"on\" is missing.".to_owned()),
        Some(Value::String(event)) if event == EVENT => return Ok(None),
        Some(Value::String(event)) if plausible(event) => return not_asked(),
        Some(Value::Sequence(events)) if events.iter().all(|event| event.as_str().is_some_and(plausible)) => {
            return if events.iter().any(|event| event == EVENT) { Ok(None) } else { not_asked() };
        }
        Some(Value::Mapping(events)) => match events.get(EVENT) {
            None => return not_asked(),
            Some(Value::Null) => return Ok(None),
            Some(Value::Mapping(filters)) => filters,
            Some(_) => return Err("The filters of \"on.pull_request\" cannot be read.".to_owned()),
        },
        Some(_) => return Err("The \"on\" of the workflow cannot be read.".to_owned()),
    };
    if let Some(key) = unknown_key(filters, &["types", "branches", "branches-ignore", "paths", "paths-ignore"]) {
        return Err(format!("The filter \"{key}\" of \"on.pull_request\" is not known here."));
    }
    let list =
        |key: &str| strings(filters.get(key)).map_err(|()| format!("The filter \"{key}\" is not a list of words."));
    let (branches, branches_ignore) = (list("branches")?, list("branches-ignore")?);
    let (paths, paths_ignore) = (list("paths")?, list("paths-ignore")?);
    if (branches.is_some() && branches_ignore.is_some()) || (paths.is_some() && paths_ignore.is_some()) {
        return Err("A filter and its \"-ignore\" form cannot stand together.".to_owned());
    }
    let line = pull.line.as_str();
    let other_line = branches.is_some_and(|patterns| !glob::any(&patterns, line))
        || branches_ignore.is_some_and(|patterns| glob::any(&patterns, line));
    let other_paths = paths.is_some_and(|patterns| !pull.changed.iter().any(|path| glob::any(&patterns, path)))
        || paths_ignore.is_some_and(|patterns| pull.changed.iter().all(|path| glob::any(&patterns, path)));
    let other_types = list("types")?
        .is_some_and(|types| !types.iter().any(|kind| matches!(kind.as_str(), "opened" | "synchronize" | "reopened")));
    Ok(if other_line {
        Some("The branch filters of the workflow leave this line out.".to_owned())
    } else if other_paths {
        Some("The path filters of the workflow leave these changes out.".to_owned())
    } else if other_types {
        Some("The workflow runs for other moments of a pull request only.".to_owned())
    } else {
        None
    })
}

fn fate(workflow: &Workflow, (key, job): (&str, &Job), raw: &Value, known: &Known) -> Result<Fate, String> {
    let Job::NormalJob(job) = job else {
        let uses = raw["uses"].as_str().map(excerpt).unwrap_or_default();
        return Err(format!("Called workflows are not run here: \"{uses}\"."));
    };
    if let Some(key) = raw.as_mapping().and_then(|raw| unknown_key(raw, JOB_KEYS)) {
        return Err(format!("The key \"{key}\" of the job is not known here."));
    }
    for (present, name) in [
        (!job.needs.is_empty(), "needs"),
        (job.strategy.as_ref().is_some_and(|strategy| strategy.matrix.is_some()), "strategy.matrix"),
        (job.container.is_some(), "container"),
        (!job.services.is_empty(), "services"),
        (job.environment.is_some(), "environment"),
        (!matches!(job.continue_on_error, LoE::Literal(false)), "continue-on-error"),
        (raw.get("uses").is_some(), "uses"),
    ] {
        if present {
            return Err(format!("Jobs with \"{name}\" are not run here."));
        }
    }
    runs_here(&job.runs_on)?;
    match condition(job.r#if.as_ref())? {
        When::Success | When::Always => {}
        When::Failure | When::Never => return Ok(Fate::Skipped("The condition of the job says no.".to_owned())),
    }
    if job.steps.is_empty() {
        return Err("The job has no steps.".to_owned());
    }
    let mut env = variables(&workflow.env, known)?;
    env.extend(variables(&job.env, known)?);
    let steps = job.steps.iter().enumerate().map(|(number, step)| {
        read_step(workflow, job, step, &raw["steps"][number], known)
            .map_err(|why| format!("Step {}: {why}", number + 1))
    });
    let mut facts: std::collections::BTreeMap<_, _> =
        known.iter().map(|(name, text)| (format!("GITHUB_{}", name.to_uppercase()), text.clone())).collect();
    facts.insert("GITHUB_JOB".to_owned(), key.to_owned());
    facts.insert("GITHUB_WORKFLOW".to_owned(), workflow.name.clone().unwrap_or_default());
    Ok(Fate::Run(Recipe {
        facts,
        env,
        steps: steps.collect::<Result<_, _>>()?,
        minutes: minutes(job.timeout_minutes.as_ref())?,
    }))
}

fn read_step(
    workflow: &Workflow,
    job: &NormalJob,
    step: &Step,
    raw: &Value,
    known: &Known,
) -> Result<PlannedStep, String> {
    let (keys, shared) = match step {
        Step::Uses(step) => (USES_KEYS, &step.shared),
        Step::Run(step) => (RUN_KEYS, &step.shared),
        Step::Wait { .. } => return Err("\"wait\" is not run here.".to_owned()),
        Step::WaitAll { .. } => return Err("\"wait-all\" is not run here.".to_owned()),
        Step::Cancel { .. } => return Err("\"cancel\" is not run here.".to_owned()),
        Step::Parallel { .. } => return Err("\"parallel\" is not run here.".to_owned()),
    };
    if let Some(key) = raw.as_mapping().and_then(|raw| unknown_key(raw, keys)) {
        return Err(format!("the key \"{key}\" does not belong into this step."));
    }
    if shared.background {
        return Err("\"background\" is not run here.".to_owned());
    }
    let forgiving = match &shared.continue_on_error {
        LoE::Literal(forgiving) => *forgiving,
        LoE::Expr(_) => return Err("an expression in \"continue-on-error\" is not understood here.".to_owned()),
    };
    let (title, action) = match step {
        Step::Run(run) => {
            let title = format!("Run {}", excerpt(&run.run));
            (title, script(workflow, job, run, known)?)
        }
        Step::Uses(uses) => ("Checkout".to_owned(), checkout(uses)?),
        Step::Wait { .. } | Step::WaitAll { .. } | Step::Cancel { .. } | Step::Parallel { .. } => {
            return Err("this kind of step is not run here.".to_owned());
        }
    };
    Ok(PlannedStep {
        name: shared.name.as_deref().map_or(title, excerpt),
        when: condition(shared.r#if.as_ref())?,
        forgiving,
        minutes: minutes(shared.timeout_minutes.as_ref())?,
        action,
    })
}

fn script(workflow: &Workflow, job: &NormalJob, step: &RunStep, known: &Known) -> Result<Action, String> {
    let defaults = [job.defaults.as_ref(), workflow.defaults.as_ref()];
    let defaults = || defaults.iter().filter_map(|defaults| defaults.and_then(|Defaults { run }| run.as_ref()));
    let shell = step.shell.as_ref().or_else(|| defaults().find_map(|run| run.shell.as_ref()));
    let folder = step.working_directory.as_ref().or_else(|| defaults().find_map(|run| run.working_directory.as_ref()));
    let shell = match shell {
        None => Shell::Default,
        Some(LoE::Literal(name)) => match name.as_str() {
            "bash" => Shell::Bash,
            "sh" => Shell::Sh,
            "python" => Shell::Python,
            other => return Err(format!("the shell \"{}\" is not run here.", excerpt(other))),
        },
        Some(LoE::Expr(_)) => return Err("an expression in \"shell\" is not understood here.".to_owned()),
    };
    let folder = folder.map(|folder| Template::parse(folder, known)).transpose()?;
    if let Some(constant) = folder.as_ref().and_then(Template::constant)
        && inside_workspace(&constant).is_none()
    {
        return Err("its \"working-directory\" is outside of the workspace.".to_owned());
    }
    Ok(Action::Run {
        script: Template::parse(&step.run, known)?,
        shell,
        folder,
        env: variables(&step.shared.env, known)?,
    })
}

/// Takes a checkout of the commit under test, and nothing else.
fn checkout(step: &UsesStep) -> Result<Action, String> {
    let named = match &step.uses {
        Uses::Repository(action) if action.slug() == "actions/checkout" && action.subpath().is_none() => None,
        Uses::Repository(action) => Some(action.raw()),
        Uses::Local(action) => Some(action.raw()),
        Uses::Docker(image) => Some(image.raw()),
    };
    if let Some(named) = named {
        return Err(format!("the action \"{}\" is not run here.", excerpt(named)));
    }
    let LoE::Literal(inputs) = &step.with else {
        return Err("an expression in \"with\" is not understood here.".to_owned());
    };
    for (name, value) in inputs {
        let harmless = match name.as_str() {
            "fetch-depth" | "fetch-tags" | "persist-credentials" | "clean" | "show-progress" | "set-safe-directory" => {
                !value.to_string().contains("${{")
            }
            "submodules" | "lfs" => value.to_string() == "false",
            _ => false,
        };
        if !harmless {
            return Err(format!("checkout with \"{}\" is not done here.", excerpt(name)));
        }
    }
    Ok(Action::Checkout)
}

fn runs_here(runs_on: &LoE<RunsOn>) -> Result<(), String> {
    let labels = match runs_on {
        LoE::Expr(_) => return Err("The machine is asked for by an expression.".to_owned()),
        LoE::Literal(RunsOn::Group { .. }) => return Err("A group of runners is asked for.".to_owned()),
        LoE::Literal(RunsOn::Target(labels)) => labels,
    };
    let here = |label: &str| label == "linux" || (label.starts_with("ubuntu-") && !label.ends_with("-arm"));
    match labels.iter().find(|label| !here(label.to_lowercase().as_str())) {
        Some(other) => Err(format!("The machine \"{}\" is asked for.", excerpt(other))),
        None if labels.is_empty() => Err("No machine is asked for.".to_owned()),
        None => Ok(()),
    }
}

fn condition(condition: Option<&If>) -> Result<When, String> {
    match condition {
        None | Some(If::Bool(true)) => Ok(When::Success),
        Some(If::Bool(false)) => Ok(When::Never),
        Some(If::Expr(text)) => When::parse(text),
    }
}

fn variables(env: &LoE<Env>, known: &Known) -> Result<Vec<(String, Template)>, String> {
    let LoE::Literal(env) = env else {
        return Err("An expression in place of \"env\" is not understood here.".to_owned());
    };
    env.iter()
        .map(|(name, value)| {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(format!("The environment variable \"{}\" cannot be set.", excerpt(name)));
            }
            Ok((name.clone(), Template::parse(&value.to_string(), known)?))
        })
        .collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked on the same line")]
fn minutes(timeout: Option<&LoE<f64>>) -> Result<Option<u64>, String> {
    match timeout {
        None => Ok(None),
        Some(LoE::Literal(minutes)) if (1.0..1e6).contains(minutes) => Ok(Some(*minutes as u64)),
        Some(_) => Err("A \"timeout-minutes\" that is not a number of at least 1 is not understood here.".to_owned()),
    }
}

fn plausible(event: &str) -> bool {
    yaml_serde::from_value::<github_actions_models::workflow::event::BareEvent>(event.into()).is_ok()
}

fn strings(value: Option<&Value>) -> Result<Option<Vec<String>>, ()> {
    let word = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(()),
    };
    match value {
        None => Ok(None),
        Some(Value::Sequence(list)) => list.iter().map(word).collect::<Result<_, _>>().map(Some),
        Some(one) => word(one).map(|one| Some(vec![one])),
    }
}

fn unknown_key(map: &Mapping, known: &[&str]) -> Option<String> {
    let odd = map.keys().find(|key| !key.as_str().is_some_and(|key| known.contains(&key)))?;
    Some(odd.as_str().map_or_else(|| "(not a word)".to_owned(), excerpt))
}
