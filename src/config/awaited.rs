//! What an operator writes down for a package that releases wait for, and what is wrong with it in a clause.

use serde::{Deserialize, Serialize};

use crate::domain::awaited::{Awaited, AwaitedName, Follows, Registry, RegistryName, TagForm};
use crate::domain::channel::ChannelUrl;
use crate::domain::id::words;
use crate::domain::repo::RepoName;

words! {
    /// What kind of place a package appears at.
    RegistryKind {
        /// A Python index.
        Python = "python",
        /// An npm registry.
        Npm = "npm",
        /// A sparse index of cargo.
        Cargo = "cargo",
        /// Any address.
        Url = "url",
    }
}

/// One `[[project.await]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwaitConfig {
    /// What the journal calls it.
    pub name: AwaitedName,
    /// The `[[project.repository]]` it is built from.
    pub repository: RepoName,
    /// What kind of place it appears at.
    pub kind: RegistryKind,
    /// Where that is.
    pub index: ChannelUrl,
    /// Its name there; an address has none.
    #[serde(default)]
    pub package: Option<RegistryName>,
    /// How its version stands in a tag.
    #[serde(default)]
    pub tag: Option<TagForm>,
    /// What an advisory waits for.
    #[serde(default = "push")]
    pub advisory: Follows,
    /// How long is waited, in minutes from the push.
    #[serde(default = "an_hour")]
    pub wait_minutes: u32,
}

fn push() -> Follows {
    Follows::Push
}
fn an_hour() -> u32 {
    60
}

impl AwaitConfig {
    /// Returns the package; the error is a clause that says which key is missing or of no use.
    pub fn awaited(&self) -> Result<Awaited, String> {
        let index = self.index.clone();
        let address = index.expose();
        if !(1..=7 * 24 * 60).contains(&self.wait_minutes) {
            return Err("`wait_minutes` is from 1 to 10080, a week".to_owned());
        }
        let place = match (self.kind, self.package.clone()) {
            (RegistryKind::Url, None) if address.contains("{version}") || address.contains("{tag}") => {
                Registry::Url { index }
            }
            (RegistryKind::Url, _) => {
                return Err("a url has {version} or {tag} in its `index`, and no `package`".to_owned());
            }
            (_, Some(_)) if !index.is_base() || address.contains(['{', '}']) => {
                return Err("`index` is the registry's address, without a query or braces".to_owned());
            }
            (RegistryKind::Python, Some(package)) => Registry::Python { index, package },
            (RegistryKind::Npm, Some(package)) => Registry::Npm { index, package },
            (RegistryKind::Cargo, Some(package)) => Registry::Cargo { index, package },
            (RegistryKind::Python | RegistryKind::Npm | RegistryKind::Cargo, None) => {
                return Err("`package` is missing: its name at the registry".to_owned());
            }
        };
        let (name, tag) = (self.name.clone(), self.tag.clone());
        Ok(Awaited { name, place, tag, advisory: self.advisory, wait_minutes: self.wait_minutes })
    }
}

/// Parses what a project waits for over its repositories; the error is a clause that names the package.
pub(super) fn all(options: &[AwaitConfig], repositories: &[&RepoName]) -> Result<Vec<(RepoName, Awaited)>, String> {
    let mut all: Vec<(RepoName, Awaited)> = Vec::new();
    for option in options {
        let name = &option.name;
        if all.iter().any(|(_, known)| &known.name == name) {
            return Err(format!("two packages are awaited under the name {name}"));
        }
        if !repositories.contains(&&option.repository) {
            return Err(format!("awaited package {name}: the project names no repository {}", option.repository));
        }
        let awaited = option.awaited().map_err(|wrong| format!("awaited package {name}: {wrong}"))?;
        all.push((option.repository.clone(), awaited));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<usize, String> {
        #[derive(Deserialize)]
        struct Whole {
            r#await: Vec<AwaitConfig>,
        }
        let whole: Whole = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        all(&whole.r#await, &[&"demo".parse().unwrap()]).map(|all| all.len())
    }

    #[test]
    fn each_kind_has_its_own_keys() {
        let wheel = "[[await]]\nname = 'wheel'\nrepository = 'demo'\nkind = 'python'\npackage = 'sample'\n\
                     index = 'https://index.example.org/simple'\n";
        let url = "[[await]]\nname = 'image'\nrepository = 'demo'\nkind = 'url'\n\
                   index = 'https://example.org/{version}/sample.zip'\n";
        assert_eq!(parsed(&format!("{wheel}{url}")), Ok(2));
        for (wrong, said) in [
            (format!("{wheel}{wheel}"), "two packages are awaited under the name wheel"),
            (wheel.replace("'demo'", "'other'"), "names no repository other"),
            (wheel.replace("package = 'sample'\n", ""), "`package` is missing"),
            (wheel.replace("/simple'", "/?a=b'"), "without a query"),
            (url.replace("{version}", "latest"), "{version} or {tag}"),
            (format!("{url}package = 'sample'\n"), "no `package`"),
            (format!("{url}wait_minutes = 0\n"), "from 1 to 10080"),
            (format!("{url}tag = 'v'\n"), "holds {version} once"),
            (format!("{url}advisory = 'never'\n"), "unknown"),
            (url.replace("https", "http"), "plain http is for"),
        ] {
            let error = parsed(&wrong).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
