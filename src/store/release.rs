//! Releases: rows, targets, armings, and the lists that are joined on membership over all their cases.

use jiff::Timestamp;

use crate::domain::access::{Grant, Grants};
use crate::domain::actor::Actor;
use crate::domain::audience::Lead;
use crate::domain::change::{Change, Version};
use crate::domain::digest::Digest;
use crate::domain::haste::{Haste, Skip};
use crate::domain::hold::Hold;
use crate::domain::id::{CaseId, PersonId, ProjectId, ReleaseId};
use crate::domain::rehearsal::{Candidate, Rehearsal, Target};
use crate::domain::release::{Arming, Frozen, Release, ReleaseState};
use crate::domain::repo::CommitId;
use crate::domain::sealed::Sealed;

use super::{Error, Result, Rows, Tx, arming, instant, instant_opt, moved, one_row, parsed, parsed_opt};

/// A release as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: ReleaseId,
    /// The project.
    pub project: ProjectId,
    /// Where it stands.
    pub state: ReleaseState,
    /// The instant.
    pub due_at: Timestamp,
}

struct ListedRow {
    id: String,
    project: String,
    state: String,
    due_at: i64,
}

impl TryFrom<ListedRow> for Listed {
    type Error = Error;
    fn try_from(row: ListedRow) -> Result<Self> {
        Ok(Self {
            id: parsed(&row.id, "release", "id")?,
            project: parsed(&row.project, "release", "project")?,
            state: parsed(&row.state, "release", "state")?,
            due_at: instant(row.due_at, "release", "due_at")?,
        })
    }
}

struct ReleaseRow {
    project: String,
    state: String,
    due_at: i64,
    dated_at: i64,
    manifest: Option<Vec<u8>>,
    digest: Option<Vec<u8>>,
    tests_due: Option<String>,
    hold: Option<String>,
    note: String,
    hastened_at: Option<i64>,
    skipped: String,
    details_after: Option<i64>,
    begun_at: Option<i64>,
    public_at: Option<i64>,
    done_at: Option<i64>,
    created_at: i64,
    version: i64,
}

impl ReleaseRow {
    fn release(self, id: &ReleaseId, parts: Parts) -> Result<Release> {
        let Parts { cases, targets, armings, asked } = parts;
        let frozen = match (self.manifest, self.digest) {
            (Some(manifest), Some(digest)) => Some(Frozen {
                lasting: digest_of(&digest, "release", "digest")?,
                sealed: Sealed::from_envelope(manifest),
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(Error::Inconsistent { table: "release", column: "digest" });
            }
        };
        let note = self.note;
        let hold = parsed_opt(self.hold.as_deref(), "release", "hold")?.map(|reason| Hold { reason, note });
        let skips = self.skipped.split_whitespace().map(|word| parsed(word, "release", "skipped"));
        let haste = Haste {
            asked,
            since: instant_opt(self.hastened_at, "release", "hastened_at")?,
            skipped: skips.collect::<Result<Vec<Skip>>>()?,
        };
        Ok(Release {
            id: id.clone(),
            project: parsed(&self.project, "release", "project")?,
            state: parsed(&self.state, "release", "state")?,
            due_at: instant(self.due_at, "release", "due_at")?,
            dated_at: instant(self.dated_at, "release", "dated_at")?,
            cases,
            targets,
            frozen,
            tests_due: parsed_opt(self.tests_due.as_deref(), "release", "tests_due")?,
            armings,
            haste,
            details_after: self.details_after.map(lead).transpose()?,
            hold,
            begun_at: instant_opt(self.begun_at, "release", "begun_at")?,
            public_at: instant_opt(self.public_at, "release", "public_at")?,
            done_at: instant_opt(self.done_at, "release", "done_at")?,
            created_at: instant(self.created_at, "release", "created_at")?,
            version: Version(self.version),
        })
    }
}

/// What stands in rows of its own.
struct Parts {
    cases: Vec<CaseId>,
    targets: Vec<Target>,
    armings: Vec<Arming>,
    asked: Vec<(PersonId, Timestamp)>,
}

struct TargetRow {
    upstream: String,
    line: String,
    tag: String,
    strategy: String,
    tag_style: String,
    base: Option<String>,
    candidate: Option<String>,
    tag_object: Option<String>,
    maker: Option<String>,
    bumped: i64,
    same_as: Option<String>,
    inputs: Option<Vec<u8>>,
    recipe: Option<Vec<u8>>,
    trouble: String,
    rehearsed_at: Option<i64>,
}

impl TryFrom<TargetRow> for Target {
    type Error = Error;
    fn try_from(row: TargetRow) -> Result<Self> {
        const TABLE: &str = "release_target";
        let at = instant_opt(row.rehearsed_at, TABLE, "rehearsed_at")?;
        let built = (row.base, row.candidate, row.tag_object, row.maker, row.inputs.zip(row.recipe));
        let rehearsal = match (at, built) {
            (None, (None, None, None, None, None)) => Rehearsal::None,
            (Some(at), (None, None, None, None, None)) => Rehearsal::Trouble { sentence: row.trouble, at },
            (Some(at), (Some(base), Some(commit), Some(tag_object), Some(maker), Some((inputs, recipe)))) => {
                Rehearsal::Candidate(Candidate {
                    base: parsed(&base, TABLE, "base")?,
                    commit: parsed(&commit, TABLE, "candidate")?,
                    tag_object: parsed(&tag_object, TABLE, "tag_object")?,
                    maker: parsed(&maker, TABLE, "maker")?,
                    bumped: row.bumped != 0,
                    same_as: parsed_opt(row.same_as.as_deref(), TABLE, "same_as")?,
                    inputs: digest_of(&inputs, TABLE, "inputs")?,
                    recipe: digest_of(&recipe, TABLE, "recipe")?,
                    moves: Vec::new(),
                    at,
                })
            }
            _ => return Err(Error::Inconsistent { table: TABLE, column: "candidate" }),
        };
        Ok(Self {
            upstream: parsed(&row.upstream, TABLE, "upstream")?,
            line: parsed(&row.line, TABLE, "line")?,
            tag: parsed(&row.tag, TABLE, "tag")?,
            strategy: parsed(&row.strategy, TABLE, "strategy")?,
            style: parsed(&row.tag_style, TABLE, "tag_style")?,
            rehearsal,
        })
    }
}

/// Names the cases of a release, in order: what has to be asked before a grant over them can exist. Empty if there is none.
pub async fn cases(rows: &mut impl Rows, id: &ReleaseId) -> Result<Vec<CaseId>> {
    let id = id.to_string();
    let found = sqlx::query!(r#"select "case" from release_case where release = ? order by position"#, id)
        .fetch_all(rows.conn())
        .await?;
    found.into_iter().map(|row| parsed(&row.case, "release_case", "case")).collect()
}

/// Reads a release under grants over all its cases; `None` when one of them is not covered, as if it did not exist.
pub async fn find(rows: &mut impl Rows, grants: &Grants, id: &ReleaseId) -> Result<Option<Release>> {
    let cases = cases(rows, id).await?;
    let covered = |case: &CaseId| grants.each().iter().any(|grant| grant.case() == case);
    if cases.is_empty() || !cases.iter().all(covered) {
        return Ok(None);
    }
    let text = id.to_string();
    let row = sqlx::query_as!(
        ReleaseRow,
        "select project, state, due_at, dated_at, manifest, digest, tests_due, hold, note, hastened_at, skipped, details_after, begun_at,
           public_at, done_at, created_at, version
         from release where id = ?",
        text
    )
    .fetch_optional(rows.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let targets = targets(rows, &text).await?;
    let (armings, asked) = (arming::armings(rows, &text).await?, arming::asked(rows, &text).await?);
    row.release(id, Parts { cases, targets, armings, asked }).map(Some)
}

async fn targets(rows: &mut impl Rows, release: &str) -> Result<Vec<Target>> {
    let found = sqlx::query_as!(
        TargetRow,
        "select upstream, line, tag, strategy, tag_style, base, candidate, tag_object, maker, bumped, same_as, inputs, recipe, trouble,
           rehearsed_at
         from release_target where release = ? order by position",
        release
    )
    .fetch_all(rows.conn())
    .await?;
    let mut targets = found.into_iter().map(Target::try_from).collect::<Result<Vec<Target>>>()?;
    moved::read(rows, release, &mut targets).await?;
    Ok(targets)
}

/// Adds a planned release with its event.
pub async fn add(tx: &mut Tx, actor: &Actor, change: Change<Release>) -> Result<Release> {
    let release = change.next;
    let (id, project, state) = (release.id.to_string(), release.project.to_string(), release.state.as_str());
    let (due, dated) = (release.due_at.as_millisecond(), release.dated_at.as_millisecond());
    let created = release.created_at.as_millisecond();
    let details = release.details_after.map(Lead::minutes);
    let tests_due = release.tests_due.map(|due| due.to_string());
    sqlx::query!(
        "insert into release (id, project, state, due_at, dated_at, details_after, tests_due, created_at) values (?, ?, ?, ?, ?, ?, ?, ?)",
        id,
        project,
        state,
        due,
        dated,
        details,
        tests_due,
        created
    )
    .execute(tx.conn())
    .await?;
    write_cases(tx, &release).await?;
    write_targets(tx, &release).await?;
    super::event::append(tx, actor, &change.event).await?;
    Ok(release)
}

/// Saves the next value of a release with its event; refused when somebody else changed it.
pub async fn save(tx: &mut Tx, actor: &Actor, change: Change<Release>) -> Result<Release> {
    let release = change.next;
    let (id, state) = (release.id.to_string(), release.state.as_str());
    let (due, dated) = (release.due_at.as_millisecond(), release.dated_at.as_millisecond());
    let manifest = release.frozen.as_ref().map(|frozen| frozen.sealed.envelope());
    let digest = release.frozen.as_ref().map(|frozen| frozen.lasting.as_bytes().as_slice());
    let tests_due = release.tests_due.map(|due| due.to_string());
    let hold = release.hold.as_ref().map(|hold| hold.reason.as_str());
    let note = release.hold.as_ref().map_or("", |hold| hold.note.as_str());
    let hastened = release.haste.since.map(Timestamp::as_millisecond);
    let skipped = release.haste.skipped.iter().map(|skip| skip.as_str()).collect::<Vec<_>>().join(" ");
    let details = release.details_after.map(Lead::minutes);
    let begun = release.begun_at.map(Timestamp::as_millisecond);
    let public = release.public_at.map(Timestamp::as_millisecond);
    let done = release.done_at.map(Timestamp::as_millisecond);
    let result = sqlx::query!(
        "update release set state = ?, due_at = ?, dated_at = ?, manifest = ?, digest = ?, tests_due = ?, hold = ?, note = ?, hastened_at = ?,
           skipped = ?, details_after = ?, begun_at = ?, public_at = ?, done_at = ?, version = version + 1
         where id = ? and version = ?",
        state,
        due,
        dated,
        manifest,
        digest,
        tests_due,
        hold,
        note,
        hastened,
        skipped,
        details,
        begun,
        public,
        done,
        id,
        release.version.0
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    write_cases(tx, &release).await?;
    write_targets(tx, &release).await?;
    arming::write_armings(tx, &release).await?;
    arming::write_haste(tx, &release).await?;
    super::event::append(tx, actor, &change.event).await?;
    Ok(Release { version: Version(release.version.0 + 1), ..release })
}

async fn write_cases(tx: &mut Tx, release: &Release) -> Result<()> {
    let id = release.id.to_string();
    sqlx::query!("delete from release_case where release = ?", id).execute(tx.conn()).await?;
    for (position, case) in (0_i64..).zip(&release.cases) {
        let case = case.to_string();
        sqlx::query!(r#"insert into release_case (release, "case", position) values (?, ?, ?)"#, id, case, position)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

async fn write_targets(tx: &mut Tx, release: &Release) -> Result<()> {
    let id = release.id.to_string();
    sqlx::query!("delete from release_target where release = ?", id).execute(tx.conn()).await?;
    for (position, target) in (0_i64..).zip(&release.targets) {
        let (upstream, line, tag) = (target.upstream.to_string(), target.line.to_string(), target.tag.to_string());
        let (strategy, style) = (target.strategy.as_str(), target.style.as_str());
        let (candidate, trouble, at) = match &target.rehearsal {
            Rehearsal::None => (None, "", None),
            Rehearsal::Trouble { sentence, at } => (None, sentence.as_str(), Some(*at)),
            Rehearsal::Candidate(candidate) => (Some(candidate), "", Some(candidate.at)),
        };
        let base = candidate.map(|candidate| candidate.base.as_str());
        let commit = candidate.map(|candidate| candidate.commit.as_str());
        let tag_object = candidate.map(|candidate| candidate.tag_object.as_str());
        let maker = candidate.map(|candidate| candidate.maker.as_str());
        let bumped = i64::from(candidate.is_some_and(|candidate| candidate.bumped));
        let same_as = candidate.and_then(|candidate| candidate.same_as.as_ref()).map(CommitId::as_str);
        let inputs = candidate.map(|candidate| candidate.inputs.as_bytes().as_slice());
        let recipe = candidate.map(|candidate| candidate.recipe.as_bytes().as_slice());
        let at = at.map(Timestamp::as_millisecond);
        sqlx::query!(
            "insert into release_target
               (release, upstream, line, tag, position, strategy, tag_style, base, candidate, tag_object, maker, bumped,
                same_as, inputs, recipe, trouble, rehearsed_at)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            upstream,
            line,
            tag,
            position,
            strategy,
            style,
            base,
            commit,
            tag_object,
            maker,
            bumped,
            same_as,
            inputs,
            recipe,
            trouble,
            at
        )
        .execute(tx.conn())
        .await?;
    }
    moved::write(tx, release).await
}

/// Names the live release a case is in, other than `but`.
pub async fn live_of(rows: &mut impl Rows, case: &CaseId, but: Option<&ReleaseId>) -> Result<Option<ReleaseId>> {
    let (case, but) = (case.to_string(), but.map(ToString::to_string).unwrap_or_default());
    let row = sqlx::query!(
        r#"select r.id from release r join release_case c on c.release = r.id
           where c."case" = ? and r.state not in ('done', 'abandoned') and r.id <> ?"#,
        case,
        but
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| parsed(&row.id, "release", "id")).transpose()
}

/// Tells whether a release of the case a grant is for runs, or left something in public.
pub async fn discloses(rows: &mut impl Rows, grant: &Grant) -> Result<bool> {
    let case = grant.case().to_string();
    let row = sqlx::query!(
        r#"select r.id from release r join release_case c on c.release = r.id
           where c."case" = ? and (r.state = 'running' or r.public_at is not null) limit 1"#,
        case
    )
    .fetch_optional(rows.conn())
    .await?;
    Ok(row.is_some())
}

/// Lists the releases of the case a grant is for: id, state and instant, which is all that its members see of a train.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Listed>> {
    let case = grant.case().to_string();
    let found = sqlx::query_as!(
        ListedRow,
        r#"select r.id, r.project, r.state, r.due_at from release r join release_case c on c.release = r.id
           where c."case" = ? order by r.created_at desc"#,
        case
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Listed::try_from).collect()
}

/// Lists the releases a person may see: those of which they have a seat of the team in every case. Live ones first, by instant.
pub async fn of_person(rows: &mut impl Rows, person: PersonId) -> Result<Vec<Listed>> {
    let person = person.to_string();
    let found = sqlx::query_as!(
        ListedRow,
        r#"select r.id, r.project, r.state, r.due_at from release r
           where exists (select 1 from release_case c where c.release = r.id)
             and not exists (
               select 1 from release_case c where c.release = r.id and not exists (
                 select 1 from member m join person p on p.id = m.person
                 where m."case" = c."case" and m.person = ? and m.left_at is null and p.state = 'active'
                   and m.role in ('triager', 'fixer', 'reviewer', 'release_manager') and m.consent <> 'declined'))
           order by r.state in ('done', 'abandoned'), r.due_at, r.id"#,
        person
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Listed::try_from).collect()
}

/// Names the planned releases of a project: those to be rehearsed when something moves. For the server's chores.
pub async fn planned(rows: &mut impl Rows, project: &ProjectId) -> Result<Vec<ReleaseId>> {
    let project = project.to_string();
    let found = sqlx::query!("select id from release where project = ? and state = 'planned' order by id", project)
        .fetch_all(rows.conn())
        .await?;
    found.into_iter().map(|row| parsed(&row.id, "release", "id")).collect()
}

/// Names the releases a worker has to look at by this instant: armed and due, or running. For the server's chores.
pub async fn due(rows: &mut impl Rows, now: Timestamp) -> Result<Vec<ReleaseId>> {
    let now = now.as_millisecond();
    let found = sqlx::query!(
        "select id from release where (state = 'armed' and due_at <= ?) or state = 'running' order by due_at, id",
        now
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.id, "release", "id")).collect()
}

/// Names the releases that wait for an instant between two. For the server's chores.
pub async fn near(rows: &mut impl Rows, between: (Timestamp, Timestamp)) -> Result<Vec<ReleaseId>> {
    let (after, until) = (between.0.as_millisecond(), between.1.as_millisecond());
    let found = sqlx::query!(
        "select id from release where state in ('planned', 'frozen', 'armed') and due_at > ? and due_at <= ? order by due_at, id",
        after,
        until
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.id, "release", "id")).collect()
}

fn lead(minutes: i64) -> Result<Lead> {
    let minutes = u32::try_from(minutes).ok().and_then(|minutes| Lead::from_minutes(minutes).ok());
    minutes.ok_or(Error::Inconsistent { table: "release", column: "details_after" })
}

/// Takes a stored SHA-256.
pub(super) fn digest_of(bytes: &[u8], table: &'static str, column: &'static str) -> Result<Digest> {
    let bytes = bytes.try_into().map_err(|_| Error::Inconsistent { table, column })?;
    Ok(Digest::from_bytes(bytes))
}

#[cfg(test)]
#[path = "release_tests.rs"]
mod tests;
