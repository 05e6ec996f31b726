//! What a mail may say: a closed set of sentences with a link, and nothing else.
//!
//! Guards: no field of a notice can hold a title, a name or a text, so a mailbox read by others tells only that there is
//! news. An advisory's id is named only by the notice that it is public. Leaves sending to [`super::Mailer`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::id::MailId;
use crate::domain::plain::{AdvisoryId, Link};
use crate::domain::text::EmailAddress;

/// The reasons to write to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Notice {
    /// To a reporter: the report arrived.
    ReportReceived,
    /// To a reporter: something happened.
    News,
    /// To a member: something happened.
    MemberNews,
    /// To a guest: a seat waits for an answer.
    Invited,
    /// To those who can act: a release does not go on by itself.
    ReleaseHeld,
    /// To those who can act: the instant of a release comes near, and something is left to do.
    ReleaseNear,
    /// To a reporter or member: an advisory is public now.
    Disclosed {
        /// The public advisory.
        advisory: AdvisoryId,
    },
}

/// One mail: its words follow from the notice.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Who gets it.
    pub to: EmailAddress,
    /// Its id; the same at every try, so that a mailbox can tell a repetition.
    pub id: MailId,
    /// When it was written.
    pub at: Timestamp,
    /// The address of this server's public pages.
    pub base_url: Link,
    /// What it says.
    pub notice: Notice,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mail({}, {:?})", self.id, self.notice)
    }
}

impl Mail {
    /// Returns the subject.
    pub fn subject(&self) -> &'static str {
        match self.notice {
            Notice::ReportReceived | Notice::News | Notice::MemberNews => "There is news for you",
            Notice::Invited => "You are invited",
            Notice::ReleaseHeld => "Something needs you now",
            Notice::ReleaseNear => "Something needs you soon",
            Notice::Disclosed { .. } => "A security advisory is public",
        }
    }

    /// Returns the text, lines of at most 78 characters but for the link.
    pub fn text(&self) -> String {
        let (words, path, hint) = match &self.notice {
            Notice::ReportReceived => (
                "Thank you for writing to us. There is news for you on this page:",
                "r/".to_owned(),
                "Please have your claim code at hand. Nobody will ask you for it by mail.",
            ),
            Notice::News => (
                "There is news for you on this page:",
                "r/".to_owned(),
                "Please have your claim code at hand. Nobody will ask you for it by mail.",
            ),
            Notice::MemberNews => ("There is news for you on this page:", String::new(), "Please sign in to read it."),
            Notice::Invited => (
                "Somebody would like to work with you. Please look at this page:",
                String::new(),
                "Sign in to accept or decline.",
            ),
            Notice::ReleaseHeld => (
                "Something waits for a person. Please look at this page now:",
                String::new(),
                "It is at the top after you sign in.",
            ),
            Notice::ReleaseNear => (
                "Something that waits for you is due soon. Please look at this page:",
                String::new(),
                "It is at the top after you sign in.",
            ),
            Notice::Disclosed { advisory } => (
                "A security advisory you have been waiting for is public now:",
                format!("advisories/{advisory}"),
                "Thank you for your patience and your help.",
            ),
        };
        let link = self.base_url.join(&path);
        format!(
            "Hello,\n\n{words}\n\n  {link}\n\n{hint}\n\nThis mail was written by a program. No answer to it is read.\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;

    fn mail(notice: Notice) -> Mail {
        Mail {
            to: "sample@example.org".parse().unwrap(),
            id: MailId::mint(1_700_000_000_000, [5; 10]),
            at: Timestamp::UNIX_EPOCH,
            base_url: "https://security.example.org/".parse().unwrap(),
            notice,
        }
    }

    #[test]
    fn every_notice_is_polite_short_and_has_one_link() {
        let disclosed = Notice::Disclosed { advisory: "DEMO-2026-0001".parse().unwrap() };
        let notices = [
            Notice::ReportReceived,
            Notice::News,
            Notice::MemberNews,
            Notice::Invited,
            Notice::ReleaseHeld,
            Notice::ReleaseNear,
            disclosed,
        ];
        for notice in notices {
            let mail = mail(notice);
            let text = mail.text();
            assert_eq!(text.matches("https://").count(), 1, "{text}");
            assert!(text.is_ascii() && mail.subject().is_ascii() && text.len() < 400, "{text}");
            assert!(text.lines().all(|line| line.len() <= 78), "{text}");
            assert!(!format!("{mail:?}").contains('@'));
        }
    }

    #[test]
    fn only_a_public_advisory_is_named() {
        let public = mail(Notice::Disclosed { advisory: "DEMO-2026-0001".parse().unwrap() });
        assert!(public.text().contains("https://security.example.org/advisories/DEMO-2026-0001\n"));
        assert!(mail(Notice::News).text().contains("https://security.example.org/r/\n"));
        assert!(mail(Notice::MemberNews).text().contains("https://security.example.org/\n"));
    }

    #[test]
    fn a_notice_survives_json_and_takes_no_field_of_its_own() {
        let notice = Notice::Disclosed { advisory: "DEMO-2026-0001".parse().unwrap() };
        let json = serde_json::to_string(&notice).unwrap();
        assert_eq!(json, r#"{"kind":"disclosed","advisory":"DEMO-2026-0001"}"#);
        assert_eq!(serde_json::from_str::<Notice>(&json).unwrap(), notice);
        assert!(serde_json::from_str::<Notice>(r#"{"kind":"disclosed","advisory":"x\r\nBcc: y"}"#).is_err());
        assert_eq!(serde_json::from_str::<Notice>(r#"{"kind":"news","text":"dropped"}"#).unwrap(), Notice::News);
        assert!(
            serde_json::from_str::<Notice>(r#"{"kind":"disclosed","advisory":"DEMO-2026-0001","text":"x"}"#).is_err()
        );
    }
}
