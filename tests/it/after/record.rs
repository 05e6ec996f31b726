//! The public record of a case: chosen line by line, sealed until it is published, and never a reporter's words against their will.

use embargo::domain::access::Action;
use embargo::domain::actor::{Actor, Chore};
use embargo::domain::digest::Digest;
use embargo::domain::record::RecordAnswer;
use embargo::domain::report::Audience;
use embargo::store;
use embargo::wire::record::{ChooseRecord, RecordView};
use embargo::workflow::{self, Error, case, record, report};

use super::Out;
use crate::disclosure::files;
use crate::support::server::signed_in;

const ATTACK: &str = "<script>alert(1)</script> [x](javascript:alert(1))";
const NOTE: &str = "canary-of-the-team";
const ANSWER: &str = "canary-of-the-answer";

async fn reporter(out: &Out) -> Actor {
    let mut rows = out.app.read().await.unwrap();
    let chore = Actor::System(Chore::Disclose);
    let grant = workflow::open(&mut rows, &chore, out.case(), Action::Maintain).await.unwrap();
    Actor::Reporter(store::report::of_case(&mut rows, &grant).await.unwrap()[0].id)
}

/// Discloses a case in which everybody wrote something.
async fn talked() -> (Out, Actor) {
    let out = Out::there("opens = [\"timeline\", \"reports\", \"thread\"]").await;
    let (app, reporter) = (&out.app, reporter(&out).await);
    let Actor::Reporter(id) = &reporter else { panic!("a reporter") };
    report::reply(app, &reporter, out.case(), ATTACK.parse().unwrap()).await.unwrap();
    for (to, text) in [(Audience::Report(*id), ANSWER), (Audience::Team, NOTE)] {
        case::write(app, out.alice(), out.case(), to, text.parse().unwrap()).await.unwrap();
    }
    (out, reporter)
}

async fn show(out: &Out) -> RecordView {
    record::show(&out.app, out.bob(), out.case()).await.unwrap()
}

async fn choose(out: &Out, lines: &[String]) -> workflow::Result<()> {
    record::choose(&out.app, out.bob(), out.case(), &ChooseRecord { lines: lines.to_vec() }).await
}

fn keys(view: &RecordView, of: impl Fn(&str) -> bool) -> Vec<String> {
    view.lines.iter().filter(|line| of(&line.voice)).map(|line| line.key.clone()).collect()
}

#[tokio::test]
async fn a_record_is_published_as_it_was_shown_and_stays_sealed_until_then() {
    let (out, _) = Box::pin(talked()).await;
    let app = &out.app;
    let view = show(&out).await;
    assert!(view.lines.iter().all(|line| line.text != NOTE), "what was for the team alone is no line: {view:?}");
    assert!(view.lines.iter().filter(|line| line.voice == "reporter").all(|line| line.barred.is_some()));
    assert!(choose(&out, &keys(&view, |_| true)).await.is_err(), "nobody asked the reporter");
    assert!(choose(&out, &["message/nothing".to_owned()]).await.is_err());
    choose(&out, &keys(&view, |voice| voice != "reporter")).await.unwrap();
    let draft = show(&out).await.draft.unwrap();
    assert!(draft.html.contains(ANSWER) && draft.html.contains("Advisory public") && !draft.html.contains("script"));
    let id = "DEMO-2027-0001".parse().unwrap();
    assert!(matches!(record::published(app, &id).await, Err(Error::NotFound)), "it is not public yet");
    for file in files(&out.house.root().join("data")) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(ANSWER.len()).any(|part| part == ANSWER.as_bytes()), "{} holds it", file.display());
    }
    let other = record::publish(app, out.bob(), out.case(), &Digest::of(b"other")).await;
    assert!(matches!(other, Err(Error::Refused(_))));
    record::publish(app, out.bob(), out.case(), &draft.digest).await.unwrap();
    let public = record::published(app, &id).await.unwrap();
    assert_eq!((public.html, public.markdown, public.digest), (draft.html, draft.markdown, draft.digest));
    assert!(record::is_there(app, &id).await.unwrap());
    assert!(choose(&out, &keys(&view, |voice| voice == "recorded")).await.is_err(), "it stays as it is");
    out.intact().await;
}

#[tokio::test]
async fn a_reporters_own_words_are_public_only_while_they_agree() {
    let (out, reporter) = Box::pin(talked()).await;
    let (app, case) = (&out.app, out.case());
    let asked = report::show(app, &reporter, case).await.unwrap().record.unwrap();
    assert_eq!((asked.parts.len(), asked.answer), (2, None));
    record::answer(app, &reporter, case, RecordAnswer::Agreed).await.unwrap();
    let view = show(&out).await;
    choose(&out, &keys(&view, |_| true)).await.unwrap();
    let draft = show(&out).await.draft.unwrap();
    assert!(draft.html.contains("&lt;script&gt;") && !draft.html.contains("<script>"), "{}", draft.html);
    // They think better of it after it was put together.
    record::answer(app, &reporter, case, RecordAnswer::Declined).await.unwrap();
    let late = record::publish(app, out.bob(), case, &draft.digest).await;
    assert!(
        matches!(&late, Err(Error::Refused(why)) if why.to_string().contains("took their agreement back")),
        "{late:?}"
    );
    record::answer(app, &reporter, case, RecordAnswer::Agreed).await.unwrap();
    record::publish(app, out.bob(), case, &draft.digest).await.unwrap();
    assert!(report::show(app, &reporter, case).await.unwrap().record.is_none(), "there is nothing left to ask");
    assert!(record::answer(app, &reporter, case, RecordAnswer::Declined).await.is_err());
    // Who may not open it sees nothing, and nobody answers for a reporter.
    assert!(matches!(record::answer(app, out.alice(), case, RecordAnswer::Agreed).await, Err(Error::NotFound)));
    let stranger = signed_in(app.mint());
    assert!(matches!(record::show(app, &stranger, case).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_project_that_opens_nothing_opens_nothing_and_asks_nobody() {
    let out = Out::there("").await;
    let reporter = reporter(&out).await;
    let closed = record::show(&out.app, out.alice(), out.case()).await;
    assert!(matches!(&closed, Err(Error::Refused(why)) if why.to_string().contains("opens nothing")), "{closed:?}");
    assert!(record::answer(&out.app, &reporter, out.case(), RecordAnswer::Agreed).await.is_err());
    assert!(report::show(&out.app, &reporter, out.case()).await.unwrap().record.is_none());
}
