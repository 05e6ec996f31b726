//! What the benchmarks run on: the public repository, Apache, and a server set up as an operator would, with a case.
//!
//! Guards: everything goes through the public faces of the release-built program (`init`, `admin`, `serve`, the API, git and
//! the command line), and lies in one folder that goes when the benchmarks end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use embargo::domain::check::CheckState;
use embargo::wire::account::MadeToken;
use embargo::wire::case::CaseView;
use embargo::wire::project::ProjectView;
use embargo::wire::release::ReleaseView;
use embargo::wire::report::ReceiptView;
use reqwest::{Client, Method};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::apache::{Apache, hand_over};
use crate::command::{Call, Result, Service, embargo, git, program};
use crate::sample;
use crate::train::Receiver;

/// The project's id on the server.
pub(crate) const PROJECT: &str = "sample";
/// The id of another project, with many lines and channels; its repository has the same name.
pub(crate) const TRAIN: &str = "train";
/// Works on fixes and pushes them.
pub(crate) const FIXER: Person = Person { handle: "fixer", role: "fixer" };
/// Set the server up; approves and arms.
pub(crate) const MANAGER: Person = Person { handle: "manager", role: "release_manager" };

/// How long is waited for what happens by itself.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often is looked meanwhile.
const PACE: Duration = Duration::from_millis(5);
/// How long a server takes no processor time before it counts as idle.
const QUIET: Duration = Duration::from_secs(2);

/// Somebody with an account.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    handle: &'static str,
    role: &'static str,
}

/// A case that was reported and accepted.
pub(crate) struct Case {
    /// Its id.
    pub(crate) id: String,
    /// The address of its private remote.
    pub(crate) remote: String,
    /// The file of its reporter's claim code.
    pub(crate) claim: PathBuf,
}

/// Everything a benchmark finds ready.
pub(crate) struct Stage {
    /// The folder of everything.
    pub(crate) folder: PathBuf,
    /// The other side, which also serves the public repository.
    pub(crate) apache: Apache,
    /// A case whose private remote is there.
    pub(crate) case: Case,
    /// The header by which git shows the fixer's token.
    pub(crate) header: String,
    server: String,
    token: String,
    http: Client,
    running: Option<Service>,
    receiver: Receiver,
    _mail: Service,
}

impl Stage {
    /// Sets everything up in this folder.
    pub(crate) async fn set(folder: &Path) -> Result<Self> {
        // Apache passes through, as another user where root starts it.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        let apache = Apache::start(&folder.join("apache")).await?;
        sample::plant(&apache.path(sample::NAME)).await?;
        sample::lay_tracks(&apache.path(TRAIN)).await?;
        hand_over(&[&apache.path(sample::NAME), &apache.path(TRAIN)]).await?;
        for name in ["homes", "work"] {
            fs::create_dir(folder.join(name))?;
        }
        let (mail, mail_port) = mail_server(folder).await?;
        let receiver = Receiver::start().await?;
        let server = format!("http://127.0.0.1:{}", free_port().await?);
        let http = Client::builder().no_proxy().build()?;
        let mut stage = Self {
            folder: folder.to_owned(),
            apache,
            case: Case { id: String::new(), remote: String::new(), claim: PathBuf::new() },
            header: String::new(),
            server,
            token: String::new(),
            http,
            running: None,
            receiver,
            _mail: mail,
        };
        stage.initialise(mail_port).await?;
        stage.restart().await?;
        stage.people().await?;
        stage.mirrored().await?;
        stage.case = stage.accepted_case(PROJECT, "A sample case").await?;
        Ok(stage)
    }

    /// Returns a new folder below the one of everything.
    pub(crate) fn new_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join("work").join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// Returns the process id of the server.
    pub(crate) fn process(&self) -> Result<u32> {
        Ok(self.running.as_ref().ok_or("the server does not run")?.id)
    }

    /// Stops the server if it runs and starts it; returns how long it took from there to its first answer.
    pub(crate) async fn restart(&mut self) -> Result<Duration> {
        self.stop().await?;
        let serve = embargo(&self.folder).arg("--config").arg(self.configuration()).arg("serve");
        let began = Instant::now();
        let mut service = serve.stay(&self.folder.join("server.log"))?;
        let page = format!("{}/healthz", self.server);
        loop {
            if self.http.get(&page).send().await.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            if service.ended() || began.elapsed() > PATIENCE {
                let said = fs::read_to_string(self.folder.join("server.log"))?;
                return Err(format!("The server did not start: {said}").into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = began.elapsed();
        self.running = Some(service);
        Ok(took)
    }

    /// Stops the server.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        match self.running.take() {
            Some(service) => service.stop().await,
            None => Ok(()),
        }
    }

    /// Waits until the server has nothing to do.
    pub(crate) async fn quiet(&self) -> Result<()> {
        let process = self.process()?;
        let mut last = (crate::process::processor_time(process)?, Instant::now());
        until("The server never came to rest.", async || {
            let now = crate::process::processor_time(process)?;
            if now > last.0 {
                last = (now, Instant::now());
            }
            Ok((last.1.elapsed() > QUIET).then_some(()))
        })
        .await
    }

    /// Runs a command of the command line as somebody, and reads what it prints.
    pub(crate) async fn embargo<T: DeserializeOwned>(&self, who: Person, words: &[&str]) -> Result<T> {
        self.command(who).arg("--json").args(words).json().await
    }

    /// Prepares a command of the command line as somebody.
    pub(crate) fn command(&self, who: Person) -> Call {
        embargo(&self.home(who))
    }

    /// Signs somebody in, as arming asks for anew.
    pub(crate) async fn sign_in(&self, who: Person) -> Result<()> {
        let key = self.home(who).join(".ssh/id_ed25519");
        let login = self.command(who).args(["--json", "login", &self.server, "--no-browser", "--no-git", "--key"]);
        login.arg(key).succeed().await.map(drop)
    }

    /// Asks the API as the manager.
    pub(crate) async fn api<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T> {
        let text = self.press(method, path).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Tells the API something as the manager, and reads its answer.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let url = format!("{}/api/v1{path}", self.server);
        let answer = self.http.post(url).bearer_auth(&self.token).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if status.is_success() {
            Ok(serde_json::from_str(&text)?)
        } else {
            Err(format!("{path} answers {status}: {text}").into())
        }
    }

    /// Asks the API as the manager for something that is answered by little or nothing.
    pub(crate) async fn press(&self, method: Method, path: &str) -> Result<String> {
        let url = format!("{}/api/v1{path}", self.server);
        let answer = self.http.request(method, url).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if status.is_success() { Ok(text) } else { Err(format!("{path} answers {status}: {text}").into()) }
    }

    /// Prepares git with a header for whom it speaks to.
    pub(crate) fn git(folder: &Path, header: &str) -> Call {
        git(folder).config("http.extraHeader", header)
    }

    /// Shows the project.
    pub(crate) async fn project(&self) -> Result<ProjectView> {
        self.api(Method::GET, &format!("/projects/{PROJECT}")).await
    }

    /// Reports something, accepts it and waits for the private remote.
    pub(crate) async fn accepted_case(&self, project: &str, title: &str) -> Result<Case> {
        let text = self.folder.join("report.md");
        fs::write(&text, "A sample report.\n")?;
        let claim = self.new_folder(title)?.join("claim");
        let report = embargo(&self.folder).args(["--json", "--server", &self.server, "report", "submit"]);
        let report = report.args(["--project", project, "--title", title, "--severity", "high"]);
        let report = report.args(["--credit", "Sample Reporter", "--contact", "reporter@example.org", "--text-file"]);
        let receipt: ReceiptView = report.arg(text).arg("--claim-file").arg(&claim).json().await?;
        let id = receipt.case;
        for act in ["acknowledge", "validate", "accept"] {
            self.embargo::<IgnoredAny>(MANAGER, &["case", act, &id]).await?;
        }
        let remote = until("The private remote was not made.", async || {
            let view: CaseView = self.show(&id).await?;
            Ok(if view.remote_pending { None } else { view.remotes.into_iter().next() })
        });
        let remote = remote.await?.url;
        Ok(Case { id, remote, claim })
    }

    /// Approves the fixes of a case; as the samples have no workflows, somebody answers for their commits.
    pub(crate) async fn approve_fixes(&self, case: &str, lines: usize) -> Result<()> {
        let fixes = until("The checks did not end.", async || {
            let fixes = self.show(case).await?.fixes;
            let ended = fixes.iter().filter(|fix| fix.checks.parse().is_ok_and(CheckState::terminal)).count();
            Ok((ended == lines).then_some(fixes))
        });
        for fix in fixes.await? {
            // A line that nothing was pushed to is listed, too.
            let Some(head) = fix.head else { continue };
            let words = ["fix", "approve", case, "--line", &fix.line, "--commit", &head];
            self.embargo::<IgnoredAny>(MANAGER, &words).await?;
            if fix.checks == CheckState::Unsupported.as_str() {
                let words = ["release", "waive", case, "--line", &fix.line, "--head", &head];
                self.embargo::<IgnoredAny>(MANAGER, &words).await?;
            }
        }
        Ok(())
    }

    /// Waits until nothing is in the way of a release.
    pub(crate) async fn ready(&self, release: &str) -> Result<()> {
        let mut last = String::new();
        let waited = until("", async || {
            let view: ReleaseView = self.api(Method::GET, &format!("/releases/{release}")).await?;
            last = view.blockers.iter().map(|blocker| blocker.sentence.as_str()).collect::<Vec<_>>().join(" ");
            let rehearsed = view.targets.iter().all(|target| target.candidate.is_some());
            Ok((rehearsed && view.blockers.is_empty()).then_some(()))
        });
        waited
            .await
            .map_err(|error| if last.is_empty() { error } else { format!("The release is blocked: {last}").into() })
    }

    /// Agrees to the date the team proposed, as the reporter of a case.
    pub(crate) async fn agree(&self, case: &Case) -> Result<()> {
        let date = embargo(&self.folder).args(["--json", "report", "date", "--claim-file"]);
        date.arg(&case.claim).arg("accept").succeed().await.map(drop)
    }

    /// Shows a case.
    pub(crate) async fn show(&self, case: &str) -> Result<CaseView> {
        self.api(Method::GET, &format!("/cases/{case}")).await
    }

    /// Returns the file of somebody's public key.
    pub(crate) fn public_key(&self, who: Person) -> PathBuf {
        self.home(who).join(".ssh/id_ed25519.pub")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("etc/config.toml")
    }

    fn home(&self, who: Person) -> PathBuf {
        self.folder.join("homes").join(who.handle)
    }

    fn operator(&self) -> Call {
        embargo(&self.folder).arg("--json").arg("--config").arg(self.configuration())
    }

    async fn initialise(&self, mail_port: u16) -> Result<()> {
        let person = self.move_in(MANAGER).await?;
        let words = ["init", "--base-url", &self.server, "--data"];
        self.operator().args(words).arg(self.folder.join("data")).args(person).succeed().await?;
        let lines = sample::LINES.map(|line| format!("\"{line}\"")).join(", ");
        let url = self.apache.public(sample::NAME);
        let tracks = sample::TRACKS.map(|line| format!("\"{line}\"")).join(", ");
        let (train, hook) = (self.apache.public(TRAIN), &self.receiver.url);
        let (served, secret) = (self.folder.join("served"), self.folder.join("hook-secret"));
        fs::create_dir(&served)?;
        fs::write(&secret, format!("whsec_{}\n", BASE64.encode(&[7; 32])))?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        let (served, secret) = (served.display(), secret.display());
        // The mirror's turn never comes by itself while something is measured.
        let text = format!(
            r#"
[mail]
host = "127.0.0.1"
port = {mail_port}
tls = "none"
from = "security@example.org"

[[project]]
id = "{PROJECT}"
prefix = "SAMPLE"
name = "Sample"
armings = 1

[[project.repository]]
name = "{}"
url = "{url}"
lines = [{lines}]
mirror = "0 0 0 1 1 *"

[[project]]
id = "{TRAIN}"
prefix = "TRAIN"
name = "Train"
armings = 1

[[project.repository]]
name = "{TRAIN}"
url = "{train}"
lines = [{tracks}]
mirror = "0 0 0 1 1 *"

[[project.channel]]
name = "files"
kind = "folder"
folder = "{served}"

[[project.channel]]
name = "hook"
kind = "webhook"
url = "{hook}"
secret_file = "{secret}"

[limits]
reports_per_hour = 1000
project_reports_per_hour = 1000
claims_per_hour = 1000
sign_ins_per_hour = 1000
"#,
            sample::NAME
        );
        let known = fs::read_to_string(self.configuration())?;
        Ok(fs::write(self.configuration(), known + &text)?)
    }

    /// Makes home and key of somebody; returns the arguments that describe them to the operator's commands.
    async fn move_in(&self, who: Person) -> Result<Vec<String>> {
        let folder = self.home(who).join(".ssh");
        fs::create_dir_all(&folder)?;
        let keygen = program("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", who.handle, "-f"]);
        keygen.arg(folder.join("id_ed25519")).succeed().await?;
        let key = self.public_key(who).display().to_string();
        let mail = format!("{}@example.org", who.handle);
        let words = ["--handle", who.handle, "--email", &mail, "--ssh-key", &key, "--age-key", &key];
        Ok(words.map(str::to_owned).to_vec())
    }

    async fn people(&mut self) -> Result<()> {
        let fixer = self.move_in(FIXER).await?;
        self.operator().args(["admin", "person", "add"]).args(fixer).succeed().await?;
        for who in [FIXER, MANAGER] {
            for project in [PROJECT, TRAIN] {
                let seat = ["admin", "project", "team", project, who.handle, who.role];
                self.operator().args(seat).succeed().await?;
            }
            self.sign_in(who).await?;
        }
        let words = ["token", "make", "git", "--scope", "git:read", "--scope", "git:write"];
        let made: MadeToken = self.embargo(FIXER, &words).await?;
        let pair = BASE64.encode(format!("{}:{}", FIXER.handle, made.secret).as_bytes());
        self.header = format!("Authorization: Basic {pair}");
        let words = ["token", "make", "api", "--scope", "api:read", "--scope", "api:write", "--scope", "git:read"];
        self.token = self.embargo::<MadeToken>(MANAGER, &words).await?.secret;
        Ok(())
    }

    async fn mirrored(&self) -> Result<()> {
        until("The mirror of the public repository was not made.", async || {
            let view = self.project().await?;
            let repository = view.repositories.into_iter().next().ok_or("The project has no repository.")?;
            match repository.state.as_str() {
                "ok" => Ok(Some(())),
                "unknown" => Ok(None),
                _ => Err(format!("The mirror could not be made: {}", repository.note).into()),
            }
        })
        .await
    }
}

/// Looks until there is something; fails with the sentence when it does not come.
pub(crate) async fn until<T>(sentence: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(PACE).await;
    }
    Err(sentence.into())
}

/// Finds a port that nobody listens on now.
pub(crate) async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

async fn mail_server(folder: &Path) -> Result<(Service, u16)> {
    let port = free_port().await?;
    let address = format!("127.0.0.1:{port}");
    let mail = program("aiosmtpd").args(["-n", "-l", &address, "-c", "aiosmtpd.handlers.Mailbox"]);
    let service = mail.arg(folder.join("mail")).stay(&folder.join("mail.log"))?;
    until("The mail server did not start.", async || Ok(TcpStream::connect(&address).await.ok().map(drop))).await?;
    Ok((service, port))
}
