//! Clones and pushes by the real git, through a small HTTP server around `serve`, with a hook that asks the test.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request as HttpRequest, Response};
use futures_util::TryStreamExt;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::mirror::{Interrupt, Upstream};
use super::remote::Access;
use super::sample::Sample;
use super::serve::{Encoding, Hooks, Protocol, Request, Served, Service};
use super::ticket::Tickets;
use super::{Git, Options, Repo};
use crate::domain::id::{Minted, UpstreamId};
use crate::domain::lint::LintPolicy;
use crate::domain::push::{Places, PushLimits, PushPolicy, verdict};
use crate::domain::quarantine::{Motion, PushFacts};
use crate::domain::repo::{CommitId, RefUpdate};
use crate::domain::sealed::Secret;

/// A case behind HTTP.
struct Scene {
    sample: Sample,
    case: Repo,
    url: String,
    door: Arc<Door>,
}

struct Door {
    git: Git,
    case: Repo,
    hook: PathBuf,
    tickets: Tickets<&'static str>,
    pushes: Mutex<usize>,
}

async fn answer(State(door): State<Arc<Door>>, request: HttpRequest<Body>) -> Response<Body> {
    let headers = request.headers().clone();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let protocol = Protocol::from_header(header("git-protocol").as_deref());
    let (content_type, encoding) = (header("content-type").unwrap_or_default(), header("content-encoding"));
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let body = request.into_body().into_data_stream().map_err(io::Error::other);
    let encoding = Encoding::from_header(encoding.as_deref()).unwrap();
    let request = Request { protocol, content_type, encoding, body };
    let served = if path.ends_with("/info/refs") {
        let service = Service::from_parameter(query.strip_prefix("service=").unwrap_or_default()).unwrap();
        door.git.advertise(&door.case, service, protocol).await
    } else if path.ends_with("/git-upload-pack") {
        door.git.serve_fetch(&door.case, request, ()).await
    } else {
        *door.pushes.lock().unwrap() += 1;
        let guard = door.tickets.issue(Secret::new(format!("word-{}", *door.pushes.lock().unwrap())), "push").unwrap();
        let hooks =
            Hooks { binary: door.hook.clone(), socket: "/nonexistent/socket".into(), ticket: guard.word().clone() };
        door.git.serve_push(&door.case, request, hooks, guard).await
    };
    let Served { status, content_type, body } = served.unwrap();
    Response::builder().status(status).header("content-type", content_type).body(Body::from_stream(body)).unwrap()
}

impl Scene {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let mut sample = Sample::new().await;
        sample.git = Git::open(options, &sample.folder.path().join("data")).await.unwrap();
        let case = sample.case("OCTO-1").await;
        let hook = sample.folder.path().join("embargo");
        let door = Arc::new(Door {
            git: sample.git.clone(),
            case: case.clone(),
            hook,
            tickets: Tickets::default(),
            pushes: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/OCTO-1/sample", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&door));
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        let scene = Self { sample, case, url, door };
        scene.hook_says("exit 0");
        scene
    }

    /// Makes the hook binary: it notes what it was given, then does this in `sh`.
    fn hook_says(&self, end: &str) {
        let notes = self.sample.folder.path().join("notes");
        let script = format!(
            "#!/bin/sh\n{{ echo \"$* $EMBARGO_TICKET $EMBARGO_SOCKET\"; cat; }} >> {}\n[ \"$2\" = pre-receive ] || exit 0\n{end}\n",
            notes.display()
        );
        std::fs::write(&self.door.hook, script).unwrap();
        std::fs::set_permissions(&self.door.hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn notes(&self) -> String {
        std::fs::read_to_string(self.sample.folder.path().join("notes")).unwrap_or_default()
    }

    async fn clone(&self) -> PathBuf {
        let into = self.sample.folder.path().join("clone");
        self.sample.user(["clone", "-q", &self.url, into.to_str().unwrap()]).await;
        into
    }

    async fn commit(&self, clone: &std::path::Path, name: &str, text: &[u8]) -> CommitId {
        std::fs::write(clone.join(name), text).unwrap();
        self.sample.user_in(clone, ["add", "-A"]).await;
        self.sample.user_in(clone, ["commit", "-q", "-m", "fix"]).await;
        self.sample.user_in(clone, ["rev-parse", "HEAD"]).await.parse().unwrap()
    }

    /// Pushes with the real git and returns its exit code and what it said.
    async fn push(&self, clone: &std::path::Path, what: &[&str]) -> (Option<i32>, String) {
        let output =
            self.sample.client(clone).args(["push", "--porcelain", "origin"]).args(what).run(b"").await.unwrap();
        (output.code, format!("{}{}", output.said.text(), String::from_utf8_lossy(&output.stdout)))
    }

    fn leftovers(&self) -> usize {
        let objects = std::fs::read_dir(self.sample.git.path(&self.case).join("objects")).unwrap();
        objects.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("incoming")).count()
    }
}

#[tokio::test]
async fn a_clone_shows_the_public_lines_in_every_protocol_version() {
    let scene = Scene::new().await;
    let clone = scene.clone().await;
    assert_eq!(scene.sample.user_in(&clone, ["rev-parse", "HEAD"]).await, scene.sample.head("main").await.to_string());
    for version in ["0", "1", "2"] {
        let setting = format!("protocol.version={version}");
        let listed = scene.sample.user(["-c", &setting, "ls-remote", &scene.url]).await;
        assert!(listed.contains("refs/heads/1.x") && listed.contains("refs/tags/v1.0^{}"), "{version}: {listed}");
    }
    scene.sample.user_in(&clone, ["fetch", "-q", "--depth=1", "origin", "1.x"]).await;
}

#[tokio::test]
async fn a_pushed_fix_passes_both_hooks_under_its_ticket() {
    let scene = Scene::new().await;
    let clone = scene.clone().await;
    let fix = scene.commit(&clone, "fix.c", b"fixed\n").await;
    let (code, said) = scene.push(&clone, &["HEAD:refs/heads/fix/main"]).await;
    assert_eq!(code, Some(0), "{said}");
    let pushed = scene.sample.git.pushed_branches(&scene.case).await.unwrap();
    assert_eq!(pushed[0].head, fix);
    let line = format!("{} {fix} refs/heads/fix/main", CommitId::zero());
    let notes = scene.notes();
    assert!(notes.starts_with(&format!("hook pre-receive word-1 /nonexistent/socket\n{line}\n")), "{notes}");
    assert!(notes.ends_with(&format!("hook post-receive word-1 /nonexistent/socket\n{line}\n")), "{notes}");
    scene.sample.git.finish().await;
    assert_eq!(scene.door.tickets.get("word-1"), None);
    scene.sample.fsck(&scene.case).await;
}

#[tokio::test]
async fn a_refused_push_tells_why_and_stores_nothing() {
    let scene = Scene::new().await;
    let clone = scene.clone().await;
    let fix = scene.commit(&clone, "fix.c", b"fixed\n").await;
    scene.hook_says("echo 'Push your fix to fix/main.' >&2; exit 1");
    let (code, said) = scene.push(&clone, &["HEAD:refs/heads/main"]).await;
    assert_eq!(code, Some(1));
    assert!(
        said.contains("remote: Push your fix to fix/main.") && said.contains("pre-receive hook declined"),
        "{said}"
    );
    scene.sample.git.finish().await;
    assert!(scene.sample.git.commit(&scene.case, &fix).await.is_err());
    assert_eq!(scene.leftovers(), 0);
}

#[tokio::test]
async fn a_large_push_comes_in_chunks_after_a_probe_that_is_no_push() {
    let scene = Scene::new().await;
    let clone = scene.clone().await;
    let noise: Vec<u8> =
        (0..1_500_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes()).collect();
    scene.commit(&clone, "noise", &noise).await;
    let (code, said) = scene.push(&clone, &["HEAD:refs/heads/wip/noise"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(*scene.door.pushes.lock().unwrap(), 2, "the probe and the push");
    assert_eq!(scene.notes().matches("hook pre-receive").count(), 1);
}

#[tokio::test]
async fn a_pack_over_the_limit_is_refused_and_leaves_nothing() {
    let scene = Scene::with(Options { max_push_bytes: 100_000, ..Options::default() }).await;
    let clone = scene.clone().await;
    let noise: Vec<u8> =
        (0..100_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes()).collect();
    scene.commit(&clone, "noise", &noise).await;
    let (code, said) = scene.push(&clone, &["HEAD:refs/heads/wip/noise"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("exceeds maximum allowed size"), "{said}");
    scene.sample.git.finish().await;
    assert!(scene.sample.git.pushed_branches(&scene.case).await.unwrap().is_empty());
    assert_eq!(scene.leftovers(), 0);
}

#[tokio::test]
async fn a_push_cut_off_half_way_leaves_nothing() {
    let scene = Scene::new().await;
    let head = scene.sample.head("main").await;
    let line = format!("{} {head} refs/heads/wip/x\0report-status", CommitId::zero());
    let cut = format!("{:04x}{line}0000PACK\0\0\0\u{2}\0\0\0\u{9}", line.len() + 4);
    let body = futures_util::stream::iter([Ok(bytes::Bytes::from(cut)), Err(io::Error::other("gone"))]);
    let content_type = "application/x-git-receive-pack-request".to_owned();
    let request = Request { protocol: Protocol::V0, content_type, encoding: Encoding::Plain, body };
    let hooks = Hooks { binary: scene.door.hook.clone(), socket: "/x".into(), ticket: Secret::new("w".to_owned()) };
    let served = scene.sample.git.serve_push(&scene.case, request, hooks, ()).await.unwrap();
    drop(served);
    scene.sample.git.finish().await;
    assert!(scene.sample.git.pushed_branches(&scene.case).await.unwrap().is_empty());
    assert_eq!(scene.leftovers(), 0);
    assert_eq!(scene.notes(), "");
}

#[tokio::test]
async fn a_request_of_another_kind_starts_no_child() {
    let scene = Scene::new().await;
    let request = |content_type: &str| Request {
        protocol: Protocol::V0,
        content_type: content_type.to_owned(),
        encoding: Encoding::Plain,
        body: futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"0000"))]),
    };
    let served = scene.sample.git.serve_fetch(&scene.case, request("text/plain"), ()).await.unwrap();
    assert_eq!(served.status, 415);
    let served = scene.sample.git.serve_fetch(&scene.case, request("application/x-git-upload-pack-request"), ()).await;
    assert_eq!(served.unwrap().status, 200);
    let gone = Repo::Case("OCTO-9".parse().unwrap(), scene.sample.id);
    assert!(scene.sample.git.advertise(&gone, Service::UploadPack, Protocol::V2).await.is_err());
    assert_eq!(Service::from_parameter("git-upload-archive"), None);
    assert_eq!(Protocol::from_header(Some("version=2:x=y\n")), Protocol::V2);
    assert_eq!(Protocol::from_header(Some("version=9")), Protocol::V0);
}

#[tokio::test]
async fn a_push_without_the_servers_variables_is_refused() {
    let scene = Scene::new().await;
    let clone = scene.clone().await;
    scene.commit(&clone, "fix.c", b"fixed\n").await;
    // Somebody pushes on the machine itself, past the server, with our hooks in place.
    let hooks = scene.sample.folder.path().join("data/hooks");
    let path = scene.sample.git.path(&scene.case);
    scene.sample.user_in(&path, ["--git-dir=.", "config", "core.hooksPath", hooks.to_str().unwrap()]).await;
    let client = scene.sample.client(&clone);
    let push = client.arg("push").arg(&path).arg("HEAD:refs/heads/fix/main");
    // The setting of our children that turns hooks off is not passed on to the other side.
    let output = push.run(b"").await.unwrap();
    assert_eq!(output.code, Some(1));
    assert!(output.said.text().contains("takes pushes only through its server"), "{}", output.said.text());
}

#[tokio::test]
async fn objects_of_another_case_cannot_be_fetched_by_id() {
    let scene = Scene::new().await;
    let other = scene.sample.case("OCTO-2").await;
    let path = scene.sample.git.path(&other);
    let tree = scene.sample.head("HEAD^{tree}").await;
    let secret = scene.sample.user_in(&path, ["--git-dir=.", "commit-tree", "-m", "secret", tree.as_str()]).await;
    let clone = scene.clone().await;
    for version in ["0", "2"] {
        let setting = format!("protocol.version={version}");
        let fetch =
            scene.sample.client(&clone).args(["-c", &setting, "fetch", "origin", &secret]).run(b"").await.unwrap();
        assert_eq!(fetch.code, Some(128));
        assert!(
            fetch.said.text().contains("not our ref") || fetch.said.text().contains("unadvertised"),
            "{}",
            fetch.said.text()
        );
    }
}

/// Runs one push up to pre-receive, looks into it there, and lets it go.
async fn looked_into(scene: &Scene, clone: &std::path::Path, what: &[&str], limits: PushLimits) -> PushFacts {
    let folder = scene.sample.folder.path();
    let (asked, answer) = (folder.join("asked"), folder.join("answer"));
    for fifo in [&asked, &answer] {
        let _ = std::fs::remove_file(fifo);
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = pre-receive ] || {{ cat > /dev/null; exit 0; }}\n{{ echo \"$GIT_QUARANTINE_PATH\"; cat; }} > {}\nread -r x < {}\nexit 1\n",
        asked.display(),
        answer.display()
    );
    std::fs::write(&scene.door.hook, script).unwrap();
    let look = async {
        let text = tokio::fs::read_to_string(&asked).await.unwrap();
        let mut lines = text.lines();
        let quarantine = lines.next().filter(|path| !path.is_empty()).map(PathBuf::from);
        let updates: Vec<_> = lines
            .map(|line| {
                let fields: Vec<_> = line.split(' ').collect();
                RefUpdate {
                    old: fields[0].parse().unwrap(),
                    new: fields[1].parse().unwrap(),
                    name: fields[2].to_owned(),
                }
            })
            .collect();
        let facts = scene.sample.git.inspect(&scene.case, quarantine, updates, policy(limits)).await;
        tokio::fs::write(&answer, "go\n").await.unwrap();
        facts.unwrap()
    };
    let (facts, (code, said)) = tokio::join!(look, scene.push(clone, what));
    assert_eq!(code, Some(1), "{said}");
    facts
}

fn policy(limits: PushLimits) -> PushPolicy {
    let places = Places::Case { lines: Sample::lines(), approved: Vec::new(), tested: Vec::new() };
    PushPolicy { places, frozen_in: None, limits, lint: LintPolicy::default() }
}

#[tokio::test]
async fn a_look_into_a_push_sees_new_commits_paths_and_sizes() {
    let scene = Scene::new().await;
    let clone = scene.clone().await;
    std::fs::create_dir_all(clone.join(".github/workflows")).unwrap();
    scene.commit(&clone, "big", &vec![b'x'; 70_000]).await;
    scene.commit(&clone, ".github/workflows/ci.yml", b"on: push\n").await;
    let facts = looked_into(&scene, &clone, &["HEAD:refs/heads/fix/main"], PushLimits::default()).await;
    let fix = &facts.refs[0];
    assert_eq!((fix.motion, fix.new_commits, fix.complete), (Motion::Created, 2, true));
    assert_eq!(fix.changed.iter().collect::<Vec<_>>(), [".github/workflows/ci.yml", "big"]);
    assert!(fix.hostile.is_empty());
    assert_eq!((facts.sent.biggest_blob, facts.sent.complete), (70_000, true));
    assert_eq!(facts.sent.objects, 8, "two commits, four trees, two blobs");
    assert_eq!(verdict(&policy(PushLimits::default()), &facts).unwrap().len(), 1);
    let tight = PushLimits { commits: 1, ..PushLimits::default() };
    let facts = looked_into(&scene, &clone, &["HEAD:refs/heads/fix/main"], tight).await;
    assert!(!facts.refs[0].complete);
}

#[tokio::test]
async fn a_look_into_a_push_tells_forward_from_rewritten_and_deleted() {
    let scene = Scene::new().await;
    let clone = scene.clone().await;
    scene.commit(&clone, "a", b"a").await;
    assert_eq!(scene.push(&clone, &["HEAD:refs/heads/wip/x", "HEAD:refs/heads/wip/y"]).await.0, Some(0));
    scene.commit(&clone, "b", b"b").await;
    let limits = PushLimits::default();
    let facts = looked_into(&scene, &clone, &["HEAD:refs/heads/wip/x", ":refs/heads/wip/y"], limits).await;
    let motions: Vec<_> = facts.refs.iter().map(|facts| (facts.update.name.as_str(), facts.motion)).collect();
    assert_eq!(motions, [("refs/heads/wip/x", Motion::Forward), ("refs/heads/wip/y", Motion::Deleted)]);
    assert_eq!(facts.refs[0].new_commits, 1);
    scene.sample.user_in(&clone, ["reset", "-q", "--hard", "origin/main"]).await;
    scene.commit(&clone, "c", b"c").await;
    let facts = looked_into(&scene, &clone, &["+HEAD:refs/heads/wip/x"], limits).await;
    assert_eq!(facts.refs[0].motion, Motion::Rewritten);
    let facts = looked_into(&scene, &clone, &[":refs/heads/wip/x"], limits).await;
    assert_eq!((facts.refs[0].motion, facts.sent.objects), (Motion::Deleted, 0));
}

#[tokio::test]
async fn a_look_into_a_push_finds_what_could_hurt_even_if_a_later_commit_hides_it() {
    let scene = Scene::new().await;
    let clone = scene.clone().await;
    std::os::unix::fs::symlink("/etc/passwd", clone.join("link")).unwrap();
    std::os::unix::fs::symlink("lib.c", clone.join("fine")).unwrap();
    scene.commit(&clone, "odd\u{1b}[31m", b"x").await;
    let head = scene.sample.head("main").await;
    let entry = format!("160000,{head},module");
    scene.sample.user_in(&clone, ["update-index", "--add", "--cacheinfo", &entry]).await;
    scene.sample.user_in(&clone, ["commit", "-q", "-m", "module"]).await;
    scene.sample.user_in(&clone, ["rm", "-q", "--cached", "link", "odd\u{1b}[31m"]).await;
    scene.sample.user_in(&clone, ["commit", "-q", "-m", "hide"]).await;
    let facts = looked_into(&scene, &clone, &["HEAD:refs/heads/wip/x"], PushLimits::default()).await;
    assert_eq!(facts.refs[0].hostile.len(), 3, "{:?}", facts.refs[0].hostile);
}

#[tokio::test]
async fn a_merge_of_the_public_line_brings_nothing_of_its_own() {
    let scene = Scene::new().await;
    let clone = scene.clone().await;
    scene.sample.user_in(&clone, ["checkout", "-q", "-b", "work", "origin/1.x"]).await;
    scene.commit(&clone, "fix.c", b"fixed\n").await;
    scene.sample.user_in(&clone, ["merge", "-q", "-m", "catch up", "origin/main"]).await;
    let facts = looked_into(&scene, &clone, &["HEAD:refs/heads/fix/main"], PushLimits::default()).await;
    assert_eq!(facts.refs[0].changed.iter().collect::<Vec<_>>(), ["fix.c"]);
    assert_eq!(facts.refs[0].new_commits, 2);
}

/// Answers as an upstream that is in trouble would, or as the case behind `scene` if it is given the right password.
async fn trouble(State(door): State<Arc<Door>>, request: HttpRequest<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let given = request.headers().get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let plain = |status: u16| Response::builder().status(status);
    let first = path.split('/').nth(1).unwrap_or_default();
    match first {
        "down" => plain(503).body(Body::empty()).unwrap(),
        "gone" => plain(404).body(Body::empty()).unwrap(),
        "moved" => plain(301).header("location", path.replace("moved", "open")).body(Body::empty()).unwrap(),
        "page" => plain(200).header("content-type", "text/html").body(Body::from("<p>hello")).unwrap(),
        "locked" if given.is_none() => {
            plain(401).header("www-authenticate", "Basic realm=\"x\"").body(Body::empty()).unwrap()
        }
        "forbidden" => plain(403).body(Body::empty()).unwrap(),
        _ => answer(State(door), request).await,
    }
}

#[tokio::test]
async fn a_mirror_over_http_tells_what_is_wrong_with_its_upstream() {
    let scene = Scene::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(trouble).with_state(Arc::clone(&scene.door));
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    let id = UpstreamId::mint(1_700_000_000_001, [8; 10]);
    let update = |name: &str| {
        let upstream = Upstream { url: format!("{base}/{name}/x").parse().unwrap(), access: Access::Open };
        let git = scene.sample.git.clone();
        async move { git.update_mirror(id, &upstream, |_| {}, Interrupt::default()).await }
    };
    assert_eq!(update("open").await.unwrap().moved.len(), 3);
    assert!(update("open").await.unwrap().is_unchanged());
    let before = scene.sample.refs(&Repo::Mirror(id)).await;
    for (name, wanted) in [
        ("down", "Down"),
        ("gone", "Moved"),
        ("moved", "Moved"),
        ("page", "NotGit"),
        ("locked", "Denied"),
        ("forbidden", "Denied"),
    ] {
        let error = update(name).await.unwrap_err();
        assert!(format!("{error:?}").starts_with(wanted), "{name}: {error:?}");
    }
    assert_eq!(scene.sample.refs(&Repo::Mirror(id)).await, before);
    scene.sample.write("later", "later").await;
    scene.sample.update().await.unwrap();
    scene.sample.git.refresh_case(&"OCTO-1".parse().unwrap(), scene.sample.id, &Sample::lines()).await.unwrap();
    assert_eq!(update("open").await.unwrap().moved.len(), 1);
}

#[tokio::test]
async fn a_password_reaches_the_public_repository_by_environment() {
    let scene = Scene::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/locked/x", listener.local_addr().unwrap());
    let router = Router::new().fallback(trouble).with_state(Arc::clone(&scene.door));
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    let main = "refs/heads/main".parse().unwrap();
    let read = |access| {
        let upstream = Upstream { url: url.parse().unwrap(), access };
        let (git, names) = (scene.sample.git.clone(), vec![Clone::clone(&main)]);
        async move { git.read_refs(&upstream, &names).await }
    };
    assert!(read(Access::Open).await.is_err());
    let access = Access::Password { username: "sample".to_owned(), password: Secret::new("canary".to_owned()) };
    assert_eq!(read(access).await.unwrap()[&main], scene.sample.head("main").await);
}
