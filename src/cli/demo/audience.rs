//! A distribution is told before the instant: by a mail with a link, behind which it acknowledges and fetches its own copy.
//!
//! Guards: it has no account; what it knows stands in its mailbox.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::de::IgnoredAny;

use super::command;
use super::outside::letters;
use super::people::DISTRIBUTION;
use super::stage::Stage;
use super::tale::Tale;
use super::wait::until;
use crate::cli::{Failure, Result};
use crate::wire::wave::{ToldView, WavesView};

/// How long mail may take.
const POST: Duration = Duration::from_mins(1);

/// The release manager tells the audience, and the distribution answers.
pub(super) async fn tell(stage: &Stage<'_>, release: &str, tale: &mut Tale) -> Result<()> {
    let manager = &stage.cast.manager;
    let words = ["release", "wave", "set", release, "distros", "--level", "patches", "--before", "1d"];
    manager.embargo::<IgnoredAny>(&words).await?;
    let home = stage.folder.at("homes").join(DISTRIBUTION.handle);
    let link = until(POST, "No mail reached the distribution.", async || {
        let mut found = letters(stage.folder)?.into_iter().filter(|text| text.contains(&DISTRIBUTION.mail()));
        Ok(found.find_map(|text| link_in(&text)))
    })
    .await?;
    let (file, copy) = (home.join("link"), home.join("release.tar.age"));
    fs::write(&file, link).map_err(|error| Failure::because("The link could not be kept.", error))?;
    let (link, copy) = (file.display().to_string(), copy.display().to_string());
    let view: ToldView = told(&home, &["told", "acknowledge", "--link-file", &link]).await?;
    let advisory = view.questions.iter().find_map(|question| question.advisory.clone());
    let advisory = advisory.ok_or_else(|| Failure::failed("The distribution is asked about no advisory."))?;
    let answer = ["told", "answer", "--link-file", &link, "affected", "--advisory", &advisory];
    told::<IgnoredAny>(&home, &answer).await?;
    let bytes: u64 = told(&home, &["told", "fetch", "--link-file", &link, "-o", &copy]).await?;
    let seen: WavesView = manager.embargo(&["release", "wave", "list", release]).await?;
    let Some(recipient) = seen.recipients.iter().find(|recipient| recipient.acknowledged_at.is_some()) else {
        return Err(Failure::Refused(
            "The distribution acknowledged, and the release's managers do not see it.".to_owned(),
        ));
    };
    tale.step(
        "audience",
        format!(
            "{} was told by mail, acknowledged, is affected by {advisory}, and fetched its own copy: {bytes} bytes, encrypted to its key",
            recipient.name
        ),
    );
    Ok(())
}

/// Finds the link in a mail, whose long lines may be broken by its encoding.
fn link_in(mail: &str) -> Option<String> {
    let whole = mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    whole.split_whitespace().find(|word| word.contains("/w/#")).map(str::to_owned)
}

async fn told<T: serde::de::DeserializeOwned>(home: &Path, words: &[&str]) -> Result<T> {
    let printed = command::ourselves()?.home(home).arg("--json").args(words).succeed().await?;
    serde_json::from_str(&printed).map_err(|error| Failure::because("A command printed something unexpected.", error))
}
