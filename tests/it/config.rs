//! The configuration as an operator meets it: the example says all there is, and mistakes are answered in sentences.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use embargo::app::{App, Outside};
use embargo::config::Config;
use embargo::domain::access::Role;
use embargo::wire::advisory::{Format, Stage};
use embargo::workflow::advisory;

use crate::support::server::TestApp;
use crate::support::{program, site};

/// The user id of `nobody`.
const NOBODY: u32 = 65_534;
const EXAMPLE: &str = include_str!("../../config.example.toml");

#[test]
fn the_example_equals_the_defaults_and_a_sample_project() {
    let mut example = Config::parse(EXAMPLE).expect("the example is right");
    let projects = std::mem::take(&mut example.projects);
    assert_eq!(example, Config::default());

    let least = "[[project]]\nid = 'sample'\nprefix = 'SAMPLE'\nname = 'Sample'\n[[project.repository]]\nname = 'sample'\n\
                 url = 'https://git.example.org/sample/sample.git'\nlines = ['main', '1.x']\n";
    let least = Config::parse(least).expect("what has a default may be left out");
    assert_eq!(projects, least.projects);
}

#[test]
fn the_example_names_every_key() {
    // Keys without a default stand behind a comment mark: with the mark gone, they are read as well.
    let whole: Vec<&str> = EXAMPLE.lines().map(|line| uncommented(line).unwrap_or(line)).collect();
    let whole: toml::Table = toml::from_str(&whole.join("\n")).expect("the commented keys are right too");
    let read = Config::parse(&toml::to_string(&whole).unwrap()).expect("and known");
    let known = toml::Table::try_from(&read).unwrap();
    assert_eq!(names("", &toml::Value::Table(whole)), names("", &toml::Value::Table(known)));
    for field in optional_fields() {
        assert!(EXAMPLE.contains(&format!("# {field} = ")), "{field} is not in the example");
    }
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_known_one() {
    let wrong = EXAMPLE.replace("attachment_bytes", "attachment_byte");
    let wrong = Config::parse(&wrong).unwrap_err();
    assert!(wrong.contains("unknown field `attachment_byte`. Did you mean `attachment_bytes`?"), "{wrong}");
}

#[tokio::test]
async fn a_missing_key_file_stops_the_start() {
    let site = site::Site::make();
    std::fs::remove_file(site.config().keys.folder.join("server.key")).unwrap();
    let sentence = refused(&site).await;
    assert!(sentence.contains("server.key"), "{sentence}");
    assert!(sentence.contains("init"), "it says what to do: {sentence}");
}

#[tokio::test]
async fn a_key_file_that_others_can_read_stops_the_start() {
    let site = site::Site::make();
    let key = site.config().keys.folder.join("server.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let sentence = refused(&site).await;
    assert!(sentence.contains("server.key"), "{sentence}");
    assert!(sentence.contains("600") || sentence.contains("others"), "{sentence}");
}

#[tokio::test]
async fn a_second_server_on_one_data_folder_is_refused() {
    let site = site::Site::make();
    let first = App::open(site.config(), Outside::real()).await.expect("the first may");
    let sentence = refused(&site).await;
    assert!(sentence.contains("another embargo server"), "{sentence}");
    drop(first);
    App::open(site.config(), Outside::real()).await.expect("when the first is gone, the next may");
}

/// A server that ran as root once left files behind that its own user could not use, and no error said which.
#[tokio::test]
async fn a_data_folder_of_another_user_is_not_touched() {
    let mut site = site::Site::make();
    let data = site.config().data;
    std::fs::create_dir(&data).unwrap();
    // Only root gives folders away; for everybody else there is one that is root's.
    let given = std::os::unix::fs::chown(&data, Some(NOBODY), None).is_ok();
    if !given {
        site.configure(|config| config.data = "/usr".into());
    }
    let sentence = refused(&site).await;
    assert!(sentence.contains("belongs to the user"), "{sentence}");
    if given {
        assert!(sentence.contains("run it as nobody") && sentence.contains("sudo -u nobody"), "{sentence}");
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "nothing was left in it");
        std::os::unix::fs::chown(&data, Some(0), None).unwrap();
        std::fs::create_dir(data.join("scratch")).unwrap();
        std::os::unix::fs::chown(data.join("scratch"), Some(NOBODY), None).unwrap();
        let sentence = refused(&site).await;
        let command = format!("`chown -R root {}`", data.display());
        assert!(
            sentence.contains("data/scratch belongs to the user nobody") && sentence.contains(&command),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn a_prefix_registered_with_osv_names_the_projects_files() {
    let mut site = site::Site::with_project().await;
    site.configure(|config| config.projects[0].osv_prefix = Some("CURL".parse().unwrap()));
    let test = TestApp::on(site).await;
    let manager = test.member("manager", Role::ReleaseManager).await;
    test.settle().await;
    let case = test.accepted_case(&manager).await;
    let file = advisory::preview(&test.app, &manager, &case, (Format::Osv, Stage::First)).await.unwrap();
    assert!(file.path.starts_with("osv/CURL-") && file.text.contains("\"id\": \"CURL-"), "{}", file.path);
}

/// Every mistake of an operator ends the program with one sentence and the code that says that it failed.
#[tokio::test]
async fn the_program_answers_a_mistake_with_one_sentence_and_starts_nothing() {
    /// A mistake, and what the sentence must say.
    type Mistake = (&'static str, fn(&Path), &'static [&'static str]);
    let mistakes: &[Mistake] = &[
        (
            "an unknown key",
            |root| rewrite(root, "base_url", "base_uri"),
            &["unknown field `base_uri`", "Did you mean `base_url`?"],
        ),
        ("a file that is no TOML", |root| rewrite(root, "[keys]", "[keys"), &["config.toml"]),
        ("no configuration", |root| std::fs::remove_file(root.join("config.toml")).unwrap(), &["config.toml"]),
        (
            "no key file",
            |root| std::fs::remove_file(root.join("keys/server.key")).unwrap(),
            &["server.key", "embargo init"],
        ),
        ("a key others can read", |root| open_to_others(&root.join("keys/server.key")), &["server.key", "600"]),
        ("a tag key others can read", |root| open_to_others(&root.join("keys/tag-signing")), &["tag-signing", "600"]),
        (
            "a key that is none",
            |root| std::fs::write(root.join("keys/server.key"), "nonsense\n").unwrap(),
            &["server.key"],
        ),
        (
            "keys in the data folder",
            |root| {
                std::fs::rename(root.join("keys"), root.join("data/keys")).unwrap();
                rewrite(root, &root.join("keys").display().to_string(), &root.join("data/keys").display().to_string());
            },
            &["keys.folder lies inside data"],
        ),
        (
            "no credential where one is named",
            |root| repository(root, &format!("password_file = '{}/token'\n", root.display())),
            &["repository sample", "token cannot be read"],
        ),
        (
            "a credential others can read",
            |root| {
                std::fs::write(root.join("token"), "nonsense\n").unwrap();
                open_to_others(&root.join("token"));
                repository(root, &format!("password_file = '{}/token'\n", root.display()));
            },
            &["token can be read by others", "0600"],
        ),
        (
            "a key without its host",
            |root| repository(root, &format!("identity_file = '{}/keys/tag-signing'\n", root.display())),
            &["identity_file needs known_hosts_file"],
        ),
        (
            "an address with a password",
            |root| {
                repository(root, "");
                rewrite(root, "/srv/sample.git", "https://sample:nonsense@example.org/x");
            },
            &["repository sample", "name a credential file instead"],
        ),
        (
            "a time that is none",
            |root| repository(root, "mirror = 'every now and then'\n"),
            &["`mirror` of repository sample is not a cron expression"],
        ),
        (
            "a time without seconds",
            |root| repository(root, "mirror = '*/10 * * * *'\n"),
            &["repository sample of project sample", "begins with the seconds here"],
        ),
        (
            "a key of the whole below a section",
            |root| {
                rewrite(root, "trusted_proxies = []\n", "");
                repository(root, "trusted_proxies = ['127.0.0.1']\n");
            },
            &["unknown field `trusted_proxies`", "above the first [section]", "[[project.repository]]"],
        ),
        (
            "an address without a port",
            |root| rewrite(root, "listen = \"127.0.0.1:8484\"", "listen = \"0.0.0.0\""),
            &["an address and a port, such as 127.0.0.1:8484"],
        ),
        (
            "a mail server with its port",
            |root| rewrite(root, "[mail]\n", "[mail]\nhost = \"127.0.0.1:2525\"\nfrom = \"sample@example.org\"\n"),
            &["host = \"127.0.0.1\" and port = 2525"],
        ),
        (
            "a project that nobody can arm",
            |root| {
                repository(root, "");
                rewrite(root, "name = 'Sample'\n", "name = 'Sample'\narmings = 0\n");
            },
            &["project sample asks for no arming"],
        ),
        (
            "a data folder that cannot be made",
            |root| {
                std::fs::remove_dir(root.join("data")).unwrap();
                std::fs::write(root.join("data"), "no folder").unwrap();
            },
            &["the data folder", "because File exists"],
        ),
        (
            "a channel that would serve the keys",
            |root| repository(root, &channel("folder", &format!("folder = '{}'\n", root.display()))),
            &["channel news", "what is served must be a folder of its own"],
        ),
        (
            "a channel's folder that is not there",
            |root| repository(root, &channel("folder", &format!("folder = '{}/served'\n", root.display()))),
            &["channel news", "served must exist"],
        ),
        (
            "a channel's secret that is none",
            |root| {
                std::fs::write(root.join("secret"), "whsec_nonsense\n").unwrap();
                std::fs::set_permissions(root.join("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
                let keys = format!("url = 'https://example.org/nonsense'\nsecret_file = '{}/secret'\n", root.display());
                repository(root, &channel("webhook", &keys));
            },
            &["channel news", "secret must hold `whsec_` and 24 to 64 random bytes"],
        ),
        (
            "a channel in the clear",
            |root| repository(root, &channel("webhook", "url = 'http://example.org/x'\nsecret_file = '/x'\n")),
            &["plain http is for 127.0.0.1"],
        ),
        (
            "a channel without its keys",
            |root| repository(root, &channel("forge_release", "forge = 'github'\n")),
            &["channel news: a forge's releases have `forge`, `api`"],
        ),
        (
            "plain HTTP on every address",
            |root| rewrite(root, "http://127.0.0.1", "http://security.example.org"),
            &["https://"],
        ),
    ];
    for (what, make, sentence) in mistakes {
        let site = site::Site::make();
        std::fs::create_dir(site.config().data).unwrap();
        let file = site.path().join("config.toml");
        std::fs::write(&file, toml::to_string(&site.config()).unwrap()).unwrap();
        make(site.path());
        let ended = program::run(&file, &["serve"]).await;
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(3), "{what}: {said}");
        assert!(ended.stdout.is_empty(), "{what}");
        for part in *sentence {
            assert!(said.contains(part), "{what}: {said}");
        }
        assert!(!said.contains("panicked") && !said.contains("nonsense"), "{what}: {said}");
    }
}

fn rewrite(root: &Path, from: &str, to: &str) {
    let file = root.join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(file, text.replacen(from, to, 1)).unwrap();
}

fn repository(root: &Path, more: &str) {
    let project = "[[project]]\nid = 'sample'\nprefix = 'SAMPLE'\nname = 'Sample'\n[[project.repository]]\n\
                   name = 'sample'\nurl = '/srv/sample.git'\nlines = ['main']\n";
    let file = root.join("config.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("project = []\n", "");
    std::fs::write(file, format!("{text}\n{project}{more}")).unwrap();
}

fn channel(kind: &str, keys: &str) -> String {
    format!("[[project.channel]]\nname = 'news'\nkind = '{kind}'\n{keys}")
}

fn open_to_others(key: &Path) {
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
}

async fn refused(site: &site::Site) -> String {
    match App::open(site.config(), Outside::real()).await {
        Ok(_) => panic!("the server started"),
        Err(error) => error.to_string(),
    }
}

/// Takes the mark from a line such as `# port = 587` or `# [[project.channel]]`; prose stays what it is.
fn uncommented(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("# ")?;
    if rest.starts_with("[[") {
        return Some(rest);
    }
    let (name, _) = rest.split_once(" = ")?;
    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_').then_some(rest)
}

/// Lists all keys with the tables they are in.
fn names(place: &str, value: &toml::Value) -> BTreeSet<String> {
    match value {
        toml::Value::Table(table) => {
            let below = |(key, value)| names(&format!("{place}.{key}"), value);
            table.iter().flat_map(below).collect()
        }
        toml::Value::Array(list) if list.iter().any(toml::Value::is_table) => {
            list.iter().flat_map(|value| names(place, value)).collect()
        }
        _ => BTreeSet::from([place.to_owned()]),
    }
}

/// Finds fields that may be left out for good, in the sources: they are in no default that could be compared.
fn optional_fields() -> Vec<&'static str> {
    let sources = [
        include_str!("../../src/config/mod.rs"),
        include_str!("../../src/config/project.rs"),
        include_str!("../../src/forge/options.rs"),
        include_str!("../../src/notify/mod.rs")
            .split("impl Default for Options")
            .next()
            .expect("there is a first part"),
    ];
    let fields = sources.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let (name, kind) = line.trim().strip_prefix("pub ")?.split_once(": ")?;
        kind.starts_with("Option<").then_some(name)
    });
    let fields: Vec<&str> = fields.collect();
    assert!(fields.len() > 5, "the fields were not found: {fields:?}");
    fields
}
