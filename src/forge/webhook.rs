//! Webhooks, signed as Standard Webhooks says (symmetric signatures, version 1).
//!
//! Guards: a delivery has one id however often it is repeated, so that a receiver can tell a repetition; a secret signs and
//! is never sent. A delivery cannot be looked at: what was not answered is sent again under the same id.

use std::path::Path;

use data_encoding::BASE64;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::StatusCode;
use sha2::Sha256;

use super::secret::{self, SecretError};
use super::{Answer, Forge, failed, later};
use crate::domain::channel::ChannelUrl;
use crate::domain::effect::Outcome;
use crate::domain::sealed::Secret;

/// What a secret looks like, said to whoever has to make one.
const WANTED: &str = "`whsec_` and 24 to 64 random bytes in base 64";

/// The secret of a webhook.
pub struct SigningKey(Secret);

impl SigningKey {
    /// Reads the secret: `whsec_` and its bytes in base 64.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let text = secret::read(path)?;
        let bytes = text.expose().strip_prefix("whsec_").and_then(|coded| BASE64.decode(coded.as_bytes()).ok());
        match bytes.map(zeroize::Zeroizing::new) {
            Some(bytes) if (24..=64).contains(&bytes.len()) => Ok(Self(text)),
            Some(_) | None => Err(SecretError::Form { path: path.to_owned(), wanted: WANTED }),
        }
    }

    /// Signs a message: `v1,` and the HMAC-SHA256 of id, seconds and body, in base 64.
    fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let coded = self.0.expose().trim_start_matches("whsec_");
        let bytes = zeroize::Zeroizing::new(BASE64.decode(coded.as_bytes()).unwrap_or_default());
        let mut mac = Hmac::<Sha256>::new_from_slice(&bytes).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
    }
}

impl Forge {
    /// Delivers a message. `key` is the effect's, the same for every try.
    pub async fn deliver(&self, url: &ChannelUrl, key: &SigningKey, message: (&str, Vec<u8>, Timestamp)) -> Outcome {
        let (effect, body, now) = message;
        let (id, seconds) = (format!("msg_{effect}"), now.as_second());
        let request = self
            .http
            .post(url.expose())
            .header("Content-Type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", key.sign(&id, seconds, &body))
            .body(body);
        match self.status(request).await {
            Answer::Said(status, _) => answered(status),
            Answer::Unreached => Outcome::Again("The receiver cannot be reached.".to_owned()),
            Answer::Lost => Outcome::Unknown("The receiver did not answer: it may have the message.".to_owned()),
        }
    }
}

fn answered(status: StatusCode) -> Outcome {
    if status.is_success() {
        return Outcome::Done(format!("taken with {}", status.as_u16()));
    }
    if status.is_redirection() {
        return failed("The receiver sends us elsewhere: correct the channel's address for the next release.");
    }
    if later(status) {
        return Outcome::Again(format!("The receiver answered {}.", status.as_u16()));
    }
    if status == StatusCode::GONE {
        return failed("The receiver answered 410: it wants no more messages.");
    }
    failed(format!("The receiver refused the message with {}.", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn key(text: &str) -> Result<SigningKey, SecretError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        SigningKey::read(file.path())
    }

    /// The sample of the specification's own libraries.
    #[test]
    fn a_message_is_signed_as_the_specification_says() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_none_or_short_is_refused_without_telling_it() {
        for text in ["canary", "whsec_canary!", "whsec_Y2FuYXJ5", ""] {
            let error = key(text).err().unwrap();
            assert!(error.to_string().contains("24 to 64 random bytes"), "{error}");
            assert!(!format!("{error} {error:?}").contains("Y2FuYXJ5") && !error.to_string().contains("canary"));
        }
    }

    #[test]
    fn each_answer_is_one_outcome() {
        for (status, expected) in [(200, "done"), (204, "done"), (301, "failed"), (307, "failed"), (400, "failed")] {
            assert_eq!(word(&answered(StatusCode::from_u16(status).unwrap())), expected, "{status}");
        }
        for (status, expected) in [(404, "failed"), (410, "failed"), (408, "again"), (429, "again"), (503, "again")] {
            assert_eq!(word(&answered(StatusCode::from_u16(status).unwrap())), expected, "{status}");
        }
    }

    fn word(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Done(_) => "done",
            Outcome::Again(_) => "again",
            Outcome::Unknown(_) => "unknown",
            Outcome::Failed(..) => "failed",
            Outcome::PassedOver(_) => "passed over",
        }
    }
}
