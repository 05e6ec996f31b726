//! What the operator does from a shell on the server: the first person, more people, links for them, teams.
//!
//! It works beside a running server, on the database alone. Guards: none of this opens a case (`Via::Console` is admitted to
//! none), and each act is an event. Leaves everything people do for themselves to [`super::account`].

use super::account::{add_key_in, minted_hash};
use super::{Error, Result};
use crate::app::{App, Clock};
use crate::crypto::token::{self, Kind};
use crate::domain::access::Role;
use crate::domain::account::{KeyKind, Person, PersonKey};
use crate::domain::actor::{Actor, Via};
use crate::domain::id::{CaseId, Minted, PersonId, ProjectId};
use crate::domain::refusal::Refusal;
use crate::domain::sealed::Secret;
use crate::domain::session::{LinkKind, SignInLink};
use crate::domain::text::{EmailAddress, Handle, Label};
use crate::store::{self, Store};

/// The operator's shell: the database and a clock, without the ports of a server.
#[derive(Debug)]
pub struct Console {
    store: Store,
    clock: Clock,
}

/// Somebody to add.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// Their handle.
    pub handle: Handle,
    /// What they want to be called.
    pub name: Label,
    /// Where notices go.
    pub email: Option<EmailAddress>,
    /// Keys they have given the operator.
    pub keys: Vec<(KeyKind, String)>,
}

impl From<&App> for Console {
    fn from(app: &App) -> Self {
        Self { store: app.store.clone(), clock: app.clock.clone() }
    }
}

impl Console {
    /// Works on this database.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Adds the first person of a new data folder; refuses where there is somebody already.
    pub async fn found(&self, new: NewPerson) -> Result<Person> {
        let mut tx = self.store.begin("console.found", self.clock.now()).await?;
        if !store::account::is_empty(&mut tx).await? {
            return Err(Refusal::moment("There are people here already: use `embargo admin person add`.").into());
        }
        let id = self.mint();
        store::account::found(&mut tx, &operator(id)).await?;
        let person = self.add(&mut tx, id, new).await?;
        tx.commit().await?;
        Ok(person)
    }

    /// Adds a person.
    pub async fn add_person(&self, new: NewPerson) -> Result<Person> {
        let mut tx = self.store.begin("console.add_person", self.clock.now()).await?;
        let person = self.add(&mut tx, self.mint(), new).await?;
        tx.commit().await?;
        Ok(person)
    }

    /// Adds a key that a person has given the operator.
    pub async fn add_key(&self, handle: &Handle, key: (KeyKind, &str)) -> Result<PersonKey> {
        let mut tx = self.store.begin("console.add_key", self.clock.now()).await?;
        let person = find(&mut tx, handle).await?;
        let added = add_key_in(&mut tx, &operator(person.id), (self.mint(), person.id), key).await?;
        tx.commit().await?;
        Ok(added)
    }

    /// Changes where a person's notices go.
    pub async fn set_email(&self, handle: &Handle, email: EmailAddress) -> Result<Person> {
        let mut tx = self.store.begin("console.set_email", self.clock.now()).await?;
        let person = find(&mut tx, handle).await?;
        let actor = operator(person.id);
        let person = store::account::set_email(&mut tx, &actor, person.readdress(Some(email), &Via::Console)).await?;
        tx.commit().await?;
        Ok(person)
    }

    /// Makes a one-time code that signs this person in: 15 minutes, single use.
    pub async fn make_link(&self, handle: &Handle) -> Result<(Secret, SignInLink)> {
        let code = token::mint(Kind::SignIn);
        let mut tx = self.store.begin("console.make_link", self.clock.now()).await?;
        let person = find(&mut tx, handle).await?;
        let change = SignInLink::make(person.id, LinkKind::Invitation, tx.now());
        let hash = minted_hash(Kind::SignIn, &code)?;
        let link = store::session::add_link(&mut tx, &operator(person.id), change, &hash).await?;
        tx.commit().await?;
        Ok((code, link))
    }

    /// Puts a person in a project's team, or changes their role. Older cases are not opened to them by this.
    pub async fn join_team(&self, project: &ProjectId, handle: &Handle, role: Role) -> Result<Person> {
        if matches!(role, Role::Reporter | Role::Guest) {
            let sentence =
                "A team has auditors, triagers, fixers, reviewers and release managers; others get a seat in a case.";
            return Err(Refusal::input(sentence).into());
        }
        let mut tx = self.store.begin("console.join_team", self.clock.now()).await?;
        if store::project::find(&mut tx, project).await?.is_none() {
            return Err(Refusal::input(
                "There is no such project: write it into the configuration and start the server once.",
            )
            .into());
        }
        let person = find(&mut tx, handle).await?;
        store::member::join_team(&mut tx, &operator(person.id), (project, person.id), role).await?;
        tx.commit().await?;
        Ok(person)
    }

    /// Takes a person out of a project's team and of all its cases; returns the cases they had a seat in.
    ///
    /// Refused while a release waits on their arming, and while an open case would be left to nobody: no operator could
    /// let anyone into it.
    pub async fn leave_team(&self, project: &ProjectId, handle: &Handle) -> Result<(Person, Vec<CaseId>)> {
        let mut tx = self.store.begin("console.leave_team", self.clock.now()).await?;
        let person = find(&mut tx, handle).await?;
        let team = store::member::team(&mut tx, project).await?;
        if !team.iter().any(|member| member.person == person.id) {
            return Err(Refusal::input(format!("@{handle} is not in the team of {project}.")).into());
        }
        if let Some(release) = store::arming::armed_in(&mut tx, project, person.id).await? {
            return Err(Refusal::moment(format!(
                "This person armed {release}: disarm it first (`embargo release disarm {release}`), then take them out of the team."
            ))
            .into());
        }
        if let Some(case) = store::member::kept_by(&mut tx, project, person.id).await? {
            return Err(Refusal::moment(format!(
                "Nobody else of the team has a seat in {case}: let them invite somebody first \
                 (`embargo case invite {case} HANDLE ROLE`), or close it."
            ))
            .into());
        }
        let cases = store::member::leave_team(&mut tx, &operator(person.id), (project, person.id)).await?;
        tx.commit().await?;
        Ok((person, cases))
    }

    async fn add(&self, tx: &mut store::Tx, id: PersonId, new: NewPerson) -> Result<Person> {
        let actor = operator(id);
        let taken = Refusal::moment("This handle is taken: choose another.");
        if store::account::by_handle(tx, &new.handle).await?.is_some() {
            return Err(taken.into());
        }
        let change = Person::add(id, new.handle, new.name, new.email);
        let person = store::account::add(tx, &actor, change).await.map_err(|error| match error {
            // A disabled person's handle stays theirs.
            store::Error::Conflict => Error::Refused(taken),
            other => other.into(),
        })?;
        for (kind, public) in &new.keys {
            add_key_in(tx, &actor, (self.mint(), id), (*kind, public)).await?;
        }
        Ok(person)
    }

    fn mint<T: Minted>(&self) -> T {
        T::mint(u64::try_from(self.clock.now().as_millisecond()).unwrap_or_default(), token::random())
    }
}

/// The operator has no account: an event names the person it is about, and its object that it was the operator.
fn operator(about: PersonId) -> Actor {
    Actor::Person { id: about, via: Via::Console }
}

async fn find(tx: &mut store::Tx, handle: &Handle) -> Result<Person> {
    let unknown = || Refusal::input("There is no person with this handle: add them with `embargo admin person add`.");
    Ok(store::account::by_handle(tx, handle).await?.ok_or_else(unknown)?)
}
