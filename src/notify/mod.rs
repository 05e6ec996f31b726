//! Mail: says that there is news, never what.
//!
//! Guards: a mail's words come from the closed set of [`notice::Notice`], so no title, text or name can get into one; and
//! neither a log line nor an error holds an address. Leaves queueing and trying again to `worker`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lettre::address::AddressError;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde::{Deserialize, Serialize};

use crate::domain::id::words;
use crate::domain::sealed::Secret;
use crate::domain::text::EmailAddress;

pub mod notice;
pub mod told;

use notice::Mail;

words! {
    /// How the way to the mail server is protected.
    TlsMode {
        /// Not at all: only to a server on this machine.
        None = "none",
        /// STARTTLS, required (RFC 3207); usually port 587.
        StartTls = "starttls",
        /// TLS from the first byte (RFC 8314); usually port 465.
        Tls = "tls",
    }
}

/// The `[mail]` part of the configuration. Without a `host`, no mail is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The mail server to hand mail to.
    pub host: Option<String>,
    /// Its port; without it 25, 587 or 465, as `tls` has it.
    pub port: Option<u16>,
    /// How the way there is protected.
    pub tls: TlsMode,
    /// The user name, if the server wants one; needs `password_file`.
    pub username: Option<String>,
    /// The file that holds the password; readable by its owner only.
    pub password_file: Option<PathBuf>,
    /// The address mail comes from; its domain also names the messages.
    pub from: Option<EmailAddress>,
    /// How long one step of the conversation may take, in seconds.
    pub timeout_seconds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            tls: TlsMode::StartTls,
            username: None,
            password_file: None,
            from: None,
            timeout_seconds: 20,
        }
    }
}

/// Settings that cannot work, found at start.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A host without a sender.
    #[error("mail.host is set, so mail.from must say which address mail comes from")]
    NoSender,
    /// An unprotected way to another machine.
    #[error("mail.tls = \"none\" is only for a mail server on this machine: use \"starttls\" or \"tls\"")]
    Unprotected,
    /// A user without a password or the other way round.
    #[error("mail.username and mail.password_file belong together: set both or neither")]
    HalfLogin,
    /// A password file that is missing or closed to us.
    #[error("the file that mail.password_file names cannot be read")]
    Password(#[source] std::io::Error),
    /// A password others can read.
    #[error("the file that mail.password_file names can be read by others: give it mode 0600")]
    SharedPassword,
    /// A password file with nothing in it.
    #[error("the file that mail.password_file names is empty")]
    EmptyPassword,
    /// A host with its port.
    #[error(
        "mail.host = \"{host}:{port}\" holds a port, which has a key of its own: write host = \"{host}\" and port = {port}"
    )]
    HostWithPort {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// A host TLS cannot check.
    #[error("mail.host is not a host name")]
    Host,
    /// A sender the mail library does not take.
    #[error("mail.from is not an address mail can come from")]
    Sender,
    /// A step that may take no time.
    #[error("mail.timeout_seconds must be at least 1")]
    NoTime,
}

/// A mail that did not go out. Displays no address and nothing the mail server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No mail server is configured.
    #[error("mail is switched off")]
    Off,
    /// The mail library takes no such address.
    #[error("the address cannot be written to")]
    Address,
    /// The server said no to this mail, for good.
    #[error("the mail server refused the mail with code {0}")]
    Refused(u16),
    /// The server said no for now, or does not know us; the mail itself may be fine.
    #[error("the mail server wants to be asked again later: code {0}")]
    Later(u16),
    /// The server did not answer, or broke off.
    #[error("the mail server cannot be reached")]
    Unreachable,
    /// The server is not who it should be, speaks no TLS, or takes no password.
    #[error("the mail server offers no protected connection, or no way to sign in that we know")]
    Unprotected,
}

impl SendError {
    /// Tells whether no mail at all gets out while this lasts: the server is away, unprotected, or does not know us.
    pub fn is_outage(self) -> bool {
        /// The server is there, and says that its service is not (RFC 5321, section 4.2.3).
        const CLOSED: u16 = 421;
        match self {
            Self::Unreachable | Self::Unprotected => true,
            Self::Later(code) => code == CLOSED || SIGN_IN.contains(&code),
            Self::Off | Self::Address | Self::Refused(_) => false,
        }
    }

    /// Tells whether trying again later can help. A second try may deliver twice; both carry the same Message-ID.
    pub fn retry(self) -> bool {
        match self {
            Self::Later(_) | Self::Unreachable | Self::Unprotected => true,
            Self::Off | Self::Address | Self::Refused(_) => false,
        }
    }
}

/// The mails a test's mailer was handed.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Mutex<Vec<Mail>>>);

impl Outbox {
    /// Returns the mails so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, mail: Mail) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
    }
}

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// A connection to be made to a mail server.
pub struct Smtp {
    transport: Transport,
    from: Mailbox,
}

/// Hands mail over.
pub enum Mailer {
    /// To a mail server.
    Smtp(Box<Smtp>),
    /// To a list in memory, for tests.
    Outbox(Outbox),
    /// To nobody: no mail server is configured.
    Off,
}

impl Mailer {
    /// Prepares what the options say; reads the password file, connects to nothing.
    pub fn open(options: &Options) -> Result<Self, OptionsError> {
        let Some(host) = &options.host else { return Ok(Self::Off) };
        if let Some((host, port)) = with_port(host) {
            return Err(OptionsError::HostWithPort { host, port });
        }
        let from = options.from.as_ref().ok_or(OptionsError::NoSender)?;
        let from = Mailbox::new(None, address(from).map_err(|_| OptionsError::Sender)?);
        if options.timeout_seconds == 0 {
            return Err(OptionsError::NoTime);
        }
        let builder = match options.tls {
            TlsMode::None if !loopback(host) => return Err(OptionsError::Unprotected),
            TlsMode::None => Transport::builder_dangerous(host),
            TlsMode::StartTls => Transport::starttls_relay(host).map_err(|_| OptionsError::Host)?,
            TlsMode::Tls => Transport::relay(host).map_err(|_| OptionsError::Host)?,
        };
        let mut builder = builder
            .timeout(Some(Duration::from_secs(u64::from(options.timeout_seconds))))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        if let Some(port) = options.port {
            builder = builder.port(port);
        }
        match (&options.username, &options.password_file) {
            (None, None) => {}
            (Some(username), Some(path)) => {
                let password = password(path)?;
                builder = builder.credentials(Credentials::new(username.clone(), password.expose().to_owned()));
            }
            (Some(_), None) | (None, Some(_)) => return Err(OptionsError::HalfLogin),
        }
        Ok(Self::Smtp(Box::new(Smtp { transport: builder.build(), from })))
    }

    /// Makes a mailer that keeps mail, and the list it keeps it in.
    pub fn outbox() -> (Self, Outbox) {
        let outbox = Outbox::default();
        (Self::Outbox(outbox.clone()), outbox)
    }

    /// Tells whether no mail can be sent, so that none need be queued.
    pub fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// Hands one mail over; returns when the server has taken responsibility for it.
    pub async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => smtp.send(mail).await,
            Self::Outbox(outbox) => {
                outbox.put(mail.clone());
                Ok(())
            }
            Self::Off => Err(SendError::Off),
        }
    }

    /// Connects, signs in and leaves, without a mail.
    pub async fn greet(&self) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => match smtp.transport.test_connection().await {
                Ok(true) => Ok(()),
                Ok(false) => Err(SendError::Unreachable),
                Err(error) => Err(outcome(&error)),
            },
            Self::Outbox(_) => Ok(()),
            Self::Off => Err(SendError::Off),
        }
    }
}

impl Smtp {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = message(mail, &self.from)?;
        self.transport.send(message).await.map(drop).map_err(|error| outcome(&error))
    }
}

/// Says that no person wrote this, so that nothing answers it by itself (RFC 3834, section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn message(mail: &Mail, from: &Mailbox) -> Result<Message, SendError> {
    let to = address(&mail.to).map_err(|_| SendError::Address)?;
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .date(SystemTime::from(mail.at))
        .message_id(Some(format!("<{}@{}>", mail.id, from.email.domain())))
        .header(AutoSubmitted)
        .header(ContentType::TEXT_PLAIN)
        .subject(mail.subject())
        .body(mail.text())
        .map_err(|_| SendError::Address)
}

/// Replies about our sign-in (RFC 4954, section 6; RFC 5248): an operator can mend them, the mail is not at fault.
const SIGN_IN: [u16; 4] = [530, 534, 535, 538];

/// Drops what the server said: it likes to repeat the address.
fn outcome(error: &lettre::transport::smtp::Error) -> SendError {
    match error.status().map(u16::from) {
        Some(code) if error.is_permanent() && !SIGN_IN.contains(&code) => SendError::Refused(code),
        Some(code) => SendError::Later(code),
        None if error.is_tls() || error.is_client() => SendError::Unprotected,
        None => SendError::Unreachable,
    }
}

fn address(address: &EmailAddress) -> Result<Address, AddressError> {
    address.as_str().parse()
}

fn loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Takes a host and a port apart that were written as one; an IPv6 address alone is none.
fn with_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host =
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).or((!host.contains(':')).then_some(host))?;
    Some((host.to_owned(), port.parse().ok()?))
}

fn password(path: &std::path::Path) -> Result<Secret, OptionsError> {
    let mode = std::fs::metadata(path).map_err(OptionsError::Password)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(OptionsError::SharedPassword);
    }
    let text = Secret::new(std::fs::read_to_string(path).map_err(OptionsError::Password)?);
    let line = text.expose().trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(OptionsError::EmptyPassword);
    }
    Ok(Secret::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::notice::Notice;
    use super::*;
    use crate::domain::id::MailId;
    use crate::domain::id::Minted;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    fn mail() -> Mail {
        Mail {
            to: "reporter@example.org".parse().unwrap(),
            id: MailId::mint(1_700_000_000_000, [5; 10]),
            at: "2026-03-01T12:00:00Z".parse().unwrap(),
            base_url: "https://security.example.org".parse().unwrap(),
            notice: Notice::News,
        }
    }

    fn local(port: u16) -> Options {
        Options {
            host: Some("127.0.0.1".to_owned()),
            port: Some(port),
            tls: TlsMode::None,
            from: Some("security@example.org".parse().unwrap()),
            timeout_seconds: 5,
            ..Options::default()
        }
    }

    fn refusal(options: &Options) -> String {
        Mailer::open(options).err().expect("these options cannot work").to_string()
    }

    /// Greets one client, says yes until the recipient is named, then answers with `reply`.
    async fn answer_recipient_with(listener: &TcpListener, reply: &str) {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        write.write_all(b"220 sample\r\n").await.unwrap();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = if line.starts_with("RCPT") { format!("{reply}\r\n") } else { "250 ok\r\n".to_owned() };
            if write.write_all(answer.as_bytes()).await.is_err() || line.starts_with("QUIT") {
                return;
            }
        }
    }

    #[test]
    fn a_port_beside_the_host_is_told_where_it_belongs() {
        let options = |host: &str| Options { host: Some(host.to_owned()), ..local(2525) };
        assert!(refusal(&options("127.0.0.1:2525")).contains("host = \"127.0.0.1\" and port = 2525"));
        assert!(refusal(&options("[::1]:25")).contains("host = \"::1\" and port = 25"));
        assert!(Mailer::open(&options("::1")).is_ok());
    }

    #[tokio::test]
    async fn a_mail_server_that_is_down_is_worth_another_try() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = Mailer::open(&local(port)).unwrap().send(&mail()).await.unwrap_err();
        assert_eq!(error, SendError::Unreachable);
        assert!(error.retry() && error.is_outage());
    }

    #[tokio::test]
    async fn a_servers_no_is_final_its_not_now_is_not_and_neither_tells_the_address() {
        for (reply, expected, retry) in [
            ("550 no such user reporter@example.org", SendError::Refused(550), false),
            ("451 reporter@example.org is greylisted", SendError::Later(451), true),
            ("530 sign in first, reporter@example.org", SendError::Later(530), true),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mailer = Mailer::open(&local(listener.local_addr().unwrap().port())).unwrap();
            let mail = mail();
            let (sent, ()) = tokio::join!(mailer.send(&mail), answer_recipient_with(&listener, reply));
            let error = sent.unwrap_err();
            assert_eq!((error, error.retry()), (expected, retry));
            assert_eq!(error.is_outage(), expected == SendError::Later(530), "only what holds for every mail: {error}");
            assert!(!format!("{error} {error:?}").contains("example"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_gets_nothing_when_tls_is_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options { tls: TlsMode::StartTls, ..local(listener.local_addr().unwrap().port()) };
        let mailer = Mailer::open(&options).unwrap();
        let mail = mail();
        let (sent, ()) = tokio::join!(mailer.send(&mail), answer_recipient_with(&listener, "250 ok"));
        assert_eq!(sent.unwrap_err(), SendError::Unprotected);
    }

    #[tokio::test]
    async fn an_outbox_keeps_mail_and_off_says_so() {
        let (mailer, outbox) = Mailer::outbox();
        mailer.send(&mail()).await.unwrap();
        assert_eq!(outbox.mails(), [mail()]);
        let off = Mailer::open(&Options::default()).unwrap();
        assert!(off.is_off() && !mailer.is_off());
        assert_eq!(off.send(&mail()).await, Err(SendError::Off));
    }

    #[test]
    fn settings_that_would_leak_or_fail_later_are_refused_at_start() {
        let far = Options { host: Some("mail.example.org".to_owned()), ..local(25) };
        assert!(refusal(&far).contains("on this machine"));
        assert!(refusal(&Options { from: None, ..local(25) }).contains("mail.from"));
        assert!(refusal(&Options { username: Some("sample".to_owned()), ..local(25) }).contains("belong together"));
        assert!(refusal(&Options { timeout_seconds: 0, ..local(25) }).contains("at least 1"));
        assert!(toml::from_str::<Options>("hots = \"x\"").unwrap_err().to_string().contains("unknown field"));
        assert_eq!(toml::from_str::<Options>("").unwrap(), Options::default());
    }

    #[test]
    fn a_password_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "sample\n").unwrap();
        let options = Options { username: Some("sample".to_owned()), password_file: Some(path.clone()), ..local(25) };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(refusal(&options).contains("0600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&path).unwrap().expose(), "sample");
        assert!(Mailer::open(&options).is_ok());
        std::fs::remove_file(&path).unwrap();
        assert!(refusal(&options).contains("cannot be read"));
    }

    #[test]
    fn a_message_has_the_headers_of_an_automatic_mail() {
        let from = Mailbox::new(None, "security@example.org".parse().unwrap());
        let text = String::from_utf8(message(&mail(), &from).unwrap().formatted()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: security@example.org",
            "To: reporter@example.org",
            "Date: Sun, 01 Mar 2026 12:00:00 +0000",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
            "Subject: There is news for you",
        ] {
            assert!(head.lines().any(|it| it == line), "{line} is not in {head}");
        }
        assert!(head.contains(&format!("Message-ID: <{}@example.org>", mail().id)), "{head}");
        assert!(body.contains("https://security.example.org/r/"), "{body}");
        assert_eq!(message(&mail(), &from).unwrap().formatted(), text.into_bytes());
    }
}
