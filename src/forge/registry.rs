//! Asks a package registry whether one version of a package can be installed.
//!
//! Guards: no secret is sent, so a redirect may be followed, on https only; what is read is bounded. Sources: the Simple
//! Repository API (PEP 503, 691, 592), npm's registry API, cargo's sparse index (The Cargo Book, "Registry Index").

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, StatusCode, redirect};
use serde::Deserialize;

use super::{Answer, Forge};
use crate::domain::awaited::{FrozenPackage, PackageVersion, Registry, Sight};

/// How often a request may be sent on.
const HOPS: usize = 5;

/// A project at a Python index, as far as it is looked at.
#[derive(Deserialize)]
struct Simple {
    files: Vec<SimpleFile>,
}

#[derive(Deserialize)]
struct SimpleFile {
    filename: String,
    #[serde(default)]
    yanked: Yanked,
}

/// `true`, or why, for a file that is withdrawn.
#[derive(Deserialize)]
#[serde(untagged)]
enum Yanked {
    Flag(bool),
    Why(#[expect(dead_code, reason = "that there is a reason says enough")] String),
}

impl Default for Yanked {
    fn default() -> Self {
        Self::Flag(false)
    }
}

/// A package at npm, in the short form that installing asks for.
#[derive(Deserialize)]
struct Packument {
    versions: BTreeMap<String, NpmVersion>,
}

#[derive(Deserialize)]
struct NpmVersion {
    version: String,
}

/// One line of a sparse index.
#[derive(Deserialize)]
struct IndexLine {
    vers: String,
    #[serde(default)]
    yanked: bool,
}

/// Makes the client that asks registries.
pub(super) fn client(timeout: Duration) -> Result<Client, reqwest::Error> {
    let follow = redirect::Policy::custom(|attempt| {
        let from = attempt.previous().last().map(|url| (url.scheme().to_owned(), url.authority().to_owned()));
        let same = from.is_some_and(|(scheme, authority)| {
            scheme == attempt.url().scheme() && authority == attempt.url().authority()
        });
        if attempt.previous().len() > HOPS || !(same || attempt.url().scheme() == "https") {
            attempt.stop()
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .redirect(follow)
        .no_proxy()
        .referer(false)
        .user_agent(concat!("embargo/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeout)
        .timeout(timeout)
        .build()
}

impl Forge {
    /// Looks whether a package can be installed.
    pub async fn sight(&self, package: &FrozenPackage) -> Sight {
        let version = &package.version;
        let get = |url: String| self.registries.get(url);
        match &package.place {
            Registry::Python { index, package } => {
                let url = index.join(&format!("/{}/", normal(package.as_str())));
                let asked = get(url).header(ACCEPT, "application/vnd.pypi.simple.v1+json");
                seen(self.answer(asked).await, |body| {
                    let simple: Simple = serde_json::from_slice(body).ok()?;
                    let live = |file: &SimpleFile| matches!(file.yanked, Yanked::Flag(false));
                    let ours = |file: &SimpleFile| is_of(&file.filename, package.as_str(), version.as_str());
                    Some(simple.files.iter().any(|file| live(file) && ours(file)))
                })
            }
            Registry::Npm { index, package } => {
                let name = package.as_str().replace('/', "%2f");
                let asked = get(index.join(&format!("/{name}"))).header(ACCEPT, "application/vnd.npm.install-v1+json");
                seen(self.answer(asked).await, |body| {
                    let packument: Packument = serde_json::from_slice(body).ok()?;
                    let found = packument.versions.get(version.as_str());
                    Some(found.is_some_and(|found| found.version == version.as_str()))
                })
            }
            Registry::Cargo { index, package } => {
                let asked = get(index.join(&format!("/{}", index_path(package.as_str()))));
                seen(self.answer(asked).await, |body| {
                    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                    let lines: Vec<IndexLine> = lines.map(serde_json::from_slice).collect::<Result<_, _>>().ok()?;
                    Some(lines.iter().any(|line| !line.yanked && line.vers == version.as_str()))
                })
            }
            Registry::Url { index } => {
                let tag: String = package.tag.as_str().split('/').map(percent).collect::<Vec<_>>().join("/");
                let url = index.expose().replace("{version}", &escaped(version)).replace("{tag}", &tag);
                seen(self.status(get(url)).await, |_| Some(true))
            }
        }
    }
}

/// Turns an answer into what it says; `read` returns nothing for a body that is none of such a registry's.
fn seen(answer: Answer, read: impl FnOnce(&[u8]) -> Option<bool>) -> Sight {
    match answer {
        Answer::Unreached | Answer::Lost => Sight::Silent,
        Answer::Said(status, body) if status.is_success() => match read(&body) {
            Some(true) => Sight::There,
            Some(false) => Sight::NotYet,
            None => Sight::Strange,
        },
        // A sparse index may say "unavailable for legal reasons" or "gone" for what it does not have.
        Answer::Said(StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS, _) => {
            Sight::NotYet
        }
        Answer::Said(status, _) if super::later(status) => Sight::Silent,
        Answer::Said(..) => Sight::Strange,
    }
}

/// Writes a name as a Python index has it in addresses (PEP 503).
fn normal(name: &str) -> String {
    let mut normal = String::new();
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

/// Tells whether a file is a source archive or a wheel of this version: `name-version.tar.gz`, `name-version-…​.whl`.
fn is_of(file: &str, name: &str, version: &str) -> bool {
    // Wheels write `-` in a version as `_`; an index may write letters small.
    let loose = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "_");
    let ends = [(".tar.gz", false), (".zip", false), (".whl", true)];
    let stem = ends.iter().find_map(|(end, wheel)| file.strip_suffix(end).map(|stem| (stem, *wheel)));
    let Some((stem, wheel)) = stem else { return false };
    // Neither part of a wheel's name holds a dash; in an old source archive's name, dashes may stand in both.
    (1..stem.len()).filter(|at| stem.as_bytes()[*at] == b'-').any(|at| {
        let (found, rest) = (&stem[..at], &stem[at + 1..]);
        let found_version = if wheel { rest.split('-').next().unwrap_or_default() } else { rest };
        normal(found) == normal(name) && loose(found_version) == loose(version)
    })
}

/// Returns where a crate's file is in an index.
fn index_path(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.len() {
        1 => format!("1/{name}"),
        2 => format!("2/{name}"),
        3 => format!("3/{}/{name}", name.get(..1).unwrap_or_default()),
        _ => {
            format!("{}/{}/{name}", name.get(..2).unwrap_or_default(), name.get(2..4).unwrap_or_default())
        }
    }
}

fn escaped(version: &PackageVersion) -> String {
    percent(version.as_str())
}

/// Writes a part of a path so that it stays one.
fn percent(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_name_and_version() {
        for (file, name, version) in [
            ("sample-1.2.tar.gz", "sample", "1.2"),
            ("Sample_Core-1.2-py3-none-any.whl", "sample.core", "1.2"),
            ("sample-core-1.2.zip", "sample_core", "1.2"),
            ("sample-1.2rc1-1-py3-none-any.whl", "sample", "1.2RC1"),
        ] {
            assert!(is_of(file, name, version), "{file}");
        }
        for (file, name, version) in [
            ("sample-1.2.1.tar.gz", "sample", "1.2"),
            ("sample-core-1.2.tar.gz", "sample", "1.2"),
            ("sample-1.2.post1-py3-none-any.whl", "sample", "1.2"),
            ("sample-1.2.tar.gz.asc", "sample", "1.2"),
        ] {
            assert!(!is_of(file, name, version), "{file}");
        }
    }

    #[test]
    fn a_crate_lies_where_cargo_looks() {
        for (name, path) in [("a", "1/a"), ("Ab", "2/ab"), ("abc", "3/a/abc"), ("sample", "sa/mp/sample")] {
            assert_eq!(index_path(name), path);
        }
    }

    #[test]
    fn an_answer_says_what_it_says() {
        let said = |status: u16, body: &str, read: Option<bool>| {
            seen(Answer::Said(StatusCode::from_u16(status).unwrap(), body.as_bytes().to_vec()), |_| read)
        };
        assert_eq!(said(200, "", Some(true)), Sight::There);
        assert_eq!(said(200, "", None), Sight::Strange);
        assert_eq!(said(404, "", Some(true)), Sight::NotYet);
        assert_eq!(said(503, "", Some(true)), Sight::Silent);
        assert_eq!(said(401, "", Some(true)), Sight::Strange);
        assert_eq!(seen(Answer::Lost, |_| Some(true)), Sight::Silent);
    }
}
