//! The other side: `git http-backend` and plain uploads behind Apache, as somebody would set them up by hand.
//!
//! Guards: what both sides must do is the same: a user name and password at every request, objects looked at by git's own
//! fsck, and hooks that ask the same questions. Its package `apache2-bin` holds no service that would be started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::command::{Result, Service, git, git_programs, program};
use crate::process::family;
use crate::stage::{free_port, until};

/// What the other side knows its one user by, `sample:sample`, in the form of a `htpasswd` file.
const USERS: &str = "sample:{SHA}gVEyXc266eD/lfn5ZYQy2+39sgk=\n";
/// The header that user sends.
pub(crate) const HEADER: &str = "Authorization: Basic c2FtcGxlOnNhbXBsZQ==";

/// Before a push: what our own look into a push asks, in the words of a shell.
const PRE_RECEIVE: &str = r#"#!/bin/sh
# Only fix/ and wip/, only forward, and no path that would hurt whoever checks it out.
zero=0000000000000000000000000000000000000000
while read -r old new ref; do
	case "$ref" in
	refs/heads/fix/* | refs/heads/wip/*) ;;
	*)
		echo "Only fix/ and wip/ may be pushed." >&2
		exit 1
		;;
	esac
	[ "$new" = "$zero" ] && continue
	if [ "$old" != "$zero" ] && ! git merge-base --is-ancestor "$old" "$new"; then
		echo "$ref would be rewritten." >&2
		exit 1
	fi
	if git rev-list "$new" --not --all | git diff-tree --stdin -r -m --no-commit-id --name-only | grep -Eq '(^|/)(\.git|\.\.)(/|$)'; then
		echo "$ref has a hostile path." >&2
		exit 1
	fi
done
"#;
/// After a push: who pushed what, kept.
const POST_RECEIVE: &str = r#"#!/bin/sh
while read -r old new ref; do
	echo "$(date -u +%FT%TZ) $REMOTE_USER $old $new $ref" >>pushes.log
done
"#;

/// Modules that the configuration asks for.
const MODULES: [&str; 13] = [
    "mpm_event",
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_user",
    "auth_basic",
    "alias",
    "env",
    "setenvif",
    "cgid",
    "dav",
    "dav_fs",
    "mime",
];

/// A running Apache.
pub(crate) struct Apache {
    folder: PathBuf,
    address: String,
    service: Service,
}

impl Apache {
    /// Starts it in this folder, which it may be passed through by others; repositories lie in `repositories` in it.
    pub(crate) async fn start(folder: &Path) -> Result<Self> {
        let port = free_port().await?;
        let address = format!("127.0.0.1:{port}");
        for name in ["repositories", "uploads", "run"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::write(folder.join("users"), USERS)?;
        let text = configuration(folder, &address, &git_programs().await?);
        let file = folder.join("apache.conf");
        fs::write(&file, text)?;
        hand_over(&[folder]).await?;
        let service =
            program("apache2").args(["-D", "FOREGROUND", "-f"]).arg(&file).stay(&folder.join("apache.log"))?;
        let mut apache = Self { folder: folder.to_owned(), address: address.clone(), service };
        until("Apache did not start: see `apache.log`.", async || {
            if apache.service.ended() {
                return Err(fs::read_to_string(folder.join("apache.log"))?.into());
            }
            Ok(tokio::net::TcpStream::connect(&address).await.ok().map(drop))
        })
        .await?;
        Ok(apache)
    }

    /// Returns its processes.
    pub(crate) fn processes(&self) -> Result<Vec<u32>> {
        family(self.service.id)
    }

    /// Returns where a repository lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("repositories/{name}.git"))
    }

    /// Returns where everybody reaches a repository.
    pub(crate) fn public(&self, name: &str) -> String {
        format!("http://{}/public/{name}.git", self.address)
    }

    /// Returns where the user reaches a repository.
    pub(crate) fn private(&self, name: &str) -> String {
        format!("http://{}/private/{name}.git", self.address)
    }

    /// Returns where the user uploads a file, and the file that becomes of it.
    pub(crate) fn upload(&self, name: &str) -> (String, PathBuf) {
        (format!("http://{}/uploads/{name}", self.address), self.folder.join("uploads").join(name))
    }

    /// Makes the repository that stands for a private remote: the public lines and the tags on them, with hooks and fsck.
    pub(crate) async fn private_remote(&self, source: &str, name: &str, lines: &[&str]) -> Result<()> {
        let path = self.path(name);
        git(&self.folder).args(["init", "--quiet", "--bare", "--"]).arg(&path).succeed().await?;
        let lines = lines.iter().map(|line| format!("+refs/heads/{line}:refs/heads/{line}"));
        git(&path).args(["fetch", "--quiet"]).arg(self.public(source)).args(lines).succeed().await?;
        git(&path).args(["gc", "--quiet"]).succeed().await?;
        for (key, value) in [("http.receivepack", "true"), ("receive.fsckObjects", "true"), ("receive.autogc", "false")]
        {
            git(&path).args(["config", key, value]).succeed().await?;
        }
        for (hook, text) in [("pre-receive", PRE_RECEIVE), ("post-receive", POST_RECEIVE)] {
            let file = path.join("hooks").join(hook);
            fs::create_dir_all(path.join("hooks"))?;
            fs::write(&file, text)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        hand_over(&[&path]).await
    }
}

/// Gives files to the user Apache works as where it is started by root.
pub(crate) async fn hand_over(paths: &[&Path]) -> Result<()> {
    if geteuid().is_root() {
        program("chown").args(["-R", "www-data:www-data", "--"]).args(paths).succeed().await?;
    }
    Ok(())
}

fn configuration(folder: &Path, address: &str, programs: &Path) -> String {
    let (folder, programs) = (folder.display(), programs.display());
    let modules: String =
        MODULES.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).concat();
    let user = if geteuid().is_root() { "User www-data\nGroup www-data\n" } else { "" };
    format!(
        r#"{modules}{user}ServerName 127.0.0.1
Listen {address}
DefaultRuntimeDir "{folder}/run"
PidFile "{folder}/run/apache.pid"
ScriptSock "{folder}/run/cgid.sock"
ErrorLog "{folder}/error.log"
TypesConfig /dev/null
LimitRequestBody 0
KeepAlive On

SetEnv GIT_PROJECT_ROOT "{folder}/repositories"
SetEnv GIT_HTTP_EXPORT_ALL 1
SetEnv GIT_CONFIG_COUNT 1
SetEnv GIT_CONFIG_KEY_0 safe.directory
SetEnv GIT_CONFIG_VALUE_0 "*"
SetEnvIf Git-Protocol ".*" GIT_PROTOCOL=$0
ScriptAlias /public/ "{programs}/git-http-backend/"
ScriptAlias /private/ "{programs}/git-http-backend/"
<Directory "{programs}">
	Require all granted
</Directory>
<Location /private/>
	AuthType Basic
	AuthName sample
	AuthUserFile "{folder}/users"
	Require valid-user
</Location>

DavLockDB "{folder}/run/locks"
Alias /uploads/ "{folder}/uploads/"
<Directory "{folder}/uploads">
	Dav On
	AuthType Basic
	AuthName sample
	AuthUserFile "{folder}/users"
	Require valid-user
</Directory>
"#
    )
}
