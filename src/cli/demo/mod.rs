//! `embargo demo`: the whole story on a sample project or a copy of a real one, through public faces alone.
//!
//! Guards: whatever is not as it should be ends the demo with a sentence and an exit code; nothing stays behind that was not
//! asked for. Leaves the scenery to [`stage`], the steps to [`story`] and [`release`], the last look to [`outside`].

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::people::{MAINTAINER, MANAGER, REVIEWER};
use self::stage::{Folder, Servers, Stage};
use self::tale::Tale;
use self::upstream::{LineArgument, TagArgument};
use super::output::Output;
use super::{Failure, Result};

mod audience;
mod check;
mod command;
mod forge;
mod outside;
mod people;
mod release;
mod sample;
mod stage;
mod story;
mod tale;
mod upstream;
mod wait;

/// Arguments of `embargo demo`.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// End when the story is told, instead of leaving the server up to look at
    #[arg(long)]
    once: bool,
    /// Disclose this long after the release is planned
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(10..=86_400))]
    at: u32,
    /// Put everything into this new folder and leave it there
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Tell the story on a local copy of this repository, a path or URL
    #[arg(long, value_name = "REPOSITORY", requires_all = ["lines", "tags"])]
    repo: Option<String>,
    /// A line and the commit that fixes it: BRANCH=FIX begins at the fix's parent, BRANCH@BASE=FIX at the base
    #[arg(long = "line", value_name = "BRANCH=FIX", requires = "repo")]
    lines: Vec<LineArgument>,
    /// The tag of a line's release: BRANCH=TAG
    #[arg(long = "tag", value_name = "BRANCH=TAG", requires = "repo")]
    tags: Vec<TagArgument>,
}

/// Tells the story.
pub(super) async fn run(demo: &Demo, output: Output) -> Result<()> {
    let mut tale = Tale::new(output);
    let folder = Folder::make(demo.keep.as_deref())?;
    let mut servers = Servers::default();
    let told = tokio::select! {
        told = tell(demo, (&folder, &mut servers), &mut tale) => told,
        () = interrupted() => Err(Failure::failed("The demo was stopped.")),
    };
    let (stage, told) = match told {
        Ok((stage, told)) => (Some(stage), told),
        Err(failure) => (None, Err(failure)),
    };
    let ended = tale.end(&told);
    let stayed = match &stage {
        Some(stage) if !demo.once => stay(stage, output).await,
        Some(_) | None => Ok(()),
    };
    servers.stop().await;
    told.and(ended).and(stayed)
}

/// Tells the story; the stage outlives it, for those who want to look at it.
async fn tell<'a>(
    demo: &Demo,
    (folder, servers): (&'a Folder, &mut Servers),
    tale: &mut Tale,
) -> Result<(Stage<'a>, Result<()>)> {
    let stage = Stage::set(demo, (folder, servers), tale).await?;
    let mended = story::tell(&stage, tale).await?;
    let unchecked = mended.unchecked.clone();
    let released = release::tell(&stage, mended, demo.at, tale).await?;
    outside::look(&stage, &released, tale).await?;
    let told = match unchecked {
        None => Ok(()),
        Some(why) => Err(Failure::Refused(format!(
            "All went well but for the checks, which could not run here ({why}): install `bubblewrap`, let this machine or container \
             make user namespaces (`user.max_user_namespaces` above 0), and start again."
        ))),
    };
    Ok((stage, told))
}

/// Says where to look and as whom, until it is told to stop.
async fn stay(stage: &Stage<'_>, output: Output) -> Result<()> {
    output.remark(&format!(
        "\nThe server stays up at {} until you press Ctrl-C. Sign in once, within 15 minutes, as",
        stage.server
    ));
    for part in [MANAGER, REVIEWER, MAINTAINER] {
        output.remark(&format!("  {:<24} {}", part.name, stage.link(part.handle).await?));
    }
    output.remark(&format!("The public sees {0}/advisories, and {1}.", stage.server, stage.public));
    output.remark(&format!(
        "The reporter's page is {}/r/, with the claim code of {}.",
        stage.server,
        stage.claim().display()
    ));
    interrupted().await;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return std::future::pending().await };
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
}
