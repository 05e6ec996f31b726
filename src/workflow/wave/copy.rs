//! A recipient's own copy of text and patches: one encrypted file, made when it is asked for.
//!
//! Guards: what it holds is what was frozen; it is encrypted to the key that the configuration names at this moment, while it is
//! made, and only ciphertext touches the disk; one is made at a time, each file of it is bounded, and what it can be known by is
//! written down before a byte of it is served. Leaves the marks themselves to `domain::canary`.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

use super::told::{Copy, live};
use super::{CHORE, unsealings, who};
use crate::app::App;
use crate::crypto::attachment::encrypt_stream;
use crate::crypto::recipient::Recipients;
use crate::crypto::shelf::Spooled;
use crate::domain::access::Action;
use crate::domain::actor::Actor;
use crate::domain::audience::Level;
use crate::domain::canary;
use crate::domain::id::{ReleaseId, UpstreamId};
use crate::domain::manifest::Manifest;
use crate::domain::refusal::Refusal;
use crate::domain::repo::{LineName, RepoName};
use crate::domain::sealed::Secret;
use crate::git::Repo;
use crate::git::copy::{Copied, CopiedLine};
use crate::store::{self, Tx};
use crate::wire::wave::CanaryView;
use crate::workflow::readiness::open_release;
use crate::workflow::release::DOCUMENT;
use crate::workflow::{Error, Result, limit};

/// How long one waits for the copies of others.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of ciphertext of one copy at most.
const LARGEST: u64 = 512 * 1024 * 1024;

/// A copy on its way to its recipient: ciphertext in a file without a name.
pub struct Handed {
    /// The file, from its beginning.
    pub file: tokio::fs::File,
    /// Its length in bytes.
    pub size: u64,
}

/// What goes into a copy.
struct Plan {
    copy: Copy,
    recipients: Recipients,
    texts: Vec<(String, String)>,
    project: String,
}

/// Makes the copy of a recipient, encrypted to them alone.
pub async fn fetch(app: &App, code: &Secret) -> Result<Handed> {
    let plan = plan(app, code).await?;
    limit::copy(app, plan.copy.recipient.id)?;
    let turn = tokio::time::timeout(PATIENCE, app.copy_slots.acquire()).await;
    let _turn = turn
        .map_err(|_| Refusal::moment("Many copies are being made just now: try again in a minute."))?
        .map_err(|error| Error::Internal(Box::new(error)))?;
    let repositories = repositories(app, &plan).await?;
    let canaries: Vec<String> =
        repositories.iter().flat_map(|(_, copied)| copied.commits()).map(ToString::to_string).collect();
    // Admitted anew: making the commits took a while.
    let (mut tx, again) = live(app, code, "copy.hand_out").await?;
    if again.manifest != plan.copy.manifest || again.key != plan.copy.key || again.level != plan.copy.level {
        return Err(Error::Conflict);
    }
    store::recipient::hand_out(&mut tx, &CHORE, &again.recipient, &canaries).await?;
    app.commit(tx).await?;
    app.crash.pass("copy:written");
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(1);
    let plain = stream::unfold(receive, async |mut receive| receive.recv().await.map(|piece| (piece, receive)));
    let cipher = encrypt_stream(plan.recipients.clone(), plain);
    let (spooled, ()) = tokio::join!(app.shelf.spool(plan.copy.recipient.id, LARGEST, cipher), async {
        if let Err(error) = write(&plan, &repositories, &send).await {
            // The other side has to see that it was cut off.
            let _ = send.send(Err(io::Error::other(error))).await;
        }
        drop(send);
    });
    tracing::info!(release = %plan.copy.release.id, commits = canaries.len(), "a copy was made");
    let Spooled { file, size } = spooled.map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(Handed { file, size })
}

/// Opens the link and reads what was frozen of the text.
async fn plan(app: &App, code: &Secret) -> Result<Plan> {
    let (mut tx, copy) = live(app, code, "copy.plan").await?;
    if !copy.level.is_encrypted() {
        return Err(Refusal::input("There is nothing to fetch for you: what you may know stands on the page.").into());
    }
    let key = copy.key.clone().ok_or_else(|| {
        Refusal::moment("The project knows no key of yours: ask it to add your age recipient or SSH key.")
    })?;
    let texts = texts(app, &mut tx, &copy).await?;
    let project = store::project::find(&mut tx, &copy.release.project).await?.ok_or(Error::NotFound)?.name;
    app.commit(tx).await?;
    Ok(Plan { copy, recipients: Recipients::new([key])?, texts, project })
}

/// Reads the Markdown of each advisory as it was frozen: its id and its text.
async fn texts(app: &App, tx: &mut Tx, copy: &Copy) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for advisory in &copy.manifest.advisories {
        let grant = crate::workflow::release::grant_of(&copy.grants, &advisory.case)?;
        let unsealing = app.unsealing(tx, grant).await?;
        for (document, sealed) in store::publication::frozen(tx, grant, &copy.release.id).await? {
            if document.media_type.starts_with("text/markdown") {
                let text: String = unsealing.open(DOCUMENT, document.path.as_str(), &sealed)?;
                texts.push((advisory.id.to_string(), text));
            }
        }
    }
    Ok(texts)
}

/// Makes the commits of each repository anew for this recipient; none below the level of patches.
async fn repositories(app: &App, plan: &Plan) -> Result<Vec<(RepoName, Copied)>> {
    if plan.copy.level != Level::Patches {
        return Ok(Vec::new());
    }
    let mut made = Vec::new();
    for (name, upstream, lines) in copied_lines(&plan.copy.manifest) {
        let repo = Repo::Release(plan.copy.release.id.clone(), upstream);
        let copied = app.git.copy(&repo, &lines, plan.copy.recipient.shift).await.map_err(refused)?;
        made.push((name, copied));
    }
    Ok(made)
}

/// Lists the lines of each repository with what the release pushes there.
fn copied_lines(manifest: &Manifest) -> Vec<(RepoName, UpstreamId, Vec<CopiedLine>)> {
    let of = |repository: &crate::domain::manifest::Repository| {
        let lines = repository.refs.iter().filter_map(|moved| {
            let line: LineName = moved.name.as_str().strip_prefix("refs/heads/")?.parse().ok()?;
            Some(CopiedLine { line, base: moved.old.clone(), tip: moved.new.clone() })
        });
        (repository.name.clone(), repository.upstream, lines.collect())
    };
    manifest.repositories.iter().map(of).collect()
}

/// Writes the archive, file by file.
async fn write(
    plan: &Plan,
    repositories: &[(RepoName, Copied)],
    send: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mark = &plan.copy.recipient.mark;
    // Not the release's own date, which lies ahead.
    let dated = u64::try_from(plan.copy.recipient.told_at.as_second()).unwrap_or_default();
    let mut archive = Archive { builder: tar::Builder::new(Vec::new()), dated, send };
    archive.add("README.txt", canary::marked(&note(plan), mark).as_bytes()).await?;
    for (id, text) in &plan.texts {
        archive.add(&format!("advisories/{id}.md"), canary::marked(text, mark).as_bytes()).await?;
    }
    for (name, copied) in repositories {
        for CopiedLine { line, .. } in copied.lines() {
            archive.add(&format!("{name}/{line}.bundle"), &copied.bundle(line).await?).await?;
            archive.add(&format!("{name}/{line}.mbox"), &copied.patches(line, mark).await?).await?;
        }
    }
    archive.finish().await
}

/// An archive that is sent on as it grows: no more than one file of it is held.
struct Archive<'a> {
    builder: tar::Builder<Vec<u8>>,
    dated: u64,
    send: &'a mpsc::Sender<io::Result<Bytes>>,
}

impl Archive<'_> {
    async fn add(&mut self, path: &str, bytes: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(self.dated);
        self.builder.append_data(&mut header, path, bytes)?;
        let piece = std::mem::take(self.builder.get_mut());
        Ok(self.send.send(Ok(piece.into())).await?)
    }

    async fn finish(self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.send.send(Ok(self.builder.into_inner()?.into())).await?)
    }
}

/// The covering note.
fn note(plan: &Plan) -> String {
    let Copy { release, who, level, .. } = &plan.copy;
    let mut note = format!(
        "A security release of {}, planned for {}\n\
         Copy for {}\n\n\
         Until that instant this is under embargo: please tell nobody outside your audience.\n\
         If the date moves you get a mail. If it falls you get one, too, and go on telling nobody.\n\n\
         This copy was made for you alone. It can be told from every other one.\n\n\
         advisories/          each advisory as it will be published\n",
        plan.project, release.due_at, who.name
    );
    if *level == Level::Patches {
        note += "<repository>/<line>.bundle   the fixes; in a clone of the public repository:\n\
                 \x20   git fetch <line>.bundle <line>:embargoed\n\
                 <repository>/<line>.mbox     the same as mails, without merges:\n\
                 \x20   git am -3 <line>.mbox\n\n\
                 Trees, authors and messages are those that will be public.\n\
                 The ids of the commits are not: they were made for this copy.\n\
                 Push neither of them anywhere that others can read.\n";
    }
    note
}

fn refused(error: crate::git::Error) -> Error {
    match error {
        crate::git::Error::Refused(refusal) => refusal.into(),
        other => other.into(),
    }
}

/// Lists what the copies of a release can be known by, for `embargo release trace`, to its managers.
pub async fn canaries(app: &App, actor: &Actor, id: &ReleaseId) -> Result<Vec<CanaryView>> {
    let mut tx = app.begin("copy.canaries").await?;
    let (_, grants) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    let recipients = store::recipient::of_release(&mut tx, &grants, id).await?;
    let keys = unsealings(app, &mut tx, &grants, &recipients).await?;
    let mut views = Vec::new();
    for recipient in &recipients {
        views.push(CanaryView {
            recipient: recipient.id.to_string(),
            name: who(&keys, recipient)?.name.to_string(),
            audience: recipient.audience.to_string(),
            mark: recipient.mark.clone(),
            commits: store::recipient::canaries(&mut tx, recipient).await?,
        });
    }
    app.commit(tx).await?;
    Ok(views)
}
