//! A public repository behind a real SSH server: mirrored, and released to, with a key of the project's and a pinned host.

use embargo::worker;
use embargo::workflow::project;
use jiff::SignedDuration;

use super::{House, INSTANT, PLANNED, SINGLE, at, go_to};
use crate::support::ssh::SshServer;

/// Makes a house whose one repository is reached by SSH.
async fn house(server: &SshServer) -> House {
    let house = House::new(&SINGLE, None).await;
    let credential = format!(
        "identity_file = \"{}\"\nknown_hosts_file = \"{}\"\n",
        server.identity().display(),
        server.known_hosts().display()
    );
    house.reach("core", &server.url(&house.upstream("core")), &credential);
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_behind_ssh_is_mirrored_and_released_to() {
    let server = SshServer::start().await;
    let house = house(&server).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let page = project::show(&app, &armed.team.alice, &"demo".parse().unwrap()).await.unwrap();
    assert_eq!(page.repositories[0].state, "ok", "{}", page.repositories[0].note);
    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &armed).await;
}

/// Attack: somebody between the server and the forge, who would take the release and its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_another_key_gets_nothing() {
    let server = SshServer::start().await;
    let house = house(&server).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let before = house.public().await;
    server.forget_host_key();
    for minute in 0..=15 {
        go_to(&app, at(INSTANT) + SignedDuration::from_mins(minute)).await;
    }
    let view = armed.view(&app).await;
    assert_eq!((view.hold.unwrap().reason.as_str(), view.public_at), ("upstream_down", None));
    assert_eq!(house.public().await, before);
    let demo = "demo".parse().unwrap();
    project::mirror_now(&app, &armed.team.alice, &demo).await.unwrap();
    worker::settle(&app).await.unwrap();
    let page = project::show(&app, &armed.team.alice, &demo).await.unwrap();
    assert_ne!(page.repositories[0].state, "ok");
    assert!(!page.repositories[0].note.is_empty());
}
