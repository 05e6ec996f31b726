//! The verdict on a push, ref by ref.

use super::*;
use crate::domain::lint::{LintLevel, Spot};
use crate::domain::quarantine::Hostile;
use crate::domain::repo::RefUpdate;

fn policy() -> PushPolicy {
    let line = |name: &str| name.parse::<LineName>().unwrap();
    let places = Places::Case {
        lines: vec![line("main"), line("1.11.x")],
        approved: vec![line("1.11.x")],
        tested: vec![line("main")],
    };
    PushPolicy { places, frozen_in: None, limits: PushLimits::default(), lint: LintPolicy::default() }
}

fn moved(name: &str, motion: Motion) -> RefFacts {
    let one: CommitId = "1".repeat(40).parse().unwrap();
    RefFacts {
        update: RefUpdate { name: name.to_owned(), old: one.clone(), new: one },
        motion,
        new_commits: 1,
        changed: BTreeSet::new(),
        hostile: Vec::new(),
        lacks: Vec::new(),
        findings: Vec::new(),
        complete: true,
    }
}

fn judged(facts: RefFacts) -> Result<Vec<Note>, String> {
    let sent = Sent { complete: true, ..Sent::default() };
    verdict(&policy(), &PushFacts { refs: vec![facts], sent })
        .map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))
}

#[test]
fn only_fix_and_wip_branches_can_be_pushed() {
    use Motion::{Created, Deleted, Forward, NotACommit, Rewritten};
    let table = [
        ("refs/heads/fix/main", Created, None),
        ("refs/heads/fix/main", Forward, None),
        ("refs/heads/fix/main", Rewritten, None),
        ("refs/heads/fix/main", Deleted, None),
        ("refs/heads/fix/1.11.x", Forward, None),
        ("refs/heads/wip/idea", Created, None),
        ("refs/heads/wip/a/b", Rewritten, None),
        ("refs/heads/wip/idea", Deleted, None),
        ("refs/heads/fix/1.11.x", Rewritten, Some("withdraw the approval before")),
        ("refs/heads/fix/1.11.x", Deleted, Some("withdraw the approval first")),
        ("refs/heads/fix/main", NotACommit, Some("must be a commit")),
        ("refs/heads/fix/2.x", Created, Some("push to fix/main or fix/1.11.x, or to wip/<name>")),
        ("refs/heads/main", Forward, Some("push your fix to fix/main (git push origin HEAD:refs/heads/fix/main)")),
        ("refs/heads/1.11.x", Deleted, Some("push your fix to fix/1.11.x")),
        ("refs/heads/feature", Created, Some("try things out in wip/<name>")),
        ("refs/heads/FIX/main", Created, Some("cannot be pushed")),
        ("refs/heads/wip", Created, Some("cannot be pushed")),
        ("refs/heads/tests/main", Created, None),
        ("refs/heads/tests/main", Rewritten, None),
        ("refs/heads/tests/main", Deleted, None),
        ("refs/heads/tests/main", NotACommit, Some("must be a commit")),
        ("refs/heads/tests/2.x", Created, Some("push to tests/main or tests/1.11.x, or to wip/<name>")),
        ("refs/heads/tests", Created, Some("cannot be pushed")),
        ("refs/heads/candidate/main", Created, Some("cannot be pushed")),
        ("refs/tags/v1", Created, Some("Tags are made by the release")),
        ("refs/notes/commits", Created, Some("cannot be used as a name")),
        ("refs/replace/0000", Created, Some("cannot be used as a name")),
        ("refs/keep/0000", Created, Some("cannot be used as a name")),
        ("refs/heads/wip/", Created, Some("cannot be used as a name")),
        ("refs/heads/wip/-u", Created, Some("cannot be used as a name")),
        ("refs/heads/wip/a\u{1b}[31m", Created, Some("a\\u{1b}[31m")),
        ("refs/heads/refs/heads/main", Created, Some("cannot be used as a name")),
        ("HEAD", Forward, Some("cannot be used as a name")),
    ];
    for (name, motion, refused) in table {
        match (judged(moved(name, motion)), refused) {
            (Ok(_), None) => {}
            (Err(said), Some(part)) => assert!(said.contains(part), "{name} {motion:?}: {said}"),
            (got, wanted) => panic!("{name} {motion:?}: {got:?}, wanted {wanted:?}"),
        }
    }
}

/// A release that ships one line, with two fixes on it.
fn release() -> PushPolicy {
    use crate::domain::candidate::{Held, Part};
    let oid = |digit: &str| Some(digit.repeat(40).parse::<CommitId>().unwrap());
    let fix = |case: &str, digit| Held { part: Part::Fix(case.parse().unwrap()), commit: oid(digit) };
    let holds = vec![Held { part: Part::Line, commit: oid("a") }, fix("DEMO-1", "b"), fix("DEMO-2", "c")];
    let places = Places::Release(vec![Wanted { line: "main".parse().unwrap(), holds }]);
    PushPolicy { places, frozen_in: None, limits: PushLimits::default(), lint: LintPolicy::default() }
}

fn judged_of_release(facts: RefFacts) -> Result<Vec<Note>, String> {
    let sent = Sent { complete: true, ..Sent::default() };
    verdict(&release(), &PushFacts { refs: vec![facts], sent })
        .map_err(|refusals| refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))
}

#[test]
fn a_release_takes_candidates_of_its_lines_and_nothing_else() {
    use Motion::{Created, Deleted, Forward, NotACommit, Rewritten};
    let table = [
        ("refs/heads/candidate/main", Created, None),
        ("refs/heads/candidate/main", Forward, None),
        ("refs/heads/candidate/main", Rewritten, None),
        ("refs/heads/candidate/main", Deleted, None),
        ("refs/heads/candidate/main", NotACommit, Some("must be a commit")),
        ("refs/heads/candidate/1.x", Created, Some("ships no line 1.x here: push to candidate/main")),
        ("refs/heads/main", Forward, Some("push what the release should ship to candidate/main")),
        ("refs/heads/fix/DEMO-1/main", Forward, Some("follows the fix of its case")),
        ("refs/heads/fix/main", Created, Some("follows the fix of its case")),
        ("refs/heads/wip/idea", Created, Some("cannot be pushed")),
        ("refs/tags/v1", Created, Some("Tags are made by the release")),
        ("refs/keep/0000", Created, Some("cannot be used as a name")),
    ];
    for (name, motion, refused) in table {
        match (judged_of_release(moved(name, motion)), refused) {
            (Ok(_), None) => {}
            (Err(said), Some(part)) => assert!(said.contains(part), "{name} {motion:?}: {said}"),
            (got, wanted) => panic!("{name} {motion:?}: {got:?}, wanted {wanted:?}"),
        }
    }
}

#[test]
fn a_candidate_holds_all_that_is_to_be_merged_or_is_told_what_it_lacks() {
    let policy = release();
    assert_eq!(policy.wanted("refs/heads/candidate/main").len(), 3);
    assert!(policy.wanted("refs/heads/candidate/1.x").is_empty());
    let lacks = |digits: &[&str]| {
        let mut facts = moved("refs/heads/candidate/main", Motion::Created);
        facts.lacks = digits.iter().map(|digit| digit.repeat(40).parse().unwrap()).collect();
        judged_of_release(facts)
    };
    assert_eq!(lacks(&[]), Ok(vec![Note::CandidateWaits("main".parse().unwrap())]));
    let said = lacks(&["a"]).unwrap_err();
    assert!(said.contains("does not hold the public main at aaaaaaaaaaaa: fetch, merge origin/main"), "{said}");
    let said = lacks(&["b", "c"]).unwrap_err();
    assert!(said.contains("origin/fix/DEMO-1/main") && said.contains("origin/fix/DEMO-2/main"), "{said}");
    // A line that is in no mirror has no tip that anything could contain.
    let mut blind = release();
    let Places::Release(wanted) = &mut blind.places else { unreachable!("it is a release") };
    wanted[0].holds[0].commit = None;
    let facts = PushFacts {
        refs: vec![moved("refs/heads/candidate/main", Motion::Created)],
        sent: Sent { complete: true, ..Sent::default() },
    };
    assert!(verdict(&blind, &facts).unwrap_err()[0].to_string().contains("is in no mirror"));
}

#[test]
fn a_fix_that_moves_on_needs_approval_again() {
    let line: LineName = "1.11.x".parse().unwrap();
    assert_eq!(
        judged(moved("refs/heads/fix/1.11.x", Motion::Forward)),
        Ok(vec![Note::ApprovalsFall(FixKind::Fix, line)])
    );
    assert_eq!(judged(moved("refs/heads/fix/main", Motion::Forward)), Ok(Vec::new()));
}

#[test]
fn a_changed_workflow_is_pointed_out() {
    let mut facts = moved("refs/heads/fix/main", Motion::Forward);
    facts.changed.insert(".github/workflows/ci.yml".to_owned());
    assert_eq!(judged(facts), Ok(vec![Note::WorkflowsKept("main".parse().unwrap())]));
}

#[test]
fn entries_that_could_hurt_are_refused_by_name() {
    for (entry, part) in [
        (Hostile::Name("a\u{202e}b".to_owned()), "\"a\\u{202e}b\""),
        (Hostile::Link("etc".to_owned()), "leads out of the tree"),
        (Hostile::Submodule("vendored".to_owned()), "submodule \"vendored\""),
    ] {
        let mut facts = moved("refs/heads/wip/x", Motion::Created);
        facts.hostile.push(entry);
        assert!(judged(facts).unwrap_err().contains(part));
    }
}

#[test]
fn what_could_not_be_looked_through_is_refused() {
    let mut facts = moved("refs/heads/wip/x", Motion::Created);
    facts.complete = false;
    assert!(judged(facts).unwrap_err().contains("squash it"));
    let unseen = PushFacts { refs: vec![moved("refs/heads/wip/x", Motion::Created)], sent: Sent::default() };
    assert!(verdict(&policy(), &unseen).is_err());
    assert!(verdict(&policy(), &PushFacts::default()).is_err());
}

#[test]
fn large_files_and_large_pushes_are_refused() {
    let limits = PushLimits::default();
    let facts = |sent| PushFacts { refs: vec![moved("refs/heads/wip/x", Motion::Created)], sent };
    let fits = Sent { objects: 1, bytes: 1, biggest_blob: limits.blob_bytes, complete: true };
    assert!(verdict(&policy(), &facts(fits)).is_ok());
    assert!(verdict(&policy(), &facts(Sent { biggest_blob: limits.blob_bytes + 1, ..fits })).is_err());
    assert!(verdict(&policy(), &facts(Sent { bytes: limits.total_bytes + 1, ..fits })).is_err());
    assert!(verdict(&policy(), &facts(Sent { objects: limits.objects + 1, ..fits })).is_err());
}

#[test]
fn a_flood_of_refs_gets_one_sentence() {
    let refs = (0..1000).map(|n| moved(&format!("refs/heads/main{n}"), Motion::Created)).collect();
    let refusals =
        verdict(&policy(), &PushFacts { refs, sent: Sent { complete: true, ..Sent::default() } }).unwrap_err();
    assert_eq!(refusals.len(), 1);
    let refs = vec![moved("refs/heads/wip/x", Motion::Created), moved("refs/heads/wip/x", Motion::Created)];
    let twice = verdict(&policy(), &PushFacts { refs, sent: Sent { complete: true, ..Sent::default() } });
    assert!(twice.unwrap_err()[0].to_string().contains("twice"));
}

#[test]
fn what_tells_too_much_refuses_where_it_becomes_public_and_is_told_in_a_trial() {
    let found =
        |rule| Finding { rule, commit: "1".repeat(40).parse().unwrap(), spot: Spot::Message(1), what: "x".to_owned() };
    let push = |name: &str, rule| RefFacts { findings: vec![found(rule)], ..moved(name, Motion::Created) };
    let refused = judged(push("refs/heads/fix/main", LintRule::Advisory)).unwrap_err();
    assert!(refused.contains("1111111111, line 1 of its message"), "{refused}");
    let told = [Note::Tells(found(LintRule::Advisory))];
    assert_eq!(judged(push("refs/heads/wip/idea", LintRule::Advisory)).unwrap(), told);
    assert_eq!(judged(push("refs/heads/fix/main", LintRule::Word)).unwrap(), [Note::Tells(found(LintRule::Word))]);
    let tests = judged(push("refs/heads/tests/main", LintRule::Advisory)).unwrap();
    assert!(!tests.iter().any(|note| matches!(note, Note::Tells(_))), "they follow it: {tests:?}");
    assert!(judged(push("refs/heads/tests/main", LintRule::Reporter)).is_err());
    let mild = LintPolicy { levels: [(LintRule::Advisory, LintLevel::Warn)].into(), ..LintPolicy::default() };
    let facts = PushFacts { refs: vec![push("refs/heads/fix/main", LintRule::Advisory)], ..PushFacts::default() };
    let sent = Sent { complete: true, ..Sent::default() };
    assert_eq!(verdict(&PushPolicy { lint: mild, ..policy() }, &PushFacts { sent, ..facts }).unwrap(), told);
}

#[test]
fn tests_stay_as_they_are_while_a_release_is_frozen_with_them() {
    let frozen = PushPolicy { frozen_in: Some("DEMO-R1".parse().unwrap()), ..policy() };
    for motion in [Motion::Created, Motion::Forward, Motion::Rewritten, Motion::Deleted] {
        let sent = Sent { complete: true, ..Sent::default() };
        let facts = PushFacts { refs: vec![moved("refs/heads/tests/main", motion)], sent };
        let said = verdict(&frozen, &facts).unwrap_err()[0].to_string();
        assert!(said.contains("tests/main is frozen in DEMO-R1 as it is: reopen the release"), "{said}");
    }
    let line: LineName = "main".parse().unwrap();
    let moves_on = judged(moved("refs/heads/tests/main", Motion::Forward));
    assert_eq!(moves_on, Ok(vec![Note::ApprovalsFall(FixKind::Tests, line)]));
}
