//! `embargo case` and `embargo audit show`: what members do in a case, and what happened in it.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::record::Record;
use super::screen::{size, table};
use super::server::Server;
use super::{Failure, Output, Result, prompt};
use crate::domain::access::Role;
use crate::domain::case::Verdict;
use crate::domain::follow_up::{Because, End};
use crate::domain::id::CaseId;
use crate::domain::text::{Handle, Title, shown};
use crate::wire::case::{
    CaseSummary, CaseView, CloseRequest, EventView, InviteRequest, MessageRequest, MessageTo, MessageView,
};
use crate::wire::follow_up::{FollowUpRequest, FollowUpView};
use crate::wire::retrospective::RetrospectiveView;

/// Commands about cases.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CaseCommand {
    /// List your cases, those that wait for you first
    List,
    /// Show a case: reports, thread, members, attachments, fixes
    Show {
        /// The case
        case: CaseId,
    },
    /// Tell the reporter that a person has seen the report
    Acknowledge {
        /// The case
        case: CaseId,
    },
    /// Say that it is a vulnerability
    Validate {
        /// The case
        case: CaseId,
    },
    /// Say that it is no vulnerability
    Invalidate {
        /// The case
        case: CaseId,
    },
    /// Accept the case, which makes its private remote
    Accept {
        /// The case
        case: CaseId,
    },
    /// Put the case off
    Defer {
        /// The case
        case: CaseId,
    },
    /// Close the case with a verdict
    Close {
        /// The case
        case: CaseId,
        /// What it turned out to be: `valid`, `invalid`, `duplicate`, `out_of_scope` or `spam`
        verdict: Verdict,
    },
    /// Write a message
    Comment {
        /// The case
        case: CaseId,
        /// Who may read it
        #[arg(long, value_enum)]
        to: To,
        /// The file of the text, or - for standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        text_file: PathBuf,
    },
    /// Invite a person into the case
    Invite {
        /// The case
        case: CaseId,
        /// The person
        handle: Handle,
        /// Their role: guest, auditor, triager, fixer, reviewer or `release_manager`
        role: Role,
    },
    /// Take a person's seat in the case
    Remove {
        /// The case
        case: CaseId,
        /// The person
        handle: Handle,
    },
    /// Agree to the embargo of the case
    Join {
        /// The case
        case: CaseId,
    },
    /// Say no to the embargo of the case
    Decline {
        /// The case
        case: CaseId,
    },
    /// Open a case that follows up on a public one
    FollowUp {
        /// The public case
        case: CaseId,
        /// `incomplete`, `superseded` or `regression`
        #[arg(long)]
        because: Because,
        /// What members call the new case
        #[arg(long)]
        title: Title,
    },
    /// Choose what everybody may read of a public case, and publish it
    Record(Record),
    /// Draft a retrospective from what was recorded, as Markdown
    Retrospective {
        /// The case
        case: CaseId,
    },
    /// Show who did what, newest first
    History {
        /// The case
        case: CaseId,
    },
}

/// Commands about what happened.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// Check the chain of events from the first to the last, on the server's own machine
    Verify,
    /// Show who did what in a case, newest first
    Show {
        /// The case
        case: CaseId,
    },
}

/// Who may read a message.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum To {
    /// The team alone
    Team,
    /// The reporter and the team
    Reporter,
    /// Every member
    All,
}

/// Runs one of the commands about cases.
pub(super) async fn run(command: &CaseCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = &Server::signed_in(url)?;
    match command {
        CaseCommand::List => {
            let cases: Vec<CaseSummary> = server.get("/cases").await?;
            output.result(&cases, &listed(&cases))
        }
        CaseCommand::Show { case } => {
            let view: CaseView = server.get(&format!("/cases/{case}")).await?;
            output.result(&view, &described(&view))
        }
        CaseCommand::Acknowledge { case } => press(server, case, "acknowledge", output, "Acknowledged").await,
        CaseCommand::Validate { case } => press(server, case, "validate", output, "Validated").await,
        CaseCommand::Invalidate { case } => press(server, case, "invalidate", output, "Invalidated").await,
        CaseCommand::Accept { case } => {
            server.press(&format!("/cases/{case}/accept")).await?;
            let sentence =
                format!("Accepted {case}. Its private remote is being made: `embargo fix start {case}` uses it.");
            done(server, case, output, &sentence).await
        }
        CaseCommand::Defer { case } => press(server, case, "defer", output, "Deferred").await,
        CaseCommand::Close { case, verdict } => {
            server.act(&format!("/cases/{case}/close"), &CloseRequest { verdict: *verdict }).await?;
            done(server, case, output, &format!("Closed {case} as {verdict}.")).await
        }
        CaseCommand::Comment { case, to, text_file } => {
            let (to, whom) = match to {
                To::Team => (MessageTo::Team, "the team alone"),
                To::Reporter => (MessageTo::Reporter, "the reporter and the team"),
                To::All => (MessageTo::All, "every member"),
            };
            output.remark(&format!("This message in {case} will be read by {whom}."));
            let text = prompt::text(text_file)?;
            server.act(&format!("/cases/{case}/messages"), &MessageRequest { to, text }).await?;
            done(server, case, output, &format!("Wrote to {whom} of {case}.")).await
        }
        CaseCommand::Invite { case, handle, role } => {
            let request = InviteRequest { handle: handle.clone(), role: *role };
            server.act(&format!("/cases/{case}/members"), &request).await?;
            done(server, case, output, &format!("Invited @{handle} into {case} as {role}.")).await
        }
        CaseCommand::Remove { case, handle } => {
            server.delete(&format!("/cases/{case}/members/{handle}")).await?;
            done(server, case, output, &format!("Removed @{handle} from {case}.")).await
        }
        CaseCommand::Join { case } => press(server, case, "join", output, "You agreed to the embargo of").await,
        CaseCommand::Decline { case } => press(server, case, "decline", output, "You said no to the embargo of").await,
        CaseCommand::FollowUp { case, because, title } => {
            let request = FollowUpRequest { because: *because, title: title.clone() };
            let made: FollowUpView = server.post(&format!("/cases/{case}/follow-up"), &request).await?;
            let id = &made.case;
            output.result(
                &made,
                &format!("Opened {id}, which follows up on {case}: `embargo fix start {id}` uses its remote."),
            )
        }
        CaseCommand::Record(wish) => super::record::run(wish, server, output).await,
        CaseCommand::Retrospective { case } => {
            let view: RetrospectiveView = server.get(&format!("/cases/{case}/retrospective")).await?;
            output.result(&view, &view.markdown)
        }
        CaseCommand::History { case } => history(server, case, output).await,
    }
}

/// Shows what happened in a case.
pub(super) async fn audit(command: &AuditCommand, url: Option<&str>, output: Output) -> Result<()> {
    match command {
        // Answered from the database itself, before a server is asked.
        AuditCommand::Verify => Err(Failure::failed("The chain is verified on the server's own machine.")),
        AuditCommand::Show { case } => history(&Server::signed_in(url)?, case, output).await,
    }
}

/// Tells what was done to a case; a program gets the case as it is now, or null if it may no longer be seen.
pub(super) async fn done(server: &Server, case: &CaseId, output: Output, sentence: &str) -> Result<()> {
    if !output.is_json() {
        return output.result(&(), sentence);
    }
    match server.get::<CaseView>(&format!("/cases/{case}")).await {
        Ok(view) => output.result(&view, sentence),
        Err(Failure::Refused(_)) => output.result(&(), sentence),
        Err(failure @ Failure::Failed { .. }) => Err(failure),
    }
}

/// Lays out messages, oldest first as they come.
pub(super) fn thread(messages: &[MessageView]) -> String {
    messages.iter().fold(String::new(), |text, message| {
        let head = format!("{} ({}) {}", shown(&message.author), shown(&message.audience), shown(&message.written_at));
        text + "\n" + &head + "\n" + &indented(&message.text)
    })
}

/// Indents a text of several lines, so that none of them looks like ours.
pub(super) fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |out, line| out + "  " + &shown(&line.replace('\t', "    ")) + "\n")
}

async fn press(server: &Server, case: &CaseId, word: &str, output: Output, past: &str) -> Result<()> {
    server.press(&format!("/cases/{case}/{word}")).await?;
    done(server, case, output, &format!("{past} {case}.")).await
}

async fn history(server: &Server, case: &CaseId, output: Output) -> Result<()> {
    let events: Vec<EventView> = server.get(&format!("/cases/{case}/history")).await?;
    output.result(&events, &happened(&events))
}

fn happened(events: &[EventView]) -> String {
    let rows: Vec<[&str; 4]> = events.iter().map(|e| [e.at.as_str(), &e.actor, &e.kind, &e.object]).collect();
    table(&rows)
}

fn listed(cases: &[CaseSummary]) -> String {
    if cases.is_empty() {
        return "No case has a seat for you.".to_owned();
    }
    let needs: Vec<String> = cases.iter().map(|case| case.needs.join(", ")).collect();
    let rows = cases.iter().zip(&needs).map(|(case, needs)| {
        [case.id.as_str(), &case.state, case.date.as_deref().unwrap_or("no date"), &case.role, &case.title, needs]
    });
    table(&rows.collect::<Vec<_>>())
}

fn described(view: &CaseView) -> String {
    let summary = &view.summary;
    let mut text = format!("{}  {}\n", shown(&summary.id), shown(&summary.title));
    let verdict = view.verdict.as_deref().map_or_else(String::new, |verdict| format!(" ({verdict})"));
    let date = summary.date.as_deref().unwrap_or("none agreed");
    let state = format!("{}{verdict}", summary.state);
    text.push_str(&table(&[
        ["Project", summary.project.as_str()],
        ["State", &state],
        ["Your role", &summary.role],
        ["End of embargo", date],
        ["Date", &view.date_state],
        ["Opened", &summary.opened_at],
        ["Public since", summary.published_at.as_deref().unwrap_or("not public")],
    ]));
    if !summary.needs.is_empty() {
        text.push_str(&format!("Waits for you: {}\n", shown(&summary.needs.join(", "))));
    }
    for report in &view.reports {
        let (title, severity, at) = (shown(&report.title), shown(&report.severity), shown(&report.received_at));
        text.push_str(&format!("\nReport of {at}: {title} (severity as the reporter sees it: {severity})\n"));
        if let Some(versions) = &report.versions {
            text.push_str(&format!("Versions: {}\n", shown(versions)));
        }
        text.push_str(&format!("Credit: {}\n{}", shown(&report.credit), indented(&report.text)));
    }
    text.push_str(&thread(&view.thread));
    let members = view.members.iter();
    let rows: Vec<[&str; 4]> =
        members.map(|m| [m.handle.as_deref().unwrap_or("-"), m.name.as_str(), &m.role, &m.consent]).collect();
    text.push_str(&format!("\nMembers\n{}", table(&rows)));
    if !view.attachments.is_empty() {
        let sizes: Vec<String> =
            view.attachments.iter().map(|a| size(u64::try_from(a.size).unwrap_or_default())).collect();
        let rows = view.attachments.iter().zip(&sizes);
        let rows: Vec<[&str; 4]> = rows.map(|(a, size)| [a.id.as_str(), &a.name, size, &a.stored_at]).collect();
        text.push_str(&format!("\nAttachments\n{}", table(&rows)));
    }
    for link in &view.links {
        let words = if link.end == End::Later { "follows up on this one" } else { "was first" };
        text.push_str(&format!("\n{} {words}: {}\n", shown(&link.case), link.because));
    }
    if view.remote_pending {
        text.push_str("\nThe private remote is being made.\n");
    }
    for remote in &view.remotes {
        let archive = if summary.published_at.is_some() { " (an archive: fetch only)" } else { "" };
        text.push_str(&format!("\nPrivate remote: {}{archive}\n", shown(&remote.url)));
    }
    text + &super::fix::described(&view.fixes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_pretend_to_be_another() {
        let message = MessageView {
            audience: "all".into(),
            author: "Sample\nReporter".into(),
            text: "one\n\ttwo\u{1b}[2J\nSample Member (team)".into(),
            written_at: "2030-01-15T13:00:00Z".into(),
        };
        let text = thread(&[message]);
        assert!(text.starts_with("\nSample\\u{a}Reporter (all) 2030"));
        assert!(text.ends_with("  one\n      two\\u{1b}[2J\n  Sample Member (team)\n"));
    }
}
