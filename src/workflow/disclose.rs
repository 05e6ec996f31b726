//! Disclosure: the run at the instant. A loop of look, act, write down; a crash anywhere is a restart of the loop.
//!
//! Guards: nothing begins that is not written down as begun, nothing is begun again without a look, the point of no return
//! is recorded before the first push, and only the run that holds the fence writes. The order is the journal's
//! ([`crate::domain::effect::next`]); this file does what it says.

use super::begin::{Begun, LEAD, begin};
use super::public::{Public, Stand};
use super::readiness::open_release;
use super::release::{DOCUMENT, MANIFEST};
use super::{Error, Result, open};
use crate::app::App;
use crate::domain::access::{Action, Consent, Grants, Holder, Role};
use crate::domain::actor::{Actor, Chore};
use crate::domain::digest::Digest;
use crate::domain::effect::{Effect, EffectState, Next, Outcome, Phase, Recipient, Target, next, nothing_public};
use crate::domain::hold::{Hold, HoldReason};
use crate::domain::id::{CaseId, MailId, MemberId, Minted, ReleaseId};
use crate::domain::job::Job;
use crate::domain::manifest::Manifest;
use crate::domain::release::{Release, ReleaseState};
use crate::notify::notice::Notice;
use crate::store::effect::Fence;
use crate::store::job::Settled;
use crate::store::{self, Tx};

const CHORE: Actor = Actor::System(Chore::Disclose);
/// A run in progress: what it may write, and what it was armed with.
pub(super) struct Run<'a> {
    app: &'a App,
    fence: Fence,
    manifest: Manifest,
}

/// Queues the run of every armed release whose instant has come, and of every run that was interrupted.
pub async fn wake(app: &App) -> Result<()> {
    let mut tx = app.begin("disclose.wake").await?;
    let now = tx.now();
    for release in store::release::due(&mut tx, now).await? {
        store::job::queue(&mut tx, &Job::Disclose { release }, now).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Performs a release's disclosure, or goes on with it. Safe to repeat, and to run twice at once.
pub async fn run(app: &App, id: &ReleaseId) -> Result<Settled> {
    let mut rows = app.read().await?;
    let (release, _) = open_release(&mut rows, &CHORE, id, Action::Maintain).await?;
    drop(rows);
    match release.state {
        ReleaseState::Armed if app.clock.now() < release.due_at - LEAD => {
            return Ok(Settled::Retry(release.due_at - LEAD, "armed".to_owned()));
        }
        ReleaseState::Armed => {
            if let Begun::Early(at) = begin(app, id).await? {
                return Ok(Settled::Retry(at, "armed".to_owned()));
            }
        }
        ReleaseState::Running => {}
        ReleaseState::Planned
        | ReleaseState::Frozen
        | ReleaseState::Held
        | ReleaseState::Done
        | ReleaseState::Abandoned => return Ok(Settled::Done),
    }
    let mut tx = app.begin("disclose.take").await?;
    let Some(fence) = store::effect::take(&mut tx, id).await? else { return Ok(Settled::Done) };
    let (release, grants) = open_release(&mut tx, &CHORE, id, Action::Maintain).await?;
    let manifest = manifest(app, &mut tx, &grants, &release).await;
    app.commit(tx).await?;
    let run = match manifest {
        Ok(manifest) => Run { app, fence, manifest },
        Err(error) => {
            tracing::error!(release = %id, error = &error as &dyn std::error::Error, "the manifest could not be read");
            let note = "The manifest could not be read, or is not what was armed.".to_owned();
            hold(app, id, Hold { reason: HoldReason::Trouble, note }).await?;
            return Ok(Settled::Done);
        }
    };
    run.perform().await
}

/// Opens the manifest and checks that it is, byte for byte, the one that was armed.
pub(super) async fn manifest(app: &App, tx: &mut Tx, grants: &Grants, release: &Release) -> Result<Manifest> {
    let first = grants.each().iter().find(|grant| grant.case() == &release.cases[0]).ok_or(Error::NotFound)?;
    let frozen = release.frozen.as_ref().ok_or(Error::Conflict)?;
    let unsealing = app.unsealing(tx, first).await?;
    let manifest: Manifest = unsealing.open(MANIFEST, &release.id.to_string(), &frozen.sealed)?;
    let armed = release.armings.iter().all(|arming| arming.digest == frozen.lasting);
    if manifest.lasting_digest() == frozen.lasting && armed { Ok(manifest) } else { Err(Error::Conflict) }
}

/// Lists whom to tell: the reporters and members of each case who can be reached.
pub(super) async fn recipients(tx: &mut Tx, grants: &Grants) -> Result<Vec<Recipient>> {
    let mut recipients = Vec::new();
    for grant in grants.each() {
        for seat in store::member::of_case(tx, grant).await? {
            if seat.consent != Consent::Declined {
                recipients.push(Recipient { seat: seat.id, case: grant.case().clone() });
            }
        }
    }
    Ok(recipients)
}

/// Holds a run, taking the point of no return back where nothing became public, and calls those who can act.
async fn hold(app: &App, id: &ReleaseId, hold: Hold) -> Result<()> {
    let mut tx = app.begin("disclose.hold").await?;
    let (release, grants) = open_release(&mut tx, &CHORE, id, Action::Maintain).await?;
    if release.state != ReleaseState::Running {
        return Ok(());
    }
    let effects = store::effect::of_release(&mut tx, &grants, id).await?;
    let change = match nothing_public(&effects) {
        Some(proof) => release.retreat(proof, hold)?,
        None => release.hold(Hold { reason: hold.reason.once_public(), ..hold })?,
    };
    let held = store::release::save(&mut tx, &CHORE, change).await?;
    // For a channel or a package they were called when it failed.
    let called = |hold: &Hold| matches!(hold.reason, HoldReason::Channel | HoldReason::Package | HoldReason::Hook);
    if !held.hold.as_ref().is_some_and(called) {
        call(app, &mut tx, &held).await?;
    }
    tracing::error!(release = %id, "a release is held: somebody must act");
    Ok(app.commit(tx).await?)
}

/// Mails the release managers of the first case that something needs them.
pub(super) async fn call(app: &App, tx: &mut Tx, release: &Release) -> Result<()> {
    let grant = open(tx, &CHORE, &release.cases[0], Action::Maintain).await?;
    let sealing = app.sealing(tx, &grant).await?;
    for seat in store::member::of_case(tx, &grant).await? {
        let Holder::Person(person) = seat.holder else { continue };
        if seat.role != Role::ReleaseManager {
            continue;
        }
        let found = store::account::find(tx, person).await?;
        if let Some(address) = found.and_then(|person| person.email) {
            let letter = (&Notice::ReleaseHeld, &address);
            super::mail::queue(app, tx, &sealing, (grant.case(), Some(&release.id)), letter).await?;
        }
    }
    Ok(())
}

impl Run<'_> {
    /// Goes on until all is done, until something is to be waited for, or until a person is needed.
    async fn perform(&self) -> Result<Settled> {
        loop {
            let effects = self.effects().await?;
            let now = self.app.clock.now();
            match next(&effects, now) {
                Next::Act(effect) | Next::Look(effect) if effect.phase.outside() => {
                    self.outside(&effects, now).await?;
                }
                Next::Act(effect) => {
                    self.act(effect.clone()).await?;
                }
                Next::Look(effect) => match self.look(effect).await? {
                    Some(outcome) => {
                        let effect = self.start(effect.clone()).await?;
                        self.end(effect, outcome).await?;
                    }
                    None => {
                        self.act(effect.clone()).await?;
                    }
                },
                Next::Wait(at) => return Ok(Settled::Retry(at, "an effect is tried again".to_owned())),
                Next::Hold(effect) => {
                    let reason = effect.reason.unwrap_or(HoldReason::Trouble);
                    hold(self.app, self.id(), Hold { reason, note: effect.note.clone() }).await?;
                    return Ok(Settled::Done);
                }
                Next::Done => {
                    self.finish().await?;
                    return Ok(Settled::Done);
                }
            }
        }
    }

    fn id(&self) -> &ReleaseId {
        self.fence.release()
    }

    /// Passes a point at which tests kill the server.
    fn pass(&self, effect: &Effect, point: &str) {
        self.app.crash.pass(&format!("disclose:{}:{point}", effect.position));
    }

    async fn effects(&self) -> Result<Vec<Effect>> {
        let mut rows = self.app.read().await?;
        let (_, grants) = open_release(&mut rows, &CHORE, self.id(), Action::Maintain).await?;
        Ok(store::effect::of_release(&mut rows, &grants, self.id()).await?)
    }

    /// Writes down that an effect is begun; before the first push, also that there is no way back.
    async fn start(&self, effect: Effect) -> Result<Effect> {
        let mut tx = self.app.begin("disclose.start").await?;
        if effect.phase == Phase::PushFixes {
            let (release, _) = open_release(&mut tx, &CHORE, self.id(), Action::Maintain).await?;
            if release.state != ReleaseState::Running {
                return Err(Error::Conflict);
            }
            if release.public_at.is_none() {
                let now = tx.now();
                store::release::save(&mut tx, &CHORE, release.cross(now)?).await?;
            }
        }
        let effect = store::effect::start(&mut tx, &CHORE, &self.fence, effect).await?;
        self.pass(&effect, "starting");
        self.app.commit(tx).await?;
        self.pass(&effect, "started");
        Ok(effect)
    }

    async fn end(&self, effect: Effect, outcome: Outcome) -> Result<EffectState> {
        let (phase, position) = (effect.phase, effect.position);
        let mut tx = self.app.begin("disclose.end").await?;
        let effect = store::effect::end(&mut tx, &CHORE, &self.fence, (effect, outcome)).await?;
        if effect.phase.outside() && effect.state == EffectState::Failed {
            super::channel::failed(self.app, &mut tx, self.id()).await?;
        }
        self.pass(&effect, "ending");
        self.app.commit(tx).await?;
        tracing::info!(release = %self.id(), position, %phase, state = %effect.state, "effect");
        self.pass(&effect, "ended");
        Ok(effect.state)
    }

    /// Says how an effect that was begun before stands in the world; `None`: surely not done, do it.
    async fn look(&self, effect: &Effect) -> Result<Option<Outcome>> {
        match (effect.phase, &effect.target) {
            (Phase::PushFixes, Target::Repository(upstream)) => {
                let public = Public::of(self.app, &self.manifest, *upstream).await?;
                Ok(match public.stand().await {
                    Stand::There => Some(Outcome::Done("found in public".to_owned())),
                    Stand::Untouched => None,
                    Stand::Silent => Some(Outcome::Unknown("the public repository does not answer".to_owned())),
                    Stand::Mixed | Stand::Moved(_) | Stand::Tagged => Some(Outcome::Failed(
                        HoldReason::PartlyPublic,
                        "The public refs are neither where they were nor where the release puts them.".to_owned(),
                    )),
                })
            }
            // These look by themselves each time, or leave one trace however often they are done.
            (
                Phase::Preflight
                | Phase::PushFixes
                | Phase::VerifyPublic
                | Phase::PublishAdvisories
                | Phase::NotifyPublic
                | Phase::OpenCase
                | Phase::AwaitPackages
                | Phase::PublishChannels
                | Phase::CallHooks,
                _,
            ) => Ok(None),
        }
    }

    /// Does one effect, and says how far it is afterwards.
    pub(super) async fn act(&self, effect: Effect) -> Result<EffectState> {
        let doubt = super::hook::in_doubt(&self.manifest, &effect);
        let effect = self.start(effect).await?;
        let acted = match doubt {
            Some(outcome) => Ok(outcome),
            None => self.perform_one(&effect).await,
        };
        self.pass(&effect, "acted");
        let outcome = match acted {
            Ok(outcome) => outcome,
            // Another run took over, or the release was disarmed: this one writes nothing more.
            Err(Error::Conflict) => return Err(Error::Conflict),
            Err(error) => {
                tracing::error!(
                    release = %self.id(), position = effect.position, phase = %effect.phase,
                    error = &error as &dyn std::error::Error, "an effect failed"
                );
                fault(effect.phase)
            }
        };
        self.end(effect, outcome).await
    }

    async fn perform_one(&self, effect: &Effect) -> Result<Outcome> {
        match (effect.phase, &effect.target) {
            (Phase::Preflight, Target::Repository(upstream)) => {
                Ok(Public::of(self.app, &self.manifest, *upstream).await?.preflight().await)
            }
            (Phase::PushFixes, Target::Repository(upstream)) => {
                Ok(Public::of(self.app, &self.manifest, *upstream).await?.push().await)
            }
            (Phase::VerifyPublic, Target::Repository(upstream)) => {
                let outcome = Public::of(self.app, &self.manifest, *upstream).await?.verify().await;
                if matches!(outcome, Outcome::Done(_)) {
                    let mut tx = self.app.begin("disclose.mirror").await?;
                    let now = tx.now();
                    store::job::queue(&mut tx, &Job::Mirror { upstream: *upstream }, now).await?;
                    self.app.commit(tx).await?;
                }
                Ok(outcome)
            }
            (Phase::PublishAdvisories, Target::Site(case)) => self.publish(case).await,
            (Phase::NotifyPublic, Target::Seat(case, seat)) => self.tell(case, *seat, &effect.key).await,
            (Phase::OpenCase, Target::Case(case)) => self.open_case(case).await,
            (Phase::AwaitPackages, Target::Package(..)) => super::awaited::look(self.app, &self.manifest, effect).await,
            (Phase::CallHooks, Target::Hook(_)) => super::hook::perform(self.app, &self.manifest, effect).await,
            (Phase::PublishChannels, Target::Channel(..)) => {
                super::channel::publish(self.app, &self.manifest, effect).await
            }
            (
                Phase::Preflight
                | Phase::PushFixes
                | Phase::VerifyPublic
                | Phase::PublishAdvisories
                | Phase::NotifyPublic
                | Phase::OpenCase
                | Phase::AwaitPackages
                | Phase::PublishChannels
                | Phase::CallHooks,
                _,
            ) => Ok(Outcome::Failed(
                HoldReason::Trouble,
                "The journal names a target that does not fit its phase.".to_owned(),
            )),
        }
    }

    /// Puts the frozen files of a case up; the same files twice leave one trace.
    async fn publish(&self, case: &CaseId) -> Result<Outcome> {
        let mut tx = self.app.begin("disclose.publish").await?;
        let grant = open(&mut tx, &CHORE, case, Action::Maintain).await?;
        let unsealing = self.app.unsealing(&mut tx, &grant).await?;
        let mut bodies = Vec::new();
        for (document, sealed) in store::publication::frozen(&mut tx, &grant, self.id()).await? {
            let text: String = unsealing.open(DOCUMENT, document.path.as_str(), &sealed)?;
            bodies.push((document.path, text.into_bytes()));
        }
        let advisory = self.manifest.advisory_of(case).ok_or(Error::NotFound)?;
        let place = (self.id(), &self.manifest.project);
        store::publication::publish(&mut tx, &grant, place, advisory, &bodies).await?;
        super::details::begin(&mut tx, &grant, (self.id(), advisory)).await?;
        self.app.commit(tx).await?;
        Ok(Outcome::Done(format!("{} files", bodies.len())))
    }

    /// Puts a mail in the outbox under an id made from the effect's key, so that a repetition finds it there.
    async fn tell(&self, case: &CaseId, seat: MemberId, key: &str) -> Result<Outcome> {
        if self.app.mailer.is_off() {
            return Ok(Outcome::Done("no mail server".to_owned()));
        }
        let mut tx = self.app.begin("disclose.tell").await?;
        let grant = open(&mut tx, &CHORE, case, Action::Maintain).await?;
        let Some(address) = super::mail::of_seat(self.app, &mut tx, &grant, seat).await? else {
            return Ok(Outcome::Done("left no address".to_owned()));
        };
        let advisory = self.manifest.advisory_of(case).ok_or(Error::NotFound)?;
        let sealing = self.app.sealing(&mut tx, &grant).await?;
        let notice = Notice::Disclosed { advisory: advisory.id.clone() };
        let about = (case, Some(self.id()));
        let id = mail_id(self.manifest.dated_at, key);
        super::mail::queue_as(&mut tx, &sealing, id, about, (&notice, &address)).await?;
        self.app.commit(tx).await?;
        Ok(Outcome::Done("in the outbox".to_owned()))
    }

    async fn open_case(&self, case: &CaseId) -> Result<Outcome> {
        let mut tx = self.app.begin("disclose.open_case").await?;
        let grant = open(&mut tx, &CHORE, case, Action::Maintain).await?;
        let found = store::case::get(&mut tx, &grant).await?;
        if found.published_at.is_none() {
            let now = tx.now();
            store::case::save(&mut tx, &grant, found.publish(now)?).await?;
            super::follow_up::offer(self.app, &mut tx, &grant).await?;
        }
        self.app.commit(tx).await?;
        Ok(Outcome::Done("public".to_owned()))
    }

    async fn finish(&self) -> Result<()> {
        let mut tx = self.app.begin("disclose.finish").await?;
        if !store::effect::holds(&mut tx, &self.fence).await? {
            return Err(Error::Conflict);
        }
        let (release, _) = open_release(&mut tx, &CHORE, self.id(), Action::Maintain).await?;
        let now = tx.now();
        let done = store::release::save(&mut tx, &CHORE, release.finish(now)?).await?;
        super::landing::plan(&mut tx, &done, &self.manifest).await?;
        self.app.crash.pass("disclose:finishing");
        self.app.commit(tx).await?;
        tracing::info!(release = %self.id(), "a release is done");
        Ok(())
    }
}

/// What a fault of ours in a phase means: nothing was sent, so it is tried again; in a push nobody knows.
fn fault(phase: Phase) -> Outcome {
    let note = "This server could not do its part: see its log.".to_owned();
    match phase {
        Phase::PushFixes => Outcome::Unknown(note),
        Phase::Preflight
        | Phase::VerifyPublic
        | Phase::PublishAdvisories
        | Phase::NotifyPublic
        | Phase::OpenCase
        | Phase::AwaitPackages
        | Phase::PublishChannels
        | Phase::CallHooks => Outcome::Again(note),
    }
}

/// Makes a mail's id from an effect's key and the release's date: the same key, the same id, the same Message-ID.
pub(super) fn mail_id(dated_at: i64, key: &str) -> MailId {
    let digest = Digest::of_parts(&[b"embargo-mail-1", key.as_bytes()]);
    let mut random = [0; 10];
    random.copy_from_slice(&digest.as_bytes()[..10]);
    MailId::mint(u64::try_from(dated_at).unwrap_or_default() * 1000, random)
}
