//! The public history of an advisory: every revision with its kind, its instant and why, and its bytes as they were.
//!
//! Needs no grant: everything here was public once, and stays so.

use super::{Error, Result, shown_at};
use crate::app::App;
use crate::domain::plain::AdvisoryId;
use crate::store::revision::RevisionFile;
use crate::store::{self};
use crate::wire::history::{HistoryView, RevisionFileView, RevisionView};

/// Lists the revisions of a public advisory, oldest first.
pub async fn show(app: &App, id: &AdvisoryId) -> Result<HistoryView> {
    let mut rows = app.read().await?;
    let mut revisions = Vec::new();
    for revision in store::revision::of_advisory(&mut rows, id).await? {
        let files = store::revision::files(&mut rows, id, revision.number).await?;
        let page = format!("/advisories/{id}/history/{}", revision.number);
        let view = |file: &RevisionFile| RevisionFileView {
            name: name(file).to_owned(),
            url: app.url(&format!("{page}/{}", name(file))),
            media_type: file.document.media_type.clone(),
            sha256: file.document.sha256.to_string(),
        };
        revisions.push(RevisionView {
            number: revision.number,
            kind: revision.kind,
            at: shown_at(revision.at),
            why: revision.why.map(|why| why.to_string()),
            files: files.iter().filter(|file| !is_page(file)).map(view).collect(),
            page: app.url(&page),
        });
    }
    if revisions.is_empty() {
        return Err(Error::NotFound);
    }
    Ok(HistoryView { id: id.to_string(), revisions })
}

/// Returns the body of the page as a revision had it.
pub async fn page(app: &App, id: &AdvisoryId, number: u32) -> Result<RevisionFile> {
    let mut rows = app.read().await?;
    let files = store::revision::files(&mut rows, id, number).await?;
    files.into_iter().find(is_page).ok_or(Error::NotFound)
}

/// Returns a machine-readable file as a revision had it, by the last part of its path.
pub async fn file(app: &App, id: &AdvisoryId, number: u32, wanted: &str) -> Result<RevisionFile> {
    let mut rows = app.read().await?;
    let files = store::revision::files(&mut rows, id, number).await?;
    files.into_iter().find(|file| !is_page(file) && name(file) == wanted).ok_or(Error::NotFound)
}

/// Tells whether a file is the body of the page: it is shown within this server's own page, and never by itself.
fn is_page(file: &RevisionFile) -> bool {
    file.document.media_type.starts_with("text/html")
}

fn name(file: &RevisionFile) -> &str {
    let path = file.document.path.as_str();
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
