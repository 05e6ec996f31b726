//! Dress rehearsals: the whole disclosure of a release, performed on copies of the public repositories and stand-ins of its
//! channels, and compared with the plan.
//!
//! Guards: nothing leaves this machine and nobody is told; what is performed is what a freezing would write down, or did, by the
//! run's own order and the run's own clients. What it finds blocks the release weeks early.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::public::{Public, leased};
use super::readiness::{Gathered, gather, open_release};
use super::release::DOCUMENT;
use super::rendering::Rendered;
use super::{Error, Result, shown_at};
use crate::app::App;
use crate::domain::access::Action;
use crate::domain::actor::{Actor, Chore};
use crate::domain::channel::{Channel, Post, Way};
use crate::domain::digest::Digest;
use crate::domain::dress::{Dress, DressOutcome, Seen, differences, due};
use crate::domain::effect::{Effect, Next, Outcome, Phase, Recipient, Target, journal, next};
use crate::domain::hold::HoldReason;
use crate::domain::id::{CaseId, MailId, MemberId, ReleaseId, UpstreamId};
use crate::domain::job::Job;
use crate::domain::manifest::{DocumentPath, Manifest};
use crate::domain::rehearsal::Rehearsal;
use crate::domain::release::ReleaseState;
use crate::domain::repo::RefName;
use crate::domain::text::{EmailAddress, shown};
use crate::forge::Forge;
use crate::git::Repo;
use crate::git::publish::PushOutcome;
use crate::git::stage::{Folder, Stage as PublicCopy};
use crate::notify::notice::{Mail as Letter, Notice};
use crate::notify::{Mailer, Outbox};
use crate::store::job::Settled;
use crate::store::{self, Tx};
use crate::wire::release::DressView;

const CHORE: Actor = Actor::System(Chore::Disclose);

/// The bytes of a file with its path.
type File = (DocumentPath, Vec<u8>);

/// What is performed: the manifest, and the bytes of everything it names.
struct Script {
    manifest: Manifest,
    pages: BTreeMap<CaseId, Vec<File>>,
    /// By the position of channel and post in the manifest.
    posts: BTreeMap<(usize, usize), Vec<File>>,
    /// What the advisories say of commits and tags.
    told: Vec<Rendered>,
    /// Where news for a seat goes; nobody where its holder left no address.
    addresses: BTreeMap<MemberId, Option<EmailAddress>>,
}

/// Where it is performed.
struct Stage<'a> {
    app: &'a App,
    script: &'a Script,
    copies: BTreeMap<UpstreamId, PublicCopy>,
    forge: Forge,
    folder: Folder,
    mailer: Mailer,
    outbox: Outbox,
    seen: Seen,
}

/// Queues the dress rehearsals that are due.
pub async fn sweep(app: &App) -> Result<()> {
    let mut rows = app.read().await?;
    let now = app.clock.now();
    let mut wanted = Vec::new();
    for id in store::release::near(&mut rows, (now, Timestamp::MAX)).await? {
        let (release, grants) = match open_release(&mut rows, &CHORE, &id, Action::Maintain).await {
            Ok(found) => found,
            Err(Error::NotFound) => continue,
            Err(error) => return Err(error),
        };
        let last = store::dress::of_release(&mut rows, &grants, &id).await?;
        let rehearsed = release.targets.iter().any(|target| matches!(target.rehearsal, Rehearsal::Candidate(_)));
        if rehearsed && due(&release, last.as_ref(), now) {
            wanted.push(id);
        }
    }
    drop(rows);
    if wanted.is_empty() {
        return Ok(());
    }
    let mut tx = app.begin("dress.queue").await?;
    for release in wanted {
        store::job::queue(&mut tx, &Job::Dress { release }, now).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Performs the disclosure of a release on a stage, and keeps how that went.
pub async fn run(app: &App, id: &ReleaseId) -> Result<Settled> {
    let (mut tx, gathered) = gather(app, &CHORE, id, Action::Maintain, "dress.gather").await?;
    let last = store::dress::of_release(&mut tx, &gathered.grants, id).await?;
    if !due(&gathered.release, last.as_ref(), tx.now()) {
        return Ok(Settled::Done);
    }
    let recipients = super::disclose::recipients(&mut tx, &gathered.grants).await?;
    let plan = gathered.release.version;
    let opened = script(app, tx, gathered, &recipients).await;
    let dress =
        |outcome, note: String, steps, took| Dress { plan, outcome, note, steps, took, tried_at: app.clock.now() };
    let made = match opened {
        Ok(Ok(script)) => {
            let (steps, took, trouble) = perform(app, &script, &recipients).await?;
            let outcome = if trouble.is_some() { DressOutcome::Trouble } else { DressOutcome::Fine };
            dress(outcome, trouble.unwrap_or_default(), steps, took)
        }
        Ok(Err(waits)) => dress(DressOutcome::Waiting, waits, 0, SignedDuration::ZERO),
        Err(Error::Refused(refusal)) => dress(DressOutcome::Trouble, refusal.to_string(), 0, SignedDuration::ZERO),
        Err(error) => return Err(error),
    };
    let mut tx = app.begin("dress.save").await?;
    let (_, grants) = open_release(&mut tx, &CHORE, id, Action::Maintain).await?;
    store::dress::save(&mut tx, &grants, id, &made).await?;
    app.commit(tx).await?;
    Ok(Settled::Done)
}

/// Puts together what is performed: what was frozen, or what a freezing would write down now. Where that is not possible yet, says
/// what it waits for.
async fn script(
    app: &App,
    mut tx: Tx,
    gathered: Gathered,
    recipients: &[Recipient],
) -> Result<std::result::Result<Script, String>> {
    let mut addresses = BTreeMap::new();
    for grant in gathered.grants.each() {
        for recipient in recipients.iter().filter(|recipient| &recipient.case == grant.case()) {
            let address = super::mail::of_seat(app, &mut tx, grant, recipient.seat).await?;
            addresses.insert(recipient.seat, address);
        }
    }
    let mut pages = BTreeMap::new();
    let mut posts = BTreeMap::new();
    let manifest = if gathered.release.state == ReleaseState::Planned {
        app.commit(tx).await?;
        let release = &gathered.release;
        if let Some(bare) = release.targets.iter().find(|it| !matches!(it.rehearsal, Rehearsal::Candidate(_))) {
            return Ok(Err(format!("Nothing can be pushed as {} yet.", bare.tag)));
        }
        let stale =
            release.targets.iter().zip(&gathered.facts.targets).find(|(target, known)| match &target.rehearsal {
                Rehearsal::Candidate(candidate) => known.tip.as_ref() != Some(&candidate.base),
                Rehearsal::None | Rehearsal::Trouble { .. } => false,
            });
        if let Some((_, known)) = stale {
            return Ok(Err(format!("The public line {} moved on, and is rehearsed anew first.", known.line)));
        }
        let written = |case: &&CaseId| gathered.advisories.iter().any(|rendered| &rendered.case == *case);
        if let Some(case) = release.cases.iter().find(|case| !written(case)) {
            return Ok(Err(format!("The advisory of {case} is not written yet.")));
        }
        let (manifest, channels) = super::release::composed(app, &gathered)?;
        for rendered in &gathered.advisories {
            let files = rendered.documents.as_slice().iter().map(|file| Ok((file.path.parse()?, file.bytes.clone())));
            pages.insert(rendered.case.clone(), files.collect::<Result<Vec<File>>>()?);
        }
        for (at, prepared) in channels.iter().enumerate() {
            for (number, files) in prepared.files().enumerate() {
                posts.insert((at, number), files);
            }
        }
        manifest
    } else {
        let manifest = super::disclose::manifest(app, &mut tx, &gathered.grants, &gathered.release).await?;
        for grant in gathered.grants.each() {
            let unsealing = app.unsealing(&mut tx, grant).await?;
            let mut files = Vec::new();
            for (document, sealed) in store::publication::frozen(&mut tx, grant, &gathered.release.id).await? {
                let text: String = unsealing.open(DOCUMENT, document.path.as_str(), &sealed)?;
                files.push((document.path, text.into_bytes()));
            }
            pages.insert(grant.case().clone(), files);
        }
        app.commit(tx).await?;
        for (at, frozen) in manifest.channels.iter().enumerate() {
            for (number, post) in frozen.posts.iter().enumerate() {
                let files = super::channel::files(app, &manifest.release, &frozen.channel, post).await?;
                posts.insert((at, number), files);
            }
        }
        manifest
    };
    manifest.check()?;
    Ok(Ok(Script { manifest, pages, posts, told: gathered.advisories, addresses }))
}

/// Performs a script by the run's own order. Returns how many effects there were, how long they took, and the first thing that was
/// not as planned.
async fn perform(
    app: &App,
    script: &Script,
    recipients: &[Recipient],
) -> Result<(u32, SignedDuration, Option<String>)> {
    let mut copies = BTreeMap::new();
    for repository in &script.manifest.repositories {
        copies.insert(repository.upstream, app.git.stage(repository.upstream).await?);
    }
    let (mailer, outbox) = Mailer::outbox();
    let forge = Forge::staged(&app.config.channels).map_err(|error| Error::Internal(Box::new(error)))?;
    let folder = app.git.stage_folder()?;
    let mut stage = Stage { app, script, copies, forge, folder, mailer, outbox, seen: Seen::default() };
    let mut effects = journal(&script.manifest, recipients);
    let begun = Instant::now();
    let mut trouble = None;
    loop {
        let now = app.clock.now();
        let effect = match next(&effects, now) {
            Next::Act(effect) | Next::Look(effect) => effect.clone(),
            // On a stage everybody answers at once: what would be tried again is as wrong as what failed.
            Next::Wait(_) => {
                let waits = effects.iter().find(|effect| effect.retry_at.is_some());
                trouble = waits.map(sentence);
                break;
            }
            Next::Hold(effect) => {
                trouble = Some(sentence(effect));
                break;
            }
            Next::Done => break,
        };
        let position = effect.position;
        let effect = effect.start(now)?;
        let outcome = stage.act(&effect).await?;
        let ended = effect.end(outcome, now)?;
        stage.seen.order.push(position);
        if let Some(place) = effects.iter_mut().find(|effect| effect.position == position) {
            *place = ended;
        }
    }
    let took = SignedDuration::try_from(begun.elapsed()).unwrap_or(SignedDuration::MAX);
    let steps = u32::try_from(stage.seen.order.len()).unwrap_or(u32::MAX);
    let trouble = match trouble {
        Some(sentence) => Some(sentence),
        None => differences(&script.manifest, &effects, &stage.seen().await?),
    };
    Ok((steps, took, trouble))
}

fn sentence(effect: &Effect) -> String {
    format!("Step {} ({}): {}", effect.position, effect.phase, effect.note)
}

impl Stage<'_> {
    /// Does one effect on the stage.
    async fn act(&mut self, effect: &Effect) -> Result<Outcome> {
        match (effect.phase, &effect.target) {
            (Phase::Preflight, Target::Repository(upstream)) => Ok(self.public(*upstream)?.preflight().await),
            (Phase::PushFixes, Target::Repository(upstream)) => self.push(*upstream).await,
            (Phase::VerifyPublic, Target::Repository(upstream)) => Ok(self.public(*upstream)?.verify().await),
            (Phase::PublishAdvisories, Target::Site(case)) => self.put_up(case).await,
            (Phase::NotifyPublic, Target::Seat(case, seat)) => self.tell(case, *seat, &effect.key).await,
            (Phase::OpenCase, Target::Case(_)) => Ok(Outcome::Done("public".to_owned())),
            // What a hook starts somewhere else cannot be played here.
            (Phase::CallHooks, Target::Hook(_)) => Ok(Outcome::Done("not called".to_owned())),
            // Nobody is asked for a package that was not built.
            (Phase::AwaitPackages, Target::Package(..)) => Ok(Outcome::Done("not asked".to_owned())),
            (Phase::PublishChannels, Target::Channel(name, subject)) => {
                let channels = self.script.manifest.channels.iter().enumerate();
                let at = channels.filter(|(_, frozen)| &frozen.channel.name == name).find_map(|(at, frozen)| {
                    let post = frozen.posts.iter().position(|post| &post.subject == subject)?;
                    Some((at, post))
                });
                let (at, number) = at.ok_or(Error::NotFound)?;
                let frozen = &self.script.manifest.channels[at];
                self.post(&frozen.channel, &frozen.posts[number], (at, number), &effect.key).await
            }
            (_, _) => Ok(amiss("The journal names a target that does not fit its phase.".to_owned())),
        }
    }

    fn public(&self, upstream: UpstreamId) -> Result<Public<'_>> {
        let copy = self.copies.get(&upstream).ok_or(Error::NotFound)?;
        Public::staged(self.app, &self.script.manifest, upstream, copy.remote().clone())
    }

    /// Pushes to the copy of a repository; what it refuses is told in git's words, for it is only ours.
    async fn push(&self, upstream: UpstreamId) -> Result<Outcome> {
        let copy = self.copies.get(&upstream).ok_or(Error::NotFound)?;
        let wanted = self.script.manifest.repository(upstream).ok_or(Error::NotFound)?;
        let plan: Vec<_> = wanted.refs.iter().map(leased).collect();
        let repo = Repo::Release(self.script.manifest.release.clone(), upstream);
        let said = match self.app.git.push_atomic(&repo, copy.remote(), &plan).await? {
            PushOutcome::Done | PushOutcome::AlreadyDone => return Ok(Outcome::Done(format!("{} refs", plan.len()))),
            PushOutcome::Refused { said, .. } | PushOutcome::Unknown { said } => said,
            PushOutcome::Stale { .. } => return Ok(amiss("The copies are not where the plan has them.".to_owned())),
        };
        let errors = said.text().lines().filter_map(|line| line.trim_start_matches("remote: ").strip_prefix("error: "));
        // The last word of git names the folder of the copy.
        let errors = errors.filter(|error| !error.starts_with("failed to push")).map(|error| shown(error.trim()));
        let why: String = errors.collect::<Vec<_>>().join("; ").chars().take(300).collect();
        let why = if why.is_empty() { "its checks of the objects do not let it in".to_owned() } else { why };
        let name = &wanted.name;
        Ok(amiss(format!(
            "A copy of {name} refuses the push ({why}). Nothing was sent; in public it would be refused, too."
        )))
    }

    /// Puts the pages of an advisory up on the stage, and looks whether what they name is there.
    async fn put_up(&mut self, case: &CaseId) -> Result<Outcome> {
        let advisory = self.script.manifest.advisory_of(case).ok_or(Error::NotFound)?;
        let files = self.script.pages.get(case).ok_or(Error::NotFound)?;
        let mut rows = self.app.read().await?;
        for (path, bytes) in files {
            if let Some(there) = store::publication::file(&mut rows, path).await?
                && there.advisory != advisory.id
            {
                return Ok(amiss(format!("Another advisory is published as {path} already.")));
            }
            self.seen.pages.push((case.clone(), Digest::of(bytes)));
        }
        drop(rows);
        let told = self.script.told.iter().filter(|rendered| &rendered.case == case);
        for line in told.flat_map(|rendered| &rendered.published.lines) {
            let named = |repository: &&crate::domain::manifest::Repository| repository.name == line.repository;
            let Some(repository) = self.script.manifest.repositories.iter().find(named) else { continue };
            let branch = RefName::branch(&line.line);
            let (Some(commit), true) = (&line.fix_commit, repository.refs.iter().any(|moved| moved.name == branch))
            else {
                continue;
            };
            let copy = self.copies.get(&repository.upstream).ok_or(Error::NotFound)?;
            if !self.app.git.shows(copy, commit, &branch).await? {
                return Ok(amiss(format!(
                    "The advisory of {case} names {} as the fix on {}, and what is pushed there does not hold it.",
                    commit.short(),
                    line.line
                )));
            }
        }
        Ok(Outcome::Done(format!("{} files", files.len())))
    }

    /// Writes the letter to a seat.
    async fn tell(&mut self, case: &CaseId, seat: MemberId, key: &str) -> Result<Outcome> {
        let Some(address) = self.script.addresses.get(&seat).ok_or(Error::NotFound)? else {
            self.seen.letters += 1;
            return Ok(Outcome::Done("left no address".to_owned()));
        };
        let advisory = self.script.manifest.advisory_of(case).ok_or(Error::NotFound)?;
        let id: MailId = super::disclose::mail_id(self.script.manifest.dated_at, key);
        let letter = Letter {
            to: address.clone(),
            id,
            at: self.app.clock.now(),
            base_url: self.app.config.base_url.as_str().parse()?,
            notice: Notice::Disclosed { advisory: advisory.id.clone() },
        };
        Ok(match self.mailer.send(&letter).await {
            Ok(()) => Outcome::Done("in the outbox".to_owned()),
            Err(error) => amiss(format!("A letter could not be written: {error}.")),
        })
    }

    /// Publishes a post through the stand-in of its channel.
    async fn post(&mut self, channel: &Channel, post: &Post, at: (usize, usize), key: &str) -> Result<Outcome> {
        let files = self.script.posts.get(&at).ok_or(Error::NotFound)?.clone();
        let way = match &channel.way {
            Way::Folder { .. } => Way::Folder { folder: self.folder.path().join(channel.name.as_str()) },
            other => other.clone(),
        };
        if let Way::Folder { folder } = &way {
            std::fs::create_dir_all(folder).map_err(|error| Error::Internal(Box::new(error)))?;
        }
        let id = post.cases.first().and_then(|case| self.script.manifest.advisory_of(case)).map(|it| &it.id);
        let now = self.app.clock.now();
        let outcome = super::channel::through(&self.forge, &way, (key, files.clone(), now), id).await?;
        if let Way::Folder { folder } = &way {
            for (path, _) in &files {
                let there = tokio::fs::read(folder.join(path.as_str())).await;
                self.seen.heard.extend(there.ok().map(|bytes| Digest::of(&bytes)));
            }
        }
        Ok(outcome)
    }

    /// Collects what is there when everything has ended.
    async fn seen(mut self) -> Result<Seen> {
        for (upstream, copy) in &self.copies {
            self.seen.refs.insert(*upstream, self.app.git.moved_on(copy).await?);
        }
        self.seen.heard.extend(self.forge.heard());
        let keys: BTreeSet<_> = self.outbox.mails().iter().map(|letter| letter.id.to_string()).collect();
        self.seen.letters += keys.len();
        Ok(self.seen)
    }
}

fn amiss(note: String) -> Outcome {
    Outcome::Failed(HoldReason::NotReady, note)
}

/// Says how the last dress rehearsal went.
pub(super) fn view(dress: &Dress) -> DressView {
    DressView {
        outcome: dress.outcome.to_string(),
        note: dress.note.clone(),
        steps: dress.steps,
        milliseconds: u64::try_from(dress.took.as_millis()).unwrap_or_default(),
        tried_at: shown_at(dress.tried_at),
    }
}
