//! The push to the public repository: look, then all refs or none.
//!
//! Guards: every ref is leased to the value the plan was made with, all move together or none does, and a push whose end
//! is unknown is never called a failure. A refusal after objects were sent says so, for they may be public. Leaves
//! fast-forward checks ([`Git::is_ancestor`]) and the writing down of the plan to the caller.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::{Error, Result, Said};
use super::mirror::Upstream;
use super::refs;
use super::{Git, Repo};
use crate::domain::refusal::Refusal;
use crate::domain::repo::{CommitId, RefName};

/// One ref to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Its name at the public repository.
    pub name: RefName,
    /// What it must be now; zero if it must not exist.
    pub old: CommitId,
    /// What it shall be.
    pub new: CommitId,
}

/// How an atomic push ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// Every ref has moved.
    Done,
    /// Every ref was there already.
    AlreadyDone,
    /// A ref is not what the plan was made with; nothing was sent.
    Stale {
        /// The refs that differ.
        refs: Vec<RefName>,
    },
    /// The push was refused, and no ref has moved.
    Refused {
        /// True if the objects were sent: then they may be public although no ref shows them.
        sent: bool,
        /// The refs that were refused for a reason of their own, with the reason as the other side gave it.
        refs: Vec<(RefName, String)>,
        /// What git said.
        said: Said,
    },
    /// Nobody knows: read the refs back.
    Unknown {
        /// What git said.
        said: Said,
    },
}

/// How the public refs stand against a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every ref is at its new value: done.
    AllNew,
    /// Every ref is at its old value: the push can be tried.
    AllOld,
    /// Some are old and some new: the other side is not atomic. Needs a person.
    Mixed,
    /// A ref is at a third value.
    Foreign,
}

/// Compares what was planned with what the public repository has.
pub fn compare(plan: &[Leased], remote: &BTreeMap<RefName, CommitId>) -> Standing {
    let (mut old, mut new) = (0, 0);
    for leased in plan {
        match remote.get(&leased.name) {
            Some(id) if *id == leased.new => new += 1,
            Some(id) if *id == leased.old => old += 1,
            None if leased.old.is_zero() => old += 1,
            Some(_) | None => return Standing::Foreign,
        }
    }
    match (old, new) {
        (0, _) => Standing::AllNew,
        (_, 0) => Standing::AllOld,
        (_, _) => Standing::Mixed,
    }
}

impl Git {
    /// Reads these refs from the public repository; a ref that is not there is left out. Tags are not peeled.
    pub async fn read_refs(&self, upstream: &Upstream, names: &[RefName]) -> Result<BTreeMap<RefName, CommitId>> {
        let command = self.command("reading public refs").timeout(Duration::from_mins(2));
        let output = upstream
            .access
            .equip(command, &upstream.url)
            .args(["ls-remote", "--refs", "--", upstream.url.as_str()])
            .args(names.iter().map(RefName::as_str))
            .succeed(b"")
            .await?;
        let listed = String::from_utf8_lossy(&output);
        let pairs = listed.lines().filter_map(|line| line.split_once('\t'));
        // A pattern also matches at the end of longer names.
        Ok(pairs
            .filter_map(|(id, name)| Some((name.parse().ok()?, id.parse().ok()?)))
            .filter(|(name, _)| names.contains(name))
            .collect())
    }

    /// Does everything of a push but sending objects and moving refs. Rules of the other side are not asked.
    pub async fn dry_run(&self, repo: &Repo, upstream: &Upstream, plan: &[Leased]) -> Result<PushOutcome> {
        self.push(repo, upstream, plan, Send::Nothing).await
    }

    /// Moves every ref of a plan at the public repository, or none. Safe to repeat.
    pub async fn push_atomic(&self, repo: &Repo, upstream: &Upstream, plan: &[Leased]) -> Result<PushOutcome> {
        self.push(repo, upstream, plan, Send::Everything).await
    }

    async fn push(&self, repo: &Repo, upstream: &Upstream, plan: &[Leased], send: Send) -> Result<PushOutcome> {
        if plan.is_empty() || plan.iter().any(|leased| leased.new.is_zero() || leased.old == leased.new) {
            return Err(Refusal::input("A push moves at least one ref, and deletes none.").into());
        }
        let news: Vec<_> = plan.iter().map(|leased| leased.new.clone()).collect();
        self.read(repo, "reading what is to be published", move |repository| {
            for id in &news {
                repository.find_header(refs::object_id(id)?).map_err(|_| Error::Missing)?;
            }
            Ok(())
        })
        .await?;
        let mut command = self
            .command("pushing to the public repository")
            .in_repository(&self.existing(repo)?)
            .timeout(Duration::from_secs(self.options().upstream_seconds))
            .config("push.followTags", "false")
            .config("push.recurseSubmodules", "no")
            .config("push.negotiate", "false")
            .args(["push", "--atomic", "--porcelain", "--no-verify", "--no-signed", "--no-thin"]);
        if matches!(send, Send::Nothing) {
            command = command.arg("--dry-run");
        }
        for leased in plan {
            let expected = if leased.old.is_zero() { "" } else { leased.old.as_str() };
            command = command.arg(format!("--force-with-lease={}:{expected}", leased.name));
        }
        command = command.args(["--", upstream.url.as_str()]);
        command = command.args(plan.iter().map(|leased| format!("{}:{}", leased.new, leased.name)));
        match upstream.access.equip(command, &upstream.url).run(b"").await {
            Ok(output) => Ok(outcome(output.code, &String::from_utf8_lossy(&output.stdout), output.said)),
            Err(Error::TimedOut { .. }) => Ok(PushOutcome::Unknown { said: Said("the push took too long".to_owned()) }),
            Err(error) => Err(error),
        }
    }
}

/// Whether a push sends anything.
enum Send {
    Nothing,
    Everything,
}

/// Reads what `push --porcelain` printed: a flag, `from:to` and a summary per ref.
fn outcome(code: Option<i32>, printed: &str, said: Said) -> PushOutcome {
    let mut moved = 0;
    let mut same = 0;
    let mut stale = Vec::new();
    let mut refused = Vec::new();
    let mut sent = false;
    let mut unsure = false;
    for line in printed.lines() {
        let mut fields = line.split('\t');
        let (Some(flag), Some(names), Some(summary)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let Some(name) = names.rsplit_once(':').and_then(|(_, to)| to.parse::<RefName>().ok()) else { continue };
        match flag {
            "=" => same += 1,
            " " | "*" | "+" => moved += 1,
            "!" if summary.starts_with("[remote rejected]") => {
                sent = true;
                if !summary.contains("atomic push failure") {
                    refused.push((name, summary.chars().take(300).collect()));
                }
            }
            "!" if summary.starts_with("[remote failure]") => unsure = true,
            "!" if summary.contains("(atomic push failed)") => {}
            "!" if summary.contains("(stale info)") => stale.push(name),
            _ => refused.push((name, summary.chars().take(300).collect())),
        }
    }
    let unsupported = said.text().contains("does not support --atomic");
    match code {
        Some(0) if moved > 0 => PushOutcome::Done,
        Some(0) if same > 0 => PushOutcome::AlreadyDone,
        _ if unsure => PushOutcome::Unknown { said },
        _ if sent => PushOutcome::Refused { sent: true, refs: refused, said },
        _ if !stale.is_empty() && refused.is_empty() => PushOutcome::Stale { refs: stale },
        _ if !refused.is_empty() || unsupported => PushOutcome::Refused { sent: false, refs: refused, said },
        _ => PushOutcome::Unknown { said },
    }
}
