//! Who hears of a release before its instant: the part of its page, and the page of everybody who was told.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Done, ReleaseName};
use crate::app::App;
use crate::domain::audience::{AudienceName, Lead, Level};
use crate::domain::id::ReleaseId;
use crate::domain::recipient::{Affect, RecipientState};
use crate::http::caller::{Form, Member};
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, foreign, mark, moment, sentence, word};
use crate::http::web::{Result, frame_of};
use crate::wire::release::ReleaseView;
use crate::wire::wave::{AnswerView, DropWave, RecipientView, SetWave, WaveView, WavesView};
use crate::workflow::wave;

/// Returns the routes of waves.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/releases/{release}/waves", get(show).post(set))
        .route("/releases/{release}/waves/drop", post(drop_wave))
}

#[derive(Deserialize)]
struct Set {
    audience: AudienceName,
    level: Level,
    before: Lead,
}

#[derive(Deserialize)]
struct Drop {
    audience: AudienceName,
    level: Level,
}

async fn show(State(app): State<Arc<App>>, member: Member, id: ReleaseName) -> Result<Markup> {
    let view = wave::show(&app, &member.actor, &id.0).await?;
    Ok(waves_page(&view, &frame_of(&app, &member)))
}

async fn set(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Set>) -> Done {
    let Set { audience, level, before } = form.value;
    wave::set(&app, &form.by.actor, &id.0, &SetWave { audience, level, before }).await?;
    Ok(to(&id.0))
}

async fn drop_wave(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Drop>) -> Done {
    let Drop { audience, level } = form.value;
    wave::drop_wave(&app, &form.by.actor, &id.0, &DropWave { audience, level }).await?;
    Ok(to(&id.0))
}

fn to(release: &ReleaseId) -> Redirect {
    Redirect::to(&format!("/releases/{release}/waves"))
}

/// Renders the part of a release's page that says who hears of it before.
pub(super) fn section(view: &ReleaseView) -> Markup {
    let manages = view.allowed.iter().any(|verb| verb == "wave");
    html! {
        @if !view.waves.is_empty() || manages {
            section #waves {
                h2 { "Who hears of it before" }
                @if view.waves.is_empty() { p.soft { "Nobody outside the cases." } }
                ul.jobs { @for wave in &view.waves {
                    li {
                        (state(wave))
                        span { strong { (wave.audience) } " " span.soft { (what(&wave.level)) } }
                        span.soft { (moment(&wave.at)) }
                        @if wave.told > 0 { span { (wave.acknowledged) " of " (wave.told) " acknowledged" } }
                        @if !wave.note.is_empty() { span { (sentence(&wave.note)) } }
                    }
                } }
                p { a href={ "/releases/" (view.summary.id) "/waves" } { "Waves, and everybody who was told" } }
            }
        }
    }
}

/// Renders the waves of a release, and everybody who was told with what they said.
pub(crate) fn waves_page(view: &WavesView, frame: &Frame<'_>) -> Markup {
    let release = &view.release;
    let content = html! {
        p.eyebrow { a href={ "/releases/" (release) } { "Release " (release) } }
        h1 { "Who hears of it before" }
        p.lead { "The instant is " (moment(&view.due_at)) ". What is told before stands in what people arm." }
        section #waves {
            h2 { "Waves" }
            @if view.waves.is_empty() { p.soft { "None: nobody outside the cases is told before the instant." } }
            @else {
                table.stack {
                    thead { tr { th scope="col" { "Audience" } th scope="col" { "What" } th scope="col" { "When" } th scope="col" { "State" } @if view.may_change { th scope="col" { "Change" } } } }
                    tbody { @for wave in &view.waves { (row(view, wave, frame)) } }
                }
            }
            @if view.may_change { (set_form(view, frame)) }
        }
        section #recipients {
            h2 { "Told" }
            @if view.recipients.is_empty() { p.soft { "Nobody yet." } }
            @else {
                table.stack {
                    thead { tr { th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "State" } th scope="col" { "Answer" } } }
                    tbody { @for recipient in &view.recipients { (recipient_row(recipient)) } }
                }
            }
        }
    };
    frame.page(&format!("Waves of {release}"), content)
}

fn row(view: &WavesView, wave: &WaveView, frame: &Frame<'_>) -> Markup {
    html! {
        tr {
            th scope="row" { (wave.audience) }
            td data-label="What" { (what(&wave.level)) }
            td data-label="When" { (moment(&wave.at)) " " span.soft.small { (wave.before) " before" } }
            td data-label="State" { (state(wave)) @if !wave.note.is_empty() { p.small { (sentence(&wave.note)) } } }
            @if view.may_change {
                td data-label="Change" {
                    @if wave.state == "sent" { span.soft { "sent" } }
                    @else {
                        form.inline method="post" action={ "/releases/" (view.release) "/waves/drop" } {
                            (frame.token())
                            input type="hidden" name="audience" value=(wave.audience);
                            input type="hidden" name="level" value=(wave.level);
                            button.plain aria-label={ "Drop the wave that tells " (wave.audience) " " (wave.level) } { "Drop" }
                        }
                    }
                }
            }
        }
    }
}

fn set_form(view: &WavesView, frame: &Frame<'_>) -> Markup {
    html! {
        details.card {
            summary { "Add a wave, or move one" }
            form method="post" action={ "/releases/" (view.release) "/waves" } {
                (frame.token())
                fieldset {
                    legend { "Audience" }
                    @for audience in &view.audiences {
                        label.choice {
                            input type="radio" name="audience" value=(audience.name) required;
                            span {
                                strong { (audience.name) } " "
                                span.soft { "up to " (audience.level) ", " (audience.longest) " before at the earliest" @if audience.members > 0 { ", " (audience.members) " members" } }
                                br; span.small { (foreign(&audience.criteria)) }
                            }
                        }
                    }
                }
                label for="level" { "What they are told" }
                select #level name="level" { @for level in Level::ALL { option value=(level) { (what(level.as_str())) } } }
                label for="before" { "How long before the instant" }
                input #before name="before" required autocomplete="off" spellcheck="false" placeholder="7d" aria-describedby="before-hint";
                p.hint #before-hint { "A number and d, h or m: 7d, 36h, 90m. A frozen release is frozen anew, and who armed it arms again." }
                button.primary { "Set the wave" }
            }
        }
    }
}

fn recipient_row(recipient: &RecipientView) -> Markup {
    let over = recipient.ended_at.is_some();
    let (tone, words) = match recipient.state.parse::<RecipientState>() {
        _ if over => (Tone::Neutral, "called off"),
        Ok(RecipientState::Pending) => (Tone::Busy, "on its way"),
        Ok(RecipientState::Sent) => (Tone::Waiting, "not acknowledged"),
        Ok(RecipientState::Failed) => (Tone::Bad, "no mail got out"),
        Ok(RecipientState::Acknowledged) => (Tone::Good, "acknowledged"),
        Err(_) => (Tone::Neutral, recipient.state.as_str()),
    };
    html! {
        tr {
            th scope="row" { (foreign(&recipient.name)) br; span.soft.small { (recipient.audience) } }
            td data-label="What" { (what(&recipient.level)) br; span.soft.small { (moment(&recipient.told_at)) } }
            td data-label="State" {
                (mark(tone, words))
                @if let Some(at) = &recipient.acknowledged_at { " " span.soft.small { (moment(at)) } }
                @if recipient.reminded_at.is_some() { " " span.soft.small { "reminded" } }
            }
            td data-label="Answer" {
                @if recipient.answers.is_empty() { span.soft { "no answer" } }
                @for answer in &recipient.answers { (answered(answer)) }
            }
        }
    }
}

fn answered(answer: &AnswerView) -> Markup {
    let (tone, words) = match answer.answer.parse::<Affect>() {
        Ok(Affect::Affected) => (Tone::Waiting, "affected"),
        Ok(Affect::NotAffected) => (Tone::Good, "not affected"),
        Ok(Affect::Unknown) | Err(_) => (Tone::Neutral, "not known yet"),
    };
    html! {
        p {
            @if let Some(advisory) = &answer.advisory { (advisory) " " }
            (mark(tone, words))
            @if let Some(remark) = &answer.remark { br; span.small { (foreign(remark)) } }
        }
    }
}

fn state(wave: &WaveView) -> Markup {
    let tone = match wave.state.as_str() {
        "sent" if wave.failed > 0 => Tone::Waiting,
        "sent" => Tone::Good,
        "due" => Tone::Busy,
        "waits" => Tone::Waiting,
        "wrong" => Tone::Bad,
        _ => Tone::Neutral,
    };
    mark(tone, &word(&wave.state))
}

/// Says what a level holds.
fn what(level: &str) -> &str {
    match level.parse::<Level>() {
        Ok(Level::Date) => "the date",
        Ok(Level::Severity) => "date and severity",
        Ok(Level::Text) => "advisory, encrypted",
        Ok(Level::Patches) => "advisory and fixes, encrypted",
        Err(_) => level,
    }
}
