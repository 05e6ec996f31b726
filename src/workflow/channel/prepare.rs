//! What each channel will publish of a release, put together when it is frozen.
//!
//! Guards: everything here is made from the advisories as they are approved and the candidates as they were rehearsed.

use crate::app::App;
use crate::config::ProjectConfig;
use crate::domain::awaited::FrozenPackage;
use crate::domain::channel::{ForgeKind, FrozenChannel, Post, Subject, Way};
use crate::domain::digest::Digest;
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::manifest::{Document, DocumentPath};
use crate::domain::refusal::Refusal;
use crate::domain::rehearsal::{Rehearsal, Target};
use crate::domain::release::Release;
use crate::export::{self, html, markdown, notes};
use crate::forge::advisory::AdvisoryDraft;
use crate::forge::release::ReleaseDraft;
use crate::store::publication::DocumentText;
use crate::store::retelling::RetoldFile;
use crate::wire::channel::{PublishedData, PublishedFile, PublishedMessage};
use crate::workflow::readiness::Layout;
use crate::workflow::rendering::Rendered;
use crate::workflow::{Error, Result, shown_at};

/// A channel with everything it will publish.
pub(in crate::workflow) struct Prepared {
    /// What the manifest says of it.
    pub(in crate::workflow) frozen: FrozenChannel,
    /// The texts of its posts' documents, in their order.
    pub(super) texts: Vec<Vec<DocumentText>>,
}

impl Prepared {
    /// Lists the files of each post, in their order.
    pub(in crate::workflow) fn files(&self) -> impl Iterator<Item = Vec<(DocumentPath, Vec<u8>)>> {
        self.frozen.posts.iter().zip(&self.texts).map(|(post, texts)| {
            let files = post.documents.iter().zip(texts);
            files.map(|(document, text)| (document.path.clone(), text.clone().into_bytes())).collect()
        })
    }
}

/// A file before it is frozen: path, media type and text.
type File = (String, &'static str, String);
/// A post with the texts of its documents.
type Posted = (Post, Vec<DocumentText>);

/// Puts together what the project's channels will publish of a release.
pub(in crate::workflow) fn prepare(
    app: &App,
    (release, layout): (&Release, &Layout),
    advisories: &[Rendered],
    packages: &[FrozenPackage],
) -> Result<Vec<Prepared>> {
    let settings = app.config.project(&release.project);
    let channels = settings.map(ProjectConfig::channels).transpose();
    let channels = channels.map_err(|wrong| Refusal::moment(format!("The configuration is not right: {wrong}.")))?;
    let mut prepared = Vec::new();
    for channel in channels.unwrap_or_default() {
        let posted = match &channel.way {
            Way::Folder { .. } => each(advisories, files)?,
            Way::Webhook { .. } => {
                let told = (&release.project, "advisory.published", None);
                each(advisories, |rendered| message(app, told, rendered))?
            }
            Way::GitHubAdvisory { .. } => each(advisories, advisory)?,
            Way::ForgeRelease { forge, repository, .. } => {
                let mut posted = Vec::new();
                for target in &release.targets {
                    if &layout.place(target)?.1.name == repository {
                        let awaited = |package: &FrozenPackage| {
                            package.holds_back() && (package.upstream, &package.tag) == (target.upstream, &target.tag)
                        };
                        let told = if packages.iter().any(awaited) { Told::Later } else { Told::Now };
                        let number = posted.len();
                        posted.push(tag((*forge, told), (release, target, layout), advisories, number)?);
                    }
                }
                posted
            }
        };
        let (posts, texts) = posted.into_iter().unzip();
        prepared.push(Prepared { frozen: FrozenChannel { channel, posts }, texts });
    }
    Ok(prepared)
}

/// Makes a post of each advisory.
fn each(advisories: &[Rendered], make: impl Fn(&Rendered) -> Result<Vec<File>>) -> Result<Vec<Posted>> {
    let posted = |rendered: &Rendered| {
        post(Subject::Advisory(rendered.case.clone()), vec![rendered.case.clone()], make(rendered)?)
    };
    advisories.iter().map(posted).collect()
}

fn post(subject: Subject, cases: Vec<CaseId>, files: Vec<File>) -> Result<Posted> {
    let mut documents = Vec::new();
    let mut texts = Vec::new();
    for (path, media_type, text) in files {
        let sha256 = Digest::of(text.as_bytes());
        documents.push(Document { path: path.parse()?, media_type: media_type.to_owned(), sha256 });
        texts.push(text);
    }
    Ok((Post { subject, cases, documents }, texts))
}

/// The files of an advisory as a folder holds them: its page is whole, and the others are those of the public pages.
fn files(rendered: &Rendered) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for document in rendered.documents.as_slice() {
        let text = if document.is_page() {
            html::page(&rendered.published).into_string()
        } else {
            String::from_utf8(document.bytes.clone()).map_err(|error| Error::Internal(Box::new(error)))?
        };
        files.push((document.path.clone(), document.media_type, text));
    }
    Ok(files)
}

/// Puts together what a channel is told of a revision; nothing for one that has no advisories.
pub(in crate::workflow) fn retold(
    app: &App,
    way: &Way,
    (project, kind, number): (&ProjectId, &str, u32),
    rendered: &Rendered,
) -> Result<Option<Vec<RetoldFile>>> {
    let files = match way {
        Way::Folder { .. } => files(rendered)?,
        Way::Webhook { .. } => message(app, (project, kind, Some(number)), rendered)?,
        Way::GitHubAdvisory { .. } => advisory(rendered)?,
        // The notes of a tag tell of the tag, and stay as they are.
        Way::ForgeRelease { .. } => return Ok(None),
    };
    let file = |(path, _, text): File| Ok(RetoldFile { path: path.parse()?, text });
    files.into_iter().map(file).collect::<Result<Vec<_>>>().map(Some)
}

/// The message that an advisory is public, or was revised: ids, addresses and hashes, and nothing to read.
fn message(
    app: &App,
    (project, kind, revision): (&ProjectId, &str, Option<u32>),
    rendered: &Rendered,
) -> Result<Vec<File>> {
    let file = |document: &export::Document| PublishedFile {
        url: app.url(&format!("/{}", document.path)),
        media_type: document.media_type.to_owned(),
        sha256: Digest::from_bytes(document.sha256()).to_string(),
    };
    // The page is served inside this server's own: its bytes are nobody else's to compare.
    let files = rendered.documents.as_slice().iter().filter(|document| !document.is_page());
    let message = PublishedMessage {
        kind: kind.to_owned(),
        timestamp: shown_at(rendered.published.modified_at),
        data: PublishedData {
            id: rendered.id.to_string(),
            project: project.to_string(),
            revision,
            url: rendered.published.page_url(),
            cve: rendered.published.advisory.cve.as_ref().map(ToString::to_string),
            files: files.map(file).collect(),
        },
    };
    Ok(vec![(format!("{}.json", rendered.id), "application/json", json(&message)?)])
}

/// The advisory as GitHub keeps it, over the text that the public pages have as Markdown.
fn advisory(rendered: &Rendered) -> Result<Vec<File>> {
    let published = &rendered.published;
    let told = &published.advisory;
    let facts = (told.cve.as_ref(), told.severity.as_ref());
    let draft = AdvisoryDraft::new(&told.title, markdown::advisory(published), facts, &told.affected);
    Ok(vec![(format!("{}.json", rendered.id), "application/json", json(&draft)?)])
}

/// Whether the notes of a tag say what it fixes.
#[derive(Clone, Copy)]
enum Told {
    /// At once.
    Now,
    /// The advisory does, once the tag's package can be installed.
    Later,
}

/// The release of a tag on its forge, over all advisories it fixes.
fn tag(
    (forge, told_now): (ForgeKind, Told),
    plan: (&Release, &Target, &Layout),
    advisories: &[Rendered],
    number: usize,
) -> Result<Posted> {
    let (release, target, layout) = plan;
    let (line, upstream) = layout.place(target)?;
    let Rehearsal::Candidate(candidate) = &target.rehearsal else {
        return Err(Refusal::moment("Rehearse the release first.").into());
    };
    let told = |rendered: &&Rendered| rendered.published.advisory.told_of(&upstream.name, &line.name).next().is_some();
    let fixed: Vec<&Rendered> = advisories.iter().filter(told).collect();
    let mut cases: Vec<CaseId> = fixed.iter().map(|rendered| rendered.case.clone()).collect();
    if cases.is_empty() {
        // A tag no advisory speaks of waits for the whole release.
        cases.clone_from(&release.cases);
    }
    let published: Vec<_> = fixed.iter().map(|rendered| &rendered.published).collect();
    let project = layout.project.name.parse()?;
    let notes = match told_now {
        Told::Now => notes::of_tag(&project, (&upstream.name, &target.tag), &published),
        Told::Later => notes::until_installable(&project, &target.tag, &published),
    };
    let place = (target.tag.clone(), candidate.tagged().clone());
    let draft = ReleaseDraft::new(forge, place, (notes.title, notes.body));
    let subject = Subject::Tag(upstream.id, target.tag.clone());
    post(subject, cases, vec![(format!("tags/{number}.json"), "application/json", json(&draft)?)])
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Internal(Box::new(error)))
}
