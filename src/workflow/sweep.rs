//! What is due and what was left behind, looked up anew each time: no memory but the database.

use std::time::Duration;

use super::Result;
use crate::app::App;
use crate::git::Repo;
use crate::store;

/// Leftovers of killed pushes are removed when they are older than this.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);

/// Settles lost pushes, wakes due releases, waves, hooks and landings, tries what others will need, says which armed releases got into
/// trouble, reminds of those that come near, removes leftovers. Twice does no harm.
pub async fn run(app: &App) -> Result<()> {
    super::push::sweep(app).await?;
    super::disclose::wake(app).await?;
    super::wave::send::sweep(app).await?;
    super::wave::news::sweep(app).await?;
    super::hook::sweep(app).await?;
    super::details::sweep(app).await?;
    super::landing::sweep(app).await?;
    super::trial::sweep(app).await?;
    super::dress::sweep(app).await?;
    super::alarm::sweep(app).await?;
    super::reminder::sweep(app).await?;
    leftovers(app).await
}

async fn leftovers(app: &App) -> Result<()> {
    let mut rows = app.read().await?;
    let mut repositories = Vec::new();
    for project in store::project::all(&mut rows).await? {
        let upstreams = store::project::upstreams(&mut rows, &project.id).await?;
        for case in store::case::with_remotes(&mut rows, &project.id).await? {
            repositories.extend(upstreams.iter().map(|upstream| Repo::Case(case.clone(), upstream.id)));
        }
        for release in store::release::planned(&mut rows, &project.id).await? {
            repositories.extend(upstreams.iter().map(|upstream| Repo::Release(release.clone(), upstream.id)));
        }
    }
    drop(rows);
    for repository in repositories {
        if app.git.exists(&repository) {
            let removed = app.git.sweep_leftovers(&repository, app.clock.now(), LEFTOVER_AGE).await?;
            if removed > 0 {
                tracing::info!(removed, "leftovers of pushes were removed");
            }
        }
    }
    Ok(())
}
