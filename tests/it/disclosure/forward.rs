//! What a line ships goes on: merged into newer lines, and tagged on another branch, in one push and one history.

use embargo::domain::id::{CaseId, ReleaseId};
use embargo::domain::repo::RefName;
use embargo::domain::severity::Severity;
use embargo::git::Repo;
use embargo::store;
use embargo::wire::advisory::EditAdvisory;
use embargo::workflow::{advisory, plan, project, release};

use super::{App, House, INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::git::Git;
use crate::support::house::{self, Team};

const FORWARD: &str = "[[project.repository.line]]\nname = '1.x'\nforward = ['main']\n";

/// Commits a file on a public branch, which is made where it is not there.
async fn commit(house: &House, branch: &str, from: &str, file: (&str, &str)) {
    let (git, core, work) = (Git::anonymous(), house.upstream("core"), house.work("core"));
    git.succeed(&work, &["checkout", "-q", "-B", branch, from]).await;
    git.commit(&work, file.0, file.1).await;
    git.succeed(&work, &["push", "-q", core.to_str().unwrap(), branch]).await;
}

/// Plans the case for `1.x` alone.
async fn plan_old(house: &House, app: &App, team: &Team, case: &CaseId) -> ReleaseId {
    let mut wish = house.plan(std::slice::from_ref(case), at(INSTANT));
    wish.targets.remove(0);
    let id = plan::plan(app, &team.alice, &wish).await.unwrap();
    settle(app).await;
    id
}

/// Has the text of the case approved, and the release armed by both.
async fn arm(app: &App, team: &Team, case: &CaseId, id: &ReleaseId) {
    let draft = advisory::show(app, &team.alice, case).await.unwrap();
    let mut text = draft.advisory;
    text.description = Some("A crafted file runs code. Update.".parse().unwrap());
    text.severity = Some(Severity::None("Not rated by this project".parse().unwrap()));
    advisory::edit(app, &team.alice, case, &EditAdvisory { advisory: text, version: draft.version }).await.unwrap();
    settle(app).await;
    let read = advisory::show(app, &team.bob, case).await.unwrap();
    advisory::approve(app, &team.bob, case, &read.digest.unwrap()).await.unwrap();
    let view = release::show(app, &team.alice, id).await.unwrap();
    assert!(view.blockers.is_empty(), "{:?}", view.blockers);
    release::freeze(app, &team.alice, id).await.unwrap();
    for actor in [&team.alice, &team.bob] {
        house::arm(app, actor, id).await.unwrap();
    }
}

#[tokio::test]
async fn an_older_line_is_merged_on_and_tagged_elsewhere_in_one_push() {
    let house = House::new(&SINGLE, None).await;
    house.configure(&format!("{FORWARD}tag_on = 'stable'\n"));
    house.decide("messages = { forward = 'Bring {tag} of {from} to {line}' }");
    commit(&house, "stable", "1.x", ("apart.txt", "apart\n")).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let view = armed.view(&app).await;
    let old = &view.targets[1];
    assert_eq!((old.moves.len(), old.moves[0].by.as_str(), old.moves[0].branch.as_str()), (1, "tag", "stable"));
    assert_eq!(old.moves[0].commits[0].message, "Bring v1.4.2 of 1.x to stable");
    assert_eq!(old.tagged.as_ref(), Some(&old.moves[0].to));
    assert_eq!(view.targets[0].commits[0].message, "Bring v1.4.2 of 1.x to main", "{:?}", view.targets[0].commits);

    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &armed).await;
    let (git, core) = (Git::anonymous(), house.upstream("core"));
    assert_eq!(git.succeed(&core, &["rev-parse", "main^2"]).await, armed.candidates[1].0.as_str());
    assert_eq!(
        git.succeed(&core, &["rev-parse", "v1.4.2^{commit}"]).await,
        git.succeed(&core, &["rev-parse", "stable"]).await
    );
    assert_eq!(git.succeed(&core, &["rev-parse", "stable^2"]).await, armed.candidates[1].0.as_str());
    assert_eq!(git.succeed(&core, &["show", "stable:code.txt"]).await, "mended");
    git.succeed(&core, &["fsck", "--strict"]).await;
}

#[tokio::test]
async fn a_branch_that_moved_after_freezing_holds_the_whole_release() {
    let house = House::new(&SINGLE, None).await;
    house.configure(&format!("{FORWARD}tag_on = 'stable'\n"));
    commit(&house, "stable", "1.x", ("apart.txt", "apart\n")).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    commit(&house, "stable", "stable", ("later.txt", "later\n")).await;
    let before = house.public().await;
    go_to(&app, at(INSTANT)).await;
    let view = armed.view(&app).await;
    assert_eq!(view.hold.map(|hold| hold.reason).as_deref(), Some("line_moved"));
    assert_eq!(house.public().await, before, "nothing was sent");
}

#[tokio::test]
async fn a_line_without_a_tag_gets_the_fix_and_a_conflict_is_resolved_in_a_fix_of_its_own() {
    let house = House::new(&SINGLE, None).await;
    house.configure(FORWARD);
    commit(&house, "main", "main", ("code.txt", "flawed and changed\n")).await;
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    house.fix(&app, &team, (&case, 1), ("code.txt", "mended\n")).await;
    let id = plan_old(&house, &app, &team, &case).await;
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    let trouble = view.targets[0].trouble.clone().unwrap();
    assert!(trouble.contains("does not merge into main, in 1 files"), "{trouble}");
    assert!(trouble.contains("git merge origin/fix/1.x && git push origin HEAD:refs/heads/fix/main"), "{trouble}");

    // What the fix of main holds is a merge of both, as the sentence says.
    let (git, core, work) = (Git::anonymous(), house.upstream("core"), house.work("core"));
    git.succeed(&work, &["checkout", "-q", "main"]).await;
    git.succeed(&work, &["merge", "-q", "-X", "ours", "-m", "Mend main", "fix/1.x"]).await;
    house.fix(&app, &team, (&case, 0), ("code.txt", "mended and changed\n")).await;
    release::show(&app, &team.alice, &id).await.unwrap();
    embargo::workflow::rehearsal::rehearse_now(&app, &team.alice, &id).await.unwrap();
    settle(&app).await;
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    let target = &view.targets[0];
    assert_eq!((target.trouble.clone(), target.moves[0].by.as_str()), (None, "forward"));
    arm(&app, &team, &case, &id).await;
    go_to(&app, at(INSTANT)).await;
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    assert_eq!(view.summary.state, "done", "{:?}", view.hold);
    assert_eq!(git.succeed(&core, &["show", "main:code.txt"]).await, "mended and changed");
    git.succeed(&core, &["merge-base", "--is-ancestor", "1.x", "main"]).await;
    assert_eq!(git.succeed(&core, &["tag", "--points-at", "main"]).await, "");
}

#[tokio::test]
async fn a_fix_of_an_older_line_alone_ships_on_the_newer_one_too() {
    let house = House::new(&SINGLE, None).await;
    house.configure(FORWARD);
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    house.fix(&app, &team, (&case, 1), ("code.txt", "mended\n")).await;
    let wish = house.plan(std::slice::from_ref(&case), at(INSTANT));
    let id = plan::plan(&app, &team.alice, &wish).await.unwrap();
    settle(&app).await;
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    let kinds: Vec<_> = view.blockers.iter().map(|blocker| blocker.kind.as_str()).collect();
    assert!(!kinds.contains(&"fix_missing") && !kinds.contains(&"line_unknown"), "{:?}", view.blockers);
    assert!(kinds.contains(&"candidate_checks"), "what no fix was checked as is checked itself: {kinds:?}");
    assert!(
        view.targets[0].tag_message.as_ref().unwrap().contains(&case.to_string()),
        "{:?}",
        view.targets[0].tag_message
    );
}

#[tokio::test]
async fn what_cannot_be_merged_on_or_tagged_there_is_told_with_the_way_out() {
    let house = House::new(&SINGLE, None).await;
    house.configure(&format!("{FORWARD}tag_on = 'stable'\n"));
    commit(&house, "main", "main", ("code.txt", "flawed and changed\n")).await;
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    house.fix(&app, &team, (&case, 0), ("guard.txt", "mended\n")).await;
    house.fix(&app, &team, (&case, 1), ("code.txt", "mended\n")).await;
    let wish = house.plan(std::slice::from_ref(&case), at(INSTANT));
    let id = plan::plan(&app, &team.alice, &wish).await.unwrap();
    settle(&app).await;
    let troubles = async || {
        let view = release::show(&app, &team.alice, &id).await.unwrap();
        view.targets.into_iter().map(|target| target.trouble.unwrap_or_default()).collect::<Vec<_>>()
    };
    let said = troubles().await;
    assert!(said[1].contains("its tags stand on stable, and there is no such branch in public"), "{said:?}");
    assert!(said[0].contains("what ships on 1.x is merged into it, and is not built"), "{said:?}");

    commit(&house, "stable", "1.x", ("code.txt", "apart\n")).await;
    project::mirror_now(&app, &team.alice, &"demo".parse().unwrap()).await.unwrap();
    settle(&app).await;
    let said = troubles().await;
    assert!(said[1].contains("merge stable into 1.x in public"), "{said:?}");
    assert!(said[1].contains("git merge origin/stable && git push origin HEAD:refs/heads/candidate/1.x"), "{said:?}");

    commit(&house, "stable", "stable", ("code.txt", "mended\n")).await;
    project::mirror_now(&app, &team.alice, &"demo".parse().unwrap()).await.unwrap();
    settle(&app).await;
    let said = troubles().await;
    assert_eq!(said[1], "", "the line goes there");
    assert!(said[0].contains("what ships on 1.x does not merge into it, in 1 files"), "{said:?}");
    assert!(
        said[0].contains("git merge origin/ships/1.x && git push origin HEAD:refs/heads/candidate/main"),
        "{said:?}"
    );
    let mut rows = app.read().await.unwrap();
    let upstream = store::project::upstreams(&mut rows, &"demo".parse().unwrap()).await.unwrap()[0].id;
    let ships = app.git.resolve(&Repo::Release(id.clone(), upstream), &RefName::ships(&"1.x".parse().unwrap())).await;
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    assert_eq!(ships.unwrap().map(|commit| commit.to_string()), view.targets[1].candidate, "it can be fetched");
}

/// A fix that is squashed does not hand its commits on: holding the older fix, the newer one would not hold what ships.
#[tokio::test]
async fn where_commits_are_made_anew_no_fix_is_said_to_resolve_what_is_merged_on() {
    let house = House::new(&SINGLE, None).await;
    house.configure(&format!("{FORWARD}strategy = 'squash'\n"));
    commit(&house, "main", "main", ("code.txt", "flawed and changed\n")).await;
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    house.fix(&app, &team, (&case, 1), ("code.txt", "mended\n")).await;
    let id = plan_old(&house, &app, &team, &case).await;
    let trouble = release::show(&app, &team.alice, &id).await.unwrap().targets[0].trouble.clone().unwrap();
    assert!(trouble.contains("`embargo release set-strategy DEMO-R1 1.x=merge`"), "{trouble}");
    assert!(!trouble.contains("HEAD:refs/heads/fix/main"), "{trouble}");

    // With both lines in the plan, the candidate is the place, and the commands do it.
    release::abandon(&app, &team.alice, &id).await.unwrap();
    house.fix(&app, &team, (&case, 0), ("guard.txt", "mended\n")).await;
    let wish = house.plan(std::slice::from_ref(&case), at(INSTANT));
    let id = plan::plan(&app, &team.alice, &wish).await.unwrap();
    settle(&app).await;
    let trouble = release::show(&app, &team.alice, &id).await.unwrap().targets[0].trouble.clone().unwrap();
    assert!(!trouble.contains("merge fix/1.x into fix/main"), "{trouble}");
    assert!(
        trouble.contains("git merge origin/ships/1.x && git push origin HEAD:refs/heads/candidate/main"),
        "{trouble}"
    );
}
