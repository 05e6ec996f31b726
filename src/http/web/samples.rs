//! Sample values of every page: what is looked at before a page is called done, and judged as a whole here.

use std::path::Path;

use crate::domain::advisory::Advisory;
use crate::domain::project::{Project, TeamKind};
use crate::domain::sealed::Secret;
use crate::http::web::page::Frame;
use crate::http::web::{account, advisory, case, check, home, project, release, report, reporter, told};
use crate::wire::advisory::{AdvisoryView, DocumentView};
use crate::wire::case::{AttachmentView, CaseSummary, CaseView};
use crate::wire::check::{LogLine, LogView, RunView};
use crate::wire::details::LaterView;
use crate::wire::project::ProjectView;
use crate::wire::release::{ReleaseSummary, ReleaseView};
use crate::wire::report::{IntakeView, ReceiptView, ReporterView};
use crate::wire::wave::{ToldView, WavesView};

const HEAD: &str = "4f0c2b7d9e1a3b5c7d9e1f2a3b4c5d6e7f809102";
const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const NOW: &str = "2030-04-24T09:30:00Z";
const TEXT: &str = "A parcel with a negative length field is accepted by Parcel::open.\n\nSteps:\n\t1. cargo run -- open poc.parcel\n\t2. the process reads 4 GiB and ends with signal 9\n\nExpected: an error. I believe a larger field reads memory of the parcel before it.";

fn summary(id: &str, title: &str, state: &str, date: Option<&str>, needs: &[&str]) -> CaseSummary {
    CaseSummary {
        id: id.into(),
        project: "octo".into(),
        title: title.into(),
        state: state.into(),
        role: "release_manager".into(),
        date: date.map(Into::into),
        opened_at: "2030-04-02T10:00:00Z".into(),
        published_at: (state == "published").then(|| "2030-03-01T12:00:00Z".into()),
        needs: needs.iter().map(|need| (*need).into()).collect(),
    }
}

fn cases() -> Vec<CaseSummary> {
    vec![
        summary(
            "OCTO-42",
            "Parcel::open reads past the end of the buffer",
            "accepted",
            Some("2030-05-01T12:00:00Z"),
            &["Approve fix/main at 4f0c2b7d9e", "Answer the date the reporter proposes"],
        ),
        summary(
            "OCTO-44",
            "Session cookie survives sign-out",
            "received",
            None,
            &["Answer the reporter within 5 days"],
        ),
        summary(
            "OCTO-43",
            "Escape in <code> is missing on the search page",
            "deferred",
            Some("2030-07-21T12:00:00Z"),
            &[],
        ),
        summary("OCTO-31", "Path traversal in unpack", "published", None, &[]),
    ]
}

fn from<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn attachment(by_server: bool) -> AttachmentView {
    from(
        serde_json::json!({ "id": "019685a0b1c27d3e8f90a1b2c3d4e5f6", "name": "proof.parcel.age", "size": 48213, "sha256": SHA, "passed_through_server": by_server, "stored_at": "2030-04-02T10:01:00Z" }),
    )
}

fn case_view() -> CaseView {
    let mut value = serde_json::to_value(&cases()[0]).unwrap();
    let allowed: Vec<_> = crate::domain::access::Action::ALL.iter().map(|action| action.as_str()).collect();
    value.as_object_mut().unwrap().extend(serde_json::json!({
        "verdict": null, "date_state": "revise", "date_proposed": ["2030-05-08T12:00:00Z", "reporter"], "acknowledged_at": "2030-04-03T08:00:00Z",
        "reports": [{ "id": "r", "title": "Parcel::open reads past the end of the buffer", "text": TEXT, "versions": "1.9 to 1.11.2", "severity": "high", "credit": "as Sample Reporter", "has_contact": true, "received_at": "2030-04-02T10:00:00Z" }],
        "thread": [
            { "audience": "report", "author": "Sample Maintainer", "text": "Thank you, we see it too. Does it need the `mmap` feature?", "written_at": "2030-04-03T08:00:00Z" },
            { "audience": "report", "author": "the reporter", "text": "No, it happens without.", "written_at": "2030-04-03T11:20:00Z" },
            { "audience": "team", "author": "Sample Fixer", "text": "1.9.x is affected as well, but nobody ships it any more. I would leave it out.", "written_at": "2030-04-05T09:12:00Z" }
        ],
        "members": [
            { "handle": "maintainer", "name": "Sample Maintainer", "role": "release_manager", "consent": "signatory" },
            { "handle": "fixer", "name": "Sample Fixer", "role": "fixer", "consent": "signatory" },
            { "handle": null, "name": "reporter", "role": "reporter", "consent": "signatory" },
            { "handle": "distro", "name": "Sample Distribution", "role": "guest", "consent": "invited" }
        ],
        "attachments": [attachment(false)],
        "fixes": [
            { "line": "main", "repository": "octo", "head": HEAD, "subject": "parcel: refuse a length that leaves the buffer", "pushed_by": "fixer", "approved_by": [], "approved": false, "may_approve": true, "checks": "running", "run": "019685a0b1c27d3e8f90a1b2c3d4e5f7", "waived_by": null, "may_waive": false },
            { "line": "1.11.x", "repository": "octo", "head": HEAD, "subject": "parcel: refuse a length that leaves the buffer (backport)", "pushed_by": "fixer", "approved_by": ["maintainer"], "approved": true, "checks": "unsupported", "run": "019685a0b1c27d3e8f90a1b2c3d4e5f8", "waived_by": null, "may_waive": true },
            { "line": "1.10.x", "repository": "octo", "head": null, "subject": null, "pushed_by": null, "approved_by": [], "approved": false, "checks": "none", "run": null, "waived_by": null, "may_waive": false }
        ],
        "remotes": [{ "name": "octo", "url": "https://security.example.org/OCTO-42/octo" }],
        "remote_pending": false, "allowed": allowed,
        "history": [
            { "at": "2030-04-20T15:03:00Z", "actor": "@fixer", "kind": "push.settled", "object": "fix 019685a0b1c27d3e8f90a1b2c3d4e5f9 at 4f0c2b7d9e1a" },
            { "at": "2030-04-02T10:00:00Z", "actor": "the reporter", "kind": "report.received", "object": "019685a0b1c27d3e8f90a1b2c3d4e5f0" }
        ]
    }).as_object().unwrap().clone());
    from(value)
}

fn run_view() -> RunView {
    from(serde_json::json!({
        "id": "019685a0b1c27d3e8f90a1b2c3d4e5f7", "case": "OCTO-42", "line": "main", "head": HEAD, "state": "running", "note": "", "queued_at": "2030-04-24T09:21:00Z", "ended_at": null, "may_cancel": true,
        "jobs": [
            { "id": "a", "name": "ci / test (stable)", "state": "running", "reason": null, "started_at": "2030-04-24T09:22:00Z", "ended_at": null },
            { "id": "b", "name": "ci / lint", "state": "success", "reason": null, "started_at": "2030-04-24T09:21:00Z", "ended_at": "2030-04-24T09:22:00Z" },
            { "id": "c", "name": "ci / test (macos)", "state": "unsupported", "reason": "This job asks for macos-14; this server runs Linux jobs only.", "started_at": null, "ended_at": null },
            { "id": "d", "name": "ci / fuzz", "state": "failure", "reason": "The step “Fuzz for a minute” ended with 1.", "started_at": "2030-04-24T09:21:00Z", "ended_at": "2030-04-24T09:22:00Z" }
        ]
    }))
}

fn log() -> LogView {
    let texts = [
        "Run cargo test --locked",
        "   Compiling octo v1.12.0-dev (/checkout)",
        "    Finished test profile in 14.02s",
        "running 214 tests",
        "test parcel::open_refuses_a_negative_length ... ok",
        "test parcel::a_very_long_name_of_a_test_that_goes_on_and_on_until_it_must_be_broken_somewhere_to_fit_the_page ... ok",
        "using token ***",
    ];
    let lines = (0..).zip(texts).map(|(n, text)| LogLine { n, text: text.into() }).collect();
    LogView { lines, next: 7, ended: false }
}

fn project_view() -> ProjectView {
    from(serde_json::json!({
        "id": "octo", "prefix": "OCTO", "name": "Octo", "team_kind": "several", "open_cases": 3, "may_mirror": true, "may_release": true, "takes_attachments": true, "mail_trouble": "Mail does not get out since 2030-04-24 08:00 UTC: the mail server cannot be used, see `[mail]`.",
        "repositories": [
            { "name": "octo", "url": "https://example.org/octo/octo.git", "state": "ok", "note": "", "checked_at": "2030-04-24T09:20:00Z", "progress": null, "lines": [{ "name": "main", "head": HEAD }, { "name": "1.11.x", "head": HEAD }] },
            { "name": "octo-docs", "url": "https://example.org/octo/docs.git", "state": "down", "note": "It did not answer for 40 minutes; what was fetched before is used.", "checked_at": "2030-04-24T08:40:00Z", "progress": "fetching: 1,204 of 9,310 objects", "lines": [{ "name": "main", "head": null }] }
        ],
        "team": [{ "handle": "maintainer", "name": "Sample Maintainer", "role": "release_manager" }, { "handle": "fixer", "name": "Sample Fixer", "role": "fixer" }]
    }))
}

fn release_view(state: &str) -> ReleaseView {
    let planned = state == "planned";
    let effects = [
        ("preflight", "octo", "done"),
        ("push_fixes", "octo", "done"),
        ("verify_public", "octo", "done"),
        ("publish_advisories", "OCTO-42", "done"),
        ("notify_public", "a member of OCTO-42", "failed"),
        ("open_case", "OCTO-42", "done"),
        ("publish_channels", "files: advisory of OCTO-42", "done"),
        ("publish_channels", "hook: advisory of OCTO-42", "failed"),
        ("publish_channels", "github: v1.12.0 of octo", "started"),
    ];
    let effects: Vec<_> = (0..).zip(effects).map(|(n, (phase, target, state))| serde_json::json!({ "position": n, "phase": phase, "target": target, "state": state, "attempts": if state == "failed" { 3 } else { 1 }, "note": match (phase, state) { ("publish_channels", "failed") => "The receiver refused the message with 400.", (_, "failed") => "The mail server refused the address.", _ => "" }, "started_at": "2030-05-01T12:00:01Z", "done_at": (state == "done").then_some("2030-05-01T12:00:02Z"), "after_push_ms": (state == "done" && n > 2).then_some(136), "may_give_up": phase == "publish_channels" && state == "failed" })).collect();
    from(serde_json::json!({
        "id": "OCTO-R3", "project": "octo", "state": state, "due_at": if planned { "2030-05-01T12:00:00Z" } else { "2030-04-24T09:29:59Z" }, "cases": ["OCTO-42", "OCTO-43"],
        "targets": [
            { "repository": "octo", "line": "main", "tag": "v1.12.0", "rehearsal": "clean", "trouble": null, "base": HEAD, "candidate": HEAD, "tag_object": HEAD, "rehearsed_at": "2030-04-24T09:00:00Z",
              "strategy": "merge", "tag_style": "annotated", "commits": [{ "id": HEAD, "author": "Security Release <security@example.org>", "message": "Merge the fix of OCTO-42 into main" }],
              "moves": [
                { "branch": "stable", "by": "tag", "from": HEAD, "to": HEAD, "commits": [{ "id": HEAD, "author": "Security Release <security@example.org>", "message": "Merge main into stable" }] },
                { "branch": "next", "by": "forward", "from": HEAD, "to": HEAD, "commits": [] }],
              "standing": { "maker": "person", "checks": "failed", "checks_by": "candidate", "run": "019685a0b1c27d3e8f90a1b2c3d4e5f7", "may_rerun": planned, "pushed_by": "@fixer", "approved_by": if planned { vec![] } else { vec!["@maintainer"] }, "may_approve": planned } },
            { "repository": "octo", "line": "1.11.x", "tag": "v1.11.3", "rehearsal": if planned { "trouble" } else { "clean" }, "trouble": planned.then_some("fix/1.11.x and another fix change src/parcel.rs."), "base": planned.then_some(HEAD), "candidate": null, "tag_object": null, "rehearsed_at": "2030-04-24T09:00:00Z" }
        ],
        "blockers": if planned { serde_json::json!([
            { "kind": "fix_approval", "sentence": "fix/main of OCTO-42 is not approved at 4f0c2b7d9e: look at it and approve it.", "owner": "reviewer", "link": "/cases/OCTO-42#fixes" },
            { "kind": "conflict", "sentence": "The fixes for 1.11.x do not merge: push a resolution to candidate/1.11.x.", "owner": "fixer", "link": "/releases/OCTO-R3" }]) } else { serde_json::json!([]) },
        "channels": ["files", "github", "hook"],
        "trials": [{ "repository": "octo", "outcome": "fine", "tried_at": "2030-04-30T12:00:00Z" }],
        "dress": { "outcome": if planned { "trouble" } else { "fine" }, "note": if planned { "Step 1 (push_fixes): The public repository refused the push." } else { "" }, "steps": 9, "milliseconds": 640, "tried_at": "2030-04-30T12:01:00Z" },
        "hooks": [
            { "name": "unfreeze", "at": "+15m", "undoes": null, "undone_by": null, "state": "ahead", "note": "", "when": "2030-05-01T12:15:00Z" },
            { "name": "freeze", "at": "-2h", "undoes": null, "undone_by": "unfreeze", "state": if planned { "ahead" } else { "pending" }, "note": if planned { "" } else { "The receiver answered 503." }, "when": "2030-05-01T10:00:00Z" },
            { "name": "unfreeze", "at": null, "undoes": "freeze", "undone_by": null, "state": "done", "note": "started on the forge", "when": "2030-04-20T10:02:00Z" }
        ],
        "details": { "after": "7d", "at": "2030-05-08T12:00:00Z", "advisories": if planned { serde_json::json!([]) } else { serde_json::json!([{ "case": "OCTO-42", "state": "held", "follows_at": "2030-05-08T12:00:00Z", "revision": null, "in_step": true, "attempts": 0, "note": "", "may_move": true }]) } },
        "tests": { "due": "14d", "lines": if planned {
            serde_json::json!([{ "repository": "octo", "line": "main", "cases": ["OCTO-42"], "state": "held_back", "due_at": "2030-05-15T12:00:00Z", "commit": null, "note": "" }])
        } else {
            serde_json::json!([
                { "repository": "octo", "line": "main", "cases": ["OCTO-42"], "state": "stuck", "due_at": "2030-05-15T12:00:00Z", "commit": null, "note": "They do not fit the line as it is now, in 2 files.", "commands": ["git clone -b main https://git.example.org/octo octo", "cd octo", "git fetch https://security.example.org/OCTO-42/octo tests/main", "git merge FETCH_HEAD", "git push origin HEAD:main", "embargo release tests OCTO-R1 --repository octo --line main --now"] },
                { "repository": "octo", "line": "1.11.x", "cases": ["OCTO-42"], "state": "waiting", "due_at": "2030-05-15T12:00:00Z", "commit": null, "note": "" }
            ])
        } },
        "awaits": ["The advisory waits for wheel 1.12.0, for 60 minutes at most."],
        "digest": (!planned).then_some(SHA), "armed_by": if planned { serde_json::json!([]) } else { serde_json::json!([{ "person": "Sample Maintainer", "at": "2030-04-23T16:00:00Z" }, { "person": "Sample Fixer", "at": "2030-04-23T17:00:00Z" }]) },
        "arms_needed": 2, "ready_in_seconds": 245, "hold": (state == "held").then(|| serde_json::json!({ "reason": "upstream_down", "note": "The public repository did not answer.", "advice": "Safe to retry: resume once the public repository answers.", "safe_to_retry": true, "commands": ["embargo release resume OCTO-R1"] })),
        "begun_at": null, "public_at": null, "done_at": null, "effects": if planned { Vec::new() } else { effects },
        "allowed": if planned { vec!["rehearse", "postpone", "abandon", "freeze", "hold-details", "tests"] } else { vec!["resume", "disarm", "tests"] }
    }))
}

fn reporter_view() -> ReporterView {
    from(serde_json::json!({
        "case": "OCTO-42", "project": "Octo", "title": "Parcel::open reads past the end of the buffer", "state": "Being fixed in private.", "next": "It will be public on the date shown, with the fix.",
        "date": "2030-05-01T12:00:00Z", "date_proposed_by_team": "2030-05-08T12:00:00Z", "date_proposed_by_you": null,
        "thread": [
            { "audience": "report", "author": "Sample Maintainer", "text": "Thank you, we see it too. Does it need the `mmap` feature?", "written_at": "2030-04-03T08:00:00Z" },
            { "audience": "report", "author": "the reporter", "text": "No, it happens without.", "written_at": "2030-04-03T11:20:00Z" }
        ],
        "attachments": [attachment(false), attachment(true)], "credit": "as Sample Reporter", "advisory": null, "receipts": true, "recipients": "age1sample\n"
    }))
}

fn advisory_view() -> AdvisoryView {
    AdvisoryView {
        id: None,
        published_at: None,
        advisory: Advisory::draft("Parcel::open reads past the end of the buffer".parse().unwrap()),
        version: None,
        edited_by: Some("Sample Fixer".into()),
        edited_at: Some("2030-04-20T15:03:00Z".into()),
        missing: vec!["Say how bad it is.".into()],
        digest: Some(SHA.parse().unwrap()),
        approved: false,
        approved_by: None,
        credits: Vec::new(),
        waiting_credits: 1,
        may_edit: true,
        may_approve: true,
        not_approvable: None,
        documents: Vec::new(),
        later: Some(later_view()),
        public: None,
    }
}

fn later_view() -> LaterView {
    let file = |path: &str, media_type: &str, text: &str| serde_json::json!({ "path": path, "media_type": media_type, "text": text });
    from(serde_json::json!({ "at": "2030-05-08T12:00:00Z", "documents": [
        file("advisories/OCTO-2030-0001.html", "text/html; charset=utf-8", "<article class=\"advisory\"><h1>Parcel::open reads past the end of the buffer</h1></article>"),
        file("advisories/OCTO-2030-0001.md", "text/markdown; charset=utf-8", "# Parcel::open reads past the end of the buffer\n"),
        file("osv/x_OCTO-2030-0001.json", "application/json", "{}\n")] }))
}

fn waves_view() -> WavesView {
    let wave = |audience: &str, level: &str, state: &str, note: &str| serde_json::json!({ "audience": audience, "level": level, "before": "7d", "at": "2030-04-24T12:00:00Z", "state": state, "note": note, "told": 2, "acknowledged": 1, "failed": 0 });
    let recipient = |name: &str, state: &str| {
        serde_json::json!({ "id": "019685a0b1c27d3e8f90a1b2c3d4e5f9", "audience": "distros", "level": "patches", "name": name, "state": state, "told_at": "2030-04-24T12:00:00Z",
            "opened_at": null, "acknowledged_at": (state == "acknowledged").then_some("2030-04-24T13:00:00Z"), "reminded_at": null, "ended_at": null,
            "answers": if state == "acknowledged" { serde_json::json!([{ "advisory": "OCTO-2030-0001", "answer": "not_affected", "remark": "We build without <mmap>.", "answered_at": "2030-04-24T13:00:00Z" }]) } else { serde_json::json!([]) } })
    };
    from(serde_json::json!({
        "release": "OCTO-R3", "due_at": "2030-05-01T12:00:00Z", "may_change": true,
        "audiences": [
            { "name": "distros", "criteria": "Distributions that ship Octo.", "level": "patches", "longest": "7d", "members": 2 },
            { "name": "public", "criteria": "Everybody.", "level": "severity", "longest": "14d", "members": 0 }
        ],
        "waves": [wave("distros", "patches", "sent", ""), wave("public", "date", "waits", "Its time has come: it goes out once the release is frozen.")],
        "recipients": [recipient("Sample Distribution", "acknowledged"), recipient("Sample Vendor", "failed")]
    }))
}

fn told_view() -> ToldView {
    from(serde_json::json!({
        "project": "Octo", "name": "Sample Distribution", "level": "patches", "due_at": "2030-05-01T12:00:00Z",
        "lines": [{ "repository": "octo", "line": "main", "tag": "v1.12.0" }, { "repository": "octo", "line": "1.11.x", "tag": "v1.11.3" }],
        "severity": "high", "acknowledged_at": null, "key": "SHA256:4f0c2b7d9e1a3b5c7d9e1f2a3b4c5d6e7f809102abc",
        "questions": [{ "advisory": "OCTO-2030-0001", "answer": null, "remark": null }, { "advisory": "OCTO-2030-0002", "answer": "affected", "remark": "1.11.x only." }]
    }))
}

fn pages() -> Vec<(&'static str, String)> {
    let now = NOW.parse().unwrap();
    let (member, visit, stranger) =
        (Frame::member("sample-token", now), Frame::reporter("sample-token", now), Frame::stranger());
    let project = |id: &str, name: &str| Project {
        id: id.parse().unwrap(),
        prefix: "OCTO".parse().unwrap(),
        name: name.into(),
        team: TeamKind::Several,
    };
    let intake = |refused: Option<&str>| IntakeView {
        project: "octo".into(),
        name: "Octo".into(),
        recipients: "# the team\nage1sample0000000000000000000000000000000000000000000000000000\n".into(),
        attachment_bytes: 50 << 20,
        refused: refused.map(Into::into),
    };
    let receipt = ReceiptView {
        case: "OCTO-45".into(),
        claim_code: "7K2QX-9PZ4M-H3V8T-WB5NC-J6R0D-YF1GE".into(),
        page: "https://security.example.org/r/".into(),
        feed: "https://security.example.org/r/feed/sample".into(),
        visit: "sample".into(),
    };
    let lost =
        [("poc.age".to_owned(), "This is not an age file: send it without the ending .age, or encrypt it.".to_owned())];
    let base = "https://security.example.org".parse().unwrap();
    let part = check::page::LogPart::new("a", 0, log());
    let (view, cases) = (project_view(), cases());
    let drafts = [
        ("text/html", "<article><h1>Parcel::open reads past the end</h1><p>Sample.</p></article>"),
        ("text/markdown", "# Parcel::open"),
    ]
    .map(|(media_type, text)| DocumentView {
        path: "advisories/draft".into(),
        media_type: media_type.into(),
        text: text.into(),
    });
    let trains: Vec<ReleaseSummary> = vec![release_view("planned").summary];
    [
        (
            "home",
            home::home_page(&cases, &trains, &[project("octo", "Octo"), project("nautilus", "Nautilus")], &member),
        ),
        ("home-empty", home::home_page(&[], &[], &[], &member)),
        (
            "project",
            project::page::project_page(&view, release::page::releases(&view, &trains, &cases, &member), &member),
        ),
        ("case", case::page::case_page(&case_view(), &member)),
        ("invitation", case::page::invitation_page("OCTO-42", &member)),
        ("advisory", advisory::page::advisory_page("OCTO-42", &advisory_view(), &drafts, &member)),
        ("check", check::page::check_page(&run_view(), Some(&part), &member)),
        ("release-planned", release::page::release_page(&release_view("planned"), &member)),
        ("release-held", release::page::release_page(&release_view("held"), &member)),
        ("waves", release::wave::waves_page(&waves_view(), &member)),
        ("told-link", told::page::link_page()),
        ("told", told::page::told_page(&told_view(), &Secret::new("embw_sample".into()))),
        ("told-public", told::page::public_page(&["OCTO-2030-0001".parse().unwrap()])),
        ("told-nothing", told::page::nothing_page()),
        ("report", report::page::report_page(&intake(None), &stranger)),
        (
            "report-refused",
            report::page::report_page(&intake(Some("This project cannot take reports yet.")), &stranger),
        ),
        ("receipt", report::page::receipt_page(&receipt, &lost, &stranger)),
        (
            "claim",
            reporter::page::claim_page(
                Some("This claim code is not known here: check it for typing errors."),
                &stranger,
            ),
        ),
        ("reporter", reporter::page::reporter_page(&reporter_view(), &visit)),
        ("sign-in", account::sign_in_page(&base, None)),
        ("sign-in-again", account::again_page(&base, crate::http::place::Place::of("/releases/OCTO-R3").as_ref())),
    ]
    .map(|(name, page)| (name, page.into_string()))
    .to_vec()
}

#[test]
fn every_page_holds_to_the_content_policy_and_can_be_used_without_script_and_eyes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, page) in pages() {
        std::fs::write(folder.join(format!("{name}.html")), &page).unwrap();
        assert!(!page.contains(" style="), "{name}: a style attribute");
        assert!(!page.contains(" onclick") && !page.contains("javascript:"), "{name}: script in the page");
        assert_eq!(page.matches("<script").count(), page.matches("<script src=\"/").count(), "{name}: inline script");
        assert_eq!(page.matches("<h1").count(), 1, "{name}: one main heading");
        for id in page.split(" for=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{name}: label for {id}");
        }
        for form in page.split("<form").skip(1).filter(|form| form.contains("method=\"post\"")) {
            let action = form.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            let open = ["/sign-in", "/r/", "/report/octo"].contains(&action) || action.starts_with("/w/");
            let token = form.split("</form>").next().unwrap().contains("name=\"form_token\"");
            assert_eq!(token, !open, "{name}: the form to {action}");
        }
    }
}
