//! The audiences of a project: who may know of a release before its instant.
//!
//! Guards: whoever may get text or patches has a key, because neither is ever handed out in the clear; nobody is in an audience
//! twice. Members are looked up here at the moment they are told, so that a key that was taken away gets nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::crypto::recipient::AgeRecipient;
use crate::domain::audience::{Audience, AudienceName, Lead, Level};
use crate::domain::text::{Body, EmailAddress, Label};

/// Members of one audience at most.
const MOST: usize = 200;

/// One `[[project.audience]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudienceOptions {
    /// Its name; `public` is built in.
    pub name: AudienceName,
    /// What it takes to belong to it, as the pages show it.
    pub criteria: Body,
    /// The most it may be told: `date`, `severity`, `text` or `patches`.
    pub level: Level,
    /// The longest time before the instant its members may know.
    #[serde(default = "a_week")]
    pub longest: Lead,
    /// Who belongs to it.
    #[serde(rename = "member", default)]
    pub members: Vec<AudienceMember>,
}

/// One `[[project.audience.member]]`: a person, or a list that reaches several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudienceMember {
    /// What it is called.
    pub name: Label,
    /// Where its mail goes.
    pub email: EmailAddress,
    /// The age recipient or SSH public key that text and patches are encrypted to.
    #[serde(default)]
    pub key: Option<AgeRecipient>,
}

fn a_week() -> Lead {
    Lead::days(7)
}

impl AudienceOptions {
    /// Returns the audience without its members.
    pub fn audience(&self) -> Audience {
        Audience { name: self.name.clone(), criteria: self.criteria.clone(), level: self.level, longest: self.longest }
    }

    /// Finds a member by where its mail goes; none once it was taken out.
    pub fn member(&self, email: &EmailAddress) -> Option<&AudienceMember> {
        self.members.iter().find(|member| &member.email == email)
    }

    /// Says what is wrong, as a clause that names the audience.
    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if name.as_str() == Audience::PUBLIC {
            return Err(format!("the audience {name} is built in: leave it out, or choose another name"));
        }
        if self.members.is_empty() {
            return Err(format!("audience {name}: name at least one [[project.audience.member]]"));
        }
        if self.members.len() > MOST {
            return Err(format!("audience {name}: {MOST} members at most; a mailing list counts as one"));
        }
        let mut addresses = BTreeSet::new();
        for member in &self.members {
            if !addresses.insert(&member.email) {
                return Err(format!("audience {name}: two members have the address of {}", member.name));
            }
            if self.level.is_encrypted() && member.key.is_none() {
                return Err(format!(
                    "audience {name}: {} has no `key`, and {} is handed out encrypted only: add an age1… recipient or an SSH \
                     public key",
                    member.name, self.level
                ));
            }
        }
        Ok(())
    }
}

/// Checks the audiences of one project; the error is a clause.
pub(super) fn check(audiences: &[AudienceOptions]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for audience in audiences {
        if !names.insert(&audience.name) {
            return Err(format!("two audiences have the name {}", audience.name));
        }
        audience.check()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const MEMBER: &str = "[[project.audience.member]]\nname = 'Sample Distribution'\nemail = 'security@example.org'\n";

    fn read(audience: &str) -> Result<Config, String> {
        Config::parse(&format!(
            "[[project]]\nid = 'sample'\nprefix = 'SAMPLE'\nname = 'Sample'\n[[project.repository]]\nname = 'sample'\n\
             url = 'https://git.example.org/sample.git'\nlines = ['main']\n{audience}"
        ))
    }

    #[test]
    fn an_audience_that_could_not_be_told_is_refused_in_a_sentence() {
        let dated = format!("[[project.audience]]\nname = 'early'\ncriteria = 'Sample.'\nlevel = 'severity'\n{MEMBER}");
        let config = read(&dated).unwrap();
        assert_eq!(config.projects[0].audiences[0].longest.to_string(), "7d");
        for (wrong, said) in [
            (dated.replace("'early'", "'public'"), "the audience public is built in"),
            (dated.replace("'severity'", "'patches'"), "audience early: Sample Distribution has no `key`"),
            (dated.replace("'severity'", "'everything'"), "unknown variant `everything`"),
            (format!("{dated}{dated}"), "two audiences have the name early"),
            (format!("{dated}{MEMBER}"), "two members have the address of Sample Distribution"),
            (dated.replace(MEMBER, ""), "name at least one [[project.audience.member]]"),
            (dated.replace("level", "longest = '91d'\nlevel"), "at most 90d"),
            (format!("{dated}key = 'age1broken'\n"), "age1"),
            (format!("{dated}keys = 'x'\n"), "unknown field `keys`"),
        ] {
            let error = read(&wrong).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
