//! Hooks: what a project wants done at times around the instant of a release, such as freezing its nightly builds.
//!
//! Guards: a hook is part of what people arm; before the instant it runs at most once for each arming, only while the release
//! is armed and its time has come, and never holds the disclosure; where the release does not go ahead as it was armed, what ran
//! is undone by the hook that says how. Pure: [`next`] says what comes, `workflow::hook` does it. Hooks after the instant are
//! effects of the run ([`super::effect`]).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::audience::Lead;
use super::channel::{ChannelNameForm, ChannelUrl, ForgeKind, ForgePlace};
use super::effect::{EffectState, Outcome};
use super::plain::{Form, Plain};
use super::refusal::Malformed;
use super::release::{Release, ReleaseState};
use super::repo::LineName;

/// How often an undoing hook is tried before it is left to a person.
const PATIENCE: u32 = 40;
/// The longest pause between two tries.
const PAUSE: SignedDuration = SignedDuration::from_mins(10);
/// How long a call that was begun is taken to be under way.
const UNDER_WAY: SignedDuration = SignedDuration::from_mins(2);

/// The form of a [`HookName`].
pub enum HookNameForm {}

/// A hook's name: lower-case letters, digits and inner dashes, at most 40.
pub type HookName = Plain<HookNameForm>;

impl Form for HookNameForm {
    const NAME: &'static str = "HookName";
    const RULE: &'static str =
        "a hook's name is 1 to 40 lower-case letters, digits and dashes, not starting or ending with a dash";
    fn fits(text: &str) -> bool {
        ChannelNameForm::fits(text)
    }
}

/// The form of a [`WorkflowFile`].
pub enum WorkflowFileForm {}

/// A workflow as its forge names it: its file, such as `nightly.yml`, or on GitHub its number.
pub type WorkflowFile = Plain<WorkflowFileForm>;

impl Form for WorkflowFileForm {
    const NAME: &'static str = "WorkflowFile";
    const RULE: &'static str = "a workflow is named by its file, such as nightly.yml";
    fn fits(text: &str) -> bool {
        let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        (1..=100).contains(&text.len()) && inner && !text.starts_with('.')
    }
}

/// A time relative to the instant: `-2h` before it, `+15m` after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Offset {
    /// This long before.
    Before(Lead),
    /// This long after.
    After(Lead),
}

/// One hook of a project. Field order is the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Its name in the project.
    pub name: HookName,
    /// When it runs; none for one that only undoes another.
    pub at: Option<Offset>,
    /// What it does.
    pub does: Does,
    /// The hook that undoes it.
    pub undo: Option<HookName>,
}

/// What a hook does. It says its own name, and nothing of the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Does {
    /// Tells whoever listens at an address.
    Webhook {
        /// The address.
        url: ChannelUrl,
        /// The file of the secret that signs.
        secret_file: PathBuf,
    },
    /// Starts a workflow of a repository on its forge.
    Workflow {
        /// Whose API it speaks.
        forge: ForgeKind,
        /// Where the API is.
        api: ChannelUrl,
        /// The repository there.
        place: ForgePlace,
        /// The workflow.
        workflow: WorkflowFile,
        /// The branch it runs on.
        branch: LineName,
        /// What it is given, as the workflow names it.
        inputs: BTreeMap<String, String>,
        /// The file of the token.
        token_file: PathBuf,
    },
}

/// One call of a hook before the instant, or of one that undoes another: as its row holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// Its number.
    pub id: i64,
    /// The hook.
    pub name: HookName,
    /// The hook it undoes; none for one at its own time.
    pub undoes: Option<HookName>,
    /// How long before the instant it runs, where it does so at its own time.
    pub at: Option<Offset>,
    /// What undoes it.
    pub undone_by: Option<HookName>,
    /// Whether a call that is repeated does no harm: its receiver can tell a repetition.
    pub repeats: bool,
    /// How far it is.
    pub state: EffectState,
    /// The same for every try.
    pub key: String,
    /// How often it was begun.
    pub attempts: u32,
    /// Not to be looked at again before this instant.
    pub retry_at: Option<Timestamp>,
    /// What happened, in words free of case text.
    pub note: String,
    /// Whether people were called because of it.
    pub told: bool,
    /// When it was first begun.
    pub started_at: Option<Timestamp>,
    /// When it was done.
    pub done_at: Option<Timestamp>,
    /// Whether it stands for nothing any more: it was undone, or is over.
    pub closed: bool,
}

/// What is to be done about a release's hooks now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Call this hook for the first time.
    Begin(&'a Hook),
    /// Call again: it surely did not happen, or a repetition does no harm.
    Again(&'a HookCall),
    /// Write down that nobody knows whether it happened.
    Doubt(&'a HookCall),
    /// Close it, and call what undoes it.
    Undo(&'a HookCall),
    /// Close it: it did not happen, or nothing undoes it.
    Close(&'a HookCall),
    /// Write down that its time is over.
    PassOver(&'a HookCall),
}

impl Offset {
    /// Returns the moment it names, from an instant.
    pub fn of(self, instant: Timestamp) -> Timestamp {
        match self {
            Self::Before(lead) => lead.before(instant),
            Self::After(lead) => instant.checked_add(lead.duration()).unwrap_or(Timestamp::MAX),
        }
    }

    /// Returns the minutes it lies after the instant; negative before it.
    pub fn minutes(self) -> i64 {
        match self {
            Self::Before(lead) => -i64::from(lead.minutes()),
            Self::After(lead) => i64::from(lead.minutes()),
        }
    }
}

impl FromStr for Offset {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const RULE: Malformed = Malformed::new(
            "a hook's time is a sign, a number and d, h or m, such as -2h or +15m: at most 14 days before the instant, or 2 days \
             after it",
        );
        let lead = |text: &str, longest: Lead| text.parse::<Lead>().ok().filter(|lead| *lead <= longest).ok_or(RULE);
        match (text.strip_prefix('-'), text.strip_prefix('+')) {
            (Some(before), _) => lead(before, Lead::days(14)).map(Self::Before),
            (None, Some(after)) => lead(after, Lead::days(2)).map(Self::After),
            (None, None) => Err(RULE),
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(lead) => write!(f, "-{lead}"),
            Self::After(lead) => write!(f, "+{lead}"),
        }
    }
}

impl TryFrom<String> for Offset {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Offset> for String {
    fn from(offset: Offset) -> String {
        offset.to_string()
    }
}

impl Hook {
    /// Returns how long before the instant it runs, if it does.
    pub fn before(&self) -> Option<Offset> {
        self.at.filter(|at| matches!(at, Offset::Before(_)))
    }

    /// Returns how long after the instant it runs, if it does.
    pub fn after(&self) -> Option<Offset> {
        self.at.filter(|at| matches!(at, Offset::After(_)))
    }

    /// Tells whether calling it twice under one key does no more than calling it once.
    pub fn repeats(&self) -> bool {
        match self.does {
            Does::Webhook { .. } => true,
            Does::Workflow { .. } => false,
        }
    }
}

impl HookCall {
    /// Begins a call, or a repetition of it; saved before anything happens.
    #[must_use]
    pub fn start(self, now: Timestamp) -> Self {
        Self {
            state: EffectState::Started,
            attempts: self.attempts + 1,
            retry_at: now.checked_add(UNDER_WAY).ok(),
            started_at: self.started_at.or(Some(now)),
            ..self
        }
    }

    /// Writes down how it ended. What says no is asked again until the instant, because somebody may mend it.
    #[must_use]
    pub fn end(self, outcome: Outcome, now: Timestamp) -> Self {
        let pause = SignedDuration::from_secs(1_i64.checked_shl(self.attempts.min(20)).unwrap_or(600)).min(PAUSE);
        let retry_at = now.checked_add(pause).ok();
        let (state, note, retry_at) = match outcome {
            Outcome::Done(note) => (EffectState::Done, note, None),
            Outcome::PassedOver(note) => (EffectState::GivenUp, note, None),
            Outcome::Unknown(note) if !self.repeats => (EffectState::Unknown, note, None),
            Outcome::Again(note) | Outcome::Failed(_, note) | Outcome::Unknown(note)
                if self.undoes.is_some() && self.attempts >= PATIENCE =>
            {
                (EffectState::GivenUp, note, None)
            }
            Outcome::Unknown(note) => (EffectState::Unknown, note, retry_at),
            Outcome::Failed(_, note) => (EffectState::Pending, note, now.checked_add(PAUSE).ok()),
            Outcome::Again(note) => (EffectState::Pending, note, retry_at),
        };
        let done_at = (state == EffectState::Done).then_some(now);
        let over = match state {
            EffectState::Done | EffectState::GivenUp | EffectState::Failed => true,
            EffectState::Unknown => !self.repeats,
            EffectState::Pending | EffectState::Started => false,
        };
        // What undoes another has no other purpose than that.
        let closed = self.undoes.is_some() && over;
        Self { state, retry_at, note, done_at, closed, ..self }
    }

    /// Writes down that nobody knows whether it happened, and that it is not repeated.
    #[must_use]
    pub fn doubt(self) -> Self {
        let note = "The server stopped while it was under way: look whether it happened.".to_owned();
        let closed = self.undoes.is_some();
        Self { state: EffectState::Unknown, retry_at: None, note, closed, ..self }
    }

    /// Writes down that its time was over before it happened.
    #[must_use]
    pub fn pass_over(self) -> Self {
        let note = if self.note.is_empty() { "Its time was over.".to_owned() } else { self.note };
        Self { state: EffectState::GivenUp, retry_at: None, note, ..self }
    }

    /// Tells whether those who manage the release have to hear of it: it was refused, given up, or may have happened.
    pub fn worries(&self, outcome: &Outcome) -> bool {
        let lost = match self.state {
            EffectState::Unknown => !self.repeats,
            EffectState::GivenUp => true,
            EffectState::Pending | EffectState::Started | EffectState::Done | EffectState::Failed => false,
        };
        !self.told && (lost || matches!(outcome, Outcome::Failed(..)))
    }

    fn happened(&self) -> bool {
        match self.state {
            EffectState::Done | EffectState::Unknown | EffectState::Started => true,
            EffectState::Pending | EffectState::Failed | EffectState::GivenUp => false,
        }
    }

    /// Says how it goes on by itself, if it does now.
    fn again(&self, now: Timestamp) -> Option<Step<'_>> {
        let due = self.retry_at.is_none_or(|at| at <= now);
        match self.state {
            EffectState::Pending if due => Some(Step::Again(self)),
            EffectState::Started if due && self.repeats => Some(Step::Again(self)),
            EffectState::Started if due => Some(Step::Doubt(self)),
            EffectState::Unknown if self.repeats && due => Some(Step::Again(self)),
            EffectState::Pending
            | EffectState::Started
            | EffectState::Unknown
            | EffectState::Done
            | EffectState::Failed
            | EffectState::GivenUp => None,
        }
    }

    /// Says what is to be done about a call at its own time.
    fn standing(&self, release: &Release, now: Timestamp) -> Option<Step<'_>> {
        let ahead = self.at.is_some_and(|at| now < at.of(release.due_at));
        let fallen = match release.state {
            ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Abandoned => true,
            ReleaseState::Armed => ahead,
            ReleaseState::Running | ReleaseState::Held | ReleaseState::Done => false,
        };
        let under_way = self.state == EffectState::Started && self.retry_at.is_some_and(|at| now < at);
        match (fallen, release.state) {
            (true, _) if under_way => None,
            (true, _) if self.happened() && self.undone_by.is_some() => Some(Step::Undo(self)),
            (true, _) => Some(Step::Close(self)),
            (false, ReleaseState::Armed) if now < release.due_at => self.again(now),
            (false, _) if under_way => None,
            (false, _) => match self.state {
                EffectState::Pending => Some(Step::PassOver(self)),
                EffectState::Started if self.repeats => Some(Step::PassOver(self)),
                EffectState::Started => Some(Step::Doubt(self)),
                EffectState::Unknown | EffectState::Done | EffectState::Failed | EffectState::GivenUp => None,
            },
        }
    }
}

/// Says what is to be done about a release's hooks before its instant now; nothing if nothing is. `hooks` are those it was frozen
/// with. One that is being undone is not called again before that is over.
pub fn next<'a>(release: &Release, hooks: &'a [Hook], calls: &'a [HookCall], now: Timestamp) -> Option<Step<'a>> {
    let open = || calls.iter().filter(|call| !call.closed);
    let step = |call: &'a HookCall| match call.undoes {
        Some(_) => call.again(now),
        None => call.standing(release, now),
    };
    if let Some(step) = open().find_map(step) {
        return Some(step);
    }
    if release.state != ReleaseState::Armed || now >= release.due_at {
        return None;
    }
    let comes = |hook: &&Hook| hook.before().is_some_and(|at| at.of(release.due_at) <= now);
    let idle = |hook: &&Hook| {
        open().all(|call| call.undoes.as_ref() != Some(&hook.name) && (call.undoes.is_some() || call.name != hook.name))
    };
    hooks.iter().filter(comes).find(idle).map(Step::Begin)
}

#[cfg(test)]
#[path = "hook_tests.rs"]
pub(in crate::domain) mod tests;
