//! The words the database accepts are the words the code knows.

use std::collections::{BTreeMap, BTreeSet};

use embargo::domain::access::{Consent, Role};
use embargo::domain::account::{KeyKind, PersonState};
use embargo::domain::amendment::{AmendmentAct, RetellingState};
use embargo::domain::audience::Level;
use embargo::domain::case::{CaseState, Verdict};
use embargo::domain::check::CheckState;
use embargo::domain::details::DetailsState;
use embargo::domain::dress::DressOutcome;
use embargo::domain::effect::{EffectState, Phase};
use embargo::domain::embargo::{EmbargoState, Side};
use embargo::domain::fix::FixKind;
use embargo::domain::follow_up::Because;
use embargo::domain::forward::MovedBy;
use embargo::domain::hold::HoldReason;
use embargo::domain::job::JobState;
use embargo::domain::landing::LandingState;
use embargo::domain::mark::Standing;
use embargo::domain::project::{TagStyle, TeamKind, UpstreamState};
use embargo::domain::recipe::Strategy;
use embargo::domain::recipient::Affect;
use embargo::domain::record::RecordAnswer;
use embargo::domain::rehearsal::Maker;
use embargo::domain::release::ReleaseState;
use embargo::domain::revision::RevisionKind;
use embargo::domain::session::{LinkKind, SessionKind};
use embargo::domain::severity::SeverityWord;
use embargo::domain::trial::TrialOutcome;
use embargo::store::mail::MailState;

/// Returns the words of a closed set, in alphabetical order.
macro_rules! all {
    ($kind:ident) => {
        $kind::ALL.iter().map(|value| value.as_str()).collect::<BTreeSet<_>>()
    };
}

/// What each checked column must accept. Words without an enum of their own stand here, and where the code writes them.
fn known() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    BTreeMap::from([
        ("person.state", all!(PersonState)),
        ("person_key.kind", all!(KeyKind)),
        ("sign_in_link.kind", all!(LinkKind)),
        ("session.kind", all!(SessionKind)),
        ("project.team", all!(TeamKind)),
        ("upstream.state", all!(UpstreamState)),
        ("team_member.role", all!(Role)),
        ("case.state", all!(CaseState)),
        ("case.verdict", all!(Verdict)),
        ("case.embargo", all!(EmbargoState)),
        ("case.proposed_by", all!(Side)),
        ("member.role", all!(Role)),
        ("member.consent", all!(Consent)),
        ("message.audience", BTreeSet::from(["team", "report", "all"])), // store::report
        ("mark.standing", all!(Standing)),
        ("fix.kind", all!(FixKind)),
        ("landing.state", all!(LandingState)),
        ("push.state", BTreeSet::from(["intended", "settled", "void"])), // store::push
        ("release.state", all!(ReleaseState)),
        ("release.hold", all!(HoldReason)),
        ("release_target.maker", all!(Maker)),
        ("release_target.strategy", all!(Strategy)),
        ("release_target.tag_style", all!(TagStyle)),
        ("release_move.moved_by", all!(MovedBy)),
        ("hook_call.state", all!(EffectState)),
        ("effect.phase", all!(Phase)),
        ("trial.outcome", all!(TrialOutcome)),
        ("dress.outcome", all!(DressOutcome)),
        ("effect.state", all!(EffectState)),
        ("effect.reason", all!(HoldReason)),
        ("mail.state", all!(MailState)),
        ("revision.kind", all!(RevisionKind)),
        ("details.state", all!(DetailsState)),
        ("case_link.because", all!(Because)),
        ("record_consent.answer", all!(RecordAnswer)),
        ("amendment.act", all!(AmendmentAct)),
        ("retelling.state", all!(RetellingState)),
        ("check_run.state", all!(CheckState)),
        ("check_job.state", all!(CheckState)),
        ("event.actor_kind", BTreeSet::from(["person", "reporter", "system"])), // store::event
        ("job.state", all!(JobState)),
        ("wave.level", all!(Level)),
        ("wave.severity", all!(SeverityWord)),
        ("wave_recipient.level", all!(Level)),
        ("wave_answer.answer", all!(Affect)),
    ])
}

#[test]
fn every_checked_word_is_a_word_of_the_code() {
    let mut checked = BTreeMap::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        checked.extend(word_lists(&text));
    }
    let checked: BTreeMap<&str, BTreeSet<&str>> =
        checked.iter().map(|(column, words)| (column.as_str(), words.iter().map(String::as_str).collect())).collect();
    assert_eq!(checked, known());
}

#[test]
fn word_lists_are_read_over_several_lines_and_numbers_are_not_words() {
    let sql = "create table \"case\" (\n  state text not null check (state in ('a',\n   'b')), -- check (x in ('c'))\n  \
               flag integer check (flag in (0, 1)),\n  check (state in ('a') or k is null)\n) strict;\ncreate table t (k text check (k in ('z')));";
    let found = word_lists(sql);
    let expected = [("case.state", vec!["a", "b"]), ("t.k", vec!["z"])];
    let expected = expected.map(|(column, words)| (column.to_owned(), words.into_iter().map(str::to_owned).collect()));
    assert_eq!(found, BTreeMap::from(expected));
}

/// Finds `check (<column> in ('<word>', …))` and the table it stands in.
fn word_lists(sql: &str) -> BTreeMap<String, BTreeSet<String>> {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let sql = lines.collect::<Vec<_>>().join("\n");
    let mut found = BTreeMap::new();
    for table in sql.split("create table ").skip(1) {
        let name = table.split([' ', '(']).next().unwrap_or_default().trim_matches('"');
        let table = table.split(';').next().unwrap_or_default();
        for check in table.split("check (").skip(1) {
            let Some((column, list)) = check.split_once(" in (") else { continue };
            let column = column.trim_matches('"');
            if !column.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                continue;
            }
            // A condition such as `state in (…) or …` says something else than which words there are.
            let Some((list, rest)) = list.split_once(')') else { continue };
            if !rest.starts_with(')') {
                continue;
            }
            let words: BTreeSet<String> = list.split('\'').skip(1).step_by(2).map(str::to_owned).collect();
            if !words.is_empty() {
                found.insert(format!("{name}.{column}"), words);
            }
        }
    }
    found
}
