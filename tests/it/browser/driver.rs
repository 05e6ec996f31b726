//! A real Chromium on the real server: started for one test, asked through chromedriver, closed with it.
//!
//! Guards: whatever a page writes to the console as an error fails the test, a broken content policy among it. Waits on what
//! is to be seen, never on time.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use embargo::workflow::console::Console;
use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::extensions::query::ElementPollerWithTimeout;
use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::server::TestApp;

/// How long anything may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether pages may run script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// They may.
    On,
    /// They may not, as a browser set to refuse it.
    Off,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// On a screen, light.
    Light,
    /// On a screen, dark.
    Dark,
    /// On a telephone.
    Narrow,
}

/// One window, looking at the test's server.
pub(super) struct Page<'a> {
    /// The window.
    pub(super) driver: WebDriver,
    test: &'a TestApp,
}

/// Tells a story in a browser of its own, and fails if a page complained in between.
pub(super) async fn browse(test: &TestApp, script: Script, story: impl AsyncFnOnce(&Page<'_>)) {
    let (mut chromedriver, address) = chromedriver().await;
    let profile = tempfile::tempdir().unwrap();
    let mut wanted = ChromeCapabilities::new();
    for argument in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
        // What is pressed is scrolled to at once.
        "--force-prefers-reduced-motion",
        // Ends the browser with chromedriver, however that ends.
        "--remote-debugging-pipe",
    ] {
        wanted.add_arg(argument).unwrap();
    }
    wanted.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
    wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
    if script == Script::Off {
        let prefs = serde_json::json!({ "profile.managed_default_content_settings.javascript": 2 });
        wanted.add_experimental_option("prefs", prefs).unwrap();
    }
    let driver = WebDriver::new(address, wanted).await.unwrap();
    driver.set_poller(std::sync::Arc::new(ElementPollerWithTimeout::new(PATIENCE, Duration::from_millis(20))));
    let told = driver.run_and_quit(async |driver| {
        let page = Page { driver, test };
        story(&page).await;
        page.nothing_was_wrong().await;
        WebDriverResult::Ok(())
    });
    told.await.unwrap();
    chromedriver.kill().await.unwrap();
}

/// Starts chromedriver on a port that is free.
async fn chromedriver() -> (Child, String) {
    #[expect(clippy::disallowed_methods, reason = "the browser is no part of the program")]
    let mut command = Command::new("chromedriver");
    command.args(["--port=0", "--log-level=SEVERE"]).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().expect("chromedriver is installed: run `.ci/setup test`");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return (child, format!("http://127.0.0.1:{}", port.trim_end_matches('.')));
        }
    }
    panic!("chromedriver ended before it was ready");
}

impl Page<'_> {
    /// Goes to a path of the server.
    pub(super) async fn open(&self, path: &str) {
        self.driver.goto(self.test.url(path)).await.unwrap();
    }

    /// Signs in as a person by a new one-time link.
    pub(super) async fn sign_in(&self, handle: &str) {
        let (code, _) = Console::from(&*self.test.app).make_link(&handle.parse().unwrap()).await.unwrap();
        self.open("/sign-in").await;
        self.fill("Or enter a one-time code", code.expose()).await;
        self.press("Sign in").await;
        self.is_at("/").await;
    }

    /// Presses the button or follows the link of this name. What leads to another page is done when that page is there: the
    /// old one may hold the same fields and buttons.
    pub(super) async fn press(&self, name: &str) {
        let (root, leads) = self.pressed(name).await;
        let left = !leads || until(async || root.tag_name().await.is_err()).await;
        assert!(left, "{name:?} led nowhere: {:?}", self.text().await);
    }

    /// Presses a button whose form the browser does not send: something is missing in it.
    pub(super) async fn press_in_vain(&self, name: &str) {
        self.pressed(name).await;
    }

    /// Presses what has this name; returns the page it was on, and whether it leads to another.
    async fn pressed(&self, name: &str) -> (WebElement, bool) {
        let path = format!(
            "//*[self::button or self::a or self::summary][normalize-space()={0} or @aria-label={0}]",
            quoted(name)
        );
        steady(async || {
            let root = self.driver.find(By::Tag("html")).await?;
            let found = self.driver.query(By::XPath(&*path)).and_clickable().first().await?;
            let leads = found.tag_name().await? != "summary" && found.attr("target").await?.is_none();
            found.click().await?;
            Ok((root, leads))
        })
        .await
    }

    /// Returns the field with this label.
    pub(super) async fn field(&self, label: &str) -> WebElement {
        let label = format!("//label[starts-with(normalize-space(), {})]", quoted(label));
        steady(async || {
            let label = self.driver.query(By::XPath(&*label)).and_displayed().first().await?;
            match label.attr("for").await? {
                Some(id) => self.driver.find(By::Id(id)).await,
                None => label.find(By::Css("input")).await,
            }
        })
        .await
    }

    /// Replaces what stands in a field.
    pub(super) async fn fill(&self, label: &str, text: &str) {
        steady(async || {
            let field = self.field(label).await;
            field.clear().await?;
            field.send_keys(text).await
        })
        .await;
    }

    /// Returns what stands in a field.
    pub(super) async fn filled(&self, label: &str) -> String {
        self.field(label).await.prop("value").await.unwrap().unwrap_or_default()
    }

    /// Waits until this stands in a field.
    pub(super) async fn holds(&self, label: &str, text: &str) {
        let holds = until(async || self.filled(label).await == text).await;
        assert!(holds, "{label:?} holds {:?}", self.filled(label).await);
    }

    /// Chooses an entry of a list.
    pub(super) async fn choose(&self, label: &str, entry: &str) {
        let option = format!("./option[normalize-space()={}]", quoted(entry));
        self.field(label).await.find(By::XPath(option)).await.unwrap().click().await.unwrap();
    }

    /// Waits until a text is to be seen.
    pub(super) async fn sees(&self, text: &str) {
        let seen = until(async || self.text().await.is_some_and(|all| all.contains(text))).await;
        assert!(seen, "{text:?} is not to be seen, but: {:?}", self.text().await);
    }

    /// Returns what is to be seen, if a page is there.
    pub(super) async fn text(&self) -> Option<String> {
        self.driver.find(By::Tag("body")).await.ok()?.text().await.ok()
    }

    /// Waits until the window is at a path.
    pub(super) async fn is_at(&self, path: &str) {
        let wanted = self.test.url(path);
        let there = until(async || self.driver.current_url().await.is_ok_and(|url| url.as_str() == wanted)).await;
        assert!(there, "{wanted} was not reached, but {:?}: {:?}", self.driver.current_url().await, self.text().await);
    }

    /// Looks at pages in this way from now on.
    pub(super) async fn look(&self, look: Look) {
        let scheme = if look == Look::Dark { "dark" } else { "light" };
        let media = serde_json::json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.driver.cdp().send_raw("Emulation.setEmulatedMedia", media).await.unwrap();
        let (width, height) = if look == Look::Narrow { (390, 844) } else { (1280, 900) };
        let screen = serde_json::json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.driver.cdp().send_raw("Emulation.setDeviceMetricsOverride", screen).await.unwrap();
    }

    /// Takes what the console holds. A page that answers with a failure is an error there; `expected` are their statuses.
    async fn complaints(&self) -> Vec<String> {
        let entries = self.driver.browser_log().await.unwrap();
        let wrong = entries.into_iter().filter(|entry| entry.level == "SEVERE" || entry.level == "WARNING");
        // A refusal is a page like others, and the console tells its status.
        let own = |message: &String| !message.contains("the server responded with a status of 4");
        wrong.map(|entry| entry.message).filter(own).collect()
    }

    async fn nothing_was_wrong(&self) {
        let complaints = self.complaints().await;
        assert!(complaints.is_empty(), "the browser complained: {complaints:#?}");
    }
}

/// Acts on what was found. If the page it was found on has left since, nothing was done: it is looked for again on the page
/// that came.
async fn steady<T>(act: impl AsyncFn() -> WebDriverResult<T>) -> T {
    let began = Instant::now();
    loop {
        match act().await {
            Ok(done) => return done,
            Err(error) => {
                let left = matches!(*error, WebDriverErrorInner::StaleElementReference(_));
                assert!(left && began.elapsed() < PATIENCE, "{error:?}");
            }
        }
    }
}

/// Asks until the answer is yes; each question is a way to the browser and back.
async fn until(mut holds: impl AsyncFnMut() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if holds().await {
            return true;
        }
    }
    false
}

/// Writes a text as XPath knows it.
fn quoted(text: &str) -> String {
    if text.contains('"') { format!("'{text}'") } else { format!("\"{text}\"") }
}
