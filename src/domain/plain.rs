//! Short plain texts with a form of their own: advisory and CVE ids, versions, packages, links.
//!
//! Guards: what is published under these names needs no escaping in a path and cannot carry script, credentials or
//! invisible characters. Leaves to readers whether a version exists or a link answers.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::Prefix;
use super::refusal::Malformed;

/// The form of one kind of plain text.
pub trait Form {
    /// What the text is called when printed for debugging.
    const NAME: &'static str;
    /// The rule that a refused text broke.
    const RULE: &'static str;

    /// Tells whether the text has the form.
    fn fits(text: &str) -> bool;
}

/// A text that has the form `F`.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "F: Form")]
pub struct Plain<F>(String, PhantomData<fn() -> F>);

impl<F> Plain<F> {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<F: Form> FromStr for Plain<F> {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        if F::fits(text) { Ok(Self(text.to_owned(), PhantomData)) } else { Err(Malformed::new(F::RULE)) }
    }
}

impl<F: Form> TryFrom<String> for Plain<F> {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl<F> From<Plain<F>> for String {
    fn from(text: Plain<F>) -> Self {
        text.0
    }
}

impl<F> fmt::Display for Plain<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<F: Form> fmt::Debug for Plain<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", F::NAME, self.0.len())
    }
}

impl<F> Clone for Plain<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<F> PartialEq for Plain<F> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<F> Eq for Plain<F> {}

impl<F> PartialOrd for Plain<F> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<F> Ord for Plain<F> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<F> std::hash::Hash for Plain<F> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The form of an [`AdvisoryId`].
pub enum AdvisoryForm {}

/// An advisory's id: `<PREFIX>-<year>-<number>`, for example `DEMO-2026-0001`; at least four digits.
pub type AdvisoryId = Plain<AdvisoryForm>;

impl AdvisoryId {
    /// Names the `number`th advisory of the project with this prefix in a year of four digits.
    pub fn new(prefix: &Prefix, year: u16, number: u32) -> Result<Self, Malformed> {
        format!("{prefix}-{year:04}-{number:04}").parse()
    }

    /// Returns the id without its prefix: `2026-0001`.
    pub fn tail(&self) -> &str {
        self.0.split_once('-').map_or(&self.0, |(_, tail)| tail)
    }
}

impl Form for AdvisoryForm {
    const NAME: &'static str = "AdvisoryId";
    const RULE: &'static str = "an advisory id looks like DEMO-2026-0001";
    fn fits(text: &str) -> bool {
        text.split_once('-').is_some_and(|(prefix, tail)| prefix.parse::<Prefix>().is_ok() && year_and_number(tail, 10))
    }
}

/// The form of a [`CveId`].
pub enum CveForm {}

/// A CVE id: `CVE-<year>-<four or more digits>`.
pub type CveId = Plain<CveForm>;

impl Form for CveForm {
    const NAME: &'static str = "CveId";
    const RULE: &'static str = "a CVE id looks like CVE-2026-12345";
    fn fits(text: &str) -> bool {
        text.strip_prefix("CVE-").is_some_and(|tail| year_and_number(tail, 19))
    }
}

/// The form of a [`Version`].
pub enum VersionForm {}

/// A version as its project writes it: letters, digits and `._+-~:!`, at most 100.
pub type Version = Plain<VersionForm>;

impl Form for VersionForm {
    const NAME: &'static str = "Version";
    const RULE: &'static str = "a version is 1 to 100 letters, digits and ._+-~:! starting with a letter or digit";
    fn fits(text: &str) -> bool {
        let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-~:!".contains(&b));
        inner && text.len() <= 100 && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
    }
}

/// The form of a [`PackageName`].
pub enum PackageForm {}

/// A package's name in its registry, such as `demo`, `@scope/demo` or `org.example:demo`; at most 200.
pub type PackageName = Plain<PackageForm>;

impl Form for PackageForm {
    const NAME: &'static str = "PackageName";
    const RULE: &'static str = "a package name is 1 to 200 letters, digits and @/:._+~-";
    fn fits(text: &str) -> bool {
        let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@/:._+~-".contains(&b));
        inner && (1..=200).contains(&text.len())
    }
}

/// The form of a [`Link`].
pub enum LinkForm {}

/// A link a reader may follow: `http` or `https`, a host, no user name or password, at most 2000 bytes of plain ASCII.
pub type Link = Plain<LinkForm>;

impl Link {
    /// Returns the address of a path below this link; the path starts without a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.0.trim_end_matches('/'))
    }
}

impl Form for LinkForm {
    const NAME: &'static str = "Link";
    const RULE: &'static str =
        "a link starts with https:// or http:// and holds no spaces, quotes, user name or password";
    fn fits(text: &str) -> bool {
        ["https://", "http://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| address(rest, false)))
    }
}

/// The form of a [`RepositoryUrl`].
pub enum RepositoryForm {}

/// A public repository's address as anybody may clone it: `https`, `http`, `git`, `ssh` or `file`, without a password.
pub type RepositoryUrl = Plain<RepositoryForm>;

impl Form for RepositoryForm {
    const NAME: &'static str = "RepositoryUrl";
    const RULE: &'static str =
        "a public repository is an https, http, git, ssh or file URL without spaces or a password";
    fn fits(text: &str) -> bool {
        Link::from_str(text).is_ok()
            || text.strip_prefix("git://").is_some_and(|rest| address(rest, false))
            || text.strip_prefix("ssh://").is_some_and(|rest| address(without_user(rest), false))
            || text.strip_prefix("file://").is_some_and(|rest| address(rest, true))
    }
}

fn year_and_number(text: &str, most: usize) -> bool {
    let Some((year, number)) = text.split_once('-') else { return false };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    digits(year)
        && year.len() == 4
        && year >= "1999"
        && digits(number)
        && (4..=most).contains(&number.len())
        && (number.len() == 4 || !number.starts_with('0'))
}

/// Drops the account that an SSH address names: a plain word, never with a password.
fn without_user(rest: &str) -> &str {
    let plain = |user: &str| user.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match rest.split_once('@') {
        Some((user, host)) if !user.is_empty() && plain(user) => host,
        Some(_) | None => rest,
    }
}

fn address(rest: &str, local: bool) -> bool {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&b);
    rest.len() <= 2000
        && rest.bytes().all(plain)
        && !host.contains('@')
        && (local && rest.starts_with('/')
            || host.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        assert_eq!(AdvisoryId::new(&"DEMO".parse().unwrap(), 2026, 1).unwrap().as_str(), "DEMO-2026-0001");
        assert_eq!("DEMO-2026-12345".parse::<AdvisoryId>().unwrap().tail(), "2026-12345");
        for bad in [
            "DEMO-2026-1",
            "DEMO-2026-00001",
            "demo-2026-0001",
            "DEMO-26-0001",
            "DEMO-2026-0001/..",
            "DEMO-2026-",
            "DEMO",
        ] {
            assert!(bad.parse::<AdvisoryId>().is_err(), "{bad}");
        }
        assert!("CVE-2026-54134".parse::<CveId>().is_ok());
        for bad in [
            "CVE-2026-123",
            "cve-2026-1234",
            "CVE-1998-1234",
            "CVE-2026-01234",
            "CVE-2026-1234 ",
            "CVE-2026-12345678901234567890",
        ] {
            assert!(bad.parse::<CveId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_link_cannot_run_script_or_carry_a_password() {
        for good in
            ["https://example.org", "http://127.0.0.1:8080/a?b=c#d", "https://[::1]/", "https://example.org/@name"]
        {
            assert!(good.parse::<Link>().is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "https://",
            "https:///path",
            "https://user:word@example.org/",
            "https://example.org/\" onclick=\"x",
            "https://example.org/a b",
            "https://example.org/\u{202e}",
            "HTTPS://example.org",
            "file:///etc/passwd",
        ] {
            assert!(bad.parse::<Link>().is_err(), "{bad}");
        }
        assert_eq!("https://example.org/".parse::<Link>().unwrap().join("r/"), "https://example.org/r/");
    }

    #[test]
    fn a_repository_address_holds_no_password() {
        for good in [
            "https://example.org/demo.git",
            "ssh://git@example.org/demo",
            "ssh://deploy-1@example.org:2222/srv/demo.git",
            "file:///srv/demo.git",
            "git://example.org/demo",
        ] {
            assert!(good.parse::<RepositoryUrl>().is_ok(), "{good}");
        }
        for bad in [
            "ssh://git:word@example.org/demo",
            "ssh://@example.org/demo",
            "ssh://-o@x@example.org/demo",
            "https://x@example.org/",
            "/srv/demo.git",
            "ext::sh -c x",
            "file://x@y/z",
        ] {
            assert!(bad.parse::<RepositoryUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_and_packages_are_plain() {
        for good in ["1.11.8", "2.0.0rc1", "1!2.0", "1:2.3~rc1-1+b2", "v1"] {
            assert!(good.parse::<Version>().is_ok(), "{good}");
        }
        for bad in ["", "<1", "1 2", "-1", "1\n2"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        assert!("@scope/demo".parse::<PackageName>().is_ok());
        assert!("a](javascript:x)".parse::<PackageName>().is_err());
    }
}
