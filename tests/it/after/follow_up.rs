//! The archive of a public case, the retrospective, and a case that follows up on it.

use embargo::domain::access::Role;
use embargo::domain::account::KeyKind;
use embargo::domain::actor::Actor;
use embargo::domain::amendment::AmendmentAct;
use embargo::domain::follow_up::{Because, End};
use embargo::domain::id::CaseId;
use embargo::domain::mark::Standing;
use embargo::domain::owner::Owner;
use embargo::git::serve::Service;
use embargo::wire::advisory::EditAdvisory;
use embargo::wire::case::MarkRequest;
use embargo::wire::follow_up::FollowUpRequest;
use embargo::wire::release::{PlanRelease, PlanTarget};
use embargo::worker;
use embargo::workflow::console::{Console, NewPerson};
use embargo::workflow::remote::Stage;
use embargo::workflow::{Error, advisory, case, follow_up, mark, plan, publication, release, remote, retrospective};
use jiff::SignedDuration;

use super::{INSTANT, Out, at, settle};
use crate::support::house::{self, House, PLANNED, SINGLE};
use crate::support::server::signed_in;

/// Adds somebody with a seat in this case alone, who is not of the team.
async fn guest_of(out: &Out, handle: &str, case: &CaseId, role: Role) -> Actor {
    let recovery = std::fs::read_to_string(out.house.root().join("keys/recovery.txt")).unwrap();
    let person = NewPerson {
        handle: handle.parse().unwrap(),
        name: format!("Sample {handle}").parse().unwrap(),
        email: None,
        keys: vec![(KeyKind::Age, recovery.trim().to_owned())],
    };
    let id = Console::from(&*out.app).add_person(person).await.unwrap().id;
    case::invite(&out.app, out.alice(), case, &handle.parse().unwrap(), role).await.unwrap();
    let actor = signed_in(id);
    case::join(&out.app, &actor, case, embargo::domain::access::Consent::Signatory).await.unwrap();
    actor
}

fn wish(title: &str) -> FollowUpRequest {
    FollowUpRequest { because: Because::Incomplete, title: title.parse().unwrap() }
}

/// Everything a reader of a case is shown of it, as text.
async fn everything(out: &Out, actor: &Actor, case: &CaseId) -> String {
    let view = case::show(&out.app, actor, case).await.unwrap();
    let history = case::audit(&out.app, actor, case).await.unwrap();
    let text = format!("{} {}", serde_json::to_string(&view).unwrap(), serde_json::to_string(&history).unwrap());
    // The public advisory's own id begins like a case's.
    text.replace("DEMO-2027-", "")
}

#[tokio::test]
async fn a_public_case_is_an_archive_to_fetch_from_and_to_push_to_no_more() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let (owner, name) = (Owner::Case(armed.cases[0].clone()), "core".parse().unwrap());
    let ask = async |service, stage| remote::admit(&app, &armed.team.alice, (&owner, &name), service, stage).await;
    assert!(ask(Service::ReceivePack, Stage::Begins).await.is_ok(), "before, it takes pushes");
    app.clock.set(at(INSTANT));
    settle(&app).await;
    for stage in [Stage::Asks, Stage::Begins] {
        let Err(Error::Refused(why)) = ask(Service::ReceivePack, stage).await else { panic!("it took a push") };
        let why = why.to_string();
        assert!(
            why.contains("Push to the public repository") && why.contains("embargo case follow-up DEMO-1"),
            "{why}"
        );
        assert!(ask(Service::UploadPack, stage).await.is_ok(), "it is fetched from as before");
    }
    let view = case::show(&app, &armed.team.alice, &armed.cases[0]).await.unwrap();
    assert!(!view.remotes.is_empty());
}

/// Attack: a push in the seconds between the public push and the end of the run would put a fix into no release.
#[tokio::test]
async fn a_case_takes_no_push_while_its_release_runs() {
    let house = House::new(&SINGLE, None).await;
    house.configure(&format!(
        "[[project.channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\nsecret_file = \"{}/hook-secret\"\n",
        house.root().display()
    ));
    house.secret("hook-secret", crate::support::receiver::SECRET);
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    app.clock.set(at(INSTANT));
    settle(&app).await;
    assert_eq!(armed.view(&app).await.summary.state, "running", "nobody listens at the channel");
    let (owner, name) = (Owner::Case(armed.cases[0].clone()), "core".parse().unwrap());
    let pushed = remote::admit(&app, &armed.team.alice, (&owner, &name), Service::ReceivePack, Stage::Begins).await;
    assert!(matches!(pushed, Err(Error::Refused(_))));
}

#[tokio::test]
async fn who_has_a_seat_in_one_of_two_linked_cases_learns_nothing_of_the_other() {
    let out = Out::there("").await;
    let (app, first) = (&out.app, out.case());
    let carol = guest_of(&out, "carol", first, Role::Fixer).await;
    let made = follow_up::follow_up(app, out.alice(), first, &wish("What was left open")).await.unwrap();
    settle(app).await;
    let second: CaseId = made.case.parse().unwrap();
    let view = case::show(app, out.bob(), &second).await.unwrap();
    assert_eq!((view.summary.state.as_str(), view.remotes.len()), ("accepted", 1));
    let mut members: Vec<_> = view.members.iter().map(|member| member.handle.as_deref()).collect();
    members.sort_unstable();
    assert_eq!(members, [Some("alice"), Some("bob")], "neither the reporter nor who is not of the team");
    assert_eq!((view.links[0].case.as_str(), view.links[0].end), ("DEMO-1", End::Earlier));
    let back = case::show(app, out.alice(), first).await.unwrap();
    assert_eq!((back.links[0].case.as_str(), back.links[0].end), ("DEMO-2", End::Later));

    assert!(matches!(case::show(app, &carol, &second).await, Err(Error::NotFound)));
    assert!(!everything(&out, &carol, first).await.contains("DEMO-2"));
    let eve = guest_of(&out, "eve", &second, Role::Fixer).await;
    assert!(matches!(case::show(app, &eve, first).await, Err(Error::NotFound)));
    assert!(!everything(&out, &eve, &second).await.contains("DEMO-1"));

    // Only the team opens cases, only of what is public, and a stranger is told nothing.
    for (who, hidden) in [(&carol, false), (&signed_in(app.mint()), true)] {
        let refused = follow_up::follow_up(app, who, first, &wish("Mine")).await;
        assert_eq!(matches!(refused, Err(Error::NotFound)), hidden, "{refused:?}");
        assert!(matches!(refused, Err(Error::NotFound | Error::Refused(_))));
    }
    assert!(matches!(
        follow_up::follow_up(app, out.alice(), &second, &wish("Too early")).await,
        Err(Error::Refused(_))
    ));
    out.intact().await;
}

#[tokio::test]
async fn a_second_advisory_names_the_first_and_the_first_is_offered_to_name_the_second() {
    let out = Out::there("").await;
    let (app, team) = (&out.app, &out.armed.team);
    let made = follow_up::follow_up(app, out.alice(), out.case(), &wish("A crafted name, too")).await.unwrap();
    let second: CaseId = made.case.parse().unwrap();
    settle(app).await;
    assert!(out.public().await.offers.is_empty(), "nothing is said of it before it is public");
    out.house.fix(app, team, (&second, 0), ("name.txt", "mended\n")).await;
    let free = MarkRequest {
        repository: Some("core".parse().unwrap()),
        line: "1.x".parse().unwrap(),
        standing: Standing::NotAffected,
    };
    mark::set(app, out.alice(), &second, &free).await.unwrap();
    let target = PlanTarget {
        repository: Some("core".parse().unwrap()),
        line: "main".parse().unwrap(),
        tag: "v2.0.2".parse().unwrap(),
        strategy: None,
        tags: None,
    };
    let due_at = at(INSTANT) + SignedDuration::from_hours(24);
    let wish = PlanRelease {
        project: "demo".parse().unwrap(),
        cases: vec![second.clone()],
        targets: vec![target],
        due_at,
        details_after: None,
        tests_after: None,
    };
    let id = plan::plan(app, out.alice(), &wish).await.unwrap();
    worker::settle(app).await.unwrap();
    let draft = advisory::show(app, out.alice(), &second).await.unwrap();
    let mut text = draft.advisory;
    text.description = Some("A crafted name runs code. Update.".parse().unwrap());
    text.severity = Some(embargo::domain::severity::Severity::None("Not rated".parse().unwrap()));
    let edited = EditAdvisory { advisory: text, version: draft.version };
    advisory::edit(app, out.alice(), &second, &edited).await.unwrap();
    worker::settle(app).await.unwrap();
    let read = advisory::show(app, out.bob(), &second).await.unwrap();
    assert!(read.documents.iter().any(|document| document.text.contains("DEMO-2027-0001")), "it will name the first");
    advisory::approve(app, out.bob(), &second, &read.digest.unwrap()).await.unwrap();
    release::freeze(app, out.alice(), &id).await.unwrap();
    for person in [out.alice(), out.bob()] {
        house::arm(app, person, &id).await.unwrap();
    }
    app.clock.set(due_at);
    settle(app).await;
    assert_eq!(publication::published(app).await.unwrap().len(), 2);
    let osv: serde_json::Value = serde_json::from_str(&out.file("osv/x_DEMO-2027-0002.json").await).unwrap();
    assert_eq!(osv["related"], serde_json::json!(["x_DEMO-2027-0001"]));

    // The first is as it was until somebody corrects it; the sentence is drafted.
    assert!(out.osv().await.get("related").is_none());
    let offers = out.public().await.offers;
    assert_eq!(offers, ["The fix was incomplete: DEMO-2027-0002 tells of the rest."]);
    let needs = case::show(app, out.alice(), out.case()).await.unwrap().summary.needs;
    assert!(needs.iter().any(|need| need.contains("follows up on it")), "{needs:?}");
    out.amend(AmendmentAct::Correct, &offers[0]).await;
    assert_eq!(out.osv().await["related"], serde_json::json!(["x_DEMO-2027-0002"]));
    assert!(out.public().await.offers.is_empty());
}

#[tokio::test]
async fn a_retrospective_is_drafted_from_the_events_for_those_who_may_read_them() {
    let out = Out::there("").await;
    let (app, case) = (&out.app, out.case());
    let guest = guest_of(&out, "carol", case, Role::Guest).await;
    let auditor = guest_of(&out, "dora", case, Role::Auditor).await;
    let view = retrospective::show(app, out.alice(), case).await.unwrap();
    let steps: Vec<_> = view.steps.iter().map(|step| step.milestone.as_str()).collect();
    for wanted in [
        "opened",
        "acknowledged",
        "accepted",
        "first_fix",
        "fix_approved",
        "text_approved",
        "armed",
        "pushed",
        "published",
    ] {
        assert!(steps.contains(&wanted), "{wanted} is not in {steps:?}");
    }
    assert_eq!((view.gap_ms, view.steps.last().unwrap().after_seconds), (Some(0), 4 * 3600));
    for wanted in ["## What went well", "| 2027-01-15T12:00:00Z | Advisory public | 4 h 0 min |"] {
        assert!(view.markdown.contains(wanted), "{wanted} is not in {}", view.markdown);
    }
    assert!(!view.markdown.contains("crafted") && !view.markdown.contains("alice"), "no text and no name");
    assert!(retrospective::show(app, &auditor, case).await.is_ok());
    assert!(matches!(retrospective::show(app, &guest, case).await, Err(Error::Refused(_))));
    assert!(matches!(retrospective::show(app, &signed_in(app.mint()), case).await, Err(Error::NotFound)));
}
