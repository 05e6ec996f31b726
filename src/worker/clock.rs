//! The alarm clock: cron expressions in UTC that wake sweeps. It remembers nothing, and a second waking does no harm.

use std::sync::Arc;

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::app::App;
use crate::workflow;

/// Why the alarm clock could not be set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A cron expression of the configuration cannot be read.
    #[error("`mirror` of repository {repository} is not a cron expression with seconds, such as \"0 */10 * * * *\".")]
    Expression {
        /// The repository's name.
        repository: String,
        /// Why.
        #[source]
        source: JobSchedulerError,
    },
    /// The clock itself.
    #[error("the alarm clock could not be started")]
    Clock(#[from] JobSchedulerError),
}

/// Sets every alarm and starts the clock. It runs until [`JobScheduler::shutdown`].
pub async fn start(app: &Arc<App>) -> Result<JobScheduler, Error> {
    let mut alarms = Vec::new();
    for project in &app.config.projects {
        for repository in &project.repositories {
            let (app, id, name) = (app.clone(), project.id.clone(), repository.name.clone());
            let alarm = Job::new_async(repository.mirror.as_str(), move |_, _| {
                let (app, id, name) = (app.clone(), id.clone(), name.clone());
                Box::pin(async move {
                    if let Err(error) = workflow::project::mirror_due(&app, &id, name.as_str()).await {
                        tracing::error!(error = &error as &dyn std::error::Error, "a mirror could not be queued");
                    }
                })
            })
            .map_err(|source| Error::Expression { repository: repository.name.to_string(), source })?;
            alarms.push(alarm);
        }
    }
    let (app, by_night) = (app.clone(), app.clone());
    let sweep = Job::new_async("20 * * * * *", move |_, _| {
        let app = app.clone();
        Box::pin(async move {
            if let Err(error) = workflow::sweep::run(&app).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the sweep failed");
            }
        })
    })?;
    alarms.push(sweep);
    let nightly = Job::new_async("0 40 2 * * *", move |_, _| {
        let app = by_night.clone();
        Box::pin(async move {
            if let Err(error) = workflow::rehearsal::nightly(&app).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the nightly rehearsals could not be queued");
            }
        })
    })?;
    alarms.push(nightly);
    // Only now: a scheduler that is given up before it started writes errors of its own into the log.
    let scheduler = JobScheduler::new().await?;
    for alarm in alarms {
        scheduler.add(alarm).await?;
    }
    scheduler.start().await?;
    Ok(scheduler)
}
