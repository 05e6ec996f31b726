//! Every page there is, on a screen in light and dark and on a telephone, put to the rules of axe-core.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;

use embargo::domain::amendment::AmendmentAct;
use embargo::wire::amendment::AmendRequest;
use embargo::wire::record::ChooseRecord;
use embargo::workflow::{amendment, check, record, release};
use jiff::SignedDuration;

use super::driver::{Look, Page, Script, browse};
use super::stage::Stage;
use crate::support::house;

const INSTANT: &str = "2026-04-01T12:00:00Z";

/// Runs axe and answers with what weighs serious or more: `rule at selector: what`.
const ASK: &str = "
    const done = arguments[arguments.length - 1];
    const only = arguments[0] ? { runOnly: [arguments[0]] } : {};
    axe.run(document, { resultTypes: ['violations'], ...only }).then((found) => done(found.violations
        .filter((rule) => ['serious', 'critical'].includes(rule.impact))
        .flatMap((rule) => rule.nodes.map((node) => `${rule.id} at ${node.target}: ${node.failureSummary}`))), (error) => done([String(error)]));
";

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_readable_by_everybody() {
    let stage = Stage::lay().await;
    let app = &stage.test.app;
    let (case, head) = stage.pushed().await;
    let (_, receipt) = stage.test.report().await;
    stage.test.settle().await;
    browse(&stage.test, Script::On, async |page| {
        let eye = Eye::open(page);
        for path in ["/advisories", "/sign-in", "/report/sample", "/r/", "/w/", "/nothing"] {
            eye.look_at(path).await;
        }
        page.open("/r/").await;
        page.fill("Claim code", "wrong").await;
        page.press("Open my report").await;
        page.sees("Your report").await;
        eye.look("a wrong claim code").await;
        page.fill("Claim code", &receipt.claim_code).await;
        page.press("Open my report").await;
        page.sees("You and the team").await;
        eye.look("the reporter's page").await;
        page.press("Leave this page").await;

        page.sign_in("reviewer").await;
        let run = check::list(app, &stage.fixer, &case).await.unwrap()[0].id.clone();
        let release = stage.planned(&case, "v2.0", INSTANT).await;
        let (of_case, of_release) = (format!("/cases/{case}"), format!("/releases/{release}"));
        for path in [
            "/",
            "/projects/sample",
            "/account",
            "/cases/SAMPLE-2",
            &format!("/checks/{run}"),
            &of_case,
            &format!("{of_case}/join"),
            &format!("{of_case}/advisory"),
            &format!("{of_case}/advisory/edit"),
            &format!("{of_release}/waves"),
            &of_release,
        ] {
            eye.look_at(path).await;
        }
        page.open(&format!("{of_case}/advisory/edit")).await;
        page.press("Add a credit").await;
        page.press("Add a reference").await;
        page.fill("CVE id", "none").await;
        page.press("Save").await;
        page.sees("Nothing was saved.").await;
        eye.look("the editor with a fault").await;

        stage.reviewed(&case, &head).await;
        stage.told(&case).await;
        eye.look_at(&format!("{of_case}/advisory")).await;
        release::freeze(app, &stage.manager, &release).await.unwrap();
        eye.look_at(&of_release).await;
        for by in [&stage.manager, &stage.reviewer] {
            house::arm(app, by, &release).await.unwrap();
        }
        eye.look_at(&of_release).await;
        app.clock.set(INSTANT.parse().unwrap());
        stage.test.settle().await;
        page.sign_in("reviewer").await;
        page.open(&of_release).await;
        page.sees("Journal of the run").await;
        eye.look("a release that ran").await;
        eye.look_at(&of_case).await;
        stage.test.advance(SignedDuration::from_mins(6));
        page.open("/account").await;
        page.press_in_vain("Make token").await;
        page.sees("Name of a new token").await;
        eye.look_at("/advisories").await;
        eye.look_at("/advisories/SAMPLE-2026-0001").await;

        let why = "It is no flaw.".parse().unwrap();
        let wish = AmendRequest { act: AmendmentAct::Withdraw, why };
        amendment::amend(app, &stage.fixer, &case, &wish).await.unwrap();
        let lines = ChooseRecord { lines: vec!["timeline/opened".to_owned(), "timeline/published".to_owned()] };
        record::choose(app, &stage.manager, &case, &lines).await.unwrap();
        page.sign_in("reviewer").await;
        for path in [
            &of_case,
            &format!("{of_case}/advisory"),
            &format!("{of_case}/retrospective"),
            &format!("{of_case}/record"),
        ] {
            eye.look_at(path).await;
        }
        page.open(&format!("{of_case}/advisory")).await;
        page.press("Approve, and make it public now").await;
        page.sees("withdrawn").await;
        eye.look("an advisory that was withdrawn").await;
        page.open(&format!("{of_case}/record")).await;
        page.press("Publish exactly this, for good").await;
        page.sees("The record is public").await;
        for more in ["", "/history", "/history/1", "/record"] {
            eye.look_at(&format!("/advisories/SAMPLE-2026-0001{more}")).await;
        }
    })
    .await;
    stage.test.settle().await;
}

/// Looks at pages and keeps axe at hand.
struct Eye<'a> {
    page: &'a Page<'a>,
    axe: String,
}

impl<'a> Eye<'a> {
    fn open(page: &'a Page<'a>) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/axe/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(path).expect("axe-core is installed: run `.ci/setup test`");
        Self { page, axe }
    }

    async fn look_at(&self, path: &str) {
        self.page.open(path).await;
        self.look(path).await;
    }

    /// Looks at the page that is open in every way.
    async fn look(&self, name: &str) {
        let driver = &self.page.driver;
        for (look, only) in [(Look::Light, None), (Look::Dark, Some("color-contrast")), (Look::Narrow, None)] {
            self.page.look(look).await;
            if look == Look::Light {
                driver.execute(&self.axe, vec![]).await.unwrap();
            }
            if look == Look::Narrow {
                let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
                let over: i64 = driver.execute(wide, vec![]).await.unwrap().convert().unwrap();
                assert_eq!(over, 0, "{name} is wider than a telephone");
                continue;
            }
            let found = driver.execute_async(ASK, vec![only.into()]).await.unwrap();
            let found: Vec<String> = found.convert().unwrap();
            assert!(found.is_empty(), "{name}, {look:?}: {found:#?}");
        }
        self.page.look(Look::Light).await;
        let unstyled =
            "return getComputedStyle(document.body).margin !== '0px' || document.documentElement.lang !== 'en'";
        assert!(!driver.execute(unstyled, vec![]).await.unwrap().json().as_bool().unwrap(), "{name} has no style");
    }
}
