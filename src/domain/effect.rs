//! The journal of a disclosure: one effect per repository, channel and recipient, each written down before and after.
//!
//! Guards the order (an advisory never before every push it tells of was read back) and the rule of repetition: what was
//! begun once is looked at before it is done again. Pure: [`next`] says what comes, `workflow::disclose` does it.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::awaited::{AwaitedName, FrozenPackage};
use super::channel::{ChannelName, FrozenChannel, Subject};
use super::digest::Digest;
use super::hold::HoldReason;
use super::hook::HookName;
use super::id::{CaseId, MemberId, UpstreamId, words};
use super::manifest::Manifest;
pub use super::phase::Phase;
use super::refusal::{Malformed, Refusal};
use super::repo::TagName;

words! {
    /// How far an effect is.
    EffectState {
        /// To be done; if it was tried before, surely without effect.
        Pending = "pending",
        /// Written down as begun; after a crash nobody knows more.
        Started = "started",
        /// Done, and never done again.
        Done = "done",
        /// Tried, and it may have happened.
        Unknown = "unknown",
        /// Not to be repeated without a person; the reason says whether something may be public.
        Failed = "failed",
        /// Not done, and a person or the project's policy said that it need not be.
        GivenUp = "given_up",
    }
}

/// What an effect acts on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A public repository.
    Repository(UpstreamId),
    /// The advisory of a case on this server's own public pages.
    Site(CaseId),
    /// The holder of a seat, told that this case's advisory is public.
    Seat(CaseId, MemberId),
    /// A case.
    Case(CaseId),
    /// What one channel publishes about a case or a tag.
    Channel(ChannelName, Subject),
    /// A package built from a tag of a repository.
    Package(AwaitedName, UpstreamId, TagName),
    /// A hook of the project.
    Hook(HookName),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(id) => write!(f, "repository/{id}"),
            Self::Site(id) => write!(f, "site/{id}"),
            Self::Seat(case, seat) => write!(f, "seat/{case}/{seat}"),
            Self::Case(id) => write!(f, "case/{id}"),
            Self::Channel(name, subject) => write!(f, "channel/{name}/{subject}"),
            Self::Package(name, upstream, tag) => write!(f, "package/{name}/{upstream}/{tag}"),
            Self::Hook(name) => write!(f, "hook/{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const RULE: Malformed =
            Malformed::new("an effect's target is repository, site, seat, case, channel, package or hook, and its id");
        match text.split_once('/') {
            Some(("repository", id)) => id.parse().map(Self::Repository),
            Some(("site", id)) => id.parse().map(Self::Site),
            Some(("seat", seat)) => {
                let (case, seat) = seat.split_once('/').ok_or(RULE)?;
                Ok(Self::Seat(case.parse()?, seat.parse()?))
            }
            Some(("case", id)) => id.parse().map(Self::Case),
            Some(("channel", post)) => {
                let (name, subject) = post.split_once('/').ok_or(RULE)?;
                Ok(Self::Channel(name.parse()?, subject.parse()?))
            }
            Some(("package", package)) => {
                let (name, place) = package.split_once('/').ok_or(RULE)?;
                let (upstream, tag) = place.split_once('/').ok_or(RULE)?;
                Ok(Self::Package(name.parse()?, upstream.parse()?, tag.parse()?))
            }
            Some(("hook", name)) => name.parse().map(Self::Hook),
            Some(_) | None => Err(RULE),
        }
    }
}

/// One effect, as its row in the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Its place in the journal, from 0.
    pub position: u32,
    /// Which phase it belongs to.
    pub phase: Phase,
    /// What it acts on.
    pub target: Target,
    /// The effects that must be done before it, by position.
    pub needs: Vec<u32>,
    /// How far it is.
    pub state: EffectState,
    /// The same for every try: what a receiver could tell a repetition by.
    pub key: String,
    /// How often it was begun.
    pub attempts: u32,
    /// Not to be tried again before this instant.
    pub retry_at: Option<Timestamp>,
    /// Why it failed; present when it did.
    pub reason: Option<HoldReason>,
    /// What happened, in words free of case text.
    pub note: String,
    /// When it was first begun.
    pub started_at: Option<Timestamp>,
    /// When it was done.
    pub done_at: Option<Timestamp>,
}

/// Somebody to be told about one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Their seat.
    pub seat: MemberId,
    /// The case it is about.
    pub case: CaseId,
}

/// What a run does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Do this, which was never begun.
    Act(&'a Effect),
    /// See whether this was done already; do it only if it surely was not.
    Look(&'a Effect),
    /// Nothing before this instant.
    Wait(Timestamp),
    /// Everything that can be done is done, and this one needs a person.
    Hold(&'a Effect),
    /// All is done, or given up where giving up holds nobody.
    Done,
}

/// Proof that no push of a journal has left anything in public.
#[derive(Debug)]
pub struct NothingPublic(());

/// How an effect that was begun ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done(String),
    /// Surely not done; worth another try.
    Again(String),
    /// May have been done.
    Unknown(String),
    /// Not to be repeated without a person, for this reason.
    Failed(HoldReason, String),
    /// Not done, and the project's policy goes on without it.
    PassedOver(String),
}

/// Writes the journal of a run: what will be done, in which order, and what waits for what.
pub fn journal(manifest: &Manifest, recipients: &[Recipient]) -> Vec<Effect> {
    let run = manifest.lasting_digest();
    let mut effects: Vec<Effect> = Vec::new();
    let mut add = |phase: Phase, target: Target, needs: Vec<u32>| {
        let position = u32::try_from(effects.len()).expect("a journal is shorter than four billion effects");
        effects.push(Effect::new(position, phase, target, needs, &run));
        position
    };
    let repositories = &manifest.repositories;
    let target = |upstream: UpstreamId| Target::Repository(upstream);
    let preflights: Vec<u32> =
        repositories.iter().map(|repository| add(Phase::Preflight, target(repository.upstream), Vec::new())).collect();
    let mut pushes: Vec<u32> = Vec::new();
    for repository in repositories {
        // The fixed order: a later push waits for the earlier ones, so that at most one can be in doubt.
        let needs = preflights.iter().chain(&pushes).copied().collect();
        pushes.push(add(Phase::PushFixes, target(repository.upstream), needs));
    }
    let verified: Vec<u32> = repositories
        .iter()
        .zip(&pushes)
        .map(|(repository, push)| add(Phase::VerifyPublic, target(repository.upstream), vec![*push]))
        .collect();
    let packages: Vec<(&FrozenPackage, u32)> = manifest
        .packages
        .iter()
        .map(|package| {
            let target = Target::Package(package.name.clone(), package.upstream, package.tag.clone());
            let built = repositories.iter().zip(&verified).filter(|(built, _)| built.upstream == package.upstream);
            let needs: Vec<u32> = built.map(|(_, position)| *position).collect();
            // Built from no repository that is pushed, it waits for all of them.
            let needs = if needs.is_empty() { verified.clone() } else { needs };
            (package, add(Phase::AwaitPackages, target, needs))
        })
        .collect();
    let pushed_for = |cases: &[CaseId]| -> Vec<u32> {
        let told = |of: &[CaseId]| cases.iter().any(|case| of.contains(case));
        let of_cases = repositories.iter().zip(&verified).filter(|(repository, _)| told(&repository.cases));
        let needs: Vec<u32> = of_cases.map(|(_, position)| *position).collect();
        // A case in no repository waits for all of them: nothing is published on the strength of an empty list.
        if needs.is_empty() { verified.clone() } else { needs }
    };
    let told_by = |cases: &[CaseId]| -> Vec<u32> {
        let held_back = |(package, _): &&(&FrozenPackage, u32)| {
            package.holds_back() && cases.iter().any(|case| package.cases.contains(case))
        };
        let installable = packages.iter().filter(held_back).map(|(_, position)| *position);
        pushed_for(cases).into_iter().chain(installable).collect()
    };
    let published: Vec<u32> = manifest
        .cases
        .iter()
        .map(|case| {
            let needs = told_by(std::slice::from_ref(case));
            add(Phase::PublishAdvisories, Target::Site(case.clone()), needs)
        })
        .collect();
    for (case, position) in manifest.cases.iter().zip(&published) {
        for recipient in recipients.iter().filter(|recipient| &recipient.case == case) {
            add(Phase::NotifyPublic, Target::Seat(case.clone(), recipient.seat), vec![*position]);
        }
    }
    for (case, position) in manifest.cases.iter().zip(&published) {
        add(Phase::OpenCase, Target::Case(case.clone()), vec![*position]);
    }
    for FrozenChannel { channel, posts } in &manifest.channels {
        for post in posts {
            let target = Target::Channel(channel.name.clone(), post.subject.clone());
            let needs = match &post.subject {
                Subject::Advisory(_) => told_by(&post.cases),
                // The release of a tag on its forge is often what builds the package.
                Subject::Tag(..) => pushed_for(&post.cases),
            };
            add(Phase::PublishChannels, target, needs);
        }
    }
    // They come due by the clock: `workflow::hook` says when.
    for hook in manifest.hooks.iter().filter(|hook| hook.after().is_some()) {
        add(Phase::CallHooks, Target::Hook(hook.name.clone()), verified.clone());
    }
    effects
}

/// Says what a run does now: the first effect that waits for nothing, else how long to wait, else who is needed. What speaks
/// to strangers comes after what does not, so that nothing waits for a slow one.
///
/// An effect that failed stops what needs it and nothing else; a mail given up stops nobody, and a stranger that failed calls
/// nobody away from what is tried again.
pub fn next(effects: &[Effect], now: Timestamp) -> Next<'_> {
    let mut wait: Option<Timestamp> = None;
    let (strange, own): (Vec<_>, Vec<_>) = open(effects).partition(|effect| effect.phase.outside());
    for effect in own.into_iter().chain(strange) {
        match effect.retry_at {
            Some(at) if at > now => wait = Some(wait.map_or(at, |earlier| earlier.min(at))),
            Some(_) | None if effect.attempts > 0 => return Next::Look(effect),
            Some(_) | None => return Next::Act(effect),
        }
    }
    let failed = |effect: &&Effect| effect.state == EffectState::Failed && effect.phase.holds();
    let urgent = |effect: &&Effect| failed(effect) && !effect.phase.outside();
    if let Some(effect) = effects.iter().find(urgent) {
        return Next::Hold(effect);
    }
    if let Some(at) = wait {
        return Next::Wait(at);
    }
    match effects.iter().find(failed).or_else(|| effects.iter().find(|effect| !effect.settled())) {
        Some(stuck) => Next::Hold(stuck),
        None => Next::Done,
    }
}

/// Lists what could be asked of strangers now, in the order of the journal: they do not wait for each other.
pub fn outside_next(effects: &[Effect], now: Timestamp) -> Vec<&Effect> {
    let due = |effect: &&Effect| effect.retry_at.is_none_or(|at| at <= now);
    open(effects).filter(|effect| effect.phase.outside()).filter(due).collect()
}

/// Finds the effects that are still to be done and wait for no other.
fn open(effects: &[Effect]) -> impl Iterator<Item = &Effect> {
    let done = |position: &u32| {
        let over = |effect: &Effect| match effect.state {
            EffectState::Done => true,
            // What was waited for and is no longer holds nobody back.
            EffectState::GivenUp => effect.phase == Phase::AwaitPackages,
            EffectState::Pending | EffectState::Started | EffectState::Unknown | EffectState::Failed => false,
        };
        effects.iter().any(|effect| effect.position == *position && over(effect))
    };
    let begins = |effect: &&Effect| match effect.state {
        EffectState::Done | EffectState::Failed | EffectState::GivenUp => false,
        EffectState::Pending | EffectState::Started | EffectState::Unknown => true,
    };
    effects.iter().filter(begins).filter(move |effect| effect.needs.iter().all(done))
}

/// Says how long after the last push that it waited for an effect was done; `None` for one that waits for no push, or is not
/// done.
pub fn after_push(effects: &[Effect], effect: &Effect) -> Option<SignedDuration> {
    match effect.phase {
        Phase::Preflight | Phase::PushFixes => return None,
        Phase::VerifyPublic
        | Phase::PublishAdvisories
        | Phase::NotifyPublic
        | Phase::OpenCase
        | Phase::AwaitPackages
        | Phase::PublishChannels
        | Phase::CallHooks => {}
    }
    let mut reached = effect.needs.clone();
    let mut pushed: Option<Timestamp> = None;
    let mut at = 0;
    while let Some(position) = reached.get(at).copied() {
        at += 1;
        let Some(needed) = effects.iter().find(|needed| needed.position == position) else { continue };
        if needed.phase == Phase::PushFixes {
            pushed = pushed.max(needed.done_at);
        } else {
            reached.extend(needed.needs.iter().filter(|need| !reached.contains(need)).copied().collect::<Vec<_>>());
        }
    }
    Some(effect.done_at?.duration_since(pushed?))
}

/// Proves that nothing has become public: every push is surely not done.
pub fn nothing_public(effects: &[Effect]) -> Option<NothingPublic> {
    let surely_not = |effect: &Effect| match effect.state {
        EffectState::Pending => true,
        EffectState::Failed => effect.reason.is_some_and(|reason| reason != HoldReason::PartlyPublic),
        EffectState::Started | EffectState::Done | EffectState::Unknown | EffectState::GivenUp => false,
    };
    effects.iter().filter(|effect| effect.phase == Phase::PushFixes).all(surely_not).then_some(NothingPublic(()))
}

impl Effect {
    fn new(position: u32, phase: Phase, target: Target, needs: Vec<u32>, run: &Digest) -> Self {
        Self {
            position,
            phase,
            key: Digest::of_parts(&[run.as_bytes(), phase.as_str().as_bytes(), target.to_string().as_bytes()])
                .to_string(),
            target,
            needs,
            state: EffectState::Pending,
            attempts: 0,
            retry_at: None,
            reason: None,
            note: String::new(),
            started_at: None,
            done_at: None,
        }
    }

    /// Tells whether it will not change any more by itself, and holds nobody.
    pub fn settled(&self) -> bool {
        match self.state {
            EffectState::Done | EffectState::GivenUp => true,
            EffectState::Failed => !self.phase.holds(),
            EffectState::Pending | EffectState::Started | EffectState::Unknown => false,
        }
    }

    /// Writes down that it is begun; saved before anything happens.
    pub fn start(self, now: Timestamp) -> Result<Self, Refusal> {
        match self.state {
            EffectState::Pending | EffectState::Started | EffectState::Unknown => Ok(Self {
                state: EffectState::Started,
                attempts: self.attempts + 1,
                retry_at: None,
                started_at: self.started_at.or(Some(now)),
                ..self
            }),
            EffectState::Done => Err(Refusal::moment("This effect is done: it is never done again.")),
            EffectState::GivenUp => Err(Refusal::moment("This effect was given up by a person.")),
            EffectState::Failed => {
                Err(Refusal::moment("This effect failed: a person has to resume the release first."))
            }
        }
    }

    /// Writes down how it ended. One that was tried often enough becomes failed.
    pub fn end(self, outcome: Outcome, now: Timestamp) -> Result<Self, Refusal> {
        match self.state {
            EffectState::Started | EffectState::Unknown => {}
            EffectState::Pending => return Err(Refusal::moment("This effect was not begun.")),
            EffectState::Done | EffectState::Failed | EffectState::GivenUp => {
                return Err(Refusal::moment("This effect has ended already."));
            }
        }
        let tired = self.attempts >= self.phase.patience();
        let retry_at = now.checked_add(self.phase.pause(self.attempts)).ok();
        Ok(match outcome {
            Outcome::Done(note) => Self { state: EffectState::Done, note, retry_at: None, done_at: Some(now), ..self },
            Outcome::Failed(reason, note) => self.failed(reason, note),
            Outcome::Again(note) | Outcome::Unknown(note) if tired => {
                let reason = self.phase.exhausted();
                self.failed(reason, note)
            }
            Outcome::PassedOver(note) => Self { state: EffectState::GivenUp, note, retry_at: None, ..self },
            Outcome::Again(note) => Self { state: EffectState::Pending, note, retry_at, ..self },
            Outcome::Unknown(note) => Self { state: EffectState::Unknown, note, retry_at, ..self },
        })
    }

    fn failed(self, reason: HoldReason, note: String) -> Self {
        Self { state: EffectState::Failed, reason: Some(reason), note, retry_at: None, ..self }
    }

    /// Gives a failed effect back to the run, by a person's word, with new patience; if it was ever begun, it will be looked
    /// at first.
    #[must_use]
    pub fn revive(self) -> Self {
        let attempts = self.attempts.min(1);
        match self.state {
            EffectState::Failed if self.phase.holds() => {
                // A package is waited for as long again.
                let started_at = self.started_at.filter(|_| self.phase != Phase::AwaitPackages);
                Self { state: EffectState::Pending, attempts, started_at, retry_at: None, reason: None, ..self }
            }
            // What was never begun and has its time keeps that.
            EffectState::Pending if self.attempts == 0 => self,
            EffectState::Pending | EffectState::Started | EffectState::Unknown => {
                Self { attempts, retry_at: None, ..self }
            }
            EffectState::Failed | EffectState::Done | EffectState::GivenUp => self,
        }
    }

    /// Gives it up, by a person's word: only what a channel publishes, a package that is waited for or a hook, and what has
    /// become public remains so.
    pub fn give_up(self) -> Result<Self, Refusal> {
        if !self.phase.outside() {
            return Err(Refusal::moment(
                "Only what a channel publishes, a package that is waited for and a hook can be given up.",
            ));
        }
        match self.state {
            EffectState::Pending | EffectState::Started | EffectState::Unknown | EffectState::Failed => {
                Ok(Self { state: EffectState::GivenUp, retry_at: None, reason: None, ..self })
            }
            EffectState::Done | EffectState::GivenUp => Err(Refusal::moment("There is nothing left to give up.")),
        }
    }
}

#[cfg(test)]
#[path = "effect_tests.rs"]
mod tests;
