//! What a mail may say: a closed set of sentences with a link, and nothing else.
//!
//! Guards: no field of a notice can hold a title, a name or a text, so a mailbox read by others tells only that there is
//! news. An advisory's id is named only by the notice that it is public. Leaves sending to [`super::Mailer`].

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::told::{ToldWords, minute};
use crate::domain::id::{MailId, RecipientId};
use crate::domain::plain::{AdvisoryId, Link};
use crate::domain::text::{EmailAddress, Label};

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
    /// To those who can act: what was armed and clear is blocked.
    ReleaseBlocked,
    /// To who was told so: nothing blocks it any more.
    ReleaseClear,
    /// To a reporter or member: an advisory is public now.
    Disclosed {
        /// The public advisory.
        advisory: AdvisoryId,
    },
    /// To a member of an audience: a release is planned. What it says is looked up when it is sent.
    Told {
        /// Whose copy it is about.
        recipient: RecipientId,
    },
    /// The same, as it is sent: its words and its link are stored nowhere.
    #[serde(skip)]
    ToldNow(Box<ToldWords>),
    /// To a member of an audience who was told: the instant moved.
    WaveMoved {
        /// The project.
        project: Label,
        /// The new instant.
        due_at: Timestamp,
    },
    /// To a member of an audience who was told: the release is called off for now.
    WaveFell {
        /// The project.
        project: Label,
    },
    /// To a member of an audience who has not acknowledged.
    WaveReminder {
        /// The project.
        project: Label,
        /// The instant.
        due_at: Timestamp,
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
            Notice::ReleaseBlocked => "Something needs you again",
            Notice::ReleaseClear => "Something is in order again",
            Notice::Disclosed { .. } => "A security advisory is public",
            Notice::Told { .. } | Notice::ToldNow(_) => "A security release is planned",
            Notice::WaveMoved { .. } => "A planned security release has a new date",
            Notice::WaveFell { .. } => "A planned security release is called off for now",
            Notice::WaveReminder { .. } => "A planned security release waits for your word",
        }
    }

    /// Returns the text, lines of at most 78 characters but for the link.
    pub fn text(&self) -> String {
        const END: &str = "This mail was written by a program. No answer to it is read.\n";
        let (words, path, hint) = match &self.notice {
            Notice::ToldNow(words) => return format!("Hello,\n\n{}\n\n{END}", words.text(&self.base_url)),
            Notice::WaveMoved { project, due_at } => {
                return format!(
                    "Hello,\n\nthe security release of {project} that you were told of is now planned for\n\n  {}\n\n\
                     If the page behind your link does not open any more, a new link follows.\n\n{END}",
                    minute(*due_at)
                );
            }
            Notice::WaveFell { project } => {
                return format!(
                    "Hello,\n\nthe security release of {project} that you were told of is called off for now: its date \
                     does\nnot hold, and your link opens nothing any more. You hear from us once there is a new\n\
                     date. Please go on telling nobody.\n\n{END}"
                );
            }
            Notice::WaveReminder { project, due_at } => {
                return format!(
                    "Hello,\n\nyou were told of a security release of {project}, planned for\n\n  {}\n\nPlease open the \
                     personal link of our earlier mail, and acknowledge there that it\narrived. If you do not find \
                     it, please ask the project for another.\n\n{END}",
                    minute(*due_at)
                );
            }
            Notice::Told { .. } => {
                ("There is news for you on this page:", "w/".to_owned(), "Please have your personal link at hand.")
            }
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
            Notice::ReleaseBlocked => (
                "Something that was ready got into trouble. Please look at this page:",
                String::new(),
                "It is at the top after you sign in.",
            ),
            Notice::ReleaseClear => (
                "What needed somebody is in order again, and nothing is left to do:",
                String::new(),
                "Sign in if you would like to look.",
            ),
            Notice::Disclosed { advisory } => (
                "A security advisory you have been waiting for is public now:",
                format!("advisories/{advisory}"),
                "Thank you for your patience and your help.",
            ),
        };
        let link = self.base_url.join(&path);
        format!("Hello,\n\n{words}\n\n  {link}\n\n{hint}\n\n{END}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::{Severest, ToldLine};
    use super::*;
    use crate::domain::id::Minted;
    use crate::domain::sealed::Secret;
    use crate::domain::severity::SeverityWord;

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
            Notice::ReleaseBlocked,
            Notice::ReleaseClear,
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

    fn told(severity: Severest) -> Notice {
        let line = |line: &str, tag: &str| ToldLine {
            repository: "core".parse().unwrap(),
            line: line.parse().unwrap(),
            tag: tag.parse().unwrap(),
        };
        Notice::ToldNow(Box::new(ToldWords {
            project: "Demo".parse().unwrap(),
            due_at: "2030-01-15T13:00:00Z".parse().unwrap(),
            lines: vec![line("main", "v2.3.1"), line("1.x", "v1.8.5")],
            severity,
            code: Secret::new("embw_sample".to_owned()),
        }))
    }

    #[test]
    fn an_audience_is_told_no_more_than_its_level() {
        let text = mail(told(Severest::Rated(SeverityWord::High))).text();
        insta::assert_snapshot!(text, @r"
        Hello,

        a security release of Demo is planned for

          2030-01-15 13:00:00 UTC

        What ships:

          core main: v2.3.1
          core 1.x: v1.8.5

        The highest severity: high.

        This link is yours alone. Please acknowledge there, and say whether you are
        affected:

          https://security.example.org/w/#embw_sample

        Until the release is out, please tell nobody outside your audience.

        This mail was written by a program. No answer to it is read.
        ");
        let dated = mail(told(Severest::Untold)).text();
        assert!(!dated.contains("severity") && dated.contains("core 1.x: v1.8.5"), "{dated}");
        assert!(mail(told(Severest::Unrated)).text().contains("The highest severity: not rated."));
    }

    #[test]
    fn a_link_is_neither_printed_nor_stored() {
        let notice = told(Severest::Untold);
        assert!(!format!("{:?}", mail(notice.clone())).contains("embw_"));
        assert!(serde_json::to_string(&notice).is_err(), "it cannot be written into a row");
    }

    #[test]
    fn who_was_told_hears_of_a_move_and_of_a_fall_without_a_link() {
        let (project, due_at): (Label, Timestamp) = ("Demo".parse().unwrap(), "2030-01-15T13:00:00Z".parse().unwrap());
        let moved = Notice::WaveMoved { project: project.clone(), due_at };
        let reminder = Notice::WaveReminder { project: project.clone(), due_at };
        for notice in [moved, reminder, Notice::WaveFell { project }] {
            let json = serde_json::to_string(&notice).unwrap();
            assert_eq!(serde_json::from_str::<Notice>(&json).unwrap(), notice);
            let dated = !matches!(notice, Notice::WaveFell { .. });
            let text = mail(notice).text();
            assert!(text.contains("Demo") && !text.contains("https://"), "{text}");
            assert_eq!(text.contains("2030-01-15 13:00:00 UTC"), dated, "{text}");
            assert!(text.lines().all(|line| line.len() <= 90), "{text}");
        }
    }
}
