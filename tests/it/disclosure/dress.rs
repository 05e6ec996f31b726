//! The whole disclosure performed on copies and stand-ins, weeks before: what it says, what it finds, and that nobody hears of it.

use embargo::app::App;
use embargo::wire::release::DressView;
use embargo::workflow::project;
use jiff::SignedDuration;

use super::channel::{Wide, files};
use super::{House, INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::git::Git;
use crate::support::house::{self, Frozen};
use crate::support::receiver::Receiver;

async fn dress(app: &App, frozen: &Frozen) -> DressView {
    frozen.view(app).await.dress.unwrap()
}

async fn kinds(app: &App, frozen: &Frozen) -> Vec<String> {
    frozen.view(app).await.blockers.into_iter().map(|blocker| blocker.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_performed_whole_on_a_stage_and_nobody_hears_of_it() {
    let wide = Wide::stand(None, Receiver::listen().await).await;
    let app = wide.house.open(PLANNED).await;
    let frozen = wide.house.freeze(&app, at(INSTANT)).await;
    let before = wide.house.public().await;
    settle(&app).await;
    let seen = dress(&app, &frozen).await;
    // Look, push, read back; a page; three letters; the case; a folder, a webhook, two tags, an advisory.
    assert_eq!((seen.outcome.as_str(), seen.note.as_str(), seen.steps), ("fine", "", 13));
    assert_eq!(wide.house.public().await, before, "the public repository heard nothing");
    assert_eq!((wide.receiver.got().len(), wide.hub.made().len(), wide.hub.advisories().len()), (0, 0, 0));
    assert_eq!(files(&wide.served()), Vec::<std::path::PathBuf>::new());
    let scratch = wide.house.root().join("data/scratch");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "no copy stays behind");
    // Nothing moved: it stands for a day.
    go_to(&app, at(PLANNED) + SignedDuration::from_hours(1)).await;
    assert_eq!(dress(&app, &frozen).await.tried_at, seen.tried_at);
    // What was armed is performed again, from what was frozen.
    frozen.arm(&app).await;
    settle(&app).await;
    let again = dress(&app, &frozen).await;
    assert_eq!((again.outcome.as_str(), again.steps), ("fine", 13));
    assert!(again.tried_at > seen.tried_at);
    let leak = frozen.view(&app).await.ready_in_seconds;
    assert!(leak.is_some(), "merge and run were measured");
}

/// A trial push cannot see this: git looks for it only when it writes the ref.
#[tokio::test]
async fn a_tag_that_cannot_stand_beside_another_is_found_before_the_instant() {
    let house = House::new(&SINGLE, None).await;
    let bare = house.upstream("core");
    Git::anonymous().succeed(&bare, &["tag", "v2.0.1/rc", "main"]).await;
    let app = house.open(PLANNED).await;
    let frozen = house.freeze(&app, at(INSTANT)).await;
    let before = house.public().await;
    settle(&app).await;
    let seen = dress(&app, &frozen).await;
    assert_eq!(seen.outcome, "trouble");
    assert!(seen.note.starts_with("Step 1 (push_fixes): A copy of core refuses the push"), "{}", seen.note);
    assert!(seen.note.contains("refs/tags/v2.0.1/rc") && seen.note.contains("Nothing was sent"), "{}", seen.note);
    assert_eq!(kinds(&app, &frozen).await, ["dress"]);
    assert!(house::arm(&app, &frozen.team.alice, &frozen.release).await.is_err());
    assert_eq!(house.public().await, before);
    // The project takes the other tag away; the mirror hears of it, and a few minutes later all is well.
    Git::anonymous().succeed(&bare, &["tag", "-d", "v2.0.1/rc"]).await;
    go_to(&app, at(PLANNED) + SignedDuration::from_mins(10)).await;
    project::mirror_now(&app, &frozen.team.alice, &"demo".parse().unwrap()).await.unwrap();
    settle(&app).await;
    go_to(&app, at(PLANNED) + SignedDuration::from_mins(20)).await;
    assert_eq!((dress(&app, &frozen).await.outcome.as_str(), kinds(&app, &frozen).await), ("fine", Vec::new()));
    frozen.arm(&app).await;
    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &frozen).await;
}
