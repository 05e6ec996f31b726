//! What an amendment would put up: rendered from the draft as it is now and the release as it was.
//!
//! Guards: what is not changed by somebody renders to the bytes that are public, so that what is shown as different is.

use std::time::Duration;

use jiff::Timestamp;
use similar::TextDiff;

use crate::app::App;
use crate::domain::access::{Action, Grant};
use crate::domain::actor::{Actor, Chore};
use crate::domain::advisory::Advisory;
use crate::domain::amendment::{Amendment, AmendmentAct};
use crate::domain::details::{Held, Manner};
use crate::domain::digest::Digest;
use crate::domain::effect::{Effect, Phase};
use crate::domain::fix::Fix;
use crate::domain::id::{CaseId, PersonId, Prefix};
use crate::domain::manifest::Document;
use crate::domain::plain::AdvisoryId;
use crate::domain::project::Line;
use crate::domain::release::{Release, ReleaseState};
use crate::domain::revision::Revision;
use crate::domain::text::Sentence;
use crate::domain::told::{Lack, LineFacts, Ships};
use crate::export::{self, Documents, Published, Withdrawal};
use crate::store::advisory::Draft;
use crate::store::publication::DocumentText;
use crate::store::revision::RevisionFile;
use crate::store::{self, Rows, Tx};
use crate::wire::amendment::DiffView;
use crate::workflow::readiness::{Layout, SETTLED, open_release, public_fixes};
use crate::workflow::rendering::Rendered;
use crate::workflow::told::{self, Said};
use crate::workflow::{Error, Result, advisory, details, open};

/// The server reads a whole train for whoever sees one case of it; only that case's documents are shown.
const CHORE: Actor = Actor::System(Chore::Disclose);
/// The place of the sealed sentence of an amendment.
pub(super) const WHY: (&str, &str) = ("amendment", "why");
/// How long two texts of hostile length are compared before the difference gets coarse.
const PATIENCE: Duration = Duration::from_millis(200);

/// A public advisory and what would take its place.
pub(in crate::workflow) struct Prospect {
    /// The advisory.
    pub(super) id: AdvisoryId,
    /// Its newest revision.
    pub(super) newest: Revision,
    /// The files of that.
    pub(super) public: Vec<RevisionFile>,
    /// The draft, as it was read.
    pub(super) draft: Draft,
    /// What is asked for, if anything is.
    pub(super) asked: Option<Amendment>,
    /// What is, or was, held back of it.
    pub(super) held: Option<Held>,
    /// What the text lacks.
    pub(super) missing: Vec<String>,
    /// Whether its release still publishes something.
    being_published: bool,
    /// What the files are made of, not dated yet.
    published: Published,
    /// The files that are held back.
    later: Vec<(Document, DocumentText)>,
    /// When this was read.
    now: Timestamp,
}

impl Prospect {
    /// Renders what is asked for as of an instant, its hashes not signed; without anything asked for, the draft as it stands.
    pub(super) fn rendered(&self, case: &CaseId, at: Timestamp) -> Rendered {
        let withdrawn = match &self.asked {
            Some(asked) if asked.act == AmendmentAct::Withdraw => Some(Withdrawal { at, why: asked.why.clone() }),
            Some(_) => None,
            // Nothing is asked for: what is withdrawn is still.
            None if self.newest.kind.withdrawn() => {
                self.newest.why.clone().map(|why| Withdrawal { at: self.newest.at, why })
            }
            None => None,
        };
        let published = Published { modified_at: at, withdrawn, ..self.published.clone() };
        match (self.manner(), &self.held) {
            (Manner::Told, _) | (_, None) => Rendered::whole(case, published),
            (Manner::Silent, _) => Rendered::without_details(case, published),
            (Manner::Back, Some(held)) => {
                // Compared with what is held back already, it is dated like that.
                let dated = if at == self.newest.at { held.dated_at } else { held.dated_after(at) };
                Rendered::in_parts(case, published, dated, held.promise())
            }
        }
    }

    /// Says what it does with the technical details.
    pub(super) fn manner(&self) -> Manner {
        let act = self.asked.as_ref().map(|asked| asked.act);
        self.held.as_ref().map_or(Manner::Told, |held| held.manner(act, &self.newest, self.now))
    }

    /// Renders it dated like what is public, which is how it is compared and approved.
    fn undated(&self, case: &CaseId) -> Rendered {
        self.rendered(case, self.newest.at)
    }

    /// Returns what an approval of what is asked for is bound to.
    pub(super) fn digest(&self, case: &CaseId) -> Option<Digest> {
        let documents = self.undated(case).digest();
        self.asked.as_ref().map(|asked| asked.digest(self.newest.number, &documents))
    }

    /// Says line by line what would change in public, file by file; files that stay the same are left out.
    pub(super) fn difference(&self, case: &CaseId) -> Vec<DiffView> {
        let new = self.undated(case);
        let public = |path: &str| self.public.iter().find(|file| file.document.path.as_str() == path);
        let before = |path: &str| public(path).map(|file| file.body.as_slice()).unwrap_or_default();
        let mut differences = compared(&new.documents, before, ("public", "asked for"));
        if let Some(later) = &new.later {
            let kept = |path: &str| self.kept(path).unwrap_or_default();
            for difference in compared(&later.documents, kept, ("held back", "held back, as asked for")) {
                differences
                    .push(DiffView { path: format!("{} (with the technical details)", difference.path), ..difference });
            }
        }
        differences
    }

    /// Tells whether the public would read anything else than now.
    pub(super) fn differs_in_public(&self, case: &CaseId) -> bool {
        let new = self.undated(case);
        let same = |document: &export::Document| {
            let of = |file: &&RevisionFile| file.document.path.as_str() == document.path;
            self.public.iter().find(of).is_some_and(|file| file.body == document.bytes)
        };
        !new.documents.as_slice().iter().all(same)
    }

    /// Tells whether the public would read anything else than now, or later than it would.
    pub(super) fn differs(&self, case: &CaseId) -> bool {
        let kept = |document: &export::Document| self.kept(&document.path) == Some(document.bytes.as_slice());
        let later = self.undated(case).later;
        self.differs_in_public(case) || later.is_some_and(|later| !later.documents.as_slice().iter().all(kept))
    }

    /// Returns a file that is held back.
    fn kept(&self, path: &str) -> Option<&[u8]> {
        let of = |(document, _): &&(Document, DocumentText)| document.path.as_str() == path;
        self.later.iter().find(of).map(|(_, text)| text.as_bytes())
    }

    /// Names everybody who wrote at what would be put up: they do not approve it.
    pub(super) fn editors(&self) -> &[PersonId] {
        let kept = self.asked.as_ref().is_some_and(|asked| asked.keeps_the_text(self.newest.kind));
        if kept { &[] } else { &self.draft.editors }
    }

    /// Returns the text that would be put up.
    pub(super) fn text(&self) -> &Advisory {
        &self.published.advisory
    }

    /// Tells whether its release still publishes: what a slow channel gets then would be older than a revision.
    pub(super) fn being_published(&self) -> bool {
        self.being_published
    }
}

/// Reads a public advisory and what would take its place. The grant has to have been asked for before; this reads as the server.
pub(in crate::workflow) async fn prospect(app: &App, case: &CaseId) -> Result<Prospect> {
    let mut rows = app.read().await?;
    let grant = open(&mut rows, &CHORE, case, Action::ReadTeam).await?;
    let (id, release) = store::publication::placed(&mut rows, &grant).await?.ok_or(Error::NotFound)?;
    let (release, grants) = open_release(&mut rows, &CHORE, &release, Action::ReadTeam).await?;
    let effects = store::effect::of_release(&mut rows, &grants, &release.id).await?;
    let being_published = still_publishes(&release, &effects);
    let layout = Layout::of(&mut rows, &release.project).await?;
    let parted = told::parted(app, &mut rows, std::slice::from_ref(&grant), &layout).await?;
    drop(rows);

    let mut tx = app.begin("amendment.prospect").await?;
    let grant = open(&mut tx, &CHORE, case, Action::ReadTeam).await?;
    let newest = store::revision::newest(&mut tx, &id).await?.ok_or(Error::NotFound)?;
    let public = store::revision::files(&mut tx, &id, newest.number).await?;
    let draft = store::advisory::get(&mut tx, &grant).await?.ok_or(Error::NotFound)?;
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let whole = advisory::whole(&mut tx, &grant, &unsealing, &draft).await?;
    let asked = asked(app, &mut tx, &grant).await?;
    let standing = match &draft.settled {
        Some(sealed) if asked.as_ref().is_some_and(|asked| asked.keeps_the_text(newest.kind)) => {
            Some(unsealing.open::<Advisory>(SETTLED, &case.to_string(), sealed)?)
        }
        Some(_) | None => None,
    };
    let marks = store::mark::of_case(&mut tx, &grant).await?;
    let fixes = store::fix::of_case(&mut tx, &grant).await?;
    let related = store::link::related(&mut tx, &grant).await?;
    let found = store::case::get(&mut tx, &grant).await?;
    let held = store::details::of_case(&mut tx, &grant).await?;
    let later = details::texts(&mut tx, &grant, &unsealing).await?;
    let now = tx.now();
    app.commit(tx).await?;

    let said = Said { draft: Some(standing.as_ref().unwrap_or(&whole)), marks: &marks, fixes: &fixes };
    let mut lines = told::lines(app, &layout, Some(&release), &said).await?;
    // What the release shipped may have proved to be no fix: then the text says what is, or that there is none yet.
    let unmended = lines.iter_mut().filter(|line| line.ships_no_fix_after_all());
    let unmended: Vec<_> = unmended
        .map(|line| {
            line.ships = Ships::NoRelease;
            (line.repository.clone(), line.name.clone())
        })
        .collect();
    // What is public lacks nothing that a withdrawal would have to wait for.
    let missing = if standing.is_some() { Vec::new() } else { lacks(case, &whole, &lines) };
    let whole = standing.unwrap_or_else(|| whole.against(&lines, advisory::package(app, &found).as_ref()));
    let mends = |line: &Line| {
        let upstream = layout.upstreams.iter().find(|upstream| upstream.id == line.upstream);
        !upstream.is_some_and(|upstream| unmended.contains(&(upstream.name.clone(), line.name.clone())))
    };
    let here = |fix: &&Fix| fix.head.is_some() && layout.lines.iter().any(|line| line.id == fix.line && mends(line));
    let heads: Vec<_> = fixes.iter().filter(here).map(|fix| (fix.line, fix.head.clone())).collect();
    let heads = public_fixes(app, (&release, &layout), &heads);
    let told = told::published(app, &layout, Some(&release), (case, &whole, &heads, &parted)).await?;
    let published = Published {
        project: layout.project.name.parse()?,
        base_url: app.config.base_url.as_str().parse()?,
        osv_prefix: known_prefix(&id, &public),
        published_at: release.told_at(),
        modified_at: newest.at,
        details_at: None,
        withdrawn: None,
        related,
        lines: told,
        advisory: whole,
        id: id.clone(),
    };
    Ok(Prospect { id, newest, public, draft, asked, held, missing, being_published, published, later, now })
}

/// Tells whether a release still publishes something; a hook that is called days later publishes nothing.
pub(in crate::workflow) fn still_publishes(release: &Release, effects: &[Effect]) -> bool {
    let publishes = |effect: &Effect| !effect.settled() && effect.phase != Phase::CallHooks;
    release.state != ReleaseState::Done && effects.iter().any(publishes)
}

/// Says line by line how files differ from what was there before; those that stay the same are left out.
fn compared<'a>(new: &Documents, before: impl Fn(&str) -> &'a [u8], names: (&str, &str)) -> Vec<DiffView> {
    let mut differences = Vec::new();
    for document in new.as_slice() {
        let before = before(&document.path);
        // The page says what the Markdown says, in one line that nobody could read.
        if before == document.bytes || document.media_type.starts_with("text/html") {
            continue;
        }
        let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(&document.bytes));
        let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before.as_ref(), after.as_ref());
        let text = diff.unified_diff().context_radius(2).header(names.0, names.1).to_string();
        differences.push(DiffView { path: document.path.clone(), text });
    }
    differences
}

/// Opens what is asked for in a case, if anything is.
pub(super) async fn asked(app: &App, tx: &mut Tx, grant: &Grant) -> Result<Option<Amendment>> {
    let Some(row) = store::amendment::get(tx, grant).await? else { return Ok(None) };
    let unsealing = app.unsealing(tx, grant).await?;
    let why: Sentence = unsealing.open(WHY, &grant.case().to_string(), &row.why)?;
    Ok(Some(Amendment { act: row.act, why, asked_by: row.asked_by, asked_at: row.asked_at }))
}

/// Tells whether the newest revision of a case's advisory withdrew it.
pub(super) async fn newest_of(rows: &mut impl Rows, grant: &Grant) -> Result<Option<(AdvisoryId, Revision)>> {
    let Some((id, _)) = store::publication::placed(rows, grant).await? else { return Ok(None) };
    let newest = store::revision::newest(rows, &id).await?;
    Ok(newest.map(|newest| (id, newest)))
}

/// Turns rendered files into those of a revision.
pub(in crate::workflow) fn files(documents: &Documents) -> Result<Vec<RevisionFile>> {
    let file = |document: &export::Document| {
        Ok(RevisionFile {
            document: Document {
                path: document.path.parse()?,
                media_type: document.media_type.to_owned(),
                sha256: Digest::from_bytes(document.sha256()),
            },
            body: document.bytes.clone(),
        })
    };
    documents.as_slice().iter().map(file).collect()
}

/// Lists what the text lacks, a sentence for each thing.
fn lacks(case: &CaseId, whole: &Advisory, lines: &[LineFacts]) -> Vec<String> {
    let untold = lines.iter().flat_map(|line| line.lacks(case)).filter_map(|lack| match lack {
        Lack::Untold(sentence) => Some(sentence),
        Lack::Left(_) | Lack::Unknown(_) => None,
    });
    let untold: Vec<_> = untold.collect();
    let mut missing = whole.clone().against(lines, None).completeness();
    missing.extend(untold);
    missing
}

/// Finds the prefix under which the public knows the OSV file: it keeps its name whatever the configuration says by now.
fn known_prefix(id: &AdvisoryId, public: &[RevisionFile]) -> Option<Prefix> {
    let named = |file: &RevisionFile| {
        let name = file.document.path.as_str().strip_prefix("osv/")?.strip_suffix(".json")?;
        name.strip_suffix(&format!("-{}", id.tail()))?.parse().ok()
    };
    public.iter().find_map(named)
}
