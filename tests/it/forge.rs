//! What is sent to forges, held to their own API descriptions by a proxy that judges both sides; and what their bad days do.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use embargo::domain::channel::{ChannelUrl, ForgeKind, ForgePlace};
use embargo::domain::effect::Outcome;
use embargo::domain::sealed::Secret;
use embargo::domain::signing::Commits;
use embargo::forge::advisory::AdvisoryDraft;
use embargo::forge::release::ReleaseDraft;
use embargo::forge::repository::ForgeRepository;
use embargo::forge::rules::{History, PushShape};
use embargo::forge::{Forge, Options};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::elsewhere::Elsewhere;
use crate::support::hub::{Hub, Mood, Rules, TOKEN};

const KEY: &str = "sample/demo release/1.4.2";

/// Prism between a client and a forge: a request or an answer that the description does not allow becomes an error.
struct Judge {
    url: String,
    _child: Child,
}

impl Judge {
    async fn over(forge: &str, behind: &str) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forge/node_modules");
        let description = tests.join(format!(".described/{forge}.json"));
        assert!(description.exists(), "`.ci/setup test` installs the forges' descriptions");
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        #[expect(clippy::disallowed_methods, reason = "the judge is no part of the program")]
        let mut child = Command::new("node")
            .arg(tests.join(".bin/prism"))
            .args(["proxy", "--errors", "-h", "127.0.0.1", "-p", &port.to_string()])
            .arg(description)
            .arg(behind)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        while !said.next_line().await.unwrap().expect("it listens before it ends").contains("listening") {}
        // What it says later must go somewhere.
        #[expect(clippy::disallowed_methods, reason = "ends with the child")]
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Self { url: format!("http://127.0.0.1:{port}"), _child: child }
    }
}

/// A repository on a forge, and what asks it.
struct Asker {
    forge: Forge,
    kind: ForgeKind,
    api: ChannelUrl,
    place: ForgePlace,
    token: String,
}

impl Asker {
    fn at(kind: ForgeKind, api: &str) -> Self {
        let forge = Forge::open(&Options { timeout_seconds: 2 }).unwrap();
        let place = "sample/demo".parse().unwrap();
        Self { forge, kind, api: api.parse().unwrap(), place, token: TOKEN.to_owned() }
    }

    /// Asks for an advisory with a text of several lines, affected and fixed in a package.
    async fn publish(&self) -> Outcome {
        let id = "DEMO-2027-0001".parse().unwrap();
        let text =
            "# Sample flaw\n\n- Advisory: [DEMO-2027-0001](<https://security.example.org/advisories/DEMO-2027-0001>)\n";
        let line =
            r#"{"repository":"demo","line":"main","package":{"ecosystem":"PyPI","name":"demo"},"fixed":"2.0.1"}"#;
        let severity = embargo::domain::severity::Severity::Word("high".parse().unwrap());
        let (title, line) = ("Sample flaw".parse().unwrap(), serde_json::from_str(line).unwrap());
        let draft = AdvisoryDraft::new(&title, text.to_owned(), (None, Some(&severity)), &[line]);
        let (kind, token) = (self.kind, Secret::new(self.token.clone()));
        let repository = ForgeRepository { forge: kind, api: &self.api, place: &self.place, token };
        self.forge.advisory(&repository, &id, serde_json::to_vec(&draft).unwrap()).await
    }

    /// Asks what stands against a push of merges to two branches, with a tag.
    async fn rules(&self) -> Vec<String> {
        self.rules_of(Commits::Unsigned).await
    }

    async fn rules_of(&self, commits: Commits) -> Vec<String> {
        let branches = [("refs/heads/main", History::Merged), ("refs/heads/1.x", History::Linear)];
        let push = PushShape {
            commits,
            branches: branches.into_iter().map(|(name, history)| (name.parse().unwrap(), history)).collect(),
            tags: ["refs/tags/v1.4.2".parse().unwrap()].into(),
        };
        let (kind, token) = (self.kind, Secret::new(self.token.clone()));
        let repository = ForgeRepository { forge: kind, api: &self.api, place: &self.place, token };
        self.forge.rules(&repository, &push).await
    }

    /// Asks that another text takes the place of the one of [`Asker::publish`].
    async fn revise(&self, text: &str, earlier: &[String]) -> Outcome {
        let id = "DEMO-2027-0001".parse().unwrap();
        let title = "Sample flaw, corrected".parse().unwrap();
        let draft = AdvisoryDraft::new(&title, text.to_owned(), (None, None), &[]);
        let (kind, token) = (self.kind, Secret::new(self.token.clone()));
        let repository = ForgeRepository { forge: kind, api: &self.api, place: &self.place, token };
        self.forge.revise_advisory(&repository, &id, serde_json::to_vec(&draft).unwrap(), earlier).await
    }

    /// Asks for the release of a tag with a slash in it, and a text of several lines.
    async fn ask(&self) -> Outcome {
        let place = ("release/1.4.2".parse().unwrap(), "2".repeat(40).parse().unwrap());
        let text = ("Demo 1.4.2".to_owned(), "Security release.\n\n- one\n".to_owned());
        let body = serde_json::to_vec(&ReleaseDraft::new(self.kind, place, text)).unwrap();
        let (kind, token) = (self.kind, Secret::new(self.token.clone()));
        let repository = ForgeRepository { forge: kind, api: &self.api, place: &self.place, token };
        self.forge.release(&repository, body).await
    }
}

impl Asker {
    /// Asks for a workflow to be started.
    async fn dispatch(&self, branch: &str) -> Outcome {
        let token = Secret::new(self.token.clone());
        let repository = ForgeRepository { forge: self.kind, api: &self.api, place: &self.place, token };
        let inputs = [("state".to_owned(), "frozen".to_owned())].into();
        self.forge.dispatch(&repository, &"nightly.yml".parse().unwrap(), (&branch.parse().unwrap(), &inputs)).await
    }
}

/// Returns the word of an outcome and what is said of it, which never names the token.
fn told(outcome: &Outcome) -> (&'static str, &str) {
    let (word, note) = match outcome {
        Outcome::Done(note) => ("done", note),
        Outcome::Again(note) => ("again", note),
        Outcome::Unknown(note) => ("unknown", note),
        Outcome::Failed(_, note) => ("failed", note),
        Outcome::PassedOver(note) => ("passed over", note),
    };
    assert!(!note.contains(TOKEN) && !note.contains("127.0.0.1"), "{note}");
    (word, note)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_github_is_what_its_own_description_asks_for() {
    judged(ForgeKind::GitHub, "github", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_forgejo_is_what_its_own_description_asks_for() {
    judged(ForgeKind::Forgejo, "forgejo", "/api/v1").await;
}

async fn judged(kind: ForgeKind, forge: &str, base: &str) {
    let hub = Hub::open().await;
    let judge = Judge::over(forge, &format!("{}{base}", hub.url())).await;
    let asker = Asker::at(kind, &judge.url);
    assert_eq!(told(&asker.ask().await), ("done", "made on the forge"));
    assert_eq!(told(&asker.ask().await), ("done", "found on the forge"));
    assert_eq!(hub.made(), [KEY]);
    hub.rewrite(KEY, "Something else.");
    let outcome = asker.ask().await;
    assert!(matches!(told(&outcome), ("failed", note) if note.contains("another text")), "{outcome:?}");
    assert_eq!(hub.release(KEY)["body"], "Something else.", "it is left as it is");

    assert_eq!(told(&asker.dispatch("main").await), ("done", "started on the forge"));
    let sent = serde_json::json!({ "ref": "main", "inputs": { "state": "frozen" } });
    assert_eq!(hub.dispatched(), [("sample/demo nightly.yml".to_owned(), sent)]);

    // The judge does judge: a release without a tag never reaches the forge.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.post(format!("{}/repos/sample/demo/releases", judge.url)).bearer_auth(TOKEN);
    let answer = request.header("Content-Type", "application/json").body("{}").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 422);
    assert!(answer.text().await.unwrap().contains("tag_name"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advisory_is_what_githubs_own_description_asks_for() {
    let hub = Hub::open().await;
    let judge = Judge::over("github", hub.url()).await;
    let asker = Asker::at(ForgeKind::GitHub, &judge.url);
    assert_eq!(told(&asker.publish().await), ("done", "published on the forge"));
    assert_eq!(told(&asker.publish().await), ("done", "found on the forge"));
    // A draft that somebody prepared under our id gets the approved text.
    hub.edit("state", "draft");
    hub.edit("summary", "Prepared by hand");
    assert_eq!(told(&asker.publish().await), ("done", "published on the forge"));
    let advisories = hub.advisories();
    assert_eq!((advisories.len(), advisories[0]["state"].as_str()), (1, Some("published")));
    assert_eq!(advisories[0]["summary"], "Sample flaw");
    // A text of ours is revised, as often as it is asked for; one that is not ours is left as it is.
    let first = advisories[0]["description"].as_str().unwrap().to_owned();
    let second = first.replace("# Sample flaw", "# Sample flaw, corrected");
    assert!(told(&asker.revise(&second, &[]).await).1.contains("with another text"), "it is not known as ours");
    let earlier = [first.clone()];
    assert_eq!(told(&asker.revise(&second, &earlier).await), ("done", "published on the forge"));
    assert_eq!(told(&asker.revise(&second, &earlier).await), ("done", "found on the forge"));
    assert_eq!(hub.advisories()[0]["summary"], "Sample flaw, corrected");
    hub.edit("description", &first);
    hub.edit("summary", "Sample flaw");
    // What is public with another text, or closed, is left as it is.
    for (part, value) in [("summary", "Another flaw"), ("state", "closed")] {
        hub.edit(part, value);
        assert!(told(&asker.publish().await).1.contains("with another text, or closed"));
        assert_eq!(hub.advisories()[0][part], value);
    }

    // The judge does judge: an advisory without a text never reaches the forge.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.post(format!("{}/repos/sample/demo/security-advisories", judge.url)).bearer_auth(TOKEN);
    let body = r#"{"summary":"Sample flaw","vulnerabilities":[]}"#;
    let answer = request.header("Content-Type", "application/json").body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 422);
    assert!(answer.text().await.unwrap().contains("description"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_asked_for_as_both_forges_describe_them() {
    for (kind, forge, base) in [(ForgeKind::GitHub, "github", ""), (ForgeKind::Forgejo, "forgejo", "/api/v1")] {
        let hub = Hub::open().await;
        let judge = Judge::over(forge, &format!("{}{base}", hub.url())).await;
        let asker = Asker::at(kind, &judge.url);
        assert_eq!(asker.rules().await, Vec::<String>::new(), "{forge}: nothing stands against it");
        hub.rule(Rules { reads_only: true, ..Rules::default() });
        assert_eq!(asker.rules().await, ["its token may not push"], "{forge}");
        let on_branches = vec!["pull_request", "required_linear_history", "non_fast_forward"];
        let on_tags = (vec!["creation", "deletion"], "refs/tags/v*");
        let rules = Rules { on_branches, on_tags, bypass: "never", ..Rules::default() };
        hub.rule(rules.clone());
        let against = asker.rules().await;
        match kind {
            ForgeKind::GitHub => {
                assert_eq!(
                    against,
                    [
                        "the ruleset “sample branch” takes changes only through pull requests on 1.x",
                        "the ruleset “sample branch” takes changes only through pull requests on main",
                        "the ruleset “sample branch” takes no merges on main",
                        "the ruleset “sample tag” lets nobody make the tag v1.4.2",
                    ]
                );
                let signed = Rules {
                    on_branches: vec!["required_signatures"],
                    on_tags: (Vec::new(), "refs/tags/*"),
                    ..rules.clone()
                };
                hub.rule(signed);
                assert_eq!(asker.rules().await.len(), 2, "what the server makes is not signed");
                assert_eq!(asker.rules_of(Commits::Signed).await, Vec::<String>::new(), "what is signed may be let in");
                hub.rule(Rules { bypass: "always", ..rules.clone() });
                assert_eq!(asker.rules().await, Vec::<String>::new(), "the token is past them");
                hub.rule(Rules { on_branches: Vec::new(), on_tags: (vec!["creation"], "refs/tags/w*"), ..rules });
                assert_eq!(asker.rules().await, Vec::<String>::new(), "they are about other tags");
            }
            ForgeKind::Forgejo => {
                let branch = |name: &str| format!("its token may not push to the protected branch {name}");
                assert_eq!(against, [branch("1.x"), branch("main")]);
            }
        }
        hub.be(Mood::Answers(403));
        assert_eq!(asker.rules().await, Vec::<String>::new(), "{forge}: who does not say is not called against it");
    }
}

#[tokio::test]
async fn an_advisory_whose_answers_were_lost_is_found_and_not_made_twice() {
    let hub = Hub::open().await;
    let asker = Asker::at(ForgeKind::GitHub, hub.url());
    hub.be(Mood::LosesAnswers);
    assert_eq!(told(&asker.publish().await).0, "unknown", "the draft was made");
    assert_eq!(told(&asker.publish().await).0, "unknown", "the draft was published");
    hub.be(Mood::Fine);
    assert_eq!(told(&asker.publish().await), ("done", "found on the forge"));
    assert_eq!(hub.advisories().len(), 1);
}

#[tokio::test]
async fn an_advisory_that_github_refuses_needs_a_person_and_one_it_puts_off_does_not() {
    let hub = Hub::open().await;
    let asker = Asker::at(ForgeKind::GitHub, hub.url());
    for (mood, word) in [(Mood::Answers(403), "failed"), (Mood::Refuses(422), "failed"), (Mood::Answers(503), "again")]
    {
        hub.be(mood);
        assert_eq!(told(&asker.publish().await).0, word);
    }
    hub.be(Mood::Limits);
    assert_eq!(told(&asker.publish().await), ("again", "The forge answered 429; nothing was made."));
    assert!(hub.advisories().is_empty());
}

#[tokio::test]
async fn a_forge_that_fails_before_it_made_anything_is_asked_again() {
    let hub = Hub::open().await;
    let asker = Asker::at(ForgeKind::GitHub, hub.url());
    hub.be(Mood::Answers(500));
    assert_eq!(told(&asker.ask().await).0, "again", "the look failed: surely nothing happened");
    hub.be(Mood::Refuses(500));
    assert_eq!(told(&asker.ask().await).0, "unknown");
    assert!(hub.made().is_empty());
    hub.be(Mood::Fine);
    assert_eq!(told(&asker.ask().await), ("done", "made on the forge"));
    assert_eq!(hub.made(), [KEY]);
}

#[tokio::test]
async fn a_release_whose_answer_was_lost_is_found_and_not_made_twice() {
    for mood in [Mood::LosesAnswers, Mood::Forgets(502)] {
        let hub = Hub::open().await;
        let asker = Asker::at(ForgeKind::Forgejo, hub.url());
        hub.be(mood);
        assert_eq!(told(&asker.ask().await).0, "unknown");
        hub.be(Mood::Fine);
        assert_eq!(told(&asker.ask().await), ("done", "found on the forge"));
        assert_eq!(hub.made(), [KEY]);
    }
}

#[tokio::test]
async fn a_forge_that_says_no_needs_a_person_and_one_that_says_not_now_does_not() {
    let hub = Hub::open().await;
    let mut asker = Asker::at(ForgeKind::GitHub, hub.url());
    for (status, word, said) in [
        (401, "failed", "does not know the token"),
        (403, "failed", "refuses the token"),
        (404, "failed", "does not show the repository"),
        (422, "failed", "make it by hand"),
        (418, "failed", "418"),
        (429, "again", "429"),
    ] {
        hub.be(Mood::Refuses(status));
        let outcome = asker.ask().await;
        assert!(matches!(told(&outcome), (found, note) if found == word && note.contains(said)), "{outcome:?}");
    }
    assert!(hub.made().is_empty());
    hub.be(Mood::Fine);
    "revoked".clone_into(&mut asker.token);
    assert!(told(&asker.ask().await).1.contains("does not know the token"));
}

#[tokio::test]
async fn a_workflow_whose_start_is_in_doubt_is_never_called_a_failure() {
    let hub = Hub::open().await;
    let asker = Asker::at(ForgeKind::GitHub, hub.url());
    for (mood, word) in [
        (Mood::LosesAnswers, "unknown"),
        (Mood::Forgets(502), "unknown"),
        (Mood::Limits, "again"),
        (Mood::Answers(404), "failed"),
        (Mood::Answers(422), "failed"),
        (Mood::Answers(403), "failed"),
    ] {
        hub.be(mood.clone());
        assert_eq!(told(&asker.dispatch("main").await).0, word, "{mood:?}");
    }
    assert_eq!(hub.dispatched().len(), 2);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = Asker::at(ForgeKind::GitHub, &format!("http://{nobody}")).dispatch("main").await;
    assert_eq!(told(&outcome).0, "again");
}

#[tokio::test]
async fn an_answer_that_does_not_end_or_is_endless_is_not_waited_for() {
    let hub = Hub::open().await;
    hub.be(Mood::Trails);
    let outcome = Asker::at(ForgeKind::GitHub, hub.url()).ask().await;
    assert!(matches!(told(&outcome), ("again", note) if note.contains("did not answer to the end")), "{outcome:?}");
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = Asker::at(ForgeKind::GitHub, &format!("http://{nobody}")).ask().await;
    assert!(matches!(told(&outcome), ("again", note) if note.contains("cannot be reached")), "{outcome:?}");
}

/// Attack: an address that was taken over sends the release, and the token with it, to a server of the attacker.
#[tokio::test]
async fn a_forge_that_sends_us_elsewhere_is_not_followed() {
    let (hub, attacker) = (Hub::open().await, Elsewhere::listen("200 OK", "").await);
    hub.be(Mood::SendsTo(format!("{}/repos/sample/demo/releases", attacker.url())));
    let outcome = Asker::at(ForgeKind::GitHub, hub.url()).ask().await;
    assert!(matches!(told(&outcome), ("failed", note) if note.contains("sends us elsewhere")), "{outcome:?}");
    assert_eq!(attacker.visits(), 0, "nobody went where they were sent");
}

#[tokio::test]
async fn the_descriptions_are_those_of_the_registries() {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forge/node_modules/.described");
    for (file, title, paths) in
        [("github.json", "GitHub's official OpenAPI spec + Octokit extension", 10), ("forgejo.json", "Forgejo API", 5)]
    {
        let text = tokio::fs::read_to_string(folder.join(file)).await.unwrap();
        let description: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(description["info"]["title"], title);
        assert_eq!(description["paths"].as_object().unwrap().len(), paths);
    }
}
