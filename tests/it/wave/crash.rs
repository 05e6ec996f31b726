//! A server killed around the telling of an audience, and started again: each member hears of it once, by one link.

#![expect(clippy::disallowed_methods, reason = "the test starts itself as a child, and reads what it was told then")]

use std::path::Path;

use embargo::app::CrashPoint;

use super::{Scene, TOLD, before_due, code_in, opened, set, settle};
use crate::support::house;
use crate::support::program;

/// Which crash point the child is to die at, and where its house is.
const CHILD: (&str, &str) = ("EMBARGO_TEST_WAVE_CRASH_AT", "EMBARGO_TEST_WAVE_HOUSE");

#[tokio::test]
async fn killed_around_a_wave_and_started_again_everybody_is_told_by_one_link() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "distros", "date", "5d").await.unwrap();
    frozen.arm(&app).await;
    drop(app);
    scene.house.save();
    for point in ["wave:sending", "wave:sent", "mail:before", "mail:after"] {
        scene.house.restore();
        scene.mail.clear();
        assert_eq!(child(&scene, point).await, Some(9), "nothing passed {point}");
        let app = house::open(scene.house.root(), before_due(5 * 24), CrashPoint::default()).await;
        settle(&app).await;
        let mut ids = scene.mail.ids(TOLD);
        // What was handed over but not written down is handed over again, under the same Message-ID and with the same link.
        assert_eq!(ids.len(), if point == "mail:after" { 3 } else { 2 }, "{point}");
        ids.dedup();
        assert_eq!(ids.len(), 2, "{point}");
        for mail in scene.mail.mails().iter().filter(|mail| mail.contains(TOLD)) {
            let code = embargo::domain::sealed::Secret::new(code_in(mail).unwrap());
            assert_eq!(opened(&app, &code).await.project, "Demo", "{point}: every link that was mailed opens");
        }
        assert_eq!(super::waves(&app, &frozen).await.recipients.len(), 2, "{point}");
    }
}

/// Tells the audience in a process of its own that dies at the point; returns the signal it died of.
async fn child(scene: &Scene, point: &str) -> Option<i32> {
    let mut command = program::itself("wave::crash::a_child_tells_who_is_due");
    command.env(CHILD.0, point).env(CHILD.1, scene.house.root());
    program::died_of(command).await
}

/// The body of the child: does nothing unless it was started as one.
#[tokio::test]
async fn a_child_tells_who_is_due() {
    let Some(root) = std::env::var_os(CHILD.1) else { return };
    let point = CrashPoint::at(std::env::var(CHILD.0).ok());
    let app = house::open(Path::new(&root), before_due(5 * 24), point).await;
    settle(&app).await;
}
