//! What a line ships beyond itself: which lines get it, in which order, and the merges that bring it there.
//!
//! Guards: merges are made from the same commits with the same dates each time, and a branch that is not there or does not
//! take a merge is told, with the commands that help, before anything freezes. Leaves the order to `domain::forward`.

use super::Result;
use super::readiness::Layout;
use crate::app::App;
use crate::domain::candidate::LineTree;
use crate::domain::forward::{Forward, Moved, MovedBy, Onward, TagOn, order as ordered};
use crate::domain::id::LineId;
use crate::domain::project::{Line, Upstream};
use crate::domain::readiness::Facts;
use crate::domain::recipe::{Advance, FixRecipe, Strategy};
use crate::domain::rehearsal::{Candidate, Rehearsal, Target};
use crate::domain::release::Release;
use crate::domain::repo::{CommitId, LineName, RefName};
use crate::git::Repo;
use crate::git::combine::{Merged, Stamp, Topic};

/// The branches that move besides a target's line, as they are in public.
#[derive(Default)]
pub(super) struct Beside {
    /// Those that move to the line's commit.
    pub(super) advances: Vec<Advance>,
    /// Lines that get what this and older lines ship, and no tag.
    pub(super) onward: Vec<(Line, Option<CommitId>)>,
    /// The branch that the tag stands on.
    pub(super) tag_on: Option<Advance>,
}

/// What is merged, and where: for the sentences about a merge that is not clean.
pub(super) struct Place<'a> {
    /// The release.
    pub(super) release: &'a Release,
    /// What is known of it.
    pub(super) facts: &'a Facts,
    /// The lines.
    pub(super) layout: &'a Layout,
    /// The line of the target.
    pub(super) line: &'a Line,
    /// Its repository.
    pub(super) upstream: &'a Upstream,
}

/// Tells whether what one line ships is merged into another.
fn feeds(app: &App, layout: &Layout, from: LineId, into: LineId) -> bool {
    let find = |id: LineId| layout.lines.iter().find(|line| line.id == id);
    let (Some(from), Some(into)) = (find(from), find(into)) else { return false };
    let Some(upstream) = layout.upstreams.iter().find(|upstream| upstream.id == from.upstream) else { return false };
    let forward = super::project::settings(app, upstream).map(|settings| settings.forward(&from.name));
    from.upstream == into.upstream && forward.is_some_and(|lines| lines.contains(&into.name))
}

/// Orders the targets of a release, by their places, so that each is built after all that is merged into it.
pub(super) fn order(app: &App, layout: &Layout, release: &Release) -> Vec<usize> {
    let lines: Vec<LineId> = release.targets.iter().map(|target| target.line).collect();
    ordered(&lines, |from, into| feeds(app, layout, from, into))
}

/// Lists what a candidate moves on lines that are not in the plan: their checks speak for it.
pub(super) fn beside<'a>(
    layout: &'a Layout,
    target: &'a Target,
    candidate: &'a Candidate,
) -> impl Iterator<Item = (LineId, &'a Moved)> {
    candidate.moves.iter().filter(|moved| moved.by == MovedBy::Forward).filter_map(|moved| {
        let of = |line: &&Line| line.upstream == target.upstream && line.name == moved.branch;
        Some((layout.lines.iter().find(of)?.id, moved))
    })
}

/// Tells whether a line's own commit is another tree than what its tag names.
pub(super) async fn line_tree(app: &App, release: &Release, target: &Target, built: &Rehearsal) -> Result<LineTree> {
    let Rehearsal::Candidate(candidate) = built else { return Ok(LineTree::AsTagged) };
    if candidate.commit == *candidate.tagged() {
        return Ok(LineTree::AsTagged);
    }
    let repo = Repo::Release(release.id.clone(), target.upstream);
    if !app.git.exists(&repo) {
        return Ok(LineTree::Apart);
    }
    let (own, tagged) =
        (app.git.commit(&repo, &candidate.commit).await?, app.git.commit(&repo, candidate.tagged()).await?);
    Ok(if own.tree == tagged.tree { LineTree::AsTagged } else { LineTree::Apart })
}

/// Lists the lines of a release that are merged into a line, in the order they are built.
pub(super) fn sources<'a>(app: &App, layout: &'a Layout, release: &Release, into: LineId) -> Vec<&'a Line> {
    let mut sources: Vec<&Line> = Vec::new();
    for at in order(app, layout, release) {
        let from = release.targets[at].line;
        if from != into && feeds(app, layout, from, into) && !sources.iter().any(|line| line.id == from) {
            sources.extend(layout.lines.iter().find(|line| line.id == from));
        }
    }
    sources
}

/// Lists the lines that get what a release ships on others, and no tag by it.
pub(super) fn onward<'a>(app: &App, layout: &'a Layout, release: &Release) -> Vec<&'a Line> {
    let ships = |line: &&Line| release.targets.iter().any(|target| target.line == line.id);
    let gets = |line: &&Line| !sources(app, layout, release, line.id).is_empty();
    layout.lines.iter().filter(|line| !ships(line)).filter(gets).collect()
}

/// Looks where the branches are that move besides a target's line.
pub(super) async fn look(app: &App, layout: &Layout, release: &Release, target: &Target) -> Result<Beside> {
    let (line, upstream) = layout.place(target)?;
    let mirror = Repo::Mirror(upstream.id);
    let Some(settings) = super::project::settings(app, upstream) else { return Ok(Beside::default()) };
    let tip = async |branch: &LineName| app.git.resolve(&mirror, &RefName::branch(branch)).await;
    let mut beside = Beside::default();
    for branch in settings.advances(&line.name) {
        beside.advances.push(Advance { branch: branch.clone(), tip: tip(branch).await? });
    }
    if let Some(branch) = settings.tag_on(&line.name) {
        beside.tag_on = Some(Advance { branch: branch.clone(), tip: tip(branch).await? });
    }
    // The last that is built carries it on; of several tags on one line, the first.
    let first = release.targets.iter().find(|other| other.line == line.id).is_some_and(|first| first.tag == target.tag);
    for onward in onward(app, layout, release).into_iter().filter(|_| first) {
        if sources(app, layout, release, onward.id).last().is_some_and(|last| last.id == line.id) {
            beside.onward.push((onward.clone(), tip(&onward.name).await?));
        }
    }
    Ok(beside)
}

impl Place<'_> {
    fn name_of(&self, line: LineId) -> &str {
        let found = self.layout.lines.iter().find(|other| other.id == line);
        found.map_or("another line", |line| line.name.as_str())
    }

    /// Tells whether the approved commits of a line's fixes ship as they are.
    fn keeps_commits(&self, line: LineId) -> bool {
        let mut here = self.release.targets.iter().filter(|target| target.line == line);
        here.all(|target| target.strategy.keeps_commits())
    }

    fn repo(&self) -> Repo {
        Repo::Release(self.release.id.clone(), self.upstream.id)
    }

    /// Lists what is merged in: what the release ships on each line, or where the line is the target's own, `own`. Otherwise a
    /// sentence about the line that is not built.
    pub(super) fn topics(
        &self,
        forwards: &[Forward],
        own: Option<&CommitId>,
    ) -> std::result::Result<Vec<Topic>, String> {
        let topic = |forward: &Forward| {
            let own = own.filter(|_| forward.line == self.line.id);
            let head = own.or_else(|| self.release.shipped(forward.line)).cloned().ok_or_else(|| {
                format!("what ships on {} is merged into it, and is not built: see there.", self.name_of(forward.line))
            })?;
            Ok(Topic { head, message: forward.message.clone(), riders: Vec::new(), on: None })
        };
        forwards.iter().map(topic).collect()
    }

    /// Merges what the line ships into the branch that its tag stands on, or says why that cannot be.
    pub(super) async fn tag_on(
        &self,
        app: &App,
        on: &TagOn,
        commit: &CommitId,
        stamp: &Stamp,
    ) -> Result<std::result::Result<Moved, String>> {
        let (branch, line) = (&on.branch, &self.line.name);
        let Some(tip) = &on.tip else {
            return Ok(Err(format!(
                "its tags stand on {branch}, and there is no such branch in public: make it there."
            )));
        };
        let repo = self.repo();
        let moved = |new| Ok(Ok(Moved { branch: branch.clone(), by: MovedBy::Tag, old: tip.clone(), new }));
        if app.git.is_ancestor(&repo, tip, commit).await? {
            return moved(commit.clone());
        }
        let topic = Topic { head: commit.clone(), message: on.message.clone(), riders: Vec::new(), on: None };
        match app.git.combine(&repo, tip, &[topic], (Strategy::Merge, stamp)).await? {
            Merged::Clean { commit, .. } => moved(commit),
            Merged::Conflict { paths, .. } => Ok(Err(format!(
                "what ships does not merge into {branch}, where its tag stands, in {} files: merge {branch} into {line} in \
                 public, or for this release alone: {}",
                paths.len(),
                self.resolve(app, std::slice::from_ref(branch), |branch| format!("origin/{branch}"))
            ))),
            Merged::Differs { .. } => Ok(Err(format!("what ships does not merge into {branch}."))),
        }
    }

    /// Brings a line that gets no tag what others ship, after the fixes that cases have for it, or says why that cannot be.
    /// `None` where the line holds it all already.
    pub(super) async fn carry(
        &self,
        app: &App,
        onward: &Onward,
        own: &CommitId,
        stamp: &Stamp,
    ) -> Result<std::result::Result<Option<Moved>, String>> {
        let branch = &onward.branch;
        let Some(tip) = &onward.tip else {
            return Ok(Err(format!(
                "it is merged into {branch}, which is not in the mirror of {}.",
                self.upstream.name
            )));
        };
        let topics = match self.topics(&onward.forwards, Some(own)) {
            Ok(topics) => topics,
            Err(sentence) => return Ok(Err(format!("into {branch}: {sentence}"))),
        };
        let (repo, fixes) = (self.repo(), topics_of(&onward.fixes));
        let fixed = match app.git.combine(&repo, tip, &fixes, (onward.strategy, stamp)).await? {
            Merged::Clean { commit, .. } => commit,
            Merged::Conflict { paths, .. } => {
                return Ok(Err(format!(
                    "the fixes of {branch}, which gets what ships here, do not go together, in {} files: merge the line or the \
                     other fix into fix/{branch}.",
                    paths.len()
                )));
            }
            Merged::Differs { .. } => {
                return Ok(Err(format!(
                    "a fix of {branch} holds a merge, and its commits alone do not add up to what was approved: rebase \
                     fix/{branch} and push it."
                )));
            }
        };
        match app.git.combine(&repo, &fixed, &topics, (Strategy::Merge, stamp)).await? {
            Merged::Clean { commit, .. } if &commit == tip => Ok(Ok(None)),
            Merged::Clean { commit, .. } => {
                Ok(Ok(Some(Moved { branch: branch.clone(), by: MovedBy::Forward, old: tip.clone(), new: commit })))
            }
            Merged::Conflict { paths, .. } => Ok(Err(self.no_way_on(app, onward, paths.len()))),
            Merged::Differs { .. } => Ok(Err(format!("what ships does not merge into {branch}."))),
        }
    }

    /// Says that what an older line ships does not merge into the target's line, and how to resolve it.
    pub(super) fn no_way_in(&self, app: &App, forwards: &[Forward], (head, files): (&CommitId, usize)) -> String {
        let line = &self.line.name;
        let names: Vec<String> = forwards.iter().map(|forward| self.name_of(forward.line).to_owned()).collect();
        let mut shipped = forwards.iter().filter(|forward| self.release.shipped(forward.line) == Some(head));
        let shipped = shipped.next().map(|forward| forward.line);
        let from = shipped.map_or("an older line", |line| self.name_of(line));
        // What is made anew of a fix does not descend from it: holding the older fix, the newer one would not hold what ships.
        let mend = if shipped.is_some_and(|from| self.keeps_commits(from)) && self.keeps_commits(self.line.id) {
            format!("merge fix/{from} into fix/{line} and push, or resolve")
        } else {
            "resolve".to_owned()
        };
        format!(
            "what ships on {from} does not merge into it, in {files} files: {mend} it for this release alone: {}",
            self.resolve(app, &names, |name| format!("origin/ships/{name}"))
        )
    }

    /// Says that what ships does not merge into a line that gets no tag, and how a fix of that line resolves it.
    fn no_way_on(&self, app: &App, onward: &Onward, files: usize) -> String {
        let (branch, repository) = (&onward.branch, &self.upstream.name);
        let sources: Vec<LineId> = onward.forwards.iter().map(|forward| forward.line).collect();
        let of = |line: LineId| self.release.merged_on(line, self.facts).map(move |(case, _)| (case, line));
        let fixed: Vec<_> = sources.into_iter().flat_map(of).collect();
        let Some((case, _)) = fixed.first() else {
            return format!("what ships does not merge into {branch}, in {files} files.");
        };
        if !onward.strategy.keeps_commits() {
            return format!(
                "what ships does not merge into {branch}, in {files} files, and no fix of {branch} can hold a merge, because \
                 commits there are made anew ({}): plan a tag on {branch}, too, and resolve it in candidate/{branch}.",
                onward.strategy
            );
        }
        let lines: Vec<LineId> = fixed.iter().filter(|(other, _)| other == case).map(|(_, line)| *line).collect();
        let anew = lines.iter().filter(|line| !self.keeps_commits(**line)).map(|line| self.name_of(*line));
        let anew: Vec<_> =
            anew.map(|name| format!("embargo release set-strategy {} {name}=merge", self.release.id)).collect();
        if !anew.is_empty() {
            return format!(
                "what ships does not merge into {branch}, in {files} files, and no fix of {branch} can hold it, because its \
                 commits are made anew: put fixes onto the older line by merges (`{}`), or plan a tag on {branch}, too, and \
                 resolve it in candidate/{branch}.",
                anew.join(" && ")
            );
        }
        let merges: Vec<String> = lines
            .iter()
            .map(|line| self.name_of(*line))
            .map(|name| format!("git merge origin/{name} && git merge origin/fix/{name}"))
            .collect();
        format!(
            "what ships does not merge into {branch}, in {files} files: resolve it in a fix of {branch}, which is approved like \
             any and becomes public with it: git clone -b {branch} {} && cd {repository} && {} && git push origin \
             HEAD:refs/heads/fix/{branch}",
            app.url(&format!("/{case}/{repository}")),
            merges.join(" && ")
        )
    }

    /// Writes the commands that merge a line's fixes, and these, into a candidate of the line.
    fn resolve<T>(&self, app: &App, others: &[T], of: impl Fn(&T) -> String) -> String {
        let (line, repository) = (&self.line.name, &self.upstream.name);
        let fixes =
            self.release.merged_on(self.line.id, self.facts).map(|(case, _)| format!("origin/fix/{case}/{line}"));
        let merges: Vec<String> = fixes.chain(others.iter().map(of)).map(|name| format!("git merge {name}")).collect();
        format!(
            "git clone -b {line} {} && cd {repository} && {} && git push origin HEAD:refs/heads/candidate/{line}",
            app.url(&format!("/{}/{repository}", self.release.id)),
            merges.join(" && ")
        )
    }
}

/// Lists what is put onto a line, in the order of the cases.
pub(super) fn topics_of(fixes: &[FixRecipe]) -> Vec<Topic> {
    let topic = |fix: &FixRecipe| Topic {
        head: fix.head.clone(),
        message: fix.message.clone(),
        riders: fix.riders.clone(),
        on: None,
    };
    fixes.iter().map(topic).collect()
}
