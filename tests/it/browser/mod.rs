//! People at a real browser: what they press and what they see, with and without script, by keyboard, in light and dark.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod driver;
mod every_page;
mod stage;

use embargo::domain::access::Role;
use embargo::wire::advisory::EditAdvisory;
use embargo::workflow::console::Console;
use embargo::workflow::{advisory, release};
use jiff::SignedDuration;
use thirtyfour::prelude::*;

use self::driver::{Page, Script, browse};
use self::stage::Stage;
use crate::support::server::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_link_signs_in_once_and_leads_back_to_the_page_that_asked() {
    let test = TestApp::start().await;
    test.member("manager", Role::ReleaseManager).await;
    let (code, _) = Console::from(&*test.app).make_link(&"manager".parse().unwrap()).await.unwrap();
    browse(&test, Script::On, async |page| {
        page.open("/projects/sample").await;
        page.is_at("/sign-in").await;
        page.fill("Or enter a one-time code", "embl_wrong").await;
        page.press("Sign in").await;
        page.sees("This sign-in code does not work").await;
        // The code comes behind the # of the address, as `embargo login` hands it over.
        page.open(&format!("/sign-in#{}", code.expose())).await;
        page.holds("Or enter a one-time code", code.expose()).await;
        page.is_at("/sign-in").await;
        page.press("Sign in").await;
        page.is_at("/projects/sample").await;
        page.open("/account").await;
        page.press("Sign out").await;
        page.is_at("/sign-in").await;
        page.fill("Or enter a one-time code", code.expose()).await;
        page.press("Sign in").await;
        page.sees("This sign-in code does not work").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reporter_without_script_reports_with_a_file_and_comes_back_by_claim_code() {
    let test = TestApp::start().await;
    test.member("manager", Role::ReleaseManager).await;
    let proof = test.site.path().join("proof.txt");
    std::fs::write(&proof, "Sample proof.").unwrap();
    browse(&test, Script::Off, async |page| {
        page.open("/report/sample").await;
        page.fill("What is it about", "Sample overflow of a <b>buffer</b>").await;
        page.fill("What happens", "1. Open the file.\n2. It overflows.").await;
        page.choose("How bad is it", "High").await;
        page.press_choice("By this name").await;
        page.driver.find(By::Name("credit_name")).await.unwrap().send_keys("Sample Reporter").await.unwrap();
        page.field("Files").await.send_keys(proof.display().to_string()).await.unwrap();
        page.press("Send the report").await;
        page.sees("Your report has arrived").await;
        let code = page.driver.find(By::Css(".claim .secret")).await.unwrap().text().await.unwrap();
        test.settle().await;

        page.driver.delete_all_cookies().await.unwrap();
        page.open("/r/").await;
        page.fill("Claim code", "wrong").await;
        page.press("Open my report").await;
        page.sees("claim code").await;
        page.fill("Claim code", &code).await;
        page.press("Open my report").await;
        page.is_at("/r/").await;
        page.sees("Sample overflow of a <b>buffer</b>").await;
        page.sees("proof.txt").await;
        page.fill("Write to the team", "It needs no account.").await;
        page.press("Send").await;
        page.sees("It needs no account.").await;
        page.press("Leave this page").await;
        page.sees("Enter the claim code").await;
    })
    .await;
    test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advisory_is_written_without_script_by_two_at_once_and_nothing_is_lost() {
    let stage = Stage::lay().await;
    let (case, _) = stage.pushed().await;
    stage.planned(&case, "v2.0", "2026-04-01T12:00:00Z").await;
    let app = &stage.test.app;
    browse(&stage.test, Script::Off, async |page| {
        page.sign_in("fixer").await;
        page.open(&format!("/cases/{case}/advisory")).await;
        page.sees("Still missing").await;
        page.press("Edit").await;
        page.fill("What happens", "A crafted file\nruns <i>code</i>.").await;
        page.fill("CVE id", "2026-1").await;
        page.press("Add a credit").await;
        assert_eq!(page.focused().await, "credit-0-name", "the new row has the focus");
        page.fill("Name", "Sample Analyst").await;
        page.press("Add a reference").await;
        page.press("Remove reference 1").await;
        page.choose("How bad it is", "As the CVSS vector says").await;
        page.press("Save").await;
        // Both are told, the first has the focus, and what was typed is there.
        page.sees("Nothing was saved.").await;
        page.sees("A CVSS vector starts with").await;
        assert_eq!(page.focused().await, "vector");
        assert_eq!(page.filled("What happens").await, "A crafted file\nruns <i>code</i>.");
        assert_eq!(page.filled("Name").await, "Sample Analyst");
        page.fill("CVE id", "CVE-2026-0001").await;
        page.fill("CVSS vector", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N").await;

        let other = advisory::show(app, &stage.manager, &case).await.unwrap();
        let mut theirs = other.advisory;
        theirs.workaround = Some("Close the door.".parse().unwrap());
        let wish = EditAdvisory { advisory: theirs, version: other.version };
        advisory::edit(app, &stage.manager, &case, &wish).await.unwrap();
        page.press("Save").await;
        page.sees("The draft changed while you were writing").await;
        page.sees("@manager").await;
        page.sees("Close the door.").await;
        assert_eq!(page.filled("CVE id").await, "CVE-2026-0001");
        page.fill("Workaround", "Close the door, and lock it.").await;
        page.press("Save").await;
        page.is_at(&format!("/cases/{case}/advisory")).await;
        for text in
            ["runs <i>code</i>.", "CVE-2026-0001", "Close the door, and lock it.", "score 7.5", "Sample Reporter"]
        {
            page.sees(text).await;
        }
        // Asked, and not answered yet: no name is published without a yes.
        assert!(!page.text().await.unwrap().contains("Sample Analyst"));
    })
    .await;
    let saved = advisory::show(app, &stage.fixer, &case).await.unwrap().advisory;
    assert_eq!(saved.credits.len(), 1);
    stage.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_outlives_the_session_it_was_written_in() {
    let stage = Stage::lay().await;
    let (case, _) = stage.pushed().await;
    browse(&stage.test, Script::On, async |page| {
        page.sign_in("fixer").await;
        page.open(&format!("/cases/{case}/advisory/edit")).await;
        page.fill("What happens", "An hour of work.").await;
        stage.test.advance(SignedDuration::from_hours(1));
        page.press("Save").await;
        page.sees("You are signed out, and nothing was saved.").await;
        let (first, before) = (page.driver.window().await.unwrap(), page.driver.windows().await.unwrap().len());
        page.press("Sign in in a new tab").await;
        let windows = page.driver.windows().await.unwrap();
        assert_eq!(windows.len(), before + 1);
        page.driver.switch_to_window(windows.last().unwrap().clone()).await.unwrap();
        page.sign_in("fixer").await;
        page.driver.switch_to_window(first).await.unwrap();
        page.press("Save").await;
        page.sees("You signed in since this page was made").await;
        page.press("Save").await;
        page.is_at(&format!("/cases/{case}/advisory")).await;
        page.sees("An hour of work.").await;
    })
    .await;
    stage.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_reviewed_planned_frozen_armed_and_disarmed() {
    let stage = Stage::lay().await;
    let (case, head) = stage.pushed().await;
    browse(&stage.test, Script::On, async |page| {
        page.sign_in("fixer").await;
        page.open(&format!("/cases/{case}")).await;
        page.sees("Fixes").await;
        assert!(!page.text().await.unwrap().contains("Answer for it"), "nobody answers for their own fix");

        page.sign_in("reviewer").await;
        page.open(&format!("/cases/{case}")).await;
        page.press(&format!("Approve {} of fix/main", &head.as_str()[..10])).await;
        page.press("Answer for it").await;
        page.press(&format!("I answer for it: {} of fix/main", &head.as_str()[..10])).await;
        page.sees("@reviewer answers for this commit.").await;

        page.sign_in("manager").await;
        page.open("/projects/sample").await;
        page.press("Plan a release").await;
        page.press_choice(&case.to_string()).await;
        page.fill("sample main", "v2.0").await;
        page.instant("The instant", "2026-04-01T12:00").await;
        page.press("Plan").await;
        page.is_at("/releases/SAMPLE-R1").await;
        page.sees("What still blocks it").await;
        stage.test.settle().await;
        page.sees("Nobody has said how 1.x stands").await;
        stage.free(&case).await;
        stage.told(&case).await;
        page.driver.refresh().await.unwrap();
        page.press("Freeze").await;
        page.sees("Armed by 0 of 2").await;
        stage.test.advance(SignedDuration::from_mins(6));
        page.press("Arm").await;
        page.sees("Sign in again").await;
        page.sees(&format!("embargo login {}", stage.test.url(""))).await;
        let (code, _) = Console::from(&*stage.test.app).make_link(&"manager".parse().unwrap()).await.unwrap();
        page.fill("Or enter a one-time code", code.expose()).await;
        page.press("Sign in").await;
        page.is_at("/releases/SAMPLE-R1").await;
        page.press("Arm").await;
        page.sees("Armed by 1 of 2").await;

        page.sign_in("reviewer").await;
        page.open("/releases/SAMPLE-R1").await;
        page.press("Arm").await;
        page.sees("Armed by 2 of 2").await;
        page.press("Disarm").await;
        page.sees("Armed by 0 of 2").await;
    })
    .await;
    let release = release::show(&stage.test.app, &stage.manager, &"SAMPLE-R1".parse().unwrap()).await.unwrap();
    assert_eq!(release.summary.state, "frozen");
    stage.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_accepted_by_keyboard_alone() {
    let test = TestApp::start().await;
    test.member("triager", Role::Triager).await;
    test.report().await;
    test.settle().await;
    browse(&test, Script::On, async |page| {
        page.sign_in("triager").await;
        page.tab_to("Skip to content").await;
        page.keys(Key::Enter).await;
        page.tab_to("Sample overflow").await;
        page.keys(Key::Enter).await;
        page.is_at("/cases/SAMPLE-1").await;
        page.tab_to("Accept").await;
        page.keys(Key::Space).await;
        page.sees("being fixed").await;
        test.settle().await;
    })
    .await;
}

impl Page<'_> {
    /// Chooses a box or dot by what stands beside it.
    async fn press_choice(&self, label: &str) {
        self.field(label).await.click().await.unwrap();
    }

    /// Sets a field for an instant, whose keys depend on the browser's language.
    async fn instant(&self, label: &str, text: &str) {
        let script = "arguments[0].value = arguments[1]";
        let field = self.field(label).await.to_json().unwrap();
        self.driver.execute(script, vec![field, text.into()]).await.unwrap();
    }

    /// Returns the id of the element that has the focus.
    async fn focused(&self) -> String {
        self.driver.active_element().await.unwrap().attr("id").await.unwrap().unwrap_or_default()
    }

    async fn keys(&self, key: Key) {
        self.driver.action_chain().send_keys(key).perform().await.unwrap();
    }

    /// Presses Tab until the element of this name has the focus, and checks that one sees where the focus is.
    async fn tab_to(&self, name: &str) {
        for _ in 0..60 {
            self.keys(Key::Tab).await;
            let active = self.driver.active_element().await.unwrap();
            let text = active.text().await.unwrap();
            let (outline, width) =
                (active.css_value("outline-style").await.unwrap(), active.rect().await.unwrap().width);
            if text.contains(name) {
                let after = "return getComputedStyle(document.activeElement, '::after').outlineStyle";
                let after = self.driver.execute(after, vec![]).await.unwrap().json().to_string();
                assert!(
                    width > 0.0 && (outline != "none" || !after.contains("none")),
                    "the focus on {name} is not to be seen"
                );
                return;
            }
        }
        panic!("Tab does not lead to {name}");
    }
}
