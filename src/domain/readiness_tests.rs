//! Tests of readiness, with the sample release and facts that the tests of the transitions use too.

use std::fmt::Write as _;

use jiff::SignedDuration;

use super::*;
use crate::domain::dress::{Dress, DressOutcome};
use crate::domain::id::{CheckRunId, Minted, UpstreamId};
use crate::domain::mark::Standing;
use crate::domain::plan::Plan;
use crate::domain::project::TeamKind;
use crate::domain::recipe::tests::recipe;
use crate::domain::rehearsal::{Candidate, Maker};
use crate::domain::surroundings::Certificate;
use crate::domain::told::Ships;
use crate::domain::trial::{Trial, TrialOutcome};

pub(in crate::domain) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(in crate::domain) fn oid(digit: &str) -> CommitId {
    digit.repeat(40).parse().unwrap()
}

pub(in crate::domain) fn person(n: u8) -> PersonId {
    PersonId::mint(1, [n; 10])
}

/// A release of one case on one line, due at second 1,000, rehearsed at second 10.
pub(in crate::domain) fn release() -> Release {
    let line = LineId::mint(1, [1; 10]);
    let tag: crate::domain::repo::TagName = "v1.0.1".parse().unwrap();
    let plan = Plan {
        id: "DEMO-R1".parse().unwrap(),
        project: "demo".parse().unwrap(),
        cases: vec!["DEMO-1".parse().unwrap()],
        targets: vec![Target::of(UpstreamId::mint(1, [1; 10]), line, tag.clone())],
        due_at: at(1_000),
        details_after: None,
        tests_due: None,
    };
    let candidate = Candidate {
        base: oid("1"),
        commit: oid("2"),
        tag_object: oid("3"),
        maker: Maker::Server,
        bumped: false,
        same_as: Some(oid("4")),
        inputs: inputs(&oid("1"), (&[oid("4")], &[]), at(1_000), &tag, None),
        recipe: recipe().digest(&[]),
        moves: Vec::new(),
        at: at(10),
    };
    Release::plan(plan, at(1)).unwrap().next.rehearsed(vec![Rehearsal::Candidate(candidate)]).unwrap().next
}

/// Facts that block nothing.
pub(in crate::domain) fn facts(release: &Release) -> Facts {
    let line: LineName = "main".parse().unwrap();
    Facts {
        now: at(20),
        cases: vec![CaseFacts {
            case: release.cases[0].clone(),
            state: CaseState::Accepted,
            published: false,
            embargo: Embargo::none(),
            elsewhere: None,
            fixes: vec![FixFacts {
                line: release.targets[0].line,
                name: line.clone(),
                head: Some(oid("4")),
                pusher: Some(person(1)),
                approvals: vec![(person(2), at(15))],
                checks: Checks::Green,
                run: Some(RunFacts { id: CheckRunId::mint(1, [1; 10]), base: oid("1"), note: String::new() }),
            }],
            tests: Vec::new(),
            lines: vec![
                LineFacts { fix: true, ..stands("main", Standing::Affected, Ships::As("v1.0.1".parse().unwrap())) },
                stands("1.x", Standing::NotAffected, Ships::Not),
            ],
            advisory: AdvisoryFacts {
                missing: Vec::new(),
                waiting_credits: 0,
                digest: Some(Digest::of(b"text")),
                approved: Some(Digest::of(b"text")),
                left_behind: false,
            },
        }],
        targets: vec![TargetFacts {
            repository: "core".parse().unwrap(),
            line,
            tip: Some(oid("1")),
            tag_taken: false,
            candidate: CandidateFacts::default(),
            recipe: Ok(recipe()),
            signed: Signed::NotAsked,
        }],
        around: Surroundings {
            clock_jumped: None,
            signing_key: true,
            mail_trouble: None,
            trials: Vec::new(),
            dress: None,
            certificate: None,
            disk_left: u64::MAX,
        },
        waves: Vec::new(),
    }
}

fn stands(name: &str, standing: Standing, ships: Ships) -> LineFacts {
    LineFacts {
        repository: "core".parse().unwrap(),
        name: name.parse().unwrap(),
        standing: Some(standing),
        fix: false,
        ships,
        told: Vec::new(),
        fixed_in_public: false,
        concerned: true,
    }
}

pub(in crate::domain) fn ready(release: &Release) -> Ready {
    release.readiness(&facts(release), &Policy::of(TeamKind::Several)).unwrap()
}

fn blockers(change: impl FnOnce(&mut Facts)) -> Vec<Blocker> {
    let release = release();
    let mut facts = facts(&release);
    change(&mut facts);
    release.readiness(&facts, &Policy::of(TeamKind::Several)).unwrap_err()
}

#[test]
fn nothing_blocks_a_release_in_which_all_is_settled() {
    ready(&release());
}

#[test]
fn each_thing_amiss_is_named_once_with_who_can_mend_it() {
    type Amiss = (&'static str, fn(&mut Facts));
    let each: [Amiss; 36] = [
        ("case deferred", |facts| facts.cases[0].state = CaseState::Deferred),
        ("case public", |facts| facts.cases[0].published = true),
        ("case elsewhere", |facts| facts.cases[0].elsewhere = Some("DEMO-R2".parse().unwrap())),
        ("date later", |facts| {
            let (embargo, _) = Embargo::none()
                .propose(&facts.cases[0].case, at(2_000), crate::domain::embargo::Side::Reporter, at(1))
                .unwrap();
            facts.cases[0].embargo = embargo;
        }),
        ("no fix", |facts| facts.cases[0].fixes[0].head = None),
        ("other head", |facts| facts.cases[0].fixes[0].head = Some(oid("5"))),
        ("no approval", |facts| facts.cases[0].fixes[0].approvals.clear()),
        ("own approval", |facts| facts.cases[0].fixes[0].approvals = vec![(person(1), at(1))]),
        ("approval that counts later", |facts| facts.cases[0].fixes[0].approvals[0].1 = at(500)),
        ("red", |facts| facts.cases[0].fixes[0].checks = Checks::Failed),
        ("frozen text left behind", |facts| facts.cases[0].advisory.left_behind = true),
        ("not run", |facts| facts.cases[0].fixes[0].checks = Checks::NotRun),
        ("affected line left", |facts| facts.cases[0].lines[1].standing = Some(Standing::Affected)),
        ("fixed line left", |facts| facts.cases[0].lines[0].ships = Ships::Not),
        ("line nobody spoke of", |facts| facts.cases[0].lines[1].standing = None),
        ("line that stays affected untold", |facts| facts.cases[0].lines[1].standing = Some(Standing::WontFix)),
        ("advisory lacks", |facts| facts.cases[0].advisory.missing.push("Give a severity.".into())),
        ("text changed", |facts| facts.cases[0].advisory.digest = Some(Digest::of(b"changed"))),
        ("credits", |facts| facts.cases[0].advisory.waiting_credits = 1),
        ("line moved", |facts| facts.targets[0].tip = Some(oid("9"))),
        ("candidate red", |facts| {
            let run = CheckRunId::mint(1, [2; 10]);
            facts.targets[0].candidate.run = Some((run, CheckState::Failure));
        }),
        ("red where it is merged on", |facts| {
            let beside =
                [Checks::Green, Checks::NotRun, Checks::Failed].map(|checks| ("next".parse().unwrap(), checks));
            facts.targets[0].candidate.beside = beside.to_vec();
        }),
        ("words changed", |facts| {
            if let Ok(recipe) = &mut facts.targets[0].recipe {
                recipe.tag_message.push('!');
            }
        }),
        ("no words", |facts| facts.targets[0].recipe = Err(Refusal::moment("no title"))),
        ("unsigned", |facts| facts.targets[0].signed = Signed::Missing),
        ("line gone", |facts| facts.targets[0].tip = None),
        ("tag taken", |facts| facts.targets[0].tag_taken = true),
        ("clock jumped", |facts| facts.around.clock_jumped = Some(SignedDuration::from_mins(-3))),
        ("no key", |facts| facts.around.signing_key = false),
        ("no mail", |facts| facts.around.mail_trouble = Some("Mail does not get out.".to_owned())),
        ("a token without the right", |facts| {
            let upstream = UpstreamId::mint(1, [1; 10]);
            let trial = |outcome| {
                (facts.targets[0].repository.clone(), Trial { upstream, outcome, rules: Vec::new(), tried_at: at(18) })
            };
            facts.around.trials = [TrialOutcome::Fine, TrialOutcome::Silent, TrialOutcome::Refused].map(trial).to_vec();
        }),
        ("rules of a forge", |facts| {
            let trial = Trial {
                upstream: UpstreamId::mint(1, [1; 10]),
                outcome: TrialOutcome::Fine,
                rules: vec!["its token may not push to the protected branch main".to_owned()],
                tried_at: at(18),
            };
            facts.around.trials = vec![(facts.targets[0].repository.clone(), trial)];
        }),
        ("a certificate that ends", |facts| facts.around.certificate = Some(Certificate::Until(at(900)))),
        ("a certificate nobody takes", |facts| facts.around.certificate = Some(Certificate::Refused)),
        ("trouble in dress", |facts| {
            facts.around.dress = Some(Dress {
                plan: Version(0),
                outcome: DressOutcome::Trouble,
                note: "Step 1 (push_fixes): The public repository refused the push.".to_owned(),
                steps: 1,
                took: SignedDuration::ZERO,
                tried_at: at(19),
            });
        }),
        ("a full disk", |facts| facts.around.disk_left = 255 * 1024 * 1024),
    ];
    let mut table = String::new();
    for (name, change) in each {
        for blocker in blockers(change) {
            let Blocker { kind, sentence, owner, link } = blocker;
            let _ = writeln!(table, "{name}: {kind} ({owner}) {sentence} -> {link}");
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_waiver_answers_only_for_checks_that_could_not_run() {
    let allowed: Vec<_> = Checks::ALL.iter().filter(|checks| checks.frozen().is_some()).map(|c| c.as_str()).collect();
    assert_eq!(allowed, ["green", "nothing", "waived"]);
}

#[test]
fn a_volunteer_alone_approves_their_own_push_after_the_delay() {
    let release = release();
    let mut facts = facts(&release);
    facts.cases[0].fixes[0].approvals = vec![(person(1), at(19))];
    assert!(release.readiness(&facts, &Policy::of(TeamKind::Solo)).is_ok());
    facts.cases[0].fixes[0].approvals = vec![(person(1), at(21))];
    assert!(release.readiness(&facts, &Policy::of(TeamKind::Solo)).is_err());
}

#[test]
fn two_approvals_of_one_person_count_once() {
    let release = release();
    let mut facts = facts(&release);
    facts.cases[0].fixes[0].approvals = vec![(person(2), at(1)), (person(2), at(2))];
    let policy = Policy { approvals: 2, ..Policy::of(TeamKind::Several) };
    assert!(release.readiness(&facts, &policy).is_err());
}

#[test]
fn a_plan_whose_instant_is_over_is_not_ready() {
    let blockers = blockers(|facts| facts.now = at(1_000));
    assert_eq!(blockers.iter().map(|blocker| blocker.kind).collect::<Vec<_>>(), [BlockerKind::Instant]);
}

#[test]
fn a_certificate_blocks_only_what_it_ends_before() {
    const DAY: i64 = 24 * 3600;
    let release = Release { due_at: at(30 * DAY), ..release() };
    let blocked = |end: i64, now: i64| {
        let mut facts = facts(&release);
        (facts.now, facts.around.certificate) = (at(now), Some(Certificate::Until(at(end))));
        let blockers = release.readiness(&facts, &Policy::of(TeamKind::Several)).err().unwrap_or_default();
        blockers.iter().any(|blocker| blocker.kind == BlockerKind::Certificate)
    };
    assert!(!blocked(31 * DAY, 29 * DAY), "it is still good then");
    assert!(!blocked(20 * DAY, 12 * DAY), "it is renewed by itself until then");
    assert!(blocked(20 * DAY, 14 * DAY), "it should have been");
    assert!(blocked(20 * DAY, 21 * DAY), "it has ended");
}
