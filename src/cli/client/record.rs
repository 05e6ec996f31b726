//! `embargo case record`: what may be opened of a case, put together and published.
//!
//! Guards: what is published is named by the hash of what was shown.

use clap::Args;

use super::screen::table;
use super::server::Server;
use super::{Output, Result};
use crate::domain::digest::Digest;
use crate::domain::id::CaseId;
use crate::domain::text::shown;
use crate::wire::record::{ChooseRecord, PublishRecord, RecordView};

/// Arguments of `embargo case record`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Record {
    /// The case
    case: CaseId,
    /// Open this line, as the list names it; several times for several lines
    #[arg(long, value_name = "KEY", conflicts_with = "publish")]
    line: Vec<String>,
    /// Publish what was put together, by the hash of what you read
    #[arg(long, value_name = "HASH")]
    publish: Option<Digest>,
}

/// Shows the lines of a case, puts some of them together, or publishes what was put together.
pub(super) async fn run(wish: &Record, server: &Server, output: Output) -> Result<()> {
    let path = format!("/cases/{}/record", wish.case);
    if let Some(digest) = wish.publish {
        let view: RecordView = server.post(&format!("{path}/publish"), &PublishRecord { digest }).await?;
        let url = view.published.clone().unwrap_or_default();
        return output.result(&view, &format!("Published: {url}"));
    }
    let view: RecordView = if wish.line.is_empty() {
        server.get(&path).await?
    } else {
        server.post(&path, &ChooseRecord { lines: wish.line.clone() }).await?
    };
    output.result(&view, &laid_out(&wish.case, &view))
}

fn laid_out(case: &CaseId, view: &RecordView) -> String {
    if let Some(url) = &view.published {
        return format!("The record of {case} is public: {}", shown(url));
    }
    let begins = |text: &str| text.lines().next().unwrap_or_default().chars().take(60).collect::<String>();
    let rows: Vec<[String; 5]> = view
        .lines
        .iter()
        .map(|line| {
            let state = match (line.chosen, &line.barred) {
                (true, _) => "chosen",
                (false, Some(_)) => "not agreed",
                (false, None) => "",
            };
            [line.key.clone(), line.at.clone(), line.voice.clone(), state.to_owned(), begins(&line.text)]
        })
        .collect();
    let rows: Vec<[&str; 5]> = rows.iter().map(|row| row.each_ref().map(String::as_str)).collect();
    let mut text = table(&rows);
    match &view.draft {
        Some(draft) => {
            text.push_str(&format!("\nAs the public will read it:\n\n{}", super::case::indented(&draft.markdown)));
            text.push_str(&format!("\nPublish exactly this: `embargo case record {case} --publish {}`", draft.digest));
        }
        None => text.push_str(&format!("\nPut lines together: `embargo case record {case} --line KEY --line KEY`")),
    }
    text
}
