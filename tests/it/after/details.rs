//! Technical details that are held back: nowhere before their instant, everywhere after it, whatever happens to the advisory meanwhile.

use embargo::domain::actor::{Actor, Via};
use embargo::domain::amendment::AmendmentAct;
use embargo::domain::details::DetailsState;
use embargo::domain::revision::RevisionKind;
use embargo::notify::Mailer;
use embargo::notify::notice::Notice;
use embargo::wire::advisory::{AdvisoryView, Format, Stage};
use embargo::wire::details::MoveDetails;
use embargo::workflow::{Error, advisory, details, history, plan, publication, release};
use jiff::SignedDuration;

use super::{INSTANT, Out, at, settle};
use crate::support::details::{FOLLOWS, SECRET, detail, hold_back, is_pushed, sings};
use crate::support::server::signed_in;

const ID: &str = "DEMO-2027-0001";
const MARKDOWN: &str = "advisories/DEMO-2027-0001.md";
const FILES: [&str; 4] =
    [MARKDOWN, "advisories/DEMO-2027-0001.html", "advisories/DEMO-2027-0001.sha256", "osv/x_DEMO-2027-0001.json"];

impl Out {
    /// Discloses a release that holds its technical details back for seven days.
    async fn in_parts() -> Self {
        let out = Self::armed("").await;
        hold_back(&out.app, &out.armed).await;
        out.disclosed().await
    }

    async fn go_to(&self, instant: jiff::Timestamp) {
        self.app.clock.set(instant);
        settle(&self.app).await;
    }

    /// Collects everything that anybody outside could have read so far.
    async fn heard(&self) -> Vec<String> {
        let mut heard =
            vec![self.feed().await, format!("{:?}", self.receiver.got().iter().map(|it| &it.body).collect::<Vec<_>>())];
        for path in FILES {
            heard.extend(
                publication::file(&self.app, &path.parse().unwrap())
                    .await
                    .ok()
                    .map(|file| String::from_utf8(file.body).unwrap()),
            );
        }
        heard.extend(self.hub.advisories().iter().map(ToString::to_string));
        heard.extend(self.hub.made().iter().map(|key| self.hub.release(key).to_string()));
        let Mailer::Outbox(outbox) = &self.app.mailer else { panic!("mail goes into a list") };
        heard.extend(outbox.mails().iter().map(|mail| format!("{mail:?}")));
        if let Ok(shown) = history::show(&self.app, &ID.parse().unwrap()).await {
            heard.push(serde_json::to_string(&shown).unwrap());
        }
        heard
    }

    /// Checks that nobody outside could have read the details, and that they stand on no disk.
    async fn is_silent(&self) {
        let heard = self.heard().await;
        assert!(heard.iter().all(|text| !text.contains(SECRET)), "{heard:?}");
        assert!(!sings(&self.house.root().join("served")) && !is_pushed(&self.house).await);
        assert!(!sings(&self.house.root().join("data")), "what is held back is sealed");
    }

    async fn kinds(&self) -> Vec<RevisionKind> {
        let shown = history::show(&self.app, &ID.parse().unwrap()).await.unwrap();
        shown.revisions.iter().map(|revision| revision.kind).collect()
    }

    async fn put_off(&self, wish: MoveDetails) -> Result<(), Error> {
        details::put_off(&self.app, self.alice(), self.case(), &wish).await
    }
}

fn later(view: &AdvisoryView, path: &str) -> String {
    let documents = &view.later.as_ref().unwrap().documents;
    documents.iter().find(|document| document.path == path).unwrap().text.clone()
}

#[tokio::test]
async fn details_that_are_held_back_are_nowhere_before_their_instant_and_everywhere_after_it() {
    let out = Out::armed("").await;
    hold_back(&out.app, &out.armed).await;
    let app = &out.app;
    // Who approves reads both, and the hash is over both.
    let read = advisory::show(app, out.bob(), out.case()).await.unwrap();
    assert!(read.approved && read.later.as_ref().unwrap().at.as_deref() == Some(FOLLOWS), "{:?}", read.later);
    assert!(read.documents.iter().all(|document| !document.text.contains(SECRET)));
    let promised: Vec<_> = FILES.iter().map(|path| later(&read, path)).collect();
    assert!(promised[0].contains(SECRET) && promised[0].contains(&format!("- Changed: {FOLLOWS}")), "{}", promised[0]);
    let preview = advisory::preview(app, out.bob(), out.case(), (Format::Markdown, Stage::Later)).await.unwrap();
    assert_eq!(preview.text, promised[0]);
    settle(app).await;
    let view = out.armed.view(app).await;
    assert_eq!((view.details.unwrap().at.as_str(), view.dress.unwrap().outcome.as_str()), (FOLLOWS, "fine"));
    out.is_silent().await;

    let out = out.disclosed().await;
    out.is_silent().await;
    for path in [FILES[0], FILES[1], FILES[3]] {
        let text = out.file(path).await;
        assert!(text.contains("Technical details follow on") && text.contains(FOLLOWS), "{path}: {text}");
    }
    let told = out.view().await.public.unwrap();
    assert!(!told.differs, "nobody changed anything");
    assert_eq!(told.details.unwrap().follows_at.as_deref(), Some(FOLLOWS));
    let (news, notes) = (out.mails(&Notice::MemberNews).await, out.hub.release("sample/core v2.0.1"));
    out.go_to(at("2027-01-22T11:59:59.999Z")).await;
    out.is_silent().await;
    assert_eq!(out.kinds().await, [RevisionKind::Published]);

    out.go_to(at(FOLLOWS)).await;
    for (path, promised) in FILES.iter().zip(&promised) {
        assert_eq!(&out.file(path).await, promised, "byte for byte as approved: {path}");
    }
    assert_eq!(out.kinds().await, [RevisionKind::Published, RevisionKind::Details]);
    assert_eq!(out.osv().await["modified"], FOLLOWS);
    assert!(out.feed().await.contains(SECRET) && out.feed().await.contains(FOLLOWS));
    assert_eq!(std::fs::read_to_string(out.served(MARKDOWN)).unwrap(), promised[0]);
    let got = out.receiver.got();
    assert_eq!(got.len(), 1);
    let body: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!((body["type"].as_str(), body["data"]["revision"].as_u64()), (Some("advisory.details"), Some(2)));
    assert!(out.hub.advisories()[0]["description"].as_str().unwrap().contains(SECRET));
    assert_eq!(out.hub.release("sample/core v2.0.1"), notes, "the notes of a tag stay");
    assert_eq!(out.mails(&Notice::MemberNews).await - news, 2, "alice and bob");
    let public = out.public().await;
    let stands = public.details.unwrap();
    assert_eq!((stands.state, stands.revision, public.differs), (DetailsState::Published, Some(2), false));
    out.go_to(at("2027-01-23T12:00:00Z")).await;
    assert_eq!((out.kinds().await.len(), out.receiver.got().len()), (2, 1), "once");
    // From now on they are a part of the text like any other.
    out.write("A crafted file runs code. Update at once.").await;
    out.amend(AmendmentAct::Correct, "Say it shorter.").await;
    assert!(out.file(MARKDOWN).await.contains(SECRET));
    out.intact().await;
}

#[tokio::test]
async fn an_approval_and_an_arming_hold_for_what_follows_too() {
    let out = Out::armed("").await;
    hold_back(&out.app, &out.armed).await;
    let (app, alice, id) = (&out.app, out.alice(), &out.armed.release);
    let frozen = plan::hold_details(app, alice, id, Some("14d".parse().unwrap())).await;
    assert!(matches!(&frozen, Err(Error::Refused(why)) if why.to_string().contains("reopen")), "{frozen:?}");
    release::reopen(app, alice, id).await.unwrap();
    plan::hold_details(app, alice, id, Some("14d".parse().unwrap())).await.unwrap();
    settle(app).await;
    let blockers = out.armed.view(app).await.blockers;
    assert_eq!(blockers.iter().map(|blocker| blocker.kind.as_str()).collect::<Vec<_>>(), ["advisory_approval"]);
    // Published with the rest, there is nothing later to read.
    plan::hold_details(app, alice, id, None).await.unwrap();
    let read = advisory::show(app, out.bob(), out.case()).await.unwrap();
    assert!(read.later.is_none() && read.documents.iter().any(|document| document.text.contains(SECRET)));
    let nothing = advisory::preview(app, out.bob(), out.case(), (Format::Osv, Stage::Later)).await;
    assert!(matches!(nothing, Err(Error::Refused(_))));
}

#[tokio::test]
async fn a_correction_in_between_neither_tells_the_details_nor_is_undone_by_them() {
    let out = Box::pin(Out::in_parts()).await;
    out.write("A crafted file runs code, and so does a crafted name. Update.").await;
    out.ask(out.alice(), AmendmentAct::Correct, "A crafted name does it, too.").await.unwrap();
    let read = advisory::show(&out.app, out.bob(), out.case()).await.unwrap();
    let asked = read.public.as_ref().unwrap().amendment.as_ref().unwrap();
    let paths: Vec<_> = asked.difference.iter().map(|file| file.path.as_str()).collect();
    let with = |path: &str| format!("{path} (with the technical details)");
    assert_eq!(paths, [FILES[0], FILES[3], &with(FILES[0]), &with(FILES[3])]);
    advisory::approve(&out.app, out.bob(), out.case(), &read.digest.unwrap()).await.unwrap();
    settle(&out.app).await;
    out.is_silent().await;
    assert!(out.file(MARKDOWN).await.contains("crafted name") && out.file(MARKDOWN).await.contains(FOLLOWS));
    assert!(!out.public().await.differs);

    // A change of what is held back alone is approved as well, and nobody outside hears of it.
    detail(&out.app, &out.armed, &format!("Send the name `{SECRET}` twice.")).await;
    out.amend(AmendmentAct::Correct, "Say how often.").await;
    out.is_silent().await;
    assert_eq!(out.kinds().await, [RevisionKind::Published, RevisionKind::Corrected]);
    assert!(!out.public().await.differs);

    out.go_to(at(FOLLOWS)).await;
    let text = out.file(MARKDOWN).await;
    assert!(text.contains("crafted name") && text.contains(&format!("{SECRET}` twice")), "{text}");
    assert!(text.contains(&format!("- Changed: {FOLLOWS}")) && !text.contains("follow on"), "{text}");
    assert_eq!(out.kinds().await, [RevisionKind::Published, RevisionKind::Corrected, RevisionKind::Details]);
    out.intact().await;
}

#[tokio::test]
async fn of_a_withdrawn_advisory_no_details_follow_until_it_holds_again() {
    let out = Box::pin(Out::in_parts()).await;
    out.amend(AmendmentAct::Withdraw, "It is no flaw: the file was trusted.").await;
    settle(&out.app).await;
    assert!(!out.file(MARKDOWN).await.contains("follow on"));
    assert!(!out.public().await.details.unwrap().in_step);
    out.amend(AmendmentAct::Reinstate, "The file need not be trusted.").await;
    settle(&out.app).await;
    out.is_silent().await;
    assert!(out.file(MARKDOWN).await.contains("follow on"));
    out.amend(AmendmentAct::Withdraw, "It is no flaw after all.").await;

    // Their time passes, and they stay where they are.
    out.go_to(at(FOLLOWS) + SignedDuration::from_hours(1)).await;
    out.is_silent().await;
    assert_eq!(out.kinds().await.last(), Some(&RevisionKind::Withdrawn));
    out.amend(AmendmentAct::Reinstate, "It is one.").await;
    assert!(out.file(MARKDOWN).await.contains(SECRET), "their time has come, and both read them");
    out.go_to(at(FOLLOWS) + SignedDuration::from_hours(2)).await;
    assert_eq!(out.kinds().await.len(), 5, "nothing follows twice");
    assert_eq!(out.public().await.details.unwrap().revision, Some(5));
    out.intact().await;
}

#[tokio::test]
async fn who_may_arm_moves_the_details_until_they_are_public() {
    let out = Box::pin(Out::in_parts()).await;
    let app = &out.app;
    let stale = Actor::Person { id: out.alice().person().unwrap(), via: Via::Session { fresh: false } };
    assert!(matches!(details::put_off(app, &stale, out.case(), &MoveDetails::Now).await, Err(Error::Refused(_))));
    let stranger = signed_in(app.mint());
    assert!(matches!(details::put_off(app, &stranger, out.case(), &MoveDetails::Now).await, Err(Error::NotFound)));
    assert!(out.put_off(MoveDetails::At { at: at(INSTANT) }).await.is_err(), "this is over");

    // Further: the old time passes. A correction would say the new one.
    let further = at("2027-02-01T12:00:00Z");
    out.put_off(MoveDetails::At { at: further }).await.unwrap();
    assert!(out.public().await.differs, "the advisory names the old day");
    out.go_to(at(FOLLOWS)).await;
    out.is_silent().await;
    out.amend(AmendmentAct::Correct, "The details follow later.").await;
    assert!(out.file(MARKDOWN).await.contains("follow on 2027-02-01T12:00:00Z"));
    out.put_off(MoveDetails::Never).await.unwrap();
    out.go_to(further).await;
    out.is_silent().await;
    out.put_off(MoveDetails::Now).await.unwrap();
    settle(app).await;
    assert!(out.file(MARKDOWN).await.contains(SECRET));
    assert_eq!(out.kinds().await, [RevisionKind::Published, RevisionKind::Corrected, RevisionKind::Details]);
    assert!(out.put_off(MoveDetails::Never).await.is_err(), "what is public is not taken back");
    out.intact().await;
}
