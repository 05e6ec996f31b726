//! `embargo fix mark`: says how the lines stand to the flaw, one by one or as the commit that brought it suggests.
//!
//! Guards: a suggestion is shown with its reason before it is sent, and what people said before is not overwritten by it.

use std::path::Path;

use clap::Args;

use super::command::ask_git;
use super::credential::no_git;
use super::server::Server;
use super::{Failure, Output, Result, case, prompt};
use crate::domain::id::CaseId;
use crate::domain::mark::Standing;
use crate::domain::repo::{CommitId, LineName, RepoName};
use crate::domain::text::shown;
use crate::wire::case::{MarkRequest, SuggestionView};

/// Arguments of `embargo fix mark`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Mark {
    /// The case
    case: CaseId,
    /// What you say of the line: affected, not_affected or wont_fix
    #[arg(requires = "line", required_unless_present = "introduced")]
    standing: Option<Standing>,
    /// The line
    #[arg(long, requires = "standing")]
    line: Option<LineName>,
    /// The repository, where several have a line of this name
    #[arg(long, requires = "line")]
    repository: Option<RepoName>,
    /// The commit that brought the flaw: suggests how every line stands. A short id is looked up in the clone you stand in
    #[arg(long, value_name = "COMMIT", conflicts_with = "standing")]
    introduced: Option<String>,
    /// Mark the lines as suggested, unasked
    #[arg(long, requires = "introduced")]
    yes: bool,
}

/// Runs it.
pub(super) async fn run(server: &Server, asked: &Mark, output: Output) -> Result<()> {
    match (&asked.introduced, &asked.line, asked.standing) {
        (Some(commit), _, _) => suggested(server, asked, commit, output).await,
        (None, Some(line), Some(standing)) => {
            let wish = MarkRequest { line: line.clone(), repository: asked.repository.clone(), standing };
            server.act(&format!("/cases/{}/mark", asked.case), &wish).await?;
            let sentence = format!("{} on {line}: {}.", asked.case, words(standing));
            case::done(server, &asked.case, output, &sentence).await
        }
        (None, _, _) => Err(Failure::Refused("Name a line with --line and say how it stands.".to_owned())),
    }
}

async fn suggested(server: &Server, asked: &Mark, commit: &str, output: Output) -> Result<()> {
    let (case, id) = (&asked.case, whole(commit)?);
    let views: Vec<SuggestionView> = server.get(&format!("/cases/{case}/mark?introduced={id}")).await?;
    for view in &views {
        let suggested = view.suggested.map_or("nothing to suggest", words);
        let said = view.standing.map_or_else(String::new, |standing| format!(" (said before: {})", words(standing)));
        let line = format!("{} {}", view.repository, view.line);
        output.remark(&format!("{line}: {suggested}{said}\n  {}", shown(&view.why)));
    }
    let wishes: Vec<MarkRequest> = views.iter().filter_map(wish).collect();
    if wishes.is_empty() {
        return case::done(server, case, output, "Every line is marked already.").await;
    }
    let question = format!("Mark {} as suggested?", count(wishes.len()));
    let agreed = if asked.yes { Some(true) } else { prompt::confirm(&question) };
    match agreed {
        Some(true) => {}
        Some(false) => return Err(Failure::Refused("Nothing was marked.".to_owned())),
        None => return Err(Failure::Refused("Mark the lines one by one, or as suggested with --yes.".to_owned())),
    }
    for wish in &wishes {
        server.act(&format!("/cases/{case}/mark"), wish).await?;
    }
    case::done(server, case, output, &format!("Marked {}.", count(wishes.len()))).await
}

/// Makes a suggestion into a word, for a line that nobody spoke of yet.
fn wish(view: &SuggestionView) -> Option<MarkRequest> {
    let standing = view.suggested.filter(|_| view.standing.is_none())?;
    Some(MarkRequest { line: view.line.clone(), repository: Some(view.repository.clone()), standing })
}

/// Completes a short id, a tag or a branch in the clone one stands in.
fn whole(commit: &str) -> Result<CommitId> {
    if let Ok(id) = commit.parse() {
        return Ok(id);
    }
    let wanted = format!("{commit}^{{commit}}");
    let found = ask_git(Path::new("."), &["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])
        .map_err(no_git)?
        .and_then(|id| id.parse().ok());
    found.ok_or_else(|| {
        let sentence = format!("Stand in a clone that has {}, or give all forty digits.", shown(commit));
        Failure::Refused(sentence)
    })
}

fn count(lines: usize) -> String {
    if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") }
}

/// Says in words how a line stands.
pub(super) fn words(standing: Standing) -> &'static str {
    match standing {
        Standing::Affected => "affected",
        Standing::NotAffected => "not affected",
        Standing::WontFix => "affected, will not be fixed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_never_overwrites_what_a_person_said() {
        let view = |standing, suggested| SuggestionView {
            line: "1.x".parse().unwrap(),
            repository: "core".parse().unwrap(),
            standing,
            suggested,
            why: String::new(),
        };
        let fresh = wish(&view(None, Some(Standing::NotAffected))).unwrap();
        assert_eq!((fresh.standing, fresh.line.as_str()), (Standing::NotAffected, "1.x"));
        assert!(wish(&view(Some(Standing::Affected), Some(Standing::NotAffected))).is_none());
        assert!(wish(&view(None, None)).is_none());
    }
}
