//! Waves: who is told of a release before its instant, when, and how much.
//!
//! Guards: nobody is told earlier than their audience may know, more than it may get, or more than the release can give; an
//! audience is never told less later. The waves stand in the Manifest, so that people arm them too, and the length is looked at
//! again at the moment of telling. Leaves who the members are to the configuration, and the sending to `workflow`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::access::Role;
use super::audience::{Audience, AudienceName, Lead, Level};
use super::blocker::{Blocker, BlockerKind};
use super::change::Change;
use super::embargo::Embargo;
use super::event::EventKind;
use super::id::CaseId;
use super::readiness::Facts;
use super::refusal::Refusal;
use super::release::{Frozen, Release, ReleaseState};

/// Waves of one release at most.
const MOST: usize = 40;

/// One wave of a release: what one audience is told, and how long before the instant. Field order is the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// Who is told.
    pub audience: AudienceName,
    /// How much.
    pub level: Level,
    /// How long before the instant.
    pub before: Lead,
}

/// A wave, and whether it went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The wave.
    pub wave: Wave,
    /// When its audience was told.
    pub sent_at: Option<Timestamp>,
}

/// A wave and its audience as the configuration knows it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveFacts {
    /// The wave, and whether it went out.
    pub planned: Planned,
    /// Its audience; none if the configuration names it no more.
    pub audience: Option<Audience>,
}

/// Where a wave stands at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It goes out at this instant.
    Ahead(Timestamp),
    /// Its time has come.
    Due,
    /// Its time has come, and the release is not frozen yet: it goes out once it is.
    Unfrozen,
    /// Its time has come, and the agreed date of a case does not allow the instant.
    Undated(String),
    /// The configuration does not allow it as it is any more.
    Wrong(String),
    /// It went out.
    Sent(Timestamp),
    /// The run began, or the release was given up, before it went out.
    PassedOver,
}

/// What a new wave is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The audience.
    pub audience: &'a Audience,
    /// The agreements on the dates of the release's cases.
    pub embargoes: &'a [(CaseId, Embargo)],
    /// Whether every advisory is approved as it would be published.
    pub approved: bool,
    /// The instant of judging.
    pub now: Timestamp,
}

impl Standing {
    /// Returns the word the API shows it as.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ahead(_) => "ahead",
            Self::Due => "due",
            Self::Unfrozen | Self::Undated(_) => "waits",
            Self::Wrong(_) => "wrong",
            Self::Sent(_) => "sent",
            Self::PassedOver => "passed_over",
        }
    }

    /// Says what is to be known about it, in a sentence; nothing where the word says all.
    pub fn note(&self) -> String {
        match self {
            Self::Ahead(_) | Self::Sent(_) => String::new(),
            Self::Due => "It goes out within a minute.".to_owned(),
            Self::Unfrozen => "Its time has come: it goes out once the release is frozen.".to_owned(),
            Self::PassedOver => "The release went ahead without it: nobody was told.".to_owned(),
            Self::Undated(sentence) | Self::Wrong(sentence) => sentence.clone(),
        }
    }
}

impl WaveFacts {
    /// Says where the wave stands. The length is that of the audience and the instant as they are now.
    pub fn standing(&self, release: &Release, embargoes: &[(CaseId, Embargo)], now: Timestamp) -> Standing {
        let Planned { wave, sent_at } = &self.planned;
        if let Some(at) = sent_at {
            return Standing::Sent(*at);
        }
        match release.state {
            ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Armed => {}
            ReleaseState::Running | ReleaseState::Held | ReleaseState::Done | ReleaseState::Abandoned => {
                return Standing::PassedOver;
            }
        }
        let name = &wave.audience;
        let Some(audience) = &self.audience else {
            return Standing::Wrong(format!("The configuration names no audience {name} any more: drop its waves."));
        };
        if wave.level > audience.level {
            return Standing::Wrong(format!(
                "The audience {name} may get {} at most by now, and this wave tells it {}: drop it, or set another.",
                audience.level, wave.level
            ));
        }
        let opens_at = wave.before.min(audience.longest).before(release.due_at);
        if now < opens_at {
            return Standing::Ahead(opens_at);
        }
        if release.due_at <= now {
            return Standing::PassedOver;
        }
        if let Some(sentence) = undated(release.due_at, embargoes) {
            return Standing::Undated(sentence);
        }
        if release.state == ReleaseState::Planned { Standing::Unfrozen } else { Standing::Due }
    }
}

/// Returns the waves with this one added, or moved to its new time. The order is that of audience and level.
pub fn set(release: &Release, waves: &[Planned], wave: Wave, by: Setting<'_>) -> Result<Vec<Planned>, Refusal> {
    changeable(release)?;
    let (name, audience) = (&wave.audience, by.audience);
    if wave.before > audience.longest {
        return Err(Refusal::input(format!(
            "The audience {name} may know {} before the instant at the earliest, and this would be {}: choose less.",
            audience.longest.words(),
            wave.before.words()
        )));
    }
    if wave.level > audience.level {
        return Err(Refusal::input(format!(
            "The audience {name} may get {} at most, and {} is more.",
            audience.level, wave.level
        )));
    }
    if let Some(sentence) = undated(release.due_at, by.embargoes) {
        return Err(Refusal::moment(format!("{sentence} Nobody is told of an instant that is not agreed.")));
    }
    let same = |other: &&Planned| other.wave.audience == wave.audience && other.wave.level == wave.level;
    if waves.iter().find(same).is_some_and(|other| other.sent_at.is_some()) {
        return Err(already_sent(&wave));
    }
    for Planned { wave: other, .. } in waves.iter().filter(|other| !same(other) && other.wave.audience == wave.audience)
    {
        let (more, later) = (wave.level > other.level, wave.before < other.before);
        if more != later || wave.before == other.before {
            return Err(Refusal::input(format!(
                "The audience {name} is told {} {} before the instant already: what it is told later has to be more, and what \
                 it is told earlier less.",
                other.level,
                other.before.words()
            )));
        }
    }
    if wave.before.before(release.due_at) <= by.now {
        gives(release, wave.level, by.approved)?;
    }
    let mut next: Vec<Planned> = waves.iter().filter(|other| !same(other)).cloned().collect();
    if next.len() >= MOST {
        return Err(Refusal::input(format!("A release has {MOST} waves at most.")));
    }
    next.push(Planned { wave, sent_at: None });
    next.sort_by(|one, other| one.wave.cmp(&other.wave));
    Ok(next)
}

/// Returns the waves without one that has not gone out.
pub fn drop_wave(
    release: &Release,
    waves: &[Planned],
    which: (&AudienceName, Level),
) -> Result<(Wave, Vec<Planned>), Refusal> {
    changeable(release)?;
    let (name, level) = which;
    let is = |planned: &&Planned| &planned.wave.audience == name && planned.wave.level == level;
    let Some(found) = waves.iter().find(is) else {
        return Err(Refusal::input(format!("This release has no wave that tells the audience {name} {level}.")));
    };
    if found.sent_at.is_some() {
        return Err(already_sent(&found.wave));
    }
    Ok((found.wave.clone(), waves.iter().filter(|planned| !is(planned)).cloned().collect()))
}

/// Checks that the instant may become this one, for those who were told already: later, they would have known too early.
pub fn may_move(waves: &[WaveFacts], due_at: Timestamp) -> Result<(), Refusal> {
    for WaveFacts { planned, audience } in waves {
        let (Some(sent_at), Some(audience)) = (planned.sent_at, audience) else { continue };
        let latest = sent_at.checked_add(audience.longest.duration()).unwrap_or(Timestamp::MAX);
        if due_at > latest {
            return Err(Refusal::moment(format!(
                "The audience {} was told at {sent_at}, and may know {} before the instant at the earliest: move it to {latest} at \
                 the latest, or reopen the release first, which tells them that the date fell.",
                audience.name,
                audience.longest.words()
            )));
        }
    }
    Ok(())
}

/// Returns when a recipient who did not acknowledge is reminded: after a day, or at half the time that is left, if that is less.
pub fn remind_at(told_at: Timestamp, due_at: Timestamp) -> Timestamp {
    let half = due_at.duration_since(told_at) / 2;
    let wait = half.min(jiff::SignedDuration::from_hours(24));
    told_at.checked_add(wait).unwrap_or(due_at)
}

fn changeable(release: &Release) -> Result<(), Refusal> {
    match release.state {
        ReleaseState::Planned | ReleaseState::Frozen => Ok(()),
        ReleaseState::Armed => {
            Err(Refusal::moment("People armed this release with its waves: disarm it first, then change them."))
        }
        ReleaseState::Running | ReleaseState::Held | ReleaseState::Done | ReleaseState::Abandoned => {
            Err(release.out_of_turn("given other waves", "planned or frozen"))
        }
    }
}

/// Checks that the release can give what a wave that is due tells.
fn gives(release: &Release, level: Level, approved: bool) -> Result<(), Refusal> {
    if release.frozen.is_some() {
        return Ok(());
    }
    match level {
        Level::Text if !approved => Err(Refusal::moment(
            "Its time has come, and the advisory is not approved: approve it, or tell less, or later.",
        )),
        Level::Patches => Err(Refusal::moment(
            "Its time has come, and the fixes are not frozen: freeze the release first, or tell less, or later.",
        )),
        Level::Date | Level::Severity | Level::Text => Ok(()),
    }
}

/// Says which agreement on a date does not allow the instant.
fn undated(due_at: Timestamp, embargoes: &[(CaseId, Embargo)]) -> Option<String> {
    embargoes
        .iter()
        .find_map(|(case, embargo)| embargo.allows(due_at).err().map(|refusal| format!("{case}: {refusal}")))
}

fn already_sent(wave: &Wave) -> Refusal {
    Refusal::moment(format!(
        "The audience {} was told {} already: what was told cannot be taken back. Reopening the release tells them that the date fell.",
        wave.audience, wave.level
    ))
}

impl Release {
    /// Changes whom the release tells before its instant. What was frozen is frozen anew with it, and who armed that did not
    /// arm this.
    pub fn announce(self, what: String, frozen: Option<Frozen>) -> Result<Change<Self>, Refusal> {
        changeable(&self)?;
        if frozen.is_some() != self.frozen.is_some() {
            return Err(Refusal::moment("The release changed while its waves were: repeat."));
        }
        let event = self.event(EventKind::WavePlanned, what);
        Ok(Change::new(Self { frozen, armings: Vec::new(), ..self }, event))
    }

    /// Lists what is amiss with the waves: one that cannot go out as it is, and in a frozen release one that is due and has not.
    pub(super) fn waves(&self, facts: &Facts, blockers: &mut Vec<Blocker>) {
        let embargoes: Vec<_> = facts.cases.iter().map(|known| (known.case.clone(), known.embargo.clone())).collect();
        for known in &facts.waves {
            let wave = &known.planned.wave;
            let sentence = match known.standing(self, &embargoes, facts.now) {
                Standing::Wrong(sentence) => sentence,
                Standing::Due if self.state == ReleaseState::Frozen => format!(
                    "The wave that tells the audience {} {} is due and has not gone out: it does so within a minute, or says why \
                     it cannot.",
                    wave.audience, wave.level
                ),
                Standing::Due
                | Standing::Ahead(_)
                | Standing::Unfrozen
                // The date blocks by itself.
                | Standing::Undated(_)
                | Standing::Sent(_)
                | Standing::PassedOver => continue,
            };
            let link = format!("/releases/{}/waves", self.id);
            blockers.push(Blocker { kind: BlockerKind::Wave, sentence, owner: Role::ReleaseManager, link });
        }
    }
}

#[cfg(test)]
#[path = "wave_tests.rs"]
mod tests;
