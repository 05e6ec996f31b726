//! Who hears of a release before its instant, and whose copy a leaked file is.

use std::path::PathBuf;

use clap::Subcommand;

use super::server::Server;
use super::{Failure, Output, Result};
use crate::domain::audience::{AudienceName, Lead, Level};
use crate::domain::canary::{Evidence, Known, traced};
use crate::domain::id::ReleaseId;
use crate::domain::text::shown;
use crate::wire::wave::{CanaryView, DropWave, RecipientView, SetWave, WaveView, WavesView};

/// A leaked file is read into memory up to this many bytes.
const LARGEST: u64 = 256 * 1024 * 1024;

/// Commands about waves.
#[derive(Debug, Subcommand)]
pub(crate) enum WaveCommand {
    /// List the waves of a release, and everybody who was told with what they said
    List {
        /// Which release
        release: ReleaseId,
    },
    /// Add a wave to a planned or frozen release, or move one; a frozen one is frozen anew with it, and armed again
    Set {
        /// Which release
        release: ReleaseId,
        /// The audience, of the project's configuration, or `public`
        audience: AudienceName,
        /// What it is told: date, severity, text or patches
        #[arg(long)]
        level: Level,
        /// How long before the instant: 7d, 36h, 90m
        #[arg(long)]
        before: Lead,
    },
    /// Drop a wave that has not gone out
    Drop {
        /// Which release
        release: ReleaseId,
        /// The audience
        audience: AudienceName,
        /// What it was to be told
        #[arg(long)]
        level: Level,
    },
}

/// Runs a command about waves.
pub(super) async fn run(command: &WaveCommand, server: &Server, output: Output) -> Result<()> {
    let view: WavesView = match command {
        WaveCommand::List { release } => server.get(&format!("/releases/{release}/waves")).await?,
        WaveCommand::Set { release, audience, level, before } => {
            output.remark(&format!(
                "Will tell the audience {audience} {level} of {release}, {before} before its instant."
            ));
            let wish = SetWave { audience: audience.clone(), level: *level, before: *before };
            server.post(&format!("/releases/{release}/waves"), &wish).await?
        }
        WaveCommand::Drop { release, audience, level } => {
            output.remark(&format!("Will not tell the audience {audience} {level} of {release} before its instant."));
            let wish = DropWave { audience: audience.clone(), level: *level };
            server.post(&format!("/releases/{release}/waves/drop"), &wish).await?
        }
    };
    output.result(&view, &told(&view))
}

/// Says whose copy leaked files are.
pub(super) async fn trace(server: &Server, (release, files): (&ReleaseId, &[PathBuf]), output: Output) -> Result<()> {
    let known: Vec<CanaryView> = server.get(&format!("/releases/{release}/canaries")).await?;
    let (mut lines, mut found) = (Vec::new(), Vec::new());
    for file in files {
        let failed = |error| Failure::because(format!("{} could not be read.", file.display()), error);
        if std::fs::metadata(file).map_err(failed)?.len() > LARGEST {
            return Err(Failure::Refused(format!("{} is larger than 256 MiB: unpack it first.", file.display())));
        }
        let bytes = std::fs::read(file).map_err(failed)?;
        let before = found.len();
        for copy in &known {
            let marks = Known { mark: &copy.mark, commits: &copy.commits };
            let Some(evidence) = traced(&bytes, &marks) else { continue };
            let why = match evidence {
                Evidence::Mark => "their mark stands in it".to_owned(),
                Evidence::Commit(id) => format!("it names {id}, a commit that they alone were given"),
                Evidence::Blanks(n) => format!("the blanks at the ends of {n} lines are those of their copy"),
            };
            lines.push(format!("{}: {} ({}): {why}", file.display(), shown(&copy.name), copy.audience));
            found.push((file.display().to_string(), copy.recipient.clone(), copy.name.clone(), why));
        }
        if found.len() == before {
            lines.push(format!("{}: of no copy that {release} handed out, as far as it tells", file.display()));
        }
    }
    output.result(&found, &lines.join("\n"))
}

/// Puts a wave into a line.
pub(super) fn line(wave: &WaveView) -> String {
    let told =
        if wave.told > 0 { format!(", {} of {} acknowledged", wave.acknowledged, wave.told) } else { String::new() };
    let failed = if wave.failed > 0 { format!(", to {} no mail got out", wave.failed) } else { String::new() };
    let note = if wave.note.is_empty() { String::new() } else { format!(": {}", wave.note) };
    format!(
        "wave: {} {} {} ({} before) {}{told}{failed}{note}",
        wave.audience, wave.level, wave.at, wave.before, wave.state
    )
}

fn told(view: &WavesView) -> String {
    let mut lines = vec![format!("{}  {}", view.release, view.due_at)];
    lines.extend(view.audiences.iter().map(|audience| {
        let (name, level, longest) = (&audience.name, &audience.level, &audience.longest);
        format!("audience: {name}, up to {level}, {longest} before at the earliest, {} members", audience.members)
    }));
    lines.extend(view.waves.iter().map(line));
    lines.extend(view.recipients.iter().map(recipient));
    lines.join("\n")
}

fn recipient(recipient: &RecipientView) -> String {
    let over = if recipient.ended_at.is_some() { " (called off)" } else { "" };
    let mut line =
        format!("{} ({} {}): {}{over}", shown(&recipient.name), recipient.audience, recipient.level, recipient.state);
    for answer in &recipient.answers {
        let about = answer.advisory.as_deref().unwrap_or("the release");
        line += &format!("\n    {about}: {}", answer.answer);
        line += &answer.remark.as_deref().map(|remark| format!(", {}", shown(remark))).unwrap_or_default();
    }
    line
}
