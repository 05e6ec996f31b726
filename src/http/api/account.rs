//! Signing in by key, oneself, one's keys and tokens, as JSON.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};

use super::Json;
use crate::app::App;
use crate::domain::account::TokenWish;
use crate::domain::actor::Reach;
use crate::domain::id::{KeyId, TokenId};
use crate::http::caller::{Client, Named};
use crate::http::origin::Sender;
use crate::http::problem::{Api, ApiError};
use crate::wire::account::{AccessToken, Challenge, HandOver, Key, MadeToken, Me, NewKey, NewToken, SignIn, SignedIn};
use crate::workflow::{account, limit};

type Result<T> = std::result::Result<T, ApiError>;
type Created<T> = (StatusCode, Json<T>);

/// Returns the routes of accounts.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/sign-in/challenge", post(challenge))
        .route("/sign-in", post(sign_in))
        .route("/session", delete(sign_out))
        .route("/session/hand-over", post(hand_over))
        .route("/me", get(me))
        .route("/me/keys", get(keys).post(add_key))
        .route("/me/keys/{key}", delete(remove_key))
        .route("/me/tokens", get(tokens).post(make_token))
        .route("/me/tokens/{token}", delete(revoke_token))
}

async fn challenge(State(app): State<Arc<App>>, sender: Sender) -> Result<Created<Challenge>> {
    limit::sign_in(&app, sender.0)?;
    Ok((StatusCode::CREATED, Json(account::challenge(&app).await?)))
}

async fn sign_in(State(app): State<Arc<App>>, sender: Sender, Json(answer): Json<SignIn>) -> Result<Created<SignedIn>> {
    limit::sign_in(&app, sender.0)?;
    let (secret, session, person) = account::sign_in_by_key(&app, &answer).await?;
    let signed_in =
        SignedIn { session: secret.expose().to_owned(), expires_at: session.expires_at, person: Me::from(&person) };
    Ok((StatusCode::CREATED, Json(signed_in)))
}

async fn sign_out(State(app): State<Arc<App>>, client: Client) -> Result<StatusCode> {
    account::sign_out(&app, &client.secret).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn hand_over(State(app): State<Arc<App>>, client: Client) -> Result<Created<HandOver>> {
    let (code, link) = account::hand_over(&app, &client.actor).await?;
    let code = code.expose().to_owned();
    Ok((StatusCode::CREATED, Json(HandOver { page: app.url("/sign-in"), code, expires_at: link.expires_at })))
}

async fn me(State(app): State<Arc<App>>, client: Client) -> Result<Json<Me>> {
    Ok(Json(Me::from(&account::who_am_i(&app, &client.actor).await?)))
}

async fn keys(State(app): State<Arc<App>>, client: Client) -> Result<Json<Vec<Key>>> {
    let own = account::own(&app, &client.actor).await?;
    Ok(Json(own.keys.into_iter().map(Key::from).collect()))
}

async fn add_key(State(app): State<Arc<App>>, client: Client, Json(new): Json<NewKey>) -> Result<Created<Key>> {
    let key = account::add_key(&app, &client.actor, new.kind, &new.public).await?;
    Ok((StatusCode::CREATED, Json(key.into())))
}

async fn remove_key(State(app): State<Arc<App>>, client: Client, key: Named<KeyId, Api>) -> Result<StatusCode> {
    account::remove_key(&app, &client.actor, key.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tokens(State(app): State<Arc<App>>, client: Client) -> Result<Json<Vec<AccessToken>>> {
    let own = account::own(&app, &client.actor).await?;
    Ok(Json(own.tokens.into_iter().map(AccessToken::from).collect()))
}

async fn make_token(
    State(app): State<Arc<App>>,
    client: Client,
    Json(new): Json<NewToken>,
) -> Result<Created<MadeToken>> {
    let reach = Reach { scopes: new.scopes, project: new.project, case: new.case };
    let wish = TokenWish { name: new.name, reach, days: new.days };
    let (secret, token) = account::make_token(&app, &client.actor, wish).await?;
    Ok((StatusCode::CREATED, Json(MadeToken { token: token.into(), secret: secret.expose().to_owned() })))
}

async fn revoke_token(State(app): State<Arc<App>>, client: Client, token: Named<TokenId, Api>) -> Result<StatusCode> {
    account::revoke_token(&app, &client.actor, token.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
