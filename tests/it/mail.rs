//! Mail handed to a real mail server: `aiosmtpd`, of the package python3-aiosmtpd.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::Stdio;

use embargo::domain::id::{MailId, Minted as _};
use embargo::notify::notice::{Mail, Notice};
use embargo::notify::{Mailer, Options, TlsMode};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A mail server that files what it gets under a folder; killed when dropped.
pub(crate) struct MailServer {
    _child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl MailServer {
    /// Starts the server and returns once it says that it listens.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        #[expect(clippy::disallowed_methods, reason = "the mail server is no part of the program")]
        let mut child = Command::new("aiosmtpd")
            .args(["-n", "-d", "-l", &format!("127.0.0.1:{port}"), "-c", "aiosmtpd.handlers.Mailbox"])
            .arg(folder.path().join("mail"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("aiosmtpd starts: it is in the package python3-aiosmtpd");
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let line = said.next_line().await.unwrap().expect("aiosmtpd listens before it ends");
            if line.contains("listening") {
                return Self { _child: child, port, folder };
            }
        }
    }

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

    pub(crate) fn mails(&self) -> Vec<String> {
        let new = std::fs::read_dir(self.folder.path().join("mail/new")).unwrap();
        new.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_real_mail_server_takes_and_files_the_mail() {
    let server = MailServer::start().await;
    let mailer = Mailer::open(&server.options()).unwrap();
    let mail = Mail {
        to: "reporter@example.org".parse().unwrap(),
        id: MailId::mint(1_700_000_000_000, [5; 10]),
        at: "2026-03-01T12:00:00Z".parse().unwrap(),
        base_url: "https://security.example.org".parse().unwrap(),
        notice: Notice::Disclosed { advisory: "DEMO-2026-0001".parse().unwrap() },
    };
    mailer.send(&mail).await.unwrap();

    let mails = server.mails();
    let [text] = mails.as_slice() else { panic!("{mails:?}") };
    for part in [
        "X-RcptTo: reporter@example.org",
        "Subject: A security advisory is public",
        "Auto-Submitted: auto-generated",
        "Date: Sun, 01 Mar 2026 12:00:00 +0000",
        "https://security.example.org/advisories/DEMO-2026-0001\n",
        &format!("Message-ID: <{}@example.org>", mail.id),
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[tokio::test]
async fn a_mail_tried_twice_can_be_told_from_two_mails() {
    let server = MailServer::start().await;
    let mailer = Mailer::open(&server.options()).unwrap();
    let mail = Mail {
        to: "reporter@example.org".parse().unwrap(),
        id: MailId::mint(1_700_000_000_000, [6; 10]),
        at: "2026-03-01T12:00:00Z".parse().unwrap(),
        base_url: "https://security.example.org".parse().unwrap(),
        notice: Notice::News,
    };
    mailer.send(&mail).await.unwrap();
    mailer.send(&mail).await.unwrap();
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    let id = format!("Message-ID: <{}@example.org>", mail.id);
    assert!(mails.iter().all(|text| text.contains(&id)), "{mails:?}");
}
