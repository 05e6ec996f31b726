//! Somebody at the doors: what they show to the API, to git and to the pages, and what they are answered.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;

use embargo::crypto::sshsig::{self, Signer};
use embargo::domain::access::Role;
use embargo::domain::account::TokenWish;
use embargo::domain::actor::{Actor, Reach, Scope};
use embargo::domain::id::CaseId;
use embargo::domain::sealed::Secret;
use embargo::wire::account::SignIn;
use embargo::workflow::account;
use embargo::workflow::console::Console;
use reqwest::{Client, Method, RequestBuilder, Response};

use super::git::Git;
use super::program::Machine;
use super::server::TestApp;

/// What somebody shows: a secret to API and git, a cookie with its form token to pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    bearer: Option<String>,
    cookie: Option<(String, String)>,
}

/// What can be compared of an answer: status, headers without the date, body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers in their order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: String,
}

/// What is sent along.
#[derive(Debug, Clone)]
pub(crate) enum Sent {
    /// No body.
    Nothing,
    /// A JSON document.
    Json(String),
    /// The fields of a form, `name=value&…`; the form token is added.
    Form(String),
    /// One text file in a form with the form token before it.
    File,
    /// A file as the API takes it: its media type, its name, its bytes.
    Upload(&'static str, String, Vec<u8>),
    /// A body as git sends it, of this media type.
    Git(&'static str),
}

impl Sent {
    /// Sends bytes as an attachment of this media type.
    pub(crate) fn file(media: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::Upload(media, "sample.bin".to_owned(), bytes.into())
    }
}

impl Caller {
    /// Shows nothing.
    pub(crate) fn anonymous() -> Self {
        Self::default()
    }

    /// Shows a secret to API and git, and nothing to pages.
    pub(crate) fn bearer(secret: &str) -> Self {
        Self { bearer: Some(secret.to_owned()), cookie: None }
    }

    /// Returns what is shown to the API.
    pub(crate) fn secret(&self) -> &str {
        self.bearer.as_deref().unwrap_or_default()
    }

    /// Returns the real git showing the same secret.
    pub(crate) fn git(&self) -> Git {
        self.bearer.as_deref().map_or_else(Git::anonymous, Git::with_token)
    }
}

impl Answer {
    /// Reads an answer whole.
    pub(crate) async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().iter().filter(|(name, _)| *name != "date");
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        Self { status, headers, body: String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned() }
    }

    /// Reads the body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

impl TestApp {
    /// Returns the SSH key of a person added by [`TestApp::person`].
    pub(crate) fn signer(&self, handle: &str) -> Signer {
        let folder = self.site.path().join(format!("keys-{handle}"));
        let options = embargo::crypto::Options { folder, ..embargo::crypto::Options::default() };
        if !options.folder.exists() {
            embargo::crypto::keys::init(&options).unwrap();
        }
        Signer::parse(&std::fs::read_to_string(options.folder.join(&options.tag_signing_key)).unwrap()).unwrap()
    }

    /// Signs a person in: at the API by their key, at a browser by a link of the operator.
    pub(crate) async fn sign_in(&self, handle: &str) -> Caller {
        let app = &self.app;
        let (challenge, signer) = (account::challenge(app).await.unwrap(), self.signer(handle));
        let made = sshsig::Challenge::new(&challenge.server, &challenge.nonce, challenge.made_at).unwrap();
        let answer = SignIn {
            nonce: challenge.nonce,
            key: signer.key().to_string(),
            signature: made.sign(&signer).unwrap(),
            handle: None,
        };
        let (bearer, _, _) = account::sign_in_by_key(app, &answer).await.unwrap();
        let (code, _) = Console::from(&**app).make_link(&handle.parse().unwrap()).await.unwrap();
        let (cookie, session) = account::sign_in_by_link(app, &code).await.unwrap();
        Caller {
            bearer: Some(bearer.expose().to_owned()),
            cookie: Some((format!("embargo={}", cookie.expose()), session.form_token)),
        }
    }

    /// Signs a person in on a machine of their own, by their key.
    pub(crate) async fn machine(&self, handle: &str) -> Machine {
        let machine = Machine::new(self.site.path().join(format!("home-{handle}")));
        let key = self.key_file(handle).display().to_string();
        machine.json(&["login", &self.url(""), "--key", &key, "--no-browser", "--no-git"]).await;
        machine
    }

    /// Returns the file with the private SSH key of a person added by [`TestApp::person`].
    pub(crate) fn key_file(&self, handle: &str) -> PathBuf {
        self.site.path().join(format!("keys-{handle}")).join(embargo::crypto::Options::default().tag_signing_key)
    }

    /// Adds a member of the team and signs them in.
    pub(crate) async fn at_the_door(&self, handle: &str, role: Role) -> (Actor, Caller) {
        let actor = self.member(handle, role).await;
        (actor, self.sign_in(handle).await)
    }

    /// Makes a token of a person, confined to a case if one is named.
    pub(crate) async fn token(&self, actor: &Actor, scopes: &[Scope], case: Option<&CaseId>) -> Caller {
        let reach = Reach { scopes: scopes.to_vec(), project: None, case: case.cloned() };
        let wish = TokenWish { name: "sample".parse().unwrap(), reach, days: 7 };
        let (secret, _) = account::make_token(&self.app, actor, wish).await.unwrap();
        Caller::bearer(secret.expose())
    }

    /// Begins a reporter's visit from the secret in the receipt of their report.
    pub(crate) async fn visit(&self, secret: &str) -> Caller {
        let visit = account::by_visit(&self.app, &Secret::new(secret.to_owned())).await.unwrap().unwrap();
        let cookie = Some((format!("embargo-report={secret}"), visit.form_token));
        Caller { bearer: Some(secret.to_owned()), cookie }
    }

    /// Prepares a request as this caller would send it.
    pub(crate) fn request(&self, by: &Caller, method: &str, path: &str, sent: &Sent) -> RequestBuilder {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let mut request = client.request(Method::from_bytes(method.as_bytes()).unwrap(), self.url(path));
        let token = by.cookie.as_ref().map_or("", |(_, token)| token.as_str());
        if let Some(bearer) = &by.bearer {
            request = request.bearer_auth(bearer);
        }
        if let Some((cookie, _)) = &by.cookie {
            request = request.header("Cookie", cookie);
        }
        match sent {
            Sent::Nothing => request,
            Sent::Json(text) => request.header("Content-Type", "application/json").body(text.clone()),
            Sent::Form(fields) => request
                .header("Origin", self.url(""))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(format!("form_token={token}&{fields}")),
            Sent::File => {
                let file = reqwest::multipart::Part::text("A sample.").file_name("sample.txt");
                let form = reqwest::multipart::Form::new().text("form_token", token.to_owned()).part("file", file);
                request.header("Origin", self.url("")).multipart(form)
            }
            Sent::Upload(media, name, bytes) => {
                request.header("Content-Type", *media).header("Embargo-File-Name", name).body(bytes.clone())
            }
            Sent::Git(media) => request.header("Content-Type", *media).body("0000"),
        }
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&self, by: &Caller, method: &str, path: &str, sent: &Sent) -> Answer {
        Answer::of(self.request(by, method, path, sent).send().await.unwrap()).await
    }
}
