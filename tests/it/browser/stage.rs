//! A sample project with three people and a case that is fixed on one line, as far as a story wants it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use embargo::domain::access::Role;
use embargo::domain::actor::Actor;
use embargo::domain::fix::FixKind;
use embargo::domain::id::{CaseId, ReleaseId};
use embargo::domain::mark::Standing;
use embargo::domain::record::Part;
use embargo::domain::repo::CommitId;
use embargo::domain::severity::Severity;
use embargo::wire::advisory::EditAdvisory;
use embargo::wire::case::MarkRequest;
use embargo::wire::release::{PlanRelease, PlanTarget};
use embargo::workflow::{advisory, fix, mark, plan, release};

use crate::support::server::TestApp;
use crate::support::site::Site;

/// The people and their server.
pub(super) struct Stage {
    /// The server.
    pub(super) test: TestApp,
    /// Who pushes.
    pub(super) fixer: Actor,
    /// Who reviews; may release, too.
    pub(super) reviewer: Actor,
    /// Who plans and arms.
    pub(super) manager: Actor,
}

impl Stage {
    /// Lays the project and its people.
    pub(super) async fn lay() -> Self {
        let mut site = Site::with_project().await;
        site.configure(|config| config.projects[0].opens = Part::ALL.to_vec());
        let test = TestApp::on(site).await;
        test.settle().await;
        let fixer = test.member("fixer", Role::Fixer).await;
        let reviewer = test.member("reviewer", Role::ReleaseManager).await;
        let manager = test.member("manager", Role::ReleaseManager).await;
        Self { test, fixer, reviewer, manager }
    }

    /// Reports and accepts a case, and pushes a fix for `main`.
    pub(super) async fn pushed(&self) -> (CaseId, CommitId) {
        let case = self.test.accepted_case(&self.manager).await;
        let (git, name) = (self.test.git(&self.fixer).await, case.to_string());
        git.succeed(self.test.site.path(), &["clone", "-q", &self.test.remote(&case), &name]).await;
        let clone = self.test.site.path().join(&name);
        let head = git.commit(&clone, "sample.c", &format!("one\n2\nthree\nfour\n{}\n", name.replace('-', ""))).await;
        git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
        self.test.settle().await;
        (case, head.parse().unwrap())
    }

    /// Approves the fix and answers for its checks.
    pub(super) async fn reviewed(&self, case: &CaseId, head: &CommitId) {
        let (app, line) = (&self.test.app, "main".parse().unwrap());
        fix::approve(app, &self.reviewer, case, (None, &line, FixKind::Fix), head).await.unwrap();
        release::waive_checks(app, &self.reviewer, case, &line, head).await.unwrap();
        self.test.settle().await;
    }

    /// Says that the older line is free of the flaw.
    pub(super) async fn free(&self, case: &CaseId) {
        let free = MarkRequest { line: "1.x".parse().unwrap(), repository: None, standing: Standing::NotAffected };
        mark::set(&self.test.app, &self.fixer, case, &free).await.unwrap();
    }

    /// Plans a release of the case, which the older line is free of.
    pub(super) async fn planned(&self, case: &CaseId, tag: &str, due_at: &str) -> ReleaseId {
        self.free(case).await;
        let wish = PlanRelease {
            project: "sample".parse().unwrap(),
            cases: vec![case.clone()],
            targets: vec![PlanTarget {
                repository: None,
                line: "main".parse().unwrap(),
                tag: tag.parse().unwrap(),
                strategy: None,
                tags: None,
            }],
            due_at: due_at.parse().unwrap(),
            details_after: None,
            tests_after: None,
        };
        let id = plan::plan(&self.test.app, &self.manager, &wish).await.unwrap();
        self.test.settle().await;
        id
    }

    /// Writes the advisory as the fixer and approves it as the reviewer.
    pub(super) async fn told(&self, case: &CaseId) {
        let app = &self.test.app;
        let view = advisory::show(app, &self.fixer, case).await.unwrap();
        let mut text = view.advisory;
        text.description = Some("A **crafted** file runs code.\n\nUpdate, see `NEWS`.".parse().unwrap());
        text.severity = Some(Severity::Cvss("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N".parse().unwrap()));
        text.workaround = Some("Open no files of strangers.".parse().unwrap());
        advisory::edit(app, &self.fixer, case, &EditAdvisory { advisory: text, version: view.version }).await.unwrap();
        let read = advisory::show(app, &self.reviewer, case).await.unwrap();
        advisory::approve(app, &self.reviewer, case, &read.digest.unwrap()).await.unwrap();
        self.test.settle().await;
    }
}
