//! Accounts from outside: whoever comes with a wrong, used, late or foreign proof learns nothing and gets nothing.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;

use embargo::app::{App, Clock, CrashPoint, Outside};
use embargo::config::Config;
use embargo::crypto;
use embargo::crypto::sshsig::{self, Signer};
use embargo::domain::sealed::Secret;
use embargo::domain::session::{Session, SessionKind};
use embargo::domain::text::Handle;
use embargo::notify::Mailer;
use embargo::store::event::{self, Verified};
use embargo::wire::account::{Challenge, HandOver, Key, MadeToken, SignIn, SignedIn};
use embargo::workflow::console::{Console, NewPerson};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, Method, RequestBuilder, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server on a port of its own, with a clock that stands still.
struct House {
    app: Arc<App>,
    http: Client,
    base: String,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    folder: tempfile::TempDir,
}

/// What can be compared of an answer: status, headers without the date, body.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut config =
            Config { base_url: base.parse().unwrap(), data: folder.path().join("data"), ..Config::default() };
        config.keys.folder = folder.path().join("keys");
        crypto::keys::init(&config.keys).unwrap();
        let outside = Outside {
            clock: Clock::fixed("2030-01-01T00:00:00Z".parse().unwrap()),
            mailer: Some(Mailer::outbox().0),
            crash: CrashPoint::default(),
        };
        let app = App::open(config, outside).await.unwrap();
        let stop = CancellationToken::new();
        let (served, until) = (Arc::clone(&app), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "the test waits for it in `close`")]
        let serving = tokio::spawn(async move { embargo::http::serve(served, listener, until).await.unwrap() });
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { app, http, base, stop, serving, folder }
    }

    /// Adds a person with an SSH key; returns the key.
    async fn person(&self, handle: &str) -> Signer {
        let signer = self.key(handle);
        let new = NewPerson {
            handle: handle.parse().unwrap(),
            name: "Sample Person".parse().unwrap(),
            email: None,
            keys: vec![(embargo::domain::account::KeyKind::Ssh, signer.key().to_string())],
        };
        Console::from(&*self.app).add_person(new).await.unwrap();
        signer
    }

    /// Makes an SSH key of its own.
    fn key(&self, name: &str) -> Signer {
        let options = crypto::Options { folder: self.folder.path().join(name), ..crypto::Options::default() };
        crypto::keys::init(&options).unwrap();
        let text = std::fs::read_to_string(options.folder.join(&options.tag_signing_key)).unwrap();
        Signer::parse(&text).unwrap()
    }

    async fn link(&self, handle: &str) -> Secret {
        let handle: Handle = handle.parse().unwrap();
        Console::from(&*self.app).make_link(&handle).await.unwrap().0
    }

    fn later(&self, seconds: i64) {
        self.app.clock.set(self.app.clock.now() + SignedDuration::from_secs(seconds));
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Posts a form as a page of this server would.
    fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let text: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let form = self.request(Method::POST, path).header("Origin", &self.base);
        form.header("Content-Type", "application/x-www-form-urlencoded").body(text.join("&"))
    }

    async fn enter(&self, code: &str) -> Response {
        self.form("/sign-in", &[("code", code)]).send().await.unwrap()
    }

    /// Signs a browser in; returns the cookie and the form token.
    async fn browser(&self, handle: &str) -> (String, String) {
        let response = self.enter(self.link(handle).await.expose()).await;
        assert_eq!(response.status(), 303);
        let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let secret = Secret::new(cookie.split_once('=').unwrap().1.to_owned());
        let (_, session) = self.session(&secret).await.unwrap();
        (cookie, session.form_token)
    }

    async fn session(&self, secret: &Secret) -> Option<(embargo::domain::actor::Actor, Session)> {
        embargo::workflow::account::by_session(&self.app, secret, SessionKind::Browser).await.unwrap()
    }

    async fn challenge(&self) -> Challenge {
        self.request(Method::POST, "/api/v1/sign-in/challenge").send().await.unwrap().json().await.unwrap()
    }

    async fn answer(&self, answer: &SignIn) -> Response {
        self.request(Method::POST, "/api/v1/sign-in").json(answer).send().await.unwrap()
    }

    async fn login(&self, signer: &Signer) -> String {
        let response = self.answer(&signed(&self.challenge().await, signer)).await;
        assert_eq!(response.status(), 201);
        response.json::<SignedIn>().await.unwrap().session
    }

    async fn token(&self, session: &str, scopes: &[&str]) -> MadeToken {
        let wish = serde_json::json!({ "name": "sample", "scopes": scopes, "days": 90 });
        let request = self.request(Method::POST, "/api/v1/me/tokens").bearer_auth(session).json(&wish);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 201);
        response.json().await.unwrap()
    }

    async fn me(&self, secret: &str) -> Answer {
        Answer::of(self.request(Method::GET, "/api/v1/me").bearer_auth(secret).send().await.unwrap()).await
    }

    /// Stops the server and checks the chain of events.
    async fn close(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
        let verified = event::verify(&mut self.app.read().await.unwrap()).await.unwrap();
        assert!(matches!(verified, Verified::Intact { .. }));
    }
}

impl Answer {
    async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().iter().filter(|(name, _)| *name != "date");
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        Self { status, headers, body: response.text().await.unwrap() }
    }

    fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn signed(challenge: &Challenge, signer: &Signer) -> SignIn {
    let made = sshsig::Challenge::new(&challenge.server, &challenge.nonce, challenge.made_at).unwrap();
    SignIn {
        nonce: challenge.nonce.clone(),
        key: signer.key().to_string(),
        signature: made.sign(signer).unwrap(),
        handle: None,
    }
}

#[tokio::test]
async fn wrong_used_late_and_foreign_codes_are_told_apart_by_nobody() {
    let house = House::open().await;
    house.person("sample").await;
    let used = house.link("sample").await;
    // A mail scanner or a preview that only looks at the page burns nothing.
    assert_eq!(house.request(Method::GET, "/sign-in").send().await.unwrap().status(), 200);
    assert_eq!(house.enter(used.expose()).await.status(), 303);
    let late = house.link("sample").await;
    house.later(15 * 60);
    let never = crypto::token::mint(crypto::token::Kind::SignIn);
    let session = crypto::token::mint(crypto::token::Kind::Session);
    let mistyped = format!("{}x", &never.expose()[..never.expose().len() - 1]);
    let mut answers = Vec::new();
    for code in [used.expose(), late.expose(), never.expose(), session.expose(), &mistyped, "", "' or 1=1 --"] {
        answers.push(Answer::of(house.enter(code).await).await);
    }
    assert_eq!(answers[0].status, 422);
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
    assert_eq!(answers[0].header("set-cookie"), None);
    house.close().await;
}

#[tokio::test]
async fn of_many_who_bring_the_same_code_at_once_one_comes_in() {
    let house = House::open().await;
    house.person("sample").await;
    let code = house.link("sample").await;
    let race = (0..8).map(|_| house.enter(code.expose()));
    let statuses: Vec<_> =
        futures_util::future::join_all(race).await.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    house.close().await;
}

#[tokio::test]
async fn wrong_used_late_and_foreign_signatures_are_told_apart_by_nobody() {
    let house = House::open().await;
    let signer = house.person("sample").await;
    let stranger = house.key("stranger");
    let used = signed(&house.challenge().await, &signer);
    assert_eq!(house.answer(&used).await.status(), 201);
    let challenge = house.challenge().await;
    let unknown_key = signed(&challenge, &stranger);
    let another_server = signed(&Challenge { server: "https://example.net".into(), ..challenge.clone() }, &signer);
    let another_time = signed(&Challenge { made_at: Timestamp::UNIX_EPOCH, ..challenge.clone() }, &signer);
    let made = sshsig::Challenge::new(&challenge.server, &challenge.nonce, challenge.made_at).unwrap();
    let for_git = SignIn {
        signature: signer.sign(sshsig::GIT, made.message().as_bytes()).unwrap(),
        ..signed(&challenge, &signer)
    };
    let by_another = SignIn { key: signer.key().to_string(), ..unknown_key.clone() };
    let made_up = SignIn { nonce: "A".repeat(52), ..signed(&challenge, &signer) };
    let no_signature = SignIn { signature: "x".into(), ..signed(&challenge, &signer) };
    let another_handle = SignIn { handle: Some("someone".parse().unwrap()), ..signed(&challenge, &signer) };
    let late = signed(&house.challenge().await, &signer);
    let mut answers = Vec::new();
    for wrong in
        [used, unknown_key, another_server, another_time, for_git, by_another, made_up, no_signature, another_handle]
    {
        answers.push(Answer::of(house.answer(&wrong).await).await);
    }
    house.later(120);
    answers.push(Answer::of(house.answer(&late).await).await);
    assert_eq!(answers[0].status, 422);
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
    house.close().await;
}

#[tokio::test]
async fn wrong_late_and_revoked_tokens_are_told_apart_by_nobody() {
    let house = House::open().await;
    let signer = house.person("sample").await;
    let session = house.login(&signer).await;
    let (late, revoked) = (house.token(&session, &["api:read"]).await, house.token(&session, &["api:read"]).await);
    assert_eq!(house.me(&late.secret).await.status, 200);
    let path = format!("/api/v1/me/tokens/{}", revoked.token.id);
    assert_eq!(house.request(Method::DELETE, &path).bearer_auth(&session).send().await.unwrap().status(), 204);
    house.later(90 * 86_400);
    let never = crypto::token::mint(crypto::token::Kind::Access);
    let cut = &late.secret[..20];
    let mut answers = vec![Answer::of(house.request(Method::GET, "/api/v1/me").send().await.unwrap()).await];
    for secret in [late.secret.as_str(), &revoked.secret, never.expose(), cut, &session, "emb_", "x"] {
        answers.push(house.me(secret).await);
    }
    // In a URL a token opens nothing, since URLs are logged.
    let path = format!("/api/v1/me?access_token={}", late.secret);
    answers.push(Answer::of(house.request(Method::GET, &path).send().await.unwrap()).await);
    assert_eq!(answers[0].status, 401);
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
    house.close().await;
}

#[tokio::test]
async fn anothers_keys_and_tokens_are_as_if_they_were_not_there() {
    let house = House::open().await;
    let (owner, other) = (house.person("owner").await, house.person("other").await);
    let (session, foreign) = (house.login(&owner).await, house.login(&other).await);
    let token = house.token(&session, &["git:read"]).await.token.id.to_string();
    let request = house.request(Method::GET, "/api/v1/me/keys").bearer_auth(&session);
    let key = request.send().await.unwrap().json::<Vec<Key>>().await.unwrap()[0].id.to_string();
    let mut answers = Vec::new();
    for path in
        [format!("tokens/{token}"), format!("tokens/{}", "0".repeat(32)), format!("keys/{key}"), "keys/x".into()]
    {
        let request = house.request(Method::DELETE, &format!("/api/v1/me/{path}")).bearer_auth(&foreign);
        answers.push(Answer::of(request.send().await.unwrap()).await);
    }
    answers.push(Answer::of(house.request(Method::GET, "/api/v1/no/such/thing").send().await.unwrap()).await);
    assert_eq!(answers[0].status, 404);
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
    house.close().await;
}

#[tokio::test]
async fn no_form_opens_without_its_own_page() {
    let house = House::open().await;
    house.person("sample").await;
    let (cookie, token) = house.browser("sample").await;
    let (_, foreign) = house.browser("sample").await;
    let id = "0".repeat(32);
    let forms = [
        "/sign-out".to_owned(),
        "/account/sign-out-everywhere".to_owned(),
        "/account/email".to_owned(),
        "/account/keys".to_owned(),
        format!("/account/keys/{id}/remove"),
        "/account/tokens".to_owned(),
        format!("/account/tokens/{id}/revoke"),
    ];
    for path in &forms {
        let fields = [("form_token", token.as_str())];
        let body = format!("form_token={token}");
        let bare = || {
            let form = house.request(Method::POST, path).header("Cookie", &cookie).body(body.clone());
            form.header("Content-Type", "application/x-www-form-urlencoded")
        };
        let attacks = [
            ("no token", house.form(path, &[]).header("Cookie", &cookie)),
            ("another session's token", house.form(path, &[("form_token", &foreign)]).header("Cookie", &cookie)),
            ("no origin", bare()),
            ("another origin", bare().header("Origin", "https://example.net")),
            ("an opaque origin", bare().header("Origin", "null")),
            ("another site", bare().header("Sec-Fetch-Site", "cross-site").header("Origin", &house.base)),
            ("another port", bare().header("Sec-Fetch-Site", "same-site").header("Origin", &house.base)),
        ];
        for (attack, form) in attacks {
            assert_eq!(form.send().await.unwrap().status(), 403, "{path}: {attack}");
        }
        let anonymous = house.form(path, &fields).send().await.unwrap();
        assert_eq!(
            (anonymous.status().as_u16(), &anonymous.headers()["location"]),
            (303, &"/sign-in".parse().unwrap())
        );
    }
    // Nobody is signed in as somebody else by a page of another site.
    let code = house.link("sample").await;
    let form = house.request(Method::POST, "/sign-in").header("Origin", "https://example.net");
    let form = form.header("Content-Type", "application/x-www-form-urlencoded").body(format!("code={}", code.expose()));
    assert_eq!(form.send().await.unwrap().status(), 403);
    assert_eq!(house.enter(code.expose()).await.status(), 303, "the attempt did not burn the code");
    let out = house.form("/sign-out", &[("form_token", &token)]).header("Cookie", &cookie).send().await.unwrap();
    assert_eq!(out.status(), 303);
    let after = house.request(Method::GET, "/account").header("Cookie", &cookie).send().await.unwrap();
    assert_eq!(after.status(), 303);
    house.close().await;
}

#[tokio::test]
async fn new_keys_and_tokens_ask_for_a_fresh_sign_in() {
    let house = House::open().await;
    let signer = house.person("sample").await;
    let (cookie, token) = house.browser("sample").await;
    let session = house.login(&signer).await;
    house.later(5 * 60);
    let fields = [("form_token", token.as_str()), ("kind", "ssh"), ("public", "ssh-ed25519 AAAA")];
    let key = house.form("/account/keys", &fields).header("Cookie", &cookie).send().await.unwrap();
    assert_eq!(key.status(), 403);
    let wish = serde_json::json!({ "name": "sample", "scopes": ["git:read"], "days": 1 });
    let request = house.request(Method::POST, "/api/v1/me/tokens").bearer_auth(&session).json(&wish);
    let problem: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(problem["type"], "urn:embargo:problem:fresh-sign-in");
    let request = house.request(Method::POST, "/api/v1/session/hand-over").bearer_auth(&session);
    assert_eq!(request.send().await.unwrap().status(), 403, "or a stale session could make itself a fresh one");
    // Reading and giving up rights need no fresh sign-in, and a browser left alone for half an hour is signed out.
    assert_eq!(house.request(Method::GET, "/account").header("Cookie", &cookie).send().await.unwrap().status(), 200);
    house.later(30 * 60);
    assert_eq!(house.request(Method::GET, "/account").header("Cookie", &cookie).send().await.unwrap().status(), 303);
    assert_eq!(house.me(&session).await.status, 200);
    house.later(12 * 3600);
    assert_eq!(house.me(&session).await.status, 401);
    house.close().await;
}

/// Attack: a cookie, planted by a neighbour of this host, that leads a sign-in to a page of another site.
#[tokio::test]
async fn a_sign_in_leads_back_to_the_page_that_asked_and_to_no_other_site() {
    let house = House::open().await;
    house.person("sample").await;
    let asked = house.request(Method::GET, "/releases/DEMO-R1").send().await.unwrap();
    assert_eq!((asked.status().as_u16(), asked.headers()["location"].to_str().unwrap()), (303, "/sign-in"));
    let kept = asked.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    for (cookie, page) in [
        (kept.as_str(), "/releases/DEMO-R1"),
        ("embargo-return=//example.net", "/"),
        ("embargo-return=https://example.net/cases/DEMO-1", "/"),
        ("embargo-return=/cases/DEMO-1/../../sign-out", "/cases/DEMO-1"),
        ("other=x", "/"),
    ] {
        let code = house.link("sample").await;
        let form = house.form("/sign-in", &[("code", code.expose())]).header("Cookie", cookie);
        let answer = form.send().await.unwrap();
        assert_eq!(answer.headers()["location"].to_str().unwrap(), page, "{cookie}");
        let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().map(|set| set.to_str().unwrap()).collect();
        assert!(cookies.iter().any(|set| set.starts_with("embargo-return=;")), "{cookies:?}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_signed_in_command_line_hands_over_to_the_browser_once() {
    let house = House::open().await;
    let signer = house.person("sample").await;
    let session = house.login(&signer).await;
    let ask = || house.request(Method::POST, "/api/v1/session/hand-over").bearer_auth(&session).send();
    let link: HandOver = ask().await.unwrap().json().await.unwrap();
    assert_eq!(link.page, format!("{}/sign-in", house.base));
    assert_eq!(house.enter(&link.code).await.status(), 303);
    assert_eq!(house.enter(&link.code).await.status(), 422);
    let late: HandOver = ask().await.unwrap().json().await.unwrap();
    house.later(120);
    assert_eq!(house.enter(&late.code).await.status(), 422);
    house.close().await;
}

#[tokio::test]
async fn pages_take_no_tokens_and_the_api_takes_no_cookies() {
    let house = House::open().await;
    let signer = house.person("sample").await;
    let (cookie, _) = house.browser("sample").await;
    let session = house.login(&signer).await;
    let token = house.token(&session, &["api:read"]).await;
    assert_eq!(house.request(Method::GET, "/api/v1/me").header("Cookie", &cookie).send().await.unwrap().status(), 401);
    let browser = cookie.split_once('=').unwrap().1;
    assert_eq!(house.me(browser).await.status, 401, "a stolen cookie is no bearer");
    for secret in [&session, &token.secret] {
        let forged = format!("embargo={secret}");
        assert_eq!(house.request(Method::GET, "/account").header("Cookie", forged).send().await.unwrap().status(), 303);
    }
    let request = house.request(Method::GET, "/account").bearer_auth(&token.secret);
    assert_eq!(request.send().await.unwrap().status(), 303);
    // A token reaches its owner's account for reading only, and only with the scope for it.
    let narrow = house.token(&session, &["git:read"]).await;
    for (secret, method, status) in
        [(&token.secret, Method::GET, 200), (&narrow.secret, Method::GET, 403), (&token.secret, Method::POST, 403)]
    {
        let wish = serde_json::json!({ "name": "sample", "scopes": ["git:read"], "days": 1 });
        let request = house.request(method, "/api/v1/me/tokens").bearer_auth(secret).json(&wish);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    house.close().await;
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let house = House::open().await;
    for (method, path, status) in [
        (Method::GET, "/healthz", 200),
        (Method::GET, "/sign-in", 200),
        (Method::POST, "/sign-in", 403),
        (Method::GET, "/account", 303),
        (Method::GET, "/no-such-page", 404),
        (Method::GET, "/api/v1/me", 401),
        (Method::GET, "/api/v1/no-such-thing", 404),
        (Method::POST, "/api/v1/sign-in", 422),
        (Method::DELETE, "/sign-in", 405),
        (Method::GET, "/style.css", 200),
    ] {
        let answer = Answer::of(house.request(method, path).send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"), "{path}");
        let kept = path == "/style.css";
        assert_eq!(answer.header("cache-control") == Some("no-store"), !kept, "{path}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_body_without_end_is_not_read() {
    let house = House::open().await;
    let long = "x".repeat(300 * 1024);
    let answer = house.form("/sign-in", &[("code", &long)]).send().await.unwrap();
    assert_eq!(answer.status(), 422);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let request = house.request(Method::POST, "/api/v1/sign-in").header("Content-Type", "application/json").body(deep);
    assert_eq!(request.send().await.unwrap().status(), 422);
    house.close().await;
}
