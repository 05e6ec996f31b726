//! Dress rehearsals: the whole disclosure of a release, performed on copies of the public repositories and stand-ins of its
//! channels, and compared with the plan.
//!
//! Pure: [`differences`] holds what was seen against the manifest. Leaves the performing to `workflow::dress`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::change::Version;
use super::digest::Digest;
use super::effect::{Effect, EffectState, Phase, Target};
use super::id::{CaseId, UpstreamId, words};
use super::manifest::{Manifest, Repository};
use super::release::{Release, ReleaseState};
use super::repo::{CommitId, RefName};

words! {
    /// How a dress rehearsal ended.
    DressOutcome {
        /// Everything ended as the plan says.
        Fine = "fine",
        /// Something did not.
        Trouble = "trouble",
        /// It could not be made yet: the release is not put together.
        Waiting = "waiting",
    }
}

/// How long a dress rehearsal that went well is good for while nothing moves.
const DAILY: SignedDuration = SignedDuration::from_hours(24);
/// How long after one that did not the next is made.
const SOON: SignedDuration = SignedDuration::from_mins(1);

/// The last dress rehearsal of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dress {
    /// The version of the release it was made of.
    pub plan: Version,
    /// How it ended.
    pub outcome: DressOutcome,
    /// What went wrong, or what it waits for: a sentence free of case text. Empty where all went well.
    pub note: String,
    /// How many effects were performed.
    pub steps: u32,
    /// How long they took, from the first to the last.
    pub took: SignedDuration,
    /// When.
    pub tried_at: Timestamp,
}

/// What a dress rehearsal left behind on its stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The refs of each copy that are not where they were.
    pub refs: BTreeMap<UpstreamId, BTreeMap<RefName, CommitId>>,
    /// The hash of every file that was put up on the stage's pages, with its case.
    pub pages: Vec<(CaseId, Digest)>,
    /// The hash of everything a stand-in of a channel was sent to keep.
    pub heard: Vec<Digest>,
    /// The letters that would have gone out.
    pub letters: usize,
    /// The effects in the order in which they ended, by position.
    pub order: Vec<u32>,
}

/// Tells whether a release is to be rehearsed in dress now: when its plan moved, once a day, and soon again after one that went
/// wrong.
pub fn due(release: &Release, last: Option<&Dress>, now: Timestamp) -> bool {
    match release.state {
        ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Armed => {}
        ReleaseState::Running | ReleaseState::Held | ReleaseState::Done | ReleaseState::Abandoned => return false,
    }
    if release.due_at <= now {
        return false;
    }
    let Some(last) = last else { return true };
    let pause = match last.outcome {
        DressOutcome::Fine => DAILY,
        DressOutcome::Trouble | DressOutcome::Waiting => SOON,
    };
    last.plan != release.version || last.tried_at > now || now.duration_since(last.tried_at) >= pause
}

/// Compares what a dress rehearsal left with the plan; a sentence for the first difference.
pub fn differences(manifest: &Manifest, journal: &[Effect], seen: &Seen) -> Option<String> {
    if let Some(effect) = journal.iter().find(|effect| effect.state != EffectState::Done) {
        return Some(format!("Step {} ({}) was not done.", effect.position, effect.phase));
    }
    manifest
        .repositories
        .iter()
        .find_map(|repository| refs_differ(repository, seen.refs.get(&repository.upstream)))
        .or_else(|| pages_differ(manifest, &seen.pages))
        .or_else(|| channels_differ(manifest, &seen.heard))
        .or_else(|| {
            let told = journal.iter().filter(|effect| effect.phase == Phase::NotifyPublic).count();
            (told != seen.letters)
                .then(|| format!("{} letters were written for {told} people who are to be told.", seen.letters))
        })
        .or_else(|| out_of_order(manifest, journal, &seen.order))
}

fn refs_differ(repository: &Repository, seen: Option<&BTreeMap<RefName, CommitId>>) -> Option<String> {
    let name = &repository.name;
    let seen = seen.map(|seen| seen.iter().collect::<BTreeMap<_, _>>());
    let wanted: BTreeMap<_, _> = repository.refs.iter().map(|moved| (&moved.name, &moved.new)).collect();
    let seen = seen.unwrap_or_default();
    if let Some((missed, _)) = wanted.iter().find(|(name, id)| seen.get(*name) != Some(*id)) {
        return Some(format!("In the copy of {name}, {} is not where the release puts it.", missed.short()));
    }
    let other = seen.keys().find(|name| !wanted.contains_key(*name))?;
    Some(format!("In the copy of {name}, {} moved, and the release does not say so.", other.short()))
}

fn pages_differ(manifest: &Manifest, pages: &[(CaseId, Digest)]) -> Option<String> {
    let mut wanted: Vec<(CaseId, Digest)> = Vec::new();
    for advisory in &manifest.advisories {
        wanted.extend(advisory.documents.iter().map(|document| (advisory.case.clone(), document.sha256)));
    }
    let mut seen = pages.to_vec();
    wanted.sort();
    seen.sort();
    (wanted != seen).then(|| "What was put up on the pages is not, byte for byte, what the release names.".to_owned())
}

fn channels_differ(manifest: &Manifest, heard: &[Digest]) -> Option<String> {
    let posts = manifest.channels.iter().flat_map(|channel| &channel.posts);
    let mut wanted: Vec<Digest> = posts.flat_map(|post| post.documents.iter().map(|it| it.sha256)).collect();
    let mut heard = heard.to_vec();
    wanted.sort();
    heard.sort();
    (wanted != heard)
        .then(|| "What the channels were sent is not, byte for byte and once each, what the release names.".to_owned())
}

/// Finds an advisory that became public before the pushes it tells of were read back.
fn out_of_order(manifest: &Manifest, journal: &[Effect], order: &[u32]) -> Option<String> {
    let ended = |position: u32| order.iter().position(|each| *each == position);
    let verified = |upstream: UpstreamId| {
        let read = journal
            .iter()
            .find(|effect| effect.phase == Phase::VerifyPublic && effect.target == Target::Repository(upstream))?;
        ended(read.position)
    };
    journal.iter().filter(|effect| effect.phase == Phase::PublishAdvisories).find_map(|effect| {
        let Target::Site(case) = &effect.target else { return None };
        let at = ended(effect.position)?;
        let mut needed = manifest.repositories.iter().filter(|repository| repository.cases.contains(case));
        let early = needed.any(|repository| verified(repository.upstream).is_none_or(|read| read > at));
        early.then(|| format!("The advisory of {case} was put up before every push it tells of was read back."))
    })
}

#[cfg(test)]
mod tests {
    use super::super::effect::journal;
    use super::super::manifest::tests::sample;
    use super::super::readiness::tests::{at, release};
    use super::*;
    use crate::domain::effect::{Next, Outcome, next};

    /// Performs the sample as a stage would that does everything right.
    fn played() -> (Manifest, Vec<Effect>, Seen) {
        let mut manifest = sample();
        for (number, post) in manifest.channels.iter_mut().flat_map(|it| &mut it.posts).enumerate() {
            post.documents = vec![crate::domain::manifest::Document {
                path: format!("post/{number}").parse().unwrap(),
                media_type: "text/plain".to_owned(),
                sha256: Digest::of(&number.to_be_bytes()),
            }];
        }
        let mut effects = journal(&manifest, &[]);
        let mut seen = Seen::default();
        loop {
            let position = match next(&effects, at(0)) {
                Next::Act(effect) | Next::Look(effect) => effect.position,
                Next::Done => break,
                other => panic!("{other:?}"),
            };
            let effect = &mut effects[position as usize];
            *effect = effect.clone().start(at(0)).unwrap().end(Outcome::Done(String::new()), at(0)).unwrap();
            seen.order.push(position);
        }
        for repository in &manifest.repositories {
            let moved = repository.refs.iter().map(|moved| (moved.name.clone(), moved.new.clone()));
            seen.refs.insert(repository.upstream, moved.collect());
        }
        for advisory in &manifest.advisories {
            seen.pages.extend(advisory.documents.iter().map(|it| (advisory.case.clone(), it.sha256)));
        }
        let posts = manifest.channels.iter().flat_map(|it| &it.posts);
        seen.heard = posts.flat_map(|post| post.documents.iter().map(|it| it.sha256)).collect();
        (manifest, effects, seen)
    }

    #[test]
    fn a_performance_as_planned_differs_in_nothing() {
        let (manifest, effects, seen) = played();
        assert_eq!(differences(&manifest, &effects, &seen), None);
    }

    #[test]
    fn each_difference_has_its_sentence() {
        let (manifest, effects, seen) = played();
        let said = |change: &dyn Fn(&mut Seen)| {
            let mut other = seen.clone();
            change(&mut other);
            differences(&manifest, &effects, &other).unwrap()
        };
        let upstream = manifest.repositories[0].upstream;
        let (main, oid) = (manifest.repositories[0].refs[0].name.clone(), "9".repeat(40).parse::<CommitId>().unwrap());
        let elsewhere = |seen: &mut Seen| {
            seen.refs.get_mut(&upstream).unwrap().insert(main.clone(), oid.clone());
        };
        assert!(said(&elsewhere).contains("main is not where the release puts it"));
        let more = |seen: &mut Seen| {
            seen.refs.get_mut(&upstream).unwrap().insert("refs/heads/other".parse().unwrap(), oid.clone());
        };
        assert!(said(&more).contains("other moved, and the release does not say so"));
        assert!(said(&|seen| seen.refs.clear()).contains("main is not where"));
        assert!(said(&|seen| seen.pages[0].1 = Digest::of(b"changed")).contains("put up on the pages"));
        assert!(said(&|seen| seen.heard.truncate(1)).contains("channels were sent"));
        assert!(said(&|seen| seen.heard.push(seen.heard[0])).contains("once each"), "told twice");
        assert!(said(&|seen| seen.letters = 1).contains("1 letters were written for 0 people"));
        assert!(said(&|seen| seen.order.reverse()).contains("was put up before every push"));
        let mut stuck = effects.clone();
        stuck[0].state = EffectState::Pending;
        assert!(differences(&manifest, &stuck, &seen).unwrap().contains("Step 0 (preflight) was not done"));
    }

    #[test]
    fn it_is_made_when_the_plan_moved_daily_and_soon_after_trouble() {
        const DAY: i64 = 24 * 3600;
        let release = Release { due_at: at(100 * DAY), ..release() };
        let dress = |outcome, tried_at| Dress {
            plan: release.version,
            outcome,
            note: String::new(),
            steps: 1,
            took: SignedDuration::ZERO,
            tried_at: at(tried_at),
        };
        assert!(due(&release, None, at(1)));
        let fine = dress(DressOutcome::Fine, DAY);
        assert!(!due(&release, Some(&fine), at(2 * DAY - 1)));
        assert!(due(&release, Some(&fine), at(2 * DAY)));
        for outcome in [DressOutcome::Trouble, DressOutcome::Waiting] {
            assert!(!due(&release, Some(&dress(outcome, DAY)), at(DAY + 59)));
            assert!(due(&release, Some(&dress(outcome, DAY)), at(DAY + 60)));
        }
        let moved = Release { version: Version(fine.plan.0 + 1), ..release.clone() };
        assert!(due(&moved, Some(&fine), at(DAY + 1)));
        assert!(!due(&release, None, at(100 * DAY)), "its instant is over");
        assert!(!due(&Release { state: ReleaseState::Done, ..release }, None, at(1)));
    }
}
