//! `embargo release sign`: the tags of a release, signed on this machine.
//!
//! Guards: nothing is signed but the tags the release says it makes, on the commits it says it pushes, and a person sees each
//! before their key does. The key never leaves the machine: `ssh-keygen` or `gpg` holds it, or an agent, or a hardware key.

use std::path::PathBuf;

use clap::Args;

use super::command::{gpg_sign, ssh_sign};
use super::server::Server;
use super::{Failure, Output, Result, prompt};
use crate::domain::digest::Digest;
use crate::domain::id::ReleaseId;
use crate::domain::project::TagStyle;
use crate::domain::text::shown;
use crate::wire::release::{ReleaseView, TargetView};
use crate::wire::sign::{SignTag, TagToSign};

/// Arguments of `embargo release sign`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Sign {
    /// Which release
    release: ReleaseId,
    #[command(flatten)]
    with: With,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// What signs.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct With {
    /// An SSH key: the private key's file, or the public one's of a key in an agent or on hardware
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// An OpenPGP key, as `gpg --local-user` takes it
    #[arg(long, value_name = "KEY")]
    gpg: Option<String>,
}

/// Runs the command; returns the release as it is afterwards.
pub(super) async fn run(server: &Server, asked: &Sign, output: Output) -> Result<ReleaseView> {
    let id = &asked.release;
    let view: ReleaseView = server.get(&format!("/releases/{id}")).await?;
    let tags: Vec<TagToSign> = server.get(&format!("/releases/{id}/tags")).await?;
    if tags.is_empty() {
        output.remark(nothing_to_sign(&view));
        return Ok(view);
    }
    let missing: Vec<&TagToSign> = tags.iter().filter(|tag| tag.signed_by.is_none()).collect();
    for tag in &missing {
        let target = view.targets.iter().find(|target| is_of(tag, target));
        target.filter(|target| is_plain_tag(&tag.payload, target)).ok_or_else(|| {
            Failure::failed(format!(
                "What the server gave as {} is no tag of this release: nothing was signed.",
                tag.tag
            ))
        })?;
        let lines: Vec<String> = tag.payload.lines().map(|line| format!("  {}", shown(line))).collect();
        output.remark(&format!("{} of {}:\n{}", shown(&tag.tag), shown(&tag.repository), lines.join("\n")));
    }
    if missing.is_empty() {
        output.remark("Every tag that there is bears a signature already.");
        return Ok(view);
    }
    if asked.with.key.is_none() && asked.with.gpg.is_none() {
        return Err(Failure::Refused("Nothing was signed: name a key with --key or --gpg.".to_owned()));
    }
    let question = format!("Sign {} of {id} as shown?", if missing.len() == 1 { "this tag" } else { "these tags" });
    if !(asked.yes || prompt::confirm(&question).unwrap_or(false)) {
        return Err(Failure::Refused(
            "Nothing was signed. Say `yes`, or give --yes where nobody can be asked.".to_owned(),
        ));
    }
    for tag in missing {
        let signature = asked.with.sign(tag.payload.as_bytes())?;
        let wish = SignTag {
            repository: Some(tag.repository.parse()?),
            line: tag.line.parse()?,
            tag: tag.tag.parse()?,
            sha256: Digest::of(tag.payload.as_bytes()),
            signature: signature.parse()?,
        };
        server.post::<ReleaseView>(&format!("/releases/{id}/sign"), &wish).await?;
    }
    server.get(&format!("/releases/{id}")).await
}

/// Says why a release has no tag for people to sign.
fn nothing_to_sign(view: &ReleaseView) -> &'static str {
    let annotated = |target: &&TargetView| target.tag_style == TagStyle::Annotated.as_str();
    match view.targets.iter().find(annotated) {
        None => "Lightweight tags bear no signature: there is nothing to sign.",
        Some(target) if target.tag_object.is_none() => "Nothing is rehearsed yet: there is no tag to sign.",
        Some(_) => "The server signs the tags of this release: there is nothing to sign.",
    }
}

impl With {
    fn sign(&self, payload: &[u8]) -> Result<String> {
        let (program, signed) = match (&self.key, &self.gpg) {
            (Some(key), _) => ("ssh-keygen", ssh_sign(key, "git", payload)),
            (None, Some(key)) => ("gpg", gpg_sign(key, payload)),
            (None, None) => return Err(Failure::Refused("Name a key with --key or --gpg.".to_owned())),
        };
        let signed = signed.map_err(|error| Failure::because(format!("`{program}` could not be run."), error))?;
        signed.ok_or_else(|| Failure::failed(format!("`{program}` did not sign.")))
    }
}

fn is_of(tag: &TagToSign, target: &TargetView) -> bool {
    (&tag.repository, &tag.line, &tag.tag) == (&target.repository, &target.line, &target.tag)
}

/// Tells whether this is a tag object without a signature, of this name, on the commit that the release pushes there.
fn is_plain_tag(payload: &str, target: &TargetView) -> bool {
    let Some(commit) = target.tagged.as_ref().or(target.candidate.as_ref()) else { return false };
    let head = format!("object {commit}\ntype commit\ntag {}\ntagger ", target.tag);
    payload.starts_with(&head) && payload.ends_with('\n') && !payload.contains("-----BEGIN ") && !payload.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_tag_on_the_candidate_is_signed() {
        let target: TargetView = serde_json::from_value(serde_json::json!({
            "repository": "demo", "line": "main", "tag": "v1", "rehearsal": "clean", "trouble": null, "base": null,
            "candidate": "1".repeat(40), "tag_object": null, "rehearsed_at": null, "standing": null, "fallen": null,
        }))
        .unwrap();
        let good = format!("object {}\ntype commit\ntag v1\ntagger S <s@example.org> 0 +0000\n\nv1\n", "1".repeat(40));
        assert!(is_plain_tag(&good, &target));
        let other = good.replace('1', "2");
        let commit = good.replace("object", "tree");
        let name = good.replace("tag v1", "tag v2");
        let signed = format!("{good}-----BEGIN SSH SIGNATURE-----\n");
        for bad in [other, commit, name, signed, good.trim_end().to_owned(), "embargo-login".to_owned()] {
            assert!(!is_plain_tag(&bad, &target), "{bad}");
        }
    }
}
