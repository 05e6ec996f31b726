//! One server, as the client speaks to it: JSON over TLS, no redirects, problems told as sentences.

use std::time::Duration;

use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::credentials::Credentials;
use super::{Failure, Result};
use crate::domain::sealed::Secret;
use crate::domain::text::{Label, shown};
use crate::wire::problem::Problem;

const PATIENCE: Duration = Duration::from_mins(1);
/// How long a file may take.
const LONG_PATIENCE: Duration = Duration::from_hours(24);
/// Where the name of an upload stands, so that no URL and no log names it.
const FILE_NAME: &str = "Embargo-File-Name";

/// A server, and who we are to it.
pub(super) struct Server {
    base: String,
    http: reqwest::Client,
    secret: Option<Secret>,
}

impl Server {
    /// Speaks to the server at this URL as nobody; plain http is for loopback only.
    pub(super) fn at(url: &str) -> Result<Self> {
        let base = base(url)?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("embargo/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| Failure::because("The HTTP client could not be started.", error))?;
        Ok(Self { base, http, secret: None })
    }

    /// Speaks to the server as the person who signed in to it.
    pub(super) fn signed_in(url: Option<&str>) -> Result<Self> {
        let credentials = Credentials::load()?;
        let wanted = url.map(base).transpose()?;
        let entry = credentials.find(wanted.as_deref()).ok_or_else(|| {
            Failure::Refused("You are not signed in to a server: run `embargo login <URL>` first.".to_owned())
        })?;
        let secret = Secret::new(entry.session.clone());
        Ok(Self { secret: Some(secret), ..Self::at(&entry.url)? })
    }

    /// Goes on as whoever this secret belongs to.
    pub(super) fn with(self, secret: Secret) -> Self {
        Self { secret: Some(secret), ..self }
    }

    /// Returns scheme, host and port.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Reads.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.request(Method::GET, path)).await
    }

    /// Makes something.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<T> {
        self.read(self.request(Method::POST, path).json(body)).await
    }

    /// Makes something out of what only the body names: `missing` says what there may be none of, should none be found.
    pub(super) async fn post_about<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        missing: &str,
    ) -> Result<T> {
        let answer = self.answer(self.request(Method::POST, path).json(body)).await?;
        parsed(answered(answer, Some(missing)).await?).await
    }

    /// Puts something in place of what was there.
    pub(super) async fn put<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<T> {
        self.read(self.request(Method::PUT, path).json(body)).await
    }

    /// Makes something that needs no words.
    pub(super) async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.request(Method::POST, path)).await
    }

    /// Does something that is answered by nothing but that it is done.
    pub(super) async fn act(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<()> {
        self.send(self.request(Method::POST, path).json(body)).await?;
        Ok(())
    }

    /// Does something that needs no words and is answered by none.
    pub(super) async fn press(&self, path: &str) -> Result<()> {
        self.send(self.request(Method::POST, path)).await?;
        Ok(())
    }

    /// Sends a file that is made while it is sent.
    pub(super) async fn upload<T: DeserializeOwned>(&self, path: &str, name: &Label, body: reqwest::Body) -> Result<T> {
        let request = self.request(Method::POST, path).timeout(LONG_PATIENCE).body(body);
        let request =
            request.header("Content-Type", "application/age").header(FILE_NAME, percent_encoded(name.as_str()));
        self.read(request).await
    }

    /// Fetches a file, piece by piece.
    pub(super) async fn download(&self, path: &str) -> Result<reqwest::Response> {
        self.send(self.request(Method::GET, path).timeout(LONG_PATIENCE)).await
    }

    /// Fetches a file, piece by piece, by what the body says.
    pub(super) async fn fetch_with(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<reqwest::Response> {
        self.send(self.request(Method::POST, path).timeout(LONG_PATIENCE).json(body)).await
    }

    /// Ends something.
    pub(super) async fn delete(&self, path: &str) -> Result<()> {
        self.send(self.request(Method::DELETE, path)).await?;
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.base)).timeout(PATIENCE);
        match &self.secret {
            Some(secret) => request.bearer_auth(secret.expose()),
            None => request,
        }
    }

    async fn read<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        parsed(self.send(request).await?).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let answer = self.answer(request).await?;
        let missing = missing(answer.url().path());
        answered(answer, missing.as_deref()).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let unreachable = |error: reqwest::Error| {
            Failure::because(format!("The server at {} could not be reached.", self.base), error.without_url())
        };
        request.send().await.map_err(unreachable)
    }
}

/// Takes an answer for what it is; `missing` says what there is none of, should the server know of nothing.
async fn answered(response: reqwest::Response, missing: Option<&str>) -> Result<reqwest::Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let problem = response.json::<Problem>().await.ok();
    let nothing = problem.as_ref().filter(|problem| problem.kind.ends_with(":not-found")).and(missing);
    let sentence = match nothing {
        // The server says the same of whatever is hidden or not there; what was asked for is known here.
        Some(nothing) => Some(format!("There is {nothing} here, or you may not see it.")),
        None => problem.as_ref().and_then(|problem| problem.detail.clone()),
    };
    let mut sentence = sentence.unwrap_or_else(|| format!("The server answered {status}."));
    for blocker in problem.iter().flat_map(|problem| &problem.blockers) {
        sentence.push_str("\n  - ");
        sentence.push_str(blocker);
    }
    match problem.and_then(|problem| problem.incident) {
        Some(incident) => Err(Failure::failed(format!("{sentence} (Fault {incident})"))),
        None if status.is_client_error() => Err(Failure::Refused(sentence)),
        None => Err(Failure::failed(sentence)),
    }
}

async fn parsed<T: DeserializeOwned>(response: reqwest::Response) -> Result<T> {
    response.json().await.map_err(|error| Failure::because("The server answered something unexpected.", error))
}

/// Says what a path of the API asks for: `no case DEMO-1`, or `no attachment … in the case DEMO-1`.
fn missing(path: &str) -> Option<String> {
    let mut parts = path.strip_prefix("/api/v1/")?.split('/');
    let what = singular(parts.next()?)?;
    let name = shown(parts.next()?);
    match (parts.next().and_then(singular), parts.next().map(shown)) {
        (Some(part), Some(which)) => Some(format!("no {part} {which} in the {what} {name}")),
        (_, _) => Some(format!("no {what} {name}")),
    }
}

fn singular(list: &str) -> Option<&'static str> {
    Some(match list {
        "projects" => "project",
        "cases" => "case",
        "releases" => "release",
        "checks" => "check",
        "attachments" => "attachment",
        "members" => "member",
        "jobs" => "job",
        _ => return None,
    })
}

/// Returns scheme, host and port of a server's URL; refuses plain http to another machine.
fn base(url: &str) -> Result<String> {
    let rule = || {
        let sentence =
            "A server's URL looks like https://security.example.org; plain http is for 127.0.0.1, [::1] and localhost.";
        Failure::Refused(sentence.to_owned())
    };
    let parsed = Url::parse(url.trim()).map_err(|_| rule())?;
    let local = matches!(parsed.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let plain = parsed.username().is_empty() && parsed.password().is_none() && parsed.path() == "/";
    let encrypted = parsed.scheme() == "https" || (parsed.scheme() == "http" && local);
    if !plain || !encrypted || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(rule());
    }
    Ok(parsed.origin().ascii_serialization())
}

/// Writes text so that it may stand in a header (RFC 3986, section 2.1).
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digits = b"0123456789ABCDEF";
            out.extend(['%', char::from(digits[usize::from(byte >> 4)]), char::from(digits[usize::from(byte & 15)])]);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_file_survives_the_header() {
        assert_eq!(percent_encoded("prüf ung%.txt"), "pr%C3%BCf%20ung%25.txt");
    }

    #[test]
    fn what_is_not_there_is_called_by_the_name_it_was_asked_for_by() {
        for (path, words) in [
            ("/api/v1/cases/LIB-9", Some("no case LIB-9")),
            ("/api/v1/cases/LIB-9/advisory/approve", Some("no case LIB-9")),
            ("/api/v1/projects/nolib/intake", Some("no project nolib")),
            ("/api/v1/cases/LIB-9/members/sample", Some("no member sample in the case LIB-9")),
            ("/api/v1/releases/LIB-R1/arm", Some("no release LIB-R1")),
            ("/api/v1/releases", None),
            ("/api/v1/me/keys/1", None),
        ] {
            assert_eq!(missing(path).as_deref(), words, "{path}");
        }
    }

    #[test]
    fn plain_http_reaches_this_machine_only() {
        assert_eq!(base("http://127.0.0.1:8484/").unwrap(), "http://127.0.0.1:8484");
        assert_eq!(base("https://security.example.org").unwrap(), "https://security.example.org");
        for bad in
            ["http://security.example.org", "https://a@example.org", "https://example.org/x", "ftp://localhost", "x"]
        {
            assert!(base(bad).is_err(), "{bad}");
        }
    }
}
