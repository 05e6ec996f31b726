//! The public record of a case: lines are chosen, read as they will be public, and published under the advisory.
//!
//! Guards: only after the disclosure, only what the project's configuration opens, and a reporter's own words only while that
//! reporter agrees: asked again in the write that publishes. What is published is, byte for byte, what was shown.

use super::amendment::tell;
use super::{Error, Result, open, shown_at};
use crate::app::{App, Unsealing};
use crate::domain::access::{Action, Grant, Holder, Role};
use crate::domain::actor::Actor;
use crate::domain::case::Case;
use crate::domain::digest::Digest;
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::plain::AdvisoryId;
use crate::domain::record::{Part, RecordAnswer, RecordLine, Voice, chosen};
use crate::domain::refusal::Refusal;
use crate::domain::report::{Audience, ReportBody};
use crate::domain::text::{Body, Label};
use crate::export;
use crate::store::record::{PublicRecord, RecordDraft};
use crate::store::{self, Rows, Tx};
use crate::wire::record::{ChooseRecord, RecordDraftView, RecordLineView, RecordQuestion, RecordView};

/// The place of the sealed draft.
const DRAFT: (&str, &str) = ("record_draft", "draft");
const NOT_PUBLIC: &str = "This case is not public yet: nothing of it is opened before.";
const CLOSED: &str = "The project's configuration opens nothing of a case: the operator names parts in `opens`.";
const PUBLISHED: &str = "The record of this case is public already, and stays as it is.";

/// Shows what may be opened of a case, and what was put together.
pub async fn show(app: &App, actor: &Actor, case: &CaseId) -> Result<RecordView> {
    let mut tx = app.begin("record.show").await?;
    let grant = open(&mut tx, actor, case, Action::ReadTeam).await?;
    let (_, opens) = opened(app, &mut tx, &grant).await?;
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let lines = lines(&mut tx, &grant, &unsealing, &opens).await?;
    let answers = store::record::answers(&mut tx, &grant).await?;
    let draft = draft(&mut tx, &grant, &unsealing).await?;
    let published = public_of(&mut tx, &grant).await?;
    app.commit(tx).await?;
    let view = |line: RecordLine| RecordLineView {
        chosen: draft.as_ref().is_some_and(|draft| draft.keys.contains(&line.key)),
        barred: line.may_open(&answers).err().map(|refusal| refusal.to_string()),
        voice: match line.voice {
            Voice::Events => "recorded",
            Voice::Team => "team",
            Voice::Reporter(_) => "reporter",
        }
        .to_owned(),
        key: line.key,
        part: line.part,
        at: shown_at(line.at),
        text: line.text,
    };
    Ok(RecordView {
        case: case.to_string(),
        lines: lines.into_iter().map(view).collect(),
        published: published.as_ref().map(|(id, _)| app.url(&format!("/advisories/{id}/record"))),
        may_publish: grant.also(Action::ApproveAdvisory) && published.is_none(),
        draft: draft.map(|draft| RecordDraftView {
            digest: draft.digest(),
            html: draft.html,
            markdown: draft.markdown,
        }),
        opens,
    })
}

/// Puts a record together from these lines, sealed until it is published.
pub async fn choose(app: &App, actor: &Actor, case: &CaseId, wish: &ChooseRecord) -> Result<()> {
    let mut tx = app.begin("record.choose").await?;
    let grant = open(&mut tx, actor, case, Action::ApproveAdvisory).await?;
    let (found, opens) = opened(app, &mut tx, &grant).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    if public_of(&mut tx, &grant).await?.is_some() {
        return Err(Refusal::moment(PUBLISHED).into());
    }
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let lines = lines(&mut tx, &grant, &unsealing, &opens).await?;
    let answers = store::record::answers(&mut tx, &grant).await?;
    let lines = chosen(lines, &wish.lines, &answers)?;
    let id = advisory(&mut tx, &grant).await?;
    let project: Label = store::project::find(&mut tx, &found.project).await?.ok_or(Error::NotFound)?.name.parse()?;
    let mut reports: Vec<_> = lines
        .iter()
        .filter_map(|line| match line.voice {
            Voice::Reporter(report) => Some(report),
            Voice::Events | Voice::Team => None,
        })
        .collect();
    reports.sort_unstable();
    reports.dedup();
    let draft = RecordDraft {
        keys: lines.iter().map(|line| line.key.clone()).collect(),
        reports,
        html: export::record::page(&id, &project, &lines).into_string(),
        markdown: export::record::markdown(&id, &project, &lines),
    };
    let sealed = unsealing.seal(DRAFT, &case.to_string(), &draft)?;
    store::record::choose(&mut tx, &grant, &sealed, person).await?;
    Ok(app.commit(tx).await?)
}

/// Publishes what was put together, by the hash of what was read.
pub async fn publish(app: &App, actor: &Actor, case: &CaseId, read: &Digest) -> Result<()> {
    let mut tx = app.begin("record.publish").await?;
    let grant = open(&mut tx, actor, case, Action::ApproveAdvisory).await?;
    let (_, opens) = opened(app, &mut tx, &grant).await?;
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let draft = draft(&mut tx, &grant, &unsealing).await?;
    let draft = draft.ok_or_else(|| Refusal::moment("Choose first which lines are opened."))?;
    if draft.digest() != *read {
        return Err(Refusal::moment("Other lines were chosen since you read it: read it again.").into());
    }
    let answers = store::record::answers(&mut tx, &grant).await?;
    let agreed = |report| answers.get(report).is_some_and(|said| said.answer == RecordAnswer::Agreed);
    if !draft.reports.iter().all(agreed) {
        let why = "A reporter took their agreement back: choose the lines anew, without their words.";
        return Err(Refusal::moment(why).into());
    }
    // What the configuration opened when the lines were chosen, it may have closed since.
    let lines = lines(&mut tx, &grant, &unsealing, &opens).await?;
    chosen(lines, &draft.keys, &answers)?;
    let id = advisory(&mut tx, &grant).await?;
    if store::record::published(&mut tx, &id).await?.is_some() {
        return Err(Refusal::moment(PUBLISHED).into());
    }
    store::record::publish(&mut tx, &grant, &id, &draft).await?;
    tell::people(app, &mut tx, &grant).await?;
    Ok(app.commit(tx).await?)
}

/// Mails the reporters that there is news: the question on their page.
pub async fn ask(app: &App, actor: &Actor, case: &CaseId) -> Result<()> {
    let mut tx = app.begin("record.ask").await?;
    let grant = open(&mut tx, actor, case, Action::ApproveAdvisory).await?;
    let (_, opens) = opened(app, &mut tx, &grant).await?;
    if !opens.iter().any(|part| in_words_of_reporters(*part)) {
        return Err(Refusal::moment("The project opens nothing that a reporter wrote: there is nothing to ask.").into());
    }
    super::case::notify_reporters(app, &mut tx, &grant).await?;
    Ok(app.commit(tx).await?)
}

/// Takes a reporter's word about their own words. It can be changed until the record is public.
pub async fn answer(app: &App, actor: &Actor, case: &CaseId, answer: RecordAnswer) -> Result<()> {
    let mut tx = app.begin("record.answer").await?;
    let grant = open(&mut tx, actor, case, Action::Credit).await?;
    let Some(report) = grant.confined_to_report() else { return Err(Error::NotFound) };
    let (_, opens) = opened(app, &mut tx, &grant).await?;
    if public_of(&mut tx, &grant).await?.is_some() {
        return Err(Refusal::moment(
            "The record of this case is public: write to the team if something in it is yours.",
        )
        .into());
    }
    let parts: Vec<Part> = opens.into_iter().filter(|part| in_words_of_reporters(*part)).collect();
    store::record::answer(&mut tx, &grant, report, (answer, &parts)).await?;
    Ok(app.commit(tx).await?)
}

/// Says what a reporter is asked on their page; nothing while there is nothing to ask.
pub(super) async fn question(
    app: &App,
    rows: &mut impl Rows,
    grant: &Grant,
    case: &Case,
) -> Result<Option<RecordQuestion>> {
    let Some(report) = grant.confined_to_report() else { return Ok(None) };
    let parts: Vec<Part> = opens(app, &case.project).into_iter().filter(|part| in_words_of_reporters(*part)).collect();
    if case.published_at.is_none() || public_of(rows, grant).await?.is_some() {
        return Ok(None);
    }
    let answer = store::record::answers(rows, grant).await?.get(&report).map(|said| said.answer);
    // Whoever gave their word can take it back, whatever is opened by now.
    if parts.is_empty() && answer.is_none() {
        return Ok(None);
    }
    Ok(Some(RecordQuestion { parts, answer }))
}

/// Returns the public record of an advisory. For everybody.
pub async fn published(app: &App, id: &AdvisoryId) -> Result<PublicRecord> {
    let mut rows = app.read().await?;
    store::record::published(&mut rows, id).await?.ok_or(Error::NotFound)
}

/// Tells whether an advisory has a public record. For everybody.
pub async fn is_there(app: &App, id: &AdvisoryId) -> Result<bool> {
    let mut rows = app.read().await?;
    Ok(store::record::published(&mut rows, id).await?.is_some())
}

/// Checks that something of the case may be opened, and says what.
async fn opened(app: &App, tx: &mut Tx, grant: &Grant) -> Result<(Case, Vec<Part>)> {
    let found = store::case::get(tx, grant).await?;
    if found.published_at.is_none() {
        return Err(Refusal::moment(NOT_PUBLIC).into());
    }
    let opens = opens(app, &found.project);
    if opens.is_empty() {
        return Err(Refusal::moment(CLOSED).into());
    }
    Ok((found, opens))
}

/// Names the parts of a case that its project opens.
pub(super) fn opens(app: &App, project: &ProjectId) -> Vec<Part> {
    app.config.project(project).map(|settings| settings.opens.clone()).unwrap_or_default()
}

fn in_words_of_reporters(part: Part) -> bool {
    match part {
        Part::Timeline => false,
        Part::Reports | Part::Thread => true,
    }
}

async fn advisory(rows: &mut impl Rows, grant: &Grant) -> Result<AdvisoryId> {
    let placed = store::publication::placed(rows, grant).await?;
    placed.map(|(id, _)| id).ok_or_else(|| Refusal::moment(NOT_PUBLIC).into())
}

async fn public_of(rows: &mut impl Rows, grant: &Grant) -> Result<Option<(AdvisoryId, PublicRecord)>> {
    let Some((id, _)) = store::publication::placed(rows, grant).await? else { return Ok(None) };
    Ok(store::record::published(rows, &id).await?.map(|record| (id, record)))
}

async fn draft(tx: &mut Tx, grant: &Grant, unsealing: &Unsealing) -> Result<Option<RecordDraft>> {
    let sealed = store::record::draft(tx, grant).await?;
    Ok(sealed.map(|sealed| unsealing.open(DRAFT, &grant.case().to_string(), &sealed)).transpose()?)
}

/// Lists the lines that may be opened: never what was for the team alone, and of people only what team and reporters wrote.
async fn lines(tx: &mut Tx, grant: &Grant, unsealing: &Unsealing, opens: &[Part]) -> Result<Vec<RecordLine>> {
    let mut lines = Vec::new();
    if opens.contains(&Part::Timeline) {
        for step in super::retrospective::gather(tx, grant).await?.steps {
            lines.push(RecordLine {
                key: format!("timeline/{}", step.milestone),
                part: Part::Timeline,
                voice: Voice::Events,
                at: step.at,
                text: step.milestone.words().to_owned(),
            });
        }
    }
    if opens.contains(&Part::Reports) {
        for report in store::report::of_case(tx, grant).await? {
            let body: ReportBody = unsealing.open(("report", "body"), &report.id.to_string(), &report.body)?;
            lines.push(RecordLine {
                key: format!("report/{}", report.id),
                part: Part::Reports,
                voice: Voice::Reporter(report.id),
                at: report.received_at,
                text: format!("{}\n\n{}", body.title, body.text),
            });
        }
    }
    if opens.contains(&Part::Thread) {
        let seats = store::member::of_case(tx, grant).await?;
        let of_team =
            |person| seats.iter().any(|seat| seat.holder == Holder::Person(person) && seat.role >= Role::Triager);
        for message in store::report::thread(tx, grant).await? {
            let voice = match (&message.author, message.audience) {
                (_, Audience::Team) => continue,
                (Some((person, _)), Audience::Report(_) | Audience::All) if of_team(*person) => Voice::Team,
                (None, Audience::Report(report)) => Voice::Reporter(report),
                // A guest's, a former member's, or nobody's that could be asked.
                (Some(_), Audience::Report(_) | Audience::All) | (None, Audience::All) => continue,
            };
            let text: Body = unsealing.open(("message", "body"), &message.id.to_string(), &message.body)?;
            lines.push(RecordLine {
                key: format!("message/{}", message.id),
                part: Part::Thread,
                voice,
                at: message.written_at,
                text: text.to_string(),
            });
        }
    }
    Ok(lines)
}
