//! What a recipient's personal link opens: what they may know, and what they answer.
//!
//! Guards: the link is looked up by the hash of its code, and whatever it cannot open ends the same way, whether it never was, is
//! over, or belongs to somebody who is in the audience no more. What is shown is of the recipient's own level, and nothing of any
//! other audience.

use super::send::{lines, severest};
use super::{CHORE, REMARK, members, unsealings, who};
use crate::app::{App, Unsealing};
use crate::crypto::recipient::AgeRecipient;
use crate::crypto::token::{self, Kind};
use crate::domain::access::{Action, Grants};
use crate::domain::audience::Level;
use crate::domain::id::{RecipientId, ReleaseId};
use crate::domain::manifest::Manifest;
use crate::domain::plain::AdvisoryId;
use crate::domain::recipient::{Answer, Remark, Who, named};
use crate::domain::release::{Release, ReleaseState};
use crate::domain::sealed::Secret;
use crate::notify::told::Severest;
use crate::store::recipient::Recipient;
use crate::store::{self, Tx};
use crate::wire::wave::{QuestionView, ToldLineView, ToldView};
use crate::workflow::disclose::manifest;
use crate::workflow::readiness::{Layout, open_release};
use crate::workflow::{Error, Result, shown_at};

/// What a link opens.
pub enum Opened {
    /// What its recipient may know.
    Told(Box<ToldView>),
    /// Nothing that is secret any more: these advisories are public.
    Public(Vec<AdvisoryId>),
    /// Nothing: unknown, over, or called off.
    Nothing,
}

/// A link that was found.
enum Found {
    Live(Box<Copy>),
    Public(Vec<AdvisoryId>),
    Nothing,
}

/// Everything about one recipient whose link is good.
pub(super) struct Copy {
    /// The release.
    pub(super) release: Release,
    /// The grants it was found under, of the server's own chore.
    pub(super) grants: Grants,
    /// The recipient.
    pub(super) recipient: Recipient,
    /// Who they are.
    pub(super) who: Who,
    /// What they may know: no more than their audience may by now.
    pub(super) level: Level,
    /// The key their files are encrypted to, as the configuration names it now.
    pub(super) key: Option<AgeRecipient>,
    /// What was frozen.
    pub(super) manifest: Manifest,
    /// What the recipient's row is sealed with.
    unsealing: Unsealing,
}

impl Copy {
    /// Names the advisories of the release by their public ids.
    fn advisories(&self) -> Vec<AdvisoryId> {
        self.manifest.advisories.iter().map(|advisory| advisory.id.clone()).collect()
    }
}

/// Opens a link, and notes when it was opened for the first time.
pub async fn open(app: &App, code: &Secret) -> Result<Opened> {
    let Some(known) = lookup(app, code).await? else { return Ok(Opened::Nothing) };
    let mut tx = app.begin("told.open").await?;
    let opened = match find(app, &mut tx, known).await? {
        Found::Nothing => Opened::Nothing,
        Found::Public(advisories) => Opened::Public(advisories),
        Found::Live(copy) => {
            store::recipient::opened(&mut tx, &CHORE, &copy.recipient).await?;
            Opened::Told(Box::new(view(app, &mut tx, &copy).await?))
        }
    };
    app.commit(tx).await?;
    Ok(opened)
}

/// Notes that a recipient acknowledges.
pub async fn acknowledge(app: &App, code: &Secret) -> Result<()> {
    let (mut tx, copy) = live(app, code, "told.acknowledge").await?;
    store::recipient::acknowledge(&mut tx, &CHORE, &copy.recipient).await?;
    Ok(app.commit(tx).await?)
}

/// Takes how an advisory concerns a recipient; who answers has acknowledged.
pub async fn answer(app: &App, code: &Secret, answer: &Answer) -> Result<()> {
    let (mut tx, copy) = live(app, code, "told.answer").await?;
    answer.check(copy.level, &copy.advisories())?;
    let remark = match &answer.remark {
        Some(remark) => Some(copy.unsealing.seal(REMARK, &copy.recipient.id.to_string(), remark)?),
        None => None,
    };
    store::recipient::acknowledge(&mut tx, &CHORE, &copy.recipient).await?;
    let said = (answer.advisory.as_ref(), answer.affect);
    store::recipient::answer(&mut tx, &CHORE, &copy.recipient, said, remark.as_ref()).await?;
    Ok(app.commit(tx).await?)
}

/// Finds the recipient of a link that is good; whatever else it is ends as one error.
pub(super) async fn live(app: &App, code: &Secret, name: &'static str) -> Result<(Tx, Copy)> {
    let known = lookup(app, code).await?.ok_or(Error::NotFound)?;
    let mut tx = app.begin(name).await?;
    match find(app, &mut tx, known).await? {
        Found::Live(copy) => Ok((tx, *copy)),
        Found::Public(_) | Found::Nothing => Err(Error::NotFound),
    }
}

/// Looks a link up by its hash. Whoever tries codes gets as far as this read, and keeps nobody from writing.
async fn lookup(app: &App, code: &Secret) -> Result<Option<(RecipientId, ReleaseId)>> {
    let Ok(hash) = token::digest(Kind::Wave, code.expose().trim()) else { return Ok(None) };
    let mut rows = app.read().await?;
    Ok(store::recipient::by_link(&mut rows, hash.as_bytes()).await?)
}

async fn find(app: &App, tx: &mut Tx, (id, release): (RecipientId, ReleaseId)) -> Result<Found> {
    let (release, grants) = open_release(tx, &CHORE, &release, Action::Maintain).await?;
    let Some(recipient) = super::send::find(tx, &grants, (&release, id)).await? else { return Ok(Found::Nothing) };
    let ended = match release.state {
        ReleaseState::Planned | ReleaseState::Abandoned => true,
        ReleaseState::Frozen
        | ReleaseState::Armed
        | ReleaseState::Running
        | ReleaseState::Held
        | ReleaseState::Done => recipient.ended_at.is_some(),
    };
    if ended {
        return Ok(Found::Nothing);
    }
    let manifest = manifest(app, tx, &grants, &release).await?;
    if release.public_at.is_some() {
        return Ok(Found::Public(manifest.advisories.into_iter().map(|advisory| advisory.id).collect()));
    }
    let mut keys = unsealings(app, tx, &grants, std::slice::from_ref(&recipient)).await?;
    let who = who(&keys, &recipient)?;
    let audience = members(app, &release, &recipient.audience);
    let member = audience.and_then(|audience| Some((audience.level, audience.member(&who.email)?)));
    let (Some((most, member)), Some(unsealing)) = (member, keys.remove(&recipient.case)) else {
        return Ok(Found::Nothing);
    };
    let (level, key) = (recipient.level.min(most), member.key.clone());
    Ok(Found::Live(Box::new(Copy { release, grants, recipient, who, level, key, manifest, unsealing })))
}

async fn view(app: &App, tx: &mut Tx, copy: &Copy) -> Result<ToldView> {
    let layout = Layout::of(tx, &copy.release.project).await?;
    let severity = match copy.level {
        Level::Date => Severest::Untold,
        Level::Severity | Level::Text | Level::Patches => {
            severest(app, tx, &copy.grants).await?.map_or(Severest::Unrated, Severest::Rated)
        }
    };
    let lines = lines(&copy.release, &layout)?.into_iter().map(|line| ToldLineView {
        repository: line.repository.to_string(),
        line: line.line.to_string(),
        tag: line.tag.to_string(),
    });
    Ok(ToldView {
        project: layout.project.name.clone(),
        name: copy.who.name.to_string(),
        level: copy.level.to_string(),
        due_at: shown_at(copy.release.due_at),
        lines: lines.collect(),
        severity: severity.word().map(str::to_owned),
        acknowledged_at: copy.recipient.acknowledged_at.map(shown_at),
        questions: questions(tx, copy).await?,
        key: copy.key.as_ref().filter(|_| copy.level.is_encrypted()).map(|key| key.fingerprint().to_owned()),
    })
}

/// Lists what a recipient is asked about: each advisory they may know of, or the release as a whole.
async fn questions(tx: &mut Tx, copy: &Copy) -> Result<Vec<QuestionView>> {
    let said = store::recipient::answers(tx, &copy.recipient).await?;
    let advisories = copy.advisories();
    let known = named(copy.level, &advisories);
    let about: Vec<Option<&AdvisoryId>> = if known.is_empty() { vec![None] } else { known.iter().map(Some).collect() };
    let mut questions = Vec::new();
    for advisory in about {
        let last = said.iter().find(|answered| answered.advisory.as_ref() == advisory);
        let remark: Option<Remark> = match last.and_then(|answered| answered.remark.as_ref()) {
            Some(sealed) => Some(copy.unsealing.open(REMARK, &copy.recipient.id.to_string(), sealed)?),
            None => None,
        };
        questions.push(QuestionView {
            advisory: advisory.map(ToString::to_string),
            answer: last.map(|answered| answered.affect.to_string()),
            remark: remark.map(|remark| remark.as_str().to_owned()),
        });
    }
    Ok(questions)
}
