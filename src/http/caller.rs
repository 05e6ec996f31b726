//! Who asks: a member by cookie, a reporter by the cookie of a visit, a client by token.
//!
//! Guards: pages know cookies only and the API tokens only; a form opens only if this site sent it and a page of the same
//! session made it. Leaves what the caller may do to `workflow`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::{ApiError, Face, Failure, PageError};
use crate::app::App;
use crate::config::BaseUrl;
use crate::domain::actor::Actor;
use crate::domain::refusal::Refusal;
use crate::domain::sealed::Secret;
use crate::domain::session::{Session, SessionKind, Visit};
use crate::workflow::{Error, account};

/// No form or JSON body takes longer to arrive.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

const SESSION: &str = "embargo";
const VISIT: &str = "embargo-report";

/// A person signed in at this browser.
#[derive(Debug)]
pub(crate) struct Member {
    /// The person.
    pub(crate) actor: Actor,
    /// Their session.
    pub(crate) session: Session,
    /// The cookie's value.
    pub(crate) secret: Secret,
}

/// A reporter who has shown the claim code at this browser.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// The reporter.
    pub(crate) actor: Actor,
    /// Their visit.
    pub(crate) visit: Visit,
    /// The cookie's value.
    pub(crate) secret: Secret,
}

/// Whoever sent a token, a client session or a visit with a request of the API.
#[derive(Debug)]
pub(crate) struct Client {
    /// Who.
    pub(crate) actor: Actor,
    /// What they sent.
    pub(crate) secret: Secret,
}

/// Whoever sent a token with a request of git, as password or bearer.
#[derive(Debug)]
pub(crate) struct GitCaller(pub(crate) Actor);

/// The request was sent by a page of this server.
#[derive(Debug)]
pub(crate) struct SameSite;

/// A form that a page of the same session or visit made and this site sent.
#[derive(Debug)]
pub(crate) struct Form<G, T> {
    /// Who sent it.
    pub(crate) by: G,
    /// What it says.
    pub(crate) value: T,
}

/// A form in which much is typed: what it says comes through, so that it can be shown again, also when it may not be acted on.
/// This site sent it in any case.
#[derive(Debug)]
pub(crate) enum LongForm<T> {
    /// A page of this session made it.
    Ours(Member, T),
    /// A page of another session made it: the person signed in anew meanwhile, most likely.
    Stale(Member, T),
    /// Nobody is signed in.
    SignedOut(T),
}

/// A form of somebody who need not be known; this site sent it.
#[derive(Debug)]
pub(crate) struct OpenForm<T>(pub(crate) T);

/// The parts of the path, parsed; what does not parse is not found, like what does not exist.
#[derive(Debug)]
pub(crate) struct Named<T, F>(pub(crate) T, std::marker::PhantomData<F>);

/// Someone whose pages make forms.
pub(crate) trait MakesForms: FromRequestParts<Arc<App>, Rejection = PageError> + Send {
    /// Returns the token that the pages of this session put into their forms.
    fn form_token(&self) -> &str;
    /// Tells whether a form was made by a page of this session.
    fn made(&self, form_token: &str) -> bool;
}

#[derive(Deserialize)]
struct Guard {
    #[serde(default)]
    form_token: String,
}

impl MakesForms for Member {
    fn form_token(&self) -> &str {
        &self.session.form_token
    }

    fn made(&self, form_token: &str) -> bool {
        self.session.made(form_token)
    }
}

impl MakesForms for Visitor {
    fn form_token(&self) -> &str {
        &self.visit.form_token
    }

    fn made(&self, form_token: &str) -> bool {
        self.visit.made(form_token)
    }
}

impl OptionalFromRequestParts<Arc<App>> for Member {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Option<Self>, PageError> {
        let Some(secret) = cookie(&parts.headers, &name(&app.config.base_url, SESSION)) else { return Ok(None) };
        let known = account::by_session(app, &secret, SessionKind::Browser).await?;
        Ok(known.map(|(actor, session)| Self { actor, session, secret }))
    }
}

impl FromRequestParts<Arc<App>> for Member {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let member = <Self as OptionalFromRequestParts<_>>::from_request_parts(parts, app).await?;
        member.ok_or_else(|| Error::Unauthenticated.into())
    }
}

impl OptionalFromRequestParts<Arc<App>> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Option<Self>, PageError> {
        let Some(secret) = cookie(&parts.headers, &name(&app.config.base_url, VISIT)) else { return Ok(None) };
        let known = account::by_visit(app, &secret).await?;
        Ok(known.map(|visit| Self { actor: Actor::Reporter(visit.report), visit, secret }))
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let visitor = <Self as OptionalFromRequestParts<_>>::from_request_parts(parts, app).await?;
        visitor.ok_or_else(|| Refusal::person("Show the claim code again: your visit has ended.").into())
    }
}

impl FromRequestParts<Arc<App>> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let secret = bearer(&parts.headers).ok_or(Error::Unauthenticated)?;
        let actor = account::by_bearer(app, &secret).await?;
        Ok(Self { actor, secret })
    }
}

impl FromRequestParts<Arc<App>> for GitCaller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let Some(secret) = bearer(&parts.headers).or_else(|| password(&parts.headers)) else { return Err(ask_git()) };
        match account::by_bearer(app, &secret).await {
            Ok(actor) => Ok(Self(actor)),
            Err(Error::Unauthenticated) => Err(ask_git()),
            Err(error) => Err(PageError::from(error).into_response()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for SameSite
where
    Arc<App>: axum::extract::FromRef<S>,
{
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, PageError> {
        let app: Arc<App> = axum::extract::FromRef::from_ref(state);
        if came_from(&parts.headers, &app.config.base_url) { Ok(Self) } else { Err(foreign_form()) }
    }
}

impl<G: MakesForms, T: DeserializeOwned> FromRequest<Arc<App>> for Form<G, T> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let by = G::from_request_parts(&mut parts, app).await?;
        SameSite::from_request_parts(&mut parts, app).await?;
        let (parts, body) = read(Request::from_parts(parts, body), app).await?;
        let Guard { form_token } = decode(&parts, body.clone(), app).await?;
        if !by.made(&form_token) {
            return Err(foreign_form());
        }
        Ok(Self { by, value: decode(&parts, body, app).await? })
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for LongForm<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let by = <Member as OptionalFromRequestParts<_>>::from_request_parts(&mut parts, app).await?;
        SameSite::from_request_parts(&mut parts, app).await?;
        let (parts, body) = read(Request::from_parts(parts, body), app).await?;
        let Guard { form_token } = decode(&parts, body.clone(), app).await?;
        let value = decode(&parts, body, app).await?;
        Ok(match by {
            Some(member) if member.made(&form_token) => Self::Ours(member, value),
            Some(member) => Self::Stale(member, value),
            None => Self::SignedOut(value),
        })
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for OpenForm<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        SameSite::from_request_parts(&mut parts, app).await?;
        let (parts, body) = read(Request::from_parts(parts, body), app).await?;
        Ok(Self(decode(&parts, body, app).await?))
    }
}

impl<T: DeserializeOwned + Send, F: Face> FromRequestParts<Arc<App>> for Named<T, F> {
    type Rejection = Failure<F>;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure<F>> {
        let parsed = <axum::extract::Path<T> as FromRequestParts<_>>::from_request_parts(parts, app).await;
        let axum::extract::Path(value) = parsed.map_err(|_| Error::NotFound)?;
        Ok(Self(value, std::marker::PhantomData))
    }
}

/// Returns the cookie that begins a browser's session.
pub(crate) fn session_cookie(app: &App, secret: &Secret) -> HeaderValue {
    set_cookie(&app.config.base_url, SESSION, secret.expose(), 12 * 3600)
}

/// Returns the cookie that ends it.
pub(crate) fn no_session_cookie(app: &App) -> HeaderValue {
    set_cookie(&app.config.base_url, SESSION, "", 0)
}

/// Returns the cookie that begins a reporter's visit.
pub(crate) fn visit_cookie(app: &App, secret: &Secret) -> HeaderValue {
    set_cookie(&app.config.base_url, VISIT, secret.expose(), 2 * 3600)
}

/// Returns the cookie that ends it.
pub(crate) fn no_visit_cookie(app: &App) -> HeaderValue {
    set_cookie(&app.config.base_url, VISIT, "", 0)
}

/// Returns the refusal of a form that another site sent, or a page of another session made.
pub(crate) fn foreign_form() -> PageError {
    Refusal::person(
        "This form is from an old page or another site: go back, load the page again and send it once more.",
    )
    .into()
}

/// Asks git for a password: the same answer to everyone who has shown none.
pub(crate) fn ask_git() -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"embargo\", charset=\"UTF-8\"")];
    let sentence = "Sign in with an access token as the password; make one on your account page.\n";
    (StatusCode::UNAUTHORIZED, challenge, sentence).into_response()
}

/// Tells whether a page of this server sent the request. Browsers of today say so; what says nothing is refused.
fn came_from(headers: &HeaderMap, base: &BaseUrl) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = text("origin");
    match text("sec-fetch-site") {
        // Without a referrer browsers write `null` here even on their own site.
        Some("same-origin") => origin.is_none_or(|origin| origin == "null" || origin == base.as_str()),
        Some(_) => false,
        None => origin == Some(base.as_str()),
    }
}

/// `__Host-` ties the cookie to this host and TLS; a server on plain loopback cannot have it.
pub(super) fn name(base: &BaseUrl, name: &str) -> String {
    if base.is_https() { format!("__Host-{name}") } else { name.to_owned() }
}

pub(super) fn set_cookie(base: &BaseUrl, cookie: &str, value: &str, seconds: u32) -> HeaderValue {
    let secure = if base.is_https() { "; Secure" } else { "" };
    let name = name(base, cookie);
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut value =
        HeaderValue::from_str(&text).expect("tokens and cookie names are letters, digits, dashes and underscores");
    value.set_sensitive(true);
    value
}

/// Finds a cookie; one that was sent twice is nobody's.
pub(super) fn cookie(headers: &HeaderMap, wanted: &str) -> Option<Secret> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(Secret::new(value.to_owned())),
        (None | Some(_), _) => None,
    }
}

fn bearer(headers: &HeaderMap) -> Option<Secret> {
    let (scheme, rest) = authorization(headers)?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Secret::new(rest.trim().to_owned()))
}

/// The password of Basic authentication; the user name says nothing.
fn password(headers: &HeaderMap) -> Option<Secret> {
    let (scheme, rest) = authorization(headers)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = data_encoding::BASE64.decode(rest.trim().as_bytes()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(_, password)| Secret::new(password.to_owned()))
}

fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut lines = headers.get_all(header::AUTHORIZATION).into_iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    line.to_str().ok()?.split_once(' ')
}

async fn read(request: Request, app: &Arc<App>) -> Result<(Parts, Bytes), PageError> {
    let (parts, body) = request.into_parts();
    let copy = copy_of(&parts, body);
    let late = || Refusal::input("The form took too long to arrive: try again.");
    let bytes = tokio::time::timeout(PATIENCE, Bytes::from_request(copy, app)).await.map_err(|_| late())?;
    let bytes =
        bytes.map_err(|_| Refusal::input("The form is too long or was cut off: attach long texts as files."))?;
    Ok((parts, bytes))
}

async fn decode<T: DeserializeOwned>(parts: &Parts, body: Bytes, app: &Arc<App>) -> Result<T, PageError> {
    let copy = copy_of(parts, body.into());
    let form = axum::extract::Form::<T>::from_request(copy, app).await;
    Ok(form
        .map_err(|_| {
            Refusal::input("The form is not filled in as expected: go back, check every field and send it again.")
        })?
        .0)
}

fn copy_of(parts: &Parts, body: axum::body::Body) -> Request {
    let mut copy = Request::new(body);
    *copy.method_mut() = parts.method.clone();
    *copy.uri_mut() = parts.uri.clone();
    *copy.headers_mut() = parts.headers.clone();
    *copy.extensions_mut() = parts.extensions.clone();
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> BaseUrl {
        "https://security.example.org".parse().unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_form_of_another_site_is_not_ours() {
        let own = "https://security.example.org";
        for (sent, ours) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "null")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", own)], true),
            (&[("origin", own)], true),
            (&[], false),
            (&[("origin", "null")], false),
            (&[("origin", "https://security.example.org.example.net")], false),
            (&[("origin", "http://security.example.org")], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://example.net")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", own)], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "none")], false),
        ] {
            assert_eq!(came_from(&headers(sent), &base()), ours, "{sent:?}");
        }
    }

    #[test]
    fn a_cookie_sent_twice_is_nobodys() {
        let one = headers(&[("cookie", "a=1; __Host-embargo=x; b=2")]);
        assert_eq!(cookie(&one, "__Host-embargo").unwrap().expose(), "x");
        assert!(cookie(&one, "embargo").is_none());
        assert!(cookie(&headers(&[("cookie", "embargo=x; embargo=y")]), "embargo").is_none());
        assert!(cookie(&headers(&[("cookie", "embargo=x"), ("cookie", "embargo=y")]), "embargo").is_none());
    }

    #[test]
    fn cookies_follow_the_rules() {
        let cookie = set_cookie(&base(), SESSION, "x", 60);
        assert_eq!(cookie, "__Host-embargo=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure");
        let plain = set_cookie(&"http://127.0.0.1:8484".parse().unwrap(), VISIT, "x", 60);
        assert_eq!(plain, "embargo-report=x; Path=/; HttpOnly; SameSite=Strict; Max-Age=60");
    }

    #[test]
    fn git_sends_the_token_as_password() {
        let basic = format!("Basic {}", data_encoding::BASE64.encode(b"anyone:emb_x:y"));
        assert_eq!(password(&headers(&[("authorization", &basic)])).unwrap().expose(), "emb_x:y");
        assert!(password(&headers(&[("authorization", "Basic !!!")])).is_none());
        assert!(bearer(&headers(&[("authorization", &basic)])).is_none());
        assert_eq!(bearer(&headers(&[("authorization", "bearer emb_x")])).unwrap().expose(), "emb_x");
        assert!(bearer(&headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")])).is_none());
    }
}
