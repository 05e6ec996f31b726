//! What the public reads: the list, the stored files byte for byte, the feed, and where to report.
//!
//! Needs no grant: everything here was published, or stands in the configuration as public.

use jiff::{SignedDuration, Timestamp};

use super::{Error, Result, shown_at};
use crate::app::App;
use crate::domain::id::ProjectId;
use crate::domain::manifest::DocumentPath;
use crate::domain::plain::{AdvisoryId, Link};
use crate::domain::project::Project;
use crate::domain::text::Label;
use crate::export::feed::{self, FeedEntry, PlannedEntry};
use crate::store::publication::Publication;
use crate::store::{self, Rows};
use crate::wire::advisory::{ContactView, PlannedView, PublishedView};

/// The list shows no more than these, newest first.
const LISTED: i64 = 1000;
/// The feed holds no more than these.
const FED: i64 = 50;
/// How long what security.txt says is meant to hold (RFC 9116, section 2.5.5: less than a year).
const SECURITY_TXT_DAYS: i64 = 180;

/// Lists the public advisories, newest first.
pub async fn published(app: &App) -> Result<Vec<PublishedView>> {
    let mut rows = app.read().await?;
    let projects = store::project::all(&mut rows).await?;
    let listed = store::publication::list(&mut rows, LISTED).await?;
    Ok(listed
        .into_iter()
        .map(|published| PublishedView {
            id: published.id.to_string(),
            title: published.title.to_string(),
            project: named(&projects, &published).to_owned(),
            published_at: shown_at(published.published_at),
            modified_at: shown_at(published.modified_at),
            withdrawn: published.kind.withdrawn(),
        })
        .collect())
}

/// Lists the security releases that everybody was told of before their instant, the nearest first.
pub async fn planned(app: &App) -> Result<Vec<PlannedView>> {
    let mut rows = app.read().await?;
    let projects = store::project::all(&mut rows).await?;
    let announced = store::wave::announced(&mut rows).await?;
    let view = |announced: store::wave::Announced| PlannedView {
        project: name_of(&projects, &announced.project).to_owned(),
        due_at: shown_at(announced.due_at),
        severity: announced.severity.map(|word| word.to_string()),
    };
    Ok(announced.into_iter().map(view).collect())
}

/// Lists where each configured project takes reports.
pub fn contacts(app: &App) -> Vec<ContactView> {
    app.config
        .projects
        .iter()
        .map(|project| ContactView {
            name: project.name.clone(),
            form: app.url(&format!("/report/{}", project.id)),
            embargo_days: project.embargo_days,
        })
        .collect()
}

/// Returns the body of an advisory's public page, as it is now.
pub async fn page(app: &App, id: &AdvisoryId) -> Result<Publication> {
    file(app, &format!("advisories/{id}.html").parse()?).await
}

/// Lists the paths of the files beside an advisory's public page, as they are now.
pub async fn beside(app: &App, id: &AdvisoryId) -> Result<Vec<DocumentPath>> {
    let mut rows = app.read().await?;
    let newest = store::revision::newest(&mut rows, id).await?.ok_or(Error::NotFound)?;
    let files = store::revision::files(&mut rows, id, newest.number).await?;
    let beside = files.into_iter().filter(|file| !file.document.media_type.starts_with("text/html"));
    Ok(beside.map(|file| file.document.path).collect())
}

/// Returns a published file.
pub async fn file(app: &App, path: &DocumentPath) -> Result<Publication> {
    let mut rows = app.read().await?;
    store::publication::file(&mut rows, path).await?.ok_or(Error::NotFound)
}

/// Renders the public feed.
pub async fn atom(app: &App) -> Result<Vec<u8>> {
    let base_url: Link = app.config.base_url.as_str().parse()?;
    let mut rows = app.read().await?;
    let projects = store::project::all(&mut rows).await?;
    let mut entries = Vec::new();
    for published in store::publication::list(&mut rows, FED).await? {
        let html = html(&mut rows, &published.id).await?;
        let project: Label = named(&projects, &published).parse()?;
        let store::publication::Published { id, title, published_at, modified_at, kind, .. } = published;
        entries.push(FeedEntry { id, title, project, published_at, modified_at, kind, html });
    }
    let mut planned = Vec::new();
    for announced in store::wave::announced(&mut rows).await? {
        let project = name_of(&projects, &announced.project).parse()?;
        let store::wave::Announced { release, due_at, severity, told_at, .. } = announced;
        planned.push(PlannedEntry { release, project, due_at, severity, told_at });
    }
    Ok(feed::advisories(&base_url, Timestamp::UNIX_EPOCH, &entries, &planned))
}

/// Writes security.txt (RFC 9116): each project's report form, good for half a year from now.
pub fn security_txt(app: &App) -> Result<String> {
    let contacts = contacts(app);
    if contacts.is_empty() {
        return Err(Error::NotFound);
    }
    Ok(written(&contacts, app.config.base_url.as_str(), app.clock.now()))
}

fn written(contacts: &[ContactView], base_url: &str, now: Timestamp) -> String {
    let expires = now + SignedDuration::from_hours(24 * SECURITY_TXT_DAYS);
    let mut fields: Vec<_> = contacts.iter().map(|contact| format!("Contact: {}\n", contact.form)).collect();
    fields.push(format!("Expires: {}\n", expires.strftime("%Y-%m-%dT%H:%M:%SZ")));
    fields.push(format!("Canonical: {base_url}/.well-known/security.txt\n"));
    fields.push(format!("Policy: {base_url}/advisories#policy\n"));
    fields.concat()
}

async fn html(rows: &mut impl Rows, id: &AdvisoryId) -> Result<String> {
    let path = format!("advisories/{id}.html").parse()?;
    let file = store::publication::file(rows, &path).await?;
    Ok(file.map(|file| String::from_utf8_lossy(&file.body).into_owned()).unwrap_or_default())
}

/// Names the project of an advisory; one that is gone from the database by its short name.
fn named<'a>(projects: &'a [Project], published: &'a store::publication::Published) -> &'a str {
    name_of(projects, &published.project)
}

fn name_of<'a>(projects: &'a [Project], id: &'a ProjectId) -> &'a str {
    projects.iter().find(|project| &project.id == id).map_or(id.as_str(), |project| &project.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_txt_names_each_form_and_expires_in_half_a_year() {
        let contact = |id: &str| ContactView {
            name: "Demo".to_owned(),
            form: format!("https://security.example.org/report/{id}"),
            embargo_days: 90,
        };
        let text = written(&[contact("demo"), contact("other")], "https://security.example.org", Timestamp::UNIX_EPOCH);
        insta::assert_snapshot!(text, @"
        Contact: https://security.example.org/report/demo
        Contact: https://security.example.org/report/other
        Expires: 1970-06-30T00:00:00Z
        Canonical: https://security.example.org/.well-known/security.txt
        Policy: https://security.example.org/advisories#policy
        ");
    }
}
