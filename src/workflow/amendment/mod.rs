//! A public advisory is corrected, withdrawn or reinstated: asked for by one person, approved by another, and public at once.
//!
//! Guards: nothing public changes without a revision that says why; what is approved is what was read, whoever edits, plans or
//! asks meanwhile. The draft is edited as it was before the disclosure (`workflow::advisory`); this decides when it goes up.

pub(super) use self::render::files;
use self::render::{Prospect, WHY, asked, newest_of, prospect};
use super::readiness::SETTLED;
use super::rendering::Rendered;
use super::{Error, Result, open, shown_at};
use crate::app::App;
use crate::domain::access::{Action, Grant};
use crate::domain::actor::Actor;
use crate::domain::amendment::{Amendment, AmendmentAct, RetellingState};
use crate::domain::case::Case;
use crate::domain::channel::ChannelName;
use crate::domain::details::{Held, Manner};
use crate::domain::digest::Digest;
use crate::domain::follow_up::{End, drafted};
use crate::domain::id::{CaseId, PersonId};
use crate::domain::job::Job;
use crate::domain::plain::AdvisoryId;
use crate::domain::project::TeamKind;
use crate::domain::refusal::Refusal;
use crate::domain::revision::{Change, Successor};
use crate::store::amendment::Asked;
use crate::store::member::Seat;
use crate::store::retelling::Retelling;
use crate::store::revision::RevisionFile;
use crate::store::{self, Tx};
use crate::wire::advisory::DocumentView;
use crate::wire::amendment::{AmendRequest, AmendmentView, PublicView, RetellingView};
use crate::wire::details::LaterView;

mod render;
pub mod tell;

pub(super) use render::still_publishes;

const NOT_PUBLIC: &str = "This advisory is not public yet: edit its draft, and it is published with its release.";
const STILL_PUBLISHING: &str = "The release of this case still publishes: change what is public once it is done. What a channel does \
    not take is given up with `embargo release give-up`.";
const UNCHANGED: &str = "Nothing would change in public: edit the draft first (`embargo advisory edit`).";
const UNSIGNED: &str = "What is public is signed, and this server has no key to sign with any more: the operator names one as \
                        `tag_signing_key`, and then it can be changed.";
const NOTHING_ASKED: &str = "Nothing waits for an approval here: say first what is to be changed (`embargo advisory correct`, \
    `withdraw` or `reinstate`).";

/// Tells whether a case's advisory is public, to somebody who may see its team side.
pub(super) async fn is_public(app: &App, actor: &Actor, case: &CaseId) -> Result<bool> {
    let mut rows = app.read().await?;
    let grant = open(&mut rows, actor, case, Action::ReadTeam).await?;
    Ok(store::case::get(&mut rows, &grant).await?.published_at.is_some())
}

/// Asks for a change of what is public. Nothing changes until somebody else approves it.
pub async fn amend(app: &App, actor: &Actor, case: &CaseId, wish: &AmendRequest) -> Result<()> {
    may(app, actor, case, Action::EditAdvisory).await?;
    let mut prospect = prospect(app, case).await?;
    if prospect.being_published() {
        return Err(Refusal::moment(STILL_PUBLISHING).into());
    }
    let mut tx = app.begin("amendment.ask").await?;
    let grant = open(&mut tx, actor, case, Action::EditAdvisory).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let now = tx.now();
    prospect.asked = Some(Amendment { act: wish.act, why: wish.why.clone(), asked_by: person, asked_at: now });
    successor(&prospect, case, prospect.newest.instant_after(now))?;
    let sealing = app.sealing(&mut tx, &grant).await?;
    let why = sealing.seal(WHY, &case.to_string(), &wish.why)?;
    let asked = Asked { act: wish.act, why, asked_by: person, asked_at: now };
    store::amendment::ask(&mut tx, &grant, &asked).await?;
    Ok(app.commit(tx).await?)
}

/// Takes back what was asked for.
pub async fn drop(app: &App, actor: &Actor, case: &CaseId) -> Result<()> {
    let mut tx = app.begin("amendment.drop").await?;
    let grant = open(&mut tx, actor, case, Action::EditAdvisory).await?;
    if store::amendment::get(&mut tx, &grant).await?.is_none() {
        return Err(Refusal::moment("No change of what is public is asked for.").into());
    }
    store::amendment::drop(&mut tx, &grant).await?;
    Ok(app.commit(tx).await?)
}

/// Approves what is asked for by the hash of what was read, and puts it up in the same write.
pub(super) async fn approve(app: &App, actor: &Actor, case: &CaseId, read: &Digest) -> Result<()> {
    may(app, actor, case, Action::ApproveAdvisory).await?;
    let prospect = prospect(app, case).await?;
    let mut tx = app.begin("amendment.approve").await?;
    let grant = open(&mut tx, actor, case, Action::ApproveAdvisory).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let Some(asked) = asked(app, &mut tx, &grant).await? else {
        return Err(Refusal::moment(NOTHING_ASKED).into());
    };
    if prospect.being_published() {
        return Err(Refusal::moment(STILL_PUBLISHING).into());
    }
    let digest = prospect.digest(case).filter(|digest| digest == read && prospect.asked.as_ref() == Some(&asked));
    let Some(digest) = digest else {
        return Err(Refusal::moment("The text, or what is asked for, changed since you read it: read it again.").into());
    };
    // What was rendered before this write began is still what stands, or nothing goes up.
    let draft = store::advisory::get(&mut tx, &grant).await?.ok_or(Error::NotFound)?;
    let newest = store::revision::newest(&mut tx, &prospect.id).await?;
    let held = store::details::of_case(&mut tx, &grant).await?;
    if draft.version != prospect.draft.version || newest.as_ref() != Some(&prospect.newest) || held != prospect.held {
        return Err(Error::Conflict);
    }
    let found = store::case::get(&mut tx, &grant).await?;
    asked.may_approve(person, prospect.editors(), team(app, &found))?;
    if !prospect.missing.is_empty() {
        return Err(Error::Blocked(prospect.missing));
    }
    let at = prospect.newest.instant_after(tx.now());
    let successor = successor(&prospect, case, at)?;
    let rendered = prospect.rendered(case, at).signed(app)?;
    if asked.act == AmendmentAct::Correct && !prospect.differs_in_public(case) {
        // What follows is put in place of what would have followed; the public reads nothing else until then.
        store::advisory::approve(&mut tx, &grant, person, (digest, draft.version)).await?;
        let settled = app.sealing(&mut tx, &grant).await?.seal(SETTLED, &case.to_string(), prospect.text())?;
        store::advisory::settle(&mut tx, &grant, &settled).await?;
        hold_back(app, &mut tx, &grant, (&prospect, &rendered, prospect.newest.number)).await?;
        store::amendment::clear(&mut tx, &grant).await?;
        return Ok(app.commit(tx).await?);
    }
    let files = files(&rendered.documents)?;
    let kept = |file: &RevisionFile| files.iter().any(|new| new.document.path == file.document.path);
    if !prospect.public.iter().all(kept) {
        return Err(Refusal::moment(UNSIGNED).into());
    }
    store::advisory::approve(&mut tx, &grant, person, (digest, draft.version)).await?;
    if !asked.keeps_the_text(prospect.newest.kind) {
        let settled = app.sealing(&mut tx, &grant).await?.seal(SETTLED, &case.to_string(), prospect.text())?;
        store::advisory::settle(&mut tx, &grant, &settled).await?;
    }
    let number = store::revision::revise(&mut tx, &grant, &prospect.id, &successor, &files).await?;
    hold_back(app, &mut tx, &grant, (&prospect, &rendered, number)).await?;
    store::amendment::clear(&mut tx, &grant).await?;
    tell::channels(app, &mut tx, &grant, (&found.project, asked.act.kind(), number), &rendered).await?;
    tell::people(app, &mut tx, &grant).await?;
    app.crash.pass("amendment:approving");
    Ok(app.commit(tx).await?)
}

/// Puts what follows a change in place of what would have followed.
async fn hold_back(app: &App, tx: &mut Tx, grant: &Grant, of: (&Prospect, &Rendered, u32)) -> Result<()> {
    let (prospect, rendered, number) = of;
    let Some(held) = &prospect.held else { return Ok(()) };
    match (prospect.manner(), &rendered.later) {
        (Manner::Told, _) if held.revision.is_some() => Ok(()),
        (Manner::Told, _) => Ok(store::details::published(tx, grant, number).await?),
        // It follows on the revision it was approved with, which this is not.
        (Manner::Silent, _) => Ok(()),
        (Manner::Back, None) => Ok(store::details::drop(tx, grant).await?),
        (Manner::Back, Some(later)) => {
            let kept = super::details::kept(app, tx, grant, later).await?;
            store::details::replace(tx, grant, number, &kept).await?;
            let Some(due_at) = held.due_at else { return Ok(()) };
            Ok(store::job::queue(tx, &Job::Details { case: grant.case().clone() }, due_at).await?)
        }
    }
}

/// Has a channel that did not take the last revision it was told of told again.
pub async fn retell(app: &App, actor: &Actor, case: &CaseId, channel: &ChannelName) -> Result<()> {
    let mut tx = app.begin("amendment.retell").await?;
    let grant = open(&mut tx, actor, case, Action::EditAdvisory).await?;
    let listed = store::retelling::of_case(&mut tx, &grant).await?;
    let failed = listed.iter().find(|row| &row.channel == channel && row.state == RetellingState::Failed);
    let Some(row) = failed else {
        return Err(Refusal::moment("No revision failed on a channel of this name.").into());
    };
    store::retelling::again(&mut tx, &grant, (row.revision, channel)).await?;
    let job = Job::Retell { advisory: row.advisory.clone(), revision: row.revision, channel: channel.clone() };
    let now = tx.now();
    store::job::queue(&mut tx, &job, now).await?;
    Ok(app.commit(tx).await?)
}

/// What a page of a public advisory shows besides the draft.
pub(super) struct Shown {
    /// For the wire.
    pub(super) view: PublicView,
    /// What an approval would name; none while nothing is asked for.
    pub(super) digest: Option<Digest>,
    /// Why this person may not approve, if their role would allow it.
    pub(super) barred: Option<Refusal>,
    /// What the text lacks.
    pub(super) missing: Vec<String>,
    /// The files as they would be, or as they are while nothing is asked for.
    pub(super) documents: Vec<DocumentView>,
    /// The files that would follow, where something is held back.
    pub(super) later: Option<LaterView>,
}

/// Shows what is public of a case, and what is asked for. To be asked for by somebody who was let in to the team side.
pub(super) async fn show(app: &App, actor: &Actor, case: &CaseId) -> Result<Shown> {
    may(app, actor, case, Action::ReadTeam).await?;
    let prospect = prospect(app, case).await?;
    let mut tx = app.begin("amendment.show").await?;
    let grant = open(&mut tx, actor, case, Action::ReadTeam).await?;
    let seats = store::member::of_case(&mut tx, &grant).await?;
    let listed = store::retelling::of_case(&mut tx, &grant).await?;
    let offers = offers(&mut tx, &grant, &prospect.public).await?;
    let details = super::details::view(&mut tx, &grant).await?;
    let found = store::case::get(&mut tx, &grant).await?;
    app.commit(tx).await?;
    let now = app.clock.now();
    let digest = prospect.digest(case);
    let barred = actor.person().filter(|_| grant.also(Action::ApproveAdvisory)).and_then(|person| {
        let nothing = || Refusal::moment(NOTHING_ASKED);
        let asked = prospect.asked.as_ref().ok_or_else(nothing);
        asked.and_then(|asked| asked.may_approve(person, prospect.editors(), team(app, &found))).err()
    });
    let withdrawn = prospect.newest.kind.withdrawn();
    let differs = prospect.differs(case);
    let acts = match (grant.also(Action::EditAdvisory) && !prospect.being_published(), withdrawn) {
        (false, _) => Vec::new(),
        (true, true) => vec![AmendmentAct::Reinstate, AmendmentAct::Withdraw],
        (true, false) => vec![AmendmentAct::Correct, AmendmentAct::Withdraw],
    };
    let amendment = prospect.asked.as_ref().map(|asked| AmendmentView {
        act: asked.act,
        why: asked.why.to_string(),
        asked_by: named(&seats, asked.asked_by),
        asked_at: shown_at(asked.asked_at),
        difference: prospect.difference(case),
    });
    let retelling = |row: Retelling| RetellingView {
        revision: row.revision,
        channel: row.channel.to_string(),
        state: row.state,
        note: row.note,
    };
    let rendered = prospect.rendered(case, prospect.newest.instant_after(now));
    let later =
        rendered.later.map(|later| super::advisory::follows(later, prospect.held.as_ref().and_then(Held::promise)));
    let documents = match &prospect.asked {
        Some(_) => rendered.documents.into_vec().into_iter().map(super::advisory::shown).collect(),
        None => prospect.public.iter().map(public_document).collect(),
    };
    let view = PublicView {
        revision: prospect.newest.number,
        withdrawn,
        amendment,
        differs,
        acts,
        retellings: listed.into_iter().map(retelling).collect(),
        offers,
        details,
    };
    Ok(Shown { view, digest, barred, missing: prospect.missing, documents, later })
}

/// Says what a member could do next about what is public.
pub(super) async fn needs(tx: &mut Tx, grant: &Grant) -> Result<Vec<String>> {
    let mut needs = Vec::new();
    if grant.also(Action::ApproveAdvisory) && store::amendment::get(tx, grant).await?.is_some() {
        needs.push("Approve the change of the public advisory, or take it back".to_owned());
    }
    let links = store::link::of_case(tx, grant).await?;
    let followed = links.iter().any(|link| link.end == End::Later && link.advisory.is_some());
    if followed
        && grant.also(Action::EditAdvisory)
        && let Some((id, newest)) = newest_of(tx, grant).await?
    {
        let public = store::revision::files(tx, &id, newest.number).await?;
        if !offers(tx, grant, &public).await?.is_empty() {
            needs.push("Say in the public advisory that another one follows up on it".to_owned());
        }
    }
    let failed = |row: &Retelling| row.state == RetellingState::Failed;
    if grant.also(Action::EditAdvisory) && store::retelling::of_case(tx, grant).await?.iter().any(failed) {
        needs.push("See to a channel that did not take the changed advisory".to_owned());
    }
    if grant.also(Action::EditAdvisory)
        && super::details::view(tx, grant).await?.is_some_and(|held| !held.note.is_empty())
    {
        needs.push("See to technical details that could not be published".to_owned());
    }
    Ok(needs)
}

/// Admits the actor before anything is read for them; a case that is not public is refused in words.
async fn may(app: &App, actor: &Actor, case: &CaseId, action: Action) -> Result<()> {
    let mut rows = app.read().await?;
    let grant = open(&mut rows, actor, case, action).await?;
    match newest_of(&mut rows, &grant).await? {
        Some(_) => Ok(()),
        None => Err(Refusal::moment(NOT_PUBLIC).into()),
    }
}

/// Decides whether what is asked for may follow what is public.
fn successor(prospect: &Prospect, case: &CaseId, at: jiff::Timestamp) -> Result<Successor> {
    let asked = prospect.asked.as_ref().ok_or_else(|| Refusal::moment(NOTHING_ASKED))?;
    if asked.act == AmendmentAct::Correct && !prospect.differs(case) {
        return Err(Refusal::moment(UNCHANGED).into());
    }
    let title = prospect.rendered(case, at).published.advisory.title;
    Ok(prospect.newest.next(Change { kind: asked.act.kind(), at, why: asked.why.clone(), title })?)
}

/// Drafts a sentence for each public advisory that follows up on this one and that this one does not name yet.
async fn offers(tx: &mut Tx, grant: &Grant, public: &[RevisionFile]) -> Result<Vec<String>> {
    let names = |second: &AdvisoryId| {
        let says = |body: &[u8]| String::from_utf8_lossy(body).contains(second.as_str());
        public.iter().any(|file| says(&file.body))
    };
    let links = store::link::of_case(tx, grant).await?;
    let later = links.into_iter().filter(|link| link.end == End::Later);
    let drafts = later.filter_map(|link| {
        let second = link.advisory.filter(|second| !names(second))?;
        Some(drafted(link.because, &second))
    });
    Ok(drafts.collect())
}

fn public_document(file: &RevisionFile) -> DocumentView {
    DocumentView {
        path: file.document.path.to_string(),
        media_type: file.document.media_type.clone(),
        text: String::from_utf8_lossy(&file.body).into_owned(),
    }
}

fn named(seats: &[Seat], person: PersonId) -> String {
    super::advisory::name_of(seats, person)
}

fn team(app: &App, case: &Case) -> TeamKind {
    super::advisory::team(app, case)
}
