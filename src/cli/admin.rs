//! `embargo init` and `embargo admin`: what the operator does on the server's own machine.
//!
//! Guards: keys and configuration are never overwritten and readable by their owner only; secrets are printed once and
//! stand in no argument. Works beside a running server. Leaves the use cases to `workflow::console`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use rustix::fs::Mode;
use serde::Serialize;

use super::output::Output;
use super::{Failure, Result};
use crate::app::Clock;
use crate::config::{self, BaseUrl, Config};
use crate::crypto;
use crate::crypto::recipient::AgeRecipient;
use crate::crypto::sshkey::SshKey;
use crate::domain::access::Role;
use crate::domain::account::{KeyKind, Person};
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::sealed::Secret;
use crate::domain::session::SignInLink;
use crate::domain::text::{EmailAddress, Handle, Label};
use crate::store::Store;
use crate::wire::account::Me;
use crate::workflow;
use crate::workflow::console::{Console, NewPerson};

/// What the database makes beside itself is for its owner, like the rest of the data folder.
const OWNER_ONLY: Mode = Mode::RWXG.union(Mode::RWXO);

/// Arguments of `embargo init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Where people and git will reach the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8484")]
    base_url: BaseUrl,
    /// Where the server listens [default: where a base URL on this machine points, else 127.0.0.1:8484]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = config::listen_address)]
    listen: Option<SocketAddr>,
    /// The data folder
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/embargo")]
    data: PathBuf,
    /// The folder of the server's keys, outside the data folder [default: `keys` beside the configuration]
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    person: PersonArguments,
}

/// The operator's commands.
#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Look after people
    #[command(subcommand)]
    Person(PersonCommand),
    /// Look after projects
    #[command(subcommand)]
    Project(ProjectCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum PersonCommand {
    /// Add a person
    Add(PersonArguments),
    /// Set or change the address a person's notices go to
    Email {
        /// Whose
        handle: Handle,
        /// The address
        address: EmailAddress,
    },
    /// Make a one-time link that signs a person in, for 15 minutes
    Link {
        /// Whom it signs in
        handle: Handle,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Put a person in a project's team, or change their role
    Team {
        /// The project
        project: ProjectId,
        /// The person
        handle: Handle,
        /// Their role: auditor, triager, fixer, reviewer or `release_manager`
        role: Role,
    },
    /// Take a person out of a project's team, and of all its cases
    Leave {
        /// The project
        project: ProjectId,
        /// The person
        handle: Handle,
    },
}

/// A person to add.
#[derive(Debug, Args)]
pub(super) struct PersonArguments {
    /// The person's handle
    #[arg(long)]
    handle: Handle,
    /// The person's name [default: the handle]
    #[arg(long)]
    name: Option<Label>,
    /// Where notices go
    #[arg(long, value_name = "ADDRESS")]
    email: Option<EmailAddress>,
    /// A file with an SSH public key of theirs, to sign in
    #[arg(long, value_name = "FILE")]
    ssh_key: Vec<PathBuf>,
    /// A file with an age recipient or SSH public key of theirs, to read attachments
    #[arg(long, value_name = "FILE")]
    age_key: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Initialised {
    config: PathBuf,
    recovery_identity: String,
    recovery_recipient: String,
    tag_key: Option<String>,
    person: Me,
    sign_in: Link,
}

#[derive(Serialize)]
struct Left {
    person: Me,
    /// The cases they had a seat in.
    cases: Vec<CaseId>,
}

#[derive(Serialize)]
struct Link {
    link: String,
    page: String,
    code: String,
    expires_at: Timestamp,
}

/// Sets up a new server.
pub(super) async fn init(path: &Path, init: &Init, output: Output) -> Result<()> {
    rustix::process::umask(OWNER_ONLY);
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The server may be started from any folder.
    let whole =
        |path: &Path| std::path::absolute(path).map_err(|error| Failure::because("This folder has no path.", error));
    let keys = whole(&init.keys.clone().unwrap_or_else(|| folder.join("keys")))?;
    let text = configuration(init, (&whole(&init.data)?, &keys));
    let config = Config::parse(&text).map_err(Failure::Refused)?;
    let person = new_person(&init.person)?;
    let database = config.data.join("embargo.db");
    for taken in [path, database.as_path()] {
        if taken.symlink_metadata().is_ok() {
            return Err(Failure::Refused(format!("{} exists already: nothing was changed.", taken.display())));
        }
    }
    folder_of_ours(folder, 0o755)?;
    folder_of_ours(&config.data, 0o700)?;
    let made = crypto::keys::init(&config.keys).map_err(|error| match error {
        crypto::Error::KeyExists { .. } => Failure::Refused(error.to_string()),
        other => Failure::because("The keys could not be made.", other),
    })?;
    write_new(path, &text)?;
    let console = Console::new(store(&database).await?, Clock::System);
    let person = console.found(person).await.map_err(failure)?;
    warn_unreachable(&person, output);
    let (code, link) = console.make_link(&person.handle).await.map_err(failure)?;
    let link = shown_link(&config, &code, &link);
    let done = Initialised {
        config: path.to_owned(),
        recovery_identity: made.recovery_identity.expose().to_owned(),
        recovery_recipient: made.recovery_recipient.to_string(),
        tag_key: made.tag_key.map(|key| key.to_string()),
        person: Me::from(&person),
        sign_in: link,
    };
    let tag_key = done.tag_key.as_deref().map_or_else(String::new, |key| {
        format!("Tags will be signed by this key; add it to the allowed signers of your project:\n\n    {key}\n\n")
    });
    output.result(
        &done,
        &format!(
            "Made {} and the keys in {}.\n\n\
             Recovery identity, shown this once and stored nowhere. Keep it offline: it opens everything if the keys are lost.\n\n    \
             {}\n\n{tag_key}\
             Now write your project into {}, start `embargo serve`, and sign in as @{} within 15 minutes:\n\n    {}\n\n\
             `embargo admin person link {}` makes another link.",
            path.display(),
            config.keys.folder.display(),
            done.recovery_identity,
            path.display(),
            person.handle,
            done.sign_in.link,
            person.handle,
        ),
    )
}

/// Runs one of the operator's commands.
pub(super) async fn run(path: &Path, admin: &Admin, output: Output) -> Result<()> {
    rustix::process::umask(OWNER_ONLY);
    let config = Config::load(path).map_err(|error| Failure::because("Nothing was changed.", error))?;
    let console = open(&config).await?;
    match admin {
        Admin::Person(PersonCommand::Add(person)) => {
            let person = console.add_person(new_person(person)?).await.map_err(failure)?;
            warn_unreachable(&person, output);
            let sentence =
                format!("Added @{0}. `embargo admin person link {0}` makes a link to sign in.", person.handle);
            output.result(&Me::from(&person), &sentence)
        }
        Admin::Person(PersonCommand::Email { handle, address }) => {
            let person = console.set_email(handle, address.clone()).await.map_err(failure)?;
            output.result(&Me::from(&person), &format!("Notices for @{handle} go to {address}."))
        }
        Admin::Person(PersonCommand::Link { handle }) => {
            let (code, link) = console.make_link(handle).await.map_err(failure)?;
            let link = shown_link(&config, &code, &link);
            let sentence = format!("Signs @{handle} in, once and until {}:\n\n    {}", link.expires_at, link.link);
            output.result(&link, &sentence)
        }
        Admin::Project(ProjectCommand::Team { project, handle, role }) => {
            let person: Person = console.join_team(project, handle, *role).await.map_err(failure)?;
            let sentence = format!(
                "@{handle} is {role} in the team of {project}. Cases that are open already stay as they are: `embargo case invite` gives a seat there."
            );
            output.result(&Me::from(&person), &sentence)
        }
        Admin::Project(ProjectCommand::Leave { project, handle }) => {
            let (person, cases) = console.leave_team(project, handle).await.map_err(failure)?;
            let sentence = left(project, handle, &cases);
            output.result(&Left { person: Me::from(&person), cases }, &sentence)
        }
    }
}

/// Says what follows from having no address.
fn warn_unreachable(person: &Person, output: Output) {
    if person.email.is_none() {
        output.remark(&format!(
            "Warning: @{0} has no mail address, so nobody tells them of reports, messages and releases that wait for them: \
             `embargo admin person email {0} ADDRESS` sets one.",
            person.handle
        ));
    }
}

/// Says what leaving a team took away.
fn left(project: &ProjectId, handle: &Handle, cases: &[CaseId]) -> String {
    let cases: Vec<_> = cases.iter().map(ToString::to_string).collect();
    if cases.is_empty() {
        return format!("@{handle} is out of the team of {project}. They had a seat in none of its cases.");
    }
    format!("@{handle} is out of the team of {project}, and of {}.", cases.join(", "))
}

async fn open(config: &Config) -> Result<Console> {
    let database = config.data.join("embargo.db");
    let missing =
        |error| Failure::because(format!("There is no database at {}: run `embargo init`.", database.display()), error);
    let owner = fs::metadata(&database).map_err(missing)?.uid();
    if owner != rustix::process::geteuid().as_raw() {
        // A log file of another user beside the database would lock the server out.
        return Err(Failure::Refused(format!("{} belongs to another user: run this as them.", database.display())));
    }
    Ok(Console::new(store(&database).await?, Clock::System))
}

async fn store(database: &Path) -> Result<Store> {
    Store::open(database).await.map_err(|error| Failure::because("The database could not be opened.", error))
}

fn new_person(arguments: &PersonArguments) -> Result<NewPerson> {
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => arguments.handle.as_str().parse()?,
    };
    let files = arguments.ssh_key.iter().map(|file| (KeyKind::Ssh, file));
    let files = files.chain(arguments.age_key.iter().map(|file| (KeyKind::Age, file)));
    let read = |(kind, file): (KeyKind, &PathBuf)| {
        let unreadable = |error| Failure::because(format!("The key {} could not be read.", file.display()), error);
        let text = fs::read_to_string(file).map_err(unreadable)?;
        // Looked at before anything is made: a refusal later would leave a server half set up.
        let wrong = |wrong| Failure::Refused(format!("{}: {wrong}.", file.display()));
        match kind {
            KeyKind::Ssh => drop(text.trim().parse::<SshKey>().map_err(wrong)?),
            KeyKind::Age => drop(text.trim().parse::<AgeRecipient>().map_err(wrong)?),
        }
        Ok((kind, text))
    };
    Ok(NewPerson {
        handle: arguments.handle.clone(),
        name,
        email: arguments.email.clone(),
        keys: files.map(read).collect::<Result<_>>()?,
    })
}

fn configuration(init: &Init, (data, keys): (&Path, &Path)) -> String {
    let quoted = |text: String| toml::Value::String(text).to_string();
    format!(
        "# The configuration of this embargo server. Secrets stand in files of their own, outside the data folder.\n\
         data = {}\nbase_url = {}\nlisten = {}\n\n[keys]\nfolder = {}\n\n\
         # A release needs a mail server:\n\
         #\n\
         # [mail]\n\
         # host = \"mail.example.org\"\n\
         # from = \"security@example.org\"\n\
         #\n\
         # One block per project; name and address of the signer stand on public merges and tags:\n\
         #\n\
         # [[project]]\n\
         # id = \"demo\"\n\
         # prefix = \"DEMO\"\n\
         # name = \"Demo\"\n\
         # signer = {{ name = \"Demo security\", email = \"security@example.org\" }}\n\
         #\n\
         # [[project.repository]]\n\
         # name = \"demo\"\n\
         # url = \"https://git.example.org/demo.git\"\n\
         # lines = [\"main\"]\n",
        quoted(data.display().to_string()),
        quoted(init.base_url.to_string()),
        quoted(listen_at(init).to_string()),
        quoted(keys.display().to_string()),
    )
}

/// Returns where the server listens: as was said, or where a base URL on this machine points.
fn listen_at(init: &Init) -> SocketAddr {
    let local = || {
        let port = init.base_url.authority().rsplit_once(':')?.1.parse().ok()?;
        (!init.base_url.is_https()).then(|| SocketAddr::from(([127, 0, 0, 1], port)))
    };
    init.listen.or_else(local).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8484)))
}

fn shown_link(config: &Config, code: &Secret, link: &SignInLink) -> Link {
    let page = format!("{}/sign-in", config.base_url);
    // Browsers keep what follows the # to themselves.
    let url = format!("{page}#{}", code.expose());
    Link { link: url, page, code: code.expose().to_owned(), expires_at: link.expires_at }
}

fn folder_of_ours(folder: &Path, mode: u32) -> Result<()> {
    let failed = |error| Failure::because(format!("The folder {} could not be made.", folder.display()), error);
    fs::DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(failed)
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let failed = |error| Failure::because(format!("{} could not be written.", path.display()), error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// Turns a use case's "no" into exit code 1, and a fault into 3.
fn failure(error: workflow::Error) -> Failure {
    match error {
        workflow::Error::Unavailable { .. } | workflow::Error::Internal(_) => {
            Failure::because("This did not work; nothing was changed.", error)
        }
        workflow::Error::NotFound
        | workflow::Error::Unauthenticated
        | workflow::Error::Refused(_)
        | workflow::Error::Blocked(_)
        | workflow::Error::Conflict => Failure::Refused(error.to_string()),
    }
}
