//! `embargo project`: the projects one works on, and fetching their public side anew.

use clap::Subcommand;

use super::screen::table;
use super::server::Server;
use super::{Output, Result};
use crate::domain::id::ProjectId;
use crate::domain::text::shown;
use crate::wire::project::ProjectView;

/// Commands about projects.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ProjectCommand {
    /// List the projects you work on
    List,
    /// Show a project: its repositories, lines and team
    Show {
        /// The project
        project: ProjectId,
    },
    /// Fetch the public repositories now instead of at the next turn
    Mirror {
        /// The project
        project: ProjectId,
    },
}

/// Runs one of them.
pub(super) async fn run(command: &ProjectCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    match command {
        ProjectCommand::List => {
            let projects: Vec<String> = server.get("/projects").await?;
            let lines: Vec<String> = projects.iter().map(|project| shown(project)).collect();
            output.result(&projects, &lines.join("\n"))
        }
        ProjectCommand::Show { project } => {
            let view: ProjectView = server.get(&format!("/projects/{project}")).await?;
            output.result(&view, &described(&view))
        }
        ProjectCommand::Mirror { project } => {
            server.press(&format!("/projects/{project}/mirror")).await?;
            let sentence = format!(
                "The repositories of {project} are being fetched: `embargo project show {project}` shows how far."
            );
            output.result(&project, &sentence)
        }
    }
}

fn described(view: &ProjectView) -> String {
    let mut text = format!(
        "{} ({}), cases {}-<number>, {} of them open to you\n",
        shown(&view.name),
        shown(&view.id),
        shown(&view.prefix),
        view.open_cases
    );
    if !view.takes_attachments {
        text.push_str("Nobody in the team has an age or SSH key yet: attachments cannot be taken.\n");
    }
    if let Some(trouble) = &view.mail_trouble {
        text.push_str(&format!("{}\n", shown(trouble)));
    }
    for repository in &view.repositories {
        let (name, url) = (shown(&repository.name), shown(&repository.url));
        text.push_str(&format!("\n{name}  {url}  {} {}\n", shown(&repository.state), shown(&repository.note)));
        if let Some(progress) = &repository.progress {
            text.push_str(&format!("  {}\n", shown(progress)));
        }
        for line in &repository.lines {
            let nowhere = if repository.checked_at.is_none() { "not fetched yet" } else { "not in the mirror" };
            text.push_str(&format!("  {}  {}\n", shown(&line.name), shown(line.head.as_deref().unwrap_or(nowhere))));
        }
    }
    let team: Vec<[&str; 3]> =
        view.team.iter().map(|m| [m.handle.as_str(), m.name.as_str(), m.role.as_str()]).collect();
    text + "\nTeam\n" + &table(&team)
}
