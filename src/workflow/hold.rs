//! A held release as its managers see it: why, what helps, and the commands a person would type.

use super::Result;
use super::readiness::Layout;
use crate::app::App;
use crate::domain::hold::HoldReason;
use crate::domain::rehearsal::Rehearsal;
use crate::domain::release::Release;
use crate::domain::repo::RefName;
use crate::git::Repo;
use crate::wire::release::HoldView;

/// Shows why a release is held; `None` while it is not.
pub(super) fn view(app: &App, layout: &Layout, release: &Release) -> Result<Option<HoldView>> {
    let Some(hold) = &release.hold else { return Ok(None) };
    Ok(Some(HoldView {
        reason: hold.reason.to_string(),
        note: hold.note.clone(),
        advice: hold.reason.advice().to_owned(),
        safe_to_retry: hold.reason.safe_to_retry(),
        commands: commands(app, layout, release, hold.reason)?,
    }))
}

/// Writes the commands that lead out of a hold, in their order. Those of git are for a shell on the server, as its user.
fn commands(app: &App, layout: &Layout, release: &Release, reason: HoldReason) -> Result<Vec<String>> {
    let id = &release.id;
    let own = |verb: &str| format!("embargo release {verb} {id}");
    Ok(match reason {
        HoldReason::LineMoved | HoldReason::NotReady => {
            ["reopen", "show", "freeze", "arm"].into_iter().map(own).collect()
        }
        HoldReason::TagTaken => {
            let mut commands = Vec::new();
            for target in &release.targets {
                let (_, upstream) = layout.place(target)?;
                let tag = RefName::tag(&target.tag);
                commands.push(format!("git ls-remote {} {}", quoted(&upstream.url), quoted(tag.as_str())));
            }
            commands.push(own("resume"));
            commands
        }
        HoldReason::UpstreamDown | HoldReason::PushRefused | HoldReason::Missed | HoldReason::Trouble => {
            vec![own("resume")]
        }
        HoldReason::Channel | HoldReason::Package | HoldReason::Hook => {
            vec![own("show"), own("resume"), format!("{} NUMBER", own("give-up"))]
        }
        HoldReason::PartlyPublic => {
            let mut commands = by_hand(app, layout, release)?;
            commands.push(own("resume"));
            commands
        }
    })
}

/// Writes the look and the push of each repository that the run would have made. What is there already is not pushed again,
/// and nothing is forced: a ref that somebody moved is refused by git, and merged by a person.
fn by_hand(app: &App, layout: &Layout, release: &Release) -> Result<Vec<String>> {
    let mut commands = Vec::new();
    for upstream in &layout.upstreams {
        let here: Vec<_> = release.targets.iter().filter(|target| target.upstream == upstream.id).collect();
        let (mut names, mut pushes) = (Vec::new(), Vec::new());
        for target in here {
            let (line, _) = layout.place(target)?;
            let Rehearsal::Candidate(candidate) = &target.rehearsal else { continue };
            let tag = RefName::tag(&target.tag);
            names.extend([quoted(line.branch().as_str()), quoted(tag.as_str())]);
            pushes.push(quoted(&format!("{}:{}", candidate.commit, line.branch())));
            pushes.push(quoted(&format!("{}:{tag}", candidate.tag_object)));
            for moved in &candidate.moves {
                let branch = RefName::branch(&moved.branch);
                names.push(quoted(branch.as_str()));
                pushes.push(quoted(&format!("{}:{branch}", moved.new)));
            }
            let settings = super::project::settings(app, upstream);
            for branch in settings.map(|settings| settings.advances(&line.name)).unwrap_or_default() {
                let branch = RefName::branch(branch);
                names.push(quoted(branch.as_str()));
                pushes.push(quoted(&format!("{}:{branch}", candidate.commit)));
            }
        }
        if pushes.is_empty() {
            continue;
        }
        let (url, built) = (quoted(&upstream.url), app.git.path(&Repo::Release(release.id.clone(), upstream.id)));
        commands.push(format!("git ls-remote {url} {}", names.join(" ")));
        commands.push(format!("git -C {} push {url} {}", quoted(&built.display().to_string()), pushes.join(" ")));
    }
    Ok(commands)
}

/// Writes a word so that a shell takes it as it is.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_word_as_it_is() {
        assert_eq!(quoted("ssh://git@example.org/x.git"), "ssh://git@example.org/x.git");
        assert_eq!(quoted("/a folder/it's"), "'/a folder/it'\\''s'");
        assert_eq!(quoted("$(id)"), "'$(id)'");
    }
}
