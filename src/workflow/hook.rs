//! Hooks of a release: frozen with it, called around its instant, undone where it does not go ahead.
//!
//! Guards: each call is written down before and after; what is sent says the hook's name and nothing of the release; no hook
//! holds the disclosure. Leaves what comes when to `domain::hook`, and the effects of a run to `disclose`.

use jiff::Timestamp;

use super::readiness::open_release;
use super::release::grant_of;
use super::{Error, Result, open, shown_at};
use crate::app::App;
use crate::config::ProjectConfig;
use crate::domain::access::{Action, Grants};
use crate::domain::actor::{Actor, Chore};
use crate::domain::digest::Digest;
use crate::domain::effect::{Effect, EffectState, Outcome, Target};
use crate::domain::hold::HoldReason;
use crate::domain::hook::{Does, Hook, HookCall, HookName, Offset, Step, next};
use crate::domain::id::{RecipientId, ReleaseId};
use crate::domain::job::Job;
use crate::domain::manifest::Manifest;
use crate::domain::refusal::Refusal;
use crate::domain::release::{Release, ReleaseState};
use crate::forge::repository::ForgeRepository;
use crate::forge::webhook::SigningKey;
use crate::store::hook::Kept;
use crate::store::job::Settled;
use crate::store::{self, Tx};
use crate::wire::release::HookView;

const CHORE: Actor = Actor::System(Chore::Disclose);
/// The place of a sealed hook.
const KEPT: (&str, &str) = ("hook_call", "hook");
/// Steps of one job at most: each changes a row, and the next minute goes on.
const STEPS: usize = 100;

/// Returns the hooks a release would be frozen with now.
pub(super) fn prepare(app: &App, release: &Release) -> Result<Vec<Hook>> {
    let hooks = app.config.project(&release.project).map(ProjectConfig::hooks).transpose();
    let hooks = hooks.map_err(|wrong| Refusal::moment(format!("The configuration is not right: {wrong}.")))?;
    Ok(hooks.unwrap_or_default())
}

/// Sets the time from which on each hook after the instant is called by its run.
pub(super) fn schedule(journal: &mut [Effect], manifest: &Manifest, begun_at: Timestamp) {
    for effect in journal {
        let Target::Hook(name) = &effect.target else { continue };
        effect.retry_at = manifest.hook(name).and_then(Hook::after).map(|at| at.of(begun_at));
    }
}

/// Says how a hook ends that was begun before and must not be repeated; `None` if it can be called.
pub(super) fn in_doubt(manifest: &Manifest, effect: &Effect) -> Option<Outcome> {
    let Target::Hook(name) = &effect.target else { return None };
    let maybe = matches!(effect.state, EffectState::Started | EffectState::Unknown);
    let once = manifest.hook(name).is_some_and(|hook| !hook.repeats());
    let note = "It may have been started: look at the forge, then resume to start it once more, or give it up.";
    (maybe && once).then(|| Outcome::Failed(HoldReason::Hook, note.to_owned()))
}

/// Calls the hook of an effect.
pub(super) async fn perform(app: &App, manifest: &Manifest, effect: &Effect) -> Result<Outcome> {
    let Target::Hook(name) = &effect.target else { return Err(Error::NotFound) };
    let hook = manifest.hook(name).ok_or(Error::NotFound)?;
    Ok(match call(app, hook, &effect.key).await {
        Outcome::Failed(_, note) => Outcome::Failed(HoldReason::Hook, note),
        outcome @ (Outcome::Done(_) | Outcome::Again(_) | Outcome::Unknown(_) | Outcome::PassedOver(_)) => outcome,
    })
}

/// Queues what is to be done about hooks now.
pub async fn sweep(app: &App) -> Result<()> {
    let mut rows = app.read().await?;
    let due = store::hook::due(&mut rows, app.clock.now()).await?;
    drop(rows);
    if due.is_empty() {
        return Ok(());
    }
    let mut tx = app.begin("hook.queue").await?;
    let now = tx.now();
    for release in due {
        store::job::queue(&mut tx, &Job::Hook { release }, now).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Does what is to be done about the hooks of a release before its instant. Safe to repeat, and to run twice at once.
pub async fn run(app: &App, id: &ReleaseId) -> Result<Settled> {
    for _ in 0..STEPS {
        match step(app, id).await {
            Ok(true) => {}
            // Another job was faster: the next minute looks again.
            Ok(false) | Err(Error::Conflict | Error::NotFound) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Settled::Done)
}

/// Does the next thing; false if there is none.
async fn step(app: &App, id: &ReleaseId) -> Result<bool> {
    let mut tx = app.begin("hook.step").await?;
    let (release, grants) = open_release(&mut tx, &CHORE, id, Action::Maintain).await?;
    let calls = store::hook::of_release(&mut tx, &grants, id).await?;
    let hooks = match release.state {
        ReleaseState::Armed => super::disclose::manifest(app, &mut tx, &grants, &release).await?.hooks,
        ReleaseState::Planned
        | ReleaseState::Frozen
        | ReleaseState::Running
        | ReleaseState::Held
        | ReleaseState::Done
        | ReleaseState::Abandoned => Vec::new(),
    };
    let now = tx.now();
    let mut turn = Turn { app, tx, release: &release, grants: &grants };
    match next(&release, &hooks, &calls, now) {
        None => {
            app.commit(turn.tx).await?;
            return Ok(false);
        }
        Some(Step::Begin(hook)) => {
            let undo = hook.undo.as_ref().and_then(|name| hooks.iter().find(|other| &other.name == name)).cloned();
            let call = turn.begin((hook.clone(), undo), None).await?;
            turn.act(call, hook).await?;
        }
        Some(Step::Again(before)) => {
            let (hook, _) = turn.kept(before).await?;
            let call = before.clone().start(now);
            store::hook::save(&mut turn.tx, &CHORE, id, (before, &call)).await?;
            turn.act(call, &hook).await?;
        }
        Some(Step::Undo(before)) => {
            let (_, undo) = turn.kept(before).await?;
            let closed = HookCall { closed: true, retry_at: None, ..before.clone() };
            store::hook::save(&mut turn.tx, &CHORE, id, (before, &closed)).await?;
            let hook = undo.ok_or(Error::Conflict)?;
            let call = turn.begin((hook.clone(), None), Some(before.name.clone())).await?;
            turn.act(call, &hook).await?;
        }
        Some(Step::Doubt(before)) => turn.settle(before, before.clone().doubt()).await?,
        Some(Step::PassOver(before)) => turn.settle(before, before.clone().pass_over()).await?,
        Some(Step::Close(before)) => {
            let closed = HookCall { closed: true, retry_at: None, ..before.clone() };
            store::hook::save(&mut turn.tx, &CHORE, id, (before, &closed)).await?;
            app.commit(turn.tx).await?;
        }
    }
    Ok(true)
}

/// One thing that is done about a release's hooks, in its write.
struct Turn<'a> {
    app: &'a App,
    tx: Tx,
    release: &'a Release,
    grants: &'a Grants,
}

impl Turn<'_> {
    /// Writes down that a call begins. Its key is its own, and says nothing: a release that is armed again calls anew, and whoever
    /// is called could otherwise try which release it is.
    async fn begin(&mut self, kept: Kept, undoes: Option<HookName>) -> Result<HookCall> {
        let (id, hook) = (&self.release.id, &kept.0);
        let chance: RecipientId = self.app.mint();
        let key = Digest::of_parts(&[b"embargo-hook-2", chance.to_string().as_bytes()]).to_string();
        let call = HookCall {
            id: 0,
            name: hook.name.clone(),
            at: hook.before().filter(|_| undoes.is_none()),
            undone_by: hook.undo.clone().filter(|_| undoes.is_none()),
            undoes,
            repeats: hook.repeats(),
            state: EffectState::Pending,
            key,
            attempts: 0,
            retry_at: None,
            note: String::new(),
            told: false,
            started_at: None,
            done_at: None,
            closed: false,
        };
        let now = self.tx.now();
        let case = &self.release.cases[0];
        let sealing = self.app.sealing(&mut self.tx, grant_of(self.grants, case)?).await?;
        let sealed = sealing.seal(KEPT, &call.key, &kept)?;
        Ok(store::hook::add(&mut self.tx, &CHORE, id, call.start(now), (case, &sealed)).await?)
    }

    /// Opens where a call leads.
    async fn kept(&mut self, call: &HookCall) -> Result<Kept> {
        let (case, sealed) = store::hook::kept(&mut self.tx, self.grants, call.id).await?;
        let grant = open(&mut self.tx, &CHORE, &case, Action::Maintain).await?;
        let unsealing = self.app.unsealing(&mut self.tx, &grant).await?;
        Ok(unsealing.open(KEPT, &call.key, &sealed)?)
    }

    /// Calls, after what was begun is written down; then writes down how it ended.
    async fn act(self, call: HookCall, hook: &Hook) -> Result<()> {
        let (app, id) = (self.app, &self.release.id);
        app.commit(self.tx).await?;
        app.crash.pass("hook:started");
        let outcome = self::call(app, hook, &call.key).await;
        app.crash.pass("hook:acted");
        let mut tx = app.begin("hook.end").await?;
        let (release, _) = open_release(&mut tx, &CHORE, id, Action::Maintain).await?;
        let now = tx.now();
        let mut ended = call.clone().end(outcome.clone(), now);
        if ended.worries(&outcome) {
            ended.told = true;
            super::disclose::call(app, &mut tx, &release).await?;
        }
        store::hook::save(&mut tx, &CHORE, id, (&call, &ended)).await?;
        tracing::info!(release = %id, state = %ended.state, "a hook was called");
        Ok(app.commit(tx).await?)
    }

    /// Saves a call that ended without being called again, and calls those who can act.
    async fn settle(mut self, before: &HookCall, mut call: HookCall) -> Result<()> {
        if !call.told {
            call.told = true;
            super::disclose::call(self.app, &mut self.tx, self.release).await?;
        }
        store::hook::save(&mut self.tx, &CHORE, &self.release.id, (before, &call)).await?;
        Ok(self.app.commit(self.tx).await?)
    }
}

/// Does what a hook does. What is sent names the hook and the time, and nothing else.
async fn call(app: &App, hook: &Hook, key: &str) -> Outcome {
    let unreadable =
        || Outcome::Again("The hook's secret cannot be read or used: see to its file, mode 0600.".to_owned());
    match &hook.does {
        Does::Webhook { url, secret_file } => match SigningKey::read(secret_file) {
            Ok(secret) => {
                let now = app.clock.now();
                let body = serde_json::json!({
                    "type": "hook.called", "timestamp": shown_at(now), "data": { "hook": hook.name.as_str() },
                });
                app.forge.deliver(url, &secret, (key, body.to_string().into_bytes(), now)).await
            }
            Err(_) => unreadable(),
        },
        Does::Workflow { forge, api, place, workflow, branch, inputs, token_file } => {
            match ForgeRepository::open(*forge, api, place, token_file) {
                Ok(repository) => app.forge.dispatch(&repository, workflow, (branch, inputs)).await,
                Err(_) => unreadable(),
            }
        }
    }
}

/// Shows the hooks of a release: as they were frozen, and before that as they would be now; and each call before the instant.
pub(super) async fn views(app: &App, tx: &mut Tx, (release, grants): (&Release, &Grants)) -> Result<Vec<HookView>> {
    let hooks = match &release.frozen {
        Some(_) => super::disclose::manifest(app, tx, grants, release).await?.hooks,
        None => prepare(app, release)?,
    };
    let calls = store::hook::of_release(tx, grants, &release.id).await?;
    let over = match release.state {
        ReleaseState::Running | ReleaseState::Held | ReleaseState::Done | ReleaseState::Abandoned => true,
        ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Armed => false,
    };
    let mut views: Vec<HookView> = Vec::new();
    for hook in &hooks {
        let called = |call: &HookCall| !call.closed && call.undoes.is_none() && call.name == hook.name;
        if calls.iter().any(called) {
            continue;
        }
        let Some(at) = hook.at else { continue };
        let state = match at {
            Offset::Before(_) if over => "passed_over",
            Offset::After(_) if over => continue,
            Offset::Before(_) | Offset::After(_) => "ahead",
        };
        views.push(HookView {
            name: hook.name.to_string(),
            at: Some(at.to_string()),
            undoes: None,
            undone_by: hook.undo.as_ref().map(ToString::to_string),
            state: state.to_owned(),
            note: String::new(),
            when: shown_at(at.of(release.due_at)),
        });
    }
    for call in &calls {
        let state = match (call.closed, call.state) {
            (true, EffectState::Done | EffectState::Unknown) if call.undoes.is_none() && call.undone_by.is_some() => {
                "undone"
            }
            (_, EffectState::GivenUp) => "passed_over",
            (_, state) => state.as_str(),
        };
        let when = call.done_at.or(call.started_at).unwrap_or(release.due_at);
        views.push(HookView {
            name: call.name.to_string(),
            at: call.at.map(|at| at.to_string()),
            undoes: call.undoes.as_ref().map(ToString::to_string),
            undone_by: call.undone_by.as_ref().map(ToString::to_string),
            state: state.to_owned(),
            note: call.note.clone(),
            when: shown_at(when),
        });
    }
    Ok(views)
}
