//! Starting a workflow of a repository on GitHub, or on Forgejo and Gitea.
//!
//! Guards: a workflow that may have been started is not called a failure: a lost answer ends as unknown. Leaves to the caller
//! that it is not started a second time then.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde::Serialize;

use super::repository::{ForgeRepository, encoded, refusal, unreached};
use super::{Answer, Forge, failed};
use crate::domain::effect::Outcome;
use crate::domain::hook::WorkflowFile;
use crate::domain::repo::LineName;

/// What a workflow is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Dispatch<'a> {
    /// The branch it runs on.
    #[serde(rename = "ref")]
    branch: &'a str,
    /// What it is given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    inputs: &'a BTreeMap<String, String>,
}

impl Forge {
    /// Starts a workflow on a branch.
    pub async fn dispatch(
        &self,
        repository: &ForgeRepository<'_>,
        workflow: &WorkflowFile,
        (branch, inputs): (&LineName, &BTreeMap<String, String>),
    ) -> Outcome {
        let path = format!("/actions/workflows/{}/dispatches", encoded(workflow.as_str()));
        let wish = Dispatch { branch: branch.as_str(), inputs };
        let request = self.ask(repository, Method::POST, &path).json(&wish);
        match self.status(request).await {
            Answer::Said(status, _) if status.is_success() => Outcome::Done("started on the forge".to_owned()),
            Answer::Said(StatusCode::NOT_FOUND, _) => failed(
                "The forge knows no such workflow, or does not show it to this token: see to `place`, `workflow` and the token's \
                 rights.",
            ),
            Answer::Said(StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST, _) => failed(
                "The forge refuses to start the workflow: it needs `workflow_dispatch`, this branch and these inputs.",
            ),
            // It may have been started before the forge failed.
            Answer::Said(status, _) if status.is_server_error() => {
                Outcome::Unknown(format!("The forge answered {}: it may have started the workflow.", status.as_u16()))
            }
            Answer::Said(status, _) => refusal(status),
            Answer::Unreached => unreached(),
            Answer::Lost => Outcome::Unknown("The forge did not answer: it may have started the workflow.".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_that_takes_nothing_is_given_nothing() {
        let mut inputs = BTreeMap::new();
        let json =
            |inputs: &BTreeMap<String, String>| serde_json::to_string(&Dispatch { branch: "main", inputs }).unwrap();
        assert_eq!(json(&inputs), r#"{"ref":"main"}"#);
        inputs.insert("state".to_owned(), "frozen".to_owned());
        assert_eq!(json(&inputs), r#"{"ref":"main","inputs":{"state":"frozen"}}"#);
    }
}
