//! People of a team: where they are reached, by which key they come, and how they leave.

use embargo::domain::access::Role;
use embargo::domain::account::KeyKind;
use embargo::domain::id::CaseId;
use embargo::store;
use embargo::workflow::console::Console;
use embargo::workflow::{case, release};
use jiff::SignedDuration;

use crate::support::client::Sent;
use crate::support::house::{self, House, PLANNED};
use crate::support::server::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_says_where_their_notices_go_while_the_sign_in_is_fresh() {
    let test = TestApp::start().await;
    let (_, caller) = test.at_the_door("sample", Role::Fixer).await;
    let page = async || test.ask(&caller, "GET", "/account", &Sent::Nothing).await.body;
    let save = async |by, email: &str| {
        test.ask(by, "POST", "/account/email", &Sent::Form(format!("email={email}"))).await.status
    };
    assert!(page().await.contains("sample@example.org"));
    assert_eq!(save(&caller, "").await, 303);
    assert!(page().await.contains("You get no mail."));
    assert_eq!(save(&caller, "new%40example.org").await, 303);
    let shown = page().await;
    assert!(shown.contains("new@example.org") && !shown.contains("You get no mail."));
    assert_eq!(save(&caller, "no+address").await, 422);
    // Attack: a session left open is used to keep its owner from hearing of anything.
    test.advance(SignedDuration::from_mins(6));
    assert_eq!(save(&caller, "attacker%40example.net").await, 403);
    assert!(page().await.contains("new@example.org"));
    let again = test.sign_in("sample").await;
    assert_eq!(save(&again, "newer%40example.org").await, 303);
    test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_key_is_one_persons() {
    let test = TestApp::start().await;
    test.person("sample").await;
    let other = test.member("other", Role::Fixer).await;
    let key = test.signer("sample").key().to_string();
    let refused = embargo::workflow::account::add_key(&test.app, &other, KeyKind::Ssh, &key).await.unwrap_err();
    assert!(refused.to_string().contains("each person needs a key of their own"), "{refused}");
    let shared = embargo::workflow::account::add_key(&test.app, &other, KeyKind::Age, &key).await;
    shared.expect("who reads attachments may share a key");
    test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_a_team_is_out_of_its_cases_at_once() {
    let test = TestApp::start().await;
    let (_, manager) = test.at_the_door("manager", Role::ReleaseManager).await;
    let (fixer, leaver) = test.at_the_door("fixer", Role::Fixer).await;
    let (_, receipt) = test.report().await;
    let case: CaseId = receipt.case.parse().unwrap();
    let path = format!("/api/v1/cases/{case}");
    let sees = async |by| test.ask(by, "GET", &path, &Sent::Nothing).await.status;
    assert_eq!((sees(&manager).await, sees(&leaver).await), (200, 200));

    let console = Console::from(&*test.app);
    let (project, handle) = ("sample".parse().unwrap(), "fixer".parse().unwrap());
    let (_, cases) = console.leave_team(&project, &handle).await.unwrap();
    assert_eq!(cases, std::slice::from_ref(&case));
    assert_eq!((sees(&manager).await, sees(&leaver).await), (200, 404));
    assert_eq!(test.ask(&leaver, "GET", "/api/v1/projects/sample", &Sent::Nothing).await.status, 404);
    // Cases that come later are not theirs either, and nobody leaves twice.
    let (_, later) = test.report().await;
    assert!(case::show(&test.app, &fixer, &later.case.parse().unwrap()).await.is_err());
    assert!(console.leave_team(&project, &handle).await.unwrap_err().to_string().contains("not in the team"));
    let seats = store::member::team(&mut test.app.read().await.unwrap(), &project).await.unwrap();
    assert_eq!(seats.len(), 1);
    test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_leaves_an_open_case_to_nobody() {
    let test = TestApp::start().await;
    let manager = test.member("manager", Role::ReleaseManager).await;
    let case = test.accepted_case(&manager).await;
    let console = Console::from(&*test.app);
    let (project, handle) = ("sample".parse().unwrap(), "manager".parse().unwrap());
    let refused = console.leave_team(&project, &handle).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("embargo case invite {case}")), "{refused}");
    test.person("next").await;
    let next = "next".parse().unwrap();
    case::invite(&test.app, &manager, &case, &next, Role::Guest).await.unwrap();
    assert!(console.leave_team(&project, &handle).await.is_err(), "a guest can let nobody in");
    let (_, cases) = {
        console.join_team(&project, &next, Role::ReleaseManager).await.unwrap();
        case::invite(&test.app, &manager, &case, &next, Role::ReleaseManager).await.unwrap();
        console.leave_team(&project, &handle).await.unwrap()
    };
    assert_eq!(cases, [case]);
    test.settle().await;
}

/// Attack: a release goes out on the word of somebody who is gone.
#[tokio::test]
async fn nobody_leaves_while_a_release_waits_on_their_arming() {
    let house = House::new(&house::SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let console = Console::from(&*app);
    let (project, bob) = ("demo".parse().unwrap(), "bob".parse().unwrap());
    let refused = console.leave_team(&project, &bob).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("embargo release disarm {}", armed.release)), "{refused}");
    release::disarm(&app, &armed.team.alice, &armed.release).await.unwrap();
    let (_, cases) = console.leave_team(&project, &bob).await.unwrap();
    assert_eq!(cases, armed.cases);
}
