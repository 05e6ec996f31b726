//! Tests of releases, journals and publications on a real database file.

use super::*;
use crate::domain::access::{Action, Consent, Holder, Role, admit};
use crate::domain::actor::Chore;
use crate::domain::audience::Lead;
use crate::domain::case::{Case, CaseState};
use crate::domain::effect::{Effect, EffectState, Outcome, Recipient, journal};
use crate::domain::embargo::Embargo;
use crate::domain::event::{Event, EventKind};
use crate::domain::forward::{Moved, MovedBy};
use crate::domain::hold::HoldReason;
use crate::domain::id::{LineId, MemberId, Minted, UpstreamId};
use crate::domain::manifest::{Document, DocumentPath, FrozenAdvisory, Manifest, Repository};
use crate::domain::plan::Plan;
use crate::domain::project::{Line, Project, TagStyle, TeamKind};
use crate::domain::recipe::Strategy;
use crate::domain::rehearsal::Maker;
use crate::domain::release::Policy;
use crate::domain::revision::RevisionKind;
use crate::store::revision::{self, RevisionFile};
use crate::store::{Reader, Store, case, effect, event, member, project, publication};

struct House {
    store: Store,
    _folder: tempfile::TempDir,
}

const CHORE: Actor = Actor::System(Chore::Disclose);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn case_id(n: u32) -> CaseId {
    CaseId::new("DEMO".parse().unwrap(), n)
}

fn person(n: u8) -> PersonId {
    PersonId::mint(1, [n; 10])
}

fn upstream() -> UpstreamId {
    UpstreamId::mint(1, [1; 10])
}

fn line() -> LineId {
    LineId::mint(1, [2; 10])
}

impl House {
    /// A project with one line, two cases, and two people: the first has a seat in both cases, the second in one.
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("embargo.db")).await.unwrap();
        let house = Self { store, _folder: folder };
        let mut tx = house.tx().await;
        let demo = Project {
            id: "demo".parse().unwrap(),
            prefix: "DEMO".parse().unwrap(),
            name: "Demo".to_owned(),
            team: TeamKind::Several,
        };
        project::configure(&mut tx, &demo).await.unwrap();
        let name = "core".parse().unwrap();
        project::configure_upstream(&mut tx, upstream(), &demo.id, &name, "https://example.org/core").await.unwrap();
        let main = Line { id: line(), upstream: upstream(), name: "main".parse().unwrap() };
        project::configure_line(&mut tx, &main, 0).await.unwrap();
        for n in [1, 2] {
            let (id, handle) = (person(n).to_string(), format!("sample{n}"));
            sqlx::query("insert into person (id, handle, name, state, created_at) values (?, ?, ?, 'active', 1)")
                .bind(&id)
                .bind(&handle)
                .bind(&handle)
                .execute(tx.conn())
                .await
                .unwrap();
        }
        for n in [1, 2] {
            house.case(&mut tx, n, Role::ReleaseManager).await;
        }
        tx.commit().await.unwrap();
        house
    }

    async fn case(&self, tx: &mut Tx, n: u32, role: Role) {
        let case = Case {
            id: case_id(n),
            project: "demo".parse().unwrap(),
            title: Sealed::from_envelope(vec![1]),
            state: CaseState::Received,
            verdict: None,
            embargo: Embargo::none(),
            opened_at: at(1),
            acknowledged_at: None,
            accepted_at: None,
            published_at: None,
            closed_at: None,
            version: Version(0),
        };
        let opened = Change::new(case, Event::of_case(EventKind::CaseMoved, &case_id(n), "received"));
        let key = case::WrappedKey { server: vec![1], recovery: vec![1] };
        case::open(tx, &CHORE, &opened, &key).await.unwrap();
        self.seat(tx, n, (1, role)).await;
    }

    async fn seat(&self, tx: &mut Tx, case: u32, seat: (u8, Role)) {
        let new = member::NewSeat {
            id: MemberId::mint(1, [u8::try_from(case).unwrap() * 10 + seat.0; 10]),
            case: case_id(case),
            holder: Holder::Person(person(seat.0)),
            role: seat.1,
            consent: Consent::Signatory,
        };
        member::seat(tx, &CHORE, &new).await.unwrap();
    }

    async fn tx(&self) -> Tx {
        self.store.begin("test", at(100)).await.unwrap()
    }

    async fn rows(&self) -> Reader {
        self.store.read().await.unwrap()
    }
}

fn grants(cases: &[u32]) -> Grants {
    let cases: Vec<_> = cases.iter().copied().map(case_id).collect();
    let each = cases.iter().map(|case| admit(&CHORE, case, None, Action::Maintain).unwrap()).collect();
    Grants::over(&cases, each).unwrap()
}

fn plan(n: u32, cases: &[u32]) -> Plan {
    Plan {
        id: ReleaseId::new("DEMO".parse().unwrap(), n),
        project: "demo".parse().unwrap(),
        cases: cases.iter().copied().map(case_id).collect(),
        targets: vec![Target {
            strategy: Strategy::Squash,
            style: TagStyle::Lightweight,
            ..Target::of(upstream(), line(), "v1.0.1".parse().unwrap())
        }],
        due_at: at(1_000),
        details_after: Some(Lead::days(7)),
        tests_due: None,
    }
}

fn oid(digit: &str) -> CommitId {
    digit.repeat(40).parse().unwrap()
}

async fn planned(house: &House, cases: &[u32]) -> Release {
    let mut tx = house.tx().await;
    let release = add(&mut tx, &CHORE, Release::plan(plan(1, cases), at(100)).unwrap()).await.unwrap();
    tx.commit().await.unwrap();
    release
}

/// Puts a running release in place by writing its columns, as freezing and arming would.
async fn running(house: &House) -> (Release, Vec<Effect>) {
    let release = planned(house, &[1]).await;
    let body = b"{}".to_vec();
    let manifest = Manifest {
        form: 1,
        release: release.id.clone(),
        project: release.project.clone(),
        dated_at: 1_000,
        cases: release.cases.clone(),
        candidates: Vec::new(),
        fixes: Vec::new(),
        tests: Vec::new(),
        repositories: vec![Repository {
            upstream: upstream(),
            name: "core".parse().unwrap(),
            cases: release.cases.clone(),
            refs: Vec::new(),
        }],
        advisories: vec![FrozenAdvisory {
            case: case_id(1),
            id: "DEMO-2027-0001".parse().unwrap(),
            title: "Sample flaw".parse().unwrap(),
            documents: vec![Document {
                path: "osv/x_DEMO-2027-0001.json".parse().unwrap(),
                media_type: "application/json".to_owned(),
                sha256: Digest::of(&body),
            }],
            details: None,
        }],
        packages: Vec::new(),
        channels: Vec::new(),
        waves: Vec::new(),
        hooks: Vec::new(),
    };
    let next = Release {
        state: ReleaseState::Running,
        frozen: Some(Frozen { lasting: manifest.lasting_digest(), sealed: Sealed::from_envelope(manifest.bytes()) }),
        ..release
    };
    let mut tx = house.tx().await;
    let change = Change::new(next, Event::new(EventKind::ReleaseBegun, "test"));
    let release = save(&mut tx, &CHORE, change).await.unwrap();
    let recipient = Recipient { seat: MemberId::mint(1, [11; 10]), case: case_id(1) };
    let effects = journal(&manifest, &[recipient]);
    effect::write(&mut tx, &release.id, &effects).await.unwrap();
    tx.commit().await.unwrap();
    (release, effects)
}

#[tokio::test]
async fn a_release_survives_its_row() {
    let house = House::open().await;
    let release = planned(&house, &[2, 1]).await;
    let candidate = Rehearsal::Candidate(Candidate {
        base: oid("1"),
        commit: oid("2"),
        tag_object: oid("3"),
        maker: Maker::Person,
        bumped: true,
        same_as: Some(oid("4")),
        inputs: Digest::of(b"inputs"),
        recipe: Digest::of(b"recipe"),
        moves: vec![Moved { branch: "stable".parse().unwrap(), by: MovedBy::Tag, old: oid("5"), new: oid("6") }],
        at: at(50),
    });
    let mut tx = house.tx().await;
    let saved = save(&mut tx, &CHORE, release.rehearsed(vec![candidate]).unwrap()).await.unwrap();
    let frozen = Some(Frozen { lasting: Digest::of(b"manifest"), sealed: Sealed::from_envelope(vec![7]) });
    let arming = Arming { person: person(1), digest: Digest::of(b"manifest"), due_at: at(1_000), armed_at: at(60) };
    let hold = Some(Hold { reason: HoldReason::LineMoved, note: "main moved".to_owned() });
    let held =
        Release { state: ReleaseState::Held, frozen, armings: vec![arming], hold, begun_at: Some(at(1_000)), ..saved };
    let change = Change::new(held, Event::new(EventKind::ReleaseHeld, "test"));
    let saved = save(&mut tx, &CHORE, change).await.unwrap();
    tx.commit().await.unwrap();
    let found = find(&mut house.rows().await, &grants(&[1, 2]), &saved.id).await.unwrap();
    assert_eq!(found, Some(saved));
    assert!(matches!(event::verify(&mut house.rows().await).await.unwrap(), event::Verified::Intact { .. }));
}

#[tokio::test]
async fn a_release_is_found_only_under_grants_over_all_its_cases() {
    let house = House::open().await;
    let release = planned(&house, &[1, 2]).await;
    assert!(find(&mut house.rows().await, &grants(&[1, 2]), &release.id).await.unwrap().is_some());
    assert!(find(&mut house.rows().await, &grants(&[1]), &release.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_person_lists_only_releases_they_may_see_whole() {
    let house = House::open().await;
    planned(&house, &[1, 2]).await;
    let seen = |n| {
        let house = &house;
        async move { of_person(&mut house.rows().await, person(n)).await.unwrap().len() }
    };
    assert_eq!((seen(1).await, seen(2).await), (1, 0));
    let mut tx = house.tx().await;
    house.seat(&mut tx, 1, (2, Role::Reviewer)).await;
    tx.commit().await.unwrap();
    assert_eq!(seen(2).await, 0);
    let mut tx = house.tx().await;
    house.seat(&mut tx, 2, (2, Role::Guest)).await;
    tx.commit().await.unwrap();
    assert_eq!(seen(2).await, 0);
    let mut tx = house.tx().await;
    house.seat(&mut tx, 2, (2, Role::Triager)).await;
    tx.commit().await.unwrap();
    assert_eq!(seen(2).await, 1);
}

#[tokio::test]
async fn the_roles_that_list_a_release_are_those_that_read_the_team_side() {
    use crate::domain::access::role_may;
    let listed = ["triager", "fixer", "reviewer", "release_manager"];
    for role in Role::ALL {
        assert_eq!(role_may(*role, Action::ReadTeam), listed.contains(&role.as_str()), "{role}");
    }
}

#[tokio::test]
async fn of_two_who_change_a_release_at_once_one_is_refused() {
    let house = House::open().await;
    let release = planned(&house, &[1]).await;
    let policy = Policy::of(TeamKind::Several);
    let mut tx = house.tx().await;
    save(&mut tx, &CHORE, release.clone().postpone(at(2_000), &policy, at(100)).unwrap()).await.unwrap();
    let second = save(&mut tx, &CHORE, release.postpone(at(3_000), &policy, at(100)).unwrap()).await;
    assert!(matches!(second, Err(Error::Conflict)));
}

#[tokio::test]
async fn a_case_is_known_to_be_in_another_live_release() {
    let house = House::open().await;
    let first = planned(&house, &[1]).await;
    let other = ReleaseId::new("DEMO".parse().unwrap(), 9);
    let mut rows = house.rows().await;
    assert_eq!(live_of(&mut rows, &case_id(1), Some(&other)).await.unwrap(), Some(first.id.clone()));
    assert_eq!(live_of(&mut rows, &case_id(1), Some(&first.id)).await.unwrap(), None);
    drop(rows);
    let mut tx = house.tx().await;
    save(&mut tx, &CHORE, first.abandon().unwrap()).await.unwrap();
    assert_eq!(live_of(&mut tx, &case_id(1), None).await.unwrap(), None);
}

#[tokio::test]
async fn only_the_newest_run_writes_the_journal() {
    let house = House::open().await;
    let (release, effects) = running(&house).await;
    let mut tx = house.tx().await;
    let old = effect::take(&mut tx, &release.id).await.unwrap().unwrap();
    let new = effect::take(&mut tx, &release.id).await.unwrap().unwrap();
    assert!(!effect::holds(&mut tx, &old).await.unwrap());
    let refused = effect::start(&mut tx, &CHORE, &old, effects[0].clone()).await;
    assert!(matches!(refused, Err(Error::Conflict)));
    let begun = effect::start(&mut tx, &CHORE, &new, effects[0].clone()).await.unwrap();
    let done = effect::end(&mut tx, &CHORE, &new, (begun, Outcome::Done("ok".to_owned()))).await.unwrap();
    assert_eq!(done.state, EffectState::Done);
    let stored = effect::of_release(&mut tx, &grants(&[1]), &release.id).await.unwrap();
    assert_eq!(stored[0], done);
    assert_eq!(stored[1..], effects[1..]);
    assert!(effect::start(&mut tx, &CHORE, &new, effects[0].clone()).await.is_err());
}

#[tokio::test]
async fn a_disarmed_release_begins_nothing_more() {
    let house = House::open().await;
    let (release, effects) = running(&house).await;
    let mut tx = house.tx().await;
    let fence = effect::take(&mut tx, &release.id).await.unwrap().unwrap();
    save(&mut tx, &CHORE, release.clone().disarm().unwrap()).await.unwrap();
    assert!(matches!(effect::start(&mut tx, &CHORE, &fence, effects[0].clone()).await, Err(Error::Conflict)));
    assert_eq!(effect::take(&mut tx, &release.id).await.unwrap(), None);
}

#[tokio::test]
async fn an_advisory_goes_up_once_and_only_with_the_frozen_bytes() {
    let house = House::open().await;
    let (release, _) = running(&house).await;
    let sealed = release.frozen.as_ref().unwrap().sealed.envelope().to_vec();
    let advisory = Manifest::parse(&sealed).unwrap().advisories.remove(0);
    let grant = admit(&CHORE, &case_id(1), None, Action::Maintain).unwrap();
    let place = (&release.id, &release.project);
    let path = advisory.documents[0].path.clone();
    let mut tx = house.tx().await;
    let changed = [(path.clone(), b"{ }".to_vec())];
    assert!(publication::publish(&mut tx, &grant, place, &advisory, &changed).await.is_err());
    drop(tx);
    let mut tx = house.tx().await;
    let frozen = [(path.clone(), b"{}".to_vec())];
    for _ in 0..2 {
        publication::publish(&mut tx, &grant, place, &advisory, &frozen).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut rows = house.rows().await;
    assert_eq!(publication::file(&mut rows, &path).await.unwrap().unwrap().body, b"{}");
    assert_eq!(publication::list(&mut rows, 10).await.unwrap().len(), 1);
    assert_eq!(publication::of_case(&mut rows, &case_id(1)).await.unwrap(), Some(advisory.id.clone()));
    drop(rows);

    // And is changed by revisions alone: all of the files or none, each later than the one before, what was stays.
    let newest = revision::newest(&mut house.rows().await, &advisory.id).await.unwrap().unwrap();
    let file = |path: &DocumentPath, body: &[u8]| RevisionFile {
        document: Document { path: path.clone(), media_type: "application/json".to_owned(), sha256: Digest::of(body) },
        body: body.to_vec(),
    };
    let next = |kind, at: Timestamp| {
        let change = revision_of(kind, at);
        newest.next(change).unwrap()
    };
    let other: DocumentPath = "osv/other.json".parse().unwrap();
    let later = newest.instant_after(newest.at);
    let corrected = next(RevisionKind::Corrected, later);
    let lying = RevisionFile { body: b"[1]".to_vec(), ..file(&path, b"[2]") };
    for wrong in [vec![file(&other, b"[]")], vec![lying]] {
        let mut tx = house.tx().await;
        assert!(revision::revise(&mut tx, &grant, &advisory.id, &corrected, &wrong).await.is_err());
    }
    let mut tx = house.tx().await;
    let same = next(RevisionKind::Corrected, newest.at);
    let early = revision::revise(&mut tx, &grant, &advisory.id, &same, &[file(&path, b"[]")]).await;
    assert!(matches!(early, Err(Error::Conflict)), "two revisions of one instant: {early:?}");
    for _ in 0..2 {
        let made = revision::revise(&mut tx, &grant, &advisory.id, &corrected, &[file(&path, b"[]")]).await;
        assert_eq!(made.unwrap(), 2, "repeated, it is the same one");
    }
    tx.commit().await.unwrap();
    let mut rows = house.rows().await;
    let public = publication::file(&mut rows, &path).await.unwrap().unwrap();
    assert_eq!((public.body.as_slice(), public.revision), (b"[]".as_slice(), 2));
    let first = revision::files(&mut rows, &advisory.id, 1).await.unwrap();
    assert_eq!((first.len(), first[0].body.as_slice()), (1, b"{}".as_slice()));
    let listed = publication::list(&mut rows, 10).await.unwrap().remove(0);
    assert_eq!((listed.title.as_str(), listed.kind), ("Corrected title", RevisionKind::Corrected));
    assert_eq!(revision::of_advisory(&mut rows, &advisory.id).await.unwrap().len(), 2);
}

fn revision_of(kind: RevisionKind, at: Timestamp) -> crate::domain::revision::Change {
    crate::domain::revision::Change {
        kind,
        at,
        why: "A sample was wrong.".parse().unwrap(),
        title: "Corrected title".parse().unwrap(),
    }
}

#[tokio::test]
async fn what_is_due_is_armed_and_over_or_running() {
    let house = House::open().await;
    let release = planned(&house, &[1]).await;
    let mut tx = house.tx().await;
    let frozen = Some(Frozen { lasting: Digest::of(b"x"), sealed: Sealed::from_envelope(vec![7]) });
    let armed = Release { state: ReleaseState::Armed, frozen, ..release.clone() };
    save(&mut tx, &CHORE, Change::new(armed, Event::new(EventKind::ReleaseArmed, "test"))).await.unwrap();
    assert!(due(&mut tx, at(999)).await.unwrap().is_empty());
    assert_eq!(due(&mut tx, at(1_000)).await.unwrap(), [release.id]);
}

#[tokio::test]
async fn every_word_of_a_release_may_stand_in_its_column() {
    use crate::domain::effect::Phase;
    let house = House::open().await;
    let mut rows = house.rows().await;
    let words = |table: &'static str, column: &'static str, all: Vec<&'static str>| {
        let listed = all.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
        (table, format!("{column} in ({listed})"))
    };
    let expected = [
        words("release", "state", ReleaseState::ALL.iter().map(|word| word.as_str()).collect()),
        words("release", "hold", HoldReason::ALL.iter().map(|word| word.as_str()).collect()),
        words("effect", "reason", HoldReason::ALL.iter().map(|word| word.as_str()).collect()),
        words("effect", "phase", Phase::ALL.iter().map(|word| word.as_str()).collect()),
        words("effect", "state", EffectState::ALL.iter().map(|word| word.as_str()).collect()),
    ];
    for (table, check) in expected {
        let sql: String = sqlx::query_scalar("select sql from sqlite_schema where name = ?")
            .bind(table)
            .fetch_one(rows.conn())
            .await
            .unwrap();
        assert!(sql.contains(&check), "{table}: {check}");
    }
}

#[tokio::test]
async fn a_write_that_the_disk_ended_does_not_stop_those_after_it() {
    let house = House::open().await;
    for _ in 0..3 {
        let mut tx = house.tx().await;
        // What a full disk does: the whole transaction is rolled back, and the driver is not asked.
        let twice = "insert or rollback into project select * from project";
        assert!(sqlx::query(twice).execute(tx.conn()).await.is_err());
        drop(tx);
        let tx = house.tx().await;
        tx.commit().await.unwrap();
    }
}
