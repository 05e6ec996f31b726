//! The ports, the clock and the case keys under one roof; the only way from ciphertext to text.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, Semaphore, broadcast};

use crate::ci::Sandbox;
use crate::config::{Config, ProjectConfig};
use crate::crypto::column::{CaseKey, Place};
use crate::crypto::keys::Keys;
use crate::crypto::shelf::Shelf;
use crate::crypto::token;
use crate::domain::access::Grant;
use crate::domain::actor::Actor;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{CaseId, CheckRunId, Minted, PushId, UpstreamId};
use crate::domain::owner::Owner;
use crate::domain::sealed::Sealed;
use crate::domain::steady::Steady;
use crate::forge::Forge;
use crate::forge::options::{self, ChannelError};
use crate::git::Git;
use crate::git::mirror::{Phase, Progress};
use crate::git::remote::{Access, CredentialError};
use crate::git::ticket::Tickets;
use crate::notify::Mailer;
use crate::store::{self, Reader, Store, Tx};
use crate::{crypto, git};

mod clock;
mod door;
mod folder;
mod mail;
mod signers;
mod stranger;

pub use clock::Clock;
pub use door::Door;
pub use mail::MailWay;
pub use stranger::Strangers;

/// Why the house could not be opened, or a sealed value not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Keys or sealed values.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// Git.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// Mail.
    #[error(transparent)]
    Mail(#[from] crate::notify::OptionsError),
    /// Channels.
    #[error(transparent)]
    Channels(#[from] crate::forge::OptionsError),
    /// One channel or hook.
    #[error("{which}: {why}")]
    Channel {
        /// Which of the two, and its name.
        which: String,
        /// What is wrong with it.
        why: ChannelError,
    },
    /// Who may sign tags.
    #[error("project {project}: {why}")]
    Signers {
        /// The project.
        project: String,
        /// What is wrong with a file.
        why: String,
    },
    /// The way to a public repository.
    #[error("repository {repository}: {why}")]
    Credential {
        /// The repository's name.
        repository: String,
        /// What is wrong with its credential.
        why: CredentialError,
    },
    /// The data folder.
    #[error(
        "the data folder {path} cannot be used: it must exist or be creatable, and belong to the user that runs the server"
    )]
    Data {
        /// Which folder.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something in the data folder is another user's: git and the server would fail over it one by one.
    #[error("{path} belongs to the user {owner}, and {us} runs the server: {advice}")]
    Foreign {
        /// What belongs to another.
        path: String,
        /// Whose it is.
        owner: String,
        /// Who runs the server.
        us: String,
        /// What to do, with the command.
        advice: String,
    },
    /// Another server works on the same data.
    #[error("another embargo server is running on the data folder {path}: stop it first")]
    Taken {
        /// Which folder.
        path: String,
    },
    /// The case's key was shredded.
    #[error("the text of this case was shredded")]
    Shredded,
    /// A sealed value is not the JSON it should be.
    #[error("a sealed value could not be read")]
    Value(#[source] serde_json::Error),
}

/// What stands behind every use case: the ports, the clock, the case keys.
pub struct App {
    /// What the operator decided.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// The repositories.
    pub git: Git,
    /// The server's own keys.
    pub keys: Keys,
    /// The ciphertext of attachments.
    pub shelf: Shelf,
    /// The sandbox, or why there is none.
    pub checks: Checks,
    /// Checks at a time.
    pub check_slots: Semaphore,
    /// Copies for members of audiences made at a time.
    pub copy_slots: Semaphore,
    /// Tells watchers that a check's log or state has grown.
    pub check_news: broadcast::Sender<CheckRunId>,
    /// What fetches in progress are doing.
    pub progress: Arc<Fetching>,
    /// The way out for mail.
    pub mailer: Mailer,
    /// Whether mail gets out of the house.
    pub mail_way: MailWay,
    /// The certificate that strangers meet.
    pub door: Door,
    /// The way to webhooks and forges.
    pub forge: Forge,
    /// The clock.
    pub clock: Clock,
    /// Whether it ran as time passed.
    steady: Mutex<Steady>,
    /// Pushes in progress: what a hook's ticket stands for.
    pub tickets: Tickets<PushTicket>,
    /// What strangers asked for lately.
    pub strangers: Strangers,
    /// Rung when a job was queued.
    pub bell: Notify,
    /// The program that is running, for the hooks of pushes.
    pub binary: PathBuf,
    /// Where tests kill the server.
    pub crash: CrashPoint,
    _lock: std::fs::File,
}

/// Whether checks run here.
pub enum Checks {
    /// In this sandbox, which was proven at the start.
    Ready(Box<Sandbox>),
    /// Not at all, for this reason.
    Off(String),
}

/// What fetches in progress are doing, for the project page.
#[derive(Debug, Default)]
pub struct Fetching(Mutex<BTreeMap<UpstreamId, String>>);

impl Fetching {
    /// Notes how far a fetch is.
    pub fn set(&self, upstream: UpstreamId, step: Progress) {
        let doing = match step.phase {
            Phase::Listing => "asking for refs",
            Phase::Receiving => "receiving",
            Phase::Resolving => "resolving",
            Phase::Checking => "checking",
            Phase::Writing => "writing refs",
        };
        let sentence = match step.total {
            Some(total) => format!("{doing}: {} of {total}", step.done),
            None => doing.to_owned(),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(upstream, sentence);
    }

    /// Notes that a fetch is over.
    pub fn clear(&self, upstream: UpstreamId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&upstream);
    }

    /// Returns what a fetch is doing, if one is.
    pub fn get(&self, upstream: UpstreamId) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&upstream).cloned()
    }
}

/// What a push in progress was admitted as. The hook names only its ticket; everything else comes from here.
#[derive(Debug, Clone)]
pub struct PushTicket {
    /// Who pushes; admitted again by pre-receive.
    pub actor: Actor,
    /// The case or release pushed to.
    pub owner: Owner,
    /// The repository of it.
    pub upstream: UpstreamId,
    /// The id under which the push is written down.
    pub push: PushId,
}

/// A named point at which the process kills itself, so that tests can show what a crash leaves behind; or, after the word
/// `panic` and a colon, at which the task that passes it panics.
#[derive(Debug, Clone, Default)]
pub struct CrashPoint(Option<String>);

impl CrashPoint {
    /// Kills the process when it passes the point of this name; `None` never.
    pub fn at(name: Option<String>) -> Self {
        Self(name)
    }

    /// Passes a point.
    pub fn pass(&self, name: &str) {
        if self.0.as_deref() == Some(name) {
            // SIGKILL to ourselves: no destructor, no flush, as a power cut would be.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
        let panics = self.0.as_deref().and_then(|point| point.strip_prefix("panic:")) == Some(name);
        assert!(!panics, "the point {name} was passed");
    }
}

/// The parts of an [`App`] that differ between a server and a test.
pub struct Outside {
    /// The clock.
    pub clock: Clock,
    /// The way out for mail; `None` takes it from the configuration.
    pub mailer: Option<Mailer>,
    /// Where to crash.
    pub crash: CrashPoint,
}

impl Outside {
    /// The machine's clock and the configured mail server.
    pub fn real() -> Self {
        Self { clock: Clock::System, mailer: None, crash: CrashPoint::default() }
    }
}

/// Seals values of one case: what is written.
pub struct Sealing(CaseKey);

/// Opens and seals values of one case. That it was made is in the audit chain.
pub struct Unsealing(CaseKey);

impl App {
    /// Opens the data folder, alone, with every port.
    pub async fn open(config: Config, outside: Outside) -> Result<Arc<Self>, Error> {
        let data = config.data.clone();
        let shown = data.display().to_string();
        let lock = folder::take(&data)?;
        let keys = Keys::open(&config.keys)?;
        for repository in config.projects.iter().flat_map(|project| &project.repositories) {
            Access::read(repository.credential())
                .map_err(|why| Error::Credential { repository: repository.name.to_string(), why })?;
        }
        for project in &config.projects {
            signers::check(project).map_err(|why| Error::Signers { project: project.id.to_string(), why })?;
        }
        for channel in config.projects.iter().flat_map(ProjectConfig::channels).flatten() {
            options::check(&channel, &[&data, &config.keys.folder, &config.checks_folder()])
                .map_err(|why| Error::Channel { which: format!("channel {}", channel.name), why })?;
        }
        for hook in config.projects.iter().flat_map(ProjectConfig::hooks).flatten() {
            options::check_hook(&hook).map_err(|why| Error::Channel { which: format!("hook {}", hook.name), why })?;
        }
        let forge = Forge::open(&config.channels)?;
        let store = Store::open(&data.join("embargo.db")).await?;
        let git = Git::open(config.git.clone(), &data).await?;
        let shelf = Shelf::open(&data.join("attachments"))?;
        let binary = std::env::current_exe().map_err(|source| Error::Data { path: shown.clone(), source })?;
        let checks = prove(&config).await;
        let config_slots = config.ci.slots.max(1);
        let mailer = match outside.mailer {
            Some(mailer) => mailer,
            None => Mailer::open(&config.mail)?,
        };
        Ok(Arc::new(Self {
            config,
            store,
            git,
            keys,
            shelf,
            check_slots: Semaphore::new(config_slots),
            copy_slots: Semaphore::new(1),
            check_news: broadcast::channel(1024).0,
            checks,
            progress: Arc::new(Fetching::default()),
            mailer,
            mail_way: MailWay::default(),
            door: Door::default(),
            forge,
            steady: Mutex::new(Steady::from(outside.clock.look())),
            clock: outside.clock,
            tickets: Tickets::default(),
            strangers: Strangers::default(),
            bell: Notify::new(),
            binary,
            crash: outside.crash,
            _lock: lock,
        }))
    }

    /// Starts the one write, at the present instant.
    pub async fn begin(&self, name: &'static str) -> Result<Tx, store::Error> {
        self.store.begin(name, self.clock.now()).await
    }

    /// Starts a read.
    pub async fn read(&self) -> Result<Reader, store::Error> {
        self.store.read().await
    }

    /// Makes a write last and wakes the worker, in case it queued a job.
    pub async fn commit(&self, tx: Tx) -> Result<(), store::Error> {
        tx.commit().await?;
        self.bell.notify_one();
        Ok(())
    }

    /// Says how far the wall clock jumped since the start, if it jumped too far to be trusted: positive for ahead.
    ///
    /// The worker asks at least every half a minute, so that a jump is told from time that passed.
    pub fn clock_jumped(&self) -> Option<SignedDuration> {
        let now = self.clock.look();
        self.steady.lock().unwrap_or_else(PoisonError::into_inner).look(now)
    }

    /// Returns how many bytes the disk of the data folder has left for this user; all there could be, if it does not say.
    pub fn disk_left(&self) -> u64 {
        match rustix::fs::statvfs(&self.config.data) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
            Err(_) => u64::MAX,
        }
    }

    /// Makes a new id.
    pub fn mint<T: Minted>(&self) -> T {
        T::mint(u64::try_from(self.clock.now().as_millisecond()).unwrap_or_default(), token::random())
    }

    /// Returns the address of a path of this server.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.config.base_url)
    }

    /// Gets the case's key for writing.
    pub async fn sealing(&self, tx: &mut Tx, grant: &Grant) -> Result<Sealing, Error> {
        Ok(Sealing(self.case_key(tx, grant).await?))
    }

    /// Gets the case's key for reading, and notes who opened the case for what. Serve nothing before the commit.
    pub async fn unsealing(&self, tx: &mut Tx, grant: &Grant) -> Result<Unsealing, Error> {
        let key = self.case_key(tx, grant).await?;
        let event = Event::of_case(EventKind::SealOpened, grant.case(), grant.action().as_str());
        tx.note(grant.actor(), &event).await?;
        Ok(Unsealing(key))
    }

    /// Makes the key of a new case.
    pub fn new_case_key(&self, case: &CaseId) -> (Sealing, store::case::WrappedKey) {
        let key = CaseKey::mint();
        let wrapped = key.wrap(&self.keys, case);
        (Sealing(key), store::case::WrappedKey { server: wrapped.server, recovery: wrapped.recovery })
    }

    async fn case_key(&self, tx: &mut Tx, grant: &Grant) -> Result<CaseKey, Error> {
        let wrapped = store::case::key(tx, grant).await?.ok_or(Error::Shredded)?;
        Ok(CaseKey::unwrap(&self.keys, grant.case(), &wrapped.server)?)
    }
}

impl Sealing {
    /// Seals a value for its place: `table.column` of a row.
    pub fn seal<T: Serialize>(&self, place: (&str, &str), row: &str, value: &T) -> Result<Sealed<T>, Error> {
        seal(&self.0, place, row, value)
    }
}

impl Unsealing {
    /// Seals a value for its place.
    pub fn seal<T: Serialize>(&self, place: (&str, &str), row: &str, value: &T) -> Result<Sealed<T>, Error> {
        seal(&self.0, place, row, value)
    }

    /// Opens a value that was sealed for this place.
    pub fn open<T: DeserializeOwned>(&self, place: (&str, &str), row: &str, sealed: &Sealed<T>) -> Result<T, Error> {
        let plain = self.0.open(&Place { table: place.0, column: place.1, row }, sealed)?;
        serde_json::from_slice(&plain).map_err(Error::Value)
    }
}

/// Proves the sandbox, or says why there is none. Checks never run outside of one.
async fn prove(config: &Config) -> Checks {
    let folder = config.checks_folder();
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&folder);
    if made.is_err() {
        return Checks::Off(format!(
            "The folder {} could not be made: make it for the server's user.",
            folder.display()
        ));
    }
    match Sandbox::prove(config.ci.clone(), &folder).await {
        Ok(sandbox) => Checks::Ready(Box::new(sandbox)),
        Err(why) => {
            tracing::warn!(why = %why, "checks are off");
            Checks::Off(why.to_string())
        }
    }
}

fn seal<T: Serialize>(key: &CaseKey, place: (&str, &str), row: &str, value: &T) -> Result<Sealed<T>, Error> {
    let plain = serde_json::to_vec(value).map_err(Error::Value)?;
    Ok(key.seal(&Place { table: place.0, column: place.1, row }, &plain))
}
