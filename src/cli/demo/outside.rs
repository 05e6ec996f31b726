//! A look from outside, as anybody has it: the public repository, the public pages, the reporter's mailbox.
//!
//! Guards: nothing here is signed in anywhere; what it finds is what the public finds.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::{self, Call};
use super::people::REPORTER_MAIL;
use super::release::Released;
use super::sample;
use super::stage::{Folder, Stage};
use super::tale::Tale;
use super::upstream::{Line, write};
use super::wait::until;
use crate::cli::{Failure, Result};

/// How long mail may take.
const POST: Duration = Duration::from_mins(1);

/// What fetches public pages.
pub(super) struct Browser {
    base: String,
    http: reqwest::Client,
}

impl Browser {
    /// Looks at the pages of this server.
    pub(super) fn open(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| Failure::because("The HTTP client could not be started.", error))?;
        Ok(Self { base: base.to_owned(), http })
    }

    /// Fetches a page: its status and text.
    pub(super) async fn page(&self, path: &str) -> Result<(u16, String)> {
        let gone =
            |error: reqwest::Error| Failure::because(format!("{path} could not be fetched."), error.without_url());
        let response = self.http.get(format!("{}{path}", self.base)).send().await.map_err(gone)?;
        let status = response.status().as_u16();
        Ok((status, response.text().await.map_err(gone)?))
    }

    /// Fetches a page that must be there and name this.
    async fn naming(&self, path: &str, what: &str) -> Result<String> {
        let (status, text) = self.page(path).await?;
        if status != 200 {
            return Err(Failure::Refused(format!("{path} answers {status}.")));
        }
        if !text.contains(what) {
            return Err(Failure::Refused(format!("{path} does not name {what}.")));
        }
        Ok(text)
    }
}

/// Looks at everything the disclosure promised.
pub(super) async fn look(stage: &Stage<'_>, released: &Released, tale: &mut Tale) -> Result<()> {
    let clone = repository(stage, released, tale).await?;
    if stage.upstream.is_sample() {
        exploit(stage, &clone, tale).await?;
    }
    pages(stage, released, tale).await?;
    mail(stage, released, tale).await
}

/// Clones the public repository anew and checks merges and signed tags.
async fn repository(stage: &Stage<'_>, released: &Released, tale: &mut Tale) -> Result<PathBuf> {
    let outside = stage.folder.at("outside");
    let clone = outside.join("clone");
    git(&outside).args(["clone", "--quiet", "--", &stage.public]).arg(&clone).succeed().await?;
    let signers = outside.join("allowed_signers");
    fs::write(&signers, format!("security@example.org namespaces=\"git\" {}\n", stage.tag_key))
        .map_err(|error| Failure::because("The list of allowed signers could not be written.", error))?;
    let mut told = Vec::new();
    for line in &stage.upstream.lines {
        told.push(merged_and_tagged(&clone, &signers, line, released).await?);
    }
    tale.step("public", format!("from outside: {}", told.join("; ")));
    Ok(clone)
}

async fn merged_and_tagged(clone: &Path, signers: &Path, line: &Line, released: &Released) -> Result<String> {
    let name = &line.name;
    let tip = git(clone).args(["rev-parse", &format!("refs/remotes/origin/{name}")]).succeed().await?;
    let fix = released.fixes.get(name).ok_or_else(|| Failure::failed(format!("No fix of {name} is known.")))?;
    let held = git(clone).args(["merge-base", "--is-ancestor", fix, &tip]).run().await?;
    if held.code != Some(0) {
        return Err(Failure::Refused(format!("The public line {name} does not hold the fix.")));
    }
    let parents = git(clone).args(["rev-list", "--parents", "--max-count=1", &tip]).succeed().await?;
    let merge = if parents.split(' ').count() > 2 { "has the merge" } else { "has the fix" };
    let tagged = git(clone).args(["rev-parse", &format!("refs/tags/{}^{{commit}}", line.tag)]).succeed().await?;
    if tagged != tip {
        return Err(Failure::Refused(format!("The tag {} is not at the tip of {name}.", line.tag)));
    }
    let verify = git(clone).config("gpg.ssh.allowedSignersFile", &signers.display().to_string());
    let verified = verify.config("gpg.format", "ssh").args(["verify-tag", "--", &line.tag]).run().await?;
    if verified.code != Some(0) {
        return Err(Failure::Refused(format!(
            "`git verify-tag {}` does not accept the tag: {}",
            line.tag, verified.err
        )));
    }
    Ok(format!("{name} {merge} and {} verifies", line.tag))
}

/// Tries the proof of concept on what everybody gets now.
async fn exploit(stage: &Stage<'_>, clone: &Path, tale: &mut Tale) -> Result<()> {
    let proof = stage.folder.at("outside");
    write(&proof, &[sample::PROOF])?;
    let mut told = Vec::new();
    for line in &stage.upstream.lines {
        git(clone).args(["checkout", "--quiet", &line.tag]).succeed().await?;
        told.push(refused(&proof.join(sample::PROOF.0), clone).await?);
    }
    tale.step("exploit", format!("fails on what is public: {}", told.join("; ")));
    Ok(())
}

/// Runs the proof of concept and wants it to succeed; returns what it said.
pub(super) async fn succeeds(proof: &Path, tree: &Path) -> Result<String> {
    let ended = command::program("python3").arg(proof).arg(tree).run().await?;
    match ended.code {
        Some(0) => Ok(ended.out),
        _ => Err(Failure::Refused(format!("The proof of concept fails where the hole is: {}{}", ended.out, ended.err))),
    }
}

/// Runs the proof of concept and wants it to be refused; returns what it said.
pub(super) async fn refused(proof: &Path, tree: &Path) -> Result<String> {
    let ended = command::program("python3").arg(proof).arg(tree).run().await?;
    match ended.code {
        Some(1) if ended.err.is_empty() => Ok(ended.out),
        Some(0) => Err(Failure::Refused(format!("The proof of concept still works: {}", ended.out))),
        _ => Err(Failure::Refused(format!("The proof of concept could not be tried: {}", ended.err))),
    }
}

async fn pages(stage: &Stage<'_>, released: &Released, tale: &mut Tale) -> Result<()> {
    let id = &released.advisory;
    let browser = &stage.browser;
    let page = format!("/advisories/{id}");
    let osv = format!("/{}", released.osv);
    browser.naming(&page, id).await?;
    let text = browser.naming(&osv, id).await?;
    let record: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Failure::because("The OSV file is no JSON.", error))?;
    if record["affected"].as_array().is_none_or(Vec::is_empty) {
        return Err(Failure::Refused("The OSV file names nothing that is affected.".to_owned()));
    }
    browser.naming("/advisories.atom", id).await?;
    for (name, path) in [("advisory", page.as_str()), ("osv", &osv), ("feed", "/advisories.atom")] {
        tale.url(name, format!("{}{path}", stage.server));
    }
    tale.step("advisory", format!("{}{page}, its OSV file and the Atom feed are up", stage.server));
    Ok(())
}

/// Waits until the reporter's mailbox holds the mail that names the advisory.
async fn mail(stage: &Stage<'_>, released: &Released, tale: &mut Tale) -> Result<()> {
    let sentence = "No mail about the advisory reached the reporter.";
    until(POST, sentence, async || {
        let there =
            letters(stage.folder)?.iter().any(|text| text.contains(REPORTER_MAIL) && text.contains(&released.advisory));
        Ok(there.then_some(()))
    })
    .await?;
    let all = letters(stage.folder)?.len();
    tale.step(
        "mail",
        format!("{REPORTER_MAIL} heard of {}; {all} mails in all, none says what was found", released.advisory),
    );
    Ok(())
}

/// Reads the mails that the mail server has taken so far.
pub(super) fn letters(folder: &Folder) -> Result<Vec<String>> {
    let failed = |error| Failure::because("The mailbox could not be read.", error);
    let mut letters = Vec::new();
    for entry in fs::read_dir(folder.mail().join("new")).map_err(failed)? {
        letters.push(String::from_utf8_lossy(&fs::read(entry.map_err(failed)?.path()).map_err(failed)?).into_owned());
    }
    Ok(letters)
}

fn git(folder: &Path) -> Call {
    command::git(folder)
}
