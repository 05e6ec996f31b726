//! Tests of a release's transitions.

use std::fmt::Write as _;

use super::*;
use crate::domain::candidate::FrozenCandidate;
use crate::domain::effect::{journal, nothing_public};
use crate::domain::hold::HoldReason;
use crate::domain::manifest::{ChecksWord, Document, FrozenAdvisory, FrozenFix, RefMove, Repository};
use crate::domain::plan::Plan;
use crate::domain::readiness::tests::{at, oid, person, ready, release};
use crate::domain::repo::{CommitId, RefName};

fn policy() -> Policy {
    Policy::of(TeamKind::Several)
}

fn manifest(release: &Release) -> Manifest {
    let target = &release.targets[0];
    let Rehearsal::Candidate(candidate) = &target.rehearsal else { panic!("not rehearsed") };
    Manifest {
        form: 1,
        release: release.id.clone(),
        project: release.project.clone(),
        dated_at: release.dated_at.as_second(),
        cases: release.cases.clone(),
        fixes: vec![FrozenFix {
            case: release.cases[0].clone(),
            line: target.line,
            commit: oid("4"),
            checks: ChecksWord::Success,
        }],
        tests: Vec::new(),
        candidates: vec![FrozenCandidate {
            line: target.line,
            tag: target.tag.clone(),
            commit: candidate.commit.clone(),
            maker: candidate.maker,
            checks: ChecksWord::Success,
            run: None,
        }],
        repositories: vec![Repository {
            upstream: target.upstream,
            name: "core".parse().unwrap(),
            cases: release.cases.clone(),
            refs: vec![
                RefMove {
                    name: "refs/heads/main".parse().unwrap(),
                    old: candidate.base.clone(),
                    new: candidate.commit.clone(),
                },
                RefMove { name: RefName::tag(&target.tag), old: CommitId::zero(), new: candidate.tag_object.clone() },
            ],
        }],
        advisories: vec![FrozenAdvisory {
            case: release.cases[0].clone(),
            id: "DEMO-2027-0001".parse().unwrap(),
            title: "Sample flaw".parse().unwrap(),
            documents: vec![Document {
                path: "osv/one.json".parse().unwrap(),
                media_type: "application/json".to_owned(),
                sha256: Digest::of(b"{}"),
            }],
            details: None,
        }],
        packages: Vec::new(),
        channels: Vec::new(),
        waves: Vec::new(),
        hooks: Vec::new(),
    }
}

fn frozen() -> Release {
    let release = release();
    let manifest = manifest(&release);
    release.clone().freeze(ready(&release), &manifest, Sealed::from_envelope(manifest.bytes())).unwrap().next
}

fn arm(release: Release, n: u8) -> Release {
    let proof = ready(&release);
    release.arm(proof, person(n), &policy(), at(30)).unwrap().next
}

fn armed() -> Release {
    arm(arm(frozen(), 1), 2)
}

fn held(note: &str) -> Hold {
    Hold { reason: HoldReason::LineMoved, note: note.to_owned() }
}

/// One release per state, with the states that public knowledge splits given twice.
fn each_state() -> Vec<(&'static str, Release)> {
    let running = armed().begin(at(1_000)).unwrap().next;
    let crossed = running.clone().cross(at(1_001)).unwrap().next;
    vec![
        ("planned", release()),
        ("frozen", frozen()),
        ("frozen, armed by one", arm(frozen(), 1)),
        ("armed", armed()),
        ("running", running.clone()),
        ("running, public", crossed.clone()),
        ("held", running.clone().hold(held("")).unwrap().next),
        ("held, public", crossed.clone().hold(held("")).unwrap().next),
        ("done", crossed.finish(at(1_002)).unwrap().next),
        ("abandoned", release().abandon().unwrap().next),
    ]
}

#[test]
fn every_state_and_command_pair_has_one_answer() {
    type Command = (&'static str, fn(Release) -> Result<Change<Release>, Refusal>);
    let commands: [Command; 13] = [
        ("rehearsed", |release| {
            let results = release.targets.iter().map(|target| target.rehearsal.clone()).collect();
            release.rehearsed(results)
        }),
        ("freeze", |release| {
            let (proof, manifest) = (ready(&release), manifest(&release));
            release.freeze(proof, &manifest, Sealed::from_envelope(manifest.bytes()))
        }),
        ("reopen", Release::reopen),
        ("arm", |release| {
            let proof = ready(&release);
            release.arm(proof, person(3), &policy(), at(40))
        }),
        ("disarm", Release::disarm),
        ("postpone an hour", |release| release.postpone(at(4_600), &policy(), at(40))),
        ("bring forward", |release| release.postpone(at(900), &policy(), at(40))),
        ("begin", |release| release.begin(at(1_000))),
        ("cross", |release| release.cross(at(1_001))),
        ("hold", |release| release.hold(held(""))),
        ("resume", Release::resume),
        ("finish", |release| release.finish(at(1_002))),
        ("abandon", Release::abandon),
    ];
    let mut table = String::new();
    for (state, release) in each_state() {
        for (name, command) in commands {
            let end = command(release.clone()).map_or_else(
                |_| "-".to_owned(),
                |change| {
                    let public = if change.next.public_at.is_some() { ", public" } else { "" };
                    format!("{}{public}, {} armed", change.next.state, change.next.armings.len())
                },
            );
            let _ = writeln!(table, "{state} / {name}: {end}");
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn after_the_first_public_byte_there_is_only_forward() {
    for (name, release) in each_state() {
        if release.public_at.is_none() {
            continue;
        }
        for back in [Release::disarm, Release::reopen, Release::abandon] {
            assert!(back(release.clone()).is_err(), "{name}");
        }
        assert!(release.postpone(at(5_000), &policy(), at(1_002)).is_err(), "{name}");
    }
}

#[test]
fn a_release_never_begins_before_its_instant() {
    let early = Timestamp::from_millisecond(999_999).unwrap();
    assert!(armed().begin(early).is_err());
    assert!(armed().begin(at(1_000)).is_ok());
}

#[test]
fn one_person_arms_once() {
    let once = arm(frozen(), 1);
    assert_eq!(once.state, ReleaseState::Frozen);
    let proof = ready(&once);
    assert!(once.arm(proof, person(1), &policy(), at(30)).is_err());
}

#[test]
fn a_proof_of_readiness_holds_for_one_version() {
    let release = frozen();
    let proof = ready(&release);
    let changed = Release { version: Version(1), ..release };
    assert!(changed.arm(proof, person(1), &policy(), at(30)).is_err());
}

#[test]
fn moving_the_instant_later_keeps_what_was_armed_and_its_dates() {
    let before = armed();
    let after = before.clone().postpone(at(1_000 + 72 * 3600), &policy(), at(40)).unwrap().next;
    assert_eq!((after.state, after.armings.len(), after.dated_at), (ReleaseState::Armed, 2, before.dated_at));
    assert_eq!(after.frozen, before.frozen);
    assert_ne!(after.digest(), before.digest());
}

#[test]
fn moving_the_instant_in_steps_cannot_outrun_the_policy() {
    let day = |n: i64| at(1_000 + n * 86_400);
    let moved = armed().postpone(day(2), &policy(), at(40)).unwrap().next;
    assert_eq!(moved.state, ReleaseState::Armed);
    let moved = moved.postpone(day(4), &policy(), at(40)).unwrap().next;
    assert_eq!((moved.state, moved.armings.len()), (ReleaseState::Frozen, 0));
}

#[test]
fn a_manifest_of_another_candidate_is_not_frozen() {
    let release = release();
    let mut other = manifest(&release);
    other.repositories[0].refs[1].new = oid("f");
    let sealed = Sealed::from_envelope(other.bytes());
    assert!(release.clone().freeze(ready(&release), &other, sealed).is_err());
}

#[test]
fn the_point_of_no_return_is_taken_back_only_on_proof() {
    let crossed = armed().begin(at(1_000)).unwrap().next.cross(at(1_001)).unwrap().next;
    let effects = journal(&manifest(&release()), &[]);
    let proof = nothing_public(&effects).expect("nothing was begun");
    let back = crossed.retreat(proof, held("the line moved")).unwrap().next;
    assert_eq!((back.state, back.public_at), (ReleaseState::Held, None));
    assert!(back.reopen().is_ok());
}

#[test]
fn a_name_withdrawn_before_anything_is_public_takes_back_what_was_armed() {
    for (name, release) in each_state() {
        let public = release.public_at.is_some() && release.live();
        let (live, planned) = (release.live(), release.state == ReleaseState::Planned);
        match release.recall() {
            Ok(Some(change)) => {
                let next = change.next;
                assert!(!public && !planned, "{name}");
                assert_eq!(
                    (next.state, next.frozen, next.armings),
                    (ReleaseState::Planned, None, Vec::new()),
                    "{name}"
                );
            }
            Ok(None) => assert!(planned || !live, "{name}"),
            Err(_) => assert!(public, "{name}"),
        }
    }
}

#[test]
fn a_plan_without_cases_lines_or_future_is_refused() {
    let good = || Plan {
        id: "DEMO-R1".parse().unwrap(),
        project: "demo".parse().unwrap(),
        cases: release().cases,
        targets: release().targets,
        due_at: at(1_000),
        details_after: None,
        tests_due: None,
    };
    assert!(Release::plan(good(), at(1)).is_ok());
    assert!(Release::plan(Plan { cases: Vec::new(), ..good() }, at(1)).is_err());
    assert!(Release::plan(Plan { targets: Vec::new(), ..good() }, at(1)).is_err());
    assert!(Release::plan(good(), at(1_000)).is_err());
    let twice = [good().targets, good().targets].concat();
    assert!(Release::plan(Plan { targets: twice, ..good() }, at(1)).is_err());
}
