//! Names inside git: refs, lines, tags, repositories and commits, none of which converts into another.
//!
//! ```compile_fail
//! use embargo::domain::repo::{CommitId, RefName};
//! fn wants_ref(_: RefName) {}
//! wants_ref("0".repeat(40).parse::<CommitId>().unwrap());
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::refusal::Malformed;

macro_rules! name {
    ($($(#[$doc:meta])* $name:ident: $check:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        impl $name {
            /// Returns the text of the name.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let check: fn(&str) -> Result<(), Malformed> = $check;
                check(text).map(|()| Self(text.to_owned()))
            }
        }
        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> { text.parse() }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String { name.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    )+};
}

name! {
    /// A full ref name: `refs/heads/…` or `refs/tags/…`, of letters, digits and `._/+-` only.
    RefName: |text| {
        let rest = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("refs/tags/"));
        if rest.is_some_and(short_name) && text.len() <= 255 { Ok(()) } else {
            Err(Malformed::new("a ref is refs/heads/<name> or refs/tags/<name>, of letters, digits and ._/+-"))
        }
    };
    /// A line: the short name of a public branch, which may not collide with `fix/`, `wip/` or `tests/`.
    LineName: |text| {
        let first = text.split('/').next().unwrap_or_default();
        if matches!(first, "fix" | "wip" | "tests" | "candidate") {
            return Err(Malformed::new("a line may not be named fix, wip, tests or candidate, nor start with one of them and a slash"));
        }
        if short_name(text) && text.len() <= 200 { Ok(()) } else {
            Err(Malformed::new("a line is a branch name of letters, digits and ._/+-"))
        }
    };
    /// A tag's short name, such as `v1.2.3`.
    TagName: |text| if short_name(text) && text.len() <= 200 { Ok(()) } else {
        Err(Malformed::new("a tag is a name of letters, digits and ._/+-"))
    };
    /// A repository's name in remote URLs: letters, digits, dots, dashes and underscores, at most 64, no `.git` at its end.
    RepoName: |text| {
        let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let ends = text.starts_with(['.', '-']) || text.to_ascii_lowercase().ends_with(".git");
        if text.is_empty() || text.len() > 64 || !inner || ends || text.contains("..") {
            return Err(Malformed::new("a repository name is 1 to 64 letters, digits and ._- not starting with a dot or dash, without .git"));
        }
        Ok(())
    };
    /// A git object id of a commit or tag: 40 lower-case hexadecimal digits (SHA-1).
    CommitId: |text| if text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) { Ok(()) } else {
        Err(Malformed::new("a commit id is 40 lower-case hexadecimal digits"))
    };
}

/// The rules of `git check-ref-format`, narrowed to characters that need no quoting anywhere.
fn short_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/+-".contains(&b))
        && text.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && !part.ends_with('.')
                && !part.to_ascii_lowercase().ends_with(".lock")
        })
        && !text.contains("..")
        && text != "HEAD"
        && !text.starts_with("refs/")
}

impl RefName {
    /// Names the branch of this short name.
    pub fn branch(line: &LineName) -> Self {
        Self(format!("refs/heads/{line}"))
    }

    /// Names the fix branch of a line: `refs/heads/fix/<line>`.
    pub fn fix(line: &LineName) -> Self {
        Self(format!("refs/heads/fix/{line}"))
    }

    /// Names the branch of a line's tests that become public later: `refs/heads/tests/<line>`.
    pub fn tests(line: &LineName) -> Self {
        Self(format!("refs/heads/tests/{line}"))
    }

    /// Names the branch of a release's candidate for a line: `refs/heads/candidate/<line>`.
    pub fn candidate(line: &LineName) -> Self {
        Self(format!("refs/heads/candidate/{line}"))
    }

    /// Names the branch that shows what a release ships on a line, in the release's own remote.
    pub fn ships(line: &LineName) -> Self {
        Self(format!("refs/heads/ships/{line}"))
    }

    /// Names the tag of this short name.
    pub fn tag(tag: &TagName) -> Self {
        Self(format!("refs/tags/{tag}"))
    }

    /// Returns the name without `refs/heads/` or `refs/tags/`.
    pub fn short(&self) -> &str {
        self.0.strip_prefix("refs/heads/").or_else(|| self.0.strip_prefix("refs/tags/")).unwrap_or(&self.0)
    }

    /// Returns the line this fix branch belongs to, if it is one.
    pub fn fixed_line(&self) -> Option<LineName> {
        self.0.strip_prefix("refs/heads/fix/")?.parse().ok()
    }

    /// Returns the line this branch holds tests for that become public later, if it is one.
    pub fn tested_line(&self) -> Option<LineName> {
        self.0.strip_prefix("refs/heads/tests/")?.parse().ok()
    }

    /// Returns the line this branch holds a release's candidate for, if it is one.
    pub fn candidate_line(&self) -> Option<LineName> {
        self.0.strip_prefix("refs/heads/candidate/")?.parse().ok()
    }
}

impl CommitId {
    /// The id git writes where a ref does not exist: forty zeros.
    pub fn zero() -> Self {
        Self("0".repeat(40))
    }

    /// Tells whether this is the forty zeros of a ref that does not exist.
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }

    /// Returns the first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// One requested change of a ref, as receive-pack hands it to pre-receive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefUpdate {
    /// The ref as the client wrote it: checked by `domain::push`, so that a refusal can name it.
    pub name: String,
    /// The id before; zero for a new ref.
    pub old: CommitId,
    /// The id after; zero for a deletion.
    pub new: CommitId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_that_would_bite_later_are_refused() {
        for bad in [
            "refs/heads/-u",
            "refs/heads/refs/heads/main",
            "refs/replace/0",
            "refs/notes/commits",
            "HEAD",
            "refs/heads/",
            "refs/heads/a..b",
            "refs/heads/a.lock",
            "refs/heads/a/",
            "refs/heads//a",
            "refs/heads/a b",
            "refs/heads/.a",
            "refs/heads/a/-b",
            "refs/heads/HEAD",
        ] {
            assert!(bad.parse::<RefName>().is_err(), "{bad}");
        }
        assert!("refs/heads/feature/1.x".parse::<RefName>().is_ok());
    }

    #[test]
    fn a_line_cannot_shadow_the_private_branches() {
        for bad in ["fix", "fix/main", "wip/x", "tests", "candidate/main"] {
            assert!(bad.parse::<LineName>().is_err(), "{bad}");
        }
        assert!("fixes/main".parse::<LineName>().is_ok());
        let fix = RefName::fix(&"1.11.x".parse().unwrap());
        assert_eq!(fix.as_str(), "refs/heads/fix/1.11.x");
        assert_eq!(fix.fixed_line().unwrap().as_str(), "1.11.x");
    }
}
