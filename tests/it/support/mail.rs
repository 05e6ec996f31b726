//! A real mail server: `aiosmtpd`, of the package python3-aiosmtpd. It can go down and come back.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::Stdio;
use std::sync::Arc;

use embargo::notify::{Options, TlsMode};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

/// A mail server that files what it gets under a folder; killed when dropped.
pub(crate) struct MailServer {
    child: Option<Child>,
    port: u16,
    folder: tempfile::TempDir,
    /// Rung whenever the server says something, which it does once it has filed a mail.
    bell: Arc<Notify>,
}

impl MailServer {
    /// Starts the server and returns once it says that it listens.
    pub(crate) async fn start() -> Self {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut server = Self { child: None, port, folder: tempfile::tempdir().unwrap(), bell: Arc::default() };
        server.come_back().await;
        server
    }

    /// Goes down: nobody listens at its address any more.
    pub(crate) async fn go_down(&mut self) {
        self.child.take().expect("it is up").kill().await.unwrap();
    }

    /// Comes back at the same address, with the mails it had.
    pub(crate) async fn come_back(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "the mail server is no part of the program")]
        let mut child = Command::new("aiosmtpd")
            .args(["-n", "-d", "-l", &format!("127.0.0.1:{}", self.port), "-c", "aiosmtpd.handlers.Mailbox"])
            .arg(self.folder.path().join("mail"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("aiosmtpd starts: it is in the package python3-aiosmtpd");
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        while !said.next_line().await.unwrap().expect("aiosmtpd listens before it ends").contains("listening") {}
        self.child = Some(child);
        let bell = Arc::clone(&self.bell);
        #[expect(clippy::disallowed_methods, reason = "it ends with the server")]
        tokio::spawn(async move {
            while let Ok(Some(_)) = said.next_line().await {
                bell.notify_waiters();
            }
        });
    }

    /// Waits until so many mails with this subject are there.
    pub(crate) async fn arrived(&self, subject: &str, count: usize) {
        loop {
            let rung = self.bell.notified();
            if self.ids(subject).len() >= count {
                return;
            }
            rung.await;
        }
    }

    /// Returns the settings that lead here.
    pub(crate) fn options(&self) -> Options {
        Options {
            host: Some("127.0.0.1".to_owned()),
            port: Some(self.port),
            tls: TlsMode::None,
            from: Some("security@example.org".parse().unwrap()),
            ..Options::default()
        }
    }

    /// Forgets the mails so far.
    pub(crate) fn clear(&self) {
        for file in std::fs::read_dir(self.folder.path().join("mail/new")).into_iter().flatten() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }

    /// Returns the mails so far, whole, in no order.
    pub(crate) fn mails(&self) -> Vec<String> {
        let new = std::fs::read_dir(self.folder.path().join("mail/new")).into_iter().flatten();
        new.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }

    /// Returns the Message-IDs of the mails with this subject, sorted.
    pub(crate) fn ids(&self, subject: &str) -> Vec<String> {
        let subject = format!("Subject: {subject}");
        let about = self.mails().into_iter().filter(|text| text.lines().any(|line| line == subject));
        let field = |text: String| text.lines().find(|line| line.starts_with("Message-ID:")).map(str::to_owned);
        let mut ids: Vec<_> = about.map(|text| field(text).expect("every mail has an id")).collect();
        ids.sort();
        ids
    }
}
