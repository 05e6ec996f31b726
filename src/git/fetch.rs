//! One fetch with gix, from an upstream repository into `refs/incoming/` of the mirror.
//!
//! Guards: nothing public moves here; what arrives stays under `refs/incoming/` until `mirror` has checked it. If the
//! upstream lists what the mirror has, no pack is asked for; if little differs, only that is. Leaves the judgement on
//! what arrived, and its publishing, to `mirror`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix::progress::tree::Root;
use gix::protocol::handshake::Ref;
use gix::remote::{Direction, fetch::Tags, ref_map};

use super::error::{Error, Result};
use super::refs::{self, Edits, RefTable};
use super::remote::{Access, RemoteUrl};
use super::trouble::{MirrorError, classify};

/// Where fetched refs wait for their check.
pub(super) const INCOMING: &str = "refs/incoming/";
/// Up to this many changed refs are asked for by name.
const BY_NAME: usize = 200;

/// What an upstream lists, beside what the mirror had.
pub(super) struct Fetched {
    pub(super) local: RefTable,
    pub(super) remote: RefTable,
    /// Refs that arrived, by their public names; empty if nothing differs.
    pub(super) arrived: RefTable,
}

/// Fetches heads and tags that differ. Blocks.
pub(super) fn fetch(
    git_dir: &Path,
    url: &RemoteUrl,
    access: &Access,
    progress: &Arc<Root>,
    interrupt: &AtomicBool,
) -> Result<Fetched, MirrorError> {
    let repository = open(git_dir, url, access)?;
    let stale = refs::below(&repository, INCOMING)?;
    refs::apply(&repository, Edits { remove: stale.into_keys().collect(), set: RefTable::new() })?;
    let mut local = refs::below(&repository, "refs/heads/")?;
    local.extend(refs::below(&repository, "refs/tags/")?);

    let all = ["+refs/heads/*:refs/incoming/heads/*".to_owned(), "+refs/tags/*:refs/incoming/tags/*".to_owned()];
    let remote = remote(&repository, url, &all)?;
    let mut connection = remote.connect(Direction::Fetch).map_err(|error| classify(&error))?;
    connection.set_credentials(credentials(access));
    let prepared = connection
        .prepare_fetch(progress.add_child("list"), ref_map::Options::default())
        .map_err(|error| classify(&error))?;
    let listed = listed(prepared.ref_map());
    if listed.is_empty() {
        return Err(MirrorError::Empty);
    }
    let changed: Vec<_> =
        listed.iter().filter(|(name, id)| local.get(*name) != Some(id)).map(|(name, _)| name).collect();
    if changed.is_empty() {
        return Ok(Fetched { local, remote: listed, arrived: RefTable::new() });
    }

    if changed.len() > BY_NAME {
        prepared
            .with_write_packed_refs_only(true)
            .receive(progress.add_child("fetch"), interrupt)
            .map_err(|error| classify(&error))?;
    } else {
        drop(prepared);
        let specs: Vec<_> = changed
            .iter()
            .map(|name| format!("+{name}:{INCOMING}{}", name.strip_prefix("refs/").unwrap_or(name)))
            .collect();
        let remote = self::remote(&repository, url, &specs)?;
        let mut connection = remote.connect(Direction::Fetch).map_err(|error| classify(&error))?;
        connection.set_credentials(credentials(access));
        connection
            .prepare_fetch(progress.add_child("list"), ref_map::Options::default())
            .and_then(|prepared| {
                prepared.with_write_packed_refs_only(true).receive(progress.add_child("fetch"), interrupt)
            })
            .map_err(|error| classify(&error))?;
    }
    let repository = open(git_dir, url, access)?;
    let arrived = refs::below(&repository, INCOMING)?;
    let arrived = arrived
        .into_iter()
        .filter_map(|(name, id)| Some((format!("refs/{}", name.strip_prefix(INCOMING)?), id)))
        .filter(|(name, id)| local.get(name) != Some(id))
        .collect();
    Ok(Fetched { local, remote: listed, arrived })
}

fn open(git_dir: &Path, url: &RemoteUrl, access: &Access) -> Result<gix::Repository> {
    let settings = [
        format!("core.sshCommand={}", access.ssh_command()),
        "http.followRedirects=false".to_owned(),
        "protocol.allow=never".to_owned(),
        format!("protocol.{}.allow=always", url.transport()),
    ];
    let options = gix::open::Options::isolated().open_path_as_is(true).strict_config(true).config_overrides(settings);
    Ok(options.open(git_dir).map_err(Error::library("opening the mirror"))?.into())
}

fn remote<'repo>(repository: &'repo gix::Repository, url: &RemoteUrl, specs: &[String]) -> Result<gix::Remote<'repo>> {
    const WHAT: &str = "preparing a fetch";
    repository
        .remote_at_without_url_rewrite(url.as_str())
        .map_err(Error::library(WHAT))?
        .with_fetch_tags(Tags::None)
        .with_refspecs(specs.iter().map(String::as_str), Direction::Fetch)
        .map_err(Error::library(WHAT))
}

fn listed(map: &gix::remote::fetch::RefMap) -> RefTable {
    let named = |reference: &Ref| match reference {
        Ref::Direct { full_ref_name, object } => Some((full_ref_name.clone(), *object)),
        Ref::Peeled { full_ref_name, tag, .. } => Some((full_ref_name.clone(), *tag)),
        Ref::Symbolic { full_ref_name, tag, object, .. } => Some((full_ref_name.clone(), tag.unwrap_or(*object))),
        Ref::Unborn { .. } => None,
    };
    map.remote_refs
        .iter()
        .filter_map(named)
        .filter_map(|(name, id)| Some((String::from_utf8(name.into()).ok()?, id)))
        .filter(|(name, _)| name.starts_with("refs/heads/") || name.starts_with("refs/tags/"))
        .collect()
}

fn credentials(
    access: &Access,
) -> impl FnMut(gix::credentials::helper::Action) -> gix::Result<Option<gix::credentials::protocol::Outcome>> + 'static
{
    use gix::credentials::helper::{Action, NextAction};
    let access = access.clone();
    move |action| match (action, &access) {
        (Action::Get(context), Access::Password { username, password }) => {
            Ok(Some(gix::credentials::protocol::Outcome {
                identity: gix::sec::identity::Account {
                    username: username.clone(),
                    password: password.expose().to_owned(),
                    oauth_refresh_token: None,
                },
                next: NextAction::from(context),
            }))
        }
        (Action::Get(_) | Action::Store(_) | Action::Erase(_), _) => Ok(None),
    }
}
