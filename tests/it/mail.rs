//! Mail handed to a real mail server.

use embargo::domain::id::{MailId, Minted as _};
use embargo::notify::Mailer;
use embargo::notify::notice::{Mail, Notice};

use crate::support::mail::MailServer;

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
