//! `embargo date`: the end of a case's embargo, proposed and agreed on.

use clap::Subcommand;
use jiff::{Timestamp, Zoned};

use super::server::Server;
use super::{Output, Result, case};
use crate::domain::id::CaseId;
use crate::domain::refusal::Malformed;
use crate::domain::text::shown;
use crate::wire::case::{CaseView, DateRequest, DateWord};

/// Commands about the date of a case.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DateCommand {
    /// Show the agreed and the proposed end of the embargo
    Show {
        /// The case
        case: CaseId,
    },
    /// Propose when the embargo ends
    Propose {
        /// The case
        case: CaseId,
        /// The instant, such as `2030-01-15T13:00:00Z` or `2030-01-15T14:00[Europe/Berlin]`
        #[arg(value_parser = instant)]
        at: Timestamp,
    },
    /// Agree to the proposed date
    Accept {
        /// The case
        case: CaseId,
    },
    /// Say no to the proposed date
    Reject {
        /// The case
        case: CaseId,
    },
    /// End the embargo now, because the vulnerability is known or exploited
    Terminate {
        /// The case
        case: CaseId,
    },
}

/// Runs one of them.
pub(super) async fn run(command: &DateCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    let (case, act, at, done) = match command {
        DateCommand::Show { case } => {
            let view: CaseView = server.get(&format!("/cases/{case}")).await?;
            return output.result(&view, &described(&view));
        }
        DateCommand::Propose { case, at } => (case, DateWord::Propose, Some(*at), format!("Proposed {at}")),
        DateCommand::Accept { case } => (case, DateWord::Accept, None, "Agreed to the proposed date".to_owned()),
        DateCommand::Reject { case } => (case, DateWord::Reject, None, "Said no to the proposed date".to_owned()),
        DateCommand::Terminate { case } => (case, DateWord::Terminate, None, "Ended the embargo".to_owned()),
    };
    server.act(&format!("/cases/{case}/date"), &DateRequest { act, at }).await?;
    case::done(&server, case, output, &format!("{done} of {case}.")).await
}

/// Reads an instant with its offset or zone; a time of day without either is refused, because readers sit in many zones.
pub(super) fn instant(text: &str) -> Result<Timestamp, Malformed> {
    let zoned = || text.parse::<Zoned>().ok().map(|zoned| zoned.timestamp());
    let instant = text.parse::<Timestamp>().ok().or_else(zoned);
    instant.ok_or(Malformed::new("an instant looks like 2030-01-15T13:00:00Z or 2030-01-15T14:00[Europe/Berlin]"))
}

fn described(view: &CaseView) -> String {
    let date = view.summary.date.as_deref().unwrap_or("none");
    let mut text =
        format!("Agreed end of {}: {}\nState: {}\n", shown(&view.summary.id), shown(date), shown(&view.date_state));
    if let Some((at, by)) = &view.date_proposed {
        text.push_str(&format!("Proposed: {} by {}\n", shown(at), shown(by)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_names_its_zone() {
        assert_eq!(instant("2030-01-15T13:00:00Z").unwrap().to_string(), "2030-01-15T13:00:00Z");
        assert_eq!(instant("2030-01-15T14:00+01:00").unwrap().to_string(), "2030-01-15T13:00:00Z");
        assert!(instant("2030-01-15T14:00").is_err());
        assert!(instant("tomorrow").is_err());
    }
}
