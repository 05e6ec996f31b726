//! Attachments as strangers send them: whole and for people's own keys, or not kept at all.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use embargo::domain::access::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::client::{Answer, Caller, Sent};
use crate::support::program;
use crate::support::server::TestApp;
use crate::support::site::Site;

const UPLOAD: &str = "/api/v1/report/attachments";
const AGE: &str = "application/age";
const PLAIN: &str = "application/octet-stream";

/// A reporter whose report was taken.
struct Desk {
    test: TestApp,
    reporter: Caller,
    manager: Caller,
    case: String,
}

impl Desk {
    async fn open(site: Site) -> Self {
        let test = TestApp::on(site).await;
        test.settle().await;
        let (_, manager) = test.at_the_door("manager", Role::ReleaseManager).await;
        let (_, receipt) = test.report().await;
        let reporter = test.visit(&receipt.visit).await;
        Self { test, reporter, manager, case: receipt.case }
    }

    async fn send(&self, media: &'static str, bytes: impl Into<Vec<u8>>) -> Answer {
        self.test.ask(&self.reporter, "POST", UPLOAD, &Sent::file(media, bytes)).await
    }

    /// Lists what lies in the folder of attachments, and checks that rows and files agree.
    async fn kept(&self) -> usize {
        let folder = self.test.site.config().data.join("attachments");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let page = self.test.ask(&self.reporter, "GET", "/api/v1/report", &Sent::Nothing).await.json();
        assert_eq!(page["attachments"].as_array().unwrap().len(), files.len(), "{files:?}");
        files.len()
    }
}

/// An age file for the key of somebody: its header, and noise where its payload would be.
fn age_file(stanzas: usize, payload: usize) -> Vec<u8> {
    let mut text = "age-encryption.org/v1\n".to_owned();
    for _ in 0..stanzas {
        writeln!(text, "-> X25519 {}\n{}", "A".repeat(43), "A".repeat(43)).unwrap();
    }
    writeln!(text, "--- {}", "A".repeat(43)).unwrap();
    let mut file = text.into_bytes();
    file.extend(std::iter::repeat_n(7, payload));
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_through_the_server_opens_with_a_members_own_key_and_no_other() {
    let desk = Desk::open(Site::with_project().await).await;
    let secret = "a proof of concept\n".repeat(10_000);
    let stored = desk.send(PLAIN, secret.clone()).await;
    assert_eq!(stored.status, 201, "{stored:?}");
    let path = format!("/api/v1/cases/{}/attachments/{}", desk.case, stored.json()["id"].as_str().unwrap());
    let request = desk.test.request(&desk.manager, "GET", &path, &Sent::Nothing);
    let cipher = request.send().await.unwrap().bytes().await.unwrap();
    assert!(
        cipher.starts_with(b"age-encryption.org/v1\n") && !cipher.windows(16).any(|part| part == b"proof of concept")
    );
    let file = desk.test.site.path().join("poc.age");
    std::fs::write(&file, &cipher).unwrap();
    desk.test.person("outsider").await;
    for (handle, opens) in [("manager", true), ("outsider", false)] {
        let key = desk
            .test
            .site
            .path()
            .join(format!("keys-{handle}"))
            .join(embargo::crypto::Options::default().tag_signing_key);
        #[expect(clippy::disallowed_methods, reason = "the client is no part of the program")]
        let mut age = tokio::process::Command::new("age");
        let output = age.arg("-d").arg("-i").arg(key).arg(&file).stdin(Stdio::null()).output().await.unwrap();
        assert_eq!(output.status.success(), opens, "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout == secret.as_bytes(), opens);
    }
    // The reporter who sent it cannot fetch it: what they hold on to is theirs.
    assert_eq!(desk.test.ask(&desk.reporter, "GET", &path, &Sent::Nothing).await.status, 403);
    desk.test.settle().await;
}

/// Attack: plaintext under the name of ciphertext, a header that costs the square of its length, keys that nobody holds.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_claims_to_be_encrypted_is_refused_and_not_kept() {
    let desk = Desk::open(Site::with_project().await).await;
    let scrypt =
        format!("age-encryption.org/v1\n-> scrypt {} 18\n{}\n--- {}\n", "A".repeat(22), "A".repeat(43), "A".repeat(43));
    let unknown = format!("age-encryption.org/v1\n-> evil x\n{}\n--- {}\n", "A".repeat(43), "A".repeat(43));
    let endless = [b"age-encryption.org/v1\n-> X25519 ".to_vec(), vec![b'A'; 1 << 20]].concat();
    let with_payload = |text: String| [text.into_bytes(), vec![7; 64]].concat();
    let started = Instant::now();
    for (what, bytes, sentence) in [
        ("plaintext", b"a proof of concept\n".to_vec(), "not encrypted with age"),
        ("nothing", Vec::new(), "not encrypted with age"),
        ("armor", b"-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n".to_vec(), "armored"),
        ("ten thousand stanzas", age_file(10_000, 64), "more than 64 recipients"),
        ("a header without end", endless, "header of the age file"),
        ("a passphrase", with_payload(scrypt), "passphrase"),
        ("a kind of key that is not known", with_payload(unknown), "No recipient"),
        ("no stanza", age_file(0, 64), "age file"),
        ("no payload", age_file(1, 0), "cut off"),
        ("a cut payload", age_file(1, 20), "cut off"),
    ] {
        let answer = desk.send(AGE, bytes).await;
        assert_eq!(answer.status, 422, "{what}: {answer:?}");
        assert!(answer.body.contains(sentence), "{what}: {answer:?}");
        assert_eq!(desk.kept().await, 0, "{what}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "a hostile header costs nothing");
    assert_eq!(desk.send(AGE, age_file(1, 64)).await.status, 201);
    assert_eq!(desk.kept().await, 1);
    desk.test.settle().await;
}

/// Attack: filling the disk, one file at a time or all at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_ends_the_upload_and_keeps_nothing_of_it() {
    let mut site = Site::with_project().await;
    site.configure(|config| {
        config.limits.attachment_bytes = 50_000;
        config.limits.case_bytes = 80_000;
    });
    let desk = Desk::open(site).await;
    let long = desk.send(PLAIN, vec![1; 60_000]).await;
    assert_eq!(long.status, 422, "{long:?}");
    assert!(long.body.contains("longer than the 50000 bytes that one may have"), "{long:?}");
    assert_eq!(desk.send(AGE, age_file(1, 60_000)).await.status, 422);
    assert_eq!(desk.kept().await, 0);
    assert_eq!(desk.send(PLAIN, vec![1; 40_000]).await.status, 201);
    let full = desk.send(PLAIN, vec![1; 45_000]).await;
    assert_eq!(full.status, 422, "{full:?}");
    assert_eq!(desk.kept().await, 1);
    assert_eq!(desk.send(PLAIN, vec![1; 20_000]).await.status, 201, "there is room for a smaller one");
    desk.test.settle().await;
}

/// Attack: many files at once, none of which ends, each within its own limit.
#[tokio::test(flavor = "multi_thread")]
async fn files_on_their_way_share_the_room_of_their_case() {
    let mut site = Site::with_project().await;
    site.configure(|config| {
        config.limits.attachment_bytes = 50_000;
        config.limits.case_bytes = 80_000;
    });
    let desk = Desk::open(site).await;
    let address = desk.test.app.config.listen;
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 45000\r\nContent-Type: {AGE}\r\n\
         Embargo-File-Name: poc.bin\r\nAuthorization: Bearer {}\r\n\r\n",
        desk.reporter.secret(),
    );
    let folder = desk.test.site.config().data.join("attachments");
    let written = || -> u64 {
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().metadata().map_or(0, |known| known.len())).sum()
    };
    let mut waiting = Vec::new();
    let mut refused = 0;
    for _ in 0..4 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&age_file(1, 39_000)).await.unwrap();
        let mut answer = [0; 12];
        // Whoever finds no room is told at once; the others are waited for.
        let told = tokio::time::timeout(Duration::from_secs(2), stream.read_exact(&mut answer)).await;
        refused += u8::from(told.is_ok_and(|read| read.is_ok() && &answer == b"HTTP/1.1 422"));
        waiting.push(stream);
    }
    assert_eq!(refused, 2, "two of four have room");
    assert!(written() <= 80_000, "{}", written());
    drop(waiting);
    // What was given up leaves its room as soon as the server has seen that it was.
    while desk.send(PLAIN, vec![1; 45_000]).await.status != 201 {
        tokio::task::yield_now().await;
    }
    assert_eq!(desk.kept().await, 1);
    desk.test.settle().await;
}

/// Attack: half a file that looks like a whole one.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_off_is_not_kept() {
    let desk = Desk::open(Site::with_project().await).await;
    let address = desk.test.app.config.listen;
    for media in [PLAIN, AGE] {
        let file = age_file(1, 100_000);
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {UPLOAD} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nContent-Type: {media}\r\n\
             Embargo-File-Name: poc.bin\r\nAuthorization: Bearer {}\r\n\r\n",
            file.len(),
            desk.reporter.secret(),
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&file[..70_000]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(desk.kept().await, 0, "{media}");
    }
    desk.test.settle().await;
}

/// Attack: a name that leads elsewhere or reads as something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_name_leads_nowhere() {
    let desk = Desk::open(Site::with_project().await).await;
    let named = |name: &str| Sent::Upload(PLAIN, name.to_owned(), b"sample".to_vec());
    for name in ["a%E2%80%AEtxt.exe", "%00", "x%0Ay", "%2", "x/", "%FF%FE", &"n".repeat(5_000)] {
        let answer = desk.test.ask(&desk.reporter, "POST", UPLOAD, &named(name)).await;
        assert_eq!(answer.status, 422, "{name}: {answer:?}");
    }
    assert_eq!(desk.test.ask(&desk.reporter, "POST", UPLOAD, &named("..%2F..%2Fetc%2Fpasswd")).await.status, 201);
    let page = desk.test.ask(&desk.reporter, "GET", "/api/v1/report", &Sent::Nothing).await.json();
    assert_eq!(page["attachments"][0]["name"], "passwd");
    assert_eq!(desk.kept().await, 1);
    desk.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_proves_what_arrived_to_whoever_has_openssh_and_sha256sum() {
    let desk = Desk::open(Site::with_project().await).await;
    let file = age_file(1, 1_000);
    assert_eq!(desk.send(AGE, file.clone()).await.status, 201);
    let receipt = async || desk.test.ask(&desk.reporter, "GET", "/api/v1/report/receipt", &Sent::Nothing).await.json();
    let signed = receipt().await;
    let text = |name: &str| signed[name].as_str().unwrap();
    let [said, signature, opening] = ["receipt", "signature", "opening"].map(text);
    let folder = desk.test.site.path().join("reader");
    std::fs::create_dir(&folder).unwrap();
    let signers = embargo::workflow::signers::allowed(&desk.test.app).await.unwrap();
    let host = signers.split(' ').next().unwrap().to_owned();
    let files = [("receipt.txt", said), ("receipt.txt.sig", signature), ("report.txt", opening), ("signers", &signers)];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::write(folder.join("proof.age"), file).unwrap();
    let verified = async || {
        let mut command = program::other("ssh-keygen");
        command.args(["-Y", "verify", "-f", "signers", "-I", &host, "-n", "file", "-s", "receipt.txt.sig"]);
        command.current_dir(&folder).stdin(std::fs::File::open(folder.join("receipt.txt")).unwrap());
        command.output().await.unwrap().status.success()
    };
    assert!(verified().await);
    for name in ["report.txt", "proof.age"] {
        let sum = program::other("sha256sum").arg(name).current_dir(&folder).output().await.unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        assert!(said.contains(&format!("sha256:{}", sum.split(' ').next().unwrap())), "{name}: {said}");
    }
    assert!(opening.contains("\ntitle ") && !said.contains(opening.lines().nth(1).unwrap()), "{said}");
    // A later instant is a forgery, and so is another salt.
    std::fs::write(folder.join("receipt.txt"), said.replace("report 20", "report 19")).unwrap();
    assert!(!verified().await);
    // It stays the same, however its sender wants to be thanked; and it is nobody else's.
    let wish = Sent::Json(r#"{"credit":"named","name":"Sample Reporter"}"#.to_owned());
    assert_eq!(desk.test.ask(&desk.reporter, "POST", "/api/v1/report/credit", &wish).await.status, 204);
    assert_eq!(receipt().await, signed);
    for (by, status) in [(&desk.manager, 404), (&Caller::anonymous(), 401)] {
        let answer = desk.test.ask(by, "GET", "/api/v1/report/receipt", &Sent::Nothing).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    desk.test.settle().await;
}
