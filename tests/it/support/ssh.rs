//! A real SSH server, of the package openssh-server, with a key of its own and one key that may come in.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the SSH server is no part of the program")]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use embargo::crypto;
use embargo::crypto::sshsig::Signer;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Serves the files of this machine to whoever has the key; killed when dropped.
pub(crate) struct SshServer {
    _child: Child,
    user: String,
    port: u16,
    folder: tempfile::TempDir,
}

impl SshServer {
    /// Starts the server and returns once it says that it listens.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let (host, guest) = (key(folder.path(), "host"), key(folder.path(), "guest"));
        std::fs::write(folder.path().join("authorized"), format!("{guest}\n")).unwrap();
        std::fs::write(folder.path().join("known"), format!("[127.0.0.1]:{port} {host}\n")).unwrap();
        let shown = folder.path().display();
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host/tag-signing\nAuthorizedKeysFile {shown}/authorized\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        );
        std::fs::write(folder.path().join("settings"), settings).unwrap();
        let user = Command::new("id").arg("-un").output().await.unwrap();
        let user = String::from_utf8(user.stdout).unwrap().trim().to_owned();
        if user == "root" {
            // Where root's server locks its helpers up; a package makes it at boot, which a container has none of.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(folder.path().join("settings"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("sshd starts: it is in the package openssh-server");
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        while !said.next_line().await.unwrap().expect("sshd listens before it ends").contains("Server listening") {}
        // Read to the end, so that it never waits for its log to be taken.
        tokio::spawn(async move { while said.next_line().await.is_ok_and(|line| line.is_some()) {} });
        Self { _child: child, user, port, folder }
    }

    /// Returns the address of a folder of this machine.
    pub(crate) fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, path.display())
    }

    /// Returns the private key that may come in.
    pub(crate) fn identity(&self) -> PathBuf {
        self.folder.path().join("guest/tag-signing")
    }

    /// Returns the file that names the server's own key.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known")
    }

    /// Names another key as the server's own, as if somebody stood in between.
    pub(crate) fn forget_host_key(&self) {
        let other = key(self.folder.path(), "other");
        std::fs::write(self.known_hosts(), format!("[127.0.0.1]:{} {other}\n", self.port)).unwrap();
    }
}

/// Makes a key; returns its public half.
fn key(folder: &Path, name: &str) -> String {
    let options = crypto::Options { folder: folder.join(name), ..crypto::Options::default() };
    crypto::keys::init(&options).unwrap();
    let private = std::fs::read_to_string(options.folder.join(&options.tag_signing_key)).unwrap();
    Signer::parse(&private).unwrap().key().to_string()
}
