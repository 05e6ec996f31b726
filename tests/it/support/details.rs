//! Technical details that a release holds back, with a word to look for.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;

use embargo::app::App;
use embargo::wire::advisory::EditAdvisory;
use embargo::worker;
use embargo::workflow::{advisory, plan, release};

use super::git::Git;
use super::house::{Frozen, House};

/// A word that stands in the technical details and nowhere else.
pub(crate) const SECRET: &str = "overlongdwarf9c2e";
/// When they follow if the release is public at its instant.
pub(crate) const FOLLOWS: &str = "2027-01-22T12:00:00Z";

/// Opens the plan of an armed release of one case again, has its technical details follow after seven days, and arms it anew.
pub(crate) async fn hold_back(app: &App, armed: &Frozen) {
    let (alice, case) = (&armed.team.alice, &armed.cases[0]);
    release::reopen(app, alice, &armed.release).await.unwrap();
    plan::hold_details(app, alice, &armed.release, Some("7d".parse().unwrap())).await.unwrap();
    detail(app, armed, &format!("Send the name `{SECRET}`.")).await;
    worker::settle(app).await.unwrap();
    let read = advisory::show(app, &armed.team.bob, case).await.unwrap();
    advisory::approve(app, &armed.team.bob, case, &read.digest.unwrap()).await.unwrap();
    release::freeze(app, alice, &armed.release).await.unwrap();
    armed.arm(app).await;
}

/// Writes technical details into the draft.
pub(crate) async fn detail(app: &App, armed: &Frozen, text: &str) {
    let (alice, case) = (&armed.team.alice, &armed.cases[0]);
    let draft = advisory::show(app, alice, case).await.unwrap();
    let mut advisory = draft.advisory;
    advisory.technical = Some(text.parse().unwrap());
    advisory::edit(app, alice, case, &EditAdvisory { advisory, version: draft.version }).await.unwrap();
}

/// Tells whether the word can be read in any file below a folder.
pub(crate) fn sings(folder: &Path) -> bool {
    let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.any(|path| {
        let heard = |path: &Path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
        };
        if path.is_dir() { sings(&path) } else { heard(&path) }
    })
}

/// Tells whether it stands in any object of the public repository.
pub(crate) async fn is_pushed(house: &House) -> bool {
    let bare = house.upstream("core");
    let said = Git::anonymous().run(&bare, &["cat-file", "--batch-all-objects", "--batch", "--unordered"]).await;
    assert!(said.status.success());
    said.stdout.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
}
