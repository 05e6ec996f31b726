//! What an operator writes down for a hook around the instant, and what is wrong with it in a clause.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::channel::{ChannelUrl, ForgeKind, ForgePlace};
use crate::domain::hook::{Does, Hook, HookName, Offset, WorkflowFile};
use crate::domain::id::words;
use crate::domain::repo::LineName;
use crate::forge::options::{ForgeReach, Reach};

/// GitHub takes no more inputs of a workflow.
const INPUTS: usize = 25;

words! {
    /// What a hook does.
    HookKind {
        /// It tells a program by HTTP.
        Webhook = "webhook",
        /// It starts a workflow on a forge.
        Workflow = "workflow",
    }
}

/// One `[[project.hook]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookConfig {
    /// Its name, as pages and the journal show it.
    pub name: HookName,
    /// When it runs, from the instant; without it, only to undo another.
    #[serde(default)]
    pub at: Option<Offset>,
    /// The hook that undoes it, should the release not go ahead as it was armed.
    #[serde(default)]
    pub undo: Option<HookName>,
    /// What it does.
    pub kind: HookKind,
    /// A webhook: where it listens.
    #[serde(default)]
    pub url: Option<ChannelUrl>,
    /// A webhook: the file of the secret that signs.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// A workflow: whose API the forge speaks.
    #[serde(default)]
    pub forge: Option<ForgeKind>,
    /// A workflow: where the API is.
    #[serde(default)]
    pub api: Option<ChannelUrl>,
    /// A workflow: `<owner>/<name>` there.
    #[serde(default)]
    pub place: Option<ForgePlace>,
    /// A workflow: its file.
    #[serde(default)]
    pub workflow: Option<WorkflowFile>,
    /// A workflow: the branch it runs on.
    #[serde(default)]
    pub branch: Option<LineName>,
    /// A workflow: what it is given.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// A workflow: the file of the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

impl HookConfig {
    /// Returns the hook; the error is a clause that says which key is missing or of no use.
    fn hook(&self) -> Result<Hook, String> {
        let Self { name, at, undo, kind, url, secret_file, forge, api, place, workflow, branch, inputs, token_file } =
            self.clone();
        let reach = Reach { url, secret_file, forge, api, place, token_file };
        let does = match (kind, workflow, branch) {
            (HookKind::Webhook, None, None) if inputs.is_empty() => {
                reach.webhook().map(|(url, secret_file)| Does::Webhook { url, secret_file })
            }
            (HookKind::Workflow, Some(workflow), Some(branch)) if inputs.len() <= INPUTS => match reach.forge() {
                Some(ForgeReach { forge: Some(forge), api, place, token_file }) => {
                    Some(Does::Workflow { forge, api, place, workflow, branch, inputs, token_file })
                }
                Some(_) | None => None,
            },
            (HookKind::Webhook | HookKind::Workflow, _, _) => None,
        };
        let wanted = match kind {
            HookKind::Webhook => "a webhook has `url` and `secret_file`, and no key of a workflow",
            HookKind::Workflow => {
                "a workflow has `forge`, `api` without a query, `place`, `workflow`, `branch` and `token_file`, at most 25 \
                 `inputs`, and no key of a webhook"
            }
        };
        does.map(|does| Hook { name, at, does, undo }).ok_or_else(|| wanted.to_owned())
    }
}

/// Parses the hooks of one project; the error is a clause that names the hook.
pub(super) fn all(options: &[HookConfig]) -> Result<Vec<Hook>, String> {
    let mut hooks: Vec<Hook> = Vec::new();
    for option in options {
        let name = &option.name;
        if hooks.iter().any(|known| &known.name == name) {
            return Err(format!("two hooks have the name {name}"));
        }
        hooks.push(option.hook().map_err(|wrong| format!("hook {name}: {wrong}"))?);
    }
    for hook in &hooks {
        let name = &hook.name;
        let Some(undo) = &hook.undo else { continue };
        if hook.before().is_none() {
            return Err(format!("hook {name}: only what runs before the instant is undone"));
        }
        if undo == name || !hooks.iter().any(|other| &other.name == undo) {
            return Err(format!("hook {name}: the project names no other hook {undo} that undoes it"));
        }
    }
    for hook in hooks.iter().filter(|hook| hook.at.is_none()) {
        let name = &hook.name;
        if !hooks.iter().any(|other| other.undo.as_ref() == Some(name)) {
            return Err(format!("hook {name} would never run: give `at`, or name it as the `undo` of another"));
        }
    }
    Ok(hooks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<usize, String> {
        #[derive(Deserialize)]
        struct Whole {
            hook: Vec<HookConfig>,
        }
        let whole: Whole = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        all(&whole.hook).map(|all| all.len())
    }

    #[test]
    fn each_kind_has_its_own_keys_and_what_undoes_is_there() {
        let freeze = "[[hook]]\nname = 'freeze'\nat = '-2h'\nundo = 'unfreeze'\nkind = 'webhook'\n\
                      url = 'https://hooks.example.org/x'\nsecret_file = '/etc/secret'\n";
        let unfreeze = "[[hook]]\nname = 'unfreeze'\nat = '+15m'\nkind = 'workflow'\nforge = 'github'\n\
                        api = 'https://api.github.com'\nplace = 'sample/demo'\nworkflow = 'nightly.yml'\nbranch = 'main'\n\
                        inputs = { state = 'open' }\ntoken_file = '/etc/token'\n";
        let both = format!("{freeze}{unfreeze}");
        assert_eq!(parsed(&both), Ok(2));
        assert_eq!(parsed(&both.replace("at = '+15m'\n", "")), Ok(2), "it only undoes");
        for (wrong, said) in [
            (freeze.to_owned(), "names no other hook unfreeze"),
            (format!("{unfreeze}{unfreeze}"), "two hooks have the name unfreeze"),
            (unfreeze.replace("at = '+15m'\n", ""), "would never run"),
            (both.replace("'-2h'", "'+2h'"), "only what runs before the instant is undone"),
            (both.replace("'-2h'", "'2h'"), "a sign, a number"),
            (unfreeze.replace("branch = 'main'\n", ""), "a workflow has `forge`"),
            (unfreeze.replace("github.com'", "github.com/?a'"), "`api` without a query"),
            (unfreeze.replace("nightly.yml", "../x"), "named by its file"),
            (format!("{unfreeze}{freeze}token_file = '/etc/token'\n"), "no key of a workflow"),
            (unfreeze.replace("https", "http"), "plain http is for"),
        ] {
            let error = parsed(&wrong).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
