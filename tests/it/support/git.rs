//! The git client as a person runs it: no configuration of the machine, fixed names and dates, a token by environment.

use std::path::Path;
use std::process::{Output, Stdio};

use data_encoding::BASE64;
use tokio::process::Command;

/// The real git, working for one sample person.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    header: Option<String>,
}

impl Git {
    /// Works without a token.
    pub(crate) fn anonymous() -> Self {
        Self { header: None }
    }

    /// Shows this token to every server, as a credential helper would.
    pub(crate) fn with_token(token: &str) -> Self {
        let pair = BASE64.encode(format!("sample:{token}").as_bytes());
        Self { header: Some(format!("Authorization: Basic {pair}")) }
    }

    /// Runs git in a folder, to its end.
    pub(crate) async fn run(&self, folder: &Path, args: &[&str]) -> Output {
        #[expect(clippy::disallowed_methods, reason = "the client is no part of the program")]
        let mut command = Command::new("git");
        let mut config = vec![("init.defaultBranch", "main"), ("protocol.version", "2"), ("core.askPass", "")];
        config.extend(self.header.as_deref().map(|header| ("http.extraHeader", header)));
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent").env("LC_ALL", "C");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Sample Developer");
            command.env(format!("GIT_{who}_EMAIL"), "developer@example.org");
            command.env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
        }
        command.env("GIT_CONFIG_COUNT", config.len().to_string());
        for (number, (key, value)) in config.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.current_dir(folder).args(args).stdin(Stdio::null()).kill_on_drop(true);
        command.output().await.expect("git is installed")
    }

    /// Runs git, which must succeed, and returns what it printed.
    pub(crate) async fn succeed(&self, folder: &Path, args: &[&str]) -> String {
        let output = self.run(folder, args).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {args:?}: {said}");
        String::from_utf8(output.stdout).expect("git prints text here").trim_end().to_owned()
    }

    /// Runs git, which must fail, and returns what it said.
    pub(crate) async fn fail(&self, folder: &Path, args: &[&str]) -> String {
        let output = self.run(folder, args).await;
        assert!(!output.status.success(), "git {args:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Commits one file on the branch that is checked out, and returns the commit.
    pub(crate) async fn commit(&self, folder: &Path, name: &str, text: &str) -> String {
        std::fs::write(folder.join(name), text).expect("the work tree can be written");
        self.succeed(folder, &["add", "-A"]).await;
        self.succeed(folder, &["commit", "-q", "-m", &format!("change {name}")]).await;
        self.succeed(folder, &["rev-parse", "HEAD"]).await
    }
}
