//! The operator's shell and a person's own, as programs: a server is set up, people come in, and nothing is shown twice.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use embargo::crypto;
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};

use crate::support::program;

/// A folder in which a server was set up by `embargo init`.
struct Shell {
    folder: tempfile::TempDir,
    config: PathBuf,
    said: Value,
}

impl Shell {
    async fn init() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("etc/config.toml");
        let shell = Self { config, said: Value::Null, folder };
        shell.key("sample");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let said = shell.init_again(&base).await;
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Self { said: serde_json::from_slice(&said.stdout).unwrap(), ..shell }
    }

    async fn init_again(&self, base: &str) -> std::process::Output {
        let (data, key) = (self.data().display().to_string(), self.public("sample").display().to_string());
        let args = ["--json", "init", "--base-url", base, "--data", &data, "--handle", "sample", "--ssh-key", &key];
        program::run(&self.config, &args).await
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn public(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}/id_ed25519.pub"))
    }

    /// Makes an SSH key.
    fn key(&self, name: &str) {
        let options = crypto::Options { folder: self.folder.path().join(name), ..crypto::Options::default() };
        crypto::keys::init(&options).unwrap();
        let private = options.folder.join("id_ed25519");
        std::fs::rename(options.folder.join(&options.tag_signing_key), &private).unwrap();
        let signer = crypto::sshsig::Signer::parse(&std::fs::read_to_string(private).unwrap()).unwrap();
        std::fs::write(self.public(name), format!("{}\n", signer.key())).unwrap();
    }

    /// Runs one of the operator's commands; returns what it printed as JSON.
    async fn run(&self, args: &[&str]) -> Value {
        let ended = program::run(&self.config, &[&["--json"], args].concat()).await;
        assert!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
        serde_json::from_slice(&ended.stdout).unwrap()
    }

    /// Runs one that is refused; returns its code and sentence.
    async fn refused(&self, args: &[&str]) -> (Option<i32>, String) {
        let ended = program::run(&self.config, args).await;
        assert!(ended.stdout.is_empty(), "{args:?}");
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    }

    fn base(&self) -> String {
        self.said["sign_in"]["page"].as_str().unwrap().trim_end_matches("/sign-in").to_owned()
    }

    /// Brings the code of a link to the page it is for; returns the status.
    async fn enter(&self, code: &str) -> u16 {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let form = client.post(format!("{}/sign-in", self.base())).header("Origin", self.base());
        let form = form.header("Content-Type", "application/x-www-form-urlencoded").body(format!("code={code}"));
        form.send().await.unwrap().status().as_u16()
    }

    /// Lists the files below a folder.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files.extend(Self::files(&path)) } else { files.push(path) }
        }
        files
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn a_server_is_set_up_once_and_its_keys_are_for_its_owner() {
    let shell = Shell::init().await;
    let keys = shell.config.parent().unwrap().join("keys");
    for file in
        [shell.config.clone(), keys.join("server.key"), keys.join("tag-signing"), shell.data().join("embargo.db")]
    {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    assert!(!keys.starts_with(shell.data()));
    for folder in [&keys, &shell.data()] {
        assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
    }
    // The identity that opens everything is shown this once and kept nowhere; the recipient that stays belongs to it.
    let recovery = text(&shell.said["recovery_identity"]);
    assert!(recovery.starts_with("AGE-SECRET-KEY-1"));
    for file in Shell::files(shell.folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(recovery.len()).any(|part| part == recovery.as_bytes()), "{}", file.display());
    }
    let recipient = std::fs::read_to_string(keys.join("recovery.txt")).unwrap();
    assert_eq!(recipient.trim(), text(&shell.said["recovery_recipient"]));

    let before: Vec<_> =
        Shell::files(shell.folder.path()).into_iter().map(|file| std::fs::read(file).unwrap()).collect();
    let again = shell.init_again(&shell.base()).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("nothing was changed"), "{again:?}");
    let after: Vec<_> =
        Shell::files(shell.folder.path()).into_iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(before == after, "not a byte of what was there has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_that_init_and_admin_print_sign_in_once() {
    let shell = Shell::init().await;
    let server = program::serve(&shell.config, None).await;
    let first = text(&shell.said["sign_in"]["code"]);
    assert!(text(&shell.said["sign_in"]["link"]).ends_with(&format!("/sign-in#{first}")));
    assert_eq!((shell.enter(first).await, shell.enter(first).await), (303, 422));
    let link = shell.run(&["admin", "person", "link", "sample"]).await;
    let now = embargo::app::Clock::System.now();
    let left = text(&link["expires_at"]).parse::<jiff::Timestamp>().unwrap().duration_since(now);
    assert!((14 * 60..=15 * 60).contains(&left.as_secs()), "{left:?}");
    assert_eq!((shell.enter(text(&link["code"])).await, shell.enter(text(&link["code"])).await), (303, 422));

    shell.key("other");
    let key = shell.public("other").display().to_string();
    shell.run(&["admin", "person", "add", "--handle", "other", "--ssh-key", &key]).await;
    let (code, said) = shell.refused(&["admin", "person", "add", "--handle", "other", "--ssh-key", &key]).await;
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = shell.refused(&["admin", "person", "link", "nobody"]).await;
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = shell.refused(&["admin", "project", "team", "none", "other", "fixer"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(program::stop(server).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_by_their_key_and_a_stranger_does_not() {
    let shell = Shell::init().await;
    let server = program::serve(&shell.config, None).await;
    shell.key("stranger");
    let login = async |name: &str, args: &[&str]| {
        let home = shell.folder.path().join(format!("home-{name}"));
        std::fs::create_dir_all(&home).unwrap();
        let mut command = program::embargo(Path::new("/nonexistent"));
        command.env("HOME", &home).args(args).output().await.unwrap()
    };
    let base = shell.base();
    for (name, code) in [("sample", 0), ("stranger", 1)] {
        let key = shell.folder.path().join(name).join("id_ed25519").display().to_string();
        let args = ["login", &base, "--key", &key, "--no-browser", "--no-git"];
        let ended = login(name, &args).await;
        assert_eq!(ended.status.code(), Some(code), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    let who = login("sample", &["--json", "whoami"]).await;
    let who: Value = serde_json::from_slice(&who.stdout).unwrap();
    assert_eq!(who["handle"], "sample");
    let nobody = login("stranger", &["whoami"]).await;
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("embargo login"), "{nobody:?}");
    let kept = shell.folder.path().join("home-sample/.config/embargo/credentials.toml");
    assert_eq!(std::fs::metadata(kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(program::stop(server).await.success());
}

#[tokio::test]
async fn whoever_cannot_be_reached_is_told_so_and_can_be_given_an_address() {
    let shell = Shell::init().await;
    shell.key("other");
    let key = shell.public("other").display().to_string();
    let added = program::run(&shell.config, &["admin", "person", "add", "--handle", "other", "--ssh-key", &key]).await;
    let said = String::from_utf8(added.stderr).unwrap();
    assert!(said.contains("@other has no mail address") && said.contains("admin person email other"), "{said}");
    shell.run(&["admin", "person", "email", "other", "other@example.org"]).await;
    let (code, said) = shell.refused(&["admin", "person", "email", "nobody", "other@example.org"]).await;
    assert_eq!(code, Some(1), "{said}");
    let (code, _) = shell.refused(&["admin", "person", "email", "other", "no address"]).await;
    assert_eq!(code, Some(2));

    shell.key("third");
    let key = shell.public("third").display().to_string();
    let args = ["admin", "person", "add", "--handle", "third", "--email", "third@example.org", "--ssh-key", &key];
    let added = program::run(&shell.config, &args).await;
    assert!(added.status.success() && !String::from_utf8(added.stderr).unwrap().contains("Warning"));
}

#[tokio::test]
async fn a_key_that_cannot_be_added_is_named_by_its_file() {
    let shell = Shell::init().await;
    shell.key("other");
    let private = shell.folder.path().join("other/id_ed25519").display().to_string();
    let (code, said) = shell.refused(&["admin", "person", "add", "--handle", "other", "--ssh-key", &private]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("{private}: this is a private key")), "{said}");
    let taken = shell.public("sample").display().to_string();
    let (code, said) = shell.refused(&["admin", "person", "add", "--handle", "other", "--ssh-key", &taken]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("signs somebody else in already"), "{said}");
}

/// Attack: an operator who rewrites history hopes that nobody looks.
#[tokio::test]
async fn a_broken_chain_is_told_by_the_program_with_its_place() {
    let shell = Shell::init().await;
    let verified = shell.run(&["audit", "verify"]).await;
    assert_eq!(verified["intact"], true);
    let file = shell.data().join("embargo.db");
    let mut forged = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    for sql in ["drop trigger event_is_append_only", "update event set actor = 'nobody' where seq = 2"] {
        sqlx::query(sql).execute(&mut forged).await.unwrap();
    }
    forged.close().await.unwrap();
    let (code, said) = shell.refused(&["audit", "verify"]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("broken at event 2"), "{said}");
}
