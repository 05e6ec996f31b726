//! The sign-in page and one's own account: keys, tokens, signing out.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use super::page::Frame;
use super::piece::{sentence, time as moment};
use super::{Nothing, Result, frame_of};
use crate::app::App;
use crate::config::BaseUrl;
use crate::domain::account::{KeyKind, LONGEST_TOKEN_DAYS, Token, TokenWish};
use crate::domain::actor::{Reach, Scope};
use crate::domain::id::{CaseId, KeyId, ProjectId, TokenId};
use crate::domain::refusal::Malformed;
use crate::domain::sealed::Secret;
use crate::domain::text::Label;
use crate::http::caller::{Form, Member, Named, OpenForm, no_session_cookie, session_cookie};
use crate::http::origin::Sender;
use crate::http::place::{CameFrom, Place};
use crate::http::problem::{Page, refused_on};
use crate::workflow::Error;
use crate::workflow::account::{self, Own};
use crate::workflow::limit;

/// Returns the routes of sign-in and account pages.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/sign-in",
            get(async |State(app): State<Arc<App>>| sign_in_page(&app.config.base_url, None)).post(sign_in),
        )
        .route("/sign-out", post(sign_out))
        .route("/account", get(show))
        .route("/account/sign-out-everywhere", post(sign_out_everywhere))
        .route("/account/email", post(set_email))
        .route("/account/keys", post(add_key))
        .route("/account/keys/{key}/remove", post(remove_key))
        .route("/account/tokens", post(make_token))
        .route("/account/tokens/{token}/revoke", post(revoke_token))
}

#[derive(Deserialize)]
struct SignIn {
    code: String,
}

#[derive(Deserialize)]
struct NewEmail {
    #[serde(default)]
    email: String,
}

#[derive(Deserialize)]
struct NewKey {
    kind: KeyKind,
    public: String,
}

#[derive(Deserialize)]
struct NewToken {
    name: Label,
    days: u16,
    git_read: Option<String>,
    git_write: Option<String>,
    api_read: Option<String>,
    api_write: Option<String>,
    #[serde(default)]
    project: String,
    #[serde(default)]
    case: String,
}

impl NewToken {
    fn wish(self) -> Result<TokenWish, Malformed> {
        let chosen = [
            (self.git_read, Scope::GitRead),
            (self.git_write, Scope::GitWrite),
            (self.api_read, Scope::ApiRead),
            (self.api_write, Scope::ApiWrite),
        ];
        let scopes = chosen.into_iter().filter_map(|(tick, scope)| tick.map(|_| scope)).collect();
        let named = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let project = named(self.project).map(|text| text.parse::<ProjectId>()).transpose()?;
        let case = named(self.case).map(|text| text.parse::<CaseId>()).transpose()?;
        Ok(TokenWish { name: self.name, reach: Reach { scopes, project, case }, days: self.days })
    }
}

async fn sign_in(
    State(app): State<Arc<App>>,
    sender: Sender,
    before: Option<Member>,
    CameFrom(place): CameFrom,
    OpenForm(form): OpenForm<SignIn>,
) -> Result<Response> {
    let known = match limit::sign_in(&app, sender.0) {
        Ok(()) => account::sign_in_by_link(&app, &Secret::new(form.code)).await,
        Err(refused) => Err(refused),
    };
    let (secret, _) = match known {
        Ok(begun) => begun,
        Err(Error::Refused(refusal)) => {
            return Ok(refused_on(|why| sign_in_page(&app.config.base_url, Some(why)), refusal));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(before) = before {
        account::sign_out(&app, &before.secret).await?;
    }
    let cookies = [session_cookie(&app, &secret), Place::forgotten(&app.config.base_url)];
    let to = place.map_or_else(|| "/".to_owned(), |place| place.to_string());
    Ok((AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie))), Redirect::to(&to)).into_response())
}

async fn sign_out(State(app): State<Arc<App>>, form: Form<Member, Nothing>) -> Result<impl IntoResponse> {
    account::sign_out(&app, &form.by.secret).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, no_session_cookie(&app))]), Redirect::to("/sign-in")))
}

async fn sign_out_everywhere(State(app): State<Arc<App>>, form: Form<Member, Nothing>) -> Result<impl IntoResponse> {
    account::sign_out_everywhere(&app, &form.by.actor).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, no_session_cookie(&app))]), Redirect::to("/sign-in")))
}

async fn show(State(app): State<Arc<App>>, member: Member) -> Result<Markup> {
    let own = account::own(&app, &member.actor).await?;
    Ok(account_page(&own, &frame_of(&app, &member)))
}

async fn set_email(State(app): State<Arc<App>>, form: Form<Member, NewEmail>) -> Result<Redirect> {
    let text = form.value.email.trim();
    let email = if text.is_empty() { None } else { Some(text.parse()?) };
    account::set_email(&app, &form.by.actor, email).await?;
    Ok(Redirect::to("/account#notices"))
}

async fn add_key(State(app): State<Arc<App>>, form: Form<Member, NewKey>) -> Result<Redirect> {
    account::add_key(&app, &form.by.actor, form.value.kind, &form.value.public).await?;
    Ok(Redirect::to("/account"))
}

async fn remove_key(
    State(app): State<Arc<App>>,
    key: Named<KeyId, Page>,
    form: Form<Member, Nothing>,
) -> Result<Redirect> {
    account::remove_key(&app, &form.by.actor, key.0).await?;
    Ok(Redirect::to("/account"))
}

async fn make_token(State(app): State<Arc<App>>, form: Form<Member, NewToken>) -> Result<(StatusCode, Markup)> {
    let (secret, token) = account::make_token(&app, &form.by.actor, form.value.wish()?).await?;
    Ok((StatusCode::CREATED, token_page(&token, &secret, &frame_of(&app, &form.by))))
}

async fn revoke_token(
    State(app): State<Arc<App>>,
    token: Named<TokenId, Page>,
    form: Form<Member, Nothing>,
) -> Result<Redirect> {
    account::revoke_token(&app, &form.by.actor, token.0).await?;
    Ok(Redirect::to("/account"))
}

/// Renders the page of a first sign-in, with what was wrong about the last code.
pub(crate) fn sign_in_page(base: &BaseUrl, wrong: Option<&str>) -> Markup {
    let content = html! {
        div.narrow {
            h1 { "Sign in" }
            @if let Some(wrong) = wrong { div.notice.bad role="alert" { p { (sentence(wrong)) } } }
            (ways_in(base))
            p.soft { a href="/" { "Continue" } ", if you are signed in at this browser already." }
        }
        script src="/sign-in.js" defer {}
    };
    Frame::anyone().page("Sign in", content)
}

/// Renders the page for somebody whose sign-in is too long ago. `place` is the page they came from.
pub(crate) fn again_page(base: &BaseUrl, place: Option<&Place>) -> Markup {
    let content = html! {
        div.narrow {
            h1 { "Sign in again" }
            p.lead {
                "Nothing was done yet: this needs a sign-in from the last five minutes."
                @if let Some(place) = place { " It leads you back to " a href=(place) { (place) } ", where you do it once more." }
            }
            (ways_in(base))
        }
    };
    Frame::anyone().page("Sign in again", content)
}

/// The ways to sign in: by SSH key, whose program opens the browser, or by a code that one was given.
fn ways_in(base: &BaseUrl) -> Markup {
    html! {
        p { "Run this where your SSH key is. It opens a page that signs you in:" }
        pre tabindex="0" { code { "embargo login " (base) } }
        form.card method="post" action="/sign-in" {
            label for="code" { "Or enter a one-time code" }
            input #code name="code" type="password" required autocomplete="off" spellcheck="false" autocapitalize="none" aria-describedby="code-hint";
            p.hint #code-hint { "It starts with " code { "embl_" } " and works once. The operator of this server can make one." }
            button.primary #sign-in { "Sign in" }
        }
    }
}

pub(crate) fn account_page(own: &Own, frame: &Frame<'_>) -> Markup {
    let content = html! {
        div.heading {
            h1 { (own.person.name) }
            (frame.button("/sign-out", "", "Sign out"))
        }
        p.hint { "@" (own.person.handle) }

        h2 #notices { "Notices" }
        (notices(own, frame))

        h2 #keys { "Keys" }
        p { "An SSH key signs you in with " code { "embargo login" } ". Attachments are encrypted to your age and SSH keys: without one you cannot read them." }
        @if !own.keys.is_empty() {
            table.stack {
                thead { tr { th scope="col" { "For" } th scope="col" { "Fingerprint" } th scope="col" { "Added" } td {} } }
                tbody {
                    @for key in &own.keys {
                        tr {
                            th scope="row" { (match key.kind { KeyKind::Ssh => "signing in", KeyKind::Age => "attachments" }) }
                            td data-label="Fingerprint" { code { (key.fingerprint) } }
                            td data-label="Added" { (moment(key.added_at)) }
                            td {
                                form method="post" action={ "/account/keys/" (key.id) "/remove" } {
                                    (frame.token())
                                    button.plain aria-label={ "Remove key " (key.fingerprint) } { "Remove" }
                                }
                            }
                        }
                    }
                }
            }
        }
        form.card method="post" action="/account/keys" {
            (frame.token())
            label for="kind" { "Add a key for" }
            select #kind name="kind" {
                option value="ssh" { "signing in (SSH)" }
                option value="age" { "attachments (age or SSH)" }
            }
            label for="public" { "Public key" }
            input #public name="public" required autocomplete="off" spellcheck="false" aria-describedby="public-hint";
            p.hint #public-hint { "One line: ssh-ed25519 …, ssh-rsa … or age1…" }
            button { "Add key" }
        }

        h2 #tokens { "Access tokens" }
        p { "A token is the password for git and the API. It lives for 90 days at most." }
        @if !own.tokens.is_empty() {
            table.stack {
                thead { tr { th scope="col" { "Name" } th scope="col" { "May" } th scope="col" { "Ends" } td {} } }
                tbody {
                    @for token in &own.tokens {
                        tr {
                            th scope="row" { (token.name) }
                            td data-label="May" { (reach(token)) }
                            td data-label="Ends" { (moment(token.expires_at)) }
                            td {
                                form method="post" action={ "/account/tokens/" (token.id) "/revoke" } {
                                    (frame.token())
                                    button.plain aria-label={ "Revoke token " (token.name) } { "Revoke" }
                                }
                            }
                        }
                    }
                }
            }
        }
        form.card method="post" action="/account/tokens" {
            (frame.token())
            label for="name" { "Name of a new token" }
            input #name name="name" required maxlength="100" autocomplete="off";
            fieldset {
                legend { "It may" }
                label.choice { input type="checkbox" name="git_read" checked; "clone and fetch" }
                label.choice { input type="checkbox" name="git_write"; "push" }
                label.choice { input type="checkbox" name="api_read"; "read over the API" }
                label.choice { input type="checkbox" name="api_write"; "change things over the API" }
            }
            label for="project" { "Only in the project" }
            input #project name="project" placeholder="all of mine" autocomplete="off";
            label for="case" { "Only in the case" }
            input #case name="case" placeholder="all of mine" autocomplete="off";
            label for="days" { "Days until it ends" }
            input #days name="days" type="number" min="1" max=(LONGEST_TOKEN_DAYS) value="30" required;
            button { "Make token" }
        }

        h2 { "Other devices" }
        form.inline method="post" action="/account/sign-out-everywhere" {
            (frame.token())
            button.danger { "Sign out everywhere" }
        }
    };
    frame.page("Account", content)
}

/// Where notices go, and what follows while they go nowhere.
fn notices(own: &Own, frame: &Frame<'_>) -> Markup {
    let email = own.person.email.as_ref().map_or("", |email| email.as_str());
    html! {
        @if email.is_empty() {
            div.notice.waiting role="note" {
                p { strong { "You get no mail." } " Nobody tells you of reports, messages and releases that wait for you: give an address." }
            }
        }
        form.card method="post" action="/account/email" {
            (frame.token())
            label for="email" { "Mail address" }
            input #email name="email" type="email" value=(email) maxlength="254" autocomplete="email" aria-describedby="email-hint";
            p.hint #email-hint { "A mail says that there is news, never what. Empty: no mail. Changing it needs a sign-in from the last five minutes." }
            button { "Save address" }
        }
    }
}

fn token_page(token: &Token, secret: &Secret, frame: &Frame<'_>) -> Markup {
    let content = html! {
        h1 { "Token made" }
        p { "Copy it now: it is shown this once, and only its hash is kept." }
        code.secret { (secret.expose()) }
        p { (token.name) " may " (reach(token)) " until " (moment(token.expires_at)) "." }
        p { a href="/account" { "Back to the account" } }
    };
    frame.page("Token made", content)
}

fn reach(token: &Token) -> String {
    let words: Vec<_> = token.reach.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut text = words.join(", ");
    for place in [
        token.reach.project.as_ref().map(|project| format!(" in {project}")),
        token.reach.case.as_ref().map(|case| format!(" in {case}")),
    ]
    .into_iter()
    .flatten()
    {
        text.push_str(&place);
    }
    text
}
