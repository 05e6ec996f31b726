//! An advisory's draft as the API shows it and takes it, and the public list.

use serde::{Deserialize, Serialize};

use super::amendment::PublicView;
use super::details::LaterView;
use crate::domain::advisory::Advisory;
use crate::domain::digest::Digest;
use crate::domain::id::words;

words! {
    /// The format of a preview or an export.
    Format {
        /// OSV JSON.
        Osv = "osv",
        /// Markdown.
        Markdown = "markdown",
        /// The body of the public page.
        Html = "html",
    }
}

words! {
    /// Which files of an advisory whose technical details are held back at first.
    Stage {
        /// Those that are published first.
        First = "first",
        /// Those that take their place later.
        Later = "later",
    }
}

/// A draft: `GET /api/v1/cases/{id}/advisory`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdvisoryView {
    /// Its public id, once the case is planned into a release.
    pub id: Option<String>,
    /// When it became public, RFC 3339.
    #[serde(default)]
    pub published_at: Option<String>,
    /// The text as people wrote it, reporters left out; one made from the case while nobody has saved any.
    pub advisory: Advisory,
    /// Which edit this is; a save names the one it started from. None while nobody has saved any.
    pub version: Option<i64>,
    /// Who edited it last.
    pub edited_by: Option<String>,
    /// When, RFC 3339.
    pub edited_at: Option<String>,
    /// What it lacks.
    pub missing: Vec<String>,
    /// The hash of its documents as they would be published now; none until a release says tags and dates.
    pub digest: Option<Digest>,
    /// Whether exactly this was approved.
    pub approved: bool,
    /// Who approved: this, or other bytes by now.
    pub approved_by: Option<String>,
    /// Who will be thanked, as the public will read it: reporters by their own wish, then those of the draft.
    pub credits: Vec<CreditView>,
    /// How many people were asked for a credit and have not answered.
    pub waiting_credits: usize,
    /// Whether the asker may edit.
    pub may_edit: bool,
    /// Whether the asker may approve this now.
    pub may_approve: bool,
    /// What keeps an asker from approving whose role would allow it.
    pub not_approvable: Option<String>,
    /// Its files as they would be published now.
    pub documents: Vec<DocumentView>,
    /// Those that take their place later, where technical details are held back at first.
    #[serde(default)]
    pub later: Option<LaterView>,
    /// What can be done with it once it is public.
    #[serde(default)]
    pub public: Option<PublicView>,
}

/// One file of an advisory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DocumentView {
    /// Its path below the public address.
    pub path: String,
    /// The media type.
    pub media_type: String,
    /// The text.
    pub text: String,
}

/// Somebody who will be thanked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreditView {
    /// The name, or the words that stand for it.
    pub name: String,
    /// What they did.
    pub kind: String,
    /// Where readers find them.
    pub url: Option<String>,
}

/// A new text: `PUT /api/v1/cases/{id}/advisory`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditAdvisory {
    /// The text.
    pub advisory: Advisory,
    /// The edit it started from; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

/// An approval: `POST /api/v1/cases/{id}/advisory/approve`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveAdvisory {
    /// The hash of what was read.
    pub digest: Digest,
}

/// One public advisory in the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishedView {
    /// Its id.
    pub id: String,
    /// The project's name.
    pub project: String,
    /// Its title.
    pub title: String,
    /// When it was put up, RFC 3339.
    pub published_at: String,
    /// When it was last changed, RFC 3339.
    #[serde(default)]
    pub modified_at: String,
    /// Whether it does not hold any more.
    #[serde(default)]
    pub withdrawn: bool,
}

/// A security release that everybody was told of: no more than that it comes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedView {
    /// The project.
    pub project: String,
    /// The instant, RFC 3339.
    pub due_at: String,
    /// The highest severity, if that was told.
    pub severity: Option<String>,
}

/// Where a project takes reports, for the public list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContactView {
    /// The name people know.
    pub name: String,
    /// The address of its report form.
    pub form: String,
    /// Days from a report to the date that is proposed by itself; 0: none is.
    pub embargo_days: u16,
}

/// A person's word for a commit whose checks could not run: `POST /api/v1/cases/{id}/waive`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiveChecks {
    /// The line.
    pub line: crate::domain::repo::LineName,
    /// The head of its fix.
    pub head: crate::domain::repo::CommitId,
}
