//! Tests of [`super`]: what a started fix does to a clone, with the real git.

use std::fs;

use super::*;
use crate::wire::case::CaseSummary;

const SERVER: &str = "https://security.example.org";

fn view(remotes: &[(&str, &str)]) -> CaseView {
    let remotes = remotes.iter().map(|(name, url)| RemoteView { name: (*name).into(), url: (*url).into() }).collect();
    CaseView {
        summary: CaseSummary {
            id: "OCTO-1".into(),
            project: "octo".into(),
            title: "Sample".into(),
            state: "accepted".into(),
            role: "fixer".into(),
            date: None,
            opened_at: String::new(),
            published_at: None,
            needs: Vec::new(),
        },
        verdict: None,
        date_state: String::new(),
        date_proposed: None,
        acknowledged_at: None,
        reports: Vec::new(),
        thread: Vec::new(),
        members: Vec::new(),
        attachments: Vec::new(),
        fixes: Vec::new(),
        releases: Vec::new(),
        opens: Vec::new(),
        links: Vec::new(),
        remotes,
        remote_pending: false,
        allowed: Vec::new(),
        history: Vec::new(),
    }
}

#[test]
fn no_address_but_one_of_the_server_reaches_git() {
    let good = format!("{SERVER}/OCTO-1/octo");
    assert_eq!(remote_of(&view(&[("octo", &good)]), None, SERVER).unwrap().url, good);
    for bad in ["ext::sh -c true", "--upload-pack=x", "https://security.example.org.example.com/x", "file:///x"] {
        assert!(remote_of(&view(&[("octo", bad)]), None, SERVER).is_err(), "{bad}");
    }
    let two = view(&[("octo", &good), ("docs", &good)]);
    assert!(matches!(remote_of(&two, None, SERVER), Err(Failure::Refused(_))));
    assert!(remote_of(&two, Some(&"docs".parse().unwrap()), SERVER).is_ok());
}

/// A public repository, the private remotes of two cases, and a clone of the public one.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn set() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["public", "OCTO-1", "OCTO-2", "clone"] {
            fs::create_dir(scene.at(name)).unwrap();
        }
        scene.git("public", &["init", "-q", "-b", "main"]);
        scene.commit("public");
        for name in ["OCTO-1", "OCTO-2"] {
            scene.git(name, &["clone", "-q", "--bare", "../public", "."]);
        }
        scene.git("clone", &["clone", "-q", "../public", "."]);
        scene
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn git(&self, name: &str, arguments: &[&str]) -> String {
        git(&self.at(name), arguments).unwrap().unwrap_or_else(|| panic!("{arguments:?}"))
    }

    fn commit(&self, name: &str) -> String {
        let identity = ["-c", "user.name=Sample", "-c", "user.email=sample@example.org", "-c", "commit.gpgsign=false"];
        self.git(name, &[&identity[..], &["commit", "-q", "--allow-empty", "-m", "Sample"]].concat());
        self.git(name, &["rev-parse", "HEAD"])
    }

    fn start(&self, folder: &str, case: &str) -> Result<()> {
        let (private, folder) = (self.at(case), self.at(folder));
        let (url, case) = (private.to_str().unwrap(), case.parse().unwrap());
        let start = Start { folder: &folder, case: &case, url, line: "main".parse().unwrap() };
        start.begin(SERVER, Output::new(false))
    }

    fn refs(&self, name: &str) -> String {
        self.git(name, &["for-each-ref", "--format=%(refname)"])
    }
}

#[test]
fn a_started_fix_is_pushed_to_the_private_remote_alone() {
    let scene = Scene::set();
    scene.start("clone", "OCTO-1").unwrap();
    let head = scene.commit("clone");
    scene.git("clone", &["push", "-q"]);
    assert_eq!(scene.git("OCTO-1", &["rev-parse", "refs/heads/fix/main"]), head);
    assert_eq!(scene.refs("public"), "refs/heads/main");
    scene.start("clone", "OCTO-1").unwrap();
    assert_eq!(scene.git("clone", &["rev-parse", "HEAD"]), head, "starting again loses nothing");
    fs::create_dir(scene.at("third")).unwrap();
    assert!(matches!(scene.start("third", "OCTO-1"), Err(Failure::Refused(_))));
}

/// A fix of one case was pushed into another, because both wanted the branch fix/main of the clone.
#[test]
fn the_fixes_of_two_cases_live_in_one_clone_and_go_to_their_own_remotes() {
    let scene = Scene::set();
    scene.start("clone", "OCTO-1").unwrap();
    let first = scene.commit("clone");
    scene.git("clone", &["push", "-q"]);
    scene.start("clone", "OCTO-2").unwrap();
    let second = scene.commit("clone");
    scene.git("clone", &["push", "-q"]);
    assert_eq!(scene.git("OCTO-2", &["rev-parse", "refs/heads/fix/main"]), second);
    assert_eq!(scene.git("OCTO-1", &["rev-parse", "refs/heads/fix/main"]), first);
    assert_eq!(scene.git("clone", &["rev-parse", "HEAD~"]), scene.git("public", &["rev-parse", "main"]));
    // Back on the first: its branch, its remote, and what was pushed there.
    scene.start("clone", "OCTO-1").unwrap();
    let third = scene.commit("clone");
    scene.git("clone", &["push", "-q"]);
    assert_eq!(scene.git("OCTO-1", &["rev-parse", "refs/heads/fix/main"]), third);
    assert_eq!(scene.git("OCTO-2", &["rev-parse", "refs/heads/fix/main"]), second);
    // Elsewhere in the clone, pushing is what it was.
    assert_eq!(ask_git(&scene.at("clone"), &["config", "push.default"]).unwrap().as_deref(), Some("upstream"));
    scene.git("clone", &["switch", "-q", "main"]);
    assert_ne!(ask_git(&scene.at("clone"), &["config", "push.default"]).unwrap().as_deref(), Some("upstream"));
}

#[test]
fn a_branch_that_follows_something_else_is_left_alone() {
    let scene = Scene::set();
    scene.git("clone", &["branch", "OCTO-1/fix/main"]);
    let refused = scene.start("clone", "OCTO-1").unwrap_err().to_string();
    assert!(refused.contains("does not follow embargo-OCTO-1") && refused.contains("stand on main"), "{refused}");
}

#[test]
fn a_line_that_does_not_exist_is_told_with_those_that_do() {
    let fix = |line: &str| FixView {
        kind: FixKind::Fix,
        line: line.into(),
        repository: "octo".into(),
        standing: None,
        head: None,
        subject: None,
        pushed_by: None,
        approved_by: Vec::new(),
        approved: false,
        may_approve: false,
        checks: "none".into(),
        checks_note: String::new(),
        run: None,
        waived_by: None,
        may_waive: false,
    };
    let asked = Approve {
        tests: false,
        case: "OCTO-1".parse().unwrap(),
        line: "2.x".parse().unwrap(),
        repository: None,
        commit: None,
        yes: false,
    };
    assert_eq!(no_line(&asked, &[fix("main"), fix("1.x")]), "OCTO-1 has no line 2.x; its lines are main, 1.x.");
}
