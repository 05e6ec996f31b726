//! Channels of a release: frozen with it, published by its run, given up by a person.
//!
//! Guards: what is published is, byte for byte, what was frozen, and goes where the manifest says, whatever the configuration
//! says by then. Leaves the order to `domain::effect` and speaking to the outside to `forge`.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::disclose::{Run, call};
use super::readiness::open_release;
use super::release::{grant_of, wake_at_its_time};
use super::{Error, Result, open};
use crate::app::App;
use crate::domain::access::{Action, Grants};
use crate::domain::actor::{Actor, Chore};
use crate::domain::awaited::AwaitedName;
use crate::domain::channel::{Channel, ChannelName, ForgeKind, Post, Way};
use crate::domain::digest::Digest;
use crate::domain::effect::{Effect, EffectState, Outcome, Target, outside_next};
use crate::domain::hold::{Hold, HoldReason};
use crate::domain::id::ReleaseId;
use crate::domain::manifest::{DocumentPath, Manifest};
use crate::domain::plain::AdvisoryId;
use crate::domain::refusal::Refusal;
use crate::domain::release::{Release, ReleaseState};
use crate::forge::repository::ForgeRepository;
use crate::forge::webhook::SigningKey;
use crate::forge::{Forge, folder};
use crate::store::publication::DocumentText;
use crate::store::{self, Tx};

mod prepare;

pub(super) use prepare::{Prepared, prepare, retold};

const CHORE: Actor = Actor::System(Chore::Disclose);
/// The place of a sealed file of a channel.
const BODY: (&str, &str) = ("channel_document", "body");

/// Keeps what the channels will publish, sealed, in place of what an earlier freezing kept.
pub(super) async fn freeze(
    app: &App,
    tx: &mut Tx,
    release: (&ReleaseId, &Grants),
    prepared: &[Prepared],
) -> Result<()> {
    let (id, grants) = release;
    store::channel::clear(tx, id).await?;
    for Prepared { frozen, texts } in prepared {
        let name = &frozen.channel.name;
        for (post, texts) in frozen.posts.iter().zip(texts) {
            let grant = grant_of(grants, post.cases.first().ok_or(Error::Conflict)?)?;
            let sealing = app.sealing(tx, grant).await?;
            for (document, text) in post.documents.iter().zip(texts) {
                let sealed = sealing.seal(BODY, &row(name, &document.path), text)?;
                store::channel::freeze(tx, grant, (id, name, &document.path), &sealed).await?;
            }
        }
    }
    Ok(())
}

/// Names the channels of a release: those it was frozen with, and before that those it would be frozen with now.
pub(super) async fn names(app: &App, tx: &mut Tx, release: &Release, grants: &Grants) -> Result<Vec<String>> {
    let names = if release.frozen.is_some() {
        store::channel::names(tx, grants, &release.id).await?
    } else {
        let settings = app.config.project(&release.project);
        settings
            .map(|settings| settings.channels.iter().map(|channel| channel.name.clone()).collect())
            .unwrap_or_default()
    };
    Ok(names.iter().map(ToString::to_string).collect())
}

/// Names the row that a file is sealed for.
fn row(channel: &ChannelName, path: &DocumentPath) -> String {
    format!("{channel}/{path}")
}

/// Reads back what was frozen for a post; an error unless it is what the manifest names.
pub(super) async fn files(
    app: &App,
    release: &ReleaseId,
    channel: &Channel,
    post: &Post,
) -> Result<Vec<(DocumentPath, Vec<u8>)>> {
    let mut tx = app.begin("channel.files").await?;
    let grant = open(&mut tx, &CHORE, post.cases.first().ok_or(Error::NotFound)?, Action::Maintain).await?;
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let mut files = Vec::new();
    for document in &post.documents {
        let place = (release, &channel.name, &document.path);
        let sealed = store::channel::frozen(&mut tx, &grant, place).await?.ok_or(Error::NotFound)?;
        let text: DocumentText = unsealing.open(BODY, &row(&channel.name, &document.path), &sealed)?;
        let bytes = text.into_bytes();
        if Digest::of(&bytes) != document.sha256 {
            return Err(store::Error::Inconsistent { table: "channel_document", column: "body" }.into());
        }
        files.push((document.path.clone(), bytes));
    }
    app.commit(tx).await?;
    Ok(files)
}

/// Publishes what one effect is about, after a look whether it is there.
pub(super) async fn publish(app: &App, manifest: &Manifest, effect: &Effect) -> Result<Outcome> {
    let Target::Channel(name, subject) = &effect.target else { return Err(Error::NotFound) };
    let (channel, post) = manifest.post(name, subject).ok_or(Error::NotFound)?;
    let files = files(app, &manifest.release, channel, post).await?;
    let id = post.cases.first().and_then(|case| manifest.advisory_of(case)).map(|advisory| &advisory.id);
    through(&app.forge, &channel.way, (&effect.key, files, app.clock.now()), id).await
}

/// Publishes files through a channel, under a key that is the same for every try; `id` is that of the advisory they tell of.
pub(super) async fn through(
    forge: &Forge,
    way: &Way,
    (key, files, now): (&str, Vec<(DocumentPath, Vec<u8>)>, Timestamp),
    id: Option<&AdvisoryId>,
) -> Result<Outcome> {
    let one = |files: Vec<(DocumentPath, Vec<u8>)>| files.into_iter().next().map(|(_, body)| body).unwrap_or_default();
    Ok(match way {
        Way::Folder { folder } => folder::publish(folder.clone(), key.to_owned(), files).await,
        Way::Webhook { url, secret_file } => match SigningKey::read(secret_file) {
            Ok(secret) => forge.deliver(url, &secret, (key, one(files), now)).await,
            Err(_) => no_secret(),
        },
        Way::ForgeRelease { forge: kind, api, place, token_file, .. } => {
            match ForgeRepository::open(*kind, api, place, token_file) {
                Ok(repository) => forge.release(&repository, one(files)).await,
                Err(_) => no_secret(),
            }
        }
        Way::GitHubAdvisory { api, place, token_file } => {
            match ForgeRepository::open(ForgeKind::GitHub, api, place, token_file) {
                Ok(repository) => forge.advisory(&repository, id.ok_or(Error::NotFound)?, one(files)).await,
                Err(_) => no_secret(),
            }
        }
    })
}

pub(super) fn no_secret() -> Outcome {
    Outcome::Again("The channel's secret cannot be read or used: see to its file, mode 0600.".to_owned())
}

/// Somebody outside who is asked for one thing after the other.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Stranger<'a> {
    Channel(&'a ChannelName),
    Registry(&'a AwaitedName),
}

impl Run<'_> {
    /// Publishes through all channels and looks for all packages at once, one thing after the other in each: none waits for
    /// another.
    ///
    /// A channel that does not take something is left for now, so that nothing else waits for all it could be slow at.
    pub(super) async fn outside(&self, effects: &[Effect], now: Timestamp) -> Result<()> {
        let mut chains: BTreeMap<Stranger<'_>, Vec<&Effect>> = BTreeMap::new();
        for effect in outside_next(effects, now) {
            let stranger = match &effect.target {
                Target::Channel(name, _) => Stranger::Channel(name),
                Target::Package(name, ..) => Stranger::Registry(name),
                Target::Repository(_) | Target::Site(_) | Target::Seat(..) | Target::Case(_) => continue,
            };
            chains.entry(stranger).or_default().push(effect);
        }
        let chains = chains.into_values().map(async |chain| {
            for effect in chain {
                if self.act(effect.clone()).await? != EffectState::Done {
                    break;
                }
            }
            Ok(())
        });
        join_all(chains).await.into_iter().collect()
    }
}

/// Calls those who can act when the first thing fails for good: the rest may be tried for hours before the release is held.
pub(super) async fn failed(app: &App, tx: &mut Tx, id: &ReleaseId) -> Result<()> {
    let (release, grants) = open_release(tx, &CHORE, id, Action::Maintain).await?;
    let effects = store::effect::of_release(tx, &grants, id).await?;
    let failed = |effect: &&Effect| effect.phase.outside() && effect.state == EffectState::Failed;
    if effects.iter().filter(failed).count() == 1 {
        call(app, tx, &release).await?;
    }
    Ok(())
}

/// Tells whether a person may give this up: it is a stranger's part, was tried, and its release is not done.
pub(super) fn may_be_given_up(release: &Release, effect: &Effect) -> bool {
    being_published(release) && effect.attempts > 0 && effect.clone().give_up().is_ok()
}

fn being_published(release: &Release) -> bool {
    match release.state {
        ReleaseState::Running | ReleaseState::Held => true,
        ReleaseState::Planned
        | ReleaseState::Frozen
        | ReleaseState::Armed
        | ReleaseState::Done
        | ReleaseState::Abandoned => false,
    }
}

/// Gives up what one channel did not take or one registry does not have; the release goes on if nothing else holds it.
pub async fn give_up(app: &App, actor: &Actor, id: &ReleaseId, position: u32) -> Result<()> {
    let mut tx = app.begin("release.give_up").await?;
    let (release, grants) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    if !being_published(&release) {
        return Err(Refusal::moment("Nothing of this release is being published.").into());
    }
    let mut effects = store::effect::of_release(&mut tx, &grants, id).await?;
    let found = effects.iter_mut().find(|effect| effect.position == position);
    let effect = found.ok_or_else(|| Refusal::input("The journal has no step of this number."))?;
    *effect = effect.clone().give_up()?;
    store::effect::give_up(&mut tx, actor, id, effect).await?;
    let fails = effects.iter().any(|effect| effect.state == EffectState::Failed && effect.phase.holds());
    let for_strangers = |hold: &Hold| matches!(hold.reason, HoldReason::Channel | HoldReason::Package);
    let waits_for_it = release.hold.as_ref().is_some_and(for_strangers) && !fails;
    let release = if waits_for_it { store::release::save(&mut tx, actor, release.resume()?).await? } else { release };
    wake_at_its_time(&mut tx, &release).await?;
    Ok(app.commit(tx).await?)
}
