//! The other public places a disclosure reaches or waits for: a folder, a webhook, releases and advisories on a forge, package
//! registries.
//!
//! Guards: every answer of the outside becomes one of the outcomes the journal knows, and doubt is never called failure;
//! nobody is sent elsewhere, waited for without end or read without bound; neither a log line nor a note holds a secret or
//! an address. Leaves what is published and when to the caller.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::{Deserialize, Serialize};

use self::stage::Stage;
use crate::domain::digest::Digest;
use crate::domain::effect::Outcome;
use crate::domain::hold::HoldReason;

pub mod advisory;
mod certificate;
pub mod folder;
pub mod options;
pub mod registry;
pub mod release;
pub mod repository;
pub mod rules;
pub mod secret;
mod stage;
pub mod webhook;

/// The most that is read of an answer, in bytes: a page of advisories with all their text.
const ANSWER: usize = 8 * 1024 * 1024;

/// The `[channels]` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How long one request to a webhook or a forge may take until its answer is read, in seconds.
    pub timeout_seconds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { timeout_seconds: 10 }
    }
}

/// Settings that cannot work, found at start.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A request that may take no time.
    #[error("channels.timeout_seconds must be at least 1")]
    NoTime,
    /// The HTTP client does not start.
    #[error("the HTTP client of the channels could not be started")]
    Client(#[source] reqwest::Error),
}

/// Speaks to webhooks, forges and package registries.
pub struct Forge {
    http: Client,
    registries: Client,
    outside: Outside,
}

/// Who answers.
enum Outside {
    /// Those who are asked.
    Real,
    /// A stage, in a dress rehearsal.
    Staged(Stage),
}

/// What came of a request.
enum Answer {
    /// It was answered.
    Said(StatusCode, Vec<u8>),
    /// Nobody was reached: surely nothing happened.
    Unreached,
    /// It was sent, and what came of it is not known.
    Lost,
}

impl Forge {
    /// Prepares the client; connects to nothing.
    pub fn open(options: &Options) -> Result<Self, OptionsError> {
        if options.timeout_seconds == 0 {
            return Err(OptionsError::NoTime);
        }
        let timeout = Duration::from_secs(u64::from(options.timeout_seconds));
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            // A secret goes straight to the address the operator wrote down.
            .no_proxy()
            .referer(false)
            // Whoever looks at a certificate wants to see it.
            .tls_info(true)
            .user_agent(concat!("embargo/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout)
            .timeout(timeout)
            .build()
            .map_err(OptionsError::Client)?;
        let registries = registry::client(timeout).map_err(OptionsError::Client)?;
        Ok(Self { http, registries, outside: Outside::Real })
    }

    /// Prepares one that writes every request and sends none: a stage answers as if all were well.
    pub fn staged(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self { outside: Outside::Staged(Stage::default()), ..Self::open(options)? })
    }

    /// Returns the hash of every text that a stage was sent to keep; nothing of the real outside.
    pub fn heard(&self) -> Vec<Digest> {
        match &self.outside {
            Outside::Real => Vec::new(),
            Outside::Staged(stage) => stage.heard(),
        }
    }

    /// Sends a request and takes its status; the body is not waited for.
    async fn status(&self, request: RequestBuilder) -> Answer {
        if let Outside::Staged(stage) = &self.outside {
            return stage.answer(request);
        }
        match request.send().await {
            Ok(response) => Answer::Said(status_of(&response), Vec::new()),
            Err(error) if error.is_connect() || error.is_builder() => Answer::Unreached,
            Err(_) => Answer::Lost,
        }
    }

    /// Sends a request and reads its answer, if that comes whole, in time and within bounds.
    async fn answer(&self, request: RequestBuilder) -> Answer {
        if let Outside::Staged(stage) = &self.outside {
            return stage.answer(request);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => return Answer::Unreached,
            Err(_) => return Answer::Lost,
        };
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER => body.extend_from_slice(&chunk),
                Ok(None) => return Answer::Said(status_of(&response), body),
                Ok(Some(_)) | Err(_) => return Answer::Lost,
            }
        }
    }
}

/// Returns the status; where a forge says "forbidden" to whoever asked too often, the status that says so.
fn status_of(response: &Response) -> StatusCode {
    let headers = response.headers();
    let spent = headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0");
    match response.status() {
        StatusCode::FORBIDDEN if spent || headers.contains_key(RETRY_AFTER) => StatusCode::TOO_MANY_REQUESTS,
        status => status,
    }
}

/// Tells whether an answer asks to come again.
fn later(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS)
}

/// Ends an effect that a person has to look at.
fn failed(note: impl Into<String>) -> Outcome {
    Outcome::Failed(HoldReason::Channel, note.into())
}
