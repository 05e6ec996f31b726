//! What members see of an advisory that is public: what is asked to be changed, what would differ, and who has been told.

use maud::{Markup, html};

use crate::domain::amendment::{AmendmentAct, RetellingState};
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, foreign, mark, moment, sentence};
use crate::wire::advisory::AdvisoryView;
use crate::wire::amendment::{AmendmentView, PublicView, RetellingView};

/// Renders what can be done with a public advisory.
pub(super) fn part(case: &str, view: &AdvisoryView, public: &PublicView, frame: &Frame<'_>) -> Markup {
    html! {
        section #public {
            h2 { "What is public" }
            p {
                "Revision " (public.revision) ". "
                @if let Some(id) = &view.id { a href={ "/advisories/" (id) "/history" } { "What was changed, and why" } "." }
            }
            @if public.differs && public.amendment.is_none() {
                div.notice.waiting { p { "The draft says something else than the public reads. Nothing changes there until you ask for it below and another person approves it." } }
            }
            @if let Some(held) = &public.details { (super::details::held(case, held, frame)) }
            @for offer in &public.offers {
                div.notice { p { "Another advisory follows up on this one. A sentence for a correction: " strong { (foreign(offer)) } } }
            }
            @if let Some(asked) = &public.amendment { (amendment(case, asked, view, frame)) }
            @if !public.acts.is_empty() { (wish(case, public, frame)) }
            (told(case, &public.retellings, view.may_edit, frame))
        }
    }
}

/// What an act is called on its button.
fn label(act: AmendmentAct) -> &'static str {
    match act {
        AmendmentAct::Correct => "Correct",
        AmendmentAct::Withdraw => "Withdraw",
        AmendmentAct::Reinstate => "Reinstate",
    }
}

/// What an act does, in the words of its radio button.
fn meaning(act: AmendmentAct) -> &'static str {
    match act {
        AmendmentAct::Correct => "Correct it: the draft takes the place of what is public",
        AmendmentAct::Withdraw => "Withdraw it: it says that it does not hold",
        AmendmentAct::Reinstate => "Reinstate it: it holds after all, as the draft has it",
    }
}

fn amendment(case: &str, asked: &AmendmentView, view: &AdvisoryView, frame: &Frame<'_>) -> Markup {
    html! {
        div.card {
            h3 { (label(asked.act)) " " (mark(Tone::Waiting, "waits for an approval")) }
            p { strong { (foreign(&asked.why)) } }
            p.soft { "Asked for by " (foreign(&asked.asked_by)) ", " (moment(&asked.asked_at)) ". Approved, it is public at once." }
            @for file in &asked.difference {
                details open { summary { "What changes in " code { (file.path) } } pre.document tabindex="0" dir="auto" { (file.text) } }
            }
            @match (&view.digest, view.may_approve) {
                (Some(digest), true) => {
                    p.small.soft { "The change has the SHA-256 " code.hash { (digest) } }
                    form method="post" action={ "/cases/" (case) "/advisory/approve" } {
                        (frame.token())
                        input type="hidden" name="digest" value=(digest);
                        button.primary { "Approve, and make it public now" }
                    }
                }
                (_, _) => @if let Some(barred) = &view.not_approvable { p { (sentence(barred)) } },
            }
            @if view.may_edit { (frame.button(&format!("/cases/{case}/advisory/drop"), "", "Take it back")) }
        }
    }
}

fn wish(case: &str, public: &PublicView, frame: &Frame<'_>) -> Markup {
    html! {
        details.card open[public.differs] {
            summary { "Change what is public" }
            form method="post" action={ "/cases/" (case) "/advisory/amend" } {
                (frame.token())
                fieldset {
                    legend { "What is to be done" }
                    @for (number, act) in public.acts.iter().enumerate() {
                        label.choice { input type="radio" name="act" value=(act) required checked[number == 0]; " " (meaning(*act)) }
                    }
                }
                label for="why" { "Why, in one sentence that the public reads" }
                input #why name="why" required maxlength="500" dir="auto" value=[public.offers.first()];
                p.hint { "Another person approves it. Earlier revisions stay readable." }
                button { "Ask for it" }
            }
        }
    }
}

fn told(case: &str, retellings: &[RetellingView], may: bool, frame: &Frame<'_>) -> Markup {
    let tone = |state| match state {
        RetellingState::Waiting => (Tone::Busy, "waiting"),
        RetellingState::Done => (Tone::Good, "told"),
        RetellingState::Overtaken => (Tone::Neutral, "overtaken"),
        RetellingState::Failed => (Tone::Bad, "failed"),
    };
    html! {
        @if !retellings.is_empty() {
            h3 { "Channels" }
            table.stack {
                thead { tr { th scope="col" { "Channel" } th scope="col" { "Revision" } th scope="col" { "State" } th scope="col" { "What happened" } } }
                tbody { @for row in retellings {
                    tr {
                        th scope="row" { (row.channel) }
                        td data-label="Revision" { (row.revision) }
                        td data-label="State" { @let (tone, words) = tone(row.state); (mark(tone, words)) }
                        td data-label="What happened" {
                            (sentence(&row.note))
                            @if may && row.state == RetellingState::Failed {
                                form.inline method="post" action={ "/cases/" (case) "/advisory/retell" } {
                                    (frame.token())
                                    input type="hidden" name="channel" value=(row.channel);
                                    button { "Tell again" }
                                }
                            }
                        }
                    }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::advisory::Advisory;
    use crate::wire::amendment::DiffView;

    #[test]
    fn a_change_shows_who_asked_what_differs_and_only_an_approver_its_button() {
        let asked = AmendmentView {
            act: AmendmentAct::Withdraw,
            why: "Not a <flaw>.".to_owned(),
            asked_by: "@alice".to_owned(),
            asked_at: "2026-03-02T12:00:00Z".to_owned(),
            difference: vec![DiffView {
                path: "advisories/DEMO-2026-0001.md".to_owned(),
                text: "-<a>\n+b\n".to_owned(),
            }],
        };
        let retelling = RetellingView {
            revision: 2,
            channel: "hook".to_owned(),
            state: RetellingState::Failed,
            note: "The receiver answered 410: it wants no more messages.".to_owned(),
        };
        let public = PublicView {
            revision: 2,
            withdrawn: false,
            amendment: Some(asked),
            differs: true,
            acts: vec![AmendmentAct::Correct, AmendmentAct::Withdraw],
            retellings: vec![retelling],
            offers: vec!["See DEMO-2026-0002.".to_owned()],
            details: None,
        };
        let view = |may_approve| AdvisoryView {
            id: Some("DEMO-2026-0001".to_owned()),
            published_at: Some("2026-03-01T12:00:00Z".to_owned()),
            advisory: Advisory::draft("Sample flaw".parse().unwrap()),
            version: Some(3),
            edited_by: None,
            edited_at: None,
            missing: Vec::new(),
            digest: Some(crate::domain::digest::Digest::of(b"x")),
            approved: false,
            approved_by: None,
            credits: Vec::new(),
            waiting_credits: 0,
            may_edit: true,
            may_approve,
            not_approvable: (!may_approve).then(|| "You asked for this change.".to_owned()),
            documents: Vec::new(),
            later: None,
            public: None,
        };
        let frame = Frame::stranger();
        let text = part("DEMO-1", &view(true), &public, &frame).into_string();
        for wanted in [
            "Not a &lt;flaw&gt;.",
            "-&lt;a&gt;",
            "Approve, and make it public now",
            "Tell again",
            "See DEMO-2026-0002.",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in {text}");
        }
        let barred = part("DEMO-1", &view(false), &public, &frame).into_string();
        assert!(!barred.contains("make it public now") && barred.contains("You asked for this change."), "{barred}");
    }
}
