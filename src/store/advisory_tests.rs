//! Tests of drafts on a real database file.

use super::*;
use crate::domain::access::{Action, Consent, Holder, Role, admit};
use crate::domain::actor::{Actor, Chore, Via};
use crate::domain::case::{Case, CaseState};
use crate::domain::change::Change;
use crate::domain::embargo::Embargo;
use crate::domain::id::{CaseId, MemberId, Minted};
use crate::domain::project::{Project, TeamKind};
use crate::store::{Error, Store, case, event, member, project};

const CHORE: Actor = Actor::System(Chore::Disclose);

struct House {
    store: Store,
    _folder: tempfile::TempDir,
}

fn case_id() -> CaseId {
    "DEMO-1".parse().unwrap()
}

fn person(n: u8) -> PersonId {
    PersonId::mint(1, [n; 10])
}

fn text(byte: u8) -> Sealed<Advisory> {
    Sealed::from_envelope(vec![byte])
}

impl House {
    /// A project with one case and two people who have seats in it.
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
        let opened = Case {
            id: case_id(),
            project: demo.id.clone(),
            title: Sealed::from_envelope(vec![1]),
            state: CaseState::Received,
            verdict: None,
            embargo: Embargo::none(),
            opened_at: Timestamp::UNIX_EPOCH,
            acknowledged_at: None,
            accepted_at: None,
            published_at: None,
            closed_at: None,
            version: Version(0),
        };
        let opened = Change::new(opened, Event::of_case(EventKind::CaseMoved, &case_id(), "received"));
        let key = case::WrappedKey { server: vec![1], recovery: vec![1] };
        case::open(&mut tx, &CHORE, &opened, &key).await.unwrap();
        for n in [1, 2] {
            let (id, handle) = (person(n).to_string(), format!("sample{n}"));
            sqlx::query("insert into person (id, handle, name, state, created_at) values (?, ?, ?, 'active', 1)")
                .bind(&id)
                .bind(&handle)
                .bind(&handle)
                .execute(tx.conn())
                .await
                .unwrap();
            let seat = member::NewSeat {
                id: MemberId::mint(1, [n; 10]),
                case: case_id(),
                holder: Holder::Person(person(n)),
                role: Role::Reviewer,
                consent: Consent::Signatory,
            };
            member::seat(&mut tx, &CHORE, &seat).await.unwrap();
        }
        tx.commit().await.unwrap();
        house
    }

    async fn tx(&self) -> Tx {
        self.store.begin("test", Timestamp::UNIX_EPOCH).await.unwrap()
    }
}

async fn grant(tx: &mut Tx, n: u8, action: Action) -> Grant {
    let actor = Actor::Person { id: person(n), via: Via::Session { fresh: false } };
    let seat = member::admission(tx, &actor, &case_id()).await.unwrap();
    admit(&actor, &case_id(), seat.as_ref(), action).unwrap()
}

#[tokio::test]
async fn an_edit_voids_the_approval_and_names_its_editor() {
    let house = House::open().await;
    let mut tx = house.tx().await;
    let (first, second) =
        (grant(&mut tx, 1, Action::EditAdvisory).await, grant(&mut tx, 2, Action::ApproveAdvisory).await);
    edit(&mut tx, &first, &text(1), None).await.unwrap();
    let draft = get(&mut tx, &first).await.unwrap().unwrap();
    assert_eq!((draft.edited_by, draft.approved), (Some(person(1)), None));
    let digest = Digest::of(b"files");
    approve(&mut tx, &second, person(2), (digest, draft.version)).await.unwrap();
    let draft = get(&mut tx, &first).await.unwrap().unwrap();
    assert_eq!((draft.edited_by, draft.approved), (Some(person(1)), Some((digest, person(2)))));
    let editing = grant(&mut tx, 2, Action::EditAdvisory).await;
    edit(&mut tx, &editing, &text(2), Some(draft.version)).await.unwrap();
    let draft = get(&mut tx, &first).await.unwrap().unwrap();
    assert_eq!((draft.edited_by, draft.approved), (Some(person(2)), None));
    assert_eq!(draft.sealed.envelope(), [2]);
    let kinds: Vec<_> = event::of_case(&mut tx, &first, 3).await.unwrap().into_iter().map(|e| e.plain.kind).collect();
    assert_eq!(kinds, ["advisory.edited", "advisory.approved", "advisory.edited"]);
}

#[tokio::test]
async fn a_stale_edit_or_approval_is_a_conflict() {
    let house = House::open().await;
    let mut tx = house.tx().await;
    let grant = grant(&mut tx, 1, Action::EditAdvisory).await;
    edit(&mut tx, &grant, &text(1), None).await.unwrap();
    assert!(
        matches!(edit(&mut tx, &grant, &text(2), None).await, Err(Error::Conflict)),
        "there is a first one already"
    );
    edit(&mut tx, &grant, &text(2), Some(Version(0))).await.unwrap();
    assert!(matches!(edit(&mut tx, &grant, &text(3), Some(Version(0))).await, Err(Error::Conflict)));
    let stale = approve(&mut tx, &grant, person(1), (Digest::of(b"files"), Version(0))).await;
    assert!(matches!(stale, Err(Error::Conflict)));
    assert_eq!(get(&mut tx, &grant).await.unwrap().unwrap().sealed.envelope(), [2]);
}

#[tokio::test]
async fn a_public_id_is_given_once() {
    let house = House::open().await;
    let mut tx = house.tx().await;
    let grant = grant(&mut tx, 1, Action::EditAdvisory).await;
    edit(&mut tx, &grant, &text(1), None).await.unwrap();
    let id = |n| AdvisoryId::new(&"DEMO".parse().unwrap(), 2026, n).unwrap();
    name(&mut tx, &grant, &id(1)).await.unwrap();
    assert!(matches!(name(&mut tx, &grant, &id(2)).await, Err(Error::Conflict)));
    let draft = get(&mut tx, &grant).await.unwrap().unwrap();
    assert_eq!(draft.public_id, Some(id(1)));
    edit(&mut tx, &grant, &text(2), Some(draft.version)).await.unwrap();
    assert_eq!(get(&mut tx, &grant).await.unwrap().unwrap().public_id, Some(id(1)), "an edit keeps it");
}
