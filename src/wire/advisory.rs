//! An advisory's draft as the API shows it to members, and the public list.

use serde::{Deserialize, Serialize};

use crate::domain::advisory::Advisory;
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

/// A draft with everything that matters before it is approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdvisoryView {
    /// The case.
    pub case: String,
    /// The draft as people wrote it; a first one made from the case while nobody has saved one.
    pub draft: Advisory,
    /// What an edit must name as the version it read; none while nobody has saved a draft.
    pub version: Option<i64>,
    /// Its public id, once one was given.
    pub public_id: Option<String>,
    /// Who edited it last.
    pub edited_by: Option<String>,
    /// When, RFC 3339.
    pub edited_at: Option<String>,
    /// The hash of the text as it would be published now: what an approval names.
    pub digest: String,
    /// Whether exactly this text is approved.
    pub approved: bool,
    /// Who approved, this text or an earlier one.
    pub approved_by: Option<String>,
    /// What is missing before it can be published, a sentence for each.
    pub missing: Vec<String>,
    /// Who will be thanked, as the public will read it: reporters by their own wish, then the draft's own.
    pub credits: Vec<CreditView>,
    /// How many people were asked for a credit and have not answered.
    pub waiting_credits: usize,
    /// Whether the asker may edit.
    pub may_edit: bool,
    /// Whether the asker may approve this text now.
    pub may_approve: bool,
    /// Why not, if their role would allow it.
    pub not_approvable: Option<String>,
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

/// The hash an approver read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// SHA-256 in hexadecimal, as the view showed it.
    pub digest: String,
}

/// An advisory in the public list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublicView {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The project's name.
    pub project: String,
    /// When it became public, RFC 3339.
    pub published_at: String,
}

/// Where a project takes reports, for the public list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContactView {
    /// The project's short name.
    pub id: String,
    /// The name people know.
    pub name: String,
    /// The address of its report form.
    pub form: String,
    /// Days from a report to the date that is proposed by itself; 0: none is.
    pub embargo_days: u16,
}
