//! Commands about releases: each says what the release is afterwards.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::date::instant;
use super::details::{self, HoldDetails};
use super::follow;
use super::landing::{self, Tests};
use super::server::Server;
use super::sign::Sign;
use super::wave::{self, WaveCommand};
use super::{Failure, Output, Result, arm};
use crate::domain::audience::Lead;
use crate::domain::digest::Digest;
use crate::domain::forward::MovedBy;
use crate::domain::id::{CaseId, ProjectId, ReleaseId};
use crate::domain::landing::TestsDue;
use crate::domain::project::TagStyle;
use crate::domain::recipe::Strategy;
use crate::domain::refusal::Malformed;
use crate::domain::repo::{CommitId, LineName, RepoName};
use crate::domain::text::shown;
use crate::wire::advisory::WaiveChecks;
use crate::wire::release::{
    ApproveCandidate, CandidateView, CommitView, DropCase, GiveUp, HookView, PlanRelease, PlanTarget, Postpone,
    ReleaseSummary, ReleaseView, SetStrategy, TargetView,
};

/// Commands about releases.
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// List the releases you may see
    List,
    /// Plan a release over cases and lines, and rehearse it
    Plan(Plan),
    /// Show plan, blockers, who armed it, and the run
    Show {
        /// Which release
        release: ReleaseId,
        /// Follow its run, a line for each step, until it is done or needs a person
        #[arg(long)]
        watch: bool,
    },
    /// Rehearse the merges now
    Rehearse {
        /// Which release
        release: ReleaseId,
    },
    /// Take one case out of a planned release; the others are rehearsed without it
    Drop {
        /// Which release
        release: ReleaseId,
        /// The case
        case: CaseId,
    },
    /// Put fixes onto a line of a planned release in another way, and rehearse it
    SetStrategy {
        /// Which release
        release: ReleaseId,
        /// The line and how: LINE=merge, LINE=rebase or LINE=squash; or REPOSITORY:LINE=...
        #[arg(value_name = "LINE=STRATEGY", value_parser = strategy)]
        strategy: SetStrategy,
    },
    /// Say when the technical details of a planned release follow its advisories
    HoldDetails(HoldDetails),
    /// Approve what somebody else pushed to a line's candidate, or what its version command changed, at the commit you looked at
    ApproveCandidate {
        /// Which release
        release: ReleaseId,
        /// The line
        #[arg(long)]
        line: LineName,
        /// The commit, all forty digits
        #[arg(long)]
        commit: CommitId,
        /// The repository, if several have a line of this name
        #[arg(long)]
        repository: Option<RepoName>,
    },
    /// Sign the release's tags on this machine, where the project has them signed by people
    Sign(Sign),
    /// Freeze what was rehearsed: from now on it is fixed to the byte
    Freeze {
        /// Which release
        release: ReleaseId,
    },
    /// Arm: shows what ships and when, and asks; once enough people did, it publishes at its instant without a human
    Arm {
        /// Which release
        release: ReleaseId,
        /// Arm this digest and no other, and do not ask
        #[arg(long, value_name = "DIGEST")]
        digest: Option<Digest>,
    },
    /// Disclose now, before the instant, because something leaked: says what is passed over, and asks first
    DiscloseNow {
        /// Which release
        release: ReleaseId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Take everybody's arming back, at any time before the first public byte
    Disarm {
        /// Which release
        release: ReleaseId,
    },
    /// Move the instant
    Postpone {
        /// Which release
        release: ReleaseId,
        /// The new instant, such as `2030-01-15T13:00:00Z` or `2030-01-15T14:00[Europe/Berlin]`
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        at: Timestamp,
    },
    /// Open the plan of a frozen, armed or held release again
    Reopen {
        /// Which release
        release: ReleaseId,
    },
    /// Go on with a held run
    Resume {
        /// Which release
        release: ReleaseId,
    },
    /// Give up what one channel did not take or one package that does not come; the release goes on without it
    GiveUp {
        /// Which release
        release: ReleaseId,
        /// The number of the step in the journal
        position: u32,
    },
    /// Say when tests that are held back become public, or try again what needed a person
    Tests(Tests),
    /// Give the release up
    Abandon {
        /// Which release
        release: ReleaseId,
    },
    /// Say whom it tells before its instant, when, and how much
    #[command(subcommand)]
    Wave(WaveCommand),
    /// Say whose copy a leaked file is; the file stays on this machine
    Trace {
        /// Which release
        release: ReleaseId,
        /// A bundle, a patch, mails or a text
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Answer for a commit whose checks could not run here
    Waive {
        /// The case of the fix
        case: CaseId,
        /// The line
        #[arg(long)]
        line: LineName,
        /// The head of the fix, all forty digits
        #[arg(long)]
        head: CommitId,
    },
}

/// What to plan.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The project
    #[arg(long)]
    project: ProjectId,
    /// A case; may be given more than once, in the order of merging
    #[arg(long = "case", required = true)]
    cases: Vec<CaseId>,
    /// A line and its tag: LINE=TAG, or REPOSITORY:LINE=TAG
    #[arg(long = "tag", required = true, value_parser = target)]
    targets: Vec<PlanTarget>,
    /// How fixes are put onto a line: LINE=merge, LINE=rebase or LINE=squash [default: as configured]
    #[arg(long = "strategy", value_name = "LINE=STRATEGY", value_parser = strategy)]
    strategies: Vec<SetStrategy>,
    /// How a line is tagged: LINE=annotated or LINE=lightweight [default: as configured]
    #[arg(long = "tags", value_name = "LINE=STYLE", value_parser = style)]
    styles: Vec<(Option<RepoName>, LineName, TagStyle)>,
    /// The instant, such as `2030-01-15T13:00:00Z` or `2030-01-15T14:00[Europe/Berlin]`
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    at: Timestamp,
    /// Hold technical details back for so long after the instant, such as `7d` [default: publish them with the rest]
    #[arg(long, value_name = "TIME")]
    details_after: Option<Lead>,
    /// When tests that are held back follow: a time after it, such as `14d`, or `never`
    #[arg(long, value_name = "TIME")]
    tests_after: Option<TestsDue>,
}

impl Plan {
    /// Joins tags, strategies and styles, line by line; a strategy of a line that does not ship is refused.
    fn targets(&self) -> Result<Vec<PlanTarget>> {
        let mut targets = self.targets.clone();
        let mut find = |repository: &Option<RepoName>, line: &LineName, set: &dyn Fn(&mut PlanTarget)| {
            let mut known = false;
            for target in targets.iter_mut().filter(|target| {
                &target.line == line
                    && (repository.is_none() || target.repository.is_none() || &target.repository == repository)
            }) {
                set(target);
                known = true;
            }
            if known {
                Ok(())
            } else {
                Err(Failure::Refused(format!("{line} gets no tag in this plan: name it with --tag.")))
            }
        };
        for SetStrategy { repository, line, strategy } in &self.strategies {
            find(repository, line, &|target| target.strategy = Some(*strategy))?;
        }
        for (repository, line, style) in &self.styles {
            find(repository, line, &|target| target.tags = Some(*style))?;
        }
        Ok(targets)
    }

    /// Names what it is about, as a plan that meets nothing says it.
    fn named(&self) -> String {
        let cases: Vec<_> = self.cases.iter().map(ToString::to_string).collect();
        format!("no project {}, or no case {}", self.project, cases.join(", "))
    }
}

/// Runs a command about releases.
pub(super) async fn run(command: &ReleaseCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    let view: ReleaseView = match command {
        ReleaseCommand::List => {
            let releases: Vec<ReleaseSummary> = server.get("/releases").await?;
            let line = |release: &ReleaseSummary| format!("{}  {}  {}", release.id, release.state, release.due_at);
            let lines: Vec<_> = releases.iter().map(line).collect();
            return output.result(&releases, &lines.join("\n"));
        }
        ReleaseCommand::Waive { case, line, head } => {
            let wish = WaiveChecks { line: line.clone(), head: head.clone() };
            server.post::<()>(&format!("/cases/{case}/waive"), &wish).await?;
            return output.result(&wish, &format!("You answer for {case} on {line} at {}.", head.short()));
        }
        ReleaseCommand::Wave(command) => return wave::run(command, &server, output).await,
        ReleaseCommand::Trace { release, files } => return wave::trace(&server, (release, files), output).await,
        ReleaseCommand::Plan(plan) => {
            let wish = PlanRelease {
                project: plan.project.clone(),
                cases: plan.cases.clone(),
                targets: plan.targets()?,
                due_at: plan.at,
                details_after: plan.details_after,
                tests_after: plan.tests_after,
            };
            server.post_about("/releases", &wish, &plan.named()).await?
        }
        ReleaseCommand::Postpone { release, at } => {
            server.post(&format!("/releases/{release}/postpone"), &Postpone { due_at: *at }).await?
        }
        ReleaseCommand::Show { release, watch: false } => server.get(&format!("/releases/{release}")).await?,
        ReleaseCommand::Show { release, watch: true } => follow::to_its_end(&server, release, output).await?,
        ReleaseCommand::Rehearse { release } => act(&server, release, "rehearse").await?,
        ReleaseCommand::Drop { release, case } => {
            output.remark(&format!(
                "Will drop {case} from {release}: the case stays as it is, and can join another release."
            ));
            server.post(&format!("/releases/{release}/drop"), &DropCase { case: case.clone() }).await?
        }
        ReleaseCommand::SetStrategy { release, strategy } => {
            server.post(&format!("/releases/{release}/set-strategy"), strategy).await?
        }
        ReleaseCommand::HoldDetails(wish) => details::hold(&server, wish).await?,
        ReleaseCommand::ApproveCandidate { release, line, commit, repository } => {
            output.remark(&format!(
                "Will approve candidate/{line} of {release} at {}: as it is, it may ship.",
                commit.short()
            ));
            let wish = ApproveCandidate { repository: repository.clone(), line: line.clone(), commit: commit.clone() };
            server.post(&format!("/releases/{release}/approve-candidate"), &wish).await?
        }
        ReleaseCommand::Sign(sign) => super::sign::run(&server, sign, output).await?,
        ReleaseCommand::Freeze { release } => act(&server, release, "freeze").await?,
        ReleaseCommand::Arm { release, digest } => arm::arm(&server, release, digest.as_ref(), output).await?,
        ReleaseCommand::DiscloseNow { release, yes } => arm::disclose_now(&server, (release, *yes), output).await?,
        ReleaseCommand::Disarm { release } => act(&server, release, "disarm").await?,
        ReleaseCommand::Reopen { release } => act(&server, release, "reopen").await?,
        ReleaseCommand::Resume { release } => act(&server, release, "resume").await?,
        ReleaseCommand::GiveUp { release, position } => {
            output.remark(&format!("Giving up step {position} of {release}: it is not published there by the server."));
            server.post(&format!("/releases/{release}/give-up"), &GiveUp { position: *position }).await?
        }
        ReleaseCommand::Tests(tests) => landing::run(&server, tests, output).await?,
        ReleaseCommand::Abandon { release } => act(&server, release, "abandon").await?,
    };
    output.result(&view, &told(&view))
}

async fn act(server: &Server, release: &ReleaseId, verb: &str) -> Result<ReleaseView> {
    server.ask(&format!("/releases/{release}/{verb}")).await
}

/// Puts a release into lines.
pub(super) fn told(view: &ReleaseView) -> String {
    let mut lines = vec![format!("{}  {}  {}", view.summary.id, view.summary.state, view.summary.due_at)];
    lines.push(format!("cases: {}", view.cases.join(" ")));
    for target in &view.targets {
        let state = target.trouble.as_deref().or(target.candidate.as_deref()).unwrap_or("not rehearsed yet");
        lines.push(format!("{} {} {}: {state}", target.repository, target.line, target.tag));
        let signed = target.signed_by.as_ref().map(|who| format!(", signed by {}", shown(who))).unwrap_or_default();
        lines.push(format!("    {}, {} tag{signed}{}", target.strategy, target.tag_style, along(target)));
        let subject = |commit: &CommitView| {
            let first = commit.message.lines().next().unwrap_or_default();
            format!("    {} {} ({})", commit.id.get(..12).unwrap_or(&commit.id), shown(first), shown(&commit.author))
        };
        lines.extend(target.commits.iter().map(subject));
        for moved in &target.moves {
            lines.push(format!("    {} goes to {}", moved.branch, moved.to));
            lines.extend(moved.commits.iter().map(subject));
        }
        lines.extend(target.standing.as_ref().map(stands));
        lines.extend(target.fallen.as_ref().map(|why| format!("    {why}")));
    }
    if matches!(view.summary.state.as_str(), "planned" | "frozen" | "armed") {
        let soon = view.ready_in_seconds.map_or_else(|| "unknown".to_owned(), |s| format!("{} min", s / 60 + 1));
        lines.push(format!(
            "if it leaked now: merged, checked and disclosed within {soon} once people say so, as last measured"
        ));
    }
    if !view.channels.is_empty() {
        lines.push(format!("channels: {}", view.channels.join(" ")));
    }
    lines.extend(
        view.dress.as_ref().map(|dress| format!("rehearsed in dress at {}: {}", dress.tried_at, dress.words())),
    );
    lines.extend(
        view.trials
            .iter()
            .map(|trial| format!("trial push to {} at {}: {}", trial.repository, trial.tried_at, trial.words())),
    );
    lines.extend(view.awaits.iter().map(|sentence| format!("packages: {sentence}")));
    lines.extend(view.waves.iter().map(wave::line));
    lines.extend(view.hooks.iter().map(hook));
    lines.extend(view.details.as_ref().map(details::of_release));
    lines.extend(landing::told(&view.tests));
    lines.extend(view.blockers.iter().map(|blocker| format!("blocked: {} ({})", blocker.sentence, blocker.owner)));
    if let Some(digest) = &view.digest {
        lines.push(format!("frozen: {digest}"));
        let people: Vec<_> = view.armed_by.iter().map(|arming| arming.person.as_str()).collect();
        lines.push(format!("armed: {} of {} {}", people.len(), view.arms_needed, people.join(" ")));
    }
    if let Some(haste) = view.haste.as_ref().filter(|haste| !haste.asked_by.is_empty()) {
        let people: Vec<_> = haste.asked_by.iter().map(|asked| asked.person.as_str()).collect();
        let said = format!("to be disclosed now, say {} of {}: {}", people.len(), haste.needed, people.join(" "));
        lines.push(
            haste
                .since
                .as_ref()
                .map_or(said, |since| format!("disclosed now since {since}, as {} said", people.join(" "))),
        );
    }
    if let Some(hold) = &view.hold {
        lines.push(format!("held: {}: {} {}", hold.reason, hold.note, hold.advice));
        lines.extend(hold.commands.iter().map(|command| format!("  {}", shown(command))));
    }
    for effect in &view.effects {
        let at = effect.done_at.as_deref().or(effect.started_at.as_deref()).unwrap_or("");
        let gap = effect.after_push_ms.map(|gap| format!(" (+{gap} ms)")).unwrap_or_default();
        lines.push(format!(
            "{:>3} {} {}: {} {at}{gap} {}",
            effect.position, effect.phase, effect.target, effect.state, effect.note
        ));
    }
    lines.join("\n")
}

/// Says of a hook when it is called and what came of it.
fn hook(hook: &HookView) -> String {
    let at = hook.at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
    let undoes = hook.undoes.as_ref().map(|name| format!(" undoing {name}")).unwrap_or_default();
    format!("hook {}{at}{undoes}: {} {} {}", hook.name, hook.state, hook.when, shown(&hook.note)).trim_end().to_owned()
}

/// Says what speaks for a candidate.
fn stands(standing: &CandidateView) -> String {
    let whose = match standing.checks_by.as_str() {
        "fix" => " by the fix, which is the same tree",
        "word" => " by those who answered for the fixes",
        _ => "",
    };
    let mut said = format!("    checks: {}{whose}", standing.checks);
    if let Some(run) = &standing.run {
        said += &format!(", embargo check watch {run}");
    }
    if standing.bumped {
        let approved = standing.approved_by.join(" ");
        let approved = if approved.is_empty() { "nobody yet" } else { &approved };
        said += &format!("\n    its last commit is what the version command changed, approved by {approved}");
    }
    if let Some(pusher) = &standing.pushed_by {
        let approved = standing.approved_by.join(" ");
        let approved = if approved.is_empty() { "nobody yet" } else { &approved };
        said += &format!("\n    pushed by {pusher}, approved by {approved}");
    }
    said
}

/// Names the branches that move with a line.
fn along(target: &TargetView) -> String {
    let mut said = String::new();
    if !target.advances.is_empty() {
        said += &format!(", moves {} along", target.advances.join(", "));
    }
    for moved in &target.moves {
        said += &if moved.by == MovedBy::Tag.as_str() {
            format!(", its tag stands on {}", moved.branch)
        } else {
            format!(", is merged into {}", moved.branch)
        };
    }
    said
}

/// Reads `<line>=<tag>` or `<repository>:<line>=<tag>`.
fn target(text: &str) -> Result<PlanTarget, Malformed> {
    let (repository, line, tag) = of_line(text, Malformed::new("a line and its tag look like main=v1.2.3"))?;
    Ok(PlanTarget { repository, line, tag: tag.parse()?, strategy: None, tags: None })
}

/// Reads `<line>=<strategy>` or `<repository>:<line>=<strategy>`.
fn strategy(text: &str) -> Result<SetStrategy, Malformed> {
    let (repository, line, word) = of_line(text, Malformed::new("a line and its strategy look like main=squash"))?;
    let strategy: Strategy = word.parse()?;
    Ok(SetStrategy { repository, line, strategy })
}

/// Reads `<line>=<style>` or `<repository>:<line>=<style>`.
fn style(text: &str) -> Result<(Option<RepoName>, LineName, TagStyle), Malformed> {
    let (repository, line, word) =
        of_line(text, Malformed::new("a line and its kind of tag look like main=lightweight"))?;
    Ok((repository, line, word.parse()?))
}

fn of_line(text: &str, rule: Malformed) -> Result<(Option<RepoName>, LineName, &str), Malformed> {
    let (place, value) = text.split_once('=').ok_or(rule)?;
    let (repository, line) = match place.split_once(':') {
        Some((repository, line)) => (Some(repository.parse()?), line),
        None => (None, place),
    };
    Ok((repository, line.parse()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_its_tag_may_name_their_repository() {
        let plain = target("release/1.x=v1.2.3").unwrap();
        assert_eq!((plain.line.as_str(), plain.tag.as_str()), ("release/1.x", "v1.2.3"));
        assert_eq!(target("core:main=v2").unwrap().repository.unwrap().as_str(), "core");
        assert!(target("main").is_err());
        assert_eq!(strategy("core:main=squash").unwrap().strategy, Strategy::Squash);
        assert!(strategy("main=fold").unwrap_err().to_string().contains("merge rebase squash"));
        assert_eq!(style("main=lightweight").unwrap().2, TagStyle::Lightweight);
    }
}
