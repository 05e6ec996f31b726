//! Releases of a repository on GitHub, or on Forgejo and Gitea: what a tag's page says.
//!
//! Guards: a tag's release is looked for before it is made, so that a lost answer makes none twice; a release of somebody
//! else's making is left as it is and told. The tag must be in public already: the forge makes none.

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::repository::{ForgeRepository, encoded, plain, refusal, unreached};
use super::{Answer, Forge, failed};
use crate::domain::channel::ForgeKind;
use crate::domain::effect::Outcome;
use crate::domain::repo::{CommitId, TagName};

/// A release as it is sent to a forge: frozen as these bytes of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseDraft {
    /// The tag, which is there.
    pub tag_name: TagName,
    /// What the tag names: a forge that lost the tag would put it back here and nowhere else.
    pub target_commitish: CommitId,
    /// The title.
    pub name: String,
    /// The notes, in Markdown.
    pub body: String,
    /// Never: it is for everybody.
    pub draft: bool,
    /// Never.
    pub prerelease: bool,
    /// `legacy` on GitHub: the latest release is the one with the highest version, not an old line's that came last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make_latest: Option<String>,
}

impl ReleaseDraft {
    /// Puts a release together for this forge.
    pub fn new(forge: ForgeKind, place: (TagName, CommitId), text: (String, String)) -> Self {
        let make_latest = match forge {
            ForgeKind::GitHub => Some("legacy".to_owned()),
            ForgeKind::Forgejo => None,
        };
        let ((tag_name, target_commitish), (name, body)) = (place, text);
        Self { tag_name, target_commitish, name, body, draft: false, prerelease: false, make_latest }
    }
}

/// What a forge says of a release.
#[derive(Deserialize)]
struct Found {
    tag_name: String,
    name: Option<String>,
    body: Option<String>,
    #[serde(default)]
    draft: bool,
}

/// How a tag's release stands.
enum Standing {
    /// There is none.
    Absent,
    /// It says what ours says.
    Ours,
    /// It says something else.
    Foreign,
    /// The forge did not say.
    Unsaid(Outcome),
}

impl Forge {
    /// Makes the release of a tag, unless it is there.
    pub async fn release(&self, repository: &ForgeRepository<'_>, body: Vec<u8>) -> Outcome {
        let Ok(wanted) = serde_json::from_slice::<ReleaseDraft>(&body) else {
            return failed("What was frozen for this channel cannot be read.");
        };
        match self.standing(repository, &wanted).await {
            Standing::Ours => return Outcome::Done("found on the forge".to_owned()),
            Standing::Foreign => return foreign(),
            Standing::Unsaid(outcome) => return outcome,
            Standing::Absent => {}
        }
        let request =
            self.ask(repository, Method::POST, "/releases").header("Content-Type", "application/json").body(body);
        let refused = match self.status(request).await {
            Answer::Said(status, _) if status.is_success() => return Outcome::Done("made on the forge".to_owned()),
            Answer::Said(status, _) if status.is_server_error() => {
                let note = format!("The forge answered {}: it may have made the release.", status.as_u16());
                return Outcome::Unknown(note);
            }
            Answer::Said(status, _) => status,
            Answer::Unreached => return unreached(),
            Answer::Lost => return Outcome::Unknown("The forge did not answer: it may have made it.".to_owned()),
        };
        if refused != StatusCode::CONFLICT && refused != StatusCode::UNPROCESSABLE_ENTITY {
            return refusal(refused);
        }
        // Somebody was faster, or an earlier try of our own came through meanwhile.
        match self.standing(repository, &wanted).await {
            Standing::Ours => Outcome::Done("found on the forge".to_owned()),
            Standing::Foreign => foreign(),
            Standing::Absent => refusal(refused),
            Standing::Unsaid(outcome) => outcome,
        }
    }

    /// Looks for the release of a tag.
    async fn standing(&self, repository: &ForgeRepository<'_>, wanted: &ReleaseDraft) -> Standing {
        let path = format!("/releases/tags/{}", encoded(wanted.tag_name.as_str()));
        let answer = self.answer(self.ask(repository, Method::GET, &path)).await;
        let body = match answer {
            Answer::Said(StatusCode::OK, body) => body,
            Answer::Said(StatusCode::NOT_FOUND, _) => return Standing::Absent,
            Answer::Said(status, _) => return Standing::Unsaid(refusal(status)),
            Answer::Unreached => return Standing::Unsaid(unreached()),
            Answer::Lost => {
                let note = "The forge did not answer to the end; nothing was made.".to_owned();
                return Standing::Unsaid(Outcome::Again(note));
            }
        };
        let Ok(found) = serde_json::from_slice::<Found>(&body) else {
            return Standing::Unsaid(Outcome::Again("The forge answered something that is no release.".to_owned()));
        };
        let same = found.tag_name == wanted.tag_name.as_str()
            && !found.draft
            && plain(found.name.as_deref()) == plain(Some(&wanted.name))
            && plain(found.body.as_deref()) == plain(Some(&wanted.body));
        if same { Standing::Ours } else { Standing::Foreign }
    }
}

fn foreign() -> Outcome {
    failed("The tag has a release with another text: put the notes there by hand and resume, or give this up.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_frozen_is_what_is_sent() {
        let commit = "1".repeat(40).parse::<CommitId>().unwrap();
        let place = || ("v1.0".parse::<TagName>().unwrap(), commit.clone());
        let draft = ReleaseDraft::new(ForgeKind::GitHub, place(), ("Demo v1.0".to_owned(), "Notes\n".to_owned()));
        let json = serde_json::to_string(&draft).unwrap();
        assert_eq!(serde_json::from_str::<ReleaseDraft>(&json).unwrap(), draft);
        assert!(json.contains(r#""make_latest":"legacy""#) && json.contains(r#""draft":false"#), "{json}");
        let other = ReleaseDraft::new(ForgeKind::Forgejo, place(), (String::new(), String::new()));
        assert!(!serde_json::to_string(&other).unwrap().contains("make_latest"));
    }
}
