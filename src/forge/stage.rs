//! The outside as a dress rehearsal plays it: every request is written as it would be sent, and answered here instead.
//!
//! Guards: nothing leaves this process. Each answer is the one a forge or receiver gives when all is well, in the words of the
//! forges' own API descriptions; what was sent is kept by its hash.

use std::sync::{Mutex, PoisonError};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::Answer;
use crate::domain::digest::Digest;

/// What was heard on a stage.
#[derive(Default)]
pub(super) struct Stage(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    /// Every text that was to be kept, by its hash.
    kept: Vec<Digest>,
    /// The GitHub advisory that was made last, until it is published.
    draft: Option<Value>,
}

/// The id of every advisory that a stage makes.
const GHSA: &str = "GHSA-2222-2222-2222";

impl Stage {
    /// Answers a request as whoever it is for does when all is well.
    pub(super) fn answer(&self, request: RequestBuilder) -> Answer {
        // A request that cannot be written would not be sent either.
        let Ok(request) = request.build() else { return Answer::Unreached };
        let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let advisories = request.url().path().contains("/security-advisories");
        let said = |code: StatusCode, body: &Value| Answer::Said(code, body.to_string().into_bytes());
        match (request.method(), advisories) {
            (&Method::GET, true) => said(StatusCode::OK, &json!([])),
            (&Method::GET, false) => said(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" })),
            (&Method::POST, true) => {
                let Ok(mut made) = serde_json::from_slice::<Value>(body) else { return unreadable() };
                heard.kept.push(Digest::of(body));
                made["ghsa_id"] = GHSA.into();
                made["state"] = "draft".into();
                let answer = said(StatusCode::CREATED, &made);
                heard.draft = Some(made);
                answer
            }
            (&Method::PATCH, true) => {
                let Ok(mut change) = serde_json::from_slice::<Value>(body) else { return unreadable() };
                let state = change.as_object_mut().and_then(|change| change.remove("state"));
                let named = request.url().path().ends_with(&format!("/{GHSA}"));
                let same = heard.draft.take().is_some_and(|mut draft| {
                    let draft = draft.as_object_mut();
                    draft.is_some_and(|draft| {
                        draft.remove("ghsa_id");
                        draft.remove("state");
                        change.as_object() == Some(&*draft)
                    })
                });
                if named && same && state == Some("published".into()) {
                    said(StatusCode::OK, &change)
                } else {
                    unreadable()
                }
            }
            (&Method::POST, false) => {
                heard.kept.push(Digest::of(body));
                said(StatusCode::CREATED, &json!({}))
            }
            (_, _) => said(StatusCode::METHOD_NOT_ALLOWED, &json!({})),
        }
    }

    /// Returns the hash of every text that was to be kept, in the order in which they came.
    pub(super) fn heard(&self) -> Vec<Digest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }
}

fn unreadable() -> Answer {
    Answer::Said(StatusCode::UNPROCESSABLE_ENTITY, Vec::new())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::repository::ForgeRepository;
    use super::super::{Forge, Options};
    use super::*;
    use crate::domain::channel::ForgeKind;
    use crate::domain::effect::Outcome;

    fn done(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Done(_))
    }

    #[tokio::test]
    async fn a_stage_hears_what_would_be_published_and_sends_nothing() {
        let forge = Forge::staged(&Options::default()).unwrap();
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(token.path(), "sample-token\n").unwrap();
        std::fs::set_permissions(token.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        // Nobody listens there: an answer can only come from the stage.
        let (api, place) = ("https://forge.invalid".parse().unwrap(), "sample/demo".parse().unwrap());
        let repository = ForgeRepository::open(ForgeKind::GitHub, &api, &place, token.path()).unwrap();
        let release = br#"{"tag_name":"v1","target_commitish":"1111111111111111111111111111111111111111","name":"v1","body":"","draft":false,"prerelease":false}"#;
        assert!(done(&forge.release(&repository, release.to_vec()).await));
        let advisory = br#"{"summary":"Sample flaw","description":"Text","cve_id":null,"vulnerabilities":[]}"#;
        let id = "DEMO-2027-0001".parse().unwrap();
        assert!(done(&forge.advisory(&repository, &id, advisory.to_vec()).await));
        assert_eq!(forge.heard(), [Digest::of(release), Digest::of(advisory)]);
    }

    #[tokio::test]
    async fn a_draft_that_is_published_with_another_text_is_refused() {
        let stage = Stage::default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let at = "https://forge.invalid/repos/sample/demo/security-advisories";
        let made = stage.answer(client.post(at).body(r#"{"summary":"a"}"#));
        assert!(matches!(made, Answer::Said(StatusCode::CREATED, _)));
        let other = client.patch(format!("{at}/{GHSA}")).body(r#"{"summary":"b","state":"published"}"#);
        assert!(matches!(stage.answer(other), Answer::Said(StatusCode::UNPROCESSABLE_ENTITY, _)));
    }
}
