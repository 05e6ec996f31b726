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
        let mut listed = self.listed(upstream, names).await?;
        // A pattern also matches at the end of longer names.
        listed.retain(|name, _| names.contains(name));
        Ok(listed)
    }

    /// Reads every ref of a repository whose name is one we can speak of.
    pub(super) async fn all_refs(&self, upstream: &Upstream) -> Result<BTreeMap<RefName, CommitId>> {
        self.listed(upstream, &[]).await
    }

    async fn listed(&self, upstream: &Upstream, patterns: &[RefName]) -> Result<BTreeMap<RefName, CommitId>> {
        let command = self.command("reading public refs").timeout(Duration::from_mins(2));
        let output = upstream
            .access
            .equip(command, &upstream.url)
            .args(["ls-remote", "--refs", "--", upstream.url.as_str()])
            .args(patterns.iter().map(RefName::as_str))
            .succeed(b"")
            .await?;
        let listed = String::from_utf8_lossy(&output);
        let pairs = listed.lines().filter_map(|line| line.split_once('\t'));
        Ok(pairs.filter_map(|(id, name)| Some((name.parse().ok()?, id.parse().ok()?))).collect())
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
        if send == Send::Nothing {
            command = command.arg("--dry-run");
        }
        for leased in plan {
            let expected = if leased.old.is_zero() { "" } else { leased.old.as_str() };
            command = command.arg(format!("--force-with-lease={}:{expected}", leased.name));
        }
        command = command.args(["--", upstream.url.as_str()]);
        command = command.args(plan.iter().map(|leased| format!("{}:{}", leased.new, leased.name)));
        match upstream.access.equip(command, &upstream.url).run(b"").await {
            Ok(output) => {
                let outcome = outcome(output.code, &String::from_utf8_lossy(&output.stdout), output.said);
                Ok(match (outcome, send) {
                    // Nothing was to be sent, so that nothing was: the other side does not let us in.
                    (PushOutcome::Unknown { said }, Send::Nothing) if denied(&said) => {
                        PushOutcome::Refused { sent: false, refs: Vec::new(), said }
                    }
                    (outcome, _) => outcome,
                })
            }
            Err(Error::TimedOut { .. }) => Ok(PushOutcome::Unknown { said: Said("the push took too long".to_owned()) }),
            Err(error) => Err(error),
        }
    }
}

/// Whether a push sends anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Send {
    Nothing,
    Everything,
}

/// Tells from git's words, and from ssh's, that our credential is missing, has ended, or may not write.
fn denied(said: &Said) -> bool {
    const WORDS: [&str; 6] = [
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "returned error: 401",
        "returned error: 403",
        "Permission denied (",
    ];
    WORDS.iter().any(|words| said.text().contains(words))
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::sample::Sample;
    use super::*;

    struct Scene {
        sample: Sample,
        public: Upstream,
        repo: Repo,
        plan: Vec<Leased>,
    }

    /// A public bare repository, and a plan that moves `main` and makes a tag.
    async fn scene() -> Scene {
        let sample = Sample::new().await;
        let public = sample.folder.path().join("public.git");
        sample.user(["clone", "-q", "--bare", ".", public.to_str().unwrap()]).await;
        let old = sample.head("main").await;
        let new = sample.write("fix", "fix").await;
        sample.update().await.unwrap();
        let leased =
            |name: &str, old: &CommitId| Leased { name: name.parse().unwrap(), old: old.clone(), new: new.clone() };
        let plan = vec![leased("refs/heads/main", &old), leased("refs/tags/v2", &CommitId::zero())];
        Scene { public: Sample::at(&public), repo: Repo::Mirror(sample.id), sample, plan }
    }

    impl Scene {
        async fn standing(&self) -> Standing {
            let names: Vec<_> = self.plan.iter().map(|leased| leased.name.clone()).collect();
            compare(&self.plan, &self.sample.git.read_refs(&self.public, &names).await.unwrap())
        }

        async fn push(&self) -> PushOutcome {
            self.sample.git.push_atomic(&self.repo, &self.public, &self.plan).await.unwrap()
        }

        fn path(&self) -> std::path::PathBuf {
            self.public.url.as_str().into()
        }

        fn hook(&self, name: &str) {
            let hook = self.path().join("hooks").join(name);
            std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
            std::fs::write(&hook, "#!/bin/sh\ncat >/dev/null\nexit 1\n").unwrap();
            std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[tokio::test]
    async fn a_push_moves_every_ref_and_may_be_repeated() {
        let scene = scene().await;
        assert_eq!(scene.standing().await, Standing::AllOld);
        let dry = scene.sample.git.dry_run(&scene.repo, &scene.public, &scene.plan).await.unwrap();
        assert_eq!(dry, PushOutcome::Done);
        assert_eq!(scene.standing().await, Standing::AllOld);
        assert_eq!(scene.push().await, PushOutcome::Done);
        assert_eq!(scene.standing().await, Standing::AllNew);
        assert_eq!(scene.push().await, PushOutcome::AlreadyDone);
    }

    #[tokio::test]
    async fn a_line_that_moved_or_a_tag_that_exists_stops_everything_before_it_is_sent() {
        let scene = scene().await;
        let path = scene.path();
        scene.sample.user_in(&path, ["--git-dir=.", "update-ref", "refs/heads/main", "refs/heads/1.x"]).await;
        let main: RefName = "refs/heads/main".parse().unwrap();
        assert_eq!(scene.push().await, PushOutcome::Stale { refs: vec![main] });
        assert_eq!(scene.standing().await, Standing::Foreign);
        scene.sample.user_in(&path, ["--git-dir=.", "update-ref", "refs/heads/main", scene.plan[0].old.as_str()]).await;
        scene.sample.user_in(&path, ["--git-dir=.", "tag", "v2", "1.x"]).await;
        let tag: RefName = "refs/tags/v2".parse().unwrap();
        assert_eq!(scene.push().await, PushOutcome::Stale { refs: vec![tag] });
    }

    #[tokio::test]
    async fn a_refusal_after_sending_says_that_objects_were_sent() {
        let scene = scene().await;
        scene.hook("pre-receive");
        let outcome = scene.push().await;
        assert!(matches!(outcome, PushOutcome::Refused { sent: true, .. }), "{outcome:?}");
        assert_eq!(scene.standing().await, Standing::AllOld);
    }

    #[tokio::test]
    async fn a_remote_without_atomic_pushes_is_refused_before_anything_is_sent() {
        let scene = scene().await;
        let path = scene.path();
        scene.sample.user_in(&path, ["--git-dir=.", "config", "receive.advertiseAtomic", "false"]).await;
        let outcome = scene.push().await;
        assert!(matches!(outcome, PushOutcome::Refused { sent: false, .. }), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_remote_that_is_gone_leaves_the_end_unknown() {
        let scene = scene().await;
        std::fs::remove_dir_all(scene.path()).unwrap();
        let outcome = scene.push().await;
        assert!(matches!(outcome, PushOutcome::Unknown { .. }), "{outcome:?}");
    }

    #[test]
    fn a_plan_is_compared_ref_by_ref() {
        let id = |digit: &str| digit.repeat(40).parse::<CommitId>().unwrap();
        let leased = |name: &str, old, new| Leased { name: name.parse().unwrap(), old, new };
        let plan = [leased("refs/heads/a", id("1"), id("2")), leased("refs/tags/b", CommitId::zero(), id("3"))];
        let remote =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(name, digit)| (name.parse().unwrap(), id(digit))).collect();
        let table: [(&[(&str, &str)], Standing); 6] = [
            (&[("refs/heads/a", "1")], Standing::AllOld),
            (&[("refs/heads/a", "2"), ("refs/tags/b", "3")], Standing::AllNew),
            (&[("refs/heads/a", "2")], Standing::Mixed),
            (&[("refs/heads/a", "4")], Standing::Foreign),
            (&[("refs/heads/a", "2"), ("refs/tags/b", "4")], Standing::Foreign),
            (&[], Standing::Foreign),
        ];
        for (pairs, standing) in table {
            assert_eq!(compare(&plan, &remote(pairs)), standing, "{pairs:?}");
        }
    }
}
