//! Who may do what in a project as a whole. [`admit_project`] is the only way to a [`ProjectGrant`].
//!
//! Guards: who is not in the team is told nothing of it, and a token reaches no further than it says. Leaves cases to
//! [`super::access`]: a place in the team opens none by itself.

use super::access::{Denied, Role};
use super::actor::{Actor, Chore, Scope, Via};
use super::id::{PersonId, ProjectId, words};
use super::refusal::Refusal;

words! {
    /// Something a person may want to do in a project as a whole.
    ProjectAction {
        /// See the project's page and its mirror.
        ReadProject = "read_project",
        /// Ask for a mirror run now.
        RunMirror = "run_mirror",
        /// Start a release train.
        StartRelease = "start_release",
        /// Change the team.
        ChangeTeam = "change_team",
    }
}

/// A person's place in a project's team. Made only in `store::member`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamSeat {
    /// The project.
    pub project: ProjectId,
    /// Who.
    pub person: PersonId,
    /// The part they play.
    pub role: Role,
}

/// Proof that this person may do this in this project.
#[derive(Debug)]
pub struct ProjectGrant {
    actor: Actor,
    project: ProjectId,
    role: Option<Role>,
}

impl ProjectGrant {
    /// Returns who was admitted.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns the project.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// Returns the role in the team; none for the server itself.
    pub fn role(&self) -> Option<Role> {
        self.role
    }
}

/// Admits the actor to the action in the project. The only constructor of [`ProjectGrant`].
pub fn admit_project(
    actor: &Actor,
    project: &ProjectId,
    seat: Option<&TeamSeat>,
    action: ProjectAction,
) -> Result<ProjectGrant, Denied> {
    match actor {
        Actor::System(Chore::Mirror) if action == ProjectAction::RunMirror => {
            Ok(ProjectGrant { actor: actor.clone(), project: project.clone(), role: None })
        }
        Actor::System(_) | Actor::Reporter(_) => Err(Denied::Hidden),
        Actor::Person { id, via } => {
            let seat = seat.filter(|seat| &seat.project == project && seat.person == *id).ok_or(Denied::Hidden)?;
            if let Via::Token(reach) = via {
                let needed = if action == ProjectAction::ReadProject { Scope::ApiRead } else { Scope::ApiWrite };
                let elsewhere = reach.project.as_ref().is_some_and(|only| only != project);
                if elsewhere || reach.case.is_some() {
                    return Err(Denied::Hidden);
                }
                if !reach.scopes.contains(&needed) {
                    return Err(Denied::Refused(Refusal::person("This token's scope does not include this.")));
                }
            }
            let allowed = match action {
                ProjectAction::ReadProject => true,
                ProjectAction::RunMirror => seat.role >= Role::Triager,
                ProjectAction::StartRelease | ProjectAction::ChangeTeam => seat.role == Role::ReleaseManager,
            };
            if allowed {
                Ok(ProjectGrant { actor: actor.clone(), project: project.clone(), role: Some(seat.role) })
            } else {
                Err(Denied::Refused(Refusal::person(format!(
                    "Your role in this team ({}) does not include this ({action}): ask a release manager.",
                    seat.role
                ))))
            }
        }
    }
}
