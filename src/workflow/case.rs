//! The desk: what members see of a case and do with it.

use jiff::Timestamp;

use super::{Error, Result, open, shown_at};
use crate::app::{App, Unsealing};
use crate::domain::access::{Action, Consent, Grant, Holder, Role};
use crate::domain::actor::{Actor, Via};
use crate::domain::case::{Case, CaseState, Verdict};
use crate::domain::change::Change;
use crate::domain::embargo::Side;
use crate::domain::event::Event;
use crate::domain::id::{CaseId, MessageId};
use crate::domain::job::Job;
use crate::domain::refusal::Refusal;
use crate::domain::report::{Audience, ReportBody};
use crate::domain::text::{Body, Handle};
use crate::store::member::NewSeat;
use crate::store::report::Message;
use crate::store::{self, Tx};
use crate::wire::case::{
    AttachmentView, CaseRelease, CaseSummary, CaseView, EventView, MemberView, MessageView, RemoteView, ReportView,
};

/// Something the desk does with a case.
#[derive(Debug, Clone)]
pub enum Act {
    /// Tell the reporter that somebody is looking.
    Acknowledge,
    /// It is a vulnerability.
    Validate,
    /// It is not.
    Invalidate,
    /// It will be fixed here: makes the private remote.
    Accept,
    /// Later.
    Defer,
    /// Over.
    Close(Verdict),
}

/// Something done about the date.
#[derive(Debug, Clone)]
pub enum DateAct {
    /// Propose an end.
    Propose(Timestamp),
    /// Agree to the other side's proposal.
    Accept,
    /// Say no to the proposal.
    Reject,
    /// End the embargo now: permits disclosure, does not perform it.
    Terminate,
}

/// Lists the cases a person has a seat in.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<CaseSummary>> {
    let person = actor.person().ok_or(Error::Unauthenticated)?;
    let mut tx = app.begin("case.list").await?;
    let mut summaries = Vec::new();
    for listed in store::case::of_person(&mut tx, person).await? {
        // Joined on membership already; the grant is what opens the title.
        match open(&mut tx, actor, &listed.case.id, Action::ReadCase).await {
            Ok(grant) => summaries.push(summary(app, &mut tx, &grant, &listed.case).await?.0),
            // A token confined to another case or project sees a shorter list.
            Err(Error::NotFound | Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    app.commit(tx).await?;
    Ok(summaries)
}

/// Shows a case in full, as far as the asker may see it.
pub async fn show(app: &App, actor: &Actor, case: &CaseId) -> Result<CaseView> {
    let mut tx = app.begin("case.show").await?;
    let grant = open(&mut tx, actor, case, Action::ReadCase).await?;
    if grant.confined_to_report().is_some() {
        // Reporters have a page of their own: here stand the members' names.
        return Err(Error::NotFound);
    }
    let found = store::case::get(&mut tx, &grant).await?;
    let (summary, unsealing) = summary(app, &mut tx, &grant, &found).await?;
    let mut reports = Vec::new();
    for report in store::report::of_case(&mut tx, &grant).await? {
        let body: ReportBody = unsealing.open(("report", "body"), &report.id.to_string(), &report.body)?;
        reports.push(ReportView {
            id: report.id.to_string(),
            title: body.title.to_string(),
            text: body.text.to_string(),
            versions: body.versions.map(|versions| versions.to_string()),
            severity: body.severity.to_string(),
            credit: super::report::credit_words(&body.credit),
            has_contact: report.has_contact,
            received_at: shown_at(report.received_at),
        });
    }
    let thread = thread(&mut tx, &grant, &unsealing).await?;
    let attachments = attachments(&mut tx, &grant, &unsealing).await?;
    let members = store::member::of_case(&mut tx, &grant).await?.into_iter().map(member_view).collect();
    let mut fixes = if grant.also(Action::ReadTeam) || grant.also(Action::Fetch) {
        super::fix::views(app, &mut tx, &grant, &found).await?
    } else {
        Vec::new()
    };
    let releases = if grant.also(Action::ReadTeam) {
        let listed = store::release::of_case(&mut tx, &grant).await?.into_iter();
        let view = |release: store::release::Listed| CaseRelease {
            id: release.id.to_string(),
            state: release.state.to_string(),
            due_at: shown_at(release.due_at),
        };
        listed.map(view).collect()
    } else {
        Vec::new()
    };
    let links = super::follow_up::links(&mut tx, actor, &grant).await?;
    let ready = store::case::remote_at(&mut tx, &grant).await?.is_some();
    let remotes = if ready && grant.also(Action::Fetch) {
        store::project::upstreams(&mut tx, &found.project)
            .await?
            .into_iter()
            .map(|upstream| RemoteView {
                name: upstream.name.to_string(),
                url: app.url(&format!("/{case}/{}", upstream.name)),
            })
            .collect()
    } else {
        Vec::new()
    };
    let history = if grant.also(Action::ReadHistory) { history(&mut tx, &grant).await? } else { Vec::new() };
    let allowed = Action::ALL.iter().filter(|action| grant.also(**action)).map(ToString::to_string).collect();
    let upstreams = store::project::upstreams(&mut tx, &found.project).await?;
    app.commit(tx).await?;
    super::fix::name_heads(app, case, &upstreams, &mut fixes).await;
    Ok(CaseView {
        summary,
        verdict: found.verdict.map(|verdict| verdict.to_string()),
        date_state: found.embargo.state().to_string(),
        date_proposed: found.embargo.proposed().map(|(at, by)| (shown_at(at), by.to_string())),
        acknowledged_at: found.acknowledged_at.map(shown_at),
        reports,
        thread,
        members,
        attachments,
        fixes,
        releases,
        opens: if found.published_at.is_some() { super::record::opens(app, &found.project) } else { Vec::new() },
        links,
        remotes,
        remote_pending: found.state == CaseState::Accepted && !ready,
        allowed,
        history,
    })
}

/// Does something with the case's state, and tells the reporter that there is news.
pub async fn act(app: &App, actor: &Actor, case: &CaseId, act: Act) -> Result<()> {
    let mut tx = app.begin("case.act").await?;
    let action = match act {
        Act::Accept => Action::Accept,
        Act::Acknowledge | Act::Validate | Act::Invalidate | Act::Defer | Act::Close(_) => Action::Triage,
    };
    let grant = open(&mut tx, actor, case, action).await?;
    let found = store::case::get(&mut tx, &grant).await?;
    let now = tx.now();
    let first_answer = found.acknowledged_at.is_none();
    let makes_remote = matches!(act, Act::Accept);
    let change = match act {
        Act::Acknowledge => found.acknowledge(now),
        Act::Validate => found.validate(now),
        Act::Invalidate => found.invalidate(now),
        Act::Accept => found.accept(now),
        Act::Defer => found.defer(now),
        Act::Close(verdict) => found.close(verdict, now),
    }?;
    let saved = store::case::save(&mut tx, &grant, change).await?;
    if first_answer && saved.acknowledged_at.is_none() {
        // Deciding anything about a case answers its reporter.
        let change = saved.acknowledge(now)?;
        store::case::save(&mut tx, &grant, change).await?;
    }
    if makes_remote {
        store::job::queue(&mut tx, &Job::Remote { case: case.clone() }, now).await?;
    }
    notify_reporters(app, &mut tx, &grant).await?;
    Ok(app.commit(tx).await?)
}

/// Does something about the date. Who acts decides which side it is.
pub async fn date(app: &App, actor: &Actor, case: &CaseId, act: DateAct) -> Result<()> {
    let mut tx = app.begin("case.date").await?;
    let grant = open(&mut tx, actor, case, Action::Date).await?;
    let found = store::case::get(&mut tx, &grant).await?;
    let side = if grant.role() == Some(Role::Reporter) { Side::Reporter } else { Side::Team };
    let now = tx.now();
    if found.published_at.is_some() {
        return Err(Refusal::moment("This case is public: its date has passed.").into());
    }
    let embargo = found.embargo.clone();
    let (embargo, event) = match act {
        DateAct::Propose(end) => embargo.propose(case, end, side, now),
        DateAct::Accept => embargo.accept(case, side),
        DateAct::Reject => embargo.reject(case),
        DateAct::Terminate if side == Side::Team => embargo.terminate(case),
        DateAct::Terminate => Err(Refusal::person("The team ends an embargo: write to it why it should.")),
    }?;
    store::case::save(&mut tx, &grant, Change::new(Case { embargo, ..found }, event)).await?;
    match side {
        Side::Team => notify_reporters(app, &mut tx, &grant).await?,
        Side::Reporter => {
            let sealing = app.sealing(&mut tx, &grant).await?;
            super::mail::notify_team(app, &mut tx, &sealing, case).await?;
        }
    }
    Ok(app.commit(tx).await?)
}

/// Writes a message: to the reporter, to all members, or as a team-only note.
pub async fn write(app: &App, actor: &Actor, case: &CaseId, to: Audience, text: Body) -> Result<()> {
    let mut tx = app.begin("case.write").await?;
    let action = match to {
        Audience::Team => Action::Note,
        Audience::Report(_) | Audience::All => Action::Reply,
    };
    let grant = open(&mut tx, actor, case, action).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    if let Audience::Report(report) = to {
        let known = store::member::reports_of_case(&mut tx, &grant).await?;
        if !known.contains(&report) {
            return Err(Error::NotFound);
        }
    }
    let sealing = app.sealing(&mut tx, &grant).await?;
    let id: MessageId = app.mint();
    let message = Message {
        id,
        audience: to,
        author: Some((person, String::new())),
        body: sealing.seal(("message", "body"), &id.to_string(), &text)?,
        written_at: tx.now(),
    };
    store::report::write(&mut tx, &grant, &message).await?;
    if to != Audience::Team {
        let found = store::case::get(&mut tx, &grant).await?;
        if found.acknowledged_at.is_none() {
            let now = tx.now();
            store::case::save(&mut tx, &grant, found.acknowledge(now)?).await?;
        }
        notify_reporters(app, &mut tx, &grant).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Returns the first report of a case: whom "reply to the reporter" means when nobody else is named.
pub async fn first_report(app: &App, actor: &Actor, case: &CaseId) -> Result<Audience> {
    let mut rows = app.read().await?;
    let grant = open(&mut rows, actor, case, Action::ReadTeam).await?;
    let reports = store::member::reports_of_case(&mut rows, &grant).await?;
    reports.first().copied().map(Audience::Report).ok_or(Error::NotFound)
}

/// Gives a person a seat in the case. A guest reads nothing until they agree to the terms.
pub async fn invite(app: &App, actor: &Actor, case: &CaseId, handle: &Handle, role: Role) -> Result<()> {
    let mut tx = app.begin("case.invite").await?;
    let grant = open(&mut tx, actor, case, Action::Members).await?;
    if grant.role().is_none_or(|own| role > own) {
        return Err(Refusal::person("Nobody gives a seat above their own: ask a release manager.").into());
    }
    if role == Role::Reporter {
        return Err(Refusal::input("A reporter's seat comes with their report.").into());
    }
    let person = store::account::by_handle(&mut tx, handle).await?.ok_or_else(|| {
        Refusal::input(format!(
            "Nobody here has the handle {handle}: the operator adds people with `embargo admin person add`."
        ))
    })?;
    let seats = store::member::of_case(&mut tx, &grant).await?;
    let sits_above =
        |seat: &store::member::Seat| seat.holder == Holder::Person(person.id) && Some(seat.role) > grant.role();
    if seats.iter().any(sits_above) {
        return Err(Refusal::person("Nobody changes a seat above their own: ask a release manager.").into());
    }
    let project = store::case::get(&mut tx, &grant).await?.project;
    let team = store::member::team(&mut tx, &project).await?;
    let consent = if role == Role::Guest || !team.iter().any(|teammate| teammate.person == person.id) {
        Consent::Invited
    } else {
        Consent::Signatory
    };
    // An invitation to the same role takes the seat back, too, until it is answered.
    not_while_armed(&mut tx, &grant, person.id).await?;
    let seat = NewSeat { id: app.mint(), case: case.clone(), holder: Holder::Person(person.id), role, consent };
    store::member::seat(&mut tx, actor, &seat).await?;
    Ok(app.commit(tx).await?)
}

/// Takes a person's seat in the case away.
pub async fn remove(app: &App, actor: &Actor, case: &CaseId, handle: &Handle) -> Result<()> {
    let mut tx = app.begin("case.remove").await?;
    let grant = open(&mut tx, actor, case, Action::Members).await?;
    let person = store::account::by_handle(&mut tx, handle).await?.ok_or(Error::NotFound)?;
    let seats = store::member::of_case(&mut tx, &grant).await?;
    let seat = seats.iter().find(|seat| seat.holder == Holder::Person(person.id)).ok_or(Error::NotFound)?;
    if grant.role().is_none_or(|own| seat.role > own) {
        return Err(Refusal::person("Nobody takes away a seat above their own: ask a release manager.").into());
    }
    not_while_armed(&mut tx, &grant, person.id).await?;
    store::member::unseat(&mut tx, &grant, person.id).await?;
    Ok(app.commit(tx).await?)
}

/// Agrees to, or declines, the terms of a case one was invited to.
pub async fn join(app: &App, actor: &Actor, case: &CaseId, agree: Consent) -> Result<()> {
    let Actor::Person { via: Via::Session { .. }, .. } = actor else {
        // Said before the case is looked up, so that a token learns nothing by asking.
        return Err(Refusal::person("Only a person who is signed in answers an invitation.").into());
    };
    let mut tx = app.begin("case.join").await?;
    let membership = store::member::admission(&mut tx, actor, case).await?.ok_or(Error::NotFound)?;
    if membership.consent != Consent::Invited && membership.consent != Consent::Lapsed {
        return Err(Refusal::moment("There is no open invitation to this case for you.").into());
    }
    if !matches!(agree, Consent::Signatory | Consent::Declined) {
        return Err(Refusal::input("An invitation is joined or declined.").into());
    }
    store::member::consent(&mut tx, actor, &membership, agree).await?;
    Ok(app.commit(tx).await?)
}

/// A release never rests on the word of somebody who is gone.
async fn not_while_armed(tx: &mut Tx, grant: &Grant, person: crate::domain::id::PersonId) -> Result<()> {
    match store::arming::armed_by(tx, grant, person).await? {
        Some(release) => Err(Refusal::moment(format!(
            "This person armed {release}: disarm it first (`embargo release disarm {release}`), then change their seat."
        ))
        .into()),
        None => Ok(()),
    }
}

async fn summary(app: &App, tx: &mut Tx, grant: &Grant, case: &Case) -> Result<(CaseSummary, Unsealing)> {
    let unsealing = app.unsealing(tx, grant).await?;
    let title = unsealing.open(("case", "title"), &case.id.to_string(), &case.title)?;
    let needs = needs(app, tx, grant, case).await?;
    let summary = CaseSummary {
        id: case.id.to_string(),
        project: case.project.to_string(),
        title: title.to_string(),
        state: if case.published_at.is_some() { "published".to_owned() } else { case.state.to_string() },
        role: grant.role().map(|role| role.to_string()).unwrap_or_default(),
        date: case.embargo.agreed().map(shown_at),
        opened_at: shown_at(case.opened_at),
        published_at: case.published_at.map(shown_at),
        needs,
    };
    Ok((summary, unsealing))
}

/// Says what this member could do next.
async fn needs(app: &App, tx: &mut Tx, grant: &Grant, case: &Case) -> Result<Vec<String>> {
    let mut needs = Vec::new();
    let now = tx.now();
    if grant.also(Action::Triage) {
        match case.state {
            CaseState::Received if case.acknowledged_at.is_none() => {
                let left = 7 - (now.duration_since(case.opened_at).as_hours() / 24);
                needs.push(if left > 0 {
                    format!("Answer the reporter within {left} days")
                } else {
                    "Answer the reporter: it is late".to_owned()
                });
            }
            CaseState::Received => needs.push("Say whether it is a vulnerability".to_owned()),
            CaseState::Valid => needs.push("Accept or defer it".to_owned()),
            CaseState::Invalid => needs.push("Close it".to_owned()),
            CaseState::Accepted if case.published_at.is_some() => needs.push("Close it".to_owned()),
            CaseState::Accepted | CaseState::Deferred | CaseState::Closed => {}
        }
    }
    if let (Some((_, Side::Reporter)), true) = (case.embargo.proposed(), grant.also(Action::Triage)) {
        needs.push("Answer the date the reporter proposes".to_owned());
    }
    if case.published_at.is_some() {
        needs.extend(super::amendment::needs(tx, grant).await?);
    }
    if case.takes_pushes() && grant.also(Action::Push) {
        needs.extend(super::fix::needs(app, tx, grant, case).await?);
    }
    Ok(needs)
}

/// Reads the part of the thread a grant reaches.
pub(super) async fn thread(tx: &mut Tx, grant: &Grant, unsealing: &Unsealing) -> Result<Vec<MessageView>> {
    let mut views = Vec::new();
    for message in store::report::thread(tx, grant).await? {
        let text: Body = unsealing.open(("message", "body"), &message.id.to_string(), &message.body)?;
        views.push(MessageView {
            audience: message.audience.as_str().to_owned(),
            author: message.author.map_or_else(|| "the reporter".to_owned(), |(_, name)| name),
            text: text.to_string(),
            written_at: shown_at(message.written_at),
        });
    }
    Ok(views)
}

/// Reads the attachments a grant reaches.
pub(super) async fn attachments(tx: &mut Tx, grant: &Grant, unsealing: &Unsealing) -> Result<Vec<AttachmentView>> {
    let mut views = Vec::new();
    for attachment in store::report::attachments(tx, grant).await? {
        let name = unsealing.open(("attachment", "name"), &attachment.id.to_string(), &attachment.name)?;
        views.push(AttachmentView {
            id: attachment.id.to_string(),
            name: name.to_string(),
            size: attachment.size,
            sha256: data_encoding::HEXLOWER.encode(&attachment.sha256),
            passed_through_server: attachment.by_server,
            stored_at: shown_at(attachment.stored_at),
        });
    }
    Ok(views)
}

async fn history(tx: &mut Tx, grant: &Grant) -> Result<Vec<EventView>> {
    let mut views = Vec::new();
    let seats = store::member::of_case(tx, grant).await?;
    for event in store::event::of_case(tx, grant, 200).await? {
        let actor = match event.plain.actor_kind.as_str() {
            "person" => seats
                .iter()
                .find(|seat| matches!(seat.holder, Holder::Person(person) if person.to_string() == event.plain.actor))
                .and_then(|seat| seat.person.as_ref().map(|(handle, _)| format!("@{handle}")))
                .unwrap_or_else(|| "a person".to_owned()),
            "reporter" => "the reporter".to_owned(),
            _ => "embargo".to_owned(),
        };
        let at = Timestamp::from_millisecond(event.plain.at).map(shown_at).unwrap_or_default();
        views.push(EventView { at, actor, kind: event.plain.kind, object: event.plain.object });
    }
    Ok(views)
}

fn member_view(seat: store::member::Seat) -> MemberView {
    let (handle, name) = match seat.person {
        Some((handle, name)) => (Some(handle), name),
        None => (None, "reporter".to_owned()),
    };
    MemberView { handle, name, role: seat.role.to_string(), consent: seat.consent.to_string() }
}

/// Mails "there is news" to every reporter of the case who left an address.
pub(super) async fn notify_reporters(app: &App, tx: &mut Tx, grant: &Grant) -> Result<()> {
    if app.mailer.is_off() {
        return Ok(());
    }
    let opener = open(tx, &Actor::System(crate::domain::actor::Chore::Notify), grant.case(), Action::Maintain).await?;
    let unsealing = app.unsealing(tx, &opener).await?;
    let sealing = app.sealing(tx, &opener).await?;
    for report in store::report::of_case(tx, &opener).await?.into_iter().filter(|report| report.has_contact) {
        let body: ReportBody = unsealing.open(("report", "body"), &report.id.to_string(), &report.body)?;
        if let Some(contact) = body.contact {
            let letter = (&crate::notify::notice::Notice::News, &contact);
            super::mail::queue(app, tx, &sealing, (grant.case(), None), letter).await?;
        }
    }
    Ok(())
}

/// Reads who did what in a case, for `embargo audit show`.
pub async fn audit(app: &App, actor: &Actor, case: &CaseId) -> Result<Vec<EventView>> {
    let mut tx = app.begin("case.audit").await?;
    let grant = open(&mut tx, actor, case, Action::ReadHistory).await?;
    tx.note(actor, &Event::of_case(crate::domain::event::EventKind::SealOpened, case, "history")).await?;
    let views = history(&mut tx, &grant).await?;
    app.commit(tx).await?;
    Ok(views)
}
