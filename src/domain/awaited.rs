//! Packages that a release waits for: built by the project's own means once the tag is public, and installable when their
//! registry says so.
//!
//! Guards: what is waited for is frozen with the release, by name, version and place; waiting ends, by the package or by the
//! longest time its project gave it. Leaves asking the registry to `forge::registry`.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::channel::ChannelUrl;
use super::effect::Outcome;
use super::hold::HoldReason;
use super::id::{CaseId, UpstreamId, words};
use super::plain::{Form, Plain};
use super::refusal::Malformed;
use super::repo::TagName;

words! {
    /// What an advisory waits for.
    Follows {
        /// The push alone: the package is waited for beside it.
        Push = "push",
        /// The package; when it does not come in time, a person is asked.
        Package = "package",
        /// The package; when it does not come in time, the advisory goes out without it.
        PackageOrTime = "package_or_time",
    }
}

/// The form of an [`AwaitedName`].
pub enum AwaitedNameForm {}

/// What an awaited package is called in its project: lower-case letters, digits and inner dashes, at most 40.
pub type AwaitedName = Plain<AwaitedNameForm>;

impl Form for AwaitedNameForm {
    const NAME: &'static str = "AwaitedName";
    const RULE: &'static str = "an awaited package's name is 1 to 40 lower-case letters, digits and dashes, not starting or ending with a dash";
    fn fits(text: &str) -> bool {
        super::channel::ChannelNameForm::fits(text)
    }
}

/// The form of a [`RegistryName`].
pub enum RegistryNameForm {}

/// A package's name at its registry: letters, digits and `._-`, and for npm a scope before it (`@scope/name`).
pub type RegistryName = Plain<RegistryNameForm>;

impl Form for RegistryNameForm {
    const NAME: &'static str = "RegistryName";
    const RULE: &'static str = "a package's name at its registry is letters, digits and ._-, for npm also @scope/name";
    fn fits(text: &str) -> bool {
        let part = |part: &str| {
            let inner = part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            (1..=100).contains(&part.len()) && inner && !part.starts_with('.')
        };
        match text.strip_prefix('@').map(|scoped| scoped.split_once('/')) {
            Some(Some((scope, name))) => part(scope) && part(name),
            Some(None) => false,
            None => part(text),
        }
    }
}

/// The form of a [`PackageVersion`].
pub enum PackageVersionForm {}

/// The version of an awaited package, as its registry writes it.
pub type PackageVersion = Plain<PackageVersionForm>;

impl Form for PackageVersionForm {
    const NAME: &'static str = "PackageVersion";
    const RULE: &'static str =
        "a package's version is 1 to 100 letters, digits and .+-_!~, and begins with one of the first two";
    fn fits(text: &str) -> bool {
        let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-_!~".contains(&b));
        (1..=100).contains(&text.len()) && inner && text.as_bytes()[0].is_ascii_alphanumeric()
    }
}

/// Where a package appears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Registry {
    /// A Python index that answers in JSON (the Simple Repository API, PEP 691).
    Python {
        /// The address of its `simple` root.
        index: ChannelUrl,
        /// The name there.
        package: RegistryName,
    },
    /// An npm registry.
    Npm {
        /// Its address.
        index: ChannelUrl,
        /// The name there.
        package: RegistryName,
    },
    /// A sparse index of cargo.
    Cargo {
        /// Its address, without `sparse+`.
        index: ChannelUrl,
        /// The name there.
        package: RegistryName,
    },
    /// An address that answers with success once the package is there; `{version}` and `{tag}` stand for what they say.
    Url {
        /// The address.
        index: ChannelUrl,
    },
}

/// Which tags carry a version, and where in them: `v{version}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagForm {
    before: String,
    after: String,
}

/// A package that every release of one repository waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// What the journal calls it.
    pub name: AwaitedName,
    /// Where it appears.
    pub place: Registry,
    /// How its version stands in a tag; without it the tag itself, without a leading `v`.
    pub tag: Option<TagForm>,
    /// What an advisory waits for.
    pub advisory: Follows,
    /// How long is waited, in minutes from the push.
    pub wait_minutes: u32,
}

/// One package of one tag, as it was frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenPackage {
    /// What the journal calls it.
    pub name: AwaitedName,
    /// The repository whose push it is built from.
    pub upstream: UpstreamId,
    /// The tag it is built from.
    pub tag: TagName,
    /// Its version.
    pub version: PackageVersion,
    /// Where it appears.
    pub place: Registry,
    /// What an advisory waits for.
    pub advisory: Follows,
    /// How long is waited, in minutes.
    pub wait_minutes: u32,
    /// The cases it carries fixes of.
    pub cases: Vec<CaseId>,
}

/// What a registry says of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It can be installed.
    There,
    /// It is not there.
    NotYet,
    /// The registry did not say.
    Silent,
    /// The registry answered, and not as such a registry does.
    Strange,
}

impl Awaited {
    /// Reads the version out of a tag; `None` if the tag is not of this package's form.
    pub fn version(&self, tag: &TagName) -> Option<PackageVersion> {
        let text = tag.as_str();
        let version = match &self.tag {
            Some(form) => text.strip_prefix(&*form.before)?.strip_suffix(&*form.after)?,
            None => text.strip_prefix('v').unwrap_or(text),
        };
        version.parse().ok()
    }
}

impl FrozenPackage {
    /// Tells whether the advisories of its cases wait for it.
    pub fn holds_back(&self) -> bool {
        match self.advisory {
            Follows::Push => false,
            Follows::Package | Follows::PackageOrTime => true,
        }
    }

    /// Says what is waited for, and who waits.
    pub fn sentence(&self) -> String {
        let (name, version, minutes) = (&self.name, &self.version, self.wait_minutes);
        match self.advisory {
            Follows::Push => {
                format!("{name} {version} is looked for, for {minutes} minutes; no advisory waits for it.")
            }
            Follows::Package => format!(
                "The advisory waits for {name} {version}; if that is not there after {minutes} minutes, a person is asked."
            ),
            Follows::PackageOrTime => {
                format!("The advisory waits for {name} {version}, for {minutes} minutes at most.")
            }
        }
    }

    /// Says how the wait for it goes on after a look, when it was first looked for at `since`.
    pub fn judge(&self, sight: Sight, since: Timestamp, now: Timestamp) -> Outcome {
        let note = match sight {
            Sight::There => return Outcome::Done(format!("{} can be installed", self.version)),
            Sight::NotYet => "It is not at its registry yet.",
            Sight::Silent => "Its registry does not answer.",
            Sight::Strange => "What answers is no such registry: see the address in the configuration.",
        };
        if now.duration_since(since) < SignedDuration::from_mins(i64::from(self.wait_minutes)) {
            return Outcome::Again(note.to_owned());
        }
        let note = format!("{note} {} minutes are over.", self.wait_minutes);
        match self.advisory {
            Follows::Push | Follows::Package => Outcome::Failed(HoldReason::Package, note),
            Follows::PackageOrTime => Outcome::PassedOver(note),
        }
    }
}

impl std::str::FromStr for TagForm {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const RULE: Malformed = Malformed::new("the form of a tag holds {version} once, as in \"v{version}\"");
        let (before, after) = text.split_once("{version}").ok_or(RULE)?;
        let plain = |text: &str| !text.contains(['{', '}', ' ']) && text.is_ascii();
        if text.len() > 200 || !plain(before) || !plain(after) {
            return Err(RULE);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }
}

impl TryFrom<String> for TagForm {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<TagForm> for String {
    fn from(form: TagForm) -> String {
        format!("{}{{version}}{}", form.before, form.after)
    }
}

#[cfg(test)]
pub(in crate::domain) mod tests {
    use super::*;
    use crate::domain::id::Minted as _;

    pub(in crate::domain) fn package(advisory: Follows) -> FrozenPackage {
        FrozenPackage {
            name: "wheel".parse().unwrap(),
            upstream: UpstreamId::mint(1, [2; 10]),
            tag: "v1.0.1".parse().unwrap(),
            version: "1.0.1".parse().unwrap(),
            place: Registry::Url { index: "https://example.org/{version}".parse().unwrap() },
            advisory,
            wait_minutes: 60,
            cases: vec!["DEMO-1".parse().unwrap()],
        }
    }

    #[test]
    fn a_version_is_read_out_of_its_tag() {
        let read = |form: Option<&str>, tag: &str| {
            let awaited = Awaited {
                name: "wheel".parse().unwrap(),
                place: package(Follows::Push).place,
                tag: form.map(|form| form.parse().unwrap()),
                advisory: Follows::Push,
                wait_minutes: 60,
            };
            awaited.version(&tag.parse().unwrap()).map(|version| version.as_str().to_owned())
        };
        assert_eq!(read(None, "v1.2.3").as_deref(), Some("1.2.3"));
        assert_eq!(read(None, "1.2.3rc1").as_deref(), Some("1.2.3rc1"));
        assert_eq!(read(Some("core-{version}"), "core-2.0+a").as_deref(), Some("2.0+a"));
        assert_eq!(read(Some("core-{version}"), "v2.0"), None);
        assert_eq!(read(None, "release/1.0"), None);
        for bad in ["v", "{version}{version}", "{tag}", "a b{version}"] {
            assert!(bad.parse::<TagForm>().is_err(), "{bad}");
        }
    }

    #[test]
    fn waiting_ends_as_the_project_decided() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let judge = |follows, sight, now| package(follows).judge(sight, at(0), at(now));
        for follows in [Follows::Push, Follows::Package, Follows::PackageOrTime] {
            assert!(matches!(judge(follows, Sight::There, 9999), Outcome::Done(_)));
            assert!(matches!(judge(follows, Sight::NotYet, 3599), Outcome::Again(_)));
            assert!(matches!(judge(follows, Sight::Silent, 0), Outcome::Again(_)));
        }
        assert!(matches!(judge(Follows::Push, Sight::NotYet, 3600), Outcome::Failed(HoldReason::Package, _)));
        assert!(matches!(judge(Follows::Package, Sight::Strange, 3600), Outcome::Failed(HoldReason::Package, _)));
        assert!(matches!(judge(Follows::PackageOrTime, Sight::Silent, 3600), Outcome::PassedOver(_)));
    }

    #[test]
    fn names_at_a_registry_stay_in_their_place() {
        for good in ["sample", "@scope/sample", "Sample.Core_2"] {
            assert!(good.parse::<RegistryName>().is_ok(), "{good}");
        }
        for bad in ["", "a/b", "@scope", "@/a", "../a", "@a/..", "a b", "a?b"] {
            assert!(bad.parse::<RegistryName>().is_err(), "{bad}");
        }
    }
}
