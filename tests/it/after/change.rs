//! What is public is corrected, withdrawn and reinstated: by two people, in public, and in every channel that takes it.

use std::panic::AssertUnwindSafe;

use embargo::domain::amendment::{AmendmentAct, RetellingState};
use embargo::domain::revision::RevisionKind;
use embargo::notify::notice::Notice;
use embargo::wire::advisory::EditAdvisory;
use embargo::wire::amendment::RetellingView;
use embargo::workflow::{Error, advisory, amendment, case, history};
use futures_util::FutureExt as _;
use jiff::SignedDuration;

use super::{INSTANT, Out, at, settle};
use crate::support::hub::Mood;
use crate::support::server::signed_in;

const ID: &str = "DEMO-2027-0001";
const MARKDOWN: &str = "advisories/DEMO-2027-0001.md";

#[tokio::test]
async fn a_correction_is_public_once_another_person_approved_exactly_what_they_read() {
    let out = Out::there("").await;
    let (app, case) = (&out.app, out.case());
    let (before, feed) = (out.file(MARKDOWN).await, out.feed().await);
    let news = out.mails(&Notice::MemberNews).await;
    let refused = out.ask(out.alice(), AmendmentAct::Correct, "Nothing is wrong.").await;
    assert!(
        matches!(&refused, Err(Error::Refused(why)) if why.to_string().contains("Nothing would change")),
        "{refused:?}"
    );

    out.write("A crafted file runs code, and so does a crafted name. Update.").await;
    assert!(out.public().await.differs);
    out.ask(out.alice(), AmendmentAct::Correct, "A crafted name does it, too.").await.unwrap();
    let read = advisory::show(app, out.bob(), case).await.unwrap();
    let asked = read.public.unwrap().amendment.unwrap();
    assert_eq!((asked.asked_by.as_str(), asked.why.as_str()), ("@alice", "A crafted name does it, too."));
    let changed: Vec<_> = asked.difference[0].text.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(changed.len(), 4, "two headers, and one line for another: {changed:?}");
    let digest = read.digest.unwrap();
    assert_eq!(out.file(MARKDOWN).await, before, "nothing changed yet");
    // Neither the person who asked, nor somebody who read something else.
    assert!(matches!(advisory::approve(app, out.alice(), case, &digest).await, Err(Error::Refused(_))));
    out.write("A crafted file or a crafted name runs code. Update.").await;
    let overtaken = advisory::approve(app, out.bob(), case, &digest).await;
    assert!(
        matches!(&overtaken, Err(Error::Refused(why)) if why.to_string().contains("read it again")),
        "{overtaken:?}"
    );
    let read = advisory::show(app, out.bob(), case).await.unwrap();
    assert!(read.may_approve, "{:?}", read.not_approvable);
    advisory::approve(app, out.bob(), case, &read.digest.unwrap()).await.unwrap();

    let after = out.file(MARKDOWN).await;
    assert!(
        after.contains("or a crafted name runs code") && after.contains("- Changed: 2027-01-15T13:00:00Z"),
        "{after}"
    );
    let shown = history::show(app, &ID.parse().unwrap()).await.unwrap();
    let kinds: Vec<_> = shown.revisions.iter().map(|revision| revision.kind).collect();
    assert_eq!(kinds, [RevisionKind::Published, RevisionKind::Corrected]);
    assert_eq!(out.osv().await["modified"], "2027-01-15T13:00:00Z");
    assert_eq!(shown.revisions[1].at, "2027-01-15T13:00:00Z");
    let first = history::file(app, &ID.parse().unwrap(), 1, "DEMO-2027-0001.md").await.unwrap();
    assert_eq!(first.body, before.into_bytes(), "what was public stays readable");
    assert!(!feed.contains("2027-01-15T13:00:00") && out.feed().await.contains("2027-01-15T13:00:00"));
    assert!(out.public().await.amendment.is_none());
    assert_eq!(out.mails(&Notice::MemberNews).await - news, 2, "alice and bob");
    out.intact().await;

    // Once more: a second correction follows the first, and is later even within the same second.
    out.write("A crafted file or name runs code. Update at once.").await;
    out.amend(AmendmentAct::Correct, "Say it shorter.").await;
    assert_eq!(out.osv().await["modified"], "2027-01-15T13:00:01Z");
}

/// The fix was none: the version that was to have it is affected, too.
#[tokio::test]
async fn a_correction_may_say_that_what_was_shipped_does_not_fix_it() {
    let out = Out::there("").await;
    let (app, case) = (&out.app, out.case());
    let mut draft = advisory::show(app, out.alice(), case).await.unwrap();
    let line = draft.advisory.affected.iter_mut().find(|line| line.line.as_str() == "main").unwrap();
    (line.fixed, line.tag) = (Some("2.0.2".parse().unwrap()), None);
    let edited = EditAdvisory { advisory: draft.advisory, version: draft.version };
    advisory::edit(app, out.alice(), case, &edited).await.unwrap();
    out.amend(AmendmentAct::Correct, "Version 2.0.1 is affected, too.").await;
    let text = out.file(MARKDOWN).await;
    assert!(text.contains("before 2.0.2") && text.contains("before 1.4.2") && !text.contains("before 2.0.1"), "{text}");
    let osv = out.osv().await.to_string();
    assert!(!osv.contains(out.armed.candidates[0].0.as_str()), "the commit that was no fix is named as none: {osv}");
    out.intact().await;
}

#[tokio::test]
async fn every_channel_that_can_take_a_correction_gets_it_once_and_the_notes_of_a_tag_stay() {
    let out = Out::there("").await;
    let app = &out.app;
    let notes = out.hub.release("sample/core v2.0.1");
    out.write("A crafted file or name runs code. Update.").await;
    out.amend(AmendmentAct::Correct, "A crafted name does it, too.").await;
    settle(app).await;
    let public = out.file(MARKDOWN).await;
    assert_eq!(std::fs::read_to_string(out.served(MARKDOWN)).unwrap(), public);
    let page = std::fs::read_to_string(out.served("advisories/DEMO-2027-0001.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("or name runs code"), "{page}");
    let got = out.receiver.got();
    assert_eq!(got.len(), 1);
    let body: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!((body["type"].as_str(), body["data"]["revision"].as_u64()), (Some("advisory.corrected"), Some(2)));
    assert!(!got[0].body.contains("crafted"), "ids and addresses alone: {body}");
    let advisories = out.hub.advisories();
    assert_eq!((advisories.len(), advisories[0]["state"].as_str()), (1, Some("published")));
    assert_eq!(advisories[0]["description"].as_str().unwrap().replace("\r\n", "\n"), public);
    assert_eq!(out.hub.release("sample/core v2.0.1"), notes);
    let retellings = out.public().await.retellings;
    assert_eq!(retellings.len(), 3);
    assert!(retellings.iter().all(|row| row.state == RetellingState::Done), "{retellings:?}");
}

#[tokio::test]
async fn a_channel_that_is_down_is_told_later_and_one_that_says_no_calls_a_person() {
    let out = Out::there("").await;
    let app = &out.app;
    out.receiver.answer(503);
    // Somebody wrote another text on the forge by hand: it is theirs.
    out.hub.edit("description", "- Advisory: [DEMO-2027-0001](<https://example.org>)\n\nBy hand.");
    out.write("A crafted file or name runs code. Update.").await;
    out.amend(AmendmentAct::Correct, "A crafted name does it, too.").await;
    let calls = out.mails(&Notice::ReleaseHeld).await;
    settle(app).await;
    let state = async |channel: &str| {
        let rows = out.public().await.retellings;
        rows.into_iter().find(|row| row.channel == channel).unwrap()
    };
    assert_eq!(state("files").await.state, RetellingState::Done);
    assert_eq!(state("hook").await.state, RetellingState::Waiting);
    let forge = state("ghsa").await;
    assert!(forge.state == RetellingState::Failed && forge.note.contains("another text"), "{forge:?}");
    assert_eq!(calls, 2, "both managers are called");
    let needs = case::show(app, out.alice(), out.case()).await.unwrap().summary.needs;
    assert!(needs.iter().any(|need| need.starts_with("See to a channel")), "{needs:?}");

    out.receiver.answer(204);
    app.clock.set(at(INSTANT) + SignedDuration::from_hours(3));
    settle(app).await;
    assert_eq!(state("hook").await.state, RetellingState::Done);
    let ids: Vec<_> = out.receiver.got().iter().map(|delivery| delivery.headers[0].1.clone()).collect();
    assert!(ids.len() > 1 && ids.iter().all(|id| id == &ids[0]), "a repetition has the same id: {ids:?}");

    // Mended there, it is told again; a stranger asks in vain.
    let stranger = signed_in(app.mint());
    let hidden = amendment::retell(app, &stranger, out.case(), &"ghsa".parse().unwrap()).await;
    assert!(matches!(hidden, Err(Error::NotFound)));
    out.hub.edit("description", &out.file(MARKDOWN).await);
    amendment::retell(app, out.alice(), out.case(), &"ghsa".parse().unwrap()).await.unwrap();
    settle(app).await;
    assert_eq!(state("ghsa").await.state, RetellingState::Done);
    assert!(amendment::retell(app, out.alice(), out.case(), &"ghsa".parse().unwrap()).await.is_err());
}

#[tokio::test]
async fn a_slow_channel_never_gets_an_older_text_after_a_newer_one() {
    let out = Out::there("").await;
    out.hub.be(Mood::Answers(503));
    out.write("A crafted file or name runs code. Update.").await;
    out.amend(AmendmentAct::Correct, "A crafted name does it, too.").await;
    settle(&out.app).await;
    out.write("A crafted file, name or date runs code. Update.").await;
    out.amend(AmendmentAct::Correct, "And a crafted date.").await;
    out.hub.be(Mood::Fine);
    out.app.clock.set(at(INSTANT) + SignedDuration::from_hours(3));
    settle(&out.app).await;
    let text = out.hub.advisories()[0]["description"].as_str().unwrap().replace("\r\n", "\n");
    assert_eq!(text, out.file(MARKDOWN).await);
    let rows = out.public().await.retellings;
    let forge: Vec<_> = rows.iter().filter(|row| row.channel == "ghsa").map(|row| (row.revision, row.state)).collect();
    assert_eq!(forge, [(3, RetellingState::Done), (2, RetellingState::Overtaken)]);
}

#[tokio::test]
async fn what_was_withdrawn_says_so_everywhere_until_a_revision_says_that_it_holds() {
    let out = Out::there("").await;
    let app = &out.app;
    out.amend(AmendmentAct::Withdraw, "It is no flaw: the file was trusted.").await;
    settle(app).await;
    let osv = out.osv().await;
    assert_eq!(
        (osv["withdrawn"].as_str(), osv["modified"].as_str()),
        (Some("2027-01-15T13:00:00Z"), Some("2027-01-15T13:00:00Z"))
    );
    let text = out.file(MARKDOWN).await;
    assert!(text.contains("**Withdrawn 2027-01-15T13:00:00Z") && text.contains("It is no flaw"), "{text}");
    assert!(out.file("advisories/DEMO-2027-0001.html").await.contains("It is no flaw"));
    assert!(out.feed().await.contains("Withdrawn: Crafted file runs code"));
    assert!(out.receiver.got()[0].body.contains("advisory.withdrawn"));

    // Withdrawn once more, it gets another text.
    out.write("A trusted file runs code. Nothing to do.").await;
    out.amend(AmendmentAct::Withdraw, "It is no flaw: every such file is trusted.").await;
    assert!(out.file(MARKDOWN).await.contains("A trusted file runs code"));

    // Corrected silently back it is not, whatever the draft says.
    out.write("A crafted file runs code after all. Update.").await;
    let silent = out.ask(out.alice(), AmendmentAct::Correct, "A better text.").await;
    assert!(matches!(&silent, Err(Error::Refused(why)) if why.to_string().contains("reinstate")), "{silent:?}");
    out.amend(AmendmentAct::Reinstate, "The file need not be trusted.").await;
    assert!(out.osv().await.get("withdrawn").is_none());
    let shown = history::show(app, &ID.parse().unwrap()).await.unwrap();
    let kinds: Vec<_> = shown.revisions.iter().map(|revision| revision.kind).collect();
    let withdrawn = RevisionKind::Withdrawn;
    assert_eq!(kinds, [RevisionKind::Published, withdrawn, withdrawn, RevisionKind::Reinstated]);
    assert!(!out.feed().await.contains("Withdrawn:"));
}

#[tokio::test]
async fn a_withdrawal_carries_no_edit_along_and_whoever_edited_approves_no_correction() {
    let out = Out::there("").await;
    let (app, case) = (&out.app, out.case());
    let before = out.file(MARKDOWN).await;
    out.write("A half-written thought.").await;
    let as_bob = async |text: &str| {
        let draft = advisory::show(app, out.bob(), case).await.unwrap();
        let mut edited = EditAdvisory { advisory: draft.advisory, version: draft.version };
        edited.advisory.description = Some(text.parse().unwrap());
        advisory::edit(app, out.bob(), case, &edited).await.unwrap();
    };
    as_bob("Another thought.").await;
    out.write("A third thought.").await;
    // Alice asks; bob wrote at the text, if not last, and who wrote last is alice.
    out.ask(out.alice(), AmendmentAct::Correct, "A sample.").await.unwrap();
    let read = advisory::show(app, out.bob(), case).await.unwrap();
    let refused = advisory::approve(app, out.bob(), case, &read.digest.unwrap()).await;
    assert!(matches!(&refused, Err(Error::Refused(why)) if why.to_string().contains("You edited")), "{refused:?}");
    amendment::drop(app, out.alice(), case).await.unwrap();

    // The withdrawal is of what is public, and who edited something else may approve it.
    out.amend(AmendmentAct::Withdraw, "It is no flaw.").await;
    let after = out.file(MARKDOWN).await;
    let new: Vec<_> = after.lines().filter(|line| !before.contains(line)).collect();
    assert!(new.iter().all(|line| line.contains("ithdrawn") || line.contains("Changed")), "{new:?}");
    assert!(after.contains("It is no flaw.") && !after.contains("thought"), "{after}");
    assert!(out.view().await.advisory.description.unwrap().as_str().contains("third"), "the draft keeps its edits");
    out.intact().await;
}

#[tokio::test]
async fn what_is_asked_for_is_taken_back_and_a_volunteer_alone_approves_their_own() {
    let out = Out::there("").await.again("team = \"solo\"").await;
    let (app, case) = (&out.app, out.case());
    out.ask(out.alice(), AmendmentAct::Withdraw, "It is no flaw.").await.unwrap();
    let digest = out.view().await.digest.unwrap();
    amendment::drop(app, out.alice(), case).await.unwrap();
    assert!(amendment::drop(app, out.alice(), case).await.is_err(), "nothing is asked for");
    assert!(advisory::approve(app, out.bob(), case, &digest).await.is_err(), "it was taken back");
    out.ask(out.alice(), AmendmentAct::Withdraw, "It is no flaw.").await.unwrap();
    advisory::approve(app, out.alice(), case, &out.view().await.digest.unwrap()).await.unwrap();
    assert!(out.public().await.withdrawn);
    // Nobody outside learns that there was anything to ask.
    let stranger = signed_in(app.mint());
    assert!(matches!(out.ask(&stranger, AmendmentAct::Correct, "Mine.").await, Err(Error::NotFound)));
}

/// Attack, or bad luck: the server dies in the middle of an approval, or after a channel was told and before that is written down.
#[tokio::test]
async fn a_crash_changes_nothing_half_and_no_channel_is_told_two_things() {
    let out = Out::there("").await;
    out.write("A crafted file or name runs code. Update.").await;
    out.ask(out.alice(), AmendmentAct::Correct, "A crafted name does it, too.").await.unwrap();
    let out = out.crashing("panic:amendment:approving").await;
    let digest = out.view().await.digest.unwrap();
    let approval = advisory::approve(&out.app, out.bob(), out.case(), &digest);
    let died = AssertUnwindSafe(approval).catch_unwind().await;
    assert!(died.is_err(), "it died");
    assert_eq!(out.public().await.revision, 1);
    assert!(out.public().await.amendment.is_some(), "it is still asked for");

    let out = out.crashing("panic:retell:told").await;
    advisory::approve(&out.app, out.bob(), out.case(), &digest).await.unwrap();
    settle(&out.app).await;
    let waits = |row: &RetellingView| row.state == RetellingState::Waiting;
    assert!(out.public().await.retellings.iter().all(waits), "nothing was written down");
    assert!(!out.receiver.got().is_empty(), "and the receiver was told");
    let out = out.crashing("").await;
    out.app.clock.set(at(INSTANT) + SignedDuration::from_hours(3));
    settle(&out.app).await;
    let rows = out.public().await.retellings;
    assert!(rows.iter().all(|row| row.state == RetellingState::Done), "{rows:?}");
    let got = out.receiver.got();
    assert!(got.len() > 1 && got.iter().all(|one| one.headers[0] == got[0].headers[0] && one.body == got[0].body));
    assert_eq!(out.hub.advisories().len(), 1);
    out.intact().await;
}
