//! The server's JSON, as any program would speak it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::{Failure, Result};
use crate::domain::sealed::Secret;
use crate::wire::problem::Problem;

/// A server and who we are to it.
#[derive(Clone)]
pub(super) struct Api {
    base: String,
    http: reqwest::Client,
    secret: Option<Secret>,
}

impl Api {
    /// Speaks to the server at this address as nobody.
    pub(super) fn at(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .map_err(|error| Failure::because("The HTTP client could not be started.", error))?;
        Ok(Self { base: base.to_owned(), http, secret: None })
    }

    /// Goes on as whoever this secret belongs to.
    pub(super) fn with(&self, secret: Secret) -> Self {
        Self { secret: Some(secret), ..self.clone() }
    }

    /// Reads.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        json(self.send(self.request(Method::GET, path)).await?).await
    }

    /// Makes something.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<T> {
        json(self.send(self.request(Method::POST, path).json(body)).await?).await
    }

    /// Does something that is answered by nothing but that it is done.
    pub(super) async fn act(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<()> {
        self.send(self.request(Method::POST, path).json(body)).await.map(drop)
    }

    /// Does something that needs no words.
    pub(super) async fn press(&self, path: &str) -> Result<()> {
        self.send(self.request(Method::POST, path)).await.map(drop)
    }

    /// Replaces something.
    pub(super) async fn put(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<()> {
        self.send(self.request(Method::PUT, path).json(body)).await.map(drop)
    }

    /// Sends an age file.
    pub(super) async fn upload<T: DeserializeOwned>(&self, path: &str, name: &str, file: Vec<u8>) -> Result<T> {
        let request = self.request(Method::POST, path).header("Content-Type", "application/age");
        json(self.send(request.header("Embargo-File-Name", name).body(file)).await?).await
    }

    /// Fetches a file.
    pub(super) async fn download(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.send(self.request(Method::GET, path)).await?;
        Ok(response.bytes().await.map_err(cut)?.to_vec())
    }

    /// Fetches a public page: its status and text.
    pub(super) async fn page(&self, path: &str) -> Result<(u16, String)> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.map_err(cut)?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(cut)?))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.base));
        match &self.secret {
            Some(secret) => request.bearer_auth(secret.expose()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(cut)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let path = response.url().path().to_owned();
        let problem = response.json::<Problem>().await.ok();
        let mut sentence = problem.as_ref().and_then(|problem| problem.detail.clone()).unwrap_or_else(|| status.to_string());
        for blocker in problem.iter().flat_map(|problem| &problem.blockers) {
            sentence.push_str("\n  - ");
            sentence.push_str(blocker);
        }
        let sentence = format!("{path}: {sentence}");
        if status.is_client_error() { Err(Failure::Refused(sentence)) } else { Err(Failure::failed(sentence)) }
    }
}

async fn json<T: DeserializeOwned>(response: Response) -> Result<T> {
    response.json().await.map_err(|error| Failure::because("The server answered something unexpected.", error))
}

fn cut(error: reqwest::Error) -> Failure {
    Failure::because("The server did not answer.", error.without_url())
}
