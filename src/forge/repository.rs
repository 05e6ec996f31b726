//! A repository on GitHub, or on Forgejo and Gitea: how it is asked, and what its refusals mean.
//!
//! Guards: the token goes into one header of one request and is marked, so that nothing prints it.

use std::path::Path;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};

use super::secret::{self, SecretError};
use super::{Forge, failed, later};
use crate::domain::channel::{ChannelUrl, ForgeKind, ForgePlace};
use crate::domain::effect::Outcome;
use crate::domain::sealed::Secret;

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

impl Forge {
    /// Begins a request about the repository, with the token and the headers its forge wants.
    pub(super) fn ask(&self, repository: &ForgeRepository<'_>, method: Method, path: &str) -> RequestBuilder {
        let url = repository.api.join(&format!("/repos/{}{path}", repository.place));
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
pub(super) fn refusal(status: StatusCode) -> Outcome {
    let code = status.as_u16();
    if later(status) {
        return Outcome::Again(format!("The forge answered {code}; nothing was made."));
    }
    if status.is_redirection() {
        return failed("The forge sends us elsewhere: correct `api` and `place` for the next release.");
    }
    match code {
        401 => failed("The forge does not know the token: put a valid one into its file, then resume."),
        403 => failed("The forge refuses the token: give it the right to write this, then resume."),
        404 => failed("The forge does not show the repository to this token: see to its rights, then resume."),
        409 | 422 => failed(format!("The forge refuses it with {code}: make it by hand, then resume.")),
        _ => failed(format!("The forge answered {code}; nothing was made.")),
    }
}

/// Ends an effect for which nobody was reached.
pub(super) fn unreached() -> Outcome {
    Outcome::Again("The forge cannot be reached; nothing was made.".to_owned())
}

/// Writes a text as forges give it back: line breaks and blank ends differ.
pub(super) fn plain(text: Option<&str>) -> String {
    text.unwrap_or_default().replace("\r\n", "\n").trim().to_owned()
}

/// Writes a tag as one segment of a path (RFC 3986, section 3.3).
pub(super) fn encoded(tag: &str) -> String {
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
}
