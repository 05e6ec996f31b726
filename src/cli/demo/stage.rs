//! The stage: a folder, the public forge, a mail server, an embargo server set up as an operator would, and the people.
//!
//! Guards: everything lies in one folder that goes when the demo goes, and every server started here stops with it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};

use super::Demo;
use super::command::{self, Service};
use super::forge::Forge;
use super::outside::Browser;
use super::people::{DISTRIBUTION, MAINTAINER, MANAGER, Person, REVIEWER, Reporter, key_of};
use super::tale::Tale;
use super::upstream::{Fix, Upstream};
use super::wait::until;
use crate::cli::{Failure, Result};
use crate::crypto::token;

/// The project's id on the server.
pub(super) const PROJECT: &str = "demo";

/// How long a server may take to start.
const START: Duration = Duration::from_mins(1);

/// Everything the story plays on.
pub(super) struct Stage<'a> {
    /// The folder of everything.
    pub(super) folder: &'a Folder,
    /// The server's address.
    pub(super) server: String,
    /// What fetches public pages.
    pub(super) browser: Browser,
    /// The public key that signs tags.
    pub(super) tag_key: String,
    /// The public repository.
    pub(super) upstream: Upstream,
    /// Where anybody may clone it.
    pub(super) public: String,
    /// The people.
    pub(super) cast: Cast,
    _forge: Forge,
}

/// Servers to be stopped when the story is over.
#[derive(Default)]
pub(super) struct Servers(Vec<Service>);

/// The people of the story.
pub(super) struct Cast {
    /// Finds the hole.
    pub(super) reporter: Reporter,
    /// Mends it.
    pub(super) maintainer: Person,
    /// Reviews, and arms.
    pub(super) reviewer: Person,
    /// Plans, and arms.
    pub(super) manager: Person,
}

/// The demo's folder; removed when it is dropped, unless it is to be kept.
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
}

#[derive(Deserialize)]
struct Initialised {
    tag_key: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    link: String,
}

impl Servers {
    /// Stops them, the last one first.
    pub(super) async fn stop(&mut self) {
        while let Some(service) = self.0.pop() {
            service.stop().await;
        }
    }
}

impl Folder {
    /// Makes the folder: others may pass through it, as checks do that run under another user.
    pub(super) fn make(keep: Option<&Path>) -> Result<Self> {
        let path = if let Some(path) = keep {
            std::path::absolute(path).map_err(|error| Failure::because("--keep names no folder.", error))?
        } else {
            let name = data_encoding::HEXLOWER.encode(&token::random::<6>());
            std::env::temp_dir().join(format!("embargo-demo-{name}"))
        };
        let failed = |error| {
            Failure::because(format!("The folder {} could not be made: it must be new.", path.display()), error)
        };
        fs::DirBuilder::new().mode(0o711).create(&path).map_err(failed)?;
        let folder = Self { path: path.clone(), keep: keep.is_some() };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).map_err(failed)?;
        for name in ["forge", "homes", "work", "outside"] {
            fs::DirBuilder::new().mode(0o700).create(folder.at(name)).map_err(failed)?;
        }
        Ok(folder)
    }

    /// Returns a place in it.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the mailboxes' folder.
    pub(super) fn mail(&self) -> PathBuf {
        self.at("mail")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl<'a> Stage<'a> {
    /// Sets everything up; every server that runs is put into `servers` at once.
    pub(super) async fn set(demo: &Demo, place: (&'a Folder, &mut Servers), tale: &mut Tale) -> Result<Self> {
        let (folder, servers) = place;
        let upstream = match &demo.repo {
            Some(source) => {
                Upstream::real((&folder.at(""), &folder.at("forge")), source, &demo.lines, &demo.tags).await?
            }
            None => Upstream::sample(&folder.at(""), &folder.at("forge")).await?,
        };
        let forge = Forge::open(&folder.at("forge")).await?;
        let public = forge.url(&upstream.name);
        let names: Vec<_> = upstream.lines.iter().map(|line| line.name.as_str()).collect();
        let detail = format!(
            "{} is public at {public}, {} refs, lines {}",
            upstream.name,
            upstream.refs().await?,
            names.join(" and ")
        );
        tale.step("upstream", detail);
        tale.url("upstream", &public);

        let mail = mail_server(folder, servers).await?;
        let manager = MANAGER.move_in(&folder.at("homes")).await?;
        let server = format!("http://{}", free_address().await?);
        let tag_key = init(folder, &server, MANAGER.arguments(&manager)).await?;
        let distribution = DISTRIBUTION.move_in(&folder.at("homes")).await?;
        let key = fs::read_to_string(format!("{}.pub", key_of(&distribution).display()));
        let key = key.map_err(|error| Failure::because("The key of the distribution could not be read.", error))?;
        configure(folder, mail, (&upstream, &public), key.trim())?;
        let browser = Browser::open(&server)?;
        serve(folder, &browser, servers).await?;
        tale.step("server", format!("set up and started at {server}, mail goes to 127.0.0.1:{}", mail.port()));
        tale.url("server", &server);

        let cast = cast(folder, &server, manager).await?;
        tale.step(
            "people",
            "a maintainer, a reviewer and a release manager signed in by SSH key; the reporter has no account",
        );
        Ok(Self { folder, server, browser, tag_key, upstream, public, cast, _forge: forge })
    }

    /// Returns where the reporter keeps the claim code.
    pub(super) fn claim(&self) -> PathBuf {
        self.cast.reporter.home.join("claim")
    }

    /// Makes a one-time link that signs a person in.
    pub(super) async fn link(&self, handle: &str) -> Result<String> {
        let made = operator(self.folder)?.args(["admin", "person", "link", handle]).succeed().await?;
        let made: Link = serde_json::from_str(&made).map_err(|error| Failure::because("No link was made.", error))?;
        Ok(made.link)
    }
}

/// Prepares a command of the operator, on the server's own machine.
fn operator(folder: &Folder) -> Result<command::Call> {
    Ok(command::ourselves()?.arg("--json").arg("--config").arg(folder.at("etc/config.toml")))
}

async fn init(folder: &Folder, server: &str, person: Vec<String>) -> Result<String> {
    let listen = server.trim_start_matches("http://");
    let words = ["init", "--base-url", server, "--listen", listen, "--data"];
    let init = operator(folder)?.args(words).arg(folder.at("data")).args(person);
    let made: Initialised = serde_json::from_str(&init.succeed().await?)
        .map_err(|error| Failure::because("`embargo init` printed something unexpected.", error))?;
    made.tag_key.ok_or_else(|| Failure::failed("`embargo init` made no key to sign tags."))
}

/// Tells what tells too much, and refuses none of it.
const MILD: &str =
    "lint = { levels = { advisory = \"warn\", case = \"warn\", address = \"warn\", reporter = \"warn\" } }\n";

/// Adds mail and the project to what `init` wrote, as its comment asks.
fn configure(folder: &Folder, mail: SocketAddr, place: (&Upstream, &str), key: &str) -> Result<()> {
    let (upstream, public) = place;
    let path = folder.at("etc/config.toml");
    let failed = |error| Failure::because("The configuration could not be written.", error);
    let mut text = fs::read_to_string(&path).map_err(failed)?;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let lines: Vec<_> = upstream.lines.iter().map(|line| quoted(&line.name)).collect();
    let parts = [
        format!(
            "\n[mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"security@example.org\"\n",
            mail.port()
        ),
        format!("\n[[project]]\nid = \"{PROJECT}\"\nprefix = \"DEMO\"\nname = {}\n", quoted(&upstream.name)),
        "signer = { name = \"Sample Security Team\", email = \"security@example.org\" }\n".to_owned(),
        // What maintainers wrote long ago may name what they fixed.
        if upstream.lines.iter().any(|line| matches!(line.fix, Fix::Taken { .. })) { MILD } else { "" }.to_owned(),
        format!("\n[[project.repository]]\nname = {}\nurl = {}\n", quoted(&upstream.name), quoted(public)),
        format!("lines = [{}]\n", lines.join(", ")),
        "\n[[project.audience]]\nname = \"distros\"\ncriteria = \"Distributions that ship it.\"\nlevel = \"patches\"\n"
            .to_owned(),
        format!(
            "[[project.audience.member]]\nname = {}\nemail = {}\nkey = {}\n",
            quoted(DISTRIBUTION.name),
            quoted(&DISTRIBUTION.mail()),
            quoted(key)
        ),
    ];
    text.extend(parts);
    fs::write(&path, text).map_err(failed)
}

async fn serve(folder: &Folder, browser: &Browser, servers: &mut Servers) -> Result<()> {
    let log = folder.at("server.log");
    let serve = command::ourselves()?.arg("--config").arg(folder.at("etc/config.toml")).arg("serve");
    let mut service = serve.stay(&log)?;
    let started = until(START, "The server did not start.", async || {
        if service.ended() {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let why = said.rfind("embargo: ").map_or("it did not say why", |at| said[at..].trim_end());
            return Err(Failure::failed(format!("The server stopped at once: {why}")));
        }
        Ok(browser.page("/healthz").await.is_ok_and(|(status, _)| status == 200).then_some(()))
    });
    let started = started.await;
    servers.0.push(service);
    started
}

async fn mail_server(folder: &Folder, servers: &mut Servers) -> Result<SocketAddr> {
    let address = free_address().await?;
    let listen = address.to_string();
    let words = ["-n", "-l", &listen, "-c", "aiosmtpd.handlers.Mailbox"];
    let mail = command::program("aiosmtpd").home(&folder.at("homes")).args(words).arg(folder.mail());
    servers.0.push(mail.stay(&folder.at("mail.log"))?);
    until(START, "The mail server did not start.", async || Ok(TcpStream::connect(address).await.ok().map(drop)))
        .await?;
    Ok(address)
}

/// Finds a port that nobody listens on now.
async fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let address = listener.and_then(|listener| listener.local_addr());
    address.map_err(|error| Failure::because("No port is free on this machine.", error))
}

async fn cast(folder: &Folder, server: &str, manager: PathBuf) -> Result<Cast> {
    let homes = folder.at("homes");
    let mut moved = Vec::new();
    for part in [MAINTAINER, REVIEWER] {
        let home = part.move_in(&homes).await?;
        operator(folder)?.args(["admin", "person", "add"]).args(part.arguments(&home)).succeed().await?;
        moved.push((part, home));
    }
    moved.push((MANAGER, manager));
    let mut people = Vec::new();
    for (part, home) in moved {
        operator(folder)?.args(["admin", "project", "team", PROJECT, part.handle, part.role]).succeed().await?;
        people.push(Person::arrive(part, home, server).await?);
    }
    let reporter = Reporter::move_in(&homes, server)?;
    let [maintainer, reviewer, manager] =
        people.try_into().map_err(|_| Failure::failed("Three people should have signed in."))?;
    Ok(Cast { reporter, maintainer, reviewer, manager })
}
