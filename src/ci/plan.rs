//! What a push asks for: the project's workflow files, read as a pull request to a line, become a list of jobs.
//!
//! Guards: pure and total. Every job of every file that the push concerns is in the plan, to be run, skipped or
//! unsupported with the reason; a broken or hostile file is an unsupported job, never an error. Leaves the reading of one
//! file to `workflow`, and where the files come from (the line, not the push) to the caller.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::expression::{Known, Template, When, excerpt};
use super::sandbox::WORKSPACE;
use super::workflow::{self, Reading};
use crate::domain::check::CheckState;
use crate::domain::repo::{CommitId, LineName, RefName};

/// The folders a project may keep its workflows in; the first that exists counts.
pub const FOLDERS: [&str; 3] = [".forgejo/workflows", ".gitea/workflows", ".github/workflows"];

/// Most workflow files that are read.
const FILES: usize = 100;

/// One workflow file of the line.
#[derive(Clone, Debug)]
pub struct WorkflowFile {
    /// Its path in the repository.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// The event all workflows are run for: a fix, seen as a pull request to its line.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// The commit under test.
    pub commit: CommitId,
    /// The line it goes to.
    pub line: LineName,
    /// The paths that differ from the line.
    pub changed: Vec<String>,
    /// What `github.repository` says, `owner/name`.
    pub repository: String,
}

/// The jobs of a push, and the files that do not concern it.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The jobs in the order of the files.
    pub jobs: Vec<PlannedJob>,
    /// The files that ask for nothing.
    pub ignored: Vec<Ignored>,
}

/// A workflow file that asks for nothing on this push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its path.
    pub path: String,
    /// A sentence.
    pub why: String,
    /// What it is run for on its forge.
    pub elsewhere: Elsewhere,
}

/// What a workflow file that asks for nothing on this push is run for on its forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// For pushes to branches, and for no pull request.
    Pushes,
    /// For something else, or for other pull requests.
    Other,
}

/// One job of a workflow file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedJob {
    /// `<workflow> / <job>`, on one line and harmless to show.
    pub context: String,
    /// What is to happen to it.
    pub fate: Fate,
}

/// What is to happen to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It runs.
    Run(Recipe),
    /// Its own condition says no; with a sentence.
    Skipped(String),
    /// It asks for what is not run here; with a sentence naming the thing.
    Unsupported(String),
}

/// Everything an executor needs to run a job. Made only by [`plan`], so that it holds nothing that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    pub(super) facts: BTreeMap<String, String>,
    pub(super) env: Vec<(String, Template)>,
    pub(super) steps: Vec<PlannedStep>,
    pub(super) minutes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlannedStep {
    pub(super) name: String,
    pub(super) when: When,
    /// Whether a failure of the step leaves the job as it was.
    pub(super) forgiving: bool,
    pub(super) minutes: Option<u64>,
    pub(super) action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// The tree of the commit, which the caller has put in place already.
    Checkout,
    /// A script.
    Run { script: Template, shell: Shell, folder: Option<Template>, env: Vec<(String, Template)> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shell {
    /// None was asked for: bash that stops at the first error.
    Default,
    Bash,
    Sh,
    Python,
}

impl Plan {
    /// Names a file that would check this push on its forge, as a push to a branch, where no file checks it as a pull request:
    /// nothing is checked then, which is not the same as that there is nothing to check.
    pub fn only_on_pushes(&self) -> Option<String> {
        let pushed = |ignored: &&Ignored| ignored.elsewhere == Elsewhere::Pushes;
        self.ignored.iter().find(pushed).filter(|_| self.jobs.is_empty()).map(|ignored| excerpt(&ignored.path))
    }
}

impl PlannedJob {
    /// Returns the state the job enters the queue in.
    pub fn state(&self) -> CheckState {
        match self.fate {
            Fate::Run(_) => CheckState::Waiting,
            Fate::Skipped(_) => CheckState::Skipped,
            Fate::Unsupported(_) => CheckState::Unsupported,
        }
    }

    /// Returns the sentence that goes with the state.
    pub fn reason(&self) -> Option<&str> {
        match &self.fate {
            Fate::Run(_) => None,
            Fate::Skipped(why) | Fate::Unsupported(why) => Some(why),
        }
    }

    pub(super) fn unsupported(context: String, why: String) -> Self {
        Self { context, fate: Fate::Unsupported(why) }
    }
}

impl Recipe {
    /// Makes a job of one script of the operator's own, on the tree of the commit, with these variables.
    pub fn script(script: &str, vars: &[(&str, &str)]) -> Self {
        let env = vars.iter().map(|(name, value)| ((*name).to_owned(), Template::plain(value))).collect();
        let action =
            Action::Run { script: Template::plain(script), shell: Shell::Default, folder: None, env: Vec::new() };
        let step =
            PlannedStep { name: "Version".to_owned(), when: When::Success, forgiving: false, minutes: None, action };
        Self { facts: BTreeMap::new(), env, steps: vec![step], minutes: Some(10) }
    }

    /// Tells whether the job asks for the tree of the commit. If not, its workspace is to be left empty.
    pub fn wants_checkout(&self) -> bool {
        self.steps.iter().any(|step| step.action == Action::Checkout)
    }

    /// Returns the names of the steps.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|step| step.name.as_str())
    }
}

impl PullRequest {
    /// Returns the parts of the `github` context that workflows may use.
    pub(super) fn known(&self) -> Known {
        let head = RefName::fix(&self.line);
        Known::from([
            ("sha", self.commit.to_string()),
            ("ref", head.to_string()),
            ("ref_name", head.short().to_owned()),
            ("ref_type", "branch".to_owned()),
            ("head_ref", head.short().to_owned()),
            ("base_ref", self.line.to_string()),
            ("event_name", "pull_request".to_owned()),
            ("repository", self.repository.clone()),
            ("workspace", WORKSPACE.to_owned()),
        ])
    }
}

/// Reads the workflow files as a pull request.
pub fn plan(files: &[WorkflowFile], pull: &PullRequest) -> Plan {
    let mut plan = Plan::default();
    for (number, file) in files.iter().enumerate() {
        if number >= FILES {
            let why = format!("Only the first {FILES} workflow files of a project are read.");
            plan.jobs.push(PlannedJob::unsupported(excerpt(&file.path), why));
            continue;
        }
        match workflow::read(file, pull) {
            Reading::Jobs(jobs) => plan.jobs.extend(jobs),
            Reading::Ignored(why, elsewhere) => plan.ignored.push(Ignored { path: file.path.clone(), why, elsewhere }),
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull() -> PullRequest {
        PullRequest {
            commit: "a".repeat(40).parse().unwrap(),
            line: "main".parse().unwrap(),
            changed: vec!["src/parse.c".to_owned()],
            repository: "octo/octo".to_owned(),
        }
    }

    fn read(text: &str) -> Plan {
        plan(&[WorkflowFile { path: ".github/workflows/ci.yml".to_owned(), text: text.to_owned() }], &pull())
    }

    fn job(body: &str) -> PlannedJob {
        let indented = body.replace('\n', "\n    ");
        let mut plan = read(&format!("name: CI\non: pull_request\njobs:\n  test:\n    {indented}\n"));
        assert_eq!(plan.jobs.len(), 1, "{:?}", plan.ignored);
        plan.jobs.remove(0)
    }

    #[test]
    fn a_plain_job_is_run_with_everything_that_was_said() {
        let job = job(
            "name: Unit\nruns-on: ubuntu-latest\nenv: {A: 1, B: '${{ github.sha }}'}\ntimeout-minutes: 5.5\nsteps:\n- uses: actions/checkout@v4\n- run: make test\n  shell: bash\n  working-directory: ./lib\n  if: always()\n  continue-on-error: true\n- name: Py\n  run: print(1)\n  shell: python",
        );
        assert_eq!(job.context, "CI / Unit");
        assert_eq!(job.state(), CheckState::Waiting);
        let Fate::Run(recipe) = &job.fate else { panic!("{job:?}") };
        assert_eq!(recipe.steps().collect::<Vec<_>>(), ["Checkout", "Run make test", "Py"]);
        assert!(recipe.wants_checkout());
        assert_eq!(recipe.minutes, Some(5));
        assert!(recipe.steps[1].forgiving);
        let stored = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<PlannedJob>(&stored).unwrap(), job, "a job survives the queue");
    }

    #[test]
    fn what_is_not_understood_is_unsupported_and_named() {
        let steps = "steps: [{run: 'true'}]";
        let table = [
            (format!("runs-on: windows-latest\n{steps}"), "windows-latest"),
            (format!("runs-on: [self-hosted, linux]\n{steps}"), "self-hosted"),
            (format!("runs-on: ubuntu-24.04-arm\n{steps}"), "arm"),
            (format!("runs-on: {{group: big}}\n{steps}"), "group"),
            (format!("runs-on: '${{{{ matrix.os }}}}'\n{steps}"), "expression"),
            (format!("runs-on: ubuntu-latest\nstrategy: {{matrix: {{a: [1]}}}}\n{steps}"), "matrix"),
            (format!("runs-on: ubuntu-latest\nneeds: build\n{steps}"), "needs"),
            (format!("runs-on: ubuntu-latest\ncontainer: alpine\n{steps}"), "container"),
            (format!("runs-on: ubuntu-latest\nservices: {{db: {{image: postgres}}}}\n{steps}"), "services"),
            (format!("runs-on: ubuntu-latest\nenvironment: prod\n{steps}"), "environment"),
            (format!("runs-on: ubuntu-latest\nif: github.ref == 'x'\n{steps}"), "github.ref == 'x'"),
            (format!("runs-on: ubuntu-latest\ncontinue-on-error: true\n{steps}"), "continue-on-error"),
            (format!("runs-on: ubuntu-latest\ntimeout-minutes: -1\n{steps}"), "timeout-minutes"),
            (format!("runs-on: ubuntu-latest\nsnapshot: x\n{steps}"), "snapshot"),
            ("runs-on: ubuntu-latest\nsteps: []".to_owned(), "no steps"),
            ("runs-on: ubuntu-latest\nsteps: [{uses: actions/setup-node@v4}]".to_owned(), "actions/setup-node@v4"),
            ("runs-on: ubuntu-latest\nsteps: [{uses: actions/checkout@v4, with: {ref: x}}]".to_owned(), "ref"),
            (
                "runs-on: ubuntu-latest\nsteps: [{uses: actions/checkout@v4, with: {submodules: true}}]".to_owned(),
                "submodules",
            ),
            ("runs-on: ubuntu-latest\nsteps: [{uses: actions/checkout@v4, run: 'exit 1'}]".to_owned(), "run"),
            ("runs-on: ubuntu-latest\nsteps: [{uses: ./.github/actions/x}]".to_owned(), "./.github/actions/x"),
            ("runs-on: ubuntu-latest\nsteps: [{run: x, shell: pwsh}]".to_owned(), "pwsh"),
            ("runs-on: ubuntu-latest\nsteps: [{run: x, working-directory: ../..}]".to_owned(), "working-directory"),
            ("runs-on: ubuntu-latest\nsteps: [{run: x, working-directory: /etc}]".to_owned(), "working-directory"),
            ("runs-on: ubuntu-latest\nsteps: [{run: x, background: true}]".to_owned(), "background"),
            ("runs-on: ubuntu-latest\nsteps: [{parallel: [{run: x}]}]".to_owned(), "parallel"),
            ("runs-on: ubuntu-latest\nsteps: [{run: 'echo ${{ secrets.T }}'}]".to_owned(), "secrets.T"),
            ("runs-on: ubuntu-latest\nsteps: [{run: x, env: {A: '${{ steps.a.outputs.b }}'}}]".to_owned(), "steps.a"),
            ("runs-on: ubuntu-latest\nsteps: [{run: x, env: {'A=B': c}}]".to_owned(), "A=B"),
            ("uses: ./.github/workflows/other.yml".to_owned(), "other.yml"),
        ];
        for (body, named) in table {
            let job = job(&body);
            assert_eq!(job.state(), CheckState::Unsupported, "{body}");
            let why = job.reason().unwrap();
            assert!(why.contains(named) && why.ends_with('.'), "{body}: {why}");
        }
    }

    #[test]
    fn a_hostile_file_is_an_unsupported_job_with_a_sentence() {
        let bomb = format!(
            "on: pull_request\njobs: {{a: &a [{}]}}\nb: [{}]",
            vec!["x"; 9999].join(","),
            vec!["*a"; 9999].join(",")
        );
        for text in [
            "",
            "on: [",
            "on: pull_request",
            "jobs: {}",
            "on: pull_request\njobs: 3",
            "on: pull_request\njobs: {}",
            "on: pull_request\njobs: {a: {runs-on: ubuntu-latest}}",
            "on: nonsense",
            "on: 7",
            "on: {pull_request: [1]}",
            "on: pull_request\njobs: {a: 1}\nmore: 1",
            "- a",
            "on: {pull_request: {branches: [main], branches-ignore: [x]}}\njobs: {}",
            &bomb,
        ] {
            let plan = read(text);
            assert_eq!(plan.jobs.len(), 1, "{text:.60}: {:?}", plan.ignored);
            assert_eq!(plan.jobs[0].state(), CheckState::Unsupported, "{text:.60}");
            assert!(plan.jobs[0].reason().unwrap().ends_with('.'));
        }
    }

    #[test]
    fn filters_decide_which_files_concern_the_push() {
        let table = [
            ("push", false),
            ("[push, pull_request]", true),
            ("pull_request", true),
            ("{push: {branches: [main]}}", false),
            ("{pull_request: }", true),
            ("{workflow_dispatch: {inputs: }, pull_request: }", true),
            ("{pull_request_target: }", false),
            ("{pull_request: {branches: [main]}}", true),
            ("{pull_request: {branches: main}}", true),
            ("{pull_request: {branches: ['release/**']}}", false),
            ("{pull_request: {branches-ignore: [main]}}", false),
            ("{pull_request: {paths: ['src/**']}}", true),
            ("{pull_request: {paths: ['docs/**']}}", false),
            ("{pull_request: {paths: ['**', '!src/**']}}", false),
            ("{pull_request: {paths-ignore: ['docs/**']}}", true),
            ("{pull_request: {paths-ignore: ['src/**']}}", false),
            ("{pull_request: {types: [labeled]}}", false),
            ("{pull_request: {types: [opened, labeled]}}", true),
        ];
        for (on, concerned) in table {
            let plan = read(&format!("on: {on}\njobs: {{a: {{runs-on: ubuntu-latest, steps: [{{run: x}}]}}}}"));
            assert_eq!(
                (plan.jobs.len(), plan.ignored.len()),
                if concerned { (1, 0) } else { (0, 1) },
                "{on}: {plan:?}"
            );
            assert!(plan.jobs.iter().all(|job| job.state() == CheckState::Waiting), "{on}: {plan:?}");
        }
    }

    #[test]
    fn what_only_pushes_would_check_is_not_taken_for_nothing_to_check() {
        let table = [
            ("push", true),
            ("[push, workflow_dispatch]", true),
            ("{push: }", true),
            ("{push: {branches: [main]}, schedule: [{cron: '0 0 * * *'}]}", true),
            ("{push: {paths: ['src/**']}}", true),
            ("{push: {tags: ['v*'], branches: [main]}}", true),
            ("{push: {tags: ['v*']}}", false),
            ("{push: , pull_request: {paths: ['docs/**']}}", false),
            ("workflow_dispatch", false),
            ("[push, pull_request]", false),
        ];
        for (on, pushed) in table {
            let plan = read(&format!("on: {on}\njobs: {{a: {{runs-on: ubuntu-latest, steps: [{{run: x}}]}}}}"));
            let path = plan.only_on_pushes();
            assert_eq!(path.as_deref(), pushed.then_some(".github/workflows/ci.yml"), "{on}: {plan:?}");
        }
    }

    #[test]
    fn a_job_whose_condition_is_false_is_skipped() {
        assert_eq!(job("if: false\nruns-on: ubuntu-latest\nsteps: [{run: x}]").state(), CheckState::Skipped);
        assert_eq!(job("if: failure()\nruns-on: ubuntu-latest\nsteps: [{run: x}]").state(), CheckState::Skipped);
    }

    #[test]
    fn names_cannot_deceive_the_reader() {
        let job = job("name: \"a\\e[31m\\u202eb\"\nruns-on: ubuntu-latest\nsteps: [{run: x}]");
        assert!(!job.context.chars().any(crate::domain::text::deceptive), "{}", job.context);
    }
}
