//! What a revision sets going: each channel that can take it is told by a job of its own, and people get a mail.
//!
//! Guards: a channel is looked at before it is told, never gets an older text after a newer one, and nobody else's text is
//! overwritten. A channel that is down is tried again for hours; one that says no calls a person.

use jiff::Timestamp;

use crate::app::App;
use crate::config::ProjectConfig;
use crate::domain::access::{Action, Consent, Grant, Holder, Role};
use crate::domain::actor::{Actor, Chore};
use crate::domain::amendment::RetellingState;
use crate::domain::channel::{Channel, ChannelName, ForgeKind, Way};
use crate::domain::digest::Digest;
use crate::domain::effect::{Outcome, Phase};
use crate::domain::id::ProjectId;
use crate::domain::job::Job;
use crate::domain::manifest::DocumentPath;
use crate::domain::plain::AdvisoryId;
use crate::domain::revision::RevisionKind;
use crate::forge::folder;
use crate::forge::repository::ForgeRepository;
use crate::forge::webhook::SigningKey;
use crate::notify::notice::Notice;
use crate::store::job::Settled;
use crate::store::retelling::{Retelling, RetoldFile};
use crate::store::{self, Rows, Tx};
use crate::workflow::rendering::Rendered;
use crate::workflow::{Error, Result, case, channel, mail, open};

const CHORE: Actor = Actor::System(Chore::Disclose);

/// Queues what the project's channels are told of a revision, as they are configured now.
pub(in crate::workflow) async fn channels(
    app: &App,
    tx: &mut Tx,
    grant: &Grant,
    revision: (&ProjectId, RevisionKind, u32),
    rendered: &Rendered,
) -> Result<()> {
    let (project, kind, number) = revision;
    let event = format!("advisory.{kind}");
    for channel in configured(app, project) {
        let told = (project, event.as_str(), number);
        let Some(files) = channel::retold(app, &channel.way, told, rendered)? else { continue };
        store::retelling::queue(tx, grant, (&rendered.id, number, &channel.name), &files).await?;
        let job = Job::Retell { advisory: rendered.id.clone(), revision: number, channel: channel.name };
        let now = tx.now();
        store::job::queue(tx, &job, now).await?;
    }
    Ok(())
}

/// Mails everybody with a seat in the case that there is news.
pub(in crate::workflow) async fn people(app: &App, tx: &mut Tx, grant: &Grant) -> Result<()> {
    case::notify_reporters(app, tx, grant).await?;
    let sealing = app.sealing(tx, grant).await?;
    for seat in store::member::of_case(tx, grant).await? {
        let Holder::Person(person) = seat.holder else { continue };
        if matches!(seat.consent, Consent::Declined | Consent::Invited) {
            continue;
        }
        let found = store::account::find(tx, person).await?;
        if let Some(address) = found.and_then(|person| person.email) {
            let letter = (&Notice::MemberNews, &address);
            mail::queue(app, tx, &sealing, (grant.case(), None), letter).await?;
        }
    }
    Ok(())
}

/// Tells one channel of a revision. Safe to repeat.
pub async fn run(app: &App, advisory: &AdvisoryId, revision: u32, name: &ChannelName) -> Result<Settled> {
    let mut rows = app.read().await?;
    let case = store::retelling::case_of(&mut rows, advisory).await?.ok_or(Error::NotFound)?;
    let grant = open(&mut rows, &CHORE, &case, Action::Maintain).await?;
    let listed = store::retelling::of_case(&mut rows, &grant).await?;
    let of = |row: &&Retelling| row.revision == revision && &row.channel == name;
    let Some(row) = listed.iter().find(of).filter(|row| row.state == RetellingState::Waiting) else {
        return Ok(Settled::Done);
    };
    let files = store::retelling::files(&mut rows, &grant, (revision, name)).await?;
    let earlier = earlier(&mut rows, advisory, revision).await?;
    let newest = store::revision::newest(&mut rows, advisory).await?.ok_or(Error::NotFound)?.number;
    let project = store::case::get(&mut rows, &grant).await?.project;
    drop(rows);
    let found = configured(app, &project).into_iter().find(|channel| &channel.name == name);
    let overtaken = |channel: &Channel| newest > revision && !matches!(channel.way, Way::Webhook { .. });
    let (state, note, again) = match found {
        None => (RetellingState::Failed, "The configuration no longer names this channel.".to_owned(), None),
        Some(channel) if overtaken(&channel) => {
            (RetellingState::Overtaken, "A later revision is told instead.".to_owned(), None)
        }
        Some(channel) => {
            let outcome = tell(app, (advisory, revision), &channel, (files, &earlier)).await;
            settled(outcome, row.attempts + 1, app.clock.now())
        }
    };
    app.crash.pass("retell:told");
    let mut tx = app.begin("amendment.told").await?;
    let grant = open(&mut tx, &CHORE, &case, Action::Maintain).await?;
    store::retelling::tried(&mut tx, &grant, (revision, name), (state, &note)).await?;
    if state == RetellingState::Failed {
        call(app, &mut tx, &grant).await?;
    }
    app.commit(tx).await?;
    tracing::info!(%advisory, revision, %state, "a channel was told of a revision");
    Ok(again.map_or(Settled::Done, |at| Settled::Retry(at, note)))
}

/// Tells one channel, after a look whether it knows.
async fn tell(
    app: &App,
    (advisory, revision): (&AdvisoryId, u32),
    channel: &Channel,
    (files, earlier): (Vec<RetoldFile>, &[String]),
) -> Outcome {
    let number = revision.to_be_bytes();
    let parts: [&[u8]; 4] =
        [b"embargo-retelling-1", advisory.as_str().as_bytes(), &number, channel.name.as_str().as_bytes()];
    let key = Digest::of_parts(&parts).to_string();
    let files: Vec<(DocumentPath, Vec<u8>)> =
        files.into_iter().map(|file| (file.path, file.text.into_bytes())).collect();
    let one = |files: Vec<(DocumentPath, Vec<u8>)>| files.into_iter().next().map(|(_, body)| body).unwrap_or_default();
    match &channel.way {
        Way::Folder { folder } => folder::publish(folder.clone(), key, files).await,
        Way::Webhook { url, secret_file } => match SigningKey::read(secret_file) {
            Ok(secret) => app.forge.deliver(url, &secret, (&key, one(files), app.clock.now())).await,
            Err(_) => channel::no_secret(),
        },
        Way::GitHubAdvisory { api, place, token_file } => {
            match ForgeRepository::open(ForgeKind::GitHub, api, place, token_file) {
                Ok(repository) => app.forge.revise_advisory(&repository, advisory, one(files), earlier).await,
                Err(_) => channel::no_secret(),
            }
        }
        Way::ForgeRelease { .. } => Outcome::Done("The notes of a tag stay as they are.".to_owned()),
    }
}

/// Says what a try comes to: the state, the note, and when it is tried again.
fn settled(outcome: Outcome, attempts: u32, now: Timestamp) -> (RetellingState, String, Option<Timestamp>) {
    let phase = Phase::PublishChannels;
    match outcome {
        Outcome::Done(note) | Outcome::PassedOver(note) => (RetellingState::Done, note, None),
        Outcome::Failed(_, note) => (RetellingState::Failed, note, None),
        Outcome::Again(note) | Outcome::Unknown(note) if attempts >= phase.patience() => {
            (RetellingState::Failed, note, None)
        }
        Outcome::Again(note) | Outcome::Unknown(note) => {
            (RetellingState::Waiting, note, Some(now + phase.pause(attempts)))
        }
    }
}

/// Reads the Markdown of every earlier revision: by it, a text elsewhere is known as ours.
async fn earlier(rows: &mut impl Rows, advisory: &AdvisoryId, revision: u32) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for number in 1..revision {
        let files = store::revision::files(rows, advisory, number).await?;
        let markdown = files.into_iter().filter(|file| file.document.media_type.starts_with("text/markdown"));
        texts.extend(markdown.map(|file| String::from_utf8_lossy(&file.body).into_owned()));
    }
    Ok(texts)
}

/// Mails the case's release managers that something waits for a person.
pub(in crate::workflow) async fn call(app: &App, tx: &mut Tx, grant: &Grant) -> Result<()> {
    let sealing = app.sealing(tx, grant).await?;
    for seat in store::member::of_case(tx, grant).await? {
        let Holder::Person(person) = seat.holder else { continue };
        let found = store::account::find(tx, person).await?.filter(|_| seat.role == Role::ReleaseManager);
        if let Some(address) = found.and_then(|person| person.email) {
            let letter = (&Notice::ReleaseHeld, &address);
            mail::queue(app, tx, &sealing, (grant.case(), None), letter).await?;
        }
    }
    Ok(())
}

fn configured(app: &App, project: &ProjectId) -> Vec<Channel> {
    // What is wrong in the configuration was said at the start.
    app.config.project(project).map(ProjectConfig::channels).and_then(std::result::Result::ok).unwrap_or_default()
}
