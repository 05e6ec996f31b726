//! One case's advisory as it would be published: its files, and those that follow where its technical details are held back.
//!
//! Guards: one hash covers everything that will be read, now and later; and where something is held back, what is published first is
//! rendered from a text that does not have it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Result;
use crate::app::App;
use crate::crypto::sshsig;
use crate::domain::access::Grant;
use crate::domain::advisory::Advisory;
use crate::domain::audience::Lead;
use crate::domain::details::FrozenDetails;
use crate::domain::digest::Digest;
use crate::domain::id::{CaseId, ReleaseId};
use crate::domain::manifest::{Document, FrozenAdvisory};
use crate::domain::plain::AdvisoryId;
use crate::export::{self, Documents, Published};
use crate::store::{self, Tx};

/// One case's advisory as it would be published.
pub(super) struct Rendered {
    /// The case.
    pub(super) case: CaseId,
    /// Its public id.
    pub(super) id: AdvisoryId,
    /// What the files are made of.
    pub(super) published: Published,
    /// The files.
    pub(super) documents: Documents,
    /// What follows later, where something is held back.
    pub(super) later: Option<Later>,
}

/// What follows once nothing is held back any more.
pub(super) struct Later {
    /// How long after, where a release says so.
    pub(super) after: Option<Lead>,
    /// What the files are made of.
    pub(super) published: Published,
    /// The files.
    pub(super) documents: Documents,
}

impl Rendered {
    /// Renders an advisory whole.
    pub(super) fn whole(case: &CaseId, published: Published) -> Self {
        let documents = published.render();
        Self { case: case.clone(), id: published.id.clone(), published, documents, later: None }
    }

    /// Renders it without its technical details, which nothing follows.
    pub(super) fn without_details(case: &CaseId, published: Published) -> Self {
        Self::whole(case, published.without_details(None))
    }

    /// Renders it without its technical details, if it has any, and what follows: dated like this, and as the first part promises, if
    /// it does.
    pub(super) fn in_parts(case: &CaseId, whole: Published, dated_at: Timestamp, promise: Option<Timestamp>) -> Self {
        if whole.advisory.technical.is_none() {
            return Self::whole(case, whole);
        }
        let published = Published { modified_at: dated_at, ..whole.clone() };
        let later = Later { after: None, documents: published.render(), published };
        Self { later: Some(later), ..Self::whole(case, whole.without_details(promise)) }
    }

    /// Renders what a release would publish that lets technical details follow this long after it; none: with the rest.
    pub(super) fn of_release(case: &CaseId, whole: Published, after: Option<Lead>) -> Self {
        let Some(lead) = after else { return Self::whole(case, whole) };
        let at = whole.published_at.checked_add(lead.duration()).unwrap_or(Timestamp::MAX);
        let rendered = Self::in_parts(case, whole, at, Some(at));
        Self { later: rendered.later.map(|later| Later { after, ..later }), ..rendered }
    }

    /// Renders it anew with another date and nothing else changed: what follows does so as long after this one.
    pub(super) fn dated(self, app: &App, at: Timestamp) -> Result<Self> {
        let after = self.later.as_ref().and_then(|later| later.after);
        let whole = self.later.map_or(self.published, |later| later.published);
        Self::of_release(&self.case, Published { published_at: at, modified_at: at, ..whole }, after).signed(app)
    }

    /// Returns the text, with everything that is held back.
    pub(super) fn text(&self) -> &Advisory {
        self.later.as_ref().map_or(&self.published.advisory, |later| &later.published.advisory)
    }

    /// Adds the files' hashes, signed, where the server has a key.
    pub(super) fn signed(self, app: &App) -> Result<Self> {
        let later = match self.later {
            Some(later) => Some(Later { documents: signed(app, &later.published.id, later.documents)?, ..later }),
            None => None,
        };
        Ok(Self { documents: signed(app, &self.id, self.documents)?, later, ..self })
    }

    /// Returns what an approval is bound to: every byte that is read at first, and every byte that follows.
    pub(super) fn digest(&self) -> Digest {
        let first = Digest::from_bytes(self.documents.digest());
        match &self.later {
            None => first,
            Some(later) => {
                Digest::of_parts(&[b"embargo-details-1", first.as_bytes(), later.documents.digest().as_slice()])
            }
        }
    }

    /// Says what a Manifest says of it.
    pub(super) fn frozen(&self) -> Result<FrozenAdvisory> {
        let details = match &self.later {
            Some(Later { after: Some(after), documents, .. }) => {
                Some(FrozenDetails { after: *after, documents: listed(documents)? })
            }
            Some(Later { after: None, .. }) | None => None,
        };
        Ok(FrozenAdvisory {
            case: self.case.clone(),
            id: self.id.clone(),
            title: self.published.advisory.title.clone(),
            documents: listed(&self.documents)?,
            details,
        })
    }
}

/// Tells whether what was frozen of a case is not what would be published now, at first or later.
pub(super) async fn left_behind(tx: &mut Tx, grant: &Grant, of: (&ReleaseId, &Rendered)) -> Result<bool> {
    let (release, rendered) = of;
    let first = store::publication::frozen(tx, grant, release).await?;
    let later = store::details::files(tx, grant).await?;
    let names = |documents: &Documents| listed(documents).map(|listed| lasting(listed.iter()));
    let now = rendered.later.as_ref().map(|later| names(&later.documents)).transpose()?.unwrap_or_default();
    let (first, later) = (first.iter().map(|(document, _)| document), later.iter().map(|(document, _)| document));
    Ok(lasting(first) != names(&rendered.documents)? || lasting(later) != now)
}

/// Names what of some files another day would not change.
fn lasting<'a>(documents: impl Iterator<Item = &'a Document>) -> BTreeSet<(String, Digest)> {
    let lasts = documents.filter(|document| !export::signs(document.path.as_str()));
    lasts.map(|document| (document.path.to_string(), document.sha256)).collect()
}

/// Names files by their hashes.
pub(super) fn listed(documents: &Documents) -> Result<Vec<Document>> {
    let listed = documents.as_slice().iter().map(|file: &export::Document| {
        Ok(Document {
            path: file.path.parse()?,
            media_type: file.media_type.to_owned(),
            sha256: Digest::from_bytes(file.sha256()),
        })
    });
    listed.collect()
}

/// Adds the files' hashes, signed, where the server has a key.
fn signed(app: &App, id: &AdvisoryId, documents: Documents) -> Result<Documents> {
    match app.keys.tag_signer() {
        Some(key) => Ok(documents.signed(id, |sums| key.sign(sshsig::FILE, sums))?),
        None => Ok(documents),
    }
}
