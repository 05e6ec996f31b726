//! Tags signed on people's own machines: by the real `ssh-keygen` and `gpg`, over the bytes that are pushed, by those who may.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};

use embargo::domain::digest::Digest;
use embargo::domain::id::ReleaseId;
use embargo::domain::signing::Signing;
use embargo::wire::sign::SignTag;
use embargo::workflow::{release, sign};

use crate::candidate::Scene;
use crate::support::git::Git;
use crate::support::house;
use crate::support::program::{self, Machine};
use crate::support::site::Site;

/// A release of two cases of which everything is settled but the signature of its tag.
struct House {
    scene: Scene,
    id: ReleaseId,
    machine: Machine,
}

/// The command that signs a release with a key.
fn signs<'a>(id: &'a str, with: [&'a str; 2]) -> Vec<&'a str> {
    vec!["release", "sign", id, with[0], with[1], "--yes"]
}

impl House {
    async fn stand(site: Site) -> Self {
        let scene = Scene::set(site, [("one.c", "one\n"), ("two.c", "two\n")]).await;
        let id = scene.plan(&scene.cases).await;
        scene.told().await;
        let machine = scene.test.machine("alice").await;
        Self { scene, id, machine }
    }

    async fn blockers(&self) -> Vec<String> {
        self.scene.view(&self.id).await.blockers.into_iter().map(|blocker| blocker.kind).collect()
    }

    /// Signs what the server would push now with a key of SSH, and sends it as if it were of these bytes.
    async fn send(&self, signature: &str, payload: &str) -> Result<(), String> {
        let (line, tag) = ("main".parse().unwrap(), "v2.0".parse().unwrap());
        let sha256 = Digest::of(payload.as_bytes());
        let wish = SignTag { repository: None, line, tag, sha256, signature: signature.parse().unwrap() };
        let sent = sign::sign(&self.scene.test.app, &self.scene.alice, &self.id, &wish).await;
        sent.map_err(|error| error.to_string())
    }

    async fn payload(&self) -> String {
        sign::tags(&self.scene.test.app, &self.scene.alice, &self.id).await.unwrap().remove(0).payload
    }
}

/// Makes a key of SSH; returns its private file and its public half.
async fn ssh_key(folder: &Path, name: &str) -> (PathBuf, String) {
    let file = folder.join(name);
    let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"];
    assert!(program::other("ssh-keygen").args(arguments).arg(&file).status().await.unwrap().success());
    let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
    (file, public)
}

/// Signs as git does.
async fn ssh_signature(key: &Path, payload: &str) -> String {
    let text = key.with_extension("payload");
    std::fs::write(&text, payload).unwrap();
    let signed = text.with_extension("payload.sig");
    let _ = std::fs::remove_file(&signed);
    let arguments = ["-q", "-Y", "sign", "-n", "git", "-f"];
    let ended = program::other("ssh-keygen").args(arguments).arg(key).arg(&text).output().await.unwrap();
    assert!(ended.status.success(), "{ended:?}");
    std::fs::read_to_string(signed).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_waits_for_a_signature_of_its_very_bytes_by_somebody_the_project_allows() {
    let mut site = Site::with_project().await;
    let (good, public) = ssh_key(site.path(), "good").await;
    let (stranger, _) = ssh_key(site.path(), "stranger").await;
    let signers = site.path().join("signers");
    std::fs::write(&signers, format!("manager@example.org namespaces=\"git\" {public}")).unwrap();
    site.configure(|config| {
        config.projects[0].signing = Signing::Offline;
        config.projects[0].allowed_signers_file = Some(signers.clone());
    });
    let upstream = site.upstream();
    let house = Box::pin(House::stand(site)).await;
    let (app, alice, bob) = (&house.scene.test.app, &house.scene.alice, &house.scene.bob);
    assert_eq!(house.blockers().await, ["unsigned"]);
    assert!(release::freeze(app, alice, &house.id).await.is_err());

    // Neither a key that is not allowed nor a signature of something else will do.
    let id = house.id.to_string();
    let (good_file, stranger_file) = (good.to_str().unwrap(), stranger.to_str().unwrap());
    let said = house.machine.refused(&signs(&id, ["--key", stranger_file])).await;
    assert!(said.contains("by anybody the project allows"), "{said}");
    let payload = house.payload().await;
    let other = payload.replace("tag v2.0", "tag v9.9");
    let of_other = ssh_signature(&good, &other).await;
    assert!(house.send(&of_other, &payload).await.unwrap_err().contains("no valid signature"));
    assert!(house.send(&of_other, &other).await.unwrap_err().contains("built anew"), "it names other bytes");
    assert_eq!(house.blockers().await, ["unsigned"]);

    // Signed, and the line moves on: the tag is another, and the older signature is of no use.
    let first = house.machine.json(&signs(&id, ["--key", good_file])).await;
    assert_eq!(first["targets"][0]["signed_by"], "manager@example.org", "{first}");
    assert_eq!(house.blockers().await, Vec::<String>::new());
    house.scene.move_line().await;
    assert_eq!(house.blockers().await, ["unsigned"]);
    let older = ssh_signature(&good, &payload).await;
    assert!(house.send(&older, &house.payload().await).await.unwrap_err().contains("no valid signature"));

    house.machine.json(&signs(&id, ["--key", good_file])).await;
    embargo::workflow::rehearsal::rehearse_now(app, alice, &house.id).await.unwrap();
    house.scene.test.settle().await;
    assert_eq!(house.blockers().await, Vec::<String>::new(), "what is not built anew keeps its signature");
    release::freeze(app, alice, &house.id).await.unwrap();
    let pushed = house.scene.target(&house.id).await.tag_object.unwrap();
    assert!(house.send(&older, &house.payload().await).await.is_err(), "what is frozen is signed no more");

    // A key that was taken back speaks for nothing, neither before arming nor at the instant.
    let allowed = std::fs::read_to_string(&signers).unwrap();
    std::fs::write(&signers, "").unwrap();
    assert!(house::arm(app, alice, &house.id).await.unwrap_err().to_string().contains("signed by nobody"));
    std::fs::write(&signers, &allowed).unwrap();
    for person in [alice, bob] {
        house::arm(app, person, &house.id).await.unwrap();
    }
    std::fs::write(&signers, "").unwrap();
    app.clock.set("2026-04-02T12:00:00Z".parse().unwrap());
    house.scene.test.settle().await;
    let held = house.scene.view(&house.id).await;
    assert_eq!((held.summary.state.as_str(), held.hold.unwrap().reason.as_str()), ("held", "not_ready"));
    std::fs::write(&signers, &allowed).unwrap();
    release::resume(app, alice, &house.id).await.unwrap();
    house.scene.test.settle().await;
    assert_eq!(house.scene.view(&house.id).await.summary.state, "done");
    let git = Git::anonymous();
    assert_eq!(git.succeed(&upstream, &["rev-parse", "refs/tags/v2.0"]).await, pushed);
    let config = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    git.succeed(&upstream, &["-c", &config, "verify-tag", "v2.0"]).await;
    git.succeed(&upstream, &["fsck", "--strict"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_may_be_signed_with_openpgp() {
    let mut site = Site::with_project().await;
    let home = site.path().join("home-alice");
    std::fs::create_dir_all(&home).unwrap();
    let gpg = async |arguments: &[&str]| {
        let ended = program::other("gpg").env("HOME", &home).args(arguments).output().await.unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
        ended.stdout
    };
    let user = "Sample Manager <manager@example.org>";
    gpg(&["--batch", "--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never"]).await;
    let ring = site.path().join("signers.gpg");
    std::fs::write(&ring, gpg(&["--export", "manager@example.org"]).await).unwrap();
    site.configure(|config| {
        config.projects[0].signing = Signing::Offline;
        config.projects[0].openpgp_keys_file = Some(ring.clone());
    });
    let house = Box::pin(House::stand(site)).await;
    let id = house.id.to_string();
    let signed = house.machine.json(&signs(&id, ["--gpg", "manager@example.org"])).await;
    assert_eq!(signed["targets"][0]["signed_by"], user, "{signed}");
    assert_eq!(house.blockers().await, Vec::<String>::new());
    let ended = program::other("gpgconf").env("HOME", &home).args(["--kill", "all"]).status().await.unwrap();
    assert!(ended.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_server_signs_nothing_is_left_to_sign_and_what_was_read_is_armed() {
    let house = Box::pin(House::stand(Site::with_project().await)).await;
    let (app, alice, id) = (&house.scene.test.app, &house.scene.alice, house.id.to_string());
    let ended = house.machine.run(&["release", "sign", &id]).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("The server signs the tags of this release"), "{ended:?}");
    let early = house.machine.refused(&["release", "arm", &id]).await;
    assert!(early.contains("only what is frozen is armed"), "{early}");
    release::freeze(app, alice, &house.id).await.unwrap();

    // Where nobody can be asked, a person names what they read; it is shown all the same.
    let unasked = house.machine.refused(&["release", "arm", &id]).await;
    assert!(unasked.contains("v2.0") && unasked.contains("Nothing was armed"), "{unasked}");
    let before = house.scene.view(&house.id).await;
    let digest = before.digest.unwrap();
    assert!(unasked.contains(&digest) && unasked.contains(&before.summary.due_at), "{unasked}");
    let other = "0".repeat(64);
    let refused = house.machine.refused(&["release", "arm", &id, "--digest", &other]).await;
    assert!(refused.contains("not what you name"), "{refused}");
    assert!(house.scene.view(&house.id).await.armed_by.is_empty());
    let armed = house.machine.json(&["release", "arm", &id, "--digest", &digest]).await;
    assert_eq!(armed["armed_by"][0]["person"], "@alice", "{armed}");

    // What was read elsewhere, and moved since, is not armed either.
    let later = before.summary.due_at.parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_hours(1);
    release::postpone(app, alice, &house.id, later).await.unwrap();
    let stale = release::arm(app, &house.scene.bob, &house.id, &digest.parse().unwrap()).await;
    assert!(stale.unwrap_err().to_string().contains("read it again"), "the instant is another");
}
