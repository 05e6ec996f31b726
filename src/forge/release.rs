//! Releases of a repository on GitHub, or on Forgejo and Gitea: what a tag's page says.
//!
//! Guards: a tag's release is looked for before it is made, so that a lost answer makes none twice; a release of somebody
//! else's making is left as it is and told. The tag must be in public already: the forge makes none.

use std::path::Path;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};

use super::secret::{self, SecretError};
use super::{Answer, Forge, failed, later};
use crate::domain::channel::{ChannelUrl, ForgeKind, ForgePlace};
use crate::domain::effect::Outcome;
use crate::domain::repo::{CommitId, TagName};
use crate::domain::sealed::Secret;

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

/// A repository on a forge, and how to get in.
pub struct ForgeRepository<'a> {
    /// Whose API it speaks.
    pub forge: ForgeKind,
    /// Where the API is.
    pub api: &'a ChannelUrl,
    /// Which repository.
    pub place: &'a ForgePlace,
    /// The token.
    pub token: Secret,
}

impl<'a> ForgeRepository<'a> {
    /// Reads the token.
    pub fn open(
        forge: ForgeKind,
        api: &'a ChannelUrl,
        place: &'a ForgePlace,
        token_file: &Path,
    ) -> Result<Self, SecretError> {
        Ok(Self { forge, api, place, token: secret::token(token_file)? })
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
        let request = self.request(repository, Method::POST, "").header("Content-Type", "application/json").body(body);
        let refused = match Self::status(request).await {
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
        let path = format!("/tags/{}", encoded(wanted.tag_name.as_str()));
        let answer = Self::answer(self.request(repository, Method::GET, &path)).await;
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

    fn request(&self, repository: &ForgeRepository<'_>, method: Method, path: &str) -> RequestBuilder {
        let url = repository.api.join(&format!("/repos/{}/releases{path}", repository.place));
        let scheme = match repository.forge {
            ForgeKind::GitHub => "Bearer",
            ForgeKind::Forgejo => "token",
        };
        let mut token = HeaderValue::from_str(&format!("{scheme} {}", repository.token.expose()))
            .expect("a token is visible ASCII");
        token.set_sensitive(true);
        let request = self.http.request(method, url).header(AUTHORIZATION, token);
        match repository.forge {
            ForgeKind::GitHub => {
                request.header(ACCEPT, "application/vnd.github+json").header("X-GitHub-Api-Version", "2022-11-28")
            }
            ForgeKind::Forgejo => request.header(ACCEPT, "application/json"),
        }
    }
}

/// What an answer other than yes means; nothing was made.
fn refusal(status: StatusCode) -> Outcome {
    let code = status.as_u16();
    if later(status) {
        return Outcome::Again(format!("The forge answered {code}; nothing was made."));
    }
    if status.is_redirection() {
        return failed("The forge sends us elsewhere: correct `api` and `place` for the next release.");
    }
    match code {
        401 => failed("The forge does not know the token: put a valid one into its file, then resume."),
        403 => failed("The forge refuses the token: give it the right to write releases, then resume."),
        404 => failed("The forge does not show the repository to this token: see to its rights, then resume."),
        409 | 422 => failed(format!("The forge refuses the release with {code}: make it by hand, then resume.")),
        _ => failed(format!("The forge answered {code}; nothing was made.")),
    }
}

fn foreign() -> Outcome {
    failed("The tag has a release with another text: put the notes there by hand and resume, or give this up.")
}

fn unreached() -> Outcome {
    Outcome::Again("The forge cannot be reached; nothing was made.".to_owned())
}

/// Writes a text as forges give it back: line breaks and blank ends differ.
fn plain(text: Option<&str>) -> String {
    text.unwrap_or_default().replace("\r\n", "\n").trim().to_owned()
}

/// Writes a tag as one segment of a path (RFC 3986, section 3.3).
fn encoded(tag: &str) -> String {
    let mut out = String::with_capacity(tag.len());
    for byte in tag.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_segment_of_a_path() {
        assert_eq!(encoded("release/1.0+a"), "release%2F1.0%2Ba");
    }

    #[test]
    fn line_breaks_and_blank_ends_make_no_other_text() {
        assert_eq!(plain(Some("a\r\nb\n")), plain(Some("a\nb")));
        assert_ne!(plain(Some("a b")), plain(Some("a\nb")));
        assert_eq!(plain(None), "");
    }

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
