//! `embargo advisory correct`, `withdraw`, `reinstate`, `drop` and `retell`: what happens to an advisory that is public.
//!
//! Guards: what would change in public is shown before anybody approves it. Leaves the approval to `embargo advisory approve`.

use clap::{Args, Subcommand};

use super::details::{self, MoveDetails};
use super::server::Server;
use super::{Output, Result};
use crate::domain::amendment::{AmendmentAct, RetellingState};
use crate::domain::channel::ChannelName;
use crate::domain::id::CaseId;
use crate::domain::text::{Sentence, shown};
use crate::wire::advisory::AdvisoryView;
use crate::wire::amendment::{AmendRequest, AmendmentView, PublicView, RetellRequest};

/// Commands about an advisory that is public.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AmendCommand {
    /// Ask that the draft takes the place of what is public
    Correct(Ask),
    /// Ask that the advisory says that it does not hold
    Withdraw(Ask),
    /// Ask that a withdrawn advisory holds again, as the draft has it
    Reinstate(Ask),
    /// Take back what was asked for
    Drop {
        /// The case
        case: CaseId,
    },
    /// Give technical details that are held back another time
    Details(MoveDetails),
    /// Tell a channel again that did not take a revision
    Retell {
        /// The case
        case: CaseId,
        /// The channel
        channel: ChannelName,
    },
}

/// Arguments of a wish.
#[derive(Debug, Args)]
pub(in crate::cli) struct Ask {
    /// The case
    case: CaseId,
    /// Why, in one sentence that the public reads
    #[arg(long, value_name = "SENTENCE")]
    why: Sentence,
}

/// Runs one of the commands.
pub(super) async fn run(command: &AmendCommand, server: &Server, output: Output) -> Result<()> {
    match command {
        AmendCommand::Correct(wish) => ask(server, AmendmentAct::Correct, wish, output).await,
        AmendCommand::Withdraw(wish) => ask(server, AmendmentAct::Withdraw, wish, output).await,
        AmendCommand::Reinstate(wish) => ask(server, AmendmentAct::Reinstate, wish, output).await,
        AmendCommand::Drop { case } => {
            server.press(&format!("/cases/{case}/advisory/drop")).await?;
            let view: AdvisoryView = server.get(&format!("/cases/{case}/advisory")).await?;
            output.result(&view, &format!("Nothing is asked for any more: {case} stays as the public reads it."))
        }
        AmendCommand::Details(wish) => details::put_off(server, wish, output).await,
        AmendCommand::Retell { case, channel } => {
            let request = RetellRequest { channel: channel.clone() };
            let view: AdvisoryView = server.post(&format!("/cases/{case}/advisory/retell"), &request).await?;
            output.result(&view, &format!("{channel} is told again."))
        }
    }
}

async fn ask(server: &Server, act: AmendmentAct, wish: &Ask, output: Output) -> Result<()> {
    let Ask { case, why } = wish;
    let request = AmendRequest { act, why: why.clone() };
    let view: AdvisoryView = server.post(&format!("/cases/{case}/advisory/amend"), &request).await?;
    let mut text = view.public.as_ref().and_then(|public| public.amendment.as_ref()).map(asked).unwrap_or_default();
    let digest = view.digest.map(|digest| digest.to_string()).unwrap_or_default();
    text.push_str(&format!(
        "Nothing has changed in public yet. Another person reads this and runs `embargo advisory approve {case} {digest}`; then it is \
         public at once."
    ));
    output.result(&view, &text)
}

/// Lays out what is asked for, with every line that would change.
fn asked(amendment: &AmendmentView) -> String {
    let mut text = format!("{}: {}\n", amendment.act, shown(&amendment.why));
    for file in &amendment.difference {
        text.push_str(&format!("\n{}\n{}", shown(&file.path), super::case::indented(&file.text)));
    }
    text + "\n"
}

/// Lays out what `embargo advisory show` says of an advisory that is public.
pub(super) fn public(view: &PublicView) -> String {
    let state = if view.withdrawn { ", withdrawn" } else { "" };
    let mut text = format!("\npublic     revision {}{state}", view.revision);
    if view.differs && view.amendment.is_none() {
        text.push_str("\n           The draft says something else: `embargo advisory correct` asks for it.");
    }
    if let Some(details) = &view.details {
        text.push_str(&format!("\ndetails    {}", shown(&details.words())));
    }
    for offer in &view.offers {
        text.push_str(&format!("\nfollow-up  Another advisory follows up on this one: {}", shown(offer)));
    }
    for row in &view.retellings {
        let failed = if row.state == RetellingState::Failed { " (`embargo advisory retell`)" } else { "" };
        let (channel, note) = (shown(&row.channel), shown(&row.note));
        text.push_str(&format!("\nchannel    {channel}: revision {} {}{failed} {note}", row.revision, row.state));
    }
    match &view.amendment {
        Some(amendment) => format!("{text}\n\n{}", asked(amendment)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::amendment::{DiffView, RetellingView};

    #[test]
    fn a_change_is_laid_out_so_that_no_line_of_it_looks_like_ours() {
        let view = PublicView {
            revision: 2,
            withdrawn: true,
            amendment: Some(AmendmentView {
                act: AmendmentAct::Reinstate,
                why: "It holds after all.".to_owned(),
                asked_by: "@alice".to_owned(),
                asked_at: "2026-03-02T12:00:00Z".to_owned(),
                difference: vec![DiffView { path: "osv/a.json".to_owned(), text: "-a\n+b\u{1b}[2J\n".to_owned() }],
            }),
            differs: true,
            acts: Vec::new(),
            retellings: vec![RetellingView {
                revision: 2,
                channel: "hook".to_owned(),
                state: RetellingState::Failed,
                note: "It said no.".to_owned(),
            }],
            offers: Vec::new(),
            details: None,
        };
        let text = public(&view);
        assert!(text.contains("revision 2, withdrawn") && text.contains("\n  +b\\u{1b}[2J\n"), "{text}");
        assert!(text.contains("hook: revision 2 failed (`embargo advisory retell`) It said no."), "{text}");
    }
}
