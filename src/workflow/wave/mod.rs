//! Waves: who hears of a release before its instant. Here they are set, dropped and shown; [`send`] tells the audiences, [`told`]
//! is what a recipient's link opens, [`news`] follows a release that moves or falls.

use std::collections::BTreeMap;

use super::disclose::manifest;
use super::readiness::{Gathered, gather, open_release};
use super::release::{MANIFEST, grant_of, wake_at_its_time};
use super::{Error, Result, shown_at};
use crate::app::{App, Unsealing};
use crate::config::AudienceOptions;
use crate::domain::access::{Action, Grants};
use crate::domain::actor::{Actor, Chore};
use crate::domain::audience::{Audience, AudienceName};
use crate::domain::embargo::Embargo;
use crate::domain::id::{CaseId, ReleaseId};
use crate::domain::manifest::Manifest;
use crate::domain::recipient::{RecipientState, Remark, Who};
use crate::domain::refusal::Refusal;
use crate::domain::release::{Frozen, Release, ReleaseState};
use crate::domain::wave::{self, Planned, Setting, Standing, Wave, WaveFacts};
use crate::store::recipient::Recipient;
use crate::store::{self, Rows, Tx};
use crate::wire::wave::{AnswerView, AudienceView, DropWave, RecipientView, SetWave, WaveView, WavesView};

pub mod copy;
pub mod news;
pub mod send;
pub mod told;

const CHORE: Actor = Actor::System(Chore::Announce);

/// The place of a recipient's sealed name and address.
const WHO: (&str, &str) = ("wave_recipient", "who");
/// The place of a sealed link, until its mail is settled.
const LINK: (&str, &str) = ("wave_recipient", "link");
/// The place of a sealed remark.
const REMARK: (&str, &str) = ("wave_answer", "remark");

/// Adds a wave to a planned or frozen release, or moves one that is there to another time. A frozen release is frozen anew with it.
pub async fn set(app: &App, actor: &Actor, id: &ReleaseId, wish: &SetWave) -> Result<()> {
    let (tx, found) = gather(app, actor, id, Action::PlanRelease, "wave.set").await?;
    let known = app.config.project(&found.release.project).and_then(|project| project.audience(&wish.audience));
    let audience = known.ok_or_else(|| {
        Refusal::input(format!(
            "The project has no audience {}: the operator names one as [[project.audience]] in the configuration.",
            wish.audience
        ))
    })?;
    let cases = &found.facts.cases;
    let embargoes: Vec<_> = cases.iter().map(|known| (known.case.clone(), known.embargo.clone())).collect();
    let approved =
        cases.iter().all(|known| known.advisory.digest.is_some() && known.advisory.digest == known.advisory.approved);
    let setting = Setting { audience: &audience, embargoes: &embargoes, approved, now: tx.now() };
    let wave = Wave { audience: wish.audience.clone(), level: wish.level, before: wish.before };
    let what = format!("set {} {} {}", wave.audience, wave.level, wave.before);
    let waves = wave::set(&found.release, &planned(&found.facts.waves), wave, setting)?;
    save(app, tx, actor, found, (waves, what)).await
}

/// Drops a wave that has not gone out. A frozen release is frozen anew without it.
pub async fn drop_wave(app: &App, actor: &Actor, id: &ReleaseId, wish: &DropWave) -> Result<()> {
    let (tx, found) = gather(app, actor, id, Action::PlanRelease, "wave.drop").await?;
    let which = (&wish.audience, wish.level);
    let (gone, waves) = wave::drop_wave(&found.release, &planned(&found.facts.waves), which)?;
    save(app, tx, actor, found, (waves, format!("drop {} {}", gone.audience, gone.level))).await
}

/// Shows the waves of a release to its managers, with everybody who was told and what they said.
pub async fn show(app: &App, actor: &Actor, id: &ReleaseId) -> Result<WavesView> {
    let mut tx = app.begin("wave.show").await?;
    let (release, grants) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    let waves = facts(app, &mut tx, (&release, &grants)).await?;
    let embargoes = embargoes(&mut tx, &grants).await?;
    let recipients = store::recipient::of_release(&mut tx, &grants, id).await?;
    let keys = unsealings(app, &mut tx, &grants, &recipients).await?;
    let mut shown = Vec::new();
    for recipient in &recipients {
        shown.push(recipient_view(&mut tx, &keys, recipient).await?);
    }
    let now = tx.now();
    app.commit(tx).await?;
    let known = app.config.project(&release.project).map(|project| project.audiences.as_slice()).unwrap_or_default();
    let audiences = known.iter().map(|options| (options.audience(), options.members.len()));
    Ok(WavesView {
        release: release.id.to_string(),
        due_at: shown_at(release.due_at),
        may_change: matches!(release.state, ReleaseState::Planned | ReleaseState::Frozen),
        audiences: audiences.chain([(Audience::public(), 0)]).map(audience_view).collect(),
        waves: waves.iter().map(|wave| wave_view(&release, &embargoes, (wave, &recipients), now)).collect(),
        recipients: shown,
    })
}

/// Shows the waves of a release on its page.
pub(super) async fn views(
    tx: &mut Tx,
    of: (&Release, &Grants),
    known: (&[WaveFacts], &[(CaseId, Embargo)]),
) -> Result<Vec<WaveView>> {
    let (release, grants) = of;
    let recipients = store::recipient::of_release(tx, grants, &release.id).await?;
    let now = tx.now();
    Ok(known.0.iter().map(|wave| wave_view(release, known.1, (wave, &recipients), now)).collect())
}

/// Reads the waves of a release, each with its audience as the configuration knows it now.
pub(super) async fn facts(app: &App, rows: &mut impl Rows, of: (&Release, &Grants)) -> Result<Vec<WaveFacts>> {
    let (release, grants) = of;
    let project = app.config.project(&release.project);
    let planned = store::wave::of_release(rows, grants, &release.id).await?;
    let known = planned.into_iter().map(|planned| WaveFacts {
        audience: project.and_then(|project| project.audience(&planned.wave.audience)),
        planned,
    });
    Ok(known.collect())
}

/// Reads the agreements on the dates of the cases of a release.
async fn embargoes(rows: &mut impl Rows, grants: &Grants) -> Result<Vec<(CaseId, Embargo)>> {
    let mut embargoes = Vec::new();
    for grant in grants.each() {
        let case = store::case::get(rows, grant).await?;
        embargoes.push((case.id, case.embargo));
    }
    Ok(embargoes)
}

/// Finds an audience in the configuration as it is now, with its members.
fn members<'a>(app: &'a App, release: &Release, audience: &AudienceName) -> Option<&'a AudienceOptions> {
    app.config.project(&release.project)?.members_of(audience)
}

fn planned(facts: &[WaveFacts]) -> Vec<Planned> {
    facts.iter().map(|known| known.planned.clone()).collect()
}

/// Seals who was told of a release, and what they said, under the key of a case that stays: one leaves it.
pub(super) async fn keep(app: &App, tx: &mut Tx, of: (&Release, &Grants), leaving: &CaseId) -> Result<()> {
    let (release, grants) = of;
    let mut told = store::recipient::of_release(tx, grants, &release.id).await?;
    told.retain(|recipient| &recipient.case == leaving);
    let Some(stays) = release.cases.iter().find(|case| *case != leaving).filter(|_| !told.is_empty()) else {
        return Ok(());
    };
    let keys = unsealings(app, tx, grants, &told).await?;
    let unsealing = keys.get(leaving).ok_or(Error::NotFound)?;
    let grant = grant_of(grants, stays)?;
    let sealing = app.sealing(tx, grant).await?;
    for recipient in &told {
        let row = recipient.id.to_string();
        let who = sealing.seal(WHO, &row, &who(&keys, recipient)?)?;
        store::recipient::reseal(tx, grant, recipient, &who).await?;
        for answered in store::recipient::answers(tx, recipient).await? {
            let Some(remark) = &answered.remark else { continue };
            let remark: Remark = unsealing.open(REMARK, &row, remark)?;
            let sealed = sealing.seal(REMARK, &row, &remark)?;
            store::recipient::reseal_remark(tx, recipient, answered.advisory.as_ref(), &sealed).await?;
        }
    }
    Ok(())
}

/// Saves other waves of a release: with them the manifest of a frozen one, whose digest then is another.
async fn save(app: &App, mut tx: Tx, actor: &Actor, found: Gathered, next: (Vec<Planned>, String)) -> Result<()> {
    let Gathered { release, grants, .. } = found;
    let (waves, what) = next;
    let id = release.id.clone();
    let frozen = if release.frozen.is_some() {
        let before = manifest(app, &mut tx, &grants, &release).await?;
        let manifest = Manifest { waves: waves.iter().map(|planned| planned.wave.clone()).collect(), ..before };
        manifest.check()?;
        let sealing = app.sealing(&mut tx, grant_of(&grants, &release.cases[0])?).await?;
        let sealed = sealing.seal(MANIFEST, &id.to_string(), &manifest)?;
        Some(Frozen { lasting: manifest.lasting_digest(), sealed })
    } else {
        None
    };
    store::wave::write(&mut tx, &grants, &id, &waves).await?;
    let release = store::release::save(&mut tx, actor, release.announce(what, frozen)?).await?;
    wake_at_its_time(&mut tx, &release).await?;
    Ok(app.commit(tx).await?)
}

fn audience_view((audience, members): (Audience, usize)) -> AudienceView {
    AudienceView {
        name: audience.name.to_string(),
        criteria: audience.criteria.to_string(),
        level: audience.level.to_string(),
        longest: audience.longest.to_string(),
        members,
    }
}

fn wave_view(
    release: &Release,
    embargoes: &[(CaseId, Embargo)],
    known: (&WaveFacts, &[Recipient]),
    now: jiff::Timestamp,
) -> WaveView {
    let (facts, recipients) = known;
    let wave = &facts.planned.wave;
    let standing = facts.standing(release, embargoes, now);
    let at = match &standing {
        Standing::Ahead(at) | Standing::Sent(at) => *at,
        Standing::Due | Standing::Unfrozen | Standing::Undated(_) | Standing::Wrong(_) | Standing::PassedOver => {
            wave.before.before(release.due_at)
        }
    };
    let of = |recipient: &&Recipient| {
        recipient.audience == wave.audience && recipient.level == wave.level && recipient.ended_at.is_none()
    };
    let count = |state: Option<RecipientState>| {
        recipients.iter().filter(of).filter(|recipient| state.is_none_or(|state| recipient.state == state)).count()
    };
    WaveView {
        audience: wave.audience.to_string(),
        level: wave.level.to_string(),
        before: wave.before.to_string(),
        at: shown_at(at),
        state: standing.word().to_owned(),
        note: standing.note(),
        told: count(None),
        acknowledged: count(Some(RecipientState::Acknowledged)),
        failed: count(Some(RecipientState::Failed)),
    }
}

/// Opens the cases under which recipients are sealed, each once.
async fn unsealings(app: &App, tx: &mut Tx, grants: &Grants, of: &[Recipient]) -> Result<BTreeMap<CaseId, Unsealing>> {
    let mut keys = BTreeMap::new();
    for recipient in of {
        if !keys.contains_key(&recipient.case) {
            keys.insert(recipient.case.clone(), app.unsealing(tx, grant_of(grants, &recipient.case)?).await?);
        }
    }
    Ok(keys)
}

/// Reads who a recipient is.
fn who(keys: &BTreeMap<CaseId, Unsealing>, recipient: &Recipient) -> Result<Who> {
    let unsealing = keys.get(&recipient.case).ok_or(Error::NotFound)?;
    Ok(unsealing.open(WHO, &recipient.id.to_string(), &recipient.who)?)
}

async fn recipient_view(
    tx: &mut Tx,
    keys: &BTreeMap<CaseId, Unsealing>,
    recipient: &Recipient,
) -> Result<RecipientView> {
    let unsealing = keys.get(&recipient.case).ok_or(Error::NotFound)?;
    let who = who(keys, recipient)?;
    let mut answers = Vec::new();
    for answered in store::recipient::answers(tx, recipient).await? {
        let remark: Option<Remark> = match &answered.remark {
            Some(sealed) => Some(unsealing.open(REMARK, &recipient.id.to_string(), sealed)?),
            None => None,
        };
        answers.push(AnswerView {
            advisory: answered.advisory.map(|id| id.to_string()),
            answer: answered.affect.to_string(),
            remark: remark.map(|remark| remark.as_str().to_owned()),
            answered_at: shown_at(answered.answered_at),
        });
    }
    Ok(RecipientView {
        id: recipient.id.to_string(),
        audience: recipient.audience.to_string(),
        level: recipient.level.to_string(),
        name: who.name.to_string(),
        state: recipient.state.to_string(),
        told_at: shown_at(recipient.told_at),
        opened_at: recipient.opened_at.map(shown_at),
        acknowledged_at: recipient.acknowledged_at.map(shown_at),
        reminded_at: recipient.reminded_at.map(shown_at),
        ended_at: recipient.ended_at.map(shown_at),
        answers,
    })
}
