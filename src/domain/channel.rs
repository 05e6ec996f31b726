//! Channels: the public places a disclosure reaches besides this server's own pages.
//!
//! Guards: an address is https, or http on this machine, and never printed, because some hold a secret; a name needs no
//! escaping anywhere. Where a channel leads is frozen into the Manifest; the secret itself stays in its file.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::{CaseId, UpstreamId, words};
use super::manifest::Document;
use super::plain::{Form, Plain};
use super::refusal::Malformed;
use super::repo::{RepoName, TagName};

words! {
    /// What a channel is.
    ChannelKind {
        /// A folder of files that somebody else serves.
        Folder = "folder",
        /// A program that is told by HTTP.
        Webhook = "webhook",
        /// The releases of a repository on its forge.
        ForgeRelease = "forge_release",
        /// The advisories of a repository on GitHub.
        GitHubAdvisory = "github_advisory",
    }
}

words! {
    /// Whose API a forge speaks.
    ForgeKind {
        /// GitHub, and GitHub Enterprise Server.
        GitHub = "github",
        /// Forgejo and Gitea.
        Forgejo = "forgejo",
    }
}

/// One channel of a project: what it is called and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Its name in the project.
    pub name: ChannelName,
    /// Where it leads.
    pub way: Way,
}

/// Where a channel leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Way {
    /// To a folder outside the data folder.
    Folder {
        /// The folder.
        folder: PathBuf,
    },
    /// To whoever listens at an address.
    Webhook {
        /// The address.
        url: ChannelUrl,
        /// The file of the secret that signs.
        secret_file: PathBuf,
    },
    /// To the releases of a repository on its forge.
    ForgeRelease {
        /// Whose API it speaks.
        forge: ForgeKind,
        /// Where the API is.
        api: ChannelUrl,
        /// The repository there.
        place: ForgePlace,
        /// The same repository as the project names it.
        repository: RepoName,
        /// The file of the token.
        token_file: PathBuf,
    },
    /// To the advisories of a repository on GitHub.
    #[serde(rename = "github_advisory")]
    GitHubAdvisory {
        /// Where the API is.
        api: ChannelUrl,
        /// The repository there.
        place: ForgePlace,
        /// The file of the token.
        token_file: PathBuf,
    },
}

/// A channel as it was frozen: where it leads, and everything it will publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenChannel {
    /// The channel as it was configured then.
    pub channel: Channel,
    /// What goes through it, one effect each.
    pub posts: Vec<Post>,
}

/// What one effect publishes through a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    /// What it is about.
    pub subject: Subject,
    /// The cases it tells of: it waits for all their pushes.
    pub cases: Vec<CaseId>,
    /// Its files.
    pub documents: Vec<Document>,
}

/// What a post is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The advisory of a case.
    Advisory(CaseId),
    /// A tag of a repository.
    Tag(UpstreamId, TagName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advisory(case) => write!(f, "advisory/{case}"),
            Self::Tag(upstream, tag) => write!(f, "tag/{upstream}/{tag}"),
        }
    }
}

impl FromStr for Subject {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const RULE: Malformed = Malformed::new("a channel's subject is advisory/<case> or tag/<repository>/<tag>");
        match text.split_once('/') {
            Some(("advisory", case)) => case.parse().map(Self::Advisory),
            Some(("tag", place)) => {
                let (upstream, tag) = place.split_once('/').ok_or(RULE)?;
                Ok(Self::Tag(upstream.parse()?, tag.parse()?))
            }
            Some(_) | None => Err(RULE),
        }
    }
}

/// The form of a [`ChannelName`].
pub enum ChannelNameForm {}

/// A channel's name: lower-case letters, digits and inner dashes, at most 40.
pub type ChannelName = Plain<ChannelNameForm>;

impl Form for ChannelNameForm {
    const NAME: &'static str = "ChannelName";
    const RULE: &'static str =
        "a channel's name is 1 to 40 lower-case letters, digits and dashes, not starting or ending with a dash";
    fn fits(text: &str) -> bool {
        let inner = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        (1..=40).contains(&text.len()) && inner && !text.starts_with('-') && !text.ends_with('-')
    }
}

/// The form of a [`ForgePlace`].
pub enum ForgePlaceForm {}

/// A repository on its forge: `<owner>/<name>`.
pub type ForgePlace = Plain<ForgePlaceForm>;

impl Form for ForgePlaceForm {
    const NAME: &'static str = "ForgePlace";
    const RULE: &'static str = "a repository on its forge is <owner>/<name>";
    fn fits(text: &str) -> bool {
        let part = |part: &str| {
            let inner = part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            (1..=100).contains(&part.len()) && inner && part != "." && part != ".."
        };
        text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
    }
}

/// The address of a channel: `https://…`, or `http://…` on 127.0.0.1, `[::1]` and localhost. Debug shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelUrl(String);

impl ChannelUrl {
    /// Shows the address; the name makes each use easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the address with more of a path behind it; only for one without a query.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0.trim_end_matches('/'))
    }

    /// Tells whether a path can be put behind it.
    pub fn is_base(&self) -> bool {
        !self.0.contains('?')
    }
}

impl FromStr for ChannelUrl {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const RULE: Malformed = Malformed::new(
            "a channel's address is https://…, without name, password and fragment; plain http is for 127.0.0.1, [::1] and localhost",
        );
        let plain =
            |b: u8| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'#' | b'`' | b'^' | b'|');
        let (scheme, rest) = text.split_once("://").ok_or(RULE)?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, port)| if port.bytes().all(|b| b.is_ascii_digit()) { host } else { authority });
        let named = authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        let local = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
        let spoken = scheme == "https" || (scheme == "http" && local);
        if text.len() > 2000 || !text.bytes().all(plain) || host.is_empty() || !named || !spoken {
            return Err(RULE);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for ChannelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelUrl(..)")
    }
}

impl TryFrom<String> for ChannelUrl {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<ChannelUrl> for String {
    fn from(url: ChannelUrl) -> String {
        url.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_leads_a_secret_astray_is_refused() {
        for bad in [
            "",
            "https://",
            "http://example.org/hook",
            "http://127.0.0.1.example.org/",
            "http://127.0.0.1@example.org/",
            "http://localhost:1@example.org/",
            "http://127.0.0.1\\@example.org/",
            "https://user:word@example.org/",
            "https://example.org/a b",
            "https://example.org/#part",
            "https://example.org/\r\nX: y",
            "ftp://example.org/",
            "https:/example.org",
        ] {
            assert!(bad.parse::<ChannelUrl>().is_err(), "{bad:?}");
        }
        for good in ["https://example.org", "https://example.org:8443/a?b=c", "http://[::1]:80/x", "http://localhost/"]
        {
            assert!(good.parse::<ChannelUrl>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn an_address_does_not_print() {
        let url: ChannelUrl = "https://example.org/canary".parse().unwrap();
        let channel = Channel { name: "hook".parse().unwrap(), way: Way::Webhook { url, secret_file: "/x".into() } };
        assert!(!format!("{channel:?}").contains("canary"));
    }

    #[test]
    fn names_and_places_need_no_escaping() {
        for bad in ["", "-a", "a-", "A", "a/b", "a b"] {
            assert!(bad.parse::<ChannelName>().is_err(), "{bad:?}");
        }
        for bad in ["", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b?c", "a/b c"] {
            assert!(bad.parse::<ForgePlace>().is_err(), "{bad:?}");
        }
        assert!("sample/demo.js".parse::<ForgePlace>().is_ok());
    }

    #[test]
    fn a_channel_survives_json() {
        let way = Way::ForgeRelease {
            forge: ForgeKind::Forgejo,
            api: "https://codeberg.org/api/v1".parse().unwrap(),
            place: "sample/demo".parse().unwrap(),
            repository: "demo".parse().unwrap(),
            token_file: "/etc/token".into(),
        };
        let channel = Channel { name: "forge".parse().unwrap(), way };
        let json = serde_json::to_string(&channel).unwrap();
        assert_eq!(serde_json::from_str::<Channel>(&json).unwrap(), channel);
        assert!(json.contains(r#""kind":"forge_release""#), "{json}");
    }
}
